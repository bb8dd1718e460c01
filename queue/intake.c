/* SPDX-License-Identifier: ISC */
/*
 * Receptions and the channels they come on. An answer is given once: early
 * when a message is refused, else when it is durable. After it the reception
 * is gone, and frames that were on their way for it are ignored.
 *
 *	BEGIN ---> open ---END---> committing ---durable---> ACCEPTED 250
 *	             |
 *	             +--- refused: ACCEPTED 4xx, 5xx     CANCEL, channel lost:
 *	                                                 nothing is said
 */
#include "queue/intake.h"

#include <stdio.h>
#include <string.h>
#include <sys/queue.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/channel.h"
#include "base/clock.h"
#include "base/digest.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/status.h"
#include "base/wire.h"
#include "conf/conf.h"
#include "queue/client.h"
#include "queue/commit.h"
#include "queue/envelope.h"
#include "queue/message.h"
#include "queue/queue.h"
#include "queue/space.h"
#include "queue/store.h"
#include "queue/view.h"

enum {
	CHANNEL_MAX = 16 << 20,
	/* A body larger than that does not wait in memory. */
	SPILL_BYTES = 64 << 10,
	/* With that much in memory, all smtpds together, everything spills. */
	MEMORY_MAX = 64 << 20,
	ENVELOPES_MAX = 256 << 20,
	RECEPTIONS_MAX = 50000,		/* of one smtpd */
	GRANTS_MAX = 4096,		/* blocks of identifiers, of one smtpd */
	SIZE_SLACK = 64 << 10,		/* over max-message-size */
	BODY_MAX = QUEUE_CREDIT_WINDOW + QUEUE_DATA_MAX
};

/* Identifiers an smtpd may use, each once. */
struct grant {
	TAILQ_ENTRY(grant)	 link;
	uint64_t		 first;
	unsigned		 left;
	uint8_t			 used[QUEUE_IDENTIFIER_BLOCK / 8];
};

struct smtpd {
	struct intake		*intake;	/* outlives us */
	LIST_ENTRY(smtpd)	 link;
	unsigned		 instance;
	struct channel		*channel;	/* owned */
	struct hash		*by_request;	/* of receptions, borrowed */
	LIST_HEAD(, reception)	 receptions;	/* owned */
	TAILQ_HEAD(, grant)	 grants;	/* owned; oldest first */
	struct hash		*by_block;	/* of grants, borrowed */
};

struct reception {
	struct smtpd		*smtpd;		/* outlives us */
	LIST_ENTRY(reception)	 link;
	uint32_t		 request;
	uint64_t		 id;
	size_t			 window;	/* bytes the peer may send */

	/* until END; then the acceptance owns the arena */
	struct arena		*arena;		/* owned */
	size_t			 arena_bytes;
	struct envelope		*envelope;	/* in the arena */
	struct buf		 body;		/* what is not in the store */
	struct digest		*digest;	/* owned */
	uint64_t		 length;
	bool			 went_ahead;	/* the body's beginning */

	/* credit for what went to the store */
	struct commit_wait	 wait;
	size_t			 spilling;	/* bytes in the batch waited for */
	size_t			 spilled;	/* bytes in a later one */

	struct acceptance	*acceptance;	/* null until END */
};

struct intake {
	struct queue		*queue;		/* outlives us */
	LIST_HEAD(, smtpd)	 smtpds;	/* owned */
	size_t			 open;
	size_t			 memory;	/* bytes of bodies held */
	size_t			 envelopes;	/* bytes of arenas */
};

static void reception_free(struct reception *reception)
{
	struct intake *intake = reception->smtpd->intake;

	hash_remove_id(reception->smtpd->by_request, reception->request);
	LIST_REMOVE(reception, link);
	commit_wait_cancel(&reception->wait);
	if (reception->acceptance != NULL)
		acceptance_forget(reception->acceptance);
	intake->memory -= buf_length(&reception->body);
	intake->envelopes -= reception->arena_bytes;
	intake->open--;
	buf_release(&reception->body);
	digest_free(reception->digest);
	if (reception->arena != NULL)
		arena_free(reception->arena);
	mem_free(reception);
}

/* It will not come to an end: what went ahead is nobody's. */
static void reception_drop(struct reception *reception)
{
	if (reception->went_ahead && reception->acceptance == NULL)
		store_body_discard(reception->smtpd->intake->queue->store,
		    reception->id);
	reception_free(reception);
}

static void answer(struct smtpd *smtpd, uint32_t request,
    const struct status *status)
{
	queue_put_accepted(channel_begin(smtpd->channel, QUEUE_ACCEPTED,
	    request), status);
	(void)channel_end(smtpd->channel);
}

static void refuse(struct smtpd *smtpd, uint32_t request, int code,
    const char *enhanced, const char *text)
{
	struct status status;

	status_set(&status, code >= 500 ? STATUS_FAILED : STATUS_DEFERRED,
	    REASON_LOCAL, enhanced, text);
	status.code = (uint16_t)code;
	answer(smtpd, request, &status);
}

static void reception_refuse(struct reception *reception, int code,
    const char *enhanced, const char *text)
{
	log_info("refuse", log_message(reception->id),
	    log_number("code", code), log_text("text", text));
	refuse(reception->smtpd, reception->request, code, enhanced, text);
	reception_drop(reception);
}

/* --- identifiers --- */

static void grant_free(struct smtpd *smtpd, struct grant *grant)
{
	hash_remove_id(smtpd->by_block, grant->first);
	TAILQ_REMOVE(&smtpd->grants, grant, link);
	mem_free(grant);
}

/* Each block is aligned to its size, so an identifier says its block. */
static void send_identifiers(struct smtpd *smtpd)
{
	struct queue_identifiers block = { .count = QUEUE_IDENTIFIER_BLOCK };
	struct grant *grant = mem_alloc(sizeof(*grant));

	if (hash_count(smtpd->by_block) >= GRANTS_MAX)
		grant_free(smtpd, TAILQ_FIRST(&smtpd->grants));
	block.first = queue_take_ids(smtpd->intake->queue,
	    QUEUE_IDENTIFIER_BLOCK);
	grant->first = block.first;
	grant->left = QUEUE_IDENTIFIER_BLOCK;
	TAILQ_INSERT_TAIL(&smtpd->grants, grant, link);
	hash_put_id(smtpd->by_block, grant->first, grant);
	queue_put_identifiers(channel_begin(smtpd->channel,
	    QUEUE_IDENTIFIERS, 0), &block);
	(void)channel_end(smtpd->channel);
}

/* False if the identifier was never given to this peer, or is used up. */
static bool use_identifier(struct smtpd *smtpd, uint64_t id)
{
	uint64_t first = id - id % QUEUE_IDENTIFIER_BLOCK;
	unsigned offset = (unsigned)(id - first);
	struct grant *grant = hash_find_id(smtpd->by_block, first);

	if (grant == NULL || grant->used[offset / 8] & 1 << offset % 8)
		return false;
	grant->used[offset / 8] |= (uint8_t)(1 << offset % 8);
	if (--grant->left == 0)
		grant_free(smtpd, grant);
	return true;
}

/* --- the body --- */

static void return_credit(void *arg)
{
	struct reception *reception = arg;
	struct channel *channel = reception->smtpd->channel;
	uint32_t bytes = (uint32_t)reception->spilling;

	reception->window += bytes;
	reception->spilling = reception->spilled;
	reception->spilled = 0;
	if (reception->spilling > 0)
		commit_wait(reception->smtpd->intake->queue->commit,
		    &reception->wait, return_credit, reception);
	queue_put_credit(channel_begin(channel, QUEUE_CREDIT,
	    reception->request), bytes);
	(void)channel_end(channel);
}

/* Puts what is in memory into this turn's batch. */
static void spill(struct reception *reception)
{
	struct queue *queue = reception->smtpd->intake->queue;
	struct store_bytes piece = { buf_data(&reception->body),
	    buf_length(&reception->body) };

	store_body_append(queue->store, reception->id, piece);
	reception->went_ahead = true;
	reception->smtpd->intake->memory -= piece.length;
	if (reception->wait.batch == NULL) {
		reception->spilling = piece.length;
		commit_wait(queue->commit, &reception->wait, return_credit,
		    reception);
	} else {
		reception->spilled += piece.length;
	}
	buf_reset(&reception->body);
}

/* --- frames --- */

/* Null, after an answer, when it may not begin. */
static struct reception *reception_new(struct smtpd *smtpd, uint32_t request,
    struct arena *arena, struct envelope *envelope)
{
	struct intake *intake = smtpd->intake;
	struct reception *reception = mem_alloc(sizeof(*reception));

	reception->smtpd = smtpd;
	reception->request = request;
	reception->window = QUEUE_CREDIT_WINDOW;
	reception->arena = arena;
	reception->arena_bytes = arena_used(arena);
	reception->envelope = envelope;
	buf_init(&reception->body, BODY_MAX);
	reception->digest = digest_new();
	LIST_INSERT_HEAD(&smtpd->receptions, reception, link);
	hash_put_id(smtpd->by_request, request, reception);
	intake->open++;
	intake->envelopes += reception->arena_bytes;
	return reception;
}

/* Whether it may begin at all; says no itself. */
static bool admit(struct smtpd *smtpd, uint32_t request, uint64_t id)
{
	struct intake *intake = smtpd->intake;

	if (!use_identifier(smtpd, id))
		refuse(smtpd, request, 451, "4.3.0",
		    "the transaction is too old, please try again");
	else if (space_left(intake->queue->space) == 0)
		refuse(smtpd, request, 452, "4.3.1",
		    "insufficient system storage");
	else if (intake->envelopes > ENVELOPES_MAX ||
	    hash_count(smtpd->by_request) >= RECEPTIONS_MAX)
		refuse(smtpd, request, 451, "4.3.2",
		    "too much mail at once, please try again later");
	else
		return true;
	return false;
}

/* One at least who gets the mail. */
static bool has_recipient(const struct envelope *envelope)
{
	for (size_t i = 0; i < envelope->recipient_count; i++)
		if (!(envelope->recipients[i].flags & RECIPIENT_EXPANDED))
			return true;
	return false;
}

/* Null if it is none, or for nobody. */
static struct envelope *read_envelope(const void *data, size_t length,
    struct arena *arena)
{
	struct wire_reader reader;
	struct envelope *envelope;

	wire_read_begin(&reader, data, length);
	envelope = envelope_get(&reader, arena);
	return envelope == NULL || wire_read_end(&reader) < 0 ||
	    !has_recipient(envelope) ? NULL : envelope;
}

static int on_begin(struct smtpd *smtpd, struct channel_message *message)
{
	struct queue_begin begin;
	struct envelope *envelope;
	struct arena *arena;

	if (queue_get_begin(&message->body, &begin) < 0 ||
	    message->request == 0 ||
	    hash_find_id(smtpd->by_request, message->request) != NULL)
		return -1;
	if (!admit(smtpd, message->request, begin.id))
		return 0;
	arena = arena_new(ENVELOPE_ARENA_MAX);
	envelope = read_envelope(begin.envelope, begin.envelope_length, arena);
	/* There is no body yet that pieces could be of. */
	if (envelope == NULL || !envelope_content_fits(envelope, 0)) {
		arena_free(arena);
		return -1;
	}
	reception_new(smtpd, message->request, arena, envelope)->id =
	    begin.id;
	return 0;
}

/* The smtpd keeps max-message-size; this is for one that does not. */
static uint64_t size_most(const struct reception *reception)
{
	return (uint64_t)
	    reception->smtpd->intake->queue->conf->max_message_size +
	    SIZE_SLACK;
}

/* A filter's new body lies behind the one that came: only the end tells of it,
 * and what goes out may not have all of both. */
static bool is_too_large(const struct reception *reception)
{
	uint64_t most = size_most(reception);
	struct view view;

	view_init(&view, reception->envelope, reception->length);
	return reception->length > (view.count > 0 ? 2 * most : most) ||
	    view_length(&view) > most + ENVELOPE_PIECE_TEXT_MAX;
}

static int on_data(struct smtpd *smtpd, struct channel_message *message)
{
	struct intake *intake = smtpd->intake;
	struct reception *reception = hash_find_id(smtpd->by_request,
	    message->request);
	const void *data;
	size_t length;

	if (queue_get_data(&message->body, &data, &length) < 0)
		return -1;
	if (reception == NULL)		/* refused meanwhile */
		return 0;
	if (reception->acceptance != NULL || length > reception->window)
		return -1;
	reception->window -= length;
	reception->length += length;
	if (reception->length > 2 * size_most(reception)) {
		reception_refuse(reception, 552, "5.3.4",
		    "the message is too large");
		return 0;
	}
	digest_add(reception->digest, data, length);
	if (buf_add(&reception->body, data, length) < 0)
		bug("intake-window");
	intake->memory += length;
	if (buf_length(&reception->body) >= SPILL_BYTES ||
	    intake->memory > MEMORY_MAX)
		spill(reception);
	return 0;
}

static void accepted(void *arg)
{
	struct reception *reception = arg;
	struct status status;

	status_print(&status, STATUS_RELAYED, REASON_NONE, "2.0.0",
	    "queued as %llx", (unsigned long long)reception->id);
	status.code = 250;
	reception->acceptance = NULL;
	answer(reception->smtpd, reception->request, &status);
	reception_free(reception);
}

/* What was only known behind the content. The header says nothing against the
 * wish in the envelope (RFC 8689 4.1). */
static uint32_t flags_of(const struct envelope *envelope,
    const struct queue_end *end)
{
	uint32_t known = ENVELOPE_HAS_8BIT | ENVELOPE_UTF8_HEADER;

	if (!(envelope->flags & ENVELOPE_REQUIRETLS))
		known |= ENVELOPE_TLS_OPTIONAL;
	return end->flags & known;
}

/* More header fields for the envelope's prefix; -1 if it gets too long. */
static int extend_prefix(struct reception *reception,
    const struct queue_end *end)
{
	struct envelope *envelope = reception->envelope;
	size_t length = envelope->prefix_length + end->extra_length;
	char *prefix;

	if (end->extra_length == 0)
		return 0;
	if (length > ENVELOPE_PREFIX_MAX)
		return -1;
	prefix = arena_alloc(reception->arena, length + 1);
	memcpy(prefix, envelope->prefix, envelope->prefix_length);
	memcpy(prefix + envelope->prefix_length, end->extra,
	    end->extra_length);
	envelope->prefix = prefix;
	envelope->prefix_length = length;
	return 0;
}

/*
 * The envelope that filters have left takes the first one's place. It may not
 * lose what the sender was promised (RFC 8689, RFC 6531), nor become one of our
 * notifications; what the view of the body adds up to is bounded as the body
 * is. -1: it breaks the rules.
 */
static int revise(struct reception *reception, const struct queue_end *end)
{
	const uint32_t promised = ENVELOPE_REQUIRETLS | ENVELOPE_UTF8;
	struct arena *arena;
	struct envelope *envelope;
	uint32_t before = reception->envelope->flags;

	if (end->envelope_length == 0)
		return 0;
	arena = arena_new(ENVELOPE_ARENA_MAX);
	envelope = read_envelope(end->envelope, end->envelope_length, arena);
	if (envelope == NULL || end->extra_length > 0 ||
	    before & promised & ~envelope->flags ||
	    envelope->flags & ENVELOPE_BOUNCE & ~before ||
	    !envelope_content_fits(envelope, end->length)) {
		arena_free(arena);
		return -1;
	}
	reception->smtpd->intake->envelopes -= reception->arena_bytes;
	arena_free(reception->arena);
	reception->arena = arena;
	reception->arena_bytes = arena_used(arena);
	reception->smtpd->intake->envelopes += reception->arena_bytes;
	reception->envelope = envelope;
	return 0;
}

/* Hands everything over: from here on the message cannot be cancelled. */
static void commit_reception(struct reception *reception,
    const struct queue_end *end)
{
	struct queue *queue = reception->smtpd->intake->queue;
	struct commit_message message = {
		.id = reception->id,
		.envelope = reception->envelope,
		.arrival = clock_wall(),
		.body_length = reception->length,
		.rest = buf_data(&reception->body),
		.rest_length = buf_length(&reception->body),
		.went_ahead = reception->went_ahead
	};
	struct arena *arena = reception->arena;

	memcpy(message.digest, end->digest, DIGEST_BYTES);
	reception->envelope->flags |= flags_of(reception->envelope, end);
	space_used(queue->space, reception->length);
	commit_wait_cancel(&reception->wait);
	reception->arena = NULL;
	reception->acceptance = commit_accept(queue->commit, &message, arena,
	    accepted, reception);
	reception->smtpd->intake->memory -= buf_length(&reception->body);
	buf_release(&reception->body);
}

static int on_end(struct smtpd *smtpd, struct channel_message *message)
{
	struct reception *reception = hash_find_id(smtpd->by_request,
	    message->request);
	struct queue_end end;
	uint8_t digest[DIGEST_BYTES];

	if (queue_get_end(&message->body, &end) < 0)
		return -1;
	if (reception == NULL)
		return 0;
	if (reception->acceptance != NULL ||
	    revise(reception, &end) < 0 ||
	    extend_prefix(reception, &end) < 0)
		return -1;
	digest_end(reception->digest, digest);
	reception->digest = NULL;
	if (end.length != reception->length ||
	    memcmp(end.digest, digest, sizeof(digest)) != 0)
		reception_refuse(reception, 451, "4.3.0",
		    "the message was damaged on its way into the queue");
	else if (is_too_large(reception))
		reception_refuse(reception, 552, "5.3.4",
		    "the message is too large");
	else if (space_left(smtpd->intake->queue->space) < reception->length)
		reception_refuse(reception, 452, "4.3.1",
		    "insufficient system storage");
	else
		commit_reception(reception, &end);
	return 0;
}

static int on_cancel(struct smtpd *smtpd, struct channel_message *message)
{
	struct reception *reception = hash_find_id(smtpd->by_request,
	    message->request);

	if (reception != NULL)
		reception_drop(reception);
	return wire_read_end(&message->body);
}

static int on_want(struct smtpd *smtpd, struct channel_message *message)
{
	send_identifiers(smtpd);
	return wire_read_end(&message->body);
}

/* --- channels --- */

static void smtpd_free(struct smtpd *smtpd)
{
	while (!LIST_EMPTY(&smtpd->receptions))
		reception_drop(LIST_FIRST(&smtpd->receptions));
	while (!TAILQ_EMPTY(&smtpd->grants))
		grant_free(smtpd, TAILQ_FIRST(&smtpd->grants));
	LIST_REMOVE(smtpd, link);
	hash_free(smtpd->by_request);
	hash_free(smtpd->by_block);
	channel_free(smtpd->channel);
	mem_free(smtpd);
}

static void on_message(void *arg, struct channel *channel,
    struct channel_message *message)
{
	struct smtpd *smtpd = arg;
	int result = -1;

	(void)channel;
	switch (message->type) {
	case QUEUE_WANT_IDENTIFIERS:
		result = on_want(smtpd, message);
		break;
	case QUEUE_BEGIN:
		result = on_begin(smtpd, message);
		break;
	case QUEUE_DATA:
		result = on_data(smtpd, message);
		break;
	case QUEUE_END:
		result = on_end(smtpd, message);
		break;
	case QUEUE_CANCEL:
		result = on_cancel(smtpd, message);
		break;
	default:
		bug("intake-message");
	}
	if (result < 0) {
		log_error("smtpd-protocol",
		    log_number("instance", smtpd->instance),
		    log_number("type", message->type));
		smtpd_free(smtpd);
	}
}

static void on_closed(void *arg, struct channel *channel)
{
	(void)channel;
	smtpd_free(arg);
}

static const struct channel_rule rules[] = {
	{ QUEUE_WANT_IDENTIFIERS, false, 0 },
	{ QUEUE_BEGIN, false, QUEUE_BEGIN_BYTES },
	{ QUEUE_DATA, false, QUEUE_DATA_MAX + 64 },
	{ QUEUE_END, false, QUEUE_END_BYTES },
	{ QUEUE_CANCEL, false, 0 },
};

static const struct channel_handler handler = {
	.rules = rules,
	.rule_count = sizeof(rules) / sizeof(rules[0]),
	.message = on_message,
	.closed = on_closed,
};

struct intake *intake_new(struct queue *queue)
{
	struct intake *intake = mem_alloc(sizeof(*intake));

	intake->queue = queue;
	LIST_INIT(&intake->smtpds);
	return intake;
}

void intake_free(struct intake *intake)
{
	if (intake == NULL)
		return;
	while (!LIST_EMPTY(&intake->smtpds))
		smtpd_free(LIST_FIRST(&intake->smtpds));
	mem_free(intake);
}

static void send_space(struct smtpd *smtpd, uint64_t bytes)
{
	queue_put_space(channel_begin(smtpd->channel, QUEUE_SPACE, 0), bytes);
	(void)channel_end(smtpd->channel);
}

void intake_connect(struct intake *intake, unsigned instance, int fd)
{
	struct smtpd *smtpd = mem_alloc(sizeof(*smtpd));
	struct smtpd *former;
	char name[32];

	LIST_FOREACH(former, &intake->smtpds, link) {
		if (former->instance == instance)
			break;
	}
	if (former != NULL)
		smtpd_free(former);
	smtpd->intake = intake;
	smtpd->instance = instance;
	smtpd->by_request = hash_new();
	smtpd->by_block = hash_new();
	LIST_INIT(&smtpd->receptions);
	TAILQ_INIT(&smtpd->grants);
	snprintf(name, sizeof(name), "smtpd %u", instance);
	smtpd->channel = channel_new(fd, name, &handler, smtpd, CHANNEL_MAX);
	LIST_INSERT_HEAD(&intake->smtpds, smtpd, link);
	send_space(smtpd, space_left(intake->queue->space));
	send_identifiers(smtpd);
}

void intake_tell_space(struct intake *intake, uint64_t bytes)
{
	struct smtpd *smtpd;

	LIST_FOREACH(smtpd, &intake->smtpds, link)
		send_space(smtpd, bytes);
}

size_t intake_open(const struct intake *intake)
{
	return intake->open;
}
