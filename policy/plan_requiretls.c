/* SPDX-License-Identifier: ISC */
/*
 * REQUIRETLS (RFC 8689 4.2.1): whoever takes the message must be authenticated,
 * under a name that is authentic itself. What else asks for as much is enough;
 * otherwise the host must show its name by WebPKI. Where its name is nobody's
 * word but an unsigned MX record's, only an MTA-STS policy to enforce vouches
 * for it (REQ-31, REQ-32), and without one the host is out for good, since
 * waiting changes nothing (REQ-45). What is not known yet is waited for.
 */
#include "policy/plan_private.h"

#include <stdio.h>

static bool is_enough(const struct planner *planner,
    const struct plan_host *host)
{
	switch (host->requirement) {
	case REQUIRE_FINGERPRINT:
		return true;
	case REQUIRE_DANE:
		return host->source != SOURCE_HALF_DANE;
	case REQUIRE_NAME:
		return host->source == SOURCE_STS ||
		    planner->path != PATH_MX_INSECURE ||
		    planner_needs_no_mx(planner) ||
		    planner_sts_vouches(planner, host);
	default:		/* nobody is authenticated: REQ-39 */
		return false;
	}
}

/* The name of a domain without MX records is the sender's own word, proven or
 * not, and a route's is the administrator's (REQ-33). */
static bool has_authentic_name(const struct planner *planner,
    const struct prospect *prospect)
{
	return !prospect_is_address(prospect) &&
	    (planner->path == PATH_NAME || planner->path == PATH_MX ||
	    planner->path == PATH_NAME_UNPROVEN);
}

static void require_own_name(struct planner *planner,
    struct prospect *prospect)
{
	prospect_require(prospect, REQUIRE_NAME, SOURCE_REQUIRETLS);
	prospect_own_name(planner, prospect);
	snprintf(prospect->host.reason, sizeof(prospect->host.reason),
	    CLAUSE_REQUIRETLS ": REQUIRETLS, and nothing published asks for as "
	    "much");
}

static void leave_out(struct planner *planner, struct prospect *prospect)
{
	static const struct skip unknown = { CLAUSE_DISCOVERY, REASON_POLICY,
	    RESULT_STS_POLICY_FETCH_ERROR };

	if (prospect_is_address(prospect))
		prospect_skip_for_good(planner, prospect, "REQUIRETLS needs a "
		    "host with a name to authenticate it by, and this is an "
		    "address");
	else if (planner->sts_failed)
		prospect_skip(planner, prospect, &unknown, "REQUIRETLS needs "
		    "signed MX records or an MTA-STS policy, and whether "
		    "%.100s has one could not be found out", planner->name);
	else
		prospect_skip_for_good(planner, prospect, "REQUIRETLS needs "
		    "signed MX records, or an MTA-STS policy to enforce that "
		    "lists the host, and there is neither");
}

/* What is published may serve as proof also where it does not bind. */
static void prove(struct planner *planner, struct prospect *prospect)
{
	bool half = planner->path == PATH_MX_INSECURE;

	if (prospect->dane == DANE_USABLE && !half)
		prospect_require_dane(planner, prospect, false);
	else if (planner_sts_vouches(planner, &prospect->host) &&
	    prospect->dane == DANE_USABLE)
		prospect_require_dane(planner, prospect, true);
	else if (planner_sts_vouches(planner, &prospect->host))
		prospect_require_sts(planner, prospect);
	else if (has_authentic_name(planner, prospect))
		require_own_name(planner, prospect);
	else
		leave_out(planner, prospect);
}

void prospect_require_requiretls(struct planner *planner,
    struct prospect *prospect)
{
	struct plan_host *host = &prospect->host;

	if (planner->facts->wish != WISH_REQUIRETLS)
		return;
	if (!is_enough(planner, host))
		prove(planner, prospect);
	/* RFC 8689 4.2.1 to the letter: REQ-36a */
	if (!host->skip && host->requirement == REQUIRE_DANE &&
	    planner->facts->requiretls_names)
		prospect_add_own_name(planner, prospect);
}
