/* SPDX-License-Identifier: ISC */
/*
 * Verifying (RFC 6376 6, RFC 8301, RFC 8463), without any input or output:
 *
 *	dkim_verifier_new()	the header is known: signatures are parsed
 *	dkim_verifier_query()	which keys to look up, meanwhile
 *	dkim_verifier_body()	body bytes, in any pieces
 *	dkim_verifier_key()	an answer for each query, in any order
 *	dkim_verifier_finish()	when body and keys are there
 *	dkim_verifier_result()
 */
#ifndef POSTERN_AUTHENTIC_DKIM_VERIFY_H
#define POSTERN_AUTHENTIC_DKIM_VERIFY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "authentic/proof.h"

struct dkim_verifier;
struct fields;

enum { DKIM_SIGNATURES_MAX = 8, DKIM_KEY_RECORD_MAX = 4096 };

/* What the DNS had at the key's name. */
enum dkim_key_answer { DKIM_KEY_FOUND, DKIM_KEY_MISSING, DKIM_KEY_UNREACHABLE };

/* Texts are owned by the verifier, and never null. */
struct dkim_result {
	enum proof	 proof;		/* pass fail policy neutral temperror
					 * permerror */
	const char	*domain;	/* d=, A-labels; "" if unreadable */
	const char	*identity;	/* i=, or "" */
	const char	*selector;
	const char	*algorithm;	/* a=, "" if unreadable */
	const char	*signature;	/* the first 8 letters of b= (RFC 6008) */
	const char	*reason;	/* for people; "" on pass */
	bool		 testing;	/* the key says t=y: what would be fail
					 * is neutral */
};

/* fields must live as long; now is wall ms. Signatures beyond
 * DKIM_SIGNATURES_MAX are not looked at (from the top: newest first); of a
 * header that is too large, none is. */
struct dkim_verifier	*dkim_verifier_new(const struct fields *fields,
			    int64_t now);
void		 dkim_verifier_free(struct dkim_verifier *verifier);
size_t		 dkim_verifier_count(const struct dkim_verifier *verifier);
/* "SELECTOR._domainkey.DOMAIN"; null when this one needs no key any more. */
const char	*dkim_verifier_query(const struct dkim_verifier *verifier,
		    size_t index);
void		 dkim_verifier_body(struct dkim_verifier *verifier,
		    const char *data, size_t length);
/* text: the record's strings joined; "" unless found. Several records at the
 * name are given joined by '\n' and the first usable one counts. */
void		 dkim_verifier_key(struct dkim_verifier *verifier,
		    size_t index, enum dkim_key_answer answer,
		    const char *text);
/* A key never answered counts as unreachable. */
void		 dkim_verifier_finish(struct dkim_verifier *verifier);
const struct dkim_result	*dkim_verifier_result(
				    const struct dkim_verifier *verifier,
				    size_t index);

#endif
