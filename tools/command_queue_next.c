/* SPDX-License-Identifier: ISC */
/*
 * Recipients of one domain and level are one question. Nothing is kept between
 * messages: another age is another question.
 */
#include "tools/command_queue_next.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/control.h"
#include "tools/command_policy_print.h"
#include "tools/command_text.h"
#include "tools/command_time.h"
#include "tools/control_client.h"

/* One question about a message. */
struct question {
	const json_t	*message;
	const char	*domain;
	const char	*level;		/* of set-tls; empty: none */
	const char	*due;		/* of the first such recipient */
	const char	*reason;
	const char	*state;
	bool		 json;
	bool		 answered;
};

/* Notifications go as well as they can (RFC 8689 5); that is no question policy
 * answers, but what it would answer without a wish, and the keyword. */
static bool is_notification(const json_t *message)
{
	return text_of(message, "sender")[0] == '\0';
}

static json_t *request_of(const struct question *question)
{
	const char *tag = text_of(question->message, "tls-tag");
	int64_t arrival = command_read_moment(text_of(question->message,
	    "arrival"));
	int64_t waited = clock_wall() / 1000 - arrival;
	json_t *request = json_pack("{s:s, s:I}", "domain", question->domain,
	    "waited", (json_int_t)(arrival < 0 || waited < 0 ? 0 : waited));

	if (tag[0] != '\0' && !(is_notification(question->message) &&
	    strcmp(tag, "requiretls") == 0))
		json_object_set_new(request, "wish", json_string(tag));
	if (question->level[0] != '\0')
		json_object_set_new(request, "level",
		    json_string(question->level));
	return request;
}

/* --- what came back --- */

static void print_object(const struct question *question, const char *key,
    json_t *value)
{
	json_t *object = json_pack("{s:s, s:s, s:o}", "id",
	    text_of(question->message, "id"), "domain", question->domain,
	    key, value);

	text_print_json(object);
	json_decref(object);
}

static void print_heading(const struct question *question)
{
	char shown[TEXT_BYTES];

	if (strcmp(question->state, "held") == 0)
		snprintf(shown, sizeof(shown), "next attempt, to %s, when it "
		    "is released:", question->domain);
	else if (strcmp(question->state, "deferred") == 0 &&
	    strcmp(question->reason, "paused") == 0)
		snprintf(shown, sizeof(shown), "next attempt, to %s, when the "
		    "pause is over:", question->domain);
	else if (strcmp(question->state, "deferred") == 0 &&
	    question->due[0] != '\0')
		snprintf(shown, sizeof(shown), "next attempt, to %s, at %s:",
		    question->domain, question->due);
	else
		snprintf(shown, sizeof(shown), "next attempt, to %s, now:",
		    question->domain);
	text_line(2, shown);
}

static void on_explained(void *arg, const json_t *object)
{
	struct question *question = arg;

	question->answered = true;
	if (question->json) {
		print_object(question, "policy", json_deep_copy(object));
		return;
	}
	print_heading(question);
	policy_print_next(object);
	if (is_notification(question->message) &&
	    strcmp(text_of(question->message, "tls-tag"), "requiretls") == 0)
		text_line(4, "REQUIRETLS is asked for where a host offers it: "
		    "it is a notification about a message that demanded it");
}

static void ask(const struct conf *conf, struct question *question)
{
	struct control_client_answer answer = { .line = on_explained,
	    .arg = question };
	char shown[TEXT_BYTES];

	control_client_ask_quietly(conf, ROLE_POLICY, "explain",
	    request_of(question), &answer);
	if (question->answered)
		return;
	if (question->json) {
		print_object(question, "problem",
		    json_string(answer.message));
		return;
	}
	print_heading(question);
	snprintf(shown, sizeof(shown), "policy could not be asked: %s",
	    answer.message);
	text_line(4, shown);
}

/* --- which questions there are --- */

static bool is_same(const json_t *one, const json_t *other)
{
	return strcmp(text_of(one, "domain"), text_of(other, "domain")) == 0 &&
	    strcmp(text_of(one, "tls-level"), text_of(other,
	    "tls-level")) == 0;
}

/* Was it asked for a recipient before this one? */
static bool is_new(const json_t *recipients, size_t index)
{
	size_t i;

	for (i = 0; i < index; i++)
		if (is_same(json_array_get(recipients, i),
		    json_array_get(recipients, index)))
			return false;
	return true;
}

void queue_next_tell(const struct conf *conf, const json_t *message,
    bool json)
{
	const json_t *recipients = json_object_get(message, "recipients");
	const json_t *recipient;
	size_t i, asked = 0;

	json_array_foreach(recipients, i, recipient) {
		struct question question = { .message = message,
		    .domain = text_of(recipient, "domain"),
		    .level = text_of(recipient, "tls-level"),
		    .due = text_of(recipient, "next"),
		    .reason = text_of(recipient, "reason"),
		    .state = text_of(recipient, "state"),
		    .json = json };

		if (question.domain[0] == '\0' || !is_new(recipients, i))
			continue;
		if (asked++ == QUEUE_NEXT_DOMAINS) {
			if (!json)
				text_line(2, "and other domains: `postern "
				    "policy explain DOMAIN` says what holds "
				    "for them");
			return;
		}
		ask(conf, &question);
	}
}
