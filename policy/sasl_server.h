/* SPDX-License-Identifier: ISC */
/*
 * The server's side of SASL (RFC 4422) for one login: PLAIN (RFC 4616), LOGIN,
 * SCRAM-SHA-256 and -PLUS (RFC 7677), EXTERNAL. A machine per mechanism;
 * messages come decoded. It knows no passwords: what needs one is asked of the
 * caller, who also decides whether a user exists and may log in. All of it is
 * wiped when it is freed.
 */
#ifndef POSTERN_POLICY_SASL_SERVER_H
#define POSTERN_POLICY_SASL_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;
struct sasl_server;
struct scram_secret;

enum sasl_mechanism { SASL_PLAIN, SASL_LOGIN, SASL_SCRAM, SASL_SCRAM_PLUS,
    SASL_EXTERNAL, SASL_MECHANISMS };

enum sasl_result {
	SASL_CHALLENGE,		/* out has it; the next step is the answer */
	SASL_PASSWORD,		/* is sasl_server_password() that of sasl_server_user()? */
	SASL_PROVEN,		/* it is sasl_server_user(), who knows the keys */
	SASL_CERTIFICATE,	/* sasl_server_user() is the certificate's name */
	SASL_REJECTED,
	SASL_MALFORMED
};

struct sasl_context {
	const char	*certificate;	/* borrowed; "" for none */
	const uint8_t	*binding;	/* borrowed; of the TLS session */
	size_t		 binding_length;
	bool		 plus_offered;	/* the client was shown -PLUS */
	/* Fills in the keys of a user; of one who is not there, too. */
	void		(*find)(void *arg, const char *user,
			    struct scram_secret *secret);
	void		*arg;
};

/* Any case; SASL_MECHANISMS: none of them. */
enum sasl_mechanism	 sasl_server_find(const char *name);
const char		*sasl_server_name(enum sasl_mechanism mechanism);

struct sasl_server	*sasl_server_new(enum sasl_mechanism mechanism,
			    const struct sasl_context *context);
/* Null is allowed. */
void			 sasl_server_free(struct sasl_server *sasl);
/* message null: the client began without an initial response. Everything but
 * SASL_CHALLENGE is the last step. */
enum sasl_result	 sasl_server_step(struct sasl_server *sasl,
			    const void *message, size_t length,
			    struct buf *out);
/* Prepared (base/scram.h); "" while not known. Borrowed. */
const char		*sasl_server_user(const struct sasl_server *sasl);
const char		*sasl_server_password(const struct sasl_server *sasl);

#endif
