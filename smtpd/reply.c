/* SPDX-License-Identifier: ISC */
/*
 * Formatting and counting of replies; see reply.h. stream sends what was
 * written in one turn of the loop with one write, so the answers to a group of
 * pipelined commands leave together and none is held back (SMTP-82, SMTP-83).
 */
#include "smtpd/reply.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/loop.h"
#include "base/mem.h"
#include "base/stream.h"
#include "conf/conf.h"
#include "smtpd/refusal.h"
#include "smtpd/rules.h"
#include "smtpd/server.h"
#include "smtpd/session.h"
#include "smtpd/smtpd_log.h"
#include "smtpd/transaction.h"

/* RFC 5321 4.5.3.1.5: a reply line with CRLF. */
enum { REPLY_LINE_MAX = 512 };

void reply_forget(struct session *session)
{
	timer_stop(&session->hold);
	mem_free(session->held);
	session->held = NULL;
}

/* What was held back goes before what is said now. */
void reply_let_go(struct session *session)
{
	char *held = session->held;

	if (held == NULL)
		return;
	session->held = NULL;
	timer_stop(&session->hold);
	if (stream_write(session->stream, held, strlen(held)) == -1)
		session_drop(session, "output");
	mem_free(held);
}

static void send_bytes(struct session *session, const char *text, size_t length)
{
	if (session->state != SESSION_CLOSED)
		reply_let_go(session);
	if (session->state == SESSION_CLOSED)
		return;
	if (stream_write(session->stream, text, length) == -1)
		session_drop(session, "output");
}

/* One line of ASCII, wherever the text came from (SMTP-142). */
static size_t add_text(char *line, size_t length, const char *text)
{
	for (; *text != '\0' && length < REPLY_LINE_MAX - 2; text++)
		line[length++] = *text < ' ' || *text > '~' ? '?' : *text;
	return length;
}

/* One line; separator is '-' for all but the last of a reply. Returns its
 * length. */
static size_t make_line(char *line, int code, char separator,
    const char *enhanced, const char *text)
{
	size_t length = 0;

	line[length++] = (char)('0' + code / 100 % 10);
	line[length++] = (char)('0' + code / 10 % 10);
	line[length++] = (char)('0' + code % 10);
	line[length++] = separator;
	length = add_text(line, length, enhanced);
	if (*enhanced != '\0')
		length = add_text(line, length, " ");
	length = add_text(line, length, text);
	memcpy(line + length, "\r\n", 3);
	return length + 2;
}

static void send_line(struct session *session, int code, char separator,
    const char *enhanced, const char *text)
{
	char line[REPLY_LINE_MAX + 1];
	size_t length = make_line(line, code, separator, enhanced, text);

	send_bytes(session, line, length);
}

/* --- the tarpit --- */

static bool is_tarpit(const struct session *session)
{
	const struct conf *conf = session->rules->conf;

	return conf->tarpit > 0 &&
	    session->errors > (uint64_t)conf->tarpit_after &&
	    !session->trial && !session->input_ended &&
	    !session->server->stopping &&
	    checks_concern(session) && !server_is_crowded(session->server);
}

static void on_hold_over(void *arg)
{
	struct session *session = arg;

	reply_let_go(session);
	/* The time for the next command begins now. */
	session_enter(session, session->state);
	if (session->state != SESSION_CLOSED)
		session_continue(session);
}

static void hold_line(struct session *session, int code, const char *enhanced,
    const char *text)
{
	char line[REPLY_LINE_MAX + 1];

	make_line(line, code, ' ', enhanced, text);
	reply_let_go(session);
	if (session->state == SESSION_CLOSED)
		return;
	session->held = mem_dup_string(line);
	timer_start(&session->hold, session->rules->conf->tarpit * 1000,
	    on_hold_over, session);
}

bool reply_count_error(struct session *session)
{
	if (++session->errors < (unsigned)session->rules->conf->max_errors)
		return false;
	session_end(session, &refusal_errors, "errors");
	return true;
}

void reply(struct session *session, int code, const char *enhanced,
    const char *format, ...)
{
	char said[REPLY_LINE_MAX];
	const char *text = format;
	va_list arguments;

	/* Most are the same every time. */
	if (strchr(format, '%') != NULL) {
		va_start(arguments, format);
		vsnprintf(said, sizeof(said), format, arguments);
		va_end(arguments);
		text = said;
	}
	if (code >= 400)
		smtpd_log_reject(session, code, enhanced, text);
	if (code >= 500 && reply_count_error(session))
		return;
	if (code >= 400 && is_tarpit(session))
		hold_line(session, code, enhanced, text);
	else
		send_line(session, code, ' ', enhanced, text);
}

/* How often the answer to a message is said before the last time. */
static unsigned repetitions(struct session *session)
{
	const struct transaction *transaction = session->transaction;

	if (!session_speaks_lmtp(session) || transaction == NULL ||
	    transaction->accepted < 2)
		return 0;
	stream_set_max_output(session->stream, stream_pending(session->stream) +
	    (size_t)(transaction->accepted + 1) * REPLY_LINE_MAX);
	return transaction->accepted - 1;
}

void reply_repeat(struct session *session, int code, const char *enhanced,
    const char *text)
{
	unsigned more = repetitions(session);

	for (; more > 0 && session->state != SESSION_CLOSED; more--)
		send_line(session, code, ' ', enhanced, text);
}

void reply_content(struct session *session, int code, const char *enhanced,
    const char *text)
{
	if (session_speaks_lmtp(session) && session->transaction != NULL &&
	    session->transaction->accepted == 0)
		return;
	reply_repeat(session, code, enhanced, text);
	if (session->state != SESSION_CLOSED)
		reply(session, code, enhanced, "%s", text);
}

void reply_lines(struct session *session, int code, const char *enhanced,
    const char *const *lines)
{
	for (; *lines != NULL; lines++)
		send_line(session, code, lines[1] == NULL ? ' ' : '-',
		    enhanced, *lines);
}

void reply_text(struct session *session, const char *text)
{
	send_bytes(session, text, strlen(text));
}

void reply_refuse(struct session *session, const struct refusal *refusal)
{
	char text[REPLY_LINE_MAX];

	if (!refusal->close && !refusal->host) {
		reply(session, refusal->code, refusal->enhanced, "%s",
		    refusal->text);
		return;
	}
	/* The last word: it counts as no error, the session ends anyway. */
	snprintf(text, sizeof(text), "%s%s%s",
	    refusal->host ? session->rules->conf->hostname : "",
	    refusal->host ? " " : "", refusal->text);
	smtpd_log_reject(session, refusal->code, refusal->enhanced, text);
	send_line(session, refusal->code, ' ', refusal->enhanced, text);
}
