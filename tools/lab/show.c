/* SPDX-License-Identifier: ISC */
/*
 * A timeline has a line for each event: seconds since the first of its world,
 * who saw it, and what. ">" is what the peer of that actor said, "<" what the
 * actor said; a star stands for TLS. What is not known here is printed as it
 * is, so that no event is ever left out.
 */
#include "tools/lab/show.h"

#include <stdlib.h>
#include <string.h>

#include "tools/lab/text.h"

enum { TIME_WIDTH = 11 };	/* "  %7.3f  " */

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text != NULL ? text : "";
}

static bool is_true(const json_t *object, const char *key)
{
	return json_is_true(json_object_get(object, key));
}

static void put(FILE *out, const json_t *object, const char *before,
    const char *key)
{
	fputs(before, out);
	lab_text_put(out, text_of(object, key));
}

/* "BEFORE value" where there is one; numbers, too. */
static void put_if(FILE *out, const json_t *object, const char *before,
    const char *key)
{
	const json_t *value = json_object_get(object, key);

	if (json_is_integer(value))
		fprintf(out, "%s%lld", before,
		    (long long)json_integer_value(value));
	else if (*text_of(object, key) != '\0')
		put(out, object, before, key);
}

static void put_texts(FILE *out, const json_t *array)
{
	const json_t *item;
	size_t i;

	json_array_foreach(array, i, item) {
		fputs(i > 0 ? ", " : "", out);
		lab_text_put(out, json_string_value(item) != NULL ?
		    json_string_value(item) : "?");
	}
}

/* --- one event --- */

static void put_connect(FILE *out, const json_t *event)
{
	fputs("connection", out);
	put_if(out, event, " ", "visit");
	put_if(out, event, " from ", "client");
	fputs(is_true(event, "impostor") ? ", answered by an impostor" : "",
	    out);
}

/* What was said, line by line; the later ones under the first. */
static void put_said(FILE *out, const json_t *event, const char *sign,
    const char *key)
{
	const char *text = text_of(event, key);
	int indent = TIME_WIDTH + (int)strlen(text_of(event, "actor")) + 2;
	bool first = true;

	while (first || *text != '\0') {
		size_t length = strcspn(text, "\r\n");
		char line[600];

		snprintf(line, sizeof(line), "%.*s", (int)length, text);
		if (!first)
			fprintf(out, "\n%*s", indent, "");
		fprintf(out, "%s%s ", sign, is_true(event, "tls") ? "*" : " ");
		lab_text_put(out, line);
		text += length;
		text += strspn(text, "\r\n");
		first = false;
	}
}

static void put_command(FILE *out, const json_t *event)
{
	put_said(out, event, ">", "line");
}

static void put_reply(FILE *out, const json_t *event)
{
	put_said(out, event, "<", "text");
}

/* Of the client of a dialogue: what it says goes to the MTA under test. */
static void put_say(FILE *out, const json_t *event)
{
	put_said(out, event, "<", "text");
}

static void put_hear(FILE *out, const json_t *event)
{
	put_said(out, event, ">", "text");
}

static void put_starttls(FILE *out, const json_t *event)
{
	put(out, event, "STARTTLS: ", "reply");
}

static void put_handshake(FILE *out, const json_t *event)
{
	fputs("TLS", out);
	put_if(out, event, " ", "version");
	put_if(out, event, ", ", "cipher");
	put_if(out, event, ", for the name ", "sni");
	put_if(out, event, ", fails: ", "problem");
}

static void put_message(FILE *out, const json_t *event)
{
	fprintf(out, "%s %s", is_true(event, "impostor") ? "AN IMPOSTOR TOOK" :
	    "took", is_true(event, "dsn") ? "a notification" : "message");
	put_if(out, event, " ", "marker");
	put(out, event, " from <", "sender");
	fputs("> to ", out);
	put_texts(out, json_object_get(event, "recipients"));
	fputs(is_true(event, "tls") ? ", under TLS" : ", in clear", out);
	fputs(is_true(event, "requiretls") ? ", with REQUIRETLS" : "", out);
	if (json_array_size(json_object_get(event, "statuses")) > 0) {
		fputs(", status ", out);
		put_texts(out, json_object_get(event, "statuses"));
	}
	fputs(is_true(event, "text") ? ", with the message's text" : "", out);
}

static void put_fetch(FILE *out, const json_t *event)
{
	put(out, event, "HTTPS: ", "path");
	put_if(out, event, ": ", "status");
	put_if(out, event, ", ", "problem");
}

static void put_dns(FILE *out, const json_t *event)
{
	put(out, event, "", "name");
	put(out, event, " ", "type");
	put_if(out, event, ": ", "answer");
	/* Most zones have one. */
	if (json_integer_value(json_object_get(event, "server")) > 1)
		put_if(out, event, ", of server ", "server");
}

static void put_end(FILE *out, const json_t *event)
{
	fputs("end", out);
	put_if(out, event, ": ", "problem");
}

static const struct {
	const char	*name;
	void		(*put)(FILE *out, const json_t *event);
} kinds[] = {
	{ "connect", put_connect }, { "command", put_command },
	{ "reply", put_reply }, { "say", put_say }, { "hear", put_hear },
	{ "starttls", put_starttls }, { "handshake", put_handshake },
	{ "message", put_message }, { "fetch", put_fetch },
	{ "dns", put_dns }, { "end", put_end },
};

static void put_unknown(FILE *out, const json_t *event)
{
	char *text = json_dumps(event, JSON_COMPACT);

	lab_text_put(out, text != NULL ? text : "?");
	free(text);
}

static void put_event(FILE *out, const json_t *event, json_int_t begin)
{
	json_int_t time = json_integer_value(json_object_get(event, "time"));
	size_t i = 0, count = sizeof(kinds) / sizeof(kinds[0]);

	while (i < count && strcmp(kinds[i].name, text_of(event,
	    "event")) != 0)
		i++;
	fprintf(out, "  %7.3f  ", (double)(time - begin) / 1000);
	lab_text_put(out, text_of(event, "actor"));
	fputs("  ", out);
	if (i < count)
		kinds[i].put(out, event);
	else
		put_unknown(out, event);
	fputc('\n', out);
}

static void put_timeline(FILE *out, const json_t *events, const char *heading)
{
	json_int_t begin;
	const json_t *event;
	size_t i;

	if (!json_is_array(events))
		return;
	fprintf(out, "  -- %s --\n", heading);
	if (json_array_size(events) == 0)
		fputs("           (nothing)\n", out);
	begin = json_integer_value(json_object_get(json_array_get(events, 0),
	    "time"));
	json_array_foreach(events, i, event)
		put_event(out, event, begin);
}

/* --- steps --- */

static void put_dialogue(FILE *out, const json_t *dialogue)
{
	if (!json_is_object(dialogue))
		return;
	put(out, dialogue, "  dialogue: ", "outcome");
	put_if(out, dialogue, "; the move that failed: ", "move");
	put_if(out, dialogue, "; cut at ", "place");
	fputc('\n', out);
}

static void put_step(FILE *out, const json_t *step)
{
	static const struct { const char *key, *before; } notes[] = {
		{ "reply", "  reply to the message: " },
		{ "crashed", "  crashed: " }, { "hung", "  hung: " },
		{ "problem", "  problem: " } };
	const json_t *faults = json_object_get(step, "faults");

	put(out, step, "\nstep ", "step");
	put(out, step, ": ", "mark");
	put(out, step, "\n  expected ", "expected");
	put(out, step, ", came ", "outcome");
	put(out, step, ": ", "said");
	put_if(out, step, "\n  to ", "to");
	if (json_array_size(faults) > 0) {
		fputs("\n  faults: ", out);
		put_texts(out, faults);
	}
	if (json_array_size(json_object_get(step, "report")) > 0) {
		fputs("\n  expected of TLSRPT: ", out);
		put_texts(out, json_object_get(step, "report"));
	}
	fputc('\n', out);
	for (size_t i = 0; i < sizeof(notes) / sizeof(notes[0]); i++) {
		if (*text_of(step, notes[i].key) == '\0')
			continue;
		put(out, step, notes[i].before, notes[i].key);
		fputc('\n', out);
	}
	put_dialogue(out, json_object_get(step, "dialogue"));
	put_timeline(out, json_object_get(step, "events"), "what was seen");
	put_timeline(out, json_object_get(step, "healed"), "after the faults "
	    "were lifted");
	put_timeline(out, json_object_get(step, "twin"), "in the twin world, "
	    "where other keys answer");
}

bool lab_show_has_step(const json_t *trial, const char *step)
{
	const json_t *one;
	size_t i;

	json_array_foreach(json_object_get(trial, "steps"), i, one)
		if (strcmp(text_of(one, "step"), step) == 0)
			return true;
	return false;
}

void lab_show_trial(FILE *out, const json_t *trial, const char *step)
{
	const json_t *clauses = json_object_get(trial, "clauses"), *one;
	size_t i;

	put(out, trial, "", "scenario");
	put(out, trial, ": ", "title");
	if (json_array_size(clauses) > 0) {
		fputs("\n(", out);
		put_texts(out, clauses);
		fputc(')', out);
	}
	put(out, trial, "\n", "mta");
	put(out, trial, ", profile ", "profile");
	put_if(out, trial, ", round ", "round");
	put(out, trial, ": ", "mark");
	put_if(out, trial, "\ncannot be judged here: ", "unavailable");
	put_if(out, trial, "\nproblem: ", "problem");
	fputc('\n', out);
	json_array_foreach(json_object_get(trial, "steps"), i, one)
		if (step == NULL || strcmp(text_of(one, "step"), step) == 0)
			put_step(out, one);
}
