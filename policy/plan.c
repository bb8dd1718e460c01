/* SPDX-License-Identifier: ISC */
/*
 * The stages of a plan, in the order the standards give. Each looks only at
 * facts; the first fact that is missing is the next query.
 *
 *	literal --> requirement         the next hop is an address
 *	   |
 *	  mx ----> done                 no such domain, null MX, DNS error
 *	   |
 *	 hosts ---> done                nobody can be reached
 *	   |     each: AAAA, A, [CNAME], TLSA of one or two names
 *	  sts                           once, where DANE does not decide alone
 *	   |
 *	requirement --> memory --> finish
 *	                                what each host must show; what it has
 *	                                shown, where nothing else asks for TLS
 *
 * An error is never taken for an empty answer, nor passed over for the next
 * place to look (RFC 7672 2.1.2): a host whose addresses or TLSA records
 * cannot be looked up is skipped, and if nobody is left because of that the
 * message waits.
 */
#include "policy/plan.h"

#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "policy/plan_private.h"

/* The recipients' domain, unless a route names another. */
static const char *next_hop_name(const struct plan_facts *facts)
{
	return facts->next->host[0] != '\0' ? facts->next->host :
	    facts->domain;
}

static void begin_plan(const struct planner *planner)
{
	struct plan *plan = planner->plan;

	memset(plan, 0, sizeof(*plan));
	plan->ttl = UINT32_MAX;
	plan->wish = planner->facts->wish;
	snprintf(plan->next_hop, sizeof(plan->next_hop), "%s", planner->name);
	if (planner->exception != NULL)
		plan->exception = planner->exception->id;
}

enum plan_answer plan_step(const struct plan_facts *facts,
    struct arena *arena, struct plan_query *query, struct plan *plan)
{
	static enum step (*const stages[])(struct planner *planner) = {
		plan_stage_literal, plan_stage_mx, plan_stage_hosts,
		plan_stage_sts, plan_stage_requirement, plan_stage_memory,
		plan_stage_finish,
	};
	struct planner planner = { .facts = facts, .arena = arena,
	    .query = query, .plan = plan, .name = next_hop_name(facts),
	    .expanded = "" };
	enum step step = STEP_NEXT;
	size_t i;

	planner_settle(&planner);
	begin_plan(&planner);
	planner.prospects = arena_alloc_array(arena, PLAN_HOSTS_MAX,
	    sizeof(*planner.prospects));
	for (i = 0; step == STEP_NEXT; i++)
		step = stages[i](&planner);
	return step == STEP_NEED ? PLAN_NEED : PLAN_DONE;
}

bool plan_can_try(const struct plan *plan)
{
	size_t i;

	for (i = 0; i < plan->host_count; i++)
		if (!plan->hosts[i].skip)
			return true;
	return false;
}

const char *requirement_name(enum requirement requirement)
{
	static const char *const names[REQUIREMENTS] = {
		[REQUIRE_CLEAR] = "clear",
		[REQUIRE_OPPORTUNISTIC] = "opportunistic",
		[REQUIRE_ENCRYPTED] = "encrypted",
		[REQUIRE_NAME] = "name",
		[REQUIRE_FINGERPRINT] = "fingerprint",
		[REQUIRE_DANE] = "dane",
	};

	return requirement < REQUIREMENTS ? names[requirement] : "unknown";
}

const char *plan_source_name(enum plan_source source)
{
	static const char *const names[SOURCES] = {
		[SOURCE_NONE] = "none", [SOURCE_LEVEL] = "level",
		[SOURCE_DANE] = "dane", [SOURCE_HALF_DANE] = "half-dane",
		[SOURCE_STS] = "sts", [SOURCE_MEMORY] = "memory",
		[SOURCE_PIN] = "pin", [SOURCE_REQUIRETLS] = "requiretls",
	};

	return source < SOURCES ? names[source] : "unknown";
}

const char *plan_wish_name(enum plan_wish wish)
{
	static const char *const names[WISHES] = { [WISH_NONE] = "",
	    [WISH_REQUIRETLS] = "requiretls",
	    [WISH_REQUIRETLS_BOUNCE] = "requiretls-bounce",
	    [WISH_OPTIONAL] = "optional" };

	return wish < WISHES ? names[wish] : "unknown";
}

const char *pin_level_name(enum pin_level level)
{
	static const char *const names[PIN_LEVELS] = {
	    [PIN_ENCRYPT] = "encrypt", [PIN_VERIFY] = "verify",
	    [PIN_FINGERPRINT] = "fingerprint" };

	return level < PIN_LEVELS ? names[level] : "unknown";
}

const char *query_type_name(enum query_type type)
{
	static const char *const names[QUERY_TYPES] = { [QUERY_MX] = "MX",
	    [QUERY_A] = "A", [QUERY_AAAA] = "AAAA", [QUERY_CNAME] = "CNAME",
	    [QUERY_TLSA] = "TLSA", [QUERY_STS] = "STS",
	    [QUERY_STS_CACHED] = "STS-CACHED", [QUERY_MEMORY] = "MEMORY",
	    [QUERY_MEMORY_HOST] = "MEMORY-HOST" };

	return type < QUERY_TYPES ? names[type] : "?";
}
