/* SPDX-License-Identifier: ISC */
/*
 * A frame that is written begins with a length of zero, which is put right at
 * its end.
 */
#include "milter/packet.h"

#include <string.h>

#include "base/buf.h"

static uint32_t read_u32(const char *data)
{
	const unsigned char *byte = (const unsigned char *)data;

	return (uint32_t)byte[0] << 24 | (uint32_t)byte[1] << 16 |
	    (uint32_t)byte[2] << 8 | byte[3];
}

enum packet_found packet_find(const struct buf *input, struct packet *packet)
{
	const char *data = buf_data(input);
	size_t length = buf_length(input), claimed;

	if (length < PACKET_LENGTH_BYTES)
		return PACKET_NONE;
	claimed = read_u32(data);
	if (claimed == 0 || claimed > PACKET_REPLY_MAX)
		return PACKET_BAD;
	if (length - PACKET_LENGTH_BYTES < claimed)
		return PACKET_NONE;
	packet->code = data[PACKET_LENGTH_BYTES];
	packet->data = data + PACKET_LENGTH_BYTES + 1;
	packet->length = claimed - 1;
	return PACKET_WHOLE;
}

size_t packet_size(const struct packet *packet)
{
	return PACKET_LENGTH_BYTES + 1 + packet->length;
}

/* --- writing --- */

void packet_begin(struct packet_writer *writer, struct buf *buf, char code)
{
	writer->start = buf_length(buf);
	wire_write_begin(&writer->wire, buf);
	wire_put_u32(&writer->wire, 0);
	wire_put_u8(&writer->wire, (uint8_t)code);
}

void packet_put_u16(struct packet_writer *writer, uint16_t value)
{
	wire_put_u16(&writer->wire, value);
}

void packet_put_u32(struct packet_writer *writer, uint32_t value)
{
	wire_put_u32(&writer->wire, value);
}

/* wire_put_bytes() would put a length in front. */
void packet_put_bytes(struct packet_writer *writer, const void *data,
    size_t length)
{
	if (buf_add(writer->wire.buf, data, length) != 0)
		writer->wire.failed = true;
}

void packet_put_text(struct packet_writer *writer, const char *text)
{
	packet_put_bytes(writer, text, strlen(text) + 1);
}

int packet_end(struct packet_writer *writer)
{
	struct buf *buf = writer->wire.buf;
	size_t length = buf_length(buf) - writer->start;
	uint8_t bytes[PACKET_LENGTH_BYTES];

	if (wire_write_end(&writer->wire) != 0) {
		buf_truncate(buf, writer->start);
		return -1;
	}
	length -= PACKET_LENGTH_BYTES;
	for (size_t i = 0; i < PACKET_LENGTH_BYTES; i++)
		bytes[i] = (uint8_t)(length >> (24 - 8 * i));
	buf_patch(buf, writer->start, bytes, sizeof(bytes));
	return 0;
}

/* --- reading --- */

const char *packet_get_text(struct wire_reader *reader)
{
	const char *text = (const char *)reader->position;
	const uint8_t *end;

	if (reader->bad || reader->position == reader->end) {
		reader->bad = true;
		return "";
	}
	end = memchr(reader->position, '\0',
	    (size_t)(reader->end - reader->position));
	if (end == NULL) {
		reader->bad = true;
		return "";
	}
	reader->position = end + 1;
	return text;
}

bool packet_has_more(const struct wire_reader *reader)
{
	return !reader->bad && reader->position < reader->end;
}
