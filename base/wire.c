/* SPDX-License-Identifier: ISC */
/*
 * Fields in big-endian order. A writer that failed adds nothing more; a reader
 * that went bad stands at its end, so that every later read finds nothing and
 * loops over a hostile count do no work that costs.
 */
#include "base/wire.h"

#include <endian.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"

/* What texts are when they are empty or bad: hostile input allocates nothing
 * this way. Nobody has a byte to write into. */
static char empty_text[1];

static void put(struct wire_writer *writer, const void *data, size_t length)
{
	if (!writer->failed && buf_add(writer->buf, data, length) != 0)
		writer->failed = true;
}

void wire_write_begin(struct wire_writer *writer, struct buf *buf)
{
	writer->buf = buf;
	writer->failed = false;
}

void wire_put_u8(struct wire_writer *writer, uint8_t value)
{
	put(writer, &value, sizeof(value));
}

void wire_put_u16(struct wire_writer *writer, uint16_t value)
{
	value = htobe16(value);
	put(writer, &value, sizeof(value));
}

void wire_put_u32(struct wire_writer *writer, uint32_t value)
{
	value = htobe32(value);
	put(writer, &value, sizeof(value));
}

void wire_put_u64(struct wire_writer *writer, uint64_t value)
{
	value = htobe64(value);
	put(writer, &value, sizeof(value));
}

void wire_put_bytes(struct wire_writer *writer, const void *data,
    size_t length)
{
	uint32_t prefix = htobe32((uint32_t)length);
	char *place;

	if (writer->failed)
		return;
	if (length > UINT32_MAX || (place = buf_reserve(writer->buf,
	    sizeof(prefix) + length)) == NULL) {
		writer->failed = true;
		return;
	}
	memcpy(place, &prefix, sizeof(prefix));
	if (length > 0)
		memcpy(place + sizeof(prefix), data, length);
	buf_commit(writer->buf, sizeof(prefix) + length);
}

void wire_put_text(struct wire_writer *writer, const char *text)
{
	wire_put_bytes(writer, text, text != NULL ? strlen(text) : 0);
}

int wire_write_end(struct wire_writer *writer)
{
	return writer->failed ? -1 : 0;
}

static void spoil(struct wire_reader *reader)
{
	reader->bad = true;
	reader->position = reader->end;
}

/* length bytes at the front, or null and a bad reader. */
static const uint8_t *take(struct wire_reader *reader, size_t length)
{
	const uint8_t *field = reader->position;

	if (length > (size_t)(reader->end - reader->position)) {
		spoil(reader);
		return NULL;
	}
	reader->position += length;
	return field;
}

void wire_read_begin(struct wire_reader *reader, const void *data,
    size_t length)
{
	/* Pointers that can be subtracted, also when there is nothing. */
	reader->position = length > 0 ? data : (const void *)empty_text;
	reader->end = reader->position + length;
	reader->bad = false;
}

uint8_t wire_get_u8(struct wire_reader *reader)
{
	const uint8_t *field = take(reader, 1);

	return field != NULL ? *field : 0;
}

uint16_t wire_get_u16(struct wire_reader *reader)
{
	const uint8_t *field = take(reader, sizeof(uint16_t));
	uint16_t value = 0;

	if (field != NULL)
		memcpy(&value, field, sizeof(value));
	return be16toh(value);
}

uint32_t wire_get_u32(struct wire_reader *reader)
{
	const uint8_t *field = take(reader, sizeof(uint32_t));
	uint32_t value = 0;

	if (field != NULL)
		memcpy(&value, field, sizeof(value));
	return be32toh(value);
}

uint64_t wire_get_u64(struct wire_reader *reader)
{
	const uint8_t *field = take(reader, sizeof(uint64_t));
	uint64_t value = 0;

	if (field != NULL)
		memcpy(&value, field, sizeof(value));
	return be64toh(value);
}

const void *wire_get_bytes(struct wire_reader *reader, size_t max,
    size_t *length)
{
	uint32_t size = wire_get_u32(reader);
	const uint8_t *field;

	*length = 0;
	if (size > max)
		spoil(reader);
	field = reader->bad ? NULL : take(reader, size);
	if (field == NULL)
		return empty_text;
	*length = size;
	return field;
}

char *wire_get_text(struct wire_reader *reader, struct arena *arena,
    size_t max)
{
	size_t length;
	const void *field = wire_get_bytes(reader, max, &length);

	if (length == 0)
		return empty_text;
	if (memchr(field, '\0', length) != NULL) {
		spoil(reader);
		return empty_text;
	}
	return arena_dup_text(arena, field, length);
}

void wire_copy_text(struct wire_reader *reader, char *out, size_t size)
{
	size_t length;
	const void *field = wire_get_bytes(reader, size - 1, &length);

	if (memchr(field, '\0', length) != NULL) {
		spoil(reader);
		length = 0;
	}
	memcpy(out, field, length);
	out[length] = '\0';
}

unsigned wire_get_enum(struct wire_reader *reader, unsigned limit)
{
	unsigned value = wire_get_u8(reader);

	if (value < limit)
		return value;
	spoil(reader);
	return 0;
}

int wire_read_end(struct wire_reader *reader)
{
	return !reader->bad && reader->position == reader->end ? 0 : -1;
}
