/* SPDX-License-Identifier: ISC */
/*
 * Any bytes as what policy learns from: the first says as what.
 *
 *	o	an observation, from delivery
 *	e m p	a row of exceptions, memory or pins, from a disk that may be
 *		damaged: the end of its key, a zero byte, its value
 *	g	the same of the memory of greylisting
 *	j	JSON for `memory import`, from anybody
 *
 * What is taken is sound: an observation reads the same when it was written
 * again, a row that was taken is taken again, and what was imported can be
 * exported and imported. The ledger here keeps nothing but the tables' loads.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/net.h"
#include "base/wire.h"
#include "conf/conf.h"
#include "policy/client.h"
#include "policy/exception.h"
#include "policy/greylist.h"
#include "policy/ledger.h"
#include "policy/memory.h"
#include "policy/observation.h"
#include "tests/fake_time.h"

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void need(bool good)
{
	if (!good)
		__builtin_trap();
}

/* --- in the place of policy/ledger.c --- */

struct ledger {
	struct { const char *prefix; ledger_load *load; void *arg; }
	    tables[LEDGER_TABLES_MAX];
	size_t		 count;
	struct buf	 row;		/* the last that was put */
	bool		 has_row;
};

void ledger_add(struct ledger *ledger, const char *prefix, ledger_load *load,
    void *arg)
{
	ledger->tables[ledger->count].prefix = prefix;
	ledger->tables[ledger->count].load = load;
	ledger->tables[ledger->count++].arg = arg;
}

void ledger_on_loss(struct ledger *ledger, const char *prefix,
    void (*save)(void *arg))
{
	(void)ledger;
	(void)prefix;
	(void)save;
}

bool ledger_is_away(const struct ledger *ledger)
{
	(void)ledger;
	return false;
}

int ledger_put(struct ledger *ledger, const char *key, const void *value,
    size_t length)
{
	need(strlen(key) <= LEDGER_KEY_MAX && length <= LEDGER_VALUE_MAX);
	buf_reset(&ledger->row);
	buf_add(&ledger->row, value, length);
	ledger->has_row = true;
	return 0;
}

void ledger_put_soon(struct ledger *ledger, const char *key,
    const void *value, size_t length)
{
	ledger_put(ledger, key, value, length);
}

int ledger_delete(struct ledger *ledger, const char *key)
{
	(void)ledger;
	need(strlen(key) <= LEDGER_KEY_MAX);
	return 0;
}

void ledger_delete_soon(struct ledger *ledger, const char *key)
{
	ledger_delete(ledger, key);
}

/* --- a world --- */

struct world {
	struct ledger		 ledger;
	struct memory		*memory;
	struct exceptions	*exceptions;
	struct greylist		*greylist;
};

static void begin(struct world *world)
{
	const struct conf conf = { .greylist_delay = 300,
	    .greylist_window = 86400, .greylist_keep = 86400,
	    .network_ipv4 = 24, .network_ipv6 = 48 };

	memset(world, 0, sizeof(*world));
	buf_init(&world->ledger.row, LEDGER_VALUE_MAX);
	fake_time_begin();
	log_init("fuzz", LOG_LEVEL_FATAL);
	world->memory = memory_new(&world->ledger, NULL, NULL);
	world->exceptions = exceptions_new(&world->ledger, NULL, NULL);
	world->greylist = greylist_new(&world->ledger);
	greylist_configure(world->greylist, &conf);
}

static void end(struct world *world)
{
	fake_time_pass(DAYS(100));
	memory_free(world->memory);
	exceptions_free(world->exceptions);
	greylist_free(world->greylist);
	buf_release(&world->ledger.row);
	need(fake_time_timers() == 0);
}

/* --- observations --- */

static void learn(const struct observation *observation)
{
	struct world world;
	unsigned i;

	begin(&world);
	for (i = 0; i < 6; i++)
		memory_observe(world.memory, observation);
	need(memory_count(world.memory) <= 2);
	end(&world);
}

static void try_observation(const uint8_t *data, size_t size)
{
	struct observation first, second;
	struct wire_reader reader;
	struct wire_writer writer;
	struct buf buf;

	wire_read_begin(&reader, data, size);
	if (observation_get(&reader, &first) == -1)
		return;
	buf_init(&buf, OBSERVATION_WIRE_MAX);
	wire_write_begin(&writer, &buf);
	observation_put(&writer, &first);
	need(wire_write_end(&writer) == 0);
	wire_read_begin(&reader, buf_data(&buf), buf_length(&buf));
	need(observation_get(&reader, &second) == 0);
	need(memcmp(&first, &second, sizeof(first)) == 0);
	buf_release(&buf);
	learn(&first);
}

/* --- rows --- */

static int load(struct world *world, const char *key, const void *value,
    size_t length)
{
	size_t i;

	for (i = 0; i < world->ledger.count; i++)
		if (strncmp(key, world->ledger.tables[i].prefix,
		    strlen(world->ledger.tables[i].prefix)) == 0)
			return world->ledger.tables[i].load(
			    world->ledger.tables[i].arg, key, value, length);
	abort();
}

/* Dates that are to come are in rows of a clock that was wrong, too; an
 * import refuses them. */
static void take(void *arg, json_t *object)
{
	const char *problem = memory_import(arg, object);

	need(problem == NULL || strstr(problem, "future") != NULL);
	json_decref(object);
}

static void use(void *arg, const struct exception *exception)
{
	need(exception->id != 0 && exception->reason[0] != '\0');
	need(strlen(exception->pattern) > 0 &&
	    strcmp(exception->pattern, "*") != 0);
	exceptions_used(arg, exception->id);
}

/* What can be exported can be imported. */
static void take_all(struct memory *from, struct memory *to)
{
	struct memory_walk *walk = memory_walk_new(from, "");
	json_t *object;

	while (memory_walk_next(walk, &object) > 0)
		if (object != NULL)
			take(to, object);
	memory_walk_free(walk);
}

/* Everything that may be asked of what was loaded. */
static void ask(struct world *world)
{
	struct fact_memory fact;
	struct world other;

	begin(&other);
	memory_fact(world->memory, MEMORY_HOST, "mx.d.example", &fact);
	memory_fact(world->memory, MEMORY_DESTINATION, "d.example", &fact);
	memory_pin(world->memory, "d.example");
	exceptions_find(world->exceptions, "a.d.example");
	exceptions_page(world->exceptions, 0, EXCEPTIONS_MAX, use,
	    world->exceptions);
	take_all(world->memory, other.memory);
	need(memory_count(other.memory) <= memory_count(world->memory));
	end(&other);
}

static void try_row(const char *prefix, const uint8_t *data, size_t size)
{
	const uint8_t *zero = memchr(data, 0, size);
	size_t key_length = zero == NULL ? 0 : (size_t)(zero - data);
	char key[LEDGER_KEY_MAX + 1];
	struct world world;
	int taken;

	if (zero == NULL || key_length + strlen(prefix) > LEDGER_KEY_MAX)
		return;
	memcpy(key, prefix, strlen(prefix));
	memcpy(key + strlen(prefix), data, key_length + 1);
	begin(&world);
	taken = load(&world, key, zero + 1, size - key_length - 1);
	need(taken == 0 || taken == -1);
	need(taken == 0 || memory_count(world.memory) == 0);
	world.ledger.has_row = false;
	ask(&world);
	/* An exception was used, so it was written: that is a row. */
	if (world.ledger.has_row)
		need(load(&world, key, buf_data(&world.ledger.row),
		    buf_length(&world.ledger.row)) == 0);
	end(&world);
}

/* What is listed can be forgotten, by its network. */
static void try_entry(void *arg, const char *key)
{
	struct greylist_entry entry;

	if (!greylist_find(arg, key, &entry))
		return;
	need(entry.first >= 0 && entry.last >= 0);
	need(entry.known ? entry.recipient[0] == '\0' : key[0] == 'w');
}

static void try_greylist(const uint8_t *data, size_t size)
{
	const uint8_t *zero = memchr(data, 0, size);
	struct endpoint client;
	const struct policy_greylist_question question = { .client = &client,
	    .sender = "a@x.example", .recipient = "b@us.example" };
	char key[LEDGER_KEY_MAX + 1] = "greylist:";
	size_t used = strlen(key);
	struct world world;
	size_t known, waiting;
	int64_t wait;

	if (zero == NULL || used + (size_t)(zero - data) > LEDGER_KEY_MAX)
		return;
	memcpy(key + used, data, (size_t)(zero - data) + 1);
	begin(&world);
	if (load(&world, key, zero + 1, size - (size_t)(zero - data) - 1) ==
	    -1)
		need(greylist_count(world.greylist, true) +
		    greylist_count(world.greylist, false) == 0);
	greylist_scan(world.greylist, 0, try_entry, world.greylist);
	need(endpoint_parse(&client, "192.0.2.7", 25) == 0);
	wait = greylist_ask(world.greylist, &question);
	need(wait >= 0 && wait <= 300);
	known = greylist_count(world.greylist, true);
	waiting = greylist_count(world.greylist, false);
	need(known + waiting > 0 && known + waiting <= 2);
	need(greylist_forget(world.greylist, "192.0.2.9") > 0);
	end(&world);
}

static void try_json(const uint8_t *data, size_t size)
{
	json_t *object = json_loadb((const char *)data, size,
	    JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
	const char *problem;
	struct world world;

	if (object == NULL)
		return;
	begin(&world);
	problem = memory_import(world.memory, object);
	need(problem == NULL || problem[0] != '\0');
	need(problem == NULL || memory_count(world.memory) == 0);
	ask(&world);
	json_decref(object);
	end(&world);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	switch (data[0]) {
	case 'o': try_observation(data + 1, size - 1); break;
	case 'e': try_row("exception:", data + 1, size - 1); break;
	case 'm': try_row("memory:", data + 1, size - 1); break;
	case 'p': try_row("pin:", data + 1, size - 1); break;
	case 'g': try_greylist(data + 1, size - 1); break;
	case 'j': try_json(data + 1, size - 1); break;
	default: break;
	}
	return 0;
}
