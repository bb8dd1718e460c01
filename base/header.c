/* SPDX-License-Identifier: ISC */
/*
 * Header sections, RFC 5322 2.2. A line ends with LF, whether or not a CR
 * stands before it; the section ends with the first empty line or with the
 * bytes there are. Field names compare by ASCII case, and blanks between name
 * and colon (obsolete syntax, RFC 5322 4.5) are read as if they were not there.
 *
 * RFC 8689 3 has no comments in the value of TLS-Required: "No (really)" is
 * another value and no tag. Folding white space may stand on both sides.
 */
#include "base/header.h"

#include <stdint.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"

/* RFC 5322 2.1.1, without the line end. */
enum { LINE_AIM = 78, LINE_MAX_BYTES = 998 };

static bool is_blank(char byte)
{
	return byte == ' ' || byte == '\t';
}

/* --- scanning --- */

void header_scan_init(struct header_scan *scan)
{
	memset(scan, 0, sizeof *scan);
}

static bool has_8bit(const char *data, size_t length)
{
	const uint64_t high_bits = 0x8080808080808080u;
	uint64_t word;

	for (; length >= sizeof word; data += sizeof word,
	    length -= sizeof word) {
		memcpy(&word, data, sizeof word);
		if ((word & high_bits) != 0)
			return true;
	}
	while (length > 0)
		if ((unsigned char)data[--length] >= 0x80)
			return true;
	return false;
}

static bool is_named(const struct header_scan *scan, const char *name)
{
	return scan->name_length == strlen(name) &&
	    strncasecmp(scan->name, name, scan->name_length) == 0;
}

/* The name is complete: is it one that we count? */
static void end_name(struct header_scan *scan)
{
	scan->in_name = false;
	while (scan->name_length > 0 &&
	    is_blank(scan->name[scan->name_length - 1]))
		scan->name_length--;
	if (is_named(scan, "Received")) {
		scan->received_count++;
	} else if (is_named(scan, "TLS-Required")) {
		scan->tls_required_count++;
		scan->tls_required = HEADER_TLS_START;
	} else if (is_named(scan, "Date")) {
		scan->has_date = true;
	} else if (is_named(scan, "Message-ID")) {
		scan->has_message_id = true;
	}
}

/* A byte of the value of a TLS-Required field, line ends and folding blanks
 * among them. */
static void scan_tls_required(struct header_scan *scan, char byte)
{
	bool space = is_blank(byte) || byte == '\r' || byte == '\n';

	switch (scan->tls_required) {
	case HEADER_TLS_START:
		if (byte == 'N' || byte == 'n')
			scan->tls_required = HEADER_TLS_N;
		else if (!space)
			scan->tls_required = HEADER_TLS_OTHER;
		break;
	case HEADER_TLS_N:
		scan->tls_required = HEADER_TLS_OTHER;
		if (byte == 'O' || byte == 'o') {
			scan->tls_required = HEADER_TLS_NO;
			scan->tls_required_no++;
		}
		break;
	case HEADER_TLS_NO:
		if (!space) {
			scan->tls_required = HEADER_TLS_OTHER;
			scan->tls_required_no--;
		}
		break;
	case HEADER_TLS_NONE:
	case HEADER_TLS_OTHER:
		break;
	}
}

static void scan_byte(struct header_scan *scan, char byte)
{
	scan->header_bytes++;
	if ((unsigned char)byte >= 0x80)
		scan->has_8bit = scan->has_utf8_header = true;
	/* What does not begin with a blank does not go on with the field. */
	if (scan->column == 0 && !is_blank(byte))
		scan->tls_required = HEADER_TLS_NONE;
	scan_tls_required(scan, byte);
	if (byte == '\n') {
		scan->ended = scan->column == 0 ||
		    (scan->column == 1 && scan->name[0] == '\r');
		scan->column = 0;
		return;
	}
	if (scan->column == 0) {
		scan->in_name = !is_blank(byte);
		scan->name_length = 0;
		scan->name[0] = '\0';
	}
	if (scan->column < 2)
		scan->column++;
	if (!scan->in_name)
		return;
	if (byte == ':')
		end_name(scan);
	else if (scan->name_length < sizeof scan->name)
		scan->name[scan->name_length++] = byte;
	else if (!is_blank(byte))
		scan->in_name = false;
}

/* What is left of a line of which nothing but its end and 8-bit bytes count:
 * most of each header. How many bytes that was. */
static size_t skip_value(struct header_scan *scan, const char *data,
    size_t length)
{
	const char *end;

	if (scan->column < 2 || scan->in_name ||
	    (scan->tls_required != HEADER_TLS_NONE &&
	    scan->tls_required != HEADER_TLS_OTHER))
		return 0;
	end = memchr(data, '\n', length);
	if (end != NULL)
		length = (size_t)(end - data);
	if (!scan->has_utf8_header && has_8bit(data, length))
		scan->has_8bit = scan->has_utf8_header = true;
	scan->header_bytes += length;
	return length;
}

void header_scan_feed(struct header_scan *scan, const char *data,
    size_t length)
{
	size_t skipped;

	while (length > 0 && !scan->ended) {
		skipped = skip_value(scan, data, length);
		data += skipped;
		length -= skipped;
		if (length > 0) {
			scan_byte(scan, *data++);
			length--;
		}
	}
	if (!scan->has_8bit)
		scan->has_8bit = has_8bit(data, length);
}

/* --- finding --- */

/* Length of the line at data, with its LF if it has one. */
static size_t line_length(const char *data, size_t length)
{
	const char *end = memchr(data, '\n', length);

	return end != NULL ? (size_t)(end - data) + 1 : length;
}

/* The same without the line end. */
static size_t text_length(const char *data, size_t length)
{
	if (length > 0 && data[length - 1] == '\n')
		length--;
	if (length > 0 && data[length - 1] == '\r')
		length--;
	return length;
}

static bool is_empty_line(const char *data, size_t length)
{
	return length > 0 && data[length - 1] == '\n' &&
	    text_length(data, length) == 0;
}

size_t header_length(const char *message, size_t length)
{
	size_t offset = 0;

	while (offset < length) {
		size_t line = line_length(message + offset, length - offset);
		bool ended = is_empty_line(message + offset, line);

		offset += line;
		if (ended)
			break;
	}
	return offset;
}

/* Offset of the value when the line begins a field of that name, else 0. */
static size_t value_offset(const char *line, size_t length, const char *name)
{
	size_t offset = strlen(name);

	if (length <= offset || strncasecmp(line, name, offset) != 0)
		return 0;
	while (offset < length && is_blank(line[offset]))
		offset++;
	return offset < length && line[offset] == ':' ? offset + 1 : 0;
}

/* As much as fits under the ceiling. */
static void add_some(struct buf *out, const char *data, size_t length)
{
	size_t room = buf_room(out);

	(void)buf_add(out, data, length < room ? length : room);
}

/* RFC 5322 2.2.3: unfolding takes out the line ends and nothing else. Blanks
 * around the whole value are no part of it. */
static void add_value(struct buf *out, const char *data, size_t length,
    size_t offset)
{
	size_t before = buf_length(out);

	while (offset < length) {
		size_t line = line_length(data + offset, length - offset);
		size_t text = text_length(data + offset, line);
		const char *from = data + offset;

		while (text > 0 && buf_length(out) == before &&
		    is_blank(*from)) {
			from++;
			text--;
		}
		add_some(out, from, text);
		offset += line;
		if (offset < length && !is_blank(data[offset]))
			break;
	}
	while (buf_length(out) > before &&
	    is_blank(buf_data(out)[buf_length(out) - 1]))
		buf_truncate(out, buf_length(out) - 1);
}

bool header_find(const char *header, size_t length, const char *name,
    struct buf *out)
{
	size_t offset = 0;

	while (offset < length) {
		size_t line = line_length(header + offset, length - offset);
		size_t value = value_offset(header + offset, line, name);

		if (value > 0) {
			add_value(out, header, length, offset + value);
			return true;
		}
		if (is_empty_line(header + offset, line))
			return false;
		offset += line;
	}
	return false;
}

/* --- writing --- */

/* White space of any kind: a line end in a value may not end the field. */
static bool is_space(char byte)
{
	return is_blank(byte) || byte == '\r' || byte == '\n';
}

static int add_clean(struct buf *out, const char *data, size_t length)
{
	for (; length > 0; data++, length--) {
		char byte = *data;

		if (byte == '\r' || byte == '\n')
			byte = ' ';
		else if ((byte > 0 && byte < ' ' && byte != '\t') ||
		    byte == 0x7f)
			byte = '?';
		if (buf_add_byte(out, byte) != 0)
			return -1;
	}
	return 0;
}

/* Adds words with the white space before each; folds before white space. */
static int add_folded(struct buf *out, const char *value, size_t column)
{
	size_t length = strlen(value);

	while (length > 0 && is_space(value[length - 1]))
		length--;
	while (length > 0) {
		size_t blanks = 0, word;

		while (is_space(value[blanks]))
			blanks++;
		for (word = blanks; word < length && !is_space(value[word]);)
			word++;
		if (blanks > 0 && column + word > LINE_AIM) {
			if (buf_add_string(out, "\r\n") != 0)
				return -1;
			column = 0;
		}
		column += word;
		if (column > LINE_MAX_BYTES ||
		    add_clean(out, value, word) != 0)
			return -1;
		value += word;
		length -= word;
	}
	return buf_add_string(out, "\r\n");
}

int header_add(struct buf *out, const char *name, const char *value)
{
	size_t before = buf_length(out);

	while (is_space(*value))
		value++;
	if (buf_print(out, "%s: ", name) == 0 &&
	    add_folded(out, value, strlen(name) + 2) == 0)
		return 0;
	buf_truncate(out, before);
	return -1;
}
