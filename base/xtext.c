/* SPDX-License-Identifier: ISC */
/*
 * xtext and its younger relatives; see xtext.h.
 */
#include "base/xtext.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/utf8.h"

static const char digits[] = "0123456789ABCDEF";

/* Upper case only, as both grammars have it. */
static int hex_value(char byte)
{
	const char *at = byte == '\0' ? NULL : strchr(digits, byte);

	return at == NULL ? -1 : (int)(at - digits);
}

bool xtext_is_valid(const char *text)
{
	for (; *text != '\0'; text++) {
		if (*text <= ' ' || *text > '~' || *text == '=')
			return false;
		if (*text != '+')
			continue;
		if (hex_value(text[1]) < 0 || hex_value(text[2]) < 0)
			return false;
		text += 2;
	}
	return true;
}

/* RFC 6533 3, QCHAR: printable, but for what needs to be written as \x{}. */
static bool is_plain(uint32_t point)
{
	return point > ' ' && point < 0x7f && point != '\\' && point != '+' &&
	    point != '=';
}

/* \x{...} with 2 to 6 digits, the first of more than two not 0. Its length;
 * 0 if it is none, or stands for what may stand for itself or for nothing. */
static size_t read_embedded(const char *text, uint32_t *point)
{
	uint32_t value = 0;
	size_t at = 3;

	if (strncmp(text, "\\x{", 3) != 0)
		return 0;
	for (; hex_value(text[at]) >= 0; at++) {
		if (at == 3 + 6)
			return 0;
		value = value << 4 | (uint32_t)hex_value(text[at]);
	}
	if (text[at] != '}' || at < 3 + 2 || (at > 3 + 2 && text[3] == '0'))
		return 0;
	if (is_plain(value) || value < ' ' || value == 0x7f ||
	    (value >= 0x80 && value < 0xa0) || value > 0x10ffff ||
	    (value >= 0xd800 && value <= 0xdfff))
		return 0;
	*point = value;
	return at + 1;
}

/* One character in either form; its length, or 0. */
static size_t read_one(const char *text, bool unitext, uint32_t *point)
{
	size_t length;

	if (*text == '\\')
		return read_embedded(text, point);
	length = utf8_read(text, strlen(text), point);
	if (length == 0 || (length == 1 && !is_plain(*point)) ||
	    (length > 1 && (!unitext || *point < 0xa0)))
		return 0;
	return length;
}

bool utf8_addr_is_valid(const char *text, bool unitext)
{
	uint32_t point;
	size_t length;

	if (*text == '\0')
		return false;
	for (; *text != '\0'; text += length) {
		length = read_one(text, unitext, &point);
		if (length == 0)
			return false;
	}
	return true;
}

int utf8_addr_read(char *out, size_t size, const char *text)
{
	size_t used = 0, length;
	uint32_t point;

	for (; *text != '\0'; text += length) {
		length = read_one(text, true, &point);
		if (length == 0 || used + 4 >= size)
			return -1;
		used += utf8_write(out + used, point);
	}
	if (used >= size)
		return -1;
	out[used] = '\0';
	return 0;
}

/* RFC 3461 4: "+" and two digits for what xtext does not have. */
static int write_xtext(char *out, size_t size, const char *text)
{
	size_t length = 0;

	for (; *text != '\0'; text++) {
		unsigned char byte = (unsigned char)*text;

		if (length + 4 > size)
			return -1;
		if (byte < '!' || byte > '~' || byte == '+' || byte == '=')
			length += (size_t)snprintf(out + length,
			    size - length, "+%02X", (unsigned)byte);
		else
			out[length++] = (char)byte;
	}
	out[length] = '\0';
	return 0;
}

int utf8_addr_write(char *out, size_t size, const char *text)
{
	size_t left = strlen(text), used = 0;

	while (left > 0) {
		uint32_t point = '?';
		size_t length = utf8_read(text, left, &point);
		int written;

		if (length == 0 || point < ' ' ||
		    (point >= 0x7f && point < 0xa0))
			point = '?';
		written = snprintf(out + used, size - used, is_plain(point) ?
		    "%c" : "\\x{%02X}", (unsigned)point);
		if (written < 0 || (size_t)written >= size - used)
			return -1;
		used += (size_t)written;
		length = length == 0 ? 1 : length;
		text += length;
		left -= length;
	}
	if (used >= size)
		return -1;
	out[used] = '\0';
	return 0;
}

int xtext_write_original(char *out, size_t size, const char *address)
{
	bool ascii = utf8_is_ascii(address);
	int used = snprintf(out, size, ascii ? "rfc822;" : "utf-8;");

	if (used < 0 || (size_t)used >= size)
		return -1;
	if ((ascii ? write_xtext : utf8_addr_write)(out + used,
	    size - (size_t)used, address) < 0)
		return -1;
	return strlen(out) > XTEXT_ORIGINAL_MAX ? -1 : 0;
}
