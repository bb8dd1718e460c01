/* SPDX-License-Identifier: ISC */
/*
 * smtpd/command.c: what is a line and what is not, at every segmentation.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/buf.h"
#include "smtpd/command.h"

#define TEXT(s) (s), sizeof(s) - 1

struct expected {
	enum command_result	 result;
	const char		*line;
};

static const struct {
	const char	*id;
	const char	*input;
	size_t		 length;
	struct expected	 expected[4];	/* COMMAND_NONE ends it */
} cases[] = {
	{ "SMTP-1 plain", TEXT("NOOP\r\n"), { { COMMAND_LINE, "NOOP" } } },
	{ "SMTP-1 two", TEXT("A\r\nB b\r\n"),
	    { { COMMAND_LINE, "A" }, { COMMAND_LINE, "B b" } } },
	{ "SMTP-1 unfinished", TEXT("NOOP"), { { COMMAND_NONE, NULL } } },
	{ "SMTP-1 CR at the end", TEXT("NOOP\r"), { { COMMAND_NONE, NULL } } },
	{ "SMTP-13 white space", TEXT("NOOP \t \r\n"),
	    { { COMMAND_LINE, "NOOP" } } },
	{ "SMTP-13 only at the end", TEXT(" NOOP\r\n"),
	    { { COMMAND_LINE, " NOOP" } } },
	{ "SMTP-1 empty", TEXT("\r\n"), { { COMMAND_LINE, "" } } },
	{ "SMTP-4 bare LF", TEXT("NOOP\n"), { { COMMAND_BARE, NULL } } },
	{ "SMTP-4 bare LF first", TEXT("\nNOOP\r\n"),
	    { { COMMAND_BARE, NULL } } },
	{ "SMTP-4 bare LF inside", TEXT("NO\nOP\r\n"),
	    { { COMMAND_BARE, NULL } } },
	{ "SMTP-4 bare CR", TEXT("NO\rOP\r\n"), { { COMMAND_BARE, NULL } } },
	{ "SMTP-4 CR CR LF", TEXT("NOOP\r\r\n"), { { COMMAND_BARE, NULL } } },
	{ "SMTP-4 LF CR", TEXT("NOOP\n\r"), { { COMMAND_BARE, NULL } } },
	{ "SMTP-4 second line", TEXT("A\r\nB\n"),
	    { { COMMAND_LINE, "A" }, { COMMAND_BARE, NULL } } },
	{ "SMTP-7 NUL", TEXT("NO\0OP\r\nA\r\n"),
	    { { COMMAND_NUL, NULL }, { COMMAND_LINE, "A" } } },
	{ "SMTP-9 8-bit", TEXT("NO\x80P\r\nA\r\n"),
	    { { COMMAND_8BIT, NULL }, { COMMAND_LINE, "A" } } },
};

/* Feeds text in pieces that end at cut, then at every step bytes. */
static void feed(const char *text, size_t length, size_t cut, size_t step,
    const struct expected *expected)
{
	struct command_splitter splitter;
	enum command_result result = COMMAND_NONE;
	char line[COMMAND_MAX];
	struct buf input;
	size_t at = 0, next = cut;

	command_splitter_init(&splitter);
	buf_init(&input, 1 << 20);
	while (at < length && result != COMMAND_BARE) {
		if (next > length)
			next = length;
		buf_add(&input, text + at, next - at);
		at = next;
		next += step;
		while ((result = command_take(&splitter, &input, line)) !=
		    COMMAND_NONE) {
			assert_int_equal(result, expected->result);
			if (result == COMMAND_LINE)
				assert_string_equal(line, expected->line);
			expected++;
			if (result == COMMAND_BARE)
				break;
		}
	}
	assert_int_equal(expected->result, COMMAND_NONE);
	buf_release(&input);
}

static void test_lines(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		for (size_t cut = 1; cut <= cases[i].length; cut++) {
			feed(cases[i].input, cases[i].length, cut,
			    cases[i].length, cases[i].expected);
			feed(cases[i].input, cases[i].length, cut, 1,
			    cases[i].expected);
		}
}

/* SMTP-22, SMTP-24: the longest line is taken, one byte more is not. */
static void test_length(void **state)
{
	static char text[COMMAND_MAX + 64];
	static char line[COMMAND_MAX];
	struct expected fits[] = { { COMMAND_LINE, line },
	    { COMMAND_NONE, NULL } };
	struct expected long_one[] = { { COMMAND_TOO_LONG, NULL },
	    { COMMAND_LINE, "NOOP" }, { COMMAND_NONE, NULL } };

	(void)state;
	memset(text, 'x', sizeof(text));
	memcpy(text + COMMAND_MAX - 2, "\r\n", 2);
	memset(line, 'x', COMMAND_MAX - 2);
	feed(text, COMMAND_MAX, COMMAND_MAX, 1, fits);
	feed(text, COMMAND_MAX, 1, 1, fits);
	for (size_t more = 1; more < 4; more++) {
		memset(text, 'x', sizeof(text));
		memcpy(text + COMMAND_MAX - 2 + more, "\r\nNOOP\r\n", 8);
		feed(text, COMMAND_MAX + 6 + more, 1, 1, long_one);
		feed(text, COMMAND_MAX + 6 + more, COMMAND_MAX + 6 + more, 1,
		    long_one);
	}
}

/* SMTP-24: an endless line is found out; SMTP-4: its LF may be bare. */
static void test_endless(void **state)
{
	struct command_splitter splitter;
	enum command_result result = COMMAND_NONE;
	char line[COMMAND_MAX], piece[1000];
	struct buf input;
	size_t fed = 0;

	(void)state;
	memset(piece, 'x', sizeof(piece));
	buf_init(&input, 1 << 20);
	command_splitter_init(&splitter);
	while (result == COMMAND_NONE) {
		buf_add(&input, piece, sizeof(piece));
		fed += sizeof(piece);
		result = command_take(&splitter, &input, line);
		assert_true(buf_length(&input) <= COMMAND_MAX);
	}
	assert_int_equal(result, COMMAND_ENDLESS);
	assert_true(fed < COMMAND_SKIP_MAX + COMMAND_MAX + 2000);

	command_splitter_init(&splitter);
	buf_reset(&input);
	for (int i = 0; i < 6; i++)
		buf_add(&input, piece, sizeof(piece));
	assert_int_equal(command_take(&splitter, &input, line), COMMAND_NONE);
	buf_add_string(&input, "\r");
	assert_int_equal(command_take(&splitter, &input, line), COMMAND_NONE);
	buf_add_string(&input, "x\nNOOP\r\n");
	assert_int_equal(command_take(&splitter, &input, line), COMMAND_BARE);
	buf_release(&input);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_length),
		cmocka_unit_test(test_endless),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
