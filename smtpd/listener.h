/* SPDX-License-Identifier: ISC */
/*
 * Listening sockets and what happens before there is a session: the limits on
 * sessions in all and per client, the PROXY header of load balancers, and
 * running out of descriptors, which must neither spin nor leave clients
 * hanging. Several processes accept from the same sockets: one that has more
 * sessions than another lets that one go first, for a moment. Nobody has to
 * come: then it takes them itself. Who had to refuse one for want of room is for
 * a moment nobody to whom others leave any.
 */
#ifndef POSTERN_SMTPD_LISTENER_H
#define POSTERN_SMTPD_LISTENER_H

#include <sys/queue.h>

#include "base/loop.h"

struct listener;
struct server;

LIST_HEAD(listener_list, listener);

struct listeners {
	struct server		*server;	/* outlives us */
	struct listener_list	 items;		/* owned */
	unsigned		 arrivals;	/* with no PROXY header yet */
	unsigned		 resting;	/* of items */
	struct timer		 refusing;	/* runs: there was no room */
	/* Given up for a moment when there is no other descriptor. */
	int			 spare;
};

void	 listeners_init(struct listeners *listeners, struct server *server);
/* Closes all. */
void	 listeners_end(struct listeners *listeners);
/* name is "LISTENER@ADDRESS"; takes fd; -1: the socket is gone. */
void	 listeners_set(struct listeners *listeners, const char *name, int fd);

#endif
