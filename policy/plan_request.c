/* SPDX-License-Identifier: ISC */
/*
 * Facts gather in the request's arena; each lookup adds one and the machine
 * runs again from the start, so what it decides depends on facts alone.
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
#include "policy/resolver.h"

/* One MX lookup and two for each host, with room to spare; a machine that
 * asks for more is broken. */
enum { FACTS_MAX = 1 + 2 * PLAN_HOSTS_MAX + 8, FACTS_BYTES = 4 << 20,
    STEP_BYTES = 1 << 20 };

/* A plan may wait for so many lookups that are not answered, and no longer
 * than so: its asker gives up after 180 seconds (policy/client.c). */
enum { BUDGET_LOOKUPS = 4, BUDGET_MILLISECONDS = 120000 };

struct plan_request {
	struct plan_facts	 facts;
	struct conf_next_hop	 next;
	char			 domain[256];
	uint64_t		 generation;
	int64_t			 deadline;	/* monotonic, ms */
	struct resolver		*resolver;	/* outlives us */
	struct resolver_query	*query;		/* under way, or null */
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
	arena_free(request->arena);
	arena_free(request->step_arena);
	mem_free(request);
}

static void tell(void *arg)
{
	struct plan_request *request = arg;

	request->done(request->arg, &request->plan);
	delete(request);
}

static void add_fact(struct plan_request *request,
    const struct dns_answer *answer)
{
	struct fact *fact = &request->facts.facts[request->facts.fact_count++];

	fact->query = request->wanted;
	fact->result = answer->result;
	fact->secure = answer->secure;
	fact->ttl = answer->ttl;
	fact->count = answer->count;
	memcpy(fact->reason, answer->reason, sizeof(fact->reason));
	if (answer->mx != NULL)
		fact->mx = arena_dup(request->arena, answer->mx,
		    answer->count * sizeof(*answer->mx));
	if (answer->addresses != NULL)
		fact->addresses = arena_dup(request->arena, answer->addresses,
		    answer->count * sizeof(*answer->addresses));
}

static void	on_answer(void *arg, const struct dns_answer *answer);

/* Hosts are looked up in order of preference: those that come too late must
 * not keep mail from the ones that are known. */
static void add_late(struct plan_request *request)
{
	struct dns_answer late = { .result = FACT_ERROR,
	    .reason = "no time was left to ask" };

	add_fact(request, &late);
}

static void step(struct plan_request *request)
{
	static const enum dns_type types[QUERY_TYPES] = { [QUERY_MX] = DNS_MX,
	    [QUERY_A] = DNS_A, [QUERY_AAAA] = DNS_AAAA };

	for (;;) {
		arena_reset(request->step_arena);
		if (plan_step(&request->facts, request->step_arena,
		    &request->wanted, &request->plan) == PLAN_DONE)
			break;
		if (request->facts.fact_count == FACTS_MAX)
			bug("the plan has no end");
		if (clock_monotonic() < request->deadline) {
			request->query = resolver_lookup(request->resolver,
			    request->wanted.name, types[request->wanted.type],
			    on_answer, request);
			return;
		}
		add_late(request);
	}
	request->plan.generation = request->generation;
	timer_start(&request->timer, 0, tell, request);
}

static void on_answer(void *arg, const struct dns_answer *answer)
{
	struct plan_request *request = arg;

	request->query = NULL;
	add_fact(request, answer);
	step(request);
}

struct plan_request *plan_request_start(const struct plan_context *context,
    const char *domain, const struct conf_next_hop *next,
    plan_request_done *done, void *arg)
{
	struct plan_request *request = mem_alloc(sizeof(*request));
	int64_t budget = BUDGET_LOOKUPS * context->conf->resolver_timeout *
	    1000;

	if (budget > BUDGET_MILLISECONDS)
		budget = BUDGET_MILLISECONDS;
	request->deadline = clock_monotonic() + budget;
	request->arena = arena_new(FACTS_BYTES);
	request->step_arena = arena_new(STEP_BYTES);
	request->next = *next;
	request->resolver = context->resolver;
	request->generation = context->generation;
	request->done = done;
	request->arg = arg;
	snprintf(request->domain, sizeof(request->domain), "%s", domain);
	request->facts = (struct plan_facts) {
		.next = &request->next,
		.domain = request->domain,
		.destination = conf_destination_find(context->conf, domain),
		.ipv4 = context->conf->ipv4,
		.ipv6 = context->conf->ipv6,
		.allow_loopback = context->conf->allow_loopback,
		.own_name = context->conf->hostname,
		.own_addresses = context->own_addresses,
		.own_address_count = context->own_address_count,
		.shuffle_seed = random_below(UINT32_MAX),
		.facts = arena_alloc_array(request->arena, FACTS_MAX,
		    sizeof(struct fact)),
	};
	step(request);
	return request;
}

void plan_request_cancel(struct plan_request *request)
{
	if (request->query != NULL)
		resolver_cancel(request->query);
	delete(request);
}
