/* SPDX-License-Identifier: ISC */
/*
 * The asking end. A request remembers its question, so that it can be asked
 * again when policy was restarted; its own deadline answers it when policy
 * cannot. Policy hears when nobody waits any more, so that its lookups stop.
 * Observations are not kept for a policy that is away or slow.
 */
#include "policy/client.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/queue.h>

#include "base/arena.h"
#include "base/channel.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "base/process.h"
#include "base/net.h"
#include "policy/message.h"
#include "policy/observation.h"
#include "policy/plan.h"

/* A plan is made within 170 seconds (policy/plan_request.h). */
enum { QUEUED_MAX = 8 << 20, PLAN_MILLISECONDS = 180000,
    GRACE_MILLISECONDS = 500,
    OBSERVATIONS_MAX = 2 << 20 };	/* bytes queued; then they are dropped */

struct policy_request {
	struct policy_client	*client;
	uint32_t		 number;	/* 0: not sent */
	struct timer		 timer;

	/* the question: done_plan or done_reverse is set */
	char			 domain[POLICY_NAME_MAX + 1];
	struct conf_next_hop	 next;
	int64_t			 waited;
	enum plan_wish		 wish;
	int			 message_level;	/* -1: none */
	struct endpoint		 address;
	int			 milliseconds;

	policy_plan_done	*done_plan;
	policy_reverse_done	*done_reverse;
	void			*arg;
	LIST_ENTRY(policy_request) entry;
};

struct policy_client {
	struct channel	*channel;	/* owned; null while away */
	struct hash	*requests;	/* number -> request */
	LIST_HEAD(, policy_request) all;
	bool		 was_connected;
	void		(*changed)(void *arg, const char *pattern);
	void		*changed_arg;
};

static void forget(struct policy_request *request)
{
	if (request->number != 0)
		hash_remove_id(request->client->requests, request->number);
	timer_stop(&request->timer);
	LIST_REMOVE(request, entry);
	mem_free(request);
}

static void finish(struct policy_request *request, const struct plan *plan,
    const char *name)
{
	struct policy_request kept = *request;

	forget(request);
	if (kept.done_plan != NULL)
		kept.done_plan(kept.arg, plan);
	else
		kept.done_reverse(kept.arg, name);
}

static void tell_cancelled(struct policy_request *request)
{
	if (request->number == 0)
		return;
	channel_begin(request->client->channel, POLICY_CANCEL,
	    request->number);
	channel_end(request->client->channel);
}

static void on_deadline(void *arg)
{
	struct plan plan = { .ttl = 0 };

	tell_cancelled(arg);
	status_set(&plan.status, STATUS_DEFERRED, REASON_DNS, "4.4.3",
	    "the policy process did not answer in time");
	finish(arg, &plan, NULL);
}

/* --- questions --- */

static void send_plan(struct policy_request *request)
{
	struct wire_writer *writer;

	writer = channel_begin(request->client->channel, POLICY_PLAN,
	    request->number);
	wire_put_text(writer, request->domain);
	wire_put_text(writer, request->next.host);
	wire_put_u16(writer, request->next.port);
	wire_put_u8(writer, request->next.mx);
	wire_put_u8(writer, request->next.implicit_tls);
	wire_put_u64(writer, (uint64_t)request->waited);
	wire_put_u8(writer, (uint8_t)request->wish);
	wire_put_u8(writer, (uint8_t)(request->message_level + 1));
	channel_end(request->client->channel);
}

static void send_reverse(struct policy_request *request)
{
	const struct endpoint *address = &request->address;
	struct wire_writer *writer;
	bool v6 = address->address.any.sa_family == AF_INET6;

	writer = channel_begin(request->client->channel, POLICY_REVERSE,
	    request->number);
	wire_put_u8(writer, v6 ? 6 : 4);
	if (v6)
		wire_put_bytes(writer, &address->address.v6.sin6_addr, 16);
	else
		wire_put_bytes(writer, &address->address.v4.sin_addr, 4);
	wire_put_u32(writer, (uint32_t)request->milliseconds);
	channel_end(request->client->channel);
}

static void ask(struct policy_request *request)
{
	struct policy_client *client = request->client;

	if (client->channel == NULL)
		return;
	request->number = channel_next_request(client->channel);
	hash_put_id(client->requests, request->number, request);
	if (request->done_plan != NULL)
		send_plan(request);
	else
		send_reverse(request);
}

/* --- answers --- */

static void disconnect(struct policy_client *client)
{
	struct policy_request *request;

	if (client->channel == NULL)
		return;
	channel_free(client->channel);
	client->channel = NULL;
	LIST_FOREACH(request, &client->all, entry) {
		if (request->number == 0)
			continue;
		hash_remove_id(client->requests, request->number);
		request->number = 0;
	}
}

static int on_plan_answer(struct policy_request *request,
    struct wire_reader *body)
{
	struct arena *arena = arena_new(PLAN_MEMORY_MAX);
	struct plan *plan = plan_get(body, arena);

	if (plan != NULL && request != NULL && request->done_plan != NULL)
		finish(request, plan, NULL);
	arena_free(arena);
	return plan == NULL ? -1 : 0;
}

static int on_reverse_answer(struct policy_request *request,
    struct wire_reader *body)
{
	struct arena *arena = arena_new(4096);
	const char *name = wire_get_text(body, arena, POLICY_NAME_MAX);
	int result = wire_read_end(body);

	if (result == 0 && request != NULL && request->done_reverse != NULL)
		finish(request, NULL, name[0] == '\0' ? NULL : name);
	arena_free(arena);
	return result;
}

static int on_changed(struct policy_client *client, struct wire_reader *body)
{
	struct arena *arena = arena_new(4096);
	const char *pattern = wire_get_text(body, arena, POLICY_NAME_MAX);
	int result = wire_read_end(body);

	if (result == 0 && client->changed != NULL)
		client->changed(client->changed_arg, pattern);
	arena_free(arena);
	return result;
}

static void on_message(void *arg, struct channel *channel,
    struct channel_message *message)
{
	struct policy_client *client = arg;
	struct policy_request *request;
	int result = -1;

	request = hash_find_id(client->requests, message->request);
	switch (message->type) {
	case POLICY_PLAN_ANSWER:
		result = on_plan_answer(request, &message->body);
		break;
	case POLICY_REVERSE_ANSWER:
		result = on_reverse_answer(request, &message->body);
		break;
	case POLICY_CHANGED:
		result = on_changed(client, &message->body);
		break;
	}
	/* The callback may have freed the client only together with its role:
	 * nothing else may follow it here. */
	if (result == -1) {
		log_error("malformed answer: closing",
		    log_text("peer", channel_peer(channel)));
		disconnect(client);
		process_peer_lost(ROLE_POLICY, 0);
	}
}

static void on_closed(void *arg, struct channel *channel)
{
	(void)channel;
	disconnect(arg);
	process_peer_lost(ROLE_POLICY, 0);
}

static const struct channel_rule rules[] = {
	{ .type = POLICY_PLAN_ANSWER, .max = POLICY_PLAN_MAX },
	{ .type = POLICY_REVERSE_ANSWER, .max = POLICY_NAME_MAX + 8 },
	{ .type = POLICY_CHANGED, .max = POLICY_NAME_MAX + 8 },
};

static const struct channel_handler handler = {
	.rules = rules,
	.rule_count = sizeof(rules) / sizeof(rules[0]),
	.message = on_message,
	.closed = on_closed,
};

struct policy_client *policy_client_new(void)
{
	struct policy_client *client = mem_alloc(sizeof(*client));

	client->requests = hash_new();
	LIST_INIT(&client->all);
	return client;
}

void policy_client_free(struct policy_client *client)
{
	if (client->channel != NULL)
		channel_free(client->channel);
	while (!LIST_EMPTY(&client->all))
		forget(LIST_FIRST(&client->all));
	loop_undefer(client);
	hash_free(client->requests);
	mem_free(client);
}

/* What changed while nobody told us is not known. */
static void tell_reconnected(void *arg)
{
	struct policy_client *client = arg;

	if (client->changed != NULL)
		client->changed(client->changed_arg, "");
}

void policy_client_connect(struct policy_client *client, int fd)
{
	struct policy_request *request;

	disconnect(client);
	client->channel = channel_new(fd, "policy", &handler, client,
	    QUEUED_MAX);
	LIST_FOREACH(request, &client->all, entry)
		ask(request);
	if (client->was_connected)
		loop_defer(tell_reconnected, client);
	client->was_connected = true;
}

void policy_client_on_change(struct policy_client *client,
    void (*changed)(void *arg, const char *pattern), void *arg)
{
	client->changed = changed;
	client->changed_arg = arg;
}

void policy_observe(struct policy_client *client,
    const struct observation *observation)
{
	if (client->channel == NULL ||
	    channel_queued(client->channel) > OBSERVATIONS_MAX)
		return;
	observation_put(channel_begin(client->channel, POLICY_OBSERVED, 0),
	    observation);
	channel_end(client->channel);
}

static struct policy_request *request_new(struct policy_client *client,
    void *arg)
{
	struct policy_request *request = mem_alloc(sizeof(*request));

	request->client = client;
	request->arg = arg;
	LIST_INSERT_HEAD(&client->all, request, entry);
	return request;
}

struct policy_request *policy_plan(struct policy_client *client,
    const struct policy_question *question, policy_plan_done *done, void *arg)
{
	struct policy_request *request = request_new(client, arg);

	request->done_plan = done;
	request->next = *question->next;
	request->waited = question->waited;
	request->wish = question->wish;
	request->message_level = question->message_level;
	snprintf(request->domain, sizeof(request->domain), "%s",
	    question->domain);
	timer_start(&request->timer, PLAN_MILLISECONDS, on_deadline, request);
	ask(request);
	return request;
}

struct policy_request *policy_reverse(struct policy_client *client,
    const struct endpoint *address, int milliseconds,
    policy_reverse_done *done, void *arg)
{
	struct policy_request *request = request_new(client, arg);

	request->done_reverse = done;
	request->address = *address;
	request->milliseconds = milliseconds;
	timer_start(&request->timer, milliseconds + GRACE_MILLISECONDS,
	    on_deadline, request);
	ask(request);
	return request;
}

void policy_cancel(struct policy_request *request)
{
	tell_cancelled(request);
	forget(request);
}
