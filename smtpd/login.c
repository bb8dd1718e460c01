/* SPDX-License-Identifier: ISC */
/*
 * The session is WAITING while the directory thinks and AUTH while the client
 * does. session->login is null in AUTH when the directory has given the login
 * up meanwhile: the client hears of it when it has said its line.
 */
#include "smtpd/login.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "base/digest.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/stream.h"
#include "base/words.h"
#include "conf/conf.h"
#include "policy/directory_client.h"
#include "smtpd/reply.h"
#include "smtpd/rules.h"
#include "smtpd/server.h"
#include "smtpd/session.h"
#include "smtpd/smtpd_log.h"

/* --- what is offered --- */

/* RFC 5802 6: -PLUS where there is something to bind to; EXTERNAL for who
 * showed a listed certificate (TLS-90). What another server has is not known
 * while it is away; then an attempt will hear 454. */
static bool is_offered(const struct session *session, const char *mechanism)
{
	const char *theirs = directory_mechanisms(session->server->directory);
	bool ask_others = session->rules->conf->auth_socket[0] != '\0';
	uint8_t binding[STREAM_BINDING_BYTES];

	if (strcasecmp(mechanism, "EXTERNAL") == 0)
		return session->certificate[0] != '\0';
	if (strcasecmp(mechanism, "SCRAM-SHA-256-PLUS") == 0)
		return !ask_others && stream_binding(session->stream, binding,
		    sizeof(binding)) > 0;
	return !ask_others || *theirs == '\0' || words_contain(theirs, mechanism);
}

void login_mechanisms(const struct session *session, char *out, size_t size)
{
	const struct conf_texts *all = &session->rules->conf->auth_mechanisms;
	size_t used = 0;

	out[0] = '\0';
	if (!session->listener->auth || !session_is_secure(session) ||
	    session->logged_in)
		return;
	for (size_t i = 0; i < all->count; i++) {
		const char *one = all->items[i];

		if (!is_offered(session, one) ||
		    used + strlen(one) + 2 > size)
			continue;
		used += (size_t)snprintf(out + used, size - used, " %s", one);
	}
}

/* --- answers --- */

static void say_challenge(struct session *session, const void *data,
    size_t length)
{
	char line[BASE64_LENGTH(LOGIN_DATA_MAX) + 16] = "334 ";
	size_t end = 4 + BASE64_LENGTH(length);

	base64_format(data, length, line + 4, sizeof(line) - 6);
	memcpy(line + end, "\r\n", 3);
	reply_text(session, line);
	mem_wipe(line, sizeof(line));
	session_enter(session, SESSION_AUTH);
}

static void accept_login(struct session *session, const char *user)
{
	snprintf(session->user, sizeof(session->user), "%s", user);
	session->logged_in = true;
	smtpd_log_login(session);
	reply(session, 235, "2.7.0", "you are logged in");
	session_enter(session, SESSION_COMMAND);
}

/* What the directory believed may not be true any more (TLS-90). */
static bool has_lost_proof(const struct session *session)
{
	return session->certificate_changed &&
	    strcasecmp(session->mechanism, "EXTERNAL") == 0;
}

/* One failure more, if it is the client's. */
static void refuse_login(struct session *session,
    const struct refusal *refusal)
{
	session_enter(session, SESSION_COMMAND);
	reply_refuse(session, refusal);
	if (refusal == &refusal_login_unavailable ||
	    ++session->login_failures < LOGIN_FAILURES_MAX)
		return;
	session_end(session, &refusal_logins, "failed logins");
}

static void on_login(void *arg, enum login_answer answer, const void *data,
    size_t length, const char *user)
{
	struct session *session = arg;

	if (answer != LOGIN_CHALLENGE)
		session->login = NULL;
	/* The client is to speak first: login_step() will tell it. */
	if (session->state == SESSION_AUTH)
		return;
	switch (answer) {
	case LOGIN_CHALLENGE:
		say_challenge(session, data, length);
		break;
	case LOGIN_ACCEPTED:
		if (has_lost_proof(session))
			refuse_login(session, &refusal_login);
		else
			accept_login(session, user);
		break;
	case LOGIN_REJECTED:
		refuse_login(session, &refusal_login);
		break;
	case LOGIN_LATER:
		refuse_login(session, &refusal_login_later);
		break;
	case LOGIN_UNKNOWN:
		refuse_login(session, &refusal_login_mechanism);
		break;
	case LOGIN_MALFORMED:
		refuse_login(session, &refusal_login_message);
		break;
	case LOGIN_UNAVAILABLE:
		refuse_login(session, &refusal_login_unavailable);
		break;
	default:
		bug("login-answer");
	}
	session_continue(session);
}

/* --- what the client says --- */

/* "=" is an empty response, as AUTH's initial one only. -1: no base64, or
 * more of it than any mechanism needs. */
static int decode(const char *text, bool initial, uint8_t *out, size_t size)
{
	if (initial && strcmp(text, "=") == 0)
		return 0;
	if (initial && *text == '\0')
		return -1;
	return base64_parse(out, size, text);
}

bool login_begin(struct session *session, const char *mechanism,
    const char *initial)
{
	struct login_context context = {
		.mechanism = mechanism,
		.client = &session->address,
		.local = &session->local,
		.certificate = session->certificate,
	};
	uint8_t data[LOGIN_DATA_MAX];
	int length = 0;

	if (initial != NULL)
		length = decode(initial, true, data, sizeof(data));
	if (length < 0) {
		refuse_login(session, &refusal_login_base64);
		return false;
	}
	snprintf(session->mechanism, sizeof(session->mechanism), "%s",
	    mechanism);
	session->certificate_changed = false;
	context.binding_length = stream_binding(session->stream,
	    context.binding, sizeof(context.binding));
	session->login = directory_login(session->server->directory, &context,
	    initial == NULL ? NULL : data, (size_t)length, on_login, session);
	mem_wipe(data, sizeof(data));
	return true;
}

static void give_up(struct session *session, const struct refusal *refusal)
{
	if (session->login != NULL)
		directory_login_cancel(session->login);
	session->login = NULL;
	refuse_login(session, refusal);
}

/* RFC 4954 4: "*" cancels. */
static void respond(struct session *session, const char *line)
{
	uint8_t data[LOGIN_DATA_MAX];
	int length;

	if (strcmp(line, "*") == 0) {
		give_up(session, &refusal_login_cancelled);
		return;
	}
	length = decode(line, false, data, sizeof(data));
	if (length < 0) {
		give_up(session, &refusal_login_base64);
	} else if (session->login == NULL) {
		refuse_login(session, &refusal_login_unavailable);
	} else {
		session_enter(session, SESSION_WAITING);
		directory_login_go_on(session->login, data, (size_t)length);
	}
	mem_wipe(data, sizeof(data));
}

/* RFC 4954 4: 500 5.5.6, when the line is over. */
static enum step skip(struct session *session)
{
	char nothing[COMMAND_MAX];

	switch (command_take(&session->splitter,
	    stream_input(session->stream), nothing)) {
	case COMMAND_NONE:
		return STEP_INPUT;
	case COMMAND_TOO_LONG:
		give_up(session, &refusal_login_long);
		return STEP_GO;
	default:
		session_end(session, &refusal_line_endless, "line");
		return STEP_GO;
	}
}

enum step login_step(struct session *session)
{
	struct buf *input = stream_input(session->stream);
	const char *data = buf_data(input);
	size_t length = buf_length(input);
	const char *lf = memchr(data, '\n', length);
	char line[LOGIN_LINE_MAX];

	if (session->splitter.skipping)
		return skip(session);
	if (lf == NULL && length <= LOGIN_LINE_MAX)
		return STEP_INPUT;
	if (lf == NULL || lf - data >= LOGIN_LINE_MAX) {
		session->splitter.skipping = true;
		return STEP_GO;
	}
	length = (size_t)(lf - data);
	if (length == 0 || lf[-1] != '\r' ||
	    memchr(data, '\r', length) != lf - 1) {
		session_end(session, &refusal_line_bare, "bare newline");
		return STEP_GO;
	}
	memcpy(line, data, length - 1);
	line[length - 1] = '\0';
	buf_wipe_front(input, length + 1);
	session->commands++;
	/* What is no text cannot be base64. */
	if (strlen(line) != length - 1)
		line[0] = '\x7f';
	respond(session, line);
	mem_wipe(line, sizeof(line));
	return STEP_GO;
}
