/* SPDX-License-Identifier: ISC */
/*
 * orders.c with its verbs: what a rule holds is held from the first batch and
 * only that, what is paused waits and is tried when it is resumed, both survive
 * a restart, and both end by themselves.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/control.h"
#include "base/mem.h"
#include "queue/client.h"
#include "queue/orders.h"
#include "queue/queue.h"
#include "queue/store.h"
#include "tests/queue_world.h"

static struct world world;
static unsigned tries;

static void deliver(struct world *w, struct job *job)
{
	struct status statuses[8];
	const char *paused = worker_paused(job->worker, "mx.one.test");

	(void)w;
	tries++;
	for (size_t i = 0; i < job->recipient_count; i++) {
		world_delivered(&statuses[i]);
		if (paused != NULL)
			status_print(&statuses[i], STATUS_DEFERRED,
			    REASON_PAUSED, "4.3.2", "paused: %s", paused);
	}
	worker_finish(job, statuses, false);
}

static int setup(void **state)
{
	(void)state;
	tries = 0;
	world_open(&world, "retry-first = 1h");
	world.on_job = deliver;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	world_close(&world);
	return 0;
}

static int ask(const char *verb, const char *arguments)
{
	json_t *lines;
	int code = world_command(&world, verb, arguments, true, &lines);

	json_decref(lines);
	return code;
}

/* Messages in that state. */
static size_t count(const char *state)
{
	char arguments[64];
	json_t *lines;
	size_t found;

	snprintf(arguments, sizeof(arguments), "{\"state\":\"%s\"}", state);
	world_command(&world, "list", arguments, false, &lines);
	found = json_array_size(lines) - 1;
	json_decref(lines);
	return found;
}

static size_t count_orders(const char *kind)
{
	char arguments[64];
	json_t *lines;
	size_t found;

	snprintf(arguments, sizeof(arguments), "{\"kind\":\"%s\"}", kind);
	assert_int_equal(world_command(&world, "hold-rule-list", arguments,
	    false, &lines), CONTROL_OK);
	found = json_array_size(lines) - 1;
	json_decref(lines);
	return found;
}

/* One recipient of one message: "state" and "held". */
static void expect_recipient(const char *address, const char *state,
    const char *held)
{
	char arguments[128];
	json_t *lines, *recipient;

	snprintf(arguments, sizeof(arguments), "{\"recipient\":\"%s\"}",
	    address);
	assert_int_equal(world_command(&world, "list", arguments, false,
	    &lines), CONTROL_OK);
	recipient = json_array_get(json_object_get(json_array_get(lines, 0),
	    "recipients"), 0);
	assert_string_equal(json_string_value(json_object_get(recipient,
	    "state")), state);
	if (held != NULL)
		assert_string_equal(json_string_value(json_object_get(
		    recipient, "held")), held);
	json_decref(lines);
}

static void restart(void)
{
	world_stop_queue(&world);
	world_start_queue(&world);
	world_connect(&world);
}

/* --- hold rules --- */

static void test_rule_holds_what_fits(void **state)
{
	static const struct {
		const char *rule;
		bool holds;
	} rows[] = {
		{ "\"sender\":\"ann@*\"", true },
		{ "\"sender\":\"ANN@sender.TEST\"", true },
		{ "\"sender\":\"bob@*\"", false },
		{ "\"sender\":\"\"", false },
		{ "\"recipient\":\"joe@one.test\"", true },
		{ "\"recipient\":\"joe@*.net\"", false },
		{ "\"domain\":\"*.test\"", true },
		{ "\"domain\":\"two.test\"", false },
		{ "\"larger\":3", true },
		{ "\"larger\":1000", false },
		{ "\"client\":\"*192.0.2.1*\"", false },
		{ "\"sender\":\"ann@*\",\"domain\":\"two.test\"", false },
	};
	char arguments[200];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		snprintf(arguments, sizeof(arguments),
		    "{%s,\"reason\":\"why\"}", rows[i].rule);
		assert_int_equal(ask("hold-rule-add", arguments), CONTROL_OK);
		assert_true(world_send(&world, "ann@sender.test",
		    "joe@one.test", "x\r\n") != 0);
		if (!rows[i].holds)
			assert_true(world_wait_empty(&world));
		if (count("held") != rows[i].holds)
			fail_msg("rule %s", rows[i].rule);
		snprintf(arguments, sizeof(arguments), "{\"number\":%zu}",
		    i + 1);
		assert_int_equal(ask("hold-rule-remove", arguments),
		    CONTROL_OK);
		/* The rule's end releases nothing; the operator does. */
		assert_int_equal(count("held"), rows[i].holds);
		ask("release", "{\"all\":true}");
		assert_true(world_wait_empty(&world));
	}
	assert_int_equal(tries, sizeof(rows) / sizeof(rows[0]));
}

static void test_rule_holds_some_recipients(void **state)
{
	(void)state;
	assert_int_equal(ask("hold-rule-add", "{\"recipient\":\"eve@*\","
	    "\"reason\":\"ticket 7\"}"), CONTROL_OK);
	assert_true(world_send(&world, "ann@sender.test",
	    "joe@one.test eve@one.test zoe@one.test", "x\r\n") != 0);
	world_turn(20);
	assert_int_equal(tries, 1);
	assert_int_equal(world_count_slices(&world), 1);
	assert_int_equal(world_count_schedule(&world), 0);
	expect_recipient("eve@one.test", "held", "rule 1: ticket 7");
	restart();
	expect_recipient("eve@one.test", "held", "rule 1: ticket 7");
	assert_int_equal(count_orders("hold-rule"), 1);
	assert_true(world_send(&world, "ann@sender.test", "eve@two.test",
	    "x\r\n") != 0);
	assert_int_equal(count("held"), 2);
}

static void test_numbers_are_not_given_again(void **state)
{
	json_t *lines;

	(void)state;
	assert_int_equal(ask("hold-rule-add",
	    "{\"larger\":1,\"reason\":\"r\"}"), CONTROL_OK);
	assert_int_equal(ask("hold-rule-remove", "{\"number\":1}"),
	    CONTROL_OK);
	restart();
	assert_int_equal(world_command(&world, "hold-rule-add",
	    "{\"larger\":1,\"reason\":\"r\"}", true, &lines), CONTROL_OK);
	assert_int_equal(json_integer_value(json_object_get(json_array_get(
	    lines, 0), "number")), 2);
	json_decref(lines);
	assert_int_equal(ask("hold-rule-remove", "{\"number\":1}"),
	    CONTROL_NONE_MATCHED);
}

static void test_refused(void **state)
{
	static const struct {
		const char *verb, *arguments;
	} rows[] = {
		{ "hold-rule-add", "{\"sender\":\"a@b.test\"}" },
		{ "hold-rule-add", "{\"reason\":\"everything\"}" },
		{ "hold-rule-add", "{\"sendr\":\"a\",\"reason\":\"x\"}" },
		{ "hold-rule-add", "{\"sender\":7,\"reason\":\"x\"}" },
		{ "hold-rule-add", "{\"sender\":\"a\\u0000b\","
		    "\"reason\":\"x\"}" },
		{ "hold-rule-add", "{\"sender\":\"a\",\"reason\":\"x\\ny\"}" },
		{ "hold-rule-add", "{\"larger\":-1,\"reason\":\"x\"}" },
		{ "hold-rule-add", "{\"larger\":1,\"ends\":99999999999,"
		    "\"reason\":\"x\"}" },
		{ "hold-rule-remove", "{}" },
		{ "hold-rule-list", "{\"all\":true}" },
		{ "pause", "{\"reason\":\"x\"}" },
		{ "pause", "{\"place\":\"one.test\"}" },
		{ "pause", "{\"place\":\"\",\"reason\":\"x\"}" },
		{ "pause", "{\"place\":\"a\",\"sender\":\"b\","
		    "\"reason\":\"x\"}" },
		{ "resume", "{}" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (ask(rows[i].verb, rows[i].arguments) != CONTROL_USAGE)
			fail_msg("%s %s", rows[i].verb, rows[i].arguments);
	assert_int_equal(count_orders("hold-rule"), 0);
	assert_int_equal(count_orders("pause"), 0);
}

static void count_one(void *arg, const struct order *order)
{
	(void)order;
	++*(size_t *)arg;
}

/* An end in a second at the least: the verb counts in seconds. */
static bool no_order(void *arg)
{
	size_t left = 0;

	(void)arg;
	orders_each(world.queue->orders, ORDER_HOLD, count_one, &left);
	orders_each(world.queue->orders, ORDER_PAUSE, count_one, &left);
	return left == 0;
}

static void test_ends_by_itself(void **state)
{
	(void)state;
	assert_int_equal(ask("hold-rule-add",
	    "{\"larger\":1,\"reason\":\"r\",\"ends\":1}"), CONTROL_OK);
	assert_int_equal(ask("pause",
	    "{\"place\":\"one.test\",\"reason\":\"r\",\"ends\":1}"),
	    CONTROL_OK);
	assert_true(world_wait(no_order, NULL, 60000));
	restart();
	assert_int_equal(count_orders("hold-rule"), 0);
	assert_true(world_send(&world, "ann@sender.test", "joe@one.test",
	    "x\r\n") != 0);
	assert_true(world_wait_empty(&world));
}

/* --- pauses --- */

static void test_pause_of_a_domain(void **state)
{
	(void)state;
	assert_int_equal(ask("pause", "{\"place\":\"one.test\","
	    "\"reason\":\"their disk\"}"), CONTROL_OK);
	assert_int_equal(ask("pause", "{\"place\":\"one.test\","
	    "\"reason\":\"again\"}"), CONTROL_USAGE);
	assert_true(world_send(&world, "ann@sender.test",
	    "joe@one.test joe@two.test", "x\r\n") != 0);
	world_turn(50);
	assert_int_equal(tries, 1);
	expect_recipient("joe@one.test", "deferred", NULL);
	restart();
	world_turn(50);
	assert_int_equal(tries, 1);
	assert_int_equal(ask("retry", "{\"all\":true}"), CONTROL_OK);
	world_turn(50);
	assert_int_equal(tries, 1);
	assert_int_equal(ask("resume", "{\"place\":\"two.test\"}"),
	    CONTROL_NONE_MATCHED);
	assert_int_equal(ask("resume", "{\"place\":\"ONE.test\"}"),
	    CONTROL_OK);
	assert_true(world_wait_empty(&world));
	assert_int_equal(tries, 2);
}

/* The worker keeps to it, since it alone knows the hosts; so does one that
 * comes later, and the host is not counted as failing. */
static void test_pause_of_a_host(void **state)
{
	json_t *lines;

	(void)state;
	assert_int_equal(ask("pause", "{\"place\":\"mx.*.test\","
	    "\"reason\":\"moving\"}"), CONTROL_OK);
	for (int i = 0; i < 3; i++)
		assert_true(world_send(&world, "ann@sender.test",
		    "joe@one.test", "x\r\n") != 0);
	world_turn(50);
	assert_int_equal(tries, 3);
	assert_int_equal(world_command(&world, "list",
	    "{\"reason\":\"paused\"}", false, &lines), CONTROL_OK);
	assert_int_equal(json_array_size(lines), 4);
	json_decref(lines);
	restart();
	assert_int_equal(ask("retry", "{\"all\":true}"), CONTROL_OK);
	world_turn(50);
	assert_int_equal(tries, 6);
	assert_int_equal(ask("resume", "{\"place\":\"mx.*.test\"}"),
	    CONTROL_OK);
	assert_int_equal(ask("retry", "{\"reason\":\"paused\"}"), CONTROL_OK);
	assert_true(world_wait_empty(&world));
	assert_int_equal(tries, 9);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_rule_holds_what_fits,
		    setup, teardown),
		cmocka_unit_test_setup_teardown(
		    test_rule_holds_some_recipients, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    test_numbers_are_not_given_again, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refused, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(test_ends_by_itself, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(test_pause_of_a_domain, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(test_pause_of_a_host, setup,
		    teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
