/* SPDX-License-Identifier: ISC */
/*
 * The table and the walk. What each row asks and answers is in the README's
 * table of checks, in the same order; tests/unit/smtpd_checks_test.c compares.
 */
#include "smtpd/checks.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/net.h"
#include "smtpd/filter.h"
#include "smtpd/limits.h"
#include "smtpd/refusal.h"
#include "smtpd/reply.h"
#include "smtpd/rules.h"
#include "smtpd/screening.h"
#include "smtpd/session.h"
#include "smtpd/signing.h"
#include "smtpd/smtpd_log.h"
#include "smtpd/trial.h"
#include "smtpd/verification.h"

static const struct check checks[] = {
	{ CHECK_CONNECT, "deny-from", limits_denied },
	{ CHECK_CONNECT, "connection-rate", limits_connection },
	{ CHECK_CONNECT, "network-connection-rate",
	    limits_network_connection },
	{ CHECK_CONNECT, "greeting-delay", screening_delay },
	{ CHECK_CONNECT, "early-talker", screening_early },
	{ CHECK_CONNECT, "dnswl", screening_good_lists },
	{ CHECK_CONNECT, "dnsbl", screening_bad_lists },
	{ CHECK_CONNECT, "reverse-name", screening_reverse },
	{ CHECK_CONNECT, "milter", filter_connect },
	{ CHECK_HELLO, "milter", filter_hello },
	{ CHECK_MAIL, "message-rate", limits_message },
	{ CHECK_MAIL, "user-rate", limits_user },
	{ CHECK_MAIL, "spf", verification_mail },
	{ CHECK_MAIL, "milter", filter_mail },
	{ CHECK_RECIPIENT, "recipient-rate", limits_recipient },
	{ CHECK_RECIPIENT, "network-recipient-rate",
	    limits_network_recipient },
	{ CHECK_RECIPIENT, "sender-rate", limits_sender },
	{ CHECK_RECIPIENT, "user-recipient-rate", limits_user_recipient },
	{ CHECK_KNOWN_RECIPIENT, "spf", verification_recipient },
	{ CHECK_KNOWN_RECIPIENT, "greylist", screening_greylist },
	{ CHECK_KNOWN_RECIPIENT, "milter", filter_recipient },
	{ CHECK_CONTENT, "dmarc", verification_content },
	{ CHECK_CONTENT, "milter", filter_content },
	{ CHECK_CONTENT, "dkim-sign", signing_content },
	{ CHECK_POINTS, "", NULL },
};

const struct check *checks_table(void)
{
	return checks;
}

const char *checks_name(const struct session *session)
{
	return checks[session->check].name;
}

bool checks_concern(const struct session *session)
{
	return session->uid < 0 && !session_speaks_lmtp(session) &&
	    !session_is_known(session) && !conf_networks_contain(
	    &session->rules->conf->allow_from, &session->address);
}

static enum check_answer walk(struct session *session)
{
	enum check_answer answer = CHECK_PASS;

	for (; checks[session->check].point != CHECK_POINTS;
	    session->check++) {
		const struct check *check = &checks[session->check];

		if (check->point != session->check_point)
			continue;
		answer = check->run(session);
		if (session->state == SESSION_CLOSED)
			return CHECK_STOP;
		if (answer != CHECK_PASS)
			return answer;
	}
	return CHECK_PASS;
}

enum check_answer checks_run(struct session *session, enum check_point point,
    checks_done *done)
{
	enum check_answer answer;

	session->check = 0;
	session->check_point = point;
	session->checks_done = done;	/* deadlines are those of checks */
	answer = walk(session);
	session->checks_done = answer == CHECK_WAIT ? done : NULL;
	/* The time for roles is over, that for checks begins. */
	if (answer == CHECK_WAIT && session->state == SESSION_WAITING)
		session_enter(session, SESSION_WAITING);
	return answer;
}

void checks_continue(struct session *session, enum check_answer answer)
{
	checks_done *done = session->checks_done;

	if (session->state == SESSION_CLOSED)
		return;
	if (done == NULL)
		bug("checks-continue");
	if (answer == CHECK_PASS) {
		session->check++;
		answer = walk(session);
	}
	if (answer == CHECK_WAIT || session->state == SESSION_CLOSED)
		return;
	session->checks_done = NULL;
	done(session, answer == CHECK_PASS);
}

void checks_cancel(struct session *session)
{
	session->checks_done = NULL;
}

static enum check_answer stop(struct session *session, enum conf_mode mode,
    const struct check_outcome *outcome)
{
	checks_note(session, outcome->check, mode == MODE_ON ? "stop" : "warn",
	    "%d %s %s", outcome->code, outcome->enhanced, outcome->text);
	if (mode != MODE_ON) {
		smtpd_log_would_reject(session, outcome);
		return CHECK_PASS;
	}
	session->outcome = *outcome;
	return CHECK_STOP;
}

static void fill(struct check_outcome *outcome, const struct session *session,
    int code, const char *enhanced)
{
	memset(outcome, 0, sizeof(*outcome));
	outcome->check = checks[session->check].name;
	outcome->code = code;
	snprintf(outcome->enhanced, sizeof(outcome->enhanced), "%s", enhanced);
}

enum check_answer checks_stop(struct session *session, enum conf_mode mode,
    int code, const char *enhanced, const char *format, ...)
{
	struct check_outcome outcome;
	va_list arguments;

	fill(&outcome, session, code, enhanced);
	va_start(arguments, format);
	vsnprintf(outcome.text, sizeof(outcome.text), format, arguments);
	va_end(arguments);
	return stop(session, mode, &outcome);
}

enum check_answer checks_close(struct session *session, enum conf_mode mode,
    int code, const char *enhanced, const char *format, ...)
{
	struct check_outcome outcome;
	va_list arguments;

	fill(&outcome, session, code, enhanced);
	outcome.close = true;
	va_start(arguments, format);
	vsnprintf(outcome.text, sizeof(outcome.text), format, arguments);
	va_end(arguments);
	return stop(session, mode, &outcome);
}

void checks_note(struct session *session, const char *check,
    const char *result, const char *format, ...)
{
	char text[CHECK_TEXT_MAX];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	if (session->trial)
		trial_note(session, check, result, text);
	log_debug("check", log_session(session->id), log_text("check", check),
	    log_text("result", result), log_text("text", text));
}

void checks_reply(struct session *session)
{
	const struct check_outcome *outcome = &session->outcome;
	struct refusal refusal = { .code = (uint16_t)outcome->code,
	    .enhanced = outcome->enhanced, .text = outcome->text,
	    .host = outcome->code == 421, .close = outcome->close };

	smtpd_log_set_check(outcome->check);
	if (outcome->close)
		session_end(session, &refusal, outcome->check);
	else
		reply_refuse(session, &refusal);
	smtpd_log_set_check(NULL);
}
