/* SPDX-License-Identifier: ISC */
/*
 * The version of a store, and how far an upgrade has come. Rows in store.db:
 *
 *	version		of the store; while it is upgraded already the version
 *			that it will have, which programs of the earlier one
 *			refuse
 *	upgrade		the version that the rows have, then the mark of the
 *			step's owner; there only while it is upgraded
 *
 * What is done here comes before the threads run: a change is made durable by
 * its transaction.
 */
#include "queue/store_internal.h"

#include <endian.h>
#include <string.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/mem.h"

static const struct store_bytes version_key = { "version", 7 };
static const struct store_bytes upgrade_key = { "upgrade", 7 };
static const struct store_bytes salvaged_key = { STORE_SALVAGED_KEY,
    sizeof(STORE_SALVAGED_KEY) - 1 };

static void number_put(struct store *store, struct store_bytes key,
    uint32_t number)
{
	number = htobe32(number);
	store_db_put(store, store->internal, key,
	    (struct store_bytes){ &number, sizeof(number) });
}

/* The number that a row begins with; 0: there is none. */
static uint32_t number_get(struct store *store, struct store_bytes key)
{
	int64_t length = store_db_get(store, store->internal, key);
	uint32_t number;

	if (length < (int64_t)sizeof(number))
		return 0;
	memcpy(&number, store->scratch, sizeof(number));
	return be32toh(number);
}

static void commit_now(struct store *store)
{
	int error = store->batch->commit(store->batch, DB_TXN_SYNC);

	store->batch = NULL;
	if (error != 0)
		store_fail(store, "commit", error);
}

/* Nothing but store.db: a new store, or one that lost that table. */
static bool is_new(const struct store *store)
{
	return store_os_file_bytes(store->directory,
	    store_table_names[STORE_MESSAGES]) == 0;
}

/* From now on a program of that version refuses it. */
static void begin(struct store *store, uint32_t from)
{
	log_info("the store is of an earlier version and will be upgraded",
	    log_text("path", store->directory), log_number("from", from),
	    log_number("to", STORE_VERSION));
	number_put(store, version_key, STORE_VERSION);
	number_put(store, upgrade_key, from);
	commit_now(store);
	store->upgrade_from = from;
}

static int refuse(struct store *store, uint32_t found)
{
	bool later = found > STORE_VERSION;

	log_error(later ? "the store is of a later version of Postern" :
	    "the store is too old for this version of Postern",
	    log_text("path", store->directory), log_number("found", found),
	    log_number("wanted", STORE_VERSION), log_text("remedy", later ?
	    "start the Postern that wrote it; to go back, `postern queue "
	    "export` there and `postern queue import` here" :
	    "start a Postern between the two once, which upgrades it"));
	return -1;
}

static void salvage_read(struct store *store)
{
	int64_t length = store_db_get(store, store->internal, salvaged_key);

	if (length <= 0)
		return;
	store->salvaged = mem_print("%s/%.*s", store->directory, (int)length,
	    (const char *)store->scratch);
}

int store_version_check(struct store *store)
{
	uint32_t found = number_get(store, version_key);

	salvage_read(store);
	if (found == 0 && is_new(store)) {
		number_put(store, version_key, STORE_VERSION);
		commit_now(store);
		return 0;
	}
	/* Salvage did not find it: the steps do no harm to later rows. */
	if (found == 0)
		found = STORE_VERSION_OLDEST;
	if (found > STORE_VERSION || found < STORE_VERSION_OLDEST)
		return refuse(store, found);
	if (store->options.as_it_is && (found < STORE_VERSION ||
	    number_get(store, upgrade_key) != 0)) {
		log_error("the store is of an earlier version",
		    log_text("path", store->directory),
		    log_text("remedy", "start Postern on it, which upgrades "
		    "it, or look at it with the Postern that wrote it"));
		return -1;
	}
	if (found < STORE_VERSION && number_get(store, upgrade_key) == 0) {
		begin(store, found);
		return 0;
	}
	store->upgrade_from = number_get(store, upgrade_key);
	if (store->upgrade_from == 0)
		return 0;
	log_info("an upgrade of the store goes on", log_text("path",
	    store->directory), log_number("from", store->upgrade_from),
	    log_number("to", STORE_VERSION));
	if (found < STORE_VERSION) {
		number_put(store, version_key, STORE_VERSION);
		commit_now(store);
	}
	return 0;
}

uint32_t store_upgrade_from(const struct store *store)
{
	return store->upgrade_from;
}

void store_upgrade_mark(struct store *store, struct store_bytes mark)
{
	unsigned char row[sizeof(uint32_t) + STORE_UPGRADE_MARK_MAX];
	uint32_t from = htobe32(store->upgrade_from);

	if (mark.length > STORE_UPGRADE_MARK_MAX)
		bug("mark of an upgrade is too long");
	memcpy(row, &from, sizeof(from));
	memcpy(row + sizeof(from), mark.data, mark.length);
	store_db_put(store, store->internal, upgrade_key,
	    (struct store_bytes){ row, sizeof(from) + mark.length });
}

void store_upgrade_marked(struct store *store, struct buf *out)
{
	int64_t length = store_db_get(store, store->internal, upgrade_key);
	const size_t head = sizeof(uint32_t);

	if (length > (int64_t)head && buf_add(out, store->scratch + head,
	    (size_t)length - head) != 0)
		bug("no room for the mark of an upgrade");
}

void store_upgrade_to(struct store *store, uint32_t version)
{
	if (version == STORE_VERSION) {
		store->upgrade_from = 0;
		store_db_delete(store, store->internal, upgrade_key);
		return;
	}
	store->upgrade_from = version;
	number_put(store, upgrade_key, version);
}

const char *store_salvaged(const struct store *store)
{
	return store->salvaged;
}

void store_salvage_settled(struct store *store)
{
	mem_free(store->salvaged);
	store->salvaged = NULL;
	store_db_delete(store, store->internal, salvaged_key);
}
