/* SPDX-License-Identifier: ISC */
/*
 * The stages of a plan, in the order the standards give. Each looks only at
 * facts; the first fact that is missing is the next query.
 *
 *	literal --> done            the next hop is an address
 *	   |
 *	  mx --> done               no such domain, null MX, DNS error
 *	   |
 *	addresses --> done          nobody can be reached
 *	   |
 *	requirement --> done        what each host must show
 *
 * An error is never taken for an empty answer: a host whose addresses cannot
 * be looked up is left out, and if nobody is left because of that the message
 * waits (RFC 5321 5.1).
 */
#include "policy/plan.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/address.h"
#include "base/arena.h"
#include "base/digest.h"

enum step { STEP_NEXT, STEP_NEED, STEP_DONE };

/* One run over the facts; lives on the stack of plan_step(). */
struct planner {
	const struct plan_facts	*facts;
	struct arena		*arena;
	struct plan_query	*query;
	struct plan		*plan;
	/* what stopped hosts from being used: the first is what is told */
	const struct fact	*error;
	bool			 met_self;
	bool			 met_unusable;
};

/* --- facts --- */

static const struct fact *find_fact(const struct planner *planner,
    enum query_type type, const char *name)
{
	const struct fact *fact;
	size_t i;

	for (i = 0; i < planner->facts->fact_count; i++) {
		fact = &planner->facts->facts[i];
		if (fact->query.type == type &&
		    strcasecmp(fact->query.name, name) == 0 &&
		    fact->result != FACT_UNKNOWN)
			return fact;
	}
	return NULL;
}

/* The fact, or null after noting it as what is needed next. */
static const struct fact *want(struct planner *planner, enum query_type type,
    const char *name)
{
	const struct fact *fact = find_fact(planner, type, name);

	if (fact != NULL) {
		if (fact->ttl < planner->plan->ttl)
			planner->plan->ttl = fact->ttl;
		return fact;
	}
	planner->query->type = type;
	snprintf(planner->query->name, sizeof(planner->query->name), "%s",
	    name);
	return NULL;
}

static bool is_error(const struct fact *fact)
{
	return fact->result == FACT_ERROR || fact->result == FACT_BOGUS;
}

/* --- ends without a host --- */

static enum step end_error(struct planner *planner, const struct fact *fact)
{
	bool bogus = fact->result == FACT_BOGUS;

	status_print(&planner->plan->status, STATUS_DEFERRED,
	    bogus ? REASON_DNS_BOGUS : REASON_DNS, "4.4.3",
	    "looking up %s %s: %s%s%s", query_type_name(fact->query.type),
	    fact->query.name, bogus ? "DNSSEC validation failed" :
	    "the name servers did not answer properly",
	    fact->reason[0] == '\0' ? "" : ": ", fact->reason);
	return STEP_DONE;
}

static enum step end_failed(struct planner *planner,
    enum status_reason reason, const char *enhanced, const char *text)
{
	status_print(&planner->plan->status, STATUS_FAILED, reason, enhanced,
	    "%s: %s", planner->facts->domain, text);
	return STEP_DONE;
}

/* --- hosts --- */

static struct plan_host *add_host(struct planner *planner, const char *name,
    uint16_t preference)
{
	struct plan *plan = planner->plan;
	struct plan_host *host;

	if (plan->host_count == PLAN_HOSTS_MAX)
		return NULL;
	host = &plan->hosts[plan->host_count++];
	snprintf(host->name, sizeof(host->name), "%s", name);
	host->preference = preference;
	return host;
}

static const char *looked_up_name(const struct planner *planner)
{
	const struct conf_next_hop *next = planner->facts->next;

	return next->host[0] != '\0' ? next->host : planner->facts->domain;
}

static bool parse_literal(const char *name, uint16_t port,
    struct endpoint *endpoint)
{
	if (domain_is_literal(name))
		return endpoint_parse_literal(endpoint, name, port) == 0;
	return endpoint_parse(endpoint, name, port) == 0;
}

/* The recipient's own domain is a stranger's word; a route is not. */
static bool written_by_administrator(const struct planner *planner)
{
	const struct conf_next_hop *next = planner->facts->next;

	return next->host[0] != '\0' &&
	    strcasecmp(next->host, planner->facts->domain) != 0;
}

/* A next hop that is an address needs no lookup (SMTP-173). Only one that the
 * administrator wrote may be loopback without the laboratory's permission. */
static enum step stage_literal(struct planner *planner)
{
	const struct plan_facts *facts = planner->facts;
	const char *name = looked_up_name(planner);
	struct endpoint endpoint;
	struct plan_host *host;

	if (!parse_literal(name, facts->next->port, &endpoint))
		return STEP_NEXT;
	if (endpoint_is_unusable(&endpoint) ||
	    (endpoint_is_loopback(&endpoint) && !facts->allow_loopback &&
	    !written_by_administrator(planner)))
		return end_failed(planner, REASON_NO_HOST, "5.4.4",
		    "the address cannot be a mail host");
	host = add_host(planner, name, 0);
	host->addresses = arena_dup(planner->arena, &endpoint,
	    sizeof(endpoint));
	host->address_count = 1;
	return STEP_NEXT;
}

/* --- MX --- */

/* A small generator seeded by the caller: the plan stays a function of its
 * facts, and equal preferences are still spread (RFC 5321 5.1). */
static uint32_t next_random(uint32_t *state)
{
	*state = *state * 1664525u + 1013904223u;
	return *state >> 8;
}

static void swap_mx(struct fact_mx *one, struct fact_mx *other)
{
	struct fact_mx kept = *one;

	*one = *other;
	*other = kept;
}

/* Shuffles all, then sorts by preference without disturbing equals. */
static void order_mx(struct fact_mx *mx, size_t count, uint32_t seed)
{
	size_t i, j;

	for (i = count; i > 1; i--)
		swap_mx(&mx[i - 1], &mx[next_random(&seed) % i]);
	for (i = 1; i < count; i++)
		for (j = i; j > 0 && mx[j].preference < mx[j - 1].preference;
		    j--)
			swap_mx(&mx[j], &mx[j - 1]);
}

/* Drops hosts from the first one at least as bad as preference (SMTP-171). */
static void drop_from(struct planner *planner, uint16_t preference)
{
	struct plan *plan = planner->plan;
	size_t i, kept = 0;

	for (i = 0; i < plan->host_count; i++)
		if (plan->hosts[i].preference < preference)
			plan->hosts[kept++] = plan->hosts[i];
	plan->host_count = kept;
	planner->met_self = true;
}

static void add_mx(struct planner *planner, const struct fact *fact)
{
	const struct plan_facts *facts = planner->facts;
	struct fact_mx *mx = arena_dup(planner->arena, fact->mx,
	    fact->count * sizeof(*mx));
	size_t i;

	order_mx(mx, fact->count, facts->shuffle_seed);
	for (i = 0; i < fact->count; i++)
		if (mx[i].host[0] != '\0')	/* "." beside others: ignored */
			add_host(planner, mx[i].host, mx[i].preference);
	for (i = 0; i < fact->count; i++)
		if (facts->own_name != NULL && facts->next->port == 25 &&
		    strcasecmp(mx[i].host, facts->own_name) == 0) {
			drop_from(planner, mx[i].preference);
			break;
		}
}

static enum step stage_mx(struct planner *planner)
{
	const char *name = looked_up_name(planner);
	const struct fact *fact;

	if (planner->plan->host_count > 0)	/* a literal */
		return STEP_NEXT;
	if (!planner->facts->next->mx) {
		add_host(planner, name, 0);
		return STEP_NEXT;
	}
	fact = want(planner, QUERY_MX, name);
	if (fact == NULL)
		return STEP_NEED;
	switch (fact->result) {
	case FACT_BOGUS:
	case FACT_ERROR:
		return end_error(planner, fact);
	case FACT_NXDOMAIN:
		return end_failed(planner, REASON_NO_HOST, "5.1.2",
		    "the domain does not exist");
	case FACT_NODATA:
		add_host(planner, name, 0);	/* implicit MX */
		return STEP_NEXT;
	case FACT_DATA:
		break;
	default:
		return end_error(planner, fact);
	}
	if (fact->count == 1 && fact->mx[0].host[0] == '\0')
		return end_failed(planner, REASON_NULL_MX, "5.1.10",
		    "the domain accepts no mail (null MX, RFC 7505)");
	add_mx(planner, fact);
	return STEP_NEXT;
}

/* --- addresses --- */

static bool is_own(const struct planner *planner,
    const struct endpoint *endpoint)
{
	const struct plan_facts *facts = planner->facts;
	size_t i;

	for (i = 0; i < facts->own_address_count; i++)
		if (endpoint_same_host(endpoint, &facts->own_addresses[i]))
			return true;
	return false;
}

/* Only mail for port 25 found by MX can come back to us in a circle. */
static bool can_loop(const struct planner *planner)
{
	return planner->facts->next->port == 25 && planner->facts->next->mx;
}

static void take_addresses(struct planner *planner, struct plan_host *host,
    const struct fact *fact)
{
	const struct plan_facts *facts = planner->facts;
	struct endpoint *endpoint;
	size_t i;

	for (i = 0; i < fact->count &&
	    host->address_count < PLAN_ADDRESSES_MAX; i++) {
		endpoint = &host->addresses[host->address_count];
		*endpoint = fact->addresses[i];
		if (endpoint->address.any.sa_family == AF_INET6)
			endpoint->address.v6.sin6_port =
			    htons(facts->next->port);
		else
			endpoint->address.v4.sin_port =
			    htons(facts->next->port);
		if (endpoint_is_unusable(endpoint) ||
		    (endpoint_is_loopback(endpoint) && !facts->allow_loopback))
			planner->met_unusable = true;
		else
			host->address_count++;
	}
}

/* IPv6 first (RFC 6724); the other family is the second try. */
static enum step find_addresses(struct planner *planner, struct plan_host *host)
{
	static const enum query_type types[] = { QUERY_AAAA, QUERY_A };
	const struct plan_facts *facts = planner->facts;
	const struct fact *fact;
	size_t i;

	host->addresses = arena_alloc_array(planner->arena, PLAN_ADDRESSES_MAX,
	    sizeof(*host->addresses));
	host->address_count = 0;
	for (i = 0; i < 2; i++) {
		if (types[i] == QUERY_AAAA ? !facts->ipv6 : !facts->ipv4)
			continue;
		fact = want(planner, types[i], host->name);
		if (fact == NULL)
			return STEP_NEED;
		if (is_error(fact) && planner->error == NULL)
			planner->error = fact;
		if (fact->result == FACT_DATA)
			take_addresses(planner, host, fact);
	}
	return STEP_NEXT;
}

/* The hosts are in order of preference, so the first one that is us is the one
 * that counts. */
static void drop_self(struct planner *planner)
{
	struct plan *plan = planner->plan;
	size_t i, j;

	for (i = 0; i < plan->host_count; i++)
		for (j = 0; j < plan->hosts[i].address_count; j++)
			if (is_own(planner, &plan->hosts[i].addresses[j])) {
				drop_from(planner, plan->hosts[i].preference);
				return;
			}
}

static void keep_reachable(struct planner *planner)
{
	struct plan *plan = planner->plan;
	size_t i, kept = 0;

	if (can_loop(planner))
		drop_self(planner);
	for (i = 0; i < plan->host_count; i++)
		if (plan->hosts[i].address_count > 0)
			plan->hosts[kept++] = plan->hosts[i];
	plan->host_count = kept;
}

static enum step stage_addresses(struct planner *planner)
{
	struct plan *plan = planner->plan;
	size_t i;

	for (i = 0; i < plan->host_count; i++)
		if (plan->hosts[i].address_count == 0 &&
		    find_addresses(planner, &plan->hosts[i]) == STEP_NEED)
			return STEP_NEED;
	keep_reachable(planner);
	if (plan->host_count > 0)
		return STEP_NEXT;
	if (planner->error != NULL)
		return end_error(planner, planner->error);
	if (planner->met_self)
		return end_failed(planner, REASON_LOOP, "5.4.6", "mail for it "
		    "comes back to this server: it is best mail exchanger for "
		    "a domain that it does not know as its own");
	return end_failed(planner, REASON_NO_HOST, "5.4.4",
	    planner->met_unusable ? "its mail hosts have no address that "
	    "mail can be sent to" : "its mail hosts have no address");
}

/* --- requirement --- */

static enum requirement requirement_of(enum conf_level level)
{
	switch (level) {
	case LEVEL_NONE: return REQUIRE_CLEAR;
	case LEVEL_MAY: return REQUIRE_OPPORTUNISTIC;
	case LEVEL_ENCRYPT: return REQUIRE_ENCRYPTED;
	case LEVEL_VERIFY:
	case LEVEL_SECURE: return REQUIRE_NAME;
	case LEVEL_FINGERPRINT: return REQUIRE_FINGERPRINT;
	default: return REQUIRE_FINGERPRINT;	/* nothing matches: safe */
	}
}

static void add_name(struct plan_host *host, struct arena *arena,
    const char *format, const char *name)
{
	if (host->name_count < PLAN_NAMES_MAX)
		host->names[host->name_count++] = arena_print(arena, format,
		    name);
}

/* A next hop that is an address is met by that address in the certificate, in
 * the form the certificate check knows (RFC 9525 6.4). */
static void add_address_name(struct plan_host *host, struct arena *arena)
{
	char text[ENDPOINT_TEXT_MAX];

	endpoint_format(&host->addresses[0], text, sizeof(text));
	add_name(host, arena, "%s", text);
}

/*
 * The names a certificate may show. Configured ones decide alone; otherwise
 * `verify` believes the host name that DNS gave, and `secure` only what the
 * administrator or the recipient's address said (RFC 9525 6.1.1): the
 * configured host, or the recipient's domain and one label below it.
 */
static void set_names(struct planner *planner, struct plan_host *host)
{
	const struct conf_destination *destination =
	    planner->facts->destination;
	const struct conf_next_hop *next = planner->facts->next;
	struct endpoint literal;
	size_t i;

	host->names = arena_alloc_array(planner->arena, PLAN_NAMES_MAX,
	    sizeof(*host->names));
	for (i = 0; i < destination->names.count; i++)
		add_name(host, planner->arena, "%s",
		    destination->names.items[i]);
	if (host->name_count > 0)
		return;
	if (parse_literal(host->name, 0, &literal)) {
		add_address_name(host, planner->arena);
		return;
	}
	if (destination->level == LEVEL_VERIFY) {
		add_name(host, planner->arena, "%s", host->name);
		return;
	}
	add_name(host, planner->arena, "%s", looked_up_name(planner));
	if (next->mx)
		add_name(host, planner->arena, ".%s",
		    looked_up_name(planner));
}

static void digest_text(struct digest *digest, const char *text)
{
	digest_add(digest, text, strlen(text) + 1);
}

/* Everything that decides TLS, and nothing that does not. */
static void set_key(struct plan *plan)
{
	struct digest *digest = digest_new();
	const struct plan_host *host;
	uint32_t numbers[2] = { (uint32_t)plan->host_count,
	    (uint32_t)plan->fingerprint_count };
	size_t i, j;

	digest_add(digest, numbers, sizeof(numbers));
	for (i = 0; i < plan->host_count; i++) {
		host = &plan->hosts[i];
		numbers[0] = host->requirement;
		numbers[1] = (uint32_t)host->name_count;
		digest_add(digest, numbers, sizeof(numbers));
		digest_text(digest, host->name);
		for (j = 0; j < host->name_count; j++)
			digest_text(digest, host->names[j]);
	}
	numbers[0] = plan->no_starttls;
	numbers[1] = plan->broken_tls;
	digest_add(digest, numbers, sizeof(numbers));
	if (plan->fingerprint_count > 0)
		digest_add(digest, plan->fingerprints,
		    plan->fingerprint_count * DIGEST_BYTES);
	digest_end(digest, plan->key);
}

static void copy_destination(struct planner *planner)
{
	const struct conf_destination *destination =
	    planner->facts->destination;
	struct plan *plan = planner->plan;

	plan->no_starttls = destination->no_starttls;
	plan->no_starttls_after = destination->no_starttls_after;
	plan->broken_tls = destination->broken_tls;
	plan->broken_tls_after = destination->broken_tls_after;
	plan->fingerprint_count = destination->fingerprint_count;
	if (plan->fingerprint_count > PLAN_FINGERPRINTS_MAX)
		plan->fingerprint_count = PLAN_FINGERPRINTS_MAX;
	if (plan->fingerprint_count > 0)
		plan->fingerprints = arena_dup(planner->arena,
		    destination->fingerprints,
		    plan->fingerprint_count * DIGEST_BYTES);
}

static enum step stage_requirement(struct planner *planner)
{
	const struct conf_destination *destination =
	    planner->facts->destination;
	struct plan_host *host;
	size_t i;

	for (i = 0; i < planner->plan->host_count; i++) {
		host = &planner->plan->hosts[i];
		host->requirement = requirement_of(destination->level);
		if (host->requirement == REQUIRE_NAME)
			set_names(planner, host);
		snprintf(host->reason, sizeof(host->reason),
		    "destination %.100s: level %s", destination->pattern,
		    conf_level_name(destination->level));
	}
	copy_destination(planner);
	set_key(planner->plan);
	return STEP_DONE;
}

enum plan_answer plan_step(const struct plan_facts *facts,
    struct arena *arena, struct plan_query *query, struct plan *plan)
{
	static enum step (*const stages[])(struct planner *planner) = {
		stage_literal, stage_mx, stage_addresses, stage_requirement,
	};
	struct planner planner = { .facts = facts, .arena = arena,
	    .query = query, .plan = plan };
	enum step step = STEP_NEXT;
	size_t i;

	memset(plan, 0, sizeof(*plan));
	plan->ttl = UINT32_MAX;
	plan->hosts = arena_alloc_array(arena, PLAN_HOSTS_MAX,
	    sizeof(*plan->hosts));
	for (i = 0; step == STEP_NEXT; i++)
		step = stages[i](&planner);
	return step == STEP_NEED ? PLAN_NEED : PLAN_DONE;
}

const char *requirement_name(enum requirement requirement)
{
	static const char *const names[REQUIREMENTS] = {
		[REQUIRE_CLEAR] = "clear",
		[REQUIRE_OPPORTUNISTIC] = "opportunistic",
		[REQUIRE_ENCRYPTED] = "encrypted",
		[REQUIRE_NAME] = "name",
		[REQUIRE_FINGERPRINT] = "fingerprint",
	};

	return requirement < REQUIREMENTS ? names[requirement] : "unknown";
}

const char *query_type_name(enum query_type type)
{
	static const char *const names[QUERY_TYPES] = { [QUERY_MX] = "MX",
	    [QUERY_A] = "A", [QUERY_AAAA] = "AAAA" };

	return type < QUERY_TYPES ? names[type] : "?";
}
