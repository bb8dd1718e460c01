/* SPDX-License-Identifier: ISC */
/*
 * RFC 7671 8: of each kind (usage, selector, matching type) that is published
 * there must be a record for each chain that is in use, because a client may
 * look at one kind only.
 */
#include <stdio.h>
#include <string.h>

#include "base/tls_certificate.h"
#include "policy/dane.h"
#include "tools/outside.h"
#include "tools/published.h"

static bool is_same_kind(const struct dane_record *one,
    const struct dane_record *other)
{
	return one->usage == other->usage &&
	    one->selector == other->selector &&
	    one->matching == other->matching;
}

static bool is_first_of_kind(const struct dns_answer *answer, size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (is_same_kind(&answer->tlsa[k], &answer->tlsa[i]))
			return false;
	return true;
}

static bool kind_matches(const struct dns_answer *answer, size_t i,
    const char *chain)
{
	for (size_t k = i; k < answer->count; k++) {
		const struct dane_record *record = &answer->tlsa[k];
		const struct tls_tlsa tlsa = { record->usage,
		    record->selector, record->matching, record->data,
		    record->length };

		if (is_same_kind(record, &answer->tlsa[i]) &&
		    dane_is_usable(record, NULL, 0) &&
		    tls_certificate_matches(chain, &tlsa))
			return true;
	}
	return false;
}

static void check_chain(const struct dns_answer *answer, const char *name,
    const char *certificate, const char *chain, struct findings *findings)
{
	unsigned kinds = 0, matched = 0;

	for (size_t i = 0; i < answer->count; i++) {
		const struct dane_record *record = &answer->tlsa[i];

		if (!is_first_of_kind(answer, i))
			continue;
		kinds++;
		if (kind_matches(answer, i, chain)) {
			matched++;
			continue;
		}
		findings_add(findings, FINDING_PROBLEM, "tlsa", "%s has "
		    "records %u %u %u, but none of them is for certificate "
		    "%s; who looks at them defers mail to us", name,
		    record->usage, record->selector, record->matching,
		    certificate);
	}
	if (kinds > 0 && kinds == matched)
		findings_add(findings, FINDING_OK, "tlsa", "%s has a record "
		    "for certificate %s", name, certificate);
}

void published_check_tlsa(struct outside *outside,
    const struct conf_listener *listener, struct findings *findings)
{
	const struct conf *conf = outside->conf;
	const struct dns_answer *answer;
	char name[300];

	snprintf(name, sizeof(name), "_%u._tcp.%s",
	    (unsigned)listener->port, conf->hostname);
	answer = outside_lookup(outside, name, DNS_TLSA);
	if (answer->result == FACT_NODATA || answer->result == FACT_NXDOMAIN) {
		findings_add(findings, FINDING_NOTE, "tlsa", "%s does not "
		    "exist: senders cannot use DANE", name);
		return;
	}
	if (answer->result != FACT_DATA) {
		findings_add(findings, FINDING_PROBLEM, "tlsa", "%s cannot be "
		    "looked up: %s; senders that use DANE defer mail to us",
		    name, answer->reason);
		return;
	}
	if (!answer->secure)
		findings_add(findings, FINDING_NOTE, "tlsa", "%s is not "
		    "signed, so nobody heeds it", name);
	for (size_t i = 0; i < conf->certificate_count; i++)
		if (published_is_used_at(conf, outside->chains, listener, i))
			check_chain(answer, name, conf->certificates[i].name,
			    outside->chains[i], findings);
}
