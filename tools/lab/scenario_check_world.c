/* SPDX-License-Identifier: ISC */
/*
 * One world: what its texts say, that what they name is there, and that what
 * is asked for can be had together. Forms that belong to somebody else are
 * asked for there: records, behaviours, paths, ciphers.
 */
#include "tools/lab/scenario_check_private.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "tools/lab/actors.h"
#include "tools/lab/actors_link.h"
#include "tools/lab/mail_host.h"
#include "tools/lab/scenario_options.h"
#include "tools/lab/zone_text.h"

enum { PADDING_LEAST = 10 };	/* the shortest line there is */

/* --- names and addresses --- */

static void check_name(const struct lab_checker *checker, const char *name)
{
	size_t length = strlen(name);

	for (size_t i = 0; i < length; i++)
		if (isupper((unsigned char)name[i])) {
			lab_wrong(checker, name, "'%s': names are written in "
			    "lower case", name);
			return;
		}
	if (length > 1 && name[length - 1] == '.')
		lab_wrong(checker, name, "'%s': names are written without a "
		    "final dot", name);
}

static bool is_address(const char *text)
{
	struct in_addr address;
	struct in6_addr address6;

	return inet_pton(AF_INET, text, &address) == 1 ||
	    inet_pton(AF_INET6, text, &address6) == 1;
}

/* networks: beginnings of addresses, ended by null. */
static bool is_in(const char *text, const char *const *networks)
{
	for (; *networks != NULL; networks++)
		if (strncmp(text, *networks, strlen(*networks)) == 0)
			return is_address(text);
	return false;
}

/* Every "%" is followed by two hexadecimal digits. */
static void check_bytes(const struct lab_checker *checker, const char *text)
{
	const char *at = text;

	while ((at = strchr(at, '%')) != NULL) {
		if (!isxdigit((unsigned char)at[1]) ||
		    !isxdigit((unsigned char)at[2])) {
			lab_wrong(checker, text, "'%s': a byte is written "
			    "%%HH, with two hexadecimal digits, and a per "
			    "cent sign %%25", text);
			return;
		}
		at += 3;
	}
}

/* --- zones --- */

/* "U S M @NAME" or "@NAME:issuer" behind the word TLSA. */
static void check_named(const struct lab_checker *checker,
    const struct lab_world *world, const char *text)
{
	struct lab_words words;

	lab_words_split(text, &words);
	for (size_t i = 1; i + 4 < LAB_WORDS_MAX && i + 4 < words.count; i++) {
		const char *name = words.at[i + 4];
		char copy[256];

		if (!lab_words_equal(&words, i, "TLSA") || name[0] != '@')
			continue;
		snprintf(copy, sizeof(copy), "%.*s", (int)strcspn(name + 1,
		    ": \t"), name + 1);
		lab_check_certificate(checker, world, text, copy);
	}
}

static void check_record(const struct lab_checker *checker,
    const struct lab_world *world, const char *text)
{
	const char *problem = lab_record_problem(text);

	if (problem != NULL)
		lab_wrong(checker, text, "'%s' is no record: %s; accepted: "
		    "\"OWNER [TTL] TYPE DATA\"", text, problem);
	else
		check_named(checker, world, text);
}

static void check_set(const struct lab_checker *checker, const char *text)
{
	const char *problem = lab_set_problem(text);

	if (problem != NULL)
		lab_wrong(checker, text, "'%s' names no set of records: %s; "
		    "accepted: \"OWNER TYPE\"", text, problem);
}

static void check_answer(const struct lab_checker *checker, const char *text,
    int64_t servers)
{
	const char *problem = lab_answer_problem(text, servers);
	char list[LAB_LIST_MAX];

	if (problem != NULL)
		lab_wrong(checker, text, "'%s' is no answer: %s; accepted: "
		    "\"OWNER TYPE ANSWER [SERVER]\", ANSWER one of %s", text,
		    problem, lab_words_list(lab_answer_words, list));
}

static void check_substitute(const struct lab_checker *checker,
    const struct lab_world *world, const char *text)
{
	const char *problem = lab_substitute_problem(text);

	if (problem != NULL)
		lab_wrong(checker, text, "'%s' is no substitute: %s; "
		    "accepted: \"OWNER TYPE [TTL] RECORD-TYPE DATA\"", text,
		    problem);
	else
		check_named(checker, world, text);
}

static void check_zone(const struct lab_checker *checker,
    const struct lab_world *world, const struct lab_zone *zone)
{
	const struct lab_texts *sets[] = { &zone->expired_sets,
	    &zone->future_sets, &zone->unsigned_sets, &zone->tampered_sets };

	check_name(checker, zone->name);
	for (size_t i = 0; i < zone->records.count; i++)
		check_record(checker, world, zone->records.items[i]);
	for (size_t k = 0; k < sizeof(sets) / sizeof(sets[0]); k++)
		for (size_t i = 0; i < sets[k]->count; i++)
			check_set(checker, sets[k]->items[i]);
	for (size_t i = 0; i < zone->answers.count; i++)
		check_answer(checker, zone->answers.items[i], zone->servers);
	for (size_t i = 0; i < zone->substitutes.count; i++)
		check_substitute(checker, world, zone->substitutes.items[i]);
	if (zone->iterations > 0 && zone->denial == LAB_NSEC)
		lab_wrong(checker, zone->name, "zone %s: iterations are "
		    "NSEC3's; add denial = nsec3 or nsec3-opt-out",
		    zone->name);
}

/* --- certificates --- */

/* Which forms of chain mean anything: others would be shown as if full. */
static void check_chain(const struct lab_checker *checker,
    const struct lab_certificate *certificate)
{
	int64_t others = certificate->intermediates +
	    (certificate->issuer == LAB_ISSUER_PRIVATE);
	const char *needed = NULL;

	switch (certificate->chain) {
	case LAB_CHAIN_NO_ROOT:
		if (certificate->issuer != LAB_ISSUER_PRIVATE)
			needed = "no-root needs issuer = private";
		break;
	case LAB_CHAIN_REVERSED:
		if (others < 2)
			needed = "reversed needs two others behind the leaf; "
			    "add intermediates = 2";
		break;
	case LAB_CHAIN_DOUBLED:
		if (others < 1)
			needed = "doubled needs another behind the leaf; add "
			    "intermediates = 1";
		break;
	case LAB_CHAIN_GAP:
		if (certificate->intermediates < 2)
			needed = "gap needs intermediates = 2 or more; "
			    "without the only one, it is chain = leaf";
		break;
	default:
		break;
	}
	if (needed != NULL)
		lab_wrong(checker, certificate->name, "certificate %s: chain "
		    "= %s", certificate->name, needed);
}

/* What a certificate that signs itself cannot have. */
static void check_own_signature(const struct lab_checker *checker,
    const struct lab_certificate *certificate)
{
	bool rsa = certificate->key == LAB_KEY_RSA2048 ||
	    certificate->key == LAB_KEY_RSA1024;

	if (certificate->intermediates > 0)
		lab_wrong(checker, certificate->name, "certificate %s: "
		    "intermediates do not go with issuer = self",
		    certificate->name);
	if (certificate->digest == LAB_DIGEST_MD5 && !rsa)
		lab_wrong(checker, certificate->name, "certificate %s: digest "
		    "= md5 is RSA's; with issuer = self it needs key = "
		    "rsa2048 or rsa1024", certificate->name);
	else if (certificate->digest != LAB_DIGEST_SHA256 &&
	    certificate->key == LAB_KEY_ED25519)
		lab_wrong(checker, certificate->name, "certificate %s: an "
		    "ed25519 signature has no digest; with issuer = self it "
		    "needs another key", certificate->name);
}

static void check_one_certificate(const struct lab_checker *checker,
    const struct lab_certificate *certificate)
{
	for (size_t i = 0; i < certificate->names.count; i++)
		check_bytes(checker, certificate->names.items[i]);
	check_bytes(checker, certificate->common_name);
	check_bytes(checker, certificate->organization);
	for (size_t i = 0; i < certificate->addresses.count; i++)
		if (!is_address(certificate->addresses.items[i]))
			lab_wrong(checker, certificate->addresses.items[i],
			    "'%s' is no address; accepted: 192.0.2.1, "
			    "2001:db8::1", certificate->addresses.items[i]);
	if (certificate->intermediates == 0 &&
	    (certificate->issuer_validity != LAB_VALID ||
	    !certificate->issuer_authority))
		lab_wrong(checker, certificate->name, "certificate %s: "
		    "issuer-validity and issuer-authority are about an "
		    "intermediate; add intermediates = 1", certificate->name);
	if (certificate->issuer == LAB_ISSUER_SELF)
		check_own_signature(checker, certificate);
	check_chain(checker, certificate);
}

/* --- mail hosts --- */

static void check_versions(const struct lab_checker *checker,
    const struct lab_texts *versions)
{
	for (size_t i = 0; i < versions->count; i++)
		lab_check_word(checker, versions->items[i], lab_version_words,
		    "version of TLS");
}

static bool has_version(const struct lab_texts *versions, const char *version)
{
	for (size_t i = 0; i < versions->count; i++)
		if (strcmp(versions->items[i], version) == 0)
			return true;
	return false;
}

/* What a host without TLS never comes to. */
static bool is_about_tls(const struct lab_words *words)
{
	static const char *const stages[] = { "handshake", "flight", "secured",
	    NULL };

	return lab_word_index(stages, words->at[0], strcspn(words->at[0],
	    "# \t")) != -1 || lab_words_equal(words, 1, "corrupt") ||
	    lab_words_equal(words, 1, "unwrap");
}

static void check_behaviour(const struct lab_checker *checker,
    const struct lab_host *host, const char *text)
{
	char stages[LAB_LIST_MAX], actions[LAB_LIST_MAX], stage[64] = "";
	struct lab_words words;

	lab_words_split(text, &words);
	if (words.count > 0)
		snprintf(stage, sizeof(stage), "%.*s", (int)words.length[0],
		    words.at[0]);
	if (words.count < 2 || !lab_action_fits(stage, words.at[1]))
		lab_wrong(checker, text, "'%s' is no behaviour; accepted: "
		    "\"STAGE REPLY\", \"STAGE ACTION\", and STAGE#N or "
		    "STAGE#N- for a visit, STAGE one of %s, ACTION one of %s, "
		    "where it means something (postern-lab(7)); a REPLY begins "
		    "with three digits", text,
		    lab_words_list(lab_stage_words, stages),
		    lab_words_list(lab_action_words, actions));
	else if (host->tls == LAB_TLS_NONE && is_about_tls(&words))
		lab_wrong(checker, text, "'%s': host %s has tls = none, so "
		    "it never comes to this", text, host->name);
}

static void check_sni(const struct lab_checker *checker,
    const struct lab_world *world, const char *text)
{
	struct lab_words words;

	lab_words_split(text, &words);
	if (words.count != 2)
		lab_wrong(checker, text, "'%s' is wrong; accepted: "
		    "\"SERVERNAME CERTIFICATE\"", text);
	else
		lab_check_certificate(checker, world, text, words.at[1]);
}

static void check_ciphers(const struct lab_checker *checker, const char *text)
{
	SSL_CTX *context = SSL_CTX_new(TLS_server_method());
	char problem[200];

	if (context != NULL && lab_link_set_ciphers(context, text, problem,
	    sizeof(problem)) == -1)
		lab_wrong(checker, text, "'%s': %s; accepted: see "
		    "openssl-ciphers(1)", text, problem);
	SSL_CTX_free(context);
}

/* Without a certificate there are anonymous ciphers, up to TLS 1.2. */
static bool is_anonymous(const struct lab_host *host)
{
	return host->ciphers[0] != '\0' && host->versions.count > 0 &&
	    !has_version(&host->versions, "1.3");
}

static void check_host_tls(const struct lab_checker *checker,
    const struct lab_world *world, const struct lab_host *host)
{
	if (host->certificate[0] != '\0')
		lab_check_certificate(checker, world, host->certificate,
		    host->certificate);
	else if (host->tls != LAB_TLS_NONE && !is_anonymous(host))
		lab_wrong(checker, host->name, "host %s has no certificate; "
		    "add certificate = NAME, or tls = none, or ciphers that "
		    "need none and versions without 1.3", host->name);
	for (size_t i = 0; i < host->sni.count; i++)
		check_sni(checker, world, host->sni.items[i]);
	check_versions(checker, &host->versions);
	if (host->ciphers[0] != '\0')
		check_ciphers(checker, host->ciphers);
	if (host->unknown_name == LAB_NAME_WARNED &&
	    (host->versions.count == 0 || has_version(&host->versions,
	    "1.3")))
		lab_wrong(checker, host->name, "host %s: unknown-name = "
		    "warned is not in TLS 1.3; add versions = { 1.2 }",
		    host->name);
}

static void check_host(const struct lab_checker *checker,
    const struct lab_world *world, const struct lab_host *host)
{
	static const char *const networks[] = { "192.0.2.", "2001:db8::",
	    NULL };
	char list[LAB_LIST_MAX];

	if (host->addresses.count == 0)
		lab_wrong(checker, host->name, "host %s has no addresses; "
		    "accepted: addresses = { 192.0.2.1 }", host->name);
	for (size_t i = 0; i < host->addresses.count; i++)
		if (!is_in(host->addresses.items[i], networks))
			lab_wrong(checker, host->addresses.items[i], "'%s' is "
			    "no address of a mail host; accepted: 192.0.2.N, "
			    "2001:db8::N", host->addresses.items[i]);
	check_host_tls(checker, world, host);
	for (size_t i = 0; i < host->behaviour.count; i++)
		check_behaviour(checker, host, host->behaviour.items[i]);
	if (!lab_actors_path_fits(host->path))
		lab_wrong(checker, host->path, "'%s' is no path; accepted: "
		    "%s, and WORD#N or WORD#N- for a visit (of block and "
		    "refuse only #N-)", host->path,
		    lab_words_list(lab_path_words, list));
}

/* --- policy hosts --- */

static void check_policy_address(const struct lab_checker *checker,
    const struct lab_policy *policy, const char *address)
{
	static const char *const networks[] = { "203.0.113.", "2001:db8:1::",
	    "127.0.0.", "10.0.0.", "169.254.0.", NULL };

	if (!is_in(address, networks) || strcmp(address, "127.0.0.1") == 0)
		lab_wrong(checker, address, "policy %s: '%s' is no address of "
		    "a policy host; accepted: 203.0.113.N, 2001:db8:1::N, "
		    "127.0.0.N (not 1), 10.0.0.N, 169.254.0.N",
		    policy->domain, address);
}

static void check_policy(const struct lab_checker *checker,
    const struct lab_world *world, const struct lab_policy *policy)
{
	check_name(checker, policy->domain);
	if (policy->addresses.count == 0)
		lab_wrong(checker, policy->domain, "policy %s has no "
		    "addresses; accepted: addresses = { 203.0.113.1 }",
		    policy->domain);
	for (size_t i = 0; i < policy->addresses.count; i++)
		check_policy_address(checker, policy,
		    policy->addresses.items[i]);
	lab_check_certificate(checker, world, policy->certificate[0] != '\0' ?
	    policy->certificate : policy->domain, policy->certificate);
	check_versions(checker, &policy->versions);
	if (policy->padding > 0 && policy->padding < PADDING_LEAST)
		lab_wrong(checker, policy->domain, "policy %s: padding is 0, "
		    "or at least one line of %d bytes", policy->domain,
		    PADDING_LEAST);
	lab_check_word(checker, policy->fault, lab_policy_fault_words,
	    "fault");
}

void lab_check_world(const struct lab_checker *checker,
    const struct lab_world *world)
{
	for (size_t i = 0; i < world->zone_count; i++)
		check_zone(checker, world, &world->zones[i]);
	for (size_t i = 0; i < world->certificate_count; i++)
		check_one_certificate(checker, &world->certificates[i]);
	for (size_t i = 0; i < world->host_count; i++)
		check_host(checker, world, &world->hosts[i]);
	for (size_t i = 0; i < world->policy_count; i++)
		check_policy(checker, world, &world->policies[i]);
}
