/* SPDX-License-Identifier: ISC */
/*
 * policy/plan.c against tests/vectors/plan: the exact order of queries and the
 * plan, one test a case; and plan_wire.c by a round trip of every plan, cut at
 * every byte.
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
#include <jansson.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/digest.h"
#include "base/mem.h"
#include "base/wire.h"
#include "policy/plan.h"

enum { CASES_MAX = 256, FACTS_MAX = 64 };

static const char *const files[] = { "route.json", "level.json" };

/* --- a case as the machine wants it --- */

struct world {
	struct arena		*arena;
	struct plan_facts	 facts;
	struct conf_next_hop	 next;
	struct conf_destination	 destination;
	struct fact		 known[FACTS_MAX];	/* all that may be asked */
	size_t			 known_count;
};

static const char *text_of(const json_t *object, const char *key,
    const char *fallback)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text == NULL ? fallback : text;
}

static bool flag_of(const json_t *object, const char *key, bool fallback)
{
	const json_t *flag = json_object_get(object, key);

	return flag == NULL ? fallback : json_is_true(flag);
}

static enum conf_level level_of(const char *name)
{
	int level;

	for (level = 0; level < LEVEL_COUNT; level++)
		if (strcmp(conf_level_name(level), name) == 0)
			return level;
	fail_msg("no level %s", name);
	return LEVEL_MAY;
}

static void read_addresses(struct arena *arena, const json_t *list,
    struct endpoint **addresses, size_t *count)
{
	size_t i;

	*count = json_array_size(list);
	*addresses = arena_alloc_array(arena, *count + 1, sizeof(**addresses));
	for (i = 0; i < *count; i++)
		assert_int_equal(0, endpoint_parse(&(*addresses)[i],
		    json_string_value(json_array_get(list, i)), 0));
}

static void parse_query(const char *text, struct plan_query *query)
{
	char type[8];

	assert_int_equal(2, sscanf(text, "%7s %255s", type, query->name));
	for (query->type = 0; query->type < QUERY_TYPES; query->type++)
		if (strcmp(query_type_name(query->type), type) == 0)
			return;
	fail_msg("no query type %s", type);
}

static void read_fact(struct world *world, const json_t *object)
{
	static const char *const results[FACT_RESULTS] = { "unknown", "data",
	    "nodata", "nxdomain", "bogus", "error" };
	struct fact *fact = &world->known[world->known_count++];
	const json_t *mx = json_object_get(object, "mx");
	const char *result = text_of(object, "result", "");
	size_t i;

	parse_query(text_of(object, "query", ""), &fact->query);
	for (i = 0; i < FACT_RESULTS; i++)
		if (strcmp(results[i], result) == 0)
			fact->result = i;
	assert_int_not_equal(fact->result, FACT_UNKNOWN);
	fact->ttl = (uint32_t)json_integer_value(json_object_get(object,
	    "ttl"));
	fact->secure = flag_of(object, "secure", false);
	if (mx == NULL) {
		read_addresses(world->arena, json_object_get(object,
		    "addresses"), &fact->addresses, &fact->count);
		return;
	}
	fact->count = json_array_size(mx);
	fact->mx = arena_alloc_array(world->arena, fact->count,
	    sizeof(*fact->mx));
	for (i = 0; i < fact->count; i++) {
		fact->mx[i].preference = (uint16_t)json_integer_value(
		    json_array_get(json_array_get(mx, i), 0));
		snprintf(fact->mx[i].host, sizeof(fact->mx[i].host), "%s",
		    json_string_value(json_array_get(json_array_get(mx, i),
		    1)));
	}
}

static void read_destination(struct world *world, const json_t *object)
{
	struct conf_destination *destination = &world->destination;
	const json_t *names = json_object_get(object, "names");
	const json_t *prints = json_object_get(object, "fingerprints");
	size_t i;

	destination->pattern = arena_dup_string(world->arena, "*");
	destination->level = level_of(text_of(object, "level", "may"));
	destination->names.count = json_array_size(names);
	destination->names.items = arena_alloc_array(world->arena,
	    destination->names.count + 1, sizeof(char *));
	for (i = 0; i < destination->names.count; i++)
		destination->names.items[i] = arena_dup_string(world->arena,
		    json_string_value(json_array_get(names, i)));
	destination->fingerprint_count = json_array_size(prints);
	destination->fingerprints = arena_alloc_array(world->arena,
	    destination->fingerprint_count + 1, DIGEST_BYTES);
	for (i = 0; i < destination->fingerprint_count; i++)
		assert_int_equal(DIGEST_BYTES,
		    hex_parse(destination->fingerprints[i], DIGEST_BYTES,
		    json_string_value(json_array_get(prints, i))));
}

static void read_world(struct world *world, const json_t *test)
{
	const json_t *question = json_object_get(test, "question");
	const json_t *next = json_object_get(question, "next");
	const json_t *facts = json_object_get(test, "facts");
	struct endpoint *own;
	size_t i;

	memset(world, 0, sizeof(*world));
	world->arena = arena_new(4 << 20);
	snprintf(world->next.host, sizeof(world->next.host), "%s",
	    text_of(next, "host", ""));
	world->next.port = (uint16_t)json_integer_value(json_object_get(next,
	    "port"));
	world->next.mx = flag_of(next, "mx", true);
	read_destination(world, json_object_get(question, "destination"));
	read_addresses(world->arena, json_object_get(question,
	    "own_addresses"), &own, &world->facts.own_address_count);
	world->facts.own_addresses = own;
	world->facts.next = &world->next;
	world->facts.destination = &world->destination;
	world->facts.domain = text_of(question, "domain", "");
	world->facts.ipv4 = flag_of(question, "ipv4", true);
	world->facts.ipv6 = flag_of(question, "ipv6", true);
	world->facts.allow_loopback = flag_of(question, "allow_loopback",
	    false);
	world->facts.own_name = text_of(question, "own_name", "us.example");
	world->facts.shuffle_seed = 7;
	world->facts.facts = arena_alloc_array(world->arena, FACTS_MAX,
	    sizeof(struct fact));
	for (i = 0; i < json_array_size(facts); i++)
		read_fact(world, json_array_get(facts, i));
}

/* --- running it --- */

static void answer(struct world *world, const struct plan_query *query)
{
	size_t i;

	for (i = 0; i < world->known_count; i++)
		if (world->known[i].query.type == query->type &&
		    strcasecmp(world->known[i].query.name, query->name) == 0) {
			world->facts.facts[world->facts.fact_count++] =
			    world->known[i];
			return;
		}
	fail_msg("asked %s %s, which the case does not know",
	    query_type_name(query->type), query->name);
}

static bool listed(const json_t *queries, const char *text)
{
	size_t i;

	for (i = 0; i < json_array_size(queries); i++)
		if (strcasecmp(json_string_value(json_array_get(queries, i)),
		    text) == 0)
			return true;
	return false;
}

/* Steps to the end; each query must be the next one the case lists. */
static void run(struct world *world, const json_t *test, struct plan *plan)
{
	const json_t *queries = json_object_get(test, "queries");
	bool any_order = flag_of(test, "any_order", false);
	struct plan_query query;
	char text[300];
	size_t asked = 0;

	while (plan_step(&world->facts, world->arena, &query, plan) ==
	    PLAN_NEED) {
		snprintf(text, sizeof(text), "%s %s",
		    query_type_name(query.type), query.name);
		if (any_order)
			assert_true(listed(queries, text));
		else if (asked >= json_array_size(queries) || strcasecmp(text,
		    json_string_value(json_array_get(queries, asked))) != 0)
			fail_msg("query %zu is %s", asked + 1, text);
		answer(world, &query);
		asked++;
	}
	assert_int_equal(asked, json_array_size(queries));
}

static void compare_host(const struct plan_host *host, const json_t *expected,
    uint16_t port)
{
	const json_t *addresses = json_object_get(expected, "addresses");
	const json_t *names = json_object_get(expected, "names");
	char text[ENDPOINT_TEXT_MAX];
	size_t i;

	assert_string_equal(host->name, text_of(expected, "name", ""));
	assert_string_equal(requirement_name(host->requirement),
	    text_of(expected, "requirement", ""));
	assert_int_equal(host->address_count, json_array_size(addresses));
	for (i = 0; i < host->address_count; i++) {
		endpoint_format(&host->addresses[i], text, sizeof(text));
		assert_string_equal(text, json_string_value(json_array_get(
		    addresses, i)));
		assert_int_equal(endpoint_port(&host->addresses[i]), port);
	}
	assert_int_equal(host->name_count, json_array_size(names));
	for (i = 0; i < host->name_count; i++)
		assert_string_equal(host->names[i], json_string_value(
		    json_array_get(names, i)));
}

static void compare(const struct world *world, const struct plan *plan,
    const json_t *expected)
{
	const json_t *hosts = json_object_get(expected, "hosts");
	const json_t *ttl = json_object_get(expected, "ttl");
	char enhanced[16];
	size_t i;

	assert_int_equal(plan->host_count, json_array_size(hosts));
	for (i = 0; i < plan->host_count; i++)
		compare_host(&plan->hosts[i], json_array_get(hosts, i),
		    world->next.port);
	if (ttl != NULL)
		assert_int_equal(plan->ttl, json_integer_value(ttl));
	assert_int_equal(plan->fingerprint_count, plan->host_count == 0 ? 0 :
	    world->destination.fingerprint_count);
	if (plan->fingerprint_count > 0)
		assert_memory_equal(plan->fingerprints,
		    world->destination.fingerprints,
		    plan->fingerprint_count * DIGEST_BYTES);
	if (plan->host_count > 0)
		return;
	status_format_enhanced(&plan->status, enhanced, sizeof(enhanced));
	assert_string_equal(status_outcome_name(plan->status.outcome),
	    text_of(expected, "outcome", ""));
	assert_string_equal(enhanced, text_of(expected, "enhanced", ""));
	assert_string_equal(status_reason_name(plan->status.reason),
	    text_of(expected, "reason", ""));
}

/* What delivery gets is what policy decided, and never half of it. */
static void compare_wire(const struct world *world, const struct plan *plan,
    const json_t *expected)
{
	struct wire_writer writer;
	struct wire_reader reader;
	struct plan *read;
	struct buf buf;
	size_t length;

	buf_init(&buf, 1 << 20);
	wire_write_begin(&writer, &buf);
	plan_put(&writer, plan);
	assert_int_equal(0, wire_write_end(&writer));
	wire_read_begin(&reader, buf_data(&buf), buf_length(&buf));
	read = plan_get(&reader, world->arena);
	assert_non_null(read);
	compare(world, read, expected);
	assert_memory_equal(read->key, plan->key, DIGEST_BYTES);
	for (length = 0; length < buf_length(&buf); length++) {
		struct arena *arena = arena_new(1 << 20);

		wire_read_begin(&reader, buf_data(&buf), length);
		assert_null(plan_get(&reader, arena));
		arena_free(arena);
	}
	buf_release(&buf);
}

static void test_case(void **state)
{
	const json_t *test = *state;
	struct world *world = mem_alloc(sizeof(*world));
	struct plan plan;

	read_world(world, test);
	run(world, test, &plan);
	compare(world, &plan, json_object_get(test, "plan"));
	compare_wire(world, &plan, json_object_get(test, "plan"));
	arena_free(world->arena);
	mem_free(world);
}

/* --- what tells connections apart --- */

/* One plan for a configured host at this destination. */
static void make_key(const struct conf_destination *destination,
    const char *host, uint8_t key[DIGEST_BYTES])
{
	struct arena *arena = arena_new(1 << 20);
	struct conf_next_hop next = { .transport = TRANSPORT_SMTP,
	    .port = 25 };
	struct plan_facts facts = { .next = &next, .domain = "example.org",
	    .destination = destination, .ipv4 = true };
	struct plan_query query;
	struct endpoint address;
	struct fact fact = { .result = FACT_DATA, .ttl = 60,
	    .addresses = &address, .count = 1 };
	struct plan plan;

	endpoint_parse(&address, "192.0.2.1", 0);
	snprintf(next.host, sizeof(next.host), "%s", host);
	fact.query.type = QUERY_A;
	snprintf(fact.query.name, sizeof(fact.query.name), "%s", host);
	facts.facts = &fact;
	facts.fact_count = 1;
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

/* SMTP-170: equal preferences are spread, better ones stay in front. */
static void test_spread(void **state)
{
	struct fact_mx mx[] = { { 20, "c.example" }, { 10, "a.example" },
	    { 10, "b.example" } };
	struct endpoint address;
	struct fact facts[4] = { 0 };
	struct conf_next_hop next = { .port = 25, .mx = true };
	struct conf_destination destination = { .pattern = (char *)"*",
	    .level = LEVEL_MAY };
	struct plan_facts question = { .next = &next, .domain = "example",
	    .destination = &destination, .ipv4 = true, .facts = facts,
	    .fact_count = 4 };
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

static json_t *load(const char *file)
{
	const char *top = getenv("POSTERN_SRCDIR");
	char path[1024];
	json_error_t error;
	json_t *root;

	snprintf(path, sizeof(path), "%s/tests/vectors/plan/%s",
	    top == NULL ? "." : top, file);
	root = json_load_file(path, JSON_REJECT_DUPLICATES, &error);
	if (root == NULL) {
		fprintf(stderr, "%s:%d: %s\n", path, error.line, error.text);
		exit(2);
	}
	return root;
}

int main(void)
{
	static struct CMUnitTest tests[CASES_MAX];
	json_t *roots[sizeof(files) / sizeof(files[0])], *cases;
	size_t count = 0, i, j;
	int failed;

	for (i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		roots[i] = load(files[i]);
		cases = json_object_get(roots[i], "cases");
		for (j = 0; j < json_array_size(cases); j++)
			tests[count++] = (struct CMUnitTest){
			    .name = text_of(json_array_get(cases, j), "name",
			    "?"), .test_func = test_case,
			    .initial_state = json_array_get(cases, j) };
	}
	tests[count++] = (struct CMUnitTest)cmocka_unit_test(test_spread);
	tests[count++] = (struct CMUnitTest)cmocka_unit_test(test_key);
	failed = _cmocka_run_group_tests("plan", tests, count, NULL, NULL);
	for (i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		json_decref(roots[i]);
	return failed;
}
