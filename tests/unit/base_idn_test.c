/* SPDX-License-Identifier: ISC */
/*
 * base/idn.c: names as people write them, to A-labels (DANE-57, DANE-113,
 * STS-21), and what is refused, with its sentence.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/address.h"
#include "base/idn.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

struct row {
	const char	*text;
	const char	*name;		/* null: refused */
	const char	*why;		/* a piece of the sentence */
};

static const struct row names[] = {
	{ "bücher.example", "xn--bcher-kva.example", NULL },
	/* UTS 46: case, width, composition and other full stops */
	{ "BÜCHER.Example", "xn--bcher-kva.example", NULL },
	{ "bu\xcc\x88" "cher.example", "xn--bcher-kva.example", NULL },
	{ "ｍｘ.bücher.example.", "mx.xn--bcher-kva.example", NULL },
	{ "例え。テスト", "xn--r8jz45g.xn--zckzah", NULL },
	/* non-transitional: not "strasse", not "fass" */
	{ "straße.example", "xn--strae-oqa.example", NULL },
	{ "faß.example", "xn--fa-hia.example", NULL },
	/* what is ASCII passes as it is, whatever its A-labels say */
	{ "XN--BCHER-KVA.example", "xn--bcher-kva.example", NULL },
	{ "xn--zzzzzzzz9.example.", "xn--zzzzzzzz9.example", NULL },
	{ "ab--cd.example", "ab--cd.example", NULL },
	{ "Example.ORG", "example.org", NULL },
	{ "localhost", "localhost", NULL },

	{ "", NULL, "not a domain name" },
	{ ".", NULL, "not a domain name" },
	{ "a..example", NULL, "not a domain name" },
	{ "a_b.example", NULL, "not a domain name" },
	{ "[192.0.2.1]", NULL, "not a domain name" },
	{ "ü..example", NULL, "not a domain name" },
	/* libidn2 would take these out and leave another name */
	{ "ü*.example", NULL, "not a domain name" },
	{ "a_ü.example", NULL, "not a domain name" },
	{ "ü example", NULL, "not a domain name" },
	{ "ü@example", NULL, "not a domain name" },
	{ "ü.example\n", NULL, "not a domain name" },
	/* and these are mapped to what no name has */
	{ "ü＿.example", NULL, "not a domain name" },
	{ "ü℀.example", NULL, "cannot stand in a domain name" },
	{ "\xff.example", NULL, "UTF-8" },
	{ "\xc3", NULL, "UTF-8" },
	{ "☃.example", NULL, "cannot stand in a domain name" },
	{ "i❤.example", NULL, "cannot stand in a domain name" },
	{ "a\xe2\x80\x8d" "b.example", NULL, "at that place" },
	{ "\xcc\x88" "u.example", NULL, "combining" },
	{ "ab--ü.example", NULL, "hyphen" },
	{ "-ü.example", NULL, "hyphen" },
	{ "אa.example", NULL, "right-to-left" },
	{ "xn--ü.example", NULL, "begins with xn--" },
};

static const struct row patterns[] = {
	{ "*", "*", NULL },
	{ ".Example.org", ".example.org", NULL },
	{ "*.bücher.example", "*.xn--bcher-kva.example", NULL },
	{ ".BÜCHER.example", ".xn--bcher-kva.example", NULL },
	{ "bücher.example", "xn--bcher-kva.example", NULL },
	{ "mx*.example", "mx*.example", NULL },
	{ "[192.0.2.1]", "[192.0.2.1]", NULL },
	{ "mx*.bücher.example", NULL, "within a name" },
	{ "*.mx?.bücher.example", NULL, "within a name" },
	{ "..bücher.example", NULL, "not a domain name" },
	{ ".☃.example", NULL, "cannot stand in a domain name" },
};

static const struct row addresses[] = {
	{ "Alice@bücher.example", "Alice@xn--bcher-kva.example", NULL },
	{ "*@*.bücher.example", "*@*.xn--bcher-kva.example", NULL },
	{ "Alice@Example.org", "Alice@Example.org", NULL },
	{ "bücher.example", "xn--bcher-kva.example", NULL },
	{ "\"a@b\"@bücher.example", "\"a@b\"@xn--bcher-kva.example", NULL },
	{ "<>", "<>", NULL },
	{ "ü@example.org", "ü@example.org", NULL },
	{ "a@☃.example", NULL, "cannot stand in a domain name" },
	{ "a@ü_.example", NULL, "not a domain name" },
};

typedef const char *convert(char *out, size_t size, const char *text);

static void check(const struct row *rows, size_t count, convert *to_ascii)
{
	char out[ADDRESS_MAX + 1];
	const char *why;

	for (size_t i = 0; i < count; i++) {
		why = to_ascii(out, sizeof(out), rows[i].text);
		if (rows[i].name == NULL) {
			if (why == NULL)
				fail_msg("%s became %s", rows[i].text, out);
			if (strstr(why, rows[i].why) == NULL)
				fail_msg("%s: %s", rows[i].text, why);
		} else if (why != NULL || strcmp(out, rows[i].name) != 0) {
			fail_msg("%s: %s, %s", rows[i].text, why == NULL ?
			    "no error" : why, out);
		}
	}
}

static void test_names(void **state)
{
	(void)state;
	check(names, COUNT(names), domain_to_ascii);
}

static void test_patterns(void **state)
{
	(void)state;
	check(patterns, COUNT(patterns), domain_pattern_to_ascii);
}

static void test_addresses(void **state)
{
	(void)state;
	check(addresses, COUNT(addresses), address_pattern_to_ascii);
}

/* count times the character, then ".example". */
static void repeat(char *out, size_t count, const char *character)
{
	size_t length = strlen(character);

	for (size_t i = 0; i < count; i++)
		memcpy(out + i * length, character, length);
	memcpy(out + count * length, ".example", sizeof(".example"));
}

/* 63 bytes of a label and 255 of a name are the limit of the converted form;
 * nothing is written past the end, whatever the length of the text. */
static void test_limits(void **state)
{
	char text[5 * IDN_TEXT_MAX], out[ADDRESS_DOMAIN_MAX + 1];
	char small[8];

	(void)state;
	repeat(text, 56, "例");
	assert_null(domain_to_ascii(out, sizeof(out), text));
	assert_true(strlen(text) > 168);
	repeat(text, 64, "ü");
	assert_non_null(domain_to_ascii(out, sizeof(out), text));
	repeat(text, 64, "a");
	assert_non_null(domain_to_ascii(out, sizeof(out), text));
	repeat(text, 63, "a");
	assert_null(domain_to_ascii(out, sizeof(out), text));
	repeat(text, IDN_TEXT_MAX, "ü");
	assert_non_null(strstr(domain_to_ascii(out, sizeof(out), text),
	    "too long"));
	repeat(text, 2 * IDN_TEXT_MAX, "a.");
	assert_non_null(domain_to_ascii(out, sizeof(out), text));
	assert_non_null(domain_pattern_to_ascii(out, sizeof(out), text));
	assert_non_null(address_pattern_to_ascii(out, sizeof(out), text));
	memcpy(text + 2000, "@x", 3);
	assert_non_null(address_pattern_to_ascii(out, sizeof(out), text));
	assert_non_null(domain_to_ascii(small, sizeof(small),
	    "bücher.example"));
	assert_non_null(domain_to_ascii(small, sizeof(small), "example.org"));
}

static void test_needed(void **state)
{
	(void)state;
	assert_true(idn_is_needed("bücher"));
	assert_true(idn_is_needed("\xff"));
	assert_false(idn_is_needed("xn--bcher-kva"));
	assert_false(idn_is_needed(""));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_patterns),
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_needed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
