/* SPDX-License-Identifier: ISC */
/*
 * Reading works byte by byte, since each of LF, CR and CRLF ends a line here:
 * programs write all of them, and the server takes only the last one. The
 * header is walked twice: for what is there, and to copy what stays.
 */
#include "tools/sendmail_message.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/digest.h"
#include "base/header.h"
#include "base/utf8.h"
#include "tools/outgoing.h"

enum { READ_BYTES = 64 << 10, NAME_BYTES_MAX = 120,
    /* Of a name in one encoded word (RFC 2047 2). */
    ENCODED_BYTES = 42 };

/* --- reading --- */

struct reader {
	struct buf			*out;
	const struct message_rules	*rules;
	size_t				 column;	/* bytes of the line */
	bool				 after_cr;
	bool				 ended;		/* the lone dot was seen */
	bool				 full;
};

static void put(struct reader *reader, char byte)
{
	if (buf_add_byte(reader->out, byte) == -1)
		reader->full = true;
	reader->column++;
}

static void end_line(struct reader *reader)
{
	size_t length = buf_length(reader->out);

	if (!reader->rules->dots && reader->column == 1 && length > 0 &&
	    buf_data(reader->out)[length - 1] == '.') {
		buf_truncate(reader->out, length - 1);
		reader->ended = true;
	} else if (buf_add(reader->out, "\r\n", 2) == -1) {
		reader->full = true;
	}
	reader->column = 0;
}

static void take(struct reader *reader, char byte)
{
	bool second = reader->after_cr && byte == '\n';

	reader->after_cr = byte == '\r';
	if (second)
		return;		/* the line ended at the CR */
	if (byte == '\r' || byte == '\n') {
		end_line(reader);
		return;
	}
	if (reader->column + 2 >= reader->rules->max_line)
		end_line(reader);
	/* SMTP cannot carry a NUL. */
	put(reader, byte == '\0' ? '?' : byte);
}

int message_read(struct buf *out, int fd, const struct message_rules *rules,
    char *problem)
{
	struct reader reader = { .out = out, .rules = rules };
	char bytes[READ_BYTES];
	ssize_t got;

	while (!reader.ended && !reader.full) {
		got = read(fd, bytes, sizeof(bytes));
		if (got == -1 && errno == EINTR)
			continue;
		if (got == -1) {
			snprintf(problem, MESSAGE_PROBLEM,
			    "cannot read the message: %s", strerror(errno));
			return -1;
		}
		if (got == 0)
			break;
		for (ssize_t i = 0; i < got && !reader.ended &&
		    !reader.full; i++)
			take(&reader, bytes[i]);
	}
	if (!reader.ended && reader.column > 0)
		end_line(&reader);
	if (!reader.full)
		return 0;
	snprintf(problem, MESSAGE_PROBLEM, "the message is larger than the "
	    "%zu bytes that max-message-size allows", out->max);
	return -1;
}

/* --- the header --- */

/* A field with its folded lines. */
struct field {
	const char	*name;
	size_t		 name_length;
	const char	*body;		/* behind the colon */
	const char	*end;		/* behind the last CRLF */
};

/* The end of the line at text, behind its CRLF; every line here has one. */
static const char *line_end(const char *text, const char *end)
{
	const char *newline = memchr(text, '\n', (size_t)(end - text));

	return newline == NULL ? end : newline + 1;
}

/* The field at text. False if there is none: the header is over. */
static bool read_field(const char *text, const char *end, struct field *field)
{
	const char *at = text;

	while (at < end && *at > ' ' && *at < 0x7f && *at != ':')
		at++;
	field->name = text;
	field->name_length = (size_t)(at - text);
	while (at < end && (*at == ' ' || *at == '\t'))
		at++;		/* RFC 5322 4.5 */
	if (field->name_length == 0 || at == end || *at != ':')
		return false;
	field->body = at + 1;
	at = line_end(at, end);
	while (at < end && (*at == ' ' || *at == '\t'))
		at = line_end(at, end);
	field->end = at;
	return true;
}

static bool is_field(const struct field *field, const char *name)
{
	return strlen(name) == field->name_length &&
	    strncasecmp(field->name, name, field->name_length) == 0;
}

static bool is_one_of(const struct field *field, const char *const *names)
{
	for (; *names != NULL; names++)
		if (is_field(field, *names))
			return true;
	return false;
}

static const char *const blind[] = { "Bcc", "Resent-Bcc", NULL };
static const char *const given_to[] = { "To", "Cc", "Bcc", NULL };
static const char *const given_again[] = { "Resent-To", "Resent-Cc",
    "Resent-Bcc", NULL };

/* What the header has. */
struct found {
	bool	 from, date, message_id, to, resent;
};

static struct found look(const char *text, const char *end)
{
	struct found found = { 0 };
	struct field field;

	for (; read_field(text, end, &field); text = field.end) {
		found.from |= is_field(&field, "From");
		found.date |= is_field(&field, "Date");
		found.message_id |= is_field(&field, "Message-ID");
		found.to |= is_field(&field, "To") || is_field(&field, "Cc");
		found.resent |= is_one_of(&field, given_again);
	}
	return found;
}

/* RFC 5322 3.6.6: who sends a message again names new recipients. */
static int take_recipients(struct outgoing *outgoing, const char *text,
    const char *end, const struct message_facts *facts, char *problem)
{
	const char *const *names = look(text, end).resent ? given_again :
	    given_to;
	char why[ADDRESS_LIST_PROBLEM];
	struct field field;

	for (; read_field(text, end, &field); text = field.end)
		if (is_one_of(&field, names) &&
		    address_list_parse(&outgoing->recipients, field.body,
		    (size_t)(field.end - field.body), facts->domain,
		    why) == -1) {
			snprintf(problem, MESSAGE_PROBLEM, "the field %.*s: "
			    "%s", (int)field.name_length, field.name, why);
			return -1;
		}
	return 0;
}

/* Fields that are for our eyes, or somebody else's to write. */
static bool is_dropped(const struct field *field)
{
	return is_one_of(field, blind) || is_field(field, "Return-Path");
}

/* Copies what stays; *text is behind the header then. */
static int copy_fields(struct buf *out, const char **text, const char *end)
{
	struct field field;

	for (; read_field(*text, end, &field); *text = field.end)
		if (!is_dropped(&field) && buf_add(out, field.name,
		    (size_t)(field.end - field.name)) == -1)
			return -1;
	return 0;
}

/* RFC 5322 3.2.5: a phrase of atoms, or else a quoted string. */
static void quote_name(const char *name, char *out, size_t size)
{
	static const char atoms[] = "abcdefghijklmnopqrstuvwxyz"
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 !#$%&'*+-/=?^_`{|}~";
	bool quoted = strspn(name, atoms) != strlen(name);
	size_t used = 0;

	if (quoted)
		out[used++] = '"';
	for (; *name != '\0' && used + 4 < size; name++) {
		if (*name == '"' || *name == '\\')
			out[used++] = '\\';
		out[used++] = *name;
	}
	if (quoted)
		out[used++] = '"';
	out[used] = '\0';
}

/* The longest start of the text that is whole characters. */
static size_t whole_characters(const char *text, size_t most)
{
	size_t length = strlen(text), used = 0, next;

	while (used < length) {
		next = utf8_read(text + used, length - used, NULL);
		if (next == 0 || used + next > most)
			break;
		used += next;
	}
	return used;
}

/* The name as a header may have it; "" for one that is not text. */
static void write_name(const char *name, char *out, size_t size)
{
	char base64[BASE64_LENGTH(ENCODED_BYTES) + 1];

	out[0] = '\0';
	for (const char *at = name; *at != '\0'; at++)
		if ((unsigned char)*at < ' ' || *at == 0x7f)
			return;
	if (!utf8_is_valid(name, strlen(name)))
		return;
	if (utf8_is_ascii(name)) {
		quote_name(name, out, size);
		return;
	}
	base64_format(name, whole_characters(name, ENCODED_BYTES), base64,
	    sizeof(base64));
	snprintf(out, size, "=?utf-8?B?%s?=", base64);
}

static int add_from(struct buf *out, const struct message_facts *facts)
{
	char name[2 * NAME_BYTES_MAX], value[3 * NAME_BYTES_MAX + 400];

	write_name(facts->full_name, name, sizeof(name));
	if (name[0] == '\0')
		snprintf(value, sizeof(value), "%s", facts->from);
	else
		snprintf(value, sizeof(value), "%s <%s>", name, facts->from);
	return header_add(out, "From", value);
}

static int add_message_id(struct buf *out, const struct message_facts *facts)
{
	char digits[33], value[400];
	uint8_t number[16];

	random_bytes(number, sizeof(number));
	hex_format(number, sizeof(number), digits, sizeof(digits));
	snprintf(value, sizeof(value), "<%s@%.255s>", digits, facts->hostname);
	return header_add(out, "Message-ID", value);
}

/* RFC 5322 3.6: what must be there; and To, which many look for. */
static int add_missing(struct buf *out, const struct found *found,
    const struct message_facts *facts)
{
	char date[64];

	clock_format_mail(facts->wall, date, sizeof(date));
	if (!found->from && add_from(out, facts) == -1)
		return -1;
	if (!found->date && header_add(out, "Date", date) == -1)
		return -1;
	if (!found->message_id && add_message_id(out, facts) == -1)
		return -1;
	if (!found->to && header_add(out, "To",
	    "undisclosed-recipients:;") == -1)
		return -1;
	return 0;
}

static bool has_8bit(const struct buf *buf)
{
	const char *data = buf_data(buf);

	for (size_t i = 0; i < buf_length(buf); i++)
		if ((unsigned char)data[i] >= 0x80)
			return true;
	return false;
}

int message_complete(struct outgoing *outgoing, const struct buf *text,
    const struct message_facts *facts, char *problem)
{
	const char *at = buf_data(text), *end = at + buf_length(text);
	struct buf *out = &outgoing->message;
	struct found found;
	bool failed;

	/* The line that mailboxes have between messages. */
	if (end - at > 5 && memcmp(at, "From ", 5) == 0)
		at = line_end(at, end);
	found = look(at, end);
	if (facts->take_recipients && take_recipients(outgoing, at, end, facts,
	    problem) == -1)
		return -1;
	failed = copy_fields(out, &at, end) == -1 ||
	    add_missing(out, &found, facts) == -1;
	/* What is no field and no empty line is text already. */
	if (at == end || *at != '\r')
		failed |= buf_add(out, "\r\n", 2) == -1;
	failed |= buf_add(out, at, (size_t)(end - at)) == -1;
	outgoing->eight_bit |= has_8bit(out);
	if (!failed)
		return 0;
	snprintf(problem, MESSAGE_PROBLEM, "the message is larger than the "
	    "%zu bytes that max-message-size allows", out->max);
	return -1;
}
