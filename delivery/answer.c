/* SPDX-License-Identifier: ISC */
/*
 * The reply parser. Nothing here waits or writes; it is a fuzz target.
 */
#include "delivery/answer.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

static enum answer_progress bad(struct answer *reply, const char *problem)
{
	reply->problem = problem;
	return ANSWER_BAD;
}

/* Keeps a line's text, made printable; one that has no room is left out. */
static void keep_text(struct answer *reply, const char *text, size_t length)
{
	size_t i;

	if (buf_room(&reply->text) < length + 1)
		return;
	for (i = 0; i < length; i++) {
		unsigned char byte = (unsigned char)text[i];

		if (byte == '\t' || byte == '\r')
			byte = ' ';
		else if (byte < 0x20 || byte > 0x7e)
			byte = '?';
		buf_add_byte(&reply->text, (char)byte);
	}
	buf_add_byte(&reply->text, '\n');
}

static int read_code(const char *line)
{
	if (line[0] < '2' || line[0] > '5' ||
	    !isdigit((unsigned char)line[1]) ||
	    !isdigit((unsigned char)line[2]))
		return -1;
	return (line[0] - '0') * 100 + (line[1] - '0') * 10 + line[2] - '0';
}

/* One line without its CRLF. */
static enum answer_progress take_line(struct answer *reply, const char *line,
    size_t length)
{
	int code = length < 3 ? -1 : read_code(line);
	bool last = length <= 3 || line[3] == ' ';

	if (code < 0)
		return bad(reply, "no reply code at the start of a line");
	if (!last && line[3] != '-')
		return bad(reply, "neither space nor hyphen after the code");
	if (reply->line_count > 0 && code != reply->code)
		return bad(reply, "different codes in one reply");
	if (reply->line_count == ANSWER_LINES_MAX)
		return bad(reply, "too many lines in one reply");
	reply->code = code;
	reply->line_count++;
	if (length > 4)
		keep_text(reply, line + 4, length - 4);
	else
		keep_text(reply, "", 0);
	return last ? ANSWER_READY : ANSWER_MORE;
}

enum answer_progress answer_read(struct answer *reply, struct buf *input)
{
	enum answer_progress progress = ANSWER_MORE;

	while (progress == ANSWER_MORE) {
		long end = buf_find(input, '\n', 0);
		size_t length = end < 0 ? buf_length(input) : (size_t)end;

		if (length > ANSWER_LINE_MAX)
			return bad(reply, "a reply line is too long");
		if (end < 0)
			return ANSWER_MORE;
		/* SMTP-1: a line feed alone ends nothing */
		if (length == 0 || buf_data(input)[length - 1] != '\r')
			return bad(reply, "a line feed without carriage return");
		progress = take_line(reply, buf_data(input), length - 1);
		buf_consume(input, length + 1);
	}
	return progress;
}

const char *answer_text(struct answer *reply)
{
	return buf_string(&reply->text);
}

int answer_class(const struct answer *reply)
{
	return reply->code / 100;
}

void answer_init(struct answer *reply)
{
	memset(reply, 0, sizeof(*reply));
	buf_init(&reply->text, ANSWER_TEXT_MAX);
}

void answer_release(struct answer *reply)
{
	buf_release(&reply->text);
}

void answer_reset(struct answer *reply)
{
	reply->code = 0;
	reply->line_count = 0;
	reply->problem = NULL;
	buf_reset(&reply->text);
}
