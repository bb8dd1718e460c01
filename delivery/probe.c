/* SPDX-License-Identifier: ISC */
/*
 * The probe: a list of targets in the plan's order, two of them under way,
 * each with a client of its own that is closed as soon as it could say mail.
 * What comes out of order waits for those before it.
 */
#include "delivery/probe.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/digest.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "base/net.h"
#include "base/tls.h"
#include "conf/conf.h"
#include "delivery/client.h"
#include "delivery/profile.h"
#include "policy/plan.h"

enum { AT_ONCE = 2, TARGET_MILLISECONDS = 30000, ALL_MILLISECONDS = 115000 };

struct target {
	struct probe			*probe;
	const struct plan_host		*host;		/* of the plan */
	const struct endpoint		*address;	/* null: skipped */
	struct client_need		 need;
	struct client			*client;	/* owned; under way */
	struct timer			 patience;
	/* What led to another try, in clear. */
	enum symptom			 broken;
	json_t				*report;	/* owned; when done */
};

struct probe {
	struct profile			*profile;	/* shared */
	const struct conf_next_hop	*next;
	const struct plan		*plan;
	struct target			*targets;	/* owned */
	size_t				 count;
	size_t				 begun;		/* of targets */
	size_t				 told;
	unsigned			 running;
	struct timer			 patience;
	probe_report			*report;
	void				*arg;
};

/* --- what was seen --- */

/* A member that is left out when there is nothing to say. */
static void set_text(json_t *object, const char *key, const char *text)
{
	if (text[0] != '\0')
		json_object_set_new(object, key, json_string(text));
}

static void set_digest(json_t *object, const char *key,
    const uint8_t digest[DIGEST_BYTES])
{
	char text[2 * DIGEST_BYTES + 1];

	hex_format(digest, DIGEST_BYTES, text, sizeof(text));
	json_object_set_new(object, key, json_string(text));
}

static json_t *describe_shown(const struct tls_shown *shown)
{
	json_t *object = json_object();

	set_text(object, "subject", shown->subject);
	set_text(object, "issuer", shown->issuer);
	set_text(object, "names", shown->names);
	set_text(object, "not-before", shown->not_before);
	set_text(object, "not-after", shown->not_after);
	set_digest(object, "certificate-sha256", shown->certificate_digest);
	set_digest(object, "key-sha256", shown->key_digest);
	return object;
}

static json_t *describe_tls(const struct tls_facts *facts,
    const struct plan_host *host)
{
	json_t *object = json_object(), *chain = json_array();
	size_t i;

	set_text(object, "version", facts->version);
	set_text(object, "cipher", facts->cipher);
	set_text(object, "group", facts->group);
	set_text(object, "sni", host->sni);
	json_object_set_new(object, "verified",
	    json_boolean(facts->verified));
	set_text(object, "problem", facts->problem);
	set_text(object, "matched-name", facts->matched_name);
	set_text(object, "matched-tlsa", facts->matched_tlsa);
	json_object_set_new(object, "chain-length",
	    json_integer((json_int_t)facts->chain_count));
	for (i = 0; i < facts->chain_count && i < TLS_CHAIN_MAX; i++)
		json_array_append_new(chain,
		    describe_shown(&facts->chain[i]));
	json_object_set_new(object, "chain", chain);
	return object;
}

/* Everything but what came out of it. */
static json_t *describe_target(const struct target *target)
{
	const struct plan_host *host = target->host;
	json_t *object = json_object();
	char address[ENDPOINT_TEXT_MAX];

	set_text(object, "host", host->name);
	if (target->address != NULL) {
		endpoint_format(target->address, address, sizeof(address));
		set_text(object, "address", address);
		json_object_set_new(object, "port",
		    json_integer(endpoint_port(target->address)));
	}
	set_text(object, "requirement", requirement_name(host->requirement));
	set_text(object, "source", plan_source_name(host->source));
	if (host->ideal > host->requirement)
		set_text(object, "ideal", requirement_name(host->ideal));
	set_text(object, "reason", host->reason);
	return object;
}

/* What nobody asks of the connection, and mail could be told of. */
static void describe_more(json_t *object, const struct client *client)
{
	const struct client_seen *seen = client_seen(client);

	if (seen->ideal)
		json_object_set_new(object, "ideal-met",
		    json_boolean(seen->verified));
	json_object_set_new(object, "requiretls",
	    json_boolean(client_takes_requiretls(client)));
}

/* --- the course of it --- */

static void advance(void *arg);

/* The target is done: the verdict, whether mail would go, and why. */
static void conclude(struct target *target, const char *verdict, bool mail,
    const char *text)
{
	json_t *object = describe_target(target);
	enum symptom symptom = target->broken;

	set_text(object, "verdict", verdict);
	json_object_set_new(object, "mail", json_boolean(mail));
	if (symptom != SYMPTOM_NONE)
		set_text(object, "symptom", symptom_name(symptom));
	set_text(object, "text", text);
	if (target->client != NULL && client_facts(target->client) != NULL) {
		describe_more(object, target->client);
		json_object_set_new(object, "tls",
		    describe_tls(client_facts(target->client), target->host));
	}
	target->report = object;
	timer_stop(&target->patience);
	if (target->client == NULL)
		return;
	target->probe->running--;
	loop_undefer(target->probe);
	loop_defer(advance, target->probe);
}

/* As in an attempt, for mail that has not waited yet. */
static bool may_go_clear(const struct target *target,
    enum conf_fallback fallback, int64_t after_seconds)
{
	return target->host->requirement == REQUIRE_OPPORTUNISTIC &&
	    !target->probe->plan->implicit_tls &&
	    (fallback == FALLBACK_CLEAR ||
	    (fallback == FALLBACK_CLEAR_AFTER && after_seconds <= 0));
}

static void on_ready(struct target *target, struct client *client)
{
	const char *verdict = client_tls_name(client);
	bool is_clear = strcmp(verdict, "none") == 0;
	char text[160];

	if (is_clear && target->broken == SYMPTOM_NONE &&
	    target->host->requirement == REQUIRE_OPPORTUNISTIC)
		target->broken = client_capability(client)->starttls_mangled ?
		    SYMPTOM_MANGLED : SYMPTOM_ABSENT;
	if (target->broken != SYMPTOM_NONE)
		snprintf(text, sizeof(text), "mail would go in clear: %s",
		    symptom_text(target->broken));
	else
		snprintf(text, sizeof(text), "mail would go %s",
		    is_clear ? "in clear" : "under TLS");
	conclude(target, verdict, true, text);
	target->client = NULL;
	client_close(client);
}

static void open_client(struct target *target);

static void on_failed(struct target *target, struct client *client)
{
	const struct plan *plan = target->probe->plan;
	const struct client_failure *failure = client_failure(client);

	if (!target->need.clear_only && symptom_is_broken(failure->symptom) &&
	    may_go_clear(target, plan->broken_tls, plan->broken_tls_after)) {
		target->broken = failure->symptom;
		target->need.clear_only = true;
		open_client(target);
		return;
	}
	target->broken = failure->symptom;
	conclude(target, failure->connected ? "refused" : "unreachable", false,
	    failure->status.text);
	target->client = NULL;
}

static void on_client(void *arg, struct client *client,
    enum client_event event)
{
	switch (event) {
	case CLIENT_READY: on_ready(arg, client); break;
	case CLIENT_FAILED: on_failed(arg, client); break;
	default: bug("probe-event");
	}
}

static void open_client(struct target *target)
{
	target->client = client_new(target->probe->profile, &target->need,
	    on_client, target);
}

/* Ends a target that is still open. */
static void give_up(struct target *target, const char *text)
{
	struct client *client = target->client;

	conclude(target, "unreachable", false, text);
	target->client = NULL;
	if (client != NULL)
		client_close(client);
}

static void on_no_patience(void *arg)
{
	give_up(arg, "it took longer than half a minute");
}

static void begin_target(struct target *target)
{
	struct probe *probe = target->probe;
	const struct plan *plan = probe->plan;

	if (target->address == NULL) {
		conclude(target, "skipped", false,
		    target->host->skipped.text);
		return;
	}
	if (!client_may_connect(probe->profile, probe->next->host,
	    target->address)) {
		conclude(target, "unreachable", false,
		    "mail is not sent to such an address");
		return;
	}
	target->need = (struct client_need){
		.plan = plan,
		.host = target->host,
		.address = target->address,
		.host_from_dns = probe->next->mx,
		.clear_if_missing = may_go_clear(target, plan->no_starttls,
		    plan->no_starttls_after),
	};
	identity_make(&target->need.identity, probe->profile,
	    probe->next->route, target->address);
	probe->running++;
	timer_start(&target->patience, TARGET_MILLISECONDS, on_no_patience,
	    target);
	open_client(target);
}

static void probe_free(struct probe *probe)
{
	size_t i;

	loop_undefer(probe);
	timer_stop(&probe->patience);
	for (i = 0; i < probe->count; i++) {
		struct target *target = &probe->targets[i];

		timer_stop(&target->patience);
		if (target->client != NULL)
			client_close(target->client);
		json_decref(target->report);
	}
	profile_release(probe->profile);
	mem_free(probe->targets);
	mem_free(probe);
}

/* Starts what may start, tells what can be told. */
static void advance(void *arg)
{
	struct probe *probe = arg;
	probe_report *report = probe->report;
	void *report_arg = probe->arg;

	while (probe->begun < probe->count && probe->running < AT_ONCE)
		begin_target(&probe->targets[probe->begun++]);
	while (probe->told < probe->begun &&
	    probe->targets[probe->told].report != NULL) {
		struct target *target = &probe->targets[probe->told++];
		json_t *object = target->report;

		target->report = NULL;
		report(report_arg, object);
	}
	if (probe->told < probe->count)
		return;
	probe_free(probe);
	report(report_arg, NULL);
}

static void on_time_up(void *arg)
{
	struct probe *probe = arg;
	size_t i;

	for (i = probe->told; i < probe->count; i++)
		if (probe->targets[i].report == NULL)
			give_up(&probe->targets[i], i < probe->begun ?
			    "no answer in time" :
			    "not tried: other hosts took all the time");
	probe->begun = probe->count;
	advance(probe);
}

static void add_target(struct probe *probe, const struct plan_host *host,
    const struct endpoint *address)
{
	probe->targets[probe->count++] = (struct target){ .probe = probe,
	    .host = host, .address = address };
}

struct probe *probe_start(struct profile *profile,
    const struct conf_next_hop *next, const struct plan *plan,
    probe_report *report, void *arg)
{
	struct probe *probe = mem_alloc(sizeof(*probe));
	size_t i, k, count = 0;

	probe->profile = profile_share(profile);
	probe->next = next;
	probe->plan = plan;
	probe->report = report;
	probe->arg = arg;
	for (i = 0; i < plan->host_count; i++)
		count += 1 + plan->hosts[i].address_count;
	probe->targets = mem_alloc_array(count + 1, sizeof(*probe->targets));
	for (i = 0; i < plan->host_count; i++) {
		const struct plan_host *host = &plan->hosts[i];

		if (host->skip)
			add_target(probe, host, NULL);
		for (k = 0; k < host->address_count && !host->skip; k++)
			add_target(probe, host, &host->addresses[k]);
	}
	timer_start(&probe->patience, ALL_MILLISECONDS, on_time_up, probe);
	loop_defer(advance, probe);
	return probe;
}

void probe_cancel(struct probe *probe)
{
	probe_free(probe);
}
