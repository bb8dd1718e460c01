/* SPDX-License-Identifier: ISC */
/*
 * Logins and ownership, smtpd's end. A login is one number on the channel from
 * its first message to its end; between a challenge and the client's response
 * nothing is awaited here (the session has its own deadline for its client).
 */
#include "policy/directory_client_private.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/hash.h"
#include "base/mem.h"
#include "policy/directory_message.h"

struct directory_login {
	struct directory_client	*client;
	uint32_t		 number;	/* 0: not with the directory */
	struct timer		 timer;		/* the deadline, or the answer
						 * of a call that failed */
	login_done		*done;
	void			*arg;
	LIST_ENTRY(directory_login) entry;
};

static void forget(struct directory_login *login)
{
	if (login->number != 0)
		hash_remove_id(login->client->login_numbers, login->number);
	timer_stop(&login->timer);
	LIST_REMOVE(login, entry);
	mem_free(login);
}

/* At the end of a login the owner has forgotten it: before done. */
static void finish(struct directory_login *login, enum login_answer answer,
    const void *data, size_t length, const char *user)
{
	login_done *done = login->done;
	void *arg = login->arg;

	if (answer == LOGIN_CHALLENGE)
		timer_stop(&login->timer);
	else
		forget(login);
	done(arg, answer, data, length, user);
}

static void unavailable(void *arg)
{
	finish(arg, LOGIN_UNAVAILABLE, "", 0, NULL);
}

static void tell_cancelled(struct directory_login *login)
{
	if (login->number == 0 || login->client->channel == NULL)
		return;
	channel_begin(login->client->channel, DIRECTORY_LOGIN_CANCEL,
	    login->number);
	channel_end(login->client->channel);
}

static void on_deadline(void *arg)
{
	tell_cancelled(arg);
	unavailable(arg);
}

static void await(struct directory_login *login)
{
	timer_start(&login->timer, DIRECTORY_ANSWER_MS, on_deadline, login);
}

/* --- entry points of the client --- */

void directory_client_login_init(struct directory_client *client)
{
	client->login_numbers = hash_new();
	LIST_INIT(&client->logins);
}

void directory_client_login_release(struct directory_client *client)
{
	while (!LIST_EMPTY(&client->logins))
		forget(LIST_FIRST(&client->logins));
	hash_free(client->login_numbers);
}

/* One that waits for its client hears of it at once, too: the directory that
 * comes next does not know it. */
void directory_client_login_lost(struct directory_client *client)
{
	struct directory_login *login;

	client->mechanisms[0] = '\0';
	LIST_FOREACH(login, &client->logins, entry) {
		if (login->number == 0)
			continue;
		hash_remove_id(client->login_numbers, login->number);
		login->number = 0;
		timer_start(&login->timer, 0, unavailable, login);
	}
}

static int take_answer(struct directory_client *client,
    struct channel_message *message)
{
	struct arena *arena = arena_new(1024);
	struct wire_reader *body = &message->body;
	enum login_answer answer = wire_get_enum(body, LOGIN_ANSWERS);
	struct directory_login *login;
	size_t length;
	const void *data = wire_get_bytes(body, LOGIN_DATA_MAX, &length);
	const char *user = wire_get_text(body, arena, LOGIN_USER_MAX);
	int result = wire_read_end(body);

	if (result == 0 && answer != LOGIN_ACCEPTED && *user != '\0')
		result = -1;
	login = result == -1 ? NULL :
	    hash_find_id(client->login_numbers, message->request);
	if (login != NULL)	/* else it was cancelled */
		finish(login, answer, data, length,
		    answer == LOGIN_ACCEPTED ? user : NULL);
	arena_free(arena);
	return result;
}

static int take_owner(struct directory_client *client,
    struct channel_message *message)
{
	enum owner_answer answer = wire_get_enum(&message->body,
	    OWNER_ANSWERS);
	struct directory_request *request;

	if (wire_read_end(&message->body) == -1)
		return -1;
	request = hash_find_id(client->requests, message->request);
	if (request != NULL && request->owner == NULL)
		return -1;
	if (request != NULL)
		directory_request_owner(request, answer);
	return 0;
}

static int take_mechanisms(struct directory_client *client,
    struct channel_message *message)
{
	wire_copy_text(&message->body, client->mechanisms,
	    sizeof(client->mechanisms));
	return wire_read_end(&message->body);
}

int directory_client_login_message(struct directory_client *client,
    struct channel_message *message)
{
	switch (message->type) {
	case DIRECTORY_LOGIN_ANSWER:
		return take_answer(client, message);
	case DIRECTORY_OWNER:
		return take_owner(client, message);
	case DIRECTORY_MECHANISMS:
		return take_mechanisms(client, message);
	default:
		return -1;
	}
}

/* --- entry points of policy/directory_client.h --- */

static void put_endpoint(struct wire_writer *writer,
    const struct endpoint *endpoint)
{
	char text[ENDPOINT_TEXT_MAX];

	endpoint_format(endpoint, text, sizeof(text));
	wire_put_text(writer, text);
	wire_put_u16(writer, endpoint_port(endpoint));
}

struct directory_login *directory_login(struct directory_client *client,
    const struct login_context *context, const void *initial, size_t length,
    login_done *done, void *arg)
{
	struct directory_login *login = mem_alloc(sizeof(*login));
	struct wire_writer *writer;

	login->client = client;
	login->done = done;
	login->arg = arg;
	LIST_INSERT_HEAD(&client->logins, login, entry);
	if (client->channel == NULL || length > LOGIN_DATA_MAX) {
		timer_start(&login->timer, 0, unavailable, login);
		return login;
	}
	login->number = channel_next_request(client->channel);
	hash_put_id(client->login_numbers, login->number, login);
	writer = channel_begin(client->channel, DIRECTORY_LOGIN,
	    login->number);
	wire_put_text(writer, context->mechanism);
	put_endpoint(writer, context->client);
	put_endpoint(writer, context->local);
	wire_put_text(writer, context->certificate);
	wire_put_bytes(writer, context->binding, context->binding_length);
	wire_put_u8(writer, initial != NULL);
	wire_put_bytes(writer, initial == NULL ? "" : initial, length);
	channel_end(client->channel);
	await(login);
	return login;
}

void directory_login_go_on(struct directory_login *login,
    const void *response, size_t length)
{
	if (login->number == 0 || length > LOGIN_DATA_MAX) {
		tell_cancelled(login);
		timer_start(&login->timer, 0, unavailable, login);
		return;
	}
	wire_put_bytes(channel_begin(login->client->channel,
	    DIRECTORY_LOGIN_MORE, login->number), response, length);
	channel_end(login->client->channel);
	await(login);
}

void directory_login_cancel(struct directory_login *login)
{
	tell_cancelled(login);
	forget(login);
}

const char *directory_mechanisms(const struct directory_client *client)
{
	return client->mechanisms;
}

struct directory_request *directory_owns(struct directory_client *client,
    const char *user, const char *address, owner_done *done, void *arg)
{
	struct directory_request *request =
	    directory_request_new(client);
	struct wire_writer *writer;

	request->owner = done;
	request->arg = arg;
	if (request->number == 0)
		return request;
	writer = channel_begin(client->channel, DIRECTORY_OWNS,
	    request->number);
	wire_put_text(writer, user);
	wire_put_text(writer, address);
	channel_end(client->channel);
	return request;
}
