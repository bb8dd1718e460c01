/* SPDX-License-Identifier: ISC */
/*
 * One zone of the lab's names, ready to be served: its records with their
 * signatures and proofs, and the questions that are answered falsely.
 *
 * Apex SOA and NS, the server's address record (lab-ns), the delegations, DS,
 * DNSKEY, signatures and denials are made here; the rest is what the scenario
 * says. An owner "*" in the list of false answers is every name of the zone,
 * "*.x" every name below x.
 */
#ifndef POSTERN_TOOLS_LAB_ZONE_H
#define POSTERN_TOOLS_LAB_ZONE_H

#include <stdbool.h>
#include <stddef.h>

#include "tools/lab/ldns.h"
#include "tools/lab/scenario.h"

struct lab_identities;
struct lab_keys;

struct zone_lie {
	ldns_rdf		*name;		/* owned */
	bool			 below;		/* every name below it */
	ldns_rr_type		 type;		/* ANY: every type */
	enum lab_dns_answer	 answer;
};

struct served_zone {
	char			*name;		/* owned; "." is the root */
	char			 address[sizeof("198.51.100.255")];
	ldns_rdf		*apex;		/* owned */
	ldns_dnssec_zone	*records;	/* owned */
	bool			 is_signed;
	bool			 is_stripped;	/* but does not show it */
	bool			 has_nsec3;
	struct zone_lie		*lies;		/* owned */
	size_t			 lie_count;

	/* while it is built */
	const struct lab_zone	*spec;		/* null: a parent made for it */
	struct served_zone	*parent;	/* null for the root */
	struct lab_keys		*keys;
	char			*error;		/* where a sentence goes */
	size_t			 error_size;
};

/*
 * Null with a sentence in error. spec is null for a parent that no scenario
 * section describes. keys, spec and error stay in use until it is
 * finished.
 */
struct served_zone	*served_zone_new(const char *name,
			    const struct lab_zone *spec, struct lab_keys *keys,
			    char *error, size_t size);
void			 served_zone_free(struct served_zone *zone);

/* The steps of building, in order. -1 with a sentence in error. */
int	 served_zone_fill(struct served_zone *zone,
	    const struct lab_identities *identities);
/* Into its parent. In a signed parent with opt-out, unsigned children come in
 * after signing, so that no denial knows them (RFC 5155 7.1). */
void	 served_zone_delegate(struct served_zone *child, bool after_signing);
void	 served_zone_sign(struct served_zone *zone);
/* Single sets: expired, future, unsigned, tampered; and the lies. */
int	 served_zone_spoil(struct served_zone *zone);
/* It is built: nothing of the caller's is in use any more. */
void	 served_zone_finish(struct served_zone *zone);

/* "zone NAME: " and the sentence; -1. */
int	 served_zone_refuse(struct served_zone *zone, const char *format, ...)
	    __attribute__((format(printf, 2, 3)));

#endif
