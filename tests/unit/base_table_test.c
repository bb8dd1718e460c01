/* SPDX-License-Identifier: ISC */
/*
 * base/table.c: what was written is found, and a file that is cut, changed or
 * something else is refused whole, never half believed; what happens to the
 * file afterwards is of no matter to who has the table.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/table.h"
#include "tests/scratch.h"

enum { ENTRIES = 500 };

static char folder[200], path[300];

static struct table *make(unsigned count)
{
	struct table_writer *writer = table_writer_new("users", "/the/text");
	struct table *table;
	const char *why = "";
	char key[32], value[32];

	for (unsigned i = 0; i < count; i++) {
		snprintf(key, sizeof(key), "key%u", i);
		snprintf(value, sizeof(value), "value%u", i * i);
		table_writer_add(writer, key, strlen(key), value,
		    strlen(value));
	}
	table = table_writer_end(writer, &why);
	if (table == NULL)
		fail_msg("%s", why);
	return table;
}

/* Over the file that is there. */
static void overwrite(const void *data, size_t length)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd != -1);
	assert_int_equal(write(fd, data, length), (ssize_t)length);
	close(fd);
}

/* A new file; some file systems write one that is cut to the disk at once. */
static void put(const void *data, size_t length)
{
	unlink(path);
	overwrite(data, length);
}

/* Every entry is there, and in its order; nothing else is. */
static void check(const struct table *table, unsigned count)
{
	static const char *const others[] = { "key", "key00", "key500", "",
	    "\0postern", "KEY1" };
	struct table_entry entry;
	uint32_t position = 0;
	char key[32], value[32];

	assert_int_equal(table_count(table), count);
	assert_string_equal(table_kind(table), "users");
	assert_string_equal(table_source(table), "/the/text");
	for (unsigned i = 0; i < count; i++) {
		snprintf(key, sizeof(key), "key%u", i);
		snprintf(value, sizeof(value), "value%u", i * i);
		assert_int_equal(table_find(table, key, strlen(key), &entry),
		    TABLE_FOUND);
		assert_int_equal(entry.length, strlen(value));
		assert_memory_equal(entry.value, value, strlen(value));
		assert_int_equal(table_next(table, &position, &entry),
		    TABLE_FOUND);
		assert_int_equal(entry.key_length, strlen(key));
		assert_memory_equal(entry.key, key, strlen(key));
	}
	assert_int_equal(table_next(table, &position, &entry), TABLE_NONE);
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		assert_int_equal(table_find(table, others[i],
		    i == 4 ? 8 : strlen(others[i]), &entry), TABLE_NONE);
}

static void test_find(void **state)
{
	static const unsigned counts[] = { 0, 1, ENTRIES };
	char key[TABLE_KEY_MAX + 1];
	struct table_entry entry;
	const char *why;

	(void)state;
	memset(key, 'k', sizeof(key));
	for (size_t i = 0; i < 3; i++) {
		struct table *table = make(counts[i]), *loaded;
		struct stat status;

		check(table, counts[i]);
		assert_int_equal(table_find(table, key, sizeof(key), &entry),
		    TABLE_NONE);
		put(table_data(table), table_bytes(table));
		table_release(table);
		loaded = table_load(path, &status, &why);
		assert_non_null(loaded);
		assert_int_equal(status.st_size, table_bytes(loaded));
		check(loaded, counts[i]);
		table_release(table_hold(loaded));
		check(loaded, counts[i]);
		table_release(loaded);
	}
}

/* The same text makes the same file. */
static void test_same(void **state)
{
	struct table *one = make(ENTRIES), *other = make(ENTRIES);

	(void)state;
	assert_int_equal(table_bytes(one), table_bytes(other));
	assert_memory_equal(table_data(one), table_data(other),
	    table_bytes(one));
	table_release(one);
	table_release(other);
}

/* Lengths that are less, and bytes that are others. */
static void test_damaged(void **state)
{
	struct table *table = make(20), *loaded;
	size_t length = table_bytes(table);
	char *data = mem_dup(table_data(table), length);
	const char *why;

	(void)state;
	for (size_t i = 0; i < length; i += i < 2040 ? 97 : 7) {
		put(data, i);
		why = NULL;
		loaded = table_load(path, NULL, &why);
		assert_null(loaded);
		assert_non_null(why);
	}
	for (size_t i = 0; i < length; i += i < 2040 ? 61 : 3) {
		data[i] ^= 0x10;
		put(data, length);
		loaded = table_load(path, NULL, &why);
		if (loaded != NULL)
			fail_msg("a change at %zu is not seen", i);
		data[i] ^= 0x10;
	}
	put(data, length);
	loaded = table_load(path, NULL, &why);
	check(loaded, 20);
	table_release(loaded);
	table_release(table);
	mem_free(data);
}

/* Cut to nothing, then filled with other bytes, under whoever has it. */
static void test_file_changes(void **state)
{
	struct table *table = make(ENTRIES), *loaded;
	const char *why;
	char *junk;

	(void)state;
	put(table_data(table), table_bytes(table));
	loaded = table_load(path, NULL, &why);
	assert_non_null(loaded);
	assert_int_equal(truncate(path, 0), 0);
	check(loaded, ENTRIES);
	junk = mem_alloc(table_bytes(table));
	memset(junk, 0xa5, table_bytes(table));
	overwrite(junk, table_bytes(table));
	check(loaded, ENTRIES);
	unlink(path);
	check(loaded, ENTRIES);
	table_release(loaded);
	table_release(table);
	mem_free(junk);
}

/* Nobody who has the descriptor can change it, either. */
static void test_sealed(void **state)
{
	struct table *table = make(3), *other;
	int fd = table_descriptor(table), copy;
	char again[40];
	const char *why;

	(void)state;
	assert_int_equal(write(fd, "x", 1), -1);
	assert_int_equal(ftruncate(fd, 100), -1);
	snprintf(again, sizeof(again), "/proc/self/fd/%d", fd);
	copy = open(again, O_RDWR | O_CLOEXEC);
	if (copy != -1) {
		assert_int_equal(write(copy, "x", 1), -1);
		assert_int_equal(ftruncate(copy, 100), -1);
		close(copy);
	}
	other = table_open(dup(fd), &why);
	check(other, 3);
	table_release(other);
	/* A file, or memory that is not sealed, is not mapped. */
	put(table_data(table), table_bytes(table));
	assert_null(table_open(open(path, O_RDONLY | O_CLOEXEC), &why));
	copy = memfd_create("open", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	assert_int_equal(write(copy, table_data(table), table_bytes(table)),
	    (ssize_t)table_bytes(table));
	assert_null(table_open(copy, &why));
	assert_string_equal(why, "its memory is not sealed");
	table_release(table);
}

static void test_not_a_table(void **state)
{
	static const char text[4000] = "alice\nbob\n";
	const char *why = "";

	(void)state;
	unlink(path);
	assert_null(table_load(path, NULL, &why));
	assert_string_equal(why, strerror(ENOENT));
	put(text, sizeof(text));
	assert_null(table_load(path, NULL, &why));
	assert_non_null(strstr(why, "no table of Postern's"));
	assert_null(table_load(folder, NULL, &why));
	assert_string_equal(why, "it is not a regular file");
	unlink(path);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_null(table_load(path, NULL, &why));
	assert_string_equal(why, "it is not a regular file");
	unlink(path);
	assert_true(table_is_path("/etc/a.cdb"));
	assert_false(table_is_path(".cdb"));
	assert_false(table_is_path("/etc/a.cdb.new"));
	assert_false(table_is_path("/etc/aliases"));
	assert_false(table_is_path(""));
}

/* What fits its own digest and yet leads nowhere is no crash: the lengths of
 * each record, and each place in the index, are set to what they must not be. */
static void test_forged(void **state)
{
	static const uint32_t values[] = { 0, 2047, 0xffffff00, 0xffffffff };
	struct table *table = make(8);
	size_t length = table_bytes(table), opened = 0;
	uint8_t *data = mem_dup(table_data(table), length);
	const char *why;

	(void)state;
	for (size_t i = 0; i + 4 <= length; i += i < 2040 ? 36 : 2) {
		uint8_t kept[4];

		memcpy(kept, data + i, 4);
		for (size_t v = 0; v < sizeof(values) / sizeof(values[0]);
		    v++) {
			struct table_entry entry;
			uint32_t position = 0, steps = 0;
			struct table *forged;

			for (int k = 0; k < 4; k++)
				data[i + (size_t)k] =
				    (uint8_t)(values[v] >> (8 * k));
			forged = table_open_bytes(data, length, &why);
			if (forged == NULL)
				continue;
			opened++;
			(void)table_find(forged, "key3", 4, &entry);
			while (table_next(forged, &position, &entry) ==
			    TABLE_FOUND)
				if (++steps > length)
					fail_msg("without end: %zu", i);
			table_release(forged);
		}
		memcpy(data + i, kept, 4);
	}
	assert_true(opened > 100);
	table_release(table);
	mem_free(data);
}

/* More than may be is said, and nothing comes of it. */
static void test_too_much(void **state)
{
	struct table_writer *writer = table_writer_new("users", "/x");
	char *value = mem_alloc(TABLE_VALUE_MAX + 1);
	const char *why = "";

	(void)state;
	table_writer_add(writer, "a", 1, value, TABLE_VALUE_MAX + 1);
	table_writer_add(writer, "b", 1, value, 1);
	assert_null(table_writer_end(writer, &why));
	assert_string_equal(why, "it would be larger than 512M");
	mem_free(value);
}

static int begin(void **state)
{
	(void)state;
	if (scratch_make(folder, sizeof(folder), "table") == -1)
		return -1;
	snprintf(path, sizeof(path), "%s/a.cdb", folder);
	return 0;
}

static int end(void **state)
{
	(void)state;
	return scratch_remove(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_find),
		cmocka_unit_test(test_same),
		cmocka_unit_test(test_damaged),
		cmocka_unit_test(test_file_changes),
		cmocka_unit_test(test_sealed),
		cmocka_unit_test(test_not_a_table),
		cmocka_unit_test(test_forged),
		cmocka_unit_test(test_too_much),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
