/* SPDX-License-Identifier: ISC */
/*
 * hold, release, retry, flush, delete and bounce. The first four work on whole
 * slices in which a recipient is selected; delete and bounce on the selected
 * recipients only. Every changed message is logged with who wanted it.
 */
#include "base/arena.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/status.h"
#include "queue/message.h"
#include "queue/queue.h"
#include "queue/record.h"
#include "queue/results.h"
#include "queue/rows.h"
#include "queue/schedule.h"
#include "queue/slice.h"
#include "queue/verbs.h"
#include "queue/walk.h"

enum { PAGE = 64 };	/* messages a turn */

/* Changes a loaded slice and saves or releases it; returns the recipients
 * that were changed. */
typedef uint32_t change_slice(struct walk *walk, struct slice *slice);

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

static void visit(struct walk *walk, uint64_t id, change_slice *change)
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
		return;
	walk->messages++;
	walk->recipients += changed;
	log_info("operator", log_message(id), log_text("verb",
	    walk->verb->name), log_number("rcpts", changed),
	    log_number("uid", (int64_t)walk->uid));
}

static uint32_t hold(struct walk *walk, struct slice *slice)
{
	uint32_t count = slice->record->recipient_count;

	if (slice->was_held) {
		slice_release(slice);
		return 0;
	}
	slice_hold(slice, 0, walk->note == NULL ? "held by the operator" :
	    walk->note);
	slice_save(slice);
	return count;
}

static uint32_t release(struct walk *walk, struct slice *slice)
{
	uint32_t count = slice->record->recipient_count;

	(void)walk;
	if (!slice->was_held) {
		slice_release(slice);
		return 0;
	}
	slice_retry(slice, clock_wall());
	slice_save(slice);
	return count;
}

/* What is held stays held; what is being tried is let be. */
static uint32_t retry(struct walk *walk, struct slice *slice)
{
	uint32_t count = slice->record->recipient_count;

	if (slice->was_held) {
		slice_release(slice);
		return 0;
	}
	if (schedule_is_in_flight(walk->queue->schedule, slice->id,
	    slice->number)) {
		slice_release(slice);
		return count;
	}
	slice_retry(slice, clock_wall());
	slice_save(slice);
	return count;
}

static uint32_t delete(struct walk *walk, struct slice *slice)
{
	struct record_slice *record = slice->record;
	uint32_t before = record->recipient_count;

	for (uint32_t i = before; i-- > 0;) {
		if (!selector_takes_recipient(&walk->selector, walk->queue,
		    record, &record->recipients[i]))
			continue;
		log_info("deleted", log_message(slice->id), log_text("r",
		    record->recipients[i].who.address));
		slice_drop(slice, i);
	}
	before -= record->recipient_count;
	slice_save(slice);
	return before;
}

/* Those who are not meant keep their place: fail only the others. */
static uint32_t bounce(struct walk *walk, struct slice *slice)
{
	bool chosen[QUEUE_SLICE_RECIPIENTS];
	struct status status;

	for (uint32_t i = 0; i < slice->record->recipient_count; i++)
		chosen[i] = selector_takes_recipient(&walk->selector,
		    walk->queue, slice->record,
		    &slice->record->recipients[i]);
	status_set(&status, STATUS_FAILED, REASON_OPERATOR, "5.0.0",
	    walk->note == NULL ? "returned by the postmaster" : walk->note);
	return results_fail(slice, &status, chosen);
}

static void visit_hold(struct walk *walk, uint64_t id,
    const struct record_message *message)
{
	(void)message;
	visit(walk, id, hold);
}

static void visit_release(struct walk *walk, uint64_t id,
    const struct record_message *message)
{
	(void)message;
	visit(walk, id, release);
}

static void visit_retry(struct walk *walk, uint64_t id,
    const struct record_message *message)
{
	(void)message;
	visit(walk, id, retry);
}

static void visit_delete(struct walk *walk, uint64_t id,
    const struct record_message *message)
{
	(void)message;
	visit(walk, id, delete);
}

static void visit_bounce(struct walk *walk, uint64_t id,
    const struct record_message *message)
{
	(void)message;
	visit(walk, id, bounce);
}

void verb_hold(struct control *control, const json_t *arguments)
{
	static const struct walk_verb verb = { "hold", true, PAGE, visit_hold };

	walk_start(verbs_queue(), control, arguments, &verb);
}

void verb_release(struct control *control, const json_t *arguments)
{
	static const struct walk_verb verb = { "release", true, PAGE,
	    visit_release };

	walk_start(verbs_queue(), control, arguments, &verb);
}

void verb_retry(struct control *control, const json_t *arguments)
{
	static const struct walk_verb verb = { "retry", true, PAGE,
	    visit_retry };

	walk_start(verbs_queue(), control, arguments, &verb);
}

/* retry of everything. */
void verb_flush(struct control *control, const json_t *arguments)
{
	static const struct walk_verb verb = { "flush", true, PAGE,
	    visit_retry };
	json_t *all = json_pack("{s:b}", "all", 1);

	(void)arguments;
	walk_start(verbs_queue(), control, all, &verb);
	json_decref(all);
}

void verb_delete(struct control *control, const json_t *arguments)
{
	static const struct walk_verb verb = { "delete", true, PAGE,
	    visit_delete };

	walk_start(verbs_queue(), control, arguments, &verb);
}

void verb_bounce(struct control *control, const json_t *arguments)
{
	static const struct walk_verb verb = { "bounce", true, PAGE,
	    visit_bounce };

	walk_start(verbs_queue(), control, arguments, &verb);
}
