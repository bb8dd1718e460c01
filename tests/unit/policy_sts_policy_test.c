/* SPDX-License-Identifier: ISC */
/*
 * policy/sts_policy.c: both grammars and the match, by tables. What is not of
 * the grammar is no policy.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/log.h"
#include "policy/sts_policy.h"

/* --- the TXT record --- */

#define ID32 "abcdefghijklmnopqrstuvwxyz012345"
#define NAME32 "n2345678901234567890123456789012"

struct record {
	const char	*name;		/* the ids it is about */
	const char	*text;
	const char	*id;		/* null: invalid */
};

static const struct record records[] = {
	{ "STS-8", "v=STSv1; id=20160831085700Z;", "20160831085700Z" },
	{ "STS-12 no space", "v=STSv1;id=1", "1" },
	{ "STS-12 spaces and tabs", "v=STSv1 \t; \tid=1\t ; ", "1" },
	{ "S-16 space before the semicolon", "v=STSv1 ; id=1", "1" },
	{ "STS-12 two delimiters at the end", "v=STSv1; id=1;;", NULL },
	{ "STS-12 two delimiters", "v=STSv1;; id=1;", NULL },
	{ "STS-12 space at the end", "v=STSv1; id=1 ", NULL },
	{ "STS-12 another delimiter", "v=STSv1; id=1, a=b", NULL },
	{ "STS-12 none", "v=STSv1 id=1", NULL },
	{ "STS-10 capital V", "V=stsv1; id=1", NULL },
	{ "STS-10 capital V", "V=STSv1; id=1", NULL },
	{ "STS-10 small letters", "v=stsv1; id=1", NULL },
	{ "STS-10 not first", "id=1; v=STSv1;", NULL },
	{ "STS-10 space first", " v=STSv1; id=1", NULL },
	{ "STS-10 longer", "v=STSv10; id=1", NULL },
	{ "STS-10 space within", "v= STSv1; id=1", NULL },
	{ "STS-10 other fields between", "v=STSv1; x=y; id=1; z=1", "1" },
	{ "STS-11 missing", "v=STSv1;", NULL },
	{ "STS-11 missing", "v=STSv1; a=b;", NULL },
	{ "STS-11 empty", "v=STSv1; id=;", NULL },
	{ "STS-11 32 characters", "v=STSv1; id=" ID32 ";", ID32 },
	{ "STS-11 S-16 33 characters", "v=STSv1; id=" ID32 "6;", NULL },
	{ "STS-11 hyphen", "v=STSv1; id=-;", NULL },
	{ "STS-11 hyphen", "v=STSv1; id=a-b;", NULL },
	{ "STS-11 underscore", "v=STSv1; id=a_b;", NULL },
	{ "STS-11 case counts", "v=STSv1; id=aBc", "aBc" },
	{ "STS-11 capital ID", "v=STSv1; ID=1", NULL },
	{ "STS-11 space around =", "v=STSv1; id =1", NULL },
	{ "STS-11 space around =", "v=STSv1; id= 1", NULL },
	{ "STS-11 quoted", "v=STSv1; id=\"1\"", NULL },
	{ "STS-11 8 bit", "v=STSv1; id=\303\274", NULL },
	{ "STS-13 32 characters", "v=STSv1; " NAME32 "=1; id=1", "1" },
	{ "STS-13 33 characters", "v=STSv1; " NAME32 "3=1; id=1", NULL },
	{ "STS-13 all of a name", "v=STSv1; 0a_-.Z=1; id=1", "1" },
	{ "STS-13 first of a name", "v=STSv1; _a=1; id=1", NULL },
	{ "STS-13 no name", "v=STSv1; =1; id=1", NULL },
	{ "STS-13 no value", "v=STSv1; a=; id=1", NULL },
	{ "STS-13 no =", "v=STSv1; a; id=1", NULL },
	{ "STS-13 two =", "v=STSv1; a=b=c; id=1", NULL },
	{ "STS-13 visible", "v=STSv1; a=!:<>~; id=1", "1" },
	{ "STS-13 space in it", "v=STSv1; a=b c; id=1", NULL },
	{ "STS-13 control character", "v=STSv1; a=\001; id=1", NULL },
	{ "STS-13 8 bit", "v=STSv1; a=\303\274; id=1", NULL },
	{ "STS-13 behind the id", "v=STSv1; id=1; a=", NULL },
	{ "STS-14 first id", "v=STSv1; id=1; id=2;", "1" },
	{ "STS-14 first id is wrong", "v=STSv1; id=a-b; id=2;", NULL },
	{ "STS-14 second version", "v=STSv1; id=1; v=STSv2", "1" },
	{ "line end", "v=STSv1; id=1\r\n", NULL },
};

static void test_record(void **state)
{
	char id[STS_ID_MAX + 1], why[160];
	const char *texts[1];
	size_t lengths[1], i;

	(void)state;
	for (i = 0; i < sizeof(records) / sizeof(records[0]); i++) {
		texts[0] = records[i].text;
		lengths[0] = strlen(texts[0]);
		why[0] = '\0';
		if (sts_read_txt(texts, lengths, 1, id, why, sizeof(why)) !=
		    (records[i].id == NULL ? -1 : 0))
			fail_msg("%s: %s (%s)", records[i].name, texts[0],
			    why);
		assert_string_equal(id, records[i].id == NULL ? "" :
		    records[i].id);
		assert_int_equal(records[i].id == NULL, why[0] != '\0');
	}
}

/* Bytes behind a NUL count, too. */
static void test_record_with_nul(void **state)
{
	static const char text[] = "v=STSv1; id=1\0; a=b";
	const char *texts[1] = { text };
	size_t lengths[1] = { sizeof(text) - 1 };
	char id[STS_ID_MAX + 1], why[160];

	(void)state;
	assert_int_equal(-1, sts_read_txt(texts, lengths, 1, id, why,
	    sizeof(why)));
}

/* STS-7: strings of one record come joined. STS-8, S-14: of several records,
 * exactly one must be ours. */
static void test_records(void **state)
{
	static const struct {
		const char	*texts[4];
		const char	*id;
	} cases[] = {
		{ { NULL }, NULL },
		{ { "v=spf1 -all", NULL }, NULL },
		{ { "v=spf1 -all", "v=STSv1; id=1", NULL }, "1" },
		{ { "v=STSv1; id=1", "v=spf1 -all", "", NULL }, "1" },
		{ { "v=STSv1; id=1", "v=STSv1; id=1", NULL }, NULL },
		{ { "v=STSv1; id=1", "v=STSv1; id=2", NULL }, NULL },
		/* STS-9: the wrong one is not discarded by its prefix. */
		{ { "v=STSv1; id=1", "v=STSv1; id=", NULL }, NULL },
		{ { "v=STSv1; id=1", "v=STSv1 ; id=2", NULL }, NULL },
		{ { "v=STSv1; id=1", "v=STSv1", NULL }, "1" },
		{ { "v=STSv1; id=1", "v=STSv2; id=2", NULL }, "1" },
		{ { "v=STSv1; id=1", "V=STSV1; id=2", NULL }, "1" },
	};
	char id[STS_ID_MAX + 1], why[160];
	size_t lengths[4], i, count;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		for (count = 0; cases[i].texts[count] != NULL; count++)
			lengths[count] = strlen(cases[i].texts[count]);
		if (sts_read_txt(cases[i].texts, lengths, count, id, why,
		    sizeof(why)) != (cases[i].id == NULL ? -1 : 0))
			fail_msg("case %zu", i);
		assert_string_equal(id, cases[i].id == NULL ? "" :
		    cases[i].id);
	}
}

/* --- the policy --- */

#define V "version: STSv1\n"
#define E "mode: enforce\n"
#define M "mx: mx.example.org\n"
#define A "max_age: 86400\n"

struct body {
	const char	*name;
	const char	*text;
	bool		 valid;
};

static const struct body bodies[] = {
	{ "STS-40 LF", V E M A, true },
	{ "STS-40 CRLF", "version: STSv1\r\nmode: enforce\r\n"
	    "mx: mx.example.org\r\nmax_age: 86400\r\n", true },
	{ "STS-40 S-28 both", "version: STSv1\r\n" E
	    "mx: mx.example.org\r\n" A, true },
	{ "STS-40 no last terminator", V E M "max_age: 86400", true },
	{ "STS-40 no last terminator, space", V E M "max_age: 86400 ", true },
	{ "STS-40 no space", "version:STSv1\nmode:enforce\n"
	    "mx:mx.example.org\nmax_age:86400\n", true },
	{ "STS-40 much space", "version: \t STSv1\nmode:\t\tenforce \t\n"
	    "mx:  mx.example.org  \r\nmax_age: 86400\t\r\n", true },
	{ "STS-40 space before the colon", "version : STSv1\n" E M A, false },
	{ "STS-40 space first", " version: STSv1\n" E M A, false },
	{ "STS-40 CR alone", "version: STSv1\rmode: enforce\r"
	    "mx: mx.example.org\rmax_age: 86400\r", false },
	{ "STS-40 CR CR LF", "version: STSv1\r\r\n" E M A, false },
	{ "STS-40 CR at the end", V E M "max_age: 86400\r", false },
	{ "STS-40 empty line", V "\n" E M A, false },
	{ "empty lines at the end", V E M A "\n\r\n\n", true },
	{ "STS-40 a space in a line at the end", V E M A " \n", false },
	{ "STS-40 only empty lines", "\n\n\n", false },
	{ "STS-40 S-28 BOM", "\357\273\277" V E M A, false },
	{ "STS-40 no colon", V E M A "x\n", false },
	{ "STS-41 nothing", "", false },
	{ "STS-41 S-28 no version", E M A, false },
	{ "STS-41 S-28 no mode", V M A, false },
	{ "STS-41 S-28 no max_age", V E M, false },
	{ "STS-41 S-28 no mx, enforce", V E A, false },
	{ "STS-41 no mx, testing", V "mode: testing\n" A, false },
	{ "STS-41 no mx, none", V "mode: none\n" A, true },
	{ "STS-41 mx with none", V "mode: none\n" M A, true },
	{ "STS-42 another version", "version: STSv2\n" E M A, false },
	{ "STS-42 small letters", "version: stsv1\n" E M A, false },
	{ "STS-42 longer", "version: STSv1x\n" E M A, false },
	{ "STS-42 empty", "version:\n" E M A, false },
	{ "STS-43 testing", V "mode: testing\n" M A, true },
	{ "STS-43 S-28 capital", V "mode: Enforce\n" M A, false },
	{ "STS-43 unknown", V "mode: report\n" M A, false },
	{ "STS-43 two words", V "mode: enforce none\n" M A, false },
	{ "STS-43 empty", V "mode: \n" M A, false },
	{ "keys have a case", V "Mode: enforce\n" M A, false },
	{ "STS-44 words", V E M "max_age: week\n", false },
	{ "STS-44 S-21 negative", V E M "max_age: -1\n", false },
	{ "STS-44 sign", V E M "max_age: +1\n", false },
	{ "STS-44 unit", V E M "max_age: 1d\n", false },
	{ "STS-44 point", V E M "max_age: 1.0\n", false },
	{ "STS-44 empty", V E M "max_age:\n", false },
	{ "STS-44 S-21 11 digits", V E M "max_age: 00000000001\n", false },
	{ "STS-45 wildcard", V E "mx: *.example.org\n" A, true },
	{ "STS-45 one label", V E "mx: localhost\n" A, true },
	{ "STS-45 wildcard of one label", V E "mx: *.org\n" A, true },
	{ "STS-45 A-label", V E "mx: xn--bcher-kva.example\n" A, true },
	{ "STS-45 digits", V E "mx: 1.2.3.example\n" A, true },
	{ "STS-45 S-28 U-label", V E "mx: b\303\274cher.example\n" A, false },
	{ "STS-45 no dot", V E "mx: *example.com\n" A, false },
	{ "STS-45 two stars", V E "mx: *.*.x\n" A, false },
	{ "STS-45 inner star", V E "mx: mx.*.example\n" A, false },
	{ "STS-45 partial star", V E "mx: mx*.example.org\n" A, false },
	{ "STS-45 star alone", V E "mx: *\n" A, false },
	{ "STS-45 star and dot", V E "mx: *.\n" A, false },
	{ "STS-45 star and two dots", V E "mx: *..example\n" A, false },
	{ "STS-45 S-28 first dot", V E "mx: .example.net\n" A, false },
	{ "STS-45 S-28 last dot", V E "mx: mx.example.org.\n" A, false },
	{ "STS-45 two dots", V E "mx: mx..example\n" A, false },
	{ "STS-45 S-28 IPv4", V E "mx: 192.0.2.1\n" A, false },
	{ "STS-45 IPv4 in brackets", V E "mx: [192.0.2.1]\n" A, false },
	{ "STS-45 IPv6", V E "mx: 2001:db8::1\n" A, false },
	{ "STS-45 hyphen first", V E "mx: -a.example\n" A, false },
	{ "STS-45 hyphen last", V E "mx: a-.example\n" A, false },
	{ "STS-45 hyphen last of all", V E "mx: a.example-\n" A, false },
	{ "STS-45 underscore", V E "mx: a_b.example\n" A, false },
	{ "STS-45 empty", V E "mx:\n" A, false },
	{ "STS-45 two names", V E "mx: a.example b.example\n" A, false },
	{ "STS-45 comma", V E "mx: a.example, b.example\n" A, false },
	{ "STS-45 one of several", V E M "mx: *x\n" A, false },
	{ "STS-45 with none, too", V "mode: none\nmx: *x\n" A, false },
	{ "STS-46 S-28 second mode", V E M A "mode: none\n", true },
	{ "STS-46 second mode is nonsense", V E M A "mode: x\n", true },
	{ "STS-46 second version", V E M A "version: STSv2\n", true },
	{ "STS-46 second max_age", V E M A "max_age: x\n", true },
	{ "STS-46 first mode is nonsense", V "mode: x\n" E M A, false },
	{ "STS-47 S-28 unknown key", V E M A "x-y_z.0: a, b = c; \"d\"\n",
	    true },
	{ "STS-47 UTF-8", V E M A "note: gr\303\274n \342\202\254 "
	    "\360\237\224\222\n", true },
	{ "STS-47 no UTF-8", V E M A "note: \374\n", false },
	{ "STS-47 too long a form", V E M A "note: \300\257\n", false },
	{ "STS-47 too long a form", V E M A "note: \340\200\257\n", false },
	{ "STS-47 surrogate", V E M A "note: \355\240\200\n", false },
	{ "STS-47 beyond Unicode", V E M A "note: \364\220\200\200\n", false },
	{ "STS-47 cut", V E M A "note: \342\202", false },
	{ "STS-47 control character", V E M A "note: a\001b\n", false },
	{ "STS-47 inner tab", V E M A "note: a\tb\n", false },
	{ "STS-47 DEL", V E M A "note: \177\n", false },
	{ "STS-47 empty value", V E M A "note:\n", false },
	{ "STS-47 32 characters", V E M A NAME32 ": 1\n", true },
	{ "STS-47 33 characters", V E M A NAME32 "3: 1\n", false },
	{ "STS-47 first of a key", V E M A "-x: 1\n", false },
	{ "STS-47 no key", V E M A ": 1\n", false },
	{ "STS-48 another order", A M E V, true },
	{ "a web page", "<!DOCTYPE html>\n<html></html>\n", false },
};

static int read_body(const char *text, size_t length, struct arena *arena,
    struct sts_policy *policy)
{
	char why[160] = "";
	int result = sts_read_policy(text, length, arena, policy, why,
	    sizeof(why));
	size_t i;

	assert_int_equal(result == -1, why[0] != '\0');
	for (i = 0; why[i] != '\0'; i++)
		assert_in_range(why[i], 0x20, 0x7e);
	return result;
}

static void test_policy(void **state)
{
	struct sts_policy policy;
	struct arena *arena;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
		arena = arena_new(64 << 10);
		if (read_body(bodies[i].text, strlen(bodies[i].text), arena,
		    &policy) != (bodies[i].valid ? 0 : -1))
			fail_msg("%s", bodies[i].name);
		if (bodies[i].valid && (policy.max_age != 86400 ||
		    policy.mode > STS_MODE_ENFORCE))
			fail_msg("%s: other values", bodies[i].name);
		arena_free(arena);
	}
}

/* STS-46: of all keys but mx the first counts, of mx all; lower case. */
static void test_values(void **state)
{
	static const char text[] = V E "mx: MX1.Example.ORG\n"
	    "mx: *.Example.NET\nmax_age: 60\nmode: none\nmax_age: 70\n"
	    "mx: mx3.example\n";
	struct arena *arena = arena_new(64 << 10);
	struct sts_policy policy;

	(void)state;
	assert_int_equal(0, read_body(text, sizeof(text) - 1, arena,
	    &policy));
	assert_int_equal(policy.mode, STS_MODE_ENFORCE);
	assert_int_equal(policy.max_age, 60);
	assert_int_equal(policy.mx_count, 3);
	assert_string_equal(policy.mx[0], "mx1.example.org");
	assert_string_equal(policy.mx[1], "*.example.net");
	assert_string_equal(policy.mx[2], "mx3.example");
	arena_free(arena);
}

/* STS-44, S-21 */
static void test_max_age(void **state)
{
	static const struct { const char *text; int64_t age; } cases[] = {
		{ V E M "max_age: 0", 0 }, { V E M "max_age: 1", 1 },
		{ V E M "max_age: 0000000001", 1 },
		{ V E M "max_age: 31557600", 31557600 },
		{ V E M "max_age: 31557601", 31557600 },
		{ V E M "max_age: 4294967297", 31557600 },
		{ V E M "max_age: 9999999999", 31557600 },
	};
	struct sts_policy policy;
	struct arena *arena;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		arena = arena_new(64 << 10);
		assert_int_equal(0, read_body(cases[i].text,
		    strlen(cases[i].text), arena, &policy));
		assert_true(policy.max_age == cases[i].age);
		arena_free(arena);
	}
}

/* As many mx as we take, and one more; names of all lengths; NUL. */
static void test_sizes(void **state)
{
	static char text[STS_BODY_MAX + 2];
	struct arena *arena = arena_new(1 << 20);
	struct sts_policy policy;
	size_t used, i;

	(void)state;
	used = (size_t)snprintf(text, sizeof(text), V E A);
	for (i = 0; i < STS_MX_MAX; i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used,
		    "mx: mx%zu.example\n", i);
	assert_int_equal(0, read_body(text, used, arena, &policy));
	assert_int_equal(policy.mx_count, STS_MX_MAX);
	used += (size_t)snprintf(text + used, sizeof(text) - used, M);
	assert_int_equal(-1, read_body(text, used, arena, &policy));
	for (i = 250; i < 257; i++) {
		used = (size_t)snprintf(text, sizeof(text), V E A "mx: ");
		memset(text + used, 'a', i);
		text[used + 60] = text[used + 120] = text[used + 180] =
		    text[used + 240] = '.';
		assert_int_equal(i <= 253 ? 0 : -1, read_body(text, used + i,
		    arena, &policy));
	}
	for (i = 62; i < 66; i++) {
		used = (size_t)snprintf(text, sizeof(text), V E A "mx: ");
		memset(text + used, 'a', i);
		assert_int_equal(i <= 63 ? 0 : -1, read_body(text, used + i,
		    arena, &policy));
	}
	used = (size_t)snprintf(text, sizeof(text), V E M A "note: ");
	memset(text + used, 'x', sizeof(text) - used);
	assert_int_equal(0, read_body(text, STS_BODY_MAX, arena, &policy));
	assert_int_equal(-1, read_body(text, STS_BODY_MAX + 1, arena,
	    &policy));
	assert_int_equal(-1, read_body(V E M A "\0", sizeof(V E M A), arena,
	    &policy));
	assert_int_equal(-1, read_body("version: STSv1\0\n" E M A, 16 +
	    strlen(E M A), arena, &policy));
	arena_free(arena);
}

/* --- the match --- */

static void test_match(void **state)
{
	static const struct {
		const char	*name, *pattern, *host;
		bool		 matches;
	} cases[] = {
		{ "STS-55", "mx.example.org", "mx.example.org", true },
		{ "STS-55 S-04", "mx.example.org", "mx.example.net", false },
		{ "STS-55 a part", "mx.example.org", "x.example.org", false },
		{ "STS-55 more", "mx.example.org", "a.mx.example.org",
		    false },
		{ "STS-55 longer", "mx.example.org", "mx.example.org.evil",
		    false },
		{ "STS-56", "*.example.com", "mail.example.com", true },
		{ "STS-56 S-05", "*.example.com", "example.com", false },
		{ "STS-56 S-05", "*.example.com", "a.b.example.com", false },
		{ "STS-56", "*.example.com", ".example.com", false },
		{ "STS-56", "*.example.com", "mailexample.com", false },
		{ "STS-56", "*.example.com", "*.example.com", true },
		{ "STS-56", "*.com", "example.com", true },
		{ "STS-57", "mx.example.org", "MX.Example.Org", true },
		{ "STS-57", "*.example.org", "MX.EXAMPLE.ORG", true },
		{ "STS-57", "mx.example.org", "mx.example.org.", true },
		{ "STS-57", "*.example.org", "mx.example.org.", true },
		{ "STS-57", "mx.example.org", "mx.example.org..", false },
		{ "STS-57 S-33", "xn--bcher-kva.example",
		    "xn--Bcher-kva.example", true },
		{ "empty", "mx.example.org", "", false },
		{ "root", "*.example.org", ".", false },
		{ "no dot", "*.example.org", "localhost", false },
		{ "S-42 the limit", "*.example.com", "dhcp-1.example.com",
		    true },
	};
	char *patterns[1];
	struct sts_policy policy = { .mx = patterns, .mx_count = 1 };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		patterns[0] = (char *)(uintptr_t)cases[i].pattern;
		if (sts_matches(&policy, cases[i].host) != cases[i].matches)
			fail_msg("%s: %s, %s", cases[i].name,
			    cases[i].pattern, cases[i].host);
	}
	policy.mx_count = 0;
	assert_false(sts_matches(&policy, "mx.example.org"));
}

/* Any one of them is enough. */
static void test_match_several(void **state)
{
	char one[] = "mx.example.org", other[] = "*.example.net";
	char *patterns[2] = { one, other };
	struct sts_policy policy = { .mx = patterns, .mx_count = 2 };

	(void)state;
	assert_true(sts_matches(&policy, "mx.example.org"));
	assert_true(sts_matches(&policy, "mx9.example.net"));
	assert_false(sts_matches(&policy, "mx9.example.org"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_record),
		cmocka_unit_test(test_record_with_nul),
		cmocka_unit_test(test_records),
		cmocka_unit_test(test_policy),
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_max_age),
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_match),
		cmocka_unit_test(test_match_several),
	};

	log_init("test", LOG_LEVEL_FATAL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
