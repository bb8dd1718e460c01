/* SPDX-License-Identifier: ISC */
/*
 * The end of a plan: its hosts, what the fallbacks are, the key, and what to
 * tell when no host can be tried.
 */
#include "policy/plan_private.h"

#include <stdio.h>
#include <string.h>

#include "base/arena.h"

static void note_requirement(struct planner *planner,
    const struct plan_host *host)
{
	char clause[sizeof(planner->plan->notes->clause)];
	const char *colon = strstr(host->reason, ": ");
	int length = colon == NULL ? 0 : (int)(colon - host->reason);

	if (!planner->facts->explain)
		return;
	snprintf(clause, sizeof(clause), "%.*s", length, host->reason);
	planner_note(planner, host->name, clause, "required: %s%s%s, by %s: "
	    "%s", requirement_name(host->requirement), host->also_name ?
	    " and name" : "", host->requiretls && planner->facts->wish ==
	    WISH_REQUIRETLS ? " and REQUIRETLS" : "",
	    plan_source_name(host->source), colon == NULL ? host->reason :
	    colon + 2);
}

/* Clear at once: what overrides for a time or for one message was said by
 * somebody who knows that TLS fails there; and TLS-Required: No takes the
 * waiting away, but not an administrator's refusal (REQ-60). */
static void set_fallbacks(struct planner *planner)
{
	const struct conf_destination *destination =
	    planner->facts->destination;
	bool spoken = planner->exception != NULL ||
	    planner->facts->message_level >= 0;
	bool clear = spoken && (planner->level == LEVEL_NONE ||
	    planner->level == LEVEL_MAY);
	bool at_once = planner->facts->wish == WISH_OPTIONAL;
	struct plan *plan = planner->plan;

	plan->no_starttls = destination->no_starttls;
	plan->no_starttls_after = destination->no_starttls_after;
	plan->broken_tls = destination->broken_tls;
	plan->broken_tls_after = destination->broken_tls_after;
	if (clear || (at_once && plan->no_starttls == FALLBACK_CLEAR_AFTER)) {
		plan->no_starttls = FALLBACK_CLEAR;
		plan->no_starttls_after = 0;
	}
	if (clear || (at_once && plan->broken_tls == FALLBACK_CLEAR_AFTER)) {
		plan->broken_tls = FALLBACK_CLEAR;
		plan->broken_tls_after = 0;
	}
}

static void set_fingerprints(struct planner *planner)
{
	const struct conf_destination *destination =
	    planner->facts->destination;
	const struct plan_pin *pin = planner->pin;
	bool pinned = pin != NULL && pin->level == PIN_FINGERPRINT;
	const void *from = pinned ? (const void *)pin->fingerprints :
	    destination->fingerprints;
	struct plan *plan = planner->plan;

	plan->fingerprint_count = pinned ? pin->fingerprint_count :
	    destination->fingerprint_count;
	if (plan->fingerprint_count > PLAN_FINGERPRINTS_MAX)
		plan->fingerprint_count = PLAN_FINGERPRINTS_MAX;
	if (plan->fingerprint_count > 0)
		plan->fingerprints = arena_dup(planner->arena, from,
		    plan->fingerprint_count * DIGEST_BYTES);
}

/* What waits comes before what fails: mail is given back only where no host
 * could take it at another time (REQ-45). What policy forbids says more than
 * what could not be reached. */
static int weight(const struct status *skipped)
{
	enum { SECURITY = 7 };		/* RFC 3463 3.8 */

	if (skipped->outcome == STATUS_FAILED)
		return 0;
	return skipped->enhanced_subject == SECURITY ? 2 : 1;
}

static void set_status(struct plan *plan)
{
	const struct status *told = NULL, *skipped;
	size_t i;

	for (i = 0; i < plan->host_count; i++) {
		skipped = &plan->hosts[i].skipped;
		if (told == NULL || weight(skipped) > weight(told))
			told = skipped;
	}
	plan->status = *told;
}

enum step plan_stage_finish(struct planner *planner)
{
	struct plan *plan = planner->plan;
	size_t i;

	plan->hosts = arena_alloc_array(planner->arena,
	    planner->prospect_count, sizeof(*plan->hosts));
	for (i = 0; i < planner->prospect_count; i++) {
		plan->hosts[i] = planner->prospects[i].host;
		if (!plan->hosts[i].skip)
			note_requirement(planner, &plan->hosts[i]);
	}
	plan->host_count = planner->prospect_count;
	set_fallbacks(planner);
	set_fingerprints(planner);
	planner_set_key(plan);
	if (!plan_can_try(plan))
		set_status(plan);
	return STEP_DONE;
}
