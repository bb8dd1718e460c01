/* SPDX-License-Identifier: ISC */
/*
 * delivery/control.c: who may probe, what is asked of policy, how an answer
 * ends, and that nothing is left behind when the connection or the role goes
 * away in between.
 */
#include <fcntl.h>
#include <setjmp.h>
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
#include "base/mem.h"
#include "base/net.h"
#include "base/process.h"
#include "conf/conf.h"
#include "delivery/attempt.h"
#include "delivery/control.h"
#include "delivery/profile.h"
#include "policy/plan.h"
#include "tests/fake_policy_client.h"

static struct attempt_scene scene;
static struct profile *profile;
static struct plan plan;
static struct plan_host host;
static struct endpoint address;
static int client = -1;
static char heard[8192];

static void stop(void *arg)
{
	(void)arg;
	loop_stop();
}

static void some_turns(int turns)
{
	while (turns-- > 0) {
		loop_defer(stop, NULL);
		loop_run();
	}
}

static int set_up(void **state)
{
	(void)state;
	profile = mem_alloc(sizeof(*profile));
	profile->references = 1;
	profile->conf = mem_alloc(sizeof(*profile->conf));
	profile->conf->hostname = mem_dup_string("client.test");
	profile->conf->hello_ipv4 = mem_dup_string("client.test");
	profile->conf->hello_ipv6 = mem_dup_string("client.test");
	profile->conf->connect_timeout = 20;
	scene = (struct attempt_scene){ .profile = profile };
	memset(&plan, 0, sizeof(plan));
	host = (struct plan_host){ .name = "mx.test", .skip = true,
	    .addresses = &address, .address_count = 1 };
	status_set(&host.skipped, STATUS_DEFERRED, REASON_POLICY, "4.7.5",
	    "left out");
	plan.hosts = &host;
	plan.host_count = 1;
	status_set(&plan.status, STATUS_DEFERRED, REASON_POLICY, "4.7.5",
	    "no host may be used");
	fake_policy_plan = &plan;
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	if (client != -1)
		close(client);
	client = -1;
	some_turns(5);
	/* Nobody keeps it but us. */
	assert_int_equal(profile->references, 1);
	profile_release(profile);
	return 0;
}

static void ask(const char *request, bool privileged)
{
	struct process_caller caller = { .uid = 1000, .privileged = privileged };
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	fcntl(fds[0], F_SETFL, O_NONBLOCK);
	fcntl(fds[1], F_SETFL, O_NONBLOCK);
	client = fds[0];
	assert_int_equal(write(client, request, strlen(request)),
	    (ssize_t)strlen(request));
	delivery_control(&scene, fds[1], &caller);
}

/* Everything up to the end of the answer. */
static void listen_to_end(void)
{
	size_t length = 0;
	int turns;

	heard[0] = '\0';
	for (turns = 0; turns < 5000 && strstr(heard, "\"end\"") == NULL;
	    turns++) {
		ssize_t got = read(client, heard + length,
		    sizeof(heard) - length - 1);

		if (got > 0)
			length += (size_t)got;
		heard[length] = '\0';
		some_turns(1);
		if (got == -1)
			usleep(1000);
	}
}

static void check_answer(const char *request, bool privileged, int code,
    const char *text)
{
	char end[20];

	ask(request, privileged);
	listen_to_end();
	snprintf(end, sizeof(end), "\"end\":%d", code);
	if (strstr(heard, end) == NULL || strstr(heard, text) == NULL)
		fail_msg("%s: %s", request, heard);
}

#define PROBE(domain) \
	"{\"verb\":\"probe\",\"arguments\":{\"domain\":\"" domain "\"}}\n"

static void refusals(void **state)
{
	unsigned questions = fake_policy_questions;
	static const struct {
		const char	*request;
		bool		 privileged;
		int		 code;
	} cases[] = {
		{ PROBE("b.test"), false, CONTROL_DENIED },
		{ "{\"verb\":\"probe\",\"arguments\":{}}\n", true,
		    CONTROL_USAGE },
		{ "{\"verb\":\"probe\",\"arguments\":{\"domain\":7}}\n", true,
		    CONTROL_USAGE },
		{ PROBE(""), true, CONTROL_USAGE },
		{ PROBE("two words"), true, CONTROL_USAGE },
		{ PROBE("b..test"), true, CONTROL_USAGE },
		{ PROBE("a\\r\\nb.test"), true, CONTROL_USAGE },
		{ "{\"verb\":\"other\",\"arguments\":{}}\n", true,
		    CONTROL_USAGE },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		check_answer(cases[i].request, cases[i].privileged,
		    cases[i].code, "");
		close(client);
		client = -1;
	}
	assert_int_equal(fake_policy_questions, questions);
}

/* A host that is left out is told, with the plan's own words at the end. */
static void skipped(void **state)
{
	(void)state;
	check_answer(PROBE("B.test"), true, CONTROL_NONE_MATCHED,
	    "no host may be used");
	assert_non_null(strstr(heard, "\"skipped\""));
	assert_string_equal(fake_policy_domain, "b.test");
	assert_string_equal(fake_policy_next.host, "b.test");
	assert_int_equal(fake_policy_waited, 0);
}

static void waited(void **state)
{
	(void)state;
	check_answer("{\"verb\":\"probe\",\"arguments\":{\"domain\":"
	    "\"b.test\",\"waited\":7200}}\n", true, CONTROL_NONE_MATCHED,
	    "no host may be used");
	assert_int_equal(fake_policy_waited, 7200);
}

static void literal(void **state)
{
	(void)state;
	check_answer(PROBE("[192.0.2.1]"), true, CONTROL_NONE_MATCHED,
	    "no host may be used");
	assert_string_equal(fake_policy_next.host, "[192.0.2.1]");
	assert_false(fake_policy_next.mx);
}

static void no_hosts(void **state)
{
	(void)state;
	plan.host_count = 0;
	status_set(&plan.status, STATUS_FAILED, REASON_NULL_MX, "5.1.10",
	    "it takes no mail");
	check_answer(PROBE("b.test"), true, CONTROL_NONE_MATCHED,
	    "it takes no mail");
	close(client);
	status_set(&plan.status, STATUS_DEFERRED, REASON_DNS, "4.4.3",
	    "nobody knows");
	check_answer(PROBE("b.test"), true, CONTROL_NONE_MATCHED,
	    "nobody knows");
}

static void unreachable(void **state)
{
	(void)state;
	host.skip = false;
	profile->conf->allow_loopback = true;
	/* port 1 of this machine: nobody listens */
	endpoint_parse(&address, "127.0.0.1", 1);
	check_answer(PROBE("b.test"), true, CONTROL_NONE_MATCHED,
	    "mail would wait");
	assert_non_null(strstr(heard, "\"unreachable\""));
}

static void not_by_smtp(void **state)
{
	struct conf_route route = { .pattern = (char[]){ "b.test" },
	    .transport = TRANSPORT_DISCARD, .host = (char[]){ "" } };

	(void)state;
	profile->conf->routes = &route;
	profile->conf->route_count = 1;
	check_answer(PROBE("b.test"), true, CONTROL_NONE_MATCHED,
	    "does not leave this machine");
	profile->conf->routes = NULL;
	profile->conf->route_count = 0;
}

/* The operator goes away: before policy answered, and while a host is silent.
 * The listener takes the connection and nobody serves it. */
static void abandoned(void **state)
{
	struct endpoint local;
	int listener, turns;

	(void)state;
	endpoint_parse(&local, "127.0.0.1", 0);
	listener = net_listen(&local, 4);
	net_local(listener, &address);
	host.skip = false;
	profile->conf->allow_loopback = true;
	profile->conf->greeting_timeout = 20;
	for (turns = 0; turns < 8; turns++) {
		ask(PROBE("b.test"), true);
		some_turns(turns);
		close(client);
		client = -1;
		some_turns(10);
		assert_int_equal(profile->references, 1);
	}
	close(listener);
}

/* The last test: nothing is taken afterwards. */
static void stopped(void **state)
{
	struct endpoint local;
	int listener;

	(void)state;
	endpoint_parse(&local, "127.0.0.1", 0);
	listener = net_listen(&local, 4);
	net_local(listener, &address);
	host.skip = false;
	profile->conf->allow_loopback = true;
	profile->conf->greeting_timeout = 20;
	ask(PROBE("b.test"), true);
	some_turns(6);
	assert_true(profile->references > 1);
	delivery_control_stop();
	listen_to_end();
	assert_non_null(strstr(heard, "stopping"));
	close(client);
	check_answer(PROBE("b.test"), true, CONTROL_TEMPORARY, "stopping");
	close(listener);
}

int main(void)
{
#define WITH_SCENE(test) \
	cmocka_unit_test_setup_teardown(test, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		WITH_SCENE(refusals),
		WITH_SCENE(skipped),
		WITH_SCENE(waited),
		WITH_SCENE(literal),
		WITH_SCENE(no_hosts),
		WITH_SCENE(unreachable),
		WITH_SCENE(not_by_smtp),
		WITH_SCENE(abandoned),
		WITH_SCENE(stopped),
	};
	int status;

	log_init("test", LOG_LEVEL_ERROR);
	loop_init();
	status = cmocka_run_group_tests(tests, NULL, NULL);
	loop_release();
	return status;
}
