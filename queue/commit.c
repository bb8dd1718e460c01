/* SPDX-License-Identifier: ISC */
/*
 * Batches and acceptance. commit_turn() is a turn-end hook that runs after
 * everybody has written; batches become durable in order, and each tells those
 * who waited, in the order in which they asked. A batch that cannot be written
 * ends the process (the store does that): nobody has been told anything, and
 * the next process begins from what is durable.
 */
#include "queue/commit.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/status.h"
#include "conf/conf.h"
#include "queue/bounce.h"
#include "queue/census.h"
#include "queue/envelope.h"
#include "queue/flow.h"
#include "queue/message.h"
#include "queue/orders.h"
#include "queue/queue.h"
#include "queue/record.h"
#include "queue/rows.h"
#include "queue/schedule.h"
#include "queue/store.h"

struct commit_batch {
	struct commit			*commit;	/* outlives us */
	TAILQ_ENTRY(commit_batch)	 link;
	TAILQ_HEAD(, commit_wait)	 waits;		/* borrowed */
	bool				 sent;		/* to the flusher */
};

struct commit {
	struct queue			*queue;		/* outlives us */
	TAILQ_HEAD(, commit_batch)	 batches;	/* owned */
	LIST_HEAD(, acceptance)		 acceptances;	/* owned */
	struct commit_batch		*open;		/* this turn's, or null */
};

/* One group of recipients at a domain, while it is not durable yet. */
struct accepted_slice {
	struct record_schedule	 row;
	uint32_t		 slice;
	bool			 is_held;	/* no row in the schedule */
};

struct acceptance {
	struct commit		*commit;	/* outlives us */
	LIST_ENTRY(acceptance)	 link;
	struct commit_wait	 wait;
	struct arena		*arena;		/* owned; we are in it */
	uint64_t		 id;
	int64_t			 arrival;
	bool			 is_held;	/* by a filter, all of it */
	uint32_t		 group;		/* of its rows */
	struct accepted_slice	*slices;
	uint32_t		 slice_count;
	void			(*done)(void *arg);	/* null: nobody asks */
	void			*arg;
};

struct commit *commit_new(struct queue *queue)
{
	struct commit *commit = mem_alloc(sizeof(*commit));

	commit->queue = queue;
	TAILQ_INIT(&commit->batches);
	LIST_INIT(&commit->acceptances);
	return commit;
}

static void acceptance_free(struct acceptance *acceptance)
{
	LIST_REMOVE(acceptance, link);
	arena_free(acceptance->arena);
}

void commit_free(struct commit *commit)
{
	struct acceptance *acceptance;
	struct commit_batch *batch;
	struct commit_wait *wait;

	if (commit == NULL)
		return;
	while ((batch = TAILQ_FIRST(&commit->batches)) != NULL) {
		TAILQ_REMOVE(&commit->batches, batch, link);
		while ((wait = TAILQ_FIRST(&batch->waits)) != NULL)
			commit_wait_cancel(wait);
		mem_free(batch);
	}
	while ((acceptance = LIST_FIRST(&commit->acceptances)) != NULL)
		acceptance_free(acceptance);
	mem_free(commit);
}

static void on_durable(void *arg)
{
	struct commit_batch *batch = arg;
	struct commit_wait *wait;

	while ((wait = TAILQ_FIRST(&batch->waits)) != NULL) {
		commit_wait_cancel(wait);
		wait->done(wait->arg);
	}
	TAILQ_REMOVE(&batch->commit->batches, batch, link);
	mem_free(batch);
}

void commit_turn(struct commit *commit)
{
	struct commit_batch *batch = commit->open;

	commit->open = NULL;
	if (batch != NULL) {
		batch->sent = true;
		store_commit_durable(commit->queue->store, on_durable, batch);
	} else {
		store_commit_durable(commit->queue->store, NULL, NULL);
	}
}

bool commit_is_busy(const struct commit *commit)
{
	return !TAILQ_EMPTY(&commit->batches);
}

static struct commit_batch *open_batch(struct commit *commit)
{
	struct commit_batch *batch = commit->open;

	if (batch != NULL)
		return batch;
	batch = mem_alloc(sizeof(*batch));
	batch->commit = commit;
	TAILQ_INIT(&batch->waits);
	TAILQ_INSERT_TAIL(&commit->batches, batch, link);
	commit->open = batch;
	return batch;
}

void commit_wait(struct commit *commit, struct commit_wait *wait,
    void (*done)(void *arg), void *arg)
{
	if (wait->batch != NULL)
		bug("commit-wait");
	wait->batch = open_batch(commit);
	wait->done = done;
	wait->arg = arg;
	TAILQ_INSERT_TAIL(&wait->batch->waits, wait, link);
}

void commit_wait_cancel(struct commit_wait *wait)
{
	if (wait->batch == NULL)
		return;
	TAILQ_REMOVE(&wait->batch->waits, wait, link);
	wait->batch = NULL;
}

/* Recipients with where they stood, so that equal domains keep the order. */
struct sorted {
	const struct envelope_recipient	*who;
	size_t				 position;
	const struct order		*held;	/* the rule that does; null */
};

/* Another sender is said for these: SRS. */
static bool is_forwarded(const struct envelope_recipient *who)
{
	return who->flags & RECIPIENT_FORWARDED;
}

static uint64_t number_of(const struct order *order)
{
	return order == NULL ? 0 : order->number;
}

static int compare_domains(const void *left, const void *right)
{
	const struct sorted *one = left;
	const struct sorted *other = right;
	int order = strcmp(one->who->domain, other->who->domain);

	if (order == 0)
		order = is_forwarded(one->who) - is_forwarded(other->who);
	if (order == 0 && one->held != other->held)
		order = number_of(one->held) < number_of(other->held) ? -1 : 1;
	if (order != 0)
		return order;
	return one->position < other->position ? -1 : 1;
}

/* All but those who stand for others (RECIPIENT_EXPANDED). */
static struct sorted *sort_recipients(struct orders *orders,
    const struct commit_message *message, size_t *total)
{
	const struct envelope *envelope = message->envelope;
	struct sorted *sorted = mem_alloc_array(envelope->recipient_count,
	    sizeof(*sorted));
	size_t count = 0;

	for (size_t i = 0; i < envelope->recipient_count; i++)
		if (!(envelope->recipients[i].flags & RECIPIENT_EXPANDED))
			sorted[count++] = (struct sorted){
			    &envelope->recipients[i], i, orders_find_hold(
			    orders, message, &envelope->recipients[i]) };
	*total = count;
	if (count > 1)
		qsort(sorted, count, sizeof(*sorted), compare_domains);
	return sorted;
}

/* Recipients from start on that go into one slice. */
static uint32_t slice_length(const struct sorted *sorted, size_t left)
{
	uint32_t count = 1;

	while (count < left && count < QUEUE_SLICE_RECIPIENTS &&
	    strcmp(sorted[count].who->domain, sorted[0].who->domain) == 0 &&
	    is_forwarded(sorted[count].who) == is_forwarded(sorted[0].who) &&
	    sorted[count].held == sorted[0].held)
		count++;
	return count;
}

/* What the schedule has to know of the envelope. */
static uint32_t slice_flags(const struct envelope *envelope)
{
	uint32_t flags = 0;

	if (envelope->flags & ENVELOPE_BOUNCE)
		flags |= SLICE_BOUNCE;
	if (envelope->flags & ENVELOPE_REQUIRETLS)
		flags |= SLICE_REQUIRETLS;
	if (envelope->flags & ENVELOPE_TLS_OPTIONAL)
		flags |= SLICE_TLS_OPTIONAL;
	/* What a filter wants held waits for `postern queue release`. */
	if (envelope->hold != NULL)
		flags |= SLICE_HELD | SLICE_FILTERED;
	return flags;
}

/* Held by a rule of the operator, unless a filter did so before. */
static void hold_by_rule(struct acceptance *acceptance,
    struct record_slice *slice, const struct order *rule)
{
	if (rule == NULL || slice->flags & SLICE_HELD)
		return;
	slice->flags |= SLICE_HELD | SLICE_RULED;
	slice->held_reason = arena_print(acceptance->arena, "rule %llu: %s",
	    (unsigned long long)rule->number, rule->reason);
	log_info("hold", log_message(acceptance->id), log_text("by", "rule"),
	    log_text("domain", slice->domain),
	    log_number("rcpts", slice->recipient_count),
	    log_text("reason", slice->held_reason));
}

/* Slice row and its place in the schedule, if it has one. */
static void put_slice(struct acceptance *acceptance,
    const struct commit_message *message, const struct sorted *sorted,
    uint32_t count)
{
	struct store *store = acceptance->commit->queue->store;
	struct record_recipient recipients[QUEUE_SLICE_RECIPIENTS];
	struct record_slice slice = { .domain = sorted[0].who->domain,
	    .held_reason = acceptance->is_held ? message->envelope->hold :
	    (char[]){ "" }, .arrival = message->arrival,
	    .due = message->arrival, .tls_level = -1,
	    .flags = slice_flags(message->envelope) |
	    (is_forwarded(sorted[0].who) ? SLICE_FORWARDED : 0),
	    .recipients = recipients, .recipient_count = count };
	struct record_schedule row = { 0, slice.domain,
	    record_slice_lane(&slice), acceptance->group };
	struct place place = { message->arrival, message->id,
	    acceptance->slice_count };

	for (uint32_t i = 0; i < count; i++)
		recipients[i] = (struct record_recipient){ .index = i,
		    .who = *sorted[i].who };
	hold_by_rule(acceptance, &slice, sorted[0].held);
	rows_put_slice(store, message->id, place.slice, &slice);
	if (!(slice.flags & SLICE_HELD))
		rows_put_schedule(store, &place, &row);
	census_accepted(acceptance->commit->queue->census, message->id,
	    place.slice, &slice, place.slice == 0 ? NULL :
	    acceptance->slices[place.slice - 1].row.domain,
	    message->body_length);
	acceptance->slices[acceptance->slice_count++] =
	    (struct accepted_slice){ row, place.slice,
	    slice.flags & SLICE_HELD };
}

/* Returns how many recipients get the mail. */
static size_t put_slices(struct acceptance *acceptance,
    const struct commit_message *message)
{
	size_t total;
	struct sorted *sorted = sort_recipients(
	    acceptance->commit->queue->orders, message, &total);
	uint32_t count;

	acceptance->slices = arena_alloc_array(acceptance->arena, total,
	    sizeof(*acceptance->slices));
	for (size_t i = 0; i < total; i += count) {
		count = slice_length(sorted + i, total - i);
		put_slice(acceptance, message, sorted + i, count);
	}
	mem_free(sorted);
	return total;
}

/* RFC 3461 5.2.7: who asked to hear of success, and wrote to an alias of
 * several, hears now, in the same batch. */
static void tell_expanded(struct queue *queue,
    const struct commit_message *message)
{
	const struct envelope *envelope = message->envelope;
	struct dsn_recipient told[QUEUE_SLICE_RECIPIENTS];
	struct status status;
	size_t count = 0;

	status_set(&status, STATUS_DELIVERED, REASON_NONE, "2.0.0",
	    "handed on to those whom the address stands for");
	for (size_t i = 0; i < envelope->recipient_count; i++) {
		const struct envelope_recipient *who =
		    &envelope->recipients[i];

		if (!(who->flags & RECIPIENT_EXPANDED))
			continue;
		told[count++] = (struct dsn_recipient){ who, &status, 0 };
		if (count < QUEUE_SLICE_RECIPIENTS)
			continue;
		bounce_send(queue, message->id, told, count);
		count = 0;
	}
	if (count > 0)
		bounce_send(queue, message->id, told, count);
}

static void put_body(struct store *store, const struct commit_message *message)
{
	struct store_bytes rest = { message->rest, message->rest_length };

	if (!message->went_ahead) {
		store_body_put(store, message->id, rest);
		return;
	}
	if (rest.length > 0)
		store_body_append(store, message->id, rest);
	store_body_claim(store, message->id);
}

/* The message is safe: it may be delivered, and the sender may be told. */
static void on_safe(void *arg)
{
	struct acceptance *acceptance = arg;
	struct schedule *schedule = acceptance->commit->queue->schedule;

	schedule_safe(schedule, acceptance->id);
	for (uint32_t i = 0; i < acceptance->slice_count; i++) {
		struct place place = { acceptance->arrival, acceptance->id,
		    acceptance->slices[i].slice };

		if (!acceptance->slices[i].is_held)
			schedule_added(schedule, &place,
			    &acceptance->slices[i].row);
	}
	if (acceptance->done != NULL)
		acceptance->done(acceptance->arg);
	acceptance_free(acceptance);
}

struct acceptance *commit_accept(struct commit *commit,
    const struct commit_message *message, struct arena *arena,
    void (*done)(void *arg), void *arg)
{
	struct acceptance *acceptance = arena_alloc(arena,
	    sizeof(*acceptance));
	struct record_message record = { .arrival = message->arrival,
	    .body_length = message->body_length };
	struct envelope head = *message->envelope;

	acceptance->commit = commit;
	acceptance->arena = arena;
	acceptance->id = message->id;
	acceptance->arrival = message->arrival;
	acceptance->is_held = message->envelope->hold != NULL;
	acceptance->group = record_group(message->envelope);
	acceptance->done = done;
	acceptance->arg = arg;
	LIST_INSERT_HEAD(&commit->acceptances, acceptance, link);
	put_body(commit->queue->store, message);
	record.recipient_count = (uint32_t)put_slices(acceptance, message);
	flow_add(commit->queue->flow, FLOW_ACCEPTED, 1);
	flow_add(commit->queue->flow, FLOW_RECIPIENTS,
	    record.recipient_count);
	record.envelope = &head;
	record.slice_count = acceptance->slice_count;
	memcpy(record.digest, message->digest, DIGEST_BYTES);
	rows_put_message(commit->queue->store, message->id, &record);
	if (acceptance->is_held)
		log_info("hold", log_message(message->id),
		    log_text("by", "filter"),
		    log_text("reason", message->envelope->hold));
	schedule_expect(commit->queue->schedule, message->id);
	commit_wait(commit, &acceptance->wait, on_safe, acceptance);
	tell_expanded(commit->queue, message);
	return acceptance;
}

void acceptance_forget(struct acceptance *acceptance)
{
	acceptance->done = NULL;
}
