/* SPDX-License-Identifier: ISC */
/*
 * Zones are small: each search walks all denials. With NSEC3 the closest
 * encloser must be a name that has one, since names below an opt-out, and
 * addresses of delegated servers, are in the tree without (RFC 5155 7.2).
 */
#include "tools/lab/denial.h"

#include "tools/lab/zone.h"

static void add(struct denial *denial, const ldns_dnssec_name *name)
{
	size_t i;

	if (name == NULL)
		return;
	for (i = 0; i < denial->count; i++)
		if (denial->items[i] == name)
			return;
	if (denial->count < DENIAL_MAX)
		denial->items[denial->count++] = name;
}

/* The first name whose denial record fits. */
static const ldns_dnssec_name *find(const struct served_zone *zone,
    const ldns_rdf *key, bool covers)
{
	const ldns_dnssec_name *name;
	ldns_rbnode_t *node;

	LDNS_RBTREE_FOR(node, ldns_rbnode_t *, zone->records->names) {
		name = node->data;
		if (name->nsec == NULL)
			continue;
		if (ldns_dname_compare(ldns_rr_owner(name->nsec), key) == 0 ?
		    !covers : covers && ldns_nsec_covers_name(name->nsec, key))
			return name;
	}
	return NULL;
}

/* The owner a name has in the chain; owned by the caller. */
static ldns_rdf *chain_name(const struct served_zone *zone,
    const ldns_rdf *name)
{
	ldns_rdf *key;

	if (!zone->has_nsec3)
		return ldns_rdf_clone(name);
	key = ldns_nsec3_hash_name(name, NSEC3_SHA1, zone->iterations, 0,
	    NULL);
	ldns_dname_cat(key, zone->apex);
	ldns_dname2canonical(key);
	return key;
}

static const ldns_dnssec_name *match(const struct served_zone *zone,
    const ldns_rdf *name)
{
	ldns_rdf *key = chain_name(zone, name);
	const ldns_dnssec_name *found = find(zone, key, false);

	ldns_rdf_deep_free(key);
	return found;
}

static const ldns_dnssec_name *cover(const struct served_zone *zone,
    const ldns_rdf *name)
{
	ldns_rdf *key = chain_name(zone, name);
	const ldns_dnssec_name *found = find(zone, key, true);

	ldns_rdf_deep_free(key);
	return found;
}

/* The nearest ancestor with an NSEC3, and the name one label longer; both
 * owned by the caller. */
static ldns_rdf *provable_encloser(const struct served_zone *zone,
    const ldns_rdf *name, ldns_rdf **next_closer)
{
	ldns_rdf *encloser = ldns_dname_left_chop(name);

	*next_closer = ldns_rdf_clone(name);
	while (ldns_dname_compare(encloser, zone->apex) != 0 &&
	    match(zone, encloser) == NULL) {
		ldns_rdf_deep_free(*next_closer);
		*next_closer = encloser;
		encloser = ldns_dname_left_chop(encloser);
	}
	return encloser;
}

static ldns_rdf *wildcard_of(const ldns_rdf *encloser)
{
	ldns_rdf *star = ldns_dname_new_frm_str("*");

	ldns_dname_cat(star, encloser);
	return star;
}

void denial_of_data(const struct served_zone *zone, const ldns_rdf *name,
    struct denial *denial)
{
	const ldns_dnssec_name *found = match(zone, name);
	ldns_rdf *encloser, *next_closer;

	if (found != NULL) {
		add(denial, found);
	} else if (!zone->has_nsec3) {
		/* An empty non-terminal: nothing but names below it. */
		add(denial, cover(zone, name));
	} else {
		encloser = provable_encloser(zone, name, &next_closer);
		add(denial, match(zone, encloser));
		add(denial, cover(zone, next_closer));
		ldns_rdf_deep_free(encloser);
		ldns_rdf_deep_free(next_closer);
	}
}

void denial_of_name(const struct served_zone *zone, const ldns_rdf *name,
    const ldns_rdf *encloser, struct denial *denial)
{
	ldns_rdf *provable, *next_closer = NULL, *wildcard;

	if (!zone->has_nsec3) {
		provable = ldns_rdf_clone(encloser);
		add(denial, cover(zone, name));
	} else {
		provable = provable_encloser(zone, name, &next_closer);
		add(denial, match(zone, provable));
		add(denial, cover(zone, next_closer));
	}
	wildcard = wildcard_of(provable);
	add(denial, cover(zone, wildcard));
	ldns_rdf_deep_free(wildcard);
	ldns_rdf_deep_free(provable);
	ldns_rdf_deep_free(next_closer);
}

void denial_before_wildcard(const struct served_zone *zone,
    const ldns_rdf *name, const ldns_rdf *wildcard, bool of_data,
    struct denial *denial)
{
	ldns_rdf *encloser, *next_closer;

	if (!zone->has_nsec3) {
		add(denial, cover(zone, name));
	} else {
		encloser = provable_encloser(zone, name, &next_closer);
		add(denial, cover(zone, next_closer));
		/* A positive answer's signature names the encloser itself
		 * (RFC 5155 7.2.6). */
		if (of_data)
			add(denial, match(zone, encloser));
		ldns_rdf_deep_free(encloser);
		ldns_rdf_deep_free(next_closer);
	}
	if (of_data)
		add(denial, match(zone, wildcard));
}

void denial_of_other(const struct served_zone *zone, const ldns_rdf *name,
    struct denial *denial)
{
	ldns_rdf *key = chain_name(zone, name);
	const ldns_dnssec_name *item;
	ldns_rbnode_t *node;

	LDNS_RBTREE_FOR(node, ldns_rbnode_t *, zone->records->names) {
		item = node->data;
		if (item->nsec == NULL || ldns_dname_compare(
		    ldns_rr_owner(item->nsec), key) == 0 ||
		    ldns_nsec_covers_name(item->nsec, key))
			continue;
		add(denial, item);
		break;
	}
	ldns_rdf_deep_free(key);
}
