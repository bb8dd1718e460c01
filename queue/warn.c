/* SPDX-License-Identifier: ISC */
/*
 * A walk along STORE_SLICES that stays `delay-warning` behind the clock. An
 * identifier is never later than the mail's arrival, but may be hours earlier
 * when its smtpd had little to do: slices that are reached too early wait in
 * a short list. After a restart the walk begins at the first slice again;
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
#include "queue/selector.h"
#include "queue/slice.h"

enum {
	FIRST_MILLISECONDS = 1000,
	LOOK_MILLISECONDS = 5000,	/* when there is nothing to do */
	STEP_MILLISECONDS = 100,
	PAGE_SLICES = 200,
	/* Notifications in a step: each may cost a signature. */
	PAGE_WARNINGS = 16,
	EARLY_MAX = 4096
};

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
	unsigned	 told;		/* in this step */
	bool		 stopped;	/* this step's walk is over */
	int64_t		 delay;		/* it was walked for */
	struct early	*early;		/* owned */
	size_t		 early_count;
};

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

static void tell(const struct slice *slice)
{
	struct dsn_recipient told[QUEUE_SLICE_RECIPIENTS];
	const struct record_slice *record = slice->record;
	struct status untried;

	for (uint32_t i = 0; i < record->recipient_count; i++)
		told[i] = (struct dsn_recipient){
		    .who = &record->recipients[i].who,
		    .status = trouble_of(slice, &record->recipients[i],
		    &untried), .tried_at = record->tried_at };
	bounce_delay(slice->queue, slice->id, told, record->recipient_count,
	    slice_expiry(slice->queue, record));
}

static bool is_to_be_told(const struct queue *queue,
    const struct record_slice *slice)
{
	return queue->conf->delay_warning > 0 && !(slice->flags &
	    (SLICE_WARNED | SLICE_BOUNCE | SLICE_HELD));
}

void warnings_consider(struct slice *slice, int64_t now)
{
	if (!is_to_be_told(slice->queue, slice->record) ||
	    due_of(slice->queue, slice->record) > now)
		return;
	slice->record->flags |= SLICE_WARNED;
	/* It is about to be given up: that says more. */
	if (slice_expiry(slice->queue, slice->record) > now)
		tell(slice);
}

/* A slice whose time has come, as far as the walk knows. */
static void warn(struct warnings *warnings, uint64_t id, uint32_t number)
{
	struct slice slice;

	if (slice_load(&slice, warnings->queue, id, number) < 0)
		return;
	if (!is_to_be_told(warnings->queue, slice.record)) {
		slice_release(&slice);
		return;
	}
	warnings_consider(&slice, warnings->now);
	slice_save_in_place(&slice);
	warnings->told++;
}

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
	    warnings->told >= PAGE_WARNINGS) {
		warnings->stopped = true;
		return;
	}
	if (record == NULL || !is_to_be_told(queue, record)) {
		pass(warnings, id, slice);
		return;
	}
	due = due_of(queue, record);
	if (due > warnings->now && warnings->early_count == EARLY_MAX) {
		warnings->stopped = true;	/* until one of them is due */
		return;
	}
	pass(warnings, id, slice);
	if (due <= warnings->now)
		warn(warnings, id, slice);
	else
		warnings->early[warnings->early_count++] = (struct early){
		    due, id, slice };
}

static void look_at_early(struct warnings *warnings)
{
	size_t kept = 0;

	for (size_t i = 0; i < warnings->early_count; i++) {
		struct early early = warnings->early[i];

		if (early.due > warnings->now ||
		    warnings->told >= PAGE_WARNINGS)
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
	warnings->stopped = false;
	look_at_early(warnings);
	if (warnings->told >= PAGE_WARNINGS)
		return true;
	rows_each_slice(warnings->queue->store, id, slice, PAGE_SLICES, visit,
	    warnings);
	if (warnings->told >= PAGE_WARNINGS)
		return true;
	/* A page of large slices ends before it has as many as were asked. */
	return !warnings->stopped && (warnings->id != id ||
	    warnings->slice != slice);
}

static void on_timer(void *arg)
{
	struct warnings *warnings = arg;
	const struct queue *queue = warnings->queue;
	bool more = queue->conf->delay_warning > 0 && !queue->stopping &&
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
