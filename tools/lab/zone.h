/* SPDX-License-Identifier: ISC */
/*
 * One zone of the lab's names, ready to be served: its records with their
 * signatures and proofs, and the questions that are answered falsely.
 *
 * Apex SOA and NS, the servers' address records (lab-ns, lab-ns2 ...), the
 * delegations, DS, DNSKEY, signatures and denials are made here; the rest is
 * what the scenario says. An owner "*" in the list of false answers is every
 * name of the zone, "*.x" every name below x.
 */
#ifndef POSTERN_TOOLS_LAB_ZONE_H
#define POSTERN_TOOLS_LAB_ZONE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tools/lab/keys.h"
#include "tools/lab/ldns.h"
#include "tools/lab/scenario.h"

struct lab_identities;

enum { NSEC3_SHA1 = 1 };	/* RFC 5155 11: the only hash there is */

struct zone_lie {
	ldns_rdf		*name;		/* owned */
	bool			 below;		/* every name below it */
	ldns_rr_type		 type;		/* ANY: every type */
	enum lab_dns_answer	 answer;
	size_t			 server;	/* from 1; 0: all of them */
};

/* What is answered to a question in place of the truth, as it was given: in
 * that order, and twice what is there twice. */
struct zone_substitute {
	ldns_rdf		*name;		/* owned */
	ldns_rr_type		 type;		/* ANY: every type */
	ldns_rr_list		*records;	/* owned, with what is in it */
	ldns_rr_list		*signatures;	/* the same; may be empty */
};

struct served_zone {
	char			*name;		/* owned; "." is the root */
	char			 addresses[LAB_SERVERS_MAX][16];
	size_t			 server_count;
	ldns_rdf		*apex;		/* owned */
	ldns_dnssec_zone	*records;	/* owned */
	bool			 is_signed;
	bool			 is_stripped;	/* but does not show it */
	bool			 has_nsec3;
	uint16_t		 iterations;	/* of NSEC3 */
	struct zone_lie		*lies;		/* owned */
	size_t			 lie_count;
	struct zone_substitute	*substitutes;	/* owned */
	size_t			 substitute_count;

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
/* Single sets: expired, future, unsigned, tampered; the lies and substitutes;
 * and the unknown algorithm. */
int	 served_zone_spoil(struct served_zone *zone,
	    const struct lab_identities *identities);
/* It is built: nothing of the caller's is in use any more. */
void	 served_zone_finish(struct served_zone *zone);

/* Of those steps (zone_sign.c): the zone's DNSKEY and DS, owned by the caller;
 * the one signature of a set under these dates, owned by the caller; all
 * signatures as if they were of the unknown algorithm. */
ldns_rr	*zone_sign_dnskey(struct served_zone *zone);
ldns_rr	*zone_sign_ds(struct served_zone *zone);
ldns_rr	*zone_sign_set(struct served_zone *zone, ldns_rr_list *records,
	    enum lab_validity validity);
void	 zone_sign_disguise(struct served_zone *zone);

/* "zone NAME: " and the sentence; -1. */
int	 served_zone_refuse(struct served_zone *zone, const char *format, ...)
	    __attribute__((format(printf, 2, 3)));

#endif
