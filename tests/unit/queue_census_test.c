/* SPDX-License-Identifier: ISC */
/*
 * The census against a full count: after thousands of changes of every kind,
 * with mail in flight, and with changes before, at and behind the walk that
 * counts a queue at start. The full count is stats of a selection that takes
 * everything, which reads every row.
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
#include "base/clock.h"
#include "base/control.h"
#include "base/digest.h"
#include "base/mem.h"
#include "base/status.h"
#include "queue/census.h"
#include "queue/commit.h"
#include "queue/destination.h"
#include "queue/envelope.h"
#include "queue/message.h"
#include "queue/queue.h"
#include "queue/record.h"
#include "queue/rows.h"
#include "queue/schedule.h"
#include "queue/slice.h"
#include "queue/tally.h"
#include "tests/queue_world.h"

enum { MESSAGES = 300, DOMAINS = 25, LARGE = 3000,
    SECOND = 1000 };

static struct world world;

/* What is safe; some of it is gone meanwhile. */
static uint64_t ids[8 * MESSAGES];
static size_t id_count;
static uint64_t accepted[8 * MESSAGES];
static size_t accepted_count;

static unsigned below(unsigned limit)
{
	return (unsigned)rand() % limit;
}

/* --- what happens to mail --- */

static void add_recipients(struct envelope *envelope, struct arena *arena)
{
	unsigned count = below(6) == 0 ? 1 + below(8) : 1;
	char address[64];

	/* More than one slice at a domain. */
	if (below(60) == 0)
		count = 230;
	for (unsigned i = 0; i < count; i++) {
		snprintf(address, sizeof(address), "u%u@d%u.test", i,
		    count > 100 ? below(2) : below(DOMAINS));
		envelope_add_recipient(envelope, arena, address, NULL, 0);
		if (below(20) == 0)
			envelope->recipients[i].flags = RECIPIENT_FORWARDED;
	}
}

static void on_safe(void *arg)
{
	ids[id_count++] = *(uint64_t *)arg;
}

static void accept_one(void)
{
	static const char body[] = "0123456789abcdef";
	struct arena *arena = arena_new(1 << 20);
	struct envelope *envelope = envelope_new(arena);
	struct commit_message message = { .envelope = envelope,
	    .id = queue_take_id(world.queue), .rest = body,
	    .rest_length = 1 + below(16) };

	message.body_length = message.rest_length;
	message.arrival = clock_wall() - 1000 * (int64_t)below(3 * 86400);
	digest_of(body, message.rest_length, message.digest);
	envelope->sender = arena_dup_string(arena, "a@sender.test");
	if (below(3) == 0)
		envelope->flags = below(2) == 0 ? ENVELOPE_REQUIRETLS :
		    ENVELOPE_TLS_OPTIONAL;
	if (below(12) == 0)
		envelope->hold = arena_dup_string(arena, "a filter");
	add_recipients(envelope, arena);
	accepted[accepted_count] = message.id;
	commit_accept(world.queue->commit, &message, arena, on_safe,
	    &accepted[accepted_count++]);
}

static void make_status(struct status *status)
{
	static const enum status_reason reasons[] = { REASON_CONNECT,
	    REASON_REPLY, REASON_TLS_HANDSHAKE, REASON_MAILBOX };

	status_set(status, STATUS_DEFERRED, reasons[below(4)], "4.0.0", "no");
	if (below(5) > 0)
		snprintf(status->host, sizeof(status->host),
		    "mx%u.test[192.0.2.%u]", below(12), below(9));
}

/* As a result does, but for the notification. */
static void settle(struct slice *slice)
{
	struct record_slice *record = slice->record;
	struct status *status;

	for (uint32_t i = record->recipient_count; i-- > 0;) {
		if (below(3) == 0) {
			slice_drop(slice, i);
			continue;
		}
		status = arena_alloc(slice->arena, sizeof(*status));
		make_status(status);
		record->recipients[i].status = status;
	}
	record->attempt++;
	/* Some are due again while the test runs. */
	record->due = clock_wall() + (below(2) == 0 ? 3600000 :
	    (int64_t)below(300));
}

/* As an operator's redirect may: the slice goes elsewhere. */
static void redirect(struct slice *slice)
{
	slice->record->domain = arena_print(slice->arena, "d%u.test",
	    below(DOMAINS));
}

/* Only its own result says when what is in flight is due again. */
static void change_slice(struct slice *slice)
{
	bool flies = schedule_is_in_flight(world.queue->schedule, slice->id,
	    slice->number);

	switch (below(flies ? 4 : 6)) {
	case 0:
		slice_hold(slice, 0, "the test");
		break;
	case 1:
		slice_retry(slice, clock_wall());
		break;
	case 2:
		slice->record->tls_level = (int)below(3) - 1;
		break;
	case 3:
		redirect(slice);
		break;
	default:
		settle(slice);
	}
}

/* The first slice of a message from number on. */
static void change_from(uint64_t id, uint32_t number)
{
	struct arena *arena = arena_new(RECORD_ARENA_MAX);
	struct record_slice *record;
	struct slice slice;

	if (rows_next_slice(world.queue->store, id, &number, arena, &record) &&
	    slice_load(&slice, world.queue, id, number) == 0) {
		if (below(8) == 0) {
			slice_release(&slice);
		} else {
			change_slice(&slice);
			slice_save(&slice);
		}
	}
	arena_free(arena);
}

static void change_one(void)
{
	change_from(ids[below((unsigned)id_count)], below(3));
}

static void happen(unsigned times)
{
	while (times-- > 0) {
		if (accepted_count < sizeof(accepted) / sizeof(accepted[0]) &&
		    (id_count == 0 || below(3) == 0))
			accept_one();
		else if (id_count > 0)
			change_one();
		if (times % 10 == 0)
			world_turn(0);
	}
}

/* Workers: some jobs are kept, the rest ends as it comes. */
static void take_job(struct world *w, struct job *job)
{
	struct status statuses[QUEUE_SLICE_RECIPIENTS];

	if (below(3) == 0 && w->job_count < 30) {
		w->jobs[w->job_count++] = job;
		return;
	}
	for (size_t i = 0; i < job->recipient_count; i++) {
		if (below(3) == 0)
			world_delivered(&statuses[i]);
		else
			make_status(&statuses[i]);
	}
	worker_finish(job, statuses, false);
}

static void keep_job(struct world *w, struct job *job)
{
	assert_true(w->job_count < WORLD_JOBS);
	w->jobs[w->job_count++] = job;
}

/* --- comparing --- */

/* What the kept count may know less well, and what is not counted at all. */
static void strip(json_t *line)
{
	static const char *const words[] = { "oldest", "window", "in_flight",
	    "commits", "flushes", "stored_bytes", "space", "counters",
	    "destinations", "body_bytes" };
	json_t *total = json_object_get(line, "total");

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		json_object_del(total != NULL ? total : line, words[i]);
}

/* Rows as text, without those that change by themselves. */
static char *tables(const char *arguments)
{
	json_t *lines, *line;
	size_t i;
	char *text;

	assert_int_equal(world_command(&world, "stats", arguments, false,
	    &lines), CONTROL_OK);
	json_array_foreach(lines, i, line)
		strip(line);
	text = json_dumps(lines, JSON_SORT_KEYS | JSON_INDENT(1));
	json_decref(lines);
	return text;
}

/* Jobs may start and slices may become due between the two answers: then they
 * are asked again. A count that is wrong stays so. */
static void assert_counted(void)
{
	char *kept = NULL, *full = NULL;

	for (int i = 0; i < 40; i++) {
		free(kept);
		free(full);
		kept = tables("{\"by\":\"all\"}");
		full = tables("{\"by\":\"all\",\"all\":true}");
		if (strcmp(kept, full) == 0)
			break;
		world_turn(20);
	}
	assert_string_equal(kept, full);
	assert_int_equal(census_repairs(world.queue->census), 0);
	free(kept);
	free(full);
}

static bool is_counted(void *arg)
{
	(void)arg;
	return census_is_complete(world.queue->census);
}

static int setup(void **state)
{
	(void)state;
	srand(7);
	id_count = accepted_count = 0;
	world_open(&world, "retry-first = 1h");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	world_close(&world);
	return 0;
}

/* Nothing is tried: every change is the test's. */
static void test_changes(void **state)
{
	(void)state;
	world_drop_worker(&world, DESTINATION_DELIVERY);
	for (int round = 0; round < 5; round++) {
		happen(MESSAGES);
		world_turn(0);
		assert_counted();
	}
	/* Whatever lies below time's second mark by now. */
	world_turn(350);
	assert_counted();
}

/* The same with jobs that come and go, and destinations that rest. */
static void test_flight(void **state)
{
	(void)state;
	world.on_job = take_job;
	for (int round = 0; round < 4; round++) {
		happen(400);
		world.on_job = keep_job;
		assert_counted();
		world.on_job = take_job;
	}
}

/* A queue is opened, and changes while it is counted. */
static void test_walk(void **state)
{
	unsigned during;

	(void)state;
	world_drop_worker(&world, DESTINATION_DELIVERY);
	happen(4 * MESSAGES);
	world_turn(5);
	for (int round = 0; round < 3; round++) {
		world_stop_queue(&world);
		world_start_queue(&world);
		for (during = 0; !is_counted(NULL); during++)
			happen(10);
		/* Else it showed nothing. */
		assert_true(during > 5);
		assert_counted();
	}
}

/* The same with one message that has more slices than a page of the walk, so
 * that changes fall before and behind the position within it. */
static void test_walk_in_message(void **state)
{
	enum { SLICES = 1000 };
	struct arena *arena = arena_new(16 << 20);
	struct envelope *envelope = envelope_new(arena);
	struct commit_message message = { .envelope = envelope,
	    .id = queue_take_id(world.queue), .arrival = clock_wall(),
	    .body_length = 3, .rest = "x\r\n", .rest_length = 3 };
	char address[64];

	(void)state;
	world_drop_worker(&world, DESTINATION_DELIVERY);
	envelope->sender = arena_dup_string(arena, "a@sender.test");
	for (unsigned i = 0; i < SLICES; i++) {
		snprintf(address, sizeof(address), "u@e%u.test", i);
		envelope_add_recipient(envelope, arena, address, NULL, 0);
	}
	digest_of("x\r\n", 3, message.digest);
	commit_accept(world.queue->commit, &message, arena, NULL, NULL);
	for (int round = 0; round < 3; round++) {
		world_stop_queue(&world);
		world_start_queue(&world);
		while (!is_counted(NULL)) {
			/* All over it, and about where the walk stands. */
			size_t about = tally_domains(census_tally(
			    world.queue->census));

			for (int i = 0; i < 4; i++)
				change_from(message.id, below(SLICES));
			for (int i = 0; i < 8; i++)
				change_from(message.id, (uint32_t)about - 4 +
				    below(40));
			world_turn(0);
		}
		assert_counted();
	}
}

/* Until it is whole, it says how much there is. */
static void test_share(void **state)
{
	double share;

	(void)state;
	world_drop_worker(&world, DESTINATION_DELIVERY);
	happen(4 * MESSAGES);
	world_stop_queue(&world);
	world_start_queue(&world);
	assert_false(census_is_complete(world.queue->census));
	share = census_share(world.queue->census);
	assert_true(share < 1);
	assert_true(world_wait(is_counted, NULL, 60000));
	assert_true(census_share(world.queue->census) == 1);
	assert_true(tally_messages(census_tally(world.queue->census)) > 0);
	assert_int_equal(tally_messages(census_tally(world.queue->census)),
	    world_count_messages(&world));
}

/* One message, recipients at thousands of domains, and then none. */
static void test_large_message(void **state)
{
	struct arena *arena = arena_new(64 << 20);
	struct envelope *envelope = envelope_new(arena);
	struct commit_message message = { .envelope = envelope,
	    .id = queue_take_id(world.queue), .arrival = clock_wall(),
	    .body_length = 3, .rest = "x\r\n", .rest_length = 3 };
	const struct tally *tally;
	char address[64];
	struct slice slice;

	(void)state;
	world_drop_worker(&world, DESTINATION_DELIVERY);
	assert_true(world_wait(is_counted, NULL, 60000));
	envelope->sender = arena_dup_string(arena, "a@sender.test");
	for (unsigned i = 0; i < LARGE; i++) {
		snprintf(address, sizeof(address), "u@d%u.test", i);
		envelope_add_recipient(envelope, arena, address, NULL, 0);
	}
	digest_of("x\r\n", 3, message.digest);
	commit_accept(world.queue->commit, &message, arena, NULL, NULL);
	tally = census_tally(world.queue->census);
	assert_int_equal(tally_messages(tally), 1);
	assert_int_equal(tally_domains(tally), LARGE);
	for (uint32_t i = 0; i < LARGE; i++) {
		assert_int_equal(slice_load(&slice, world.queue, message.id,
		    (i * 7) % LARGE), 0);
		slice_drop(&slice, 0);
		slice_save(&slice);
		assert_int_equal(tally_messages(tally), i < LARGE - 1);
	}
	assert_int_equal(tally_domains(tally), 0);
	assert_int_equal(tally_bytes(tally), 0);
	assert_int_equal(census_repairs(world.queue->census), 0);
}

static void test_bad_arguments(void **state)
{
	static const char *const wrong[] = { "{\"by\":\"colour\"}",
	    "{\"by\":[\"host\",7]}", "{\"by\":7}", "{\"sort\":\"name\"}" };
	static const char *const wrong_top[] = { "{\"sort\":\"colour\"}",
	    "{\"limit\":0}", "{\"limit\":1001}", "{\"all\":true}" };

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_int_equal(world_command(&world, "stats", wrong[i],
		    false, NULL), CONTROL_USAGE);
	for (size_t i = 0; i < sizeof(wrong_top) / sizeof(wrong_top[0]); i++)
		assert_int_equal(world_command(&world, "top", wrong_top[i],
		    false, NULL), CONTROL_USAGE);
}

/* --- top --- */

static const json_t *line_of(const json_t *lines, const char *part)
{
	const json_t *line;
	size_t i;

	json_array_foreach(lines, i, line) {
		const char *name = json_string_value(json_object_get(line,
		    "destination"));

		if (name != NULL && strstr(name, part) != NULL)
			return line;
	}
	fail_msg("no line about %s", part);
	return NULL;
}

static long long number_in(const json_t *line, const char *member)
{
	return json_integer_value(json_object_get(line, member));
}

static void test_top(void **state)
{
	struct status status;
	const json_t *line;
	json_t *lines;
	const char *names[] = { "one", "two", "three" };
	char address[64];

	(void)state;
	for (int i = 0; i < 6; i++) {
		snprintf(address, sizeof(address), "joe@%s.test",
		    names[i % 3]);
		world_send(&world, "ann@sender.test", address, "x\r\n");
	}
	assert_true(world_wait_jobs(&world, 6));
	/* one.test takes it, two.test fails twice and rests. */
	for (size_t i = 0; i < world.job_count;) {
		const char *domain = world.jobs[i]->domain;

		if (strcmp(domain, "three.test") == 0) {
			i++;
			continue;
		}
		world_delivered(&status);
		if (strcmp(domain, "two.test") == 0)
			status_set(&status, STATUS_DEFERRED, REASON_CONNECT,
			    "4.4.1", "nobody answers");
		world_finish(&world, i, &status);
	}
	world_send(&world, "ann@sender.test", "eve@two.test", "x\r\n");
	world_turn(20);
	assert_int_equal(world_command(&world, "top",
	    "{\"sort\":\"trouble\"}", false, &lines), CONTROL_OK);
	assert_ptr_equal(line_of(lines, "two.test"), json_array_get(lines,
	    0));
	line = line_of(lines, "two.test");
	assert_string_equal(json_string_value(json_object_get(line, "state")),
	    "resting");
	assert_string_equal(json_string_value(json_object_get(line,
	    "reason")), "connect");
	assert_string_equal(json_string_value(json_object_get(line, "text")),
	    "nobody answers");
	assert_true(json_is_string(json_object_get(line, "until")));
	assert_int_equal(number_in(line, "recipients"), 3);
	assert_int_equal(number_in(line, "deferred"), 2);
	assert_int_equal(number_in(line_of(lines, "one.test"), "delivered"),
	    2);
	assert_true(json_real_value(json_object_get(line_of(lines,
	    "one.test"), "rate")) > 0);
	line = line_of(lines, "three.test");
	assert_int_equal(number_in(line, "in_flight"), 2);
	assert_string_equal(json_string_value(json_object_get(line, "state")),
	    "open");
	json_decref(lines);
	assert_int_equal(world_command(&world, "top",
	    "{\"sort\":\"name\",\"limit\":1}", false, &lines), CONTROL_OK);
	/* One line, the totals and the end. */
	assert_int_equal(json_array_size(lines), 3);
	json_decref(lines);
	assert_counted();
}

static void assert_rate(const struct destination *place, int64_t now,
    double wanted)
{
	double rate = destination_rate(place, now);

	if (rate < wanted - 0.001 || rate > wanted + 0.001)
		fail_msg("%f is not %f", rate, wanted);
}

static void test_destination_rate(void **state)
{
	struct destination place;
	int64_t now = (int64_t)1000000 * SECOND;

	(void)state;
	memset(&place, 0, sizeof(place));
	assert_rate(&place, now, 0);
	for (int i = 0; i < 50; i++)
		destination_note(&place, STATUS_RELAYED, now);
	destination_note(&place, STATUS_DEFERRED, now);
	assert_rate(&place, now, 5);
	assert_rate(&place, now + 15 * SECOND, 2.5);
	assert_rate(&place, now + 20 * SECOND, 0);
	/* Half of the window before is still within ten seconds. */
	for (int i = 0; i < 10; i++)
		destination_note(&place, STATUS_DELIVERED,
		    now + 15 * SECOND);
	assert_rate(&place, now + 15 * SECOND, 3.5);
	/* Somebody set the clock back. */
	assert_rate(&place, now - 100 * SECOND, 0);
	destination_note(&place, STATUS_DELIVERED, now - 100 * SECOND);
	assert_rate(&place, now - 100 * SECOND, 0.1);
	assert_int_equal(place.outcomes[STATUS_RELAYED], 50);
	assert_int_equal(place.outcomes[STATUS_DELIVERED], 11);
	assert_int_equal(place.outcomes[STATUS_DEFERRED], 1);
}

static void test_counters(void **state)
{
	json_t *lines;
	const json_t *counters;
	struct status status;
	static const struct { const char *name; int count; } wanted[] = {
		/* With the notification of what failed. */
		{ "accepted", 4 }, { "recipients", 4 }, { "relayed", 1 },
		{ "deferred", 1 }, { "failed", 1 }, { "removed", 2 }
	};

	(void)state;
	for (int i = 0; i < 3; i++)
		world_send(&world, "ann@sender.test", "joe@one.test",
		    "x\r\n");
	assert_true(world_wait_jobs(&world, 3));
	world_delivered(&status);
	world_finish(&world, 0, &status);
	world_refused(&status);
	world_finish(&world, 0, &status);
	status_set(&status, STATUS_DEFERRED, REASON_REPLY, "4.2.2", "full");
	world_finish(&world, 0, &status);
	world_turn(20);
	assert_int_equal(world_command(&world, "stats", "{}", false, &lines),
	    CONTROL_OK);
	counters = json_object_get(json_object_get(json_array_get(lines,
	    json_array_size(lines) - 2), "total"), "counters");
	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
		assert_int_equal(number_in(json_object_get(counters,
		    wanted[i].name), "count"), wanted[i].count);
	json_decref(lines);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_changes),
		TEST(test_flight),
		TEST(test_walk),
		TEST(test_walk_in_message),
		TEST(test_share),
		TEST(test_large_message),
		TEST(test_bad_arguments),
		TEST(test_top),
		cmocka_unit_test(test_destination_rate),
		TEST(test_counters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
