/* SPDX-License-Identifier: ISC */
/*
 * policy/plan_request.c with the true machine and resolver, in a world with
 * true signatures, and with true exceptions, pins and memory (on no disk);
 * MTA-STS is played. And policy/explain.c: what it says of the plans that come
 * out.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "conf/conf.h"
#include "policy/exception.h"
#include "policy/explain.h"
#include "policy/ledger.h"
#include "policy/memory.h"
#include "policy/observation.h"
#include "policy/plan_request.h"
#include "policy/resolver.h"
#include "tests/fake_sts.h"
#include "tests/signed_root.h"

enum { TIME_FOR_A_PLAN = 60000 };

static struct endpoint root;
static struct resolver *resolver;
static struct timer patience;
static char forwarder[100], *forwarders = forwarder;
static struct conf conf;

/* Beside the question; null or zero unless a test says so. */
static struct ledger *ledger;
static struct memory *memory;
static struct exceptions *exceptions;
static enum plan_wish wish;
static int message_level;
static char route[256];			/* next hop without MX */

/* What came of the last question. */
static json_t *said;			/* owned */
static unsigned plans;
static bool can_try;
static enum requirement requirement;
static enum plan_source source;
static struct status status;
static char alarm_text[200];
static uint8_t tlsa_first;		/* octet of the first record */
static size_t name_count;
static uint64_t decided_by;		/* the exception */

static void stop(void *arg)
{
	(void)arg;
	loop_stop();
}

static void on_plan(void *arg, const struct plan *plan,
    const struct plan_facts *facts)
{
	const struct plan_host *host = plan->hosts;
	size_t i;

	(void)arg;
	plans++;
	json_decref(said);
	said = explain_plan(facts, plan);
	can_try = plan_can_try(plan);
	for (i = 0; i < plan->host_count && plan->hosts[i].skip; i++)
		host++;
	if (can_try) {
		requirement = host->requirement;
		source = host->source;
		tlsa_first = host->tlsa_count > 0 ? host->tlsa[0].data[0] : 0;
		name_count = host->name_count;
	}
	decided_by = plan->exception;
	assert_int_equal(plan->wish, wish);
	status = plan->status;
	snprintf(alarm_text, sizeof(alarm_text), "%s", plan->alarm);
	loop_stop();
}

static struct plan_request *begin(const char *domain, int64_t waited)
{
	static struct conf_next_hop next;
	struct plan_context context = { .resolver = resolver,
	    .sts = fake_sts, .memory = memory, .exceptions = exceptions,
	    .conf = &conf };
	struct plan_question question = { .domain = domain, .next = &next,
	    .waited = waited, .wish = wish, .message_level = message_level,
	    .explain = true };

	memset(&next, 0, sizeof(next));
	next.transport = TRANSPORT_SMTP;
	next.port = 25;
	next.mx = route[0] == '\0';
	snprintf(next.host, sizeof(next.host), "%s", next.mx ? domain :
	    route);
	return plan_request_start(&context, &question, on_plan, NULL);
}

static void make_plan(const char *domain, int64_t waited)
{
	plans = 0;
	begin(domain, waited);
	assert_int_equal(plans, 0);	/* never inside the call */
	timer_start(&patience, TIME_FOR_A_PLAN, stop, NULL);
	loop_run();
	timer_stop(&patience);
	assert_int_equal(plans, 1);
}

/* The fact about a question; fails when it was not asked. */
static const json_t *fact(const char *query, const char *name)
{
	const json_t *facts = json_object_get(said, "facts"), *one;
	size_t i;

	for (i = 0; i < json_array_size(facts); i++) {
		one = json_array_get(facts, i);
		if (strcmp(json_string_value(json_object_get(one, "query")),
		    query) == 0 && strcmp(json_string_value(json_object_get(
		    one, "name")), name) == 0)
			return one;
	}
	fail_msg("%s %s was not asked", query, name);
	return NULL;
}

static void assert_text(const json_t *object, const char *key,
    const char *value)
{
	const char *text = json_string_value(json_object_get(object, key));

	assert_non_null(text);
	assert_string_equal(text, value);
}

static const json_t *first(const json_t *object, const char *key)
{
	const json_t *item = json_array_get(json_object_get(object, key), 0);

	assert_non_null(item);
	return item;
}

static int set_up(void **state)
{
	char error[200];

	(void)state;
	root_start(&root);
	snprintf(forwarder, sizeof(forwarder), "127.0.0.1@%u",
	    (unsigned)endpoint_port(&root));
	conf = (struct conf){ .hostname = (char *)"us.example", .ipv4 = true,
	    .resolver = RESOLVER_FORWARD, .forwarders = { &forwarders, 1 },
	    .resolver_timeout = 10, .sts_discovery_wait = 3600,
	    .memory_observations = 2, .memory_age = 86400,
	    .unlisted = { .pattern = (char *)"*", .level = LEVEL_AUTO,
	    .memory = MEMORY_WARN } };
	memory = NULL;
	exceptions = NULL;
	wish = WISH_NONE;
	message_level = -1;
	route[0] = '\0';
	resolver = resolver_new(&conf, root_anchor(), error, sizeof(error));
	assert_non_null(resolver);
	memset(&fake_sts_answer, 0, sizeof(fake_sts_answer));
	fake_sts_answer.known = true;
	fake_sts_answer.ttl = 60;
	fake_sts_silent = false;
	fake_sts_questions = fake_sts_cancelled = 0;
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	json_decref(said);
	said = NULL;
	if (memory != NULL)
		memory_free(memory);
	if (exceptions != NULL)
		exceptions_free(exceptions);
	if (ledger != NULL)
		ledger_free(ledger);
	ledger = NULL;
	resolver_free(resolver);
	root_stop();
	return 0;
}

/* DANE-41, DANE-75: signed all the way. The explanation says it. */
static void test_dane(void **state)
{
	const json_t *host, *record;

	(void)state;
	make_plan("good.lab", 0);
	assert_true(can_try);
	assert_int_equal(requirement, REQUIRE_DANE);
	assert_int_equal(source, SOURCE_DANE);
	assert_int_equal(tlsa_first, 0x5a);
	assert_text(said, "domain", "good.lab");
	assert_text(said, "level", "auto");
	assert_text(fact("MX", "good.lab"), "dnssec", "secure");
	assert_text(first(fact("MX", "good.lab"), "data"), "host",
	    "mx.lab");
	assert_string_equal(json_string_value(first(fact("A", "mx.lab"),
	    "data")), "192.0.2.7");
	record = first(fact("TLSA", "_25._tcp.mx.lab"), "data");
	assert_true(json_is_true(json_object_get(record, "usable")));
	assert_int_equal(json_integer_value(json_object_get(record,
	    "length")), 32);
	host = first(said, "hosts");
	assert_text(host, "requirement", "dane");
	assert_text(host, "source", "dane");
	assert_text(host, "sni", "mx.lab");
	assert_true(json_is_false(json_object_get(host, "skip")));
	assert_int_equal(json_array_size(json_object_get(host, "tlsa")), 1);
	assert_true(json_array_size(json_object_get(said, "decisions")) > 0);
	assert_null(json_object_get(said, "status"));
}

/* DANE-11, DANE-12: a TLSA lookup that fails leaves the host out; with no
 * other, the mail waits, and no later attempt is told otherwise. */
static void test_lookup_error(void **state)
{
	const json_t *host;

	(void)state;
	make_plan("untold.lab", 0);
	assert_false(can_try);
	assert_int_equal(status.outcome, STATUS_DEFERRED);
	assert_text(fact("TLSA", "_25._tcp.untold-mx.lab"), "dnssec",
	    "error");
	host = first(said, "hosts");
	assert_true(json_is_true(json_object_get(host, "skip")));
	assert_text(json_object_get(host, "skipped"), "outcome", "deferred");
	assert_text(json_object_get(said, "status"), "outcome", "deferred");
}

/* DANE-7: bogus is told apart for people, and treated alike. */
static void test_bogus(void **state)
{
	(void)state;
	root_fault = ROOT_EXPIRED;
	make_plan("good.lab", 0);
	assert_false(can_try);
	assert_int_equal(status.reason, REASON_DNS_BOGUS);
	assert_text(fact("MX", "good.lab"), "dnssec", "bogus");
	assert_int_equal(json_array_size(json_object_get(fact("MX",
	    "good.lab"), "data")), 0);
}

/* An unsigned domain with a policy: a plan by it, and its patterns in the
 * explanation although the answer they came in is long gone. */
static void test_policy(void **state)
{
	char pattern[] = "*.lab", *patterns[] = { pattern };
	const json_t *policy;
	char error[200];

	(void)state;
	resolver_free(resolver);
	resolver = resolver_new(&conf, NULL, error, sizeof(error));
	fake_sts_answer.source = STS_SOURCE_CACHED;
	fake_sts_answer.policy = (struct sts_policy){ .mode =
	    STS_MODE_ENFORCE, .mx = patterns, .mx_count = 1,
	    .max_age = 86400 };
	snprintf(fake_sts_answer.id, sizeof(fake_sts_answer.id), "2026");
	make_plan("good.lab", 0);
	memset(pattern, 'x', sizeof(pattern) - 1);
	assert_int_equal(requirement, REQUIRE_NAME);
	assert_int_equal(source, SOURCE_STS);
	assert_string_equal(fake_sts_domain, "good.lab");
	policy = first(fact("STS", "good.lab"), "data");
	assert_text(policy, "mode", "enforce");
	assert_text(policy, "id", "2026");
	assert_string_equal(json_string_value(first(policy, "mx")), "*.lab");
	assert_true(json_is_true(json_object_get(policy, "remembered")));
	assert_text(fact("MX", "good.lab"), "dnssec", "insecure");
}

/* STS-17: what is not known is waited for, and then not, with an alarm. */
static void test_policy_unknown(void **state)
{
	char error[200];

	(void)state;
	resolver_free(resolver);
	resolver = resolver_new(&conf, NULL, error, sizeof(error));
	fake_sts_answer.known = false;
	snprintf(fake_sts_answer.problem, sizeof(fake_sts_answer.problem),
	    "the TXT lookup failed");
	make_plan("good.lab", 0);
	assert_false(can_try);
	assert_int_equal(status.outcome, STATUS_DEFERRED);
	assert_text(fact("STS", "good.lab"), "result", "error");
	assert_text(fact("STS", "good.lab"), "reason",
	    "the TXT lookup failed");
	make_plan("good.lab", 3601);
	assert_true(can_try);
	assert_int_equal(requirement, REQUIRE_OPPORTUNISTIC);
	assert_string_not_equal(alarm_text, "");
	assert_text(said, "alarm", alarm_text);
}

/* --- what operators, senders and time say --- */

static void use_ledger(void)
{
	ledger = ledger_new("");
	memory = memory_new(ledger, NULL, NULL);
	exceptions = exceptions_new(ledger, NULL, NULL);
	ledger_open(ledger);
	memory_configure(memory, &conf);
}

/* Nothing is signed then. */
static void use_unsigned(void)
{
	char error[200];

	resolver_free(resolver);
	resolver = resolver_new(&conf, NULL, error, sizeof(error));
	assert_non_null(resolver);
}

static const json_t *first_host(void)
{
	return first(said, "hosts");
}

/* An exception replaces what is published; what it overrides is told. */
static void test_exception(void **state)
{
	struct exception wanted = { .pattern = "good.lab", .level = LEVEL_MAY,
	    .reason = "ticket 41", .author = "root",
	    .until = clock_wall() + 3600000 }, made;
	const json_t *object;

	(void)state;
	use_ledger();
	assert_null(exceptions_add(exceptions, &wanted, &made));
	make_plan("good.lab", 0);
	assert_int_equal(requirement, REQUIRE_OPPORTUNISTIC);
	assert_int_equal(decided_by, made.id);
	object = json_object_get(said, "exception");
	assert_text(object, "level", "may");
	assert_text(object, "pattern", "good.lab");
	assert_text(object, "reason", "ticket 41");
	assert_text(first_host(), "ideal", "dane");
	assert_text(first_host(), "ideal-source", "dane");
	assert_text(first_host(), "tlsa-domain", "mx.lab");
	/* The message's own level comes first. */
	message_level = LEVEL_DANE_ONLY;
	make_plan("good.lab", 0);
	assert_int_equal(requirement, REQUIRE_DANE);
	assert_int_equal(decided_by, 0);
	assert_text(said, "message-level", "dane-only");
	message_level = -1;
	assert_true(exceptions_revoke(exceptions, made.id, &made));
	make_plan("good.lab", 0);
	assert_int_equal(requirement, REQUIRE_DANE);
	assert_null(json_object_get(said, "exception"));
}

/* A pin of the domain, and one of the host that a route names. */
static void test_pin(void **state)
{
	struct plan_pin pin = { .domain = "good.lab",
	    .level = PIN_FINGERPRINT, .fingerprints = { { 0xab } },
	    .fingerprint_count = 1, .reason = "told by telephone",
	    .author = "root", .made = 1767225600000 };
	const json_t *object;

	(void)state;
	use_ledger();
	assert_null(memory_set_pin(memory, &pin));
	make_plan("good.lab", 0);
	assert_int_equal(requirement, REQUIRE_FINGERPRINT);
	assert_int_equal(source, SOURCE_PIN);
	object = json_object_get(said, "pin");
	assert_text(object, "level", "fingerprint");
	assert_text(object, "reason", "told by telephone");
	assert_text(object, "author", "root");
	assert_non_null(json_object_get(object, "made"));
	assert_int_equal(json_array_size(json_object_get(object,
	    "fingerprints")), 1);
	assert_int_equal(json_array_size(json_object_get(said,
	    "fingerprints")), 1);
	assert_true(memory_unpin(memory, "good.lab"));
	snprintf(pin.domain, sizeof(pin.domain), "mx.lab");
	pin.level = PIN_VERIFY;
	pin.fingerprint_count = 0;
	assert_null(memory_set_pin(memory, &pin));
	use_unsigned();
	make_plan("good.lab", 0);
	assert_int_equal(requirement, REQUIRE_OPPORTUNISTIC);
	snprintf(route, sizeof(route), "mx.lab");
	make_plan("good.lab", 0);
	assert_int_equal(requirement, REQUIRE_NAME);
	assert_int_equal(source, SOURCE_PIN);
}

static void see_tls(unsigned times)
{
	struct observation seen = { .domain = "good.lab", .host = "mx.lab",
	    .stage = OBSERVED_SECURED, .version = "TLSv1.3" };

	while (times-- > 0)
		memory_observe(memory, &seen);
}

/* H-01: what was seen often enough is a fact. */
static void test_memory(void **state)
{
	const json_t *data;

	(void)state;
	use_ledger();
	use_unsigned();
	see_tls(1);
	make_plan("good.lab", 0);
	assert_null(json_object_get(first_host(), "expects-tls"));
	see_tls(1);
	make_plan("good.lab", 0);
	assert_int_equal(requirement, REQUIRE_OPPORTUNISTIC);
	assert_true(json_is_true(json_object_get(first_host(),
	    "expects-tls")));
	assert_text(fact("MEMORY", "good.lab"), "result", "data");
	data = first(fact("MEMORY-HOST", "mx.lab"), "data");
	assert_string_equal(json_string_value(first(data, "expects")), "tls");
	assert_int_equal(json_integer_value(json_object_get(data, "count")),
	    2);
	assert_non_null(json_object_get(data, "last"));
	assert_in_range(json_integer_value(json_object_get(said, "ttl")), 1,
	    86400);
	conf.unlisted.memory = MEMORY_DEFER;
	make_plan("good.lab", 0);
	assert_int_equal(requirement, REQUIRE_ENCRYPTED);
	assert_int_equal(source, SOURCE_MEMORY);
}

/* Nobody remembers anything: commands without the role. */
static void test_no_memory(void **state)
{
	(void)state;
	use_unsigned();
	conf.unlisted.memory = MEMORY_DEFER;
	make_plan("good.lab", 0);
	assert_int_equal(requirement, REQUIRE_OPPORTUNISTIC);
	assert_text(fact("MEMORY", "good.lab"), "result", "nodata");
}

/* REQ-31, REQ-36a, REQ-55: what the sender asks for comes through. */
static void test_wish(void **state)
{
	(void)state;
	wish = WISH_REQUIRETLS;
	make_plan("good.lab", 0);
	assert_int_equal(requirement, REQUIRE_DANE);
	assert_int_equal(name_count, 2);
	assert_text(said, "wish", "requiretls");
	assert_true(json_is_true(json_object_get(first_host(),
	    "requiretls")));
	wish = WISH_OPTIONAL;
	make_plan("good.lab", 0);
	assert_int_equal(requirement, REQUIRE_OPPORTUNISTIC);
	assert_text(said, "wish", "optional");
	assert_text(first_host(), "ideal", "dane");
	wish = WISH_REQUIRETLS;
	use_unsigned();
	make_plan("good.lab", 0);
	assert_false(can_try);
	assert_int_equal(status.outcome, STATUS_FAILED);
	assert_int_equal(status.reason, REASON_REQUIRETLS);
	assert_text(first_host(), "skipped-result", "validation-failure");
	assert_text(json_object_get(first_host(), "skipped"), "status",
	    "5.7.10");
}

/* REQ-36a: requiretls-dane-ee = name-too. The record stands under the alias's
 * end, and the certificate must show the host's name as well. */
static void test_requiretls_names(void **state)
{
	(void)state;
	wish = WISH_REQUIRETLS;
	make_plan("alias.lab", 0);
	assert_int_equal(requirement, REQUIRE_DANE);
	assert_int_equal(name_count, 2);
	conf.requiretls_dane_ee = REQUIRETLS_DANE_NAME_TOO;
	make_plan("alias.lab", 0);
	assert_int_equal(requirement, REQUIRE_DANE);
	assert_int_equal(name_count, 3);
}

/* Whoever goes takes along what is under way, of either kind. */
static void test_cancel(void **state)
{
	struct plan_request *request;
	char error[200];
	int i;

	(void)state;
	plans = 0;
	plan_request_cancel(begin("good.lab", 0));
	resolver_free(resolver);
	resolver = resolver_new(&conf, NULL, error, sizeof(error));
	fake_sts_silent = true;
	request = begin("good.lab", 0);
	for (i = 0; i < 500 && fake_sts_questions == 0; i++) {
		timer_start(&patience, 20, stop, NULL);
		loop_run();
	}
	assert_int_equal(fake_sts_questions, 1);
	plan_request_cancel(request);
	assert_int_equal(fake_sts_cancelled, 1);
	timer_start(&patience, 100, stop, NULL);
	loop_run();
	timer_stop(&patience);
	assert_int_equal(plans, 0);
}

static void add_names(void)
{
	uint8_t wire[300], tlsa[35] = { 3, 1, 1, 0x5a };
	static const char *const hosts[][2] = { { "good.lab", "mx.lab" },
	    { "untold.lab", "untold-mx.lab" },
	    { "alias.lab", "alias-mx.lab" } };
	size_t i;

	for (i = 0; i < 3; i++) {
		wire[0] = 0;
		wire[1] = 10;
		root_add(hosts[i][0], DNS_MX, wire, 2 + root_wire_name(
		    hosts[i][1], wire + 2));
		if (i < 2)
			root_add(hosts[i][1], DNS_A, "\300\0\2\7", 4);
	}
	root_add("alias-mx.lab", DNS_CNAME, wire, root_wire_name("mx.lab",
	    wire));
	root_add("_25._tcp.mx.lab", DNS_TLSA, tlsa, sizeof(tlsa));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_dane), TEST(test_lookup_error), TEST(test_bogus),
		TEST(test_policy), TEST(test_policy_unknown),
		TEST(test_exception), TEST(test_pin), TEST(test_memory),
		TEST(test_no_memory), TEST(test_wish),
		TEST(test_requiretls_names), TEST(test_cancel),
	};
	int result;

	log_init("test", LOG_LEVEL_ERROR);
	loop_init();
	add_names();
	result = cmocka_run_group_tests(tests, NULL, NULL);
	loop_release();
	return result;
}
