/* SPDX-License-Identifier: ISC */
/*
 * The steps of one transaction: [RSET] MAIL RCPT... DATA, the message. Each
 * recipient moves on by the replies that are its own. Where the server takes
 * DATA although it took no recipient, it gets a lone dot (RFC 2920 3.1,
 * SMTP-85). Nobody is delivered without a 2xx to the final dot (SMTP-66).
 *
 * Where the server has CHUNKING a small message goes by BDAT (RFC 3030), which
 * leaves with MAIL and RCPT if the connection was heard of just now. Who gets
 * it is the server's to say as before: BDAT counts for the recipients that it
 * took, and is refused when it took none.
 */
#include "delivery/client_private.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/stream.h"
#include "base/utf8.h"
#include "base/xtext.h"
#include "conf/conf.h"
#include "delivery/delivery_log.h"
#include "delivery/mail.h"
#include "delivery/profile.h"
#include "queue/envelope.h"

/* RFC 3461 4.2: of the parameter's value, type and all. */
enum { ORCPT_MAX = 500 - 6 };

/* A connection on which nothing was heard for longer may have been closed
 * meanwhile. What went to nobody must not look like a message whose answer was
 * lost, so the message waits for the answers to RCPT there. */
enum { FRESH_MILLISECONDS = 1000 };

/* --- sending --- */

/* What stands in a command may hold no byte that ends or splits it. */
static bool is_plain(const char *text)
{
	for (; *text != '\0'; text++)
		if ((unsigned char)*text <= ' ' || *text == 0x7f)
			return false;
	return true;
}

static void add_option(struct client *client, const char *name,
    const char *value)
{
	if (value != NULL && *value != '\0' && is_plain(value))
		buf_print(&client->command, " %s=%s", name, value);
}

void step_send_rset(struct client *client)
{
	buf_add_string(&client->command, "RSET");
	client_write_command(client);
}

/* Only what was offered is said (SMTP-158); DSN options go on unchanged to
 * those who know them (SMTP-122, SMTP-123). */
void step_send_mail(struct client *client)
{
	const struct capability *capability = &client->capability;
	const struct job *job = client->mail->job;

	buf_print(&client->command, "MAIL FROM:<%s>", job->sender);
	if (capability->size)
		buf_print(&client->command, " SIZE=%llu",
		    (unsigned long long)mail_size(client->mail));
	if (capability->eight_bit &&
	    (job->flags & (ENVELOPE_8BIT | ENVELOPE_HAS_8BIT)) != 0)
		buf_add_string(&client->command, " BODY=8BITMIME");
	if (client->says_utf8)
		buf_add_string(&client->command, " SMTPUTF8");
	/* REQ-46; REQ-4: what was offered in clear is void */
	if (client->requiretls && (job->flags & ENVELOPE_REQUIRETLS) != 0 &&
	    client_takes_requiretls(client))
		buf_add_string(&client->command, " REQUIRETLS");
	if (capability->dsn) {
		if ((job->flags & ENVELOPE_RET_FULL) != 0)
			add_option(client, "RET", "FULL");
		else if ((job->flags & ENVELOPE_RET_HEADERS) != 0)
			add_option(client, "RET", "HDRS");
		add_option(client, "ENVID", job->envid);
	}
	client_write_command(client);
}

/* An ORCPT in UTF-8 has a form in ASCII, for where SMTPUTF8 is not said
 * (RFC 6533 3); it is the same address. */
static void add_original(struct client *client, const char *original)
{
	char ascii[UTF8_ADDR_GROWTH * ENVELOPE_TEXT_MAX + 1];
	char address[ENVELOPE_TEXT_MAX + 1];

	if (original == NULL || client->says_utf8 || utf8_is_ascii(original)) {
		add_option(client, "ORCPT", original);
		return;
	}
	if (strncasecmp(original, "utf-8;", 6) != 0 ||
	    utf8_addr_read(address, sizeof(address), original + 6) != 0 ||
	    utf8_addr_write(ascii, sizeof(ascii), address) != 0)
		return;
	if (strlen(ascii) <= ORCPT_MAX)
		buf_print(&client->command, " ORCPT=utf-8;%s", ascii);
}

static void add_notify(struct client *client, unsigned notify)
{
	static const struct { unsigned flag; const char *name; } names[] = {
		{ NOTIFY_NEVER, "NEVER" }, { NOTIFY_SUCCESS, "SUCCESS" },
		{ NOTIFY_FAILURE, "FAILURE" }, { NOTIFY_DELAY, "DELAY" },
	};
	const char *before = " NOTIFY=";
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if ((notify & names[i].flag) == 0)
			continue;
		buf_print(&client->command, "%s%s", before, names[i].name);
		before = ",";
	}
}

void step_send_rcpt(struct client *client)
{
	size_t index = client->chosen[client->sending.recipient];
	const struct job_recipient *to = &client->mail->job->recipients[index];

	buf_print(&client->command, "RCPT TO:<%s>", to->address);
	if (client->capability.dsn) {
		add_notify(client, to->notify);
		add_original(client, to->original);
	}
	client_write_command(client);
}

void step_send_data(struct client *client)
{
	buf_add_string(&client->command, "DATA");
	client_write_command(client);
}

static void on_body(void *arg, enum payload_event event)
{
	struct client *client = arg;
	struct status status;

	if (event == PAYLOAD_SAID) {
		client->dot_said = true;
		client_wait(client, STEP_MESSAGE);
		return;
	}
	/* Without the dot the server must forget it all (SMTP-52). */
	status_set(&status, STATUS_DEFERRED, REASON_LOCAL, "4.3.0",
	    "the stored message could not be read");
	client_break(client, &status);
}

/* The whole message, in one write with what waits to be sent. */
static void send_counted(struct client *client)
{
	const void *data;
	size_t length = payload_count(&client->payload, client->mail->job,
	    &data);
	struct status status;

	buf_print(&client->command, "BDAT %zu LAST", length);
	client_write_command(client);
	if (client->state != CLIENT_STATE_SENDING)
		return;
	if (stream_write(client->stream, data, length) == 0) {
		client->dot_said = true;
		return;
	}
	status_set(&status, STATUS_DEFERRED, REASON_LOCAL, "4.3.0",
	    "the message grew too long to be sent");
	client_break(client, &status);
}

void step_send_message(struct client *client)
{
	if (client->counts) {
		send_counted(client);
		return;
	}
	if (client->accepted == 0) {
		buf_add_string(&client->command, ".");
		client_write_command(client);
		return;
	}
	/* RFC 2033 4.2: one reply for each of them */
	if (client->identity.lmtp)
		client->outstanding += client->accepted - 1;
	stream_deadline(client->stream,
	    client->profile->conf->reply_timeout * 1000);
	payload_start(&client->payload, client->mail->job, client->stream, on_body,
	    client);
}

/* --- moving on --- */

/* The final dot, or the last byte of a counted message, has left this process:
 * an answer before that is not one to the message. */
static bool message_has_left(const struct client *client)
{
	return client->dot_said && stream_pending(client->stream) == 0;
}

/* Only the server knows what became of the message. Of one that ran ahead of
 * the answers it does not: a server that says 421 to what comes before goes
 * away without it (RFC 5321 3.8). */
static bool is_in_doubt(const struct client *client)
{
	return message_has_left(client) &&
	    (client->receiving.step == STEP_MESSAGE ||
	    client->reply.code != 421);
}

/* Nothing more of this transaction is sent, unless DATA was: that must be
 * ended by a dot if it is taken. */
static void stop_sending(struct client *client)
{
	if (client->sending.step != STEP_MESSAGE || client->counts)
		client->sending.step = STEP_NONE;
}

static void status_of_reply(struct client *client, struct status *status)
{
	/* TLS or a password first: neither is the message's fault while we
	 * speak in clear (TLS-58). */
	if (client_is_told_to_secure(client) ||
	    client_is_told_to_log_in(client))
		client_status_host(client, status);
	else
		client_status(client, status);
}

static void settle_chosen(struct client *client, enum recipient_state to,
    const struct status *status)
{
	mail_settle(client->mail, RECIPIENT_ASKED, to, status);
	mail_settle(client->mail, RECIPIENT_ACCEPTED, to, status);
}

/* --- replies --- */

void step_on_rset(struct client *client)
{
	struct status status;

	if (answer_class(&client->reply) == 2)
		return;
	/* Not fit for more: like a connection that was lost while idle. */
	client->answered = false;
	client_status_host(client, &status);
	client_break(client, &status);
}

void step_on_mail(struct client *client)
{
	struct status status;

	if (answer_class(&client->reply) == 2)
		return;
	status_of_reply(client, &status);
	/* 5xx is for good (RFC 5321 4.2.1); else another host may take it, and
	 * so may one that has the TLS that this one asks for. */
	settle_chosen(client, status.outcome == STATUS_FAILED &&
	    !client_is_told_to_secure(client) ? RECIPIENT_DONE :
	    RECIPIENT_OPEN, &status);
	client->refused = true;
	stop_sending(client);
}

/*
 * "Too many recipients" (RFC 5321 4.5.3.1.10): 452, or 552 from old servers,
 * without a code that says something else about this recipient.
 */
static bool is_too_many(const struct client *client,
    const struct status *status)
{
	bool untold = status->enhanced_subject == 0 &&
	    status->enhanced_detail == 0;

	if (client->reply.code != 452 && client->reply.code != 552)
		return false;
	return untold || (status->enhanced_subject == 5 &&
	    status->enhanced_detail == 3);
}

/* The last RCPT was answered before DATA was sent: is there still a point? */
static void maybe_give_up(struct client *client)
{
	if (client->outstanding == 0 && client->accepted == 0 &&
	    (client->sending.step == STEP_DATA ||
	    client->sending.step == STEP_MESSAGE))
		client->sending.step = STEP_NONE;
}

void step_on_rcpt(struct client *client)
{
	size_t index = client->chosen[client->receiving.recipient];
	enum recipient_state *state = &client->mail->states[index];
	struct status status;

	/* After a refused MAIL the recipients have their status already. */
	if (client->refused)
		return;
	status_of_reply(client, &status);
	if (status.outcome == STATUS_RELAYED) {
		*state = RECIPIENT_ACCEPTED;
		client->accepted++;
		return;
	}
	*state = RECIPIENT_DONE;
	if (is_too_many(client, &status)) {
		status.outcome = STATUS_DEFERRED;
		status.enhanced_class = 4;
		*state = RECIPIENT_LATER;
	}
	client->mail->statuses[index] = status;
	maybe_give_up(client);
}

void step_on_data(struct client *client)
{
	struct status status;

	/* RFC 2033 4.2: without recipients there is no message in LMTP. */
	if (answer_class(&client->reply) == 3 &&
	    (client->accepted > 0 || !client->identity.lmtp))
		return;
	if (answer_class(&client->reply) <= 3) {
		client_break_odd(client);
		return;
	}
	status_of_reply(client, &status);
	settle_chosen(client, RECIPIENT_DONE, &status);
	client->sending.step = STEP_NONE;
}

/* In LMTP a reply is about one recipient, in the order of RCPT; they were
 * delivered for good then. */
static void settle_message(struct client *client, struct status *status)
{
	size_t i;

	client->delivered |= status->outcome == STATUS_RELAYED;
	if (!client->identity.lmtp) {
		settle_chosen(client, RECIPIENT_DONE, status);
		return;
	}
	if (status->outcome == STATUS_RELAYED)
		status->outcome = STATUS_DELIVERED;
	for (i = 0; i < client->chosen_count; i++) {
		size_t index = client->chosen[i];

		if (client->mail->states[index] != RECIPIENT_ACCEPTED)
			continue;
		client->mail->states[index] = RECIPIENT_DONE;
		client->mail->statuses[index] = *status;
		return;
	}
	bug("client-lmtp");
}

/* BDAT is not known there, whatever EHLO said: what follows it may have been
 * taken for commands. */
static bool is_unknown(const struct client *client)
{
	return client->counts && client->reply.code >= 500 &&
	    client->reply.code <= 504;
}

/* The answer to a counted message is the last one that is due. If more has
 * come the server answers something twice, and which of its answers is to the
 * message nobody knows: no 354 has shown before that we are in step. It may
 * well say that it goes (RFC 5321 3.8). */
static bool is_out_of_step(const struct client *client)
{
	const struct buf *input = stream_input(client->stream);
	size_t length = buf_length(input);

	return client->counts && length > 0 &&
	    memcmp(buf_data(input), "421", length < 3 ? length : 3) != 0;
}

void step_on_message(struct client *client)
{
	bool whole = message_has_left(client);
	struct status status;

	if (client->accepted == 0) {
		/* RFC 3030 2: nothing is certain behind a refused BDAT */
		client->dirty = client->counts;
		return;
	}
	if (answer_class(&client->reply) == 3 ||
	    (answer_class(&client->reply) == 2 &&
	    (!whole || is_out_of_step(client)))) {
		client_break_odd(client);
		return;
	}
	if (is_unknown(client)) {
		client_status_host(client, &status);
		client_break(client, &status);
		return;
	}
	status_of_reply(client, &status);
	status.notifies = client->capability.dsn;
	settle_message(client, &status);
	if (client->outstanding == 0)
		client->dirty = client->counts &&
		    answer_class(&client->reply) != 2;
	/* A refusal in the middle of the message: it cannot be ended there. It
	 * is about nobody else (LMTP): the others have replies to come. */
	if (!whole && client->outstanding == 0)
		client_break(client, &status);
}

/* --- begin and end --- */

void client_end_transaction(struct client *client)
{
	client->mail = NULL;
	client_enter(client, CLIENT_STATE_READY);
	stream_deadline(client->stream, 0);
	client_report(client, CLIENT_SENT);
}

void client_break_transaction(struct client *client,
    const struct status *status)
{
	/* Once the dot has left, only the server knows (SMTP-66). */
	settle_chosen(client, is_in_doubt(client) ? RECIPIENT_DONE :
	    RECIPIENT_OPEN, status);
	client->stale = client->transactions > 1 && !client->answered;
	client->mail = NULL;
	client->usable = false;
	client_report(client, CLIENT_SENT);
}

/* As many as the server takes in one message (RFC 9422). */
static void choose(struct client *client, struct mail *mail)
{
	size_t i, max = CLIENT_RECIPIENTS_MAX;

	client->chosen_count = 0;
	if (client->capability.recipient_max > 0 &&
	    client->capability.recipient_max < max)
		max = client->capability.recipient_max;
	for (i = 0; i < mail->job->recipient_count; i++) {
		if (mail->states[i] != RECIPIENT_OPEN)
			continue;
		if (client->chosen_count == max)
			break;
		client->chosen[client->chosen_count++] = i;
		mail->states[i] = RECIPIENT_ASKED;
	}
	if (client->chosen_count == 0)
		bug("client-send");
}

/* BDAT where it saves a round trip, at the first attempt: if somebody on the
 * way does not know it, the next one goes without. RSET goes by itself: a
 * server that refuses it gets nothing more. */
static void choose_form(struct client *client)
{
	client->counts = client->capability.chunking &&
	    client->capability.pipelining && !client->identity.lmtp &&
	    client->mail->job->attempt <= 1 &&
	    payload_may_count(client->mail->job);
	client->may_run_ahead = client->counts && !client->dirty &&
	    clock_monotonic() - client->heard_at < FRESH_MILLISECONDS;
}

void client_send(struct client *client, struct mail *mail)
{
	struct cursor first = { client->dirty ? STEP_RSET : STEP_MAIL, 0 };

	if (client->expects_tls && !client->was_secure &&
	    !client->was_downgraded) {
		client->was_downgraded = true;
		delivery_log_downgrade(client);
	}
	client_enter(client, CLIENT_STATE_SENDING);
	client->mail = mail;
	choose(client, mail);
	choose_form(client);
	/* SMTP-141; parts of a body may have headers that need it, and only
	 * who wrote them knows. */
	client->says_utf8 = client->capability.utf8 &&
	    (mail_needs_utf8(mail) || ((mail->job->flags & ENVELOPE_UTF8) &&
	    (mail->job->flags & ENVELOPE_HAS_8BIT)));
	client->refused = false;
	client->accepted = 0;
	client->dot_said = false;
	client->delivered = false;
	client->answered = false;
	client->stale = false;
	client->dirty = true;
	client->transactions++;
	client->sending = client->receiving = first;
	client_pump(client);
}
