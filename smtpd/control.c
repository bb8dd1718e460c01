/* SPDX-License-Identifier: ISC */
/*
 * The operator's verbs of smtpd. Sessions are listed in pages in the order of
 * their ids, which is the order of the list; the last id of a page is where
 * the next one begins, whatever came and went in between.
 */
#include "smtpd/control.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/control.h"
#include "base/mem.h"
#include "base/net.h"
#include "base/stream.h"
#include "base/tls.h"
#include "conf/conf.h"
#include "queue/envelope.h"
#include "smtpd/client.h"
#include "smtpd/server.h"
#include "smtpd/session.h"
#include "smtpd/transaction.h"
#include "smtpd/trial.h"

enum { PAGE = 100 };

/* The one server of this process. */
static struct server *served;

struct listing {
	uint64_t	 next;		/* id; smaller ones have been shown */
};

static const char *state_name(enum session_state state)
{
	static const char *const names[] = {
		[SESSION_NEW] = "new", [SESSION_COMMAND] = "command",
		[SESSION_WAITING] = "waiting", [SESSION_TLS] = "handshake",
		[SESSION_DATA] = "data", [SESSION_CHUNK] = "chunk",
		[SESSION_CHECKING] = "checks",
		[SESSION_COMMIT] = "commit", [SESSION_CLOSED] = "closed",
		[SESSION_AUTH] = "login",
	};

	return names[state];
}

static json_t *describe(const struct session *session)
{
	const struct transaction *transaction = session->transaction;
	const struct tls_facts *facts = stream_facts(session->stream);
	char address[ENDPOINT_TEXT_MAX], id[20];
	json_t *object;

	endpoint_format(&session->address, address, sizeof(address));
	snprintf(id, sizeof(id), "%" PRIx64, session->id);
	object = json_pack("{s:s s:s s:s s:s s:s s:s s:I s:I}",
	    "session", id, "address", address,
	    "name", client_name(session),
	    "listener", session->listener->name,
	    "state", state_name(session->state),
	    "tls", facts == NULL ? "no" : facts->version,
	    "commands", (json_int_t)session->commands,
	    "messages", (json_int_t)session->messages);
	if (object != NULL && session->user[0] != '\0')
		json_object_set_new(object, "user", json_string(session->user));
	if (object != NULL && session->certificate[0] != '\0')
		json_object_set_new(object, "certificate",
		    json_string(session->certificate));
	if (object != NULL && transaction != NULL)
		json_object_set_new(object, "from",
		    json_string(transaction->envelope->sender));
	return object;
}

static void produce(struct control *control, void *arg)
{
	struct listing *listing = arg;
	const struct session *session;
	unsigned shown = 0;
	json_t *object;

	TAILQ_FOREACH(session, &served->sessions, link) {
		if (session->id < listing->next)
			continue;
		if (shown++ == PAGE)
			return;
		listing->next = session->id + 1;
		object = describe(session);
		if (object != NULL)	/* null: a name that is not UTF-8 */
			control_send(control, object);
	}
	control_end(control, CONTROL_OK, "");
}

static void verb_sessions(struct control *control, const json_t *arguments)
{
	(void)arguments;
	control_produce(control, produce, mem_free,
	    mem_alloc(sizeof(struct listing)));
}

static void verb_trial(struct control *control, const json_t *arguments)
{
	trial_begin(served, control, arguments);
}

static const struct control_verb verbs[] = {
	{ "sessions", false, verb_sessions },
	{ "trial", true, verb_trial },
};

void smtpd_control(struct server *server, int fd,
    const struct process_caller *caller)
{
	served = server;
	control_accept(fd, caller, verbs, sizeof(verbs) / sizeof(verbs[0]));
}
