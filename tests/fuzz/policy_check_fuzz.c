/* SPDX-License-Identifier: ISC */
/*
 * Any bytes as a question of smtpd or an answer of policy about clients and
 * messages; the first byte, '0' to '9', says as which. What is taken is within
 * its bounds, and reads the same when it was written again.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/address.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/net.h"
#include "base/wire.h"
#include "policy/check_message.h"
#include "policy/message.h"

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void need(bool good)
{
	if (!good)
		__builtin_trap();
}

/* Printable, and not longer. */
static void need_words(const char *text, size_t max)
{
	need(strlen(text) <= max);
	for (; *text != '\0'; text++)
		need(*text >= ' ' && *text <= '~');
}

static void need_text(const char *text, size_t max)
{
	need(strlen(text) <= max);
	for (; *text != '\0'; text++)
		need((unsigned char)*text >= ' ' && *text != 0x7f);
}

static void need_address(const struct endpoint *endpoint)
{
	need(endpoint->address.any.sa_family == AF_INET ||
	    endpoint->address.any.sa_family == AF_INET6);
}

/* --- each message: false when it is none --- */

static bool copy_spf_question(struct wire_reader *reader, struct arena *arena,
    struct wire_writer *writer)
{
	struct policy_spf_question question;

	if (spf_question_get(reader, arena, &question) == -1)
		return false;
	need_address(question.client);
	need_text(question.hello, POLICY_NAME_MAX);
	need_text(question.sender, ADDRESS_MAX);
	need_text(question.receiver, POLICY_NAME_MAX);
	spf_question_put(writer, &question);
	return true;
}

static bool copy_spf_answer(struct wire_reader *reader, struct arena *arena,
    struct wire_writer *writer)
{
	struct policy_spf_answer answer;

	if (spf_answer_get(reader, arena, &answer) == -1)
		return false;
	need(answer.proof < PROOF_COUNT);
	need_words(answer.domain, POLICY_NAME_MAX);
	need_words(answer.mechanism, POLICY_WORDS_MAX);
	need_words(answer.explanation, POLICY_WORDS_MAX);
	spf_answer_put(writer, &answer);
	return true;
}

static bool copy_text_question(struct wire_reader *reader,
    struct arena *arena, struct wire_writer *writer)
{
	const char *name;

	if (text_question_get(reader, arena, &name) == -1)
		return false;
	need_words(name, POLICY_NAME_MAX);
	text_question_put(writer, name);
	return true;
}

static bool copy_text_answer(struct wire_reader *reader, struct arena *arena,
    struct wire_writer *writer)
{
	struct text_answer answer;

	if (text_answer_get(reader, arena, &answer) == -1)
		return false;
	need(strlen(answer.text) <= POLICY_TEXT_MAX);
	need((answer.answer == DKIM_KEY_FOUND) == (answer.text[0] != '\0'));
	text_answer_put(writer, &answer);
	return true;
}

static bool copy_dmarc_question(struct wire_reader *reader,
    struct arena *arena, struct wire_writer *writer)
{
	struct dmarc_question question;
	size_t i;

	if (dmarc_question_get(reader, arena, &question) == -1)
		return false;
	need(question.dkim_count <= DMARC_DKIM_MAX);
	need_words(question.author, POLICY_NAME_MAX);
	need_words(question.spf_domain, POLICY_NAME_MAX);
	for (i = 0; i < question.dkim_count; i++)
		need_words(question.dkim_domains[i], POLICY_NAME_MAX);
	dmarc_question_put(writer, &question);
	return true;
}

static bool copy_dmarc_answer(struct wire_reader *reader, struct arena *arena,
    struct wire_writer *writer)
{
	struct dmarc_step step;

	if (dmarc_answer_get(reader, arena, &step) == -1)
		return false;
	need(step.done && step.proof < PROOF_COUNT &&
	    step.wish <= DMARC_WISH_REJECT);
	need_words(step.record_domain, POLICY_NAME_MAX);
	need_words(step.organization, POLICY_NAME_MAX);
	need_words(step.reason, POLICY_WORDS_MAX);
	dmarc_answer_put(writer, &step);
	return true;
}

static bool copy_listed_question(struct wire_reader *reader,
    struct arena *arena, struct wire_writer *writer)
{
	struct listed_question question;

	if (listed_question_get(reader, arena, &question) == -1)
		return false;
	need_address(question.address);
	need_words(question.zone, POLICY_NAME_MAX);
	listed_question_put(writer, &question);
	return true;
}

static bool copy_listed_answer(struct wire_reader *reader,
    struct arena *arena, struct wire_writer *writer)
{
	struct listed_answer answer;
	size_t i;

	if (listed_answer_get(reader, arena, &answer) == -1)
		return false;
	need(answer.count <= POLICY_LISTED_MAX);
	need(!answer.failed || answer.count == 0);
	for (i = 0; i < answer.count; i++)
		need_address(&answer.answers[i]);
	listed_answer_put(writer, &answer);
	return true;
}

static bool copy_greylist_question(struct wire_reader *reader,
    struct arena *arena, struct wire_writer *writer)
{
	struct policy_greylist_question question;

	if (greylist_question_get(reader, arena, &question) == -1)
		return false;
	need_address(question.client);
	need_text(question.sender, ADDRESS_MAX);
	need_text(question.recipient, ADDRESS_MAX);
	greylist_question_put(writer, &question);
	return true;
}

static bool copy_greylist_answer(struct wire_reader *reader,
    struct arena *arena, struct wire_writer *writer)
{
	int64_t wait;

	(void)arena;
	if (greylist_answer_get(reader, &wait) == -1)
		return false;
	need(wait >= 0);
	greylist_answer_put(writer, wait);
	return true;
}

static bool (*const copies[])(struct wire_reader *reader,
    struct arena *arena, struct wire_writer *writer) = {
	copy_spf_question, copy_spf_answer, copy_text_question,
	copy_text_answer, copy_dmarc_question, copy_dmarc_answer,
	copy_listed_question, copy_listed_answer, copy_greylist_question,
	copy_greylist_answer,
};

/* What was read, written again. */
static bool copy(unsigned kind, const void *data, size_t size,
    struct buf *out)
{
	struct arena *arena = arena_new(CHECK_MESSAGE_ARENA);
	struct wire_reader reader;
	struct wire_writer writer;
	bool taken;

	buf_init(out, POLICY_CHECK_ANSWER_MAX);
	wire_read_begin(&reader, data, size);
	wire_write_begin(&writer, out);
	taken = copies[kind](&reader, arena, &writer);
	if (taken)
		need(wire_write_end(&writer) == 0);
	arena_free(arena);
	return taken;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf first, second;
	unsigned kind;

	if (size == 0 || data[0] < '0' || data[0] > '9' ||
	    size > POLICY_CHECK_ANSWER_MAX)
		return 0;
	kind = data[0] - '0';
	if (copy(kind, data + 1, size - 1, &first)) {
		need(kind % 2 == 1 || buf_length(&first) <=
		    POLICY_CHECK_QUESTION_MAX);
		need(copy(kind, buf_data(&first), buf_length(&first),
		    &second));
		need(buf_length(&first) == buf_length(&second) &&
		    memcmp(buf_data(&first), buf_data(&second),
		    buf_length(&first)) == 0);
		buf_release(&second);
	}
	buf_release(&first);
	return 0;
}
