/* SPDX-License-Identifier: ISC */
/*
 * authentic/results.c: the field that we write (AUTHN-35 to AUTHN-40), and
 * which fields from outside are taken for ours (AUTHN-34, AUTHN-38).
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "authentic/fields.h"
#include "authentic/results.h"
#include "base/buf.h"
#include "base/mem.h"

#define PREFIX "Authentication-Results: mx.example.org"
#define LONG_NAME "a123456789a123456789a123456789a123456789a123456789a123456789"

static const struct dkim_result good = { .proof = PROOF_PASS,
    .domain = "example.com", .identity = "joe@sub.example.com",
    .selector = "s1", .algorithm = "rsa-sha256", .signature = "ab/+cd12",
    .reason = "" };
static const struct dkim_result bad = { .proof = PROOF_FAIL,
    .domain = "example.net", .identity = "joe@example.net",
    .selector = "s2", .algorithm = "ed25519-sha256", .signature = "abcdefgh",
    .reason = "the body has been changed" };
static const struct dkim_result unread = { .proof = PROOF_PERMERROR,
    .domain = "", .identity = "", .selector = "", .algorithm = "",
    .signature = "", .reason = "there are no tags" };
static const struct dkim_result nasty = { .proof = PROOF_PASS,
    .domain = "example.com", .identity = "a \"b\\;(@example.com",
    .selector = "s\xc3\xa4", .algorithm = "a;b", .signature = "=\r\n x",
    .reason = "" };
static const struct dkim_result foreign = { .proof = PROOF_PASS,
    .domain = "example.com", .identity = "j\xc3\xb6@example.com",
    .selector = "s", .algorithm = "rsa-sha256", .signature = "x",
    .reason = "" };
static const struct dkim_result huge = { .proof = PROOF_PASS,
    .domain = LONG_NAME "." LONG_NAME "." LONG_NAME "." LONG_NAME,
    .identity = LONG_NAME LONG_NAME LONG_NAME LONG_NAME LONG_NAME LONG_NAME
    "@example.com", .selector = LONG_NAME "." LONG_NAME,
    .algorithm = "rsa-sha256", .signature = "x", .reason = "" };

static const struct dkim_result *const both[] = { &good, &bad };
static const struct dkim_result *const one_unread[] = { &unread };
static const struct dkim_result *const one_nasty[] = { &nasty };
static const struct dkim_result *const one_foreign[] = { &foreign };
static const struct dkim_result *const one_huge[] = { &huge };
static const struct dkim_result *const eight_huge[] = { &huge, &huge, &huge,
    &huge, &huge, &huge, &huge, &huge };

static const struct {
	struct results	 results;
	const char	*expected;
} fields[] = {
	/* AUTHN-37 */
	{ { .name = "mx.example.org" }, PREFIX "; none\r\n" },
	{ { .name = "mx.example.org", .dkim_done = true },
	    PREFIX "; dkim=none\r\n" },
	/* AUTHN-35, AUTHN-36: no local part of SPF, nor of what failed */
	{ { .name = "mx.example.org", .dkim_done = true, .dkim = both,
	    .dkim_count = 2, .spf_done = true, .spf = PROOF_SOFTFAIL,
	    .spf_domain = "example.com", .dmarc_done = true,
	    .dmarc = PROOF_PASS, .dmarc_domain = "example.com",
	    .dmarc_policy = "reject" },
	    PREFIX "; spf=softfail\r\n smtp.mailfrom=example.com; dkim=pass "
	    "header.d=example.com\r\n header.i=joe@sub.example.com "
	    "header.a=rsa-sha256 header.s=s1\r\n header.b=\"ab/+cd12\"; "
	    "dkim=fail reason=\"the body has been changed\"\r\n "
	    "header.d=example.net header.i=@example.net "
	    "header.a=ed25519-sha256\r\n header.s=s2 header.b=abcdefgh; "
	    "dmarc=pass (p=reject)\r\n header.from=example.com\r\n" },
	{ { .name = "mx.example.org", .user = "me@example.org" },
	    PREFIX "; auth=pass\r\n smtp.auth=\"me@example.org\"\r\n" },
	{ { .name = "mx.example.org", .iprev_done = true,
	    .iprev = PROOF_TEMPERROR, .client = "192.0.2.1" },
	    PREFIX "; iprev=temperror\r\n policy.iprev=192.0.2.1\r\n" },
	{ { .name = "mx.example.org", .iprev_done = true,
	    .iprev = PROOF_PASS, .client = "2001:db8::1" },
	    PREFIX "; iprev=pass\r\n policy.iprev=\"2001:db8::1\"\r\n" },
	{ { .name = "mx.example.org", .spf_done = true, .spf = PROOF_NONE,
	    .spf_of_hello = true, .spf_domain = "[192.0.2.1]" },
	    PREFIX "; spf=none\r\n smtp.helo=\"[192.0.2.1]\"\r\n" },
	{ { .name = "mx.example.org", .spf_done = true,
	    .spf = PROOF_PERMERROR, .spf_domain = "" },
	    PREFIX "; spf=permerror\r\n" },
	/* no record, and words that are none */
	{ { .name = "mx.example.org", .dmarc_done = true, .dmarc = PROOF_NONE,
	    .dmarc_domain = "example.com", .dmarc_policy = "" },
	    PREFIX "; dmarc=none\r\n header.from=example.com\r\n" },
	{ { .name = "mx.example.org", .dmarc_done = true, .dmarc = PROOF_FAIL,
	    .dmarc_domain = "x", .dmarc_policy = "reject)" },
	    PREFIX "; dmarc=fail\r\n header.from=x\r\n" },
	/* AUTHN-39: nothing gets out of its quotes */
	{ { .name = "mx.example.org", .dkim_done = true, .dkim = one_unread,
	    .dkim_count = 1 }, PREFIX "; dkim=permerror\r\n"
	    " reason=\"there are no tags\"\r\n" },
	{ { .name = "mx.example.org", .dkim_done = true, .dkim = one_nasty,
	    .dkim_count = 1 }, PREFIX "; dkim=pass\r\n header.d=example.com "
	    "header.i=\"a \\\"b\\\\;(@example.com\" header.a=\"a;b\"\r\n "
	    "header.b=\"=?? x\"\r\n" },
	{ { .name = "mx.example.org", .dkim_done = true, .dkim = one_foreign,
	    .dkim_count = 1 }, PREFIX "; dkim=pass\r\n header.d=example.com "
	    "header.i=@example.com header.a=rsa-sha256 header.s=s\r\n "
	    "header.b=x\r\n" },
	{ { .name = "mx.example.org", .dkim_done = true, .dkim = one_foreign,
	    .dkim_count = 1, .utf8 = true }, PREFIX "; dkim=pass\r\n "
	    "header.d=example.com header.i=\"j\xc3\xb6@example.com\" "
	    "header.a=rsa-sha256 header.s=s\r\n header.b=x\r\n" },
	{ { .name = "mx.example.org", .user = "j\xc3\xb6" },
	    PREFIX "; auth=pass\r\n" },
	{ { .name = "mx.example.org", .user = "j\xc3\xb6", .utf8 = true },
	    PREFIX "; auth=pass\r\n smtp.auth=\"j\xc3\xb6\"\r\n" },
	{ { .name = "mx.example.org", .user = "j\xff", .utf8 = true },
	    PREFIX "; auth=pass\r\n" },
	{ { .name = "our mail", .user = "u" }, "Authentication-Results: "
	    "\"our mail\"; auth=pass smtp.auth=u\r\n" },
};

static void check_lines(const char *text)
{
	while (*text != '\0') {
		size_t length = strcspn(text, "\r\n");

		assert_true(length > 0 && length <= 998);
		assert_int_equal(strncmp(text + length, "\r\n", 2), 0);
		text += length + 2;
		assert_true(*text == '\0' || *text == ' ');
	}
}

/* Where it folds does not matter. Owned. */
static char *unfold(const char *text)
{
	char *copy = mem_dup_string(text), *to = copy;

	for (; *text != '\0'; text++)
		if (*text != '\r' && *text != '\n')
			*to++ = *text;
	*to = '\0';
	return copy;
}

static void test_fields(void **state)
{
	char *made, *expected;
	struct buf out;

	(void)state;
	buf_init(&out, 1 << 16);
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		buf_reset(&out);
		assert_int_equal(results_print(&fields[i].results, &out), 0);
		check_lines(buf_string(&out));
		made = unfold(buf_string(&out));
		expected = unfold(fields[i].expected);
		assert_string_equal(made, expected);
		mem_free(made);
		mem_free(expected);
	}
	buf_release(&out);
}

static void test_long(void **state)
{
	struct results results = { .name = "mx.example.org",
	    .dkim_done = true, .dkim = one_huge, .dkim_count = 1 };
	struct buf out, small;
	char *name;

	(void)state;
	buf_init(&out, 1 << 16);
	assert_int_equal(results_print(&results, &out), 0);
	check_lines(buf_string(&out));
	assert_non_null(strstr(buf_string(&out), " header.i=@example.com"));
	/* eight of them, with all else as long as it can be: cut short */
	name = mem_alloc(400);
	memset(name, '"', 320);
	buf_reset(&out);
	results.dkim = eight_huge;
	results.dkim_count = 8;
	results.name = results.spf_domain = results.dmarc_domain =
	    results.user = results.client = name;
	results.spf_done = results.dmarc_done = results.iprev_done = true;
	assert_int_equal(results_print(&results, &out), 0);
	assert_true(buf_length(&out) <= RESULTS_BYTES_MAX);
	assert_non_null(strstr(buf_string(&out), " header.d=" LONG_NAME));
	assert_null(strstr(buf_string(&out), " header.s="));
	check_lines(buf_string(&out));
	buf_init(&small, 60);
	assert_int_equal(results_print(&results, &small), -1);
	assert_int_equal(buf_length(&small), 0);
	memset(name, 'n', 399);
	results.name = name;
	assert_int_equal(results_print(&results, &out), -1);
	buf_release(&out);
	buf_release(&small);
	mem_free(name);
}

/* --- fields from outside --- */

static const struct {
	const char	*text;
	bool		 ours;
} forged[] = {
	/* AUTHN-34: ours, however it is written */
	{ PREFIX "; none", true },
	{ PREFIX, true },
	{ "authentication-RESULTS:MX.Example.ORG;spf=pass", true },
	{ "Authentication-Results \t: mx.example.org; none", true },
	{ "Authentication-Results:\r\n\tmx.example.org\r\n ; none", true },
	{ "Authentication-Results: (c) mx.example.org (d); none", true },
	{ "Authentication-Results: (a(b\\)(c))d) mx.example.org; x", true },
	{ "Authentication-Results: (other.example;) mx.example.org; x", true },
	{ "Authentication-Results: \"mx.example.org\"; none", true },
	{ "Authentication-Results: \"mx.\\example.org\"; none", true },
	{ "Authentication-Results: \" mx.example.\r\n org \"; none", true },
	{ "Authentication-Results: mx.example.org 1; none", true },
	{ "Authentication-Results: mx.example.org (v) 1 ; none", true },
	{ "Authentication-Results: mx.example.org.; none", true },
	{ "Authentication-Results: mx%2Eexample%2eorg; none", true },
	{ "Authentication-Results: mx.example.%6Frg; none", true },
	/* what cannot be read */
	{ "Authentication-Results:", true },
	{ "Authentication-Results: ; none", true },
	{ "Authentication-Results: (mx.example.org; none", true },
	{ "Authentication-Results: \"other.example; none", true },
	{ "Authentication-Results: \"\"; none", true },
	{ "Authentication-Results: other example; none", true },
	{ "Authentication-Results: other . example; none", true },
	{ "Authentication-Results: spf=pass smtp.mailfrom=x; none", true },
	{ "Authentication-Results: =?utf-8?q?mx.example.org?=; none", true },
	{ "Authentication-Results: other.example/1; none", true },
	{ "Authentication-Results: other.example\x01; none", true },
	{ "Authentication-Results: \xff; none", true },
	{ "Authentication-Results: %; none", false },
	{ "Authentication-Results: %00; none", true },
	/* AUTHN-38: another version */
	{ "Authentication-Results: other.example 2; none", true },
	{ "Authentication-Results: other.example 12; none", true },
	{ "Authentication-Results: other.example 1x; none", true },
	{ "Authentication-Results: other.example 0; none", true },
	{ "Authentication-Results: other.example 01; none", false },
	/* those of others, and other fields */
	{ "Authentication-Results: other.example; none", false },
	{ "Authentication-Results: other.example 1; none", false },
	{ "Authentication-Results: other.example (mx.example.org); x", false },
	{ "Authentication-Results: ((a)b(c)) other.example; x", false },
	{ "Authentication-Results: xmx.example.org; none", false },
	{ "Authentication-Results: example.org; none", false },
	{ "Authentication-Results: mx.example.org.other.example; x", false },
	{ "Authentication-Results: \"a (\"; none", false },
	{ "Authentication-Results: b\xc3\xbc" "cher.example; none", false },
	{ "ARC-Authentication-Results: i=1; mx.example.org; x", false },
	{ "X-Authentication-Results: mx.example.org; x", false },
	{ "Authentication-Result: mx.example.org; x", false },
	{ "Authentication-Results mx.example.org; x", false },
	{ "Subject: Authentication-Results: mx.example.org", false },
};

static bool judge(const char *text, const char *name)
{
	struct fields *header = fields_new();
	bool ours;

	fields_feed(header, text, strlen(text));
	fields_feed(header, "\r\n\r\n", 4);
	assert_int_equal(header->count, 1);
	ours = results_field_is_ours(&header->items[0], name);
	fields_free(header);
	return ours;
}

static void test_forged(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(forged) / sizeof(forged[0]); i++)
		if (judge(forged[i].text, "mx.example.org") != forged[i].ours)
			fail_msg("%s", forged[i].text);
	/* U-labels and A-labels (RFC 8616), and names that are none */
	assert_true(judge("Authentication-Results: b\xc3\xbc" "cher.example; x",
	    "xn--bcher-kva.example"));
	assert_true(judge("Authentication-Results: XN--bcher-kva.example; x",
	    "b\xc3\xbc" "cher.example"));
	assert_true(judge("Authentication-Results: \"our mail\"; x",
	    "our mail"));
	assert_true(judge("Authentication-Results: Our_Mail; x",
	    "our_mail"));
	assert_true(judge("Authentication-Results: 100%25; x", "100%25"));
}

/* What we write is ours when it comes back. */
static void test_own(void **state)
{
	struct buf out;

	(void)state;
	buf_init(&out, 1 << 16);
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		buf_reset(&out);
		results_print(&fields[i].results, &out);
		buf_truncate(&out, buf_length(&out) - 2);
		assert_true(judge(buf_string(&out), fields[i].results.name));
		assert_false(judge(buf_string(&out), "mx2.example.org"));
	}
	buf_release(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fields),
		cmocka_unit_test(test_long),
		cmocka_unit_test(test_forged),
		cmocka_unit_test(test_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
