/* SPDX-License-Identifier: ISC */
/*
 * TLS_CHECK_DANE in whole handshakes: which records and which chains go
 * together (DANE-85 to DANE-102), names (DANE-105 to DANE-114, T-10 to T-14),
 * digest agility (DANE-125 to DANE-130), the certificate for the web's
 * authorities as well (DANE-139), a name beside usage 3 (REQ-36a), and what
 * reports call each failure (RPT-36 to RPT-40, RPT-48). The server is a plain
 * OpenSSL session that shows whatever it is told.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/tls.h"
#include "base/tls_session.h"
#include "tests/unit/certificates.h"
#include "tests/unit/tls_pair.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { SHOWN_MAX = 8, RECORDS_MAX = 40, DATA_MAX = 4096 };

/* --- the zoo: certificates by the names that cases call them --- */

static const struct animal {
	const char		*name;
	const char		*issuer;	/* made before; null: itself */
	struct certificate_plan	 plan;
} animals[] = {
#define AUTHORITY(name) .common_name = name, .authority = true
#define MX .common_name = "leaf", .alternative_names = "DNS:mx.example.org"
	{ "root", NULL, { AUTHORITY("root") } },
	{ "double", NULL, { AUTHORITY("root") } },	/* its name, not key */
	{ "middle", "root", { AUTHORITY("middle") } },
	{ "leaf", "middle", { MX } },
	{ "direct", "root", { MX } },
	{ "stale", "middle", { MX, .from_days = -20, .until_days = -10 } },
	{ "early", "middle", { MX, .from_days = 10, .until_days = 20 } },
	{ "other", "middle", { .common_name = "other",
	    .alternative_names = "DNS:elsewhere.example" } },
	{ "nameless", "middle", { .common_name = "x" } },
	{ "self", NULL, { MX } },
	{ "client", "middle", { MX, .for_clients = true } },
	{ "old-middle", "root", { AUTHORITY("old middle"), .from_days = -20,
	    .until_days = -10 } },
	{ "below-old", "old-middle", { MX } },
	{ "below-leaf", "leaf", { MX } },
	{ "signer", "middle", { .common_name = "signer", .signs = true } },
	{ "below-signer", "signer", { MX } },
	{ "weak", "middle", { MX, .key = CERTIFICATE_RSA_1024 } },
	{ "sha1", "middle", { MX, .sha1 = true } },
	{ "star", "middle", { .common_name = "star",
	    .alternative_names = "DNS:*.example.org" } },
	{ "rsa", "middle", { MX, .key = CERTIFICATE_RSA } },
	{ "narrow", NULL, { AUTHORITY("Narrow"),
	    .constraints = "critical,permitted;DNS:example.net" } },
	{ "below-narrow", "narrow", { MX } },
	{ "flat", NULL, { AUTHORITY("Flat"), .last = true } },
	{ "below-flat", "flat", { AUTHORITY("Below flat") } },
	{ "too-deep", "below-flat", { MX } },
#undef MX
#undef AUTHORITY
};

static struct certificate *zoo[COUNT(animals)];

static struct certificate *find(const char *name, size_t length)
{
	size_t i;

	for (i = 0; i < COUNT(animals); i++)
		if (strncmp(animals[i].name, name, length) == 0 &&
		    animals[i].name[length] == '\0')
			return zoo[i];
	fail_msg("no certificate is called %.*s", (int)length, name);
	return NULL;
}

static int set_up(void **state)
{
	size_t i;

	(void)state;
	log_init("test", LOG_LEVEL_ERROR);
	tls_init();
	for (i = 0; i < COUNT(animals); i++) {
		struct certificate_plan plan = animals[i].plan;

		if (animals[i].issuer != NULL)
			plan.issuer = find(animals[i].issuer,
			    strlen(animals[i].issuer));
		zoo[i] = certificate_new(&plan);
	}
	return 0;
}

static int tear_down(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(animals); i++)
		certificate_free(zoo[i]);
	return 0;
}

/* --- records: "3 1 1 leaf, 2 0 1 !root" --- */

struct records {
	struct tls_tlsa	 list[RECORDS_MAX];
	uint8_t		 data[RECORDS_MAX][DATA_MAX];
	size_t		 count;
};

/* What RFC 6698 2.1 says the data is, made without base/tls*.c. */
static size_t make_data(uint8_t *out, const struct certificate *certificate,
    int selector, int matching)
{
	unsigned char *der = NULL;
	unsigned int length = DATA_MAX;
	int size = selector == 0 ?
	    i2d_X509(certificate_x509(certificate), &der) :
	    i2d_PUBKEY(certificate_key(certificate), &der);

	assert_in_range(size, 1, DATA_MAX);
	if (matching == 1 || matching == 2) {
		assert_int_equal(EVP_Digest(der, (size_t)size, out, &length,
		    matching == 1 ? EVP_sha256() : EVP_sha512(), NULL), 1);
	} else {
		memcpy(out, der, (size_t)size);
		length = (unsigned int)size;
	}
	OPENSSL_free(der);
	return length;
}

/* Behind a certificate's name: ":N" keeps N octets. Before it: "!" changes
 * the last octet. */
static void read_record(struct records *records, const char *text)
{
	struct tls_tlsa *record = &records->list[records->count];
	uint8_t *data = records->data[records->count++];
	int usage, selector, matching, at;
	const char *name;
	size_t length;

	assert_int_equal(sscanf(text, "%d %d %d %n", &usage, &selector,
	    &matching, &at), 3);
	name = text + at + (text[at] == '!');
	length = strcspn(name, ":,");
	*record = (struct tls_tlsa){ .usage = (uint8_t)usage,
	    .selector = (uint8_t)selector, .matching = (uint8_t)matching,
	    .data = data, .length = make_data(data, find(name, length),
	    selector, matching) };
	if (text[at] == '!')
		data[record->length - 1] ^= 1;
	if (name[length] == ':')
		record->length = (size_t)strtol(name + length + 1, NULL, 10);
}

static struct records *read_records(const char *text)
{
	struct records *records = mem_alloc(sizeof *records);

	while (text != NULL && *text != '\0') {
		read_record(records, text);
		text = strchr(text, ',');
		if (text != NULL)
			text += 2;
	}
	return records;
}

/* --- a meeting --- */

/* The certificates in the order of the text, the first one's key. */
static SSL_CTX *server_showing(const char *chain)
{
	SSL_CTX *context = SSL_CTX_new(TLS_server_method());
	size_t length;
	bool first = true;

	SSL_CTX_set_security_level(context, 0);
	for (; *chain != '\0'; chain += length + (chain[length] == ' ')) {
		struct certificate *certificate;

		length = strcspn(chain, " ");
		certificate = find(chain, length);
		if (!first) {
			assert_int_equal(SSL_CTX_add1_chain_cert(context,
			    certificate_x509(certificate)), 1);
			continue;
		}
		first = false;
		assert_int_equal(SSL_CTX_use_certificate(context,
		    certificate_x509(certificate)), 1);
		assert_int_equal(SSL_CTX_use_PrivateKey(context,
		    certificate_key(certificate)), 1);
		SSL_CTX_set_mode(context, SSL_MODE_NO_AUTO_CHAIN);
	}
	return context;
}

static struct tls_client *client_with(const char *trust)
{
	char error[200];
	struct tls_client *client = tls_client_new(TLS_CHECK_DANE, trust,
	    error, sizeof error);

	if (client == NULL)
		fail_msg("%s", error);
	return client;
}

/* The handshake goes through in every case; facts get the verdict. */
static void meet_context(SSL_CTX *context, struct tls_client *client,
    const struct tls_expect *expect, struct tls_facts *facts)
{
	struct tls_wanted *wanted;
	SSL *ours = tls_client_session(client, expect, &wanted);
	SSL *server = SSL_new(context);
	const char *problem;

	SSL_set_accept_state(server);
	pair_join(ours, server);
	problem = pair_handshake(ours, server);
	if (problem != NULL)
		fail_msg("%s", problem);
	tls_facts_fill(facts, ours);
	tls_facts_judge(facts, ours, wanted);
	/* T-22, DANE-118: what was asked for. */
	if (expect->sni != NULL)
		assert_string_equal(SSL_get_servername(server,
		    TLSEXT_NAMETYPE_host_name), expect->sni);
	else
		assert_null(SSL_get_servername(server,
		    TLSEXT_NAMETYPE_host_name));
	tls_wanted_free(wanted);
	SSL_free(ours);
	SSL_free(server);
}

static void meet(const char *chain, const char *tlsa,
    const struct tls_expect *names, struct tls_facts *facts)
{
	struct tls_client *client = client_with(NULL);
	struct records *records = read_records(tlsa);
	SSL_CTX *context = server_showing(chain);
	struct tls_expect expect = *names;

	expect.check = TLS_CHECK_DANE;
	expect.tlsa = records->list;
	expect.tlsa_count = records->count;
	meet_context(context, client, &expect, facts);
	SSL_CTX_free(context);
	tls_client_free(client);
	mem_free(records);
}

static const char *const mx[] = { "mx.example.org" };
static const struct tls_expect for_mx = { .sni = "mx.example.org",
    .names = mx, .name_count = 1 };

/* --- the table --- */

/* Beginnings of what is said. */
#define NO_MATCH "no TLSA record matches "
#define NOT_FOR "the chain matches a TLSA record, but the certificate is not"
#define USELESS "no TLSA record is of any use"

struct dane_case {
	const char	*chain;
	const char	*tlsa;
	/* Verified: "USAGE SELECTOR TYPE ... depth N" of the match, as "3 1 1
	 * 0"; otherwise how the problem begins. */
	const char	*match;
	const char	*problem;
};

/* RPT-48: what the words of a problem are to a report. */
static enum tls_verdict verdict_of(const char *problem)
{
	if (problem == NULL)
		return TLS_VERDICT_NONE;
	if (strncmp(problem, NO_MATCH, strlen(NO_MATCH)) == 0 ||
	    strcmp(problem, USELESS) == 0)
		return TLS_VERDICT_NO_MATCH;
	if (strstr(problem, "the certificate is not") != NULL &&
	    strstr(problem, "not valid before") == NULL)
		return strstr(problem, "a TLS server") == NULL ?
		    TLS_VERDICT_NAME : TLS_VERDICT_UNTRUSTED;
	if (strstr(problem, "no list of trusted") != NULL)
		return TLS_VERDICT_OTHER;
	return strstr(problem, "expired") != NULL ||
	    strstr(problem, "not valid before") != NULL ?
	    TLS_VERDICT_EXPIRED : TLS_VERDICT_UNTRUSTED;
}

static void check_case(const struct dane_case *test)
{
	struct tls_facts facts;
	char match[20] = "";
	const char *depth;

	meet(test->chain, test->tlsa, &for_mx, &facts);
	if (facts.verified != (test->match != NULL))
		fail_msg("chain \"%s\", records \"%s\": %s", test->chain,
		    test->tlsa, facts.verified ? "verified" : facts.problem);
	assert_int_equal(facts.verified, facts.problem[0] == '\0');
	assert_int_equal(facts.verdict, verdict_of(test->problem));
	assert_int_equal(facts.verified, facts.matched_tlsa[0] != '\0');
	if (test->match == NULL) {
		if (strncmp(facts.problem, test->problem,
		    strlen(test->problem)) != 0)
			fail_msg("chain \"%s\", records \"%s\": %s",
			    test->chain, test->tlsa, facts.problem);
		return;
	}
	depth = strstr(facts.matched_tlsa, " depth ");
	assert_non_null(depth);
	snprintf(match, sizeof match, "%.5s%s", facts.matched_tlsa, depth + 6);
	if (strcmp(match, test->match) != 0)
		fail_msg("chain \"%s\", records \"%s\": %s", test->chain,
		    test->tlsa, facts.matched_tlsa);
	assert_int_equal(facts.matched_name[0] != '\0', match[0] == '2');
}

static void check_all(const struct dane_case *cases, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++)
		check_case(&cases[i]);
}

/* DANE-85 to DANE-89, DANE-130: each form of a record, and nothing else about
 * the certificate matters. */
static void test_usage_3(void **state)
{
	static const struct dane_case cases[] = {
		{ "leaf middle", "3 0 0 leaf", "3 0 0 0", NULL },
		{ "leaf middle", "3 0 1 leaf", "3 0 1 0", NULL },
		{ "leaf middle", "3 0 2 leaf", "3 0 2 0", NULL },
		{ "leaf middle", "3 1 0 leaf", "3 1 0 0", NULL },
		{ "leaf middle", "3 1 1 leaf", "3 1 1 0", NULL },
		{ "leaf middle", "3 1 2 leaf", "3 1 2 0", NULL },
		{ "rsa middle", "3 1 1 rsa", "3 1 1 0", NULL },
		/* DANE-87: dates */
		{ "stale middle", "3 1 1 stale", "3 1 1 0", NULL },
		{ "stale", "3 0 1 stale", "3 0 1 0", NULL },
		{ "early middle", "3 1 1 early", "3 1 1 0", NULL },
		/* DANE-86: names */
		{ "other middle", "3 1 1 other", "3 1 1 0", NULL },
		{ "nameless middle", "3 1 1 nameless", "3 1 1 0", NULL },
		/* DANE-88: issuers, chains, purposes */
		{ "self", "3 1 1 self", "3 1 1 0", NULL },
		{ "leaf", "3 1 1 leaf", "3 1 1 0", NULL },
		{ "below-leaf leaf", "3 1 1 below-leaf", "3 1 1 0", NULL },
		{ "client middle", "3 1 1 client", "3 1 1 0", NULL },
		{ "root", "3 1 1 root", "3 1 1 0", NULL },
		{ "sha1 middle", "3 1 1 sha1", "3 1 1 0", NULL },
		/* T-17: what else is shown */
		{ "leaf root double middle middle", "3 1 1 leaf", "3 1 1 0",
		    NULL },
		/* no match */
		{ "leaf middle", "3 1 1 !leaf", NULL, NO_MATCH
		    "the certificate or its key" },
		{ "leaf middle", "3 0 0 !leaf", NULL, NO_MATCH },
		{ "leaf middle", "3 1 1 self", NULL, NO_MATCH },
		{ "leaf middle", "3 1 1 middle", NULL, NO_MATCH },
		{ "leaf middle root", "3 0 1 root", NULL, NO_MATCH },
		/* the digest of one selector is not that of the other */
		{ "leaf middle", "3 0 1 other, 3 1 2 other", NULL, NO_MATCH },
		/* T-05: our floor for what counts as proof */
		{ "weak middle", "3 1 1 weak", NULL,
		    "a key in the chain is too weak" },
	};

	(void)state;
	check_all(cases, COUNT(cases));
}

/* DANE-95 to DANE-102 */
static void test_usage_2(void **state)
{
	static const struct dane_case cases[] = {
		{ "leaf middle root", "2 0 1 root", "2 0 1 2", NULL },
		{ "leaf middle root", "2 1 1 root", "2 1 1 2", NULL },
		{ "leaf middle root", "2 0 2 root", "2 0 2 2", NULL },
		{ "leaf middle root", "2 1 2 root", "2 1 2 2", NULL },
		{ "leaf middle root", "2 0 0 root", "2 0 0 2", NULL },
		{ "leaf middle root", "2 1 0 root", "2 1 0 2", NULL },
		{ "leaf middle", "2 0 1 middle", "2 0 1 1", NULL },
		{ "leaf middle", "2 1 1 middle", "2 1 1 1", NULL },
		{ "leaf middle root", "2 1 1 middle", "2 1 1 1", NULL },
		{ "direct root", "2 0 1 root", "2 0 1 1", NULL },
		{ "star middle", "2 0 1 middle", "2 0 1 1", NULL },
		/* DANE-98: no digest can be matched with what is not shown */
		{ "leaf middle", "2 0 1 root", NULL, NO_MATCH
		    "a certificate that was shown" },
		{ "leaf middle", "2 1 1 root", NULL, NO_MATCH },
		{ "leaf", "2 0 1 middle", NULL, NO_MATCH },
		{ "leaf", "2 1 1 middle", NULL, NO_MATCH },
		/* DANE-99: the certificate is in the DNS */
		{ "leaf middle", "2 0 0 root", "2 0 0 2", NULL },
		{ "leaf", "2 0 0 middle", "2 0 0 1", NULL },
		{ "leaf", "2 0 0 root", NULL, NO_MATCH },
		/* DANE-100: the key is in the DNS */
		{ "leaf middle", "2 1 0 root", "2 1 0 1", NULL },
		{ "leaf", "2 1 0 middle", "2 1 0 0", NULL },
		{ "leaf", "2 1 0 root", NULL, NO_MATCH },
		{ "stale middle", "2 1 0 root", NULL,
		    "the certificate expired on 20" },
		{ "stale", "2 1 0 middle", NULL,
		    "the certificate expired on 20" },
		{ "other middle", "2 1 0 root", NULL, NOT_FOR },
		{ "other", "2 1 0 middle", NULL, NOT_FOR },
		/* DANE-101: what the anchor's certificate allows; a bare key
		 * has no limits */
		{ "below-narrow narrow", "2 0 1 narrow", NULL,
		    "permitted subtree violation" },
		{ "below-narrow", "2 0 0 narrow", NULL,
		    "permitted subtree violation" },
		{ "below-narrow", "2 1 0 narrow", "2 1 0 0", NULL },
		{ "too-deep below-flat flat", "2 0 1 flat", NULL,
		    "path length constraint exceeded" },
		{ "too-deep below-flat flat", "2 0 1 below-flat", "2 0 1 1",
		    NULL },
		/* DANE-96: usual rules below the anchor */
		{ "stale middle root", "2 0 1 root", NULL,
		    "the certificate expired on 20" },
		{ "below-old old-middle root", "2 0 1 root", NULL,
		    "the certificate of an authority in the chain has "
		    "expired" },
		{ "early middle root", "2 0 1 root", NULL,
		    "the certificate is not valid before 20" },
		{ "client middle root", "2 0 1 root", NULL,
		    "the certificate is not for a TLS server" },
		{ "below-leaf leaf middle", "2 1 1 leaf", NULL, NO_MATCH },
		{ "below-signer signer middle", "2 1 1 signer", NULL,
		    "a certificate in the chain is not that of an authority" },
		{ "below-signer signer middle", "2 1 1 middle", NULL,
		    "a certificate in the chain is not that of an authority" },
		{ "weak middle", "2 1 1 middle", NULL,
		    "a key in the chain is too weak" },
		{ "sha1 middle", "2 1 1 middle", NULL,
		    "a signature in the chain uses a weak digest" },
		/* DANE-97 */
		{ "other middle", "2 1 1 middle", NULL, NOT_FOR },
		{ "nameless middle", "2 1 1 middle", NULL, NOT_FOR },
		/* DANE-102: a leaf is no anchor of itself */
		{ "leaf middle", "2 0 1 leaf", NULL, NO_MATCH },
		{ "leaf middle", "2 1 1 leaf", NULL, NO_MATCH },
		{ "self", "2 0 1 self", NULL, NO_MATCH },
		/* the name of an authority is not the authority */
		{ "leaf middle root", "2 0 1 double", NULL, NO_MATCH },
		{ "leaf middle double", "2 0 1 double", NULL,
		    "a signature in the chain is wrong" },
		{ "leaf middle", "2 1 0 double", NULL, NO_MATCH },
		{ "leaf middle", "2 0 0 double", NULL,
		    "a signature in the chain is wrong" },
	};

	(void)state;
	check_all(cases, COUNT(cases));
}

/* DANE-70 to DANE-74: what cannot be used is as if it were not there, and
 * with nothing left nobody is verified. */
static void test_unusable(void **state)
{
	static const struct dane_case cases[] = {
		{ "leaf middle", "", NULL, USELESS },
		{ "leaf middle root", "0 0 1 root", NULL, USELESS },
		{ "leaf middle", "1 1 1 leaf", NULL, USELESS },
		{ "leaf middle", "0 1 1 root, 1 0 1 leaf", NULL, USELESS },
		{ "leaf middle", "4 1 1 leaf", NULL, USELESS },
		{ "leaf middle", "255 1 1 leaf", NULL, USELESS },
		{ "leaf middle", "3 2 1 leaf", NULL, USELESS },
		{ "leaf middle", "3 255 1 leaf", NULL, USELESS },
		{ "leaf middle", "3 1 3 leaf", NULL, USELESS },
		{ "leaf middle", "3 1 255 leaf", NULL, USELESS },
		{ "leaf middle", "3 1 1 leaf:0", NULL, USELESS },
		{ "leaf middle", "3 0 0 leaf:0", NULL, USELESS },
		{ "leaf middle", "2 0 0 root:0", NULL, USELESS },
		{ "leaf middle", "2 1 0 root:0", NULL, USELESS },
		{ "leaf middle", "3 1 2 leaf:0", NULL, USELESS },
		{ "leaf middle", "3 1 1 leaf:31", NULL, USELESS },
		{ "leaf middle", "3 1 2 leaf:32", NULL, USELESS },
		{ "leaf middle", "3 1 2 leaf:63", NULL, USELESS },
		{ "leaf middle", "3 0 0 leaf:100", NULL, USELESS },
		{ "leaf middle", "3 1 0 leaf:20", NULL, USELESS },
		{ "leaf middle", "2 0 0 root:1", NULL, USELESS },
		/* beside one that can be used */
		{ "leaf middle", "1 1 1 other, 3 1 1 leaf:5, 3 1 1 leaf",
		    "3 1 1 0", NULL },
		{ "leaf middle", "9 9 9 other, 3 1 1 !leaf", NULL, NO_MATCH },
	};

	(void)state;
	check_all(cases, COUNT(cases));
}

/* DANE-122, DANE-125 to DANE-129 */
static void test_sets(void **state)
{
	static const struct dane_case cases[] = {
		{ "leaf middle", "3 1 1 other, 3 1 1 leaf", "3 1 1 0", NULL },
		{ "leaf middle", "3 1 1 !leaf, 2 1 1 middle", "2 1 1 1",
		    NULL },
		{ "stale middle", "2 1 1 middle, 3 1 1 stale", "3 1 1 0",
		    NULL },
		{ "leaf middle", "3 1 1 !leaf, 2 1 1 other", NULL, NO_MATCH },
		/* DANE-126: the strongest digest of a kind, and the whole */
		{ "leaf middle", "3 1 2 !leaf, 3 1 1 leaf", NULL,
		    NO_MATCH "the certificate or its key (weaker digests" },
		{ "leaf middle", "3 1 1 leaf, 3 1 2 !leaf", NULL, NO_MATCH },
		{ "leaf middle", "3 1 2 leaf, 3 1 1 !leaf", "3 1 2 0", NULL },
		{ "leaf middle root", "2 0 2 !root, 2 0 1 root", NULL,
		    NO_MATCH "a certificate that was shown, or its key (weak" },
		{ "leaf middle", "3 1 0 leaf, 3 1 2 !leaf", "3 1 0 0", NULL },
		/* DANE-128: kinds apart */
		{ "leaf middle", "3 0 2 !leaf, 3 1 1 leaf", "3 1 1 0", NULL },
		{ "leaf middle", "3 1 2 !leaf, 3 0 1 leaf", "3 0 1 0", NULL },
		{ "leaf middle", "3 1 2 !leaf, 2 1 1 middle", "2 1 1 1",
		    NULL },
		{ "leaf middle", "3 1 0 !leaf, 3 1 1 leaf", "3 1 1 0", NULL },
		/* DANE-125: a malformed one hides nothing */
		{ "leaf middle", "3 1 2 leaf:63, 3 1 1 leaf", "3 1 1 0",
		    NULL },
		{ "leaf middle", "3 1 2 leaf:0, 3 1 1 leaf", "3 1 1 0", NULL },
		{ "leaf middle", "3 1 3 other, 3 1 1 leaf", "3 1 1 0", NULL },
		/* DANE-129: the fixture of RFC 7671 9 */
		{ "leaf middle", "3 1 0 !leaf, 3 1 1 leaf, 3 1 2 !leaf", NULL,
		    NO_MATCH },
		{ "leaf middle", "3 1 0 !leaf, 3 1 1 !leaf, 3 1 2 leaf",
		    "3 1 2 0", NULL },
	};

	(void)state;
	check_all(cases, COUNT(cases));
}

/* --- names --- */

static void check_names(const struct certificate_plan *wanted,
    const char *const *names, size_t count, const char *match)
{
	struct certificate_plan plan = *wanted;
	struct certificate *middle = find("middle", 6), *shown;
	struct tls_client *client = client_with(NULL);
	struct records *records = read_records("2 1 1 middle");
	struct tls_expect expect = { .check = TLS_CHECK_DANE,
	    .sni = names[0], .names = names, .name_count = count,
	    .tlsa = records->list, .tlsa_count = 1 };
	struct tls_facts facts;
	SSL_CTX *context;

	plan.issuer = middle;
	shown = certificate_new(&plan);
	context = server_showing("leaf middle");
	assert_int_equal(SSL_CTX_use_certificate(context,
	    certificate_x509(shown)), 1);
	assert_int_equal(SSL_CTX_use_PrivateKey(context,
	    certificate_key(shown)), 1);
	meet_context(context, client, &expect, &facts);
	if (facts.verified != (match != NULL) ||
	    strcmp(facts.matched_name, match == NULL ? "" : match) != 0)
		fail_msg("CN \"%s\", names \"%s\" for %s: %s %s",
		    plan.common_name, plan.alternative_names == NULL ? "" :
		    plan.alternative_names, names[0], facts.problem,
		    facts.matched_name);
	if (match == NULL)
		assert_memory_equal(facts.problem, NOT_FOR, strlen(NOT_FOR));
	SSL_CTX_free(context);
	tls_client_free(client);
	certificate_free(shown);
	mem_free(records);
}

/* DANE-110 to DANE-113, T-10 to T-14: one reference name. */
static void test_names(void **state)
{
	static const struct {
		const char	*wanted;
		const char	*common_name;
		const char	*shown;
		const char	*match;
	} cases[] = {
		{ "mx.example.org", "x", "DNS:mx.example.org",
		    "mx.example.org" },
		{ "MX.Example.Org", "x", "DNS:mx.eXample.org",
		    "mx.eXample.org" },
		{ "mx.example.org", "x", "DNS:a.test,DNS:mx.example.org",
		    "mx.example.org" },
		{ "mx.example.org", "x", "DNS:mx2.example.org", NULL },
		{ "mx.example.org", "x", "DNS:example.org", NULL },
		{ "mx.example.org", "x", "DNS:.example.org", NULL },
		{ "mx.xn--bcher-kva.example", "x",
		    "DNS:mx.xn--bcher-kva.example",
		    "mx.xn--bcher-kva.example" },
		/* T-10, DANE-112 */
		{ "mx1.example.com", "x", "DNS:*.example.com",
		    "*.example.com" },
		{ "a.mx1.example.com", "x", "DNS:*.example.com", NULL },
		{ "example.com", "x", "DNS:*.example.com", NULL },
		/* T-11, DANE-111 */
		{ "mx1.example.com", "x", "DNS:mx*.example.com", NULL },
		{ "mx1.example.com", "x", "DNS:*1.example.com", NULL },
		{ "mx1.example.com", "x", "DNS:m*1.example.com", NULL },
		{ "mx1.example.com", "x", "DNS:mx1.*.com", NULL },
		{ "a.b.example.com", "x", "DNS:*.*.example.com", NULL },
		{ "example.com", "x", "DNS:*.com", NULL },
		{ "mx1.example.com", "x", "DNS:*", NULL },
		{ "mx1.example.com", "*.example.com", NULL, NULL },
		/* T-12, DANE-110 */
		{ "mx1.example.com", "mx1.example.com", "DNS:other.test",
		    NULL },
		/* T-13 */
		{ "mx1.example.com", "mx1.example.com", NULL,
		    "mx1.example.com" },
		{ "mx1.example.com", "mx2.example.com", NULL, NULL },
		{ "mx1.example.com", "mx1.example.com", "IP:192.0.2.1",
		    "mx1.example.com" },
		/* T-14 */
		{ "mx1.example.com", "x", "IP:192.0.2.1", NULL },
		{ "mx1.example.com", "x", "email:a@mx1.example.com", NULL },
		{ "mx1.example.com", "x", "URI:https://mx1.example.com/",
		    NULL },
	};
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(cases); i++)
		check_names(&(struct certificate_plan){
		    .common_name = cases[i].common_name,
		    .alternative_names = cases[i].shown }, &cases[i].wanted,
		    1, cases[i].match);
}

/* T-14: names that no text could say. */
static void test_raw_names(void **state)
{
	static const struct {
		const char	*name;
		int		 length;
	} cases[] = {
		{ "mx.example.org\0.evil.test", 25 },
		{ "mx.example.org\0", 15 },
		{ "mx.example.org ", 15 },
		{ "mx.example.org\r\n", 16 },
		{ "mx.ex\xc3\xa4mple.org", 16 },
		{ "", 0 },
		{ ".", 1 },
	};
	static const char *const names[] = { "mx.example.org" };
	char text[600];
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(cases); i++)
		check_names(&(struct certificate_plan){ .common_name = "x",
		    .raw_name = cases[i].name,
		    .raw_length = cases[i].length }, names, 1, NULL);
	memset(text, 'a', sizeof text);
	check_names(&(struct certificate_plan){ .common_name = "x",
	    .raw_name = text, .raw_length = sizeof text }, names, 1, NULL);
}

/* DANE-105 to DANE-109, DANE-114: RFC 7672 3.2.2. Mail for
 * exchange.example.org, an alias by way of mail.example.org of example.com;
 * mx10 is a host, mx15 an alias that is its own base, mx20 one whose base is
 * its target, mxbackup.example.net. */
static void test_worked_example(void **state)
{
	static const char *const mx10[] = { "mx10.example.com",
	    "exchange.example.org", "example.com" };
	static const char *const mx15[] = { "mx15.example.com",
	    "exchange.example.org", "example.com" };
	static const char *const mx20[] = { "mxbackup.example.net",
	    "exchange.example.org", "example.com" };
	static const struct {
		const char	*const *names;
		const char	*shown;
		bool		 accepted;
	} cases[] = {
		{ mx10, "mx10.example.com", true },
		{ mx10, "exchange.example.org", true },
		{ mx10, "example.com", true },
		{ mx10, "mail.example.org", false },
		{ mx10, "mx15.example.com", false },
		{ mx10, "example.org", false },
		{ mx15, "mx15.example.com", true },
		{ mx15, "exchange.example.org", true },
		{ mx15, "example.com", true },
		{ mx15, "mxbackup.example.net", false },
		{ mx15, "mx10.example.com", false },
		{ mx20, "mxbackup.example.net", true },
		{ mx20, "exchange.example.org", true },
		{ mx20, "example.com", true },
		{ mx20, "mx20.example.com", false },
		{ mx20, "mail.example.org", false },
	};
	char shown[80];
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(cases); i++) {
		snprintf(shown, sizeof shown, "DNS:%s", cases[i].shown);
		check_names(&(struct certificate_plan){ .common_name = "x",
		    .alternative_names = shown }, cases[i].names, 3,
		    cases[i].accepted ? cases[i].shown : NULL);
		/* DANE-109, T-15: behind an unsigned MX the host's name only */
		check_names(&(struct certificate_plan){ .common_name = "x",
		    .alternative_names = shown }, cases[i].names, 1,
		    strcmp(cases[i].shown, cases[i].names[0]) == 0 ?
		    cases[i].shown : NULL);
	}
}

/* --- both TLSA and the web's authorities --- */

static void test_also_name(void **state)
{
	static const struct {
		const char	*chain, *tlsa, *also, *trust, *problem;
	} cases[] = {
		{ "leaf middle", "3 1 1 leaf", "mx.example.org", "root",
		    NULL },
		{ "leaf middle", "2 1 1 middle", "mx.example.org", "root",
		    NULL },
		{ "star middle", "3 1 1 star", "mx.example.org", "root",
		    NULL },
		{ "leaf middle", "3 1 1 leaf", "mx2.example.org", "root",
		    "a TLSA record matches, but the certificate is not for "
		    "mx2.example.org" },
		{ "other middle", "3 1 1 other", "mx.example.org", "root",
		    "a TLSA record matches, but the certificate is not for" },
		{ "stale middle", "3 1 1 stale", "mx.example.org", "root",
		    "a TLSA record matches, but the certificate expired on " },
		{ "self", "3 1 1 self", "mx.example.org", "root",
		    "a TLSA record matches, but the certificate is self-" },
		{ "leaf", "3 1 1 leaf", "mx.example.org", "root",
		    "a TLSA record matches, but the issuer is not known" },
		{ "leaf middle", "3 1 1 leaf", "mx.example.org", "double",
		    "a TLSA record matches, but a signature in the chain is "
		    "wrong" },
		{ "client middle", "3 1 1 client", "mx.example.org", "root",
		    "a TLSA record matches, but the certificate is not for a "
		    "TLS server" },
		{ "leaf middle", "3 1 1 leaf", "mx.example.org", NULL,
		    "a TLSA record matches, but there is no list of trusted" },
		/* the trusted list never stands in for a record (DANE-95) */
		{ "leaf middle", "3 1 1 !leaf", "mx.example.org", "root",
		    NO_MATCH },
		{ "leaf middle", "2 0 1 root", "mx.example.org", "root",
		    NO_MATCH },
		{ "leaf middle", "1 1 1 leaf", "mx.example.org", "root",
		    USELESS },
		{ "leaf middle", "", "mx.example.org", "root", USELESS },
	};
	struct tls_facts facts;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(cases); i++) {
		struct tls_client *client = client_with(
		    cases[i].trust == NULL ? NULL : certificate_pem(find(
		    cases[i].trust, strlen(cases[i].trust))));
		struct records *records = read_records(cases[i].tlsa);
		SSL_CTX *context = server_showing(cases[i].chain);
		struct tls_expect expect = { .check = TLS_CHECK_DANE,
		    .names = mx, .name_count = 1, .tlsa = records->list,
		    .tlsa_count = records->count,
		    .also_name = cases[i].also };

		meet_context(context, client, &expect, &facts);
		if (facts.verified != (cases[i].problem == NULL) ||
		    (!facts.verified && strncmp(facts.problem,
		    cases[i].problem, strlen(cases[i].problem)) != 0))
			fail_msg("%s, %s: %s", cases[i].chain, cases[i].tlsa,
			    facts.problem);
		assert_int_equal(facts.verdict, verdict_of(cases[i].problem));
		SSL_CTX_free(context);
		tls_client_free(client);
		mem_free(records);
	}
}

/* DANE-139: the same beside a record, told and without any weight. */
static void test_note_name(void **state)
{
	static const struct {
		const char	*chain, *tlsa, *note, *trust;
		bool		 verified;
		const char	*noted;
	} cases[] = {
		{ "leaf middle", "3 1 1 leaf", "mx.example.org", "root", true,
		    "" },
		{ "leaf middle", "3 1 1 leaf", "mx2.example.org", "root", true,
		    "a TLSA record matches, but the certificate is not for "
		    "mx2.example.org" },
		{ "self", "3 1 1 self", "mx.example.org", "root", true,
		    "a TLSA record matches, but the certificate is self-" },
		{ "stale middle", "3 1 1 stale", "mx.example.org", "root", true,
		    "a TLSA record matches, but the certificate expired on " },
		{ "self", "3 1 1 self", "mx.example.org", NULL, true, "" },
		{ "leaf middle", "3 1 1 !leaf", "mx.example.org", "root",
		    false, "" },
	};
	struct tls_facts facts;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(cases); i++) {
		struct tls_client *client = client_with(
		    cases[i].trust == NULL ? NULL : certificate_pem(find(
		    cases[i].trust, strlen(cases[i].trust))));
		struct records *records = read_records(cases[i].tlsa);
		SSL_CTX *context = server_showing(cases[i].chain);
		struct tls_expect expect = { .check = TLS_CHECK_DANE,
		    .names = mx, .name_count = 1, .tlsa = records->list,
		    .tlsa_count = records->count,
		    .note_name = cases[i].note };

		meet_context(context, client, &expect, &facts);
		assert_int_equal(facts.verified, cases[i].verified);
		assert_int_equal(facts.problem[0] == '\0', facts.verified);
		assert_int_equal(facts.verdict, cases[i].verified ?
		    TLS_VERDICT_NONE : TLS_VERDICT_NO_MATCH);
		/* "Met" is not said where nobody could tell. */
		assert_int_equal(facts.note_met, cases[i].verified &&
		    cases[i].trust != NULL && cases[i].noted[0] == '\0');
		if (strncmp(facts.noted, cases[i].noted,
		    strlen(cases[i].noted)) != 0 ||
		    (facts.noted[0] != '\0') != (cases[i].noted[0] != '\0'))
			fail_msg("%s, %s: %s", cases[i].chain, cases[i].tlsa,
			    facts.noted);
		SSL_CTX_free(context);
		tls_client_free(client);
		mem_free(records);
	}
}

/* REQ-36a: requiretls-dane-ee = name-too. The same records without it are
 * met, whatever the name. */
static void test_ee_names(void **state)
{
	static const struct {
		const char	*chain, *tlsa;
		enum tls_verdict verdict;
	} cases[] = {
		{ "leaf middle", "3 1 1 leaf", TLS_VERDICT_NONE },
		{ "self", "3 0 1 self", TLS_VERDICT_NONE },
		{ "star middle", "3 1 1 star", TLS_VERDICT_NONE },
		{ "stale middle", "3 1 1 stale", TLS_VERDICT_NONE },
		{ "other middle", "3 1 1 other", TLS_VERDICT_NAME },
		{ "nameless middle", "3 1 1 nameless", TLS_VERDICT_NAME },
		{ "other middle", "3 1 1 !other", TLS_VERDICT_NO_MATCH },
		{ "leaf middle", "2 1 1 middle", TLS_VERDICT_NONE },
		{ "other middle", "2 1 1 middle", TLS_VERDICT_NAME },
		/* a record of each kind: usage 3 excuses no name then */
		{ "other middle", "3 1 1 other, 2 1 1 middle",
		    TLS_VERDICT_NAME },
	};
	struct tls_expect expect = for_mx;
	struct tls_facts facts;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(cases); i++) {
		expect.ee_names = true;
		meet(cases[i].chain, cases[i].tlsa, &expect, &facts);
		if (facts.verdict != cases[i].verdict ||
		    facts.verified != (cases[i].verdict == TLS_VERDICT_NONE))
			fail_msg("%s, %s: %s", cases[i].chain, cases[i].tlsa,
			    facts.problem);
		if (cases[i].verdict == TLS_VERDICT_NAME)
			assert_memory_equal(facts.problem, NOT_FOR,
			    strlen(NOT_FOR));
		expect.ee_names = false;
		meet(cases[i].chain, cases[i].tlsa, &expect, &facts);
		if (cases[i].tlsa[0] == '3')
			assert_int_equal(facts.verified,
			    strchr(cases[i].tlsa, '!') == NULL);
	}
}

/* --- what is told about the chain --- */

static void test_chain_facts(void **state)
{
	const struct certificate *middle = find("middle", 6);
	struct tls_facts facts;

	(void)state;
	meet("star middle root double root middle root root",
	    "2 1 1 middle", &for_mx, &facts);
	assert_true(facts.verified);
	assert_int_equal(facts.chain_count, 8);
	assert_string_equal(facts.chain[0].subject, "CN=star");
	assert_string_equal(facts.chain[0].issuer, "CN=middle");
	assert_string_equal(facts.chain[0].names, "*.example.org");
	assert_string_equal(facts.chain[1].subject, "CN=middle");
	assert_string_equal(facts.chain[1].names, "");
	assert_memory_equal(facts.chain[1].certificate_digest,
	    certificate_digest(middle), DIGEST_BYTES);
	assert_memory_equal(facts.chain[1].key_digest,
	    certificate_key_digest(middle), DIGEST_BYTES);
	assert_string_equal(facts.chain[TLS_CHAIN_MAX - 1].subject,
	    "CN=middle");
	assert_int_equal(strlen(facts.chain[0].not_before), 20);
	assert_int_equal(strlen(facts.chain[0].not_after), 20);
	assert_string_equal(facts.matched_name, "*.example.org");
}

/* Many names: whole ones until the room is full, and nothing that could harm
 * a log. */
static void test_chain_names(void **state)
{
	char names[2000] = "";
	struct certificate *shown;
	struct tls_client *client = client_with(NULL);
	SSL_CTX *context = server_showing("leaf");
	struct tls_expect expect = { .check = TLS_CHECK_DANE, .names = mx,
	    .name_count = 1 };
	struct tls_facts facts;
	const char *last;
	int i;

	(void)state;
	for (i = 0; i < 60; i++)
		snprintf(names + strlen(names), sizeof names - strlen(names),
		    "%sDNS:host%d.example.org", i > 0 ? "," : "", i);
	shown = certificate_new(&(struct certificate_plan){
	    .common_name = "line\nend\x1b[31m", .alternative_names = names });
	assert_int_equal(SSL_CTX_use_certificate(context,
	    certificate_x509(shown)), 1);
	assert_int_equal(SSL_CTX_use_PrivateKey(context,
	    certificate_key(shown)), 1);
	meet_context(context, client, &expect, &facts);
	assert_false(facts.verified);
	assert_in_range(strlen(facts.chain[0].names), 200, 255);
	last = strrchr(facts.chain[0].names, ' ');
	assert_string_equal(last + strlen(last) - 12, ".example.org");
	assert_null(strpbrk(facts.chain[0].subject, "\n\x1b"));
	SSL_CTX_free(context);
	tls_client_free(client);
	certificate_free(shown);
}

/* K-01, DANE-123: a context of one kind of check opens nothing of another. */
static void test_kinds_apart(void **state)
{
	struct tls_client *client = client_with(NULL);
	SSL_CTX *context = server_showing("leaf middle");
	struct records *records = read_records("3 1 1 leaf");
	struct tls_expect expect = { .check = TLS_CHECK_DANE, .names = mx,
	    .name_count = 1, .tlsa = records->list, .tlsa_count = 1 };
	struct tls_facts facts;

	(void)state;
	/* Records are the session's, not the context's. */
	meet_context(context, client, &expect, &facts);
	assert_true(facts.verified);
	records->data[0][0] ^= 1;
	meet_context(context, client, &expect, &facts);
	assert_false(facts.verified);
	expect.tlsa_count = 0;
	meet_context(context, client, &expect, &facts);
	assert_false(facts.verified);
	SSL_CTX_free(context);
	tls_client_free(client);
	mem_free(records);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_usage_3),
		cmocka_unit_test(test_usage_2),
		cmocka_unit_test(test_unusable),
		cmocka_unit_test(test_sets),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_raw_names),
		cmocka_unit_test(test_worked_example),
		cmocka_unit_test(test_also_name),
		cmocka_unit_test(test_note_name),
		cmocka_unit_test(test_ee_names),
		cmocka_unit_test(test_chain_facts),
		cmocka_unit_test(test_chain_names),
		cmocka_unit_test(test_kinds_apart),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
