/* SPDX-License-Identifier: ISC */
/*
 * One lock around two lists: jobs that wait and jobs that are done. A job is
 * the threads' from the time it is taken until it is in the second list; a
 * cancelled one is only marked, and freed by the loop when it comes back.
 */
#include "policy/hasher.h"

#include <pthread.h>
#include <signal.h>
#include <sys/queue.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "policy/password.h"

enum { THREADS_MAX = 8, BEHIND_THE_LOOP = 10 };

struct hasher_job {
	STAILQ_ENTRY(hasher_job) entry;
	struct hasher	*hasher;
	char		*prepared;	/* owned, secret */
	char		*hash;		/* owned */
	bool		 right;
	hasher_done	*done;		/* null: cancelled; the loop's only */
	void		*arg;
};

STAILQ_HEAD(jobs, hasher_job);

struct hasher {
	struct loop_notify notify;
	unsigned	 unfinished;	/* waiting, or being hashed; of the
					 * loop's thread */
	pthread_t	 threads[THREADS_MAX];
	unsigned	 thread_count;	/* 0: not begun */

	pthread_mutex_t	 lock;		/* of what follows */
	pthread_cond_t	 wanted;
	struct jobs	 waiting, finished;
	bool		 stopping;
};

static void free_job(struct hasher_job *job)
{
	mem_free_secret(job->prepared);
	mem_free_secret(job->hash);
	mem_free(job);
}

/* The loop goes first when both want the processor: nice(2) of a thread. */
static void step_back(void)
{
	setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), BEHIND_THE_LOOP);
}

static void *thread_main(void *arg)
{
	struct hasher *hasher = arg;
	struct hasher_job *job;

	step_back();
	pthread_mutex_lock(&hasher->lock);
	for (;;) {
		while (STAILQ_EMPTY(&hasher->waiting) && !hasher->stopping)
			pthread_cond_wait(&hasher->wanted, &hasher->lock);
		if (hasher->stopping)
			break;
		job = STAILQ_FIRST(&hasher->waiting);
		STAILQ_REMOVE_HEAD(&hasher->waiting, entry);
		pthread_mutex_unlock(&hasher->lock);
		job->right = password_is_right(job->prepared, job->hash);
		pthread_mutex_lock(&hasher->lock);
		STAILQ_INSERT_TAIL(&hasher->finished, job, entry);
		loop_notify_send(&hasher->notify);
	}
	pthread_mutex_unlock(&hasher->lock);
	return NULL;
}

static struct hasher_job *take_finished(struct hasher *hasher)
{
	struct hasher_job *job;

	pthread_mutex_lock(&hasher->lock);
	job = STAILQ_FIRST(&hasher->finished);
	if (job != NULL)
		STAILQ_REMOVE_HEAD(&hasher->finished, entry);
	pthread_mutex_unlock(&hasher->lock);
	return job;
}

/* done may cancel others or ask anew; it may not free the hasher. */
static void on_finished(void *arg)
{
	struct hasher *hasher = arg;
	struct hasher_job *job;
	hasher_done *done;
	void *done_arg;
	bool right;

	while ((job = take_finished(hasher)) != NULL) {
		hasher->unfinished--;
		done = job->done;
		done_arg = job->arg;
		right = job->right;
		free_job(job);
		if (done != NULL)
			done(done_arg, right);
	}
}

static void begin(struct hasher *hasher)
{
	long processors = sysconf(_SC_NPROCESSORS_ONLN);
	unsigned wanted = processors < 1 ? 1 : processors > THREADS_MAX ?
	    THREADS_MAX : (unsigned)processors;
	sigset_t all, before;

	/* Signals are for the loop. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	while (hasher->thread_count < wanted &&
	    pthread_create(&hasher->threads[hasher->thread_count], NULL,
	    thread_main, hasher) == 0)
		hasher->thread_count++;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (hasher->thread_count == 0)
		fatal("no thread for passwords");
}

struct hasher *hasher_new(void)
{
	struct hasher *hasher = mem_alloc(sizeof(*hasher));

	loop_notify_init(&hasher->notify, on_finished, hasher);
	pthread_mutex_init(&hasher->lock, NULL);
	pthread_cond_init(&hasher->wanted, NULL);
	STAILQ_INIT(&hasher->waiting);
	STAILQ_INIT(&hasher->finished);
	return hasher;
}

static void free_jobs(struct jobs *jobs)
{
	struct hasher_job *job;

	while ((job = STAILQ_FIRST(jobs)) != NULL) {
		STAILQ_REMOVE_HEAD(jobs, entry);
		free_job(job);
	}
}

void hasher_free(struct hasher *hasher)
{
	if (hasher == NULL)
		return;
	pthread_mutex_lock(&hasher->lock);
	hasher->stopping = true;
	pthread_cond_broadcast(&hasher->wanted);
	pthread_mutex_unlock(&hasher->lock);
	for (unsigned i = 0; i < hasher->thread_count; i++)
		pthread_join(hasher->threads[i], NULL);
	loop_notify_release(&hasher->notify);
	free_jobs(&hasher->waiting);
	free_jobs(&hasher->finished);
	pthread_cond_destroy(&hasher->wanted);
	pthread_mutex_destroy(&hasher->lock);
	mem_free(hasher);
}

struct hasher_job *hasher_check(struct hasher *hasher, const char *prepared,
    const char *hash, hasher_done *done, void *arg)
{
	struct hasher_job *job;

	if (hasher->unfinished >= HASHER_QUEUE_MAX)
		return NULL;
	if (hasher->thread_count == 0)
		begin(hasher);
	job = mem_alloc(sizeof(*job));
	job->hasher = hasher;
	job->prepared = mem_dup_string(prepared);
	job->hash = mem_dup_string(hash);
	job->done = done;
	job->arg = arg;
	hasher->unfinished++;
	pthread_mutex_lock(&hasher->lock);
	STAILQ_INSERT_TAIL(&hasher->waiting, job, entry);
	pthread_cond_signal(&hasher->wanted);
	pthread_mutex_unlock(&hasher->lock);
	return job;
}

/* One that no thread has taken yet goes at once: clients who come, ask and
 * leave must not fill the queue. */
void hasher_cancel(struct hasher_job *job)
{
	struct hasher *hasher = job->hasher;
	struct hasher_job *other;
	bool waits = false;

	job->done = NULL;
	pthread_mutex_lock(&hasher->lock);
	STAILQ_FOREACH(other, &hasher->waiting, entry)
		waits |= other == job;
	if (waits)
		STAILQ_REMOVE(&hasher->waiting, job, hasher_job, entry);
	pthread_mutex_unlock(&hasher->lock);
	if (!waits)
		return;
	hasher->unfinished--;
	free_job(job);
}
