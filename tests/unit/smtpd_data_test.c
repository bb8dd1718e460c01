/* SPDX-License-Identifier: ISC */
/*
 * smtpd/data.c: every smuggling sequence at every segmentation, and a property:
 * whatever the bytes and however they are cut, the reader says the same as a
 * plain reading of the whole text (written below after RFC 5321, not after
 * data.c).
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "smtpd/data.h"

#define TEXT(s) (s), sizeof(s) - 1

enum { OUT_MAX = 4096, MAX_LINE = 1000 };

struct result {
	char			 out[OUT_MAX];
	size_t			 length;
	size_t			 used;
	bool			 ended;
	enum data_problem	 problem;
};

/* Reads text in pieces of step bytes, the first of cut; room per call. */
static void read_pieces(struct result *result, const char *text, size_t length,
    unsigned flags, size_t cut, size_t step, size_t room)
{
	struct data_reader reader;
	char out[OUT_MAX];
	size_t at = 0, end = cut, used, made;

	memset(result, 0, sizeof(*result));
	data_reader_init(&reader, flags, MAX_LINE);
	while (at < length && reader.state != DATA_ENDED) {
		if (end > length)
			end = length;
		used = data_read(&reader, text + at, end - at, out, room,
		    &made);
		assert_true(used <= end - at && made <= room);
		assert_true(used > 0);
		memcpy(result->out + result->length, out, made);
		result->length += made;
		at += used;
		if (at == end)
			end += step;
	}
	result->used = at;
	result->ended = reader.state == DATA_ENDED;
	result->problem = reader.problem;
}

static const struct {
	const char		*id;
	const char		*text;
	size_t			 length;
	bool			 ended;
	enum data_problem	 problem;
	const char		*out;	/* only without a problem */
	size_t			 out_length;
} cases[] = {
	{ "SMTP-2 end", TEXT("a\r\n.\r\n"), true, DATA_FINE, TEXT("a\r\n") },
	{ "SMTP-2 empty", TEXT(".\r\n"), true, DATA_FINE, TEXT("") },
	{ "SMTP-2 LF.LF", TEXT("a\n.\n"), false, DATA_BARE_LF, TEXT("") },
	{ "SMTP-2 LF.CRLF", TEXT("a\n.\r\n"), false, DATA_BARE_LF, TEXT("") },
	{ "SMTP-2 CRLF.LF", TEXT("a\r\n.\n"), false, DATA_BARE_LF, TEXT("") },
	{ "SMTP-2 CR.CR", TEXT("a\r.\r"), false, DATA_BARE_CR, TEXT("") },
	{ "SMTP-2 CRLF.CR", TEXT("a\r\n.\rx"), false, DATA_BARE_CR, TEXT("") },
	{ "SMTP-2 CR.CRLF", TEXT("a\r.\r\n"), false, DATA_BARE_CR, TEXT("") },
	{ "SMTP-2 LF.CR", TEXT("a\n.\r"), false, DATA_BARE_LF, TEXT("") },
	{ "SMTP-2 CRLF.NUL CRLF", TEXT("a\r\n.\0\r\n"), false, DATA_NUL,
	    TEXT("") },
	{ "SMTP-2 CRLF NUL.CRLF", TEXT("a\r\n\0.\r\n"), false, DATA_NUL,
	    TEXT("") },
	{ "SMTP-2 CRLF.CR NUL LF", TEXT("a\r\n.\r\0\n"), false, DATA_BARE_CR,
	    TEXT("") },
	{ "SMTP-2 CR.LF", TEXT("a\r.\n"), false, DATA_BARE_CR, TEXT("") },
	{ "SMTP-2 CRCRLF.LF", TEXT("a\r\r\n.\n"), false, DATA_BARE_CR,
	    TEXT("") },
	{ "SMTP-2 CRLF.CRCRLF", TEXT("a\r\n.\r\r\n"), false, DATA_BARE_CR,
	    TEXT("") },
	{ "SMTP-2 LF CR.CRLF", TEXT("a\n\r.\r\n"), false, DATA_BARE_LF,
	    TEXT("") },
	{ "SMTP-2 .LF at the start", TEXT(".\n"), false, DATA_BARE_LF,
	    TEXT("") },
	{ "SMTP-2 true end behind a false one", TEXT("a\n.\n\r\n.\r\nQUIT"),
	    true, DATA_BARE_LF, TEXT("") },
	{ "SMTP-59 dots", TEXT("..\r\n...\r\n.a\r\n.\r\n"), true, DATA_FINE,
	    TEXT(".\r\n..\r\na\r\n") },
	{ "SMTP-100 bits", TEXT("\x01\x7f\x80\xff\r\n.\r\n"), true, DATA_FINE,
	    TEXT("\x01\x7f\x80\xff\r\n") },
	{ "SMTP-87 rest is left", TEXT("a\r\n.\r\nQUIT\r\n"), true, DATA_FINE,
	    TEXT("a\r\n") },
	{ "SMTP-2 unfinished", TEXT("a\r\n.\r"), false, DATA_FINE,
	    TEXT("a\r\n") },
};

static void check_case(size_t i, size_t cut, size_t step, size_t room)
{
	struct result result;

	read_pieces(&result, cases[i].text, cases[i].length, DATA_DOTS, cut,
	    step, room);
	if (result.ended != cases[i].ended ||
	    result.problem != cases[i].problem)
		fail_msg("%s: ended %d, problem %d", cases[i].id, result.ended,
		    result.problem);
	if (cases[i].problem != DATA_FINE)
		return;
	assert_int_equal(result.length, cases[i].out_length);
	assert_memory_equal(result.out, cases[i].out, result.length);
}

static void test_cases(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		for (size_t cut = 1; cut <= cases[i].length; cut++)
			for (size_t room = DATA_ROOM_MIN; room < 8; room++) {
				check_case(i, cut, cases[i].length, room);
				check_case(i, cut, 1, room);
				check_case(i, cut, 2, OUT_MAX);
			}
}

/* --- the plain reading --- */

static void say(struct result *result, enum data_problem problem)
{
	if (result->problem == DATA_FINE)
		result->problem = problem;
}

static void out(struct result *result, const char *text, size_t length)
{
	memcpy(result->out + result->length, text, length);
	result->length += length;
}

/*
 * Looks at whole texts only: CRLF "." CRLF first, then what lies before it.
 * Problems are told by their first place in the text.
 */
static void read_plainly(struct result *result, const char *text,
    size_t length, unsigned flags)
{
	size_t end = length, i;
	bool dots = flags & DATA_DOTS, normalise = flags & DATA_NORMALISE;

	memset(result, 0, sizeof(*result));
	result->used = length;
	if (dots && length >= 3 && memcmp(text, ".\r\n", 3) == 0) {
		result->ended = true;
		result->used = 3;
		return;
	}
	for (i = 0; dots && i + 5 <= length; i++)
		if (memcmp(text + i, "\r\n.\r\n", 5) == 0) {
			result->ended = true;
			result->used = i + 5;
			end = i + 2;
			break;
		}
	for (i = 0; i < end; i++) {
		bool strict_start = i == 0 || (i >= 2 && text[i - 1] == '\n' &&
		    text[i - 2] == '\r');

		if (dots && strict_start && text[i] == '.') {
			bool lone_lf = i + 1 < end && text[i + 1] == '\n';
			bool lone_cr = i + 2 < end && text[i + 1] == '\r' &&
			    text[i + 2] != '\n';

			/* the text stops before one can know */
			if (i + 1 == end || (i + 2 == end &&
			    text[i + 1] == '\r'))
				break;
			if (lone_lf || lone_cr)
				out(result, ".", 1);
			continue;
		}
		if (text[i] == '\r' && i + 1 == end)
			break;
		if (text[i] == '\r' && text[i + 1] == '\n') {
			out(result, "\r\n", 2);
			i++;
		} else if (text[i] == '\r' && normalise &&
		    text[i + 1] == '\r') {
			continue;
		} else if (text[i] == '\r' || text[i] == '\n') {
			if (normalise)
				out(result, "\r\n", 2);
			else
				say(result, text[i] == '\r' ? DATA_BARE_CR :
				    DATA_BARE_LF);
		} else {
			if (text[i] == '\0')
				say(result, DATA_NUL);
			out(result, text + i, 1);
		}
	}
}

static void compare(const char *text, size_t length, unsigned flags)
{
	struct result plain, got;

	read_plainly(&plain, text, length, flags);
	for (size_t cut = 0; cut <= length + 1; cut++) {
		/* cut 0: byte by byte; length + 1: little room */
		read_pieces(&got, text, length, flags,
		    cut == 0 ? 1 : cut, cut == 0 ? 1 : length,
		    cut > length ? DATA_ROOM_MIN : OUT_MAX);
		if (got.ended != plain.ended || got.used != plain.used ||
		    got.problem != plain.problem ||
		    (got.problem == DATA_FINE &&
		    (got.length != plain.length ||
		    memcmp(got.out, plain.out, got.length) != 0))) {
			for (size_t i = 0; i < length; i++)
				fprintf(stderr, "%02x ",
				    (unsigned char)text[i]);
			fail_msg("flags %u, cut %zu: ended %d/%d used %zu/%zu "
			    "problem %d/%d", flags, cut, got.ended,
			    plain.ended, got.used, plain.used, got.problem,
			    plain.problem);
		}
	}
}

/* SMTP-1, SMTP-2, SMTP-4: all texts of up to seven of five bytes. */
static void test_all_short_texts(void **state)
{
	static const char alphabet[5] = { '\r', '\n', '.', 'a', '\0' };
	char text[8];
	size_t count = 1;

	(void)state;
	for (size_t length = 1; length <= 7; length++) {
		count *= sizeof(alphabet);
		for (size_t number = 0; number < count; number++) {
			size_t rest = number;

			for (size_t i = 0; i < length; i++) {
				text[i] = alphabet[rest % sizeof(alphabet)];
				rest /= sizeof(alphabet);
			}
			compare(text, length, DATA_DOTS);
			if (length <= 6) {
				compare(text, length, 0);
				compare(text, length,
				    DATA_DOTS | DATA_NORMALISE);
			}
		}
	}
}

/* The same for longer texts, at random from a fixed seed. */
static void test_random_texts(void **state)
{
	static const char alphabet[] = "\r\n\r\n..ab \0";
	uint32_t seed = 12345;
	char text[120];

	(void)state;
	for (int round = 0; round < 3000; round++) {
		size_t length = 1 + round % sizeof(text);

		for (size_t i = 0; i < length; i++) {
			seed = seed * 1664525 + 1013904223;
			text[i] = alphabet[(seed >> 16) %
			    (sizeof(alphabet) - 1)];
		}
		compare(text, length, DATA_DOTS);
		compare(text, length, DATA_DOTS | DATA_NORMALISE);
		compare(text, length, 0);
	}
}

/* SMTP-25: the cap counts CRLF, and the bytes of a line given out. */
static void test_long_lines(void **state)
{
	static char text[MAX_LINE + 16];
	struct result result;

	(void)state;
	for (size_t length = MAX_LINE - 4; length <= MAX_LINE + 2; length++) {
		memset(text, 'x', sizeof(text));
		memcpy(text + length, "\r\n.\r\n", 5);
		for (size_t step = 1; step < 1200; step += 133) {
			read_pieces(&result, text, length + 5, DATA_DOTS, step,
			    step, OUT_MAX);
			assert_true(result.ended);
			assert_int_equal(result.problem, length + 2 > MAX_LINE ?
			    DATA_LONG_LINE : DATA_FINE);
		}
	}
}

/* SMTP-102, SMTP-5: what the last chunk may lack. */
static void test_finish(void **state)
{
	static const struct {
		const char		*text, *added;
		enum data_problem	 problem;
	} ends[] = {
		{ "", "", DATA_FINE }, { "a", "\r\n", DATA_FINE },
		{ "a\r\n", "", DATA_FINE }, { "a\r\n.", "\r\n", DATA_FINE },
		{ "a\r", "", DATA_BARE_CR },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		struct data_reader reader;
		char text[16], added[DATA_ROOM_MIN];
		size_t made;

		data_reader_init(&reader, 0, MAX_LINE);
		data_read(&reader, ends[i].text, strlen(ends[i].text), text,
		    sizeof(text), &made);
		made = data_finish(&reader, added);
		assert_int_equal(made, strlen(ends[i].added));
		assert_memory_equal(added, ends[i].added, made);
		assert_int_equal(reader.problem, ends[i].problem);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cases),
		cmocka_unit_test(test_all_short_texts),
		cmocka_unit_test(test_random_texts),
		cmocka_unit_test(test_long_lines),
		cmocka_unit_test(test_finish),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
