/* SPDX-License-Identifier: ISC */
/*
 * Parts: zones that are not secure, questions that fail, aliases, and what
 * TLSA records there are.
 */
#include "tools/lab/compose_private.h"

#include "base/arena.h"
#include "base/log.h"

/* The host's own zone, its alias', or the domain's. */
static struct zone_plan *draw_zone(struct plan *plan, struct host_plan *host)
{
	if (host->target_zone != -1 && plan_chance(plan, 40))
		return &plan->zones[host->target_zone];
	return &plan->zones[plan_chance(plan, 60) ? host->zone :
	    ZONE_DOMAIN];
}

static void apply_signing(struct plan *plan, struct host_plan *host, int which)
{
	draw_zone(plan, host)->signing = (enum lab_signing)which;
}

static void apply_validity(struct plan *plan, struct host_plan *host,
    int which)
{
	draw_zone(plan, host)->validity = (enum lab_validity)which;
}

static void apply_denial(struct plan *plan, struct host_plan *host, int which)
{
	struct zone_plan *zone = draw_zone(plan, host);

	zone->denial = (enum lab_denial)which;
	zone->iterations = plan_below(plan, 3) * 5;
}

static void apply_trouble(struct plan *plan, struct host_plan *host,
    int which)
{
	enum trouble trouble = (enum trouble)which;
	unsigned what = plan_below(plan, 100);

	if (what < 15) {
		plan->mx_trouble = trouble;
	} else if (what < 30) {
		host->address_trouble = trouble;
	} else if (what < 55 && plan->sts.there) {
		plan->sts.trouble = trouble;
	} else if (host->target_zone != -1 && host->target_tlsa.count > 0) {
		host->target_tlsa.trouble = trouble;
	} else {
		plan_dane(plan, host);
		host->tlsa.trouble = trouble;
	}
}

static void apply_mx(struct plan *plan, struct host_plan *host, int which)
{
	(void)host;
	plan->mx = which == MX_NULL ? MX_NULL : MX_IMPLICIT;
	if (which == MX_NULL)
		return;
	plan->host_count = 1;
	plan->hosts[0].zone = ZONE_DOMAIN;
	plan->hosts[0].target_zone = -1;
}

enum { ALIAS_SAME, ALIAS_OTHER, ALIAS_INTO_UNSIGNED, ALIAS_OUT_OF_UNSIGNED };

static void apply_alias(struct plan *plan, struct host_plan *host, int which)
{
	bool at_target = plan_chance(plan, 65);

	if (plan->mx == MX_IMPLICIT)
		return;
	host->zone = which == ALIAS_SAME ? host->zone : ZONE_DOMAIN;
	host->target_zone = which == ALIAS_SAME ? host->zone : ZONE_PROVIDER;
	if (which == ALIAS_INTO_UNSIGNED)
		plan->zones[ZONE_PROVIDER].signing = LAB_UNSIGNED;
	if (which == ALIAS_OUT_OF_UNSIGNED)
		plan->zones[ZONE_DOMAIN].signing = LAB_UNSIGNED;
	if (host->tlsa.count == 0 && plan_chance(plan, 80))
		plan_dane(plan, host);
	if (at_target)
		host->target_tlsa = host->tlsa;
	if (at_target && plan_chance(plan, 60))
		host->tlsa.count = 0;
	/* Both, and of different keys. */
	for (size_t i = 0; at_target && i < host->tlsa.count; i++)
		host->tlsa.records[i].of = host->other;
}

static void apply_tlsa_way(struct plan *plan, struct host_plan *host,
    int which)
{
	plan_dane(plan, host);
	host->tlsa.way = (enum tlsa_way)which;
}

#define DNS(word, function, number) { "dns " word, function, number, 0 }

static const struct part dns_table[] = {
	DNS("unsigned", apply_signing, LAB_UNSIGNED),
	DNS("wrong-ds", apply_signing, LAB_WRONG_DS),
	DNS("stripped", apply_signing, LAB_STRIPPED),
	DNS("unknown-algorithm", apply_signing, LAB_UNKNOWN_ALGORITHM),
	DNS("unknown-digest", apply_signing, LAB_UNKNOWN_DIGEST),
	DNS("no-keys", apply_signing, LAB_NO_KEYS),
	DNS("expired", apply_validity, LAB_EXPIRED),
	DNS("future", apply_validity, LAB_FUTURE),
	{ "dns nsec3", apply_denial, LAB_NSEC3, 2 },
	DNS("expired-set", apply_trouble, TROUBLE_EXPIRED),
	DNS("future-set", apply_trouble, TROUBLE_FUTURE),
	DNS("unsigned-set", apply_trouble, TROUBLE_UNSIGNED),
	DNS("tampered-set", apply_trouble, TROUBLE_TAMPERED),
	DNS("servfail", apply_trouble, TROUBLE_SERVFAIL),
	DNS("refused", apply_trouble, TROUBLE_REFUSED),
	DNS("formerr", apply_trouble, TROUBLE_FORMERR),
	DNS("notimp", apply_trouble, TROUBLE_NOTIMP),
	DNS("nxdomain", apply_trouble, TROUBLE_NXDOMAIN),
	DNS("nodata", apply_trouble, TROUBLE_NODATA),
	DNS("silence", apply_trouble, TROUBLE_SILENCE),
	DNS("truncated", apply_trouble, TROUBLE_TRUNCATED),
	DNS("tcp-only", apply_trouble, TROUBLE_TCP_ONLY),
	DNS("late", apply_trouble, TROUBLE_LATE),
	DNS("empty", apply_trouble, TROUBLE_EMPTY),
	DNS("other-proof", apply_trouble, TROUBLE_OTHER_PROOF),
	DNS("garbage", apply_trouble, TROUBLE_GARBAGE),
	DNS("shaky", apply_trouble, TROUBLE_SHAKY),
	DNS("null-mx", apply_mx, MX_NULL),
	DNS("no-mx", apply_mx, MX_IMPLICIT),
	DNS("alias", apply_alias, ALIAS_SAME),
	DNS("alias to provider", apply_alias, ALIAS_OTHER),
	DNS("alias into unsigned", apply_alias, ALIAS_INTO_UNSIGNED),
	DNS("alias out of unsigned", apply_alias, ALIAS_OUT_OF_UNSIGNED),
	DNS("tlsa wildcard", apply_tlsa_way, TLSA_WILDCARD),
	DNS("tlsa alias", apply_tlsa_way, TLSA_ALIAS_SAME),
	DNS("tlsa alias to provider", apply_tlsa_way, TLSA_ALIAS_OTHER),
	DNS("tlsa alias dangling", apply_tlsa_way, TLSA_ALIAS_DANGLING),
};

const struct part_list dns_parts = { dns_table,
    sizeof(dns_table) / sizeof(dns_table[0]) };

/* --- TLSA --- */

static void add_record(struct host_plan *host, int usage, int selector,
    int matching, const struct lab_certificate *of)
{
	if (host->tlsa.count < LAB_FACT_RECORDS)
		host->tlsa.records[host->tlsa.count++] =
		    (struct lab_tlsa_fact){ .usage = usage,
		    .selector = selector, .matching = matching, .of = of };
}

static struct lab_tlsa_fact *last_record(struct host_plan *host)
{
	return &host->tlsa.records[host->tlsa.count - 1];
}

/* Data that is not what its numbers say, or numbers that nobody knows. */
static void add_raw(struct plan *plan, struct host_plan *host,
    const struct lab_tlsa_fact *record, unsigned bytes)
{
	struct lab_texts hex = { NULL, 0 };
	char data[2 * 64 + 1] = "";

	for (unsigned i = 0; i < bytes && i < 64; i++) {
		data[2 * i] = "0123456789abcdef"[plan_below(plan, 16)];
		data[2 * i + 1] = "0123456789abcdef"[plan_below(plan, 16)];
		data[2 * i + 2] = '\0';
	}
	texts_add(plan, &hex, "\\# %u %02x%02x%02x%s", bytes + 3,
	    (unsigned)record->usage, (unsigned)record->selector,
	    (unsigned)record->matching, data);
	add_record(host, record->usage, record->selector, record->matching,
	    host->certificate);
	last_record(host)->malformed = record->malformed;
	host->tlsa.raw[host->tlsa.count - 1] = hex.items[0];
}

static void add_good_leaf(struct plan *plan, struct host_plan *host)
{
	add_record(host, 3, (int)plan_below(plan, 2),
	    (int)plan_below(plan, 3), host->certificate);
}

/* The root, which only private ones show. */
static void add_good_root(struct plan *plan, struct host_plan *host)
{
	host->certificate->issuer = LAB_ISSUER_PRIVATE;
	add_record(host, 2, (int)plan_below(plan, 2),
	    (int)plan_below(plan, 3), host->certificate);
	last_record(host)->part = LAB_TLSA_ROOT;
}

static void add_good_issuer(struct plan *plan, struct host_plan *host)
{
	host->certificate->issuer = plan_chance(plan, 50) ?
	    LAB_ISSUER_CA : LAB_ISSUER_PRIVATE;
	host->certificate->intermediates = 1 + plan_below(plan, 2);
	add_record(host, 2, (int)plan_below(plan, 2),
	    (int)plan_below(plan, 3), host->certificate);
	last_record(host)->part = LAB_TLSA_ISSUER;
}

/* The public root in the DNS, which hosts do not show. */
static void add_public_root(struct plan *plan, struct host_plan *host)
{
	host->certificate->issuer = LAB_ISSUER_CA;
	add_record(host, 2, (int)plan_below(plan, 2),
	    (int)plan_below(plan, 3), host->certificate);
	last_record(host)->part = LAB_TLSA_ROOT;
}

void plan_dane(struct plan *plan, struct host_plan *host)
{
	unsigned what = plan_below(plan, 100);

	if (host->tlsa.count > 0)
		return;
	if (what < 55)
		add_good_leaf(plan, host);
	else if (what < 80)
		add_good_root(plan, host);
	else
		add_good_issuer(plan, host);
}

enum tlsa_form { FORM_LEAF, FORM_ROOT, FORM_ISSUER, FORM_PUBLIC_ROOT,
    FORM_OTHER_LEAF, FORM_OTHER_ROOT, FORM_LEAF_OF_ROOT, FORM_ROOT_OF_LEAF,
    FORM_ROLLOVER, FORM_EITHER_USAGE, FORM_DIGESTS, FORM_DIGESTS_APART,
    FORM_DIGESTS_FULL, FORM_DIGESTS_BROKEN, FORM_DIGESTS_ROOT, FORM_PKIX,
    FORM_PKIX_AND_WRONG, FORM_USAGE, FORM_SELECTOR, FORM_MATCHING,
    FORM_LENGTH, FORM_EMPTY, FORM_TINY, FORM_NOT_DER,
    FORM_UNUSABLE_AND_GOOD, FORM_UNUSABLE_AND_WRONG, FORM_NONE };

static void add_unusable(struct plan *plan, struct host_plan *host, int form)
{
	struct lab_tlsa_fact record = { .usage = 3, .selector = 1,
	    .matching = 1 };
	unsigned bytes = 32;

	switch (form) {
	case FORM_USAGE:
		record.usage = 4 + (int)plan_below(plan, 252);
		break;
	case FORM_SELECTOR:
		record.selector = 2 + (int)plan_below(plan, 254);
		break;
	case FORM_MATCHING:
		record.matching = 3 + (int)plan_below(plan, 253);
		break;
	case FORM_LENGTH:
		record.matching = 1 + (int)plan_below(plan, 2);
		bytes = record.matching == 1 ? 20 + plan_below(plan, 12) :
		    32 + plan_below(plan, 32);
		record.malformed = true;
		break;
	case FORM_EMPTY:
		record.matching = (int)plan_below(plan, 3);
		bytes = 0;
		record.malformed = true;
		break;
	default:	/* neither a certificate nor a key */
		record.selector = (int)plan_below(plan, 2);
		record.matching = 0;
		record.malformed = true;
		break;
	}
	add_raw(plan, host, &record, bytes);
}

/* RDATA that ends before its three numbers do. */
static void add_tiny(struct plan *plan, struct host_plan *host)
{
	static const char *const forms[] = { "\\# 0", "\\# 1 03",
	    "\\# 2 0301" };

	add_record(host, 3, 1, 1, host->certificate);
	last_record(host)->malformed = true;
	host->tlsa.raw[host->tlsa.count - 1] = forms[plan_below(plan, 3)];
}

void plan_unusable(struct plan *plan, struct host_plan *host)
{
	add_unusable(plan, host, FORM_USAGE + (int)plan_below(plan, 5));
}

/* Two digests, the stronger one of another key. */
static void add_two_digests(struct host_plan *host, int usage, int selector)
{
	add_record(host, usage, selector, 2, host->other);
	add_record(host, usage, 1, 1, host->certificate);
}

static void apply_one(struct plan *plan, struct host_plan *host, int form)
{
	switch (form) {
	case FORM_LEAF: add_good_leaf(plan, host); return;
	case FORM_ROOT: add_good_root(plan, host); return;
	case FORM_ISSUER: add_good_issuer(plan, host); return;
	case FORM_PUBLIC_ROOT: add_public_root(plan, host); return;
	case FORM_OTHER_LEAF:
		add_record(host, 3, (int)plan_below(plan, 2),
		    (int)plan_below(plan, 3), host->other);
		return;
	case FORM_OTHER_ROOT:
		add_record(host, 2, (int)plan_below(plan, 2),
		    (int)plan_below(plan, 3), host->other);
		return;
	case FORM_LEAF_OF_ROOT:
		add_good_root(plan, host);
		last_record(host)->usage = 3;
		return;
	case FORM_ROOT_OF_LEAF:
		add_good_leaf(plan, host);
		last_record(host)->usage = 2;
		last_record(host)->part = LAB_TLSA_LEAF;
		return;
	default:
		add_unusable(plan, host, form);
	}
}

static void apply_several(struct plan *plan, struct host_plan *host, int form)
{
	switch (form) {
	case FORM_ROLLOVER:
		add_good_leaf(plan, host);
		add_record(host, 3, last_record(host)->selector,
		    last_record(host)->matching, host->other);
		return;
	case FORM_EITHER_USAGE:
		add_record(host, 3, 1, 1, host->other);
		add_good_root(plan, host);
		return;
	case FORM_DIGESTS: add_two_digests(host, 3, 1); return;
	case FORM_DIGESTS_APART: add_two_digests(host, 3, 0); return;
	case FORM_DIGESTS_FULL:
		add_two_digests(host, 3, 1);
		last_record(host)->matching = 0;
		return;
	case FORM_DIGESTS_ROOT:
		host->certificate->issuer = LAB_ISSUER_PRIVATE;
		add_two_digests(host, 2, 1);
		return;
	case FORM_DIGESTS_BROKEN:
		add_raw(plan, host, &(struct lab_tlsa_fact){ .usage = 3,
		    .selector = 1, .matching = 2, .malformed = true }, 48);
		add_record(host, 3, 1, 1, host->certificate);
		return;
	case FORM_PKIX:
		add_record(host, (int)plan_below(plan, 2), 1, 1,
		    host->certificate);
		return;
	case FORM_PKIX_AND_WRONG:
		add_record(host, 1, 1, 1, host->certificate);
		add_record(host, 3, 1, 1, host->other);
		return;
	case FORM_TINY: add_tiny(plan, host); return;
	case FORM_UNUSABLE_AND_GOOD:
		plan_unusable(plan, host);
		add_good_leaf(plan, host);
		return;
	case FORM_UNUSABLE_AND_WRONG:
		plan_unusable(plan, host);
		add_record(host, 3, 1, 1, host->other);
		return;
	case FORM_NONE: return;
	default: bug("lab-compose");
	}
}

static void apply_tlsa(struct plan *plan, struct host_plan *host, int form)
{
	host->tlsa.count = 0;
	for (size_t i = 0; i < LAB_FACT_RECORDS; i++)
		host->tlsa.raw[i] = NULL;
	if (form <= FORM_ROOT_OF_LEAF || (form >= FORM_USAGE &&
	    form <= FORM_NOT_DER && form != FORM_TINY))
		apply_one(plan, host, form);
	else
		apply_several(plan, host, form);
	if (host->target_zone != -1) {
		host->target_tlsa = host->tlsa;
		host->tlsa.count = 0;
	}
}

#define TLSA(word, form) { "tlsa " word, apply_tlsa, form, 0 }

static const struct part tlsa_table[] = {
	TLSA("leaf", FORM_LEAF),
	TLSA("root", FORM_ROOT),
	TLSA("issuer", FORM_ISSUER),
	TLSA("public root", FORM_PUBLIC_ROOT),
	TLSA("other leaf", FORM_OTHER_LEAF),
	TLSA("other root", FORM_OTHER_ROOT),
	TLSA("leaf's usage, root's data", FORM_LEAF_OF_ROOT),
	TLSA("root's usage, leaf's data", FORM_ROOT_OF_LEAF),
	TLSA("rollover", FORM_ROLLOVER),
	TLSA("either usage", FORM_EITHER_USAGE),
	TLSA("stronger digest wrong", FORM_DIGESTS),
	TLSA("stronger digest wrong, other selector", FORM_DIGESTS_APART),
	TLSA("stronger digest wrong, full copy", FORM_DIGESTS_FULL),
	TLSA("stronger digest malformed", FORM_DIGESTS_BROKEN),
	TLSA("stronger digest wrong, root", FORM_DIGESTS_ROOT),
	TLSA("public usages", FORM_PKIX),
	TLSA("public usages, and wrong", FORM_PKIX_AND_WRONG),
	TLSA("unknown usage", FORM_USAGE),
	TLSA("unknown selector", FORM_SELECTOR),
	TLSA("unknown matching", FORM_MATCHING),
	TLSA("wrong length", FORM_LENGTH),
	TLSA("no data", FORM_EMPTY),
	TLSA("no numbers", FORM_TINY),
	TLSA("not der", FORM_NOT_DER),
	TLSA("unusable and good", FORM_UNUSABLE_AND_GOOD),
	TLSA("unusable and wrong", FORM_UNUSABLE_AND_WRONG),
	TLSA("none", FORM_NONE),
};

const struct part_list tlsa_parts = { tlsa_table,
    sizeof(tlsa_table) / sizeof(tlsa_table[0]) };
