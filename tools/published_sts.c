/* SPDX-License-Identifier: ISC */
/*
 * The policy of a domain of ours as a sender meets it (RFC 8461): the TXT
 * record, the policy that is served, the MX records and what the mail hosts
 * show. Each is compared with the configuration.
 */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/arena.h"
#include "base/mem.h"
#include "base/tls_certificate.h"
#include "conf/sts.h"
#include "policy/dane.h"
#include "policy/sts_policy.h"
#include "tools/outside.h"
#include "tools/published.h"

enum { POLICY_ARENA = 1 << 20, TLSA_MAX = 64, HTTPS = 443, SMTP = 25 };

/* What is being looked at. */
struct look {
	struct outside			*outside;
	const struct conf_domain	*domain;
	struct findings			*findings;
	char				*text;	/* owned; in force */
	char				 id[CONF_STS_ID_MAX + 1];
};

/* --- the record --- */

static void check_txt(const struct look *look)
{
	char name[300], id[STS_ID_MAX + 1], why[120];
	const struct dns_answer *answer;

	snprintf(name, sizeof(name), "_mta-sts.%s", look->domain->name);
	answer = outside_lookup(look->outside, name, DNS_TXT);
	if (answer->result == FACT_NODATA || answer->result == FACT_NXDOMAIN)
		findings_add(look->findings, FINDING_PROBLEM, "txt",
		    "there is no TXT record at %s, so nobody looks for the "
		    "policy; publish \"v=STSv1; id=%s;\"", name, look->id);
	else if (answer->result != FACT_DATA)
		findings_add(look->findings, FINDING_PROBLEM, "txt",
		    "the TXT record at %s cannot be looked up: %s", name,
		    answer->reason);
	else if (sts_read_txt((const char *const *)answer->texts,
	    answer->text_lengths, answer->count, id, why, sizeof(why)) == -1)
		findings_add(look->findings, FINDING_PROBLEM, "txt",
		    "the TXT record at %s is not valid: %s; publish "
		    "\"v=STSv1; id=%s;\"", name, why, look->id);
	else if (strcmp(id, look->id) != 0)
		findings_add(look->findings, FINDING_PROBLEM, "txt",
		    "the TXT record at %s has the id %s, and the policy in "
		    "force is %s: who remembers another one does not look "
		    "again; publish \"v=STSv1; id=%s;\"", name, id, look->id,
		    look->id);
	else
		findings_add(look->findings, FINDING_OK, "txt", "%s has the "
		    "id of the policy in force, %s", name, id);
}

/* --- the policy --- */

/* The port where policies are asked for: 443, unless our own listener is on
 * another one and something in front of it forwards. */
static const struct conf_listener *listener_of(const struct conf *conf,
    enum conf_service service, uint16_t usual)
{
	const struct conf_listener *found = NULL;

	for (size_t i = 0; i < conf->listener_count; i++) {
		const struct conf_listener *one = &conf->listeners[i];

		if (one->service != service || one->socket[0] != '\0')
			continue;
		if (one->port == usual)
			return one;
		if (found == NULL)
			found = one;
	}
	return found;
}

static uint16_t port_of(const struct conf *conf, enum conf_service service,
    uint16_t usual)
{
	const struct conf_listener *one = listener_of(conf, service, usual);

	return one == NULL ? usual : (uint16_t)one->port;
}

/* One sentence for people about what was served instead. */
static void compare_policy(const struct look *look,
    const struct fetch_answer *answer)
{
	struct arena *arena = arena_new(POLICY_ARENA);
	struct sts_policy policy;
	char why[160], id[CONF_STS_ID_MAX + 1];

	if (sts_read_policy(answer->body, answer->length, arena, &policy,
	    why, sizeof(why)) == -1) {
		findings_add(look->findings, FINDING_PROBLEM, "policy",
		    "what mta-sts.%s serves is no policy: %s",
		    look->domain->name, why);
	} else if (strcmp(answer->body, look->text) != 0) {
		conf_sts_id(answer->body, id);
		findings_add(look->findings, FINDING_PROBLEM, "policy",
		    "mta-sts.%s serves another policy (id %s, mode %s) than "
		    "the configuration means (id %s); reload the server that "
		    "answers there, or give it what `postern sts show %s` "
		    "prints", look->domain->name, id,
		    sts_mode_name(policy.mode), look->id, look->domain->name);
	} else {
		findings_add(look->findings, FINDING_OK, "policy",
		    "https://mta-sts.%s/.well-known/mta-sts.txt serves the "
		    "policy in force, mode %s", look->domain->name,
		    sts_mode_name(policy.mode));
	}
	arena_free(arena);
}

static void check_policy(const struct look *look)
{
	uint16_t port = port_of(look->outside->conf, SERVICE_MTA_STS, HTTPS);
	struct fetch_answer answer = { 0 };

	if (port != HTTPS)
		findings_add(look->findings, FINDING_NOTE, "policy",
		    "the listener of policies is on port %u, which is asked "
		    "here; everybody else asks port 443", port);
	outside_fetch(look->outside, look->domain->name, port, &answer);
	if (answer.result == FETCH_BODY)
		compare_policy(look, &answer);
	else
		findings_add(look->findings, FINDING_PROBLEM, "policy",
		    "the policy cannot be fetched: %s%s%s%s", answer.problem,
		    answer.result == FETCH_OURS ? "" : " (",
		    answer.result == FETCH_OURS ? "" :
		    fetch_result_name(answer.result),
		    answer.result == FETCH_OURS ? "" : ")");
}

/* --- mail hosts --- */

/* Chains as they are configured, for the time that it cannot be seen. */
static void check_own_chains(const struct look *look, const char *host,
    bool reached)
{
	const struct outside *outside = look->outside;
	char why[160];

	if (!published_covers(outside->conf, outside->chains, SERVICE_SMTP,
	    host)) {
		findings_add(look->findings, FINDING_PROBLEM, "certificate",
		    "no certificate that is shown to those who send mail is "
		    "for %s", host);
		return;
	}
	for (size_t i = 0; i < outside->conf->certificate_count; i++) {
		const char *name = outside->conf->certificates[i].name;

		if (!published_is_used(outside->conf, outside->chains,
		    SERVICE_SMTP, host, i))
			continue;
		if (tls_certificate_verify(outside->chains[i],
		    outside->trust_pem, host, why, sizeof(why)) == -1)
			findings_add(look->findings, FINDING_PROBLEM,
			    "certificate", "certificate %s: senders would not "
			    "believe it for %s: %s", name, host, why);
		else if (!reached)
			findings_add(look->findings, FINDING_OK,
			    "certificate", "certificate %s, as configured, "
			    "is valid for %s", name, host);
	}
}

/* Those that bind a sender; how many. */
static size_t usable_tlsa(const struct look *look, const char *host,
    uint16_t port, struct tls_tlsa *out)
{
	const struct dns_answer *answer;
	size_t count = 0;
	char name[300];

	snprintf(name, sizeof(name), "_%u._tcp.%s", port, host);
	answer = outside_lookup(look->outside, name, DNS_TLSA);
	for (size_t i = 0; answer->result == FACT_DATA && answer->secure &&
	    i < answer->count && count < TLSA_MAX; i++) {
		const struct dane_record *one = &answer->tlsa[i];

		if (dane_is_usable(one, NULL, 0))
			out[count++] = (struct tls_tlsa){ one->usage,
			    one->selector, one->matching, one->data,
			    one->length };
	}
	return count;
}

static void check_shown(const struct look *look, const char *host,
    bool bound, const struct outside_smtp *shown)
{
	if (!shown->reached)
		findings_add(look->findings, FINDING_PROBLEM, "certificate",
		    "%s%s%s does not show a certificate: %s", host,
		    shown->address[0] != '\0' ? " at " : "", shown->address,
		    shown->problem);
	else if (!shown->trusted)
		findings_add(look->findings, FINDING_PROBLEM, "certificate",
		    "%s at %s shows a certificate that senders would not "
		    "believe: %s", host, shown->address, shown->problem);
	else
		findings_add(look->findings, FINDING_OK, "certificate",
		    "%s at %s shows a valid certificate", host,
		    shown->address);
	if (shown->reached && bound)
		findings_add(look->findings, shown->matched ? FINDING_OK :
		    FINDING_PROBLEM, "tlsa", "%s at %s %s", host,
		    shown->address, shown->matched ?
		    "shows what its TLSA records say" :
		    "shows nothing that its TLSA records allow");
}

static void check_host(const struct look *look, const char *host)
{
	const struct conf *conf = look->outside->conf;
	bool own = strcasecmp(host, conf->hostname) == 0;
	const struct conf_listener *listener = listener_of(conf, SERVICE_SMTP,
	    SMTP);
	uint16_t port = own ? port_of(conf, SERVICE_SMTP, SMTP) : SMTP;
	struct tls_tlsa tlsa[TLSA_MAX];
	size_t count = usable_tlsa(look, host, port, tlsa);
	struct outside_smtp shown;

	if (!conf_sts_names(look->domain, host))
		findings_add(look->findings, FINDING_PROBLEM, "mx",
		    "%s is a mail host of %s and not in mta-sts-mx: senders "
		    "would not use it; add it", host, look->domain->name);
	else
		findings_add(look->findings, FINDING_OK, "mx", "%s is in "
		    "the policy", host);
	outside_smtp(look->outside, host, port, tlsa, count, &shown);
	if (own)
		check_own_chains(look, host, shown.reached);
	if (own && !shown.reached && shown.address[0] != '\0')
		findings_add(look->findings, FINDING_NOTE, "certificate",
		    "%s at %s, port %u, is not to be reached from here: %s",
		    host, shown.address, port, shown.problem);
	else
		check_shown(look, host, count > 0, &shown);
	if (own && listener != NULL)
		published_check_tlsa(look->outside, listener, look->findings);
}

/* What the policy names that the DNS does not. */
static void check_unused(const struct look *look,
    const struct dns_answer *answer)
{
	const struct conf_texts *names = &look->domain->sts_mx;

	for (size_t i = 0; i < names->count; i++) {
		bool found = names->items[i][0] == '*';

		if (found)
			findings_add(look->findings, FINDING_NOTE, "mx",
			    "%s in mta-sts-mx also allows hosts that are not "
			    "yours, if there are any below that name",
			    names->items[i]);
		for (size_t k = 0; k < answer->count; k++)
			found = found || strcasecmp(names->items[i],
			    answer->mx[k].host) == 0;
		if (!found)
			findings_add(look->findings, FINDING_NOTE, "mx",
			    "%s is in mta-sts-mx and no MX record of %s names "
			    "it", names->items[i], look->domain->name);
	}
}

static void check_mx(const struct look *look)
{
	const char *domain = look->domain->name;
	const struct dns_answer *answer = outside_lookup(look->outside,
	    domain, DNS_MX);

	if (answer->result == FACT_NODATA) {
		findings_add(look->findings, FINDING_NOTE, "mx", "%s has no "
		    "MX record, so it is its own mail host", domain);
		check_host(look, domain);
		return;
	}
	if (answer->result != FACT_DATA) {
		findings_add(look->findings, FINDING_PROBLEM, "mx",
		    "the MX records of %s cannot be looked up: %s", domain,
		    answer->result == FACT_NXDOMAIN ?
		    "there is no such name" : answer->reason);
		return;
	}
	for (size_t i = 0; i < answer->count; i++)
		if (answer->mx[i].host[0] != '\0')
			check_host(look, answer->mx[i].host);
		else
			findings_add(look->findings, FINDING_PROBLEM, "mx",
			    "%s has the MX record \".\": it takes no mail",
			    domain);
	check_unused(look, answer);
}

void published_check_sts(struct outside *outside,
    const struct conf_domain *domain, const struct sts_approvals *approvals,
    struct findings *findings)
{
	enum sts_force how;
	struct look look = {
		.outside = outside,
		.domain = domain,
		.findings = findings,
		.text = conf_sts_in_force(domain, approvals, &how),
	};

	if (look.text == NULL)
		return;
	conf_sts_id(look.text, look.id);
	check_txt(&look);
	check_policy(&look);
	/* A policy that is taken back asks nothing of anybody. */
	if (domain->sts != STS_PUBLISH_WITHDRAW)
		check_mx(&look);
	mem_free(look.text);
}
