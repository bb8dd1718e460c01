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
#include "queue/queue.h"
#include "queue/record.h"
#include "queue/rows.h"
#include "queue/schedule.h"
#include "queue/store.h"

int slice_load(struct slice *slice, struct queue *queue, uint64_t id,
    uint32_t number)
{
	slice->queue = queue;
	slice->id = id;
	slice->number = number;
	slice->arena = arena_new(RECORD_ARENA_MAX);
	slice->record = rows_find_slice(queue->store, id, number,
	    slice->arena);
	if (slice->record == NULL) {
		slice_release(slice);
		return -1;
	}
	slice->old_due = slice->record->due;
	slice->was_held = slice->record->flags & SLICE_HELD;
	return 0;
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

	record->recipient_count--;
	for (uint32_t i = position; i < record->recipient_count; i++)
		record->recipients[i] = record->recipients[i + 1];
}

/* The last slice is gone: so are row and body. */
static void finish_message(struct queue *queue, uint64_t id)
{
	struct arena *arena = arena_new(RECORD_ARENA_MAX);
	struct record_message *message = rows_find_message(queue->store, id,
	    arena);

	if (message != NULL) {
		rows_delete_message(queue->store, id);
		store_body_delete(queue->store, id, message->body_length);
		log_info("removed", log_message(id));
	}
	arena_free(arena);
}

void slice_save(struct slice *slice)
{
	struct queue *queue = slice->queue;
	struct record_slice *record = slice->record;
	struct place place = { slice->old_due, slice->id, slice->number };
	bool held = record->flags & SLICE_HELD;

	if (!slice->was_held && (held || record->recipient_count == 0 ||
	    record->due != slice->old_due))
		rows_delete_schedule(queue->store, &place);
	if (record->recipient_count == 0) {
		rows_delete_slice(queue->store, slice->id, slice->number);
		schedule_removed(queue->schedule, slice->id, slice->number);
		if (!rows_has_slices(queue->store, slice->id))
			finish_message(queue, slice->id);
		slice_release(slice);
		return;
	}
	rows_put_slice(queue->store, slice->id, slice->number, record);
	schedule_removed(queue->schedule, slice->id, slice->number);
	if (!held) {
		struct record_schedule row = { record->attempt,
		    record->domain, record_slice_lane(record) };

		place.due = record->due;
		rows_put_schedule(queue->store, &place, &row);
		schedule_added(queue->schedule, &place, &row);
	}
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
	slice->record->flags &= ~(uint32_t)SLICE_FILTERED;
	slice->record->flags |= SLICE_HELD | flags;
	slice->record->held_reason = arena_dup_string(slice->arena, reason);
}

void slice_retry(struct slice *slice, int64_t now)
{
	slice->record->flags &= ~(uint32_t)(SLICE_HELD | SLICE_DAMAGED |
	    SLICE_FILTERED);
	slice->record->held_reason = arena_dup_string(slice->arena, "");
	slice->record->due = now;
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
