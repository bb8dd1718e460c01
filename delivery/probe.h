/* SPDX-License-Identifier: ISC */
/*
 * Connects as delivery would, up to but not including MAIL, and says what was
 * shown and what that is worth under the plan: the same client, the same TLS
 * contexts, no mail. For `postern policy probe`.
 */
#ifndef POSTERN_DELIVERY_PROBE_H
#define POSTERN_DELIVERY_PROBE_H

#include <jansson.h>

struct conf_next_hop;
struct plan;
struct probe;
struct profile;

/*
 * One object for each address that was tried and one for each host that the
 * plan skips, in the plan's order; null at the end, after which the probe is
 * void. Takes the reference. Shape in postern-policy(8):
 * {"host", "address", "port", "requirement", "source", "ideal" (what is
 * published beyond that, and does not bind), "ideal-met", "requiretls" (mail
 * that demands it could be said here, RFC 8689), "reason", "verdict",
 * "mail" (whether delivery would say MAIL here), "symptom", "text", "tls":
 * {"version", "cipher", "group", "sni", "verified", "problem", "matched-name",
 * "matched-tlsa", "chain-length", "chain": [{"subject", "issuer", "names",
 * "not-before", "not-after", "certificate-sha256", "key-sha256"}]}}
 * verdict: the word after tls= in the log when mail would go ("dane", "sts",
 * "opportunistic", "none"...), else "refused" or "unreachable" or "skipped".
 * Without an address: skipped. "symptom" and "tls" only where there are any;
 * "ideal-met" and "requiretls" only beside "tls".
 */
typedef void probe_report(void *arg, json_t *object);

/*
 * The plan and the next hop are borrowed until the end; the profile is shared.
 * Reports come from the loop, never before this returns. Every host is probed,
 * two addresses at a time, half a minute each at most; everything is over
 * within two minutes. The mail is taken to have come in just now: what may go
 * in clear only after a while may not.
 */
struct probe	*probe_start(struct profile *profile,
		    const struct conf_next_hop *next, const struct plan *plan,
		    probe_report *report, void *arg);
/* Not from inside a report. */
void		 probe_cancel(struct probe *probe);

#endif
