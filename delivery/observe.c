/* SPDX-License-Identifier: ISC */
/*
 * Making observations; see observe.h. The results are those of reports
 * (RFC 8460 4.3).
 */
#include "delivery/observe.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/status.h"
#include "base/tls.h"
#include "delivery/client.h"
#include "delivery/symptom.h"
#include "policy/client.h"
#include "policy/observation.h"
#include "policy/plan.h"

/* RPT-47: there is no result type of its own for it. */
static const char not_in_policy[] = "sts-mx-mismatch";

/* What a session is measured by. */
struct measure {
	enum requirement	 requirement;
	enum plan_source	 source;
	bool			 is_ideal;
};

static bool is_published(enum plan_source source)
{
	return source == SOURCE_DANE || source == SOURCE_HALF_DANE ||
	    source == SOURCE_STS;
}

/* What is published goes first: it is what reports are about, and what an
 * override is to be told of (REQ-62). */
static struct measure measure_of(const struct plan_host *host)
{
	if (!is_published(host->source) && is_published(host->ideal_source))
		return (struct measure){ host->ideal, host->ideal_source,
		    true };
	return (struct measure){ host->requirement, host->source, false };
}

/* A certificate that is not the one: RPT-36 to RPT-40, RPT-48. */
static enum tls_result result_of(enum tls_verdict verdict,
    enum plan_source source)
{
	switch (verdict) {
	case TLS_VERDICT_NAME: return RESULT_CERTIFICATE_HOST_MISMATCH;
	case TLS_VERDICT_EXPIRED: return RESULT_CERTIFICATE_EXPIRED;
	case TLS_VERDICT_UNTRUSTED: return RESULT_CERTIFICATE_NOT_TRUSTED;
	case TLS_VERDICT_NO_MATCH:
		return is_published(source) ? RESULT_TLSA_INVALID :
		    RESULT_VALIDATION_FAILURE;
	case TLS_VERDICT_NONE:
	case TLS_VERDICT_OTHER: return RESULT_VALIDATION_FAILURE;
	default: bug("observe-verdict");
	}
}

static void set_result(struct observation *observation,
    enum tls_result result, const char *reason)
{
	observation->result = result;
	snprintf(observation->reason, sizeof(observation->reason), "%.159s",
	    reason);
}

/* The handshake went through, and nothing that binds is amiss. */
static void judge_secure(struct observation *observation,
    const struct plan_host *host, const struct client_seen *seen)
{
	struct measure measure = measure_of(host);

	if (host->sts_mismatch)
		set_result(observation, RESULT_VALIDATION_FAILURE,
		    not_in_policy);
	else if (measure.requirement == REQUIRE_ENCRYPTED &&
	    is_published(measure.source) && measure.source != SOURCE_STS)
		set_result(observation, RESULT_TLSA_INVALID,
		    "no TLSA record can be used");
	else if (measure.is_ideal && seen->ideal && !seen->verified)
		set_result(observation, result_of(seen->verdict,
		    measure.source), seen->problem);
	else
		observation->result = RESULT_SUCCESS;
}

static void judge_symptom(struct observation *observation,
    const struct client_seen *seen, enum plan_source source)
{
	if (seen->symptom == SYMPTOM_CERTIFICATE)
		set_result(observation, result_of(seen->verdict, source),
		    seen->problem);
	else
		set_result(observation, symptom_result(seen->symptom),
		    seen->detail[0] != '\0' ? seen->detail :
		    symptom_text(seen->symptom));
}

/* Ready, in clear: TLS was not there, or it broke on the connection before
 * this one, or nobody wants it here. */
static void judge_clear(struct observation *observation,
    const struct plan_host *host, const struct client_seen *seen)
{
	struct measure measure = measure_of(host);

	if (seen->symptom != SYMPTOM_NONE)
		judge_symptom(observation, seen, measure.source);
	else if (is_published(measure.source))
		set_result(observation, RESULT_VALIDATION_FAILURE,
		    "STARTTLS is not used: an administrator's decision");
	else
		observation->result = RESULT_SUCCESS;
}

static void judge_failed(struct observation *observation,
    const struct plan_host *host, const struct client *client)
{
	const struct client_seen *seen = client_seen(client);
	const struct client_failure *failure = client_failure(client);

	if (failure->symptom == SYMPTOM_NO_REQUIRETLS) {
		judge_secure(observation, host, seen);
		if (observation->result == RESULT_SUCCESS)
			set_result(observation, RESULT_SUCCESS,
			    symptom_text(failure->symptom));
	} else if (failure->symptom != SYMPTOM_NONE) {
		judge_symptom(observation, seen, host->source);
	} else if (client_is_secure(client)) {
		judge_secure(observation, host, seen);
	} else {
		set_result(observation, RESULT_VALIDATION_FAILURE,
		    failure->status.text);
	}
}

static void begin(struct observation *observation, const struct plan *plan,
    const struct plan_host *host)
{
	memset(observation, 0, sizeof(*observation));
	snprintf(observation->domain, sizeof(observation->domain), "%s",
	    plan->next_hop);
	snprintf(observation->host, sizeof(observation->host), "%s",
	    host->name);
	observation->address.address.any.sa_family = AF_UNSPEC;
	observation->wish = plan->wish;
	observation->requirement = host->requirement;
	observation->source = host->source;
	observation->ideal_source = host->ideal_source;
	observation->expects_tls = host->expects_tls;
	observation->tlsa_digest = host->tlsa_digest;
	snprintf(observation->tlsa_domain, sizeof(observation->tlsa_domain),
	    "%s", host->tlsa_domain);
	observation->sts_digest = plan->sts_digest;
}

static void describe(struct observation *observation,
    const struct client_need *need, const struct client *client)
{
	const struct client_seen *seen = client_seen(client);

	begin(observation, need->plan, need->host);
	observation->address = *client_address(client);
	if (seen->symptom != SYMPTOM_NONE)
		snprintf(observation->symptom, sizeof(observation->symptom),
		    "%s", symptom_name(seen->symptom));
	memcpy(observation->keywords, seen->keywords,
	    sizeof(observation->keywords));
	memcpy(observation->reply, seen->reply, sizeof(observation->reply));
	memcpy(observation->version, seen->version,
	    sizeof(observation->version));
	memcpy(observation->cipher, seen->cipher,
	    sizeof(observation->cipher));
	observation->web = seen->web;
	memcpy(observation->chain, seen->chain, sizeof(observation->chain));
	observation->chain_count = seen->chain_count;
}

void observe_skipped(struct policy_client *policy, const struct plan *plan,
    const struct plan_host *host)
{
	struct observation observation;

	begin(&observation, plan, host);
	observation.stage = OBSERVED_SKIPPED;
	set_result(&observation, host->skipped_result,
	    host->skipped.reason == REASON_STS_MX ? not_in_policy :
	    host->skipped.text);
	policy_observe(policy, &observation);
}

void observe_ready(struct policy_client *policy,
    const struct client_need *need, const struct client *client)
{
	struct observation observation;

	describe(&observation, need, client);
	if (client_is_secure(client)) {
		observation.stage = OBSERVED_SECURED;
		judge_secure(&observation, need->host, client_seen(client));
	} else {
		observation.stage = OBSERVED_CLEAR;
		judge_clear(&observation, need->host, client_seen(client));
	}
	policy_observe(policy, &observation);
}

void observe_failed(struct policy_client *policy,
    const struct client_need *need, const struct client *client)
{
	const struct client_failure *failure = client_failure(client);
	struct observation observation;

	if (failure->symptom == SYMPTOM_NONE && !failure->answered)
		return;
	describe(&observation, need, client);
	observation.stage = OBSERVED_FAILED;
	judge_failed(&observation, need->host, client);
	policy_observe(policy, &observation);
}
