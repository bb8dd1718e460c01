/* SPDX-License-Identifier: ISC */
/*
 * The arithmetic of a signature, given the SHA-256 of what is signed (RFC 6376
 * 3.3, RFC 8463 3): RSA with PKCS #1 v1.5, or PureEdDSA over the digest. Keys
 * are EVP_PKEY, already judged by who read them.
 */
#ifndef POSTERN_AUTHENTIC_DKIM_SIGNATURE_H
#define POSTERN_AUTHENTIC_DKIM_SIGNATURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "authentic/dkim_key.h"

/* RSA of 4096 bits. */
enum { DKIM_SIGNATURE_MAX = 512 };

/* Writes up to DKIM_SIGNATURE_MAX bytes; how many, or -1. */
int	 dkim_signature_make(enum dkim_algorithm algorithm, void *key,
	    const uint8_t *digest, uint8_t *out);
bool	 dkim_signature_verifies(enum dkim_algorithm algorithm, void *key,
	    const uint8_t *digest, const uint8_t *signature, size_t length);

#endif
