/* SPDX-License-Identifier: ISC */
/*
 * Logging in, the client's part (RFC 4422): which mechanism of those that a
 * server offers, and the messages of one exchange, as they are inside base64.
 * Best first: SCRAM-SHA-256-PLUS (RFC 7677, with the channel binding of RFC
 * 9266), SCRAM-SHA-256, PLAIN, LOGIN, and EXTERNAL for who has a certificate.
 * Where and when a password may be said at all is the caller's business.
 */
#ifndef POSTERN_DELIVERY_SASL_H
#define POSTERN_DELIVERY_SASL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;
struct credentials;
struct sasl;

/* In the order in which they are preferred. */
enum sasl_mechanism { SASL_SCRAM_SHA_256_PLUS, SASL_SCRAM_SHA_256, SASL_PLAIN,
    SASL_LOGIN, SASL_EXTERNAL, SASL_MECHANISMS };

enum sasl_result {
	SASL_OK,
	SASL_ODD,		/* not a challenge of the mechanism */
	SASL_FALSE_SERVER	/* it has not got our password */
};

/* Of ours; in base64 it fits into a command of the client. */
enum { SASL_MESSAGE_MAX = 2560, SASL_BINDING_MAX = 64,
    SASL_CHALLENGE_TEXT_MAX = 2048 };

/* What we have to show; borrowed. */
struct sasl_means {
	const struct credentials	*credentials;	/* or null */
	bool				 certificate;	/* shown under TLS */
	const uint8_t			*binding;	/* tls-exporter */
	size_t				 binding_length;	/* 0: none */
};

const char	*sasl_name(enum sasl_mechanism mechanism);
/* offered: words with blanks between, as in the EHLO reply. refused: bits of
 * mechanisms not to take. SASL_MECHANISMS when none is left. A certificate
 * alone serves where there are no credentials only. */
enum sasl_mechanism	 sasl_choose(const struct sasl_means *means,
			    const char *offered, unsigned refused);
/* Is the mechanism among those words? */
bool		 sasl_is_offered(enum sasl_mechanism mechanism,
		    const char *offered);
struct sasl	*sasl_new(enum sasl_mechanism mechanism,
		    const struct sasl_means *means, const char *offered);
/* Wipes. Null is allowed. */
void		 sasl_free(struct sasl *sasl);
/* False: the mechanism has no initial response (out stays empty). */
bool		 sasl_begin(struct sasl *sasl, struct buf *out);
/* The response to a challenge, perhaps an empty one. */
enum sasl_result	 sasl_go_on(struct sasl *sasl, const void *challenge,
			    size_t length, struct buf *out);
/* The server says that we are in: SASL_FALSE_SERVER where it should have shown
 * first that it has our password, and has not (RFC 5802 3). */
enum sasl_result	 sasl_end(const struct sasl *sasl);

#endif
