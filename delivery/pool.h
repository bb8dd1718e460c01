/* SPDX-License-Identifier: ISC */
/*
 * Idle connections, kept for the next message that may use them. A connection
 * fits only a plan with the same key for the same host and address, and only
 * if what it shows (TLS, or clear and why) is allowed for that message: see
 * client_fits(). The pool owns what is in it.
 */
#ifndef POSTERN_DELIVERY_POOL_H
#define POSTERN_DELIVERY_POOL_H

#include <stddef.h>

struct client;
struct client_need;
struct pool;

/* Mail for so many destinations comes back to each while it is kept. */
enum { POOL_MAX = 2048 };

struct pool	*pool_new(void);
void		 pool_free(struct pool *pool);
/* Takes over a connection after a transaction; closes it if it is of no more
 * use: used up to the limit, no idle time configured, server leaving. */
void		 pool_put(struct pool *pool, struct client *client,
		    unsigned limit, unsigned idle_seconds);
/* A connection for this need, or null; ownership moves to the caller, who
 * sets itself as owner. */
struct client	*pool_take(struct pool *pool, const struct client_need *need);
/* Closes all: after a reload, and before the end. */
void		 pool_flush(struct pool *pool);
size_t		 pool_count(const struct pool *pool);

#endif
