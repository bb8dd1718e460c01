/* SPDX-License-Identifier: ISC */
/*
 * base/loop.c: the order of a turn, timers, descriptors, signals, and that
 * whoever goes away inside a callback hears nothing more.
 */
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <time.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "tests/unit/base_child.h"

enum { PATIENCE_MILLISECONDS = 20000 };

static char story[4096];	/* what happened, one letter each */
static struct timer patience;

static void tell(const char *what)
{
	assert_true(strlen(story) + strlen(what) < sizeof(story));
	strncat(story, what, sizeof(story) - strlen(story) - 1);
}

static void on_no_patience(void *unused)
{
	(void)unused;
	tell("TIMEOUT");
	loop_stop();
}

static int setup(void **unused)
{
	(void)unused;
	story[0] = '\0';
	loop_init();
	timer_start(&patience, PATIENCE_MILLISECONDS, on_no_patience, NULL);
	return 0;
}

static int teardown(void **unused)
{
	(void)unused;
	timer_stop(&patience);
	loop_release();
	return 0;
}

static void on_tell(void *what)
{
	tell(what);
}

static void on_stop(void *unused)
{
	(void)unused;
	loop_stop();
}

static char a[] = "a", b[] = "b", c[] = "c", o[] = "o", hook[] = "h";

/* --- turns --- */

static void on_everything(void *unused)
{
	(void)unused;
	tell("e");
	loop_defer_output(on_tell, o);
	loop_defer(on_tell, a);
	loop_defer(on_tell, b);
	loop_defer(on_stop, NULL);
}

static void test_order_of_a_turn(void **unused)
{
	struct timer timer = { 0 };

	(void)unused;
	loop_at_turn_end(on_tell, hook);
	loop_at_turn_end(on_tell, c);
	timer_start(&timer, 0, on_everything, NULL);
	loop_run();
	timer_stop(&timer);
	assert_string_equal(story, "eabhco");
}

static void on_defer_more(void *unused)
{
	(void)unused;
	tell("1");
	loop_defer(on_tell, b);
	loop_defer(on_stop, NULL);
}

static void test_deferred_meanwhile(void **unused)
{
	(void)unused;
	loop_at_turn_end(on_tell, hook);
	loop_defer(on_defer_more, NULL);
	loop_defer(on_tell, a);
	loop_run();
	assert_string_equal(story, "1abh");
}

static void on_undefer(void *unused)
{
	(void)unused;
	loop_undefer(a);
	loop_undefer(c);
}

static void test_undefer(void **unused)
{
	int i;

	(void)unused;
	loop_defer(on_undefer, NULL);
	for (i = 0; i < 200; i++) {
		loop_defer(on_tell, a);
		loop_defer_output(on_tell, c);
	}
	loop_defer(on_tell, b);
	loop_defer_output(on_tell, o);
	loop_defer(on_stop, NULL);
	loop_run();
	assert_string_equal(story, "bo");
}

static void on_for_ever(void *count)
{
	++*(int *)count;
	loop_defer(on_for_ever, count);
}

/* Somebody who always defers does not keep timers from running, and the wait
 * does not block meanwhile. */
static void test_deferring_for_ever(void **unused)
{
	struct timer timer = { 0 };
	int count = 0;

	(void)unused;
	timer_start(&timer, 5, on_stop, NULL);
	loop_defer(on_for_ever, &count);
	loop_run();
	timer_stop(&timer);
	assert_true(count > 4096);
	assert_string_equal(story, "");
}

static int hook_runs;

static void on_hook_defers(void *unused)
{
	(void)unused;
	hook_runs++;
	if (hook_runs == 1)
		loop_defer(on_tell, a);
	if (hook_runs == 2) {
		/* Output still goes out in this turn. */
		loop_defer_output(on_tell, b);
		loop_stop();
	}
}

/* What a hook defers does not wait for the next event: the only event of this
 * loop is the timer that would say TIMEOUT. */
static void test_hooks_may_defer(void **unused)
{
	(void)unused;
	hook_runs = 0;
	loop_at_turn_end(on_hook_defers, NULL);
	loop_defer(on_tell, c);
	loop_run();
	assert_int_equal(hook_runs, 2);
	assert_string_equal(story, "cab");
}

static void test_stop_before_run(void **unused)
{
	(void)unused;
	loop_stop();
	loop_defer(on_tell, a);
	loop_run();
	assert_string_equal(story, "a");
	/* And it can run again. */
	loop_defer(on_tell, b);
	loop_defer(on_stop, NULL);
	loop_run();
	assert_string_equal(story, "ab");
}

static void on_log(void *unused)
{
	(void)unused;
	log_info("in-turn");
	loop_stop();
}

static void test_log_is_written_at_turn_end(void **unused)
{
	struct capture capture;
	char text[100];

	(void)unused;
	log_init("", LOG_LEVEL_INFO);
	capture_begin(&capture);
	loop_defer(on_log, NULL);
	loop_run();
	capture_end(&capture, text, sizeof(text));
	assert_string_equal(text, "in-turn\n");
}

/* --- timers --- */

static void test_timers(void **unused)
{
	struct timer timers[5] = { 0 };
	int64_t begin = clock_monotonic();

	(void)unused;
	timer_stop(&timers[0]);
	assert_false(timer_is_running(&timers[0]));
	timer_start(&timers[0], 60, on_stop, NULL);
	timer_start(&timers[1], 30, on_tell, b);
	timer_start(&timers[2], -5, on_tell, a);
	timer_start(&timers[3], 10, on_tell, c);
	timer_start(&timers[4], 1, on_tell, c);
	assert_true(timer_is_running(&timers[4]));
	/* Set anew: only the later time counts. Stopped: never. */
	timer_start(&timers[3], 45, on_tell, c);
	timer_stop(&timers[4]);
	loop_run();
	assert_string_equal(story, "abc");
	assert_true(clock_monotonic() - begin >= 60 - 4 - 1);
	assert_false(timer_is_running(&timers[0]));
	assert_true(timer_is_running(&patience));
	timer_stop(&timers[0]);
	timer_stop(&timers[1]);
	timer_stop(&timers[2]);
	timer_stop(&timers[3]);
}

/* Put off, and then to an earlier moment than that, or than the first one. */
static void test_timer_moved(void **unused)
{
	struct timer timers[3] = { 0 };

	(void)unused;
	timer_start(&timers[0], 10, on_tell, c);
	timer_start(&timers[0], 60000, on_tell, c);
	timer_start(&timers[0], 50, on_tell, b);
	timer_start(&timers[1], 60000, on_tell, c);
	timer_start(&timers[1], 25, on_tell, a);
	timer_start(&timers[2], 75, on_stop, NULL);
	loop_run();
	assert_string_equal(story, "ab");
	/* One that has fired begins anew, late or early. */
	timer_start(&timers[0], 10, on_tell, a);
	timer_start(&timers[1], 60000, on_tell, c);
	timer_start(&timers[2], 40, on_stop, NULL);
	loop_run();
	assert_string_equal(story, "aba");
	assert_true(timer_is_running(&timers[1]));
	for (unsigned i = 0; i < 3; i++)
		timer_stop(&timers[i]);
	assert_false(timer_is_running(&timers[1]));
}

struct owner {
	struct timer	 timer;
	struct timer	 other;
};

static void on_owner_gone(void *arg)
{
	struct owner *owner = arg;

	tell("x");
	timer_stop(&owner->timer);
	timer_stop(&owner->other);
	mem_free(owner);
	loop_defer(on_stop, NULL);
}

/* Both are due in the same turn; whichever comes first ends both. */
static void test_timer_freed_in_its_callback(void **unused)
{
	struct owner *owner = mem_alloc(sizeof(*owner));

	(void)unused;
	timer_start(&owner->timer, 0, on_owner_gone, owner);
	timer_start(&owner->other, 0, on_owner_gone, owner);
	loop_run();
	assert_string_equal(story, "x");
}

static int64_t late_begin;
static struct timer late_timer;

static void on_late(void *unused)
{
	(void)unused;
	late_begin = clock_monotonic() - late_begin;
	loop_stop();
}

/* A timer set late in a long turn counts from there, not from the turn's
 * beginning. */
static void on_long_turn(void *unused)
{
	(void)unused;
	nanosleep(&(struct timespec){ .tv_nsec = 60000000 }, NULL);
	late_begin = clock_monotonic();
	timer_start(&late_timer, 50, on_late, NULL);
}

static void test_timer_in_long_turn(void **unused)
{
	struct timer timer = { 0 };

	(void)unused;
	timer_start(&timer, 0, on_long_turn, NULL);
	loop_run();
	assert_true(late_begin >= 50 - 4 - 1);
	timer_stop(&timer);
	timer_stop(&late_timer);
}

/* --- descriptors --- */

struct pair {
	struct watch	 watch;
	int		 ends[2];
	int		 reads;
	int		 writes;
};

static void pair_init(struct pair *pair, void (*callback)(void *, int))
{
	memset(pair, 0, sizeof(*pair));
	must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0,
	    pair->ends));
	watch_init(&pair->watch, pair->ends[0], callback, pair);
}

static void pair_release(struct pair *pair)
{
	watch_release(&pair->watch);
	watch_release(&pair->watch);
	close(pair->ends[0]);
	close(pair->ends[1]);
}

static void on_pair(void *arg, int flags)
{
	struct pair *pair = arg;
	char byte;

	if (flags & WATCH_READ && ++pair->reads == 3) {
		must((int)read(pair->ends[0], &byte, 1));
		watch_set(&pair->watch, WATCH_WRITE);
	}
	if (flags & WATCH_WRITE && ++pair->writes == 2) {
		watch_set(&pair->watch, 0);
		loop_defer(on_stop, NULL);
	}
}

/* Level-triggered: unread input comes again each turn. */
static void test_watch(void **unused)
{
	struct pair pair;

	(void)unused;
	pair_init(&pair, on_pair);
	must((int)write(pair.ends[1], "x", 1));
	watch_set(&pair.watch, WATCH_READ);
	loop_run();
	assert_int_equal(pair.reads, 3);
	assert_int_equal(pair.writes, 2);
	pair_release(&pair);
}

static void on_pair_gone(void *arg, int flags)
{
	struct pair *pair = arg;

	(void)flags;
	tell("x");
	pair_release(pair);
	mem_free(pair);
	loop_defer(on_stop, NULL);
}

/* Readable and writable at once: the second callback does not come. */
static void test_watch_released_in_its_callback(void **unused)
{
	struct pair *pair = mem_alloc(sizeof(*pair));

	(void)unused;
	pair_init(pair, on_pair_gone);
	must((int)write(pair->ends[1], "x", 1));
	watch_set(&pair->watch, WATCH_READ | WATCH_WRITE);
	loop_run();
	assert_string_equal(story, "x");
}

/* --- signals and threads --- */

static void test_signals(void **unused)
{
	int ends[2];

	(void)unused;
	loop_on_signal(SIGUSR1, on_stop, NULL);
	loop_on_signal(SIGHUP, on_tell, a);
	must(raise(SIGHUP));
	must(raise(SIGUSR1));
	loop_run();
	assert_string_equal(story, "a");
	/* A lost reader is an error to look at, not the end. */
	must(pipe2(ends, O_CLOEXEC));
	close(ends[0]);
	assert_int_equal(write(ends[1], "x", 1), -1);
	close(ends[1]);
}

enum { SENDS = 1000 };

struct shared {
	struct loop_notify	 notify;
	int			 sent;		/* atomic */
	int			 seen;
};

static void *send_notes(void *arg)
{
	struct shared *shared = arg;
	int i;

	for (i = 0; i < SENDS; i++) {
		__atomic_add_fetch(&shared->sent, 1, __ATOMIC_SEQ_CST);
		loop_notify_send(&shared->notify);
	}
	return NULL;
}

static void on_note(void *arg)
{
	struct shared *shared = arg;

	shared->seen = __atomic_load_n(&shared->sent, __ATOMIC_SEQ_CST);
	if (shared->seen == SENDS)
		loop_stop();
}

static void test_notify(void **unused)
{
	struct shared shared = { 0 };
	pthread_t thread;

	(void)unused;
	loop_notify_init(&shared.notify, on_note, &shared);
	must(-pthread_create(&thread, NULL, send_notes, &shared));
	loop_run();
	pthread_join(thread, NULL);
	assert_int_equal(shared.seen, SENDS);
	assert_string_equal(story, "");
	loop_notify_release(&shared.notify);
}

#define loop_test(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		loop_test(test_order_of_a_turn),
		loop_test(test_deferred_meanwhile),
		loop_test(test_undefer),
		loop_test(test_deferring_for_ever),
		loop_test(test_hooks_may_defer),
		loop_test(test_stop_before_run),
		loop_test(test_log_is_written_at_turn_end),
		loop_test(test_timers),
		loop_test(test_timer_moved),
		loop_test(test_timer_freed_in_its_callback),
		loop_test(test_timer_in_long_turn),
		loop_test(test_watch),
		loop_test(test_watch_released_in_its_callback),
		loop_test(test_signals),
		loop_test(test_notify),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
