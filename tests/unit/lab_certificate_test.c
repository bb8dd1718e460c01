/* SPDX-License-Identifier: ISC */
/*
 * The lab's certificates as OpenSSL judges them: which chains build from what
 * is shown, which dates are off, whose names they have, and that the TLSA data
 * made of them are digests of what they say. Covers what DANE and MTA-STS
 * scenarios stand on (DANE-TA and DANE-EE data, WebPKI chains).
 */
#include "tools/lab/certificate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "base/arena.h"
#include "tools/lab/actors_link.h"

/* X.520 ends a common name at 64 characters. */
#define LONG_HOST "a-host-with-a-name-that-is-longer-" \
    "than-x520-allows-it-to-be.example.org"

/* The scenario's texts are not constant. */
static char *one_name[] = { (char[]){ "mx1.example.org" } };
static char *odd_names[] = { (char[]){ "*.example.org" },
    (char[]){ "a,DNS:b.example.net" } };
static char *long_name[] = { (char[]){ LONG_HOST } };

/* What verifying the chain as shown against the CA alone gives. */
struct certificate_case {
	struct lab_certificate	 certificate;
	int			 verdict;
	int			 shown;		/* certificates in the chain */
	const char		*host;		/* it must be good for this */
	const char		*not_host;
};

#define NONE { NULL, 0 }
#define ONE { one_name, 1 }
#define ODD { odd_names, 2 }
#define LONG { long_name, 1 }
#define MAKE(name, names, common_name, issuer, validity, between, chain)  \
	{ (char[]){ name }, names, (char[]){ common_name },		  \
	    LAB_ISSUER_##issuer, LAB_##validity, between, chain }
#define NO_ISSUER X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY
#define FOREIGN_ROOT X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN

static const struct certificate_case cases[] = {
	{ MAKE("good", ONE, "", CA, VALID, false, true),
	    X509_V_OK, 1, "mx1.example.org", "mx2.example.org" },
	{ MAKE("between", ONE, "", CA, VALID, true, true),
	    X509_V_OK, 2, "mx1.example.org", "example.org" },
	{ MAKE("incomplete", ONE, "", CA, VALID, true, false),
	    NO_ISSUER, 1, "mx1.example.org", "x" },
	{ MAKE("expired", ONE, "", CA, EXPIRED, false, true),
	    X509_V_ERR_CERT_HAS_EXPIRED, 1, "mx1.example.org", "x" },
	{ MAKE("future", ONE, "", CA, FUTURE, false, true),
	    X509_V_ERR_CERT_NOT_YET_VALID, 1, "mx1.example.org", "x" },
	{ MAKE("self", ONE, "", SELF, VALID, true, true),
	    X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT, 1, "mx1.example.org", "x" },
	{ MAKE("other", ONE, "", OTHER, VALID, false, true),
	    NO_ISSUER, 1, "mx1.example.org", "x" },
	{ MAKE("private", ONE, "", PRIVATE, VALID, false, true),
	    FOREIGN_ROOT, 2, "mx1.example.org", "x" },
	{ MAKE("private-between", ONE, "", PRIVATE, VALID, true, true),
	    FOREIGN_ROOT, 3, "mx1.example.org", "x" },
	{ MAKE("private-hidden", ONE, "", PRIVATE, VALID, false, false),
	    NO_ISSUER, 1, "mx1.example.org", "x" },
	{ MAKE("odd", ODD, "", CA, VALID, false, true),
	    X509_V_OK, 1, "mx9.example.org", "b.example.net" },
	{ MAKE("long", LONG, "", CA, VALID, false, true),
	    X509_V_OK, 1, LONG_HOST, "x" },
	/* The subject counts only where there is no SAN. */
	{ MAKE("cn-only", NONE, "mx1.example.org", CA, VALID, false, true),
	    X509_V_OK, 1, "mx1.example.org", "x" },
	{ MAKE("cn-beside", ONE, "mx2.example.org", CA, VALID, false, true),
	    X509_V_OK, 1, "mx1.example.org", "mx2.example.org" },
	{ MAKE("mx3.example.org", NONE, "", CA, VALID, false, true),
	    X509_V_OK, 1, "mx3.example.org", "x" }
};
enum { CASES = sizeof(cases) / sizeof(cases[0]) };

static struct arena *arena;
static const struct lab_identities *identities;

static STACK_OF(X509) *read_chain(const char *pem)
{
	BIO *bio = BIO_new_mem_buf(pem, -1);
	STACK_OF(X509) *chain = sk_X509_new_null();
	X509 *next;

	while ((next = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL)
		sk_X509_push(chain, next);
	BIO_free(bio);
	return chain;
}

static X509 *read_der(const uint8_t *der, size_t length)
{
	const unsigned char *end = der;
	X509 *x509 = d2i_X509(NULL, &end, (long)length);

	assert_non_null(x509);
	assert_ptr_equal(end, der + length);
	return x509;
}

/* Verifies the shown chain with one trusted root; takes the root. */
static int verify(const struct lab_identity *identity, X509 *root)
{
	STACK_OF(X509) *chain = read_chain(identity->chain_pem);
	X509_STORE *store = X509_STORE_new();
	X509_STORE_CTX *context = X509_STORE_CTX_new();
	int verdict;

	X509_STORE_add_cert(store, root);
	X509_STORE_CTX_init(context, store, sk_X509_value(chain, 0), chain);
	X509_STORE_CTX_set_purpose(context, X509_PURPOSE_SSL_SERVER);
	X509_verify_cert(context);
	verdict = X509_STORE_CTX_get_error(context);
	X509_STORE_CTX_free(context);
	X509_STORE_free(store);
	X509_free(root);
	sk_X509_pop_free(chain, X509_free);
	return verdict;
}

static X509 *trusted_root(void)
{
	STACK_OF(X509) *chain = read_chain(identities->ca_pem);
	X509 *root = sk_X509_shift(chain);

	assert_int_equal(sk_X509_num(chain), 0);
	sk_X509_free(chain);
	return root;
}

static EVP_PKEY *read_key(const char *pem)
{
	BIO *bio = BIO_new_mem_buf(pem, -1);
	EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);

	assert_non_null(key);
	BIO_free(bio);
	return key;
}

/* The key fits, it is P-256, and the DER form is the first shown. */
static void check_parts(const struct lab_identity *identity, int shown)
{
	STACK_OF(X509) *chain = read_chain(identity->chain_pem);
	X509 *leaf = read_der(identity->leaf, identity->leaf_length);
	EVP_PKEY *key = read_key(identity->key_pem);
	char group[32] = "";

	assert_int_equal(sk_X509_num(chain), shown);
	assert_int_equal(X509_cmp(sk_X509_value(chain, 0), leaf), 0);
	assert_int_equal(X509_check_private_key(leaf, key), 1);
	EVP_PKEY_get_group_name(key, group, sizeof(group), NULL);
	assert_string_equal(group, "prime256v1");
	assert_int_equal(X509_get_version(leaf), X509_VERSION_3);
	EVP_PKEY_free(key);
	X509_free(leaf);
	sk_X509_pop_free(chain, X509_free);
}

static void verdicts(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < CASES; i++) {
		const struct lab_identity *identity = lab_identity_find(
		    identities, cases[i].certificate.name);
		int verdict;

		print_message("%s\n", cases[i].certificate.name);
		assert_ptr_equal(identity, &identities->items[i]);
		check_parts(identity, cases[i].shown);
		verdict = verify(identity, trusted_root());
		assert_string_equal(X509_verify_cert_error_string(verdict),
		    X509_verify_cert_error_string(cases[i].verdict));
	}
	assert_null(lab_identity_find(identities, "nobody"));
}

/* With its own root trusted, every chain builds whose parts are all shown. */
static void own_roots(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < CASES; i++) {
		const struct lab_certificate *certificate =
		    &cases[i].certificate;
		const struct lab_identity *identity = &identities->items[i];
		int wanted = certificate->validity == LAB_EXPIRED ?
		    X509_V_ERR_CERT_HAS_EXPIRED : certificate->validity ==
		    LAB_FUTURE ? X509_V_ERR_CERT_NOT_YET_VALID : X509_V_OK;

		if (certificate->intermediate && !certificate->send_chain)
			wanted = X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY;
		print_message("%s\n", certificate->name);
		assert_int_equal(verify(identity, read_der(identity->root,
		    identity->root_length)), wanted);
		assert_int_equal(identity->intermediate != NULL,
		    certificate->intermediate && certificate->issuer !=
		    LAB_ISSUER_SELF);
	}
}

static void names(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < CASES; i++) {
		X509 *leaf = read_der(identities->items[i].leaf,
		    identities->items[i].leaf_length);
		const char *no = cases[i].not_host;
		GENERAL_NAMES *list = X509_get_ext_d2i(leaf,
		    NID_subject_alt_name, NULL, NULL);

		print_message("%s\n", cases[i].certificate.name);
		assert_int_equal(X509_check_host(leaf, cases[i].host, 0, 0,
		    NULL), 1);
		assert_int_equal(X509_check_host(leaf, no, 0, 0, NULL), 0);
		assert_int_equal(sk_GENERAL_NAME_num(list),
		    cases[i].certificate.names.count > 0 ?
		    (int)cases[i].certificate.names.count : -1);
		GENERAL_NAMES_free(list);
		X509_free(leaf);
	}
}

/* At least two days: verifiers forgive a day (lab-facts, resolvers alike). */
static void dates(void **state)
{
	size_t i;
	int days, seconds;

	(void)state;
	for (i = 0; i < CASES; i++) {
		X509 *leaf = read_der(identities->items[i].leaf,
		    identities->items[i].leaf_length);

		if (cases[i].certificate.validity == LAB_EXPIRED) {
			assert_int_equal(ASN1_TIME_diff(&days, &seconds,
			    X509_get0_notAfter(leaf), NULL), 1);
			assert_true(days >= 2);
		} else if (cases[i].certificate.validity == LAB_FUTURE) {
			assert_int_equal(ASN1_TIME_diff(&days, &seconds, NULL,
			    X509_get0_notBefore(leaf)), 1);
			assert_true(days >= 2);
		}
		X509_free(leaf);
	}
}

/* Names and dates of the true one, another key, an authority nobody trusts. */
static void impostors(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < CASES; i++) {
		const struct lab_identity *good = &identities->items[i];
		const struct lab_identity *bad = &identities->impostors[i];
		X509 *true_leaf = read_der(good->leaf, good->leaf_length);
		X509 *leaf = read_der(bad->leaf, bad->leaf_length);
		int verdict = verify(bad, trusted_root());

		print_message("%s\n", good->name);
		assert_string_equal(good->name, bad->name);
		/* What signed itself with an intermediate has one now. */
		check_parts(bad, cases[i].certificate.issuer ==
		    LAB_ISSUER_SELF ? 2 : cases[i].shown);
		assert_int_equal(X509_NAME_cmp(X509_get_subject_name(leaf),
		    X509_get_subject_name(true_leaf)), 0);
		assert_int_equal(X509_check_host(leaf, cases[i].host, 0, 0,
		    NULL), 1);
		assert_int_not_equal(EVP_PKEY_eq(X509_get0_pubkey(leaf),
		    X509_get0_pubkey(true_leaf)), 1);
		assert_true(verdict ==
		    X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY ||
		    verdict == X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN);
		assert_int_not_equal(verify(bad, read_der(good->root,
		    good->root_length)), X509_V_OK);
		X509_free(true_leaf);
		X509_free(leaf);
	}
}

/* The digest of a certificate or its key, worked out with EVP alone. */
static void expect_tlsa(X509 *x509, int selector, int matching,
    const char *got)
{
	const EVP_MD *kinds[] = { NULL, EVP_sha256(), EVP_sha512() };
	unsigned char *der = NULL, digest[EVP_MAX_MD_SIZE];
	EVP_PKEY *key = X509_get_pubkey(x509);
	int length = selector == 0 ? i2d_X509(x509, &der) :
	    i2d_PUBKEY(key, &der);
	unsigned size = (unsigned)length, i;
	const unsigned char *wanted = der;

	assert_true(length > 0);
	if (matching != 0) {
		EVP_MD_CTX *context = EVP_MD_CTX_new();

		EVP_DigestInit_ex(context, kinds[matching], NULL);
		EVP_DigestUpdate(context, der, (size_t)length);
		EVP_DigestFinal_ex(context, digest, &size);
		EVP_MD_CTX_free(context);
		wanted = digest;
	}
	assert_int_equal(strlen(got), size * 2);
	for (i = 0; i < size; i++) {
		char pair[3];

		snprintf(pair, sizeof(pair), "%02x", wanted[i]);
		assert_memory_equal(pair, got + i * 2, 2);
	}
	OPENSSL_free(der);
	EVP_PKEY_free(key);
}

/* DANE-TA(2) and PKIX-TA(0) take the root, DANE-EE(3) and PKIX-EE(1) the
 * leaf: RFC 6698 2.1.1. */
static void tlsa_data(void **state)
{
	size_t i;
	int number;

	(void)state;
	for (i = 0; i < CASES; i++) {
		const struct lab_identity *identity = &identities->items[i];
		X509 *leaf = read_der(identity->leaf, identity->leaf_length);
		X509 *root = read_der(identity->root, identity->root_length);

		for (number = 0; number < 4 * 2 * 3; number++) {
			int usage = number / 6, selector = number / 3 % 2;

			expect_tlsa(usage % 2 == 0 ? root : leaf, selector,
			    number % 3, lab_tlsa_data(identity, usage,
			    selector, number % 3, arena));
		}
		X509_free(leaf);
		X509_free(root);
	}
	assert_null(lab_tlsa_data(identities->items, 4, 0, 1, arena));
	assert_null(lab_tlsa_data(identities->items, 3, 2, 1, arena));
	assert_null(lab_tlsa_data(identities->items, 3, 1, 3, arena));
	assert_null(lab_tlsa_data(identities->items, -1, 1, 1, arena));
}

/* --- what a DANE client makes of them --- */

struct dane_case {
	const char	*certificate;
	int		 usage, selector, matching;
	int		 verdict;
};

#define MISMATCH X509_V_ERR_DANE_NO_MATCH

/* RFC 7672 3.1: names and dates do not matter to DANE-EE, and an anchor must
 * be shown, or be known whole. */
static const struct dane_case dane_cases[] = {
	{ "good", 3, 1, 1, X509_V_OK }, { "good", 3, 0, 2, X509_V_OK },
	{ "self", 3, 1, 1, X509_V_OK }, { "expired", 3, 1, 1, X509_V_OK },
	{ "future", 3, 0, 1, X509_V_OK }, { "other", 3, 1, 2, X509_V_OK },
	{ "cn-only", 3, 0, 0, X509_V_OK }, { "long", 3, 1, 0, X509_V_OK },
	{ "private", 2, 0, 1, X509_V_OK }, { "private", 2, 1, 2, X509_V_OK },
	{ "private-between", 2, 0, 1, X509_V_OK },
	{ "private-between", 2, 1, 1, X509_V_OK },
	{ "private-hidden", 2, 0, 1, MISMATCH },
	{ "private-hidden", 2, 0, 0, X509_V_OK },
	{ "good", 2, 0, 1, MISMATCH }, { "self", 2, 0, 1, MISMATCH }
};

/* Lets both sides speak until neither has more to say. */
static void shake_hands(SSL *client, SSL *server)
{
	int i;

	for (i = 0; i < 20; i++) {
		SSL_do_handshake(client);
		SSL_do_handshake(server);
		ERR_clear_error();
	}
	assert_true(SSL_is_init_finished(client));
}

/* The verdict of OpenSSL's DANE on a server that shows `shown`. */
static int dane_verdict(const struct lab_identity *shown,
    const struct dane_case *of, const char *data)
{
	SSL_CTX *server_context = lab_link_context(shown);
	SSL_CTX *client_context = SSL_CTX_new(TLS_client_method());
	SSL *server = SSL_new(server_context), *client;
	unsigned char *bytes;
	BIO *one, *other;
	long length;
	int verdict;

	SSL_CTX_dane_enable(client_context);
	client = SSL_new(client_context);
	assert_int_equal(SSL_dane_enable(client, "mx1.example.org"), 1);
	SSL_dane_set_flags(client, DANE_FLAG_NO_DANE_EE_NAMECHECKS);
	bytes = OPENSSL_hexstr2buf(data, &length);
	assert_int_equal(SSL_dane_tlsa_add(client, (uint8_t)of->usage,
	    (uint8_t)of->selector, (uint8_t)of->matching, bytes,
	    (size_t)length), 1);
	OPENSSL_free(bytes);
	assert_int_equal(BIO_new_bio_pair(&one, 65536, &other, 65536), 1);
	SSL_set_bio(client, one, one);
	SSL_set_bio(server, other, other);
	SSL_set_connect_state(client);
	SSL_set_accept_state(server);
	shake_hands(client, server);
	verdict = (int)SSL_get_verify_result(client);
	SSL_free(client);
	SSL_free(server);
	SSL_CTX_free(client_context);
	SSL_CTX_free(server_context);
	return verdict;
}

/* A record that fits the true one never fits the impostor. */
static void dane(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(dane_cases) / sizeof(dane_cases[0]); i++) {
		const struct dane_case *of = &dane_cases[i];
		const struct lab_identity *identity = lab_identity_find(
		    identities, of->certificate);
		const char *data = lab_tlsa_data(identity, of->usage,
		    of->selector, of->matching, arena);

		print_message("%s %d %d %d\n", of->certificate, of->usage,
		    of->selector, of->matching);
		assert_int_equal(dane_verdict(identity, of, data),
		    of->verdict);
		assert_int_equal(dane_verdict(&identities->impostors[identity -
		    identities->items], of, data), MISMATCH);
	}
}

static int make_all(void **state)
{
	static struct lab_certificate certificates[CASES];
	static struct lab_world world = { .certificates = certificates,
	    .certificate_count = CASES };
	size_t i;

	(void)state;
	for (i = 0; i < CASES; i++)
		certificates[i] = cases[i].certificate;
	arena = arena_new(16 << 20);
	identities = lab_identities_new(&world, arena);
	return 0;
}

static int forget_all(void **state)
{
	(void)state;
	arena_free(arena);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(verdicts),
		cmocka_unit_test(own_roots),
		cmocka_unit_test(names),
		cmocka_unit_test(dates),
		cmocka_unit_test(impostors),
		cmocka_unit_test(tlsa_data),
		cmocka_unit_test(dane)
	};

	return cmocka_run_group_tests(tests, make_all, forget_all);
}
