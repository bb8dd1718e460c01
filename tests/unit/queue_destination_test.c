/* SPDX-License-Identifier: ISC */
/*
 * destination.c and waiting.c by themselves: who has the next turn, how much a
 * host is given, and that those who fail keep nobody from those who do not.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "conf/conf.h"
#include "queue/destination.h"

enum { ENTRIES_MAX = 20000 };

static struct conf *conf;
static struct destinations *all;
static struct entry *taken[ENTRIES_MAX];	/* by place.id */
static int64_t monotonic;

static int open_with(const char *options)
{
	char *text = mem_print("hostname = mx.test\n%s\n", options);
	char *errors = NULL;

	conf = conf_read("test.conf", text, &errors);
	assert_non_null(conf);
	mem_free(text);
	all = destinations_new(conf, NULL);
	memset(taken, 0, sizeof(taken));
	return 0;
}

static int setup(void **state)
{
	(void)state;
	return open_with("destination-concurrency = 2\nretry-first = 5m");
}

static int setup_many(void **state)
{
	(void)state;
	return open_with("destination-concurrency = 20\nretry-first = 5m");
}

static int teardown(void **state)
{
	(void)state;
	for (size_t i = 0; i < ENTRIES_MAX; i++)
		if (taken[i] != NULL)
			destination_done(all, taken[i]);
	destinations_free(all);
	conf_free(conf);
	return 0;
}

static struct destination *place_of(const char *domain)
{
	return destination_get(all, domain, LANE_COMMON);
}

/* A message of that sender (a number) comes to wait. */
static void add(const char *domain, uint64_t id, uint32_t sender, bool tried)
{
	struct place place = { 1000, id, 0 };

	destination_add(all, destination_group(all, place_of(domain), sender,
	    tried), &place);
}

/* The message that may be tried next, 0 if none may. */
static uint64_t take(void)
{
	struct entry *entry = destinations_take(all, DESTINATION_DELIVERY,
	    monotonic);

	if (entry == NULL)
		return 0;
	assert_true(entry->place.id < ENTRIES_MAX);
	assert_null(taken[entry->place.id]);
	taken[entry->place.id] = entry;
	return entry->place.id;
}

static struct destination *finish(uint64_t id)
{
	struct destination *destination = taken[id]->destination;

	destination_done(all, taken[id]);
	taken[id] = NULL;
	return destination;
}

/* Takes one and ends its job, well. */
static uint64_t pass(void)
{
	uint64_t id = take();

	if (id != 0)
		destination_succeeded(all, finish(id));
	return id;
}

static void host_fails(struct destination *destination, int64_t now)
{
	struct status status;

	status_set(&status, STATUS_DEFERRED, REASON_TIMEOUT, "4.4.2", "slow");
	destination_failed(all, destination, &status, now);
}

/* --- turns --- */

static void test_turns(void **state)
{
	(void)state;
	for (uint64_t id = 1; id <= 4; id++)
		add("one.test", id, 0, false);
	add("two.test", 11, 0, false);
	assert_int_equal(take(), 1);
	assert_int_equal(take(), 11);
	assert_int_equal(take(), 2);
	assert_int_equal(take(), 0);	/* two at once and no more */
	finish(1);
	assert_int_equal(take(), 3);
	assert_int_equal(take(), 0);
	finish(2);
	finish(3);
	assert_int_equal(take(), 4);
}

/* Fresh mail first, but one turn in four is for what waits since long. */
static void test_fresh_first(void **state)
{
	static const uint64_t expected[] = { 1, 2, 3, 101, 4, 5, 102, 0 };

	(void)state;
	for (uint64_t id = 101; id <= 102; id++)
		add("one.test", id, 0, true);
	for (uint64_t id = 1; id <= 5; id++)
		add("one.test", id, 0, false);
	for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++)
		assert_int_equal(pass(), expected[i]);
}

/* Two senders' numbers that do not share a group here. */
static uint32_t other_sender(struct destination *destination, uint32_t than)
{
	struct wait_group *group = destination_group(all, destination, than, false);
	uint32_t number = than;
	unsigned slot = group->slot;

	waiting_drop(&destination->waiting, destinations_room(all), group);
	do {
		group = destination_group(all, destination, ++number, false);
		if (group->slot % WAITING_SENDERS != slot % WAITING_SENDERS)
			slot = UINT32_MAX;
		waiting_drop(&destination->waiting, destinations_room(all),
		    group);
	} while (slot != UINT32_MAX);
	return number;
}

/* 10,000 messages of one sender keep another's one for a turn, no more; of two
 * floods and a trickle each has its third. */
static void test_senders(void **state)
{
	uint32_t quiet = other_sender(place_of("one.test"), 1);
	uint64_t id;
	int before = 0, own = 0;

	(void)state;
	for (id = 1; id <= 10000; id++)
		add("one.test", id, 1, false);
	for (id = 0; id < 100; id++)
		assert_int_not_equal(pass(), 0);
	add("one.test", 10001, quiet, false);
	while (pass() != 10001)
		before++;
	assert_in_range(before, 0, 1);
	for (id = 10002; id <= 10101; id++)
		add("one.test", id, quiet, false);
	for (int i = 0; i < 200; i++)
		own += pass() > 10000;
	assert_in_range(own, 99, 100);
}

/* The same with mail that was tried before; a flood of fresh mail beside it has
 * three turns in four and not more. */
static void test_old_senders(void **state)
{
	uint32_t quiet = other_sender(place_of("one.test"), 1);
	int fresh = 0, flood = 0, own = 0;

	(void)state;
	for (uint64_t id = 1; id <= 1000; id++)
		add("one.test", id, 1, true);
	for (uint64_t id = 1001; id <= 2000; id++)
		add("one.test", id, 1, false);
	for (uint64_t id = 2001; id <= 2010; id++)
		add("one.test", id, quiet, true);
	for (int i = 0; i < 80; i++) {
		uint64_t id = pass();

		fresh += id > 1000 && id <= 2000;
		flood += id <= 1000;
		own += id > 2000;
	}
	assert_int_equal(fresh, 60);
	assert_int_equal(flood, 10);
	assert_int_equal(own, 10);
}

/* One message for 10,000 domains: somebody else's, for a domain of which as
 * little is known, has the second turn. */
static void test_many_domains(void **state)
{
	uint32_t quiet;
	char domain[32];
	int before = 0;

	(void)state;
	for (uint64_t id = 1; id <= 10000; id++) {
		snprintf(domain, sizeof(domain), "d%d.test", (int)id);
		place_of(domain)->fresh = true;
		add(domain, id, 1, false);
	}
	for (int i = 0; i < 50; i++)
		assert_int_not_equal(take(), 0);
	place_of("quiet.test")->fresh = true;
	quiet = other_sender(place_of("quiet.test"), 1);
	add("quiet.test", 10001, quiet, false);
	while (take() != 10001)
		before++;
	assert_in_range(before, 0, 1);
}

/* --- places --- */

/* A host with STARTTLS and the same host with TLS from the first byte are two
 * places, even at one port (N-25); two domains behind one of them are one. */
static void test_places(void **state)
{
	static const char text[] =
	    "route one.test { host = relay.test  port = 465 }\n"
	    "route two.test { host = relay.test  port = 465  "
	    "tls = implicit }\n"
	    "route three.test { host = relay.test  port = 465  "
	    "tls = implicit }\n"
	    "domain local.test { users = \"*\" }\n";
	struct destination *one, *two;

	(void)state;
	open_with(text);
	one = destination_get(all, "one.test", LANE_COMMON);
	two = destination_get(all, "two.test", LANE_COMMON);
	assert_ptr_not_equal(one, two);
	assert_ptr_equal(two, destination_get(all, "three.test", LANE_COMMON));
	assert_ptr_not_equal(two, destination_get(all, "three.test",
	    LANE_OPTIONAL));
	assert_ptr_equal(destination_find(all, "two.test", LANE_OPTIONAL),
	    destination_find(all, "three.test", LANE_OPTIONAL));
	assert_null(destination_find(all, "two.test", LANE_LEVEL + LEVEL_MAY));
	assert_ptr_equal(destination_get(all, "local.test", LANE_COMMON),
	    destination_get(all, "local.test", LANE_REQUIRETLS));
	assert_false(one->next.implicit_tls);
	assert_true(two->next.implicit_tls);
}

/* Stores of mailboxes by their sockets or addresses, in one lane; and a host as
 * somebody who logs in there, apart from the host without. */
static void test_route_places(void **state)
{
	static const char text[] =
	    "route one.test { transport = lmtp  socket = \"/run/a\" }\n"
	    "route two.test { transport = lmtp  socket = \"/run/a\" }\n"
	    "route three.test { transport = lmtp  socket = \"/run/b\" }\n"
	    "route four.test { transport = lmtp  host = relay.test  "
	    "port = 24 }\n"
	    "route five.test { host = relay.test }\n"
	    "route six.test { host = relay.test  level = secure  "
	    "credentials-file = \"/six\" }\n"
	    "route seven.test { host = relay.test  level = secure  "
	    "credentials-file = \"/seven\" }\n"
	    "route eight.test { transport = lmtp  host = relay.test  "
	    "port = 24  tls = implicit }\n"
	    "route nine.test { transport = lmtp  host = relay.test  "
	    "port = 24  level = secure  credentials-file = \"/nine\" }\n"
	    "route .sub.test { host = sub.test  mx = yes }\n";
	static const char *const apart[] = { "one.test", "three.test",
	    "four.test", "five.test", "six.test", "seven.test", "eight.test",
	    "nine.test", "a.sub.test" };
	enum { APART = sizeof(apart) / sizeof(apart[0]) };
	struct destination *places[APART];

	(void)state;
	open_with(text);
	for (size_t i = 0; i < APART; i++) {
		places[i] = destination_get(all, apart[i], LANE_COMMON);
		assert_int_equal(places[i]->kind, DESTINATION_DELIVERY);
		assert_true(places[i]->next.routed);
		assert_null(places[i]->next.route);
		for (size_t k = 0; k < i; k++)
			assert_ptr_not_equal(places[i], places[k]);
	}
	assert_ptr_equal(places[0], destination_get(all, "two.test",
	    LANE_OPTIONAL));
	/* What TLS a message wants may fail where others do not. */
	assert_ptr_not_equal(places[2], destination_get(all, "four.test",
	    LANE_REQUIRETLS));
	/* The domain itself, which no route leads to: a job of its says so. */
	assert_false(destination_get(all, "sub.test", LANE_COMMON)->
	    next.routed);
	assert_true(places[APART - 1]->next.routed);
	assert_ptr_equal(places[APART - 1], destination_get(all, "b.sub.test",
	    LANE_COMMON));
}

/* --- what a host is given --- */

static void note(void *arg, struct destination *destination)
{
	(void)destination;
	++*(int *)arg;
}

static void test_rest(void **state)
{
	struct destination *one = place_of("one.test");
	int64_t until;
	int woken = 0;

	(void)state;
	add("one.test", 1, 0, false);
	host_fails(one, 1000);
	assert_false(destination_is_resting(one, 1000));
	assert_int_equal(one->limit, 1);
	host_fails(one, 1000);
	assert_true(destination_is_resting(one, 1000));
	until = one->rest.due;
	assert_true(until >= 1000 + 270000 && until <= 1000 + 330000);
	/* Late failures of the same moment do not make it longer. */
	host_fails(one, 1000);
	assert_true(one->rest.due == until);
	assert_int_equal(take(), 0);
	assert_true(destinations_wake_due(all, until - 1, note, &woken) ==
	    until);
	assert_int_equal(woken, 0);
	assert_true(destinations_wake_due(all, until, note, &woken) == -1);
	assert_int_equal(woken, 1);
	assert_int_equal(take(), 1);		/* the probe */
	finish(1);
	/* It fails: twice as long. */
	host_fails(one, until);
	assert_true(one->rest.due - until >= 540000);
	destination_succeeded(all, one);
	assert_false(destination_is_resting(one, until));
	assert_int_equal(one->failures, 0);
	/* A host that is well is remembered for an hour. */
	destinations_purge(all, until);
	assert_int_equal(destinations_count(all), 1);
	for (int i = 0; i < 60; i++)
		destinations_purge(all, until);
	assert_int_equal(destinations_count(all), 0);
}

/* A few jobs at first, one more for each success, half for a failure, one for
 * a host that rested; and never more than is configured. */
static void test_limit(void **state)
{
	struct destination *one = place_of("one.test");
	unsigned at_once = 0;
	int woken = 0;

	(void)state;
	for (uint64_t id = 1; id <= 1000; id++)
		add("one.test", id, 0, false);
	while (take() != 0)
		at_once++;
	assert_int_equal(at_once, 4);
	for (unsigned i = 1; i <= 30; i++) {
		destination_succeeded(all, one);
		assert_int_equal(one->limit, i < 16 ? 4 + i : 20);
	}
	while (take() != 0)
		at_once++;
	assert_int_equal(at_once, 20);
	host_fails(one, 0);
	assert_int_equal(one->limit, 10);
	destination_succeeded(all, one);
	assert_int_equal(one->limit, 11);
	host_fails(one, 0);
	host_fails(one, 0);
	assert_true(destination_is_resting(one, 1));
	destinations_wake_due(all, INT64_MAX, note, &woken);
	for (uint64_t id = 1; id <= 20; id++)
		finish(id);
	assert_int_not_equal(take(), 0);
	assert_int_equal(take(), 0);		/* one probe */
	/* Mail of our own domains and what is thrown away know no slow start. */
	destination_wake(all, one);
	assert_int_equal(one->limit, 4);
}

/* Rests of many hosts that died in the same moment end apart: jitter. */
static void test_jitter(void **state)
{
	int64_t least = INT64_MAX, most = 0;
	char domain[32];

	(void)state;
	for (int i = 0; i < 1000; i++) {
		struct destination *one;

		snprintf(domain, sizeof(domain), "d%d.test", i);
		one = place_of(domain);
		host_fails(one, 0);
		host_fails(one, 0);
		least = one->rest.due < least ? one->rest.due : least;
		most = one->rest.due > most ? one->rest.due : most;
	}
	assert_true(least >= 270000 && most <= 330000);
	assert_true(most - least > 50000);
}

/* --- hosts --- */

enum { HOUR = 3600 * 1000, DOMAINS = 1000 };

static void unreachable(struct destination *destination, int64_t now)
{
	struct status status;

	status_set(&status, STATUS_DEFERRED, REASON_CONNECT, "4.4.1", "dead");
	status_set_host(&status, "mx.test", "192.0.2.7");
	destination_failed(all, destination, &status, now);
}

/* What may be tried until then is, in vain; returns how often. */
static int try_until(int64_t *now, int64_t until)
{
	int tries = 0, woken = 0;
	int64_t next;

	while ((next = destinations_wake_due(all, *now, note, &woken)) >= 0) {
		uint64_t id = take();

		if (id == 0) {
			if (next > until)
				break;
			*now = next;
			continue;
		}
		tries++;
		add(taken[id]->destination->next.host, id, 0, true);
		unreachable(finish(id), *now);
	}
	return tries;
}

/* A thousand domains behind one host that is dead: the host is tried as often
 * as for one domain, and when it is back all go on at once. */
static void test_hosts(void **state)
{
	char domain[32];
	int64_t now = 1000;
	int first = 0, day;

	(void)state;
	for (int i = 1; i <= DOMAINS; i++) {
		snprintf(domain, sizeof(domain), "d%d.test", i);
		add(domain, (uint64_t)i, 0, true);
	}
	for (uint64_t id = take(); id != 0; id = take()) {
		first++;
		add(taken[id]->destination->next.host, id, 0, true);
		unreachable(finish(id), now);
	}
	/* Once each, but for those who found out. */
	assert_in_range(first, DOMAINS, DOMAINS + 2);
	day = try_until(&now, 11 * HOUR);
	print_message("tries in 11 hours: %d\n", day);
	assert_in_range(day, 5, 20);
	assert_int_equal(take(), 0);
	destinations_answered(all, "mx.test[192.0.2.8]");
	assert_int_equal(take(), 0);
	destinations_answered(all, "mx.test[192.0.2.7]");
	for (int i = 1; i <= DOMAINS; i++)
		assert_int_not_equal(take(), 0);
}

/* Other domains keep none from its own try for ever: it may have another host.
 * And what fails for its TLS is no host that is dead. */
static void test_own_try(void **state)
{
	struct destination *one = place_of("one.test");
	struct destination *two = place_of("two.test");
	struct destination *three = place_of("three.test");
	int64_t now = 1000;
	int woken = 0;

	(void)state;
	add("one.test", 1, 0, true);
	unreachable(one, now);
	unreachable(one, now);
	while (now < 1000 + 12 * HOUR - 600000) {
		now += 60000;
		unreachable(two, now);
		destinations_wake_due(all, now, note, &woken);
		assert_int_equal(take(), 0);
	}
	destinations_wake_due(all, 1000 + 12 * HOUR, note, &woken);
	assert_int_equal(take(), 1);
	host_fails(three, 1000);
	assert_null(three->host);
	host_fails(one, now);
	assert_null(one->host);
}

/* --- slots --- */

enum { SLOTS = 200 };

static unsigned running(const char *prefix)
{
	unsigned count = 0;

	for (size_t i = 0; i < ENTRIES_MAX; i++)
		count += taken[i] != NULL && strncmp(
		    taken[i]->destination->next.host, prefix,
		    strlen(prefix)) == 0;
	return count;
}

/* A clock that was set back does not make a rest longer. */
static void test_clock_set_back(void **state)
{
	struct destination *one = place_of("one.test");
	const int64_t later = INT64_C(1000) * HOUR;

	(void)state;
	add("one.test", 1, 0, false);
	host_fails(one, later);
	host_fails(one, later);
	assert_true(destination_is_resting(one, HOUR));
	destinations_purge(all, HOUR);
	assert_false(destination_is_resting(one, HOUR));
	assert_int_equal(take(), 1);
	finish(1);
	/* What was known of it is still known. */
	host_fails(one, HOUR);
	assert_true(destination_is_resting(one, HOUR));
	destinations_purge(all, HOUR);
	assert_true(destination_is_resting(one, HOUR));
}

/* All that may be taken, as time goes by and nothing is answered. */
static void take_all(void)
{
	for (int i = 0; i < 600; i++, monotonic += 30000)
		while (take() != 0)
			;
}

/* 1,000 places each of three kinds that never answer: what is well, and what
 * nothing is known of, goes on beside them. */
static void test_slots(void **state)
{
	char domain[32];
	uint64_t id = 1;

	(void)state;
	destinations_set_slots(all, DESTINATION_DELIVERY, SLOTS);
	for (int i = 0; i < 1000; i++) {
		struct destination *dead, *fresh;

		snprintf(domain, sizeof(domain), "dead%d.test", i);
		dead = place_of(domain);
		host_fails(dead, 0);
		add(domain, id++, 1, true);
		snprintf(domain, sizeof(domain), "untried%d.test", i);
		add(domain, id++, 1, false);
		snprintf(domain, sizeof(domain), "fresh%d.test", i);
		fresh = place_of(domain);
		fresh->fresh = true;
		add(domain, id++, 1, false);
	}
	take_all();
	assert_int_equal(running("dead"), SLOTS / 4);
	assert_int_equal(running("dead") + running("untried"), SLOTS / 2);
	assert_int_equal(running("dead") + running("untried") +
	    running("fresh"), SLOTS - SLOTS / 4);
	/* All of them hang. A host that took mail before: */
	destination_succeeded(all, place_of("well.test"));
	for (int i = 0; i < 10; i++)
		add("well.test", id++, 1, false);
	for (int i = 0; i < 5; i++)
		assert_string_equal(taken[take()]->destination->next.host,
		    "well.test");
	/* A slot that becomes free goes to one of those who share it. */
	for (size_t i = 1; i < ENTRIES_MAX; i++) {
		if (taken[i] == NULL || strncmp(
		    taken[i]->destination->next.host, "dead", 4) != 0)
			continue;
		host_fails(finish(i), 0);
		break;
	}
	assert_int_not_equal(take(), 0);
	assert_int_equal(take(), 0);
	assert_in_range(running("dead"), SLOTS / 4 - 1, SLOTS / 4);
}

/* All slots that it may have are taken by places that hang, and thousands of
 * senders' mail waits for more of them: the next but one that becomes free is
 * for who came last. */
static void test_newest(void **state)
{
	char domain[32];
	uint64_t id = 1;
	int freed = 0;

	(void)state;
	destinations_set_slots(all, DESTINATION_DELIVERY, SLOTS);
	for (int i = 0; i < 5000; i++) {
		snprintf(domain, sizeof(domain), "d%d.test", i);
		place_of(domain)->fresh = true;
		add(domain, id++, (uint32_t)i, false);
		if (i == 200)
			take_all();
	}
	place_of("up.test")->fresh = true;
	add("up.test", id, 77777, false);
	assert_int_equal(take(), 0);
	while (taken[id] == NULL) {
		while (taken[++freed] == NULL)
			;
		host_fails(finish((uint64_t)freed), 0);
		take();
		assert_in_range(freed, 1, 300);
		if (taken[id] != NULL)
			break;
	}
	assert_int_equal(running("d"), SLOTS - SLOTS / 4 - 1);
	assert_in_range(freed, 1, 10);
}

/* Ten thousand hosts that hang, each try for 30 s: what comes for another that
 * nothing is known of has a slot within a second or so at any time. */
static void test_pace(void **state)
{
	int64_t started[ENTRIES_MAX] = { 0 }, came = -1, longest = 0;
	uint64_t id = 1, up = 0, one;
	char domain[32];
	unsigned most = 0;

	(void)state;
	destinations_set_slots(all, DESTINATION_DELIVERY, 200);
	for (; id <= 10000; id++) {
		snprintf(domain, sizeof(domain), "hangs%u.test", (unsigned)id);
		place_of(domain)->fresh = true;
		add(domain, id, (uint32_t)id, false);
	}
	for (int64_t end = monotonic + 100000; monotonic < end;
	    monotonic += 50) {
		for (one = 1; one <= 10000; one++)
			if (taken[one] != NULL &&
			    monotonic - started[one] >= 30000)
				host_fails(finish(one), monotonic);
		if (up == 0) {
			up = id++;
			came = monotonic;
			snprintf(domain, sizeof(domain), "up%u.test",
			    (unsigned)up);
			place_of(domain)->fresh = true;
			add(domain, up, (uint32_t)up, false);
		}
		while ((one = take()) != 0) {
			started[one] = monotonic;
			if (one != up)
				continue;
			if (monotonic - came > longest)
				longest = monotonic - came;
			destination_succeeded(all, finish(up));
			up = 0;
			break;
		}
		assert_true(up == 0 || destinations_pace(all,
		    DESTINATION_DELIVERY, monotonic) > 0);
		if (running("hangs") > most)
			most = running("hangs");
	}
	assert_in_range(longest, 0, 1500);
	/* And those that hang still have most of what they may. */
	assert_in_range(most, 75, 140);
}

/* Hosts that answer after some seconds have more than those that hang. */
static void test_pace_of_slow(void **state)
{
	int64_t started[ENTRIES_MAX] = { 0 };
	unsigned answered = 0;
	char domain[32];
	uint64_t one;

	(void)state;
	destinations_set_slots(all, DESTINATION_DELIVERY, 200);
	for (uint64_t id = 1; id <= 10000; id++) {
		snprintf(domain, sizeof(domain), "slow%u.test", (unsigned)id);
		place_of(domain)->fresh = true;
		add(domain, id, (uint32_t)id, false);
	}
	for (int64_t end = monotonic + 60000; monotonic < end;
	    monotonic += 50) {
		for (one = 1; one <= 10000; one++) {
			if (taken[one] == NULL ||
			    monotonic - started[one] < 3000)
				continue;
			destination_succeeded(all, taken[one]->destination);
			finish(one);
			answered++;
		}
		while ((one = take()) != 0)
			started[one] = monotonic;
	}
	/* All slots at all times: 3,000. */
	assert_in_range(answered, 1800, 3000);
}

/* With one slot everybody has a turn. */
static void test_one_slot(void **state)
{
	uint64_t id;

	(void)state;
	destinations_set_slots(all, DESTINATION_DELIVERY, 1);
	host_fails(place_of("dead.test"), 0);
	add("dead.test", 1, 0, true);
	add("untried.test", 2, 0, false);
	destination_succeeded(all, place_of("well.test"));
	add("well.test", 3, 0, false);
	for (int i = 0; i < 3; i++) {
		id = take();
		assert_int_not_equal(id, 0);
		assert_int_equal(take(), 0);
		finish(id);
	}
}

/* --- the room --- */

static bool is_odd(void *arg, const struct place *place)
{
	(void)arg;
	return place->id % 2 == 1;
}

/* Sifting keeps the order; what is empty is gone. */
static void test_room(void **state)
{
	struct destination *one = place_of("one.test");
	struct room *room = destinations_room(all);

	(void)state;
	for (uint64_t id = 1; id <= 9999; id++)
		add("one.test", id, 7, false);
	assert_int_equal(room_waiters(room), 9999);
	assert_int_equal(room_groups(room), 1);
	destination_sift(all, destination_group(all, one, 7, false), is_odd,
	    NULL);
	assert_int_equal(one->waiting.count, 4999);
	for (uint64_t id = 2; id <= 9998; id += 2)
		assert_int_equal(pass(), id);
	assert_int_equal(pass(), 0);
	assert_int_equal(room_waiters(room), 0);
	assert_int_equal(room_groups(room), 0);
	for (uint64_t id = 1; id <= 5; id++)
		add("one.test", id, 7, true);
	destination_clear(all, one);
	assert_int_equal(room_groups(room), 0);
	assert_int_equal(take(), 0);
}

/* The fewer groups there are, the more senders share one. */
static void test_merge(void **state)
{
	struct destination *one = place_of("one.test");
	struct room *room = destinations_room(all);
	size_t least = SIZE_MAX;

	(void)state;
	for (int step = 0; step <= 4; step++) {
		for (uint64_t id = 1; id <= 2000; id++)
			add("one.test", id, (uint32_t)id, false);
		assert_true(room_groups(room) < least);
		least = room_groups(room);
		destination_clear(all, one);
		if (step < 4) {
			assert_true(destinations_may_merge(all));
			destinations_merge_groups(all);
		}
	}
	assert_int_equal(least, 1);
	assert_false(destinations_may_merge(all));
	destinations_configure(all, conf);
	assert_true(destinations_may_merge(all));
}

int main(void)
{
#define TEST(f, s) cmocka_unit_test_setup_teardown(f, s, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_turns, setup),
		TEST(test_fresh_first, setup),
		TEST(test_senders, setup),
		TEST(test_old_senders, setup),
		TEST(test_many_domains, setup_many),
		TEST(test_places, NULL),
		TEST(test_route_places, NULL),
		TEST(test_rest, setup),
		TEST(test_limit, setup_many),
		TEST(test_jitter, setup),
		TEST(test_hosts, setup),
		TEST(test_own_try, setup),
		TEST(test_clock_set_back, setup),
		TEST(test_slots, setup_many),
		TEST(test_newest, setup_many),
		TEST(test_pace, setup_many),
		TEST(test_pace_of_slow, setup_many),
		TEST(test_one_slot, setup_many),
		TEST(test_room, setup),
		TEST(test_merge, setup),
	};

	log_init("test", LOG_LEVEL_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
