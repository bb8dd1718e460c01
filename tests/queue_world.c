/* SPDX-License-Identifier: ISC */
/*
 * Everything here waits for events with a deadline; nothing sleeps.
 */
#include "tests/queue_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/digest.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "base/process.h"
#include "conf/conf.h"
#include "queue/commit.h"
#include "queue/envelope.h"
#include "queue/queue.h"
#include "queue/store.h"

enum { FILL_A_TURN = 1000, SETTLE_FROM = 5, SETTLE_ROUNDS = 4, SETTLE_TURNS = 12 };

static struct queue *running;		/* null: none */

static const char basic_options[] =
    "hostname = mx.test\n"
    "postmaster = \"postmaster@mx.test\"\n"
    "queue-cache = 16M\n"
    "low-space = 1M\n"
    "domain local.test { users = \"*\" }\n"
    "domain mx.test { users = \"*\" }\n"
    "route discard.test { transport = discard }\n";

/* --- the loop --- */

struct waiting {
	bool		(*done)(void *arg);
	void		*arg;
	int64_t		 deadline;
	bool		 result;
	struct timer	 timer;
};

static void poll_condition(void *arg)
{
	struct waiting *waiting = arg;

	waiting->result = waiting->done(waiting->arg);
	if (waiting->result || clock_monotonic() >= waiting->deadline)
		loop_stop();
	else
		timer_start(&waiting->timer, 1, poll_condition, waiting);
}

bool world_wait(bool (*done)(void *arg), void *arg, int milliseconds)
{
	struct waiting waiting = { .done = done, .arg = arg,
	    .deadline = clock_monotonic() + milliseconds };

	timer_start(&waiting.timer, 0, poll_condition, &waiting);
	loop_run();
	timer_stop(&waiting.timer);
	return waiting.result;
}

static bool never(void *arg)
{
	(void)arg;
	return false;
}

static void on_durable(void *arg)
{
	*(bool *)arg = true;
}

static bool is_durable(void *arg)
{
	return *(bool *)arg;
}

/* What was written is safe, and whoever waited for that has had some turns to
 * do what comes then, however slow the disk and the machine are. */
static void settle(void)
{
	static bool durable;

	for (int round = 0; running != NULL && round < SETTLE_ROUNDS; round++) {
		durable = false;
		store_commit_durable(running->store, on_durable, &durable);
		world_wait(is_durable, &durable, 20000);
		for (int turn = 0; turn < SETTLE_TURNS; turn++)
			world_wait(never, NULL, 0);
	}
}

void world_turn(int milliseconds)
{
	world_wait(never, NULL, milliseconds);
	if (milliseconds >= SETTLE_FROM)
		settle();
}

/* --- life --- */

static int pair(int *other)
{
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK |
	    SOCK_CLOEXEC, 0, fds), 0);
	*other = fds[1];
	return fds[0];
}

static void take_job(void *arg, struct job *job)
{
	struct world *world = arg;

	world->taken++;
	if (world->on_job != NULL) {
		world->on_job(world, job);
		return;
	}
	assert_true(world->job_count < WORLD_JOBS);
	world->jobs[world->job_count++] = job;
}

static struct conf *make_conf(const struct world *world)
{
	char *text = mem_print("%s%s\n", basic_options, world->options);
	char *errors = NULL;
	struct conf *conf = conf_read("test.conf", text, &errors);

	if (conf == NULL)
		fail_msg("%s", errors);
	mem_free(text);
	mem_free(errors);
	return conf;
}

void world_start_queue(struct world *world)
{
	world->queue = queue_open(make_conf(world), world->directory);
	assert_non_null(world->queue);
	running = world->queue;
}

void world_stop_queue(struct world *world)
{
	running = NULL;
	queue_close(world->queue);
	world->queue = NULL;
}

static bool is_ready(void *arg)
{
	struct world *world = arg;

	return queue_client_is_connected(world->client) &&
	    queue_client_has_room(world->client, 0) &&
	    queue_client_next_id(world->client) != 0;
}

void world_connect_worker(struct world *world, enum destination_kind kind,
    unsigned slots)
{
	int other, fd = pair(&other);

	queue_connect(world->queue, kind == DESTINATION_MAILBOX ?
	    ROLE_MAILBOX : ROLE_DELIVERY, 0, fd);
	worker_connect(world->workers[kind], other, slots);
}

void world_drop_worker(struct world *world, enum destination_kind kind)
{
	worker_free(world->workers[kind]);
	world->workers[kind] = NULL;
	world->job_count = 0;
}

void world_new_worker(struct world *world, enum destination_kind kind)
{
	world->workers[kind] = worker_new(take_job, world);
	world_connect_worker(world, kind, 200);
}

void world_connect(struct world *world)
{
	int other, fd = pair(&other);

	queue_connect(world->queue, ROLE_SMTPD, 0, fd);
	queue_client_connect(world->client, other);
	for (int kind = 0; kind < DESTINATION_KINDS; kind++)
		world_connect_worker(world, (enum destination_kind)kind, 200);
	assert_true(world_wait(is_ready, world, 20000));
}

void world_open(struct world *world, const char *options)
{
	static bool started;

	memset(world, 0, sizeof(*world));
	if (!started) {
		log_init("test", getenv("VERBOSE") == NULL ?
		    LOG_LEVEL_ERROR : LOG_LEVEL_DEBUG);
		loop_init();
	}
	started = true;
	world->options = options;
	snprintf(world->directory, sizeof(world->directory), "%s/queueXXXXXX",
	    getenv("TMPDIR") == NULL ? "/tmp" : getenv("TMPDIR"));
	assert_non_null(mkdtemp(world->directory));
	world->client = queue_client_new();
	for (int kind = 0; kind < DESTINATION_KINDS; kind++)
		world->workers[kind] = worker_new(take_job, world);
	world_start_queue(world);
	world_connect(world);
}

static int remove_one(const char *path, const struct stat *status, int flag,
    struct FTW *walk)
{
	(void)status;
	(void)flag;
	(void)walk;
	return remove(path);
}

void world_close(struct world *world)
{
	if (world->queue != NULL)
		world_stop_queue(world);
	queue_client_free(world->client);
	for (int kind = 0; kind < DESTINATION_KINDS; kind++)
		worker_free(world->workers[kind]);
	world_turn(1);
	nftw(world->directory, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* --- mail --- */

static void on_answer(void *arg, const struct status *status, uint64_t id)
{
	struct world_answer *answer = arg;

	assert_false(answer->came);
	answer->came = true;
	answer->status = *status;
	answer->id = id;
}

static bool has_answer(void *arg)
{
	return ((struct world_answer *)arg)->came;
}

bool world_wait_answer(struct world_answer *answer)
{
	return world_wait(has_answer, answer, 30000);
}

static void add_recipients(struct envelope *envelope, struct arena *arena,
    const char *recipients)
{
	char *copy = mem_dup_string(recipients), *rest = copy, *one;

	while ((one = strsep(&rest, " ")) != NULL)
		envelope_add_recipient(envelope, arena, one, NULL, 0);
	mem_free(copy);
}

void world_submit(struct world *world, const char *sender,
    const char *recipients, const char *body, struct world_answer *answer)
{
	struct arena *arena = arena_new(64 << 20);
	struct envelope *envelope = envelope_new(arena);
	struct submission *submission;

	memset(answer, 0, sizeof(*answer));
	envelope->sender = arena_dup_string(arena, sender);
	envelope->flags = world->envelope_flags;
	if (world->user != NULL)
		envelope->user = arena_dup_string(arena, world->user);
	envelope->prefix = arena_dup_string(arena, "Received: by test\r\n");
	envelope->prefix_length = strlen(envelope->prefix);
	add_recipients(envelope, arena, recipients);
	submission = submission_begin(world->client,
	    queue_client_next_id(world->client), envelope, NULL, NULL);
	submission_data(submission, body, strlen(body));
	submission_end(submission, world->end_flags, on_answer, answer);
	arena_free(arena);
}

uint64_t world_send(struct world *world, const char *sender,
    const char *recipients, const char *body)
{
	struct world_answer answer;

	world_submit(world, sender, recipients, body, &answer);
	assert_true(world_wait_answer(&answer));
	return answer.status.outcome == STATUS_RELAYED ? answer.id : 0;
}

void world_fill(struct world *world, int count)
{
	for (int i = 0; i < count; i++) {
		struct arena *arena = arena_new(1 << 20);
		struct envelope *envelope = envelope_new(arena);
		struct commit_message message = {
			.id = queue_take_id(world->queue),
			.envelope = envelope, .arrival = clock_wall(),
			.body_length = 3, .rest = "x\r\n", .rest_length = 3 };
		char to[64];

		digest_of("x\r\n", 3, message.digest);
		envelope->sender = arena_dup_string(arena, "a@sender.test");
		snprintf(to, sizeof(to), "b@d%d.test", i % 500);
		envelope_add_recipient(envelope, arena, to, NULL, 0);
		commit_accept(world->queue->commit, &message, arena, NULL,
		    NULL);
		if (i % FILL_A_TURN == FILL_A_TURN - 1)
			world_turn(0);
	}
	world_turn(100);
}

struct job_wait {
	struct world	*world;
	size_t		 count;
};

static bool has_jobs(void *arg)
{
	struct job_wait *wait = arg;

	return wait->world->job_count >= wait->count;
}

bool world_wait_jobs(struct world *world, size_t count)
{
	struct job_wait wait = { world, count };

	return world_wait(has_jobs, &wait, 30000);
}

void world_finish(struct world *world, size_t i, const struct status *status)
{
	struct job *job = world->jobs[i];
	size_t count = job->recipient_count;
	struct status *statuses = mem_alloc_array(count, sizeof(*statuses));

	for (size_t n = 0; n < count; n++)
		statuses[n] = *status;
	world->jobs[i] = world->jobs[--world->job_count];
	worker_finish(job, statuses, false);
	mem_free(statuses);
}

void world_delivered(struct status *status)
{
	status_from_reply(status, 250, "2.0.0 ok");
	status_set_host(status, "mx.remote.test", "192.0.2.7");
}

void world_refused(struct status *status)
{
	status_from_reply(status, 550, "5.1.1 no such user");
	status_set_host(status, "mx.remote.test", "192.0.2.7");
}

/* --- looking --- */

static size_t count_rows(struct world *world, enum store_table table)
{
	struct store_page page = { 0 };
	unsigned char key[STORE_KEY_MAX];
	struct store_scan scan = { .table = table, .max_rows = 1000,
	    .max_bytes = 1 << 20, .keys_only = true };
	size_t count = 0;

	do {
		store_scan(world->queue->store, &scan, &page);
		count += page.count;
		if (page.count > 0) {
			struct store_bytes last =
			    page.rows[page.count - 1].key;

			memcpy(key, last.data, last.length);
			scan.from = (struct store_bytes){ key, last.length };
			scan.after = true;
		}
	} while (page.more);
	store_page_release(&page);
	return count;
}

size_t world_count_messages(struct world *world)
{
	return count_rows(world, STORE_MESSAGES);
}

size_t world_count_schedule(struct world *world)
{
	return count_rows(world, STORE_SCHEDULE);
}

size_t world_count_slices(struct world *world)
{
	return count_rows(world, STORE_SLICES);
}

static bool is_empty(void *arg)
{
	struct world *world = arg;

	return world_count_messages(world) == 0;
}

bool world_wait_empty(struct world *world)
{
	return world_wait(is_empty, world, 20000);
}

/* --- commands --- */

struct command {
	int	 fd;
	char	*text;		/* owned */
	size_t	 length, size;
	bool	 ended;
};

static bool read_command(void *arg)
{
	struct command *command = arg;
	ssize_t got;

	for (;;) {
		if (command->size - command->length < 65536) {
			command->size += 1 << 20;
			command->text = mem_resize(command->text,
			    command->size, 1);
		}
		got = read(command->fd, command->text + command->length,
		    65536);
		if (got > 0)
			command->length += (size_t)got;
		else
			break;
	}
	command->ended = got == 0;
	return command->ended;
}

static int parse_lines(struct command *command, json_t *lines)
{
	char *rest = command->text, *line;
	int code = -1;

	command->text[command->length] = '\0';
	while ((line = strsep(&rest, "\n")) != NULL && *line != '\0') {
		json_error_t error;
		json_t *object = json_loads(line, 0, &error);

		assert_non_null(object);
		if (json_object_get(object, "end") != NULL)
			code = (int)json_integer_value(
			    json_object_get(object, "end"));
		json_array_append_new(lines, object);
	}
	return code;
}

int world_command(struct world *world, const char *verb,
    const char *arguments, bool privileged, json_t **out)
{
	struct command command = { 0 };
	struct process_caller caller = { .uid = 1234,
	    .privileged = privileged };
	char *request = mem_print("{\"verb\":\"%s\",\"arguments\":%s}\n", verb,
	    arguments);
	json_t *lines = json_array();
	int fd = pair(&command.fd), code;

	queue_control(world->queue, fd, &caller);
	assert_int_equal(write(command.fd, request, strlen(request)),
	    (ssize_t)strlen(request));
	mem_free(request);
	assert_true(world_wait(read_command, &command, 60000));
	code = parse_lines(&command, lines);
	close(command.fd);
	mem_free(command.text);
	if (out != NULL)
		*out = lines;
	else
		json_decref(lines);
	return code;
}
