/* SPDX-License-Identifier: ISC */
/*
 * Volumes: tables for rows that are only added, begun one after the other and
 * dropped whole, so that what goes costs neither log nor free lists, and its
 * room on the disk comes back at once. There is always one; the last takes
 * the rows. Each has a row in store.db, under its number, with the time that
 * its owner gave it; a file without a row is removed at the next open.
 *
 * Files are made and dropped between batches only, as segments are (see
 * segment_drop() for the order of things).
 */
#include "queue/store_internal.h"

#include <endian.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/mem.h"

enum { KEY_TAG = 8 };

static const char row_tag[KEY_TAG] = "volume";

struct row_key {
	char		 tag[KEY_TAG];
	uint64_t	 number;
};

struct volume {
	struct store_volume	 about;
	DB			*db;		/* open as long as we are */
};

struct store_volumes {
	struct volume	 list[STORE_VOLUMES_MAX];	/* oldest first */
	size_t		 count;
	size_t		 drops;		/* wanted, not done; not all */
	bool		 begins;	/* another is wanted, from then on */
	int64_t		 begun;
};

static struct row_key row_key(uint64_t number)
{
	struct row_key key = { .number = htobe64(number) };

	memcpy(key.tag, row_tag, KEY_TAG);
	return key;
}

static void name_of(uint64_t number, char *name, size_t size)
{
	snprintf(name, size, "history.%016" PRIx64 ".db", number);
}

static void turn_commit(struct store *store, uint32_t flag)
{
	int error = store->batch->commit(store->batch, flag);

	store->batch = NULL;
	if (error != 0)
		store_fail(store, "commit", error);
}

/* Table and row in one transaction of their own. */
static void begin(struct store *store, uint64_t number, int64_t begun)
{
	struct store_volumes *volumes = store->volumes;
	struct volume *volume = &volumes->list[volumes->count++];
	struct row_key key = row_key(number);
	uint64_t value = htobe64((uint64_t)begun);
	char name[64];
	int error;

	*volume = (struct volume){ .about = { number, begun } };
	name_of(number, name, sizeof(name));
	error = store_db_open(store->env, store_batch(store), name,
	    &volume->db);
	if (error != 0)
		store_fail(store, "begin volume", error);
	store_db_put(store, store->internal, (struct store_bytes){ &key,
	    sizeof(key) }, (struct store_bytes){ &value, sizeof(value) });
	turn_commit(store, DB_TXN_NOSYNC);
}

static void drop_first(struct store *store)
{
	struct store_volumes *volumes = store->volumes;
	struct volume *volume = &volumes->list[0];
	struct row_key key = row_key(volume->about.number);
	DB_MPOOLFILE *file = volume->db->get_mpf(volume->db);
	int error;

	store_db_delete(store, store->internal, (struct store_bytes){ &key,
	    sizeof(key) });
	turn_commit(store, DB_TXN_SYNC);
	error = file->set_flags(file, DB_MPOOL_UNLINK, 1);
	if (error == 0)
		error = volume->db->close(volume->db, DB_NOSYNC);
	if (error != 0)
		store_fail(store, "drop volume", error);
	volumes->count--;
	memmove(volume, volume + 1, volumes->count * sizeof(*volume));
}

bool store_volumes_turn(struct store *store)
{
	struct store_volumes *volumes = store->volumes;

	if (volumes->begins && volumes->count < STORE_VOLUMES_MAX) {
		volumes->begins = false;
		begin(store, volumes->list[volumes->count - 1].about.number + 1,
		    volumes->begun);
	}
	if (volumes->drops == 0 || volumes->count < 2)
		return volumes->begins;
	if (atomic_load(&store->backup_running) ||
	    pthread_mutex_trylock(&store->pages) != 0)
		return true;
	drop_first(store);
	pthread_mutex_unlock(&store->pages);
	return --volumes->drops > 0 || volumes->begins;
}

static void open_one(struct store *store, uint64_t number)
{
	struct store_volumes *volumes = store->volumes;
	struct volume *volume = &volumes->list[volumes->count++];
	uint64_t begun;
	char name[64];
	int error;

	memcpy(&begun, store->scratch, sizeof(begun));
	*volume = (struct volume){ .about = { number,
	    (int64_t)be64toh(begun) } };
	name_of(number, name, sizeof(name));
	error = store_db_open(store->env, NULL, name, &volume->db);
	if (error != 0)
		store_fail(store, "open volume", error);
}

void store_volumes_open(struct store *store)
{
	unsigned char key[STORE_KEY_MAX];
	struct row_key at = row_key(0);
	size_t length = sizeof(at);

	store->volumes = mem_alloc(sizeof(*store->volumes));
	memcpy(key, &at, sizeof(at));
	while (store->volumes->count < STORE_VOLUMES_MAX &&
	    store_db_next(store, store->internal, key, &length,
	    sizeof(key)) && length == sizeof(at) &&
	    memcmp(key, row_tag, KEY_TAG) == 0) {
		memcpy(&at, key, sizeof(at));
		open_one(store, be64toh(at.number));
		at = row_key(be64toh(at.number) + 1);
		memcpy(key, &at, sizeof(at));
		length = sizeof(at);
	}
	if (store->volumes->count == 0)
		begin(store, 1, 0);
}

void store_volumes_close(struct store *store)
{
	struct store_volumes *volumes = store->volumes;

	for (size_t i = 0; volumes != NULL && i < volumes->count; i++)
		volumes->list[i].db->close(volumes->list[i].db, 0);
	mem_free(volumes);
	store->volumes = NULL;
}

bool store_volume_is_orphan(const struct store *store, const char *name)
{
	const struct store_volumes *volumes = store->volumes;
	char wanted[64];

	/* "history.db" is no volume's name, and nobody's. */
	if (strncmp(name, "history.", 8) != 0)
		return false;
	for (size_t i = 0; i < volumes->count; i++) {
		name_of(volumes->list[i].about.number, wanted,
		    sizeof(wanted));
		if (strcmp(name, wanted) == 0)
			return false;
	}
	return true;
}

static struct volume *find(const struct store *store, uint64_t number)
{
	struct store_volumes *volumes = store->volumes;

	for (size_t i = 0; i < volumes->count; i++)
		if (volumes->list[i].about.number == number)
			return &volumes->list[i];
	return NULL;
}

DB *store_volume_db(struct store *store, uint64_t number)
{
	struct volume *volume = find(store, number);

	return volume == NULL ? NULL : volume->db;
}

/* --- as callers see them --- */

size_t store_volumes(const struct store *store,
    struct store_volume out[STORE_VOLUMES_MAX])
{
	const struct store_volumes *volumes = store->volumes;

	for (size_t i = volumes->drops; i < volumes->count; i++)
		out[i - volumes->drops] = volumes->list[i].about;
	return volumes->count - volumes->drops;
}

uint64_t store_volume_bytes(struct store *store, uint64_t number)
{
	DB *db = store_volume_db(store, number);
	DB_BTREE_STAT *stat;
	uint64_t pages;
	int error;

	if (db == NULL)
		return 0;
	error = db->stat(db, store->batch, &stat, DB_FAST_STAT);
	if (error != 0)
		store_fail(store, "volume statistics", error);
	pages = stat->bt_pagecnt;
	free(stat);
	return pages * STORE_PAGE_BYTES;
}

void store_volume_begin(struct store *store, int64_t begun)
{
	struct store_volumes *volumes = store->volumes;

	/* Its owner keeps far from that, unless a backup keeps what goes. */
	if (volumes->count == STORE_VOLUMES_MAX && volumes->drops == 0)
		volumes->drops++;
	volumes->begins = true;
	volumes->begun = begun;
	store_care(store);
}

void store_volume_drop(struct store *store)
{
	struct store_volumes *volumes = store->volumes;

	if (volumes->drops + 1 >= volumes->count)
		return;			/* the last stays */
	volumes->drops++;
	store_care(store);
}

void store_volume_put(struct store *store, struct store_bytes key,
    struct store_bytes value)
{
	const struct store_volumes *volumes = store->volumes;

	store_db_put(store, volumes->list[volumes->count - 1].db, key, value);
}

bool store_volume_get(struct store *store, uint64_t number,
    struct store_bytes key, struct buf *out)
{
	DB *db = store_volume_db(store, number);
	int64_t length = db == NULL ? -1 : store_db_get(store, db, key);

	if (length < 0)
		return false;
	if (buf_add(out, store->scratch, (size_t)length) != 0)
		bug("no room for a row");
	return true;
}
