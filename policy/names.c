/* SPDX-License-Identifier: ISC */
/*
 * Each run has its names in one block and where each begins, so that a table of
 * 200,000 is two hundred runs and is freed at once. The runs that have names
 * left are a heap, that with the first name on top.
 */
#include "policy/names.h"

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum { FIRST_BLOCK = 16 << 10 };

struct run {
	char		*text;		/* owned; the names, each with its 0 */
	size_t		 length, size;	/* of the text */
	uint32_t	 starts[NAMES_RUN];
	unsigned	 count;
	unsigned	 taken;
};

struct names {
	struct run	**runs;		/* owned; then the heap */
	size_t		  count;
	size_t		  live;		/* in the heap */
	bool		  merging;
	const char	 *last;		/* told */
};

struct names *names_new(void)
{
	return mem_alloc(sizeof(struct names));
}

static void run_free(struct run *run)
{
	mem_free(run->text);
	mem_free(run);
}

void names_free(struct names *names)
{
	size_t i;

	if (names == NULL)
		return;
	for (i = 0; i < names->count; i++)
		run_free(names->runs[i]);
	mem_free(names->runs);
	mem_free(names);
}

/* --- runs --- */

static int compare(const void *one, const void *other, void *text)
{
	return strcmp((const char *)text + *(const uint32_t *)one,
	    (const char *)text + *(const uint32_t *)other);
}

static void sort_run(struct run *run)
{
	qsort_r(run->starts, run->count, sizeof(*run->starts), compare,
	    run->text);
}

static struct run *add_run(struct names *names)
{
	names->runs = mem_resize(names->runs, names->count + 1,
	    sizeof(struct run *));
	names->runs[names->count] = mem_alloc(sizeof(struct run));
	return names->runs[names->count++];
}

bool names_add(struct names *names, const char *name)
{
	struct run *run = names->count == 0 ? NULL :
	    names->runs[names->count - 1];
	size_t length = strlen(name) + 1;

	if (run == NULL || run->count == NAMES_RUN)
		run = add_run(names);
	while (run->length + length > run->size) {
		run->size = run->size == 0 ? FIRST_BLOCK : 2 * run->size;
		run->text = mem_resize(run->text, run->size, 1);
	}
	memcpy(run->text + run->length, name, length);
	run->starts[run->count++] = (uint32_t)run->length;
	run->length += length;
	if (run->count < NAMES_RUN)
		return false;
	sort_run(run);
	return true;
}

/* --- merging --- */

static const char *first_of(const struct run *run)
{
	return run->text + run->starts[run->taken];
}

static void sift_down(struct names *names, size_t at)
{
	struct run *run = names->runs[at];
	size_t below;

	while ((below = 2 * at + 1) < names->live) {
		if (below + 1 < names->live && strcmp(first_of(
		    names->runs[below + 1]), first_of(names->runs[below])) < 0)
			below++;
		if (strcmp(first_of(run), first_of(names->runs[below])) <= 0)
			break;
		names->runs[at] = names->runs[below];
		at = below;
	}
	names->runs[at] = run;
}

static void begin_merging(struct names *names)
{
	size_t i;

	names->merging = true;
	names->live = names->count;
	if (names->count > 0 &&
	    names->runs[names->count - 1]->count < NAMES_RUN)
		sort_run(names->runs[names->count - 1]);
	for (i = names->live / 2; i-- > 0;)
		sift_down(names, i);
}

/* Repetitions too. */
static const char *take(struct names *names)
{
	struct run *run;
	const char *name;

	if (names->live == 0)
		return NULL;
	run = names->runs[0];
	name = first_of(run);
	if (++run->taken == run->count) {
		names->runs[0] = names->runs[--names->live];
		names->runs[names->live] = run;
	}
	if (names->live > 0)
		sift_down(names, 0);
	return name;
}

const char *names_next(struct names *names)
{
	const char *name;

	if (!names->merging)
		begin_merging(names);
	do
		name = take(names);
	while (name != NULL && names->last != NULL &&
	    strcmp(name, names->last) == 0);
	names->last = name;
	return name;
}
