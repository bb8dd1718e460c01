/* SPDX-License-Identifier: ISC */
/*
 * Outcomes: every session's TLS result, counted by UTC day, policy and host, as
 * reports need it (RFC 8460 4): RPT-20 to RPT-32. A policy is its type, its
 * domain, and its very text (policies change within a day). Counters are
 * durable soon (ledger.h), bounded (distinct policies and failures a day; what
 * passes that is counted in one overflow entry), and kept OUTCOME_DAYS days.
 */
#ifndef POSTERN_POLICY_OUTCOME_H
#define POSTERN_POLICY_OUTCOME_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/tls_result.h"

struct ledger;
struct observation;
struct outcomes;
struct plan;
struct plan_facts;

enum { OUTCOME_DAYS = 32, OUTCOME_POLICIES_MAX = 20000,
    OUTCOME_FAILURES_MAX = 64,	/* distinct, of one policy and day */
    /* Policies and failures of all days; the oldest day goes before. */
    OUTCOME_ROWS_MAX = 400000,
    /* Texts of policies that are known, and the length of one; what is longer
     * is cut at a line. */
    OUTCOME_TEXTS_MAX = 40000, OUTCOME_TEXT_MAX = 12 << 10,
    OUTCOME_TEXT_BYTES_MAX = 64 << 20 };

struct outcomes	*outcomes_new(struct ledger *ledger);
void	 outcomes_free(struct outcomes *outcomes);

/* Where the text of an MTA-STS policy is to be had as it was published
 * (RPT-58); where it is not, it is put together from its values. The answer is
 * borrowed until the next call, null: not there. */
void	 outcomes_set_source(struct outcomes *outcomes,
	    const char *(*text)(void *arg, const char *domain, const char *id,
	    size_t *length), void *arg);

/* Learns the texts of the policies that the plan applies, so that sessions can
 * name them by their digests. */
void	 outcomes_plan(struct outcomes *outcomes, const struct plan *plan,
	    const struct plan_facts *facts);
void	 outcomes_observe(struct outcomes *outcomes,
	    const struct observation *observation);
/* A fetch of an MTA-STS policy failed (RPT-43 to RPT-45): a failure of the
 * domain, without a host. */
void	 outcomes_fetch_failed(struct outcomes *outcomes, const char *domain,
	    enum tls_result result, const char *reason);

/* Is it a day, "2026-11-22"? */
bool	 outcomes_is_day(const char *text);
/* One object for each policy, from this one of the day on (0: the first): some
 * of them, few; how many, 0: there are no more. {"day", "domain" (whose
 * reports these are: the recipients'), "policy": {"policy-type":
 * "tlsa"|"sts"|"no-policy-found", "policy-string": [...], "policy-domain",
 * "mx-host": [...]}, "summary": {"total-successful-session-count",
 * "total-failure-session-count"}, "failure-details": [{"result-type",
 * "receiving-mx-hostname", "receiving-ip", "failed-session-count",
 * "failure-reason-code"}]}: the shape of RFC 8460 4.4. What is empty is
 * missing; of a policy that could not be fetched the text is. What was not told
 * apart any more is in one object with "overflow": true and no domain; in a
 * failure without a host where only that policy has too many. The caller owns
 * each. */
size_t	 outcomes_page(struct outcomes *outcomes, const char *day,
	    size_t from, void (*visit)(void *arg, json_t *object), void *arg);

#endif
