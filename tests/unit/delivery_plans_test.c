/* SPDX-License-Identifier: ISC */
/*
 * delivery/plans.c: which plans are kept, for whom and how long, and when none
 * is; and the order of hosts of equal preference (RFC 5321 5.1).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/status.h"
#include "delivery/plans.h"
#include "policy/client.h"
#include "tests/fake_time.h"

static struct plan_host hosts[4];
static struct endpoint address;
static bool policy_is_there = true;

bool policy_client_is_connected(const struct policy_client *client)
{
	assert_null(client);
	return policy_is_there;
}

static struct conf_next_hop to_port(const char *host, unsigned port)
{
	struct conf_next_hop next = { .transport = TRANSPORT_SMTP,
	    .port = (uint16_t)port, .mx = true };

	snprintf(next.host, sizeof(next.host), "%s", host);
	return next;
}

static struct plan a_plan(uint32_t ttl)
{
	struct plan plan = { .hosts = hosts, .host_count = 1, .ttl = ttl };

	assert_int_equal(endpoint_parse(&address, "192.0.2.1", 25), 0);
	snprintf(hosts[0].name, sizeof(hosts[0].name), "mx.example.net");
	hosts[0].addresses = &address;
	hosts[0].address_count = 1;
	return plan;
}

static bool is_kept(struct plans *plans, const struct policy_question *question)
{
	struct shared_plan *shared = plans_find(plans, question);

	shared_plan_release(shared);
	return shared != NULL;
}

static void add(struct plans *plans, const struct policy_question *question,
    const struct plan *plan)
{
	struct shared_plan *shared = plans_add(plans, question, plan);

	assert_non_null(shared);
	assert_string_equal(shared->plan->hosts[0].name, hosts[0].name);
	shared_plan_release(shared);
}

/* One question and others that differ in one thing each. */
static void by_question(void **state)
{
	struct conf_next_hop next = to_port("", 25), route = to_port("b", 25),
	    port = to_port("", 26), hidden = next, implicit = next;
	const struct policy_question asked = { .domain = "a.example",
	    .next = &next, .message_level = -1 };
	struct policy_question others[7], older = asked;
	struct plans *plans = plans_new(NULL);
	struct plan plan = a_plan(60);

	(void)state;
	hidden.mx = false;
	implicit.implicit_tls = true;
	for (size_t i = 0; i < 7; i++)
		others[i] = asked;
	others[0].domain = "b.example";
	others[1].next = &route;
	others[2].next = &port;
	others[3].next = &hidden;
	others[4].next = &implicit;
	others[5].wish = WISH_REQUIRETLS;
	others[6].message_level = LEVEL_MAY;
	add(plans, &asked, &plan);
	assert_true(is_kept(plans, &asked));
	for (size_t i = 0; i < 7; i++)
		assert_false(is_kept(plans, &others[i]));
	older.waited = 3600;
	assert_true(is_kept(plans, &older));
	for (size_t i = 0; i < 7; i++)
		add(plans, &others[i], &plan);
	add(plans, &asked, &plan);
	assert_int_equal(plans_count(plans), 8);
	plans_free(plans);
	plans_free(NULL);
}

/* What is for one message, is counted, or sends nothing; and nobody to say so
 * when it changes. */
static void not_kept(void **state)
{
	struct conf_next_hop next = to_port("", 25);
	const struct policy_question asked = { .domain = "a.example",
	    .next = &next, .message_level = -1 };
	struct plans *plans = plans_new(NULL);
	struct plan plan = a_plan(0);

	(void)state;
	add(plans, &asked, &plan);
	plan = a_plan(60);
	plan.exception = 7;
	add(plans, &asked, &plan);
	plan = a_plan(60);
	plan.vanished_dane = true;
	add(plans, &asked, &plan);
	plan = a_plan(60);
	plan.vanished_sts = true;
	add(plans, &asked, &plan);
	plan = a_plan(60);
	hosts[0].skip = true;
	status_set(&hosts[0].skipped, STATUS_DEFERRED, REASON_POLICY, "4.7.0",
	    "not that one");
	plan.status = hosts[0].skipped;
	add(plans, &asked, &plan);
	hosts[0].skip = false;
	assert_false(is_kept(plans, &asked));
	assert_int_equal(plans_count(plans), 0);

	add(plans, &asked, &plan);
	policy_is_there = false;
	assert_false(is_kept(plans, &asked));
	policy_is_there = true;
	assert_true(is_kept(plans, &asked));
	plans_free(plans);

	add(NULL, &asked, &plan);
	assert_null(plans_find(NULL, &asked));
}

static void until_they_end(void **state)
{
	static const struct { uint32_t ttl; int64_t seconds; } cases[] = {
		{ 1, 1 }, { 3, 3 }, { PLANS_SECONDS, PLANS_SECONDS },
		{ PLANS_SECONDS + 1, PLANS_SECONDS },
		{ UINT32_MAX, PLANS_SECONDS },
	};
	struct conf_next_hop next = to_port("", 25);
	const struct policy_question asked = { .domain = "a.example",
	    .next = &next, .message_level = -1 };
	struct shared_plan *held;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct plans *plans = plans_new(NULL);
		struct plan plan = a_plan(cases[i].ttl);

		fake_time_begin();
		add(plans, &asked, &plan);
		fake_time_pass(cases[i].seconds * 1000 - 1);
		held = plans_find(plans, &asked);
		assert_non_null(held);
		fake_time_pass(1);
		assert_false(is_kept(plans, &asked));
		assert_int_equal(plans_count(plans), 0);
		/* Who goes by it still has it. */
		assert_string_equal(held->plan->hosts[0].name,
		    "mx.example.net");
		shared_plan_release(held);
		plans_free(plans);
	}
}

static void forgotten(void **state)
{
	static const struct { const char *pattern; bool left[3]; } cases[] = {
		{ "", { false, false, false } },
		{ "a.example", { false, true, true } },
		{ ".a.example", { true, false, true } },
		{ "host.example", { true, true, false } },
		{ "other.example", { true, true, true } },
	};
	static const char *const domains[] = { "a.example", "b.a.example",
	    "c.example" };
	struct conf_next_hop nexts[3] = { to_port("", 25), to_port("", 25),
	    to_port("host.example", 25) };
	struct plan plan = a_plan(60);

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct plans *plans = plans_new(NULL);
		struct policy_question asked = { .message_level = -1 };

		for (size_t j = 0; j < 3; j++) {
			asked.domain = domains[j];
			asked.next = &nexts[j];
			add(plans, &asked, &plan);
		}
		plans_forget(plans, cases[i].pattern);
		for (size_t j = 0; j < 3; j++) {
			asked.domain = domains[j];
			asked.next = &nexts[j];
			assert_int_equal(is_kept(plans, &asked),
			    cases[i].left[j]);
		}
		plans_free(plans);
	}
}

/* The oldest goes. */
static void bounded(void **state)
{
	struct conf_next_hop next = to_port("", 25);
	struct plans *plans = plans_new(NULL);
	struct plan plan = a_plan(60);
	char domain[64];
	struct policy_question asked = { .domain = domain, .next = &next,
	    .message_level = -1 };

	(void)state;
	for (int i = 0; i <= PLANS_MAX; i++) {
		snprintf(domain, sizeof(domain), "d%d.example", i);
		add(plans, &asked, &plan);
	}
	assert_int_equal(plans_count(plans), PLANS_MAX);
	assert_true(is_kept(plans, &asked));
	snprintf(domain, sizeof(domain), "d0.example");
	assert_false(is_kept(plans, &asked));
	snprintf(domain, sizeof(domain), "d1.example");
	assert_true(is_kept(plans, &asked));
	plans_free(plans);
}

/* SMTP-170: each of equal preference is the first one now and then, and none
 * goes before a better one. */
static void mixed(void **state)
{
	struct plan plan = { .hosts = hosts, .host_count = 4 };
	unsigned char order[PLAN_HOSTS_MAX];
	unsigned first[4] = { 0 };

	(void)state;
	hosts[0].preference = 5;
	hosts[1].preference = hosts[2].preference = 10;
	hosts[3].preference = 20;
	for (int i = 0; i < 400; i++) {
		plans_mix(&plan, order);
		assert_int_equal(order[0], 0);
		assert_int_equal(order[1] + order[2], 3);
		assert_int_equal(order[3], 3);
		first[order[1]]++;
	}
	assert_in_range(first[1], 100, 300);
	memset(hosts, 0, sizeof(hosts));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(by_question),
		cmocka_unit_test(not_kept),
		cmocka_unit_test(until_they_end),
		cmocka_unit_test(forgotten),
		cmocka_unit_test(bounded),
		cmocka_unit_test(mixed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
