/* SPDX-License-Identifier: ISC */
/*
 * The search goes down from the apex to the name, because a delegation or a
 * DNAME hides what the tree has below it. An alias is followed inside the zone
 * only: the rest is the resolver's work.
 */
#include "tools/lab/answer_private.h"

enum { ALIASES_MAX = 8, SYNTHETIC_TTL = 1 };

/* --- records into the packet --- */

/* A copy of the record; owner is another name for it, or null. */
static void push(struct answer *answer, ldns_pkt_section section,
    const ldns_rr *record, const ldns_rdf *owner)
{
	ldns_rr *copy = ldns_rr_clone(record);

	if (owner != NULL) {
		ldns_rdf_deep_free(ldns_rr_owner(copy));
		ldns_rr_set_owner(copy, ldns_rdf_clone(owner));
	}
	ldns_pkt_push_rr(answer->packet, section, copy);
}

static void push_signatures(struct answer *answer, ldns_pkt_section section,
    const ldns_dnssec_rrs *signatures, const ldns_rdf *owner)
{
	for (; answer->dnssec && signatures != NULL;
	    signatures = signatures->next)
		push(answer, section, signatures->rr, owner);
}

static void push_set(struct answer *answer, ldns_pkt_section section,
    const ldns_dnssec_rrsets *set, const ldns_rdf *owner)
{
	const ldns_dnssec_rrs *item;

	for (item = set->rrs; item != NULL; item = item->next)
		push(answer, section, item->rr, owner);
	push_signatures(answer, section, set->signatures, owner);
}

void answer_push_denial(struct answer *answer, const struct denial *denial)
{
	size_t i;

	for (i = 0; answer->dnssec && i < denial->count; i++) {
		push(answer, LDNS_SECTION_AUTHORITY, denial->items[i]->nsec,
		    NULL);
		push_signatures(answer, LDNS_SECTION_AUTHORITY,
		    denial->items[i]->nsec_signatures, NULL);
	}
}

void answer_push_soa(struct answer *answer)
{
	push_set(answer, LDNS_SECTION_AUTHORITY, ldns_dnssec_zone_find_rrset(
	    answer->zone->records, answer->zone->apex, LDNS_RR_TYPE_SOA),
	    NULL);
}

/* The name that a record's data is, or null: it may be raw. */
static const ldns_rdf *name_in(const ldns_rr *record)
{
	const ldns_rdf *data = ldns_rr_rd_count(record) > 0 ?
	    ldns_rr_rdf(record, 0) : NULL;

	return data != NULL && ldns_rdf_get_type(data) ==
	    LDNS_RDF_TYPE_DNAME ? data : NULL;
}

/* Addresses of the servers in an NS set, as far as this zone has them. */
static void push_addresses(struct answer *answer,
    const ldns_dnssec_rrsets *servers)
{
	const ldns_dnssec_rrsets *set;
	const ldns_dnssec_rrs *item;

	for (item = servers->rrs; item != NULL; item = item->next) {
		set = name_in(item->rr) == NULL ? NULL :
		    ldns_dnssec_zone_find_rrset(answer->zone->records,
		    name_in(item->rr), LDNS_RR_TYPE_A);
		if (set != NULL)
			push_set(answer, LDNS_SECTION_ADDITIONAL, set, NULL);
	}
}

/* --- looking in the zone --- */

static const ldns_dnssec_name *find(const struct served_zone *zone,
    const ldns_rdf *name)
{
	ldns_rbnode_t *node = ldns_rbtree_search(zone->records->names, name);

	return node != NULL ? node->data : NULL;
}

bool answer_is_inside(const struct served_zone *zone, const ldns_rdf *name)
{
	return ldns_dname_compare(name, zone->apex) == 0 ||
	    ldns_dname_is_subdomain(name, zone->apex);
}

/* Has records, or names below it: those follow it in canonical order. */
static bool exists(const struct served_zone *zone, const ldns_rdf *name)
{
	ldns_rbnode_t *node;
	const ldns_dnssec_name *next;

	if (ldns_rbtree_find_less_equal(zone->records->names, name, &node))
		return true;
	if (node == NULL)
		return false;
	node = ldns_rbtree_next(node);
	if (node == LDNS_RBTREE_NULL)
		return false;
	next = node->data;
	return ldns_dname_is_subdomain(ldns_dnssec_name_name(next), name);
}

/* Where this zone ends on the way down to the name: a delegation, or a DNAME
 * above it. The DS of a delegation is on this side of it. */
static const ldns_dnssec_name *find_end(const struct answer *answer,
    const ldns_rdf *name)
{
	const struct served_zone *zone = answer->zone;
	int labels = ldns_dname_label_count(name);
	int apex = ldns_dname_label_count(zone->apex), skip;
	const ldns_dnssec_name *found = NULL, *here;
	ldns_rdf *ancestor;

	for (skip = labels - apex; found == NULL && skip >= 0; skip--) {
		ancestor = ldns_dname_clone_from(name, (uint16_t)skip);
		here = find(zone, ancestor);
		ldns_rdf_deep_free(ancestor);
		if (here == NULL)
			continue;
		if (skip > 0 && ldns_dnssec_name_find_rrset(here,
		    LDNS_RR_TYPE_DNAME) != NULL)
			found = here;
		else if (skip < labels - apex && ldns_dnssec_name_find_rrset(
		    here, LDNS_RR_TYPE_NS) != NULL &&
		    (skip > 0 || answer->type != LDNS_RR_TYPE_DS))
			found = here;
	}
	return found;
}

/* The longest ancestor that exists; owned by the caller. */
static ldns_rdf *find_encloser(const struct served_zone *zone,
    const ldns_rdf *name)
{
	ldns_rdf *encloser = ldns_dname_left_chop(name), *longer;

	while (!exists(zone, encloser)) {
		longer = encloser;
		encloser = ldns_dname_left_chop(longer);
		ldns_rdf_deep_free(longer);
	}
	return encloser;
}

/* --- the kinds of answers --- */

static void say_nodata(struct answer *answer, const struct denial *denial)
{
	answer->word = "nodata";
	answer_push_soa(answer);
	answer_push_denial(answer, denial);
}

static void say_referral(struct answer *answer, const ldns_dnssec_name *cut)
{
	const ldns_dnssec_rrsets *servers = ldns_dnssec_name_find_rrset(cut,
	    LDNS_RR_TYPE_NS);
	const ldns_dnssec_rrsets *ds = ldns_dnssec_name_find_rrset(cut,
	    LDNS_RR_TYPE_DS);
	struct denial denial = { 0 };

	/* Behind an alias it is left to the resolver. */
	if (ldns_pkt_ancount(answer->packet) > 0)
		return;
	answer->word = "referral";
	ldns_pkt_set_aa(answer->packet, false);
	push_set(answer, LDNS_SECTION_AUTHORITY, servers, NULL);
	if (ds != NULL) {
		push_set(answer, LDNS_SECTION_AUTHORITY, ds, NULL);
	} else if (answer->dnssec) {
		denial_of_data(answer->zone, ldns_dnssec_name_name(cut),
		    &denial);
		answer_push_denial(answer, &denial);
	}
	push_addresses(answer, servers);
}

/* The alias that a DNAME makes of a name below it (RFC 6672 2.2); its target
 * is the caller's. Null when that would be too long, or the data are raw. */
static ldns_rdf *say_dname(struct answer *answer, const ldns_rdf *name,
    const ldns_dnssec_name *above)
{
	const ldns_dnssec_rrsets *set = ldns_dnssec_name_find_rrset(above,
	    LDNS_RR_TYPE_DNAME);
	int keep = ldns_dname_label_count(name) -
	    ldns_dname_label_count(ldns_dnssec_name_name(above)), i;
	ldns_rdf *target, *label, *longer;
	ldns_rr *alias;

	answer->word = "data";
	push_set(answer, LDNS_SECTION_ANSWER, set, NULL);
	if (name_in(set->rrs->rr) == NULL)
		return NULL;
	target = ldns_rdf_clone(name_in(set->rrs->rr));
	for (i = keep - 1; i >= 0 && target != NULL; i--) {
		label = ldns_dname_label(name, (uint8_t)i);
		longer = ldns_dname_cat_clone(label, target);
		ldns_rdf_deep_free(label);
		ldns_rdf_deep_free(target);
		target = longer;
	}
	if (target == NULL || ldns_rdf_size(target) > LDNS_MAX_DOMAINLEN) {
		ldns_rdf_deep_free(target);
		ldns_pkt_set_rcode(answer->packet, LDNS_RCODE_YXDOMAIN);
		return NULL;
	}
	alias = ldns_rr_new();
	ldns_rr_set_owner(alias, ldns_rdf_clone(name));
	ldns_rr_set_ttl(alias, SYNTHETIC_TTL);
	ldns_rr_set_class(alias, LDNS_RR_CLASS_IN);
	ldns_rr_set_type(alias, LDNS_RR_TYPE_CNAME);
	ldns_rr_push_rdf(alias, ldns_rdf_clone(target));
	ldns_pkt_push_rr(answer->packet, LDNS_SECTION_ANSWER, alias);
	return target;
}

static void push_all(struct answer *answer, const ldns_dnssec_name *from,
    const ldns_rdf *owner)
{
	const ldns_dnssec_rrsets *set;

	for (set = from->rrsets; set != NULL; set = set->next)
		push_set(answer, LDNS_SECTION_ANSWER, set, owner);
}

/*
 * The records of the type that a name has, under another name when it is a
 * wildcard (owner not null). True when there were any; an alias is given back
 * in target, owned by the caller.
 */
static bool say_data(struct answer *answer, const ldns_dnssec_name *from,
    const ldns_rdf *owner, ldns_rdf **target)
{
	const ldns_dnssec_rrsets *set = ldns_dnssec_name_find_rrset(from,
	    answer->type);
	const ldns_dnssec_rrsets *alias = ldns_dnssec_name_find_rrset(from,
	    LDNS_RR_TYPE_CNAME);

	answer->word = "data";
	if (answer->type == LDNS_RR_TYPE_ANY && from->rrsets != NULL) {
		push_all(answer, from, owner);
		return true;
	}
	if (set == NULL && alias == NULL)
		return false;
	push_set(answer, LDNS_SECTION_ANSWER, set != NULL ? set : alias,
	    owner);
	if (set != NULL && answer->type == LDNS_RR_TYPE_NS)
		push_addresses(answer, set);
	if (set == NULL && name_in(alias->rrs->rr) != NULL)
		*target = ldns_rdf_clone(name_in(alias->rrs->rr));
	return true;
}

/* The name has no records of its own. */
static void say_absent(struct answer *answer, const ldns_rdf *name,
    ldns_rdf **target)
{
	const struct served_zone *zone = answer->zone;
	ldns_rdf *encloser = find_encloser(zone, name);
	ldns_rdf *wildcard = ldns_dname_new_frm_str("*");
	const ldns_dnssec_name *found;
	struct denial denial = { 0 };
	bool has_data;

	ldns_dname_cat(wildcard, encloser);
	found = find(zone, wildcard);
	if (found != NULL) {
		has_data = say_data(answer, found, name, target);
		denial_before_wildcard(zone, name, wildcard, !has_data,
		    &denial);
		if (has_data)
			answer_push_denial(answer, &denial);
		else
			say_nodata(answer, &denial);
	} else {
		denial_of_name(zone, name, encloser, &denial);
		say_nodata(answer, &denial);
		answer->word = "nxdomain";
		ldns_pkt_set_rcode(answer->packet, LDNS_RCODE_NXDOMAIN);
	}
	ldns_rdf_deep_free(wildcard);
	ldns_rdf_deep_free(encloser);
}

/* One step of the search; gives the target of an alias, owned by the caller,
 * or null at its end. */
static ldns_rdf *say_name(struct answer *answer, const ldns_rdf *name)
{
	const ldns_dnssec_name *found = find_end(answer, name);
	struct denial denial = { 0 };
	ldns_rdf *target = NULL;

	if (found != NULL) {
		if (ldns_dname_compare(ldns_dnssec_name_name(found), name) !=
		    0 && ldns_dnssec_name_find_rrset(found,
		    LDNS_RR_TYPE_DNAME) != NULL)
			return say_dname(answer, name, found);
		say_referral(answer, found);
		return NULL;
	}
	found = find(answer->zone, name);
	if (found == NULL && !exists(answer->zone, name)) {
		say_absent(answer, name, &target);
	} else if (found == NULL || !say_data(answer, found, NULL, &target)) {
		denial_of_data(answer->zone, name, &denial);
		say_nodata(answer, &denial);
	}
	return target;
}

/* A loop comes back to a name whose alias is in the answer. */
static bool is_said(const struct answer *answer, const ldns_rdf *name)
{
	const ldns_rr_list *said = ldns_pkt_answer(answer->packet);
	size_t i;

	for (i = 0; i < ldns_rr_list_rr_count(said); i++)
		if (ldns_rr_get_type(ldns_rr_list_rr(said, i)) ==
		    LDNS_RR_TYPE_CNAME && ldns_dname_compare(
		    ldns_rr_owner(ldns_rr_list_rr(said, i)), name) == 0)
			return true;
	return false;
}

void answer_say(struct answer *answer, const ldns_rdf *asked)
{
	ldns_rdf *name = ldns_rdf_clone(asked), *target;
	int steps;

	ldns_pkt_set_aa(answer->packet, true);
	for (steps = 0; name != NULL && answer_is_inside(answer->zone, name) &&
	    !is_said(answer, name) && steps < ALIASES_MAX; steps++) {
		target = say_name(answer, name);
		ldns_rdf_deep_free(name);
		name = target;
		if (name != NULL)
			ldns_dname2canonical(name);
	}
	ldns_rdf_deep_free(name);
}
