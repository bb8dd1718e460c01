/* SPDX-License-Identifier: ISC */
/*
 * Mail as a mail host reads it: the paths of a transaction, the content up to
 * its end, and the event that says what was taken. Of a message the marker,
 * its size and who it is from and for are kept; of a notification its status
 * codes, too, and whether it holds the text of what it returns.
 */
#include "tools/lab/mail_host_private.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/mem.h"
#include "tools/lab/event.h"
#include "tools/lab/run_message.h"

enum { PATH_MAX_LENGTH = 1000 };

void lab_transaction_end(struct lab_transaction *transaction)
{
	mem_free(transaction->sender);
	json_decref(transaction->recipients);
	transaction->sender = NULL;
	transaction->requiretls = false;
	transaction->recipients = NULL;
}

char *lab_mail_path(const char *arguments, const char *keyword)
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

/* Parameters stand behind the path, and a path may hold anything in quotes. */
bool lab_mail_requires_tls(const char *arguments)
{
	static const char word[] = "REQUIRETLS";
	const char *end = strrchr(arguments, '>');

	while (end != NULL && *(end = end + strcspn(end, " ")) != '\0') {
		end += strspn(end, " ");
		if (strncasecmp(end, word, sizeof(word) - 1) == 0 &&
		    strchr(" =", end[sizeof(word) - 1]) != NULL)
			return true;
	}
	return false;
}

static void look_for_marker(struct lab_content *content, const char *text)
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

/* RFC 3464 2.3.4. */
static void look_for_status(struct lab_content *content, const char *text)
{
	static const char name[] = "Status:";

	if (strncasecmp(text, name, sizeof(name) - 1) != 0 ||
	    content->status_count == LAB_STATUSES_MAX)
		return;
	text += sizeof(name) - 1;
	text += strspn(text, " \t");
	snprintf(content->statuses[content->status_count++],
	    sizeof(content->statuses[0]), "%.*s", (int)strspn(text,
	    "0123456789."), text);
}

/* A line of a notification. */
static void look_at_notification(struct lab_content *content,
    const char *text)
{
	look_for_status(content, text);
	content->has_text |= strcmp(text, LAB_TEXT) == 0;
}

/*
 * Reads up to CRLF "." CRLF. The marker is a header field; a bounce has none
 * of its own, but the field of the mail that it returns. 1 when all is there,
 * 0 or -1 when the client went away.
 */
static int read_content(struct lab_session *session,
    struct lab_content *content)
{
	bool bounce = *session->transaction.sender == '\0';
	struct lab_line *line = &session->line;
	int got;

	content->at_start = true;
	while ((got = lab_link_line(&session->link, line)) == 1 &&
	    clock_monotonic() < session->link.until) {
		bool whole = line->end == LAB_LINE_CRLF;
		const char *text = line->text;

		if (content->at_start && whole && strcmp(text, ".") == 0)
			return 1;
		if (content->at_start && *text == '.')
			text++;
		if (content->at_start && (bounce || !content->in_body))
			look_for_marker(content, text);
		if (content->at_start && bounce)
			look_at_notification(content, text);
		if (content->at_start && *text == '\0')
			content->in_body = true;
		content->length += line->length + 2 - (size_t)(text -
		    line->text);
		content->at_start = whole;
	}
	return got == 1 ? -1 : got;
}

static void tell_notification(json_t *members,
    const struct lab_content *content)
{
	json_t *statuses = json_array();

	for (size_t i = 0; i < content->status_count; i++)
		json_array_append_new(statuses,
		    json_string(content->statuses[i]));
	json_object_set_new(members, "statuses", statuses);
	json_object_set_new(members, "text",
	    json_boolean(content->has_text));
}

void lab_session_tell_message(const struct lab_session *session)
{
	const struct lab_transaction *transaction = &session->transaction;
	const struct lab_content *content = session->arrived;
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
	json_object_set_new(members, "requiretls",
	    json_boolean(transaction->requiretls));
	if (*transaction->sender == '\0')
		tell_notification(members, content);
	json_object_set_new(members, "impostor",
	    json_boolean(session->host->part == LAB_PART_IMPOSTOR));
	json_object_set_new(members, "size",
	    json_integer((json_int_t)content->length));
	lab_event(session->name, "message", members);
}

/* A reply that nobody asked for. */
static void speak_unasked(struct lab_session *session)
{
	if (lab_session_action(session, LAB_STAGE_IDLE) != NULL)
		lab_session_answer(session, LAB_STAGE_IDLE, "");
}

void lab_session_take_message(struct lab_session *session)
{
	struct lab_content content = { .length = 0 };

	if (read_content(session, &content) != 1) {
		session->over = true;
		return;
	}
	if (content.length > LAB_MESSAGE_MAX) {
		lab_session_say(session, "552 5.3.4 too large");
	} else {
		session->arrived = &content;
		lab_session_answer(session, LAB_STAGE_MESSAGE,
		    "250 2.0.0 taken");
		session->arrived = NULL;
	}
	lab_transaction_end(&session->transaction);
	if (!session->over)
		speak_unasked(session);
}
