/* SPDX-License-Identifier: ISC */
/*
 * Crews and jobs. A crew is the worker process of one kind; before its QUEUE_SLOTS
 * it gets nothing, so that it can first say what it has in hand.
 *
 *	OPEN ----result----> applied -> durable -> SETTLED sent
 *	  |  ^
 *	lost |known to the next crew
 *	  v  |
 *	ORPHAN ---not known---> its slice is scheduled again
 */
#include "queue/dispatch.h"

#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/channel.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "base/status.h"
#include "base/wire.h"
#include "conf/conf.h"
#include "queue/body.h"
#include "queue/client.h"
#include "queue/commit.h"
#include "queue/message.h"
#include "queue/orders.h"
#include "queue/queue.h"
#include "queue/record.h"
#include "queue/results.h"
#include "queue/rows.h"
#include "queue/schedule.h"
#include "queue/slice.h"
#include "queue/view.h"

enum {
	CHANNEL_MAX = 64 << 20,
	/* No more jobs for a worker that does not read. */
	CHANNEL_ENOUGH = 8 << 20,
	JOBS_A_TURN = 256,
	EXPIRED_A_TURN = 64,
	/* Slices whose worker died; beyond, the count begins anew. */
	LOST_MAX = 10000
};

struct crew {
	struct dispatch		*dispatch;	/* outlives us */
	enum destination_kind	 kind;
	struct channel		*channel;	/* owned; null: none */
	unsigned		 slots;		/* 0 until QUEUE_SLOTS */
	unsigned		 open;
	LIST_HEAD(, open_job)	 jobs;		/* owned */
	LIST_HEAD(, settling)	 settling;	/* owned */
	size_t			 settling_count;
};

struct open_job {
	struct crew		*crew;
	LIST_ENTRY(open_job)	 link;
	uint64_t		 key;
	uint64_t		 message;
	uint32_t		 slice;
	struct entry		*entry;		/* ours until it is over */
	bool			 orphan;	/* its worker is gone */
	struct body		 body;
	bool			 has_body;	/* body is initialised */
};

/* A result that is applied and not durable. */
struct settling {
	struct crew		*crew;
	LIST_ENTRY(settling)	 link;
	struct commit_wait	 wait;
	uint64_t		 job;
};

struct dispatch {
	struct queue		*queue;		/* outlives us */
	struct hash		*by_key;	/* of open jobs, borrowed */
	struct hash		*lost;		/* id -> times, as a pointer */
	uint64_t		 next_key;
	struct crew		 crews[DESTINATION_KINDS];
	struct timer		 again;		/* there may be more to start */
};

static void job_free(struct open_job *job)
{
	hash_remove_id(job->crew->dispatch->by_key, job->key);
	LIST_REMOVE(job, link);
	job->crew->open--;
	if (job->has_body)
		body_release(&job->body);
	mem_free(job);
}

/* The slice goes back to the schedule as it is in the store. */
static void give_back(struct dispatch *dispatch, struct entry *entry,
    int64_t due)
{
	struct queue *queue = dispatch->queue;
	uint64_t id = entry->place.id;
	uint32_t number = entry->place.slice;
	struct slice slice;

	schedule_finished(queue->schedule, entry);
	if (slice_load(&slice, queue, id, number) < 0)
		return;
	if (due > slice.record->due)
		slice.record->due = due;
	slice_save(&slice);
}

/* How often the worker died over this message; it may be the message. */
static unsigned count_loss(struct dispatch *dispatch, uint64_t id)
{
	uintptr_t times;

	if (hash_count(dispatch->lost) > LOST_MAX) {
		hash_free(dispatch->lost);
		dispatch->lost = hash_new();
	}
	times = (uintptr_t)hash_find_id(dispatch->lost, id) + 1;
	hash_put_id(dispatch->lost, id, (void *)times);
	return (unsigned)times;
}

/* Its worker died: again at once, but later each time it happens. */
static void retry_lost(struct open_job *job)
{
	struct dispatch *dispatch = job->crew->dispatch;
	struct entry *entry = job->entry;
	unsigned times = count_loss(dispatch, job->message);
	int64_t due = 0;

	log_warn("job-lost", log_message(job->message),
	    log_number("times", times));
	if (times > 1)
		due = clock_wall() + destination_backoff(
		    dispatch->queue->conf, times - 1);
	job_free(job);
	give_back(dispatch, entry, due);
}

/* --- handing out --- */

static struct open_job *job_new(struct crew *crew, uint64_t key,
    struct entry *entry)
{
	struct open_job *job = mem_alloc(sizeof(*job));

	job->crew = crew;
	job->key = key;
	job->message = entry->place.id;
	job->slice = entry->place.slice;
	job->entry = entry;
	LIST_INSERT_HEAD(&crew->jobs, job, link);
	hash_put_id(crew->dispatch->by_key, key, job);
	crew->open++;
	return job;
}

static void copy_recipients(struct job *out, const struct record_slice *slice)
{
	out->recipient_count = slice->recipient_count;
	out->recipients = arena_alloc_array(out->arena,
	    slice->recipient_count, sizeof(*out->recipients));
	for (uint32_t i = 0; i < slice->recipient_count; i++)
		out->recipients[i] = (struct job_recipient){
		    .index = slice->recipients[i].index,
		    .address = slice->recipients[i].who.address,
		    .original = slice->recipients[i].who.original,
		    .notify = slice->recipients[i].who.notify };
}

static void fill_job(struct job *out, const struct record_message *message,
    const struct record_slice *slice, const struct open_job *job)
{
	const struct envelope *envelope = message->envelope;

	out->key = job->key;
	out->message = job->message;
	out->next = job->entry->destination->next;
	out->domain = slice->domain;
	out->sender = record_slice_sender(slice, envelope);
	out->envid = envelope->envid;
	out->flags = envelope->flags;
	out->arrival = message->arrival;
	out->tls_trouble_since = slice->tls_trouble_since;
	out->tls_level = slice->tls_level;
	out->attempt = slice->attempt + 1;
	out->prefix = envelope->prefix;
	out->prefix_length = envelope->prefix_length;
	copy_recipients(out, slice);
}

static bool goes_inline(const struct job *job)
{
	return job->next.transport != TRANSPORT_DISCARD &&
	    job->body_length <= WORKER_INLINE_MAX;
}

/* Sends the job; a small body comes along, checked. -1: it is damaged. */
static int send_job(struct open_job *job, struct job *out,
    const struct view *view)
{
	struct wire_writer *writer;
	struct buf body;
	int result = 0;

	buf_init(&body, WORKER_INLINE_MAX);
	if (goes_inline(out)) {
		result = body_read(&job->body, view, 0, WORKER_INLINE_MAX,
		    &body);
		out->body = buf_data(&body);
	}
	if (result == 0) {
		writer = channel_begin(job->crew->channel, QUEUE_JOB, 0);
		queue_put_job(writer, out, job->slice);
		/* If this fails the channel is closed: the job is an orphan. */
		(void)channel_end(job->crew->channel);
	}
	buf_release(&body);
	return result;
}

/* Rows to job. The rows say what is to be done, not what is in memory. */
static void start_job(struct crew *crew, struct entry *entry,
    struct arena *arena)
{
	struct dispatch *dispatch = crew->dispatch;
	struct store *store = dispatch->queue->store;
	uint64_t id = entry->place.id;
	struct record_slice *slice = rows_find_slice(store, id,
	    entry->place.slice, arena);
	struct record_message *message;
	struct open_job *job;
	struct job out = { .arena = arena };
	struct view view;

	if (slice == NULL || slice->flags & SLICE_HELD ||
	    slice->due != entry->place.due) {
		/* It is done, deleted, held or moved since it came in line;
		 * or its row cannot be read: then it stays, untried. */
		schedule_finished(dispatch->queue->schedule, entry);
		return;
	}
	message = rows_find_message(store, id, arena);
	if (message == NULL) {
		log_error("no-job", log_message(id));
		schedule_finished(dispatch->queue->schedule, entry);
		return;
	}
	job = job_new(crew, dispatch->next_key++, entry);
	body_init(&job->body, store, id, message);
	job->has_body = true;
	fill_job(&out, message, slice, job);
	view_init(&view, message->envelope, message->body_length);
	out.body_length = view_length(&view);
	if (send_job(job, &out, &view) == 0)
		return;
	job_free(job);
	slice_quarantine(dispatch->queue, id);
	schedule_finished(dispatch->queue->schedule, entry);
}

static bool may_start(const struct crew *crew)
{
	return crew->channel != NULL && crew->open < crew->slots &&
	    channel_queued(crew->channel) <= CHANNEL_ENOUGH;
}

/* True when there may be more. */
static bool run_crew(struct crew *crew, struct arena *arena)
{
	struct schedule *schedule = crew->dispatch->queue->schedule;
	struct entry *entry;

	for (unsigned i = 0; i < JOBS_A_TURN; i++) {
		if (!may_start(crew))
			return false;
		entry = schedule_take(schedule, crew->kind);
		if (entry == NULL)
			return false;
		arena_reset(arena);
		start_job(crew, entry, arena);
	}
	return true;
}

/* The end of the turn does the work. */
static void on_again(void *arg)
{
	(void)arg;
}

/* Its time is over. The attempt that some deserve waits for a worker. */
static void end_expired(struct dispatch *dispatch, struct entry *entry,
    struct arena *arena)
{
	struct crew *crew = &dispatch->crews[entry->destination->kind];

	if (!results_deserves_attempt(dispatch->queue, entry)) {
		results_expire(dispatch->queue, entry);
	} else if (may_start(crew)) {
		arena_reset(arena);
		start_job(crew, entry, arena);
	} else {
		schedule_keep_expired(dispatch->queue->schedule, entry);
	}
}

void dispatch_run(struct dispatch *dispatch)
{
	struct schedule *schedule = dispatch->queue->schedule;
	struct arena *arena;
	struct entry *entry;
	bool more = false;

	if (dispatch->queue->stopping)
		return;
	arena = arena_new(RECORD_ARENA_MAX);
	for (int kind = 0; kind < DESTINATION_KINDS; kind++)
		more |= run_crew(&dispatch->crews[kind], arena);
	for (unsigned i = 0; i < EXPIRED_A_TURN; i++) {
		entry = schedule_take_expired(schedule);
		if (entry == NULL)
			break;
		end_expired(dispatch, entry, arena);
	}
	arena_free(arena);
	/* It may be that none became a job, so that nobody else brings on
	 * the next turn. */
	if (more)
		timer_start(&dispatch->again, 0, on_again, NULL);
}

/* --- frames --- */

/* Jobs of an earlier queue are taken over; what nobody knows is tried again. */
static int on_slots(struct crew *crew, struct channel_message *message)
{
	struct dispatch *dispatch = crew->dispatch;
	struct queue_slots slots;
	struct open_job *job, *next;

	if (queue_get_slots(&message->body, &slots) < 0)
		return -1;
	for (uint32_t i = 0; i < slots.job_count; i++) {
		struct queue_open_job *open = &slots.jobs[i];
		struct slice slice;
		struct entry *entry;

		job = hash_find_id(dispatch->by_key, open->job);
		if (job != NULL) {
			job->orphan = job->orphan && job->crew != crew;
			continue;
		}
		if (slice_load(&slice, dispatch->queue, open->message,
		    open->slice) < 0)
			continue;
		entry = schedule_adopt(dispatch->queue->schedule,
		    open->message, open->slice, slice.record);
		if (entry != NULL)
			job_new(crew, open->job, entry);
		slice_release(&slice);
	}
	crew->slots = slots.slots;
	destinations_set_slots(schedule_destinations(
	    dispatch->queue->schedule), crew->kind, slots.slots);
	mem_free(slots.jobs);
	for (job = LIST_FIRST(&crew->jobs); job != NULL; job = next) {
		next = LIST_NEXT(job, link);
		if (job->orphan)
			retry_lost(job);
	}
	return 0;
}

/* With the row at hand: where a job was taken over from an earlier queue, and
 * for the pieces of an edited message, which no job keeps. */
static int read_with_row(struct open_job *job, uint64_t offset,
    struct buf *data)
{
	struct store *store = job->crew->dispatch->queue->store;
	struct arena *arena = arena_new(RECORD_ARENA_MAX);
	struct record_message *message = rows_find_message(store,
	    job->message, arena);
	struct view view;
	int result = -1;

	if (message != NULL) {
		if (!job->has_body)
			body_init(&job->body, store, job->message, message);
		job->has_body = true;
		view_init(&view, message->envelope, message->body_length);
		result = body_read(&job->body, &view, offset,
		    WORKER_READ_MAX, data);
	}
	arena_free(arena);
	return result;
}

static int read_body(struct open_job *job, uint64_t offset, struct buf *data)
{
	struct view view;

	if (!job->has_body || job->body.is_edited)
		return read_with_row(job, offset, data);
	view_init(&view, NULL, job->body.stored);
	return body_read(&job->body, &view, offset, WORKER_READ_MAX, data);
}

static int on_read(struct crew *crew, struct channel_message *message)
{
	struct queue_read read;
	struct open_job *job;
	struct queue_body answer = { .failed = true };
	struct buf data;

	if (queue_get_read(&message->body, &read) < 0)
		return -1;
	job = hash_find_id(crew->dispatch->by_key, read.job);
	if (job != NULL && (job->crew != crew || job->message != read.message))
		return -1;
	buf_init(&data, WORKER_READ_MAX);
	if (job != NULL) {
		answer.failed = read_body(job, read.offset, &data) < 0;
		if (answer.failed && job->has_body)
			slice_quarantine(crew->dispatch->queue, read.message);
	}
	answer.job = read.job;
	answer.data = answer.failed ? "" : buf_data(&data);
	answer.length = answer.failed ? 0 : buf_length(&data);
	queue_put_body(channel_begin(crew->channel, QUEUE_BODY,
	    message->request), &answer);
	(void)channel_end(crew->channel);
	buf_release(&data);
	return 0;
}

static void settling_free(struct settling *settling)
{
	commit_wait_cancel(&settling->wait);
	LIST_REMOVE(settling, link);
	settling->crew->settling_count--;
	mem_free(settling);
}

static void on_durable(void *arg)
{
	struct settling *settling = arg;
	struct channel *channel = settling->crew->channel;

	queue_put_settled(channel_begin(channel, QUEUE_SETTLED, 0),
	    settling->job);
	(void)channel_end(channel);
	settling_free(settling);
}

static void settle(struct crew *crew, uint64_t job)
{
	struct settling *settling = mem_alloc(sizeof(*settling));

	settling->crew = crew;
	settling->job = job;
	LIST_INSERT_HEAD(&crew->settling, settling, link);
	crew->settling_count++;
	commit_wait(crew->dispatch->queue->commit, &settling->wait,
	    on_durable, settling);
}

/* The items of a result; null if they are none. Owned by the caller. */
static struct result_item *read_items(struct wire_reader *reader,
    uint32_t count, struct status *statuses)
{
	struct result_item *items = mem_alloc_array(count, sizeof(*items));

	for (uint32_t i = 0; i < count; i++) {
		items[i].status = &statuses[i];
		if (queue_get_result_item(reader, i + 1 == count,
		    &items[i].index, &statuses[i]) < 0) {
			mem_free(items);
			return NULL;
		}
	}
	return items;
}

static void apply_result(struct crew *crew, const struct queue_result *head,
    const struct result_item *items)
{
	struct dispatch *dispatch = crew->dispatch;
	struct open_job *job = hash_find_id(dispatch->by_key, head->job);
	struct results results = { .job = head->job,
	    .message = head->message, .slice = head->slice,
	    .tls_trouble = head->tls_trouble, .items = items,
	    .count = head->count };
	struct entry *entry = NULL;

	if (job != NULL) {
		entry = job->entry;
		job_free(job);
		hash_remove_id(dispatch->lost, head->message);
	}
	results_apply(dispatch->queue, &results, entry);
	settle(crew, head->job);
}

static int on_result(struct crew *crew, struct channel_message *message)
{
	struct queue_result head;
	struct result_item *items;
	struct status *statuses;
	struct open_job *job;

	if (queue_get_result(&message->body, &head) < 0)
		return -1;
	job = hash_find_id(crew->dispatch->by_key, head.job);
	if (job != NULL && (job->crew != crew ||
	    job->message != head.message || job->slice != head.slice))
		return -1;
	statuses = mem_alloc_array(head.count, sizeof(*statuses));
	items = read_items(&message->body, head.count, statuses);
	if (items != NULL)
		apply_result(crew, &head, items);
	mem_free(statuses);
	if (items == NULL)
		return -1;
	mem_free(items);
	return 0;
}

/* --- channels --- */

/* Jobs stay: the next crew says which of them it has. */
static void disconnect(struct crew *crew)
{
	struct open_job *job;

	while (!LIST_EMPTY(&crew->settling))
		settling_free(LIST_FIRST(&crew->settling));
	if (crew->channel != NULL)
		channel_free(crew->channel);
	crew->channel = NULL;
	crew->slots = 0;
	LIST_FOREACH(job, &crew->jobs, link)
		job->orphan = true;
}

static void on_message(void *arg, struct channel *channel,
    struct channel_message *message)
{
	struct crew *crew = arg;
	int result = -1;

	(void)channel;
	switch (message->type) {
	case QUEUE_SLOTS:
		result = on_slots(crew, message);
		break;
	case QUEUE_READ:
		result = on_read(crew, message);
		break;
	case QUEUE_RESULT:
		result = on_result(crew, message);
		break;
	default:
		bug("dispatch-message");
	}
	if (result < 0) {
		log_error("worker-protocol",
		    log_text("worker", channel_peer(crew->channel)),
		    log_number("type", message->type));
		disconnect(crew);
	}
}

static void on_closed(void *arg, struct channel *channel)
{
	(void)channel;
	disconnect(arg);
}

static const struct channel_rule rules[] = {
	{ QUEUE_SLOTS, false, QUEUE_SLOTS_BYTES },
	{ QUEUE_READ, false, 64 },
	{ QUEUE_RESULT, false, QUEUE_RESULT_BYTES },
};

static const struct channel_handler handler = {
	.rules = rules,
	.rule_count = sizeof(rules) / sizeof(rules[0]),
	.message = on_message,
	.closed = on_closed,
};

struct dispatch *dispatch_new(struct queue *queue)
{
	struct dispatch *dispatch = mem_alloc(sizeof(*dispatch));

	dispatch->queue = queue;
	dispatch->by_key = hash_new();
	dispatch->lost = hash_new();
	/* Keys of earlier queues lie below: a job has one result for ever. */
	dispatch->next_key = (uint64_t)clock_wall_micro();
	for (int kind = 0; kind < DESTINATION_KINDS; kind++) {
		struct crew *crew = &dispatch->crews[kind];

		crew->dispatch = dispatch;
		crew->kind = (enum destination_kind)kind;
		LIST_INIT(&crew->jobs);
		LIST_INIT(&crew->settling);
	}
	return dispatch;
}

void dispatch_free(struct dispatch *dispatch)
{
	if (dispatch == NULL)
		return;
	for (int kind = 0; kind < DESTINATION_KINDS; kind++) {
		struct crew *crew = &dispatch->crews[kind];

		disconnect(crew);
		while (!LIST_EMPTY(&crew->jobs))
			job_free(LIST_FIRST(&crew->jobs));
	}
	timer_stop(&dispatch->again);
	hash_free(dispatch->by_key);
	hash_free(dispatch->lost);
	mem_free(dispatch);
}

static void add_pause(void *arg, const struct order *order)
{
	struct queue_pauses *pauses = arg;

	pauses->list[pauses->count++] = (struct queue_pause){ order->place,
	    order->reason };
}

/* Before any job: what comes after a restart keeps to it from the first. */
static void tell_pauses(struct crew *crew)
{
	struct queue_pauses pauses = { .count = 0 };

	if (crew->channel == NULL || crew->kind != DESTINATION_DELIVERY)
		return;
	pauses.list = mem_alloc_array(ORDERS_MAX, sizeof(*pauses.list));
	orders_each(crew->dispatch->queue->orders, ORDER_PAUSE, add_pause,
	    &pauses);
	queue_put_pauses(channel_begin(crew->channel, QUEUE_PAUSES, 0),
	    &pauses);
	(void)channel_end(crew->channel);
	mem_free(pauses.list);
}

void dispatch_tell_pauses(struct dispatch *dispatch)
{
	tell_pauses(&dispatch->crews[DESTINATION_DELIVERY]);
}

void dispatch_connect(struct dispatch *dispatch, enum destination_kind kind,
    int fd)
{
	struct crew *crew = &dispatch->crews[kind];

	disconnect(crew);
	crew->channel = channel_new(fd, kind == DESTINATION_MAILBOX ?
	    "mailbox" : "delivery", &handler, crew, CHANNEL_MAX);
	tell_pauses(crew);
}

size_t dispatch_open(const struct dispatch *dispatch)
{
	size_t count = 0;

	for (int kind = 0; kind < DESTINATION_KINDS; kind++) {
		if (dispatch->crews[kind].channel != NULL)
			count += dispatch->crews[kind].open;
	}
	return count;
}

size_t dispatch_slots(const struct dispatch *dispatch)
{
	size_t count = 0;

	for (int kind = 0; kind < DESTINATION_KINDS; kind++)
		count += dispatch->crews[kind].slots;
	return count;
}

size_t dispatch_unsettled(const struct dispatch *dispatch)
{
	size_t count = 0;

	for (int kind = 0; kind < DESTINATION_KINDS; kind++)
		count += dispatch->crews[kind].settling_count;
	return count;
}
