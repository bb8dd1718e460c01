/* SPDX-License-Identifier: ISC */
/*
 * The worker side of the queue's door; runs in delivery and mailbox. A job is
 * open from its arrival to worker_finish(); its result is then kept until the
 * queue says that it is durable. A new queue is told which jobs of the old one
 * are open or waiting, so that it does not hand them out a second time, and
 * then gets the results again.
 */
#include "queue/client.h"

#include <string.h>
#include <sys/queue.h>

#include "base/arena.h"
#include "base/channel.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "base/process.h"
#include "base/wire.h"
#include "queue/message.h"
#include "queue/pattern.h"

enum { JOB_ARENA_MAX = 4 << 20, CHANNEL_MAX = 64 << 20,
    PAUSES_ARENA_MAX = 2 << 20 };

struct open_job {
	struct job		 job;		/* first: cast from struct job */
	LIST_ENTRY(open_job)	 link;
	uint32_t		 slice;

	/* a read under way; null otherwise */
	worker_body		*read;
	void			*read_arg;
	uint64_t		 offset;
	uint32_t		 request;
};

/* A result that the queue has not confirmed. */
struct result {
	TAILQ_ENTRY(result)	 link;
	struct queue_result	 head;
	uint32_t		*indexes;	/* owned */
	struct status		*statuses;	/* owned */
};

struct worker {
	struct channel		*channel;	/* owned; null: no queue */
	struct hash		*jobs;		/* by key, borrowed */
	struct hash		*results;	/* by key, borrowed */
	LIST_HEAD(, open_job)	 open;		/* owned */
	TAILQ_HEAD(results, result) waiting;	/* owned */
	struct arena		*pauses_arena;	/* owned; null: none came */
	struct queue_pauses	 pauses;	/* in it */
	worker_job		*take;
	void			*arg;
	void			(*idle)(void *arg);	/* null: nobody waits */
	void			*idle_arg;
};

static struct open_job *open_job_of(struct job *job)
{
	return (struct open_job *)job;
}

static void job_free(struct open_job *open)
{
	struct worker *worker = open->job.worker;

	loop_undefer(open);
	hash_remove_id(worker->jobs, open->job.key);
	LIST_REMOVE(open, link);
	arena_free(open->job.arena);
}

static void result_free(struct worker *worker, struct result *result)
{
	hash_remove_id(worker->results, result->head.job);
	TAILQ_REMOVE(&worker->waiting, result, link);
	mem_free(result->indexes);
	mem_free(result->statuses);
	mem_free(result);
}

/* Answers the read under way; what comes with the job is read here. */
static void answer_read(struct open_job *open, const void *data,
    size_t length, bool failed)
{
	worker_body *read = open->read;

	open->read = NULL;
	open->request = 0;
	read(open->read_arg, data, length, failed);
}

static void fail_read(void *arg)
{
	answer_read(arg, "", 0, true);
}

static void read_inline(void *arg)
{
	struct open_job *open = arg;
	size_t length = (size_t)open->job.body_length;
	size_t offset = open->offset < length ? (size_t)open->offset : length;

	answer_read(open, open->job.body + offset, length - offset, false);
}

static void settled(void *arg)
{
	struct worker *worker = arg;
	void (*idle)(void *arg) = worker->idle;

	if (idle == NULL || (worker->channel != NULL &&
	    !TAILQ_EMPTY(&worker->waiting)))
		return;
	worker->idle = NULL;
	idle(worker->idle_arg);
}

static void disconnect(struct worker *worker)
{
	struct open_job *open;

	if (worker->channel != NULL)
		channel_free(worker->channel);
	worker->channel = NULL;
	if (worker->idle != NULL)
		loop_defer(settled, worker);
	LIST_FOREACH(open, &worker->open, link) {
		if (open->request == 0)
			continue;
		open->request = 0;
		loop_defer(fail_read, open);
	}
}

static int on_job(struct worker *worker, struct channel_message *message)
{
	struct arena *arena = arena_new(JOB_ARENA_MAX);
	struct open_job *open = arena_alloc(arena, sizeof(*open));

	open->job.arena = arena;
	open->job.worker = worker;
	if (queue_get_job(&message->body, &open->job, &open->slice) < 0 ||
	    hash_count(worker->jobs) >= QUEUE_SLOTS_MAX ||
	    hash_find_id(worker->jobs, open->job.key) != NULL) {
		arena_free(arena);
		return -1;
	}
	hash_put_id(worker->jobs, open->job.key, open);
	LIST_INSERT_HEAD(&worker->open, open, link);
	worker->take(worker->arg, &open->job);
	return 0;
}

static int on_body(struct worker *worker, struct channel_message *message)
{
	struct queue_body body;
	struct open_job *open;

	if (queue_get_body(&message->body, &body) < 0)
		return -1;
	open = hash_find_id(worker->jobs, body.job);
	/* The job may be finished, or the read cancelled. */
	if (open == NULL || open->request == 0 ||
	    open->request != message->request)
		return 0;
	answer_read(open, body.data, body.length, body.failed);
	return 0;
}

static int on_settled(struct worker *worker, struct channel_message *message)
{
	struct result *result;
	uint64_t job;

	if (queue_get_settled(&message->body, &job) < 0)
		return -1;
	result = hash_find_id(worker->results, job);
	if (result == NULL)
		return 0;
	result_free(worker, result);
	settled(worker);
	return 0;
}

/* They replace those that were told before. */
static int on_pauses(struct worker *worker, struct channel_message *message)
{
	struct arena *arena = arena_new(PAUSES_ARENA_MAX);
	struct queue_pauses pauses;

	if (queue_get_pauses(&message->body, arena, &pauses) < 0) {
		arena_free(arena);
		return -1;
	}
	arena_free(worker->pauses_arena);
	worker->pauses_arena = arena;
	worker->pauses = pauses;
	return 0;
}

static void on_message(void *arg, struct channel *channel,
    struct channel_message *message)
{
	struct worker *worker = arg;
	int result = -1;

	(void)channel;
	switch (message->type) {
	case QUEUE_JOB:
		result = on_job(worker, message);
		break;
	case QUEUE_BODY:
		result = on_body(worker, message);
		break;
	case QUEUE_SETTLED:
		result = on_settled(worker, message);
		break;
	case QUEUE_PAUSES:
		result = on_pauses(worker, message);
		break;
	default:
		bug("worker-message");
	}
	if (result < 0) {
		log_error("queue-protocol", log_number("type", message->type));
		disconnect(worker);
		process_peer_lost(ROLE_QUEUE, 0);
	}
}

static void on_closed(void *arg, struct channel *channel)
{
	(void)channel;
	disconnect(arg);
	process_peer_lost(ROLE_QUEUE, 0);
}

static const struct channel_rule rules[] = {
	{ QUEUE_JOB, false, QUEUE_JOB_BYTES },
	{ QUEUE_BODY, false, WORKER_READ_MAX + 64 },
	{ QUEUE_SETTLED, false, 64 },
	{ QUEUE_PAUSES, false, QUEUE_PAUSES_BYTES },
};

static const struct channel_handler handler = {
	.rules = rules,
	.rule_count = sizeof(rules) / sizeof(rules[0]),
	.message = on_message,
	.closed = on_closed,
};

struct worker *worker_new(worker_job *take, void *arg)
{
	struct worker *worker = mem_alloc(sizeof(*worker));

	worker->jobs = hash_new();
	worker->results = hash_new();
	LIST_INIT(&worker->open);
	TAILQ_INIT(&worker->waiting);
	worker->take = take;
	worker->arg = arg;
	return worker;
}

void worker_free(struct worker *worker)
{
	if (worker == NULL)
		return;
	loop_undefer(worker);
	if (worker->channel != NULL)
		channel_free(worker->channel);
	while (!LIST_EMPTY(&worker->open))
		job_free(LIST_FIRST(&worker->open));
	while (!TAILQ_EMPTY(&worker->waiting))
		result_free(worker, TAILQ_FIRST(&worker->waiting));
	hash_free(worker->jobs);
	hash_free(worker->results);
	arena_free(worker->pauses_arena);
	mem_free(worker);
}

static void send_result(struct worker *worker, const struct result *result)
{
	struct wire_writer *writer;

	if (worker->channel == NULL)
		return;
	writer = channel_begin(worker->channel, QUEUE_RESULT, 0);
	queue_put_result(writer, &result->head);
	for (uint32_t i = 0; i < result->head.count; i++)
		queue_put_result_item(writer, result->indexes[i],
		    &result->statuses[i]);
	/* A failure closes the channel; the next one gets it again. */
	(void)channel_end(worker->channel);
}

/* What we hold of an earlier queue: open jobs and unconfirmed results. */
static void send_slots(struct worker *worker, unsigned slots)
{
	struct queue_slots message = { .slots = slots };
	struct open_job *open;
	struct result *result;

	if (message.slots > QUEUE_SLOTS_MAX)
		message.slots = QUEUE_SLOTS_MAX;
	message.jobs = mem_alloc_array(hash_count(worker->jobs) +
	    hash_count(worker->results), sizeof(*message.jobs));
	LIST_FOREACH(open, &worker->open, link)
		message.jobs[message.job_count++] = (struct queue_open_job){
		    open->job.key, open->job.message, open->slice };
	TAILQ_FOREACH(result, &worker->waiting, link)
		message.jobs[message.job_count++] = (struct queue_open_job){
		    result->head.job, result->head.message,
		    result->head.slice };
	if (message.job_count > QUEUE_SLOTS_MAX)
		message.job_count = QUEUE_SLOTS_MAX;
	queue_put_slots(channel_begin(worker->channel, QUEUE_SLOTS, 0),
	    &message);
	(void)channel_end(worker->channel);
	mem_free(message.jobs);
}

void worker_connect(struct worker *worker, int fd, unsigned slots)
{
	struct result *result;

	disconnect(worker);
	worker->channel = channel_new(fd, "queue", &handler, worker,
	    CHANNEL_MAX);
	send_slots(worker, slots);
	TAILQ_FOREACH(result, &worker->waiting, link)
		send_result(worker, result);
}

void worker_read(struct job *job, uint64_t offset, worker_body *done,
    void *arg)
{
	struct open_job *open = open_job_of(job);
	struct channel *channel = job->worker->channel;
	struct queue_read read = { job->key, job->message, offset };

	if (open->read != NULL)
		bug("worker-read");
	open->read = done;
	open->read_arg = arg;
	open->offset = offset;
	if (job->body != NULL) {
		loop_defer(read_inline, open);
		return;
	}
	if (channel == NULL) {
		loop_defer(fail_read, open);
		return;
	}
	open->request = channel_next_request(channel);
	queue_put_read(channel_begin(channel, QUEUE_READ, open->request),
	    &read);
	/* If this fails, on_closed() follows and fails the read. */
	(void)channel_end(channel);
}

void worker_read_cancel(struct job *job)
{
	struct open_job *open = open_job_of(job);

	loop_undefer(open);
	open->read = NULL;
	open->request = 0;
}

void worker_finish(struct job *job, const struct status *statuses,
    bool tls_trouble)
{
	struct open_job *open = open_job_of(job);
	struct worker *worker = job->worker;
	struct result *result = mem_alloc(sizeof(*result));
	uint32_t count = (uint32_t)job->recipient_count;

	result->head = (struct queue_result){ .job = job->key,
	    .message = job->message, .slice = open->slice,
	    .tls_trouble = tls_trouble, .count = count };
	result->statuses = mem_dup(statuses, count * sizeof(*statuses));
	result->indexes = mem_alloc_array(count, sizeof(*result->indexes));
	for (uint32_t i = 0; i < count; i++)
		result->indexes[i] = job->recipients[i].index;
	hash_put_id(worker->results, result->head.job, result);
	TAILQ_INSERT_TAIL(&worker->waiting, result, link);
	job_free(open);
	send_result(worker, result);
}

const char *worker_paused(const struct worker *worker, const char *host)
{
	for (uint32_t i = 0; i < worker->pauses.count; i++)
		if (pattern_matches(worker->pauses.list[i].place, host))
			return worker->pauses.list[i].reason;
	return NULL;
}

unsigned worker_open_jobs(const struct worker *worker)
{
	return (unsigned)hash_count(worker->jobs);
}

void worker_when_settled(struct worker *worker, void (*idle)(void *arg),
    void *arg)
{
	worker->idle = idle;
	worker->idle_arg = arg;
	if (worker->channel == NULL || TAILQ_EMPTY(&worker->waiting))
		loop_defer(settled, worker);
}
