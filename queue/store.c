/* SPDX-License-Identifier: ISC */
/*
 * Opening and closing, rows, scans, and the batch of a turn. The loop's thread
 * is the only one that reads or writes tables, so Berkeley DB's lock manager
 * is left out; the other threads flush, write pages and take checkpoints,
 * which needs none. Every error that reaches this file ends the process: the
 * log holds all that was promised, and the next start recovers it.
 */
#include "queue/store_internal.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/broken.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"

const char *const store_table_names[STORE_TABLE_COUNT] = {
	[STORE_META] = "meta.db", [STORE_MESSAGES] = "messages.db",
	[STORE_SLICES] = "slices.db", [STORE_SCHEDULE] = "schedule.db",
	[STORE_ORDERS] = "orders.db", [STORE_ATTEMPTS] = "attempts.db",
};

enum {
	LOG_BUFFER_BYTES = 4 << 20,	/* one turn's log rarely fills it */
	LEAST_BYTES = 2 << 20,		/* of what depends on the disk */
	LOG_REGION_BYTES = 1 << 20,	/* names of open tables */
	TRANSACTIONS = 64,		/* one, and what opening takes */
	WRITES_IN_ROW = 64,		/* then a checkpoint rests */
	WRITE_PAUSE_MICROSECONDS = 500,
	CARE_MILLISECONDS = 50,
	MESSAGE_MILLISECONDS = 10000,	/* of the library, in the log */
	MESSAGES = 10,
	MOVE_DELAY_MILLISECONDS = 15000,
	BULK_BYTES = 64 << 10,		/* of rows from one call, */
	BULK_ROWS = 32			/* if no fewer are wanted */
};

/* --- errors --- */

/* Why the library gave up: what it says from then on names no cause. */
static _Atomic int panic_cause;

static void on_event(DB_ENV *env, uint32_t event, void *information)
{
	int none = 0;

	(void)env;
	if (event == DB_EVENT_PANIC)
		atomic_compare_exchange_strong(&panic_cause, &none,
		    *(int *)information);
}

/* Unless the disk or memory said no, the tables themselves are in doubt. */
static bool is_in_doubt(int error)
{
	if (error == DB_RUNRECOVERY && atomic_load(&panic_cause) != 0)
		error = atomic_load(&panic_cause);
	return !store_os_met_full_disk() && !store_os_met_refusal() &&
	    error != ENOSPC && error != EIO && error != ENOMEM &&
	    error != EMFILE && error != ENFILE && error != EDQUOT &&
	    error != EINTR;
}

void store_fail(struct store *store, const char *what, int error)
{
	if (is_in_doubt(error))
		store_os_mark_damaged(store->directory);
	fatal("store failed", log_text("what", what),
	    log_text("error", db_strerror(error)));
}

/* From any thread. A full disk makes the library speak of every page that it
 * cannot write, again and again: the first of a period are enough. */
static void on_message(const DB_ENV *env, const char *prefix, const char *text)
{
	static _Atomic int64_t period;
	static _Atomic unsigned count;
	int64_t now = clock_monotonic() / MESSAGE_MILLISECONDS;
	unsigned before;

	(void)env;
	(void)prefix;
	if (atomic_exchange(&period, now) != now) {
		before = atomic_exchange(&count, 0);
		if (before > MESSAGES)
			log_error("berkeley db", log_number("unsaid",
			    (int64_t)before - MESSAGES));
	}
	if (atomic_fetch_add(&count, 1) < MESSAGES)
		log_error("berkeley db", log_text("text", text));
}

/* --- rows, in any table --- */

static DBT entry_of(struct store_bytes bytes)
{
	return (DBT){ .data = (void *)(uintptr_t)bytes.data,
	    .size = (uint32_t)bytes.length };
}

DB_TXN *store_batch(struct store *store)
{
	int error;

	if (store->batch != NULL)
		return store->batch;
	error = store->env->txn_begin(store->env, NULL, &store->batch, 0);
	if (error != 0)
		store_fail(store, "begin", error);
	return store->batch;
}

void store_db_put(struct store *store, DB *db, struct store_bytes key,
    struct store_bytes value)
{
	DBT at = entry_of(key), data = entry_of(value);
	int error;

	if (key.length > STORE_KEY_MAX || value.length > STORE_VALUE_MAX)
		bug("row is too large");
	error = db->put(db, store_batch(store), &at, &data, 0);
	if (error != 0)
		store_fail(store, "put", error);
}

void store_db_delete(struct store *store, DB *db, struct store_bytes key)
{
	DBT at = entry_of(key);
	int error = db->del(db, store_batch(store), &at, 0);

	if (error != 0 && error != DB_NOTFOUND)
		store_fail(store, "delete", error);
}

int64_t store_db_get(struct store *store, DB *db, struct store_bytes key)
{
	DBT at = entry_of(key);
	DBT data = { .data = store->scratch, .ulen = STORE_VALUE_MAX,
	    .flags = DB_DBT_USERMEM };
	int error = db->get(db, store->batch, &at, &data, 0);

	if (error == DB_NOTFOUND)
		return -1;
	if (error != 0)
		store_fail(store, "get", error);
	return data.size;
}

static DBC *cursor_open(struct store *store, DB *db)
{
	DBC *cursor;
	int error = db->cursor(db, store->batch, &cursor, 0);

	if (error != 0)
		store_fail(store, "cursor", error);
	return cursor;
}

static void cursor_close(struct store *store, DBC *cursor)
{
	int error = cursor->close(cursor);

	if (error != 0)
		store_fail(store, "cursor", error);
}

bool store_db_next(struct store *store, DB *db, unsigned char *key,
    size_t *key_length, size_t key_size)
{
	DBC *cursor = cursor_open(store, db);
	DBT at = { .data = key, .size = (uint32_t)*key_length,
	    .ulen = (uint32_t)key_size, .flags = DB_DBT_USERMEM };
	DBT data = { .data = store->scratch, .ulen = STORE_VALUE_MAX,
	    .flags = DB_DBT_USERMEM };
	int error = cursor->get(cursor, &at, &data, DB_SET_RANGE);

	if (error != 0 && error != DB_NOTFOUND)
		store_fail(store, "next", error);
	cursor_close(store, cursor);
	*key_length = at.size;
	return error == 0;
}

/* --- rows that were written lately --- */

/*
 * Most mail is read a few times while it goes through, soon after it came in:
 * its rows are kept here, by the end of the number that their keys begin with.
 * What is here is what the table has.
 */
enum { RECENT_ROWS = 4096, RECENT_KEY = 12, RECENT_BYTES = 4096 };

struct store_recent {
	size_t		 key_length;		/* 0: empty */
	unsigned char	 key[RECENT_KEY];
	size_t		 length, size;
	unsigned char	*value;			/* owned */
};

/* Null: rows with such keys are not kept. */
static struct store_recent *recent_place(struct store *store,
    enum store_table table, struct store_bytes key)
{
	const unsigned char *bytes = key.data;
	struct store_recent *rows = table == STORE_MESSAGES ?
	    store->recent_messages : table == STORE_SLICES ?
	    store->recent_slices : NULL;

	if (rows == NULL || key.length < sizeof(uint64_t) ||
	    key.length > RECENT_KEY)
		return NULL;
	return &rows[(bytes[6] << 8 | bytes[7]) % RECENT_ROWS];
}

static bool recent_is(const struct store_recent *row, struct store_bytes key)
{
	return row != NULL && row->key_length == key.length &&
	    memcmp(row->key, key.data, key.length) == 0;
}

static void recent_put(struct store_recent *row, struct store_bytes key,
    struct store_bytes value)
{
	if (row == NULL)
		return;
	if (value.length > RECENT_BYTES) {
		if (recent_is(row, key))
			row->key_length = 0;
		return;
	}
	if (value.length > row->size) {
		row->size = (value.length + 255) / 256 * 256;
		row->value = mem_resize(row->value, row->size, 1);
	}
	row->key_length = key.length;
	memcpy(row->key, key.data, key.length);
	row->length = value.length;
	memcpy(row->value, value.data, value.length);
}

static struct store_recent *recent_new(void)
{
	return mem_alloc_array(RECENT_ROWS, sizeof(struct store_recent));
}

static void recent_free(struct store_recent *rows)
{
	for (int i = 0; i < RECENT_ROWS; i++)
		mem_free(rows[i].value);
	mem_free(rows);
}

/* --- rows, as callers see them --- */

static DB *table_of(struct store *store, enum store_table table)
{
	if ((unsigned)table >= STORE_TABLE_COUNT)
		bug("no such table");
	return store->tables[table];
}

void store_put(struct store *store, enum store_table table,
    struct store_bytes key, struct store_bytes value)
{
	store_db_put(store, table_of(store, table), key, value);
	recent_put(recent_place(store, table, key), key, value);
}

void store_delete(struct store *store, enum store_table table,
    struct store_bytes key)
{
	struct store_recent *recent = recent_place(store, table, key);

	store_db_delete(store, table_of(store, table), key);
	if (recent_is(recent, key))
		recent->key_length = 0;
}

bool store_get(struct store *store, enum store_table table,
    struct store_bytes key, struct buf *out)
{
	const struct store_recent *recent = recent_place(store, table, key);
	const void *value = store->scratch;
	int64_t length;

	if (recent_is(recent, key)) {
		value = recent->value;
		length = (int64_t)recent->length;
	} else {
		length = store_db_get(store, table_of(store, table), key);
	}
	if (length < 0)
		return false;
	if (buf_add(out, value, (size_t)length) != 0)
		bug("no room for a row");
	return true;
}

/* --- scans --- */

static void page_add_bytes(struct store_page *page, const void *data,
    size_t length)
{
	if (page->size - page->used < length) {
		page->size = (page->used + length) * 2;
		page->memory = mem_resize(page->memory, page->size, 1);
	}
	if (length > 0)
		memcpy(page->memory + page->used, data, length);
	page->used += length;
}

/* Pointers are set when the memory has stopped moving. */
static void page_finish(struct store_page *page)
{
	size_t at = 0;

	for (size_t i = 0; i < page->count; i++) {
		page->rows[i].key.data = page->memory + at;
		at += page->rows[i].key.length;
		page->rows[i].value.data = page->memory + at;
		at += page->rows[i].value.length;
	}
}

static bool is_before(const DBT *key, struct store_bytes until)
{
	size_t shorter = key->size < until.length ? key->size : until.length;
	int order;

	if (until.data == NULL)
		return true;
	order = memcmp(key->data, until.data, shorter);
	return order < 0 || (order == 0 && key->size < until.length);
}

static bool is_same(const DBT *key, struct store_bytes other)
{
	return key->size == other.length &&
	    memcmp(key->data, other.data, other.length) == 0;
}

static void page_add_row(struct store_page *page, const DBT *key,
    const DBT *data)
{
	page->rows[page->count++] = (struct store_row){
	    .key.length = key->size, .value.length = data->size };
	page_add_bytes(page, key->data, key->size);
	page_add_bytes(page, data->data, data->size);
}

/* The same the other way round: DB_SET_RANGE finds the row that comes after. */
static int scan_rows_back(DBC *cursor, DBT *key, DBT *data,
    const struct store_scan *scan, struct store_page *page)
{
	uint32_t step = DB_LAST;
	int error = DB_NOTFOUND;

	if (scan->from.data != NULL)
		error = cursor->get(cursor, key, data, DB_SET_RANGE);
	if (error == 0)
		step = DB_PREV;
	else if (error != DB_NOTFOUND)
		return error;
	for (;; step = DB_PREV) {
		error = cursor->get(cursor, key, data, step);
		if (error != 0)
			return error;
		if (store_stock_is(key->data, key->size))
			return DB_NOTFOUND;
		if (page->count == scan->max_rows ||
		    (page->count > 0 && page->used >= scan->max_bytes)) {
			page->more = true;
			return 0;
		}
		page_add_row(page, key, data);
	}
}

/* Rows from the cursor into the page until it is full or the range ends. */
static int scan_rows(DBC *cursor, DBT *key, DBT *data,
    const struct store_scan *scan, struct store_page *page)
{
	uint32_t step = scan->from.data == NULL ? DB_FIRST : DB_SET_RANGE;
	int error;

	for (;; step = DB_NEXT) {
		error = cursor->get(cursor, key, data, step);
		if (error != 0)
			return error;
		if (store_stock_is(key->data, key->size))
			continue;
		if (!is_before(key, scan->until))
			return DB_NOTFOUND;
		if (step == DB_SET_RANGE && scan->after &&
		    is_same(key, scan->from))
			continue;
		if (page->count == scan->max_rows ||
		    (page->count > 0 && page->used >= scan->max_bytes)) {
			page->more = true;
			return 0;
		}
		page_add_row(page, key, data);
	}
}

static void key_set(DBT *key, struct store_bytes from)
{
	if (from.data == NULL)
		return;
	memcpy(key->data, from.data, from.length);
	key->size = (uint32_t)from.length;
}

/* Whether the row goes into the page; error gets what the scan ends with if
 * not. */
static bool takes_row(const struct store_scan *scan, struct store_page *page,
    const DBT *key, int *error)
{
	*error = DB_NOTFOUND;
	if (!is_before(key, scan->until))
		return false;
	*error = 0;
	page->more = page->count == scan->max_rows ||
	    (page->count > 0 && page->used >= scan->max_bytes);
	return !page->more;
}

/* What one call of Berkeley DB has put into many. */
static bool take_bulk(const DBT *many, const struct store_scan *scan,
    struct store_page *page, int *error)
{
	DBT key = { .size = 0 }, data = { .size = 0 };
	void *next;

	DB_MULTIPLE_INIT(next, many);
	for (;;) {
		DB_MULTIPLE_KEY_NEXT(next, many, key.data, key.size,
		    data.data, data.size);
		if (next == NULL)
			return true;
		if (store_stock_is(key.data, key.size) ||
		    (page->count == 0 && scan->after &&
		    is_same(&key, scan->from)))
			continue;
		if (!takes_row(scan, page, &key, error))
			return false;
		page_add_row(page, &key, &data);
	}
}

/* The same as scan_rows(), many rows a call: half the processor's time. What is
 * too large for that is left to the other; key is not moved. */
static int scan_bulk(DBC *cursor, DBT *key, const DBT *room,
    const struct store_scan *scan, struct store_page *page)
{
	uint32_t step = scan->from.data == NULL ? DB_FIRST : DB_SET_RANGE;
	DBT many = { .data = room->data, .ulen = BULK_BYTES,
	    .flags = DB_DBT_USERMEM };
	int error;

	for (;; step = DB_NEXT) {
		error = cursor->get(cursor, key, &many,
		    step | DB_MULTIPLE_KEY);
		if (error != 0 || !take_bulk(&many, scan, page, &error))
			return error;
	}
}

void store_scan(struct store *store, const struct store_scan *scan,
    struct store_page *page)
{
	unsigned char key_bytes[STORE_KEY_MAX];
	DB *db = scan->table == STORE_VOLUME ? store_volume_db(store,
	    scan->volume) : table_of(store, scan->table);
	DBC *cursor;
	DBT key = { .data = key_bytes, .ulen = sizeof(key_bytes),
	    .flags = DB_DBT_USERMEM };
	DBT data = { .data = store->scratch, .ulen = STORE_VALUE_MAX,
	    .flags = DB_DBT_USERMEM };
	int error;

	if (scan->from.length > sizeof(key_bytes) || scan->max_rows == 0)
		bug("scan without bounds");
	page->count = page->used = 0;
	page->more = false;
	if (db == NULL)
		return;			/* a volume that is gone */
	cursor = cursor_open(store, db);
	key_set(&key, scan->from);
	if (scan->keys_only)
		data.flags |= DB_DBT_PARTIAL;
	page->rows = mem_resize(page->rows, scan->max_rows,
	    sizeof(*page->rows));
	error = DB_BUFFER_SMALL;
	if (scan->max_rows >= BULK_ROWS && !scan->keys_only &&
	    !scan->backwards)
		error = scan_bulk(cursor, &key, &data, scan, page);
	if (error == DB_BUFFER_SMALL) {
		key_set(&key, scan->from);
		page->count = page->used = 0;
		error = scan->backwards ?
		    scan_rows_back(cursor, &key, &data, scan, page) :
		    scan_rows(cursor, &key, &data, scan, page);
	}
	if (error != 0 && error != DB_NOTFOUND)
		store_fail(store, "scan", error);
	cursor_close(store, cursor);
	page_finish(page);
}

void store_page_release(struct store_page *page)
{
	mem_free(page->rows);
	mem_free(page->memory);
	*page = (struct store_page){ 0 };
}

/* --- the batch --- */

static void waiter_add(struct store *store, struct waiter waiter)
{
	size_t place;

	if (store->waiter_count == store->waiter_size) {
		size_t size = store->waiter_size * 2 + 64;
		struct waiter *ring = mem_alloc_array(size, sizeof(*ring));

		for (size_t i = 0; i < store->waiter_count; i++)
			ring[i] = store->waiters[(store->waiter_first + i) %
			    store->waiter_size];
		mem_free(store->waiters);
		store->waiters = ring;
		store->waiter_first = 0;
		store->waiter_size = size;
	}
	place = (store->waiter_first + store->waiter_count++) %
	    store->waiter_size;
	store->waiters[place] = waiter;
}

/* The flusher has come round: whoever waited for it hears. */
static void on_flushed(void *arg)
{
	struct store *store = arg;
	uint64_t flushed;

	pthread_mutex_lock(&store->lock);
	flushed = store->flushed;
	pthread_mutex_unlock(&store->lock);
	if (atomic_load(&store->backup_finished)) {
		store_backup_done *done = store->backup_done;

		pthread_join(store->backup_thread, NULL);
		atomic_store(&store->backup_finished, false);
		mem_free(store->backup_directory);
		store->backup_directory = NULL;
		done(store->backup_arg, store->backup_success);
	}
	while (store->waiter_count > 0) {
		struct waiter waiter = store->waiters[store->waiter_first];

		if (waiter.batch > flushed)
			break;
		store->waiter_first = (store->waiter_first + 1) %
		    store->waiter_size;
		store->waiter_count--;
		waiter.done(waiter.arg);
	}
}

/* The turn's writes, with the marks that go with them, in one transaction. */
static void batch_commit(struct store *store)
{
	int error;

	if (store->batch == NULL)
		return;
	store_bodies_note(store);
	store_segments_note(store);
	error = store->batch->commit(store->batch, DB_TXN_NOSYNC);
	store->batch = NULL;
	if (error != 0)
		store_fail(store, "commit", error);
	store->commits++;
}

/* Hands all that is committed to the flusher; the number to wait for. */
static uint64_t flush_begin(struct store *store, bool wrote)
{
	uint64_t batch;

	pthread_mutex_lock(&store->lock);
	batch = ++store->committed;
	if (wrote)
		store_progress_committed(store->progress, batch);
	pthread_cond_signal(&store->wanted);
	pthread_mutex_unlock(&store->lock);
	return batch;
}

static void on_care(void *arg)
{
	struct store *store = arg;
	bool more = store_bodies_purge(store);

	more = store_segments_move(store) || more;
	batch_commit(store);
	more = store_segments_turn(store) || more;
	more = store_volumes_turn(store) || more;
	if (store->gone_count > 0)
		flush_begin(store, true);
	if (more)
		timer_start(&store->care, CARE_MILLISECONDS, on_care, store);
}

void store_care(struct store *store)
{
	if (!timer_is_running(&store->care))
		timer_start(&store->care, 0, on_care, store);
}

void store_commit_durable(struct store *store, store_done *done, void *arg)
{
	bool wrote = store->batch != NULL;
	uint64_t batch;

	if (!wrote && done == NULL)
		return;
	batch_commit(store);
	if (wrote)
		store_segments_turn(store);
	batch = flush_begin(store, wrote);
	if (done != NULL)
		waiter_add(store, (struct waiter){ batch, done, arg });
	if (wrote && !timer_is_running(&store->care))
		timer_start(&store->care, CARE_MILLISECONDS, on_care, store);
}

void store_commit_wait(struct store *store)
{
	store_commit_durable(store, NULL, NULL);
	pthread_mutex_lock(&store->lock);
	while (store->flushed < store->committed)
		pthread_cond_wait(&store->flushed_some, &store->lock);
	pthread_mutex_unlock(&store->lock);
}

/* --- opening --- */

/* What a power cut left behind the end of the log. */
static int log_rest_clear(DB_ENV *env, const char *directory)
{
	DB_LOG_STAT *stat;
	int error = env->log_stat(env, &stat, 0);

	if (error != 0)
		return error;
	store_os_log_rest(directory, stat->st_cur_file, stat->st_cur_offset);
	free(stat);
	return 0;
}

int store_environment_open(const struct store_options *options,
    const char *directory, DB_ENV **out)
{
	DB_ENV *env;
	int error = db_env_create(&env, 0);

	if (error != 0)
		return error;
	atomic_store(&panic_cause, 0);
	env->set_errcall(env, on_message);
	env->set_event_notify(env, on_event);
	env->set_cachesize(env, (uint32_t)(options->cache_bytes >> 30),
	    (uint32_t)(options->cache_bytes & ((1U << 30) - 1)), 1);
	env->set_lg_max(env, (uint32_t)options->log_file_bytes);
	env->set_lg_bsize(env, options->log_file_bytes / 4 < LOG_BUFFER_BYTES ?
	    (uint32_t)options->log_file_bytes / 4 : LOG_BUFFER_BYTES);
	env->set_lg_regionmax(env, LOG_REGION_BYTES);
	env->set_tx_max(env, TRANSACTIONS);
	env->set_mp_max_write(env, WRITES_IN_ROW, WRITE_PAUSE_MICROSECONDS);
	/* opening a table must not flush the log on the loop's thread */
	env->set_flags(env, DB_NOMMAP | DB_TXN_NOSYNC, 1);
	error = env->open(env, directory, DB_CREATE | DB_PRIVATE |
	    DB_RECOVER | DB_THREAD | DB_INIT_MPOOL | DB_INIT_LOG |
	    DB_INIT_TXN, 0600);
	if (error == 0)
		error = log_rest_clear(env, directory);
	if (error != 0) {
		env->close(env, 0);
		return error;
	}
	*out = env;
	return 0;
}

int store_db_open(DB_ENV *env, DB_TXN *txn, const char *name, DB **out)
{
	DB *db;
	int error = db_create(&db, env, 0);

	if (error != 0)
		return error;
	db->set_pagesize(db, STORE_PAGE_BYTES);
	db->set_flags(db, DB_CHKSUM);
	error = db->open(db, txn, name, NULL, DB_BTREE, DB_CREATE | DB_THREAD |
	    (txn == NULL && env != NULL ? DB_AUTO_COMMIT : 0), 0600);
	if (error != 0) {
		db->close(db, 0);
		return error;
	}
	*out = db;
	return 0;
}

/* What a store of another version does not have is not made before that is
 * known. */
static int tables_open(struct store *store)
{
	int error = store_db_open(store->env, NULL, "strays.db",
	    &store->strays);

	for (int i = 0; error == 0 && i < STORE_TABLE_COUNT; i++)
		error = store_db_open(store->env, NULL, store_table_names[i],
		    &store->tables[i]);
	return error;
}

static void table_close(DB **db)
{
	if (*db != NULL)
		(*db)->close(*db, 0);
	*db = NULL;
}

static void environment_close(struct store *store)
{
	store_segments_close(store);
	store_volumes_close(store);
	table_close(&store->internal);
	table_close(&store->strays);
	for (int i = 0; i < STORE_TABLE_COUNT; i++)
		table_close(&store->tables[i]);
	if (store->env != NULL) {
		if (store_pages_settle() == 0)
			store->env->txn_checkpoint(store->env, 0, 0, DB_FORCE);
		store->env->close(store->env, 0);
	}
	store->env = NULL;
}

/* Berkeley DB would read settings from it; nobody else may change ours. */
static void settings_file_remove(const char *directory)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/DB_CONFIG", directory);
	if (unlink(path) == 0)
		log_warn("removed a settings file", log_text("path", path));
}

/* After a failure that put the tables in doubt: look, and save what there is.
 * An error of Berkeley DB when the disk has no room even to look. */
static int marked_open(struct store *store)
{
	const char *directory = store->directory;

	log_warn("the store is marked as damaged, looking closer",
	    log_text("path", directory));
	if (!store_salvage_is_begun(directory)) {
		int error = store_environment_open(&store->options, directory,
		    &store->env);

		if (error != 0 && !is_in_doubt(error))
			return error;
		/* Each may be sound, and not belong to this log. */
		if (error == 0)
			error = store_db_open(store->env, NULL, "store.db",
			    &store->internal);
		if (error == 0)
			error = tables_open(store);
		environment_close(store);
		if (error != 0 && !is_in_doubt(error))
			return error;
		if (error == 0 && store_is_sound(directory)) {
			log_info("the store is sound after recovery");
			store->was_cleared = true;
			store_os_unmark(directory);
			return 0;
		}
		/* The tables are as the last checkpoint left them. */
		if (error != 0)
			log_error("recovery failed: what came in or left since "
			    "the last checkpoint is in the log files that are "
			    "put aside, and not in the tables",
			    log_text("path", directory),
			    log_text("error", db_strerror(error)));
	}
	store_salvage(&store->options, directory);
	store_os_unmark(directory);
	return 0;
}

static int environment_open(struct store *store)
{
	int error = 0;

	if (store_os_is_marked(store->directory) && !store->options.as_it_is)
		error = marked_open(store);
	if (error == 0)
		error = store_environment_open(&store->options,
		    store->directory, &store->env);
	/* Recovery is over. */
	if (error == 0 && !store->was_cleared)
		store_os_strict(store->directory);
	if (error == 0)
		error = store_db_open(store->env, NULL, "store.db",
		    &store->internal);
	if (error == 0 && store_version_check(store) != 0)
		return -1;
	if (error == 0)
		error = tables_open(store);
	if (error == 0)
		return 0;
	log_error("cannot open the store", log_text("path", store->directory),
	    log_text("error", store_os_met_full_disk() ? "disk is full" :
	    db_strerror(error)));
	if (is_in_doubt(error) && error != EACCES && error != EPERM)
		store_os_mark_damaged(store->directory);
	return -1;
}

static uint64_t part_of(uint64_t all, unsigned parts, uint64_t most)
{
	uint64_t part = all / parts;

	return part > most ? most : part < LEAST_BYTES ? LEAST_BYTES : part;
}

/* On a file system of 2 GiB or more all have their full size. On a small one
 * log, reserve and headroom leave half of it to mail. */
static void options_fill(struct store_options *options)
{
	struct statvfs about;
	uint64_t all = UINT64_MAX;

	if (statvfs(options->directory, &about) == 0)
		all = (uint64_t)about.f_blocks * about.f_frsize;
	if (options->cache_bytes == 0)
		options->cache_bytes = 64 << 20;
	if (options->log_file_bytes == 0)
		options->log_file_bytes = part_of(all, 32, 32 << 20);
	if (options->checkpoint_bytes == 0)
		options->checkpoint_bytes = part_of(all, 32, 64 << 20);
	if (options->segment_bytes == 0)
		options->segment_bytes = part_of(all, 64, 16 << 20);
	if (options->reserve_bytes == 0)
		options->reserve_bytes = part_of(all, 16, 64 << 20);
	if (options->double_bytes == 0)
		options->double_bytes = part_of(all, 64, 8 << 20);
	if (options->log_file_bytes < LEAST_BYTES)
		options->log_file_bytes = LEAST_BYTES;
}

static void store_free(struct store *store)
{
	store_os_strict(NULL);
	environment_close(store);
	store_pages_close();
	store_progress_close(store->progress);
	if (store->lock_fd >= 0)
		close(store->lock_fd);
	store_bodies_release(store);
	mem_free(store->waiters);
	recent_free(store->recent_messages);
	recent_free(store->recent_slices);
	mem_free(store->scratch);
	mem_free(store->salvaged);
	mem_free(store->directory);
	mem_free(store);
}

static struct store *store_new(const struct store_options *options)
{
	struct store *store = mem_alloc(sizeof(*store));

	if (options->directory == NULL || options->directory[0] != '/')
		bug("the store's directory is not absolute");
	store->options = *options;
	/* Berkeley DB takes what is before the last slash for the folder: of
	 * "/log.1", which is how a confined queue sees it, the empty path. */
	store->directory = mem_dup_string(strcmp(options->directory, "/") == 0 ?
	    "/." : options->directory);
	store->options.directory = store->directory;
	store->lock_fd = -1;
	store->move_delay = MOVE_DELAY_MILLISECONDS;
	store->scratch = mem_alloc(STORE_VALUE_MAX);
	store->recent_messages = recent_new();
	store->recent_slices = recent_new();
	store->loose = hash_new();
	LIST_INIT(&store->unmarked);
	return store;
}

struct store *store_open(const struct store_options *options)
{
	struct store *store = store_new(options);
	int64_t started = clock_monotonic();

	store_os_install();
	if (mkdir(store->directory, 0700) != 0 && errno != EEXIST) {
		log_error("cannot make directory", log_text("path",
		    store->directory), log_errno(errno));
		goto fail;
	}
	options_fill(&store->options);
	store->lock_fd = store_os_lock(store->directory);
	if (store->lock_fd < 0)
		goto fail;
	settings_file_remove(store->directory);
	store->progress = store_progress_open(store->directory);
	store_os_log_tail(store->directory);
	store_os_reserve(store->directory, store->options.reserve_bytes);
	if (!options->as_it_is && !broken("single-write") &&
	    store_pages_open(store->directory, store->options.double_bytes)
	    != 0)
		goto fail;
	if (environment_open(store) != 0)
		goto fail;
	store_segments_open(store);
	store_bodies_sweep(store);
	store_stock_open(store);
	batch_commit(store);
	store->open_seconds = (double)(clock_monotonic() - started) / 1000;
	loop_notify_init(&store->notify, on_flushed, store);
	store_threads_start(store);
	timer_start(&store->care, CARE_MILLISECONDS, on_care, store);
	return store;
fail:
	if (store->batch != NULL)
		store->batch->abort(store->batch);
	store_free(store);
	return NULL;
}

void store_close(struct store *store)
{
	timer_stop(&store->care);
	batch_commit(store);
	store_threads_stop(store);
	loop_notify_release(&store->notify);
	store_free(store);
}
