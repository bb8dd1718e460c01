/* SPDX-License-Identifier: ISC */
/*
 * The grammar of RFC 5321 4.1.2 (Path, Mailbox) and 4.1.3 (address literals),
 * read by descent over a cursor that never passes the end of its text. Input
 * is bytes: null bytes and bytes above 126 may stand anywhere in it. RFC 6531
 * 3.3 adds UTF-8 to what local parts may hold, quoted or not, and U-labels.
 */
#include "base/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/idn.h"
#include "base/log.h"
#include "base/utf8.h"

enum { LABEL_MAX = 63 };

/* What is still to be read. */
struct cursor {
	const char	*position;
	const char	*end;
	bool		 utf8;		/* SMTPUTF8 was said */
};

static int peek(const struct cursor *cursor)
{
	if (cursor->position == cursor->end)
		return -1;
	return (unsigned char)*cursor->position;
}

static bool take(struct cursor *cursor, char byte)
{
	if (peek(cursor) != (unsigned char)byte)
		return false;
	cursor->position++;
	return true;
}

static bool is_let_dig(int byte)
{
	return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
	    (byte >= '0' && byte <= '9');
}

/* RFC 5322 3.2.3 */
static bool is_atext(int byte)
{
	return is_let_dig(byte) ||
	    (byte > 0 && strchr("!#$%&'*+-/=?^_`{|}~", byte) != NULL);
}

static char to_lower(char byte)
{
	return byte >= 'A' && byte <= 'Z' ? (char)(byte - 'A' + 'a') : byte;
}

/* --- domains --- */

int domain_parse(char *out, size_t size, const char *text, size_t length)
{
	size_t i, label = 0;

	if (length > 0 && text[length - 1] == '.')
		length--;
	if (length == 0 || length > ADDRESS_DOMAIN_MAX || length >= size)
		return -1;
	for (i = 0; i < length; i++) {
		bool last = i + 1 == length || text[i + 1] == '.';

		if (text[i] == '.') {
			if (label == 0)
				return -1;
			label = 0;
		} else if (is_let_dig(text[i]) ||
		    (text[i] == '-' && label > 0 && !last)) {
			if (++label > LABEL_MAX)
				return -1;
		} else {
			return -1;
		}
		out[i] = to_lower(text[i]);
	}
	out[length] = '\0';
	return label > 0 ? 0 : -1;
}

/*
 * RFC 5321 4.1.3: beside a "::" stand six groups at most, where an IPv4 tail
 * is worth two. inet_pton() would take seven.
 */
static bool has_legal_groups(const char *text)
{
	unsigned groups = 0;
	const char *at;

	if (strstr(text, "::") == NULL)
		return true;
	for (at = text; *at != '\0'; at++)
		if (*at != ':' && (at == text || at[-1] == ':'))
			groups++;
	if (strchr(text, '.') != NULL)
		groups++;
	return groups <= 6;
}

/* Reads what stands between the brackets; writes the one spelling we use. */
static int literal_parse(char *out, size_t size, const char *text,
    size_t length)
{
	char inner[sizeof "IPv6:" + INET6_ADDRSTRLEN];
	char spelled[INET6_ADDRSTRLEN];
	unsigned char bytes[sizeof(struct in6_addr)];
	int written;

	if (length >= sizeof inner || memchr(text, '\0', length) != NULL)
		return -1;
	memcpy(inner, text, length);
	inner[length] = '\0';
	if (inet_pton(AF_INET, inner, bytes) == 1) {
		inet_ntop(AF_INET, bytes, spelled, sizeof spelled);
		written = snprintf(out, size, "[%s]", spelled);
	} else if (strncasecmp(inner, "IPv6:", 5) == 0 &&
	    has_legal_groups(inner + 5) &&
	    inet_pton(AF_INET6, inner + 5, bytes) == 1) {
		inet_ntop(AF_INET6, bytes, spelled, sizeof spelled);
		written = snprintf(out, size, "[ipv6:%s]", spelled);
	} else {
		return -1;
	}
	return (size_t)written < size ? 0 : -1;
}

bool domain_is_literal(const char *domain)
{
	char spelled[ADDRESS_DOMAIN_MAX + 1];
	size_t length = strlen(domain);

	return length > 2 && domain[0] == '[' && domain[length - 1] == ']' &&
	    literal_parse(spelled, sizeof spelled, domain + 1, length - 2) == 0;
}

bool domain_match(const char *domain, const char *pattern)
{
	size_t length = strlen(domain), tail;

	if (strcmp(pattern, "*") == 0)
		return true;
	if (pattern[0] == '*' && pattern[1] == '.')
		pattern++;
	if (pattern[0] != '.')
		return strcasecmp(domain, pattern) == 0;
	tail = strlen(pattern);
	/* A literal has dots that separate no labels. */
	return domain[0] != '[' && tail > 1 && length > tail &&
	    strcasecmp(domain + length - tail, pattern) == 0;
}

/* --- reading addresses --- */

/* A name with U-labels. */
static enum address_error read_labels(const char *text, size_t length,
    char *out)
{
	char name[IDN_TEXT_MAX + 1];

	if (length > IDN_TEXT_MAX)
		return ADDRESS_DOMAIN_TOO_LONG;
	memcpy(name, text, length);
	name[length] = '\0';
	return domain_to_ascii(out, ADDRESS_DOMAIN_MAX + 1, name) == NULL ?
	    ADDRESS_OK : ADDRESS_DOMAIN_SYNTAX;
}

/* Is one of these bytes above 127? */
static bool has_high_byte(const char *text, size_t length)
{
	while (length > 0)
		if ((unsigned char)text[--length] >= 0x80)
			return true;
	return false;
}

/*
 * A domain or literal: everything up to a byte that can only stand behind it.
 * The final dot that domain_parse() forgives is not in RFC 5321's grammar.
 */
static enum address_error read_domain(struct cursor *cursor, char *out)
{
	const char *start = cursor->position;
	size_t length;

	if (peek(cursor) == '[') {
		while (peek(cursor) > ' ' && peek(cursor) != ']')
			cursor->position++;
		length = (size_t)(cursor->position - start) - 1;
		if (!take(cursor, ']') || literal_parse(out,
		    ADDRESS_DOMAIN_MAX + 1, start + 1, length) != 0)
			return ADDRESS_DOMAIN_SYNTAX;
		return ADDRESS_OK;
	}
	while (peek(cursor) > ' ' && strchr("<>,:@", peek(cursor)) == NULL)
		cursor->position++;
	length = (size_t)(cursor->position - start);
	if (cursor->utf8 && has_high_byte(start, length) &&
	    start[length - 1] != '.')
		return read_labels(start, length, out);
	if (length > ADDRESS_DOMAIN_MAX)
		return ADDRESS_DOMAIN_TOO_LONG;
	if (length == 0 || start[length - 1] == '.' ||
	    domain_parse(out, ADDRESS_DOMAIN_MAX + 1, start, length) != 0)
		return ADDRESS_DOMAIN_SYNTAX;
	return ADDRESS_OK;
}

/* Room for one more byte is left when this returns ADDRESS_OK. */
static enum address_error add_local(char *out, size_t *length, int byte)
{
	if (*length == ADDRESS_LOCAL_MAX)
		return ADDRESS_LOCAL_TOO_LONG;
	out[(*length)++] = (char)byte;
	return ADDRESS_OK;
}

/*
 * A character above 127 in a local part: true when it was taken, or error
 * says why it cannot be. Control characters are in no address (U+0080 to
 * U+009F), as those of ASCII are not.
 */
static bool take_character(struct cursor *cursor, char *out, size_t *length,
    enum address_error *error)
{
	uint32_t point = 0;
	size_t bytes;

	if (!cursor->utf8 || peek(cursor) < 0x80)
		return false;
	bytes = utf8_read(cursor->position,
	    (size_t)(cursor->end - cursor->position), &point);
	if (bytes == 0 || point < 0xa0) {
		*error = ADDRESS_SYNTAX;
		return false;
	}
	for (; bytes > 0; bytes--) {
		*error = add_local(out, length, peek(cursor));
		if (*error != ADDRESS_OK)
			return false;
		cursor->position++;
	}
	return true;
}

/* Behind the opening quote. Spaces are allowed, control characters not. */
static enum address_error read_quoted(struct cursor *cursor, char *out)
{
	size_t length = 0;

	while (!take(cursor, '"')) {
		enum address_error error = ADDRESS_OK;

		/* RFC 6531 3.3 adds to qtextSMTP, not to what is behind a
		 * backslash. */
		if (take_character(cursor, out, &length, &error))
			continue;
		if (error != ADDRESS_OK)
			return error;
		take(cursor, '\\');
		if (peek(cursor) < ' ' || peek(cursor) > '~')
			return ADDRESS_SYNTAX;
		error = add_local(out, &length, peek(cursor));
		if (error != ADDRESS_OK)
			return error;
		cursor->position++;
	}
	out[length] = '\0';
	/* The grammar has "" too, but it names nobody and would look like the
	 * null address. */
	return length > 0 ? ADDRESS_OK : ADDRESS_SYNTAX;
}

/* One atom; it ends where something else begins. */
static enum address_error read_atom(struct cursor *cursor, char *out,
    size_t *length)
{
	enum address_error error = ADDRESS_OK;
	const char *start = cursor->position;

	for (;;) {
		if (take_character(cursor, out, length, &error))
			continue;
		if (error != ADDRESS_OK)
			return error;
		if (!is_atext(peek(cursor)))
			break;
		error = add_local(out, length, peek(cursor));
		if (error != ADDRESS_OK)
			return error;
		cursor->position++;
	}
	return cursor->position > start ? ADDRESS_OK : ADDRESS_SYNTAX;
}

static enum address_error read_dot_string(struct cursor *cursor, char *out)
{
	size_t length = 0;
	enum address_error error;

	do {
		if (length > 0) {
			error = add_local(out, &length, '.');
			if (error != ADDRESS_OK)
				return error;
		}
		error = read_atom(cursor, out, &length);
		if (error != ADDRESS_OK)
			return error;
	} while (take(cursor, '.'));
	out[length] = '\0';
	return ADDRESS_OK;
}

/* Mailbox, or a local part alone, which leaves the domain empty. */
static enum address_error read_mailbox(struct cursor *cursor,
    struct address *address)
{
	enum address_error error;

	if (take(cursor, '"'))
		error = read_quoted(cursor, address->local);
	else
		error = read_dot_string(cursor, address->local);
	if (error != ADDRESS_OK || !take(cursor, '@'))
		return error;
	return read_domain(cursor, address->domain);
}

/* RFC 5321 4.1.2, A-d-l: checked, then forgotten. */
static enum address_error skip_source_route(struct cursor *cursor)
{
	char domain[ADDRESS_DOMAIN_MAX + 1];

	do {
		enum address_error error;

		if (!take(cursor, '@'))
			return ADDRESS_SYNTAX;
		error = read_domain(cursor, domain);
		if (error != ADDRESS_OK)
			return error;
	} while (take(cursor, ','));
	return take(cursor, ':') ? ADDRESS_OK : ADDRESS_SYNTAX;
}

static enum address_error read_path(struct cursor *cursor,
    struct address *address, int flags)
{
	enum address_error error = ADDRESS_OK;
	bool routed;

	if (!take(cursor, '<'))
		return ADDRESS_SYNTAX;
	if ((flags & ADDRESS_ALLOW_NULL) != 0 && take(cursor, '>'))
		return ADDRESS_OK;
	routed = peek(cursor) == '@';
	if (routed)
		error = skip_source_route(cursor);
	if (error == ADDRESS_OK)
		error = read_mailbox(cursor, address);
	if (error != ADDRESS_OK)
		return error;
	if (!take(cursor, '>'))
		return ADDRESS_SYNTAX;
	if (address->domain[0] == '\0' &&
	    ((flags & ADDRESS_ALLOW_POSTMASTER) == 0 || routed ||
	    !address_is_postmaster(address)))
		return ADDRESS_NOT_QUALIFIED;
	return ADDRESS_OK;
}

/* Says so when what spoils the syntax is a byte that SMTPUTF8 would allow. */
static enum address_error refine(enum address_error error, const char *text,
    size_t length)
{
	size_t i;

	if (error != ADDRESS_SYNTAX && error != ADDRESS_DOMAIN_SYNTAX)
		return error;
	for (i = 0; i < length && text[i] != '>'; i++)
		if ((unsigned char)text[i] >= 0x80)
			return ADDRESS_NOT_ASCII;
	return error;
}

enum address_error address_parse_path(struct address *address,
    const char *text, size_t length, int flags, size_t *used)
{
	struct cursor cursor = { text, text + length,
	    (flags & ADDRESS_ALLOW_UTF8) != 0 };
	enum address_error error;

	memset(address, 0, sizeof *address);
	*used = 0;
	error = read_path(&cursor, address, flags);
	if (error != ADDRESS_OK) {
		memset(address, 0, sizeof *address);
		return cursor.utf8 ? error : refine(error, text, length);
	}
	*used = (size_t)(cursor.position - text);
	return ADDRESS_OK;
}

enum address_error address_parse(struct address *address, const char *text)
{
	size_t length = strlen(text);
	struct cursor cursor = { text, text + length, true };
	enum address_error error;

	memset(address, 0, sizeof *address);
	error = read_mailbox(&cursor, address);
	if (error == ADDRESS_OK && peek(&cursor) != -1)
		error = ADDRESS_SYNTAX;
	if (error == ADDRESS_OK && address->domain[0] == '\0')
		error = ADDRESS_NOT_QUALIFIED;
	if (error != ADDRESS_OK)
		memset(address, 0, sizeof *address);
	return error;
}

const char *address_error_text(enum address_error error)
{
	static const char *const texts[] = {
		[ADDRESS_OK] = "the address is valid",
		[ADDRESS_SYNTAX] = "the address has a syntax error",
		[ADDRESS_LOCAL_TOO_LONG] =
		    "the part before the @ is longer than 64 characters",
		[ADDRESS_DOMAIN_SYNTAX] =
		    "the part behind the @ is not a domain name",
		[ADDRESS_DOMAIN_TOO_LONG] =
		    "the domain name is longer than 255 characters",
		[ADDRESS_NOT_QUALIFIED] = "the address has no domain",
		[ADDRESS_NOT_ASCII] =
		    "the address has characters outside ASCII"
	};

	if ((size_t)error >= sizeof texts / sizeof texts[0])
		bug("unknown-address-error");
	return texts[error];
}

/* --- using addresses --- */

bool address_is_null(const struct address *address)
{
	return address->local[0] == '\0' && address->domain[0] == '\0';
}

bool address_is_postmaster(const struct address *address)
{
	return strcasecmp(address->local, "postmaster") == 0;
}

bool address_equal(const struct address *one, const struct address *other)
{
	if (strcmp(one->domain, other->domain) != 0)
		return false;
	return strcmp(one->local, other->local) == 0 ||
	    (address_is_postmaster(one) && address_is_postmaster(other));
}

/* True when the local part is a Dot-string as it stands; what is above 127 in
 * an address is good UTF-8. */
static bool needs_no_quotes(const char *local)
{
	const char *at;

	for (at = local; *at != '\0'; at++) {
		bool inner = at > local && at[-1] != '.' && at[1] != '\0';

		if (!is_atext((unsigned char)*at) &&
		    (unsigned char)*at < 0x80 && !(*at == '.' && inner))
			return false;
	}
	return true;
}

void address_format(const struct address *address, char *out, size_t size)
{
	bool plain = needs_no_quotes(address->local);
	const char *at;
	char *end = out;

	if (size <= ADDRESS_MAX)
		bug("address-buffer-too-small");
	if (!plain)
		*end++ = '"';
	for (at = address->local; *at != '\0'; at++) {
		if (!plain && (*at == '"' || *at == '\\'))
			*end++ = '\\';
		*end++ = *at;
	}
	if (!plain)
		*end++ = '"';
	if (address->domain[0] != '\0')
		end += snprintf(end, size - (size_t)(end - out), "@%s",
		    address->domain);
	*end = '\0';
}
