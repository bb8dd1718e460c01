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
#include "queue/queue.h"
#include "queue/record.h"
#include "queue/results.h"
#include "queue/rows.h"
#include "queue/schedule.h"
#include "queue/store.h"
#include "tests/queue_world.h"

static struct world world;
static bool dead_is_up;
static enum status_reason dead_reason;
static uint64_t alive_count, dead_count, dead_tries, notified;
static size_t window_most;
static uint32_t commit_flags;		/* of messages to come */

static void answer(struct world *w, struct job *job)
{
	struct status status;
	size_t window = schedule_window(w->queue->schedule);

	window_most = window > window_most ? window : window_most;
	world_delivered(&status);
	if (strcmp(job->domain, "dead.test") != 0) {
		alive_count++;
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
	alive_count = dead_count = dead_tries = notified = 0;
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

/* Straight into the store, as if it had arrived so long ago. */
static void commit(const char *to, int64_t age_seconds)
{
	static uint64_t old_ids;
	struct arena *arena = arena_new(1 << 20);
	struct envelope *envelope = envelope_new(arena);
	int64_t arrival = clock_wall() - age_seconds * 1000;
	struct commit_message message = { .envelope = envelope,
	    .arrival = arrival, .body_length = 3, .rest = "x\r\n",
	    .rest_length = 3 };

	message.id = age_seconds == 0 ? queue_take_id(world.queue) :
	    ((uint64_t)(arrival / 1000) << 20) + old_ids++;
	digest_of("x\r\n", 3, message.digest);
	envelope->sender = arena_dup_string(arena, "a@sender.test");
	envelope_add_recipient(envelope, arena, to, NULL, 0);
	envelope->flags = commit_flags;
	commit_accept(world.queue->commit, &message, arena, NULL, NULL);
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
	assert_true(world_wait(alive_is_done, &expected, 5000));
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
	assert_true(world_wait(alive_is_done, &expected, 10000));
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
	assert_true(world_wait(is_notified, &expected, 10000));
	world_turn(100);
	assert_int_equal(world_count_messages(&world), 60);
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
	assert_true(world_wait(is_notified, &expected, 10000));
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
	entry = TAILQ_FIRST(&destination->fresh);
	assert_non_null(entry);
	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
		status_set(&destination->trouble, STATUS_DEFERRED, reasons[i],
		    "4.7.5", "x");
		assert_int_equal(results_deserves_attempt(world.queue, entry),
		    reasons[i] != REASON_CONNECT &&
		    reasons[i] != REASON_TIMEOUT && reasons[i] != REASON_DNS);
	}
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
	assert_true(world_wait(lane_is_done, &optional, 2000));
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
	assert_true(world_wait(lane_is_done, &common, 2000));
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
	assert_true(world_wait(alive_is_done, &expected, 5000));
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

/* --- destinations alone --- */

static struct entry *entry_for(struct destinations *all, const char *domain,
    uint64_t id, uint32_t attempt)
{
	struct entry *entry = mem_alloc(sizeof(*entry));

	entry->place.id = id;
	entry->attempt = attempt;
	entry->destination = destination_get(all, domain, LANE_COMMON);
	destination_add(all, entry);
	return entry;
}

static struct conf *plain_conf(void)
{
	char *errors = NULL;
	struct conf *conf = conf_read("test.conf", "hostname = mx.test\n"
	    "destination-concurrency = 2\nretry-first = 5m\n", &errors);

	assert_non_null(conf);
	return conf;
}

static void take(struct destinations *all, uint64_t expected)
{
	struct entry *entry = destinations_take(all, DESTINATION_DELIVERY);

	if (expected == 0) {
		assert_null(entry);
		return;
	}
	assert_non_null(entry);
	assert_true(entry->place.id == expected);
	mem_free(entry);
}

static void test_turns(void **state)
{
	struct conf *conf = plain_conf();
	struct destinations *all = destinations_new(conf);
	struct destination *one;

	(void)state;
	for (uint64_t id = 1; id <= 4; id++)
		entry_for(all, "one.test", id, 0);
	entry_for(all, "two.test", 11, 0);
	one = destination_get(all, "one.test", LANE_COMMON);
	take(all, 1);
	take(all, 11);
	take(all, 2);
	take(all, 0);			/* two at once and no more */
	destination_done(all, one);
	take(all, 3);
	take(all, 0);
	destination_done(all, one);
	destination_done(all, one);
	take(all, 4);
	destinations_free(all);
	conf_free(conf);
}

/* A host with STARTTLS and the same host with TLS from the first byte are two
 * places, even at one port (N-25); two domains behind one of them are one. */
static void test_places(void **state)
{
	static const char text[] = "hostname = mx.test\n"
	    "route one.test { host = relay.test  port = 465 }\n"
	    "route two.test { host = relay.test  port = 465  "
	    "tls = implicit }\n"
	    "route three.test { host = relay.test  port = 465  "
	    "tls = implicit }\n"
	    "domain local.test { users = \"*\" }\n";
	char *errors = NULL;
	struct conf *conf = conf_read("test.conf", text, &errors);
	struct destinations *all;
	struct destination *one, *two;

	(void)state;
	assert_non_null(conf);
	all = destinations_new(conf);
	one = destination_get(all, "one.test", LANE_COMMON);
	two = destination_get(all, "two.test", LANE_COMMON);
	assert_ptr_not_equal(one, two);
	assert_ptr_equal(two, destination_get(all, "three.test", LANE_COMMON));
	assert_ptr_not_equal(two, destination_get(all, "three.test",
	    LANE_OPTIONAL));
	assert_ptr_equal(destination_find(all, "two.test", LANE_OPTIONAL),
	    destination_find(all, "three.test", LANE_OPTIONAL));
	assert_null(destination_find(all, "two.test", LANE_LEVEL + LEVEL_MAY));
	assert_ptr_equal(destination_get(all, "local.test", LANE_COMMON),
	    destination_get(all, "local.test", LANE_REQUIRETLS));
	assert_false(one->next.implicit_tls);
	assert_true(two->next.implicit_tls);
	destinations_free(all);
	conf_free(conf);
}

/* Stores of mailboxes by their sockets or addresses, in one lane; and a host as
 * somebody who logs in there, apart from the host without. */
static void test_route_places(void **state)
{
	static const char text[] = "hostname = mx.test\n"
	    "route one.test { transport = lmtp  socket = \"/run/a\" }\n"
	    "route two.test { transport = lmtp  socket = \"/run/a\" }\n"
	    "route three.test { transport = lmtp  socket = \"/run/b\" }\n"
	    "route four.test { transport = lmtp  host = relay.test  "
	    "port = 24 }\n"
	    "route five.test { host = relay.test }\n"
	    "route six.test { host = relay.test  level = secure  "
	    "credentials-file = \"/six\" }\n"
	    "route seven.test { host = relay.test  level = secure  "
	    "credentials-file = \"/seven\" }\n"
	    "route eight.test { transport = lmtp  host = relay.test  "
	    "port = 24  tls = implicit }\n"
	    "route nine.test { transport = lmtp  host = relay.test  "
	    "port = 24  level = secure  credentials-file = \"/nine\" }\n"
	    "route .sub.test { host = sub.test  mx = yes }\n";
	static const char *const apart[] = { "one.test", "three.test",
	    "four.test", "five.test", "six.test", "seven.test", "eight.test",
	    "nine.test", "a.sub.test" };
	enum { APART = sizeof(apart) / sizeof(apart[0]) };
	struct destination *places[APART];
	char *errors = NULL;
	struct conf *conf = conf_read("test.conf", text, &errors);
	struct destinations *all;

	(void)state;
	assert_non_null(conf);
	all = destinations_new(conf);
	for (size_t i = 0; i < APART; i++) {
		places[i] = destination_get(all, apart[i], LANE_COMMON);
		assert_int_equal(places[i]->kind, DESTINATION_DELIVERY);
		assert_true(places[i]->next.routed);
		assert_null(places[i]->next.route);
		for (size_t k = 0; k < i; k++)
			assert_ptr_not_equal(places[i], places[k]);
	}
	assert_ptr_equal(places[0], destination_get(all, "two.test",
	    LANE_OPTIONAL));
	/* What TLS a message wants may fail where others do not. */
	assert_ptr_not_equal(places[2], destination_get(all, "four.test",
	    LANE_REQUIRETLS));
	/* The domain itself, which no route leads to: a job of its says so. */
	assert_false(destination_get(all, "sub.test", LANE_COMMON)->
	    next.routed);
	assert_true(places[APART - 1]->next.routed);
	assert_ptr_equal(places[APART - 1], destination_get(all, "b.sub.test",
	    LANE_COMMON));
	destinations_free(all);
	conf_free(conf);
}

/* Fresh mail first, but one turn in four is for what waits since long. */
static void test_fresh_first(void **state)
{
	struct conf *conf = plain_conf();
	struct destinations *all = destinations_new(conf);
	struct destination *one = destination_get(all, "one.test", LANE_COMMON);
	static const uint64_t expected[] = { 1, 2, 3, 101, 4, 5, 102 };

	(void)state;
	for (uint64_t id = 101; id <= 102; id++)
		entry_for(all, "one.test", id, 3);
	for (uint64_t id = 1; id <= 5; id++)
		entry_for(all, "one.test", id, 0);
	for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
		take(all, expected[i]);
		destination_done(all, one);
	}
	take(all, 0);
	destinations_free(all);
	conf_free(conf);
}

static void note(void *arg, struct destination *destination)
{
	(void)destination;
	++*(int *)arg;
}

static void test_rest(void **state)
{
	struct conf *conf = plain_conf();
	struct destinations *all = destinations_new(conf);
	struct destination *one = destination_get(all, "one.test", LANE_COMMON);
	struct status status;
	int64_t until;
	int woken = 0;

	(void)state;
	status_set(&status, STATUS_DEFERRED, REASON_TIMEOUT, "4.4.2", "slow");
	entry_for(all, "one.test", 1, 0);
	destination_failed(all, one, &status, 1000);
	assert_false(destination_is_resting(one, 1000));
	assert_int_equal(one->limit, 1);
	destination_failed(all, one, &status, 1000);
	assert_true(destination_is_resting(one, 1000));
	until = one->rest.due;
	assert_true(until >= 1000 + 270000 && until <= 1000 + 330000);
	/* Late failures of the same moment do not make it longer. */
	destination_failed(all, one, &status, 1000);
	assert_true(one->rest.due == until);
	take(all, 0);
	assert_true(destinations_wake_due(all, until - 1, note, &woken) ==
	    until);
	assert_int_equal(woken, 0);
	assert_true(destinations_wake_due(all, until, note, &woken) == -1);
	assert_int_equal(woken, 1);
	take(all, 1);			/* the probe */
	destination_done(all, one);
	/* It fails: twice as long. */
	destination_failed(all, one, &status, until);
	assert_true(one->rest.due - until >= 540000);
	destination_succeeded(all, one);
	assert_false(destination_is_resting(one, until));
	assert_int_equal(one->failures, 0);
	destinations_purge(all, until);
	assert_int_equal(destinations_count(all), 0);
	destinations_free(all);
	conf_free(conf);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_dead_fills_nothing),
		TEST(test_backlog_after_restart),
		TEST(test_expires_untried),
		TEST(test_last_attempt),
		TEST(test_last_attempt_reasons),
		TEST(test_lanes),
		TEST(test_old_rows),
		TEST(test_flapping),
		TEST(test_reload),
		cmocka_unit_test(test_turns),
		cmocka_unit_test(test_places),
		cmocka_unit_test(test_route_places),
		cmocka_unit_test(test_fresh_first),
		cmocka_unit_test(test_rest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
