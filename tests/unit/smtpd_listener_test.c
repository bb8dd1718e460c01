/* SPDX-License-Identifier: ISC */
/*
 * smtpd/listener.c with real sockets on loopback, on ports the kernel chose:
 * the limits, what is said beyond them, and life without descriptors.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/loop.h"
#include "base/net.h"
#include "conf/conf.h"
#include "smtpd/client.h"
#include "smtpd/counters.h"
#include "smtpd/listener.h"
#include "smtpd/origin.h"
#include "smtpd/server.h"
#include "smtpd/session.h"
#include "tests/smtpd_world.h"

enum { CLIENTS_MAX = 32 };

static struct world world;
static struct listeners listeners;
static struct endpoint address;
static int clients[CLIENTS_MAX];
static unsigned client_count;

static int listen_somewhere(void)
{
	struct endpoint any;
	int fd;

	assert_int_equal(endpoint_parse(&any, "127.0.0.1", 0), 0);
	fd = net_listen(&any, 64);
	assert_true(fd >= 0);
	net_local(fd, &address);
	return fd;
}

static void begin_as(const char *conf, const char *listener)
{
	struct rules *rules;

	world_init(&world);
	rules = world_rules(conf, listener, true);
	assert_non_null(rules);
	server_set_rules(&world.server, rules);
	listeners_init(&listeners, &world.server);
	listeners_set(&listeners, "smtp@127.0.0.1:0", listen_somewhere());
	client_count = 0;
}

static void begin(const char *conf)
{
	begin_as(conf, "");
}

static void end(void)
{
	listeners_end(&listeners);
	while (client_count > 0)
		close(clients[--client_count]);
	world_release(&world);
	assert_int_equal(fake_peers_open(), 0);
}

static int connect_one(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(connect(fd, &address.address.any, address.length), 0);
	clients[client_count++] = fd;
	return fd;
}

/* What the server says first; the loop has run before. */
static const char *hear(int fd)
{
	static char text[512];
	ssize_t length;

	length = recv(fd, text, sizeof(text) - 1, MSG_DONTWAIT);
	text[length > 0 ? length : 0] = '\0';
	return text;
}

static void expect(int fd, const char *start)
{
	for (int turns = 0; turns < 200; turns++) {
		const char *text;

		world_turns(3);
		text = hear(fd);
		if (*text == '\0')
			continue;
		if (strncmp(text, start, strlen(start)) != 0)
			fail_msg("wanted %s, got %s", start, text);
		return;
	}
	fail_msg("wanted %s, got nothing", start);
}

static void test_greeting(void **state)
{
	(void)state;
	begin("");
	expect(connect_one(), "220 mx.example.org ESMTP Postern\r\n");
	assert_int_equal(world.server.session_count, 1);
	end();
}

/* SMTP-40: 421 instead of the greeting, and the end. */
static void test_sessions(void **state)
{
	(void)state;
	begin("max-sessions = 3\nsmtpd-workers = 1\n");
	for (int i = 0; i < 3; i++)
		expect(connect_one(), "220 ");
	expect(connect_one(), "421 4.3.2 mx.example.org ");
	assert_int_equal(world.server.session_count, 3);
	/* a place becomes free */
	close(clients[0]);
	clients[0] = clients[--client_count];
	world_turns(20);
	assert_int_equal(world.server.session_count, 2);
	expect(connect_one(), "220 ");
	end();
}

/* Two processes have half of the sessions each. */
static void test_share(void **state)
{
	(void)state;
	begin("max-sessions = 5\nsmtpd-workers = 2\n");
	assert_int_equal(server_session_limit(&world.server), 3);
	end();
}

static void test_sessions_per_client(void **state)
{
	(void)state;
	begin("max-sessions-per-client = 2\n");
	expect(connect_one(), "220 ");
	expect(connect_one(), "220 ");
	expect(connect_one(), "421 4.7.0 mx.example.org ");
	assert_int_equal(client_sessions(world.server.clients,
	    &(struct origin){ .address = address, .uid = -1 }, NULL), 2);
	end();
}

static const struct conf_listener plain = { .name = (char *)"smtp" };

/* Makes the session one of that client; how many he has. */
static unsigned count_of(struct client_table *table, struct session *session,
    const char *text)
{
	struct origin origin = { .uid = -1 };

	if (strncmp(text, "uid ", 4) == 0)
		origin.uid = strtol(text + 4, NULL, 10);
	else
		assert_int_equal(endpoint_parse(&origin.address, text, 0), 0);
	session->address = origin.address;
	session->uid = origin.uid;
	session->listener = &plain;
	return client_sessions(table, &origin, NULL);
}

/* Whoever has one address of IPv6 has its /64, and another /64 is somebody
 * else; IPv4 goes by address. */
static void test_who_is_a_client(void **state)
{
	static const struct { const char *address; unsigned before; } cases[] = {
		{ "2001:db8::1", 0 },
		{ "2001:db8::ffff:0:0:2", 1 },
		{ "2001:db8:0:1::1", 0 },
		{ "192.0.2.1", 0 },
		{ "192.0.2.2", 0 },
		{ "192.0.2.1", 1 },
		{ "uid 0", 0 },
		{ "uid 1000", 0 },
		{ "uid 1000", 1 },
	};
	enum { COUNT = sizeof(cases) / sizeof(cases[0]) };
	struct session sessions[COUNT];
	struct client_table *table;

	(void)state;
	begin("");
	table = client_table_new(world.policy);
	client_table_share(table, counters_new(counters_create(), 0));
	memset(sessions, 0, sizeof(sessions));
	for (unsigned i = 0; i < COUNT; i++) {
		assert_int_equal(count_of(table, &sessions[i],
		    cases[i].address), cases[i].before);
		client_join(table, &sessions[i]);
	}
	for (unsigned i = 0; i < COUNT; i++)
		client_leave(&sessions[i]);
	assert_int_equal(count_of(table, &sessions[0], cases[0].address), 0);
	client_table_free(table);
	end();
}

/* ... and in all processes together, which share their counters. */
static void test_sessions_everywhere(void **state)
{
	struct session other = { .id = 1, .uid = -1, .listener = &plain };
	struct client_table *table;
	int fd = counters_create();

	(void)state;
	begin("max-sessions-per-client = 2\n");
	table = client_table_new(world.policy);
	client_table_share(table, counters_new(dup(fd), 1));
	client_table_share(world.server.clients, counters_new(fd, 0));
	other.address = address;
	client_join(table, &other);
	expect(connect_one(), "220 ");
	expect(connect_one(), "421 4.7.0 mx.example.org ");
	client_leave(&other);
	expect(connect_one(), "220 ");
	expect(connect_one(), "421 4.7.0 mx.example.org ");
	client_table_free(table);
	end();
}

/* A limit of the listener's own is on its sessions alone, in all processes. */
static void test_sessions_here(void **state)
{
	static const struct conf_listener limited = { .name = (char *)"smtp",
	    .max_sessions_per_client = 2 };
	struct session other = { .id = 1, .uid = -1, .listener = &limited };
	struct session elsewhere = { .id = 2, .uid = -1, .listener = &plain };
	struct client_table *table;
	int fd = counters_create();

	(void)state;
	begin_as("max-sessions-per-client = 9\n",
	    "max-sessions-per-client = 2");
	table = client_table_new(world.policy);
	assert_true(client_table_share(table, counters_new(dup(fd), 1)));
	assert_true(client_table_share(world.server.clients,
	    counters_new(fd, 0)));
	other.address = elsewhere.address = address;
	client_join(table, &elsewhere);
	expect(connect_one(), "220 ");
	client_join(table, &other);
	expect(connect_one(), "421 4.7.0 mx.example.org ");
	client_leave(&other);
	expect(connect_one(), "220 ");
	expect(connect_one(), "421 4.7.0 mx.example.org ");
	client_leave(&elsewhere);
	client_table_free(table);
	end();
}

/* A process with more sessions leaves a connection to one with fewer, but not
 * for long, and not to one that has never come. */
static void test_others_first(void **state)
{
	struct client_table *table;
	int fd = counters_create(), fourth;

	(void)state;
	begin("");
	table = client_table_new(world.policy);
	assert_true(client_table_share(table, counters_new(dup(fd), 1)));
	assert_true(client_table_share(world.server.clients,
	    counters_new(fd, 0)));
	expect(connect_one(), "220 ");
	expect(connect_one(), "220 ");
	expect(connect_one(), "220 ");
	client_table_offer(table, true);
	fourth = connect_one();
	world_turns(20);
	assert_int_equal(world.server.session_count, 3);
	/* The other one goes away. */
	client_table_offer(table, false);
	expect(fourth, "220 ");
	client_table_offer(table, true);
	for (int i = 0; i < 16; i++)
		expect(connect_one(), "220 ");
	fourth = connect_one();
	world_turns(3);
	assert_int_equal(world.server.session_count, 21);
	client_table_free(table);
	end();
}

/* The counters of a process beside ours; both offer to take more. */
static struct counters *begin_beside(const char *conf, const char *listener)
{
	int fd = counters_create();
	struct counters *beside;

	begin_as(conf, listener);
	beside = counters_new(dup(fd), 1);
	assert_non_null(beside);
	assert_true(client_table_share(world.server.clients,
	    counters_new(fd, 0)));
	world_turns(2);
	assert_int_equal(counters_least(beside), 0);
	return beside;
}

/* Who has room for no more leaves the next one to any with fewer; who refused
 * one for that offers nothing for a moment, and goes on accepting. */
static void test_full_and_others(void **state)
{
	struct counters *beside = begin_beside(
	    "max-sessions = 4\nsmtpd-workers = 2\n", "");
	int third;

	(void)state;
	expect(connect_one(), "220 ");
	expect(connect_one(), "220 ");
	assert_int_equal(counters_least(beside), 2);
	/* One fewer is enough for that; as many is not. */
	counters_offer(beside, 1);
	third = connect_one();
	world_turns(20);
	assert_string_equal(hear(third), "");
	assert_int_equal(counters_least(beside), 2);
	counters_offer(beside, 2);
	expect(third, "421 4.3.2 ");
	assert_int_equal(counters_least(beside), UINT_MAX);
	/* Even one with as many is better than we are, now. */
	third = connect_one();
	world_turns(20);
	assert_string_equal(hear(third), "");
	counters_withdraw(beside);
	expect(third, "421 4.3.2 ");
	usleep(300 * 1000);
	world_turns(3);
	assert_int_equal(counters_least(beside), 2);
	end();
	counters_free(beside);
}

/* The same without descriptors, and with the last ones only. */
static void check_scarce(unsigned left)
{
	struct counters *beside = begin_beside("", "");
	struct rlimit before, few;
	int waiting, next;

	waiting = connect_one();
	next = dup(waiting);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	few = before;
	few.rlim_cur = (rlim_t)next + left;
	close(next);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	expect(waiting, "421 4.3.2 ");
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	assert_int_equal(counters_least(beside), UINT_MAX);
	/* Nobody else offers: it is ours. */
	expect(connect_one(), "220 ");
	assert_int_equal(counters_least(beside), UINT_MAX);
	usleep(300 * 1000);
	world_turns(3);
	assert_int_equal(counters_least(beside), 1);
	end();
	counters_free(beside);
}

static void test_scarce_and_others(void **state)
{
	(void)state;
	check_scarce(0);
	check_scarce(2);
}

/* Those without a header count for the others. */
static void test_arrivals_and_others(void **state)
{
	struct counters *beside = begin_beside("",
	    "proxy-from = { \"127.0.0.1/32\" }");
	int fd;

	(void)state;
	for (unsigned i = 1; i <= 3; i++) {
		fd = connect_one();
		world_turns(5);
		assert_int_equal(listeners.arrivals, i);
		assert_int_equal(counters_least(beside), i);
	}
	/* ... and for us: we go behind. */
	counters_offer(beside, 0);
	connect_one();
	world_turns(10);
	assert_int_equal(listeners.arrivals, 3);
	counters_withdraw(beside);
	world_turns(10);
	assert_int_equal(listeners.arrivals, 4);
	assert_int_equal(write(fd, "no\r\n", 4), 4);
	world_turns(5);
	assert_int_equal(counters_least(beside), 3);
	end();
	counters_free(beside);
}

/* --- load balancers --- */

#define HEADER "PROXY TCP4 192.0.2.7 198.51.100.1 56324 25\r\n"
#define STRANGER "PROXY TCP4 198.51.100.9 198.51.100.1 56324 25\r\n"

static void say(int fd, const char *text)
{
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

static void expect_closed(int fd)
{
	char byte;

	for (int turns = 0; turns < 400; turns++) {
		ssize_t got;

		world_turns(3);
		got = recv(fd, &byte, 1, MSG_DONTWAIT);
		if (got == 0 || (got == -1 && errno == ECONNRESET))
			return;
		if (got == 1)
			fail_msg("it was answered");
	}
	fail_msg("it is still open");
}

static int arrive(const char *header)
{
	int fd = connect_one();

	world_turns(5);
	say(fd, header);
	return fd;
}

/* Nothing is said before the header; then it is the named client's session, by
 * address and rights. */
static void test_proxy(void **state)
{
	const struct session *session;
	char text[ENDPOINT_TEXT_MAX];
	int fd;

	(void)state;
	begin_as("", "proxy-from = { \"127.0.0.1/32\" }");
	fd = connect_one();
	world_turns(20);
	assert_string_equal(hear(fd), "");
	assert_int_equal(world.server.session_count, 0);
	assert_int_equal(listeners.arrivals, 1);
	for (const char *byte = HEADER; *byte != '\0'; byte++) {
		world_turns(2);
		assert_int_equal(write(fd, byte, 1), 1);
	}
	expect(fd, "220 mx.example.org ");
	assert_int_equal(listeners.arrivals, 0);
	session = TAILQ_FIRST(&world.server.sessions);
	endpoint_format(&session->address, text, sizeof(text));
	assert_string_equal(text, "192.0.2.7");
	endpoint_format(&session->local, text, sizeof(text));
	assert_string_equal(text, "198.51.100.1");
	assert_true(session->listed);
	expect(arrive(STRANGER), "220 ");
	assert_false(TAILQ_LAST(&world.server.sessions, session_list)->listed);
	end();
}

/* What is behind the header is the client's, who must not talk first. */
static void test_proxy_early(void **state)
{
	(void)state;
	begin_as("", "proxy-from = { \"127.0.0.1/32\" }");
	expect(arrive(HEADER "EHLO client.example\r\n"), "554 5.5.0 ");
	end();
}

/* A wrong one, none, one that ends half-way: closed without a word. */
static void test_proxy_wrong(void **state)
{
	int fd;

	(void)state;
	begin_as("handshake-timeout = 1s\n",
	    "proxy-from = { \"127.0.0.1/32\" }");
	expect_closed(arrive("EHLO client.example\r\n"));
	expect_closed(arrive("PROXY TCP4 192.0.2.7\r\n"));
	fd = arrive("PROXY TCP4 192.0.2.7");
	assert_int_equal(shutdown(fd, SHUT_WR), 0);
	expect_closed(fd);
	/* in time */
	fd = arrive("PROXY TCP4 192.0.2.7");
	world_turns(5);
	assert_int_equal(listeners.arrivals, 1);
	usleep(1100 * 1000);
	expect_closed(fd);
	assert_int_equal(listeners.arrivals, 0);
	end();
}

/* From elsewhere it is a command like others that are wrong. */
static void test_proxy_not_believed(void **state)
{
	int fd;

	(void)state;
	begin_as("", "proxy-from = { \"192.0.2.0/24\" }");
	fd = connect_one();
	expect(fd, "220 ");
	say(fd, HEADER);
	expect(fd, "500 5.5.1 ");
	end();
}

/* LOCAL is the balancer itself, UNKNOWN somebody: without its rights. */
static void test_proxy_nameless(void **state)
{
	static const char look[] = "\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";
	const struct session *session;
	int fd;

	(void)state;
	begin_as("relay-from = { \"127.0.0.1/32\" }\n",
	    "proxy-from = { \"127.0.0.1/32\" }");
	fd = connect_one();
	world_turns(5);
	assert_int_equal(write(fd, look, sizeof(look) - 1), sizeof(look) - 1);
	expect(fd, "220 ");
	session = TAILQ_FIRST(&world.server.sessions);
	assert_true(endpoint_is_loopback(&session->address));
	assert_true(session->listed);
	expect(arrive("PROXY UNKNOWN\r\n"), "220 ");
	session = TAILQ_LAST(&world.server.sessions, session_list);
	assert_true(endpoint_is_loopback(&session->address));
	assert_false(session->listed);
	end();
}

/* Those without a header count for the limit on all; behind it each client
 * has its own. */
static void test_proxy_limits(void **state)
{
	int waiting;

	(void)state;
	begin_as("max-sessions = 3\nsmtpd-workers = 1\n"
	    "max-sessions-per-client = 1\n",
	    "proxy-from = { \"127.0.0.1/32\" }");
	expect(arrive(HEADER), "220 ");
	expect(arrive(HEADER), "421 4.7.0 ");
	expect(arrive(STRANGER), "220 ");
	waiting = connect_one();
	world_turns(5);
	expect(connect_one(), "421 4.3.2 ");
	close(waiting);
	clients[client_count - 2] = clients[client_count - 1];
	client_count--;
	world_turns(10);
	assert_int_equal(listeners.arrivals, 0);
	/* A listener that goes takes its arrivals along. */
	connect_one();
	world_turns(5);
	assert_int_equal(listeners.arrivals, 1);
	listeners_set(&listeners, "smtp@127.0.0.1:0", -1);
	assert_int_equal(listeners.arrivals, 0);
	end();
}

/* An address that is gone from the configuration, or told to be gone. */
static void test_gone(void **state)
{
	int fd;

	(void)state;
	begin("");
	listeners_set(&listeners, "other@127.0.0.1:0", listen_somewhere());
	expect(connect_one(), "421 4.3.2 ");
	listeners_set(&listeners, "other@127.0.0.1:0", -1);
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(fd, &address.address.any, address.length),
	    -1);
	close(fd);
	end();
}

/* Without descriptors: each client is told and the loop does not spin. */
static void test_no_descriptors(void **state)
{
	struct rlimit before, none;
	int fds[4];

	(void)state;
	begin("");
	world_turns(2);
	for (int i = 0; i < 4; i++)
		fds[i] = connect_one();
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	none = before;
	none.rlim_cur = (rlim_t)fds[3] + 1;
	/* every number below the limit is taken */
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	for (int i = 0; i < 4; i++)
		expect(fds[i], "421 4.3.2 ");
	assert_int_equal(world.server.session_count, 0);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	expect(connect_one(), "220 ");
	end();
}

/* The last ones are not for clients: a queue that comes back needs one. */
static void test_scarce_descriptors(void **state)
{
	struct rlimit before, few;
	int fds[4], next;

	(void)state;
	begin("");
	world_turns(2);
	for (int i = 0; i < 4; i++)
		fds[i] = connect_one();
	next = dup(fds[3]);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	few = before;
	few.rlim_cur = (rlim_t)next + 4;
	close(next);
	/* there are four left, and nothing fails */
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	for (int i = 0; i < 4; i++)
		expect(fds[i], "421 4.3.2 ");
	assert_int_equal(world.server.session_count, 0);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	expect(connect_one(), "220 ");
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_greeting),
		cmocka_unit_test(test_sessions),
		cmocka_unit_test(test_share),
		cmocka_unit_test(test_sessions_per_client),
		cmocka_unit_test(test_who_is_a_client),
		cmocka_unit_test(test_sessions_everywhere),
		cmocka_unit_test(test_sessions_here),
		cmocka_unit_test(test_others_first),
		cmocka_unit_test(test_full_and_others),
		cmocka_unit_test(test_scarce_and_others),
		cmocka_unit_test(test_arrivals_and_others),
		cmocka_unit_test(test_proxy),
		cmocka_unit_test(test_proxy_early),
		cmocka_unit_test(test_proxy_wrong),
		cmocka_unit_test(test_proxy_not_believed),
		cmocka_unit_test(test_proxy_nameless),
		cmocka_unit_test(test_proxy_limits),
		cmocka_unit_test(test_gone),
		cmocka_unit_test(test_no_descriptors),
		cmocka_unit_test(test_scarce_descriptors),
	};
	int failed;

	world_prepare();
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	loop_release();
	return failed;
}
