/* SPDX-License-Identifier: ISC */
/*
 * What the destination and its hosts have shown before (RFC 3207 6), asked for
 * where nothing else asks for TLS. A host is expected to speak TLS when it did,
 * or when its destination did and this host is not known for speaking clear.
 * Then TLS missing is told, or waited for; never more: it is learned, not
 * promised. Also told: what was published and provably is not any more.
 */
#include "policy/plan_private.h"

#include <stdio.h>

#define CLAUSE_MEMORY "RFC 3207 6"

static const struct fact_memory *fact_memory(const struct fact *fact)
{
	return fact->result == FACT_DATA && fact->count > 0 ? fact->memory :
	    NULL;
}

/* Where what is published binds, what was learned may: not under an
 * exception, a level that overrides, or TLS-Required: No. */
static bool is_asked(const struct planner *planner)
{
	return planner->heed == HEED_BIND &&
	    planner->facts->wish != WISH_OPTIONAL &&
	    planner->facts->destination->memory != MEMORY_OBSERVE;
}

/* An error is not an absence. */
static bool has_no_records(const struct planner *planner)
{
	const struct prospect *prospect;
	size_t i;

	for (i = 0; i < planner->prospect_count; i++) {
		prospect = &planner->prospects[i];
		if (prospect->dane != DANE_NOTHING || prospect->dane_unknown)
			return false;
	}
	return true;
}

static void tell_vanished(struct planner *planner,
    const struct fact_memory *destination)
{
	struct plan *plan = planner->plan;

	if (destination->expects_dane && has_no_records(planner)) {
		plan->vanished_dane = true;
		planner_note(planner, planner->name, CLAUSE_MEMORY, "it used "
		    "to be authenticated by TLSA records; there are none that "
		    "count any more");
	}
	if (destination->expects_sts && planner->sts_absent) {
		plan->vanished_sts = true;
		planner_note(planner, planner->name, CLAUSE_MEMORY, "it used "
		    "to have an MTA-STS policy to enforce, and has none any "
		    "more");
	}
}

static bool is_expected(const struct fact_memory *destination,
    const struct fact_memory *host)
{
	if (host != NULL && host->expects_tls)
		return true;
	return destination != NULL && destination->expects_tls &&
	    !(host != NULL && host->known_clear);
}

static void expect(struct planner *planner, struct prospect *prospect)
{
	struct plan_host *host = &prospect->host;

	if (planner->facts->destination->memory == MEMORY_DEFER) {
		prospect_require(prospect, REQUIRE_ENCRYPTED, SOURCE_MEMORY);
		snprintf(host->reason, sizeof(host->reason), CLAUSE_MEMORY
		    ": it has shown TLS before, memory = defer");
		return;
	}
	host->expects_tls = true;
	planner_note(planner, host->name, CLAUSE_MEMORY, "it has shown TLS "
	    "before: that it does not would be told (memory = warn)");
}

/* An address is a host and nothing else. */
static enum step ask_destination(struct planner *planner,
    const struct fact_memory **destination)
{
	const struct fact *fact;

	*destination = NULL;
	if (planner->path == PATH_ADDRESS)
		return STEP_NEXT;
	fact = planner_want(planner, QUERY_MEMORY, planner->name);
	if (fact == NULL)
		return STEP_NEED;
	*destination = fact_memory(fact);
	if (*destination != NULL)
		tell_vanished(planner, *destination);
	return STEP_NEXT;
}

enum step plan_stage_memory(struct planner *planner)
{
	const struct fact_memory *destination;
	const struct fact *fact;
	struct prospect *prospect;
	size_t i;

	if (!is_asked(planner))
		return STEP_NEXT;
	if (ask_destination(planner, &destination) == STEP_NEED)
		return STEP_NEED;
	for (i = 0; i < planner->prospect_count; i++) {
		prospect = &planner->prospects[i];
		if (prospect->host.skip ||
		    prospect->host.requirement != REQUIRE_OPPORTUNISTIC)
			continue;
		fact = planner_want(planner, QUERY_MEMORY_HOST,
		    prospect->host.name);
		if (fact == NULL)
			return STEP_NEED;
		if (is_expected(destination, fact_memory(fact)))
			expect(planner, prospect);
	}
	return STEP_NEXT;
}
