/* SPDX-License-Identifier: ISC */
/*
 * The sentences of the delivery and mailbox roles. One line per recipient and
 * attempt:
 *
 *	m=7c31 delivery relayed r=b@example.net
 *	    relay=mx1.example.net[192.0.2.7]:25 tls=dane why="..."
 *	    status=2.0.0 reply="ok"
 *
 * tls= is what the connection was worth: dane, half-dane, sts, verified,
 * secure, encrypted, opportunistic or none (client_tls_name()); why= is the
 * plan's reason for what it asked of the host. requiretls= is what the sender
 * demands (no, yes; REQ-95); keyword=, where it is yes, whether the server
 * offered the extension. By which way the host is known (DNSSEC, MTA-STS) is in
 * why=, and what the certificate was checked with is tls= itself.
 */
#ifndef POSTERN_DELIVERY_DELIVERY_LOG_H
#define POSTERN_DELIVERY_DELIVERY_LOG_H

#include <stdbool.h>

#include "delivery/symptom.h"

struct client;
struct endpoint;
struct job;
struct job_recipient;
struct plan_host;
struct status;

/* Where a recipient's mail went, or was to go. */
struct delivery_log_relay {
	char		 place[400];	/* "host[addr]:port"; may be empty */
	const char	*tls;		/* client_tls_name(), or "none" */
	char		 why[160];	/* of the plan; may be empty */
	bool		 keyword;	/* REQUIRETLS was offered, under TLS */
};
void	 delivery_log_relay(struct delivery_log_relay *relay,
	    const struct client *client, const char *why);

void	 delivery_log_verdict(const struct job *job,
	    const struct job_recipient *recipient,
	    const struct status *status,
	    const struct delivery_log_relay *relay);
/* A host that the plan leaves out, and why; it is the relay from here on. */
void	 delivery_log_skipped(const struct job *job,
	    const struct plan_host *host, struct delivery_log_relay *relay);
/* A host did not show TLS, at warning (TLS-55 to TLS-62). */
void	 delivery_log_symptom(const struct client *client,
	    enum symptom symptom, const char *seen);
/* DANE was enough, and the MTA-STS policy would not have been met (DANE-139). */
void	 delivery_log_noted(const struct client *client, const char *seen);
/* What would be better than what is required, and was tried (mode testing,
 * TLS-Required: No, an override): whether it was met. At debug. */
void	 delivery_log_ideal(const struct client *client);
/* Memory knows TLS of this host, and mail goes in clear (memory = warn). */
void	 delivery_log_downgrade(const struct client *client);
/* A notification about a REQUIRETLS message that no host takes so is given up
 * (requiretls-bounce = drop). */
void	 delivery_log_dropped(const struct job *job,
	    const struct status *status);
/* Mail goes in clear on a new connection because TLS broke (TLS-65). */
void	 delivery_log_clear(const struct job *job,
	    const struct plan_host *host, const struct endpoint *address,
	    enum symptom symptom);

#endif
