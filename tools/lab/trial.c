/* SPDX-License-Identifier: ISC */
/*
 * WAITING -> RUNNING (true world) -> RUNNING (twin) -> DONE
 *                  |                                    ^
 *                  +--- no step needs the twin ---------+
 *
 * A trial's result comes over a pipe, whose end is the end of the run. A run
 * that is to end early gets SIGTERM (tools/lab/namespace.h).
 */
#include "tools/lab/trial.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"

enum {
	JOBS_MAX = 64,
	RESULT_MAX = 256 << 20,
	/* Far above all the waits of a run: only for a lab that hangs. */
	STEP_SECONDS = 150, START_SECONDS = 120
};

struct job {
	struct lab_trial	*trial;		/* null: free */
	pid_t			 pid;
	int			 fd;
	int64_t			 deadline;	/* monotonic, ms */
	struct buf		 result;
};

struct work {
	struct job		 jobs[JOBS_MAX];
	unsigned		 limit;
	struct lab_trial	*trials;
	size_t			 count;
};

static volatile sig_atomic_t told_to_stop;

static void on_signal(int number)
{
	told_to_stop = number;
}

static void set_text(char **text, const char *value)
{
	mem_free(*text);
	*text = mem_dup_string(value);
}

/* --- judging --- */

static const json_t *step_of(const json_t *result, size_t i)
{
	return json_array_get(json_object_get(result, "steps"), i);
}

static bool wants_twin(const struct lab_trial *trial)
{
	for (size_t i = 0; i < trial->run.scenario->step_count; i++) {
		const json_t *seen = step_of(trial->seen, i);

		if (seen != NULL && lab_needs_twin(seen))
			return true;
	}
	return false;
}

static bool is_down(const struct lab_trial *trial, size_t steps)
{
	for (size_t i = 0; i < steps; i++)
		if (trial->verdicts[i].mark == LAB_CRASHED ||
		    trial->verdicts[i].mark == LAB_HUNG)
			return true;
	return false;
}

/* Why a step was not judged: the run failed; the MTA cannot be judged here; or
 * it crashed or hung in a step before, where that is told. */
static void judge_unreached(const struct lab_trial *trial, size_t i)
{
	struct lab_verdict *verdict = &trial->verdicts[i];

	verdict->outcome = LAB_WAITING;
	verdict->mark = trial->unavailable != NULL || is_down(trial, i) ?
	    LAB_NOT_APPLICABLE : LAB_FAILED;
	snprintf(verdict->said, sizeof(verdict->said),
	    "the step was not reached");
}

/* One that says in the middle that it cannot go on is not judged by half. */
void lab_trial_judge(struct lab_trial *trial)
{
	const struct lab_scenario *scenario = trial->run.scenario;
	size_t count = scenario->step_count;

	trial->verdicts = mem_alloc_array(count, sizeof(*trial->verdicts));
	trial->mark = LAB_CORRECT;
	for (size_t i = 0; i < count; i++) {
		const json_t *seen = step_of(trial->seen, i);

		if (seen != NULL && trial->unavailable == NULL)
			lab_judge(&scenario->steps[i], trial->run.profile,
			    seen, step_of(trial->twin, i),
			    &trial->verdicts[i]);
		else
			judge_unreached(trial, i);
		trial->mark = lab_mark_worse(trial->mark,
		    trial->verdicts[i].mark);
	}
	if (trial->problem != NULL && !is_down(trial, count))
		trial->mark = LAB_FAILED;
}

static void note_problems(struct lab_trial *trial, const json_t *result)
{
	const char *problem = json_string_value(json_object_get(result,
	    "problem"));
	const char *unavailable = json_string_value(json_object_get(result,
	    "unavailable"));

	if (problem != NULL)
		set_text(&trial->problem, problem);
	if (unavailable != NULL)
		set_text(&trial->unavailable, unavailable);
	trial->seconds += json_number_value(json_object_get(result,
	    "seconds"));
}

static void finish(struct lab_trial *trial)
{
	trial->state = LAB_TRIAL_DONE;
	lab_trial_judge(trial);
}

/* --- jobs --- */

/* Seconds. */
static int64_t patience_of(const struct lab_scenario *scenario)
{
	int64_t seconds = START_SECONDS;

	for (size_t i = 0; i < scenario->step_count; i++)
		seconds += STEP_SECONDS + scenario->steps[i].after;
	return seconds;
}

static void start(struct job *job, struct lab_trial *trial)
{
	char error[600];
	int ends[2];

	trial->state = LAB_TRIAL_RUNNING;
	trial->run.twin = trial->seen != NULL;
	if (pipe2(ends, O_CLOEXEC) == -1) {
		set_text(&trial->problem, strerror(errno));
		finish(trial);
		return;
	}
	job->pid = lab_run_start(&trial->run, ends[1], error, sizeof(error));
	close(ends[1]);
	if (job->pid == -1) {
		close(ends[0]);
		set_text(&trial->unavailable, error);
		finish(trial);
		return;
	}
	job->trial = trial;
	job->fd = ends[0];
	job->deadline = clock_monotonic() + 1000 *
	    patience_of(trial->run.scenario);
	buf_init(&job->result, RESULT_MAX);
}

static int await(pid_t pid)
{
	int status = 0;

	while (waitpid(pid, &status, 0) == -1)
		if (errno != EINTR)
			return -1;
	return status;
}

/* The pipe has ended: take the result, and go on with the twin or not. */
static void conclude(struct job *job)
{
	struct lab_trial *trial = job->trial;
	json_t *result = json_loadb(buf_data(&job->result),
	    buf_length(&job->result), 0, NULL);
	char text[100];
	int status;

	/* First: one that still writes must not wait for us. */
	close(job->fd);
	status = await(job->pid);
	buf_release(&job->result);
	job->trial = NULL;
	if (result == NULL) {
		snprintf(text, sizeof(text), "the run ended without a result "
		    "(status 0x%x)", (unsigned)status);
		set_text(&trial->problem, text);
		result = json_object();
	}
	note_problems(trial, result);
	if (trial->run.twin) {
		trial->twin = result;
		finish(trial);
		return;
	}
	trial->seen = result;
	if (trial->problem == NULL && trial->unavailable == NULL &&
	    wants_twin(trial))
		start(job, trial);
	else
		finish(trial);
}

static void read_result(struct job *job)
{
	char *room = buf_reserve(&job->result, 64 << 10);
	ssize_t got = room != NULL ? read(job->fd, room, 64 << 10) : 0;

	if (got > 0)
		buf_commit(&job->result, (size_t)got);
	else if (got == 0 || errno != EINTR)
		conclude(job);
}

static void stop_all(struct work *work)
{
	for (unsigned i = 0; i < work->limit; i++)
		if (work->jobs[i].trial != NULL)
			kill(work->jobs[i].pid, SIGTERM);
	for (unsigned i = 0; i < work->limit; i++) {
		struct job *job = &work->jobs[i];

		if (job->trial == NULL)
			continue;
		close(job->fd);
		await(job->pid);
		buf_release(&job->result);
	}
}

static void end_overdue(struct work *work)
{
	int64_t now = clock_monotonic();

	for (unsigned i = 0; i < work->limit; i++)
		if (work->jobs[i].trial != NULL &&
		    now > work->jobs[i].deadline)
			kill(work->jobs[i].pid, SIGTERM);
}

/* Waits for any result; signals come in here and nowhere else. */
static void turn(struct work *work, const sigset_t *open)
{
	const struct timespec second = { 1, 0 };
	struct pollfd pollers[JOBS_MAX];
	unsigned count = 0;

	for (unsigned i = 0; i < work->limit; i++)
		pollers[count++] = (struct pollfd){ .events = POLLIN,
		    .fd = work->jobs[i].trial != NULL ? work->jobs[i].fd :
		    -1 };
	if (ppoll(pollers, count, &second, open) > 0)
		for (unsigned i = 0; i < work->limit; i++)
			if (pollers[i].revents != 0)
				read_result(&work->jobs[i]);
	end_overdue(work);
}

/* Fills free jobs with trials that wait. */
static void fill(struct work *work)
{
	size_t next = 0;

	for (unsigned i = 0; i < work->limit; i++) {
		while (work->jobs[i].trial == NULL) {
			while (next < work->count &&
			    work->trials[next].state != LAB_TRIAL_WAITING)
				next++;
			if (next == work->count)
				return;
			start(&work->jobs[i], &work->trials[next]);
		}
	}
}

static void catch_signals(sigset_t *before)
{
	const int numbers[] = { SIGINT, SIGTERM, SIGHUP };
	struct sigaction action = { .sa_handler = on_signal };
	sigset_t blocked;

	sigemptyset(&blocked);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		sigaddset(&blocked, numbers[i]);
		sigaction(numbers[i], &action, NULL);
	}
	sigprocmask(SIG_BLOCK, &blocked, before);
}

int lab_trials_run(struct lab_trial *trials, size_t count, unsigned jobs,
    void (*done)(void *arg, const struct lab_trial *trial), void *arg)
{
	struct work *work = mem_alloc(sizeof(*work));
	sigset_t before;
	size_t told = 0;

	work->trials = trials;
	work->count = count;
	work->limit = jobs > JOBS_MAX ? JOBS_MAX : jobs < 1 ? 1 : jobs;
	catch_signals(&before);
	while (told < count && told_to_stop == 0) {
		fill(work);
		while (told < count && trials[told].state == LAB_TRIAL_DONE)
			done(arg, &trials[told++]);
		if (told < count)
			turn(work, &before);
	}
	stop_all(work);
	mem_free(work);
	return told_to_stop;
}

void lab_trial_forget(struct lab_trial *trial)
{
	json_decref(trial->seen);
	json_decref(trial->twin);
	trial->seen = NULL;
	trial->twin = NULL;
}

void lab_trial_release(struct lab_trial *trial)
{
	lab_trial_forget(trial);
	mem_free(trial->verdicts);
	mem_free(trial->record);
	mem_free(trial->unavailable);
	mem_free(trial->problem);
}
