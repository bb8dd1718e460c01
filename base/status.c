/* SPDX-License-Identifier: ISC */
/*
 * Outcomes of recipients and attempts. Whatever text comes in is made one
 * line here, because it ends in replies, header fields and rows.
 */
#include "base/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/wire.h"

enum { CODE_NUMBER_MAX = 999, CODE_MAX = 999 };

static const char *const outcome_names[STATUS_OUTCOMES] = {
	[STATUS_DELIVERED] = "delivered",
	[STATUS_RELAYED] = "relayed",
	[STATUS_DEFERRED] = "deferred",
	[STATUS_FAILED] = "failed"
};

/* RFC 3463 2: what the class says is whether it worked. */
static const uint8_t outcome_classes[STATUS_OUTCOMES] = {
	[STATUS_DELIVERED] = 2,
	[STATUS_RELAYED] = 2,
	[STATUS_DEFERRED] = 4,
	[STATUS_FAILED] = 5
};

static const char *const reason_names[STATUS_REASONS] = {
	[REASON_NONE] = "none",
	[REASON_REPLY] = "reply",
	[REASON_CONNECT] = "connect",
	[REASON_LOST] = "lost",
	[REASON_TIMEOUT] = "timeout",
	[REASON_PROTOCOL] = "protocol",
	[REASON_DNS] = "dns",
	[REASON_DNS_BOGUS] = "dns-bogus",
	[REASON_NO_HOST] = "no-host",
	[REASON_NULL_MX] = "null-mx",
	[REASON_LOOP] = "loop",
	[REASON_NO_STARTTLS] = "no-starttls",
	[REASON_STARTTLS_REFUSED] = "starttls-refused",
	[REASON_TLS_HANDSHAKE] = "tls-handshake",
	[REASON_CERTIFICATE] = "certificate",
	[REASON_POLICY] = "policy",
	[REASON_MAILBOX] = "mailbox",
	[REASON_LOCAL] = "local",
	[REASON_EXPIRED] = "expired",
	[REASON_OPERATOR] = "operator",
	[REASON_MEDIA] = "media",
	[REASON_DANE_MISMATCH] = "dane-mismatch",
	[REASON_STS_MX] = "sts-mx",
	[REASON_STS_CERTIFICATE] = "sts-cert",
	[REASON_REQUIRETLS] = "requiretls",
	[REASON_LOGIN] = "login",
	[REASON_PAUSED] = "paused"
};

/* A set of reasons is a number with a bit for each. Rows and messages hold the
 * reasons by their own numbers: a new one goes to the end. */
_Static_assert(STATUS_REASONS <= 64, "reasons fit into a set");
_Static_assert(REASON_MEDIA == 20 && REASON_REQUIRETLS == 24 &&
    REASON_LOGIN == 25 && REASON_PAUSED == 26,
    "numbers of stored reasons stay");

#define BIT(reason) ((uint64_t)1 << (reason))
#define BROKEN_TLS (BIT(REASON_STARTTLS_REFUSED) | BIT(REASON_TLS_HANDSHAKE))
/* What a host did not show. */
#define ABOUT_TLS (BROKEN_TLS | BIT(REASON_NO_STARTTLS) | \
    BIT(REASON_CERTIFICATE) | BIT(REASON_DANE_MISMATCH) | \
    BIT(REASON_STS_MX) | BIT(REASON_STS_CERTIFICATE) | BIT(REASON_REQUIRETLS))

static const struct reason_class {
	const char	*name;
	uint64_t	 reasons;
} reason_classes[] = {
	{ "broken-tls", BROKEN_TLS },
	/* and what was published or configured about it */
	{ "tls", ABOUT_TLS | BIT(REASON_POLICY) | BIT(REASON_DNS_BOGUS) },
	{ "temporary-dns", BIT(REASON_DNS) | BIT(REASON_DNS_BOGUS) }
};

bool status_is_about_tls(const struct status *status)
{
	return (ABOUT_TLS & BIT(status->reason)) != 0;
}

const char *status_outcome_name(enum status_outcome outcome)
{
	if ((unsigned)outcome >= STATUS_OUTCOMES)
		bug("unknown-outcome");
	return outcome_names[outcome];
}

const char *status_reason_name(enum status_reason reason)
{
	if ((unsigned)reason >= STATUS_REASONS)
		bug("unknown-reason");
	return reason_names[reason];
}

int status_reason_find(const char *name)
{
	int reason;

	for (reason = 0; reason < STATUS_REASONS; reason++)
		if (strcmp(reason_names[reason], name) == 0)
			return reason;
	return -1;
}

uint64_t status_reason_set(const char *word)
{
	int reason = status_reason_find(word);

	if (reason >= 0)
		return BIT(reason);
	for (size_t i = 0; i < sizeof reason_classes /
	    sizeof reason_classes[0]; i++)
		if (strcmp(word, reason_classes[i].name) == 0)
			return reason_classes[i].reasons;
	return 0;
}

/* --- text --- */

/*
 * Copies text as one line: control characters become spaces, runs of white
 * space become one, none stays at the ends, and what is too long ends in dots.
 */
static void copy_line(char *out, size_t size, const char *text)
{
	size_t length = 0;
	bool space = false;

	for (; *text != '\0'; text++) {
		unsigned char byte = (unsigned char)*text;

		if (byte <= ' ' || byte == 0x7f) {
			space = length > 0;
			continue;
		}
		if (length + 2 >= size) {
			memcpy(out + size - 4, "...", 3);
			length = size - 1;
			break;
		}
		if (space)
			out[length++] = ' ';
		space = false;
		out[length++] = (char)byte;
	}
	out[length] = '\0';
}

/* One to three digits without leading zeros (SMTP-114); null if it is none. */
static const char *read_number(const char *text, uint16_t *number)
{
	const char *at = text;

	*number = 0;
	while (at < text + 3 && *at >= '0' && *at <= '9')
		*number = (uint16_t)(*number * 10 + (*at++ - '0'));
	if (at == text || (*text == '0' && at > text + 1))
		return NULL;
	return at;
}

/* Reads "5.1.1"; null if none stands there, else what follows it. The class
 * is not kept: the outcome decides it. */
static const char *read_enhanced(const char *text, uint16_t *subject,
    uint16_t *detail)
{
	if ((text[0] != '2' && text[0] != '4' && text[0] != '5') ||
	    text[1] != '.')
		return NULL;
	text = read_number(text + 2, subject);
	if (text == NULL || *text != '.')
		return NULL;
	text = read_number(text + 1, detail);
	if (text == NULL || (unsigned char)*text > ' ')
		return NULL;
	return text;
}

/* Takes the enhanced code out of the front of every line that repeats it. */
static void copy_reply(struct status *status, const char *text)
{
	char lines[STATUS_TEXT_MAX * 2];
	size_t length = 0;
	uint16_t subject, detail;
	const char *rest = read_enhanced(text, &status->enhanced_subject,
	    &status->enhanced_detail);
	bool has_code = rest != NULL;

	if (!has_code)
		status->enhanced_subject = status->enhanced_detail = 0;
	while (*text != '\0' && length + 1 < sizeof lines) {
		rest = has_code ? read_enhanced(text, &subject, &detail) : NULL;
		if (rest != NULL && subject == status->enhanced_subject &&
		    detail == status->enhanced_detail)
			text = rest;
		while (*text != '\0' && length + 1 < sizeof lines) {
			lines[length++] = *text;
			if (*text++ == '\n')
				break;
		}
	}
	lines[length] = '\0';
	copy_line(status->text, sizeof status->text, lines);
}

/* --- making a status --- */

static void begin(struct status *status, enum status_outcome outcome,
    enum status_reason reason, const char *enhanced)
{
	if ((unsigned)outcome >= STATUS_OUTCOMES ||
	    (unsigned)reason >= STATUS_REASONS)
		bug("unknown-status");
	memset(status, 0, sizeof *status);
	status->outcome = outcome;
	status->reason = reason;
	status->enhanced_class = outcome_classes[outcome];
	/* No code of its own is X.0.0, RFC 3463 3.1. */
	if (enhanced == NULL || read_enhanced(enhanced,
	    &status->enhanced_subject, &status->enhanced_detail) == NULL)
		status->enhanced_subject = status->enhanced_detail = 0;
}

void status_set(struct status *status, enum status_outcome outcome,
    enum status_reason reason, const char *enhanced, const char *text)
{
	begin(status, outcome, reason, enhanced);
	copy_line(status->text, sizeof status->text, text);
}

void status_print(struct status *status, enum status_outcome outcome,
    enum status_reason reason, const char *enhanced, const char *format, ...)
{
	char text[STATUS_TEXT_MAX * 2];
	va_list arguments;

	begin(status, outcome, reason, enhanced);
	va_start(arguments, format);
	vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	copy_line(status->text, sizeof status->text, text);
}

void status_from_reply(struct status *status, int code, const char *text)
{
	enum status_outcome outcome = STATUS_DEFERRED;
	enum status_reason reason = REASON_REPLY;

	if (code >= 200 && code <= 299)
		outcome = STATUS_RELAYED;
	else if (code >= 500 && code <= 599)
		outcome = STATUS_FAILED;
	else if (code < 400 || code > 499)
		reason = REASON_PROTOCOL;
	begin(status, outcome, reason, NULL);
	status->code = code > 0 && code <= CODE_MAX ? (uint16_t)code : 0;
	copy_reply(status, text);
	/* A code for another question would mislead: 4.5.0, RFC 3463 3.6. */
	if (reason == REASON_PROTOCOL) {
		status->enhanced_subject = 5;
		status->enhanced_detail = 0;
	}
}

/* A host that was named by its address is written once. */
static bool is_same(const char *name, const char *address)
{
	size_t length = strlen(address);

	return strcmp(name, address) == 0 || (name[0] == '[' &&
	    strncmp(name + 1, address, length) == 0 &&
	    strcmp(name + 1 + length, "]") == 0);
}

void status_format_host(const char *name, const char *address, char *out,
    size_t size)
{
	if (name == NULL)
		name = "";
	if (address == NULL || *address == '\0')
		snprintf(out, size, "%s", name);
	else if (is_same(name, address))
		snprintf(out, size, "[%s]", address);
	else
		snprintf(out, size, "%s[%s]", name, address);
}

void status_set_host(struct status *status, const char *name,
    const char *address)
{
	char host[STATUS_HOST_MAX * 2];

	status_format_host(name, address, host, sizeof(host));
	copy_line(status->host, sizeof status->host, host);
}

void status_format_enhanced(const struct status *status, char *out,
    size_t size)
{
	snprintf(out, size, "%u.%u.%u", status->enhanced_class,
	    status->enhanced_subject, status->enhanced_detail);
}

/* --- on the wire --- */

void status_put(struct wire_writer *writer, const struct status *status)
{
	wire_put_u8(writer, (uint8_t)status->outcome);
	wire_put_u8(writer, (uint8_t)status->reason);
	wire_put_u16(writer, status->code);
	wire_put_u8(writer, status->enhanced_class);
	wire_put_u16(writer, status->enhanced_subject);
	wire_put_u16(writer, status->enhanced_detail);
	wire_put_u8(writer, status->notifies);
	wire_put_text(writer, status->text);
	wire_put_text(writer, status->host);
	wire_put_text(writer, status->tls);
}

/* A text field into a member of fixed size; control characters are a lie. */
static void get_line(struct wire_reader *reader, char *out, size_t size)
{
	size_t length = 0, i;
	const char *bytes = wire_get_bytes(reader, size - 1, &length);

	if (reader->bad || bytes == NULL)
		length = 0;
	for (i = 0; i < length; i++) {
		if ((unsigned char)bytes[i] < ' ' || bytes[i] == 0x7f)
			reader->bad = true;
		out[i] = bytes[i];
	}
	out[length] = '\0';
}

/* Nothing was said yet (all zero), or the class is that of the outcome. */
static bool makes_sense(const struct status *status)
{
	if (status->code > CODE_MAX ||
	    status->enhanced_subject > CODE_NUMBER_MAX ||
	    status->enhanced_detail > CODE_NUMBER_MAX)
		return false;
	if (status->enhanced_class == 0)
		return status->outcome == 0 && status->reason == REASON_NONE;
	return status->enhanced_class == outcome_classes[status->outcome];
}

void status_get(struct wire_reader *reader, struct status *status)
{
	memset(status, 0, sizeof *status);
	status->outcome = wire_get_enum(reader, STATUS_OUTCOMES);
	status->reason = wire_get_enum(reader, STATUS_REASONS);
	status->code = wire_get_u16(reader);
	status->enhanced_class = wire_get_u8(reader);
	status->enhanced_subject = wire_get_u16(reader);
	status->enhanced_detail = wire_get_u16(reader);
	status->notifies = wire_get_enum(reader, 2) == 1;
	get_line(reader, status->text, sizeof status->text);
	get_line(reader, status->host, sizeof status->host);
	get_line(reader, status->tls, sizeof status->tls);
	if (!makes_sense(status))
		reader->bad = true;
	/* Zeros would say "delivered", the one mistake that loses mail. */
	if (reader->bad)
		begin(status, STATUS_DEFERRED, REASON_PROTOCOL, "4.3.0");
}
