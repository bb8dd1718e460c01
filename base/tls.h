/* SPDX-License-Identifier: ISC */
/*
 * TLS contexts and what a handshake showed. The profile is RFC 9325: TLS 1.2
 * and 1.3, forward secrecy, no renegotiation, no compression, no 0-RTT, no
 * NULL, anonymous or export suite. A server context holds the certificates of
 * one listener (chosen by SNI; the first is the default for unknown names,
 * RFC 7672 8.1); a client context is made per kind of check, so that sessions
 * and trust never cross from one kind to another. Servers give tickets that
 * open at the same listener only; clients ask for none.
 */
#ifndef POSTERN_BASE_TLS_H
#define POSTERN_BASE_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/digest.h"

/* Loads providers and algorithms: once per process, before any chroot. */
void	 tls_init(void);

/* --- server --- */

struct tls_server;

struct tls_server	*tls_server_new(void);
/* Reference counted: sessions under way keep the context they began with. */
struct tls_server	*tls_server_share(struct tls_server *server);
void			 tls_server_free(struct tls_server *server);
/*
 * Adds a chain (leaf first) and its key, both PEM. name is for messages. The
 * key is not kept by the caller's buffer. -1 with a sentence in error when the
 * text is no certificate or key, they do not belong together, the key is
 * weaker than RFC 9325 4.5 allows, or the chain has expired only with a
 * warning (logged): an expired certificate is still better than none.
 */
int	 tls_server_add(struct tls_server *server, const char *name,
	    const char *chain_pem, const char *key_pem, char *error,
	    size_t size);
bool	 tls_server_is_empty(const struct tls_server *server);
/*
 * Asks clients for a certificate. Whatever they show (self-signed, expired,
 * of an unknown authority, none) the handshake goes on: facts tell what it
 * was, with a proof that the client has its key. Before the first handshake.
 */
void	 tls_server_ask_certificate(struct tls_server *server);
/* A client that asks for a name of no certificate hears an alert: for HTTPS
 * (RFC 8461 7.1), never for mail. */
void	 tls_server_refuse_unknown(struct tls_server *server);
/*
 * Gives tickets, by which a client's next session is shorter (RFC 8446 2.2,
 * RFC 5077), for the listener of that name. They open only at a server with
 * the same name, the same secrets and the same wish for certificates. tickets
 * is borrowed and must outlive the sessions. Before the first handshake.
 */
struct tls_tickets;
void	 tls_server_give_tickets(struct tls_server *server,
	    struct tls_tickets *tickets, const char *name);

/* --- client --- */

enum tls_check {
	TLS_CHECK_NONE,		/* encrypt; record what was seen */
	TLS_CHECK_NAME,		/* WebPKI path and one of the names */
	TLS_CHECK_FINGERPRINT,	/* SHA-256 of the certificate or of its key */
	TLS_CHECK_DANE,		/* one of the TLSA records (RFC 7672 3) */
	TLS_CHECKS
};

/* A usable TLSA record: usage 2 or 3 (policy/dane.h tells). */
struct tls_tlsa {
	uint8_t		 usage;
	uint8_t		 selector;
	uint8_t		 matching;
	const uint8_t	*data;
	size_t		 length;
};

/* What we show to servers that ask for a certificate. */
struct tls_identity;

/* Chain (leaf first) and key, both PEM; null with a sentence in error, in
 * which name stands, for what tls_server_add() refuses, too. */
struct tls_identity	*tls_identity_new(const char *name,
			    const char *chain_pem, const char *key_pem,
			    char *error, size_t size);
/* Null is allowed. Connections that began with it keep what they need. */
void			 tls_identity_free(struct tls_identity *identity);
/* SHA-256 of the certificate. */
const uint8_t		*tls_identity_digest(
			    const struct tls_identity *identity);

/* What a connection must show. All pointers are borrowed during the call
 * that takes it; stream copies what it keeps. */
struct tls_expect {
	enum tls_check		 check;
	const struct tls_identity	*identity;	/* ours; null: none */
	const char		*sni;		/* null: none is sent */
	const char *const	*names;		/* TLS_CHECK_NAME; "*.x" and
						 * ".x" accept one label */
	size_t			 name_count;
	const uint8_t		(*fingerprints)[DIGEST_BYTES];
	size_t			 fingerprint_count;
	/* TLS_CHECK_DANE: names[0] is the base domain, all names are
	 * reference identifiers for usage 2. With also_name the peer must
	 * meet TLS_CHECK_NAME for that name, too. */
	const struct tls_tlsa	*tlsa;
	size_t			 tlsa_count;
	const char		*also_name;	/* null: DANE alone decides */
	/* TLS_CHECK_DANE: whether it would meet TLS_CHECK_NAME for this name
	 * is only told. Not together with also_name. */
	const char		*note_name;
	/* TLS_CHECK_DANE: a record of usage 3 must meet a name, too (REQ-36a,
	 * requiretls-dane-ee = name-too). */
	bool			 ee_names;
};

struct tls_client;

/* trust_pem: the CA certificates for TLS_CHECK_NAME and also_name, or null. */
struct tls_client	*tls_client_new(enum tls_check check,
			    const char *trust_pem, char *error, size_t size);
void			 tls_client_free(struct tls_client *client);
/* Are there authorities that it trusts? */
bool			 tls_client_has_trust(const struct tls_client *client);

/* --- what was seen --- */

enum { TLS_CHAIN_MAX = 6 };

struct tls_shown {
	char	 subject[128];
	char	 issuer[128];
	char	 names[256];		/* DNS names, with spaces between */
	char	 not_before[24];	/* RFC 3339 */
	char	 not_after[24];
	uint8_t	 certificate_digest[DIGEST_BYTES];
	uint8_t	 key_digest[DIGEST_BYTES];
};

/* What the first certificate of a PEM text shows; -1 if there is none. */
int	 tls_certificate_read(const char *pem, struct tls_shown *shown);

struct tls_facts {
	char	 version[16];		/* "TLSv1.3" */
	char	 cipher[64];		/* "TLS_AES_256_GCM_SHA384" */
	char	 group[32];		/* "X25519"; may be empty */
	int	 bits;
	bool	 resumed;		/* by a ticket: what is said of the
					 * peer was shown in an earlier one */
	bool	 has_peer;		/* the peer showed a certificate */
	uint8_t	 certificate_digest[DIGEST_BYTES];
	uint8_t	 key_digest[DIGEST_BYTES];	/* of SubjectPublicKeyInfo */
	char	 subject[256];
	char	 issuer[256];
	char	 not_after[32];		/* RFC 3339 */
	bool	 verified;		/* what tls_expect asked was shown;
					 * never with TLS_CHECK_NONE */
	char	 matched_name[256];	/* TLS_CHECK_NAME; DANE usage 2 */
	char	 matched_tlsa[96];	/* TLS_CHECK_DANE: "3 1 1 0123...", and
					 * at which depth of the chain */
	/* What was shown, leaf first. */
	struct tls_shown	 chain[TLS_CHAIN_MAX];
	size_t			 chain_count;	/* may be more than fit */
	char	 problem[256];		/* why not verified; a sentence part */
	char	 noted[256];		/* verified, but note_name was not met */
	bool	 note_met;		/* verified, and note_name was met */
	/* Why not verified, as reports put it (RFC 8460 4.3). */
	enum tls_verdict {
		TLS_VERDICT_NONE,	/* verified, or nothing was asked */
		TLS_VERDICT_NAME,	/* another name */
		TLS_VERDICT_EXPIRED,	/* or not yet valid */
		TLS_VERDICT_UNTRUSTED,	/* the path does not hold */
		TLS_VERDICT_NO_MATCH,	/* no TLSA record, no fingerprint */
		TLS_VERDICT_OTHER
	}	 verdict;
};

#endif
