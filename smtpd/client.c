/* SPDX-License-Identifier: ISC */
/*
 * The table of clients. Those without sessions stay in an idle list, oldest
 * first, so that a client that connects for each message costs one lookup of
 * its name and no allocation; the list has a ceiling.
 */
#include "smtpd/client.h"

#include <limits.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/queue.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/net.h"
#include "conf/conf.h"
#include "policy/client.h"
#include "smtpd/counters.h"
#include "smtpd/origin.h"
#include "smtpd/session.h"

enum { IDLE_MAX = 1024, NAME_KEEP_MS = 60 * 1000, KEY_BYTES = 9,
    /* With a listener's name behind it. */
    LONG_KEY_BYTES = KEY_BYTES + 64 };

enum { KEY_USER = 1, KEY_IPV4 = 4, KEY_IPV6 = 6 };

struct client {
	struct client_table	*table;		/* outlives us */
	unsigned char		 key[KEY_BYTES];
	LIST_HEAD(, session)	 sessions;	/* borrowed */
	unsigned		 session_count;
	TAILQ_ENTRY(client)	 idle_link;	/* when there is no session */

	/* the name, and the one address of the network it belongs to */
	struct endpoint		 address;
	char			*name;		/* owned; null: none; "": it
						 * could not be found out */
	int64_t			 name_until;	/* monotonic */
	struct policy_request	*lookup;	/* owned; null when answered */
};

struct client_table {
	struct policy_client	*policy;	/* outlives us */
	struct hash		*clients;	/* owned entries */
	TAILQ_HEAD(client_list, client) idle;
	unsigned		 idle_count;
	struct counters		*counters;	/* owned; null: we are alone */
	unsigned		 session_count;	/* of all clients */
	unsigned		 arrivals;	/* no sessions yet */
	bool			 accepts;	/* and others know */
};

static void make_key(unsigned char *key, const struct endpoint *address,
    int64_t uid)
{
	memset(key, 0, KEY_BYTES);
	if (uid >= 0) {
		key[0] = KEY_USER;
		memcpy(key + 1, &uid, sizeof(uid));
		return;
	}
	if (address->length == 0)
		return;
	switch (address->address.any.sa_family) {
	case AF_INET:
		key[0] = KEY_IPV4;
		memcpy(key + 1, &address->address.v4.sin_addr, 4);
		break;
	case AF_INET6:
		key[0] = KEY_IPV6;
		memcpy(key + 1, &address->address.v6.sin6_addr, 8);
		break;
	default:
		break;	/* a local socket */
	}
}

/* The key under which sessions at one listener are counted; its length. */
static size_t make_long_key(unsigned char *key, const unsigned char *client,
    const struct conf_listener *listener)
{
	memcpy(key, client, KEY_BYTES);
	return KEY_BYTES + (size_t)snprintf((char *)key + KEY_BYTES,
	    LONG_KEY_BYTES - KEY_BYTES, "%.60s", listener->name);
}

/* Whether sessions there are counted for themselves, too. */
static bool has_own_limit(const struct conf_listener *listener)
{
	return listener->max_sessions_per_client > 0;
}

static bool has_reverse_name(const struct endpoint *address)
{
	return address->length > 0 && !endpoint_is_loopback(address) &&
	    (address->address.any.sa_family == AF_INET ||
	    address->address.any.sa_family == AF_INET6);
}

static void client_free(struct client *client)
{
	struct client_table *table = client->table;

	if (client->lookup != NULL)
		policy_cancel(client->lookup);
	TAILQ_REMOVE(&table->idle, client, idle_link);
	table->idle_count--;
	hash_remove(table->clients, client->key, KEY_BYTES);
	mem_free(client->name);
	mem_free(client);
}

struct client_table *client_table_new(struct policy_client *policy)
{
	struct client_table *table = mem_alloc(sizeof(*table));

	table->policy = policy;
	table->clients = hash_new();
	TAILQ_INIT(&table->idle);
	return table;
}

void client_table_free(struct client_table *table)
{
	struct client *client;

	while ((client = TAILQ_FIRST(&table->idle)) != NULL)
		client_free(client);
	if (hash_count(table->clients) != 0)
		bug("clients-left");
	hash_free(table->clients);
	counters_free(table->counters);
	mem_free(table);
}

/* What stands for us among the others. */
static unsigned count_all(const struct client_table *table)
{
	return table->session_count + table->arrivals;
}

static void tell_others(const struct client_table *table)
{
	if (table->counters == NULL)
		return;
	if (table->accepts)
		counters_offer(table->counters, count_all(table));
	else
		counters_withdraw(table->counters);
}

bool client_table_share(struct client_table *table, struct counters *counters)
{
	/* Who is here now would be taken away without having been added. */
	if (table->counters != NULL || hash_count(table->clients) != 0) {
		counters_free(counters);
		return false;
	}
	table->counters = counters;
	tell_others(table);
	return true;
}

void client_table_offer(struct client_table *table, bool accepts)
{
	table->accepts = accepts;
	tell_others(table);
}

void client_table_arrivals(struct client_table *table, unsigned arrivals)
{
	table->arrivals = arrivals;
	tell_others(table);
}

/* One more, or an eighth, is no difference worth a wait: but for who would
 * only refuse it. */
bool client_table_is_ahead(const struct client_table *table,
    enum client_room room, unsigned *least)
{
	unsigned own = count_all(table);

	*least = 0;
	if (table->counters == NULL || (room == CLIENT_ROOM_THERE && own < 2))
		return false;
	*least = counters_least(table->counters);
	if (room == CLIENT_ROOM_NONE)
		return *least != UINT_MAX;
	return *least < own &&
	    (room == CLIENT_ROOM_FULL || own - *least > 1 + *least / 8);
}

static unsigned count_at(const struct client *client,
    const struct conf_listener *listener)
{
	const struct session *session;
	unsigned count = 0;

	LIST_FOREACH(session, &client->sessions, client_link)
		if (strcmp(session->listener->name, listener->name) == 0)
			count++;
	return count;
}

unsigned client_sessions(struct client_table *table,
    const struct origin *origin, const struct conf_listener *listener)
{
	unsigned char key[KEY_BYTES], long_key[LONG_KEY_BYTES];
	struct client *client;
	unsigned count = 0, everywhere;

	make_key(key, &origin->address, origin->uid);
	client = hash_find(table->clients, key, KEY_BYTES);
	if (client != NULL)
		count = listener == NULL ? client->session_count :
		    count_at(client, listener);
	if (table->counters == NULL)
		return count;
	if (listener == NULL)
		everywhere = counters_sum(table->counters, key, KEY_BYTES);
	else
		everywhere = counters_sum(table->counters, long_key,
		    make_long_key(long_key, key, listener));
	return everywhere > count ? everywhere : count;
}

static struct client *client_new(struct client_table *table,
    const unsigned char *key)
{
	struct client *client = mem_alloc(sizeof(*client));

	client->table = table;
	memcpy(client->key, key, KEY_BYTES);
	LIST_INIT(&client->sessions);
	TAILQ_INSERT_TAIL(&table->idle, client, idle_link);
	table->idle_count++;
	hash_put(table->clients, client->key, KEY_BYTES, client);
	return client;
}

static void on_name(void *arg, const char *name)
{
	struct client *client = arg;
	struct session *session, *next;

	client->lookup = NULL;
	client->name = mem_dup_string(name);
	client->name_until = clock_monotonic() + NAME_KEEP_MS;
	for (session = LIST_FIRST(&client->sessions); session != NULL;
	    session = next) {
		next = LIST_NEXT(session, client_link);
		session_name_known(session);
	}
}

static void ask_name(struct client *client, const struct endpoint *address)
{
	if (client->lookup != NULL || !has_reverse_name(address))
		return;
	if (endpoint_same_host(&client->address, address) &&
	    client->name_until > clock_monotonic())
		return;
	mem_free(client->name);
	client->name = NULL;
	client->address = *address;
	client->lookup = policy_reverse(client->table->policy, address,
	    CLIENT_NAME_MS, on_name, client);
}

/* In the memory that all processes share. */
static void count_in(struct client *client, const struct session *session)
{
	unsigned char key[LONG_KEY_BYTES];

	if (client->table->counters == NULL)
		return;
	counters_add(client->table->counters, client->key, KEY_BYTES);
	if (has_own_limit(session->listener))
		counters_add(client->table->counters, key,
		    make_long_key(key, client->key, session->listener));
}

static void count_out(struct client *client, const struct session *session)
{
	unsigned char key[LONG_KEY_BYTES];

	if (client->table->counters == NULL)
		return;
	counters_remove(client->table->counters, client->key, KEY_BYTES);
	if (has_own_limit(session->listener))
		counters_remove(client->table->counters, key,
		    make_long_key(key, client->key, session->listener));
}

void client_join(struct client_table *table, struct session *session)
{
	unsigned char key[KEY_BYTES];
	struct client *client;

	make_key(key, &session->address, session->uid);
	client = hash_find(table->clients, key, KEY_BYTES);
	if (client == NULL)
		client = client_new(table, key);
	if (client->session_count++ == 0) {
		TAILQ_REMOVE(&table->idle, client, idle_link);
		table->idle_count--;
	}
	count_in(client, session);
	table->session_count++;
	tell_others(table);
	LIST_INSERT_HEAD(&client->sessions, session, client_link);
	session->client = client;
	ask_name(client, &session->address);
}

void client_leave(struct session *session)
{
	struct client *client = session->client;
	struct client_table *table = client->table;

	session->client = NULL;
	LIST_REMOVE(session, client_link);
	count_out(client, session);
	table->session_count--;
	tell_others(table);
	if (--client->session_count > 0)
		return;
	TAILQ_INSERT_TAIL(&table->idle, client, idle_link);
	if (++table->idle_count > IDLE_MAX)
		client_free(TAILQ_FIRST(&table->idle));
}

bool client_name_pending(const struct session *session)
{
	const struct client *client = session->client;

	return client->lookup != NULL &&
	    endpoint_same_host(&client->address, &session->address);
}

/* As it came from policy; null for another address, too. */
static const char *find_name(const struct session *session)
{
	const struct client *client = session->client;

	return endpoint_same_host(&client->address, &session->address) ?
	    client->name : NULL;
}

enum client_name_state client_name_state(const struct session *session)
{
	const struct client *client = session->client;
	const char *name = find_name(session);

	if (!has_reverse_name(&session->address))
		return CLIENT_NAME_THERE;
	/* Another session of its network may have asked for another one. */
	if (!endpoint_same_host(&client->address, &session->address))
		return CLIENT_NAME_FAILED;
	if (name == NULL)
		return CLIENT_NAME_NONE;
	return name[0] == '\0' ? CLIENT_NAME_FAILED : CLIENT_NAME_THERE;
}

const char *client_name(const struct session *session)
{
	const char *name = find_name(session);

	if (!has_reverse_name(&session->address))
		return "localhost";
	return name == NULL || name[0] == '\0' ? "unknown" : name;
}
