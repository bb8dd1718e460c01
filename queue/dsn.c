/* SPDX-License-Identifier: ISC */
/*
 * Notifications are ASCII on the way: other text, in addresses and in what is
 * returned of the original, is encoded. But for a whole message of 8-bit text
 * without SMTPUTF8, which may not be (RFC 2046 5.2.1), and for the address of a
 * reader that is not ASCII itself.
 *
 * The first part is for a person who does not know what SMTP is: what
 * happened to whom, in a sentence, then the exact words of the other server.
 * Nothing from outside can end a header field or a part: texts hold no control
 * characters, and the boundary is random.
 */
#include "queue/dsn.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/digest.h"
#include "base/header.h"
#include "base/log.h"
#include "base/quoted.h"
#include "base/status.h"
#include "base/utf8.h"
#include "base/xtext.h"
#include "queue/envelope.h"

enum { BOUNDARY_BYTES = 12, LINE_MAX_BYTES = 2048 };

/* What went wrong, for people; the details follow in the status's own text. */
static const char *const sentences[STATUS_REASONS] = {
	[REASON_NONE] = "The message could not be delivered.",
	[REASON_REPLY] = "The receiving mail server refused it.",
	[REASON_CONNECT] = "No connection could be made to the receiving mail "
	    "server.",
	[REASON_LOST] = "The receiving mail server closed the connection.",
	[REASON_TIMEOUT] = "The receiving mail server did not answer in time.",
	[REASON_PROTOCOL] = "The receiving mail server answered in a way that "
	    "makes no sense.",
	[REASON_DNS] = "The name service could not say where mail for this "
	    "domain goes.",
	[REASON_DNS_BOGUS] = "The name service answers for this domain fail "
	    "their signature check, so they cannot be trusted.",
	[REASON_NO_HOST] = "There is no such mail domain.",
	[REASON_NULL_MX] = "This domain says that it does not receive mail.",
	[REASON_LOOP] = "The message goes round in a circle.",
	[REASON_NO_STARTTLS] = "A secure connection is required, but the "
	    "receiving mail server does not offer one.",
	[REASON_STARTTLS_REFUSED] = "A secure connection is required, but the "
	    "receiving mail server refused to begin one.",
	[REASON_TLS_HANDSHAKE] = "A secure connection is required, but it "
	    "could not be set up with the receiving mail server.",
	[REASON_CERTIFICATE] = "A secure connection is required, but the "
	    "receiving mail server could not prove that it is the right one.",
	[REASON_POLICY] = "The security rules for this domain do not allow "
	    "the delivery.",
	[REASON_MAILBOX] = "The mailbox could not take the message.",
	[REASON_LOCAL] = "This mail server could not deliver it.",
	[REASON_EXPIRED] = "It could not be delivered in the time allowed, "
	    "and will not be tried again.",
	[REASON_OPERATOR] = "The postmaster of this mail server returned it.",
	[REASON_MEDIA] = "The receiving side cannot take a message of this "
	    "kind.",
	[REASON_DANE_MISMATCH] = "A secure connection is required, but the "
	    "receiving mail server showed a certificate that its domain has "
	    "not published.",
	[REASON_STS_MX] = "The domain's own security policy leaves out the "
	    "mail server that was found.",
	[REASON_STS_CERTIFICATE] = "The domain's own security policy requires "
	    "a secure connection, but the receiving mail server could not "
	    "prove that it is the right one.",
	[REASON_REQUIRETLS] = "The message asks to be handed on by secure "
	    "connections only, and no mail server of the domain can promise "
	    "that.",
	[REASON_LOGIN] = "This mail server could not log in at the one that "
	    "it sends mail through.",
	[REASON_PAUSED] = "The postmaster of this mail server lets nothing go "
	    "there for now.",
};

void dsn_read_xtext(const char *text, char *out, size_t size)
{
	size_t length = 0;
	uint8_t byte;

	while (*text != '\0' && length + 1 < size) {
		byte = (uint8_t)*text++;
		if (byte == '+' && isxdigit((unsigned char)text[0]) &&
		    isxdigit((unsigned char)text[1])) {
			char pair[3] = { text[0], text[1], '\0' };

			hex_parse(&byte, 1, pair);
			text += 2;
		}
		out[length++] = byte < ' ' || byte > '~' ? '?' : (char)byte;
	}
	out[length] = '\0';
}

/* ASCII only: this part of the message declares nothing else. */
static void copy_ascii(char *out, size_t size, const char *text)
{
	size_t length = 0;

	for (; *text != '\0' && length + 1 < size; text++)
		out[length++] = (*text < ' ' || *text > '~') ? '?' : *text;
	out[length] = '\0';
}

/* "mx.example.net[192.0.2.7]" without the address. */
static void copy_host_name(char *out, size_t size, const char *host)
{
	const char *end = host[0] == '[' ? NULL : strchr(host, '[');
	size_t length = end == NULL ? strlen(host) : (size_t)(end - host);

	if (length >= size)
		length = size - 1;
	memcpy(out, host, length);
	out[length] = '\0';
}

/* An address as it is, for people; what is no text as "?". */
static void copy_address(char *out, size_t size, const char *address)
{
	size_t length = strlen(address);

	if (length >= size || !utf8_is_valid(address, length))
		copy_ascii(out, size, address);
	else
		memcpy(out, address, length + 1);
}

static bool contains_8bit(const char *data, size_t length)
{
	for (size_t i = 0; i < length; i++) {
		if ((unsigned char)data[i] >= 0x80)
			return true;
	}
	return false;
}

static bool is_failure(const struct dsn *dsn)
{
	return dsn->recipients[0].status->outcome == STATUS_FAILED;
}

static bool is_delay(const struct dsn *dsn)
{
	return dsn->recipients[0].status->outcome == STATUS_DEFERRED;
}

static const char *subject_of(const struct dsn *dsn)
{
	if (dsn->is_double)
		return "Undeliverable notification (returned to the "
		    "postmaster)";
	if (is_failure(dsn))
		return "Undelivered mail: your message could not be "
		    "delivered";
	if (is_delay(dsn))
		return "Delayed mail: your message has not been delivered "
		    "yet";
	return "Delivery report: your message has arrived";
}

static void write_headers(struct buf *out, const struct dsn *dsn,
    const char *boundary, bool has_8bit)
{
	char value[LINE_MAX_BYTES], date[64];

	snprintf(value, sizeof(value), "Mail Delivery System "
	    "<MAILER-DAEMON@%s>", dsn->domain == NULL ? dsn->hostname :
	    dsn->domain);
	header_add(out, "From", value);
	snprintf(value, sizeof(value), "<%s>", dsn->to);
	header_add(out, "To", value);
	header_add(out, "Subject", subject_of(dsn));
	clock_format_mail(dsn->now, date, sizeof(date));
	header_add(out, "Date", date);
	snprintf(value, sizeof(value), "<%llx.dsn@%s>",
	    (unsigned long long)dsn->id, dsn->hostname);
	header_add(out, "Message-ID", value);
	header_add(out, "Auto-Submitted", "auto-replied");
	header_add(out, "MIME-Version", "1.0");
	snprintf(value, sizeof(value), "multipart/report; "
	    "report-type=delivery-status; boundary=\"%s\"", boundary);
	header_add(out, "Content-Type", value);
	if (has_8bit)
		header_add(out, "Content-Transfer-Encoding", "8bit");
	buf_add_string(out, "\r\n");
}

/* What happened, in a sentence. */
static const char *sentence_of(const struct dsn_recipient *recipient)
{
	const struct status *status = recipient->status;

	if (recipient->who->flags & RECIPIENT_EXPANDED)
		return "The address stands for several others, to whom the "
		    "message was handed on.";
	switch (status->outcome) {
	case STATUS_DELIVERED:
		return "The message is in the mailbox.";
	case STATUS_RELAYED:
		return "The message was handed to another mail server, which "
		    "may not report what becomes of it.";
	case STATUS_DEFERRED:
		if (status->reason == REASON_NONE)
			return "It has not been tried yet: this mail server "
			    "could not get to it.";
		if (status->reason == REASON_REPLY)
			return "The receiving mail server did not take it so "
			    "far.";
		return sentences[status->reason];
	default:
		return sentences[status->reason];
	}
}

/* The reason, the other server's words, and what was seen of TLS. */
/* A Unix socket is a place here, and nobody's business elsewhere. */
static bool has_remote(const struct status *status)
{
	return status->host[0] != '\0' && status->host[0] != '/';
}

static void write_person_recipient(struct buf *out,
    const struct dsn_recipient *recipient)
{
	const struct status *status = recipient->status;
	char text[LINE_MAX_BYTES], code[32];

	copy_address(text, sizeof(text), recipient->who->address);
	buf_print(out, "<%s>\r\n    %s\r\n", text,
	    sentence_of(recipient));
	status_format_enhanced(status, code, sizeof(code));
	copy_ascii(text, sizeof(text), status->text);
	buf_add_string(out, "    Details: ");
	if (status->code != 0)
		buf_print(out, "%u ", status->code);
	buf_print(out, "%s %s\r\n", code, text);
	if (has_remote(status)) {
		copy_ascii(text, sizeof(text), status->host);
		buf_print(out, "    Receiving server: %s\r\n", text);
	}
	if (status->tls[0] != '\0') {
		copy_ascii(text, sizeof(text), status->tls);
		buf_print(out, "    Security of the connection: %s\r\n", text);
	}
	buf_add_string(out, "\r\n");
}

static void write_delay(struct buf *out, const struct dsn *dsn)
{
	char date[64];

	clock_format_mail(dsn->retry_until, date, sizeof(date));
	buf_print(out, "THIS IS A WARNING ONLY. You need not send your "
	    "message again.\r\n\r\nIt could not be delivered to the "
	    "recipients below so far. It will be tried\r\nagain until %s.",
	    date);
}

static void write_person_part(struct buf *out, const struct dsn *dsn)
{
	char date[64];

	clock_format_mail(dsn->arrival, date, sizeof(date));
	buf_print(out, "This is the mail server %s.\r\n\r\n",
	    dsn->hostname);
	if (dsn->is_double)
		buf_add_string(out,
		    "A message without a sender, most likely a notification "
		    "like this one,\r\ncould not be delivered. There is "
		    "nobody to return it to, so the\r\npostmaster gets it.");
	else if (is_delay(dsn))
		write_delay(out, dsn);
	else if (!is_failure(dsn))
		buf_add_string(out,
		    "You asked to be told what becomes of your message.");
	else
		buf_add_string(out,
		    "The message that you sent could not be delivered to the "
		    "recipients\r\nbelow. It will not be tried again for "
		    "them.");
	buf_print(out, "\r\n\r\nIt arrived here on %s\r\n"
	    "and was kept under the name %llx.\r\n\r\n", date,
	    (unsigned long long)dsn->original_id);
	for (size_t i = 0; i < dsn->recipient_count; i++)
		write_person_recipient(out, &dsn->recipients[i]);
	if (dsn->original == NULL)
		buf_add_string(out, "The stored message is damaged, so "
		    "nothing of it can be returned.\r\n");
	else if (dsn->requires_tls)
		buf_add_string(out, "The message asks to be handed on by "
		    "secure connections only, so no more\r\nthan its header "
		    "is returned.\r\n");
}

/* "utf-8; address" in the form that the part may hold (RFC 6533 3). */
static void write_utf8(struct buf *out, const char *name, const char *address,
    bool global)
{
	char text[UTF8_ADDR_GROWTH * ENVELOPE_TEXT_MAX + 1];
	char value[sizeof(text) + 8];

	if (!utf8_is_valid(address, strlen(address)))
		global = false;
	if (!global && utf8_addr_write(text, sizeof(text), address) != 0)
		return;
	snprintf(value, sizeof(value), "utf-8; %s", global ? address : text);
	header_add(out, name, value);
}

/* "rfc822;joe+40example.org": the type stays, xtext is read. */
static void write_original_recipient(struct buf *out, const char *original,
    bool global)
{
	const char *address = strchr(original, ';');
	char text[LINE_MAX_BYTES], value[LINE_MAX_BYTES];
	char type[64];

	if (address == NULL)
		return;
	if (strncasecmp(original, "utf-8;", 6) == 0) {
		if (utf8_addr_read(text, sizeof(text), address + 1) == 0)
			write_utf8(out, "Original-Recipient", text, global);
		return;
	}
	snprintf(type, sizeof(type), "%.*s", (int)(address - original),
	    original);
	dsn_read_xtext(address + 1, text, sizeof(text));
	snprintf(value, sizeof(value), "%s; %.1900s", type, text);
	header_add(out, "Original-Recipient", value);
}

/* RFC 3464 2.3; "smtp" diagnostics are a remote's own words (SMTP-131). */
static void write_diagnostic(struct buf *out, const struct status *status)
{
	char text[LINE_MAX_BYTES], code[32], value[LINE_MAX_BYTES];

	copy_ascii(text, sizeof(text), status->text);
	status_format_enhanced(status, code, sizeof(code));
	if (status->code != 0)
		snprintf(value, sizeof(value), "smtp; %u %s %.1900s",
		    status->code, code, text);
	else
		snprintf(value, sizeof(value), "x-postern; %s (%.1900s)",
		    status_reason_name(status->reason), text);
	header_add(out, "Diagnostic-Code", value);
}

static const char *action_of(const struct dsn_recipient *recipient)
{
	/* RFC 3464 2.3.3: not the end, others may be reported still. */
	if (recipient->who->flags & RECIPIENT_EXPANDED)
		return "expanded";
	switch (recipient->status->outcome) {
	case STATUS_FAILED:
		return "failed";
	case STATUS_DELIVERED:
		return "delivered";
	case STATUS_RELAYED:
		return "relayed";
	case STATUS_DEFERRED:
		return "delayed";
	default:
		bug("dsn-outcome");
	}
}

static void write_final_recipient(struct buf *out, const char *address,
    bool global)
{
	char text[LINE_MAX_BYTES], value[LINE_MAX_BYTES];

	if (!utf8_is_ascii(address)) {
		write_utf8(out, "Final-Recipient", address, global);
		return;
	}
	copy_ascii(text, sizeof(text), address);
	snprintf(value, sizeof(value), "rfc822; %.1900s", text);
	header_add(out, "Final-Recipient", value);
}

/* Where it is looked up, and when: nobody else's log has it without a remote
 * (RFC 3464 2.3.7 to 2.3.9). */
static void write_log_and_times(struct buf *out, const struct dsn *dsn,
    const struct dsn_recipient *recipient)
{
	char text[64];

	if (recipient->tried_at != 0) {
		clock_format_mail(recipient->tried_at, text, sizeof(text));
		header_add(out, "Last-Attempt-Date", text);
	}
	if (!has_remote(recipient->status)) {
		snprintf(text, sizeof(text), "%llx",
		    (unsigned long long)dsn->original_id);
		header_add(out, "Final-Log-ID", text);
	}
	if (is_delay(dsn) && dsn->retry_until != 0) {
		clock_format_mail(dsn->retry_until, text, sizeof(text));
		header_add(out, "Will-Retry-Until", text);
	}
}

static void write_program_recipient(struct buf *out, const struct dsn *dsn,
    const struct dsn_recipient *recipient, bool global)
{
	const struct status *status = recipient->status;
	char text[LINE_MAX_BYTES], value[LINE_MAX_BYTES];

	buf_add_string(out, "\r\n");
	if (recipient->who->original != NULL)
		write_original_recipient(out, recipient->who->original,
		    global);
	write_final_recipient(out, recipient->who->address, global);
	header_add(out, "Action", action_of(recipient));
	status_format_enhanced(status, text, sizeof(text));
	header_add(out, "Status", text);
	if (has_remote(status)) {
		copy_host_name(text, sizeof(text), status->host);
		snprintf(value, sizeof(value), "dns; %.1900s", text);
		header_add(out, "Remote-MTA", value);
	}
	if (status->text[0] != '\0')
		write_diagnostic(out, status);
	write_log_and_times(out, dsn, recipient);
}

static void write_program_part(struct buf *out, const struct dsn *dsn,
    bool global)
{
	char text[LINE_MAX_BYTES], value[LINE_MAX_BYTES];

	snprintf(value, sizeof(value), "dns; %.1900s", dsn->hostname);
	header_add(out, "Reporting-MTA", value);
	if (dsn->envid != NULL) {
		dsn_read_xtext(dsn->envid, text, sizeof(text));
		header_add(out, "Original-Envelope-Id", text);
	}
	clock_format_mail(dsn->arrival, text, sizeof(text));
	header_add(out, "Arrival-Date", text);
	snprintf(text, sizeof(text), "%llx",
	    (unsigned long long)dsn->original_id);
	header_add(out, "X-Postern-Queue-Id", text);
	for (size_t i = 0; i < dsn->recipient_count; i++)
		write_program_recipient(out, dsn, &dsn->recipients[i],
		    global);
}

/* Has the part for programs an address to tell in UTF-8? */
static bool is_global(const struct dsn *dsn)
{
	for (size_t i = 0; dsn->utf8 && i < dsn->recipient_count; i++) {
		const struct envelope_recipient *who = dsn->recipients[i].who;

		if (!utf8_is_ascii(who->address) || (who->original != NULL &&
		    strncasecmp(who->original, "utf-8;", 6) == 0))
			return true;
	}
	return false;
}

/* The type of what is returned; RFC 6533 4 has two for headers in UTF-8. */
static const char *type_of_original(const struct dsn *dsn)
{
	size_t header = header_length(dsn->original, dsn->original_length);
	bool global = dsn->utf8 && contains_8bit(dsn->original, header);

	if (dsn->original_is_whole)
		return global ? "message/global" : "message/rfc822";
	return global ? "message/global-headers" : "text/rfc822-headers";
}

/* A message that is returned as it is has to be so within. */
static bool stays_8bit(const struct dsn *dsn)
{
	return dsn->original != NULL && dsn->original_is_whole &&
	    contains_8bit(dsn->original, dsn->original_length) &&
	    strcmp(type_of_original(dsn), "message/rfc822") == 0;
}

/* One part: encoded if it has to be, and if it may be. */
static void add_part(struct buf *out, const char *boundary, const char *type,
    const char *data, size_t length)
{
	bool has_8bit = contains_8bit(data, length);
	bool raw = has_8bit && strcmp(type, "message/rfc822") == 0;

	buf_print(out, "\r\n--%s\r\nContent-Type: %s\r\n", boundary, type);
	if (has_8bit)
		buf_print(out, "Content-Transfer-Encoding: %s\r\n",
		    raw ? "8bit" : "quoted-printable");
	buf_add_string(out, "\r\n");
	if (has_8bit && !raw)
		quoted_add(out, data, length);
	else
		(void)buf_add(out, data, length);
	if (length < 2 || memcmp(data + length - 2, "\r\n", 2) != 0)
		buf_add_string(out, "\r\n");
}

static void add_parts(struct buf *out, const struct dsn *dsn,
    const char *boundary)
{
	bool global = is_global(dsn);
	struct buf part;

	buf_init(&part, DSN_MAX);
	write_person_part(&part, dsn);
	add_part(out, boundary, contains_8bit(buf_data(&part),
	    buf_length(&part)) ? "text/plain; charset=utf-8" :
	    "text/plain; charset=us-ascii", buf_data(&part),
	    buf_length(&part));
	buf_reset(&part);
	write_program_part(&part, dsn, global);
	add_part(out, boundary, global ? "message/global-delivery-status" :
	    "message/delivery-status", buf_data(&part), buf_length(&part));
	buf_release(&part);
	if (dsn->original != NULL)
		add_part(out, boundary, type_of_original(dsn), dsn->original,
		    dsn->original_length);
}

int dsn_write(struct buf *out, const struct dsn *dsn)
{
	uint8_t random[BOUNDARY_BYTES];
	char boundary[2 * BOUNDARY_BYTES + 8] = "postern";

	random_bytes(random, sizeof(random));
	hex_format(random, sizeof(random), boundary + 7,
	    sizeof(boundary) - 7);
	write_headers(out, dsn, boundary, stays_8bit(dsn));
	add_parts(out, dsn, boundary);
	/* A slice of recipients and DSN_ORIGINAL_MAX stay far below DSN_MAX. */
	return buf_print(out, "\r\n--%s--\r\n", boundary);
}
