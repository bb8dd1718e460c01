/* SPDX-License-Identifier: ISC */
/*
 * Noting, writing, and what becomes of old volumes. Everything is written in
 * the batch of the change that it tells of: a crash leaves both or neither,
 * and no attempt without its slice. What a salvage may leave behind is swept
 * in small steps.
 *
 * A volume takes an eighth of the time and of the room that the history has.
 * The oldest is dropped when its youngest row is too old, or when all of them
 * take more than they may, or than there is left for mail: so that before mail
 * is refused for want of room there is no history any more.
 */
#include "queue/history.h"

#include <endian.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "conf/conf.h"
#include "queue/envelope.h"
#include "queue/queue.h"
#include "queue/record.h"
#include "queue/rows.h"
#include "queue/slice.h"
#include "queue/space.h"
#include "queue/store.h"
#include "queue/view.h"

_Static_assert((int)HISTORY_ROW_MAX <= (int)STORE_VALUE_MAX,
    "rows fit into the store");

enum {
	LOOK_MILLISECONDS = 1000,
	VOLUMES = 8,			/* of all time, of all room */
	SPAN_MIN = 60 * 1000,
	SMALL_BYTES = 256 << 10,	/* not worth dropping */
	EMPTY_BYTES = 8192,		/* a table's first two pages */
	PAGE_ROWS = 64,
	PAGE_BYTES = 256 << 10,
	/* Former events in a row: beyond, only those in which one left. */
	FOLD_BYTES = 256 << 10,
	FOLD_BYTES_MAX = HISTORY_ROW_MAX - HISTORY_EVENT_MAX - (32 << 10),
	SWEEP_ROWS = 256,
	SWEEP_FIRST_MILLISECONDS = 10 * 1000,
	SWEEP_STEP_MILLISECONDS = 100,
	SWEEP_AGAIN_MILLISECONDS = 24 * 3600 * 1000
};

/* Numbers of events that are no attempt: above all of these, by time. Attempts
 * are counted from 1. */
static const uint64_t OTHER_EVENTS = UINT64_C(1) << 63;

struct history {
	struct queue		*queue;		/* outlives us */
	int64_t			 started;	/* wall, ms */
	bool			 low;		/* the disk is */
	struct timer		 look;
	struct timer		 sweep;
	struct record_key	 swept;		/* up to here */
	/* Used again for each row: mail leaves by the thousand. */
	struct buf		 event;
	struct buf		 events;
	struct buf		 value;
};

static bool is_on(const struct queue *queue)
{
	return queue->conf->history > 0 && queue->history != NULL &&
	    !queue->history->low;
}

/* --- noting --- */

void history_note(struct slice *slice,
    const struct record_recipient *recipient, enum history_outcome outcome,
    const struct status *status)
{
	struct history_event *event = slice->event;

	if (!is_on(slice->queue))
		return;
	if (event == NULL) {
		/* One may be deferred and be given up in the same turn. */
		event = arena_alloc(slice->arena, sizeof(*event));
		event->items = arena_alloc_array(slice->arena,
		    2 * (size_t)slice->recipients, sizeof(*event->items));
		event->time = clock_wall();
		slice->event = event;
	}
	/* A worker may say the same of somebody twice; who leaves does so
	 * once. */
	if (outcome == HISTORY_DEFERRED &&
	    event->waiting++ >= slice->recipients)
		return;
	if (event->count >= 2 * slice->recipients)
		bug("history-items");
	event->items[event->count++] = (struct history_item){
	    .index = recipient->index, .outcome = outcome, .status = status,
	    .address = recipient->who.address,
	    .original = recipient->who.original };
}

void history_drop(struct slice *slice,
    const struct record_recipient *recipient)
{
	const struct history_event *event = slice->event;

	for (uint32_t i = event == NULL ? 0 : event->count; i-- > 0;)
		if (event->items[i].index == recipient->index &&
		    event->items[i].outcome != HISTORY_DEFERRED)
			return;
	history_note(slice, recipient, HISTORY_DELETED, NULL);
}

/* --- writing --- */

static bool has_leaver(const struct history_event *event)
{
	for (uint32_t i = 0; i < event->count; i++)
		if (event->items[i].outcome != HISTORY_DEFERRED)
			return true;
	return false;
}

static bool is_there(struct store *store, const struct record_key *key)
{
	struct buf value;
	bool found;

	buf_init(&value, HISTORY_EVENT_MAX);
	found = store_get(store, STORE_ATTEMPTS, rows_key(key), &value);
	buf_release(&value);
	return found;
}

/* The key of this event; what others have said at the same time stays. */
static void choose_key(const struct slice *slice, struct record_key *key)
{
	uint64_t number = slice->event->attempt;

	if (number == 0)
		number = OTHER_EVENTS | (uint64_t)slice->event->time;
	history_key_event(key, slice->id, slice->number, number);
	while (slice->event->attempt == 0 &&
	    is_there(slice->queue->store, key))
		history_key_event(key, slice->id, slice->number, ++number);
}

/* One attempt in the middle goes, unless somebody left in it. */
static void trim(const struct slice *slice)
{
	struct store *store = slice->queue->store;
	uint32_t latest = HISTORY_KEPT - HISTORY_KEPT_FIRST;
	const struct history_event *event;
	struct record_key key;
	struct arena *arena;
	struct buf value;

	if (slice->event->attempt <= HISTORY_KEPT)
		return;
	arena = arena_new(HISTORY_ARENA_MAX);
	buf_init(&value, HISTORY_EVENT_MAX);
	history_key_event(&key, slice->id, slice->number,
	    slice->event->attempt - latest);
	if (store_get(store, STORE_ATTEMPTS, rows_key(&key), &value)) {
		event = history_get_event(buf_data(&value),
		    buf_length(&value), arena);
		if (event == NULL || !has_leaver(event))
			store_delete(store, STORE_ATTEMPTS, rows_key(&key));
	}
	buf_release(&value);
	arena_free(arena);
}

static struct store_bytes write_event(const struct slice *slice)
{
	struct buf *out = &slice->queue->history->event;

	buf_reset(out);
	if (history_put_event(out, slice->event) < 0)
		bug("history-event");
	return (struct store_bytes){ buf_data(out), buf_length(out) };
}

void history_save(struct slice *slice)
{
	struct record_key key;

	if (slice->event == NULL)
		return;
	choose_key(slice, &key);
	store_put(slice->queue->store, STORE_ATTEMPTS, rows_key(&key),
	    write_event(slice));
	trim(slice);
	slice->record->flags |= SLICE_NOTED;
}

/* A page of the slice's rows behind key, which moves to the last of them. */
static bool next_page(struct store *store, struct record_key *key,
    uint64_t id, uint32_t slice, struct store_page *page)
{
	struct record_key until;

	history_key_event(&until, id, slice, UINT64_MAX);
	store_scan(store, &(struct store_scan){ .table = STORE_ATTEMPTS,
	    .from = rows_key(key), .after = true, .until = rows_key(&until),
	    .max_rows = PAGE_ROWS, .max_bytes = PAGE_BYTES }, page);
	if (page->count == 0)
		return false;
	key->length = page->rows[page->count - 1].key.length;
	memcpy(key->bytes, page->rows[page->count - 1].key.data, key->length);
	return true;
}

/* Whether a former event goes along: all of them, unless that is too much. */
static bool is_folded(const struct store_row *row, size_t folded,
    struct arena *arena)
{
	const struct history_event *event;
	size_t after = folded + row->value.length + sizeof(uint32_t);

	if (after <= FOLD_BYTES || after > FOLD_BYTES_MAX)
		return after <= FOLD_BYTES;
	arena_reset(arena);
	event = history_get_event(row->value.data, row->value.length, arena);
	return event != NULL && has_leaver(event);
}

/* Takes the slice's rows out of STORE_ATTEMPTS; events (may be null) get them.
 * Returns how many did not fit. */
static uint32_t take_events(const struct slice *slice, struct buf *events)
{
	struct store *store = slice->queue->store;
	struct arena *arena = arena_new(HISTORY_ARENA_MAX);
	struct store_page page = { 0 };
	struct record_key key;
	uint32_t unkept = 0;

	history_key_event(&key, slice->id, slice->number, 0);
	while (next_page(store, &key, slice->id, slice->number, &page)) {
		for (size_t i = 0; i < page.count; i++) {
			const struct store_row *row = &page.rows[i];

			if (events != NULL && is_folded(row,
			    buf_length(events), arena))
				history_add_event(events, row->value.data,
				    row->value.length);
			else
				unkept++;
			store_delete(store, STORE_ATTEMPTS, row->key);
		}
	}
	store_page_release(&page);
	arena_free(arena);
	return unkept;
}

static void fill_row(const struct slice *slice,
    const struct record_message *message, struct history_row *row)
{
	const struct envelope *envelope = message->envelope;
	struct view view;

	view_init(&view, envelope, message->body_length);
	*row = (struct history_row){ .finished = slice->event->time,
	    .arrival = message->arrival,
	    .size = view_length(&view) + envelope->prefix_length,
	    .flags = envelope->flags & (ENVELOPE_BOUNCE |
	    ENVELOPE_REQUIRETLS | ENVELOPE_TLS_OPTIONAL | ENVELOPE_UTF8),
	    .accepted = message->recipient_count,
	    .attempts = slice->record->attempt,
	    .domain = slice->record->domain, .sender = envelope->sender,
	    .client = envelope->client, .helo = envelope->helo,
	    .protocol = envelope->protocol, .tls = envelope->tls,
	    .user = envelope->user };
}

static void put_row(const struct slice *slice, const struct history_row *row,
    bool quick)
{
	struct store *store = slice->queue->store;
	uint64_t seconds = (uint64_t)row->finished / 1000;
	uint64_t made = slice->id >> 20, place = slice->id, stored;
	struct buf *value = &slice->queue->history->value;
	struct record_key key;

	if (!quick || seconds > made + HISTORY_SKEW_SECONDS ||
	    made > seconds + HISTORY_SKEW_SECONDS) {
		place = seconds << 20;
		stored = htobe64(place);
		history_key_pointer(&key, slice->id, slice->number);
		store_volume_put(store, rows_key(&key),
		    (struct store_bytes){ &stored, sizeof(stored) });
	}
	buf_reset(value);
	if (history_put_row(value, row) < 0)
		bug("history-row");
	history_key_row(&key, place, slice->id, slice->number);
	store_volume_put(store, rows_key(&key),
	    (struct store_bytes){ buf_data(value), buf_length(value) });
}

void history_finish(struct slice *slice, const struct record_message *message)
{
	bool noted = slice->record->flags & SLICE_NOTED;
	struct history_row row;
	struct store_bytes last;
	struct buf *events;

	if (slice->event == NULL || message == NULL) {
		if (noted)
			(void)take_events(slice, NULL);
		return;
	}
	fill_row(slice, message, &row);
	events = &slice->queue->history->events;
	buf_reset(events);
	if (noted)
		row.unkept = take_events(slice, events);
	last = write_event(slice);
	history_add_event(events, last.data, last.length);
	row.events = buf_data(events);
	row.events_length = buf_length(events);
	put_row(slice, &row, !noted);
}

/* --- volumes --- */

static uint64_t total_bytes(struct store *store,
    const struct store_volume *volumes, size_t count)
{
	uint64_t total = 0;

	for (size_t i = 0; i < count; i++)
		total += store_volume_bytes(store, volumes[i].number);
	return total;
}

/* What it may take: no more than mail may that is still to come. */
static uint64_t room(const struct history *history)
{
	uint64_t most = (uint64_t)history->queue->conf->history_space;
	uint64_t left = space_left(history->queue->space);

	return left < most ? left : most;
}

/* The oldest has to go; the last one never does. */
static bool is_over(const struct history *history,
    const struct store_volume *volumes, size_t count, int64_t now)
{
	const struct conf *conf = history->queue->conf;

	if (count < 2)
		return false;
	return history->low || conf->history == 0 ||
	    volumes[1].begun + conf->history * 1000 <= now ||
	    total_bytes(history->queue->store, volumes, count) >
	    room(history);
}

/* The last one has had its share, or is in the way. */
static bool is_full(const struct history *history,
    const struct store_volume *last, int64_t now)
{
	const struct conf *conf = history->queue->conf;
	uint64_t bytes = store_volume_bytes(history->queue->store,
	    last->number);
	int64_t begun = last->begun != 0 ? last->begun : history->started;
	int64_t span = conf->history * 1000 / VOLUMES;

	if (conf->history == 0)
		return bytes > EMPTY_BYTES;
	if (history->low)
		return bytes > SMALL_BYTES;
	return bytes > SMALL_BYTES + room(history) / VOLUMES ||
	    now - begun >= (span > SPAN_MIN ? span : SPAN_MIN);
}

static void on_look(void *arg)
{
	struct history *history = arg;
	struct store *store = history->queue->store;
	struct store_volume volumes[STORE_VOLUMES_MAX];
	size_t count = store_volumes(store, volumes);
	int64_t now = clock_wall();
	bool low = space_left(history->queue->space) == 0;

	if (low != history->low)
		log_warn("history", log_text("effect", low ? "it makes room "
		    "for mail, and nothing is added" : "it is kept again"));
	history->low = low;
	if (is_over(history, volumes, count, now))
		store_volume_drop(store);
	else if (is_full(history, &volumes[count - 1], now))
		store_volume_begin(store, now);
	timer_start(&history->look, LOOK_MILLISECONDS, on_look, history);
}

/* --- the sweep --- */

static bool has_slice(struct store *store, uint64_t id, uint32_t slice)
{
	struct record_key from, until;
	struct store_page page = { 0 };
	bool found;

	record_key_slice(&from, id, slice);
	record_key_slice(&until, slice == UINT32_MAX ? id + 1 : id,
	    slice + 1);
	store_scan(store, &(struct store_scan){ .table = STORE_SLICES,
	    .from = { from.bytes, from.length },
	    .until = { until.bytes, until.length }, .max_rows = 1,
	    .keys_only = true }, &page);
	found = page.count > 0;
	store_page_release(&page);
	return found;
}

/* Takes out what belongs to no slice; returns how many rows went. */
static unsigned sweep_page(struct store *store, const struct store_page *page)
{
	uint64_t id, number, seen_id = 0;
	uint32_t slice, seen_slice = 0;
	bool owned = false;
	unsigned swept = 0;

	for (size_t i = 0; i < page->count; i++) {
		const struct store_bytes *key = &page->rows[i].key;

		if (history_get_key_event(key->data, key->length, &id, &slice,
		    &number) == 0) {
			if (i == 0 || id != seen_id || slice != seen_slice)
				owned = has_slice(store, id, slice);
			seen_id = id;
			seen_slice = slice;
			if (owned)
				continue;
		}
		store_delete(store, STORE_ATTEMPTS, *key);
		swept++;
	}
	return swept;
}

static void on_sweep(void *arg)
{
	struct history *history = arg;
	struct store *store = history->queue->store;
	struct store_page page = { 0 };
	struct store_scan scan = { .table = STORE_ATTEMPTS, .after = true,
	    .max_rows = SWEEP_ROWS, .max_bytes = PAGE_BYTES,
	    .keys_only = true };
	int64_t next = SWEEP_STEP_MILLISECONDS;
	unsigned swept;

	if (history->swept.length > 0)
		scan.from = rows_key(&history->swept);
	store_scan(store, &scan, &page);
	swept = sweep_page(store, &page);
	if (swept > 0)
		log_warn("attempts without a message",
		    log_number("count", swept));
	if (page.count > 0 && page.rows[page.count - 1].key.length <=
	    RECORD_KEY_MAX) {
		history->swept.length = page.rows[page.count - 1].key.length;
		memcpy(history->swept.bytes,
		    page.rows[page.count - 1].key.data, history->swept.length);
	}
	if (page.count == 0 || !page.more) {
		history->swept.length = 0;
		next = SWEEP_AGAIN_MILLISECONDS;
	}
	store_page_release(&page);
	timer_start(&history->sweep, next, on_sweep, history);
}

struct history *history_new(struct queue *queue)
{
	struct history *history = mem_alloc(sizeof(*history));

	history->queue = queue;
	history->started = clock_wall();
	buf_init(&history->event, HISTORY_EVENT_MAX);
	buf_init(&history->events, HISTORY_ROW_MAX);
	buf_init(&history->value, HISTORY_ROW_MAX);
	timer_start(&history->look, LOOK_MILLISECONDS, on_look, history);
	timer_start(&history->sweep, SWEEP_FIRST_MILLISECONDS, on_sweep,
	    history);
	return history;
}

void history_free(struct history *history)
{
	if (history == NULL)
		return;
	timer_stop(&history->look);
	timer_stop(&history->sweep);
	buf_release(&history->event);
	buf_release(&history->events);
	buf_release(&history->value);
	mem_free(history);
}

/* --- reading --- */

void history_each_event(struct queue *queue, uint64_t id, uint32_t slice,
    void (*visit)(void *arg, const struct history_event *event), void *arg)
{
	struct arena *arena = arena_new(HISTORY_ARENA_MAX);
	struct store_page page = { 0 };
	struct record_key key;

	history_key_event(&key, id, slice, 0);
	while (next_page(queue->store, &key, id, slice, &page)) {
		for (size_t i = 0; i < page.count; i++) {
			const struct store_bytes *value = &page.rows[i].value;
			struct history_event *event;

			arena_reset(arena);
			event = history_get_event(value->data, value->length,
			    arena);
			if (event != NULL)
				visit(arg, event);
		}
	}
	store_page_release(&page);
	arena_free(arena);
}
