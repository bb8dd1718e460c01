/* SPDX-License-Identifier: ISC */
/*
 * Deliberate defects, to prove that the lab sees them: a build made with
 * `configure --enable-breakage` has those that the environment variable
 * POSTERN_BROKEN names (words with commas between). Any other build has none,
 * and the compiler removes the question.
 *
 *	any-tlsa	any certificate fulfils TLSA records
 *	lookup-errors	a failed TLSA lookup counts as "no records"
 *	mx-match	MTA-STS: every MX name matches the policy
 *	shared-plans	connections are re-used whatever the plan asks
 *	clear-at-once	what should wait or fail without TLS goes in clear
 *	unusable-none	unusable TLSA records count as none
 *	unsigned-records TLSA records count though nobody signed them
 *	usage-ignored	TLSA usage 2 is met by the leaf itself, as 3 is
 *	any-name	names in certificates are not compared
 *	any-date	MTA-STS: expired certificates are good
 *	any-issuer	MTA-STS: so are those of an unknown authority
 *	sts-over-dane	an MTA-STS policy that holds replaces TLSA records
 *	never-enforce	MTA-STS: mode enforce is as testing
 *	forget-policy	MTA-STS: a policy counts only when it was just fetched
 *	single-write	pages go to the tables at once, torn by a power cut
 */
#ifndef POSTERN_BASE_BROKEN_H
#define POSTERN_BASE_BROKEN_H

#include <stdbool.h>

#include "config.h"

#ifdef POSTERN_BREAKABLE
bool	 broken(const char *defect);
#else
#define broken(defect) false
#endif

#endif
