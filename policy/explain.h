/* SPDX-License-Identifier: ISC */
/*
 * A finished plan with its facts and notes as JSON: what `postern policy
 * explain` prints. The plan was made by the same machine that delivery's plans
 * come from; nothing is decided here. Shape in postern-policy(8).
 */
#ifndef POSTERN_POLICY_EXPLAIN_H
#define POSTERN_POLICY_EXPLAIN_H

#include <jansson.h>
#include <stdbool.h>

struct conf_next_hop;
struct plan;
struct plan_facts;

/* {"domain", "level", "destination" (the pattern that gave the level),
 * "wish", "message-level", "exception": {"id", "level", "pattern", "reason"},
 * "pin": {"domain", "level", "fingerprints", "reason", "author", "made"},
 * "next-hop": {...}, "route": {"pattern", "transport", "level" (when it has one
 * of its own: "destination" is its pattern then), "socket", "credentials" (the
 * file), "certificate" (the section)}, "waited", "facts": [{"query", "name",
 * "result", "dnssec": "secure"|"insecure"|"bogus"|"error", "ttl" (these two not of what is
 * remembered), "data": [...], "alias", "reason"}], "decisions": [{"subject",
 * "clause", "text"}], "hosts": [{"name", "preference", "addresses", "skip",
 * "skipped", "skipped-result", "requirement", "source", "ideal",
 * "ideal-source", "sts-mismatch", "expects-tls", "requiretls", "names",
 * "tlsa", "tlsa-domain", "also-name", "sni", "reason"}], "no-starttls",
 * "broken-tls", "fingerprints", "vanished": ["dane", "sts"], "ttl", "status":
 * {...} when no host can be tried, "alarm"}. What is empty may be missing. The
 * caller owns it. */
json_t	*explain_plan(const struct plan_facts *facts, const struct plan *plan);
/* Does it leave by a connection that a plan is made for? */
bool	 explain_has_plan(const struct conf_next_hop *next);
/* What has none: {"domain", "transport", "route"}. */
json_t	*explain_without_plan(const char *domain,
	    const struct conf_next_hop *next);

#endif
