/* SPDX-License-Identifier: ISC */
/*
 * queue/store*.c against real environments in a temporary directory: what is
 * written is read, what was called durable survives a kill at any moment, a
 * batch is there whole or not at all, and every fault of the disk ends either
 * in a refusal or in the end of the process, never in a false promise.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "queue/store_internal.h"
#include "tests/scratch.h"

enum { MIB = 1 << 20, BODY_MAX = 8 << 20, REPORT_BYTES = 16 << 10 };

static char scratch[64];	/* made for each test, removed after it */
static unsigned char noise[BODY_MAX];

static struct store_options options_small(void)
{
	return (struct store_options){ .directory = scratch,
	    .cache_bytes = 4 * MIB, .checkpoint_bytes = 2 * MIB,
	    .segment_bytes = MIB, .reserve_bytes = MIB };
}

static struct store_bytes text(const char *string)
{
	return (struct store_bytes){ string, strlen(string) };
}

struct id_key {
	uint64_t	 big;
};

static struct store_bytes id_bytes(struct id_key *key, uint64_t id)
{
	key->big = htobe64(id);
	return (struct store_bytes){ key, sizeof(*key) };
}

/* --- a turn of the loop --- */

static void on_done(void *arg)
{
	bool *done = arg;

	*done = true;
	loop_stop();
}

static void make_durable(struct store *store)
{
	bool done = false;

	store_commit_durable(store, on_done, &done);
	assert_false(done);	/* never before the call returns */
	loop_run();
	assert_true(done);
}

static void on_time(void *arg)
{
	(void)arg;
	loop_stop();
}

static void turn_for(int64_t milliseconds)
{
	struct timer timer = { 0 };

	timer_start(&timer, milliseconds, on_time, NULL);
	loop_run();
	timer_stop(&timer);
}

static struct store *open_store(void)
{
	struct store_options options = options_small();
	struct store *store = store_open(&options);

	assert_non_null(store);
	store->move_delay = 0;
	return store;
}

/* --- messages --- */

static const unsigned char *body_of(uint64_t id)
{
	return noise + id * 61 % 4096;
}

static void message_put(struct store *store, uint64_t id, size_t length)
{
	struct id_key key;
	uint64_t row = length;

	store_body_put(store, id, (struct store_bytes){ body_of(id), length });
	store_put(store, STORE_MESSAGES, id_bytes(&key, id),
	    (struct store_bytes){ &row, sizeof(row) });
}

static void message_delete(struct store *store, uint64_t id, size_t length)
{
	struct id_key key;

	store_delete(store, STORE_MESSAGES, id_bytes(&key, id));
	store_body_delete(store, id, length);
}

/* Length from the row, or -1. */
static int64_t message_length(struct store *store, uint64_t id)
{
	struct id_key key;
	struct buf row;
	uint64_t length;
	int64_t result = -1;

	buf_init(&row, STORE_VALUE_MAX);
	if (store_get(store, STORE_MESSAGES, id_bytes(&key, id), &row)) {
		memcpy(&length, buf_data(&row), sizeof(length));
		result = (int64_t)length;
	}
	buf_release(&row);
	return result;
}

static bool body_is(struct store *store, uint64_t id, size_t length)
{
	struct buf body;
	bool same;

	buf_init(&body, BODY_MAX);
	same = store_body_read(store, id, 0, length, &body) == STORE_OK &&
	    buf_length(&body) == length &&
	    memcmp(buf_data(&body), body_of(id), length) == 0;
	buf_release(&body);
	return same;
}

/* --- children that are expected to end --- */

struct child {
	pid_t	 pid;
	int	 out;		/* its descriptor 2 */
};

/* Shared with children: the last batch that was called durable. */
static volatile uint64_t *ledger;

static struct child child_start(void (*body)(const void *arg), const void *arg)
{
	struct child child;
	int ends[2];

	assert_int_equal(pipe(ends), 0);
	fflush(NULL);
	*ledger = 0;
	child.pid = fork();
	assert_true(child.pid >= 0);
	if (child.pid == 0) {
		close(ends[0]);
		dup2(ends[1], 2);
		loop_init();
		body(arg);
		_exit(0);
	}
	close(ends[1]);
	child.out = ends[0];
	return child;
}

/* Exit status, or 128 + signal; all it wrote in report. */
static int child_end(struct child child, char *report, size_t size)
{
	size_t length = 0;
	ssize_t n;
	int status;

	while (length + 1 < size &&
	    (n = read(child.out, report + length, size - 1 - length)) > 0)
		length += (size_t)n;
	report[length] = '\0';
	close(child.out);
	assert_int_equal(waitpid(child.pid, &status, 0), child.pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) :
	    128 + WTERMSIG(status);
}

/* --- rows --- */

static void test_rows(void **unused)
{
	struct store *store = open_store();
	struct buf out;

	(void)unused;
	buf_init(&out, STORE_VALUE_MAX);
	store_put(store, STORE_META, text("a"), text("first"));
	store_put(store, STORE_META, text("a"), text("second"));
	store_put(store, STORE_META, text("empty"), text(""));
	store_put(store, STORE_SLICES, text("a"), text("other table"));
	assert_true(store_get(store, STORE_META, text("a"), &out));
	assert_string_equal(buf_string(&out), "second");
	store_put(store, STORE_META, text("gone"), text("x"));
	store_delete(store, STORE_META, text("gone"));
	store_delete(store, STORE_META, text("never there"));
	assert_false(store_get(store, STORE_META, text("gone"), &out));
	make_durable(store);
	store_close(store);

	store = open_store();
	buf_reset(&out);
	assert_true(store_get(store, STORE_META, text("a"), &out));
	assert_string_equal(buf_string(&out), "second");
	assert_true(store_get(store, STORE_META, text("empty"), &out));
	assert_int_equal(buf_length(&out), 6);
	buf_reset(&out);
	assert_true(store_get(store, STORE_SLICES, text("a"), &out));
	assert_string_equal(buf_string(&out), "other table");
	buf_reset(&out);
	/* a row of the largest size */
	store_put(store, STORE_SLICES, text("large"),
	    (struct store_bytes){ noise, STORE_VALUE_MAX });
	make_durable(store);
	assert_true(store_get(store, STORE_SLICES, text("large"), &out));
	assert_memory_equal(buf_data(&out), noise, STORE_VALUE_MAX);
	buf_release(&out);
	store_close(store);
}

static uint64_t row_number(const struct store_row *row)
{
	uint64_t big;

	assert_int_equal(row->key.length, sizeof(big));
	memcpy(&big, row->key.data, sizeof(big));
	return be64toh(big);
}

static void test_scan_is_bounded(void **unused)
{
	struct store *store = open_store();
	struct store_page page = { 0 };
	struct id_key from, until, key;
	struct store_scan scan = { .table = STORE_SCHEDULE, .max_rows = 64,
	    .max_bytes = SIZE_MAX };
	uint64_t next = 0;

	(void)unused;
	for (uint64_t i = 0; i < 1000; i++)
		store_put(store, STORE_SCHEDULE, id_bytes(&key, i),
		    (struct store_bytes){ noise + i, 100 });
	do {
		store_scan(store, &scan, &page);
		assert_true(page.count <= 64);
		for (size_t i = 0; i < page.count; i++) {
			assert_int_equal(row_number(&page.rows[i]), next);
			assert_int_equal(page.rows[i].value.length, 100);
			assert_memory_equal(page.rows[i].value.data,
			    noise + next, 100);
			next++;
		}
		scan.from = id_bytes(&from, next - 1);
		scan.after = true;
	} while (page.more);
	assert_int_equal(next, 1000);

	/* a range, by bytes, keys only */
	scan = (struct store_scan){ .table = STORE_SCHEDULE, .max_rows = 500,
	    .max_bytes = 1000, .from = id_bytes(&from, 10),
	    .until = id_bytes(&until, 13) };
	store_scan(store, &scan, &page);
	assert_int_equal(page.count, 3);
	assert_false(page.more);
	assert_int_equal(row_number(&page.rows[0]), 10);
	scan.until = (struct store_bytes){ 0 };
	store_scan(store, &scan, &page);
	assert_int_equal(page.count, 10);	/* 10 x 108 passes 1,000 */
	assert_true(page.more);
	scan.keys_only = true;
	scan.max_rows = 2;
	store_scan(store, &scan, &page);
	assert_int_equal(page.count, 2);
	assert_int_equal(page.rows[1].value.length, 0);

	/* nothing there */
	scan = (struct store_scan){ .table = STORE_META, .max_rows = 1,
	    .max_bytes = 1 };
	store_scan(store, &scan, &page);
	assert_int_equal(page.count, 0);
	assert_false(page.more);
	store_page_release(&page);
	store_close(store);
}

/* --- bodies --- */

static void test_bodies(void **unused)
{
	static const size_t lengths[] = { 0, 1, 7, 8, 4055, 4056, 4057, 8112,
	    8113, 100000, 5000000 };
	struct store *store = open_store();
	struct buf part;

	(void)unused;
	buf_init(&part, BODY_MAX);
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		uint64_t put = 2 * i + 1, appended = 2 * i + 2;
		size_t at = 0;

		message_put(store, put, lengths[i]);
		while (at < lengths[i]) {
			size_t step = lengths[i] - at < 60001 ?
			    lengths[i] - at : 60001;

			store_body_append(store, appended,
			    (struct store_bytes){ body_of(appended) + at,
			    step });
			at += step;
			if (at % 2 != 0)
				make_durable(store);
		}
		store_body_claim(store, appended);
		make_durable(store);
	}
	store_close(store);
	store = open_store();
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		assert_true(body_is(store, 2 * i + 1, lengths[i]));
		assert_true(body_is(store, 2 * i + 2, lengths[i]));
	}
	/* parts that begin and end inside chunks */
	assert_int_equal(store_body_read(store, 21, 4000, 9000, &part),
	    STORE_OK);
	assert_memory_equal(buf_data(&part), body_of(21) + 4000, 9000);
	buf_reset(&part);
	/* more than there is, or nothing of it, is damage and not silence */
	assert_int_equal(store_body_read(store, 11, 0, 4057, &part),
	    STORE_DAMAGED);
	assert_int_equal(store_body_read(store, 9999, 0, 1, &part),
	    STORE_DAMAGED);
	buf_release(&part);
	store_close(store);
}

static void test_damaged_chunk(void **unused)
{
	struct store *store = open_store();
	unsigned char key[STORE_CHUNK_KEY], other[STORE_CHUNK_KEY];
	DB *db;

	(void)unused;
	message_put(store, 1, 20000);
	message_put(store, 2, 20000);
	message_put(store, 3, 20000);
	db = store_segment_db(store, store_segment_of(store, 1));
	/* one bit of chunk 2 of message 1 */
	store_chunk_key(1, 2, key);
	assert_true(store_db_get(store, db, (struct store_bytes){ key,
	    sizeof(key) }) == STORE_CHUNK_MAX);
	store->scratch[1234] ^= 4;
	store_db_put(store, db, (struct store_bytes){ key, sizeof(key) },
	    (struct store_bytes){ store->scratch, STORE_CHUNK_MAX });
	/* a sound chunk in the wrong place */
	store_chunk_key(2, 0, key);
	store_chunk_key(2, 1, other);
	assert_true(store_db_get(store, db, (struct store_bytes){ key,
	    sizeof(key) }) == STORE_CHUNK_MAX);
	store_db_put(store, db, (struct store_bytes){ other, sizeof(other) },
	    (struct store_bytes){ store->scratch, STORE_CHUNK_MAX });
	make_durable(store);
	assert_false(body_is(store, 1, 20000));
	assert_false(body_is(store, 2, 20000));
	assert_true(body_is(store, 3, 20000));
	store_close(store);
}

static size_t count_rows(struct store *store, bool backwards)
{
	struct store_page page = { 0 };
	size_t count;

	store_scan(store, &(struct store_scan){ .table = STORE_MESSAGES,
	    .backwards = backwards, .max_rows = 100, .max_bytes = MIB }, &page);
	count = page.count;
	store_page_release(&page);
	return count;
}

/* Rows come and go while no flush may happen: not even where a table gets
 * empty. */
static void fill_and_empty(const void *arg)
{
	struct store_fault fault = { STORE_FAULT_FSYNC, EIO, 0, -1 };
	struct store *store = open_store();
	uint64_t id = 1;

	(void)arg;
	make_durable(store);
	store_threads_stop(store);
	store_fault_set(&fault);
	for (int round = 0; round < 20; round++) {
		struct id_key key;

		for (int i = 0; i < 60; i++, id++)
			store_put(store, STORE_MESSAGES, id_bytes(&key, id),
			    (struct store_bytes){ noise, 400 });
		for (uint64_t gone = id - 60; gone < id; gone++)
			store_delete(store, STORE_MESSAGES,
			    id_bytes(&key, gone));
	}
	_exit(0);
}

/* A table that gets empty again and again costs no flush each time, and the row
 * that sees to that is not seen. */
static void test_emptied(void **unused)
{
	char report[REPORT_BYTES];
	struct store *store = open_store();
	struct id_key key;

	(void)unused;
	assert_int_equal(count_rows(store, false), 0);
	assert_int_equal(count_rows(store, true), 0);
	store_put(store, STORE_MESSAGES, id_bytes(&key, 7), text("row"));
	assert_int_equal(count_rows(store, false), 1);
	assert_int_equal(count_rows(store, true), 1);
	store_close(store);
	assert_int_equal(child_end(child_start(fill_and_empty, NULL), report,
	    sizeof(report)), 0);
}

/* Segments fill, die and go; what lives in a dying one moves and is read. */
static void test_segments(void **unused)
{
	struct store *store = open_store();
	struct store_stats stats;
	enum { COUNT = 3000, LENGTH = 6000 };

	(void)unused;
	for (uint64_t id = 1; id <= COUNT; id++) {
		message_put(store, id, LENGTH);
		if (id % 50 == 0)
			make_durable(store);
	}
	store_stats(store, &stats);
	assert_true(stats.segments > 10);
	for (uint64_t id = 1; id <= COUNT; id++) {
		if (id % 10 != 0)
			message_delete(store, id, LENGTH);
		if (id % 50 == 0)
			make_durable(store);
	}
	for (int i = 0; i < 200; i++) {
		turn_for(50);
		store_stats(store, &stats);
		if (stats.segments <= 2)
			break;
	}
	assert_true(stats.segments <= 2);
	assert_true(stats.bodies_moved >= COUNT / 10 - 100);
	for (int round = 0; round < 2; round++) {
		for (uint64_t id = 10; id <= COUNT; id += 10)
			assert_true(body_is(store, id, LENGTH));
		make_durable(store);
		store_close(store);
		store = open_store();
	}
	/* an identifier from a range that was dropped */
	message_put(store, 5, LENGTH);
	make_durable(store);
	assert_true(body_is(store, 5, LENGTH));
	/* and the moved ones go too */
	message_delete(store, 5, LENGTH);
	for (uint64_t id = 10; id <= COUNT; id += 10)
		message_delete(store, id, LENGTH);
	make_durable(store);
	for (int i = 0; i < 100 && store->stray_bytes > 0; i++)
		turn_for(50);
	assert_int_equal(store->stray_bytes, 0);
	assert_int_equal(store->purge_count, 0);
	store_close(store);
}

/* Tables are dropped while checkpoints and trickles write pages all the time. */
static void test_drop_beside_checkpoints(void **unused)
{
	struct store_options options = options_small();
	struct store *store;
	struct store_stats stats;

	(void)unused;
	options.checkpoint_bytes = 64 << 10;
	options.segment_bytes = 128 << 10;
	store = store_open(&options);
	assert_non_null(store);
	store->move_delay = 0;
	for (uint64_t id = 1; id <= 12000; id++) {
		message_put(store, id, 5000);
		if (id > 20)
			message_delete(store, id - 20, 5000);
		if (id % 8 == 0)
			make_durable(store);
	}
	for (int i = 0; i < 1200; i++) {
		store_stats(store, &stats);
		if (stats.segments <= 3)
			break;
		turn_for(25);
	}
	assert_true(stats.segments <= 3);
	assert_true(stats.checkpoints > 2);
	assert_true(stats.segments_dropped > 300);
	store_close(store);
}

static void test_pages_hold_a_chunk(void **unused)
{
	struct store *store = open_store();
	struct stat about;
	char path[128];
	enum { COUNT = 200 };

	(void)unused;
	for (uint64_t id = 1; id <= COUNT; id++)
		message_put(store, id, STORE_CHUNK_BYTES);
	make_durable(store);
	store_close(store);
	snprintf(path, sizeof(path), "%s/segment.%016x.db", scratch, 1);
	assert_int_equal(stat(path, &about), 0);
	/* one page each, and a few for keys */
	assert_true(about.st_size < (COUNT + 12) * STORE_PAGE_BYTES);
}

/* --- what a restart finds --- */

static void leave_loose(const void *arg)
{
	struct store *store = open_store();

	(void)arg;
	message_put(store, 1, 5000);
	for (uint64_t id = 10; id < 20; id++)
		store_body_append(store, id, (struct store_bytes){
		    body_of(id), 300000 });
	store_body_discard(store, 10);
	store_body_discard(store, 11);
	make_durable(store);
	store_body_discard(store, 12);
	store_body_append(store, 13, (struct store_bytes){
	    body_of(13) + 300000, 1000 });
	store_body_claim(store, 13);
	make_durable(store);
	raise(SIGKILL);
}

static void test_sweep(void **unused)
{
	char report[REPORT_BYTES];
	struct child child = child_start(leave_loose, NULL);
	struct store *store;
	struct store_stats stats;

	(void)unused;
	assert_int_equal(child_end(child, report, sizeof(report)),
	    128 + SIGKILL);
	store = open_store();
	store_stats(store, &stats);
	/* 1 and 13 are owned; six more were found and given up */
	assert_int_equal(store->segments[0].live +
	    (store->segment_count > 1 ? store->segments[1].live : 0), 2);
	assert_true(body_is(store, 1, 5000));
	assert_true(body_is(store, 13, 301000));
	make_durable(store);
	store_close(store);
}

/*
 * Each batch writes its number under a row of two tables and a message; what
 * is durable goes to the ledger. Old messages leave on the way.
 */
static void write_until_killed(const void *arg)
{
	const uint64_t *first = arg;
	struct store_options options = options_small();
	struct store *store;
	struct id_key key;

	/* so that many segments begin and go on the way */
	options.segment_bytes = 128 << 10;
	store = store_open(&options);
	if (store == NULL)
		_exit(3);

	for (uint64_t n = *first;; n++) {
		size_t length = (size_t)(n % 17 * 977);
		struct store_bytes number = id_bytes(&key, n);

		store_put(store, STORE_SLICES, number, number);
		message_put(store, n, length);
		store_put(store, STORE_SCHEDULE, number, number);
		if (n >= *first + 100)
			message_delete(store, n - 100,
			    (size_t)((n - 100) % 17 * 977));
		if (n % 40 == 0)
			store_body_append(store, n + 1000000,
			    (struct store_bytes){ noise, 200000 });
		make_durable(store);
		*ledger = n;
	}
}

/* Killed so long after its ledger has come to `least`. */
static uint64_t last_after_kill(struct child child, uint64_t least,
    int64_t kill_after_ms)
{
	struct timespec pause = { kill_after_ms / 1000,
	    kill_after_ms % 1000 * 1000000 };
	char report[REPORT_BYTES];
	int ended;

	for (int i = 0; i < 60000 && *ledger < least; i++)
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	nanosleep(&pause, NULL);
	assert_int_equal(kill(child.pid, SIGKILL), 0);
	ended = child_end(child, report, sizeof(report));
	assert_string_equal(report, "");
	assert_int_equal(ended, 128 + SIGKILL);
	return *ledger;
}

static void check_after_kill(struct store *store, uint64_t first,
    uint64_t last)
{
	struct id_key key;
	struct buf out;

	buf_init(&out, STORE_VALUE_MAX);
	for (uint64_t n = first; n <= last; n++) {
		struct store_bytes number = id_bytes(&key, n);
		int64_t length = message_length(store, n);

		assert_true(store_get(store, STORE_SLICES, number, &out));
		assert_true(store_get(store, STORE_SCHEDULE, number, &out));
		buf_reset(&out);
		if (n + 100 <= last) {
			assert_true(length < 0);	/* durably deleted */
			continue;
		}
		if (length < 0) {
			/* only the batch behind the ledger may have done it */
			assert_true(n + 100 <= last + 1);
			continue;
		}
		assert_int_equal(length, n % 17 * 977);
		assert_true(body_is(store, n, (size_t)length));
	}
	/* the one after it is there in all tables or in none */
	struct store_bytes number = id_bytes(&key, last + 1);
	bool slice = store_get(store, STORE_SLICES, number, &out);
	bool schedule = store_get(store, STORE_SCHEDULE, number, &out);

	assert_int_equal(slice, schedule);
	assert_int_equal(slice, message_length(store, last + 1) >= 0);
	if (slice)
		assert_true(body_is(store, last + 1,
		    (size_t)((last + 1) % 17 * 977)));
	buf_release(&out);
}

static void test_killed(void **unused)
{
	uint64_t first = 1000;
	uint64_t acknowledged = 0;

	(void)unused;
	srandom(20261122);
	for (int round = 0; round < 12; round++) {
		struct child child = child_start(write_until_killed, &first);
		uint64_t last = last_after_kill(child, round % 2 == 0 ?
		    0 : first + 20, random() % 700);
		struct store *store = open_store();

		if (last >= first) {
			check_after_kill(store, first, last);
			acknowledged += last - first + 1;
			first = last + 2;
		}
		make_durable(store);
		store_close(store);
	}
	assert_true(acknowledged > 100);
}

/* Killed after a dead segment lost its row, before its file went. */
static void lose_a_row(const void *arg)
{
	struct store *store = open_store();
	char key[16] = "segment";
	uint64_t first = htobe64(1);

	(void)arg;
	memcpy(key + 8, &first, sizeof(first));
	for (uint64_t id = 1; id <= 400; id++) {
		if (store->segment_count > 1)
			message_put(store, id, 6000);
		else	/* nobody's, as far as the next start can see */
			store_body_put(store, id, (struct store_bytes){
			    body_of(id), 6000 });
		make_durable(store);
	}
	*ledger = store->segments[1].first;
	store_db_delete(store, store->internal, (struct store_bytes){ key,
	    sizeof(key) });
	make_durable(store);
	raise(SIGKILL);
}

static void open_and_checkpoint(const void *arg)
{
	struct store *store = open_store();

	(void)arg;
	store_checkpoint(store);
	message_put(store, 1000, 6000);
	make_durable(store);
	store_checkpoint(store);
	store_close(store);
}

static void test_killed_in_a_drop(void **unused)
{
	struct child child = child_start(lose_a_row, NULL);
	char report[REPORT_BYTES], path[128];
	struct store *store;
	uint64_t first;

	(void)unused;
	snprintf(path, sizeof(path), "%s/segment.%016x.db", scratch, 1);
	assert_int_equal(child_end(child, report, sizeof(report)),
	    128 + SIGKILL);
	first = *ledger;
	assert_true(first > 1 && first < 400);
	assert_int_equal(access(path, F_OK), 0);
	/* the checkpoint must not look for the file that the open took away */
	child = child_start(open_and_checkpoint, NULL);
	assert_int_equal(child_end(child, report, sizeof(report)), 0);
	assert_string_equal(report, "");
	assert_int_not_equal(access(path, F_OK), 0);
	assert_false(store_os_is_marked(scratch));
	store = open_store();
	for (uint64_t id = first; id <= 400; id++)
		assert_true(body_is(store, id, 6000));
	assert_true(body_is(store, 1000, 6000));
	store_close(store);
}

/* --- one owner, one version --- */

static void open_second(const void *arg)
{
	struct store_options options = options_small();

	(void)arg;
	_exit(store_open(&options) == NULL ? 3 : 4);
}

static void test_second_opener(void **unused)
{
	struct store *store = open_store();
	char report[REPORT_BYTES], pid[32];
	struct child child = child_start(open_second, NULL);

	(void)unused;
	assert_int_equal(child_end(child, report, sizeof(report)), 3);
	snprintf(pid, sizeof(pid), "pid=%d", (int)getpid());
	assert_non_null(strstr(report, "in use by another process"));
	assert_non_null(strstr(report, pid));
	store_close(store);
}

static void test_unknown_version(void **unused)
{
	struct store *store = open_store();
	uint32_t version = htobe32(STORE_VERSION + 1);
	char report[REPORT_BYTES];

	(void)unused;
	store_db_put(store, store->internal, text("version"),
	    (struct store_bytes){ &version, sizeof(version) });
	make_durable(store);
	store_close(store);
	assert_int_equal(child_end(child_start(open_second, NULL), report,
	    sizeof(report)), 3);
	assert_non_null(strstr(report, "later version"));
	assert_non_null(strstr(report, "found=3"));
	assert_non_null(strstr(report, "wanted=2"));
	assert_non_null(strstr(report, "remedy="));
}

static void test_settings_file_is_ignored(void **unused)
{
	char path[128];
	FILE *file;
	struct store *store;

	(void)unused;
	snprintf(path, sizeof(path), "%s/DB_CONFIG", scratch);
	file = fopen(path, "we");
	assert_non_null(file);
	fputs("set_lg_dir /nonexistent\n", file);
	fclose(file);
	store = open_store();
	assert_int_not_equal(access(path, F_OK), 0);
	store_close(store);
}

/* The power went after the spare took its name, before its first flush. */
static void test_log_file_never_begun(void **unused)
{
	static const char zeros[MIB];
	struct store *store = open_store();
	char path[128];
	int fd;

	(void)unused;
	message_put(store, 1, 5000);
	make_durable(store);
	store_close(store);
	snprintf(path, sizeof(path), "%s/log.0000000002", scratch);
	fd = open(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, zeros, sizeof(zeros)), sizeof(zeros));
	close(fd);
	store = open_store();
	assert_true(body_is(store, 1, 5000));
	assert_false(store_os_is_marked(scratch));
	store_close(store);
}

/* Of a torn end of the log nothing is left that a later recovery could take for
 * its own: a record that happens to begin where the log ends by then. */
static void test_behind_the_log(void **unused)
{
	char path[128], name[] = "log.0000000001", block[4096];
	struct store *store = open_store();
	int fd;

	(void)unused;
	message_put(store, 1, 3000);
	make_durable(store);
	store_close(store);
	snprintf(path, sizeof(path), "%s/%s", scratch, name);
	fd = open(path, O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, noise, 1000, 1 << 20), 1000);
	store = open_store();
	assert_true(body_is(store, 1, 3000));
	assert_int_equal(pread(fd, block, 1000, 1 << 20), 1000);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(block[i], 0);
	message_put(store, 2, 3000);
	make_durable(store);
	store_close(store);
	store = open_store();
	assert_true(body_is(store, 1, 3000) && body_is(store, 2, 3000));
	store_close(store);
	close(fd);
}

/* --- a disk that fails --- */

struct fault_case {
	const char		*name;
	struct store_fault	 fault;
	int			 ends;		/* exit status */
	const char		*says;
};

/* Writes for a while; the fault comes when all is running. */
static void write_with_fault(const void *arg)
{
	const struct fault_case *test = arg;
	struct store *store = open_store();

	for (uint64_t n = 1; n <= 600; n++) {
		if (n == 20)
			store_fault_set(&test->fault);
		message_put(store, n, 20000);
		make_durable(store);
		*ledger = n;
	}
	store_fault_set(NULL);
	store_close(store);
}

static void fault_check(const struct fault_case *test)
{
	static char report[REPORT_BYTES];
	struct child child = child_start(write_with_fault, test);
	struct store *store;
	uint64_t last;

	assert_int_equal(child_end(child, report, sizeof(report)), test->ends);
	last = *ledger;
	assert_true(last >= 19);
	if (test->ends == 0)
		assert_int_equal(last, 600);
	if (test->says != NULL)
		assert_non_null(strstr(report, test->says));
	store = open_store();
	for (uint64_t n = 1; n <= last; n++)
		assert_true(body_is(store, n, 20000));
	store_close(store);
}

static void test_disk_faults(void **unused)
{
	static const struct fault_case cases[] = {
		{ "fsync EIO once", { STORE_FAULT_FSYNC, EIO, 3, 1 }, 1,
		    "cannot flush" },
		{ "fsync ENOSPC once", { STORE_FAULT_FSYNC, ENOSPC, 3, 1 }, 1,
		    "cannot flush" },
		{ "log EIO once", { STORE_FAULT_LOG_WRITE, EIO, 3, 1 }, 1,
		    "cannot write" },
		{ "page EIO once", { STORE_FAULT_PAGE_WRITE, EIO, 1, 1 }, 1,
		    "cannot write" },
		{ "log ENOSPC once: the reserve helps",
		    { STORE_FAULT_LOG_WRITE, ENOSPC, 3, 1 }, 0,
		    "using the reserve" },
		{ "log ENOSPC for ever", { STORE_FAULT_LOG_WRITE, ENOSPC, 3,
		    -1 }, 1, "cannot write" },
		{ "page ENOSPC for some time: pages wait in memory",
		    { STORE_FAULT_PAGE_WRITE, ENOSPC, 3, 2 }, 0, NULL },
		{ "open EIO", { STORE_FAULT_OPEN, EIO, 0, -1 }, 1, NULL },
	};

	(void)unused;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		print_message("# %s\n", cases[i].name);
		fault_check(&cases[i]);
	}
}

/* The number of opens that go well before one does not. */
static void open_with_fault(const void *arg)
{
	const struct store_fault *fault = arg;
	struct store_options options = options_small();
	struct store *store;

	store_fault_set(fault);
	store = store_open(&options);
	if (store == NULL)
		_exit(3);
	store_fault_set(NULL);
	/* the next recovery has work again */
	message_put(store, (uint64_t)fault->after + 1000, 6000);
	make_durable(store);
	_exit(0);
}

/*
 * Whatever Berkeley DB makes of it: a file that could not be opened in a
 * recovery does not put the tables in doubt. A salvage would take them as they
 * are, without what is in the log only, which is most of what was promised.
 */
static void test_recovery_meets_errors(void **unused)
{
	static char report[REPORT_BYTES];
	struct store_fault fault = { STORE_FAULT_OPEN, EIO, 0, 1 };
	struct store *store;
	int ended, failed = 0;

	(void)unused;
	fault.after = 1000000;
	assert_int_equal(child_end(child_start(open_with_fault, &fault),
	    report, sizeof(report)), 0);
	for (fault.after = 0; fault.after < 36; fault.after += 2) {
		ended = child_end(child_start(open_with_fault, &fault),
		    report, sizeof(report));
		failed += ended != 0;
		assert_false(store_os_is_marked(scratch));
	}
	assert_true(failed > 3);
	store = open_store();
	assert_true(body_is(store, 1001000, 6000));
	store_close(store);
}

static void test_space_is_zero_on_the_reserve(void **unused)
{
	struct store_fault fault = { STORE_FAULT_LOG_WRITE, ENOSPC, 0, 1 };
	struct store *store = open_store();
	bool was_zero = false;

	(void)unused;
	assert_true(store_space(store) > 0);
	store_fault_set(&fault);
	message_put(store, 1, 1000);
	make_durable(store);
	assert_false(store_os_reserve_is_whole() && store_space(store) == 0);
	/* there is room, in truth: the housekeeper finds out and restores */
	for (int i = 0; i < 50 && !store_os_reserve_is_whole(); i++) {
		was_zero = was_zero || store_space(store) == 0;
		turn_for(20);
	}
	store_fault_set(NULL);
	assert_true(store_os_reserve_is_whole());
	turn_for(250);
	assert_true(store_space(store) > 0);
	(void)was_zero;
	store_close(store);
}

/* --- damage --- */

enum { PAGE_OF_ROWS = -1 };

static void flip(const char *name, long page, int count)
{
	char path[128];
	unsigned char byte;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", scratch, name);
	fd = open(path, O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	for (int i = 0; i < count; i++) {
		off_t at = page * STORE_PAGE_BYTES + 1000 + i * 7;

		assert_int_equal(pread(fd, &byte, 1, at), 1);
		byte ^= 0x10;
		assert_int_equal(pwrite(fd, &byte, 1, at), 1);
	}
	close(fd);
}

/* A leaf page with many rows on it: its type is 5, at byte 25. */
static long page_of_rows(const char *name)
{
	unsigned char page[STORE_PAGE_BYTES];
	char path[128];
	long found = 0;
	uint16_t entries = 0;
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", scratch, name);
	file = fopen(path, "re");
	assert_non_null(file);
	for (long number = 0; found == 0 &&
	    fread(page, sizeof(page), 1, file) == 1; number++) {
		memcpy(&entries, page + 20, sizeof(entries));
		if (page[25] == 5 && entries >= 100)
			found = number;
	}
	fclose(file);
	assert_true(found > 0);
	return found;
}

static void read_everything(const void *arg)
{
	struct store *store = open_store();

	(void)arg;
	for (uint64_t id = 1; id <= 400; id++)
		if (message_length(store, id) >= 0)
			body_is(store, id, 6000);
	_exit(0);
}

/* Damaged pages end the process, and the next start saves the rest. */
static void salvage_check(const char *table, long page, uint64_t *bodies,
    uint64_t *rows)
{
	static char report[REPORT_BYTES];
	struct store *store = open_store();
	char path[128];

	for (uint64_t id = 1; id <= 400; id++)
		message_put(store, id, 6000);
	make_durable(store);
	store_close(store);
	flip(table, page == PAGE_OF_ROWS ? page_of_rows(table) : page, 3);
	assert_int_equal(child_end(child_start(read_everything, NULL), report,
	    sizeof(report)), 1);
	snprintf(path, sizeof(path), "%s/damaged", scratch);
	assert_int_equal(access(path, F_OK), 0);
	store = open_store();
	assert_int_not_equal(access(path, F_OK), 0);
	snprintf(path, sizeof(path), "%s/damaged.1/%s", scratch, table);
	assert_int_equal(access(path, F_OK), 0);
	*bodies = *rows = 0;
	for (uint64_t id = 1; id <= 400; id++) {
		*rows += message_length(store, id) == 6000;
		*bodies += body_is(store, id, 6000);
	}
	/* and it works on */
	message_put(store, 5000, 6000);
	make_durable(store);
	assert_true(body_is(store, 5000, 6000));
	store_close(store);
}

static void test_salvage_bodies(void **unused)
{
	uint64_t bodies, rows;

	(void)unused;
	salvage_check("segment.0000000000000001.db", 20, &bodies, &rows);
	assert_int_equal(rows, 400);
	assert_true(bodies >= 300 && bodies < 400);
}

static void test_salvage_envelopes(void **unused)
{
	uint64_t bodies, rows;

	(void)unused;
	salvage_check("messages.db", PAGE_OF_ROWS, &bodies, &rows);
	assert_true(rows >= 100 && rows < 400);
	assert_int_equal(bodies, 400);
}

/* Marked, but nothing is wrong: the mark goes and all is there. */
static void test_marked_but_sound(void **unused)
{
	struct store *store = open_store();
	char path[128];

	(void)unused;
	message_put(store, 1, 6000);
	make_durable(store);
	store_close(store);
	store_os_mark_damaged(scratch);
	store = open_store();
	assert_true(body_is(store, 1, 6000));
	assert_false(store_os_is_marked(scratch));
	snprintf(path, sizeof(path), "%s/damaged.1", scratch);
	assert_int_not_equal(access(path, F_OK), 0);
	store_close(store);
}

/* --- backup --- */

struct backup_end {
	bool	 called, success;
};

static void on_backup(void *arg, bool success)
{
	struct backup_end *end = arg;

	assert_false(end->called);
	end->called = true;
	end->success = success;
}

static void test_backup(void **unused)
{
	struct store_options options = options_small();
	struct backup_end end = { 0 };
	struct store *store = open_store();
	char copy[128];

	(void)unused;
	for (uint64_t id = 1; id <= 500; id++) {
		message_put(store, id, 6000);
		if (id % 20 == 0)
			make_durable(store);
	}
	snprintf(copy, sizeof(copy), "%s/copy", scratch);
	assert_int_equal(store_backup(store, copy, on_backup, &end), 0);
	assert_int_equal(store_backup(store, copy, on_backup, &end), -1);
	for (uint64_t id = 501; !end.called && id < 100000; id++) {
		message_put(store, id, 6000);
		if (id > 600)
			message_delete(store, id - 50, 6000);
		make_durable(store);
		/* What is copied already would lack what it ends. */
		if (id % 4 == 0)
			store_checkpoint(store);
	}
	assert_true(end.called);
	assert_true(end.success);
	store_close(store);
	options.directory = copy;
	store = store_open(&options);
	assert_non_null(store);
	for (uint64_t id = 1; id <= 500; id++)
		assert_true(body_is(store, id, 6000));
	store_close(store);
}

struct holder {
	struct store	*store;
	pthread_barrier_t held;
};

/* Holds up a backup, for so long that whoever closes is past its order. */
static void *hold_pages(void *arg)
{
	struct holder *holder = arg;
	const struct timespec a_while = { .tv_nsec = 300000000 };

	pthread_mutex_lock(&holder->store->pages);
	pthread_barrier_wait(&holder->held);
	nanosleep(&a_while, NULL);
	pthread_mutex_unlock(&holder->store->pages);
	return NULL;
}

/* A store that is closed does not wait for a copy that has hardly begun. */
static void test_backup_is_cut_off(void **unused)
{
	struct backup_end end = { 0 };
	struct store *store = open_store();
	struct holder holder = { .store = store };
	pthread_t thread;
	char copy[128];

	(void)unused;
	for (uint64_t id = 1; id <= 500; id++)
		message_put(store, id, 6000);
	make_durable(store);
	pthread_barrier_init(&holder.held, NULL, 2);
	assert_int_equal(pthread_create(&thread, NULL, hold_pages, &holder),
	    0);
	pthread_barrier_wait(&holder.held);
	snprintf(copy, sizeof(copy), "%s/copy", scratch);
	assert_int_equal(store_backup(store, copy, on_backup, &end), 0);
	store_close(store);
	pthread_join(thread, NULL);
	pthread_barrier_destroy(&holder.held);
	assert_false(end.called);
	assert_int_equal(store_backup_bytes(copy), 0);
	store = open_store();
	assert_true(body_is(store, 500, 6000));
	/* the next one is not */
	snprintf(copy, sizeof(copy), "%s/other", scratch);
	assert_int_equal(store_backup(store, copy, on_backup, &end), 0);
	for (int i = 0; !end.called && i < 500; i++)
		turn_for(20);
	assert_true(end.success);
	store_close(store);
}

/* A copy that finds no room, for a table as for a log file, is no matter of the
 * store: the reserve stays, and mail goes on. */
static void test_backup_without_room(void **unused)
{
	struct store_fault fault = { STORE_FAULT_COPY_WRITE, ENOSPC, 0, -1 };
	struct store_options options = options_small();
	struct backup_end end = { 0 };
	struct store *store;
	unsigned failed = 0;
	char copy[128], log[160] = "";

	(void)unused;
	options.log_file_bytes = 2 * MIB;
	store = store_open(&options);
	assert_non_null(store);
	for (uint64_t id = 1; id <= 100; id++)
		message_put(store, id, 6000);
	make_durable(store);
	for (; !end.success; fault.after++) {
		assert_true(failed < 2000);
		store_fault_set(&fault);
		end = (struct backup_end){ 0 };
		snprintf(copy, sizeof(copy), "%s/copy.%ld", scratch,
		    fault.after);
		assert_int_equal(store_backup(store, copy, on_backup, &end),
		    0);
		for (int i = 0; !end.called && i < 5000; i++)
			turn_for(2);
		assert_true(end.called);
		failed += !end.success;
		if (!end.success)
			snprintf(log, sizeof(log), "%s/log.0000000001", copy);
		assert_true(store_os_reserve_is_whole());
		assert_false(store_os_met_full_disk());
	}
	store_fault_set(NULL);
	assert_true(failed > 5);
	/* the last write of all is to a log file */
	assert_int_equal(access(log, F_OK), 0);
	message_put(store, 1000, 6000);
	make_durable(store);
	store_close(store);
	options.directory = copy;
	store = store_open(&options);
	assert_non_null(store);
	assert_true(body_is(store, 100, 6000));
	store_close(store);
}

/* --- everything at once --- */

/*
 * A model of what the store holds, driven at random: small bodies in one
 * piece, large ones in pieces over many turns while others come and go, ids
 * handed out in order and begun in any, segments of a size that one large body
 * overruns, moving, purging, checkpoints and restarts all the while. Every
 * body is read, whole, before it goes; its bytes are known from its id.
 * STORE_TEST_CHURN=n makes it n times as long, STORE_TEST_SEED another one.
 */
enum { CHURN_STANDING = 400, CHURN_COMING = 6, CHURN_STEPS = 400,
    CHURN_LONGEST = 6 * MIB, CHURN_RESTARTS = 4 };

struct churn_message {
	uint64_t	 id;
	size_t		 length, sent;
};

struct churn {
	struct store_options	 options;
	struct store	*store;
	uint64_t	 next_id, seed;
	struct churn_message standing[CHURN_STANDING];
	struct churn_message coming[CHURN_COMING];	/* id 0: none */
	unsigned	 standing_count;
	uint64_t	 read, removed, discarded, late;	/* counted */
	uint64_t	 moved, dropped, checkpoints;	/* of closed stores */
};

static uint64_t churn_random(struct churn *churn, uint64_t below)
{
	churn->seed ^= churn->seed << 13;
	churn->seed ^= churn->seed >> 7;
	churn->seed ^= churn->seed << 17;
	return (churn->seed >> 11) % below;
}

/* Mostly small, few large; chunk borders are met more often than by chance. */
static size_t churn_length(struct churn *churn)
{
	uint64_t pick = churn_random(churn, 100);

	if (pick < 5)
		return (churn_random(churn, 3) * STORE_CHUNK_BYTES) +
		    churn_random(churn, 3);
	if (pick < 85)
		return churn_random(churn, 8 << 10);
	return churn_random(churn, pick < 99 ? 64 << 10 : MIB);
}

static void churn_check(struct churn *churn, struct churn_message message)
{
	if (!body_is(churn->store, message.id, message.length)) {
		struct segment *segment = store_segment_of(churn->store,
		    message.id);

		print_error("message %llu of %zu bytes, %s %llu\n",
		    (unsigned long long)message.id, message.length,
		    segment != NULL ? "segment from" : "strays", segment !=
		    NULL ? (unsigned long long)segment->first : 0);
		fail();
	}
	churn->read++;
}

static void churn_remove(struct churn *churn, unsigned place)
{
	struct churn_message message = churn->standing[place];

	churn_check(churn, message);
	message_delete(churn->store, message.id, message.length);
	churn->standing[place] = churn->standing[--churn->standing_count];
	churn->removed++;
}

static void churn_stand(struct churn *churn, struct churn_message message)
{
	if (churn->standing_count == CHURN_STANDING)
		churn_remove(churn, (unsigned)churn_random(churn,
		    CHURN_STANDING));
	churn->standing[churn->standing_count++] = message;
}

static void churn_put(struct churn *churn)
{
	struct churn_message message = { .id = churn->next_id++,
	    .length = churn_length(churn) };

	message_put(churn->store, message.id, message.length);
	churn_stand(churn, message);
}

/* A slow sender: its id is older than the bodies begun before its own. */
static void churn_begin(struct churn *churn, struct churn_message *coming)
{
	*coming = (struct churn_message){ .id = churn->next_id++,
	    .length = churn_random(churn, 4) == 0 ?
	    churn_random(churn, CHURN_LONGEST) : churn_length(churn) };
}

static void churn_claim(struct churn *churn, struct churn_message *coming)
{
	struct id_key key;
	uint64_t row = coming->length;

	store_body_claim(churn->store, coming->id);
	store_put(churn->store, STORE_MESSAGES, id_bytes(&key, coming->id),
	    (struct store_bytes){ &row, sizeof(row) });
	churn_stand(churn, *coming);
	coming->id = 0;
}

static void churn_append(struct churn *churn, struct churn_message *coming)
{
	size_t step = churn_random(churn, 200000);

	if (churn_random(churn, 40) == 0) {
		store_body_discard(churn->store, coming->id);
		churn->discarded++;
		coming->id = 0;
		return;
	}
	if (step > coming->length - coming->sent)
		step = coming->length - coming->sent;
	churn->late += coming->sent == 0 &&
	    coming->id < churn->store->segments[
	    churn->store->segment_count - 1].first;
	store_body_append(churn->store, coming->id, (struct store_bytes){
	    body_of(coming->id) + coming->sent, step });
	coming->sent += step;
	if (coming->sent == coming->length)
		churn_claim(churn, coming);
}

/* What is young goes most often, what is old stays and has to be moved. */
static void churn_leave(struct churn *churn)
{
	unsigned young = churn->standing_count / 4 + 1, place;

	if (churn->standing_count == 0)
		return;
	place = (unsigned)churn_random(churn, churn_random(churn, 20) == 0 ?
	    churn->standing_count : young);
	if (place >= churn->standing_count)
		place = churn->standing_count - 1;
	churn_remove(churn, churn->standing_count - 1 - place);
}

static void churn_turn(struct churn *churn)
{
	for (uint64_t puts = churn_random(churn, 8); puts > 0; puts--)
		churn_put(churn);
	for (int i = 0; i < CHURN_COMING; i++) {
		struct churn_message *coming = &churn->coming[i];

		if (coming->id == 0)
			churn_begin(churn, coming);
		else if (churn_random(churn, 4) == 0)
			churn_append(churn, coming);
	}
	for (uint64_t leave = churn_random(churn, 9); leave > 0; leave--)
		churn_leave(churn);
	if (churn->standing_count > 0)
		churn_check(churn, churn->standing[churn_random(churn,
		    churn->standing_count)]);
	make_durable(churn->store);
	/* room for moving, purging and dropping */
	if (churn_random(churn, 16) == 0)
		turn_for(60);
}

static void churn_open(struct churn *churn)
{
	churn->store = store_open(&churn->options);
	assert_non_null(churn->store);
	churn->store->move_delay = 0;
	for (unsigned i = 0; i < churn->standing_count; i++)
		churn_check(churn, churn->standing[i]);
}

static void churn_close(struct churn *churn)
{
	struct store_stats stats;

	store_stats(churn->store, &stats);
	churn->moved += stats.bodies_moved;
	churn->dropped += stats.segments_dropped;
	churn->checkpoints += stats.checkpoints;
	store_close(churn->store);
	/* what was not claimed is swept at the next open */
	memset(churn->coming, 0, sizeof(churn->coming));
}

/* Nothing stays behind when all has gone: each body was counted once. */
static void churn_drain(struct churn *churn)
{
	struct store_stats stats;

	while (churn->standing_count > 0) {
		churn_remove(churn, churn->standing_count - 1);
		if (churn->standing_count % 16 == 0)
			make_durable(churn->store);
	}
	make_durable(churn->store);
	for (int i = 0; i < 400; i++) {
		store_stats(churn->store, &stats);
		if (stats.segments == 1 && stats.body_bytes_live == 0)
			break;
		turn_for(50);
	}
	assert_int_equal(stats.segments, 1);
	assert_int_equal(churn->store->segments[0].live, 0);
	assert_int_equal(stats.body_bytes_live, 0);
	assert_int_equal(churn->store->purge_count, 0);
}

static void churn_run(uint64_t segment_bytes, long steps, uint64_t seed)
{
	struct churn *churn = mem_alloc(sizeof(*churn));

	churn->options = options_small();
	churn->options.segment_bytes = segment_bytes;
	churn->next_id = 1;
	churn->seed = seed;
	for (int life = 0; life < CHURN_RESTARTS; life++) {
		churn_open(churn);
		for (long i = 0; i < steps / CHURN_RESTARTS; i++)
			churn_turn(churn);
		churn_close(churn);
	}
	churn_open(churn);
	churn_drain(churn);
	churn_close(churn);
	print_message("# segments of %llu: read %llu, removed %llu, discarded "
	    "%llu, late %llu, moved %llu, dropped %llu, checkpoints %llu\n",
	    (unsigned long long)segment_bytes,
	    (unsigned long long)churn->read,
	    (unsigned long long)churn->removed,
	    (unsigned long long)churn->discarded,
	    (unsigned long long)churn->late,
	    (unsigned long long)churn->moved,
	    (unsigned long long)churn->dropped,
	    (unsigned long long)churn->checkpoints);
	/* that it was a test: all that may go wrong has happened */
	assert_true(churn->removed > (uint64_t)steps);
	assert_true(churn->moved > 0 && churn->dropped > 0);
	assert_true(churn->late > 0 && churn->discarded > 0);
	assert_true(churn->checkpoints > 0);
	mem_free(churn);
}

static void test_churn(void **unused)
{
	static const uint64_t sizes[] = { 128 << 10, MIB };
	const char *times = getenv("STORE_TEST_CHURN");
	const char *seed = getenv("STORE_TEST_SEED");
	long steps = CHURN_STEPS * (times != NULL ?
	    strtol(times, NULL, 10) : 1);

	(void)unused;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		churn_run(sizes[i], steps, seed != NULL ?
		    strtoull(seed, NULL, 10) : 20261122 + i);
		assert_int_equal(scratch_remove(scratch), 0);
		assert_int_equal(mkdir(scratch, 0700), 0);
	}
}

/* The same, killed at any moment: what was durable is there and reads well,
 * and the counts that decide what is dropped are right afterwards. */
struct churn_killed {
	struct churn	 now;
	struct churn	 kept[2];	/* as of an even and an odd turn */
};

static void churn_until_killed(const void *arg)
{
	struct churn_killed *state = (void *)(uintptr_t)arg;

	churn_open(&state->now);
	for (uint64_t turn = 1;; turn++) {
		churn_turn(&state->now);
		state->kept[turn % 2] = state->now;
		*ledger = turn;
	}
}

/* Rows of the store become what stands. */
static void churn_find(struct churn *churn)
{
	struct store_scan scan = { .table = STORE_MESSAGES,
	    .max_rows = CHURN_STANDING + 1, .max_bytes = SIZE_MAX };
	struct store_page page = { 0 };

	store_scan(churn->store, &scan, &page);
	assert_true(page.count <= CHURN_STANDING);
	for (size_t i = 0; i < page.count; i++) {
		uint64_t length;

		memcpy(&length, page.rows[i].value.data, sizeof(length));
		churn->standing[i] = (struct churn_message){
		    .id = row_number(&page.rows[i]), .length = length };
		churn_check(churn, churn->standing[i]);
	}
	churn->standing_count = (unsigned)page.count;
	store_page_release(&page);
}

static void churn_recover(struct churn_killed *state, uint64_t turn)
{
	const struct churn *kept = &state->kept[turn % 2];
	unsigned missing = 0;

	state->now = *kept;
	memset(state->now.coming, 0, sizeof(state->now.coming));
	state->now.next_id += 100;	/* behind what one turn can use */
	state->now.store = store_open(&kept->options);
	assert_non_null(state->now.store);
	for (unsigned i = 0; i < kept->standing_count; i++)
		missing += message_length(state->now.store,
		    kept->standing[i].id) < 0;
	/* the turn behind the last may have removed so many */
	assert_true(missing <= 24);
	churn_find(&state->now);
}

static void test_churn_killed(void **unused)
{
	const char *times = getenv("STORE_TEST_CHURN");
	const char *seed = getenv("STORE_TEST_SEED");
	int rounds = 6 * (times != NULL ? (int)strtol(times, NULL, 10) : 1);
	struct churn_killed *state = mmap(NULL, sizeof(*state), PROT_READ |
	    PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	uint64_t turns = 0, strays = 0;

	(void)unused;
	assert_true(state != MAP_FAILED);
	state->now = (struct churn){ .options = options_small(), .next_id = 1,
	    .seed = seed != NULL ? strtoull(seed, NULL, 10) : 20261122 };
	state->now.options.segment_bytes = 256 << 10;
	for (int round = 0; round < rounds; round++) {
		struct child child;
		uint64_t turn;

		state->kept[0] = state->now;
		child = child_start(churn_until_killed, state);
		turn = last_after_kill(child, 1, 100 +
		    (int64_t)churn_random(&state->kept[0], 900));
		turns += turn;
		churn_recover(state, turn);
		strays += state->now.store->stray_bytes > 0;
		if (round + 1 < rounds)
			store_close(state->now.store);
	}
	print_message("# turns %llu, rounds with moved bodies %llu of %d\n",
	    (unsigned long long)turns, (unsigned long long)strays, rounds);
	assert_true(turns > 0);
	churn_drain(&state->now);
	store_close(state->now.store);
	munmap(state, sizeof(*state));
}

/* --- set-up --- */

static int set_up(void **unused)
{
	(void)unused;
	if (scratch_make(scratch, sizeof(scratch), "store") == -1)
		return -1;
	/* STORE_TEST_LOG=1 shows what the store says of all this */
	log_init("test", getenv("STORE_TEST_LOG") != NULL ? LOG_LEVEL_DEBUG :
	    LOG_LEVEL_WARN);
	loop_init();
	return 0;
}

static int tear_down(void **unused)
{
	(void)unused;
	store_fault_set(NULL);
	loop_release();
	return scratch_remove(scratch);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(test_rows), TEST(test_scan_is_bounded),
		TEST(test_bodies), TEST(test_damaged_chunk),
		TEST(test_emptied),
		TEST(test_segments),
		TEST(test_drop_beside_checkpoints),
		TEST(test_pages_hold_a_chunk),
		TEST(test_sweep), TEST(test_killed),
		TEST(test_killed_in_a_drop),
		TEST(test_second_opener), TEST(test_unknown_version),
		TEST(test_settings_file_is_ignored),
		TEST(test_log_file_never_begun), TEST(test_behind_the_log),
		TEST(test_disk_faults),
		TEST(test_recovery_meets_errors),
		TEST(test_space_is_zero_on_the_reserve),
		TEST(test_salvage_bodies), TEST(test_salvage_envelopes),
		TEST(test_marked_but_sound), TEST(test_backup),
		TEST(test_backup_is_cut_off), TEST(test_backup_without_room),
		TEST(test_churn), TEST(test_churn_killed),
	};

	ledger = mmap(NULL, sizeof(*ledger), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (ledger == MAP_FAILED)
		return 1;
	for (size_t i = 0; i < sizeof(noise); i++)
		noise[i] = (unsigned char)(i * 2654435761U >> 13);
	cmocka_set_test_filter(getenv("STORE_TEST_ONLY"));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
