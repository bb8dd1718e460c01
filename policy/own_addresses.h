/* SPDX-License-Identifier: ISC */
/*
 * The addresses of this machine's interfaces: mail that would go to one of
 * them by MX would go in a circle (RFC 5321 5.1).
 */
#ifndef POSTERN_POLICY_OWN_ADDRESSES_H
#define POSTERN_POLICY_OWN_ADDRESSES_H

#include <stddef.h>

#include "base/net.h"

enum { OWN_ADDRESSES_MAX = 256 };

struct own_addresses {
	struct endpoint	 items[OWN_ADDRESSES_MAX];
	size_t		 count;
	int64_t		 read;		/* monotonic, ms; 0: never */
};

/* Interfaces come and go: read again when it was a minute ago. */
void	 own_addresses_read(struct own_addresses *own);

#endif
