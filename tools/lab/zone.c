/* SPDX-License-Identifier: ISC */
/*
 * What is in a zone before it is signed, its delegation, and its life.
 */
#include "tools/lab/zone.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "tools/lab/zone_text.h"

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

/* NS and addresses of a zone's servers: in the zone itself, or in its
 * parent. */
static void add_servers(struct served_zone *in, const struct served_zone *of)
{
	bool is_root = strcmp(of->name, ".") == 0;
	const char *name = is_root ? "" : of->name, *dot = is_root ? "" : ".";
	char server[24];
	size_t i;

	for (i = 0; i < of->server_count; i++) {
		snprintf(server, sizeof(server), i == 0 ? "lab-ns" :
		    "lab-ns%zu", i + 1);
		add_line(in, mem_print("%s. 1 IN NS %s.%s%s", name, server,
		    name, dot));
		add_line(in, mem_print("%s.%s%s 1 IN A %s", server, name, dot,
		    of->addresses[i]));
	}
}

/* libldns keeps one of two that are the same, and loses the other. */
static bool has_record(const struct served_zone *zone, const ldns_rr *record)
{
	const ldns_dnssec_rrsets *set = ldns_dnssec_zone_find_rrset(
	    zone->records, ldns_rr_owner(record), ldns_rr_get_type(record));
	const ldns_dnssec_rrs *item = set != NULL ? set->rrs : NULL;

	for (; item != NULL; item = item->next)
		if (ldns_rr_compare(item->rr, record) == 0)
			return true;
	return false;
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

/* What a name server may remember of what is not there is the lesser of the
 * SOA's own TTL and its minimum (RFC 2308 5). */
static void add_soa(struct served_zone *zone)
{
	const char *name = strcmp(zone->name, ".") == 0 ? "" : zone->name;
	const char *dot = *name != '\0' ? "." : "";
	int64_t ttl = zone->spec != NULL ? zone->spec->negative_ttl : 1;

	add_line(zone, mem_print("%s. %" PRId64 " IN SOA lab-ns.%s%s "
	    "lab.%s%s 1 3600 600 86400 %" PRId64, name, ttl, name, dot, name,
	    dot, ttl));
}

int served_zone_fill(struct served_zone *zone,
    const struct lab_identities *identities)
{
	const struct lab_zone *spec = zone->spec;
	ldns_rr *record;
	size_t i;

	add_soa(zone);
	add_servers(zone, zone);
	for (i = 0; spec != NULL && i < spec->records.count; i++) {
		record = zone_text_record(zone, spec->records.items[i],
		    identities);
		if (record == NULL)
			return -1;
		if (has_record(zone, record)) {
			ldns_rr_free(record);
			return served_zone_refuse(zone, "record \"%s\": it is "
			    "there twice (substitutes can say things twice)",
			    spec->records.items[i]);
		}
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

	if (after_signing != (is_opt_out(parent) && !child->is_signed))
		return;
	add_servers(parent, child);
	if (!parent->is_signed || !child->is_signed || has_ds(child))
		return;
	add_record(parent, zone_sign_ds(child));
}

/* --- life --- */

/* The numbers of a section; 0 servers are the one that there always is. */
static int check_numbers(struct served_zone *zone, const struct lab_zone *spec)
{
	if (spec->servers < 0 || spec->servers > LAB_SERVERS_MAX)
		return served_zone_refuse(zone, "servers are 1 to %d",
		    LAB_SERVERS_MAX);
	if (spec->iterations < 0 || spec->iterations > UINT16_MAX)
		return served_zone_refuse(zone, "iterations are 0 to %d",
		    UINT16_MAX);
	if (spec->negative_ttl < 0 || spec->negative_ttl > INT32_MAX)
		return served_zone_refuse(zone, "negative-ttl is 0 to %d",
		    INT32_MAX);
	zone->iterations = (uint16_t)spec->iterations;
	if (spec->servers > 0)
		zone->server_count = (size_t)spec->servers;
	return 0;
}

static int find_addresses(struct served_zone *zone)
{
	size_t i;
	int number;

	for (i = 0; i < zone->server_count; i++) {
		number = lab_keys_server(zone->keys, zone->name, i);
		if (number == -1)
			return served_zone_refuse(zone, "no address is left "
			    "for its server");
		snprintf(zone->addresses[i], sizeof(zone->addresses[i]),
		    "198.51.100.%d", number & 0xff);
	}
	return 0;
}

struct served_zone *served_zone_new(const char *name,
    const struct lab_zone *spec, struct lab_keys *keys, char *error,
    size_t size)
{
	struct served_zone *zone = mem_alloc(sizeof(*zone));

	zone->name = mem_dup_string(name);
	zone->spec = spec;
	zone->keys = keys;
	zone->error = error;
	zone->error_size = size;
	zone->server_count = 1;
	zone->is_signed = spec == NULL || spec->signing != LAB_UNSIGNED;
	zone->is_stripped = spec != NULL && spec->signing == LAB_STRIPPED;
	zone->records = ldns_dnssec_zone_new();
	zone->apex = ldns_dname_new_frm_str(name);
	if (zone->apex == NULL)
		served_zone_refuse(zone, "not a domain name");
	else if ((spec == NULL || check_numbers(zone, spec) == 0) &&
	    find_addresses(zone) == 0)
		return zone;
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
	for (i = 0; i < zone->substitute_count; i++) {
		ldns_rdf_deep_free(zone->substitutes[i].name);
		ldns_rr_list_deep_free(zone->substitutes[i].records);
		ldns_rr_list_deep_free(zone->substitutes[i].signatures);
	}
	mem_free(zone->substitutes);
	ldns_dnssec_zone_deep_free(zone->records);
	ldns_rdf_deep_free(zone->apex);
	mem_free(zone->name);
	mem_free(zone);
}
