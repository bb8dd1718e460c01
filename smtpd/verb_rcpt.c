/* SPDX-License-Identifier: ISC */
/*
 * RCPT (RFC 5321 4.1.1.3) and the one decision that makes no open relay of us:
 * a recipient is taken when the directory finds it in a domain of ours, or
 * when the client's address is listed in relay-from. Nothing else counts: not
 * the sender, not a route or "%" inside the local part, which the directory
 * gets to see as it is. Who gets the mail for it then is recipients.c's.
 */
#include <string.h>
#include <strings.h>

#include "base/address.h"
#include "base/arena.h"
#include "base/utf8.h"
#include "conf/conf.h"
#include "policy/directory_client.h"
#include "queue/envelope.h"
#include "smtpd/parameter.h"
#include "smtpd/recipients.h"
#include "smtpd/refusal.h"
#include "smtpd/reply.h"
#include "smtpd/rules.h"
#include "smtpd/server.h"
#include "smtpd/session.h"
#include "smtpd/smtpd_log.h"
#include "smtpd/transaction.h"
#include "smtpd/verbs.h"

/* utf8: MAIL said SMTPUTF8 (SMTP-138). */
static const struct refusal *parse(char *argument, bool utf8,
    struct address *address, struct recipient_parameters *parameters)
{
	enum address_error error;
	size_t used = 0;

	if (!utf8 && !utf8_is_ascii(argument))
		return &refusal_utf8;
	if (strncasecmp(argument, "TO:", 3) != 0 || argument[3] != '<')
		return &refusal_argument;
	argument += 3;
	error = address_parse_path(address, argument, strlen(argument),
	    ADDRESS_ALLOW_POSTMASTER | (utf8 ? ADDRESS_ALLOW_UTF8 : 0),
	    &used);
	if (error == ADDRESS_NOT_QUALIFIED)
		return &refusal_recipient_domain;
	if (error != ADDRESS_OK)
		return &refusal_recipient_syntax;
	return parameters_of_recipient(parameters, argument + used, utf8);
}

/* The RCPT under way is answered: by 250, or by a refusal. */
static void finish(struct session *session, const struct refusal *refusal)
{
	struct transaction *transaction = session->transaction;
	const char *given = transaction->waiting_address;

	transaction->waiting_address = NULL;
	if (refusal != NULL) {
		smtpd_log_set_recipient(given);
		reply_refuse(session, refusal);
		smtpd_log_set_recipient(NULL);
		return;
	}
	if (transaction->accepted == 0)
		transaction->first_recipient = given;
	transaction->accepted++;
	reply(session, 250, "2.1.5", "recipient ok");
}

static void answer(struct session *session, const char *address,
    const struct refusal *refusal)
{
	if (refusal == NULL)
		recipients_add(session, address);
	finish(session, refusal);
}

static void answer_relay(struct session *session)
{
	answer(session, session->transaction->waiting_address,
	    session_may_relay(session) ? NULL : &refusal_relay);
}

/* SMTP-21: postmaster is always there, if only as the configured address. */
static void answer_no_user(struct session *session, bool is_ours)
{
	const char *given = session->transaction->waiting_address;
	const char *postmaster = session->rules->conf->postmaster;
	bool is_postmaster = strcasecmp(given, "postmaster") == 0 ||
	    (is_ours && strncasecmp(given, "postmaster@", 11) == 0);

	if (is_postmaster && postmaster != NULL &&
	    strchr(postmaster, '@') != NULL)
		answer(session, postmaster, NULL);
	else
		answer(session, NULL, &refusal_no_user);
}

static void on_directory(void *arg, enum directory_answer found,
    const struct directory_found *targets)
{
	struct session *session = arg;
	const char *given = session->transaction->waiting_address;

	session->lookup = NULL;
	switch (found) {
	case DIRECTORY_FOUND:
		finish(session, recipients_add_found(session, targets));
		break;
	case DIRECTORY_NO_USER:
		answer_no_user(session, true);
		break;
	case DIRECTORY_NOT_OURS:
		/* We asked because it is ours: in the middle of a reload one
		 * of us is behind, and that is no reason to refuse for good. */
		if (strchr(given, '@') == NULL)
			answer_no_user(session, false);
		else
			answer(session, NULL, &refusal_directory);
		break;
	case DIRECTORY_UNAVAILABLE:
	default:
		answer(session, NULL, &refusal_directory);
		break;
	}
	session_resume(session);
}

static void keep(struct session *session, const char *address,
    const struct recipient_parameters *parameters)
{
	struct transaction *transaction = session->transaction;

	transaction->waiting_address = arena_dup_string(session->arena,
	    address);
	transaction->waiting_original = parameters->original == NULL ? NULL :
	    arena_dup_string(session->arena, parameters->original);
	transaction->waiting_notify = parameters->notify;
}

enum verb_result verb_rcpt(struct session *session, char *argument)
{
	const struct conf *conf = session->rules->conf;
	struct recipient_parameters parameters;
	const struct refusal *refusal;
	struct address address;
	bool utf8 = session->transaction->envelope->flags & ENVELOPE_UTF8;
	char text[ADDRESS_MAX + 1];

	refusal = parse(argument, utf8, &address, &parameters);
	if (refusal == NULL && address.domain[0] != '\0' &&
	    !rules_is_qualified(session->rules, address.domain))
		refusal = &refusal_recipient_domain;
	if (refusal == NULL && session->transaction->body != BODY_NONE)
		refusal = &refusal_chunk_after;
	if (refusal == NULL && recipients_are_full(session))
		refusal = &refusal_recipients;
	if (refusal != NULL) {
		reply_refuse(session, refusal);
		return VERB_DONE;
	}
	address_format(&address, text, sizeof(text));
	keep(session, text, &parameters);
	/* The directory knows our domains only, and they are in the same
	 * configuration that we have: others need not be asked about. */
	if (address.domain[0] != '\0' &&
	    conf_domain_find(conf, address.domain) == NULL) {
		answer_relay(session);
		return VERB_DONE;
	}
	session->lookup = directory_check(session->server->directory, text,
	    session->transaction->envelope->sender, on_directory, session);
	return VERB_WAITING;
}
