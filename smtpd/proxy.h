/* SPDX-License-Identifier: ISC */
/*
 * The PROXY header (haproxy.org's proxy-protocol, versions 1 and 2), by which
 * a load balancer says whose connection it passes on. Pure: bytes in, an
 * answer out; the answer to a beginning is PROXY_MORE, whatever the cut. The
 * TLVs of version 2 are skipped.
 */
#ifndef POSTERN_SMTPD_PROXY_H
#define POSTERN_SMTPD_PROXY_H

#include <stddef.h>

#include "base/net.h"

/* Version 1 is a line of 107 bytes at most; of version 2 we take that much,
 * which leaves room for TLVs nobody reads. */
enum { PROXY_LINE_MAX = 107, PROXY_BYTES_MAX = 2048 };

enum proxy_result {
	PROXY_MORE,
	PROXY_BAD,		/* it is none: close */
	PROXY_CLIENT,		/* client and local are set */
	PROXY_LOCAL,		/* the balancer's own: looking whether we live */
	PROXY_UNKNOWN		/* it cannot say whose */
};

struct proxy {
	struct endpoint	 client;
	struct endpoint	 local;		/* where the client connected to */
	size_t		 used;		/* bytes of the header */
};

/* proxy is filled with PROXY_CLIENT; used also with LOCAL and UNKNOWN. */
enum proxy_result	 proxy_parse(struct proxy *proxy, const void *data,
			    size_t length);

#endif
