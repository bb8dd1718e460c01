/* SPDX-License-Identifier: ISC */
/*
 * Slices are loaded one after the other, since a change may write, move or
 * remove the row that was just looked at.
 */
#include "queue/change.h"

#include "base/arena.h"
#include "base/log.h"
#include "queue/queue.h"
#include "queue/record.h"
#include "queue/rows.h"
#include "queue/slice.h"
#include "queue/walk.h"

static bool is_selected(struct walk *walk, const struct slice *slice)
{
	const struct record_slice *record = slice->record;
	int64_t next;
	enum slice_state state = slice_state_of(walk->queue, slice->id,
	    slice->number, record, &next);

	if (!selector_takes_slice(&walk->selector, state, record))
		return false;
	for (uint32_t i = 0; i < record->recipient_count; i++) {
		if (selector_takes_recipient(&walk->selector, walk->queue,
		    record, &record->recipients[i]))
			return true;
	}
	return false;
}

uint32_t change_message(struct walk *walk, uint64_t id, change_slice *change)
{
	struct arena *arena = arena_new(RECORD_ARENA_MAX);
	struct record_slice *record;
	uint32_t number = 0, changed = 0;
	struct slice slice;

	while (rows_next_slice(walk->queue->store, id, &number, arena,
	    &record)) {
		arena_reset(arena);
		if (slice_load(&slice, walk->queue, id, number) == 0) {
			if (is_selected(walk, &slice))
				changed += change(walk, &slice);
			else
				slice_release(&slice);
		}
		if (++number == 0)
			break;
	}
	arena_free(arena);
	if (changed == 0)
		return 0;
	walk->messages++;
	walk->recipients += changed;
	log_info("operator", log_message(id), log_text("verb",
	    walk->verb->name), log_number("rcpts", changed),
	    log_number("uid", (int64_t)walk->uid));
	return changed;
}
