/* SPDX-License-Identifier: ISC */
/*
 * hold, release, retry, flush, delete and bounce. The first four work on whole
 * slices in which a recipient is selected; delete and bounce on the selected
 * recipients only. Every changed message is logged with who wanted it.
 */
#include "base/clock.h"
#include "base/log.h"
#include "base/status.h"
#include "queue/change.h"
#include "queue/message.h"
#include "queue/queue.h"
#include "queue/record.h"
#include "queue/results.h"
#include "queue/schedule.h"
#include "queue/slice.h"
#include "queue/verbs.h"
#include "queue/walk.h"

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
	change_message(walk, id, hold);
}

static void visit_release(struct walk *walk, uint64_t id,
    const struct record_message *message)
{
	(void)message;
	change_message(walk, id, release);
}

static void visit_retry(struct walk *walk, uint64_t id,
    const struct record_message *message)
{
	(void)message;
	change_message(walk, id, retry);
}

static void visit_delete(struct walk *walk, uint64_t id,
    const struct record_message *message)
{
	(void)message;
	change_message(walk, id, delete);
}

static void visit_bounce(struct walk *walk, uint64_t id,
    const struct record_message *message)
{
	(void)message;
	change_message(walk, id, bounce);
}

void verb_hold(struct control *control, const json_t *arguments)
{
	static const struct walk_verb verb = { .name = "hold",
	    .changes = true, .page = CHANGE_PAGE, .visit = visit_hold };

	walk_start(verbs_queue(), control, arguments, &verb);
}

void verb_release(struct control *control, const json_t *arguments)
{
	static const struct walk_verb verb = { .name = "release",
	    .changes = true, .page = CHANGE_PAGE, .visit = visit_release };

	walk_start(verbs_queue(), control, arguments, &verb);
}

void verb_retry(struct control *control, const json_t *arguments)
{
	static const struct walk_verb verb = { .name = "retry",
	    .changes = true, .page = CHANGE_PAGE, .visit = visit_retry };

	walk_start(verbs_queue(), control, arguments, &verb);
}

/* retry of everything. */
void verb_flush(struct control *control, const json_t *arguments)
{
	static const struct walk_verb verb = { .name = "flush",
	    .changes = true, .page = CHANGE_PAGE, .visit = visit_retry };
	json_t *all = json_pack("{s:b}", "all", 1);

	(void)arguments;
	walk_start(verbs_queue(), control, all, &verb);
	json_decref(all);
}

void verb_delete(struct control *control, const json_t *arguments)
{
	static const struct walk_verb verb = { .name = "delete",
	    .changes = true, .page = CHANGE_PAGE, .visit = visit_delete };

	walk_start(verbs_queue(), control, arguments, &verb);
}

void verb_bounce(struct control *control, const json_t *arguments)
{
	static const struct walk_verb verb = { .name = "bounce",
	    .changes = true, .page = CHANGE_PAGE, .visit = visit_bounce };

	walk_start(verbs_queue(), control, arguments, &verb);
}
