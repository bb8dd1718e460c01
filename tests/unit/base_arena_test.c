/* SPDX-License-Identifier: ISC */
/*
 * base/arena.c: pieces are aligned, zeroed and apart from each other, and the
 * ceiling ends the process.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdalign.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/arena.h"
#include "tests/unit/base_child.h"

enum { PIECES = 400 };

/* Fills pieces of all sizes with their number, then looks at all again. */
static void fill_and_check(struct arena *arena)
{
	unsigned char *pieces[PIECES];
	size_t sizes[PIECES], i, j;

	for (i = 0; i < PIECES; i++) {
		sizes[i] = i % 7 == 0 ? i * 11 : i % 40;
		pieces[i] = arena_alloc(arena, sizes[i]);
		assert_int_equal((uintptr_t)pieces[i] % alignof(max_align_t),
		    0);
		for (j = 0; j < sizes[i]; j++)
			assert_int_equal(pieces[i][j], 0);
		memset(pieces[i], (int)(i % 255) + 1, sizes[i]);
	}
	for (i = 0; i < PIECES; i++)
		for (j = 0; j < sizes[i]; j++)
			assert_int_equal(pieces[i][j], i % 255 + 1);
}

static void test_pieces(void **unused)
{
	struct arena *arena = arena_new(1 << 20);
	size_t used;
	int round;

	(void)unused;
	fill_and_check(arena);
	used = arena_used(arena);
	for (round = 0; round < 3; round++) {
		arena_reset(arena);
		assert_int_equal(arena_used(arena), 0);
		/* Zeroed also in memory that was used before. */
		fill_and_check(arena);
		assert_int_equal(arena_used(arena), used);
	}
	arena_free(arena);
	arena_free(NULL);
}

static void test_large_piece(void **unused)
{
	struct arena *arena = arena_new(1 << 20);
	unsigned char *large, *small;

	(void)unused;
	small = arena_alloc(arena, 10);
	large = arena_alloc(arena, 500000);
	memset(large, 1, 500000);
	assert_int_equal(small[9], 0);
	memset(arena_alloc(arena, 10), 2, 10);
	assert_int_equal(large[499999], 1);
	assert_int_equal(arena_used(arena), 500020);
	arena_free(arena);
}

static void test_texts(void **unused)
{
	struct arena *arena = arena_new(10000);
	char *copy;

	(void)unused;
	assert_string_equal(arena_dup_string(arena, "gate"), "gate");
	assert_string_equal(arena_dup_text(arena, "gatehouse", 4), "gate");
	assert_string_equal(arena_dup_text(arena, NULL, 0), "");
	assert_string_equal(arena_print(arena, "%s=%d", "n", 12), "n=12");
	assert_string_equal(arena_print(arena, "%s", ""), "");
	copy = arena_dup(arena, "a\0b", 3);
	assert_memory_equal(copy, "a\0b", 3);
	assert_int_equal(strlen(arena_print(arena, "%05000d", 1)), 5000);
	arena_free(arena);
}

static void test_ceiling_is_exact(void **unused)
{
	struct arena *arena = arena_new(100);

	(void)unused;
	arena_alloc(arena, 60);
	arena_alloc(arena, 40);
	assert_int_equal(arena_used(arena), 100);
	arena_reset(arena);
	arena_alloc(arena, 100);
	arena_free(arena);
}

static void pass_ceiling(void)
{
	struct arena *arena = arena_new(100);

	arena_alloc(arena, 60);
	arena_alloc(arena, 41);
}

static void print_past_ceiling(void)
{
	arena_print(arena_new(100), "%0100d", 1);
}

static void overflow_array(void)
{
	arena_alloc_array(arena_new(100), SIZE_MAX / 4, 8);
}

static void test_misuse_is_a_bug(void **unused)
{
	(void)unused;
	assert_bug(pass_ceiling, "arena-ceiling");
	assert_bug(print_past_ceiling, "arena-ceiling");
	assert_bug(overflow_array, "arena-overflow");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pieces),
		cmocka_unit_test(test_large_piece),
		cmocka_unit_test(test_texts),
		cmocka_unit_test(test_ceiling_is_exact),
		cmocka_unit_test(test_misuse_is_a_bug),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
