/* SPDX-License-Identifier: ISC */
/*
 * base/wire.c: what is written is read back, and no cut, change or length of
 * the bytes leads outside of them.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/mem.h"
#include "base/wire.h"
#include "tests/unit/base_child.h"

enum { FIELDS_MAX = 40, FIELD_BYTES = 200 };

enum kind { KIND_U8, KIND_U16, KIND_U32, KIND_U64, KIND_BYTES, KIND_TEXT,
    KIND_ENUM, KINDS };

struct field {
	enum kind	 kind;
	uint64_t	 number;
	char		 bytes[FIELD_BYTES + 1];
	size_t		 length;
};

static uint64_t random_u64(void)
{
	return (uint64_t)rand() << 42 ^ (uint64_t)rand() << 21 ^
	    (uint64_t)rand();
}

static void make_field(struct field *field)
{
	static const uint64_t masks[KINDS] = { 0xff, 0xffff, 0xffffffff,
	    UINT64_MAX, 0, 0, 0x0f };
	size_t i;

	memset(field, 0, sizeof(*field));
	field->kind = (enum kind)(rand() % KINDS);
	field->number = random_u64() & masks[field->kind];
	field->length = (size_t)rand() % (FIELD_BYTES + 1);
	for (i = 0; i < field->length; i++)
		field->bytes[i] = field->kind == KIND_TEXT ?
		    (char)(1 + rand() % 255) : (char)rand();
}

static void put_field(struct wire_writer *writer, const struct field *field)
{
	switch (field->kind) {
	case KIND_U8: wire_put_u8(writer, (uint8_t)field->number); break;
	case KIND_U16: wire_put_u16(writer, (uint16_t)field->number); break;
	case KIND_U32: wire_put_u32(writer, (uint32_t)field->number); break;
	case KIND_U64: wire_put_u64(writer, field->number); break;
	case KIND_ENUM: wire_put_u8(writer, (uint8_t)field->number); break;
	case KIND_TEXT: wire_put_text(writer, field->bytes); break;
	default:
		wire_put_bytes(writer, field->bytes, field->length);
	}
}

/* True if the field that comes next is exactly this one. */
static bool same_field(struct wire_reader *reader, struct arena *arena,
    const struct field *field)
{
	const void *bytes;
	size_t length;

	switch (field->kind) {
	case KIND_U8: return wire_get_u8(reader) == field->number;
	case KIND_U16: return wire_get_u16(reader) == field->number;
	case KIND_U32: return wire_get_u32(reader) == field->number;
	case KIND_U64: return wire_get_u64(reader) == field->number;
	case KIND_ENUM: return wire_get_enum(reader, 16) == field->number;
	case KIND_TEXT:
		return strcmp(wire_get_text(reader, arena, FIELD_BYTES),
		    field->bytes) == 0;
	default:
		bytes = wire_get_bytes(reader, FIELD_BYTES, &length);
		return length == field->length &&
		    memcmp(bytes, field->bytes, length) == 0;
	}
}

/*
 * Reads count fields from the first cut bytes of a message of those fields and
 * perhaps more: right only if all is there and nothing is left over. The bytes
 * are in a block of just that size, so that AddressSanitizer sees any step
 * outside.
 */
static void check_cut(const char *data, size_t cut, size_t whole,
    const struct field *fields, size_t count)
{
	struct arena *arena = arena_new(1 << 16);
	char *copy = mem_dup(data, cut);
	struct wire_reader reader;
	size_t i, same = 0;

	wire_read_begin(&reader, copy, cut);
	for (i = 0; i < count; i++)
		same += same_field(&reader, arena, &fields[i]);
	if (cut == whole) {
		assert_int_equal(same, count);
		assert_int_equal(wire_read_end(&reader), 0);
	} else {
		assert_int_equal(wire_read_end(&reader), -1);
	}
	mem_free(copy);
	arena_free(arena);
}

static void test_round_trip_cut_everywhere(void **unused)
{
	struct field fields[FIELDS_MAX];
	struct wire_writer writer;
	struct buf buf;
	size_t count, i;
	unsigned seed;

	(void)unused;
	for (seed = 0; seed < 60; seed++) {
		srand(seed);
		buf_init(&buf, 1 << 16);
		wire_write_begin(&writer, &buf);
		count = (size_t)rand() % FIELDS_MAX;
		for (i = 0; i < count; i++) {
			make_field(&fields[i]);
			put_field(&writer, &fields[i]);
		}
		assert_int_equal(wire_write_end(&writer), 0);
		for (i = 0; i <= buf_length(&buf); i++)
			check_cut(buf_data(&buf), i, buf_length(&buf), fields,
			    count);
		/* One byte more than was read is bad too. */
		if (count > 0)
			check_cut(buf_data(&buf), buf_length(&buf),
			    SIZE_MAX, fields, count - 1);
		buf_release(&buf);
	}
}

/* Every byte of a message set to other values: anything but a crash. */
static void test_changed_bytes(void **unused)
{
	struct field fields[FIELDS_MAX];
	struct arena *arena = arena_new(1 << 20);
	struct wire_writer writer;
	struct wire_reader reader;
	struct buf buf;
	char *copy;
	size_t i, j;
	int change;

	(void)unused;
	srand(7);
	buf_init(&buf, 1 << 16);
	wire_write_begin(&writer, &buf);
	for (i = 0; i < FIELDS_MAX; i++) {
		make_field(&fields[i]);
		put_field(&writer, &fields[i]);
	}
	copy = mem_dup(buf_data(&buf), buf_length(&buf));
	for (i = 0; i < buf_length(&buf); i++) {
		for (change = 1; change < 256; change *= 2) {
			copy[i] ^= (char)change;
			arena_reset(arena);
			wire_read_begin(&reader, copy, buf_length(&buf));
			for (j = 0; j < FIELDS_MAX; j++)
				same_field(&reader, arena, &fields[j]);
			assert_true(reader.position <= reader.end);
			copy[i] ^= (char)change;
		}
	}
	mem_free(copy);
	arena_free(arena);
	buf_release(&buf);
}

static void test_layout(void **unused)
{
	static const char expected[] = "\x01" "\x02\x03" "\x04\x05\x06\x07"
	    "\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f" "\0\0\0\2hi" "\0\0\0\0";
	struct wire_writer writer;
	struct buf buf;

	(void)unused;
	buf_init(&buf, 1000);
	wire_write_begin(&writer, &buf);
	wire_put_u8(&writer, 0x01);
	wire_put_u16(&writer, 0x0203);
	wire_put_u32(&writer, 0x04050607);
	wire_put_u64(&writer, 0x08090a0b0c0d0e0f);
	wire_put_text(&writer, "hi");
	wire_put_text(&writer, NULL);
	assert_int_equal(wire_write_end(&writer), 0);
	assert_int_equal(buf_length(&buf), sizeof(expected) - 1);
	assert_memory_equal(buf_data(&buf), expected, sizeof(expected) - 1);
	buf_release(&buf);
}

/* Once the ceiling is passed nothing is added, not even what would fit. */
static void test_writer_ceiling(void **unused)
{
	struct wire_writer writer;
	struct buf buf;

	(void)unused;
	buf_init(&buf, 10);
	wire_write_begin(&writer, &buf);
	wire_put_u32(&writer, 1);
	wire_put_bytes(&writer, "abc", 3);
	assert_int_equal(buf_length(&buf), 4);
	wire_put_u8(&writer, 1);
	assert_int_equal(buf_length(&buf), 4);
	assert_int_equal(wire_write_end(&writer), -1);
	wire_write_begin(&writer, &buf);
	wire_put_u64(&writer, 1);
	assert_int_equal(wire_write_end(&writer), -1);
	wire_write_begin(&writer, &buf);
	wire_put_bytes(&writer, "ab", 2);
	assert_int_equal(wire_write_end(&writer), 0);
	assert_int_equal(buf_length(&buf), 10);
	buf_release(&buf);
}

static const struct {
	const char	*bytes;
	size_t		 length;
	size_t		 max;
	const char	*text;
	bool		 good;
} texts[] = {
	{ "\0\0\0\3abc", 7, 3, "abc", true },
	{ "\0\0\0\0", 4, 0, "", true },
	{ "\0\0\0\3abc", 7, 2, "", false },		/* above max */
	{ "\0\0\0\3a\0c", 7, 3, "", false },		/* NUL inside */
	{ "\0\0\0\3ab", 6, 3, "", false },		/* short */
	{ "\xff\xff\xff\xff" "abc", 7, SIZE_MAX, "", false },
	{ "\x80\0\0\0" "abc", 7, SIZE_MAX, "", false },
	{ "\0\0\0", 3, 3, "", false },
	{ "", 0, 3, "", false },
	{ "\0\0\0\3abcd", 8, 3, "abc", false },		/* left over */
};

static void test_texts(void **unused)
{
	struct arena *arena = arena_new(1000);
	struct wire_reader reader;
	char array[11];
	size_t size, i;

	(void)unused;
	for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		wire_read_begin(&reader, texts[i].bytes, texts[i].length);
		assert_string_equal(wire_get_text(&reader, arena,
		    texts[i].max), texts[i].text);
		assert_int_equal(wire_read_end(&reader),
		    texts[i].good ? 0 : -1);
		size = texts[i].max < 10 ? texts[i].max + 1 : 10;
		memset(array, 'x', sizeof(array));
		wire_read_begin(&reader, texts[i].bytes, texts[i].length);
		wire_copy_text(&reader, array, size);
		assert_string_equal(array, texts[i].text);
		assert_int_equal(array[size], 'x');
		assert_int_equal(wire_read_end(&reader),
		    texts[i].good ? 0 : -1);
	}
	arena_free(arena);
}

/* A bad reader gives nothing and allocates nothing, however often asked. */
static void test_bad_stays_bad(void **unused)
{
	struct arena *arena = arena_new(1);
	struct wire_reader reader;
	size_t length = 99, i;

	(void)unused;
	wire_read_begin(&reader, "\x05\x01\x01\x01\x01\x01", 6);
	assert_int_equal(wire_get_enum(&reader, 5), 0);
	assert_true(reader.bad);
	for (i = 0; i < 1000; i++)
		assert_string_equal(wire_get_text(&reader, arena, 10), "");
	assert_int_equal(wire_get_u8(&reader), 0);
	assert_int_equal(wire_get_u16(&reader), 0);
	assert_int_equal(wire_get_u32(&reader), 0);
	assert_int_equal(wire_get_u64(&reader), 0);
	assert_non_null(wire_get_bytes(&reader, 10, &length));
	assert_int_equal(length, 0);
	assert_int_equal(wire_read_end(&reader), -1);
	arena_free(arena);
}

static void test_enum(void **unused)
{
	struct wire_reader reader;

	(void)unused;
	wire_read_begin(&reader, "\x04", 1);
	assert_int_equal(wire_get_enum(&reader, 5), 4);
	assert_int_equal(wire_read_end(&reader), 0);
	wire_read_begin(&reader, NULL, 0);
	assert_int_equal(wire_read_end(&reader), 0);
	assert_int_equal(wire_get_enum(&reader, 5), 0);
	assert_int_equal(wire_read_end(&reader), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip_cut_everywhere),
		cmocka_unit_test(test_changed_bytes),
		cmocka_unit_test(test_layout),
		cmocka_unit_test(test_writer_ceiling),
		cmocka_unit_test(test_texts),
		cmocka_unit_test(test_bad_stays_bad),
		cmocka_unit_test(test_enum),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
