/* SPDX-License-Identifier: ISC */
/*
 * base/utf8.c, base/xtext.c and base/quoted.c: what is valid, and that reading takes back
 * what writing wrote (SMTP-120, SMTP-138, SMTP-143).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/quoted.h"
#include "base/utf8.h"
#include "base/xtext.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void test_utf8_valid(void **state)
{
	static const struct { const char *text; bool valid; } cases[] = {
		{ "", true }, { "abc", true }, { "j\xc3\xb6rg", true },
		{ "\xdf\xbf\xe0\xa0\x80\xef\xbf\xbf", true },
		{ "\xf0\x90\x80\x80\xf4\x8f\xbf\xbf", true },
		{ "\x80", false }, { "\xc3", false }, { "\xc3(", false },
		{ "\xc0\x80", false }, { "\xc1\xbf", false },
		{ "\xe0\x9f\xbf", false }, { "\xf0\x8f\xbf\xbf", false },
		{ "\xed\xa0\x80", false }, { "\xed\xbf\xbf", false },
		{ "\xf4\x90\x80\x80", false }, { "\xf8\x88\x80\x80\x80", false },
		{ "\xff", false }, { "a\xe2\x82", false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		if (utf8_is_valid(cases[i].text, strlen(cases[i].text)) !=
		    cases[i].valid)
			fail_msg("case %zu", i);
	assert_true(utf8_is_ascii("abc~"));
	assert_false(utf8_is_ascii("ab\xc3\xb6"));
}

/* Every character there is. */
static void test_utf8_round(void **state)
{
	uint32_t point, again;
	char text[4];

	(void)state;
	for (point = 0; point <= 0x10ffff; point++) {
		size_t length = utf8_write(text, point);
		size_t read = utf8_read(text, length, &again);

		if (point >= 0xd800 && point <= 0xdfff)
			assert_int_equal(read, 0);
		else
			assert_true(read == length && again == point);
	}
}

/* RFC 3461 4 */
static void test_xtext(void **state)
{
	static const struct { const char *text; bool valid; } cases[] = {
		{ "", true }, { "a@b", true }, { "a+2Bb", true },
		{ "a+2b", false }, { "a+2", false }, { "a+", false },
		{ "+GG", false }, { "a=b", false }, { "a b", false },
		{ "a\x7f", false }, { "\xc3\xb6", false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		if (xtext_is_valid(cases[i].text) != cases[i].valid)
			fail_msg("%s", cases[i].text);
}

/* RFC 6533 3 */
static const struct addr_case {
	const char	*text;
	bool		 xtext, unitext;
	const char	*read;
} addr_cases[] = {
	{ "a@b.example", true, true, "a@b.example" },
	{ "j\\x{F6}rg@b.example", true, true, "j\xc3\xb6rg@b.example" },
	{ "\\x{7528}@x", true, true, "\xe7\x94\xa8@x" },
	{ "\\x{1F4EC}@x", true, true, "\xf0\x9f\x93\xac@x" },
	{ "\\x{10FFFF}@x", true, true, "\xf4\x8f\xbf\xbf@x" },
	{ "a\\x{2B}\\x{3D}\\x{20}\\x{5C}@x", true, true, "a+= \\@x" },
	{ "j\xc3\xb6rg@x", false, true, "j\xc3\xb6rg@x" },
	{ "", false, false, "" },
	{ "a+2B@x", false, false, NULL },
	{ "a=b@x", false, false, NULL },
	{ "a b@x", false, false, NULL },
	{ "a\\b@x", false, false, NULL },
	{ "\\x{f6}@x", false, false, NULL },
	{ "\\x{F6@x", false, false, NULL },
	{ "\\x{}@x", false, false, NULL },
	{ "\\x{F}@x", false, false, NULL },
	{ "\\x{0F6}@x", false, false, NULL },
	{ "\\x{41}@x", false, false, NULL },
	{ "\\x{0D}@x", false, false, NULL },
	{ "\\x{0A}@x", false, false, NULL },
	{ "\\x{00}@x", false, false, NULL },
	{ "\\x{7F}@x", false, false, NULL },
	{ "\\x{9B}@x", false, false, NULL },
	{ "\\x{D800}@x", false, false, NULL },
	{ "\\x{DFFF}@x", false, false, NULL },
	{ "\\x{110000}@x", false, false, NULL },
	{ "\\x{1000000}@x", false, false, NULL },
	{ "j\xc3", false, false, NULL },
	{ "j\xc2\x9b", false, false, NULL },
	{ "a\\", false, false, NULL },
};

static void test_addr(void **state)
{
	char out[64];

	(void)state;
	for (size_t i = 0; i < COUNT(addr_cases); i++) {
		const struct addr_case *one = &addr_cases[i];

		if (utf8_addr_is_valid(one->text, false) != one->xtext ||
		    utf8_addr_is_valid(one->text, true) != one->unitext)
			fail_msg("%s", one->text);
		if (one->read == NULL) {
			assert_int_equal(utf8_addr_read(out, sizeof(out),
			    one->text), -1);
			continue;
		}
		assert_int_equal(utf8_addr_read(out, sizeof(out), one->text),
		    0);
		assert_string_equal(out, one->read);
	}
}

static void test_addr_write(void **state)
{
	char out[64], small[12];

	(void)state;
	assert_int_equal(utf8_addr_write(out, sizeof(out),
	    "j\xc3\xb6+\xe7\x94\xa8 \\=@x"), 0);
	assert_string_equal(out, "j\\x{F6}\\x{2B}\\x{7528}\\x{20}\\x{5C}"
	    "\\x{3D}@x");
	assert_true(utf8_addr_is_valid(out, false));
	/* What is no text is not passed on. */
	assert_int_equal(utf8_addr_write(out, sizeof(out),
	    "a\xff\r\n\x01\xc2\x85z"), 0);
	assert_string_equal(out, "a?????z");
	assert_int_equal(utf8_addr_write(small, 12, "j\xc3\xb6rg@x"), 0);
	assert_int_equal(utf8_addr_write(small, 11, "j\xc3\xb6rg@x"), -1);
	assert_int_equal(utf8_addr_write(small, 0, ""), -1);
	assert_int_equal(utf8_addr_read(small, 4, "abcdef"), -1);
}

/* RFC 2045 6.7 */
static void test_quoted(void **state)
{
	static const struct { const char *text, *quoted; } cases[] = {
		{ "", "" }, { "abc\r\n", "abc\r\n" }, { "a=b", "a=3Db" },
		{ "\xc3\xb6\r\n", "=C3=B6\r\n" },
		{ "a \r\nb\t\r\n", "a=20\r\nb=09\r\n" },
		{ "a ", "a=20" }, { "a b", "a b" },
		{ "a\rb\nc\r", "a=0Db=0Ac=0D" }, { "\x7f\x01", "=7F=01" },
		{ "0123456789012345678901234567890123456789"
		    "012345678901234567890123456789012345678",
		    "0123456789012345678901234567890123456789"
		    "01234567890123456789012345678901234=\r\n5678" },
		{ "0123456789012345678901234567890123456789"
		    "012345678901234567890123456789012\xc3",
		    "0123456789012345678901234567890123456789"
		    "012345678901234567890123456789012=\r\n=C3" },
	};
	struct buf out;

	(void)state;
	buf_init(&out, 4096);
	for (size_t i = 0; i < COUNT(cases); i++) {
		buf_reset(&out);
		assert_int_equal(quoted_add(&out, cases[i].text,
		    strlen(cases[i].text)), 0);
		assert_string_equal(buf_string(&out), cases[i].quoted);
	}
	buf_release(&out);
	buf_init(&out, 8);
	assert_int_equal(quoted_add(&out, "a\xc3\xb6z\r\n", 6), -1);
	buf_release(&out);
}

static void test_original(void **state)
{
	static const struct { const char *address, *original; } cases[] = {
		{ "joe@example.org", "rfc822;joe@example.org" },
		{ "a+b=c@example.org", "rfc822;a+2Bb+3Dc@example.org" },
		{ "j\xc3\xb6@example.org", "utf-8;j\\x{F6}@example.org" },
	};
	char out[XTEXT_ORIGINAL_MAX + 20], address[XTEXT_ORIGINAL_MAX + 1];

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		assert_int_equal(xtext_write_original(out, sizeof(out),
		    cases[i].address), 0);
		assert_string_equal(out, cases[i].original);
	}
	memset(address, 'x', sizeof(address));
	address[XTEXT_ORIGINAL_MAX - 7] = '\0';
	assert_int_equal(xtext_write_original(out, sizeof(out), address), 0);
	assert_int_equal(strlen(out), XTEXT_ORIGINAL_MAX);
	assert_int_equal(xtext_write_original(out, 20, address), -1);
	assert_int_equal(xtext_write_original(out, 3, address), -1);
	address[XTEXT_ORIGINAL_MAX - 7] = 'x';
	address[XTEXT_ORIGINAL_MAX - 6] = '\0';
	assert_int_equal(xtext_write_original(out, sizeof(out), address), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_utf8_valid),
		cmocka_unit_test(test_utf8_round),
		cmocka_unit_test(test_xtext),
		cmocka_unit_test(test_addr),
		cmocka_unit_test(test_addr_write),
		cmocka_unit_test(test_quoted),
		cmocka_unit_test(test_original),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
