/* SPDX-License-Identifier: ISC */
/*
 * An explanation belongs to the connection that asked for it and is cancelled
 * when that goes away.
 */
#include "policy/verbs.h"

#include <stdint.h>
#include <stdio.h>
#include <sys/queue.h>

#include "base/address.h"
#include "base/clock.h"
#include "base/control.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/process.h"
#include "conf/conf.h"
#include "policy/explain.h"
#include "policy/plan_request.h"
#include "policy/policy.h"
#include "policy/sts.h"

enum { EXPLANATIONS_MAX = 32, LINES_A_TURN = 256,
    WAIT_MILLISECONDS = PLAN_REQUEST_MAX_MILLISECONDS + 20000 };
#define WAITED_MAX ((json_int_t)1 << 40)

struct explanation {
	struct control		*control;	/* outlives us */
	struct plan_request	*request;	/* null once it is done */
	char			 domain[256];
	struct conf_next_hop	 next;
	int64_t			 waited;
	LIST_ENTRY(explanation)	 entry;
};

static LIST_HEAD(, explanation) explanations =
    LIST_HEAD_INITIALIZER(explanations);
static unsigned explanation_count;

/* --- explain --- */

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

static void begin(struct explanation *explanation)
{
	struct plan_context context;
	struct plan_question question = {
		.domain = explanation->domain,
		.next = &explanation->next,
		.waited = explanation->waited,
		.explain = true,
	};

	policy_context(&context);
	explanation->request = plan_request_start(&context, &question,
	    on_plan, explanation);
}

static void waits(struct control *control, void *arg)
{
	(void)control;
	(void)arg;
}

/* The domain of the arguments as the roles write it; null, after the answer,
 * when there is none. */
static int read_domain(struct control *control, const json_t *arguments,
    char *domain, size_t size)
{
	const json_t *value = json_object_get(arguments, "domain");
	const char *given = json_string_value(value);

	if (given != NULL && domain_is_literal(given) &&
	    json_string_length(value) < size) {
		snprintf(domain, size, "%s", given);
		return 0;
	}
	if (given != NULL && domain_parse(domain, size, given,
	    json_string_length(value)) == 0)
		return 0;
	control_end(control, CONTROL_USAGE, "a domain is expected, or an "
	    "address in brackets");
	return -1;
}

/* Mail that is not sent by SMTP has no plan. */
static void explain_local(struct control *control, const char *domain,
    const struct conf_next_hop *next)
{
	control_send(control, json_pack("{s:s, s:s}", "domain", domain,
	    "transport", next->transport == TRANSPORT_MAILDIR ? "maildir" :
	    "discard"));
	control_end(control, CONTROL_OK, NULL);
}

static void verb_explain(struct control *control, const json_t *arguments)
{
	json_int_t waited = json_integer_value(json_object_get(arguments,
	    "waited"));
	struct plan_context context;
	struct explanation *explanation;
	struct conf_next_hop next;
	char domain[256];

	if (read_domain(control, arguments, domain, sizeof(domain)) == -1)
		return;
	policy_context(&context);
	conf_next_hop(context.conf, domain, &next);
	if (next.transport != TRANSPORT_SMTP) {
		explain_local(control, domain, &next);
		return;
	}
	if (explanation_count >= EXPLANATIONS_MAX) {
		control_end(control, CONTROL_TEMPORARY,
		    "too many explanations are under way");
		return;
	}
	explanation = mem_alloc(sizeof(*explanation));
	explanation->control = control;
	explanation->next = next;
	explanation->waited = waited < 0 ? 0 : waited > WAITED_MAX ?
	    WAITED_MAX : waited;
	snprintf(explanation->domain, sizeof(explanation->domain), "%s",
	    domain);
	LIST_INSERT_HEAD(&explanations, explanation, entry);
	explanation_count++;
	control_wait(control, WAIT_MILLISECONDS);
	control_produce(control, waits, explanation_free, explanation);
	begin(explanation);
}

void verbs_restart(void)
{
	struct explanation *explanation;

	LIST_FOREACH(explanation, &explanations, entry) {
		if (explanation->request == NULL)
			continue;
		plan_request_cancel(explanation->request);
		begin(explanation);
	}
}

void verbs_stop(void)
{
	while (!LIST_EMPTY(&explanations))
		control_end(LIST_FIRST(&explanations)->control,
		    CONTROL_UNAVAILABLE, "the server stops");
}

/* --- remembered policies --- */

struct listing {
	json_t	*lines;		/* owned; an array */
	size_t	 sent;
};

static void listing_free(void *arg)
{
	struct listing *listing = arg;

	json_decref(listing->lines);
	mem_free(listing);
}

static void add_policy(void *arg, const char *domain,
    const struct sts_answer *answer)
{
	struct listing *listing = arg;
	char fetched[40], expires[40];
	json_t *patterns = json_array();
	size_t i;

	for (i = 0; i < answer->policy.mx_count; i++)
		json_array_append_new(patterns,
		    json_string(answer->policy.mx[i]));
	clock_format_iso(answer->fetched, fetched, sizeof(fetched));
	clock_format_iso(answer->expires, expires, sizeof(expires));
	json_array_append_new(listing->lines, json_pack("{s:s, s:s, s:o, s:I, "
	    "s:s, s:s, s:s}", "domain", domain, "mode",
	    sts_mode_name(answer->policy.mode), "mx", patterns, "max-age",
	    (json_int_t)answer->policy.max_age, "id", answer->id, "fetched",
	    fetched, "expires", expires));
}

static void list_some(struct control *control, void *arg)
{
	struct listing *listing = arg;
	size_t count = json_array_size(listing->lines), i;

	for (i = 0; i < LINES_A_TURN && listing->sent < count; i++)
		control_send(control, json_incref(json_array_get(
		    listing->lines, listing->sent++)));
	if (listing->sent == count)
		control_end(control, count > 0 ? CONTROL_OK :
		    CONTROL_NONE_MATCHED, count > 0 ? NULL :
		    "no MTA-STS policy is remembered");
}

static void verb_sts_list(struct control *control, const json_t *arguments)
{
	struct listing *listing = mem_alloc(sizeof(*listing));
	struct plan_context context;

	(void)arguments;
	policy_context(&context);
	listing->lines = json_array();
	sts_each(context.sts, add_policy, listing);
	control_produce(control, list_some, listing_free, listing);
}

static void verb_sts_forget(struct control *control, const json_t *arguments)
{
	struct plan_context context;
	char domain[256];

	if (read_domain(control, arguments, domain, sizeof(domain)) == -1)
		return;
	policy_context(&context);
	if (!sts_forget(context.sts, domain)) {
		control_end(control, CONTROL_NONE_MATCHED,
		    "no MTA-STS policy of that domain is remembered");
		return;
	}
	log_info("operator", log_text("verb", "sts-forget"),
	    log_text("domain", domain), log_number("uid",
	    (int64_t)control_caller(control)->uid));
	control_send(control, json_pack("{s:s}", "forgotten", domain));
	control_end(control, CONTROL_OK, NULL);
}

static const struct control_verb verbs[] = {
	{ "explain", false, verb_explain },
	{ "sts-list", false, verb_sts_list },
	{ "sts-forget", true, verb_sts_forget },
};

void verbs_accept(int fd, const struct process_caller *caller)
{
	control_accept(fd, caller, verbs, sizeof(verbs) / sizeof(verbs[0]));
}
