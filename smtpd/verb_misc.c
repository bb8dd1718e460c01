/* SPDX-License-Identifier: ISC */
/*
 * The small verbs: RSET, NOOP, QUIT, VRFY, HELP, and those that are known but
 * not done here.
 */
#include <stddef.h>

#include "conf/conf.h"
#include "smtpd/refusal.h"
#include "smtpd/reply.h"
#include "smtpd/rules.h"
#include "smtpd/session.h"
#include "smtpd/transaction.h"
#include "smtpd/verbs.h"

/* SMTP-50: the transaction goes, TLS and the name stay. */
enum verb_result verb_rset(struct session *session, char *argument)
{
	(void)argument;
	transaction_end(session);
	reply(session, 250, "2.0.0", "begun anew");
	return VERB_DONE;
}

/* RFC 5321 4.1.1.9: an argument is ignored. */
enum verb_result verb_noop(struct session *session, char *argument)
{
	(void)argument;
	reply(session, 250, "2.0.0", "ok");
	return VERB_DONE;
}

enum verb_result verb_quit(struct session *session, char *argument)
{
	(void)argument;
	reply(session, 221, "2.0.0", "%s closing",
	    session->rules->conf->hostname);
	session_leave(session);
	return VERB_DONE;
}

/* SMTP-53: who has a mailbox here is told to nobody. */
enum verb_result verb_vrfy(struct session *session, char *argument)
{
	if (*argument == '\0')
		reply_refuse(session, &refusal_argument);
	else
		reply(session, 252, "2.5.0", "not verified; send mail to it");
	return VERB_DONE;
}

enum verb_result verb_help(struct session *session, char *argument)
{
	static const char *const lines[] = {
		"Commands:",
		"EHLO HELO STARTTLS MAIL RCPT DATA BDAT",
		"RSET NOOP QUIT VRFY HELP",
		NULL
	};

	(void)argument;
	reply_lines(session, 214, "2.0.0", lines);
	return VERB_DONE;
}

enum verb_result verb_not_implemented(struct session *session, char *argument)
{
	(void)argument;
	reply_refuse(session, &refusal_not_implemented);
	return VERB_DONE;
}

/* Nothing of a web request may be read as mail: the headers and the body of
 * it were chosen by a stranger. */
enum verb_result verb_http(struct session *session, char *argument)
{
	(void)argument;
	session_end(session, &refusal_http, "http");
	return VERB_DONE;
}
