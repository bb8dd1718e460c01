/* SPDX-License-Identifier: ISC */
/*
 * Reading PEM pairs; see tls_chain.h.
 */
#include "base/tls_chain.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdbool.h>

#include "base/log.h"
#include "base/tls_session.h"

/* RSA of 2048 bits, curves of 224: RFC 9325 4.5 */
enum { SECURITY_BITS_MIN = 112 };

/* Without it OpenSSL would ask for a pass phrase at the terminal. */
static int no_password(char *out, int size, int writing, void *arg)
{
	(void)out;
	(void)size;
	(void)writing;
	*(bool *)arg = true;
	return -1;
}

/* Reading a list of PEM blocks ends with this error when all went well. */
static bool at_end_of_pem(void)
{
	unsigned long error = ERR_peek_last_error();

	return ERR_GET_LIB(error) == ERR_LIB_PEM &&
	    ERR_GET_REASON(error) == PEM_R_NO_START_LINE;
}

static const char *read_chain(struct tls_chain *pair, const char *pem)
{
	BIO *bio = tls_open_text(pem);
	const char *problem = NULL;
	X509 *certificate;

	pair->chain = sk_X509_new_null();
	ERR_clear_error();
	pair->leaf = PEM_read_bio_X509(bio, NULL, NULL, NULL);
	while (pair->leaf != NULL &&
	    (certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL)
		if (sk_X509_push(pair->chain, certificate) == 0)
			fatal("tls-memory");
	if (pair->leaf == NULL)
		problem = "there is no certificate in PEM form in the chain";
	else if (!at_end_of_pem())
		problem = "a certificate of the chain is damaged";
	ERR_clear_error();
	BIO_free(bio);
	return problem;
}

static const char *read_key(struct tls_chain *pair, const char *pem)
{
	BIO *bio = tls_open_text(pem);
	bool encrypted = false;

	pair->key = PEM_read_bio_PrivateKey(bio, NULL, no_password,
	    &encrypted);
	ERR_clear_error();
	BIO_free(bio);
	if (encrypted)
		return "the private key is encrypted; store it without a "
		    "pass phrase";
	if (pair->key == NULL)
		return "there is no private key in PEM form";
	if (X509_check_private_key(pair->leaf, pair->key) != 1) {
		ERR_clear_error();
		return "the private key does not belong to the first "
		    "certificate of the chain";
	}
	if (EVP_PKEY_get_security_bits(pair->key) < SECURITY_BITS_MIN)
		return "the key is too weak: RSA needs 2048 bits, ECDSA 224 "
		    "(RFC 9325 4.5)";
	return NULL;
}

const char *tls_chain_read(struct tls_chain *pair, const char *chain_pem,
    const char *key_pem)
{
	const char *problem = read_chain(pair, chain_pem);

	return problem != NULL ? problem : read_key(pair, key_pem);
}

void tls_chain_release(struct tls_chain *pair)
{
	X509_free(pair->leaf);
	sk_X509_pop_free(pair->chain, X509_free);
	EVP_PKEY_free(pair->key);
}
