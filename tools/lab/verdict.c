/* SPDX-License-Identifier: ISC */
/*
 * The outcome is decided by the message's own events first: bounced, else
 * delivered, else waiting. Delivery under TLS is told apart by the twin world,
 * where another key answers: what is delivered there too was never
 * authenticated. Then come the rules that hold whatever the outcome is.
 */
#include "tools/lab/verdict.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char *text_of(const json_t *event, const char *key)
{
	const char *text = json_string_value(json_object_get(event, key));

	return text != NULL ? text : "";
}

static bool is_event(const json_t *event, const char *name)
{
	return strcmp(text_of(event, "event"), name) == 0;
}

static bool is_true(const json_t *event, const char *key)
{
	return json_is_true(json_object_get(event, key));
}

/* A bounce need not return the header; there is one message at a time. */
static bool is_about(const json_t *event, int marker)
{
	const char *text = text_of(event, "marker");

	if (*text == '\0')
		return is_true(event, "dsn");
	return strtol(text, NULL, 10) == marker;
}

struct lab_sight lab_sight_of(const json_t *events, int marker)
{
	struct lab_sight sight = { 0 };
	const json_t *event;
	size_t i;

	json_array_foreach(events, i, event) {
		if (!is_event(event, "message") || !is_about(event, marker))
			continue;
		if (is_true(event, "dsn")) {
			sight.bounced = true;
		} else if (is_true(event, "impostor")) {
			sight.impostor = text_of(event, "actor");
		} else if (sight.host == NULL) {
			sight.host = text_of(event, "actor");
			sight.tls = is_true(event, "tls");
		}
	}
	return sight;
}

static const json_t *events_of(const json_t *seen)
{
	return json_object_get(seen, "events");
}

static int marker_of(const json_t *seen)
{
	return (int)json_integer_value(json_object_get(seen, "marker"));
}

bool lab_needs_twin(const json_t *seen)
{
	struct lab_sight sight = lab_sight_of(events_of(seen),
	    marker_of(seen));

	return sight.host != NULL && sight.tls;
}

static void say(struct lab_verdict *verdict, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void say(struct lab_verdict *verdict, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(verdict->said, sizeof(verdict->said), format, arguments);
	va_end(arguments);
}

/* --- the outcome --- */

/* Delivered here under TLS: what became of it where another key answers? */
static void judge_twin(const json_t *twin, const struct lab_sight *here,
    struct lab_verdict *verdict)
{
	struct lab_sight there = { 0 };

	if (twin != NULL)
		there = lab_sight_of(events_of(twin), marker_of(twin));
	if (twin == NULL || (there.host != NULL && there.tls)) {
		verdict->outcome = LAB_ENCRYPTED;
		say(verdict, "it was delivered to %s under TLS%s", here->host,
		    twin != NULL ? ", and to another key in the twin world" :
		    "; there was no twin world");
	} else if (there.host != NULL) {
		verdict->outcome = LAB_CLEAR;
		say(verdict, "in the twin world, where another key answers, "
		    "it went to %s in clear", there.host);
	} else if (there.bounced) {
		verdict->outcome = LAB_BOUNCED;
		say(verdict, "in the twin world, where another key answers, "
		    "it was returned to the sender instead of waiting");
	} else {
		verdict->outcome = LAB_AUTHENTICATED;
		say(verdict, "it was delivered to %s under TLS, and not where "
		    "another key answers", here->host);
	}
}

static void judge_waiting(const json_t *seen, struct lab_verdict *verdict)
{
	const json_t *healed = json_object_get(seen, "healed");
	struct lab_sight after = lab_sight_of(healed, marker_of(seen));

	verdict->outcome = LAB_WAITING;
	if (healed == NULL) {
		say(verdict, "it was neither delivered nor returned");
	} else if (after.host != NULL) {
		verdict->outcome = LAB_DEFERRED;
		say(verdict, "it waited, and was delivered to %s once the "
		    "faults were lifted", after.host);
	} else if (after.bounced) {
		verdict->outcome = LAB_BOUNCED;
		say(verdict, "it was returned to the sender after the faults "
		    "were lifted");
	} else {
		say(verdict, "it was neither delivered nor returned, not even "
		    "after the faults were lifted and the queue was flushed");
	}
}

static void judge_outcome(const json_t *seen, const json_t *twin,
    struct lab_verdict *verdict)
{
	struct lab_sight here = lab_sight_of(events_of(seen),
	    marker_of(seen));

	if (here.host == NULL && here.bounced) {
		verdict->outcome = LAB_BOUNCED;
		say(verdict, "it was returned to the sender");
	} else if (here.host == NULL) {
		judge_waiting(seen, verdict);
	} else if (here.tls) {
		judge_twin(twin, &here, verdict);
	} else {
		verdict->outcome = LAB_CLEAR;
		say(verdict, "it was delivered to %s in clear", here.host);
	}
}

static bool is_accepted(const struct lab_step *step, enum lab_outcome outcome)
{
	if (outcome == step->expect)
		return true;
	for (size_t i = 0; i < step->accept.count; i++)
		if (strcmp(step->accept.items[i],
		    lab_outcome_name(outcome)) == 0)
			return true;
	return false;
}

/* --- what holds whatever the outcome is --- */

static const char *find_touched(const struct lab_step *step,
    const json_t *events)
{
	const json_t *event;
	size_t i;

	json_array_foreach(events, i, event)
		for (size_t k = 0; k < step->untouched.count; k++)
			if (is_event(event, "connect") &&
			    strcmp(text_of(event, "actor"),
			    step->untouched.items[k]) == 0)
				return step->untouched.items[k];
	return NULL;
}

/* Bounces go to the sender's own host, which knows no TLS. */
static const char *find_clear_mail(const json_t *events)
{
	const json_t *event;
	size_t i;

	json_array_foreach(events, i, event)
		if (is_event(event, "command") && !is_true(event, "tls") &&
		    strncasecmp(text_of(event, "line"), "MAIL", 4) == 0 &&
		    strcmp(text_of(event, "actor"), LAB_ORIGIN_HOST) != 0)
			return text_of(event, "actor");
	return NULL;
}

/* where: "" or " in the twin world" */
static void judge_rules(const struct lab_step *step, const json_t *seen,
    const char *where, struct lab_verdict *verdict)
{
	const json_t *events = events_of(seen);
	struct lab_sight sight = lab_sight_of(events, marker_of(seen));
	const char *touched = find_touched(step, events);
	const char *clear = step->no_clear_mail ? find_clear_mail(events) :
	    NULL;

	if (!verdict->correct && sight.impostor == NULL)
		return;
	verdict->correct = false;
	if (sight.impostor != NULL)
		say(verdict, "an impostor in the path to %s took it%s",
		    sight.impostor, where);
	else if (touched != NULL)
		say(verdict, "%s saw a connection%s, and may not", touched,
		    where);
	else if (clear != NULL)
		say(verdict, "%s heard MAIL in clear%s", clear, where);
	else
		verdict->correct = true;
}

void lab_judge(const struct lab_step *step, const json_t *seen,
    const json_t *twin, struct lab_verdict *verdict)
{
	const char *problem = json_string_value(json_object_get(seen,
	    "problem"));

	memset(verdict, 0, sizeof(*verdict));
	judge_outcome(seen, twin, verdict);
	verdict->correct = is_accepted(step, verdict->outcome);
	judge_rules(step, seen, "", verdict);
	if (twin != NULL)
		judge_rules(step, twin, " in the twin world", verdict);
	if (problem != NULL) {
		verdict->correct = false;
		say(verdict, "%s", problem);
	}
}
