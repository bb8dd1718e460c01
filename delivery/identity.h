/* SPDX-License-Identifier: ISC */
/*
 * Who we are to a host: the credentials and the certificate of a route, the
 * name that we give, the address that we come from, and which of SMTP and LMTP
 * is spoken over what. Connections are shared only by those who are the same.
 */
#ifndef POSTERN_DELIVERY_IDENTITY_H
#define POSTERN_DELIVERY_IDENTITY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/digest.h"
#include "base/net.h"

struct conf_route;
struct credentials;
struct profile;
struct tls_identity;

/* Pointers are borrowed of the profile. */
struct identity {
	const struct credentials	*credentials;	/* null: none */
	const struct tls_identity	*certificate;	/* null: none */
	const char			*certificate_name;	/* or "" */
	const char			*hello;		/* in EHLO or LHLO */
	struct endpoint			 source;	/* length 0: any */
	bool				 by_route;	/* the administrator
							 * wrote the host */
	bool				 lmtp;		/* RFC 2033 */
	const char			*socket;	/* Unix; or "" */
	uint8_t				 digest[DIGEST_BYTES];	/* of it all */
};

/* route: the one that mail goes by, null if none. address: where to. */
void	 identity_make(struct identity *identity,
	    const struct profile *profile, const struct conf_route *route,
	    const struct endpoint *address);

#endif
