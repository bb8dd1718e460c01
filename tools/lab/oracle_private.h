/* SPDX-License-Identifier: ISC */
/*
 * Between the parts of the oracle: a sender as a set of choices, which notes
 * what it was asked; and whether a certificate proves what is demanded.
 */
#ifndef POSTERN_TOOLS_LAB_ORACLE_PRIVATE_H
#define POSTERN_TOOLS_LAB_ORACLE_PRIVATE_H

#include "tools/lab/oracle.h"

struct sender {
	unsigned	 choices;	/* 1 << enum lab_choice */
	unsigned	 asked;		/* the same: those that mattered */
};

bool	 sender_chooses(struct sender *sender, enum lab_choice choice);

/* What a record may be about, and under which names. */
struct proof {
	const struct lab_certificate	*shown;	/* with its chain */
	/* Reference identifiers: RFC 7672 3.2.2. */
	const char			*names[3];
	size_t				 name_count;
};

bool	 record_is_usable(const struct lab_tlsa_fact *record,
	    struct sender *sender);
/* RFC 7672 3.1, RFC 7671 9: does one of the usable records fit? */
bool	 records_fit(const struct lab_tlsa_facts *records,
	    const struct proof *proof, struct sender *sender);
/* RFC 8461 4.2. */
bool	 public_proof(const struct lab_certificate *shown, const char *name);
/* Of former times: local policy says whether it is good enough. */
bool	 certificate_is_weak(const struct lab_certificate *certificate);

#endif
