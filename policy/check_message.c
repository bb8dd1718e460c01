/* SPDX-License-Identifier: ISC */
/*
 * One pair of functions for each message. A reader that finds something wrong
 * marks itself bad and goes on with harmless values, as base/wire.c does.
 */
#include "policy/check_message.h"

#include <string.h>

#include "base/address.h"
#include "base/arena.h"
#include "base/wire.h"
#include "policy/message.h"

enum { LONGEST_WAIT = 400 * 86400, DMARC_WISHES = DMARC_WISH_REJECT + 1,
    KEY_ANSWERS = DKIM_KEY_UNREACHABLE + 1 };

/* --- parts --- */

static void put_address(struct wire_writer *writer,
    const struct endpoint *endpoint)
{
	bool v6 = endpoint->address.any.sa_family == AF_INET6;

	wire_put_u8(writer, v6 ? 6 : 4);
	if (v6)
		wire_put_bytes(writer, &endpoint->address.v6.sin6_addr, 16);
	else
		wire_put_bytes(writer, &endpoint->address.v4.sin_addr, 4);
}

static void get_address(struct wire_reader *reader, struct endpoint *endpoint)
{
	uint8_t family = wire_get_u8(reader);
	size_t length;
	const void *bytes = wire_get_bytes(reader, 16, &length);

	if (!reader->bad && ((family == 4 && length == 4) ||
	    (family == 6 && length == 16)))
		endpoint_from_bytes(endpoint, family == 4 ? AF_INET :
		    AF_INET6, bytes, 0);
	else
		reader->bad = true;
}

static bool get_bool(struct wire_reader *reader)
{
	return wire_get_enum(reader, 2) == 1;
}

/* At most max bytes of it; other bytes than printable ASCII as "?". */
static void put_words(struct wire_writer *writer, const char *text, size_t max)
{
	char clean[POLICY_WORDS_MAX + 1];
	size_t i;

	for (i = 0; text[i] != '\0' && i < max && i < POLICY_WORDS_MAX; i++)
		clean[i] = text[i] >= ' ' && text[i] <= '~' ? text[i] : '?';
	wire_put_bytes(writer, clean, i);
}

/* Addresses may be UTF-8: only control characters become "?". */
static void put_text(struct wire_writer *writer, const char *text, size_t max)
{
	char clean[ADDRESS_MAX + 1];
	size_t i;

	for (i = 0; text[i] != '\0' && i < max && i < ADDRESS_MAX; i++)
		clean[i] = (unsigned char)text[i] < ' ' || text[i] == 0x7f ?
		    '?' : text[i];
	wire_put_bytes(writer, clean, i);
}

static const char *get_text(struct wire_reader *reader, struct arena *arena,
    size_t max)
{
	const char *text = wire_get_text(reader, arena, max), *at;

	for (at = text; *at != '\0'; at++)
		if ((unsigned char)*at < ' ' || *at == 0x7f)
			reader->bad = true;
	return reader->bad ? "" : text;
}

static const char *get_words(struct wire_reader *reader, struct arena *arena,
    size_t max)
{
	const char *text = get_text(reader, arena, max), *at;

	for (at = text; *at != '\0'; at++)
		if (*at < ' ' || *at > '~')
			reader->bad = true;
	return reader->bad ? "" : text;
}

/* --- SPF --- */

void spf_question_put(struct wire_writer *writer,
    const struct policy_spf_question *question)
{
	put_address(writer, question->client);
	put_text(writer, question->hello, POLICY_NAME_MAX);
	put_text(writer, question->sender, ADDRESS_MAX);
	put_text(writer, question->receiver, POLICY_NAME_MAX);
}

int spf_question_get(struct wire_reader *reader, struct arena *arena,
    struct policy_spf_question *question)
{
	struct endpoint *client = arena_alloc(arena, sizeof(*client));

	get_address(reader, client);
	question->client = client;
	question->hello = get_text(reader, arena, POLICY_NAME_MAX);
	question->sender = get_text(reader, arena, ADDRESS_MAX);
	question->receiver = get_text(reader, arena, POLICY_NAME_MAX);
	return wire_read_end(reader);
}

void spf_answer_put(struct wire_writer *writer,
    const struct policy_spf_answer *answer)
{
	wire_put_u8(writer, (uint8_t)answer->proof);
	wire_put_u8(writer, answer->of_hello);
	put_words(writer, answer->domain, POLICY_NAME_MAX);
	put_words(writer, answer->mechanism, POLICY_WORDS_MAX);
	put_words(writer, answer->explanation, POLICY_WORDS_MAX);
	wire_put_u8(writer, (uint8_t)answer->mail_from);
	put_words(writer, answer->mail_from_domain, POLICY_NAME_MAX);
}

int spf_answer_get(struct wire_reader *reader, struct arena *arena,
    struct policy_spf_answer *answer)
{
	answer->proof = wire_get_enum(reader, PROOF_COUNT);
	answer->of_hello = get_bool(reader);
	answer->domain = get_words(reader, arena, POLICY_NAME_MAX);
	answer->mechanism = get_words(reader, arena, POLICY_WORDS_MAX);
	answer->explanation = get_words(reader, arena, POLICY_WORDS_MAX);
	answer->mail_from = wire_get_enum(reader, PROOF_COUNT);
	answer->mail_from_domain = get_words(reader, arena, POLICY_NAME_MAX);
	return wire_read_end(reader);
}

/* --- TXT --- */

void text_question_put(struct wire_writer *writer, const char *name)
{
	put_words(writer, name, POLICY_NAME_MAX);
}

int text_question_get(struct wire_reader *reader, struct arena *arena,
    const char **name)
{
	*name = get_words(reader, arena, POLICY_NAME_MAX);
	return wire_read_end(reader);
}

void text_answer_put(struct wire_writer *writer,
    const struct text_answer *answer)
{
	wire_put_u8(writer, (uint8_t)answer->answer);
	wire_put_bytes(writer, answer->text, strnlen(answer->text,
	    POLICY_TEXT_MAX));
}

/* Any bytes but NUL: what a key may be is dkim_key.h's to say. */
int text_answer_get(struct wire_reader *reader, struct arena *arena,
    struct text_answer *answer)
{
	answer->answer = wire_get_enum(reader, KEY_ANSWERS);
	answer->text = wire_get_text(reader, arena, POLICY_TEXT_MAX);
	if ((answer->answer == DKIM_KEY_FOUND) != (answer->text[0] != '\0'))
		reader->bad = true;
	return wire_read_end(reader);
}

/* --- DMARC --- */

void dmarc_question_put(struct wire_writer *writer,
    const struct dmarc_question *question)
{
	size_t count = question->dkim_count, i;

	if (count > DMARC_DKIM_MAX)
		count = DMARC_DKIM_MAX;
	put_words(writer, question->author, POLICY_NAME_MAX);
	wire_put_u8(writer, question->spf_pass);
	put_words(writer, question->spf_domain, POLICY_NAME_MAX);
	wire_put_u8(writer, (uint8_t)count);
	for (i = 0; i < count; i++)
		put_words(writer, question->dkim_domains[i], POLICY_NAME_MAX);
	wire_put_u8(writer, question->temporary);
}

int dmarc_question_get(struct wire_reader *reader, struct arena *arena,
    struct dmarc_question *question)
{
	const char **domains = arena_alloc_array(arena, DMARC_DKIM_MAX,
	    sizeof(*domains));
	size_t i;

	question->author = get_words(reader, arena, POLICY_NAME_MAX);
	question->spf_pass = get_bool(reader);
	question->spf_domain = get_words(reader, arena, POLICY_NAME_MAX);
	question->dkim_count = wire_get_enum(reader, DMARC_DKIM_MAX + 1);
	for (i = 0; i < question->dkim_count; i++)
		domains[i] = get_words(reader, arena, POLICY_NAME_MAX);
	question->dkim_domains = domains;
	question->temporary = get_bool(reader);
	return wire_read_end(reader);
}

void dmarc_answer_put(struct wire_writer *writer,
    const struct dmarc_step *step)
{
	wire_put_u8(writer, (uint8_t)step->proof);
	wire_put_u8(writer, step->has_record);
	wire_put_u8(writer, (uint8_t)step->wish);
	put_words(writer, step->record_domain, POLICY_NAME_MAX);
	put_words(writer, step->organization, POLICY_NAME_MAX);
	put_words(writer, step->reason, POLICY_WORDS_MAX);
}

int dmarc_answer_get(struct wire_reader *reader, struct arena *arena,
    struct dmarc_step *step)
{
	*step = (struct dmarc_step){ .done = true, .name = "" };
	step->proof = wire_get_enum(reader, PROOF_COUNT);
	step->has_record = get_bool(reader);
	step->wish = wire_get_enum(reader, DMARC_WISHES);
	step->record_domain = get_words(reader, arena, POLICY_NAME_MAX);
	step->organization = get_words(reader, arena, POLICY_NAME_MAX);
	step->reason = get_words(reader, arena, POLICY_WORDS_MAX);
	return wire_read_end(reader);
}

/* --- lists --- */

void listed_question_put(struct wire_writer *writer,
    const struct listed_question *question)
{
	put_address(writer, question->address);
	put_words(writer, question->zone, POLICY_NAME_MAX);
}

int listed_question_get(struct wire_reader *reader, struct arena *arena,
    struct listed_question *question)
{
	struct endpoint *address = arena_alloc(arena, sizeof(*address));

	get_address(reader, address);
	question->address = address;
	question->zone = get_words(reader, arena, POLICY_NAME_MAX);
	return wire_read_end(reader);
}

void listed_answer_put(struct wire_writer *writer,
    const struct listed_answer *answer)
{
	size_t i;

	wire_put_u8(writer, answer->failed);
	wire_put_u8(writer, (uint8_t)answer->count);
	for (i = 0; i < answer->count; i++)
		put_address(writer, &answer->answers[i]);
}

int listed_answer_get(struct wire_reader *reader, struct arena *arena,
    struct listed_answer *answer)
{
	struct endpoint *answers = arena_alloc_array(arena, POLICY_LISTED_MAX,
	    sizeof(*answers));
	size_t i;

	answer->failed = get_bool(reader);
	answer->count = wire_get_enum(reader, POLICY_LISTED_MAX + 1);
	for (i = 0; i < answer->count; i++)
		get_address(reader, &answers[i]);
	answer->answers = answers;
	if (answer->failed && answer->count > 0)
		reader->bad = true;
	return wire_read_end(reader);
}

/* --- greylisting --- */

void greylist_question_put(struct wire_writer *writer,
    const struct policy_greylist_question *question)
{
	put_address(writer, question->client);
	put_text(writer, question->sender, ADDRESS_MAX);
	put_text(writer, question->recipient, ADDRESS_MAX);
	wire_put_u8(writer, question->look_only);
}

int greylist_question_get(struct wire_reader *reader, struct arena *arena,
    struct policy_greylist_question *question)
{
	struct endpoint *client = arena_alloc(arena, sizeof(*client));

	get_address(reader, client);
	question->client = client;
	question->sender = get_text(reader, arena, ADDRESS_MAX);
	question->recipient = get_text(reader, arena, ADDRESS_MAX);
	question->look_only = get_bool(reader);
	return wire_read_end(reader);
}

void greylist_answer_put(struct wire_writer *writer, int64_t wait)
{
	wire_put_u64(writer, (uint64_t)wait);
}

int greylist_answer_get(struct wire_reader *reader, int64_t *wait)
{
	uint64_t value = wire_get_u64(reader);

	if (value > LONGEST_WAIT)
		reader->bad = true;
	*wait = reader->bad ? 0 : (int64_t)value;
	return wire_read_end(reader);
}
