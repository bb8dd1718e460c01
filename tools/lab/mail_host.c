/* SPDX-License-Identifier: ISC */
/*
 * One process has one connection, so this is a plain loop: read a line, look
 * the verb up, answer. What is seen goes to lab_event() before it is answered:
 * who has the answer may rely on the event being written.
 */
#include "tools/lab/mail_host.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/mem.h"
#include "tools/lab/event.h"
#include "tools/lab/mail_host_private.h"
#include "tools/lab/scenario.h"

enum { RECIPIENTS_MAX = 1000, COMMAND_MAX = 4096 };

static bool is_accepted(int code)
{
	return code >= 200 && code < 300;
}

/* --- verbs --- */

static void verb_ehlo(struct lab_session *session, const char *arguments)
{
	const struct lab_host *host = session->host->host;
	bool secure = session->link.ssl != NULL;
	char *usual;

	(void)arguments;
	lab_transaction_end(&session->transaction);
	session->offers_requiretls = host->requiretls == (secure ?
	    LAB_REQUIRETLS_YES : LAB_REQUIRETLS_CLEAR);
	usual = mem_print("250-%s at your service|250-PIPELINING|250-SIZE %d|"
	    "%s%s250-8BITMIME|250 ENHANCEDSTATUSCODES", host->name,
	    LAB_MESSAGE_MAX, host->tls == LAB_TLS_STARTTLS && !secure ?
	    "250-STARTTLS|" : "", session->offers_requiretls ?
	    "250-REQUIRETLS|" : "");
	session->greeted = is_accepted(lab_session_answer(session, secure ?
	    LAB_STAGE_SECURED : LAB_STAGE_EHLO, usual));
	mem_free(usual);
}

static void verb_helo(struct lab_session *session, const char *arguments)
{
	char *usual = mem_print("250 %s", session->host->host->name);

	(void)arguments;
	lab_transaction_end(&session->transaction);
	session->offers_requiretls = false;
	session->greeted = is_accepted(lab_session_answer(session,
	    LAB_STAGE_HELO, usual));
	mem_free(usual);
}

static const char *behind_stage(const struct lab_action *action)
{
	const char *words = action->words + strcspn(action->words, " \t");

	return words + strspn(words, " \t");
}

static void tell_starttls(const struct lab_session *session,
    const char *reply)
{
	lab_event(session->name, "starttls", json_pack("{s:o}", "reply",
	    lab_event_bytes(reply, strlen(reply))));
}

static void verb_starttls(struct lab_session *session, const char *arguments)
{
	static const char usual[] = "220 2.0.0 go ahead";
	const struct lab_action *action = lab_session_action(session,
	    LAB_STAGE_STARTTLS);

	if (*arguments != '\0') {
		lab_session_say(session, "501 5.5.4 no parameters here");
		return;
	}
	if (session->host->host->tls != LAB_TLS_STARTTLS ||
	    session->link.ssl != NULL) {
		lab_session_say(session, session->link.ssl != NULL ?
		    "503 5.5.1 TLS is on already" : "502 5.5.1 no TLS here");
		return;
	}
	tell_starttls(session, action != NULL ? behind_stage(action) : usual);
	/* RFC 3207 4.2: what came before is forgotten, on both sides of it. */
	lab_link_discard(&session->link);
	if (lab_session_answer(session, LAB_STAGE_STARTTLS, usual) != 220)
		return;
	session->greeted = false;
	session->offers_requiretls = false;
	lab_transaction_end(&session->transaction);
	lab_session_start_tls(session);
}

static void verb_mail(struct lab_session *session, const char *arguments)
{
	char *path = lab_mail_path(arguments, "FROM:");
	bool requiretls = lab_mail_requires_tls(arguments);

	if (!session->greeted || session->transaction.sender != NULL) {
		lab_session_say(session, "503 5.5.1 not now");
	} else if (path == NULL) {
		lab_session_say(session, "501 5.5.4 MAIL FROM:<address>");
	} else if (requiretls && !session->offers_requiretls) {
		lab_session_say(session, "555 5.5.4 REQUIRETLS was not "
		    "offered");
	} else if (is_accepted(lab_session_answer(session,
	    LAB_STAGE_MAIL, "250 2.1.0 ok"))) {
		session->transaction.sender = path;
		session->transaction.requiretls = requiretls;
		session->transaction.recipients = json_array();
		path = NULL;
	}
	mem_free(path);
}

static void verb_rcpt(struct lab_session *session, const char *arguments)
{
	json_t *recipients = session->transaction.recipients;
	char *path = lab_mail_path(arguments, "TO:");

	if (recipients == NULL)
		lab_session_say(session, "503 5.5.1 MAIL first");
	else if (path == NULL)
		lab_session_say(session, "501 5.5.4 RCPT TO:<address>");
	else if (json_array_size(recipients) >= RECIPIENTS_MAX)
		lab_session_say(session, "452 4.5.3 too many recipients");
	else if (is_accepted(lab_session_answer(session, LAB_STAGE_RCPT,
	    "250 2.1.5 ok")))
		json_array_append_new(recipients, lab_event_bytes(path,
		    strlen(path)));
	mem_free(path);
}

static void verb_data(struct lab_session *session, const char *arguments)
{
	(void)arguments;
	if (json_array_size(session->transaction.recipients) == 0)
		lab_session_say(session, "503 5.5.1 no recipients");
	else if (lab_session_answer(session, LAB_STAGE_DATA,
	    "354 end with a dot") == 354)
		lab_session_take_message(session);
}

static void verb_rset(struct lab_session *session, const char *arguments)
{
	(void)arguments;
	lab_transaction_end(&session->transaction);
	lab_session_say(session, "250 2.0.0 ok");
}

static void verb_noop(struct lab_session *session, const char *arguments)
{
	(void)arguments;
	lab_session_say(session, "250 2.0.0 ok");
}

static void verb_vrfy(struct lab_session *session, const char *arguments)
{
	(void)arguments;
	lab_session_say(session, "252 2.0.0 send it and see");
}

static void verb_quit(struct lab_session *session, const char *arguments)
{
	(void)arguments;
	if (is_accepted(lab_session_answer(session, LAB_STAGE_QUIT,
	    "221 2.0.0 bye"))) {
		lab_link_close(&session->link);
		session->over = true;
	}
}

static const struct verb {
	const char	*name;
	void		(*run)(struct lab_session *session,
			    const char *arguments);
} verbs[] = {
	{ "EHLO", verb_ehlo },
	{ "HELO", verb_helo },
	{ "STARTTLS", verb_starttls },
	{ "MAIL", verb_mail },
	{ "RCPT", verb_rcpt },
	{ "DATA", verb_data },
	{ "RSET", verb_rset },
	{ "NOOP", verb_noop },
	{ "VRFY", verb_vrfy },
	{ "QUIT", verb_quit }
};

/* --- the connection --- */

static void run_command(struct lab_session *session)
{
	const char *line = session->line.text;
	size_t length = strcspn(line, " "), i;
	const char *arguments = line + length;

	arguments += strspn(arguments, " ");
	for (i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		if (strlen(verbs[i].name) == length &&
		    strncasecmp(verbs[i].name, line, length) == 0) {
			verbs[i].run(session, arguments);
			return;
		}
	}
	lab_session_say(session, "500 5.5.2 no such command");
}

static void run_commands(struct lab_session *session)
{
	struct lab_line *line = &session->line;

	/* Who never stops talking is stopped by the clock. */
	while (!session->over && lab_link_line(&session->link, line) == 1 &&
	    clock_monotonic() < session->link.until) {
		lab_event(session->name, "command", json_pack("{s:o,s:b}",
		    "line", lab_event_bytes(line->text, line->length), "tls",
		    session->link.ssl != NULL));
		if (line->length > COMMAND_MAX ||
		    memchr(line->text, '\0', line->length) != NULL)
			lab_session_say(session,
			    "500 5.5.2 that is no command");
		else
			run_command(session);
	}
}

/* What comes before all else; raw bytes only come before it. */
static void connect_by(struct lab_session *session,
    const struct lab_action *action)
{
	lab_session_perform(session, action, "");
	if (action->act == LAB_ACT_RAW)
		return;
	session->cause = action->words;
	lab_link_close(&session->link);
	session->over = true;
}

static void run_session(struct lab_session *session)
{
	const struct lab_action *action = lab_session_action(session,
	    LAB_STAGE_CONNECT);
	char *greeting;

	if (action != NULL)
		connect_by(session, action);
	if (!session->over && session->host->host->tls == LAB_TLS_IMPLICIT)
		lab_session_start_tls(session);
	if (session->over)
		return;
	greeting = mem_print("220 %s ESMTP", session->host->host->name);
	lab_session_answer(session, LAB_STAGE_GREETING, greeting);
	mem_free(greeting);
	run_commands(session);
}

static void tell_end(const struct lab_session *session)
{
	const char *problem = session->link.problem;
	char cause[160];

	if (*problem == '\0' && session->cause != NULL) {
		snprintf(cause, sizeof(cause), "by the scenario: %.100s",
		    session->cause);
		problem = cause;
	}
	lab_event(session->name, "end", json_pack("{s:o}", "problem",
	    *problem != '\0' ? lab_event_bytes(problem, strlen(problem)) :
	    json_null()));
}

void lab_mail_host_serve(const struct lab_mail_host *host, int fd,
    const struct lab_visit *visit)
{
	struct lab_session *session = mem_alloc(sizeof(*session));

	session->host = host;
	session->name = host->host->name;
	session->visit = visit->number;
	lab_link_init(&session->link, fd);
	lab_event(session->name, "connect", json_pack("{s:s,s:b,s:I}",
	    "client", visit->client, "impostor",
	    host->part == LAB_PART_IMPOSTOR, "visit",
	    (json_int_t)visit->number));
	run_session(session);
	lab_link_close(&session->link);
	tell_end(session);
	lab_transaction_end(&session->transaction);
	lab_link_release(&session->link);
	mem_free(session);
}

/* --- life cycle --- */

static int read_actions(struct lab_mail_host *host, char *error, size_t size)
{
	const struct lab_texts *texts = &host->host->behaviour;
	size_t i;

	host->actions = mem_alloc_array(texts->count, sizeof(*host->actions));
	for (i = 0; i < texts->count; i++) {
		if (lab_action_read(&host->actions[i], texts->items[i]) ==
		    -1) {
			snprintf(error, size, "host %s: \"%s\" is not a stage "
			    "and an action that fits it", host->host->name,
			    texts->items[i]);
			return -1;
		}
		host->action_count++;
	}
	return 0;
}

struct lab_mail_host *lab_mail_host_new(const struct lab_host *host,
    const struct lab_identities *identities, enum lab_part part, char *error,
    size_t size)
{
	struct lab_mail_host *mail_host = mem_alloc(sizeof(*mail_host));

	mail_host->host = host;
	mail_host->part = part;
	if (read_actions(mail_host, error, size) == -1 ||
	    lab_mail_host_prepare(mail_host, identities, error, size) == -1) {
		lab_mail_host_free(mail_host);
		return NULL;
	}
	return mail_host;
}

void lab_mail_host_free(struct lab_mail_host *host)
{
	size_t i;

	if (host == NULL)
		return;
	for (i = 0; i < host->action_count; i++)
		lab_action_release(&host->actions[i]);
	for (i = 0; host->by_name != NULL && i < host->host->sni.count; i++)
		SSL_CTX_free(host->by_name[i]);
	SSL_CTX_free(host->context);
	mem_free(host->by_name);
	mem_free(host->actions);
	mem_free(host);
}
