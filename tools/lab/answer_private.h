/* SPDX-License-Identifier: ISC */
/*
 * Between the files that make up an answer: the packet, the truth and the
 * lies. What is said goes into answer->packet, and what it was into word.
 */
#ifndef POSTERN_TOOLS_LAB_ANSWER_PRIVATE_H
#define POSTERN_TOOLS_LAB_ANSWER_PRIVATE_H

#include <stdbool.h>

#include "tools/lab/answer.h"
#include "tools/lab/denial.h"
#include "tools/lab/ldns.h"
#include "tools/lab/zone.h"

struct answer {
	const struct served_zone	*zone;
	ldns_pkt			*packet;	/* owned */
	ldns_rr_type			 type;		/* asked for */
	bool				 dnssec;	/* asked, and shown */
	const char			*word;
};

/* answer_truth.c: what the zone has for a name in it, in lower case. */
void	 answer_say(struct answer *answer, const ldns_rdf *name);
/* Signatures of denials and others only when they are asked for. */
void	 answer_push_soa(struct answer *answer);
void	 answer_push_denial(struct answer *answer,
	    const struct denial *denial);
bool	 answer_is_inside(const struct served_zone *zone,
	    const ldns_rdf *name);

/* answer_lie.c: what this server (from 0) says to a question; TRUE when the
 * zone has no lie for it. */
enum lab_dns_answer	 answer_find_lie(const struct answer *answer,
			    const ldns_rdf *name, size_t server);
/* Says it. Not for TRUE and LATE, which are the truth, nor GARBAGE, which is
 * no packet. False: nothing is to be said at all. */
bool	 answer_lie(struct answer *answer, const ldns_rdf *name,
	    enum lab_dns_answer kind, bool is_tcp);
/* True when there is something in place of the truth; it is said. */
bool	 answer_substitute(struct answer *answer, const ldns_rdf *name);
void	 answer_say_error(struct answer *answer, ldns_pkt_rcode rcode,
	    const char *word);

#endif
