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
#include "smtpd/filter.h"
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
#include "smtpd/verification.h"

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
		filter_refused(session, given, refusal->enhanced,
		    refusal->text);
		smtpd_log_set_recipient(given);
		reply_refuse(session, refusal);
		smtpd_log_set_recipient(NULL);
		return;
	}
	if (transaction->accepted == 0)
		transaction->first_recipient = given;
	transaction->accepted++;
	verification_accepted(session);
	reply(session, 250, "2.1.5", "recipient ok");
}

/* A check has stopped it. */
static void finish_stopped(struct session *session)
{
	struct transaction *transaction = session->transaction;
	const char *given = transaction->waiting_address;

	recipients_forget(transaction->waiting);
	transaction->waiting = NULL;
	transaction->waiting_address = NULL;
	filter_refused(session, given, session->outcome.enhanced,
	    session->outcome.text);
	smtpd_log_set_recipient(given);
	checks_reply(session);
	smtpd_log_set_recipient(NULL);
}

/* It may be taken: the address itself, or whom the directory found. */
static void take(struct session *session)
{
	struct transaction *transaction = session->transaction;
	struct waiting_recipient *waiting = transaction->waiting;
	const struct directory_found *found = waiting == NULL ? NULL :
	    recipients_kept(waiting);
	const struct refusal *refusal = NULL;

	transaction->waiting = NULL;
	if (found != NULL)
		refusal = recipients_add_found(session, found);
	else
		recipients_add(session, transaction->waiting_target);
	if (refusal == NULL)
		filter_taken(session, found);
	recipients_forget(waiting);
	finish(session, refusal);
}

static void on_known_checked(struct session *session, bool passed)
{
	if (passed)
		take(session);
	else
		finish_stopped(session);
	session_resume(session);
}

/* target: the address under which it is taken; or waiting is set. */
static enum verb_result check_known(struct session *session,
    const char *target)
{
	enum check_answer result;

	session->transaction->waiting_target = target;
	result = checks_run(session, CHECK_KNOWN_RECIPIENT, on_known_checked);
	if (result == CHECK_WAIT)
		return VERB_WAITING;
	if (result == CHECK_PASS)
		take(session);
	else if (session->transaction != NULL)
		finish_stopped(session);
	return VERB_DONE;
}

static enum verb_result answer_relay(struct session *session)
{
	if (session_may_relay(session))
		return check_known(session,
		    session->transaction->waiting_address);
	finish(session, &refusal_relay);
	return VERB_DONE;
}

static enum verb_result answer_no_user(struct session *session)
{
	const char *postmaster = recipients_postmaster(session,
	    session->transaction->waiting_address);

	if (postmaster != NULL)
		return check_known(session, postmaster);
	finish(session, &refusal_no_user);
	return VERB_DONE;
}

static enum verb_result take_answer(struct session *session,
    enum directory_answer found, const struct directory_found *targets)
{
	const char *given = session->transaction->waiting_address;

	switch (found) {
	case DIRECTORY_FOUND:
		session->transaction->waiting = recipients_keep(targets);
		return check_known(session, given);
	case DIRECTORY_NO_USER:
		return answer_no_user(session);
	case DIRECTORY_NOT_OURS:
		/* We asked because it is ours: in the middle of a reload one
		 * of us is behind, and that is no reason to refuse for good. */
		if (strchr(given, '@') == NULL)
			return answer_no_user(session);
		break;
	case DIRECTORY_UNAVAILABLE:
	default:
		break;
	}
	finish(session, &refusal_directory);
	return VERB_DONE;
}

static void on_directory(void *arg, enum directory_answer found,
    const struct directory_found *targets)
{
	struct session *session = arg;

	session->lookup = NULL;
	if (take_answer(session, found, targets) == VERB_DONE)
		session_resume(session);
}

/* Who gets it: the directory knows our domains only, and they are in the same
 * configuration that we have: others need not be asked about. */
static enum verb_result find(struct session *session)
{
	const char *given = session->transaction->waiting_address;
	const char *at = strrchr(given, '@');

	if (at != NULL && conf_domain_find(session->rules->conf, at + 1) ==
	    NULL)
		return answer_relay(session);
	session->lookup = directory_check(session->server->directory, given,
	    session->transaction->envelope->sender, on_directory, session);
	return VERB_WAITING;
}

static void on_checked(struct session *session, bool passed)
{
	if (!passed)
		finish_stopped(session);
	else if (find(session) == VERB_WAITING)
		return;
	session_resume(session);
}

static enum verb_result check(struct session *session)
{
	enum check_answer result = checks_run(session, CHECK_RECIPIENT,
	    on_checked);

	if (result == CHECK_WAIT)
		return VERB_WAITING;
	if (result == CHECK_PASS)
		return find(session);
	if (session->transaction != NULL)
		finish_stopped(session);
	return VERB_DONE;
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
	return check(session);
}
