/* SPDX-License-Identifier: ISC */
/*
 * policy/plan*.c against tests/vectors/plan: the exact order of queries and the
 * plan, one test a case, with and without the explanation; plan_wire.c by a
 * round trip of every plan, cut at every byte; and that notes are for
 * everything.
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

enum { CASES_MAX = 1024, FACTS_MAX = 128, RDATA_MAX = 4096 };

static const char *const files[] = { "route.json", "level.json", "dane.json",
    "sts.json", "combine.json", "wish.json", "memory.json",
    "exception.json" };

/* --- a case as the machine wants it --- */

struct world {
	struct arena		*arena;
	struct arena		*step;		/* of the last run's plan */
	struct plan_facts	 facts;
	struct conf_next_hop	 next;
	struct conf_destination	 destination;
	struct plan_exception	 exception;
	struct plan_pin		 pin;
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

static bool listed(const json_t *queries, const char *text)
{
	size_t i;

	for (i = 0; i < json_array_size(queries); i++)
		if (strcasecmp(json_string_value(json_array_get(queries, i)),
		    text) == 0)
			return true;
	return false;
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

static int64_t number_of(const json_t *object, const char *key,
    int64_t fallback)
{
	const json_t *number = json_object_get(object, key);

	return number == NULL ? fallback : json_integer_value(number);
}

static void read_memory(struct world *world, const json_t *object,
    struct fact *fact)
{
	struct fact_memory *memory = arena_alloc(world->arena,
	    sizeof(*memory));
	const json_t *expects = json_object_get(object, "expects");

	memory->expects_tls = listed(expects, "tls");
	memory->expects_dane = listed(expects, "dane");
	memory->expects_sts = listed(expects, "sts");
	memory->expects_web = listed(expects, "web");
	memory->known_clear = flag_of(object, "known_clear", false);
	memory->count = (uint32_t)number_of(object, "count", 9);
	fact->memory = memory;
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
	else if ((data = json_object_get(object, "memory")) != NULL)
		read_memory(world, data, fact);
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
	fact->ttl = (uint32_t)number_of(object, "ttl", fact->query.type ==
	    QUERY_MEMORY || fact->query.type == QUERY_MEMORY_HOST ?
	    UINT32_MAX : 0);
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

/* "clear", "defer", "clear-after 3600" (seconds). */
static void read_fallback(const json_t *object, const char *key,
    enum conf_fallback *fallback, int64_t *after)
{
	const char *text = text_of(object, key, "clear");
	long long seconds;

	*after = 0;
	if (strcmp(text, "clear") == 0) {
		*fallback = FALLBACK_CLEAR;
	} else if (strcmp(text, "defer") == 0) {
		*fallback = FALLBACK_DEFER;
	} else {
		assert_int_equal(1, sscanf(text, "clear-after %lld",
		    &seconds));
		*fallback = FALLBACK_CLEAR_AFTER;
		*after = seconds;
	}
}

static void read_fingerprints(const json_t *list, size_t max,
    uint8_t (*prints)[DIGEST_BYTES])
{
	size_t i;

	assert_in_range(json_array_size(list), 0, max);
	for (i = 0; i < json_array_size(list); i++)
		assert_int_equal(DIGEST_BYTES, hex_parse(prints[i],
		    DIGEST_BYTES, json_string_value(json_array_get(list,
		    i))));
}

static void read_destination(struct world *world, const json_t *object)
{
	static const char *const insecure_mx[] = { "may", "encrypt", "dane",
	    NULL };
	static const char *const sts_with_dane[] = { "dane", "both", NULL };
	static const char *const memory[] = { "observe", "warn", "defer",
	    NULL };
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
	destination->memory = choice_of(object, "memory", memory,
	    MEMORY_WARN);
	read_fallback(object, "no_starttls", &destination->no_starttls,
	    &destination->no_starttls_after);
	read_fallback(object, "broken_tls", &destination->broken_tls,
	    &destination->broken_tls_after);
	destination->names.count = json_array_size(names);
	destination->names.items = arena_alloc_array(world->arena,
	    destination->names.count + 1, sizeof(char *));
	for (i = 0; i < destination->names.count; i++)
		destination->names.items[i] = arena_dup_string(world->arena,
		    json_string_value(json_array_get(names, i)));
	destination->fingerprint_count = json_array_size(prints);
	destination->fingerprints = arena_alloc_array(world->arena,
	    destination->fingerprint_count + 1, DIGEST_BYTES);
	read_fingerprints(prints, destination->fingerprint_count,
	    destination->fingerprints);
}

static void read_exception(struct world *world, const json_t *object)
{
	struct plan_exception *exception = &world->exception;

	if (object == NULL)
		return;
	exception->id = (uint64_t)number_of(object, "id", 1);
	exception->level = level_of(text_of(object, "level", ""));
	snprintf(exception->pattern, sizeof(exception->pattern), "%s",
	    text_of(object, "pattern", "example.org"));
	snprintf(exception->reason, sizeof(exception->reason), "ticket 41");
	world->facts.exception = exception;
}

static void read_pin(struct world *world, const json_t *object)
{
	const json_t *prints = json_object_get(object, "fingerprints");
	const char *level = text_of(object, "level", "");
	struct plan_pin *pin = &world->pin;

	if (object == NULL)
		return;
	while (strcmp(pin_level_name(pin->level), level) != 0)
		assert_in_range(++pin->level, 0, PIN_LEVELS - 1);
	snprintf(pin->domain, sizeof(pin->domain), "%s", text_of(object,
	    "domain", "example.org"));
	read_fingerprints(prints, PLAN_PIN_FINGERPRINTS_MAX,
	    pin->fingerprints);
	pin->fingerprint_count = json_array_size(prints);
	world->facts.pin = pin;
}

/* What the sender, the operator and the message's own history say. */
static void read_wishes(struct world *world, const json_t *question)
{
	const char *wish = text_of(question, "wish", "");
	const char *level = text_of(question, "message_level", NULL);

	while (strcmp(plan_wish_name(world->facts.wish), wish) != 0)
		assert_in_range(++world->facts.wish, 0, WISHES - 1);
	world->facts.message_level = level == NULL ? -1 :
	    (int)level_of(level);
	world->facts.requiretls_names = flag_of(question, "requiretls_names",
	    false);
	read_exception(world, json_object_get(question, "exception"));
	read_pin(world, json_object_get(question, "pin"));
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
	world->facts.prefer = (enum conf_family)number_of(question, "prefer",
	    FAMILY_ANY);
	world->facts.allow_loopback = flag_of(question, "allow_loopback",
	    false);
	world->facts.own_name = text_of(question, "own_name", "us.example");
	world->facts.waited = number_of(question, "waited", 0);
	world->facts.sts_discovery_wait = number_of(question,
	    "sts_discovery_wait", 3600);
	world->facts.shuffle_seed = 7;
	read_wishes(world, question);
	world->facts.facts = arena_alloc_array(world->arena, FACTS_MAX,
	    sizeof(struct fact));
	for (i = 0; i < json_array_size(facts); i++)
		read_fact(world, json_array_get(facts, i));
}

/* --- running it --- */

/* What is remembered limits no plan's life; of most, nothing is. */
static void answer(struct world *world, const struct plan_query *query)
{
	struct fact nothing = { .query = *query, .result = FACT_NODATA,
	    .ttl = UINT32_MAX };
	size_t i;

	for (i = 0; i < world->known_count; i++)
		if (world->known[i].query.type == query->type &&
		    strcasecmp(world->known[i].query.name, query->name) == 0) {
			world->facts.facts[world->facts.fact_count++] =
			    world->known[i];
			return;
		}
	if (query->type != QUERY_MEMORY && query->type != QUERY_MEMORY_HOST)
		fail_msg("asked %s %s, which the case does not know",
		    query_type_name(query->type), query->name);
	world->facts.facts[world->facts.fact_count++] = nothing;
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

/* What a host that is left out counts as. */
static void compare_skip(const struct plan_host *host, const json_t *expected)
{
	const char *skip = text_of(expected, "skip", "");

	compare_status(&host->skipped, skip, text_of(expected, "why", ""));
	assert_int_equal(host->skipped.outcome, skip[0] == '5' ?
	    STATUS_FAILED : STATUS_DEFERRED);
	assert_string_equal(tls_result_name(host->skipped_result),
	    text_of(expected, "result", strstr(skip, "dns") != NULL ?
	    "dnssec-invalid" : "validation-failure"));
}

/* By default nothing is tried, but for memory's sake where nobody asks for
 * anything. */
static bool compare_ideal(const struct plan_host *host, const json_t *expected,
    bool named)
{
	bool soft = named && host->requirement == REQUIRE_OPPORTUNISTIC;
	const char *ideal = text_of(expected, "ideal", soft ? "name" : NULL);

	assert_int_equal(host->ideal > host->requirement, ideal != NULL);
	assert_int_equal(host->sts_mismatch, flag_of(expected, "sts_mismatch",
	    false));
	if (ideal != NULL)
		assert_string_equal(requirement_name(host->ideal), ideal);
	assert_string_equal(plan_source_name(host->ideal_source),
	    text_of(expected, "ideal_source", "none"));
	return soft && json_object_get(expected, "ideal") == NULL;
}

static bool is_of_dane(enum plan_source source)
{
	return source == SOURCE_DANE || source == SOURCE_HALF_DANE;
}

/* Records that oblige or are tried have a name to be counted under; a case
 * says it where it is not the server name. */
static void compare_tlsa_domain(const struct plan_host *host,
    const json_t *expected)
{
	bool used = host->tlsa_count > 0 || is_of_dane(host->source) ||
	    is_of_dane(host->ideal_source);

	assert_string_equal(host->tlsa_domain, text_of(expected,
	    "tlsa_domain", used ? host->sni : ""));
	assert_int_equal(host->tlsa_digest != 0, host->tlsa_domain[0] !=
	    '\0');
}

static void compare_host(struct world *world, const struct plan_host *host,
    const json_t *expected)
{
	const char *requirement = text_of(expected, "requirement", "");
	const char *skip = text_of(expected, "skip", NULL);
	const json_t *addresses = json_object_get(expected, "addresses");
	char *own = (char *)host->name;
	struct endpoint literal;
	bool named = host->name[0] != '[' &&
	    endpoint_parse(&literal, host->name, 0) == -1;

	assert_string_equal(host->name, text_of(expected, "name", ""));
	assert_int_equal(host->skip, skip != NULL);
	assert_string_not_equal(host->reason, "");
	assert_int_equal(host->requiretls, world->facts.wish ==
	    WISH_REQUIRETLS || world->facts.wish == WISH_REQUIRETLS_BOUNCE);
	if (addresses != NULL)
		compare_addresses(host, addresses, world->next.port);
	if (skip != NULL) {
		compare_skip(host, expected);
		return;
	}
	assert_int_not_equal(host->address_count, 0);
	assert_string_equal(requirement_name(host->requirement), requirement);
	assert_string_equal(plan_source_name(host->source), text_of(expected,
	    "source", default_source(requirement)));
	assert_string_equal(host->sni, text_of(expected, "sni", named ?
	    host->name : ""));
	assert_int_equal(host->also_name, flag_of(expected, "also_name",
	    false));
	assert_int_equal(host->note_name, flag_of(expected, "note_name",
	    false));
	assert_int_equal(host->expects_tls, flag_of(expected, "expects_tls",
	    false));
	if (compare_ideal(host, expected, named)) {
		assert_int_equal(host->name_count, 1);
		assert_string_equal(host->names[0], own);
	} else {
		compare_texts(host->names, host->name_count,
		    json_object_get(expected, "names"));
	}
	compare_tlsa(world, host, json_object_get(expected, "tlsa"));
	compare_tlsa_domain(host, expected);
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

static void compare_fallback(enum conf_fallback fallback, int64_t after,
    const json_t *expected, const char *key)
{
	enum conf_fallback wanted;
	int64_t wanted_after;

	if (json_object_get(expected, key) == NULL)
		return;
	read_fallback(expected, key, &wanted, &wanted_after);
	assert_int_equal(fallback, wanted);
	assert_int_equal(after, wanted_after);
}

static void compare_fingerprints(const struct world *world,
    const struct plan *plan)
{
	bool pinned = strcmp(plan->host_count == 0 ? "" :
	    plan_source_name(plan->hosts[0].source), "pin") == 0 &&
	    world->pin.level == PIN_FINGERPRINT;
	size_t count = plan->host_count == 0 ? 0 : pinned ?
	    world->pin.fingerprint_count :
	    world->destination.fingerprint_count;

	assert_int_equal(plan->fingerprint_count, count);
	if (count > 0)
		assert_memory_equal(plan->fingerprints, pinned ?
		    world->pin.fingerprints : world->destination.fingerprints,
		    count * DIGEST_BYTES);
}

/* The answer that a run was given; null when it was not asked for. */
static const struct fact *asked_for(const struct world *world,
    enum query_type type)
{
	size_t i;

	for (i = 0; i < world->facts.fact_count; i++)
		if (world->facts.facts[i].query.type == type)
			return &world->facts.facts[i];
	return NULL;
}

/* The policy that was gone by, if only to tell and count. */
static bool has_policy(const struct world *world)
{
	const struct fact *live = asked_for(world, QUERY_STS);
	const struct fact *cached = asked_for(world, QUERY_STS_CACHED);
	const struct fact *fact = live != NULL && live->result != FACT_ERROR ?
	    live : cached;
	enum sts_mode least = fact == live || live == NULL ? STS_MODE_TESTING :
	    STS_MODE_ENFORCE;

	return fact != NULL && fact->result == FACT_DATA && fact->count > 0 &&
	    fact->sts->policy.mode >= least;
}

static void compare_marks(const struct world *world, const struct plan *plan,
    const json_t *expected)
{
	const json_t *vanished = json_object_get(expected, "vanished");

	assert_string_equal(plan->next_hop, world->next.host[0] == '\0' ?
	    world->facts.domain : world->next.host);
	assert_int_equal(plan->wish, world->facts.wish);
	assert_int_equal(plan->exception, number_of(expected, "exception",
	    0));
	assert_int_equal(plan->vanished_dane, listed(vanished, "dane"));
	assert_int_equal(plan->vanished_sts, listed(vanished, "sts"));
	assert_int_equal(plan->sts_digest != 0, plan->host_count > 0 &&
	    has_policy(world));
	compare_fallback(plan->no_starttls, plan->no_starttls_after, expected,
	    "no_starttls");
	compare_fallback(plan->broken_tls, plan->broken_tls_after, expected,
	    "broken_tls");
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
	compare_fingerprints(world, plan);
	compare_marks(world, plan, expected);
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
		if (count + json_array_size(cases) > CASES_MAX)
			return 2;
		for (j = 0; j < json_array_size(cases); j++)
			tests[count++] = (struct CMUnitTest){
			    .name = text_of(json_array_get(cases, j), "name",
			    "?"), .test_func = test_case,
			    .initial_state = json_array_get(cases, j) };
	}
	failed = _cmocka_run_group_tests("plan", tests, count, NULL, NULL);
	for (i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		json_decref(roots[i]);
	return failed;
}
