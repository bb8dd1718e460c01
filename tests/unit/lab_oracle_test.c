/* SPDX-License-Identifier: ISC */
/*
 * tools/lab/oracle.c against the standards, clause by clause. A row changes the
 * facts of a good domain (two hosts in a signed zone, certificates of the
 * public authority, no policy, no TLSA) and says which outcomes are correct,
 * the expected one first, and which hosts may not see a connection.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "tools/lab/oracle.h"

enum { AUTH = 1 << LAB_AUTHENTICATED, ENC = 1 << LAB_ENCRYPTED,
    CLEAR = 1 << LAB_CLEAR, WAIT = 1 << LAB_DEFERRED,
    BACK = 1 << LAB_BOUNCED };

enum { FIRST = 1, SECOND = 2, BOTH = 3 };	/* hosts */

/* Certificates: what the first host shows, and another one. */
static struct lab_certificate shown, other, second;
static char *first_names[] = { (char *)(uintptr_t)"mx1.example.net" };
static char *second_names[] = { (char *)(uintptr_t)"mx2.example.net" };
static char *both_names[] = { (char *)(uintptr_t)"mx1.example.net",
    (char *)(uintptr_t)"mx2.example.net" };

static void name(struct lab_certificate *certificate, const char *text)
{
	static char *names[16];
	static size_t used;

	if (used == 16)
		used = 0;
	names[used] = (char *)(uintptr_t)text;
	certificate->names = (struct lab_texts){ &names[used++], 1 };
}

static struct lab_facts good(size_t hosts)
{
	struct lab_facts facts = { .domain = "example.net",
	    .mx = LAB_FOUND_SECURE, .host_count = hosts };

	shown = other = second = (struct lab_certificate){
	    .issuer_authority = true };
	shown.name = (char *)(uintptr_t)"shown";
	other.name = (char *)(uintptr_t)"other";
	second.name = (char *)(uintptr_t)"second";
	shown.common_name = other.common_name = second.common_name =
	    (char *)(uintptr_t)"";
	shown.names = other.names = (struct lab_texts){ first_names, 1 };
	second.names = (struct lab_texts){ second_names, 1 };
	facts.hosts[0] = (struct lab_host_facts){ .name = "mx1.example.net",
	    .address = LAB_FOUND_SECURE, .certificate = &shown };
	facts.hosts[1] = (struct lab_host_facts){ .name = "mx2.example.net",
	    .address = LAB_FOUND_SECURE, .certificate = &second };
	return facts;
}

static void add(struct lab_tlsa_facts *tlsa, int usage, int selector,
    int matching, const struct lab_certificate *of)
{
	tlsa->found = LAB_FOUND_SECURE;
	tlsa->records[tlsa->count++] = (struct lab_tlsa_fact){
	    .usage = usage, .selector = selector, .matching = matching,
	    .of = of };
}

static void add_to(struct lab_facts *facts, int usage, int selector,
    int matching, const struct lab_certificate *of)
{
	add(&facts->hosts[0].tlsa, usage, selector, matching, of);
}

static void dane(struct lab_facts *facts)
{
	add_to(facts, 3, 1, 1, &shown);
}

static void mismatch(struct lab_facts *facts)
{
	add_to(facts, 3, 1, 1, &other);
}

static void unusable(struct lab_facts *facts)
{
	add_to(facts, 9, 1, 1, &shown);
}

static void enforce(struct lab_facts *facts)
{
	facts->sts = (struct lab_sts_facts){ .record = LAB_RECORD_VALID,
	    .policy = { LAB_STS_ENFORCE, { both_names, 2 } } };
}

/* Seen before, and nothing heard of it now. */
static void remembered(struct lab_facts *facts)
{
	facts->sts = (struct lab_sts_facts){ .record = LAB_RECORD_NONE,
	    .cached = true, .before = { LAB_STS_ENFORCE,
	    { both_names, 2 } } };
}

static void wire(struct lab_facts *facts, enum lab_wire what)
{
	facts->hosts[0].wire = what;
}

/* The alias of the first host is what has the address. */
static void alias(struct lab_facts *facts)
{
	facts->hosts[0].target = "in1.example.net";
	facts->hosts[0].alias_secure = true;
}

static void anchor(struct lab_facts *facts, int selector, int matching,
    enum lab_tlsa_of part)
{
	shown.issuer = LAB_ISSUER_PRIVATE;
	add_to(facts, 2, selector, matching, &shown);
	facts->hosts[0].tlsa.records[0].part = part;
}

/* --- rows --- */

#define ROW(function) static void function(struct lab_facts *facts)

ROW(nothing) { (void)facts; }
ROW(mx_bogus) { facts->mx = LAB_FOUND_BOGUS; }
ROW(mx_error) { facts->mx = LAB_FOUND_ERROR; }
ROW(mx_shaky) { facts->mx = LAB_FOUND_SHAKY; }
ROW(mx_null) { facts->mx = LAB_FOUND_SECURE; facts->null_mx = true; }
ROW(mx_null_bogus) { facts->mx = LAB_FOUND_BOGUS; facts->null_mx = true; }
ROW(mx_null_cached) { mx_null(facts); remembered(facts); }
ROW(mx_none)
{
	facts->mx = LAB_FOUND_NONE;
	facts->hosts[0].name = facts->domain;
	dane(facts);
}
ROW(address_bogus) { facts->hosts[0].address = LAB_FOUND_BOGUS; }
ROW(address_error) { facts->hosts[0].address = LAB_FOUND_ERROR; dane(facts); }
ROW(address_none) { facts->hosts[0].address = LAB_FOUND_NONE; }
ROW(dane_second)
{
	add(&facts->hosts[1].tlsa, 3, 1, 1, &second);
}
ROW(address_bogus_dane_second) { address_bogus(facts); dane_second(facts); }
ROW(mismatch_dane_second) { mismatch(facts); dane_second(facts); }
ROW(tlsa_bogus) { facts->hosts[0].tlsa.found = LAB_FOUND_BOGUS; }
ROW(tlsa_error) { dane(facts); facts->hosts[0].tlsa.found = LAB_FOUND_ERROR; }
ROW(tlsa_error_sts) { tlsa_error(facts); enforce(facts); }
ROW(tlsa_error_second) { tlsa_error(facts); dane_second(facts); }
ROW(tlsa_insecure)
{
	mismatch(facts);
	facts->hosts[0].tlsa.found = LAB_FOUND_INSECURE;
}
ROW(tlsa_error_insecure_host)
{
	tlsa_error(facts);
	facts->hosts[0].address = LAB_FOUND_INSECURE;
}
ROW(insecure_mx) { facts->mx = LAB_FOUND_INSECURE; dane(facts); }
ROW(insecure_mx_mismatch)
{
	facts->mx = LAB_FOUND_INSECURE;
	mismatch(facts);
}
ROW(insecure_mx_sts_mismatch) { insecure_mx_mismatch(facts); enforce(facts); }
ROW(insecure_mx_sts_untrusted)
{
	insecure_mx(facts);
	enforce(facts);
	shown.issuer = LAB_ISSUER_OTHER;
}
ROW(insecure_mx_domain_name)
{
	anchor(facts, 0, 1, LAB_TLSA_ROOT);
	facts->mx = LAB_FOUND_INSECURE;
	name(&shown, "example.net");
}
ROW(strip_dane) { dane(facts); wire(facts, LAB_WIRE_NO_STARTTLS); }
ROW(strip_unusable) { unusable(facts); wire(facts, LAB_WIRE_NO_STARTTLS); }
ROW(strip_sts) { enforce(facts); wire(facts, LAB_WIRE_NO_STARTTLS); }
ROW(strip_testing) { strip_sts(facts); facts->sts.policy.mode =
    LAB_STS_TESTING; }
ROW(strip) { wire(facts, LAB_WIRE_NO_STARTTLS); }
ROW(strip_encrypt) { strip(facts); facts->level = LAB_LEVEL_ENCRYPT; }
ROW(refused) { wire(facts, LAB_WIRE_REFUSED); }
ROW(refused_dane) { dane(facts); refused(facts); }
ROW(broken) { wire(facts, LAB_WIRE_BROKEN); }
ROW(broken_second) { broken(facts); dane_second(facts); }
ROW(broken_dane) { dane(facts); broken(facts); }
ROW(broken_once) { broken_dane(facts); facts->hosts[0].wire_once = true; }
ROW(unreachable) { wire(facts, LAB_WIRE_UNREACHABLE); }
ROW(unoffered) { wire(facts, LAB_WIRE_UNOFFERED); }
ROW(unoffered_dane) { dane(facts); unoffered(facts); }
ROW(obsolete) { wire(facts, LAB_WIRE_OBSOLETE); }
ROW(obsolete_sts) { enforce(facts); obsolete(facts); }
ROW(anonymous) { wire(facts, LAB_WIRE_ANONYMOUS); }
ROW(anonymous_dane) { dane(facts); anonymous(facts); }
ROW(injected) { dane(facts); wire(facts, LAB_WIRE_INJECTED); }
ROW(impostor_dane) { dane(facts); wire(facts, LAB_WIRE_IMPOSTOR); }
ROW(leaf_self) { dane(facts); shown.issuer = LAB_ISSUER_SELF; }
ROW(leaf_expired) { dane(facts); shown.validity = LAB_EXPIRED; }
ROW(leaf_name) { dane(facts); name(&shown, "www.example.com"); }
ROW(leaf_client) { dane(facts); shown.usage = LAB_USAGE_CLIENT; }
ROW(leaf_of_root)
{
	dane(facts);
	facts->hosts[0].tlsa.records[0].part = LAB_TLSA_ROOT;
}
ROW(rollover) { mismatch(facts); dane(facts); }
ROW(root) { anchor(facts, 0, 1, LAB_TLSA_ROOT); }
ROW(root_expired) { root(facts); shown.validity = LAB_EXPIRED; }
ROW(root_name) { root(facts); name(&shown, "www.example.com"); }
ROW(root_domain_name) { root(facts); name(&shown, "example.net"); }
ROW(root_wildcard) { root(facts); name(&shown, "*.example.net"); }
ROW(root_wildcard_part) { root(facts); name(&shown, "mx*.example.net"); }
ROW(root_wildcard_deep) { root(facts); name(&shown, "*.mx1.example.net"); }
ROW(root_common_name)
{
	root(facts);
	shown.names.count = 0;
	shown.common_name = first_names[0];
}
ROW(root_common_name_beside)
{
	root(facts);
	name(&shown, "www.example.com");
	shown.common_name = first_names[0];
}
ROW(root_client) { root(facts); shown.usage = LAB_USAGE_CLIENT; }
ROW(root_left_out) { root(facts); shown.chain = LAB_CHAIN_NO_ROOT; }
ROW(root_whole_left_out)
{
	anchor(facts, 0, 0, LAB_TLSA_ROOT);
	shown.chain = LAB_CHAIN_NO_ROOT;
}
ROW(root_key_left_out)
{
	anchor(facts, 1, 0, LAB_TLSA_ROOT);
	shown.chain = LAB_CHAIN_NO_ROOT;
}
ROW(issuer)
{
	anchor(facts, 1, 1, LAB_TLSA_ISSUER);
	shown.intermediates = 1;
	shown.chain = LAB_CHAIN_NO_ROOT;
}
ROW(root_issuer_expired)
{
	root(facts);
	shown.intermediates = 1;
	shown.issuer_validity = LAB_EXPIRED;
}
ROW(root_issuer_no_authority)
{
	root(facts);
	shown.intermediates = 1;
	shown.issuer_authority = false;
}
ROW(root_gap)
{
	root(facts);
	shown.intermediates = 2;
	shown.chain = LAB_CHAIN_GAP;
}
ROW(root_of_leaf)
{
	add_to(facts, 2, 0, 1, &shown);
	facts->hosts[0].tlsa.records[0].part = LAB_TLSA_LEAF;
}
ROW(public_root) { add_to(facts, 2, 1, 1, &shown); }
ROW(digests) { add_to(facts, 3, 1, 2, &other); dane(facts); }
ROW(digests_apart) { add_to(facts, 3, 0, 2, &other); dane(facts); }
ROW(digests_full) { digests(facts); add_to(facts, 3, 1, 0, &shown); }
ROW(digests_malformed)
{
	digests(facts);
	facts->hosts[0].tlsa.records[0].malformed = true;
}
ROW(unusable_and_wrong) { unusable(facts); mismatch(facts); }
ROW(unusable_and_good) { unusable(facts); dane(facts); }
ROW(selector) { add_to(facts, 3, 2, 1, &shown); }
ROW(matching) { add_to(facts, 3, 1, 3, &shown); }
ROW(public_usage) { add_to(facts, 1, 1, 1, &other); }
ROW(public_usage_strip) { public_usage(facts); strip(facts); }
ROW(dane_only_unusable) { unusable(facts); facts->level =
    LAB_LEVEL_DANE_ONLY; }
ROW(dane_only_absent) { facts->level = LAB_LEVEL_DANE_ONLY; }
ROW(dane_only_insecure_mx) { insecure_mx(facts); facts->level =
    LAB_LEVEL_DANE_ONLY; }
ROW(alias_target)
{
	alias(facts);
	add(&facts->hosts[0].target_tlsa, 3, 1, 1, &shown);
	mismatch(facts);
}
ROW(alias_own) { alias(facts); dane(facts); }
ROW(alias_target_error)
{
	alias(facts);
	dane(facts);
	facts->hosts[0].target_tlsa.found = LAB_FOUND_ERROR;
}
ROW(alias_into_insecure)
{
	alias(facts);
	facts->hosts[0].address = LAB_FOUND_INSECURE;
	facts->hosts[0].target_tlsa.found = LAB_FOUND_ERROR;
	dane(facts);
}
ROW(alias_out_of_insecure)
{
	alias_into_insecure(facts);
	facts->hosts[0].alias_secure = false;
	facts->hosts[0].tlsa.found = LAB_FOUND_ERROR;
}
ROW(sni)
{
	dane(facts);
	facts->hosts[0].certificate = &other;
	facts->hosts[0].sni_name = "mx1.example.net";
	facts->hosts[0].sni_certificate = &shown;
	facts->hosts[0].demands_name = true;
}
ROW(sni_plain)
{
	sni(facts);
	facts->hosts[0].tlsa.count = 0;
	facts->hosts[0].tlsa.found = LAB_FOUND_NONE;
}
ROW(sts_self) { enforce(facts); shown.issuer = LAB_ISSUER_SELF; }
ROW(sts_expired) { enforce(facts); shown.validity = LAB_EXPIRED; }
ROW(sts_common_name)
{
	enforce(facts);
	shown.names.count = 0;
	shown.common_name = first_names[0];
}
ROW(sts_domain_name) { enforce(facts); name(&shown, "example.net"); }
ROW(sts_leaf_alone)
{
	enforce(facts);
	shown.intermediates = 1;
	shown.chain = LAB_CHAIN_LEAF;
}
ROW(sts_reversed)
{
	enforce(facts);
	shown.intermediates = 2;
	shown.chain = LAB_CHAIN_REVERSED;
}
ROW(sts_second)
{
	sts_self(facts);
}
ROW(sts_unlisted)
{
	enforce(facts);
	facts->sts.policy.patterns.items = second_names;
	facts->sts.policy.patterns.count = 1;
}
ROW(sts_error) { enforce(facts); facts->sts.record = LAB_RECORD_ERROR; }
ROW(sts_error_cached)
{
	remembered(facts);
	facts->sts.record = LAB_RECORD_ERROR;
	shown.issuer = LAB_ISSUER_SELF;
}
ROW(sts_fetch) { sts_self(facts); facts->sts.fetch = LAB_FETCH_FAILS; }
ROW(sts_type) { sts_self(facts); facts->sts.fetch = LAB_FETCH_ODD_TYPE; }
ROW(sts_invalid) { sts_self(facts); facts->sts.record = LAB_RECORD_INVALID; }
ROW(sts_cached) { remembered(facts); shown.issuer = LAB_ISSUER_SELF; }
ROW(sts_cached_fetch)
{
	sts_cached(facts);
	facts->sts.record = LAB_RECORD_VALID;
	facts->sts.fetch = LAB_FETCH_FAILS;
}
ROW(sts_cached_none)
{
	sts_cached(facts);
	facts->sts.record = LAB_RECORD_VALID;
}
ROW(sts_dane_mismatch) { enforce(facts); mismatch(facts); }
ROW(sts_dane) { sts_self(facts); dane(facts); }
ROW(sts_unusable) { enforce(facts); unusable(facts); }
ROW(sts_unusable_self) { sts_self(facts); unusable(facts); }
ROW(refuses) { facts->hosts[0].taking = LAB_REFUSES; }
ROW(refuses_mismatch) { refuses(facts); mismatch(facts); }
ROW(puts_off) { facts->hosts[0].taking = LAB_PUTS_OFF; dane_second(facts); }
ROW(weak_sts) { enforce(facts); shown.key = LAB_KEY_RSA1024; }
ROW(plain_first_dane_second) { dane_second(facts); }

struct row {
	const char	*clause, *title;
	void		(*change)(struct lab_facts *facts);
	size_t		 hosts;
	unsigned	 expect, accept, untouched;
};

static const struct row rows[] = {
	/* Which servers: RFC 5321, RFC 7505, RFC 7672 2.1, 2.2.1 */
	{ "RFC 7672 2.2.1", "secure MX, no TLSA", nothing, 1, ENC, 0, 0 },
	{ "RFC 7672 2.1.2", "MX bogus: no host", mx_bogus, 2, WAIT, 0,
	    BOTH },
	{ "RFC 7672 2.1.2", "MX SERVFAIL: no host", mx_error, 2, WAIT, 0,
	    BOTH },
	{ "RFC 7672 2.1.2", "one of two servers fails", mx_shaky, 1, ENC,
	    WAIT, 0 },
	{ "RFC 7505 3", "null MX", mx_null, 1, BACK, 0, FIRST },
	{ "RFC 7672 2.1.2", "null MX, bogus", mx_null_bogus, 1, WAIT, 0,
	    FIRST },
	{ "RFC 8461 5", "null MX against what was seen", mx_null_cached, 1,
	    BACK, WAIT, FIRST },
	{ "RFC 7672 2.2.2", "no MX, the domain's own TLSA", mx_none, 1, AUTH,
	    0, 0 },
	{ "RFC 7672 2.1.2", "address bogus", address_bogus, 1, WAIT, 0,
	    FIRST },
	{ "RFC 7672 2.1.2", "address fails", address_error, 1, WAIT, 0,
	    FIRST },
	{ "RFC 7672 2.2.2", "no address, next host", address_none, 2, ENC, 0,
	    FIRST },
	{ "RFC 7672 2.1.2", "address bogus, next host",
	    address_bogus_dane_second, 2, AUTH, 0, FIRST },
	{ "RFC 7672 2.2.1", "a worse host's TLSA does not go first",
	    plain_first_dane_second, 2, ENC, 0, SECOND },
	{ "RFC 5321 5.1", "unreachable, next host", unreachable, 2, ENC, 0,
	    0 },
	{ "RFC 5321 5.1", "unreachable, no other", unreachable, 1, WAIT, 0,
	    0 },
	{ "RFC 5321 4.2.1", "5xx under TLS", refuses, 2, BACK, 0, SECOND },
	{ "RFC 7672 2.2", "5xx of who did not prove himself",
	    refuses_mismatch, 1, WAIT, 0, 0 },
	{ "RFC 5321 5.1", "4xx, next host or later", puts_off, 2, AUTH, WAIT,
	    0 },

	/* TLSA lookups: RFC 7672 2.1, 2.2.2, 2.2.3 */
	{ "RFC 7672 2.1.1", "absence forged", tlsa_bogus, 1, WAIT, 0,
	    FIRST },
	{ "RFC 7672 2.1.2", "TLSA fails", tlsa_error, 1, WAIT, 0, FIRST },
	{ "RFC 7672 2.1.2", "TLSA fails, next host", tlsa_error_second, 2,
	    AUTH, 0, FIRST },
	{ "RFC 8461 2", "TLSA fails, MTA-STS would pass", tlsa_error_sts, 1,
	    WAIT, 0, FIRST },
	{ "RFC 7672 2.2", "TLSA insecure", tlsa_insecure, 1, ENC, 0, 0 },
	{ "RFC 7672 2.2.2", "insecure address: TLSA is not asked for",
	    tlsa_error_insecure_host, 1, ENC, 0, 0 },
	{ "RFC 7672 2.2.1", "insecure MX, secure host", insecure_mx, 1, AUTH,
	    ENC, 0 },
	{ "RFC 7672 2.2.1", "insecure MX, secure host, mismatch",
	    insecure_mx_mismatch, 1, WAIT, ENC, 0 },
	{ "RFC 7672 3.2.2", "insecure MX: the domain's name is not enough",
	    insecure_mx_domain_name, 1, WAIT, ENC, 0 },
	{ "RFC 7672 2.2.3", "alias: the target's records first", alias_target,
	    1, AUTH, WAIT, 0 },
	{ "RFC 7672 2.2.3", "alias: then its own", alias_own, 1, AUTH, WAIT,
	    0 },
	{ "RFC 7672 2.1.2", "alias: no falling through an error",
	    alias_target_error, 1, WAIT, 0, FIRST },
	{ "RFC 7672 2.2.2", "secure alias into an insecure zone",
	    alias_into_insecure, 1, AUTH, WAIT, 0 },
	{ "RFC 7672 2.2.2", "insecure alias: nothing is asked for",
	    alias_out_of_insecure, 1, ENC, WAIT, 0 },

	/* No TLS: RFC 3207, RFC 7672 2.2, RFC 8996 */
	{ "RFC 7672 2.2", "no STARTTLS, TLSA", strip_dane, 1, WAIT, 0, 0 },
	{ "RFC 7672 2.2", "no STARTTLS, unusable TLSA", strip_unusable, 1,
	    WAIT, 0, 0 },
	{ "RFC 8461 5", "no STARTTLS, enforce", strip_sts, 1, WAIT, 0, 0 },
	{ "RFC 8461 5", "no STARTTLS, testing", strip_testing, 1, CLEAR, 0,
	    0 },
	{ "RFC 7672 2.2", "no STARTTLS, nothing binds", strip, 1, CLEAR, 0,
	    0 },
	{ "RFC 3207 6", "no STARTTLS, TLS is demanded", strip_encrypt, 1,
	    WAIT, 0, 0 },
	{ "RFC 3207 4", "STARTTLS refused", refused, 1, WAIT, CLEAR, 0 },
	{ "RFC 7672 2.2", "STARTTLS refused, TLSA", refused_dane, 1, WAIT, 0,
	    0 },
	{ "RFC 7672 2.2", "handshake breaks", broken, 1, WAIT, CLEAR, 0 },
	{ "RFC 7672 2.2", "handshake breaks, next host", broken_second, 2,
	    AUTH, CLEAR, 0 },
	{ "RFC 7672 2.2", "handshake breaks, TLSA", broken_dane, 1, WAIT, 0,
	    0 },
	{ "RFC 5321 4.5.4.1", "handshake breaks once", broken_once, 1, WAIT,
	    AUTH, 0 },
	{ "RFC 3207 4", "not offered, but there", unoffered, 1, CLEAR, ENC,
	    0 },
	{ "RFC 3207 4", "not offered, but there, TLSA", unoffered_dane, 1,
	    WAIT, AUTH, 0 },
	{ "RFC 8996 5", "TLS 1.1", obsolete, 1, WAIT, CLEAR, 0 },
	{ "RFC 8461 7.2", "TLS 1.1, enforce", obsolete_sts, 1, WAIT, 0, 0 },
	{ "RFC 7672 8.2", "anonymous", anonymous, 1, WAIT, ENC | CLEAR, 0 },
	{ "RFC 7672 8.2", "anonymous, TLSA", anonymous_dane, 1, WAIT, 0, 0 },
	{ "RFC 3207 4.2", "bytes behind the 220", injected, 1, WAIT, AUTH,
	    0 },
	{ "RFC 7672 3.1", "an impostor", impostor_dane, 1, WAIT, 0, 0 },
	{ "RFC 7672 8.1", "SNI is sent for DANE", sni, 1, AUTH, 0, 0 },
	{ "RFC 7672 8.1", "SNI may be left out otherwise", sni_plain, 1, ENC,
	    WAIT | CLEAR, 0 },

	/* DANE-EE: RFC 7672 3.1.1 */
	{ "RFC 7672 3.1.1", "3 1 1", dane, 1, AUTH, 0, 0 },
	{ "RFC 7672 3.1.1", "3 1 1 of another key", mismatch, 1, WAIT, 0,
	    0 },
	{ "RFC 7672 2.2", "another key, next host", mismatch_dane_second, 2,
	    AUTH, 0, 0 },
	{ "RFC 7671 5.1", "self-signed", leaf_self, 1, AUTH, 0, 0 },
	{ "RFC 7672 3.1.1", "expired", leaf_expired, 1, AUTH, 0, 0 },
	{ "RFC 7672 3.2.1", "other name", leaf_name, 1, AUTH, 0, 0 },
	{ "RFC 7671 5.1", "client usage", leaf_client, 1, AUTH, 0, 0 },
	{ "RFC 6698 2.1.1", "3 x x of the root", leaf_of_root, 1, WAIT, 0,
	    0 },
	{ "RFC 7671 8", "one of two fits", rollover, 1, AUTH, 0, 0 },

	/* DANE-TA: RFC 7671 5.2, RFC 7672 3.1.2, 3.2 */
	{ "RFC 7672 3.1.2", "2 0 1 of a private root", root, 1, AUTH, 0, 0 },
	{ "RFC 6698 2.1.1", "expired leaf", root_expired, 1, WAIT, 0, 0 },
	{ "RFC 7672 3.2.2", "other name", root_name, 1, WAIT, 0, 0 },
	{ "RFC 7672 3.2.2", "the next-hop domain's name", root_domain_name, 1,
	    AUTH, 0, 0 },
	{ "RFC 7672 3.2.3", "wildcard", root_wildcard, 1, AUTH, 0, 0 },
	{ "RFC 7672 3.2.3", "part of a label", root_wildcard_part, 1, WAIT, 0,
	    0 },
	{ "RFC 7672 3.2.3", "an asterisk is one label", root_wildcard_deep, 1,
	    WAIT, 0, 0 },
	{ "RFC 7672 3.2.3", "common name alone", root_common_name, 1, WAIT,
	    AUTH, 0 },
	{ "RFC 7672 3.2.3", "common name beside DNS names",
	    root_common_name_beside, 1, WAIT, 0, 0 },
	{ "RFC 5280 4.2.1.12", "client usage", root_client, 1, WAIT, 0, 0 },
	{ "RFC 7671 5.2.2", "digest of what is not shown", root_left_out, 1,
	    WAIT, 0, 0 },
	{ "RFC 7671 5.2.2", "2 0 0 of what is not shown",
	    root_whole_left_out, 1, AUTH, 0, 0 },
	{ "RFC 7671 5.2.3", "2 1 0 of what is not shown", root_key_left_out,
	    1, AUTH, WAIT, 0 },
	{ "RFC 7671 5.2", "an intermediate is the anchor", issuer, 1, AUTH, 0,
	    0 },
	{ "RFC 5280 6.1.3", "issuer expired", root_issuer_expired, 1, WAIT, 0,
	    0 },
	{ "RFC 5280 6.1.4", "issuer is no authority",
	    root_issuer_no_authority, 1, WAIT, 0, 0 },
	{ "RFC 5280 6.1", "issuer not shown", root_gap, 1, WAIT, 0, 0 },
	{ "RFC 5280 6.1", "2 x x of the leaf", root_of_leaf, 1, WAIT, 0, 0 },
	{ "RFC 7671 5.2.2", "2 1 1 of a public root, not shown", public_root,
	    1, WAIT, AUTH, 0 },

	/* Which records count: RFC 6698 4.1, RFC 7671 9, RFC 7672 5 */
	{ "RFC 7671 9", "SHA-512 wrong, SHA-256 right", digests, 1, WAIT, 0,
	    0 },
	{ "RFC 7671 9", "SHA-512 wrong, of another selector", digests_apart,
	    1, AUTH, 0, 0 },
	{ "RFC 7671 9", "SHA-512 wrong, full copy right", digests_full, 1,
	    AUTH, 0, 0 },
	{ "RFC 7671 9", "SHA-512 malformed", digests_malformed, 1, AUTH, 0,
	    0 },
	{ "RFC 7672 2.2", "nothing usable", unusable, 1, ENC, 0, 0 },
	{ "RFC 7672 2.2", "unusable, and wrong", unusable_and_wrong, 1, WAIT,
	    0, 0 },
	{ "RFC 6698 4.1", "unusable, and right", unusable_and_good, 1, AUTH,
	    0, 0 },
	{ "RFC 6698 4.1", "unknown selector", selector, 1, ENC, 0, 0 },
	{ "RFC 6698 4.1", "unknown matching type", matching, 1, ENC, 0, 0 },
	{ "RFC 7672 3.1.3", "public usages", public_usage, 1, ENC, WAIT, 0 },
	{ "RFC 7672 3.1.3", "public usages: never clear", public_usage_strip,
	    1, WAIT, 0, 0 },
	{ "RFC 7672 6", "mandatory, unusable", dane_only_unusable, 1, WAIT, 0,
	    0 },
	{ "RFC 7672 6", "mandatory, absent", dane_only_absent, 1, WAIT, 0,
	    0 },
	{ "RFC 7672 2.2.1", "mandatory, insecure MX", dane_only_insecure_mx,
	    1, WAIT, 0, 0 },

	/* MTA-STS: RFC 8461 */
	{ "RFC 8461 4", "enforce", enforce, 1, AUTH, 0, 0 },
	{ "RFC 8461 4.2", "self-signed", sts_self, 1, WAIT, 0, 0 },
	{ "RFC 8461 4.2", "expired", sts_expired, 1, WAIT, 0, 0 },
	{ "RFC 8461 4.2", "common name alone", sts_common_name, 1, WAIT, 0,
	    0 },
	{ "RFC 8461 4.2", "the domain's name", sts_domain_name, 1, WAIT, 0,
	    0 },
	{ "RFC 8461 4.2", "leaf without its issuer", sts_leaf_alone, 1, WAIT,
	    0, 0 },
	{ "RFC 8446 4.4.2", "chain in another order", sts_reversed, 1, AUTH,
	    0, 0 },
	{ "RFC 8461 5.1", "self-signed, next host", sts_second, 2, AUTH, 0,
	    0 },
	{ "RFC 8461 4.1", "not in the policy, next host", sts_unlisted, 2,
	    AUTH, 0, 0 },
	{ "RFC 8461 3.1", "the record fails", sts_error, 1, WAIT, ENC, 0 },
	{ "RFC 8461 3.3", "the record fails, seen before", sts_error_cached,
	    1, WAIT, 0, 0 },
	{ "RFC 8461 3.3", "no policy to be had", sts_fetch, 1, ENC, 0, 0 },
	{ "RFC 8461 3.2", "another media type", sts_type, 1, ENC, WAIT, 0 },
	{ "RFC 8461 3.1", "no valid record", sts_invalid, 1, ENC, 0, 0 },
	{ "RFC 8461 3.3", "record gone, seen before", sts_cached, 1, WAIT, 0,
	    0 },
	{ "RFC 8461 3.3", "fetch fails, seen before", sts_cached_fetch, 1,
	    WAIT, 0, 0 },
	{ "RFC 8461 8.3", "replaced by none", sts_cached_none, 1, ENC, 0,
	    0 },
	{ "RFC 8461 2", "DANE fails, MTA-STS passes", sts_dane_mismatch, 1,
	    WAIT, 0, 0 },
	{ "RFC 8461 2", "DANE passes, MTA-STS fails", sts_dane, 1, AUTH, WAIT,
	    0 },
	{ "RFC 7672 2.2", "unusable TLSA, MTA-STS passes", sts_unusable, 1,
	    AUTH, 0, 0 },
	{ "RFC 8461 5", "unusable TLSA, MTA-STS fails", sts_unusable_self, 1,
	    WAIT, 0, 0 },
	{ "RFC 8461 5", "insecure MX, DANE mismatch, MTA-STS passes",
	    insecure_mx_sts_mismatch, 1, WAIT, AUTH, 0 },
	{ "RFC 8461 5", "insecure MX, DANE passes, MTA-STS fails",
	    insecure_mx_sts_untrusted, 1, WAIT, 0, 0 },
	{ "RFC 9325 4.5", "RSA of 1024 bits, enforce", weak_sts, 1, AUTH,
	    WAIT, 0 },
};

static void print_outcomes(char *out, size_t size, unsigned outcomes)
{
	size_t used = 0;

	out[0] = '\0';
	for (int i = 0; i < LAB_OUTCOMES && used < size; i++)
		if ((outcomes & 1u << i) != 0)
			used += (size_t)snprintf(out + used, size - used,
			    " %s", lab_outcome_name((enum lab_outcome)i));
}

static void test_clauses(void **state)
{
	unsigned wrong = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct lab_facts facts = good(rows[i].hosts);
		char found[100], right[100];
		struct lab_answer answer;

		rows[i].change(&facts);
		answer = lab_oracle(&facts);
		if (answer.outcomes == (rows[i].expect | rows[i].accept) &&
		    1u << answer.expect == rows[i].expect &&
		    answer.untouched == rows[i].untouched)
			continue;
		print_outcomes(found, sizeof(found), answer.outcomes);
		print_outcomes(right, sizeof(right), rows[i].expect |
		    rows[i].accept);
		print_error("%s, %s: expects %s of%s, untouched %u; right "
		    "is%s, untouched %u\n", rows[i].clause, rows[i].title,
		    lab_outcome_name(answer.expect), found, answer.untouched,
		    right, rows[i].untouched);
		wrong++;
	}
	print_message("%zu rows\n", sizeof(rows) / sizeof(rows[0]));
	assert_int_equal(wrong, 0);
}

/* What else is in an answer. */
static void test_further_answers(void **state)
{
	struct lab_facts facts = good(1);
	struct lab_answer answer;

	(void)state;
	answer = lab_oracle(&facts);
	assert_false(answer.violable);
	assert_false(answer.clear_mail);
	assert_null(answer.strict);
	strip(&facts);
	answer = lab_oracle(&facts);
	assert_true(answer.clear_mail);
	assert_string_equal(answer.strict, "deferred");
	dane(&facts);
	answer = lab_oracle(&facts);
	assert_true(answer.violable);
	assert_false(answer.clear_mail);
	assert_false(answer.blind);
	assert_string_equal(answer.clauses[0], "RFC 7672 2.2");
	/* Nobody would see whether the first or the second host took it. */
	facts = good(2);
	mismatch(&facts);
	answer = lab_oracle(&facts);
	assert_true(answer.violable);
	assert_true(answer.blind);
	facts = good(1);
	wire(&facts, LAB_WIRE_IMPOSTOR);
	assert_true(lab_oracle(&facts).lost);
	dane(&facts);
	assert_false(lab_oracle(&facts).lost);
}

/* RFC 6125 6.4.3 */
static void test_names(void **state)
{
	(void)state;
	assert_true(lab_oracle_name_fits("mx.example.net", "MX.Example.NET"));
	assert_false(lab_oracle_name_fits("mx.example.net", "example.net"));
	assert_true(lab_oracle_name_fits("*.example.net", "mx.example.net"));
	assert_false(lab_oracle_name_fits("*.example.net", "example.net"));
	assert_false(lab_oracle_name_fits("*.example.net",
	    "a.mx.example.net"));
	assert_false(lab_oracle_name_fits("m*.example.net",
	    "mx.example.net"));
	assert_false(lab_oracle_name_fits("*.*.net", "mx.example.net"));
	assert_false(lab_oracle_name_fits("*", "net"));
	assert_false(lab_oracle_name_fits("*.net", ".net"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_clauses),
		cmocka_unit_test(test_further_answers),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests_name("lab-oracle", tests, NULL, NULL);
}
