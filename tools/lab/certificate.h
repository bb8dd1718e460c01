/* SPDX-License-Identifier: ISC */
/*
 * The lab's certificates: made anew for each run, in memory, with P-256 keys.
 */
#ifndef POSTERN_TOOLS_LAB_CERTIFICATE_H
#define POSTERN_TOOLS_LAB_CERTIFICATE_H

#include <stddef.h>
#include <stdint.h>

#include "tools/lab/scenario.h"

struct arena;

struct lab_identity {
	const char	*name;		/* of the certificate section */
	char		*chain_pem;	/* as it is shown, leaf first */
	char		*key_pem;
	/* DER, for TLSA: the leaf, its intermediate (or null), its root (of
	 * a self-signed one: itself) */
	uint8_t		*leaf, *intermediate, *root;
	size_t		 leaf_length, intermediate_length, root_length;
};

struct lab_identities {
	struct lab_identity	*items;		/* one for each certificate */
	struct lab_identity	*impostors;	/* the same names, other keys,
						 * of one more authority that
						 * nobody trusts */
	size_t			 count;
	char			*ca_pem;	/* what the sender trusts */
};

/* All of a world's certificates, in the arena. */
struct lab_identities	*lab_identities_new(const struct lab_world *world,
			    struct arena *arena);
const struct lab_identity	*lab_identity_find(
			    const struct lab_identities *identities,
			    const char *name);
/*
 * TLSA data for a certificate: usage 0 and 2 take the issuer that is nearest
 * the root, 1 and 3 the leaf; selector 0 or 1, matching 0, 1 or 2. Hexadecimal
 * text in the arena; null when there is no such thing.
 */
char	*lab_tlsa_data(const struct lab_identity *identity, int usage,
	    int selector, int matching, struct arena *arena);

#endif
