/* SPDX-License-Identifier: ISC */
/*
 * Thousands of worlds made at random, with wishes, exceptions, pins and memory,
 * each with one answer after the other taken away. Who can only make lookups
 * fail, which is all that DNSSEC leaves to an attacker, must never win: no host
 * may ask for less than before, none that was skipped may be used, and no mail
 * may be given back for it (DANE-7, DANE-11, DANE-62, STS-17, REQ-45). Also
 * what holds in every world: levels, wishes side by side, keys, the wire.
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
	struct plan_exception	 exception;
	struct plan_pin		 pin;
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

static void add_memory(struct world *world, enum query_type type,
    const char *name)
{
	struct fact *fact = add(world, type, "%s", name);
	struct fact_memory *memory;

	fact->ttl = UINT32_MAX;
	if (pick(world, 2) == 0)
		return;
	memory = arena_alloc(world->arena, sizeof(*memory));
	memory->expects_tls = pick(world, 2) == 0;
	memory->expects_dane = pick(world, 2) == 0;
	memory->expects_sts = pick(world, 2) == 0;
	memory->known_clear = !memory->expects_tls && pick(world, 2) == 0;
	fact->result = FACT_DATA;
	fact->memory = memory;
	fact->count = 1;
}

/* Most messages have none of it. */
static void add_wishes(struct world *world)
{
	static const enum conf_level excepted[] = { LEVEL_NONE, LEVEL_MAY,
	    LEVEL_ENCRYPT };
	static const enum conf_level own[] = { LEVEL_NONE, LEVEL_MAY,
	    LEVEL_ENCRYPT, LEVEL_AUTO, LEVEL_DANE, LEVEL_DANE_ONLY, LEVEL_STS,
	    LEVEL_STRICT };
	struct plan_facts *facts = &world->facts;

	facts->wish = pick(world, 2) == 0 ? WISH_NONE : pick(world, WISHES);
	facts->message_level = pick(world, 5) == 0 ?
	    (int)own[pick(world, 8)] : -1;
	facts->requiretls_names = pick(world, 2) == 0;
	if (pick(world, 5) == 0) {
		world->exception = (struct plan_exception){ .id = 7,
		    .level = excepted[pick(world, 3)] };
		facts->exception = &world->exception;
	}
	if (pick(world, 5) == 0) {
		world->pin = (struct plan_pin){ .domain = "example",
		    .level = pick(world, PIN_LEVELS),
		    .fingerprints = { { 1 } }, .fingerprint_count = 1 };
		facts->pin = &world->pin;
	}
}

static void make_world(struct world *world, unsigned seed)
{
	static const enum conf_level levels[] = { LEVEL_AUTO, LEVEL_ENCRYPT,
	    LEVEL_DANE, LEVEL_DANE_ONLY, LEVEL_STS, LEVEL_STRICT, LEVEL_AUTO,
	    LEVEL_NONE, LEVEL_MAY, LEVEL_VERIFY, LEVEL_SECURE,
	    LEVEL_FINGERPRINT };
	static const char *const names[] = { "example", "mx0.example",
	    "mx1.example", "mx2.example" };
	size_t i;

	memset(world, 0, sizeof(*world));
	world->arena = arena_new(1 << 20);
	world->state = seed * 2654435761u;
	assert_int_equal(0, endpoint_parse(&world->v4, "192.0.2.1", 0));
	assert_int_equal(0, endpoint_parse(&world->v6, "2001:db8::1", 0));
	world->next = (struct conf_next_hop){ .port = 25, .mx = true,
	    .implicit_tls = pick(world, 8) == 0 };
	world->destination = (struct conf_destination){
	    .pattern = (char *)"*", .level = levels[pick(world, 12)],
	    .insecure_mx = pick(world, 3), .sts_with_dane = pick(world, 2),
	    .memory = pick(world, 3) };
	world->facts = (struct plan_facts){ .next = &world->next,
	    .domain = "example", .destination = &world->destination,
	    .ipv4 = true, .ipv6 = true, .sts_discovery_wait = WAIT,
	    .shuffle_seed = seed, .facts = world->known };
	add_mx(world);
	add_host(world, "example");
	add_sts(world, QUERY_STS);
	add_sts(world, QUERY_STS_CACHED);
	add_wishes(world);
	add_memory(world, QUERY_MEMORY, "example");
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		add_memory(world, QUERY_MEMORY_HOST, names[i]);
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
	    [REQUIRE_NAME] = 3, [REQUIRE_FINGERPRINT] = 3,
	    [REQUIRE_DANE] = 3 };

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
		/* A remembered policy that is fulfilled is no weaker one, nor
		 * is a pinned name that it vouches for. */
		if (lost->query.type == QUERY_STS && (host->also_name ||
		    (host->requirement == REQUIRE_NAME &&
		    (host->source == SOURCE_STS ||
		    after->wish == WISH_REQUIRETLS))))
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

/* Nor is mail given back, nor told to be gone what could not be asked for. */
static void check_not_worse(const struct plan *before,
    const struct plan *after, const struct fact *lost, unsigned seed)
{
	bool failed = !plan_can_try(after) &&
	    after->status.outcome == STATUS_FAILED;

	/* Our own cache is out of an attacker's reach (vector "null MX, the
	 * cache cannot be read"). */
	if (failed && lost->query.type != QUERY_STS_CACHED &&
	    (plan_can_try(before) ||
	    before->status.outcome != STATUS_FAILED))
		fail_msg("world %u: without %s %s mail is given back", seed,
		    query_type_name(lost->query.type), lost->query.name);
	assert_true(before->vanished_dane || !after->vanished_dane);
	assert_true(before->vanished_sts || !after->vanished_sts);
}

/* What is remembered is nobody's answer. */
static bool is_lookup(const struct fact *fact)
{
	return fact->query.type != QUERY_MEMORY &&
	    fact->query.type != QUERY_MEMORY_HOST;
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
			if (!is_lookup(&kept))
				continue;
			world.known[i] = (struct fact){ .query = kept.query,
			    .result = FACT_ERROR };
			arena_reset(arenas[1]);
			decide(&world, arenas[1], &error);
			check_not_weaker(&plan, &error, &kept, seed);
			check_not_worse(&plan, &error, &kept, seed);
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

/* --- what holds in every world --- */

/* Said anew, so that it does not repeat the code: who set the level, and does
 * what is published bind? */
static enum conf_level level_in(const struct world *world)
{
	if (world->facts.message_level >= 0)
		return (enum conf_level)world->facts.message_level;
	return world->facts.exception != NULL ? world->exception.level :
	    world->destination.level;
}

static bool is_excepted(const struct world *world)
{
	return world->facts.exception != NULL &&
	    world->facts.message_level < 0;
}

static bool is_free(const struct world *world)
{
	enum conf_level level = level_in(world);

	return is_excepted(world) || level == LEVEL_NONE ||
	    level == LEVEL_MAY || (world->facts.wish == WISH_OPTIONAL &&
	    (level == LEVEL_AUTO || level == LEVEL_DANE ||
	    level == LEVEL_ENCRYPT));
}

/* Pins bind but under an exception and a message's own none or may. */
static const struct plan_pin *pin_in(const struct world *world)
{
	int own = world->facts.message_level;

	if (is_excepted(world) || own == LEVEL_NONE || own == LEVEL_MAY)
		return NULL;
	return world->facts.pin;
}

static bool is_unsigned_mx(const struct world *world)
{
	const struct fact *fact = &world->known[0];

	assert_int_equal(fact->query.type, QUERY_MX);
	return fact->result == FACT_DATA && !fact->secure;
}

static bool has_enforced_policy(const struct world *world)
{
	const struct fact *fact;
	size_t i;

	for (i = 0; i < world->facts.fact_count; i++) {
		fact = &world->known[i];
		if (fact->sts != NULL &&
		    fact->sts->policy.mode == STS_MODE_ENFORCE)
			return true;
	}
	return false;
}

/* REQ-30 to REQ-39. */
static void check_requiretls(const struct world *world,
    const struct plan_host *host)
{
	enum conf_level level = level_in(world);
	const struct plan_pin *pin = pin_in(world);

	assert_true(host->requiretls);
	assert_in_range(host->requirement, REQUIRE_NAME, REQUIRE_DANE);
	if (!is_unsigned_mx(world))
		return;
	/* Names that nobody signed are nobody's word, pinned or not. */
	assert_true(host->source == SOURCE_STS || level == LEVEL_SECURE ||
	    level == LEVEL_FINGERPRINT ||
	    host->requirement == REQUIRE_FINGERPRINT ||
	    ((level == LEVEL_VERIFY || pin != NULL) &&
	    has_enforced_policy(world)));
}

/* TLS-73, REQ-60: what an administrator asks for is there. */
static void check_pin(const struct world *world, const struct plan_host *host)
{
	const struct plan_pin *pin = pin_in(world);

	if (pin == NULL)
		return;
	if (pin->level == PIN_FINGERPRINT)
		assert_int_equal(host->requirement, REQUIRE_FINGERPRINT);
	else
		assert_in_range(host->requirement, pin->level == PIN_VERIFY ?
		    REQUIRE_NAME : REQUIRE_ENCRYPTED, REQUIRE_DANE);
}

/* What each level promises of a host that is used. */
static void check_level(const struct world *world,
    const struct plan_host *host)
{
	bool pinned = host->requirement == REQUIRE_FINGERPRINT;
	bool proven = pinned || host->requirement == REQUIRE_NAME ||
	    (host->requirement == REQUIRE_DANE &&
	    host->source != SOURCE_HALF_DANE);

	switch (level_in(world)) {
	case LEVEL_DANE_ONLY:
		if (!pinned)
			assert_int_equal(host->source, SOURCE_DANE);
		assert_true(proven);
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

/* DANE-140, STS-108: nobody's policy but an administrator's is asked for. */
static void check_free(const struct world *world, const struct plan_host *host)
{
	assert_true(host->source == SOURCE_NONE ||
	    host->source == SOURCE_LEVEL || host->source == SOURCE_PIN);
	if (host->source == SOURCE_LEVEL)
		assert_true(level_in(world) == LEVEL_ENCRYPT ||
		    world->next.implicit_tls);
	assert_false(host->expects_tls);
	assert_true(host->tlsa_count == 0 || host->ideal == REQUIRE_DANE);
}

static void check_means(const struct plan_host *host)
{
	enum requirement most = host->ideal > host->requirement ?
	    host->ideal : host->requirement;

	assert_int_equal(host->tlsa_count > 0, most == REQUIRE_DANE);
	assert_int_equal(host->name_count > 0, most == REQUIRE_DANE ||
	    most == REQUIRE_NAME);
	if (most == REQUIRE_DANE) {
		assert_string_equal(host->names[0], host->sni);
		assert_string_equal(host->tlsa_domain, host->sni);
	}
	if (host->ideal > host->requirement)
		assert_true(host->requirement == REQUIRE_OPPORTUNISTIC ||
		    host->requirement == REQUIRE_ENCRYPTED);
	assert_int_equal(host->tlsa_domain[0] != '\0',
	    host->tlsa_digest != 0);
}

static void check_host(const struct world *world, const struct plan_host *host)
{
	if (host->skip) {
		assert_int_not_equal(host->skipped_result, RESULT_SUCCESS);
		if (host->skipped.outcome == STATUS_FAILED)
			assert_int_equal(host->skipped.reason,
			    REASON_REQUIRETLS);
		else
			assert_int_equal(host->skipped.enhanced_class, 4);
		assert_true(host->skipped.outcome == STATUS_DEFERRED ||
		    world->facts.wish == WISH_REQUIRETLS);
		/* Nothing published keeps a host from being used, but that
		 * there is no address. */
		if (is_free(world) && world->facts.wish != WISH_REQUIRETLS)
			assert_int_equal(host->skipped.enhanced_subject, 4);
		return;
	}
	check_means(host);
	check_level(world, host);
	check_pin(world, host);
	if (world->facts.wish == WISH_REQUIRETLS)
		check_requiretls(world, host);
	else if (is_free(world))
		check_free(world, host);
	if (host->source == SOURCE_MEMORY)
		assert_int_equal(world->destination.memory, MEMORY_DEFER);
	if (host->source == SOURCE_HALF_DANE &&
	    host->requirement == REQUIRE_DANE &&
	    !(world->facts.wish == WISH_REQUIRETLS &&
	    world->facts.requiretls_names))
		assert_int_equal(host->name_count, 1);
}

/* A host may have an address lookup that fails, for nobody's wish. */
static void compare_wishes(const struct plan *none, const struct plan *other,
    enum plan_wish wish, unsigned seed)
{
	const struct plan_host *host, *old;
	size_t i;

	for (i = 0; i < other->host_count; i++) {
		host = &other->hosts[i];
		old = find_host(none, host->name);
		assert_non_null(old);
		if (wish == WISH_OPTIONAL) {
			/* never more than without it, and never fewer hosts */
			if ((host->skip && !old->skip) || (!host->skip &&
			    !old->skip && strength(host) > strength(old)))
				fail_msg("world %u: TLS-Required: No asks for "
				    "more of %s", seed, host->name);
		} else if (wish == WISH_REQUIRETLS) {
			/* never less, nor a host that is out without it */
			if (!host->skip && (old->skip || strength(host) <
			    strength(old)))
				fail_msg("world %u: REQUIRETLS asks for less "
				    "of %s", seed, host->name);
		} else if (host->skip != old->skip ||
		    host->requirement != old->requirement ||
		    host->source != old->source ||
		    host->ideal != old->ideal) {
			fail_msg("world %u: a bounce is not as other mail to "
			    "%s", seed, host->name);
		}
	}
}

/* The same world with each wish: TLS-73, REQ-73, and no connection is shared
 * between them (REQ-47). */
static void test_wishes(void **state)
{
	static struct world world;
	struct arena *arenas[WISHES];
	struct plan plans[WISHES];
	unsigned seed;
	size_t i, j;

	(void)state;
	for (i = 0; i < WISHES; i++)
		arenas[i] = arena_new(PLAN_MEMORY_MAX);
	for (seed = 1; seed <= WORLDS; seed++) {
		make_world(&world, seed);
		for (i = 0; i < WISHES; i++) {
			world.facts.wish = i;
			arena_reset(arenas[i]);
			decide(&world, arenas[i], &plans[i]);
			assert_int_equal(plans[i].wish, i);
			compare_wishes(&plans[WISH_NONE], &plans[i], i, seed);
			for (j = 0; j < i; j++)
				assert_true(plans[i].host_count == 0 ||
				    memcmp(plans[i].key, plans[j].key,
				    DIGEST_BYTES) != 0);
		}
		arena_free(world.arena);
	}
	for (i = 0; i < WISHES; i++)
		arena_free(arenas[i]);
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
		cmocka_unit_test(test_wishes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
