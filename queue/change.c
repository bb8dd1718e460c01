/* SPDX-License-Identifier: ISC */
/*
 * Slices are loaded one after the other, since a change may write, move or
 * remove the row that was just looked at. A message of very many slices takes
 * more than one step; each batch leaves it whole.
 */
#include "queue/change.h"

#include <stdio.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/control.h"
#include "base/log.h"
#include "queue/queue.h"
#include "queue/record.h"
#include "queue/rows.h"
#include "queue/slice.h"
#include "queue/view.h"
#include "queue/walk.h"

bool change_chooses(const struct walk *walk, const struct slice *slice,
    uint32_t i)
{
	return selector_takes_recipient(&walk->selector, walk->queue,
	    slice->record, &slice->record->recipients[i]);
}

uint32_t change_count_chosen(const struct walk *walk,
    const struct slice *slice)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < slice->record->recipient_count; i++)
		count += change_chooses(walk, slice, i);
	return count;
}

/* "each": what would be done to one message. */
static void tell(struct walk *walk, uint64_t id,
    const struct record_message *message, uint64_t recipients)
{
	char name[32], arrival[64];

	snprintf(name, sizeof(name), "%llx", (unsigned long long)id);
	clock_format_iso(message->arrival, arrival, sizeof(arrival));
	walk_send(walk, json_pack("{s:s, s:s, s:o, s:s, s:I, s:I}",
	    "would", walk->verb->name, "id", name,
	    "sender", control_text(message->envelope->sender),
	    "arrival", arrival,
	    "size", (json_int_t)view_message_size(message->envelope,
	    message->body_length),
	    "recipients", (json_int_t)recipients));
}

void change_done(struct walk *walk, uint64_t id,
    const struct record_message *message, uint64_t recipients)
{
	if (recipients == 0)
		return;
	walk->messages++;
	walk->recipients += recipients;
	if (walk->each)
		tell(walk, id, message, recipients);
	if (walk->dry_run)
		return;
	log_info("operator", log_message(id), log_text("verb",
	    walk->verb->name), log_number("rcpts", (int64_t)recipients),
	    log_number("uid", (int64_t)walk->uid));
}

/* Adds to walk->taken. */
static void change_slice(struct walk *walk, uint64_t id, uint32_t number,
    const struct change *change)
{
	struct slice slice;
	uint32_t count = 0;

	if (slice_load(&slice, walk->queue, id, number) < 0)
		return;
	if (selector_takes_any(&walk->selector, walk->queue, id, number,
	    slice.record))
		count = change->count(walk, &slice);
	walk->taken += count;
	if (count > 0 && !walk->dry_run)
		change->apply(walk, &slice);
	else
		slice_release(&slice);
}

bool change_message(struct walk *walk, uint64_t id,
    const struct record_message *message, const struct change *change)
{
	struct arena *arena = arena_new(RECORD_ARENA_MAX);
	struct record_slice *record;
	uint32_t number = walk->next_slice;
	bool done = false;

	while (!done) {
		done = !rows_next_slice(walk->queue->store, id, &number,
		    arena, &record);
		if (done)
			break;
		arena_reset(arena);
		change_slice(walk, id, number, change);
		done = ++number == 0;
		if (walk_is_due(walk))
			break;
	}
	arena_free(arena);
	walk->next_slice = number;
	/* Were it the last slice the message row is gone by now, and nobody
	 * comes back for it. */
	if (!done && rows_has_slices(walk->queue->store, id))
		return false;
	change_done(walk, id, message, walk->taken);
	return true;
}
