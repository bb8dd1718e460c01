/* SPDX-License-Identifier: ISC */
/*
 * Line ends and the two header fields of a mailbox file.
 */
#include "delivery/maildir_text.h"

#include <string.h>
#include <strings.h>

#include "base/log.h"

static void add(struct buf *out, const char *data, size_t length)
{
	if (length > 0 && buf_add(out, data, length) < 0)
		bug("maildir-room");
}

/* Is this line the start of that field? Value and its length without white
 * space around it. */
static bool find_value(const struct maildir_text *text, const char *name,
    const char **value, size_t *length)
{
	const char *line = buf_data(&text->line);
	const char *end = line + buf_length(&text->line);
	size_t name_length = strlen(name);

	if (buf_length(&text->line) <= name_length ||
	    strncasecmp(line, name, name_length) != 0)
		return false;
	line += name_length;
	/* RFC 5322 4.5: old mail may have space before the colon */
	while (line < end && (*line == ' ' || *line == '\t'))
		line++;
	if (line == end || *line != ':')
		return false;
	line++;
	while (line < end && (*line == ' ' || *line == '\t'))
		line++;
	while (end > line && strchr(" \t\r\n", end[-1]) != NULL)
		end--;
	*value = line;
	*length = (size_t)(end - line);
	return true;
}

static void look_for_loop(struct maildir_text *text)
{
	const char *value;
	size_t length;

	if (!find_value(text, "Delivered-To", &value, &length))
		return;
	if (length >= 2 && value[0] == '<' && value[length - 1] == '>') {
		value++;
		length -= 2;
	}
	if (length == strlen(text->mailbox) &&
	    strncasecmp(value, text->mailbox, length) == 0)
		text->loops = true;
}

/* Enough of the line is known, or all of it. */
static void decide(struct maildir_text *text, struct buf *out)
{
	const char *value;
	size_t length;
	char first;

	if (text->decided || buf_length(&text->line) == 0)
		return;
	text->decided = true;
	first = buf_data(&text->line)[0];
	/* A folded line belongs to the field above it. */
	if (first != ' ' && first != '\t')
		text->leaving_out = find_value(text, "Return-Path", &value,
		    &length);
	look_for_loop(text);
	if (!text->leaving_out)
		add(out, buf_data(&text->line), buf_length(&text->line));
	buf_reset(&text->line);
}

/* One byte of the header, line ends being LF already. */
static void header_byte(struct maildir_text *text, char byte,
    struct buf *out)
{
	bool empty = !text->decided && buf_length(&text->line) == 0;

	if (byte == '\n' && empty) {
		text->in_body = true;
		add(out, "\n", 1);
		return;
	}
	if (text->decided) {
		if (!text->leaving_out)
			add(out, &byte, 1);
	} else {
		buf_add_byte(&text->line, byte);
		if (byte == '\n' || buf_room(&text->line) == 0)
			decide(text, out);
	}
	if (byte == '\n')
		text->decided = false;
}

/* Bytes of the body up to the next CR, at once. */
static size_t body_run(const char *data, size_t length, struct buf *out)
{
	const char *carriage = memchr(data, '\r', length);
	size_t run = carriage == NULL ? length : (size_t)(carriage - data);

	add(out, data, run);
	return run;
}

static void one_byte(struct maildir_text *text, char byte, struct buf *out)
{
	if (text->in_body)
		add(out, &byte, 1);
	else
		header_byte(text, byte, out);
}

void maildir_text_feed(struct maildir_text *text, const char *data,
    size_t length, struct buf *out)
{
	size_t i = 0;

	while (i < length) {
		if (text->carriage && data[i] != '\n')
			one_byte(text, '\r', out);
		text->carriage = false;
		if (data[i] == '\r') {
			text->carriage = true;
			i++;
		} else if (text->in_body) {
			i += body_run(data + i, length - i, out);
		} else {
			header_byte(text, data[i++], out);
		}
	}
}

void maildir_text_end(struct maildir_text *text, struct buf *out)
{
	if (text->carriage)
		one_byte(text, '\r', out);
	text->carriage = false;
	if (!text->in_body)
		decide(text, out);
}

void maildir_text_init(struct maildir_text *text, const char *mailbox)
{
	memset(text, 0, sizeof(*text));
	text->mailbox = mailbox;
	buf_init(&text->line, MAILDIR_LINE_MAX);
}

void maildir_text_release(struct maildir_text *text)
{
	buf_release(&text->line);
}
