/* SPDX-License-Identifier: ISC */
/*
 * The body is hashed as it passes; when filters have changed the message, what
 * goes out is hashed again. A user who logged in gets a signature only where From
 * is in the domain of the envelope's sender, which is an address that the user
 * owns: on a server for several organisations nobody's people sign as others.
 * Clients that may send as anybody (certificates, networks, programs of this
 * machine) get what From asks for.
 */
#include "smtpd/signing.h"

#include <string.h>
#include <strings.h>

#include "authentic/dkim_key.h"
#include "authentic/dkim_sign.h"
#include "authentic/dmarc.h"
#include "authentic/fields.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "conf/conf.h"
#include "queue/envelope.h"
#include "smtpd/edits.h"
#include "smtpd/filter.h"
#include "smtpd/rules.h"
#include "smtpd/session.h"
#include "smtpd/transaction.h"

enum { ALGORITHMS = 2, PIECE_BYTES = 16 << 10 };

struct signing {
	struct dkim_signer	*signer;	/* owned */
	struct fields		*fields;	/* owned; of a changed message */
};

bool signing_begin(struct session *session)
{
	struct transaction *transaction = session->transaction;
	const struct dkim_keys *keys = session->rules->dkim_keys;

	if (keys == NULL || keys->count == 0 || !session_is_known(session) ||
	    session_speaks_lmtp(session))
		return false;
	transaction->signing = mem_alloc(sizeof(*transaction->signing));
	transaction->signing->signer = dkim_signer_new();
	return true;
}

void signing_body(struct session *session, const char *data, size_t length)
{
	struct signing *signing = session->transaction->signing;

	if (signing != NULL)
		dkim_signer_body(signing->signer, data, length);
}

static void release(struct signing *signing)
{
	dkim_signer_free(signing->signer);
	fields_free(signing->fields);
	mem_free(signing);
}

void signing_free(struct session *session)
{
	struct transaction *transaction = session->transaction;

	if (transaction->signing != NULL)
		release(transaction->signing);
	transaction->signing = NULL;
}

/* The domain whose keys sign for that one: it or one above it, if it is ours
 * and wants it. */
static bool may_sign(const struct conf *conf, const struct dkim_key *key)
{
	const struct conf_domain *domain = conf_domain_find(conf,
	    key->domain);

	return domain != NULL && domain->dkim_sign;
}

static size_t find_keys(const struct session *session, const char *author,
    const struct dkim_key **keys)
{
	static const enum dkim_algorithm order[ALGORITHMS] = { DKIM_RSA,
	    DKIM_ED25519 };
	const struct dkim_key *key;
	size_t count = 0;

	for (size_t i = 0; i < ALGORITHMS; i++) {
		key = dkim_keys_active(session->rules->dkim_keys, author,
		    order[i]);
		if (key != NULL && may_sign(session->rules->conf, key))
			keys[count++] = key;
	}
	return count;
}

/* Filters have changed it: what goes out is hashed, and its header signed. */
static const struct fields *hash_again(struct session *session)
{
	static char piece[PIECE_BYTES];
	struct signing *signing = session->transaction->signing;
	uint64_t offset = 0;
	size_t length, used;

	dkim_signer_free(signing->signer);
	signing->signer = dkim_signer_new();
	signing->fields = fields_new();
	while ((length = filter_read(session, offset, piece,
	    sizeof(piece))) > 0) {
		offset += length;
		used = fields_feed(signing->fields, piece, length);
		if (used < length)
			dkim_signer_body(signing->signer, piece + used,
			    length - used);
	}
	fields_finish(signing->fields);
	return signing->fields;
}

static void note_signed(struct session *session,
    const struct dkim_key *const *keys, size_t count)
{
	session->transaction->signed_by = arena_dup_string(session->arena,
	    keys[0]->domain);
	checks_note(session, "dkim-sign", "signed", "%s by %s%s%s",
	    keys[0]->domain, keys[0]->selector, count > 1 ? " and " : "",
	    count > 1 ? keys[1]->selector : "");
}

static void sign(struct session *session, const struct fields *fields,
    const struct dkim_key *const *keys, size_t count)
{
	struct transaction *transaction = session->transaction;
	struct buf out;

	buf_init(&out, DKIM_SIGNED_MAX);
	if (dkim_signer_finish(transaction->signing->signer, fields,
	    transaction->added, keys, count, clock_wall(), &out) < 0 ||
	    transaction_add_prefix(session, buf_data(&out),
	    buf_length(&out)) < 0)
		log_error("not-signed", log_session(session->id),
		    log_message(transaction->id),
		    log_text("domain", keys[0]->domain),
		    log_text("selector", keys[0]->selector));
	else
		note_signed(session, keys, count);
	buf_release(&out);
}

/* May this session have mail of that author's domain signed? */
static bool may_author(const struct session *session, const char *author)
{
	const char *sender = session->transaction->envelope->sender;
	const char *at = strrchr(sender, '@');

	return session->user[0] == '\0' ||
	    (at != NULL && strcasecmp(at + 1, author) == 0);
}

enum check_answer signing_content(struct session *session)
{
	struct transaction *transaction = session->transaction;
	const struct fields *fields = transaction->fields;
	const struct dkim_key *keys[ALGORITHMS];
	const char *author;
	size_t count;

	if (transaction->signing == NULL)
		return CHECK_PASS;
	if (edits_changed(transaction->edits))
		fields = hash_again(session);
	author = fields->too_large ? NULL :
	    dmarc_author_domain(fields, session->arena);
	count = author == NULL ? 0 : find_keys(session, author, keys);
	if (count > 0 && !may_author(session, author))
		checks_note(session, "dkim-sign", "none", "From is in %s, and "
		    "the sender's address in another domain", author);
	else if (count > 0)
		sign(session, fields, keys, count);
	else
		checks_note(session, "dkim-sign", "none",
		    "no active key for %s", author == NULL ?
		    "what is in From" : author);
	return CHECK_PASS;
}
