/* SPDX-License-Identifier: ISC */
/*
 * The lab's names (tools/lab/authority.c and what is behind it): the answers
 * packet by packet, and the whole tree as a validator sees it. For that the
 * tests run in a lab namespace with the servers, the lab's resolver and a
 * libunbound of their own; where there can be no namespace these are skipped,
 * with the reason.
 *
 * The matrix has each row twice: what libunbound says, as Postern would hear
 * it, and what the resolver tells an MTA (AD and the return code).
 * DANE-1 to DANE-12 and D-01 to D-31 of the scenario catalogue stand on this.
 */
#include <netdb.h>
#include <resolv.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>
#include <unbound.h>
#include <unbound-event.h>

#include "base/arena.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "base/net.h"
#include "tools/lab/answer.h"
#include "tools/lab/certificate.h"
#include "tools/lab/event.h"
#include "tools/lab/ldns.h"
#include "tools/lab/names.h"
#include "tools/lab/namespace.h"
#include "tools/lab/zone.h"

enum { INSECURE, BOGUS, SECURE };
enum { A = 1, NS = 2, CNAME = 5, SOA = 6, MX = 15, TXT = 16, AAAA = 28,
    DNAME = 39, DS = 43, DNSKEY = 48, TLSA = 52, ANY = 255 };

#define LIST(...) { .items = (char *[]){ __VA_ARGS__ }, \
	.count = sizeof((char *[]){ __VA_ARGS__ }) / sizeof(char *) }
#define TEXT(string) ((char *)(uintptr_t)(string))
#define DIGEST "0102030405060708090a0b0c0d0e0f10" \
    "1112131415161718191a1b1c1d1e1f20"

/* --- the world --- */

#define HOST_RECORDS TEXT("@ MX 10 mx"), TEXT("mx A 192.0.2.1"), \
    TEXT("_25._tcp.mx TLSA 3 1 1 @leaf")
#define TREE_RECORDS HOST_RECORDS, \
    TEXT("alias CNAME step"), TEXT("step CNAME mx"), \
    TEXT("*.wild A 192.0.2.9"), TEXT("*.wildalias CNAME mx"), \
    TEXT("deep.below.empty A 192.0.2.3"), \
    TEXT("old DNAME new"), TEXT("a.new A 192.0.2.4"), \
    TEXT("leaves CNAME host.plain.example."), \
    TEXT("crosses CNAME mx.good3.example."), \
    TEXT("missing CNAME nowhere"), \
    TEXT("spf TXT v=spf1 -all; and more"), \
    TEXT("two 300 TXT \"one\" \"two\""), \
    TEXT("*._tcp.w TLSA 3 1 1 @leaf"), TEXT("*.star TLSA 3 1 1 @leaf"), \
    TEXT("_25._tcp.c CNAME _dane"), TEXT("_dane TLSA 3 1 1 @leaf"), \
    TEXT("out DNAME plain.example."), TEXT("in DNAME good3.example."), \
    TEXT("year 31557600 TLSA 3 1 1 @leaf"), \
    TEXT("zero 0 TLSA 3 1 1 @leaf")

static struct lab_zone zones[] = {
	{ .name = TEXT("example"), .records = LIST(
	    TEXT("lame NS lab-ns.lame"), TEXT("lab-ns.lame A 198.51.100.250"),
	    TEXT("algorithm DS 1 250 2 " DIGEST)),
	    .expired_sets = LIST(TEXT("dsold DS")),
	    .tampered_sets = LIST(TEXT("dschanged DS")),
	    .unsigned_sets = LIST(TEXT("dsbare DS")) },
	{ .name = TEXT("good.example"), .records = LIST(TREE_RECORDS,
	    TEXT("t0 TLSA \\# 0"), TEXT("t1 TLSA \\# 1 03"),
	    TEXT("t2 TLSA \\# 2 0301"), TEXT("t3 TLSA \\# 3 030101")) },
	{ .name = TEXT("good3.example"), .denial = LAB_NSEC3,
	    .records = LIST(TREE_RECORDS) },
	{ .name = TEXT("optout.example"), .denial = LAB_NSEC3_OPT_OUT,
	    .records = LIST(TREE_RECORDS) },
	{ .name = TEXT("sub.optout.example"), .signing = LAB_UNSIGNED,
	    .records = LIST(HOST_RECORDS) },
	{ .name = TEXT("deep.sub.optout.example"), .signing = LAB_UNSIGNED,
	    .records = LIST(HOST_RECORDS) },
	{ .name = TEXT("signed.optout.example"),
	    .records = LIST(HOST_RECORDS) },
	{ .name = TEXT("plain.example"), .signing = LAB_UNSIGNED,
	    .records = LIST(TEXT("host A 192.0.2.5"),
	    TEXT("into CNAME mx.good.example."), TREE_RECORDS),
	    .answers = LIST(TEXT("forged TLSA nxdomain")) },
	{ .name = TEXT("plain.good3.example"), .signing = LAB_UNSIGNED,
	    .records = LIST(HOST_RECORDS) },
	{ .name = TEXT("below.three.labels.example"),
	    .records = LIST(HOST_RECORDS) },
	{ .name = TEXT("expired.example"), .validity = LAB_EXPIRED,
	    .records = LIST(HOST_RECORDS) },
	{ .name = TEXT("future.example"), .validity = LAB_FUTURE,
	    .records = LIST(HOST_RECORDS) },
	{ .name = TEXT("wrongds.example"), .signing = LAB_WRONG_DS,
	    .records = LIST(HOST_RECORDS) },
	{ .name = TEXT("stripped.example"), .signing = LAB_STRIPPED,
	    .records = LIST(HOST_RECORDS) },
	/* The parent has a DS of an algorithm that nobody knows. */
	{ .name = TEXT("algorithm.example"),
	    .records = LIST(HOST_RECORDS) },
	{ .name = TEXT("sets.example"), .records = LIST(HOST_RECORDS,
	    TEXT("f A 192.0.2.6"), TEXT("t TLSA 3 1 1 " DIGEST),
	    TEXT("m MX 1 mx"), TEXT("u A 192.0.2.7"), TEXT("n A 192.0.2.8")),
	    .expired_sets = LIST(TEXT("_25._tcp.mx TLSA"), TEXT("n NSEC")),
	    .future_sets = LIST(TEXT("f A")),
	    .tampered_sets = LIST(TEXT("t TLSA"), TEXT("m MX")),
	    .unsigned_sets = LIST(TEXT("u A")) },
	{ .name = TEXT("lies.example"), .records = LIST(HOST_RECORDS,
	    TEXT("r A 192.0.2.1"), TEXT("s A 192.0.2.1"),
	    TEXT("f A 192.0.2.1"), TEXT("n A 192.0.2.1"),
	    TEXT("x A 192.0.2.1"), TEXT("d A 192.0.2.1"),
	    TEXT("tc A 192.0.2.1"), TEXT("all A 192.0.2.1"),
	    TEXT("y.all A 192.0.2.1")),
	    .answers = LIST(TEXT("_25._tcp.mx TLSA servfail"),
	    TEXT("r A refused"), TEXT("s A silence"), TEXT("f A formerr"),
	    TEXT("n A notimp"), TEXT("x ANY nxdomain"), TEXT("d A nodata"),
	    TEXT("tc A truncated"), TEXT("y.all ANY true"),
	    TEXT("*.all ANY servfail")) },
	{ .name = TEXT("dead.example"), .records = LIST(HOST_RECORDS),
	    .answers = LIST(TEXT("* ANY silence")) },
	{ .name = TEXT("dsold.example"), .records = LIST(HOST_RECORDS) },
	{ .name = TEXT("dschanged.example"), .records = LIST(HOST_RECORDS) },
	{ .name = TEXT("dsbare.example"), .records = LIST(HOST_RECORDS) },
	{ .name = TEXT("keyold.example"), .records = LIST(HOST_RECORDS),
	    .expired_sets = LIST(TEXT("@ DNSKEY")) },
	{ .name = TEXT("keybare.example"), .records = LIST(HOST_RECORDS),
	    .unsigned_sets = LIST(TEXT("@ DNSKEY")) },
	{ .name = TEXT("proofless.example"), .records = LIST(HOST_RECORDS,
	    TEXT("a A 192.0.2.1"), TEXT("b A 192.0.2.1")),
	    .unsigned_sets = LIST(TEXT("a NSEC")),
	    .expired_sets = LIST(TEXT("b NSEC")) },
	{ .name = TEXT("proofless3.example"), .denial = LAB_NSEC3,
	    .records = LIST(HOST_RECORDS, TEXT("a A 192.0.2.1"),
	    TEXT("b A 192.0.2.1")),
	    .unsigned_sets = LIST(TEXT("a NSEC3")),
	    .tampered_sets = LIST(TEXT("b NSEC3")) },
	{ .name = TEXT("riddle.example"), .signing = LAB_UNKNOWN_ALGORITHM,
	    .records = LIST(HOST_RECORDS) },
	{ .name = TEXT("riddle3.example"), .signing = LAB_UNKNOWN_ALGORITHM,
	    .denial = LAB_NSEC3, .records = LIST(HOST_RECORDS) },
	{ .name = TEXT("digest.example"), .signing = LAB_UNKNOWN_DIGEST,
	    .records = LIST(HOST_RECORDS) },
	{ .name = TEXT("keyless.example"), .signing = LAB_NO_KEYS,
	    .records = LIST(HOST_RECORDS) },
	{ .name = TEXT("keyless3.example"), .signing = LAB_NO_KEYS,
	    .denial = LAB_NSEC3, .records = LIST(HOST_RECORDS) },
	{ .name = TEXT("hashed.example"), .denial = LAB_NSEC3,
	    .iterations = 100, .records = LIST(TREE_RECORDS) },
	{ .name = TEXT("toil.example"), .denial = LAB_NSEC3,
	    .iterations = 2000, .records = LIST(TREE_RECORDS) },
	{ .name = TEXT("more.example"), .records = LIST(HOST_RECORDS,
	    TEXT("t A 192.0.2.1"), TEXT("new A 192.0.2.1"),
	    TEXT("e A 192.0.2.1"), TEXT("o A 192.0.2.1"),
	    TEXT("g A 192.0.2.1"), TEXT("s TLSA 3 1 1 @leaf"),
	    TEXT("x TLSA 3 1 1 @leaf"), TEXT("d TLSA 3 1 1 @leaf"),
	    TEXT("c A 192.0.2.1")),
	    .answers = LIST(TEXT("t A tcp-only"),
	    TEXT("e ANY empty"), TEXT("o ANY other-proof"),
	    TEXT("none ANY other-proof"), TEXT("g ANY garbage")),
	    .substitutes = LIST(TEXT("s TLSA TLSA 3 1 1 " DIGEST),
	    TEXT("x TLSA A 192.0.2.1"), TEXT("d TLSA TLSA 3 1 1 " DIGEST),
	    TEXT("d TLSA TLSA 3 1 1 " DIGEST), TEXT("c ANY CNAME mx"),
	    TEXT("new MX MX 0 .")) },
	{ .name = TEXT("more3.example"), .denial = LAB_NSEC3,
	    .records = LIST(HOST_RECORDS, TEXT("o A 192.0.2.1")),
	    .answers = LIST(TEXT("o ANY other-proof"),
	    TEXT("none ANY other-proof")) },
	{ .name = TEXT("moreplain.example"), .signing = LAB_UNSIGNED,
	    .records = LIST(TEXT("e A 192.0.2.1"), TEXT("o A 192.0.2.1"),
	    TEXT("x TLSA 3 1 1 @leaf"), TEXT("s A 192.0.2.1")),
	    .answers = LIST(TEXT("e A empty"), TEXT("o A other-proof")),
	    .substitutes = LIST(TEXT("x TLSA A 192.0.2.1"),
	    TEXT("s A A 192.0.2.7")) },
	{ .name = TEXT("late.example"), .records = LIST(HOST_RECORDS),
	    .answers = LIST(TEXT("mx A late")) },
	{ .name = TEXT("patient.example"), .negative_ttl = 600 },
	{ .name = TEXT("brief.example"), .negative_ttl = 1 },
	{ .name = TEXT("mute.example"), .servers = 2,
	    .records = LIST(HOST_RECORDS),
	    .answers = LIST(TEXT("* ANY silence 1")) },
	{ .name = TEXT("pair.example"), .servers = 2,
	    .records = LIST(HOST_RECORDS, TEXT("e A 192.0.2.1")),
	    .answers = LIST(TEXT("_25._tcp.mx TLSA silence 2"),
	    TEXT("e A servfail")) },
	{ .name = TEXT("pairgarbage.example"), .servers = 2,
	    .records = LIST(HOST_RECORDS),
	    .answers = LIST(TEXT("mx A garbage 1")) },
	{ .name = TEXT("pairrefused.example"), .servers = 2,
	    .records = LIST(HOST_RECORDS),
	    .answers = LIST(TEXT("mx A refused 2")) },
	{ .name = TEXT("four.example"), .servers = 4,
	    .records = LIST(HOST_RECORDS),
	    .answers = LIST(TEXT("* ANY refused 1"), TEXT("* ANY servfail 2"),
	    TEXT("* ANY formerr 4")) },
	{ .name = TEXT("loops.example"), .records = LIST(
	    TEXT("a CNAME b"), TEXT("b CNAME a"), TEXT("self CNAME self"),
	    TEXT("d DNAME e.d"), TEXT("over CNAME over.loopsplain.example."),
	    TEXT("c0 CNAME c1"), TEXT("c1 CNAME c2"), TEXT("c2 CNAME c3"),
	    TEXT("c3 CNAME c4"), TEXT("c4 CNAME c5"), TEXT("c5 CNAME c6"),
	    TEXT("c6 CNAME c7"), TEXT("c7 CNAME c8"), TEXT("c8 CNAME c9"),
	    TEXT("c9 A 192.0.2.1"), TEXT("top CNAME ."),
	    TEXT("odd CNAME a\\032\\000b"), TEXT("a\\032\\000b A 192.0.2.1"),
	    TEXT("raw0 CNAME \\# 0"), TEXT("raw CNAME \\# 2 0561"),
	    TEXT("mx MX \\# 2 000a"), TEXT("a3 A \\# 3 c00002"),
	    TEXT("ns NS \\# 2 0561"), TEXT("dn DNAME \\# 1 05"),
	    TEXT("new TYPE65280 \\# 3 010203")) },
	{ .name = TEXT("loopsplain.example"), .signing = LAB_UNSIGNED,
	    .records = LIST(TEXT("over CNAME over.loops.example.")) },
	{ .name = TEXT("flat"), .signing = LAB_UNSIGNED },
	{ .name = TEXT("island.flat"), .records = LIST(HOST_RECORDS) },
	{ .name = TEXT("made.test"), .records = LIST(HOST_RECORDS) },
};

static struct lab_certificate certificates[] = {
	{ .name = TEXT("leaf"), .names = LIST(TEXT("mx.good.example")),
	    .common_name = TEXT(""), .organization = TEXT("") },
};

enum { ZONES = sizeof(zones) / sizeof(zones[0]), BIG_RECORDS = 200 };

static struct {
	struct lab_world	 world;
	struct arena		*arena;
	struct lab_identities	*identities;
	struct lab_keys		*keys;
	struct lab_names	*names;
	int			 events[2];	/* read, write */
	int			 seen;		/* a line for each event */
	char			 no_namespace[512];
	pid_t			 servers, resolver, reader;
	struct ub_ctx		*context;
} lab;

/* good.example with a set that no datagram holds. */
static void add_big_set(struct lab_zone *zone)
{
	size_t count = zone->records.count, i;
	char **items = arena_alloc_array(lab.arena, count + BIG_RECORDS,
	    sizeof(*items));

	memcpy(items, zone->records.items, count * sizeof(*items));
	for (i = 0; i < BIG_RECORDS; i++)
		items[count + i] = arena_print(lab.arena, "big TLSA 3 1 1 "
		    "%02x" "02030405060708090a0b0c0d0e0f1011"
		    "12131415161718191a1b1c1d1e1f20", (unsigned)i);
	zone->records.items = items;
	zone->records.count = count + BIG_RECORDS;
}

static int set_up(void **state)
{
	char error[1024] = "";

	(void)state;
	lab.arena = arena_new(4 << 20);
	lab.world = (struct lab_world){ .zones = zones, .zone_count = ZONES,
	    .certificates = certificates, .certificate_count = 1 };
	add_big_set(&zones[1]);
	lab.identities = lab_identities_new(&lab.world, lab.arena);
	lab.keys = lab_keys_new();
	lab.names = lab_names_new(&lab.world, lab.identities, lab.keys, error,
	    sizeof(error));
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

enum flag { WITH_DO = 1, WITH_AD = 2, WITH_CD = 4 };

static size_t make_query(uint8_t *out, const char *name, int type, int flags)
{
	ldns_pkt *packet = ldns_pkt_query_new(ldns_dname_new_frm_str(name),
	    (ldns_rr_type)type, LDNS_RR_CLASS_IN, LDNS_RD);
	uint8_t *wire;
	size_t length;

	ldns_pkt_set_id(packet, 4711);
	ldns_pkt_set_ad(packet, flags & WITH_AD);
	ldns_pkt_set_cd(packet, flags & WITH_CD);
	if (flags & WITH_DO) {
		ldns_pkt_set_edns_udp_size(packet, 4096);
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

/* The answer of a zone's server; null: silence. */
static ldns_pkt *answer_of(const char *zone, const char *name, int type,
    int flags, bool is_tcp)
{
	const struct served_zone *served = lab_names_zone(lab.names, zone);
	uint8_t query[LAB_QUERY_MAX];
	const struct lab_query asked = { .data = query, .is_tcp = is_tcp,
	    .length = make_query(query, name, type, flags) };
	struct lab_reply reply;
	ldns_pkt *packet = NULL;

	assert_non_null(served);
	lab_answer(served, &asked, &reply);
	if (reply.packet != NULL) {
		assert_int_equal(ldns_wire2pkt(&packet, reply.packet,
		    reply.length), LDNS_STATUS_OK);
		assert_int_equal(ldns_pkt_id(packet), 4711);
		assert_true(ldns_pkt_qr(packet));
	}
	lab_reply_release(&reply);
	return packet;
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

/* --- answers without sockets --- */

struct shape {
	const char	*zone, *name;
	int		 type, flags, rcode;
	/* "answer/authority/additional", types in order */
	const char	*sections;
};

static void add_section(char *out, size_t size, const ldns_rr_list *list)
{
	size_t i, used;
	char *type;

	for (i = 0; i < ldns_rr_list_rr_count(list); i++) {
		used = strlen(out);
		type = ldns_rr_type2str(ldns_rr_get_type(
		    ldns_rr_list_rr(list, i)));
		snprintf(out + used, size - used, "%s%s", used > 0 &&
		    out[used - 1] != '/' ? " " : "", type);
		LDNS_FREE(type);
	}
}

static void test_shapes(void **state)
{
	static const struct shape shapes[] = {
		{ "good.example", "mx.good.example", A, 0, NOERROR, "A//" },
		{ "good.example", "MX.Good.Example", A, WITH_DO, NOERROR,
		    "A RRSIG//" },
		{ "good.example", "good.example", NS, 0, NOERROR, "NS//A" },
		{ "good.example", "good.example", DNSKEY, WITH_DO, NOERROR,
		    "DNSKEY RRSIG//" },
		{ "good.example", "mx.good.example", TLSA, 0, NOERROR,
		    "/SOA/" },
		{ "good.example", "mx.good.example", TLSA, WITH_DO, NOERROR,
		    "/SOA RRSIG NSEC RRSIG/" },
		{ "good.example", "nowhere.good.example", A, WITH_DO, NXDOMAIN,
		    "/SOA RRSIG NSEC RRSIG NSEC RRSIG/" },
		{ "good.example", "empty.good.example", A, 0, NOERROR,
		    "/SOA/" },
		{ "good.example", "x.wild.good.example", A, WITH_DO, NOERROR,
		    "A RRSIG/NSEC RRSIG/" },
		{ "good.example", "alias.good.example", A, WITH_DO, NOERROR,
		    "CNAME RRSIG CNAME RRSIG A RRSIG//" },
		{ "good.example", "alias.good.example", CNAME, 0, NOERROR,
		    "CNAME//" },
		{ "good.example", "leaves.good.example", A, 0, NOERROR,
		    "CNAME//" },
		{ "good.example", "missing.good.example", A, 0, NXDOMAIN,
		    "CNAME/SOA/" },
		{ "good.example", "a.old.good.example", A, WITH_DO, NOERROR,
		    "DNAME RRSIG CNAME A RRSIG//" },
		{ "good.example", "old.good.example", A, 0, NOERROR,
		    "/SOA/" },
		{ "good.example", "other.example", A, 0, REFUSED, "//" },
		{ "example", "mx.good.example", A, WITH_DO, NOERROR,
		    "/NS DS RRSIG/A" },
		{ "example", "good.example", DS, WITH_DO, NOERROR,
		    "DS RRSIG//" },
		{ "example", "host.plain.example", A, WITH_DO, NOERROR,
		    "/NS NSEC RRSIG/A" },
		{ "example", "plain.example", DS, WITH_DO, NOERROR,
		    "/SOA RRSIG NSEC RRSIG/" },
		{ "example", "x.below.three.labels.example", A, 0, NOERROR,
		    "/NS DS/A" },
		{ "example", "labels.example", A, 0, NOERROR, "/SOA/" },
		{ "good3.example", "nowhere.good3.example", A, WITH_DO,
		    NXDOMAIN, NULL },
		{ "good3.example", "x.plain.good3.example", A, WITH_DO,
		    NOERROR, "/NS NSEC3 RRSIG/A" },
		/* A true opt-out: no NSEC3 of its own, but a span. */
		{ "optout.example", "x.sub.optout.example", A, WITH_DO,
		    NOERROR, "/NS NSEC3 RRSIG NSEC3 RRSIG/A" },
		{ "optout.example", "x.signed.optout.example", A, WITH_DO,
		    NOERROR, "/NS DS RRSIG/A" },
		{ "plain.example", "host.plain.example", A, WITH_DO, NOERROR,
		    "A//" },
		{ "plain.example", "nowhere.plain.example", A, WITH_DO,
		    NXDOMAIN, "/SOA/" },
		{ "plain.example", "empty.plain.example", A, WITH_DO, NOERROR,
		    "/SOA/" },
		{ "stripped.example", "mx.stripped.example", A, WITH_DO,
		    NOERROR, "A//" },
		{ "stripped.example", "no.stripped.example", A, WITH_DO,
		    NXDOMAIN, "/SOA/" },
		{ "lies.example", "d.lies.example", A, WITH_DO, NOERROR,
		    "/SOA/" },
		{ "lies.example", "x.lies.example", MX, WITH_DO, NXDOMAIN,
		    "/SOA/" },
		{ "lies.example", "b.a.all.lies.example", MX, 0, SERVFAIL,
		    "//" },
		{ "lies.example", "y.all.lies.example", A, 0, NOERROR, "A//" },
		{ "lies.example", "all.lies.example", A, 0, NOERROR, "A//" },
		{ ".", "mx.good.example", A, 0, NOERROR, "/NS DS/A" },
		{ ".", ".", NS, WITH_DO, NOERROR, "NS RRSIG//A RRSIG" },
	};
	const struct shape *shape;
	char sections[256];
	ldns_pkt *packet;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
		shape = &shapes[i];
		packet = answer_of(shape->zone, shape->name, shape->type,
		    shape->flags, false);
		assert_non_null(packet);
		sections[0] = '\0';
		add_section(sections, sizeof(sections),
		    ldns_pkt_answer(packet));
		strncat(sections, "/", 2);
		add_section(sections, sizeof(sections),
		    ldns_pkt_authority(packet));
		strncat(sections, "/", 2);
		add_section(sections, sizeof(sections),
		    ldns_pkt_additional(packet));
		if (ldns_pkt_get_rcode(packet) != (unsigned)shape->rcode ||
		    (shape->sections != NULL &&
		    strcmp(sections, shape->sections) != 0))
			fail_msg("%s %d: rcode %d, %s", shape->name,
			    shape->type, ldns_pkt_get_rcode(packet), sections);
		assert_int_equal(ldns_pkt_edns(packet), shape->flags &
		    WITH_DO);
		ldns_pkt_free(packet);
	}
}

static void test_truncation(void **state)
{
	ldns_pkt *packet;

	(void)state;
	packet = answer_of("good.example", "big.good.example", TLSA, WITH_DO,
	    false);
	assert_true(ldns_pkt_tc(packet));
	assert_int_equal(ldns_pkt_ancount(packet), 0);
	assert_true(ldns_pkt_edns(packet));
	ldns_pkt_free(packet);
	packet = answer_of("good.example", "big.good.example", TLSA, WITH_DO,
	    true);
	assert_false(ldns_pkt_tc(packet));
	assert_int_equal(count(ldns_pkt_answer(packet), TLSA), BIG_RECORDS);
	ldns_pkt_free(packet);
	/* Forced: in clear over UDP, silence over TCP. */
	packet = answer_of("lies.example", "tc.lies.example", A, 0, false);
	assert_true(ldns_pkt_tc(packet));
	ldns_pkt_free(packet);
	assert_null(answer_of("lies.example", "tc.lies.example", A, 0, true));
	assert_null(answer_of("lies.example", "s.lies.example", A, 0, false));
	assert_null(answer_of("lies.example", "s.lies.example", A, 0, true));
	assert_null(answer_of("dead.example", "dead.example", SOA, 0, false));
	assert_null(answer_of("dead.example", "mx.dead.example", A, 0, true));
}

/* Validators forgive a day at most (facts: val-sig-skew). */
static void test_dates(void **state)
{
	static const struct {
		const char	*zone, *name;
		int		 type, late;	/* 1: expired, -1: future */
	} cases[] = {
		{ "good.example", "mx.good.example", A, 0 },
		{ "expired.example", "mx.expired.example", A, 1 },
		{ "future.example", "mx.future.example", A, -1 },
		{ "sets.example", "_25._tcp.mx.sets.example", TLSA, 1 },
		{ "sets.example", "f.sets.example", A, -1 },
		{ "sets.example", "mx.sets.example", A, 0 },
	};
	const int64_t now = time(NULL), days = 86400;
	ldns_rr *signature;
	ldns_pkt *packet;
	int64_t from, until;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		packet = answer_of(cases[i].zone, cases[i].name,
		    cases[i].type, WITH_DO, false);
		assert_int_equal(ldns_pkt_ancount(packet), 2);
		signature = ldns_rr_list_rr(ldns_pkt_answer(packet), 1);
		from = ldns_rdf2native_int32(
		    ldns_rr_rrsig_inception(signature));
		until = ldns_rdf2native_int32(
		    ldns_rr_rrsig_expiration(signature));
		assert_true(from < until);
		if (cases[i].late == 0)
			assert_true(from < now && until > now + days);
		else if (cases[i].late > 0)
			assert_true(until <= now - 2 * days);
		else
			assert_true(from >= now + 2 * days);
		ldns_pkt_free(packet);
	}
}

/* The certificate's digest, TXT without quotes, and a TTL. */
static void test_record_forms(void **state)
{
	const struct lab_identity *leaf = lab_identity_find(lab.identities,
	    "leaf");
	const struct lab_tlsa_form form = { 3, 1, 1, LAB_TLSA_BY_USAGE };
	char *wanted = lab_tlsa_data(leaf, &form, lab.arena), *text;
	ldns_pkt *packet;

	(void)state;
	packet = answer_of("good.example", "_25._tcp.mx.good.example", TLSA, 0,
	    false);
	assert_int_equal(ldns_pkt_ancount(packet), 1);
	text = ldns_rdf2str(ldns_rr_rdf(ldns_rr_list_rr(
	    ldns_pkt_answer(packet), 0), 3));
	assert_int_equal(strcasecmp(text, wanted), 0);
	LDNS_FREE(text);
	assert_int_equal(ldns_rr_ttl(ldns_rr_list_rr(ldns_pkt_answer(packet),
	    0)), 1);
	ldns_pkt_free(packet);
	packet = answer_of("good.example", "spf.good.example", TXT, 0, false);
	text = ldns_rdf2str(ldns_rr_rdf(ldns_rr_list_rr(
	    ldns_pkt_answer(packet), 0), 0));
	assert_string_equal(text, "\"v=spf1 -all; and more\"");
	LDNS_FREE(text);
	ldns_pkt_free(packet);
	packet = answer_of("good.example", "two.good.example", TXT, 0, false);
	assert_int_equal(ldns_rr_rd_count(ldns_rr_list_rr(
	    ldns_pkt_answer(packet), 0)), 2);
	assert_int_equal(ldns_rr_ttl(ldns_rr_list_rr(ldns_pkt_answer(packet),
	    0)), 300);
	ldns_pkt_free(packet);
}

/* Mail goes on with the same anchor and addresses in a world built anew. */
static void test_rebuilt(void **state)
{
	struct lab_zone fewer[] = { zones[5], zones[1], { .name = TEXT(".") } };
	struct lab_world world = { .zones = fewer, .zone_count = 3 };
	char *anchor = mem_dup_string(lab_keys_anchor(lab.keys));
	char error[256] = "";
	struct lab_names *names = lab_names_new(&world, lab.identities,
	    lab.keys, error, sizeof(error));
	const char *const same[] = { ".", "example", "good.example",
	    "deep.sub.optout.example" };
	size_t i;

	(void)state;
	assert_string_equal(error, "");
	for (i = 0; i < sizeof(same) / sizeof(same[0]); i++)
		assert_string_equal(
		    lab_names_zone(names, same[i])->addresses[0],
		    lab_names_zone(lab.names, same[i])->addresses[0]);
	assert_string_equal(lab_names_zone(names, ".")->addresses[0],
	    LAB_ROOT_SERVER);
	assert_string_equal(lab_keys_anchor(lab.keys), anchor);
	assert_null(strchr(anchor, '\n'));
	assert_non_null(strstr(lab_names_hints(), LAB_ROOT_SERVER));
	mem_free(anchor);
	lab_names_free(names);
}

static const struct {
	struct lab_zone	 zone;
	const char	*words[3];
} mistakes[] = {
	{ { .name = TEXT("a.lab"), .records = LIST(TEXT("mx A")) },
	    { "a.lab", "\"mx A\"" } },
	{ { .name = TEXT("a.lab"), .records = LIST(TEXT("mx")) },
	    { "a.lab", "\"mx\"", "OWNER" } },
	{ { .name = TEXT("a.lab"), .records = LIST(TEXT("mx A x.y")) },
	    { "a.lab", "\"mx A x.y\"" } },
	{ { .name = TEXT("a.lab"),
	    .records = LIST(TEXT("b.lab. A 192.0.2.1")) },
	    { "a.lab", "b.lab. A", "no name in this zone" } },
	{ { .name = TEXT("a.lab"),
	    .records = LIST(TEXT("x SPELL 1")) },
	    { "a.lab", "x SPELL 1", "unknown type" } },
	{ { .name = TEXT("a.lab"),
	    .records = LIST(TEXT("x TLSA 3 1 1 @nobody")) },
	    { "a.lab", "@nobody", "no certificate \"nobody\"" } },
	{ { .name = TEXT("a.lab"),
	    .records = LIST(TEXT("x TLSA 3 1 7 @leaf")) },
	    { "a.lab", "no TLSA data" } },
	{ { .name = TEXT("a.lab"),
	    .records = LIST(TEXT("@ NS ns.b.lab.")) },
	    { "a.lab", "made by the lab" } },
	{ { .name = TEXT("a.lab"), .records = LIST(
	    TEXT("x CNAME y"), TEXT("x A 192.0.2.1")) },
	    { "a.lab", "x.a.lab.", "CNAME" } },
	{ { .name = TEXT("a.lab"), .expired_sets = LIST(
	    TEXT("x A")) }, { "a.lab", "\"x A\"", "no such set" } },
	{ { .name = TEXT("a.lab"), .signing = LAB_UNSIGNED,
	    .records = LIST(TEXT("x A 192.0.2.1")),
	    .expired_sets = LIST(TEXT("x A")) },
	    { "a.lab", "\"x A\"", "no signature" } },
	{ { .name = TEXT("a.lab"),
	    .records = LIST(TEXT("x TLSA \\# 0")),
	    .tampered_sets = LIST(TEXT("x TLSA")) },
	    { "a.lab", "\"x TLSA\"", "no data" } },
	{ { .name = TEXT("a.lab"),
	    .answers = LIST(TEXT("x A perhaps")) },
	    { "a.lab", "x A perhaps", "servfail" } },
	{ { .name = TEXT("a..lab") }, { "a..lab" } },
};

static void test_mistakes(void **state)
{
	struct lab_world world = { .zone_count = 1 };
	struct lab_names *names;
	char error[1024];
	size_t i, k;

	(void)state;
	for (i = 0; i < sizeof(mistakes) / sizeof(mistakes[0]); i++) {
		struct lab_zone zone = mistakes[i].zone;

		world.zones = &zone;
		error[0] = '\0';
		names = lab_names_new(&world, lab.identities, lab.keys, error,
		    sizeof(error));
		if (names != NULL)
			fail_msg("case %zu was taken", i);
		for (k = 0; k < 3 && mistakes[i].words[k] != NULL; k++)
			if (strstr(error, mistakes[i].words[k]) == NULL)
				fail_msg("case %zu: %s", i, error);
	}
	world.zones = (struct lab_zone[]){ { .name = TEXT("a.lab") },
	    { .name = TEXT("a.lab") } };
	world.zone_count = 2;
	assert_null(lab_names_new(&world, lab.identities, lab.keys, error,
	    sizeof(error)));
	assert_non_null(strstr(error, "twice"));
}

/* Any bytes: an answer that can be read, or none; no harm. */
static void test_hostile_queries(void **state)
{
	const struct served_zone *zone = lab_names_zone(lab.names,
	    "good3.example");
	uint8_t query[LAB_QUERY_MAX + 1], seed[LAB_QUERY_MAX];
	size_t length = make_query(seed, "x.wild.good3.example", A, WITH_DO);
	struct lab_reply reply;
	unsigned round, random = 12345, change;
	struct lab_query asked;
	ldns_pkt *packet;
	size_t size;

	(void)state;
	for (round = 0; round < 20000; round++) {
		memset(query, 0, sizeof(query));
		memcpy(query, seed, length);
		for (change = 0; change <= round % 4; change++) {
			random = random * 1103515245 + 12345;
			query[(random >> 8) % length] = (uint8_t)(random >> 20);
		}
		random = random * 1103515245 + 12345;
		size = random % 8 != 0 ? length : (random >> 8) %
		    sizeof(query);
		asked = (struct lab_query){ .data = query, .length = size,
		    .is_tcp = round & 1 };
		lab_answer(zone, &asked, &reply);
		if (reply.packet != NULL) {
			assert_int_equal(ldns_wire2pkt(&packet, reply.packet,
			    reply.length), LDNS_STATUS_OK);
			assert_true((round & 1) || reply.length <=
			    LAB_UDP_MAX);
			ldns_pkt_free(packet);
		}
		lab_reply_release(&reply);
	}
}

/* --- the whole, in a namespace --- */

struct row {
	const char	*name;
	int		 type;
	int		 rcode;		/* libunbound's own; or 0 and */
	int		 header;	/* the packet's; -1: it has data that
					 * cannot be read */
	int		 security;
	size_t		 records;	/* of the type, in the answer */
};

static const struct row matrix[] = {
	/* secure */
	{ "_25._tcp.mx.good.example", TLSA, 0, NOERROR, SECURE, 1 },
	{ "good.example", MX, 0, NOERROR, SECURE, 1 },
	{ "mx.good.example", A, 0, NOERROR, SECURE, 1 },
	{ "alias.good.example", A, 0, NOERROR, SECURE, 1 },
	{ "crosses.good.example", A, 0, NOERROR, SECURE, 1 },
	{ "a.old.good.example", A, 0, NOERROR, SECURE, 1 },
	{ "x.wild.good.example", A, 0, NOERROR, SECURE, 1 },
	{ "y.x.wild.good.example", A, 0, NOERROR, SECURE, 1 },
	{ "x.wild.good.example", MX, 0, NOERROR, SECURE, 0 },
	{ "x.wildalias.good.example", A, 0, NOERROR, SECURE, 1 },
	{ "nowhere.good.example", A, 0, NXDOMAIN, SECURE, 0 },
	{ "x.nowhere.good.example", A, 0, NXDOMAIN, SECURE, 0 },
	{ "missing.good.example", A, 0, NXDOMAIN, SECURE, 0 },
	{ "mx.good.example", TLSA, 0, NOERROR, SECURE, 0 },
	{ "mx.good.example", AAAA, 0, NOERROR, SECURE, 0 },
	{ "empty.good.example", A, 0, NOERROR, SECURE, 0 },
	{ "below.empty.good.example", A, 0, NOERROR, SECURE, 0 },
	{ "big.good.example", TLSA, 0, NOERROR, SECURE, BIG_RECORDS },
	{ "t0.good.example", TLSA, 0, NOERROR, SECURE, 1 },
	{ "t1.good.example", TLSA, 0, NOERROR, SECURE, 1 },
	{ "t2.good.example", TLSA, 0, NOERROR, SECURE, 1 },
	{ "t3.good.example", TLSA, 0, NOERROR, SECURE, 1 },
	{ "_25._tcp.mx.good3.example", TLSA, 0, NOERROR, SECURE, 1 },
	{ "alias.good3.example", A, 0, NOERROR, SECURE, 1 },
	{ "a.old.good3.example", A, 0, NOERROR, SECURE, 1 },
	{ "x.wild.good3.example", A, 0, NOERROR, SECURE, 1 },
	{ "y.x.wild.good3.example", A, 0, NOERROR, SECURE, 1 },
	{ "x.wild.good3.example", MX, 0, NOERROR, SECURE, 0 },
	{ "x.wildalias.good3.example", A, 0, NOERROR, SECURE, 1 },
	{ "nowhere.good3.example", A, 0, NXDOMAIN, SECURE, 0 },
	{ "y.x.nowhere.good3.example", A, 0, NXDOMAIN, SECURE, 0 },
	{ "mx.good3.example", TLSA, 0, NOERROR, SECURE, 0 },
	{ "empty.good3.example", A, 0, NOERROR, SECURE, 0 },
	{ "below.empty.good3.example", A, 0, NOERROR, SECURE, 0 },
	{ "_25._tcp.mx.optout.example", TLSA, 0, NOERROR, SECURE, 1 },
	{ "mx.optout.example", TLSA, 0, NOERROR, SECURE, 0 },
	{ "_25._tcp.mx.signed.optout.example", TLSA, 0, NOERROR, SECURE, 1 },
	{ "mx.below.three.labels.example", A, 0, NOERROR, SECURE, 1 },
	{ "three.labels.example", A, 0, NOERROR, SECURE, 0 },
	{ "good.example", DS, 0, NOERROR, SECURE, 1 },
	{ "plain.example", DS, 0, NOERROR, SECURE, 0 },
	{ "nowhere", A, 0, NXDOMAIN, SECURE, 0 },
	{ "_25._tcp.mx.made.test", TLSA, 0, NOERROR, SECURE, 1 },
	{ "_25._tcp.w.good.example", TLSA, 0, NOERROR, SECURE, 1 },
	{ "_25._tcp.w.good3.example", TLSA, 0, NOERROR, SECURE, 1 },
	{ "_25._tcp.mx.star.good.example", TLSA, 0, NOERROR, SECURE, 1 },
	{ "_25._tcp.c.good.example", TLSA, 0, NOERROR, SECURE, 1 },
	{ "mx.in.good.example", A, 0, NOERROR, SECURE, 1 },
	{ "year.good.example", TLSA, 0, NOERROR, SECURE, 1 },
	{ "zero.good.example", TLSA, 0, NOERROR, SECURE, 1 },
	{ "a.proofless.example", A, 0, NOERROR, SECURE, 1 },
	{ "mx.hashed.example", A, 0, NOERROR, SECURE, 1 },
	{ "no.hashed.example", A, 0, NXDOMAIN, SECURE, 0 },
	{ "mx.hashed.example", TLSA, 0, NOERROR, SECURE, 0 },
	{ "x.wild.hashed.example", A, 0, NOERROR, SECURE, 1 },
	{ "mx.toil.example", A, 0, NOERROR, SECURE, 1 },
	{ "t.more.example", A, 0, NOERROR, SECURE, 1 },
	{ "s.more.example", TLSA, 0, NOERROR, SECURE, 1 },
	{ "d.more.example", TLSA, 0, NOERROR, SECURE, 2 },
	{ "c.more.example", A, 0, NOERROR, SECURE, 1 },
	{ "new.more.example", MX, 0, NOERROR, SECURE, 1 },
	{ "_25._tcp.mx.mute.example", TLSA, 0, NOERROR, SECURE, 1 },
	{ "no.mute.example", A, 0, NXDOMAIN, SECURE, 0 },
	{ "_25._tcp.mx.pair.example", TLSA, 0, NOERROR, SECURE, 1 },
	{ "mx.pairgarbage.example", A, 0, NOERROR, SECURE, 1 },
	{ "mx.pairrefused.example", A, 0, NOERROR, SECURE, 1 },
	{ "_25._tcp.mx.four.example", TLSA, 0, NOERROR, SECURE, 1 },
	{ "c0.loops.example", A, 0, NOERROR, SECURE, 1 },
	{ "top.loops.example", A, 0, NOERROR, SECURE, 0 },
	{ "odd.loops.example", A, 0, NOERROR, SECURE, 1 },
	{ "mx.loops.example", MX, 0, NOERROR, SECURE, 1 },
	{ "new.loops.example", 65280, 0, NOERROR, SECURE, 1 },
	/* secure, and nothing that libldns could read */
	{ "a3.loops.example", A, 0, -1, SECURE, 0 },
	/* insecure */
	{ "host.plain.example", A, 0, NOERROR, INSECURE, 1 },
	{ "_25._tcp.mx.plain.example", TLSA, 0, NOERROR, INSECURE, 1 },
	{ "alias.plain.example", A, 0, NOERROR, INSECURE, 1 },
	{ "x.wild.plain.example", A, 0, NOERROR, INSECURE, 1 },
	{ "nowhere.plain.example", A, 0, NXDOMAIN, INSECURE, 0 },
	{ "empty.plain.example", A, 0, NOERROR, INSECURE, 0 },
	{ "forged.plain.example", TLSA, 0, NXDOMAIN, INSECURE, 0 },
	{ "leaves.good.example", A, 0, NOERROR, INSECURE, 1 },
	{ "_25._tcp.mx.plain.good3.example", TLSA, 0, NOERROR, INSECURE, 1 },
	{ "_25._tcp.mx.sub.optout.example", TLSA, 0, NOERROR, INSECURE, 1 },
	{ "mx.deep.sub.optout.example", A, 0, NOERROR, INSECURE, 1 },
	/* in the span of an opt-out no absence is proved (RFC 5155 9.2) */
	{ "x.wild.optout.example", A, 0, NOERROR, INSECURE, 1 },
	{ "nowhere.optout.example", A, 0, NXDOMAIN, INSECURE, 0 },
	{ "_25._tcp.mx.island.flat", TLSA, 0, NOERROR, INSECURE, 1 },
	{ "mx.algorithm.example", A, 0, NOERROR, INSECURE, 1 },
	/* more iterations than validators take (RFC 9276 3.2), keys and
	 * digests that nobody knows (RFC 4035 5.2) */
	{ "host.out.good.example", A, 0, NOERROR, INSECURE, 1 },
	{ "into.plain.example", A, 0, NOERROR, INSECURE, 1 },
	{ "mx.riddle.example", A, 0, NOERROR, INSECURE, 1 },
	{ "_25._tcp.mx.riddle.example", TLSA, 0, NOERROR, INSECURE, 1 },
	{ "no.riddle.example", A, 0, NXDOMAIN, INSECURE, 0 },
	{ "mx.riddle3.example", A, 0, NOERROR, INSECURE, 1 },
	{ "_25._tcp.mx.digest.example", TLSA, 0, NOERROR, INSECURE, 1 },
	{ "no.digest.example", A, 0, NXDOMAIN, INSECURE, 0 },
	{ "no.toil.example", A, 0, NXDOMAIN, INSECURE, 0 },
	{ "mx.toil.example", TLSA, 0, NOERROR, INSECURE, 0 },
	{ "e.moreplain.example", A, 0, NOERROR, INSECURE, 0 },
	{ "o.moreplain.example", A, 0, NOERROR, INSECURE, 0 },
	{ "x.moreplain.example", TLSA, 0, NOERROR, INSECURE, 0 },
	{ "s.moreplain.example", A, 0, NOERROR, INSECURE, 1 },
	/* bogus */
	{ "mx.expired.example", A, 0, NOERROR, BOGUS, 1 },
	{ "_25._tcp.mx.expired.example", TLSA, 0, NOERROR, BOGUS, 1 },
	{ "mx.future.example", A, 0, NOERROR, BOGUS, 1 },
	{ "mx.wrongds.example", A, 0, NOERROR, BOGUS, 1 },
	{ "_25._tcp.mx.sets.example", TLSA, 0, NOERROR, BOGUS, 1 },
	{ "mx.sets.example", A, 0, NOERROR, SECURE, 1 },
	{ "f.sets.example", A, 0, NOERROR, BOGUS, 1 },
	{ "t.sets.example", TLSA, 0, NOERROR, BOGUS, 1 },
	{ "m.sets.example", MX, 0, NOERROR, BOGUS, 1 },
	{ "n.sets.example", A, 0, NOERROR, SECURE, 1 },
	{ "n.sets.example", MX, 0, NOERROR, BOGUS, 0 },
	{ "mx.dsold.example", A, 0, NOERROR, BOGUS, 1 },
	{ "mx.dschanged.example", A, 0, NOERROR, BOGUS, 1 },
	{ "mx.dsbare.example", A, 0, NOERROR, BOGUS, 1 },
	{ "mx.keyold.example", A, 0, NOERROR, BOGUS, 1 },
	{ "mx.keybare.example", A, 0, NOERROR, BOGUS, 1 },
	{ "a.proofless.example", MX, 0, NOERROR, BOGUS, 0 },
	{ "b.proofless.example", MX, 0, NOERROR, BOGUS, 0 },
	{ "a.proofless3.example", MX, 0, NOERROR, BOGUS, 0 },
	{ "b.proofless3.example", MX, 0, NOERROR, BOGUS, 0 },
	{ "_25._tcp.mx.keyless.example", TLSA, 0, NOERROR, BOGUS, 1 },
	{ "no.keyless.example", A, 0, NXDOMAIN, BOGUS, 0 },
	{ "mx.keyless3.example", A, 0, NOERROR, BOGUS, 1 },
	{ "o.more.example", TLSA, 0, NOERROR, BOGUS, 0 },
	{ "o.more.example", A, 0, NOERROR, BOGUS, 0 },
	{ "none.more.example", A, 0, NOERROR, BOGUS, 0 },
	{ "o.more3.example", TLSA, 0, NOERROR, BOGUS, 0 },
	{ "none.more3.example", A, 0, NOERROR, BOGUS, 0 },
	/* no answer; stripped signatures and empty answers look like that */
	{ "mx.stripped.example", A, SERVFAIL, 0, 0, 0 },
	{ "u.sets.example", A, SERVFAIL, 0, 0, 0 },
	{ "_25._tcp.mx.lies.example", TLSA, SERVFAIL, 0, 0, 0 },
	{ "mx.lies.example", A, 0, NOERROR, SECURE, 1 },
	{ "r.lies.example", A, SERVFAIL, 0, 0, 0 },
	{ "f.lies.example", A, SERVFAIL, 0, 0, 0 },
	{ "n.lies.example", A, SERVFAIL, 0, 0, 0 },
	{ "s.lies.example", A, SERVFAIL, 0, 0, 0 },
	{ "mx.dead.example", A, SERVFAIL, 0, 0, 0 },
	{ "x.lame.example", A, SERVFAIL, 0, 0, 0 },
	{ "mx.late.example", A, SERVFAIL, 0, 0, 0 },
	{ "e.more.example", A, SERVFAIL, 0, 0, 0 },
	{ "e.more.example", TLSA, SERVFAIL, 0, 0, 0 },
	{ "g.more.example", A, SERVFAIL, 0, 0, 0 },
	{ "x.more.example", TLSA, SERVFAIL, 0, 0, 0 },
	{ "e.pair.example", A, SERVFAIL, 0, 0, 0 },
	{ "a.loops.example", A, SERVFAIL, 0, 0, 0 },
	{ "self.loops.example", A, SERVFAIL, 0, 0, 0 },
	{ "x.d.loops.example", A, SERVFAIL, 0, 0, 0 },
	{ "over.loops.example", A, SERVFAIL, 0, 0, 0 },
	{ "raw.loops.example", A, SERVFAIL, 0, 0, 0 },
	{ "raw0.loops.example", A, SERVFAIL, 0, 0, 0 },
	{ "x.ns.loops.example", A, SERVFAIL, 0, 0, 0 },
	{ "x.dn.loops.example", A, SERVFAIL, 0, 0, 0 },
};

static pid_t start(void (*serve)(void))
{
	pid_t pid = fork();

	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		serve();
		_exit(1);
	}
	return pid;
}

static void stop(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static void serve_names(void)
{
	lab_event_open(lab.events[1]);
	lab_names_serve(lab.names);
}

static void serve_resolver(void)
{
	lab_resolver_serve(lab_keys_anchor(lab.keys));
}

/* The kernel keeps ten events only, and servers wait for room. */
static void read_events(void)
{
	char text[32 << 10];
	ssize_t got;

	while ((got = recv(lab.events[0], text, sizeof(text) - 1, 0)) > 0) {
		text[got] = '\n';
		if (write(lab.seen, text, (size_t)got + 1) == -1)
			_exit(1);
	}
}

static void add_option(const char *name, const char *value)
{
	assert_int_equal(ub_ctx_set_option(lab.context, name, value), 0);
}

static int start_all(void **state)
{
	char error[512] = "", path[64];
	int hints;

	if (set_up(state) == -1)
		return -1;
	if (lab.no_namespace[0] != '\0')
		return 0;
	lab.seen = memfd_create("events", MFD_CLOEXEC);
	if (socketpair(AF_UNIX, SOCK_DGRAM, 0, lab.events) == -1 ||
	    lab_resolver_listen(error, sizeof(error)) == -1) {
		print_error("%s\n", error);
		return -1;
	}
	lab.reader = start(read_events);
	/* First, or it would inherit the servers' sockets. */
	lab.resolver = start(serve_resolver);
	if (lab_names_listen(lab.names, error, sizeof(error)) == -1) {
		print_error("%s\n", error);
		return -1;
	}
	lab.servers = start(serve_names);
	loop_init();
	lab.context = ub_ctx_create_event(loop_base());
	add_option("module-config:", "validator iterator");
	add_option("do-ip6:", "no");
	add_option("outbound-msg-retry:", "1");
	add_option("infra-cache-max-rtt:", "500");
	add_option("trust-anchor-signaling:", "no");
	assert_int_equal(ub_ctx_add_ta(lab.context,
	    lab_keys_anchor(lab.keys)), 0);
	hints = memfd_create("hints", 0);
	assert_int_equal(dprintf(hints, "%s", lab_names_hints()),
	    (int)strlen(lab_names_hints()));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", hints);
	add_option("root-hints:", path);
	assert_int_equal(ub_ctx_zone_remove(lab.context, "test."), 0);
	return 0;
}

static int stop_all(void **state)
{
	if (lab.context != NULL) {
		stop(lab.servers);
		stop(lab.resolver);
		stop(lab.reader);
		ub_ctx_delete(lab.context);
		loop_release();
		close(lab.events[0]);
		close(lab.events[1]);
		close(lab.seen);
	}
	return tear_down(state);
}

static void need_namespace(void)
{
	if (lab.no_namespace[0] != '\0') {
		print_message("# no namespace: %s\n", lab.no_namespace);
		skip();
	}
}

struct result {
	int	 rcode, security;
	int	 header;	/* -1: no packet to look at */
	bool	 is_done;
	size_t	 records;
	int	 type;
};

static void on_result(void *arg, int rcode, void *data, int length,
    int security, char *why, int limited)
{
	struct result *result = arg;
	ldns_pkt *packet;

	(void)why;
	(void)limited;
	result->is_done = true;
	result->rcode = rcode;
	result->security = security;
	result->header = -1;
	if (rcode == 0 && ldns_wire2pkt(&packet, data, (size_t)length) ==
	    LDNS_STATUS_OK) {
		result->header = (int)ldns_pkt_get_rcode(packet);
		result->records = count(ldns_pkt_answer(packet),
		    result->type);
		ldns_pkt_free(packet);
	}
	loop_stop();
}

/* As Postern asks: libunbound in this process. */
static struct result ask_library(const char *name, int type)
{
	struct result result = { .type = type };
	int id;

	assert_int_equal(ub_resolve_event(lab.context, name, type, 1, &result,
	    on_result, &id), 0);
	while (!result.is_done)
		loop_run();
	return result;
}

static int open_server(const char *text, int kind)
{
	const struct timeval patience = { 20, 0 };
	struct endpoint address;
	int fd = socket(AF_INET, kind, 0);

	assert_int_equal(endpoint_parse(&address, text, 53), 0);
	assert_int_equal(connect(fd, &address.address.any, address.length), 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	return fd;
}

/* As another MTA asks: by a datagram, and by TCP when it is too much. */
static ldns_pkt *ask_resolver(const char *name, int type, int flags,
    bool by_tcp)
{
	uint8_t query[2 + LAB_QUERY_MAX], answer[65536];
	size_t length = make_query(query + 2, name, type, flags);
	int fd = open_server("127.0.0.1", by_tcp ? SOCK_STREAM : SOCK_DGRAM);
	ldns_pkt *packet;
	ssize_t got;

	query[0] = (uint8_t)(length >> 8);
	query[1] = (uint8_t)length;
	if (by_tcp) {
		/* In two pieces: the server has to wait for the rest. */
		assert_int_equal(send(fd, query, 5, 0), 5);
		usleep(1000);
		assert_int_equal(send(fd, query + 5, length - 3, 0),
		    length - 3);
		got = recv(fd, answer, 2, MSG_WAITALL);
		assert_int_equal(got, 2);
		got = recv(fd, answer, (size_t)(answer[0] << 8 | answer[1]),
		    MSG_WAITALL);
	} else {
		assert_int_equal(send(fd, query + 2, length, 0), length);
		got = recv(fd, answer, sizeof(answer), 0);
	}
	close(fd);
	assert_true(got > 0);
	assert_int_equal(ldns_wire2pkt(&packet, answer, (size_t)got),
	    LDNS_STATUS_OK);
	assert_int_equal(ldns_pkt_id(packet), 4711);
	assert_true(ldns_pkt_qr(packet) && ldns_pkt_ra(packet));
	if (!by_tcp && ldns_pkt_tc(packet)) {
		assert_int_equal(ldns_pkt_ancount(packet), 0);
		ldns_pkt_free(packet);
		return ask_resolver(name, type, flags, true);
	}
	return packet;
}

/* A busy machine lets the library give up, and it remembers that for some
 * seconds: who has reason to think so asks once more. */
enum { TRIES = 15 };

static void test_matrix_library(void **state)
{
	const struct row *row;
	struct result result;
	size_t i;

	(void)state;
	need_namespace();
	for (i = 0; i < sizeof(matrix) / sizeof(matrix[0]); i++) {
		row = &matrix[i];
		result = ask_library(row->name, row->type);
		for (int n = 0; n < TRIES && row->rcode == 0 &&
		    row->header != SERVFAIL && (result.rcode == SERVFAIL ||
		    result.header == SERVFAIL); n++) {
			sleep(1);
			result = ask_library(row->name, row->type);
		}
		if (result.rcode != row->rcode ||
		    (row->rcode == 0 && (result.header != row->header ||
		    result.security != row->security ||
		    (row->security != BOGUS &&
		    result.records != row->records))))
			fail_msg("%s %d: rcode %d, header %d, security %d, "
			    "%zu records", row->name, row->type, result.rcode,
			    result.header, result.security, result.records);
	}
}

static void check_resolver(const struct row *row, int flags)
{
	bool is_error = row->rcode != 0 || row->security == BOGUS ||
	    row->header == -1;
	bool wants_ad = !is_error && row->security == SECURE && flags != 0;
	ldns_pkt *packet = ask_resolver(row->name, row->type, flags, false);
	bool has_proofs;
	size_t records;

	for (int i = 0; i < TRIES && !is_error &&
	    ldns_pkt_get_rcode(packet) == (unsigned)SERVFAIL; i++) {
		ldns_pkt_free(packet);
		sleep(1);
		packet = ask_resolver(row->name, row->type, flags, false);
	}
	records = count(ldns_pkt_answer(packet), row->type);
	has_proofs = count(ldns_pkt_answer(packet), 46) > 0;
	if (ldns_pkt_get_rcode(packet) != (unsigned)(is_error ? SERVFAIL :
	    row->header) || ldns_pkt_ad(packet) != wants_ad ||
	    records != (is_error ? 0 : row->records))
		fail_msg("%s %d flags %d: rcode %d, ad %d, %zu records",
		    row->name, row->type, flags, ldns_pkt_get_rcode(packet),
		    ldns_pkt_ad(packet), records);
	if (!(flags & WITH_DO))
		assert_false(has_proofs);
	else if (wants_ad && records > 0)
		assert_true(has_proofs);
	assert_int_equal(ldns_pkt_edns(packet), flags & WITH_DO);
	ldns_pkt_free(packet);
}

static void test_matrix_resolver(void **state)
{
	size_t i;

	(void)state;
	need_namespace();
	for (i = 0; i < sizeof(matrix) / sizeof(matrix[0]); i++)
		check_resolver(&matrix[i], WITH_DO);
}

/* AD without DO, nothing without both; TCP; CD shows what is bogus. */
static void test_resolver_flags(void **state)
{
	const struct row secure = { "_25._tcp.mx.good.example", TLSA, 0,
	    NOERROR, SECURE, 1 };
	const struct row big = { "big.good.example", TLSA, 0, NOERROR, SECURE,
	    BIG_RECORDS };
	ldns_pkt *packet;

	(void)state;
	need_namespace();
	check_resolver(&secure, 0);
	check_resolver(&secure, WITH_AD);
	check_resolver(&big, 0);
	check_resolver(&big, WITH_AD);
	packet = ask_resolver("mx.good.example", A, WITH_DO, true);
	assert_true(ldns_pkt_ad(packet));
	assert_int_equal(count(ldns_pkt_answer(packet), A), 1);
	ldns_pkt_free(packet);
	packet = ask_resolver("t.sets.example", TLSA, WITH_CD, false);
	assert_int_equal(ldns_pkt_get_rcode(packet), NOERROR);
	assert_int_equal(count(ldns_pkt_answer(packet), TLSA), 1);
	assert_false(ldns_pkt_ad(packet));
	ldns_pkt_free(packet);
}

static int64_t milliseconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* The truth after two seconds; who asks for something else need not wait. */
static void test_late(void **state)
{
	const char *address = lab_names_zone(lab.names,
	    "late.example")->addresses[0];
	uint8_t late[LAB_QUERY_MAX], other[LAB_QUERY_MAX], answer[1500];
	int fd = open_server(address, SOCK_DGRAM);
	size_t length = make_query(late, "mx.late.example", A, 0);
	int64_t start = milliseconds();

	(void)state;
	need_namespace();
	assert_int_equal(send(fd, late, length, 0), length);
	length = make_query(other, "late.example", MX, 0);
	assert_int_equal(send(fd, other, length, 0), length);
	assert_true(recv(fd, answer, sizeof(answer), 0) > 0);
	assert_memory_equal(answer + 12, other + 12, length - 12);
	assert_true(recv(fd, answer, sizeof(answer), 0) > 0);
	assert_in_range(milliseconds() - start, 1900, 15000);
	assert_memory_equal(answer + 12, late + 12, length - 12);
	assert_int_equal(answer[7], 1);	/* a record */
	close(fd);
}

/* The C library's resolver, which Postfix and posttls-finger ask through, with
 * the namespace's resolv.conf. */
static void test_stub_resolver(void **state)
{
	const struct addrinfo hints = { .ai_family = AF_INET,
	    .ai_socktype = SOCK_STREAM };
	struct __res_state stub = { 0 };
	struct addrinfo *found = NULL;
	struct endpoint endpoint;
	uint8_t answer[32768];
	char text[ENDPOINT_TEXT_MAX];
	int length;

	(void)state;
	need_namespace();
	assert_int_equal(res_ninit(&stub), 0);
	stub.options |= RES_USE_EDNS0 | RES_USE_DNSSEC | RES_TRUSTAD;
	length = res_nquery(&stub, "_25._tcp.mx.good.example", 1, TLSA, answer,
	    sizeof(answer));
	assert_true(length > 12);
	assert_true(answer[3] & 0x20);
	length = res_nquery(&stub, "big.good.example", 1, TLSA, answer,
	    sizeof(answer));
	assert_true(length > LAB_UDP_MAX);
	assert_true(answer[3] & 0x20);
	length = res_nquery(&stub, "_25._tcp.mx.plain.example", 1, TLSA,
	    answer, sizeof(answer));
	assert_true(length > 12);
	assert_false(answer[3] & 0x20);
	assert_int_equal(res_nquery(&stub, "mx.expired.example", 1, A, answer,
	    sizeof(answer)), -1);
	assert_int_equal(stub.res_h_errno, TRY_AGAIN);
	assert_int_equal(res_nquery(&stub, "nowhere.good.example", 1, A,
	    answer, sizeof(answer)), -1);
	assert_int_equal(stub.res_h_errno, HOST_NOT_FOUND);
	res_nclose(&stub);
	assert_int_equal(getaddrinfo("alias.good.example", "25", &hints,
	    &found), 0);
	endpoint_from_socket(&endpoint, found->ai_addr, found->ai_addrlen);
	endpoint_format(&endpoint, text, sizeof(text));
	assert_string_equal(text, "192.0.2.1");
	freeaddrinfo(found);
}

/* One line; is it the query that the test made? */
static bool is_wanted_event(const char *text)
{
	const char *zone, *name, *type, *answer, *actor, *event;
	json_t *object = json_loads(text, 0, NULL);
	bool found;

	assert_non_null(object);
	assert_int_equal(json_unpack(object, "{s:s,s:s,s:s,s:s,s:s,s:s}",
	    "actor", &actor, "event", &event, "zone", &zone, "name", &name,
	    "type", &type, "answer", &answer), 0);
	assert_string_equal(event, "dns");
	assert_string_not_equal(type, "TLSA");
	found = strcmp(actor, "dns:plain.example") == 0 &&
	    strcmp(name, "events.plain.example") == 0 &&
	    strcmp(type, "A") == 0;
	if (found) {
		assert_string_equal(zone, "plain.example");
		assert_string_equal(answer, "nxdomain");
	}
	json_decref(object);
	return found;
}

/* What the servers saw is told; nobody asks for TLSA here. */
static void test_events(void **state)
{
	static char text[1 << 16];
	char *rest, *line;
	bool found = false;
	off_t from;
	ssize_t got;
	int tries;

	(void)state;
	need_namespace();
	usleep(100000);
	from = lseek(lab.seen, 0, SEEK_CUR);
	ldns_pkt_free(ask_resolver("events.plain.example", A, 0, false));
	for (tries = 0; !found && tries < 500; tries++) {
		usleep(10000);
		got = pread(lab.seen, text, sizeof(text) - 1, from);
		assert_true(got >= 0);
		text[got] = '\0';
		rest = text;
		while ((line = strsep(&rest, "\n")) != NULL && rest != NULL)
			found |= is_wanted_event(line);
	}
	assert_true(found);
}

static struct lab_zone *zone_named(const char *name)
{
	size_t i;

	for (i = 0; i < ZONES; i++)
		if (strcmp(zones[i].name, name) == 0)
			return &zones[i];
	fail_msg("no zone %s", name);
	return NULL;
}

/* The world anew, as the zones are now; records of before are too old. */
static void rebuild(void)
{
	char error[256] = "";

	stop(lab.servers);
	lab_names_free(lab.names);
	lab.names = lab_names_new(&lab.world, lab.identities, lab.keys, error,
	    sizeof(error));
	if (lab.names == NULL)
		fail_msg("%s", error);
	assert_int_equal(lab_names_listen(lab.names, error, sizeof(error)),
	    0);
	lab.servers = start(serve_names);
	sleep(2);
}

/* What is not there is remembered as long as the zone says. */
static void test_negative_ttl(void **state)
{
	static char *records[] = { TEXT("mx A 192.0.2.1"),
	    TEXT("_25._tcp.mx TLSA 3 1 1 @leaf") };
	struct row row = { "_25._tcp.mx.patient.example", TLSA, 0, NXDOMAIN,
	    SECURE, 0 };

	(void)state;
	need_namespace();
	/* After this failure the resolver begins anew, without a memory. */
	check_resolver(&(struct row){ "e.pair.example", A, SERVFAIL, 0, 0, 0 },
	    0);
	check_resolver(&row, WITH_DO);
	row.name = "_25._tcp.mx.brief.example";
	check_resolver(&row, WITH_DO);
	zone_named("patient.example")->records =
	    (struct lab_texts){ records, 2 };
	zone_named("brief.example")->records =
	    (struct lab_texts){ records, 2 };
	rebuild();
	row.name = "_25._tcp.mx.patient.example";
	check_resolver(&row, WITH_DO);
	row.name = "_25._tcp.mx.brief.example";
	row.header = NOERROR;
	row.records = 1;
	check_resolver(&row, WITH_DO);
}

/* Lifted faults are seen within the second that records live. */
static void test_healed(void **state)
{
	static const char *const names[] = { "lies.example", "more.example",
	    "moreplain.example", "pair.example" };
	static const struct row faulty[] = {
		{ "_25._tcp.mx.lies.example", TLSA, SERVFAIL, 0, 0, 0 },
		{ "e.more.example", A, SERVFAIL, 0, 0, 0 },
		{ "g.more.example", A, SERVFAIL, 0, 0, 0 },
		{ "o.more.example", A, SERVFAIL, 0, 0, 0 },
		{ "e.moreplain.example", A, 0, NOERROR, INSECURE, 0 },
		{ "o.moreplain.example", A, 0, NOERROR, INSECURE, 0 },
	}, good[] = {
		{ "_25._tcp.mx.lies.example", TLSA, 0, NOERROR, SECURE, 1 },
		{ "s.lies.example", A, 0, NOERROR, SECURE, 1 },
		{ "e.more.example", A, 0, NOERROR, SECURE, 1 },
		{ "g.more.example", A, 0, NOERROR, SECURE, 1 },
		{ "o.more.example", A, 0, NOERROR, SECURE, 1 },
		{ "x.more.example", TLSA, 0, NOERROR, SECURE, 1 },
		{ "e.moreplain.example", A, 0, NOERROR, INSECURE, 1 },
		{ "o.moreplain.example", A, 0, NOERROR, INSECURE, 1 },
		{ "e.pair.example", A, 0, NOERROR, SECURE, 1 },
	};
	size_t i;

	(void)state;
	need_namespace();
	for (i = 0; i < sizeof(faulty) / sizeof(faulty[0]); i++)
		check_resolver(&faulty[i], WITH_DO);
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		zone_named(names[i])->answers.count = 0;
		zone_named(names[i])->substitutes.count = 0;
	}
	rebuild();
	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		check_resolver(&good[i], WITH_DO);
}

static int run(void *arg)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_shapes),
		cmocka_unit_test(test_truncation),
		cmocka_unit_test(test_dates),
		cmocka_unit_test(test_record_forms),
		cmocka_unit_test(test_rebuilt),
		cmocka_unit_test(test_mistakes),
		cmocka_unit_test(test_hostile_queries),
		cmocka_unit_test(test_matrix_library),
		cmocka_unit_test(test_matrix_resolver),
		cmocka_unit_test(test_resolver_flags),
		cmocka_unit_test(test_stub_resolver),
		cmocka_unit_test(test_events),
		cmocka_unit_test(test_late),
		cmocka_unit_test(test_negative_ttl),
		cmocka_unit_test(test_healed),
	};

	(void)arg;
	log_init("test", LOG_LEVEL_ERROR);
	return cmocka_run_group_tests_name("lab_names", tests, start_all,
	    stop_all);
}

int main(void)
{
	int status;
	pid_t pid = lab_namespace_run(run, NULL, lab.no_namespace,
	    sizeof(lab.no_namespace));

	if (pid == -1)
		return run(NULL);
	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return 1;
	return WEXITSTATUS(status);
}
