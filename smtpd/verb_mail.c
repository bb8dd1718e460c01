/* SPDX-License-Identifier: ISC */
/*
 * MAIL (RFC 5321 4.1.1.2): sender, parameters, and whether there is room.
 */
#include <string.h>
#include <strings.h>

#include "base/address.h"
#include "base/utf8.h"
#include "conf/conf.h"
#include "policy/directory_client.h"
#include "queue/envelope.h"
#include "smtpd/parameter.h"
#include "smtpd/refusal.h"
#include "smtpd/reply.h"
#include "smtpd/rules.h"
#include "smtpd/server.h"
#include "smtpd/session.h"
#include "smtpd/transaction.h"
#include "smtpd/verbs.h"

/* RFC 6531 3.4: the keyword only where it is offered, and UTF-8 only with the
 * keyword (SMTP-138). */
static const struct refusal *check_utf8(const struct session *session,
    bool is_ascii, const struct mail_parameters *parameters)
{
	bool said = (parameters->flags & ENVELOPE_UTF8) != 0;

	if (said && !session->rules->conf->smtputf8)
		return &refusal_parameter_unknown;
	return is_ascii || said ? NULL : &refusal_utf8;
}

/* "FROM:<path> parameters"; no space around the colon (SMTP-14). */
static const struct refusal *parse(const struct session *session,
    char *argument, struct address *sender, struct mail_parameters *parameters)
{
	bool is_ascii = utf8_is_ascii(argument);
	const struct refusal *refusal;
	enum address_error error;
	size_t used = 0;

	if (strncasecmp(argument, "FROM:", 5) != 0 || argument[5] != '<')
		return &refusal_argument;
	argument += 5;
	error = address_parse_path(sender, argument, strlen(argument),
	    ADDRESS_ALLOW_NULL | ADDRESS_ALLOW_UTF8, &used);
	if (error == ADDRESS_NOT_QUALIFIED)
		return &refusal_sender_domain;
	if (error != ADDRESS_OK)
		return &refusal_sender_syntax;
	refusal = parameters_of_mail(parameters, argument + used);
	return refusal != NULL ? refusal :
	    check_utf8(session, is_ascii, parameters);
}

/* What the sender demands of whoever gets the message has to be said where
 * nobody in the path could have taken it out (REQ-6). */
static const struct refusal *check_requiretls(const struct session *session,
    const struct mail_parameters *parameters)
{
	if (!(parameters->flags & ENVELOPE_REQUIRETLS))
		return NULL;
	if (!session->rules->conf->requiretls)
		return &refusal_parameter_unknown;
	if (!session_is_secure(session))
		return &refusal_requiretls_clear;
	return NULL;
}

static void answer(struct session *session, bool passed)
{
	if (passed) {
		reply(session, 250, "2.1.0", "sender ok");
		return;
	}
	checks_reply(session);	/* its line in the log names the sender */
	transaction_end(session);
}

static void on_checked(struct session *session, bool passed)
{
	answer(session, passed);
	session_resume(session);
}

static enum verb_result check(struct session *session)
{
	enum check_answer result = checks_run(session, CHECK_MAIL, on_checked);

	if (result == CHECK_WAIT)
		return VERB_WAITING;
	answer(session, result == CHECK_PASS);
	return VERB_DONE;
}

/* SMTP-152: the transaction that has begun ends where the answer is no. */
static void on_owner(void *arg, enum owner_answer found)
{
	struct session *session = arg;

	session->lookup = NULL;
	if (found != OWNER_YES) {
		transaction_end(session);
		reply_refuse(session, found == OWNER_NO ? &refusal_owner :
		    &refusal_owner_unknown);
	} else if (check(session) == VERB_WAITING) {
		return;
	}
	session_resume(session);
}

/* Who logged in sends as nobody else. The null sender is everybody's, but of
 * those only who could still log in. */
static enum verb_result ask_owner(struct session *session,
    const char *sender)
{
	session->lookup = directory_owns(session->server->directory,
	    session->user, sender, on_owner, session);
	return VERB_WAITING;
}

enum verb_result verb_mail(struct session *session, char *argument)
{
	const struct conf *conf = session->rules->conf;
	struct mail_parameters parameters;
	const struct refusal *refusal;
	struct address sender;
	char text[ADDRESS_MAX + 1];

	if (session->transaction != NULL) {
		reply_refuse(session, &refusal_nested_mail);
		return VERB_DONE;
	}
	refusal = parse(session, argument, &sender, &parameters);
	if (refusal == NULL)
		refusal = check_requiretls(session, &parameters);
	if (refusal == NULL && sender.domain[0] != '\0' &&
	    !rules_is_qualified(session->rules, sender.domain))
		refusal = &refusal_sender_domain;
	/* RFC 1870 6.1 */
	if (refusal == NULL &&
	    parameters.size > (uint64_t)conf->max_message_size)
		refusal = &refusal_size;
	if (refusal == NULL)
		refusal = transaction_refusal(session, parameters.size);
	if (refusal != NULL) {
		reply_refuse(session, refusal);
		return VERB_DONE;
	}
	address_format(&sender, text, sizeof(text));
	transaction_begin(session, text, &parameters);
	if (session->user[0] != '\0')
		return ask_owner(session, text);
	return check(session);
}
