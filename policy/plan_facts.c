/* SPDX-License-Identifier: ISC */
/*
 * What the stages of a plan have in common: finding a fact or asking for it,
 * notes for the explanation, and the ways in which a host or the whole plan
 * comes to nothing.
 */
#include "policy/plan_private.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/address.h"
#include "base/arena.h"

/* --- facts --- */

const struct fact *planner_find(const struct planner *planner,
    enum query_type type, const char *name)
{
	const struct fact *fact;
	size_t i;

	for (i = 0; i < planner->facts->fact_count; i++) {
		fact = &planner->facts->facts[i];
		if (fact->query.type == type &&
		    strcasecmp(fact->query.name, name) == 0 &&
		    fact->result != FACT_UNKNOWN)
			return fact;
	}
	return NULL;
}

const struct fact *planner_want(struct planner *planner, enum query_type type,
    const char *name)
{
	const struct fact *fact = planner_find(planner, type, name);
	char *c;

	if (fact != NULL) {
		if (fact->ttl < planner->plan->ttl)
			planner->plan->ttl = fact->ttl;
		return fact;
	}
	planner->query->type = type;
	snprintf(planner->query->name, sizeof(planner->query->name), "%s",
	    name);
	for (c = planner->query->name; *c != '\0'; c++)
		*c = (char)tolower((unsigned char)*c);
	return NULL;
}

bool fact_is_error(const struct fact *fact)
{
	return fact->result == FACT_ERROR || fact->result == FACT_BOGUS;
}

const struct fact_sts *fact_policy(const struct fact *fact)
{
	return fact->result == FACT_DATA && fact->count > 0 ? fact->sts : NULL;
}

bool planner_parse_address(const char *name, uint16_t port,
    struct endpoint *endpoint)
{
	if (domain_is_literal(name))
		return endpoint_parse_literal(endpoint, name, port) == 0;
	return endpoint_parse(endpoint, name, port) == 0;
}

bool planner_is_advisory(const struct planner *planner)
{
	return planner->heed == HEED_GLANCE || planner->heed == HEED_TRY;
}

bool planner_sts_binds(const struct planner *planner)
{
	return planner->heed == HEED_BIND && planner->heeds_sts &&
	    planner->sts == STS_ENFORCE;
}

bool planner_sts_vouches(const struct planner *planner,
    const struct plan_host *host)
{
	return planner->sts == STS_ENFORCE &&
	    sts_matches(&planner->sts_policy->policy, host->name);
}

/* --- telling --- */

static void add_note(struct planner *planner, const char *subject,
    const char *clause, const char *text)
{
	struct plan *plan = planner->plan;
	struct plan_note *note;

	if (!planner->facts->explain || plan->note_count == PLAN_NOTES_MAX)
		return;
	if (plan->notes == NULL)
		plan->notes = arena_alloc_array(planner->arena, PLAN_NOTES_MAX,
		    sizeof(*plan->notes));
	note = &plan->notes[plan->note_count++];
	snprintf(note->subject, sizeof(note->subject), "%s", subject);
	snprintf(note->clause, sizeof(note->clause), "%s", clause);
	snprintf(note->text, sizeof(note->text), "%s", text);
}

void planner_note(struct planner *planner, const char *subject,
    const char *clause, const char *format, ...)
{
	char text[sizeof(planner->plan->notes->text)];
	va_list arguments;

	if (!planner->facts->explain)
		return;
	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	add_note(planner, subject, clause, text);
}

void planner_alarm(struct planner *planner, const char *format, ...)
{
	struct plan *plan = planner->plan;
	va_list arguments;

	if (plan->alarm[0] != '\0')
		return;
	va_start(arguments, format);
	vsnprintf(plan->alarm, sizeof(plan->alarm), format, arguments);
	va_end(arguments);
}

/* --- hosts that are not used --- */

static const char *error_text(const struct fact *fact)
{
	return fact->result == FACT_BOGUS ? "DNSSEC validation failed" :
	    "the name servers did not answer properly";
}

static enum status_reason error_reason(const struct fact *fact)
{
	return fact->result == FACT_BOGUS ? REASON_DNS_BOGUS : REASON_DNS;
}

/* status is all of host->skipped but for its text. */
static void skip(struct planner *planner, struct prospect *prospect,
    const char *clause, const char *text)
{
	struct plan_host *host = &prospect->host;

	host->skip = true;
	snprintf(host->skipped.text, sizeof(host->skipped.text),
	    "%s is not used: %.220s (%s)", host->name, text, clause);
	snprintf(host->reason, sizeof(host->reason), "%s: %.120s", clause,
	    text);
	add_note(planner, host->name, clause, host->skipped.text);
}

void prospect_skip(struct planner *planner, struct prospect *prospect,
    const struct skip *why, const char *format, ...)
{
	char text[STATUS_TEXT_MAX];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	status_set(&prospect->host.skipped, STATUS_DEFERRED, why->reason,
	    "4.7.5", "");
	prospect->host.skipped_result = why->result;
	skip(planner, prospect, why->clause, text);
}

void prospect_skip_for_good(struct planner *planner,
    struct prospect *prospect, const char *format, ...)
{
	char text[STATUS_TEXT_MAX];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	status_set(&prospect->host.skipped, STATUS_FAILED, REASON_REQUIRETLS,
	    "5.7.10", "");
	prospect->host.skipped_result = RESULT_VALIDATION_FAILURE;
	skip(planner, prospect, CLAUSE_REQUIRETLS, text);
}

/* What fails on the way to addresses is a matter of reaching the host, what
 * fails on the way to TLSA records one of its TLS. */
void prospect_skip_lookup(struct planner *planner, struct prospect *prospect,
    const struct fact *fact)
{
	struct plan_host *host = &prospect->host;
	bool address = fact->query.type == QUERY_A ||
	    fact->query.type == QUERY_AAAA;

	host->skip = true;
	host->skipped_result = RESULT_DNSSEC_INVALID;
	prospect->dane_unknown = true;
	status_print(&host->skipped, STATUS_DEFERRED, error_reason(fact),
	    address ? "4.4.3" : "4.7.5",
	    "%s is not used: looking up %s %s: %s%s%s (%s)", host->name,
	    query_type_name(fact->query.type), fact->query.name,
	    error_text(fact), fact->reason[0] == '\0' ? "" : ": ",
	    fact->reason, CLAUSE_LOOKUP_ERROR);
	snprintf(host->reason, sizeof(host->reason),
	    "%s: the lookup of %s %.80s failed", CLAUSE_LOOKUP_ERROR,
	    query_type_name(fact->query.type), fact->query.name);
	add_note(planner, host->name, CLAUSE_LOOKUP_ERROR,
	    host->skipped.text);
}

/* --- ends without a host --- */

enum step planner_end_error(struct planner *planner, const struct fact *fact)
{
	struct status *status = &planner->plan->status;

	status_print(status, STATUS_DEFERRED, error_reason(fact), "4.4.3",
	    "looking up %s %s: %s%s%s", query_type_name(fact->query.type),
	    fact->query.name, error_text(fact),
	    fact->reason[0] == '\0' ? "" : ": ", fact->reason);
	add_note(planner, planner->name, CLAUSE_LOOKUP_ERROR, status->text);
	return STEP_DONE;
}

enum step planner_end_deferred(struct planner *planner, const char *clause,
    const char *text)
{
	struct status *status = &planner->plan->status;

	status_print(status, STATUS_DEFERRED, REASON_POLICY, "4.7.5",
	    "%s: %s (%s)", planner->name, text, clause);
	add_note(planner, planner->name, clause, status->text);
	return STEP_DONE;
}

/* A policy in force says that the domain takes mail. What the DNS says to the
 * contrary may be forged, so it is no reason to give mail back (RFC 8461 5;
 * DANE-26). */
static bool contradicts_policy(struct planner *planner,
    const struct fact *cached, const char *text)
{
	const struct fact_sts *policy = fact_policy(cached);
	struct status *status = &planner->plan->status;

	if (policy == NULL || policy->policy.mode != STS_MODE_ENFORCE)
		return false;
	status_print(status, STATUS_DEFERRED, REASON_POLICY, "4.7.5",
	    "%s: %s, against its MTA-STS policy in force (%s)", planner->name,
	    text, CLAUSE_STS);
	planner_alarm(planner, "%.100s: %s, against its MTA-STS policy in "
	    "force: mail waits", planner->name, text);
	add_note(planner, planner->name, CLAUSE_STS, status->text);
	return true;
}

enum step planner_end_failed(struct planner *planner,
    enum status_reason reason, const char *enhanced, const char *text)
{
	struct status *status = &planner->plan->status;
	const struct fact *cached;

	/* Whatever the level is: it says which TLS is asked for, and the policy
	 * that there is somebody to take mail. */
	if (planner->path != PATH_ADDRESS) {
		cached = planner_want(planner, QUERY_STS_CACHED,
		    planner->name);
		if (cached == NULL)
			return STEP_NEED;
		if (contradicts_policy(planner, cached, text))
			return STEP_DONE;
	}
	status_print(status, STATUS_FAILED, reason, enhanced, "%s: %s",
	    planner->facts->domain, text);
	add_note(planner, planner->name, "RFC 5321 5.1", status->text);
	return STEP_DONE;
}
