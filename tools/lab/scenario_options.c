/* SPDX-License-Identifier: ISC */
/*
 * The tables; see scenario.h for what each member means and postern-lab(7)
 * for the reader's side of it. Choices stand in the order of their enums.
 */
#include "tools/lab/scenario_options.h"

#include <string.h>

#include "tools/lab/scenario.h"

static const char *const signing_words[] = { "signed", "unsigned", "wrong-ds",
    "stripped", "unknown-algorithm", "unknown-digest", "no-keys", NULL };
static const char *const validity_words[] = { "valid", "expired", "future",
    NULL };
static const char *const denial_words[] = { "nsec", "nsec3", "nsec3-opt-out",
    NULL };
static const char *const issuer_words[] = { "ca", "self", "other", "private",
    NULL };
static const char *const key_words[] = { "p256", "p384", "ed25519", "rsa2048",
    "rsa1024", NULL };
static const char *const digest_words[] = { "sha256", "sha1", "md5", NULL };
static const char *const usage_words[] = { "server", "client", "none", NULL };
static const char *const chain_words[] = { "full", "leaf", "no-root",
    "reversed", "doubled", "surplus", "gap", NULL };
static const char *const tls_words[] = { "starttls", "implicit", "none",
    NULL };
static const char *const client_certificate_words[] = { "ignored", "asked",
    "demanded", NULL };
static const char *const unknown_name_words[] = { "served", "alert", "warned",
    NULL };
static const char *const requiretls_words[] = { "no", "yes", "clear", NULL };
static const char *const line_end_words[] = { "crlf", "lf", NULL };

const char *const lab_outcome_words[] = { "authenticated", "encrypted",
    "clear", "waiting", "deferred", "bounced", "safe", "unsafe", "unserved",
    NULL };
const char *const lab_answer_words[] = { "true", "servfail", "refused",
    "formerr", "notimp", "nxdomain", "nodata", "silence", "truncated",
    "tcp-only", "late", "empty", "other-proof", "garbage", NULL };
const char *const lab_stage_words[] = { "connect", "greeting", "ehlo", "helo",
    "starttls", "handshake", "flight", "secured", "mail", "rcpt", "data",
    "message", "idle", "quit", NULL };
const char *const lab_action_words[] = { "close", "cut", "reset", "stall",
    "garbage", "alert", "corrupt", "tarpit", "bytes", "flood", "long", "bare",
    "half", "unwrap", "raw", NULL };
const char *const lab_path_words[] = { "", "strip", "mangle", "block", "reset",
    "refuse", "impostor", "refuse-ehlo", "refuse-starttls", "inject",
    "drop-tls", "reset-tls", "flip", "pieces", NULL };
const char *const lab_policy_fault_words[] = { "", "close", "reset", "stall",
    "drip", "short", "endless", "block", "refuse", "cut", "cut-chunk", "gzip",
    "headers", "informational", NULL };
const char *const lab_version_words[] = { "1.0", "1.1", "1.2", "1.3", NULL };
const char *const lab_service_words[] = { "smtp", "submission", "submissions",
    NULL };
const char *const lab_report_words[] = { "starttls-not-supported",
    "certificate-host-mismatch", "certificate-expired",
    "certificate-not-trusted", "validation-failure", "tlsa-invalid",
    "dnssec-invalid", "dane-required", "sts-policy-fetch-error",
    "sts-policy-invalid", "sts-webpki-invalid", NULL };
const char *const lab_report_policy_words[] = { "tlsa", "sts",
    "no-policy-found", NULL };

_Static_assert(offsetof(struct lab_zone, name) == 0 &&
    offsetof(struct lab_certificate, name) == 0 &&
    offsetof(struct lab_host, name) == 0 &&
    offsetof(struct lab_policy, domain) == 0, "titles are first members");

#define KIND(word, kind, array, length) { .name = word, \
	.size = sizeof(struct kind), \
	.items = offsetof(struct lab_world, array), \
	.count = offsetof(struct lab_world, length) }

const struct lab_kind lab_kinds[LAB_KINDS] = {
	[LAB_SECTION_ZONE] = KIND("zone", lab_zone, zones, zone_count),
	[LAB_SECTION_CERTIFICATE] = KIND("certificate", lab_certificate,
	    certificates, certificate_count),
	[LAB_SECTION_HOST] = KIND("host", lab_host, hosts, host_count),
	[LAB_SECTION_POLICY] = KIND("policy", lab_policy, policies,
	    policy_count),
};

#define OPTION(part, kind, structure, member, word, value) { \
	.section = LAB_SECTION_ ## part, .type = LAB_OPTION_ ## kind, \
	.name = word, .offset = offsetof(struct structure, member), \
	.fallback = value }
#define NUMBER(part, structure, member, word, value, from, to) { \
	.section = LAB_SECTION_ ## part, .type = LAB_OPTION_NUMBER, \
	.name = word, .offset = offsetof(struct structure, member), \
	.fallback = value, .least = from, .most = to }
#define CHOICE(part, structure, member, word, value, list) { \
	.section = LAB_SECTION_ ## part, .type = LAB_OPTION_CHOICE, \
	.name = word, .offset = offsetof(struct structure, member), \
	.fallback = value, .choices = list }

const struct lab_option lab_options[] = {
	OPTION(ZONE, TEXTS, lab_zone, records, "records", ""),
	CHOICE(ZONE, lab_zone, signing, "signing", "signed", signing_words),
	CHOICE(ZONE, lab_zone, validity, "validity", "valid", validity_words),
	CHOICE(ZONE, lab_zone, denial, "denial", "nsec", denial_words),
	OPTION(ZONE, TEXTS, lab_zone, expired_sets, "expired-sets", ""),
	OPTION(ZONE, TEXTS, lab_zone, future_sets, "future-sets", ""),
	OPTION(ZONE, TEXTS, lab_zone, unsigned_sets, "unsigned-sets", ""),
	OPTION(ZONE, TEXTS, lab_zone, tampered_sets, "tampered-sets", ""),
	OPTION(ZONE, TEXTS, lab_zone, answers, "answers", ""),
	OPTION(ZONE, TEXTS, lab_zone, substitutes, "substitutes", ""),
	NUMBER(ZONE, lab_zone, servers, "servers", "1", 1, 4),
	NUMBER(ZONE, lab_zone, iterations, "iterations", "0", 0, 2500),
	NUMBER(ZONE, lab_zone, negative_ttl, "negative-ttl", "1", 0, 604800),

	OPTION(CERTIFICATE, TEXTS, lab_certificate, names, "names", ""),
	OPTION(CERTIFICATE, TEXTS, lab_certificate, addresses, "addresses",
	    ""),
	OPTION(CERTIFICATE, TEXT, lab_certificate, common_name, "common-name",
	    ""),
	OPTION(CERTIFICATE, TEXT, lab_certificate, organization,
	    "organization", ""),
	CHOICE(CERTIFICATE, lab_certificate, issuer, "issuer", "ca",
	    issuer_words),
	CHOICE(CERTIFICATE, lab_certificate, validity, "validity", "valid",
	    validity_words),
	CHOICE(CERTIFICATE, lab_certificate, key, "key", "p256", key_words),
	CHOICE(CERTIFICATE, lab_certificate, digest, "digest", "sha256",
	    digest_words),
	CHOICE(CERTIFICATE, lab_certificate, usage, "usage", "server",
	    usage_words),
	NUMBER(CERTIFICATE, lab_certificate, intermediates,
	    "intermediates", "0", 0, 100),
	CHOICE(CERTIFICATE, lab_certificate, issuer_validity,
	    "issuer-validity", "valid", validity_words),
	OPTION(CERTIFICATE, BOOL, lab_certificate, issuer_authority,
	    "issuer-authority", "yes"),
	CHOICE(CERTIFICATE, lab_certificate, chain, "chain", "full",
	    chain_words),

	OPTION(HOST, TEXTS, lab_host, addresses, "addresses", ""),
	NUMBER(HOST, lab_host, port, "port", "25", 1, 65535),
	OPTION(HOST, TEXT, lab_host, certificate, "certificate", ""),
	OPTION(HOST, TEXTS, lab_host, sni, "sni", ""),
	CHOICE(HOST, lab_host, tls, "tls", "starttls", tls_words),
	OPTION(HOST, TEXTS, lab_host, versions, "versions", ""),
	OPTION(HOST, TEXT, lab_host, ciphers, "ciphers", ""),
	NUMBER(HOST, lab_host, tickets, "tickets", "2", 0, 100),
	CHOICE(HOST, lab_host, client_certificate, "client-certificate",
	    "ignored", client_certificate_words),
	CHOICE(HOST, lab_host, unknown_name, "unknown-name", "served",
	    unknown_name_words),
	CHOICE(HOST, lab_host, requiretls, "requiretls", "no",
	    requiretls_words),
	OPTION(HOST, TEXTS, lab_host, behaviour, "behaviour", ""),
	OPTION(HOST, TEXT, lab_host, path, "path", ""),

	OPTION(POLICY, TEXTS, lab_policy, addresses, "addresses", ""),
	OPTION(POLICY, TEXT, lab_policy, certificate, "certificate", ""),
	OPTION(POLICY, BOOL, lab_policy, needs_name, "needs-name", "no"),
	OPTION(POLICY, TEXTS, lab_policy, versions, "versions", ""),
	OPTION(POLICY, LINES, lab_policy, body, "body", ""),
	CHOICE(POLICY, lab_policy, line_ends, "line-ends", "crlf",
	    line_end_words),
	NUMBER(POLICY, lab_policy, padding, "padding", "0", 0, 16 << 20),
	NUMBER(POLICY, lab_policy, status, "status", "200", 100, 999),
	OPTION(POLICY, TEXT, lab_policy, type, "type", "text/plain"),
	OPTION(POLICY, TEXTS, lab_policy, headers, "headers", ""),
	OPTION(POLICY, TEXT, lab_policy, fault, "fault", ""),

	OPTION(TOP, PROSE, lab_scenario, title, "title", NULL),
	OPTION(TOP, TEXTS, lab_scenario, clauses, "clauses", ""),
	OPTION(TOP, TEXTS, lab_scenario, catalogue, "catalogue", ""),
	OPTION(TOP, TEXTS, lab_scenario, source, "source", ""),
	OPTION(TOP, BOOL, lab_scenario, in_depth, "in-depth", "no"),
	OPTION(TOP, PROSE, lab_scenario, text, "text", ""),

	OPTION(SENDER, TEXT, lab_sender, level, "level", ""),
	OPTION(SENDER, TEXT, lab_sender, no_starttls, "no-starttls", ""),
	OPTION(SENDER, TEXT, lab_sender, broken_tls, "broken-tls", ""),
	OPTION(SENDER, TEXT, lab_sender, sts_with_dane, "sts-with-dane", ""),
	OPTION(SENDER, TEXT, lab_sender, insecure_mx, "insecure-mx", ""),
	OPTION(SENDER, TEXT, lab_sender, memory, "memory", ""),
	OPTION(SENDER, TEXTS, lab_sender, routes, "routes", ""),

	OPTION(RECEIVER, TEXTS, lab_receiver, services, "services", ""),
	OPTION(RECEIVER, TEXT, lab_receiver, certificate, "certificate", ""),

	OPTION(STEP, TEXTS, lab_step, faults, "faults", ""),
	OPTION(STEP, TEXT, lab_step, to, "to", ""),
	OPTION(STEP, BOOL, lab_step, requiretls, "requiretls", "no"),
	OPTION(STEP, TEXT, lab_step, parameters, "parameters", ""),
	OPTION(STEP, TEXTS, lab_step, header, "header", ""),
	OPTION(STEP, TEXTS, lab_step, body, "body", ""),
	NUMBER(STEP, lab_step, after, "after", "0", 0, 60),
	OPTION(STEP, BOOL, lab_step, flush, "flush", "no"),
	CHOICE(STEP, lab_step, expect, "expect", "safe", lab_outcome_words),
	OPTION(STEP, TEXTS, lab_step, accept, "accept", ""),
	OPTION(STEP, TEXT, lab_step, strict, "strict", ""),
	OPTION(STEP, TEXTS, lab_step, report, "report", ""),
	OPTION(STEP, TEXTS, lab_step, notification, "notification", ""),
	OPTION(STEP, TEXT, lab_step, clock, "clock", ""),
	OPTION(STEP, TEXTS, lab_step, dialogue, "dialogue", ""),
	OPTION(STEP, TEXTS, lab_step, arrives, "arrives", ""),
	OPTION(STEP, TEXTS, lab_step, never, "never", ""),
	OPTION(STEP, TEXTS, lab_step, untouched, "untouched", ""),
	/* Its true default depends on expect: see the reader. */
	OPTION(STEP, BOOL, lab_step, no_clear_mail, "no-clear-mail", "no"),
};

const size_t lab_option_count = sizeof(lab_options) / sizeof(lab_options[0]);

int lab_word_index(const char *const *words, const char *word, size_t length)
{
	for (int i = 0; words[i] != NULL; i++)
		if (strlen(words[i]) == length &&
		    memcmp(words[i], word, length) == 0)
			return i;
	return -1;
}
