/* SPDX-License-Identifier: ISC */
/*
 * The message reader: one byte at a time where line ends and dots are, runs of
 * ordinary bytes at once. See data.h for the states.
 */
#include "smtpd/data.h"

#include <string.h>

#include "base/log.h"

/* Where bytes are written to. */
struct output {
	char	*text;		/* borrowed */
	size_t	 length;
};

void data_reader_init(struct data_reader *reader, unsigned flags,
    uint64_t max_line)
{
	memset(reader, 0, sizeof(*reader));
	reader->flags = flags;
	reader->max_line = max_line;
}

static void note(struct data_reader *reader, enum data_problem problem)
{
	if (reader->problem == DATA_FINE)
		reader->problem = problem;
}

static void put(struct data_reader *reader, struct output *out,
    const char *text, size_t length)
{
	memcpy(out->text + out->length, text, length);
	out->length += length;
	reader->column += length;
	if (reader->column + 2 > reader->max_line)
		note(reader, DATA_LONG_LINE);
}

static void put_line_end(struct data_reader *reader, struct output *out)
{
	memcpy(out->text + out->length, "\r\n", 2);
	out->length += 2;
	reader->column = 0;
}

/* A line end of some other kind: made proper, or a reason to refuse. */
static void bare(struct data_reader *reader, struct output *out,
    enum data_problem problem)
{
	if (reader->flags & DATA_NORMALISE)
		put_line_end(reader, out);
	else
		note(reader, problem);
}

static void read_text(struct data_reader *reader, struct output *out, char byte)
{
	reader->state = DATA_TEXT;
	if (byte == '\r') {
		reader->state = DATA_CR;
	} else if (byte == '\n') {
		/* Not a line start: the dot of LF.CRLF is text (SMTP-2). */
		bare(reader, out, DATA_BARE_LF);
	} else {
		if (byte == '\0')
			note(reader, DATA_NUL);
		put(reader, out, &byte, 1);
	}
}

static void read_after_cr(struct data_reader *reader, struct output *out,
    char byte)
{
	if (byte == '\n') {
		put_line_end(reader, out);
		reader->state = DATA_START;
	} else if (byte == '\r' && (reader->flags & DATA_NORMALISE)) {
		/* CR CR LF, a common mistake: one line end, not two. */
		reader->state = DATA_CR;
	} else {
		bare(reader, out, DATA_BARE_CR);
		read_text(reader, out, byte);
	}
}

/* RFC 5321 4.5.2: one dot goes if more follows on its line. */
static void read_after_dot(struct data_reader *reader, struct output *out,
    char byte)
{
	if (byte == '\r') {
		reader->state = DATA_DOT_CR;
		return;
	}
	if (byte == '\n')
		put(reader, out, ".", 1);
	read_text(reader, out, byte);
}

static void read_after_dot_cr(struct data_reader *reader, struct output *out,
    char byte)
{
	if (byte == '\n') {
		reader->state = DATA_ENDED;
		return;
	}
	put(reader, out, ".", 1);
	read_after_cr(reader, out, byte);
}

static void read_byte(struct data_reader *reader, struct output *out, char byte)
{
	switch (reader->state) {
	case DATA_START:
		if (byte == '.' && (reader->flags & DATA_DOTS))
			reader->state = DATA_DOT;
		else
			read_text(reader, out, byte);
		break;
	case DATA_TEXT:
		read_text(reader, out, byte);
		break;
	case DATA_CR:
		read_after_cr(reader, out, byte);
		break;
	case DATA_DOT:
		read_after_dot(reader, out, byte);
		break;
	case DATA_DOT_CR:
		read_after_dot_cr(reader, out, byte);
		break;
	case DATA_ENDED:
	default:
		bug("data-state");
	}
}

/* How many bytes from text on are neither CR, LF nor NUL. */
static size_t ordinary(const char *text, size_t length)
{
	const char *end = memchr(text, '\r', length);

	if (end != NULL)
		length = (size_t)(end - text);
	end = memchr(text, '\n', length);
	if (end != NULL)
		length = (size_t)(end - text);
	end = memchr(text, '\0', length);
	return end == NULL ? length : (size_t)(end - text);
}

size_t data_read(struct data_reader *reader, const char *text, size_t length,
    char *out_text, size_t room, size_t *made)
{
	struct output out = { .text = out_text };
	size_t used = 0, run, left;

	while (used < length && reader->state != DATA_ENDED &&
	    room - out.length >= DATA_ROOM_MIN) {
		left = room - out.length;
		run = length - used < left ? length - used : left;
		run = reader->state == DATA_TEXT ?
		    ordinary(text + used, run) : 0;
		if (run > 0) {
			put(reader, &out, text + used, run);
			used += run;
		} else {
			read_byte(reader, &out, text[used++]);
		}
	}
	*made = out.length;
	return used;
}

size_t data_finish(struct data_reader *reader, char *out_text)
{
	struct output out = { .text = out_text };

	if (reader->state == DATA_CR)
		bare(reader, &out, DATA_BARE_CR);
	else if (reader->state == DATA_TEXT && reader->column > 0)
		put_line_end(reader, &out);
	reader->state = DATA_ENDED;
	return out.length;
}
