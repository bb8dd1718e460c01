/* SPDX-License-Identifier: ISC */
/*
 * The commands of the session. Each is kept as the data of its frame until
 * the connection is there; then it is sent, or answered without being sent
 * when the filter does not want it or has already given its verdict.
 */
#include "milter/milter.h"

#include "base/log.h"
#include "base/mem.h"
#include "base/stream.h"
#include "milter/question.h"
#include "milter/milter_internal.h"

enum { QUESTION_MAX = 65535 };		/* what libmilter takes */

/* --- asking --- */

/* CONTINUE: it is to be asked. */
static enum milter_action verdict(const struct milter *milter,
    enum stage stage)
{
	if (milter->session != MILTER_CONTINUE)
		return milter->session;
	return stage_is_of_message(stage) ? milter->message : MILTER_CONTINUE;
}

void milter_pose(struct milter *milter)
{
	enum milter_action settled = verdict(milter, milter->stage);
	struct buf *question = &milter->question;

	if (settled != MILTER_CONTINUE) {
		milter_answer(milter, settled == MILTER_ACCEPT ?
		    MILTER_CONTINUE : settled);
		return;
	}
	if (milter->content != NULL) {
		milter_content_begin(milter);
		return;
	}
	if (!negotiated_wants(&milter->options, milter->stage) ||
	    (milter->skipped & 1u << milter->stage) != 0) {
		milter_answer(milter, MILTER_CONTINUE);
		return;
	}
	milter_enter(milter, STATE_ASKED);
	milter->answer_due = negotiated_answers(&milter->options,
	    milter->stage);
	milter_wait(milter, milter->settings.reply_ms);
	milter_send(milter, milter->stage, buf_data(question),
	    buf_length(question));
	if (milter->state == STATE_ASKED && !milter->answer_due)
		milter_answer(milter, MILTER_CONTINUE);
}

static void on_patience(void *arg)
{
	struct milter *milter = arg;

	milter_fail(milter, "no end after %lld ms",
	    (long long)milter->settings.message_ms);
}

/* written: what came of writing the question. */
static void ask(struct milter *milter, enum stage stage, int written)
{
	milter->asked = true;
	milter->stage = stage;
	milter->answer.code = 0;
	milter->answer.enhanced[0] = '\0';
	if (milter->state == STATE_GONE) {
		milter_answer(milter, MILTER_FAILED);
		return;
	}
	timer_start(&milter->patience, milter->settings.message_ms,
	    on_patience, milter);
	if (written != 0)
		milter_fail(milter, "the command is too long for it");
	else if (milter->state == STATE_NEW)
		milter_connect(milter);
	else if (milter->state == STATE_READY)
		milter_pose(milter);
}

static struct buf *question(struct milter *milter)
{
	if (milter->asked)
		bug("milter-asked-twice");
	buf_reset(&milter->question);
	return &milter->question;
}

static bool is_linked(const struct milter *milter)
{
	return milter->state == STATE_READY || milter->state == STATE_ASKED;
}

/* The message under way, if there is one, is over. */
static void end_message(struct milter *milter)
{
	if (milter->begun && is_linked(milter))
		milter_send_abort(milter);
	milter->begun = false;
	milter->message = MILTER_CONTINUE;
	milter->skipped = 0;
	changes_reset(&milter->changes);
}

/* Nobody waits for the answer any more. */
static void abandon(struct milter *milter)
{
	bool waited = milter->answer_due;

	loop_undefer(milter);
	timer_stop(&milter->patience);
	milter->asked = false;
	milter->answered = false;
	milter->content = NULL;
	milter->answer_due = false;
	milter->draining = false;
	buf_release(&milter->question);
	mem_free(milter->text);
	milter->text = NULL;
	if (milter->state == STATE_ASKED) {
		milter_enter(milter, STATE_READY);
		if (waited)
			milter->abandoned++;
		if (milter->abandoned == 0)
			timer_stop(&milter->deadline);
	} else if (!is_linked(milter) && !stage_is_of_message(milter->stage)) {
		/* It would never hear who the client is. */
		milter_fail(milter, "it was given up before it was there");
	}
}

/* --- commands --- */

void milter_connected(struct milter *milter, const char *name,
    const struct endpoint *client)
{
	ask(milter, STAGE_CONNECT, question_connect(question(milter), name,
	    client));
}

void milter_hello(struct milter *milter, const char *name)
{
	ask(milter, STAGE_HELO, question_hello(question(milter), name));
}

void milter_mail(struct milter *milter, const char *sender,
    const char *const *parameters)
{
	int written = question_address(question(milter), sender, parameters);

	end_message(milter);
	ask(milter, STAGE_MAIL, written);
}

void milter_recipient(struct milter *milter, const char *recipient,
    const char *const *parameters)
{
	ask(milter, STAGE_RECIPIENT, question_address(question(milter),
	    recipient, parameters));
}

void milter_refused(struct milter *milter, const char *recipient,
    const char *const *parameters)
{
	struct buf *data = question(milter);

	if (milter->state != STATE_READY ||
	    (milter->options.steps & STEP_REFUSED_RECIPIENT) == 0 ||
	    !negotiated_wants(&milter->options, STAGE_RECIPIENT) ||
	    (milter->skipped & 1u << STAGE_RECIPIENT) != 0 ||
	    verdict(milter, STAGE_RECIPIENT) != MILTER_CONTINUE ||
	    question_address(data, recipient, parameters) != 0)
		return;
	if (negotiated_answers(&milter->options, STAGE_RECIPIENT)) {
		milter->abandoned++;
		milter_wait(milter, milter->settings.reply_ms);
	}
	milter_send(milter, STAGE_RECIPIENT, buf_data(data),
	    buf_length(data));
}

void milter_data(struct milter *milter)
{
	question(milter);
	ask(milter, STAGE_DATA, 0);
}

void milter_content(struct milter *milter,
    const struct milter_content *content)
{
	question(milter);
	changes_reset(&milter->changes);
	milter->content = content;
	ask(milter, STAGE_HEADER, 0);
}

const struct milter_edits *milter_edits(const struct milter *milter)
{
	return &milter->changes.list;
}

void milter_abort(struct milter *milter)
{
	if (milter->asked)
		abandon(milter);
	end_message(milter);
}

bool milter_has_failed(const struct milter *milter)
{
	return milter->state == STATE_GONE;
}

/* --- life --- */

struct milter *milter_new(const struct milter_settings *settings,
    milter_macro *macro, milter_done *done, void *arg)
{
	struct milter *milter = mem_alloc(sizeof(*milter));

	milter_enter(milter, STATE_NEW);
	milter->settings = *settings;
	milter->settings.name = mem_dup_string(settings->name);
	milter->settings.socket = mem_dup_string(settings->socket);
	milter->settings.host = mem_dup_string(settings->host);
	milter->macro = macro;
	milter->done = done;
	milter->arg = arg;
	milter->session = MILTER_CONTINUE;
	milter->message = MILTER_CONTINUE;
	buf_init(&milter->question, QUESTION_MAX);
	changes_init(&milter->changes, settings->replace_max);
	return milter;
}

void milter_free(struct milter *milter)
{
	if (milter == NULL)
		return;
	loop_undefer(milter);
	milter_disconnect(milter);
	changes_reset(&milter->changes);
	macros_release(&milter->macros);
	buf_release(&milter->question);
	mem_free(milter->text);
	mem_free((char *)milter->settings.name);
	mem_free((char *)milter->settings.socket);
	mem_free((char *)milter->settings.host);
	mem_free(milter);
}
