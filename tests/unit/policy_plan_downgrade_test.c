/* SPDX-License-Identifier: ISC */
/*
 * Thousands of worlds made at random, each with one answer after the other
 * taken away. Who can only make lookups fail, which is all that DNSSEC leaves
 * to an attacker, must never win: no host may ask for less than before, and
 * none that was skipped may be used (DANE-7, DANE-11, DANE-62, STS-17). Also
 * what holds in every world: levels, keys, the wire.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/digest.h"
#include "base/wire.h"
#include "policy/plan.h"

enum { WORLDS = 4000, HOSTS = 3, FACTS_MAX = 64, WAIT = 3600 };

struct world {
	struct arena		*arena;
	uint32_t		 state;		/* of the random numbers */
	struct conf_destination	 destination;
	struct conf_next_hop	 next;
	struct plan_facts	 facts;
	struct fact		 known[FACTS_MAX];
	struct endpoint		 v4, v6;
};

static unsigned pick(struct world *world, unsigned limit)
{
	world->state = world->state * 1664525u + 1013904223u;
	return (world->state >> 8) % limit;
}

static struct fact *add(struct world *world, enum query_type type,
    const char *format, const char *name)
{
	struct fact *fact = &world->known[world->facts.fact_count++];

	assert_in_range(world->facts.fact_count, 1, FACTS_MAX);
	fact->query.type = type;
	fact->result = FACT_NODATA;
	fact->ttl = 60;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	snprintf(fact->query.name, sizeof(fact->query.name), format, name);
#pragma GCC diagnostic pop
	return fact;
}

/* Nothing, an error, unsigned, or records of different worth. */
static void add_tlsa(struct world *world, const char *base)
{
	static const uint8_t usable[3 + 32] = { 3, 1, 1, 9 };
	static const uint8_t anchor[3 + 32] = { 2, 0, 1, 9 };
	static const uint8_t unusable[3 + 32] = { 1, 1, 1, 9 };
	struct fact *fact = add(world, QUERY_TLSA, "_25._tcp.%s", base);
	unsigned kind = pick(world, 8);

	fact->secure = kind != 1 && kind != 2;
	if (kind < 2)
		return;
	if (kind == 3) {
		fact->result = FACT_ERROR;
		fact->secure = false;
		return;
	}
	fact->result = FACT_DATA;
	fact->tlsa = arena_alloc_array(world->arena, 2, sizeof(*fact->tlsa));
	fact->count = 1 + pick(world, 2);
	dane_read(kind == 4 ? unusable : usable, 35, &fact->tlsa[0]);
	dane_read(kind < 6 ? unusable : anchor, 35, &fact->tlsa[1]);
}

static void add_address(struct world *world, enum query_type type,
    const char *host, bool secure, const char *alias)
{
	struct fact *fact = add(world, type, "%s", host);

	fact->secure = secure;
	snprintf(fact->alias, sizeof(fact->alias), "%s", alias);
	if (pick(world, 8) == 0)
		return;
	fact->result = FACT_DATA;
	fact->addresses = type == QUERY_A ? &world->v4 : &world->v6;
	fact->count = 1;
}

/* Both families have one owner name, so they agree on all but data. */
static void add_host(struct world *world, const char *host)
{
	char alias[64] = "";
	bool secure = pick(world, 4) != 0;
	struct fact *fact;

	if (pick(world, 3) == 0)
		snprintf(alias, sizeof(alias), "to.%s", host);
	add_address(world, QUERY_AAAA, host, secure, alias);
	add_address(world, QUERY_A, host, secure, alias);
	fact = add(world, QUERY_CNAME, "%s", host);
	fact->result = alias[0] != '\0' ? FACT_DATA : FACT_NODATA;
	fact->secure = pick(world, 2);
	add_tlsa(world, host);
	if (alias[0] != '\0')
		add_tlsa(world, alias);
}

static void add_sts(struct world *world, enum query_type type)
{
	static char *all[] = { (char *)"*.example", (char *)"example" };
	static char *some[] = { (char *)"mx0.example" };
	struct fact *fact = add(world, type, "%s", "example");
	unsigned kind = pick(world, 6);

	if (kind == 0)
		return;
	if (kind == 1) {
		fact->result = FACT_ERROR;
		return;
	}
	fact->result = FACT_DATA;
	fact->count = 1;
	fact->sts = arena_alloc(world->arena, sizeof(*fact->sts));
	fact->sts->policy = (struct sts_policy){
	    .mode = kind == 2 ? STS_MODE_TESTING : STS_MODE_ENFORCE,
	    .mx = kind < 5 ? all : some, .mx_count = kind < 5 ? 2 : 1,
	    .max_age = 86400 };
}

static void add_mx(struct world *world)
{
	static const char *const hosts[HOSTS] = { "mx0.example", "mx1.example",
	    "mx2.example" };
	struct fact *fact = add(world, QUERY_MX, "%s", "example");
	size_t i;

	fact->secure = pick(world, 3) != 0;
	if (pick(world, 6) == 0)
		return;
	fact->result = FACT_DATA;
	fact->count = 1 + pick(world, HOSTS);
	fact->mx = arena_alloc_array(world->arena, HOSTS, sizeof(*fact->mx));
	if (pick(world, 4) == 0)
		snprintf(fact->alias, sizeof(fact->alias), "end.example");
	for (i = 0; i < fact->count; i++) {
		fact->mx[i].preference = (uint16_t)(10 * pick(world, 2));
		snprintf(fact->mx[i].host, sizeof(fact->mx[i].host), "%s",
		    hosts[i]);
	}
	for (i = 0; i < HOSTS; i++)
		add_host(world, hosts[i]);
}

static void make_world(struct world *world, unsigned seed)
{
	static const enum conf_level levels[] = { LEVEL_AUTO, LEVEL_ENCRYPT,
	    LEVEL_DANE, LEVEL_DANE_ONLY, LEVEL_STS, LEVEL_STRICT };

	memset(world, 0, sizeof(*world));
	world->arena = arena_new(1 << 20);
	world->state = seed * 2654435761u;
	assert_int_equal(0, endpoint_parse(&world->v4, "192.0.2.1", 0));
	assert_int_equal(0, endpoint_parse(&world->v6, "2001:db8::1", 0));
	world->next = (struct conf_next_hop){ .port = 25, .mx = true,
	    .implicit_tls = pick(world, 8) == 0 };
	world->destination = (struct conf_destination){
	    .pattern = (char *)"*", .level = levels[pick(world, 6)],
	    .insecure_mx = pick(world, 3), .sts_with_dane = pick(world, 2) };
	world->facts = (struct plan_facts){ .next = &world->next,
	    .domain = "example", .destination = &world->destination,
	    .ipv4 = true, .ipv6 = true, .sts_discovery_wait = WAIT,
	    .shuffle_seed = seed, .facts = world->known };
	add_mx(world);
	add_host(world, "example");
	add_sts(world, QUERY_STS);
	add_sts(world, QUERY_STS_CACHED);
}

static void decide(const struct world *world, struct arena *arena,
    struct plan *plan)
{
	struct plan_query query;

	if (plan_step(&world->facts, arena, &query, plan) != PLAN_DONE)
		fail_msg("asks for %s %s", query_type_name(query.type),
		    query.name);
}

/* How much a host asks for, from clear to two proofs. */
static int strength(const struct plan_host *host)
{
	static const int strengths[REQUIREMENTS] = { [REQUIRE_CLEAR] = 0,
	    [REQUIRE_OPPORTUNISTIC] = 1, [REQUIRE_ENCRYPTED] = 2,
	    [REQUIRE_NAME] = 3, [REQUIRE_DANE] = 3 };

	return strengths[host->requirement] + host->also_name;
}

static const struct plan_host *find_host(const struct plan *plan,
    const char *name)
{
	size_t i;

	for (i = 0; i < plan->host_count; i++)
		if (strcmp(plan->hosts[i].name, name) == 0)
			return &plan->hosts[i];
	return NULL;
}

static void check_not_weaker(const struct plan *before,
    const struct plan *after, const struct fact *lost, unsigned seed)
{
	const struct plan_host *host, *old;
	size_t i;

	for (i = 0; i < after->host_count; i++) {
		host = &after->hosts[i];
		if (host->skip)
			continue;
		/* A remembered policy that is fulfilled is no weaker one. */
		if (lost->query.type == QUERY_STS &&
		    (host->also_name || (host->source == SOURCE_STS &&
		    host->requirement == REQUIRE_NAME)))
			continue;
		old = find_host(before, host->name);
		if (old == NULL || old->skip ||
		    strength(host) < strength(old))
			fail_msg("world %u: without %s %s the host %s has %s",
			    seed, query_type_name(lost->query.type),
			    lost->query.name, host->name,
			    requirement_name(host->requirement));
	}
}

/* An error and a bogus answer are one thing (DANE-7). */
static void check_same(const struct plan *one, const struct plan *other)
{
	size_t i;

	assert_int_equal(one->host_count, other->host_count);
	for (i = 0; i < one->host_count; i++)
		assert_int_equal(one->hosts[i].skip, other->hosts[i].skip);
	assert_memory_equal(one->key, other->key, DIGEST_BYTES);
	assert_int_equal(one->status.outcome, other->status.outcome);
}

static void test_downgrade(void **state)
{
	static struct world world;
	struct arena *arenas[3];
	struct plan plan, error, bogus;
	struct fact kept;
	unsigned seed;
	size_t i, weaker = 0;

	(void)state;
	for (i = 0; i < 3; i++)
		arenas[i] = arena_new(PLAN_MEMORY_MAX);
	for (seed = 1; seed <= WORLDS; seed++) {
		make_world(&world, seed);
		arena_reset(arenas[0]);
		decide(&world, arenas[0], &plan);
		weaker += plan_can_try(&plan);
		for (i = 0; i < world.facts.fact_count; i++) {
			kept = world.known[i];
			world.known[i] = (struct fact){ .query = kept.query,
			    .result = FACT_ERROR };
			arena_reset(arenas[1]);
			decide(&world, arenas[1], &error);
			check_not_weaker(&plan, &error, &kept, seed);
			world.known[i].result = FACT_BOGUS;
			arena_reset(arenas[2]);
			decide(&world, arenas[2], &bogus);
			check_same(&error, &bogus);
			world.known[i] = kept;
		}
		arena_free(world.arena);
	}
	/* Worlds in which nothing can be sent would prove nothing. */
	assert_in_range(weaker, WORLDS / 4, WORLDS);
	for (i = 0; i < 3; i++)
		arena_free(arenas[i]);
}

/* What each level promises of a host that is used. */
static void check_level(const struct world *world,
    const struct plan_host *host)
{
	bool proven = host->requirement == REQUIRE_NAME ||
	    (host->requirement == REQUIRE_DANE &&
	    host->source != SOURCE_HALF_DANE);

	switch (world->destination.level) {
	case LEVEL_DANE_ONLY:
		assert_int_equal(host->requirement, REQUIRE_DANE);
		assert_int_equal(host->source, SOURCE_DANE);
		break;
	case LEVEL_STRICT:
		assert_true(proven);
		break;
	case LEVEL_STS:
		assert_true(proven || host->source == SOURCE_DANE);
		break;
	case LEVEL_ENCRYPT:
		assert_in_range(host->requirement, REQUIRE_ENCRYPTED,
		    REQUIRE_DANE);
		break;
	default:
		break;
	}
	if (world->next.implicit_tls)
		assert_in_range(host->requirement, REQUIRE_ENCRYPTED,
		    REQUIRE_DANE);
}

static void check_host(const struct world *world, const struct plan_host *host)
{
	if (host->skip) {
		assert_int_equal(host->skipped.outcome, STATUS_DEFERRED);
		assert_int_equal(host->skipped.enhanced_class, 4);
		return;
	}
	check_level(world, host);
	assert_int_equal(host->tlsa_count > 0,
	    host->requirement == REQUIRE_DANE);
	assert_int_equal(host->name_count > 0,
	    host->requirement == REQUIRE_DANE ||
	    host->requirement == REQUIRE_NAME);
	if (host->requirement == REQUIRE_DANE)
		assert_string_equal(host->names[0], host->sni);
	if (host->source == SOURCE_HALF_DANE &&
	    host->requirement == REQUIRE_DANE)
		assert_int_equal(host->name_count, 1);
}

static void check_wire(const struct plan *plan)
{
	struct arena *arena = arena_new(PLAN_MEMORY_MAX);
	struct wire_writer writer;
	struct wire_reader reader;
	struct plan *read;
	struct buf buf;
	size_t i;

	buf_init(&buf, PLAN_WIRE_MAX);
	wire_write_begin(&writer, &buf);
	plan_put(&writer, plan);
	wire_read_begin(&reader, buf_data(&buf), buf_length(&buf));
	read = plan_get(&reader, arena);
	assert_non_null(read);
	for (i = 0; i < plan->host_count; i++)
		assert_int_equal(read->hosts[i].skip, plan->hosts[i].skip);
	check_same(read, plan);
	buf_release(&buf);
	arena_free(arena);
}

/* The order in which resolvers give things is nothing to TLS. */
static void turn_records(struct world *world)
{
	struct dane_record kept;
	struct fact *fact;
	size_t i;

	for (i = 0; i < world->facts.fact_count; i++) {
		fact = &world->known[i];
		if (fact->query.type != QUERY_TLSA || fact->count < 2)
			continue;
		kept = fact->tlsa[0];
		fact->tlsa[0] = fact->tlsa[1];
		fact->tlsa[1] = kept;
	}
}

static void test_always(void **state)
{
	static struct world world;
	struct arena *arena = arena_new(2 * PLAN_MEMORY_MAX);
	struct plan plan, turned;
	unsigned seed;
	size_t i;

	(void)state;
	for (seed = 1; seed <= WORLDS; seed++) {
		make_world(&world, seed);
		arena_reset(arena);
		decide(&world, arena, &plan);
		for (i = 0; i < plan.host_count; i++)
			check_host(&world, &plan.hosts[i]);
		check_wire(&plan);
		turn_records(&world);
		world.facts.shuffle_seed = ~seed;
		decide(&world, arena, &turned);
		assert_memory_equal(plan.key, turned.key, DIGEST_BYTES);
		arena_free(world.arena);
	}
	arena_free(arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_downgrade),
		cmocka_unit_test(test_always),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
