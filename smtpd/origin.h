/* SPDX-License-Identifier: ISC */
/*
 * Where a connection comes from: its other end, or what a load balancer that
 * we believe says of it (proxy.h), or the user behind a Unix socket.
 */
#ifndef POSTERN_SMTPD_ORIGIN_H
#define POSTERN_SMTPD_ORIGIN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/net.h"

struct origin {
	struct endpoint	 address;	/* of the client */
	struct endpoint	 local;		/* where it came in */
	int64_t		 uid;		/* of a Unix socket's other end; -1 */
	/* A balancer does not know whose it is: address is the balancer's,
	 * and none of its rights are given away. */
	bool		 is_nameless;
	/* An operator tries something out as that client (trial.h), ... */
	bool		 is_trial;
	const char	*user;		/* ... who has logged in; "" */
};

#endif
