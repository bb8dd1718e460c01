/* SPDX-License-Identifier: ISC */
/*
 * smtpd's end of the directory channel. Questions that were on their way when
 * the directory went away are answered UNAVAILABLE: the peer is told 451 and
 * comes again.
 */
#include "policy/directory_client.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/arena.h"
#include "base/channel.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "base/process.h"
#include "policy/directory_message.h"

enum { QUEUED_MAX = 4 << 20, ANSWER_MILLISECONDS = 30000 };

struct directory_request {
	struct directory_client	*client;
	uint32_t		 number;	/* 0: not on its way */
	struct timer		 timer;		/* the deadline, or the answer
						 * of a call that failed */
	directory_done		*done;
	void			*arg;
	LIST_ENTRY(directory_request) entry;
};

struct directory_client {
	struct channel	*channel;	/* owned; null while away */
	struct hash	*requests;	/* number -> request */
	LIST_HEAD(, directory_request) all;
};

static void forget(struct directory_request *request)
{
	if (request->number != 0)
		hash_remove_id(request->client->requests, request->number);
	timer_stop(&request->timer);
	LIST_REMOVE(request, entry);
	mem_free(request);
}

static void finish(struct directory_request *request,
    enum directory_answer answer, const char *mailbox)
{
	directory_done *done = request->done;
	void *arg = request->arg;

	forget(request);
	done(arg, answer, mailbox);
}

static void unavailable(void *arg)
{
	finish(arg, DIRECTORY_UNAVAILABLE, NULL);
}

/* Nobody will answer these: they end in the next turn. */
static void disconnect(struct directory_client *client)
{
	struct directory_request *request;

	if (client->channel == NULL)
		return;
	channel_free(client->channel);
	client->channel = NULL;
	LIST_FOREACH(request, &client->all, entry) {
		if (request->number == 0)
			continue;
		hash_remove_id(client->requests, request->number);
		request->number = 0;
		timer_start(&request->timer, 0, unavailable, request);
	}
}

static void on_message(void *arg, struct channel *channel,
    struct channel_message *message)
{
	struct directory_client *client = arg;
	struct arena *arena = arena_new(4096);
	struct directory_request *request;
	enum directory_answer answer;
	const char *mailbox;

	answer = wire_get_enum(&message->body, DIRECTORY_UNAVAILABLE + 1);
	mailbox = wire_get_text(&message->body, arena, DIRECTORY_TEXT_MAX);
	if (wire_read_end(&message->body) == -1) {
		log_error("malformed answer: closing",
		    log_text("peer", channel_peer(channel)));
		disconnect(client);
		process_peer_lost(ROLE_DIRECTORY, 0);
	} else {
		request = hash_find_id(client->requests, message->request);
		if (request != NULL)	/* else it was cancelled */
			finish(request, answer, answer == DIRECTORY_FOUND ?
			    mailbox : NULL);
	}
	arena_free(arena);
}

static void on_closed(void *arg, struct channel *channel)
{
	(void)channel;
	disconnect(arg);
	process_peer_lost(ROLE_DIRECTORY, 0);
}

static const struct channel_rule rules[] = {
	{ .type = DIRECTORY_ANSWER, .max = DIRECTORY_TEXT_MAX + 16 },
};

static const struct channel_handler handler = {
	.rules = rules,
	.rule_count = sizeof(rules) / sizeof(rules[0]),
	.message = on_message,
	.closed = on_closed,
};

struct directory_client *directory_client_new(void)
{
	struct directory_client *client = mem_alloc(sizeof(*client));

	client->requests = hash_new();
	LIST_INIT(&client->all);
	return client;
}

void directory_client_free(struct directory_client *client)
{
	if (client->channel != NULL)
		channel_free(client->channel);
	while (!LIST_EMPTY(&client->all))
		forget(LIST_FIRST(&client->all));
	hash_free(client->requests);
	mem_free(client);
}

void directory_client_connect(struct directory_client *client, int fd)
{
	disconnect(client);
	client->channel = channel_new(fd, "directory", &handler, client,
	    QUEUED_MAX);
}

struct directory_request *directory_check(struct directory_client *client,
    const char *address, directory_done *done, void *arg)
{
	struct directory_request *request = mem_alloc(sizeof(*request));

	request->client = client;
	request->done = done;
	request->arg = arg;
	LIST_INSERT_HEAD(&client->all, request, entry);
	if (client->channel == NULL) {
		timer_start(&request->timer, 0, unavailable, request);
		return request;
	}
	request->number = channel_next_request(client->channel);
	hash_put_id(client->requests, request->number, request);
	wire_put_text(channel_begin(client->channel, DIRECTORY_CHECK,
	    request->number), address);
	channel_end(client->channel);
	timer_start(&request->timer, ANSWER_MILLISECONDS, unavailable,
	    request);
	return request;
}

void directory_cancel(struct directory_request *request)
{
	forget(request);
}
