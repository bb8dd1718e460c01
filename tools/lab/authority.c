/* SPDX-License-Identifier: ISC */
/*
 * All zones of a world with a server each. Zones that no section describes are
 * made where the tree needs them: the root, and the top-level domains. A zone
 * is delegated by the nearest zone above it; names between are empty.
 */
#include "tools/lab/names.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/loop.h"
#include "base/mem.h"
#include "tools/lab/answer.h"
#include "tools/lab/dns_socket.h"
#include "tools/lab/event.h"
#include "tools/lab/keys.h"
#include "tools/lab/zone.h"

enum { ZONES_MAX = 254, ACTOR_MAX = 300 };

struct server {
	struct served_zone	*zone;		/* owned */
	struct dns_socket	*socket;	/* owned; null until bound */
};

struct lab_names {
	struct server	 servers[ZONES_MAX];
	size_t		 count;
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
		if (strcmp(names->servers[i].zone->name, name) == 0)
			return names->servers[i].zone;
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
	names->servers[names->count++].zone = zone;
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
		zone = names->servers[i].zone;
		for (name = shorter(zone->name); name != NULL &&
		    zone->parent == NULL; name = shorter(name))
			zone->parent = find(names, name);
	}
}

static void delegate(struct lab_names *names, bool after_signing)
{
	size_t i;

	for (i = 0; i < names->count; i++)
		if (names->servers[i].zone->parent != NULL)
			served_zone_delegate(names->servers[i].zone,
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
		if (served_zone_fill(names->servers[i].zone,
		    builder->identities) == -1)
			return -1;
	delegate(names, false);
	for (i = 0; i < names->count; i++)
		served_zone_sign(names->servers[i].zone);
	delegate(names, true);
	for (i = 0; i < names->count; i++) {
		if (served_zone_spoil(names->servers[i].zone) == -1)
			return -1;
		served_zone_finish(names->servers[i].zone);
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

	if (build(&builder) == 0)
		return names;
	lab_names_free(names);
	return NULL;
}

void lab_names_free(struct lab_names *names)
{
	size_t i;

	if (names == NULL)
		return;
	for (i = 0; i < names->count; i++) {
		dns_socket_free(names->servers[i].socket);
		served_zone_free(names->servers[i].zone);
	}
	mem_free(names);
}

const struct served_zone *lab_names_zone(const struct lab_names *names,
    const char *name)
{
	return find(names, name);
}

/* --- serving --- */

int lab_names_listen(struct lab_names *names, char *error, size_t size)
{
	struct server *server;
	size_t i;

	for (i = 0; i < names->count; i++) {
		server = &names->servers[i];
		server->socket = dns_socket_new(server->zone->address, error,
		    size);
		if (server->socket == NULL)
			return -1;
	}
	return 0;
}

static void on_query(void *arg, struct dns_asker *asker, const uint8_t *query,
    size_t length)
{
	const struct served_zone *zone = arg;
	char actor[ACTOR_MAX];
	struct lab_reply reply;

	lab_answer(zone, query, length, dns_asker_is_tcp(asker), &reply);
	snprintf(actor, sizeof(actor), "dns:%s", zone->name);
	lab_event(actor, "dns", json_pack("{s:s, s:s, s:s, s:s}", "zone",
	    zone->name, "name", reply.name, "type", reply.type, "answer",
	    reply.word));
	dns_asker_answer(asker, reply.packet, reply.length);
	lab_reply_release(&reply);
}

void lab_names_serve(struct lab_names *names)
{
	size_t i;

	loop_init();
	for (i = 0; i < names->count; i++)
		dns_socket_start(names->servers[i].socket, on_query,
		    names->servers[i].zone);
	loop_run();
}
