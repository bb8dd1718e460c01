/* SPDX-License-Identifier: ISC */
/*
 * The public key of a signer, as its TXT record has it (RFC 6376 3.6.1, RFC
 * 8463 4), and what may be done with it. Only keys that may verify are taken:
 * RSA of 1024 to 4096 bits (RFC 8301 3.2), Ed25519.
 */
#ifndef POSTERN_AUTHENTIC_DKIM_RECORD_H
#define POSTERN_AUTHENTIC_DKIM_RECORD_H

#include <stdbool.h>
#include <stddef.h>

#include "authentic/dkim_key.h"

struct dkim_record {
	enum dkim_algorithm	 algorithm;
	void			*key;		/* EVP_PKEY; owned */
	bool			 testing;	/* t=y */
	bool			 no_subdomains;	/* t=s */
};

/* Null, and the caller releases; or what is wrong with it. */
const char	*dkim_record_read(struct dkim_record *record,
		    const char *text, size_t length);
void		 dkim_record_release(struct dkim_record *record);

#endif
