/* SPDX-License-Identifier: ISC */
/*
 * See pki.h.
 */
#include "tests/dialog-client/pki.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"

static char *take_text(BIO *bio)
{
	char *data;
	long length = BIO_get_mem_data(bio, &data);
	char *text = mem_alloc((size_t)length + 1);

	memcpy(text, data, (size_t)length);
	BIO_free(bio);
	return text;
}

static void add_extension(X509 *certificate, int nid, const char *value)
{
	X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, nid,
	    value);

	if (extension == NULL ||
	    X509_add_ext(certificate, extension, -1) != 1)
		bug("pki-extension");
	X509_EXTENSION_free(extension);
}

static X509 *read_certificate(const char *pem)
{
	BIO *bio = BIO_new_mem_buf(pem, -1);
	X509 *certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL);

	BIO_free(bio);
	return certificate;
}

static EVP_PKEY *read_key(const char *pem)
{
	BIO *bio = BIO_new_mem_buf(pem, -1);
	EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);

	BIO_free(bio);
	return key;
}

static void fill(X509 *certificate, const char *name, bool authority)
{
	static long serial = 1;
	X509_NAME *subject = X509_get_subject_name(certificate);
	char alternative[300];

	X509_set_version(certificate, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(certificate), serial++);
	X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
	X509_gmtime_adj(X509_getm_notAfter(certificate), 86400);
	X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC,
	    (const unsigned char *)name, -1, -1, 0);
	if (authority) {
		add_extension(certificate, NID_basic_constraints,
		    "critical,CA:TRUE");
		add_extension(certificate, NID_key_usage,
		    "critical,keyCertSign,cRLSign");
		return;
	}
	snprintf(alternative, sizeof(alternative), "DNS:%s", name);
	add_extension(certificate, NID_subject_alt_name, alternative);
	add_extension(certificate, NID_ext_key_usage, "serverAuth");
}

static void keep(struct pki_certificate *out, X509 *certificate,
    EVP_PKEY *key)
{
	BIO *chain = BIO_new(BIO_s_mem()), *secret = BIO_new(BIO_s_mem());
	unsigned char *der = NULL;
	int length;

	PEM_write_bio_X509(chain, certificate);
	PEM_write_bio_PrivateKey(secret, key, NULL, NULL, 0, NULL, NULL);
	out->chain = take_text(chain);
	out->key = take_text(secret);
	length = i2d_X509(certificate, &der);
	digest_of(der, (size_t)length, out->digest);
	OPENSSL_free(der);
	der = NULL;
	length = i2d_PUBKEY(key, &der);
	digest_of(der, (size_t)length, out->key_digest);
	OPENSSL_free(der);
}

void pki_make(struct pki_certificate *out, const char *name,
    const struct pki_certificate *issuer)
{
	EVP_PKEY *key = EVP_EC_gen("P-256"), *signer = key;
	X509 *certificate = X509_new(), *parent = certificate;

	fill(certificate, name, issuer == NULL);
	X509_set_pubkey(certificate, key);
	if (issuer != NULL) {
		signer = read_key(issuer->key);
		parent = read_certificate(issuer->chain);
	}
	X509_set_issuer_name(certificate, X509_get_subject_name(parent));
	if (X509_sign(certificate, signer, EVP_sha256()) == 0)
		bug("pki-sign");
	keep(out, certificate, key);
	if (issuer != NULL) {
		EVP_PKEY_free(signer);
		X509_free(parent);
	}
	EVP_PKEY_free(key);
	X509_free(certificate);
}

void pki_release(struct pki_certificate *certificate)
{
	mem_free(certificate->chain);
	mem_free(certificate->key);
	memset(certificate, 0, sizeof(*certificate));
}
