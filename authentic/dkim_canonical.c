/* SPDX-License-Identifier: ISC */
/*
 * The body machine looks at each byte once and keeps back only what may turn
 * out to be the end: line ends are counted, blanks before them are one flag.
 */
#include "authentic/dkim_canonical.h"

#include <string.h>

#include "base/buf.h"

void dkim_body_init(struct dkim_body *body, enum dkim_canonical kind,
    uint64_t limit)
{
	memset(body, 0, sizeof(*body));
	body->kind = kind;
	body->limit = limit;
	body->digest = digest_new();
}

void dkim_body_release(struct dkim_body *body)
{
	digest_free(body->digest);
	body->digest = NULL;
}

static void drain(struct dkim_body *body)
{
	digest_add(body->digest, body->waiting, body->waiting_length);
	body->waiting_length = 0;
}

static void hash(struct dkim_body *body, const char *data, size_t length)
{
	if (length > sizeof(body->waiting) - body->waiting_length)
		drain(body);
	if (length > sizeof(body->waiting)) {
		digest_add(body->digest, data, length);
		return;
	}
	memcpy(body->waiting + body->waiting_length, data, length);
	body->waiting_length += length;
}

/* Only what is within the limit is hashed, but all of it is counted. */
static void emit(struct dkim_body *body, const char *data, size_t length)
{
	uint64_t room = body->limit > body->length ?
	    body->limit - body->length : 0;

	hash(body, data, length < room ? length : (size_t)room);
	body->length += length;
}

static void emit_line_ends(struct dkim_body *body)
{
	static const char many[] = "\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n";
	const uint64_t most = (sizeof(many) - 1) / 2;

	while (body->line_ends > 0) {
		uint64_t part = body->line_ends < most ? body->line_ends : most;

		emit(body, many, (size_t)part * 2);
		body->line_ends -= part;
	}
}

/* Something follows what was held back. */
static void flush(struct dkim_body *body)
{
	emit_line_ends(body);
	if (body->blank)
		emit(body, " ", 1);
	body->blank = false;
	if (body->carriage_return)
		emit(body, "\r", 1);
	body->carriage_return = false;
}

/* A CR is behind us, and this byte follows; was it the end of a line? */
static bool end_line(struct dkim_body *body, char byte)
{
	if (byte != '\n') {
		flush(body);
		return false;
	}
	body->carriage_return = false;
	body->blank = false;
	body->line_ends++;
	return true;
}

static bool is_blank(const struct dkim_body *body, char byte)
{
	return body->kind == DKIM_RELAXED && (byte == ' ' || byte == '\t');
}

/* How many bytes from here mean nothing but themselves. So does a blank between
 * two of them, when both are here. */
static size_t run_length(const struct dkim_body *body, const char *data,
    size_t length)
{
	const char *end = data + length, *at;

	if (body->kind == DKIM_SIMPLE) {
		at = memchr(data, '\r', length);
		return at != NULL ? (size_t)(at - data) : length;
	}
	for (at = data; at < end; at++) {
		/* Most bytes are above all that matter. */
		if ((unsigned char)*at > ' ')
			continue;
		if (*at == ' ' && at + 1 < end && (unsigned char)at[1] > ' ')
			continue;
		if (*at == '\r' || *at == ' ' || *at == '\t')
			break;
	}
	return (size_t)(at - data);
}

void dkim_body_feed(struct dkim_body *body, const char *data, size_t length)
{
	size_t i = 0, run;

	while (i < length) {
		if (body->carriage_return && end_line(body, data[i])) {
			i++;
		} else if (data[i] == '\r') {
			body->carriage_return = true;
			i++;
		} else if (is_blank(body, data[i])) {
			body->blank = true;
			i++;
		} else {
			flush(body);
			run = run_length(body, data + i, length - i);
			emit(body, data + i, run);
			i += run;
		}
	}
}

/* RFC 6376 3.4.3: no body is one CRLF. 3.4.4: it is nothing. Blanks at the end
 * of a last line without CRLF are at the end of a line all the same. */
void dkim_body_end(struct dkim_body *body, uint8_t *out)
{
	if (body->carriage_return)
		flush(body);
	if (body->length > 0 || body->kind == DKIM_SIMPLE)
		emit(body, "\r\n", 2);
	drain(body);
	digest_end(body->digest, out);
	body->digest = NULL;
}

/* --- fields --- */

static bool is_space(char byte)
{
	return byte == ' ' || byte == '\t' || byte == '\r' || byte == '\n';
}

/* The name in lower case, without blanks up to the colon. */
static int add_name(struct buf *out, const char *text, size_t length)
{
	while (length > 0 && is_space(text[length - 1]))
		length--;
	for (size_t i = 0; i < length; i++) {
		char byte = text[i];

		if (byte >= 'A' && byte <= 'Z')
			byte = (char)(byte - 'A' + 'a');
		if (buf_add_byte(out, byte) != 0)
			return -1;
	}
	return buf_add_byte(out, ':');
}

/* RFC 6376 3.4.2. Line ends go, blanks become one, and none is at the ends. A
 * lone CR or LF, which no field may have, counts as a blank. */
static int add_relaxed(struct buf *out, const char *text, size_t length)
{
	const char *colon = memchr(text, ':', length);
	size_t i = colon != NULL ? (size_t)(colon - text) + 1 : 0;
	bool blank = false, begun = false;

	if (i > 0 && add_name(out, text, i - 1) != 0)
		return -1;
	for (; i < length; i++) {
		if (is_space(text[i])) {
			blank = begun;
			continue;
		}
		if ((blank && buf_add_byte(out, ' ') != 0) ||
		    buf_add_byte(out, text[i]) != 0)
			return -1;
		blank = false;
		begun = true;
	}
	return 0;
}

int dkim_canonical_field(enum dkim_canonical kind, const char *text,
    size_t length, struct buf *out)
{
	if (length > 0 && text[length - 1] == '\n')
		length--;
	if (length > 0 && text[length - 1] == '\r')
		length--;
	return kind == DKIM_SIMPLE ? buf_add(out, text, length) :
	    add_relaxed(out, text, length);
}
