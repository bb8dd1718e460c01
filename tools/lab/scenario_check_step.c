/* SPDX-License-Identifier: ISC */
/*
 * Steps, and what the MTA under test is to be. A step is about a message, or
 * it is a dialogue; what belongs to the one does not go with the other.
 */
#include "tools/lab/scenario_check_private.h"

#include <ctype.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "conf/conf.h"
#include "conf/options.h"
#include "conf/value.h"
#include "tools/lab/dialogue.h"
#include "tools/lab/run_message.h"
#include "tools/lab/scenario_options.h"

/* What can become of a message, and of a dialogue. */
static const char *const message_words[] = { "authenticated", "encrypted",
    "clear", "waiting", "deferred", "bounced", NULL };
static const char *const strict_words[] = { "authenticated", "encrypted",
    "waiting", "deferred", "bounced", NULL };
static const char *const dialogue_words[] = { "safe", "unserved", "unsafe",
    NULL };

static bool world_has_host(const struct lab_world *world, const char *name)
{
	for (size_t i = 0; i < world->host_count; i++)
		if (strcmp(world->hosts[i].name, name) == 0)
			return true;
	return false;
}

static bool has_host(const struct lab_scenario *scenario, const char *name)
{
	for (size_t i = 0; i < scenario->fault_count; i++)
		if (world_has_host(&scenario->faults[i].changes, name))
			return true;
	return world_has_host(&scenario->world, name);
}

static bool is_recipient(const char *text)
{
	const char *at = strrchr(text, '@');

	return at != NULL && at != text && at[1] != '\0' &&
	    strpbrk(text, " <>") == NULL;
}

/* --- what all steps have --- */

/* "+8d", "-1y"; 0 goes back to the true time. */
static void check_clock(const struct lab_checker *checker, const char *text)
{
	size_t digits;

	if (text[0] == '\0')
		return;
	digits = strspn(text + 1, "0123456789");
	if ((text[0] != '+' && text[0] != '-') || digits == 0 || digits > 6 ||
	    text[digits + 1] == '\0' ||
	    strchr("smhdy", text[digits + 1]) == NULL ||
	    text[digits + 2] != '\0')
		lab_wrong(checker, text, "'%s' is no time to move the clock "
		    "by; accepted: + or -, up to six digits, and one of s, m, "
		    "h, d, y, as \"+8d\"", text);
}

static void check_common(const struct lab_checker *checker,
    const struct lab_step *step)
{
	const struct lab_scenario *scenario = checker->scenario;

	for (size_t i = 0; i < step->faults.count; i++)
		if (!lab_scenario_has_fault(scenario, step->faults.items[i]))
			lab_wrong(checker, step->faults.items[i], "there is "
			    "no fault '%s'; add a section fault %s { ... }",
			    step->faults.items[i], step->faults.items[i]);
	for (size_t i = 0; i < step->untouched.count; i++)
		if (!has_host(scenario, step->untouched.items[i]))
			lab_wrong(checker, step->untouched.items[i], "there "
			    "is no host '%s' in the world",
			    step->untouched.items[i]);
	check_clock(checker, step->clock);
}

/* --- about a message --- */

static void check_report(const struct lab_checker *checker, const char *text)
{
	char results[LAB_LIST_MAX], policies[LAB_LIST_MAX];
	struct lab_words words;

	lab_words_split(text, &words);
	if (words.count < 1 || words.count > 2 ||
	    lab_word_index(lab_report_words, words.at[0], words.length[0]) ==
	    -1 || (words.count == 2 && lab_word_index(lab_report_policy_words,
	    words.at[1], words.length[1]) == -1))
		lab_wrong(checker, text, "'%s' is in no report; accepted: "
		    "\"RESULT-TYPE [POLICY-TYPE]\", RESULT-TYPE one of %s, "
		    "POLICY-TYPE one of %s", text,
		    lab_words_list(lab_report_words, results),
		    lab_words_list(lab_report_policy_words, policies));
}

/* Lines of a message; that there is no line end in them the reader knows. */
static void check_lines(const struct lab_checker *checker,
    const struct lab_texts *lines)
{
	for (size_t i = 0; i < lines->count; i++)
		if (strlen(lines->items[i]) > LAB_MESSAGE_LINE_MAX)
			lab_wrong(checker, lines->items[i], "this is too long "
			    "for a line of a message; accepted: up to %d "
			    "bytes", LAB_MESSAGE_LINE_MAX);
}

static void check_header(const struct lab_checker *checker,
    const struct lab_texts *header)
{
	check_lines(checker, header);
	for (size_t i = 0; i < header->count; i++) {
		const char *line = header->items[i];
		bool folded = i > 0 && (*line == ' ' || *line == '\t');
		size_t name = strcspn(line, ": \t");

		if (!folded && (name == 0 || line[name] != ':'))
			lab_wrong(checker, line, "'%s' is no line of a header; "
			    "accepted: \"NAME: VALUE\", and, behind one, a "
			    "line that begins with a blank", line);
	}
}

/* "5.7.30": class, subject, detail (RFC 3463 2). */
static bool is_status(const char *text)
{
	size_t numbers = 0;

	for (; numbers < 3; numbers++) {
		size_t digits = strspn(text, "0123456789");

		if (digits == 0 || digits > 3 || text[digits] !=
		    (numbers < 2 ? '.' : '\0'))
			return false;
		text += digits + 1;
	}
	return true;
}

/* What belongs to a message that the step itself hands over, and to the
 * notification about it. */
static void check_letter(const struct lab_checker *checker,
    const struct lab_step *step)
{
	if (step->to[0] == '\0' && (step->requiretls ||
	    step->parameters[0] != '\0' || step->header.count > 0 ||
	    step->body.count > 0))
		lab_wrong(checker, step->name, "step %s: requiretls, "
		    "parameters, header and body are about a new message; add "
		    "to = ADDRESS", step->name);
	check_header(checker, &step->header);
	check_lines(checker, &step->body);
	if (strpbrk(step->parameters, "<>") != NULL)
		lab_wrong(checker, step->parameters, "'%s' cannot stand "
		    "behind MAIL FROM; accepted: as \"RET=FULL\"",
		    step->parameters);
	for (size_t i = 0; i < step->notification.count; i++)
		if (strcmp(step->notification.items[i], "requiretls") != 0 &&
		    !is_status(step->notification.items[i]))
			lab_wrong(checker, step->notification.items[i], "'%s' "
			    "is nothing that a notification can have; "
			    "accepted: requiretls, or a status code as 5.7.30",
			    step->notification.items[i]);
}

static void check_message(const struct lab_checker *checker,
    const struct lab_step *step, bool first)
{
	const char *expect = lab_outcome_name(step->expect);
	char list[LAB_LIST_MAX];

	if (step->to[0] == '\0' ? first : !is_recipient(step->to))
		lab_wrong(checker, step->to[0] != '\0' ? step->to :
		    step->name, "step %s: to is the address of a recipient%s",
		    step->name, first ? "; a step has a message or a "
		    "dialogue" : ", or is left out to go on with the message "
		    "of the step before");
	if (lab_word_index(message_words, expect, strlen(expect)) == -1)
		lab_wrong(checker, step->name, "step %s: expect has to say "
		    "what becomes of the message; accepted: %s", step->name,
		    lab_words_list(message_words, list));
	for (size_t i = 0; i < step->accept.count; i++)
		lab_check_word(checker, step->accept.items[i], message_words,
		    "outcome of a message");
	if (step->strict[0] != '\0')
		lab_check_word(checker, step->strict, strict_words,
		    "outcome that can be correct in the strict profile");
	for (size_t i = 0; i < step->report.count; i++)
		check_report(checker, step->report.items[i]);
	check_letter(checker, step);
	if (step->arrives.count > 0 || step->never.count > 0)
		lab_wrong(checker, step->name, "step %s: arrives and never "
		    "belong to a dialogue", step->name);
}

/* --- dialogues --- */

static bool has_service(const struct lab_scenario *scenario,
    const struct lab_words *words)
{
	for (size_t i = 0; i < scenario->receiver.services.count; i++)
		if (lab_words_equal(words, 1,
		    scenario->receiver.services.items[i]))
			return true;
	return lab_words_equal(words, 1, "smtp");
}

static void check_move(const struct lab_checker *checker, const char *text,
    bool first)
{
	const char *accepted = lab_move_problem(text);
	struct lab_words words;

	lab_words_split(text, &words);
	if (accepted != NULL)
		lab_wrong(checker, text, "'%s' is no move of a dialogue; "
		    "accepted: %s", text, accepted);
	else if (lab_words_equal(&words, 0, "connect") &&
	    !has_service(checker->scenario, &words))
		lab_wrong(checker, text, "'%s': the receiver has no such "
		    "service; add receiver { services = { %.*s } }", text,
		    (int)words.length[1], words.at[1]);
	else if (first && !lab_words_equal(&words, 0, "connect"))
		lab_wrong(checker, text, "'%s': a dialogue begins with "
		    "\"connect SERVICE\"", text);
}

static void check_moves(const struct lab_checker *checker,
    const struct lab_step *step)
{
	size_t cuts = 0;

	for (size_t i = 0; i < step->dialogue.count; i++) {
		const char *move = step->dialogue.items[i];
		struct lab_words words;

		check_move(checker, move, i == 0);
		lab_words_split(move, &words);
		if (lab_words_equal(&words, 0, "cut") && ++cuts == 2)
			lab_wrong(checker, move, "'%s': one cut a dialogue; "
			    "make it two steps", move);
	}
}

static void check_recipients(const struct lab_checker *checker,
    const struct lab_texts *texts)
{
	for (size_t i = 0; i < texts->count; i++)
		if (!is_recipient(texts->items[i]))
			lab_wrong(checker, texts->items[i], "'%s' is no "
			    "address of a recipient; accepted: "
			    "NAME@DOMAIN", texts->items[i]);
}

/* What the RFCs leave open may be unsafe in their profile, never in the strict
 * one. */
static void check_accepted(const struct lab_checker *checker,
    const struct lab_step *step)
{
	bool strict = strcmp(step->strict, "safe") == 0;

	for (size_t i = 0; i < step->accept.count; i++) {
		lab_check_word(checker, step->accept.items[i], dialogue_words,
		    "outcome of a dialogue that can be accepted");
		if (strcmp(step->accept.items[i], "unsafe") == 0 && !strict)
			lab_wrong(checker, step->accept.items[i], "step %s: "
			    "unsafe can be accepted with strict = safe only",
			    step->name);
	}
	if (step->strict[0] != '\0' && !strict)
		lab_wrong(checker, step->strict, "step %s: in the strict "
		    "profile a dialogue is safe, and nothing else",
		    step->name);
}

static void check_dialogue(const struct lab_checker *checker,
    const struct lab_step *step)
{
	if (step->to[0] != '\0')
		lab_wrong(checker, step->to, "step %s: to does not go with a "
		    "dialogue, which takes the message's place; make it two "
		    "steps", step->name);
	if (step->expect != LAB_SAFE)
		lab_wrong(checker, step->name, "step %s: what is expected of "
		    "a dialogue is safe, which need not be said", step->name);
	check_accepted(checker, step);
	if (step->report.count > 0)
		lab_wrong(checker, step->name, "step %s: a report is about "
		    "messages, not about a dialogue", step->name);
	if (step->requiretls || step->parameters[0] != '\0' ||
	    step->header.count > 0 || step->body.count > 0 ||
	    step->notification.count > 0)
		lab_wrong(checker, step->name, "step %s: requiretls, "
		    "parameters, header, body and notification do not go "
		    "with a dialogue, which says what it has to say",
		    step->name);
	check_moves(checker, step);
	check_recipients(checker, &step->arrives);
	check_recipients(checker, &step->never);
}

/* --- the MTA under test --- */

/* What postern.conf(5) takes for a destination, by its own reader. */
static void check_sender_word(const struct lab_checker *checker,
    const char *name, const char *text)
{
	const struct option *option = option_find(SECTION_DESTINATION, name);
	struct conf_destination scratch = { .level = 0 };
	char why[VALUE_WHY_MAX], *words[] = { (char *)(uintptr_t)text };
	size_t index;

	if (text[0] == '\0')
		return;
	if (option == NULL || value_set(option, &scratch, words, 1, why,
	    &index) == -1)
		lab_wrong(checker, text, "%s '%s' %s", name, text,
		    option == NULL ? "is not in postern.conf(5)" : why);
}

static void check_route(const struct lab_checker *checker, const char *text)
{
	struct lab_words words;

	lab_words_split(text, &words);
	if (words.count != 4 || (!lab_words_equal(&words, 3, "starttls") &&
	    !lab_words_equal(&words, 3, "implicit")))
		lab_wrong(checker, text, "'%s' is no route; accepted: "
		    "\"DOMAIN HOST PORT starttls\" or implicit", text);
}

static void check_parties(const struct lab_checker *checker)
{
	const struct lab_sender *sender = &checker->scenario->sender;
	const struct lab_receiver *receiver = &checker->scenario->receiver;

	check_sender_word(checker, "level", sender->level);
	check_sender_word(checker, "no-starttls", sender->no_starttls);
	check_sender_word(checker, "broken-tls", sender->broken_tls);
	check_sender_word(checker, "sts-with-dane", sender->sts_with_dane);
	check_sender_word(checker, "insecure-mx", sender->insecure_mx);
	check_sender_word(checker, "memory", sender->memory);
	for (size_t i = 0; i < sender->routes.count; i++)
		check_route(checker, sender->routes.items[i]);
	for (size_t i = 0; i < receiver->services.count; i++)
		lab_check_word(checker, receiver->services.items[i],
		    lab_service_words, "service");
	if (receiver->certificate[0] != '\0')
		lab_check_certificate(checker, &checker->scenario->world,
		    receiver->certificate, receiver->certificate);
}

void lab_check_steps(const struct lab_checker *checker)
{
	const struct lab_scenario *scenario = checker->scenario;
	bool first = true;	/* no message was sent yet */

	check_parties(checker);
	if (scenario->step_count == 0)
		problems_add(checker->problems, 0, "there is no step; add "
		    "step NAME { to = ADDRESS expect = OUTCOME }");
	for (size_t i = 0; i < scenario->step_count; i++) {
		const struct lab_step *step = &scenario->steps[i];

		check_common(checker, step);
		if (step->dialogue.count > 0) {
			check_dialogue(checker, step);
			continue;
		}
		check_message(checker, step, first);
		first = false;
	}
}
