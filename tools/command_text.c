/* SPDX-License-Identifier: ISC */
/*
 * Members are read with what jansson gives for a missing one; each line of
 * text passes text_clean() on its way out, and an answer text_read_answer() on
 * its way in, for all that is printed as it is.
 */
#include "tools/command_text.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"

/* The next control character of text, of one byte or two; null: there is none.
 * Ends of lines and tabs harm nobody. */
static char *find_control(const char *text, size_t length, size_t *bytes)
{
	for (size_t i = 0; i < length; i++) {
		unsigned char one = (unsigned char)text[i];
		unsigned char next = (unsigned char)text[i + 1];

		/* U+0080 to U+009F, too. */
		*bytes = one == 0xc2 && next >= 0x80 && next < 0xa0 ? 2 : 1;
		if (*bytes == 2 || one == 0x7f || (one < ' ' && one != '\n' &&
		    one != '\t'))
			return (char *)(uintptr_t)text + i;
	}
	return NULL;
}

static void clean_text(json_t *value)
{
	size_t length = json_string_length(value), bytes;
	const char *text = json_string_value(value);
	char *copy, *at;

	if (find_control(text, length, &bytes) == NULL)
		return;
	copy = mem_dup(text, length + 1);
	for (at = copy; (at = find_control(at, length - (size_t)(at - copy),
	    &bytes)) != NULL; at += bytes)
		memset(at, '?', bytes);
	json_string_setn(value, copy, length);
	mem_free(copy);
}

/* A role that was taken over may wish to write to root's terminal: whoever
 * prints a member, raw or not, prints no control character. -1: a name has one,
 * and nobody of ours gives such names. */
static int clean(json_t *value)
{
	const char *name;
	json_t *member;
	size_t i, bytes;

	if (json_is_string(value))
		clean_text(value);
	json_array_foreach(value, i, member)
		if (clean(member) == -1)
			return -1;
	json_object_foreach(value, name, member)
		if (find_control(name, strlen(name), &bytes) != NULL ||
		    clean(member) == -1)
			return -1;
	return 0;
}

json_t *text_read_answer(const char *line, size_t length)
{
	json_t *object = json_loadb(line, length, 0, NULL);

	if (object == NULL || clean(object) == 0)
		return object;
	json_decref(object);
	return NULL;
}

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
