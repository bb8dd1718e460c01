/* SPDX-License-Identifier: ISC */
/*
 * Any bytes as what the DNS answers SPF: the first line is the question, with
 * tabs between client, sender and HELO name; each lookup gets the next of the
 * other lines, from the first of them again when there are no more. In a line
 * byte 1 stands between records; "!" is a failure, "?" no such name. The
 * promises of spf.h must hold: how many lookups, none of them twice, how much
 * memory, what is shown.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "authentic/spf.h"
#include "base/arena.h"

enum { RECORDS_MAX = 64, MEMORY_MAX = 64 << 20 };

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct lines {
	const char	*start;
	const char	*end;
	const char	*at;
};

struct world {
	struct arena			*arena;
	struct lines			 lines;
	const struct spf_question	*question;
	struct lookup_answers		 answers;
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

static const char *next_line(struct world *world, size_t *length)
{
	struct lines *lines = &world->lines;

	*length = 0;
	if (lines->start == lines->end)
		return "";
	if (lines->at == lines->end)
		lines->at = lines->start;
	return take(world->arena, &lines->at, lines->end, '\n', length);
}

/* "y": the client's own address; else some other of its family. */
static void read_address(const struct world *world, const char *text,
    struct endpoint *address)
{
	const struct endpoint *client = &world->question->client;

	*address = *client;
	if (text[0] == 'y')
		return;
	if (client->address.any.sa_family == AF_INET6)
		address->address.v6.sin6_addr.s6_addr[15] ^= (uint8_t)text[0];
	else
		address->address.v4.sin_addr.s_addr ^=
		    (uint32_t)(uint8_t)text[0] << 16 | 1;
}

static void answer(struct world *world, enum lookup_type type,
    const char *name)
{
	struct lookup_answer *one = &world->answers.items[
	    world->answers.count++];
	struct lookup_record *record;
	const char *line, *end;
	size_t length;

	line = next_line(world, &length);
	end = line + length;
	one->type = type;
	one->name = arena_dup_string(world->arena, name);
	one->records = arena_alloc_array(world->arena, RECORDS_MAX,
	    sizeof(*one->records));
	while (line < end && one->count < RECORDS_MAX) {
		record = &one->records[one->count++];
		record->text = take(world->arena, &line, end, 1,
		    &record->length);
		record->preference = (uint8_t)record->text[0];
		read_address(world, record->text, &record->address);
		if (type == LOOKUP_A)
			record->address.address.any.sa_family = AF_INET;
	}
	one->status = one->count == 0 ? LOOKUP_EMPTY : LOOKUP_FOUND;
	if (length == 1 && (end[-1] == '!' || end[-1] == '?')) {
		one->count = 0;
		one->status = end[-1] == '!' ? LOOKUP_FAILED : LOOKUP_MISSING;
	}
}

static void check(const struct spf_step *step)
{
	size_t i;

	if (step->terms > SPF_TERMS_MAX || step->voids > SPF_VOIDS_MAX ||
	    step->proof == PROOF_POLICY || step->proof >= PROOF_COUNT ||
	    step->mechanism[0] == '\0' ||
	    strlen(step->explanation) > SPF_EXPLANATION_MAX)
		__builtin_trap();
	for (i = 0; step->explanation[i] != '\0'; i++)
		if (step->explanation[i] < ' ' || step->explanation[i] > '~')
			__builtin_trap();
	for (i = 0; step->mechanism[i] != '\0'; i++)
		if (step->mechanism[i] < ' ' || step->mechanism[i] > '~')
			__builtin_trap();
}

static void run(struct world *world)
{
	struct arena *arena = arena_new(SPF_MEMORY_MAX);
	struct spf_step step;

	for (;;) {
		arena_reset(arena);
		spf_step(world->question, &world->answers, arena, &step);
		if (step.done)
			break;
		if (world->answers.count == SPF_LOOKUPS_MAX ||
		    !lookup_name_is_valid(step.name) ||
		    lookup_find(&world->answers, step.type, step.name) != NULL)
			__builtin_trap();
		answer(world, step.type, step.name);
	}
	check(&step);
	arena_free(arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct lookup_answer items[SPF_LOOKUPS_MAX];
	struct world world = { .answers = { items, 0 } };
	struct spf_question question = { .receiver = "mx.example.net",
	    .explain = true, .now = 1234567890 };
	const char *at = (const char *)data, *end, *line, *domain;
	size_t length;

	if (size == 0)
		return 0;
	memset(items, 0, sizeof(items));
	world.arena = arena_new(MEMORY_MAX);
	world.question = &question;
	end = at + size;
	line = take(world.arena, &at, end, '\n', &length);
	world.lines = (struct lines){ at, end, at };
	end = line + length;
	if (endpoint_parse(&question.client, take(world.arena, &line, end,
	    '\t', &length), 25) != 0)
		endpoint_parse(&question.client, "192.0.2.1", 25);
	question.sender = take(world.arena, &line, end, '\t', &length);
	question.hello = take(world.arena, &line, end, '\t', &length);
	domain = strrchr(question.sender, '@');
	question.domain = domain == NULL ? question.sender : domain + 1;
	run(&world);
	arena_free(world.arena);
	return 0;
}
