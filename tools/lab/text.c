/* SPDX-License-Identifier: ISC */
/*
 * All of them read code points one after the other; what is not one (RFC 3629
 * 3) is taken byte by byte.
 */
#include "tools/lab/text.h"

#include <stdint.h>
#include <string.h>

enum { NO_POINT = -1, NARROW = 72 };

/* The length of the character at text, which does not end here; its number in
 * *point, or NO_POINT. */
static size_t take_point(const char *text, int32_t *point)
{
	static const struct { unsigned char mask, lead; int32_t least; }
	    shapes[] = { { 0x80, 0x00, 0 }, { 0xe0, 0xc0, 0x80 },
	    { 0xf0, 0xe0, 0x800 }, { 0xf8, 0xf0, 0x10000 } };
	unsigned char first = (unsigned char)*text;

	for (size_t more = 0; more < 4; more++) {
		int32_t value = first & (unsigned char)~shapes[more].mask;
		size_t i = 1;

		if ((first & shapes[more].mask) != shapes[more].lead)
			continue;
		for (; i <= more && ((unsigned char)text[i] & 0xc0) == 0x80;
		    i++)
			value = value << 6 | ((unsigned char)text[i] & 0x3f);
		if (i <= more || value < shapes[more].least ||
		    value > 0x10ffff || (value >= 0xd800 && value < 0xe000))
			break;
		*point = value;
		return more + 1;
	}
	*point = NO_POINT;
	return 1;
}

/* Zero width and direction: they make a line look like another one. */
static bool is_deceptive(int32_t point)
{
	return (point >= 0x200b && point <= 0x200f) ||
	    (point >= 0x2028 && point <= 0x202e) ||
	    (point >= 0x2060 && point <= 0x206f) || point == 0xfeff;
}

static bool is_safe(int32_t point)
{
	return point >= ' ' && point != 0x7f &&
	    !(point >= 0x80 && point < 0xa0) && !is_deceptive(point);
}

void lab_text_put(FILE *out, const char *text)
{
	while (*text != '\0') {
		int32_t point;
		size_t length = take_point(text, &point);

		if (is_safe(point))
			fwrite(text, 1, length, out);
		else
			fputc('?', out);
		text += length;
	}
}

void lab_text_put_lines(FILE *out, const char *prefix, const char *text)
{
	bool begins = true;

	while (*text != '\0') {
		int32_t point;
		size_t length = take_point(text, &point);

		if (begins)
			fputs(prefix, out);
		begins = point == '\n';
		/* An end of line as the network has it. */
		if (point == '\r' && text[1] == '\n')
			;
		else if (is_safe(point) || point == '\n' || point == '\t')
			fwrite(text, 1, length, out);
		else
			fputc('?', out);
		text += length;
	}
	if (!begins)
		fputc('\n', out);
}

void lab_text_put_xml(FILE *out, const char *text)
{
	while (*text != '\0') {
		int32_t point;
		size_t length = take_point(text, &point);

		switch (point) {
		case '&': fputs("&amp;", out); break;
		case '<': fputs("&lt;", out); break;
		case '>': fputs("&gt;", out); break;
		case '"': fputs("&quot;", out); break;
		case '\'': fputs("&apos;", out); break;
		case '\n': fputs("&#10;", out); break;
		case '\t': fputs("&#9;", out); break;
		case 0xfffe: case 0xffff: fputc('?', out); break;
		default:
			if (is_safe(point))
				fwrite(text, 1, length, out);
			else
				fputc('?', out);
		}
		text += length;
	}
}

void lab_text_fold(FILE *out, const char *text)
{
	int column = 0;

	while (*(text += strspn(text, " ")) != '\0') {
		int length = (int)strcspn(text, " ");

		if (column > 0 && column + 1 + length > NARROW) {
			fputc('\n', out);
			column = 0;
		}
		column += fprintf(out, "%s%.*s", column == 0 ? "    " : " ",
		    length, text) - (column == 0 ? 4 : 0);
		text += length;
	}
	if (column > 0)
		fputc('\n', out);
}
