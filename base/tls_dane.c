/* SPDX-License-Identifier: ISC */
/*
 * TLS_CHECK_DANE: the TLSA records of a host go into the session, OpenSSL
 * compares while it reads the chain (RFC 7671, with digest agility), and what
 * it found is judged and put into words afterwards.
 *
 * What is decided here, where OpenSSL leaves a choice:
 *  - usage 3: no names, no dates (DANE-86, DANE-87); but a name where the
 *    owner asks for one (ee_names, REQ-36a);
 *  - usage 2: DNS names only if there is one; a common name otherwise, but no
 *    wildcard in it (DANE-110, DANE-111, T-11); a star is a whole label;
 *  - keys and signatures below 112 bits are refused, whoever vouches for them:
 *    a record proves whose key it is, not that nobody else has it (T-05);
 *  - a record that OpenSSL does not take is as if it were not there. If none
 *    is left the peer is never verified, though the handshake goes on.
 * Usages 0 and 1 are refused here too, although OpenSSL would take them: they
 * would ask for a path to authorities that an MTA has no list of.
 */
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

#include "base/broken.h"
#include "base/log.h"
#include "base/tls.h"
#include "base/tls_session.h"
#include "base/tls_wanted.h"

/* RFC 7218's names of numbers. */
enum { USAGE_TA = 2, USAGE_EE = 3, MATCHING_FULL = 0 };

/* Octets of a record that are shown: a SHA-256 digest is shown whole. */
enum { SHOWN_OCTETS = 32 };

void tls_dane_enable(struct ssl_ctx_st *context)
{
	if (SSL_CTX_dane_enable(context) != 1)
		fatal("tls-dane");
	SSL_CTX_dane_set_flags(context, DANE_FLAG_NO_DANE_EE_NAMECHECKS);
}

/* --- before the handshake --- */

static bool accept_record(SSL *ssl, const struct tls_tlsa *record)
{
	/* OpenSSL takes an empty digest for a failure of memory. */
	if (record->length == 0 ||
	    (record->usage != USAGE_TA && record->usage != USAGE_EE))
		return false;
	if (record->usage == USAGE_TA && broken("usage-ignored"))
		SSL_dane_tlsa_add(ssl, USAGE_EE, record->selector,
		    record->matching, record->data, record->length);
	if (SSL_dane_tlsa_add(ssl, record->usage, record->selector,
	    record->matching, record->data, record->length) == 1)
		return true;
	ERR_clear_error();
	return false;
}

/* Of digests of one usage and selector only the strongest counts (DANE-126):
 * is there one that hides this? */
static bool is_masked(const struct tls_expect *expect,
    const struct tls_tlsa *record)
{
	size_t i;

	for (i = 0; i < expect->tlsa_count; i++) {
		const struct tls_tlsa *other = &expect->tlsa[i];

		if (record->matching != MATCHING_FULL &&
		    other->usage == record->usage &&
		    other->selector == record->selector &&
		    other->matching > record->matching)
			return true;
	}
	return false;
}

void tls_dane_begin(struct ssl_st *ssl, const struct tls_expect *expect,
    struct tls_wanted *wanted)
{
	size_t i;

	if (expect->name_count == 0)
		bug("tls-dane-without-base");
	if (SSL_dane_enable(ssl, expect->names[0]) <= 0) {
		/* No host can have that name: nobody will be verified. */
		ERR_clear_error();
		return;
	}
	SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	if (expect->ee_names)
		SSL_dane_clear_flags(ssl, DANE_FLAG_NO_DANE_EE_NAMECHECKS);
	for (i = 1; i < expect->name_count; i++)
		if (SSL_add1_host(ssl, expect->names[i]) != 1)
			ERR_clear_error();
	for (i = 0; i < expect->tlsa_count; i++) {
		const struct tls_tlsa *record = &expect->tlsa[i];

		if (!accept_record(ssl, record))
			continue;
		wanted->accepted++;
		wanted->has_anchors |= record->usage == USAGE_TA;
		wanted->has_masked |= is_masked(expect, record);
	}
}

/* --- afterwards --- */

static void print_match(struct tls_facts *facts, SSL *ssl)
{
	uint8_t usage, selector, matching;
	const unsigned char *data;
	char hex[2 * SHOWN_OCTETS + 1] = "";
	size_t length, shown, i;
	int depth = SSL_get0_dane_tlsa(ssl, &usage, &selector, &matching,
	    &data, &length);

	if (depth < 0)
		return;
	shown = length > SHOWN_OCTETS ? SHOWN_OCTETS - 4 : length;
	for (i = 0; i < shown; i++)
		snprintf(hex + 2 * i, 3, "%02x", data[i]);
	snprintf(facts->matched_tlsa, sizeof facts->matched_tlsa,
	    "%u %u %u %s%s depth %d", usage & 3u, selector & 1u,
	    matching & 3u, hex, shown < length ? "..." : "",
	    depth > 99 ? 99 : depth);
}

static bool stop_at_once(void *arg, const char *name)
{
	(void)arg;
	(void)name;
	return true;
}

/* A common name that is a pattern is no name of a host (T-11). */
static bool is_pattern_without_dns_name(X509 *leaf, const char *name)
{
	return name != NULL && strchr(name, '*') != NULL &&
	    !tls_each_name(leaf, stop_at_once, NULL);
}

static void explain_names(struct tls_facts *facts,
    const struct tls_wanted *wanted)
{
	facts->verdict = TLS_VERDICT_NAME;
	snprintf(facts->problem, sizeof facts->problem,
	    "the chain matches a TLSA record, but the certificate is not for "
	    "%s%s", wanted->names[0],
	    wanted->name_count > 1 ? " or the domain of the mail" : "");
}

static void explain(struct tls_facts *facts, SSL *ssl,
    const struct tls_wanted *wanted)
{
	long result = SSL_get_verify_result(ssl);

	facts->verdict = TLS_VERDICT_NO_MATCH;
	if (wanted->accepted == 0) {
		snprintf(facts->problem, sizeof facts->problem,
		    "no TLSA record is of any use");
	} else if (result == X509_V_ERR_HOSTNAME_MISMATCH) {
		explain_names(facts, wanted);
	} else if (result == X509_V_ERR_DANE_NO_MATCH) {
		snprintf(facts->problem, sizeof facts->problem,
		    "no TLSA record matches %s%s", wanted->has_anchors ?
		    "a certificate that was shown, or its key" :
		    "the certificate or its key", wanted->has_masked ?
		    " (weaker digests beside stronger ones do not count)" :
		    "");
	} else {
		tls_explain_path(facts, SSL_get0_peer_certificate(ssl),
		    result);
	}
}

/* The chain that was shown, by the rules of TLS_CHECK_NAME. */
static long verify_path(SSL *ssl, X509_STORE *store)
{
	X509_STORE_CTX *context = X509_STORE_CTX_new();
	X509_VERIFY_PARAM *rules;
	long result;

	if (context == NULL || X509_STORE_CTX_init(context, store,
	    SSL_get0_peer_certificate(ssl),
	    SSL_get_peer_cert_chain(ssl)) != 1 ||
	    X509_STORE_CTX_set_default(context, "ssl_server") != 1)
		fatal("tls-memory");
	rules = X509_STORE_CTX_get0_param(context);
	X509_VERIFY_PARAM_set_depth(rules, TLS_DEPTH_MAX);
	X509_VERIFY_PARAM_set_auth_level(rules, TLS_LEVEL_VERIFY);
	if (X509_verify_cert(context) == 1) {
		result = X509_V_OK;
	} else {
		result = X509_STORE_CTX_get_error(context);
		if (result == X509_V_OK)
			result = X509_V_ERR_UNSPECIFIED;
	}
	X509_STORE_CTX_free(context);
	ERR_clear_error();
	return result;
}

/* The web's authorities, and the name, beside a TLSA record. */
static bool holds_for_webpki(struct tls_facts *facts, SSL *ssl,
    const struct tls_wanted *wanted, const char *name)
{
	X509 *leaf = SSL_get0_peer_certificate(ssl);
	long result;

	if (wanted->store == NULL) {
		facts->verdict = TLS_VERDICT_OTHER;
		snprintf(facts->problem, sizeof facts->problem,
		    "a TLSA record matches, but there is no list of trusted "
		    "authorities to check the certificate with");
		return false;
	}
	result = verify_path(ssl, wanted->store);
	if (result == X509_V_OK) {
		if (tls_shows_name(facts, leaf, name))
			return true;
		facts->verdict = TLS_VERDICT_NAME;
		snprintf(facts->problem, sizeof facts->problem,
		    "a TLSA record matches, but the certificate is not for %s",
		    name);
		return false;
	}
	snprintf(facts->problem, sizeof facts->problem,
	    "a TLSA record matches, but ");
	tls_explain_path(facts, leaf, result);
	return false;
}

/* DANE-139: nothing depends on it. */
static void note_webpki(struct tls_facts *facts, SSL *ssl,
    const struct tls_wanted *wanted)
{
	struct tls_facts copy = *facts;

	facts->note_met = holds_for_webpki(&copy, ssl, wanted,
	    wanted->note_name);
	if (!facts->note_met)
		memcpy(facts->noted, copy.problem, sizeof facts->noted);
}

void tls_dane_judge(struct tls_facts *facts, struct ssl_st *ssl,
    const struct tls_wanted *wanted)
{
	const char *name = SSL_get0_peername(ssl);

	if (broken("any-tlsa") || (SSL_get_verify_result(ssl) ==
	    X509_V_ERR_HOSTNAME_MISMATCH && broken("any-name"))) {
		facts->verified = true;
		return;
	}
	/* Both, and a match at some depth: a path that needed no record is
	 * not what was asked for. */
	if (SSL_get_verify_result(ssl) != X509_V_OK ||
	    wanted->accepted == 0 ||
	    SSL_get0_dane_authority(ssl, NULL, NULL) < 0) {
		explain(facts, ssl, wanted);
		return;
	}
	if (is_pattern_without_dns_name(SSL_get0_peer_certificate(ssl),
	    name)) {
		explain_names(facts, wanted);
		return;
	}
	if (name != NULL)
		snprintf(facts->matched_name, sizeof facts->matched_name,
		    "%s", name);
	print_match(facts, ssl);
	/* also_name: the literal reading of RFC 8461 5, where both must hold */
	facts->verified = wanted->also_name == NULL ||
	    holds_for_webpki(facts, ssl, wanted, wanted->also_name);
	if (wanted->note_name != NULL && wanted->store != NULL)
		note_webpki(facts, ssl, wanted);
}
