/* SPDX-License-Identifier: ISC */
/*
 * One process has one connection, so this is a plain loop: read a line, look
 * the verb up, answer. Every reply goes through answer(), which asks the
 * section's behaviour first; so a stage is where a reply is given, and any
 * action fits any stage. What is seen goes to lab_event() before it is
 * answered: who has the answer may rely on the event being written.
 */
#include "tools/lab/mail_host.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/log.h"
#include "base/mem.h"
#include "tools/lab/actors_link.h"
#include "tools/lab/certificate.h"
#include "tools/lab/event.h"
#include "tools/lab/scenario.h"

enum {
	RECIPIENTS_MAX = 1000,
	MESSAGE_MAX = 10 << 20,
	PATH_MAX_LENGTH = 1000,
	COMMAND_MAX = 4096
};

enum stage { STAGE_CONNECT, STAGE_GREETING, STAGE_EHLO, STAGE_STARTTLS,
    STAGE_HANDSHAKE, STAGE_SECURED, STAGE_MAIL, STAGE_RCPT, STAGE_DATA,
    STAGE_MESSAGE, STAGE_QUIT, STAGES };

static const char *const stage_names[STAGES] = { "connect", "greeting",
    "ehlo", "starttls", "handshake", "secured", "mail", "rcpt", "data",
    "message", "quit" };

enum action_kind { ACTION_CLOSE, ACTION_RESET, ACTION_STALL, ACTION_GARBAGE,
    ACTION_ALERT, ACTION_REPLY };

static const char *const action_names[ACTION_REPLY] = { "close", "reset",
    "stall", "garbage", "alert" };

/* No record of TLS, no reply of SMTP, but a whole line. */
static const char garbage[] = "\x8f\xff\x00\x02\xc3 what is this? \xfe\x1b[0m"
    "\x00\x80\x81\x82\xf5\r\n";
/* TLS 1.2 record, alert, 2 bytes: fatal, handshake_failure (RFC 8446 6.2). */
static const char alert[] = { 0x15, 0x03, 0x03, 0x00, 0x02, 0x02, 0x28 };

struct action {
	enum stage	 stage;
	enum action_kind kind;
	const char	*words;		/* as the section has them */
};

struct lab_mail_host {
	const struct lab_host	*host;		/* outlives us */
	enum lab_part		 part;
	struct action		*actions;	/* owned */
	size_t			 action_count;
	SSL_CTX			*context;	/* owned */
	SSL_CTX			**by_name;	/* owned; one for each sni */
};

/* A mail transaction; sender is null outside one. */
struct transaction {
	char		*sender;		/* owned */
	json_t		*recipients;		/* owned */
};

struct session {
	const struct lab_mail_host *host;
	struct lab_link		 link;
	struct lab_line		 line;
	struct transaction	 transaction;
	bool			 greeted;	/* EHLO or HELO was accepted */
	bool			 over;
	const char		*name;		/* of the actor */
};

/* What is read of a message. */
struct content {
	char	 marker[256];
	size_t	 length;
	bool	 in_body;
	bool	 at_start;	/* the line before ended in CRLF */
};

/* --- actions --- */

static const struct action *find_action(const struct session *session,
    enum stage stage)
{
	size_t i;

	for (i = 0; i < session->host->action_count; i++)
		if (session->host->actions[i].stage == stage)
			return &session->host->actions[i];
	return NULL;
}

static int code_of(const char *reply)
{
	return (int)strtol(reply, NULL, 10);
}

/* In one write, so that a reply is not torn. */
static void say(struct session *session, const char *reply)
{
	struct buf text;
	const char *p;

	buf_init(&text, 1 << 20);
	for (p = reply; *p != '\0'; p++) {
		if (*p == '|')
			buf_add(&text, "\r\n", 2);
		else
			buf_add_byte(&text, *p);
	}
	buf_add(&text, "\r\n", 2);
	if (lab_link_write(&session->link, buf_data(&text),
	    buf_length(&text)) == -1)
		session->over = true;
	buf_release(&text);
}

/* The code of what was said, or 0 when the connection is over. */
static int perform(struct session *session, const struct action *action)
{
	struct lab_link *link = &session->link;

	session->over = true;
	switch (action->kind) {
	case ACTION_REPLY:
		session->over = false;
		say(session, action->words);
		return session->over ? 0 : code_of(action->words);
	case ACTION_CLOSE:
		lab_link_close(link);
		return 0;
	case ACTION_RESET:
		lab_link_reset(link);
		return 0;
	case ACTION_STALL:
		lab_link_stall(link);
		return 0;
	case ACTION_GARBAGE:
		lab_link_write(link, garbage, sizeof(garbage) - 1);
		lab_link_cut(link);
		return 0;
	case ACTION_ALERT:
		lab_link_write_raw(link, alert, sizeof(alert));
		lab_link_cut(link);
		return 0;
	default:
		bug("lab-action");
	}
}

/* The only way to a reply that a section can change. */
static int answer(struct session *session, enum stage stage,
    const char *usual)
{
	const struct action *action = find_action(session, stage);
	int code;

	if (action == NULL) {
		say(session, usual);
		code = code_of(usual);
	} else {
		code = perform(session, action);
	}
	if (code == 421) {
		lab_link_close(&session->link);
		session->over = true;
	}
	return session->over ? 0 : code;
}

static bool is_accepted(int code)
{
	return code >= 200 && code < 300;
}

/* --- TLS --- */

static int on_servername(SSL *ssl, int *problem, void *arg)
{
	const struct lab_mail_host *host = arg;
	const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
	size_t i;

	(void)problem;
	for (i = 0; name != NULL && i < host->host->sni.count; i++) {
		const char *item = host->host->sni.items[i];
		size_t length = strcspn(item, " \t");

		if (strncasecmp(item, name, length) == 0 &&
		    name[length] == '\0') {
			SSL_set_SSL_CTX(ssl, host->by_name[i]);
			return SSL_TLSEXT_ERR_OK;
		}
	}
	/* Whoever asks for another name gets what there is: RFC 8461 7.1. */
	return name != NULL ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_NOACK;
}

static void tell_handshake(struct session *session, bool worked)
{
	SSL *ssl = session->link.ssl;
	json_t *members = json_object();
	const char *name = ssl != NULL ? SSL_get_servername(ssl,
	    TLSEXT_NAMETYPE_host_name) : NULL;

	json_object_set_new(members, "sni", name != NULL ?
	    lab_event_bytes(name, strlen(name)) : json_null());
	if (worked) {
		json_object_set_new(members, "version",
		    json_string(SSL_get_version(ssl)));
		json_object_set_new(members, "cipher",
		    json_string(SSL_get_cipher_name(ssl)));
		json_object_set_new(members, "resumed",
		    json_boolean(SSL_session_reused(ssl)));
	} else {
		json_object_set_new(members, "problem", lab_event_bytes(
		    session->link.problem, strlen(session->link.problem)));
	}
	lab_event(session->name, "handshake", members);
}

static void start_tls(struct session *session)
{
	const struct action *action = find_action(session, STAGE_HANDSHAKE);
	const struct action *after = find_action(session, STAGE_SECURED);
	struct lab_link *link = &session->link;
	char hello[4096];

	if (action != NULL) {
		lab_link_await(link);
		if (action->kind != ACTION_STALL)
			lab_link_read(link, hello, sizeof(hello));
		snprintf(link->problem, sizeof(link->problem),
		    "by the scenario: %.100s", action->words);
		tell_handshake(session, false);
		perform(session, action);
		lab_link_close(link);
		session->over = true;
		return;
	}
	session->over = lab_link_secure(link, session->host->context,
	    after != NULL && after->kind == ACTION_ALERT) == -1;
	tell_handshake(session, !session->over);
}

/* --- a message --- */

static void end_transaction(struct transaction *transaction)
{
	mem_free(transaction->sender);
	json_decref(transaction->recipients);
	transaction->sender = NULL;
	transaction->recipients = NULL;
}

/* The text between the angle brackets of "FROM:<...> PARAMETERS"; owned by the
 * caller; null when it is not like this. */
static char *read_path(const char *arguments, const char *keyword)
{
	size_t length = strlen(keyword), i;
	bool quoted = false;
	const char *path;
	char *copy;

	if (strncasecmp(arguments, keyword, length) != 0)
		return NULL;
	path = arguments + length;
	path += strspn(path, " ");
	if (*path++ != '<')
		return NULL;
	for (i = 0; path[i] != '\0' && (quoted || path[i] != '>'); i++) {
		if (path[i] == '"')
			quoted = !quoted;
		else if (quoted && path[i] == '\\' && path[i + 1] != '\0')
			i++;
	}
	if (path[i] == '\0' || i > PATH_MAX_LENGTH)
		return NULL;
	copy = mem_alloc(i + 1);
	memcpy(copy, path, i);
	return copy;
}

static void look_for_marker(struct content *content, const char *text)
{
	static const char name[] = "X-Postern-Lab:";

	if (content->marker[0] != '\0' ||
	    strncasecmp(text, name, sizeof(name) - 1) != 0)
		return;
	text += sizeof(name) - 1;
	text += strspn(text, " \t");
	snprintf(content->marker, sizeof(content->marker), "%.*s",
	    (int)strcspn(text, " \t"), text);
}

/*
 * Reads up to CRLF "." CRLF. The marker is a header field; a bounce has none
 * of its own, but the field of the mail that it returns. 1 when all is there,
 * 0 or -1 when the client went away.
 */
static int read_content(struct session *session, struct content *content)
{
	bool bounce = *session->transaction.sender == '\0';
	struct lab_line *line = &session->line;
	int got;

	content->at_start = true;
	while ((got = lab_link_line(&session->link, line)) == 1) {
		bool whole = line->end == LAB_LINE_CRLF;
		const char *text = line->text;

		if (content->at_start && whole && strcmp(text, ".") == 0)
			return 1;
		if (content->at_start && *text == '.')
			text++;
		if (content->at_start && (bounce || !content->in_body))
			look_for_marker(content, text);
		if (content->at_start && *text == '\0')
			content->in_body = true;
		content->length += line->length + 2 - (size_t)(text -
		    line->text);
		content->at_start = whole;
	}
	return got;
}

static void tell_message(struct session *session,
    const struct content *content)
{
	const struct transaction *transaction = &session->transaction;
	SSL *ssl = session->link.ssl;
	json_t *members = json_object();

	json_object_set_new(members, "sender", lab_event_bytes(
	    transaction->sender, strlen(transaction->sender)));
	json_object_set(members, "recipients", transaction->recipients);
	json_object_set_new(members, "tls", json_boolean(ssl != NULL));
	if (ssl != NULL)
		json_object_set_new(members, "version",
		    json_string(SSL_get_version(ssl)));
	json_object_set_new(members, "marker", lab_event_bytes(
	    content->marker, strlen(content->marker)));
	json_object_set_new(members, "dsn",
	    json_boolean(*transaction->sender == '\0'));
	json_object_set_new(members, "impostor",
	    json_boolean(session->host->part == LAB_PART_IMPOSTOR));
	json_object_set_new(members, "size",
	    json_integer((json_int_t)content->length));
	lab_event(session->name, "message", members);
}

static void take_message(struct session *session)
{
	const struct action *action = find_action(session, STAGE_MESSAGE);
	struct content content = { .length = 0 };

	if (read_content(session, &content) != 1) {
		session->over = true;
		return;
	}
	if (content.length > MESSAGE_MAX) {
		say(session, "552 5.3.4 too large");
	} else {
		if (action == NULL || (action->kind == ACTION_REPLY &&
		    is_accepted(code_of(action->words))))
			tell_message(session, &content);
		answer(session, STAGE_MESSAGE, "250 2.0.0 taken");
	}
	end_transaction(&session->transaction);
}

/* --- verbs --- */

static void verb_ehlo(struct session *session, const char *arguments)
{
	const struct lab_host *host = session->host->host;
	bool secure = session->link.ssl != NULL;
	char *usual;

	(void)arguments;
	end_transaction(&session->transaction);
	usual = mem_print("250-%s at your service|250-PIPELINING|250-SIZE %d|"
	    "%s250-8BITMIME|250 ENHANCEDSTATUSCODES", host->name, MESSAGE_MAX,
	    host->tls == LAB_TLS_STARTTLS && !secure ? "250-STARTTLS|" : "");
	session->greeted = is_accepted(answer(session, secure ?
	    STAGE_SECURED : STAGE_EHLO, usual));
	mem_free(usual);
}

static void verb_helo(struct session *session, const char *arguments)
{
	char *usual = mem_print("250 %s", session->host->host->name);

	(void)arguments;
	end_transaction(&session->transaction);
	say(session, usual);
	session->greeted = true;
	mem_free(usual);
}

static void verb_starttls(struct session *session, const char *arguments)
{
	static const char usual[] = "220 2.0.0 go ahead";
	const struct action *action = find_action(session, STAGE_STARTTLS);

	if (*arguments != '\0') {
		say(session, "501 5.5.4 no parameters here");
		return;
	}
	if (session->host->host->tls != LAB_TLS_STARTTLS ||
	    session->link.ssl != NULL) {
		say(session, session->link.ssl != NULL ?
		    "503 5.5.1 TLS is on already" : "502 5.5.1 no TLS here");
		return;
	}
	lab_event(session->name, "starttls", json_pack("{s:o}", "reply",
	    action == NULL ? json_string(usual) : lab_event_bytes(
	    action->words, strlen(action->words))));
	/* RFC 3207 4.2: what came before is forgotten, on both sides of it. */
	lab_link_discard(&session->link);
	if (answer(session, STAGE_STARTTLS, usual) != 220)
		return;
	session->greeted = false;
	end_transaction(&session->transaction);
	start_tls(session);
}

static void verb_mail(struct session *session, const char *arguments)
{
	char *path = read_path(arguments, "FROM:");

	if (!session->greeted || session->transaction.sender != NULL) {
		say(session, "503 5.5.1 not now");
	} else if (path == NULL) {
		say(session, "501 5.5.4 MAIL FROM:<address>");
	} else if (is_accepted(answer(session, STAGE_MAIL, "250 2.1.0 ok"))) {
		session->transaction.sender = path;
		session->transaction.recipients = json_array();
		path = NULL;
	}
	mem_free(path);
}

static void verb_rcpt(struct session *session, const char *arguments)
{
	json_t *recipients = session->transaction.recipients;
	char *path = read_path(arguments, "TO:");

	if (recipients == NULL)
		say(session, "503 5.5.1 MAIL first");
	else if (path == NULL)
		say(session, "501 5.5.4 RCPT TO:<address>");
	else if (json_array_size(recipients) >= RECIPIENTS_MAX)
		say(session, "452 4.5.3 too many recipients");
	else if (is_accepted(answer(session, STAGE_RCPT, "250 2.1.5 ok")))
		json_array_append_new(recipients, lab_event_bytes(path,
		    strlen(path)));
	mem_free(path);
}

static void verb_data(struct session *session, const char *arguments)
{
	(void)arguments;
	if (json_array_size(session->transaction.recipients) == 0)
		say(session, "503 5.5.1 no recipients");
	else if (answer(session, STAGE_DATA, "354 end with a dot") == 354)
		take_message(session);
}

static void verb_rset(struct session *session, const char *arguments)
{
	(void)arguments;
	end_transaction(&session->transaction);
	say(session, "250 2.0.0 ok");
}

static void verb_noop(struct session *session, const char *arguments)
{
	(void)arguments;
	say(session, "250 2.0.0 ok");
}

static void verb_vrfy(struct session *session, const char *arguments)
{
	(void)arguments;
	say(session, "252 2.0.0 send it and see");
}

static void verb_quit(struct session *session, const char *arguments)
{
	(void)arguments;
	if (answer(session, STAGE_QUIT, "221 2.0.0 bye") != 0)
		lab_link_close(&session->link);
	session->over = true;
}

static const struct verb {
	const char	*name;
	void		(*run)(struct session *session, const char *arguments);
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

static void run_command(struct session *session)
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
	say(session, "500 5.5.2 no such command");
}

static void run_commands(struct session *session)
{
	struct lab_line *line = &session->line;

	while (!session->over && lab_link_line(&session->link, line) == 1) {
		lab_event(session->name, "command", json_pack("{s:o,s:b}",
		    "line", lab_event_bytes(line->text, line->length), "tls",
		    session->link.ssl != NULL));
		if (line->length > COMMAND_MAX ||
		    memchr(line->text, '\0', line->length) != NULL)
			say(session, "500 5.5.2 that is no command");
		else
			run_command(session);
	}
}

static void run_session(struct session *session)
{
	const struct action *action = find_action(session, STAGE_CONNECT);
	char *greeting;

	if (action != NULL) {
		perform(session, action);
		lab_link_close(&session->link);
		return;
	}
	if (session->host->host->tls == LAB_TLS_IMPLICIT)
		start_tls(session);
	if (session->over)
		return;
	greeting = mem_print("220 %s ESMTP", session->host->host->name);
	answer(session, STAGE_GREETING, greeting);
	mem_free(greeting);
	run_commands(session);
}

void lab_mail_host_serve(const struct lab_mail_host *host, int fd,
    const char *client)
{
	struct session *session = mem_alloc(sizeof(*session));
	const char *problem = session->link.problem;

	session->host = host;
	session->name = host->host->name;
	lab_link_init(&session->link, fd);
	lab_event(session->name, "connect", json_pack("{s:s,s:b}", "client",
	    client, "impostor", host->part == LAB_PART_IMPOSTOR));
	run_session(session);
	lab_link_close(&session->link);
	lab_event(session->name, "end", json_pack("{s:o}", "problem",
	    *problem != '\0' ? lab_event_bytes(problem, strlen(problem)) :
	    json_null()));
	end_transaction(&session->transaction);
	lab_link_release(&session->link);
	mem_free(session);
}

/* --- life cycle --- */

static int find_name(const char *const *names, size_t count, const char *word,
    size_t length)
{
	size_t i;

	for (i = 0; i < count; i++)
		if (strlen(names[i]) == length &&
		    strncmp(names[i], word, length) == 0)
			return (int)i;
	return -1;
}

static int read_action(struct action *action, const char *text)
{
	size_t length = strcspn(text, " \t");
	int stage = find_name(stage_names, STAGES, text, length), kind;
	const char *words = text + length;

	words += strspn(words, " \t");
	kind = find_name(action_names, ACTION_REPLY, words, strlen(words));
	if (kind == -1 && strspn(words, "0123456789") == 3)
		kind = ACTION_REPLY;
	if (stage == -1 || kind == -1)
		return -1;
	action->stage = (enum stage)stage;
	action->kind = (enum action_kind)kind;
	action->words = words;
	return 0;
}

static int read_actions(struct lab_mail_host *host, char *error, size_t size)
{
	const struct lab_texts *texts = &host->host->behaviour;
	size_t i;

	host->actions = mem_alloc_array(texts->count, sizeof(*host->actions));
	for (i = 0; i < texts->count; i++) {
		if (read_action(&host->actions[i], texts->items[i]) == -1) {
			snprintf(error, size, "host %s: \"%s\" is not a stage "
			    "and an action", host->host->name,
			    texts->items[i]);
			return -1;
		}
	}
	host->action_count = texts->count;
	return 0;
}

/* Null with a sentence; the empty name is no certificate. */
static SSL_CTX *context_for(const struct lab_mail_host *host,
    const struct lab_identities *identities, const char *name, char *error,
    size_t size)
{
	const struct lab_identity *identity = NULL;

	if (*name != '\0') {
		identity = lab_identity_find(identities, name);
		if (identity == NULL) {
			snprintf(error, size, "host %s: no certificate %s",
			    host->host->name, name);
			return NULL;
		}
		if (host->part != LAB_PART_TRUE)
			identity = &identities->impostors[identity -
			    identities->items];
	}
	return lab_link_context(identity);
}

static int make_contexts(struct lab_mail_host *host,
    const struct lab_identities *identities, char *error, size_t size)
{
	const struct lab_host *of = host->host;
	size_t i;

	host->context = context_for(host, identities, of->certificate, error,
	    size);
	if (host->context == NULL)
		return -1;
	SSL_CTX_set_tlsext_servername_callback(host->context, on_servername);
	SSL_CTX_set_tlsext_servername_arg(host->context, host);
	host->by_name = mem_alloc_array(of->sni.count,
	    sizeof(*host->by_name));
	for (i = 0; i < of->sni.count; i++) {
		const char *item = of->sni.items[i];
		const char *name = item + strcspn(item, " \t");

		name += strspn(name, " \t");
		host->by_name[i] = context_for(host, identities, name, error,
		    size);
		if (host->by_name[i] == NULL)
			return -1;
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
	    make_contexts(mail_host, identities, error, size) == -1) {
		lab_mail_host_free(mail_host);
		return NULL;
	}
	return mail_host;
}

void lab_mail_host_free(struct lab_mail_host *host)
{
	size_t i;

	for (i = 0; host->by_name != NULL && i < host->host->sni.count; i++)
		SSL_CTX_free(host->by_name[i]);
	SSL_CTX_free(host->context);
	mem_free(host->by_name);
	mem_free(host->actions);
	mem_free(host);
}
