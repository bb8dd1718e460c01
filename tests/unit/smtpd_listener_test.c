/* SPDX-License-Identifier: ISC */
/*
 * smtpd/listener.c with real sockets on loopback, on ports the kernel chose:
 * the limits, what is said beyond them, and life without descriptors.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/loop.h"
#include "base/net.h"
#include "smtpd/client.h"
#include "smtpd/counters.h"
#include "smtpd/listener.h"
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

static void begin(const char *conf)
{
	struct rules *rules;

	world_init(&world);
	rules = world_rules(conf, "", true);
	assert_non_null(rules);
	server_set_rules(&world.server, rules);
	listeners_init(&listeners, &world.server);
	listeners_set(&listeners, "smtp@127.0.0.1:0", listen_somewhere());
	client_count = 0;
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
	assert_int_equal(client_sessions(world.server.clients, &address), 2);
	end();
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
		assert_int_equal(endpoint_parse(&sessions[i].address,
		    cases[i].address, 0), 0);
		assert_int_equal(client_sessions(table,
		    &sessions[i].address), cases[i].before);
		client_join(table, &sessions[i]);
	}
	for (unsigned i = 0; i < COUNT; i++)
		client_leave(&sessions[i]);
	assert_int_equal(client_sessions(table, &sessions[0].address), 0);
	client_table_free(table);
	end();
}

/* ... and in all processes together, which share their counters. */
static void test_sessions_everywhere(void **state)
{
	struct session other = { .id = 1 };
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_greeting),
		cmocka_unit_test(test_sessions),
		cmocka_unit_test(test_share),
		cmocka_unit_test(test_sessions_per_client),
		cmocka_unit_test(test_who_is_a_client),
		cmocka_unit_test(test_sessions_everywhere),
		cmocka_unit_test(test_gone),
		cmocka_unit_test(test_no_descriptors),
	};
	int failed;

	world_prepare();
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	loop_release();
	return failed;
}
