/* SPDX-License-Identifier: ISC */
/*
 * policy/store.c on a real directory: what was put is there after a restart,
 * after kill -9 at any moment, and inside a chroot; a batch is there as a whole
 * or not at all; damage is moved aside and never brought in (S-38, H-07).
 */
#include <dirent.h>
#include <errno.h>
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
#include "policy/store.h"
#include "tests/scratch.h"
#include "tests/unit/base_child.h"

static char parent[64], directory[80];

/* --- what is in it --- */

struct sum {
	unsigned	 rows;
	size_t		 bytes;
	char		 keys[4000];	/* with spaces between */
};

static void add_row(void *arg, const char *key, const void *value,
    size_t length)
{
	struct sum *sum = arg;
	size_t used = strlen(sum->keys);

	(void)value;
	sum->rows++;
	sum->bytes += length;
	snprintf(sum->keys + used, sizeof(sum->keys) - used, "%s ", key);
}

static struct sum sum_of(struct policy_store *store)
{
	struct sum sum = { .rows = 0 };

	assert_int_equal(0, policy_store_each(store, add_row, &sum));
	return sum;
}

static struct policy_store *open_store(void)
{
	struct policy_store *store = policy_store_open(directory);

	assert_non_null(store);
	return store;
}

static void put(struct policy_store *store, const char *key,
    const char *value)
{
	assert_int_equal(0, policy_store_put(store, key, value,
	    strlen(value)));
}

/* Entries of the parent whose name holds these words. */
static unsigned count_named(const char *where, const char *words)
{
	DIR *stream = opendir(where);
	struct dirent *entry;
	unsigned count = 0;

	assert_non_null(stream);
	while ((entry = readdir(stream)) != NULL)
		count += strstr(entry->d_name, words) != NULL;
	closedir(stream);
	return count;
}

static int set_up(void **state)
{
	(void)state;
	if (scratch_make(parent, sizeof(parent), "store") == -1)
		return -1;
	snprintf(directory, sizeof(directory), "%s/sts", parent);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	return scratch_remove(parent);
}

/* --- rows --- */

static void test_rows(void **state)
{
	static char large[66000];
	struct policy_store *store = open_store();
	struct sum sum;

	(void)state;
	assert_int_equal(sum_of(store).rows, 0);
	put(store, "b.example", "two");
	put(store, "a.example", "one");
	put(store, "c.example", "");
	put(store, "b.example", "another");
	memset(large, 'x', sizeof(large));
	assert_int_equal(0, policy_store_put(store, "d.example", large,
	    sizeof(large)));
	sum = sum_of(store);
	assert_string_equal(sum.keys,
	    "a.example b.example c.example d.example ");
	assert_int_equal(sum.bytes, 3 + 7 + sizeof(large));
	assert_int_equal(0, policy_store_delete(store, "b.example"));
	assert_int_equal(0, policy_store_delete(store, "b.example"));
	policy_store_close(store);
	store = open_store();
	sum = sum_of(store);
	assert_string_equal(sum.keys, "a.example c.example d.example ");
	assert_int_equal(sum.bytes, 3 + sizeof(large));
	policy_store_close(store);
}

/* Puts and deletes of one batch, in their order; an empty value is a row. */
static void test_batch(void **state)
{
	const struct policy_store_change first[] = {
		{ "a.example", "one", 3 }, { "b.example", "two", 3 },
		{ "c.example", "", 0 }, { "absent.example", NULL, 0 },
	}, second[] = {
		{ "a.example", NULL, 0 }, { "d.example", "four", 4 },
		{ "d.example", "another", 7 }, { "b.example", NULL, 0 },
		{ "b.example", "again", 5 },
	};
	struct policy_store *store = open_store();
	struct sum sum;

	(void)state;
	assert_int_equal(0, policy_store_apply(store, first, 0));
	assert_int_equal(sum_of(store).rows, 0);
	assert_int_equal(0, policy_store_apply(store, first, 4));
	assert_string_equal(sum_of(store).keys,
	    "a.example b.example c.example ");
	assert_int_equal(0, policy_store_apply(store, second, 5));
	policy_store_close(store);
	store = open_store();
	sum = sum_of(store);
	assert_string_equal(sum.keys, "b.example c.example d.example ");
	assert_int_equal(sum.bytes, 5 + 0 + 7);
	assert_false(policy_store_is_anew(store));
	policy_store_close(store);
}

/* The longest keys there may be, and enough of them to divide pages. */
static void test_long_keys(void **state)
{
	struct policy_store *store = open_store();
	char key[POLICY_STORE_KEY_MAX + 1];
	int i;

	(void)state;
	memset(key, 'k', sizeof(key));
	key[POLICY_STORE_KEY_MAX] = '\0';
	for (i = 0; i < 100; i++) {
		key[i] = 'j';
		put(store, key, "a value");
	}
	policy_store_close(store);
	store = open_store();
	assert_int_equal(sum_of(store).rows, 100);
	policy_store_close(store);
}

/* The log does not grow for ever. */
static void test_bounded(void **state)
{
	static char value[60000];
	struct policy_store *store = open_store();
	int i;

	(void)state;
	for (i = 0; i < 400; i++)
		assert_int_equal(0, policy_store_put(store, "a.example",
		    value, sizeof(value)));
	assert_in_range(count_named(directory, "log."), 1, 8);
	policy_store_close(store);
	store = open_store();
	assert_int_equal(sum_of(store).bytes, sizeof(value));
	policy_store_close(store);
}

/* --- restarts --- */

/* What a put has returned for is there, whenever the process is killed. */
static void test_killed(void **state)
{
	char key[32];
	int round, ends[2];
	unsigned acknowledged, number = 0;
	struct policy_store *store;
	pid_t child;

	(void)state;
	for (round = 0; round < 5; round++) {
		assert_int_equal(0, pipe(ends));
		child = fork();
		if (child == 0) {
			store = policy_store_open(directory);
			for (;; number++) {
				snprintf(key, sizeof(key), "%06u", number);
				if (policy_store_put(store, key, key, 6) != 0 ||
				    write(ends[1], &number,
				    sizeof(number)) < 0)
					_exit(1);
			}
		}
		close(ends[1]);
		do
			assert_int_equal(sizeof(number), read(ends[0],
			    &acknowledged, sizeof(number)));
		while (acknowledged < number + 20 + 13 * (unsigned)round);
		kill(child, SIGKILL);
		waitpid(child, NULL, 0);
		while (read(ends[0], &acknowledged, sizeof(number)) > 0)
			continue;
		close(ends[0]);
		store = open_store();
		assert_in_range(sum_of(store).rows, acknowledged + 1,
		    acknowledged + 2);
		policy_store_close(store);
		number = acknowledged + 1;
	}
	assert_int_equal(count_named(parent, "damaged"), 0);
}

/* Batches of 40 rows, killed at any moment: all of one, or none (H-07). */
static void kill_batches(unsigned round)
{
	struct policy_store_change changes[40];
	char keys[40][32], value[200] = "";
	int ends[2];
	unsigned batch, i;
	struct policy_store *store;
	pid_t child;

	assert_int_equal(0, pipe(ends));
	child = fork();
	if (child == 0) {
		store = policy_store_open(directory);
		for (batch = 0;; batch++) {
			for (i = 0; i < 40; i++) {
				snprintf(keys[i], sizeof(keys[i]),
				    "%02u-%06u", i, batch + 1000 * round);
				changes[i] = (struct policy_store_change){
				    keys[i], value, sizeof(value) };
			}
			if (policy_store_apply(store, changes, 40) != 0 ||
			    write(ends[1], &batch, sizeof(batch)) < 0)
				_exit(1);
		}
	}
	close(ends[1]);
	do
		assert_int_equal(sizeof(batch), read(ends[0], &batch,
		    sizeof(batch)));
	while (batch < 5 + round);
	usleep(700 * round);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	close(ends[0]);
}

static void test_killed_in_batch(void **state)
{
	struct policy_store *store;
	unsigned round, rows = 0;
	struct sum sum;

	(void)state;
	for (round = 0; round < 8; round++) {
		kill_batches(round);
		store = open_store();
		sum = sum_of(store);
		policy_store_close(store);
		assert_int_equal(sum.rows % 40, 0);
		assert_true(sum.rows >= rows + 40 * (6 + round));
		rows = sum.rows;
	}
	assert_int_equal(count_named(parent, "damaged"), 0);
}

static void test_locked(void **state)
{
	struct policy_store *store = open_store();
	pid_t child = fork();
	int status;

	(void)state;
	if (child == 0)
		_exit(policy_store_open(directory) == NULL ? 0 : 1);
	waitpid(child, &status, 0);
	assert_int_equal(status, 0);
	put(store, "a.example", "one");
	policy_store_close(store);
}

/* As the confined role sees it: its own directory is the root. */
static void test_confined(void **state)
{
	struct policy_store *store;
	int status;
	pid_t child;

	(void)state;
	if (geteuid() != 0)
		skip();
	child = fork();
	if (child == 0) {
		if (chroot(parent) != 0 || chdir("/") != 0)
			_exit(2);
		store = policy_store_open("/sts");
		if (store == NULL ||
		    policy_store_put(store, "a.example", "one", 3) != 0)
			_exit(1);
		_exit(0);	/* without closing */
	}
	waitpid(child, &status, 0);
	assert_int_equal(status, 0);
	store = open_store();
	assert_string_equal(sum_of(store).keys, "a.example ");
	policy_store_close(store);
}

/* --- damage --- */

static void overwrite(const char *name, off_t at, size_t length)
{
	static const char garbage[8192] = "garbage garbage garbage";
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	fd = open(path, O_WRONLY);
	assert_int_not_equal(fd, -1);
	assert_int_equal((ssize_t)length, pwrite(fd, garbage, length, at));
	close(fd);
}

static void fill(void)
{
	struct policy_store *store = open_store();
	char key[32];
	int i;

	for (i = 0; i < 200; i++) {
		snprintf(key, sizeof(key), "%03d.example", i);
		put(store, key, "a value of some length, to fill some pages");
	}
	policy_store_close(store);
}

/* Berkeley DB does not free what it had of a damaged environment: the process
 * that meets one is another. */
static void expect_anew(unsigned before)
{
	struct policy_store *store;
	int status;
	pid_t child = fork();

	if (child == 0) {
		store = policy_store_open(directory);
		_exit(store != NULL && policy_store_is_anew(store) ? 0 : 1);
	}
	waitpid(child, &status, 0);
	assert_int_equal(status, 0);
	store = open_store();
	assert_false(policy_store_is_anew(store));
	assert_int_equal(sum_of(store).rows, 0);
	assert_int_equal(count_named(parent, "sts.damaged-"), before + 1);
	put(store, "a.example", "one");
	policy_store_close(store);
	store = open_store();
	assert_int_equal(sum_of(store).rows, 1);
	policy_store_close(store);
	assert_int_equal(count_named(parent, "sts.damaged-"), before + 1);
}

static void test_damage(void **state)
{
	static const struct { const char *name; off_t at; size_t length; }
	    cases[] = {
		{ "policy.db", 0, 4096 },		/* the first page */
		{ "policy.db", 2 * 4096 + 2000, 1 },	/* one byte */
		{ "policy.db", 3 * 4096, 4096 },
		{ "log.0000000001", 0, 8192 },
	};
	unsigned i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		fill();
		overwrite(cases[i].name, cases[i].at, cases[i].length);
		expect_anew(i);
	}
}

static void test_truncated(void **state)
{
	char path[128];

	(void)state;
	fill();
	snprintf(path, sizeof(path), "%s/policy.db", directory);
	assert_int_equal(0, truncate(path, 4096 + 100));
	expect_anew(0);
}

/* --- a full disk --- */

static int writes_left = -1;		/* -1: the disk is not full */

static bool is_full(void)
{
	if (writes_left < 0)
		return false;
	if (writes_left > 0) {
		writes_left--;
		return false;
	}
	errno = ENOSPC;
	return true;
}

/* In the place of libc's, for everybody in this process. */
ssize_t	write(int fd, const void *data, size_t length);
ssize_t	pwrite64(int fd, const void *data, size_t length, off_t at);
ssize_t	pwrite(int fd, const void *data, size_t length, off_t at);

ssize_t write(int fd, const void *data, size_t length)
{
	return is_full() ? -1 : syscall(SYS_write, fd, data, length);
}

ssize_t pwrite64(int fd, const void *data, size_t length, off_t at)
{
	return is_full() ? -1 : syscall(SYS_pwrite64, fd, data, length, at);
}

ssize_t pwrite(int fd, const void *data, size_t length, off_t at)
{
	return pwrite64(fd, data, length, at);
}

/* A batch that the disk has no room for is undone as a whole. */
static void test_batch_undone(void **state)
{
	struct policy_store_change changes[60];
	static char value[4000];
	struct policy_store *store;
	char keys[60][32];
	int writes, i, status, undone = 0;

	(void)state;
	fill();
	for (i = 0; i < 60; i++) {
		snprintf(keys[i], sizeof(keys[i]), "batch-%02d", i);
		changes[i] = (struct policy_store_change){ keys[i], value,
		    sizeof(value) };
	}
	for (writes = 0; writes < 30; writes += 3) {
		pid_t child = fork();

		if (child == 0) {
			store = policy_store_open(directory);
			writes_left = writes;
			i = policy_store_apply(store, changes, 60);
			policy_store_close(store);
			_exit(i == 0 ? 0 : 7);
		}
		waitpid(child, &status, 0);
		assert_true(WIFEXITED(status));
		assert_true(WEXITSTATUS(status) == 0 ||
		    WEXITSTATUS(status) == 7);
		undone += WEXITSTATUS(status) == 7;
		store = open_store();
		assert_int_equal(sum_of(store).rows,
		    WEXITSTATUS(status) == 0 ? 260 : 200);
		policy_store_close(store);
		assert_int_equal(count_named(parent, "damaged"), 0);
	}
	assert_true(undone > 0);
}

/* What fails again is not told again, until it has worked. */
static void test_quiet(void **state)
{
	struct policy_store *store = open_store();
	struct capture capture;
	char said[4096], path[128];

	(void)state;
	policy_store_close(store);
	snprintf(path, sizeof(path), "%s/absent/sts", parent);
	capture_begin(&capture);
	log_init("test", LOG_LEVEL_INFO);
	assert_null(policy_store_open_again(path));
	capture_end(&capture, said, sizeof(said));
	assert_string_equal(said, "");
	capture_begin(&capture);
	assert_null(policy_store_open(path));
	log_init("test", LOG_LEVEL_FATAL);
	capture_end(&capture, said, sizeof(said));
	assert_non_null(strstr(said, "level=error"));
	store = policy_store_open_again(directory);
	assert_non_null(store);
	put(store, "a.example", "one");
	policy_store_close(store);
}

/* Changes, and the next start, on a disk that has room for so many writes. */
static void fill_disk(int writes)
{
	struct policy_store *store = policy_store_open(directory);
	char value[3000];
	int i;

	memset(value, 'y', sizeof(value));
	writes_left = writes;
	for (i = 0; i < 200 && store != NULL; i++)
		if (policy_store_put(store, "000.example", value,
		    sizeof(value)) == -1)
			break;
	policy_store_close(store);
	writes_left = writes;
	policy_store_close(policy_store_open(directory));
	_exit(0);
}

/* A full disk is not damage (S-38): nothing is moved aside, nothing is lost. */
static void test_full_disk(void **state)
{
	struct policy_store *store;
	int writes, status;

	(void)state;
	fill();
	for (writes = 0; writes < 300; writes += writes < 40 ? 1 : 17) {
		pid_t child = fork();

		if (child == 0)
			fill_disk(writes);
		waitpid(child, &status, 0);
		assert_int_equal(status, 0);
		store = open_store();
		assert_int_equal(sum_of(store).rows, 200);
		policy_store_close(store);
		assert_int_equal(count_named(parent, "damaged"), 0);
	}
}

/* Not damage: nothing is moved. */
static void test_no_place(void **state)
{
	char path[128];
	int fd;

	(void)state;
	snprintf(path, sizeof(path), "%s/absent/sts", parent);
	assert_null(policy_store_open(path));
	fd = open(directory, O_CREAT | O_WRONLY, 0600);	/* no directory */
	close(fd);
	snprintf(path, sizeof(path), "%s/sts/deeper", parent);
	assert_null(policy_store_open(path));
}

/* DB_CONFIG would change how Berkeley DB works. */
static void test_settings(void **state)
{
	struct policy_store *store = open_store();
	char path[128];
	int fd;

	(void)state;
	policy_store_close(store);
	snprintf(path, sizeof(path), "%s/DB_CONFIG", directory);
	fd = open(path, O_CREAT | O_WRONLY, 0600);
	assert_int_equal(11, write(fd, "nonsense 1\n", 11));
	close(fd);
	store = open_store();
	policy_store_close(store);
	assert_int_equal(access(path, F_OK), -1);
	assert_int_equal(count_named(parent, "damaged"), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_rows), TEST(test_batch), TEST(test_long_keys),
		TEST(test_bounded), TEST(test_killed),
		TEST(test_killed_in_batch),
		TEST(test_locked), TEST(test_confined), TEST(test_damage),
		TEST(test_truncated), TEST(test_batch_undone),
		TEST(test_quiet), TEST(test_full_disk),
		TEST(test_no_place), TEST(test_settings),
	};

	log_init("test", LOG_LEVEL_FATAL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
