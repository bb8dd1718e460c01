/* SPDX-License-Identifier: ISC */
/*
 * The TLS profile (TLS-105 to TLS-119), the checks of names and fingerprints
 * (TLS-95 to TLS-100), and which certificate a server shows. Our sessions meet
 * each other, or a plain OpenSSL session with other ideas, over a BIO pair.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/tls1.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/tls.h"
#include "base/tls_session.h"
#include "tests/unit/certificates.h"
#include "tests/unit/tls_pair.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct certificate *authority, *stranger, *first;
static char error_text[256];

static struct certificate *leaf(const char *names)
{
	return certificate_new(&(struct certificate_plan){
	    .common_name = "leaf", .alternative_names = names,
	    .issuer = authority });
}

static struct tls_server *server_with(const struct certificate *certificate)
{
	struct tls_server *server = tls_server_new();

	if (tls_server_add(server, "test", certificate_pem(certificate),
	    certificate_key_pem(certificate), error_text,
	    sizeof error_text) != 0)
		fail_msg("%s", error_text);
	return server;
}

static struct tls_client *client_for(enum tls_check check, const char *trust)
{
	struct tls_client *client = tls_client_new(check, trust, error_text,
	    sizeof error_text);

	if (client == NULL)
		fail_msg("%s", error_text);
	return client;
}

/* Our client meets that server; facts get what it thinks of it. */
static void meet(struct tls_server *server, const struct tls_expect *expect,
    const char *trust, struct tls_facts *facts)
{
	struct tls_client *client = client_for(expect->check, trust);
	struct tls_wanted *wanted;
	SSL *one = tls_client_session(client, expect, &wanted);
	SSL *other = tls_server_session(server);
	const char *problem;

	pair_join(one, other);
	problem = pair_handshake(one, other);
	if (problem != NULL)
		fail_msg("%s", problem);
	assert_true(tls_is_acceptable(one) && tls_is_acceptable(other));
	tls_facts_fill(facts, one);
	tls_facts_judge(facts, one, wanted);
	tls_wanted_free(wanted);
	SSL_free(one);
	SSL_free(other);
	tls_client_free(client);
}

/* --- what was seen --- */

static void test_facts(void **state)
{
	struct tls_server *server = server_with(first);
	struct tls_expect expect = { .check = TLS_CHECK_NONE };
	struct tls_facts facts;

	(void)state;
	meet(server, &expect, NULL, &facts);
	assert_string_equal(facts.version, "TLSv1.3");
	assert_string_equal(facts.cipher, "TLS_AES_256_GCM_SHA384");
	assert_string_equal(facts.group, "X25519");
	assert_int_equal(facts.bits, 256);
	assert_true(facts.has_peer);
	assert_memory_equal(facts.certificate_digest,
	    certificate_digest(first), DIGEST_BYTES);
	assert_memory_equal(facts.key_digest, certificate_key_digest(first),
	    DIGEST_BYTES);
	assert_string_equal(facts.subject, "CN=leaf");
	assert_string_equal(facts.issuer, "CN=authority");
	assert_int_equal(strlen(facts.not_after), 20);
	assert_int_equal(facts.not_after[19], 'Z');
	/* Nothing was asked, so nothing was shown. */
	assert_false(facts.verified);
	assert_string_equal(facts.problem, "");
	assert_int_equal(facts.verdict, TLS_VERDICT_NONE);
	tls_server_free(server);
}

/* --- TLS-95 to TLS-98, TLS-100 --- */

static void test_names(void **state)
{
	static const struct {
		const char	*shown;		/* in the certificate */
		const char	*wanted;
		bool		 verified;
	} cases[] = {
		{ "DNS:mx.example.org", "mx.example.org", true },
		{ "DNS:MX.Example.ORG", "mx.example.org", true },
		{ "DNS:a.example.org,DNS:mx.example.org", "mx.example.org",
		    true },
		{ "DNS:mx.example.org", "mx2.example.org", false },
		{ "DNS:mx.example.org", "example.org", false },
		{ "DNS:example.org", "mx.example.org", false },
		{ "DNS:xmx.example.org", "mx.example.org", false },
		/* TLS-97: a star is one whole label, the leftmost */
		{ "DNS:*.example.org", "mx.example.org", true },
		{ "DNS:*.example.org", "example.org", false },
		{ "DNS:*.example.org", "a.mx.example.org", false },
		{ "DNS:*.example.org", ".example.org", true },
		{ "DNS:m*.example.org", "mx.example.org", false },
		{ "DNS:*x.example.org", "mx.example.org", false },
		{ "DNS:mx.*.org", "mx.example.org", false },
		{ "DNS:*.*.org", "mx.example.org", false },
		{ "DNS:*", "mx", false },
		{ "DNS:*.org", "example.org", false },
		{ "DNS:**.example.org", "mx.example.org", false },
		/* patterns on our side: one label as well */
		{ "DNS:mx.example.org", "*.example.org", true },
		{ "DNS:mx.example.org", ".example.org", true },
		{ "DNS:*.example.org", "*.example.org", true },
		{ "DNS:a.mx.example.org", "*.example.org", false },
		{ "DNS:a.mx.example.org", ".example.org", false },
		{ "DNS:example.org", ".example.org", false },
		{ "DNS:m*.example.org", ".example.org", false },
		{ "DNS:mx.example.org", "*", false },
		{ "DNS:mx.example.org", "", false },
		/* TLS-96: neither common name nor other kinds of names */
		{ NULL, "leaf", false },
		{ "DNS:mx.example.org", "leaf", false },
		{ "email:leaf@mx.example.org", "mx.example.org", false },
		{ "URI:https://mx.example.org/", "mx.example.org", false },
		/* TLS-100 */
		{ "IP:192.0.2.1", "192.0.2.1", true },
		{ "IP:192.0.2.2", "192.0.2.1", false },
		{ "DNS:192.0.2.1", "192.0.2.1", false },
		{ "IP:2001:db8::1", "2001:db8:0::1", true }
	};
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(cases); i++) {
		struct certificate *shown = leaf(cases[i].shown);
		struct tls_server *server = server_with(shown);
		struct tls_expect expect = { .check = TLS_CHECK_NAME,
		    .sni = "mx.example.org", .names = &cases[i].wanted,
		    .name_count = 1 };
		struct tls_facts facts;

		meet(server, &expect, certificate_pem(authority), &facts);
		if (facts.verified != cases[i].verified)
			fail_msg("%s for %s: %s", cases[i].shown,
			    cases[i].wanted, facts.problem);
		assert_int_equal(facts.problem[0] == '\0', facts.verified);
		assert_int_equal(facts.matched_name[0] != '\0',
		    facts.verified);
		/* RPT-36 */
		assert_int_equal(facts.verdict, facts.verified ?
		    TLS_VERDICT_NONE : TLS_VERDICT_NAME);
		tls_server_free(server);
		certificate_free(shown);
	}
}

static void test_several_names(void **state)
{
	static const char *const names[] = { "a.example.org",
	    "mx.example.org" };
	struct tls_server *server = server_with(first);
	struct tls_expect expect = { .check = TLS_CHECK_NAME, .names = names,
	    .name_count = 2 };
	struct tls_facts facts;

	(void)state;
	meet(server, &expect, certificate_pem(authority), &facts);
	assert_true(facts.verified);
	assert_string_equal(facts.matched_name, "mx.example.org");
	expect.name_count = 1;
	meet(server, &expect, certificate_pem(authority), &facts);
	assert_false(facts.verified);
	assert_string_equal(facts.problem,
	    "the certificate is not for a.example.org");
	expect.name_count = 0;
	meet(server, &expect, certificate_pem(authority), &facts);
	assert_false(facts.verified);
	tls_server_free(server);
}

/* TLS-98: the path comes first, and its failure is told in words. */
static void check_path(const struct certificate_plan *plan,
    const char *expected)
{
	static const char *const name = "mx.example.org";
	struct tls_expect expect = { .check = TLS_CHECK_NAME, .names = &name,
	    .name_count = 1 };
	struct certificate *shown = certificate_new(plan);
	struct tls_server *server = server_with(shown);
	struct tls_facts facts;

	meet(server, &expect, certificate_pem(authority), &facts);
	assert_int_equal(facts.verified, expected == NULL);
	if (expected != NULL && strncmp(facts.problem, expected,
	    strlen(expected)) != 0)
		fail_msg("%s, not: %s", facts.problem, expected);
	/* RPT-37, RPT-38 */
	assert_int_equal(facts.verdict, expected == NULL ? TLS_VERDICT_NONE :
	    strstr(expected, "expired") != NULL ||
	    strstr(expected, "not valid before") != NULL ?
	    TLS_VERDICT_EXPIRED : TLS_VERDICT_UNTRUSTED);
	tls_server_free(server);
	certificate_free(shown);
}

static void test_path(void **state)
{
	struct certificate_plan plan = { .common_name = "leaf",
	    .alternative_names = "DNS:mx.example.org", .issuer = authority };
	struct certificate *old;

	(void)state;
	check_path(&plan, NULL);
	plan.from_days = -20;
	plan.until_days = -10;
	check_path(&plan, "the certificate expired on 20");
	plan.from_days = 10;
	plan.until_days = 20;
	check_path(&plan, "the certificate is not valid before 20");
	plan.from_days = plan.until_days = 0;
	plan.for_clients = true;
	check_path(&plan, "the certificate is not for a TLS server");
	plan.for_clients = false;
	plan.issuer = stranger;
	check_path(&plan, "the issuer is not known");
	plan.issuer = NULL;
	check_path(&plan, "the certificate is self-signed");
	/* A leaf is no authority. */
	plan.common_name = "below a leaf";
	plan.issuer = first;
	check_path(&plan, "the issuer is not known");
	old = certificate_new(&(struct certificate_plan){
	    .common_name = "old authority", .authority = true,
	    .from_days = -20, .until_days = -10 });
	plan.issuer = old;
	check_path(&plan, "the issuer is not known");
	certificate_free(old);
}

static void test_chain(void **state)
{
	static const char *const name = "mx.example.org";
	struct certificate *middle = certificate_new(
	    &(struct certificate_plan){ .common_name = "middle",
	    .authority = true, .issuer = authority });
	struct certificate *expired = certificate_new(
	    &(struct certificate_plan){ .common_name = "expired",
	    .authority = true, .issuer = authority, .from_days = -9,
	    .until_days = -1 });
	struct certificate *issuers[] = { middle, expired };
	static const char *const problems[] = { "",
	    "the certificate of an authority in the chain has expired or is "
	    "not yet valid" };
	struct tls_expect expect = { .check = TLS_CHECK_NAME, .names = &name,
	    .name_count = 1 };
	struct tls_facts facts;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(issuers); i++) {
		struct certificate *shown = certificate_new(
		    &(struct certificate_plan){ .common_name = "leaf",
		    .alternative_names = "DNS:mx.example.org",
		    .issuer = issuers[i] });
		char *chain = certificate_chain(shown, issuers[i]);
		struct tls_server *server = tls_server_new();

		assert_int_equal(tls_server_add(server, "test", chain,
		    certificate_key_pem(shown), error_text,
		    sizeof error_text), 0);
		meet(server, &expect, certificate_pem(authority), &facts);
		assert_string_equal(facts.problem, problems[i]);
		assert_int_equal(facts.verified, i == 0);
		assert_int_equal(facts.verdict, i == 0 ? TLS_VERDICT_NONE :
		    TLS_VERDICT_EXPIRED);
		/* No trusted certificates at all: nothing is verified. */
		meet(server, &expect, NULL, &facts);
		assert_false(facts.verified);
		tls_server_free(server);
		free(chain);
		certificate_free(shown);
		certificate_free(issuers[i]);
	}
}

static void test_fingerprint(void **state)
{
	uint8_t pins[2][DIGEST_BYTES] = { { 1 }, { 2 } };
	struct tls_expect expect = { .check = TLS_CHECK_FINGERPRINT,
	    .fingerprints = pins, .fingerprint_count = 2 };
	struct certificate *expired = certificate_new(
	    &(struct certificate_plan){ .common_name = "expired",
	    .from_days = -9, .until_days = -1 });
	struct tls_server *server = server_with(expired);
	struct tls_facts facts;

	(void)state;
	meet(server, &expect, NULL, &facts);
	assert_false(facts.verified);
	assert_string_not_equal(facts.problem, "");
	assert_int_equal(facts.verdict, TLS_VERDICT_NO_MATCH);
	/* The pin decides alone: dates, issuer and names do not count. */
	memcpy(pins[1], certificate_digest(expired), DIGEST_BYTES);
	meet(server, &expect, NULL, &facts);
	assert_true(facts.verified);
	assert_string_equal(facts.problem, "");
	memcpy(pins[1], certificate_key_digest(expired), DIGEST_BYTES);
	meet(server, &expect, NULL, &facts);
	assert_true(facts.verified);
	expect.fingerprint_count = 1;
	meet(server, &expect, NULL, &facts);
	assert_false(facts.verified);
	expect.fingerprint_count = 0;
	meet(server, &expect, NULL, &facts);
	assert_false(facts.verified);
	tls_server_free(server);
	certificate_free(expired);
}

/* --- TLS-119, TLS-121: which certificate is shown --- */

static void check_sni(struct tls_server *server, const char *sni,
    const struct certificate *expected)
{
	struct tls_expect expect = { .check = TLS_CHECK_NONE, .sni = sni };
	struct tls_facts facts;

	meet(server, &expect, NULL, &facts);
	if (memcmp(facts.certificate_digest, certificate_digest(expected),
	    DIGEST_BYTES) != 0)
		fail_msg("for %s: %s", sni != NULL ? sni : "nothing",
		    facts.subject);
}

static void test_sni(void **state)
{
	struct certificate *second = leaf("DNS:mail.example.net,"
	    "DNS:*.wild.example.net");
	struct certificate *third = leaf("DNS:mx.example.org");
	struct certificate *all[] = { first, second, third };
	struct tls_server *server = tls_server_new();
	char long_name[300];
	size_t i;

	(void)state;
	assert_true(tls_server_is_empty(server));
	for (i = 0; i < COUNT(all); i++)
		assert_int_equal(tls_server_add(server, i == 1 ? "b" : "a",
		    certificate_pem(all[i]), certificate_key_pem(all[i]),
		    error_text, sizeof error_text), 0);
	assert_false(tls_server_is_empty(server));
	check_sni(server, NULL, first);
	check_sni(server, "", first);
	check_sni(server, "mx.example.org", first);
	check_sni(server, "MX.EXAMPLE.ORG", first);
	check_sni(server, "mail.example.net", second);
	check_sni(server, "Mail.Example.Net", second);
	check_sni(server, "a.wild.example.net", second);
	check_sni(server, "a.b.wild.example.net", first);
	check_sni(server, "unknown.example.com", first);
	check_sni(server, "leaf", first);
	check_sni(server, "192.0.2.1", first);
	memset(long_name, 'x', sizeof long_name - 1);
	long_name[sizeof long_name - 1] = '\0';
	check_sni(server, long_name, first);
	tls_server_free(server);
	certificate_free(second);
	certificate_free(third);
}

/* --- a plain OpenSSL peer with other ideas --- */

/* A context that allows whatever OpenSSL can still do. */
static SSL_CTX *lax_context(const SSL_METHOD *method, int version,
    const char *ciphers)
{
	SSL_CTX *context = SSL_CTX_new(method);

	assert_non_null(context);
	SSL_CTX_set_security_level(context, 0);
	SSL_CTX_set_verify(context, SSL_VERIFY_NONE, NULL);
	assert_int_equal(SSL_CTX_set_min_proto_version(context, version), 1);
	assert_int_equal(SSL_CTX_set_max_proto_version(context, version), 1);
	if (ciphers != NULL)
		assert_int_equal(SSL_CTX_set_cipher_list(context, ciphers), 1);
	return context;
}

static void use_certificate(SSL_CTX *context,
    const struct certificate *certificate)
{
	BIO *chain = BIO_new_mem_buf(certificate_pem(certificate), -1);
	BIO *text = BIO_new_mem_buf(certificate_key_pem(certificate), -1);
	X509 *x509 = PEM_read_bio_X509(chain, NULL, NULL, NULL);
	EVP_PKEY *key = PEM_read_bio_PrivateKey(text, NULL, NULL, NULL);

	assert_int_equal(SSL_CTX_use_certificate(context, x509), 1);
	assert_int_equal(SSL_CTX_use_PrivateKey(context, key), 1);
	X509_free(x509);
	EVP_PKEY_free(key);
	BIO_free(chain);
	BIO_free(text);
}

struct profile_case {
	int		 version;
	const char	*ciphers;	/* TLS 1.2 and before */
	const char	*groups;
	const char	*cipher;	/* negotiated; null: refused */
};

/* TLS-13, TLS-105, TLS-107, TLS-109 to TLS-113 (TLS-111: no CBC), seen
 * from a client: what is weaker is no session at all. */
static void test_server_profile(void **state)
{
	static const struct profile_case cases[] = {
		{ TLS1_VERSION, NULL, NULL, NULL },
		{ TLS1_1_VERSION, NULL, NULL, NULL },
		{ TLS1_3_VERSION, NULL, NULL, "TLS_AES_256_GCM_SHA384" },
		{ TLS1_3_VERSION, NULL, "P-256", "TLS_AES_256_GCM_SHA384" },
		{ TLS1_3_VERSION, NULL, "ffdhe2048", NULL },
		{ TLS1_2_VERSION, NULL, NULL, "ECDHE-RSA-AES256-GCM-SHA384" },
		/* TLS-112: ours first, whatever the client likes best */
		{ TLS1_2_VERSION, "ECDHE-RSA-AES128-SHA:"
		    "ECDHE-RSA-AES128-GCM-SHA256", NULL,
		    "ECDHE-RSA-AES128-GCM-SHA256" },
		{ TLS1_2_VERSION, "ECDHE-RSA-AES256-SHA384", NULL, NULL },
		/* TLS-109, TLS-110: no static key exchange, nothing weak */
		{ TLS1_2_VERSION, "AES128-GCM-SHA256", NULL, NULL },
		{ TLS1_2_VERSION, "AES256-SHA", NULL, NULL },
		{ TLS1_2_VERSION, "DHE-RSA-AES256-GCM-SHA384", NULL, NULL },
		{ TLS1_2_VERSION, "NULL-SHA256", NULL, NULL },
		{ TLS1_2_VERSION, "ECDHE-RSA-NULL-SHA", NULL, NULL },
		{ TLS1_2_VERSION, "AECDH-AES256-SHA", NULL, NULL },
		{ TLS1_2_VERSION, "ADH-AES256-GCM-SHA384", NULL, NULL },
		{ TLS1_2_VERSION, "PSK-AES256-GCM-SHA384", NULL, NULL },
		{ TLS1_2_VERSION, "ECDHE-ECDSA-AES256-GCM-SHA384", NULL, NULL },
		{ TLS1_2_VERSION, NULL, "P-192", NULL }
	};
	struct certificate *rsa = certificate_new(&(struct certificate_plan){
	    .common_name = "rsa", .key = CERTIFICATE_RSA });
	struct tls_server *server = server_with(rsa);
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(cases); i++) {
		SSL_CTX *context = lax_context(TLS_client_method(),
		    cases[i].version, cases[i].ciphers);
		SSL *client, *ours = tls_server_session(server);
		const char *problem;

		if (cases[i].groups != NULL)
			assert_int_equal(SSL_CTX_set1_groups_list(context,
			    cases[i].groups), 1);
		client = SSL_new(context);
		SSL_set_connect_state(client);
		pair_join(client, ours);
		problem = pair_handshake(client, ours);
		if ((problem == NULL) != (cases[i].cipher != NULL))
			fail_msg("case %zu: %s", i,
			    problem != NULL ? problem : "accepted");
		if (problem == NULL)
			assert_string_equal(SSL_get_cipher_name(client),
			    cases[i].cipher);
		SSL_free(client);
		SSL_free(ours);
		SSL_CTX_free(context);
	}
	tls_server_free(server);
	certificate_free(rsa);
}

/* The same from a server's side, and TLS-114: a weak key is not a reason to
 * refuse where nothing is verified. */
static void test_client_profile(void **state)
{
	static const struct profile_case cases[] = {
		{ TLS1_VERSION, NULL, NULL, NULL },
		{ TLS1_1_VERSION, NULL, NULL, NULL },
		{ TLS1_3_VERSION, NULL, NULL, "TLS_AES_256_GCM_SHA384" },
		{ TLS1_2_VERSION, NULL, NULL, "ECDHE-RSA-AES256-GCM-SHA384" },
		{ TLS1_2_VERSION, "ECDHE-RSA-AES128-SHA", NULL,
		    "ECDHE-RSA-AES128-SHA" },
		{ TLS1_2_VERSION, "AES128-GCM-SHA256", NULL, NULL },
		{ TLS1_2_VERSION, "NULL-SHA256", NULL, NULL },
		{ TLS1_2_VERSION, "ECDHE-RSA-NULL-SHA", NULL, NULL },
		{ TLS1_2_VERSION, "AECDH-AES256-SHA", NULL, NULL },
		{ TLS1_2_VERSION, "ADH-AES256-GCM-SHA384", NULL, NULL }
	};
	struct certificate *weak = certificate_new(&(struct certificate_plan){
	    .common_name = "weak", .key = CERTIFICATE_RSA_1024 });
	struct tls_client *client = client_for(TLS_CHECK_NONE, NULL);
	struct tls_expect expect = { .check = TLS_CHECK_NONE };
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(cases); i++) {
		SSL_CTX *context = lax_context(TLS_server_method(),
		    cases[i].version, cases[i].ciphers);
		struct tls_wanted *wanted;
		SSL *server, *ours = tls_client_session(client, &expect,
		    &wanted);
		const char *problem;

		tls_wanted_free(wanted);
		use_certificate(context, weak);
		server = SSL_new(context);
		SSL_set_accept_state(server);
		pair_join(ours, server);
		problem = pair_handshake(ours, server);
		if ((problem == NULL) != (cases[i].cipher != NULL))
			fail_msg("case %zu: %s", i,
			    problem != NULL ? problem : "accepted");
		if (problem == NULL)
			assert_string_equal(SSL_get_cipher_name(ours),
			    cases[i].cipher);
		SSL_free(server);
		SSL_free(ours);
		SSL_CTX_free(context);
	}
	tls_client_free(client);
	certificate_free(weak);
}

/* TLS-114: what is verified must be strong. */
static void test_weak_key_not_verified(void **state)
{
	static const char *const name = "mx.example.org";
	struct certificate *weak = certificate_new(&(struct certificate_plan){
	    .common_name = "weak", .alternative_names = "DNS:mx.example.org",
	    .issuer = authority, .key = CERTIFICATE_RSA_1024 });
	struct tls_client *client = client_for(TLS_CHECK_NAME,
	    certificate_pem(authority));
	struct tls_expect expect = { .check = TLS_CHECK_NAME, .names = &name,
	    .name_count = 1 };
	struct tls_wanted *wanted;
	SSL_CTX *context = lax_context(TLS_server_method(), TLS1_3_VERSION,
	    NULL);
	SSL *server, *ours = tls_client_session(client, &expect, &wanted);
	struct tls_facts facts;

	(void)state;
	use_certificate(context, weak);
	server = SSL_new(context);
	SSL_set_accept_state(server);
	pair_join(ours, server);
	assert_null(pair_handshake(ours, server));
	tls_facts_fill(&facts, ours);
	tls_facts_judge(&facts, ours, wanted);
	assert_false(facts.verified);
	assert_string_equal(facts.problem, "a key in the chain is too weak");
	tls_wanted_free(wanted);
	SSL_free(server);
	SSL_free(ours);
	SSL_CTX_free(context);
	tls_client_free(client);
	certificate_free(weak);
}

static unsigned sessions_seen;

static int on_session(SSL *ssl, SSL_SESSION *session)
{
	(void)ssl;
	(void)session;
	sessions_seen++;
	return 0;
}

/* TLS-115, TLS-117, TLS-118: no tickets, resumption, early data. */
static void test_no_tickets(void **state)
{
	static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };
	struct tls_server *server = server_with(first);
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(versions); i++) {
		SSL_CTX *context = lax_context(TLS_client_method(),
		    versions[i], NULL);
		SSL *client = SSL_new(context);
		SSL *ours = tls_server_session(server);
		SSL_SESSION *session;
		char byte;

		SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT);
		SSL_CTX_sess_set_new_cb(context, on_session);
		sessions_seen = 0;
		SSL_set_connect_state(client);
		pair_join(client, ours);
		assert_null(pair_handshake(client, ours));
		/* In TLS 1.3 a ticket would come with the first reading. */
		assert_int_equal(SSL_write(ours, "x", 1), 1);
		assert_int_equal(SSL_read(client, &byte, 1), 1);
		session = SSL_get1_session(client);
		assert_int_equal(SSL_SESSION_has_ticket(session), 0);
		assert_int_equal(SSL_SESSION_get_max_early_data(session), 0);
		if (versions[i] == TLS1_3_VERSION)
			assert_int_equal(sessions_seen, 0);
		SSL_free(client);
		SSL_free(ours);

		/* The session is forgotten: a whole handshake again. */
		client = SSL_new(context);
		ours = tls_server_session(server);
		SSL_set_connect_state(client);
		SSL_set_session(client, session);
		pair_join(client, ours);
		assert_null(pair_handshake(client, ours));
		assert_int_equal(SSL_session_reused(client), 0);
		assert_null(SSL_get_current_compression(client));
		SSL_SESSION_free(session);
		SSL_free(client);
		SSL_free(ours);
		SSL_CTX_free(context);
	}
	tls_server_free(server);
}

/* TLS-116: the server stays with the first handshake. */
static void test_no_renegotiation(void **state)
{
	struct tls_server *server = server_with(first);
	SSL_CTX *context = lax_context(TLS_client_method(), TLS1_2_VERSION,
	    NULL);
	SSL *client = SSL_new(context), *ours = tls_server_session(server);
	bool done = false;
	char byte;
	int i;

	(void)state;
	SSL_set_connect_state(client);
	pair_join(client, ours);
	assert_null(pair_handshake(client, ours));
	assert_int_equal(SSL_get_extms_support(ours), 1);
	assert_int_equal(SSL_renegotiate(client), 1);
	for (i = 0; i < 5 && pair_move(client, &done); i++)
		(void)SSL_read(ours, &byte, 1);
	ERR_clear_error();
	assert_int_equal(SSL_num_renegotiations(ours), 0);
	assert_true(!done || SSL_renegotiate_pending(client));
	SSL_free(client);
	SSL_free(ours);
	SSL_CTX_free(context);
	tls_server_free(server);
}

/* TLS-121: RSA and ECDSA under one name, each to who understands it. */
static void test_dual(void **state)
{
	static const char *const ciphers[] = { "ECDHE-RSA-AES256-GCM-SHA384",
	    "ECDHE-ECDSA-AES256-GCM-SHA384" };
	static const char *const labels[] = { "same label", "other" };
	struct certificate *rsa = certificate_new(&(struct certificate_plan){
	    .common_name = "rsa", .key = CERTIFICATE_RSA,
	    .alternative_names = "DNS:mx.example.org" });
	struct certificate *other_names = certificate_new(
	    &(struct certificate_plan){ .common_name = "ecdsa",
	    .alternative_names = "DNS:a.example.org,DNS:mx.example.org" });
	struct certificate *seconds[] = { other_names, first };
	size_t i, j;

	(void)state;
	/* Paired by the label in the configuration, or by equal names. */
	for (i = 0; i < COUNT(seconds); i++) {
		struct tls_server *server = tls_server_new();

		assert_int_equal(tls_server_add(server, "same label",
		    certificate_pem(rsa), certificate_key_pem(rsa),
		    error_text, sizeof error_text), 0);
		assert_int_equal(tls_server_add(server, labels[i],
		    certificate_pem(seconds[i]),
		    certificate_key_pem(seconds[i]), error_text,
		    sizeof error_text), 0);
		for (j = 0; j < COUNT(ciphers); j++) {
			SSL_CTX *context = lax_context(TLS_client_method(),
			    TLS1_2_VERSION, ciphers[j]);
			SSL *client = SSL_new(context);
			SSL *ours = tls_server_session(server);

			SSL_set_connect_state(client);
			SSL_set_tlsext_host_name(client, "mx.example.org");
			pair_join(client, ours);
			assert_null(pair_handshake(client, ours));
			SSL_free(client);
			SSL_free(ours);
			SSL_CTX_free(context);
		}
		tls_server_free(server);
	}
	certificate_free(rsa);
	certificate_free(other_names);
}

/* Sessions under way keep the certificates they began with. */
static void test_shared(void **state)
{
	struct tls_server *server = server_with(first);
	struct tls_expect expect = { .check = TLS_CHECK_NONE,
	    .sni = "mx.example.org" };
	struct tls_facts facts;

	(void)state;
	assert_ptr_equal(tls_server_share(server), server);
	tls_server_free(server);
	meet(server, &expect, NULL, &facts);
	assert_true(facts.has_peer);
	tls_server_free(server);
	tls_server_free(NULL);
	tls_client_free(NULL);
}

/* --- what is refused --- */

static char *encrypted_key(void)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	BIO *bio = BIO_new(BIO_s_mem());
	char *data, *text;
	long length;

	assert_int_equal(PEM_write_bio_PrivateKey(bio, key, EVP_aes_128_cbc(),
	    (const unsigned char *)"pass", 4, NULL, NULL), 1);
	length = BIO_get_mem_data(bio, &data);
	text = strndup(data, (size_t)length);
	BIO_free(bio);
	EVP_PKEY_free(key);
	return text;
}

static void check_refused(const char *chain, const char *key,
    const char *words)
{
	struct tls_server *server = tls_server_new();

	memset(error_text, 0, sizeof error_text);
	assert_int_equal(tls_server_add(server, "mx", chain, key, error_text,
	    sizeof error_text), -1);
	if (strstr(error_text, words) == NULL ||
	    strncmp(error_text, "certificate mx: ", 16) != 0)
		fail_msg("%s, not: %s", error_text, words);
	assert_true(tls_server_is_empty(server));
	assert_int_equal(ERR_peek_error(), 0);
	tls_server_free(server);
}

static void test_server_refusals(void **state)
{
	const char *chain = certificate_pem(first);
	const char *key = certificate_key_pem(first);
	struct certificate *weak = certificate_new(&(struct certificate_plan){
	    .common_name = "weak", .key = CERTIFICATE_RSA_1024 });
	struct certificate *sha1 = certificate_new(&(struct certificate_plan){
	    .common_name = "sha1", .issuer = authority, .sha1 = true });
	char *encrypted = encrypted_key();
	char *broken = certificate_chain(first, authority);

	(void)state;
	check_refused("", key, "no certificate in PEM form");
	check_refused("nonsense", key, "no certificate in PEM form");
	check_refused(key, key, "no certificate in PEM form");
	memset(strstr(broken + strlen(chain), "CERT") + 30, '!', 8);
	check_refused(broken, key, "a certificate of the chain is damaged");
	check_refused(chain, "", "no private key in PEM form");
	check_refused(chain, chain, "no private key in PEM form");
	check_refused(chain, encrypted, "encrypted");
	check_refused(chain, certificate_key_pem(authority),
	    "does not belong");
	check_refused(certificate_pem(weak), certificate_key_pem(weak),
	    "too weak");
	check_refused(certificate_pem(sha1), certificate_key_pem(sha1),
	    "not usable for TLS");
	free(encrypted);
	free(broken);
	certificate_free(weak);
	certificate_free(sha1);
}

/* An expired certificate is accepted (and warned of in the log). */
static void test_expired_is_served(void **state)
{
	struct certificate *expired = certificate_new(
	    &(struct certificate_plan){ .common_name = "expired",
	    .from_days = -9, .until_days = -1 });
	struct tls_server *server = server_with(expired);

	(void)state;
	check_sni(server, NULL, expired);
	tls_server_free(server);
	certificate_free(expired);
}

static void test_client_refusals(void **state)
{
	char *broken = certificate_chain(authority, stranger);

	(void)state;
	assert_null(tls_client_new(TLS_CHECK_NAME, "", error_text,
	    sizeof error_text));
	assert_non_null(strstr(error_text, "no certificate"));
	assert_null(tls_client_new(TLS_CHECK_NAME, "nonsense", error_text,
	    sizeof error_text));
	memset(strstr(broken + 100, "BEGIN CERT") + 40, '!', 8);
	assert_null(tls_client_new(TLS_CHECK_NAME, broken, error_text,
	    sizeof error_text));
	assert_non_null(strstr(error_text, "damaged"));
	assert_int_equal(ERR_peek_error(), 0);
	free(broken);
}

static void test_name_rule(void **state)
{
	static const struct {
		const char	*pattern, *name;
		bool		 matches;
	} cases[] = {
		{ "a.b.c", "A.b.C", true }, { "a.b.c", "b.c", false },
		{ "*.b.c", "a.b.c", true }, { "*.b.c", ".b.c", false },
		{ "*.b.c", "b.c", false }, { "*.b.c", "*.b.c", true },
		{ "*.c", "b.c", false }, { "*", "a", false },
		{ "*b.c.d", "ab.c.d", false }, { "", "", true },
		{ "*.", "a.", false }, { "*..", "a..", false }
	};
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(cases) - 1; i++)
		if (tls_name_matches(cases[i].pattern, cases[i].name) !=
		    cases[i].matches)
			fail_msg("%s %s", cases[i].pattern, cases[i].name);
}

static int set_up(void **state)
{
	(void)state;
	log_init("test", LOG_LEVEL_ERROR);
	tls_init();
	authority = certificate_new(&(struct certificate_plan){
	    .common_name = "authority", .authority = true });
	stranger = certificate_new(&(struct certificate_plan){
	    .common_name = "stranger", .authority = true });
	first = leaf("DNS:mx.example.org");
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	certificate_free(authority);
	certificate_free(stranger);
	certificate_free(first);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_facts), cmocka_unit_test(test_names),
		cmocka_unit_test(test_several_names),
		cmocka_unit_test(test_path), cmocka_unit_test(test_chain),
		cmocka_unit_test(test_fingerprint), cmocka_unit_test(test_sni),
		cmocka_unit_test(test_server_profile),
		cmocka_unit_test(test_client_profile),
		cmocka_unit_test(test_weak_key_not_verified),
		cmocka_unit_test(test_no_tickets),
		cmocka_unit_test(test_no_renegotiation),
		cmocka_unit_test(test_dual), cmocka_unit_test(test_shared),
		cmocka_unit_test(test_server_refusals),
		cmocka_unit_test(test_expired_is_served),
		cmocka_unit_test(test_client_refusals),
		cmocka_unit_test(test_name_rule)
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
