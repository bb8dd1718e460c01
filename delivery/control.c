/* SPDX-License-Identifier: ISC */
/*
 * The verbs of the delivery role; see control.h. An inquiry belongs to its
 * connection: when that goes away, whoever ended it, the inquiry goes too.
 */
#include "delivery/control.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/queue.h>

#include "base/address.h"
#include "base/arena.h"
#include "base/control.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/process.h"
#include "conf/conf.h"
#include "delivery/attempt.h"
#include "delivery/plan_copy.h"
#include "delivery/probe.h"
#include "delivery/profile.h"
#include "policy/client.h"
#include "policy/plan.h"

/* A probe speaks at least every half minute, but the plan may take a while. */
enum { INQUIRIES_MAX = 8, SILENCE_MILLISECONDS = 180000 };

/* One probe, from the request to its end. */
struct inquiry {
	LIST_ENTRY(inquiry)	 link;
	struct control		*control;	/* its end frees us */
	struct profile		*profile;	/* shared */
	struct conf_next_hop	 next;
	struct policy_request	*request;	/* null once answered */
	struct arena		*arena;		/* owned; holds the plan */
	const struct plan	*plan;
	struct probe		*probe;		/* null before and after */
	bool			 any_mail;
};

static LIST_HEAD(, inquiry) inquiries = LIST_HEAD_INITIALIZER(inquiries);
static unsigned inquiry_count;
static bool stopping;
static struct attempt_scene *scene;

static void inquiry_gone(void *arg)
{
	struct inquiry *inquiry = arg;

	if (inquiry->request != NULL)
		policy_cancel(inquiry->request);
	if (inquiry->probe != NULL)
		probe_cancel(inquiry->probe);
	LIST_REMOVE(inquiry, link);
	inquiry_count--;
	arena_free(inquiry->arena);
	profile_release(inquiry->profile);
	mem_free(inquiry);
}

/* Lines are sent when there are any, not when there is room. */
static void inquiry_waits(struct control *control, void *arg)
{
	(void)control;
	(void)arg;
}

static void on_report(void *arg, json_t *object)
{
	struct inquiry *inquiry = arg;

	if (object != NULL) {
		inquiry->any_mail |= json_is_true(json_object_get(object,
		    "mail"));
		control_send(inquiry->control, object);
		return;
	}
	inquiry->probe = NULL;
	if (inquiry->any_mail)
		control_end(inquiry->control, CONTROL_OK, NULL);
	else
		control_end(inquiry->control, CONTROL_NONE_MATCHED,
		    plan_can_try(inquiry->plan) ?
		    "mail would wait: no host takes it as the plan demands" :
		    inquiry->plan->status.text);
}

static void on_plan(void *arg, const struct plan *plan)
{
	struct inquiry *inquiry = arg;

	inquiry->request = NULL;
	if (plan->host_count == 0) {
		control_end(inquiry->control, CONTROL_NONE_MATCHED,
		    plan->status.text);
		return;
	}
	inquiry->plan = plan_copy(plan, inquiry->arena);
	if (inquiry->plan == NULL)
		control_end(inquiry->control, CONTROL_TEMPORARY,
		    "the plan is too large");
	else
		inquiry->probe = probe_start(inquiry->profile, &inquiry->next,
		    inquiry->plan, on_report, inquiry);
}

/* The domain asked for as A-labels, or an address literal; -1 with the answer
 * given. */
static int read_domain(struct control *control, const json_t *arguments,
    char *domain, size_t size)
{
	const char *text = json_string_value(json_object_get(arguments,
	    "domain"));

	if (text == NULL || strlen(text) > 1000) {
		control_end(control, CONTROL_USAGE,
		    "\"domain\" is missing or too long");
		return -1;
	}
	if (domain_is_literal(text) && strlen(text) < size) {
		snprintf(domain, size, "%s", text);
		return 0;
	}
	if (domain_parse(domain, size, text, strlen(text)) == 0)
		return 0;
	control_end(control, CONTROL_USAGE, "that is no domain name");
	return -1;
}

static void start_inquiry(struct control *control,
    const struct policy_question *question)
{
	struct inquiry *inquiry = mem_alloc(sizeof(*inquiry));

	inquiry->control = control;
	inquiry->profile = profile_share(scene->profile);
	inquiry->next = *question->next;
	inquiry->arena = arena_new(PLAN_COPY_ARENA_MAX);
	LIST_INSERT_HEAD(&inquiries, inquiry, link);
	inquiry_count++;
	inquiry->request = policy_plan(scene->policy, question, on_plan,
	    inquiry);
	control_wait(control, SILENCE_MILLISECONDS);
	control_produce(control, inquiry_waits, inquiry_gone, inquiry);
}

static void do_probe(struct control *control, const json_t *arguments)
{
	struct conf_next_hop next;
	char domain[256];
	struct policy_question question = { .domain = domain, .next = &next,
	    .message_level = -1,
	    .waited = json_integer_value(json_object_get(arguments,
	    "waited")) };

	if (read_domain(control, arguments, domain, sizeof(domain)) == -1)
		return;
	conf_next_hop(scene->profile->conf, domain, &next);
	next.local = NULL;
	if (next.transport != TRANSPORT_SMTP &&
	    (next.transport != TRANSPORT_LMTP || next.host[0] == '\0')) {
		control_end(control, CONTROL_NONE_MATCHED,
		    "mail for this domain does not leave this machine");
		return;
	}
	if (stopping || inquiry_count == INQUIRIES_MAX) {
		control_end(control, CONTROL_TEMPORARY, stopping ?
		    "the delivery role is stopping" :
		    "too many probes are under way");
		return;
	}
	log_info("probe", log_text("domain", domain),
	    log_number("uid", control_caller(control)->uid));
	if (question.waited < 0)
		question.waited = 0;
	start_inquiry(control, &question);
}

static const struct control_verb verbs[] = {
	{ "probe", true, do_probe },
};

void delivery_control(struct attempt_scene *shared, int fd,
    const struct process_caller *caller)
{
	scene = shared;
	control_accept(fd, caller, verbs, sizeof(verbs) / sizeof(verbs[0]));
}

void delivery_control_stop(void)
{
	stopping = true;
	while (!LIST_EMPTY(&inquiries))
		control_end(LIST_FIRST(&inquiries)->control,
		    CONTROL_TEMPORARY, "the delivery role is stopping");
}
