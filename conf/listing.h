/* SPDX-License-Identifier: ISC */
/*
 * One list of clients in the DNS (RFC 5782), as dnsbl and dnswl name it: "ZONE"
 * or "ZONE ANSWERS", the answers being addresses and ranges of them by commas,
 * such as "bl.example 127.0.0.2-127.0.0.11,127.0.0.20". Pure.
 */
#ifndef POSTERN_CONF_LISTING_H
#define POSTERN_CONF_LISTING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/address.h"

struct endpoint;

enum { CONF_LISTINGS_MAX = 16,	/* of one option */
    LISTING_RANGES_MAX = 32 };

struct conf_listing {
	char		 zone[ADDRESS_DOMAIN_MAX + 1];
	size_t		 count;		/* 0: whatever is no refusal */
	struct {
		uint32_t first, last;	/* host order, both included */
	}		 ranges[LISTING_RANGES_MAX];
};

enum conf_listing_answer {
	LISTING_OTHER,		/* means nothing here */
	LISTING_LISTED,
	LISTING_REFUSED		/* the list does not answer us: 127.255.255.x */
};

/* False if text is none. */
bool	 conf_listing_read(struct conf_listing *listing, const char *text);
/* What one A record says. */
enum conf_listing_answer	 conf_listing_judge(
				    const struct conf_listing *listing,
				    const struct endpoint *answer);

#endif
