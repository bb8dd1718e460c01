/* SPDX-License-Identifier: ISC */
/*
 * For MTAs under test that leave validation to the resolver in resolv.conf.
 * libunbound gives a whole packet, a return code and a security status; the
 * code comes first, and unless it is 0 the packet is never looked at: it holds
 * bytes of some earlier answer. Time-outs are short. libunbound remembers a
 * failure, or an answer with nothing in it, for five seconds, and nobody can
 * make it forget; so after one, new lookups begin in a new context, and a
 * mended world is seen at once.
 */
#include "tools/lab/names.h"

#include <stdio.h>
#include <string.h>
#include <unbound.h>
#include <unbound-event.h>

#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "tools/lab/answer.h"
#include "tools/lab/dns_socket.h"
#include "tools/lab/ldns.h"

enum { LOOKUPS_MAX = 256, DEADLINE_MILLISECONDS = 8000, SECURITY_BOGUS = 1,
    SECURITY_SECURE = 2, HEADER_BYTES = 12, FLAG_QR = 0x80 };

struct context {
	struct ub_ctx		*library;	/* owned */
	unsigned		 count;		/* lookups under way */
	bool			 is_stale;	/* has to be forgotten */
};

struct lookup {
	struct context		*context;
	struct dns_asker	*asker;		/* ours to answer */
	ldns_pkt		*query;		/* owned */
	ldns_pkt		*answer;	/* owned; null: SERVFAIL */
	struct timer		 timer;
	int			 id;		/* libunbound's */
	bool			 asking;	/* inside ub_resolve_event */
	bool			 answered;
	bool			 is_empty;	/* the answer says nothing */
};

static struct {
	struct dns_socket	*socket;	/* owned */
	struct context		*context;	/* owned; for new lookups */
	unsigned		 count;		/* lookups under way */
	const char		*anchor;
} resolver;

/* --- answers --- */

static bool is_proof(ldns_rr_type type)
{
	return type == LDNS_RR_TYPE_RRSIG || type == LDNS_RR_TYPE_NSEC ||
	    type == LDNS_RR_TYPE_NSEC3;
}

/* A packet with the client's question and nothing else. */
static ldns_pkt *empty_answer(const ldns_pkt *query, ldns_pkt_rcode rcode)
{
	ldns_rr *question = ldns_rr_list_rr(ldns_pkt_question(query), 0);
	ldns_pkt *answer = ldns_pkt_new();

	ldns_pkt_set_opcode(answer, ldns_pkt_get_opcode(query));
	ldns_pkt_set_rcode(answer, (uint8_t)rcode);
	if (question != NULL)
		ldns_pkt_push_rr(answer, LDNS_SECTION_QUESTION,
		    ldns_rr_clone(question));
	return answer;
}

/* RFC 4035 3.2.1: signatures only for who asks for them. */
static void copy_section(ldns_pkt *to, ldns_pkt_section section,
    const ldns_rr_list *from, bool with_proofs)
{
	ldns_rr_type asked = ldns_rr_get_type(
	    ldns_rr_list_rr(ldns_pkt_question(to), 0));
	ldns_rr *record;
	size_t i;

	for (i = 0; i < ldns_rr_list_rr_count(from); i++) {
		record = ldns_rr_list_rr(from, i);
		if (with_proofs || !is_proof(ldns_rr_get_type(record)) ||
		    ldns_rr_get_type(record) == asked)
			ldns_pkt_push_rr(to, section, ldns_rr_clone(record));
	}
}

/* What belongs to this client in the header and in OPT. */
static void address_to(ldns_pkt *answer, const ldns_pkt *query)
{
	ldns_pkt_set_id(answer, ldns_pkt_id(query));
	ldns_pkt_set_qr(answer, true);
	ldns_pkt_set_aa(answer, false);
	ldns_pkt_set_ra(answer, true);
	ldns_pkt_set_rd(answer, ldns_pkt_rd(query));
	ldns_pkt_set_cd(answer, ldns_pkt_cd(query));
	if (ldns_pkt_edns(query)) {
		ldns_pkt_set_edns_udp_size(answer, LAB_UDP_MAX);
		ldns_pkt_set_edns_do(answer, ldns_pkt_edns_do(query));
	}
}

static size_t udp_limit(const ldns_pkt *query)
{
	size_t size = ldns_pkt_edns(query) ? ldns_pkt_edns_udp_size(query) : 0;

	return size < LAB_UDP_PLAIN ? LAB_UDP_PLAIN : size;
}

/* Takes the answer. */
static void send_answer(struct dns_asker *asker, const ldns_pkt *query,
    ldns_pkt *answer)
{
	uint8_t *packet = NULL;
	ldns_pkt *shorter;
	size_t length = 0;
	bool is_tcp = dns_asker_is_tcp(asker);

	address_to(answer, query);
	if (ldns_pkt2wire(&packet, answer, &length) != LDNS_STATUS_OK) {
		packet = NULL;
	} else if (!is_tcp && length > udp_limit(query)) {
		LDNS_FREE(packet);
		shorter = empty_answer(query, ldns_pkt_get_rcode(answer));
		address_to(shorter, query);
		ldns_pkt_set_tc(shorter, true);
		ldns_pkt_set_ad(shorter, ldns_pkt_ad(answer));
		if (ldns_pkt2wire(&packet, shorter, &length) != LDNS_STATUS_OK)
			packet = NULL;
		ldns_pkt_free(shorter);
	}
	dns_asker_answer(asker, packet, length);
	LDNS_FREE(packet);
	ldns_pkt_free(answer);
}

/* --- libunbound --- */

static void set_options(struct ub_ctx *library)
{
	static const struct {
		const char *name, *value;
	} options[] = {
		{ "module-config:", "validator iterator" },
		{ "do-daemonize:", "no" }, { "use-syslog:", "no" },
		{ "verbosity:", "0" }, { "do-ip6:", "no" },
		{ "edns-buffer-size:", "1232" },
		{ "harden-glue:", "yes" }, { "harden-dnssec-stripped:", "yes" },
		{ "harden-below-nxdomain:", "yes" },
		{ "trust-anchor-signaling:", "no" },
		{ "target-fetch-policy:", "0 0 0 0 0" },
		/* Half a second for a dead server, not twenty. */
		{ "outbound-msg-retry:", "1" },
		{ "infra-cache-max-rtt:", "500" },
		{ "infra-cache-min-rtt:", "50" },
		/* Nothing old: records have a TTL of one second, too. */
		{ "infra-host-ttl:", "1" }, { "infra-keep-probing:", "yes" },
		{ "val-bogus-ttl:", "1" },
	};
	size_t i;
	int result;

	for (i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
		result = ub_ctx_set_option(library, options[i].name,
		    options[i].value);
		if (result != 0)
			fatal("resolver option refused",
			    log_text("option", options[i].name),
			    log_text("reason", ub_strerror(result)));
	}
}

static struct context *context_new(const char *anchor)
{
	struct context *context = mem_alloc(sizeof(*context));
	struct ub_ctx *library = ub_ctx_create_event(loop_base());
	int result;

	context->library = library;
	if (library == NULL)
		fatal("libunbound cannot use our event loop: it was built "
		    "without libevent");
	set_options(library);
	result = ub_ctx_add_ta(library, anchor);
	if (result == 0)
		result = ub_ctx_set_stub(library, ".", LAB_ROOT_SERVER, 0);
	/* The built-in "no such domain" for .test; this ends the set-up. */
	if (result == 0)
		result = ub_ctx_zone_remove(library, "test.");
	if (result != 0)
		fatal("resolver", log_text("reason", ub_strerror(result)));
	return context;
}

/* --- lookups --- */

/* Not inside libunbound. */
static void context_free(void *arg)
{
	struct context *context = arg;

	ub_ctx_delete(context->library);
	mem_free(context);
}

static void leave(struct context *context, bool forget)
{
	context->count--;
	if (forget && !context->is_stale) {
		context->is_stale = true;
		resolver.context = NULL;
	}
	if (context->is_stale && context->count == 0)
		loop_defer(context_free, context);
}

static void finish(struct lookup *lookup)
{
	ldns_pkt *answer = lookup->answer;

	leave(lookup->context, answer == NULL || lookup->is_empty);
	if (answer == NULL)
		answer = empty_answer(lookup->query, LDNS_RCODE_SERVFAIL);
	send_answer(lookup->asker, lookup->query, answer);
	timer_stop(&lookup->timer);
	ldns_pkt_free(lookup->query);
	mem_free(lookup);
	resolver.count--;
}

static void on_deadline(void *arg)
{
	struct lookup *lookup = arg;

	ub_cancel(lookup->context->library, lookup->id);
	finish(lookup);
}

static void read_answer(struct lookup *lookup, const void *packet,
    size_t length, int security)
{
	const ldns_pkt *query = lookup->query;
	bool with_proofs = ldns_pkt_edns(query) && ldns_pkt_edns_do(query);
	ldns_pkt *found, *answer;

	if (ldns_wire2pkt(&found, packet, length) != LDNS_STATUS_OK)
		return;
	answer = empty_answer(query, ldns_pkt_get_rcode(found));
	copy_section(answer, LDNS_SECTION_ANSWER, ldns_pkt_answer(found),
	    with_proofs);
	copy_section(answer, LDNS_SECTION_AUTHORITY,
	    ldns_pkt_authority(found), with_proofs);
	copy_section(answer, LDNS_SECTION_ADDITIONAL,
	    ldns_pkt_additional(found), with_proofs);
	/* RFC 6840 5.8: AD for who shows to understand it. */
	ldns_pkt_set_ad(answer, security == SECURITY_SECURE &&
	    (with_proofs || ldns_pkt_ad(query)));
	lookup->is_empty = ldns_pkt_ancount(found) == 0 &&
	    ldns_pkt_nscount(found) == 0;
	ldns_pkt_free(found);
	lookup->answer = answer;
}

static void on_answer(void *arg, int rcode, void *packet, int length,
    int security, char *why_bogus, int was_ratelimited)
{
	struct lookup *lookup = arg;

	(void)why_bogus;
	(void)was_ratelimited;
	lookup->answered = true;
	if (rcode == 0 && packet != NULL && length > 0 &&
	    (security != SECURITY_BOGUS || ldns_pkt_cd(lookup->query)))
		read_answer(lookup, packet, (size_t)length, security);
	if (!lookup->asking)
		finish(lookup);
}

static void look_up(struct lookup *lookup)
{
	ldns_rr *question = ldns_rr_list_rr(
	    ldns_pkt_question(lookup->query), 0);
	char *name = ldns_rdf2str(ldns_rr_owner(question));
	int result, id = 0;

	timer_start(&lookup->timer, DEADLINE_MILLISECONDS, on_deadline,
	    lookup);
	lookup->asking = true;
	result = ub_resolve_event(lookup->context->library, name,
	    ldns_rr_get_type(question), ldns_rr_get_class(question), lookup,
	    on_answer, &id);
	lookup->asking = false;
	lookup->id = id;
	LDNS_FREE(name);
	/* Answered from the cache, or not to be asked. */
	if (lookup->answered || result != 0)
		finish(lookup);
}

/* A query that is looked up: 0; else what to say at once. */
static int judge(const ldns_pkt *query)
{
	const ldns_rr_list *questions = ldns_pkt_question(query);

	if (ldns_pkt_get_opcode(query) != LDNS_PACKET_QUERY)
		return LDNS_RCODE_NOTIMPL;
	if (ldns_rr_list_rr_count(questions) != 1)
		return LDNS_RCODE_FORMERR;
	if (ldns_rr_get_class(ldns_rr_list_rr(questions, 0)) !=
	    LDNS_RR_CLASS_IN)
		return LDNS_RCODE_REFUSED;
	return resolver.count < LOOKUPS_MAX ? 0 : LDNS_RCODE_SERVFAIL;
}

static void on_query(void *arg, struct dns_asker *asker, const uint8_t *query,
    size_t length)
{
	ldns_pkt *packet = NULL;
	struct lookup *lookup;
	int problem;

	(void)arg;
	if (length < HEADER_BYTES || length > LAB_QUERY_MAX ||
	    (query[2] & FLAG_QR) != 0 ||
	    ldns_wire2pkt(&packet, query, length) != LDNS_STATUS_OK) {
		dns_asker_answer(asker, NULL, 0);
		return;
	}
	problem = judge(packet);
	if (problem != 0) {
		send_answer(asker, packet, empty_answer(packet,
		    (ldns_pkt_rcode)problem));
		ldns_pkt_free(packet);
		return;
	}
	lookup = mem_alloc(sizeof(*lookup));
	lookup->asker = asker;
	lookup->query = packet;
	if (resolver.context == NULL)
		resolver.context = context_new(resolver.anchor);
	lookup->context = resolver.context;
	lookup->context->count++;
	resolver.count++;
	look_up(lookup);
}

/* --- entry --- */

int lab_resolver_listen(char *error, size_t size)
{
	resolver.socket = dns_socket_new("127.0.0.1", error, size);
	return resolver.socket != NULL ? 0 : -1;
}

void lab_resolver_serve(const char *anchor)
{
	loop_init();
	resolver.anchor = anchor;
	resolver.context = context_new(anchor);
	dns_socket_start(resolver.socket, on_query, NULL);
	loop_run();
}
