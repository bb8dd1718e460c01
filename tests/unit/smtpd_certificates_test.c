/* SPDX-License-Identifier: ISC */
/*
 * smtpd/certificates.c: which lines are entries, which are mistakes and where,
 * and what is found.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "smtpd/certificates.h"

#define ONE "0101010101010101010101010101010101010101010101010101010101010101"
#define TWO "0202020202020202020202020202020202020202020202020202020202020202"
#define COLONS "01:01:01:01:01:01:01:01:01:01:01:01:01:01:01:01:01:01:01:01:" \
    "01:01:01:01:01:01:01:01:01:01:01:01"
#define LONG "a23456789012345678901234567890123456789012345678901234567890123"

static void test_find(void **state)
{
	uint8_t one[DIGEST_BYTES], two[DIGEST_BYTES], none[DIGEST_BYTES];
	struct certificates list;
	char error[256], line[192];

	(void)state;
	memset(one, 1, sizeof(one));
	memset(two, 2, sizeof(two));
	memset(none, 3, sizeof(none));
	certificates_init(&list);
	assert_int_equal(certificates_read(&list, "list",
	    "# who may\n\n  certificate\t" COLONS "  laptop # of Ann\r\n"
	    "key " TWO " " LONG, error, sizeof(error)), 0);
	assert_int_equal(list.count, 2);
	assert_string_equal(certificates_find(&list, one, none), "laptop");
	assert_string_equal(certificates_find(&list, none, two), LONG);
	/* Each digest is of one kind of thing. */
	assert_null(certificates_find(&list, two, one));
	assert_null(certificates_find(&list, none, none));
	assert_ptr_equal(certificates_named(&list, LONG), &list.entries[1]);
	assert_null(certificates_named(&list, "Laptop"));
	certificate_format(&list.entries[0], line, sizeof(line));
	assert_string_equal(line, "certificate " ONE " laptop\n");
	certificate_format(&list.entries[1], line, sizeof(line));
	assert_string_equal(line, "key " TWO " " LONG "\n");
	certificates_release(&list);
	assert_int_equal(certificates_read(&list, "list", "", error,
	    sizeof(error)), 0);
	assert_null(certificates_find(&list, one, two));
}

static void test_mistakes(void **state)
{
	static const struct { const char *text, *error; } cases[] = {
		{ "cert " ONE " a\n", "list:1: \"cert\" is not known" },
		{ "\n# x\nkey 0101 a\n", "list:3: the digest" },
		{ "key " ONE "00 a\n", "list:1: the digest" },
		{ "key\n", "list:1: the digest" },
		{ "key " ONE "\n", "list:1: a name" },
		{ "key " ONE " a/b\n", "list:1: a name" },
		{ "key " ONE " " LONG "x\n", "list:1: a name" },
		{ "key " ONE " a b\n", "list:1: there is more" },
		{ "key " ONE " a\nkey " TWO " a\n", "list:2: the name a is" },
		{ "key " ONE " a\nkey " ONE " b\n",
		    "list:2: the digest is that of a" },
	};
	struct certificates list;
	char error[256];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		certificates_init(&list);
		assert_int_equal(certificates_read(&list, "list",
		    cases[i].text, error, sizeof(error)), -1);
		if (strncmp(error, cases[i].error, strlen(cases[i].error)) !=
		    0)
			fail_msg("%s: %s", cases[i].error, error);
		assert_int_equal(list.count, 0);
		assert_null(list.entries);
	}
	/* The same digest as a certificate and as a key is no mistake. */
	assert_int_equal(certificates_read(&list, "list", "key " ONE " a\n"
	    "certificate " ONE " b\n", error, sizeof(error)), 0);
	certificates_release(&list);
}

static void test_long_line(void **state)
{
	char text[2000], error[256];
	struct certificates list;

	(void)state;
	memset(text, ' ', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	certificates_init(&list);
	assert_int_equal(certificates_read(&list, "list", text, error,
	    sizeof(error)), -1);
	assert_string_equal(error, "list:1: the line is too long");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_find),
		cmocka_unit_test(test_mistakes),
		cmocka_unit_test(test_long_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
