/* SPDX-License-Identifier: ISC */
/*
 * policy/check_message.c: what is written reads the same, whatever is cut off
 * or put behind is refused, what is too long is cut and what is not printable
 * is cleaned when it is written, and what is neither is refused when it is
 * read. And the end of policy/client_check.c that no role answers.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/address.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/channel.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/net.h"
#include "base/wire.h"
#include "policy/check_message.h"
#include "policy/client_private.h"

static struct buf bytes;
static struct wire_writer writer;
static struct arena *arena;
static struct endpoint v4, v6;

static int set_up(void **state)
{
	(void)state;
	buf_init(&bytes, 64 << 10);
	wire_write_begin(&writer, &bytes);
	arena = arena_new(CHECK_MESSAGE_ARENA);
	endpoint_parse(&v4, "192.0.2.7", 0);
	endpoint_parse(&v6, "2001:db8::7", 0);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	buf_release(&bytes);
	arena_free(arena);
	return 0;
}

/* Each reader over bytes, into the arena. */
static int read_as(int kind, const void *data, size_t length)
{
	struct wire_reader reader;
	struct policy_spf_question spf_question;
	struct policy_spf_answer spf_answer;
	struct text_answer text_answer;
	struct dmarc_question dmarc_question;
	struct dmarc_step dmarc_step;
	struct listed_question listed_question;
	struct listed_answer listed_answer;
	struct policy_greylist_question greylist_question;
	const char *name;
	int64_t wait;

	arena_reset(arena);
	wire_read_begin(&reader, data, length);
	switch (kind) {
	case 0: return spf_question_get(&reader, arena, &spf_question);
	case 1: return spf_answer_get(&reader, arena, &spf_answer);
	case 2: return text_question_get(&reader, arena, &name);
	case 3: return text_answer_get(&reader, arena, &text_answer);
	case 4: return dmarc_question_get(&reader, arena, &dmarc_question);
	case 5: return dmarc_answer_get(&reader, arena, &dmarc_step);
	case 6: return listed_question_get(&reader, arena, &listed_question);
	case 7: return listed_answer_get(&reader, arena, &listed_answer);
	case 8: return greylist_question_get(&reader, arena,
		    &greylist_question);
	default: return greylist_answer_get(&reader, &wait);
	}
}

/* Whole it is one; shorter or longer it is none. */
static void expect_strict(int kind)
{
	uint8_t copy[8192];
	size_t length = buf_length(&bytes), i;

	assert_int_equal(0, wire_write_end(&writer));
	assert_true(length < sizeof(copy));
	memcpy(copy, buf_data(&bytes), length);
	copy[length] = 0;
	assert_int_equal(0, read_as(kind, copy, length));
	assert_int_equal(-1, read_as(kind, copy, length + 1));
	for (i = 0; i < length; i++)
		assert_int_equal(-1, read_as(kind, copy, i));
}

static struct wire_reader reader_of_bytes(void)
{
	struct wire_reader reader;

	arena_reset(arena);
	wire_read_begin(&reader, buf_data(&bytes), buf_length(&bytes));
	return reader;
}

static void test_spf(void **state)
{
	const struct policy_spf_question question = { .client = &v6,
	    .hello = "[192.0.2.7]", .sender = "\"a b\"@\xc3\xbc.example",
	    .receiver = "mx.example" };
	struct policy_spf_question got;
	struct wire_reader reader;

	(void)state;
	spf_question_put(&writer, &question);
	expect_strict(0);
	reader = reader_of_bytes();
	assert_int_equal(0, spf_question_get(&reader, arena, &got));
	assert_true(endpoint_same_host(got.client, &v6));
	assert_string_equal(got.hello, question.hello);
	assert_string_equal(got.sender, question.sender);
	assert_string_equal(got.receiver, question.receiver);
}

static void test_spf_answer(void **state)
{
	static char mechanism[1000];
	const struct policy_spf_answer answer = { .proof = PROOF_SOFTFAIL,
	    .of_hello = true, .domain = "x.example", .mechanism = mechanism,
	    .explanation = "a\r\nb\xff\x1b[2J", .mail_from = PROOF_PASS,
	    .mail_from_domain = "y.example" };
	struct policy_spf_answer got;
	struct wire_reader reader;

	(void)state;
	memset(mechanism, 'm', sizeof(mechanism) - 1);
	spf_answer_put(&writer, &answer);
	expect_strict(1);
	reader = reader_of_bytes();
	assert_int_equal(0, spf_answer_get(&reader, arena, &got));
	assert_int_equal(got.proof, PROOF_SOFTFAIL);
	assert_true(got.of_hello);
	assert_string_equal(got.domain, "x.example");
	assert_int_equal(strlen(got.mechanism), POLICY_WORDS_MAX);
	assert_string_equal(got.explanation, "a??b??[2J");
	assert_int_equal(got.mail_from, PROOF_PASS);
	assert_string_equal(got.mail_from_domain, "y.example");
}

static void test_text(void **state)
{
	static const struct text_answer cases[] = {
		{ DKIM_KEY_FOUND, "p=A\np=\xff" },
		{ DKIM_KEY_MISSING, "" }, { DKIM_KEY_UNREACHABLE, "" },
	};
	struct text_answer got;
	struct wire_reader reader;
	const char *name;
	size_t i;

	(void)state;
	text_question_put(&writer, "s._domainkey.\x7f.example");
	expect_strict(2);
	reader = reader_of_bytes();
	assert_int_equal(0, text_question_get(&reader, arena, &name));
	assert_string_equal(name, "s._domainkey.?.example");
	for (i = 0; i < 3; i++) {
		buf_reset(&bytes);
		text_answer_put(&writer, &cases[i]);
		expect_strict(3);
		reader = reader_of_bytes();
		assert_int_equal(0, text_answer_get(&reader, arena, &got));
		assert_int_equal(got.answer, cases[i].answer);
		assert_string_equal(got.text, cases[i].text);
	}
}

static void test_dmarc(void **state)
{
	static const char *const domains[] = { "a.example", "b.example", "c",
	    "d", "e", "f", "g", "h", "i", "k" };
	const struct dmarc_question question = { .author = "x.example",
	    .spf_pass = true, .spf_domain = "y.example",
	    .dkim_domains = domains, .dkim_count = 10, .temporary = true };
	const struct dmarc_step step = { .done = true, .proof = PROOF_FAIL,
	    .has_record = true, .wish = DMARC_WISH_REJECT,
	    .record_domain = "x.example", .organization = "example",
	    .reason = "not\naligned" };
	struct dmarc_question got;
	struct dmarc_step answer;
	struct wire_reader reader;

	(void)state;
	dmarc_question_put(&writer, &question);
	expect_strict(4);
	reader = reader_of_bytes();
	assert_int_equal(0, dmarc_question_get(&reader, arena, &got));
	assert_string_equal(got.author, "x.example");
	assert_string_equal(got.spf_domain, "y.example");
	assert_true(got.spf_pass && got.temporary);
	assert_int_equal(got.dkim_count, DMARC_DKIM_MAX);
	assert_string_equal(got.dkim_domains[7], "h");
	buf_reset(&bytes);
	dmarc_answer_put(&writer, &step);
	expect_strict(5);
	reader = reader_of_bytes();
	assert_int_equal(0, dmarc_answer_get(&reader, arena, &answer));
	assert_true(answer.done && answer.has_record);
	assert_int_equal(answer.proof, PROOF_FAIL);
	assert_int_equal(answer.wish, DMARC_WISH_REJECT);
	assert_string_equal(answer.reason, "not?aligned");
}

static void test_listed(void **state)
{
	struct endpoint answers[] = { v4, v6 };
	const struct listed_question question = { .address = &v4,
	    .zone = "bl.example" };
	const struct listed_answer answer = { .answers = answers,
	    .count = 2 }, failed = { .failed = true };
	struct listed_answer got;
	struct wire_reader reader;

	(void)state;
	listed_question_put(&writer, &question);
	expect_strict(6);
	buf_reset(&bytes);
	listed_answer_put(&writer, &answer);
	expect_strict(7);
	reader = reader_of_bytes();
	assert_int_equal(0, listed_answer_get(&reader, arena, &got));
	assert_int_equal(got.count, 2);
	assert_true(endpoint_same_host(&got.answers[0], &v4));
	assert_true(endpoint_same_host(&got.answers[1], &v6));
	buf_reset(&bytes);
	listed_answer_put(&writer, &failed);
	expect_strict(7);
}

static void test_greylist(void **state)
{
	const struct policy_greylist_question question = { .client = &v4,
	    .sender = "", .recipient = "b@us.example\n", .look_only = true };
	struct policy_greylist_question got;
	struct wire_reader reader;
	int64_t wait;

	(void)state;
	greylist_question_put(&writer, &question);
	expect_strict(8);
	reader = reader_of_bytes();
	assert_int_equal(0, greylist_question_get(&reader, arena, &got));
	assert_string_equal(got.sender, "");
	assert_string_equal(got.recipient, "b@us.example?");
	assert_true(got.look_only);
	buf_reset(&bytes);
	greylist_answer_put(&writer, 300);
	expect_strict(9);
	reader = reader_of_bytes();
	assert_int_equal(0, greylist_answer_get(&reader, &wait));
	assert_int_equal(wait, 300);
}

/* What no function here writes. */
static void test_hostile(void **state)
{
#define BYTES(text) text, sizeof(text) - 1
	static const struct { int kind; const char *data; size_t length; }
	    cases[] = {
		/* a family that is none, and lengths of the other one */
		{ 8, BYTES("\5\0\0\0\4abcd\0\0\0\0\0\0\0\0\0") },
		{ 8, BYTES("\6\0\0\0\4abcd\0\0\0\0\0\0\0\0\0") },
		{ 8, BYTES("\4\0\0\0\3abc\0\0\0\0\0\0\0\0\0") },
		/* neither true nor false */
		{ 8, BYTES("\4\0\0\0\4abcd\0\0\0\0\0\0\0\0\2") },
		/* a line feed, a NUL, DEL */
		{ 8, BYTES("\4\0\0\0\4abcd\0\0\0\1\n\0\0\0\0\0") },
		{ 8, BYTES("\4\0\0\0\4abcd\0\0\0\1\0\0\0\0\0\0") },
		{ 8, BYTES("\4\0\0\0\4abcd\0\0\0\1\x7f\0\0\0\0\0") },
		/* a wait of ages, one of less than none */
		{ 9, BYTES("\0\0\0\0\x7f\xff\xff\xff") },
		{ 9, BYTES("\xff\xff\xff\xff\xff\xff\xff\xff") },
		/* not printable, not ASCII */
		{ 1, BYTES("\1\0\0\0\0\1\x1b\0\0\0\0\0\0\0\0") },
		{ 1, BYTES("\1\0\0\0\0\1\xc3\0\0\0\0\0\0\0\0") },
		/* no result, no wish, no answer of that name */
		{ 1, BYTES("\x8\0\0\0\0\0\0\0\0\0\0\0\0\0") },
		{ 5, BYTES("\1\1\3\0\0\0\0\0\0\0\0\0\0\0\0") },
		{ 3, BYTES("\3\0\0\0\0") },
		/* found nothing, and something that is missing */
		{ 3, BYTES("\0\0\0\0\0") },
		{ 3, BYTES("\1\0\0\0\1x") },
		/* failed with answers, more answers than there may be */
		{ 7, BYTES("\1\1\4\0\0\0\4\x7f\0\0\2") },
		{ 7, BYTES("\0\x11") },
		{ 4, BYTES("\0\0\0\0\0\0\0\0\0\x9") },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (read_as(cases[i].kind, cases[i].data, cases[i].length) !=
		    -1)
			fail_msg("case %zu", i);
	assert_int_equal(0, read_as(8,
	    BYTES("\4\0\0\0\4abcd\0\0\0\0\0\0\0\0\1")));
	assert_int_equal(0, read_as(7, BYTES("\0\1\4\0\0\0\4\x7f\0\0\2")));
}

/* --- the client alone --- */

static struct policy_client *client;
static unsigned given_up, malformed;

static void on_spf(void *arg, const struct policy_spf_answer *answer)
{
	assert_int_equal(answer->proof, PROOF_TEMPERROR);
	assert_string_equal(answer->domain, arg);
	assert_int_equal(answer->of_hello, strcmp(arg, "h.example") == 0);
	assert_string_equal(answer->explanation, "");
	given_up++;
}

static void on_text(void *arg, enum dkim_key_answer answer, const char *text)
{
	(void)arg;
	assert_int_equal(answer, DKIM_KEY_UNREACHABLE);
	assert_string_equal(text, "");
	given_up++;
}

static void on_dmarc(void *arg, const struct dmarc_step *step)
{
	(void)arg;
	assert_true(step->done);
	assert_int_equal(step->proof, PROOF_TEMPERROR);
	assert_string_equal(step->record_domain, "");
	given_up++;
}

static void on_listed(void *arg, bool failed, const struct endpoint *answers,
    size_t count)
{
	(void)arg;
	(void)answers;
	assert_true(failed);
	assert_int_equal(count, 0);
	given_up++;
}

static void on_greylist(void *arg, int64_t wait)
{
	(void)arg;
	assert_int_equal(wait, 0);
	given_up++;
}

static void ask_all(struct policy_request **requests)
{
	struct policy_spf_question spf = { .client = &v4,
	    .hello = "h.example", .sender = "", .receiver = "us.example" };
	const struct dmarc_question dmarc = { .author = "x.example",
	    .spf_domain = "" };
	const struct policy_greylist_question grey = { .client = &v4,
	    .sender = "", .recipient = "" };

	requests[0] = policy_spf(client, &spf, on_spf, (char *)"h.example");
	spf.sender = "a@x.example";
	requests[1] = policy_spf(client, &spf, on_spf, (char *)"x.example");
	requests[2] = policy_text(client, "x.example", on_text, NULL);
	requests[3] = policy_dmarc(client, &dmarc, on_dmarc, NULL);
	requests[4] = policy_listed(client, &v4, "bl.example", on_listed,
	    NULL);
	requests[5] = policy_greylist(client, &grey, on_greylist, NULL);
}

static void stop(void *arg)
{
	(void)arg;
	loop_stop();
}

static void some_turns(void)
{
	int i;

	for (i = 0; i < 20; i++) {
		loop_defer(stop, NULL);
		loop_run();
	}
}

/* Policy is away: the deadline of each, as if it had come. */
static void test_deadlines(void **state)
{
	struct policy_request *requests[6];
	struct timer *timer;
	size_t i;

	(void)state;
	given_up = 0;
	client = policy_client_new();
	ask_all(requests);
	for (i = 0; i < 6; i++) {
		timer = &requests[i]->timer;
		assert_true(timer_is_running(timer));
		timer_start(timer, 0, timer->callback, timer->arg);
	}
	some_turns();
	assert_int_equal(given_up, 6);
	policy_client_free(client);
}

/* --- answers that are none --- */

static void on_question(void *arg, struct channel *channel,
    struct channel_message *message)
{
	(void)arg;
	wire_put_u8(channel_begin(channel, (uint16_t)(message->type + 1),
	    message->request), 77);
	channel_end(channel);
}

static void on_closed(void *arg, struct channel *channel)
{
	(void)arg;
	(void)channel;
	malformed++;
}

/* Each costs policy its channel and is no answer: asked again later. */
static void test_malformed_answers(void **state)
{
	static const struct channel_rule rules[] = {
		{ .type = POLICY_SPF, .max = POLICY_CHECK_QUESTION_MAX },
		{ .type = POLICY_TEXT, .max = POLICY_CHECK_QUESTION_MAX },
		{ .type = POLICY_DMARC, .max = POLICY_CHECK_QUESTION_MAX },
		{ .type = POLICY_LISTED, .max = POLICY_CHECK_QUESTION_MAX },
		{ .type = POLICY_GREYLIST, .max = POLICY_CHECK_QUESTION_MAX },
		{ .type = POLICY_CANCEL, .max = 0 },
	};
	static const struct channel_handler handler = { .rules = rules,
	    .rule_count = 6, .message = on_question, .closed = on_closed };
	struct policy_request *requests[6];
	struct channel *role;
	unsigned kind, i;
	int fds[2];

	(void)state;
	given_up = 0;
	malformed = 0;
	for (kind = 1; kind < 6; kind++) {
		client = policy_client_new();
		ask_all(requests);
		for (i = 0; i < 6; i++)
			if (i != kind)
				policy_cancel(requests[i]);
		assert_int_equal(0, socketpair(AF_UNIX, SOCK_STREAM |
		    SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds));
		role = channel_new(fds[1], "test", &handler, NULL, 1 << 20);
		policy_client_connect(client, fds[0]);
		some_turns();
		assert_int_equal(malformed, kind);
		assert_int_equal(given_up, 0);
		channel_free(role);
		policy_cancel(requests[kind]);
		policy_client_free(client);
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_spf), TEST(test_spf_answer), TEST(test_text),
		TEST(test_dmarc), TEST(test_listed), TEST(test_greylist),
		TEST(test_hostile), TEST(test_deadlines),
		TEST(test_malformed_answers),
	};
	int status;

	log_init("test", LOG_LEVEL_FATAL);
	loop_init();
	status = cmocka_run_group_tests(tests, NULL, NULL);
	loop_release();
	return status;
}
