/* SPDX-License-Identifier: ISC */
/*
 * A certificate chain with its key, read from PEM: what a server shows and
 * what a client shows. For the files of tls.h only.
 */
#ifndef POSTERN_BASE_TLS_CHAIN_H
#define POSTERN_BASE_TLS_CHAIN_H

struct evp_pkey_st;
struct stack_st_X509;
struct x509_st;

/* What a PEM pair was made of. */
struct tls_chain {
	struct x509_st		*leaf;
	struct stack_st_X509	*chain;		/* without the leaf */
	struct evp_pkey_st	*key;
};

/*
 * chain is zeroed, and released by the caller whatever comes of it. Null, or a
 * sentence part: no certificate or key, they do not belong together, or the
 * key is weaker than RFC 9325 4.5 allows.
 */
const char	*tls_chain_read(struct tls_chain *chain,
		    const char *chain_pem, const char *key_pem);
void		 tls_chain_release(struct tls_chain *chain);

#endif
