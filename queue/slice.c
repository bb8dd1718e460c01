/* SPDX-License-Identifier: ISC */
/*
 * Changing slices. The rows and the schedule in memory change in the same
 * turn; a restart sees either all of it or nothing.
 */
#include "queue/slice.h"

#include "base/arena.h"
#include "base/clock.h"
#include "base/log.h"
#include "conf/conf.h"
#include "queue/census.h"
#include "queue/flow.h"
#include "queue/history.h"
#include "queue/queue.h"
#include "queue/record.h"
#include "queue/rows.h"
#include "queue/schedule.h"
#include "queue/store.h"

int slice_load(struct slice *slice, struct queue *queue, uint64_t id,
    uint32_t number)
{
	struct arena *arena = arena_new(RECORD_ARENA_MAX);
	struct record_slice *record = rows_find_slice(queue->store, id,
	    number, arena);

	*slice = (struct slice){ .queue = queue, .id = id, .number = number,
	    .arena = arena, .record = record };
	if (record == NULL) {
		slice_release(slice);
		return -1;
	}
	slice->old_due = record->due;
	slice->was_held = record->flags & SLICE_HELD;
	slice->past = census_remember(arena, record);
	slice->recipients = record->recipient_count;
	return 0;
}

void slice_begin(struct slice *slice, struct queue *queue, uint64_t id,
    uint32_t number)
{
	struct arena *arena = arena_new(RECORD_ARENA_MAX);

	/* It has no row in the schedule, as if it were held. */
	*slice = (struct slice){ .queue = queue, .id = id, .number = number,
	    .arena = arena, .record = arena_alloc(arena,
	    sizeof(*slice->record)), .was_held = true };
}

void slice_release(struct slice *slice)
{
	arena_free(slice->arena);
	slice->arena = NULL;
	slice->record = NULL;
}

void slice_drop(struct slice *slice, uint32_t position)
{
	struct record_slice *record = slice->record;

	history_drop(slice, &record->recipients[position]);
	record->recipient_count--;
	for (uint32_t i = position; i < record->recipient_count; i++)
		record->recipients[i] = record->recipients[i + 1];
}

/* The last slice is gone: so are row and body. */
static void finish_message(struct queue *queue, uint64_t id,
    const struct record_message *message)
{
	if (message == NULL)
		return;
	rows_delete_message(queue->store, id);
	store_body_delete(queue->store, id, message->body_length);
	flow_add(queue->flow, FLOW_REMOVED, 1);
	log_info("removed", log_message(id));
}

/* Nobody is left in it. */
static void finish(struct slice *slice)
{
	struct queue *queue = slice->queue;
	struct arena *arena = arena_new(RECORD_ARENA_MAX);
	struct record_message *message = NULL;
	bool last;

	rows_delete_slice(queue->store, slice->id, slice->number);
	if (slice->number == 0 || slice->event != NULL)
		message = rows_find_message(queue->store, slice->id, arena);
	/* Most have one; a redirected message counts those that were added. */
	last = (message != NULL && message->slice_count == 1) ||
	    !rows_has_slices(queue->store, slice->id);
	if (last && message == NULL)
		message = rows_find_message(queue->store, slice->id, arena);
	census_gone(queue->census, slice->id, slice->number, slice->past,
	    last);
	history_finish(slice, message);
	if (last)
		finish_message(queue, slice->id, message);
	arena_free(arena);
}

/* Whose mail it is: as its row says, or (it was held) its message. */
static uint32_t find_group(struct slice *slice, const struct place *place)
{
	struct record_schedule *row = slice->was_held ? NULL :
	    rows_find_schedule(slice->queue->store, place, slice->arena);
	struct record_message *message;

	if (row != NULL)
		return row->group;
	message = rows_find_message(slice->queue->store, slice->id,
	    slice->arena);
	return message == NULL ? 0 : record_group(message->envelope);
}

void slice_save(struct slice *slice)
{
	struct queue *queue = slice->queue;
	struct record_slice *record = slice->record;
	struct place place = { slice->old_due, slice->id, slice->number };
	bool held = record->flags & SLICE_HELD;
	uint32_t group = held || record->recipient_count == 0 ? 0 :
	    find_group(slice, &place);

	if (!slice->was_held && (held || record->recipient_count == 0 ||
	    record->due != slice->old_due))
		rows_delete_schedule(queue->store, &place);
	if (record->recipient_count == 0) {
		finish(slice);
		slice_release(slice);
		return;
	}
	history_save(slice);
	rows_put_slice(queue->store, slice->id, slice->number, record);
	census_changed(queue->census, slice->id, slice->number, slice->past,
	    record);
	if (!held) {
		struct record_schedule row = { record->attempt,
		    record->domain, record_slice_lane(record), group };

		place.due = record->due;
		rows_put_schedule(queue->store, &place, &row);
		if (slice->by_hand)
			schedule_added_first(queue->schedule, &place, &row);
		else
			schedule_added(queue->schedule, &place, &row);
	}
	slice_release(slice);
}

void slice_save_in_place(struct slice *slice)
{
	struct queue *queue = slice->queue;

	rows_put_slice(queue->store, slice->id, slice->number, slice->record);
	census_changed(queue->census, slice->id, slice->number, slice->past,
	    slice->record);
	slice_release(slice);
}

int64_t slice_expiry(const struct queue *queue,
    const struct record_slice *record)
{
	int64_t seconds = record->flags & SLICE_BOUNCE ?
	    queue->conf->bounce_expiry : queue->conf->message_expiry;

	return record->arrival + seconds * 1000;
}

void slice_hold(struct slice *slice, uint32_t flags, const char *reason)
{
	slice->record->flags &= ~(uint32_t)(SLICE_FILTERED | SLICE_RULED);
	slice->record->flags |= SLICE_HELD | flags;
	slice->record->held_reason = arena_dup_string(slice->arena, reason);
}

void slice_retry(struct slice *slice, int64_t now)
{
	slice->record->flags &= ~(uint32_t)(SLICE_HELD | SLICE_DAMAGED |
	    SLICE_FILTERED | SLICE_RULED);
	slice->record->held_reason = arena_dup_string(slice->arena, "");
	slice->record->due = now;
	slice->by_hand = true;
	schedule_wake(slice->queue->schedule, slice->record);
}

void slice_quarantine(struct queue *queue, uint64_t id)
{
	struct arena *arena = arena_new(RECORD_ARENA_MAX);
	struct record_slice *record;
	struct slice slice;
	uint32_t number = 0;

	log_error("damaged-message", log_message(id), log_text("effect",
	    "held; it is not what was accepted and will not be sent"));
	while (rows_next_slice(queue->store, id, &number, arena, &record)) {
		arena_reset(arena);
		if (slice_load(&slice, queue, id, number) == 0) {
			slice_hold(&slice, SLICE_DAMAGED,
			    "the stored message is damaged");
			slice_save(&slice);
		}
		if (++number == 0)
			break;
	}
	arena_free(arena);
}
