/* SPDX-License-Identifier: ISC */
/*
 * Packets in and out: what is no question is refused here, and what is too
 * long for a datagram is cut.
 */
#include "tools/lab/answer.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "tools/lab/answer_private.h"

enum { HEADER_BYTES = 12, FLAG_QR = 0x80, LATE_MILLISECONDS = 2000,
    GARBAGE_BYTES = 48 };

/* RFC 6891 9: 16, of which the header holds the low four bits. */
enum { BADVERS_EXTENDED = 1 };

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

/* What becomes of a question. */
enum speech { SPEAK, SPEAK_LATE, SPEAK_GARBAGE, BE_SILENT };

static enum speech answer_question(struct answer *answer,
    const ldns_rr *question, const struct lab_query *query)
{
	ldns_rdf *name = ldns_rdf_clone(ldns_rr_owner(question));
	enum lab_dns_answer kind;
	enum speech speech = SPEAK;

	ldns_dname2canonical(name);
	answer->type = ldns_rr_get_type(question);
	kind = answer_find_lie(answer, name, query->server);
	if (kind == LAB_ANSWER_TCP_ONLY && query->is_tcp)
		kind = LAB_ANSWER_TRUE;
	if (!answer_is_inside(answer->zone, name) ||
	    ldns_rr_get_class(question) != LDNS_RR_CLASS_IN)
		answer_say_error(answer, LDNS_RCODE_REFUSED, "refused");
	else if (kind == LAB_ANSWER_GARBAGE)
		speech = SPEAK_GARBAGE;
	else if (kind != LAB_ANSWER_TRUE && kind != LAB_ANSWER_LATE)
		speech = answer_lie(answer, name, kind, query->is_tcp) ?
		    SPEAK : BE_SILENT;
	else if (!answer_substitute(answer, name))
		answer_say(answer, name);
	if (kind == LAB_ANSWER_LATE)
		speech = SPEAK_LATE;
	ldns_rdf_deep_free(name);
	return speech;
}

/* The right number, as an answer; the rest says that there is very much, and
 * is not there. */
static void say_garbage(struct lab_reply *reply, const struct lab_query *query)
{
	reply->packet = LDNS_XMALLOC(uint8_t, GARBAGE_BYTES);
	if (reply->packet == NULL)
		fatal("no memory");
	reply->length = GARBAGE_BYTES;
	memset(reply->packet, 0xff, GARBAGE_BYTES);
	memcpy(reply->packet, query->data, sizeof(uint16_t));
	reply->packet[2] = FLAG_QR;
	reply->packet[3] = 0;
	reply->word = "garbage";
}

/* Says what is in the answer, or does not. */
static void speak(struct answer *answer, enum speech speech,
    const ldns_pkt *packet, const struct lab_query *query,
    struct lab_reply *reply)
{
	reply->word = answer->word;
	if (speech == BE_SILENT)
		return;
	if (speech == SPEAK_GARBAGE) {
		say_garbage(reply, query);
		return;
	}
	if (speech == SPEAK_LATE) {
		reply->word = "late";
		reply->delay = LATE_MILLISECONDS;
	}
	encode(answer, reply);
	if (!query->is_tcp && reply->length > udp_limit(packet))
		truncate_reply(answer, packet, reply);
}

static void answer_packet(const struct served_zone *zone,
    const ldns_pkt *packet, const struct lab_query *query,
    struct lab_reply *reply)
{
	const ldns_rr_list *questions = ldns_pkt_question(packet);
	const ldns_rr *question = ldns_rr_list_rr_count(questions) != 1 ?
	    NULL : ldns_rr_list_rr(questions, 0);
	struct answer answer = { .zone = zone, .word = "formerr" };
	enum speech speech = SPEAK;

	answer.dnssec = ldns_pkt_edns_do(packet) && !zone->is_stripped;
	start(&answer, packet, question);
	if (question != NULL)
		describe(reply, question);
	if (ldns_pkt_get_opcode(packet) != LDNS_PACKET_QUERY) {
		answer_say_error(&answer, LDNS_RCODE_NOTIMPL, "notimp");
	} else if (question == NULL) {
		answer_say_error(&answer, LDNS_RCODE_FORMERR, "formerr");
	} else if (ldns_pkt_edns(packet) &&
	    ldns_pkt_edns_version(packet) > 0) {
		ldns_pkt_set_edns_extended_rcode(answer.packet,
		    BADVERS_EXTENDED);
		answer.word = "badvers";
	} else {
		speech = answer_question(&answer, question, query);
	}
	speak(&answer, speech, packet, query, reply);
	ldns_pkt_free(answer.packet);
}

void lab_answer(const struct served_zone *zone, const struct lab_query *query,
    struct lab_reply *reply)
{
	struct answer answer = { .zone = zone };
	const uint8_t *data = query->data;
	ldns_pkt *packet = NULL;

	memset(reply, 0, sizeof(*reply));
	reply->word = "formerr";
	if (query->length < HEADER_BYTES || query->length > LAB_QUERY_MAX ||
	    (data[2] & FLAG_QR) != 0)
		return;
	if (ldns_wire2pkt(&packet, data, query->length) == LDNS_STATUS_OK) {
		answer_packet(zone, packet, query, reply);
		ldns_pkt_free(packet);
		return;
	}
	answer.packet = ldns_pkt_new();
	ldns_pkt_set_id(answer.packet, (uint16_t)(data[0] << 8 | data[1]));
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
