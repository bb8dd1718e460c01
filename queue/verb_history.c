/* SPDX-License-Identifier: ISC */
/*
 * history: what became of recipients, newest first (those of one minute in the
 * order in which their messages came, backwards), an object for each slice of a
 * message that is done with. Without identifiers volumes are read from
 * their ends; with them each is asked for the rows of that identifier. A page
 * a turn, as in walk.c; neither header nor body of a message is kept, so
 * operators may see all there is.
 */
#include <endian.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/control.h"
#include "base/mem.h"
#include "base/status.h"
#include "queue/dsn.h"
#include "queue/envelope.h"
#include "queue/history.h"
#include "queue/pattern.h"
#include "queue/queue.h"
#include "queue/record.h"
#include "queue/rows.h"
#include "queue/selector.h"
#include "queue/store.h"
#include "queue/verbs.h"

enum {
	PAGE_ROWS = 16,
	PAGE_BYTES = 256 << 10,
	LEAVERS_MAX = 200,
	ATTEMPTS_MAX = 300		/* objects in one answer line */
};

/* One who left, and how. */
struct leaver {
	uint32_t		 index;
	const char		*address;
	const char		*original;
	enum history_outcome	 outcome;
	const struct status	*status;	/* may be null */
	int64_t			 time;
	uint32_t		 attempt;
	bool			 selected;
};

struct tour {
	struct queue		*queue;		/* outlives us */
	struct control		*control;	/* outlives us */
	struct selector		 selector;	/* owned */
	unsigned		 outcomes;	/* as bits; 0: any */
	int64_t			 since, until;	/* seconds; 0: any */
	bool			 attempts;	/* are wanted, too */

	struct store_volume	 volumes[STORE_VOLUMES_MAX];
	size_t			 volume;	/* those before it are left */
	size_t			 volume_count;
	struct record_key	 key;		/* the last one; empty: begin */
	size_t			 position;	/* in the selector's ids */
	bool			 pointers;	/* of that id, in this volume */

	struct arena		*arena;		/* owned; for a row */
	struct arena		*event_arena;	/* owned; for an event */
	struct leaver		 leavers[LEAVERS_MAX];	/* of a row */
	size_t			 leaver_count;
	uint64_t		 found;
	bool			 sent;		/* in this step */
	bool			 ended;
	struct timer		 timer;
};

/* --- one row --- */

static void keep_leavers(struct tour *tour, const struct history_event *event)
{
	for (uint32_t i = 0; i < event->count; i++) {
		const struct history_item *item = &event->items[i];

		if (item->outcome == HISTORY_DEFERRED ||
		    tour->leaver_count == LEAVERS_MAX)
			continue;
		tour->leavers[tour->leaver_count++] = (struct leaver){
		    .index = item->index,
		    .address = arena_dup_string(tour->arena, item->address),
		    .original = item->original == NULL ? NULL :
		    arena_dup_string(tour->arena, item->original),
		    .outcome = item->outcome,
		    .status = item->status == NULL ? NULL : arena_dup(
		    tour->arena, item->status, sizeof(*item->status)),
		    .time = event->time, .attempt = event->attempt };
	}
}

/* Whether a status in the history of a recipient is meant. */
static bool takes_status(const struct selector *selector,
    const struct status *status)
{
	unsigned reason = status == NULL ? REASON_NONE : status->reason;

	return (selector->reasons == 0 ||
	    (selector->reasons >> reason & 1)) &&
	    (selector->host == NULL || selector_matches_host(selector->host,
	    status == NULL ? "" : status->host));
}

/* Any attempt counts, so that what was in the way of mail that has arrived is
 * found, too. */
static void select_by_event(struct tour *tour,
    const struct history_event *event)
{
	for (uint32_t i = 0; i < event->count; i++) {
		if (!takes_status(&tour->selector, event->items[i].status))
			continue;
		for (size_t j = 0; j < tour->leaver_count; j++)
			if (tour->leavers[j].index == event->items[i].index)
				tour->leavers[j].selected = true;
	}
}

static void each_event(struct tour *tour, const struct history_row *row,
    void (*visit)(struct tour *tour, const struct history_event *event))
{
	struct history_event *event;
	size_t offset = 0;

	while (offset < row->events_length) {
		arena_reset(tour->event_arena);
		event = history_next_event(row, &offset, tour->event_arena);
		if (event == NULL)
			return;
		visit(tour, event);
	}
}

static size_t select_leavers(struct tour *tour)
{
	const struct selector *selector = &tour->selector;
	size_t count = 0;

	for (size_t i = 0; i < tour->leaver_count; i++) {
		struct leaver *leaver = &tour->leavers[i];

		leaver->selected = leaver->selected &&
		    pattern_matches(selector->recipient, leaver->address) &&
		    (tour->outcomes == 0 ||
		    (tour->outcomes >> leaver->outcome & 1));
		count += leaver->selected;
	}
	return count;
}

static const char *tag_of(const struct history_row *row)
{
	if (row->flags & ENVELOPE_REQUIRETLS)
		return "requiretls";
	return row->flags & ENVELOPE_TLS_OPTIONAL ? "optional" : NULL;
}

static bool takes_row(const struct tour *tour, const struct history_row *row)
{
	const struct selector *selector = &tour->selector;
	const char *tag = tag_of(row);
	int64_t seconds = row->finished / 1000;
	int64_t age = clock_wall() / 1000 - seconds;

	return pattern_matches(selector->sender, row->sender) &&
	    pattern_matches(selector->user, row->user) &&
	    pattern_matches(selector->domain, row->domain) &&
	    (selector->older < 0 || age >= selector->older) &&
	    (selector->newer < 0 || age < selector->newer) &&
	    (selector->larger < 0 ||
	    row->size >= (uint64_t)selector->larger) &&
	    (selector->smaller < 0 ||
	    row->size < (uint64_t)selector->smaller) &&
	    (selector->tag == NULL || strcmp(selector->tag,
	    tag == NULL ? "none" : tag) == 0) &&
	    (tour->since == 0 || seconds >= tour->since) &&
	    (tour->until == 0 || seconds < tour->until);
}

static json_t *leaver_value(const struct history_row *row,
    const struct leaver *leaver)
{
	json_t *value = json_pack("{s:o, s:o, s:s, s:o, s:I}",
	    "address", control_text(leaver->address),
	    "original", leaver->original == NULL ? json_null() :
	    control_text(leaver->original),
	    "outcome", history_outcome_name(leaver->outcome),
	    "finished", control_time(leaver->time),
	    "attempts", (json_int_t)(leaver->attempt == 0 ? row->attempts :
	    leaver->attempt));

	json_object_update_new(value, history_status_value(leaver->status));
	return value;
}

static json_t *row_value(const struct tour *tour,
    const struct history_row *row, size_t selected)
{
	json_t *recipients = json_array(), *object;
	char name[32];

	for (size_t i = 0; i < tour->leaver_count; i++)
		if (tour->leavers[i].selected)
			json_array_append_new(recipients,
			    leaver_value(row, &tour->leavers[i]));
	snprintf(name, sizeof(name), "%llx", (unsigned long long)row->id);
	object = json_pack("{s:s, s:I, s:o, s:o, s:o, s:o, s:I, s:o, s:o, "
	    "s:o, s:o, s:o, s:b, s:I, s:I, s:I, s:o}",
	    "id", name,
	    "slice", (json_int_t)row->slice,
	    "domain", control_text(row->domain),
	    "sender", control_text(row->sender),
	    "arrival", control_time(row->arrival),
	    "finished", control_time(row->finished),
	    "size", (json_int_t)row->size,
	    "client", control_text(row->client),
	    "helo", control_text(row->helo),
	    "protocol", control_text(row->protocol),
	    "tls", control_text(row->tls),
	    "user", control_text(row->user),
	    "notification", (row->flags & ENVELOPE_BOUNCE) != 0,
	    "accepted", (json_int_t)row->accepted,
	    "unkept", (json_int_t)row->unkept,
	    "selected", (json_int_t)selected,
	    "recipients", recipients);
	if (tag_of(row) != NULL)
		json_object_set_new(object, "tls-tag",
		    json_string(tag_of(row)));
	return object;
}

static json_t *attempts_value(struct tour *tour,
    const struct history_row *row)
{
	struct history_name list[LEAVERS_MAX];
	struct history_names names = { list, tour->leaver_count };
	json_t *array = json_array();
	struct history_event *event;
	size_t offset = 0;

	for (size_t i = 0; i < tour->leaver_count; i++)
		list[i] = (struct history_name){ tour->leavers[i].index,
		    tour->leavers[i].address };
	while (offset < row->events_length) {
		arena_reset(tour->event_arena);
		event = history_next_event(row, &offset, tour->event_arena);
		if (event == NULL)
			break;
		history_add_attempts(array, event, &names);
		while (json_array_size(array) > ATTEMPTS_MAX)
			json_array_remove(array, 0);
	}
	return array;
}

static void visit(struct tour *tour, uint64_t id, uint32_t slice,
    const struct store_bytes *value)
{
	struct history_row *row;
	json_t *object;
	size_t selected;

	arena_reset(tour->arena);
	tour->leaver_count = 0;
	row = history_get_row(value->data, value->length, tour->arena);
	if (row == NULL || !takes_row(tour, row))
		return;
	row->id = id;
	row->slice = slice;
	each_event(tour, row, keep_leavers);
	each_event(tour, row, select_by_event);
	selected = select_leavers(tour);
	if (selected == 0)
		return;
	object = row_value(tour, row, selected);
	if (tour->attempts)
		json_object_set_new(object, "attempts",
		    attempts_value(tour, row));
	tour->found++;
	tour->sent = true;
	control_send(tour->control, object);
}

/* --- going through volumes --- */

static void keep_key(struct tour *tour, const struct store_bytes *key)
{
	tour->key.length = key->length;
	memcpy(tour->key.bytes, key->data, key->length);
}

static bool is_enough(const struct tour *tour)
{
	return tour->found >= tour->selector.limit;
}

/* Back by one volume; false: that was the oldest. */
static bool next_volume(struct tour *tour)
{
	tour->key.length = 0;
	return tour->volume-- > 1;
}

/* Where rows of that second, and all before, end. */
static void key_of_second(struct record_key *key, int64_t second)
{
	history_key_row(key, (uint64_t)second << 20, 0, 0);
}

/* One page of the volume, backwards; false: there is nothing behind it. */
static bool page_back(struct tour *tour, struct store_page *page)
{
	struct store_scan scan = { .table = STORE_VOLUME,
	    .volume = tour->volumes[tour->volume - 1].number,
	    .backwards = true, .max_rows = PAGE_ROWS,
	    .max_bytes = PAGE_BYTES };
	uint64_t place, id;
	uint32_t slice;

	if (tour->key.length == 0 && tour->until != 0)
		key_of_second(&tour->key, tour->until +
		    HISTORY_SKEW_SECONDS + 1);
	if (tour->key.length != 0)
		scan.from = rows_key(&tour->key);
	store_scan(tour->queue->store, &scan, page);
	for (size_t i = 0; i < page->count && !is_enough(tour); i++) {
		const struct store_row *row = &page->rows[i];

		/* Pointers stand before all rows. */
		if (history_get_key_row(row->key.data, row->key.length,
		    &place, &id, &slice) < 0)
			return next_volume(tour);
		if (tour->since > HISTORY_SKEW_SECONDS && place <
		    (uint64_t)(tour->since - HISTORY_SKEW_SECONDS) << 20)
			return false;
		keep_key(tour, &row->key);
		visit(tour, id, slice, &row->value);
	}
	return page->count > 0 || next_volume(tour);
}

/* Through the pointer to the row that it means. */
static void visit_pointed(struct tour *tour, const struct store_row *pointer)
{
	uint64_t number = tour->volumes[tour->volume - 1].number;
	struct record_key key;
	struct store_bytes bytes;
	struct buf value;
	uint64_t id, place;
	uint32_t slice;

	if (history_get_key_pointer(pointer->key.data, pointer->key.length,
	    &id, &slice) < 0 || pointer->value.length != sizeof(place))
		return;
	memcpy(&place, pointer->value.data, sizeof(place));
	history_key_row(&key, be64toh(place), id, slice);
	buf_init(&value, HISTORY_ROW_MAX);
	if (store_volume_get(tour->queue->store, number, rows_key(&key),
	    &value)) {
		bytes = (struct store_bytes){ buf_data(&value),
		    buf_length(&value) };
		visit(tour, id, slice, &bytes);
	}
	buf_release(&value);
}

/* The next kind of key for this id, the next volume, the next id. */
static bool next_place(struct tour *tour)
{
	tour->key.length = 0;
	tour->pointers = !tour->pointers;
	if (tour->pointers || next_volume(tour))
		return true;
	tour->volume = tour->volume_count;
	return ++tour->position < tour->selector.id_count;
}

/* One page of the rows, or of the pointers, of an id in a volume. */
static bool page_of_id(struct tour *tour, struct store_page *page)
{
	uint64_t id = tour->selector.ids[tour->position], place;
	struct store_scan scan = { .table = STORE_VOLUME,
	    .volume = tour->volumes[tour->volume - 1].number, .after = true,
	    .max_rows = PAGE_ROWS, .max_bytes = PAGE_BYTES };
	struct record_key from, until;
	uint32_t slice;

	if (tour->pointers) {
		history_key_pointer(&from, id, 0);
		history_key_pointer(&until, id + 1, 0);
	} else {
		history_key_row(&from, id, id, 0);
		history_key_row(&until, id, id + 1, 0);
	}
	scan.after = tour->key.length != 0;
	scan.from = rows_key(scan.after ? &tour->key : &from);
	scan.until = rows_key(&until);
	store_scan(tour->queue->store, &scan, page);
	for (size_t i = 0; i < page->count && !is_enough(tour); i++) {
		const struct store_row *row = &page->rows[i];

		keep_key(tour, &row->key);
		if (tour->pointers)
			visit_pointed(tour, row);
		else if (history_get_key_row(row->key.data, row->key.length,
		    &place, &id, &slice) == 0)
			visit(tour, id, slice, &row->value);
	}
	return page->count > 0 || next_place(tour);
}

/* --- the verb --- */

static void tour_free(void *arg)
{
	struct tour *tour = arg;

	timer_stop(&tour->timer);
	selector_release(&tour->selector);
	arena_free(tour->arena);
	arena_free(tour->event_arena);
	mem_free(tour);
}

/* control_end() frees the tour. */
static void end(struct tour *tour)
{
	bool none = tour->found == 0;

	tour->ended = true;
	control_end(tour->control, none ? CONTROL_NONE_MATCHED : CONTROL_OK,
	    none ? "nothing in the history matches" : "");
}

static void step(void *arg)
{
	struct tour *tour = arg;
	struct store_page page = { 0 };
	bool more;

	tour->sent = false;
	more = tour->selector.ids != NULL ? page_of_id(tour, &page) :
	    page_back(tour, &page);
	store_page_release(&page);
	if (!more || is_enough(tour))
		end(tour);
	else if (!tour->sent)
		timer_start(&tour->timer, 0, step, tour);
}

static void produce(struct control *control, void *arg)
{
	struct tour *tour = arg;

	(void)control;
	if (!tour->ended && !timer_is_running(&tour->timer))
		step(tour);
}

static const char *read_outcomes(struct tour *tour, const json_t *value)
{
	size_t count = json_is_array(value) ? json_array_size(value) : 1;

	for (size_t i = 0; value != NULL && i < count; i++) {
		const char *text = json_string_value(json_is_array(value) ?
		    json_array_get(value, i) : value);
		int outcome = text == NULL ? -1 : history_outcome_find(text);

		if (outcome <= HISTORY_DEFERRED)
			return "\"outcome\": delivered, relayed, failed, "
			    "expired, bounced, deleted or redirected is "
			    "expected";
		tour->outcomes |= 1U << outcome;
	}
	return NULL;
}

static const char *read_moment(int64_t *out, const json_t *value)
{
	if (value == NULL)
		return NULL;
	if (!json_is_integer(value) || json_integer_value(value) <= 0 ||
	    json_integer_value(value) > (json_int_t)1 << 40)
		return "\"since\", \"until\": seconds since 1970 are "
		    "expected";
	*out = json_integer_value(value);
	return NULL;
}

static const char *read_arguments(struct tour *tour, const json_t *arguments)
{
	static const char *const others[] = { "outcome", "since", "until",
	    "attempts", NULL };
	const char *error = selector_read(&tour->selector, arguments, others);

	if (error == NULL && tour->selector.state != SLICE_ANY)
		error = "\"state\": what is done with has none; see "
		    "\"outcome\"";
	if (error == NULL)
		error = read_outcomes(tour, json_object_get(arguments,
		    "outcome"));
	if (error == NULL)
		error = read_moment(&tour->since, json_object_get(arguments,
		    "since"));
	if (error == NULL)
		error = read_moment(&tour->until, json_object_get(arguments,
		    "until"));
	tour->attempts = json_is_true(json_object_get(arguments, "attempts"));
	return error;
}

/* Ages are moments, too: pages that cannot hold any such row are not read. */
static void use_ages(struct tour *tour)
{
	int64_t now = clock_wall() / 1000;
	int64_t since = tour->selector.newer < 0 ? 0 :
	    now - tour->selector.newer;
	int64_t until = tour->selector.older < 0 ? 0 :
	    now - tour->selector.older + 1;

	if (since > tour->since)
		tour->since = since;
	if (until > 0 && (tour->until == 0 || until < tour->until))
		tour->until = until;
}

void verb_history(struct control *control, const json_t *arguments)
{
	struct tour *tour = mem_alloc(sizeof(*tour));
	const char *error;

	tour->queue = verbs_queue();
	tour->control = control;
	tour->arena = arena_new(HISTORY_ARENA_MAX);
	tour->event_arena = arena_new(HISTORY_ARENA_MAX);
	tour->volume_count = store_volumes(tour->queue->store, tour->volumes);
	tour->volume = tour->volume_count;
	error = read_arguments(tour, arguments);
	if (error != NULL) {
		tour_free(tour);
		control_end(control, CONTROL_USAGE, error);
		return;
	}
	use_ages(tour);
	control_produce(control, produce, tour_free, tour);
}
