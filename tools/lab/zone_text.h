/* SPDX-License-Identifier: ISC */
/*
 * Texts of a zone section made into what libldns wants. Every function gives
 * null or -1 with a sentence in the zone's error that names zone and text.
 */
#ifndef POSTERN_TOOLS_LAB_ZONE_TEXT_H
#define POSTERN_TOOLS_LAB_ZONE_TEXT_H

#include "tools/lab/ldns.h"
#include "tools/lab/zone.h"

struct lab_identities;

/* "OWNER [TTL] TYPE DATA"; owned by the caller. */
ldns_rr	*zone_text_record(struct served_zone *zone, const char *text,
	    const struct lab_identities *identities);
/* "OWNER TYPE"; the name is the caller's. */
int	 zone_text_set(struct served_zone *zone, const char *text,
	    ldns_rdf **name, ldns_rr_type *type);
/* "OWNER TYPE ANSWER"; lie->name is the caller's. */
int	 zone_text_lie(struct served_zone *zone, const char *text,
	    struct zone_lie *lie);

#endif
