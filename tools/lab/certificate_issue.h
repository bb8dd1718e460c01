/* SPDX-License-Identifier: ISC */
/*
 * One certificate at a time: an order says what it is to be, and out comes the
 * certificate with its key. Making them cannot fail unless OpenSSL does, and
 * that ends the process.
 */
#ifndef POSTERN_TOOLS_LAB_CERTIFICATE_ISSUE_H
#define POSTERN_TOOLS_LAB_CERTIFICATE_ISSUE_H

#include <openssl/x509.h>
#include <stdbool.h>

#include "tools/lab/scenario.h"

struct lab_pair {
	X509		*x509;		/* owned */
	EVP_PKEY	*key;		/* owned */
};

struct lab_order {
	const char		*common_name;	/* "%HH" a byte; "": none */
	const char		*organization;	/* the same */
	const struct lab_texts	*names;		/* SAN; "%HH"; null: none */
	const struct lab_texts	*addresses;	/* SAN; null: none */
	const struct lab_pair	*issuer;	/* null: itself */
	bool			 signs;		/* its key usage: others */
	bool			 authority;	/* and it says that it may */
	enum lab_validity	 validity;
	enum lab_key		 key;
	enum lab_digest		 digest;	/* nothing to an Ed25519 issuer */
	enum lab_usage		 usage;		/* of those who do not sign */
	/* Who asks with the same words again gets the same key, as long as the
	 * process lives; null: a new one. */
	const char		*key_name;
};

struct lab_pair	 lab_pair_issue(const struct lab_order *order);
void		 lab_pair_release(struct lab_pair *pair);
/* Ends the process with what failed. */
void		 lab_pair_need(bool worked, const char *what);

#endif
