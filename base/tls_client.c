/* SPDX-License-Identifier: ISC */
/*
 * Connecting. The handshake always goes through (OpenSSL checks the path and
 * keeps its result to itself); whether the peer is who it should be is decided
 * afterwards, in tls_judge.c and tls_dane.c, so that a refusal can be
 * explained and the session ended politely.
 */
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/net.h"
#include "base/tls.h"
#include "base/tls_chain.h"
#include "base/tls_session.h"
#include "base/tls_wanted.h"

/* Weak keys are better than clear text where nothing is verified anyhow. What
 * is verified, by whatever records or names, has 112 bits at least. */
enum { LEVEL_ENCRYPT = 1 };

struct tls_client {
	SSL_CTX		*context;	/* owned */
	enum tls_check	 check;
	bool		 has_trust;
	/* TLS_CHECK_DANE: for also_name. The context trusts nobody, so that
	 * no authority can stand in for a TLSA record (DANE-95). */
	X509_STORE	*store;		/* owned; null without trust */
};

struct tls_identity {
	struct tls_chain	 pair;		/* owned */
	uint8_t			 digest[DIGEST_BYTES];
};

/* --- what we show --- */

struct tls_identity *tls_identity_new(const char *name, const char *chain_pem,
    const char *key_pem, char *error, size_t size)
{
	struct tls_identity *identity = mem_alloc(sizeof *identity);
	const char *problem = tls_chain_read(&identity->pair, chain_pem,
	    key_pem);
	unsigned length = DIGEST_BYTES;

	if (problem != NULL) {
		snprintf(error, size, "certificate %s: %s", name, problem);
		tls_identity_free(identity);
		return NULL;
	}
	if (X509_digest(identity->pair.leaf, EVP_sha256(), identity->digest,
	    &length) != 1)
		fatal("tls-memory");
	return identity;
}

void tls_identity_free(struct tls_identity *identity)
{
	if (identity == NULL)
		return;
	tls_chain_release(&identity->pair);
	mem_free(identity);
}

const uint8_t *tls_identity_digest(const struct tls_identity *identity)
{
	return identity->digest;
}

/* Given to the session, not to the context: that is shared by all routes, and
 * one's certificate is no other's business. */
static void show_identity(SSL *ssl, const struct tls_identity *identity)
{
	if (SSL_use_cert_and_key(ssl, identity->pair.leaf, identity->pair.key,
	    identity->pair.chain, 1) == 1)
		return;
	/* Signed too weakly for the level of the context: the server will say
	 * what it makes of a client that shows none. */
	log_warn("client-certificate-unusable");
	ERR_clear_error();
}

/* --- contexts --- */

/* Number of certificates added, or -1 when one of them is damaged. */
static int add_trust(X509_STORE *store, const char *pem)
{
	BIO *bio = tls_open_text(pem);
	X509 *certificate;
	unsigned long error;
	int count = 0;

	ERR_clear_error();
	while ((certificate = PEM_read_bio_X509_AUX(bio, NULL, NULL, NULL)) !=
	    NULL) {
		if (X509_STORE_add_cert(store, certificate) != 1)
			fatal("tls-memory");
		X509_free(certificate);
		count++;
	}
	error = ERR_peek_last_error();
	if (ERR_GET_LIB(error) != ERR_LIB_PEM ||
	    ERR_GET_REASON(error) != PEM_R_NO_START_LINE)
		count = -1;
	ERR_clear_error();
	BIO_free(bio);
	return count;
}

/* Where the trusted certificates go; owned by client. */
static X509_STORE *store_of(struct tls_client *client)
{
	if (client->check != TLS_CHECK_DANE)
		return SSL_CTX_get_cert_store(client->context);
	client->store = X509_STORE_new();
	if (client->store == NULL)
		fatal("tls-memory");
	return client->store;
}

struct tls_client *tls_client_new(enum tls_check check, const char *trust_pem,
    char *error, size_t size)
{
	struct tls_client *client = mem_alloc(sizeof *client);
	int count = 1;

	client->check = check;
	client->context = tls_context_new(false,
	    check == TLS_CHECK_NONE ? LEVEL_ENCRYPT : TLS_LEVEL_VERIFY);
	if (check == TLS_CHECK_DANE)
		tls_dane_enable(client->context);
	if (trust_pem != NULL)
		count = add_trust(store_of(client), trust_pem);
	client->has_trust = trust_pem != NULL;
	if (count > 0)
		return client;
	snprintf(error, size, count == 0 ?
	    "there is no certificate in PEM form among the trusted ones" :
	    "one of the trusted certificates is damaged");
	tls_client_free(client);
	return NULL;
}

void tls_client_free(struct tls_client *client)
{
	if (client == NULL)
		return;
	X509_STORE_free(client->store);
	SSL_CTX_free(client->context);
	mem_free(client);
}

bool tls_client_has_trust(const struct tls_client *client)
{
	return client->has_trust;
}

/* --- what was wanted --- */

static struct tls_wanted *wanted_new(const struct tls_client *client,
    const struct tls_expect *expect)
{
	struct tls_wanted *wanted = mem_alloc(sizeof *wanted);
	size_t i;

	wanted->check = expect->check;
	wanted->name_count = expect->name_count;
	wanted->names = mem_alloc_array(expect->name_count + 1,
	    sizeof *wanted->names);
	for (i = 0; i < expect->name_count; i++)
		wanted->names[i] = mem_dup_string(expect->names[i]);
	wanted->fingerprint_count = expect->fingerprint_count;
	wanted->fingerprints = mem_alloc_array(expect->fingerprint_count + 1,
	    DIGEST_BYTES);
	if (expect->fingerprint_count > 0)
		memcpy(wanted->fingerprints, expect->fingerprints,
		    expect->fingerprint_count * DIGEST_BYTES);
	if (expect->also_name != NULL)
		wanted->also_name = mem_dup_string(expect->also_name);
	if (expect->note_name != NULL)
		wanted->note_name = mem_dup_string(expect->note_name);
	if (client->store != NULL && X509_STORE_up_ref(client->store) == 1)
		wanted->store = client->store;
	return wanted;
}

void tls_wanted_free(struct tls_wanted *wanted)
{
	size_t i;

	if (wanted == NULL)
		return;
	for (i = 0; i < wanted->name_count; i++)
		mem_free(wanted->names[i]);
	mem_free(wanted->names);
	mem_free(wanted->fingerprints);
	mem_free(wanted->also_name);
	mem_free(wanted->note_name);
	X509_STORE_free(wanted->store);
	mem_free(wanted);
}

/* --- sessions --- */

/* RFC 6066 3: no addresses. A name OpenSSL refuses is too long for any
 * certificate: none is sent then. */
static void set_server_name(SSL *ssl, const char *name)
{
	struct endpoint endpoint;

	if (name != NULL && (name[0] == '\0' ||
	    endpoint_parse(&endpoint, name, 0) == 0))
		name = NULL;
	/* DANE has set one of its own. */
	SSL_set_tlsext_host_name(ssl, NULL);
	if (name != NULL && SSL_set_tlsext_host_name(ssl, name) != 1)
		ERR_clear_error();
}

struct ssl_st *tls_client_session(struct tls_client *client,
    const struct tls_expect *expect, struct tls_wanted **wanted)
{
	SSL *ssl;

	if (expect->check != client->check)
		bug("tls-check-of-another-context");
	ssl = SSL_new(client->context);
	if (ssl == NULL)
		fatal("tls-session");
	SSL_set_connect_state(ssl);
	*wanted = wanted_new(client, expect);
	if (expect->check == TLS_CHECK_DANE)
		tls_dane_begin(ssl, expect, *wanted);
	set_server_name(ssl, expect->sni);
	if (expect->identity != NULL)
		show_identity(ssl, expect->identity);
	return ssl;
}
