/* SPDX-License-Identifier: ISC */
/*
 * policy/ledger.c on a real directory with a clock that the test plays: what
 * is durable when, what a killed process loses, and what happens while the
 * disk says no or has lost what it had (H-07, S-38).
 */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/log.h"
#include "policy/ledger.h"
#include "policy/store.h"
#include "tests/fake_disk.h"
#include "tests/fake_time.h"
#include "tests/scratch.h"
#include "tests/unit/base_child.h"

static char home[64];

/* --- a table --- */

enum { ROWS_MAX = 64 };

static struct table {
	unsigned	 count;		/* all that were loaded */
	char		 text[4096];	/* "key=value " of the first */
	unsigned	 saves;
	struct ledger	*ledger;
} fruit, stone;

static int load(void *arg, const char *key, const void *value, size_t length)
{
	struct table *table = arg;
	size_t used = strlen(table->text);

	if (length >= 3 && memcmp(value, "bad", 3) == 0)
		return -1;
	if (table->count++ < ROWS_MAX)
		snprintf(table->text + used, sizeof(table->text) - used,
		    "%s=%.*s ", key, (int)(length < 20 ? length : 20),
		    (const char *)value);
	return 0;
}

static void note_row(void *arg, const char *key, const void *value,
    size_t length)
{
	load(arg, key, value, length);
}

static void save_fruit(void *arg)
{
	struct table *table = arg;

	table->saves++;
	ledger_put_soon(table->ledger, "fruit:saved", "1", 1);
}

static struct ledger *new_ledger(const char *directory)
{
	struct ledger *ledger = ledger_new(directory);

	memset(&fruit, 0, sizeof(fruit));
	memset(&stone, 0, sizeof(stone));
	fruit.ledger = stone.ledger = ledger;
	ledger_add(ledger, "fruit:", load, &fruit);
	ledger_add(ledger, "stone:", load, &stone);
	ledger_on_loss(ledger, "fruit:", save_fruit);
	return ledger;
}

static struct ledger *open_ledger(void)
{
	struct ledger *ledger = new_ledger(home);

	ledger_open(ledger);
	return ledger;
}

static int put(struct ledger *ledger, const char *key, const char *value)
{
	return ledger_put(ledger, key, value, strlen(value));
}

static void put_soon(struct ledger *ledger, const char *key,
    const char *value)
{
	ledger_put_soon(ledger, key, value, strlen(value));
}

/* What the next start finds, in fruit and stone. */
static void look(void)
{
	ledger_free(open_ledger());
}

static int set_up(void **state)
{
	(void)state;
	fake_disk.is_full = false;
	fake_time_begin();
	return scratch_make(home, sizeof(home), "ledger");
}

static int tear_down(void **state)
{
	(void)state;
	assert_int_equal(fake_time_timers(), 0);
	return scratch_remove(home);
}

/* For children, which must not go on with cmocka's tests. */
static void need(bool good, const char *what)
{
	if (good)
		return;
	dprintf(2, "failed in the child: %s\n", what);
	_exit(9);
}

#define NEED(condition) need(condition, #condition)

/* Without closing, as a process ends that is killed. */
static void finish(void)
{
	log_flush();
	_exit(0);
}

static unsigned count_words(const char *text, const char *words)
{
	unsigned count = 0;

	for (; (text = strstr(text, words)) != NULL; text++)
		count++;
	return count;
}

static void expect_child(void (*body)(void), char *said, size_t size)
{
	int status = run_child(body, said, size);

	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		fail_msg("status %d: %s", status, said);
}

/* --- rows --- */

static void test_rows(void **state)
{
	struct ledger *ledger = open_ledger();

	(void)state;
	assert_false(ledger_is_away(ledger));
	assert_int_equal(fruit.count, 0);
	assert_int_equal(0, put(ledger, "fruit:apple", "green"));
	assert_int_equal(0, put(ledger, "fruit:apple", "red"));
	assert_int_equal(0, put(ledger, "stone:flint", ""));
	put_soon(ledger, "fruit:pear", "yellow");
	put_soon(ledger, "fruit:plum", "blue");
	ledger_delete_soon(ledger, "fruit:plum");
	put_soon(ledger, "stone:slate", "grey");
	assert_int_equal(0, ledger_delete(ledger, "stone:slate"));
	assert_int_equal(0, ledger_delete(ledger, "stone:never"));
	ledger_free(ledger);	/* writes what waits */
	look();
	assert_string_equal(fruit.text, "fruit:apple=red fruit:pear=yellow ");
	assert_string_equal(stone.text, "stone:flint= ");
	assert_int_equal(fruit.saves, 0);
}

/* An immediate change is newer than one of the same key that waits. */
static void test_order(void **state)
{
	struct ledger *ledger = open_ledger();

	(void)state;
	put_soon(ledger, "fruit:a", "old");
	assert_int_equal(0, put(ledger, "fruit:a", "new"));
	put_soon(ledger, "fruit:b", "old");
	assert_int_equal(0, ledger_delete(ledger, "fruit:b"));
	ledger_delete_soon(ledger, "fruit:c");
	assert_int_equal(0, put(ledger, "fruit:c", "new"));
	ledger_delete_soon(ledger, "fruit:d");
	put_soon(ledger, "fruit:d", "newer");
	ledger_free(ledger);
	look();
	assert_string_equal(fruit.text, "fruit:a=new fruit:c=new "
	    "fruit:d=newer ");
}

/* Many rows are few flushes; one key is one row. */
static void test_batches(void **state)
{
	struct ledger *ledger = open_ledger();
	char key[32];
	unsigned i, before = fake_disk.flushes;

	(void)state;
	for (i = 0; i < 3000; i++) {
		snprintf(key, sizeof(key), "fruit:%u", i % 1500);
		put_soon(ledger, key, "value");
	}
	assert_int_equal(fake_disk.flushes, before);
	fake_time_pass(LEDGER_SOON_MILLISECONDS);
	assert_in_range(fake_disk.flushes, before + 3, before + 30);
	assert_int_equal(fake_time_timers(), 0);
	before = fake_disk.flushes;
	ledger_free(ledger);
	look();
	assert_int_equal(fruit.count, 1500);
}

/* Nothing durable: everything says yes, and nothing waits. */
static void test_no_directory(void **state)
{
	struct ledger *ledger = new_ledger("");

	(void)state;
	ledger_open(ledger);
	assert_false(ledger_is_away(ledger));
	assert_int_equal(0, put(ledger, "fruit:apple", "green"));
	put_soon(ledger, "fruit:apple", "green");
	assert_int_equal(0, ledger_delete(ledger, "fruit:apple"));
	ledger_delete_soon(ledger, "fruit:apple");
	ledger_flush(ledger);
	assert_int_equal(fake_time_timers(), 0);
	ledger_free(ledger);
}

/* What is put before the process is confined waits for the opening. */
static void test_before_opening(void **state)
{
	struct ledger *ledger = new_ledger(home);

	(void)state;
	put_soon(ledger, "fruit:early", "1");
	assert_int_equal(fake_time_timers(), 0);
	ledger_open(ledger);
	fake_time_pass(LEDGER_SOON_MILLISECONDS);
	ledger_free(ledger);
	look();
	assert_string_equal(fruit.text, "fruit:early=1 ");
}

static void put_long_key(void)
{
	char key[LEDGER_KEY_MAX + 2];

	memset(key, 'x', sizeof(key));
	memcpy(key, "fruit:", 6);
	key[sizeof(key) - 1] = '\0';
	put(new_ledger(""), key, "1");
}

static void put_large_value(void)
{
	static char value[LEDGER_VALUE_MAX + 1];

	ledger_put(new_ledger(""), "fruit:a", value, sizeof(value));
}

static void put_strange_key(void)
{
	put(new_ledger(""), "metal:iron", "1");
}

static void test_bounds(void **state)
{
	char key[LEDGER_KEY_MAX + 1];
	static char value[LEDGER_VALUE_MAX];
	struct ledger *ledger = open_ledger();

	(void)state;
	memset(key, 'x', sizeof(key));
	memcpy(key, "fruit:", 6);
	key[sizeof(key) - 1] = '\0';
	assert_int_equal(0, ledger_put(ledger, key, value, sizeof(value)));
	ledger_free(ledger);
	look();
	assert_int_equal(fruit.count, 1);
	assert_bug(put_long_key, "row of the ledger");
	assert_bug(put_large_value, "row of the ledger");
	assert_bug(put_strange_key, "row of the ledger");
}

/* --- what cannot be read --- */

static void load_useless(void)
{
	log_init("test", LOG_LEVEL_DEBUG);
	ledger_free(open_ledger());
	NEED(fruit.count == 1 && strcmp(fruit.text, "fruit:good=1 ") == 0);
}

static void test_useless_rows(void **state)
{
	struct ledger *ledger = open_ledger();
	struct policy_store *store;
	static char large[LEDGER_VALUE_MAX + 1];
	char said[8192], key[32], path[80];
	unsigned i;

	(void)state;
	put(ledger, "fruit:good", "1");
	for (i = 0; i < 50; i++) {
		snprintf(key, sizeof(key), "stone:%02u", i);
		put(ledger, key, "bad row");
	}
	ledger_free(ledger);
	/* What another version wrote, of a table that this one has not; and a
	 * row that is too large for any. */
	snprintf(path, sizeof(path), "%s/ledger", home);
	store = policy_store_open(path);
	assert_int_equal(0, policy_store_put(store, "metal:iron", "x", 1));
	assert_int_equal(0, policy_store_put(store, "stone:x", large,
	    sizeof(large)));
	policy_store_close(store);
	expect_child(load_useless, said, sizeof(said));
	assert_int_equal(count_words(said, "is not readable"), 10);
	assert_int_equal(count_words(said, "stone:09"), 1);
	assert_int_equal(count_words(said, "count=51"), 1);
	expect_child(load_useless, said, sizeof(said));
	assert_string_equal(said, "");		/* they are deleted */
	store = policy_store_open(path);
	fruit.text[0] = '\0';
	fruit.count = 0;
	assert_int_equal(0, policy_store_each(store, note_row, &fruit));
	policy_store_close(store);
	assert_string_equal(fruit.text, "fruit:good=1 metal:iron=x ");
}

/* --- kill -9 --- */

/* A row each second, for ever; the number of each is told when time has gone
 * on. */
static void write_for_ever(int out, unsigned number)
{
	struct ledger *ledger = open_ledger();
	char key[32];

	for (;; number++) {
		snprintf(key, sizeof(key), "fruit:%06u", number);
		put_soon(ledger, key, "soon");
		if (number % 7 == 0) {
			snprintf(key, sizeof(key), "stone:%06u", number);
			if (put(ledger, key, "now") == -1)
				_exit(1);
		}
		fake_time_pass(700);
		if (syscall(SYS_write, out, &number, sizeof(number)) !=
		    sizeof(number))
			_exit(1);
	}
}

/* What was put LEDGER_SOON_MILLISECONDS before is there, and all that was put
 * at once; nothing is lost but the end. */
static void test_killed(void **state)
{
	unsigned round, number = 0, said, stones, lost = 3;
	int ends[2];
	pid_t child;

	(void)state;
	for (round = 0; round < 6; round++) {
		assert_int_equal(0, pipe(ends));
		child = fork();
		if (child == 0)
			write_for_ever(ends[1], number);
		close(ends[1]);
		do
			assert_int_equal(sizeof(said), read(ends[0], &said,
			    sizeof(said)));
		while (said < number + 12 + 5 * round);
		usleep(900 * round);
		kill(child, SIGKILL);
		waitpid(child, NULL, 0);
		while (read(ends[0], &said, sizeof(said)) > 0)
			continue;
		close(ends[0]);
		look();
		/* 700 ms each: two or three of them are the 2 seconds. Each
		 * round before this one may have lost as many. */
		assert_true(fruit.count + lost * (round + 1) >= said + 1);
		assert_true(fruit.count <= said + 2);
		stones = said / 7 + 1;
		assert_in_range(stone.count, stones, stones + 1);
		number = said + 1;
	}
}

/* --- a disk that says no --- */

static void fill_disk(void)
{
	struct ledger *ledger;

	log_init("test", LOG_LEVEL_INFO);
	ledger = open_ledger();
	NEED(put(ledger, "fruit:before", "1") == 0);
	fake_disk.is_full = true;
	NEED(put(ledger, "fruit:now", "1") == -1);
	NEED(ledger_is_away(ledger));
	put_soon(ledger, "fruit:soon", "1");
	NEED(ledger_delete(ledger, "fruit:before") == -1);
	fake_time_pass(MINUTES(60));
	dprintf(2, "the disk has room\n");
	fake_disk.is_full = false;
	fake_time_pass(MINUTES(1));
	NEED(!ledger_is_away(ledger));
	NEED(put(ledger, "fruit:after", "1") == 0);
	fake_time_pass(SECONDS(5));
	finish();
}

/* It is told once, tried each minute, and nothing of it is lost. */
static void test_full_disk(void **state)
{
	char said[8192], *room;

	(void)state;
	expect_child(fill_disk, said, sizeof(said));
	room = strstr(said, "the disk has room");
	assert_non_null(room);
	assert_int_equal(count_words(said, "not written down for now"), 1);
	assert_int_equal(count_words(said, "level=error"), 2);
	assert_int_equal(count_words(room, "level="), 0);
	assert_int_equal(count_words(room, "written down again"), 1);
	look();
	assert_string_equal(fruit.text, "fruit:after=1 fruit:now=1 "
	    "fruit:soon=1 ");
	assert_int_equal(fruit.saves, 0);
}

/* More than may wait: 6000 rows of 16 KB. */
static void flood_full_disk(void)
{
	static char value[LEDGER_VALUE_MAX];
	struct ledger *ledger;
	char key[32];
	unsigned i;

	log_init("test", LOG_LEVEL_INFO);
	ledger = open_ledger();
	fake_disk.is_full = true;
	for (i = 0; i < 6000; i++) {
		snprintf(key, sizeof(key), "fruit:%04u", i);
		ledger_put_soon(ledger, key, value, sizeof(value));
		if (i % 100 == 0) {
			snprintf(key, sizeof(key), "stone:%04u", i);
			put(ledger, key, "operator");
		}
	}
	fake_time_pass(HOURS(5));
	fake_disk.is_full = false;
	fake_time_pass(MINUTES(2));
	NEED(fruit.saves == 1);		/* the table knows what was dropped */
	finish();
}

/* The oldest that may be lost go, with one line; what an operator said does
 * not. */
static void test_flood(void **state)
{
	char said[8192];

	(void)state;
	expect_child(flood_full_disk, said, sizeof(said));
	assert_int_equal(count_words(said, "too much waits"), 1);
	look();
	assert_int_equal(stone.count, 60);
	assert_in_range(fruit.count, 1500, 2100);
	assert_null(strstr(fruit.text, "fruit:0000="));
	look();
	assert_int_equal(stone.count, 60);
}

/* --- another process has the store --- */

static void wait_for_store(void)
{
	struct ledger *ledger;
	int ends[2];
	char byte;
	struct policy_store *store;
	char path[80];
	pid_t holder;

	log_init("test", LOG_LEVEL_INFO);
	NEED(pipe(ends) == 0);
	snprintf(path, sizeof(path), "%s/ledger", home);
	holder = fork();
	if (holder == 0) {
		store = policy_store_open(path);
		NEED(store != NULL && write(ends[1], "x", 1) == 1);
		for (;;)
			pause();
	}
	NEED(read(ends[0], &byte, 1) == 1);
	ledger = open_ledger();
	NEED(ledger_is_away(ledger) && fruit.count == 0);
	put_soon(ledger, "fruit:learnt", "1");
	NEED(ledger_delete(ledger, "fruit:revoked") == -1);
	fake_time_pass(MINUTES(10));
	NEED(fruit.count == 0);
	kill(holder, SIGKILL);
	waitpid(holder, NULL, 0);
	fake_time_pass(MINUTES(1));
	NEED(!ledger_is_away(ledger));
	NEED(strcmp(fruit.text, "fruit:kept=1 fruit:learnt=0 ") == 0);
	fake_time_pass(SECONDS(2));
	finish();
}

/* The rows come when they can be read, without those deleted meanwhile. */
static void test_late(void **state)
{
	struct ledger *ledger = open_ledger();
	char said[8192];

	(void)state;
	put(ledger, "fruit:kept", "1");
	put(ledger, "fruit:revoked", "1");
	put(ledger, "fruit:learnt", "0");
	ledger_free(ledger);
	expect_child(wait_for_store, said, sizeof(said));
	assert_int_equal(count_words(said, "level=error"), 2);
	look();
	assert_string_equal(fruit.text, "fruit:kept=1 fruit:learnt=1 ");
}

/* --- damage --- */

static void overwrite(const char *name)
{
	static const char garbage[8192] = "garbage garbage garbage";
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/ledger/%s", home, name);
	fd = open(path, O_WRONLY);
	NEED(fd != -1);
	NEED(pwrite(fd, garbage, sizeof(garbage), 0) == sizeof(garbage));
	close(fd);
}

static void start_damaged(void)
{
	struct ledger *ledger;

	log_init("test", LOG_LEVEL_INFO);
	ledger = open_ledger();
	NEED(fruit.count == 0 && !ledger_is_away(ledger));
	NEED(put(ledger, "fruit:new", "1") == 0);
	finish();
}

/* H-07: the start is with nothing, says so, and what is learnt then stays. */
static void test_damaged_at_start(void **state)
{
	struct ledger *ledger = open_ledger();
	char said[8192];

	(void)state;
	put(ledger, "fruit:old", "1");
	ledger_free(ledger);
	overwrite("policy.db");
	expect_child(start_damaged, said, sizeof(said));
	assert_int_equal(count_words(said, "was damaged"), 1);
	assert_non_null(strstr(said, "level=error"));
	look();
	assert_string_equal(fruit.text, "fruit:new=1 ");
}

static void lose_while_running(void)
{
	struct ledger *ledger;

	log_init("test", LOG_LEVEL_INFO);
	ledger = open_ledger();
	put(ledger, "fruit:old", "1");
	fake_disk.is_full = true;
	NEED(put(ledger, "stone:said", "1") == -1);
	fake_disk.is_full = false;
	overwrite("policy.db");
	overwrite("log.0000000001");
	fake_time_pass(MINUTES(2));
	NEED(fruit.saves == 1 && !ledger_is_away(ledger));
	fake_time_pass(SECONDS(2));
	finish();
}

/* The tables are asked for what the disk does not have any more. */
static void test_damaged_while_running(void **state)
{
	char said[8192];

	(void)state;
	expect_child(lose_while_running, said, sizeof(said));
	assert_int_equal(count_words(said, "was damaged"), 1);
	look();
	assert_string_equal(fruit.text, "fruit:saved=1 ");
	assert_string_equal(stone.text, "stone:said=1 ");
}

/* --- as the confined role sees it --- */

static void run_confined(void)
{
	struct ledger *ledger;

	NEED(chroot(home) == 0 && chdir("/") == 0);
	ledger = new_ledger("/");
	ledger_open(ledger);
	NEED(put(ledger, "fruit:apple", "green") == 0);
	put_soon(ledger, "fruit:pear", "yellow");
	fake_time_pass(LEDGER_SOON_MILLISECONDS);
	finish();
}

static void test_confined(void **state)
{
	char said[8192];

	(void)state;
	if (geteuid() != 0)
		skip();
	expect_child(run_confined, said, sizeof(said));
	look();
	assert_string_equal(fruit.text, "fruit:apple=green "
	    "fruit:pear=yellow ");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_rows), TEST(test_order), TEST(test_batches),
		TEST(test_no_directory), TEST(test_before_opening),
		TEST(test_bounds), TEST(test_useless_rows), TEST(test_killed),
		TEST(test_full_disk), TEST(test_flood), TEST(test_late),
		TEST(test_damaged_at_start), TEST(test_damaged_while_running),
		TEST(test_confined),
	};

	log_init("test", LOG_LEVEL_FATAL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
