/* SPDX-License-Identifier: ISC */
/*
 * From a plan to the facts of its world. What a question brings follows from
 * the zone and from what is wrong with the question; along aliases the weakest
 * link counts (RFC 7672 2.1.3).
 */
#include "tools/lab/compose_private.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"

/* Parts that nobody can say anything certain of together. */
enum { FOUND_UNCLEAR = -1 };

/* --- names --- */

static const char *const zone_names[PLAN_ZONES] = {
	[ZONE_DOMAIN] = "example.net", [ZONE_PROVIDER] = "provider.example" };

static char *in_capitals(struct plan *plan, const char *text)
{
	char *copy = arena_dup_string(plan->arena, text);

	for (char *at = copy; *at != '\0'; at++)
		*at = (char)toupper((unsigned char)*at);
	return copy;
}

/* Null: there is no such name. */
static const char *word_for(struct plan *plan, const struct host_plan *host,
    char letter)
{
	switch (letter) {
	case 'h': return host->name;
	case 't': return host->target;
	case 'u': return in_capitals(plan, host->name);
	default: return zone_names[host->zone];
	}
}

/* "%h", "%t", "%u", "%p" in one of the texts; see compose_host.c. Null: it
 * names what is not there. */
static char *expand(struct plan *plan, const struct host_plan *host,
    const char *text)
{
	const char *mark = strchr(text, '%'), *word;

	if (mark == NULL)
		return arena_dup_string(plan->arena, text);
	word = word_for(plan, host, mark[1]);
	return word == NULL ? NULL : arena_print(plan->arena, "%.*s%s%s",
	    (int)(mark - text), text, word, mark + 2);
}

static void expand_texts(struct plan *plan, const struct host_plan *host,
    struct lab_texts *texts)
{
	struct lab_texts before = *texts;

	*texts = (struct lab_texts){ NULL, 0 };
	for (size_t i = 0; i < before.count; i++) {
		char *text = expand(plan, host, before.items[i]);

		if (text != NULL)
			texts_add(plan, texts, "%s", text);
	}
}

static void expand_certificate(struct plan *plan, const struct host_plan *host,
    struct lab_certificate *certificate)
{
	expand_texts(plan, host, &certificate->names);
	certificate->common_name = expand(plan, host,
	    certificate->common_name);
}

void plan_name(struct plan *plan)
{
	for (size_t i = 0; i < plan->host_count; i++) {
		struct host_plan *host = &plan->hosts[i];

		host->name = plan->mx == MX_IMPLICIT ?
		    zone_names[ZONE_DOMAIN] : arena_print(plan->arena,
		    "mx%zu.%s", i + 1, zone_names[host->zone]);
		host->target = host->target_zone == -1 ? NULL :
		    arena_print(plan->arena, "in%zu.%s", i + 1,
		    zone_names[host->target_zone]);
		host->host.name = arena_dup_string(plan->arena, host->name);
		expand_certificate(plan, host, host->good);
		expand_certificate(plan, host, host->certificate);
		expand_certificate(plan, host, host->other);
	}
	expand_texts(plan, &plan->hosts[0], &plan->sts.patterns);
}

/* --- what is found --- */

static enum lab_found zone_found(const struct zone_plan *zone)
{
	switch (zone->signing) {
	case LAB_UNSIGNED:
	case LAB_UNKNOWN_ALGORITHM:
	case LAB_UNKNOWN_DIGEST:
		return LAB_FOUND_INSECURE;	/* RFC 4035 5.2 */
	case LAB_SIGNED:
		return zone->validity == LAB_VALID ? LAB_FOUND_SECURE :
		    LAB_FOUND_BOGUS;
	default:
		return LAB_FOUND_BOGUS;
	}
}

static int forged_absence(enum lab_found zone)
{
	return zone == LAB_FOUND_SECURE ? LAB_FOUND_BOGUS : LAB_FOUND_NONE;
}

/*
 * Of a set of records that is there, or is not. Where there is none, a resolver
 * that asks for as little as it can (RFC 9156) may learn the truth above the
 * name, and the question that would be spoilt is never asked.
 */
static int find(const struct plan *plan, int zone_index, enum trouble trouble,
    bool there)
{
	enum lab_found zone = zone_found(&plan->zones[zone_index]);

	if (zone == LAB_FOUND_BOGUS)
		return LAB_FOUND_BOGUS;
	if (!there && trouble >= TROUBLE_SERVFAIL)
		return FOUND_UNCLEAR;
	switch (trouble) {
	case TROUBLE_NONE:
	case TROUBLE_TCP_ONLY:
		return there ? (int)zone : LAB_FOUND_NONE;
	case TROUBLE_EXPIRED:
	case TROUBLE_FUTURE:
	case TROUBLE_UNSIGNED:
	case TROUBLE_TAMPERED:
		if (!there)
			return LAB_FOUND_NONE;
		if (zone == LAB_FOUND_SECURE)
			return LAB_FOUND_BOGUS;
		/* Nobody would notice other data. */
		return trouble == TROUBLE_TAMPERED ? FOUND_UNCLEAR :
		    (int)zone;
	case TROUBLE_NXDOMAIN:
	case TROUBLE_NODATA:
	case TROUBLE_OTHER_PROOF:
		return forged_absence(zone);
	case TROUBLE_EMPTY:
		return zone == LAB_FOUND_SECURE ? LAB_FOUND_BOGUS :
		    FOUND_UNCLEAR;
	case TROUBLE_LATE:	/* nobody says how long is long enough */
	case TROUBLE_SHAKY:
		return zone == LAB_FOUND_SECURE ? LAB_FOUND_SHAKY :
		    FOUND_UNCLEAR;
	default:
		return LAB_FOUND_ERROR;
	}
}

static bool is_failure(int found)
{
	return found == LAB_FOUND_BOGUS || found == LAB_FOUND_ERROR;
}

/* An alias, and what is at its end. */
static int follow(int alias, int end)
{
	if (alias == FOUND_UNCLEAR || end == FOUND_UNCLEAR)
		return FOUND_UNCLEAR;
	if (is_failure(alias) || alias == LAB_FOUND_NONE)
		return alias;
	if (is_failure(end) || end == LAB_FOUND_NONE)
		return end;
	if (alias == LAB_FOUND_INSECURE || end == LAB_FOUND_INSECURE)
		return alias == LAB_FOUND_SHAKY || end == LAB_FOUND_SHAKY ?
		    FOUND_UNCLEAR : LAB_FOUND_INSECURE;
	return alias == LAB_FOUND_SHAKY || end == LAB_FOUND_SHAKY ?
	    LAB_FOUND_SHAKY : LAB_FOUND_SECURE;
}

static int find_address(const struct plan *plan, const struct host_plan *host)
{
	if (host->target_zone == -1)
		return find(plan, host->zone, host->address_trouble, true);
	if (host->target_zone == host->zone)
		return follow(find(plan, host->zone, host->address_trouble,
		    true), find(plan, host->zone, TROUBLE_NONE, true));
	return follow(find(plan, host->zone, TROUBLE_NONE, true),
	    find(plan, host->target_zone, host->address_trouble, true));
}

/* What is spoilt is the question for one type; but an alias answers all types,
 * and may be learned by another question for its name (RFC 9156, too). */
static int find_alias(const struct plan *plan, int zone, enum trouble trouble)
{
	if (trouble >= TROUBLE_SERVFAIL && trouble != TROUBLE_TCP_ONLY)
		return FOUND_UNCLEAR;
	return find(plan, zone, trouble, true);
}

/* RFC 5155 9.2: where opt-out covers the name that the wildcard stands in for,
 * nothing proves that there is no unsigned zone of that name. */
static int find_wildcard(const struct plan *plan, int zone,
    enum trouble trouble)
{
	int found = find(plan, zone, trouble, true);

	return found == LAB_FOUND_SECURE &&
	    plan->zones[zone].denial == LAB_NSEC3_OPT_OUT ?
	    LAB_FOUND_INSECURE : found;
}

static int find_tlsa(const struct plan *plan, const struct tlsa_plan *tlsa,
    int zone)
{
	switch (tlsa->count == 0 ? TLSA_DIRECT : tlsa->way) {
	case TLSA_WILDCARD:
		return find_wildcard(plan, zone, tlsa->trouble);
	case TLSA_ALIAS_SAME:
		return follow(find_alias(plan, zone, tlsa->trouble),
		    find(plan, zone, TROUBLE_NONE, true));
	case TLSA_ALIAS_OTHER:
		return follow(find(plan, zone, TROUBLE_NONE, true),
		    find(plan, ZONE_PROVIDER, tlsa->trouble, true));
	case TLSA_ALIAS_DANGLING:
		return follow(find_alias(plan, zone, tlsa->trouble),
		    find(plan, zone, TROUBLE_NONE, false));
	default:
		return find(plan, zone, tlsa->trouble, tlsa->count > 0);
	}
}

static int set_tlsa(struct lab_tlsa_facts *facts, const struct plan *plan,
    const struct tlsa_plan *tlsa, int zone)
{
	int found = find_tlsa(plan, tlsa, zone);

	if (found == FOUND_UNCLEAR)
		return -1;
	facts->found = (enum lab_found)found;
	facts->count = tlsa->count;
	memcpy(facts->records, tlsa->records, sizeof(facts->records));
	return 0;
}

/* The domain itself is always there, so its question is always asked. */
static int find_mx(const struct plan *plan)
{
	bool there = plan->mx != MX_IMPLICIT;
	int found = find(plan, ZONE_DOMAIN, plan->mx_trouble, there ||
	    plan->mx_trouble >= TROUBLE_SERVFAIL);

	if (there || is_failure(found) || found == FOUND_UNCLEAR)
		return found;
	return found == LAB_FOUND_SHAKY ? FOUND_UNCLEAR : LAB_FOUND_NONE;
}

/* --- the facts --- */

static void set_certificates(struct lab_host_facts *facts,
    const struct host_plan *host)
{
	facts->certificate = host->certificate;
	if (!host->has_sni)
		return;
	facts->certificate = host->other;
	facts->sni_name = host->target_tlsa.count > 0 &&
	    host->target != NULL ? host->target : host->name;
	facts->sni_certificate = host->certificate;
	facts->demands_name = host->host.unknown_name == LAB_NAME_ALERT;
}

static int set_host(struct lab_host_facts *facts, const struct plan *plan,
    const struct host_plan *host)
{
	int address = find_address(plan, host);

	if (address == FOUND_UNCLEAR)
		return -1;
	*facts = (struct lab_host_facts){ .name = host->name,
	    .target = host->target, .address = (enum lab_found)address,
	    .alias_secure = host->target != NULL &&
	    zone_found(&plan->zones[host->zone]) == LAB_FOUND_SECURE,
	    .wire = host->wire, .wire_once = host->once,
	    .taking = host->taking };
	set_certificates(facts, host);
	if (set_tlsa(&facts->tlsa, plan, &host->tlsa, host->zone) == -1)
		return -1;
	return host->target == NULL ? 0 : set_tlsa(&facts->target_tlsa, plan,
	    &host->target_tlsa, host->target_zone);
}

static void add_all_names(struct plan *plan, struct lab_texts *patterns)
{
	for (size_t i = 0; i < plan->host_count; i++)
		texts_add(plan, patterns, "%s", plan->hosts[i].name);
}

static int find_record(const struct plan *plan)
{
	const struct sts_plan *sts = &plan->sts;
	bool there = sts->texts[0] != NULL;

	return sts->alias ? follow(find(plan, ZONE_DOMAIN, TROUBLE_NONE,
	    true), find(plan, ZONE_PROVIDER, sts->trouble, there)) :
	    find(plan, ZONE_DOMAIN, sts->trouble, there);
}

static int set_sts(struct lab_sts_facts *facts, struct plan *plan)
{
	struct sts_plan *sts = &plan->sts;
	int record = find_record(plan);

	if (!sts->there)
		return 0;
	if (record == FOUND_UNCLEAR || record == LAB_FOUND_SHAKY)
		return -1;
	if (sts->patterns.count == 0)
		add_all_names(plan, &sts->patterns);
	facts->record = is_failure(record) ? LAB_RECORD_ERROR :
	    record == LAB_FOUND_NONE ? LAB_RECORD_NONE : sts->record;
	facts->fetch = sts->fetch;
	facts->policy.mode = sts->mode;
	facts->policy.patterns = sts->patterns;
	facts->cached = sts->cached;
	facts->same_id = sts->same_id;
	facts->before.mode = sts->mode_before;
	add_all_names(plan, &facts->before.patterns);
	return 0;
}

/* The same domain with nothing wrong. */
static void set_good(struct plan *plan)
{
	struct lab_facts *facts = &plan->good_facts;

	*facts = (struct lab_facts){ .domain = plan->facts.domain,
	    .mx = plan->mx == MX_IMPLICIT ? LAB_FOUND_NONE :
	    LAB_FOUND_SECURE, .host_count = plan->host_count,
	    .level = plan->level };
	for (size_t i = 0; i < plan->host_count; i++) {
		struct lab_host_facts *host = &facts->hosts[i];

		host->name = plan->hosts[i].name;
		host->address = LAB_FOUND_SECURE;
		host->certificate = plan->hosts[i].good;
		if (plan->level != LAB_LEVEL_DANE_ONLY)
			continue;
		host->tlsa = (struct lab_tlsa_facts){ LAB_FOUND_SECURE,
		    { { .usage = 3, .selector = 1, .matching = 1,
		    .of = plan->hosts[i].good } }, 1 };
	}
	if (!plan->sts.there)
		return;
	facts->sts.record = LAB_RECORD_VALID;
	facts->sts.fetch = LAB_FETCH_WORKS;
	facts->sts.policy = plan->facts.sts.before;
}

int plan_find_facts(struct plan *plan)
{
	struct lab_facts *facts = &plan->facts;
	int mx = find_mx(plan);

	/* Forged away where nothing is signed: whose domain is it then? */
	if (mx == FOUND_UNCLEAR || (mx == LAB_FOUND_NONE &&
	    plan->mx != MX_IMPLICIT))
		return -1;
	/* Refused or not, it has no host. */
	if (mx == LAB_FOUND_NONE && plan->mx_trouble == TROUBLE_NXDOMAIN)
		return -1;
	facts->domain = zone_names[ZONE_DOMAIN];
	facts->mx = (enum lab_found)mx;
	facts->null_mx = plan->mx == MX_NULL;
	facts->level = plan->level;
	facts->host_count = plan->host_count;
	for (size_t i = 0; i < plan->host_count; i++)
		if (set_host(&facts->hosts[i], plan, &plan->hosts[i]) == -1)
			return -1;
	if (set_sts(&facts->sts, plan) == -1)
		return -1;
	set_good(plan);
	return 0;
}
