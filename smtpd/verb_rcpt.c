/* SPDX-License-Identifier: ISC */
/*
 * RCPT (RFC 5321 4.1.1.3) and the one decision that makes no open relay of us:
 * a recipient is taken when the directory finds it in a domain of ours, or
 * when the client's address is listed in relay-from. Nothing else counts: not
 * the sender, not a route or "%" inside the local part, which the directory
 * gets to see as it is.
 */
#include <string.h>
#include <strings.h>

#include "base/address.h"
#include "base/arena.h"
#include "conf/conf.h"
#include "policy/directory_client.h"
#include "queue/envelope.h"
#include "smtpd/parameter.h"
#include "smtpd/refusal.h"
#include "smtpd/reply.h"
#include "smtpd/rules.h"
#include "smtpd/server.h"
#include "smtpd/session.h"
#include "smtpd/smtpd_log.h"
#include "smtpd/transaction.h"
#include "smtpd/verbs.h"

enum { ARENA_RESERVE = 16 << 10 };

static const struct refusal *parse(char *argument, struct address *address,
    struct recipient_parameters *parameters)
{
	enum address_error error;
	size_t used = 0;

	if (strncasecmp(argument, "TO:", 3) != 0 || argument[3] != '<')
		return &refusal_argument;
	argument += 3;
	error = address_parse_path(address, argument, strlen(argument),
	    ADDRESS_ALLOW_POSTMASTER, &used);
	if (error == ADDRESS_NOT_QUALIFIED)
		return &refusal_recipient_domain;
	if (error != ADDRESS_OK)
		return &refusal_recipient_syntax;
	return parameters_of_recipient(parameters, argument + used);
}

/* The RCPT under way is answered: the address to keep, or a refusal. */
static void answer(struct session *session, const char *address,
    const struct refusal *refusal)
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
	if (transaction->envelope->recipient_count == 0)
		transaction->first_recipient = given;
	envelope_add_recipient(transaction->envelope, session->arena, address,
	    transaction->waiting_original, transaction->waiting_notify);
	reply(session, 250, "2.1.5", "recipient ok");
}

static void answer_relay(struct session *session)
{
	answer(session, session->transaction->waiting_address,
	    session->may_relay ? NULL : &refusal_relay);
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
    const char *mailbox)
{
	struct session *session = arg;
	const char *given = session->transaction->waiting_address;

	session->lookup = NULL;
	switch (found) {
	case DIRECTORY_FOUND:
		answer(session, mailbox, NULL);
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

/* RFC 5321 4.5.3.1.10: 452, and what was accepted stays. Addresses may be so
 * long that the arena is full first; what the array of recipients may grow by,
 * and what the content will need, is kept free. */
static bool is_full(const struct session *session)
{
	const struct envelope *envelope = session->transaction->envelope;
	size_t count = envelope->recipient_count;
	size_t max = (size_t)session->rules->conf->max_recipients;
	size_t reserve = ARENA_RESERVE +
	    4 * (count + 16) * sizeof(envelope->recipients[0]);

	if (max > ENVELOPE_RECIPIENTS_MAX)
		max = ENVELOPE_RECIPIENTS_MAX;
	return count >= max ||
	    arena_used(session->arena) + reserve > session->arena_ceiling;
}

enum verb_result verb_rcpt(struct session *session, char *argument)
{
	const struct conf *conf = session->rules->conf;
	struct recipient_parameters parameters;
	const struct refusal *refusal;
	struct address address;
	char text[ADDRESS_MAX + 1];

	refusal = parse(argument, &address, &parameters);
	if (refusal == NULL && address.domain[0] != '\0' &&
	    !rules_is_qualified(session->rules, address.domain))
		refusal = &refusal_recipient_domain;
	if (refusal == NULL && session->transaction->body != BODY_NONE)
		refusal = &refusal_chunk_after;
	if (refusal == NULL && is_full(session))
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
	    on_directory, session);
	return VERB_WAITING;
}
