/* SPDX-License-Identifier: ISC */
/*
 * Characters, one at a time; see utf8.h.
 */
#include "base/utf8.h"

size_t utf8_read(const char *text, size_t left, uint32_t *point)
{
	/* The least number that needs so many bytes. */
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	const unsigned char *byte = (const unsigned char *)text;
	size_t length, i;
	uint32_t value;

	if (left == 0)
		return 0;
	length = byte[0] < 0x80 ? 1 : (byte[0] & 0xe0) == 0xc0 ? 2 :
	    (byte[0] & 0xf0) == 0xe0 ? 3 : (byte[0] & 0xf8) == 0xf0 ? 4 : 0;
	if (length == 0 || length > left)
		return 0;
	value = length == 1 ? byte[0] : byte[0] & (0x7fu >> length);
	for (i = 1; i < length; i++) {
		if ((byte[i] & 0xc0) != 0x80)
			return 0;
		value = value << 6 | (byte[i] & 0x3fu);
	}
	if (value < least[length] || value > 0x10ffff ||
	    (value >= 0xd800 && value <= 0xdfff))
		return 0;
	if (point != NULL)
		*point = value;
	return length;
}

size_t utf8_write(char out[4], uint32_t point)
{
	size_t length = point < 0x80 ? 1 : point < 0x800 ? 2 :
	    point < 0x10000 ? 3 : 4;
	static const unsigned char first[] = { 0, 0, 0xc0, 0xe0, 0xf0 };

	for (size_t i = length - 1; i > 0; i--) {
		out[i] = (char)(0x80 | (point & 0x3f));
		point >>= 6;
	}
	out[0] = (char)(first[length] | point);
	return length;
}

bool utf8_is_valid(const char *text, size_t length)
{
	while (length > 0) {
		size_t bytes = utf8_read(text, length, NULL);

		if (bytes == 0)
			return false;
		text += bytes;
		length -= bytes;
	}
	return true;
}

bool utf8_is_ascii(const char *text)
{
	for (; *text != '\0'; text++)
		if ((unsigned char)*text >= 0x80)
			return false;
	return true;
}
