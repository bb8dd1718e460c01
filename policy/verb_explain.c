/* SPDX-License-Identifier: ISC */
/*
 * explain: one plan with all that led to it. An explanation belongs to the
 * connection that asked for it and is cancelled when that goes away.
 */
#include "policy/verbs.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/queue.h>

#include "base/mem.h"
#include "policy/explain.h"
#include "policy/plan_request.h"
#include "policy/policy.h"

enum { EXPLANATIONS_MAX = 32,
    WAIT_MILLISECONDS = PLAN_REQUEST_MAX_MILLISECONDS + 20000 };
#define WAITED_MAX ((json_int_t)1 << 40)

/* What a message may be given (queue/verbs.h, set-tls). */
#define MESSAGE_LEVELS (1u << LEVEL_NONE | 1u << LEVEL_MAY | \
    1u << LEVEL_ENCRYPT | 1u << LEVEL_AUTO | 1u << LEVEL_DANE | \
    1u << LEVEL_DANE_ONLY | 1u << LEVEL_STS | 1u << LEVEL_STRICT)

struct explanation {
	struct control		*control;	/* outlives us */
	struct plan_request	*request;	/* null once it is done */
	char			 domain[256];
	struct conf_next_hop	 next;
	int64_t			 waited;
	enum plan_wish		 wish;
	int			 message_level;	/* -1: none */
	LIST_ENTRY(explanation)	 entry;
};

static LIST_HEAD(, explanation) explanations =
    LIST_HEAD_INITIALIZER(explanations);
static unsigned explanation_count;

/* The connection went away, or the answer was given. */
static void explanation_free(void *arg)
{
	struct explanation *explanation = arg;

	if (explanation->request != NULL)
		plan_request_cancel(explanation->request);
	LIST_REMOVE(explanation, entry);
	explanation_count--;
	mem_free(explanation);
}

static void on_plan(void *arg, const struct plan *plan,
    const struct plan_facts *facts)
{
	struct explanation *explanation = arg;
	struct control *control = explanation->control;

	explanation->request = NULL;
	control_send(control, explain_plan(facts, plan));
	if (plan_can_try(plan))
		control_end(control, CONTROL_OK, NULL);
	else
		control_end(control, CONTROL_NONE_MATCHED,
		    plan->status.outcome == STATUS_FAILED ?
		    "mail to it would be returned" : "mail to it would wait");
}

/* The configuration may be another than when it was asked. */
static void take_route(struct explanation *explanation,
    const struct conf *conf)
{
	struct conf_next_hop next;

	conf_next_hop(conf, explanation->domain, &next);
	explanation->next.route = NULL;
	if (explain_has_plan(&next))
		explanation->next = next;
}

static void begin(struct explanation *explanation)
{
	struct plan_context context;
	struct plan_question question = {
		.domain = explanation->domain,
		.next = &explanation->next,
		.waited = explanation->waited,
		.wish = explanation->wish,
		.message_level = explanation->message_level,
		.explain = true,
	};

	policy_context(&context);
	take_route(explanation, context.conf);
	explanation->request = plan_request_start(&context, &question,
	    on_plan, explanation);
}

static void waits(struct control *control, void *arg)
{
	(void)control;
	(void)arg;
}

static int read_wish(struct control *control, const json_t *arguments,
    enum plan_wish *wish)
{
	const json_t *value = json_object_get(arguments, "wish");
	const char *given = json_string_value(value);

	*wish = WISH_NONE;
	if (value == NULL)
		return 0;
	*wish = WISH_REQUIRETLS;
	if (given != NULL && strcmp(given, plan_wish_name(*wish)) == 0)
		return 0;
	*wish = WISH_OPTIONAL;
	if (given != NULL && strcmp(given, plan_wish_name(*wish)) == 0)
		return 0;
	control_end(control, CONTROL_USAGE, "argument \"wish\": requiretls or "
	    "optional is expected");
	return -1;
}

/* All but the next hop. */
static int read_question(struct control *control, const json_t *arguments,
    struct explanation *question)
{
	const json_t *waited = json_object_get(arguments, "waited");
	enum conf_level level;

	if (verbs_read_domain(control, arguments, "domain", question->domain,
	    sizeof(question->domain)) == -1 ||
	    read_wish(control, arguments, &question->wish) == -1)
		return -1;
	if (waited != NULL && (!json_is_integer(waited) ||
	    json_integer_value(waited) < 0 ||
	    json_integer_value(waited) > WAITED_MAX)) {
		control_end(control, CONTROL_USAGE, "argument \"waited\": a "
		    "number of seconds is expected");
		return -1;
	}
	question->waited = json_integer_value(waited);
	question->message_level = -1;
	if (json_object_get(arguments, "level") == NULL)
		return 0;
	if (verbs_read_level(control, arguments, MESSAGE_LEVELS, &level) == -1)
		return -1;
	question->message_level = (int)level;
	return 0;
}

void verb_explain(struct control *control, const json_t *arguments)
{
	struct plan_context context;
	struct explanation question = { .control = control }, *explanation;

	if (read_question(control, arguments, &question) == -1)
		return;
	policy_context(&context);
	conf_next_hop(context.conf, question.domain, &question.next);
	if (!explain_has_plan(&question.next)) {
		control_send(control, explain_without_plan(question.domain,
		    &question.next));
		control_end(control, CONTROL_OK, NULL);
		return;
	}
	if (explanation_count >= EXPLANATIONS_MAX) {
		control_end(control, CONTROL_TEMPORARY,
		    "too many explanations are under way");
		return;
	}
	explanation = mem_dup(&question, sizeof(question));
	LIST_INSERT_HEAD(&explanations, explanation, entry);
	explanation_count++;
	control_wait(control, WAIT_MILLISECONDS);
	control_produce(control, waits, explanation_free, explanation);
	begin(explanation);
}

void verbs_restart(const char *pattern)
{
	struct explanation *explanation;

	LIST_FOREACH(explanation, &explanations, entry) {
		if (explanation->request == NULL || !policy_is_about(pattern,
		    explanation->domain, &explanation->next))
			continue;
		plan_request_cancel(explanation->request);
		begin(explanation);
	}
}

void verbs_stop(void)
{
	verbs_stop_pages();
	while (!LIST_EMPTY(&explanations))
		control_end(LIST_FIRST(&explanations)->control,
		    CONTROL_UNAVAILABLE, "the server stops");
}
