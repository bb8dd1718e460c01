/* SPDX-License-Identifier: ISC */
/*
 * What each host must show: the level, what is published, a pin and REQUIRETLS
 * put together; here the part of DANE and MTA-STS. The strongest binds; usable
 * TLSA records over secure MX decide alone over MTA-STS, unless sts-with-dane =
 * both (RFC 8461 2: a policy never overrides DANE). What cannot be fulfilled
 * takes the host out until later: no failure of policy is permanent.
 */
#include "policy/plan_private.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/broken.h"

static void set_reason(struct prospect *prospect, const char *clause,
    const char *text, const char *name)
{
	snprintf(prospect->host.reason, sizeof(prospect->host.reason),
	    "%s: %s %.60s", clause, text, name);
}

static bool is_half(const struct planner *planner)
{
	return planner->path == PATH_MX_INSECURE;
}

/* RFC 8461 4.1: the name in the MX record, as it stands there. A host that
 * the policy does not know gets no connection (STS-78). */
static bool passes_sts(struct planner *planner, struct prospect *prospect)
{
	static const struct skip unknown = { CLAUSE_DISCOVERY, REASON_POLICY,
	    RESULT_STS_POLICY_FETCH_ERROR };
	static const struct skip mismatch = { "RFC 8461 4.1", REASON_STS_MX,
	    RESULT_VALIDATION_FAILURE };

	if (planner->sts == STS_UNKNOWN) {
		prospect_skip(planner, prospect, &unknown,
		    "whether %.200s has an MTA-STS policy could not be found "
		    "out yet", planner->name);
		return false;
	}
	if (!planner_sts_binds(planner))
		return true;
	if (planner_sts_vouches(planner, &prospect->host)) {
		planner_note(planner, prospect->host.name, "RFC 8461 4.1",
		    "its name matches the MTA-STS policy of %.150s",
		    planner->name);
		return true;
	}
	prospect_skip(planner, prospect, &mismatch, "its name is not in the "
	    "MTA-STS policy of %.200s", planner->name);
	return false;
}

/* Levels that ask for more than what happens to be published. */
static bool reaches_level(struct planner *planner, struct prospect *prospect)
{
	bool records = prospect->dane != DANE_NOTHING && !is_half(planner);
	bool usable = records && prospect->dane == DANE_USABLE;
	struct skip skip = { "RFC 7672 6", REASON_POLICY, records ?
	    RESULT_TLSA_INVALID : RESULT_DANE_REQUIRED };

	if (usable || planner_sts_binds(planner))
		return true;
	switch (planner->level) {
	case LEVEL_DANE_ONLY:
		prospect_skip(planner, prospect, &skip, "level "
		    "dane-only needs TLSA records to authenticate it with, and "
		    "there %s", records ? "are only unusable ones" :
		    "are none that are signed");
		return false;
	case LEVEL_STRICT:
		skip.clause = "level strict";
		if (!records)
			skip.result = RESULT_VALIDATION_FAILURE;
		prospect_skip(planner, prospect, &skip, "level strict "
		    "needs usable TLSA records over signed MX records, or an "
		    "MTA-STS policy to enforce, and %s", records ?
		    "the TLSA records are unusable" : "there is neither");
		return false;
	case LEVEL_STS:
		if (records)
			return true;
		skip.clause = "level sts";
		skip.result = RESULT_VALIDATION_FAILURE;
		prospect_skip(planner, prospect, &skip, "level sts needs "
		    "TLSA records over signed MX records, or an MTA-STS policy "
		    "to enforce, and there is neither");
		return false;
	default:
		return true;
	}
}

/* DANE-139: DANE is enough, but where the policy says otherwise one of the two
 * is wrong. What the certificate says to it is delivery's to see. */
static void tell_mismatch(struct planner *planner, struct plan_host *host)
{
	if (!planner_sts_binds(planner) || host->also_name)
		return;
	host->note_name = true;
	if (planner_sts_vouches(planner, host))
		return;
	planner_alarm(planner, "%.100s is not in the MTA-STS policy in force: "
	    "DANE decides", host->name);
	planner_note(planner, host->name, "RFC 8461 2", "its name is not in "
	    "the MTA-STS policy of %.150s: DANE decides", planner->name);
}

void prospect_require_dane(struct planner *planner, struct prospect *prospect,
    bool also_name)
{
	struct plan_host *host = &prospect->host;
	bool half = is_half(planner);

	host->also_name = also_name;
	prospect_require(prospect, REQUIRE_DANE, !half ? SOURCE_DANE :
	    also_name ? SOURCE_STS : SOURCE_HALF_DANE);
	prospect_dane_names(planner, prospect);
	tell_mismatch(planner, host);
	snprintf(host->sni, sizeof(host->sni), "%s", prospect->base);
	host->tlsa = prospect->usable;
	host->tlsa_count = prospect->usable_count;
	if (also_name)
		set_reason(prospect, "RFC 7672 2.2, RFC 8461 5", "usable TLSA "
		    "records and an MTA-STS policy to enforce, base",
		    prospect->base);
	else if (half)
		set_reason(prospect, CLAUSE_DANE_MX, "usable TLSA records, but "
		    "MX records that are not signed, base", prospect->base);
	else
		set_reason(prospect, CLAUSE_DANE, "usable TLSA records, base",
		    prospect->base);
}

/* RFC 7672 2.2: TLS, but it need not be shown to whom. */
static void require_tls_of_records(struct planner *planner,
    struct prospect *prospect)
{
	if (is_half(planner)) {
		prospect_require(prospect, REQUIRE_ENCRYPTED,
		    SOURCE_HALF_DANE);
		set_reason(prospect, CLAUSE_DANE_MX, "TLSA records, but MX "
		    "records that are not signed: TLS, base", prospect->base);
		return;
	}
	prospect_require(prospect, REQUIRE_ENCRYPTED, SOURCE_DANE);
	set_reason(prospect, CLAUSE_DANE, "TLSA records, none of them usable: "
	    "TLS, base", prospect->base);
}

void prospect_require_sts(struct planner *planner, struct prospect *prospect)
{
	prospect_require(prospect, REQUIRE_NAME, SOURCE_STS);
	prospect_own_name(planner, prospect);
	set_reason(prospect, CLAUSE_STS, "MTA-STS policy, mode enforce, of",
	    planner->name);
}

/* What is published, where it binds. */
static void require_published(struct planner *planner,
    struct prospect *prospect)
{
	bool alone = planner_dane_decides(planner, prospect);
	bool sts = planner_sts_binds(planner);

	if (!alone && !passes_sts(planner, prospect))
		return;
	if (!reaches_level(planner, prospect))
		return;
	if (prospect->dane == DANE_USABLE && !(sts && broken("sts-over-dane")))
		prospect_require_dane(planner, prospect, sts && !alone);
	else if (sts)
		prospect_require_sts(planner, prospect);
	else if (prospect->dane == DANE_RECORDS && !broken("unusable-none"))
		require_tls_of_records(planner, prospect);
}

/* An administrator may go below what is published, but not unheard. */
static void tell_override(struct planner *planner,
    const struct prospect *prospect)
{
	const struct plan_host *host = &prospect->host;
	bool records = prospect->dane != DANE_NOTHING;
	const char *what = records ? "TLSA records" :
	    "the MTA-STS policy in force";
	char who[80];

	if (!planner->overridden || (!records && planner->sts != STS_ENFORCE))
		return;
	if (host->source == SOURCE_DANE || host->source == SOURCE_STS)
		return;		/* REQUIRETLS holds it up */
	if (planner->exception != NULL)
		snprintf(who, sizeof(who), "exception %" PRIu64 " (level %s)",
		    planner->exception->id, conf_level_name(planner->level));
	else
		snprintf(who, sizeof(who), "level %s",
		    conf_level_name(planner->level));
	planner_alarm(planner, "%.100s: %s overrides %s", records ?
	    host->name : planner->name, who, what);
	planner_note(planner, host->name, "RFC 7672 9.1", "%s overrides %s",
	    who, what);
}

static void decide_host(struct planner *planner, struct prospect *prospect)
{
	struct plan_host *host = &prospect->host;

	if (!prospect_is_address(prospect))
		snprintf(host->sni, sizeof(host->sni), "%s", host->name);
	prospect_require_level(planner, prospect);
	if (planner->heed == HEED_BIND)
		require_published(planner, prospect);
	if (host->skip)
		return;
	prospect_require_pin(planner, prospect);
	prospect_require_requiretls(planner, prospect);
	if (host->skip)
		return;
	prospect_set_ideal(planner, prospect);
	tell_override(planner, prospect);
}

enum step plan_stage_requirement(struct planner *planner)
{
	enum plan_wish wish = planner->facts->wish;
	struct prospect *prospect;
	size_t i;

	planner->plan->implicit_tls = planner->facts->next->implicit_tls;
	for (i = 0; i < planner->prospect_count; i++) {
		prospect = &planner->prospects[i];
		prospect->host.requiretls = wish == WISH_REQUIRETLS ||
		    wish == WISH_REQUIRETLS_BOUNCE;
		if (!prospect->host.skip)
			decide_host(planner, prospect);
	}
	return STEP_NEXT;
}
