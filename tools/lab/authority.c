/* SPDX-License-Identifier: ISC */
/*
 * All zones of a world, each with its servers. Zones that no section describes
 * are made where the tree needs them: the root, and the top-level domains. A
 * zone is delegated by the nearest zone above it; names between are empty.
 */
#include "tools/lab/names.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/queue.h>

#include "base/loop.h"
#include "base/mem.h"
#include "tools/lab/answer.h"
#include "tools/lab/dns_socket.h"
#include "tools/lab/event.h"
#include "tools/lab/keys.h"
#include "tools/lab/zone.h"

enum { ZONES_MAX = 254, SERVERS_MAX = 254, LATE_MAX = 256, ACTOR_MAX = 300 };

/* One address. */
struct server {
	struct lab_names	*names;
	struct served_zone	*zone;
	size_t			 number;	/* of the zone's, from 0 */
	struct dns_socket	*socket;	/* owned */
};

/* An answer that is not sent yet. */
struct late_answer {
	struct lab_names	*names;
	struct dns_asker	*asker;		/* ours to answer */
	struct lab_reply	 reply;		/* owned */
	struct timer		 timer;
	LIST_ENTRY(late_answer)	 entry;
};

struct lab_names {
	struct served_zone	*zones[ZONES_MAX];	/* owned */
	size_t			 count;
	struct server		 servers[SERVERS_MAX];	/* those bound */
	size_t			 server_count;
	LIST_HEAD(, late_answer) late;
	unsigned		 late_count;
};

struct builder {
	struct lab_names		*names;
	const struct lab_world		*world;
	const struct lab_identities	*identities;
	struct lab_keys			*keys;
	char				*error;
	size_t				 size;
};

const char *lab_names_hints(void)
{
	return ". 3600000 IN NS lab-ns.\n"
	    "lab-ns. 3600000 IN A " LAB_ROOT_SERVER "\n";
}

/* --- the tree --- */

static struct served_zone *find(const struct lab_names *names,
    const char *name)
{
	size_t i;

	for (i = 0; i < names->count; i++)
		if (strcmp(names->zones[i]->name, name) == 0)
			return names->zones[i];
	return NULL;
}

static int add(const struct builder *builder, const char *name,
    const struct lab_zone *spec)
{
	struct lab_names *names = builder->names;
	struct served_zone *zone;

	if (find(names, name) != NULL || names->count == ZONES_MAX) {
		snprintf(builder->error, builder->size, "zone %s: %s", name,
		    names->count == ZONES_MAX ? "there are too many" :
		    "it is there twice");
		return -1;
	}
	zone = served_zone_new(name, spec, builder->keys, builder->error,
	    builder->size);
	if (zone == NULL)
		return -1;
	names->zones[names->count++] = zone;
	return 0;
}

/* The name one label shorter; the root's is null. */
static const char *shorter(const char *name)
{
	const char *dot = strchr(name, '.');

	return strcmp(name, ".") == 0 ? NULL : dot == NULL ? "." : dot + 1;
}

/* The top-level domain that a zone needs above it, or the root. */
static const char *top_above(const char *name)
{
	const char *dot = strrchr(name, '.');

	return dot == NULL || dot == name ? "." : dot + 1;
}

static int add_zones(const struct builder *builder)
{
	const struct lab_world *world = builder->world;
	const char *name;
	size_t i;

	for (i = 0; i < world->zone_count; i++) {
		name = world->zones[i].name;
		if (add(builder, name[0] == '\0' ? "." : name,
		    &world->zones[i]) == -1)
			return -1;
	}
	for (i = 0; i < world->zone_count; i++) {
		name = top_above(world->zones[i].name);
		if (find(builder->names, name) == NULL &&
		    add(builder, name, NULL) == -1)
			return -1;
	}
	return find(builder->names, ".") != NULL ? 0 :
	    add(builder, ".", NULL);
}

static void find_parents(struct lab_names *names)
{
	struct served_zone *zone;
	const char *name;
	size_t i;

	for (i = 0; i < names->count; i++) {
		zone = names->zones[i];
		for (name = shorter(zone->name); name != NULL &&
		    zone->parent == NULL; name = shorter(name))
			zone->parent = find(names, name);
	}
}

static void delegate(struct lab_names *names, bool after_signing)
{
	size_t i;

	for (i = 0; i < names->count; i++)
		if (names->zones[i]->parent != NULL)
			served_zone_delegate(names->zones[i],
			    after_signing);
}

static int build(const struct builder *builder)
{
	struct lab_names *names = builder->names;
	size_t i;

	if (add_zones(builder) == -1)
		return -1;
	find_parents(names);
	for (i = 0; i < names->count; i++)
		if (served_zone_fill(names->zones[i],
		    builder->identities) == -1)
			return -1;
	delegate(names, false);
	for (i = 0; i < names->count; i++)
		served_zone_sign(names->zones[i]);
	delegate(names, true);
	for (i = 0; i < names->count; i++) {
		if (served_zone_spoil(names->zones[i],
		    builder->identities) == -1)
			return -1;
		served_zone_finish(names->zones[i]);
	}
	return 0;
}

struct lab_names *lab_names_new(const struct lab_world *world,
    const struct lab_identities *identities, struct lab_keys *keys,
    char *error, size_t size)
{
	struct lab_names *names = mem_alloc(sizeof(*names));
	const struct builder builder = { names, world, identities, keys, error,
	    size };

	LIST_INIT(&names->late);
	if (build(&builder) == 0)
		return names;
	lab_names_free(names);
	return NULL;
}

/* To send, or when nobody waits any more (null packet), to forget. */
static void late_answer_end(struct late_answer *late, const uint8_t *packet)
{
	LIST_REMOVE(late, entry);
	late->names->late_count--;
	timer_stop(&late->timer);
	dns_asker_answer(late->asker, packet, late->reply.length);
	lab_reply_release(&late->reply);
	mem_free(late);
}

void lab_names_free(struct lab_names *names)
{
	size_t i;

	if (names == NULL)
		return;
	while (!LIST_EMPTY(&names->late))
		late_answer_end(LIST_FIRST(&names->late), NULL);
	for (i = 0; i < names->server_count; i++)
		dns_socket_free(names->servers[i].socket);
	for (i = 0; i < names->count; i++)
		served_zone_free(names->zones[i]);
	mem_free(names);
}

const struct served_zone *lab_names_zone(const struct lab_names *names,
    const char *name)
{
	return find(names, name);
}

/* --- serving --- */

static int listen_for(struct lab_names *names, struct served_zone *zone,
    char *error, size_t size)
{
	struct server *server;
	size_t i;

	for (i = 0; i < zone->server_count; i++) {
		server = &names->servers[names->server_count];
		server->names = names;
		server->zone = zone;
		server->number = i;
		server->socket = dns_socket_new(zone->addresses[i], error,
		    size);
		if (server->socket == NULL)
			return -1;
		names->server_count++;
	}
	return 0;
}

/* There are no more servers than addresses. */
int lab_names_listen(struct lab_names *names, char *error, size_t size)
{
	size_t i;

	for (i = 0; i < names->count; i++)
		if (listen_for(names, names->zones[i], error, size) == -1)
			return -1;
	return 0;
}

static void on_late(void *arg)
{
	struct late_answer *late = arg;

	late_answer_end(late, late->reply.packet);
}

/* Takes the reply. Who asks too much of them gets nothing. */
static void answer_later(struct lab_names *names, struct dns_asker *asker,
    struct lab_reply *reply)
{
	struct late_answer *late;

	if (names->late_count >= LATE_MAX) {
		dns_asker_answer(asker, NULL, 0);
		lab_reply_release(reply);
		return;
	}
	late = mem_alloc(sizeof(*late));
	late->names = names;
	late->asker = asker;
	late->reply = *reply;
	LIST_INSERT_HEAD(&names->late, late, entry);
	names->late_count++;
	timer_start(&late->timer, reply->delay, on_late, late);
}

static void tell(const struct server *server, const struct lab_reply *reply)
{
	char actor[ACTOR_MAX];

	snprintf(actor, sizeof(actor), "dns:%s", server->zone->name);
	lab_event(actor, "dns", json_pack("{s:s, s:i, s:s, s:s, s:s}", "zone",
	    server->zone->name, "server", (int)server->number + 1, "name",
	    reply->name, "type", reply->type, "answer", reply->word));
}

static void on_query(void *arg, struct dns_asker *asker, const uint8_t *data,
    size_t length)
{
	struct server *server = arg;
	const struct lab_query query = { .data = data, .length = length,
	    .is_tcp = dns_asker_is_tcp(asker), .server = server->number };
	struct lab_reply reply;

	lab_answer(server->zone, &query, &reply);
	tell(server, &reply);
	if (reply.delay > 0) {
		answer_later(server->names, asker, &reply);
		return;
	}
	dns_asker_answer(asker, reply.packet, reply.length);
	lab_reply_release(&reply);
}

void lab_names_serve(struct lab_names *names)
{
	size_t i;

	loop_init();
	for (i = 0; i < names->server_count; i++)
		dns_socket_start(names->servers[i].socket, on_query,
		    &names->servers[i]);
	loop_run();
}
