/* SPDX-License-Identifier: ISC */
/*
 * Which hosts, in which order (RFC 5321 5.1, RFC 7505): the stages literal, MX
 * and addresses. The list is walked as it stands, whatever policies say about
 * its hosts, so that loops are seen (RFC 8461 8.4).
 */
#include "policy/plan_private.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/arena.h"

static struct prospect *add_host(struct planner *planner, const char *name,
    uint16_t preference)
{
	struct prospect *prospect;

	if (planner->prospect_count == PLAN_HOSTS_MAX)
		return NULL;
	prospect = &planner->prospects[planner->prospect_count++];
	snprintf(prospect->host.name, sizeof(prospect->host.name), "%s", name);
	prospect->host.preference = preference;
	return prospect;
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
enum step plan_stage_literal(struct planner *planner)
{
	const struct plan_facts *facts = planner->facts;
	struct endpoint endpoint;
	struct prospect *prospect;

	if (!planner_parse_address(planner->name, facts->next->port,
	    &endpoint))
		return STEP_NEXT;
	planner->path = PATH_ADDRESS;
	if (endpoint_is_unusable(&endpoint) ||
	    (endpoint_is_loopback(&endpoint) && !facts->allow_loopback &&
	    !written_by_administrator(planner)))
		return planner_end_failed(planner, REASON_NO_HOST, "5.4.4",
		    "the address cannot be a mail host");
	prospect = add_host(planner, planner->name, 0);
	prospect->host.addresses = arena_dup(planner->arena, &endpoint,
	    sizeof(endpoint));
	prospect->host.address_count = 1;
	planner_note(planner, planner->name, CLAUSE_DANE, "the next hop is an "
	    "address: neither DANE nor MTA-STS applies (RFC 8461 3.4)");
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

/* Shuffles all, then sorts by preference without disturbing equals. Nothing
 * else changes the order: DANE-30. */
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
	size_t i, kept = 0;

	for (i = 0; i < planner->prospect_count; i++)
		if (planner->prospects[i].host.preference < preference)
			planner->prospects[kept++] = planner->prospects[i];
	planner->prospect_count = kept;
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

/* RFC 7672 2.2.1: only a secure answer, with every alias before it, makes the
 * names in it a path from the domain to its hosts. Without MX records, the
 * proof that there are none does the same for the domain itself. */
static void set_path(struct planner *planner, const struct fact *fact)
{
	bool mx = fact->result == FACT_DATA;

	if (mx)
		planner->path = fact->secure ? PATH_MX : PATH_MX_INSECURE;
	else
		planner->path = fact->secure ? PATH_NAME : PATH_NAME_UNPROVEN;
	planner->expanded = fact->alias;
	if (mx)
		planner_note(planner, planner->name, CLAUSE_DANE_MX, "its MX "
		    "records are %s%s%s", fact->secure ? "secure" :
		    "not signed", fact->alias[0] == '\0' ? "" :
		    ", found through an alias at ", fact->alias);
	else
		planner_note(planner, planner->name, "RFC 7672 2.2.2", "it has "
		    "no MX records, which is %s: it is its own mail host",
		    fact->secure ? "proven" : "not proven");
}

/* RFC 7672 2.2.1, 6: mandatory DANE needs names that are authentic. */
static enum step defer_unsigned(struct planner *planner)
{
	planner->prospect_count = 0;
	return planner_end_deferred(planner, CLAUSE_DANE_MX, "level dane-only "
	    "needs signed MX records, and these are not");
}

static enum step use_mx(struct planner *planner, const struct fact *fact)
{
	if (fact->result == FACT_DATA && fact->count == 1 &&
	    fact->mx[0].host[0] == '\0')
		return planner_end_failed(planner, REASON_NULL_MX, "5.1.10",
		    "the domain accepts no mail (null MX, RFC 7505)");
	set_path(planner, fact);
	if (fact->result == FACT_DATA)
		add_mx(planner, fact);
	else
		add_host(planner, planner->name, 0);	/* implicit MX */
	/* Also when they lead back to us: DANE-34 knows no other end. */
	if (planner->level == LEVEL_DANE_ONLY && !fact->secure)
		return defer_unsigned(planner);
	return STEP_NEXT;
}

enum step plan_stage_mx(struct planner *planner)
{
	const struct fact *fact;

	if (planner->path == PATH_ADDRESS)
		return STEP_NEXT;
	if (!planner->facts->next->mx) {
		/* "a-priori" secure: RFC 7672 2.2.2 */
		planner->path = PATH_NAME;
		add_host(planner, planner->name, 0);
		return STEP_NEXT;
	}
	fact = planner_want(planner, QUERY_MX, planner->name);
	if (fact == NULL)
		return STEP_NEED;
	switch (fact->result) {
	case FACT_NXDOMAIN:
		return planner_end_failed(planner, REASON_NO_HOST, "5.1.2",
		    "the domain does not exist");
	case FACT_NODATA:
	case FACT_DATA:
		return use_mx(planner, fact);
	default:
		return planner_end_error(planner, fact);
	}
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

/* An alias out of a zone that may be signed into one that is not: the records
 * of the alias may bind (DANE-50), and anybody may have made the addresses. */
static bool is_unsigned_end(const struct planner *planner,
    const struct fact *fact)
{
	return fact->alias[0] != '\0' && !fact->secure &&
	    !planner->overridden && planner->heed != HEED_NOTHING &&
	    (planner->path == PATH_MX || planner->path == PATH_NAME);
}

/*
 * IPv6 first (RFC 6724), unless prefer-family says otherwise; the other family
 * is the second try. One family that
 * cannot be looked up is no loss while the other has an address; with none,
 * the host is unreachable because of the error.
 */
static enum step find_addresses(struct planner *planner,
    struct prospect *prospect)
{
	const struct plan_facts *facts = planner->facts;
	const bool four = facts->prefer == FAMILY_IPV4;
	const enum query_type types[] = { four ? QUERY_A : QUERY_AAAA,
	    four ? QUERY_AAAA : QUERY_A };
	struct plan_host *host = &prospect->host;
	const struct fact *fact, *error = NULL;
	size_t i;

	host->addresses = arena_alloc_array(planner->arena, PLAN_ADDRESSES_MAX,
	    sizeof(*host->addresses));
	host->address_count = 0;
	for (i = 0; i < 2; i++) {
		if (types[i] == QUERY_AAAA ? !facts->ipv6 : !facts->ipv4)
			continue;
		fact = planner_want(planner, types[i], host->name);
		if (fact == NULL)
			return STEP_NEED;
		if (fact_is_error(fact))
			error = error == NULL ? fact : error;
		else if (is_unsigned_end(planner, fact))
			planner->met_unsigned = true;
		if (fact->result == FACT_DATA)
			take_addresses(planner, host, fact);
	}
	if (planner->error == NULL)
		planner->error = error;
	if (host->address_count == 0 && error != NULL)
		prospect_skip_lookup(planner, prospect, error);
	return STEP_NEXT;
}

/* The hosts are in order of preference, so the first one that is us is the one
 * that counts. */
static void drop_self(struct planner *planner)
{
	const struct plan_host *host;
	size_t i, j;

	for (i = 0; i < planner->prospect_count; i++) {
		host = &planner->prospects[i].host;
		for (j = 0; j < host->address_count; j++)
			if (is_own(planner, &host->addresses[j])) {
				drop_from(planner, host->preference);
				return;
			}
	}
}

/* Hosts without an address are forgotten; those with an error are kept, to be
 * skipped and told. */
static void keep_reachable(struct planner *planner)
{
	struct prospect *prospect;
	size_t i, kept = 0;

	if (can_loop(planner))
		drop_self(planner);
	for (i = 0; i < planner->prospect_count; i++) {
		prospect = &planner->prospects[i];
		if (prospect->host.address_count > 0 || prospect->host.skip)
			planner->prospects[kept++] = *prospect;
		else
			planner_note(planner, prospect->host.name,
			    "RFC 5321 5.1", "it has no address: left out");
	}
	planner->prospect_count = kept;
}

/* Nobody is left. Of what a forger can say none is a reason to give mail back
 * that TLSA records protect. */
static enum step end_without_hosts(struct planner *planner)
{
	if (planner->error != NULL)
		return planner_end_error(planner, planner->error);
	if (planner->met_unsigned)
		return planner_end_deferred(planner, "RFC 7672 2.2.2", "its "
		    "mail hosts are aliases, and that there is nobody to send "
		    "to where they lead is not signed");
	if (planner->met_self)
		return planner_end_failed(planner, REASON_LOOP, "5.4.6",
		    "mail for it comes back to this server: it is best mail "
		    "exchanger for a domain that it does not know as its own");
	return planner_end_failed(planner, REASON_NO_HOST, "5.4.4",
	    planner->met_unusable ? "its mail hosts have no address that "
	    "mail can be sent to" : "its mail hosts have no address");
}

/* The hosts one by one, so that when time runs out the best ones are known
 * completely. */
enum step plan_stage_hosts(struct planner *planner)
{
	struct prospect *prospect;
	size_t i;

	for (i = 0; i < planner->prospect_count; i++) {
		prospect = &planner->prospects[i];
		if (planner->path != PATH_ADDRESS &&
		    find_addresses(planner, prospect) == STEP_NEED)
			return STEP_NEED;
		if (prospect->host.address_count > 0 &&
		    plan_find_dane(planner, prospect) == STEP_NEED)
			return STEP_NEED;
	}
	keep_reachable(planner);
	return planner->prospect_count > 0 ? STEP_NEXT :
	    end_without_hosts(planner);
}
