/* SPDX-License-Identifier: ISC */
/*
 * The TLSA records of one host (RFC 7672 2.2): whether DANE can apply to it,
 * the names under which its records may stand, and what they are good for.
 *
 *	addresses secure, no alias        the host name
 *	addresses secure through an alias the end of the chain, then the name
 *	addresses insecure, alias secure  the host name
 *	addresses insecure                none: TLSA is not asked for
 *
 * The first name that has secure records decides, also when none of them is
 * usable. Any lookup that fails takes the host out: there is no second place
 * to look, and no connection.
 */
#include "policy/plan_private.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/arena.h"
#include "base/broken.h"

enum {
	NAME_TEXT_MAX = 253,	/* 255 octets with its ends: RFC 1035 2.3.4 */
	RECORD_NOTES_MAX = 8	/* of one host */
};

/* TLSA base domains to try, in this order. */
struct candidates {
	const char	*names[2];
	size_t		 count;
};

/* Does the way in which the host was named allow DANE (RFC 7672 2.2.1)? */
static bool path_allows(struct planner *planner, const char *host)
{
	switch (planner->path) {
	case PATH_NAME:
	case PATH_MX:
		return true;
	case PATH_MX_INSECURE:
		/* Our own choice, and nothing the domain asks for: not where
		 * it would not bind. */
		if (planner_is_advisory(planner))
			return false;
		if (planner->facts->destination->insecure_mx !=
		    INSECURE_MX_MAY)
			return true;
		planner_note(planner, host, CLAUSE_DANE_MX, "MX records that "
		    "are not signed name it: TLSA is not asked for "
		    "(insecure-mx = may)");
		return false;
	case PATH_NAME_UNPROVEN:
		planner_note(planner, host, "RFC 7672 2.2.2", "nothing proves "
		    "that it has no MX records: DANE does not apply");
		return false;
	default:
		return false;
	}
}

/*
 * Security of the addresses is only the hint whether asking for TLSA is worth
 * while and safe (RFC 7672 2.2.2), so one secure family is enough (DANE-53).
 * A family whose lookup failed says nothing: both have one owner name, so when
 * the other is insecure, the zone or the alias is, and that was proven.
 */
static const struct fact *find_address_fact(const struct planner *planner,
    const char *host)
{
	static const enum query_type types[] = { QUERY_AAAA, QUERY_A };
	const struct plan_facts *facts = planner->facts;
	const struct fact *fact, *best = NULL;
	size_t i;

	for (i = 0; i < 2; i++) {
		if (types[i] == QUERY_AAAA ? !facts->ipv6 : !facts->ipv4)
			continue;
		fact = planner_find(planner, types[i], host);
		if (fact == NULL || fact_is_error(fact))
			continue;
		if (best == NULL || (fact->secure && !best->secure) ||
		    (fact->secure == best->secure &&
		    fact->result == FACT_DATA && best->result != FACT_DATA))
			best = fact;
	}
	return best;
}

/* The error takes the host out; where DANE decides nothing, it changes
 * nothing. */
static void pass_error(struct planner *planner, struct prospect *prospect,
    const struct fact *fact)
{
	prospect->dane_unknown = true;
	if (planner_is_advisory(planner)) {
		planner_note(planner, prospect->host.name,
		    planner->overridden ? "destination" : CLAUSE_OPTIONAL,
		    "looking up %s failed, which is passed over: TLSA records "
		    "do not bind here", fact->query.name);
		return;
	}
	prospect_skip_lookup(planner, prospect, fact);
}

/* RFC 7672 2.2.2: is the alias itself, the first in the chain, secure? */
static enum step ask_alias(struct planner *planner, struct prospect *prospect,
    struct candidates *candidates)
{
	const char *host = prospect->host.name;
	const struct fact *fact;

	fact = planner_want(planner, QUERY_CNAME, host);
	if (fact == NULL)
		return STEP_NEED;
	if (fact_is_error(fact)) {
		pass_error(planner, prospect, fact);
		return STEP_NEXT;
	}
	if (fact->result == FACT_DATA && fact->secure)
		candidates->names[candidates->count++] = host;
	planner_note(planner, host, "RFC 7672 2.2.2", "it is an alias into a "
	    "zone that is not signed; the alias itself is %s",
	    candidates->count > 0 ? "secure: its records may stand here only" :
	    "not secure: DANE does not apply");
	return STEP_NEXT;
}

static enum step find_candidates(struct planner *planner,
    struct prospect *prospect, struct candidates *candidates)
{
	const char *host = prospect->host.name;
	const struct fact *fact = find_address_fact(planner, host);
	bool alias = fact != NULL && fact->alias[0] != '\0' &&
	    strcasecmp(fact->alias, host) != 0;

	if (fact != NULL && (fact->secure || broken("unsigned-records"))) {
		if (alias)
			candidates->names[candidates->count++] = fact->alias;
		candidates->names[candidates->count++] = host;
		planner_note(planner, host, "RFC 7672 2.2.2",
		    "its addresses are secure%s%s", alias ?
		    ", through an alias to " : "", fact->alias);
		return STEP_NEXT;
	}
	if (alias && planner->heed != HEED_GLANCE)
		return ask_alias(planner, prospect, candidates);
	planner_note(planner, host, "RFC 7672 2.2.2", "its addresses are not "
	    "secure: TLSA is not asked for");
	return STEP_NEXT;
}

static void note_record(struct planner *planner, const char *base,
    const struct dane_record *record, const char *why)
{
	char text[DANE_TEXT_MAX];

	dane_format(record, text, sizeof(text));
	planner_note(planner, base, "RFC 7672 3.1", "%s: %s", text,
	    why[0] == '\0' ? "usable" : why);
}

/* Keeps the usable ones. All of them: which digest counts is for the match to
 * decide, after the unusable are gone (RFC 7671 9). */
static size_t sort_out(struct planner *planner, struct prospect *prospect,
    const struct fact *fact)
{
	const struct dane_record *record;
	size_t i, bytes = 0;
	char why[128];

	prospect->usable = arena_alloc_array(planner->arena, fact->count,
	    sizeof(*prospect->usable));
	for (i = 0; i < fact->count; i++) {
		record = &fact->tlsa[i];
		why[0] = '\0';
		if (dane_is_usable(record, why, sizeof(why))) {
			prospect->usable[prospect->usable_count++] = *record;
			bytes += record->length;
		}
		if (i < RECORD_NOTES_MAX)
			note_record(planner, prospect->base, record, why);
	}
	return bytes;
}

/* A part of a set is never used: the rest might be what matches, or what
 * RFC 7671 9 lets count alone. */
static bool fits(const struct planner *planner, const struct fact *fact)
{
	size_t i, bytes = planner->tlsa_bytes;

	if (fact->count > PLAN_TLSA_MAX)
		return false;
	for (i = 0; i < fact->count && bytes <= PLAN_TLSA_BYTES_MAX; i++)
		bytes += fact->tlsa[i].length;
	return bytes <= PLAN_TLSA_BYTES_MAX;
}

/* A secure set that is not empty: it obliges, whatever is in it. */
static void take_records(struct planner *planner, struct prospect *prospect,
    const char *base, const struct fact *fact)
{
	static const struct skip too_many = { CLAUSE_DANE, REASON_POLICY,
	    RESULT_TLSA_INVALID };
	struct plan_host *host = &prospect->host;

	snprintf(prospect->base, sizeof(prospect->base), "%s", base);
	snprintf(host->tlsa_domain, sizeof(host->tlsa_domain), "%s", base);
	host->tlsa_digest = planner_digest_records(planner, fact);
	prospect->dane = DANE_RECORDS;
	if (!fits(planner, fact)) {
		if (!planner_is_advisory(planner))
			prospect_skip(planner, prospect, &too_many, "the TLSA "
			    "records %.200s are too many, %zu of them",
			    fact->query.name, fact->count);
		return;
	}
	planner->tlsa_bytes += sort_out(planner, prospect, fact);
	planner_note(planner, prospect->host.name, "RFC 7672 2.2.3", "%s: "
	    "secure; usable records: %zu of %zu", fact->query.name,
	    prospect->usable_count, fact->count);
	if (prospect->usable_count > 0 &&
	    (planner->path != PATH_MX_INSECURE ||
	    planner->facts->destination->insecure_mx == INSECURE_MX_DANE))
		prospect->dane = DANE_USABLE;
}

/* RFC 7672 2.2.3: the port of the connection (DANE-56). False when the name is
 * too long. */
static bool tlsa_name(const struct planner *planner, const char *base,
    char *out, size_t size)
{
	int length = snprintf(out, size, "_%u._tcp.%s",
	    planner->facts->next->port, base);

	return length > 0 && length <= NAME_TEXT_MAX;
}

/* There can be no such name (DANE-65), unless it is its escapes ("\\001", see
 * dns.h) that make it long: that one may have records, and cannot be asked. */
static void pass_long_name(struct planner *planner,
    struct prospect *prospect, const char *name)
{
	static const struct skip too_long = { "RFC 7672 2.2.3", REASON_POLICY,
	    RESULT_DNSSEC_INVALID };
	bool escaped = strchr(name, '\\') != NULL;

	prospect->dane_unknown |= escaped;
	if (escaped && !planner_is_advisory(planner))
		prospect_skip(planner, prospect, &too_long, "the name "
		    "of its TLSA records is too long to be asked for");
	else
		planner_note(planner, prospect->host.name, "RFC 7672 2.2.3",
		    "the name of its TLSA records would be too long to exist");
}

static enum step try_candidates(struct planner *planner,
    struct prospect *prospect, const struct candidates *candidates)
{
	const struct fact *fact;
	char name[512];
	size_t i;

	for (i = 0; i < candidates->count; i++) {
		if (!tlsa_name(planner, candidates->names[i], name,
		    sizeof(name))) {
			pass_long_name(planner, prospect, name);
			if (prospect->host.skip)
				return STEP_NEXT;
			continue;
		}
		fact = planner_want(planner, QUERY_TLSA, name);
		if (fact == NULL)
			return STEP_NEED;
		if (fact_is_error(fact) && !broken("lookup-errors")) {
			pass_error(planner, prospect, fact);
			return STEP_NEXT;
		}
		if (fact->result == FACT_DATA && fact->count > 0 &&
		    (fact->secure || broken("unsigned-records"))) {
			take_records(planner, prospect, candidates->names[i],
			    fact);
			return STEP_NEXT;
		}
		planner_note(planner, prospect->host.name, "RFC 7672 2.2.3",
		    "%s: %s", name, fact->result == FACT_DATA && fact->count >
		    0 ? "not signed, so it does not count" : "no records");
	}
	return STEP_NEXT;
}

/* RFC 8461 2. Records of a host that unsigned MX records name prove the host,
 * not that it is the domain's. */
bool planner_dane_decides(const struct planner *planner,
    const struct prospect *prospect)
{
	return prospect->dane == DANE_USABLE && !broken("sts-over-dane") &&
	    planner->path != PATH_MX_INSECURE &&
	    planner->facts->destination->sts_with_dane == STS_WITH_DANE_DANE;
}

enum step plan_find_dane(struct planner *planner, struct prospect *prospect)
{
	struct candidates candidates = { .count = 0 };
	struct endpoint address;

	if (planner->heed == HEED_NOTHING)
		return STEP_NEXT;
	if (planner->path == PATH_ADDRESS ||
	    !path_allows(planner, prospect->host.name))
		return STEP_NEXT;
	if (planner_parse_address(prospect->host.name, 0, &address)) {
		planner_note(planner, prospect->host.name, CLAUSE_DANE,
		    "its name is an address: DANE does not apply");
		return STEP_NEXT;
	}
	if (find_candidates(planner, prospect, &candidates) == STEP_NEED)
		return STEP_NEED;
	return try_candidates(planner, prospect, &candidates);
}
