/* SPDX-License-Identifier: ISC */
/*
 * The history: its rows against hostile bytes, what is written when, in which
 * batch, what `queue history` finds again, and what goes when there is too
 * much of it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/control.h"
#include "base/mem.h"
#include "base/status.h"
#include "queue/history.h"
#include "queue/message.h"
#include "queue/queue.h"
#include "queue/record.h"
#include "queue/results.h"
#include "queue/rows.h"
#include "queue/slice.h"
#include "queue/store.h"
#include "tests/queue_world.h"

enum { WAIT = 60000, LONG = 64 << 10 };

static struct world world;

static int setup(void **state)
{
	(void)state;
	world_open(&world, "retry-first = 1h\nretry-max = 1h\n");
	return 0;
}

static int setup_small(void **state)
{
	(void)state;
	world_open(&world, "history-space = 1M\n");
	return 0;
}

static int setup_off(void **state)
{
	(void)state;
	world_open(&world, "history = 0s\nretry-first = 1h\n");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	world_close(&world);
	return 0;
}

/* --- rows --- */

static void deferred(struct status *status, const char *host)
{
	status_from_reply(status, 451, "4.3.0 not now");
	status_set_host(status, host, "192.0.2.7");
	snprintf(status->tls, sizeof(status->tls), "%s",
	    "TLSv1.3 TLS_AES_256_GCM_SHA384 verify=secure");
}

/* Alike statuses are one, texts are bounded, who stays has no address. */
static void test_event(void **state)
{
	struct arena *arena = arena_new(HISTORY_ARENA_MAX);
	char words[STATUS_TEXT_MAX];
	struct status one, same, other;
	struct history_item items[] = {
		{ 0, HISTORY_DEFERRED, &one, NULL, NULL },
		{ 1, HISTORY_DEFERRED, &same, NULL, NULL },
		{ 2, HISTORY_FAILED, &other, "c@one.test", "rfc822;C" },
		{ 3, HISTORY_DELETED, NULL, "d@one.test", NULL } };
	struct history_event event = { .time = 1700000000000, .attempt = 7,
	    .items = items, .count = 4 }, *read;
	struct buf out;

	(void)state;
	deferred(&one, "mx.one.test");
	deferred(&same, "mx.one.test");
	memset(words, 'x', sizeof(words) - 1);
	words[sizeof(words) - 1] = '\0';
	status_set(&other, STATUS_FAILED, REASON_LOCAL, "5.0.0", words);
	buf_init(&out, HISTORY_EVENT_MAX);
	assert_int_equal(history_put_event(&out, &event), 0);
	read = history_get_event(buf_data(&out), buf_length(&out), arena);
	assert_non_null(read);
	assert_int_equal(read->time, 1700000000000);
	assert_int_equal(read->attempt, 7);
	assert_int_equal(read->count, 4);
	assert_ptr_equal(read->items[0].status, read->items[1].status);
	assert_string_equal(read->items[0].status->text, "not now");
	assert_string_equal(read->items[0].status->host,
	    "mx.one.test[192.0.2.7]");
	assert_null(read->items[0].address);
	assert_int_equal(strlen(read->items[2].status->text),
	    HISTORY_TEXT_MAX);
	assert_string_equal(read->items[2].address, "c@one.test");
	assert_string_equal(read->items[2].original, "rfc822;C");
	assert_null(read->items[3].status);
	/* Any beginning of it, and any byte changed, is refused or read. */
	for (size_t i = 0; i < buf_length(&out); i++) {
		char *copy = mem_dup(buf_data(&out), buf_length(&out));

		assert_null(history_get_event(copy, i, arena));
		copy[i] ^= 0x5a;
		(void)history_get_event(copy, buf_length(&out), arena);
		mem_free(copy);
		arena_reset(arena);
	}
	buf_release(&out);
	arena_free(arena);
}

static void test_row(void **state)
{
	struct arena *arena = arena_new(HISTORY_ARENA_MAX);
	struct history_item item = { 4, HISTORY_DELIVERED, NULL,
	    "a@one.test", NULL };
	struct history_event event = { .time = 5000, .attempt = 2,
	    .items = &item, .count = 1 }, *read;
	struct history_row row = { .finished = 6000, .arrival = 1000,
	    .size = 77, .accepted = 3, .attempts = 2, .domain = "one.test",
	    .sender = "s@two.test", .client = "host [192.0.2.1]",
	    .user = "joe" }, *back;
	struct buf one, events, out;
	size_t offset = 0;

	(void)state;
	buf_init(&one, HISTORY_EVENT_MAX);
	buf_init(&events, HISTORY_ROW_MAX);
	buf_init(&out, HISTORY_ROW_MAX);
	assert_int_equal(history_put_event(&one, &event), 0);
	history_add_event(&events, buf_data(&one), buf_length(&one));
	history_add_event(&events, buf_data(&one), buf_length(&one));
	row.events = buf_data(&events);
	row.events_length = buf_length(&events);
	assert_int_equal(history_put_row(&out, &row), 0);
	back = history_get_row(buf_data(&out), buf_length(&out), arena);
	assert_non_null(back);
	assert_int_equal(back->finished, 6000);
	assert_int_equal(back->size, 77);
	assert_string_equal(back->user, "joe");
	assert_string_equal(back->helo, "");
	read = history_next_event(back, &offset, arena);
	assert_int_equal(read->items[0].index, 4);
	assert_non_null(history_next_event(back, &offset, arena));
	assert_int_equal(offset, back->events_length);
	for (size_t i = 0; i < buf_length(&out); i++)
		assert_null(history_get_row(buf_data(&out), i, arena));
	buf_release(&one);
	buf_release(&events);
	buf_release(&out);
	arena_free(arena);
}

/* --- what is written --- */

static size_t count_attempts(void)
{
	struct store_page page = { 0 };
	size_t count;

	store_scan(world.queue->store, &(struct store_scan){
	    .table = STORE_ATTEMPTS, .max_rows = 1000, .max_bytes = 1 << 20,
	    .keys_only = true }, &page);
	count = page.count;
	store_page_release(&page);
	return count;
}

/* Rows and pointers in all volumes. */
static size_t count_rows(void)
{
	struct store_volume volumes[STORE_VOLUMES_MAX];
	size_t volume_count = store_volumes(world.queue->store, volumes);
	size_t count = 0;

	for (size_t i = 0; i < volume_count; i++) {
		struct store_page page = { 0 };

		store_scan(world.queue->store, &(struct store_scan){
		    .table = STORE_VOLUME, .volume = volumes[i].number,
		    .max_rows = 1000, .max_bytes = 8 << 20,
		    .keys_only = true }, &page);
		count += page.count;
		store_page_release(&page);
	}
	return count;
}

/* The answer's lines; the caller owns them. */
static json_t *ask(const char *arguments, int code)
{
	json_t *lines;

	assert_int_equal(world_command(&world, "history", arguments, false,
	    &lines), code);
	json_array_remove(lines, json_array_size(lines) - 1);	/* the end */
	return lines;
}

static json_t *ask_for_id(uint64_t id, int code)
{
	char arguments[64];

	snprintf(arguments, sizeof(arguments),
	    "{\"id\": \"%llx\", \"attempts\": true}", (unsigned long long)id);
	return ask(arguments, code);
}

static const char *text_at(const json_t *object, const char *array, size_t i,
    const char *name)
{
	return json_string_value(json_object_get(json_array_get(
	    json_object_get(object, array), i), name));
}

static void finish_first(const struct status *status)
{
	assert_true(world_wait_jobs(&world, 1));
	world_finish(&world, 0, status);
}

/* A slice and how often it was tried, as far as the store knows. */
struct tried {
	uint64_t	 id;
	uint32_t	 attempts;
};

static bool is_tried(void *arg)
{
	const struct tried *tried = arg;
	struct arena *arena = arena_new(RECORD_ARENA_MAX);
	struct record_slice *slice = rows_find_slice(world.queue->store,
	    tried->id, 0, arena);
	bool result = slice != NULL && slice->attempt == tried->attempts;

	arena_free(arena);
	return result;
}

static void wait_tried(uint64_t id, uint32_t attempts)
{
	assert_true(world_wait(is_tried, &(struct tried){ id, attempts },
	    WAIT));
}

static bool is_gone(void *arg)
{
	struct arena *arena = arena_new(RECORD_ARENA_MAX);
	bool gone = rows_find_message(world.queue->store, *(uint64_t *)arg,
	    arena) == NULL;

	arena_free(arena);
	return gone;
}

/* Delivered at once: one row, and nothing else. */
static void test_quick(void **state)
{
	struct status status;
	uint64_t id;
	json_t *lines, *object;

	(void)state;
	status_from_reply(&status, 250, "2.0.0 taken");
	status_set_host(&status, "mx.one.test", "192.0.2.7");
	snprintf(status.tls, sizeof(status.tls), "%s",
	    "TLSv1.3 TLS_AES_256_GCM_SHA384 verify=secure");
	id = world_send(&world, "a@sender.test", "joe@one.test",
	    "Subject: secret plans\r\n\r\nthe body\r\n");
	finish_first(&status);
	assert_true(world_wait_empty(&world));
	assert_int_equal(count_attempts(), 0);
	assert_int_equal(count_rows(), 1);
	lines = ask_for_id(id, CONTROL_OK);
	assert_int_equal(json_array_size(lines), 1);
	object = json_array_get(lines, 0);
	assert_string_equal(json_string_value(json_object_get(object,
	    "sender")), "a@sender.test");
	assert_string_equal(text_at(object, "recipients", 0, "address"),
	    "joe@one.test");
	assert_string_equal(text_at(object, "recipients", 0, "outcome"),
	    "relayed");
	assert_string_equal(text_at(object, "recipients", 0, "text"),
	    "taken");
	assert_string_equal(text_at(object, "recipients", 0, "host"),
	    "mx.one.test[192.0.2.7]");
	assert_string_equal(text_at(object, "recipients", 0, "verdict"),
	    "secure");
	assert_int_equal(json_array_size(json_object_get(object,
	    "attempts")), 1);
	json_decref(lines);
	/* It is what it was after a restart. */
	world_stop_queue(&world);
	world_start_queue(&world);
	world_connect(&world);
	lines = ask("{}", CONTROL_OK);
	assert_int_equal(json_array_size(lines), 1);
	json_decref(lines);
}

static void retry(uint64_t id)
{
	struct slice slice;

	assert_int_equal(slice_load(&slice, world.queue, id, 0), 0);
	slice_retry(&slice, clock_wall());
	slice_save(&slice);
}

/* What waits has its attempts by itself, what has gone has them in its row. */
static void test_attempts(void **state)
{
	struct status status;
	uint64_t id = world_send(&world, "a@sender.test",
	    "joe@one.test eve@one.test", "x\r\n");
	json_t *lines, *object;

	(void)state;
	for (int i = 0; i < 3; i++) {
		deferred(&status, i == 0 ? "mx1.one.test" : "mx2.one.test");
		finish_first(&status);
		wait_tried(id, (uint32_t)i + 1);
		lines = history_attempts_json(world.queue, id, 0, 100);
		assert_int_equal(json_array_size(lines), i + 1);
		assert_int_equal(json_integer_value(json_object_get(
		    json_array_get(lines, (size_t)i), "attempt")), i + 1);
		assert_int_equal(json_array_size(json_object_get(
		    json_array_get(lines, 0), "recipients")), 2);
		json_decref(lines);
		assert_int_equal(count_attempts(), i + 1);
		retry(id);
	}
	json_decref(ask_for_id(id, CONTROL_NONE_MATCHED));
	world_delivered(&status);
	finish_first(&status);
	assert_true(world_wait_empty(&world));
	assert_int_equal(count_attempts(), 0);
	assert_int_equal(count_rows(), 2);	/* and a pointer */
	lines = ask_for_id(id, CONTROL_OK);
	object = json_array_get(lines, 0);
	assert_int_equal(json_array_size(json_object_get(object,
	    "recipients")), 2);
	assert_int_equal(json_array_size(json_object_get(object,
	    "attempts")), 4);
	assert_string_equal(text_at(object, "attempts", 0, "host"),
	    "mx1.one.test[192.0.2.7]");
	assert_string_equal(text_at(object, "attempts", 2, "outcome"),
	    "deferred");
	assert_string_equal(text_at(object, "attempts", 3, "outcome"),
	    "relayed");
	json_decref(lines);
	/* By a host that was in the way of what has arrived. */
	lines = ask("{\"host\": \"mx1.*\"}", CONTROL_OK);
	json_decref(lines);
	json_decref(ask("{\"host\": \"mx3.*\"}", CONTROL_NONE_MATCHED));
}

/* One leaves before the others: nothing of him is lost. */
static void test_partly(void **state)
{
	struct status statuses[2];
	uint64_t id = world_send(&world, "a@sender.test",
	    "joe@one.test eve@one.test", "x\r\n");
	json_t *lines, *object;

	(void)state;
	world_delivered(&statuses[0]);
	deferred(&statuses[1], "mx.one.test");
	assert_true(world_wait_jobs(&world, 1));
	worker_finish(world.jobs[0], statuses, false);
	world.job_count = 0;
	wait_tried(id, 1);
	retry(id);
	world_delivered(&statuses[0]);
	finish_first(&statuses[0]);
	assert_true(world_wait_empty(&world));
	lines = ask_for_id(id, CONTROL_OK);
	object = json_array_get(lines, 0);
	assert_int_equal(json_array_size(json_object_get(object,
	    "recipients")), 2);
	assert_string_equal(text_at(object, "recipients", 0, "address"),
	    "joe@one.test");
	assert_string_equal(text_at(object, "recipients", 1, "address"),
	    "eve@one.test");
	assert_int_equal(json_array_size(json_object_get(object,
	    "attempts")), 3);
	json_decref(lines);
}

static void operate(const char *verb)
{
	json_t *lines;

	assert_int_equal(world_command(&world, verb, "{\"all\": true}", true,
	    &lines), CONTROL_OK);
	json_decref(lines);
}

static void expect_outcome(uint64_t id, const char *outcome)
{
	json_t *lines = ask_for_id(id, CONTROL_OK);

	assert_string_equal(text_at(json_array_get(lines, 0), "recipients", 0,
	    "outcome"), outcome);
	json_decref(lines);
}

/* How recipients leave without an attempt. */
static void test_outcomes(void **state)
{
	struct status status;
	struct slice slice;
	uint64_t id = world_send(&world, "", "joe@one.test", "x\r\n");

	(void)state;
	assert_true(world_wait_jobs(&world, 1));
	operate("delete");
	expect_outcome(id, "deleted");
	world_delivered(&status);
	world_finish(&world, 0, &status);	/* too late: it is gone */
	id = world_send(&world, "a@sender.test", "joe@two.test", "x\r\n");
	assert_true(world_wait_jobs(&world, 1));
	assert_int_equal(slice_load(&slice, world.queue, id, 0), 0);
	status_set(&status, STATUS_FAILED, REASON_OPERATOR, "5.0.0", "no");
	assert_int_equal(results_fail(&slice, &status, &(bool){ true }), 1);
	expect_outcome(id, "bounced");
	world_delivered(&status);
	world_finish(&world, 0, &status);
	finish_first(&status);			/* the notification */
	assert_true(world_wait_empty(&world));
	id = world_send(&world, "", "joe@three.test", "x\r\n");
	assert_true(world_wait_jobs(&world, 1));
	assert_int_equal(slice_load(&slice, world.queue, id, 0), 0);
	slice.record->arrival -= INT64_C(100) * 24 * 3600 * 1000;
	slice_save(&slice);
	deferred(&status, "mx.three.test");
	world_finish(&world, 0, &status);
	world_delivered(&status);
	finish_first(&status);			/* to the postmaster */
	assert_true(world_wait_empty(&world));
	expect_outcome(id, "expired");
}

/* A worker that says the same again and again fills nothing. */
static void test_repeated(void **state)
{
	struct result_item items[QUEUE_SLICE_RECIPIENTS];
	struct results results = { .job = 1, .items = items,
	    .count = QUEUE_SLICE_RECIPIENTS };
	struct status status;
	json_t *attempts;

	(void)state;
	results.message = world_send(&world, "a@sender.test", "joe@one.test",
	    "x\r\n");
	deferred(&status, "mx.one.test");
	for (size_t i = 0; i < QUEUE_SLICE_RECIPIENTS; i++)
		items[i] = (struct result_item){ 0, &status };
	results_apply(world.queue, &results, NULL);
	attempts = history_attempts_json(world.queue, results.message, 0, 9);
	assert_int_equal(json_array_size(attempts), 1);
	assert_int_equal(json_integer_value(json_object_get(json_array_get(
	    attempts, 0), "count")), 1);
	json_decref(attempts);
	assert_true(world_wait_jobs(&world, 1));
}

/* The first and the latest stay, and all in which somebody left. */
static void test_many(void **state)
{
	struct status status;
	struct slice slice;
	uint64_t id = world_send(&world, "a@sender.test",
	    "a@one.test b@one.test", "x\r\n");
	json_t *lines;

	(void)state;
	deferred(&status, "mx.one.test");
	assert_true(world_wait_jobs(&world, 1));
	for (uint32_t i = 1; i <= 150; i++) {
		assert_int_equal(slice_load(&slice, world.queue, id, 0), 0);
		history_note(&slice, &slice.record->recipients[0],
		    HISTORY_DEFERRED, &status);
		slice.event->attempt = slice.record->attempt = i;
		if (i == 30) {
			history_note(&slice, &slice.record->recipients[1],
			    HISTORY_FAILED, &status);
			slice_drop(&slice, 1);
		}
		slice_save(&slice);
	}
	assert_int_equal(count_attempts(), HISTORY_KEPT + 1);
	lines = history_attempts_json(world.queue, id, 0, 1000);
	assert_int_equal(json_array_size(lines), HISTORY_KEPT + 2);
	assert_int_equal(json_integer_value(json_object_get(json_array_get(
	    lines, HISTORY_KEPT_FIRST), "attempt")), 30);
	json_decref(lines);
	lines = history_attempts_json(world.queue, id, 0, 5);
	assert_int_equal(json_array_size(lines), 5);
	json_decref(lines);
}

/* Nothing is written; what was written before goes with its slice. */
static void test_off(void **state)
{
	struct status status;
	uint64_t id = world_send(&world, "a@sender.test", "joe@one.test",
	    "x\r\n");
	struct record_key key;
	struct slice slice;

	(void)state;
	deferred(&status, "mx.one.test");
	finish_first(&status);
	wait_tried(id, 1);
	assert_int_equal(count_attempts(), 0);
	/* As if it had been on. */
	assert_int_equal(slice_load(&slice, world.queue, id, 0), 0);
	history_key_event(&key, id, 0, 1);
	store_put(world.queue->store, STORE_ATTEMPTS, (struct store_bytes){
	    key.bytes, key.length }, (struct store_bytes){ "x", 1 });
	slice.record->flags |= SLICE_NOTED;
	slice_retry(&slice, clock_wall());
	slice_save(&slice);
	world_delivered(&status);
	finish_first(&status);
	assert_true(world_wait_empty(&world));
	assert_int_equal(count_attempts(), 0);
	assert_int_equal(count_rows(), 0);
}

/* --- finding --- */

static void deliver(const char *sender, const char *recipients,
    const struct status *status, size_t jobs)
{
	uint64_t id = world_send(&world, sender, recipients, "x\r\n");

	assert_true(world_wait_jobs(&world, jobs));
	while (jobs-- > 0)
		world_finish(&world, jobs, status);
	assert_true(world_wait(is_gone, &id, WAIT));
}

static void expect_lines(const char *arguments, size_t count)
{
	json_t *lines = ask(arguments, count == 0 ? CONTROL_NONE_MATCHED :
	    CONTROL_OK);

	if (json_array_size(lines) != count)
		fail_msg("%zu lines, not %zu, for %s",
		    json_array_size(lines), count, arguments);
	json_decref(lines);
}

static void test_selectors(void **state)
{
	struct status good, bad;
	char arguments[128];
	json_t *lines;

	(void)state;
	world_delivered(&good);
	world_refused(&bad);
	deliver("a@sender.test", "joe@one.test", &good, 1);
	deliver("b@sender.test", "joe@two.test eve@three.test", &good, 2);
	deliver("", "max@one.test", &bad, 1);
	finish_first(&good);			/* the postmaster's */
	assert_true(world_wait_empty(&world));
	expect_lines("{}", 5);
	expect_lines("{\"sender\": \"a@*\"}", 1);
	expect_lines("{\"sender\": \"<>\"}", 2);
	expect_lines("{\"recipient\": \"joe@*\"}", 2);
	expect_lines("{\"domain\": \"one.test\"}", 2);
	expect_lines("{\"outcome\": \"failed\"}", 1);
	expect_lines("{\"outcome\": [\"failed\", \"relayed\"]}", 5);
	expect_lines("{\"outcome\": \"expired\"}", 0);
	expect_lines("{\"reason\": \"reply\", \"domain\": \"one.test\", "
	    "\"outcome\": \"failed\"}", 1);
	expect_lines("{\"limit\": 2}", 2);
	expect_lines("{\"newer\": 3600}", 5);
	expect_lines("{\"older\": 3600}", 0);
	snprintf(arguments, sizeof(arguments), "{\"since\": %lld}",
	    (long long)clock_wall() / 1000 + 3600);
	expect_lines(arguments, 0);
	snprintf(arguments, sizeof(arguments), "{\"until\": %lld}",
	    (long long)clock_wall() / 1000 + 3600);
	expect_lines(arguments, 5);
	snprintf(arguments, sizeof(arguments), "{\"until\": %lld}",
	    (long long)clock_wall() / 1000 - 3600);
	expect_lines(arguments, 0);
	/* The newest comes first. */
	lines = ask("{\"limit\": 1}", CONTROL_OK);
	assert_true(json_is_true(json_object_get(json_array_get(lines, 0),
	    "notification")));
	assert_null(json_object_get(json_array_get(lines, 0), "attempts"));
	json_decref(lines);
	json_decref(ask("{\"outcome\": \"deferred\"}", CONTROL_USAGE));
	json_decref(ask("{\"outcome\": \"lost\"}", CONTROL_USAGE));
	json_decref(ask("{\"since\": \"now\"}", CONTROL_USAGE));
	json_decref(ask("{\"state\": \"held\"}", CONTROL_USAGE));
	json_decref(ask("{\"colour\": \"red\"}", CONTROL_USAGE));
}

/* Many pages, in order, by identifier and without. */
static void test_pages(void **state)
{
	struct status status;
	json_t *lines;
	uint64_t before = UINT64_MAX;

	(void)state;
	world_delivered(&status);
	for (int i = 0; i < 100; i++)
		world_send(&world, "a@sender.test", "joe@one.test", "x\r\n");
	while (world_count_messages(&world) > 0)
		if (world_wait_jobs(&world, 1))
			world_finish(&world, 0, &status);
	lines = ask("{}", CONTROL_OK);
	assert_int_equal(json_array_size(lines), 100);
	for (size_t i = 0; i < 100; i++) {
		uint64_t id = strtoull(json_string_value(json_object_get(
		    json_array_get(lines, i), "id")), NULL, 16);

		assert_true(id < before);
		before = id;
	}
	json_decref(lines);
}

/* --- room --- */

static void put_large_row(uint64_t place)
{
	struct record_key key;
	char *value = mem_alloc(LONG);

	history_key_row(&key, place, place, 0);
	store_volume_put(world.queue->store, (struct store_bytes){ key.bytes,
	    key.length }, (struct store_bytes){ value, LONG });
	mem_free(value);
}

static size_t count_volumes(void)
{
	struct store_volume volumes[STORE_VOLUMES_MAX];

	return store_volumes(world.queue->store, volumes);
}

static bool is_rolled(void *arg)
{
	(void)arg;
	return count_volumes() > 1;
}

static bool is_one(void *arg)
{
	(void)arg;
	return count_volumes() == 1 && count_rows() == 0;
}

static bool is_younger(void *arg)
{
	struct store_volume volumes[STORE_VOLUMES_MAX];

	store_volumes(world.queue->store, volumes);
	return volumes[0].number > *(uint64_t *)arg;
}

/* history-space: an eighth fills a volume, too much drops the oldest. */
static void test_space(void **state)
{
	struct store_volume volumes[STORE_VOLUMES_MAX];
	uint64_t first;

	(void)state;
	store_volumes(world.queue->store, volumes);
	first = volumes[0].number;
	for (uint64_t i = 1; i < 20; i++)
		put_large_row(i << 20);
	assert_true(world_wait(is_rolled, NULL, WAIT));
	put_large_row(UINT64_C(1) << 30);
	assert_true(world_wait(is_younger, &first, WAIT));
	assert_true(count_rows() >= 1);
}

static size_t count_files(void)
{
	DIR *stream = opendir(world.directory);
	struct dirent *entry;
	size_t count = 0;

	assert_non_null(stream);
	while ((entry = readdir(stream)) != NULL)
		count += strncmp(entry->d_name, "history.", 8) == 0;
	closedir(stream);
	return count;
}

static bool has_two_files(void *arg)
{
	(void)arg;
	return count_files() == 2;
}

static bool has_one_file(void *arg)
{
	(void)arg;
	return count_files() == 1;
}

static void restart(void)
{
	world_stop_queue(&world);
	world_start_queue(&world);
	world_connect(&world);
}

/* What is in two volumes is found in both, also after a restart; a dropped one
 * is gone at once, its file soon, and for good; a file that is nobody's, as a
 * crash may leave it, goes at the next start. */
static void test_volumes(void **state)
{
	struct store_volume volumes[STORE_VOLUMES_MAX];
	struct status status;
	char path[200];
	FILE *file;

	(void)state;
	world_delivered(&status);
	deliver("a@sender.test", "joe@one.test", &status, 1);
	store_volume_begin(world.queue->store, 1234);
	assert_true(world_wait(has_two_files, NULL, WAIT));
	deliver("b@sender.test", "joe@one.test", &status, 1);
	expect_lines("{}", 2);
	restart();
	expect_lines("{}", 2);
	expect_lines("{\"sender\": \"a@*\"}", 1);
	assert_int_equal(store_volumes(world.queue->store, volumes), 2);
	assert_int_equal(volumes[0].begun, 0);
	assert_int_equal(volumes[1].begun, 1234);
	store_volume_drop(world.queue->store);
	expect_lines("{}", 1);
	assert_true(world_wait(has_one_file, NULL, WAIT));
	snprintf(path, sizeof(path), "%s/history.00000000000000ff.db",
	    world.directory);
	file = fopen(path, "w");
	assert_non_null(file);
	fclose(file);
	restart();
	assert_int_equal(count_files(), 1);
	assert_int_equal(store_volumes(world.queue->store, volumes), 1);
	assert_int_equal(volumes[0].number, 2);
	/* The last one stays. */
	store_volume_drop(world.queue->store);
	expect_lines("{}", 1);
}

/* While a backup runs nothing is dropped, and more volumes may be wanted than
 * there can be: some are always there. */
static void test_too_many_volumes(void **state)
{
	size_t count;

	(void)state;
	while (count_volumes() < STORE_VOLUMES_MAX) {
		store_volume_begin(world.queue->store, 1234);
		world_turn(0);
	}
	for (int i = 0; i < 3 * STORE_VOLUMES_MAX; i++) {
		store_volume_begin(world.queue->store, 1234);
		count = count_volumes();
		assert_true(count >= 1 && count <= STORE_VOLUMES_MAX);
	}
	world_turn(100);
	assert_true(count_volumes() >= STORE_VOLUMES_MAX - 1);
}

/* Mail goes first: a disk that is nearly full keeps none of it. */
static void test_low(void **state)
{
	(void)state;
	for (uint64_t i = 1; i < 30; i++)
		put_large_row(i << 20);
	world.queue->conf->low_space = INT64_MAX / 2;
	assert_true(world_wait(is_one, NULL, WAIT));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_event),
		cmocka_unit_test(test_row),
		TEST(test_quick),
		TEST(test_attempts),
		TEST(test_partly),
		TEST(test_outcomes),
		TEST(test_many),
		TEST(test_repeated),
		TEST(test_selectors),
		TEST(test_pages),
		TEST(test_volumes),
		TEST(test_too_many_volumes),
		TEST(test_low),
		cmocka_unit_test_setup_teardown(test_off, setup_off,
		    teardown),
		cmocka_unit_test_setup_teardown(test_space, setup_small,
		    teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
