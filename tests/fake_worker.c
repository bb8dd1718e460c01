/* SPDX-License-Identifier: ISC */
/*
 * See fake_worker.h. It defines every function of the worker side, so that the
 * real one is not linked.
 */
#include "tests/fake_worker.h"

#include <string.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"

enum { ARENA_MAX = 4 << 20, RECIPIENTS_MAX = 1000 };

struct made_job {
	struct job	 job;		/* first */
	struct fake_job	 plan;
	worker_body	*read;
	void		*read_arg;
	uint64_t	 offset;
};

void (*fake_worker_finished)(const struct job *job,
    const struct status *statuses, bool tls_trouble);
unsigned fake_worker_reads;
uint64_t fake_worker_offset;
const char *fake_worker_pause;
static unsigned open_jobs;
static uint64_t last_key;

struct job *fake_job_new(const struct fake_job *plan)
{
	struct arena *arena = arena_new(ARENA_MAX);
	struct made_job *made = arena_alloc(arena, sizeof(*made));
	struct job *job = &made->job;
	const char *prefix = plan->prefix == NULL ? "" : plan->prefix;

	made->plan = *plan;
	job->arena = arena;
	job->key = ++last_key;
	job->message = 0x7c31 + last_key;
	job->next.transport = plan->transport;
	job->next.port = 25;
	job->next.mx = true;
	job->domain = arena_dup_string(arena, plan->domain);
	job->sender = arena_dup_string(arena, plan->sender);
	job->envid = plan->envid == NULL ? NULL :
	    arena_dup_string(arena, plan->envid);
	job->flags = plan->flags;
	job->tls_trouble_since = plan->tls_trouble_since;
	job->arrival = clock_wall() - plan->age * 1000;
	job->attempt = plan->attempt == 0 ? 1 : plan->attempt;
	job->tls_level = plan->tls_level == 0 ? -1 : plan->tls_level;
	job->recipients = arena_alloc_array(arena, RECIPIENTS_MAX,
	    sizeof(*job->recipients));
	job->prefix = arena_dup_string(arena, prefix);
	job->prefix_length = strlen(prefix);
	job->body_length = plan->body_length;
	job->body = plan->inlined ? plan->body : NULL;
	open_jobs++;
	return job;
}

void fake_job_add(struct job *job, const char *address, const char *original,
    unsigned notify)
{
	struct job_recipient *to = &job->recipients[job->recipient_count];

	if (job->recipient_count == RECIPIENTS_MAX)
		bug("fake-recipients");
	to->index = (uint32_t)job->recipient_count++;
	to->address = arena_dup_string(job->arena, address);
	to->original = original == NULL ? NULL :
	    arena_dup_string(job->arena, original);
	to->notify = (uint8_t)notify;
}

void fake_job_free(struct job *job)
{
	loop_undefer(job);
	open_jobs--;
	arena_free(job->arena);
}

struct worker *worker_new(worker_job *take, void *arg)
{
	(void)take;
	(void)arg;
	bug("fake-worker");
}

void worker_free(struct worker *worker)
{
	(void)worker;
}

void worker_connect(struct worker *worker, int fd, unsigned slots)
{
	(void)worker;
	(void)fd;
	(void)slots;
	bug("fake-worker");
}

static void answer(void *arg)
{
	struct made_job *made = arg;
	worker_body *read = made->read;
	uint64_t left = made->plan.body_length - made->offset;
	size_t piece = made->plan.piece == 0 ? WORKER_READ_MAX :
	    made->plan.piece;
	bool failed = made->plan.fails && made->offset >= made->plan.fail_at;

	if (left > piece)
		left = piece;
	made->read = NULL;
	fake_worker_reads++;
	if (made->offset > fake_worker_offset)
		fake_worker_offset = made->offset;
	read(made->read_arg, failed ? "" : made->plan.body + made->offset,
	    failed ? 0 : (size_t)left, failed);
}

void worker_read(struct job *job, uint64_t offset, worker_body *done,
    void *arg)
{
	struct made_job *made = (struct made_job *)job;

	if (made->read != NULL || offset > job->body_length)
		bug("fake-read");
	made->read = done;
	made->read_arg = arg;
	made->offset = offset;
	loop_defer(answer, made);
}

void worker_read_cancel(struct job *job)
{
	struct made_job *made = (struct made_job *)job;

	loop_undefer(made);
	made->read = NULL;
}

void worker_finish(struct job *job, const struct status *statuses,
    bool tls_trouble)
{
	if (((struct made_job *)job)->read != NULL)
		bug("fake-finish-while-reading");
	if (fake_worker_finished != NULL)
		fake_worker_finished(job, statuses, tls_trouble);
	fake_job_free(job);
}

const char *worker_paused(const struct worker *worker, const char *host)
{
	(void)worker;
	return fake_worker_pause != NULL &&
	    strcmp(fake_worker_pause, host) == 0 ? "their move" : NULL;
}

unsigned worker_open_jobs(const struct worker *worker)
{
	(void)worker;
	return open_jobs;
}

void worker_when_settled(struct worker *worker, void (*idle)(void *arg),
    void *arg)
{
	(void)worker;
	loop_defer(idle, arg);
}
