/* SPDX-License-Identifier: ISC */
/*
 * Connecting, and judging what the peer showed. The handshake always goes
 * through (OpenSSL checks the path and keeps its result to itself); whether
 * the peer is who it should be is decided here, afterwards, so that a refusal
 * can be explained and the session ended politely.
 */
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/net.h"
#include "base/tls.h"
#include "base/tls_session.h"

/* Weak keys are better than clear text where nothing is verified anyhow. */
enum { LEVEL_ENCRYPT = 1, LEVEL_VERIFY = 2 };

struct tls_client {
	SSL_CTX		*context;	/* owned */
	enum tls_check	 check;
};

struct tls_wanted {
	enum tls_check	 check;
	char		**names;	/* owned, and each of them */
	size_t		 name_count;
	uint8_t		(*fingerprints)[DIGEST_BYTES];	/* owned */
	size_t		 fingerprint_count;
};

/* --- contexts --- */

/* Number of certificates added, or -1 when one of them is damaged. */
static int add_trust(SSL_CTX *context, const char *pem)
{
	X509_STORE *store = SSL_CTX_get_cert_store(context);
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

struct tls_client *tls_client_new(enum tls_check check, const char *trust_pem,
    char *error, size_t size)
{
	struct tls_client *client = mem_alloc(sizeof *client);
	int count = 1;

	client->check = check;
	client->context = tls_context_new(false,
	    check == TLS_CHECK_NONE ? LEVEL_ENCRYPT : LEVEL_VERIFY);
	if (trust_pem != NULL)
		count = add_trust(client->context, trust_pem);
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
	SSL_CTX_free(client->context);
	mem_free(client);
}

struct ssl_st *tls_client_session(struct tls_client *client,
    const struct tls_expect *expect, int fd)
{
	struct endpoint endpoint;
	SSL *ssl;

	if (expect->check != client->check)
		bug("tls-check-of-another-context");
	ssl = SSL_new(client->context);
	if (ssl == NULL || SSL_set_fd(ssl, fd) != 1)
		fatal("tls-session");
	SSL_set_connect_state(ssl);
	/* RFC 6066 3: no addresses. A name OpenSSL refuses is too long for
	 * any certificate: none is sent then. */
	if (expect->sni != NULL && expect->sni[0] != '\0' &&
	    endpoint_parse(&endpoint, expect->sni, 0) != 0 &&
	    SSL_set_tlsext_host_name(ssl, expect->sni) != 1)
		ERR_clear_error();
	return ssl;
}

/* --- what was wanted --- */

struct tls_wanted *tls_wanted_new(const struct tls_expect *expect)
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
	mem_free(wanted);
}

/* --- judging --- */

struct name_match {
	const char		*wanted;
	struct tls_facts	*facts;
};

/*
 * Does a name in the certificate serve for a name that we asked for? Ours may
 * be a pattern too ("*.x" or ".x"); it stands for one label then, and is met
 * by a wildcard for the same parent.
 */
static bool serves(const char *shown, const char *wanted)
{
	const char *parent = NULL, *shown_parent;

	if (wanted[0] == '.')
		parent = wanted;
	else if (wanted[0] == '*' && wanted[1] == '.')
		parent = wanted + 1;
	if (parent == NULL)
		return tls_name_matches(shown, wanted);
	shown_parent = strchr(shown, '.');
	if (shown_parent == NULL || shown_parent == shown ||
	    strcasecmp(shown_parent, parent) != 0)
		return false;
	return memchr(shown, '*', (size_t)(shown_parent - shown)) == NULL ||
	    (shown[0] == '*' && shown_parent == shown + 1);
}

static bool note_match(void *arg, const char *name)
{
	const struct name_match *match = arg;

	if (!serves(name, match->wanted))
		return false;
	snprintf(match->facts->matched_name, sizeof match->facts->matched_name,
	    "%s", name);
	return true;
}

/* An address is compared with the addresses in the certificate, octet for
 * octet (TLS-100), and never with its names. */
static bool shows_name(struct tls_facts *facts, X509 *certificate,
    const char *name)
{
	struct name_match match = { .wanted = name, .facts = facts };
	struct endpoint endpoint;

	if (endpoint_parse(&endpoint, name, 0) != 0)
		return tls_each_name(certificate, note_match, &match);
	if (X509_check_ip_asc(certificate, name, 0) != 1)
		return false;
	snprintf(facts->matched_name, sizeof facts->matched_name, "%s", name);
	return true;
}

/* The two dates deserve the date, and whose it is. */
static void explain_dates(struct tls_facts *facts, X509 *leaf)
{
	const ASN1_TIME *start = X509_get0_notBefore(leaf);
	struct tm parts;
	char date[32] = "";

	if (X509_cmp_current_time(X509_get0_notAfter(leaf)) < 0) {
		snprintf(facts->problem, sizeof facts->problem,
		    "the certificate expired on %s", facts->not_after);
	} else if (X509_cmp_current_time(start) > 0) {
		if (ASN1_TIME_to_tm(start, &parts) == 1)
			strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%SZ",
			    &parts);
		snprintf(facts->problem, sizeof facts->problem,
		    "the certificate is not valid before %s", date);
	} else {
		snprintf(facts->problem, sizeof facts->problem, "the "
		    "certificate of an authority in the chain has expired or "
		    "is not yet valid");
	}
}

/* Why no path to a trusted certificate was found, in plain words. */
static const char *path_words(long result)
{
	switch (result) {
	case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
		return "the certificate is self-signed";
	case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
		return "the chain ends in an authority that is not trusted";
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
	case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
		return "the issuer is not known: it is not trusted, or the "
		    "server left a certificate of its chain out";
	case X509_V_ERR_EE_KEY_TOO_SMALL:
	case X509_V_ERR_CA_KEY_TOO_SMALL:
		return "a key in the chain is too weak";
	case X509_V_ERR_CA_MD_TOO_WEAK:
		return "a signature in the chain uses a weak digest";
	case X509_V_ERR_INVALID_PURPOSE:
		return "the certificate is not for a TLS server";
	case X509_V_ERR_INVALID_CA:
		return "a certificate in the chain is not that of an authority";
	case X509_V_ERR_CERT_CHAIN_TOO_LONG:
		return "the chain is too long";
	default:
		return X509_verify_cert_error_string(result);
	}
}

static void judge_name(struct tls_facts *facts, SSL *ssl,
    const struct tls_wanted *wanted)
{
	X509 *leaf = SSL_get0_peer_certificate(ssl);
	long result = SSL_get_verify_result(ssl);
	size_t i;

	/* The whole path first, TLS-98. */
	if (result == X509_V_ERR_CERT_HAS_EXPIRED ||
	    result == X509_V_ERR_CERT_NOT_YET_VALID) {
		explain_dates(facts, leaf);
		return;
	}
	if (result != X509_V_OK) {
		snprintf(facts->problem, sizeof facts->problem, "%s",
		    path_words(result));
		return;
	}
	for (i = 0; i < wanted->name_count && !facts->verified; i++)
		facts->verified = shows_name(facts, leaf, wanted->names[i]);
	if (!facts->verified)
		snprintf(facts->problem, sizeof facts->problem,
		    "the certificate is not for %s%s",
		    wanted->name_count > 0 ? wanted->names[0] : "any name",
		    wanted->name_count > 1 ? " or the other names asked for" :
		    "");
}

static void judge_fingerprint(struct tls_facts *facts,
    const struct tls_wanted *wanted)
{
	size_t i;

	for (i = 0; i < wanted->fingerprint_count; i++) {
		const uint8_t *pin = wanted->fingerprints[i];

		if (memcmp(pin, facts->certificate_digest, DIGEST_BYTES) == 0 ||
		    memcmp(pin, facts->key_digest, DIGEST_BYTES) == 0)
			facts->verified = true;
	}
	if (!facts->verified)
		snprintf(facts->problem, sizeof facts->problem,
		    "neither certificate nor key has a fingerprint that was "
		    "asked for");
}

void tls_facts_judge(struct tls_facts *facts, struct ssl_st *ssl,
    const struct tls_wanted *wanted)
{
	facts->verified = false;
	if (!facts->has_peer) {
		snprintf(facts->problem, sizeof facts->problem,
		    "the peer showed no certificate");
		return;
	}
	switch (wanted->check) {
	case TLS_CHECK_NONE:
		return;
	case TLS_CHECK_NAME:
		judge_name(facts, ssl, wanted);
		return;
	case TLS_CHECK_FINGERPRINT:
		judge_fingerprint(facts, wanted);
		return;
	default:
		bug("unknown-tls-check");
	}
}
