/* SPDX-License-Identifier: ISC */
/*
 * OpenSSL's error queue is left empty: it belongs to the next TLS call.
 */
#include "authentic/dkim_signature.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>

#include "base/digest.h"

static bool set_rsa(EVP_PKEY_CTX *context)
{
	return EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PADDING) == 1 &&
	    EVP_PKEY_CTX_set_signature_md(context, EVP_sha256()) == 1;
}

static int make_rsa(EVP_PKEY *key, const uint8_t *digest, uint8_t *out)
{
	EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(key, NULL);
	size_t length = DKIM_SIGNATURE_MAX;
	bool done = context != NULL && EVP_PKEY_sign_init(context) == 1 &&
	    set_rsa(context) &&
	    EVP_PKEY_sign(context, out, &length, digest, DIGEST_BYTES) == 1;

	EVP_PKEY_CTX_free(context);
	return done ? (int)length : -1;
}

static int make_ed25519(EVP_PKEY *key, const uint8_t *digest, uint8_t *out)
{
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	size_t length = DKIM_SIGNATURE_MAX;
	bool done = context != NULL &&
	    EVP_DigestSignInit(context, NULL, NULL, NULL, key) == 1 &&
	    EVP_DigestSign(context, out, &length, digest, DIGEST_BYTES) == 1;

	EVP_MD_CTX_free(context);
	return done ? (int)length : -1;
}

int dkim_signature_make(enum dkim_algorithm algorithm, void *key,
    const uint8_t *digest, uint8_t *out)
{
	int length = algorithm == DKIM_RSA ? make_rsa(key, digest, out) :
	    make_ed25519(key, digest, out);

	ERR_clear_error();
	return length;
}

static bool rsa_verifies(EVP_PKEY *key, const uint8_t *digest,
    const uint8_t *signature, size_t length)
{
	EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(key, NULL);
	bool holds = context != NULL && EVP_PKEY_verify_init(context) == 1 &&
	    set_rsa(context) && EVP_PKEY_verify(context, signature, length,
	    digest, DIGEST_BYTES) == 1;

	EVP_PKEY_CTX_free(context);
	return holds;
}

static bool ed25519_verifies(EVP_PKEY *key, const uint8_t *digest,
    const uint8_t *signature, size_t length)
{
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	bool holds = context != NULL &&
	    EVP_DigestVerifyInit(context, NULL, NULL, NULL, key) == 1 &&
	    EVP_DigestVerify(context, signature, length, digest,
	    DIGEST_BYTES) == 1;

	EVP_MD_CTX_free(context);
	return holds;
}

bool dkim_signature_verifies(enum dkim_algorithm algorithm, void *key,
    const uint8_t *digest, const uint8_t *signature, size_t length)
{
	bool holds = algorithm == DKIM_RSA ?
	    rsa_verifies(key, digest, signature, length) :
	    ed25519_verifies(key, digest, signature, length);

	ERR_clear_error();
	return holds;
}
