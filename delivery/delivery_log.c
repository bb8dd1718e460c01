/* SPDX-License-Identifier: ISC */
/*
 * What delivery says in the log; see delivery_log.h.
 */
#include "delivery/delivery_log.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/net.h"
#include "base/status.h"
#include "delivery/client.h"
#include "policy/plan.h"
#include "queue/client.h"
#include "queue/envelope.h"

static void set_place(struct delivery_log_relay *relay, const char *name,
    const struct endpoint *endpoint)
{
	char address[ENDPOINT_TEXT_MAX], host[STATUS_HOST_MAX];

	/* A Unix socket is all in the name. */
	if (endpoint->address.any.sa_family == AF_UNIX) {
		snprintf(relay->place, sizeof(relay->place), "%s", name);
		return;
	}
	endpoint_format(endpoint, address, sizeof(address));
	status_format_host(name, address, host, sizeof(host));
	snprintf(relay->place, sizeof(relay->place), "%s:%u", host,
	    (unsigned)endpoint_port(endpoint));
}

void delivery_log_relay(struct delivery_log_relay *relay,
    const struct client *client, const char *why)
{
	set_place(relay, client_host(client), client_address(client));
	relay->tls = client_tls_name(client);
	snprintf(relay->why, sizeof(relay->why), "%s", why);
	relay->keyword = client_is_secure(client) &&
	    client_capability(client)->requiretls;
}

void delivery_log_verdict(const struct job *job,
    const struct job_recipient *recipient, const struct status *status,
    const struct delivery_log_relay *relay)
{
	static const struct log_field end = { .kind = LOG_KIND_END };
	bool demanded = (job->flags & ENVELOPE_REQUIRETLS) != 0;
	char enhanced[16], reply[STATUS_TEXT_MAX + 8];

	status_format_enhanced(status, enhanced, sizeof(enhanced));
	if (status->code != 0)
		snprintf(reply, sizeof(reply), "%u %s",
		    (unsigned)status->code, status->text);
	else
		snprintf(reply, sizeof(reply), "%s", status->text);
	log_write(LOG_LEVEL_INFO, status_outcome_name(status->outcome),
	    (const struct log_field[]){
	    log_message(job->message),
	    log_text("r", recipient->address),
	    log_text("relay", relay->place),
	    log_text("tls", relay->tls == NULL ? "none" : relay->tls),
	    log_text("why", relay->why),
	    log_text("requiretls", demanded ? "yes" : "no"),
	    log_text("status", enhanced),
	    log_text("reason", status_reason_name(status->reason)),
	    log_text("reply", reply),
	    demanded ? log_text("keyword", relay->keyword ? "yes" : "no") :
	    end, end });
}

void delivery_log_skipped(const struct job *job, const struct plan_host *host,
    struct delivery_log_relay *relay)
{
	snprintf(relay->place, sizeof(relay->place), "%s", host->name);
	snprintf(relay->why, sizeof(relay->why), "%s", host->reason);
	relay->tls = "none";
	relay->keyword = false;
	log_warn("host-skipped", log_message(job->message),
	    log_text("host", host->name),
	    log_text("why", host->skipped.text));
}

void delivery_log_symptom(const struct client *client, enum symptom symptom,
    const char *seen)
{
	struct delivery_log_relay relay;

	delivery_log_relay(&relay, client, "");
	log_warn("tls-trouble", log_text("relay", relay.place),
	    log_text("symptom", symptom_name(symptom)),
	    log_text("seen", seen));
}

void delivery_log_noted(const struct client *client, const char *seen)
{
	struct delivery_log_relay relay;

	delivery_log_relay(&relay, client, "");
	log_info("dane-over-sts", log_text("relay", relay.place),
	    log_text("seen", seen));
}

void delivery_log_ideal(const struct client *client)
{
	const struct client_seen *seen = client_seen(client);
	struct delivery_log_relay relay;

	delivery_log_relay(&relay, client, "");
	log_debug("ideal", log_text("relay", relay.place),
	    log_text("met", seen->verified ? "yes" : "no"),
	    log_text("seen", seen->problem));
}

void delivery_log_downgrade(const struct client *client)
{
	struct delivery_log_relay relay;

	delivery_log_relay(&relay, client, "");
	log_warn("downgrade", log_text("relay", relay.place),
	    log_text("expected", "TLS, as always before"),
	    log_text("seen", symptom_text(client_seen(client)->symptom)),
	    log_text("mail", "clear"));
}

void delivery_log_dropped(const struct job *job, const struct status *status)
{
	log_warn("requiretls-notification-dropped", log_message(job->message),
	    log_text("why", status->text));
}

void delivery_log_clear(const struct job *job, const struct plan_host *host,
    const struct endpoint *address, enum symptom symptom)
{
	struct delivery_log_relay relay;

	set_place(&relay, host->name, address);
	log_warn("clear-after-tls-trouble", log_message(job->message),
	    log_text("relay", relay.place),
	    log_text("symptom", symptom_name(symptom)));
}
