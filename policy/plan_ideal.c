/* SPDX-License-Identifier: ISC */
/*
 * What is only tried: published, and not binding here (mode testing,
 * TLS-Required: No, a level or an exception that overrides it). Its failure
 * changes nothing but what is told and counted (STS-71, REQ-55, REQ-62). Where
 * nobody publishes anything, whether the chain would hold by WebPKI is looked
 * at for memory's sake.
 *
 * What must be shown has its own names, so beside a requirement that uses them
 * nothing is tried; and at level none there is no TLS to try it with (TLS-70).
 */
#include "policy/plan_private.h"

#include <stdio.h>

static void aim(struct planner *planner, struct prospect *prospect,
    enum requirement ideal, enum plan_source source)
{
	struct plan_host *host = &prospect->host;

	host->ideal = ideal;
	host->ideal_source = source;
	planner_note(planner, host->name, source == SOURCE_NONE ?
	    "RFC 3207 6" : source == SOURCE_STS ? CLAUSE_STS : CLAUSE_DANE,
	    "tried: %s, by %s; without it mail goes on",
	    requirement_name(ideal), source == SOURCE_NONE ? "nobody" :
	    plan_source_name(source));
}

static void aim_at_records(struct planner *planner, struct prospect *prospect)
{
	struct plan_host *host = &prospect->host;

	if (prospect->usable_count == 0) {
		if (host->requirement < REQUIRE_ENCRYPTED)
			aim(planner, prospect, REQUIRE_ENCRYPTED, SOURCE_DANE);
		return;
	}
	aim(planner, prospect, REQUIRE_DANE, SOURCE_DANE);
	prospect_dane_names(planner, prospect);
	snprintf(host->sni, sizeof(host->sni), "%s", prospect->base);
	host->tlsa = prospect->usable;
	host->tlsa_count = prospect->usable_count;
}

/* A host that the policy leaves out is used all the same, and counted as what
 * it is (STS-78, RPT-47). */
static void aim_at_policy(struct planner *planner, struct prospect *prospect)
{
	struct plan_host *host = &prospect->host;

	aim(planner, prospect, REQUIRE_NAME, SOURCE_STS);
	prospect_own_name(planner, prospect);
	host->sts_mismatch = !sts_matches(&planner->sts_policy->policy,
	    host->name);
	if (host->sts_mismatch)
		planner_note(planner, host->name, "RFC 8461 4.1", "its name "
		    "is not in the MTA-STS policy of %.150s", planner->name);
}

void prospect_set_ideal(struct planner *planner, struct prospect *prospect)
{
	struct plan_host *host = &prospect->host;
	bool advisory = planner_is_advisory(planner);

	if (host->requirement == REQUIRE_CLEAR ||
	    host->requirement >= REQUIRE_NAME)
		return;
	if (advisory && prospect->usable_count > 0) {
		aim_at_records(planner, prospect);
	} else if (planner->sts_policy != NULL &&
	    !prospect_is_address(prospect)) {
		aim_at_policy(planner, prospect);
	} else if (advisory && prospect->dane == DANE_RECORDS) {
		aim_at_records(planner, prospect);
	} else if (host->requirement == REQUIRE_OPPORTUNISTIC &&
	    !prospect_is_address(prospect)) {
		aim(planner, prospect, REQUIRE_NAME, SOURCE_NONE);
		prospect_own_name(planner, prospect);
	}
}
