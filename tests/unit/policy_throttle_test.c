/* SPDX-License-Identifier: ISC */
/*
 * SMTP-149: who guesses passwords waits, longer each time; who has been here
 * before is not kept out by others; tables do not grow without end.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "base/net.h"
#include "policy/throttle.h"
#include "tests/fake_time.h"

static struct throttle *throttle;

static struct endpoint at(const char *text)
{
	struct endpoint endpoint;

	memset(&endpoint, 0, sizeof(endpoint));
	assert_int_equal(endpoint_parse(&endpoint, text, 1000), 0);
	return endpoint;
}

static void guess(const char *client, const char *name, unsigned times)
{
	struct endpoint endpoint = at(client);

	while (times-- > 0)
		throttle_failed(throttle, &endpoint, name);
}

static bool may(const char *client)
{
	struct endpoint endpoint = at(client);

	return throttle_allows(throttle, &endpoint);
}

static bool may_as(const char *client, const char *name)
{
	struct endpoint endpoint = at(client);

	return throttle_allows_name(throttle, &endpoint, name);
}

static int begin(void **state)
{
	(void)state;
	fake_time_begin();
	throttle = throttle_new();
	return 0;
}

static int end(void **state)
{
	(void)state;
	throttle_free(throttle);
	return 0;
}

static void test_client(void **state)
{
	(void)state;
	guess("192.0.2.1", "", THROTTLE_CLIENT_FREE);
	assert_true(may("192.0.2.1"));
	guess("192.0.2.1", "", 1);
	assert_false(may("192.0.2.1"));
	assert_true(may("192.0.2.2"));
	fake_time_pass(THROTTLE_PAUSE_FIRST);
	assert_true(may("192.0.2.1"));
	/* Twice as long with each, up to the longest. */
	guess("192.0.2.1", "", 1);
	fake_time_pass(THROTTLE_PAUSE_FIRST);
	assert_false(may("192.0.2.1"));
	fake_time_pass(THROTTLE_PAUSE_FIRST);
	assert_true(may("192.0.2.1"));
	guess("192.0.2.1", "", 1000);
	fake_time_pass(THROTTLE_CLIENT_PAUSE_MAX - 1);
	assert_false(may("192.0.2.1"));
	fake_time_pass(1);
	assert_true(may("192.0.2.1"));
	/* All is forgotten some day. */
	fake_time_pass(32 * (int64_t)THROTTLE_HALVES);
	guess("192.0.2.1", "", THROTTLE_CLIENT_FREE);
	assert_true(may("192.0.2.1"));
}

static void test_halves(void **state)
{
	(void)state;
	guess("192.0.2.1", "", THROTTLE_CLIENT_FREE);
	fake_time_pass(THROTTLE_HALVES);
	guess("192.0.2.1", "", THROTTLE_CLIENT_FREE / 2);
	assert_true(may("192.0.2.1"));
	guess("192.0.2.1", "", 1);
	assert_false(may("192.0.2.1"));
}

/* One holder has a whole /64. */
static void test_networks(void **state)
{
	(void)state;
	guess("2001:db8::1", "", THROTTLE_CLIENT_FREE);
	guess("2001:db8::2", "", 1);
	assert_false(may("2001:db8::3"));
	assert_true(may("2001:db8:0:1::1"));
}

static void test_name(void **state)
{
	struct endpoint home = at("198.51.100.1");
	char client[32];

	(void)state;
	throttle_succeeded(throttle, &home, "alice");
	for (unsigned i = 0; i <= THROTTLE_NAME_FREE; i++) {
		snprintf(client, sizeof(client), "192.0.2.%u", i);
		guess(client, i % 2 ? "Alice" : "alice", 1);
	}
	assert_true(may("192.0.2.77"));
	assert_false(may_as("192.0.2.77", "alice"));
	assert_true(may_as("192.0.2.77", "bob"));
	assert_true(may_as("198.51.100.1", "ALICE"));
	guess("192.0.2.1", "alice", 100);
	fake_time_pass(THROTTLE_NAME_PAUSE_MAX);
	assert_true(may_as("192.0.2.77", "alice"));
}

/* A login does not buy guesses for others. */
static void test_success(void **state)
{
	struct endpoint client = at("192.0.2.1");

	(void)state;
	guess("192.0.2.1", "bob", THROTTLE_CLIENT_FREE);
	throttle_succeeded(throttle, &client, "mallory");
	guess("192.0.2.1", "bob", 1);
	assert_false(may("192.0.2.1"));
}

static void test_bounds(void **state)
{
	char name[32];

	(void)state;
	for (unsigned i = 0; i < THROTTLE_ENTRIES_MAX + 1000; i++) {
		snprintf(name, sizeof(name), "user%u", i);
		guess("192.0.2.1", name, 1);
	}
	assert_true(throttle_count(throttle) <= THROTTLE_ENTRIES_MAX + 1);
	assert_false(may("192.0.2.1"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_client, begin, end),
		cmocka_unit_test_setup_teardown(test_halves, begin, end),
		cmocka_unit_test_setup_teardown(test_networks, begin, end),
		cmocka_unit_test_setup_teardown(test_name, begin, end),
		cmocka_unit_test_setup_teardown(test_success, begin, end),
		cmocka_unit_test_setup_teardown(test_bounds, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
