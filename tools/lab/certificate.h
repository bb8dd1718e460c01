/* SPDX-License-Identifier: ISC */
/*
 * The lab's certificates: made anew for each run, in memory.
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
	/* DER, for TLSA: the leaf, the intermediate that signed it (or null),
	 * its root (of a self-signed one: itself) */
	uint8_t		*leaf, *intermediate, *root;
	size_t		 leaf_length, intermediate_length, root_length;
};

struct lab_identities {
	struct lab_identity	*items;		/* one for each certificate */
	struct lab_identity	*impostors;	/* the same in all but the
						 * keys; of one more authority
						 * that nobody trusts, or of
						 * themselves if the true are */
	size_t			 count;
	char			*ca_pem;	/* what the sender trusts */
};

/* All of a world's certificates, in the arena. */
struct lab_identities	*lab_identities_new(const struct lab_world *world,
			    struct arena *arena);
const struct lab_identity	*lab_identity_find(
			    const struct lab_identities *identities,
			    const char *name);
/* Which certificate of a chain a record is about: "@NAME:leaf", "@NAME:issuer"
 * (what signed the leaf), "@NAME:root"; "@NAME" goes by the usage: 0 and 2 the
 * root, all others the leaf. */
enum lab_tlsa_of { LAB_TLSA_BY_USAGE, LAB_TLSA_LEAF, LAB_TLSA_ISSUER,
    LAB_TLSA_ROOT };

struct lab_tlsa_form {
	int			 usage;		/* 0 to 255; see above */
	int			 selector;	/* 0 or 1 */
	int			 matching;	/* 0, 1 or 2 */
	enum lab_tlsa_of	 of;
};

/* TLSA data for a certificate: hexadecimal text in the arena; null when there
 * is no such thing. */
char	*lab_tlsa_data(const struct lab_identity *identity,
	    const struct lab_tlsa_form *form, struct arena *arena);

#endif
