/* SPDX-License-Identifier: ISC */
/*
 * base/mem.c: allocation never returns null and never returns too little.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/mem.h"
#include "tests/unit/base_child.h"

/* Under AddressSanitizer a refused allocation is to return null as malloc
 * does, instead of ending the process there. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "allocator_may_return_null=1";
}

static volatile size_t huge = SIZE_MAX / 2;

static void alloc_huge(void)
{
	mem_free(mem_alloc(huge));
}

static void alloc_array_overflow(void)
{
	mem_free(mem_alloc_array(huge, 4));
}

static void resize_overflow(void)
{
	mem_free(mem_resize(NULL, 4, huge));
}

static void resize_huge(void)
{
	mem_free(mem_resize(mem_alloc(1), huge, 1));
}

static void test_exhaustion_ends_the_process(void **unused)
{
	(void)unused;
	assert_fatal(alloc_huge, "memory error=\"Cannot allocate memory\"");
	assert_fatal(resize_huge, "memory error=\"Cannot allocate memory\"");
	assert_fatal(alloc_array_overflow, "error=\"size overflow\"");
	assert_fatal(resize_overflow, "error=\"size overflow\"");
}

static void test_memory_is_zeroed(void **unused)
{
	static const unsigned char zeros[4096];
	size_t sizes[] = { 1, 17, sizeof(zeros) };
	size_t i;
	void *memory;

	(void)unused;
	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		/* Dirty what the allocator is likely to give next. */
		memory = mem_resize(NULL, sizes[i], 1);
		memset(memory, 0xa5, sizes[i]);
		mem_free(memory);
		memory = mem_alloc(sizes[i]);
		assert_memory_equal(memory, zeros, sizes[i]);
		mem_free(memory);
	}
	memory = mem_alloc_array(64, 64);
	assert_memory_equal(memory, zeros, sizeof(zeros));
	mem_free(memory);
}

static void test_nothing_is_something(void **unused)
{
	void *memory;

	(void)unused;
	memory = mem_alloc(0);
	assert_non_null(memory);
	memory = mem_resize(memory, 0, 8);
	assert_non_null(memory);
	mem_free(memory);
	memory = mem_dup(NULL, 0);
	assert_non_null(memory);
	mem_free(memory);
	memory = mem_alloc_array(0, 0);
	assert_non_null(memory);
	mem_free(memory);
	mem_free(NULL);
	mem_free_secret(NULL);
	mem_wipe(NULL, 0);
}

static void test_copies(void **unused)
{
	char *text;

	(void)unused;
	text = mem_dup("ab\0cd", 5);
	assert_memory_equal(text, "ab\0cd", 5);
	text = mem_resize(text, 1000, 1);
	assert_memory_equal(text, "ab\0cd", 5);
	mem_free(text);
	text = mem_dup_string("postern");
	assert_string_equal(text, "postern");
	mem_free_secret(text);
	assert_null(mem_dup_string(NULL));
	text = mem_print("%s-%d", "gate", 7);
	assert_string_equal(text, "gate-7");
	mem_free(text);
}

static void test_wipe(void **unused)
{
	char secret[] = "swordfish";
	static const char wiped[sizeof(secret)];

	(void)unused;
	mem_wipe(secret, sizeof(secret));
	assert_memory_equal(secret, wiped, sizeof(secret));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_exhaustion_ends_the_process),
		cmocka_unit_test(test_memory_is_zeroed),
		cmocka_unit_test(test_nothing_is_something),
		cmocka_unit_test(test_copies),
		cmocka_unit_test(test_wipe),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
