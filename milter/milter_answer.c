/* SPDX-License-Identifier: ISC */
/*
 * From replies to the one answer. What came is held against what was asked
 * and against what was agreed on; done is called from the loop, last of all,
 * so that its owner may do there what it likes.
 */
#include "milter/milter_internal.h"

#include <string.h>

#include "base/mem.h"
#include "milter/reply.h"

static void tell(void *arg)
{
	struct milter *milter = arg;
	struct milter_answer answer = milter->answer;
	char *text = milter->text;
	char why[MILTER_WHY_SIZE];

	memcpy(why, milter->why, sizeof(why));
	answer.text = text != NULL ? text : "";
	answer.why = why;
	milter->text = NULL;
	milter->asked = false;
	milter->answered = false;
	milter->done(milter->arg, &answer);
	mem_free(text);
}

void milter_answer(struct milter *milter, enum milter_action action)
{
	milter->answer.action = action;
	milter->answered = true;
	milter->content = NULL;
	milter->draining = false;
	milter->answer_due = false;
	timer_stop(&milter->patience);
	if (milter->abandoned == 0)
		timer_stop(&milter->deadline);
	buf_release(&milter->question);
	if (milter->state == STATE_ASKED)
		milter_enter(milter, STATE_READY);
	loop_defer(tell, milter);
}

/* What the answer means for what comes after it. */
static void settle(struct milter *milter, enum milter_action action)
{
	bool over = action == MILTER_ACCEPT || action == MILTER_SHUTDOWN;

	switch (milter->stage) {
	case STAGE_CONNECT:
		milter->session = action;
		break;
	case STAGE_HELO:
		/* Another greeting may be better. */
		if (over)
			milter->session = action;
		break;
	case STAGE_RECIPIENT:
		/* The others are not concerned. */
		if (over || action == MILTER_DISCARD)
			milter->message = action;
		break;
	default:
		milter->message = action;
		break;
	}
	if (action == MILTER_SHUTDOWN)
		milter->session = action;
}

/* It needs no more of the message to know. */
static void conclude(struct milter *milter, enum milter_action action)
{
	bool changed = milter->stage == STAGE_END &&
	    (action == MILTER_CONTINUE || action == MILTER_ACCEPT);

	if (action == MILTER_DISCARD && !stage_is_of_message(milter->stage)) {
		milter_fail(milter, "it wants to discard a message before "
		    "there is one");
		return;
	}
	settle(milter, action);
	if (milter->stage == STAGE_END)
		milter->begun = false;
	if (changed)
		changes_end(&milter->changes);
	else
		changes_reset(&milter->changes);
	milter_answer(milter, action);
}

/* It has no objection, so far. */
static void go_on(struct milter *milter)
{
	if (milter->content == NULL)
		milter_answer(milter, MILTER_CONTINUE);
	else if (milter->stage == STAGE_END)
		conclude(milter, MILTER_CONTINUE);
	else
		milter_content_go_on(milter);
}

static void on_words(struct milter *milter, const char *words)
{
	struct milter_answer *answer = &milter->answer;
	char text[REPLY_TEXT_SIZE];

	if (reply_words(words, &answer->code, answer->enhanced, text) != 0) {
		milter_fail(milter, "it gave words that are no refusal of "
		    "SMTP");
		return;
	}
	milter->text = mem_dup_string(text);
	/* RFC 5321 3.8: who says 421 closes. */
	conclude(milter, answer->code == 421 ? MILTER_SHUTDOWN :
	    answer->code < 500 ? MILTER_TEMPFAIL : MILTER_REJECT);
}

static void on_skip(struct milter *milter)
{
	enum stage stage = milter->stage;

	/* It was offered; not all that say it say before that they will. */
	if (milter->options.version < NEGOTIATE_VERSION ||
	    (stage != STAGE_RECIPIENT && stage != STAGE_HEADER &&
	    stage != STAGE_BODY)) {
		milter_fail(milter, "it wants to skip what cannot be skipped");
		return;
	}
	milter->skipped |= 1u << stage;
	go_on(milter);
}

static void on_edit(struct milter *milter, const struct reply *reply)
{
	bool spaced = (milter->options.steps & STEP_LEADING_SPACE) != 0;
	const char *why = NULL;

	if (milter->stage != STAGE_END)
		milter_fail(milter, "it wants to change a message before its "
		    "end");
	else if ((milter->options.changes & reply->change) == 0)
		milter_fail(milter, "it wants to change what it has not "
		    "asked to be allowed");
	else if (changes_add(&milter->changes, reply, spaced, &why) != 0)
		milter_fail(milter, "%s", why);
	else
		milter_wait(milter, milter->settings.reply_ms);
}

/* An answer that nobody waits for any more. */
static void on_abandoned(struct milter *milter, const struct reply *reply)
{
	if (reply->kind != REPLY_PROGRESS && reply->kind != REPLY_EDIT)
		milter->abandoned--;
	if (milter->abandoned > 0 || milter->state == STATE_ASKED)
		milter_wait(milter, milter->settings.reply_ms);
	else
		timer_stop(&milter->deadline);
}

void milter_heard(struct milter *milter, const struct reply *reply)
{
	if (milter->abandoned > 0) {
		on_abandoned(milter, reply);
		return;
	}
	if (reply->kind == REPLY_PROGRESS) {
		milter_wait(milter, milter->settings.reply_ms);
		return;
	}
	if (reply->kind == REPLY_EDIT) {
		on_edit(milter, reply);
		return;
	}
	milter->answer_due = false;
	timer_stop(&milter->deadline);
	if (reply->kind == REPLY_SKIP)
		on_skip(milter);
	else if (reply->kind == REPLY_WORDS)
		on_words(milter, reply->words);
	else if (reply->action == MILTER_CONTINUE)
		go_on(milter);
	else
		conclude(milter, reply->action);
}
