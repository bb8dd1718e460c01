/* SPDX-License-Identifier: ISC */
/*
 * base/buf.c: the contents are what a plain model says, whatever the order of
 * additions and consumptions, and the ceiling holds.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/mem.h"
#include "tests/unit/base_child.h"

static void check(const struct buf *buf, const char *expected)
{
	assert_int_equal(buf_length(buf), strlen(expected));
	assert_memory_equal(buf_data(buf), expected, strlen(expected));
}

static void test_empty(void **unused)
{
	struct buf buf;
	char *text;

	(void)unused;
	buf_init(&buf, 10);
	assert_non_null(buf_data(&buf));
	assert_int_equal(buf_length(&buf), 0);
	assert_int_equal(buf_room(&buf), 10);
	assert_int_equal(buf_find(&buf, 'x', 0), -1);
	assert_int_equal(buf_add(&buf, NULL, 0), 0);
	buf_consume(&buf, 0);
	buf_truncate(&buf, 0);
	assert_string_equal(buf_string(&buf), "");
	text = buf_take(&buf);
	assert_string_equal(text, "");
	mem_free(text);
	buf_wipe(&buf);
	buf_release(&buf);
}

/* Is the word anywhere in the memory? */
static bool holds(const char *memory, size_t size, const char *word)
{
	size_t length = strlen(word);

	for (size_t i = 0; memory != NULL && i + length <= size; i++)
		if (memcmp(memory + i, word, length) == 0)
			return true;
	return false;
}

static bool is_kept(const struct buf *buf, const char *word)
{
	return holds(buf->memory, buf->size, word);
}

/* What is gone from a buffer of secrets is gone from its memory. */
static void test_secret(void **unused)
{
	struct buf buf;
	char *memory;

	(void)unused;
	buf_init(&buf, 1 << 20);
	buf_keep_secret(&buf);
	buf_add_string(&buf, "AUTH first");
	buf_add_string(&buf, "second");
	buf_consume(&buf, 10);
	check(&buf, "second");
	assert_false(is_kept(&buf, "first"));
	assert_true(is_kept(&buf, "second"));
	/* The live bytes move to the front. */
	buf_reset(&buf);
	assert_false(is_kept(&buf, "second"));
	for (int i = 0; i < 10; i++)
		buf_add_string(&buf, "0123456789abcdefghij");
	buf_add_string(&buf, "third");
	buf_consume(&buf, 200);
	memory = buf.memory;
	assert_non_null(buf_reserve(&buf, 100));
	assert_ptr_equal(buf.memory, memory);
	check(&buf, "third");
	assert_false(holds(buf.memory + 5, buf.size - 5, "third"));
	buf_truncate(&buf, 0);
	assert_false(is_kept(&buf, "third"));
	/* Also of its next memory. */
	buf_release(&buf);
	buf_add_string(&buf, "fourth");
	buf_consume(&buf, 6);
	assert_false(is_kept(&buf, "fourth"));
	buf_release(&buf);
	/* Others do not pay for it. */
	buf_init(&buf, 100);
	buf_add_string(&buf, "fifth");
	buf_consume(&buf, 5);
	assert_true(is_kept(&buf, "fifth"));
	buf_release(&buf);
}

static void test_ceiling(void **unused)
{
	struct buf buf;

	(void)unused;
	buf_init(&buf, 8);
	assert_int_equal(buf_add_string(&buf, "12345678"), 0);
	assert_int_equal(buf_add_byte(&buf, '9'), -1);
	assert_int_equal(buf_add_string(&buf, "9"), -1);
	assert_int_equal(buf_print(&buf, "%d", 9), -1);
	assert_null(buf_reserve(&buf, 1));
	check(&buf, "12345678");
	assert_string_equal(buf_string(&buf), "12345678");
	buf_consume(&buf, 3);
	assert_int_equal(buf_room(&buf), 3);
	assert_int_equal(buf_add_string(&buf, "abcd"), -1);
	assert_int_equal(buf_print(&buf, "%s", "abcd"), -1);
	check(&buf, "45678");
	assert_int_equal(buf_print(&buf, "%s", "abc"), 0);
	check(&buf, "45678abc");
	assert_string_equal(buf_string(&buf), "45678abc");
	assert_null(buf_reserve(&buf, SIZE_MAX));
	assert_int_equal(buf_add(&buf, "", SIZE_MAX), -1);
	buf_release(&buf);

	buf_init(&buf, 0);
	assert_int_equal(buf_add_byte(&buf, 'x'), -1);
	assert_int_equal(buf_print(&buf, "%s", ""), 0);
	assert_string_equal(buf_string(&buf), "");
	buf_release(&buf);
}

static void test_memory_is_bounded(void **unused)
{
	struct buf buf;
	size_t i;

	(void)unused;
	buf_init(&buf, 1000);
	for (i = 0; i < 100000; i++) {
		if (buf_room(&buf) < 100)
			buf_consume(&buf, 150);
		assert_int_equal(buf_print(&buf, "%0100zu", i), 0);
		assert_true(buf.size <= 2 * 1000 + 1);
	}
	buf_release(&buf);
}

static void test_cut_patch_find(void **unused)
{
	struct buf buf;
	char *text;

	(void)unused;
	buf_init(&buf, 100);
	buf_add_string(&buf, "one\ntwo\n");
	assert_int_equal(buf_find(&buf, '\n', 0), 3);
	assert_int_equal(buf_find(&buf, '\n', 4), 7);
	assert_int_equal(buf_find(&buf, '\n', 8), -1);
	assert_int_equal(buf_find(&buf, '\n', 1000), -1);
	buf_consume(&buf, 4);
	assert_int_equal(buf_find(&buf, '\n', 0), 3);
	buf_patch(&buf, 1, "WO", 2);
	check(&buf, "tWO\n");
	buf_truncate(&buf, 3);
	check(&buf, "tWO");
	text = buf_take(&buf);
	assert_string_equal(text, "tWO");
	mem_free(text);
	check(&buf, "");
	buf_add_string(&buf, "again");
	buf_reset(&buf);
	check(&buf, "");
	memcpy(buf_reserve(&buf, 50), "read", 4);
	buf_commit(&buf, 4);
	check(&buf, "read");
	buf_wipe(&buf);
	check(&buf, "");
}

/* Random verbs on a buffer and on a flat array that nobody can get wrong. */
static void run_model(unsigned seed, size_t max)
{
	char *model = mem_alloc(max + 1);
	size_t length = 0, step, i;
	struct buf buf;
	char piece[300];

	srand(seed);
	buf_init(&buf, max);
	for (i = 0; i < 3000; i++) {
		step = (size_t)rand() % sizeof(piece);
		memset(piece, 'a' + rand() % 26, sizeof(piece));
		if (rand() % 2 == 0) {
			step = length > 0 ? step % (length + 1) : 0;
			buf_consume(&buf, step);
			memmove(model, model + step, length - step);
			length -= step;
		} else if (buf_add(&buf, piece, step) == 0) {
			assert_true(length + step <= max);
			memcpy(model + length, piece, step);
			length += step;
		} else {
			assert_true(length + step > max);
		}
		assert_int_equal(buf_length(&buf), length);
		assert_int_equal(buf_room(&buf), max - length);
		assert_memory_equal(buf_data(&buf), model, length);
	}
	buf_release(&buf);
	mem_free(model);
}

static void test_against_model(void **unused)
{
	static const size_t ceilings[] = { 1, 255, 256, 257, 1000, 100000 };
	size_t i;

	(void)unused;
	for (i = 0; i < sizeof(ceilings) / sizeof(ceilings[0]); i++)
		run_model((unsigned)i, ceilings[i]);
}

static void consume_too_much(void)
{
	struct buf buf;

	buf_init(&buf, 10);
	buf_add_string(&buf, "abc");
	buf_consume(&buf, 4);
}

static void truncate_to_more(void)
{
	struct buf buf;

	buf_init(&buf, 10);
	buf_truncate(&buf, 1);
}

static void commit_too_much(void)
{
	struct buf buf;

	buf_init(&buf, 10);
	buf_reserve(&buf, 10);
	buf_commit(&buf, 11);
}

static void patch_outside(void)
{
	struct buf buf;

	buf_init(&buf, 10);
	buf_add_string(&buf, "abc");
	buf_patch(&buf, 2, "xy", 2);
}

static void test_misuse_is_a_bug(void **unused)
{
	(void)unused;
	assert_bug(consume_too_much, "consume-too-much");
	assert_bug(truncate_to_more, "truncate-to-more");
	assert_bug(commit_too_much, "commit-beyond-reserve");
	assert_bug(patch_outside, "patch-outside");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_secret),
		cmocka_unit_test(test_ceiling),
		cmocka_unit_test(test_memory_is_bounded),
		cmocka_unit_test(test_cut_patch_find),
		cmocka_unit_test(test_against_model),
		cmocka_unit_test(test_misuse_is_a_bug),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
