/* SPDX-License-Identifier: ISC */
/*
 * All that a mail host says, and all that it does instead. What is said is
 * told before it is written; a message is told as taken before the last byte
 * of the reply that takes it, and not when that byte was never due.
 */
#include "tools/lab/mail_host_private.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/log.h"
#include "tools/lab/event.h"

enum {
	REPLY_MAX = 256 << 10,
	TOLD_MAX = 500,			/* bytes of a reply in its event */
	TARPIT_MS = 1000,
	BYTE_MS = 1			/* so that a byte is a segment */
};

/* No record of TLS, no reply of SMTP, but a whole line. */
static const char garbage[] = "\x8f\xff\x00\x02\xc3 what is this? \xfe\x1b[0m"
    "\x00\x80\x81\x82\xf5\r\n";

const struct lab_action *lab_session_action(const struct lab_session *session,
    enum lab_stage stage)
{
	size_t i;

	for (i = 0; i < session->host->action_count; i++) {
		const struct lab_action *action = &session->host->actions[i];

		if (action->stage == stage &&
		    action->visits.first <= session->visit &&
		    action->visits.last >= session->visit &&
		    (session->link.ssl != NULL ||
		    !lab_action_needs_tls(action)))
			return action;
	}
	return NULL;
}

static int code_of(const char *reply)
{
	return (int)strtol(reply, NULL, 10);
}

/* --- writing --- */

static void tell_reply(const struct lab_session *session, const char *text,
    size_t length, const struct lab_action *action)
{
	json_t *members = json_pack("{s:o,s:b}", "text", lab_event_bytes(text,
	    length < TOLD_MAX ? length : TOLD_MAX), "tls",
	    session->link.ssl != NULL);

	if (action != NULL)
		json_object_set_new(members, "action",
		    lab_event_bytes(action->words, strlen(action->words)));
	lab_event(session->name, "reply", members);
}

static void write_bytes(struct lab_session *session, const char *data,
    size_t length)
{
	if (lab_link_write(&session->link, data, length) == -1)
		session->over = true;
}

/* The reply is as good as written: is it one that takes the message? */
static void settle_message(struct lab_session *session, int code)
{
	if (session->arrived != NULL && !session->over && code / 100 == 2)
		lab_session_tell_message(session);
	session->arrived = NULL;
}

/* In one write, so that a reply is not torn. */
static void write_reply(struct lab_session *session, const struct buf *text,
    int code, const struct lab_action *action)
{
	tell_reply(session, buf_data(text), buf_length(text), action);
	settle_message(session, code);
	write_bytes(session, buf_data(text), buf_length(text));
}

/* Waits; a client that goes ends it. */
static void pause_for(struct lab_session *session, int milliseconds)
{
	struct pollfd gone = { .fd = session->link.fd, .events = POLLRDHUP };

	if (poll(&gone, 1, milliseconds) == 1)
		session->over = true;
}

static void write_slowly(struct lab_session *session, const struct buf *text,
    int code, const struct lab_action *action)
{
	int pause = action->act == LAB_ACT_TARPIT ? TARPIT_MS : BYTE_MS;
	size_t length = buf_length(text), i;

	tell_reply(session, buf_data(text), length, action);
	for (i = 0; i < length && !session->over; i++) {
		if (i + 1 == length)
			settle_message(session, code);
		write_bytes(session, buf_data(text) + i, 1);
		if (i + 1 < length && !session->over)
			pause_for(session, pause);
	}
}

/* Its last byte by itself: what comes before may be more than the client
 * takes. */
static void write_long(struct lab_session *session, const struct buf *text,
    int code, const struct lab_action *action)
{
	size_t length = buf_length(text);

	tell_reply(session, buf_data(text), length, action);
	write_bytes(session, buf_data(text), length - 1);
	settle_message(session, code);
	if (!session->over)
		write_bytes(session, buf_data(text) + length - 1, 1);
}

static void write_flood(struct lab_session *session, const char *usual,
    const struct lab_action *action)
{
	static const char line[] = "250-still more\r\n";
	enum { LINE = sizeof(line) - 1, LINES = 256 };
	char block[LINE * LINES];
	size_t written, i;

	for (i = 0; i < LINES; i++) {
		memcpy(block + i * LINE, line, LINE);
		memcpy(block + i * LINE, usual, 3);
	}
	tell_reply(session, block, sizeof(block), action);
	for (written = 0; written < LAB_FLOOD_MAX && !session->over;
	    written += sizeof(block))
		write_bytes(session, block, sizeof(block));
}

/* --- replies as text --- */

static void add_lines(struct buf *text, const char *reply, const char *end)
{
	const char *p;

	for (p = reply; *p != '\0'; p++) {
		if (*p == '|')
			buf_add_string(text, end);
		else
			buf_add_byte(text, *p);
	}
	buf_add_string(text, end);
}

/* The same with a first line of LAB_LONG_LINE bytes. */
static void add_long(struct buf *text, const char *reply)
{
	size_t first = strcspn(reply, "|");

	buf_add(text, reply, first);
	buf_add_byte(text, ' ');
	while (buf_length(text) < LAB_LONG_LINE - 2)
		buf_add_byte(text, 'x');
	add_lines(text, reply + first, "\r\n");
}

void lab_session_say(struct lab_session *session, const char *reply)
{
	struct buf text;

	buf_init(&text, REPLY_MAX);
	add_lines(&text, reply, "\r\n");
	write_reply(session, &text, code_of(reply), NULL);
	buf_release(&text);
}

/* --- actions --- */

/* Those that say the true reply in another way; its code. */
static int spoil(struct lab_session *session, const struct lab_action *action,
    const char *usual)
{
	int code = code_of(usual);
	struct buf text;

	buf_init(&text, REPLY_MAX);
	if (action->act == LAB_ACT_LONG)
		add_long(&text, usual);
	else
		add_lines(&text, usual, action->act == LAB_ACT_BARE ? "\n" :
		    "\r\n");
	if (action->act == LAB_ACT_BARE)
		write_reply(session, &text, code, action);
	else if (action->act == LAB_ACT_LONG)
		write_long(session, &text, code, action);
	else
		write_slowly(session, &text, code, action);
	buf_release(&text);
	return code;
}

/* Some of the true reply, never all of it; then FIN. */
static void break_off(struct lab_session *session,
    const struct lab_action *action, const char *usual)
{
	struct buf text;

	if (action->act == LAB_ACT_FLOOD) {
		write_flood(session, usual, action);
	} else {
		buf_init(&text, REPLY_MAX);
		add_lines(&text, usual, "\r\n");
		buf_truncate(&text, buf_length(&text) / 2);
		write_reply(session, &text, 0, action);
		buf_release(&text);
	}
	lab_link_cut(&session->link);
}

/*
 * Nobody who speaks TLS may believe what is said behind its end, so this
 * takes no message that came before it.
 */
static int unwrap(struct lab_session *session, const struct lab_action *action)
{
	session->arrived = NULL;
	/* What came under TLS is not to be taken for something in clear. */
	lab_link_discard(&session->link);
	if (lab_link_unwrap(&session->link) == -1) {
		session->over = true;
		return 0;
	}
	write_reply(session, &action->text, action->code, action);
	return action->code;
}

/* Those that end the connection. */
static void end_by(struct lab_session *session,
    const struct lab_action *action, const char *usual)
{
	struct lab_link *link = &session->link;

	switch (action->act) {
	case LAB_ACT_CLOSE:
		lab_link_close(link);
		break;
	case LAB_ACT_CUT:
		lab_link_cut(link);
		break;
	case LAB_ACT_RESET:
		lab_link_reset(link);
		break;
	case LAB_ACT_STALL:
		lab_link_stall(link);
		break;
	case LAB_ACT_GARBAGE:
		tell_reply(session, garbage, sizeof(garbage) - 1, action);
		write_bytes(session, garbage, sizeof(garbage) - 1);
		lab_link_cut(link);
		break;
	case LAB_ACT_ALERT:
		lab_link_alert(link, *action->alert != '\0' ? action->alert :
		    "handshake_failure");
		lab_link_cut(link);
		break;
	case LAB_ACT_CORRUPT:
		lab_link_corrupt(link);
		break;
	case LAB_ACT_FLOOD:
	case LAB_ACT_HALF:
		break_off(session, action, usual);
		break;
	default:
		bug("lab-action");
	}
	session->over = true;
}

int lab_session_perform(struct lab_session *session,
    const struct lab_action *action, const char *usual)
{
	int code = 0;

	switch (action->act) {
	case LAB_ACT_REPLY:
		write_reply(session, &action->text, action->code, action);
		code = action->code;
		break;
	case LAB_ACT_RAW:
		write_reply(session, &action->text, 0, action);
		break;
	case LAB_ACT_TARPIT:
	case LAB_ACT_BYTES:
	case LAB_ACT_LONG:
	case LAB_ACT_BARE:
		code = spoil(session, action, usual);
		break;
	case LAB_ACT_UNWRAP:
		code = unwrap(session, action);
		break;
	default:
		end_by(session, action, usual);
	}
	if (session->over)
		session->cause = action->words;
	return session->over ? 0 : code;
}

int lab_session_answer(struct lab_session *session, enum lab_stage stage,
    const char *usual)
{
	const struct lab_action *action = lab_session_action(session, stage);
	int code = code_of(usual);

	if (action == NULL)
		lab_session_say(session, usual);
	else
		code = lab_session_perform(session, action, usual);
	if (code == 421) {
		lab_link_close(&session->link);
		session->cause = action->words;	/* no good server says it */
		session->over = true;
	}
	return session->over ? 0 : code;
}
