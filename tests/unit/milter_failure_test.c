/* SPDX-License-Identifier: ISC */
/*
 * Filters that are not there, stall, die, or break the protocol: each must end
 * in MILTER_FAILED in time, with a sentence that says why, and stay there; and
 * nothing of what they had asked for is left.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/stream.h"
#include "tests/unit/milter_world.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { ALL_CHANGES = 0x1ff, SHORT_MS = 60 };

static struct milter_world world;

static int begin(void **state)
{
	(void)state;
	milter_world_init(&world);
	return 0;
}

static int end(void **state)
{
	(void)state;
	milter_world_release(&world);
	world.milter = NULL;
	return 0;
}

static void again(void)
{
	milter_world_release(&world);
	world.milter = NULL;
	milter_world_init(&world);
}

/* Only then is little time enough: a busy machine answers late. */
static bool is_late(const char *words)
{
	return strstr(words, "within") != NULL;
}

/*
 * What takes an answer in time and then a silence that is longer than that:
 * once more with more of it, if the machine was too busy.
 */
static void with_patience(bool (*attempt)(int64_t milliseconds))
{
	int64_t patience = SHORT_MS;

	while (!attempt(patience)) {
		patience *= 4;
		assert_true(patience < 10000);
		again();
	}
}

/* It has failed with these words, once and for all. */
static void expect_failure(enum milter_action action, const char *words)
{
	assert_int_equal(action, MILTER_FAILED);
	if (strstr(world.why, words) == NULL)
		fail_msg("\"%s\" instead of \"%s\"", world.why, words);
	assert_true(milter_has_failed(world.milter));
	assert_string_equal(milter_world_edits(&world), "");
	milter_abort(world.milter);
	assert_int_equal(milter_world_mail(&world), MILTER_FAILED);
	assert_string_not_equal(world.why, "");
	assert_int_equal(milter_world_content(&world), MILTER_FAILED);
	assert_true(world.filter.connections <= 1);
}

/* --- not there --- */

static void test_refused(void **state)
{
	(void)state;
	world.filter.connect_error = ECONNREFUSED;
	expect_failure(milter_world_connect(&world), "/run/filter: Connection "
	    "refused");
}

static void test_absent(void **state)
{
	(void)state;
	world.filter.absent = true;
	world.settings.connect_ms = SHORT_MS;
	expect_failure(milter_world_connect(&world), "no connection within");
}

static void test_addresses(void **state)
{
	struct endpoint local;
	int fd;

	(void)state;
	world.settings.socket = "";
	world.settings.host = "filter.example";
	expect_failure(milter_world_connect(&world), "filter.example is no "
	    "address");
	again();
	/* A port that nobody has. */
	assert_int_equal(endpoint_parse(&local, "127.0.0.1", 0), 0);
	fd = net_listen(&local, 1);
	assert_true(fd >= 0);
	net_local(fd, &local);
	close(fd);
	world.settings.socket = "";
	world.settings.host = "127.0.0.1";
	world.settings.port = endpoint_port(&local);
	expect_failure(milter_world_connect(&world), "Connection refused");
}

/* Somebody listens and says nothing: the connection is not the filter. */
static void test_silent_listener(void **state)
{
	struct endpoint local;
	int fd;

	(void)state;
	assert_int_equal(endpoint_parse(&local, "127.0.0.1", 0), 0);
	fd = net_listen(&local, 1);
	assert_true(fd >= 0);
	net_local(fd, &local);
	world.settings.socket = "";
	world.settings.host = "127.0.0.1";
	world.settings.port = endpoint_port(&local);
	world.settings.connect_ms = SHORT_MS;
	expect_failure(milter_world_connect(&world), "no connection within");
	close(fd);
}

/* --- the negotiation --- */

static void test_options(void **state)
{
	static const struct {
		uint32_t	 version, changes, steps;
		const char	*words;
	} rows[] = {
		{ 1, 0, 0, "another version" },
		{ 7, 0, 0, "another version" },
		{ 0x02000000, 0, 0, "another version" },
		{ 6, 0x200, 0, "no filter may change" },
		{ 6, 0x80000000, 0, "no filter may change" },
		{ 6, 0, 0x200000, "not offered" },
		{ 6, 0, 0x40000000, "not offered" },
		{ 6, 0, 0x80000000, "not offered" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		world.filter.version = rows[i].version;
		world.filter.changes = rows[i].changes;
		world.filter.steps = rows[i].steps;
		expect_failure(milter_world_connect(&world), rows[i].words);
		again();
	}
}

/* What stands where the options should. */
static void test_other_options(void **state)
{
	static const struct {
		struct milter_filter_rule	 rules[2];
		const char		*words;
	} rows[] = {
		{ { { .command = 'O', .frames = { FILTER_SAYS("c") } } },
		    "options first" },
		{ { { .command = 'O', .frames = {
		    FILTER_SAYS("y550 no\0") } } },
		    "options first" },
		{ { { .command = 'O', .frames = { FILTER_SAYS("O") } } },
		    "cannot be read" },
		{ { { .command = 'O', .frames = {
		    FILTER_SAYS("O\0\0\0\6\0\0\0\0\0\0\0") } } },
		    "cannot be read" },
		/* lists: cut, without end, of no stage, and too long */
		{ { { .command = 'O', .frames = {
		    FILTER_SAYS("O\0\0\0\6\0\0\0\0\0\0\0\0\0\0") } } },
		    "cannot be read" },
		{ { { .command = 'O', .frames = {
		    FILTER_SAYS("O\0\0\0\6\0\0\0\0\0\0\0\0\0\0\0\1i") } } },
		    "cannot be read" },
		{ { { .command = 'O', .frames = {
		    FILTER_SAYS("O\0\0\0\6\0\0\0\0\0\0\0\0\0\0\0\1") } } },
		    "cannot be read" },
		{ { { .command = 'O', .frames = {
		    FILTER_SAYS("O\0\0\0\6\0\0\0\0\0\0\0\0\0\0\0\7i\0") } } },
		    "cannot be read" },
		/* HTTP is no milter */
		{ { { .command = 'O', .raw = true, .frames = {
		    FILTER_SAYS("HTTP/1.1 400 Bad Request\r\n\r\n") } } },
		    "no frame" },
		{ { { .command = 'O', .raw = true, .frames = {
		    FILTER_SAYS("\0\0\0\0c") } } }, "no frame" },
		{ { { .command = 'O', .closes = true } },
		    "closed the connection" },
		{ { { .command = 'O', .raw = true, .closes = true, .frames = {
		    FILTER_SAYS("\0\0\0\15O\0\0") } } },
		    "closed the connection" },
		{ { { .command = 'O' } }, "no connection within" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		if (is_late(rows[i].words))
			world.settings.connect_ms = SHORT_MS;
		world.filter.rules = rows[i].rules;
		expect_failure(milter_world_connect(&world), rows[i].words);
		again();
	}
}

/* --- each stage --- */

static void test_stages(void **state)
{
	static const struct {
		struct milter_filter_rule rule;	/* without its command */
		const char		*words;
	} rows[] = {
		{ { .nth = 0 }, "no answer within" },
		{ { .closes = true }, "closed the connection" },
		{ { .raw = true, .frames = { FILTER_SAYS("\0\0\0\5y55") },
		    .closes = true }, "closed the connection" },
		{ { .raw = true, .frames = { FILTER_SAYS("\0\0\0\5y55") } },
		    "no answer within" },
		{ { .raw = true, .frames = { FILTER_SAYS("\0\0\0\0") } },
		    "no frame" },
		{ { .raw = true, .frames = {
		    FILTER_SAYS("\0\x10\0\1" "b") } }, "no frame" },
		{ { .raw = true, .frames = {
		    FILTER_SAYS("\xff\xff\xff\xff" "b") } }, "no frame" },
		{ { .raw = true, .frames = {
		    FILTER_SAYS("garbage, and much of it") } }, "no frame" },
		{ { .frames = { FILTER_SAYS("Z") } }, "does not exist" },
		{ { .frames = { FILTER_SAYS("O\0\0\0\6\0\0\0\0\0\0\0\0") } },
		    "does not exist" },
		{ { .frames = { FILTER_SAYS("cc") } }, "cannot be read" },
		{ { .frames = { FILTER_SAYS("y550 no") } },
		    "cannot be read" },
		{ { .frames = { FILTER_SAYS("y250 yes\0") } },
		    "no refusal" },
		{ { .frames = { FILTER_SAYS("y\0") } }, "no refusal" },
	};
	static const char commands[] = "CHMRTLNBE";

	(void)state;
	for (const char *command = commands; *command != '\0'; command++)
		for (size_t i = 0; i < COUNT(rows); i++) {
			struct milter_filter_rule rules[2] = { rows[i].rule };

			rules[0].command = *command;
			world.filter.rules = rules;
			if (is_late(rows[i].words))
				world.settings.reply_ms = SHORT_MS / 3;
			expect_failure(milter_world_whole(&world),
			    rows[i].words);
			again();
		}
}

/* Every kind of edit without leave, and with leave for all the others. */
static void test_edits_not_agreed(void **state)
{
	static const struct {
		struct milter_filter_frame	 frame;
		uint32_t		 needs;
	} rows[] = {
		{ FILTER_SAYS("hX\0y\0"), 0x1 },
		{ FILTER_SAYS("i\0\0\0\0X\0y\0"), 0x1 },
		{ FILTER_SAYS("m\0\0\0\1X\0y\0"), 0x10 },
		{ FILTER_SAYS("bnew"), 0x2 },
		{ FILTER_SAYS("+<a@example.org>\0"), 0x4 },
		{ FILTER_SAYS("2<a@example.org>\0"), 0x80 },
		{ FILTER_SAYS("-<a@example.org>\0"), 0x8 },
		{ FILTER_SAYS("qbad\0"), 0x20 },
		{ FILTER_SAYS("e<a@example.org>\0"), 0x40 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct milter_filter_rule rules[2] = { { .command = 'E',
		    .frames = {
		    rows[i].frame, FILTER_SAYS("c") } } };

		world.filter.rules = rules;
		world.filter.changes = ALL_CHANGES & ~rows[i].needs;
		expect_failure(milter_world_whole(&world),
		    "has not asked to be allowed");
		again();
		world.filter.rules = rules;
		world.filter.changes = rows[i].needs;
		assert_int_equal(milter_world_whole(&world),
		    MILTER_CONTINUE);
		assert_string_not_equal(milter_world_edits(&world), "");
		again();
		/* Only the end of the message is the time for it. */
		rules[0].command = 'B';
		world.filter.rules = rules;
		world.filter.changes = ALL_CHANGES;
		expect_failure(milter_world_whole(&world), "before its end");
		again();
	}
}

static void test_bad_edits(void **state)
{
	static const struct {
		struct milter_filter_frame	 frame;
		const char		*words;
	} rows[] = {
		{ FILTER_SAYS("h\0y\0"), "proper name" },
		{ FILTER_SAYS("hX y\0y\0"), "proper name" },
		{ FILTER_SAYS("hX:\0y\0"), "proper name" },
		{ FILTER_SAYS("hX\r\nY\0y\0"), "proper name" },
		{ FILTER_SAYS("hX\xc3\xa4\0y\0"), "proper name" },
		{ FILTER_SAYS("hX\0a\nBcc: b\0"), "another one in it" },
		{ FILTER_SAYS("hX\0a\r\nBcc: b\0"), "another one in it" },
		{ FILTER_SAYS("hX\0a\rb\0"), "another one in it" },
		{ FILTER_SAYS("hX\0a\n\n b\0"), "another one in it" },
		{ FILTER_SAYS("hX\0a\r\r\n b\0"), "another one in it" },
		{ FILTER_SAYS("hX\0y"), "cannot be read" },
		{ FILTER_SAYS("hX\0"), "cannot be read" },
		{ FILTER_SAYS("hX\0y\0z\0"), "cannot be read" },
		{ FILTER_SAYS("i\0\0"), "cannot be read" },
		{ FILTER_SAYS("m\0\0\0\1X\0"), "cannot be read" },
		{ FILTER_SAYS("q"), "cannot be read" },
		{ FILTER_SAYS("+\0"), "no address" },
		{ FILTER_SAYS("+<>\0"), "no address" },
		{ FILTER_SAYS("+<a@example.org>\r\nDATA\0"), "no address" },
		{ FILTER_SAYS("-\t\0"), "no address" },
		{ FILTER_SAYS("+<a@example.org>\0X\0"), "cannot be read" },
		{ FILTER_SAYS("2<a@example.org>\0X\nY\0"), "parameters" },
		{ FILTER_SAYS("e<a@example.org>\0X\0Y\0"),
		    "cannot be read" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct milter_filter_rule rules[2] = { { .command = 'E',
		    .frames = {
		    FILTER_SAYS("hX\0y\0"), rows[i].frame,
		    FILTER_SAYS("c") } } };

		world.filter.rules = rules;
		world.filter.changes = ALL_CHANGES;
		expect_failure(milter_world_whole(&world), rows[i].words);
		again();
	}
}

static void test_large_replacement(void **state)
{
	static const struct milter_filter_rule rules[] = { { .command = 'E',
	    .frames = { FILTER_SAYS("b12345"), FILTER_SAYS("b67890"),
		FILTER_SAYS("c") } }, { 0 } };

	(void)state;
	world.filter.rules = rules;
	world.filter.changes = ALL_CHANGES;
	world.settings.replace_max = 10;
	assert_int_equal(milter_world_whole(&world), MILTER_CONTINUE);
	assert_string_equal(milter_world_edits(&world), "b0 |1234567890;");
	again();
	world.filter.rules = rules;
	world.filter.changes = ALL_CHANGES;
	world.settings.replace_max = 9;
	expect_failure(milter_world_whole(&world), "larger than");
}

/* --- spoken out of turn --- */

static void test_unasked(void **state)
{
	static const struct milter_filter_rule twice[] = { { .command = 'M',
	    .frames = { FILTER_SAYS("c"), FILTER_SAYS("c") } }, { 0 } };
	static const struct milter_filter_rule silent[] = { { .command = 'M',
	    .frames = { FILTER_SAYS("c") } }, { 0 } };

	(void)state;
	world.filter.rules = twice;
	assert_int_equal(milter_world_mail(&world), MILTER_CONTINUE);
	milter_world_fail(&world);
	expect_failure(milter_world_recipient(&world, "b@example.org"),
	    "without being asked");
	again();
	world.filter.rules = silent;
	world.filter.steps = 0x4000;	/* it said it would not answer */
	assert_int_equal(milter_world_mail(&world), MILTER_CONTINUE);
	milter_world_fail(&world);
	expect_failure(milter_world_recipient(&world, "b@example.org"),
	    "without being asked");
}

/* It goes away between two questions. */
static void test_gone_between(void **state)
{
	static const struct milter_filter_rule rules[] = { { .command = 'H',
	    .frames = { FILTER_SAYS("c") }, .closes = true }, { 0 } };

	(void)state;
	world.filter.rules = rules;
	assert_int_equal(milter_world_connect(&world), MILTER_CONTINUE);
	assert_int_equal(milter_world_hello(&world), MILTER_CONTINUE);
	milter_world_fail(&world);
	expect_failure(milter_world_mail(&world), "closed the connection");
}

/* --- time --- */

static char progress_at;

static bool progress_holds(int64_t patience)
{
	int64_t started = clock_monotonic();
	enum milter_action action;

	world.filter.progress = patience / 4;
	world.filter.progress_at = progress_at;
	world.settings.reply_ms = patience;
	world.settings.message_ms = 5 * patience;
	action = milter_world_whole(&world);
	if (strstr(world.why, "no answer within") != NULL)
		return false;
	expect_failure(action, "no end after");
	assert_true(clock_monotonic() - started >= 4 * patience);
	return true;
}

static void test_progress(void **state)
{
	static const char commands[] = "ME";

	(void)state;
	for (const char *command = commands; *command != '\0'; command++) {
		progress_at = *command;
		with_patience(progress_holds);
		again();
	}
}

static void test_deaf(void **state)
{
	size_t length = 9 << 20;
	char *body = mem_alloc(length);

	(void)state;
	memset(body, 'x', length);
	milter_world_message(&world, "A: 1\r\n", body, length);
	world.filter.steps = 0xdf080;	/* no answer to anything */
	world.filter.deaf = true;
	world.settings.reply_ms = SHORT_MS;
	expect_failure(milter_world_whole(&world), "has not read for");
	mem_free(body);
}

/* An answer that nobody waits for must come all the same. */
static void test_abandoned_answer(void **state)
{
	static const struct milter_filter_rule rules[] = { { .command = 'R' },
	    { 0 } };

	(void)state;
	world.filter.rules = rules;
	world.settings.reply_ms = SHORT_MS;
	assert_int_equal(milter_world_mail(&world), MILTER_CONTINUE);
	milter_recipient(world.milter, "b@example.org", NULL);
	milter_abort(world.milter);
	milter_world_fail(&world);
	expect_failure(milter_world_mail(&world), "no answer within");
}

static bool answer_comes(int64_t patience)
{
	world.settings.reply_ms = patience;
	if (milter_world_mail(&world) != MILTER_CONTINUE)
		return false;
	milter_recipient(world.milter, "b@example.org", NULL);
	milter_abort(world.milter);
	milter_world_pass(&world, (int)(2 * patience));
	return !milter_has_failed(world.milter) &&
	    milter_world_mail(&world) == MILTER_CONTINUE;
}

/* ... and when it has come, nothing is expected of the filter. */
static void test_abandoned_answer_comes(void **state)
{
	(void)state;
	with_patience(answer_comes);
}

/* Given up in the middle of a body that the filter does not read. */
static void test_abandoned_content(void **state)
{
	size_t length = 3 << 20;
	char *body = mem_alloc(length);

	(void)state;
	memset(body, 'x', length);
	milter_world_message(&world, "A: 1\r\n", body, length);
	world.filter.steps = 0xdf080;
	world.filter.deaf = true;
	assert_int_equal(milter_world_mail(&world), MILTER_CONTINUE);
	milter_content(world.milter, &world.content);
	milter_world_pass(&world, 10);
	milter_abort(world.milter);
	stream_resume(world.filter.stream);
	assert_int_equal(milter_world_mail(&world), MILTER_CONTINUE);
	milter_world_message(&world, "A: 1\r\n", "", 0);
	assert_int_equal(milter_world_content(&world), MILTER_CONTINUE);
	assert_non_null(strstr(milter_filter_told(&world.filter),
	    "B 65535\nA\nDM"));
	mem_free(body);
}

static void test_long_command(void **state)
{
	char *parameter = mem_alloc(70000);
	const char *parameters[] = { parameter, NULL };

	(void)state;
	memset(parameter, 'x', 69999);
	assert_int_equal(milter_world_hello(&world), MILTER_CONTINUE);
	milter_mail(world.milter, "a@example.net", parameters);
	expect_failure(milter_world_run(&world), "too long");
	mem_free(parameter);
}

/* It wants no answers given, and reads nothing. */
static void test_never_reads(void **state)
{
	char *parameter = mem_alloc(60000);
	const char *parameters[] = { parameter, NULL };
	enum milter_action action = MILTER_CONTINUE;

	(void)state;
	memset(parameter, 'x', 59999);
	world.filter.steps = 0xdf080;
	world.filter.deaf = true;
	world.settings.session = 0;
	assert_int_equal(milter_world_mail(&world), MILTER_CONTINUE);
	for (int i = 0; i < 200 && action == MILTER_CONTINUE; i++) {
		milter_recipient(world.milter, "b@example.org", parameters);
		action = milter_world_run(&world);
	}
	expect_failure(action, "does not read");
	mem_free(parameter);
}

static void test_abandoned_connection(void **state)
{
	(void)state;
	milter_world_prepare_milter(&world);
	milter_connected(world.milter, "client.example", NULL);
	milter_abort(world.milter);
	expect_failure(milter_world_hello(&world), "given up");
	again();
	/* A message may be given up: the filter has missed nothing. */
	milter_world_prepare_milter(&world);
	milter_mail(world.milter, "a@example.net", NULL);
	milter_abort(world.milter);
	assert_int_equal(milter_world_hello(&world), MILTER_CONTINUE);
	assert_null(strstr(milter_filter_told(&world.filter), "M<"));
}

static void test_free_while_waiting(void **state)
{
	(void)state;
	world.filter.absent = true;
	milter_world_prepare_milter(&world);
	milter_connected(world.milter, "client.example", NULL);
	milter_free(world.milter);
	world.milter = NULL;
	world.filter.absent = false;
	milter_world_prepare_milter(&world);
	milter_connected(world.milter, "client.example", NULL);
	milter_free(world.milter);
	world.milter = NULL;
	milter_world_pass(&world, 10);
	assert_int_equal(world.answers, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
		TEST(test_refused), TEST(test_absent), TEST(test_addresses),
		TEST(test_silent_listener), TEST(test_options),
		TEST(test_other_options), TEST(test_stages),
		TEST(test_edits_not_agreed), TEST(test_bad_edits),
		TEST(test_large_replacement), TEST(test_unasked),
		TEST(test_gone_between), TEST(test_progress),
		TEST(test_deaf), TEST(test_abandoned_answer),
		TEST(test_abandoned_answer_comes),
		TEST(test_abandoned_content), TEST(test_long_command),
		TEST(test_never_reads), TEST(test_abandoned_connection),
		TEST(test_free_while_waiting),
	};

	milter_world_prepare();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
