/* SPDX-License-Identifier: ISC */
/*
 * Spools against plain memory, on the heap and in a file; the ceiling over all
 * of them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/log.h"
#include "base/mem.h"
#include "smtpd/spool.h"

enum { MEMORY = 300 << 10, PIECE = 10007 };

static char bytes[MEMORY], out[MEMORY];

static void check(const struct spool *spool, const char *wanted, size_t length)
{
	size_t at = 0, got;

	assert_int_equal(spool_length(spool), length);
	while ((got = spool_read(spool, at, out + at, PIECE)) > 0)
		at += got;
	assert_int_equal(at, length);
	assert_memory_equal(out, wanted, length);
	if (length > 2) {
		assert_int_equal(spool_read(spool, length - 2, out, PIECE), 2);
		assert_memory_equal(out, wanted + length - 2, 2);
	}
	assert_int_equal(spool_read(spool, length, out, 1), 0);
	assert_int_equal(spool_read(spool, length + 5, out, 1), 0);
}

/* Of every size around the change from heap to file. */
static void keeps_what_it_gets(void **unused)
{
	static const size_t sizes[] = { 0, 1, PIECE, SPOOL_HEAP_MAX - 1,
	    SPOOL_HEAP_MAX, SPOOL_HEAP_MAX + 1, 3 * SPOOL_HEAP_MAX, MEMORY };

	(void)unused;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct spool *spool = spool_new(UINT64_MAX);

		for (size_t at = 0; at < sizes[i]; at += PIECE)
			assert_int_equal(spool_add(spool, bytes + at,
			    sizes[i] - at < PIECE ? sizes[i] - at : PIECE), 0);
		check(spool, bytes, sizes[i]);
		assert_int_equal(spool_total(), sizes[i]);
		spool_free(spool);
		assert_int_equal(spool_total(), 0);
	}
}

static void drops(void **unused)
{
	static const size_t sizes[] = { 100, SPOOL_HEAP_MAX, MEMORY };
	static const struct { unsigned from, part; } cuts[] = { { 0, 10 },
	    { 5, 1 }, { 0, 1 }, { 9, 10 }, { 3, 3 } };
	static char wanted[MEMORY];

	(void)unused;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		for (size_t c = 0; c < sizeof(cuts) / sizeof(cuts[0]); c++) {
			struct spool *spool = spool_new(UINT64_MAX);
			size_t size = sizes[i];
			size_t from = size * cuts[c].from / 10;
			size_t length = (size - from) / cuts[c].part;

			spool_add(spool, bytes, size);
			spool_drop(spool, from, length);
			memcpy(wanted, bytes, from);
			memcpy(wanted + from, bytes + from + length,
			    size - from - length);
			check(spool, wanted, size - length);
			/* And goes on behind it. */
			spool_add(spool, "end", 3);
			memcpy(wanted + size - length, "end", 3);
			if (size - length + 3 <= MEMORY)
				check(spool, wanted, size - length + 3);
			assert_int_equal(spool_total(), size - length + 3);
			spool_free(spool);
		}
	}
	assert_int_equal(spool_total(), 0);
}

/* One ceiling for all; who is refused keeps what there was. */
static void ceiling_over_all(void **unused)
{
	struct spool *one = spool_new(MEMORY), *other = spool_new(MEMORY);

	(void)unused;
	assert_int_equal(spool_add(one, bytes, MEMORY - 100), 0);
	assert_int_equal(spool_add(other, bytes, 101), -1);
	assert_int_equal(spool_add(other, bytes, 100), 0);
	assert_int_equal(spool_add(one, bytes, 1), -1);
	check(other, bytes, 100);
	check(one, bytes, MEMORY - 100);
	spool_free(one);
	assert_int_equal(spool_add(other, bytes + 100, 900), 0);
	check(other, bytes, 1000);
	spool_free(other);
	spool_free(NULL);
	assert_int_equal(spool_total(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keeps_what_it_gets),
		cmocka_unit_test(drops),
		cmocka_unit_test(ceiling_over_all),
	};

	log_init("test", LOG_LEVEL_ERROR);
	for (size_t i = 0; i < MEMORY; i++)
		bytes[i] = (char)(i * 7 + i / 251);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
