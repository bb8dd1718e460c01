/* SPDX-License-Identifier: ISC */
/*
 * The lab's certificates as OpenSSL judges them: which chains build from what
 * is shown, which dates are off, whose names they have, and that the TLSA data
 * made of them are digests of what they say. Covers what DANE and MTA-STS
 * scenarios stand on (DANE-TA and DANE-EE data, WebPKI chains), and each form
 * of key, signature, name and chain that a scenario can ask for.
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

static char *with_nul[] = { (char[]){ "mx1.example.org%00.example.net" } };
static char *with_byte[] = { (char[]){ "mx%ff%41.example.org" } };
static char *numbers[] = { (char[]){ "192.0.2.1" },
    (char[]){ "2001:db8::1" } };

#define NONE { NULL, 0 }
#define ONE { one_name, 1 }
#define ODD { odd_names, 2 }
#define LONG { long_name, 1 }
#define NUL { with_nul, 1 }
#define BYTE { with_byte, 1 }
#define MAKE(title, sans, subject, who, date, ...) {			\
	.name = (char[]){ title }, .names = sans,			\
	.common_name = (char[]){ subject },				\
	.issuer = LAB_ISSUER_##who, .validity = LAB_##date, __VA_ARGS__ }
#define PLAIN(title, who, ...) MAKE(title, ONE, "", who, VALID, __VA_ARGS__)
#define BETWEEN .intermediates
#define SHOWN(form) .chain = LAB_CHAIN_##form
#define ALL SHOWN(FULL)
#define NO_ISSUER X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY
#define FOREIGN_ROOT X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN
#define AT_MX1 "mx1.example.org", "x"

static const struct certificate_case cases[] = {
	{ MAKE("good", ONE, "", CA, VALID, ALL),
	    X509_V_OK, 1, "mx1.example.org", "mx2.example.org" },
	{ MAKE("between", ONE, "", CA, VALID, BETWEEN = 1),
	    X509_V_OK, 2, "mx1.example.org", "example.org" },
	{ PLAIN("incomplete", CA, BETWEEN = 1, SHOWN(LEAF)),
	    NO_ISSUER, 1, AT_MX1 },
	{ MAKE("expired", ONE, "", CA, EXPIRED, ALL),
	    X509_V_ERR_CERT_HAS_EXPIRED, 1, AT_MX1 },
	{ MAKE("future", ONE, "", CA, FUTURE, ALL),
	    X509_V_ERR_CERT_NOT_YET_VALID, 1, AT_MX1 },
	{ PLAIN("self", SELF, ALL),
	    X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT, 1, AT_MX1 },
	{ PLAIN("other", OTHER, ALL), NO_ISSUER, 1, AT_MX1 },
	{ PLAIN("private", PRIVATE, ALL), FOREIGN_ROOT, 2, AT_MX1 },
	{ PLAIN("private-between", PRIVATE, BETWEEN = 1),
	    FOREIGN_ROOT, 3, AT_MX1 },
	{ PLAIN("private-hidden", PRIVATE, SHOWN(LEAF)),
	    NO_ISSUER, 1, AT_MX1 },
	{ MAKE("odd", ODD, "", CA, VALID, ALL),
	    X509_V_OK, 1, "mx9.example.org", "b.example.net" },
	{ MAKE("long", LONG, "", CA, VALID, ALL), X509_V_OK, 1, LONG_HOST,
	    "x" },
	/* The subject counts only where there is no SAN. */
	{ MAKE("cn-only", NONE, "mx1.example.org", CA, VALID, ALL),
	    X509_V_OK, 1, AT_MX1 },
	{ MAKE("cn-beside", ONE, "mx2.example.org", CA, VALID, ALL),
	    X509_V_OK, 1, "mx1.example.org", "mx2.example.org" },
	{ MAKE("mx3.example.org", NONE, "", CA, VALID, ALL),
	    X509_V_OK, 1, "mx3.example.org", "x" },
	/* keys and signatures */
	{ PLAIN("p384", CA, .key = LAB_KEY_P384), X509_V_OK, 1, AT_MX1 },
	{ PLAIN("ed25519", CA, .key = LAB_KEY_ED25519),
	    X509_V_OK, 1, AT_MX1 },
	{ PLAIN("ed25519-self", SELF, .key = LAB_KEY_ED25519),
	    X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT, 1, AT_MX1 },
	{ PLAIN("rsa2048", CA, .key = LAB_KEY_RSA2048),
	    X509_V_OK, 1, AT_MX1 },
	{ PLAIN("rsa1024", CA, .key = LAB_KEY_RSA1024),
	    X509_V_OK, 1, AT_MX1 },
	{ PLAIN("sha1", CA, .digest = LAB_DIGEST_SHA1),
	    X509_V_OK, 1, AT_MX1 },
	{ PLAIN("md5", CA, .digest = LAB_DIGEST_MD5), X509_V_OK, 1, AT_MX1 },
	{ PLAIN("md5-between", CA, .digest = LAB_DIGEST_MD5, BETWEEN = 1),
	    X509_V_OK, 2, AT_MX1 },
	{ PLAIN("md5-self", SELF, .digest = LAB_DIGEST_MD5,
	    .key = LAB_KEY_RSA1024),
	    X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT, 1, AT_MX1 },
	/* what it is for, and who says so */
	{ PLAIN("for-clients", CA, .usage = LAB_USAGE_CLIENT),
	    X509_V_ERR_INVALID_PURPOSE, 1, AT_MX1 },
	{ PLAIN("for-all", CA, .usage = LAB_USAGE_NONE),
	    X509_V_OK, 1, AT_MX1 },
	{ PLAIN("organized", CA, .organization = (char[]){ "A, B + C" }),
	    X509_V_OK, 1, AT_MX1 },
	{ PLAIN("numbered", CA, .addresses = { numbers, 2 }),
	    X509_V_OK, 1, AT_MX1 },
	/* T-14: OpenSSL wants no name with a NUL to be one. */
	{ MAKE("nul", NUL, "mx1.example.org", CA, VALID, ALL),
	    X509_V_OK, 1, NULL, "mx1.example.org" },
	{ MAKE("byte", BYTE, "a", CA, VALID, ALL),
	    X509_V_OK, 1, NULL, "mx1.example.org" },
	{ PLAIN("issuer-expired", CA, BETWEEN = 2,
	    .issuer_validity = LAB_EXPIRED),
	    X509_V_ERR_CERT_HAS_EXPIRED, 3, AT_MX1 },
	{ PLAIN("issuer-future", CA, BETWEEN = 1,
	    .issuer_validity = LAB_FUTURE),
	    X509_V_ERR_CERT_NOT_YET_VALID, 2, AT_MX1 },
	{ PLAIN("issuer-none", CA, BETWEEN = 1),
	    X509_V_ERR_INVALID_CA, 2, AT_MX1 },
	/* T-17: what is shown, and in which order */
	{ PLAIN("deep", CA, BETWEEN = 100), X509_V_OK, 101, AT_MX1 },
	{ PLAIN("no-root", PRIVATE, BETWEEN = 2, SHOWN(NO_ROOT)),
	    X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY, 3, AT_MX1 },
	{ PLAIN("reversed", CA, BETWEEN = 3, SHOWN(REVERSED)),
	    X509_V_OK, 4, AT_MX1 },
	{ PLAIN("doubled", CA, BETWEEN = 2, SHOWN(DOUBLED)),
	    X509_V_OK, 5, AT_MX1 },
	{ PLAIN("surplus", CA, BETWEEN = 2, SHOWN(SURPLUS)),
	    X509_V_OK, 6, AT_MX1 },
	{ PLAIN("gap", CA, BETWEEN = 2, SHOWN(GAP)), NO_ISSUER, 2, AT_MX1 },
	{ PLAIN("gap-private", PRIVATE, BETWEEN = 2, SHOWN(GAP)),
	    NO_ISSUER, 3, AT_MX1 },
};
enum { CASES = sizeof(cases) / sizeof(cases[0]) };

static char no_text[] = "";
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
	X509_VERIFY_PARAM_set_auth_level(X509_STORE_CTX_get0_param(context),
	    0);
	X509_verify_cert(context);
	verdict = X509_STORE_CTX_get_error(context);
	X509_STORE_CTX_free(context);
	X509_STORE_free(store);
	X509_free(root);
	sk_X509_pop_free(chain, X509_free);
	return verdict;
}

/* The lab's authority, and its face for MD5. */
static X509 *trusted_root(int number)
{
	STACK_OF(X509) *chain = read_chain(identities->ca_pem);
	X509 *root;

	assert_int_equal(sk_X509_num(chain), 2);
	root = sk_X509_delete(chain, number);
	sk_X509_pop_free(chain, X509_free);
	return root;
}

static X509 *root_for(const struct lab_certificate *certificate)
{
	return trusted_root(certificate->digest == LAB_DIGEST_MD5 &&
	    certificate->intermediates == 0);
}

static EVP_PKEY *read_key(const char *pem)
{
	BIO *bio = BIO_new_mem_buf(pem, -1);
	EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);

	assert_non_null(key);
	BIO_free(bio);
	return key;
}

/* The key fits, and the DER form is the first shown. */
static void check_parts(const struct lab_identity *identity, int shown)
{
	STACK_OF(X509) *chain = read_chain(identity->chain_pem);
	X509 *leaf = read_der(identity->leaf, identity->leaf_length);
	EVP_PKEY *key = read_key(identity->key_pem);

	assert_int_equal(sk_X509_num(chain), shown);
	assert_int_equal(X509_cmp(sk_X509_value(chain, 0), leaf), 0);
	assert_int_equal(X509_check_private_key(leaf, key), 1);
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
		verdict = verify(identity, root_for(&cases[i].certificate));
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
		bool self = certificate->issuer == LAB_ISSUER_SELF;
		int wanted = cases[i].verdict;

		if (self || certificate->issuer == LAB_ISSUER_OTHER ||
		    (certificate->issuer == LAB_ISSUER_PRIVATE &&
		    certificate->chain != LAB_CHAIN_GAP))
			wanted = X509_V_OK;
		print_message("%s\n", certificate->name);
		assert_int_equal(verify(identity, read_der(identity->root,
		    identity->root_length)), wanted);
		assert_int_equal(identity->intermediate != NULL,
		    certificate->intermediates > 0);
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

		int wanted = (int)(cases[i].certificate.names.count +
		    cases[i].certificate.addresses.count);

		print_message("%s\n", cases[i].certificate.name);
		if (cases[i].host != NULL)
			assert_int_equal(X509_check_host(leaf, cases[i].host,
			    0, 0, NULL), 1);
		assert_int_equal(X509_check_host(leaf, no, 0, 0, NULL), 0);
		assert_int_equal(sk_GENERAL_NAME_num(list), wanted > 0 ?
		    wanted : -1);
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
		int verdict = verify(bad, root_for(&cases[i].certificate));

		print_message("%s\n", good->name);
		assert_string_equal(good->name, bad->name);
		check_parts(bad, cases[i].shown);
		assert_int_equal(X509_NAME_cmp(X509_get_subject_name(leaf),
		    X509_get_subject_name(true_leaf)), 0);
		if (cases[i].host != NULL)
			assert_int_equal(X509_check_host(leaf, cases[i].host,
			    0, 0, NULL), 1);
		assert_int_not_equal(EVP_PKEY_eq(X509_get0_pubkey(leaf),
		    X509_get0_pubkey(true_leaf)), 1);
		/* Never right, and of the same form. */
		assert_int_equal(verdict, cases[i].certificate.issuer ==
		    LAB_ISSUER_SELF || cases[i].verdict == FOREIGN_ROOT ?
		    cases[i].verdict : NO_ISSUER);
		assert_int_equal(X509_get_signature_nid(leaf),
		    X509_get_signature_nid(true_leaf));
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

/* All selectors and matching types of the part that a usage and a word name. */
static void try_forms(const struct lab_identity *identity, X509 *part,
    int usage, enum lab_tlsa_of of)
{
	int number;

	for (number = 0; number < 2 * 3; number++) {
		const struct lab_tlsa_form form = { usage, number / 3,
		    number % 3, of };

		expect_tlsa(part, number / 3, number % 3, lab_tlsa_data(
		    identity, &form, arena));
	}
}

/* DANE-TA(2) and PKIX-TA(0) take the root, DANE-EE(3) and PKIX-EE(1) the
 * leaf: RFC 6698 2.1.1; a word takes what it says, whatever the usage. */
static void tlsa_data(void **state)
{
	static const int usages[] = { 0, 1, 2, 3, 4, 255 };
	size_t i, k;

	(void)state;
	for (i = 0; i < CASES; i++) {
		const struct lab_identity *identity = &identities->items[i];
		X509 *leaf = read_der(identity->leaf, identity->leaf_length);
		X509 *root = read_der(identity->root, identity->root_length);
		X509 *issuer = identity->intermediate == NULL ? X509_dup(root) :
		    read_der(identity->intermediate,
		    identity->intermediate_length);

		for (k = 0; k < sizeof(usages) / sizeof(usages[0]); k++) {
			int usage = usages[k];

			try_forms(identity, usage == 0 || usage == 2 ? root :
			    leaf, usage, LAB_TLSA_BY_USAGE);
			try_forms(identity, leaf, usage, LAB_TLSA_LEAF);
			try_forms(identity, issuer, usage, LAB_TLSA_ISSUER);
			try_forms(identity, root, usage, LAB_TLSA_ROOT);
		}
		/* What signed the leaf is what is called its issuer. */
		assert_int_equal(X509_verify(leaf, X509_get0_pubkey(issuer)),
		    1);
		X509_free(issuer);
		X509_free(leaf);
		X509_free(root);
	}
}

static void tlsa_mistakes(void **state)
{
	static const struct lab_tlsa_form rows[] = { { 256, 0, 1, 0 },
	    { 3, 2, 1, 0 }, { 3, 1, 3, 0 }, { -1, 1, 1, 0 }, { 3, -1, 1, 0 },
	    { 3, 1, -1, 0 } };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_null(lab_tlsa_data(identities->items, &rows[i],
		    arena));
}

/* --- keys, signatures, purposes, names, as the file asks for them --- */

static X509 *leaf_of(const char *name)
{
	const struct lab_identity *identity = lab_identity_find(identities,
	    name);

	assert_non_null(identity);
	return read_der(identity->leaf, identity->leaf_length);
}

static void keys_and_signatures(void **state)
{
	static const struct { const char *name, *key; int bits, signature; }
	    rows[] = {
		{ "good", "EC", 256, NID_ecdsa_with_SHA256 },
		{ "p384", "EC", 384, NID_ecdsa_with_SHA256 },
		{ "ed25519", "ED25519", 256, NID_ecdsa_with_SHA256 },
		{ "ed25519-self", "ED25519", 256, NID_ED25519 },
		{ "rsa2048", "RSA", 2048, NID_ecdsa_with_SHA256 },
		{ "rsa1024", "RSA", 1024, NID_ecdsa_with_SHA256 },
		{ "sha1", "EC", 256, NID_ecdsa_with_SHA1 },
		{ "md5", "EC", 256, NID_md5WithRSAEncryption },
		{ "md5-between", "EC", 256, NID_md5WithRSAEncryption },
		{ "md5-self", "RSA", 1024, NID_md5WithRSAEncryption }
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		X509 *leaf = leaf_of(rows[i].name);
		EVP_PKEY *key = X509_get0_pubkey(leaf);

		print_message("%s\n", rows[i].name);
		assert_true(EVP_PKEY_is_a(key, rows[i].key));
		assert_int_equal(EVP_PKEY_get_bits(key), rows[i].bits);
		assert_int_equal(X509_get_signature_nid(leaf),
		    rows[i].signature);
		X509_free(leaf);
	}
}

static void purposes(void **state)
{
	static const struct { const char *name; uint32_t usage, key; }
	    rows[] = {
		{ "good", XKU_SSL_SERVER, KU_DIGITAL_SIGNATURE },
		{ "for-clients", XKU_SSL_CLIENT, KU_DIGITAL_SIGNATURE },
		{ "for-all", UINT32_MAX, KU_DIGITAL_SIGNATURE },
		{ "rsa2048", XKU_SSL_SERVER,
		    KU_DIGITAL_SIGNATURE | KU_KEY_ENCIPHERMENT }
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		X509 *leaf = leaf_of(rows[i].name);

		print_message("%s\n", rows[i].name);
		assert_int_equal(X509_get_extended_key_usage(leaf),
		    rows[i].usage);
		assert_int_equal(X509_get_key_usage(leaf), rows[i].key);
		X509_free(leaf);
	}
}

/* Only what basicConstraints say is otherwise. */
static void issuer_without_authority(void **state)
{
	const struct lab_identity *identity = lab_identity_find(identities,
	    "issuer-none");
	X509 *issuer = read_der(identity->intermediate,
	    identity->intermediate_length);

	(void)state;
	assert_int_equal(X509_check_ca(issuer), 0);
	assert_int_equal(X509_get_key_usage(issuer), KU_KEY_CERT_SIGN |
	    KU_CRL_SIGN);
	assert_int_equal(X509_get_extension_flags(issuer) & EXFLAG_CA, 0);
	X509_free(issuer);
}

static void expect_subject(const char *name, int kind, const char *wanted,
    int length)
{
	X509 *leaf = leaf_of(name);
	X509_NAME *subject = X509_get_subject_name(leaf);
	int at = X509_NAME_get_index_by_NID(subject, kind, -1);
	const ASN1_STRING *text = at < 0 ? NULL : X509_NAME_ENTRY_get_data(
	    X509_NAME_get_entry(subject, at));

	print_message("%s\n", name);
	assert_int_equal(text != NULL ? ASN1_STRING_length(text) : -1, length);
	if (text != NULL)
		assert_memory_equal(ASN1_STRING_get0_data(text), wanted,
		    (size_t)length);
	X509_free(leaf);
}

static void subjects(void **state)
{
	(void)state;
	expect_subject("good", NID_commonName, "mx1.example.org", 15);
	expect_subject("good", NID_organizationName, "", -1);
	expect_subject("organized", NID_organizationName, "A, B + C", 8);
	expect_subject("long", NID_commonName, "", -1);
}

static void expect_name(const char *certificate, int which, int type,
    const char *wanted, int length)
{
	X509 *leaf = leaf_of(certificate);
	GENERAL_NAMES *list = X509_get_ext_d2i(leaf, NID_subject_alt_name,
	    NULL, NULL);
	const GENERAL_NAME *name = sk_GENERAL_NAME_value(list, which);

	print_message("%s\n", certificate);
	assert_non_null(name);
	assert_int_equal(name->type, type);
	assert_int_equal(ASN1_STRING_length(name->d.ia5), length);
	assert_memory_equal(ASN1_STRING_get0_data(name->d.ia5), wanted,
	    (size_t)length);
	GENERAL_NAMES_free(list);
	X509_free(leaf);
}

static void bytes_in_names(void **state)
{
	(void)state;
	expect_name("nul", 0, GEN_DNS, "mx1.example.org\0.example.net", 28);
	expect_name("byte", 0, GEN_DNS, "mx\xff" "A.example.org", 16);
	expect_name("numbered", 0, GEN_DNS, "mx1.example.org", 15);
	expect_name("numbered", 1, GEN_IPADD, "\300\0\002\001", 4);
	expect_name("numbered", 2, GEN_IPADD,
	    "\040\001\015\270\0\0\0\0\0\0\0\0\0\0\0\001", 16);
}

/* --- the forms of a chain, in letters: L leaf, 1 its issuer, 2 that one's and
 * so on, R a root that is no stranger, ? a stranger --- */

static char letter_of(X509 *x509, const struct lab_identity *identity)
{
	char name[80] = "";
	X509 *leaf = read_der(identity->leaf, identity->leaf_length);
	X509 *root = read_der(identity->root, identity->root_length);
	char letter = '?';
	int number;

	X509_NAME_get_text_by_NID(X509_get_subject_name(x509), NID_commonName,
	    name, sizeof(name));
	if (X509_cmp(x509, leaf) == 0)
		letter = 'L';
	else if (X509_cmp(x509, root) == 0)
		letter = 'R';
	else if (strcmp(name, "Postern Lab Intermediate") == 0)
		letter = '1';
	else if (sscanf(name, "Postern Lab Intermediate %d", &number) == 1)
		letter = (char)('0' + number);
	X509_free(leaf);
	X509_free(root);
	return letter;
}

static void forms(void **state)
{
	static const struct { const char *name, *shown; } rows[] = {
		{ "good", "L" }, { "between", "L1" }, { "incomplete", "L" },
		{ "private-between", "L1R" }, { "no-root", "L12" },
		{ "reversed", "L321" }, { "doubled", "L1122" },
		{ "surplus", "L?1?2?" }, { "gap", "L2" },
		{ "gap-private", "L2R" }
	};
	size_t i, impostor;
	int k;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct lab_identity *identity = lab_identity_find(
		    identities, rows[i].name);

		for (impostor = 0; impostor < 2; impostor++) {
			STACK_OF(X509) *chain;
			char shown[16] = "";

			if (impostor)
				identity = &identities->impostors[identity -
				    identities->items];
			chain = read_chain(identity->chain_pem);
			for (k = 0; k < sk_X509_num(chain); k++)
				shown[k] = letter_of(sk_X509_value(chain, k),
				    identity);
			assert_string_equal(shown, rows[i].shown);
			sk_X509_pop_free(chain, X509_free);
		}
	}
}

/* The key of a certificate that a fault does not change stays; of one that it
 * changes it does not, and nobody has anybody else's. */
static void keys_stay(void **state)
{
	struct lab_certificate two[] = { cases[0].certificate,
	    cases[1].certificate };
	const struct lab_world world = { .certificates = two,
	    .certificate_count = 2 };
	struct lab_identities *changed;

	(void)state;
	two[0].organization = two[1].organization = no_text;
	two[0].issuer_authority = two[1].issuer_authority = true;
	two[1].validity = LAB_EXPIRED;
	changed = lab_identities_new(&world, arena);
	assert_string_equal(changed->items[0].key_pem,
	    identities->items[0].key_pem);
	assert_string_equal(changed->impostors[0].key_pem,
	    identities->impostors[0].key_pem);
	assert_string_not_equal(changed->items[1].key_pem,
	    identities->items[1].key_pem);
	assert_string_not_equal(changed->items[0].key_pem,
	    changed->impostors[0].key_pem);
	assert_string_not_equal(changed->items[0].key_pem,
	    changed->items[1].key_pem);
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
	const struct lab_tls_manner manner = { .tickets = 2 };
	char error[200] = "";
	SSL_CTX *server_context = lab_link_context(shown, &manner, error,
	    sizeof(error));
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
		const struct lab_tlsa_form form = { of->usage, of->selector,
		    of->matching, LAB_TLSA_BY_USAGE };
		const char *data = lab_tlsa_data(identity, &form, arena);

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
	for (i = 0; i < CASES; i++) {
		certificates[i] = cases[i].certificate;
		certificates[i].issuer_authority = cases[i].verdict !=
		    X509_V_ERR_INVALID_CA;
		if (certificates[i].organization == NULL)
			certificates[i].organization = no_text;
	}
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
		cmocka_unit_test(tlsa_mistakes),
		cmocka_unit_test(keys_and_signatures),
		cmocka_unit_test(purposes),
		cmocka_unit_test(issuer_without_authority),
		cmocka_unit_test(subjects),
		cmocka_unit_test(bytes_in_names),
		cmocka_unit_test(forms),
		cmocka_unit_test(keys_stay),
		cmocka_unit_test(dane)
	};

	return cmocka_run_group_tests(tests, make_all, forget_all);
}
