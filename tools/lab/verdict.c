/* SPDX-License-Identifier: ISC */
/*
 * The outcome is decided by the message's own events first: bounced, else
 * delivered, else waiting. Delivery under TLS is told apart by the twin world,
 * where another key answers: what is delivered there too was never
 * authenticated. What the outcome is worth stands in the table below. Then
 * come the rules that hold whatever the outcome is; who breaks one is too lax.
 * A crash, a hang and a failed run go before all of that, since what they left
 * behind is half a story.
 */
#include "tools/lab/verdict.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/log.h"
#include "tools/lab/scenario_options.h"

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

static bool asks_requiretls(const json_t *seen)
{
	return is_true(seen, "requiretls");
}

static int marker_of(const json_t *seen)
{
	return (int)json_integer_value(json_object_get(seen, "marker"));
}

bool lab_needs_twin(const json_t *seen)
{
	struct lab_sight sight = lab_sight_of(events_of(seen),
	    marker_of(seen));

	return json_object_get(seen, "dialogue") == NULL &&
	    sight.host != NULL && sight.tls;
}

static void say(struct lab_verdict *verdict, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void say(struct lab_verdict *verdict, const char *format, ...)
{
	va_list arguments;
	size_t length;
	int whole;

	va_start(arguments, format);
	whole = vsnprintf(verdict->said, sizeof(verdict->said), format,
	    arguments);
	va_end(arguments);
	if (whole < (int)sizeof(verdict->said))
		return;
	/* Cut, but never in the middle of a character: readers of JSON refuse
	 * half of one. */
	length = strlen(verdict->said);
	while (length > 0 && ((unsigned char)verdict->said[length - 1] &
	    0xc0) == 0x80)
		length--;
	if (length > 0 && (unsigned char)verdict->said[length - 1] >= 0xc0)
		length--;
	verdict->said[length] = '\0';
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
	} else if (there.bounced && asks_requiretls(twin)) {
		/* RFC 8689 4.2.1: it is not to wait for a better host. */
		verdict->outcome = LAB_AUTHENTICATED;
		say(verdict, "it was delivered to %s under TLS, and returned "
		    "where another key answers", here->host);
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

/* --- what it is worth --- */

/*
 * Down: what is expected. Across: what came. L too lax, S too strict.
 *
 *		auth.	encr.	clear	wait.	defer.	bounced
 * authentic.	ok	L	L	S	S	S
 * encrypted	S	ok	L	S	S	S
 * clear	S	S	ok	S	S	S
 * waiting	L	L	L	ok	ok	S
 * deferred	L	L	L	S	ok	S
 * bounced	L	L	L	S	S	ok
 *
 * - Less protection than expected, and any delivery of what should wait or be
 *   returned, is too lax.
 * - Authenticated in place of encrypted: in the twin world the mail did not
 *   go, and it should, because nobody promised a key.
 * - Anything under TLS in place of clear: it took another way than the one
 *   that is right there, or asked for more than there is.
 * - Deferred is waiting whose end was seen as well, so it does where waiting
 *   is expected; the other way round the end is what is missing.
 * - Bounced in place of anything else loses mail that was to arrive; waiting
 *   in place of bounced leaves the sender without an answer.
 *
 * A dialogue: unsafe is too lax, unserved too strict. Outcomes of mail and of
 * dialogues do not stand in for each other: such a run has failed.
 */
#define MAIL_OUTCOMES (LAB_BOUNCED + 1)

static const enum lab_mark worth[MAIL_OUTCOMES][MAIL_OUTCOMES] = {
	[LAB_AUTHENTICATED] = { LAB_CORRECT, LAB_TOO_LAX, LAB_TOO_LAX,
	    LAB_TOO_STRICT, LAB_TOO_STRICT, LAB_TOO_STRICT },
	[LAB_ENCRYPTED] = { LAB_TOO_STRICT, LAB_CORRECT, LAB_TOO_LAX,
	    LAB_TOO_STRICT, LAB_TOO_STRICT, LAB_TOO_STRICT },
	[LAB_CLEAR] = { LAB_TOO_STRICT, LAB_TOO_STRICT, LAB_CORRECT,
	    LAB_TOO_STRICT, LAB_TOO_STRICT, LAB_TOO_STRICT },
	[LAB_WAITING] = { LAB_TOO_LAX, LAB_TOO_LAX, LAB_TOO_LAX, LAB_CORRECT,
	    LAB_CORRECT, LAB_TOO_STRICT },
	[LAB_DEFERRED] = { LAB_TOO_LAX, LAB_TOO_LAX, LAB_TOO_LAX,
	    LAB_TOO_STRICT, LAB_CORRECT, LAB_TOO_STRICT },
	[LAB_BOUNCED] = { LAB_TOO_LAX, LAB_TOO_LAX, LAB_TOO_LAX,
	    LAB_TOO_STRICT, LAB_TOO_STRICT, LAB_CORRECT },
};

static bool is_of_mail(enum lab_outcome outcome)
{
	return outcome < MAIL_OUTCOMES;
}

enum lab_mark lab_mark_of(enum lab_outcome expected, enum lab_outcome outcome)
{
	if (expected >= LAB_OUTCOMES || outcome >= LAB_OUTCOMES)
		bug("outcome");
	if (is_of_mail(expected) != is_of_mail(outcome))
		return LAB_FAILED;
	if (is_of_mail(expected))
		return worth[expected][outcome];
	if (expected == outcome)
		return LAB_CORRECT;
	/* Nobody may expect anything but safe; the reader refuses it. */
	if (outcome == LAB_SAFE)
		return LAB_FAILED;
	return outcome == LAB_UNSAFE ? LAB_TOO_LAX : LAB_TOO_STRICT;
}

static enum lab_outcome find_outcome(const char *word)
{
	int index = lab_word_index(lab_outcome_words, word, strlen(word));

	if (index == -1)	/* the reader has looked */
		bug("outcome");
	return (enum lab_outcome)index;
}

static bool is_strict(const struct lab_step *step, enum lab_profile profile)
{
	return profile == LAB_PROFILE_STRICT && step->strict != NULL &&
	    step->strict[0] != '\0';
}

enum lab_outcome lab_expected(const struct lab_step *step,
    enum lab_profile profile)
{
	return is_strict(step, profile) ? find_outcome(step->strict) :
	    step->expect;
}

/* Worst first; see the header. */
static const enum lab_mark by_weight[LAB_MARKS] = { LAB_FAILED, LAB_CRASHED,
    LAB_TOO_LAX, LAB_HUNG, LAB_TOO_STRICT, LAB_NOT_APPLICABLE, LAB_CORRECT };

enum lab_mark lab_mark_worse(enum lab_mark one, enum lab_mark other)
{
	for (size_t i = 0; i < LAB_MARKS; i++)
		if (by_weight[i] == one || by_weight[i] == other)
			return by_weight[i];
	bug("mark");
}

/* Of several outcomes that would do, the one that makes the least of it: what
 * is less than one of them and more than another went too far, not too near. */
static enum lab_mark mark_outcome(const struct lab_step *step,
    enum lab_profile profile, enum lab_outcome outcome)
{
	enum lab_mark mark = lab_mark_of(lab_expected(step, profile), outcome);

	if (is_strict(step, profile))
		return mark;
	for (size_t i = 0; i < step->accept.count; i++) {
		enum lab_mark other = lab_mark_of(find_outcome(
		    step->accept.items[i]), outcome);

		if (lab_mark_worse(mark, other) == mark)
			mark = other;
	}
	return mark;
}

/* --- what holds whatever the outcome is --- */

static bool is_untouchable(const struct lab_step *step, const char *actor)
{
	for (size_t k = 0; k < step->untouched.count; k++)
		if (strcmp(actor, step->untouched.items[k]) == 0)
			return true;
	return false;
}

/*
 * Null, or who was connected to. In the twin world a sender that has met an
 * impostor goes on to hosts that it would not need otherwise, as it should: so
 * there a connection counts only as long as nobody else has begun TLS in this
 * step (`starttls` is told before it is answered; a handshake only when it is
 * over). That it gave nothing away by going on, the outcome says.
 */
static const char *find_touched(const struct lab_step *step,
    const json_t *events, bool twin)
{
	const json_t *event;
	size_t i;

	json_array_foreach(events, i, event) {
		const char *actor = text_of(event, "actor");

		if (is_event(event, "connect") && is_untouchable(step, actor))
			return actor;
		if (twin && (is_event(event, "starttls") ||
		    is_event(event, "handshake")) &&
		    strcmp(actor, LAB_ORIGIN_HOST) != 0)
			return NULL;
	}
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

/* `strict` takes the place of `expect`, and what is said of that with it. A
 * dialogue is about the MTA as a server; how it goes on from there is not. */
static bool forbids_clear_mail(const struct lab_step *step,
    enum lab_profile profile)
{
	if (step->dialogue.count > 0)
		return false;
	return is_strict(step, profile) ?
	    lab_expected(step, profile) != LAB_CLEAR : step->no_clear_mail;
}

/* One of the two worlds a step was run in. */
struct world {
	const json_t	*seen;
	bool		 twin;
	const char	*where;		/* "" or " in the twin world" */
};

/* A break is told in place of the outcome, unless that is too lax itself. */
static void judge_rules(const struct lab_step *step, enum lab_profile profile,
    const struct world *world, struct lab_verdict *verdict)
{
	const json_t *events = events_of(world->seen);
	struct lab_sight sight = lab_sight_of(events, marker_of(world->seen));
	const char *touched = find_touched(step, events, world->twin);
	const char *clear = forbids_clear_mail(step, profile) ?
	    find_clear_mail(events) : NULL;

	if (verdict->mark == LAB_TOO_LAX && sight.impostor == NULL)
		return;
	if (sight.impostor != NULL)
		say(verdict, "an impostor in the path to %s took it%s",
		    sight.impostor, world->where);
	else if (touched != NULL)
		say(verdict, "%s saw a connection%s, and may not", touched,
		    world->where);
	else if (clear != NULL)
		say(verdict, "%s heard MAIL in clear%s", clear, world->where);
	else
		return;
	verdict->mark = LAB_TOO_LAX;
}

/* --- REQUIRETLS (RFC 8689) --- */

/* " REQUIRETLS" behind the path. */
static bool says_requiretls(const json_t *event)
{
	const char *line = text_of(event, "line"), *end = strrchr(line, '>');

	return is_event(event, "command") && strncasecmp(line, "MAIL", 4) == 0 &&
	    end != NULL && strcasestr(end, " REQUIRETLS") != NULL;
}

/* The first event that breaks a rule; what is wrong, about its actor. */
static const char *find_break(const json_t *events, int marker,
    bool requiretls, const json_t **broken)
{
	size_t i;

	json_array_foreach(events, i, *broken) {
		bool asked = is_true(*broken, "requiretls");
		bool dsn = is_true(*broken, "dsn");

		/* 2: the parameter is for TLS sessions. */
		if (says_requiretls(*broken) && !is_true(*broken, "tls"))
			return "heard MAIL with REQUIRETLS in clear";
		if (!is_event(*broken, "message") ||
		    !is_about(*broken, marker))
			continue;
		/* 4.2.1, 4.2.2 and 5 */
		if (requiretls && !dsn && !asked)
			return "took the message without REQUIRETLS, which "
			    "it asks for";
		if (requiretls && dsn && is_true(*broken, "text"))
			return "got a notification with the text of a message "
			    "that asks for REQUIRETLS";
		if (!requiretls && asked)
			return "was asked for REQUIRETLS, for which nobody "
			    "asked";
	}
	return NULL;
}

static void judge_requiretls(const json_t *seen, const char *where,
    struct lab_verdict *verdict)
{
	static const char *const parts[] = { "events", "healed" };

	for (size_t i = 0; i < 2 && verdict->mark != LAB_TOO_LAX; i++) {
		const json_t *broken;
		const char *what = find_break(json_object_get(seen, parts[i]),
		    marker_of(seen), asks_requiretls(seen), &broken);

		if (what == NULL)
			continue;
		say(verdict, "%s %s%s", text_of(broken, "actor"), what, where);
		verdict->mark = LAB_TOO_LAX;
	}
}

/* --- what a notification says --- */

/* No code is wanted, or one of those is there. */
static bool has_status(const struct lab_step *step, const json_t *statuses)
{
	const json_t *status;
	bool wanted = false;
	size_t i;

	for (size_t k = 0; k < step->notification.count; k++) {
		const char *word = step->notification.items[k];

		wanted |= strchr(word, '.') != NULL;
		json_array_foreach(statuses, i, status)
			if (strcmp(json_string_value(status), word) == 0)
				return true;
	}
	return !wanted;
}

static bool wants_requiretls(const struct lab_step *step)
{
	for (size_t k = 0; k < step->notification.count; k++)
		if (strcmp(step->notification.items[k], "requiretls") == 0)
			return true;
	return false;
}

static void judge_notification(const struct lab_step *step,
    const json_t *seen, struct lab_verdict *verdict)
{
	const json_t *event;
	size_t i;

	json_array_foreach(events_of(seen), i, event) {
		const json_t *statuses = json_object_get(event, "statuses");

		if (verdict->mark != LAB_CORRECT || !is_event(event,
		    "message") || !is_true(event, "dsn") ||
		    !is_about(event, marker_of(seen)))
			continue;
		if (wants_requiretls(step) && !is_true(event, "requiretls")) {
			say(verdict, "the notification came without "
			    "REQUIRETLS to %s, which offers it",
			    text_of(event, "actor"));
			verdict->mark = LAB_TOO_LAX;
		} else if (!has_status(step, statuses)) {
			say(verdict, "the notification says %s",
			    json_array_size(statuses) > 0 ? json_string_value(
			    json_array_get(statuses, 0)) : "no status code");
			verdict->mark = LAB_TOO_STRICT;
		}
	}
}

static const char *member(const json_t *seen, const char *key)
{
	const char *text = json_string_value(json_object_get(seen, key));

	return text != NULL && *text != '\0' ? text : NULL;
}

/* What the run says of the MTA's own state, or of itself. */
static void judge_state(const struct world *world, struct lab_verdict *verdict)
{
	static const struct {
		const char	*key;
		enum lab_mark	 mark;
	} states[] = { { "hung", LAB_HUNG }, { "problem", LAB_FAILED },
	    { "crashed", LAB_CRASHED } };

	for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
		const char *text = member(world->seen, states[i].key);

		/* A crash may be why the run could not go on. */
		if (text == NULL || verdict->mark == LAB_CRASHED ||
		    (states[i].mark != LAB_CRASHED && lab_mark_worse(
		    verdict->mark, states[i].mark) == verdict->mark))
			continue;
		verdict->mark = states[i].mark;
		say(verdict, "%s%s", text, world->where);
	}
}

static void judge_dialogue(const json_t *dialogue, struct lab_verdict *verdict)
{
	const char *outcome = text_of(dialogue, "outcome");
	int index = lab_word_index(lab_outcome_words, outcome,
	    strlen(outcome));

	verdict->outcome = index == -1 ? LAB_WAITING :
	    (enum lab_outcome)index;
	if (member(dialogue, "move") != NULL)
		say(verdict, "\"%s\": %s", text_of(dialogue, "move"),
		    text_of(dialogue, "said"));
	else
		say(verdict, "%s", member(dialogue, "said") != NULL ?
		    text_of(dialogue, "said") : "every move went as it should");
}

void lab_judge(const struct lab_step *step, enum lab_profile profile,
    const json_t *seen, const json_t *twin, struct lab_verdict *verdict)
{
	const struct world worlds[] = { { seen, false, "" },
	    { twin, true, " in the twin world" } };
	const json_t *dialogue = json_object_get(seen, "dialogue");

	memset(verdict, 0, sizeof(*verdict));
	if (dialogue != NULL)
		judge_dialogue(dialogue, verdict);
	else if (step->dialogue.count > 0)
		verdict->outcome = LAB_UNSERVED;	/* hung, perhaps */
	else
		judge_outcome(seen, twin, verdict);
	verdict->mark = mark_outcome(step, profile, verdict->outcome);
	if (verdict->mark == LAB_FAILED || verdict->said[0] == '\0') {
		say(verdict, "the run does not say what came of it");
		verdict->mark = member(seen, "hung") != NULL ?
		    LAB_TOO_STRICT : LAB_FAILED;
	}
	for (size_t i = 0; i < 2; i++)
		if (worlds[i].seen != NULL)
			judge_rules(step, profile, &worlds[i], verdict);
	for (size_t i = 0; i < 2 && dialogue == NULL; i++)
		if (worlds[i].seen != NULL)
			judge_requiretls(worlds[i].seen, worlds[i].where,
			    verdict);
	judge_notification(step, seen, verdict);
	for (size_t i = 0; i < 2; i++)
		if (worlds[i].seen != NULL)
			judge_state(&worlds[i], verdict);
}

/* --- names --- */

static const char *const mark_names[LAB_MARKS] = {
	[LAB_CORRECT] = "correct",
	[LAB_TOO_LAX] = "too lax",
	[LAB_TOO_STRICT] = "too strict",
	[LAB_CRASHED] = "crashed",
	[LAB_HUNG] = "hung",
	[LAB_NOT_APPLICABLE] = "not applicable",
	[LAB_FAILED] = "failed",
};

const char *lab_mark_name(enum lab_mark mark)
{
	return mark < LAB_MARKS ? mark_names[mark] : "unknown";
}

enum lab_mark lab_mark_find(const char *name)
{
	enum lab_mark mark = LAB_CORRECT;

	while (mark < LAB_MARKS && strcmp(mark_names[mark], name) != 0)
		mark++;
	return mark;
}
