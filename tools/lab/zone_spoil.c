/* SPDX-License-Identifier: ISC */
/*
 * What is wrong with a zone, once it is signed: single sets that are signed
 * again with other dates or spoilt, and questions that are answered falsely.
 */
#include "tools/lab/zone.h"

#include "base/log.h"
#include "base/mem.h"
#include "tools/lab/zone_text.h"

/* --- single sets --- */

/* The records of one name and type, wherever libldns keeps them. */
struct set {
	ldns_rr_list	*records;	/* owned; what is in it is not */
	ldns_dnssec_rrs	**signatures;
};

/* -1: there is none. */
static int find_set(struct served_zone *zone, const ldns_rdf *owner,
    ldns_rr_type type, struct set *set)
{
	ldns_rbnode_t *node = ldns_rbtree_search(zone->records->names, owner);
	ldns_dnssec_name *name = node == NULL ? NULL :
	    (ldns_dnssec_name *)node->data;
	bool is_denial = type == LDNS_RR_TYPE_NSEC ||
	    type == LDNS_RR_TYPE_NSEC3;
	ldns_dnssec_rrsets *found = name == NULL || is_denial ? NULL :
	    ldns_dnssec_name_find_rrset(name, type);
	ldns_dnssec_rrs *item;

	if (is_denial ? name == NULL || name->nsec == NULL : found == NULL)
		return -1;
	set->records = ldns_rr_list_new();
	if (is_denial)
		ldns_rr_list_push_rr(set->records, name->nsec);
	for (item = is_denial ? NULL : found->rrs; item != NULL;
	    item = item->next)
		ldns_rr_list_push_rr(set->records, item->rr);
	set->signatures = is_denial ? &name->nsec_signatures :
	    &found->signatures;
	return 0;
}

static void drop_signatures(struct set *set)
{
	ldns_dnssec_rrs_deep_free(*set->signatures);
	*set->signatures = NULL;
}

static void sign_again(struct served_zone *zone, struct set *set,
    enum lab_validity validity)
{
	drop_signatures(set);
	*set->signatures = ldns_dnssec_rrs_new();
	(*set->signatures)->rr = zone_sign_set(zone, set->records, validity);
}

/* Another value of the same form under the old signature: the last byte, or a
 * letter of the name when the data ends in one. -1: there is nothing. */
static int tamper(struct set *set)
{
	ldns_rr *record = ldns_rr_list_rr(set->records, 0);
	size_t count = ldns_rr_rd_count(record);
	ldns_rdf *data = count > 0 ? ldns_rr_rdf(record, count - 1) : NULL;
	size_t length = data != NULL ? ldns_rdf_size(data) : 0;

	if (length == 0)
		return -1;
	if (ldns_rdf_get_type(data) != LDNS_RDF_TYPE_DNAME) {
		ldns_rdf_data(data)[length - 1] ^= 1;
		return 0;
	}
	if (length < 2)
		return -1;
	ldns_rdf_data(data)[1] ^= 1;
	return 0;
}

enum spoiling { EXPIRE, POSTPONE, UNSIGN, TAMPER };

/* A set that is signed. */
static int spoil(struct served_zone *zone, const char *text, struct set *set,
    enum spoiling spoiling)
{
	switch (spoiling) {
	case EXPIRE: sign_again(zone, set, LAB_EXPIRED); return 0;
	case POSTPONE: sign_again(zone, set, LAB_FUTURE); return 0;
	case UNSIGN: drop_signatures(set); return 0;
	case TAMPER:
		return tamper(set) == 0 ? 0 : served_zone_refuse(zone,
		    "\"%s\": no data to tamper with", text);
	default: bug("spoiling");
	}
}

static int spoil_set(struct served_zone *zone, const char *text,
    enum spoiling spoiling)
{
	struct set set;
	ldns_rdf *owner;
	ldns_rr_type type;
	int result;

	if (zone_text_set(zone, text, &owner, &type) == -1)
		return -1;
	result = find_set(zone, owner, type, &set);
	ldns_rdf_deep_free(owner);
	if (result == -1)
		return served_zone_refuse(zone, "\"%s\": there is no such set",
		    text);
	result = *set.signatures == NULL ? served_zone_refuse(zone, "\"%s\": "
	    "the set has no signature", text) : spoil(zone, text, &set,
	    spoiling);
	ldns_rr_list_free(set.records);
	return result;
}

static int spoil_sets(struct served_zone *zone, const struct lab_texts *sets,
    enum spoiling spoiling)
{
	size_t i;

	for (i = 0; i < sets->count; i++)
		if (spoil_set(zone, sets->items[i], spoiling) == -1)
			return -1;
	return 0;
}

/* --- false answers --- */

static int read_lies(struct served_zone *zone)
{
	const struct lab_texts *answers = &zone->spec->answers;
	size_t i;

	zone->lies = mem_alloc_array(answers->count + 1, sizeof(*zone->lies));
	for (i = 0; i < answers->count; i++) {
		if (zone_text_lie(zone, answers->items[i],
		    &zone->lies[i]) == -1)
			return -1;
		zone->lie_count++;
	}
	return 0;
}

/* That for the same question, or a new one, for which there is room. */
static struct zone_substitute *substitute_for(struct served_zone *zone,
    const ldns_rdf *name, ldns_rr_type type)
{
	struct zone_substitute *item = zone->substitutes;
	size_t i;

	for (i = 0; i < zone->substitute_count; i++, item++)
		if (item->type == type &&
		    ldns_dname_compare(item->name, name) == 0)
			return item;
	zone->substitute_count++;
	item->name = ldns_rdf_clone(name);
	item->type = type;
	item->records = ldns_rr_list_new();
	item->signatures = ldns_rr_list_new();
	return item;
}

/* The records of a type, each once (RFC 4034 6.3). The list is the caller's,
 * what is in it is not. */
static ldns_rr_list *set_of(const ldns_rr_list *records, ldns_rr_type type)
{
	ldns_rr_list *set = ldns_rr_list_new();
	ldns_rr *record;
	size_t i;

	for (i = 0; i < ldns_rr_list_rr_count(records); i++) {
		record = ldns_rr_list_rr(records, i);
		if (ldns_rr_get_type(record) == type &&
		    !ldns_rr_list_contains_rr(set, record))
			ldns_rr_list_push_rr(set, record);
	}
	return set;
}

static bool has_signature(const struct zone_substitute *item,
    ldns_rr_type type)
{
	size_t i;

	for (i = 0; i < ldns_rr_list_rr_count(item->signatures); i++)
		if (ldns_rdf2rr_type(ldns_rr_rrsig_typecovered(ldns_rr_list_rr(
		    item->signatures, i))) == type)
			return true;
	return false;
}

/* One signature for each type of its records. */
static void sign_substitute(struct served_zone *zone,
    struct zone_substitute *item)
{
	ldns_rr_list *set;
	ldns_rr_type type;
	size_t i;

	for (i = 0; i < ldns_rr_list_rr_count(item->records); i++) {
		type = ldns_rr_get_type(ldns_rr_list_rr(item->records, i));
		if (has_signature(item, type))
			continue;
		set = set_of(item->records, type);
		ldns_rr_list_push_rr(item->signatures, zone_sign_set(zone, set,
		    zone->spec->validity));
		ldns_rr_list_free(set);
	}
}

static int read_substitutes(struct served_zone *zone,
    const struct lab_identities *identities)
{
	const struct lab_texts *texts = &zone->spec->substitutes;
	ldns_rr *record;
	ldns_rr_type type;
	size_t i;

	zone->substitutes = mem_alloc_array(texts->count + 1,
	    sizeof(*zone->substitutes));
	for (i = 0; i < texts->count; i++) {
		record = zone_text_substitute(zone, texts->items[i],
		    identities, &type);
		if (record == NULL)
			return -1;
		ldns_rr_list_push_rr(substitute_for(zone,
		    ldns_rr_owner(record), type)->records, record);
	}
	for (i = 0; zone->is_signed && i < zone->substitute_count; i++)
		sign_substitute(zone, &zone->substitutes[i]);
	return 0;
}

int served_zone_spoil(struct served_zone *zone,
    const struct lab_identities *identities)
{
	const struct lab_zone *spec = zone->spec;

	if (spec == NULL)
		return 0;
	if (spoil_sets(zone, &spec->expired_sets, EXPIRE) == -1 ||
	    spoil_sets(zone, &spec->future_sets, POSTPONE) == -1 ||
	    spoil_sets(zone, &spec->tampered_sets, TAMPER) == -1 ||
	    spoil_sets(zone, &spec->unsigned_sets, UNSIGN) == -1 ||
	    read_lies(zone) == -1 || read_substitutes(zone, identities) == -1)
		return -1;
	zone_sign_disguise(zone);
	return 0;
}
