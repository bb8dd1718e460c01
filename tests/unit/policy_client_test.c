/* SPDX-License-Identifier: ISC */
/*
 * policy/client.c over a socket pair: the test is the policy process. Every
 * question is answered exactly once or cancelled, whatever policy does: dies,
 * comes back, answers nonsense, answers the wrong question, says nothing.
 * Changes are heard of, also those of a restart; observations cost nobody the
 * channel.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/channel.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/net.h"
#include "policy/client.h"
#include "policy/message.h"
#include "policy/observation.h"
#include "policy/plan.h"

enum { QUESTIONS_MAX = 64, TURNS = 12 };

/* Policy's side: one channel at a time, and what was asked on it. */
static struct channel *policy;
static uint32_t numbers[QUESTIONS_MAX];
static char texts[QUESTIONS_MAX][300];
static unsigned asked;
static unsigned closed;
static unsigned cancelled;
static uint32_t last_cancelled;
static unsigned observed;
static char observed_host[300];
static bool deaf;			/* reads nothing */

/* The asking side. */
static struct policy_client *client;
static unsigned plans, names;
static struct status last;
static size_t last_hosts;
static char last_name[300];
static struct policy_request *victim;	/* cancelled inside a callback */
static bool again;			/* asks anew inside a callback */
static char changes[300];		/* patterns, each with a blank */

/* The whole question as policy takes it apart. */
static void read_plan_question(char *domain, size_t size,
    struct wire_reader *body, struct arena *arena)
{
	snprintf(domain, size, "%s", wire_get_text(body, arena,
	    POLICY_NAME_MAX));
	assert_string_equal(wire_get_text(body, arena, POLICY_NAME_MAX), "");
	assert_int_equal(wire_get_u16(body), 465);
	assert_int_equal(wire_get_u8(body), 1);		/* MX */
	assert_int_equal(wire_get_u8(body), 1);		/* TLS at once */
	assert_int_equal(wire_get_u64(body), 7200);
	assert_int_equal(wire_get_u8(body), WISH_OPTIONAL);
	assert_int_equal(wire_get_u8(body), LEVEL_STRICT + 1);
	assert_int_equal(wire_read_end(body), 0);
}

static void on_observation(struct wire_reader *body)
{
	struct observation seen;

	assert_int_equal(0, observation_get(body, &seen));
	assert_int_equal(0, wire_read_end(body));
	snprintf(observed_host, sizeof(observed_host), "%s", seen.host);
	observed++;
}

static void on_question(void *arg, struct channel *channel,
    struct channel_message *message)
{
	struct arena *arena = arena_new(4096);

	(void)arg;
	(void)channel;
	if (message->type == POLICY_CANCEL) {
		cancelled++;
		last_cancelled = message->request;
		arena_free(arena);
		return;
	}
	if (message->type == POLICY_OBSERVED) {
		on_observation(&message->body);
		arena_free(arena);
		return;
	}
	assert_true(asked < QUESTIONS_MAX);
	numbers[asked] = message->request;
	if (message->type == POLICY_PLAN)
		read_plan_question(texts[asked], sizeof(texts[asked]),
		    &message->body, arena);
	else
		snprintf(texts[asked], sizeof(texts[asked]), "reverse");
	asked++;
	arena_free(arena);
}

static void on_closed(void *arg, struct channel *channel)
{
	(void)arg;
	closed++;
	channel_free(channel);
	if (policy == channel)
		policy = NULL;
}

static const struct channel_rule rules[] = {
	{ .type = POLICY_PLAN, .max = POLICY_QUESTION_MAX },
	{ .type = POLICY_REVERSE, .max = 64 },
	{ .type = POLICY_CANCEL, .max = 0 },
	{ .type = POLICY_OBSERVED, .max = OBSERVATION_WIRE_MAX },
};
static const struct channel_handler handler = { .rules = rules,
    .rule_count = 4, .message = on_question, .closed = on_closed };

static void stop(void *arg)
{
	(void)arg;
	loop_stop();
}

static void some_turns(void)
{
	int i;

	for (i = 0; i < TURNS; i++) {
		loop_defer(stop, NULL);
		loop_run();
	}
}

/* A fresh policy process; what was there before is left to the test. */
static void connect_policy(void)
{
	int fds[2];

	assert_int_equal(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK |
	    SOCK_CLOEXEC, 0, fds));
	asked = 0;
	policy = channel_new(fds[1], "client", &handler, NULL, 1 << 20);
	if (deaf)
		channel_pause(policy);
	policy_client_connect(client, fds[0]);
	some_turns();
}

static void answer_plan(uint32_t number, const char *text)
{
	struct plan plan = { .ttl = 5 };

	status_set(&plan.status, STATUS_FAILED, REASON_NULL_MX, "5.1.10",
	    text);
	plan_put(channel_begin(policy, POLICY_PLAN_ANSWER, number), &plan);
	channel_end(policy);
	some_turns();
}

static void answer_name(uint32_t number, const char *name)
{
	wire_put_text(channel_begin(policy, POLICY_REVERSE_ANSWER, number),
	    name);
	channel_end(policy);
	some_turns();
}

static void on_plan(void *arg, const struct plan *plan);

static struct policy_request *ask(const char *domain)
{
	struct conf_next_hop next = { .transport = TRANSPORT_SMTP, .port = 465,
	    .mx = true, .implicit_tls = true };
	struct policy_question question = { .domain = domain, .next = &next,
	    .waited = 7200, .wish = WISH_OPTIONAL,
	    .message_level = LEVEL_STRICT };
	unsigned before = plans;
	struct policy_request *request;

	request = policy_plan(client, &question, on_plan, (void *)domain);
	assert_int_equal(plans, before);	/* never inside the call */
	return request;
}

static void on_plan(void *arg, const struct plan *plan)
{
	(void)arg;
	plans++;
	last = plan->status;
	last_hosts = plan->host_count;
	if (victim != NULL)
		policy_cancel(victim);
	victim = NULL;
	if (again)
		ask("again.example");
	again = false;
}

static void on_name(void *arg, const char *name)
{
	(void)arg;
	names++;
	snprintf(last_name, sizeof(last_name), "%s", name == NULL ? "-" :
	    name);
}

static struct policy_request *ask_name(int milliseconds)
{
	struct endpoint address;

	endpoint_parse(&address, "192.0.2.1", 0);
	return policy_reverse(client, &address, milliseconds, on_name, NULL);
}

static int set_up(void **state)
{
	(void)state;
	client = policy_client_new();
	plans = names = asked = closed = cancelled = observed = 0;
	changes[0] = '\0';
	deaf = false;
	victim = NULL;
	again = false;
	memset(&last, 0, sizeof(last));
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	policy_client_free(client);
	if (policy != NULL)
		channel_free(policy);
	policy = NULL;
	some_turns();
	return 0;
}

/* Two questions, answered in the other order; each finds its own answer. */
static void test_answers(void **state)
{
	(void)state;
	connect_policy();
	ask("one.example");
	ask("two.example");
	some_turns();
	assert_int_equal(asked, 2);
	assert_string_equal(texts[0], "one.example");
	answer_plan(numbers[1], "second");
	assert_int_equal(plans, 1);
	assert_string_equal(last.text, "second");
	assert_int_equal(last.outcome, STATUS_FAILED);
	answer_plan(numbers[0], "first");
	assert_string_equal(last.text, "first");
	/* The same answer once more is to nobody. */
	answer_plan(numbers[0], "third");
	assert_int_equal(plans, 2);
	assert_int_equal(closed, 0);
}

static void test_reverse(void **state)
{
	(void)state;
	connect_policy();
	ask_name(5000);
	ask_name(5000);
	some_turns();
	answer_name(numbers[0], "host.example");
	assert_string_equal(last_name, "host.example");
	answer_name(numbers[1], "");
	assert_string_equal(last_name, "-");
	ask_name(5000);
	some_turns();
	answer_name(numbers[2], POLICY_NAME_UNKNOWN);
	assert_string_equal(last_name, "");
	assert_int_equal(names, 3);
}

/* Asked while policy is away: the question waits for it. */
static void test_asked_before_connect(void **state)
{
	(void)state;
	ask("early.example");
	some_turns();
	assert_int_equal(plans, 0);
	connect_policy();
	assert_int_equal(asked, 1);
	assert_string_equal(texts[0], "early.example");
	answer_plan(numbers[0], "late");
	assert_int_equal(plans, 1);
}

/* Policy dies and comes back: asked again, answered once. */
static void test_restart(void **state)
{
	(void)state;
	connect_policy();
	ask("one.example");
	ask("two.example");
	some_turns();
	channel_free(policy);
	some_turns();
	assert_int_equal(plans, 0);
	connect_policy();
	assert_int_equal(asked, 2);
	answer_plan(numbers[0], "a");
	answer_plan(numbers[1], "b");
	assert_int_equal(plans, 2);
}

/* A new channel while the old one still stands: the old one is closed, and
 * what it would have said is not heard. */
static void test_replaced(void **state)
{
	struct channel *old;

	(void)state;
	connect_policy();
	ask("one.example");
	some_turns();
	old = policy;
	plan_put(channel_begin(old, POLICY_PLAN_ANSWER, numbers[0]),
	    &(struct plan){ .ttl = 1 });
	channel_end(old);
	connect_policy();
	assert_int_equal(closed, 1);
	assert_int_equal(plans, 0);
	assert_int_equal(asked, 1);
	answer_plan(numbers[0], "new");
	assert_int_equal(plans, 1);
	assert_string_equal(last.text, "new");
}

static void test_cancel(void **state)
{
	struct policy_request *one, *two;

	(void)state;
	one = ask("never-sent.example");
	policy_cancel(one);
	connect_policy();
	assert_int_equal(asked, 0);
	assert_int_equal(cancelled, 0);
	one = ask("one.example");
	two = ask("two.example");
	some_turns();
	policy_cancel(one);
	some_turns();
	/* Policy hears of it, so that its lookups stop. */
	assert_int_equal(cancelled, 1);
	assert_int_equal(last_cancelled, numbers[0]);
	answer_plan(numbers[0], "too late");
	assert_int_equal(plans, 0);
	answer_plan(numbers[1], "kept");
	assert_int_equal(plans, 1);
	(void)two;
	assert_int_equal(closed, 0);
}

/* A callback cancels its neighbour and asks something new. */
static void test_inside_callback(void **state)
{
	(void)state;
	connect_policy();
	ask("one.example");
	victim = ask("two.example");
	again = true;
	some_turns();
	answer_plan(numbers[0], "one");
	assert_int_equal(plans, 1);
	assert_int_equal(asked, 3);
	assert_string_equal(texts[2], "again.example");
	answer_plan(numbers[1], "cancelled");
	assert_int_equal(plans, 1);
	answer_plan(numbers[2], "again");
	assert_int_equal(plans, 2);
}

/* What is no plan ends the channel; the question is asked of the next one. */
static void test_malformed(void **state)
{
	int kind;

	(void)state;
	ask("one.example");
	for (kind = 0; kind < 4; kind++) {
		connect_policy();
		assert_int_equal(asked, 1);
		closed = 0;
		switch (kind) {
		case 0:		/* nothing */
			channel_begin(policy, POLICY_PLAN_ANSWER, numbers[0]);
			break;
		case 1:		/* cut */
			wire_put_u8(channel_begin(policy, POLICY_PLAN_ANSWER,
			    numbers[0]), STATUS_FAILED);
			break;
		case 2:		/* more than a name */
			wire_put_u32(channel_begin(policy,
			    POLICY_REVERSE_ANSWER, numbers[0]), 7);
			break;
		case 3:		/* a type of its own */
			channel_begin(policy, 99, numbers[0]);
			break;
		}
		channel_end(policy);
		some_turns();
		assert_int_equal(closed, 1);
		assert_int_equal(plans, 0);
	}
	connect_policy();
	answer_plan(numbers[0], "at last");
	assert_int_equal(plans, 1);
}

/* A name where a plan was asked for answers nothing and breaks nothing. */
static void test_wrong_kind(void **state)
{
	(void)state;
	connect_policy();
	ask("one.example");
	ask_name(5000);
	some_turns();
	answer_name(numbers[0], "host.example");
	answer_plan(numbers[1], "a plan");
	assert_int_equal(plans + names, 0);
	answer_plan(numbers[0], "right");
	answer_name(numbers[1], "host.example");
	assert_int_equal(plans, 1);
	assert_int_equal(names, 1);
}

/* Nobody answers: our own deadline does, once, connected or not. */
static void test_deadline(void **state)
{
	int64_t start = clock_monotonic();
	int connected;

	(void)state;
	for (connected = 0; connected < 2; connected++) {
		if (connected)
			connect_policy();
		names = 0;
		ask_name(50);
		while (names == 0 && clock_monotonic() - start < 10000) {
			some_turns();
			usleep(5000);
		}
		assert_int_equal(names, 1);
		assert_string_equal(last_name, "");
	}
	answer_name(numbers[0], "late.example");
	assert_int_equal(names, 1);
}

/* Freed with questions under way: silence. */
static void test_freed(void **state)
{
	(void)state;
	connect_policy();
	ask("one.example");
	ask_name(50);
	some_turns();
	policy_client_free(client);
	client = policy_client_new();
	some_turns();
	assert_int_equal(closed, 1);
	usleep(600000);
	some_turns();
	assert_int_equal(plans + names, 0);
}

/* --- changes and observations --- */

static void on_change(void *arg, const char *pattern)
{
	size_t used = strlen(changes);

	(void)arg;
	snprintf(changes + used, sizeof(changes) - used, "%s ", pattern[0] ==
	    '\0' ? "all" : pattern);
}

static void tell_change(const char *pattern)
{
	wire_put_text(channel_begin(policy, POLICY_CHANGED, 0), pattern);
	channel_end(policy);
	some_turns();
}

static void test_changes(void **state)
{
	char name[POLICY_NAME_MAX + 2];

	(void)state;
	connect_policy();
	tell_change("nobody.listens");
	policy_client_on_change(client, on_change, NULL);
	tell_change("a.example");
	tell_change(".b.example");
	tell_change("");
	assert_string_equal(changes, "a.example .b.example all ");
	/* Policy was restarted: whatever changed meanwhile. */
	changes[0] = '\0';
	connect_policy();
	assert_string_equal(changes, "all ");
	/* What is no pattern ends the channel. */
	closed = 0;
	changes[0] = '\0';
	memset(name, 'a', sizeof(name));
	name[POLICY_NAME_MAX + 1] = '\0';
	tell_change(name);
	assert_int_equal(closed, 1);
	assert_string_equal(changes, "");
}

static void test_first_connection_is_no_change(void **state)
{
	(void)state;
	policy_client_on_change(client, on_change, NULL);
	connect_policy();
	assert_string_equal(changes, "");
}

/* The client goes before it could tell. */
static void test_freed_with_a_change(void **state)
{
	int fds[2];

	(void)state;
	policy_client_on_change(client, on_change, NULL);
	connect_policy();
	assert_int_equal(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK |
	    SOCK_CLOEXEC, 0, fds));
	policy_client_connect(client, fds[0]);
	policy_client_free(client);
	client = policy_client_new();
	some_turns();
	assert_string_equal(changes, "");
	close(fds[1]);
}

static void observe(const char *host)
{
	struct observation seen = { .domain = "a.example",
	    .stage = OBSERVED_SECURED };

	snprintf(seen.host, sizeof(seen.host), "%s", host);
	policy_observe(client, &seen);
}

/* While policy is away they are dropped, and so they are when it does not
 * read: the channel stays for the questions. */
static void test_observations(void **state)
{
	unsigned i;

	(void)state;
	observe("too-early.example");
	connect_policy();
	assert_int_equal(observed, 0);
	observe("mx.a.example");
	some_turns();
	assert_int_equal(observed, 1);
	assert_string_equal(observed_host, "mx.a.example");
	deaf = true;
	connect_policy();
	closed = 0;
	for (i = 0; i < 100000; i++)
		observe("flood.example");
	some_turns();
	ask("one.example");
	channel_resume(policy);
	for (i = 0; i < 1000 && asked == 0; i++)
		some_turns();
	assert_int_equal(asked, 1);
	assert_int_equal(closed, 0);
	assert_in_range(observed, 1000, 99999);
	answer_plan(numbers[0], "still heard");
	assert_int_equal(plans, 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_answers), TEST(test_reverse),
		TEST(test_asked_before_connect), TEST(test_restart),
		TEST(test_replaced), TEST(test_cancel),
		TEST(test_inside_callback), TEST(test_malformed),
		TEST(test_wrong_kind), TEST(test_deadline), TEST(test_freed),
		TEST(test_changes), TEST(test_first_connection_is_no_change),
		TEST(test_freed_with_a_change), TEST(test_observations),
	};
	int status;

	log_init("test", LOG_LEVEL_ERROR);
	loop_init();
	status = cmocka_run_group_tests(tests, NULL, NULL);
	loop_release();
	return status;
}
