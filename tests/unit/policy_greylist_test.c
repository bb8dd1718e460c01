/* SPDX-License-Identifier: ISC */
/*
 * policy/greylist.c with its ledger on a real directory and a clock that the
 * test plays: who waits for how long, who is known, what a restart, damage, a
 * clock that was set and a flood leave of it.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/net.h"
#include "conf/conf.h"
#include "policy/client.h"
#include "policy/greylist.h"
#include "policy/ledger.h"
#include "policy/store.h"
#include "tests/fake_disk.h"
#include "tests/fake_time.h"
#include "tests/scratch.h"
#include "tests/unit/base_child.h"

static char home[64];
static struct ledger *ledger;
static struct greylist *greylist;
static struct conf conf;

/* --- life --- */

static void start(const char *directory)
{
	ledger = ledger_new(directory);
	greylist = greylist_new(ledger);
	greylist_configure(greylist, &conf);
	ledger_open(ledger);
}

static void stop(void)
{
	greylist_free(greylist);
	ledger_free(ledger);
	assert_int_equal(fake_time_timers(), 0);
}

static void restart(void)
{
	stop();
	start(home);
}

static int set_up(void **state)
{
	(void)state;
	fake_disk = (struct fake_disk){ .skips_sync = true };
	fake_time_begin();
	conf = (struct conf){ .greylist_delay = 300,
	    .greylist_window = 2 * 86400, .greylist_keep = 36 * 86400,
	    .network_ipv4 = 24, .network_ipv6 = 48 };
	if (scratch_make(home, sizeof(home), "greylist") == -1)
		return -1;
	start(home);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	stop();
	return scratch_remove(home);
}

/* --- asking --- */

static int64_t ask_about(const char *from, const char *sender,
    const char *recipient, bool look_only)
{
	struct endpoint client;
	const struct policy_greylist_question question = { .client = &client,
	    .sender = sender, .recipient = recipient,
	    .look_only = look_only };

	assert_int_equal(0, endpoint_parse(&client, from, 25));
	return greylist_ask(greylist, &question);
}

static int64_t ask(const char *from, const char *sender,
    const char *recipient)
{
	return ask_about(from, sender, recipient, false);
}

/* The usual one. */
static int64_t come(void)
{
	return ask("192.0.2.7", "a@x.example", "b@us.example");
}

static int64_t look(void)
{
	return ask_about("192.0.2.7", "a@x.example", "b@us.example", true);
}

static void expect_counts(size_t waiting, size_t known)
{
	assert_int_equal(greylist_count(greylist, false), waiting);
	assert_int_equal(greylist_count(greylist, true), known);
}

/* --- times --- */

static void test_delay(void **state)
{
	(void)state;
	assert_int_equal(come(), 300);
	fake_time_pass(SECONDS(100));
	/* Who comes too soon waits no longer for it. */
	assert_int_equal(come(), 200);
	fake_time_pass(SECONDS(199) + 1);
	assert_int_equal(come(), 1);
	expect_counts(1, 0);
	fake_time_pass(999);
	assert_int_equal(come(), 0);
	expect_counts(0, 1);
	assert_int_equal(come(), 0);
}

static void test_window(void **state)
{
	(void)state;
	come();
	fake_time_pass(DAYS(2));
	assert_int_equal(look(), 0);
	fake_time_pass(SECONDS(1));
	assert_int_equal(look(), 300);
	assert_int_equal(come(), 300);
	fake_time_pass(SECONDS(300));
	assert_int_equal(come(), 0);
}

static void test_keep(void **state)
{
	int i;

	(void)state;
	come();
	fake_time_pass(SECONDS(300));
	come();
	/* Each time it begins again. */
	for (i = 0; i < 4; i++) {
		fake_time_pass(DAYS(35));
		assert_int_equal(come(), 0);
	}
	fake_time_pass(DAYS(36));
	assert_int_equal(look(), 0);
	fake_time_pass(SECONDS(1));
	assert_int_equal(come(), 300);
}

/* What is over goes by itself, and so does the timer. */
static void test_expiry(void **state)
{
	char sender[40];
	int i;

	(void)state;
	for (i = 0; i < 900; i++) {
		snprintf(sender, sizeof(sender), "%d@x.example", i);
		ask("192.0.2.7", sender, "b@us.example");
		ask("198.51.100.7", sender, "b@us.example");
		ask("203.0.113.7", sender, "b@us.example");
	}
	expect_counts(2700, 0);
	fake_time_pass(DAYS(2) + MINUTES(3));
	expect_counts(0, 0);
	assert_int_equal(fake_time_timers(), 0);
	come();
	fake_time_pass(SECONDS(300));
	come();
	fake_time_pass(DAYS(36) + MINUTES(3));
	expect_counts(0, 0);
	restart();
	expect_counts(0, 0);
}

static void test_look_only(void **state)
{
	(void)state;
	assert_int_equal(look(), 300);
	expect_counts(0, 0);
	come();
	fake_time_pass(SECONDS(300));
	assert_int_equal(look(), 0);
	expect_counts(1, 0);
	come();
	fake_time_pass(DAYS(30));
	assert_int_equal(look(), 0);
	fake_time_pass(DAYS(6) + SECONDS(1));
	assert_int_equal(look(), 300);
}

/* --- who is who --- */

static void test_known(void **state)
{
	static const struct {
		const char	*from, *sender, *recipient;
		int64_t		 wait;
	} cases[] = {
		/* The network and the sender's domain are known, */
		{ "192.0.2.200", "a@x.example", "b@us.example", 0 },
		{ "192.0.2.200", "other@X.example", "c@us.example", 0 },
		{ "192.0.2.7", "bounce-17-b=us@x.example", "b@us.example", 0 },
		/* ... nobody else is, */
		{ "192.0.3.7", "a@x.example", "b@us.example", 300 },
		{ "192.0.2.7", "a@sub.x.example", "b@us.example", 300 },
		{ "192.0.2.7", "", "b@us.example", 300 },
		{ "192.0.2.7", "x.example", "b@us.example", 300 },
		{ "2001:db8::7", "a@x.example", "b@us.example", 300 },
		{ "::ffff:192.0.2.9", "a@x.example", "b@us.example", 0 },
	};
	size_t i;

	(void)state;
	come();
	fake_time_pass(SECONDS(300));
	assert_int_equal(ask("192.0.2.9", "A@x.EXAMPLE", "B@us.example"), 0);
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (ask_about(cases[i].from, cases[i].sender,
		    cases[i].recipient, true) != cases[i].wait)
			fail_msg("%s <%s> <%s>", cases[i].from,
			    cases[i].sender, cases[i].recipient);
}

/* Another sender or recipient is another one who waits. */
static void test_waiting(void **state)
{
	(void)state;
	come();
	fake_time_pass(SECONDS(200));
	assert_int_equal(ask("192.0.2.7", "c@x.example", "b@us.example"), 300);
	assert_int_equal(ask("192.0.2.7", "a@x.example", "c@us.example"), 300);
	assert_int_equal(ask("192.0.2.7", "", "c@us.example"), 300);
	expect_counts(4, 0);
	fake_time_pass(SECONDS(100));
	assert_int_equal(come(), 0);
	expect_counts(3, 1);
}

static void test_networks(void **state)
{
	(void)state;
	conf.network_ipv4 = 20;
	conf.network_ipv6 = 33;
	greylist_configure(greylist, &conf);
	come();
	ask("2001:db8:7fff::1", "a@x.example", "b@us.example");
	fake_time_pass(SECONDS(300));
	assert_int_equal(ask("192.0.15.1", "a@x.example", "b@us.example"), 0);
	assert_int_equal(ask("192.0.16.1", "a@x.example", "b@us.example"),
	    300);
	assert_int_equal(ask("2001:db8::1", "a@x.example", "b@us.example"), 0);
	assert_int_equal(ask("2001:db8:8000::1", "a@x.example",
	    "b@us.example"), 300);
}

/* Names longer than any address are cut, never more. */
static void test_long(void **state)
{
	static char sender[5000], recipient[5000];

	(void)state;
	memset(sender, 's', sizeof(sender) - 1);
	memset(recipient, 'r', sizeof(recipient) - 1);
	assert_int_equal(ask("2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", sender,
	    recipient), 300);
	fake_time_pass(SECONDS(300));
	restart();
	assert_int_equal(ask("2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", sender,
	    recipient), 0);
}

/* A window that is over before the delay is would let nobody in. */
static void test_window_within_delay(void **state)
{
	(void)state;
	conf.greylist_delay = 3600;
	conf.greylist_window = 60;
	greylist_configure(greylist, &conf);
	assert_int_equal(come(), 3600);
	fake_time_pass(HOURS(1));
	assert_int_equal(come(), 0);
}

/* --- restarts and clocks --- */

static void test_restart(void **state)
{
	(void)state;
	come();
	fake_time_pass(SECONDS(100));
	restart();
	assert_int_equal(come(), 200);
	fake_time_pass(SECONDS(200));
	assert_int_equal(come(), 0);
	restart();
	expect_counts(0, 1);
	assert_int_equal(come(), 0);
	/* That it came is on the disk, too, once in some hours. */
	fake_time_pass(DAYS(30));
	come();
	restart();
	fake_time_pass(DAYS(35));
	assert_int_equal(look(), 0);
	/* What is over while nobody runs goes at the start. */
	stop();
	fake_time_pass(DAYS(2));
	start(home);
	expect_counts(0, 1);
	assert_int_equal(look(), 300);
	fake_time_pass(MINUTES(2));
	expect_counts(0, 0);
	restart();
	expect_counts(0, 0);
}

static void test_clock(void **state)
{
	(void)state;
	come();
	/* Set back by a year: from now on, as if it had come just now. */
	fake_time_set_wall(-DAYS(365));
	assert_int_equal(come(), 300);
	fake_time_pass(SECONDS(300));
	assert_int_equal(come(), 0);
	fake_time_set_wall(-DAYS(365));
	assert_int_equal(come(), 0);
	restart();
	fake_time_pass(DAYS(35));
	assert_int_equal(come(), 0);
	fake_time_set_wall(DAYS(1000));
	assert_int_equal(come(), 300);
}

static void put_row(const char *key, const void *value, size_t length)
{
	struct policy_store *store;
	char path[80];

	snprintf(path, sizeof(path), "%s/ledger", home);
	store = policy_store_open(path);
	assert_int_equal(0, policy_store_put(store, key, value, length));
	policy_store_close(store);
}

static void test_hostile_rows(void **state)
{
	static const uint8_t good[17] = { 1 }, other[17] = { 2 };
	static const char *const keys[] = { "greylist:", "greylist:x",
	    "greylist:k", "greylist:k192.0.2.0/24", "greylist:w192.0.2.0/24",
	    "greylist:k192.0.2.0/24\nx.example\nmore",
	    "greylist:w192.0.2.0/24\na@x.example",
	    "greylist:w192.0.2.0/24\na@x.example\nb@us.example\nc" };
	uint8_t ahead[17] = { 1 };
	size_t i;

	(void)state;
	come();
	stop();
	for (i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		put_row(keys[i], good, sizeof(good));
	for (i = 0; i < sizeof(good); i++)
		put_row("greylist:k192.0.2.0/24\nshort.example", good, i);
	put_row("greylist:k192.0.2.0/24\nversion.example", other,
	    sizeof(other));
	memset(ahead + 1, 0xff, 16);
	put_row("greylist:k192.0.2.0/24\nahead.example", ahead,
	    sizeof(ahead));
	start(home);
	/* The one from the future is of now. */
	expect_counts(1, 1);
	assert_int_equal(ask("192.0.2.7", "a@ahead.example", "b@us.example"),
	    0);
	fake_time_pass(SECONDS(300));
	assert_int_equal(come(), 0);
	restart();
	expect_counts(0, 2);
}

/* libdb leaves memory behind when the disk is full: in a child. */
static void run_full_disk(void)
{
	start(home);
	come();
	fake_disk.is_full = true;
	fake_time_pass(SECONDS(300));
	if (come() != 0)
		_exit(2);
	fake_time_pass(MINUTES(2));
	fake_disk.is_full = false;
	fake_time_pass(MINUTES(3));
	_exit(greylist_count(greylist, true) == 1 ? 0 : 3);
}

/* What the disk does not take is known all the same, and written later. */
static void test_full_disk(void **state)
{
	char said[4096];

	(void)state;
	stop();
	assert_int_equal(0, run_child(run_full_disk, said, sizeof(said)));
	start(home);
	expect_counts(0, 1);
}

/* --- floods --- */

/* One network pushes out its own rows, oldest first, and nobody else's. */
static void test_network_flood(void **state)
{
	char sender[40];
	int i;

	(void)state;
	come();
	for (i = 0; i < 3 * GREYLIST_NETWORK_MAX; i++) {
		snprintf(sender, sizeof(sender), "%d@x.example", i);
		ask("198.51.100.7", sender, "b@us.example");
		fake_time_pass(1);
	}
	expect_counts(1 + GREYLIST_NETWORK_MAX, 0);
	assert_int_equal(ask_about("198.51.100.7", "2048@x.example",
	    "b@us.example", true), 299);
	assert_int_equal(ask_about("198.51.100.7", "2047@x.example",
	    "b@us.example", true), 300);
	fake_time_pass(SECONDS(300));
	assert_int_equal(come(), 0);
	/* Of known rows, who came last stays. */
	for (i = 0; i <= GREYLIST_NETWORK_MAX; i++) {
		snprintf(sender, sizeof(sender), "a@%d.example", i);
		ask("192.0.2.7", sender, "b@us.example");
		fake_time_pass(SECONDS(300));
		assert_int_equal(come(), 0);
		assert_int_equal(ask("192.0.2.7", sender, "b@us.example"), 0);
	}
	assert_int_equal(look(), 0);
	assert_int_equal(greylist_count(greylist, true), GREYLIST_NETWORK_MAX);
}

/* All networks together, too: the newest stay. */
static void test_flood(void **state)
{
	char from[32], sender[40];
	unsigned i, k;

	(void)state;
	stop();
	start("");
	come();
	for (i = 0; i < 33; i++) {
		snprintf(from, sizeof(from), "10.0.%u.1", i);
		for (k = 0; k < 1000; k++) {
			snprintf(sender, sizeof(sender), "a@%u.example", k);
			ask(from, sender, "b@us.example");
		}
		fake_time_pass(1);
	}
	expect_counts(GREYLIST_WAITING_MAX, 0);
	assert_int_equal(look(), 300);
	fake_time_pass(SECONDS(299));
	assert_int_equal(ask_about("10.0.32.1", "a@999.example",
	    "b@us.example", true), 1);
	assert_int_equal(ask_about("10.0.0.1", "a@0.example", "b@us.example",
	    true), 300);
}

/* --- operators --- */

static char listed[1000];

static void add_entry(void *arg, const char *key)
{
	struct greylist_entry entry;
	size_t used = strlen(listed);

	(void)arg;
	if (!greylist_find(greylist, key, &entry))
		return;
	snprintf(listed + used, sizeof(listed) - used, "%s %s %s %s; ",
	    entry.known ? "known" : "waiting", entry.network, entry.sender,
	    entry.recipient);
	assert_true(entry.first <= entry.last && entry.last <= clock_wall());
}

static void expect_listed(const char *one, const char *other)
{
	uint64_t cursor = 0;

	listed[0] = '\0';
	do
		cursor = greylist_scan(greylist, cursor, add_entry, NULL);
	while (cursor != 0);
	if (strstr(listed, one) == NULL || strstr(listed, other) == NULL ||
	    strlen(listed) != strlen(one) + strlen(other))
		fail_msg("%s", listed);
}

static void test_list(void **state)
{
	(void)state;
	expect_listed("", "");
	come();
	fake_time_pass(SECONDS(300));
	come();
	ask("2001:db8::7", "", "b@us.example");
	expect_listed("known 192.0.2.0/24 x.example ; ",
	    "waiting 2001:db8::/48  b@us.example; ");
}

static void test_forget(void **state)
{
	static const struct { const char *name; size_t count; } cases[] = {
		{ "", 0 }, { "other.example", 0 }, { "192.0.9.1", 0 },
		{ "b@us.example", 1 }, { "y.example", 1 },
		{ "A@Z.example", 1 }, { "192.0.2.9", 1 },
		{ "2001:db8::/48", 1 },
	};
	size_t i;

	(void)state;
	come();
	fake_time_pass(SECONDS(300));
	come();
	ask("198.51.100.7", "a@t.example", "b@us.example");
	ask("198.51.100.7", "a@y.example", "c@us.example");
	ask("198.51.100.7", "a@z.example", "c@us.example");
	ask("2001:db8::7", "", "c@us.example");
	expect_counts(4, 1);
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (greylist_forget(greylist, cases[i].name) !=
		    cases[i].count)
			fail_msg("%s", cases[i].name);
	expect_counts(0, 0);
	restart();
	expect_counts(0, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_delay), TEST(test_window), TEST(test_keep),
		TEST(test_expiry), TEST(test_look_only), TEST(test_known),
		TEST(test_waiting), TEST(test_networks), TEST(test_long),
		TEST(test_window_within_delay), TEST(test_restart),
		TEST(test_clock), TEST(test_hostile_rows),
		TEST(test_full_disk), TEST(test_network_flood),
		TEST(test_flood), TEST(test_list), TEST(test_forget),
	};

	log_init("test", LOG_LEVEL_FATAL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
