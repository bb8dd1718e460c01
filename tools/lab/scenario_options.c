/* SPDX-License-Identifier: ISC */
/*
 * The tables; see scenario.h for what each member means and postern-lab(7)
 * for the reader's side of it. Choices stand in the order of their enums.
 */
#include "tools/lab/scenario_options.h"

#include <string.h>

#include "tools/lab/scenario.h"

static const char *const signing_words[] = { "signed", "unsigned", "wrong-ds",
    "stripped", NULL };
static const char *const validity_words[] = { "valid", "expired", "future",
    NULL };
static const char *const denial_words[] = { "nsec", "nsec3", "nsec3-opt-out",
    NULL };
static const char *const issuer_words[] = { "ca", "self", "other", "private",
    NULL };
static const char *const tls_words[] = { "starttls", "implicit", "none",
    NULL };

const char *const lab_outcome_words[] = { "authenticated", "encrypted",
    "clear", "waiting", "deferred", "bounced", NULL };
const char *const lab_answer_words[] = { "true", "servfail", "refused",
    "formerr", "notimp", "nxdomain", "nodata", "silence", "truncated", NULL };
const char *const lab_stage_words[] = { "connect", "greeting", "ehlo",
    "starttls", "handshake", "secured", "mail", "rcpt", "data", "message",
    "quit", NULL };
const char *const lab_action_words[] = { "close", "reset", "stall", "garbage",
    "alert", NULL };
const char *const lab_path_words[] = { "", "strip", "mangle", "block", "reset",
    "refuse", "impostor", NULL };
const char *const lab_policy_fault_words[] = { "", "close", "reset", "stall",
    "drip", "short", "endless", "block", "refuse", NULL };

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

	OPTION(CERTIFICATE, TEXTS, lab_certificate, names, "names", ""),
	OPTION(CERTIFICATE, TEXT, lab_certificate, common_name, "common-name",
	    ""),
	CHOICE(CERTIFICATE, lab_certificate, issuer, "issuer", "ca",
	    issuer_words),
	CHOICE(CERTIFICATE, lab_certificate, validity, "validity", "valid",
	    validity_words),
	OPTION(CERTIFICATE, BOOL, lab_certificate, intermediate,
	    "intermediate", "no"),
	OPTION(CERTIFICATE, BOOL, lab_certificate, send_chain, "send-chain",
	    "yes"),

	OPTION(HOST, TEXTS, lab_host, addresses, "addresses", ""),
	OPTION(HOST, NUMBER, lab_host, port, "port", "25"),
	OPTION(HOST, TEXT, lab_host, certificate, "certificate", ""),
	OPTION(HOST, TEXTS, lab_host, sni, "sni", ""),
	CHOICE(HOST, lab_host, tls, "tls", "starttls", tls_words),
	OPTION(HOST, TEXTS, lab_host, behaviour, "behaviour", ""),
	OPTION(HOST, TEXT, lab_host, path, "path", ""),

	OPTION(POLICY, TEXT, lab_policy, address, "address", ""),
	OPTION(POLICY, TEXT, lab_policy, certificate, "certificate", ""),
	OPTION(POLICY, LINES, lab_policy, body, "body", ""),
	OPTION(POLICY, NUMBER, lab_policy, status, "status", "200"),
	OPTION(POLICY, TEXT, lab_policy, type, "type", "text/plain"),
	OPTION(POLICY, TEXTS, lab_policy, headers, "headers", ""),
	OPTION(POLICY, TEXT, lab_policy, fault, "fault", ""),

	OPTION(TOP, PROSE, lab_scenario, title, "title", NULL),
	OPTION(TOP, TEXTS, lab_scenario, clauses, "clauses", ""),
	OPTION(TOP, PROSE, lab_scenario, text, "text", ""),

	OPTION(SENDER, TEXT, lab_sender, level, "level", ""),
	OPTION(SENDER, TEXT, lab_sender, no_starttls, "no-starttls", ""),
	OPTION(SENDER, TEXT, lab_sender, broken_tls, "broken-tls", ""),
	OPTION(SENDER, TEXTS, lab_sender, routes, "routes", ""),

	OPTION(STEP, TEXTS, lab_step, faults, "faults", ""),
	OPTION(STEP, TEXT, lab_step, to, "to", ""),
	OPTION(STEP, NUMBER, lab_step, after, "after", "0"),
	OPTION(STEP, BOOL, lab_step, flush, "flush", "no"),
	CHOICE(STEP, lab_step, expect, "expect", NULL, lab_outcome_words),
	OPTION(STEP, TEXTS, lab_step, accept, "accept", ""),
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
