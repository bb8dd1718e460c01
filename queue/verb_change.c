/* SPDX-License-Identifier: ISC */
/*
 * hold, release, retry, flush, delete and bounce. The first four work on whole
 * slices in which a recipient is selected; delete and bounce on the selected
 * recipients only. Every changed message is logged with who wanted it.
 */
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/status.h"
#include "queue/change.h"
#include "queue/flow.h"
#include "queue/message.h"
#include "queue/queue.h"
#include "queue/record.h"
#include "queue/results.h"
#include "queue/schedule.h"
#include "queue/slice.h"
#include "queue/verbs.h"
#include "queue/walk.h"

static const char *const note_arguments[] = { "note", NULL };

/* With a note: only what was held with that. */
static uint32_t count_held(const struct walk *walk, const struct slice *slice)
{
	return slice->was_held && (walk->note == NULL ||
	    strcmp(slice->record->held_reason, walk->note) == 0) ?
	    slice->record->recipient_count : 0;
}

static uint32_t count_others(const struct walk *walk,
    const struct slice *slice)
{
	(void)walk;
	return slice->was_held ? 0 : slice->record->recipient_count;
}

static void hold(struct walk *walk, struct slice *slice)
{
	slice_hold(slice, 0, walk->note == NULL ? "held by the operator" :
	    walk->note);
	slice_save(slice);
}

static void release(struct walk *walk, struct slice *slice)
{
	(void)walk;
	slice_retry(slice, clock_wall());
	slice_save(slice);
}

/* What is being tried is let be. */
static void retry(struct walk *walk, struct slice *slice)
{
	if (schedule_is_in_flight(walk->queue->schedule, slice->id,
	    slice->number))
		slice_release(slice);
	else
		release(walk, slice);
}

static void delete(struct walk *walk, struct slice *slice)
{
	struct record_slice *record = slice->record;

	for (uint32_t i = record->recipient_count; i-- > 0;) {
		if (!change_chooses(walk, slice, i))
			continue;
		flow_add(walk->queue->flow, FLOW_DELETED, 1);
		log_info("deleted", log_message(slice->id), log_text("r",
		    record->recipients[i].who.address));
		slice_drop(slice, i);
	}
	slice_save(slice);
}

/* Those who are not meant keep their place: fail only the others. */
static void bounce(struct walk *walk, struct slice *slice)
{
	bool chosen[QUEUE_SLICE_RECIPIENTS];
	struct status status;

	for (uint32_t i = 0; i < slice->record->recipient_count; i++)
		chosen[i] = change_chooses(walk, slice, i);
	status_set(&status, STATUS_FAILED, REASON_OPERATOR, "5.0.0",
	    walk->note == NULL ? "returned by the postmaster" : walk->note);
	results_fail(slice, &status, chosen);
}

static bool visit_hold(struct walk *walk, uint64_t id,
    const struct record_message *message)
{
	static const struct change change = { count_others, hold };

	return change_message(walk, id, message, &change);
}

static bool visit_release(struct walk *walk, uint64_t id,
    const struct record_message *message)
{
	static const struct change change = { count_held, release };

	return change_message(walk, id, message, &change);
}

/* What is held stays held. */
static bool visit_retry(struct walk *walk, uint64_t id,
    const struct record_message *message)
{
	static const struct change change = { count_others, retry };

	return change_message(walk, id, message, &change);
}

static bool visit_delete(struct walk *walk, uint64_t id,
    const struct record_message *message)
{
	static const struct change change = { change_count_chosen, delete };

	return change_message(walk, id, message, &change);
}

static bool visit_bounce(struct walk *walk, uint64_t id,
    const struct record_message *message)
{
	static const struct change change = { change_count_chosen, bounce };

	return change_message(walk, id, message, &change);
}

void verb_hold(struct control *control, const json_t *arguments)
{
	static const struct walk_verb verb = { .name = "hold",
	    .changes = true, .page = CHANGE_PAGE, .visit = visit_hold,
	    .arguments = note_arguments };

	walk_start(verbs_queue(), control, arguments, &verb);
}

void verb_release(struct control *control, const json_t *arguments)
{
	static const struct walk_verb verb = { .name = "release",
	    .changes = true, .page = CHANGE_PAGE, .visit = visit_release,
	    .arguments = note_arguments };

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
	    .changes = true, .page = CHANGE_PAGE, .visit = visit_bounce,
	    .arguments = note_arguments };

	walk_start(verbs_queue(), control, arguments, &verb);
}
