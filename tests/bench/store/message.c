/* SPDX-License-Identifier: ISC */
/*
 * One message in the five tables. The body goes in chunks that fill a page;
 * a large one goes ahead of its envelope in transactions of bounded size,
 * marked by a row "loose" in the meta table so that a restart finds what has
 * no owner without reading everything. Removal mirrors it. Contents are made
 * from id and chunk number, so that every chunk can be judged when read.
 */
#include "tests/bench/store/bench.h"

#include <endian.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NOISE_BYTES = 1 << 20, MAX_CHUNK = 64 << 10, CHUNKS_A_TURN = 64 };

struct chunk_key {
	uint64_t	 id;
	uint32_t	 chunk;
} __attribute__((packed));

struct schedule_key {
	uint64_t	 due, id;
	uint32_t	 slice;
} __attribute__((packed));

struct loose_key {
	char		 tag[8];
	uint64_t	 id;
} __attribute__((packed));

struct envelope {
	uint64_t	 size;
	char		 rest[340];	/* sender, header prefix, dates */
};

static unsigned char noise[NOISE_BYTES + MAX_CHUNK];

void message_setup(void)
{
	uint64_t seed = 88172645463325252;

	for (size_t i = 0; i < sizeof(noise); i++) {
		seed ^= seed << 13;
		seed ^= seed >> 7;
		seed ^= seed << 17;
		noise[i] = (unsigned char)seed;
	}
}

static DBT
bytes(const void *data, size_t length)
{
	return (DBT){ .data = (void *)(uintptr_t)data,
	    .size = (uint32_t)length };
}

/* The table, or for a body the segment of its id. */
static DB *
table_for(struct engine *engine, enum table table, DBT key)
{
	uint64_t id;

	if (table != TABLE_BODIES || engine->settings.segment_bytes == 0)
		return engine->tables[table];
	memcpy(&id, key.data, sizeof(id));
	return segment_of(engine, be64toh(id))->db;
}

static void put(struct engine *engine, DB_TXN *txn, enum table table, DBT key, DBT value)
{
	DB *db = table_for(engine, table, key);
	int error = db->put(db, txn, &key, &value, 0);

	if (error != 0)
		die("put", error);
}

static void delete(struct engine *engine, DB_TXN *txn, enum table table, DBT key)
{
	DB *db = table_for(engine, table, key);
	int error = db->del(db, txn, &key, 0);

	if (error != 0 && error != DB_NOTFOUND)
		die("del", error);
}

/* Length found, or -1. */
static int64_t get(struct engine *engine, enum table table, DBT key, void *out, size_t size)
{
	DB *db = table_for(engine, table, key);
	DBT value = { .data = out, .ulen = (uint32_t)size,
	    .flags = DB_DBT_USERMEM };
	int error = db->get(db, NULL, &key, &value, 0);

	if (error == DB_NOTFOUND)
		return -1;
	if (error != 0)
		die("get", error);
	return value.size;
}

static uint32_t chunk_count(struct engine *engine, uint64_t size)
{
	uint64_t chunk = engine->settings.chunk_bytes;

	return (uint32_t)((size + chunk - 1) / chunk);
}

static size_t chunk_length(struct engine *engine, struct message message, uint32_t chunk)
{
	uint64_t from = (uint64_t)chunk * engine->settings.chunk_bytes;
	uint64_t left = message.size - from;

	return left < engine->settings.chunk_bytes ? left :
	    engine->settings.chunk_bytes;
}

static void chunk_fill(struct message message, uint32_t chunk, unsigned char *out,
    size_t length)
{
	uint64_t mark = message.id * UINT64_C(0x9e3779b97f4a7c15) + chunk;

	memcpy(out, noise + mark % NOISE_BYTES, length);
	memcpy(out, &mark, length < 8 ? length : 8);
}

static struct chunk_key chunk_key(uint64_t id, uint32_t chunk)
{
	return (struct chunk_key){ htobe64(id), htobe32(chunk) };
}

static struct loose_key loose_key(uint64_t id)
{
	struct loose_key key = { .id = htobe64(id) };

	memcpy(key.tag, "loose \0\0", sizeof(key.tag));
	return key;
}

static void chunks_put(struct engine *engine, DB_TXN *txn, struct message message,
    uint32_t from, uint32_t to)
{
	unsigned char data[MAX_CHUNK];

	if (engine->settings.segment_bytes > 0) {
		struct segment *segment = segment_of(engine, message.id);

		segment->bytes += (uint64_t)(to - from) *
		    engine->settings.chunk_bytes;
		segment->live += from == 0;
	}
	for (uint32_t chunk = from; chunk < to; chunk++) {
		struct chunk_key key = chunk_key(message.id, chunk);
		size_t length = chunk_length(engine, message, chunk);

		chunk_fill(message, chunk, data, length);
		put(engine, txn, TABLE_BODIES, bytes(&key, sizeof(key)),
		    bytes(data, length));
	}
}

static void chunks_delete(struct engine *engine, DB_TXN *txn, uint64_t id, uint32_t from,
    uint32_t to)
{
	if (engine->settings.segment_bytes > 0) {
		if (from == 0)
			segment_of(engine, id)->live--;
		return;
	}
	for (uint32_t chunk = from; chunk < to; chunk++) {
		struct chunk_key key = chunk_key(id, chunk);

		delete(engine, txn, TABLE_BODIES, bytes(&key, sizeof(key)));
	}
}

void message_spill(struct engine *engine, struct message message)
{
	uint32_t count = chunk_count(engine, message.size);
	struct loose_key loose = loose_key(message.id);

	if (message.size <= SPILL_BYTES)
		return;
	for (uint32_t from = 0; from < count; from += CHUNKS_A_TURN) {
		uint32_t to = from + CHUNKS_A_TURN;
		DB_TXN *txn = engine_begin(engine);

		if (from == 0)
			put(engine, txn, TABLE_META, bytes(&loose,
			    sizeof(loose)), bytes("", 0));
		chunks_put(engine, txn, message, from, to < count ? to : count);
		engine_commit(engine, txn);
	}
}

void message_put(struct engine *engine, DB_TXN *txn, struct message message)
{
	uint64_t id = htobe64(message.id);
	struct chunk_key slice = chunk_key(message.id, 0);
	struct schedule_key due = { id, id, 0 };
	struct loose_key loose = loose_key(message.id);
	struct envelope envelope = { .size = message.size };

	memcpy(envelope.rest, noise, sizeof(envelope.rest));
	if (message.size <= SPILL_BYTES)
		chunks_put(engine, txn, message, 0,
		    chunk_count(engine, message.size));
	else
		delete(engine, txn, TABLE_META, bytes(&loose, sizeof(loose)));
	put(engine, txn, TABLE_MESSAGES, bytes(&id, sizeof(id)),
	    bytes(&envelope, sizeof(envelope)));
	put(engine, txn, TABLE_SLICES, bytes(&slice, sizeof(slice)),
	    bytes(noise, 150));
	put(engine, txn, TABLE_SCHEDULE, bytes(&due, sizeof(due)),
	    bytes("example.org", 11));
}

void message_remove(struct engine *engine, DB_TXN *txn, struct message message)
{
	uint64_t id = htobe64(message.id);
	struct chunk_key slice = chunk_key(message.id, 0);
	struct schedule_key due = { id, id, 0 };
	struct loose_key loose = loose_key(message.id);

	delete(engine, txn, TABLE_SCHEDULE, bytes(&due, sizeof(due)));
	delete(engine, txn, TABLE_SLICES, bytes(&slice, sizeof(slice)));
	delete(engine, txn, TABLE_MESSAGES, bytes(&id, sizeof(id)));
	if (message.size <= SPILL_BYTES)
		chunks_delete(engine, txn, message.id, 0,
		    chunk_count(engine, message.size));
	else
		put(engine, txn, TABLE_META, bytes(&loose, sizeof(loose)),
		    bytes("", 0));
}

void message_unspill(struct engine *engine, struct message message)
{
	uint32_t count = chunk_count(engine, message.size);
	struct loose_key loose = loose_key(message.id);

	if (message.size <= SPILL_BYTES)
		return;
	for (uint32_t from = 0; from < count; from += CHUNKS_A_TURN) {
		uint32_t to = from + CHUNKS_A_TURN;
		DB_TXN *txn = engine_begin(engine);

		chunks_delete(engine, txn, message.id, from,
		    to < count ? to : count);
		if (to >= count)
			delete(engine, txn, TABLE_META, bytes(&loose,
			    sizeof(loose)));
		engine_commit(engine, txn);
	}
}

int64_t message_size(struct engine *engine, uint64_t id)
{
	uint64_t key = htobe64(id);
	struct envelope envelope;

	if (get(engine, TABLE_MESSAGES, bytes(&key, sizeof(key)), &envelope,
	    sizeof(envelope)) < 0)
		return -1;
	return (int64_t)envelope.size;
}

/* length: of the chunk that was found, or -1. */
static void damage_report(struct engine *engine, struct message message,
    uint32_t chunk, int64_t length)
{
	fprintf(stderr, "message %" PRIu64 " of %" PRIu64 " bytes, chunk %"
	    PRIu32 ": %s", message.id, message.size, chunk,
	    length < 0 ? "missing" : "different");
	if (engine->settings.segment_bytes > 0)
		fprintf(stderr, " in the segment from %" PRIu64,
		    segment_of(engine, message.id)->first_id);
	fputc('\n', stderr);
}

int message_check(struct engine *engine, struct message message)
{
	unsigned char found[MAX_CHUNK], wanted[MAX_CHUNK];
	struct chunk_key slice = chunk_key(message.id, 0);
	uint64_t id = htobe64(message.id);
	struct schedule_key due = { id, id, 0 };
	uint32_t count = chunk_count(engine, message.size);
	int64_t size = message_size(engine, message.id);

	if (size < 0)
		return 0;
	if ((uint64_t)size != message.size ||
	    get(engine, TABLE_SLICES, bytes(&slice, sizeof(slice)), found,
	    sizeof(found)) != 150 ||
	    get(engine, TABLE_SCHEDULE, bytes(&due, sizeof(due)), found,
	    sizeof(found)) != 11)
		return -1;
	for (uint32_t chunk = 0; chunk < count; chunk++) {
		struct chunk_key key = chunk_key(message.id, chunk);
		size_t length = chunk_length(engine, message, chunk);
		int64_t got;

		chunk_fill(message, chunk, wanted, length);
		got = get(engine, TABLE_BODIES, bytes(&key, sizeof(key)),
		    found, sizeof(found));
		if (got == (int64_t)length &&
		    memcmp(found, wanted, length) == 0)
			continue;
		damage_report(engine, message, chunk, got);
		return -1;
	}
	return 1;
}

/* Deletes chunks of one body until none is left, a turn at a time. */
static void sweep_body(struct engine *engine, uint64_t id)
{
	unsigned char scratch[MAX_CHUNK];
	struct loose_key loose = loose_key(id);
	uint32_t chunk = 0;
	bool more = true;

	if (engine->settings.segment_bytes > 0) {
		DB_TXN *txn = engine_begin(engine);

		delete(engine, txn, TABLE_META, bytes(&loose, sizeof(loose)));
		engine_commit(engine, txn);
		return;
	}
	while (more) {
		DB_TXN *txn = engine_begin(engine);
		uint32_t end = chunk + CHUNKS_A_TURN;

		for (; chunk < end; chunk++)
			chunks_delete(engine, txn, id, chunk, chunk + 1);
		/* removal may have stopped in the middle: look far ahead */
		struct chunk_key key = chunk_key(id, chunk);
		DBT at = { .data = &key, .size = sizeof(key), .ulen =
		    sizeof(key), .flags = DB_DBT_USERMEM };
		DBT value = { .data = scratch, .ulen = sizeof(scratch),
		    .flags = DB_DBT_USERMEM };
		DBC *cursor;
		DB *db = engine->tables[TABLE_BODIES];
		int error = db->cursor(db, txn, &cursor, 0);

		if (error != 0)
			die("cursor", error);
		error = cursor->get(cursor, &at, &value, DB_SET_RANGE);
		if (error != 0 && error != DB_NOTFOUND)
			die("sweep", error);
		more = error == 0 && be64toh(key.id) == id;
		if (more)
			chunk = be32toh(key.chunk);
		cursor->close(cursor);
		if (!more)
			delete(engine, txn, TABLE_META, bytes(&loose,
			    sizeof(loose)));
		engine_commit(engine, txn);
	}
}

uint64_t message_sweep(struct engine *engine)
{
	uint64_t swept = 0;

	for (;;) {
		struct loose_key key = loose_key(0);
		DBT at = { .data = &key, .size = sizeof(key), .ulen =
		    sizeof(key), .flags = DB_DBT_USERMEM };
		DBT value = { .flags = DB_DBT_MALLOC };
		DBC *cursor;
		DB *db = engine->tables[TABLE_META];
		int error = db->cursor(db, NULL, &cursor, 0);

		if (error != 0)
			die("cursor", error);
		error = cursor->get(cursor, &at, &value, DB_SET_RANGE);
		cursor->close(cursor);
		free(value.data);
		if (error == DB_NOTFOUND)
			return swept;
		if (error != 0)
			die("sweep", error);
		sweep_body(engine, be64toh(key.id));
		swept++;
	}
}

size_t message_due(struct engine *engine, struct message *out, size_t max)
{
	DB *db = engine->tables[TABLE_SCHEDULE];
	struct schedule_key key;
	char text[256];
	DBT at = { .data = &key, .ulen = sizeof(key),
	    .flags = DB_DBT_USERMEM };
	DBT value = { .data = text, .ulen = sizeof(text),
	    .flags = DB_DBT_USERMEM };
	DBC *cursor;
	size_t count = 0;
	int error = db->cursor(db, NULL, &cursor, 0);

	if (error != 0)
		die("cursor", error);
	while (count < max) {
		error = cursor->get(cursor, &at, &value, DB_NEXT);
		if (error == DB_NOTFOUND)
			break;
		if (error != 0)
			die("due", error);
		out[count++].id = be64toh(key.id);
	}
	cursor->close(cursor);
	for (size_t i = 0; i < count; i++)
		out[i].size = (uint64_t)message_size(engine, out[i].id);
	return count;
}

bool message_next(struct engine *engine, struct message *message)
{
	DB *db = engine->tables[TABLE_MESSAGES];
	uint64_t key = htobe64(message->id + 1);
	struct envelope envelope;
	DBT at = { .data = &key, .size = sizeof(key), .ulen = sizeof(key),
	    .flags = DB_DBT_USERMEM };
	DBT value = { .data = &envelope, .ulen = sizeof(envelope),
	    .flags = DB_DBT_USERMEM };
	DBC *cursor;
	int error = db->cursor(db, NULL, &cursor, 0);

	if (error != 0)
		die("cursor", error);
	error = cursor->get(cursor, &at, &value, DB_SET_RANGE);
	cursor->close(cursor);
	if (error == DB_NOTFOUND)
		return false;
	if (error != 0)
		die("next", error);
	message->id = be64toh(key);
	message->size = envelope.size;
	return true;
}
