/* SPDX-License-Identifier: ISC */
/*
 * Which NSEC or NSEC3 records prove that something is not there. The names
 * are lower case and in the zone.
 */
#ifndef POSTERN_TOOLS_LAB_DENIAL_H
#define POSTERN_TOOLS_LAB_DENIAL_H

#include <stdbool.h>
#include <stddef.h>

#include "tools/lab/ldns.h"

struct served_zone;

enum { DENIAL_MAX = 6 };

/* Names of the zone whose nsec and nsec_signatures make up the proof. */
struct denial {
	const ldns_dnssec_name	*items[DENIAL_MAX];
	size_t			 count;
};

/* The name has no records of the type asked for: it exists, is an empty
 * non-terminal, or is an unsigned delegation. */
void	 denial_of_data(const struct served_zone *zone, const ldns_rdf *name,
	    struct denial *denial);
/* Neither the name nor a wildcard for it exists. encloser is its nearest
 * ancestor that exists. */
void	 denial_of_name(const struct served_zone *zone, const ldns_rdf *name,
	    const ldns_rdf *encloser, struct denial *denial);
/* The name does not exist, so that the wildcard under encloser stands for it;
 * and, with of_data, that wildcard has no records of the type. */
void	 denial_before_wildcard(const struct served_zone *zone,
	    const ldns_rdf *name, const ldns_rdf *wildcard, bool of_data,
	    struct denial *denial);
/* One that is about another name: it neither matches nor covers this one. */
void	 denial_of_other(const struct served_zone *zone, const ldns_rdf *name,
	    struct denial *denial);

#endif
