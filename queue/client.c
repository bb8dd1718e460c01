/* SPDX-License-Identifier: ISC */
/*
 * The submission side of the queue's door; runs in smtpd. Bytes are given away
 * as they come: what this side holds is what the channel has not written yet,
 * and that is bounded by asking submissions to wait (submission_room) long
 * before the channel's own ceiling.
 *
 *	OPEN ----end----> ENDED ---accepted/lost---> DONE -> done(), freed
 *	  |
 *	  +--refused/lost--> REFUSED ---end---> DONE (in a later turn)
 */
#include "queue/client.h"

#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/channel.h"
#include "base/clock.h"
#include "base/digest.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "base/process.h"
#include "base/wire.h"
#include "queue/envelope.h"
#include "queue/message.h"

enum {
	CHANNEL_MAX = 48 << 20,
	/* Nothing more is given to a channel with that much to write: where
	 * channel.h promises to say that it has drained. */
	CHANNEL_ENOUGH = CHANNEL_MAX / 4,
	CHANNEL_REFUSE = CHANNEL_MAX / 2,
	/* Ask for the next block when fewer are left. */
	IDENTIFIERS_LOW = QUEUE_IDENTIFIER_BLOCK / 2,
	IDENTIFIER_BLOCKS = 4,
	/* How long the queue may take to make a message durable. */
	ANSWER_SECONDS = 120,
	TICK_MILLISECONDS = 5000
};

enum submission_state { SUBMISSION_OPEN, SUBMISSION_REFUSED, SUBMISSION_ENDED,
    SUBMISSION_DONE };

struct submission {
	struct queue_client	*client;	/* outlives us */
	LIST_ENTRY(submission)	 link;
	enum submission_state	 state;		/* submission_enter() only */
	uint32_t		 request;	/* 0: the queue has forgotten it */
	uint64_t		 id;
	size_t			 credit;	/* bytes that may be sent */
	bool			 starved;	/* ready() is owed */
	uint64_t		 length;
	struct digest		*digest;	/* owned; null after the end */
	int64_t			 ended_at;	/* monotonic */
	char			*extra;		/* owned; null: none */
	size_t			 extra_length;
	const struct envelope	*revised;	/* borrowed; null: the first */
	struct status		 status;	/* REFUSED, DONE */
	void			(*ready)(void *arg);
	void			*ready_arg;
	submission_done		*done;
	void			*done_arg;
};

struct queue_client {
	struct channel		*channel;	/* owned; null: no queue */
	struct hash		*by_request;	/* of submissions, borrowed */
	LIST_HEAD(, submission)	 submissions;	/* owned */
	struct queue_identifiers blocks[IDENTIFIER_BLOCKS];
	unsigned		 block_count;
	bool			 asked;		/* for identifiers */
	uint64_t		 space;		/* bytes, our estimate */
	struct timer		 tick;
};

static void unavailable(struct status *status)
{
	status_set(status, STATUS_DEFERRED, REASON_LOCAL, "4.3.0",
	    "the queue is not available, please try again later");
	status->code = 451;
}

/* OPEN -> ENDED | REFUSED, REFUSED -> DONE, ENDED -> DONE */
static void submission_enter(struct submission *submission,
    enum submission_state state)
{
	if (state <= submission->state)
		bug("submission-state");
	submission->state = state;
}

static void submission_free(struct submission *submission)
{
	loop_undefer(submission);
	if (submission->request != 0)
		hash_remove_id(submission->client->by_request,
		    submission->request);
	LIST_REMOVE(submission, link);
	digest_free(submission->digest);
	mem_free(submission->extra);
	mem_free(submission);
}

static void finish(void *arg)
{
	struct submission *submission = arg;
	submission_done *done = submission->done;
	void *done_arg = submission->done_arg;
	struct status status = submission->status;
	uint64_t id = submission->id;

	submission_free(submission);
	done(done_arg, &status, id);
}

static void wake(void *arg)
{
	struct submission *submission = arg;

	if (!submission->starved || submission->state > SUBMISSION_REFUSED)
		return;
	submission->starved = false;
	if (submission->ready != NULL)
		submission->ready(submission->ready_arg);
}

/* The queue said no, or is gone: it knows nothing of this one any more. */
static void settle(struct submission *submission, const struct status *status)
{
	if (submission->request != 0)
		hash_remove_id(submission->client->by_request,
		    submission->request);
	submission->request = 0;
	submission->status = *status;
	if (submission->state == SUBMISSION_ENDED) {
		submission_enter(submission, SUBMISSION_DONE);
		loop_defer(finish, submission);
	} else if (submission->state == SUBMISSION_OPEN) {
		submission_enter(submission, SUBMISSION_REFUSED);
		if (submission->starved)
			loop_defer(wake, submission);
	}
}

/* Without a channel there is nothing to believe: no identifiers, no space. */
static void disconnect(struct queue_client *client)
{
	struct submission *submission;
	struct status status;

	if (client->channel != NULL)
		channel_free(client->channel);
	client->channel = NULL;
	client->block_count = 0;
	client->asked = false;
	LIST_FOREACH(submission, &client->submissions, link) {
		unavailable(&status);
		/* The end was said and no answer came: only the queue knows,
		 * so nothing may be said that claims to. */
		if (submission->state == SUBMISSION_ENDED)
			status.reason = REASON_LOST;
		settle(submission, &status);
	}
}

/* The queue may still accept a message that is given up here: then the sender
 * tries again and it arrives twice, as after any reply that was lost. */
static void tick(void *arg)
{
	struct queue_client *client = arg;
	int64_t oldest = clock_monotonic() - ANSWER_SECONDS * 1000;
	struct submission *submission;
	struct status status;

	unavailable(&status);
	LIST_FOREACH(submission, &client->submissions, link) {
		if (submission->state != SUBMISSION_ENDED ||
		    submission->ended_at > oldest)
			continue;
		log_error("queue-silent", log_message(submission->id),
		    log_number("seconds", ANSWER_SECONDS));
		settle(submission, &status);
	}
	if (client->channel != NULL)
		timer_start(&client->tick, TICK_MILLISECONDS, tick, client);
}

static void ask_identifiers(struct queue_client *client)
{
	uint32_t left = 0;

	for (unsigned i = 0; i < client->block_count; i++)
		left += client->blocks[i].count;
	if (client->asked || client->channel == NULL ||
	    left >= IDENTIFIERS_LOW)
		return;
	channel_begin(client->channel, QUEUE_WANT_IDENTIFIERS, 0);
	client->asked = channel_end(client->channel) == 0;
}

static int on_identifiers(struct queue_client *client,
    struct channel_message *message)
{
	struct queue_identifiers block;

	if (queue_get_identifiers(&message->body, &block) < 0 ||
	    block.count > QUEUE_IDENTIFIER_BLOCK ||
	    client->block_count == IDENTIFIER_BLOCKS)
		return -1;
	client->blocks[client->block_count++] = block;
	client->asked = false;
	return 0;
}

static int on_credit(struct queue_client *client,
    struct channel_message *message)
{
	struct submission *submission = hash_find_id(client->by_request,
	    message->request);
	uint32_t bytes;

	if (queue_get_credit(&message->body, &bytes) < 0)
		return -1;
	if (submission == NULL)		/* cancelled meanwhile */
		return 0;
	if (bytes > QUEUE_CREDIT_WINDOW ||
	    submission->credit + bytes > QUEUE_CREDIT_WINDOW)
		return -1;
	submission->credit += bytes;
	if (submission->starved &&
	    channel_queued(client->channel) < CHANNEL_ENOUGH)
		wake(submission);
	return 0;
}

/* The answer to a whole message, or an early refusal. */
static int on_accepted(struct queue_client *client,
    struct channel_message *message)
{
	struct submission *submission = hash_find_id(client->by_request,
	    message->request);
	struct status status;

	if (queue_get_accepted(&message->body, &status) < 0)
		return -1;
	if (submission == NULL)
		return 0;
	if (submission->state == SUBMISSION_OPEN) {
		if (status.outcome == STATUS_RELAYED)
			return -1;
		settle(submission, &status);
		return 0;
	}
	submission->status = status;
	submission_enter(submission, SUBMISSION_DONE);
	finish(submission);
	return 0;
}

static void on_message(void *arg, struct channel *channel,
    struct channel_message *message)
{
	struct queue_client *client = arg;
	int result = -1;

	(void)channel;
	switch (message->type) {
	case QUEUE_IDENTIFIERS:
		result = on_identifiers(client, message);
		break;
	case QUEUE_SPACE:
		result = queue_get_space(&message->body, &client->space);
		break;
	case QUEUE_CREDIT:
		result = on_credit(client, message);
		break;
	case QUEUE_ACCEPTED:
		result = on_accepted(client, message);
		break;
	default:
		bug("queue-message");
	}
	if (result < 0) {
		log_error("queue-protocol", log_number("type", message->type));
		disconnect(client);
		process_peer_lost(ROLE_QUEUE, 0);
	}
}

static void on_closed(void *arg, struct channel *channel)
{
	(void)channel;
	disconnect(arg);
	process_peer_lost(ROLE_QUEUE, 0);
}

static void on_drained(void *arg, struct channel *channel)
{
	struct queue_client *client = arg;
	struct submission *submission;

	(void)channel;
	LIST_FOREACH(submission, &client->submissions, link) {
		if (submission->starved && submission->credit > 0)
			loop_defer(wake, submission);
	}
}

static const struct channel_rule rules[] = {
	{ QUEUE_IDENTIFIERS, false, 64 },
	{ QUEUE_SPACE, false, 64 },
	{ QUEUE_CREDIT, false, 64 },
	{ QUEUE_ACCEPTED, false, QUEUE_STATUS_BYTES },
};

static const struct channel_handler handler = {
	.rules = rules,
	.rule_count = sizeof(rules) / sizeof(rules[0]),
	.message = on_message,
	.closed = on_closed,
	.drained = on_drained,
};

struct queue_client *queue_client_new(void)
{
	struct queue_client *client = mem_alloc(sizeof(*client));

	client->by_request = hash_new();
	LIST_INIT(&client->submissions);
	return client;
}

void queue_client_free(struct queue_client *client)
{
	if (client == NULL)
		return;
	while (!LIST_EMPTY(&client->submissions))
		submission_free(LIST_FIRST(&client->submissions));
	timer_stop(&client->tick);
	if (client->channel != NULL)
		channel_free(client->channel);
	hash_free(client->by_request);
	mem_free(client);
}

void queue_client_connect(struct queue_client *client, int fd)
{
	disconnect(client);
	/* Until the queue says how much: it answers for itself at the end. */
	client->space = UINT64_MAX;
	client->channel = channel_new(fd, "queue", &handler, client,
	    CHANNEL_MAX);
	timer_start(&client->tick, TICK_MILLISECONDS, tick, client);
	ask_identifiers(client);
}

bool queue_client_has_room(const struct queue_client *client,
    uint64_t size_bytes)
{
	return client->channel == NULL || client->space > size_bytes;
}

bool queue_client_is_connected(const struct queue_client *client)
{
	return client->channel != NULL && client->block_count > 0;
}

uint64_t queue_client_next_id(struct queue_client *client)
{
	struct queue_identifiers *block = &client->blocks[0];
	uint64_t id;

	ask_identifiers(client);
	if (client->block_count == 0)
		return 0;
	id = block->first++;
	if (--block->count == 0) {
		client->block_count--;
		memmove(block, block + 1,
		    client->block_count * sizeof(*block));
	}
	return id;
}

/* Sends BEGIN; the envelope's size has to be known before. */
static int send_begin(struct submission *submission,
    const struct envelope *envelope)
{
	struct channel *channel = submission->client->channel;
	struct queue_begin begin = { .id = submission->id };
	struct wire_writer writer;
	struct buf buf;
	int result = -1;

	if (channel == NULL || channel_queued(channel) > CHANNEL_REFUSE)
		return -1;
	buf_init(&buf, ENVELOPE_WIRE_MAX);
	wire_write_begin(&writer, &buf);
	envelope_put(&writer, envelope);
	if (wire_write_end(&writer) == 0) {
		begin.envelope = buf_data(&buf);
		begin.envelope_length = buf_length(&buf);
		submission->request = channel_next_request(channel);
		queue_put_begin(channel_begin(channel, QUEUE_BEGIN,
		    submission->request), &begin);
		result = channel_end(channel);
	}
	buf_release(&buf);
	return result;
}

struct submission *submission_begin(struct queue_client *client, uint64_t id,
    const struct envelope *envelope, void (*ready)(void *arg), void *arg)
{
	struct submission *submission = mem_alloc(sizeof(*submission));

	submission->client = client;
	submission->id = id;
	submission->credit = QUEUE_CREDIT_WINDOW;
	submission->digest = digest_new();
	submission->ready = ready;
	submission->ready_arg = arg;
	LIST_INSERT_HEAD(&client->submissions, submission, link);
	if (id == 0 || send_begin(submission, envelope) < 0) {
		submission->request = 0;
		unavailable(&submission->status);
		submission_enter(submission, SUBMISSION_REFUSED);
	} else {
		hash_put_id(client->by_request, submission->request,
		    submission);
	}
	return submission;
}

size_t submission_room(const struct submission *submission)
{
	struct submission *writable = (struct submission *)submission;

	if (submission->state == SUBMISSION_REFUSED)
		return QUEUE_DATA_MAX;	/* dropped on the floor */
	if (submission->credit > 0 && channel_queued(
	    submission->client->channel) < CHANNEL_ENOUGH)
		return submission->credit;
	writable->starved = true;
	return 0;
}

void submission_data(struct submission *submission, const void *data,
    size_t length)
{
	struct queue_client *client = submission->client;
	const char *bytes = data;

	if (submission->state == SUBMISSION_REFUSED)
		return;
	if (submission->state != SUBMISSION_OPEN ||
	    length > submission->credit)
		bug("submission-data");
	digest_add(submission->digest, data, length);
	submission->credit -= length;
	submission->length += length;
	client->space -= client->space < length ? client->space : length;
	while (length > 0) {
		size_t part = length < QUEUE_DATA_MAX ? length :
		    QUEUE_DATA_MAX;

		queue_put_data(channel_begin(client->channel, QUEUE_DATA,
		    submission->request), bytes, part);
		if (channel_end(client->channel) < 0)
			break;		/* on_closed() follows */
		bytes += part;
		length -= part;
	}
	submission->starved = submission->credit == 0;
}

void submission_extend(struct submission *submission, const char *text,
    size_t length)
{
	if (length > QUEUE_EXTRA_MAX)
		bug("submission-extra");
	mem_free(submission->extra);
	submission->extra = mem_alloc(length + 1);
	memcpy(submission->extra, text, length);
	submission->extra_length = length;
}

void submission_revise(struct submission *submission,
    const struct envelope *envelope)
{
	submission->revised = envelope;
}

/* The other envelope for the end; -1: it cannot be what the queue takes, or
 * there is no room for it on the channel now. */
static int write_revised(const struct submission *submission, struct buf *out,
    struct queue_end *end)
{
	struct wire_writer writer;

	if (submission->revised == NULL)
		return 0;
	if (submission->extra_length > 0)
		bug("submission-revise");
	wire_write_begin(&writer, out);
	envelope_put(&writer, submission->revised);
	if (wire_write_end(&writer) < 0 || !envelope_content_fits(
	    submission->revised, submission->length)) {
		log_error("bad-revision", log_message(submission->id));
		return -1;
	}
	end->envelope = buf_data(out);
	end->envelope_length = buf_length(out);
	return channel_queued(submission->client->channel) > CHANNEL_REFUSE ?
	    -1 : 0;
}

static void send_end(struct submission *submission, struct queue_end *end)
{
	struct channel *channel = submission->client->channel;
	uint32_t request = submission->request;
	struct status status;
	struct buf revised;

	buf_init(&revised, ENVELOPE_WIRE_MAX);
	if (write_revised(submission, &revised, end) == 0) {
		queue_put_end(channel_begin(channel, QUEUE_END, request),
		    end);
	} else {
		unavailable(&status);
		settle(submission, &status);
		channel_begin(channel, QUEUE_CANCEL, request);
	}
	/* If this fails the channel is dying, and on_closed() answers 451. */
	(void)channel_end(channel);
	buf_release(&revised);
}

void submission_end(struct submission *submission, uint32_t flags,
    submission_done *done, void *arg)
{
	struct queue_end end = { .flags = flags,
	    .length = submission->length, .extra = submission->extra,
	    .extra_length = submission->extra_length };

	submission->done = done;
	submission->done_arg = arg;
	digest_end(submission->digest, end.digest);
	submission->digest = NULL;
	if (submission->state == SUBMISSION_REFUSED) {
		submission_enter(submission, SUBMISSION_DONE);
		loop_undefer(submission);
		loop_defer(finish, submission);
		return;
	}
	submission_enter(submission, SUBMISSION_ENDED);
	submission->ended_at = clock_monotonic();
	send_end(submission, &end);
}

void submission_cancel(struct submission *submission)
{
	struct channel *channel = submission->client->channel;

	if (submission->request != 0 && channel != NULL) {
		channel_begin(channel, QUEUE_CANCEL, submission->request);
		(void)channel_end(channel);
	}
	submission_free(submission);
}
