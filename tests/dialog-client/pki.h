/* SPDX-License-Identifier: ISC */
/*
 * Certificates for dialogues: one authority, and servers signed by it. Made
 * new in each run; PEM text.
 */
#ifndef POSTERN_TESTS_DIALOG_CLIENT_PKI_H
#define POSTERN_TESTS_DIALOG_CLIENT_PKI_H

#include <stddef.h>
#include <stdint.h>

#include "base/digest.h"

struct pki_certificate {
	char	*chain;		/* PEM, owned */
	char	*key;		/* PEM, owned */
	uint8_t	 digest[DIGEST_BYTES];		/* of the certificate */
	uint8_t	 key_digest[DIGEST_BYTES];	/* of its public key */
};

/* issuer null: signed by itself, an authority. name is the only DNS name. */
void	 pki_make(struct pki_certificate *certificate, const char *name,
	    const struct pki_certificate *issuer);
void	 pki_release(struct pki_certificate *certificate);

#endif
