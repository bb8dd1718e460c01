/* SPDX-License-Identifier: ISC */
/*
 * The connection cache: a list of all, oldest first, and a list for each
 * address. Both are bounded, and one memcmp of the key settles nearly every
 * comparison, so looking through those of one address is cheap.
 */
#include "delivery/pool.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/queue.h>

#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/net.h"
#include "delivery/client.h"

/* Family, port, address. */
enum { PLACE_KEY = 1 + 2 + 16 };

TAILQ_HEAD(idles, idle);

/* Those that lead to one address and port; or all to Unix sockets. */
struct place {
	struct idles		 idles;		/* oldest first; borrowed */
	uint8_t			 key[PLACE_KEY];
};

struct idle {
	TAILQ_ENTRY(idle)	 link;
	TAILQ_ENTRY(idle)	 at_place;
	struct pool		*pool;		/* outlives us */
	struct place		*place;		/* while it has one */
	struct client		*client;	/* owned */
};

struct pool {
	struct idles		 idles;		/* owned */
	struct hash		*places;	/* owned; none is empty */
	size_t			 count;
	size_t			 max;
};

static void make_key(uint8_t key[PLACE_KEY], const struct endpoint *address)
{
	const struct sockaddr_in *v4 = &address->address.v4;
	const struct sockaddr_in6 *v6 = &address->address.v6;

	memset(key, 0, PLACE_KEY);
	switch (address->address.any.sa_family) {
	case AF_INET:
		key[0] = 4;
		memcpy(key + 1, &v4->sin_port, 2);
		memcpy(key + 3, &v4->sin_addr, sizeof(v4->sin_addr));
		break;
	case AF_INET6:
		key[0] = 6;
		memcpy(key + 1, &v6->sin6_port, 2);
		memcpy(key + 3, &v6->sin6_addr, sizeof(v6->sin6_addr));
		break;
	default:
		break;
	}
}

static struct place *find_place(const struct pool *pool,
    const struct endpoint *address)
{
	uint8_t key[PLACE_KEY];

	make_key(key, address);
	return hash_find(pool->places, key, sizeof(key));
}

static struct place *make_place(struct pool *pool,
    const struct endpoint *address)
{
	struct place *place = find_place(pool, address);

	if (place != NULL)
		return place;
	place = mem_alloc(sizeof(*place));
	TAILQ_INIT(&place->idles);
	make_key(place->key, address);
	hash_put(pool->places, place->key, sizeof(place->key), place);
	return place;
}

static struct client *remove_idle(struct idle *idle)
{
	struct client *client = idle->client;
	struct place *place = idle->place;

	TAILQ_REMOVE(&place->idles, idle, at_place);
	if (TAILQ_EMPTY(&place->idles)) {
		hash_remove(idle->pool->places, place->key,
		    sizeof(place->key));
		mem_free(place);
	}
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
	idle->place = make_place(pool, client_address(client));
	TAILQ_INSERT_TAIL(&idle->place->idles, idle, at_place);
	TAILQ_INSERT_TAIL(&pool->idles, idle, link);
	pool->count++;
	client_set_owner(client, on_client, idle);
	client_idle(client, (int64_t)idle_seconds * 1000);
}

struct client *pool_take(struct pool *pool, const struct client_need *need)
{
	struct place *place = find_place(pool, need->address);
	struct idle *idle;

	if (place == NULL)
		return NULL;
	/* The newest is the least likely to have been closed meanwhile. */
	TAILQ_FOREACH_REVERSE(idle, &place->idles, idles, at_place)
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
	pool->places = hash_new();
	/* Most descriptors are for those that are at work, and leaving. */
	pool->max = net_room() / 8 < POOL_MAX ? net_room() / 8 : POOL_MAX;
	return pool;
}

void pool_free(struct pool *pool)
{
	pool_flush(pool);
	hash_free(pool->places);
	mem_free(pool);
}
