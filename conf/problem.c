/* SPDX-License-Identifier: ISC */
/*
 * The list of problems: see problem.h. What was quoted from the file is made
 * safe to print here: a terminal must not obey a configuration.
 */
#include "conf/problem.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"

enum { SENTENCE_MAX = 1000 };

void problems_init(struct problems *problems, const char *file)
{
	memset(problems, 0, sizeof(*problems));
	problems->file = file;
}

void problems_reset(struct problems *problems)
{
	const char *file = problems->file;

	problems_release(problems);
	problems_init(problems, file);
}

void problems_release(struct problems *problems)
{
	for (size_t i = 0; i < problems->count && i < PROBLEMS_MAX; i++)
		mem_free(problems->items[i].text);
	problems->count = 0;
}

void problems_add(struct problems *problems, int line, const char *format, ...)
{
	char sentence[SENTENCE_MAX];
	va_list arguments;

	if (problems->count++ >= PROBLEMS_MAX)
		return;
	va_start(arguments, format);
	vsnprintf(sentence, sizeof(sentence), format, arguments);
	va_end(arguments);
	for (char *byte = sentence; *byte != '\0'; byte++)
		if ((unsigned char)*byte < ' ' || *byte == 127)
			*byte = '?';
	problems->items[problems->count - 1] = (struct problem){ .line = line,
	    .text = mem_dup_string(sentence) };
}

/* Insertion sort: few, and those of one line keep their order. */
static void sort(struct problem *items, size_t count)
{
	for (size_t i = 1; i < count; i++)
		for (size_t k = i; k > 0; k--) {
			unsigned line = (unsigned)items[k].line - 1;
			unsigned before = (unsigned)items[k - 1].line - 1;
			struct problem item = items[k];

			if (before <= line)
				break;
			items[k] = items[k - 1];
			items[k - 1] = item;
		}
}

char *problems_take(struct problems *problems)
{
	size_t shown = problems->count < PROBLEMS_MAX ? problems->count :
	    PROBLEMS_MAX;
	struct buf out;

	if (problems->count == 0)
		return NULL;
	sort(problems->items, shown);
	buf_init(&out, PROBLEMS_MAX * 2 * (SENTENCE_MAX +
	    strlen(problems->file)));
	for (size_t i = 0; i < shown; i++) {
		const struct problem *item = &problems->items[i];

		buf_add_string(&out, problems->file);
		if (item->line > 0)
			buf_print(&out, ":%d", item->line);
		buf_print(&out, ": %s\n", item->text);
	}
	if (problems->count > shown)
		buf_print(&out, "%s: and %zu more\n", problems->file,
		    problems->count - shown);
	problems_reset(problems);
	return buf_take(&out);
}
