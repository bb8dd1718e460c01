/* SPDX-License-Identifier: ISC */
/*
 * What one DKIM-Signature field claims (RFC 6376 3.5), read strictly: whatever
 * is malformed makes all of it void (AUTHN-19, AUTHN-20, AUTHN-22). What could
 * be read before that is kept to be shown. Nothing is verified here.
 */
#ifndef POSTERN_AUTHENTIC_DKIM_CLAIM_H
#define POSTERN_AUTHENTIC_DKIM_CLAIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "authentic/dkim_canonical.h"
#include "authentic/dkim_key.h"
#include "authentic/dkim_signature.h"
#include "authentic/dkim_tags.h"
#include "base/digest.h"

struct field;

enum { DKIM_NAMES_MAX = 500 };

struct dkim_claim {
	const struct field	*field;		/* outlives us */
	struct dkim_tags	 tags;		/* point into it */

	/* to be shown; never null, owned */
	char			*domain;	/* A-labels */
	char			*selector;
	char			*identity;	/* decoded, domain in A-labels */
	char			*shown_algorithm;
	char			*shown_signature;

	/* valid when nothing is wrong */
	char			*query;		/* owned */
	enum dkim_algorithm	 algorithm;
	enum dkim_canonical	 header, body;
	uint64_t		 limit;		/* l=; UINT64_MAX: none */
	bool			 of_subdomain;	/* i= is below d= */
	bool			 expired;
	bool			 of_the_future;
	/* with room for the last group of base64 */
	uint8_t			 body_digest[DIGEST_BYTES + 1];
	uint8_t			 signature[DKIM_SIGNATURE_MAX + 2];
	size_t			 signature_length;
};

/* Null, or what is wrong; it is to be released either way. now is wall ms. */
const char	*dkim_claim_read(struct dkim_claim *claim,
		    const struct field *field, int64_t now);
void		 dkim_claim_release(struct dkim_claim *claim);

#endif
