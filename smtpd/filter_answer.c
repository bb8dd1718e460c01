/* SPDX-License-Identifier: ISC */
/*
 * What the answer of a filter means for the command or message: the reply that
 * the client gets, or that it goes on. A filter that could not be asked is
 * treated as its option failure says, but not before there is a message.
 */
#include "smtpd/filter_internal.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "conf/conf.h"
#include "smtpd/session.h"

static const char *const stage_names[] = {
	[FILTER_CONNECT] = "connect", [FILTER_HELLO] = "hello",
	[FILTER_MAIL] = "mail", [FILTER_RECIPIENT] = "recipient",
	[FILTER_DATA] = "data", [FILTER_CONTENT] = "content",
};

static const char *const action_names[] = {
	[MILTER_CONTINUE] = "continue", [MILTER_ACCEPT] = "accept",
	[MILTER_DISCARD] = "discard", [MILTER_REJECT] = "reject",
	[MILTER_TEMPFAIL] = "tempfail", [MILTER_SHUTDOWN] = "shutdown",
	[MILTER_FAILED] = "failed",
};

/* Its words in one line. */
static void join_lines(char *out, size_t size, const char *text)
{
	snprintf(out, size, "%s", text);
	for (; *out != '\0'; out++)
		if (*out == '\n')
			*out = ' ';
}

static void tell(const struct filter *filter,
    const struct milter_answer *answer)
{
	struct session *session = filter->filters->session;

	checks_note(session, filter->conf->name, action_names[answer->action],
	    "%s%s%s", stage_names[filter->filters->stage],
	    answer->text[0] == '\0' && answer->why == NULL ? "" : ": ",
	    answer->action == MILTER_FAILED && answer->why != NULL ?
	    answer->why : answer->text);
	if (answer->action == MILTER_CONTINUE ||
	    answer->action == MILTER_ACCEPT ||
	    answer->action == MILTER_FAILED)
		return;
	log_info("milter", log_session(session->id),
	    log_text("milter", filter->conf->name),
	    log_text("stage", stage_names[filter->filters->stage]),
	    log_text("action", action_names[answer->action]));
}

/* --- it wants the client to hear no --- */

struct usual {
	int		 code;
	const char	*enhanced;
	const char	*text;
};

static const struct usual usual_reject = { 550, "5.7.1",
    "a mail filter refuses it" };
static const struct usual usual_tempfail = { 451, "4.7.1",
    "a mail filter asks to try again later" };
static const struct usual usual_shutdown = { 421, "4.7.0",
    "a mail filter ends the connection" };

static const struct usual *usual_of(enum milter_action action)
{
	switch (action) {
	case MILTER_REJECT:
		return &usual_reject;
	case MILTER_TEMPFAIL:
		return &usual_tempfail;
	default:
		return &usual_shutdown;
	}
}

/* RFC 5321 3.1, 3.8: before the greeting there are two ways to say no. */
static int code_of(const struct filter *filter,
    const struct milter_answer *answer)
{
	if (answer->action == MILTER_SHUTDOWN)
		return 421;
	if (filter->filters->stage == FILTER_CONNECT)
		return answer->action == MILTER_REJECT ? 554 : 421;
	return answer->code != 0 ? answer->code :
	    usual_of(answer->action)->code;
}

static enum check_answer refuse(const struct filter *filter,
    const struct milter_answer *answer)
{
	struct session *session = filter->filters->session;
	const struct usual *usual = usual_of(answer->action);
	const char *enhanced = answer->enhanced;
	int code = code_of(filter, answer);
	char text[CHECK_TEXT_MAX];

	join_lines(text, sizeof(text), answer->code != 0 &&
	    answer->text[0] != '\0' ? answer->text : usual->text);
	if (answer->code == 0 || enhanced[0] == '\0')
		enhanced = usual->enhanced;
	if (code == 421)
		return checks_close(session, MODE_ON, code, enhanced, "%s",
		    text);
	return checks_stop(session, MODE_ON, code, enhanced, "%s", text);
}

/* Before the end it is all the same whether anything else is said. */
static enum check_answer discard(struct filter *filter)
{
	struct filters *filters = filter->filters;
	enum check_answer answer;

	filters->discards = filter->conf;
	if (filters->stage < FILTER_DATA) {
		filters->at = filters->count;
		return CHECK_PASS;
	}
	answer = checks_stop(filters->session, MODE_ON, 250, "2.0.0",
	    "discarded by %s", filter->conf->name);
	filters->session->outcome.discard = true;
	filters->session->outcome.check = filter->conf->name;
	return answer;
}

/* --- it does not work --- */

/* failed: for what only we could see the library has not logged anything. */
static enum check_answer fail(struct filter *filter)
{
	struct session *session = filter->filters->session;

	if (filter->filters->stage < FILTER_MAIL)
		return CHECK_PASS;
	switch (filter->conf->failure) {
	case FILTER_ACCEPT:
		filter->skipped = true;
		log_warn("milter-skipped", log_session(session->id),
		    log_text("milter", filter->conf->name),
		    log_text("stage", stage_names[filter->filters->stage]));
		return CHECK_PASS;
	case FILTER_REJECT:
		return checks_stop(session, MODE_ON, 550, "5.7.1",
		    "the mail filter that would have to look at it does not "
		    "work");
	default:
		return checks_stop(session, MODE_ON, 451, "4.7.1",
		    "a mail filter does not work at present, please try again "
		    "later");
	}
}

static unsigned count_edits(const struct filter *filter)
{
	const struct milter_edit *wanted;
	unsigned count = 0;

	TAILQ_FOREACH(wanted, milter_edits(filter->milter), link)
		count++;
	return count;
}

static enum check_answer edit(struct filter *filter)
{
	struct filters *filters = filter->filters;
	const char *reason = NULL;

	if (filters->stage != FILTER_CONTENT)
		return CHECK_PASS;
	if (!TAILQ_EMPTY(milter_edits(filter->milter)))
		checks_note(filters->session, filter->conf->name, "changes",
		    "%u of them", count_edits(filter));
	if (filter_message_edit(filter, &reason) == 0) {
		filters->edit = TAILQ_FIRST(milter_edits(filter->milter));
		return filter_edit_envelope(filters);
	}
	if (filters->overflowed)
		return filter_message_stop_full(filters->session);
	/* What the library has checked it has logged. */
	log_warn("milter-failed", log_session(filters->session->id),
	    log_text("milter", filter->conf->name),
	    log_text("reason", reason));
	return fail(filter);
}

static enum check_answer judge(struct filter *filter,
    const struct milter_answer *answer)
{
	switch (answer->action) {
	case MILTER_CONTINUE:
	case MILTER_ACCEPT:
		return edit(filter);
	case MILTER_DISCARD:
		return discard(filter);
	case MILTER_REJECT:
	case MILTER_TEMPFAIL:
	case MILTER_SHUTDOWN:
		return refuse(filter, answer);
	case MILTER_FAILED:
		return fail(filter);
	}
	bug("milter-action");
}

enum check_answer filter_judge(struct filter *filter,
    const struct milter_answer *answer)
{
	struct filters *filters = filter->filters;
	enum check_answer result;

	tell(filter, answer);
	result = judge(filter, answer);
	filters->refused_by_one = result == CHECK_STOP &&
	    filters->stage == FILTER_RECIPIENT;
	return result;
}
