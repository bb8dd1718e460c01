/* SPDX-License-Identifier: ISC */
/*
 * What went through, in all and in the last minute.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>

#include "base/status.h"
#include "queue/flow.h"
#include "tests/fake_time.h"

static void assert_near(double value, double wanted)
{
	if (fabs(value - wanted) > 0.001)
		fail_msg("%f is not %f", value, wanted);
}

static json_int_t count_of(const struct flow *flow, const char *name)
{
	json_t *value = flow_value(flow);
	json_int_t count = json_integer_value(json_object_get(
	    json_object_get(value, name), "count"));

	json_decref(value);
	return count;
}

static double rate_of(const struct flow *flow, const char *name)
{
	json_t *value = flow_value(flow);
	double rate = json_real_value(json_object_get(json_object_get(value,
	    name), "rate"));

	json_decref(value);
	return rate;
}

static void test_flow(void **state)
{
	struct flow *flow;

	(void)state;
	fake_time_begin();
	flow = flow_new();
	assert_near(rate_of(flow, "accepted"), 0);
	flow_add(flow, FLOW_ACCEPTED, 30);
	/* The second that is under way does not count. */
	assert_near(rate_of(flow, "accepted"), 0);
	fake_time_pass(SECONDS(10));
	assert_near(rate_of(flow, "accepted"), 3);
	fake_time_pass(SECONDS(50));
	assert_near(rate_of(flow, "accepted"), 0.5);
	fake_time_pass(SECONDS(1));
	assert_near(rate_of(flow, "accepted"), 0);
	/* A day later the ring's cells are old. */
	flow_add(flow, FLOW_ACCEPTED, 60);
	fake_time_pass(DAYS(1));
	assert_near(rate_of(flow, "accepted"), 0);
	flow_add(flow, FLOW_ACCEPTED, 120);
	fake_time_pass(SECONDS(5));
	assert_near(rate_of(flow, "accepted"), 2);
	assert_int_equal(count_of(flow, "accepted"), 210);
	for (int i = 0; i < STATUS_OUTCOMES; i++)
		flow_outcome(flow, (enum status_outcome)i);
	assert_int_equal(count_of(flow, "delivered"), 1);
	assert_int_equal(count_of(flow, "relayed"), 1);
	assert_int_equal(count_of(flow, "deferred"), 1);
	assert_int_equal(count_of(flow, "failed"), 1);
	assert_int_equal(count_of(flow, "deleted"), 0);
	flow_free(flow);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_flow),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
