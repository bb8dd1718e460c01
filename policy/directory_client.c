/* SPDX-License-Identifier: ISC */
/*
 * smtpd's end of the directory channel. Questions that were on their way when
 * the directory went away are answered UNAVAILABLE: the peer is told 451 and
 * comes again.
 */
#include "policy/directory_client_private.h"

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

enum { QUEUED_MAX = 4 << 20 };

static void forget(struct directory_request *request)
{
	if (request->number != 0)
		hash_remove_id(request->client->requests, request->number);
	timer_stop(&request->timer);
	LIST_REMOVE(request, entry);
	mem_free(request);
}

static void finish(struct directory_request *request,
    enum directory_answer answer, const struct directory_found *found)
{
	directory_done *done = request->done;
	void *arg = request->arg;

	forget(request);
	done(arg, answer, found);
}

void directory_request_owner(struct directory_request *request,
    enum owner_answer answer)
{
	owner_done *owner = request->owner;
	void *arg = request->arg;

	forget(request);
	owner(arg, answer);
}

static void unavailable(void *arg)
{
	const struct directory_request *request = arg;

	if (request->owner != NULL)
		directory_request_owner(arg, OWNER_UNAVAILABLE);
	else
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
	directory_client_login_lost(client);
}

static void on_malformed(struct directory_client *client,
    struct channel *channel)
{
	log_error("malformed answer: closing",
	    log_text("peer", channel_peer(channel)));
	disconnect(client);
	process_peer_lost(ROLE_DIRECTORY, 0);
}

static void on_login_message(struct directory_client *client,
    struct channel *channel, struct channel_message *message)
{
	if (directory_client_login_message(client, message) == -1)
		on_malformed(client, channel);
}

static void on_message(void *arg, struct channel *channel,
    struct channel_message *message)
{
	struct directory_client *client = arg;
	struct directory_answer_message answer;
	struct directory_request *request;
	struct arena *arena;

	if (message->type != DIRECTORY_ANSWER) {
		on_login_message(client, channel, message);
		return;
	}
	arena = arena_new(DIRECTORY_ARENA_MAX);
	if (directory_get_answer(&message->body, arena, &answer) == -1) {
		on_malformed(client, channel);
	} else {
		request = hash_find_id(client->requests, message->request);
		if (request != NULL && request->owner == NULL)
			finish(request, answer.answer, answer.answer ==
			    DIRECTORY_FOUND ? &answer.found : NULL);
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
	{ .type = DIRECTORY_LOGIN_ANSWER, .max = DIRECTORY_LOGIN_MAX },
	{ .type = DIRECTORY_OWNER, .max = 8 },
	{ .type = DIRECTORY_MECHANISMS, .max = DIRECTORY_MECHANISMS_MAX + 8 },
	{ .type = DIRECTORY_ANSWER, .max = DIRECTORY_ANSWER_BYTES },
};

static const struct channel_handler handler = {
	.rules = rules,
	.rule_count = sizeof(rules) / sizeof(rules[0]),
	.message = on_message,
	.closed = on_closed,
	.secret = true,
};

struct directory_client *directory_client_new(void)
{
	struct directory_client *client = mem_alloc(sizeof(*client));

	client->requests = hash_new();
	LIST_INIT(&client->all);
	directory_client_login_init(client);
	return client;
}

void directory_client_free(struct directory_client *client)
{
	if (client->channel != NULL)
		channel_free(client->channel);
	while (!LIST_EMPTY(&client->all))
		forget(LIST_FIRST(&client->all));
	directory_client_login_release(client);
	hash_free(client->requests);
	mem_free(client);
}

void directory_client_connect(struct directory_client *client, int fd)
{
	disconnect(client);
	client->channel = channel_new(fd, "directory", &handler, client,
	    QUEUED_MAX);
}

struct directory_request *directory_request_new(
    struct directory_client *client)
{
	struct directory_request *request = mem_alloc(sizeof(*request));

	request->client = client;
	LIST_INSERT_HEAD(&client->all, request, entry);
	if (client->channel == NULL) {
		timer_start(&request->timer, 0, unavailable, request);
		return request;
	}
	request->number = channel_next_request(client->channel);
	hash_put_id(client->requests, request->number, request);
	timer_start(&request->timer, DIRECTORY_ANSWER_MS, unavailable,
	    request);
	return request;
}

struct directory_request *directory_check(struct directory_client *client,
    const char *address, const char *sender, directory_done *done, void *arg)
{
	struct directory_request *request = directory_request_new(client);

	request->done = done;
	request->arg = arg;
	if (request->number == 0)
		return request;
	directory_put_check(channel_begin(client->channel, DIRECTORY_CHECK,
	    request->number), &(struct directory_check_message){ address,
	    sender });
	channel_end(client->channel);
	return request;
}

void directory_cancel(struct directory_request *request)
{
	forget(request);
}
