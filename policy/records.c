/* SPDX-License-Identifier: ISC */
/*
 * The order matters in one place: events compare what was seen with what
 * memory knew before it, so memory is asked first and told last.
 */
#include "policy/records.h"

#include <stdint.h>
#include <string.h>

#include "base/log.h"
#include "conf/conf.h"
#include "policy/event.h"
#include "policy/exception.h"
#include "policy/greylist.h"
#include "policy/ledger.h"
#include "policy/memory.h"
#include "policy/observation.h"
#include "policy/outcome.h"
#include "policy/plan.h"
#include "policy/sts.h"
#include "policy/tls_result.h"

void records_init(struct records *records, const char *directory,
    void (*changed)(void *arg, const char *pattern), void *arg)
{
	records->ledger = ledger_new(directory);
	records->memory = memory_new(records->ledger, changed, arg);
	records->exceptions = exceptions_new(records->ledger, changed, arg);
	records->events = events_new(records->ledger);
	records->outcomes = outcomes_new(records->ledger);
	records->greylist = greylist_new(records->ledger);
}

void records_release(struct records *records)
{
	if (records->ledger == NULL)
		return;
	greylist_free(records->greylist);
	outcomes_free(records->outcomes);
	events_free(records->events);
	exceptions_free(records->exceptions);
	memory_free(records->memory);
	ledger_free(records->ledger);
}

static const char *policy_text(void *arg, const char *domain, const char *id,
    size_t *length)
{
	return sts_text(arg, domain, id, length);
}

void records_configure(struct records *records, const struct conf *conf,
    struct sts *sts)
{
	memory_configure(records->memory, conf);
	greylist_configure(records->greylist, conf);
	outcomes_set_source(records->outcomes, policy_text, sts);
}

void records_open(struct records *records)
{
	ledger_open(records->ledger);
}

/* Did memory expect TLS here: of the host, or of any host of the destination
 * that is not known to have none? */
static bool expected_tls(const struct fact_memory *host,
    const struct fact_memory *destination)
{
	return host->expects_tls || (destination->expects_tls &&
	    !host->known_clear);
}

/* A chain that held: the host's own; a host that was never seen is measured by
 * what the destination showed. */
static bool expected_chain(const struct fact_memory *host,
    const struct fact_memory *destination)
{
	return host->expects_web || (destination->expects_web &&
	    host->count == 0);
}

void records_observe(struct records *records,
    const struct observation *observation)
{
	struct fact_memory host, destination;

	memory_fact(records->memory, MEMORY_HOST, observation->host, &host);
	memory_fact(records->memory, MEMORY_DESTINATION, observation->domain,
	    &destination);
	events_observe(records->events, observation, expected_tls(&host,
	    &destination), expected_chain(&host, &destination));
	outcomes_observe(records->outcomes, observation);
	memory_observe(records->memory, observation);
}

static void note_exception(struct records *records, const struct plan *plan,
    const struct plan_facts *facts)
{
	const struct plan_exception *exception = facts->exception;

	exceptions_used(records->exceptions, plan->exception);
	log_info("exception-used", log_text("domain", facts->domain),
	    log_number("id", (int64_t)plan->exception),
	    log_text("level", exception == NULL ? NULL :
	    conf_level_name(exception->level)),
	    log_text("reason", exception == NULL ? NULL : exception->reason));
}

void records_plan(struct records *records, const struct plan *plan,
    const struct plan_facts *facts)
{
	if (plan->exception != 0)
		note_exception(records, plan, facts);
	events_plan(records->events, plan);
	outcomes_plan(records->outcomes, plan, facts);
}

void records_fetch_failed(struct records *records, const char *domain,
    const char *result, const char *problem)
{
	enum tls_result type;

	for (type = RESULT_STS_POLICY_FETCH_ERROR; type < TLS_RESULTS; type++)
		if (strcmp(tls_result_name(type), result) == 0)
			outcomes_fetch_failed(records->outcomes, domain, type,
			    problem);
}
