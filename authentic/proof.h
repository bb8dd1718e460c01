/* SPDX-License-Identifier: ISC */
/*
 * The words for results of authentication (RFC 8601 2.7), as values.
 */
#ifndef POSTERN_AUTHENTIC_PROOF_H
#define POSTERN_AUTHENTIC_PROOF_H

enum proof { PROOF_NONE, PROOF_PASS, PROOF_FAIL, PROOF_SOFTFAIL, PROOF_NEUTRAL,
    PROOF_POLICY, PROOF_TEMPERROR, PROOF_PERMERROR, PROOF_COUNT };

/* "none", "pass", ... */
const char	*proof_name(enum proof proof);

#endif
