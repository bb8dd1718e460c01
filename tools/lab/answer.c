/* SPDX-License-Identifier: ISC */
/*
 * The search goes down from the apex to the name, because a delegation or a
 * DNAME hides what the tree has below it. An alias is followed inside the zone
 * only: the rest is the resolver's work.
 */
#include "tools/lab/answer.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "tools/lab/denial.h"
#include "tools/lab/ldns.h"
#include "tools/lab/zone.h"

enum { HEADER_BYTES = 12, FLAG_QR = 0x80, ALIASES_MAX = 8, SYNTHETIC_TTL = 1 };

/* RFC 6891 9: 16, of which the header holds the low four bits. */
enum { BADVERS_EXTENDED = 1 };

struct answer {
	const struct served_zone	*zone;
	ldns_pkt			*packet;	/* owned */
	ldns_rr_type			 type;
	bool				 dnssec;	/* asked, and shown */
	const char			*word;
};

/* --- records into the packet --- */

/* A copy of the record; owner is another name for it, or null. */
static void push(struct answer *answer, ldns_pkt_section section,
    const ldns_rr *record, const ldns_rdf *owner)
{
	ldns_rr *copy = ldns_rr_clone(record);

	if (owner != NULL) {
		ldns_rdf_deep_free(ldns_rr_owner(copy));
		ldns_rr_set_owner(copy, ldns_rdf_clone(owner));
	}
	ldns_pkt_push_rr(answer->packet, section, copy);
}

static void push_signatures(struct answer *answer, ldns_pkt_section section,
    const ldns_dnssec_rrs *signatures, const ldns_rdf *owner)
{
	for (; answer->dnssec && signatures != NULL;
	    signatures = signatures->next)
		push(answer, section, signatures->rr, owner);
}

static void push_set(struct answer *answer, ldns_pkt_section section,
    const ldns_dnssec_rrsets *set, const ldns_rdf *owner)
{
	const ldns_dnssec_rrs *item;

	for (item = set->rrs; item != NULL; item = item->next)
		push(answer, section, item->rr, owner);
	push_signatures(answer, section, set->signatures, owner);
}

static void push_denial(struct answer *answer, const struct denial *denial)
{
	size_t i;

	for (i = 0; answer->dnssec && i < denial->count; i++) {
		push(answer, LDNS_SECTION_AUTHORITY, denial->items[i]->nsec,
		    NULL);
		push_signatures(answer, LDNS_SECTION_AUTHORITY,
		    denial->items[i]->nsec_signatures, NULL);
	}
}

static void push_soa(struct answer *answer)
{
	push_set(answer, LDNS_SECTION_AUTHORITY, ldns_dnssec_zone_find_rrset(
	    answer->zone->records, answer->zone->apex, LDNS_RR_TYPE_SOA),
	    NULL);
}

/* Addresses of the servers in an NS set, as far as this zone has them. */
static void push_addresses(struct answer *answer,
    const ldns_dnssec_rrsets *servers)
{
	const ldns_dnssec_rrsets *set;
	const ldns_dnssec_rrs *item;

	for (item = servers->rrs; item != NULL; item = item->next) {
		set = ldns_dnssec_zone_find_rrset(answer->zone->records,
		    ldns_rr_rdf(item->rr, 0), LDNS_RR_TYPE_A);
		if (set != NULL)
			push_set(answer, LDNS_SECTION_ADDITIONAL, set, NULL);
	}
}

/* --- looking in the zone --- */

static const ldns_dnssec_name *find(const struct served_zone *zone,
    const ldns_rdf *name)
{
	ldns_rbnode_t *node = ldns_rbtree_search(zone->records->names, name);

	return node != NULL ? node->data : NULL;
}

static bool is_inside(const struct served_zone *zone, const ldns_rdf *name)
{
	return ldns_dname_compare(name, zone->apex) == 0 ||
	    ldns_dname_is_subdomain(name, zone->apex);
}

/* Has records, or names below it: those follow it in canonical order. */
static bool exists(const struct served_zone *zone, const ldns_rdf *name)
{
	ldns_rbnode_t *node;
	const ldns_dnssec_name *next;

	if (ldns_rbtree_find_less_equal(zone->records->names, name, &node))
		return true;
	if (node == NULL)
		return false;
	node = ldns_rbtree_next(node);
	if (node == LDNS_RBTREE_NULL)
		return false;
	next = node->data;
	return ldns_dname_is_subdomain(ldns_dnssec_name_name(next), name);
}

/* Where this zone ends on the way down to the name: a delegation, or a DNAME
 * above it. The DS of a delegation is on this side of it. */
static const ldns_dnssec_name *find_end(const struct answer *answer,
    const ldns_rdf *name)
{
	const struct served_zone *zone = answer->zone;
	int labels = ldns_dname_label_count(name);
	int apex = ldns_dname_label_count(zone->apex), skip;
	const ldns_dnssec_name *found = NULL, *here;
	ldns_rdf *ancestor;

	for (skip = labels - apex; found == NULL && skip >= 0; skip--) {
		ancestor = ldns_dname_clone_from(name, (uint16_t)skip);
		here = find(zone, ancestor);
		ldns_rdf_deep_free(ancestor);
		if (here == NULL)
			continue;
		if (skip > 0 && ldns_dnssec_name_find_rrset(here,
		    LDNS_RR_TYPE_DNAME) != NULL)
			found = here;
		else if (skip < labels - apex && ldns_dnssec_name_find_rrset(
		    here, LDNS_RR_TYPE_NS) != NULL &&
		    (skip > 0 || answer->type != LDNS_RR_TYPE_DS))
			found = here;
	}
	return found;
}

/* The longest ancestor that exists; owned by the caller. */
static ldns_rdf *find_encloser(const struct served_zone *zone,
    const ldns_rdf *name)
{
	ldns_rdf *encloser = ldns_dname_left_chop(name), *longer;

	while (!exists(zone, encloser)) {
		longer = encloser;
		encloser = ldns_dname_left_chop(longer);
		ldns_rdf_deep_free(longer);
	}
	return encloser;
}

/* --- the kinds of answers --- */

static void say_nodata(struct answer *answer, const struct denial *denial)
{
	answer->word = "nodata";
	push_soa(answer);
	push_denial(answer, denial);
}

static void say_referral(struct answer *answer, const ldns_dnssec_name *cut)
{
	const ldns_dnssec_rrsets *servers = ldns_dnssec_name_find_rrset(cut,
	    LDNS_RR_TYPE_NS);
	const ldns_dnssec_rrsets *ds = ldns_dnssec_name_find_rrset(cut,
	    LDNS_RR_TYPE_DS);
	struct denial denial = { 0 };

	/* Behind an alias it is left to the resolver. */
	if (ldns_pkt_ancount(answer->packet) > 0)
		return;
	answer->word = "referral";
	ldns_pkt_set_aa(answer->packet, false);
	push_set(answer, LDNS_SECTION_AUTHORITY, servers, NULL);
	if (ds != NULL) {
		push_set(answer, LDNS_SECTION_AUTHORITY, ds, NULL);
	} else if (answer->dnssec) {
		denial_of_data(answer->zone, ldns_dnssec_name_name(cut),
		    &denial);
		push_denial(answer, &denial);
	}
	push_addresses(answer, servers);
}

/* The alias that a DNAME makes of a name below it (RFC 6672 2.2); its target
 * is the caller's. Null when that would be too long. */
static ldns_rdf *say_dname(struct answer *answer, const ldns_rdf *name,
    const ldns_dnssec_name *above)
{
	const ldns_dnssec_rrsets *set = ldns_dnssec_name_find_rrset(above,
	    LDNS_RR_TYPE_DNAME);
	int keep = ldns_dname_label_count(name) -
	    ldns_dname_label_count(ldns_dnssec_name_name(above)), i;
	ldns_rdf *target = ldns_rdf_clone(ldns_rr_rdf(set->rrs->rr, 0));
	ldns_rdf *label, *longer;
	ldns_rr *alias;

	push_set(answer, LDNS_SECTION_ANSWER, set, NULL);
	for (i = keep - 1; i >= 0 && target != NULL; i--) {
		label = ldns_dname_label(name, (uint8_t)i);
		longer = ldns_dname_cat_clone(label, target);
		ldns_rdf_deep_free(label);
		ldns_rdf_deep_free(target);
		target = longer;
	}
	if (target == NULL || ldns_rdf_size(target) > LDNS_MAX_DOMAINLEN) {
		ldns_rdf_deep_free(target);
		ldns_pkt_set_rcode(answer->packet, LDNS_RCODE_YXDOMAIN);
		return NULL;
	}
	alias = ldns_rr_new();
	ldns_rr_set_owner(alias, ldns_rdf_clone(name));
	ldns_rr_set_ttl(alias, SYNTHETIC_TTL);
	ldns_rr_set_class(alias, LDNS_RR_CLASS_IN);
	ldns_rr_set_type(alias, LDNS_RR_TYPE_CNAME);
	ldns_rr_push_rdf(alias, ldns_rdf_clone(target));
	ldns_pkt_push_rr(answer->packet, LDNS_SECTION_ANSWER, alias);
	return target;
}

static void push_all(struct answer *answer, const ldns_dnssec_name *from,
    const ldns_rdf *owner)
{
	const ldns_dnssec_rrsets *set;

	for (set = from->rrsets; set != NULL; set = set->next)
		push_set(answer, LDNS_SECTION_ANSWER, set, owner);
}

/*
 * The records of the type that a name has, under another name when it is a
 * wildcard (owner not null). True when there were any; an alias is given back
 * in target, owned by the caller.
 */
static bool say_data(struct answer *answer, const ldns_dnssec_name *from,
    const ldns_rdf *owner, ldns_rdf **target)
{
	const ldns_dnssec_rrsets *set = ldns_dnssec_name_find_rrset(from,
	    answer->type);
	const ldns_dnssec_rrsets *alias = ldns_dnssec_name_find_rrset(from,
	    LDNS_RR_TYPE_CNAME);

	answer->word = "data";
	if (answer->type == LDNS_RR_TYPE_ANY && from->rrsets != NULL) {
		push_all(answer, from, owner);
		return true;
	}
	if (set == NULL && alias == NULL)
		return false;
	push_set(answer, LDNS_SECTION_ANSWER, set != NULL ? set : alias,
	    owner);
	if (set == NULL)
		*target = ldns_rdf_clone(ldns_rr_rdf(alias->rrs->rr, 0));
	else if (answer->type == LDNS_RR_TYPE_NS)
		push_addresses(answer, set);
	return true;
}

/* The name has no records of its own. */
static void say_absent(struct answer *answer, const ldns_rdf *name,
    ldns_rdf **target)
{
	const struct served_zone *zone = answer->zone;
	ldns_rdf *encloser = find_encloser(zone, name);
	ldns_rdf *wildcard = ldns_dname_new_frm_str("*");
	const ldns_dnssec_name *found;
	struct denial denial = { 0 };
	bool has_data;

	ldns_dname_cat(wildcard, encloser);
	found = find(zone, wildcard);
	if (found != NULL) {
		has_data = say_data(answer, found, name, target);
		denial_before_wildcard(zone, name, wildcard, !has_data,
		    &denial);
		if (has_data)
			push_denial(answer, &denial);
		else
			say_nodata(answer, &denial);
	} else {
		denial_of_name(zone, name, encloser, &denial);
		say_nodata(answer, &denial);
		answer->word = "nxdomain";
		ldns_pkt_set_rcode(answer->packet, LDNS_RCODE_NXDOMAIN);
	}
	ldns_rdf_deep_free(wildcard);
	ldns_rdf_deep_free(encloser);
}

/* One step of the search; gives the target of an alias, owned by the caller,
 * or null at its end. */
static ldns_rdf *say_name(struct answer *answer, const ldns_rdf *name)
{
	const ldns_dnssec_name *found = find_end(answer, name);
	struct denial denial = { 0 };
	ldns_rdf *target = NULL;

	if (found != NULL) {
		if (ldns_dname_compare(ldns_dnssec_name_name(found), name) !=
		    0 && ldns_dnssec_name_find_rrset(found,
		    LDNS_RR_TYPE_DNAME) != NULL)
			return say_dname(answer, name, found);
		say_referral(answer, found);
		return NULL;
	}
	found = find(answer->zone, name);
	if (found == NULL && !exists(answer->zone, name)) {
		say_absent(answer, name, &target);
	} else if (found == NULL || !say_data(answer, found, NULL, &target)) {
		denial_of_data(answer->zone, name, &denial);
		say_nodata(answer, &denial);
	}
	return target;
}

static void say(struct answer *answer, const ldns_rdf *asked)
{
	ldns_rdf *name = ldns_rdf_clone(asked), *target;
	int steps;

	ldns_pkt_set_aa(answer->packet, true);
	for (steps = 0; name != NULL && is_inside(answer->zone, name) &&
	    steps < ALIASES_MAX; steps++) {
		target = say_name(answer, name);
		ldns_rdf_deep_free(name);
		name = target;
		if (name != NULL)
			ldns_dname2canonical(name);
	}
	ldns_rdf_deep_free(name);
}

/* --- lies --- */

static enum lab_dns_answer find_lie(const struct served_zone *zone,
    const ldns_rdf *name, ldns_rr_type type)
{
	const struct zone_lie *lie;
	bool is_it;
	size_t i;

	for (i = 0; i < zone->lie_count; i++) {
		lie = &zone->lies[i];
		if (lie->type != LDNS_RR_TYPE_ANY && lie->type != type)
			continue;
		is_it = ldns_dname_compare(name, lie->name) == 0;
		if (lie->below)
			is_it = ldns_dname_is_subdomain(name, lie->name) ||
			    (is_it && ldns_dname_compare(name, zone->apex) ==
			    0);
		if (is_it)
			return lie->answer;
	}
	return LAB_ANSWER_TRUE;
}

static void say_error(struct answer *answer, ldns_pkt_rcode rcode,
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
	say_error(answer, rcode, word);
	push_soa(answer);
}

/* False: nothing is to be said at all. */
static bool lie(struct answer *answer, enum lab_dns_answer kind, bool is_tcp)
{
	switch (kind) {
	case LAB_ANSWER_SERVFAIL:
		say_error(answer, LDNS_RCODE_SERVFAIL, "servfail");
		return true;
	case LAB_ANSWER_REFUSED:
		say_error(answer, LDNS_RCODE_REFUSED, "refused");
		return true;
	case LAB_ANSWER_FORMERR:
		say_error(answer, LDNS_RCODE_FORMERR, "formerr");
		return true;
	case LAB_ANSWER_NOTIMP:
		say_error(answer, LDNS_RCODE_NOTIMPL, "notimp");
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
	case LAB_ANSWER_SILENCE:
		answer->word = "silence";
		return false;
	case LAB_ANSWER_TRUE:
	default:
		bug("lie");
	}
}

/* --- packets --- */

static void start(struct answer *answer, const ldns_pkt *query,
    const ldns_rr *question)
{
	answer->packet = ldns_pkt_new();
	ldns_pkt_set_id(answer->packet, ldns_pkt_id(query));
	ldns_pkt_set_opcode(answer->packet, ldns_pkt_get_opcode(query));
	ldns_pkt_set_qr(answer->packet, true);
	ldns_pkt_set_rd(answer->packet, ldns_pkt_rd(query));
	if (question != NULL)
		ldns_pkt_push_rr(answer->packet, LDNS_SECTION_QUESTION,
		    ldns_rr_clone(question));
	if (ldns_pkt_edns(query)) {
		ldns_pkt_set_edns_udp_size(answer->packet, LAB_UDP_MAX);
		ldns_pkt_set_edns_do(answer->packet, ldns_pkt_edns_do(query));
	}
}

static size_t udp_limit(const ldns_pkt *query)
{
	size_t size = ldns_pkt_edns(query) ? ldns_pkt_edns_udp_size(query) : 0;

	return size < LAB_UDP_PLAIN ? LAB_UDP_PLAIN : size > LAB_UDP_MAX ?
	    LAB_UDP_MAX : size;
}

static void encode(struct answer *answer, struct lab_reply *reply)
{
	if (ldns_pkt2wire(&reply->packet, answer->packet, &reply->length) !=
	    LDNS_STATUS_OK)
		fatal("answer not encoded",
		    log_text("zone", answer->zone->name));
}

/* Too long for the client: it is told to come by TCP. */
static void truncate_reply(struct answer *answer, const ldns_pkt *query,
    struct lab_reply *reply)
{
	ldns_pkt_rcode rcode = ldns_pkt_get_rcode(answer->packet);
	bool aa = ldns_pkt_aa(answer->packet);

	lab_reply_release(reply);
	ldns_pkt_free(answer->packet);
	start(answer, query, ldns_rr_list_rr(ldns_pkt_question(query), 0));
	ldns_pkt_set_rcode(answer->packet, (uint8_t)rcode);
	ldns_pkt_set_aa(answer->packet, aa);
	ldns_pkt_set_tc(answer->packet, true);
	encode(answer, reply);
}

static void describe(struct lab_reply *reply, const ldns_rr *question)
{
	char *name = ldns_rdf2str(ldns_rr_owner(question));
	char *type = ldns_rr_type2str(ldns_rr_get_type(question));
	size_t length = name != NULL ? strlen(name) : 0;

	if (length > 1 && name[length - 1] == '.')
		name[length - 1] = '\0';
	snprintf(reply->name, sizeof(reply->name), "%s", name ? name : "");
	snprintf(reply->type, sizeof(reply->type), "%s", type ? type : "");
	LDNS_FREE(name);
	LDNS_FREE(type);
}

/* False: nothing is to be said. */
static bool answer_question(struct answer *answer, const ldns_rr *question,
    bool is_tcp)
{
	ldns_rdf *name = ldns_rdf_clone(ldns_rr_owner(question));
	enum lab_dns_answer kind;
	bool speak = true;

	ldns_dname2canonical(name);
	answer->type = ldns_rr_get_type(question);
	kind = find_lie(answer->zone, name, answer->type);
	if (!is_inside(answer->zone, name) ||
	    ldns_rr_get_class(question) != LDNS_RR_CLASS_IN)
		say_error(answer, LDNS_RCODE_REFUSED, "refused");
	else if (kind != LAB_ANSWER_TRUE)
		speak = lie(answer, kind, is_tcp);
	else
		say(answer, name);
	ldns_rdf_deep_free(name);
	return speak;
}

static void answer_packet(const struct served_zone *zone,
    const ldns_pkt *query, bool is_tcp, struct lab_reply *reply)
{
	const ldns_rr_list *questions = ldns_pkt_question(query);
	bool is_one = ldns_rr_list_rr_count(questions) == 1, speak = true;
	const ldns_rr *question = is_one ? ldns_rr_list_rr(questions, 0) :
	    NULL;
	struct answer answer = { .zone = zone, .word = "formerr" };

	answer.dnssec = ldns_pkt_edns_do(query) && !zone->is_stripped;
	start(&answer, query, question);
	if (question != NULL)
		describe(reply, question);
	if (ldns_pkt_get_opcode(query) != LDNS_PACKET_QUERY) {
		say_error(&answer, LDNS_RCODE_NOTIMPL, "notimp");
	} else if (question == NULL) {
		say_error(&answer, LDNS_RCODE_FORMERR, "formerr");
	} else if (ldns_pkt_edns(query) && ldns_pkt_edns_version(query) > 0) {
		ldns_pkt_set_edns_extended_rcode(answer.packet,
		    BADVERS_EXTENDED);
		answer.word = "badvers";
	} else {
		speak = answer_question(&answer, question, is_tcp);
	}
	reply->word = answer.word;
	if (speak) {
		encode(&answer, reply);
		if (!is_tcp && reply->length > udp_limit(query))
			truncate_reply(&answer, query, reply);
	}
	ldns_pkt_free(answer.packet);
}

void lab_answer(const struct served_zone *zone, const uint8_t *query,
    size_t length, bool is_tcp, struct lab_reply *reply)
{
	struct answer answer = { .zone = zone };
	ldns_pkt *packet = NULL;

	memset(reply, 0, sizeof(*reply));
	reply->word = "formerr";
	if (length < HEADER_BYTES || length > LAB_QUERY_MAX ||
	    (query[2] & FLAG_QR) != 0)
		return;
	if (ldns_wire2pkt(&packet, query, length) == LDNS_STATUS_OK) {
		answer_packet(zone, packet, is_tcp, reply);
		ldns_pkt_free(packet);
		return;
	}
	answer.packet = ldns_pkt_new();
	ldns_pkt_set_id(answer.packet, (uint16_t)(query[0] << 8 | query[1]));
	ldns_pkt_set_qr(answer.packet, true);
	ldns_pkt_set_rcode(answer.packet, LDNS_RCODE_FORMERR);
	encode(&answer, reply);
	ldns_pkt_free(answer.packet);
}

void lab_reply_release(struct lab_reply *reply)
{
	LDNS_FREE(reply->packet);
	reply->packet = NULL;
	reply->length = 0;
}
