/* SPDX-License-Identifier: ISC */
/*
 * Keys and values go through two buffers that are used again and again; pages
 * of the store are copied, so a visit may write to what it visits.
 */
#include "queue/rows.h"

#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/log.h"
#include "base/wire.h"
#include "queue/store.h"

enum { PAGE_BYTES = 1 << 20 };

/* Rows go in and out many times for each message: one buffer for all of them.
 * Nothing that is called while it is in use comes back here. */
static struct buf row_buf;

static struct buf *row_begin(size_t most)
{
	row_buf.max = most;
	buf_reset(&row_buf);
	return &row_buf;
}

_Static_assert((int)RECORD_MESSAGE_MAX <= (int)STORE_VALUE_MAX &&
    (int)RECORD_SLICE_MAX <= (int)STORE_VALUE_MAX, "rows fit into the store");

static const char identifier_key[] = "identifier";

struct store_bytes rows_key(const struct record_key *key)
{
	return (struct store_bytes){ key->bytes, key->length };
}

static void put(struct store *store, enum store_table table,
    const struct record_key *key, const struct buf *value)
{
	store_put(store, table, rows_key(key),
	    (struct store_bytes){ buf_data(value), buf_length(value) });
}

/* A row that we cannot have written: said once each time it is met. */
static void damaged(const char *table, uint64_t id)
{
	log_error("damaged-row", log_message(id), log_text("table", table));
}

/* The value of a row, until the next one; null: no such row. */
static struct buf *get(struct store *store, enum store_table table,
    const struct record_key *key)
{
	struct buf *value = row_begin(STORE_VALUE_MAX);

	return store_get(store, table, rows_key(key), value) ? value : NULL;
}

struct record_message *rows_find_message(struct store *store, uint64_t id,
    struct arena *arena)
{
	struct record_message *message;
	struct record_key key;
	struct buf *value;

	record_key_message(&key, id);
	value = get(store, STORE_MESSAGES, &key);
	if (value == NULL)
		return NULL;
	message = record_get_message(buf_data(value), buf_length(value),
	    arena);
	if (message == NULL)
		damaged("messages", id);
	return message;
}

void rows_put_message(struct store *store, uint64_t id,
    const struct record_message *message)
{
	struct buf *value = row_begin(RECORD_MESSAGE_MAX);
	struct record_key key;

	record_key_message(&key, id);
	if (record_put_message(value, message) < 0)
		bug("message-row");
	put(store, STORE_MESSAGES, &key, value);
}

void rows_delete_message(struct store *store, uint64_t id)
{
	struct record_key key;

	record_key_message(&key, id);
	store_delete(store, STORE_MESSAGES, rows_key(&key));
}

size_t rows_each_message(struct store *store, uint64_t id, size_t most,
    void (*visit)(void *arg, uint64_t id,
    const struct record_message *record), void *arg)
{
	struct arena *arena = arena_new(RECORD_ARENA_MAX);
	struct store_page page = { 0 };
	struct record_key key;

	record_key_message(&key, id);
	store_scan(store, &(struct store_scan){ .table = STORE_MESSAGES,
	    .from = rows_key(&key), .max_rows = most,
	    .max_bytes = PAGE_BYTES }, &page);
	for (size_t i = 0; i < page.count; i++) {
		struct store_row *row = &page.rows[i];
		struct record_message *message;

		if (record_key_get_message(row->key.data, row->key.length,
		    &id) < 0)
			continue;
		message = record_get_message(row->value.data,
		    row->value.length, arena);
		if (message == NULL)
			damaged("messages", id);
		visit(arg, id, message);
		arena_reset(arena);
	}
	most = page.count;
	store_page_release(&page);
	arena_free(arena);
	return most;
}

uint64_t rows_last_message(struct store *store)
{
	struct store_page page = { 0 };
	uint64_t id = 0;

	store_scan(store, &(struct store_scan){ .table = STORE_MESSAGES,
	    .backwards = true, .max_rows = 1, .max_bytes = PAGE_BYTES,
	    .keys_only = true }, &page);
	if (page.count > 0 && record_key_get_message(page.rows[0].key.data,
	    page.rows[0].key.length, &id) < 0)
		id = 0;
	store_page_release(&page);
	return id;
}

uint64_t rows_find_length(struct store *store, uint64_t id, int64_t *arrival)
{
	struct record_key key;
	struct buf *value;
	uint64_t length;

	*arrival = 0;
	record_key_message(&key, id);
	value = get(store, STORE_MESSAGES, &key);
	if (value == NULL)
		return 0;
	length = record_peek_length(buf_data(value), buf_length(value),
	    arrival);
	return length;
}

uint64_t rows_find_identifier(struct store *store)
{
	struct wire_reader reader;
	struct buf value;
	uint64_t last = 0;

	buf_init(&value, sizeof(last));
	if (store_get(store, STORE_META, (struct store_bytes){ identifier_key,
	    sizeof(identifier_key) - 1 }, &value)) {
		wire_read_begin(&reader, buf_data(&value), buf_length(&value));
		last = wire_get_u64(&reader);
		if (wire_read_end(&reader) < 0)
			damaged("meta", 0);
	}
	buf_release(&value);
	return last;
}

void rows_put_identifier(struct store *store, uint64_t last)
{
	struct wire_writer writer;
	struct buf value;

	buf_init(&value, sizeof(last));
	wire_write_begin(&writer, &value);
	wire_put_u64(&writer, last);
	store_put(store, STORE_META, (struct store_bytes){ identifier_key,
	    sizeof(identifier_key) - 1 },
	    (struct store_bytes){ buf_data(&value), buf_length(&value) });
	buf_release(&value);
}

struct record_slice *rows_find_slice(struct store *store, uint64_t id,
    uint32_t slice, struct arena *arena)
{
	struct record_slice *record;
	struct record_key key;
	struct buf *value;

	record_key_slice(&key, id, slice);
	value = get(store, STORE_SLICES, &key);
	if (value == NULL)
		return NULL;
	record = record_get_slice(buf_data(value), buf_length(value),
	    arena);
	if (record == NULL)
		damaged("slices", id);
	return record;
}

void rows_put_slice(struct store *store, uint64_t id, uint32_t slice,
    const struct record_slice *record)
{
	struct buf *value = row_begin(RECORD_SLICE_MAX);
	struct record_key key;

	record_key_slice(&key, id, slice);
	if (record_put_slice(value, record) < 0)
		bug("slice-row");
	put(store, STORE_SLICES, &key, value);
}

void rows_delete_slice(struct store *store, uint64_t id, uint32_t slice)
{
	struct record_key key;

	record_key_slice(&key, id, slice);
	store_delete(store, STORE_SLICES, rows_key(&key));
}

/* Null if it is damaged, or its domain is not meant. */
static struct record_slice *get_slice_of(const struct store_row *row,
    uint64_t id, const struct rows_slices *which, struct arena *arena,
    void *arg)
{
	struct record_slice *record;
	const char *domain = which->takes == NULL ? NULL :
	    record_peek_domain(row->value.data, row->value.length, arena);

	if (domain != NULL && !which->takes(arg, domain))
		return NULL;
	record = record_get_slice(row->value.data, row->value.length, arena);
	if (record == NULL)
		damaged("slices", id);
	return record;
}

size_t rows_each_slice_of(struct store *store, const struct rows_slices *which,
    void (*visit)(void *arg, uint64_t id, uint32_t slice,
    const struct record_slice *record), void *arg)
{
	struct arena *arena = arena_new(RECORD_ARENA_MAX);
	struct store_page page = { 0 };
	struct record_key key;
	size_t count;
	uint64_t id;
	uint32_t slice;

	record_key_slice(&key, which->id, which->slice);
	store_scan(store, &(struct store_scan){ .table = STORE_SLICES,
	    .from = rows_key(&key), .max_rows = which->most,
	    .max_bytes = PAGE_BYTES }, &page);
	for (size_t i = 0; i < page.count; i++) {
		struct store_row *row = &page.rows[i];

		if (record_key_get_slice(row->key.data, row->key.length, &id,
		    &slice) < 0)
			continue;
		visit(arg, id, slice, get_slice_of(row, id, which, arena,
		    arg));
		arena_reset(arena);
	}
	count = page.count;
	store_page_release(&page);
	arena_free(arena);
	return count;
}

size_t rows_each_slice(struct store *store, uint64_t id, uint32_t slice,
    size_t most, void (*visit)(void *arg, uint64_t id, uint32_t slice,
    const struct record_slice *record), void *arg)
{
	return rows_each_slice_of(store, &(struct rows_slices){ .id = id,
	    .slice = slice, .most = most }, visit, arg);
}

/* One page of one row: the slices of that message from slice on. */
static void scan_slices(struct store *store, uint64_t id, uint32_t slice,
    bool keys_only, struct store_page *page)
{
	struct record_key from, until;

	record_key_slice(&from, id, slice);
	record_key_slice(&until, id + 1, 0);
	store_scan(store, &(struct store_scan){ .table = STORE_SLICES,
	    .from = rows_key(&from), .until = rows_key(&until),
	    .max_rows = 1, .max_bytes = PAGE_BYTES,
	    .keys_only = keys_only }, page);
}

bool rows_next_slice(struct store *store, uint64_t id, uint32_t *slice,
    struct arena *arena, struct record_slice **record)
{
	struct store_page page = { 0 };
	struct store_row *row;
	bool found;

	scan_slices(store, id, *slice, false, &page);
	row = page.rows;
	found = page.count > 0 && record_key_get_slice(row->key.data,
	    row->key.length, &id, slice) == 0;
	if (found) {
		*record = record_get_slice(row->value.data,
		    row->value.length, arena);
		if (*record == NULL)
			damaged("slices", id);
	}
	store_page_release(&page);
	return found;
}

bool rows_has_slices(struct store *store, uint64_t id)
{
	struct store_page page = { 0 };
	bool found;

	scan_slices(store, id, 0, true, &page);
	found = page.count > 0;
	store_page_release(&page);
	return found;
}

/* The domain of the one slice that a scan finds, if it is this message's and
 * below until. */
static char *scan_domain(struct store *store, const struct store_scan *scan,
    uint64_t id, uint32_t until, struct arena *arena)
{
	struct store_page page = { 0 };
	char *domain = NULL;
	uint64_t found;
	uint32_t slice;

	store_scan(store, scan, &page);
	if (page.count > 0 && record_key_get_slice(page.rows[0].key.data,
	    page.rows[0].key.length, &found, &slice) == 0 && found == id &&
	    slice < until)
		domain = record_peek_domain(page.rows[0].value.data,
		    page.rows[0].value.length, arena);
	store_page_release(&page);
	return domain;
}

char *rows_domain_before(struct store *store, uint64_t id, uint32_t slice,
    struct arena *arena)
{
	struct record_key from;

	record_key_slice(&from, id, slice);
	return scan_domain(store, &(struct store_scan){ .table = STORE_SLICES,
	    .from = rows_key(&from), .backwards = true, .max_rows = 1,
	    .max_bytes = PAGE_BYTES }, id, slice, arena);
}

char *rows_domain_behind(struct store *store, uint64_t id, uint32_t slice,
    uint32_t until, struct arena *arena)
{
	struct record_key from;

	record_key_slice(&from, id, slice);
	return scan_domain(store, &(struct store_scan){ .table = STORE_SLICES,
	    .from = rows_key(&from), .after = true, .max_rows = 1,
	    .max_bytes = PAGE_BYTES }, id, until, arena);
}

void rows_put_schedule(struct store *store, const struct place *place,
    const struct record_schedule *row)
{
	struct buf *value = row_begin(RECORD_SCHEDULE_MAX);
	struct record_key key;

	record_key_schedule(&key, place->due, place->id, place->slice);
	if (record_put_schedule(value, row) < 0)
		bug("schedule-row");
	put(store, STORE_SCHEDULE, &key, value);
}

struct record_schedule *rows_find_schedule(struct store *store,
    const struct place *place, struct arena *arena)
{
	struct record_schedule *schedule;
	struct record_key key;
	struct buf *value;

	record_key_schedule(&key, place->due, place->id, place->slice);
	value = get(store, STORE_SCHEDULE, &key);
	if (value == NULL)
		return NULL;
	schedule = record_get_schedule(buf_data(value), buf_length(value),
	    arena);
	if (schedule == NULL)
		damaged("schedule", place->id);
	return schedule;
}

void rows_delete_schedule(struct store *store, const struct place *place)
{
	struct record_key key;

	record_key_schedule(&key, place->due, place->id, place->slice);
	store_delete(store, STORE_SCHEDULE, rows_key(&key));
}

size_t rows_step_back_schedule(struct store *store, struct place *place,
    size_t count)
{
	struct store_page page = { 0 };
	struct record_key key;

	record_key_schedule(&key, place->due, place->id, place->slice);
	store_scan(store, &(struct store_scan){ .table = STORE_SCHEDULE,
	    .from = rows_key(&key), .backwards = true, .max_rows = count,
	    .max_bytes = PAGE_BYTES, .keys_only = true }, &page);
	count = page.count;
	if (count > 0 && record_key_get_schedule(
	    page.rows[count - 1].key.data, page.rows[count - 1].key.length,
	    &place->due, &place->id, &place->slice) < 0)
		count = 0;
	store_page_release(&page);
	return count;
}

size_t rows_each_schedule(struct store *store, const struct place *from,
    size_t most, bool (*visit)(void *arg, const struct place *place,
    const struct record_schedule *row), void *arg)
{
	struct arena *arena = arena_new(RECORD_ARENA_MAX);
	struct store_page page = { 0 };
	struct record_key key;
	size_t count;
	bool on = true;

	record_key_schedule(&key, from->due, from->id, from->slice);
	store_scan(store, &(struct store_scan){ .table = STORE_SCHEDULE,
	    .from = rows_key(&key), .max_rows = most,
	    .max_bytes = PAGE_BYTES }, &page);
	for (count = 0; count < page.count && on; count++) {
		struct store_row *row = &page.rows[count];
		struct record_schedule *schedule;
		struct place place;

		if (record_key_get_schedule(row->key.data, row->key.length,
		    &place.due, &place.id, &place.slice) < 0)
			continue;
		schedule = record_get_schedule(row->value.data,
		    row->value.length, arena);
		if (schedule == NULL)
			damaged("schedule", place.id);
		on = visit(arg, &place, schedule);
		arena_reset(arena);
	}
	store_page_release(&page);
	arena_free(arena);
	return count;
}
