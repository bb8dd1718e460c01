/* SPDX-License-Identifier: ISC */
/*
 * policy/outcome.c on a real ledger with a clock that the test plays: what
 * counts, under which policy, in which words (RFC 8460 4), across midnight and
 * a restart, and within which bounds.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/log.h"
#include "policy/ledger.h"
#include "policy/observation.h"
#include "policy/outcome.h"
#include "policy/plan.h"
#include "tests/fake_time.h"
#include "tests/scratch.h"

#define TODAY "2026-11-22"

static char home[64];
static struct ledger *ledger;
static struct outcomes *outcomes;

/* --- the world --- */

static const char body[] = "version: STSv1\r\nmode: testing\r\n"
    "mx: mx.a.example\r\nnote: k\xc3\xb6nig\r\nmx:  *.b.example\r\n"
    "max_age: 86400\r\n";

static const char *published(void *arg, const char *domain, const char *id,
    size_t *length)
{
	(void)arg;
	*length = sizeof(body) - 1;
	return strcmp(domain, "a.example") == 0 && strcmp(id, "1") == 0 ?
	    body : NULL;
}

static void start(void)
{
	ledger = ledger_new(home);
	outcomes = outcomes_new(ledger);
	outcomes_set_source(outcomes, published, NULL);
	ledger_open(ledger);
}

static void stop(void)
{
	outcomes_free(outcomes);
	ledger_free(ledger);
}

static void restart(void)
{
	stop();
	start();
}

static int set_up(void **state)
{
	(void)state;
	fake_time_begin();
	if (scratch_make(home, sizeof(home), "outcome") == -1)
		return -1;
	start();
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	stop();
	assert_int_equal(fake_time_timers(), 0);
	return scratch_remove(home);
}

/* --- what was counted --- */

static json_t *listed;

static void visit(void *arg, json_t *object)
{
	(void)arg;
	json_array_append_new(listed, object);
}

static json_t *list(const char *day)
{
	json_decref(listed);
	listed = json_array();
	while (outcomes_page(outcomes, day, json_array_size(listed), visit,
	    NULL) > 0)
		continue;
	return listed;
}

/* The one of a type, of a day; null: none. */
static json_t *find(const char *day, const char *type)
{
	json_t *all = list(day), *policy;
	size_t i;

	for (i = 0; i < json_array_size(all); i++) {
		policy = json_object_get(json_array_get(all, i), "policy");
		if (strcmp(json_string_value(json_object_get(policy,
		    "policy-type")), type) == 0)
			return json_array_get(all, i);
	}
	return NULL;
}

/* "2/1": successes and failures; "-": the policy is not there. */
static const char *tally_on(const char *day, const char *type)
{
	static char text[64];
	json_t *object = find(day, type), *summary;

	if (object == NULL)
		return "-";
	summary = json_object_get(object, "summary");
	snprintf(text, sizeof(text), "%lld/%lld",
	    (long long)json_integer_value(json_object_get(summary,
	    "total-successful-session-count")),
	    (long long)json_integer_value(json_object_get(summary,
	    "total-failure-session-count")));
	return text;
}

static const char *tally(const char *type)
{
	return tally_on(TODAY, type);
}

/* The only failure of the policy. */
static const char *failure_text(const char *type, const char *key)
{
	json_t *details = json_object_get(find(TODAY, type),
	    "failure-details");
	json_t *value;

	assert_int_equal(json_array_size(details), 1);
	value = json_object_get(json_array_get(details, 0), key);
	return json_is_string(value) ? json_string_value(value) : "";
}

static const char *policy_text(const char *type)
{
	static char text[4096];
	char *dumped = json_dumps(json_object_get(find(TODAY, type),
	    "policy"), JSON_COMPACT);

	snprintf(text, sizeof(text), "%s", dumped);
	free(dumped);
	return text;
}

/* --- what is seen --- */

static struct observation session(enum observed_stage stage,
    enum tls_result result)
{
	struct observation seen = { .stage = stage, .result = result,
	    .domain = "A.example", .host = "MX.a.example",
	    .requirement = REQUIRE_OPPORTUNISTIC };

	if (stage != OBSERVED_SKIPPED)
		endpoint_parse(&seen.address, "192.0.2.7", 25);
	if (stage == OBSERVED_SECURED)
		snprintf(seen.version, sizeof(seen.version), "TLSv1.3");
	return seen;
}

static void observe(struct observation seen)
{
	outcomes_observe(outcomes, &seen);
}

/* --- no policy --- */

/* RPT-20, RPT-21, RPT-24, RPT-29, RPT-32, RPT-60, RPT-64 */
static void test_no_policy(void **state)
{
	struct observation failed = session(OBSERVED_CLEAR,
	    RESULT_STARTTLS_NOT_SUPPORTED);

	(void)state;
	assert_int_equal(json_array_size(list(TODAY)), 0);
	observe(session(OBSERVED_SECURED, RESULT_SUCCESS));
	observe(session(OBSERVED_SECURED, RESULT_SUCCESS));
	snprintf(failed.reason, sizeof(failed.reason), "not offered");
	observe(failed);
	observe(failed);
	assert_string_equal(tally("no-policy-found"), "2/2");
	assert_int_equal(json_array_size(list(TODAY)), 1);
	assert_string_equal(policy_text("no-policy-found"),
	    "{\"policy-type\":\"no-policy-found\","
	    "\"policy-domain\":\"a.example\"}");
	assert_string_equal(json_string_value(json_object_get(find(TODAY,
	    "no-policy-found"), "domain")), "a.example");
	assert_string_equal(failure_text("no-policy-found", "result-type"),
	    "starttls-not-supported");
	assert_string_equal(failure_text("no-policy-found",
	    "receiving-mx-hostname"), "mx.a.example");
	assert_string_equal(failure_text("no-policy-found", "receiving-ip"),
	    "192.0.2.7");
	assert_string_equal(failure_text("no-policy-found",
	    "failure-reason-code"), "not offered");
	/* Another reason is another kind of failure. */
	failed.reason[0] = '\0';
	observe(failed);
	assert_int_equal(json_array_size(json_object_get(find(TODAY,
	    "no-policy-found"), "failure-details")), 2);
}

/* What is nobody's session: RPT-25, and what no recipient asked for. */
static void test_uncounted(void **state)
{
	struct observation seen = session(OBSERVED_FAILED,
	    RESULT_VALIDATION_FAILURE);

	(void)state;
	snprintf(seen.reason, sizeof(seen.reason), "421 too busy");
	observe(seen);
	observe(session(OBSERVED_SKIPPED, RESULT_SUCCESS));
	seen = session(OBSERVED_CLEAR, RESULT_SUCCESS);
	seen.requirement = REQUIRE_CLEAR;
	observe(seen);
	seen = session(OBSERVED_SKIPPED, RESULT_VALIDATION_FAILURE);
	seen.wish = WISH_REQUIRETLS;
	seen.sts_digest = 5;
	observe(seen);
	assert_int_equal(json_array_size(list(TODAY)), 0);
}

/* --- policies --- */

static uint8_t bytes[DIGEST_BYTES];
static struct dane_record records[2];
static struct fact_sts policy;
static struct fact facts[2];
static struct conf_next_hop next = { .host = "a.example", .port = 25 };
static struct plan_facts all = { .next = &next, .facts = facts,
    .fact_count = 2 };
static struct plan_host host;
static struct plan plan;

/* A host with two TLSA records, digest 7, of which the first may be usable,
 * under a policy in testing, digest 9. */
static void learn(uint8_t usage, const char *id)
{
	static char pattern[] = "mx.a.example", *patterns[] = { pattern };

	memset(bytes, 0xab, sizeof(bytes));
	records[0] = (struct dane_record){ .usage = usage, .selector = 1,
	    .matching = 1, .whole = true, .data = bytes,
	    .length = sizeof(bytes) };
	records[1] = (struct dane_record){ .usage = 1, .selector = 0,
	    .matching = 1, .whole = true, .data = bytes, .length = 4 };
	facts[0] = (struct fact){ .query.type = QUERY_TLSA,
	    .query.name = "_25._tcp.mx.a.example", .result = FACT_DATA,
	    .secure = true, .tlsa = records, .count = 2 };
	policy = (struct fact_sts){ .policy = { .mode = STS_MODE_TESTING,
	    .mx = patterns, .mx_count = 1, .max_age = 604800 } };
	snprintf(policy.id, sizeof(policy.id), "%s", id);
	facts[1] = (struct fact){ .query.type = QUERY_STS,
	    .query.name = "a.example", .result = FACT_DATA, .sts = &policy,
	    .count = 1 };
	host = (struct plan_host){ .name = "mx.a.example",
	    .tlsa_domain = "mx.a.example", .tlsa_digest = 7 };
	plan = (struct plan){ .hosts = &host, .host_count = 1,
	    .next_hop = "a.example", .sts_digest = 9 };
	outcomes_plan(outcomes, &plan, &all);
}

/* A session under both, DANE deciding. */
static struct observation both(enum observed_stage stage,
    enum tls_result result)
{
	struct observation seen = session(stage, result);

	seen.requirement = REQUIRE_DANE;
	seen.source = SOURCE_DANE;
	seen.tlsa_digest = 7;
	snprintf(seen.tlsa_domain, sizeof(seen.tlsa_domain), "mx.a.example");
	seen.sts_digest = 9;
	return seen;
}

/* RPT-22, RPT-23, RPT-16, RPT-57, RPT-58, RPT-59: one session, counted once
 * under each, in the policies' own words. */
static void test_policies(void **state)
{
	struct observation seen;

	(void)state;
	learn(3, "1");
	seen = both(OBSERVED_SECURED, RESULT_SUCCESS);
	seen.web = WEB_VALID;
	observe(seen);
	assert_string_equal(tally("tlsa"), "1/0");
	assert_string_equal(tally("sts"), "1/0");
	assert_string_equal(tally("no-policy-found"), "-");
	assert_string_equal(policy_text("tlsa"), "{\"policy-type\":\"tlsa\","
	    "\"policy-string\":[\"3 1 1 abababababababababababababababababab"
	    "abababababababababababababab\",\"1 0 1 abababab\"],"
	    "\"policy-domain\":\"mx.a.example\"}");
	assert_string_equal(policy_text("sts"), "{\"policy-type\":\"sts\","
	    "\"policy-string\":[\"version: STSv1\",\"mode: testing\","
	    "\"mx: mx.a.example\",\"note: k\?\?nig\",\"mx:  *.b.example\","
	    "\"max_age: 86400\"],\"mx-host\":[\"mx.a.example\","
	    "\"*.b.example\"],\"policy-domain\":\"a.example\"}");
}

/* The body is not at hand: from its values. A digest that nobody explained has
 * no text. */
static void test_policy_without_body(void **state)
{
	struct observation seen;

	(void)state;
	learn(3, "2");
	seen = both(OBSERVED_SECURED, RESULT_SUCCESS);
	seen.tlsa_digest = 0;
	observe(seen);
	assert_string_equal(policy_text("sts"), "{\"policy-type\":\"sts\","
	    "\"policy-string\":[\"version: STSv1\",\"mode: testing\","
	    "\"mx: mx.a.example\",\"max_age: 604800\"],\"mx-host\":["
	    "\"mx.a.example\"],\"policy-domain\":\"a.example\"}");
	seen.sts_digest = 0;
	seen.tlsa_digest = 77;
	observe(seen);
	assert_string_equal(policy_text("tlsa"), "{\"policy-type\":\"tlsa\","
	    "\"policy-domain\":\"mx.a.example\"}");
}

/* One result, as each of the two policies sees it. */
static const struct {
	const char		*tlsa, *sts;	/* the failure; "": success */
	enum tls_result		 result;
	enum observed_web	 web;
	enum plan_source	 source, ideal;
	enum requirement	 requirement;
} views[] = {
	{ "", "certificate-not-trusted", RESULT_SUCCESS, WEB_INVALID,
	    SOURCE_DANE, SOURCE_NONE, REQUIRE_DANE },
	{ "", "", RESULT_SUCCESS, WEB_UNKNOWN, SOURCE_DANE, SOURCE_NONE,
	    REQUIRE_DANE },
	{ "tlsa-invalid", "", RESULT_TLSA_INVALID, WEB_VALID, SOURCE_DANE,
	    SOURCE_NONE, REQUIRE_DANE },
	{ "tlsa-invalid", "certificate-not-trusted", RESULT_TLSA_INVALID,
	    WEB_INVALID, SOURCE_DANE, SOURCE_NONE, REQUIRE_DANE },
	{ "tlsa-invalid", "validation-failure", RESULT_TLSA_INVALID,
	    WEB_UNKNOWN, SOURCE_DANE, SOURCE_NONE, REQUIRE_DANE },
	{ "starttls-not-supported", "starttls-not-supported",
	    RESULT_STARTTLS_NOT_SUPPORTED, WEB_UNKNOWN, SOURCE_DANE,
	    SOURCE_NONE, REQUIRE_DANE },
	/* RPT-26: testing, and DANE not applied */
	{ "certificate-expired", "certificate-expired",
	    RESULT_CERTIFICATE_EXPIRED, WEB_INVALID, SOURCE_NONE, SOURCE_STS,
	    REQUIRE_OPPORTUNISTIC },
	/* REQ-62: TLS-Required: No, and the records were not met */
	{ "tlsa-invalid", "", RESULT_TLSA_INVALID, WEB_VALID, SOURCE_NONE,
	    SOURCE_DANE, REQUIRE_OPPORTUNISTIC },
};

static void test_views(void **state)
{
	struct observation seen;
	const char *tlsa, *sts;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(views) / sizeof(views[0]); i++) {
		restart();
		learn(3, "1");
		seen = both(OBSERVED_SECURED, views[i].result);
		seen.web = views[i].web;
		seen.source = views[i].source;
		seen.ideal_source = views[i].ideal;
		seen.requirement = views[i].requirement;
		observe(seen);
		assert_string_equal(tally("no-policy-found"), "-");
		tlsa = views[i].tlsa[0] == '\0' ? "1/0" : "0/1";
		sts = views[i].sts[0] == '\0' ? "1/0" : "0/1";
		if (strcmp(tally("tlsa"), tlsa) != 0)
			fail_msg("view %zu: tlsa %s", i, tally("tlsa"));
		if (strcmp(tally("sts"), sts) != 0)
			fail_msg("view %zu: sts %s", i, tally("sts"));
		if (views[i].tlsa[0] != '\0')
			assert_string_equal(failure_text("tlsa",
			    "result-type"), views[i].tlsa);
		if (views[i].sts[0] != '\0')
			assert_string_equal(failure_text("sts",
			    "result-type"), views[i].sts);
		/* For the next row: nothing of this day. */
		fake_time_pass(DAYS(OUTCOME_DAYS + 1));
		observe(session(OBSERVED_SECURED, RESULT_SUCCESS));
		assert_int_equal(json_array_size(list(TODAY)), 0);
		fake_time_set_wall(-DAYS(OUTCOME_DAYS + 1));
	}
}

/* RPT-40: TLS, but no record can be used: of the set it is a failure. */
static void test_useless_records(void **state)
{
	struct observation seen;

	(void)state;
	learn(1, "1");
	seen = both(OBSERVED_SECURED, RESULT_SUCCESS);
	seen.requirement = REQUIRE_NAME;
	seen.source = SOURCE_STS;
	observe(seen);
	assert_string_equal(tally("tlsa"), "0/1");
	assert_string_equal(tally("sts"), "1/0");
	assert_string_equal(failure_text("tlsa", "result-type"),
	    "tlsa-invalid");
}

/* RPT-30, RPT-41, RPT-42, RPT-47: hosts that the plan left out, without an
 * address, under the policy that forbade them. */
static const struct {
	enum tls_result	 result;
	uint64_t	 tlsa, sts;
	const char	*type;
	const char	*reason;
} skips[] = {
	{ RESULT_DNSSEC_INVALID, 0, 0, "tlsa", "bogus" },
	{ RESULT_DNSSEC_INVALID, 0, 9, "tlsa", "bogus" },
	{ RESULT_TLSA_INVALID, 7, 9, "tlsa", "too many" },
	{ RESULT_DANE_REQUIRED, 0, 0, "no-policy-found", "none" },
	{ RESULT_DANE_REQUIRED, 0, 9, "tlsa", "none" },
	{ RESULT_VALIDATION_FAILURE, 0, 9, "sts", "sts-mx-mismatch" },
	{ RESULT_VALIDATION_FAILURE, 7, 9, "sts", "sts-mx-mismatch" },
	{ RESULT_STS_POLICY_FETCH_ERROR, 0, 0, "sts", "time-out" },
};

static void test_skipped(void **state)
{
	struct observation seen;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(skips) / sizeof(skips[0]); i++) {
		seen = session(OBSERVED_SKIPPED, skips[i].result);
		seen.tlsa_digest = skips[i].tlsa;
		seen.sts_digest = skips[i].sts;
		snprintf(seen.reason, sizeof(seen.reason), "%s",
		    skips[i].reason);
		observe(seen);
		if (json_array_size(list(TODAY)) != 1 ||
		    strcmp(tally(skips[i].type), "0/1") != 0)
			fail_msg("skip %zu", i);
		assert_string_equal(failure_text(skips[i].type,
		    "result-type"), tls_result_name(skips[i].result));
		assert_string_equal(failure_text(skips[i].type,
		    "receiving-ip"), "");
		assert_string_equal(failure_text(skips[i].type,
		    "failure-reason-code"), skips[i].reason);
		fake_time_pass(DAYS(OUTCOME_DAYS + 1));
		observe(session(OBSERVED_SECURED, RESULT_SUCCESS));
		fake_time_set_wall(-DAYS(OUTCOME_DAYS + 1));
	}
}

/* RPT-43 to RPT-45 */
static void test_fetch(void **state)
{
	(void)state;
	outcomes_fetch_failed(outcomes, "a.example",
	    RESULT_STS_WEBPKI_INVALID, "the certificate\x01 has expired");
	assert_string_equal(tally("sts"), "0/1");
	assert_string_equal(failure_text("sts", "result-type"),
	    "sts-webpki-invalid");
	assert_string_equal(failure_text("sts", "receiving-mx-hostname"), "");
	assert_string_equal(failure_text("sts", "failure-reason-code"),
	    "the certificate? has expired");
	assert_string_equal(policy_text("sts"), "{\"policy-type\":\"sts\","
	    "\"policy-domain\":\"a.example\"}");
}

/* --- days --- */

/* P-09, RPT-31: midnight in UTC, and a restart in between: nothing is lost,
 * nothing counted twice. */
static void test_midnight_and_restart(void **state)
{
	json_t *tlsa, *sts;

	(void)state;
	learn(3, "1");
	observe(both(OBSERVED_SECURED, RESULT_SUCCESS));
	observe(both(OBSERVED_FAILED, RESULT_TLSA_INVALID));	/* no TLS */
	fake_time_pass(HOURS(12) - 1);
	observe(both(OBSERVED_SECURED, RESULT_SUCCESS));
	observe(both(OBSERVED_SECURED, RESULT_TLSA_INVALID));
	assert_string_equal(tally("tlsa"), "2/1");
	fake_time_pass(1);
	observe(both(OBSERVED_SECURED, RESULT_TLSA_INVALID));
	assert_string_equal(tally("tlsa"), "2/1");
	assert_string_equal(tally_on("2026-11-23", "tlsa"), "0/1");
	tlsa = json_deep_copy(find(TODAY, "tlsa"));
	sts = json_deep_copy(find(TODAY, "sts"));
	restart();
	assert_int_equal(json_array_size(list(TODAY)), 2);
	assert_true(json_equal(tlsa, find(TODAY, "tlsa")));
	assert_true(json_equal(sts, find(TODAY, "sts")));
	json_decref(tlsa);
	json_decref(sts);
	assert_non_null(strstr(policy_text("tlsa"), "3 1 1 abab"));
	assert_non_null(strstr(policy_text("sts"), "mode: testing"));
	observe(both(OBSERVED_SECURED, RESULT_TLSA_INVALID));
	assert_string_equal(tally_on("2026-11-23", "tlsa"), "0/2");
	assert_string_equal(tally("tlsa"), "2/1");
	restart();
	assert_string_equal(tally_on("2026-11-23", "tlsa"), "0/2");
	assert_int_equal(json_array_size(json_object_get(find("2026-11-23",
	    "tlsa"), "failure-details")), 1);
}

static void test_old_days(void **state)
{
	int i;

	(void)state;
	for (i = 0; i < OUTCOME_DAYS + 3; i++) {
		observe(session(OBSERVED_SECURED, RESULT_SUCCESS));
		fake_time_pass(DAYS(1));
	}
	assert_string_equal(tally_on("2026-11-24", "no-policy-found"), "-");
	assert_string_equal(tally_on("2026-11-25", "no-policy-found"), "1/0");
	restart();
	assert_string_equal(tally_on("2026-11-24", "no-policy-found"), "-");
	assert_string_equal(tally_on("2026-11-25", "no-policy-found"), "1/0");
	assert_string_equal(tally_on("2026-12-26", "no-policy-found"), "1/0");
}

static void test_is_day(void **state)
{
	(void)state;
	assert_true(outcomes_is_day("2026-11-22"));
	assert_false(outcomes_is_day("2026-11-2"));
	assert_false(outcomes_is_day("2026-11-223"));
	assert_false(outcomes_is_day(""));
	assert_false(outcomes_is_day("yesterday!"));
}

/* --- bounds --- */

/* RPT-31: of one policy so many kinds of failure are told apart; the totals
 * stay right (RPT-68). */
static void test_many_failures(void **state)
{
	struct observation seen = session(OBSERVED_CLEAR,
	    RESULT_STARTTLS_NOT_SUPPORTED);
	json_t *details, *last;
	int i;

	(void)state;
	for (i = 0; i < OUTCOME_FAILURES_MAX + 100; i++) {
		snprintf(seen.host, sizeof(seen.host), "mx%d.example", i);
		observe(seen);
	}
	assert_string_equal(tally("no-policy-found"), "0/164");
	details = json_object_get(find(TODAY, "no-policy-found"),
	    "failure-details");
	assert_int_equal(json_array_size(details), OUTCOME_FAILURES_MAX + 1);
	last = json_array_get(details, OUTCOME_FAILURES_MAX);
	assert_int_equal(json_integer_value(json_object_get(last,
	    "failed-session-count")), 100);
	assert_null(json_object_get(last, "receiving-mx-hostname"));
	restart();
	details = json_object_get(find(TODAY, "no-policy-found"),
	    "failure-details");
	assert_int_equal(json_array_size(details), OUTCOME_FAILURES_MAX + 1);
}

static void test_many_policies(void **state)
{
	struct observation seen = session(OBSERVED_SECURED, RESULT_SUCCESS);
	json_t *last;
	int i;

	(void)state;
	for (i = 0; i < OUTCOME_POLICIES_MAX + 30; i++) {
		snprintf(seen.domain, sizeof(seen.domain), "d%d.example", i);
		observe(seen);
	}
	assert_int_equal(json_array_size(list(TODAY)),
	    OUTCOME_POLICIES_MAX + 1);
	last = json_array_get(list(TODAY), OUTCOME_POLICIES_MAX);
	assert_true(json_is_true(json_object_get(last, "overflow")));
	assert_null(json_object_get(last, "domain"));
	assert_int_equal(json_integer_value(json_object_get(json_object_get(
	    last, "summary"), "total-successful-session-count")), 30);
	/* The next day is another. */
	fake_time_pass(DAYS(1));
	observe(seen);
	assert_string_equal(tally_on("2026-11-23", "no-policy-found"), "1/0");
}

/* Rows that are none of ours are dropped, and the rest is there. */
static void test_damaged_rows(void **state)
{
	(void)state;
	observe(session(OBSERVED_SECURED, RESULT_SUCCESS));
	ledger_put(ledger, "outcome:" TODAY "/0123456789abcdef", "\1\7", 2);
	ledger_put(ledger, "outcome:" TODAY "/0123456789abcdef/"
	    "0123456789abcdef", "\1\2\0\0\0\0", 6);
	ledger_put(ledger, "outcome:+0123", "\1", 1);
	ledger_put(ledger, "outcome:", "\1", 1);
	ledger_put(ledger, "outcome:to-morrow-/0123456789abcdef", "\1", 1);
	restart();
	assert_int_equal(json_array_size(list(TODAY)), 1);
	assert_string_equal(tally("no-policy-found"), "1/0");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_no_policy), TEST(test_uncounted),
		TEST(test_policies), TEST(test_policy_without_body),
		TEST(test_views), TEST(test_useless_records),
		TEST(test_skipped), TEST(test_fetch),
		TEST(test_midnight_and_restart), TEST(test_old_days),
		TEST(test_is_day), TEST(test_many_failures),
		TEST(test_many_policies), TEST(test_damaged_rows),
	};
	int status;

	log_init("test", LOG_LEVEL_FATAL);
	status = cmocka_run_group_tests(tests, NULL, NULL);
	json_decref(listed);
	return status;
}
