/* SPDX-License-Identifier: ISC */
/*
 * authentic/dmarc*.c against tests/vectors/dmarc, one test a case; and the
 * author's domain out of From fields. Each step starts with an empty arena of
 * the size that is promised.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "authentic/dmarc.h"
#include "authentic/fields.h"
#include "base/arena.h"
#include "base/buf.h"
#include "tests/unit/authentic_dns.h"

enum { DOMAINS_MAX = 16 };

static const char *const files[] = { "dmarc/record.json", "dmarc/align.json",
    "dmarc/walk.json", "dmarc/wish.json" };

/* --- vectors --- */

static void read_question(const json_t *test,
    struct dmarc_question *question, const char **domains)
{
	const json_t *dkim = json_object_get(test, "dkim");
	size_t i;

	memset(question, 0, sizeof(*question));
	question->author = vector_text(test, "author", "");
	question->spf_domain = vector_text(test, "spf", "elsewhere.example");
	question->spf_pass = json_object_get(test, "spf") != NULL;
	question->temporary = vector_flag(test, "temporary");
	question->dkim_domains = domains;
	question->dkim_count = json_array_size(dkim);
	assert_in_range(question->dkim_count, 0, DOMAINS_MAX);
	for (i = 0; i < question->dkim_count; i++)
		domains[i] = json_string_value(json_array_get(dkim, i));
}

static void compare_text(const json_t *test, const char *key,
    const char *text)
{
	const char *expected = vector_text(test, key, NULL);

	if (expected != NULL)
		assert_string_equal(text, expected);
}

static void compare(const json_t *test, const struct dmarc_step *step)
{
	const char *result = vector_text(test, "result", "?");

	if (strcmp(proof_name(step->proof), result) != 0)
		fail_msg("%s (%s), not %s", proof_name(step->proof),
		    step->reason, result);
	assert_string_not_equal(step->reason, "");
	compare_text(test, "wish", dmarc_wish_name(step->wish));
	compare_text(test, "domain", step->record_domain);
	compare_text(test, "organization", step->organization);
	if (step->proof == PROOF_PASS || step->proof == PROOF_FAIL)
		assert_true(step->has_record);
	if (step->proof == PROOF_NONE || step->proof == PROOF_PERMERROR)
		assert_false(step->has_record);
	if (!step->has_record)
		assert_int_equal(step->wish, DMARC_WISH_NONE);
}

static void test_vector(void **state)
{
	const json_t *test = *state;
	struct arena *arena = arena_new(DMARC_MEMORY_MAX);
	const char *domains[DOMAINS_MAX];
	struct dmarc_question question;
	struct dmarc_step step;
	struct small_dns dns;

	small_dns_init(&dns, json_object_get(test, "zone"));
	read_question(test, &question, domains);
	for (;;) {
		arena_reset(arena);
		dmarc_step(&question, &dns.answers, arena, &step);
		if (step.done)
			break;
		assert_in_range(dns.answers.count, 0, DMARC_LOOKUPS_MAX - 1);
		small_dns_answer(&dns, step.type, step.name);
	}
	compare(test, &step);
	small_dns_compare(&dns, json_object_get(test, "queries"));
	small_dns_release(&dns);
	arena_free(arena);
}

/*
 * Nine domains of which each has a walk of its own below the organisation, and
 * an author's domain that is looked for: no question needs more (AUTHN-68).
 */
static void test_most_lookups(void **state)
{
	struct arena *arena = arena_new(DMARC_MEMORY_MAX);
	json_t *names = json_pack("{s: {s: [s]}, s: {s: [[i, s]]}}",
	    "_dmarc.example.org", "TXT", "v=DMARC1; p=none; np=reject",
	    "a.b.c.d.e.f.g.example.org", "MX", 10, "mx.example.org");
	char texts[DMARC_DKIM_MAX][64];
	const char *domains[DMARC_DKIM_MAX];
	struct dmarc_question question = {
	    .author = "a.b.c.d.e.f.g.example.org", .spf_pass = true,
	    .spf_domain = "s.b.c.d.e.f.g.s.example.org",
	    .dkim_domains = domains, .dkim_count = DMARC_DKIM_MAX };
	struct small_dns dns;
	struct dmarc_step step;
	unsigned i;

	(void)state;
	/* Each is of an organisation of its own. */
	for (i = 0; i <= DMARC_DKIM_MAX; i++) {
		char name[80];

		snprintf(name, sizeof(name), "_dmarc.%c.example.org",
		    i == DMARC_DKIM_MAX ? 's' : 'h' + i);
		json_object_set_new(names, name, json_pack("{s: [s]}", "TXT",
		    "v=DMARC1; p=none; psd=n"));
	}
	for (i = 0; i < DMARC_DKIM_MAX; i++) {
		snprintf(texts[i], sizeof(texts[i]),
		    "s.b.c.d.e.f.g.%c.example.org", 'h' + i);
		domains[i] = texts[i];
	}
	small_dns_init(&dns, names);
	for (;;) {
		arena_reset(arena);
		dmarc_step(&question, &dns.answers, arena, &step);
		if (step.done)
			break;
		small_dns_answer(&dns, step.type, step.name);
	}
	assert_int_equal(step.proof, PROOF_FAIL);
	assert_int_equal(step.wish, DMARC_WISH_NONE);
	/* Eight for the author, six for each other, and what says that the
	 * author's exists. */
	assert_int_equal(dns.answers.count, 8 + 9 * 6 + 3);
	assert_in_range(dns.answers.count, 0, DMARC_LOOKUPS_MAX);
	small_dns_release(&dns);
	arena_free(arena);
	json_decref(names);
}

/* --- the author's domain --- */

static void expect_author_of(const char *header, size_t length,
    const char *expected)
{
	struct fields *fields = fields_new();
	struct arena *arena = arena_new(4096);
	const char *domain;

	fields_feed(fields, header, length);
	fields_finish(fields);
	domain = dmarc_author_domain(fields, arena);
	if (expected == NULL && domain != NULL)
		fail_msg("\"%s\" has the domain %s", header, domain);
	if (expected != NULL && (domain == NULL ||
	    strcmp(domain, expected) != 0))
		fail_msg("\"%s\" has the domain %s", header,
		    domain == NULL ? "(none)" : domain);
	fields_free(fields);
	arena_free(arena);
}

static void expect_author(const char *header, const char *expected)
{
	expect_author_of(header, strlen(header), expected);
}

/* AUTHN-65 */
static void test_author_of_one_address(void **state)
{
	static const char *const values[] = { "a@example.org",
	    "<a@example.org>", "A B <a@Example.ORG>", "\"A B\" <a@example.org>",
	    "a@example.org (a comment)", "(b@other.example) a@example.org",
	    "a (one (two) \\) three) @ (four) example (five) . org",
	    "\"b@other.example\" <a@example.org>",
	    "\"b\\\"@other.example\" <a@example.org>",
	    "\"b@other.example\"@example.org", "a.b.c@example.org",
	    "a.@example.org", "a..b@example.org",
	    "A\r\n\t<a\r\n @example.org>", "=?utf-8?q?b=40other.example?= "
	    "<a@example.org>", "<@relay.example,@other.example:a@example.org>",
	    "friends: a@example.org;", "a@example.org.", "a@example.org,",
	    "J\xc3\xbcrgen <j\xc3\xbcrgen@example.org>",
	    "A (never closed <a@example.org>", "A \" B <a@example.org>",
	    "A ) ] \\ <a@example.org>" };
	char header[512];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		snprintf(header, sizeof(header), "To: x@other.example\r\n"
		    "From: %s\r\nSubject: x\r\n\r\n", values[i]);
		expect_author(header, "example.org");
	}
	expect_author("from:a@example.org\r\n\r\n", "example.org");
	expect_author("FROM : a@example.org\r\n\r\n", "example.org");
	expect_author("From: a@b\xc3\xbc" "cher.example\r\n\r\n",
	    "xn--bcher-kva.example");
	expect_author("From: a@localhost\r\n\r\n", "localhost");
}

/* AUTHN-65: several with one domain have one. */
static void test_author_of_several_addresses(void **state)
{
	(void)state;
	expect_author("From: a@example.org, B <b@EXAMPLE.org>\r\n\r\n",
	    "example.org");
	expect_author("From: a@example.org, b@other.example\r\n\r\n", NULL);
	expect_author("From: g: a@example.org, c;, b@other.example\r\n\r\n",
	    NULL);
	expect_author("From: a@example.org <b@other.example>\r\n\r\n", NULL);
	expect_author("From: <b@other.example> a@example.org\r\n\r\n", NULL);
	expect_author("From: a@example.org\r\nFrom: a@example.org\r\n\r\n",
	    NULL);
	expect_author("From: a@example.org\r\nX: y\r\nfrom: b@a.example\r\n"
	    "\r\n", NULL);
}

/* AUTHN-65 */
static void test_author_of_no_address(void **state)
{
	static const char *const values[] = { "", " ", "a", "<a>", "<>",
	    "friends:;", "@example.org", "<@example.org>", "a@", "a@ ,b",
	    "a@[192.0.2.1]", "a@[IPv6:2001:db8::1]", "a@.example.org",
	    "a@example..org", "a@exam_ple.org", "a@\"example.org\"",
	    "(a@example.org)", "\"a@example.org\"", "a@-x.org",
	    "a@b@example.org", "a@example.org@b..c",
	    "A @ <a@example.org>" };
	char header[512];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		snprintf(header, sizeof(header), "From: %s\r\n\r\n",
		    values[i]);
		expect_author(header, NULL);
	}
	expect_author_of("From: a@example.org\0.other.example\r\n\r\n",
	    sizeof("From: a@example.org\0.other.example\r\n\r\n") - 1, NULL);
	expect_author("Subject: x\r\nSender: a@example.org\r\n\r\n", NULL);
	expect_author("", NULL);
}

/* A label of 64 octets, a name that fills the buffer, one beyond it. */
static void test_author_of_long_names(void **state)
{
	char name[2048], header[4096];

	(void)state;
	memset(name, 'a', sizeof(name));
	name[63] = '\0';
	snprintf(header, sizeof(header), "From: x@%s.org\r\n\r\n", name);
	memcpy(name + 63, ".org", 5);
	expect_author(header, name);
	name[63] = 'a';
	snprintf(header, sizeof(header), "From: x@%s\r\n\r\n", name);
	expect_author(header, NULL);
	memset(name, 'a', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	snprintf(header, sizeof(header), "From: x@%s\r\n\r\n", name);
	expect_author(header, NULL);
}

/* What never ends is not looked for again and again, or this would take
 * minutes. */
static void test_author_among_many_openings(void **state)
{
	struct buf buf;
	size_t i;

	(void)state;
	buf_init(&buf, FIELDS_BYTES_MAX);
	buf_add_string(&buf, "From: ");
	for (i = 0; i < 80000; i++)
		buf_add_string(&buf, "( ");
	for (i = 0; i < 30000; i++)
		buf_add_string(&buf, "[ ");
	buf_add_string(&buf, "<a@example.org>\r\n\r\n");
	expect_author(buf_string(&buf), "example.org");
	buf_release(&buf);
}

/* Of a header that is not all there nothing is believed (fields.h). */
static void test_author_of_a_large_header(void **state)
{
	struct buf buf;

	(void)state;
	buf_init(&buf, 2 * FIELDS_BYTES_MAX);
	buf_add_string(&buf, "From: a@example.org\r\n");
	while (buf_length(&buf) < FIELDS_BYTES_MAX)
		buf_add_string(&buf, "X-Filler: filler filler filler filler "
		    "filler filler filler filler filler filler filler filler\r\n");
	buf_add_string(&buf, "From: b@other.example\r\n\r\n");
	expect_author(buf_string(&buf), NULL);
	buf_release(&buf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_most_lookups),
		cmocka_unit_test(test_author_of_one_address),
		cmocka_unit_test(test_author_of_several_addresses),
		cmocka_unit_test(test_author_of_no_address),
		cmocka_unit_test(test_author_of_long_names),
		cmocka_unit_test(test_author_among_many_openings),
		cmocka_unit_test(test_author_of_a_large_header),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	return failed + vector_run("dmarc", files, sizeof(files) /
	    sizeof(files[0]), test_vector);
}
