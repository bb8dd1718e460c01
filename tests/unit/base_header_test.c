/* SPDX-License-Identifier: ISC */
/*
 * Scanning, finding and writing header fields. Every scan is run whole, byte
 * by byte and cut in two at every place: it must not matter how data arrives.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/header.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

struct scan_case {
	const char	*text;
	unsigned	 received;
	size_t		 header_bytes;
	bool		 ended, has_8bit, has_utf8;
};

static void compare(const struct scan_case *one,
    const struct header_scan *scan)
{
	if (scan->received_count != one->received ||
	    scan->header_bytes != one->header_bytes ||
	    scan->ended != one->ended || scan->has_8bit != one->has_8bit ||
	    scan->has_utf8_header != one->has_utf8)
		fail_msg("%s: %u %zu %d %d %d", one->text,
		    scan->received_count, scan->header_bytes, scan->ended,
		    scan->has_8bit, scan->has_utf8_header);
}

/* SMTP-174 for the count. */
static void test_scan(void **state)
{
	static const struct scan_case cases[] = {
		{ "", 0, 0, false, false, false },
		{ "\r\n", 0, 2, true, false, false },
		{ "\n", 0, 1, true, false, false },
		{ "\r\nReceived: x\r\n", 0, 2, true, false, false },
		{ "Received: a\r\nReceived: b\r\n\r\nReceived: c\r\n", 2, 28,
		    true, false, false },
		{ "Received: a\nReceived: b\n\nReceived: c\n", 2, 25, true,
		    false, false },
		{ "RECEIVED:a\r\nreceived : b\r\nReceived\t:c\r\n\r\n", 3, 41,
		    true, false, false },
		{ "Received: a\r\n Received: b\r\n\tReceived: c\r\n\r\n", 1,
		    43, true, false, false },
		{ "X-Received: a\r\nReceived-By: b\r\nReceive: c\r\n"
		    "Receivedd: d\r\n\r\n", 0, 59, true, false, false },
		{ "Subject: Received: x\r\n\r\n", 0, 24, true, false, false },
		{ " Received: a\r\n\r\n", 0, 16, true, false, false },
		{ "no colon here\r\nReceived: a\r\n", 1, 28, false, false,
		    false },
		{ "A-name-longer-than-what-is-kept-of-it-Received: a\r\n", 0,
		    51, false, false, false },
		{ "Subject: a\r\n \r\nReceived: a\r\n\r\n", 1, 30, true,
		    false, false },
		{ "A: \xc3\xa4\r\n\r\nbody", 0, 9, true, true, true },
		{ "A: a\r\n\r\nb\xc3\xb6" "dy and more text", 0, 8, true, true,
		    false },
		{ "A: a\r\n\r\nbody body body\xff", 0, 8, true, true, false },
		{ "A: a\r\n\r\nbody body body", 0, 8, true, false, false },
		{ "\r\rReceived: a\r\n", 0, 15, false, false, false },
		{ "\rX\r\n\r\n", 0, 6, true, false, false }
	};
	struct header_scan scan;
	size_t i, j;

	(void)state;
	for (i = 0; i < COUNT(cases); i++) {
		const char *text = cases[i].text;
		size_t length = strlen(text);

		for (j = 0; j <= length; j++) {
			header_scan_init(&scan);
			header_scan_feed(&scan, text, j);
			header_scan_feed(&scan, text + j, length - j);
			compare(&cases[i], &scan);
		}
		header_scan_init(&scan);
		for (j = 0; j < length; j++)
			header_scan_feed(&scan, text + j, 1);
		compare(&cases[i], &scan);
		assert_int_equal(header_length(text, length),
		    cases[i].header_bytes);
	}
}

/*
 * REQ-16, REQ-19, REQ-20, REQ-21: fields in the outer header, in every case
 * and folding, and what is another value: comments are no part of the grammar.
 * The counts hold after every byte, since a message may end with its header.
 */
static void test_tls_required(void **state)
{
	static const struct {
		const char	*text;
		unsigned	 count, no;
	} cases[] = {
		{ "TLS-Required: No\r\n\r\n", 1, 1 },
		{ "TLS-Required: No\r\n", 1, 1 },
		{ "TLS-Required: No", 1, 1 },
		{ "TLS-Required:No\n\n", 1, 1 },
		{ "tls-required: no\r\n\r\n", 1, 1 },
		{ "TLS-REQUIRED: nO\r\n\r\n", 1, 1 },
		{ "TLS-Required : NO\r\n\r\n", 1, 1 },
		{ "TLS-Required                                 : No\r\n\r\n",
		    1, 1 },
		{ "TLS-Required: \t No \t \r\n\r\n", 1, 1 },
		{ "TLS-Required:\r\n No\r\n\r\n", 1, 1 },
		{ "TLS-Required:\r\n\tNo\r\n \r\n\r\n", 1, 1 },
		{ "TLS-Required: No\r\nSubject: x\r\n\r\n", 1, 1 },
		{ "Subject: x\r\nTLS-Required: No\r\nTo: y\r\n\r\n", 1, 1 },
		/* another value */
		{ "TLS-Required:\r\n\r\n", 1, 0 },
		{ "TLS-Required: \r\nNo\r\n\r\n", 1, 0 },
		{ "TLS-Required: Yes\r\n\r\n", 1, 0 },
		{ "TLS-Required: N\r\n\r\n", 1, 0 },
		{ "TLS-Required: N\r\n o\r\n\r\n", 1, 0 },
		{ "TLS-Required: N o\r\n\r\n", 1, 0 },
		{ "TLS-Required: None\r\n\r\n", 1, 0 },
		{ "TLS-Required: No, please\r\n\r\n", 1, 0 },
		{ "TLS-Required: No\r\n way\r\n\r\n", 1, 0 },
		{ "TLS-Required: No No\r\n\r\n", 1, 0 },
		{ "TLS-Required: No;\r\n\r\n", 1, 0 },
		{ "TLS-Required: \"No\"\r\n\r\n", 1, 0 },
		{ "TLS-Required: (not needed) No\r\n\r\n", 1, 0 },
		{ "TLS-Required: No (not needed)\r\n\r\n", 1, 0 },
		{ "TLS-Required: xNo\r\n\r\n", 1, 0 },
		/* several */
		{ "TLS-Required: No\r\nTLS-Required: No\r\n\r\n", 2, 2 },
		{ "TLS-Required: No\r\nTLS-Required: Yes\r\n\r\n", 2, 1 },
		{ "TLS-Required: x\r\nA: b\r\nTLS-Required: No\r\n\r\n",
		    2, 1 },
		{ "TLS-Required: No\r\n TLS-Required: No\r\n\r\n", 1, 0 },
		/* no such field */
		{ "", 0, 0 },
		{ "\r\nTLS-Required: No\r\n", 0, 0 },
		{ "Subject: x\r\n\r\nTLS-Required: No\r\n", 0, 0 },
		{ "Content-Type: message/rfc822\r\n\r\n"
		    "TLS-Required: No\r\n\r\n", 0, 0 },
		{ "X-TLS-Required: No\r\n\r\n", 0, 0 },
		{ "TLS-Required-X: No\r\n\r\n", 0, 0 },
		{ "TLS-Require: No\r\n\r\n", 0, 0 },
		{ "TLS Required: No\r\n\r\n", 0, 0 },
		{ "Subject: a\r\n TLS-Required: No\r\n\r\n", 0, 0 },
		{ "Subject: TLS-Required: No\r\n\r\n", 0, 0 },
		{ "TLS-Required                                 x: No\r\n\r\n",
		    0, 0 },
		{ "TLS-Required\r\n: No\r\n\r\n", 0, 0 }
	};
	struct header_scan scan;

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		const char *text = cases[i].text;
		size_t length = strlen(text);

		/* length + 1: byte by byte */
		for (size_t cut = 0; cut <= length + 1; cut++) {
			header_scan_init(&scan);
			for (size_t j = 0; cut > length && j < length; j++)
				header_scan_feed(&scan, text + j, 1);
			if (cut <= length) {
				header_scan_feed(&scan, text, cut);
				header_scan_feed(&scan, text + cut,
				    length - cut);
			}
			if (scan.tls_required_count != cases[i].count ||
			    scan.tls_required_no != cases[i].no)
				fail_msg("%s, cut %zu: %u %u", text, cut,
				    scan.tls_required_count,
				    scan.tls_required_no);
		}
	}
}

static void test_find(void **state)
{
	static const char header[] =
	    "From: a\r\n"
	    "Subject:  one\r\n\ttwo\r\n  three  \r\n"
	    "Subject: second\r\n"
	    "Empty:\r\n"
	    "Blank: \r\n \r\n"
	    "Odd : value\r\n"
	    "X-Folded:\r\n later\r\n"
	    "\r\n"
	    "Body: no\r\n";
	static const struct {
		const char	*name;
		const char	*value;		/* null: not there */
	} cases[] = {
		{ "From", "a" }, { "from", "a" },
		{ "Subject", "one\ttwo  three" }, { "Empty", "" },
		{ "Blank", "" }, { "Odd", "value" },
		{ "X-Folded", "later" }, { "Body", NULL }, { "Fro", NULL },
		{ "From:", NULL }, { "two", NULL }, { "later", NULL },
		{ "X", NULL }
	};
	struct buf out;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(cases); i++) {
		bool found;

		buf_init(&out, 100);
		assert_int_equal(buf_add_string(&out, "> "), 0);
		found = header_find(header, sizeof header - 1, cases[i].name,
		    &out);
		if (found != (cases[i].value != NULL))
			fail_msg("%s", cases[i].name);
		assert_string_equal(buf_string(&out) + 2,
		    found ? cases[i].value : "");
		buf_release(&out);
	}
	/* Cut at the ceiling. */
	buf_init(&out, 5);
	assert_true(header_find(header, sizeof header - 1, "subject", &out));
	assert_string_equal(buf_string(&out), "one\tt");
	buf_release(&out);
	/* Without a line end, without anything. */
	buf_init(&out, 100);
	assert_true(header_find("A: b", 4, "A", &out));
	assert_string_equal(buf_string(&out), "b");
	assert_true(header_find("A:", 2, "A", &out));
	assert_false(header_find("A", 1, "A", &out));
	assert_false(header_find("", 0, "A", &out));
	buf_release(&out);
}

/* The longest line without its end. */
static size_t widest(const char *text)
{
	size_t width = 0;

	while (*text != '\0') {
		size_t line = strcspn(text, "\r");

		width = line > width ? line : width;
		text += line + strspn(text + line, "\r\n");
	}
	return width;
}

static void test_add(void **state)
{
	static const struct {
		const char	*value, *line;
	} cases[] = {
		{ "short", "N: short\r\n" }, { "", "N: \r\n" },
		{ " a  b ", "N: a  b\r\n" },
		{ "a\r\nBcc: x\r\n\r\nbody", "N: a  Bcc: x    body\r\n" },
		{ "a\x01" "b\x7f", "N: a?b?\r\n" },
		{ "a\tb", "N: a\tb\r\n" }, { "\xc3\xa4", "N: \xc3\xa4\r\n" },
		{ "aaaaaaaaaa bbbbbbbbbb cccccccccc dddddddddd eeeeeeeeee "
		    "ffffffffff ggggggggg h",
		    "N: aaaaaaaaaa bbbbbbbbbb cccccccccc dddddddddd eeeeeeeeee "
		    "ffffffffff ggggggggg\r\n h\r\n" },
		{ "aaaaaaaaaa bbbbbbbbbb cccccccccc dddddddddd eeeeeeeeee "
		    "ffffffffff gggggg h",
		    "N: aaaaaaaaaa bbbbbbbbbb cccccccccc dddddddddd eeeeeeeeee "
		    "ffffffffff gggggg h\r\n" }
	};
	struct buf out;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(cases); i++) {
		buf_init(&out, 1000);
		assert_int_equal(header_add(&out, "N", cases[i].value), 0);
		assert_string_equal(buf_string(&out), cases[i].line);
		buf_release(&out);
	}
}

/* What is written folded reads back as it was, and no line is too long. */
static void test_fold_and_find(void **state)
{
	char value[3000];
	struct buf out, back;
	size_t words, i, length;

	(void)state;
	for (words = 1; words < 200; words += 7) {
		for (length = i = 0; i < words; i++)
			length += (size_t)snprintf(value + length,
			    sizeof value - length, "%s%.*s", i > 0 ? "  " : "",
			    (int)(1 + i * 5 % 11), "abcdefghijkl");
		buf_init(&out, 10000);
		buf_init(&back, 10000);
		assert_int_equal(header_add(&out, "References", value), 0);
		assert_true(widest(buf_string(&out)) <= 78);
		assert_true(header_find(buf_data(&out), buf_length(&out),
		    "references", &back));
		assert_string_equal(buf_string(&back), value);
		buf_release(&out);
		buf_release(&back);
	}
}

static void test_add_limits(void **state)
{
	char value[1001];
	struct buf out;

	(void)state;
	memset(value, 'x', sizeof value);
	value[995] = '\0';
	buf_init(&out, 1003);
	assert_int_equal(header_add(&out, "N", value), 0);
	assert_int_equal(buf_length(&out), 1000);
	/* The ceiling: what was there stays as it was. */
	assert_int_equal(header_add(&out, "N", "v"), -1);
	assert_int_equal(buf_length(&out), 1000);
	buf_release(&out);
	/* RFC 5322 2.1.1 */
	value[995] = 'x';
	value[996] = '\0';
	buf_init(&out, 10000);
	assert_int_equal(header_add(&out, "N", value), -1);
	assert_int_equal(buf_length(&out), 0);
	buf_release(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_scan),
		cmocka_unit_test(test_tls_required),
		cmocka_unit_test(test_find),
		cmocka_unit_test(test_add),
		cmocka_unit_test(test_fold_and_find),
		cmocka_unit_test(test_add_limits)
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
