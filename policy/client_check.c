/* SPDX-License-Identifier: ISC */
/*
 * The questions of smtpd about clients and messages. Each gives up a little
 * later than policy itself would.
 */
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/wire.h"
#include "policy/check_message.h"
#include "policy/client_private.h"

/* Policy takes LOOKUP_RUN_MILLISECONDS at most, for SPF twice that. */
enum { LOOKUPS_MILLISECONDS = 21000, SPF_MILLISECONDS = 41000,
    GREYLIST_MILLISECONDS = 5000 };

static const char no_answer[] = "the policy process did not answer in time";

/* --- SPF --- */

static int hear_spf(struct policy_request *request, struct wire_reader *body)
{
	struct arena *arena = arena_new(CHECK_MESSAGE_ARENA);
	struct policy_spf_answer answer;
	int result = spf_answer_get(body, arena, &answer);
	struct policy_waiter waiter;

	if (result == 0 && request != NULL) {
		waiter = policy_request_end(request);
		waiter.done.spf(waiter.arg, &answer);
	}
	arena_free(arena);
	return result;
}

static void give_up_spf(struct policy_request *request)
{
	char domain[POLICY_NAME_MAX + 1];
	struct policy_spf_answer answer = {
		.proof = PROOF_TEMPERROR,
		.of_hello = request->of_hello,
		.domain = domain,
		.mechanism = no_answer,
		.explanation = "",
		.mail_from = PROOF_TEMPERROR,
		.mail_from_domain = domain,
	};
	struct policy_waiter waiter;

	memcpy(domain, request->domain, sizeof(domain));
	waiter = policy_request_end(request);
	waiter.done.spf(waiter.arg, &answer);
}

const struct policy_kind policy_kind_spf = {
	.question = POLICY_SPF, .answer = POLICY_SPF_ANSWER,
	.hear = hear_spf, .give_up = give_up_spf,
};

struct policy_request *policy_spf(struct policy_client *client,
    const struct policy_spf_question *question, policy_spf_done *done,
    void *arg)
{
	struct wire_writer writer;
	struct policy_request *request = policy_request_new(client,
	    &policy_kind_spf, arg, &writer);
	const char *at = strrchr(question->sender, '@');

	request->waiter.done.spf = done;
	request->of_hello = question->sender[0] == '\0';
	snprintf(request->domain, sizeof(request->domain), "%s",
	    request->of_hello ? question->hello : at == NULL ? "" : at + 1);
	spf_question_put(&writer, question);
	policy_request_ask(request, &writer, SPF_MILLISECONDS);
	return request;
}

/* --- TXT --- */

static int hear_text(struct policy_request *request, struct wire_reader *body)
{
	struct arena *arena = arena_new(CHECK_MESSAGE_ARENA);
	struct text_answer answer;
	int result = text_answer_get(body, arena, &answer);
	struct policy_waiter waiter;

	if (result == 0 && request != NULL) {
		waiter = policy_request_end(request);
		waiter.done.text(waiter.arg, answer.answer, answer.text);
	}
	arena_free(arena);
	return result;
}

static void give_up_text(struct policy_request *request)
{
	struct policy_waiter waiter = policy_request_end(request);

	waiter.done.text(waiter.arg, DKIM_KEY_UNREACHABLE, "");
}

const struct policy_kind policy_kind_text = {
	.question = POLICY_TEXT, .answer = POLICY_TEXT_ANSWER,
	.hear = hear_text, .give_up = give_up_text,
};

struct policy_request *policy_text(struct policy_client *client,
    const char *name, policy_text_done *done, void *arg)
{
	struct wire_writer writer;
	struct policy_request *request = policy_request_new(client,
	    &policy_kind_text, arg, &writer);

	request->waiter.done.text = done;
	text_question_put(&writer, name);
	policy_request_ask(request, &writer, LOOKUPS_MILLISECONDS);
	return request;
}

/* --- DMARC --- */

static int hear_dmarc(struct policy_request *request, struct wire_reader *body)
{
	struct arena *arena = arena_new(CHECK_MESSAGE_ARENA);
	struct dmarc_step step;
	int result = dmarc_answer_get(body, arena, &step);
	struct policy_waiter waiter;

	if (result == 0 && request != NULL) {
		waiter = policy_request_end(request);
		waiter.done.dmarc(waiter.arg, &step);
	}
	arena_free(arena);
	return result;
}

static void give_up_dmarc(struct policy_request *request)
{
	const struct dmarc_step step = {
		.done = true,
		.name = "",
		.proof = PROOF_TEMPERROR,
		.record_domain = "",
		.organization = "",
		.reason = no_answer,
	};
	struct policy_waiter waiter = policy_request_end(request);

	waiter.done.dmarc(waiter.arg, &step);
}

const struct policy_kind policy_kind_dmarc = {
	.question = POLICY_DMARC, .answer = POLICY_DMARC_ANSWER,
	.hear = hear_dmarc, .give_up = give_up_dmarc,
};

struct policy_request *policy_dmarc(struct policy_client *client,
    const struct dmarc_question *question, policy_dmarc_done *done, void *arg)
{
	struct wire_writer writer;
	struct policy_request *request = policy_request_new(client,
	    &policy_kind_dmarc, arg, &writer);

	request->waiter.done.dmarc = done;
	dmarc_question_put(&writer, question);
	policy_request_ask(request, &writer, LOOKUPS_MILLISECONDS);
	return request;
}

/* --- lists --- */

static int hear_listed(struct policy_request *request,
    struct wire_reader *body)
{
	struct arena *arena = arena_new(CHECK_MESSAGE_ARENA);
	struct listed_answer answer;
	int result = listed_answer_get(body, arena, &answer);
	struct policy_waiter waiter;

	if (result == 0 && request != NULL) {
		waiter = policy_request_end(request);
		waiter.done.listed(waiter.arg, answer.failed, answer.answers,
		    answer.count);
	}
	arena_free(arena);
	return result;
}

static void give_up_listed(struct policy_request *request)
{
	struct policy_waiter waiter = policy_request_end(request);

	waiter.done.listed(waiter.arg, true, NULL, 0);
}

const struct policy_kind policy_kind_listed = {
	.question = POLICY_LISTED, .answer = POLICY_LISTED_ANSWER,
	.hear = hear_listed, .give_up = give_up_listed,
};

struct policy_request *policy_listed(struct policy_client *client,
    const struct endpoint *address, const char *zone,
    policy_listed_done *done, void *arg)
{
	const struct listed_question question = { .address = address,
	    .zone = zone };
	struct wire_writer writer;
	struct policy_request *request = policy_request_new(client,
	    &policy_kind_listed, arg, &writer);

	request->waiter.done.listed = done;
	listed_question_put(&writer, &question);
	policy_request_ask(request, &writer, LOOKUPS_MILLISECONDS);
	return request;
}

/* --- greylisting --- */

static int hear_greylist(struct policy_request *request,
    struct wire_reader *body)
{
	struct policy_waiter waiter;
	int64_t wait;
	int result = greylist_answer_get(body, &wait);

	if (result == 0 && request != NULL) {
		waiter = policy_request_end(request);
		waiter.done.greylist(waiter.arg, wait);
	}
	return result;
}

static void give_up_greylist(struct policy_request *request)
{
	struct policy_waiter waiter = policy_request_end(request);

	waiter.done.greylist(waiter.arg, 0);
}

const struct policy_kind policy_kind_greylist = {
	.question = POLICY_GREYLIST, .answer = POLICY_GREYLIST_ANSWER,
	.hear = hear_greylist, .give_up = give_up_greylist,
};

struct policy_request *policy_greylist(struct policy_client *client,
    const struct policy_greylist_question *question,
    policy_greylist_done *done, void *arg)
{
	struct wire_writer writer;
	struct policy_request *request = policy_request_new(client,
	    &policy_kind_greylist, arg, &writer);

	request->waiter.done.greylist = done;
	greylist_question_put(&writer, question);
	policy_request_ask(request, &writer, GREYLIST_MILLISECONDS);
	return request;
}
