/* SPDX-License-Identifier: ISC */
/*
 * Life and death of a transaction. The arena is kept by the session from one
 * transaction to the next, and made anew only when its ceiling has changed.
 */
#include "smtpd/transaction.h"

#include <string.h>

#include "base/arena.h"
#include "base/hash.h"
#include "conf/conf.h"
#include "policy/directory_client.h"
#include "queue/client.h"
#include "queue/envelope.h"
#include "smtpd/checks.h"
#include "smtpd/content.h"
#include "smtpd/parameter.h"
#include "smtpd/recipients.h"
#include "smtpd/refusal.h"
#include "smtpd/rules.h"
#include "smtpd/server.h"
#include "smtpd/session.h"

/* Envelope, Received field and log strings; then what aliases may add, even
 * where a client may name few. */
enum { ARENA_BASE = 128 << 10, ARENA_ALIASES = (512 << 10) +
    DIRECTORY_TARGETS_MAX * TRANSACTION_RECIPIENT_BYTES };

static void prepare_arena(struct session *session)
{
	size_t recipients = (size_t)session->rules->conf->max_recipients;
	size_t ceiling = ARENA_BASE + ARENA_ALIASES +
	    recipients * TRANSACTION_RECIPIENT_BYTES;

	/* What is written of an envelope is less than what it takes here, so
	 * it stays within what the queue reads. */
	if (ceiling > ENVELOPE_WIRE_MAX)
		ceiling = ENVELOPE_WIRE_MAX;
	if (session->arena != NULL && session->arena_ceiling == ceiling)
		return;
	arena_free(session->arena);
	session->arena = arena_new(ceiling);
	session->arena_ceiling = ceiling;
}

void transaction_begin(struct session *session, const char *sender,
    const struct mail_parameters *parameters)
{
	struct transaction *transaction;
	struct envelope *envelope;

	prepare_arena(session);
	transaction = arena_alloc(session->arena, sizeof(*transaction));
	envelope = envelope_new(session->arena);
	envelope->sender = arena_dup_string(session->arena, sender);
	envelope->flags = parameters->flags;
	if (parameters->envid != NULL)
		envelope->envid = arena_dup_string(session->arena,
		    parameters->envid);
	transaction->envelope = envelope;
	transaction->declared = parameters->size;
	transaction->added = "";
	session->transaction = transaction;
}

void transaction_end(struct session *session)
{
	struct transaction *transaction = session->transaction;

	if (transaction == NULL)
		return;
	checks_cancel(session);
	content_release(session);
	recipients_forget(transaction->waiting);
	if (transaction->submission != NULL)
		submission_cancel(transaction->submission);
	if (transaction->known != NULL)
		hash_free(transaction->known);
	session->transaction = NULL;
	arena_reset(session->arena);
}

int transaction_add_prefix(struct session *session, const char *text,
    size_t length)
{
	struct envelope *envelope = session->transaction->envelope;
	size_t whole = envelope->prefix_length + length;
	char *prefix;

	if (whole + strlen(session->transaction->added) > ENVELOPE_PREFIX_MAX)
		return -1;
	prefix = arena_alloc(session->arena, whole + 1);
	memcpy(prefix, text, length);
	memcpy(prefix + length, envelope->prefix, envelope->prefix_length);
	prefix[whole] = '\0';
	envelope->prefix = prefix;
	envelope->prefix_length = whole;
	session->transaction->revised = true;
	return 0;
}

const struct refusal *transaction_refusal(const struct session *session,
    uint64_t size)
{
	const struct queue_client *queue = session->server->queue;

	if (!queue_client_is_connected(queue))
		return &refusal_queue;
	if (!queue_client_has_room(queue, size))
		return &refusal_space;
	return NULL;
}
