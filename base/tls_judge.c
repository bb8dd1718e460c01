/* SPDX-License-Identifier: ISC */
/*
 * Judging what the peer showed, after a handshake that went through whatever
 * OpenSSL thought of the certificates: names, paths and fingerprints, and why
 * not, in words. DANE has a file of its own.
 */
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/broken.h"
#include "base/log.h"
#include "base/net.h"
#include "base/tls.h"
#include "base/tls_session.h"
#include "base/tls_wanted.h"

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
bool tls_shows_name(struct tls_facts *facts, X509 *certificate,
    const char *name)
{
	struct name_match match = { .wanted = name, .facts = facts };
	struct endpoint endpoint;

	if (broken("any-name"))
		return true;
	if (endpoint_parse(&endpoint, name, 0) != 0)
		return tls_each_name(certificate, note_match, &match);
	if (X509_check_ip_asc(certificate, name, 0) != 1)
		return false;
	snprintf(facts->matched_name, sizeof facts->matched_name, "%s", name);
	return true;
}

/* Appends to the sentence part. */
static void add_problem(struct tls_facts *facts, const char *text,
    const char *more)
{
	size_t length = strlen(facts->problem);

	snprintf(facts->problem + length, sizeof facts->problem - length,
	    "%s%s", text, more);
}

/* The two dates deserve the date, and whose it is. */
static void explain_dates(struct tls_facts *facts, X509 *leaf)
{
	const ASN1_TIME *start = X509_get0_notBefore(leaf);
	struct tm parts;
	char date[32] = "";

	if (X509_cmp_current_time(X509_get0_notAfter(leaf)) < 0) {
		add_problem(facts, "the certificate expired on ",
		    facts->not_after);
	} else if (X509_cmp_current_time(start) > 0) {
		if (ASN1_TIME_to_tm(start, &parts) == 1)
			strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%SZ",
			    &parts);
		add_problem(facts, "the certificate is not valid before ",
		    date);
	} else {
		add_problem(facts, "the certificate of an authority in the "
		    "chain has expired or is not yet valid", "");
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
	case X509_V_ERR_CERT_SIGNATURE_FAILURE:
		return "a signature in the chain is wrong";
	case X509_V_ERR_CERT_CHAIN_TOO_LONG:
		return "the chain is too long";
	default:
		return X509_verify_cert_error_string(result);
	}
}

void tls_explain_path(struct tls_facts *facts, struct x509_st *leaf,
    long result)
{
	if (result == X509_V_ERR_CERT_HAS_EXPIRED ||
	    result == X509_V_ERR_CERT_NOT_YET_VALID) {
		facts->verdict = TLS_VERDICT_EXPIRED;
		explain_dates(facts, leaf);
	} else {
		facts->verdict = TLS_VERDICT_UNTRUSTED;
		add_problem(facts, path_words(result), "");
	}
}

/* Only ever in a build with deliberate defects. */
static bool is_overlooked(long result)
{
	bool dates = result == X509_V_ERR_CERT_HAS_EXPIRED ||
	    result == X509_V_ERR_CERT_NOT_YET_VALID;

	return dates ? broken("any-date") : broken("any-issuer");
}

static void judge_name(struct tls_facts *facts, SSL *ssl,
    const struct tls_wanted *wanted)
{
	X509 *leaf = SSL_get0_peer_certificate(ssl);
	long result = SSL_get_verify_result(ssl);
	size_t i;

	/* The whole path first, TLS-98. */
	if (result != X509_V_OK && !is_overlooked(result)) {
		tls_explain_path(facts, leaf, result);
		return;
	}
	for (i = 0; i < wanted->name_count && !facts->verified; i++)
		facts->verified = tls_shows_name(facts, leaf,
		    wanted->names[i]);
	if (facts->verified)
		return;
	facts->verdict = TLS_VERDICT_NAME;
	snprintf(facts->problem, sizeof facts->problem,
	    "the certificate is not for %s%s",
	    wanted->name_count > 0 ? wanted->names[0] : "any name",
	    wanted->name_count > 1 ? " or the other names asked for" : "");
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
	if (facts->verified)
		return;
	facts->verdict = TLS_VERDICT_NO_MATCH;
	snprintf(facts->problem, sizeof facts->problem,
	    "neither certificate nor key has a fingerprint that was asked "
	    "for");
}

void tls_facts_judge(struct tls_facts *facts, struct ssl_st *ssl,
    const struct tls_wanted *wanted)
{
	facts->verified = false;
	if (!facts->has_peer) {
		if (wanted->check != TLS_CHECK_NONE)
			facts->verdict = TLS_VERDICT_OTHER;
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
	case TLS_CHECK_DANE:
		tls_dane_judge(facts, ssl, wanted);
		return;
	default:
		bug("unknown-tls-check");
	}
}
