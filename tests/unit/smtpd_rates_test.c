/* SPDX-License-Identifier: ISC */
/*
 * smtpd/rates.c: how many are given, and when the next one; several processes
 * over one memory; subjects, kinds and limits apart from each other; what is in
 * the memory is not believed.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/clock.h"
#include "conf/conf.h"
#include "smtpd/counters.h"
#include "smtpd/rates.h"
#include "tests/fake_time.h"

enum { MONTH = 31 * 86400, PROCESSES = 4 };

static struct rate_subject subject_of(enum rate_kind kind, const char *name)
{
	struct rate_subject subject = { kind, name, strlen(name) };

	return subject;
}

static int64_t take(struct rates *rates, const char *name, int64_t count,
    int64_t seconds)
{
	struct rate_subject subject = subject_of(RATE_MESSAGE, name);
	struct conf_rate limit = { count, seconds, false };

	return rates_take(rates, &subject, &limit, false);
}

/* All at once; then one for each share of the time, told to the second. */
static void test_count(void **state)
{
	static const struct {
		int64_t count, seconds, wait;
	} rows[] = {
		{ 1, 1, 1 }, { 1, 60, 60 }, { 60, 60, 1 }, { 100, 3600, 36 },
		{ 7, 100, 15 }, { 3, MONTH, MONTH / 3 },
		{ 1000, 1, 1 }, { 5000, MONTH, 536 },
	};
	struct rates *rates = rates_new();

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		for (int64_t k = 0; k < rows[i].count; k++)
			assert_int_equal(take(rates, "a", rows[i].count,
			    rows[i].seconds), 0);
		/* What is refused does not count. */
		for (int k = 0; k < 3; k++)
			assert_int_equal(take(rates, "a", rows[i].count,
			    rows[i].seconds), rows[i].wait);
		fake_time_pass(rows[i].wait * 1000 - 2000);
		if (rows[i].wait > 2)
			assert_int_not_equal(take(rates, "a", rows[i].count,
			    rows[i].seconds), 0);
		fake_time_pass(2001);
		assert_int_equal(take(rates, "a", rows[i].count,
		    rows[i].seconds), 0);
	}
	rates_free(rates);
}

/* After the whole time without any, all of it is there again. */
static void test_recovery(void **state)
{
	struct rates *rates = rates_new();

	(void)state;
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < 100; i++)
			assert_int_equal(take(rates, "a", 100, MONTH), 0);
		assert_int_not_equal(take(rates, "a", 100, MONTH), 0);
		fake_time_pass((int64_t)MONTH * 1000 + 1);
	}
	rates_free(rates);
}

/* Over any time as long as the limit's, twice of it is never given. */
static void test_greedy(void **state)
{
	struct rates *rates = rates_new();
	int given = 0;

	(void)state;
	for (int second = 0; second < 7200; second++) {
		for (int i = 0; i < 3; i++)
			given += take(rates, "a", 100, 3600) == 0;
		fake_time_pass(1000);
	}
	assert_in_range(given, 298, 301);
	rates_free(rates);
}

static void test_apart(void **state)
{
	struct rates *rates = rates_new();
	struct rate_subject subject = subject_of(RATE_RECIPIENT, "a");
	struct conf_rate limit = { 1, 60, false };

	(void)state;
	assert_int_equal(take(rates, "a", 1, 60), 0);
	assert_int_equal(take(rates, "a", 1, 60), 60);
	assert_int_equal(take(rates, "b", 1, 60), 0);
	assert_int_equal(take(rates, "a", 1, 61), 0);
	assert_int_equal(take(rates, "a", 2, 60), 0);
	assert_int_equal(rates_take(rates, &subject, &limit, true), 0);
	assert_int_equal(rates_take(rates, &subject, &limit, false), 0);
	assert_int_equal(rates_take(rates, &subject, &limit, true), 60);
	rates_free(rates);
}

/* Many subjects: none gets more than its share, nearly all get it. */
static void test_many(void **state)
{
	struct rates *rates = rates_new();
	struct conf_rate limit = { 2, 3600, false };
	unsigned less = 0;

	(void)state;
	for (uint32_t i = 0; i < 10000; i++) {
		struct rate_subject subject = { RATE_SENDER, &i, sizeof(i) };

		less += rates_take(rates, &subject, &limit, false) > 0;
		less += rates_take(rates, &subject, &limit, false) > 0;
		assert_int_not_equal(rates_take(rates, &subject, &limit,
		    false), 0);
	}
	assert_true(less < 200);
	rates_free(rates);
}

/* A process that was taken over writes what it likes: nobody waits longer than
 * the limit says for a number that no limit makes. */
static void test_damage(void **state)
{
	int fd = counters_create();
	struct counters *counters = counters_new(fd, 0);
	struct rates *rates = rates_new();
	struct rate_memory *memory;
	uint8_t key[16];

	(void)state;
	rates_join(rates, counters);
	memory = counters_rates(counters, key);
	memset(memory, 0xff, sizeof(*memory));
	assert_int_equal(take(rates, "a", 1, 60), 0);
	assert_int_equal(take(rates, "a", 1, 60), 60);
	memset(memory, 0x7f, sizeof(*memory));
	assert_int_equal(take(rates, "a", 1, 60), 0);
	rates_free(rates);
	counters_free(counters);
}

/* One process's share of the work; what it was given. */
static int work(int fd, unsigned worker, const char *name, int64_t count)
{
	struct counters *counters = counters_new(dup(fd), worker);
	struct rates *rates = rates_new();
	int given = 0;

	rates_join(rates, counters);
	for (int64_t i = 0; i < count; i++)
		given += take(rates, name, count, MONTH) == 0;
	rates_free(rates);
	counters_free(counters);
	return given;
}

/* Each of several processes asks for all of it at the same time: together they
 * get it once; two that meet at the last one may both have it. */
static void test_processes(void **state)
{
	enum { COUNT = 20000 };
	int fd = counters_create(), pipes[2], given, sum = 0;
	pid_t pids[PROCESSES];

	(void)state;
	assert_int_equal(pipe(pipes), 0);
	for (unsigned i = 0; i < PROCESSES; i++) {
		pids[i] = fork();
		assert_int_not_equal(pids[i], -1);
		if (pids[i] == 0) {
			given = work(fd, i, "a", COUNT);
			_exit(write(pipes[1], &given, sizeof(given)) !=
			    sizeof(given));
		}
	}
	for (unsigned i = 0; i < PROCESSES; i++) {
		int status;

		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		assert_int_equal(status, 0);
		assert_int_equal(read(pipes[0], &given, sizeof(given)),
		    sizeof(given));
		sum += given;
	}
	assert_in_range(sum, COUNT, COUNT + PROCESSES - 1);
	/* The next process, in the place of one that died, goes on. */
	assert_int_equal(work(fd, 0, "a", COUNT), 0);
	close(pipes[0]);
	close(pipes[1]);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_count),
		cmocka_unit_test(test_recovery),
		cmocka_unit_test(test_greedy),
		cmocka_unit_test(test_apart),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_damage),
		cmocka_unit_test(test_processes),
	};

	fake_time_begin();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
