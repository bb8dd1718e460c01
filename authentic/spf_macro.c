/* SPDX-License-Identifier: ISC */
/*
 * One reader of macro-strings says what the next element is; checking and
 * expanding are two loops over it. Work is bounded: what a macro stands for is
 * at most SPF_VALUE_MAX bytes, and of a name only the end is kept, as only the
 * last LOOKUP_NAME_MAX bytes of it can matter.
 */
#include "authentic/spf_macro.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "authentic/lookup.h"
#include "base/arena.h"
#include "base/net.h"

enum {
	PARTS_MAX = SPF_VALUE_MAX + 1,
	NAME_ROOM = 2048		/* so much of a name's end is kept */
};

/* A byte as it stands, %% %_ %-, or %{...}; or what is none of them. */
enum element_kind { ELEMENT_LITERAL, ELEMENT_ESCAPE, ELEMENT_MACRO,
    ELEMENT_WRONG };

struct element {
	enum element_kind	 kind;
	size_t			 length;	/* as written */
	char			 letter;	/* as written; or the literal */
	unsigned		 parts;		/* 0: all */
	bool			 reverse;
	const char		*delimiters;
	size_t			 delimiter_count;
};

/* Where an expansion goes. */
struct output {
	char	*text;
	size_t	 size;
	size_t	 length;
	bool	 keeps_end;	/* full: forgets its beginning, not its end */
};

static const char name_letters[] = "slodiphv";
static const char text_letters[] = "slodiphvcrt";

static char to_lower(char byte)
{
	return byte >= 'A' && byte <= 'Z' ? (char)(byte - 'A' + 'a') : byte;
}

static bool is_digit(char byte)
{
	return byte >= '0' && byte <= '9';
}

static bool is_letter(char byte)
{
	return to_lower(byte) >= 'a' && to_lower(byte) <= 'z';
}

/* --- reading --- */

/* Behind "%{": letter, transformers, delimiters, "}". */
static void read_macro(const char *text, size_t length,
    struct element *element)
{
	size_t at = 2;
	bool counted = false;

	element->kind = ELEMENT_WRONG;
	if (at == length || !is_letter(text[at]))
		return;
	element->letter = text[at++];
	for (; at < length && is_digit(text[at]); at++) {
		counted = true;
		if (element->parts <= PARTS_MAX)
			element->parts = element->parts * 10 +
			    (unsigned)(text[at] - '0');
	}
	if (counted && element->parts == 0)
		return;
	if (at < length && to_lower(text[at]) == 'r') {
		element->reverse = true;
		at++;
	}
	element->delimiters = text + at;
	while (at < length && text[at] != '\0' &&
	    strchr(".-+,/_=", text[at]) != NULL)
		at++;
	element->delimiter_count = (size_t)(text + at - element->delimiters);
	if (at == length || text[at] != '}')
		return;
	element->length = at + 1;
	element->kind = ELEMENT_MACRO;
}

/* length is not 0. */
static struct element read_element(const char *text, size_t length)
{
	struct element element = { .kind = ELEMENT_LITERAL, .length = 1,
	    .letter = text[0] };

	if (text[0] != '%')
		return element;
	element.kind = ELEMENT_WRONG;
	if (length < 2)
		return element;
	if (text[1] == '{') {
		read_macro(text, length, &element);
	} else if (text[1] == '%' || text[1] == '_' || text[1] == '-') {
		element.kind = ELEMENT_ESCAPE;
		element.length = 2;
		element.letter = text[1];
	}
	return element;
}

static bool element_is_valid(const struct element *element,
    enum spf_macro_use use)
{
	switch (element->kind) {
	case ELEMENT_LITERAL:
		return (element->letter > ' ' && element->letter <= '~') ||
		    (element->letter == ' ' && use == SPF_MACRO_TEXT);
	case ELEMENT_MACRO:
		return strchr(use == SPF_MACRO_NAME ? name_letters :
		    text_letters, to_lower(element->letter)) != NULL;
	default:
		return element->kind == ELEMENT_ESCAPE;
	}
}

bool spf_macro_is_valid(const char *text, size_t length,
    enum spf_macro_use use)
{
	struct element element;
	size_t at;

	for (at = 0; at < length; at += element.length) {
		element = read_element(text + at, length - at);
		if (!element_is_valid(&element, use))
			return false;
	}
	return true;
}

/* Letters, digits and hyphens, none of them at an end, and not digits only. */
static bool is_top_label(const char *text, size_t length)
{
	bool digits_only = true;
	size_t i;

	if (length == 0 || text[0] == '-' || text[length - 1] == '-')
		return false;
	for (i = 0; i < length; i++) {
		if (!is_letter(text[i]) && !is_digit(text[i]) &&
		    text[i] != '-')
			return false;
		digits_only = digits_only && is_digit(text[i]);
	}
	return !digits_only;
}

bool spf_macro_is_domain(const char *text, size_t length)
{
	size_t literal = 0;	/* where the last run of literals begins */
	size_t at, end = length, dot;
	struct element element;

	if (length == 0 || !spf_macro_is_valid(text, length, SPF_MACRO_NAME))
		return false;
	for (at = 0; at < length; at += element.length) {
		element = read_element(text + at, length - at);
		if (element.kind != ELEMENT_LITERAL)
			literal = at + element.length;
	}
	if (literal == length)
		return true;
	if (text[end - 1] == '.')
		end--;
	for (dot = end; dot > literal && text[dot - 1] != '.'; dot--)
		continue;
	return dot > literal && is_top_label(text + dot, end - dot);
}

bool spf_macro_has(const char *text, size_t length, const char *letters)
{
	struct element element;
	size_t at;

	for (at = 0; at < length; at += element.length) {
		element = read_element(text + at, length - at);
		if (element.kind == ELEMENT_MACRO &&
		    strchr(letters, to_lower(element.letter)) != NULL)
			return true;
	}
	return false;
}

/* --- expanding --- */

static void put(struct output *output, char byte)
{
	if (output->length == output->size) {
		if (!output->keeps_end)
			return;
		output->length = output->size / 2;
		memmove(output->text, output->text + output->size -
		    output->length, output->length);
	}
	output->text[output->length++] = byte;
}

/* RFC 3986 2.3: capital letters escape all but the unreserved. */
static void put_escaped(struct output *output, char byte)
{
	static const char digits[] = "0123456789ABCDEF";

	if (is_letter(byte) || is_digit(byte) ||
	    (byte != '\0' && strchr("-._~", byte) != NULL)) {
		put(output, byte);
		return;
	}
	put(output, '%');
	put(output, digits[(unsigned char)byte >> 4]);
	put(output, digits[(unsigned char)byte & 15]);
}

/* The client's address as labels in order: octets, or all 32 nibbles. */
static void print_labels(const struct endpoint *client, char *out, size_t size)
{
	static const char digits[] = "0123456789abcdef";
	const uint8_t *bytes = client->address.v6.sin6_addr.s6_addr;
	size_t i;

	if (client->address.any.sa_family != AF_INET6) {
		endpoint_format(client, out, size);
		return;
	}
	for (i = 0; i < 16; i++)
		snprintf(out + i * 4, size - i * 4, "%c.%c.",
		    digits[bytes[i] >> 4], digits[bytes[i] & 15]);
	out[16 * 4 - 1] = '\0';
}

/* scratch: ENDPOINT_TEXT_MAX + 1 bytes. */
static const char *value_of(const struct spf_macros *macros, char letter,
    char *scratch)
{
	switch (letter) {
	case 's': return macros->sender;
	case 'l': return macros->local;
	case 'o': return macros->sender_domain;
	case 'd': return macros->domain;
	case 'h': return macros->hello;
	case 'r': return macros->receiver;
	case 'p': return macros->validated;
	case 'v':
		return macros->client->address.any.sa_family == AF_INET6 ?
		    "ip6" : "in-addr";
	case 'i':
		print_labels(macros->client, scratch, ENDPOINT_TEXT_MAX + 1);
		return scratch;
	case 'c':
		endpoint_format(macros->client, scratch, ENDPOINT_TEXT_MAX);
		return scratch;
	default:
		snprintf(scratch, ENDPOINT_TEXT_MAX, "%" PRId64, macros->now);
		return scratch;
	}
}

/* Splits at delimiters: where each part begins, and behind the last. */
static size_t split(const char *value, const struct element *element,
    uint16_t *starts)
{
	const char *delimiters = element->delimiter_count == 0 ? "." :
	    element->delimiters;
	size_t kinds = element->delimiter_count == 0 ? 1 :
	    element->delimiter_count;
	size_t i, count = 0;

	starts[count++] = 0;
	for (i = 0; i < SPF_VALUE_MAX && value[i] != '\0'; i++)
		if (memchr(delimiters, value[i], kinds) != NULL)
			starts[count++] = (uint16_t)(i + 1);
	starts[count] = (uint16_t)(i + 1);
	return count;
}

/* The right-hand parts, after reversal, joined by dots. */
static void put_macro(struct output *output, const struct element *element,
    const char *value)
{
	uint16_t starts[PARTS_MAX + 2];
	size_t count = split(value, element, starts);
	size_t first = element->parts > 0 && element->parts < count ?
	    count - element->parts : 0;
	size_t i, j, part;

	for (i = first; i < count; i++) {
		part = element->reverse ? count - 1 - i : i;
		if (i > first)
			put(output, '.');
		for (j = starts[part]; j + 1 < starts[part + 1]; j++)
			if (is_letter(element->letter) &&
			    to_lower(element->letter) != element->letter)
				put_escaped(output, value[j]);
			else
				put(output, value[j]);
	}
}

static void put_element(struct output *output, const struct element *element,
    const struct spf_macros *macros)
{
	char scratch[ENDPOINT_TEXT_MAX + 1];

	if (element->kind == ELEMENT_MACRO) {
		put_macro(output, element, value_of(macros,
		    to_lower(element->letter), scratch));
	} else if (element->kind == ELEMENT_LITERAL ||
	    element->letter == '%') {
		put(output, element->letter);
	} else {
		if (element->letter == '_') {
			put(output, ' ');
			return;
		}
		put(output, '%');
		put(output, '2');
		put(output, '0');
	}
}

static void expand(const struct spf_macros *macros, const char *text,
    size_t length, struct output *output)
{
	struct element element;
	size_t at;

	for (at = 0; at < length; at += element.length) {
		element = read_element(text + at, length - at);
		put_element(output, &element, macros);
	}
}

const char *spf_macro_name(const struct spf_macros *macros, const char *text,
    size_t length, struct arena *arena)
{
	char room[NAME_ROOM];
	struct output output = { .text = room, .size = sizeof(room),
	    .keeps_end = true };
	const char *start = room, *dot;
	size_t left, i;
	char *name;

	expand(macros, text, length, &output);
	left = output.length;
	if (left > 0 && room[left - 1] == '.')
		left--;
	while (left > LOOKUP_NAME_MAX) {
		dot = memchr(start, '.', left);
		if (dot == NULL)
			return "";
		left -= (size_t)(dot + 1 - start);
		start = dot + 1;
	}
	name = arena_dup_text(arena, start, left);
	for (i = 0; i < left; i++)
		name[i] = to_lower(name[i]);
	return name;
}

const char *spf_macro_text(const struct spf_macros *macros, const char *text,
    size_t length, size_t max, struct arena *arena)
{
	char *room = arena_alloc(arena, max + 1);
	struct output output = { .text = room, .size = max };

	expand(macros, text, length, &output);
	return room;
}
