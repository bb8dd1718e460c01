/* SPDX-License-Identifier: ISC */
/*
 * Frames of the milter protocol: a length of 32 bits, which counts the code
 * and the data, a code of one byte, data. Numbers are big endian, text ends in
 * NUL. Writing goes to a buf; reading treats every byte as hostile, and what
 * is read is borrowed from the frame.
 */
#ifndef POSTERN_MILTER_PACKET_H
#define POSTERN_MILTER_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/wire.h"

struct buf;

enum {
	PACKET_LENGTH_BYTES = 4,
	PACKET_REPLY_MAX = 1 << 20,	/* code and data of what filters say */
	PACKET_SENT_MAX = 1 + (1 << 20)	/* ... and of what we say */
};

/* What we say (SMFIC_*). */
enum packet_command {
	COMMAND_ABORT = 'A', COMMAND_BODY = 'B', COMMAND_CONNECT = 'C',
	COMMAND_MACRO = 'D', COMMAND_END_OF_BODY = 'E', COMMAND_HELO = 'H',
	COMMAND_HEADER = 'L', COMMAND_MAIL = 'M', COMMAND_END_OF_HEADER = 'N',
	COMMAND_OPTIONS = 'O', COMMAND_QUIT = 'Q', COMMAND_RECIPIENT = 'R',
	COMMAND_DATA = 'T'
};

struct packet {
	char		 code;
	const char	*data;		/* borrowed */
	size_t		 length;	/* of data */
};

enum packet_found { PACKET_NONE, PACKET_WHOLE, PACKET_BAD };

/* The frame at the front of input; when it is whole, packet_size() bytes are
 * consumed after it has been read. BAD: its length is none that we take. */
enum packet_found	 packet_find(const struct buf *input,
			    struct packet *packet);
size_t			 packet_size(const struct packet *packet);

struct packet_writer {
	struct wire_writer	 wire;		/* for packet_put_*() */
	size_t			 start;		/* of the frame in the buf */
};
void	 packet_begin(struct packet_writer *writer, struct buf *buf, char code);
void	 packet_put_u16(struct packet_writer *writer, uint16_t value);
void	 packet_put_u32(struct packet_writer *writer, uint32_t value);
void	 packet_put_bytes(struct packet_writer *writer, const void *data,
	    size_t length);
/* With its NUL. */
void	 packet_put_text(struct packet_writer *writer, const char *text);
/* 0; -1 if the ceiling of the buf was passed, which then has no frame. */
int	 packet_end(struct packet_writer *writer);

/* Reading data: wire_read_begin(), these, wire_read_end(). */
const char	*packet_get_text(struct wire_reader *reader);
bool		 packet_has_more(const struct wire_reader *reader);

#endif
