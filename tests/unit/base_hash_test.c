/* SPDX-License-Identifier: ISC */
/*
 * base/hash.c: SipHash-2-4 gives the numbers of its paper, and the table does
 * what a plain array would.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/hash.h"
#include "tests/unit/base_child.h"

enum { KEYS = 1500 };

/* Input 00 01 02 ... of that length, key 00 01 .. 0f. Length 15 is the example
 * of the paper's appendix A; all agree with OpenSSL's SIPHASH. */
static const struct {
	size_t		length;
	uint64_t	result;
} vectors[] = {
	{ 0, 0x726fdb47dd0e0e31 }, { 1, 0x74f839c593dc67fd },
	{ 2, 0x0d6c8009d9a94f5a }, { 3, 0x85676696d7fb7e2d },
	{ 4, 0xcf2794e0277187b7 }, { 5, 0x18765564cd99a68d },
	{ 6, 0xcbc9466e58fee3ce }, { 7, 0xab0200f58b01d137 },
	{ 8, 0x93f5f5799a932462 }, { 9, 0x9e0082df0ba9e4b0 },
	{ 10, 0x7a5dbbc594ddb9f3 }, { 11, 0xf4b32f46226bada7 },
	{ 12, 0x751e8fbc860ee5fb }, { 13, 0x14ea5627c0843d90 },
	{ 14, 0xf723ca908e7af2ee }, { 15, 0xa129ca6149be45e5 },
	{ 16, 0x3f2acc7f57c29bdb }, { 31, 0x32d892fad841c342 },
	{ 63, 0x958a324ceb064572 },
};

static void test_sip(void **unused)
{
	uint8_t key[16], data[64], shifted[65];
	size_t i;

	(void)unused;
	for (i = 0; i < sizeof(data); i++)
		data[i] = shifted[i + 1] = (uint8_t)i;
	memcpy(key, data, sizeof(key));
	for (i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
		assert_true(hash_sip(key, data, vectors[i].length) ==
		    vectors[i].result);
		assert_true(hash_sip(key, shifted + 1, vectors[i].length) ==
		    vectors[i].result);
	}
}

static void test_random_verbs(void **unused)
{
	static int values[KEYS];
	static void *model[KEYS];
	struct hash *hash = hash_new();
	size_t inside = 0, key;
	void *value;
	int round;

	(void)unused;
	srand(11);
	for (round = 0; round < 100000; round++) {
		key = (size_t)rand() % KEYS;
		value = &values[rand() % KEYS];
		/* Grows in the first half, empties in the second. */
		if ((rand() % 4 == 0) != (round > 50000)) {
			assert_ptr_equal(hash_remove_id(hash, key),
			    model[key]);
			inside -= model[key] != NULL;
			model[key] = NULL;
		} else {
			assert_ptr_equal(hash_put_id(hash, key, value),
			    model[key]);
			inside += model[key] == NULL;
			model[key] = value;
		}
		key = (size_t)rand() % KEYS;
		assert_ptr_equal(hash_find_id(hash, key), model[key]);
		assert_int_equal(hash_count(hash), inside);
	}
	hash_free(hash);
	hash_free(NULL);
}

static void test_keys(void **unused)
{
	struct hash *hash = hash_new();
	char key[] = "example.org";
	int one, two, three;

	(void)unused;
	assert_null(hash_find(hash, NULL, 0));
	assert_null(hash_put(hash, NULL, 0, &three));
	assert_ptr_equal(hash_find(hash, NULL, 0), &three);
	assert_ptr_equal(hash_find_text(hash, ""), &three);
	assert_null(hash_put_text(hash, key, &one));
	key[0] = 'X';			/* the table has a copy */
	assert_ptr_equal(hash_find_text(hash, "example.org"), &one);
	assert_null(hash_find_text(hash, "Xxample.org"));
	assert_null(hash_find_text(hash, "example.or"));
	assert_null(hash_put(hash, "a\0b", 3, &one));
	assert_null(hash_put(hash, "a\0c", 3, &two));
	assert_ptr_equal(hash_find(hash, "a\0b", 3), &one);
	assert_ptr_equal(hash_find(hash, "a\0c", 3), &two);
	assert_ptr_equal(hash_put_text(hash, "example.org", &two), &one);
	assert_ptr_equal(hash_remove_text(hash, "example.org"), &two);
	assert_null(hash_remove_text(hash, "example.org"));
	assert_int_equal(hash_count(hash), 3);
	hash_free(hash);
}

struct visit {
	struct hash	*hash;
	int		 seen[KEYS];
	size_t		 visits;
};

/* Removes every second entry while it is being visited. */
static void remove_odd(void *arg, const void *key, size_t length, void *value)
{
	struct visit *visit = arg;
	uint64_t id;

	assert_int_equal(length, sizeof(id));
	memcpy(&id, key, length);
	visit->seen[id]++;
	visit->visits++;
	if (id % 2 == 1)
		assert_ptr_equal(hash_remove_id(visit->hash, id), value);
}

static void test_visit(void **unused)
{
	static struct visit visit;
	size_t i;

	(void)unused;
	visit.hash = hash_new();
	for (i = 0; i < KEYS; i++)
		hash_put_id(visit.hash, i, &visit.seen[i]);
	hash_each(visit.hash, remove_odd, &visit);
	assert_int_equal(visit.visits, KEYS);
	for (i = 0; i < KEYS; i++)
		assert_int_equal(visit.seen[i], 1);
	assert_int_equal(hash_count(visit.hash), KEYS / 2);
	for (i = 0; i < KEYS; i++)
		assert_int_equal(hash_find_id(visit.hash, i) != NULL,
		    i % 2 == 0);
	hash_free(visit.hash);
}

struct scan {
	unsigned	 seen[KEYS];
	unsigned	 most, now;	/* entries in one call */
};

static void scan_one(void *arg, const void *key, size_t length, void *value)
{
	struct scan *scan = arg;

	(void)length;
	assert_memory_equal(key, &(uint64_t){ (uintptr_t)value - 1 },
	    sizeof(uint64_t));
	if ((uintptr_t)value <= KEYS)
		scan->seen[(uintptr_t)value - 1]++;
	if (++scan->now > scan->most)
		scan->most = scan->now;
}

static void *value_of(uint64_t key)
{
	return (void *)(uintptr_t)(key + 1);
}

/* Keys from KEYS up to this one, and no more. */
static uint64_t set_extra(struct hash *hash, uint64_t now, uint64_t wanted)
{
	for (; now < wanted; now++)
		hash_put_id(hash, now, value_of(now));
	for (; now > wanted; now--)
		hash_remove_id(hash, now - 1);
	return now;
}

/* Whatever comes, goes and resizes the table between the calls, what stays is
 * visited; no call visits much. */
static void test_scan(void **unused)
{
	static struct scan scan;
	struct hash *hash = hash_new();
	uint64_t cursor = 0, i, more = KEYS;
	int round, calls;

	(void)unused;
	for (i = 0; i < KEYS; i++)
		hash_put_id(hash, i, value_of(i));
	for (round = 0; round < 8; round++) {
		memset(&scan, 0, sizeof(scan));
		calls = 0;
		do {
			scan.now = 0;
			cursor = hash_scan(hash, cursor, scan_one, &scan);
			/* To eight times the keys and back, the sooner the
			 * later the round. */
			if (round > 0 && ++calls % (1 << (10 - round)) == 0)
				more = set_extra(hash, more, more == KEYS ?
				    8 * KEYS : KEYS);
		} while (cursor != 0);
		for (i = 0; i < KEYS; i++)
			assert_true(round > 0 ? scan.seen[i] >= 1 :
			    scan.seen[i] == 1);
		assert_in_range(scan.most, 1, 64);
		assert_true(round == 0 || calls > 1 << (10 - round));
	}
	hash_free(hash);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sip),
		cmocka_unit_test(test_random_verbs),
		cmocka_unit_test(test_keys),
		cmocka_unit_test(test_visit),
		cmocka_unit_test(test_scan),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
