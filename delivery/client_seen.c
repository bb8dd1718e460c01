/* SPDX-License-Identifier: ISC */
/*
 * What a host showed against what the plan asks of it: which check a handshake
 * makes, the words of a status when TLS was not as it must be (the host, what
 * was expected and by whom, what was seen: STS-81), and the figures that
 * outlive the connection, for observations.
 */
#include "delivery/client_private.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/log.h"
#include "base/tls.h"
#include "delivery/profile.h"

enum tls_check client_check_of(enum requirement requirement)
{
	switch (requirement) {
	case REQUIRE_NAME: return TLS_CHECK_NAME;
	case REQUIRE_FINGERPRINT: return TLS_CHECK_FINGERPRINT;
	case REQUIRE_DANE: return TLS_CHECK_DANE;
	case REQUIRE_CLEAR:	/* implicit TLS: the least it can be */
	case REQUIRE_OPPORTUNISTIC:
	case REQUIRE_ENCRYPTED: return TLS_CHECK_NONE;
	default: bug("client-check");
	}
}

bool client_tells_ideal(const struct plan_host *host)
{
	if (host->ideal <= host->requirement ||
	    client_check_of(host->requirement) != TLS_CHECK_NONE)
		return false;
	/* A plan without anything to compare with has no ideal to tell. */
	switch (client_check_of(host->ideal)) {
	case TLS_CHECK_NAME: return host->name_count > 0;
	case TLS_CHECK_DANE:
		return host->name_count > 0 && host->tlsa_count > 0;
	default: return false;
	}
}

/* --- in words --- */

static void describe_tls(const struct client *client, char *out, size_t size)
{
	const struct plan_host *host = client->need->host;

	if (client->implicit_tls &&
	    client->requirement == REQUIRE_OPPORTUNISTIC) {
		snprintf(out, size, "TLS from the first byte");
		return;
	}
	switch (client->requirement) {
	case REQUIRE_OPPORTUNISTIC:
		snprintf(out, size, "TLS (clear is not allowed now)");
		break;
	case REQUIRE_CLEAR:	/* implicit TLS: the port wants it */
	case REQUIRE_ENCRYPTED:
		snprintf(out, size, "TLS");
		break;
	case REQUIRE_NAME:
		snprintf(out, size, "TLS with a certificate for %.253s%s",
		    host->name_count > 0 ? host->names[0] : "nobody",
		    host->name_count > 1 ? " or another accepted name" : "");
		break;
	case REQUIRE_DANE:
		snprintf(out, size, "TLS with a certificate that a TLSA record "
		    "of %.253s confirms%s", host->names[0], host->also_name ?
		    ", valid for the host's own name, too" : "");
		break;
	case REQUIRE_FINGERPRINT:
		snprintf(out, size, "TLS with a pinned certificate or key");
		break;
	default:
		bug("client-need");
	}
}

/* Who asks for it, where the words above do not say that already. */
static void describe_source(const struct client *client, char *out,
    size_t size)
{
	const char *domain = client->need->plan->next_hop;

	out[0] = '\0';
	switch (client->source) {
	case SOURCE_STS:
		snprintf(out, size, " (MTA-STS policy of %.253s)", domain);
		break;
	case SOURCE_MEMORY:
		snprintf(out, size, " (which was always there before)");
		break;
	case SOURCE_PIN:
		snprintf(out, size, " (pinned for %.253s)", domain);
		break;
	case SOURCE_DANE:
		/* TLSA records, and none of them can be used (DANE-76) */
		if (client->requirement == REQUIRE_ENCRYPTED)
			snprintf(out, size, " (there are TLSA records)");
		break;
	default:
		break;
	}
}

/* A record matches, and the certificate does not hold for the web's authorities
 * or the host's name: that is the policy's affair (sts-with-dane = both). */
static enum plan_source missed_source(const struct client *client)
{
	return client->need->host->also_name && client->seen.tlsa_matched ?
	    SOURCE_STS : client->source;
}

void client_status_tls(const struct client *client, struct status *status)
{
	const struct client_seen *seen = &client->seen;
	bool demanded = client_demands_requiretls(client);
	bool returned = demanded && client->failure.lasting;
	char needed[400], source[320], address[ENDPOINT_TEXT_MAX];

	describe_tls(client, needed, sizeof(needed));
	describe_source(client, source, sizeof(source));
	endpoint_format(&client->address, address, sizeof(address));
	status_print(status, returned ? STATUS_FAILED : STATUS_DEFERRED,
	    returned ? REASON_REQUIRETLS :
	    symptom_reason(seen->symptom, missed_source(client)),
	    !returned ? symptom_enhanced(seen->symptom) :
	    seen->symptom == SYMPTOM_NO_REQUIRETLS ? "5.7.30" : "5.7.10",
	    "%s[%s]: expected %s%s%s; seen: %s%s%s", client_host(client),
	    address, needed, source,
	    demanded ? " and REQUIRETLS, as the sender demands" : "",
	    symptom_text(seen->symptom), seen->detail[0] == '\0' ? "" : ": ",
	    seen->detail);
}

/* --- as figures --- */

/* Would the certificate hold by WebPKI for the host's name? Told where the
 * check that was made says so, unknown otherwise. */
static enum observed_web web_of(const struct client *client,
    const struct tls_facts *facts)
{
	const struct plan_host *host = client->need->host;

	if (client->check == TLS_CHECK_NONE ||
	    client->check == TLS_CHECK_FINGERPRINT ||
	    !tls_client_has_trust(client->profile->tls[client->check]))
		return WEB_UNKNOWN;
	if (client->check == TLS_CHECK_DANE) {
		if (!host->also_name && !host->note_name)
			return WEB_UNKNOWN;
		if (facts->note_met || (host->also_name && facts->verified))
			return WEB_VALID;
		/* Without a match the web was not asked. */
		return facts->matched_tlsa[0] == '\0' ? WEB_UNKNOWN :
		    WEB_INVALID;
	}
	if (facts->verdict == TLS_VERDICT_EXPIRED ||
	    facts->verdict == TLS_VERDICT_UNTRUSTED)
		return WEB_INVALID;
	/* Other names than its own say nothing about that one. */
	if (host->name_count != 1 ||
	    strcasecmp(host->names[0], host->name) != 0)
		return WEB_UNKNOWN;
	return facts->verified ? WEB_VALID : WEB_INVALID;
}

void client_keep_facts(struct client *client, const struct tls_facts *facts)
{
	struct client_seen *seen = &client->seen;
	size_t i;

	snprintf(seen->version, sizeof(seen->version), "%s", facts->version);
	snprintf(seen->cipher, sizeof(seen->cipher), "%s", facts->cipher);
	snprintf(seen->problem, sizeof(seen->problem), "%.159s",
	    facts->problem);
	seen->verified = facts->verified;
	seen->tlsa_matched = facts->matched_tlsa[0] != '\0';
	seen->verdict = facts->verdict;
	seen->web = web_of(client, facts);
	for (i = 0; i < facts->chain_count && i < OBSERVATION_CHAIN_MAX &&
	    i < TLS_CHAIN_MAX; i++)
		memcpy(seen->chain[i], facts->chain[i].certificate_digest,
		    DIGEST_BYTES);
	seen->chain_count = i;
}
