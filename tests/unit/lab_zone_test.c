/* SPDX-License-Identifier: ISC */
/*
 * Zones of the lab (tools/lab/zone*.c, answer*.c) without sockets: each option
 * of a zone section, in the packets of its servers. What a validator says of
 * them is in lab_names_test.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/log.h"
#include "base/mem.h"
#include "tools/lab/answer.h"
#include "tools/lab/certificate.h"
#include "tools/lab/ldns.h"
#include "tools/lab/names.h"
#include "tools/lab/zone.h"
#include "tools/lab/zone_text.h"

enum { A = 1, NS = 2, CNAME = 5, SOA = 6, MX = 15, DS = 43, RRSIG = 46,
    NSEC = 47, DNSKEY = 48, NSEC3 = 50, TLSA = 52, NSEC3PARAM = 51,
    ANY = 255, PRIVATE = 65280 };
enum { UDP, TCP };
enum { MANY = 200, UNKNOWN = 250 };

#define LIST(...) { .items = (char *[]){ __VA_ARGS__ }, \
	.count = sizeof((char *[]){ __VA_ARGS__ }) / sizeof(char *) }
#define TEXT(string) ((char *)(uintptr_t)(string))

/* --- the form of texts --- */

struct text_case {
	const char	*text;
	const char	*problem;	/* in the sentence; null: none */
};

static void check_problem(const char *text, const char *problem,
    const char *expected)
{
	if (expected == NULL ? problem != NULL : problem == NULL ||
	    strstr(problem, expected) == NULL)
		fail_msg("%s: %s", text, problem != NULL ? problem : "taken");
}

static void test_record_problems(void **state)
{
	static const struct text_case cases[] = {
		{ "mx A 192.0.2.1", NULL },
		{ "@ MX 10 mx", NULL },
		{ "@ MX 0 .", NULL },
		{ "mx.a.lab. AAAA 2001:db8::1", NULL },
		{ "sub NS ns.sub", NULL },
		{ "mx 31557600 A 192.0.2.1", NULL },
		{ "mx 2147483647 A 192.0.2.1", NULL },
		{ "mx 2147483648 A 192.0.2.1", "OWNER" },
		{ "x TXT v=STSv1; id=1", NULL },
		{ "x TLSA 3 1 1 @nobody", NULL },
		{ "x TLSA 255 0 2 @nobody:leaf", NULL },
		{ "x TLSA 2 0 0 @nobody:issuer", NULL },
		{ "x TLSA 4 1 1 @nobody:root", NULL },
		{ "x TLSA 3 1 1 @nobody:stem", "leaf, issuer or root" },
		{ "x TLSA 256 1 1 @nobody", "usage is 0 to 255" },
		{ "x TLSA 3 2 1 @nobody", "selector 0 or 1" },
		{ "x TLSA 3 1 3 @nobody", "matching type 0 to 2" },
		{ "x TLSA 3 1 1 @nobody 00", "behind @nobody" },
		{ "x TLSA 3 1 1", "" },
		{ "x TLSA 3 1 1 0g", "" },
		{ "x TLSA 9 9 9 00", NULL },
		{ "x TLSA \\# 0", NULL },
		{ "x TLSA \\# 3 03 01 01", NULL },
		{ "x TLSA \\# 2 030101", "the length is 2, but there are 3" },
		{ "x TLSA \\# 2 030", "no octets" },
		{ "x TLSA \\# two 0301", "LENGTH HEX" },
		{ "x A \\# 3 c00002", NULL },
		{ "x CNAME \\# 2 0561", NULL },
		{ "x TYPE65280 \\# 1 00", NULL },
		{ "mx A 192.0.2.256", "" },
		{ "mx A 192.0.2.1 192.0.2.2", "" },
		{ "mx SPELL 1", "unknown type" },
		{ "mx A", "" },
		{ "mx", "OWNER" },
		{ "", "OWNER" },
		{ "a..b A 192.0.2.1", "owner" },
		{ "@ NS x", "made by the lab" },
		{ "@ SOA a b 1 1 1 1 1", "made by the lab" },
		{ "x RRSIG A", "made by the lab" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		check_problem(cases[i].text, lab_record_problem(cases[i].text),
		    cases[i].problem);
}

static void test_question_problems(void **state)
{
	static const struct text_case sets[] = {
		{ "mx A", NULL }, { "@ DNSKEY", NULL }, { "sub DS", NULL },
		{ "n NSEC3", NULL }, { "mx", "OWNER TYPE" },
		{ "mx A 192.0.2.1", "OWNER TYPE" },
		{ "mx SPELL", "OWNER TYPE" },
	};
	static const struct text_case answers[] = {
		{ "mx A true", NULL }, { "* ANY silence", NULL },
		{ "*.x TLSA tcp-only 2", NULL }, { "mx A late 1", NULL },
		{ "mx A empty", NULL }, { "mx A other-proof", NULL },
		{ "mx A garbage 2", NULL },
		{ "mx A late 3", "no server 3: the zone has 2" },
		{ "mx A late 0", "from 1" }, { "mx A late 5", "from 1" },
		{ "mx A late 1 2", "from 1" }, { "mx A", "missing" },
		{ "mx A perhaps", "accepted: true, servfail" },
		{ "mx SPELL late", "unknown type" }, { "mx", "OWNER" },
		{ "a..b A late", "owner" },
	};
	static const struct text_case substitutes[] = {
		{ "mx A A 192.0.2.7", NULL },
		{ "mx TLSA 300 A 192.0.2.7", NULL },
		{ "mx ANY CNAME .", NULL },
		{ "x TLSA TLSA 3 1 1 @nobody:root", NULL },
		{ "x TLSA TLSA \\# 1 03", NULL },
		{ "mx A", "RECORD-TYPE" }, { "mx A A", "" },
		{ "mx SPELL A 192.0.2.7", "unknown type" },
		{ "mx A SPELL 192.0.2.7", "unknown type" },
		{ "mx A A 192.0.2", "" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(sets) / sizeof(sets[0]); i++)
		check_problem(sets[i].text, lab_set_problem(sets[i].text),
		    sets[i].problem);
	for (i = 0; i < sizeof(answers) / sizeof(answers[0]); i++)
		check_problem(answers[i].text,
		    lab_answer_problem(answers[i].text, 2),
		    answers[i].problem);
	for (i = 0; i < sizeof(substitutes) / sizeof(substitutes[0]); i++)
		check_problem(substitutes[i].text,
		    lab_substitute_problem(substitutes[i].text),
		    substitutes[i].problem);
}

/* --- the world --- */

#define BASE TEXT("mx A 192.0.2.1"), TEXT("x A 192.0.2.2")

static char *many[MANY];

static struct lab_zone zones[] = {
	{ .name = TEXT("lab"), .expired_sets = LIST(TEXT("dsold DS")) },
	{ .name = TEXT("dsold.lab") },
	{ .name = TEXT("riddle.lab"), .signing = LAB_UNKNOWN_ALGORITHM,
	    .records = LIST(BASE), .expired_sets = LIST(TEXT("x A")),
	    .substitutes = LIST(TEXT("mx MX MX 0 .")) },
	{ .name = TEXT("riddle3.lab"), .signing = LAB_UNKNOWN_ALGORITHM,
	    .denial = LAB_NSEC3, .records = LIST(BASE) },
	{ .name = TEXT("digest.lab"), .signing = LAB_UNKNOWN_DIGEST,
	    .records = LIST(BASE) },
	{ .name = TEXT("keyless.lab"), .signing = LAB_NO_KEYS,
	    .records = LIST(BASE) },
	{ .name = TEXT("numbers.lab"), .denial = LAB_NSEC3, .iterations = 77,
	    .negative_ttl = 86400, .records = LIST(BASE) },
	{ .name = TEXT("toil.lab"), .denial = LAB_NSEC3, .iterations = 65535,
	    .records = LIST(BASE) },
	{ .name = TEXT("four.lab"), .servers = 4, .records = LIST(BASE),
	    .answers = LIST(TEXT("mx A refused 2"), TEXT("mx A servfail 3"),
	    TEXT("mx A nodata 3"), TEXT("x ANY silence")) },
	{ .name = TEXT("more.lab"), .records = LIST(BASE,
	    TEXT("l A 192.0.2.3"), TEXT("e A 192.0.2.3"),
	    TEXT("g A 192.0.2.3"), TEXT("o A 192.0.2.3")),
	    .answers = LIST(TEXT("mx A tcp-only"), TEXT("l A late"),
	    TEXT("e A empty"), TEXT("g A garbage"),
	    TEXT("o ANY other-proof"), TEXT("none ANY other-proof"),
	    TEXT("aaa ANY other-proof"), TEXT("l MX late"), TEXT("lab-ns ANY other-proof"),
	    TEXT("@ MX other-proof")) },
	{ .name = TEXT("more3.lab"), .denial = LAB_NSEC3,
	    .records = LIST(BASE, TEXT("o A 192.0.2.3")),
	    .answers = LIST(TEXT("o ANY other-proof"),
	    TEXT("none ANY other-proof")) },
	{ .name = TEXT("instead.lab"), .records = LIST(BASE,
	    TEXT("t TLSA 3 1 1 @leaf")),
	    .substitutes = LIST(TEXT("t TLSA TLSA 3 1 1 bb"),
	    TEXT("t TLSA TLSA 3 1 1 aa"), TEXT("t TLSA A 192.0.2.9"),
	    TEXT("t TLSA TLSA 3 1 1 bb"), TEXT("mx A 300 TYPE65280 \\# 1 00"),
	    TEXT("x ANY CNAME mx")), .answers = LIST(TEXT("t TLSA late")) },
	{ .name = TEXT("plain.lab"), .signing = LAB_UNSIGNED,
	    .records = LIST(BASE),
	    .answers = LIST(TEXT("x A other-proof")),
	    .substitutes = LIST(TEXT("mx A A 192.0.2.9")) },
	{ .name = TEXT("bare.lab"), .signing = LAB_STRIPPED,
	    .records = LIST(BASE),
	    .substitutes = LIST(TEXT("mx A A 192.0.2.9")) },
	{ .name = TEXT("old.lab"), .validity = LAB_EXPIRED,
	    .records = LIST(BASE),
	    .substitutes = LIST(TEXT("mx A A 192.0.2.9")) },
	{ .name = TEXT("loops.lab"), .records = LIST(
	    TEXT("a CNAME b"), TEXT("b CNAME c"), TEXT("c CNAME a"),
	    TEXT("self CNAME self"), TEXT("d DNAME e.d"),
	    TEXT("raw0 CNAME \\# 0"), TEXT("raw CNAME \\# 2 0561"),
	    TEXT("dn DNAME \\# 1 05"), TEXT("ns NS \\# 2 0561"),
	    TEXT("mx MX \\# 1 00"), TEXT("a3 A \\# 3 c00002")) },
	{ .name = TEXT("parts.lab"), .records = LIST(
	    TEXT("leaf TLSA 2 0 0 @chain:leaf"),
	    TEXT("issuer TLSA 3 0 0 @chain:issuer"),
	    TEXT("root TLSA 3 0 0 @chain:root"),
	    TEXT("ee TLSA 3 0 0 @chain"), TEXT("ta TLSA 2 0 0 @chain"),
	    TEXT("odd TLSA 200 0 0 @chain"), TEXT("four TLSA 4 1 1 @chain")) },
	{ .name = TEXT("big.lab"), .records = { many, MANY },
	    .expired_sets = LIST(TEXT("big TLSA")) },
};

enum { ZONES = sizeof(zones) / sizeof(zones[0]) };

static struct lab_certificate certificates[] = {
	{ .name = TEXT("leaf"), .names = LIST(TEXT("mx.lab")),
	    .common_name = TEXT(""), .organization = TEXT("") },
	{ .name = TEXT("chain"), .names = LIST(TEXT("mx.lab")),
	    .common_name = TEXT(""), .organization = TEXT(""),
	    .intermediates = 1, .issuer_authority = true },
};

static struct {
	struct arena		*arena;
	struct lab_identities	*identities;
	struct lab_keys		*keys;
	struct lab_names	*names;
} lab;

static struct lab_names *build(struct lab_zone *list, size_t count,
    char *error, size_t size)
{
	const struct lab_world world = { .zones = list, .zone_count = count };

	error[0] = '\0';
	return lab_names_new(&world, lab.identities, lab.keys, error, size);
}

static int set_up(void **state)
{
	const struct lab_world world = { .certificates = certificates,
	    .certificate_count = 2 };
	char error[1024];
	size_t i;

	(void)state;
	lab.arena = arena_new(4 << 20);
	for (i = 0; i < MANY; i++)
		many[i] = arena_print(lab.arena, "big TLSA 3 1 2 %04x0102030405"
		    "060708090a0b0c0d0e0f10111213141516171819", (unsigned)i);
	lab.identities = lab_identities_new(&world, lab.arena);
	lab.keys = lab_keys_new();
	lab.names = build(zones, ZONES, error, sizeof(error));
	if (lab.names == NULL)
		print_error("%s\n", error);
	return lab.names != NULL ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	lab_names_free(lab.names);
	lab_keys_free(lab.keys);
	arena_free(lab.arena);
	return 0;
}

/* --- questions --- */

struct question {
	const char	*zone, *name;
	int		 type, protocol;
	size_t		 server;
	bool		 is_plain;	/* without EDNS */
};

static size_t make_query(const struct question *question, uint8_t *out)
{
	ldns_pkt *packet = ldns_pkt_query_new(
	    ldns_dname_new_frm_str(question->name),
	    (ldns_rr_type)question->type, LDNS_RR_CLASS_IN, LDNS_RD);
	uint8_t *wire;
	size_t length;

	ldns_pkt_set_id(packet, 4711);
	if (!question->is_plain) {
		ldns_pkt_set_edns_udp_size(packet, 1232);
		ldns_pkt_set_edns_do(packet, true);
	}
	assert_int_equal(ldns_pkt2wire(&wire, packet, &length),
	    LDNS_STATUS_OK);
	assert_true(length <= LAB_QUERY_MAX);
	memcpy(out, wire, length);
	LDNS_FREE(wire);
	ldns_pkt_free(packet);
	return length;
}

static void ask_bytes(const struct question *question,
    struct lab_reply *reply)
{
	uint8_t data[LAB_QUERY_MAX];
	const struct lab_query query = { .data = data, .length =
	    make_query(question, data), .is_tcp = question->protocol == TCP,
	    .server = question->server };

	lab_answer(lab_names_zone(lab.names, question->zone), &query, reply);
}

static ldns_pkt *ask_question(const struct question *question)
{
	struct lab_reply reply;
	ldns_pkt *packet = NULL;

	ask_bytes(question, &reply);
	if (reply.packet != NULL)
		assert_int_equal(ldns_wire2pkt(&packet, reply.packet,
		    reply.length), LDNS_STATUS_OK);
	lab_reply_release(&reply);
	return packet;
}

static ldns_pkt *ask(const char *zone, const char *name, int type)
{
	const struct question question = { zone, name, type, TCP, 0, false };

	return ask_question(&question);
}

static size_t count(const ldns_rr_list *list, int type)
{
	size_t found = 0, i;

	for (i = 0; i < ldns_rr_list_rr_count(list); i++)
		if (type == ANY || (int)ldns_rr_get_type(
		    ldns_rr_list_rr(list, i)) == type)
			found++;
	return found;
}

/* The first record of a type; null: none. */
static const ldns_rr *first(const ldns_rr_list *list, int type)
{
	size_t i;

	for (i = 0; i < ldns_rr_list_rr_count(list); i++)
		if ((int)ldns_rr_get_type(ldns_rr_list_rr(list, i)) == type)
			return ldns_rr_list_rr(list, i);
	return NULL;
}

static unsigned octet(const ldns_rr *record, size_t field, size_t at)
{
	assert_non_null(record);
	return ldns_rdf_data(ldns_rr_rdf(record, field))[at];
}

/* --- signing --- */

static void check_signatures(const ldns_rr_list *records, const ldns_rr *key,
    size_t *seen)
{
	const ldns_rr *record;
	size_t i;

	for (i = 0; i < ldns_rr_list_rr_count(records); i++) {
		record = ldns_rr_list_rr(records, i);
		if ((int)ldns_rr_get_type(record) != RRSIG)
			continue;
		assert_int_equal(octet(record, 1, 0), octet(key, 2, 0));
		assert_int_equal(ldns_rdf2native_int16(
		    ldns_rr_rrsig_keytag(record)), ldns_calc_keytag(key));
		++*seen;
	}
}

/* Everything that says which algorithm it is says the same. */
static void check_algorithm(const char *zone, unsigned algorithm)
{
	char name[64];
	ldns_pkt *keys = ask(zone, zone, DNSKEY), *ds = ask("lab", zone, DS);
	const ldns_rr *key = first(ldns_pkt_answer(keys), DNSKEY);
	ldns_rr *fits = ldns_key_rr2ds(key, LDNS_SHA256);
	static const int types[] = { A, MX, TLSA, SOA };
	ldns_pkt *packet;
	size_t i, seen = 0;

	assert_int_equal(octet(key, 2, 0), algorithm);
	assert_int_equal(octet(first(ldns_pkt_answer(keys), RRSIG), 1, 0),
	    algorithm);
	assert_int_equal(octet(first(ldns_pkt_answer(ds), DS), 1, 0),
	    algorithm);
	assert_int_equal(ldns_rdf_compare(ldns_rr_rdf(fits, 3), ldns_rr_rdf(
	    first(ldns_pkt_answer(ds), DS), 3)), 0);
	assert_int_equal(ldns_rdf2native_int16(ldns_rr_rdf(
	    first(ldns_pkt_answer(ds), DS), 0)), ldns_calc_keytag(key));
	for (i = 0; i < 2 * sizeof(types) / sizeof(types[0]); i++) {
		snprintf(name, sizeof(name), "%s.%s", i % 2 ? "mx" : "x",
		    zone);
		packet = ask(zone, name, types[i / 2]);
		check_signatures(ldns_pkt_answer(packet), key, &seen);
		check_signatures(ldns_pkt_authority(packet), key, &seen);
		ldns_pkt_free(packet);
	}
	/* Two sets, and six times SOA and a denial; a substitute has one. */
	assert_in_range(seen, 2 + 5 * 2 + 1, 2 + 6 * 2);
	ldns_rr_free(fits);
	ldns_pkt_free(keys);
	ldns_pkt_free(ds);
}

static void test_signing(void **state)
{
	ldns_pkt *packet;

	(void)state;
	check_algorithm("riddle.lab", UNKNOWN);
	check_algorithm("riddle3.lab", UNKNOWN);
	check_algorithm("numbers.lab", LDNS_ECDSAP256SHA256);
	packet = ask("lab", "digest.lab", DS);
	assert_int_equal(octet(first(ldns_pkt_answer(packet), DS), 1, 0),
	    LDNS_ECDSAP256SHA256);
	assert_int_equal(octet(first(ldns_pkt_answer(packet), DS), 2, 0),
	    UNKNOWN);
	ldns_pkt_free(packet);
	packet = ask("keyless.lab", "keyless.lab", DNSKEY);
	assert_int_equal(ldns_pkt_ancount(packet), 0);
	assert_int_equal(count(ldns_pkt_authority(packet), NSEC), 1);
	ldns_pkt_free(packet);
	packet = ask("keyless.lab", "mx.keyless.lab", A);
	assert_int_equal(count(ldns_pkt_answer(packet), RRSIG), 1);
	ldns_pkt_free(packet);
	packet = ask("lab", "keyless.lab", DS);
	assert_int_equal(count(ldns_pkt_answer(packet), DS), 1);
	ldns_pkt_free(packet);
}

/* The signature over these records by this zone's key. */
static ldns_status verify(const char *zone, const ldns_rr_list *records,
    int type)
{
	ldns_rr_list *set = ldns_rr_list_new();
	ldns_rr *key = lab_keys_dnskey(lab.keys, zone), *signature = NULL,
	    *record;
	ldns_status status;
	size_t i, k;
	bool is_double;

	for (i = 0; i < ldns_rr_list_rr_count(records); i++) {
		record = ldns_rr_list_rr(records, i);
		if ((int)ldns_rr_get_type(record) == RRSIG &&
		    (int)ldns_rdf2rr_type(ldns_rr_rrsig_typecovered(record)) ==
		    type)
			signature = record;
		is_double = (int)ldns_rr_get_type(record) != type;
		for (k = 0; k < ldns_rr_list_rr_count(set); k++)
			is_double |= ldns_rr_compare(record,
			    ldns_rr_list_rr(set, k)) == 0;
		if (!is_double)
			ldns_rr_list_push_rr(set, ldns_rr_clone(record));
	}
	assert_non_null(signature);
	status = ldns_verify_rrsig(set, signature, key);
	ldns_rr_list_deep_free(set);
	ldns_rr_free(key);
	return status;
}

/* Sets of delegations, keys, and of more records than one would think of. */
static void test_sets(void **state)
{
	ldns_pkt *packet = ask("big.lab", "big.big.lab", TLSA);

	(void)state;
	assert_int_equal(count(ldns_pkt_answer(packet), TLSA), MANY);
	assert_int_equal(verify("big.lab", ldns_pkt_answer(packet), TLSA),
	    LDNS_STATUS_CRYPTO_SIG_EXPIRED);
	ldns_pkt_free(packet);
	packet = ask("lab", "dsold.lab", DS);
	assert_int_equal(verify("lab", ldns_pkt_answer(packet), DS),
	    LDNS_STATUS_CRYPTO_SIG_EXPIRED);
	ldns_pkt_free(packet);
	packet = ask("lab", "four.lab", DS);
	assert_int_equal(verify("lab", ldns_pkt_answer(packet), DS),
	    LDNS_STATUS_OK);
	ldns_pkt_free(packet);
}

/* --- numbers --- */

static void test_numbers(void **state)
{
	const ldns_rr *soa, *nsec3;
	ldns_pkt *packet = ask("numbers.lab", "no.numbers.lab", A);

	(void)state;
	soa = first(ldns_pkt_authority(packet), SOA);
	assert_non_null(soa);
	assert_int_equal(ldns_rr_ttl(soa), 86400);
	assert_int_equal(ldns_rdf2native_int32(ldns_rr_rdf(soa, 6)), 86400);
	nsec3 = first(ldns_pkt_authority(packet), NSEC3);
	assert_non_null(nsec3);
	assert_int_equal(ldns_nsec3_iterations(nsec3), 77);
	assert_int_equal(ldns_rr_ttl(nsec3), 86400);
	/* Encloser, next closer name, wildcard: some may be the same. */
	assert_in_range(count(ldns_pkt_authority(packet), NSEC3), 2, 3);
	ldns_pkt_free(packet);
	packet = ask("numbers.lab", "numbers.lab", NSEC3PARAM);
	assert_int_equal(ldns_rdf2native_int16(ldns_rr_rdf(first(
	    ldns_pkt_answer(packet), NSEC3PARAM), 2)), 77);
	ldns_pkt_free(packet);
	packet = ask("toil.lab", "mx.toil.lab", MX);
	assert_int_equal(ldns_nsec3_iterations(first(
	    ldns_pkt_authority(packet), NSEC3)), 65535);
	ldns_pkt_free(packet);
}

/* --- servers --- */

static void test_servers(void **state)
{
	const struct served_zone *zone = lab_names_zone(lab.names, "four.lab");
	ldns_pkt *packet = ask("lab", "x.four.lab", A);
	size_t i, k;

	(void)state;
	assert_int_equal(zone->server_count, 4);
	for (i = 0; i < 4; i++)
		for (k = 0; k < i; k++)
			assert_string_not_equal(zone->addresses[i],
			    zone->addresses[k]);
	assert_int_equal(count(ldns_pkt_authority(packet), NS), 4);
	assert_int_equal(count(ldns_pkt_additional(packet), A), 4);
	ldns_pkt_free(packet);
	packet = ask("four.lab", "four.lab", NS);
	assert_int_equal(count(ldns_pkt_answer(packet), NS), 4);
	assert_int_equal(count(ldns_pkt_additional(packet), A), 4);
	ldns_pkt_free(packet);
	assert_string_equal(lab_names_zone(lab.names, ".")->addresses[0],
	    LAB_ROOT_SERVER);
}

/* The first answer for a server rules; one without a number is everyone's. */
static void test_server_answers(void **state)
{
	static const int rcodes[] = { LDNS_RCODE_NOERROR, LDNS_RCODE_REFUSED,
	    LDNS_RCODE_SERVFAIL, LDNS_RCODE_NOERROR };
	struct question question = { "four.lab", "mx.four.lab", A, UDP, 0,
	    false };
	ldns_pkt *packet;

	(void)state;
	for (question.server = 0; question.server < 4; question.server++) {
		question.name = "mx.four.lab";
		packet = ask_question(&question);
		assert_int_equal(ldns_pkt_get_rcode(packet),
		    rcodes[question.server]);
		assert_int_equal(ldns_pkt_ancount(packet),
		    rcodes[question.server] == 0 ? 2 : 0);
		ldns_pkt_free(packet);
		question.name = "x.four.lab";
		assert_null(ask_question(&question));
	}
}

/* A world built anew, with other numbers of servers. */
static void test_addresses_stay(void **state)
{
	struct lab_zone other[] = {
		{ .name = TEXT("new.lab"), .servers = 3 },
		{ .name = TEXT("four.lab"), .servers = 2 },
		{ .name = TEXT("more.lab"), .servers = 2 } };
	char error[256];
	struct lab_names *names = build(other, 3, error, sizeof(error));
	const struct served_zone *before, *after;

	(void)state;
	assert_non_null(names);
	before = lab_names_zone(lab.names, "four.lab");
	after = lab_names_zone(names, "four.lab");
	assert_int_equal(after->server_count, 2);
	assert_string_equal(before->addresses[0], after->addresses[0]);
	assert_string_equal(before->addresses[1], after->addresses[1]);
	assert_string_equal(lab_names_zone(lab.names, "more.lab")->
	    addresses[0], lab_names_zone(names, "more.lab")->addresses[0]);
	lab_names_free(names);
}

/* --- answers --- */

static void test_tcp_only(void **state)
{
	struct question question = { "more.lab", "mx.more.lab", A, UDP, 0,
	    false };
	ldns_pkt *packet = ask_question(&question);

	(void)state;
	assert_true(ldns_pkt_tc(packet));
	assert_int_equal(ldns_pkt_ancount(packet), 0);
	ldns_pkt_free(packet);
	question.protocol = TCP;
	packet = ask_question(&question);
	assert_false(ldns_pkt_tc(packet));
	assert_int_equal(count(ldns_pkt_answer(packet), A), 1);
	assert_int_equal(count(ldns_pkt_answer(packet), RRSIG), 1);
	ldns_pkt_free(packet);
}

static void test_late_and_garbage(void **state)
{
	struct question question = { "more.lab", "l.more.lab", A, UDP, 0,
	    false };
	struct lab_reply reply;
	ldns_pkt *packet = NULL;

	(void)state;
	ask_bytes(&question, &reply);
	assert_int_equal(reply.delay, 2000);
	assert_string_equal(reply.word, "late");
	assert_int_equal(ldns_wire2pkt(&packet, reply.packet, reply.length),
	    LDNS_STATUS_OK);
	assert_int_equal(count(ldns_pkt_answer(packet), A), 1);
	ldns_pkt_free(packet);
	lab_reply_release(&reply);
	question.name = "x.more.lab";
	ask_bytes(&question, &reply);
	assert_int_equal(reply.delay, 0);
	assert_string_equal(reply.word, "data");
	lab_reply_release(&reply);
	for (question.protocol = UDP; question.protocol <= TCP;
	    question.protocol++) {
		question.name = "g.more.lab";
		ask_bytes(&question, &reply);
		assert_string_equal(reply.word, "garbage");
		assert_true(reply.length > 12);
		assert_int_equal(reply.packet[0] << 8 | reply.packet[1], 4711);
		assert_int_not_equal(ldns_wire2pkt(&packet, reply.packet,
		    reply.length), LDNS_STATUS_OK);
		lab_reply_release(&reply);
	}
}

static void test_empty(void **state)
{
	ldns_pkt *packet = ask("more.lab", "e.more.lab", A);

	(void)state;
	assert_int_equal(ldns_pkt_get_rcode(packet), LDNS_RCODE_NOERROR);
	assert_int_equal(ldns_pkt_qdcount(packet), 1);
	assert_int_equal(ldns_pkt_ancount(packet), 0);
	assert_int_equal(ldns_pkt_nscount(packet), 0);
	ldns_pkt_free(packet);
	packet = ask("more.lab", "e.more.lab", MX);
	assert_int_equal(count(ldns_pkt_authority(packet), SOA), 1);
	ldns_pkt_free(packet);
}

/* No denial in the packet has to do with the name. */
static void check_other(const char *zone, const char *name, int type)
{
	ldns_pkt *packet = ask(zone, name, type);
	int denial = strstr(zone, "3") != NULL ? NSEC3 : NSEC;
	const ldns_rr *record = first(ldns_pkt_authority(packet), denial);
	ldns_rdf *key = ldns_dname_new_frm_str(name), *apex, *hash;

	if (denial == NSEC3) {
		apex = ldns_dname_new_frm_str(zone);
		hash = ldns_nsec3_hash_name(key, NSEC3_SHA1, 0, 0, NULL);
		ldns_dname_cat(hash, apex);
		ldns_rdf_deep_free(key);
		ldns_rdf_deep_free(apex);
		key = hash;
	}
	assert_int_equal(ldns_pkt_get_rcode(packet), LDNS_RCODE_NOERROR);
	assert_int_equal(ldns_pkt_ancount(packet), 0);
	assert_int_equal(count(ldns_pkt_authority(packet), SOA), 1);
	assert_int_equal(count(ldns_pkt_authority(packet), denial), 1);
	assert_int_equal(count(ldns_pkt_authority(packet), RRSIG), 2);
	assert_int_equal(verify(zone, ldns_pkt_authority(packet), denial),
	    LDNS_STATUS_OK);
	assert_int_not_equal(ldns_dname_compare(ldns_rr_owner(record), key),
	    0);
	assert_false(ldns_nsec_covers_name(record, key));
	ldns_rdf_deep_free(key);
	ldns_pkt_free(packet);
}

static void test_other_proof(void **state)
{
	ldns_pkt *packet;

	(void)state;
	check_other("more.lab", "o.more.lab", A);
	check_other("more.lab", "o.more.lab", TLSA);
	check_other("more.lab", "none.more.lab", A);
	check_other("more.lab", "aaa.more.lab", A);
	check_other("more.lab", "lab-ns.more.lab", A);
	check_other("more.lab", "more.lab", MX);
	check_other("more3.lab", "o.more3.lab", TLSA);
	check_other("more3.lab", "none.more3.lab", TLSA);
	/* There is no proof where nothing is signed. */
	packet = ask("plain.lab", "x.plain.lab", A);
	assert_int_equal(ldns_pkt_ancount(packet), 0);
	assert_int_equal(ldns_pkt_nscount(packet), 1);
	ldns_pkt_free(packet);
}

/* --- substitutes --- */

/* As they were given; each type has a signature, over each record once. */
static void test_substitutes(void **state)
{
	static const unsigned last[] = { 0xbb, 0xaa, 0, 0xbb };
	const ldns_rr_list *records;
	ldns_pkt *packet = ask("instead.lab", "t.instead.lab", TLSA);
	size_t i;

	(void)state;
	records = ldns_pkt_answer(packet);
	assert_int_equal(ldns_rr_list_rr_count(records), 6);
	for (i = 0; i < 4; i++)
		if (last[i] != 0)
			assert_int_equal(octet(ldns_rr_list_rr(records, i), 3,
			    0), last[i]);
		else
			assert_int_equal(ldns_rr_get_type(ldns_rr_list_rr(
			    records, i)), A);
	assert_int_equal(count(records, RRSIG), 2);
	assert_int_equal(verify("instead.lab", records, TLSA),
	    LDNS_STATUS_OK);
	assert_int_equal(verify("instead.lab", records, A), LDNS_STATUS_OK);
	ldns_pkt_free(packet);
	packet = ask("instead.lab", "mx.instead.lab", A);
	assert_int_equal(count(ldns_pkt_answer(packet), A), 0);
	assert_int_equal(ldns_rr_ttl(first(ldns_pkt_answer(packet), PRIVATE)),
	    300);
	ldns_pkt_free(packet);
	/* Other questions are not meant; ANY means all of them. */
	packet = ask("instead.lab", "mx.instead.lab", MX);
	assert_int_equal(count(ldns_pkt_authority(packet), SOA), 1);
	ldns_pkt_free(packet);
	packet = ask("instead.lab", "x.instead.lab", MX);
	assert_int_equal(count(ldns_pkt_answer(packet), CNAME), 1);
	assert_int_equal(count(ldns_pkt_answer(packet), ANY), 2);
	ldns_pkt_free(packet);
}

static void test_substitute_signatures(void **state)
{
	static const struct {
		const char	*zone, *name;
		size_t		 signatures;
		ldns_status	 status;
	} cases[] = {
		{ "plain.lab", "mx.plain.lab", 0, LDNS_STATUS_OK },
		{ "bare.lab", "mx.bare.lab", 0, LDNS_STATUS_OK },
		{ "old.lab", "mx.old.lab", 1, LDNS_STATUS_CRYPTO_SIG_EXPIRED },
	};
	struct question question = { "old.lab", "mx.old.lab", A, UDP, 0,
	    true };
	ldns_pkt *packet;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		packet = ask(cases[i].zone, cases[i].name, A);
		assert_int_equal(octet(first(ldns_pkt_answer(packet), A), 0,
		    3), 9);
		assert_int_equal(count(ldns_pkt_answer(packet), RRSIG),
		    cases[i].signatures);
		if (cases[i].signatures > 0)
			assert_int_equal(verify(cases[i].zone,
			    ldns_pkt_answer(packet), A), cases[i].status);
		ldns_pkt_free(packet);
	}
	packet = ask_question(&question);
	assert_int_equal(ldns_pkt_ancount(packet), 1);
	ldns_pkt_free(packet);
}

/* --- records --- */

/* A loop is told once round, or some steps of it. */
static void test_loops(void **state)
{
	static const struct {
		const char	*name;
		int		 type;
		size_t		 aliases;
	} cases[] = {
		{ "a.loops.lab", A, 3 }, { "self.loops.lab", A, 1 },
		{ "x.d.loops.lab", A, 8 }, { "a.loops.lab", CNAME, 1 },
	};
	ldns_pkt *packet;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		packet = ask("loops.lab", cases[i].name, cases[i].type);
		assert_int_equal(ldns_pkt_get_rcode(packet),
		    LDNS_RCODE_NOERROR);
		assert_int_equal(count(ldns_pkt_answer(packet), CNAME),
		    cases[i].aliases);
		ldns_pkt_free(packet);
	}
}

/* Data that its type cannot have: served, and followed by nobody. */
static void test_raw(void **state)
{
	static const struct {
		const char	*name;
		int		 type;
		const char	*data;
		size_t		 length;
	} cases[] = {
		{ "raw0.loops.lab", CNAME, "", 0 },
		{ "raw0.loops.lab", A, "", 0 },
		{ "raw.loops.lab", A, "\5a", 2 },
		{ "mx.loops.lab", MX, "\0", 1 },
		{ "a3.loops.lab", A, "\xc0\0\2", 3 },
		{ "x.dn.loops.lab", A, "\5", 1 },
		{ "x.ns.loops.lab", A, "\5a", 2 },
	};
	uint8_t wanted[8];
	struct lab_reply reply;
	struct question question;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		question = (struct question){ "loops.lab", cases[i].name,
		    cases[i].type, TCP, 0, true };
		ask_bytes(&question, &reply);
		assert_int_equal(reply.packet[7] + reply.packet[9], 1);
		/* TTL, length and data are the end of the packet. */
		wanted[0] = 0;
		wanted[1] = 1;
		wanted[2] = 0;
		wanted[3] = (uint8_t)cases[i].length;
		memcpy(wanted + 4, cases[i].data, cases[i].length);
		assert_memory_equal(reply.packet + reply.length -
		    cases[i].length - 4, wanted, cases[i].length + 4);
		lab_reply_release(&reply);
	}
}

static void check_part(const char *name, const uint8_t *der, size_t length)
{
	ldns_pkt *packet = ask("parts.lab", name, TLSA);
	const ldns_rdf *data = ldns_rr_rdf(first(ldns_pkt_answer(packet),
	    TLSA), 3);

	assert_int_equal(ldns_rdf_size(data), length);
	assert_memory_equal(ldns_rdf_data(data), der, length);
	ldns_pkt_free(packet);
}

static void test_certificate_parts(void **state)
{
	const struct lab_identity *chain = lab_identity_find(lab.identities,
	    "chain");
	ldns_pkt *packet;

	(void)state;
	check_part("leaf.parts.lab", chain->leaf, chain->leaf_length);
	check_part("issuer.parts.lab", chain->intermediate,
	    chain->intermediate_length);
	check_part("root.parts.lab", chain->root, chain->root_length);
	check_part("ee.parts.lab", chain->leaf, chain->leaf_length);
	check_part("ta.parts.lab", chain->root, chain->root_length);
	check_part("odd.parts.lab", chain->leaf, chain->leaf_length);
	packet = ask("parts.lab", "four.parts.lab", TLSA);
	assert_int_equal(octet(first(ldns_pkt_answer(packet), TLSA), 0, 0), 4);
	ldns_pkt_free(packet);
}

static const struct {
	struct lab_zone	 zone;
	const char	*problem;
} mistakes[] = {
	{ { .servers = 5 }, "servers are 1 to 4" },
	{ { .servers = -1 }, "servers are 1 to 4" },
	{ { .iterations = 65536 }, "iterations are 0 to 65535" },
	{ { .iterations = -1 }, "iterations" },
	{ { .negative_ttl = -1 }, "negative-ttl" },
	{ { .negative_ttl = 2147483648 }, "negative-ttl" },
	{ { .servers = 2, .answers = LIST(TEXT("x A late 3")) },
	    "no server 3" },
	{ { .substitutes = LIST(TEXT("x A A 1")) }, "substitute" },
	{ { .substitutes = LIST(TEXT("x.b. A A 192.0.2.1")) },
	    "no name in this zone" },
	{ { .substitutes = LIST(TEXT("x TLSA TLSA 3 1 1 @nobody")) },
	    "no certificate \"nobody\"" },
	{ { .records = LIST(TEXT("x A 192.0.2.1"),
	    TEXT("x 5 A 192.0.2.1")) }, "there twice" },
	{ { .records = LIST(TEXT("x TLSA 3 1 1 @leaf:issuer")) },
	    NULL },
	{ { .records = LIST(TEXT("x TLSA 3 1 1 @leaf:twig")) },
	    "leaf, issuer or root" },
};

static void test_mistakes(void **state)
{
	struct lab_names *names;
	struct lab_zone zone;
	char error[1024];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(mistakes) / sizeof(mistakes[0]); i++) {
		zone = mistakes[i].zone;
		zone.name = TEXT("a.lab");
		names = build(&zone, 1, error, sizeof(error));
		if (mistakes[i].problem == NULL ? names == NULL :
		    names != NULL || strstr(error, mistakes[i].problem) == NULL ||
		    strstr(error, "a.lab") == NULL)
			fail_msg("case %zu: %s", i, error);
		lab_names_free(names);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_record_problems),
		cmocka_unit_test(test_question_problems),
		cmocka_unit_test(test_signing),
		cmocka_unit_test(test_sets),
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_servers),
		cmocka_unit_test(test_server_answers),
		cmocka_unit_test(test_addresses_stay),
		cmocka_unit_test(test_tcp_only),
		cmocka_unit_test(test_late_and_garbage),
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_other_proof),
		cmocka_unit_test(test_substitutes),
		cmocka_unit_test(test_substitute_signatures),
		cmocka_unit_test(test_loops),
		cmocka_unit_test(test_raw),
		cmocka_unit_test(test_certificate_parts),
		cmocka_unit_test(test_mistakes),
	};

	log_init("test", LOG_LEVEL_ERROR);
	return cmocka_run_group_tests_name("lab_zone", tests, set_up,
	    tear_down);
}
