/* SPDX-License-Identifier: ISC */
/*
 * Any bytes as what the DNS answers DMARC, and as a header with the author in
 * it. Lines: the author's domain; the one of SPF; those of DKIM, with tabs
 * between; then an answer for each lookup, as in spf_fuzz.c. When the first
 * line has a colon all of it is a header, and the author's domain that is found
 * must be one.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "authentic/dmarc.h"
#include "authentic/fields.h"
#include "base/address.h"
#include "base/arena.h"

enum { RECORDS_MAX = 16, DOMAINS_MAX = 12, MEMORY_MAX = 64 << 20 };

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct world {
	struct arena		*arena;
	const char		*at;
	const char		*end;
	struct lookup_answers	 answers;
};

/* A copy of what stands before the byte; *at is behind it then. */
static const char *take(struct arena *arena, const char **at, const char *end,
    char byte, size_t *length)
{
	const char *found = memchr(*at, byte, (size_t)(end - *at));
	const char *start = *at;

	if (found == NULL)
		found = end;
	*length = (size_t)(found - start);
	*at = found == end ? end : found + 1;
	return arena_dup_text(arena, start, *length);
}

static void answer(struct world *world, enum lookup_type type,
    const char *name)
{
	struct lookup_answer *one = &world->answers.items[
	    world->answers.count++];
	struct lookup_record *record;
	const char *line, *end;
	size_t length;

	line = take(world->arena, &world->at, world->end, '\n', &length);
	end = line + length;
	one->type = type;
	one->name = arena_dup_string(world->arena, name);
	one->records = arena_alloc_array(world->arena, RECORDS_MAX,
	    sizeof(*one->records));
	while (line < end && one->count < RECORDS_MAX) {
		record = &one->records[one->count++];
		record->text = take(world->arena, &line, end, 1,
		    &record->length);
	}
	one->status = one->count == 0 ? LOOKUP_EMPTY : LOOKUP_FOUND;
	if (length == 1 && (end[-1] == '!' || end[-1] == '?')) {
		one->count = 0;
		one->status = end[-1] == '!' ? LOOKUP_FAILED : LOOKUP_MISSING;
	}
}

static void check(const struct dmarc_step *step)
{
	if (step->wish > DMARC_WISH_REJECT || step->reason[0] == '\0')
		__builtin_trap();
	switch (step->proof) {
	case PROOF_PASS:
	case PROOF_FAIL:
		if (!step->has_record || step->record_domain[0] == '\0')
			__builtin_trap();
		break;
	case PROOF_NONE:
	case PROOF_PERMERROR:
		if (step->has_record || step->wish != DMARC_WISH_NONE)
			__builtin_trap();
		break;
	default:
		if (step->proof != PROOF_TEMPERROR)
			__builtin_trap();
		break;
	}
}

static void run(struct world *world, const struct dmarc_question *question)
{
	struct arena *arena = arena_new(DMARC_MEMORY_MAX);
	struct dmarc_step step;

	for (;;) {
		arena_reset(arena);
		dmarc_step(question, &world->answers, arena, &step);
		if (step.done)
			break;
		if (world->answers.count == DMARC_LOOKUPS_MAX ||
		    !lookup_name_is_valid(step.name) ||
		    lookup_find(&world->answers, step.type, step.name) != NULL)
			__builtin_trap();
		answer(world, step.type, step.name);
	}
	check(&step);
	arena_free(arena);
}

static void try_machine(const char *data, size_t size)
{
	struct lookup_answer items[DMARC_LOOKUPS_MAX];
	struct world world = { .arena = arena_new(MEMORY_MAX), .at = data,
	    .end = data + size, .answers = { items, 0 } };
	const char *domains[DOMAINS_MAX], *line;
	struct dmarc_question question = { .dkim_domains = domains };
	size_t length;

	memset(items, 0, sizeof(items));
	question.author = take(world.arena, &world.at, world.end, '\n',
	    &length);
	question.spf_domain = take(world.arena, &world.at, world.end, '\n',
	    &length);
	question.spf_pass = length > 0;
	line = take(world.arena, &world.at, world.end, '\n', &length);
	for (data = line; data < line + length &&
	    question.dkim_count < DOMAINS_MAX;) {
		size_t one;

		domains[question.dkim_count++] = take(world.arena, &data,
		    line + length, '\t', &one);
	}
	question.temporary = length % 2 == 1 && size % 8 == 0;
	run(&world, &question);
	arena_free(world.arena);
}

static void try_author(const char *data, size_t size)
{
	struct arena *arena = arena_new(MEMORY_MAX);
	struct fields *fields = fields_new();
	char same[ADDRESS_DOMAIN_MAX + 1];
	const char *domain;

	fields_feed(fields, data, size);
	fields_finish(fields);
	domain = dmarc_author_domain(fields, arena);
	if (domain != NULL && (domain_parse(same, sizeof(same), domain,
	    strlen(domain)) != 0 || strcmp(same, domain) != 0))
		__builtin_trap();
	fields_free(fields);
	arena_free(arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *line = size == 0 ? NULL : memchr(data, '\n', size);

	if (size == 0)
		return 0;
	if (memchr(data, ':', line == NULL ? size : (size_t)(line - data)) !=
	    NULL)
		try_author((const char *)data, size);
	else
		try_machine((const char *)data, size);
	return 0;
}
