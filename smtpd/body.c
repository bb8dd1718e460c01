/* SPDX-License-Identifier: ISC */
/*
 * Moves content from the stream to the submission. The submission begins with
 * the first bytes and not with the 354, so that envelope, content and end of a
 * small message reach the queue together.
 */
#include "smtpd/body.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/digest.h"
#include "base/header.h"
#include "base/loop.h"
#include "base/net.h"
#include "base/stream.h"
#include "base/tls.h"
#include "base/utf8.h"
#include "conf/conf.h"
#include "queue/client.h"
#include "queue/envelope.h"
#include "smtpd/client.h"
#include "smtpd/content.h"
#include "smtpd/edits.h"
#include "smtpd/filter.h"
#include "smtpd/received.h"
#include "smtpd/refusal.h"
#include "smtpd/reply.h"
#include "smtpd/rules.h"
#include "smtpd/server.h"
#include "smtpd/session.h"
#include "smtpd/smtpd_log.h"
#include "smtpd/trial.h"

enum { PIECE_MAX = 64 << 10 };

/* Where content is made canonical; one session at a time. */
static char piece[PIECE_MAX];

void body_start(struct session *session, enum body_kind kind)
{
	const struct conf *conf = session->rules->conf;
	struct transaction *transaction = session->transaction;
	unsigned flags = kind == BODY_DATA ? DATA_DOTS : 0;

	if (conf_networks_contain(&conf->bare_newline_from, &session->address))
		flags |= DATA_NORMALISE;
	transaction->body = kind;
	transaction->body_end = clock_monotonic() +
	    conf->message_timeout * 1000;
	data_reader_init(&transaction->reader, flags,
	    (uint64_t)conf->max_line);
	header_scan_init(&transaction->scan);
	content_begin(session);
}

/* The first problem is the one that is told. */
static void set_problem(struct session *session,
    const struct refusal *refusal)
{
	struct transaction *transaction = session->transaction;

	if (transaction->problem != NULL)
		return;
	transaction->problem = refusal;
	transaction->carry_length = 0;
	content_release(session);
	if (transaction->submission != NULL)
		submission_cancel(transaction->submission);
	transaction->submission = NULL;
}

/* RFC 3848, RFC 6531 4.3; HELO over TLS has no name of its own there. A is for
 * who logged in; certificates are not said. */
static const char *protocol(const struct session *session)
{
	bool utf8 = (session->transaction->envelope->flags &
	    ENVELOPE_UTF8) != 0;
	const char *base = "ESMTP";

	if (!session->extended)
		return "SMTP";
	if (session_speaks_lmtp(session))
		base = utf8 ? "UTF8LMTP" : "LMTP";
	else if (utf8)
		base = "UTF8SMTP";
	return arena_print(session->arena, "%s%s%s", base,
	    session_is_secure(session) ? "S" : "",
	    session->user[0] != '\0' ? "A" : "");
}

static void make_prefix(struct session *session, const char *literal)
{
	struct transaction *transaction = session->transaction;
	struct envelope *envelope = transaction->envelope;
	const struct tls_facts *facts = stream_facts(session->stream);
	struct received received = {
		.hello = session->hello,
		.name = client_name(session),
		.literal = literal,
		.hostname = session->rules->conf->hostname,
		.protocol = envelope->protocol,
		.id = transaction->id,
		.is_local = session->reception->is_local,
		.uid = session->uid,
		.wall = clock_wall(),
	};
	struct buf out;

	/* The field stays ASCII: a header may not need SMTPUTF8 because of us
	 * (SMTP-141). */
	if (transaction->accepted == 1 &&
	    utf8_is_ascii(transaction->first_recipient))
		received.recipient = transaction->first_recipient;
	if (facts != NULL) {
		received.tls_version = facts->version;
		received.tls_cipher = facts->cipher;
		received.tls_group = facts->group;
	}
	buf_init(&out, ENVELOPE_PREFIX_MAX);
	if (received_format(&out, &received) == 0) {
		envelope->prefix_length = buf_length(&out);
		envelope->prefix = arena_dup_text(session->arena,
		    buf_data(&out), buf_length(&out));
	}
	buf_release(&out);
}

/* Who is answerable here, as limits count (limits.h); "" for strangers. The
 * queue takes no control characters. */
static char *submitter(struct session *session)
{
	char *name;

	if (session->user[0] != '\0')
		name = arena_dup_string(session->arena, session->user);
	else if (session->certificate[0] != '\0')
		name = arena_print(session->arena, "certificate %s",
		    session->certificate);
	else if (session->uid >= 0)
		name = arena_print(session->arena, "uid %" PRId64,
		    session->uid);
	else
		name = arena_dup_string(session->arena, "");
	for (char *byte = name; *byte != '\0'; byte++)
		if ((unsigned char)*byte < ' ' || *byte == 0x7f)
			*byte = '?';
	return name;
}

static void complete_envelope(struct session *session)
{
	struct envelope *envelope = session->transaction->envelope;
	const struct tls_facts *facts = stream_facts(session->stream);
	char literal[ENDPOINT_TEXT_MAX + 8];

	endpoint_format_literal(&session->address, literal, sizeof(literal));
	if (session->uid >= 0)
		envelope->client = arena_print(session->arena,
		    "userid %" PRId64, session->uid);
	else
		envelope->client = arena_print(session->arena, "%.255s %s",
		    client_name(session), literal);
	envelope->user = submitter(session);
	envelope->helo = arena_dup_string(session->arena, session->hello);
	envelope->protocol = arena_dup_string(session->arena,
	    protocol(session));
	if (facts != NULL)
		envelope->tls = arena_print(session->arena, "%s %s",
		    facts->version, facts->cipher);
	make_prefix(session, literal);
}

static void resume_giving(void *arg)
{
	struct session *session = arg;

	if (session->state == SESSION_CHECKING)
		filter_ready(session);
	else
		session_continue(session);
}

/* Credit came back. Later, not here: what follows may cancel the submission
 * that is calling. */
static void on_ready(void *arg)
{
	loop_undefer(arg);
	loop_defer(resume_giving, arg);
}

/* Makes sure that there is somewhere to put content, or a reason not to.
 * False: the client's name is not known yet. */
static bool open_submission(struct session *session)
{
	struct transaction *transaction = session->transaction;
	struct queue_client *queue = session->server->queue;

	if (transaction->submission != NULL || transaction->problem != NULL)
		return true;
	if (client_name_pending(session))
		return false;
	if (transaction->id == 0)	/* filters know it since MAIL */
		transaction->id = queue_client_next_id(queue);
	if (transaction->id == 0) {
		set_problem(session, &refusal_queue);
		return true;
	}
	complete_envelope(session);
	transaction->submission = submission_begin(queue, transaction->id,
	    transaction->envelope, on_ready, session);
	return true;
}

/* How much may be made now; 0: wait for credit. */
static size_t room(struct transaction *transaction)
{
	size_t credit;

	if (transaction->problem != NULL)
		return sizeof(piece);
	credit = submission_room(transaction->submission);
	if (credit > 0 && transaction->carry_length > 0) {
		size_t length = transaction->carry_length;

		if (length > credit)
			length = credit;
		submission_data(transaction->submission, transaction->carry,
		    length);
		transaction->carry_length -= (unsigned)length;
		memmove(transaction->carry, transaction->carry + length,
		    transaction->carry_length);
		credit = submission_room(transaction->submission);
	}
	if (transaction->carry_length > 0 || credit == 0)
		return 0;
	if (credit > sizeof(piece))
		return sizeof(piece);
	/* The reader cannot do with less; the excess is carried. */
	return credit < DATA_ROOM_MIN ? DATA_ROOM_MIN : credit;
}

static void check(struct session *session)
{
	const struct conf *conf = session->rules->conf;
	struct transaction *transaction = session->transaction;

	switch (transaction->reader.problem) {
	case DATA_FINE:
		break;
	case DATA_BARE_CR:
	case DATA_BARE_LF:
		set_problem(session, &refusal_bare_newline);
		break;
	case DATA_NUL:
		set_problem(session, &refusal_nul);
		break;
	case DATA_LONG_LINE:
		set_problem(session, &refusal_message_line);
		break;
	}
	if (transaction->size > (uint64_t)conf->max_message_size)
		set_problem(session, &refusal_size);
	if (transaction->scan.received_count > (uint64_t)conf->max_received)
		set_problem(session, &refusal_loop);
}

/* length bytes of piece are content. */
static void give(struct session *session, size_t length)
{
	struct transaction *transaction = session->transaction;
	size_t credit;

	header_scan_feed(&transaction->scan, piece, length);
	transaction->size += length;
	check(session);
	if (transaction->problem == NULL && length > 0)
		content_feed(session, piece, length);
	if (transaction->problem != NULL || length == 0)
		return;
	credit = submission_room(transaction->submission);
	if (credit > length)
		credit = length;
	submission_data(transaction->submission, piece, credit);
	transaction->carry_length = (unsigned)(length - credit);
	memcpy(transaction->carry, piece + credit, length - credit);
}

static void refuse_content(struct session *session,
    const struct refusal *refusal)
{
	reply_content(session, refusal->code, refusal->enhanced, refusal->text);
}

/* The queue has decided. 250 is said here and nowhere else (SMTP-60). */
static void on_done(void *arg, const struct status *status, uint64_t id)
{
	struct session *session = arg;
	char enhanced[16], text[40];

	session->transaction->submission = NULL;
	/* Decided: from here on the session may be answered again. */
	session_enter(session, SESSION_COMMAND);
	/* A 4yz would promise that the message is not kept (SMTP-61). */
	if (status->reason == REASON_LOST) {
		session_drop(session, "the queue went away");
		return;
	}
	status_format_enhanced(status, enhanced, sizeof(enhanced));
	if (status->outcome == STATUS_RELAYED) {
		session->messages++;
		session->chatter = 0;
		smtpd_log_accept(session);
		snprintf(text, sizeof(text), "accepted as %" PRIx64, id);
		reply_content(session, 250, "2.0.0", text);
	} else if (status->code >= 400 && status->code < 600) {
		reply_content(session, status->code, enhanced, status->text);
	} else {
		refuse_content(session, &refusal_queue);
	}
	transaction_end(session);
	session_resume(session);
}

/* Null: this message is heeded when it says TLS-Required: No; else why not. */
static const char *header_objection(const struct session *session)
{
	const struct transaction *transaction = session->transaction;
	enum conf_tls_optional heeded = session->rules->conf->tls_required_no;

	if (transaction->envelope->flags & ENVELOPE_REQUIRETLS)
		return "REQUIRETLS was said";	/* RFC 8689 4.1 */
	if (transaction->scan.tls_required_count > 1)
		return "more than one field";	/* RFC 8689 3 */
	if (transaction->scan.tls_required_no != 1)
		return "not the value No";
	if (heeded == TLS_OPTIONAL_NOBODY ||
	    (heeded == TLS_OPTIONAL_RELAY && !session_may_relay(session)))
		return "not heeded from this client";
	return NULL;
}

/* What the header says of TLS, now that all of it was seen (REQ-16). */
static void tag(struct session *session)
{
	struct transaction *transaction = session->transaction;
	const char *objection;

	if (transaction->scan.tls_required_count == 0)
		return;
	objection = header_objection(session);
	if (objection == NULL)
		transaction->envelope->flags |= ENVELOPE_TLS_OPTIONAL;
	else
		smtpd_log_tls_required(session, objection);
}

/*
 * RFC 6409 8.1, 8.3: what a program left out of the message that it submits.
 * The identifier of the queue and random bits make it the only one.
 */
static void complete_header(struct session *session)
{
	struct transaction *transaction = session->transaction;
	const struct header_scan *scan = &transaction->scan;
	char date[64], random[17];
	uint8_t bytes[8];
	struct buf extra;

	if (session->listener->service != SERVICE_SUBMISSION ||
	    (scan->has_date && scan->has_message_id))
		return;
	buf_init(&extra, QUEUE_EXTRA_MAX);
	clock_format_mail(clock_wall(), date, sizeof(date));
	random_bytes(bytes, sizeof(bytes));
	hex_format(bytes, sizeof(bytes), random, sizeof(random));
	if ((scan->has_date || header_add(&extra, "Date", date) == 0) &&
	    (scan->has_message_id || buf_print(&extra,
	    "Message-ID: <%" PRIx64 ".%s@%s>\r\n", transaction->id, random,
	    session->rules->conf->hostname) == 0))
		transaction->added = arena_dup_text(session->arena,
		    buf_data(&extra), buf_length(&extra));
	buf_release(&extra);
}

/* What checks have changed; where the envelope goes over anew anyway, what was
 * added to the header stands in it, behind the Received field. */
static void complete_revision(struct session *session)
{
	struct transaction *transaction = session->transaction;
	struct envelope *envelope = transaction->envelope;

	if (edits_changed(transaction->edits)) {
		edits_put(transaction->edits, envelope);
		transaction->revised = true;
	}
	if (!transaction->revised)
		return;
	envelope->prefix = arena_print(session->arena, "%s%s",
	    envelope->prefix, transaction->added);
	envelope->prefix_length = strlen(envelope->prefix);
}

/* Nothing is held against it: it is the queue's now. */
static void commit(struct session *session)
{
	struct transaction *transaction = session->transaction;
	uint32_t flags;

	complete_revision(session);
	if (transaction->revised) {
		submission_revise(transaction->submission,
		    transaction->envelope);
	} else if (transaction->added[0] != '\0') {
		submission_extend(transaction->submission, transaction->added,
		    strlen(transaction->added));
	}
	flags = transaction->envelope->flags & ENVELOPE_TLS_OPTIONAL;
	if (transaction->scan.has_8bit)
		flags |= ENVELOPE_HAS_8BIT;
	/* Without SMTPUTF8 it is an old habit that nobody is told of. */
	if (transaction->scan.has_utf8_header &&
	    transaction->envelope->flags & ENVELOPE_UTF8)
		flags |= ENVELOPE_UTF8_HEADER;
	session_enter(session, SESSION_COMMIT);
	submission_end(transaction->submission, flags, on_done, session);
}

/* As if it had been accepted. */
static void end_trial(struct session *session)
{
	complete_revision(session);
	trial_tell_accepted(session);
	reply_content(session, 250, "2.0.0", "it would be accepted");
	transaction_end(session);
	session_enter(session, SESSION_COMMAND);
}

/* A check has stopped it, or a filter wants it to be forgotten. */
static void end_stopped(struct session *session)
{
	const struct check_outcome *outcome = &session->outcome;

	if (outcome->discard) {
		smtpd_log_discard(session, outcome->check);
		reply_content(session, 250, "2.0.0", "accepted");
	} else if (outcome->close) {
		reply_repeat(session, outcome->code, outcome->enhanced,
		    outcome->text);
		checks_reply(session);
		return;
	} else {
		smtpd_log_set_check(outcome->check);
		reply_content(session, outcome->code, outcome->enhanced,
		    outcome->text);
		smtpd_log_set_check(NULL);
	}
	transaction_end(session);
}

static void on_checked(struct session *session, bool passed)
{
	if (passed && !session->trial) {
		commit(session);
		return;
	}
	if (passed)
		end_trial(session);
	else
		end_stopped(session);
	session_resume(session);
}

/* The content is whole. What waits for the checks' answers waits here: behind
 * 250 nobody could change anything. */
static void check_content(struct session *session)
{
	tag(session);
	complete_header(session);
	content_end(session);
	session_enter(session, SESSION_CHECKING);
	switch (checks_run(session, CHECK_CONTENT, on_checked)) {
	case CHECK_PASS:
		if (session->trial)
			end_trial(session);
		else
			commit(session);
		break;
	case CHECK_WAIT:
		break;
	case CHECK_STOP:
		end_stopped(session);
		session_enter(session, SESSION_COMMAND);
		break;
	}
}

/* Behind the final dot. */
static void end_data(struct session *session)
{
	const struct refusal *problem = session->transaction->problem;

	if (problem == NULL) {
		check_content(session);
		return;
	}
	if (problem->close) {
		reply_repeat(session, problem->code, problem->enhanced,
		    problem->text);
		session_end(session, problem, "content");
		return;
	}
	refuse_content(session, problem);
	transaction_end(session);
	session_enter(session, SESSION_COMMAND);
}

enum step body_step_data(struct session *session)
{
	struct transaction *transaction = session->transaction;
	struct buf *input = stream_input(session->stream);
	bool ended = transaction->reader.state == DATA_ENDED;
	size_t space, used, made;

	if (!ended && buf_length(input) == 0)
		return STEP_INPUT;
	if (!open_submission(session))
		return STEP_WAIT;
	space = room(transaction);
	if (ended) {
		if (transaction->carry_length > 0)
			return STEP_WAIT;
		end_data(session);
		return STEP_GO;
	}
	if (space == 0)
		return STEP_WAIT;
	used = data_read(&transaction->reader, buf_data(input),
	    buf_length(input), piece, space, &made);
	buf_consume(input, used);
	give(session, made);
	return STEP_GO;
}

/* All octets of a chunk that is not wanted were read. */
static void end_refused_chunk(struct session *session)
{
	struct transaction *transaction = session->transaction;

	if (transaction != NULL && transaction->body == BODY_CHUNKS) {
		set_problem(session, session->chunk_refusal);
		transaction->chunk_failed = true;
	}
	/* Its octets are counted, so even bare newlines harm nobody here:
	 * the session may go on. */
	if (session->chunk_last && transaction != NULL)
		refuse_content(session, session->chunk_refusal);
	else
		reply(session, session->chunk_refusal->code,
		    session->chunk_refusal->enhanced, "%s",
		    session->chunk_refusal->text);
	session_enter(session, SESSION_COMMAND);
}

static enum step end_chunk(struct session *session)
{
	struct transaction *transaction = session->transaction;
	size_t made;

	if (session->chunk_last && transaction->reader.state != DATA_ENDED) {
		if (!open_submission(session) || room(transaction) == 0)
			return STEP_WAIT;
		made = data_finish(&transaction->reader, piece);
		give(session, made);
	}
	if (transaction->problem != NULL) {
		session->chunk_refusal = transaction->problem;
		end_refused_chunk(session);
		return STEP_GO;
	}
	if (transaction->submission != NULL)
		room(transaction);
	if (transaction->carry_length > 0)
		return STEP_WAIT;
	if (session->chunk_last) {
		check_content(session);
	} else {
		reply(session, 250, "2.0.0", "%" PRIu64 " octets received",
		    session->chunk_size);
		session_enter(session, SESSION_COMMAND);
	}
	return STEP_GO;
}

enum step body_step_chunk(struct session *session)
{
	struct transaction *transaction = session->transaction;
	struct buf *input = stream_input(session->stream);
	size_t length = buf_length(input);
	size_t space, made;

	if (length > session->chunk_left)
		length = (size_t)session->chunk_left;
	if (session->chunk_left > 0 && length == 0)
		return STEP_INPUT;
	if (session->chunk_refusal != NULL) {
		buf_consume(input, length);
		session->chunk_left -= length;
		if (session->chunk_left == 0)
			end_refused_chunk(session);
		return STEP_GO;
	}
	if (session->chunk_left == 0)
		return end_chunk(session);
	if (!open_submission(session))
		return STEP_WAIT;
	space = room(transaction);
	if (space == 0)
		return STEP_WAIT;
	length = data_read(&transaction->reader, buf_data(input), length,
	    piece, space, &made);
	buf_consume(input, length);
	session->chunk_left -= length;
	give(session, made);
	return STEP_GO;
}
