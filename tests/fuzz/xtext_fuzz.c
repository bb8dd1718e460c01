/* SPDX-License-Identifier: ISC */
/*
 * ORCPT of type utf-8 and xtext from anybody. What is valid can be read; what
 * was read is UTF-8 of one line, and writing it gives a form that reads the
 * same. Writing takes any bytes and makes ASCII of them.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "base/xtext.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
	if (!holds)
		abort();
}

static void check_line(const char *text, bool ascii)
{
	for (; *text != '\0'; text++)
		must((unsigned char)*text >= ' ' && *text != 0x7f &&
		    (!ascii || (unsigned char)*text < 0x80));
}

static void try_read(const char *text, char *out, char *again, size_t size)
{
	char *form;

	if (utf8_addr_read(out, size, text) != 0)
		return;
	check_line(out, false);
	must(utf8_is_valid(out, strlen(out)));
	form = malloc(size);
	must(form != NULL && utf8_addr_write(form, size, out) == 0);
	check_line(form, true);
	must(*form == '\0' || utf8_addr_is_valid(form, false));
	must(utf8_addr_read(again, size, form) == 0);
	must(strcmp(out, again) == 0);
	free(form);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t room = UTF8_ADDR_GROWTH * size + 8;
	char *text = malloc(size + 1), *out = malloc(room);
	char *again = malloc(room);

	must(text != NULL && out != NULL && again != NULL);
	memcpy(text, data, size);
	text[size] = '\0';
	if (utf8_addr_is_valid(text, false)) {
		must(utf8_addr_is_valid(text, true));
		must(utf8_is_ascii(text));
	}
	if (utf8_addr_is_valid(text, true))
		must(utf8_addr_read(out, room, text) == 0);
	if (xtext_is_valid(text))
		must(utf8_is_ascii(text) && strchr(text, ' ') == NULL);
	try_read(text, out, again, room);
	must(utf8_addr_write(out, room, text) == 0);
	check_line(out, true);
	free(text);
	free(out);
	free(again);
	return 0;
}
