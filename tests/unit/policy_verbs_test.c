/* SPDX-License-Identifier: ISC */
/*
 * Long answers of policy/verbs.c: whatever a list costs, no turn of the loop
 * takes more than its share, the loop goes round in between, all of it arrives,
 * and what the list needs is released once, also when the reader goes or the
 * role stops.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/control.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/process.h"
#include "policy/verbs.h"

enum { ENTRIES = 200000, READ_BYTES = 64 << 10 };

/* What the verb under test lists: calls of this cost each, an object of so many
 * bytes in every call, or in none. */
static struct {
	unsigned	 cost;
	size_t		 bytes;
	unsigned	 left;		/* calls */

	unsigned	 turns;		/* in which it was called */
	size_t		 turn_cost, turn_bytes;		/* of this one */
	size_t		 most_cost, most_bytes;
	unsigned	 released;
} list;

static struct {
	struct watch	 watch;
	int		 fd;
	size_t		 lines;
	char		 tail[200];
	bool		 closed;
} reader;

static struct timer patience;

static void end_turn(void *arg)
{
	(void)arg;
	if (list.turn_cost > list.most_cost)
		list.most_cost = list.turn_cost;
	if (list.turn_bytes > list.most_bytes)
		list.most_bytes = list.turn_bytes;
	list.turns += list.turn_cost > 0;
	list.turn_cost = list.turn_bytes = 0;
}

static unsigned more(void *arg, struct verbs_page *page)
{
	static char text[4096];

	assert_ptr_equal(arg, &list);
	if (list.left == 0)
		return 0;
	list.left--;
	list.turn_cost += list.cost;
	if (list.bytes > 0) {
		memset(text, 'x', list.bytes);
		text[list.bytes] = '\0';
		list.turn_bytes += list.bytes;
		verbs_page_add(page, json_pack("{s:s}", "x", text));
	}
	return list.cost;
}

static void release(void *arg)
{
	assert_ptr_equal(arg, &list);
	list.released++;
}

static void verb_list(struct control *control, const json_t *arguments)
{
	(void)arguments;
	verbs_send(control, more, release, &list, "nothing there");
}

static void stop(void *arg)
{
	(void)arg;
	loop_stop();
}

static void on_readable(void *arg, int flags)
{
	static char bytes[READ_BYTES];
	ssize_t got = read(reader.fd, bytes, sizeof(bytes)), i;

	(void)arg;
	(void)flags;
	if (got <= 0) {
		reader.closed = true;
		watch_set(&reader.watch, 0);
		loop_defer(stop, NULL);
		return;
	}
	for (i = 0; i < got; i++)
		reader.lines += bytes[i] == '\n';
	if (got < (ssize_t)sizeof(reader.tail)) {
		memcpy(reader.tail, bytes, (size_t)got);
		reader.tail[got] = '\0';
	} else {
		memcpy(reader.tail, bytes + got - sizeof(reader.tail) + 1,
		    sizeof(reader.tail) - 1);
	}
}

static void ask(void)
{
	static const struct control_verb verbs[] = {
	    { "list", false, verb_list } };
	static const char request[] =
	    "{\"verb\":\"list\",\"arguments\":{}}\n";
	static const struct process_caller caller = { .uid = 1 };
	int fds[2];

	memset(&reader, 0, sizeof(reader));
	assert_int_equal(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK |
	    SOCK_CLOEXEC, 0, fds));
	control_accept(fds[1], &caller, verbs, 1);
	assert_int_equal(write(fds[0], request, sizeof(request) - 1),
	    sizeof(request) - 1);
	reader.fd = fds[0];
	watch_init(&reader.watch, reader.fd, on_readable, NULL);
	watch_set(&reader.watch, WATCH_READ);
}

static void run(int milliseconds)
{
	timer_start(&patience, milliseconds, stop, NULL);
	loop_run();
	timer_stop(&patience);
}

static void hang_up(void)
{
	watch_release(&reader.watch);
	close(reader.fd);
	run(50);
}

static void set(unsigned calls, unsigned cost, size_t bytes)
{
	memset(&list, 0, sizeof(list));
	list.left = calls;
	list.cost = cost;
	list.bytes = bytes;
}

/* Entries that are looked at and not told, as of a name that matches none. */
static void test_nothing_told(void **state)
{
	(void)state;
	set(ENTRIES, 1, 0);
	ask();
	run(60000);
	assert_true(reader.closed);
	assert_non_null(strstr(reader.tail, "\"end\":1,"));
	assert_non_null(strstr(reader.tail, "nothing there"));
	assert_int_equal(list.left, 0);
	assert_int_equal(list.most_cost, VERBS_TURN_COST);
	assert_in_range(list.turns, ENTRIES / VERBS_TURN_COST, ENTRIES);
	assert_int_equal(list.released, 1);
	hang_up();
}

/* Objects: their bytes count. */
static void test_objects(void **state)
{
	(void)state;
	set(ENTRIES / 4, 1, 300);
	ask();
	run(60000);
	assert_true(reader.closed);
	assert_non_null(strstr(reader.tail, "\"end\":0,"));
	assert_int_equal(reader.lines, ENTRIES / 4 + 1);
	assert_in_range(list.most_bytes, 1, VERBS_TURN_COST *
	    VERBS_BYTES_PER_COST + 300);
	assert_in_range(list.turns, 100, ENTRIES);
	assert_int_equal(list.released, 1);
	hang_up();
}

/* Dear steps: as few as there may be in a turn. */
static void test_dear(void **state)
{
	(void)state;
	set(40, 1025, 100);
	ask();
	run(60000);
	assert_true(reader.closed);
	assert_int_equal(reader.lines, 41);
	assert_in_range(list.most_cost, 1025, VERBS_TURN_COST + 1025);
	assert_int_equal(list.released, 1);
	hang_up();
}

static void test_nothing(void **state)
{
	(void)state;
	set(0, 1, 0);
	ask();
	run(60000);
	assert_true(reader.closed);
	assert_non_null(strstr(reader.tail, "nothing there"));
	assert_int_equal(list.released, 1);
	hang_up();
}

static void test_reader_goes(void **state)
{
	(void)state;
	set(UINT32_MAX, 1, 0);
	ask();
	run(30);
	assert_int_equal(list.released, 0);
	hang_up();
	assert_int_equal(list.released, 1);
}

/* The tables are gone before the connection is. */
static void test_role_stops(void **state)
{
	unsigned left;

	(void)state;
	set(UINT32_MAX, 1, 0);
	ask();
	run(30);
	verbs_stop_pages();
	left = list.left;
	assert_true(left < UINT32_MAX);
	run(30);
	assert_int_equal(list.left, left);
	hang_up();
	assert_int_equal(list.released, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing_told),
		cmocka_unit_test(test_objects), cmocka_unit_test(test_dear),
		cmocka_unit_test(test_nothing),
		cmocka_unit_test(test_reader_goes),
		cmocka_unit_test(test_role_stops),
	};
	int result;

	log_init("test", LOG_LEVEL_ERROR);
	loop_init();
	loop_at_turn_end(end_turn, NULL);
	result = cmocka_run_group_tests(tests, NULL, NULL);
	loop_release();
	return result;
}
