/* SPDX-License-Identifier: ISC */
/*
 * Bodies live in segments: tables that are filled one after the other, each
 * for a range of identifiers, and dropped as files when nothing in them lives.
 * A body that goes costs nothing then: no log of its bytes, no free list, no
 * compaction, and mail that leaves before the next checkpoint is never written
 * to a table at all.
 *
 *	filled -> closed -> (mostly dead: its living bodies move to strays)
 *	                 -> dropped when none lives
 *
 * A body is in its segment if a segment's range holds its id and the id is
 * above what has been moved; otherwise it is in strays. That rule alone finds
 * it, whatever was dropped: ranges never overlap and never come back.
 */
#include "queue/store_internal.h"

#include <dirent.h>
#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

enum { OPEN_MAX = 48, ROW_NUMBERS = 5, KEY_TAG = 8, DEAD_SHARE = 4,
    PREFIX_LENGTH = 8, GONE_MAX = 16 };

static const char row_tag[KEY_TAG] = "segment";
static const struct store_bytes strays_key = { "strays", 6 };

struct row_key {
	char		 tag[KEY_TAG];
	uint64_t	 first;
};

static void segment_name(const struct segment *segment, char *name,
    size_t size)
{
	snprintf(name, size, "segment.%016" PRIx64 ".db", segment->first);
}

/* --- rows --- */

static struct row_key row_key(const struct segment *segment)
{
	struct row_key key = { .first = htobe64(segment->first) };

	memcpy(key.tag, row_tag, KEY_TAG);
	return key;
}

static void row_put(struct store *store, struct segment *segment)
{
	struct row_key key = row_key(segment);
	uint64_t numbers[ROW_NUMBERS] = { segment->end, segment->bytes,
	    segment->live, segment->live_bytes, segment->moved_to };

	for (int i = 0; i < ROW_NUMBERS; i++)
		numbers[i] = htobe64(numbers[i]);
	store_db_put(store, store->internal, (struct store_bytes){ &key,
	    sizeof(key) }, (struct store_bytes){ numbers, sizeof(numbers) });
	segment->changed = false;
}

static void row_get(struct store *store, struct segment *segment)
{
	uint64_t numbers[ROW_NUMBERS];

	memcpy(numbers, store->scratch, sizeof(numbers));
	segment->end = be64toh(numbers[0]);
	segment->bytes = be64toh(numbers[1]);
	segment->live = be64toh(numbers[2]);
	segment->live_bytes = be64toh(numbers[3]);
	segment->moved_to = be64toh(numbers[4]);
}

/* --- handles --- */

static void handle_close(struct store *store, struct segment *segment)
{
	int error;

	if (segment->db == NULL)
		return;
	error = segment->db->close(segment->db, DB_NOSYNC);
	segment->db = NULL;
	store->segments_open--;
	if (error != 0)
		store_fail(store, "close segment", error);
}

static void close_least_used(struct store *store)
{
	struct segment *least = NULL;

	for (size_t i = 0; i < store->segment_count; i++) {
		struct segment *segment = &store->segments[i];

		if (segment->db != NULL &&
		    (least == NULL || segment->used_at < least->used_at))
			least = segment;
	}
	handle_close(store, least);
}

/*
 * A handle may be closed only between batches, for a transaction keeps the
 * tables it has written to: so a batch may go over OPEN_MAX, and the end of
 * the turn brings it back.
 */
DB *store_segment_db(struct store *store, struct segment *segment)
{
	char name[64];
	int error;

	segment->used_at = ++store->use_counter;
	if (segment->db != NULL)
		return segment->db;
	segment_name(segment, name, sizeof(name));
	error = store_db_open(store->env, NULL, name, &segment->db);
	if (error != 0)
		store_fail(store, "open segment", error);
	store->segments_open++;
	return segment->db;
}

/* --- finding --- */

/* Place of the last segment that begins at or before id, or -1. */
static ssize_t place_of(const struct store *store, uint64_t id)
{
	size_t low = 0, high = store->segment_count;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (store->segments[middle].first <= id)
			low = middle + 1;
		else
			high = middle;
	}
	return (ssize_t)low - 1;
}

struct segment *store_segment_of(struct store *store, uint64_t id)
{
	ssize_t place = place_of(store, id);
	struct segment *segment;

	if (place < 0)
		return NULL;
	segment = &store->segments[place];
	return id < segment->end && id > segment->moved_to ? segment : NULL;
}

/* --- beginning and dropping --- */

/* Table and row in one transaction of their own. */
static void segment_begin(struct store *store, uint64_t first)
{
	struct segment segment = { .first = first, .end = UINT64_MAX };
	char name[64];
	int error;

	store->segments = mem_resize(store->segments, store->segment_count + 1,
	    sizeof(*store->segments));
	segment_name(&segment, name, sizeof(name));
	error = store_db_open(store->env, store_batch(store), name,
	    &segment.db);
	if (error != 0)
		store_fail(store, "begin segment", error);
	store->segments_open++;
	segment.used_at = ++store->use_counter;
	row_put(store, &segment);
	store->segments[store->segment_count++] = segment;
}

static void turn_commit(struct store *store, uint32_t flag)
{
	int error = store->batch->commit(store->batch, flag);

	store->batch = NULL;
	if (error != 0)
		store_fail(store, "commit", error);
}

/*
 * First the row goes, and with it goes for good that any body here lived; then,
 * when that is durable, the file (segments_unlink). Berkeley DB's own removal is
 * not used: killed in the middle of it, its recovery leaves an empty file under
 * the table's name. A file that survives (killed in between, or made again by
 * recovery) has no row and is removed at the next open.
 */
static void segment_drop(struct store *store, size_t place)
{
	struct segment *segment = &store->segments[place];
	struct row_key key = row_key(segment);
	DB *db = store_segment_db(store, segment);

	store_db_delete(store, store->internal, (struct store_bytes){ &key,
	    sizeof(key) });
	turn_commit(store, DB_TXN_NOSYNC);
	store->gone = mem_resize(store->gone, store->gone_count + 1,
	    sizeof(*store->gone));
	/* The batch that is counted next is flushed after this. */
	pthread_mutex_lock(&store->lock);
	store->gone[store->gone_count++] = (struct segment_gone){ db,
	    store->committed + 1 };
	pthread_mutex_unlock(&store->lock);
	memmove(segment, segment + 1, (store->segment_count - place - 1) *
	    sizeof(*segment));
	store->segment_count--;
	store->segments_open--;
	store->segments_dropped++;
}

/* The cache forgets the file's pages when the last handle closes with this
 * flag, and the file goes. */
static void file_unlink(struct store *store, DB *db)
{
	int error = db->get_mpf(db)->set_flags(db->get_mpf(db),
	    DB_MPOOL_UNLINK, 1);

	if (error == 0)
		error = db->close(db, DB_NOSYNC);
	if (error != 0)
		store_fail(store, "drop segment", error);
}

/* Files whose row is gone durably; the pages are held. */
static void segments_unlink(struct store *store, uint64_t flushed)
{
	size_t done = 0;

	while (done < store->gone_count &&
	    store->gone[done].batch <= flushed)
		file_unlink(store, store->gone[done++].db);
	if (done == 0)
		return;
	store->gone_count -= done;
	memmove(store->gone, store->gone + done, store->gone_count *
	    sizeof(*store->gone));
}

void store_segments_note(struct store *store)
{
	uint64_t bytes = htobe64(store->stray_bytes);

	if (store->stray_changed)
		store_db_put(store, store->internal, strays_key,
		    (struct store_bytes){ &bytes, sizeof(bytes) });
	store->stray_changed = false;
	for (size_t i = 0; i < store->segment_count; i++)
		if (store->segments[i].changed)
			row_put(store, &store->segments[i]);
}

/* The last is full: the next begins behind every body there has been. */
static void roll(struct store *store)
{
	struct segment *last = &store->segments[store->segment_count - 1];
	uint64_t first = store->highest_id + 1;

	if (last->bytes < store->options.segment_bytes || first <= last->first)
		return;
	last->end = first;
	row_put(store, last);
	segment_begin(store, first);
	turn_commit(store, DB_TXN_NOSYNC);
}

/* One dead segment in a turn, and the files of those before that are durably
 * gone, if nobody writes pages just now. True: there are more to drop. */
static bool drop_one(struct store *store)
{
	size_t place = 0;
	uint64_t flushed;

	while (place + 1 < store->segment_count &&
	    store->segments[place].live > 0)
		place++;
	if (place + 1 >= store->segment_count && store->gone_count == 0)
		return false;
	if (atomic_load(&store->backup_running) ||
	    pthread_mutex_trylock(&store->pages) != 0)
		return true;
	pthread_mutex_lock(&store->lock);
	flushed = store->flushed;
	pthread_mutex_unlock(&store->lock);
	segments_unlink(store, flushed);
	if (place + 1 < store->segment_count &&
	    store->gone_count < GONE_MAX)
		segment_drop(store, place);
	pthread_mutex_unlock(&store->pages);
	return true;
}

bool store_segments_turn(struct store *store)
{
	while (store->segments_open > OPEN_MAX)
		close_least_used(store);
	roll(store);
	return drop_one(store);
}

/* --- moving what is left of an old segment --- */

/* The living body with the lowest id above what was moved. */
static bool next_living(struct store *store, const struct segment *segment,
    uint64_t *id)
{
	uint64_t from = htobe64(segment->moved_to >= segment->first ?
	    segment->moved_to + 1 : segment->first);
	unsigned char key[STORE_KEY_MAX];
	size_t length = sizeof(from);

	memcpy(key, &from, sizeof(from));
	if (!store_db_next(store, store->tables[STORE_MESSAGES], key, &length,
	    sizeof(key)) || length != sizeof(from))
		return false;
	memcpy(&from, key, sizeof(from));
	*id = be64toh(from);
	return *id < segment->end;
}

/* Chunks of one body, at most `most`; *chunk moves on. True: there are more. */
static bool copy_chunks(struct store *store, struct segment *segment,
    uint64_t id, uint32_t *chunk, unsigned most)
{
	DB *db = store_segment_db(store, segment);

	for (unsigned i = 0; i < most; i++) {
		unsigned char key[STORE_CHUNK_KEY];
		struct store_bytes at = { key, sizeof(key) };
		int64_t length;

		store_chunk_key(id, *chunk, key);
		length = store_db_get(store, db, at);
		if (length < 0)
			return false;
		/* scratch is the value: put reads it before anyone writes */
		store_db_put(store, store->strays, at, (struct store_bytes){
		    store->scratch, (size_t)length });
		store_strays_count(store, length);
		(*chunk)++;
	}
	return true;
}

/* Moves for one turn; false: nothing is left to move. */
static bool segment_move(struct store *store, struct segment *segment)
{
	unsigned copied = 0;

	while (copied < STORE_STEP_CHUNKS) {
		uint32_t chunk = 0;
		uint64_t id;

		if (!next_living(store, segment, &id))
			return false;
		segment->changed = true;
		/* A large body is copied whole in one turn: rare, and its
		 * place must change at once. */
		while (copy_chunks(store, segment, id, &chunk,
		    STORE_STEP_CHUNKS))
			continue;
		copied += chunk + 1;
		segment->moved_to = id;
		if (chunk > 0) {
			segment->live -= segment->live > 0;
			store->bodies_moved++;
		}
	}
	return true;
}

/* Mail that flows dies young: who waits a little rarely has to move it. */
static bool is_to_be_moved(const struct store *store, struct segment *segment)
{
	if (segment->live == 0 || segment->loose > 0 ||
	    segment->end == UINT64_MAX ||
	    segment->live_bytes * DEAD_SHARE >= segment->bytes) {
		segment->dying_since = 0;
		return false;
	}
	if (segment->dying_since == 0)
		segment->dying_since = clock_monotonic();
	return clock_monotonic() - segment->dying_since >= store->move_delay;
}

bool store_segments_move(struct store *store)
{
	bool later = false;

	for (size_t i = 0; i < store->segment_count; i++) {
		struct segment *segment = &store->segments[i];

		if (!is_to_be_moved(store, segment)) {
			later = later || segment->dying_since != 0;
			continue;
		}
		if (!segment_move(store, segment)) {
			if (segment->live > 0)
				log_warn("bodies without a message",
				    log_number("count",
				    (int64_t)segment->live));
			segment->live = segment->live_bytes = 0;
			segment->changed = true;
		}
		return true;
	}
	return later;
}

/* --- opening --- */

static void open_rows(struct store *store)
{
	unsigned char key[STORE_KEY_MAX];
	struct row_key at = { .first = 0 };
	size_t length = sizeof(at);

	memcpy(at.tag, row_tag, KEY_TAG);
	memcpy(key, &at, sizeof(at));
	while (store_db_next(store, store->internal, key, &length,
	    sizeof(key)) && length == sizeof(at) &&
	    memcmp(key, row_tag, KEY_TAG) == 0) {
		struct segment segment = { 0 };

		memcpy(&at, key, sizeof(at));
		segment.first = be64toh(at.first);
		row_get(store, &segment);
		store->segments = mem_resize(store->segments,
		    store->segment_count + 1, sizeof(*store->segments));
		store->segments[store->segment_count++] = segment;
		at.first = htobe64(segment.first + 1);
		memcpy(key, &at, sizeof(at));
		length = sizeof(at);
	}
}

/* The name begins as those of segments do. */
static bool has_row(const struct store *store, const char *name)
{
	ssize_t place = place_of(store, strtoull(name + PREFIX_LENGTH, NULL,
	    16));
	char wanted[64];

	if (place < 0)
		return false;
	segment_name(&store->segments[place], wanted, sizeof(wanted));
	return strcmp(name, wanted) == 0;
}

static bool is_orphan(const struct store *store, const char *name)
{
	return (strncmp(name, "segment.", PREFIX_LENGTH) == 0 &&
	    !has_row(store, name)) ||
	    store_volume_is_orphan(store, name);
}

static bool has_orphan(const struct store *store)
{
	DIR *stream = opendir(store->directory);
	struct dirent *entry;
	bool found = false;

	while (stream != NULL && !found && (entry = readdir(stream)) != NULL)
		found = is_orphan(store, entry->d_name);
	if (stream != NULL)
		closedir(stream);
	return found;
}

/*
 * Tables that lost their row: see segment_drop(). Recovery may have written to
 * one, and Berkeley DB remembers that until a checkpoint finds nobody using
 * it: the next would look for the file to flush it. (Recovery's own checkpoint
 * is too early, its handles are still open then.) So one more comes first.
 */
static void remove_orphans(struct store *store)
{
	struct dirent *entry;
	DIR *stream;
	int error;

	if (!has_orphan(store))
		return;
	if (store_pages_settle() != 0)
		return;
	error = store->env->txn_checkpoint(store->env, 0, 0, DB_FORCE);
	if (error == ENOSPC || error == EDQUOT)
		return;		/* they go at the next open */
	if (error != 0)
		store_fail(store, "checkpoint", error);
	stream = opendir(store->directory);
	while (stream != NULL && (entry = readdir(stream)) != NULL) {
		if (!is_orphan(store, entry->d_name))
			continue;
		if (unlinkat(dirfd(stream), entry->d_name, 0) != 0)
			log_warn("cannot remove", log_text("name",
			    entry->d_name), log_errno(errno));
	}
	if (stream != NULL)
		closedir(stream);
}

/* The highest id with a body: a new segment must begin behind it. */
static uint64_t highest_in_last(struct store *store)
{
	struct segment *last = &store->segments[store->segment_count - 1];
	DB *db = store_segment_db(store, last);
	unsigned char key[STORE_CHUNK_KEY];
	DBT at = { .data = key, .ulen = sizeof(key),
	    .flags = DB_DBT_USERMEM };
	DBT data = { .flags = DB_DBT_USERMEM | DB_DBT_PARTIAL };
	DBC *cursor;
	uint64_t id = 0;
	int error = db->cursor(db, NULL, &cursor, 0);

	if (error == 0) {
		error = cursor->get(cursor, &at, &data, DB_LAST);
		cursor->close(cursor);
	}
	if (error != 0 && error != DB_NOTFOUND)
		store_fail(store, "last body", error);
	if (error == 0)
		memcpy(&id, key, sizeof(id));
	id = be64toh(id);
	return id >= last->first ? id : last->first;
}

static void strays_open(struct store *store)
{
	uint64_t bytes = 0;

	if (store_db_get(store, store->internal, strays_key) ==
	    sizeof(bytes))
		memcpy(&bytes, store->scratch, sizeof(bytes));
	store->stray_bytes = be64toh(bytes);
}

void store_segments_open(struct store *store)
{
	open_rows(store);
	store_volumes_open(store);
	remove_orphans(store);
	if (store->segment_count == 0) {
		segment_begin(store, 1);
		turn_commit(store, DB_TXN_NOSYNC);
	}
	store->highest_id = highest_in_last(store);
	strays_open(store);
}

void store_segments_close(struct store *store)
{
	for (size_t i = 0; i < store->segment_count; i++)
		handle_close(store, &store->segments[i]);
	/* All is durable, or was never told. */
	for (size_t i = 0; i < store->gone_count; i++)
		file_unlink(store, store->gone[i].db);
	mem_free(store->gone);
	store->gone = NULL;
	store->gone_count = 0;
	mem_free(store->segments);
	store->segments = NULL;
	store->segment_count = 0;
}
