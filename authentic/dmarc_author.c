/* SPDX-License-Identifier: ISC */
/*
 * The author's domain (RFC 7489 6.6.1, RFC 9989 5.3.1). Whoever forges a From
 * field has every reason to write it so that we read another address than the
 * recipient's program, or none. So this looks for every "@" that could be one
 * of an address, outside of quotes and comments, by RFC 5322 3.4 with its
 * obsolete forms; what is no grammar at all is passed over, and a quote or
 * comment that never ends begins none. All the domains must be the same one.
 */
#include "authentic/dmarc.h"

#include <stdio.h>
#include <string.h>

#include "authentic/fields.h"
#include "base/address.h"
#include "base/arena.h"
#include "base/idn.h"

/* So many quotes and comments that never end are looked for to the end of the
 * field; more of them are taken as they stand. */
enum { ENDLESS_MAX = 16 };

enum token { TOKEN_END, TOKEN_WORD, TOKEN_LITERAL, TOKEN_SPECIAL };

struct scanner {
	const char	*at;
	const char	*end;
	unsigned	 endless;

	/* of the last token */
	const char	*start;
	size_t		 length;
};

static bool is_blank(char byte)
{
	return byte == ' ' || byte == '\t' || byte == '\r' || byte == '\n';
}

static bool is_special(char byte)
{
	return byte != '\0' && strchr("<>:;,@.", byte) != NULL;
}

/* Behind the closing byte of what begins here; null if it never ends. */
static const char *skip_pair(struct scanner *scanner, char open, char close)
{
	const char *at;
	size_t depth = 0;

	if (scanner->endless == ENDLESS_MAX)
		return NULL;
	for (at = scanner->at; at < scanner->end; at++) {
		if (*at == '\\' && at + 1 < scanner->end) {
			at++;
		} else if (*at == close && depth > 0) {
			if (--depth == 0)
				return at + 1;
		} else if (*at == open) {
			depth++;
		}
	}
	scanner->endless++;
	return NULL;
}

static void skip_blanks(struct scanner *scanner)
{
	const char *behind;

	for (;;) {
		while (scanner->at < scanner->end && is_blank(*scanner->at))
			scanner->at++;
		if (scanner->at == scanner->end || *scanner->at != '(')
			return;
		behind = skip_pair(scanner, '(', ')');
		if (behind == NULL)
			return;
		scanner->at = behind;
	}
}

/* A whole "..." or [...], if one begins here. */
static bool take_pair(struct scanner *scanner, char open, char close)
{
	const char *behind;

	if (*scanner->at != open)
		return false;
	behind = skip_pair(scanner, open, close);
	if (behind == NULL)
		return false;
	scanner->start = scanner->at;
	scanner->length = (size_t)(behind - scanner->at);
	scanner->at = behind;
	return true;
}

static enum token next_token(struct scanner *scanner)
{
	skip_blanks(scanner);
	if (scanner->at == scanner->end)
		return TOKEN_END;
	if (take_pair(scanner, '"', '"'))
		return TOKEN_WORD;
	if (take_pair(scanner, '[', ']'))
		return TOKEN_LITERAL;
	scanner->start = scanner->at++;
	scanner->length = 1;
	if (is_special(*scanner->start))
		return TOKEN_SPECIAL;
	while (scanner->at < scanner->end && !is_blank(*scanner->at) &&
	    !is_special(*scanner->at) && strchr("\"([", *scanner->at) == NULL)
		scanner->at++;
	scanner->length = (size_t)(scanner->at - scanner->start);
	return TOKEN_WORD;
}

static bool is_dot(const struct scanner *scanner, enum token token)
{
	return token == TOKEN_SPECIAL && *scanner->start == '.';
}

/* Behind an "@": atoms with dots between them, joined, and perhaps a last dot.
 * The scanner then stands behind them. -1 if it is no domain. */
static int read_domain(struct scanner *scanner, char *out, size_t size)
{
	char text[IDN_TEXT_MAX + 2];
	struct scanner ahead = *scanner;
	enum token token = next_token(&ahead);
	size_t length = 0;

	while (token == TOKEN_WORD) {
		if (length + ahead.length > IDN_TEXT_MAX)
			return -1;
		memcpy(text + length, ahead.start, ahead.length);
		length += ahead.length;
		*scanner = ahead;
		token = next_token(&ahead);
		if (!is_dot(&ahead, token))
			break;
		text[length++] = '.';
		*scanner = ahead;
		token = next_token(&ahead);
		if (is_dot(&ahead, token))
			return -1;
	}
	scanner->endless = ahead.endless;
	text[length] = '\0';
	return domain_to_ascii(out, size, text) == NULL ? 0 : -1;
}

/* -1: there is no domain, or another, or something that is none. */
static int only_domain(struct scanner *scanner, char *out, size_t size)
{
	char one[ADDRESS_DOMAIN_MAX + 1];
	bool local = false;	/* what stands before may be a local part */
	enum token token;

	out[0] = '\0';
	while ((token = next_token(scanner)) != TOKEN_END) {
		if (token == TOKEN_SPECIAL && *scanner->start == '@' && local) {
			if (read_domain(scanner, one, sizeof(one)) != 0 ||
			    (out[0] != '\0' && strcmp(one, out) != 0))
				return -1;
			snprintf(out, size, "%s", one);
			continue;
		}
		local = token == TOKEN_WORD || is_dot(scanner, token);
	}
	return out[0] != '\0' ? 0 : -1;
}

char *dmarc_author_domain(const struct fields *fields, struct arena *arena)
{
	const struct field *from = fields_find(fields, "From", 0);
	char domain[ADDRESS_DOMAIN_MAX + 1];
	struct scanner scanner = { 0 };

	if (from == NULL || fields_count(fields, "From") != 1 ||
	    fields->too_large || memchr(from->text, '\0', from->length) != NULL)
		return NULL;
	scanner.at = from->text + from->value;
	scanner.end = from->text + from->length;
	if (only_domain(&scanner, domain, sizeof(domain)) != 0)
		return NULL;
	return arena_dup_string(arena, domain);
}
