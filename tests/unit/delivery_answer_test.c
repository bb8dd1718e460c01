/* SPDX-License-Identifier: ISC */
/*
 * delivery/answer.c: replies of servers, whole, in pieces, and hostile.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/mem.h"
#include "delivery/answer.h"

static const struct answer_case {
	const char		*id;
	const char		*input;
	enum answer_progress	 progress;
	int			 code;
	const char		*text;
	size_t			 left;	/* bytes that belong to the next */
} cases[] = {
	{ "SMTP-32", "250 ok\r\n", ANSWER_READY, 250, "ok\n", 0 },
	{ "SMTP-35 bare code", "250\r\n", ANSWER_READY, 250, "\n", 0 },
	{ "SMTP-35 no text", "250 \r\n", ANSWER_READY, 250, "\n", 0 },
	{ "SMTP-35 unknown code", "299 x\r\n", ANSWER_READY, 299, "x\n", 0 },
	{ "lines", "250-a\r\n250-b\r\n250 c\r\n", ANSWER_READY, 250,
	    "a\nb\nc\n", 0 },
	{ "empty middle", "250-\r\n250-b\r\n250\r\n", ANSWER_READY, 250,
	    "\nb\n\n", 0 },
	{ "next one stays", "250 a\r\n550 b\r\n", ANSWER_READY, 250, "a\n",
	    7 },
	{ "354", "354 go\r\n", ANSWER_READY, 354, "go\n", 0 },
	{ "nothing yet", "", ANSWER_MORE, 0, "", 0 },
	{ "half a line", "250-si", ANSWER_MORE, 0, "", 6 },
	{ "half a reply", "250-size\r\n25", ANSWER_MORE, 250, "size\n", 2 },
	{ "CR only", "250 a\r", ANSWER_MORE, 0, "", 6 },
	{ "SMTP-1 bare LF", "250 ok\n", ANSWER_BAD, 0, "", 7 },
	{ "SMTP-1 bare LF inside", "250-a\n250 b\r\n", ANSWER_BAD, 0, "",
	    13 },
	{ "empty line", "\r\n", ANSWER_BAD, 0, "", 0 },
	{ "only LF", "\n", ANSWER_BAD, 0, "", 1 },
	{ "SMTP-36 1xx", "150 x\r\n", ANSWER_BAD, 0, "", 0 },
	{ "SMTP-36 6xx", "650 x\r\n", ANSWER_BAD, 0, "", 0 },
	{ "SMTP-36 0xx", "050 x\r\n", ANSWER_BAD, 0, "", 0 },
	{ "letters", "2x0 x\r\n", ANSWER_BAD, 0, "", 0 },
	{ "two digits", "25 x\r\n", ANSWER_BAD, 0, "", 0 },
	{ "four digits", "2500 x\r\n", ANSWER_BAD, 0, "", 0 },
	{ "wrong separator", "250_x\r\n", ANSWER_BAD, 0, "", 0 },
	{ "SMTP-32 mixed codes", "250-a\r\n550 b\r\n", ANSWER_BAD, 250,
	    "a\n", 0 },
	{ "control bytes", "250 a\tb\x01\x7f\xc3\xa9\rc\r\n", ANSWER_READY,
	    250, "a b???? c\n", 0 },
};

static void table(void **state)
{
	struct answer answer;
	struct buf input;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		answer_init(&answer);
		buf_init(&input, 65536);
		buf_add_string(&input, cases[i].input);
		if (answer_read(&answer, &input) != cases[i].progress ||
		    answer.code != cases[i].code ||
		    strcmp(answer_text(&answer), cases[i].text) != 0 ||
		    buf_length(&input) != cases[i].left)
			fail_msg("%s: code %d, text \"%s\", left %zu",
			    cases[i].id, answer.code, answer_text(&answer),
			    buf_length(&input));
		if (cases[i].progress == ANSWER_BAD)
			assert_non_null(answer.problem);
		buf_release(&input);
		answer_release(&answer);
	}
}

/* Cut at every byte, the result is the same. */
static void truncation(void **state)
{
	static const char text[] = "250-mx\r\n250-SIZE 10\r\n250 DSN\r\n";
	struct answer answer;
	struct buf input;
	size_t cut;

	(void)state;
	for (cut = 0; cut < sizeof(text) - 1; cut++) {
		answer_init(&answer);
		buf_init(&input, 65536);
		buf_add(&input, text, cut);
		assert_int_equal(answer_read(&answer, &input), ANSWER_MORE);
		buf_add_string(&input, text + cut);
		assert_int_equal(answer_read(&answer, &input), ANSWER_READY);
		assert_string_equal(answer_text(&answer),
		    "mx\nSIZE 10\nDSN\n");
		assert_int_equal(answer.line_count, 3);
		buf_release(&input);
		answer_release(&answer);
	}
}

/* A NUL byte ends nothing. */
static void nul_byte(void **state)
{
	struct answer answer;
	struct buf input;

	(void)state;
	answer_init(&answer);
	buf_init(&input, 100);
	buf_add(&input, "250 a\0b\r\n", 9);
	assert_int_equal(answer_read(&answer, &input), ANSWER_READY);
	assert_string_equal(answer_text(&answer), "a?b\n");
	buf_release(&input);
	answer_release(&answer);
}

/* SMTP-36: floods are broken off. */
static void endless_line(void **state)
{
	struct answer answer;
	struct buf input;
	char *line = mem_alloc(ANSWER_LINE_MAX + 2);

	(void)state;
	memset(line, 'x', ANSWER_LINE_MAX + 1);
	memcpy(line, "250 ", 4);
	answer_init(&answer);
	buf_init(&input, 65536);
	buf_add(&input, line, ANSWER_LINE_MAX);
	assert_int_equal(answer_read(&answer, &input), ANSWER_MORE);
	buf_add(&input, "x", 1);
	assert_int_equal(answer_read(&answer, &input), ANSWER_BAD);
	buf_release(&input);
	answer_release(&answer);
	mem_free(line);
}

static void endless_reply(void **state)
{
	enum answer_progress progress = ANSWER_MORE;
	struct answer answer;
	struct buf input;
	int lines;

	(void)state;
	answer_init(&answer);
	buf_init(&input, 65536);
	for (lines = 0; progress == ANSWER_MORE && lines < 10000; lines++) {
		buf_add_string(&input, "250-more and more and more\r\n");
		progress = answer_read(&answer, &input);
	}
	assert_int_equal(progress, ANSWER_BAD);
	assert_int_equal(lines, ANSWER_LINES_MAX + 1);
	buf_release(&input);
	answer_release(&answer);
}

/* Text beyond the bound is left out, the reply is whole all the same. */
static void much_text(void **state)
{
	char *line = mem_alloc(1200);
	struct answer answer;
	struct buf input;
	int i;

	(void)state;
	memset(line, 'y', 1100);
	memcpy(line, "250-", 4);
	memcpy(line + 1098, "\r\n", 3);
	answer_init(&answer);
	buf_init(&input, 65536);
	for (i = 0; i < 20; i++)
		buf_add_string(&input, line);
	buf_add_string(&input, "250 end\r\n");
	assert_int_equal(answer_read(&answer, &input), ANSWER_READY);
	assert_true(strlen(answer_text(&answer)) <= ANSWER_TEXT_MAX);
	assert_non_null(strstr(answer_text(&answer), "\nend\n"));
	buf_release(&input);
	answer_release(&answer);
	mem_free(line);
}

/* TLS-31: half a reply is forgotten at the upgrade. */
static void reset(void **state)
{
	struct answer answer;
	struct buf input;

	(void)state;
	answer_init(&answer);
	buf_init(&input, 100);
	buf_add_string(&input, "250-evil\r\n");
	assert_int_equal(answer_read(&answer, &input), ANSWER_MORE);
	answer_reset(&answer);
	buf_add_string(&input, "220 good\r\n");
	assert_int_equal(answer_read(&answer, &input), ANSWER_READY);
	assert_int_equal(answer.code, 220);
	assert_int_equal(answer_class(&answer), 2);
	assert_string_equal(answer_text(&answer), "good\n");
	buf_release(&input);
	answer_release(&answer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(table),
		cmocka_unit_test(truncation),
		cmocka_unit_test(nul_byte),
		cmocka_unit_test(endless_line),
		cmocka_unit_test(endless_reply),
		cmocka_unit_test(much_text),
		cmocka_unit_test(reset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
