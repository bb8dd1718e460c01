/* SPDX-License-Identifier: ISC */
/*
 * Facts come from tables by the world's numbers. The records' data are
 * arbitrary: the plan only looks at their shape.
 */
#include "tests/unit/policy_plan_world.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

const char world_domain[] = "example.org";
const char world_alias[] = "real.example.com";
const char world_mx_alias[] = "target.example.com";
const char *const world_names[] = { "one.example.org", ".two.example.org" };

static const char *const hop_words[] = { "secure MX", "unsigned MX",
    "provably no MX", "no MX, unproven", "route without MX",
    "route with secure MX", "secure MX behind an alias", "address literal",
    "MX lookup error", "MX bogus", "null MX", "null MX, unsigned",
    "no such domain", "no such domain, unsigned", NULL };
static const char *const address_words[] = { "secure", "insecure",
    "alias, secure all the way", "secure alias to insecure addresses",
    "insecure alias", "alias whose own lookup fails",
    "alias whose own lookup is bogus", "A only", "AAAA only",
    "A secure, AAAA insecure", "A insecure, AAAA secure", "none",
    "none, unsigned", "no such host", "error", "bogus",
    "A error, AAAA secure", "A secure, AAAA error",
    "A insecure, AAAA error", "A error, AAAA insecure", NULL };
static const char *const tlsa_words[] = { "provably none", "3 1 1", "2 0 1",
    "3 1 1 and 1 1 1", "1 1 1 only", "3 1 1 of 31 octets", "none, unsigned",
    "3 1 1, unsigned", "no such name", "error", "bogus", NULL };
static const char *const sts_words[] = { "none", "enforce, host listed",
    "enforce, host not listed", "testing, host listed",
    "testing, host not listed", "mode none", "unknown, early",
    "unknown after the wait", NULL };
static const char *const cached_words[] = { "fetched", "remembered", NULL };
static const char *const level_words[] = { "auto", "none", "may", "encrypt",
    "dane", "dane-only", "sts", "strict", "verify", "secure", "fingerprint",
    NULL };
static const char *const wish_words[] = { "none", "REQUIRETLS",
    "REQUIRETLS with null sender", "TLS-Required: No", NULL };
static const char *const insecure_mx_words[] = { "dane", "encrypt", "may",
    NULL };
static const char *const sts_with_dane_words[] = { "dane", "both", NULL };
static const char *const memory_words[] = { "warn", "defer", "observe", NULL };
static const char *const memory_fact_words[] = { "nothing", "TLS of the host",
    "TLS of the domain", "TLS of the domain, host known as clear",
    "TLSA and policy of the domain", "all of host and domain", NULL };
static const char *const pin_words[] = { "none", "encrypt", "verify",
    "fingerprint", NULL };
static const char *const exception_words[] = { "none in force", "none", "may",
    "encrypt", NULL };
static const char *const message_words[] = { "as configured", "auto", "none",
    "may", "encrypt", "dane", "dane-only", "sts", "strict", NULL };
static const char *const fallback_words[] = { "clear / clear-after 4h",
    "defer / defer", "clear-after 1h / clear", NULL };
static const char *const strict_words[] = { "match", "name-too", NULL };
static const char *const names_words[] = { "default", "configured", NULL };
static const char *const implicit_words[] = { "no", "yes", NULL };
static const char *const second_words[] = { "no", "yes", NULL };

static const struct {
	const char		*name;
	unsigned		 values;
	const char *const	*words;
} dimensions[DIMENSIONS] = {
	[AT_HOP] = { "next hop", HOPS, hop_words },
	[AT_ADDRESS] = { "addresses", ADDRESSES, address_words },
	[AT_TLSA] = { "TLSA", TLSAS, tlsa_words },
	[AT_OTHER_TLSA] = { "TLSA before the alias", TLSAS, tlsa_words },
	[AT_STS] = { "MTA-STS", STS_STATES, sts_words },
	[AT_STS_CACHED] = { "policy", 2, cached_words },
	[AT_LEVEL] = { "level", LEVEL_COUNT, level_words },
	[AT_WISH] = { "wish", WISHES, wish_words },
	[AT_INSECURE_MX] = { "insecure-mx", 3, insecure_mx_words },
	[AT_STS_WITH_DANE] = { "sts-with-dane", 2, sts_with_dane_words },
	[AT_MEMORY] = { "memory", 3, memory_words },
	[AT_MEMORY_FACTS] = { "remembered", MEMORY_FACTS, memory_fact_words },
	[AT_PIN] = { "pin", WORLD_PINS, pin_words },
	[AT_EXCEPTION] = { "exception", WORLD_EXCEPTIONS, exception_words },
	[AT_MESSAGE_LEVEL] = { "message level", 9, message_words },
	[AT_FALLBACK] = { "fallback", WORLD_FALLBACKS, fallback_words },
	[AT_STRICT_NAMES] = { "requiretls-dane-ee", 2, strict_words },
	[AT_NAMES] = { "names", 2, names_words },
	[AT_IMPLICIT] = { "implicit TLS", 2, implicit_words },
	[AT_SECOND] = { "second host", 2, second_words },
};

/* The number of a value is not always the program's own: 0 is the default. */
static const enum conf_insecure_mx insecure_mx_values[] = { INSECURE_MX_DANE,
    INSECURE_MX_ENCRYPT, INSECURE_MX_MAY };
static const enum conf_memory memory_values[] = { MEMORY_WARN, MEMORY_DEFER,
    MEMORY_OBSERVE };
static const enum conf_level exception_levels[] = { LEVEL_NONE, LEVEL_NONE,
    LEVEL_MAY, LEVEL_ENCRYPT };
static const struct {
	enum conf_fallback	 no_starttls;
	int64_t			 no_starttls_after;
	enum conf_fallback	 broken_tls;
	int64_t			 broken_tls_after;
} fallback_values[WORLD_FALLBACKS] = {
	{ FALLBACK_CLEAR, 0, FALLBACK_CLEAR_AFTER, 14400 },
	{ FALLBACK_DEFER, 0, FALLBACK_DEFER, 0 },
	{ FALLBACK_CLEAR_AFTER, 3600, FALLBACK_CLEAR, 0 },
};

/* What a query for an address says. */
struct told {
	enum fact_result	 result;
	bool			 secure;
	bool			 aliased;
};

static const struct {
	struct told		 a, aaaa;
	enum fact_result	 cname;		/* of the first alias */
	bool			 cname_secure;
} address_values[ADDRESSES] = {
	[ADDRESS_SECURE] = { { FACT_DATA, true, false },
	    { FACT_DATA, true, false }, FACT_NODATA, true },
	[ADDRESS_INSECURE] = { { FACT_DATA, false, false },
	    { FACT_DATA, false, false }, FACT_NODATA, false },
	[ADDRESS_ALIAS_SECURE] = { { FACT_DATA, true, true },
	    { FACT_DATA, true, true }, FACT_DATA, true },
	[ADDRESS_ALIAS_OUT] = { { FACT_DATA, false, true },
	    { FACT_DATA, false, true }, FACT_DATA, true },
	[ADDRESS_ALIAS_INSECURE] = { { FACT_DATA, false, true },
	    { FACT_DATA, false, true }, FACT_DATA, false },
	[ADDRESS_ALIAS_ERROR] = { { FACT_DATA, false, true },
	    { FACT_DATA, false, true }, FACT_ERROR, false },
	[ADDRESS_ALIAS_BOGUS] = { { FACT_DATA, false, true },
	    { FACT_DATA, false, true }, FACT_BOGUS, false },
	[ADDRESS_ONLY_A] = { { FACT_DATA, true, false },
	    { FACT_NODATA, true, false }, FACT_NODATA, true },
	[ADDRESS_ONLY_AAAA] = { { FACT_NODATA, true, false },
	    { FACT_DATA, true, false }, FACT_NODATA, true },
	[ADDRESS_A_SECURE] = { { FACT_DATA, true, false },
	    { FACT_DATA, false, false }, FACT_NODATA, true },
	[ADDRESS_AAAA_SECURE] = { { FACT_DATA, false, false },
	    { FACT_DATA, true, false }, FACT_NODATA, true },
	[ADDRESS_NONE] = { { FACT_NODATA, true, false },
	    { FACT_NODATA, true, false }, FACT_NODATA, true },
	[ADDRESS_NONE_UNSIGNED] = { { FACT_NODATA, false, false },
	    { FACT_NODATA, false, false }, FACT_NODATA, false },
	[ADDRESS_NXDOMAIN] = { { FACT_NXDOMAIN, true, false },
	    { FACT_NXDOMAIN, true, false }, FACT_NXDOMAIN, true },
	[ADDRESS_ERROR] = { { FACT_ERROR, false, false },
	    { FACT_ERROR, false, false }, FACT_ERROR, false },
	[ADDRESS_BOGUS] = { { FACT_BOGUS, false, false },
	    { FACT_BOGUS, false, false }, FACT_BOGUS, false },
	[ADDRESS_A_ERROR] = { { FACT_ERROR, false, false },
	    { FACT_DATA, true, false }, FACT_ERROR, false },
	[ADDRESS_AAAA_ERROR] = { { FACT_DATA, true, false },
	    { FACT_ERROR, false, false }, FACT_ERROR, false },
	[ADDRESS_A_INSECURE_ERROR] = { { FACT_DATA, false, false },
	    { FACT_ERROR, false, false }, FACT_ERROR, false },
	[ADDRESS_AAAA_INSECURE_ERROR] = { { FACT_ERROR, false, false },
	    { FACT_DATA, false, false }, FACT_ERROR, false },
};

static uint8_t octets[64];
static struct dane_record tlsa_ee[] = { { 3, 1, 1, true, octets, 32 } };
static struct dane_record tlsa_ta[] = { { 2, 0, 1, true, octets, 32 } };
static struct dane_record tlsa_mixed[] = { { 1, 1, 1, true, octets, 32 },
    { 3, 1, 1, true, octets, 32 } };
static struct dane_record tlsa_unusable[] = { { 1, 1, 1, true, octets, 32 } };
static struct dane_record tlsa_malformed[] = { { 3, 1, 1, true, octets, 31 } };

static const struct {
	enum fact_result	 result;
	bool			 secure;
	struct dane_record	*records;
	size_t			 count;
} tlsa_values[TLSAS] = {
	[TLSA_NODATA] = { FACT_NODATA, true, NULL, 0 },
	[TLSA_EE] = { FACT_DATA, true, tlsa_ee, COUNT(tlsa_ee) },
	[TLSA_TA] = { FACT_DATA, true, tlsa_ta, COUNT(tlsa_ta) },
	[TLSA_MIXED] = { FACT_DATA, true, tlsa_mixed, COUNT(tlsa_mixed) },
	[TLSA_UNUSABLE] = { FACT_DATA, true, tlsa_unusable,
	    COUNT(tlsa_unusable) },
	[TLSA_MALFORMED] = { FACT_DATA, true, tlsa_malformed,
	    COUNT(tlsa_malformed) },
	[TLSA_NODATA_UNSIGNED] = { FACT_NODATA, false, NULL, 0 },
	[TLSA_UNSIGNED] = { FACT_DATA, false, tlsa_ee, COUNT(tlsa_ee) },
	[TLSA_NXDOMAIN] = { FACT_NXDOMAIN, true, NULL, 0 },
	[TLSA_ERROR] = { FACT_ERROR, false, NULL, 0 },
	[TLSA_BOGUS] = { FACT_BOGUS, false, NULL, 0 },
};

static struct fact_mx mx_records[] = { { 10, "mx1.example.net" },
    { 20, "mx2.example.net" } };
static struct fact_mx null_mx[] = { { 0, "" } };

static const struct {
	enum fact_result	 result;
	bool			 secure;
	const char		*alias;
} hop_values[HOPS] = {
	[HOP_MX_SECURE] = { FACT_DATA, true, "" },
	[HOP_MX_UNSIGNED] = { FACT_DATA, false, "" },
	[HOP_NO_MX] = { FACT_NODATA, true, "" },
	[HOP_NO_MX_UNSIGNED] = { FACT_NODATA, false, "" },
	[HOP_ROUTE_MX] = { FACT_DATA, true, "" },
	[HOP_MX_ALIAS] = { FACT_DATA, true, world_mx_alias },
	[HOP_MX_ERROR] = { FACT_ERROR, false, "" },
	[HOP_MX_BOGUS] = { FACT_BOGUS, false, "" },
	[HOP_NULL_MX] = { FACT_DATA, true, "" },
	[HOP_NULL_MX_UNSIGNED] = { FACT_DATA, false, "" },
	[HOP_NXDOMAIN] = { FACT_NXDOMAIN, true, "" },
	[HOP_NXDOMAIN_UNSIGNED] = { FACT_NXDOMAIN, false, "" },
};

static struct fact_memory memory_of_host[MEMORY_FACTS] = {
	[MEMORY_OF_HOST] = { .expects_tls = true, .count = 9 },
	[MEMORY_OLD_HOST] = { .known_clear = true },
	[MEMORY_OF_ALL] = { .expects_tls = true, .expects_web = true,
	    .count = 9 },
};
static struct fact_memory memory_of_domain[MEMORY_FACTS] = {
	[MEMORY_OF_DOMAIN] = { .expects_tls = true, .count = 9 },
	[MEMORY_OLD_HOST] = { .expects_tls = true, .count = 9 },
	[MEMORY_OF_PUBLISHED] = { .expects_dane = true, .expects_sts = true,
	    .count = 9 },
	[MEMORY_OF_ALL] = { .expects_tls = true, .expects_dane = true,
	    .expects_sts = true, .expects_web = true, .count = 9 },
};

unsigned world_values(enum world_dimension dimension)
{
	return dimensions[dimension].values;
}

const char *world_dimension_name(enum world_dimension dimension)
{
	return dimensions[dimension].name;
}

const char *world_value_name(enum world_dimension dimension, unsigned value)
{
	return dimensions[dimension].words[value];
}

void world_say(const struct world *world, char *out, size_t size)
{
	size_t used = 0;

	out[0] = '\0';
	for (int i = 0; i < DIMENSIONS && used < size; i++) {
		if (world->at[i] == 0 && i != AT_HOP && i != AT_LEVEL)
			continue;
		used += (size_t)snprintf(out + used, size - used, "%s%s: %s",
		    used > 0 ? "; " : "", dimensions[i].name,
		    dimensions[i].words[world->at[i]]);
	}
}

bool world_is_mx(const struct world *world)
{
	enum world_hop hop = world->at[AT_HOP];

	return hop == HOP_MX_SECURE || hop == HOP_MX_UNSIGNED ||
	    hop == HOP_MX_ALIAS || hop == HOP_ROUTE_MX;
}

bool world_has_hosts(const struct world *world)
{
	return world->at[AT_HOP] < HOP_MX_ERROR;
}

unsigned world_host_count(const struct world *world)
{
	if (!world_has_hosts(world))
		return 0;
	return world_is_mx(world) && world->at[AT_SECOND] != 0 ? 2 : 1;
}

const char *world_next_hop(const struct world *world)
{
	switch (world->at[AT_HOP]) {
	case HOP_LITERAL: return "[192.0.2.77]";
	case HOP_ROUTE: return "relay.example.net";
	case HOP_ROUTE_MX: return "hub.example.net";
	default: return world_domain;
	}
}

const char *world_host_name(const struct world *world, unsigned host)
{
	return world_is_mx(world) ? mx_records[host].host :
	    world_next_hop(world);
}

enum world_address world_address(const struct world *world, unsigned host)
{
	return host == 0 ? (enum world_address)world->at[AT_ADDRESS] :
	    ADDRESS_SECURE;
}

bool world_is_aliased(enum world_address address)
{
	return address_values[address].a.aliased;
}

enum world_tlsa world_tlsa(const struct world *world, unsigned host,
    unsigned candidate)
{
	if (host == 1)
		return TLSA_EE;
	return candidate == 0 ? (enum world_tlsa)world->at[AT_TLSA] :
	    (enum world_tlsa)world->at[AT_OTHER_TLSA];
}

enum world_sts world_sts(const struct world *world, unsigned host)
{
	enum world_sts sts = world->at[AT_STS];

	if (host == 0)
		return sts;
	return sts == STS_ENFORCE_OTHER ? STS_ENFORCE :
	    sts == STS_TESTING_OTHER ? STS_TESTING : sts;
}

/* Can a TLSA record of the first host be of any interest? */
static bool has_candidate(enum world_address address)
{
	return address == ADDRESS_SECURE || address == ADDRESS_ALIAS_SECURE ||
	    address == ADDRESS_ALIAS_OUT || address == ADDRESS_ONLY_A ||
	    address == ADDRESS_ONLY_AAAA || address == ADDRESS_A_SECURE ||
	    address == ADDRESS_AAAA_SECURE || address == ADDRESS_AAAA_ERROR ||
	    address == ADDRESS_A_ERROR;
}

/* There must not be any interest in TLSA records here (DANE-47). */
static bool is_insecure(enum world_address address)
{
	return address == ADDRESS_INSECURE ||
	    address == ADDRESS_ALIAS_INSECURE ||
	    address == ADDRESS_A_INSECURE_ERROR ||
	    address == ADDRESS_AAAA_INSECURE_ERROR;
}

static bool dns_is_canonical(const struct world *world)
{
	const uint8_t *at = world->at;
	enum world_sts sts = at[AT_STS];

	if (at[AT_STS_CACHED] != 0 && (sts == STS_NONE ||
	    sts >= STS_UNKNOWN_EARLY))
		return false;
	if (at[AT_SECOND] != 0 && !world_is_mx(world))
		return false;
	if (at[AT_HOP] == HOP_LITERAL && sts != STS_NONE)
		return false;
	if ((!world_has_hosts(world) || at[AT_HOP] == HOP_LITERAL) &&
	    (at[AT_ADDRESS] != 0 || at[AT_TLSA] != 0))
		return false;
	if (at[AT_TLSA] != 0 && !has_candidate(at[AT_ADDRESS]) &&
	    !(is_insecure(at[AT_ADDRESS]) && (at[AT_TLSA] == TLSA_EE ||
	    at[AT_TLSA] == TLSA_ERROR)))
		return false;
	return at[AT_OTHER_TLSA] == 0 ||
	    at[AT_ADDRESS] == ADDRESS_ALIAS_SECURE;
}

bool world_is_canonical(const struct world *world)
{
	const uint8_t *at = world->at;

	if (!dns_is_canonical(world))
		return false;
	if (at[AT_IMPLICIT] != 0 && at[AT_HOP] != HOP_ROUTE &&
	    at[AT_HOP] != HOP_ROUTE_MX)
		return false;
	if (at[AT_STRICT_NAMES] != 0 && at[AT_WISH] != WISH_REQUIRETLS &&
	    at[AT_WISH] != WISH_REQUIRETLS_BOUNCE)
		return false;
	return at[AT_NAMES] == 0 || at[AT_LEVEL] == LEVEL_VERIFY ||
	    at[AT_LEVEL] == LEVEL_SECURE;
}

/* Dimensions depend on those before them only. */
void world_make_canonical(struct world *world)
{
	struct world one;

	memset(&one, 0, sizeof(one));
	one.at[AT_LEVEL] = world->at[AT_LEVEL];
	one.at[AT_WISH] = world->at[AT_WISH];
	for (int i = 0; i < DIMENSIONS; i++) {
		one.at[i] = world->at[i];
		if (!world_is_canonical(&one))
			one.at[i] = 0;
	}
	*world = one;
}

static void make_destination(const struct world *world,
    struct conf_destination *destination)
{
	static char everything[] = "*";
	const uint8_t *at = world->at;

	destination->pattern = everything;
	destination->level = at[AT_LEVEL];
	destination->insecure_mx = insecure_mx_values[at[AT_INSECURE_MX]];
	destination->sts_with_dane = at[AT_STS_WITH_DANE] != 0 ?
	    STS_WITH_DANE_BOTH : STS_WITH_DANE_DANE;
	destination->memory = memory_values[at[AT_MEMORY]];
	destination->no_starttls = fallback_values[at[AT_FALLBACK]].no_starttls;
	destination->no_starttls_after =
	    fallback_values[at[AT_FALLBACK]].no_starttls_after;
	destination->broken_tls = fallback_values[at[AT_FALLBACK]].broken_tls;
	destination->broken_tls_after =
	    fallback_values[at[AT_FALLBACK]].broken_tls_after;
	if (at[AT_NAMES] != 0) {
		destination->names.items = (char **)(uintptr_t)world_names;
		destination->names.count = 2;
	}
	if (at[AT_LEVEL] == LEVEL_FINGERPRINT) {
		static uint8_t prints[2][DIGEST_BYTES] = { { 1 }, { 2 } };

		destination->fingerprints = prints;
		destination->fingerprint_count = 2;
	}
}

static void make_decisions(const struct world *world,
    struct world_question *question)
{
	const uint8_t *at = world->at;

	if (at[AT_EXCEPTION] != WORLD_EXCEPTION_NO) {
		question->exception.id = 41;
		question->exception.level = exception_levels[at[AT_EXCEPTION]];
		snprintf(question->exception.pattern,
		    sizeof(question->exception.pattern), "%s", world_domain);
		snprintf(question->exception.reason,
		    sizeof(question->exception.reason), "ticket 7");
		question->facts.exception = &question->exception;
	}
	if (at[AT_PIN] != WORLD_PIN_NONE) {
		snprintf(question->pin.domain, sizeof(question->pin.domain),
		    "%s", world_domain);
		question->pin.level = (enum pin_level)(at[AT_PIN] - 1);
		if (at[AT_PIN] == WORLD_PIN_FINGERPRINT) {
			question->pin.fingerprints[0][0] = 9;
			question->pin.fingerprint_count = 1;
		}
		question->facts.pin = &question->pin;
	}
}

void world_ask(const struct world *world, struct world_question *question)
{
	const uint8_t *at = world->at;
	struct plan_facts *facts = &question->facts;
	enum world_hop hop = at[AT_HOP];

	memset(question, 0, sizeof(*question));
	question->next.transport = TRANSPORT_SMTP;
	snprintf(question->next.host, sizeof(question->next.host), "%s",
	    world_next_hop(world));
	question->next.port = hop == HOP_ROUTE ? 2525 : 25;
	question->next.implicit_tls = at[AT_IMPLICIT] != 0;
	question->next.mx = hop != HOP_LITERAL && hop != HOP_ROUTE;
	make_destination(world, &question->destination);
	make_decisions(world, question);
	facts->next = &question->next;
	facts->domain = hop == HOP_LITERAL ? world_next_hop(world) :
	    world_domain;
	facts->destination = &question->destination;
	facts->ipv4 = facts->ipv6 = true;
	facts->own_name = "us.example.info";
	facts->shuffle_seed = 1;
	facts->waited = at[AT_STS] == STS_UNKNOWN_LATE ? 7200 : 60;
	facts->sts_discovery_wait = 3600;
	facts->wish = at[AT_WISH];
	facts->message_level = (int)at[AT_MESSAGE_LEVEL] - 1;
	facts->requiretls_names = at[AT_STRICT_NAMES] != 0;
}

static int find_host(const struct world *world, const char *name)
{
	for (unsigned i = 0; i < world_host_count(world); i++)
		if (strcasecmp(name, world_host_name(world, i)) == 0)
			return (int)i;
	return -1;
}

static bool answer_mx(const struct world *world, const char *name,
    struct fact *fact)
{
	enum world_hop hop = world->at[AT_HOP];

	if (strcasecmp(name, world_next_hop(world)) != 0 ||
	    hop == HOP_LITERAL || hop == HOP_ROUTE)
		return false;
	fact->result = hop_values[hop].result;
	fact->secure = hop_values[hop].secure;
	snprintf(fact->alias, sizeof(fact->alias), "%s", hop_values[hop].alias);
	if (fact->result == FACT_DATA) {
		fact->mx = world_is_mx(world) ? mx_records : null_mx;
		fact->count = world_is_mx(world) ? world_host_count(world) : 1;
	}
	return true;
}

static bool answer_address(const struct world *world, const char *name,
    bool six, struct fact *fact)
{
	static struct endpoint four[2], sixes[2];
	int host = find_host(world, name);
	const struct told *told;

	if (host < 0)
		return false;
	if (four[0].length == 0) {
		endpoint_parse(&four[0], "192.0.2.10", 0);
		endpoint_parse(&four[1], "192.0.2.20", 0);
		endpoint_parse(&sixes[0], "2001:db8::10", 0);
		endpoint_parse(&sixes[1], "2001:db8::20", 0);
	}
	told = six ? &address_values[world_address(world, (unsigned)host)].aaaa
	    : &address_values[world_address(world, (unsigned)host)].a;
	fact->result = told->result;
	fact->secure = told->secure;
	if (told->aliased)
		snprintf(fact->alias, sizeof(fact->alias), "%s", world_alias);
	if (told->result == FACT_DATA) {
		fact->addresses = six ? &sixes[host] : &four[host];
		fact->count = 1;
	}
	return true;
}

static bool answer_cname(const struct world *world, const char *name,
    struct fact *fact)
{
	int host = find_host(world, name);
	enum world_address address;

	if (host < 0)
		return false;
	address = world_address(world, (unsigned)host);
	fact->result = address_values[address].cname;
	fact->secure = address_values[address].cname_secure;
	if (fact->result == FACT_DATA) {
		snprintf(fact->alias, sizeof(fact->alias), "%s", world_alias);
		fact->count = 1;
	}
	return true;
}

static bool answer_tlsa(const struct world *world, const char *name,
    struct fact *fact)
{
	const char *prefix = world->at[AT_HOP] == HOP_ROUTE ? "_2525._tcp." :
	    "_25._tcp.";
	enum world_tlsa tlsa;
	bool at_alias;
	int host;

	if (strncasecmp(name, prefix, strlen(prefix)) != 0)
		return false;
	name += strlen(prefix);
	at_alias = strcasecmp(name, world_alias) == 0;
	host = at_alias ? 0 : find_host(world, name);
	if (host < 0)
		return false;
	tlsa = world_tlsa(world, (unsigned)host, !at_alias &&
	    world_address(world, (unsigned)host) == ADDRESS_ALIAS_SECURE);
	fact->result = tlsa_values[tlsa].result;
	fact->secure = tlsa_values[tlsa].secure;
	fact->tlsa = tlsa_values[tlsa].records;
	fact->count = tlsa_values[tlsa].count;
	return true;
}

static bool answer_sts(const struct world *world, const char *name,
    bool cached_only, struct fact *fact)
{
	static char one[] = "mx1.example.net", two[] = "mx2.example.net";
	static char domain[] = "example.org", relay[] = "relay.example.net";
	static char other[] = "*.elsewhere.example";
	static char *listed[] = { one, two, domain, relay };
	static char *unlisted[] = { two, other };
	static struct fact_sts sts;
	enum world_sts state = world->at[AT_STS];

	if (strcasecmp(name, world_next_hop(world)) != 0)
		return false;
	fact->result = FACT_NODATA;
	if (state >= STS_UNKNOWN_EARLY && !cached_only)
		fact->result = FACT_ERROR;
	if (state == STS_NONE || state >= STS_UNKNOWN_EARLY ||
	    (cached_only && world->at[AT_STS_CACHED] == 0))
		return true;
	memset(&sts, 0, sizeof(sts));
	sts.cached = world->at[AT_STS_CACHED] != 0;
	sts.policy.mode = state == STS_OFF ? STS_MODE_NONE :
	    state >= STS_TESTING ? STS_MODE_TESTING : STS_MODE_ENFORCE;
	sts.policy.max_age = 604800;
	snprintf(sts.id, sizeof(sts.id), "20261122");
	if (state == STS_ENFORCE_OTHER || state == STS_TESTING_OTHER) {
		sts.policy.mx = unlisted;
		sts.policy.mx_count = COUNT(unlisted);
	} else {
		sts.policy.mx = listed;
		sts.policy.mx_count = COUNT(listed);
	}
	fact->result = FACT_DATA;
	fact->sts = &sts;
	fact->count = 1;
	return true;
}

static bool answer_memory(const struct world *world, const char *name,
    bool of_host, struct fact *fact)
{
	static const struct fact_memory nothing;
	unsigned facts = world->at[AT_MEMORY_FACTS];
	int host = find_host(world, name);

	if (of_host ? host < 0 : strcasecmp(name, world_next_hop(world)) != 0)
		return false;
	fact->result = FACT_NODATA;
	if (host > 0)
		facts = MEMORY_NOTHING;
	fact->memory = of_host ? &memory_of_host[facts] :
	    &memory_of_domain[facts];
	if (memcmp(fact->memory, &nothing, sizeof(nothing)) != 0) {
		fact->result = FACT_DATA;
		fact->count = 1;
	} else {
		fact->memory = NULL;
	}
	return true;
}

bool world_answer(const struct world *world, const struct plan_query *query,
    struct fact *fact)
{
	static const uint32_t lives[QUERY_TYPES] = { [QUERY_MX] = 3600,
	    [QUERY_A] = 1800, [QUERY_AAAA] = 1700, [QUERY_CNAME] = 1600,
	    [QUERY_TLSA] = 300, [QUERY_STS] = 900, [QUERY_STS_CACHED] = 800,
	    [QUERY_MEMORY] = 700, [QUERY_MEMORY_HOST] = 600 };
	const char *name = query->name;

	memset(fact, 0, sizeof(*fact));
	fact->query = *query;
	fact->ttl = lives[query->type];
	switch (query->type) {
	case QUERY_MX: return answer_mx(world, name, fact);
	case QUERY_A: return answer_address(world, name, false, fact);
	case QUERY_AAAA: return answer_address(world, name, true, fact);
	case QUERY_CNAME: return answer_cname(world, name, fact);
	case QUERY_TLSA: return answer_tlsa(world, name, fact);
	case QUERY_STS: return answer_sts(world, name, false, fact);
	case QUERY_STS_CACHED: return answer_sts(world, name, true, fact);
	case QUERY_MEMORY: return answer_memory(world, name, false, fact);
	case QUERY_MEMORY_HOST: return answer_memory(world, name, true, fact);
	default: return false;
	}
}
