/* SPDX-License-Identifier: ISC */
/*
 * All that memory knows, in order, while it goes on learning: the names are
 * gathered first, some of them at a time, and each is looked up again when it
 * is its turn. What is forgotten in between is left out; what comes in between
 * may be, too.
 */
#include "policy/memory_private.h"

#include <stdio.h>

#include "base/address.h"
#include "base/hash.h"
#include "base/mem.h"
#include "policy/names.h"

/* One table after the other: destinations, hosts, pins. A gathered name has
 * its table's letter in front, which keeps that order. */
enum { TABLES = MEMORY_KINDS + 1, PIN_TABLE = MEMORY_KINDS };

struct memory_walk {
	struct memory	*memory;	/* outlives us */
	struct names	*names;		/* owned */
	char		 name[256];	/* "": all */
	char		 below[260];	/* the pattern of names below it */
	int		 table;		/* that is gathered; TABLES: over */
	uint64_t	 cursor;	/* in it */
	unsigned	 cost;		/* of this step */
};

struct memory_walk *memory_walk_new(struct memory *memory, const char *name)
{
	struct memory_walk *walk = mem_alloc(sizeof(*walk));

	walk->memory = memory;
	walk->names = names_new();
	snprintf(walk->name, sizeof(walk->name), "%s", name);
	snprintf(walk->below, sizeof(walk->below), ".%s", walk->name);
	return walk;
}

void memory_walk_free(struct memory_walk *walk)
{
	if (walk == NULL)
		return;
	names_free(walk->names);
	mem_free(walk);
}

static void gather_one(void *arg, const void *key, size_t length, void *value)
{
	struct memory_walk *walk = arg;
	char text[300];

	(void)value;
	walk->cost++;
	snprintf(text, sizeof(text), "%d%.*s", walk->table, (int)length,
	    (const char *)key);
	if (walk->name[0] != '\0' && !domain_match(text + 1, walk->name) &&
	    !domain_match(text + 1, walk->below))
		return;
	if (names_add(walk->names, text))
		walk->cost += NAMES_RUN;
}

static void gather(struct memory_walk *walk)
{
	struct hash *table = walk->table == PIN_TABLE ? walk->memory->pins :
	    walk->memory->names[walk->table];

	walk->cursor = hash_scan(table, walk->cursor, gather_one, walk);
	if (walk->cursor == 0)
		walk->table++;
}

/* Null: it is not there any more. */
static json_t *object_of(struct memory *memory, int table, const char *name)
{
	const struct memory_record *record;
	const struct plan_pin *pin;

	if (table == PIN_TABLE) {
		pin = memory_pin(memory, name);
		return pin == NULL ? NULL : memory_pin_object(pin);
	}
	record = memory_find(memory, table, name);
	return record == NULL ? NULL : memory_record_object(memory, record);
}

unsigned memory_walk_next(struct memory_walk *walk, json_t **object)
{
	const char *name;

	*object = NULL;
	walk->cost = 1;
	if (walk->table < TABLES) {
		gather(walk);
		return walk->cost;
	}
	name = names_next(walk->names);
	if (name == NULL)
		return 0;
	*object = object_of(walk->memory, name[0] - '0', name + 1);
	return walk->cost;
}
