/* SPDX-License-Identifier: ISC */
/*
 * Answers that are not the truth: the first lie that fits a question rules,
 * and without one what stands in place of the truth.
 */
#include "tools/lab/answer_private.h"

#include "base/log.h"

/* The name is the lie's, or below it. */
static bool is_it(const struct zone_lie *lie, const ldns_rdf *name,
    const ldns_rdf *apex)
{
	bool is_same = ldns_dname_compare(name, lie->name) == 0;

	if (!lie->below)
		return is_same;
	return ldns_dname_is_subdomain(name, lie->name) ||
	    (is_same && ldns_dname_compare(name, apex) == 0);
}

enum lab_dns_answer answer_find_lie(const struct answer *answer,
    const ldns_rdf *name, size_t server)
{
	const struct served_zone *zone = answer->zone;
	const struct zone_lie *lie;
	size_t i;

	for (i = 0; i < zone->lie_count; i++) {
		lie = &zone->lies[i];
		if ((lie->type == LDNS_RR_TYPE_ANY ||
		    lie->type == answer->type) &&
		    (lie->server == 0 || lie->server == server + 1) &&
		    is_it(lie, name, zone->apex))
			return lie->answer;
	}
	return LAB_ANSWER_TRUE;
}

void answer_say_error(struct answer *answer, ldns_pkt_rcode rcode,
    const char *word)
{
	ldns_pkt_set_rcode(answer->packet, (uint8_t)rcode);
	answer->word = word;
}

/* No such name or data, says somebody without the key. */
static void say_forged(struct answer *answer, ldns_pkt_rcode rcode,
    const char *word)
{
	answer->dnssec = false;
	ldns_pkt_set_aa(answer->packet, true);
	answer_say_error(answer, rcode, word);
	answer_push_soa(answer);
}

static void say_other_proof(struct answer *answer, const ldns_rdf *name)
{
	struct denial denial = { 0 };

	denial_of_other(answer->zone, name, &denial);
	ldns_pkt_set_aa(answer->packet, true);
	answer->word = "other-proof";
	answer_push_soa(answer);
	answer_push_denial(answer, &denial);
}

bool answer_lie(struct answer *answer, const ldns_rdf *name,
    enum lab_dns_answer kind, bool is_tcp)
{
	switch (kind) {
	case LAB_ANSWER_SERVFAIL:
		answer_say_error(answer, LDNS_RCODE_SERVFAIL, "servfail");
		return true;
	case LAB_ANSWER_REFUSED:
		answer_say_error(answer, LDNS_RCODE_REFUSED, "refused");
		return true;
	case LAB_ANSWER_FORMERR:
		answer_say_error(answer, LDNS_RCODE_FORMERR, "formerr");
		return true;
	case LAB_ANSWER_NOTIMP:
		answer_say_error(answer, LDNS_RCODE_NOTIMPL, "notimp");
		return true;
	case LAB_ANSWER_NXDOMAIN:
		say_forged(answer, LDNS_RCODE_NXDOMAIN, "forged nxdomain");
		return true;
	case LAB_ANSWER_NODATA:
		say_forged(answer, LDNS_RCODE_NOERROR, "forged nodata");
		return true;
	case LAB_ANSWER_TRUNCATED:
		answer->word = is_tcp ? "silence" : "truncated";
		ldns_pkt_set_tc(answer->packet, true);
		return !is_tcp;
	case LAB_ANSWER_TCP_ONLY:
		answer->word = "truncated";
		ldns_pkt_set_tc(answer->packet, true);
		return true;
	case LAB_ANSWER_SILENCE:
		answer->word = "silence";
		return false;
	case LAB_ANSWER_EMPTY:
		answer->word = "empty";
		ldns_pkt_set_aa(answer->packet, true);
		return true;
	case LAB_ANSWER_OTHER_PROOF:
		say_other_proof(answer, name);
		return true;
	case LAB_ANSWER_TRUE:
	case LAB_ANSWER_LATE:
	case LAB_ANSWER_GARBAGE:
	default:
		bug("lie");
	}
}

static void push_copies(struct answer *answer, const ldns_rr_list *records)
{
	size_t i;

	for (i = 0; i < ldns_rr_list_rr_count(records); i++)
		ldns_pkt_push_rr(answer->packet, LDNS_SECTION_ANSWER,
		    ldns_rr_clone(ldns_rr_list_rr(records, i)));
}

bool answer_substitute(struct answer *answer, const ldns_rdf *name)
{
	const struct zone_substitute *item = answer->zone->substitutes;
	size_t i;

	for (i = 0; i < answer->zone->substitute_count; i++, item++) {
		if ((item->type != LDNS_RR_TYPE_ANY &&
		    item->type != answer->type) ||
		    ldns_dname_compare(item->name, name) != 0)
			continue;
		answer->word = "substitute";
		ldns_pkt_set_aa(answer->packet, true);
		push_copies(answer, item->records);
		if (answer->dnssec)
			push_copies(answer, item->signatures);
		return true;
	}
	return false;
}
