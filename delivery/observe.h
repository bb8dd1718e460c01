/* SPDX-License-Identifier: ISC */
/*
 * What delivery tells policy (policy/observation.h): one observation for each
 * connection that came to something, and one for each host that the plan left
 * out. Nothing comes back and nothing here changes where mail goes.
 *
 * Judged is what was published (TLSA records, an MTA-STS policy) where it was
 * tried, whether it bound or was the ideal; then what is required otherwise;
 * then only whether there was TLS.
 */
#ifndef POSTERN_DELIVERY_OBSERVE_H
#define POSTERN_DELIVERY_OBSERVE_H

struct client;
struct client_need;
struct plan;
struct plan_host;
struct policy_client;

void	 observe_skipped(struct policy_client *policy,
	    const struct plan *plan, const struct plan_host *host);
/* At CLIENT_READY of a new connection. */
void	 observe_ready(struct policy_client *policy,
	    const struct client_need *need, const struct client *client);
/* At CLIENT_FAILED. A host that never said a word is not worth one: that
 * nobody could connect is no matter of TLS (RPT-25). */
void	 observe_failed(struct policy_client *policy,
	    const struct client_need *need, const struct client *client);

#endif
