/* SPDX-License-Identifier: ISC */
/*
 * Jobs and their results over real channels and a real store: dispatch.c,
 * results.c, slice.c, schedule.c, worker.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/loop.h"
#include "base/mem.h"
#include "conf/conf.h"
#include "queue/dispatch.h"
#include "queue/envelope.h"
#include "queue/queue.h"
#include "queue/record.h"
#include "queue/results.h"
#include "queue/rows.h"
#include "queue/schedule.h"
#include "queue/selector.h"
#include "queue/slice.h"
#include "queue/store.h"
#include "tests/queue_world.h"

static struct world world;

static int setup(void **state)
{
	(void)state;
	world_open(&world, "retry-first = 1s\nretry-max = 2s\n"
	    "message-expiry = 1h");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	world_close(&world);
	return 0;
}

static struct record_slice *read_slice(struct arena *arena, uint64_t id,
    uint32_t number)
{
	return rows_find_slice(world.queue->store, id, number, arena);
}

/* --- what a job says --- */

static void test_job(void **state)
{
	uint64_t id = world_send(&world, "a@sender.test",
	    "b@remote.test c@remote.test", "Subject: x\r\n\r\nbody\r\n");
	struct job *job;

	(void)state;
	assert_true(world_wait_jobs(&world, 1));
	job = world.jobs[0];
	assert_true(job->message == id);
	assert_int_equal(job->recipient_count, 2);
	assert_string_equal(job->recipients[0].address, "b@remote.test");
	assert_string_equal(job->recipients[1].address, "c@remote.test");
	assert_string_equal(job->domain, "remote.test");
	assert_string_equal(job->sender, "a@sender.test");
	assert_string_equal(job->prefix, "Received: by test\r\n");
	assert_int_equal(job->body_length, 20);
	assert_memory_equal(job->body, "Subject: x\r\n\r\nbody\r\n", 20);
	assert_int_equal(job->attempt, 1);
	assert_int_equal(job->next.transport, TRANSPORT_SMTP);
	assert_true(job->next.mx);
}

static void test_kinds(void **state)
{
	int seen[3] = { 0 };

	(void)state;
	world_send(&world, "a@sender.test",
	    "b@remote.test c@local.test d@discard.test", "x\r\n");
	assert_true(world_wait_jobs(&world, 3));
	for (size_t i = 0; i < 3; i++) {
		struct job *job = world.jobs[i];

		seen[job->next.transport]++;
		assert_true(job->worker == world.workers[job->next.transport
		    == TRANSPORT_MAILDIR ? DESTINATION_MAILBOX :
		    DESTINATION_DELIVERY]);
		/* What is thrown away is not sent over. */
		assert_true((job->body == NULL) ==
		    (job->next.transport == TRANSPORT_DISCARD));
	}
	assert_true(seen[0] == 1 && seen[1] == 1 && seen[2] == 1);
}

/* --- results --- */

static void test_delivered(void **state)
{
	struct status status;

	(void)state;
	world_delivered(&status);
	world_send(&world, "a@sender.test", "b@one.test c@two.test", "x\r\n");
	assert_true(world_wait_jobs(&world, 2));
	world_finish(&world, 1, &status);
	world_turn(50);
	/* The other domain keeps the message. */
	assert_int_equal(world_count_messages(&world), 1);
	assert_int_equal(world_count_slices(&world), 1);
	world_finish(&world, 0, &status);
	assert_true(world_wait_empty(&world));
	assert_int_equal(world_count_slices(&world), 0);
	assert_int_equal(world_count_schedule(&world), 0);
}

static void on_settled(void *arg)
{
	*(bool *)arg = true;
}

static bool is_set(void *arg)
{
	return *(bool *)arg;
}

/* The worker keeps a result until it is durable. */
static void test_settled(void **state)
{
	struct status status;
	bool settled = false;

	(void)state;
	world_delivered(&status);
	world_send(&world, "a@sender.test", "b@one.test", "x\r\n");
	assert_true(world_wait_jobs(&world, 1));
	world_finish(&world, 0, &status);
	worker_when_settled(world.workers[DESTINATION_DELIVERY], on_settled,
	    &settled);
	assert_false(settled);
	assert_true(world_wait(is_set, &settled, 20000));
	assert_int_equal(world_count_messages(&world), 0);
}

/* Who stops does not wait for a queue that has gone: no other one comes. */
static void test_settled_without_queue(void **state)
{
	struct status status;
	bool settled = false;

	(void)state;
	world_delivered(&status);
	world_send(&world, "a@sender.test", "b@one.test", "x\r\n");
	assert_true(world_wait_jobs(&world, 1));
	world_finish(&world, 0, &status);
	worker_when_settled(world.workers[DESTINATION_DELIVERY], on_settled,
	    &settled);
	world_stop_queue(&world);
	assert_false(settled);
	assert_true(world_wait(is_set, &settled, 5000));
	settled = false;
	worker_when_settled(world.workers[DESTINATION_DELIVERY], on_settled,
	    &settled);
	assert_true(world_wait(is_set, &settled, 5000));
}

static void deferred(struct status *status)
{
	status_from_reply(status, 450, "4.2.2 mailbox full");
	status_set_host(status, "mx.remote.test", "192.0.2.7");
}

static void test_deferred(void **state)
{
	struct arena *arena = arena_new(RECORD_ARENA_MAX);
	struct record_slice *slice;
	struct status status;
	uint64_t id = world_send(&world, "a@sender.test",
	    "b@one.test c@one.test", "x\r\n");

	(void)state;
	deferred(&status);
	assert_true(world_wait_jobs(&world, 1));
	world_finish(&world, 0, &status);
	world_turn(100);
	slice = read_slice(arena, id, 0);
	assert_non_null(slice);
	assert_int_equal(slice->attempt, 1);
	assert_int_equal(slice->recipient_count, 2);
	assert_int_equal(slice->recipients[0].status->code, 450);
	assert_true(slice->due > clock_wall());
	assert_int_equal(world_count_schedule(&world), 1);
	/* Comes again by itself. */
	assert_true(world_wait_jobs(&world, 1));
	assert_int_equal(world.jobs[0]->attempt, 2);
	world_delivered(&status);
	world_finish(&world, 0, &status);
	assert_true(world_wait_empty(&world));
	arena_free(arena);
}

/* Some delivered, some deferred, some failed: each goes its own way. */
static void test_mixed(void **state)
{
	struct arena *arena = arena_new(RECORD_ARENA_MAX);
	struct status statuses[3];
	struct record_slice *slice;
	uint64_t id = world_send(&world, "a@sender.test",
	    "b@one.test c@one.test d@one.test", "x\r\n");

	(void)state;
	world_delivered(&statuses[0]);
	deferred(&statuses[1]);
	world_refused(&statuses[2]);
	assert_true(world_wait_jobs(&world, 1));
	worker_finish(world.jobs[0], statuses, true);
	world.job_count = 0;
	/* A notification to the sender is the next job. */
	assert_true(world_wait_jobs(&world, 1));
	assert_string_equal(world.jobs[0]->sender, "");
	assert_string_equal(world.jobs[0]->recipients[0].address,
	    "a@sender.test");
	slice = read_slice(arena, id, 0);
	assert_int_equal(slice->recipient_count, 1);
	assert_int_equal(slice->recipients[0].index, 1);
	assert_true(slice->tls_trouble_since > 0);
	arena_free(arena);
}

/* What the sender is told when the last attempt ended so. */
static void expire_after(const struct status *status, const char *code,
    const char *words)
{
	struct slice slice;
	uint64_t id = world_send(&world, "a@sender.test", "b@one.test",
	    "x\r\n");

	assert_true(world_wait_jobs(&world, 1));
	assert_int_equal(slice_load(&slice, world.queue, id, 0), 0);
	slice.record->arrival -= 2 * 3600 * 1000;
	slice_save(&slice);
	world_finish(&world, 0, status);
	assert_true(world_wait_jobs(&world, 1));
	assert_string_equal(world.jobs[0]->sender, "");
	assert_non_null(strstr(world.jobs[0]->body, code));
	assert_non_null(strstr(world.jobs[0]->body, words));
	assert_int_equal(world_count_messages(&world), 1);
}

/* RFC 5321 4.5.4.1, SMTP-159: given up after message-expiry. */
static void test_expired(void **state)
{
	struct status status;

	(void)state;
	status_from_reply(&status, 451, "4.3.0 not now");
	expire_after(&status, "Status: 5.4.7", "not now");
}

/* SMTP-115: whose mailbox was full all the time has its own code. */
static void test_expired_full(void **state)
{
	struct status status;

	(void)state;
	deferred(&status);
	expire_after(&status, "Status: 5.2.2", "mailbox full");
}

/* A pause gives nothing up: what is too old is tried when it ends. */
static void test_expired_paused(void **state)
{
	struct slice slice;
	struct status status;
	uint64_t id;

	(void)state;
	id = world_send(&world, "a@sender.test", "b@one.test", "x\r\n");
	assert_true(world_wait_jobs(&world, 1));
	assert_int_equal(slice_load(&slice, world.queue, id, 0), 0);
	slice.record->arrival -= 2 * 3600 * 1000;
	slice_save(&slice);
	status_set(&status, STATUS_DEFERRED, REASON_PAUSED, "4.3.2",
	    "the host is paused");
	world_finish(&world, 0, &status);
	world_turn(50);
	assert_int_equal(world.job_count, 0);
	assert_int_equal(world_count_messages(&world), 1);
	assert_int_equal(slice_load(&slice, world.queue, id, 0), 0);
	assert_int_equal(slice.record->recipient_count, 1);
	assert_true(slice.record->due > clock_wall());
	/* Now it is over, and the host is not well. */
	slice_retry(&slice, clock_wall());
	slice_save(&slice);
	assert_true(world_wait_jobs(&world, 1));
	status_from_reply(&status, 451, "4.3.0 not now");
	world_finish(&world, 0, &status);
	assert_true(world_wait_jobs(&world, 1));
	assert_string_equal(world.jobs[0]->sender, "");
	assert_int_equal(world_count_messages(&world), 1);
}

/* --- the same result twice, results of earlier queues --- */

static void apply(uint64_t job, uint64_t message, const struct status *status)
{
	struct result_item item = { 0, status };
	struct results results = { .job = job, .message = message,
	    .items = &item, .count = 1 };

	results_apply(world.queue, &results, NULL);
	world_turn(20);
}

static void test_idempotent(void **state)
{
	struct arena *arena = arena_new(RECORD_ARENA_MAX);
	struct status status;
	uint64_t id;

	(void)state;
	id = world_send(&world, "a@sender.test", "b@one.test", "x\r\n");
	deferred(&status);
	apply(1234, id, &status);
	apply(1234, id, &status);
	assert_int_equal(read_slice(arena, id, 0)->attempt, 1);
	apply(1235, id, &status);
	assert_int_equal(read_slice(arena, id, 0)->attempt, 2);
	world_delivered(&status);
	apply(1236, id, &status);
	assert_int_equal(world_count_messages(&world), 0);
	apply(1236, id, &status);
	world_refused(&status);		/* nobody is told of a second end */
	apply(1237, id, &status);
	assert_int_equal(world_count_messages(&world), 0);
	arena_free(arena);
}

/* The queue dies while delivery is at work: the job is not handed out again,
 * and the result goes to the new queue. */
static void test_queue_restart(void **state)
{
	struct status status;

	(void)state;
	world_delivered(&status);
	world_send(&world, "a@sender.test", "b@one.test", "x\r\n");
	world_send(&world, "a@sender.test", "b@two.test", "x\r\n");
	assert_true(world_wait_jobs(&world, 2));
	world_stop_queue(&world);
	world_finish(&world, 1, &status);	/* while nobody listens */
	world_start_queue(&world);
	world_connect(&world);
	world_turn(200);
	assert_int_equal(world.taken, 2);
	assert_int_equal(world_count_messages(&world), 1);
	world_finish(&world, 0, &status);
	assert_true(world_wait_empty(&world));
	assert_int_equal(world.taken, 2);
}

static void answer_all(struct world *w, struct job *job)
{
	struct status status;

	(void)w;
	world_delivered(&status);
	worker_finish(job, &status, false);
}

/* Delivery starts anew, knowing nothing. */
static void new_worker(void)
{
	world_new_worker(&world, DESTINATION_DELIVERY);
}

/* After a restart everything is found through the schedule. */
static void test_found_again(void **state)
{
	enum { COUNT = 300 };
	struct world_answer *answers = mem_alloc_array(COUNT,
	    sizeof(*answers));

	(void)state;
	world_drop_worker(&world, DESTINATION_DELIVERY);
	for (int i = 0; i < COUNT; i++) {
		char to[64];

		snprintf(to, sizeof(to), "b@d%d.test", i % 7);
		world_submit(&world, "a@sender.test", to, "x\r\n",
		    &answers[i]);
	}
	for (int i = 0; i < COUNT; i++)
		assert_true(world_wait_answer(&answers[i]));
	mem_free(answers);
	assert_int_equal(world.taken, 0);
	world_stop_queue(&world);
	world_start_queue(&world);
	world.on_job = answer_all;
	new_worker();
	assert_true(world_wait_empty(&world));
	assert_int_equal(world.taken, COUNT);
	assert_int_equal(world_count_schedule(&world), 0);
}

/* Delivery dies: its jobs go to the next one. */
static void test_worker_restart(void **state)
{
	struct status status;

	(void)state;
	world_delivered(&status);
	world_send(&world, "a@sender.test", "b@one.test", "x\r\n");
	assert_true(world_wait_jobs(&world, 1));
	world_drop_worker(&world, DESTINATION_DELIVERY);
	world_turn(20);
	assert_int_equal(dispatch_open(world.queue->dispatch), 0);
	new_worker();
	assert_true(world_wait_jobs(&world, 1));
	/* It may be the message that kills it: the next time comes later. */
	world_drop_worker(&world, DESTINATION_DELIVERY);
	new_worker();
	world_turn(300);
	assert_int_equal(world.job_count, 0);
	assert_true(world_wait_jobs(&world, 1));
	world_finish(&world, 0, &status);
	assert_true(world_wait_empty(&world));
}

/* --- bodies --- */

struct reading {
	struct job	*job;
	struct buf	 data;
	bool		 done, failed;
};

static void on_body(void *arg, const void *data, size_t length, bool failed)
{
	struct reading *reading = arg;

	buf_add(&reading->data, data, length);
	reading->failed = failed;
	if (failed || buf_length(&reading->data) ==
	    reading->job->body_length || length == 0)
		reading->done = true;
	else
		worker_read(reading->job, buf_length(&reading->data), on_body,
		    reading);
}

static void on_tail(void *arg, const void *data, size_t length, bool failed)
{
	struct reading *reading = arg;

	assert_false(failed);
	buf_add(&reading->data, data, length);
	reading->done = true;
}

static bool reading_is_done(void *arg)
{
	return ((struct reading *)arg)->done;
}

static char *large_body(size_t size)
{
	char *body = mem_alloc(size + 1);

	for (size_t i = 0; i < size; i++)
		body[i] = (char)('a' + i / 1000 % 26);
	return body;
}

static void test_read(void **state)
{
	enum { SIZE = 200000 };
	char *body = large_body(SIZE);
	struct reading reading = { 0 };

	(void)state;
	world_send(&world, "a@sender.test", "b@one.test", body);
	assert_true(world_wait_jobs(&world, 1));
	reading.job = world.jobs[0];
	assert_null(reading.job->body);
	assert_int_equal(reading.job->body_length, SIZE);
	buf_init(&reading.data, SIZE * 2);
	worker_read(reading.job, 0, on_body, &reading);
	assert_true(world_wait(reading_is_done, &reading, 20000));
	assert_false(reading.failed);
	assert_int_equal(buf_length(&reading.data), SIZE);
	assert_memory_equal(buf_data(&reading.data), body, SIZE);
	/* From the middle as well: the rest is checked for it. */
	buf_reset(&reading.data);
	reading.done = false;
	worker_read(reading.job, SIZE - 10, on_tail, &reading);
	assert_true(world_wait(reading_is_done, &reading, 20000));
	assert_int_equal(buf_length(&reading.data), 10);
	buf_release(&reading.data);
	mem_free(body);
}

/* A reader whose queue goes away hears of it. */
static void test_read_lost(void **state)
{
	char *body = large_body(200000);
	struct reading reading = { 0 };

	(void)state;
	world_send(&world, "a@sender.test", "b@one.test", body);
	assert_true(world_wait_jobs(&world, 1));
	reading.job = world.jobs[0];
	buf_init(&reading.data, 400000);
	world_stop_queue(&world);
	worker_read(reading.job, 0, on_body, &reading);
	assert_false(reading.done);
	assert_true(world_wait(reading_is_done, &reading, 20000));
	assert_true(reading.failed);
	buf_release(&reading.data);
	mem_free(body);
}

/* The body in the store becomes another one of the same length: only our own
 * digest can tell. */
static void damage(uint64_t id, size_t length)
{
	struct store *store = world.queue->store;
	char *body = large_body(length);

	body[length / 2] ^= 1;
	store_body_delete(store, id, length);
	store_body_put(store, id, (struct store_bytes){ body, length });
	mem_free(body);
}

static void check_quarantine(uint64_t id)
{
	struct arena *arena = arena_new(RECORD_ARENA_MAX);
	struct record_slice *slice = read_slice(arena, id, 0);

	assert_non_null(slice);
	assert_int_equal(slice->flags & (SLICE_HELD | SLICE_DAMAGED),
	    SLICE_HELD | SLICE_DAMAGED);
	assert_string_equal(slice->held_reason,
	    "the stored message is damaged");
	assert_int_equal(world_count_schedule(&world), 0);
	arena_free(arena);
}

static void test_damaged_small(void **state)
{
	struct status status;
	char *body = large_body(5000);
	uint64_t id = world_send(&world, "a@sender.test", "b@one.test", body);

	(void)state;
	assert_true(world_wait_jobs(&world, 1));
	damage(id, 5000);
	deferred(&status);
	world_finish(&world, 0, &status);
	world_turn(2000);
	assert_int_equal(world.job_count, 0);	/* it never left the house */
	check_quarantine(id);
	mem_free(body);
}

static void test_damaged_large(void **state)
{
	enum { SIZE = 200000 };
	struct reading reading = { 0 };
	struct status status;
	char *body = large_body(SIZE);
	uint64_t id = world_send(&world, "a@sender.test", "b@one.test", body);

	(void)state;
	assert_true(world_wait_jobs(&world, 1));
	damage(id, SIZE);
	reading.job = world.jobs[0];
	buf_init(&reading.data, SIZE * 2);
	worker_read(reading.job, 0, on_body, &reading);
	assert_true(world_wait(reading_is_done, &reading, 20000));
	assert_true(reading.failed);
	/* The end was never handed out, so no final dot can have been sent. */
	assert_true(buf_length(&reading.data) < SIZE);
	deferred(&status);
	world_finish(&world, 0, &status);
	world_turn(100);
	check_quarantine(id);
	buf_release(&reading.data);
	mem_free(body);
}

/* --- destinations --- */

static void dead(struct status *status)
{
	status_set(status, STATUS_DEFERRED, REASON_CONNECT, "4.4.1",
	    "connection refused");
}

/* A dead host gets a probe now and then, and the others do not wait. */
static void test_dead_destination(void **state)
{
	struct status status;
	struct destination *destination;
	uint64_t tries;

	(void)state;
	for (int i = 0; i < 60; i++)
		world_send(&world, "a@sender.test", "b@dead.test", "x\r\n");
	dead(&status);
	while (world.job_count > 0)
		world_finish(&world, 0, &status);
	world_turn(50);
	while (world.job_count > 0)
		world_finish(&world, 0, &status);
	world_turn(50);
	destination = destination_find(schedule_destinations(
	    world.queue->schedule), "dead.test", LANE_COMMON);
	assert_non_null(destination);
	assert_true(destination_is_resting(destination, clock_wall()));
	tries = world.taken;
	for (int i = 0; i < 20; i++)
		world_send(&world, "a@sender.test", "b@dead.test", "x\r\n");
	assert_int_equal(world.taken, tries);
	world_send(&world, "a@sender.test", "b@alive.test", "x\r\n");
	assert_true(world_wait_jobs(&world, 1));
	assert_string_equal(world.jobs[0]->domain, "alive.test");
}

/* When it is back, all of it goes out: nothing was forgotten. */
static void test_destination_recovers(void **state)
{
	enum { COUNT = 400 };
	struct world_answer *answers = mem_alloc_array(COUNT,
	    sizeof(*answers));
	struct status status;

	(void)state;
	dead(&status);
	for (int i = 0; i < COUNT; i++)
		world_submit(&world, "a@sender.test", "b@dead.test", "x\r\n",
		    &answers[i]);
	for (int i = 0; i < COUNT; i++)
		assert_true(world_wait_answer(&answers[i]));
	for (int i = 0; i < 5; i++) {
		while (world.job_count > 0)
			world_finish(&world, 0, &status);
		world_turn(20);
	}
	world.on_job = answer_all;
	assert_true(world_wait_empty(&world));
	assert_int_equal(world_count_schedule(&world), 0);
	mem_free(answers);
}

static void test_backoff(void **state)
{
	struct conf conf = { .retry_first = 300, .retry_max = 14400 };
	static const int64_t expected[] = { 300, 600, 1200, 2400, 4800, 9600,
	    14400, 14400, 14400 };

	(void)state;
	for (unsigned n = 1; n <= sizeof(expected) / sizeof(expected[0]);
	    n++) {
		int64_t least = expected[n - 1] * 900;
		int64_t most = expected[n - 1] * 1100;
		bool varies = false;
		int64_t first = destination_backoff(&conf, n);

		for (int i = 0; i < 50; i++) {
			int64_t wait = destination_backoff(&conf, n);

			assert_true(wait >= least && wait <= most);
			varies = varies || wait != first;
		}
		assert_true(varies);
	}
	assert_true(destination_backoff(&conf, 4000000000u) <= 15840000);
}

static void test_blame(void **state)
{
	struct status status;

	(void)state;
	deferred(&status);
	assert_false(destination_is_blamed(&status));
	dead(&status);
	assert_true(destination_is_blamed(&status));
	status_from_reply(&status, 421, "4.3.2 closing");
	assert_true(destination_is_blamed(&status));
	world_refused(&status);
	assert_false(destination_is_blamed(&status));
	/* What a host shows of TLS is the host's; what a sender demands, or a
	 * policy leaves out, is not. */
	for (int reason = 0; reason < STATUS_REASONS; reason++) {
		status_set(&status, STATUS_DEFERRED, reason, "4.7.5", "x");
		switch (reason) {
		case REASON_STS_MX: case REASON_REQUIRETLS:
			assert_false(destination_is_blamed(&status));
			break;
		default:
			if (status_is_about_tls(&status))
				assert_true(destination_is_blamed(&status));
		}
		status.outcome = STATUS_FAILED;
		assert_false(destination_is_blamed(&status));
	}
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_job),
		TEST(test_kinds),
		TEST(test_delivered),
		TEST(test_settled),
		TEST(test_settled_without_queue),
		TEST(test_deferred),
		TEST(test_mixed),
		TEST(test_expired),
		TEST(test_expired_full),
		TEST(test_expired_paused),
		TEST(test_idempotent),
		TEST(test_queue_restart),
		TEST(test_found_again),
		TEST(test_worker_restart),
		TEST(test_read),
		TEST(test_read_lost),
		TEST(test_damaged_small),
		TEST(test_damaged_large),
		TEST(test_dead_destination),
		TEST(test_destination_recovers),
		cmocka_unit_test(test_backoff),
		cmocka_unit_test(test_blame),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
