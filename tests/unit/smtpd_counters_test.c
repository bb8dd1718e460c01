/* SPDX-License-Identifier: ISC */
/*
 * smtpd/counters.c: several processes' counters over one memory, here in one
 * process; what is left of a process that died; clients that must not meet.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/tls_tickets.h"
#include "smtpd/counters.h"

static const char alice[] = "alice", bob[] = "bob";

static struct counters *counters_of(int fd, unsigned worker)
{
	struct counters *counters = counters_new(dup(fd), worker);

	assert_non_null(counters);
	return counters;
}

static void test_sum(void **state)
{
	int fd = counters_create();
	struct counters *one = counters_of(fd, 0);
	struct counters *other = counters_of(fd, 63);

	(void)state;
	counters_add(one, alice, sizeof(alice));
	counters_add(other, alice, sizeof(alice));
	counters_add(other, alice, sizeof(alice));
	counters_add(other, bob, sizeof(bob));
	assert_int_equal(counters_sum(one, alice, sizeof(alice)), 3);
	assert_int_equal(counters_sum(other, alice, sizeof(alice)), 3);
	assert_int_equal(counters_sum(one, bob, sizeof(bob)), 1);
	counters_remove(other, alice, sizeof(alice));
	assert_int_equal(counters_sum(one, alice, sizeof(alice)), 2);
	counters_free(one);
	counters_free(other);
	close(fd);
}

/* What a process had counted goes when the next one takes its place. */
static void test_restart(void **state)
{
	int fd = counters_create();
	struct counters *one = counters_of(fd, 0);
	struct counters *other = counters_of(fd, 1);

	(void)state;
	counters_add(one, alice, sizeof(alice));
	counters_add(other, alice, sizeof(alice));
	counters_free(other);
	assert_int_equal(counters_sum(one, alice, sizeof(alice)), 2);
	other = counters_of(fd, 1);
	assert_int_equal(counters_sum(one, alice, sizeof(alice)), 1);
	counters_free(one);
	counters_free(other);
	close(fd);
}

/* Many clients with a session each: nearly all are counted exactly, none
 * less than exactly. */
static void test_many(void **state)
{
	int fd = counters_create();
	struct counters *counters = counters_of(fd, 7);
	unsigned wrong = 0, sum;

	(void)state;
	for (uint32_t client = 0; client < 2000; client++)
		counters_add(counters, &client, sizeof(client));
	for (uint32_t client = 0; client < 2000; client++) {
		sum = counters_sum(counters, &client, sizeof(client));
		assert_true(sum >= 1);
		wrong += sum > 1;
	}
	assert_true(wrong < 60);
	counters_free(counters);
	close(fd);
}

/* Who has fewest sessions of those that take any; oneself is not asked. */
static void test_offers(void **state)
{
	int fd = counters_create();
	struct counters *one = counters_of(fd, 0);
	struct counters *other = counters_of(fd, 5);
	struct counters *last = counters_of(fd, 63);

	(void)state;
	counters_offer(one, 0);
	assert_int_equal(counters_least(one), UINT_MAX);
	assert_int_equal(counters_least(other), 0);
	counters_offer(other, 7);
	counters_offer(last, 3);
	assert_int_equal(counters_least(one), 3);
	assert_int_equal(counters_least(last), 0);
	counters_withdraw(one);
	assert_int_equal(counters_least(last), 7);
	/* One that died offers until the next one takes its place. */
	counters_free(last);
	assert_int_equal(counters_least(other), 3);
	last = counters_of(fd, 63);
	assert_int_equal(counters_least(other), UINT_MAX);
	/* ... or until the supervisor hears of it; the others stay. */
	counters_offer(one, 2);
	counters_offer(last, 1);
	counters_forget(fd, 63);
	assert_int_equal(counters_least(other), 2);
	counters_forget(fd, 64);
	assert_int_equal(counters_least(other), 2);
	assert_int_equal(counters_least(one), 7);
	counters_free(one);
	counters_free(other);
	counters_free(last);
	close(fd);
}

/* Another size cannot be had, and is not taken. */
static void test_size(void **state)
{
	int fd = counters_create();

	(void)state;
	assert_int_equal(ftruncate(fd, 16), -1);
	assert_int_equal(ftruncate(fd, 1 << 30), -1);
	assert_null(counters_new(dup(fd), 64));
	assert_null(counters_new(open("/dev/null", O_RDWR | O_CLOEXEC), 0));
	close(fd);
}

/* TLS-118: all processes begin with one secret; a newer one takes its place,
 * an older one never, and what is damaged is none. */
static void test_secret(void **state)
{
	int fd = counters_create();
	struct counters *one = counters_of(fd, 0);
	struct counters *other = counters_of(fd, 1);
	struct tls_ticket_secret first, next, got;
	char bytes[4096];
	ssize_t length;

	(void)state;
	memset(&first, 0, sizeof(first));
	assert_true(counters_read_secret(one, &first));
	assert_true(counters_read_secret(other, &got));
	assert_memory_equal(&first, &got, sizeof(got));
	next = first;
	next.epoch++;
	memset(next.bytes, 7, sizeof(next.bytes));
	counters_write_secret(one, &next);
	assert_true(counters_read_secret(other, &got));
	assert_memory_equal(got.bytes, next.bytes, sizeof(got.bytes));
	counters_write_secret(other, &first);	/* it is behind */
	assert_true(counters_read_secret(one, &got));
	assert_int_equal(got.epoch, next.epoch);
	/* Nothing is left of the first one. */
	length = pread(fd, bytes, sizeof(bytes), 0);
	assert_true(length > 0);
	assert_null(memmem(bytes, (size_t)length, first.bytes,
	    sizeof(first.bytes)));
	memset(bytes, 1, 512);
	assert_int_equal(pwrite(fd, bytes, 512, 0), 512);
	assert_false(counters_read_secret(one, &got));
	counters_free(one);
	counters_free(other);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sum),
		cmocka_unit_test(test_secret),
		cmocka_unit_test(test_restart),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_offers),
		cmocka_unit_test(test_size),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
