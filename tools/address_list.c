/* SPDX-License-Identifier: ISC */
/*
 * One pass from left to right. Words are gathered until it is plain what they
 * were: '@' makes them a local part, '<' a display name, ':' the name of a
 * group, and a comma or the end a local part without a domain. What a word
 * says is kept only as far as a local part may be long; the rest is counted.
 */
#include "tools/address_list.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/address.h"
#include "base/mem.h"

enum { COMMENT_DEPTH_MAX = 50 };

struct parser {
	const char		*start;
	const char		*at;
	const char		*end;
	const char		*domain;	/* for local parts alone */
	struct address_list	*list;
	char			*problem;	/* ADDRESS_LIST_PROBLEM bytes */
};

/* Words and dots in a row. */
struct words {
	char	 text[ADDRESS_LOCAL_MAX + 1];	/* unquoted, with its dots */
	size_t	 length;
	bool	 too_long;
	unsigned count;
	bool	 wants_word;	/* at the start, and behind a dot */
	bool	 is_local;	/* could be a local part so far */
};

/* The place is shown by the text around it, if that can be printed. */
static int fail(struct parser *parser, const char *reason)
{
	char shown[40];
	const char *at = parser->at;
	size_t length = 0;

	if (at - parser->start > 12)
		at -= 12;
	else
		at = parser->start;
	for (; at < parser->end && length + 1 < sizeof(shown); at++)
		shown[length++] = *at >= ' ' && *at < 0x7f ? *at : '?';
	shown[length] = '\0';
	snprintf(parser->problem, ADDRESS_LIST_PROBLEM, "%s at \"%s\"", reason,
	    shown);
	return -1;
}

static bool is_blank(char byte)
{
	return byte == ' ' || byte == '\t' || byte == '\r' || byte == '\n';
}

/* RFC 5322 3.2.3, and all bytes of UTF-8 (RFC 6532 3.2). */
static bool is_atext(char byte)
{
	return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
	    (byte >= '0' && byte <= '9') || (unsigned char)byte >= 0x80 ||
	    (byte != '\0' && strchr("!#$%&'*+-/=?^_`{|}~", byte) != NULL);
}

/* Is there a byte that says so? */
static bool is_next(const struct parser *parser, char byte)
{
	return parser->at < parser->end && *parser->at == byte;
}

/* A control character would end up in a line of ours. */
static bool is_control(char byte)
{
	return (unsigned char)byte < ' ' ? byte != '\t' : byte == 0x7f;
}

static int skip_comment(struct parser *parser)
{
	unsigned depth = 0;

	for (; parser->at < parser->end; parser->at++) {
		if (*parser->at == '\\') {
			if (++parser->at == parser->end)
				break;
		} else if (*parser->at == '(') {
			if (++depth > COMMENT_DEPTH_MAX)
				return fail(parser, "comments in comments");
		} else if (*parser->at == ')' && --depth == 0) {
			parser->at++;
			return 0;
		}
	}
	return fail(parser, "a comment without its end");
}

/* White space, line ends of folding, comments (CFWS). */
static int skip_space(struct parser *parser)
{
	while (parser->at < parser->end) {
		if (is_blank(*parser->at))
			parser->at++;
		else if (*parser->at != '(')
			break;
		else if (skip_comment(parser) == -1)
			return -1;
	}
	return 0;
}

static void keep(struct words *words, char byte)
{
	if (words->length < sizeof(words->text) - 1)
		words->text[words->length++] = byte;
	else
		words->too_long = true;
}

static int read_quoted(struct parser *parser, struct words *words)
{
	for (parser->at++; parser->at < parser->end; parser->at++) {
		if (*parser->at == '"') {
			parser->at++;
			return 0;
		}
		/* The line ends of folding are not of the string. */
		if (*parser->at == '\r' || *parser->at == '\n')
			continue;
		if (*parser->at == '\\' && ++parser->at == parser->end)
			break;
		if (is_control(*parser->at))
			return fail(parser, "a control character");
		keep(words, *parser->at);
	}
	return fail(parser, "a quoted string without its end");
}

static int read_word(struct parser *parser, struct words *words)
{
	if (!words->wants_word)
		words->is_local = false;	/* two without a dot: a phrase */
	words->wants_word = false;
	words->count++;
	if (*parser->at == '"')
		return read_quoted(parser, words);
	while (parser->at < parser->end && is_atext(*parser->at))
		keep(words, *parser->at++);
	return 0;
}

/* Up to the first byte that is neither word nor dot. */
static int read_words(struct parser *parser, struct words *words)
{
	memset(words, 0, sizeof(*words));
	words->wants_word = words->is_local = true;
	for (;;) {
		if (skip_space(parser) == -1)
			return -1;
		if (parser->at == parser->end)
			return 0;
		if (*parser->at == '.') {
			if (words->wants_word)
				words->is_local = false;
			words->wants_word = true;
			keep(words, *parser->at++);
		} else if (*parser->at == '"' || is_atext(*parser->at)) {
			if (read_word(parser, words) == -1)
				return -1;
		} else {
			return 0;
		}
	}
}

static bool is_local_part(const struct words *words)
{
	return words->is_local && words->count > 0 && !words->wants_word;
}

static bool is_listed(const struct address_list *list, const char *text)
{
	for (size_t i = 0; i < list->count; i++)
		if (strcmp(list->items[i], text) == 0)
			return true;
	return false;
}

/* The local part in quotes, which address_parse() takes off again where they
 * are not needed. */
static int add(struct parser *parser, const struct words *words,
    const char *domain)
{
	char text[2 * ADDRESS_LOCAL_MAX + ADDRESS_DOMAIN_MAX + 8];
	char printed[ADDRESS_MAX + 1];
	struct address_list *list = parser->list;
	struct address address;
	enum address_error error;
	size_t length = 0;

	if (words->too_long)
		return fail(parser, "a local part of more than 64 bytes");
	text[length++] = '"';
	for (size_t i = 0; i < words->length; i++) {
		if (words->text[i] == '"' || words->text[i] == '\\')
			text[length++] = '\\';
		text[length++] = words->text[i];
	}
	snprintf(text + length, sizeof(text) - length, "\"@%.*s",
	    ADDRESS_DOMAIN_MAX + 1, domain);
	error = address_parse(&address, text);
	if (error != ADDRESS_OK)
		return fail(parser, address_error_text(error));
	address_format(&address, printed, sizeof(printed));
	if (is_listed(list, printed))
		return 0;
	if (list->count == ADDRESS_LIST_MAX)
		return fail(parser, "too many addresses");
	list->items = mem_resize(list->items, list->count + 1,
	    sizeof(*list->items));
	list->items[list->count++] = mem_dup_string(printed);
	return 0;
}

/* "[192.0.2.1]"; address_parse() looks at what is in it. */
static int read_literal(struct parser *parser, char *out, size_t size)
{
	size_t length = 0;

	while (parser->at < parser->end) {
		if (is_blank(*parser->at) || is_control(*parser->at) ||
		    *parser->at == '\\' || length + 1 >= size)
			break;
		out[length++] = *parser->at;
		if (*parser->at++ == ']') {
			out[length] = '\0';
			return 0;
		}
	}
	return fail(parser, "an address literal without its end");
}

/* Behind the '@'. */
static int read_domain(struct parser *parser, char *out, size_t size)
{
	size_t length = 0;
	bool wants_atom = true;

	out[0] = '\0';
	if (skip_space(parser) == -1)
		return -1;
	if (is_next(parser, '['))
		return read_literal(parser, out, size);
	while (parser->at < parser->end) {
		if (*parser->at == '.' ? wants_atom : !wants_atom)
			break;
		if (*parser->at != '.' && !is_atext(*parser->at))
			break;
		wants_atom = *parser->at == '.';
		do {
			if (length + 1 >= size)
				return fail(parser, "a domain that is too "
				    "long");
			out[length++] = *parser->at++;
		} while (!wants_atom && parser->at < parser->end &&
		    is_atext(*parser->at));
		if (skip_space(parser) == -1)
			return -1;
	}
	out[length] = '\0';
	if (wants_atom)
		return fail(parser, "a domain is missing, or not one");
	return 0;
}

/* At the '@' behind a local part. */
static int read_mailbox(struct parser *parser, const struct words *words)
{
	char domain[ADDRESS_DOMAIN_MAX + 2];

	if (!is_local_part(words))
		return fail(parser, "not a local part in front of @");
	parser->at++;
	if (read_domain(parser, domain, sizeof(domain)) == -1)
		return -1;
	return add(parser, words, domain);
}

/* RFC 5322 4.4: "@relay.example,@other.example:" is read and dropped. */
static int skip_route(struct parser *parser)
{
	char domain[ADDRESS_DOMAIN_MAX + 2];

	while (is_next(parser, '@') || is_next(parser, ',')) {
		if (*parser->at++ == '@' &&
		    read_domain(parser, domain, sizeof(domain)) == -1)
			return -1;
		if (skip_space(parser) == -1)
			return -1;
	}
	if (!is_next(parser, ':'))
		return fail(parser, "a route without its colon");
	parser->at++;
	return 0;
}

/* At the '<'. */
static int read_angle(struct parser *parser)
{
	struct words words;

	parser->at++;
	if (skip_space(parser) == -1)
		return -1;
	if ((is_next(parser, '@') || is_next(parser, ',')) &&
	    skip_route(parser) == -1)
		return -1;
	if (read_words(parser, &words) == -1)
		return -1;
	if (is_next(parser, '@')) {
		if (read_mailbox(parser, &words) == -1)
			return -1;
	} else if (!is_local_part(&words)) {
		return fail(parser, "no address between < and >");
	} else if (add(parser, &words, parser->domain) == -1) {
		return -1;
	}
	if (skip_space(parser) == -1)
		return -1;
	if (!is_next(parser, '>'))
		return fail(parser, "an address without its >");
	parser->at++;
	return skip_space(parser);
}

/* What stands between two commas. A group's name leaves *in_group set. */
static int read_address(struct parser *parser, bool *in_group)
{
	struct words words;

	if (read_words(parser, &words) == -1)
		return -1;
	if (is_next(parser, '@'))
		return read_mailbox(parser, &words);
	if (is_next(parser, '<'))
		return read_angle(parser);
	if (is_next(parser, ':') && !*in_group && words.count > 0) {
		parser->at++;
		*in_group = true;
		return read_address(parser, in_group);
	}
	if (words.count == 0 && words.length == 0)
		return 0;	/* empty, as in "a@example.org,,": 4.4 */
	if (!is_local_part(&words))
		return fail(parser, "not an address");
	return add(parser, &words, parser->domain);
}

static int read_list(struct parser *parser)
{
	bool in_group = false;

	for (;;) {
		if (read_address(parser, &in_group) == -1)
			return -1;
		if (is_next(parser, ';') && in_group) {
			parser->at++;
			in_group = false;
			if (skip_space(parser) == -1)
				return -1;
		}
		if (parser->at == parser->end)
			break;
		if (!is_next(parser, ','))
			return fail(parser, "a comma is missing");
		parser->at++;
	}
	return in_group ? fail(parser, "a group without its ;") : 0;
}

static void cut(struct address_list *list, size_t count)
{
	while (list->count > count)
		mem_free(list->items[--list->count]);
}

void address_list_init(struct address_list *list)
{
	list->items = NULL;
	list->count = 0;
}

void address_list_release(struct address_list *list)
{
	cut(list, 0);
	mem_free(list->items);
	list->items = NULL;
}

int address_list_parse(struct address_list *list, const char *text,
    size_t length, const char *domain, char *problem)
{
	struct parser parser = { .start = text, .at = text,
	    .end = text + length, .domain = domain, .list = list,
	    .problem = problem };
	size_t before = list->count;

	problem[0] = '\0';
	if (length > ADDRESS_LIST_BYTES)
		return fail(&parser, "too many bytes of addresses");
	if (read_list(&parser) == 0)
		return 0;
	cut(list, before);
	return -1;
}

char *address_list_parse_one(const char *text, const char *domain,
    char *problem)
{
	struct address_list list;
	char *one = NULL;

	address_list_init(&list);
	if (address_list_parse(&list, text, strlen(text), domain,
	    problem) == 0) {
		if (list.count == 1) {
			one = list.items[0];
			list.count = 0;
		} else {
			snprintf(problem, ADDRESS_LIST_PROBLEM,
			    "%zu addresses where one is wanted", list.count);
		}
	}
	address_list_release(&list);
	return one;
}
