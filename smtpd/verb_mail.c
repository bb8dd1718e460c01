/* SPDX-License-Identifier: ISC */
/*
 * MAIL (RFC 5321 4.1.1.2): sender, parameters, and whether there is room.
 */
#include <string.h>
#include <strings.h>

#include "base/address.h"
#include "conf/conf.h"
#include "queue/envelope.h"
#include "smtpd/parameter.h"
#include "smtpd/refusal.h"
#include "smtpd/reply.h"
#include "smtpd/rules.h"
#include "smtpd/session.h"
#include "smtpd/transaction.h"
#include "smtpd/verbs.h"

/* "FROM:<path> parameters"; no space around the colon (SMTP-14). */
static const struct refusal *parse(char *argument, struct address *sender,
    struct mail_parameters *parameters)
{
	enum address_error error;
	size_t used = 0;

	if (strncasecmp(argument, "FROM:", 5) != 0 || argument[5] != '<')
		return &refusal_argument;
	argument += 5;
	error = address_parse_path(sender, argument, strlen(argument),
	    ADDRESS_ALLOW_NULL, &used);
	if (error == ADDRESS_NOT_QUALIFIED)
		return &refusal_sender_domain;
	if (error != ADDRESS_OK)
		return &refusal_sender_syntax;
	return parameters_of_mail(parameters, argument + used);
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
	refusal = parse(argument, &sender, &parameters);
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
	reply(session, 250, "2.1.0", "sender ok");
	return VERB_DONE;
}
