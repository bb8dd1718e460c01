/* SPDX-License-Identifier: ISC */
/*
 * libldns makes the denials and signatures; single sets are signed again with
 * other dates or spoilt afterwards. Dates are days away from now: validators
 * forgive a tenth of a signature's life, up to a day.
 */
#include "tools/lab/zone.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "base/mem.h"
#include "tools/lab/keys.h"
#include "tools/lab/zone_text.h"

enum { DAY = 86400, NSEC3_SHA1 = 1, NSEC3_OPT_OUT = 1 };

/* Signatures run from so many days to so many days after now. */
static const struct {
	int from, to;
} validities[] = {
	[LAB_VALID] = { -1, 13 },
	[LAB_EXPIRED] = { -17, -3 },
	[LAB_FUTURE] = { 3, 17 },
};

/* The records of one name and type, wherever libldns keeps them. */
struct set {
	ldns_rr		*records[64];
	size_t		 count;
	ldns_dnssec_rrs	**signatures;
};

int served_zone_refuse(struct served_zone *zone, const char *format, ...)
{
	char sentence[1024];
	va_list list;

	va_start(list, format);
	vsnprintf(sentence, sizeof(sentence), format, list);
	va_end(list);
	snprintf(zone->error, zone->error_size, "zone %s: %s", zone->name,
	    sentence);
	return -1;
}

/* --- records --- */

/* A record that we wrote ourselves; the line is taken. */
static void add_line(struct served_zone *zone, char *line)
{
	ldns_rr *record;

	if (ldns_rr_new_frm_str(&record, line, 1, NULL, NULL) !=
	    LDNS_STATUS_OK || ldns_dnssec_zone_add_rr(zone->records, record) !=
	    LDNS_STATUS_OK)
		fatal("zone record", log_text("record", line));
	mem_free(line);
}

static void add_record(struct served_zone *zone, ldns_rr *record)
{
	if (ldns_dnssec_zone_add_rr(zone->records, record) != LDNS_STATUS_OK)
		fatal("zone record", log_text("zone", zone->name));
}

/* NS and address of a zone's server: in the zone itself, or in its parent. */
static void add_server(struct served_zone *in, const struct served_zone *of)
{
	bool is_root = strcmp(of->name, ".") == 0;
	const char *name = is_root ? "" : of->name, *dot = is_root ? "" : ".";

	add_line(in, mem_print("%s. 1 IN NS lab-ns.%s%s", name, name, dot));
	add_line(in, mem_print("lab-ns.%s%s 1 IN A %s", name, dot,
	    of->address));
}

/* A CNAME stands alone (RFC 1034 3.6.2); signatures come later. */
static int check_aliases(struct served_zone *zone)
{
	const ldns_dnssec_name *name;
	ldns_rbnode_t *node;
	char *text;

	LDNS_RBTREE_FOR(node, ldns_rbnode_t *, zone->records->names) {
		name = node->data;
		if (name->rrsets == NULL || name->rrsets->next == NULL ||
		    ldns_dnssec_name_find_rrset(name, LDNS_RR_TYPE_CNAME) ==
		    NULL)
			continue;
		text = ldns_rdf2str(ldns_dnssec_name_name(name));
		served_zone_refuse(zone, "%s has a CNAME and other records",
		    text);
		LDNS_FREE(text);
		return -1;
	}
	return 0;
}

int served_zone_fill(struct served_zone *zone,
    const struct lab_identities *identities)
{
	const struct lab_zone *spec = zone->spec;
	bool is_root = strcmp(zone->name, ".") == 0;
	ldns_rr *record;
	size_t i;

	add_line(zone, mem_print("%s. 1 IN SOA lab-ns.%s. lab.%s. 1 3600 600 "
	    "86400 1", is_root ? "" : zone->name, is_root ? "lab" : zone->name,
	    is_root ? "lab" : zone->name));
	add_server(zone, zone);
	for (i = 0; spec != NULL && i < spec->records.count; i++) {
		record = zone_text_record(zone, spec->records.items[i],
		    identities);
		if (record == NULL)
			return -1;
		add_record(zone, record);
	}
	return check_aliases(zone);
}

/* --- delegation --- */

static bool is_opt_out(const struct served_zone *zone)
{
	return zone->is_signed && zone->spec != NULL &&
	    zone->spec->denial == LAB_NSEC3_OPT_OUT;
}

/* DS records that the parent's section gives take the place of ours. */
static bool has_ds(const struct served_zone *child)
{
	return ldns_dnssec_zone_find_rrset(child->parent->records,
	    child->apex, LDNS_RR_TYPE_DS) != NULL;
}

void served_zone_delegate(struct served_zone *child, bool after_signing)
{
	struct served_zone *parent = child->parent;
	ldns_rr *ds;

	if (after_signing != (is_opt_out(parent) && !child->is_signed))
		return;
	add_server(parent, child);
	if (!parent->is_signed || !child->is_signed || has_ds(child))
		return;
	ds = lab_keys_ds(child->keys, child->name);
	if (child->spec != NULL && child->spec->signing == LAB_WRONG_DS)
		ldns_rdf_data(ldns_rr_rdf(ds, 3))[0] ^= 1;
	ldns_rr_set_ttl(ds, 1);
	add_record(parent, ds);
}

/* --- signatures --- */

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
	add_record(zone, lab_keys_dnskey(zone->keys, zone->name));
	added = ldns_rr_list_new();
	if (denial == LAB_NSEC)
		status = ldns_dnssec_zone_sign_flg(zone->records, added, list,
		    ldns_dnssec_default_replace_signatures, NULL,
		    LDNS_SIGN_DNSKEY_WITH_ZSK);
	else
		status = ldns_dnssec_zone_sign_nsec3_flg(zone->records, added,
		    list, ldns_dnssec_default_replace_signatures, NULL,
		    NSEC3_SHA1, denial == LAB_NSEC3_OPT_OUT ? NSEC3_OPT_OUT :
		    0, 0, 0, NULL, LDNS_SIGN_DNSKEY_WITH_ZSK);
	if (status != LDNS_STATUS_OK)
		fatal("zone not signed", log_text("zone", zone->name),
		    log_text("reason", ldns_get_errorstr_by_id(status)));
	ldns_rr_list_free(added);
	free_list(list);
}

/* --- single sets --- */

static int find_set(struct served_zone *zone, const ldns_rdf *owner,
    ldns_rr_type type, struct set *set)
{
	ldns_rbnode_t *node = ldns_rbtree_search(zone->records->names, owner);
	ldns_dnssec_name *name;
	ldns_dnssec_rrsets *found;
	ldns_dnssec_rrs *item;

	memset(set, 0, sizeof(*set));
	if (node == NULL)
		return -1;
	name = (ldns_dnssec_name *)node->data;
	if (type == LDNS_RR_TYPE_NSEC || type == LDNS_RR_TYPE_NSEC3) {
		set->records[0] = name->nsec;
		set->signatures = &name->nsec_signatures;
		set->count = 1;
		return name->nsec != NULL ? 0 : -1;
	}
	found = ldns_dnssec_name_find_rrset(name, type);
	if (found == NULL)
		return -1;
	for (item = found->rrs; item != NULL && set->count <
	    sizeof(set->records) / sizeof(set->records[0]); item = item->next)
		set->records[set->count++] = item->rr;
	set->signatures = &found->signatures;
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
	ldns_key_list *list = keys_for(zone, validity);
	ldns_rr_list *records = ldns_rr_list_new(), *signatures;
	size_t i;

	for (i = 0; i < set->count; i++)
		ldns_rr_list_push_rr(records, set->records[i]);
	signatures = ldns_sign_public(records, list);
	if (signatures == NULL || ldns_rr_list_rr_count(signatures) != 1)
		fatal("set not signed", log_text("zone", zone->name));
	drop_signatures(set);
	*set->signatures = ldns_dnssec_rrs_new();
	(*set->signatures)->rr = ldns_rr_list_rr(signatures, 0);
	ldns_rr_list_free(signatures);
	ldns_rr_list_free(records);
	free_list(list);
}

/* Another value of the same form under the old signature: the last byte, or a
 * letter of the name when the data ends in one. -1: there is nothing. */
static int tamper(struct set *set)
{
	ldns_rr *record = set->records[0];
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

static int spoil_set(struct served_zone *zone, const char *text,
    enum spoiling spoiling)
{
	struct set set;
	ldns_rdf *owner;
	ldns_rr_type type;
	int found;

	if (zone_text_set(zone, text, &owner, &type) == -1)
		return -1;
	found = find_set(zone, owner, type, &set);
	ldns_rdf_deep_free(owner);
	if (found == -1)
		return served_zone_refuse(zone, "\"%s\": there is no such set",
		    text);
	if (*set.signatures == NULL)
		return served_zone_refuse(zone, "\"%s\": the set has no "
		    "signature", text);
	switch (spoiling) {
	case EXPIRE: sign_again(zone, &set, LAB_EXPIRED); return 0;
	case POSTPONE: sign_again(zone, &set, LAB_FUTURE); return 0;
	case UNSIGN: drop_signatures(&set); return 0;
	case TAMPER:
		return tamper(&set) == 0 ? 0 : served_zone_refuse(zone,
		    "\"%s\": no data to tamper with", text);
	default: bug("spoiling");
	}
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

int served_zone_spoil(struct served_zone *zone)
{
	const struct lab_zone *spec = zone->spec;

	if (spec == NULL)
		return 0;
	if (spoil_sets(zone, &spec->expired_sets, EXPIRE) == -1 ||
	    spoil_sets(zone, &spec->future_sets, POSTPONE) == -1 ||
	    spoil_sets(zone, &spec->tampered_sets, TAMPER) == -1 ||
	    spoil_sets(zone, &spec->unsigned_sets, UNSIGN) == -1)
		return -1;
	return read_lies(zone);
}

/* --- life --- */

struct served_zone *served_zone_new(const char *name,
    const struct lab_zone *spec, struct lab_keys *keys, char *error,
    size_t size)
{
	struct served_zone *zone = mem_alloc(sizeof(*zone));
	int server = lab_keys_server(keys, name);

	zone->name = mem_dup_string(name);
	zone->spec = spec;
	zone->keys = keys;
	zone->error = error;
	zone->error_size = size;
	zone->is_signed = spec == NULL || spec->signing != LAB_UNSIGNED;
	zone->is_stripped = spec != NULL && spec->signing == LAB_STRIPPED;
	zone->records = ldns_dnssec_zone_new();
	zone->apex = ldns_dname_new_frm_str(name);
	snprintf(zone->address, sizeof(zone->address), "198.51.100.%d",
	    server & 0xff);
	if (server != -1 && zone->apex != NULL)
		return zone;
	served_zone_refuse(zone, "%s", server == -1 ?
	    "no address is left for its server" : "not a domain name");
	served_zone_free(zone);
	return NULL;
}

void served_zone_finish(struct served_zone *zone)
{
	zone->spec = NULL;
	zone->parent = NULL;
	zone->keys = NULL;
	zone->error = NULL;
	zone->error_size = 0;
}

void served_zone_free(struct served_zone *zone)
{
	size_t i;

	if (zone == NULL)
		return;
	for (i = 0; i < zone->lie_count; i++)
		ldns_rdf_deep_free(zone->lies[i].name);
	mem_free(zone->lies);
	ldns_dnssec_zone_deep_free(zone->records);
	ldns_rdf_deep_free(zone->apex);
	mem_free(zone->name);
	mem_free(zone);
}
