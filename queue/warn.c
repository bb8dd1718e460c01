/* SPDX-License-Identifier: ISC */
/*
 * A walk along STORE_SLICES that stays `delay-warning` behind the clock. An
 * identifier is never later than the mail's arrival, but may be hours earlier
 * when its smtpd had little to do: slices that are reached too early wait in
 * a short list, and so do those that are being tried, and those whose attempt
 * has just failed. After a restart the walk begins at the first slice again;
 * those that were told of are passed over.
 */
#include "queue/warn.h"

#include "base/arena.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "base/status.h"
#include "conf/conf.h"
#include "queue/bounce.h"
#include "queue/message.h"
#include "queue/queue.h"
#include "queue/record.h"
#include "queue/rows.h"
#include "queue/schedule.h"
#include "queue/selector.h"
#include "queue/slice.h"

enum {
	FIRST_MILLISECONDS = 1000,
	LOOK_MILLISECONDS = 5000,	/* when there is nothing to do */
	STEP_MILLISECONDS = 100,
	PAGE_SLICES = 200,
	/* Notifications in a step: each may cost a signature. */
	PAGE_WARNINGS = 16,
	/* What is being tried is looked at again. */
	BUSY_MILLISECONDS = 30000,
	EARLY_MAX = 4096,
	/* Of one notification: far below DSN_MAX. */
	LATE_SLICES = 100,
	LATE_RECIPIENTS = 250
};

/* A slice on its own has room in one. */
_Static_assert((int)LATE_RECIPIENTS >= (int)QUEUE_SLICE_RECIPIENTS,
    "a slice has room");

struct early {
	int64_t		 due;
	uint64_t	 id;
	uint32_t	 slice;
};

struct warnings {
	struct queue	*queue;		/* outlives us */
	struct timer	 timer;
	uint64_t	 id;		/* the walk is here: not looked at */
	uint32_t	 slice;
	int64_t		 now;		/* of this step */
	unsigned	 told;		/* notifications in this step */
	size_t		 saved;		/* slices, the same */
	bool		 stopped;	/* this step's walk is over */
	bool		 hurries;	/* the next step comes soon */
	int64_t		 delay;		/* it was walked for */
	struct early	*early;		/* owned */
	size_t		 early_count;
};

static void	on_timer(void *arg);

static int64_t due_of(const struct queue *queue,
    const struct record_slice *slice)
{
	return slice->arrival + queue->conf->delay_warning * 1000;
}

/* What there is to say of one who was never tried. */
static const struct status *trouble_of(const struct slice *slice,
    const struct record_recipient *recipient, struct status *untried)
{
	const struct status *status = slice_trouble(slice->queue,
	    slice->record, recipient);

	if (status != NULL && status->reason == REASON_PAUSED) {
		/* Why is the operator's business. */
		status_set(untried, STATUS_DEFERRED, REASON_PAUSED, "4.3.2",
		    "nothing is sent there for now");
		return untried;
	}
	if (status != NULL && status->outcome == STATUS_DEFERRED)
		return status;
	status_set(untried, STATUS_DEFERRED, REASON_NONE, "4.0.0",
	    "no attempt was possible so far");
	return untried;
}

static bool is_to_be_told(const struct queue *queue,
    const struct record_slice *slice)
{
	return queue->conf->delay_warning > 0 && !(slice->flags &
	    (SLICE_WARNED | SLICE_BOUNCE | SLICE_HELD));
}

/* --- one message --- */

/* Slices that one notification tells of. */
struct late {
	struct slice	 slices[LATE_SLICES];
	struct status	 untried[LATE_SLICES];
	struct dsn_recipient told[LATE_RECIPIENTS];
	size_t		 count;
	size_t		 recipients;
};

/* False: there is no room for it. */
static bool take_slice(struct late *late, struct queue *queue, uint64_t id,
    uint32_t number)
{
	struct slice *slice = &late->slices[late->count];

	if (late->count == LATE_SLICES)
		return false;
	if (slice_load(slice, queue, id, number) < 0)
		return true;
	if (late->recipients + slice->record->recipient_count >
	    LATE_RECIPIENTS) {
		slice_release(slice);
		return false;
	}
	late->recipients += slice->record->recipient_count;
	late->count++;
	return true;
}

/* From slice number on. What is being tried may be delivered in a moment. */
static void gather(const struct warnings *warnings, uint64_t id,
    uint32_t number, struct late *late)
{
	struct queue *queue = warnings->queue;
	struct arena *arena = arena_new(RECORD_ARENA_MAX);
	struct record_slice *record;
	bool more = true;

	for (int i = 0; more && i < PAGE_SLICES && rows_next_slice(
	    queue->store, id, &number, arena, &record); i++) {
		bool late_now = record != NULL && is_to_be_told(queue,
		    record) && due_of(queue, record) <= warnings->now &&
		    !schedule_is_in_flight(queue->schedule, id, number);

		arena_reset(arena);
		if (late_now)
			more = take_slice(late, queue, id, number);
		if (++number == 0)
			break;
	}
	arena_free(arena);
}

static void add_told(struct late *late, size_t i, size_t *count)
{
	struct slice *slice = &late->slices[i];
	struct record_slice *record = slice->record;

	for (uint32_t j = 0; j < record->recipient_count; j++)
		late->told[(*count)++] = (struct dsn_recipient){
		    .who = &record->recipients[j].who,
		    .status = trouble_of(slice, &record->recipients[j],
		    &late->untried[i]), .tried_at = record->tried_at };
}

/* All slices of a message came at the same time, and end at the same. */
static void tell(struct warnings *warnings, uint64_t id, struct late *late)
{
	struct queue *queue = warnings->queue;
	int64_t expiry = slice_expiry(queue, late->slices[0].record);
	size_t count = 0;

	for (size_t i = 0; i < late->count; i++)
		/* It is about to be given up: that says more. */
		if (slice_expiry(queue, late->slices[i].record) >
		    warnings->now)
			add_told(late, i, &count);
	if (count > 0)
		bounce_delay(queue, id, late->told, count, expiry);
	for (size_t i = 0; i < late->count; i++) {
		late->slices[i].record->flags |= SLICE_WARNED;
		slice_save_in_place(&late->slices[i]);
	}
}

/* The time of a slice has come, as far as the walk knows; those of its message
 * that are behind it go along. */
static void warn(struct warnings *warnings, uint64_t id, uint32_t number)
{
	struct late *late = mem_alloc(sizeof(*late));

	gather(warnings, id, number, late);
	if (late->count > 0) {
		tell(warnings, id, late);
		warnings->told++;
		warnings->saved += late->count;
	}
	mem_free(late);
}

static bool has_enough(const struct warnings *warnings)
{
	return warnings->told >= PAGE_WARNINGS ||
	    warnings->saved >= PAGE_SLICES;
}

/* --- what was reached too early --- */

/* False: there are too many. */
static bool remember(struct warnings *warnings, uint64_t id, uint32_t slice,
    int64_t due)
{
	if (warnings->early_count == EARLY_MAX)
		return false;
	warnings->early[warnings->early_count++] = (struct early){ due, id,
	    slice };
	return true;
}

void warnings_consider(struct slice *slice, int64_t now)
{
	struct warnings *warnings = slice->queue->warnings;

	if (!is_to_be_told(slice->queue, slice->record) ||
	    due_of(slice->queue, slice->record) > now)
		return;
	if (!remember(warnings, slice->id, slice->number, now) &&
	    slice->id < warnings->id) {
		warnings->id = slice->id;
		warnings->slice = 0;
	}
	/* Others of its message may end their attempts in a moment, too. */
	if (!warnings->hurries)
		timer_start(&warnings->timer, STEP_MILLISECONDS, on_timer,
		    warnings);
	warnings->hurries = true;
}

/* Someone tries it just now: the end of that brings it back, unless it is
 * lost. */
static bool is_busy(const struct warnings *warnings, uint64_t id,
    uint32_t slice)
{
	return schedule_is_in_flight(warnings->queue->schedule, id, slice);
}

/* --- the walk --- */

static void pass(struct warnings *warnings, uint64_t id, uint32_t slice)
{
	warnings->id = slice == UINT32_MAX ? id + 1 : id;
	warnings->slice = slice + 1;
}

static void visit(void *arg, uint64_t id, uint32_t slice,
    const struct record_slice *record)
{
	struct warnings *warnings = arg;
	const struct queue *queue = warnings->queue;
	int64_t delay = queue->conf->delay_warning;
	int64_t due;

	if (warnings->stopped)
		return;
	/* Nobody from here on is old enough. */
	if ((int64_t)(id >> 20) + delay > warnings->now / 1000 ||
	    has_enough(warnings)) {
		warnings->stopped = true;
		return;
	}
	if (record == NULL || !is_to_be_told(queue, record)) {
		pass(warnings, id, slice);
		return;
	}
	due = due_of(queue, record);
	if (due <= warnings->now && is_busy(warnings, id, slice))
		due = warnings->now + BUSY_MILLISECONDS;
	if (due > warnings->now && !remember(warnings, id, slice, due)) {
		warnings->stopped = true;	/* until one of them is due */
		return;
	}
	pass(warnings, id, slice);
	if (due <= warnings->now)
		warn(warnings, id, slice);
}

static void look_at_early(struct warnings *warnings)
{
	size_t kept = 0;

	for (size_t i = 0; i < warnings->early_count; i++) {
		struct early early = warnings->early[i];

		if (early.due <= warnings->now &&
		    is_busy(warnings, early.id, early.slice))
			early.due = warnings->now + BUSY_MILLISECONDS;
		if (early.due > warnings->now || has_enough(warnings))
			warnings->early[kept++] = early;
		else
			warn(warnings, early.id, early.slice);
	}
	warnings->early_count = kept;
}

/* True when there is more to do than a step may. */
static bool step(struct warnings *warnings)
{
	uint64_t id = warnings->id;
	uint32_t slice = warnings->slice;

	warnings->now = clock_wall();
	warnings->told = 0;
	warnings->saved = 0;
	warnings->stopped = false;
	look_at_early(warnings);
	if (has_enough(warnings))
		return true;
	rows_each_slice(warnings->queue->store, id, slice, PAGE_SLICES, visit,
	    warnings);
	if (has_enough(warnings))
		return true;
	/* A page of large slices ends before it has as many as were asked. */
	return !warnings->stopped && (warnings->id != id ||
	    warnings->slice != slice);
}

static void on_timer(void *arg)
{
	struct warnings *warnings = arg;
	const struct queue *queue = warnings->queue;
	bool more;

	warnings->hurries = false;
	more = queue->conf->delay_warning > 0 && !queue->stopping &&
	    step(warnings);
	timer_start(&warnings->timer, more ? STEP_MILLISECONDS :
	    LOOK_MILLISECONDS, on_timer, warnings);
}

struct warnings *warnings_new(struct queue *queue)
{
	struct warnings *warnings = mem_alloc(sizeof(*warnings));

	warnings->queue = queue;
	warnings->delay = queue->conf->delay_warning;
	warnings->early = mem_alloc_array(EARLY_MAX,
	    sizeof(*warnings->early));
	timer_start(&warnings->timer, FIRST_MILLISECONDS, on_timer, warnings);
	return warnings;
}

void warnings_free(struct warnings *warnings)
{
	if (warnings == NULL)
		return;
	timer_stop(&warnings->timer);
	mem_free(warnings->early);
	mem_free(warnings);
}

void warnings_reload(struct warnings *warnings)
{
	if (warnings->delay == warnings->queue->conf->delay_warning)
		return;
	warnings->delay = warnings->queue->conf->delay_warning;
	warnings->id = 0;
	warnings->slice = 0;
	warnings->early_count = 0;
	timer_start(&warnings->timer, FIRST_MILLISECONDS, on_timer, warnings);
}
