/* SPDX-License-Identifier: ISC */
/*
 * Recipients that are done leave the slice; those that failed are told of in
 * the same batch; the rest is tried again later, or given up when its time is
 * over. Nothing here waits.
 */
#include "queue/results.h"

#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/status.h"
#include "conf/conf.h"
#include "queue/bounce.h"
#include "queue/flow.h"
#include "queue/history.h"
#include "queue/message.h"
#include "queue/queue.h"
#include "queue/record.h"
#include "queue/schedule.h"
#include "queue/slice.h"
#include "queue/warn.h"

/* Recipients that leave, for the notification. */
struct leaving {
	struct dsn_recipient	 items[QUEUE_SLICE_RECIPIENTS];
	size_t			 count;
};

static enum history_outcome outcome_of(const struct status *status)
{
	switch (status->outcome) {
	case STATUS_DELIVERED:
		return HISTORY_DELIVERED;
	case STATUS_RELAYED:
		return HISTORY_RELAYED;
	default:
		break;
	}
	if (status->reason == REASON_EXPIRED)
		return HISTORY_EXPIRED;
	return status->reason == REASON_OPERATOR ? HISTORY_BOUNCED :
	    HISTORY_FAILED;
}

static void leave(struct leaving *leaving, struct slice *slice,
    uint32_t position, const struct status *status)
{
	const struct record_slice *record = slice->record;
	/* The array moves when a recipient is dropped. */
	struct envelope_recipient *who = arena_dup(slice->arena,
	    &record->recipients[position].who, sizeof(*who));

	flow_outcome(slice->queue->flow, status->outcome);
	history_note(slice, &record->recipients[position],
	    outcome_of(status), status);
	leaving->items[leaving->count++] = (struct dsn_recipient){
	    .who = who, .status = status, .tried_at = record->tried_at };
}

/* A full mailbox is what the sender is told of, in its own code (RFC 3463
 * 3.3): that says more than that time went by. */
static bool is_mailbox_full(const struct status *last)
{
	return last != NULL && last->enhanced_subject == 2 &&
	    last->enhanced_detail == 2;
}

/* "delivery time expired" (RFC 3463 3.5) with what went wrong last. */
static struct status *expired_status(struct slice *slice,
    const struct status *last)
{
	struct status *status = arena_alloc(slice->arena, sizeof(*status));
	const struct queue *queue = slice->queue;
	long long hours = (slice_expiry(queue, slice->record) -
	    slice->record->arrival) / 3600000;

	status_print(status, STATUS_FAILED, REASON_EXPIRED,
	    is_mailbox_full(last) ? "5.2.2" : "5.4.7",
	    "not delivered within %lld hours; the last attempt said: %s",
	    hours, last == NULL ? "no attempt was possible" : last->text);
	if (last != NULL) {
		status->code = last->code;
		memcpy(status->host, last->host, sizeof(status->host));
		memcpy(status->tls, last->tls, sizeof(status->tls));
	}
	return status;
}

static void log_failure(const struct slice *slice,
    const struct dsn_recipient *recipient)
{
	char code[32];

	status_format_enhanced(recipient->status, code, sizeof(code));
	log_info("failed", log_message(slice->id),
	    log_text("r", recipient->who->address),
	    log_text("status", code),
	    log_text("reason", status_reason_name(recipient->status->reason)),
	    log_text("text", recipient->status->text));
}

static bool is_paused(const struct status *status)
{
	return status != NULL && status->reason == REASON_PAUSED;
}

/* Gives up those who were tried and whose time is over, unless their host was
 * found to be paused (keep_paused). */
static void expire(struct slice *slice, struct leaving *failed,
    bool keep_paused, int64_t now)
{
	struct record_slice *record = slice->record;

	if (record->flags & SLICE_HELD || slice_expiry(slice->queue, record) >
	    now)
		return;
	for (uint32_t i = record->recipient_count; i-- > 0;) {
		const struct status *status = record->recipients[i].status;

		if (keep_paused && is_paused(status))
			continue;
		leave(failed, slice, i, expired_status(slice, status));
		slice_drop(slice, i);
	}
}

static uint32_t find_recipient(const struct record_slice *record,
    uint32_t index)
{
	uint32_t i = 0;

	while (i < record->recipient_count &&
	    record->recipients[i].index != index)
		i++;
	return i;
}

/* One recipient's status: it leaves, or keeps the status. */
static void apply_item(struct slice *slice, const struct result_item *item,
    struct leaving *failed, struct leaving *done)
{
	struct record_slice *record = slice->record;
	uint32_t position = find_recipient(record, item->index);

	if (position == record->recipient_count)
		return;			/* it left before */
	switch (item->status->outcome) {
	case STATUS_DELIVERED:
	case STATUS_RELAYED:
		leave(done, slice, position, item->status);
		slice_drop(slice, position);
		return;
	case STATUS_FAILED:
		leave(failed, slice, position, item->status);
		slice_drop(slice, position);
		return;
	case STATUS_DEFERRED:
		flow_outcome(slice->queue->flow, STATUS_DEFERRED);
		history_note(slice, &record->recipients[position],
		    HISTORY_DEFERRED, item->status);
		record->recipients[position].status = arena_dup(slice->arena,
		    item->status, sizeof(*item->status));
		return;
	default:
		bug("result-outcome");
	}
}

static void tell(struct slice *slice, const struct leaving *failed,
    const struct leaving *done)
{
	for (size_t i = 0; i < failed->count; i++)
		log_failure(slice, &failed->items[i]);
	if (failed->count > 0)
		bounce_send(slice->queue, slice->id, failed->items,
		    failed->count);
	if (done->count > 0)
		bounce_send(slice->queue, slice->id, done->items,
		    done->count);
}

/* Next time, at the latest when its time is over. */
static void postpone(struct slice *slice, int64_t now)
{
	struct record_slice *record = slice->record;
	const struct status *status = record->recipients[0].status;
	int64_t expiry = slice_expiry(slice->queue, record);

	/* A pause says nothing about the host: it does not add up. */
	record->due = now + destination_backoff(slice->queue->conf,
	    is_paused(status) ? 1 : record->attempt);
	/* What the operator has set meanwhile is tried at once. */
	if (record->flags & SLICE_AGAIN)
		record->due = now;
	record->flags &= ~(uint32_t)SLICE_AGAIN;
	if (record->due > expiry && !is_paused(status))
		record->due = expiry > now ? expiry : now + 1000;
	log_info("defer", log_message(slice->id),
	    log_text("domain", record->domain),
	    log_number("rcpts", record->recipient_count),
	    log_number("attempt", record->attempt),
	    log_number("seconds", (record->due - now) / 1000),
	    log_text("reason", status == NULL ? "none" :
	    status_reason_name(status->reason)),
	    log_text("text", status == NULL ? "" : status->text));
}

/* What the statuses say about the host behind the destination. */
static void judge(struct queue *queue, const struct entry *entry,
    const struct results *results)
{
	struct destinations *all = schedule_destinations(queue->schedule);

	for (uint32_t i = 0; i < results->count; i++) {
		const struct status *status = results->items[i].status;

		if (destination_is_blamed(status))
			continue;
		if (status->reason == REASON_PAUSED)
			return;		/* nobody was asked */
		destination_succeeded(all, entry->destination);
		destinations_answered(all, status->host);
		return;
	}
	if (results->count > 0)
		schedule_failed(queue->schedule, entry->destination,
		    results->items[0].status);
}

static void apply(struct slice *slice, const struct results *results,
    int64_t now)
{
	struct record_slice *record = slice->record;
	struct leaving failed = { .count = 0 }, done = { .count = 0 };

	record->attempt++;
	record->tried_at = now;
	record->last_job = results->job;
	if (results->tls_trouble && record->tls_trouble_since == 0)
		record->tls_trouble_since = now;
	for (uint32_t i = 0; i < results->count; i++)
		apply_item(slice, &results->items[i], &failed, &done);
	if (slice->event != NULL)
		slice->event->attempt = record->attempt;
	expire(slice, &failed, true, now);
	tell(slice, &failed, &done);
	if (record->recipient_count > 0) {
		warnings_consider(slice, now);
		postpone(slice, now);
	}
	slice_save(slice);
}

void results_apply(struct queue *queue, const struct results *results,
    struct entry *entry)
{
	int64_t now = clock_wall();
	struct slice slice;

	if (entry != NULL) {
		for (uint32_t i = 0; i < results->count; i++)
			destination_note(entry->destination,
			    results->items[i].status->outcome, now);
		judge(queue, entry, results);
		schedule_finished(queue->schedule, entry);
	}
	if (slice_load(&slice, queue, results->message, results->slice) < 0)
		return;			/* deleted, or settled before */
	if (slice.record->last_job == results->job) {
		/* Applied before a restart. If its row came due while we held
		 * the job, a look has passed it. */
		if (entry != NULL)
			slice_save(&slice);
		else
			slice_release(&slice);
		return;
	}
	apply(&slice, results, now);
}

/* TLS, what is published about it, or what REQUIRETLS demands. */
static bool may_be_mended(const struct status *status)
{
	return status_is_about_tls(status) ||
	    status->reason == REASON_POLICY;
}

bool results_deserves_attempt(struct queue *queue, const struct entry *entry)
{
	bool deserves = may_be_mended(&entry->destination->trouble);
	struct slice slice;

	if (deserves ||
	    slice_load(&slice, queue, entry->place.id, entry->place.slice) < 0)
		return deserves;
	for (uint32_t i = 0; i < slice.record->recipient_count; i++)
		if (slice.record->recipients[i].status != NULL)
			deserves |= may_be_mended(
			    slice.record->recipients[i].status);
	slice_release(&slice);
	return deserves;
}

void results_expire(struct queue *queue, struct entry *entry)
{
	struct leaving failed = { .count = 0 };
	uint64_t id = entry->place.id;
	uint32_t number = entry->place.slice;
	struct status trouble = entry->destination->trouble;
	struct slice slice;

	schedule_finished(queue->schedule, entry);
	if (slice_load(&slice, queue, id, number) < 0)
		return;
	/* Untried since the host was known to be dead: that is the reason. */
	for (uint32_t i = 0; i < slice.record->recipient_count; i++) {
		struct record_recipient *recipient =
		    &slice.record->recipients[i];

		if (recipient->status == NULL && trouble.text[0] != '\0')
			recipient->status = &trouble;
	}
	expire(&slice, &failed, false, clock_wall());
	tell(&slice, &failed, &(struct leaving){ .count = 0 });
	slice_save(&slice);
}

uint32_t results_fail(struct slice *slice, const struct status *status,
    const bool *chosen)
{
	struct leaving failed = { .count = 0 };

	for (uint32_t i = slice->record->recipient_count; i-- > 0;) {
		if (!chosen[i])
			continue;
		leave(&failed, slice, i, status);
		slice_drop(slice, i);
	}
	tell(slice, &failed, &(struct leaving){ .count = 0 });
	slice_save(slice);
	return (uint32_t)failed.count;
}
