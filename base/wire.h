/* SPDX-License-Identifier: ISC */
/*
 * Fields of messages and of stored rows, big endian. Writing goes to a buf
 * and cannot fail half-way: the first addition that passes the ceiling marks
 * it. Reading treats every byte as hostile: a short or oversized field marks
 * the reader bad, later reads give zeros and empty strings, and
 * wire_read_end() says at the end whether everything was right and used up.
 * Strings are a 32-bit length and that many bytes; text may not contain NUL.
 */
#ifndef POSTERN_BASE_WIRE_H
#define POSTERN_BASE_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;
struct buf;

struct wire_writer {
	struct buf	*buf;		/* borrowed */
	bool		 failed;	/* ceiling passed */
};
void	 wire_write_begin(struct wire_writer *writer, struct buf *buf);
void	 wire_put_u8(struct wire_writer *writer, uint8_t value);
void	 wire_put_u16(struct wire_writer *writer, uint16_t value);
void	 wire_put_u32(struct wire_writer *writer, uint32_t value);
void	 wire_put_u64(struct wire_writer *writer, uint64_t value);
void	 wire_put_bytes(struct wire_writer *writer, const void *data,
	    size_t length);
/* Null is written as the empty string. */
void	 wire_put_text(struct wire_writer *writer, const char *text);
/* 0, or -1 if the ceiling was passed somewhere. */
int	 wire_write_end(struct wire_writer *writer);

struct wire_reader {
	const uint8_t	*position;	/* borrowed */
	const uint8_t	*end;
	bool		 bad;
};
void	 wire_read_begin(struct wire_reader *reader, const void *data,
	    size_t length);
uint8_t	 wire_get_u8(struct wire_reader *reader);
uint16_t wire_get_u16(struct wire_reader *reader);
uint32_t wire_get_u32(struct wire_reader *reader);
uint64_t wire_get_u64(struct wire_reader *reader);
/* Borrowed from the message; at most max bytes or the reader is bad. */
const void	*wire_get_bytes(struct wire_reader *reader, size_t max,
		    size_t *length);
/* Copied into the arena; never null (empty when bad). */
char	*wire_get_text(struct wire_reader *reader, struct arena *arena,
	    size_t max);
/* Into an array of size bytes, or bad: longer, or a NUL in it. Always
 * terminated; empty when bad. */
void	 wire_copy_text(struct wire_reader *reader, char *out, size_t size);
/* A wire_put_u8 that must be below limit (enums); 0 and bad otherwise. */
unsigned wire_get_enum(struct wire_reader *reader, unsigned limit);
/* 0 if nothing went wrong and nothing is left over; -1 otherwise. */
int	 wire_read_end(struct wire_reader *reader);

#endif
