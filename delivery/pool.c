/* SPDX-License-Identifier: ISC */
/*
 * The connection cache: a list, oldest first. It is bounded, and one memcmp
 * of the key settles nearly every comparison, so looking through it is cheap.
 */
#include "delivery/pool.h"

#include <stdbool.h>
#include <sys/queue.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/net.h"
#include "delivery/client.h"

struct idle {
	TAILQ_ENTRY(idle)	 link;
	struct pool		*pool;		/* outlives us */
	struct client		*client;	/* owned */
};

struct pool {
	TAILQ_HEAD(idles, idle)	 idles;		/* owned */
	size_t			 count;
	size_t			 max;
};

static struct client *remove_idle(struct idle *idle)
{
	struct client *client = idle->client;

	TAILQ_REMOVE(&idle->pool->idles, idle, link);
	idle->pool->count--;
	mem_free(idle);
	return client;
}

/* The server left, or the idle time is over: the client goes by itself. */
static void on_client(void *arg, struct client *client,
    enum client_event event)
{
	(void)client;
	if (event != CLIENT_FAILED)
		bug("pool-event");
	remove_idle(arg);
}

void pool_put(struct pool *pool, struct client *client, unsigned limit,
    unsigned idle_seconds)
{
	struct idle *idle;

	if (!client_is_usable(client) || idle_seconds == 0 ||
	    client_transactions(client) >= limit) {
		client_close(client);
		return;
	}
	if (pool->count >= pool->max)
		client_close(remove_idle(TAILQ_FIRST(&pool->idles)));
	idle = mem_alloc(sizeof(*idle));
	idle->pool = pool;
	idle->client = client;
	TAILQ_INSERT_TAIL(&pool->idles, idle, link);
	pool->count++;
	client_set_owner(client, on_client, idle);
	client_idle(client, (int64_t)idle_seconds * 1000);
}

struct client *pool_take(struct pool *pool, const struct client_need *need)
{
	struct idle *idle;

	/* The newest is the least likely to have been closed meanwhile. */
	TAILQ_FOREACH_REVERSE(idle, &pool->idles, idles, link)
		if (client_is_usable(idle->client) &&
		    client_fits(idle->client, need))
			return remove_idle(idle);
	return NULL;
}

void pool_flush(struct pool *pool)
{
	while (!TAILQ_EMPTY(&pool->idles))
		client_close(remove_idle(TAILQ_FIRST(&pool->idles)));
}

size_t pool_count(const struct pool *pool)
{
	return pool->count;
}

struct pool *pool_new(void)
{
	struct pool *pool = mem_alloc(sizeof(*pool));

	TAILQ_INIT(&pool->idles);
	/* Most descriptors are for those that are at work, and leaving. */
	pool->max = net_room() / 8 < POOL_MAX ? net_room() / 8 : POOL_MAX;
	return pool;
}

void pool_free(struct pool *pool)
{
	pool_flush(pool);
	mem_free(pool);
}
