/* SPDX-License-Identifier: ISC */
/*
 * A line ends with LF, whether or not a CR stands before it, as base/header.c
 * has it; the section ends with the first empty line. A line that begins with
 * a blank continues the field before it. Until the end items hold offsets
 * only: the text moves while it grows.
 */
#include "authentic/fields.h"

#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "base/mem.h"

struct fields *fields_new(void)
{
	struct fields *fields = mem_alloc(sizeof(*fields));

	fields->text = mem_alloc(sizeof(*fields->text));
	buf_init(fields->text, FIELDS_BYTES_MAX);
	return fields;
}

void fields_free(struct fields *fields)
{
	if (fields == NULL)
		return;
	buf_release(fields->text);
	mem_free(fields->text);
	mem_free(fields->items);
	mem_free(fields);
}

static bool is_blank(char byte)
{
	return byte == ' ' || byte == '\t';
}

/* RFC 5322 3.6.8, and blanks before the colon (4.5). A line that is no field
 * keeps 0 and 0: all of it is value. */
static void read_name(struct field *field)
{
	size_t length = 0, colon;

	while (length < field->length && field->text[length] > ' ' &&
	    field->text[length] < 0x7f && field->text[length] != ':')
		length++;
	for (colon = length; colon < field->length &&
	    is_blank(field->text[colon]);)
		colon++;
	if (length == 0 || colon == field->length || field->text[colon] != ':')
		return;
	field->name_length = length;
	field->value = colon + 1;
}

/* The text stays where it is from now on. */
static void end(struct fields *fields)
{
	fields->ended = true;
	fields->length = buf_length(fields->text);
	for (size_t i = 0; i < fields->count; i++) {
		struct field *field = &fields->items[i];

		field->text = buf_data(fields->text) + field->offset;
		read_name(field);
	}
}

static void too_large(struct fields *fields)
{
	fields->too_large = true;
	end(fields);
}

static void add_field(struct fields *fields, size_t offset, size_t length)
{
	struct field *field;

	/* Room for 16 at first, then for twice as many. */
	if (fields->count == 0 || (fields->count >= 16 &&
	    (fields->count & (fields->count - 1)) == 0))
		fields->items = mem_resize(fields->items, fields->count < 16 ?
		    16 : 2 * fields->count, sizeof(*fields->items));
	field = &fields->items[fields->count++];
	memset(field, 0, sizeof(*field));
	field->offset = offset;
	field->length = length;
}

/* The bytes behind the last complete line are one now. */
static void end_line(struct fields *fields)
{
	size_t start = fields->length, length;
	const char *line = buf_data(fields->text) + start;

	length = buf_length(fields->text) - start;
	if ((length == 1 && line[0] == '\n') ||
	    (length == 2 && memcmp(line, "\r\n", 2) == 0)) {
		fields->has_body = true;
		end(fields);
	} else if (is_blank(line[0]) && fields->count > 0) {
		fields->items[fields->count - 1].length += length;
	} else if (fields->count == FIELDS_MAX) {
		too_large(fields);
	} else {
		add_field(fields, start, length);
	}
	fields->length = buf_length(fields->text);
}

size_t fields_feed(struct fields *fields, const char *data, size_t length)
{
	size_t used = 0;

	while (used < length && !fields->ended) {
		size_t left = length - used, part, room;
		const char *newline = memchr(data + used, '\n', left);

		part = newline != NULL ? (size_t)(newline - data) + 1 - used :
		    left;
		room = buf_room(fields->text);
		if (part > room) {
			newline = NULL;
			part = room;
		}
		buf_add(fields->text, data + used, part);
		used += part;
		if (newline != NULL)
			end_line(fields);
		else if (used < length)
			too_large(fields);
	}
	return used;
}

void fields_finish(struct fields *fields)
{
	if (fields->ended)
		return;
	if (buf_length(fields->text) > fields->length)
		end_line(fields);
	if (!fields->ended)
		end(fields);
}

static bool is_named(const struct field *field, const char *name,
    size_t length)
{
	return field->name_length == length &&
	    strncasecmp(field->text, name, length) == 0;
}

const struct field *fields_find_last(const struct fields *fields,
    const char *name, size_t before)
{
	size_t length = strlen(name);

	if (!fields->ended || length == 0)
		return NULL;
	if (before > fields->count)
		before = fields->count;
	while (before-- > 0)
		if (is_named(&fields->items[before], name, length))
			return &fields->items[before];
	return NULL;
}

const struct field *fields_find(const struct fields *fields,
    const char *name, size_t from)
{
	size_t length = strlen(name);

	if (!fields->ended || length == 0)
		return NULL;
	for (size_t i = from; i < fields->count; i++)
		if (is_named(&fields->items[i], name, length))
			return &fields->items[i];
	return NULL;
}

size_t fields_count(const struct fields *fields, const char *name)
{
	size_t count = 0, length = strlen(name);

	for (size_t i = 0; fields->ended && length > 0 && i < fields->count;
	    i++)
		count += is_named(&fields->items[i], name, length);
	return count;
}
