/* SPDX-License-Identifier: ISC */
/*
 * plan_step() beside the oracle (policy_plan_oracle.h), and what must hold in
 * every world, whatever the oracle says: DANE-6 to DANE-140, STS-2 to STS-109,
 * REQ-30 to REQ-60, TLS-64 to TLS-74. A check goes through the whole product
 * of what DNS and the policy may say with all levels and wishes, and through
 * all triples of the rest in chosen worlds; with POSTERN_LONG=1 through all
 * pairs in each world of DNS, and samples of the whole product.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/arena.h"
#include "base/mem.h"
#include "policy/plan.h"
#include "tests/unit/policy_plan_oracle.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define BIT(value) ((uint32_t)1 << (value))

/* Sanitizers make it ten times slower: one world of so many is compared then,
 * evenly spread. */
#if defined(__SANITIZE_ADDRESS__)
enum { SHARE = 8 };
#else
enum { SHARE = 1 };
#endif

enum { QUERIES_MAX = 40, DIFFERENCES_SHOWN = 20, KEYS = 1 << 20 };

/* One plan, with everything that was asked for it. */
struct run {
	struct world_question	 question;
	struct fact		 facts[QUERIES_MAX];
	struct plan_query	 log[QUERIES_MAX];
	size_t			 count;
	struct plan		 plan;
	const char		*broken;	/* a query that may not be */
};

static struct arena *arena, *second_arena;
static unsigned long compared, differences, shown_at_most;
static const struct world *current;
static const struct oracle *expected;
static const struct run *answered;

/* What was seen under a key: no other may be. */
struct seen {
	uint8_t		 key[DIGEST_BYTES];
	uint64_t	 summary;	/* 0: free */
};
static struct seen *keys;

/* Saying what differs. */

static void say_bits(const char *title, uint32_t bits,
    const char *(*name)(int value), int values)
{
	print_message(" %s", title);
	for (int i = 0; i < values; i++)
		if ((bits & BIT(i)) != 0)
			print_message(" %s", name(i));
}

static const char *name_of_requirement(int value)
{
	return requirement_name((enum requirement)value);
}

static const char *name_of_source(int value)
{
	return plan_source_name((enum plan_source)value);
}

static void say_plan(const struct run *run)
{
	const struct plan *plan = &run->plan;

	print_message("    asked:");
	for (size_t i = 0; i < run->count; i++)
		print_message(" %s %s;", query_type_name(run->log[i].type),
		    run->log[i].name);
	print_message("\n");
	for (size_t i = 0; i < plan->host_count; i++) {
		const struct plan_host *host = &plan->hosts[i];

		print_message("    plan: %s", host->name);
		if (host->skip)
			print_message(" skipped, %s %s (%s)",
			    status_outcome_name(host->skipped.outcome),
			    status_reason_name(host->skipped.reason),
			    host->skipped.text);
		else
			print_message(" %s by %s, ideal %s by %s, sni %s%s%s",
			    requirement_name(host->requirement),
			    plan_source_name(host->source),
			    requirement_name(host->ideal),
			    plan_source_name(host->ideal_source), host->sni,
			    host->also_name ? ", name too" : "",
			    host->expects_tls ? ", expected" : "");
		for (size_t j = 0; !host->skip && j < host->name_count; j++)
			print_message(" =%s", host->names[j]);
		print_message(" [%s]\n", host->reason);
	}
	print_message("    plan: status %s %s %s; alarm: %s\n",
	    status_outcome_name(plan->status.outcome),
	    status_reason_name(plan->status.reason), plan->status.text,
	    plan->alarm);
}

static void say_oracle(const struct oracle *oracle)
{
	for (unsigned i = 0; i < oracle->host_count; i++) {
		const struct oracle_host *host = &oracle->hosts[i];

		print_message("    oracle: %s", host->name);
		if (host->skip)
			print_message(" skipped, %s",
			    host->lasting ? "lasting" : "for now");
		say_bits("needs", host->requirements, name_of_requirement,
		    REQUIREMENTS);
		say_bits("by", host->sources, name_of_source, SOURCES);
		say_bits("ideal", host->ideals, name_of_requirement,
		    REQUIREMENTS);
		print_message("%s%s\n", host->also_name ? " name too" : "",
		    host->expects_tls ? " expected" : "");
	}
	print_message("    clauses:");
	for (unsigned i = 0; i < oracle->clause_count; i++)
		print_message(" %s;", oracle->clauses[i]);
	print_message("\n");
}

static void differ(const char *what, const char *detail)
{
	char text[1000];

	if (differences++ >= shown_at_most)
		return;
	world_say(current, text, sizeof(text));
	print_message("DIFFERENCE %s %s | %s\n", what, detail, text);
	if (getenv("POSTERN_ORACLE_BRIEF") != NULL)
		return;
	say_plan(answered);
	say_oracle(expected);
}

static void same(bool equal, const char *what, const char *detail)
{
	if (!equal)
		differ(what, detail);
}

/* Making a plan. */

static void run_plan(const struct world *world, const struct oracle *oracle,
    bool explain, struct run *run, struct arena *memory)
{
	struct plan_query query;
	const char *clause;

	world_ask(world, &run->question);
	run->question.facts.explain = explain;
	run->question.facts.facts = run->facts;
	run->count = 0;
	run->broken = NULL;
	for (;;) {
		arena_reset(memory);
		memset(&query, 0, sizeof(query));
		memset(&run->plan, 0, sizeof(run->plan));
		run->question.facts.fact_count = run->count;
		if (plan_step(&run->question.facts, memory, &query,
		    &run->plan) == PLAN_DONE)
			return;
		clause = oracle_forbids(world, oracle, run->log, run->count,
		    &query);
		if (clause != NULL && run->broken == NULL)
			run->broken = clause;
		if (run->count == QUERIES_MAX)
			fail_msg("no end of queries");
		run->log[run->count] = query;
		if (!world_answer(world, &query, &run->facts[run->count]))
			run->facts[run->count].result = FACT_NODATA;
		run->count++;
	}
}

/* Comparing. */

static bool name_is_there(const struct plan_host *host, const char *name)
{
	for (size_t i = 0; i < host->name_count; i++)
		if (strcasecmp(host->names[i], name) == 0)
			return true;
	return false;
}

/* The names of what is asked, or of what is tried beyond it. */
static void compare_names(const struct oracle_host *wanted,
    const struct plan_host *host)
{
	const char *names[ORACLE_NAMES_MAX];
	bool beyond = host->ideal > host->requirement;
	enum requirement requirement = beyond ? host->ideal :
	    host->requirement;
	bool strict = current->at[AT_STRICT_NAMES] != 0 &&
	    current->at[AT_WISH] == WISH_REQUIRETLS;
	size_t count = 0;

	if (!oracle_names(current, expected, wanted, requirement,
	    BIT(beyond ? host->ideal_source : host->source), names))
		return;
	if (strict && requirement == REQUIRE_DANE) {
		same(name_is_there(host, wanted->name), "names", "REQ-36a");
		return;
	}
	while (count < ORACLE_NAMES_MAX && names[count] != NULL)
		same(name_is_there(host, names[count++]), "names",
		    "one is missing");
	if (requirement == REQUIRE_DANE && expected->path != PATH_TRUSTED)
		count += !name_is_there(host, names[0]) ||
		    host->name_count == 2;
	same(host->name_count == count, "names", "one too many");
	if (requirement == REQUIRE_DANE && host->name_count > 0)
		same(strcasecmp(host->names[0], names[0]) == 0, "names",
		    "the base is not first");
}

static void compare_tls(const struct oracle_host *wanted,
    const struct plan_host *host)
{
	bool by_tlsa = host->requirement == REQUIRE_DANE;
	bool tries_tlsa = by_tlsa || host->ideal == REQUIRE_DANE;
	const char *sni = by_tlsa ? wanted->base : wanted->name;

	if (expected->path == PATH_LITERAL)
		sni = "";
	if (sni != NULL && strcasecmp(host->sni, sni) != 0 &&
	    !(tries_tlsa && !by_tlsa && wanted->base != NULL &&
	    strcasecmp(host->sni, wanted->base) == 0))
		differ("sni", host->sni);
	if (tries_tlsa)
		same(host->tlsa_count == wanted->usable, "usable records",
		    "DANE-70");
	same(host->also_name == (wanted->also_name && by_tlsa), "also_name",
	    "DANE-139");
	same(!host->note_name || current->at[AT_STS] == STS_ENFORCE ||
	    current->at[AT_STS] == STS_ENFORCE_OTHER, "note_name", "DANE-139");
	same(host->tlsa_digest == 0 || wanted->base != NULL, "tlsa_digest",
	    "none was published");
	if (wanted->base != NULL && (by_tlsa || host->source == SOURCE_DANE ||
	    host->ideal_source == SOURCE_DANE))
		same(host->tlsa_digest != 0 && strcasecmp(host->tlsa_domain,
		    wanted->base) == 0, "tlsa_domain", "RPT-16");
	compare_names(wanted, host);
}

static void compare_ideal(const struct oracle_host *wanted,
    const struct plan_host *host)
{
	enum requirement ideal = host->ideal > host->requirement ?
	    host->ideal : 0;

	/* Nobody asks: whether the chain would hold, for memory's softer
	 * fact. */
	if (ideal == REQUIRE_NAME && host->ideal_source == SOURCE_NONE)
		ideal = 0;
	same(wanted->certain_ideal <= host->requirement ||
	    ideal >= wanted->certain_ideal, "ideal", "missing");
	if (ideal == 0)
		return;
	same((wanted->ideals & BIT(ideal)) != 0, "ideal", "not published");
	same((wanted->ideal_sources & BIT(host->ideal_source)) != 0,
	    "ideal source", plan_source_name(host->ideal_source));
}

static void compare_host(const struct oracle_host *wanted,
    const struct plan_host *host)
{
	if (wanted->skip != host->skip) {
		differ("skip", host->skip ? "should be tried" :
		    "should be skipped");
		return;
	}
	if (host->skip) {
		same((host->skipped.outcome == STATUS_FAILED) ==
		    wanted->lasting, "skip", "lasting or not");
		same((wanted->skip_reasons & BIT(host->skipped.reason)) != 0,
		    "reason", status_reason_name(host->skipped.reason));
		same(!wanted->lasting || (host->skipped.enhanced_subject == 7
		    && host->skipped.enhanced_detail == 10), "code",
		    "REQ-44");
		same(wanted->skip_results == 0 || (wanted->skip_results &
		    BIT(host->skipped_result)) != 0, "result",
		    tls_result_name(host->skipped_result));
		return;
	}
	if ((wanted->requirements & BIT(host->requirement)) == 0) {
		differ("requirement", requirement_name(host->requirement));
		return;
	}
	same((wanted->sources & BIT(host->source)) != 0, "source",
	    plan_source_name(host->source));
	same(host->requiretls == wanted->requiretls, "requiretls", "REQ-37");
	same(host->expects_tls == wanted->expects_tls, "expects_tls",
	    "TLS-18");
	compare_ideal(wanted, host);
	compare_tls(wanted, host);
}

static const struct plan_host *find_host(const struct plan *plan,
    const char *name)
{
	for (size_t i = 0; i < plan->host_count; i++)
		if (strcasecmp(plan->hosts[i].name, name) == 0)
			return &plan->hosts[i];
	return NULL;
}

static void compare_hosts(const struct plan *plan)
{
	const struct plan_host *host;
	bool can_try = false;

	same(plan->host_count <= expected->host_count, "hosts", "too many");
	for (unsigned i = 0; i < expected->host_count; i++) {
		host = find_host(plan, expected->hosts[i].name);
		can_try |= !expected->hosts[i].skip;
		/* Without an address, or where the level forbids them all, it
		 * need not be told. */
		if (host == NULL)
			same(expected->hosts[i].skip &&
			    (expected->hosts[i].nowhere || (plan->host_count ==
			    0 && !expected->hosts[i].lasting)), "hosts",
			    "one is missing");
		else
			compare_host(&expected->hosts[i], host);
	}
	same(plan_can_try(plan) == can_try, "plan_can_try", "");
	if (!can_try && !plan_can_try(plan))
		same((expected->outcomes & BIT(plan->status.outcome)) != 0,
		    "status", status_outcome_name(plan->status.outcome));
}

static void compare_vanished(const struct plan *plan)
{
	same(!plan->vanished_dane || expected->vanished_dane_may,
	    "vanished_dane", "not so");
	same(plan->vanished_dane || !expected->vanished_dane_must,
	    "vanished_dane", "not told");
	same(!plan->vanished_sts || expected->vanished_sts_may,
	    "vanished_sts", "not so");
	same(plan->vanished_sts || !expected->vanished_sts_must,
	    "vanished_sts", "not told");
}

/* The least of all that was asked, but where the mail's age decides. */
static void compare_ttl(const struct run *run)
{
	uint32_t least = UINT32_MAX;
	bool by_age = false;

	for (size_t i = 0; i < run->count; i++) {
		if (run->facts[i].ttl < least)
			least = run->facts[i].ttl;
		by_age |= run->log[i].type == QUERY_STS &&
		    run->facts[i].result == FACT_ERROR;
	}
	if (run->count > 0)
		same(run->plan.ttl == least || (by_age && run->plan.ttl == 0),
		    "ttl", "not the least");
}

static void compare_plan(const struct run *run)
{
	const struct plan *plan = &run->plan;
	bool by_policy = false;

	if (run->broken != NULL)
		differ("query", run->broken);
	compare_hosts(plan);
	compare_vanished(plan);
	compare_ttl(run);
	for (size_t i = 0; i < plan->host_count; i++)
		by_policy |= !plan->hosts[i].skip &&
		    (plan->hosts[i].source == SOURCE_STS ||
		    plan->hosts[i].ideal_source == SOURCE_STS);
	same(!by_policy || plan->sts_digest != 0, "sts_digest", "missing");
	same(plan->sts_digest == 0 || (current->at[AT_STS] >= STS_ENFORCE &&
	    current->at[AT_STS] <= STS_TESTING_OTHER), "sts_digest",
	    "of no policy");
	same(plan->exception == expected->exception, "exception", "");
	same(plan->wish == (enum plan_wish)current->at[AT_WISH], "wish", "");
	same(strcasecmp(plan->next_hop, world_next_hop(current)) == 0,
	    "next_hop", plan->next_hop);
	if (!plan_can_try(plan))
		return;
	same(plan->no_starttls == expected->no_starttls &&
	    plan->broken_tls == expected->broken_tls, "fallback", "");
	if (expected->pin_prints)
		same(plan->fingerprint_count == 1 &&
		    plan->fingerprints[0][0] == 9, "fingerprints", "pin");
	else if (expected->level == LEVEL_FINGERPRINT)
		same(plan->fingerprint_count == 2 &&
		    plan->fingerprints[0][0] == 1, "fingerprints", "level");
	same(plan->alarm[0] != '\0' || !expected->must_alarm, "alarm",
	    "STS-17");
}

/* What holds in each world, by itself: no table of the oracle is used. */

static bool policy_must_hold(void)
{
	const uint8_t *at = current->at;
	bool trusted = at[AT_HOP] == HOP_MX_SECURE || at[AT_HOP] == HOP_NO_MX ||
	    at[AT_HOP] == HOP_ROUTE || at[AT_HOP] == HOP_ROUTE_MX ||
	    at[AT_HOP] == HOP_MX_ALIAS;
	bool signed_set = trusted && at[AT_ADDRESS] == ADDRESS_SECURE &&
	    ((at[AT_TLSA] >= TLSA_EE && at[AT_TLSA] <= TLSA_MALFORMED) ||
	    at[AT_TLSA] == TLSA_ERROR || at[AT_TLSA] == TLSA_BOGUS);
	bool policy = (at[AT_STS] == STS_ENFORCE ||
	    at[AT_STS] == STS_ENFORCE_OTHER) && at[AT_HOP] != HOP_LITERAL;
	int level = at[AT_MESSAGE_LEVEL] != 0 ? at[AT_MESSAGE_LEVEL] - 1 :
	    at[AT_LEVEL];

	if (at[AT_WISH] == WISH_OPTIONAL || at[AT_PIN] ==
	    WORLD_PIN_FINGERPRINT || (at[AT_EXCEPTION] != WORLD_EXCEPTION_NO &&
	    at[AT_MESSAGE_LEVEL] == 0))
		return false;
	if (level == LEVEL_NONE || level == LEVEL_MAY)
		return false;
	return (level != LEVEL_DANE && policy) || signed_set;
}

static void check_failures(const struct status *status)
{
	if (status->outcome != STATUS_FAILED)
		return;
	same(status->reason == REASON_NULL_MX ||
	    status->reason == REASON_NO_HOST || status->reason == REASON_DNS ||
	    (status->reason == REASON_REQUIRETLS &&
	    current->at[AT_WISH] == WISH_REQUIRETLS), "invariant",
	    "a permanent failure for policy's sake");
}

static void check_invariants(const struct plan *plan)
{
	bool hold = policy_must_hold();

	for (size_t i = 0; i < plan->host_count; i++) {
		const struct plan_host *host = &plan->hosts[i];

		if (host->skip) {
			check_failures(&host->skipped);
			continue;
		}
		if (i == 0 && hold)
			same(host->requirement > REQUIRE_OPPORTUNISTIC,
			    "invariant", "a policy in force, and clear");
		if (current->at[AT_WISH] == WISH_REQUIRETLS)
			same(host->requirement >= REQUIRE_NAME, "invariant",
			    "REQUIRETLS without authentication");
		same(host->requirement != REQUIRE_DANE ||
		    host->tlsa_count > 0, "invariant", "DANE of nothing");
		same(host->requirement != REQUIRE_NAME ||
		    host->name_count > 0, "invariant", "names of nothing");
		same(host->requirement != REQUIRE_FINGERPRINT ||
		    plan->fingerprint_count > 0, "invariant",
		    "fingerprints of nothing");
		same(host->address_count > 0, "invariant", "no address");
		same(host->requirement < REQUIRE_NAME ||
		    host->ideal <= host->requirement, "invariant",
		    "names for two things");
	}
	if (!plan_can_try(plan))
		check_failures(&plan->status);
}

static uint64_t add(uint64_t hash, const void *data, size_t length)
{
	const uint8_t *bytes = data;

	for (size_t i = 0; i < length; i++)
		hash = (hash ^ bytes[i]) * 0x100000001b3;
	return hash;
}

static uint64_t add_text(uint64_t hash, const char *text)
{
	return add(hash, text, strlen(text) + 1);
}

/* What a session must show, in one number: another one, another key. */
static uint64_t summarise(const struct plan *plan)
{
	uint64_t hash = add(0xcbf29ce484222325, &plan->wish,
	    sizeof(plan->wish));

	for (size_t i = 0; i < plan->host_count; i++) {
		const struct plan_host *host = &plan->hosts[i];
		int numbers[] = { (int)host->requirement,
		    host->ideal > host->requirement ? (int)host->ideal : 0,
		    host->requiretls, host->also_name };

		if (host->skip)
			continue;
		hash = add_text(hash, host->name);
		hash = add(hash, numbers, sizeof(numbers));
		if (host->requirement >= REQUIRE_NAME)
			for (size_t j = 0; j < host->name_count; j++)
				hash = add_text(hash, host->names[j]);
		if (host->requirement == REQUIRE_FINGERPRINT)
			hash = add(hash, plan->fingerprints,
			    plan->fingerprint_count * DIGEST_BYTES);
		for (size_t j = 0; j < host->tlsa_count &&
		    host->requirement == REQUIRE_DANE; j++)
			hash = add(hash, &host->tlsa[j], 3);
	}
	return hash == 0 ? 1 : hash;
}

static void check_key(const struct plan *plan)
{
	uint64_t summary = summarise(plan);
	uint64_t at = add(0, plan->key, DIGEST_BYTES);
	struct seen *seen;

	if (!plan_can_try(plan))
		return;
	for (unsigned i = 0; i < 64; i++) {
		seen = &keys[(at + i) % KEYS];
		if (seen->summary == 0) {
			memcpy(seen->key, plan->key, DIGEST_BYTES);
			seen->summary = summary;
			return;
		}
		if (memcmp(seen->key, plan->key, DIGEST_BYTES) == 0) {
			same(seen->summary == summary, "key",
			    "one for two requirements");
			return;
		}
	}
}

static void check_explained(const struct run *plain,
    const struct run *explained)
{
	bool same_queries = plain->count == explained->count;

	for (size_t i = 0; same_queries && i < plain->count; i++)
		same_queries = plain->log[i].type == explained->log[i].type &&
		    strcmp(plain->log[i].name, explained->log[i].name) == 0;
	same(same_queries, "explain", "other queries");
	same(memcmp(plain->plan.key, explained->plan.key, DIGEST_BYTES) == 0 &&
	    plain->plan.host_count == explained->plan.host_count &&
	    plain->plan.status.outcome == explained->plan.status.outcome &&
	    summarise(&plain->plan) == summarise(&explained->plan), "explain",
	    "another plan, or another key for an equal world");
	same(plain->plan.note_count == 0, "explain", "notes unasked");
	same(explained->plan.note_count > 0, "explain", "no notes");
}

static void compare(const struct world *world)
{
	static struct run plain, explained;
	struct oracle oracle;

	if (!world_is_canonical(world) ||
	    add(11, world->at, DIMENSIONS) / 64 % SHARE != 0)
		return;
	oracle_judge(world, &oracle);
	current = world;
	expected = &oracle;
	answered = &plain;
	run_plan(world, &oracle, false, &plain, arena);
	compare_plan(&plain);
	check_invariants(&plain.plan);
	check_key(&plain.plan);
	if (add(7, world->at, DIMENSIONS) % 8 == 0) {
		run_plan(world, &oracle, true, &explained, second_arena);
		check_explained(&plain, &explained);
	}
	compared++;
}

/* Going through worlds. */

static const enum world_dimension dns[] = { AT_HOP, AT_ADDRESS, AT_TLSA,
    AT_OTHER_TLSA, AT_STS, AT_STS_CACHED };
static const enum world_dimension rest[] = { AT_LEVEL, AT_WISH,
    AT_INSECURE_MX, AT_STS_WITH_DANE, AT_MEMORY, AT_MEMORY_FACTS, AT_PIN,
    AT_EXCEPTION, AT_MESSAGE_LEVEL, AT_FALLBACK, AT_STRICT_NAMES, AT_NAMES,
    AT_IMPLICIT, AT_SECOND };

/* Behind an alias, these of the other name are enough. */
static bool is_short(enum world_dimension dimension, unsigned value)
{
	return dimension != AT_OTHER_TLSA || value == TLSA_NODATA ||
	    value == TLSA_TA || value == TLSA_UNUSABLE || value == TLSA_ERROR;
}

/* The product of these dimensions, from the given world on. */
static void each_product(struct world *world,
    const enum world_dimension *dimensions, size_t count,
    void (*visit)(struct world *world))
{
	if (count == 0) {
		visit(world);
		return;
	}
	for (unsigned i = 0; i < world_values(dimensions[0]); i++) {
		if (!is_short(dimensions[0], i))
			continue;
		world->at[dimensions[0]] = (uint8_t)i;
		each_product(world, dimensions + 1, count - 1, visit);
	}
	world->at[dimensions[0]] = 0;
}

/* Up to so many of the rest are other than the default. */
static void each_few(struct world *world, size_t from, unsigned few)
{
	compare(world);
	if (few == 0)
		return;
	for (size_t i = from; i < COUNT(rest); i++) {
		for (unsigned j = 1; j < world_values(rest[i]); j++) {
			world->at[rest[i]] = (uint8_t)j;
			each_few(world, i + 1, few - 1);
		}
		world->at[rest[i]] = 0;
	}
}

static void compare_one(struct world *world)
{
	compare(world);
}

static void compare_levels(struct world *world)
{
	static const enum world_dimension outer[] = { AT_LEVEL, AT_WISH };

	if (world_is_canonical(world))
		each_product(world, outer, COUNT(outer), compare_one);
}

static void compare_pairs(struct world *world)
{
	if (world_is_canonical(world))
		each_few(world, 0, 2);
}

static void report(const char *what)
{
	print_message("%s: %lu worlds compared (one of %d), %lu differences\n",
	    what, compared, SHARE, differences);
	assert_true(compared > 1000);
	assert_int_equal(differences, 0);
}

/* All of DNS and MTA-STS with all levels and wishes. */
static void test_published(void **state)
{
	struct world world;

	(void)state;
	memset(&world, 0, sizeof(world));
	each_product(&world, dns, COUNT(dns), compare_levels);
	report("DNS x MTA-STS x level x wish");
}

static const struct {
	uint8_t	 hop, address, tlsa, other, sts, cached;
} chosen[] = {
	{ HOP_MX_SECURE, 0, TLSA_NODATA, 0, STS_NONE, 0 },
	{ HOP_MX_SECURE, 0, TLSA_TA, 0, STS_NONE, 0 },
	{ HOP_MX_SECURE, 0, TLSA_UNUSABLE, 0, STS_NONE, 0 },
	{ HOP_MX_SECURE, 0, TLSA_ERROR, 0, STS_NONE, 0 },
	{ HOP_MX_SECURE, 0, TLSA_NODATA, 0, STS_ENFORCE, 0 },
	{ HOP_MX_SECURE, 0, TLSA_NODATA, 0, STS_ENFORCE_OTHER, 0 },
	{ HOP_MX_SECURE, 0, TLSA_EE, 0, STS_ENFORCE, 1 },
	{ HOP_MX_SECURE, 0, TLSA_EE, 0, STS_ENFORCE_OTHER, 1 },
	{ HOP_MX_SECURE, 0, TLSA_UNUSABLE, 0, STS_ENFORCE, 0 },
	{ HOP_MX_SECURE, 0, TLSA_NODATA, 0, STS_TESTING, 0 },
	{ HOP_MX_SECURE, 0, TLSA_NODATA, 0, STS_UNKNOWN_LATE, 0 },
	{ HOP_MX_SECURE, ADDRESS_ALIAS_SECURE, TLSA_TA, 0, STS_NONE, 0 },
	{ HOP_MX_SECURE, ADDRESS_ERROR, 0, 0, STS_NONE, 0 },
	{ HOP_MX_SECURE, ADDRESS_NONE, 0, 0, STS_NONE, 0 },
	{ HOP_MX_UNSIGNED, ADDRESS_INSECURE, 0, 0, STS_NONE, 0 },
	{ HOP_MX_UNSIGNED, ADDRESS_INSECURE, 0, 0, STS_ENFORCE, 0 },
	{ HOP_MX_UNSIGNED, ADDRESS_INSECURE, 0, 0, STS_ENFORCE_OTHER, 0 },
	{ HOP_MX_UNSIGNED, ADDRESS_INSECURE, 0, 0, STS_UNKNOWN_EARLY, 0 },
	{ HOP_MX_UNSIGNED, ADDRESS_INSECURE, 0, 0, STS_TESTING_OTHER, 1 },
	{ HOP_MX_UNSIGNED, 0, TLSA_TA, 0, STS_NONE, 0 },
	{ HOP_MX_UNSIGNED, 0, TLSA_TA, 0, STS_ENFORCE, 0 },
	{ HOP_MX_UNSIGNED, 0, TLSA_UNUSABLE, 0, STS_NONE, 0 },
	{ HOP_MX_UNSIGNED, 0, TLSA_ERROR, 0, STS_ENFORCE, 0 },
	{ HOP_MX_ALIAS, 0, TLSA_TA, 0, STS_NONE, 0 },
	{ HOP_NO_MX, 0, TLSA_NODATA, 0, STS_NONE, 0 },
	{ HOP_NO_MX_UNSIGNED, ADDRESS_INSECURE, 0, 0, STS_NONE, 0 },
	{ HOP_NO_MX_UNSIGNED, 0, TLSA_EE, 0, STS_NONE, 0 },
	{ HOP_ROUTE, 0, TLSA_NODATA, 0, STS_OFF, 0 },
	{ HOP_ROUTE, ADDRESS_ALIAS_SECURE, TLSA_TA, 0, STS_ENFORCE, 0 },
	{ HOP_ROUTE_MX, 0, TLSA_NODATA, 0, STS_NONE, 0 },
	{ HOP_LITERAL, 0, 0, 0, STS_NONE, 0 },
	{ HOP_MX_ERROR, 0, 0, 0, STS_NONE, 0 },
	{ HOP_NULL_MX_UNSIGNED, 0, 0, 0, STS_ENFORCE, 1 },
	{ HOP_NXDOMAIN, 0, 0, 0, STS_NONE, 0 },
};

/* Up to three of everything else at once, in worlds of each kind. */
static void test_decided(void **state)
{
	struct world world;

	(void)state;
	for (size_t i = 0; i < COUNT(chosen); i++) {
		memset(&world, 0, sizeof(world));
		world.at[AT_HOP] = chosen[i].hop;
		world.at[AT_ADDRESS] = chosen[i].address;
		world.at[AT_TLSA] = chosen[i].tlsa;
		world.at[AT_OTHER_TLSA] = chosen[i].other;
		world.at[AT_STS] = chosen[i].sts;
		world.at[AT_STS_CACHED] = chosen[i].cached;
		assert_true(world_is_canonical(&world));
		each_few(&world, 0, 3);
	}
	report("triples of all else in chosen worlds");
}

/* The same numbers each time; no cryptography is in it. */
static uint32_t next_number(uint64_t *state)
{
	*state = *state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(*state >> 33);
}

static void compare_samples(unsigned long samples, uint64_t seed)
{
	struct world world;

	for (unsigned long i = 0; i < samples; i++) {
		for (int j = 0; j < DIMENSIONS; j++)
			world.at[j] = (uint8_t)(next_number(&seed) %
			    world_values((enum world_dimension)j));
		/* Most errors end the matter: fewer of them. */
		if (!world_has_hosts(&world) && i % 8 != 0)
			world.at[AT_HOP] %= HOP_MX_ERROR;
		if (world.at[AT_ADDRESS] >= ADDRESS_NONE && i % 4 != 0)
			world.at[AT_ADDRESS] %= ADDRESS_NONE;
		if (i % 2 != 0)
			world.at[AT_EXCEPTION] = 0;
		world_make_canonical(&world);
		compare(&world);
	}
}

/* Everything at once, by chance. */
static void test_samples(void **state)
{
	(void)state;
	compare_samples(100000, 20261122);
	report("samples of the whole product");
}

/* All pairs of everything else in all worlds of DNS and policy. */
static void test_all_pairs(void **state)
{
	struct world world;

	(void)state;
	if (getenv("POSTERN_LONG") == NULL)
		skip();
	memset(&world, 0, sizeof(world));
	each_product(&world, dns, COUNT(dns), compare_pairs);
	report("pairs of all else in all worlds of DNS and policy");
}

/* The whole product has some 10^11 worlds: each piece is other samples. */
static void test_more_samples(void **state)
{
	const char *piece = getenv("POSTERN_PIECE");

	(void)state;
	if (getenv("POSTERN_LONG") == NULL)
		skip();
	compare_samples(5000000, piece != NULL ? strtoull(piece, NULL, 10) :
	    1);
	report("more samples of the whole product");
}

static int set_up(void **state)
{
	const char *limit = getenv("POSTERN_DIFFERENCES");

	(void)state;
	arena = arena_new(PLAN_MEMORY_MAX);
	second_arena = arena_new(PLAN_MEMORY_MAX);
	keys = mem_alloc_array(KEYS, sizeof(*keys));
	compared = differences = 0;
	shown_at_most = limit != NULL ? strtoul(limit, NULL, 10) :
	    DIFFERENCES_SHOWN;
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	mem_free(keys);
	arena_free(second_arena);
	arena_free(arena);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_published, set_up,
		    tear_down),
		cmocka_unit_test_setup_teardown(test_decided, set_up,
		    tear_down),
		cmocka_unit_test_setup_teardown(test_samples, set_up,
		    tear_down),
		cmocka_unit_test_setup_teardown(test_all_pairs, set_up,
		    tear_down),
		cmocka_unit_test_setup_teardown(test_more_samples, set_up,
		    tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
