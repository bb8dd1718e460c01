/* SPDX-License-Identifier: ISC */
/*
 * Log lines of smtpd. Values are escaped by base/log; what a client can repeat
 * without end (rejects) is cut off here.
 */
#include "smtpd/smtpd_log.h"

#include <stdio.h>

#include "base/digest.h"
#include "base/log.h"
#include "base/net.h"
#include "base/stream.h"
#include "base/tls.h"
#include "conf/conf.h"
#include "queue/envelope.h"
#include "smtpd/client.h"
#include "smtpd/session.h"
#include "smtpd/transaction.h"
#include "smtpd/verification.h"
#include "smtpd/verbs.h"

enum { REJECTS_LOGGED = 50 };

/* Of the RCPT being answered; one process answers one at a time. */
static const char *current_recipient;

/* The check behind the answer that is being given. */
static const char *current_check;

static const char *tls_version(const struct session *session)
{
	const struct tls_facts *facts = stream_facts(session->stream);

	return facts == NULL ? "no" : facts->version;
}

/* Behind a Unix socket; nothing for others. */
static struct log_field log_user(const struct session *session)
{
	return session->uid < 0 ? log_optional("uid", NULL) :
	    log_number("uid", session->uid);
}

void smtpd_log_connect(struct session *session)
{
	char address[ENDPOINT_TEXT_MAX];

	if (session->connect_logged || session->trial)
		return;
	session->connect_logged = true;
	endpoint_format(&session->address, address, sizeof(address));
	log_info("connect", log_session(session->id),
	    log_text("addr", address),
	    log_text("name", client_name(session)),
	    log_text("listener", session->listener->name),
	    log_user(session));
}

static void log_certificate(const struct session *session,
    const struct tls_facts *facts)
{
	char digest[2 * DIGEST_BYTES + 1], key[2 * DIGEST_BYTES + 1];
	bool listed = session->certificate[0] != '\0';

	hex_format(facts->certificate_digest, DIGEST_BYTES, digest,
	    sizeof(digest));
	hex_format(facts->key_digest, DIGEST_BYTES, key, sizeof(key));
	log_info("client-certificate", log_session(session->id),
	    log_text("listed", listed ? session->certificate : "no"),
	    log_text("fingerprint", digest),
	    log_text("key", key),
	    log_text("subject", facts->subject));
}

void smtpd_log_tls(struct session *session)
{
	const struct tls_facts *facts = stream_facts(session->stream);
	const char *sni = stream_sni(session->stream);

	smtpd_log_connect(session);
	log_info("tls", log_session(session->id),
	    log_text("version", facts->version),
	    log_text("cipher", facts->cipher),
	    log_text("sni", *sni == '\0' ? NULL : sni),
	    log_text("resumed", facts->resumed ? "yes" : "no"));
	if (facts->has_peer)
		log_certificate(session, facts);
}

void smtpd_log_login(struct session *session)
{
	char address[ENDPOINT_TEXT_MAX];

	smtpd_log_connect(session);
	endpoint_format(&session->address, address, sizeof(address));
	log_info("login", log_session(session->id),
	    log_text("user", session->user),
	    log_text("mechanism", session->mechanism),
	    log_text("tls", tls_version(session)),
	    log_text("addr", address));
}

void smtpd_log_set_recipient(const char *recipient)
{
	current_recipient = recipient;
}

void smtpd_log_set_check(const char *check)
{
	current_check = check;
}

void smtpd_log_reject(struct session *session, int code, const char *enhanced,
    const char *text)
{
	const struct transaction *transaction = session->transaction;
	char answer[512], address[ENDPOINT_TEXT_MAX];

	if (session->rejects++ >= REJECTS_LOGGED || session->trial)
		return;
	smtpd_log_connect(session);
	snprintf(answer, sizeof(answer), "%d %s %s", code, enhanced, text);
	endpoint_format(&session->address, address, sizeof(address));
	log_info("reject", log_session(session->id),
	    log_text("addr", address),
	    log_text("check", current_check),
	    log_text("verb", session->verb == NULL ? NULL :
	    session->verb->name),
	    log_text("reply", answer),
	    log_text("from", transaction == NULL ? NULL :
	    transaction->envelope->sender),
	    log_text("to", current_recipient));
}

void smtpd_log_would_reject(struct session *session,
    const struct check_outcome *outcome)
{
	const struct transaction *transaction = session->transaction;
	char answer[512], address[ENDPOINT_TEXT_MAX];

	if (session->warnings++ >= REJECTS_LOGGED || session->trial)
		return;
	smtpd_log_connect(session);
	endpoint_format(&session->address, address, sizeof(address));
	snprintf(answer, sizeof(answer), "%d %s %s", outcome->code,
	    outcome->enhanced, outcome->text);
	log_info("would-reject", log_session(session->id),
	    log_text("addr", address), log_text("check", outcome->check),
	    log_text("reply", answer),
	    log_text("from", transaction == NULL ? NULL :
	    transaction->envelope->sender),
	    log_text("to", transaction == NULL ? NULL :
	    transaction->waiting_address));
}

void smtpd_log_discard(struct session *session, const char *by)
{
	const struct transaction *transaction = session->transaction;

	if (session->trial)
		return;
	log_info("discard", log_session(session->id),
	    log_message(transaction->id), log_text("by", by),
	    log_text("from", transaction->envelope->sender));
}

/* REQ-22; nothing for a message without one. */
static struct log_field log_tag(const struct envelope *envelope)
{
	return log_optional("tag", envelope_tls_tag(envelope));
}

void smtpd_log_accept(struct session *session)
{
	const struct transaction *transaction = session->transaction;
	struct verification_words found;
	char address[ENDPOINT_TEXT_MAX];

	smtpd_log_connect(session);
	verification_tell(session, &found);
	endpoint_format(&session->address, address, sizeof(address));
	log_info("accept", log_session(session->id),
	    log_message(transaction->id),
	    log_text("from", transaction->envelope->sender),
	    log_number("rcpts",
	    (int64_t)transaction->envelope->recipient_count),
	    log_number("size", (int64_t)transaction->size),
	    log_text("tls", tls_version(session)),
	    log_text("addr", address),
	    log_tag(transaction->envelope),
	    log_optional("spf", found.spf), log_optional("dkim", found.dkim),
	    log_optional("dmarc", found.dmarc),
	    log_optional("signed", transaction->signed_by),
	    log_optional("edited", transaction->envelope->piece_count > 0 ?
	    "yes" : NULL),
	    log_optional("hold", transaction->envelope->hold));
}

void smtpd_log_tls_required(struct session *session, const char *reason)
{
	const struct transaction *transaction = session->transaction;

	if (session->trial)
		return;
	smtpd_log_connect(session);
	log_info("tls-required", log_session(session->id),
	    log_message(transaction->id),
	    log_number("fields", transaction->scan.tls_required_count),
	    log_text("ignored", reason));
}

void smtpd_log_disconnect(struct session *session, const char *reason)
{
	if (session->trial)
		return;
	smtpd_log_connect(session);
	log_info("disconnect", log_session(session->id),
	    log_text("reason", reason),
	    log_number("commands", session->commands),
	    log_number("messages", session->messages),
	    log_number("rejects", session->rejects));
}

void smtpd_log_refused(const struct endpoint *address, const char *reason)
{
	char text[ENDPOINT_TEXT_MAX];

	endpoint_format(address, text, sizeof(text));
	log_info("refused", log_text("addr", text), log_text("reason", reason));
}
