/* SPDX-License-Identifier: ISC */
/*
 * Reads fields of an arbitrary message in an arbitrary order. The input is the
 * number of fields, one byte of kind and limit for each, then the message.
 * What was read without complaint is written again and must give the same
 * bytes: no two messages mean the same.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/wire.h"

enum { FIELDS_MAX = 64, ARENA_BYTES = 1 << 20 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int is_right)
{
	if (!is_right)
		abort();
}

static void copy_bytes(struct wire_reader *reader, struct wire_writer *writer,
    size_t max)
{
	const uint8_t *begin = reader->position, *end = reader->end;
	const uint8_t *field;
	size_t length;

	field = wire_get_bytes(reader, max, &length);
	check(field != NULL && length <= max);
	if (length > 0)
		check(field >= begin && field + length <= end);
	wire_put_bytes(writer, field, length);
}

static void copy_text(struct wire_reader *reader, struct wire_writer *writer,
    struct arena *arena, size_t max)
{
	const char *text = wire_get_text(reader, arena, max);

	check(strlen(text) <= max);
	wire_put_text(writer, text);
}

/* Reads one field and writes it. */
static void copy_field(struct wire_reader *reader, struct wire_writer *writer,
    struct arena *arena, uint8_t kind)
{
	size_t max = (size_t)1 << (kind >> 4);

	switch (kind % 7) {
	case 0: wire_put_u8(writer, wire_get_u8(reader)); break;
	case 1: wire_put_u16(writer, wire_get_u16(reader)); break;
	case 2: wire_put_u32(writer, wire_get_u32(reader)); break;
	case 3: wire_put_u64(writer, wire_get_u64(reader)); break;
	case 4:
		wire_put_u8(writer, (uint8_t)wire_get_enum(reader,
		    1 + (kind >> 4)));
		break;
	case 5: copy_bytes(reader, writer, max); break;
	default: copy_text(reader, writer, arena, max); break;
	}
}

static void copy_message(const uint8_t *kinds, size_t count,
    const uint8_t *message, size_t size)
{
	struct arena *arena = arena_new(ARENA_BYTES);
	struct wire_reader reader;
	struct wire_writer writer;
	struct buf copy;
	size_t i, used;
	bool was_bad;

	buf_init(&copy, size);
	wire_read_begin(&reader, message, size);
	wire_write_begin(&writer, &copy);
	for (i = 0; i < count; i++) {
		was_bad = reader.bad;
		copy_field(&reader, &writer, arena, kinds[i]);
		check(reader.position <= reader.end);
		check(!was_bad || reader.bad);
	}
	if (!reader.bad) {
		used = size - (size_t)(reader.end - reader.position);
		check(wire_write_end(&writer) == 0);
		check(buf_length(&copy) == used);
		check(used == 0 || memcmp(buf_data(&copy), message, used) == 0);
		check(wire_read_end(&reader) == (used == size ? 0 : -1));
	} else {
		check(wire_read_end(&reader) == -1);
	}
	buf_release(&copy);
	arena_free(arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t count;

	if (size == 0)
		return 0;
	count = data[0] % FIELDS_MAX;
	if (size < 1 + count)
		return 0;
	copy_message(data + 1, count, data + 1 + count, size - 1 - count);
	return 0;
}
