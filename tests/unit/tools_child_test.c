/* SPDX-License-Identifier: ISC */
/*
 * tools/child.c with true processes: the binary that child_spawn() starts
 * again is this test, which is then the role (see main). How a role starts,
 * takes what it is given, ends, dies, and when it is started again.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/process.h"
#include "tools/child.h"

enum { PATIENCE = 15000, LISTENERS = 150, FEW = 64 };

/* --- the role --- */

static unsigned taken;

static int configure(const void *bundle, size_t length, char *error,
    size_t size)
{
	if (length == 5 && memcmp(bundle, "crash", 5) == 0)
		abort();
	/* The number of listeners so far, as the answer. */
	if (length == 5 && memcmp(bundle, "count", 5) == 0) {
		snprintf(error, size, "%u", taken);
		return -1;
	}
	return 0;
}

static void start(void)
{
}

static void take_peer(const struct process_peer *peer, int fd)
{
	(void)peer;
	close(fd);
}

static void take_listener(const char *name, int fd)
{
	(void)name;
	if (fd != -1) {
		taken++;
		close(fd);
	}
}

static void stop_role(void)
{
	process_exit(0);
}

static const struct role_entry entry = { .role = ROLE_SMTPD,
    .configure = configure, .start = start, .peer = take_peer,
    .listener = take_listener, .stop = stop_role };

/* --- the supervisor --- */

static unsigned ready, results, exits;
static int exit_status;
static char answer[500];

static void on_ready(struct child *child)
{
	assert_int_equal(child->state, CHILD_RUNNING);
	ready++;
}

static void on_result(struct child *child, uint32_t request, bool failed,
    const char *text)
{
	(void)child;
	(void)failed;
	if (request == 0)
		return;
	results++;
	snprintf(answer, sizeof(answer), "%s", text);
}

static const struct child_events events = { .ready = on_ready,
    .result = on_result };

static struct child child;

static void on_signal(void *arg)
{
	pid_t pid;

	(void)arg;
	while ((pid = waitpid(-1, &exit_status, WNOHANG)) > 0) {
		assert_int_equal(pid, child.pid);
		child_exited(&child, exit_status);
		exits++;
	}
}

static void stop_loop(void *arg)
{
	(void)arg;
	loop_stop();
}

static void wait_count(const unsigned *counter, unsigned count)
{
	int64_t begin = clock_monotonic();

	while (*counter < count && clock_monotonic() - begin < PATIENCE) {
		loop_defer(stop_loop, NULL);
		loop_run();
		usleep(1000);
	}
	assert_int_equal(*counter, count);
}

static void spawn(void)
{
	struct child_order order = { .user = "", .root = "",
	    .descriptors = 1024 };
	struct buf bundle;

	buf_init(&bundle, 100);
	buf_add(&bundle, "start", 5);
	order.bundle = &bundle;
	assert_int_equal(0, child_spawn(&child, &order));
	assert_int_equal(child.state, CHILD_STARTING);
	buf_release(&bundle);
}

static void send_text(const char *text, uint32_t request)
{
	struct buf bundle;

	buf_init(&bundle, 100);
	buf_add(&bundle, text, strlen(text));
	child_send_configuration(&child, &bundle, request);
	buf_release(&bundle);
}

static int set_up(void **state)
{
	(void)state;
	memset(&child, 0, sizeof(child));
	child.role = ROLE_SMTPD;
	child.events = &events;
	ready = results = exits = 0;
	return 0;
}

/* READY once, STOP, a clean end. */
static void test_life(void **state)
{
	(void)state;
	spawn();
	wait_count(&ready, 1);
	assert_true(child.was_ready);
	child_stop(&child);
	child_stop(&child);
	assert_int_equal(child.state, CHILD_STOPPING);
	wait_count(&exits, 1);
	assert_true(WIFEXITED(exit_status));
	assert_int_equal(WEXITSTATUS(exit_status), 0);
	assert_int_equal(child.state, CHILD_DOWN);
	assert_int_equal(child.pid, 0);
	assert_null(child.channel);
	/* Nothing of this may reach a process that is not there. */
	send_text("count", 9);
	child_send_listener(&child, "x", STDERR_FILENO);
	child_send_listener_gone(&child, "x");
	child_stop(&child);
}

/* Told to stop while it starts: it stops, and is never called ready. */
static void test_stop_at_start(void **state)
{
	(void)state;
	spawn();
	child_stop(&child);
	wait_count(&exits, 1);
	assert_true(WIFEXITED(exit_status));
	assert_int_equal(WEXITSTATUS(exit_status), 0);
	assert_int_equal(ready, 0);
}

static void test_death(void **state)
{
	(void)state;
	spawn();
	wait_count(&ready, 1);
	send_text("crash", 5);
	wait_count(&exits, 1);
	assert_true(WIFSIGNALED(exit_status));
	assert_int_equal(results, 0);
	assert_int_equal(child.failures, 1);
	/* It can be started again at once. */
	spawn();
	wait_count(&ready, 2);
	child_stop(&child);
	wait_count(&exits, 2);
}

/* As many addresses as a large machine listens on, in one turn. */
static void test_many_listeners(void **state)
{
	char name[64];
	int i;

	(void)state;
	spawn();
	wait_count(&ready, 1);
	for (i = 0; i < LISTENERS; i++) {
		snprintf(name, sizeof(name), "smtp@192.0.2.%d:25", i);
		child_send_listener(&child, name, STDERR_FILENO);
	}
	send_text("count", 5);
	wait_count(&results, 1);
	snprintf(name, sizeof(name), "%d", LISTENERS);
	assert_string_equal(answer, name);
	assert_int_equal(exits, 0);
	child_stop(&child);
	wait_count(&exits, 1);
}

/* At once, then 100 ms doubling up to 10 s; a minute of life clears it. */
static void test_restart_delay(void **state)
{
	static const int64_t delays[] = { 0, 0, 100, 200, 400, 800, 1600,
	    3200, 6400, 10000, 10000, 10000 };
	unsigned i;

	(void)state;
	for (i = 0; i < sizeof(delays) / sizeof(delays[0]); i++) {
		child.failures = i;
		assert_int_equal(child_restart_delay(&child), delays[i]);
	}
	child.failures = 1000000;
	assert_int_equal(child_restart_delay(&child), 10000);
	child.failures = UINT32_MAX;
	assert_int_equal(child_restart_delay(&child), 10000);
	/* It dies after a short life, and after a long one. */
	child.failures = 4;
	child.started = clock_monotonic();
	child_exited(&child, SIGKILL);
	assert_int_equal(child.failures, 5);
	child.started = clock_monotonic() - 61000;
	child_exited(&child, SIGKILL);
	assert_int_equal(child.failures, 1);
	assert_int_equal(child_restart_delay(&child), 0);
	/* It was ready each time, and never before that. */
	child.failures = 20;
	child.state = CHILD_RUNNING;
	child.started = clock_monotonic();
	child_exited(&child, SIGKILL);
	assert_int_equal(child_restart_delay(&child), 400);
	child.state = CHILD_STARTING;
	for (i = 0; i < 20; i++)
		child_exited(&child, SIGKILL);
	assert_int_equal(child_restart_delay(&child), 10000);
}

/* Too few descriptors, one more each time: it says so, and none is lost. */
static void test_no_descriptors(void **state)
{
	struct child_order order = { .user = "", .root = "" };
	int fds[FEW], count, spare, first = dup(STDERR_FILENO), now;
	struct rlimit old, low = { .rlim_cur = FEW };
	struct buf bundle;

	(void)state;
	close(first);
	buf_init(&bundle, 100);
	order.bundle = &bundle;
	assert_int_equal(0, getrlimit(RLIMIT_NOFILE, &old));
	low.rlim_max = old.rlim_max;
	assert_int_equal(0, setrlimit(RLIMIT_NOFILE, &low));
	for (spare = 0; spare < 4; spare++) {
		for (count = 0; (fds[count] = dup(STDERR_FILENO)) != -1;)
			count++;
		for (now = 0; now < spare; now++)
			close(fds[--count]);
		assert_int_equal(-1, child_spawn(&child, &order));
		assert_int_equal(child.pid, 0);
		assert_null(child.channel);
		assert_int_equal(child.state, CHILD_DOWN);
		while (count > 0)
			close(fds[--count]);
		now = dup(STDERR_FILENO);
		assert_int_equal(now, first);
		close(now);
	}
	assert_int_equal(0, setrlimit(RLIMIT_NOFILE, &old));
	buf_release(&bundle);
}

int main(int argc, char **argv)
{
#define TEST(name) cmocka_unit_test_setup(name, set_up)
	const struct CMUnitTest tests[] = {
		TEST(test_life), TEST(test_stop_at_start), TEST(test_death),
		TEST(test_many_listeners), TEST(test_restart_delay),
		TEST(test_no_descriptors),
	};
	int status;

	if (argc > 1 && strncmp(argv[1], "--role=", 7) == 0)
		return process_run(&entry, 0);
	log_init("test", LOG_LEVEL_ERROR);
	loop_init();
	loop_on_signal(SIGCHLD, on_signal, NULL);
	status = cmocka_run_group_tests(tests, NULL, NULL);
	loop_release();
	return status;
}
