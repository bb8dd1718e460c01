/* SPDX-License-Identifier: ISC */
/*
 * What stream.c needs of the TLS files and nobody else should see: making an
 * OpenSSL session from a context, and reading a finished or failed handshake.
 * struct ssl_st is OpenSSL's SSL; struct ssl_ctx_st its SSL_CTX.
 */
#ifndef POSTERN_BASE_TLS_SESSION_H
#define POSTERN_BASE_TLS_SESSION_H

#include <stdbool.h>
#include <stddef.h>

#include "base/tls.h"

struct bio_st;
struct ssl_ctx_st;
struct ssl_st;
struct x509_st;

/* A session that will accept or connect, without a socket; owned by the
 * caller. */
struct ssl_st	*tls_server_session(struct tls_server *server);
/* wanted gets what the connection must show, for when the handshake is done;
 * owned by the caller. */
struct tls_wanted;
struct ssl_st	*tls_client_session(struct tls_client *client,
		    const struct tls_expect *expect,
		    struct tls_wanted **wanted);
void		 tls_wanted_free(struct tls_wanted *wanted);

/* After the handshake: what was negotiated and shown, then whether that is
 * what was wanted. */
void	 tls_facts_fill(struct tls_facts *facts, struct ssl_st *ssl);
void	 tls_facts_judge(struct tls_facts *facts, struct ssl_st *ssl,
	    const struct tls_wanted *wanted);
/* False when the peer lacks what TLS 1.2 needs to be safe (TLS-116). */
bool	 tls_is_acceptable(struct ssl_st *ssl);

/* The earliest error in OpenSSL's queue, as a sentence part; the queue is
 * empty afterwards. fallback is used when there is none. */
void	 tls_describe_error(char *out, size_t size, const char *fallback);
/* True when the earliest error is an end without close_notify. */
bool	 tls_error_is_end(void);

/* --- shared by the files of tls.h --- */

/* A context with the profile of tls.h; level is OpenSSL's security level. */
struct ssl_ctx_st	*tls_context_new(bool server, int level);
/* A read-only BIO over text; owned by the caller. */
struct bio_st		*tls_open_text(const char *text);
/* True when name (a host name) is what pattern says: the same name, or one
 * label in the place of a leading "*." (TLS-97). */
bool	 tls_name_matches(const char *pattern, const char *name);
/* Calls visit for each DNS name of the certificate, until it returns true;
 * says whether one did. Common names are never looked at (TLS-96). */
bool	 tls_each_name(struct x509_st *certificate,
	    bool (*visit)(void *arg, const char *name), void *arg);

#endif
