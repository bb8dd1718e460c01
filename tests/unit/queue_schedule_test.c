/* SPDX-License-Identifier: ISC */
/*
 * schedule.c and destination.c: the window stays bounded, destinations take
 * turns, a dead one stops nobody, and no row is ever forgotten.
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
#include "base/digest.h"
#include "base/loop.h"
#include "base/mem.h"
#include "base/wire.h"
#include "conf/conf.h"
#include "queue/commit.h"
#include "queue/envelope.h"
#include "queue/message.h"
#include "queue/queue.h"
#include "queue/record.h"
#include "queue/results.h"
#include "queue/rows.h"
#include "queue/schedule.h"
#include "queue/slice.h"
#include "queue/store.h"
#include "tests/queue_world.h"

static struct world world;
static bool dead_is_up;
static enum status_reason dead_reason;
static uint64_t alive_count, alive_wanted, dead_count, dead_tries, notified;
static size_t window_most;
static uint32_t commit_flags;		/* of messages to come */

static void answer(struct world *w, struct job *job)
{
	struct status status;
	size_t window = schedule_window(w->queue->schedule);

	window_most = window > window_most ? window : window_most;
	world_delivered(&status);
	if (strcmp(job->domain, "dead.test") != 0) {
		if (++alive_count == alive_wanted)
			loop_stop();
		notified += job->sender[0] == '\0';
	} else if (dead_is_up) {
		dead_count++;
	} else {
		dead_tries++;
		status_set(&status, STATUS_DEFERRED, dead_reason, "4.4.1",
		    "connection refused");
	}
	worker_finish(job, &status, false);
}

static int setup(void **state)
{
	(void)state;
	dead_is_up = false;
	dead_reason = REASON_CONNECT;
	alive_count = alive_wanted = dead_count = dead_tries = notified = 0;
	window_most = 0;
	commit_flags = 0;
	world_open(&world, "active-messages = 100\nretry-first = 1s\n"
	    "retry-max = 1s\nmessage-expiry = 1h\nbounce-expiry = 1h");
	world.on_job = answer;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	world_close(&world);
	return 0;
}

static struct envelope *new_envelope(struct arena *arena, unsigned sender)
{
	struct envelope *envelope = envelope_new(arena);

	envelope->sender = arena_print(arena, "a%u@sender.test", sender);
	envelope->flags = commit_flags;
	return envelope;
}

/* Straight into the store, as if it had arrived so long ago. */
static void commit_envelope(struct envelope *envelope, struct arena *arena,
    int64_t age_seconds)
{
	static uint64_t old_ids;
	int64_t arrival = clock_wall() - age_seconds * 1000;
	struct commit_message message = { .envelope = envelope,
	    .arrival = arrival, .body_length = 3, .rest = "x\r\n",
	    .rest_length = 3 };

	message.id = age_seconds == 0 ? queue_take_id(world.queue) :
	    ((uint64_t)(arrival / 1000) << 20) + old_ids++;
	digest_of("x\r\n", 3, message.digest);
	commit_accept(world.queue->commit, &message, arena, NULL, NULL);
}

static void commit_from(unsigned sender, const char *to, int64_t age_seconds)
{
	struct arena *arena = arena_new(1 << 20);
	struct envelope *envelope = new_envelope(arena, sender);

	envelope_add_recipient(envelope, arena, to, NULL, 0);
	commit_envelope(envelope, arena, age_seconds);
}

static void commit(const char *to, int64_t age_seconds)
{
	commit_from(0, to, age_seconds);
}

static bool is_all_gone(void *arg)
{
	(void)arg;
	return world_count_messages(&world) == 0;
}

static void commit_many(const char *to, int count)
{
	for (int i = 0; i < count; i++) {
		commit(to, 0);
		if (i % 100 == 99)
			world_turn(0);
	}
}

static bool alive_is_done(void *arg)
{
	return alive_count >= *(uint64_t *)arg;
}

/* 1,000 messages for a dead host, ten windows full; then some for others. */
static void test_dead_fills_nothing(void **state)
{
	uint64_t expected = 300;

	(void)state;
	commit_many("b@dead.test", 1000);
	world_turn(200);
	assert_true(dead_tries < 100);
	commit_many("b@alive.test", 300);
	assert_true(world_wait(alive_is_done, &expected, 20000));
	assert_true(window_most <= 100);
	world_turn(200);
	/* Then it comes back. */
	assert_int_equal(world_count_messages(&world), 1000);
	dead_is_up = true;
	assert_true(world_wait_empty(&world));
	assert_int_equal(dead_count, 1000);
	assert_true(window_most <= 100);
	assert_int_equal(world_count_schedule(&world), 0);
}

/* The same over a restart, with nothing in memory to begin with. */
static void test_backlog_after_restart(void **state)
{
	uint64_t expected = 500;

	(void)state;
	world_drop_worker(&world, DESTINATION_DELIVERY);
	commit_many("b@dead.test", 500);
	commit_many("b@alive.test", 500);
	world_stop_queue(&world);
	world_start_queue(&world);
	world_new_worker(&world, DESTINATION_DELIVERY);
	assert_true(world_wait(alive_is_done, &expected, 20000));
	dead_is_up = true;
	assert_true(world_wait_empty(&world));
	assert_int_equal(dead_count, 500);
}

static void flap(struct world *w, struct job *job)
{
	struct status status;

	world_delivered(&status);
	if (rand() % 4 == 0)
		status_set(&status, STATUS_DEFERRED, rand() % 2 ?
		    REASON_TIMEOUT : REASON_REPLY, "4.4.1", "not now");
	(void)w;
	worker_finish(job, &status, false);
}

/* Hosts that come and go at random, a full window, holds and releases: in the
 * end everything is gone, and no row was forgotten on the way. */
static void test_flapping(void **state)
{
	char to[64];

	(void)state;
	srand(7);
	world.on_job = flap;
	for (int i = 0; i < 1500; i++) {
		snprintf(to, sizeof(to), "b@d%d.test", rand() % 12);
		commit(to, 0);
		if (i % 50 == 49)
			world_turn(1);
		if (i % 500 == 499)
			world_command(&world, i % 1000 == 999 ? "release" :
			    "hold", "{\"domain\":\"d3.test\"}", true, NULL);
	}
	world_command(&world, "release", "{\"all\":true}", true, NULL);
	assert_true(world_wait_empty(&world));
	assert_int_equal(world_count_slices(&world), 0);
	assert_int_equal(world_count_schedule(&world), 0);
	assert_int_equal(schedule_window(world.queue->schedule), 0);
}

/* --- whatever happens, no row is lost --- */

enum { MODEL_DOMAINS = 12, MODEL_SENDERS = 5 };

static unsigned failing;	/* bits: domains whose host is down */
static bool at_end;
static size_t places_most;	/* destinations remembered; 0: as many as ever */

/* Some hosts are down, some answer in part, and some jobs never end: their
 * worker dies. */
static void answer_by_model(struct world *w, struct job *job)
{
	struct status status;
	int domain = (int)strtol(job->domain + 1, NULL, 10);

	world_delivered(&status);
	if (failing >> domain & 1)
		status_set(&status, STATUS_DEFERRED, REASON_CONNECT, "4.4.1",
		    "no answer");
	else if (!at_end && rand() % 8 == 0)
		status_set(&status, STATUS_DEFERRED, REASON_REPLY, "4.2.1",
		    "greylisted");
	if (!at_end && rand() % 50 == 0)
		w->jobs[w->job_count++] = job;
	else
		worker_finish(job, &status, false);
}

static void limit_places(void)
{
	if (places_most > 0)
		schedule_limit(world.queue->schedule, places_most);
}

static void change_model(int step)
{
	static const char *const verbs[] = { "hold", "release", "retry",
	    "delete" };
	char text[64];
	char *errors = NULL;

	snprintf(text, sizeof(text), "{\"domain\":\"d%d.test\"}",
	    rand() % MODEL_DOMAINS);
	switch (step % 8) {
	case 0: failing = (unsigned)rand(); break;
	case 1: failing = 0; break;
	case 2: world_drop_worker(&world, DESTINATION_DELIVERY);
		world_turn(2);
		world_new_worker(&world, DESTINATION_DELIVERY);
		break;
	case 3: queue_reload(world.queue, conf_read("test.conf",
		    "hostname = mx.test\npostmaster = \"p@mx.test\"\n"
		    "active-messages = 100\nretry-first = 1s\n"
		    "retry-max = 1s\nroute d3.test { host = relay.test }\n",
		    &errors));
		break;
	case 4: world_drop_worker(&world, DESTINATION_DELIVERY);
		world_stop_queue(&world);
		world_start_queue(&world);
		limit_places();
		world_new_worker(&world, DESTINATION_DELIVERY);
		break;
	default:
		world_command(&world, verbs[rand() % 4], text, true, NULL);
	}
}

/* Messages of several senders for several hosts, and in any order: hosts that
 * fail and come back, a worker and the queue that die, another configuration,
 * holds, releases, retries and deletions. The window is full nearly all the
 * time. In the end every row was tried, and nothing is left. */
static void run_model(int seeds)
{
	char to[64];

	limit_places();
	world.on_job = answer_by_model;
	for (int seed = 1; seed <= seeds; seed++) {
		srand((unsigned)seed);
		at_end = false;
		for (int step = 0; step < 40; step++) {
			for (int i = rand() % 60; i > 0; i--) {
				snprintf(to, sizeof(to), "b@d%d.test",
				    rand() % 3 == 0 ? 0 :
				    rand() % MODEL_DOMAINS);
				commit_from((unsigned)rand() % MODEL_SENDERS,
				    to, 0);
			}
			world_turn(rand() % 3);
			if (rand() % 3 == 0)
				change_model(rand());
			assert_true(schedule_window(world.queue->schedule) <=
			    100 + 3 * MODEL_DOMAINS);
		}
		failing = 0;
		at_end = true;
		world_drop_worker(&world, DESTINATION_DELIVERY);
		world_new_worker(&world, DESTINATION_DELIVERY);
		world_command(&world, "release", "{\"all\":true}", true,
		    NULL);
		assert_true(world_wait(is_all_gone, NULL, 60000));
		assert_int_equal(world_count_slices(&world), 0);
		assert_int_equal(world_count_schedule(&world), 0);
	}
}

static void test_model(void **state)
{
	(void)state;
	places_most = 0;
	run_model(4);
}

/* The same where far less destinations are remembered than there are. */
static void test_model_of_few(void **state)
{
	(void)state;
	places_most = 5;
	run_model(1);
	places_most = 1;
	run_model(1);
}

static void answer_up(struct world *w, struct job *job)
{
	struct status status;

	(void)w;
	world_delivered(&status);
	if (!dead_is_up && job->domain[0] == 'd')
		status_set(&status, STATUS_DEFERRED, REASON_CONNECT, "4.4.1",
		    "no answer");
	else if (job->domain[0] == 'd')
		dead_count++;
	else
		alive_count++;
	worker_finish(job, &status, false);
}

/* As many places as may be remembered are dead and have mail: what comes for
 * another goes at once, and nobody's mail is forgotten for it. */
static void test_place_for_fresh(void **state)
{
	uint64_t expected = 0;
	char to[64];

	(void)state;
	world.on_job = answer_up;
	schedule_limit(world.queue->schedule, 10);
	for (int i = 0; i < 200; i++) {
		snprintf(to, sizeof(to), "b@d%d.test", i % 20);
		commit(to, 0);
	}
	world_turn(50);
	for (int i = 0; i < 30; i++) {
		snprintf(to, sizeof(to), "b@alive%d.test", i);
		commit(to, 0);
		expected++;
		assert_true(world_wait(alive_is_done, &expected, 10000));
	}
	assert_true(destinations_count(schedule_destinations(
	    world.queue->schedule)) <= 12);
	dead_is_up = true;
	assert_true(world_wait_empty(&world));
	assert_int_equal(dead_count, 200);
}

/* What is not durable is not tried, whatever the operator says; and it is
 * afterwards. */
static void test_retry_of_unsafe(void **state)
{
	struct schedule *schedule = world.queue->schedule;
	struct slice slice;
	uint64_t id;

	(void)state;
	commit("b@alive.test", 0);
	id = rows_last_message(world.queue->store);
	assert_int_equal(slice_load(&slice, world.queue, id, 0), 0);
	slice_retry(&slice, slice.record->due + 1);
	slice_save(&slice);
	assert_null(schedule_take(schedule, DESTINATION_DELIVERY));
	assert_int_equal(schedule_window(schedule), 0);
	assert_true(world_wait_empty(&world));
	assert_int_equal(alive_count, 1);
}

static void put_off(void *arg, uint64_t id,
    const struct record_message *record)
{
	struct slice slice;

	(void)arg;
	(void)record;
	assert_int_equal(slice_load(&slice, world.queue, id, 0), 0);
	slice.record->due += INT64_C(86400000) * 2000;
	slice_save(&slice);
}

/* The clock was ahead by years when these were put off. */
static void test_clock_was_ahead(void **state)
{
	(void)state;
	world_drop_worker(&world, DESTINATION_DELIVERY);
	for (int i = 0; i < 600; i++)
		commit("b@alive.test", 0);
	world_turn(50);
	assert_int_equal(rows_each_message(world.queue->store, 0, 1000,
	    put_off, NULL), 600);
	world_stop_queue(&world);
	world_start_queue(&world);
	world_new_worker(&world, DESTINATION_DELIVERY);
	assert_true(world_wait_empty(&world));
	assert_int_equal(alive_count, 600);
}

/* --- senders --- */

static unsigned slot_of(unsigned sender)
{
	struct arena *arena = arena_new(1 << 20);
	struct destinations *all = schedule_destinations(
	    world.queue->schedule);
	struct destination *destination = destination_get(all, "slot.test",
	    LANE_COMMON);
	struct wait_group *group = destination_group(all, destination,
	    record_group(new_envelope(arena, sender)), false);
	unsigned slot = group->slot;

	waiting_drop(&destination->waiting, destinations_room(all), group);
	arena_free(arena);
	return slot;
}

/* Who shares a turn with whom is another matter after each start: until the
 * first two senders do not. */
static void start_apart(void)
{
	do {
		world_stop_queue(&world);
		world_start_queue(&world);
	} while (slot_of(1) == slot_of(2));
}

static struct { unsigned sender; } order[4096];
static size_t order_count;

static void note_order(struct world *w, struct job *job)
{
	struct status status;

	(void)w;
	world_delivered(&status);
	if (order_count < sizeof(order) / sizeof(order[0]))
		order[order_count++].sender = (unsigned)strtol(
		    job->sender + 1, NULL, 10);
	worker_finish(job, &status, false);
}

static bool order_is(void *arg)
{
	return order_count >= *(size_t *)arg;
}

/* One sender's 3,000 messages for a place, thirty windows full, were there
 * first; ten of another one wait for no more than a round each: also when all
 * of them are found on disk, after a restart. */
static void test_flood(void **state)
{
	size_t expected = 3010, last = 0;

	(void)state;
	world_drop_worker(&world, DESTINATION_DELIVERY);
	order_count = 0;
	world.on_job = note_order;
	for (int i = 0; i < 3000; i++) {
		commit_from(1, "b@alive.test", 60);
		if (i % 100 == 99)
			world_turn(0);
	}
	for (int i = 0; i < 10; i++)
		commit_from(2, "b@alive.test", 10);
	world_turn(10);
	start_apart();
	world_turn(100);
	world_new_worker(&world, DESTINATION_DELIVERY);
	assert_true(world_wait(order_is, &expected, 60000));
	for (size_t i = 0; i < order_count; i++)
		last = order[i].sender == 2 ? i : last;
	print_message("the last of ten behind %zu of 3,000\n", last - 9);
	assert_true(last < 400);
}

static size_t many_done, own_done, done_before_own;

static void note_many(struct world *w, struct job *job)
{
	struct status statuses[QUEUE_SLICE_RECIPIENTS];

	(void)w;
	for (size_t i = 0; i < job->recipient_count; i++)
		world_delivered(&statuses[i]);
	if (strcmp(job->sender, "a2@sender.test") == 0 &&
	    own_done++ == 0)
		done_before_own = many_done;
	else
		many_done++;
	worker_finish(job, statuses, false);
}

/* Who is asked hangs, but for one. */
static void note_recent(void *arg, struct job *job)
{
	struct world *w = arg;
	struct status status;

	world_delivered(&status);
	if (strcmp(job->sender, "a2@sender.test") != 0) {
		w->jobs[w->job_count++] = job;
		return;
	}
	own_done++;
	worker_finish(job, &status, false);
}

static bool own_is_done(void *arg)
{
	(void)arg;
	return own_done > 0;
}

static void commit_to_many(bool one_domain)
{
	struct arena *arena = arena_new(64 << 20);
	struct envelope *envelope = new_envelope(arena, 1);
	char to[64];

	for (int i = 0; i < 10000; i++) {
		snprintf(to, sizeof(to), "r%d@d%d.test", i,
		    one_domain ? 0 : i);
		envelope_add_recipient(envelope, arena, to, NULL, 0);
	}
	commit_envelope(envelope, arena, 0);
}

/* After a restart nothing is known of hosts. Sixty that hang have mail
 * that waits since long: what came just before goes on beside them. */
static void test_recent_first(void **state)
{
	char to[64];

	(void)state;
	world_drop_worker(&world, DESTINATION_DELIVERY);
	for (int i = 0; i < 60; i++) {
		snprintf(to, sizeof(to), "b@d%d.test", i);
		commit_from((unsigned)i + 10, to, 3600 / 2);
	}
	commit_from(2, "b@quiet.test", 0);
	world_turn(50);
	world_stop_queue(&world);
	world_start_queue(&world);
	world.workers[DESTINATION_DELIVERY] = worker_new(note_recent, &world);
	world_connect_worker(&world, DESTINATION_DELIVERY, 4);
	own_done = 0;
	assert_true(world_wait(own_is_done, NULL, 60000));
	/* Half of the slots are for hosts like the others. */
	assert_true(world.job_count <= 2);
}

/* A window and slots that are full of mail for hosts that hang, woken by hand,
 * keep no fresh mail from a host that is well. */
static void test_full_window(void **state)
{
	char to[64];

	(void)state;
	own_done = 0;
	world.on_job = note_many;
	commit_from(2, "b@quiet.test", 0);
	assert_true(world_wait(own_is_done, NULL, 60000));
	world.on_job = NULL;		/* nothing is ever answered */
	for (int i = 0; i < 2000; i++) {
		snprintf(to, sizeof(to), "b@d%d.test", i % 500);
		commit_from((unsigned)i + 10, to, 0);
		if (i % 100 == 99)
			world_turn(0);
	}
	world_command(&world, "retry", "{\"all\":true}", true, NULL);
	world_turn(50);
	assert_true(schedule_window(world.queue->schedule) >= 100);
	own_done = 0;
	world.on_job = note_many;
	commit_from(2, "b@quiet.test", 0);
	assert_true(world_wait(own_is_done, NULL, 60000));
}

/* One message with 10,000 recipients, in as many domains and in one, does not
 * hold up somebody else's that comes behind it. */
static void test_many_recipients(void **state)
{
	for (int one_domain = 0; one_domain < 2; one_domain++) {
		(void)state;
		many_done = own_done = 0;
		world.on_job = note_many;
		world_drop_worker(&world, DESTINATION_DELIVERY);
		start_apart();
		world_new_worker(&world, DESTINATION_DELIVERY);
		commit_to_many(one_domain);
		commit_from(2, one_domain ? "b@d0.test" : "b@quiet.test", 0);
		assert_true(world_wait(own_is_done, NULL, 60000));
		print_message("%s: after %zu others\n", one_domain ?
		    "one domain" : "10,000 domains", done_before_own);
		assert_true(done_before_own <= 2000);
		assert_true(world_wait(is_all_gone, NULL, 60000));
	}
}

static void stop_loop(void *arg)
{
	(void)arg;
	loop_stop();
}

static uint64_t tried_id;

static void note_tries(struct world *w, struct job *job)
{
	if (job->message == tried_id)
		tried_id = 0;
	answer(w, job);
}

static bool is_tried(void *arg)
{
	(void)arg;
	return tried_id == 0;
}

static bool dead_rests(void *arg)
{
	(void)arg;
	return destinations_resting(schedule_destinations(
	    world.queue->schedule)) > 0;
}

/* What the operator asks for by hand is tried at once, whoever else waits for
 * a host that rests, and though it has failed again by then. */
static void test_by_hand(void **state)
{
	char arguments[64];
	uint64_t id = 0;

	(void)state;
	world_close(&world);
	world_open(&world, "retry-first = 1h\n");
	world.on_job = note_tries;
	for (int i = 0; i < 60; i++)
		id = world_send(&world, i % 2 == 0 ? "a@one.test" :
		    "b@one.test", "x@dead.test", "x\r\n");
	assert_true(world_wait(dead_rests, NULL, 20000));
	snprintf(arguments, sizeof(arguments), "{\"id\":\"%llx\"}",
	    (unsigned long long)id);
	for (int round = 0; round < 3; round++) {
		uint64_t tries = dead_tries;

		tried_id = id;
		assert_int_equal(world_command(&world, "retry", arguments,
		    true, NULL), 0);
		assert_true(world_wait(is_tried, NULL, 20000));
		assert_true(dead_tries - tries <= 5);
		assert_true(world_wait(dead_rests, NULL, 20000));
	}
}

static bool is_wide(void *arg)
{
	(void)arg;
	return schedule_window(world.queue->schedule) > 4000;
}

/* Those who are found to be gone when their turn comes keep nobody waiting,
 * however many they are and though nothing else happens. */
static void test_many_gone(void **state)
{
	struct timer timer = { 0 };

	(void)state;
	world_drop_worker(&world, DESTINATION_DELIVERY);
	world.queue->conf->active_messages = 50000;
	commit_many("b@alive.test", 5000);
	assert_true(world_wait(is_wide, NULL, 20000));
	assert_int_equal(world_command(&world, "delete", "{\"all\": true}",
	    true, NULL), 0);
	commit_many("b@alive.test", 10);
	world_turn(50);
	world_new_worker(&world, DESTINATION_DELIVERY);
	/* No turns but those that somebody needs. */
	timer_start(&timer, 15000, stop_loop, NULL);
	alive_wanted = 10;
	loop_run();
	timer_stop(&timer);
	assert_int_equal(alive_count, 10);
}

static bool is_notified(void *arg)
{
	return notified >= *(uint64_t *)arg;
}

/* Mail for a host that stays dead is given up in time though it never got a
 * turn (SMTP-159), and the notification says what was wrong with the host. */
static void test_expires_untried(void **state)
{
	uint64_t expected = 40;

	(void)state;
	commit_many("b@dead.test", 60);
	world_turn(300);
	for (int i = 0; i < 40; i++)
		commit("b@dead.test", 7200);
	assert_true(world_wait(is_notified, &expected, 20000));
	world_turn(100);
	assert_int_equal(world_count_messages(&world), 60);
}

/* What is old (it was held for long, or its domain paused) and finds no room is
 * not given up untried while nothing is known against its host. */
static void test_old_is_tried(void **state)
{
	(void)state;
	world_drop_worker(&world, DESTINATION_DELIVERY);
	for (int i = 0; i < 40; i++)
		commit("b@alive.test", 7200);
	world_turn(50);
	world_new_worker(&world, DESTINATION_DELIVERY);
	assert_true(world_wait_empty(&world));
	assert_int_equal(notified, 0);
	assert_int_equal(alive_count, 40);
}

/* STS-75, S-36: what rests because of TLS is tried once more before it is
 * given up, and goes if that was mended. */
static void test_last_attempt(void **state)
{
	uint64_t expected = 40, tries;

	(void)state;
	dead_reason = REASON_CERTIFICATE;
	commit_many("b@dead.test", 60);
	world_turn(300);
	tries = dead_tries;
	for (int i = 0; i < 40; i++)
		commit("b@dead.test", 7200);
	assert_true(world_wait(is_notified, &expected, 20000));
	assert_true(dead_tries >= tries + 40);
	world_turn(100);
	assert_int_equal(world_count_messages(&world), 60);
	dead_is_up = true;
	for (int i = 0; i < 40; i++)
		commit("b@dead.test", 7200);
	assert_true(world_wait_empty(&world));
	assert_int_equal(dead_count, 100);
	assert_int_equal(notified, 40);
}

/* What waits for its last attempt and is held and released meanwhile, so that
 * its row moves, has it all the same. */
static bool is_in_line(void *arg)
{
	struct destination *destination = destination_find(
	    schedule_destinations(world.queue->schedule), "dead.test",
	    LANE_COMMON);

	return destination != NULL &&
	    destination->waiting.count >= *(unsigned *)arg;
}

static void test_moved_last_attempt(void **state)
{
	unsigned line = 11;
	struct destination *destination;
	struct status status;

	(void)state;
	world_drop_worker(&world, DESTINATION_DELIVERY);
	for (int i = 0; i < 20; i++)
		commit("b@dead.test", 7200);
	assert_true(world_wait(is_in_line, &line, 10000));
	destination = destination_find(schedule_destinations(
	    world.queue->schedule), "dead.test", LANE_COMMON);
	status_set(&status, STATUS_DEFERRED, REASON_CERTIFICATE, "4.7.5", "x");
	for (int i = 0; i < 2; i++)
		schedule_failed(world.queue->schedule, destination, &status);
	world_turn(50);
	assert_true(schedule_in_flight(world.queue->schedule) > 10);
	assert_int_equal(world_command(&world, "hold", "{\"all\": true}", true,
	    NULL), 0);
	assert_int_equal(world_command(&world, "release", "{\"all\": true}",
	    true, NULL), 0);
	dead_is_up = true;
	world_new_worker(&world, DESTINATION_DELIVERY);
	assert_true(world_wait_empty(&world));
	assert_int_equal(dead_count, 20);
}

/* STS-75, REQ-45: the same for every reason about TLS or its policy, and for no
 * other. */
static void test_last_attempt_reasons(void **state)
{
	static const enum status_reason reasons[] = { REASON_NO_STARTTLS,
	    REASON_STARTTLS_REFUSED, REASON_TLS_HANDSHAKE, REASON_CERTIFICATE,
	    REASON_POLICY, REASON_DANE_MISMATCH, REASON_STS_MX,
	    REASON_STS_CERTIFICATE, REASON_REQUIRETLS, REASON_CONNECT,
	    REASON_TIMEOUT, REASON_DNS };
	struct destination *destination;
	struct entry *entry;

	(void)state;
	world_drop_worker(&world, DESTINATION_DELIVERY);
	destination = destination_get(schedule_destinations(
	    world.queue->schedule), "dead.test", LANE_COMMON);
	commit("b@dead.test", 7200);
	world_turn(50);
	entry = schedule_take(world.queue->schedule, DESTINATION_DELIVERY);
	assert_non_null(entry);
	assert_ptr_equal(entry->destination, destination);
	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
		status_set(&destination->trouble, STATUS_DEFERRED, reasons[i],
		    "4.7.5", "x");
		assert_int_equal(results_deserves_attempt(world.queue, entry),
		    reasons[i] != REASON_CONNECT &&
		    reasons[i] != REASON_TIMEOUT && reasons[i] != REASON_DNS);
	}
	schedule_finished(world.queue->schedule, entry);
}

/* --- lanes --- */

static uint64_t by_lane[3];

/* A host whose certificate is not what its domain has published: only those
 * who do not need it get through. */
static void answer_by_tag(struct world *w, struct job *job)
{
	struct status status;

	(void)w;
	world_delivered(&status);
	if (job->flags & ENVELOPE_TLS_OPTIONAL) {
		by_lane[LANE_OPTIONAL]++;
	} else if (job->flags & ENVELOPE_REQUIRETLS) {
		by_lane[LANE_REQUIRETLS]++;
		status_set(&status, STATUS_DEFERRED, REASON_CONNECT, "4.4.1",
		    "no answer");
	} else {
		by_lane[LANE_COMMON]++;
		if (dead_reason == REASON_DANE_MISMATCH)
			status_set(&status, STATUS_DEFERRED, dead_reason,
			    "4.7.5", "another certificate");
	}
	worker_finish(job, &status, false);
}

static bool lane_is_done(void *arg)
{
	return by_lane[*(unsigned *)arg] >= 20;
}

/* REQ-57: mail that may do without does not wait while the host rests for the
 * others, and the other way round. */
static void test_lanes(void **state)
{
	unsigned optional = LANE_OPTIONAL, common = LANE_COMMON;
	struct destinations *all = schedule_destinations(
	    world.queue->schedule);

	(void)state;
	memset(by_lane, 0, sizeof(by_lane));
	world.on_job = answer_by_tag;
	dead_reason = REASON_DANE_MISMATCH;
	commit_many("b@dead.test", 60);
	world_turn(300);
	assert_true(destination_is_resting(destination_find(all, "dead.test",
	    LANE_COMMON), clock_wall()));
	commit_flags = ENVELOPE_TLS_OPTIONAL;
	commit_many("b@dead.test", 20);
	assert_true(world_wait(lane_is_done, &optional, 20000));
	assert_int_equal(by_lane[LANE_OPTIONAL], 20);
	/* REQUIRETLS mail that meets no host is no reason for others to wait,
	 * also after a restart. */
	dead_reason = REASON_NONE;
	commit_flags = ENVELOPE_REQUIRETLS;
	commit_many("b@other.test", 60);
	world_turn(300);
	world_stop_queue(&world);
	world_start_queue(&world);
	world_connect(&world);
	world_turn(300);
	all = schedule_destinations(world.queue->schedule);
	assert_true(destination_is_resting(destination_find(all, "other.test",
	    LANE_REQUIRETLS), clock_wall()));
	by_lane[LANE_COMMON] = 0;
	commit_flags = 0;
	commit_many("b@other.test", 20);
	assert_true(world_wait(lane_is_done, &common, 20000));
}

/* --- rows of version 1 --- */

/* Writes the slice of message id, and its place in line, as version 1 had
 * them. */
static void write_old_rows(uint64_t id)
{
	struct store *store = world.queue->store;
	struct arena *arena = arena_new(RECORD_ARENA_MAX);
	struct record_slice *slice = rows_find_slice(store, id, 0, arena);
	struct wire_writer writer;
	struct record_key key;
	struct buf row;

	assert_non_null(slice);
	buf_init(&row, RECORD_SLICE_MAX);
	wire_write_begin(&writer, &row);
	wire_put_u8(&writer, 1);
	wire_put_text(&writer, slice->domain);
	wire_put_u32(&writer, 0);
	wire_put_text(&writer, "");
	wire_put_u64(&writer, (uint64_t)slice->arrival);
	wire_put_u64(&writer, (uint64_t)slice->due);
	wire_put_u64(&writer, 0);
	wire_put_u64(&writer, 0);
	wire_put_u32(&writer, 0);
	wire_put_u64(&writer, 0);
	wire_put_u32(&writer, 1);
	wire_put_u32(&writer, 0);
	envelope_put_recipient(&writer, &slice->recipients[0].who);
	wire_put_u8(&writer, 0);
	record_key_slice(&key, id, 0);
	store_put(store, STORE_SLICES, (struct store_bytes){ key.bytes,
	    key.length }, (struct store_bytes){ buf_data(&row),
	    buf_length(&row) });
	buf_reset(&row);
	wire_put_u8(&writer, 1);
	wire_put_u32(&writer, 0);
	wire_put_text(&writer, slice->domain);
	record_key_schedule(&key, slice->due, id, 0);
	store_put(store, STORE_SCHEDULE, (struct store_bytes){ key.bytes,
	    key.length }, (struct store_bytes){ buf_data(&row),
	    buf_length(&row) });
	buf_release(&row);
	arena_free(arena);
}

static void note_level(struct world *w, struct job *job)
{
	assert_int_equal(job->tls_level, -1);
	answer(w, job);
}

/* A queue that an earlier version has left is worked off: deferred, so that its
 * rows are written anew, and then delivered; nothing is left over. */
static void test_old_rows(void **state)
{
	uint64_t expected = 1;

	(void)state;
	world_drop_worker(&world, DESTINATION_DELIVERY);
	for (int i = 0; i < 10; i++) {
		write_old_rows(world_send(&world, "a@sender.test",
		    i == 0 ? "b@alive.test" : "b@dead.test", "x\r\n"));
		world_turn(1);
	}
	world_stop_queue(&world);
	world_start_queue(&world);
	world.on_job = note_level;
	world_new_worker(&world, DESTINATION_DELIVERY);
	assert_true(world_wait(alive_is_done, &expected, 20000));
	world_turn(300);
	assert_true(dead_tries >= 2);
	assert_int_equal(world_count_schedule(&world), 9);
	dead_is_up = true;
	assert_true(world_wait_empty(&world));
	assert_int_equal(dead_count, 9);
	assert_int_equal(world_count_schedule(&world), 0);
	assert_int_equal(world_count_slices(&world), 0);
}

static void test_reload(void **state)
{
	char *errors = NULL;
	struct conf *conf;

	(void)state;
	commit_many("b@dead.test", 300);
	world_turn(100);
	/* The route changes: what waits goes the new way. */
	conf = conf_read("test.conf", "hostname = mx.test\n"
	    "postmaster = \"p@mx.test\"\nactive-messages = 100\n"
	    "retry-first = 1s\nretry-max = 1s\n"
	    "route dead.test { transport = discard }\n", &errors);
	assert_non_null(conf);
	dead_is_up = true;
	queue_reload(world.queue, conf);
	assert_true(world_wait_empty(&world));
	assert_int_equal(dead_count, 300);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_dead_fills_nothing),
		TEST(test_backlog_after_restart),
		TEST(test_expires_untried),
		TEST(test_old_is_tried),
		TEST(test_last_attempt),
		TEST(test_moved_last_attempt),
		TEST(test_last_attempt_reasons),
		TEST(test_lanes),
		TEST(test_old_rows),
		TEST(test_flapping),
		TEST(test_model),
		TEST(test_model_of_few),
		TEST(test_place_for_fresh),
		TEST(test_retry_of_unsafe),
		TEST(test_clock_was_ahead),
		TEST(test_flood),
		TEST(test_many_recipients),
		TEST(test_full_window),
		TEST(test_by_hand),
		TEST(test_many_gone),
		TEST(test_recent_first),
		TEST(test_reload),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
