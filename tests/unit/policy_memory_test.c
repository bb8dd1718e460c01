/* SPDX-License-Identifier: ISC */
/*
 * policy/memory*.c with their ledger on a real directory and a clock that the
 * test plays: what is learnt from connections and what is expected because of
 * it (TLS-18, TLS-65, H-01, H-03, H-06, H-08), pins, what a restart keeps
 * (H-07), the ceiling, and JSON from anybody.
 */
#include <malloc.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/log.h"
#include "conf/conf.h"
#include "policy/ledger.h"
#include "policy/memory.h"
#include "policy/observation.h"
#include "policy/store.h"
#include "tests/fake_disk.h"
#include "tests/fake_time.h"
#include "tests/scratch.h"
#include "tests/unit/base_child.h"

static char home[64];
static struct ledger *ledger;
static struct memory *memory;
static struct conf conf;

/* --- what is told --- */

static struct {
	unsigned	 count;
	char		 text[4096];	/* "domain " or "* " for all */
} told;

static void on_change(void *arg, const char *domain)
{
	size_t used = strlen(told.text);

	assert_ptr_equal(arg, &told);
	told.count++;
	snprintf(told.text + used, sizeof(told.text) - used, "%s ",
	    domain[0] == '\0' ? "*" : domain);
}

static void expect_told(const char *domains)
{
	assert_string_equal(told.text, domains);
	memset(&told, 0, sizeof(told));
}

/* --- life --- */

static void start(const char *directory)
{
	ledger = ledger_new(directory);
	memory = memory_new(ledger, on_change, &told);
	memory_configure(memory, &conf);
	ledger_open(ledger);
}

static void stop(void)
{
	memory_free(memory);
	ledger_free(ledger);
	assert_int_equal(fake_time_timers(), 0);
}

static void restart(void)
{
	stop();
	start(home);
}

static int set_up(void **state)
{
	(void)state;
	fake_disk = (struct fake_disk){ .skips_sync = true };
	memset(&told, 0, sizeof(told));
	conf.memory_observations = 5;
	conf.memory_age = 60 * 24 * 3600;
	conf.unlisted.memory = MEMORY_DEFER;
	fake_time_begin();
	if (scratch_make(home, sizeof(home), "memory") == -1)
		return -1;
	start(home);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	stop();
	return scratch_remove(home);
}

/* --- seeing --- */

static struct observation seen(const char *domain, const char *host,
    enum observed_stage stage)
{
	struct observation observation = { .stage = stage,
	    .requirement = REQUIRE_OPPORTUNISTIC };

	snprintf(observation.domain, sizeof(observation.domain), "%s",
	    domain);
	snprintf(observation.host, sizeof(observation.host), "%s", host);
	if (stage == OBSERVED_SECURED)
		snprintf(observation.version, sizeof(observation.version),
		    "TLSv1.3");
	else if (stage == OBSERVED_FAILED)
		snprintf(observation.symptom, sizeof(observation.symptom),
		    "starttls-absent");
	return observation;
}

static void see(const char *domain, const char *host,
    enum observed_stage stage, unsigned times)
{
	struct observation observation = seen(domain, host, stage);

	while (times-- > 0)
		memory_observe(memory, &observation);
}

/* "tls dane sts web clear count=N", of those that are. */
static const char *fact_text(enum memory_kind kind, const char *name)
{
	static char text[100];
	struct fact_memory fact;

	if (!memory_fact(memory, kind, name, &fact)) {
		assert_int_equal(fact.count, 0);
		assert_false(fact.expects_tls || fact.expects_web ||
		    fact.expects_dane || fact.expects_sts ||
		    fact.known_clear || fact.last != 0);
		return "unknown";
	}
	snprintf(text, sizeof(text), "%s%s%s%s%scount=%u",
	    fact.expects_tls ? "tls " : "", fact.expects_dane ? "dane " : "",
	    fact.expects_sts ? "sts " : "", fact.expects_web ? "web " : "",
	    fact.known_clear ? "clear " : "", fact.count);
	return text;
}

#define EXPECT_HOST(name, text) \
    assert_string_equal(fact_text(MEMORY_HOST, name), text)
#define EXPECT_DOMAIN(name, text) \
    assert_string_equal(fact_text(MEMORY_DESTINATION, name), text)

/* The one object of this kind and name as text. */
struct wanted {
	const char	*kind, *name;
	json_t		*object;
};

static void pick(void *arg, json_t *object)
{
	struct wanted *wanted = arg;
	const char *name = json_string_value(json_object_get(object,
	    wanted->kind));

	if (name != NULL && strcmp(name, wanted->name) == 0) {
		assert_null(wanted->object);
		wanted->object = object;
	} else {
		json_decref(object);
	}
}

static void each_object(void (*visit)(void *arg, json_t *object), void *arg)
{
	struct memory_walk *walk = memory_walk_new(memory, "");
	json_t *object;

	while (memory_walk_next(walk, &object) > 0)
		if (object != NULL)
			visit(arg, object);
	memory_walk_free(walk);
}

static json_t *object_of(const char *kind, const char *name)
{
	struct wanted wanted = { kind, name, NULL };

	each_object(pick, &wanted);
	return wanted.object;
}

static void expect_object(const char *kind, const char *name,
    const char *text)
{
	json_t *object = object_of(kind, name);
	char *said = json_dumps(object, JSON_COMPACT | JSON_PRESERVE_ORDER);

	assert_string_equal(said, text);
	free(said);
	json_decref(object);
}

/* "" for none. */
static void expect_member(const char *kind, const char *name,
    const char *member, const char *text)
{
	json_t *object = object_of(kind, name);
	const char *value = json_string_value(json_object_get(object, member));

	assert_string_equal(value == NULL ? "" : value, text);
	json_decref(object);
}

/* --- what is learnt --- */

/* T: under TLS; C: in clear; F: trouble with TLS; f: other trouble; S: left
 * out; d: a day. */
static void play(const char *script)
{
	struct observation other = seen("d.example", "h.example",
	    OBSERVED_FAILED);
	char *end;
	long count;

	other.symptom[0] = '\0';
	while (*script != '\0') {
		count = strtol(script, &end, 10);
		count = end == script ? 1 : count;
		switch (*end) {
		case 'T':
			see("d.example", "h.example", OBSERVED_SECURED,
			    (unsigned)count);
			break;
		case 'C':
			see("d.example", "h.example", OBSERVED_CLEAR,
			    (unsigned)count);
			break;
		case 'F':
			see("d.example", "h.example", OBSERVED_FAILED,
			    (unsigned)count);
			break;
		case 'S':
			see("d.example", "h.example", OBSERVED_SKIPPED,
			    (unsigned)count);
			break;
		case 'f':
			memory_observe(memory, &other);
			break;
		case 'd':
			fake_time_pass(DAYS(count));
			break;
		default:
			fail_msg("script %s", end);
		}
		script = end + 1;
	}
}

/* TLS-18, TLS-65, H-01, H-06. */
static void test_ladder(void **state)
{
	static const struct { const char *script, *fact; } cases[] = {
		{ "", "unknown" },
		{ "S", "unknown" },
		{ "F", "unknown" },
		{ "f", "unknown" },
		{ "T", "count=1" },
		{ "4T", "count=4" },
		{ "5T", "tls count=5" },
		{ "5TS", "tls count=5" },
		{ "5Tf", "tls count=5" },
		{ "5TF", "tls count=5" },
		{ "5T100C", "tls count=5" },	/* not taken back */
		{ "5T59d", "tls count=5" },
		{ "5T60d", "count=5" },		/* by age */
		{ "5T30dT59d", "tls count=6" },
		{ "5T30dC30d", "count=5" },	/* age since TLS */
		{ "5T60dT", "count=1" },	/* counted anew: H-06 */
		{ "5T60d4T", "count=4" },
		{ "5T60d5T", "tls count=5" },
		{ "4C", "count=0" },
		{ "5C", "clear count=0" },
		{ "5C100d", "clear count=0" },
		{ "5CT", "count=1" },		/* TLS once is enough */
		{ "5CT60d5C", "count=1" },	/* for ever */
		{ "4TC", "count=4" },
		{ "2TC2TCT", "tls count=5" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		play(cases[i].script);
		if (strcmp(fact_text(MEMORY_HOST, "h.example"),
		    cases[i].fact) != 0)
			fail_msg("%s: %s", cases[i].script,
			    fact_text(MEMORY_HOST, "h.example"));
		EXPECT_DOMAIN("d.example", cases[i].fact);
		EXPECT_DOMAIN("h.example", "unknown");
		EXPECT_HOST("d.example", "unknown");
		fake_time_pass(SECONDS(5));
		restart();
		if (strcmp(fact_text(MEMORY_HOST, "h.example"),
		    cases[i].fact) != 0)
			fail_msg("%s after a restart: %s", cases[i].script,
			    fact_text(MEMORY_HOST, "h.example"));
		memory_forget(memory, "h.example");
		memory_forget(memory, "d.example");
	}
}

static void test_lost(void **state)
{
	static const struct { const char *script, *lost; } cases[] = {
		{ "T", "" }, { "C", "" }, { "CF", "" },	/* nothing to lose */
		{ "T1dC", "2026-11-23T12:00:00Z" },
		{ "T1dF", "2026-11-23T12:00:00Z" },
		{ "T1df", "" }, { "T1dS", "" },
		{ "T1dF1dC1dF", "2026-11-23T12:00:00Z" },
		{ "T1dFT", "" },
		{ "T1dFT1dC", "2026-11-24T12:00:00Z" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		stop();
		fake_time_begin();
		start(home);
		play(cases[i].script);
		expect_member("host", "h.example", "lost-since",
		    cases[i].lost);
		restart();
		expect_member("destination", "d.example", "lost-since",
		    cases[i].lost);
		memory_forget(memory, "h.example");
		memory_forget(memory, "d.example");
	}
}

/* TLS came about: whatever is wrong with it, it is not gone. */
static void test_not_lost(void **state)
{
	struct observation observation = seen("d.example", "h.example",
	    OBSERVED_FAILED);

	(void)state;
	play("5T1d");
	snprintf(observation.symptom, sizeof(observation.symptom),
	    "certificate");
	snprintf(observation.version, sizeof(observation.version), "TLSv1.3");
	memory_observe(memory, &observation);
	expect_member("host", "h.example", "lost-since", "");
	EXPECT_HOST("h.example", "tls count=5");
}

/* H-08: with other hosts behind it a destination is still known for TLS; and
 * one old host among them is known as what it is. */
static void test_host_and_destination(void **state)
{
	(void)state;
	see("d.example", "mx1.old.example", OBSERVED_SECURED, 5);
	see("d.example", "mx2.old.example", OBSERVED_CLEAR, 5);
	EXPECT_DOMAIN("d.example", "tls count=5");
	EXPECT_HOST("mx1.old.example", "tls count=5");
	EXPECT_HOST("mx2.old.example", "clear count=0");
	see("d.example", "mx.new.example", OBSERVED_SECURED, 1);
	EXPECT_DOMAIN("d.example", "tls count=6");
	EXPECT_HOST("mx.new.example", "count=1");
	see("other.example", "mx1.old.example", OBSERVED_SECURED, 1);
	EXPECT_HOST("mx1.old.example", "tls count=6");
	EXPECT_DOMAIN("other.example", "count=1");
	expect_member("destination", "d.example", "lost-since", "");
}

/* What was seen counts, whoever asked for it; level none has seen nothing. */
static void test_wishes(void **state)
{
	struct observation observation = seen("d.example", "h.example",
	    OBSERVED_SECURED);
	unsigned i;

	(void)state;
	for (i = 0; i < WISHES; i++) {
		observation.wish = i;
		memory_observe(memory, &observation);
	}
	EXPECT_HOST("h.example", "count=4");
	observation.requirement = REQUIRE_ENCRYPTED;
	observation.source = SOURCE_LEVEL;
	memory_observe(memory, &observation);
	EXPECT_HOST("h.example", "tls count=5");
	observation = seen("d.example", "clear.example", OBSERVED_CLEAR);
	observation.requirement = REQUIRE_CLEAR;
	for (i = 0; i < 10; i++)
		memory_observe(memory, &observation);
	EXPECT_HOST("clear.example", "unknown");
	expect_member("destination", "d.example", "lost-since", "");
}

/* By whom it was authenticated; H-03. */
static void test_policies(void **state)
{
	static const struct {
		enum requirement	 requirement;
		enum plan_source	 source, ideal;
		enum tls_result		 result;
		const char		*fact;
	} cases[] = {
		{ REQUIRE_DANE, SOURCE_DANE, SOURCE_NONE, RESULT_SUCCESS,
		    "tls dane count=5" },
		{ REQUIRE_DANE, SOURCE_DANE, SOURCE_STS, RESULT_SUCCESS,
		    "tls dane count=5" },
		{ REQUIRE_DANE, SOURCE_DANE, SOURCE_NONE, RESULT_TLSA_INVALID,
		    "tls count=5" },
		/* no usable record: TLS without a name */
		{ REQUIRE_ENCRYPTED, SOURCE_DANE, SOURCE_NONE, RESULT_SUCCESS,
		    "tls count=5" },
		{ REQUIRE_DANE, SOURCE_HALF_DANE, SOURCE_NONE, RESULT_SUCCESS,
		    "tls count=5" },
		{ REQUIRE_NAME, SOURCE_STS, SOURCE_NONE, RESULT_SUCCESS,
		    "tls sts count=5" },
		{ REQUIRE_NAME, SOURCE_STS, SOURCE_NONE,
		    RESULT_CERTIFICATE_EXPIRED, "tls count=5" },
		/* what is not demanded, but was tried: REQ-58, mode testing */
		{ REQUIRE_OPPORTUNISTIC, SOURCE_NONE, SOURCE_DANE,
		    RESULT_SUCCESS, "tls dane count=5" },
		{ REQUIRE_OPPORTUNISTIC, SOURCE_NONE, SOURCE_STS,
		    RESULT_SUCCESS, "tls sts count=5" },
		{ REQUIRE_OPPORTUNISTIC, SOURCE_NONE, SOURCE_STS,
		    RESULT_VALIDATION_FAILURE, "tls count=5" },
		{ REQUIRE_ENCRYPTED, SOURCE_LEVEL, SOURCE_DANE,
		    RESULT_SUCCESS, "tls dane count=5" },
		/* nothing above it was tried */
		{ REQUIRE_NAME, SOURCE_LEVEL, SOURCE_DANE, RESULT_SUCCESS,
		    "tls count=5" },
		{ REQUIRE_FINGERPRINT, SOURCE_PIN, SOURCE_STS, RESULT_SUCCESS,
		    "tls count=5" },
		{ REQUIRE_ENCRYPTED, SOURCE_MEMORY, SOURCE_NONE,
		    RESULT_SUCCESS, "tls count=5" },
		{ REQUIRE_OPPORTUNISTIC, SOURCE_NONE, SOURCE_NONE,
		    RESULT_SUCCESS, "tls count=5" },
	};
	struct observation observation;
	unsigned i, n;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		observation = seen("d.example", "h.example",
		    OBSERVED_SECURED);
		observation.requirement = cases[i].requirement;
		observation.source = cases[i].source;
		observation.ideal_source = cases[i].ideal;
		observation.result = cases[i].result;
		for (n = 0; n < 5; n++)
			memory_observe(memory, &observation);
		if (strcmp(fact_text(MEMORY_DESTINATION, "d.example"),
		    cases[i].fact) != 0)
			fail_msg("case %u: %s", i,
			    fact_text(MEMORY_DESTINATION, "d.example"));
		restart();
		EXPECT_HOST("h.example", cases[i].fact);
		memory_forget(memory, "d.example");
		memory_forget(memory, "h.example");
	}
}

/* A softer fact ages by itself, and comes back by counting anew. */
static void test_policy_age(void **state)
{
	struct observation observation = seen("d.example", "h.example",
	    OBSERVED_SECURED);
	unsigned i;

	(void)state;
	observation.requirement = REQUIRE_DANE;
	observation.source = SOURCE_DANE;
	for (i = 0; i < 5; i++)
		memory_observe(memory, &observation);
	fake_time_pass(DAYS(40));
	play("T");
	EXPECT_DOMAIN("d.example", "tls dane count=6");
	fake_time_pass(DAYS(20));
	EXPECT_DOMAIN("d.example", "tls count=6");
	memory_observe(memory, &observation);
	EXPECT_DOMAIN("d.example", "tls count=7");
	for (i = 0; i < 4; i++)
		memory_observe(memory, &observation);
	EXPECT_DOMAIN("d.example", "tls dane count=11");
}

/* H-02: in a row. */
static void test_web(void **state)
{
	static const struct { const char *states; const char *fact; }
	    cases[] = {
		{ "vvvvv", "tls web count=5" }, { "vvvvx", "tls count=5" },
		{ "vvvvxvvvv", "tls count=9" },
		{ "vvvvxvvvvv", "tls web count=10" },
		{ "vvuvvuv", "tls web count=7" },	/* unknown: neither */
		{ "uuuuu", "tls count=5" },
	};
	struct observation observation = seen("d.example", "h.example",
	    OBSERVED_SECURED);
	const char *at;
	unsigned i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		for (at = cases[i].states; *at != '\0'; at++) {
			observation.web = *at == 'v' ? WEB_VALID :
			    *at == 'x' ? WEB_INVALID : WEB_UNKNOWN;
			memory_observe(memory, &observation);
		}
		restart();
		EXPECT_HOST("h.example", cases[i].fact);
		memory_forget(memory, "h.example");
	}
}

static void test_names(void **state)
{
	static const struct { const char *name; bool known; } cases[] = {
		{ "h.example", true }, { "H.Example.", true },
		{ "under_score.example", true }, { "single", true },
		{ "[192.0.2.1]", false }, { "", false }, { ".", false },
		{ "a..b", false }, { ".a", false }, { "a b", false },
		{ "a\x1b.example", false }, { "a/b", false },
	};
	struct fact_memory fact;
	char label[300];
	unsigned i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		see("d.example", cases[i].name, OBSERVED_SECURED, 1);
		if (memory_fact(memory, MEMORY_HOST, cases[i].name, &fact) !=
		    cases[i].known)
			fail_msg("\"%s\"", cases[i].name);
	}
	EXPECT_HOST("h.EXAMPLE", "count=2");
	memset(label, 'a', sizeof(label));
	label[64] = '\0';
	assert_false(memory_fact(memory, MEMORY_HOST, label, &fact));
	see("d.example", label, OBSERVED_SECURED, 1);
	assert_false(memory_fact(memory, MEMORY_HOST, label, &fact));
	label[63] = '\0';
	see("d.example", label, OBSERVED_SECURED, 1);
	assert_true(memory_fact(memory, MEMORY_HOST, label, &fact));
	assert_int_equal(memory_count(memory), 5);
}

/* --- what is told --- */

static void test_told(void **state)
{
	(void)state;
	see("d.example", "h.example", OBSERVED_SECURED, 4);
	expect_told("");
	see("d.example", "h.example", OBSERVED_SECURED, 1);
	expect_told("d.example * ");
	see("d.example", "h.example", OBSERVED_SECURED, 100);
	see("d.example", "h.example", OBSERVED_CLEAR, 100);
	expect_told("");
	fake_time_pass(DAYS(60) - SECONDS(1));
	expect_told("");
	fake_time_pass(SECONDS(1));		/* while nobody asks */
	assert_int_equal(told.count, 2);
	assert_non_null(strstr(told.text, "d.example "));
	assert_non_null(strstr(told.text, "* "));
	memset(&told, 0, sizeof(told));
	fake_time_pass(MEMORY_TELL_MILLISECONDS);
	assert_int_equal(fake_time_timers(), 0);
	see("c.example", "c.example", OBSERVED_CLEAR, 5);
	expect_told("c.example * ");		/* known as clear */
}

/* Many hosts at once: the first at once, the others together later. */
static void test_told_together(void **state)
{
	char host[32];
	unsigned i;

	(void)state;
	for (i = 0; i < 100; i++) {
		snprintf(host, sizeof(host), "h%u.example", i);
		see("d.example", host, OBSERVED_SECURED, 5);
	}
	expect_told("d.example * ");
	fake_time_pass(MEMORY_TELL_MILLISECONDS - 1);
	expect_told("");
	fake_time_pass(1);
	expect_told("* ");
	fake_time_pass(MEMORY_TELL_MILLISECONDS);
	expect_told("");
	see("d.example", "last.example", OBSERVED_SECURED, 5);
	expect_told("* ");
}

/* Where memory only warns, a host changes nothing that binds; one destination
 * that defers is enough. */
static void test_told_of_hosts(void **state)
{
	struct conf_destination one = { .pattern = (char *)"x.example",
	    .memory = MEMORY_DEFER };

	(void)state;
	conf.unlisted.memory = MEMORY_WARN;
	memory_configure(memory, &conf);
	see("d.example", "h.example", OBSERVED_SECURED, 5);
	expect_told("d.example ");
	see("e.example", "i.example", OBSERVED_CLEAR, 5);
	expect_told("e.example ");
	assert_int_equal(memory_forget(memory, "h.example"), 1);
	fake_time_pass(MEMORY_TELL_MILLISECONDS);
	expect_told("");
	conf.destinations = &one;
	conf.destination_count = 1;
	memory_configure(memory, &conf);
	see("d.example", "j.example", OBSERVED_SECURED, 5);
	expect_told("* ");
	conf.destinations = NULL;
	conf.destination_count = 0;
}

static void test_configured(void **state)
{
	(void)state;
	see("d.example", "h.example", OBSERVED_SECURED, 3);
	fake_time_pass(DAYS(10));
	conf.memory_observations = 3;
	memory_configure(memory, &conf);
	EXPECT_DOMAIN("d.example", "tls count=3");
	expect_told("* ");
	memory_configure(memory, &conf);
	fake_time_pass(MEMORY_TELL_MILLISECONDS);
	expect_told("");
	conf.memory_age = 10 * 24 * 3600;
	memory_configure(memory, &conf);
	EXPECT_DOMAIN("d.example", "count=3");
	expect_told("* ");
	conf.memory_age = 12 * 24 * 3600;
	memory_configure(memory, &conf);
	EXPECT_DOMAIN("d.example", "tls count=3");
	fake_time_pass(MEMORY_TELL_MILLISECONDS);
	expect_told("* ");
	fake_time_pass(DAYS(2));
	EXPECT_DOMAIN("d.example", "count=3");
	assert_int_equal(told.count, 2);
}

/* --- clocks --- */

/* While the process runs the monotonic clock decides. */
static void test_clock_set(void **state)
{
	(void)state;
	play("5T");
	fake_time_set_wall(DAYS(1000));
	EXPECT_HOST("h.example", "tls count=5");
	fake_time_set_wall(-DAYS(2000));
	EXPECT_HOST("h.example", "tls count=5");
	fake_time_pass(DAYS(59));
	EXPECT_HOST("h.example", "tls count=5");
	fake_time_pass(DAYS(1));		/* not eternal */
	EXPECT_HOST("h.example", "count=5");
	see("d.example", "h.example", OBSERVED_SECURED, 5);
	EXPECT_HOST("h.example", "tls count=5");
}

/* A start with a clock that is wrong: what is in the future is as if seen now,
 * and with the clock right again all is as it was. */
static void test_clock_set_at_start(void **state)
{
	(void)state;
	play("5T");
	fake_time_pass(DAYS(10));
	stop();
	fake_time_set_wall(-DAYS(20000));
	fake_time_set_monotonic(SECONDS(30));
	start(home);
	EXPECT_HOST("h.example", "tls count=5");
	fake_time_pass(DAYS(60));
	EXPECT_HOST("h.example", "count=5");
	fake_time_set_wall(DAYS(20000) - DAYS(60));
	restart();
	EXPECT_HOST("h.example", "tls count=5");
	stop();
	fake_time_set_wall(DAYS(5000));		/* too far the other way */
	start(home);
	EXPECT_HOST("h.example", "count=5");
	stop();
	fake_time_set_wall(-DAYS(5000));
	start(home);				/* not lost by that */
	EXPECT_HOST("h.example", "tls count=5");
	fake_time_pass(DAYS(50));
	EXPECT_HOST("h.example", "count=5");
}

/* --- an operator's word --- */

static void test_forget(void **state)
{
	(void)state;
	see("d.example", "h.example", OBSERVED_SECURED, 5);
	see("both.example", "both.example", OBSERVED_SECURED, 1);
	memset(&told, 0, sizeof(told));
	assert_int_equal(memory_forget(memory, "absent.example"), 0);
	assert_int_equal(memory_forget(memory, "not a name"), 0);
	assert_int_equal(memory_forget(memory, "D.example."), 1);
	expect_told("d.example ");
	assert_int_equal(memory_forget(memory, "both.example"), 2);
	expect_told("");
	EXPECT_DOMAIN("d.example", "unknown");
	restart();
	EXPECT_DOMAIN("d.example", "unknown");
	EXPECT_HOST("both.example", "unknown");
	EXPECT_HOST("h.example", "tls count=5");
}

static struct plan_pin pin_of(const char *domain, enum pin_level level)
{
	struct plan_pin pin = { .level = level, .reason = "ticket 41",
	    .author = "root (uid 0)" };

	snprintf(pin.domain, sizeof(pin.domain), "%s", domain);
	if (level == PIN_FINGERPRINT) {
		pin.fingerprint_count = 2;
		memset(pin.fingerprints[0], 0xa5, DIGEST_BYTES);
		memset(pin.fingerprints[1], 0x0f, DIGEST_BYTES);
	}
	return pin;
}

static void test_pins(void **state)
{
	struct plan_pin pin = pin_of("D.example.", PIN_FINGERPRINT);
	const struct plan_pin *found;

	(void)state;
	assert_null(memory_pin(memory, "d.example"));
	assert_null(memory_set_pin(memory, &pin));
	expect_told("d.example ");
	restart();
	found = memory_pin(memory, "d.EXAMPLE");
	assert_non_null(found);
	assert_string_equal(found->domain, "d.example");
	assert_int_equal(found->level, PIN_FINGERPRINT);
	assert_int_equal(found->fingerprint_count, 2);
	assert_memory_equal(found->fingerprints, pin.fingerprints,
	    sizeof(pin.fingerprints));
	assert_string_equal(found->reason, "ticket 41");
	assert_string_equal(found->author, "root (uid 0)");
	assert_int_equal(found->made, clock_wall());
	assert_null(memory_pin(memory, "x.d.example"));
	expect_object("pin", "d.example", "{\"pin\":\"d.example\","
	    "\"level\":\"fingerprint\",\"fingerprints\":["
	    "\"a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5"
	    "\",\"0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f"
	    "0f0f\"],\"reason\":\"ticket 41\",\"author\":\"root (uid 0)\","
	    "\"made\":\"2026-11-22T12:00:00Z\"}");
	pin = pin_of("d.example", PIN_VERIFY);
	assert_null(memory_set_pin(memory, &pin));
	expect_told("d.example ");
	assert_int_equal(memory_pin(memory, "d.example")->level, PIN_VERIFY);
	fake_time_pass(DAYS(1000));		/* pins do not age */
	assert_non_null(memory_pin(memory, "d.example"));
	assert_int_equal(memory_forget(memory, "d.example"), 0);
	assert_false(memory_unpin(memory, "other.example"));
	expect_told("");
	assert_true(memory_unpin(memory, "D.example"));
	expect_told("d.example ");
	restart();
	assert_null(memory_pin(memory, "d.example"));
}

static void test_pins_refused(void **state)
{
	struct plan_pin pin;

	(void)state;
#define REFUSED(domain, level, change, says) do {			\
	pin = pin_of(domain, level);					\
	change;								\
	if (memory_set_pin(memory, &pin) == NULL ||			\
	    strstr(memory_set_pin(memory, &pin), says) == NULL)		\
		fail_msg("%s: %s", #change, says);			\
} while (0)
	REFUSED("", PIN_ENCRYPT, (void)0, "domain name");
	REFUSED("*", PIN_ENCRYPT, (void)0, "domain name");
	REFUSED("a b", PIN_ENCRYPT, (void)0, "domain name");
	REFUSED("a.example", PIN_LEVELS, (void)0, "level");
	REFUSED("a.example", PIN_FINGERPRINT, pin.fingerprint_count = 0,
	    "fingerprints");
	REFUSED("a.example", PIN_FINGERPRINT, pin.fingerprint_count = 9,
	    "fingerprints");
	REFUSED("a.example", PIN_VERIFY, pin.fingerprint_count = 1,
	    "fingerprints");
	REFUSED("a.example", PIN_VERIFY, pin.reason[3] = '\n', "reason");
	REFUSED("a.example", PIN_VERIFY, pin.author[3] = '\x7f', "author");
	expect_told("");
	assert_null(object_of("pin", "a.example"));
}

/* --- the disk --- */

/* What was seen two seconds ago is there, and pins at once. */
static void run_and_die(void)
{
	struct plan_pin pin = pin_of("d.example", PIN_ENCRYPT);

	start(home);
	play("5T");
	fake_time_pass(LEDGER_SOON_MILLISECONDS);
	play("T");
	if (memory_set_pin(memory, &pin) != NULL)
		_exit(2);
	kill(getpid(), SIGKILL);
}

static void test_killed(void **state)
{
	char said[4096];
	int status;

	(void)state;
	stop();
	status = run_child(run_and_die, said, sizeof(said));
	assert_true(WIFSIGNALED(status));
	start(home);
	EXPECT_HOST("h.example", "tls count=5");
	EXPECT_DOMAIN("d.example", "tls count=5");
	assert_non_null(memory_pin(memory, "d.example"));
}

static void run_full_disk(void)
{
	struct plan_pin pin = pin_of("kept.example", PIN_ENCRYPT);

	start(home);
	if (memory_set_pin(memory, &pin) != NULL)
		_exit(2);
	fake_disk.is_full = true;
	pin.level = PIN_VERIFY;
	if (memory_set_pin(memory, &pin) == NULL ||
	    memory_pin(memory, "kept.example")->level != PIN_ENCRYPT)
		_exit(3);
	pin = pin_of("new.example", PIN_ENCRYPT);
	if (memory_set_pin(memory, &pin) == NULL ||
	    memory_pin(memory, "new.example") != NULL)
		_exit(4);
	play("5T");
	fake_disk.is_full = false;
	fake_time_pass(MINUTES(2));
	_exit(0);
}

static void test_full_disk(void **state)
{
	char said[4096];

	(void)state;
	stop();
	assert_int_equal(0, run_child(run_full_disk, said, sizeof(said)));
	start(home);
	assert_int_equal(memory_pin(memory, "kept.example")->level,
	    PIN_ENCRYPT);
	assert_null(memory_pin(memory, "new.example"));
	EXPECT_HOST("h.example", "tls count=5");
}

/* The store is another process's at the start, for eleven minutes. */
static void run_late(void)
{
	int ends[2];
	char path[80], byte;
	pid_t holder;

	if (pipe(ends) != 0)
		_exit(2);
	snprintf(path, sizeof(path), "%s/ledger", home);
	holder = fork();
	if (holder == 0) {
		if (policy_store_open(path) == NULL ||
		    write(ends[1], "x", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	if (read(ends[0], &byte, 1) != 1)
		_exit(3);
	start(home);
	if (memory_count(memory) != 0)
		_exit(4);
	play("2T");
	fake_time_pass(MINUTES(10));
	kill(holder, SIGKILL);
	waitpid(holder, NULL, 0);
	fake_time_pass(MINUTES(1) + LEDGER_SOON_MILLISECONDS);
	if (strcmp(fact_text(MEMORY_HOST, "h.example"), "tls count=6") != 0)
		_exit(5);
	_exit(0);
}

/* What was learnt before the rows came is put to them. */
static void test_late(void **state)
{
	char said[4096];
	int status;

	(void)state;
	play("4T");
	stop();
	status = run_child(run_late, said, sizeof(said));
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	start(home);
	EXPECT_HOST("h.example", "tls count=6");
	EXPECT_DOMAIN("d.example", "tls count=6");
	memset(&told, 0, sizeof(told));
}

struct row {
	char	 key[64];
	uint8_t	 value[512];
	size_t	 length;
};

static void keep_row(void *arg, const char *key, const void *value,
    size_t length)
{
	struct row *row = arg;

	if (strncmp(key, row->key, strlen(row->key)) != 0)
		return;
	snprintf(row->key, sizeof(row->key), "%s", key);
	memcpy(row->value, value, length);
	row->length = length;
}

static struct policy_store *open_store(void)
{
	char path[80];

	snprintf(path, sizeof(path), "%s/ledger", home);
	return policy_store_open(path);
}

static struct row get_row(const char *prefix)
{
	struct policy_store *store = open_store();
	struct row row = { .length = 0 };

	snprintf(row.key, sizeof(row.key), "%s", prefix);
	assert_int_equal(0, policy_store_each(store, keep_row, &row));
	policy_store_close(store);
	return row;
}

/* The role starts with it, and what it makes of it could have been written
 * by itself: it is there again after another start. */
static void try_row(const char *key, const uint8_t *value, size_t length)
{
	struct policy_store *store = open_store();
	size_t before;

	assert_int_equal(0, policy_store_put(store, key, value, length));
	policy_store_close(store);
	start(home);
	before = memory_count(memory);
	restart();
	assert_int_equal(memory_count(memory), before);
	stop();
}

/* H-07: rows that are damaged though their page is not. */
static void test_spoiled_rows(void **state)
{
	struct plan_pin pin = pin_of("p.example", PIN_FINGERPRINT);
	static const char *const prefixes[] = { "memory:h:", "pin:" };
	struct row row, bad;
	size_t i, n;

	(void)state;
	play("5TC");
	assert_null(memory_set_pin(memory, &pin));
	stop();
	for (n = 0; n < 2; n++) {
		row = get_row(prefixes[n]);
		assert_true(row.length > 50);
		for (i = 0; i < row.length; i++) {
			bad = row;
			bad.value[i] ^= 0xff;
			try_row(bad.key, bad.value, bad.length);
			try_row(row.key, row.value, i);
		}
	}
	row = get_row("memory:d:");
	assert_string_equal(row.key, "memory:d:d.example");
	try_row("memory:x:d.example", row.value, row.length);
	try_row("memory:d", row.value, row.length);
	try_row("memory:", row.value, row.length);
	try_row("memory:d:D.example", row.value, row.length);
	try_row("memory:d:a b", row.value, row.length);
	start(home);
	EXPECT_DOMAIN("d.example", "tls count=5");
	assert_int_equal(memory_count(memory), 1);
}

/* --- the ceiling --- */

static void see_many(const char *format, unsigned count, unsigned times)
{
	char name[64];
	unsigned i;

	for (i = 0; i < count; i++) {
		snprintf(name, sizeof(name), format, i);
		see(name, name, OBSERVED_SECURED, times);
		fake_time_set_monotonic(clock_monotonic() + 1);
	}
}

/* Names that somebody makes up push out their like, and never those that TLS
 * is expected of. */
static void test_flood(void **state)
{
	struct plan_pin pin = pin_of("pinned.example", PIN_ENCRYPT);
	struct mallinfo2 before, after;

	(void)state;
	stop();
	start("");
	assert_null(memory_set_pin(memory, &pin));
	see("pinned.example", "[192.0.2.1]", OBSERVED_SECURED, 1);
	before = mallinfo2();
	see_many("good%u.example", 1000, 5);
	see_many("once%u.example", 1000, 1);
	see_many("flood%06u.attacker.example", MEMORY_ENTRIES_MAX / 2, 1);
	after = mallinfo2();
	if (after.uordblks > before.uordblks)	/* not under ASan */
		assert_true(after.uordblks - before.uordblks < 80u << 20);
	assert_int_equal(memory_count(memory), MEMORY_ENTRIES_MAX);
	EXPECT_DOMAIN("good0.example", "tls count=5");
	EXPECT_HOST("good999.example", "tls count=5");
	EXPECT_DOMAIN("once0.example", "unknown");
	EXPECT_DOMAIN("pinned.example", "count=1");
	EXPECT_DOMAIN("flood000000.attacker.example", "unknown");
	EXPECT_DOMAIN("flood099999.attacker.example", "count=1");
}

/* When all are expected, those not seen for longest go; a pinned one stays. */
static void test_full_of_expected(void **state)
{
	struct plan_pin pin = pin_of("pinned.example", PIN_ENCRYPT);

	(void)state;
	stop();
	conf.memory_observations = 1;
	start("");
	assert_null(memory_set_pin(memory, &pin));
	see("pinned.example", "[192.0.2.1]", OBSERVED_SECURED, 1);
	see_many("a%u.example", MEMORY_ENTRIES_MAX / 2, 1);
	assert_int_equal(memory_count(memory), MEMORY_ENTRIES_MAX);
	see("a5.example", "a5.example", OBSERVED_CLEAR, 1);
	see_many("b%u.example", 10, 1);
	EXPECT_DOMAIN("pinned.example", "tls count=1");
	EXPECT_DOMAIN("a5.example", "tls count=1");
	EXPECT_DOMAIN("a6.example", "unknown");
	EXPECT_HOST("a100.example", "tls count=1");
	EXPECT_DOMAIN("b0.example", "tls count=1");
	assert_int_equal(memory_count(memory), MEMORY_ENTRIES_MAX);
}

/* What made room is not there after a restart, either. */
static void test_rows_follow(void **state)
{
	(void)state;
	see_many("a%u.example", 2000, 1);
	fake_time_pass(SECONDS(2));
	restart();
	assert_int_equal(memory_count(memory), 4000);
	EXPECT_DOMAIN("a1999.example", "count=1");
}

/* --- JSON --- */

static void import(const char *text)
{
	json_t *object = json_loads(text, 0, NULL);
	const char *problem;

	assert_non_null(object);
	problem = memory_import(memory, object);
	if (problem != NULL)
		fail_msg("%s: %s", text, problem);
	json_decref(object);
}

static void test_export(void **state)
{
	struct observation observation = seen("d.example", "h.example",
	    OBSERVED_SECURED);
	unsigned i;

	(void)state;
	observation.web = WEB_VALID;
	observation.requirement = REQUIRE_DANE;
	observation.source = SOURCE_DANE;
	for (i = 0; i < 5; i++)
		memory_observe(memory, &observation);
	fake_time_pass(HOURS(1));
	see("d.example", "h.example", OBSERVED_CLEAR, 1);
	expect_object("host", "h.example", "{\"host\":\"h.example\","
	    "\"first\":\"2026-11-22T12:00:00Z\","
	    "\"last\":\"2026-11-22T13:00:00Z\",\"tls\":5,"
	    "\"tls-last\":\"2026-11-22T12:00:00Z\",\"clear\":1,"
	    "\"clear-last\":\"2026-11-22T13:00:00Z\","
	    "\"lost-since\":\"2026-11-22T13:00:00Z\",\"web\":5,\"dane\":5,"
	    "\"dane-last\":\"2026-11-22T12:00:00Z\",\"sts\":0,"
	    "\"version\":\"TLSv1.3\",\"expects\":[\"tls\",\"dane\",\"web\"]}");
}

static void append(void *arg, json_t *object)
{
	json_array_append_new(arg, object);
}

static const char *name_of(const json_t *object)
{
	return json_string_value(json_object_iter_value(
	    json_object_iter((json_t *)(uintptr_t)object)));
}

/* All of a full table, in order; what goes in between is left out, what is made
 * in between spoils nothing, and no step looks at much. */
static void test_walk_full(void **state)
{
	char before[256] = "";
	unsigned cost, most = 0, objects = 0, steps = 0, i;
	struct memory_walk *walk;
	json_t *object;

	(void)state;
	stop();
	start("");
	see_many("w%06u.example", MEMORY_ENTRIES_MAX / 2, 1);
	assert_int_equal(memory_count(memory), MEMORY_ENTRIES_MAX);
	walk = memory_walk_new(memory, "");
	while ((cost = memory_walk_next(walk, &object)) > 0) {
		most = cost > most ? cost : most;
		/* Each step a thousand names begin or end somewhere. */
		if (++steps % 100000 == 0)
			see_many("new%u.example", 500, 1);
		if (object == NULL)
			continue;
		if (objects++ == 100)
			for (i = 50000; i < 50100; i++) {
				char name[40];

				snprintf(name, sizeof(name),
				    "w%06u.example", i);
				memory_forget(memory, name);
			}
		if (json_object_get(object, "host") != NULL && strcmp(before,
		    "w099999.example") == 0)
			before[0] = '\0';
		assert_true(strcmp(before, name_of(object)) < 0);
		snprintf(before, sizeof(before), "%s", name_of(object));
		json_decref(object);
	}
	memory_walk_free(walk);
	assert_in_range(most, 1, 24 + 1024);
	assert_in_range(objects, MEMORY_ENTRIES_MAX - 2000 - 200,
	    MEMORY_ENTRIES_MAX - 200);
	assert_string_equal(before, "w099999.example");
}

/* A name, and what is below it. */
static void test_walk_of_name(void **state)
{
	struct memory_walk *walk;
	char names[100] = "";
	json_t *object;

	(void)state;
	see("example.org", "mx.example.org", OBSERVED_SECURED, 1);
	see("xexample.org", "mx.example.net", OBSERVED_SECURED, 1);
	walk = memory_walk_new(memory, "example.org");
	while (memory_walk_next(walk, &object) > 0) {
		if (object == NULL)
			continue;
		snprintf(names + strlen(names), sizeof(names) -
		    strlen(names), "%s ", name_of(object));
		json_decref(object);
	}
	memory_walk_free(walk);
	assert_string_equal(names, "example.org mx.example.org ");
}

/* Out, and in elsewhere: the same, pins too. */
static void test_round_trip(void **state)
{
	struct plan_pin pin = pin_of("d.example", PIN_FINGERPRINT);
	json_t *first = json_array(), *second = json_array();
	char *one, *other;
	size_t i;

	(void)state;
	play("5T1dC");
	see("e.example", "e.example", OBSERVED_CLEAR, 7);
	assert_null(memory_set_pin(memory, &pin));
	each_object(append, first);
	stop();
	start("");
	for (i = 0; i < json_array_size(first); i++)
		assert_null(memory_import(memory, json_array_get(first, i)));
	each_object(append, second);
	one = json_dumps(first, JSON_COMPACT);
	other = json_dumps(second, JSON_COMPACT);
	assert_int_equal(json_array_size(first), 5);
	assert_string_equal(one, other);
	free(one);
	free(other);
	json_decref(first);
	json_decref(second);
}

static void test_import_adds(void **state)
{
	(void)state;
	play("3TC");
	memset(&told, 0, sizeof(told));
	import("{\"host\": \"H.Example\", \"tls\": 2, "
	    "\"tls-last\": \"2026-11-01T00:00:00Z\", \"version\": \"TLSv1.2\","
	    " \"first\": \"2026-01-01T00:00:00Z\", "
	    "\"last\": \"2026-11-01T00:00:00Z\", \"clear\": 4294967295, "
	    "\"clear-last\": \"2026-11-01T00:00:00Z\", \"expects\": 7}");
	expect_told("* ");
	restart();
	expect_object("host", "h.example", "{\"host\":\"h.example\","
	    "\"first\":\"2026-01-01T00:00:00Z\","
	    "\"last\":\"2026-11-22T12:00:00Z\",\"tls\":5,"
	    "\"tls-last\":\"2026-11-22T12:00:00Z\",\"clear\":4294967295,"
	    "\"clear-last\":\"2026-11-22T12:00:00Z\","
	    "\"lost-since\":\"2026-11-22T12:00:00Z\",\"web\":0,\"dane\":0,"
	    "\"sts\":0,\"version\":\"TLSv1.3\",\"expects\":[\"tls\"]}");
	EXPECT_DOMAIN("d.example", "count=3");
	/* Counts and their dates; the other dates follow from them. */
	import("{\"destination\": \"old.example\", \"tls\": 9, "
	    "\"tls-last\": \"2020-02-29T00:00:00Z\"}");
	EXPECT_DOMAIN("old.example", "count=9");
	expect_member("destination", "old.example", "first",
	    "2020-02-29T00:00:00Z");
	/* A little ahead of our clock: now. */
	import("{\"destination\": \"ahead.example\", \"tls\": 9, "
	    "\"tls-last\": \"2026-11-22T20:00:00Z\"}");
	expect_member("destination", "ahead.example", "tls-last",
	    "2026-11-22T12:00:00Z");
	import("{\"pin\": \"p.example\", \"level\": \"verify\", "
	    "\"reason\": \"r\", \"author\": \"a\", "
	    "\"made\": \"2026-01-01T00:00:00Z\"}");
	assert_int_equal(memory_pin(memory, "p.example")->made,
	    INT64_C(1767225600) * 1000);
}

static void test_import_refused(void **state)
{
#define NAME "\"host\": \"h.example\""
#define TLS "\"tls\": 1, \"tls-last\": \"2026-11-01T00:00:00Z\""
#define PIN "\"pin\": \"p.example\", \"level\": \"verify\""
#define FINGERPRINT "\"pin\": \"p.example\", \"level\": \"fingerprint\""
	static const struct { const char *text, *says; } cases[] = {
		{ "[]", "one member" }, { "{}", "one member" },
		{ "7", "one member" }, { "null", "one member" },
		{ "{" NAME "," PIN "}", "one member" },
		{ "{" NAME ", \"destination\": \"h.example\"}",
		    "one member" },
		{ "{\"host\": 7," TLS "}", "\"host\"" },
		{ "{\"host\": \"\"," TLS "}", "\"host\"" },
		{ "{\"host\": \"a b\"," TLS "}", "\"host\"" },
		{ "{\"host\": \"a\\u0000b\"," TLS "}", "\"host\"" },
		{ "{\"host\": null," TLS "}", "\"host\"" },
		{ "{\"destination\": \"[192.0.2.1]\"," TLS "}",
		    "\"destination\"" },
		{ "{" NAME "," TLS ", \"colour\": 1}", "\"colour\"" },
		{ "{" NAME "," TLS ", \"level\": \"verify\"}", "\"level\"" },
		{ "{" NAME ", \"tls\": \"1\"}", "\"tls\"" },
		{ "{" NAME ", \"tls\": -1}", "\"tls\"" },
		{ "{" NAME ", \"tls\": 4294967296}", "\"tls\"" },
		{ "{" NAME ", \"tls\": 1.5}", "\"tls\"" },
		{ "{" NAME ", \"tls\": true}", "\"tls\"" },
		{ "{" NAME ", \"tls\": 1}", "\"tls-last\"" },
		{ "{" NAME "," TLS ", \"sts\": 1}", "\"sts-last\"" },
		{ "{" NAME "," TLS ", \"dane-last\": "
		    "\"2026-11-01T00:00:00Z\"}", "\"dane\"" },
		{ "{" NAME "," TLS ", \"web\": 2}", "\"web\"" },
		{ "{" NAME "}", "\"tls\"" },
		{ "{" NAME "," TLS ", \"first\": 5}", "\"first\"" },
		{ "{" NAME "," TLS ", \"first\": \"yesterday\"}",
		    "\"first\"" },
		{ "{" NAME "," TLS ", \"first\": \"2026-13-01T00:00:00Z\"}",
		    "\"first\"" },
		{ "{" NAME "," TLS ", \"first\": \"2026-02-30T00:00:00Z\"}",
		    "\"first\"" },
		{ "{" NAME "," TLS ", \"first\": \"2026-2-3T00:00:00Z\"}",
		    "\"first\"" },
		{ "{" NAME "," TLS ", \"first\": \"2026-11-01T00:00:00\"}",
		    "\"first\"" },
		{ "{" NAME "," TLS ", \"first\": \"2026-11-01T00:00:00Z \"}",
		    "\"first\"" },
		{ "{" NAME "," TLS ", \"first\": \"1960-11-01T00:00:00Z\"}",
		    "\"first\"" },
		{ "{" NAME "," TLS ", \"last\": \"2026-11-24T00:00:00Z\"}",
		    "\"last\"" },
		{ "{" NAME "," TLS ", \"last\": \"99999999-11-24T00:00:00Z\"}",
		    "\"last\"" },
		{ "{" NAME "," TLS ", \"version\": \"TLS of 2026 and later\"}",
		    "\"version\"" },
		{ "{" NAME "," TLS ", \"version\": \"a\\nb\"}",
		    "\"version\"" },
		{ "{\"pin\": \"p.example\"}", "\"level\"" },
		{ "{\"pin\": \"p.example\", \"level\": \"may\"}",
		    "\"level\"" },
		{ "{\"pin\": \"p.example\", \"level\": 1}", "\"level\"" },
		{ "{\"pin\": \"*\", \"level\": \"verify\"}", "\"pin\"" },
		{ "{\"pin\": 1, \"level\": \"verify\"}", "\"pin\"" },
		{ "{" PIN ", \"tls\": 1}", "\"tls\"" },
		{ "{" PIN ", \"reason\": \"a\\nb\"}", "\"reason\"" },
		{ "{" PIN ", \"author\": []}", "\"author\"" },
		{ "{" PIN ", \"made\": \"2027-11-01T00:00:00Z\"}",
		    "\"made\"" },
		{ "{" PIN ", \"fingerprints\": \"00\"}", "\"fingerprints\"" },
		{ "{" FINGERPRINT "}", "\"fingerprints\"" },
		{ "{" FINGERPRINT ", \"fingerprints\": []}",
		    "\"fingerprints\"" },
		{ "{" FINGERPRINT ", \"fingerprints\": [\"00\"]}",
		    "\"fingerprints\"" },
		{ "{" FINGERPRINT ", \"fingerprints\": [7]}",
		    "\"fingerprints\"" },
		{ "{" FINGERPRINT ", \"fingerprints\": [1,2,3,4,5,6,7,8,9]}",
		    "\"fingerprints\"" },
	};
	const char *problem;
	json_t *object;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		object = json_loads(cases[i].text, JSON_DECODE_ANY |
		    JSON_ALLOW_NUL, NULL);
		assert_non_null(object);
		problem = memory_import(memory, object);
		if (problem == NULL || strstr(problem, cases[i].says) == NULL)
			fail_msg("%s: %s", cases[i].text, problem);
		json_decref(object);
	}
	assert_int_equal(memory_count(memory), 0);
	assert_null(memory_pin(memory, "p.example"));
	expect_told("");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_ladder), TEST(test_lost), TEST(test_not_lost),
		TEST(test_host_and_destination), TEST(test_wishes),
		TEST(test_policies), TEST(test_policy_age), TEST(test_web),
		TEST(test_names), TEST(test_told), TEST(test_told_together),
		TEST(test_told_of_hosts),
		TEST(test_configured), TEST(test_clock_set),
		TEST(test_clock_set_at_start), TEST(test_forget),
		TEST(test_pins), TEST(test_pins_refused), TEST(test_killed),
		TEST(test_full_disk), TEST(test_late),
		TEST(test_spoiled_rows),
		TEST(test_flood), TEST(test_full_of_expected),
		TEST(test_rows_follow), TEST(test_walk_full),
		TEST(test_walk_of_name), TEST(test_export),
		TEST(test_round_trip), TEST(test_import_adds),
		TEST(test_import_refused),
	};

	log_init("test", LOG_LEVEL_FATAL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
