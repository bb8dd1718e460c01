/* SPDX-License-Identifier: ISC */
/*
 * See role.h. Reads are counted where Berkeley DB is entered: db_create() and
 * pread() of this program come before the libraries'.
 */
#include "tests/bench/plans/role.h"

#include <db.h>
#include <dlfcn.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/loop.h"
#include "base/mem.h"
#include "base/process.h"
#include "conf/bundle.h"
#include "policy/exception.h"
#include "policy/ledger.h"
#include "policy/memory.h"
#include "policy/observation.h"
#include "policy/policy.h"
#include "policy/sts_cache.h"
#include "tests/bench/plans/world.h"

enum { SEEN_TIMES = 5, EXCEPTION_SECONDS = 86400 };

/* --- hooks --- */

static struct role_count *count;	/* null: not counted */
static bool flushes = true;

static int (*real_cursor)(DB *, DB_TXN *, DBC **, u_int32_t);
static int (*real_get)(DB *, DB_TXN *, DBT *, DBT *, u_int32_t);
static int (*real_cursor_get)(DBC *, DBT *, DBT *, u_int32_t);

static void note_read(void)
{
	if (count != NULL)
		atomic_fetch_add(&count->reads, 1);
}

static int counting_cursor_get(DBC *cursor, DBT *key, DBT *data,
    u_int32_t flags)
{
	note_read();
	return real_cursor_get(cursor, key, data, flags);
}

static int counting_cursor(DB *db, DB_TXN *transaction, DBC **cursor,
    u_int32_t flags)
{
	int error = real_cursor(db, transaction, cursor, flags);

	note_read();
	if (error == 0) {
		real_cursor_get = (*cursor)->get;
		(*cursor)->get = counting_cursor_get;
	}
	return error;
}

static int counting_get(DB *db, DB_TXN *transaction, DBT *key, DBT *data,
    u_int32_t flags)
{
	note_read();
	return real_get(db, transaction, key, data, flags);
}

int db_create(DB **db, DB_ENV *env, u_int32_t flags)
{
	static int (*real)(DB **, DB_ENV *, u_int32_t);
	int error;

	if (real == NULL)
		*(void **)&real = dlsym(RTLD_NEXT, "db_create");
	error = real(db, env, flags);
	if (error != 0)
		return error;
	real_cursor = (*db)->cursor;
	real_get = (*db)->get;
	(*db)->cursor = counting_cursor;
	(*db)->get = counting_get;
	return 0;
}

ssize_t pread(int fd, void *data, size_t length, off_t at)
{
	if (count != NULL)
		atomic_fetch_add(&count->pages, 1);
	return syscall(SYS_pread64, fd, data, length, at);
}

/* The rows that are made beforehand need not outlive a crash. */
int fdatasync(int fd)
{
	return flushes ? (int)syscall(SYS_fdatasync, fd) : 0;
}

/* --- what is remembered --- */

bool role_has_exception(unsigned number)
{
	return number % 100 == 7;
}

bool role_is_remembered(unsigned number)
{
	return number % 2 == 1;
}

static void fill_policies(const char *directory, unsigned destinations)
{
	struct sts_cache *cache = sts_cache_new(directory);
	char domain[40], host[40], text[200];
	unsigned i;

	sts_cache_load(cache);
	for (i = 0; i < destinations; i++) {
		if (world_kind(i) != WORLD_STS &&
		    world_kind(i) != WORLD_SIGNED_STS)
			continue;
		world_domain(i, domain, sizeof(domain));
		world_host(i, host, sizeof(host));
		snprintf(text, sizeof(text), "version: STSv1\nmode: enforce\n"
		    "mx: %s\nmax_age: 604800\n", host);
		sts_cache_put(cache, domain, "2026", text, strlen(text));
	}
	sts_cache_free(cache);
}

static void fill_memory(struct memory *memory, unsigned destinations)
{
	struct observation seen = { .stage = OBSERVED_SECURED,
	    .requirement = REQUIRE_OPPORTUNISTIC, .version = "TLSv1.3" };
	unsigned i, times;

	for (i = 0; i < destinations; i++) {
		if (!role_is_remembered(i))
			continue;
		world_domain(i, seen.domain, sizeof(seen.domain));
		world_host(i, seen.host, sizeof(seen.host));
		for (times = 0; times < SEEN_TIMES; times++)
			memory_observe(memory, &seen);
	}
}

static void fill_exceptions(struct exceptions *exceptions,
    unsigned destinations)
{
	struct exception wanted = { .level = LEVEL_MAY, .reason = "benchmark",
	    .author = "nobody" }, made;
	unsigned i;

	wanted.until = clock_wall() + EXCEPTION_SECONDS * INT64_C(1000);
	for (i = 0; i < destinations; i++) {
		if (!role_has_exception(i))
			continue;
		world_domain(i, wanted.pattern, sizeof(wanted.pattern));
		if (exceptions_add(exceptions, &wanted, &made) != NULL)
			abort();
	}
}

void role_fill(const struct role_world *world)
{
	char *directory = mem_print("%s/policy", world->directory);
	struct exceptions *exceptions;
	struct ledger *ledger;
	struct memory *memory;

	flushes = false;
	loop_init();
	fill_policies(directory, world->destinations);
	ledger = ledger_new(directory);
	memory = memory_new(ledger, NULL, NULL);
	exceptions = exceptions_new(ledger, NULL, NULL);
	ledger_open(ledger);
	fill_memory(memory, world->destinations);
	fill_exceptions(exceptions, world->destinations);
	exceptions_free(exceptions);
	memory_free(memory);
	ledger_free(ledger);
	mem_free(directory);
}

/* --- the role --- */

static void configure(const struct role_world *world)
{
	char *text = mem_print("hostname = us.example\nresolver = forward\n"
	    "forwarders = { \"127.0.0.1@%u\" }\nresolver-timeout = 20\n"
	    "trust-anchor-file = \"/root.key\"\nstate-directory = \"%s\"\n",
	    world->port, world->directory);
	struct bundle_file anchor = { .path = (char *)"/root.key",
	    .role = ROLE_POLICY };
	struct bundle bundle = { .name = (char *)"bench.conf", .text = text,
	    .files = &anchor, .file_count = 1 };
	char error[400] = "";
	struct buf bytes;

	anchor.contents = mem_dup_string(world_anchor());
	anchor.length = strlen(anchor.contents);
	buf_init(&bytes, 1 << 20);
	if (bundle_encode(&bundle, ROLE_POLICY, &bytes) == -1 ||
	    policy_entry.configure(buf_data(&bytes), buf_length(&bytes), error,
	    sizeof(error)) == -1) {
		fprintf(stderr, "plans: %s\n", error);
		exit(1);
	}
	buf_release(&bytes);
	mem_free(anchor.contents);
	mem_free(text);
}

static void stop(void *arg)
{
	(void)arg;
	policy_entry.stop();
}

void role_run(const struct role_world *world, int channel)
{
	const struct process_peer delivery = { ROLE_DELIVERY, 0 };

	count = world->count;
	loop_init();
	loop_on_signal(SIGTERM, stop, NULL);
	configure(world);
	policy_entry.prepare();
	policy_entry.start();
	policy_entry.peer(&delivery, channel);
	loop_run();
}
