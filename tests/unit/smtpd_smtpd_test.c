/* SPDX-License-Identifier: ISC */
/*
 * smtpd/smtpd.c: the role as base/process.h drives it, in this process, with
 * the fake peers: configuration, reload, listening, stopping.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/loop.h"
#include "base/net.h"
#include "base/process.h"
#include "conf/bundle.h"
#include "smtpd/session.h"
#include "smtpd/smtpd.h"
#include "tests/smtpd_world.h"

static bool exited;
static struct endpoint address;

/* Instead of base/process.c's. */
void process_exit(int status)
{
	assert_int_equal(status, 0);
	exited = true;
}

unsigned process_instance(void)
{
	return 0;
}

/* No filter is configured here. */
void process_connect(const char *path, process_connected *done, void *arg)
{
	(void)done, (void)arg;
	fail_msg("connects to %s", path);
}

void process_connect_cancel(void *arg)
{
	(void)arg;
}

static int configure(const char *text, char *error, size_t size)
{
	struct bundle bundle = { .name = (char *)"test",
	    .text = (char *)text };
	struct buf encoded;
	int result;

	buf_init(&encoded, 1 << 20);
	assert_int_equal(bundle_encode(&bundle, ROLE_SMTPD, &encoded), 0);
	result = smtpd_entry.configure(buf_data(&encoded),
	    buf_length(&encoded), error, size);
	buf_release(&encoded);
	return result;
}

static int connect_one(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(connect(fd, &address.address.any, address.length), 0);
	return fd;
}

static void say(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), 0), strlen(text));
}

/* Waits for an answer that has wanted in it. */
static void expect(int fd, const char *wanted)
{
	int64_t limit = clock_monotonic() + 10000;
	char text[1024];
	ssize_t length = -1;

	while (length <= 0 && clock_monotonic() < limit) {
		world_turns(3);
		length = recv(fd, text, sizeof(text) - 1, MSG_DONTWAIT);
		if (length == 0)
			break;
	}
	text[length > 0 ? length : 0] = '\0';
	if (strstr(text, wanted) == NULL)
		fail_msg("wanted %s, got \"%s\"", wanted, text);
}

static void expect_end(int fd)
{
	int64_t limit = clock_monotonic() + 10000;
	ssize_t length = -1;
	char byte;

	while (length < 0 && clock_monotonic() < limit) {
		world_turns(3);
		length = recv(fd, &byte, 1, MSG_DONTWAIT);
	}
	assert_int_equal(length, 0);
	close(fd);
}

#define CONF "hostname = mx.example.org\n" \
    "domain \"example.org\" { users = { alice } }\n" \
    "listen smtp { }\nstop-timeout = 1\n"

static void test_configure(void **state)
{
	char error[256] = "";

	(void)state;
	assert_int_equal(smtpd_entry.configure("junk", 4, error,
	    sizeof(error)), -1);
	assert_true(strlen(error) > 0);
	/* a certificate whose files did not come */
	assert_int_equal(configure(CONF "certificate mx { chain = \"/chain\" "
	    "key = \"/key\" }\n", error, sizeof(error)), -1);
	assert_non_null(strstr(error, "mx"));
	assert_int_equal(configure(CONF "frob = 1\n", error, sizeof(error)),
	    -1);
	assert_non_null(strstr(error, "frob"));
	assert_int_equal(configure(CONF, error, sizeof(error)), 0);
}

static void test_serve(void **state)
{
	struct endpoint any;
	char error[256];
	int fd, old;

	(void)state;
	fake_peers_reset();
	smtpd_entry.prepare();
	smtpd_entry.start();
	assert_int_equal(endpoint_parse(&any, "127.0.0.1", 0), 0);
	fd = net_listen(&any, 16);
	assert_true(fd >= 0);
	net_local(fd, &address);
	smtpd_entry.listener("smtp@127.0.0.1:0", fd);
	old = connect_one();
	expect(old, "220 mx.example.org ");
	say(old, "EHLO client.example\r\n");
	expect(old, "SIZE 52428800\r\n");

	/* a bad reload changes nothing, a good one new sessions only */
	assert_int_equal(configure(CONF "frob = 1\n", error, sizeof(error)),
	    -1);
	say(old, "EHLO client.example\r\n");
	expect(old, "SIZE 52428800\r\n");
	assert_int_equal(configure(CONF "max-message-size = 100000\n", error,
	    sizeof(error)), 0);
	fd = connect_one();
	expect(fd, "220 ");
	say(fd, "EHLO client.example\r\n");
	expect(fd, "SIZE 100000\r\n");
	say(old, "EHLO client.example\r\n");
	expect(old, "SIZE 52428800\r\n");
	close(fd);
	close(old);
	world_turns(10);
}

static void test_sessions(void **state)
{
	struct process_caller caller = { .uid = 0 };
	int fd, first, pair[2];

	(void)state;
	first = connect_one();
	expect(first, "220 ");
	say(first, "EHLO client.example\r\n");
	expect(first, "250 ENH");
	say(first, "MAIL FROM:<a@client.example>\r\n");
	expect(first, "250 2.1.0");
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK |
	    SOCK_CLOEXEC, 0, pair), 0);
	smtpd_entry.control(pair[1], &caller);
	say(pair[0], "{\"verb\":\"sessions\",\"arguments\":{}}\n");
	fd = pair[0];
	expect(fd, "\"from\":\"a@client.example\"");
	close(fd);
	close(first);
	world_turns(10);
}

/* SMTP-55: idle ones go at once, a transaction gets its time and no more. */
static void test_stop(void **state)
{
	int idle, busy, stuck;

	(void)state;
	exited = false;
	idle = connect_one();
	expect(idle, "220 ");
	busy = connect_one();
	expect(busy, "220 ");
	stuck = connect_one();
	expect(stuck, "220 ");
	say(busy, "EHLO client.example\r\n");
	expect(busy, "250 ENH");
	say(busy, "MAIL FROM:<a@client.example>\r\n");
	expect(busy, "250 2.1.0");
	say(stuck, "EHLO client.example\r\n");
	expect(stuck, "250 ENH");
	say(stuck, "MAIL FROM:<a@client.example>\r\n");
	expect(stuck, "250 2.1.0");
	smtpd_entry.stop();
	expect(idle, "421 4.3.2 mx.example.org ");
	expect_end(idle);
	say(busy, "RCPT TO:<alice@example.org>\r\nDATA\r\n");
	expect(busy, "354 ");
	say(busy, "x\r\n.\r\n");
	expect(busy, "250 2.0.0 accepted");
	assert_false(exited);
	close(busy);
	expect(stuck, "421 4.3.2 mx.example.org ");
	expect_end(stuck);
	for (int64_t limit = clock_monotonic() + 5000; !exited &&
	    clock_monotonic() < limit; )
		world_turns(3);
	assert_true(exited);
	assert_int_equal(fake_peers_open(), 0);
	fake_peers_reset();
	session_pool_release();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_configure),
		cmocka_unit_test(test_serve),
		cmocka_unit_test(test_sessions),
		cmocka_unit_test(test_stop),
	};

	world_prepare();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
