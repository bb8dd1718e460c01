/* SPDX-License-Identifier: ISC */
/*
 * The MTA-STS policy of the next hop (RFC 8461): asked for once, after all
 * hosts, and only when some host is not decided by DANE alone; else it is
 * looked at if it is remembered. It is the policy of the name that was looked
 * up, a route's or the recipients' domain (RFC 8461 3.4), never of an alias or
 * a mail host.
 */
#include "policy/plan_private.h"

#include <inttypes.h>

#include "base/broken.h"

/* REQUIRETLS: only a policy can vouch for names in MX records that nobody
 * signed, also where the level does not ask for one. */
static bool is_proof(const struct planner *planner)
{
	return planner->facts->wish == WISH_REQUIRETLS &&
	    planner->path == PATH_MX_INSECURE &&
	    !planner_needs_no_mx(planner);
}

static bool is_needed(const struct planner *planner)
{
	bool heeded = planner->heed != HEED_NOTHING && planner->heeds_sts;
	bool for_all = planner->heed == HEED_GLANCE || is_proof(planner);
	const struct prospect *prospect;
	size_t i;

	if (planner->path == PATH_ADDRESS || (!heeded && !is_proof(planner)))
		return false;
	for (i = 0; i < planner->prospect_count; i++) {
		prospect = &planner->prospects[i];
		if (!prospect->host.skip &&
		    (for_all || !planner_dane_decides(planner, prospect)))
			return true;
	}
	return false;
}

/*
 * It is not known whether there is a policy, and none is remembered. RFC 8461
 * is silent; mail waits for a time, then goes as if there were none (STS-17).
 * The plan depends on the mail's age then and is not to be kept. Where a policy
 * would not bind, nobody waits; where it is the only proof, everybody does.
 */
static void discovery_failed(struct planner *planner, const struct fact *fact)
{
	const struct plan_facts *facts = planner->facts;

	planner->sts_failed = true;
	if (planner->heed != HEED_BIND || !planner->heeds_sts) {
		planner_note(planner, planner->name, CLAUSE_DISCOVERY,
		    "whether it has an MTA-STS policy could not be found out: "
		    "%.120s; it would not bind", fact->reason);
		return;
	}
	planner->plan->ttl = 0;
	if (facts->waited < facts->sts_discovery_wait || is_proof(planner)) {
		planner->sts = STS_UNKNOWN;
		planner_note(planner, planner->name, CLAUSE_DISCOVERY,
		    "whether it has an MTA-STS policy could not be found out: "
		    "%.120s; mail waits", fact->reason);
		return;
	}
	planner_alarm(planner, "%.100s: MTA-STS discovery failed for %" PRId64
	    " s; mail goes on as if there were no policy", planner->name,
	    facts->waited);
	planner_note(planner, planner->name, CLAUSE_DISCOVERY, "whether it has "
	    "an MTA-STS policy could not be found out in sts-discovery-wait: "
	    "as if there were none");
}

/* Mode none is as good as no policy, and says so of itself (STS-72). */
static void take_policy(struct planner *planner,
    const struct fact_sts *policy)
{
	if (policy->policy.mode == STS_MODE_NONE) {
		planner->sts_absent = true;
		return;
	}
	planner->sts = policy->policy.mode == STS_MODE_ENFORCE &&
	    !broken("never-enforce") ? STS_ENFORCE : STS_TESTING;
	planner->sts_policy = policy;
	planner->plan->sts_digest = planner_digest_policy(&policy->policy);
}

static void use_policy(struct planner *planner, const struct fact *fact)
{
	const struct fact_sts *policy = fact_policy(fact);

	if (policy == NULL) {
		/* What is not remembered may be published. */
		planner->sts_absent = fact->query.type == QUERY_STS;
		planner_note(planner, planner->name, CLAUSE_DISCOVERY, "no "
		    "MTA-STS policy is in force%s%.120s",
		    fact->reason[0] == '\0' ? "" : ": ", fact->reason);
		return;
	}
	take_policy(planner, policy);
	planner_note(planner, planner->name, CLAUSE_STS, "MTA-STS policy %s%s, "
	    "mode %s%s", policy->id, policy->cached ? " (remembered)" : "",
	    sts_mode_name(policy->policy.mode),
	    policy->policy.mode == STS_MODE_ENFORCE ? "" :
	    ": nothing is enforced");
}

/* DANE decides for every host. Of a policy that is remembered it is still told
 * when it would have decided otherwise (DANE-139); nobody waits for that. */
static bool is_worth_telling(const struct planner *planner)
{
	size_t i;

	if (planner->path == PATH_ADDRESS ||
	    planner->heed == HEED_NOTHING || !planner->heeds_sts)
		return false;
	for (i = 0; i < planner->prospect_count; i++)
		if (!planner->prospects[i].host.skip)
			return true;
	return false;
}

/* Whatever stopped discovery, its own slowness too: a policy to enforce that is
 * remembered holds, however old the mail is (RFC 8461 3.3). */
static enum step use_remembered(struct planner *planner,
    const struct fact *failed)
{
	const struct fact *cached = planner_want(planner, QUERY_STS_CACHED,
	    planner->name);
	const struct fact_sts *policy;

	if (cached == NULL)
		return STEP_NEED;
	policy = fact_policy(cached);
	if (policy != NULL && policy->policy.mode == STS_MODE_ENFORCE)
		use_policy(planner, cached);
	else
		discovery_failed(planner, failed);
	return STEP_NEXT;
}

enum step plan_stage_sts(struct planner *planner)
{
	bool needed = is_needed(planner);
	bool remembered = planner->heed == HEED_GLANCE || !needed;
	const struct fact *fact;

	if (!needed && !is_worth_telling(planner))
		return STEP_NEXT;
	fact = planner_want(planner, remembered ? QUERY_STS_CACHED : QUERY_STS,
	    planner->name);
	if (fact == NULL)
		return STEP_NEED;
	/* A policy that is not there although the answer says so: an error. */
	if (fact_is_error(fact) ||
	    (fact->result == FACT_DATA && fact_policy(fact) == NULL))
		return remembered ? STEP_NEXT : use_remembered(planner, fact);
	use_policy(planner, fact);
	return STEP_NEXT;
}
