/* SPDX-License-Identifier: ISC */
/*
 * Writes the Received field piece by piece; a piece that would pass column 78
 * goes to a new line. Pieces are never broken.
 */
#include "smtpd/received.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"

enum { COLUMN_MAX = 78, PIECE_MAX = 640 };

struct field {
	struct buf	*out;		/* borrowed */
	size_t		 column;
	bool		 failed;
};

static bool is_harmless(char byte)
{
	return byte >= ' ' && byte <= '~' && byte != '(' && byte != ')' &&
	    byte != '\\';
}

static void add(struct field *field, const char *text)
{
	size_t length = strlen(text);

	if (field->column + 1 + length > COLUMN_MAX) {
		field->failed |= buf_add_string(field->out, "\r\n\t") != 0;
		field->column = 8;
	} else {
		field->failed |= buf_add_byte(field->out, ' ') != 0;
		field->column++;
	}
	field->failed |= buf_add(field->out, text, length) != 0;
	field->column += length;
}

/* "before VALUE after", the value made harmless. */
static void add_value(struct field *field, const char *before,
    const char *value, const char *after)
{
	char piece[PIECE_MAX];
	size_t length;

	length = (size_t)snprintf(piece, sizeof(piece), "%s", before);
	for (; *value != '\0' && length < sizeof(piece) - 16; value++)
		piece[length++] = is_harmless(*value) ? *value : '?';
	snprintf(piece + length, sizeof(piece) - length, "%s", after);
	add(field, piece);
}

/* A quoted local part may hold what a comment may not. */
static void add_recipient(struct field *field, const char *recipient,
    const char *after)
{
	char piece[PIECE_MAX];
	size_t length;

	length = (size_t)snprintf(piece, sizeof(piece), "for <");
	for (; *recipient != '\0' && length < sizeof(piece) - 16; recipient++)
		piece[length++] = *recipient >= ' ' && *recipient <= '~' ?
		    *recipient : '?';
	snprintf(piece + length, sizeof(piece) - length, ">%s", after);
	add(field, piece);
}

static void add_tls(struct field *field, const struct received *received)
{
	bool has_group = received->tls_group != NULL &&
	    received->tls_group[0] != '\0';

	add_value(field, "tls ", received->tls_cipher, "");
	if (has_group)
		add_value(field, "group ", received->tls_group, "");
	add_value(field, "(", received->tls_version, ");");
}

static void add_from(struct field *field, const struct received *received,
    const char *user)
{
	add_value(field, "from ", received->hello, "");
	if (received->uid >= 0) {
		add(field, user);
		return;
	}
	add_value(field, "(", received->name, "");
	add_value(field, "", received->literal, ")");
}

int received_format(struct buf *out, const struct received *received)
{
	struct field field = { .out = out };
	bool has_tls = received->tls_version != NULL;
	bool has_for = received->recipient != NULL;
	char text[64];

	field.failed = buf_add_string(out, "Received:") != 0;
	field.column = strlen("Received:");
	snprintf(text, sizeof(text), "(%suserid %" PRId64 ")",
	    received->is_local ? "from " : "", received->uid);
	if (!received->is_local)
		add_from(&field, received, text);
	add_value(&field, "by ", received->hostname, "");
	if (received->is_local)
		add(&field, text);
	add_value(&field, "with ", received->protocol, "");
	snprintf(text, sizeof(text), "id %" PRIx64 "%s", received->id,
	    has_for || has_tls ? "" : ";");
	add(&field, text);
	if (has_for)
		add_recipient(&field, received->recipient, has_tls ? "" : ";");
	if (has_tls)
		add_tls(&field, received);
	clock_format_mail(received->wall, text, sizeof(text));
	add(&field, text);
	field.failed |= buf_add_string(out, "\r\n") != 0;
	return field.failed ? -1 : 0;
}
