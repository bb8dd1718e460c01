/* SPDX-License-Identifier: ISC */
/*
 * Bodies, in chunks that fill a page each, every chunk with a checksum over
 * its bytes, its id and its number: a chunk that reads well is the one that
 * was written there. A body that comes in pieces is loose until it is claimed;
 * at the end of the turn a loose body gets a mark, so that a restart finds it
 * without looking at everything.
 */
#include "queue/store_internal.h"

#include <endian.h>
#include <string.h>

#include "base/buf.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"

enum { KEY_TAG = 8 };

static const char loose_tag[KEY_TAG] = "loose";
static const char purge_tag[KEY_TAG] = "purge";

struct mark_key {
	char		 tag[KEY_TAG];
	uint64_t	 id;
};

struct loose {
	LIST_ENTRY(loose)	 link;		/* while in unmarked */
	uint64_t		 id;
	uint64_t		 bytes;		/* those in chunks */
	uint32_t		 chunks;
	bool			 marked;	/* has its row */
	size_t			 pending_length;
	unsigned char		 pending[STORE_CHUNK_BYTES];
};

/* --- chunks --- */

void store_chunk_key(uint64_t id, uint32_t chunk, unsigned char *key)
{
	uint64_t big_id = htobe64(id);
	uint32_t big_chunk = htobe32(chunk);

	memcpy(key, &big_id, sizeof(big_id));
	memcpy(key + sizeof(big_id), &big_chunk, sizeof(big_chunk));
}

/*
 * Eight bytes at a time. Each step is a bijection of the sum and of the word,
 * so that no change of a single word goes unseen.
 */
static uint64_t checksum(uint64_t id, uint32_t chunk,
    const unsigned char *data, size_t length)
{
	const uint64_t odd = UINT64_C(0x9fb21c651e98df25);
	uint64_t sum = (id ^ length) * odd + chunk;

	while (length > 0) {
		uint64_t word = 0;
		size_t step = length < sizeof(word) ? length : sizeof(word);

		memcpy(&word, data, step);
		sum = (sum ^ le64toh(word)) * odd;
		sum ^= sum >> 29;
		data += step;
		length -= step;
	}
	return sum;
}

void store_strays_count(struct store *store, int64_t bytes)
{
	store->stray_bytes += (uint64_t)bytes;
	store->stray_changed = true;
}

/* segment: null for strays. */
static void chunk_put(struct store *store, struct segment *segment,
    uint64_t id, uint32_t chunk, struct store_bytes bytes)
{
	unsigned char key[STORE_CHUNK_KEY], value[STORE_CHUNK_MAX];
	DB *db = segment != NULL ? store_segment_db(store, segment) :
	    store->strays;
	uint64_t sum = htole64(checksum(id, chunk, bytes.data,
	    bytes.length));

	store_chunk_key(id, chunk, key);
	memcpy(value, &sum, sizeof(sum));
	memcpy(value + sizeof(sum), bytes.data, bytes.length);
	store_db_put(store, db, (struct store_bytes){ key, sizeof(key) },
	    (struct store_bytes){ value, sizeof(sum) + bytes.length });
	if (segment == NULL)
		store_strays_count(store, (int64_t)(sizeof(sum) +
		    bytes.length));
	else
		segment->bytes += bytes.length;
}

/* The first chunk of a body: it lives from now on. */
static void body_begin(struct store *store, struct segment *segment,
    uint64_t id)
{
	if (id > store->highest_id)
		store->highest_id = id;
	if (segment == NULL)
		return;
	segment->live++;
	segment->changed = true;
}

void store_body_put(struct store *store, uint64_t id, struct store_bytes body)
{
	struct segment *segment = store_segment_of(store, id);
	const char *data = body.data;
	size_t left = body.length;

	if (left == 0)
		return;
	body_begin(store, segment, id);
	for (uint32_t chunk = 0; left > 0; chunk++) {
		size_t step = left < STORE_CHUNK_BYTES ? left :
		    STORE_CHUNK_BYTES;

		chunk_put(store, segment, id, chunk, (struct store_bytes){
		    data, step });
		data += step;
		left -= step;
	}
	if (segment != NULL)
		segment->live_bytes += body.length;
}

/* --- marks --- */

static struct mark_key mark_key(const char *tag, uint64_t id)
{
	struct mark_key key = { .id = htobe64(id) };

	memcpy(key.tag, tag, KEY_TAG);
	return key;
}

static void mark_put(struct store *store, const char *tag, uint64_t id)
{
	struct mark_key key = mark_key(tag, id);

	store_db_put(store, store->internal, (struct store_bytes){ &key,
	    sizeof(key) }, (struct store_bytes){ "", 0 });
}

static void mark_delete(struct store *store, const char *tag, uint64_t id)
{
	struct mark_key key = mark_key(tag, id);

	store_db_delete(store, store->internal, (struct store_bytes){ &key,
	    sizeof(key) });
}

void store_bodies_note(struct store *store)
{
	struct loose *loose;

	while ((loose = LIST_FIRST(&store->unmarked)) != NULL) {
		mark_put(store, loose_tag, loose->id);
		loose->marked = true;
		LIST_REMOVE(loose, link);
	}
}

/* --- loose bodies --- */

static void pending_flush(struct store *store, struct loose *loose)
{
	struct segment *segment = store_segment_of(store, loose->id);

	if (loose->pending_length == 0)
		return;
	if (loose->chunks == 0) {
		body_begin(store, segment, loose->id);
		if (segment != NULL)
			segment->loose++;
		LIST_INSERT_HEAD(&store->unmarked, loose, link);
	}
	chunk_put(store, segment, loose->id, loose->chunks++,
	    (struct store_bytes){ loose->pending, loose->pending_length });
	loose->bytes += loose->pending_length;
	loose->pending_length = 0;
	if (segment != NULL)
		segment->changed = true;
}

void store_body_append(struct store *store, uint64_t id,
    struct store_bytes piece)
{
	struct loose *loose = hash_find_id(store->loose, id);
	const char *data = piece.data;
	size_t left = piece.length;

	if (loose == NULL) {
		loose = mem_alloc(sizeof(*loose));
		loose->id = id;
		hash_put_id(store->loose, id, loose);
	}
	while (left > 0) {
		size_t room = STORE_CHUNK_BYTES - loose->pending_length;
		size_t step = left < room ? left : room;

		memcpy(loose->pending + loose->pending_length, data, step);
		loose->pending_length += step;
		data += step;
		left -= step;
		if (loose->pending_length == STORE_CHUNK_BYTES)
			pending_flush(store, loose);
	}
}

/* It is loose no more: owned, or going away. */
static void loose_end(struct store *store, struct loose *loose)
{
	struct segment *segment = store_segment_of(store, loose->id);

	if (loose->chunks > 0 && segment != NULL)
		segment->loose--;
	if (loose->marked)
		mark_delete(store, loose_tag, loose->id);
	else if (loose->chunks > 0)
		LIST_REMOVE(loose, link);
	hash_remove_id(store->loose, loose->id);
	mem_free(loose);
}

void store_body_claim(struct store *store, uint64_t id)
{
	struct loose *loose = hash_find_id(store->loose, id);
	struct segment *segment;

	if (loose == NULL)
		return;		/* an empty body has nothing to own */
	pending_flush(store, loose);
	segment = store_segment_of(store, id);
	if (segment != NULL) {
		segment->live_bytes += loose->bytes;
		segment->changed = true;
	}
	loose_end(store, loose);
}

/* --- leaving --- */

void store_purge_add(struct store *store, uint64_t id)
{
	store->purges = mem_resize(store->purges, store->purge_count + 1,
	    sizeof(*store->purges));
	store->purges[store->purge_count++] = id;
	mark_put(store, purge_tag, id);
}

/* bytes: of an owned body; a loose one was not counted yet. */
static void body_end(struct store *store, uint64_t id, uint64_t bytes)
{
	struct segment *segment = store_segment_of(store, id);

	if (segment == NULL) {
		store_purge_add(store, id);
		return;
	}
	segment->live -= segment->live > 0;
	segment->live_bytes -= bytes < segment->live_bytes ? bytes :
	    segment->live_bytes;
	segment->changed = true;
}

void store_body_discard(struct store *store, uint64_t id)
{
	struct loose *loose = hash_find_id(store->loose, id);
	bool stored;

	if (loose == NULL)
		return;
	stored = loose->chunks > 0;
	loose_end(store, loose);
	if (stored)
		body_end(store, id, 0);
}

void store_body_delete(struct store *store, uint64_t id, uint64_t length)
{
	if (length > 0)
		body_end(store, id, length);
}

bool store_bodies_purge(struct store *store)
{
	unsigned char key[STORE_KEY_MAX], prefix[STORE_CHUNK_KEY];

	for (int step = 0; step < STORE_STEP_CHUNKS; step++) {
		size_t length = STORE_CHUNK_KEY;
		uint64_t id;

		if (store->purge_count == 0)
			return false;
		id = store->purges[store->purge_count - 1];
		store_chunk_key(id, 0, prefix);
		memcpy(key, prefix, sizeof(prefix));
		if (store_db_next(store, store->strays, key, &length,
		    sizeof(key)) && length == STORE_CHUNK_KEY &&
		    memcmp(key, prefix, sizeof(id)) == 0) {
			struct store_bytes at = { key, length };
			int64_t bytes = store_db_get(store, store->strays, at);

			store_db_delete(store, store->strays, at);
			store_strays_count(store, -bytes);
			continue;
		}
		mark_delete(store, purge_tag, id);
		store->purge_count--;
	}
	return store->purge_count > 0;
}

/* --- reading --- */

/* The chunk's bytes in store->scratch, their number; -1: damaged. */
static int64_t chunk_get(struct store *store, uint64_t id, uint32_t chunk)
{
	struct segment *segment = store_segment_of(store, id);
	DB *db = segment != NULL ? store_segment_db(store, segment) :
	    store->strays;
	unsigned char key[STORE_CHUNK_KEY];
	uint64_t sum;
	int64_t length;

	store_chunk_key(id, chunk, key);
	length = store_db_get(store, db, (struct store_bytes){ key,
	    sizeof(key) });
	if (length < (int64_t)sizeof(sum) || length > STORE_CHUNK_MAX)
		return -1;
	memcpy(&sum, store->scratch, sizeof(sum));
	length -= (int64_t)sizeof(sum);
	if (le64toh(sum) != checksum(id, chunk, store->scratch + sizeof(sum),
	    (size_t)length))
		return -1;
	return length;
}

enum store_answer store_body_read(struct store *store, uint64_t id,
    uint64_t offset, size_t length, struct buf *out)
{
	while (length > 0) {
		uint32_t chunk = (uint32_t)(offset / STORE_CHUNK_BYTES);
		size_t skip = offset % STORE_CHUNK_BYTES;
		int64_t found = chunk_get(store, id, chunk);
		size_t step;

		if (found < 0 || (size_t)found <= skip) {
			log_error("body is damaged", log_message(id),
			    log_number("chunk", chunk));
			return STORE_DAMAGED;
		}
		step = (size_t)found - skip;
		if (step > length)
			step = length;
		if (buf_add(out, store->scratch + sizeof(uint64_t) + skip,
		    step) != 0)
			bug("no room for a body");
		offset += step;
		length -= step;
	}
	return STORE_OK;
}

/* --- opening and closing --- */

/* Calls visit for each mark with this tag. */
static size_t each_mark(struct store *store, const char *tag,
    void (*visit)(struct store *store, uint64_t id))
{
	unsigned char key[STORE_KEY_MAX];
	struct mark_key at = mark_key(tag, 0);
	size_t length = sizeof(at), count = 0;

	memcpy(key, &at, sizeof(at));
	while (store_db_next(store, store->internal, key, &length,
	    sizeof(key)) && length == sizeof(at) &&
	    memcmp(key, tag, KEY_TAG) == 0) {
		memcpy(&at, key, sizeof(at));
		visit(store, be64toh(at.id));
		count++;
		at = mark_key(tag, be64toh(at.id) + 1);
		memcpy(key, &at, sizeof(at));
		length = sizeof(at);
	}
	return count;
}

static void sweep_loose(struct store *store, uint64_t id)
{
	mark_delete(store, loose_tag, id);
	body_end(store, id, 0);
}

/* Purges of an earlier life come first: sweeping adds marks of its own. */
void store_bodies_sweep(struct store *store)
{
	size_t swept;

	each_mark(store, purge_tag, store_purge_add);
	swept = each_mark(store, loose_tag, sweep_loose);
	if (swept > 0)
		log_info("swept bodies without an owner",
		    log_number("count", (int64_t)swept));
}

static void loose_free(void *arg, const void *key, size_t length, void *value)
{
	(void)arg;
	(void)key;
	(void)length;
	mem_free(value);
}

void store_bodies_release(struct store *store)
{
	hash_each(store->loose, loose_free, NULL);
	hash_free(store->loose);
	mem_free(store->purges);
}
