/* SPDX-License-Identifier: ISC */
/*
 * BDAT (RFC 3030 2). Whatever is wrong, the octets that follow are read and
 * thrown away before the refusal is said (SMTP-103): otherwise they would be
 * taken for commands. Only a size that cannot be read, or is out of all
 * bounds, ends the session, because the next command cannot be found.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "conf/conf.h"
#include "queue/envelope.h"
#include "smtpd/body.h"
#include "smtpd/refusal.h"
#include "smtpd/rules.h"
#include "smtpd/session.h"
#include "smtpd/transaction.h"
#include "smtpd/verbs.h"

/* Reads "SIZE[ LAST]". False: the size is not readable. */
static bool parse(struct session *session, const char *argument)
{
	size_t digits = strspn(argument, "0123456789");
	const char *rest = argument + digits;

	session->chunk_refusal = NULL;
	session->chunk_last = false;
	if (digits == 0 || digits > 20 || (*rest != '\0' && *rest != ' '))
		return false;
	errno = 0;
	session->chunk_size = strtoull(argument, NULL, 10);
	if (errno != 0)
		session->chunk_size = UINT64_MAX;
	rest += strspn(rest, " ");
	if (strcasecmp(rest, "LAST") == 0)
		session->chunk_last = true;
	else if (*rest != '\0')
		session->chunk_refusal = &refusal_argument;
	return true;
}

static const struct refusal *find_refusal(const struct session *session)
{
	const struct transaction *transaction = session->transaction;
	uint64_t max = (uint64_t)session->rules->conf->max_message_size;
	const struct refusal *refusal = verb_refusal(session,
	    VERB_AFTER_HELLO | VERB_KNOWN_CLIENT | VERB_AFTER_MAIL, "");

	if (refusal != NULL)
		return refusal;
	if (transaction->envelope->recipient_count == 0)
		return &refusal_recipient_first;	/* SMTP-108 */
	if (transaction->chunk_failed)
		return &refusal_chunk_after;
	if (session->chunk_size > max - transaction->size)
		return &refusal_chunk_size;
	if (transaction->body == BODY_NONE)
		return transaction_refusal(session, transaction->declared >
		    session->chunk_size ? transaction->declared :
		    session->chunk_size);
	return NULL;
}

enum verb_result verb_bdat(struct session *session, char *argument)
{
	const struct transaction *transaction = session->transaction;
	uint64_t max = (uint64_t)session->rules->conf->max_message_size;

	if (!parse(session, argument)) {
		session_end(session, &refusal_chunk_syntax, "bdat");
		return VERB_DONE;
	}
	if (session->chunk_size / 2 > max) {
		session_end(session, &refusal_chunk_absurd, "bdat");
		return VERB_DONE;
	}
	if (session->chunk_refusal == NULL)
		session->chunk_refusal = find_refusal(session);
	/* Also when this chunk is refused: what follows it is not the message
	 * any more and must not become one. */
	if (transaction != NULL && transaction->body == BODY_NONE &&
	    transaction->envelope->recipient_count > 0)
		body_start(session, BODY_CHUNKS);
	session->chunk_left = session->chunk_size;
	/* Octets that are thrown away have no other end than this. */
	session->chunk_end = clock_monotonic() +
	    session->rules->conf->message_timeout * 1000;
	session_enter(session, SESSION_CHUNK);
	return VERB_DONE;
}
