/* SPDX-License-Identifier: ISC */
/*
 * policy/exception.c with its ledger on a real directory and a clock that the
 * test plays: which exception is in force for whom and until when, whatever
 * the clocks and the disk do. An exception is the administrator's override of
 * H-01 and H-06.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/log.h"
#include "policy/exception.h"
#include "policy/ledger.h"
#include "policy/store.h"
#include "tests/fake_disk.h"
#include "tests/fake_time.h"
#include "tests/scratch.h"
#include "tests/unit/base_child.h"

static char home[64];
static struct ledger *ledger;
static struct exceptions *exceptions;

/* --- what is told --- */

static struct {
	unsigned	 count;
	char		 text[4096];	/* patterns, each with a blank */
} told;

static void on_change(void *arg, const char *pattern)
{
	size_t used = strlen(told.text);

	assert_ptr_equal(arg, &told);
	told.count++;
	snprintf(told.text + used, sizeof(told.text) - used, "%s ", pattern);
}

static void expect_told(const char *patterns)
{
	assert_string_equal(told.text, patterns);
	memset(&told, 0, sizeof(told));
}

/* --- life --- */

static void start(const char *directory)
{
	ledger = ledger_new(directory);
	exceptions = exceptions_new(ledger, on_change, &told);
	ledger_open(ledger);
}

static void stop(void)
{
	exceptions_free(exceptions);
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
	memset(&told, 0, sizeof(told));
	fake_time_begin();
	if (scratch_make(home, sizeof(home), "exception") == -1)
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

/* --- making some --- */

static struct exception wanted(const char *pattern, int64_t length)
{
	struct exception about = { .level = LEVEL_MAY,
	    .reason = "ticket 41", .author = "root (uid 0)" };

	snprintf(about.pattern, sizeof(about.pattern), "%s", pattern);
	about.until = clock_wall() + length;
	return about;
}

static uint64_t add(const char *pattern, int64_t length)
{
	struct exception about = wanted(pattern, length), made;
	const char *problem = exceptions_add(exceptions, &about, &made);

	if (problem != NULL)
		fail_msg("%s: %s", pattern, problem);
	assert_int_equal(made.made, clock_wall());
	assert_int_equal(made.until, about.until);
	return made.id;
}

/* The id of the one in force, or 0. */
static uint64_t find(const char *domain)
{
	const struct exception *found = exceptions_find(exceptions, domain);

	return found == NULL ? 0 : found->id;
}

static void add_id(void *arg, const struct exception *exception)
{
	size_t used = strlen(arg);

	snprintf((char *)arg + used, 200 - used, "%u ",
	    (unsigned)exception->id);
}

static void expect_ids(const char *ids)
{
	char text[200] = "";

	exceptions_page(exceptions, 0, EXCEPTIONS_MAX, add_id, text);
	assert_string_equal(text, ids);
}

/* --- what is one --- */

static void test_refused(void **state)
{
	static const struct {
		const char	*pattern;
		enum conf_level	 level;
		const char	*reason, *author;
		int64_t		 length;
		const char	*says;
	} cases[] = {
		{ "*", LEVEL_MAY, "r", "a", HOURS(1), "one destination" },
		{ "", LEVEL_MAY, "r", "a", HOURS(1), "one destination" },
		{ ".", LEVEL_MAY, "r", "a", HOURS(1), "one destination" },
		{ "*.", LEVEL_MAY, "r", "a", HOURS(1), "domain name" },
		{ "a..b", LEVEL_MAY, "r", "a", HOURS(1), "domain name" },
		{ "a b", LEVEL_MAY, "r", "a", HOURS(1), "domain name" },
		{ "ex*.org", LEVEL_MAY, "r", "a", HOURS(1), "domain name" },
		{ "[1.2.3]", LEVEL_MAY, "r", "a", HOURS(1), "domain name" },
		{ "a.example", LEVEL_AUTO, "r", "a", HOURS(1), "level" },
		{ "a.example", LEVEL_STRICT, "r", "a", HOURS(1), "level" },
		{ "a.example", LEVEL_COUNT, "r", "a", HOURS(1), "level" },
		{ "a.example", LEVEL_MAY, "", "a", HOURS(1), "reason" },
		{ "a.example", LEVEL_MAY, "r\n", "a", HOURS(1), "reason" },
		{ "a.example", LEVEL_MAY, "r\xc3", "a", HOURS(1), "reason" },
		{ "a.example", LEVEL_MAY, "\xc0\xaf", "a", HOURS(1),
		    "reason" },
		{ "a.example", LEVEL_MAY, "\xed\xa0\x80", "a", HOURS(1),
		    "reason" },
		{ "a.example", LEVEL_MAY, "\xe2\x82", "a", HOURS(1),
		    "reason" },
		{ "a.example", LEVEL_MAY, "\xf4\x90\x80\x80", "a", HOURS(1),
		    "reason" },
		{ "a.example", LEVEL_MAY, "\xc2\x9b" "2J", "a", HOURS(1),
		    "reason" },
		{ "a.example", LEVEL_MAY, "r", "", HOURS(1), "author" },
		{ "a.example", LEVEL_MAY, "r", "a\x1b", HOURS(1), "author" },
		{ "a.example", LEVEL_MAY, "r", "a", 0, "already" },
		{ "a.example", LEVEL_MAY, "r", "a", -HOURS(1), "already" },
		{ "a.example", LEVEL_MAY, "r", "a", DAYS(90) + 1, "90 days" },
	};
	struct exception about, made;
	const char *problem;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		about = wanted(cases[i].pattern, cases[i].length);
		about.level = cases[i].level;
		snprintf(about.reason, sizeof(about.reason), "%s",
		    cases[i].reason);
		snprintf(about.author, sizeof(about.author), "%s",
		    cases[i].author);
		problem = exceptions_add(exceptions, &about, &made);
		if (problem == NULL || strstr(problem, cases[i].says) == NULL)
			fail_msg("case %zu: %s", i, problem);
	}
	expect_ids("");
	expect_told("");
	add("a.example", DAYS(90));
	expect_told("a.example ");
	about = wanted("b.example", HOURS(1));
	snprintf(about.reason, sizeof(about.reason), "%s",
	    "\xc3\x9c \xe2\x82\xac \xf0\x9f\x90\x98");
	assert_null(exceptions_add(exceptions, &about, &made));
	expect_told("b.example ");
}

static void test_whole(void **state)
{
	struct exception about = wanted("*.EXAMPLE.org.", HOURS(72)), made;
	const struct exception *found;

	(void)state;
	about.level = LEVEL_ENCRYPT;
	about.id = 77;
	about.uses = 5;
	about.made = 1;
	assert_null(exceptions_add(exceptions, &about, &made));
	restart();
	found = exceptions_find(exceptions, "mail.example.org");
	assert_non_null(found);
	assert_memory_equal(found, &made, sizeof(made));
	assert_int_equal(found->id, 1);
	assert_string_equal(found->pattern, ".example.org");
	assert_int_equal(found->level, LEVEL_ENCRYPT);
	assert_string_equal(found->reason, "ticket 41");
	assert_string_equal(found->author, "root (uid 0)");
	assert_int_equal(found->made, clock_wall());
	assert_int_equal(found->until, clock_wall() + HOURS(72));
	assert_int_equal(found->uses, 0);
	assert_int_equal(found->used, 0);
}

static void test_idn(void **state)
{
	(void)state;
	add("b\xc3\xbc" "cher.example", HOURS(1));
	assert_int_equal(find("xn--bcher-kva.example"), 1);
	assert_int_equal(find("bcher.example"), 0);
}

/* --- whose it is --- */

static void test_find(void **state)
{
	static const struct { const char *domain; uint64_t id; } cases[] = {
		{ "example.org", 1 }, { "EXAMPLE.ORG", 1 },
		{ "example.org.", 1 }, { "a.example.org", 2 },
		{ "b.a.example.org", 3 }, { "c.b.a.example.org", 3 },
		{ "x.c.b.a.example.org", 3 }, { "exact.a.example.org", 4 },
		{ "org", 0 }, { "notexample.org", 0 },
		{ "example.org.uk", 0 }, { "", 0 }, { ".", 0 },
		{ ".example.org", 0 }, { "*.example.org", 0 },
		{ "[192.0.2.1]", 5 }, { "[192.0.2.2]", 0 },
		{ "[192.0.2.1].example.org", 0 },
		{ "not a name.example.org", 0 },
	};
	size_t i;

	(void)state;
	add("example.org", HOURS(1));
	add(".example.org", HOURS(2));
	add("*.a.example.org", HOURS(3));
	add("exact.a.example.org", HOURS(1));	/* before the patterns */
	add("[192.0.2.1]", HOURS(1));
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (find(cases[i].domain) != cases[i].id)
			fail_msg("%s: %u", cases[i].domain,
			    (unsigned)find(cases[i].domain));
	/* The one that ends last, also of two patterns. */
	add(".example.org", HOURS(9));
	assert_int_equal(find("b.a.example.org"), 6);
	add("example.org", HOURS(5));
	add("example.org", HOURS(4));
	assert_int_equal(find("example.org"), 7);
	fake_time_pass(HOURS(5));
	assert_int_equal(find("example.org"), 0);
	assert_int_equal(find("a.example.org"), 6);
	expect_ids("6 ");
}

/* --- until when --- */

/* Ended by the clock, and told, while nobody asks. */
static void test_ends(void **state)
{
	(void)state;
	add("a.example", HOURS(2));
	add("b.example", HOURS(1));
	expect_told("a.example b.example ");
	fake_time_pass(HOURS(1) - 1);
	expect_told("");
	assert_int_equal(find("b.example"), 2);
	fake_time_pass(1);
	expect_told("b.example ");
	assert_int_equal(find("b.example"), 0);
	restart();
	expect_ids("1 ");
	fake_time_pass(HOURS(1));
	expect_told("a.example ");
	expect_ids("");
	assert_int_equal(fake_time_timers(), 1);	/* the row's deletion */
	fake_time_pass(SECONDS(2));
	assert_int_equal(fake_time_timers(), 0);
}

/* It ran out while the role was away. */
static void test_ended_at_start(void **state)
{
	(void)state;
	add("a.example", HOURS(2));
	stop();
	fake_time_pass(HOURS(2));
	start(home);
	assert_int_equal(find("a.example"), 0);
	expect_ids("");
	fake_time_pass(SECONDS(3));
	restart();
	expect_ids("");
}

/* "Until Friday": it is Friday when the wall clock says so; within a minute
 * plans hear of it. */
static void test_clock_set_forward(void **state)
{
	(void)state;
	add("a.example", HOURS(48));
	expect_told("a.example ");
	fake_time_set_wall(HOURS(49));
	assert_int_equal(find("a.example"), 0);
	expect_ids("");
	expect_told("");
	fake_time_pass(MINUTES(1));
	expect_told("a.example ");
}

/* A clock that is set back does not lengthen it. */
static void test_clock_set_back(void **state)
{
	(void)state;
	add("a.example", HOURS(2));
	expect_told("a.example ");
	fake_time_pass(HOURS(1));
	fake_time_set_wall(-DAYS(30));
	assert_int_equal(find("a.example"), 1);
	fake_time_pass(HOURS(1) - SECONDS(1));
	assert_int_equal(find("a.example"), 1);
	fake_time_pass(SECONDS(1));
	assert_int_equal(find("a.example"), 0);
	expect_told("a.example ");
}

/* Set back over a restart: for no longer than it was made for; and when the
 * clock is right again, as it was said. */
static void test_starts_in_the_past(void **state)
{
	(void)state;
	add("a.example", HOURS(2));
	add("b.example", HOURS(72));
	stop();
	fake_time_set_wall(-DAYS(20000));
	fake_time_set_monotonic(SECONDS(20));
	start(home);
	assert_int_equal(find("a.example"), 1);
	fake_time_pass(HOURS(2) - SECONDS(1));
	assert_int_equal(find("a.example"), 1);
	fake_time_pass(SECONDS(1));
	assert_int_equal(find("a.example"), 0);
	assert_int_equal(find("b.example"), 2);
	fake_time_set_wall(DAYS(20000));
	assert_int_equal(find("b.example"), 2);
	fake_time_pass(HOURS(70) - SECONDS(1));
	assert_int_equal(find("b.example"), 2);
	fake_time_pass(SECONDS(1));
	assert_int_equal(find("b.example"), 0);
}

/* --- by an operator's word --- */

static void test_revoked(void **state)
{
	struct exception revoked;
	uint64_t id = add("a.example", HOURS(2));

	(void)state;
	add("b.example", HOURS(1));
	expect_told("a.example b.example ");
	assert_false(exceptions_revoke(exceptions, 99, &revoked));
	assert_true(exceptions_revoke(exceptions, id, &revoked));
	assert_string_equal(revoked.pattern, "a.example");
	assert_int_equal(find("a.example"), 0);
	expect_told("a.example ");
	assert_false(exceptions_revoke(exceptions, id, &revoked));
	restart();
	expect_ids("2 ");
	fake_time_set_wall(HOURS(1));	/* over, though no timer has seen it */
	assert_false(exceptions_revoke(exceptions, 2, &revoked));
}

/* No number is given twice, whatever became of those that had it. */
static void test_ids(void **state)
{
	struct exception revoked;
	uint64_t id;

	(void)state;
	add("a.example", HOURS(1));
	assert_int_equal(add("b.example", HOURS(1)), 2);
	assert_true(exceptions_revoke(exceptions, 2, &revoked));
	assert_int_equal(add("c.example", MINUTES(1)), 3);
	fake_time_pass(HOURS(2));
	expect_ids("");
	restart();
	id = add("d.example", HOURS(1));
	assert_int_equal(id, 4);
	assert_true(exceptions_revoke(exceptions, id, &revoked));
	restart();
	restart();
	assert_int_equal(add("e.example", HOURS(1)), 5);
}

static void test_uses(void **state)
{
	const struct exception *found;
	unsigned i;

	(void)state;
	add("a.example", HOURS(9));
	fake_time_pass(MINUTES(5));
	for (i = 0; i < 1000; i++)
		exceptions_used(exceptions, 1);
	exceptions_used(exceptions, 2);		/* there is none */
	fake_time_pass(SECONDS(2));
	restart();
	found = exceptions_find(exceptions, "a.example");
	assert_int_equal(found->uses, 1000);
	assert_int_equal(found->used, clock_wall() - SECONDS(2));
}

static void test_bound(void **state)
{
	struct exception about, made;
	char pattern[32];
	unsigned i;

	(void)state;
	stop();
	start("");
	for (i = 0; i < EXCEPTIONS_MAX; i++) {
		snprintf(pattern, sizeof(pattern), "d%u.example", i % 5000);
		add(pattern, HOURS(1) + i);
	}
	about = wanted("one-more.example", HOURS(1));
	assert_string_equal(exceptions_add(exceptions, &about, &made),
	    "there are too many exceptions");
	assert_int_equal(find("d4999.example"), EXCEPTIONS_MAX);
	fake_time_pass(HOURS(1) + EXCEPTIONS_MAX);
	assert_int_equal(told.count, 2 * EXCEPTIONS_MAX);
	expect_ids("");
}

/* --- the disk --- */

/* What was said is there, however the process ends. */
static void test_killed(void **state)
{
	int ends[2], status;
	uint64_t id = 0;
	pid_t child;

	(void)state;
	stop();
	assert_int_equal(0, pipe(ends));
	child = fork();
	if (child == 0) {
		start(home);
		id = add("a.example", HOURS(1));
		if (write(ends[1], &id, sizeof(id)) != sizeof(id))
			_exit(1);
		for (;;)
			pause();
	}
	assert_int_equal(sizeof(id), read(ends[0], &id, sizeof(id)));
	kill(child, SIGKILL);
	waitpid(child, &status, 0);
	close(ends[0]);
	close(ends[1]);
	start(home);
	assert_int_equal(find("a.example"), id);
	memset(&told, 0, sizeof(told));
}

/* In a child: Berkeley DB does not free all when the disk was full. */
static void run_full_disk(void)
{
	struct exception about, made;
	const char *problem;

	start(home);
	add("kept.example", HOURS(9));
	add("revoked.example", HOURS(9));
	fake_disk.is_full = true;
	about = wanted("new.example", HOURS(9));
	problem = exceptions_add(exceptions, &about, &made);
	if (problem == NULL || strstr(problem, "disk") == NULL)
		_exit(2);
	problem = exceptions_add(exceptions, &about, &made);	/* away now */
	if (problem == NULL || find("new.example") != 0)
		_exit(3);
	if (!exceptions_revoke(exceptions, 2, &made) ||
	    find("revoked.example") != 0)
		_exit(4);
	fake_disk.is_full = false;
	fake_time_pass(MINUTES(2));
	if (exceptions_add(exceptions, &about, &made) != NULL ||
	    made.id <= 3)
		_exit(5);
	_exit(0);
}

/* What the disk does not take is not made; what is taken away is away. */
static void test_full_disk(void **state)
{
	char said[4096];

	(void)state;
	stop();
	assert_int_equal(0, run_child(run_full_disk, said, sizeof(said)));
	start(home);
	assert_int_equal(find("kept.example"), 1);
	assert_int_equal(find("revoked.example"), 0);
	assert_int_not_equal(find("new.example"), 0);
	memset(&told, 0, sizeof(told));
}

struct rows {
	char		 key[8][64];
	uint8_t		 value[8][1024];
	size_t		 length[8], count;
};

static void keep_row(void *arg, const char *key, const void *value,
    size_t length)
{
	struct rows *rows = arg;

	snprintf(rows->key[rows->count], sizeof(rows->key[0]), "%s", key);
	memcpy(rows->value[rows->count], value, length);
	rows->length[rows->count++] = length;
}

/* The row of exception 1 as it is on the disk. */
static void get_rows(struct rows *rows)
{
	struct policy_store *store;
	char path[80];

	snprintf(path, sizeof(path), "%s/ledger", home);
	store = policy_store_open(path);
	rows->count = 0;
	assert_int_equal(0, policy_store_each(store, keep_row, rows));
	policy_store_close(store);
}

static void put_row(const char *key, const uint8_t *value, size_t length)
{
	struct policy_store *store;
	char path[80];

	snprintf(path, sizeof(path), "%s/ledger", home);
	store = policy_store_open(path);
	assert_int_equal(0, policy_store_put(store, key, value, length));
	policy_store_close(store);
}

/* Rows that nobody here wrote: forgotten, and the others stay. */
static void test_hostile_rows(void **state)
{
	static struct rows rows;
	uint8_t row[1024];
	size_t length;

	(void)state;
	add("a.example", DAYS(60));
	stop();
	get_rows(&rows);
	assert_int_equal(rows.count, 2);
	assert_string_equal(rows.key[0], "exception:0000000000000001");
	assert_string_equal(rows.key[1], "exception:last");
	length = rows.length[0];
#define SPOILED(key, change) do {					\
	memcpy(row, rows.value[0], length);				\
	change;								\
	put_row(key, row, length);					\
	start(home);							\
	assert_int_equal(find("a.example"), 1);				\
	expect_ids("1 ");						\
	stop();								\
	get_rows(&rows);						\
	assert_int_equal(rows.count, 2);				\
} while (0)
	SPOILED("exception:0000000000000002", (void)row);	/* id 1 */
	SPOILED("exception:zzz", (void)row);
	SPOILED("exception:0000000000000002", row[0] = 9);	/* version */
	SPOILED("exception:0000000000000000", row[8] = 0);	/* id 0 */
	SPOILED("exception:0000000000000002", row[8] = 2; row[9] = 5);
	SPOILED("exception:0000000000000002", row[8] = 2; row[9] = 200);
	SPOILED("exception:0000000000000002", row[8] = 2;
	    memset(row + 18, 0x7f, 8));		/* until: far away */
	SPOILED("exception:0000000000000002", row[8] = 2;
	    memset(row + 18, 0, 8));		/* until: before made */
	SPOILED("exception:0000000000000002", row[8] = 2; row[46] = '*');
	SPOILED("exception:0000000000000002", row[8] = 2; row[46] = 'A');
	SPOILED("exception:0000000000000002", row[8] = 2; row[46] = 0);
	SPOILED("exception:0000000000000002", row[8] = 2; row[45] = 200);
	SPOILED("exception:ffffffffffffffff", memset(row + 1, 0xff, 8));
	/* As the others, but with nothing wrong. */
	memcpy(row, rows.value[0], length);
	row[8] = 2;
	put_row("exception:0000000000000002", row, length);
	put_row("exception:last", (const uint8_t *)"12x", 3);
	start(home);
	expect_ids("1 2 ");
	assert_int_equal(add("b.example", HOURS(1)), 3);
	memset(&told, 0, sizeof(told));
}

/* Every length of a row, and every byte of it another. */
static void test_spoiled_bytes(void **state)
{
	static struct rows rows;
	uint8_t row[1024];
	size_t i, length;

	(void)state;
	add("a.example", DAYS(60));
	stop();
	get_rows(&rows);
	length = rows.length[0];
	for (i = 0; i < length; i++) {
		memcpy(row, rows.value[0], length);
		row[i] ^= 0x55;
		put_row("exception:0000000000000001", row, length);
		start(home);	/* may be one, or none */
		memset(&told, 0, sizeof(told));
		stop();
		put_row("exception:0000000000000001", row, i);
		start(home);
		expect_ids("");
		stop();
	}
	start(home);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_refused), TEST(test_whole), TEST(test_idn),
		TEST(test_find), TEST(test_ends), TEST(test_ended_at_start),
		TEST(test_clock_set_forward), TEST(test_clock_set_back),
		TEST(test_starts_in_the_past), TEST(test_revoked),
		TEST(test_ids), TEST(test_uses), TEST(test_bound),
		TEST(test_killed), TEST(test_full_disk),
		TEST(test_hostile_rows), TEST(test_spoiled_bytes),
	};

	log_init("test", LOG_LEVEL_FATAL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
