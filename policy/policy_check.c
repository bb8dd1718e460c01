/* SPDX-License-Identifier: ISC */
/*
 * The role's answers to smtpd about clients and messages. Each question is read
 * whole before anything begins; when too many are under way the answer is that
 * it is not known (greylisting: that nobody need wait).
 */
#include <string.h>

#include "base/arena.h"
#include "base/channel.h"
#include "policy/check.h"
#include "policy/check_message.h"
#include "policy/greylist.h"
#include "policy/policy.h"
#include "policy/policy_private.h"
#include "policy/records.h"

static const char busy[] = "too many questions under way";

static struct wire_writer *begin(struct peer *peer, uint16_t type,
    uint32_t number)
{
	return channel_begin(peer->channel, type, number);
}

static void end(struct peer *peer)
{
	channel_end(peer->channel);
}

/* --- SPF --- */

static void on_spf(void *arg, const struct policy_spf_answer *answer)
{
	struct request *request = arg;

	spf_answer_put(begin(request->peer, POLICY_SPF_ANSWER,
	    request->number), answer);
	end(request->peer);
	policy_request_release(request);
}

static int ask_spf(struct peer *peer, struct channel_message *message,
    struct arena *arena)
{
	const struct policy_spf_answer unknown = { .proof = PROOF_TEMPERROR,
	    .domain = "", .mechanism = busy, .explanation = "" };
	struct policy_spf_question question;
	struct request *request;

	if (spf_question_get(&message->body, arena, &question) == -1)
		return -1;
	if (policy_has_too_many(peer)) {
		spf_answer_put(begin(peer, POLICY_SPF_ANSWER,
		    message->request), &unknown);
		end(peer);
		return 0;
	}
	request = policy_request_begin(peer, message->request);
	request->check = check_spf_start(policy_resolver(), &question, on_spf,
	    request);
	return 0;
}

/* --- TXT --- */

static void answer_text(struct peer *peer, uint32_t number,
    enum dkim_key_answer answer, const char *text)
{
	const struct text_answer whole = { .answer = answer, .text = text };

	text_answer_put(begin(peer, POLICY_TEXT_ANSWER, number), &whole);
	end(peer);
}

static void on_text(void *arg, enum dkim_key_answer answer, const char *text)
{
	struct request *request = arg;

	answer_text(request->peer, request->number, answer, text);
	policy_request_release(request);
}

static int ask_text(struct peer *peer, struct channel_message *message,
    struct arena *arena)
{
	struct request *request;
	const char *name;

	if (text_question_get(&message->body, arena, &name) == -1)
		return -1;
	if (policy_has_too_many(peer)) {
		answer_text(peer, message->request, DKIM_KEY_UNREACHABLE, "");
		return 0;
	}
	request = policy_request_begin(peer, message->request);
	request->check = check_text_start(policy_resolver(), name, on_text,
	    request);
	return 0;
}

/* --- DMARC --- */

static void on_dmarc(void *arg, const struct dmarc_step *step)
{
	struct request *request = arg;

	dmarc_answer_put(begin(request->peer, POLICY_DMARC_ANSWER,
	    request->number), step);
	end(request->peer);
	policy_request_release(request);
}

static int ask_dmarc(struct peer *peer, struct channel_message *message,
    struct arena *arena)
{
	const struct dmarc_step unknown = { .done = true,
	    .proof = PROOF_TEMPERROR, .record_domain = "", .organization = "",
	    .reason = busy };
	struct dmarc_question question;
	struct request *request;

	if (dmarc_question_get(&message->body, arena, &question) == -1)
		return -1;
	if (policy_has_too_many(peer)) {
		dmarc_answer_put(begin(peer, POLICY_DMARC_ANSWER,
		    message->request), &unknown);
		end(peer);
		return 0;
	}
	request = policy_request_begin(peer, message->request);
	request->check = check_dmarc_start(policy_resolver(), &question,
	    on_dmarc, request);
	return 0;
}

/* --- lists --- */

static void answer_listed(struct peer *peer, uint32_t number,
    const struct listed_answer *answer)
{
	listed_answer_put(begin(peer, POLICY_LISTED_ANSWER, number), answer);
	end(peer);
}

static void on_listed(void *arg, bool failed, const struct endpoint *answers,
    size_t count)
{
	const struct listed_answer answer = { .failed = failed,
	    .answers = answers, .count = count };
	struct request *request = arg;

	answer_listed(request->peer, request->number, &answer);
	policy_request_release(request);
}

static int ask_listed(struct peer *peer, struct channel_message *message,
    struct arena *arena)
{
	const struct listed_answer unknown = { .failed = true };
	struct listed_question question;
	struct request *request;

	if (listed_question_get(&message->body, arena, &question) == -1)
		return -1;
	if (policy_has_too_many(peer)) {
		answer_listed(peer, message->request, &unknown);
		return 0;
	}
	request = policy_request_begin(peer, message->request);
	request->check = check_listed_start(policy_resolver(),
	    question.address, question.zone, on_listed, request);
	return 0;
}

/* --- greylisting --- */

/* Nothing is waited for: the table is in memory. */
static int ask_greylist(struct peer *peer, struct channel_message *message,
    struct arena *arena)
{
	struct policy_greylist_question question;
	int64_t wait;

	if (greylist_question_get(&message->body, arena, &question) == -1)
		return -1;
	wait = greylist_ask(policy_records()->greylist, &question);
	greylist_answer_put(begin(peer, POLICY_GREYLIST_ANSWER,
	    message->request), wait);
	end(peer);
	return 0;
}

static const struct {
	uint16_t	 type;
	int		 (*ask)(struct peer *peer,
			    struct channel_message *message,
			    struct arena *arena);
} questions[] = {
	{ POLICY_SPF, ask_spf },
	{ POLICY_TEXT, ask_text },
	{ POLICY_DMARC, ask_dmarc },
	{ POLICY_LISTED, ask_listed },
	{ POLICY_GREYLIST, ask_greylist },
};

int policy_check_question(struct peer *peer, struct channel_message *message)
{
	struct arena *arena = arena_new(CHECK_MESSAGE_ARENA);
	int result = -1;
	size_t i;

	for (i = 0; i < sizeof(questions) / sizeof(questions[0]); i++)
		if (questions[i].type == message->type)
			result = questions[i].ask(peer, message, arena);
	arena_free(arena);
	return result;
}
