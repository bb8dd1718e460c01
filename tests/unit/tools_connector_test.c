/* SPDX-License-Identifier: ISC */
/*
 * tools/connector.c: which Unix sockets a role is connected to: those that the
 * configuration names for it, and no other that is there as well.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "base/net.h"
#include "conf/conf.h"
#include "tools/child.h"
#include "tools/connector.h"

/* The answer, instead of the one in tools/child.c. */
static int answered, connected, refusal;

void child_send_connection(struct child *child, uint32_t request, int fd,
    int error)
{
	(void)child;
	assert_int_equal(request, 7);
	answered++;
	connected = fd != -1;
	refusal = error;
}

static struct conf *conf;
static char *directory;
static int listeners[5];

static const char *const names[] = { "milter", "other", "auth", "lmtp",
    "nobody" };

static char *path_of(const char *name)
{
	return mem_print("%s/%s", directory, name);
}

static int set_up(void **state)
{
	char template[] = "/tmp/connector-XXXXXX", *text, *errors;

	(void)state;
	log_init("test", LOG_LEVEL_ERROR);
	loop_init();
	directory = mem_dup_string(mkdtemp(template));
	for (int i = 0; i < 5; i++) {
		char *path = path_of(names[i]);

		listeners[i] = net_listen_unix(path, 0600, 8);
		assert_int_not_equal(listeners[i], -1);
		mem_free(path);
	}
	text = mem_print("hostname = mx.example.org\n"
	    "auth-socket = %s/auth\n"
	    "milter a { socket = %s/milter } milter b { socket = %s/other }\n"
	    "milter c { host = 127.0.0.1 port = 1 } milters = a\n"
	    "route a.example { transport = lmtp socket = %s/lmtp }\n",
	    directory, directory, directory, directory);
	conf = conf_read("test", text, &errors);
	if (conf == NULL)
		fail_msg("%s", errors);
	mem_free(text);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	for (int i = 0; i < 5; i++) {
		char *path = path_of(names[i]);

		close(listeners[i]);
		unlink(path);
		mem_free(path);
	}
	rmdir(directory);
	mem_free(directory);
	conf_free(conf);
	loop_release();
	return 0;
}

/* The names that the role gets to, as bits. */
static unsigned reached_by(enum role role)
{
	struct child child = { .role = role };
	unsigned found = 0;

	for (unsigned i = 0; i < 5; i++) {
		char *path = path_of(names[i]);

		answered = 0;
		connector_ask(conf, &child, 7, path);
		assert_int_equal(answered, 1);
		if (connected)
			found |= 1u << i;
		else
			assert_int_equal(refusal, EACCES);
		mem_free(path);
	}
	answered = 0;
	connector_ask(conf, &child, 7, "");	/* what milter c has */
	assert_int_equal(answered, 1);
	assert_false(connected);
	return found;
}

static void test_who_reaches_what(void **state)
{
	(void)state;
	assert_int_equal(reached_by(ROLE_SMTPD), 1u << 0 | 1u << 1);
	assert_int_equal(reached_by(ROLE_DIRECTORY), 1u << 2);
	assert_int_equal(reached_by(ROLE_DELIVERY), 1u << 3);
	assert_int_equal(reached_by(ROLE_QUEUE), 0);
	assert_int_equal(reached_by(ROLE_POLICY), 0);
	assert_int_equal(reached_by(ROLE_STS), 0);
}

/* Named, but nobody listens there: the role hears why. */
static void test_nobody_there(void **state)
{
	struct child child = { .role = ROLE_SMTPD };
	char *path = path_of("milter");

	(void)state;
	unlink(path);
	answered = 0;
	connector_ask(conf, &child, 7, path);
	assert_int_equal(answered, 1);
	assert_false(connected);
	assert_int_equal(refusal, ENOENT);
	mem_free(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_who_reaches_what),
		cmocka_unit_test(test_nobody_there),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
