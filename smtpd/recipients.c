/* SPDX-License-Identifier: ISC */
/*
 * Adding recipients, and what the parameters of DSN mean when an alias stands
 * between (RFC 3461 5.2.7): one target gets what was asked for; of several
 * none can say that the message arrived, so the sender is told that it was
 * handed on to several ("expanded", by the queue), and of failures as before.
 */
#include "smtpd/recipients.h"

#include <stdint.h>
#include <string.h>
#include <strings.h>

#include "base/arena.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/xtext.h"
#include "conf/conf.h"
#include "policy/directory_client.h"
#include "queue/envelope.h"
#include "smtpd/parameter.h"
#include "smtpd/refusal.h"
#include "smtpd/rules.h"
#include "smtpd/session.h"
#include "smtpd/transaction.h"

/* For the content: the prefix grows twice by being made anew, each time within
 * its ceiling, beside texts of SPF, DMARC and filters. */
enum { ARENA_RESERVE = 3 * ENVELOPE_PREFIX_MAX };

/* Addresses may be so long that the arena is full first; what the array of
 * recipients may grow by, and what the content will need, is kept free. */
static bool has_room(const struct session *session, size_t more)
{
	const struct envelope *envelope = session->transaction->envelope;
	size_t count = envelope->recipient_count + more;
	size_t reserve = ARENA_RESERVE +
	    4 * (count + 16) * sizeof(envelope->recipients[0]);

	if (more > 1)
		reserve += more * TRANSACTION_RECIPIENT_BYTES;
	return count <= ENVELOPE_RECIPIENTS_MAX &&
	    arena_used(session->arena) + reserve <= session->arena_ceiling;
}

bool recipients_are_full(const struct session *session)
{
	return session->transaction->accepted >=
	    (uint64_t)session->rules->conf->max_recipients ||
	    !has_room(session, 1);
}

/* Who was named twice hears of what either asked for. */
static uint8_t merge_notify(unsigned one, unsigned other)
{
	const unsigned usual = NOTIFY_FAILURE | NOTIFY_DELAY;

	if (one == other || other == NOTIFY_NEVER)
		return (uint8_t)one;
	if (one == NOTIFY_NEVER)
		return (uint8_t)other;
	return (uint8_t)((one == 0 ? usual : one) |
	    (other == 0 ? usual : other));
}

/* The places of all have changed, or there was no table yet. */
static void count_anew(struct transaction *transaction)
{
	const struct envelope *envelope = transaction->envelope;

	hash_free(transaction->known);
	transaction->known = hash_new();
	for (size_t i = 0; i < envelope->recipient_count; i++)
		if (!(envelope->recipients[i].flags & RECIPIENT_EXPANDED))
			hash_put_text(transaction->known,
			    envelope->recipients[i].address,
			    (void *)(uintptr_t)(i + 1));
}

/* The place of an address among the recipients, from 1 on; 0: it is none. Most
 * messages have one, and need no table to find it. */
static uintptr_t find_known(struct transaction *transaction,
    const char *address)
{
	if (transaction->known == NULL &&
	    transaction->envelope->recipient_count == 0)
		return 0;
	if (transaction->known == NULL)
		count_anew(transaction);
	return (uintptr_t)hash_find_text(transaction->known, address);
}

/* One more, or one that is there already. */
static void add(struct session *session,
    const struct envelope_recipient *recipient)
{
	struct transaction *transaction = session->transaction;
	struct envelope *envelope = transaction->envelope;
	struct envelope_recipient *added;
	uintptr_t position;

	position = find_known(transaction, recipient->address);
	if (position > 0) {
		added = &envelope->recipients[position - 1];
		added->notify = merge_notify(added->notify,
		    recipient->notify);
		return;
	}
	envelope_add_recipient(envelope, session->arena, recipient->address,
	    recipient->original, recipient->notify);
	added = &envelope->recipients[envelope->recipient_count - 1];
	added->flags = recipient->flags;
	if (transaction->known != NULL)
		hash_put_text(transaction->known, recipient->address,
		    (void *)(uintptr_t)envelope->recipient_count);
}

void recipients_add(struct session *session, const char *address)
{
	const struct transaction *transaction = session->transaction;

	add(session, &(struct envelope_recipient){
	    .address = (char *)address,
	    .original = (char *)transaction->waiting_original,
	    .notify = (uint8_t)transaction->waiting_notify });
}

/* It goes into reports, and an alias would be lost otherwise. Null if it is too
 * long. */
static char *original_of(struct session *session, const char *given)
{
	char text[XTEXT_ORIGINAL_MAX + 1];

	return xtext_write_original(text, sizeof(text), given) < 0 ? NULL :
	    arena_dup_string(session->arena, text);
}

/* Who asked to hear of success hears that there are several now. */
static unsigned expand_notify(struct session *session,
    const struct envelope_recipient *named)
{
	struct envelope *envelope = session->transaction->envelope;
	unsigned rest = named->notify & ~(unsigned)NOTIFY_SUCCESS;

	if (!(named->notify & NOTIFY_SUCCESS))
		return named->notify;
	envelope_add_recipient(envelope, session->arena, named->address,
	    named->original, NOTIFY_SUCCESS);
	envelope->recipients[envelope->recipient_count - 1].flags =
	    RECIPIENT_EXPANDED;
	return rest == 0 ? NOTIFY_NEVER : rest;
}

/* The address that was named, and what was said about it. "postmaster" alone
 * has no domain, and there is no report about it. */
static struct envelope_recipient named_recipient(struct session *session,
    const struct directory_found *found)
{
	const struct transaction *transaction = session->transaction;
	struct envelope_recipient named = {
		.address = (char *)transaction->waiting_address,
		.original = (char *)transaction->waiting_original,
		.notify = (uint8_t)transaction->waiting_notify };
	bool has_domain = strchr(named.address, '@') != NULL;

	if (found->by_alias && named.original == NULL && has_domain)
		named.original = original_of(session, named.address);
	if (found->count > 1 && has_domain)
		named.notify = (uint8_t)expand_notify(session, &named);
	return named;
}

const struct refusal *recipients_add_found(struct session *session,
    const struct directory_found *found)
{
	const struct conf *conf = session->rules->conf;
	struct envelope *envelope = session->transaction->envelope;
	struct envelope_recipient one;

	if (found->count > 1 && (!has_room(session, found->count + 1) ||
	    envelope->recipient_count + found->count >
	    (size_t)conf->max_recipients + DIRECTORY_TARGETS_MAX))
		return &refusal_recipients;
	if (found->forward_sender != NULL && envelope->forward_sender == NULL)
		envelope->forward_sender = arena_dup_string(session->arena,
		    found->forward_sender);
	one = named_recipient(session, found);
	for (size_t i = 0; i < found->count; i++) {
		one.address = (char *)found->targets[i].address;
		one.flags = found->targets[i].forwarded ?
		    RECIPIENT_FORWARDED : 0;
		add(session, &one);
	}
	return NULL;
}

const char *recipients_postmaster(const struct session *session,
    const char *given)
{
	const char *postmaster = session->rules->conf->postmaster;

	if (strcasecmp(given, "postmaster") != 0 &&
	    strncasecmp(given, "postmaster@", 11) != 0)
		return NULL;
	return postmaster != NULL && strchr(postmaster, '@') != NULL ?
	    postmaster : NULL;
}

/* --- by filters --- */

bool recipients_have_room(const struct session *session)
{
	return has_room(session, 1);
}

void recipients_remove(struct session *session, const char *address)
{
	struct transaction *transaction = session->transaction;
	struct envelope *envelope = transaction->envelope;
	size_t kept = 0;

	for (size_t i = 0; i < envelope->recipient_count; i++)
		if (strcmp(envelope->recipients[i].address, address) != 0)
			envelope->recipients[kept++] = envelope->recipients[i];
	if (kept == envelope->recipient_count)
		return;
	envelope->recipient_count = kept;
	count_anew(transaction);
}

/* --- kept while checks are made --- */

struct waiting_recipient {
	struct directory_found	 found;
	struct arena		*arena;		/* owned; of the texts */
};

enum { KEPT_ARENA_MAX = DIRECTORY_TARGETS_MAX * 1024 };

struct waiting_recipient *recipients_keep(const struct directory_found *found)
{
	struct waiting_recipient *waiting = mem_alloc(sizeof(*waiting));
	struct directory_target *targets;

	waiting->arena = arena_new(KEPT_ARENA_MAX);
	waiting->found = *found;
	targets = arena_alloc(waiting->arena, found->count * sizeof(*targets));
	for (size_t i = 0; i < found->count; i++) {
		targets[i] = found->targets[i];
		targets[i].address = arena_dup_string(waiting->arena,
		    found->targets[i].address);
	}
	waiting->found.targets = targets;
	if (found->forward_sender != NULL)
		waiting->found.forward_sender = arena_dup_string(
		    waiting->arena, found->forward_sender);
	return waiting;
}

const struct directory_found *recipients_kept(
    const struct waiting_recipient *waiting)
{
	return &waiting->found;
}

void recipients_forget(struct waiting_recipient *waiting)
{
	if (waiting == NULL)
		return;
	arena_free(waiting->arena);
	mem_free(waiting);
}
