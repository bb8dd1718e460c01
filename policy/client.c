/* SPDX-License-Identifier: ISC */
/*
 * The asking end. A request remembers its question as it was sent, so that it
 * can be asked again when policy was restarted; its own deadline answers it when
 * policy cannot. Policy hears when nobody waits any more, so that its lookups
 * stop. Observations are not kept for a policy that is away or slow. What smtpd
 * asks about clients and messages is in client_check.c.
 */
#include "policy/client.h"

#include <stdint.h>
#include <string.h>
#include <sys/queue.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/channel.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "base/process.h"
#include "base/net.h"
#include "policy/client_private.h"
#include "policy/message.h"
#include "policy/observation.h"
#include "policy/plan.h"

/* A plan is made within 170 seconds (policy/plan_request.h). */
enum { QUEUED_MAX = 8 << 20, PLAN_MILLISECONDS = 180000,
    GRACE_MILLISECONDS = 500,
    OBSERVATIONS_MAX = 2 << 20 };	/* bytes queued; then they are dropped */

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
	buf_release(&request->question);
	LIST_REMOVE(request, entry);
	mem_free(request);
}

struct policy_waiter policy_request_end(struct policy_request *request)
{
	struct policy_waiter waiter = request->waiter;

	forget(request);
	return waiter;
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
	struct policy_request *request = arg;

	tell_cancelled(request);
	request->kind->give_up(request);
}

/* --- questions --- */

static void ask(struct policy_request *request)
{
	struct policy_client *client = request->client;
	struct wire_writer *writer;

	if (client->channel == NULL)
		return;
	request->number = channel_next_request(client->channel);
	hash_put_id(client->requests, request->number, request);
	writer = channel_begin(client->channel, request->kind->question,
	    request->number);
	if (buf_add(writer->buf, buf_data(&request->question),
	    buf_length(&request->question)) == -1)
		writer->failed = true;
	channel_end(client->channel);
}

struct policy_request *policy_request_new(struct policy_client *client,
    const struct policy_kind *kind, void *arg, struct wire_writer *writer)
{
	struct policy_request *request = mem_alloc(sizeof(*request));

	request->kind = kind;
	request->client = client;
	request->waiter.arg = arg;
	buf_init(&request->question, POLICY_CHECK_QUESTION_MAX);
	LIST_INSERT_HEAD(&client->all, request, entry);
	wire_write_begin(writer, &request->question);
	return request;
}

void policy_request_ask(struct policy_request *request,
    struct wire_writer *writer, int milliseconds)
{
	if (wire_write_end(writer) == -1)
		bug("question of policy");
	timer_start(&request->timer, milliseconds, on_deadline, request);
	ask(request);
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

static int hear_plan(struct policy_request *request, struct wire_reader *body)
{
	struct arena *arena = arena_new(PLAN_MEMORY_MAX);
	struct plan *plan = plan_get(body, arena);
	struct policy_waiter waiter;

	if (plan != NULL && request != NULL) {
		waiter = policy_request_end(request);
		waiter.done.plan(waiter.arg, plan);
	}
	arena_free(arena);
	return plan == NULL ? -1 : 0;
}

static void give_up_plan(struct policy_request *request)
{
	struct policy_waiter waiter = policy_request_end(request);
	struct plan plan = { .ttl = 0 };

	status_set(&plan.status, STATUS_DEFERRED, REASON_DNS, "4.4.3",
	    "the policy process did not answer in time");
	waiter.done.plan(waiter.arg, &plan);
}

static const struct policy_kind kind_plan = {
	.question = POLICY_PLAN, .answer = POLICY_PLAN_ANSWER,
	.hear = hear_plan, .give_up = give_up_plan,
};

static int hear_name(struct policy_request *request, struct wire_reader *body)
{
	struct arena *arena = arena_new(4096);
	const char *name = wire_get_text(body, arena, POLICY_NAME_MAX);
	int result = wire_read_end(body);
	struct policy_waiter waiter;

	if (result == 0 && request != NULL) {
		waiter = policy_request_end(request);
		waiter.done.reverse(waiter.arg, name[0] == '\0' ? NULL :
		    strcmp(name, POLICY_NAME_UNKNOWN) == 0 ? "" : name);
	}
	arena_free(arena);
	return result;
}

static void give_up_name(struct policy_request *request)
{
	struct policy_waiter waiter = policy_request_end(request);

	waiter.done.reverse(waiter.arg, "");
}

static const struct policy_kind kind_reverse = {
	.question = POLICY_REVERSE, .answer = POLICY_REVERSE_ANSWER,
	.hear = hear_name, .give_up = give_up_name,
};

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

static const struct policy_kind *const kinds[] = {
	&kind_plan, &kind_reverse, &policy_kind_spf, &policy_kind_text,
	&policy_kind_dmarc, &policy_kind_listed, &policy_kind_greylist,
};

/* An answer to another question than was asked is nobody's. */
static int hear(struct policy_client *client, struct channel_message *message)
{
	struct policy_request *request = hash_find_id(client->requests,
	    message->request);
	size_t i;

	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (kinds[i]->answer == message->type)
			return kinds[i]->hear(request != NULL &&
			    request->kind == kinds[i] ? request : NULL,
			    &message->body);
	return -1;
}

static void on_message(void *arg, struct channel *channel,
    struct channel_message *message)
{
	struct policy_client *client = arg;
	int result;

	if (message->type == POLICY_CHANGED)
		result = on_changed(client, &message->body);
	else
		result = hear(client, message);
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
	{ .type = POLICY_SPF_ANSWER, .max = POLICY_CHECK_ANSWER_MAX },
	{ .type = POLICY_TEXT_ANSWER, .max = POLICY_CHECK_ANSWER_MAX },
	{ .type = POLICY_DMARC_ANSWER, .max = POLICY_CHECK_ANSWER_MAX },
	{ .type = POLICY_LISTED_ANSWER, .max = POLICY_CHECK_ANSWER_MAX },
	{ .type = POLICY_GREYLIST_ANSWER, .max = POLICY_CHECK_ANSWER_MAX },
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

bool policy_client_is_connected(const struct policy_client *client)
{
	return client->channel != NULL;
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

struct policy_request *policy_plan(struct policy_client *client,
    const struct policy_question *question, policy_plan_done *done, void *arg)
{
	struct wire_writer writer;
	struct policy_request *request = policy_request_new(client, &kind_plan,
	    arg, &writer);

	request->waiter.done.plan = done;
	wire_put_bytes(&writer, question->domain, strnlen(question->domain,
	    POLICY_NAME_MAX));
	wire_put_text(&writer, question->next->host);
	wire_put_u16(&writer, question->next->port);
	wire_put_u8(&writer, question->next->mx);
	wire_put_u8(&writer, question->next->implicit_tls);
	wire_put_u64(&writer, (uint64_t)question->waited);
	wire_put_u8(&writer, (uint8_t)question->wish);
	wire_put_u8(&writer, (uint8_t)(question->message_level + 1));
	policy_request_ask(request, &writer, PLAN_MILLISECONDS);
	return request;
}

struct policy_request *policy_reverse(struct policy_client *client,
    const struct endpoint *address, int milliseconds,
    policy_reverse_done *done, void *arg)
{
	struct wire_writer writer;
	struct policy_request *request = policy_request_new(client,
	    &kind_reverse, arg, &writer);
	bool v6 = address->address.any.sa_family == AF_INET6;

	request->waiter.done.reverse = done;
	wire_put_u8(&writer, v6 ? 6 : 4);
	if (v6)
		wire_put_bytes(&writer, &address->address.v6.sin6_addr, 16);
	else
		wire_put_bytes(&writer, &address->address.v4.sin_addr, 4);
	wire_put_u32(&writer, (uint32_t)milliseconds);
	policy_request_ask(request, &writer, milliseconds +
	    GRACE_MILLISECONDS);
	return request;
}

void policy_cancel(struct policy_request *request)
{
	tell_cancelled(request);
	forget(request);
}
