/* SPDX-License-Identifier: ISC */
/*
 * A list: scenarios have a dozen zones. The key tag is set by hand, because
 * libldns puts whatever it finds there into the signatures.
 */
#include "tools/lab/keys.h"

#include <string.h>
#include <sys/queue.h>

#include "base/log.h"
#include "base/mem.h"
#include "tools/lab/names.h"

enum { KEY_BITS = 256, KEY_FLAGS = 257 /* zone key, entry point */,
    KEY_TTL = 1, ADDRESSES_MAX = 254 };

struct zone_key {
	char		*zone;		/* owned */
	ldns_key	*key;		/* owned; null until asked for */
	int		 servers[LAB_SERVERS_MAX];	/* 0 until asked for */
	STAILQ_ENTRY(zone_key) entry;
};

struct lab_keys {
	STAILQ_HEAD(, zone_key) list;
	int		 address_count;
	char		*anchor;	/* owned */
};

static struct zone_key *get(struct lab_keys *keys, const char *zone)
{
	struct zone_key *item;

	STAILQ_FOREACH(item, &keys->list, entry)
		if (strcmp(item->zone, zone) == 0)
			return item;
	item = mem_alloc(sizeof(*item));
	item->zone = mem_dup_string(zone);
	STAILQ_INSERT_TAIL(&keys->list, item, entry);
	return item;
}

static void make_key(struct zone_key *item)
{
	ldns_key *key = ldns_key_new_frm_algorithm(LDNS_SIGN_ECDSAP256SHA256,
	    KEY_BITS);
	ldns_rdf *owner = ldns_dname_new_frm_str(item->zone);
	ldns_rr *record;

	if (key == NULL || owner == NULL)
		fatal("no key for a zone", log_text("zone", item->zone));
	ldns_key_set_pubkey_owner(key, owner);
	ldns_key_set_flags(key, KEY_FLAGS);
	ldns_key_set_origttl(key, KEY_TTL);
	record = ldns_key2rr(key);
	ldns_key_set_keytag(key, ldns_calc_keytag(record));
	ldns_rr_free(record);
	item->key = key;
}

ldns_key *lab_keys_zone(struct lab_keys *keys, const char *zone)
{
	struct zone_key *item = get(keys, zone);

	if (item->key == NULL)
		make_key(item);
	return item->key;
}

ldns_rr *lab_keys_dnskey(struct lab_keys *keys, const char *zone)
{
	ldns_rr *record = ldns_key2rr(lab_keys_zone(keys, zone));

	ldns_rr_set_ttl(record, KEY_TTL);
	return record;
}

ldns_rr *lab_keys_ds(const ldns_rr *dnskey)
{
	ldns_rr *ds = ldns_key_rr2ds(dnskey, LDNS_SHA256);

	if (ds == NULL)
		fatal("no DS for a zone");
	return ds;
}

int lab_keys_server(struct lab_keys *keys, const char *zone, size_t server)
{
	int *number = &get(keys, zone)->servers[server];

	if (*number == 0 && keys->address_count < ADDRESSES_MAX)
		*number = ++keys->address_count;
	return *number > 0 ? *number : -1;
}

const char *lab_keys_anchor(struct lab_keys *keys)
{
	ldns_rr *dnskey, *ds;
	char *text;

	if (keys->anchor == NULL) {
		dnskey = lab_keys_dnskey(keys, ".");
		ds = lab_keys_ds(dnskey);
		text = ldns_rr2str(ds);
		text[strcspn(text, ";\n")] = '\0';
		keys->anchor = mem_dup_string(text);
		LDNS_FREE(text);
		ldns_rr_free(ds);
		ldns_rr_free(dnskey);
	}
	return keys->anchor;
}

struct lab_keys *lab_keys_new(void)
{
	struct lab_keys *keys = mem_alloc(sizeof(*keys));

	STAILQ_INIT(&keys->list);
	/* The root's key and address before any fork. */
	lab_keys_anchor(keys);
	lab_keys_server(keys, ".", 0);
	return keys;
}

void lab_keys_free(struct lab_keys *keys)
{
	struct zone_key *item;

	if (keys == NULL)
		return;
	while ((item = STAILQ_FIRST(&keys->list)) != NULL) {
		STAILQ_REMOVE_HEAD(&keys->list, entry);
		if (item->key != NULL)
			ldns_key_deep_free(item->key);
		mem_free(item->zone);
		mem_free(item);
	}
	mem_free(keys->anchor);
	mem_free(keys);
}
