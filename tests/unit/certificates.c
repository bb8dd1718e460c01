/* SPDX-License-Identifier: ISC */
/*
 * Certificates for tests. Everything in them comes from the plan; serial
 * numbers count up.
 */
#include "tests/unit/certificates.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/sha.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct certificate {
	X509		*x509;
	EVP_PKEY	*key;
	char		*pem;
	char		*key_pem;
	uint8_t		 digest[SHA256_DIGEST_LENGTH];
	uint8_t		 key_digest[SHA256_DIGEST_LENGTH];
};

static void need(bool worked, const char *what)
{
	if (worked)
		return;
	fprintf(stderr, "test certificate: %s failed\n", what);
	abort();
}

static EVP_PKEY *make_key(enum certificate_key kind)
{
	EVP_PKEY *key = kind == CERTIFICATE_ECDSA ? EVP_EC_gen("P-256") :
	    EVP_RSA_gen(kind == CERTIFICATE_RSA ? 2048 : 1024);

	need(key != NULL, "key");
	return key;
}

static void add_extension(X509 *x509, X509 *issuer, int kind,
    const char *value)
{
	X509V3_CTX context;
	X509_EXTENSION *extension;

	X509V3_set_ctx(&context, issuer, x509, NULL, NULL, 0);
	extension = X509V3_EXT_conf_nid(NULL, &context, kind, value);
	need(extension != NULL, value);
	need(X509_add_ext(x509, extension, -1) == 1, value);
	X509_EXTENSION_free(extension);
}

/* One name of any octets, for what a stranger may show. */
static void add_raw_name(X509 *x509, const char *name, int length)
{
	GENERAL_NAMES *names = GENERAL_NAMES_new();
	GENERAL_NAME *general = GENERAL_NAME_new();
	ASN1_IA5STRING *text = ASN1_IA5STRING_new();

	need(ASN1_STRING_set(text, name, length) == 1, "raw name");
	GENERAL_NAME_set0_value(general, GEN_DNS, text);
	need(sk_GENERAL_NAME_push(names, general) == 1, "raw name");
	need(X509_add1_ext_i2d(x509, NID_subject_alt_name, names, 0,
	    X509V3_ADD_DEFAULT) == 1, "raw name");
	GENERAL_NAMES_free(names);
}

static void add_extensions(X509 *x509, X509 *issuer,
    const struct certificate_plan *plan)
{
	add_extension(x509, issuer, NID_subject_key_identifier, "hash");
	add_extension(x509, issuer, NID_basic_constraints,
	    !plan->authority ? "critical,CA:FALSE" : plan->last ?
	    "critical,CA:TRUE,pathlen:0" : "critical,CA:TRUE");
	if (plan->constraints != NULL)
		add_extension(x509, issuer, NID_name_constraints,
		    plan->constraints);
	add_extension(x509, issuer, NID_key_usage, plan->authority ||
	    plan->signs ? "critical,keyCertSign,cRLSign,digitalSignature" :
	    "critical,digitalSignature");
	if (!plan->authority)
		add_extension(x509, issuer, NID_ext_key_usage,
		    plan->for_clients ? "clientAuth" : "serverAuth");
	if (plan->alternative_names != NULL)
		add_extension(x509, issuer, NID_subject_alt_name,
		    plan->alternative_names);
	if (plan->raw_name != NULL)
		add_raw_name(x509, plan->raw_name, plan->raw_length);
}

static void set_dates(X509 *x509, const struct certificate_plan *plan)
{
	const long day = 24 * 60 * 60;
	bool unset = plan->from_days == 0 && plan->until_days == 0;

	X509_gmtime_adj(X509_getm_notBefore(x509),
	    unset ? -day : plan->from_days * day);
	X509_gmtime_adj(X509_getm_notAfter(x509),
	    unset ? 30 * day : plan->until_days * day);
}

static X509 *make_x509(const struct certificate_plan *plan, EVP_PKEY *key)
{
	static long serial;
	X509 *x509 = X509_new();
	X509 *issuer = plan->issuer != NULL ? plan->issuer->x509 : x509;
	X509_NAME *name = X509_get_subject_name(x509);

	X509_set_version(x509, X509_VERSION_3);
	ASN1_INTEGER_set(X509_get_serialNumber(x509), ++serial);
	need(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8,
	    (const unsigned char *)plan->common_name, -1, -1, 0) == 1, "name");
	X509_set_issuer_name(x509, X509_get_subject_name(issuer));
	X509_set_pubkey(x509, key);
	set_dates(x509, plan);
	add_extensions(x509, issuer, plan);
	need(X509_sign(x509, plan->issuer != NULL ? plan->issuer->key : key,
	    plan->sha1 ? EVP_sha1() : EVP_sha256()) > 0, "signature");
	return x509;
}

static char *take_text(BIO *bio)
{
	char *data, *text;
	long length = BIO_get_mem_data(bio, &data);

	text = calloc(1, (size_t)length + 1);
	need(text != NULL, "memory");
	memcpy(text, data, (size_t)length);
	BIO_free(bio);
	return text;
}

static void fill(struct certificate *certificate)
{
	BIO *pem = BIO_new(BIO_s_mem()), *key_pem = BIO_new(BIO_s_mem());
	unsigned char *der = NULL;
	int length;

	need(PEM_write_bio_X509(pem, certificate->x509) == 1, "PEM");
	need(PEM_write_bio_PrivateKey(key_pem, certificate->key, NULL, NULL, 0,
	    NULL, NULL) == 1, "key PEM");
	certificate->pem = take_text(pem);
	certificate->key_pem = take_text(key_pem);
	length = i2d_X509(certificate->x509, &der);
	SHA256(der, (size_t)length, certificate->digest);
	OPENSSL_free(der);
	der = NULL;
	length = i2d_PUBKEY(certificate->key, &der);
	SHA256(der, (size_t)length, certificate->key_digest);
	OPENSSL_free(der);
}

struct certificate *certificate_new(const struct certificate_plan *plan)
{
	struct certificate *certificate = calloc(1, sizeof *certificate);

	need(certificate != NULL, "memory");
	certificate->key = make_key(plan->key);
	certificate->x509 = make_x509(plan, certificate->key);
	fill(certificate);
	return certificate;
}

void certificate_free(struct certificate *certificate)
{
	if (certificate == NULL)
		return;
	X509_free(certificate->x509);
	EVP_PKEY_free(certificate->key);
	free(certificate->pem);
	free(certificate->key_pem);
	free(certificate);
}

const char *certificate_pem(const struct certificate *certificate)
{
	return certificate->pem;
}

const char *certificate_key_pem(const struct certificate *certificate)
{
	return certificate->key_pem;
}

struct x509_st *certificate_x509(const struct certificate *certificate)
{
	return certificate->x509;
}

struct evp_pkey_st *certificate_key(const struct certificate *certificate)
{
	return certificate->key;
}

const uint8_t *certificate_digest(const struct certificate *certificate)
{
	return certificate->digest;
}

const uint8_t *certificate_key_digest(const struct certificate *certificate)
{
	return certificate->key_digest;
}

char *certificate_chain(const struct certificate *leaf,
    const struct certificate *issuer)
{
	size_t size = strlen(leaf->pem) + strlen(issuer->pem) + 1;
	char *text = malloc(size);

	need(text != NULL, "memory");
	snprintf(text, size, "%s%s", leaf->pem, issuer->pem);
	return text;
}
