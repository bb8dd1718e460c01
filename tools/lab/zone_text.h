/* SPDX-License-Identifier: ISC */
/*
 * Texts of a zone section made into what libldns wants. Functions that have a
 * zone give null or -1 with a sentence in its error that names zone and text.
 */
#ifndef POSTERN_TOOLS_LAB_ZONE_TEXT_H
#define POSTERN_TOOLS_LAB_ZONE_TEXT_H

#include <stdint.h>

#include "tools/lab/ldns.h"
#include "tools/lab/zone.h"

struct lab_identities;

/* "OWNER [TTL] TYPE DATA"; owned by the caller. */
ldns_rr	*zone_text_record(struct served_zone *zone, const char *text,
	    const struct lab_identities *identities);
/* "OWNER TYPE"; the name is the caller's. */
int	 zone_text_set(struct served_zone *zone, const char *text,
	    ldns_rdf **name, ldns_rr_type *type);
/* "OWNER TYPE ANSWER [SERVER]"; lie->name is the caller's. */
int	 zone_text_lie(struct served_zone *zone, const char *text,
	    struct zone_lie *lie);
/* "OWNER TYPE [TTL] RECORD-TYPE DATA": the type that is asked for, and the
 * record; owned by the caller. */
ldns_rr	*zone_text_substitute(struct served_zone *zone, const char *text,
	    const struct lab_identities *identities, ldns_rr_type *asked);

/*
 * For who reads scenarios: what is wrong with one text of a list, without its
 * zone, or null. A part of a sentence, as "unknown type"; good until the next
 * call of any of them. Whether a certificate that is named exists, whether an
 * owner with a final dot is in the zone, and whether a set is there is not
 * looked at.
 */
const char	*lab_record_problem(const char *record);
const char	*lab_set_problem(const char *set);	/* expired-sets ... */
/* servers: how many the zone has. */
const char	*lab_answer_problem(const char *answer, int64_t servers);
const char	*lab_substitute_problem(const char *substitute);

#endif
