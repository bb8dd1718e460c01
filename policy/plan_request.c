/* SPDX-License-Identifier: ISC */
/*
 * Facts gather in the request's arena; each lookup adds one and the machine
 * runs again from the start, so what it decides depends on facts alone.
 *
 * Two clocks run. Lookups in the DNS share a budget, so that dead name servers
 * of some hosts do not keep mail from the others. What MTA-STS takes, which may
 * be a fetch with a time-out of its own, is not counted there; but nothing
 * passes the end that askers rely on.
 */
#include "policy/plan_request.h"

#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/digest.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "conf/conf.h"
#include "policy/exception.h"
#include "policy/memory.h"
#include "policy/resolver.h"
#include "policy/sts.h"

/* For each host addresses, the alias, the TLSA records of two candidates, and
 * what is remembered; for the next hop MX, MTA-STS and the same; and room to
 * spare. A machine that asks for more is broken. */
enum { FACTS_MAX = 7 * PLAN_HOSTS_MAX + 16 };

/* Each fact is bounded by what fits into an answer packet. */
enum { FACTS_BYTES = 32 << 20 };

/* Lookups begin within so many time-outs, and no later than so. The policy is
 * asked for last, and may take until shortly before the end. */
enum { BUDGET_LOOKUPS = 4, BUDGET_MILLISECONDS = 120000,
    POLICY_MILLISECONDS = PLAN_REQUEST_MAX_MILLISECONDS - 10000 };

struct plan_request {
	struct plan_facts	 facts;
	struct conf_next_hop	 next;
	char			 domain[256];
	struct plan_exception	 exception;	/* where facts have one */
	struct plan_pin		 pin;		/* the same */
	uint64_t		 generation;
	int64_t			 deadline;	/* of lookups; monotonic, ms */
	int64_t			 policy_deadline;
	int64_t			 end;		/* of everything */
	int64_t			 policy_started;
	struct resolver		*resolver;	/* outlive us */
	struct sts		*sts;
	struct memory		*memory;
	struct resolver_query	*query;		/* under way, or null */
	struct sts_query	*sts_query;
	struct timer		 late;		/* while one is */
	struct plan_query	 wanted;
	struct arena		*arena;		/* owned; facts */
	struct arena		*step_arena;	/* owned; one run's plan */
	struct timer		 timer;		/* done may not come at once */
	struct plan		 plan;
	plan_request_done	*done;
	void			*arg;
};

static void delete(struct plan_request *request)
{
	timer_stop(&request->timer);
	timer_stop(&request->late);
	arena_free(request->arena);
	arena_free(request->step_arena);
	mem_free(request);
}

static void tell(void *arg)
{
	struct plan_request *request = arg;

	request->done(request->arg, &request->plan, &request->facts);
	delete(request);
}

/* --- facts --- */

static struct fact *add_fact(struct plan_request *request,
    enum fact_result result, const char *reason)
{
	struct fact *fact = &request->facts.facts[request->facts.fact_count++];

	fact->query = request->wanted;
	fact->result = result;
	snprintf(fact->reason, sizeof(fact->reason), "%s", reason);
	return fact;
}

static void *keep(struct plan_request *request, const void *items,
    size_t count, size_t size)
{
	return items == NULL || count == 0 ? NULL :
	    arena_dup(request->arena, items, count * size);
}

/* The data of a record lie in the answer's arena, which ends with it. */
static void keep_tlsa(struct plan_request *request, struct fact *fact,
    const struct dns_answer *answer)
{
	size_t i;

	fact->tlsa = keep(request, answer->tlsa, answer->count,
	    sizeof(*answer->tlsa));
	for (i = 0; fact->tlsa != NULL && i < answer->count; i++)
		fact->tlsa[i].data = arena_dup(request->arena,
		    answer->tlsa[i].data, answer->tlsa[i].length);
}

static void add_answer(struct plan_request *request,
    const struct dns_answer *answer)
{
	struct fact *fact = add_fact(request, answer->result, answer->reason);

	fact->secure = answer->secure;
	fact->ttl = answer->ttl;
	fact->count = answer->count;
	memcpy(fact->alias, answer->alias, sizeof(fact->alias));
	fact->mx = keep(request, answer->mx, answer->count,
	    sizeof(*answer->mx));
	fact->addresses = keep(request, answer->addresses, answer->count,
	    sizeof(*answer->addresses));
	keep_tlsa(request, fact, answer);
}

static struct fact_sts *keep_policy(struct plan_request *request,
    const struct sts_answer *answer)
{
	struct fact_sts *sts = arena_alloc(request->arena, sizeof(*sts));
	size_t i;

	sts->policy = answer->policy;
	sts->policy.mx = arena_alloc_array(request->arena,
	    answer->policy.mx_count, sizeof(char *));
	for (i = 0; i < answer->policy.mx_count; i++)
		sts->policy.mx[i] = arena_dup_string(request->arena,
		    answer->policy.mx[i]);
	memcpy(sts->id, answer->id, sizeof(sts->id));
	sts->cached = answer->source == STS_SOURCE_CACHED;
	return sts;
}

/* Unknown is not "none": the machine decides how long to wait (STS-17). */
static void add_policy(struct plan_request *request,
    const struct sts_answer *answer)
{
	bool data = answer->known && answer->source != STS_SOURCE_NONE;
	struct fact *fact = add_fact(request, !answer->known ? FACT_ERROR :
	    data ? FACT_DATA : FACT_NODATA, answer->problem);

	fact->secure = answer->txt_secure;
	fact->ttl = answer->ttl;
	if (data) {
		fact->sts = keep_policy(request, answer);
		fact->count = 1;
	}
}

/* Here at once; memory's changes are the plan's generation, so they give it no
 * time to live. */
static void recall(struct plan_request *request, enum memory_kind kind)
{
	struct fact_memory known;
	bool found = request->memory != NULL && memory_fact(request->memory,
	    kind, request->wanted.name, &known);
	struct fact *fact = add_fact(request, found ? FACT_DATA : FACT_NODATA,
	    "");

	fact->ttl = UINT32_MAX;
	if (found) {
		fact->memory = arena_dup(request->arena, &known,
		    sizeof(known));
		fact->count = 1;
	}
}

/* --- lookups --- */

static void	step(struct plan_request *request);

static void on_answer(void *arg, const struct dns_answer *answer)
{
	struct plan_request *request = arg;

	request->query = NULL;
	timer_stop(&request->late);
	add_answer(request, answer);
	step(request);
}

/* The time it took is given back to the lookups. */
static void policy_over(struct plan_request *request)
{
	request->sts_query = NULL;
	request->deadline += clock_monotonic() - request->policy_started;
	if (request->deadline > request->end)
		request->deadline = request->end;
}

static void on_policy(void *arg, const struct sts_answer *answer)
{
	struct plan_request *request = arg;

	timer_stop(&request->late);
	policy_over(request);
	add_policy(request, answer);
	step(request);
}

static void on_late(void *arg)
{
	struct plan_request *request = arg;

	if (request->sts_query != NULL) {
		sts_cancel(request->sts_query);
		policy_over(request);
	} else {
		resolver_cancel(request->query);
		request->query = NULL;
	}
	add_fact(request, FACT_ERROR, "no answer in the time for one plan");
	step(request);
}

/* False when the answer is there already: nobody can be asked. */
static bool look_up_policy(struct plan_request *request, int64_t now)
{
	if (request->sts == NULL) {
		add_fact(request, FACT_ERROR, "nobody looks for MTA-STS "
		    "policies here");
		return false;
	}
	request->policy_started = now;
	timer_start(&request->late, request->policy_deadline > now ?
	    request->policy_deadline - now : 1000, on_late, request);
	request->sts_query = sts_lookup(request->sts, request->wanted.name,
	    request->wanted.type == QUERY_STS_CACHED, on_policy, request);
	return true;
}

/* Hosts are looked up in order of preference: those that come too late must
 * not keep mail from the ones that are known. */
static bool look_up(struct plan_request *request)
{
	static const enum dns_type types[QUERY_TYPES] = { [QUERY_MX] = DNS_MX,
	    [QUERY_A] = DNS_A, [QUERY_AAAA] = DNS_AAAA,
	    [QUERY_CNAME] = DNS_CNAME, [QUERY_TLSA] = DNS_TLSA };
	int64_t now = clock_monotonic();
	bool cached = request->wanted.type == QUERY_STS_CACHED;
	bool policy = cached || request->wanted.type == QUERY_STS;

	if (request->wanted.type == QUERY_MEMORY ||
	    request->wanted.type == QUERY_MEMORY_HOST) {
		recall(request, request->wanted.type == QUERY_MEMORY ?
		    MEMORY_DESTINATION : MEMORY_HOST);
		return false;
	}
	/* What is remembered costs no time. */
	if (!cached && now >= (policy ? request->policy_deadline :
	    request->deadline)) {
		add_fact(request, FACT_ERROR, "no time was left to ask");
		return false;
	}
	if (policy)
		return look_up_policy(request, now);
	timer_start(&request->late, request->end - now, on_late, request);
	request->query = resolver_lookup(request->resolver,
	    request->wanted.name, types[request->wanted.type], on_answer,
	    request);
	return true;
}

static void step(struct plan_request *request)
{
	for (;;) {
		arena_reset(request->step_arena);
		if (plan_step(&request->facts, request->step_arena,
		    &request->wanted, &request->plan) == PLAN_DONE)
			break;
		if (request->facts.fact_count == FACTS_MAX)
			bug("the plan has no end");
		if (look_up(request))
			return;
	}
	request->plan.generation = request->generation;
	timer_start(&request->timer, 0, tell, request);
}

static void set_times(struct plan_request *request, const struct conf *conf)
{
	int64_t now = clock_monotonic();
	int64_t budget = BUDGET_LOOKUPS * conf->resolver_timeout * 1000;

	if (budget > BUDGET_MILLISECONDS)
		budget = BUDGET_MILLISECONDS;
	request->deadline = now + budget;
	request->policy_deadline = now + POLICY_MILLISECONDS;
	request->end = now + PLAN_REQUEST_MAX_MILLISECONDS;
}

/* --- the question --- */

/* Both are borrowed until the next change, so they are copied. A pin of the
 * recipients' domain comes before one of the host that a route names. */
static void take_exception(struct plan_request *request,
    struct exceptions *exceptions)
{
	const struct exception *found = exceptions == NULL ? NULL :
	    exceptions_find(exceptions, request->domain);

	if (found == NULL)
		return;
	request->exception.id = found->id;
	request->exception.level = found->level;
	snprintf(request->exception.pattern,
	    sizeof(request->exception.pattern), "%s", found->pattern);
	snprintf(request->exception.reason, sizeof(request->exception.reason),
	    "%s", found->reason);
	request->facts.exception = &request->exception;
}

static void take_pin(struct plan_request *request, struct memory *memory)
{
	const struct plan_pin *pin = memory == NULL ? NULL :
	    memory_pin(memory, request->domain);

	if (pin == NULL && memory != NULL && request->next.host[0] != '\0')
		pin = memory_pin(memory, request->next.host);
	if (pin == NULL)
		return;
	request->pin = *pin;
	request->facts.pin = &request->pin;
}

struct plan_request *plan_request_start(const struct plan_context *context,
    const struct plan_question *question, plan_request_done *done, void *arg)
{
	struct plan_request *request = mem_alloc(sizeof(*request));

	set_times(request, context->conf);
	request->arena = arena_new(FACTS_BYTES);
	request->step_arena = arena_new(PLAN_MEMORY_MAX);
	request->next = *question->next;
	request->resolver = context->resolver;
	request->sts = context->sts;
	request->memory = context->memory;
	request->generation = context->generation;
	request->done = done;
	request->arg = arg;
	snprintf(request->domain, sizeof(request->domain), "%s",
	    question->domain);
	request->facts = (struct plan_facts) {
		.next = &request->next,
		.domain = request->domain,
		.destination = conf_destination_find(context->conf,
		    question->domain),
		.ipv4 = context->conf->ipv4,
		.ipv6 = context->conf->ipv6,
		.prefer = context->conf->prefer,
		.allow_loopback = context->conf->allow_loopback,
		.own_name = context->conf->hostname,
		.own_addresses = context->own_addresses,
		.own_address_count = context->own_address_count,
		.shuffle_seed = random_below(UINT32_MAX),
		.waited = question->waited,
		.sts_discovery_wait = context->conf->sts_discovery_wait,
		.wish = question->wish,
		.message_level = question->message_level,
		.requiretls_names = context->conf->requiretls_dane_ee ==
		    REQUIRETLS_DANE_NAME_TOO,
		.explain = question->explain,
		.facts = arena_alloc_array(request->arena, FACTS_MAX,
		    sizeof(struct fact)),
	};
	take_exception(request, context->exceptions);
	take_pin(request, context->memory);
	step(request);
	return request;
}

void plan_request_cancel(struct plan_request *request)
{
	if (request->query != NULL)
		resolver_cancel(request->query);
	if (request->sts_query != NULL)
		sts_cancel(request->sts_query);
	delete(request);
}
