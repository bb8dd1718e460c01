/* SPDX-License-Identifier: ISC */
/*
 * The machine of milter/ with filters that keep the protocol: what they are
 * told, what their answers mean at each stage, what they change, and how
 * messages follow each other on one connection.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/loop.h"
#include "base/mem.h"
#include "tests/unit/milter_world.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { ALL_CHANGES = 0x1ff };

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

/* --- what it is told --- */

static void test_told(void **state)
{
	(void)state;
	assert_int_equal(milter_world_whole(&world), MILTER_CONTINUE);
	assert_string_equal(milter_filter_told(&world.filter),
	    "O\n"
	    "DCj|mx.example.org|{daemon_name}|smtp|_|client [192.0.2.7]|\n"
	    "Cclient.example|4\x10\xe1" "192.0.2.7|\n"
	    "DH{tls_version}|TLSv1.3|\n"
	    "Hclient.example|\n"
	    "DMi|4711|{auth_authen}|bob|{mail_addr}|a@example.net|\n"
	    "M<a@example.net>|SIZE=100|BODY=8BITMIME|\n"
	    "DRi|4711|{rcpt_mailer}|local|\n"
	    "R<b@example.org>|\n"
	    "DTi|4711|{msg_id}|<1@example.net>|\n"
	    "T\n"
	    "LFrom|a@example.net|\n"
	    "LSubject|one/\ttwo|\n"
	    "DNi|4711|{msg_id}|<1@example.net>|\n"
	    "N\n"
	    "B 10\n"
	    "DEi|4711|{msg_id}|<1@example.net>|\n"
	    "E\n");
	assert_string_equal(buf_string(&world.filter.body), "Hello\r\n.\r\n");
	assert_int_equal(world.filter.offered[0], 6);
	assert_int_equal(world.filter.offered[1], 0x1ff);
	assert_int_equal(world.filter.offered[2], 0x301fffff);
	assert_string_equal(milter_world_edits(&world), "");
	milter_free(world.milter);
	world.milter = NULL;
	milter_world_pass(&world, 1000);
	assert_true(world.filter.ended);
	assert_non_null(strstr(milter_filter_told(&world.filter), "E\nQ\n"));
}

static void test_told_spaced(void **state)
{
	(void)state;
	world.filter.steps = 0x100000;
	assert_int_equal(milter_world_whole(&world), MILTER_CONTINUE);
	assert_non_null(strstr(milter_filter_told(&world.filter),
	    "LFrom| a@example.net|\nLSubject|  one/\ttwo|\n"));
}

static void test_macro_lists(void **state)
{
	static const char lists[] = "\0\0\0\0{auth_authen}, {j}\0"
	    "\0\0\0\2\0" "\0\0\0\5{none} i\0";

	(void)state;
	world.filter.changes = ALL_CHANGES;
	world.filter.lists = (struct milter_filter_frame){ lists,
	    sizeof(lists) - 1 };
	assert_int_equal(milter_world_whole(&world), MILTER_CONTINUE);
	assert_non_null(strstr(milter_filter_told(&world.filter),
	    "O\nDC{auth_authen}|bob|j|mx.example.org|\nC"));
	assert_non_null(strstr(milter_filter_told(&world.filter),
	    "Hclient.example|\nM<"));
	assert_non_null(strstr(milter_filter_told(&world.filter),
	    "DEi|4711|\nE"));
}

static void test_client_without_address(void **state)
{
	struct endpoint client;

	(void)state;
	assert_int_equal(milter_world_hello(&world), MILTER_CONTINUE);
	milter_connected(world.milter, "localhost", NULL);
	assert_int_equal(milter_world_run(&world), MILTER_CONTINUE);
	assert_int_equal(endpoint_parse(&client, "2001:db8::1", 25), 0);
	milter_connected(world.milter, "six", &client);
	assert_int_equal(milter_world_run(&world), MILTER_CONTINUE);
	milter_mail(world.milter, "", NULL);
	assert_int_equal(milter_world_run(&world), MILTER_CONTINUE);
	assert_non_null(strstr(milter_filter_told(&world.filter),
	    "Clocalhost|U\n"));
	assert_non_null(strstr(milter_filter_told(&world.filter),
	    "Csix|6|\x19" "2001:db8::1|\n"));
	assert_non_null(strstr(milter_filter_told(&world.filter), "M<>|\n"));
}

/* --- what it does not want --- */

static void test_steps(void **state)
{
	static const struct {
		uint32_t	 version, steps;
		const char	*told;		/* the commands */
	} rows[] = {
		{ 6, 0, "OCHMRTLLNBE" },
		{ 6, 0x1, "OHMRTLLNBE" },
		{ 6, 0x2, "OCMRTLLNBE" },
		{ 6, 0x4, "OCHRTLLNBE" },
		{ 6, 0x8, "OCHMTLLNBE" },
		{ 6, 0x10, "OCHMRTLLNE" },
		{ 6, 0x20, "OCHMRTNBE" },
		{ 6, 0x40, "OCHMRTLLBE" },
		{ 6, 0x200, "OCHMRLLNBE" },
		{ 6, 0x27f, "OE" },
		{ 6, 0x80, "OCHMRTLLNBE" },	/* each one silent */
		{ 6, 0x1000, "OCHMRTLLNBE" },
		{ 6, 0x2000, "OCHMRTLLNBE" },
		{ 6, 0x4000, "OCHMRTLLNBE" },
		{ 6, 0x8000, "OCHMRTLLNBE" },
		{ 6, 0x10000, "OCHMRTLLNBE" },
		{ 6, 0x40000, "OCHMRTLLNBE" },
		{ 6, 0x80000, "OCHMRTLLNBE" },
		{ 6, 0xdf080, "OCHMRTLLNBE" },
		{ 2, 0, "OCHMRLLNBE" },		/* before DATA was there */
		{ 3, 0, "OCHMRLLNBE" },
		{ 4, 0, "OCHMRTLLNBE" },
		{ 5, 0x1, "OHMRTLLNBE" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		char commands[32] = "";
		size_t used = 0;
		const char *at;

		if (i > 0)
			milter_world_init(&world);
		world.filter.version = rows[i].version;
		world.filter.steps = rows[i].steps;
		assert_int_equal(milter_world_whole(&world), MILTER_CONTINUE);
		for (at = milter_filter_told(&world.filter); *at != '\0';
		    at = strchr(at, '\n') + 1)
			if (*at != 'D' && used < sizeof(commands) - 1)
				commands[used++] = *at;
		assert_string_equal(commands, rows[i].told);
		milter_world_release(&world);
		world.milter = NULL;
	}
	milter_world_init(&world);
}

/* --- answers at each stage --- */

static const struct milter_filter_frame frames[] = { FILTER_SAYS("c"),
    FILTER_SAYS("a"), FILTER_SAYS("d"), FILTER_SAYS("r"), FILTER_SAYS("t"),
    FILTER_SAYS("4"), FILTER_SAYS("f"),
    FILTER_SAYS("y550 5.7.1 100%% no\0"), FILTER_SAYS("y450 4.7.1 later\0"),
    FILTER_SAYS("y421 4.7.0 go\0"), FILTER_SAYS("s") };

static const enum milter_action meanings[] = { MILTER_CONTINUE, MILTER_ACCEPT,
    MILTER_DISCARD, MILTER_REJECT, MILTER_TEMPFAIL, MILTER_SHUTDOWN,
    MILTER_SHUTDOWN, MILTER_REJECT, MILTER_TEMPFAIL, MILTER_SHUTDOWN,
    MILTER_CONTINUE };

static const char *const texts[] = { "", "", "", "", "", "", "", "100% no",
    "later", "go", "" };

static enum milter_action expected(char command, size_t i)
{
	if (frames[i].bytes[0] == 's' && strchr("RLB", command) == NULL)
		return MILTER_FAILED;
	if (frames[i].bytes[0] == 'd' && strchr("CH", command) != NULL)
		return MILTER_FAILED;
	return meanings[i];
}

static void test_answers(void **state)
{
	static const char commands[] = "CHMRTLNBE";

	(void)state;
	for (const char *command = commands; *command != '\0'; command++)
		for (size_t i = 0; i < COUNT(frames); i++) {
			struct milter_filter_rule rules[2] = { {
			    .command = *command, .frames = { frames[i] } } };
			enum milter_action wanted = expected(*command, i);

			world.filter.rules = rules;
			assert_int_equal(milter_world_whole(&world), wanted);
			assert_string_equal(world.text,
			    wanted == MILTER_FAILED ? "" : texts[i]);
			assert_int_equal(world.code, texts[i][0] == '\0' ? 0 :
			    (int)strtol(frames[i].bytes + 1, NULL, 10));
			assert_int_equal(milter_has_failed(world.milter),
			    wanted == MILTER_FAILED);
			milter_world_release(&world);
			world.milter = NULL;
			milter_world_init(&world);
		}
}

/* Nothing more is asked; the last line is an ABORT where one is due. */
static void expect_quiet(enum milter_action wanted)
{
	size_t before = buf_length(&world.filter.told);

	assert_int_equal(milter_world_recipient(&world, "c@example.org"),
	    wanted);
	assert_int_equal(milter_world_data(&world), wanted);
	assert_int_equal(milter_world_content(&world), wanted);
	assert_int_equal(buf_length(&world.filter.told), before);
	assert_string_equal(world.text, "");
}

static void test_accepted_session(void **state)
{
	static const struct milter_filter_rule rules[] = { { .command = 'C',
	    .frames = { FILTER_SAYS("a") } }, { 0 } };

	(void)state;
	world.filter.rules = rules;
	assert_int_equal(milter_world_connect(&world), MILTER_ACCEPT);
	assert_int_equal(milter_world_hello(&world), MILTER_CONTINUE);
	assert_int_equal(milter_world_mail(&world), MILTER_CONTINUE);
	expect_quiet(MILTER_CONTINUE);
	milter_abort(world.milter);
	assert_int_equal(milter_world_mail(&world), MILTER_CONTINUE);
	expect_quiet(MILTER_CONTINUE);
}

static void test_refused_session(void **state)
{
	static const struct milter_filter_rule rules[] = { { .command = 'C',
	    .frames = { FILTER_SAYS("y554 5.7.0 no\0") } }, { 0 } };

	(void)state;
	world.filter.rules = rules;
	assert_int_equal(milter_world_connect(&world), MILTER_REJECT);
	assert_string_equal(world.text, "no");
	assert_string_equal(world.enhanced, "5.7.0");
	assert_int_equal(world.code, 554);
	assert_int_equal(milter_world_hello(&world), MILTER_REJECT);
	assert_int_equal(world.code, 0);
	assert_int_equal(milter_world_mail(&world), MILTER_REJECT);
	expect_quiet(MILTER_REJECT);
}

/* A verdict on a message ends with the message. */
static void test_message_verdicts(void **state)
{
	static const struct {
		struct milter_filter_rule	 rules[2];
		enum milter_action	 action, later;
	} rows[] = {
		{ { { .command = 'M', .nth = 1,
		    .frames = { FILTER_SAYS("a") } } },
		    MILTER_ACCEPT, MILTER_CONTINUE },
		{ { { .command = 'M', .nth = 1,
		    .frames = { FILTER_SAYS("d") } } },
		    MILTER_DISCARD, MILTER_DISCARD },
		{ { { .command = 'M', .nth = 1,
		    .frames = { FILTER_SAYS("r") } } },
		    MILTER_REJECT, MILTER_REJECT },
		{ { { .command = 'M', .nth = 1,
		    .frames = { FILTER_SAYS("t") } } },
		    MILTER_TEMPFAIL, MILTER_TEMPFAIL },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		world.filter.rules = rows[i].rules;
		assert_int_equal(milter_world_connect(&world),
		    MILTER_CONTINUE);
		assert_int_equal(milter_world_mail(&world), rows[i].action);
		expect_quiet(rows[i].later);
		milter_abort(world.milter);
		assert_int_equal(milter_world_mail(&world), MILTER_CONTINUE);
		assert_int_equal(milter_world_content(&world),
		    MILTER_CONTINUE);
		assert_non_null(strstr(milter_filter_told(&world.filter),
		    "BODY=8BITMIME|\nA\nDM"));
		milter_world_release(&world);
		world.milter = NULL;
		milter_world_init(&world);
	}
}

/* A verdict on a recipient is of that recipient. */
static void test_recipients(void **state)
{
	static const struct milter_filter_rule rules[] = {
		{ .command = 'R', .nth = 1, .frames = { FILTER_SAYS("r") } },
		{ .command = 'R', .nth = 2, .frames = { FILTER_SAYS("t") } },
		{ .command = 'R', .nth = 3, .frames = { FILTER_SAYS("c") } },
		{ .command = 'R', .nth = 4, .frames = { FILTER_SAYS("s") } },
		{ 0 } };

	(void)state;
	world.filter.rules = rules;
	assert_int_equal(milter_world_mail(&world), MILTER_CONTINUE);
	assert_int_equal(milter_world_recipient(&world, "1@example.org"),
	    MILTER_REJECT);
	assert_int_equal(milter_world_recipient(&world, "2@example.org"),
	    MILTER_TEMPFAIL);
	assert_int_equal(milter_world_recipient(&world, "3@example.org"),
	    MILTER_CONTINUE);
	assert_int_equal(milter_world_recipient(&world, "4@example.org"),
	    MILTER_CONTINUE);
	assert_int_equal(milter_world_recipient(&world, "5@example.org"),
	    MILTER_CONTINUE);
	assert_int_equal(milter_world_content(&world), MILTER_CONTINUE);
	assert_null(strstr(milter_filter_told(&world.filter), "5@example.org"));
	milter_abort(world.milter);
	assert_int_equal(milter_world_mail(&world), MILTER_CONTINUE);
	assert_int_equal(milter_world_recipient(&world, "6@example.org"),
	    MILTER_CONTINUE);
	assert_non_null(strstr(milter_filter_told(&world.filter),
	    "6@example.org"));
	/* The message had been answered for: nothing to abort. */
	assert_null(strstr(milter_filter_told(&world.filter), "\nA\n"));
}

static void test_recipient_ends_message(void **state)
{
	static const struct milter_filter_rule rules[] = { { .command = 'R',
	    .frames = { FILTER_SAYS("d") } }, { 0 } };

	(void)state;
	world.filter.rules = rules;
	assert_int_equal(milter_world_mail(&world), MILTER_CONTINUE);
	assert_int_equal(milter_world_recipient(&world, "1@example.org"),
	    MILTER_DISCARD);
	expect_quiet(MILTER_DISCARD);
}

static void test_refused_recipients(void **state)
{
	static const struct milter_filter_rule rules[] = { { .command = 'R',
	    .nth = 1, .frames = { FILTER_SAYS("r") } }, { 0 } };

	(void)state;
	world.filter.steps = 0x800;
	world.filter.rules = rules;
	assert_int_equal(milter_world_mail(&world), MILTER_CONTINUE);
	milter_refused(world.milter, "x@example.org", NULL);
	assert_int_equal(milter_world_recipient(&world, "b@example.org"),
	    MILTER_CONTINUE);
	assert_non_null(strstr(milter_filter_told(&world.filter),
	    "R<x@example.org>|\nDR"));
}

static void test_refused_recipients_unwanted(void **state)
{
	(void)state;
	assert_int_equal(milter_world_mail(&world), MILTER_CONTINUE);
	milter_refused(world.milter, "x@example.org", NULL);
	assert_int_equal(milter_world_recipient(&world, "b@example.org"),
	    MILTER_CONTINUE);
	assert_null(strstr(milter_filter_told(&world.filter), "x@example.org"));
}

static void test_skip(void **state)
{
	static const struct milter_filter_rule rules[] = {
		{ .command = 'L', .nth = 1, .frames = { FILTER_SAYS("s") } },
		{ .command = 'B', .nth = 2, .frames = { FILTER_SAYS("s") } },
		{ 0 } };
	char *body = mem_alloc(5 << 16);

	(void)state;
	memset(body, 'x', 5 << 16);
	milter_world_message(&world, "A: 1\r\nB: 2\r\nC: 3\r\n", body, 5 << 16);
	world.filter.rules = rules;
	assert_int_equal(milter_world_whole(&world), MILTER_CONTINUE);
	assert_non_null(strstr(milter_filter_told(&world.filter),
	    "T\nLA|1|\nDN"));
	assert_non_null(strstr(milter_filter_told(&world.filter),
	    "B 65535\nB 65535\nDE"));
	mem_free(body);
}

/* --- edits --- */

static void test_edits(void **state)
{
	static const struct milter_filter_rule rules[] = {
		{ .command = 'E', .nth = 1, .frames = {
		    FILTER_SAYS("hX-One\0" "1\n\tmore\n\0"),
		    FILTER_SAYS("i\0\0\0\1X-Two\0" "2\0"),
		    FILTER_SAYS("p"),
		    FILTER_SAYS("m\0\0\0\2Subject\0new\r\n folded\0"),
		    FILTER_SAYS("m\0\0\0\0X-Gone\0\0"),
		    FILTER_SAYS("e<c@example.net>\0SIZE=5\0"),
		    FILTER_SAYS("+<d@example.org>\0"),
		    FILTER_SAYS("c") } },
		{ .command = 'E', .nth = 2, .frames = {
		    FILTER_SAYS("2<e@example.org>\0NOTIFY=NEVER\0"),
		    FILTER_SAYS("-b@example.org\0"),
		    FILTER_SAYS("bnew "),
		    FILTER_SAYS("qvirus\0"),
		    FILTER_SAYS("bbody\r\n"),
		    FILTER_SAYS("e<>\0"),
		    FILTER_SAYS("a") } },
		{ .command = 'E', .nth = 3, .frames = {
		    FILTER_SAYS("hX-One\0" "1\0"), FILTER_SAYS("r") } },
		{ 0 } };
	const struct milter_edit *edit;

	(void)state;
	world.filter.changes = ALL_CHANGES;
	world.filter.rules = rules;
	assert_int_equal(milter_world_whole(&world), MILTER_CONTINUE);
	assert_string_equal(milter_world_edits(&world),
	    "h0 X-One| 1\r\n\tmore;i1 X-Two| 2;"
	    "m2 Subject| new\r\n folded;m1 X-Gone|;"
	    "f0 c@example.net|SIZE=5;+0 d@example.org|-;");
	milter_abort(world.milter);
	assert_string_equal(milter_world_edits(&world), "");
	assert_int_equal(milter_world_mail(&world), MILTER_CONTINUE);
	assert_int_equal(milter_world_content(&world), MILTER_ACCEPT);
	assert_string_equal(milter_world_edits(&world),
	    "+0 e@example.org|NOTIFY=NEVER;-0 b@example.org|-;"
	    "b0 |new body\r\n;q0 |virus;f0 |-;");
	TAILQ_FOREACH(edit, milter_edits(world.milter), link)
		if (edit->kind == MILTER_REPLACE_BODY)
			assert_int_equal(edit->length, 10);
	assert_int_equal(milter_world_mail(&world), MILTER_CONTINUE);
	assert_string_equal(milter_world_edits(&world), "");
	/* One who refuses changes nothing. */
	assert_int_equal(milter_world_content(&world), MILTER_REJECT);
	assert_string_equal(milter_world_edits(&world), "");
}

static void test_edits_spaced(void **state)
{
	static const struct milter_filter_rule rules[] = { { .command = 'E',
	    .frames = { FILTER_SAYS("hX-One\0 1\0"), FILTER_SAYS("hX-Two\0"
		"2\0"), FILTER_SAYS("c") } }, { 0 } };

	(void)state;
	world.filter.changes = ALL_CHANGES;
	world.filter.steps = 0x100000;
	world.filter.rules = rules;
	assert_int_equal(milter_world_whole(&world), MILTER_CONTINUE);
	assert_string_equal(milter_world_edits(&world),
	    "h0 X-One| 1;h0 X-Two|2;");
}

static void test_empty_body(void **state)
{
	static const struct milter_filter_rule rules[] = { { .command = 'E',
	    .frames = { FILTER_SAYS("b"), FILTER_SAYS("c") } }, { 0 } };

	(void)state;
	world.filter.changes = ALL_CHANGES;
	world.filter.rules = rules;
	assert_int_equal(milter_world_whole(&world), MILTER_CONTINUE);
	assert_string_equal(milter_world_edits(&world), "b0 |;");
}

/* The answer was whole: what becomes of the connection does not matter. */
static void test_edits_outlive_connection(void **state)
{
	static const struct milter_filter_rule rules[] = { { .command = 'E',
	    .frames = { FILTER_SAYS("hX-One\0" "1\0"), FILTER_SAYS("c") },
	    .closes = true }, { 0 } };

	(void)state;
	world.filter.changes = ALL_CHANGES;
	world.filter.rules = rules;
	assert_int_equal(milter_world_whole(&world), MILTER_CONTINUE);
	milter_world_fail(&world);
	assert_string_equal(milter_world_edits(&world), "h0 X-One| 1;");
	milter_abort(world.milter);
	assert_int_equal(milter_world_mail(&world), MILTER_FAILED);
}

/* --- large things --- */

static void test_large_body(void **state)
{
	static const struct { uint32_t steps; const char *first; } rows[] = {
		{ 0, "B 65535\nB 65535\n" },
		{ 0x80000, "B 65535\nB 65535\n" },
		{ 0x10000000, "B 262143\nB 262143\n" },
		{ 0x20000000, "B 1048575\nB 1048575\n" },
		{ 0x30080000, "B 1048575\nB 1048575\n" },
	};
	size_t length = 5 << 19;
	char *body = mem_alloc(length);

	(void)state;
	for (size_t i = 0; i < length; i++)
		body[i] = (char)('a' + i % 26 + i / 100000 % 2);
	for (size_t i = 0; i < COUNT(rows); i++) {
		world.filter.steps = rows[i].steps;
		world.piece = 10007;
		milter_world_message(&world, "A: 1\r\n", body, length);
		assert_int_equal(milter_world_whole(&world), MILTER_CONTINUE);
		assert_int_equal(buf_length(&world.filter.body), length);
		assert_memory_equal(buf_data(&world.filter.body), body,
		    length);
		assert_non_null(strstr(milter_filter_told(&world.filter),
		    rows[i].first));
		milter_world_release(&world);
		world.milter = NULL;
		milter_world_init(&world);
	}
	mem_free(body);
}

static void test_long_field(void **state)
{
	char *header = mem_alloc(100000);
	const char *line;

	(void)state;
	memset(header, 'x', 99000);
	memcpy(header, "Long: ", 6);
	memcpy(header + 99000, "\r\nno field at all\r\nB: 2\r\n", 26);
	milter_world_message(&world, header, "", 0);
	assert_int_equal(milter_world_whole(&world), MILTER_CONTINUE);
	line = strstr(milter_filter_told(&world.filter), "\nLLong|");
	assert_non_null(line);
	/* Cut to what fits; a line that is no field is not said. */
	assert_int_equal(strcspn(line + 1, "\n"), 65536);
	assert_memory_equal(line + 1 + 65536, "\nLB|2|\n", 7);
	/* No body, no chunk. */
	assert_null(strstr(milter_filter_told(&world.filter), "\nB 0"));
	mem_free(header);
}

/* --- order --- */

static void test_byte_by_byte(void **state)
{
	static const struct milter_filter_rule rules[] = { { .command = 'E',
	    .frames = { FILTER_SAYS("p"), FILTER_SAYS("hX-One\0" "1\0"),
		FILTER_SAYS("y550-5.7.1 a\r\n550 5.7.1 b\0") } }, { 0 } };

	(void)state;
	world.filter.changes = ALL_CHANGES;
	world.filter.trickles = true;
	world.filter.rules = rules;
	assert_int_equal(milter_world_whole(&world), MILTER_REJECT);
	assert_string_equal(world.text, "a\nb");
}

/* What was asked when the message ended is answered to nobody. */
static void test_abort_while_asked(void **state)
{
	static const struct milter_filter_rule rules[] = {
		{ .command = 'R', .nth = 1, .frames = { FILTER_SAYS("r") } },
		{ .command = 'E', .nth = 1, .frames = { FILTER_SAYS("hX\0y\0"),
		    FILTER_SAYS("p"), FILTER_SAYS("d") } },
		{ 0 } };
	unsigned answers;

	(void)state;
	world.filter.changes = ALL_CHANGES;
	world.filter.steps = 0x77;	/* RCPT and E only */
	world.filter.rules = rules;
	assert_int_equal(milter_world_mail(&world), MILTER_CONTINUE);
	answers = world.answers;
	milter_recipient(world.milter, "1@example.org", NULL);
	milter_abort(world.milter);
	assert_int_equal(world.answers, answers);
	assert_int_equal(milter_world_mail(&world), MILTER_CONTINUE);
	assert_int_equal(milter_world_recipient(&world, "2@example.org"),
	    MILTER_CONTINUE);
	milter_content(world.milter, &world.content);
	milter_abort(world.milter);
	assert_int_equal(milter_world_mail(&world), MILTER_CONTINUE);
	assert_int_equal(milter_world_recipient(&world, "3@example.org"),
	    MILTER_CONTINUE);
	assert_int_equal(milter_world_content(&world), MILTER_CONTINUE);
	assert_string_equal(milter_world_edits(&world), "");
	assert_non_null(strstr(milter_filter_told(&world.filter),
	    "R<1@example.org>|\nA\nDRi"));
}

static void test_mail_aborts(void **state)
{
	(void)state;
	assert_int_equal(milter_world_mail(&world), MILTER_CONTINUE);
	assert_int_equal(milter_world_mail(&world), MILTER_CONTINUE);
	assert_non_null(strstr(milter_filter_told(&world.filter), "|\nA\nDM"));
}

static void test_free_at_any_time(void **state)
{
	(void)state;
	/* before anything, */
	milter_free(NULL);
	world.milter = milter_new(&world.settings, NULL, NULL, NULL);
	milter_abort(world.milter);
	assert_false(milter_has_failed(world.milter));
	milter_free(world.milter);
	world.milter = NULL;
	/* while it connects, and when it has an answer to give */
	assert_int_equal(milter_world_mail(&world), MILTER_CONTINUE);
	milter_free(world.milter);
	world.milter = NULL;
	assert_int_equal(world.filter.connections, 1);
	milter_world_pass(&world, 1000);
	assert_true(world.filter.ended);
}

static void say_hello(struct milter_world *one)
{
	milter_hello(one->milter, "within");
}

static void free_now(struct milter_world *one)
{
	milter_free(one->milter);
	one->milter = NULL;
	one->answers++;		/* there will be no other */
	loop_stop();
}

/* done may ask on, and may end everything, also with words in its hands. */
static void test_within_done(void **state)
{
	static const struct milter_filter_rule rules[] = { { .command = 'M',
	    .frames = { FILTER_SAYS("y550 5.7.1 no\0") } }, { 0 } };

	(void)state;
	world.filter.rules = rules;
	world.react = say_hello;
	assert_int_equal(milter_world_connect(&world), MILTER_CONTINUE);
	assert_non_null(strstr(milter_filter_told(&world.filter),
	    "Hwithin|\n"));
	world.react = free_now;
	assert_int_equal(milter_world_mail(&world), MILTER_REJECT);
	assert_string_equal(world.text, "no");
	assert_null(world.milter);
}

/* The same when it has failed. */
static void test_free_within_failure(void **state)
{
	static const struct milter_filter_rule rules[] = { { .command = 'M',
	    .closes = true }, { 0 } };

	(void)state;
	world.filter.rules = rules;
	assert_int_equal(milter_world_hello(&world), MILTER_CONTINUE);
	world.react = free_now;
	assert_int_equal(milter_world_mail(&world), MILTER_FAILED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
		TEST(test_told), TEST(test_told_spaced),
		TEST(test_macro_lists), TEST(test_client_without_address),
		TEST(test_steps), TEST(test_answers),
		TEST(test_accepted_session), TEST(test_refused_session),
		TEST(test_message_verdicts), TEST(test_recipients),
		TEST(test_recipient_ends_message),
		TEST(test_refused_recipients),
		TEST(test_refused_recipients_unwanted), TEST(test_skip),
		TEST(test_edits), TEST(test_edits_spaced),
		TEST(test_empty_body), TEST(test_edits_outlive_connection),
		TEST(test_large_body), TEST(test_long_field),
		TEST(test_byte_by_byte), TEST(test_abort_while_asked),
		TEST(test_mail_aborts), TEST(test_free_at_any_time),
		TEST(test_within_done), TEST(test_free_within_failure),
	};

	milter_world_prepare();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
