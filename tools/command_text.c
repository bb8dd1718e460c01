/* SPDX-License-Identifier: ISC */
/*
 * Members are read with what jansson gives for a missing one; each line of
 * text passes text_clean() on its way out.
 */
#include "tools/command_text.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"

const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text == NULL ? "" : text;
}

long long number_of(const json_t *object, const char *key)
{
	return json_integer_value(json_object_get(object, key));
}

bool is_true(const json_t *object, const char *key)
{
	return json_is_true(json_object_get(object, key));
}

void text_print_json(const json_t *object)
{
	/* 0.05 and not 0.050000000000000003 */
	json_dumpf(object, stdout, JSON_COMPACT | JSON_REAL_PRECISION(15));
	putchar('\n');
}

void text_clean(const char *text, char *out, size_t size)
{
	char escaped[TEXT_BYTES];
	size_t length, i = 0, used = 0;

	log_escape(text, strlen(text), escaped, sizeof(escaped));
	length = strlen(escaped);
	if (length >= 2 && escaped[0] == '"') {
		i = 1;
		length--;
	}
	/* A quote is no danger to a terminal; a backslash is \x5c by now. */
	for (; i < length && used + 1 < size; i++) {
		if (strncmp(escaped + i, "\\x22", 4) == 0) {
			out[used++] = '"';
			i += 3;
		} else {
			out[used++] = escaped[i];
		}
	}
	out[used] = '\0';
}

void text_print(const char *text, int width)
{
	char shown[TEXT_BYTES];

	text_clean(text, shown, sizeof(shown));
	printf("%-*s", width, shown);
}

void text_wrap(size_t column, const char *text)
{
	char shown[TEXT_BYTES], *word, *rest = shown;
	size_t at = column, length;

	text_clean(text, shown, sizeof(shown));
	while ((word = strsep(&rest, " ")) != NULL) {
		length = strlen(word);
		if (at > column && at + 1 + length > TEXT_WIDTH) {
			printf("\n%*s", (int)column, "");
			at = column;
		} else if (at > column) {
			putchar(' ');
			at++;
		}
		fputs(word, stdout);
		at += length;
	}
	putchar('\n');
}

void text_line(size_t indent, const char *text)
{
	printf("%*s", (int)indent, "");
	text_wrap(indent, text);
}

void text_labelled(size_t indent, const char *label, const char *text)
{
	if (text[0] == '\0')
		return;
	printf("%*s%-*s", (int)indent, "", TEXT_LABEL, label);
	text_wrap(indent + TEXT_LABEL, text);
}

void text_duration(long long seconds, char *out, size_t size)
{
	static const struct { long long seconds; char unit; } units[] = {
		{ 86400, 'd' }, { 3600, 'h' }, { 60, 'm' } };
	size_t i;

	for (i = 0; i < 3; i++)
		if (seconds > 0 && seconds % units[i].seconds == 0) {
			snprintf(out, size, "%lld%c", seconds /
			    units[i].seconds, units[i].unit);
			return;
		}
	snprintf(out, size, "%llds", seconds);
}

void text_join(const json_t *array, const char *separator, char *out,
    size_t size)
{
	size_t i, used = 0;
	const char *item;

	out[0] = '\0';
	for (i = 0; i < json_array_size(array); i++) {
		item = json_string_value(json_array_get(array, i));
		if (item == NULL || used + strlen(item) + 8 >= size)
			continue;
		used += (size_t)snprintf(out + used, size - used, "%s%s",
		    used > 0 ? separator : "", item);
	}
}
