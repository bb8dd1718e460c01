/* SPDX-License-Identifier: ISC */
/*
 * The inside of a client's expectation, shared by tls_client.c, tls_judge.c
 * and tls_dane.c and nobody else: what has to be remembered until the
 * handshake is done, and the parts of judging that more than one kind of check
 * needs.
 */
#ifndef POSTERN_BASE_TLS_WANTED_H
#define POSTERN_BASE_TLS_WANTED_H

#include <stdbool.h>
#include <stddef.h>

#include "base/tls.h"

struct ssl_ctx_st;
struct ssl_st;
struct x509_st;
struct x509_store_st;

enum { TLS_DEPTH_MAX = 10,	/* of a chain */
    TLS_LEVEL_VERIFY = 2 };	/* OpenSSL's security level: 112 bits */

struct tls_wanted {
	enum tls_check		 check;
	char			**names;	/* owned, and each of them */
	size_t			 name_count;
	uint8_t			(*fingerprints)[DIGEST_BYTES];	/* owned */
	size_t			 fingerprint_count;

	/* TLS_CHECK_DANE: the records themselves are in the session */
	size_t			 accepted;	/* records that OpenSSL took */
	bool			 has_anchors;	/* usage 2 among them */
	bool			 has_masked;	/* digests that a stronger one
						 * of their kind hides */
	char			*also_name;	/* owned; null */
	char			*note_name;	/* owned; null */
	struct x509_store_st	*store;		/* shared; null: no trust */
};

/* Does the certificate serve for a name that was asked for? Fills
 * matched_name. An address is compared with addresses only (TLS-100). */
bool	 tls_shows_name(struct tls_facts *facts, struct x509_st *certificate,
	    const char *name);
/* Puts into problem, behind what is there, and into verdict why no path was
 * found: result is one of OpenSSL's X509_V_ERR_*. */
void	 tls_explain_path(struct tls_facts *facts, struct x509_st *leaf,
	    long result);

/* --- tls_dane.c --- */

void	 tls_dane_enable(struct ssl_ctx_st *context);
/* Gives the records and names to a session that has not begun. */
void	 tls_dane_begin(struct ssl_st *ssl, const struct tls_expect *expect,
	    struct tls_wanted *wanted);
void	 tls_dane_judge(struct tls_facts *facts, struct ssl_st *ssl,
	    const struct tls_wanted *wanted);

#endif
