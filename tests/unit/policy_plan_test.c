/* SPDX-License-Identifier: ISC */
/*
 * policy/plan*.c against tests/vectors/plan: the exact order of queries and the
 * plan, one test a case, with and without the explanation; plan_wire.c by a
 * round trip of every plan, cut at every byte; and what no table can show: keys,
 * the spread of equals, limits, and that notes are for everything.
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

enum { CASES_MAX = 512, FACTS_MAX = 128, RDATA_MAX = 4096 };

static const char *const files[] = { "route.json", "level.json", "dane.json",
    "sts.json", "combine.json" };

/* --- a case as the machine wants it --- */

struct world {
	struct arena		*arena;
	struct arena		*step;		/* of the last run's plan */
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
	char type[16];

	assert_int_equal(2, sscanf(text, "%15s %255s", type, query->name));
	for (query->type = 0; query->type < QUERY_TYPES; query->type++)
		if (strcmp(query_type_name(query->type), type) == 0)
			return;
	fail_msg("no query type %s", type);
}

static void read_mx(struct world *world, const json_t *list, struct fact *fact)
{
	const json_t *pair;
	size_t i;

	fact->count = json_array_size(list);
	fact->mx = arena_alloc_array(world->arena, fact->count,
	    sizeof(*fact->mx));
	for (i = 0; i < fact->count; i++) {
		pair = json_array_get(list, i);
		fact->mx[i].preference = (uint16_t)json_integer_value(
		    json_array_get(pair, 0));
		snprintf(fact->mx[i].host, sizeof(fact->mx[i].host), "%s",
		    json_string_value(json_array_get(pair, 1)));
	}
}

/* "3 1 1 0123..." or the RDATA itself, "0301". */
static void read_record(struct world *world, const char *text,
    struct dane_record *record)
{
	uint8_t rdata[RDATA_MAX];
	unsigned usage, selector, matching;
	int used = 0, length;

	if (strchr(text, ' ') == NULL) {
		length = text[0] == '\0' ? 0 :
		    hex_parse(rdata, sizeof(rdata), text);
	} else {
		assert_int_equal(3, sscanf(text, "%u %u %u%n", &usage,
		    &selector, &matching, &used));
		rdata[0] = (uint8_t)usage;
		rdata[1] = (uint8_t)selector;
		rdata[2] = (uint8_t)matching;
		text += used;
		while (*text == ' ')
			text++;
		length = *text == '\0' ? 0 : hex_parse(rdata + 3,
		    sizeof(rdata) - 3, text);
		assert_int_not_equal(length, -1);
		length += 3;
	}
	assert_in_range(length, 0, RDATA_MAX);
	dane_read(arena_dup(world->arena, rdata, (size_t)length),
	    (size_t)length, record);
}

static void read_tlsa(struct world *world, const json_t *list,
    struct fact *fact)
{
	size_t i;

	fact->count = json_array_size(list);
	fact->tlsa = arena_alloc_array(world->arena, fact->count + 1,
	    sizeof(*fact->tlsa));
	for (i = 0; i < fact->count; i++)
		read_record(world, json_string_value(json_array_get(list, i)),
		    &fact->tlsa[i]);
}

static void read_sts(struct world *world, const json_t *object,
    struct fact *fact)
{
	struct fact_sts *sts = arena_alloc(world->arena, sizeof(*sts));
	const json_t *mx = json_object_get(object, "mx");
	const char *mode = text_of(object, "mode", "");
	size_t i;

	while (strcmp(sts_mode_name(sts->policy.mode), mode) != 0)
		assert_in_range(++sts->policy.mode, 0, STS_MODE_ENFORCE);
	sts->policy.mx_count = json_array_size(mx);
	sts->policy.mx = arena_alloc_array(world->arena,
	    sts->policy.mx_count + 1, sizeof(char *));
	for (i = 0; i < sts->policy.mx_count; i++)
		sts->policy.mx[i] = arena_dup_string(world->arena,
		    json_string_value(json_array_get(mx, i)));
	snprintf(sts->id, sizeof(sts->id), "%s", text_of(object, "id", "1"));
	sts->cached = flag_of(object, "cached", false);
	fact->sts = sts;
	fact->count = 1;
}

static void read_data(struct world *world, const json_t *object,
    struct fact *fact)
{
	const json_t *data;

	if ((data = json_object_get(object, "mx")) != NULL)
		read_mx(world, data, fact);
	else if ((data = json_object_get(object, "tlsa")) != NULL)
		read_tlsa(world, data, fact);
	else if ((data = json_object_get(object, "sts")) != NULL)
		read_sts(world, data, fact);
	else if ((data = json_object_get(object, "addresses")) != NULL)
		read_addresses(world->arena, data, &fact->addresses,
		    &fact->count);
}

static void read_fact(struct world *world, const json_t *object)
{
	static const char *const results[FACT_RESULTS] = { "unknown", "data",
	    "nodata", "nxdomain", "bogus", "error" };
	struct fact *fact = &world->known[world->known_count++];
	const char *result = text_of(object, "result", "");
	size_t i;

	assert_in_range(world->known_count, 1, FACTS_MAX);
	parse_query(text_of(object, "query", ""), &fact->query);
	for (i = 0; i < FACT_RESULTS; i++)
		if (strcmp(results[i], result) == 0)
			fact->result = i;
	assert_int_not_equal(fact->result, FACT_UNKNOWN);
	fact->ttl = (uint32_t)json_integer_value(json_object_get(object,
	    "ttl"));
	fact->secure = flag_of(object, "secure", false);
	snprintf(fact->alias, sizeof(fact->alias), "%s", text_of(object,
	    "alias", ""));
	snprintf(fact->reason, sizeof(fact->reason), "%s", text_of(object,
	    "reason", ""));
	read_data(world, object, fact);
}

static int choice_of(const json_t *object, const char *key,
    const char *const *choices, int fallback)
{
	const char *text = text_of(object, key, NULL);
	int i;

	if (text == NULL)
		return fallback;
	for (i = 0; choices[i] != NULL; i++)
		if (strcmp(choices[i], text) == 0)
			return i;
	fail_msg("no %s %s", key, text);
	return fallback;
}

static void read_destination(struct world *world, const json_t *object)
{
	static const char *const insecure_mx[] = { "may", "encrypt", "dane",
	    NULL };
	static const char *const sts_with_dane[] = { "dane", "both", NULL };
	struct conf_destination *destination = &world->destination;
	const json_t *names = json_object_get(object, "names");
	const json_t *prints = json_object_get(object, "fingerprints");
	size_t i;

	destination->pattern = arena_dup_string(world->arena, "*");
	destination->level = level_of(text_of(object, "level", "auto"));
	destination->insecure_mx = choice_of(object, "insecure_mx",
	    insecure_mx, INSECURE_MX_DANE);
	destination->sts_with_dane = choice_of(object, "sts_with_dane",
	    sts_with_dane, STS_WITH_DANE_DANE);
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

static int64_t number_of(const json_t *object, const char *key,
    int64_t fallback)
{
	const json_t *number = json_object_get(object, key);

	return number == NULL ? fallback : json_integer_value(number);
}

static void read_next(struct world *world, const json_t *next)
{
	snprintf(world->next.host, sizeof(world->next.host), "%s",
	    text_of(next, "host", ""));
	world->next.port = (uint16_t)number_of(next, "port", 25);
	world->next.mx = flag_of(next, "mx", true);
	world->next.implicit_tls = flag_of(next, "implicit_tls", false);
}

static void read_world(struct world *world, const json_t *test)
{
	const json_t *question = json_object_get(test, "question");
	const json_t *facts = json_object_get(test, "facts");
	struct endpoint *own;
	size_t i;

	memset(world, 0, sizeof(*world));
	world->arena = arena_new(4 << 20);
	world->step = arena_new(PLAN_MEMORY_MAX);
	read_next(world, json_object_get(question, "next"));
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
	world->facts.waited = number_of(question, "waited", 0);
	world->facts.sts_discovery_wait = number_of(question,
	    "sts_discovery_wait", 3600);
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

/* Steps to the end; each query must be the next one the case lists. The plan
 * is in the step arena. */
static void run(struct world *world, const json_t *test, struct plan *plan)
{
	const json_t *queries = json_object_get(test, "queries");
	bool any_order = flag_of(test, "any_order", false);
	struct plan_query query;
	char text[300];
	size_t asked = 0;

	world->facts.fact_count = 0;
	arena_reset(world->step);
	while (plan_step(&world->facts, world->step, &query, plan) ==
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
		arena_reset(world->step);
	}
	assert_int_equal(asked, json_array_size(queries));
}

static void compare_texts(char *const *texts, size_t count,
    const json_t *expected)
{
	size_t i;

	assert_int_equal(count, json_array_size(expected));
	for (i = 0; i < count; i++)
		assert_string_equal(texts[i], json_string_value(
		    json_array_get(expected, i)));
}

static void compare_tlsa(struct world *world, const struct plan_host *host,
    const json_t *expected)
{
	struct dane_record record;
	size_t i;

	assert_int_equal(host->tlsa_count, json_array_size(expected));
	for (i = 0; i < host->tlsa_count; i++) {
		read_record(world, json_string_value(json_array_get(expected,
		    i)), &record);
		assert_int_equal(host->tlsa[i].usage, record.usage);
		assert_int_equal(host->tlsa[i].selector, record.selector);
		assert_int_equal(host->tlsa[i].matching, record.matching);
		assert_true(host->tlsa[i].whole);
		assert_int_equal(host->tlsa[i].length, record.length);
		assert_memory_equal(host->tlsa[i].data, record.data,
		    record.length);
	}
}

static void compare_addresses(const struct plan_host *host,
    const json_t *expected, uint16_t port)
{
	char text[ENDPOINT_TEXT_MAX];
	size_t i;

	assert_int_equal(host->address_count, json_array_size(expected));
	for (i = 0; i < host->address_count; i++) {
		endpoint_format(&host->addresses[i], text, sizeof(text));
		assert_string_equal(text, json_string_value(json_array_get(
		    expected, i)));
		assert_int_equal(endpoint_port(&host->addresses[i]), port);
	}
}

/* "4.7.5 policy", and words of the text where the case gives them. */
static void compare_status(const struct status *status, const char *expected,
    const char *why)
{
	char enhanced[16], text[64];

	status_format_enhanced(status, enhanced, sizeof(enhanced));
	snprintf(text, sizeof(text), "%s %s", enhanced,
	    status_reason_name(status->reason));
	assert_string_equal(text, expected);
	if (strstr(status->text, why) == NULL)
		fail_msg("\"%s\" does not say \"%s\"", status->text, why);
}

/* By default the source is what goes with a requirement of the level. */
static const char *default_source(const char *requirement)
{
	return strcmp(requirement, "clear") == 0 ||
	    strcmp(requirement, "opportunistic") == 0 ? "none" : "level";
}

static void compare_host(struct world *world, const struct plan_host *host,
    const json_t *expected)
{
	const char *requirement = text_of(expected, "requirement", "");
	const char *skip = text_of(expected, "skip", NULL);
	const json_t *addresses = json_object_get(expected, "addresses");
	struct endpoint literal;

	assert_string_equal(host->name, text_of(expected, "name", ""));
	assert_int_equal(host->skip, skip != NULL);
	assert_string_not_equal(host->reason, "");
	if (addresses != NULL)
		compare_addresses(host, addresses, world->next.port);
	if (skip != NULL) {
		assert_int_equal(host->skipped.outcome, STATUS_DEFERRED);
		compare_status(&host->skipped, skip, text_of(expected, "why",
		    ""));
		return;
	}
	assert_int_not_equal(host->address_count, 0);
	assert_string_equal(requirement_name(host->requirement), requirement);
	assert_string_equal(plan_source_name(host->source), text_of(expected,
	    "source", default_source(requirement)));
	assert_string_equal(host->sni, text_of(expected, "sni",
	    host->name[0] == '[' || endpoint_parse(&literal, host->name, 0) ==
	    0 ? "" : host->name));
	assert_int_equal(host->also_name, flag_of(expected, "also_name",
	    false));
	assert_int_equal(host->note_name, flag_of(expected, "note_name",
	    false));
	compare_texts(host->names, host->name_count, json_object_get(expected,
	    "names"));
	compare_tlsa(world, host, json_object_get(expected, "tlsa"));
}

static void compare_end(const struct plan *plan, const json_t *expected)
{
	char text[64];

	snprintf(text, sizeof(text), "%s %s", text_of(expected, "enhanced",
	    ""), text_of(expected, "reason", ""));
	compare_status(&plan->status, text, text_of(expected, "why", ""));
	assert_string_equal(status_outcome_name(plan->status.outcome),
	    text_of(expected, "outcome", ""));
}

static void compare(struct world *world, const struct plan *plan,
    const json_t *expected)
{
	const json_t *hosts = json_object_get(expected, "hosts");
	const json_t *ttl = json_object_get(expected, "ttl");
	const char *alarm = text_of(expected, "alarm", NULL);
	size_t i;

	assert_int_equal(plan->host_count, json_array_size(hosts));
	for (i = 0; i < plan->host_count; i++)
		compare_host(world, &plan->hosts[i], json_array_get(hosts, i));
	if (ttl != NULL)
		assert_int_equal(plan->ttl, json_integer_value(ttl));
	if (alarm == NULL)
		assert_string_equal(plan->alarm, "");
	else if (strstr(plan->alarm, alarm) == NULL)
		fail_msg("the alarm is \"%s\"", plan->alarm);
	assert_int_equal(plan->implicit_tls, plan->host_count > 0 &&
	    world->next.implicit_tls);
	assert_int_equal(plan->fingerprint_count, plan->host_count == 0 ? 0 :
	    world->destination.fingerprint_count);
	if (plan->fingerprint_count > 0)
		assert_memory_equal(plan->fingerprints,
		    world->destination.fingerprints,
		    plan->fingerprint_count * DIGEST_BYTES);
	if (!plan_can_try(plan))
		compare_end(plan, expected);
	else
		assert_null(json_object_get(expected, "outcome"));
}

/* What delivery gets is what policy decided, and never half of it. */
static void compare_wire(struct world *world, const struct plan *plan,
    const json_t *expected)
{
	struct wire_writer writer;
	struct wire_reader reader;
	struct plan *read;
	struct buf buf;
	size_t length;

	buf_init(&buf, PLAN_WIRE_MAX);
	wire_write_begin(&writer, &buf);
	plan_put(&writer, plan);
	assert_int_equal(0, wire_write_end(&writer));
	wire_read_begin(&reader, buf_data(&buf), buf_length(&buf));
	read = plan_get(&reader, world->arena);
	assert_non_null(read);
	compare(world, read, expected);
	assert_memory_equal(read->key, plan->key, DIGEST_BYTES);
	for (length = 0; length < buf_length(&buf); length++) {
		struct arena *arena = arena_new(PLAN_MEMORY_MAX);

		wire_read_begin(&reader, buf_data(&buf), length);
		assert_null(plan_get(&reader, arena));
		arena_free(arena);
	}
	buf_release(&buf);
}

static bool has_note(const struct plan *plan, const json_t *expected)
{
	const char *parts[3];
	const struct plan_note *note;
	size_t i;

	for (i = 0; i < 3; i++)
		parts[i] = json_string_value(json_array_get(expected, i));
	for (i = 0; i < plan->note_count; i++) {
		note = &plan->notes[i];
		if (strcmp(note->subject, parts[0]) == 0 &&
		    strcmp(note->clause, parts[1]) == 0 &&
		    strstr(note->text, parts[2]) != NULL)
			return true;
	}
	return false;
}

/* The explanation changes nothing, and says what became of each host. */
static void compare_notes(struct world *world, const json_t *test,
    const struct plan *plain)
{
	const json_t *expected = json_object_get(test, "notes");
	struct arena *step = world->step;
	struct plan plan;
	size_t i, j;
	bool told;

	assert_int_equal(plain->note_count, 0);
	world->step = arena_new(PLAN_MEMORY_MAX);
	world->facts.explain = true;
	run(world, test, &plan);
	compare(world, &plan, json_object_get(test, "plan"));
	assert_memory_equal(plan.key, plain->key, DIGEST_BYTES);
	for (i = 0; i < plan.host_count; i++) {
		told = false;
		for (j = 0; j < plan.note_count; j++)
			told |= strcmp(plan.notes[j].subject,
			    plan.hosts[i].name) == 0;
		assert_true(told);
	}
	assert_int_not_equal(plan.note_count, 0);
	for (i = 0; i < plan.note_count; i++) {
		assert_string_not_equal(plan.notes[i].clause, "");
		assert_string_not_equal(plan.notes[i].text, "");
	}
	for (i = 0; i < json_array_size(expected); i++)
		if (!has_note(&plan, json_array_get(expected, i)))
			fail_msg("note %zu is not there", i + 1);
	arena_free(world->step);
	world->step = step;
	world->facts.explain = false;
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
	compare_notes(world, test, &plan);
	arena_free(world->step);
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
	struct endpoint address;
	struct fact known[] = {
		{ .query = { .type = QUERY_A }, .result = FACT_DATA,
		    .ttl = 60, .addresses = &address, .count = 1 },
		{ .query = { .type = QUERY_STS_CACHED },
		    .result = FACT_NODATA },
		{ .query = { .type = QUERY_STS }, .result = FACT_NODATA },
	};
	struct plan_facts facts = { .next = &next, .domain = "example.org",
	    .destination = destination, .ipv4 = true, .facts = known,
	    .fact_count = 3 };
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
	bool			 second_mx;	/* which cannot be looked up */
	uint32_t		 ttl;
};

enum { PUBLISHED_FACTS = 9 };

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

	fact->result = published->enforce ? FACT_DATA : FACT_NODATA;
	fact->count = published->enforce;
	fact->sts = arena_alloc(arena, sizeof(*fact->sts));
	fact->sts->policy = (struct sts_policy){ .mode = STS_MODE_ENFORCE,
	    .mx = patterns, .mx_count = 2, .max_age = 86400 };
}

/* The key of the plan, whose first host goes to host when that is asked. */
static void make_published(const struct published *published,
    uint8_t key[DIGEST_BYTES])
{
	struct arena *arena = arena_new(PLAN_MEMORY_MAX);
	const struct conf_destination destination = { .pattern = (char *)"*",
	    .level = published->level, .insecure_mx = INSECURE_MX_DANE,
	    .sts_with_dane = published->both };
	const struct conf_next_hop next = { .port = 25, .mx = true,
	    .implicit_tls = published->implicit_tls };
	struct fact known[PUBLISHED_FACTS];
	struct plan_facts facts = { .next = &next, .domain = "example.org",
	    .destination = &destination, .ipv4 = true, .facts = known };
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
	if (plan_step(&facts, arena, &query, &plan) != PLAN_DONE)
		fail_msg("asked for %s", query.name);
	assert_true(plan_can_try(&plan));
	memcpy(key, plan.key, DIGEST_BYTES);
	arena_free(arena);
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
	/* DANE alone: the policy beside it decides nothing. */
	copy = kinds[5];
	copy.enforce = true;
	make_published(&copy, key);
	assert_memory_equal(key, keys[5], DIGEST_BYTES);
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
static struct plan *plan_many(struct arena *arena, size_t records)
{
	static struct fact known[1 + 2 * MANY];
	const struct conf_destination destination = { .pattern = (char *)"*",
	    .level = LEVEL_DANE };
	const struct conf_next_hop next = { .port = 25, .mx = true };
	struct arena *step = arena_new(PLAN_MEMORY_MAX);
	struct plan_facts facts = { .next = &next, .domain = "example.org",
	    .destination = &destination, .ipv4 = true, .facts = known,
	    .explain = true };
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
		plan = plan_many(arena, cases[i].records);
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

/* Bytes that are no plan of policy's: a requirement without what fulfils it
 * must not become a weaker one on the way. */
static void test_incomplete(void **state)
{
	static char *names[] = { (char *)"mx.example" };
	static const uint8_t digest[32] = { 1 };
	static struct dane_record records[] = {
		{ 3, 1, 1, true, digest, 32 }, { 1, 1, 1, true, digest, 32 },
		{ 3, 1, 1, true, digest, 31 }, { 3, 1, 2, true, digest, 32 },
		{ 3, 1, 0, true, digest, 0 }, { 3, 2, 1, true, digest, 32 },
	};
	const struct {
		struct plan_host	 host;
		bool			 good;
	} cases[] = {
#define WITH(r, n, t, ...) { .requirement = r, .names = names, \
    .name_count = n, .tlsa = &records[t], __VA_ARGS__ }
		{ WITH(REQUIRE_DANE, 1, 0, .tlsa_count = 1), true },
		{ WITH(REQUIRE_DANE, 1, 0, .tlsa_count = 0), false },
		{ WITH(REQUIRE_DANE, 0, 0, .tlsa_count = 1), false },
		{ WITH(REQUIRE_DANE, 1, 0, .tlsa_count = 2), false },
		{ WITH(REQUIRE_DANE, 1, 1, .tlsa_count = 1), false },
		{ WITH(REQUIRE_DANE, 1, 2, .tlsa_count = 1), false },
		{ WITH(REQUIRE_DANE, 1, 3, .tlsa_count = 1), false },
		{ WITH(REQUIRE_DANE, 1, 4, .tlsa_count = 1), false },
		{ WITH(REQUIRE_DANE, 1, 5, .tlsa_count = 1), false },
		{ WITH(REQUIRE_DANE, 1, 0, .tlsa_count = 1,
		    .also_name = true), true },
		{ WITH(REQUIRE_NAME, 1, 0, .tlsa_count = 0), true },
		{ WITH(REQUIRE_NAME, 0, 0, .tlsa_count = 0), false },
		{ WITH(REQUIRE_DANE, 1, 0, .tlsa_count = 1,
		    .note_name = true), true },
		{ WITH(REQUIRE_DANE, 1, 0, .tlsa_count = 1,
		    .also_name = true, .note_name = true), false },
		{ WITH(REQUIRE_NAME, 1, 0, .also_name = true), false },
		{ WITH(REQUIRE_NAME, 1, 0, .note_name = true), false },
		{ WITH(REQUIREMENTS, 1, 0, .tlsa_count = 0), false },
		{ WITH(REQUIRE_ENCRYPTED, 0, 0, .source = SOURCES), false },
		{ WITH(REQUIRE_ENCRYPTED, 0, 0, .source = SOURCE_DANE), true },
		/* skipped for a reason that does not wait */
		{ WITH(REQUIRE_ENCRYPTED, 0, 0, .skip = true), false },
#undef WITH
	};
	struct wire_writer writer;
	struct wire_reader reader;
	struct arena *arena;
	struct plan plan;
	struct buf buf;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct plan_host host = cases[i].host;

		if (host.skip)
			status_set(&host.skipped, STATUS_FAILED,
			    REASON_POLICY, "5.7.5", "no");
		memset(&plan, 0, sizeof(plan));
		plan.hosts = &host;
		plan.host_count = 1;
		arena = arena_new(PLAN_MEMORY_MAX);
		buf_init(&buf, PLAN_WIRE_MAX);
		wire_write_begin(&writer, &buf);
		plan_put(&writer, &plan);
		wire_read_begin(&reader, buf_data(&buf), buf_length(&buf));
		if ((plan_get(&reader, arena) != NULL) != cases[i].good)
			fail_msg("host %zu", i);
		buf_release(&buf);
		arena_free(arena);
	}
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
	    .destination = &destination, .ipv4 = true, .facts = facts,
	    .fact_count = 5 };
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

/* What is to be done when nobody can be tried: mail is not lost by it, and
 * hosts that were left out never give it back. */
static void test_status(void **state)
{
	static const struct {
		bool			 skipped;	/* there is such a host */
		enum status_outcome	 outcome;
		bool			 good;
	} cases[] = {
		{ false, STATUS_DELIVERED, false },
		{ false, STATUS_RELAYED, false },
		{ false, STATUS_DEFERRED, true },
		{ false, STATUS_FAILED, true },
		{ true, STATUS_DELIVERED, false },
		{ true, STATUS_DEFERRED, true },
		{ true, STATUS_FAILED, false },
	};
	static const char *const codes[] = { [STATUS_DELIVERED] = "2.0.0",
	    [STATUS_RELAYED] = "2.0.0", [STATUS_DEFERRED] = "4.7.5",
	    [STATUS_FAILED] = "5.7.5" };
	struct plan_host host = { .skip = true };
	struct wire_writer writer;
	struct wire_reader reader;
	struct arena *arena;
	struct plan plan;
	struct buf buf;
	size_t i;

	(void)state;
	status_set(&host.skipped, STATUS_DEFERRED, REASON_POLICY, "4.7.5",
	    "no");
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		memset(&plan, 0, sizeof(plan));
		plan.hosts = &host;
		plan.host_count = cases[i].skipped;
		status_set(&plan.status, cases[i].outcome, REASON_NONE,
		    codes[cases[i].outcome], "no");
		arena = arena_new(PLAN_MEMORY_MAX);
		buf_init(&buf, PLAN_WIRE_MAX);
		wire_write_begin(&writer, &buf);
		plan_put(&writer, &plan);
		wire_read_begin(&reader, buf_data(&buf), buf_length(&buf));
		if ((plan_get(&reader, arena) != NULL) != cases[i].good)
			fail_msg("status %zu", i);
		buf_release(&buf);
		arena_free(arena);
	}
}

/* More octets of records than any plan of ours has are not taken in. */
static void test_hoard(void **state)
{
	enum { EACH = PLAN_TLSA_BYTES_MAX / 2, COUNT = 3 };
	static uint8_t data[EACH];
	static char *names[] = { (char *)"mx.example" };
	struct dane_record record = { 3, 0, 0, true, data, EACH };
	struct plan_host hosts[COUNT];
	struct plan plan = { .hosts = hosts };
	struct wire_writer writer;
	struct wire_reader reader;
	struct arena *arena;
	struct buf buf;
	size_t i;

	(void)state;
	memset(hosts, 0, sizeof(hosts));
	for (i = 0; i < COUNT; i++) {
		hosts[i] = (struct plan_host){ .requirement = REQUIRE_DANE,
		    .names = names, .name_count = 1, .tlsa = &record,
		    .tlsa_count = 1 };
		plan.host_count = i + 1;
		arena = arena_new(PLAN_MEMORY_MAX);
		buf_init(&buf, 1 << 20);
		wire_write_begin(&writer, &buf);
		plan_put(&writer, &plan);
		wire_read_begin(&reader, buf_data(&buf), buf_length(&buf));
		assert_int_equal(plan_get(&reader, arena) != NULL, i < 2);
		buf_release(&buf);
		arena_free(arena);
	}
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
		if (count + json_array_size(cases) + 7 > CASES_MAX)
			return 2;
		for (j = 0; j < json_array_size(cases); j++)
			tests[count++] = (struct CMUnitTest){
			    .name = text_of(json_array_get(cases, j), "name",
			    "?"), .test_func = test_case,
			    .initial_state = json_array_get(cases, j) };
	}
	tests[count++] = (struct CMUnitTest)cmocka_unit_test(test_spread);
	tests[count++] = (struct CMUnitTest)cmocka_unit_test(test_key);
	tests[count++] =
	    (struct CMUnitTest)cmocka_unit_test(test_published_key);
	tests[count++] = (struct CMUnitTest)cmocka_unit_test(test_limits);
	tests[count++] = (struct CMUnitTest)cmocka_unit_test(test_incomplete);
	tests[count++] = (struct CMUnitTest)cmocka_unit_test(test_hoard);
	tests[count++] = (struct CMUnitTest)cmocka_unit_test(test_status);
	failed = _cmocka_run_group_tests("plan", tests, count, NULL, NULL);
	for (i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		json_decref(roots[i]);
	return failed;
}
