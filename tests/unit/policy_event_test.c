/* SPDX-License-Identifier: ISC */
/*
 * policy/event.c on a real ledger with a clock that the test plays: what is an
 * event and what is none (TLS-55 to TLS-62), what is told once (H-01 to H-05,
 * H-08), and what is known after a restart.
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
#include "policy/event.h"
#include "policy/ledger.h"
#include "policy/observation.h"
#include "policy/plan.h"
#include "tests/fake_time.h"
#include "tests/scratch.h"
#include "tests/unit/base_child.h"

static char home[64];
static struct ledger *ledger;
static struct events *events;

/* --- the world --- */

static void start(void)
{
	ledger = ledger_new(home);
	events = events_new(ledger);
	ledger_open(ledger);
}

static void stop(void)
{
	events_free(events);
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
	if (scratch_make(home, sizeof(home), "event") == -1)
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

/* --- what is known --- */

static json_t *listed;

static void visit(void *arg, json_t *object)
{
	(void)arg;
	json_array_append_new(listed, object);
}

/* All that were seen since; owned by the next call. */
static json_t *list(int64_t since)
{
	json_decref(listed);
	listed = json_array();
	events_page(events, &(struct events_page){ .since = since,
	    .count = EVENTS_MAX }, visit, NULL);
	return listed;
}

static size_t count(void)
{
	return json_array_size(list(0));
}

/* "seen.symptom": the text there, or "". */
static const char *text_at(size_t index, const char *path)
{
	json_t *value = json_array_get(list(0), index);
	char name[40];
	size_t length;

	while (*path != '\0') {
		length = strcspn(path, ".");
		snprintf(name, sizeof(name), "%.*s", (int)length, path);
		value = json_object_get(value, name);
		path += length + (path[length] == '.');
	}
	return json_is_string(value) ? json_string_value(value) : "";
}

static json_int_t number_at(size_t index, const char *name)
{
	return json_integer_value(json_object_get(json_array_get(list(0),
	    index), name));
}

/* --- what is seen --- */

static struct observation opportunistic(enum observed_stage stage,
    const char *symptom)
{
	struct observation seen = { .stage = stage, .domain = "a.example",
	    .host = "mx.a.example", .requirement = REQUIRE_OPPORTUNISTIC };

	endpoint_parse(&seen.address, "192.0.2.7", 25);
	snprintf(seen.symptom, sizeof(seen.symptom), "%s", symptom);
	if (stage == OBSERVED_SECURED)
		snprintf(seen.version, sizeof(seen.version), "TLSv1.3");
	else if (stage != OBSERVED_SKIPPED)
		seen.result = RESULT_STARTTLS_NOT_SUPPORTED;
	return seen;
}

static void observe(const struct observation *seen, bool known)
{
	events_observe(events, seen, known, false);
}

/* Nothing but the symptom and whether anything is expected. */
static const struct {
	const char	*symptom;
	const char	*signature;
	bool		 alone;		/* an event without expectation */
} symptoms[] = {
	{ "starttls-absent", "keyword-gone", false },		/* TLS-55 */
	{ "starttls-mangled", "keyword-mangled", true },	/* TLS-56 */
	{ "ehlo-refused", "command-blocked", false },		/* TLS-57 */
	{ "starttls-refused", "command-blocked", true },	/* TLS-58 */
	{ "starttls-unavailable", "command-blocked", true },	/* TLS-59 */
	{ "starttls-closing", "command-blocked", false },
	{ "starttls-odd-answer", "command-blocked", true },
	{ "starttls-cut", "command-blocked", true },		/* TLS-61 */
	{ "starttls-injection", "injection", true },		/* TLS-28 */
	{ "handshake-failed", "handshake-broken", true },	/* TLS-62 */
	{ "handshake-stalled", "handshake-broken", true },
	{ "tls-too-old", "handshake-broken", false },
	{ "nothing of the kind", "", false },
};

static void test_symptoms(void **state)
{
	const struct observation secured = opportunistic(OBSERVED_SECURED, "");
	struct observation seen;
	size_t i, expected = 0;

	(void)state;
	for (i = 0; i < sizeof(symptoms) / sizeof(symptoms[0]); i++) {
		seen = opportunistic(OBSERVED_FAILED, symptoms[i].symptom);
		observe(&seen, false);
		expected += symptoms[i].alone;
		assert_int_equal(count(), expected);
		if (symptoms[i].alone) {
			assert_string_equal(text_at(expected - 1, "signature"),
			    symptoms[i].signature);
			assert_string_equal(text_at(expected - 1, "kind"),
			    "downgrade");
		}
		observe(&secured, false);	/* never an event */
		fake_time_pass(HOURS(2));
	}
	/* The same where memory knows of TLS: all of them. */
	for (i = 0; symptoms[i].signature[0] != '\0'; i++) {
		seen = opportunistic(OBSERVED_FAILED, symptoms[i].symptom);
		observe(&seen, true);
		assert_int_equal(count(), ++expected);
		assert_string_equal(text_at(expected - 1, "signature"),
		    symptoms[i].signature);
		fake_time_pass(HOURS(2));
	}
}

/* One observation each, with what becomes of it. */
static const struct {
	const char		*name;
	const char		*kind;		/* null: none */
	const char		*mail;
	const char		*source;
	struct observation	 seen;
	bool			 known;
	bool			 chain_was_valid;
} cases[] = {
	{ .name = "clear as ever", .seen = { .stage = OBSERVED_CLEAR,
	    .symptom = "starttls-absent",
	    .requirement = REQUIRE_OPPORTUNISTIC } },
	{ .name = "clear, but was known for TLS (H-01)", .kind = "downgrade",
	    .mail = "clear", .known = true, .seen = { .stage = OBSERVED_CLEAR,
	    .symptom = "starttls-absent",
	    .requirement = REQUIRE_OPPORTUNISTIC } },
	{ .name = "clear, memory warns", .kind = "downgrade", .mail = "clear",
	    .seen = { .stage = OBSERVED_CLEAR, .symptom = "starttls-absent",
	    .requirement = REQUIRE_OPPORTUNISTIC, .expects_tls = true } },
	{ .name = "an administrator wants no TLS", .known = true,
	    .seen = { .stage = OBSERVED_CLEAR,
	    .requirement = REQUIRE_CLEAR } },
	{ .name = "stripped under DANE", .kind = "downgrade",
	    .mail = "waited", .source = "dane", .seen = {
	    .stage = OBSERVED_FAILED, .symptom = "starttls-absent",
	    .requirement = REQUIRE_DANE, .source = SOURCE_DANE,
	    .result = RESULT_STARTTLS_NOT_SUPPORTED } },
	{ .name = "stripped under a policy in testing", .kind = "downgrade",
	    .mail = "clear", .source = "sts", .seen = {
	    .stage = OBSERVED_CLEAR, .symptom = "starttls-absent",
	    .requirement = REQUIRE_OPPORTUNISTIC, .ideal_source = SOURCE_STS,
	    .result = RESULT_STARTTLS_NOT_SUPPORTED } },
	{ .name = "REQUIRETLS only, and a host without TLS", .seen = {
	    .stage = OBSERVED_FAILED, .symptom = "starttls-absent",
	    .requirement = REQUIRE_NAME, .source = SOURCE_REQUIRETLS,
	    .wish = WISH_REQUIRETLS } },
	{ .name = "REQUIRETLS only, and another certificate", .seen = {
	    .stage = OBSERVED_FAILED, .symptom = "certificate",
	    .result = RESULT_CERTIFICATE_HOST_MISMATCH,
	    .requirement = REQUIRE_NAME, .source = SOURCE_REQUIRETLS,
	    .wish = WISH_REQUIRETLS } },
	{ .name = "another certificate", .kind = "certificate",
	    .mail = "waited", .source = "dane", .seen = {
	    .stage = OBSERVED_FAILED, .symptom = "certificate",
	    .result = RESULT_TLSA_INVALID, .requirement = REQUIRE_DANE,
	    .source = SOURCE_DANE } },
	{ .name = "another certificate, TLS-Required: No",
	    .kind = "certificate", .mail = "tls", .source = "sts", .seen = {
	    .stage = OBSERVED_SECURED, .wish = WISH_OPTIONAL,
	    .result = RESULT_CERTIFICATE_EXPIRED,
	    .requirement = REQUIRE_OPPORTUNISTIC,
	    .ideal_source = SOURCE_STS } },
	{ .name = "TLSA records that nobody can use", .seen = {
	    .stage = OBSERVED_SECURED, .result = RESULT_TLSA_INVALID,
	    .requirement = REQUIRE_ENCRYPTED, .source = SOURCE_DANE } },
	{ .name = "a chain that held (H-02)", .kind = "chain", .mail = "tls",
	    .chain_was_valid = true, .known = true, .seen = {
	    .stage = OBSERVED_SECURED, .web = WEB_INVALID,
	    .requirement = REQUIRE_OPPORTUNISTIC } },
	{ .name = "a chain that never held", .known = true, .seen = {
	    .stage = OBSERVED_SECURED, .web = WEB_INVALID,
	    .requirement = REQUIRE_OPPORTUNISTIC } },
	{ .name = "a chain that nobody looked at", .chain_was_valid = true,
	    .seen = { .stage = OBSERVED_SECURED,
	    .requirement = REQUIRE_OPPORTUNISTIC } },
	{ .name = "a chain that does not matter to DANE",
	    .chain_was_valid = true, .seen = { .stage = OBSERVED_SECURED,
	    .web = WEB_INVALID, .requirement = REQUIRE_DANE,
	    .source = SOURCE_DANE } },
	{ .name = "a lookup that failed", .kind = "dnssec", .mail = "waited",
	    .source = "dane", .seen = { .stage = OBSERVED_SKIPPED,
	    .result = RESULT_DNSSEC_INVALID, .reason = "bogus" } },
	{ .name = "a host the policy leaves out", .kind = "conflict",
	    .mail = "waited", .source = "sts", .seen = {
	    .stage = OBSERVED_SKIPPED, .result = RESULT_VALIDATION_FAILURE, .sts_digest = 5,
	    .reason = "sts-mx-mismatch" } },
	{ .name = "the same in testing", .kind = "conflict", .mail = "tls",
	    .source = "sts", .seen = { .stage = OBSERVED_SECURED,
	    .requirement = REQUIRE_OPPORTUNISTIC, .ideal_source = SOURCE_STS,
	    .result = RESULT_VALIDATION_FAILURE, .sts_digest = 5,
	    .reason = "sts-mx-mismatch" } },
	{ .name = "a host that REQUIRETLS forbids", .seen = {
	    .stage = OBSERVED_SKIPPED, .wish = WISH_REQUIRETLS,
	    .result = RESULT_VALIDATION_FAILURE, .sts_digest = 5,
	    .reason = "REQUIRETLS needs signed MX records" } },
	{ .name = "busy before TLS", .known = true, .seen = {
	    .stage = OBSERVED_FAILED, .requirement = REQUIRE_DANE,
	    .source = SOURCE_DANE, .result = RESULT_VALIDATION_FAILURE,
	    .reason = "421 too busy" } },
};

static void test_kinds(void **state)
{
	struct observation seen;
	size_t i, expected = 0;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		seen = cases[i].seen;
		snprintf(seen.domain, sizeof(seen.domain), "D%zu.example", i);
		snprintf(seen.host, sizeof(seen.host), "mx%zu.example", i);
		events_observe(events, &seen, cases[i].known,
		    cases[i].chain_was_valid);
		expected += cases[i].kind != NULL;
		if (count() != expected)
			fail_msg("%s: %zu events", cases[i].name, count());
		if (cases[i].kind == NULL)
			continue;
		assert_string_equal(text_at(expected - 1, "kind"),
		    cases[i].kind);
		assert_string_equal(text_at(expected - 1, "mail"),
		    cases[i].mail);
		assert_string_equal(text_at(expected - 1, "expected.source"),
		    cases[i].source == NULL ? "" : cases[i].source);
		assert_int_equal(text_at(expected - 1, "domain")[0], 'd');
	}
}

/* All that was seen is there, and in the line of the log. */
static void test_whole(void **state)
{
	struct observation seen = opportunistic(OBSERVED_FAILED,
	    "starttls-mangled");
	struct capture capture;
	char said[4000];
	json_t *event;

	(void)state;
	snprintf(seen.keywords, sizeof(seen.keywords), "PIPELINING XXXXXXXA");
	snprintf(seen.reason, sizeof(seen.reason), "another word");
	seen.chain_count = 1;
	memset(seen.chain[0], 0xab, DIGEST_BYTES);
	capture_begin(&capture);
	observe(&seen, true);
	log_flush();
	capture_end(&capture, said, sizeof(said));
	assert_non_null(strstr(said, " downgrade domain=a.example "
	    "host=mx.a.example expected=tls source=memory "
	    "seen=starttls-mangled signature=keyword-mangled "
	    "problem=\"another word\""));
	assert_non_null(strstr(said, "level=warn"));
	assert_string_equal(text_at(0, "seen.keywords"),
	    "PIPELINING XXXXXXXA");
	assert_string_equal(text_at(0, "address"), "192.0.2.7");
	assert_string_equal(text_at(0, "first"), "2026-11-22T12:00:00Z");
	assert_string_equal(text_at(0, "expected.requirement"),
	    "opportunistic");
	assert_string_equal(text_at(0, "seen.stage"), "failed");
	assert_string_equal(text_at(0, "seen.result"),
	    "starttls-not-supported");
	event = json_array_get(list(0), 0);
	assert_true(json_is_true(json_object_get(json_object_get(event,
	    "expected"), "memory")));
	assert_int_equal(json_array_size(json_object_get(json_object_get(event,
	    "seen"), "chain")), 1);
	assert_null(json_object_get(event, "destinations"));
}

/* --- the same again --- */

static void test_joins(void **state)
{
	struct observation seen = opportunistic(OBSERVED_FAILED,
	    "starttls-cut");
	struct capture capture;
	char said[8000], *line;
	unsigned lines = 0;
	int i;

	(void)state;
	capture_begin(&capture);
	for (i = 0; i < 59; i++) {
		observe(&seen, false);
		fake_time_pass(MINUTES(1));
	}
	log_flush();
	capture_end(&capture, said, sizeof(said));
	for (line = said; (line = strstr(line, " downgrade ")) != NULL; line++)
		lines++;
	assert_int_equal(lines, 1);
	assert_int_equal(count(), 1);
	assert_int_equal(number_at(0, "count"), 59);
	assert_string_equal(text_at(0, "last"), "2026-11-22T12:58:00Z");
	/* Another signature, another host: others. */
	snprintf(seen.symptom, sizeof(seen.symptom), "handshake-failed");
	observe(&seen, false);
	snprintf(seen.host, sizeof(seen.host), "mx2.a.example");
	observe(&seen, false);
	assert_int_equal(count(), 3);
	/* After the hour it is told anew. */
	fake_time_pass(MINUTES(1));
	snprintf(seen.host, sizeof(seen.host), "mx.a.example");
	snprintf(seen.symptom, sizeof(seen.symptom), "starttls-cut");
	observe(&seen, false);
	assert_int_equal(count(), 4);
	/* A clock that is set back does not hide what is new. */
	fake_time_set_wall(-DAYS(3));
	observe(&seen, false);
	assert_int_equal(count(), 5);
	assert_int_equal(json_array_size(list(INT64_C(1795348800) * 1000)), 4);
}

/* TLS breaks, and the next connection goes in clear: one event, and its mail
 * went in clear (TLS-65). */
static void test_clear_afterwards(void **state)
{
	struct observation seen = opportunistic(OBSERVED_FAILED,
	    "handshake-failed");
	struct observation clear = opportunistic(OBSERVED_CLEAR, "");

	(void)state;
	observe(&clear, false);
	assert_int_equal(count(), 0);
	observe(&seen, false);
	assert_string_equal(text_at(0, "mail"), "waited");
	fake_time_pass(SECONDS(1));
	observe(&clear, false);
	assert_int_equal(count(), 1);
	assert_int_equal(number_at(0, "count"), 1);
	assert_string_equal(text_at(0, "mail"), "clear");
	assert_string_equal(text_at(0, "last"), "2026-11-22T12:00:01Z");
	/* It stays the worst that happened. */
	observe(&seen, false);
	assert_string_equal(text_at(0, "mail"), "clear");
}

/* --- plans --- */

static void test_plans(void **state)
{
	struct plan plan = { .next_hop = "Gone.example",
	    .vanished_dane = true, .vanished_sts = true, .host_count = 1 };

	(void)state;
	events_plan(events, &plan);
	events_plan(events, &plan);
	assert_int_equal(count(), 2);
	assert_string_equal(text_at(0, "kind"), "vanished");
	assert_string_equal(text_at(0, "domain"), "gone.example");
	assert_string_equal(text_at(0, "expected.source"), "dane");
	assert_string_equal(text_at(1, "expected.source"), "sts");
	assert_int_equal(number_at(1, "count"), 2);
	assert_string_equal(text_at(0, "mail"), "");
	plan = (struct plan){ .next_hop = "bogus.example" };
	status_set(&plan.status, STATUS_DEFERRED, REASON_DNS, "4.4.3",
	    "looking up MX: SERVFAIL");
	events_plan(events, &plan);
	assert_int_equal(count(), 2);
	status_set(&plan.status, STATUS_DEFERRED, REASON_DNS_BOGUS, "4.4.3",
	    "looking up MX: a signature has expired");
	events_plan(events, &plan);
	assert_int_equal(count(), 3);
	assert_string_equal(text_at(2, "kind"), "dnssec");
	assert_string_equal(text_at(2, "seen.problem"),
	    "looking up MX: a signature has expired");
}

/* --- the disk --- */

static void test_restart(void **state)
{
	struct observation seen = opportunistic(OBSERVED_FAILED,
	    "starttls-injection");
	const struct plan plan = { .next_hop = "gone.example",
	    .vanished_dane = true, .host_count = 1 };
	json_t *before, *after;

	(void)state;
	observe(&seen, true);
	events_plan(events, &plan);
	fake_time_pass(MINUTES(1));
	observe(&seen, true);
	before = json_deep_copy(list(0));
	restart();
	after = list(0);
	assert_true(json_equal(before, after));
	json_decref(before);
	/* And it goes on where it was. */
	observe(&seen, true);
	events_plan(events, &plan);
	assert_int_equal(count(), 2);
	assert_int_equal(number_at(0, "count"), 3);
	fake_time_pass(HOURS(1));
	observe(&seen, true);
	assert_int_equal(count(), 3);
	assert_true(number_at(2, "id") > number_at(1, "id"));
}

/* A row that is none of ours is dropped, and harms nothing. */
static void test_damaged_row(void **state)
{
	struct observation seen = opportunistic(OBSERVED_FAILED,
	    "starttls-injection");

	(void)state;
	observe(&seen, false);
	ledger_put(ledger, "event:0000000000000007", "no such row", 11);
	ledger_put(ledger, "event:x", "\1", 1);
	restart();
	assert_int_equal(count(), 1);
	restart();
	assert_int_equal(count(), 1);
}

/* Strangers cannot fill the memory: the oldest go, on the disk, too. */
static void test_bound(void **state)
{
	struct observation seen = opportunistic(OBSERVED_FAILED,
	    "starttls-injection");
	int i;

	(void)state;
	log_set_level(LOG_LEVEL_ERROR);
	for (i = 0; i < EVENTS_MAX + 50; i++) {
		snprintf(seen.host, sizeof(seen.host), "mx%d.example", i);
		observe(&seen, false);
		if (i % 1000 == 0)
			ledger_flush(ledger);
	}
	log_set_level(LOG_LEVEL_INFO);
	assert_int_equal(count(), EVENTS_MAX);
	assert_string_equal(text_at(0, "host"), "mx50.example");
	restart();
	assert_int_equal(count(), EVENTS_MAX);
	assert_string_equal(text_at(0, "host"), "mx50.example");
}

/* --- the share --- */

static struct capture capture;
static char said[64 << 10];

static unsigned said_times(const char *words)
{
	const char *at;
	unsigned times = 0;

	for (at = said; (at = strstr(at, words)) != NULL; at++)
		times++;
	return times;
}

/* Destinations first to last, as memory knows them; lost: stripped. */
static void pass_by(int first, int last, bool lost)
{
	struct observation seen = opportunistic(lost ? OBSERVED_CLEAR :
	    OBSERVED_SECURED, lost ? "starttls-absent" : "");
	int i;

	capture_begin(&capture);
	for (i = first; i <= last; i++) {
		snprintf(seen.domain, sizeof(seen.domain), "d%d.example", i);
		snprintf(seen.host, sizeof(seen.host), "mx%d.example", i);
		observe(&seen, true);
	}
	log_flush();
	capture_end(&capture, said, sizeof(said));
}

static void let_pass(int64_t milliseconds)
{
	capture_begin(&capture);
	fake_time_pass(milliseconds);
	log_flush();
	capture_end(&capture, said, sizeof(said));
}

/* One destination's fault, however often, and a few among many, are no alarm
 * (told apart: H-01 against H-04). */
static void test_one_destination(void **state)
{
	int i;

	(void)state;
	for (i = 0; i < 100; i++) {
		pass_by(1, 1, true);
		assert_int_equal(said_times(" share "), 0);
	}
	pass_by(2, 40, false);
	pass_by(2, 19, true);		/* 19 of 40: less than half */
	assert_int_equal(said_times(" share "), 0);
	assert_int_equal(fake_time_timers(), 1);	/* the ledger's */
	/* Hosts that memory does not know for TLS count for nothing. */
	for (i = 100; i < 200; i++) {
		struct observation seen = opportunistic(OBSERVED_CLEAR,
		    "starttls-absent");

		snprintf(seen.domain, sizeof(seen.domain), "d%d.example", i);
		observe(&seen, false);
	}
	for (i = 0; i < (int)count(); i++)
		assert_string_not_equal(text_at((size_t)i, "kind"), "share");
}

static void test_many_destinations(void **state)
{
	size_t last;

	(void)state;
	pass_by(1, 8, false);
	pass_by(1, 4, true);
	assert_int_equal(said_times(" share "), 0);
	pass_by(5, 8, true);
	assert_int_equal(said_times(" share destinations=5 known=8"), 1);
	assert_int_equal(said_times("near this server"), 1);
	assert_int_equal(said_times("level=error"), 1);
	pass_by(1, 8, true);		/* told once */
	assert_int_equal(said_times(" share "), 0);
	last = count() - 1;
	while (strcmp(text_at(last, "kind"), "share") != 0)
		last--;
	assert_int_equal(number_at(last, "count"), 8);
	assert_int_equal(json_array_size(json_object_get(json_array_get(
	    list(0), last), "destinations")), 8);
	assert_string_equal(text_at(last, "over"), "");
	/* It gets better: told as over once, well below where it began. */
	pass_by(1, 4, false);
	assert_int_equal(said_times("share-over"), 0);
	pass_by(5, 7, false);
	assert_int_equal(said_times("share-over"), 1);
	assert_string_equal(text_at(last, "over"), "2026-11-22T12:00:00Z");
	/* And again: another event. */
	pass_by(1, 8, true);
	assert_int_equal(said_times(" share "), 1);
	/* A certificate that is another is TLS all the same. */
	let_pass(HOURS(2));
	assert_int_equal(said_times("share-over"), 1);
}

/* What is a while ago is not the same dip; and nobody at all ends it. */
static void test_share_window(void **state)
{
	(void)state;
	pass_by(1, 4, true);
	let_pass(EVENT_SHARE_WINDOW);
	pass_by(5, 8, true);
	assert_int_equal(said_times(" share "), 0);
	pass_by(9, 9, true);
	assert_int_equal(said_times(" share destinations=5 known=5"), 1);
	let_pass(MINUTES(50));
	assert_int_equal(said_times("share-over"), 0);
	let_pass(MINUTES(12));
	assert_int_equal(said_times("share-over"), 1);
	assert_int_equal(fake_time_timers(), 0);
}

/* The process ends in the middle of it: not told again, and told as over. */
static void test_share_restart(void **state)
{
	size_t i, shares = 0;

	(void)state;
	pass_by(1, 6, true);
	assert_int_equal(said_times(" share "), 1);
	restart();
	pass_by(1, 6, true);
	assert_int_equal(said_times(" share "), 0);
	pass_by(1, 6, false);
	assert_int_equal(said_times("share-over"), 1);
	for (i = 0; i < count(); i++)
		if (strcmp(text_at(i, "kind"), "share") == 0) {
			shares++;
			assert_string_not_equal(text_at(i, "over"), "");
		}
	assert_int_equal(shares, 1);
	restart();
	let_pass(HOURS(2));
	assert_int_equal(said_times("share"), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_symptoms), TEST(test_kinds), TEST(test_whole),
		TEST(test_joins), TEST(test_clear_afterwards),
		TEST(test_plans), TEST(test_restart), TEST(test_damaged_row),
		TEST(test_bound), TEST(test_one_destination),
		TEST(test_many_destinations), TEST(test_share_window),
		TEST(test_share_restart),
	};
	int status;

	log_init("test", LOG_LEVEL_INFO);
	status = cmocka_run_group_tests(tests, NULL, NULL);
	json_decref(listed);
	return status;
}
