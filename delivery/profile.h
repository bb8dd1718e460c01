/* SPDX-License-Identifier: ISC */
/*
 * A configuration together with the TLS contexts made from it, and what its
 * routes log in with. Jobs and
 * connections keep the profile they began with while a reload makes a new one,
 * so it is counted. There is one client context per kind of check, so that
 * trust never crosses from one kind to another.
 */
#ifndef POSTERN_DELIVERY_PROFILE_H
#define POSTERN_DELIVERY_PROFILE_H

#include <stddef.h>

#include "base/tls.h"

struct conf;
struct conf_route;
struct credentials;

/* What a route has in files; owned. */
struct profile_route {
	struct credentials	*credentials;	/* null: none */
	struct tls_identity	*certificate;	/* null: none */
};

struct profile {
	unsigned		 references;
	struct conf		*conf;		/* owned */
	struct tls_client	*tls[TLS_CHECKS];	/* owned */
	struct profile_route	*routes;	/* owned; as many as conf has */
};

/* From an encoded bundle; null with a sentence in error. */
struct profile	*profile_new(const void *bundle, size_t length, char *error,
		    size_t size);
struct profile	*profile_share(struct profile *profile);
/* Frees it with the last reference; null is allowed. */
void		 profile_release(struct profile *profile);
/* route is one of the profile's own configuration. */
const struct profile_route	*profile_route(const struct profile *profile,
				    const struct conf_route *route);

#endif
