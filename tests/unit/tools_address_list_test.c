/* SPDX-License-Identifier: ISC */
/*
 * tools/address_list.c: what RFC 5322 3.4 allows in lists of addresses, the
 * obsolete forms that are plain, and what is refused whole.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "tools/address_list.h"

/* The addresses with a space between them; "!" in front of a problem. */
static void read_as(const char *text, char *out, size_t size)
{
	char problem[ADDRESS_LIST_PROBLEM];
	struct address_list list;
	size_t used = 0;

	address_list_init(&list);
	out[0] = '\0';
	if (address_list_parse(&list, text, strlen(text), "example.org",
	    problem) == -1) {
		assert_int_equal(list.count, 0);
		snprintf(out, size, "!%s", problem);
	}
	for (size_t i = 0; i < list.count; i++)
		used += (size_t)snprintf(out + used, size - used, "%s%s",
		    i > 0 ? " " : "", list.items[i]);
	address_list_release(&list);
}

static void test_right(void **state)
{
	static const struct {
		const char	*text;
		const char	*addresses;
	} cases[] = {
		{ "", "" },
		{ "  \t ", "" },
		{ "a@example.net", "a@example.net" },
		{ " a@EXAMPLE.net , b@example.net ",
		    "a@example.net b@example.net" },
		{ "root", "root@example.org" },
		{ "root, alice", "root@example.org alice@example.org" },
		{ "Alice <alice@example.net>", "alice@example.net" },
		{ "Alice B. Cooper <alice@example.net>", "alice@example.net" },
		{ "\"Cooper, Alice\" <alice@example.net>",
		    "alice@example.net" },
		{ "\"a \\\" b\" <alice@example.net>", "alice@example.net" },
		{ "<alice@example.net>", "alice@example.net" },
		{ "<alice>", "alice@example.org" },
		{ "alice@example.net (Alice)", "alice@example.net" },
		{ "root (Cron (the) \\) Daemon)", "root@example.org" },
		{ "(c) a (c) @ (c) b (c) . (c) example (c)", "a@b.example" },
		{ "a . b @ example . net", "a.b@example.net" },
		{ "\"a b\"@example.net", "\"a b\"@example.net" },
		{ "\"ab\"@example.net", "ab@example.net" },
		{ "\"a\".\"b\"@example.net", "a.b@example.net" },
		{ "\"a,b\" , c", "\"a,b\"@example.org c@example.org" },
		{ "a@[192.0.2.1]", "a@[192.0.2.1]" },
		{ "a@[IPv6:2001:db8::1]", "a@[ipv6:2001:db8::1]" },
		{ "team: a@b.example, c;, d", "a@b.example c@example.org "
		    "d@example.org" },
		{ "undisclosed-recipients:;", "" },
		{ "\"A team\": Alice <a@b.example> ;", "a@b.example" },
		{ "g:;, h: i;", "i@example.org" },
		{ ",, a ,,b,", "a@example.org b@example.org" },
		{ "<@x.example,@y.example:a@b.example>", "a@b.example" },
		{ "a@b.example,\r\n\tc@d.example", "a@b.example c@d.example" },
		{ "=?utf-8?B?w4Q=?= <a@b.example>", "a@b.example" },
		{ "J\xc3\xb6rg <a@b.example>", "a@b.example" },
		{ "J\xc3\xb6rg@b.example", "J\xc3\xb6rg@b.example" },
		{ "a, a@example.org, A@EXAMPLE.org", "a@example.org "
		    "A@example.org" },
		{ "a+b=c@example.net", "a+b=c@example.net" },
	};
	char got[1000];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		read_as(cases[i].text, got, sizeof(got));
		if (strcmp(got, cases[i].addresses) != 0)
			fail_msg("%s: %s", cases[i].text, got);
	}
}

static void test_wrong(void **state)
{
	static const char *const cases[] = {
		"Alice Cooper", "a@", "@b.example", "a@b@c", "a..b@c.example",
		".a@b.example", "a.@b.example", "a@b..example", "a@.example",
		"a@b.example c@d.example", "Alice <a@b.example", "<>",
		"Alice <>", "a@b.example>", "\"a@b.example", "(a@b.example",
		"a) b", "g: a", "g: h: a;;", ";", "a;", ": a;", "<a,b>",
		"Alice <a@b.example> c", "a@[192.0.2.999]", "a@[192.0.2.1",
		"a@b_c.example", "a\x01@b.example", "\"a\x7f\"@b.example",
		"\"a\\", "<@x.example a@b.example>", "a:b@c.example", "a@-b-",
		"a b@c.example", "\xff@b.example",
	};
	char long_local[200] = "", got[1000];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		read_as(cases[i], got, sizeof(got));
		if (got[0] != '!')
			fail_msg("%s: %s", cases[i], got);
		for (const char *at = got; *at != '\0'; at++)
			assert_true(*at >= ' ' && *at < 0x7f);
	}
	memset(long_local, 'a', 65);
	snprintf(long_local + 65, 20, "@b.example");
	read_as(long_local, got, sizeof(got));
	assert_int_equal(got[0], '!');
	read_as(long_local + 1, got, sizeof(got));
	assert_int_equal(got[0], 'a');
}

/* One wrong address spoils its list, and nothing that was there before. */
static void test_whole_or_nothing(void **state)
{
	char problem[ADDRESS_LIST_PROBLEM], *big;
	struct address_list list;
	size_t length = 0;

	(void)state;
	address_list_init(&list);
	assert_int_equal(0, address_list_parse(&list, "a, b", 4, "x.example",
	    problem));
	assert_int_equal(-1, address_list_parse(&list, "c, d@", 5,
	    "x.example", problem));
	assert_int_equal(list.count, 2);
	/* As many as there may be, and one more. */
	big = mem_alloc(ADDRESS_LIST_MAX * 8 + 100);
	for (int i = 0; i < ADDRESS_LIST_MAX; i++)
		length += (size_t)snprintf(big + length, 10, "u%d,", i);
	assert_int_equal(-1, address_list_parse(&list, big, length,
	    "x.example", problem));
	assert_non_null(strstr(problem, "too many"));
	assert_int_equal(list.count, 2);
	address_list_release(&list);
	assert_int_equal(0, address_list_parse(&list, big, length,
	    "x.example", problem));
	assert_int_equal(list.count, ADDRESS_LIST_MAX);
	address_list_release(&list);
	mem_free(big);
	/* Depth is bounded, whatever it is that is deep. */
	big = mem_alloc(2000);
	memset(big, '(', 1000);
	memset(big + 1000, ')', 999);
	assert_int_equal(-1, address_list_parse(&list, big, 1999, "x.example",
	    problem));
	mem_free(big);
	big = mem_alloc(ADDRESS_LIST_BYTES + 1);
	memset(big, ' ', ADDRESS_LIST_BYTES + 1);
	assert_int_equal(-1, address_list_parse(&list, big,
	    ADDRESS_LIST_BYTES + 1, "x.example", problem));
	assert_int_equal(0, address_list_parse(&list, big,
	    ADDRESS_LIST_BYTES, "x.example", problem));
	mem_free(big);
	address_list_release(&list);
}

static void test_one(void **state)
{
	char problem[ADDRESS_LIST_PROBLEM], *one;

	(void)state;
	one = address_list_parse_one("Alice <alice>", "x.example", problem);
	assert_string_equal(one, "alice@x.example");
	mem_free(one);
	assert_null(address_list_parse_one("a, b", "x.example", problem));
	assert_non_null(strstr(problem, "2 addresses"));
	assert_null(address_list_parse_one("", "x.example", problem));
	assert_null(address_list_parse_one("a b", "x.example", problem));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_right),
		cmocka_unit_test(test_wrong),
		cmocka_unit_test(test_whole_or_nothing),
		cmocka_unit_test(test_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
