/* SPDX-License-Identifier: ISC */
/*
 * A configuration together with the TLS contexts made from it. Jobs and
 * connections keep the profile they began with while a reload makes a new one,
 * so it is counted. There is one client context per kind of check, so that
 * trust never crosses from one kind to another.
 */
#ifndef POSTERN_DELIVERY_PROFILE_H
#define POSTERN_DELIVERY_PROFILE_H

#include <stddef.h>

#include "base/tls.h"

struct conf;

struct profile {
	unsigned		 references;
	struct conf		*conf;		/* owned */
	struct tls_client	*tls[TLS_CHECKS];	/* owned */
};

/* From an encoded bundle; null with a sentence in error. */
struct profile	*profile_new(const void *bundle, size_t length, char *error,
		    size_t size);
struct profile	*profile_share(struct profile *profile);
/* Frees it with the last reference; null is allowed. */
void		 profile_release(struct profile *profile);

#endif
