/* SPDX-License-Identifier: ISC */
/*
 * What stays the same of a zone when its world is built anew: its key, one
 * P-256 key that signs everything (RFC 6605; flags 257), and the numbers of
 * its servers' addresses. Each is made when it is first asked for. Names are
 * lower case without a final dot, the root is ".".
 */
#ifndef POSTERN_TOOLS_LAB_KEYS_H
#define POSTERN_TOOLS_LAB_KEYS_H

#include <stddef.h>

#include "tools/lab/ldns.h"

struct lab_keys;

enum { LAB_SERVERS_MAX = 4 };	/* of a zone */

/* Borrowed. Who signs sets inception and expiration each time. */
ldns_key	*lab_keys_zone(struct lab_keys *keys, const char *zone);
/* The zone's DNSKEY, and the DS of any DNSKEY; owned by the caller. */
ldns_rr		*lab_keys_dnskey(struct lab_keys *keys, const char *zone);
ldns_rr		*lab_keys_ds(const ldns_rr *dnskey);
/* N of 198.51.100.N for one of a zone's servers (from 0); the root's first is
 * 1. -1 when there are no more. */
int		 lab_keys_server(struct lab_keys *keys, const char *zone,
		    size_t server);

#endif
