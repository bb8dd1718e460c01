/* SPDX-License-Identifier: ISC */
/*
 * The table of clients. Those without sessions stay in an idle list, oldest
 * first, so that a client that connects for each message costs one lookup of
 * its name and no allocation; the list has a ceiling.
 */
#include "smtpd/client.h"

#include <netinet/in.h>
#include <string.h>
#include <sys/queue.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/net.h"
#include "policy/client.h"
#include "smtpd/counters.h"
#include "smtpd/session.h"

enum { IDLE_MAX = 1024, NAME_KEEP_MS = 60 * 1000, KEY_BYTES = 9 };

struct client {
	struct client_table	*table;		/* outlives us */
	unsigned char		 key[KEY_BYTES];
	LIST_HEAD(, session)	 sessions;	/* borrowed */
	unsigned		 session_count;
	TAILQ_ENTRY(client)	 idle_link;	/* when there is no session */

	/* the name, and the one address of the network it belongs to */
	struct endpoint		 address;
	char			*name;		/* owned; null: none */
	int64_t			 name_until;	/* monotonic */
	struct policy_request	*lookup;	/* owned; null when answered */
};

struct client_table {
	struct policy_client	*policy;	/* outlives us */
	struct hash		*clients;	/* owned entries */
	TAILQ_HEAD(client_list, client) idle;
	unsigned		 idle_count;
	struct counters		*counters;	/* owned; null: we are alone */
};

static void make_key(unsigned char *key, const struct endpoint *address)
{
	memset(key, 0, KEY_BYTES);
	if (address->length == 0)
		return;
	switch (address->address.any.sa_family) {
	case AF_INET:
		key[0] = 4;
		memcpy(key + 1, &address->address.v4.sin_addr, 4);
		break;
	case AF_INET6:
		key[0] = 6;
		memcpy(key + 1, &address->address.v6.sin6_addr, 8);
		break;
	default:
		break;	/* a local socket */
	}
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

void client_table_share(struct client_table *table, struct counters *counters)
{
	/* Who is here now would be taken away without having been added. */
	if (table->counters != NULL || hash_count(table->clients) != 0) {
		counters_free(counters);
		return;
	}
	table->counters = counters;
}

static struct client *client_find(struct client_table *table, const struct endpoint *address)
{
	unsigned char key[KEY_BYTES];

	make_key(key, address);
	return hash_find(table->clients, key, KEY_BYTES);
}

unsigned client_sessions(struct client_table *table, const struct endpoint *address)
{
	struct client *client = client_find(table, address);
	unsigned count = client == NULL ? 0 : client->session_count;
	unsigned char key[KEY_BYTES];
	unsigned everywhere;

	if (table->counters == NULL)
		return count;
	make_key(key, address);
	everywhere = counters_sum(table->counters, key, KEY_BYTES);
	return everywhere > count ? everywhere : count;
}

static struct client *client_new(struct client_table *table, const struct endpoint *address)
{
	struct client *client = mem_alloc(sizeof(*client));

	client->table = table;
	make_key(client->key, address);
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

void client_join(struct client_table *table, struct session *session)
{
	struct client *client = client_find(table, &session->address);

	if (client == NULL)
		client = client_new(table, &session->address);
	if (client->session_count++ == 0) {
		TAILQ_REMOVE(&table->idle, client, idle_link);
		table->idle_count--;
	}
	if (table->counters != NULL)
		counters_add(table->counters, client->key, KEY_BYTES);
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
	if (table->counters != NULL)
		counters_remove(table->counters, client->key, KEY_BYTES);
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

const char *client_name(const struct session *session)
{
	const struct client *client = session->client;

	if (!has_reverse_name(&session->address))
		return "localhost";
	if (client->name == NULL ||
	    !endpoint_same_host(&client->address, &session->address))
		return "unknown";
	return client->name;
}
