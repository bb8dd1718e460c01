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
