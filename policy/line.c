/* SPDX-License-Identifier: ISC */
/*
 * The table of RFC 3629 4: what the first byte says about the length and about
 * the range of the second.
 */
#include "policy/line.h"

#include <stdint.h>
#include <string.h>

static const struct form {
	uint8_t	 first, last;		/* of the first byte */
	uint8_t	 low, high;		/* of the second */
	size_t	 length;
} forms[] = {
	{ 0x20, 0x7e, 0, 0, 1 },
	{ 0xc2, 0xc2, 0xa0, 0xbf, 2 },	/* no C1 control */
	{ 0xc3, 0xdf, 0x80, 0xbf, 2 },
	{ 0xe0, 0xe0, 0xa0, 0xbf, 3 },
	{ 0xe1, 0xec, 0x80, 0xbf, 3 },
	{ 0xed, 0xed, 0x80, 0x9f, 3 },	/* no surrogate */
	{ 0xee, 0xef, 0x80, 0xbf, 3 },
	{ 0xf0, 0xf0, 0x90, 0xbf, 4 },
	{ 0xf1, 0xf3, 0x80, 0xbf, 4 },
	{ 0xf4, 0xf4, 0x80, 0x8f, 4 },
};

static const struct form *form_of(uint8_t byte)
{
	size_t i;

	for (i = 0; i < sizeof(forms) / sizeof(forms[0]); i++)
		if (byte >= forms[i].first && byte <= forms[i].last)
			return &forms[i];
	return NULL;
}

/* Length of the character, or 0. A text that ends early has a 0 there. */
static size_t character(const uint8_t *text)
{
	const struct form *form = form_of(text[0]);
	size_t i;

	if (form == NULL)
		return 0;
	if (form->length > 1 && (text[1] < form->low || text[1] > form->high))
		return 0;
	for (i = 2; i < form->length; i++)
		if ((text[i] & 0xc0) != 0x80)
			return 0;
	return form->length;
}

bool line_is_sound(const char *text, size_t size)
{
	const uint8_t *at = (const uint8_t *)text;
	size_t length;

	if (memchr(text, '\0', size) == NULL)
		return false;
	for (; *at != '\0'; at += length) {
		length = character(at);
		if (length == 0)
			return false;
	}
	return true;
}
