/* SPDX-License-Identifier: ISC */
/*
 * The words of proof.h; the same order as the enum.
 */
#include "authentic/proof.h"

static const char *const names[PROOF_COUNT] = { "none", "pass", "fail",
    "softfail", "neutral", "policy", "temperror", "permerror" };

const char *proof_name(enum proof proof)
{
	return names[proof];
}
