/* SPDX-License-Identifier: ISC */
/*
 * libldns makes the denials and signatures. Dates are days away from now:
 * validators forgive a tenth of a signature's life, up to a day.
 *
 * A zone of an unknown algorithm is signed as any other and then relabelled,
 * keys, DS and signatures, so that it fits together for who does not look
 * into the signatures; nobody can.
 */
#include "tools/lab/zone.h"

#include <string.h>
#include <time.h>

#include "base/log.h"

enum { DAY = 86400, NSEC3_OPT_OUT = 1, SET_TTL = 1,
    /* Reserved, both: nobody will ever know them. */
    UNKNOWN_ALGORITHM = 250, UNKNOWN_DIGEST = 250 };

/* Fields of records. */
enum { DNSKEY_ALGORITHM = 2, DS_DIGEST_TYPE = 2, DS_DIGEST = 3,
    RRSIG_ALGORITHM = 1, RRSIG_KEY_TAG = 6 };

/* Signatures run from so many days to so many days after now. */
static const struct {
	int from, to;
} validities[] = {
	[LAB_VALID] = { -1, 13 },
	[LAB_EXPIRED] = { -17, -3 },
	[LAB_FUTURE] = { 3, 17 },
};

static enum lab_signing signing(const struct served_zone *zone)
{
	return zone->spec != NULL ? zone->spec->signing : LAB_SIGNED;
}

ldns_rr *zone_sign_dnskey(struct served_zone *zone)
{
	ldns_rr *record = lab_keys_dnskey(zone->keys, zone->name);

	if (signing(zone) == LAB_UNKNOWN_ALGORITHM)
		ldns_rdf_data(ldns_rr_rdf(record, DNSKEY_ALGORITHM))[0] =
		    UNKNOWN_ALGORITHM;
	return record;
}

ldns_rr *zone_sign_ds(struct served_zone *zone)
{
	ldns_rr *key = zone_sign_dnskey(zone), *ds = lab_keys_ds(key);

	ldns_rr_free(key);
	if (signing(zone) == LAB_WRONG_DS)
		ldns_rdf_data(ldns_rr_rdf(ds, DS_DIGEST))[0] ^= 1;
	else if (signing(zone) == LAB_UNKNOWN_DIGEST)
		ldns_rdf_data(ldns_rr_rdf(ds, DS_DIGEST_TYPE))[0] =
		    UNKNOWN_DIGEST;
	ldns_rr_set_ttl(ds, SET_TTL);
	return ds;
}

/* The list is the caller's, the key is not. */
static ldns_key_list *keys_for(struct served_zone *zone,
    enum lab_validity validity)
{
	ldns_key_list *list = ldns_key_list_new();
	ldns_key *key = lab_keys_zone(zone->keys, zone->name);
	int64_t now = time(NULL);

	ldns_key_set_inception(key, (uint32_t)(now +
	    (int64_t)validities[validity].from * DAY));
	ldns_key_set_expiration(key, (uint32_t)(now +
	    (int64_t)validities[validity].to * DAY));
	ldns_key_set_use(key, true);
	ldns_key_list_push_key(list, key);
	return list;
}

/* libldns would free the key with the list. */
static void free_list(ldns_key_list *list)
{
	ldns_key_list_set_key_count(list, 0);
	ldns_key_list_free(list);
}

void served_zone_sign(struct served_zone *zone)
{
	enum lab_denial denial = LAB_NSEC;
	ldns_key_list *list;
	ldns_rr_list *added;
	ldns_status status;

	if (!zone->is_signed)
		return;
	if (zone->spec != NULL)
		denial = zone->spec->denial;
	zone->has_nsec3 = denial != LAB_NSEC;
	list = keys_for(zone, zone->spec != NULL ? zone->spec->validity :
	    LAB_VALID);
	if (signing(zone) != LAB_NO_KEYS && ldns_dnssec_zone_add_rr(
	    zone->records, zone_sign_dnskey(zone)) != LDNS_STATUS_OK)
		fatal("no key in a zone", log_text("zone", zone->name));
	added = ldns_rr_list_new();
	if (denial == LAB_NSEC)
		status = ldns_dnssec_zone_sign_flg(zone->records, added, list,
		    ldns_dnssec_default_replace_signatures, NULL,
		    LDNS_SIGN_DNSKEY_WITH_ZSK);
	else
		status = ldns_dnssec_zone_sign_nsec3_flg(zone->records, added,
		    list, ldns_dnssec_default_replace_signatures, NULL,
		    NSEC3_SHA1, denial == LAB_NSEC3_OPT_OUT ? NSEC3_OPT_OUT :
		    0, zone->iterations, 0, NULL, LDNS_SIGN_DNSKEY_WITH_ZSK);
	if (status != LDNS_STATUS_OK)
		fatal("zone not signed", log_text("zone", zone->name),
		    log_text("reason", ldns_get_errorstr_by_id(status)));
	ldns_rr_list_free(added);
	free_list(list);
}

ldns_rr *zone_sign_set(struct served_zone *zone, ldns_rr_list *records,
    enum lab_validity validity)
{
	ldns_key_list *list = keys_for(zone, validity);
	ldns_rr_list *signatures = ldns_sign_public(records, list);
	ldns_rr *signature;

	if (signatures == NULL || ldns_rr_list_rr_count(signatures) != 1)
		fatal("set not signed", log_text("zone", zone->name));
	signature = ldns_rr_list_pop_rr(signatures);
	ldns_rr_list_free(signatures);
	free_list(list);
	return signature;
}

/* --- the unknown algorithm --- */

static void relabel(ldns_rr *signature, uint16_t tag)
{
	uint8_t *place = ldns_rdf_data(ldns_rr_rdf(signature, RRSIG_KEY_TAG));

	ldns_rdf_data(ldns_rr_rdf(signature, RRSIG_ALGORITHM))[0] =
	    UNKNOWN_ALGORITHM;
	place[0] = (uint8_t)(tag >> 8);
	place[1] = (uint8_t)tag;
}

static void relabel_all(ldns_dnssec_rrs *signatures, uint16_t tag)
{
	for (; signatures != NULL; signatures = signatures->next)
		relabel(signatures->rr, tag);
}

void zone_sign_disguise(struct served_zone *zone)
{
	ldns_dnssec_name *name;
	ldns_dnssec_rrsets *set;
	ldns_rbnode_t *node;
	ldns_rr *key;
	uint16_t tag;
	size_t i, k;

	if (signing(zone) != LAB_UNKNOWN_ALGORITHM)
		return;
	key = zone_sign_dnskey(zone);
	tag = ldns_calc_keytag(key);
	ldns_rr_free(key);
	LDNS_RBTREE_FOR(node, ldns_rbnode_t *, zone->records->names) {
		name = (ldns_dnssec_name *)node->data;
		for (set = name->rrsets; set != NULL; set = set->next)
			relabel_all(set->signatures, tag);
		relabel_all(name->nsec_signatures, tag);
	}
	for (i = 0; i < zone->substitute_count; i++)
		for (k = 0; k < ldns_rr_list_rr_count(
		    zone->substitutes[i].signatures); k++)
			relabel(ldns_rr_list_rr(
			    zone->substitutes[i].signatures, k), tag);
}
