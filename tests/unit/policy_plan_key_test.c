/* SPDX-License-Identifier: ISC */
/*
 * What no vector of policy/plan*.c can show: which plans may share connections
 * (their keys), the spread of equal preferences, and the limits of a plan.
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
#include "base/buf.h"
#include "base/digest.h"
#include "base/wire.h"
#include "policy/plan.h"

/* --- what tells connections apart --- */

/* One plan for a configured host at this destination. */
static void make_key(const struct conf_destination *destination,
    const char *host, uint8_t key[DIGEST_BYTES])
{
	struct arena *arena = arena_new(1 << 20);
	struct conf_next_hop next = { .transport = TRANSPORT_SMTP,
	    .port = 25 };
	struct endpoint address;
	struct fact known[] = {
		{ .query = { .type = QUERY_A }, .result = FACT_DATA,
		    .ttl = 60, .addresses = &address, .count = 1 },
		{ .query = { .type = QUERY_STS_CACHED },
		    .result = FACT_NODATA },
		{ .query = { .type = QUERY_STS }, .result = FACT_NODATA },
	};
	struct plan_facts facts = { .next = &next, .domain = "example.org",
	    .destination = destination, .ipv4 = true, .message_level = -1,
	    .facts = known, .fact_count = 3 };
	struct plan_query query;
	struct plan plan;
	size_t i;

	endpoint_parse(&address, "192.0.2.1", 0);
	snprintf(next.host, sizeof(next.host), "%s", host);
	for (i = 0; i < 3; i++)
		snprintf(known[i].query.name, sizeof(known[i].query.name),
		    "%s", host);
	assert_int_equal(plan_step(&facts, arena, &query, &plan), PLAN_DONE);
	assert_int_equal(plan.host_count, 1);
	memcpy(key, plan.key, DIGEST_BYTES);
	arena_free(arena);
}

/*
 * A connection made for one plan may serve another only if their keys are
 * equal: so whatever decides TLS must make a difference, each by itself.
 */
static void test_key(void **state)
{
	static uint8_t pins[2][DIGEST_BYTES] = { { 1 }, { 2 } };
	char *a[] = { (char *)"a.example", (char *)"b.example" };
	char *b[] = { (char *)"b.example" };
	const struct conf_destination kinds[] = {
		{ .level = LEVEL_NONE }, { .level = LEVEL_MAY },
		{ .level = LEVEL_MAY, .no_starttls = FALLBACK_DEFER },
		{ .level = LEVEL_MAY, .broken_tls = FALLBACK_DEFER },
		{ .level = LEVEL_MAY, .broken_tls = FALLBACK_CLEAR_AFTER },
		{ .level = LEVEL_MAY, .broken_tls = FALLBACK_CLEAR_AFTER,
		    .broken_tls_after = 60 },
		{ .level = LEVEL_MAY, .no_starttls_after = 60 },
		{ .level = LEVEL_ENCRYPT },
		{ .level = LEVEL_VERIFY }, { .level = LEVEL_SECURE,
		    .names = { a, 2 } },
		{ .level = LEVEL_SECURE, .names = { a, 1 } },
		{ .level = LEVEL_SECURE, .names = { b, 1 } },
		{ .level = LEVEL_FINGERPRINT, .fingerprints = pins,
		    .fingerprint_count = 1 },
		{ .level = LEVEL_FINGERPRINT, .fingerprints = pins + 1,
		    .fingerprint_count = 1 },
		{ .level = LEVEL_FINGERPRINT, .fingerprints = pins,
		    .fingerprint_count = 2 },
	};
	enum { KINDS = sizeof(kinds) / sizeof(kinds[0]) };
	uint8_t keys[KINDS][DIGEST_BYTES], key[DIGEST_BYTES];
	struct conf_destination copy;
	size_t i, j;

	(void)state;
	for (i = 0; i < KINDS; i++) {
		copy = kinds[i];
		copy.pattern = (char *)"*.example.org";
		make_key(&copy, "mx.example", keys[i]);
		for (j = 0; j < i; j++)
			assert_memory_not_equal(keys[i], keys[j],
			    DIGEST_BYTES);
		/* Where the options were written down makes none. */
		copy.pattern = (char *)"*";
		make_key(&copy, "mx.example", key);
		assert_memory_equal(key, keys[i], DIGEST_BYTES);
		make_key(&copy, "mx2.example", key);
		assert_memory_not_equal(key, keys[i], DIGEST_BYTES);
	}
}

/* What is published for example.org, whose mail host is mx.example. */
struct published {
	enum conf_level		 level;
	enum conf_sts_with_dane	 both;
	bool			 unsigned_mx;
	const char		*mx_alias;	/* of the domain */
	const char		*host_alias;	/* of the mail host */
	const char		*tlsa;		/* RDATA after the usage */
	unsigned		 copies;	/* of it, each with another end */
	uint8_t			 usage;
	bool			 enforce;
	bool			 implicit_tls;
	bool			 testing;
	bool			 fewer_patterns;
	int64_t			 max_age;
	bool			 second_mx;	/* which cannot be looked up */
	uint32_t		 ttl;
	/* not published, but said or remembered */
	enum plan_wish		 wish;
	enum conf_memory	 memory;
	bool			 expected;
	const struct plan_exception *exception;
	const struct plan_pin	*pin;
};

enum { PUBLISHED_FACTS = 12 };

static struct fact *add_fact(struct plan_facts *facts, enum query_type type,
    const char *name)
{
	struct fact *fact = &facts->facts[facts->fact_count++];

	*fact = (struct fact){ .query = { .type = type },
	    .result = FACT_DATA, .secure = true, .ttl = 60 };
	snprintf(fact->query.name, sizeof(fact->query.name), "%s", name);
	return fact;
}

static void add_mx_fact(const struct published *published,
    struct plan_facts *facts, struct arena *arena)
{
	struct fact *fact = add_fact(facts, QUERY_MX, "example.org");

	fact->secure = !published->unsigned_mx;
	fact->ttl = published->ttl;
	fact->count = published->second_mx ? 2 : 1;
	fact->mx = arena_alloc_array(arena, 2, sizeof(*fact->mx));
	snprintf(fact->mx[0].host, sizeof(fact->mx[0].host), "mx.example");
	snprintf(fact->mx[1].host, sizeof(fact->mx[1].host), "mx2.example");
	fact->mx[1].preference = 10;
	if (published->mx_alias != NULL)
		snprintf(fact->alias, sizeof(fact->alias), "%s",
		    published->mx_alias);
	add_fact(facts, QUERY_A, "mx2.example")->result = FACT_ERROR;
}

static void add_tlsa_fact(const struct published *published,
    struct plan_facts *facts, struct arena *arena)
{
	uint8_t *rdata, length = (uint8_t)(1 + strlen(published->tlsa) / 2);
	char name[300];
	struct fact *fact;
	unsigned i;

	snprintf(name, sizeof(name), "_25._tcp.%s", published->host_alias !=
	    NULL ? published->host_alias : "mx.example");
	fact = add_fact(facts, QUERY_TLSA, name);
	fact->count = published->copies;
	fact->tlsa = arena_alloc_array(arena, fact->count + 1,
	    sizeof(*fact->tlsa));
	for (i = 0; i < published->copies; i++) {
		rdata = arena_alloc(arena, length);
		assert_int_equal(hex_parse(rdata + 1, length,
		    published->tlsa), length - 1);
		rdata[0] = published->usage;
		rdata[length - 1] ^= (uint8_t)i;
		dane_read(rdata, length, &fact->tlsa[i]);
	}
}

static void add_sts_fact(const struct published *published,
    enum query_type type, struct plan_facts *facts, struct arena *arena)
{
	static char *patterns[] = { (char *)"*.example",
	    (char *)"mx.example" };
	struct fact *fact = add_fact(facts, type, "example.org");

	fact->count = published->enforce || published->testing;
	fact->result = fact->count > 0 ? FACT_DATA : FACT_NODATA;
	fact->sts = arena_alloc(arena, sizeof(*fact->sts));
	fact->sts->policy = (struct sts_policy){ .mode = published->testing ?
	    STS_MODE_TESTING : STS_MODE_ENFORCE,
	    .mx = patterns + published->fewer_patterns,
	    .mx_count = published->fewer_patterns ? 1 : 2,
	    .max_age = published->max_age > 0 ? published->max_age : 86400 };
}

static void add_memory_fact(const struct published *published,
    enum query_type type, const char *name, struct plan_facts *facts)
{
	static struct fact_memory memory = { .expects_tls = true };
	struct fact *fact = add_fact(facts, type, name);

	fact->result = published->expected ? FACT_DATA : FACT_NODATA;
	fact->count = published->expected;
	fact->memory = &memory;
}

/* What tells plans and policies apart. */
struct marks {
	uint8_t		 key[DIGEST_BYTES];
	uint64_t	 tlsa;
	uint64_t	 sts;
};

static void make_marks(const struct published *published, struct marks *marks)
{
	struct arena *arena = arena_new(PLAN_MEMORY_MAX);
	const struct conf_destination destination = { .pattern = (char *)"*",
	    .level = published->level, .insecure_mx = INSECURE_MX_DANE,
	    .sts_with_dane = published->both, .memory = published->memory };
	const struct conf_next_hop next = { .port = 25, .mx = true,
	    .implicit_tls = published->implicit_tls };
	struct fact known[PUBLISHED_FACTS];
	struct plan_facts facts = { .next = &next, .domain = "example.org",
	    .destination = &destination, .ipv4 = true, .message_level = -1,
	    .wish = published->wish, .exception = published->exception,
	    .pin = published->pin, .facts = known };
	struct plan_query query;
	struct endpoint address;
	struct fact *fact;
	struct plan plan;

	assert_int_equal(0, endpoint_parse(&address, "192.0.2.1", 0));
	add_mx_fact(published, &facts, arena);
	fact = add_fact(&facts, QUERY_A, "mx.example");
	fact->addresses = &address;
	fact->count = 1;
	if (published->host_alias != NULL)
		snprintf(fact->alias, sizeof(fact->alias), "%s",
		    published->host_alias);
	if (published->tlsa != NULL)
		add_tlsa_fact(published, &facts, arena);
	add_fact(&facts, QUERY_TLSA, "_25._tcp.mx.example")->result =
	    FACT_NODATA;
	add_sts_fact(published, QUERY_STS, &facts, arena);
	add_sts_fact(published, QUERY_STS_CACHED, &facts, arena);
	add_memory_fact(published, QUERY_MEMORY, "example.org", &facts);
	add_memory_fact(published, QUERY_MEMORY_HOST, "mx.example", &facts);
	if (plan_step(&facts, arena, &query, &plan) != PLAN_DONE)
		fail_msg("asked for %s", query.name);
	assert_true(plan_can_try(&plan));
	memcpy(marks->key, plan.key, DIGEST_BYTES);
	marks->tlsa = plan.hosts[0].tlsa_digest;
	marks->sts = plan.sts_digest;
	arena_free(arena);
}

static void make_published(const struct published *published,
    uint8_t key[DIGEST_BYTES])
{
	struct marks marks;

	make_marks(published, &marks);
	memcpy(key, marks.key, DIGEST_BYTES);
}

#define ONE "0101" \
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define OTHER "0101" \
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaabb"
#define CERTIFICATE "0001" \
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

/* DANE-123: the same of what is published, one difference at a time. */
static void test_published_key(void **state)
{
	static const struct plan_exception encrypt = { .id = 1,
	    .level = LEVEL_ENCRYPT };
	static const struct plan_pin pins[] = {
		{ .level = PIN_ENCRYPT }, { .level = PIN_VERIFY },
		{ .level = PIN_FINGERPRINT, .fingerprints = { { 1 } },
		    .fingerprint_count = 1 },
		{ .level = PIN_FINGERPRINT, .fingerprints = { { 2 } },
		    .fingerprint_count = 1 },
	};
	static const struct published kinds[] = {
		{ .ttl = 60 }, { .level = LEVEL_ENCRYPT }, { .enforce = true },
		{ .level = LEVEL_VERIFY }, { .implicit_tls = true },
		{ .tlsa = ONE, .copies = 1, .usage = 3 },
		{ .tlsa = OTHER, .copies = 1, .usage = 3 },
		{ .tlsa = CERTIFICATE, .copies = 1, .usage = 3 },
		{ .tlsa = ONE, .copies = 2, .usage = 3 },
		{ .tlsa = ONE, .copies = 1, .usage = 2 },
		{ .tlsa = ONE, .copies = 1, .usage = 1 },
		{ .tlsa = ONE, .copies = 1, .usage = 1, .unsigned_mx = true },
		{ .tlsa = ONE, .copies = 1, .usage = 3, .unsigned_mx = true },
		{ .tlsa = ONE, .copies = 1, .usage = 3, .unsigned_mx = true,
		    .enforce = true },
		{ .tlsa = ONE, .copies = 1, .usage = 3, .mx_alias = "x.example"
		    },
		{ .tlsa = ONE, .copies = 1, .usage = 3,
		    .host_alias = "x.example" },
		{ .tlsa = ONE, .copies = 1, .usage = 3, .implicit_tls = true },
		{ .tlsa = ONE, .copies = 1, .usage = 3, .enforce = true,
		    .both = STS_WITH_DANE_BOTH },
		{ .testing = true }, { .wish = WISH_REQUIRETLS },
		{ .wish = WISH_REQUIRETLS_BOUNCE }, { .wish = WISH_OPTIONAL },
		{ .tlsa = ONE, .copies = 1, .usage = 3,
		    .wish = WISH_REQUIRETLS },
		{ .tlsa = ONE, .copies = 1, .usage = 3,
		    .wish = WISH_REQUIRETLS_BOUNCE },
		{ .tlsa = ONE, .copies = 1, .usage = 3,
		    .wish = WISH_OPTIONAL },
		{ .tlsa = OTHER, .copies = 1, .usage = 3,
		    .wish = WISH_OPTIONAL },
		{ .tlsa = ONE, .copies = 1, .usage = 1,
		    .wish = WISH_OPTIONAL },
		{ .enforce = true, .wish = WISH_OPTIONAL },
		{ .expected = true, .memory = MEMORY_DEFER },
		{ .tlsa = ONE, .copies = 1, .usage = 3,
		    .exception = &encrypt },
		{ .pin = &pins[0] }, { .pin = &pins[1] }, { .pin = &pins[2] },
		{ .pin = &pins[3] },
	};
	enum { KINDS = sizeof(kinds) / sizeof(kinds[0]) };
	uint8_t keys[KINDS][DIGEST_BYTES], key[DIGEST_BYTES];
	struct published copy;
	size_t i, j;

	(void)state;
	for (i = 0; i < KINDS; i++) {
		make_published(&kinds[i], keys[i]);
		for (j = 0; j < i; j++)
			if (memcmp(keys[i], keys[j], DIGEST_BYTES) == 0)
				fail_msg("plans %zu and %zu share", i, j);
		/* A host that is skipped, and how long it holds, is none. */
		copy = kinds[i];
		copy.ttl = 7;
		copy.second_mx = kinds[i].level != LEVEL_VERIFY;
		make_published(&copy, key);
		assert_memory_equal(key, keys[i], DIGEST_BYTES);
	}
	/* A warning is none either. */
	copy = kinds[0];
	copy.memory = MEMORY_WARN;
	copy.expected = true;
	make_published(&copy, key);
	assert_memory_equal(key, keys[0], DIGEST_BYTES);
	/* DANE alone: the policy beside it decides nothing. */
	copy = kinds[5];
	copy.enforce = true;
	make_published(&copy, key);
	assert_memory_equal(key, keys[5], DIGEST_BYTES);
}

/* RPT-31: sessions are counted under the very text of the policy. Each of these
 * is another one; the same in other circumstances is not. */
static void test_tlsa_digests(void **state)
{
	static const struct published records[] = {
		{ .tlsa = ONE, .copies = 1, .usage = 3 },
		{ .tlsa = ONE, .copies = 2, .usage = 3 },
		{ .tlsa = ONE, .copies = 1, .usage = 2 },
		{ .tlsa = ONE, .copies = 1, .usage = 1 },
		{ .tlsa = OTHER, .copies = 1, .usage = 3 },
		{ .tlsa = CERTIFICATE, .copies = 1, .usage = 3 },
	};
	enum { KINDS = sizeof(records) / sizeof(records[0]) };
	struct marks marks[KINDS], other;
	struct published copy;
	size_t i, j;

	(void)state;
	for (i = 0; i < KINDS; i++) {
		make_marks(&records[i], &marks[i]);
		assert_int_not_equal(marks[i].tlsa, 0);
		assert_int_equal(marks[i].sts, 0);
		for (j = 0; j < i; j++)
			assert_true(marks[i].tlsa != marks[j].tlsa);
		copy = records[i];
		copy.wish = WISH_OPTIONAL;
		copy.enforce = true;
		make_marks(&copy, &other);
		assert_true(other.tlsa == marks[i].tlsa);
		assert_int_not_equal(other.sts, 0);
	}
}

static void test_sts_digests(void **state)
{
	static const struct published policies[] = {
		{ .enforce = true }, { .testing = true },
		{ .enforce = true, .max_age = 60 },
		{ .enforce = true, .fewer_patterns = true },
	};
	enum { KINDS = sizeof(policies) / sizeof(policies[0]) };
	struct marks marks[KINDS], other;
	struct published copy;
	size_t i, j;

	(void)state;
	for (i = 0; i < KINDS; i++) {
		make_marks(&policies[i], &marks[i]);
		assert_int_not_equal(marks[i].sts, 0);
		assert_int_equal(marks[i].tlsa, 0);
		for (j = 0; j < i; j++)
			assert_true(marks[i].sts != marks[j].sts);
		copy = policies[i];
		copy.wish = WISH_REQUIRETLS;
		make_marks(&copy, &other);
		assert_true(other.sts == marks[i].sts);
	}
}

/* --- limits --- */

enum { MANY = 25, RECORD_BYTES = 64 };

/* A domain with so many hosts, each of so many addresses and TLSA records. */
static void make_many(struct plan_facts *facts, struct arena *arena,
    size_t records)
{
	static uint8_t rdata[3 + RECORD_BYTES] = { 3, 1, 2 };
	struct fact *mx = add_fact(facts, QUERY_MX, "example.org"), *fact;
	char name[256];
	size_t i, j;

	mx->count = MANY;
	mx->mx = arena_alloc_array(arena, MANY, sizeof(*mx->mx));
	for (i = 0; i < MANY; i++) {
		mx->mx[i].preference = (uint16_t)i;
		snprintf(mx->mx[i].host, sizeof(mx->mx[i].host),
		    "%02zu%0200d.example", i, 0);
		fact = add_fact(facts, QUERY_A, mx->mx[i].host);
		fact->count = 100;
		fact->addresses = arena_alloc_array(arena, fact->count,
		    sizeof(*fact->addresses));
		for (j = 0; j < fact->count; j++)
			assert_int_equal(0, endpoint_parse(
			    &fact->addresses[j], "192.0.2.1", 0));
		snprintf(name, sizeof(name), "_25._tcp.%.240s",
		    mx->mx[i].host);
		fact = add_fact(facts, QUERY_TLSA, name);
		fact->count = records;
		fact->tlsa = arena_alloc_array(arena, records,
		    sizeof(*fact->tlsa));
		for (j = 0; j < records; j++)
			dane_read(rdata, sizeof(rdata), &fact->tlsa[j]);
	}
}

/* Steps with that many records; the plan goes through the wire. */
static struct plan *plan_many(struct arena *arena, size_t records,
    enum plan_wish wish)
{
	static struct fact known[1 + 2 * MANY];
	const struct conf_destination destination = { .pattern = (char *)"*",
	    .level = LEVEL_DANE };
	const struct conf_next_hop next = { .port = 25, .mx = true };
	struct arena *step = arena_new(PLAN_MEMORY_MAX);
	struct plan_facts facts = { .next = &next, .domain = "example.org",
	    .destination = &destination, .ipv4 = true, .message_level = -1,
	    .wish = wish, .facts = known, .explain = true };
	struct wire_writer writer;
	struct wire_reader reader;
	struct plan_query query;
	struct plan plan, *read;
	struct buf buf;

	make_many(&facts, arena, records);
	assert_int_equal(PLAN_DONE, plan_step(&facts, step, &query, &plan));
	assert_in_range(plan.note_count, 1, PLAN_NOTES_MAX);
	buf_init(&buf, PLAN_WIRE_MAX);
	wire_write_begin(&writer, &buf);
	plan_put(&writer, &plan);
	assert_int_equal(0, wire_write_end(&writer));
	arena_free(step);
	step = arena_new(PLAN_MEMORY_MAX);
	wire_read_begin(&reader, buf_data(&buf), buf_length(&buf));
	assert_non_null(plan_get(&reader, step));
	arena_free(step);
	wire_read_begin(&reader, buf_data(&buf), buf_length(&buf));
	read = plan_get(&reader, arena);
	buf_release(&buf);
	return read;
}

/* A host has its whole set of records or is not used: never a part of it. */
static void test_limits(void **state)
{
	static const struct {
		size_t	 records;
		size_t	 fit;		/* hosts whose sets the plan takes */
	} cases[] = {
		{ 1, PLAN_HOSTS_MAX },
		{ PLAN_TLSA_MAX, PLAN_TLSA_BYTES_MAX / RECORD_BYTES /
		    PLAN_TLSA_MAX },
		{ PLAN_TLSA_MAX + 1, 0 },
	};
	struct arena *arena;
	struct plan *plan;
	size_t i, j;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		arena = arena_new(8 << 20);
		plan = plan_many(arena, cases[i].records, WISH_NONE);
		assert_int_equal(plan->host_count, PLAN_HOSTS_MAX);
		for (j = 0; j < plan->host_count; j++) {
			assert_int_equal(plan->hosts[j].preference, j);
			assert_int_equal(plan->hosts[j].address_count,
			    PLAN_ADDRESSES_MAX);
			assert_int_equal(plan->hosts[j].skip,
			    j >= cases[i].fit);
			assert_int_equal(plan->hosts[j].tlsa_count,
			    j < cases[i].fit ? cases[i].records : 0);
		}
		assert_int_equal(plan_can_try(plan), cases[i].fit > 0);
		arena_free(arena);
	}
}

/* REQ-57: sets that are too large to be tried are not, and no host is left out
 * for it. */
static void test_limits_optional(void **state)
{
	struct arena *arena = arena_new(8 << 20);
	struct plan *plan = plan_many(arena, PLAN_TLSA_MAX, WISH_OPTIONAL);
	size_t fit = PLAN_TLSA_BYTES_MAX / RECORD_BYTES / PLAN_TLSA_MAX;
	size_t i;

	(void)state;
	for (i = 0; i < plan->host_count; i++) {
		assert_false(plan->hosts[i].skip);
		assert_int_equal(plan->hosts[i].requirement,
		    REQUIRE_OPPORTUNISTIC);
		assert_int_equal(plan->hosts[i].ideal, i < fit ?
		    REQUIRE_DANE : REQUIRE_ENCRYPTED);
		assert_int_equal(plan->hosts[i].ideal_source, SOURCE_DANE);
	}
	arena_free(arena);
}

/* SMTP-170: equal preferences are spread, better ones stay in front. */
static void test_spread(void **state)
{
	struct fact_mx mx[] = { { 20, "c.example" }, { 10, "a.example" },
	    { 10, "b.example" } };
	struct endpoint address;
	struct fact facts[5] = { 0 };
	struct conf_next_hop next = { .port = 25, .mx = true };
	struct conf_destination destination = { .pattern = (char *)"*",
	    .level = LEVEL_MAY };
	struct plan_facts question = { .next = &next, .domain = "example",
	    .destination = &destination, .ipv4 = true, .message_level = -1,
	    .facts = facts, .fact_count = 5 };
	unsigned first_a = 0, i;
	struct plan_query query;
	struct plan plan;

	(void)state;
	assert_int_equal(0, endpoint_parse(&address, "192.0.2.1", 0));
	facts[0] = (struct fact){ .query = { QUERY_MX, "example" },
	    .result = FACT_DATA, .mx = mx, .count = 3 };
	for (i = 0; i < 3; i++) {
		facts[i + 1] = (struct fact){ .query = { .type = QUERY_A },
		    .result = FACT_DATA, .addresses = &address, .count = 1 };
		snprintf(facts[i + 1].query.name, 256, "%s", mx[i].host);
	}
	facts[4] = (struct fact){ .query = { QUERY_STS_CACHED, "example" },
	    .result = FACT_NODATA };
	for (i = 0; i < 1000; i++) {
		struct arena *arena = arena_new(1 << 20);

		question.shuffle_seed = i * 2654435761u;
		assert_int_equal(PLAN_DONE, plan_step(&question, arena,
		    &query, &plan));
		assert_int_equal(plan.host_count, 3);
		assert_string_equal(plan.hosts[2].name, "c.example");
		first_a += strcmp(plan.hosts[0].name, "a.example") == 0;
		arena_free(arena);
	}
	assert_in_range(first_a, 350, 650);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_spread), cmocka_unit_test(test_key),
		cmocka_unit_test(test_published_key),
		cmocka_unit_test(test_tlsa_digests),
		cmocka_unit_test(test_sts_digests),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_limits_optional),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
