/* SPDX-License-Identifier: ISC */
/*
 * From a message and its recipients to a notification in the queue. A
 * notification has the null sender and asks for none itself (SMTP-129), so
 * that it can never start a circle.
 */
#include "queue/bounce.h"

#include <string.h>
#include <strings.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/digest.h"
#include "base/header.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/status.h"
#include "base/utf8.h"
#include "conf/conf.h"
#include "queue/body.h"
#include "queue/commit.h"
#include "queue/dsn_sign.h"
#include "queue/envelope.h"
#include "queue/message.h"
#include "queue/queue.h"
#include "queue/readers.h"
#include "queue/record.h"
#include "queue/rows.h"
#include "queue/view.h"

enum { BOUNCE_ARENA_MAX = 4 << 20 };

/* RFC 3461 4.1: without NOTIFY failures and delays are told, success is
 * not. */
static bool wants(const struct dsn_recipient *recipient)
{
	unsigned notify = recipient->who->notify;

	if (recipient->status->outcome == STATUS_FAILED)
		return notify == 0 || notify & NOTIFY_FAILURE;
	if (recipient->status->outcome == STATUS_DEFERRED)
		return notify == 0 || notify & NOTIFY_DELAY;
	/* SMTP-122: who was given NOTIFY reports; SMTP-123: else we do. */
	return (notify & NOTIFY_SUCCESS) && !recipient->status->notifies;
}

/* Null, with a line in the log, when there is nobody left to tell. */
static const char *choose_reader(const struct queue *queue, uint64_t id,
    const struct envelope *envelope, const struct dsn_recipient *recipients)
{
	const char *postmaster = queue->conf->postmaster;

	if (envelope->sender[0] != '\0')
		return envelope->sender;
	if (recipients[0].status->outcome != STATUS_FAILED)
		return NULL;
	if (postmaster == NULL || strchr(postmaster, '@') == NULL ||
	    strcasecmp(recipients[0].who->address, postmaster) == 0) {
		log_error("notification-lost", log_message(id),
		    log_text("r", recipients[0].who->address),
		    log_text("reason", "the postmaster cannot be reached"));
		return NULL;
	}
	return postmaster;
}

/* The prefix and the message, or its header section; false if damaged. */
static bool read_original(const struct queue *queue, uint64_t id,
    const struct record_message *message, bool whole, struct buf *out)
{
	const struct envelope *envelope = message->envelope;
	struct view view;

	buf_add(out, envelope->prefix, envelope->prefix_length);
	view_init(&view, envelope, message->body_length);
	if (body_peek(queue->store, id, &view, whole ? DSN_ORIGINAL_MAX :
	    DSN_HEADERS_MAX, out) < 0)
		return false;
	if (!whole)
		buf_truncate(out, header_length(buf_data(out),
		    buf_length(out)));
	return true;
}

struct reading {
	struct envelope	*envelope;
	struct arena	*arena;
};

static void add_reader(void *arg, const char *address, bool forwarded)
{
	struct reading *reading = arg;
	struct envelope *envelope = reading->envelope;
	struct envelope_recipient *added;

	envelope_add_recipient(envelope, reading->arena, address, NULL,
	    NOTIFY_NEVER);
	added = &envelope->recipients[envelope->recipient_count - 1];
	added->flags = forwarded ? RECIPIENT_FORWARDED : 0;
	if (!utf8_is_ascii(address))
		envelope->flags |= ENVELOPE_UTF8;
}

/* A sender in a domain of ours who is not there: the log, and nobody else. */
static void lose(const struct dsn *dsn, struct arena *arena)
{
	log_error("notification-lost", log_message(dsn->original_id),
	    log_text("to", dsn->to), log_text("reason",
	    "there is nobody of that name"));
	arena_free(arena);
}

/* Our signatures stand above the header that they sign; a notification that
 * cannot be signed goes without. */
static void add_signatures(const struct queue *queue, const struct dsn *dsn,
    const struct buf *text, struct envelope *envelope, struct arena *arena)
{
	struct buf fields;

	buf_init(&fields, ENVELOPE_PREFIX_MAX);
	if (dsn_sign_add(queue->conf, dsn->domain, buf_data(text),
	    buf_length(text), dsn->now, &fields) == 0) {
		envelope->prefix = arena_dup_text(arena, buf_data(&fields),
		    buf_length(&fields));
		envelope->prefix_length = buf_length(&fields);
	}
	buf_release(&fields);
}

/* Puts the notification into this turn's batch; -1 if nobody gets it. */
static int commit_notification(struct queue *queue, const struct dsn *dsn,
    const struct buf *text)
{
	struct arena *arena = arena_new(BOUNCE_ARENA_MAX);
	struct envelope *envelope = envelope_new(arena);
	struct commit_message message = {
		.id = dsn->id,
		.envelope = envelope,
		.arrival = dsn->now,
		.body_length = buf_length(text),
		.rest = buf_data(text),
		.rest_length = buf_length(text)
	};

	envelope->flags = ENVELOPE_BOUNCE;
	/* RFC 8689 5: whatever the reason is that it tells of. */
	if (dsn->requires_tls)
		envelope->flags |= ENVELOPE_REQUIRETLS;
	/* The header names the reader. */
	if (!utf8_is_ascii(dsn->to))
		envelope->flags |= ENVELOPE_UTF8 | ENVELOPE_UTF8_HEADER;
	for (size_t i = 0; i < buf_length(text); i++) {
		if ((unsigned char)buf_data(text)[i] >= 0x80)
			envelope->flags |= ENVELOPE_8BIT | ENVELOPE_HAS_8BIT;
	}
	if (!readers_each(dsn->to, add_reader, &(struct reading){
	    envelope, arena }) || envelope->recipient_count == 0) {
		lose(dsn, arena);
		return -1;
	}
	add_signatures(queue, dsn, text, envelope, arena);
	digest_of(buf_data(text), buf_length(text), message.digest);
	commit_accept(queue->commit, &message, arena, NULL, NULL);
	return 0;
}

/* RFC 8689 5: headers only for REQUIRETLS, as if RET=HDRS had been said. */
static bool returns_whole(const struct dsn *dsn,
    const struct record_message *message)
{
	struct view view;

	view_init(&view, message->envelope, message->body_length);
	return message->envelope->flags & ENVELOPE_RET_FULL &&
	    !dsn->requires_tls &&
	    dsn->recipients[0].status->outcome == STATUS_FAILED &&
	    view_length(&view) <= DSN_ORIGINAL_MAX;
}

static int write_notification(struct queue *queue, struct dsn *dsn,
    const struct record_message *message)
{
	bool whole = returns_whole(dsn, message);
	struct buf original, text;
	int result;

	buf_init(&original, DSN_ORIGINAL_MAX + ENVELOPE_PREFIX_MAX);
	buf_init(&text, DSN_MAX);
	if (read_original(queue, dsn->original_id, message, whole,
	    &original)) {
		dsn->original = buf_data(&original);
		dsn->original_length = buf_length(&original);
		dsn->original_is_whole = whole;
	}
	if (dsn_write(&text, dsn) < 0)
		bug("dsn-size");
	result = commit_notification(queue, dsn, &text);
	buf_release(&original);
	buf_release(&text);
	return result;
}

static void notify(struct queue *queue, uint64_t id,
    const struct record_message *message,
    const struct dsn_recipient *recipients, size_t count, int64_t retry_until)
{
	const struct envelope *envelope = message->envelope;
	struct dsn dsn = {
		.hostname = queue->conf->hostname,
		.domain = dsn_sign_domain(queue->conf),
		.to = choose_reader(queue, id, envelope, recipients),
		.now = clock_wall(),
		.is_double = envelope->sender[0] == '\0',
		.requires_tls = envelope->flags & ENVELOPE_REQUIRETLS,
		.utf8 = envelope->flags & ENVELOPE_UTF8,
		.original_id = id,
		.arrival = message->arrival,
		.envid = envelope->envid,
		.recipients = recipients,
		.recipient_count = count,
		.retry_until = retry_until
	};

	if (dsn.to == NULL)
		return;
	dsn.id = queue_take_id(queue);
	if (write_notification(queue, &dsn, message) == -1)
		return;
	log_info("notify", log_message(id), log_text("to", dsn.to),
	    log_number("rcpts", (int64_t)count),
	    log_text("outcome", status_outcome_name(
	    recipients[0].status->outcome)));
	log_info("accept", log_message(dsn.id), log_text("from", "<>"),
	    log_number("rcpts", 1), dsn.requires_tls ?
	    log_text("tag", "requiretls") :
	    (struct log_field){ .kind = LOG_KIND_END });
}

void bounce_delay(struct queue *queue, uint64_t id,
    const struct dsn_recipient *recipients, size_t count, int64_t retry_until)
{
	struct dsn_recipient *chosen = mem_alloc_array(count,
	    sizeof(*chosen));
	struct record_message *message;
	struct arena *arena;
	size_t wanted = 0;

	for (size_t i = 0; i < count; i++) {
		if (wants(&recipients[i]))
			chosen[wanted++] = recipients[i];
	}
	if (wanted > 0) {
		arena = arena_new(RECORD_ARENA_MAX);
		message = rows_find_message(queue->store, id, arena);
		if (message != NULL)
			notify(queue, id, message, chosen, wanted,
			    retry_until);
		arena_free(arena);
	}
	mem_free(chosen);
}

void bounce_send(struct queue *queue, uint64_t id,
    const struct dsn_recipient *recipients, size_t count)
{
	bounce_delay(queue, id, recipients, count, 0);
}
