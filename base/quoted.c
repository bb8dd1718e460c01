/* SPDX-License-Identifier: ISC */
/*
 * See quoted.h.
 */
#include "base/quoted.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/buf.h"

/* With the "=" of a soft line end. */
enum { LINE_MAX_BYTES = 76 };

static bool ends_line(const char *data, size_t length, size_t at)
{
	return at + 1 < length && data[at] == '\r' && data[at + 1] == '\n';
}

/* White space at the end of a line would be lost on the way. */
static bool is_plain(const char *data, size_t length, size_t at)
{
	char byte = data[at];

	if (byte == ' ' || byte == '\t')
		return at + 1 < length && !ends_line(data, length, at + 1);
	return byte > ' ' && byte < 0x7f && byte != '=';
}

int quoted_add(struct buf *out, const char *data, size_t length)
{
	static const char digits[] = "0123456789ABCDEF";
	size_t column = 0, at, width;
	int result = 0;

	for (at = 0; at < length && result == 0; at++) {
		uint8_t byte = (uint8_t)data[at];
		char code[3] = { '=', digits[byte >> 4], digits[byte & 15] };

		if (ends_line(data, length, at)) {
			result = buf_add_string(out, "\r\n");
			column = 0;
			at++;
			continue;
		}
		width = is_plain(data, length, at) ? 1 : 3;
		if (column + width > LINE_MAX_BYTES - 1) {
			result = buf_add_string(out, "=\r\n");
			column = 0;
		}
		if (result == 0)
			result = buf_add(out, width == 1 ? data + at : code,
			    width);
		column += width;
	}
	return result;
}
