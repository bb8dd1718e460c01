/* SPDX-License-Identifier: ISC */
/*
 * A session like any other, whose origin is what the operator says and whose
 * stream is the operator's connection.
 */
#include "smtpd/trial.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/control.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/process.h"
#include "base/stream.h"
#include "conf/conf.h"
#include "policy/directory_client.h"
#include "queue/envelope.h"
#include "smtpd/origin.h"
#include "smtpd/rules.h"
#include "smtpd/server.h"
#include "smtpd/session.h"
#include "smtpd/transaction.h"

static const char *argument(const json_t *arguments, const char *name)
{
	const char *text = json_string_value(json_object_get(arguments,
	    name));

	return text == NULL ? "" : text;
}

/* The one that is named, else the first for mail from everybody. */
static const struct reception *find_reception(const struct rules *rules,
    const char *name)
{
	if (name[0] != '\0')
		return rules_reception_find(rules, name);
	for (size_t i = 0; i < rules->reception_count; i++)
		if (rules->receptions[i].listener->service == SERVICE_SMTP)
			return &rules->receptions[i];
	return NULL;
}

void trial_begin(struct server *server, struct control *control,
    const json_t *arguments)
{
	const struct process_caller *caller = control_caller(control);
	const char *client = argument(arguments, "client");
	const char *listener = argument(arguments, "listener");
	const struct reception *reception = find_reception(server->rules,
	    listener);
	struct origin origin = { .uid = -1, .is_trial = true,
	    .user = argument(arguments, "user") };
	int fd;

	if (endpoint_parse(&origin.address, client, 0) != 0) {
		control_end(control, CONTROL_USAGE, "client is no address");
		return;
	}
	if (reception == NULL || strlen(origin.user) > LOGIN_USER_MAX) {
		control_end(control, CONTROL_USAGE, listener[0] == '\0' ?
		    "there is no listener for mail from everybody; name one" :
		    "there is no such listener or user");
		return;
	}
	log_info("trial", log_number("uid", (int64_t)caller->uid),
	    log_text("client", client),
	    log_text("listener", reception->listener->name));
	fd = control_detach(control);
	if (fd >= 0)
		session_start(server, fd, &origin, reception);
}

static void tell(struct session *session, json_t *object)
{
	char *text;

	if (object == NULL || session->state == SESSION_CLOSED)
		return;
	text = json_dumps(object, JSON_COMPACT | JSON_ENSURE_ASCII);
	json_decref(object);
	if (text == NULL)
		return;
	if (stream_write(session->stream, text, strlen(text)) == -1 ||
	    stream_write(session->stream, "\r\n", 2) == -1)
		log_warn("trial-output", log_session(session->id));
	mem_free(text);
}

void trial_note(struct session *session, const char *check,
    const char *result, const char *text)
{
	/* What a stranger wrote need not be UTF-8. */
	tell(session, json_pack("{s:s s:s s:o}", "check", check, "result",
	    result, "text", control_text(text)));
}

static json_t *recipients(const struct envelope *envelope)
{
	json_t *list = json_array();

	for (size_t i = 0; i < envelope->recipient_count; i++)
		json_array_append_new(list,
		    control_text(envelope->recipients[i].address));
	return list;
}

void trial_tell_accepted(struct session *session)
{
	const struct transaction *transaction = session->transaction;
	const struct envelope *envelope = transaction->envelope;

	tell(session, json_pack("{s:s s:s s:o s:o s:o s:o s:I}",
	    "check", "message", "result", "accept",
	    "sender", control_text(envelope->sender),
	    "recipients", recipients(envelope),
	    "prefix", control_text(envelope->prefix),
	    "hold", envelope->hold == NULL ? json_null() :
	    control_text(envelope->hold),
	    "edits", (json_int_t)envelope->piece_count));
}
