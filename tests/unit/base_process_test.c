/* SPDX-License-Identifier: ISC */
/*
 * base/process.c: a role in a process of its own, and the test as its
 * supervisor. The order of its life, what a refused configuration does, and
 * what it survives.
 */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/channel.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/process.h"
#include "base/process_message.h"
#include "tests/unit/base_child.h"

enum { TURNS = 10, PATIENCE = 10000 };

/* What the role did, seen from here: shared memory. */
static struct story {
	char		 text[200];	/* one letter a step */
	unsigned	 peers;
	unsigned	 configurations;
	unsigned	 connections;	/* that were answered */
	int		 error;		/* of the last one */
} *story;

static struct channel *role;		/* our end; null when it closed */
static pid_t pid;
static unsigned ready, results, lost;
static bool failed;
static uint32_t asked;			/* request of the last connection */
static unsigned questions;
static char asked_path[PROCESS_PATH_BYTES];
static char result_text[PROCESS_RESULT_TEXT + 1];

/* --- the role --- */

static void tell(char step)
{
	story->text[strlen(story->text)] = step;
}

static bool inside;			/* process_connect() */

static void take_connection(void *arg, int fd, int error)
{
	(void)arg;
	tell(inside ? '!' : fd == -1 ? 'E' : 'F');
	story->error = error;
	if (fd != -1 && write(fd, "hello", 5) == 5)
		story->peers++;
	if (fd != -1)
		close(fd);
	story->connections++;
}

static void ask_for(const char *path, void *arg)
{
	inside = true;
	process_connect(path, take_connection, arg);
	inside = false;
}

/* 'T' for one that is there and says hello, 't' for one that is not. */
static void take_tables(void)
{
	static const char *const paths[] = { "/one.cdb", "/other.cdb",
	    "/one.cdb", "/none.cdb" };
	char text[8];

	for (size_t i = 0; i < 4; i++) {
		int fd = process_take_table(paths[i]);

		tell(fd != -1 && read(fd, text, sizeof(text)) == 5 ? 'T' :
		    't');
		if (fd != -1)
			close(fd);
	}
}

static int configure(const void *bundle, size_t length, char *error,
    size_t size)
{
	static char one, other;
	char path[300] = "";

	story->configurations++;
	tell('c');
	if (length == 6 && memcmp(bundle, "tables", 6) == 0) {
		take_tables();
		return 0;
	}
	if (length > 4 && memcmp(bundle, "ask ", 4) == 0) {
		memcpy(path, (const char *)bundle + 4, length - 4);
		ask_for(path, &one);
		return 0;
	}
	if (length == 6 && memcmp(bundle, "cancel", 6) == 0) {
		ask_for("/run/other", &other);
		ask_for("/run/one", &one);
		process_connect_cancel(&one);
		return 0;
	}
	if (length != 3 || memcmp(bundle, "bad", 3) != 0)
		return 0;
	snprintf(error, size, "line 7 is wrong");
	return -1;
}

static void prepare(void)
{
	tell('p');
}

static void start(void)
{
	tell('s');
}

static void take_peer(const struct process_peer *peer, int fd)
{
	tell('P');
	if (peer->role == ROLE_POLICY && peer->instance == 5 &&
	    write(fd, "hello", 5) == 5)
		story->peers++;
	close(fd);
	process_peer_lost(peer->role, peer->instance);
}

static void stop(void)
{
	tell('x');
	process_exit(3);
}

static void take_listener(const char *name, int fd)
{
	tell(fd == -1 ? 'G' : 'L');
	if (strcmp(name, "smtp@192.0.2.1:25") != 0)
		tell('?');
	if (fd != -1)
		close(fd);
}

/* Like policy and delivery: no listeners, no operators. */
static const struct role_entry plain_entry = { .role = ROLE_DELIVERY,
    .configure = configure, .prepare = prepare, .start = start,
    .peer = take_peer, .stop = stop };
static const struct role_entry smtpd_like = { .role = ROLE_SMTPD,
    .configure = configure, .start = start, .peer = take_peer,
    .listener = take_listener, .stop = stop };

/* --- the supervisor --- */

static void on_message(void *arg, struct channel *channel,
    struct channel_message *message)
{
	const void *bytes;
	size_t length;

	(void)arg;
	(void)channel;
	if (message->type == PROCESS_READY) {
		ready++;
	} else if (message->type == PROCESS_PEER_LOST) {
		lost++;
	} else if (message->type == PROCESS_CONNECT) {
		questions++;
		asked = message->request;
		bytes = wire_get_bytes(&message->body, PROCESS_PATH_BYTES,
		    &length);
		assert_int_equal(length, PROCESS_PATH_BYTES);
		memcpy(asked_path, bytes, length);
	} else {
		results++;
		failed = wire_get_u32(&message->body) != 0;
		bytes = wire_get_bytes(&message->body, PROCESS_RESULT_TEXT,
		    &length);
		memcpy(result_text, bytes, length);
	}
}

static void on_closed(void *arg, struct channel *channel)
{
	(void)arg;
	channel_free(channel);
	role = NULL;
}

static const struct channel_rule rules[] = {
	{ .type = PROCESS_READY, .max = 0 },
	{ .type = PROCESS_RESULT, .max = 1024 },
	{ .type = PROCESS_PEER_LOST, .max = 5 },
	{ .type = PROCESS_CONNECT, .max = 4 + PROCESS_PATH_BYTES },
};
static const struct channel_handler handler = { .rules = rules,
    .rule_count = 4, .message = on_message, .closed = on_closed };

static void stop_loop(void *arg)
{
	(void)arg;
	loop_stop();
}

static void some_turns(void)
{
	int i;

	for (i = 0; i < TURNS; i++) {
		loop_defer(stop_loop, NULL);
		loop_run();
	}
}

/* Turns until the counter reaches count, or patience is over. */
static void wait_count(const unsigned *counter, unsigned count)
{
	int64_t begin = clock_monotonic();

	while (*counter < count && clock_monotonic() - begin < PATIENCE) {
		some_turns();
		usleep(1000);
	}
	assert_int_equal(*counter, count);
}

static void begin(const struct role_entry *entry)
{
	int fds[2];

	assert_int_equal(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK,
	    0, fds));
	memset(story, 0, sizeof(*story));
	ready = results = lost = questions = 0;
	memset(result_text, 0, sizeof(result_text));
	pid = must(fork());
	if (pid == 0) {
		close(fds[0]);
		/* Refusals are part of the test, not of its output. */
		if (freopen("/dev/null", "w", stderr) == NULL)
			_exit(90);
		if (fds[1] != PROCESS_CHANNEL_FD) {
			must(dup2(fds[1], PROCESS_CHANNEL_FD));
			close(fds[1]);
		}
		_exit(process_run(entry, 7));
	}
	close(fds[1]);
	role = channel_new(fds[0], "role", &handler, NULL, 1 << 20);
}

static void send_begin(void)
{
	struct wire_writer *writer = channel_begin(role, PROCESS_BEGIN, 0);

	wire_put_text(writer, "");
	wire_put_text(writer, "");
	wire_put_u32(writer, LOG_LEVEL_INFO);
	wire_put_u64(writer, 0);
	wire_put_u32(writer, 0);
	channel_end(role);
}

static void send_configuration(uint32_t request, const char *text)
{
	wire_put_bytes(channel_begin(role, PROCESS_CONFIGURE, request), text,
	    strlen(text));
	channel_end(role);
}

static void send_empty(unsigned type)
{
	channel_begin(role, (uint16_t)type, 0);
	channel_end(role);
}

static void start_role(const struct role_entry *entry)
{
	begin(entry);
	send_begin();
	send_configuration(0, "good");
	send_empty(PROCESS_START);
	wait_count(&ready, 1);
	assert_int_equal(results, 1);
	assert_false(failed);
}

static bool is_alive(void)
{
	return waitpid(pid, NULL, WNOHANG) == 0;
}

/* Its wait status. */
static int end_role(void)
{
	int64_t begun = clock_monotonic();
	int status;

	while (waitpid(pid, &status, WNOHANG) == 0) {
		some_turns();
		usleep(1000);
		if (clock_monotonic() - begun > PATIENCE)
			fail_msg("the role does not end");
	}
	if (role != NULL)
		channel_free(role);
	role = NULL;
	return status;
}

static void assert_ended(int status)
{
	int got = end_role();

	assert_true(WIFEXITED(got));
	assert_int_equal(WEXITSTATUS(got), status);
}

static void test_order(void **state)
{
	struct wire_writer *writer;
	char text[8] = "";
	int fds[2];

	(void)state;
	start_role(&plain_entry);
	assert_string_equal(story->text, "cps");
	assert_int_equal(0, socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
	writer = channel_begin(role, PROCESS_PEER, 0);
	wire_put_u8(writer, ROLE_POLICY);
	wire_put_u32(writer, 5);
	assert_int_equal(0, channel_end_fd(role, fds[0]));
	close(fds[0]);
	wait_count(&lost, 1);
	assert_int_equal(story->peers, 1);
	assert_int_equal(5, read(fds[1], text, sizeof(text)));
	close(fds[1]);
	send_empty(PROCESS_STOP);
	send_empty(PROCESS_STOP);
	assert_ended(3);
	assert_string_equal(story->text, "cpsPx");
}

static void test_configurations(void **state)
{
	(void)state;
	start_role(&plain_entry);
	send_configuration(11, "bad");
	wait_count(&results, 2);
	assert_true(failed);
	assert_string_equal(result_text, "line 7 is wrong");
	send_configuration(12, "good");
	wait_count(&results, 3);
	assert_false(failed);
	assert_true(is_alive());
	send_empty(PROCESS_STOP);
	assert_ended(3);
	/* The first one may not fail. */
	begin(&plain_entry);
	send_begin();
	send_configuration(0, "bad");
	send_empty(PROCESS_START);
	assert_ended(1);
	assert_string_equal(story->text, "c");
}

static void test_listeners(void **state)
{
	int fds[2];

	(void)state;
	start_role(&smtpd_like);
	assert_int_equal(0, socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
	wire_put_text(channel_begin(role, PROCESS_LISTENER, 0),
	    "smtp@192.0.2.1:25");
	assert_int_equal(0, channel_end_fd(role, fds[0]));
	wire_put_text(channel_begin(role, PROCESS_LISTENER_GONE, 0),
	    "smtp@192.0.2.1:25");
	channel_end(role);
	close(fds[0]);
	close(fds[1]);
	send_empty(PROCESS_STOP);
	assert_ended(3);
	assert_string_equal(story->text, "csLGx");
}

/* An operator's connection for a role that has no verbs: whoever may open the
 * socket could name any role, and that must not end it. */
static void send_table(const char *path)
{
	int fds[2];

	assert_int_equal(0, pipe(fds));
	assert_int_equal(5, write(fds[1], "hello", 5));
	close(fds[1]);
	wire_put_text(channel_begin(role, PROCESS_TABLE, 0), path);
	assert_int_equal(0, channel_end_fd(role, fds[0]));
	close(fds[0]);
	some_turns();
}

/* Tables are there in the configuration that they came ahead of, once each,
 * and in no other one. */
static void test_tables(void **state)
{
	(void)state;
	start_role(&plain_entry);
	send_table("/one.cdb");
	send_table("/other.cdb");
	send_configuration(2, "tables");
	wait_count(&results, 2);
	assert_string_equal(story->text, "cpscTTtt");
	send_configuration(3, "tables");
	wait_count(&results, 3);
	assert_string_equal(story->text, "cpscTTttctttt");
	send_table("/one.cdb");
	send_configuration(4, "good");
	send_configuration(5, "tables");
	wait_count(&results, 5);
	assert_string_equal(story->text, "cpscTTttcttttcctttt");
	send_empty(PROCESS_STOP);
	assert_ended(3);
}

static void test_control_without_verbs(void **state)
{
	struct wire_writer *writer;
	char byte;
	int fds[2];

	(void)state;
	start_role(&plain_entry);
	assert_int_equal(0, socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
	writer = channel_begin(role, PROCESS_CONTROL, 0);
	wire_put_u32(writer, 1000);
	wire_put_u32(writer, 1000);
	wire_put_u8(writer, 0);
	assert_int_equal(0, channel_end_fd(role, fds[0]));
	close(fds[0]);
	send_configuration(2, "good");
	wait_count(&results, 2);
	assert_int_equal(0, read(fds[1], &byte, 1));	/* closed */
	close(fds[1]);
	assert_true(is_alive());
	send_empty(PROCESS_STOP);
	assert_ended(3);
}

static void send_connection(int fd, uint32_t request)
{
	channel_begin(role, PROCESS_CONNECTED, request);
	assert_int_equal(0, channel_end_fd(role, fd));
}

/* A socket that only the supervisor can reach. */
static void test_connect(void **state)
{
	char long_path[200] = "ask /", text[8] = "";
	uint32_t first;
	int fds[2];

	(void)state;
	start_role(&plain_entry);
	send_configuration(2, "ask /run/auth");
	wait_count(&questions, 1);
	assert_string_equal(asked_path, "/run/auth");
	assert_int_not_equal(asked, 0);
	assert_int_equal(0, socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
	send_connection(fds[0], asked);
	wait_count(&story->connections, 1);
	assert_int_equal(5, read(fds[1], text, sizeof(text)));
	/* The same answer again has nobody who waits for it. */
	send_connection(fds[0], asked);
	send_configuration(3, "ask /run/other");
	wait_count(&questions, 2);
	wire_put_u32(channel_begin(role, PROCESS_NOT_CONNECTED, asked),
	    EACCES);
	channel_end(role);
	wait_count(&story->connections, 2);
	assert_int_equal(story->error, EACCES);
	/* Longer than any socket's path: nobody is asked. */
	memset(long_path + 5, 'x', 150);
	send_configuration(4, long_path);
	wait_count(&story->connections, 3);
	assert_int_equal(story->error, ENAMETOOLONG);
	assert_int_equal(questions, 2);
	/* Two are asked for, the second is called off. */
	send_configuration(5, "cancel");
	wait_count(&questions, 4);
	assert_string_equal(asked_path, "/run/one");
	first = asked - 1;
	send_connection(fds[0], asked);
	send_connection(fds[0], first);
	wait_count(&story->connections, 4);
	/* One is still missing when the role ends. */
	send_configuration(6, "ask /run/late");
	wait_count(&questions, 5);
	channel_free(role);
	role = NULL;
	assert_ended(3);
	assert_string_equal(story->text, "cpscFcEcEcFcx");
	close(fds[0]);
	close(fds[1]);
}

/* Without its supervisor a role stops as if told to; before START it just
 * ends. */
static void test_supervisor_gone(void **state)
{
	(void)state;
	start_role(&plain_entry);
	channel_free(role);
	role = NULL;
	assert_ended(3);
	assert_string_equal(story->text, "cpsx");
	begin(&plain_entry);
	send_begin();
	some_turns();
	channel_free(role);
	role = NULL;
	assert_ended(0);
	begin(&plain_entry);
	send_begin();
	send_empty(PROCESS_STOP);
	assert_ended(0);
	assert_string_equal(story->text, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_configurations),
		cmocka_unit_test(test_listeners),
		cmocka_unit_test(test_tables),
		cmocka_unit_test(test_control_without_verbs),
		cmocka_unit_test(test_connect),
		cmocka_unit_test(test_supervisor_gone),
	};
	int status;

	story = mmap(NULL, sizeof(*story), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (story == MAP_FAILED)
		return 1;
	log_init("test", LOG_LEVEL_ERROR);
	loop_init();
	status = cmocka_run_group_tests(tests, NULL, NULL);
	loop_release();
	return status;
}
