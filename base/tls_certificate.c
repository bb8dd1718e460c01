/* SPDX-License-Identifier: ISC */
/*
 * Chains are read into a stack, looked at, and dropped.
 */
#include "base/tls_certificate.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/tls_session.h"

/* 112 bits, as on connections (RFC 9325 4.5). */
enum { AUTHENTICATION_LEVEL = 2 };

/* All of them, the leaf first; an empty stack when one is damaged. */
static STACK_OF(X509) *read_all(const char *pem)
{
	STACK_OF(X509) *stack = sk_X509_new_null();
	BIO *bio = tls_open_text(pem);
	X509 *certificate;
	unsigned long error;

	if (stack == NULL)
		fatal("tls-memory");
	ERR_clear_error();
	while ((certificate = PEM_read_bio_X509(bio, NULL, NULL,
	    NULL)) != NULL)
		if (sk_X509_push(stack, certificate) == 0)
			fatal("tls-memory");
	error = ERR_peek_last_error();
	if (ERR_GET_LIB(error) != ERR_LIB_PEM ||
	    ERR_GET_REASON(error) != PEM_R_NO_START_LINE)
		while ((certificate = sk_X509_pop(stack)) != NULL)
			X509_free(certificate);
	ERR_clear_error();
	BIO_free(bio);
	return stack;
}

static void drop_all(STACK_OF(X509) *stack)
{
	sk_X509_pop_free(stack, X509_free);
	ERR_clear_error();
}

size_t tls_certificate_count(const char *pem)
{
	STACK_OF(X509) *stack = read_all(pem);
	size_t count = (size_t)sk_X509_num(stack);

	drop_all(stack);
	return count;
}

static bool stands_for(void *arg, const char *name)
{
	return tls_name_matches(name, arg);
}

bool tls_certificate_covers(const char *pem, const char *host)
{
	STACK_OF(X509) *stack = read_all(pem);
	bool covers = sk_X509_num(stack) > 0 && tls_each_name(
	    sk_X509_value(stack, 0), stands_for, (void *)(uintptr_t)host);

	drop_all(stack);
	return covers;
}

/* DER of the certificate or of its key, owned by the caller; a length <= 0
 * when there is none. */
static int encode(X509 *certificate, bool key, unsigned char **der)
{
	*der = NULL;
	return key ? i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), der) :
	    i2d_X509(certificate, der);
}

int tls_certificate_digest(const char *pem, size_t depth, bool key,
    uint8_t digest[DIGEST_BYTES])
{
	STACK_OF(X509) *stack = read_all(pem);
	unsigned char *der = NULL;
	int length = 0;

	if (depth < (size_t)sk_X509_num(stack))
		length = encode(sk_X509_value(stack, (int)depth), key, &der);
	if (length > 0)
		digest_of(der, (size_t)length, digest);
	OPENSSL_free(der);
	drop_all(stack);
	return length > 0 ? 0 : -1;
}

bool tls_certificate_is_authority(const char *pem, size_t depth)
{
	STACK_OF(X509) *stack = read_all(pem);
	bool is = depth < (size_t)sk_X509_num(stack) &&
	    X509_check_ca(sk_X509_value(stack, (int)depth)) == 1;

	drop_all(stack);
	return is;
}

static bool record_matches(X509 *certificate, const struct tls_tlsa *record)
{
	const EVP_MD *kind = record->matching == 2 ? EVP_sha512() :
	    EVP_sha256();
	unsigned char digest[EVP_MAX_MD_SIZE], *der = NULL;
	unsigned size = 0;
	int length;
	bool same = false;

	if (record->selector > 1 || record->matching > 2)
		return false;
	length = encode(certificate, record->selector == 1, &der);
	if (length > 0 && record->matching == 0)
		same = record->length == (size_t)length &&
		    memcmp(der, record->data, record->length) == 0;
	else if (length > 0 && EVP_Digest(der, (size_t)length, digest, &size,
	    kind, NULL) == 1)
		same = record->length == size &&
		    memcmp(digest, record->data, size) == 0;
	OPENSSL_free(der);
	return same;
}

bool tls_certificate_matches(const char *pem, const struct tls_tlsa *record)
{
	STACK_OF(X509) *stack = read_all(pem);
	int first = record->usage == 3 ? 0 : 1;
	int end = record->usage == 3 ? 1 : sk_X509_num(stack);
	bool matches = false;

	if (record->usage == 2 || record->usage == 3)
		for (int i = first; i < end && i < sk_X509_num(stack) &&
		    !matches; i++)
			matches = record_matches(sk_X509_value(stack, i),
			    record);
	drop_all(stack);
	return matches;
}

/* --- as others see it --- */

static X509_STORE *make_store(const char *trust_pem)
{
	STACK_OF(X509) *trusted = read_all(trust_pem);
	X509_STORE *store = X509_STORE_new();

	if (store == NULL)
		fatal("tls-memory");
	for (int i = 0; i < sk_X509_num(trusted); i++)
		X509_STORE_add_cert(store, sk_X509_value(trusted, i));
	drop_all(trusted);
	return store;
}

static int verify(X509_STORE *store, STACK_OF(X509) *chain, const char *host)
{
	X509_STORE_CTX *context = X509_STORE_CTX_new();
	X509_VERIFY_PARAM *parameters;
	int error;

	if (context == NULL || X509_STORE_CTX_init(context, store,
	    sk_X509_value(chain, 0), chain) != 1 ||
	    X509_STORE_CTX_set_default(context, "ssl_server") != 1)
		fatal("tls-memory");
	parameters = X509_STORE_CTX_get0_param(context);
	X509_VERIFY_PARAM_set_auth_level(parameters, AUTHENTICATION_LEVEL);
	/* RFC 8461 4.2: DNS-IDs only. */
	X509_VERIFY_PARAM_set_hostflags(parameters,
	    X509_CHECK_FLAG_NEVER_CHECK_SUBJECT |
	    X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	if (X509_VERIFY_PARAM_set1_host(parameters, host, 0) != 1)
		fatal("tls-memory");
	X509_verify_cert(context);
	error = X509_STORE_CTX_get_error(context);
	X509_STORE_CTX_free(context);
	return error;
}

int tls_certificate_verify(const char *pem, const char *trust_pem,
    const char *host, char *why, size_t size)
{
	STACK_OF(X509) *chain = read_all(pem);
	X509_STORE *store = make_store(trust_pem == NULL ? "" : trust_pem);
	int error = X509_V_ERR_UNSPECIFIED;

	if (sk_X509_num(chain) > 0)
		error = verify(store, chain, host);
	X509_STORE_free(store);
	drop_all(chain);
	snprintf(why, size, "%s", error == X509_V_OK ? "" :
	    X509_verify_cert_error_string(error));
	return error == X509_V_OK ? 0 : -1;
}
