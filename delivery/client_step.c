/* SPDX-License-Identifier: ISC */
/*
 * The dialogue as a table of steps with two cursors over it: one where we
 * send, one where replies are due. When the server can pipeline, the first
 * runs ahead of the second, up to a bounded group (RFC 2920 3.1); the two meet
 * behind every step that ends a group. A small message for a server with
 * CHUNKING is a part of the group (RFC 3030 4.2): one round trip for all of
 * it. Nothing here blocks, and replies are
 * read while we send, so neither side can wait for the other (SMTP-88).
 */
#include "delivery/client_private.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/stream.h"
#include "conf/conf.h"
#include "delivery/profile.h"

enum step_timeout { TIMEOUT_GREETING, TIMEOUT_REPLY, TIMEOUT_FINAL,
    TIMEOUT_QUIT };

enum { QUIT_SECONDS = 5 };

static void send_quit(struct client *client)
{
	buf_add_string(&client->command, "QUIT");
	client_write_command(client);
}

/* Whatever the answer is: we go. */
static void on_quit(struct client *client)
{
	client_enter(client, CLIENT_STATE_GONE);
}

static void send_nothing(struct client *client)
{
	(void)client;
}

static const struct step_entry {
	const char		*name;
	void			(*send)(struct client *client);
	void			(*on_reply)(struct client *client);
	enum step_timeout	 timeout;
	bool			 ends_group;
} steps[] = {
	[STEP_GREETING] = { "greeting", send_nothing, step_on_greeting,
	    TIMEOUT_GREETING, true },
	[STEP_EHLO] = { "EHLO", step_send_ehlo, step_on_ehlo,
	    TIMEOUT_REPLY, true },
	[STEP_HELO] = { "HELO", step_send_helo, step_on_helo,
	    TIMEOUT_REPLY, true },
	[STEP_STARTTLS] = { "STARTTLS", step_send_starttls, step_on_starttls,
	    TIMEOUT_REPLY, true },
	[STEP_AUTH] = { "AUTH", step_send_auth, step_on_auth, TIMEOUT_REPLY,
	    true },
	[STEP_RESPONSE] = { "AUTH", step_send_response, step_on_auth,
	    TIMEOUT_REPLY, true },
	[STEP_RSET] = { "RSET", step_send_rset, step_on_rset,
	    TIMEOUT_REPLY, false },
	[STEP_MAIL] = { "MAIL", step_send_mail, step_on_mail,
	    TIMEOUT_REPLY, false },
	[STEP_RCPT] = { "RCPT", step_send_rcpt, step_on_rcpt,
	    TIMEOUT_REPLY, false },
	[STEP_DATA] = { "DATA", step_send_data, step_on_data,
	    TIMEOUT_REPLY, true },
	[STEP_MESSAGE] = { "message", step_send_message, step_on_message,
	    TIMEOUT_FINAL, true },
	[STEP_QUIT] = { "QUIT", send_quit, on_quit, TIMEOUT_QUIT, true },
};

const char *step_name(enum step step)
{
	return step < STEP_NONE ? steps[step].name : "nothing";
}

/* Starts the deadline of a step's reply. SMTP-157: one timer per command. */
void client_wait(struct client *client, enum step step)
{
	const struct conf *conf = client->profile->conf;
	int64_t seconds = 0;

	switch (steps[step].timeout) {
	case TIMEOUT_GREETING: seconds = conf->greeting_timeout; break;
	case TIMEOUT_REPLY: seconds = conf->reply_timeout; break;
	case TIMEOUT_FINAL: seconds = conf->data_reply_timeout; break;
	case TIMEOUT_QUIT: seconds = QUIT_SECONDS; break;
	default: bug("step-timeout");
	}
	stream_deadline(client->stream, seconds * 1000);
}

void client_write_command(struct client *client)
{
	struct status status;

	if (buf_add_string(&client->command, "\r\n") == 0 &&
	    stream_write(client->stream, buf_data(&client->command),
	    buf_length(&client->command)) == 0) {
		buf_reset(&client->command);
		return;
	}
	buf_reset(&client->command);
	status_set(&status, STATUS_DEFERRED, REASON_LOCAL, "4.3.0",
	    "a command grew too long to be sent");
	client_break(client, &status);
}

/* The step that follows one in a transaction. */
static struct cursor cursor_next(const struct client *client,
    struct cursor at)
{
	switch (at.step) {
	case STEP_RSET:
		return (struct cursor){ STEP_MAIL, 0 };
	case STEP_MAIL:
		return (struct cursor){ STEP_RCPT, 0 };
	case STEP_RCPT:
		if (at.recipient + 1 < client->chosen_count)
			return (struct cursor){ STEP_RCPT, at.recipient + 1 };
		return (struct cursor){ client->counts ? STEP_MESSAGE :
		    STEP_DATA, 0 };
	case STEP_DATA:
		return (struct cursor){ STEP_MESSAGE, 0 };
	default:
		return (struct cursor){ STEP_NONE, 0 };
	}
}

static bool may_send(const struct client *client)
{
	if (client->state != CLIENT_STATE_SENDING ||
	    client->sending.step == STEP_NONE)
		return false;
	if (client->outstanding == 0)
		return true;
	if (client->sending.step == STEP_MESSAGE && !client->may_run_ahead)
		return false;
	return client->capability.pipelining && !client->group_ended &&
	    client->outstanding < CLIENT_GROUP_MAX;
}

/* Everything asked was answered, and there is more: an answer to what was not
 * said yet, perhaps put there by somebody else (I-02, I-04). The message is
 * another matter: a server may refuse it when it has seen enough. */
static bool is_early(const struct client *client, enum step step)
{
	return step != STEP_GREETING && step != STEP_MESSAGE &&
	    step != STEP_QUIT &&
	    buf_length(stream_input(client->stream)) > 0;
}

static void break_early(struct client *client, enum step step)
{
	struct status status;

	status_print(&status, STATUS_DEFERRED, REASON_PROTOCOL, "4.5.0",
	    "%s was answered before it was said", step_name(step));
	client_break(client, &status);
}

void client_pump(struct client *client)
{
	while (may_send(client)) {
		enum step step = client->sending.step;

		if (client->outstanding == 0 && is_early(client, step)) {
			break_early(client, step);
			return;
		}
		if (client->outstanding == 0)
			client_wait(client, step);
		client->outstanding++;
		client->group_ended = steps[step].ends_group;
		steps[step].send(client);
		if (client->state != CLIENT_STATE_SENDING)
			return;
		client->sending = cursor_next(client, client->sending);
	}
}

void client_say(struct client *client, enum step step)
{
	if (is_early(client, step)) {
		break_early(client, step);
		return;
	}
	client->sending.step = STEP_NONE;
	client->receiving = (struct cursor){ step, 0 };
	client->outstanding = 1;
	client->group_ended = true;
	client_wait(client, step);
	steps[step].send(client);
}

void client_break_odd(struct client *client)
{
	struct status status;

	status_print(&status, STATUS_DEFERRED, REASON_PROTOCOL, "4.5.0",
	    "an answer to %s that has no meaning there: %d",
	    step_name(client->receiving.step), client->reply.code);
	client_break(client, &status);
}

/* A reply nobody asked for: only 421 has a meaning (RFC 5321 3.8). */
static void on_unsolicited(struct client *client)
{
	struct status status;

	if (client->reply.code == 421)
		client_status_host(client, &status);
	else
		status_print(&status, STATUS_DEFERRED, REASON_PROTOCOL,
		    "4.5.0", "a reply to nothing: %d", client->reply.code);
	client_break(client, &status);
}

/* 421 at any point: the server is about to close (RFC 5321 3.8). */
static void on_closing(struct client *client)
{
	struct status status;

	client_status_host(client, &status);
	client_break(client, &status);
}

/* One reply is whole. In a transaction, the dialogue then goes on or ends. */
static void on_reply(struct client *client)
{
	enum step step = client->receiving.step;

	if (client->outstanding == 0) {
		on_unsolicited(client);
		return;
	}
	client->outstanding--;
	if (client->outstanding > 0)
		client_wait(client, step);
	else
		client->group_ended = false;
	if (client->state == CLIENT_STATE_SENDING &&
	    client->reply.code == 421) {
		on_closing(client);
		return;
	}
	client->answered = client->was_answered = true;
	client->heard_at = clock_monotonic();
	steps[step].on_reply(client);
	if (client->state != CLIENT_STATE_SENDING)
		return;
	/* LMTP: the same step for each recipient (RFC 2033 4.2). */
	if (step != STEP_MESSAGE || client->outstanding == 0)
		client->receiving = cursor_next(client, client->receiving);
	/* It has been said, and nothing else is to be answered before. */
	if (client->receiving.step == STEP_MESSAGE &&
	    client->sending.step == STEP_NONE && client->outstanding > 0)
		client_wait(client, STEP_MESSAGE);
	client_pump(client);
	if (client->state == CLIENT_STATE_SENDING && client->outstanding == 0)
		client_end_transaction(client);
}

static bool is_reading(const struct client *client)
{
	return client->state == CLIENT_STATE_OPENING ||
	    client->state == CLIENT_STATE_READY ||
	    client->state == CLIENT_STATE_SENDING ||
	    client->state == CLIENT_STATE_LEAVING;
}

void client_receive(struct client *client)
{
	struct status status;

	while (is_reading(client)) {
		enum answer_progress progress = answer_read(&client->reply,
		    stream_input(client->stream));

		stream_consumed(client->stream);
		if (progress == ANSWER_MORE) {
			/* The first lines of it are enough. */
			if (client->outstanding == 0 &&
			    client->reply.line_count > 0)
				on_unsolicited(client);
			return;
		}
		if (progress == ANSWER_BAD) {
			status_print(&status, STATUS_DEFERRED, REASON_PROTOCOL,
			    "4.5.0", "an invalid reply to %s: %s",
			    step_name(client->receiving.step),
			    client->reply.problem);
			client_break(client, &status);
			return;
		}
		on_reply(client);
		answer_reset(&client->reply);
	}
}
