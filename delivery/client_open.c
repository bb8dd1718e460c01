/* SPDX-License-Identifier: ISC */
/*
 * From connect to the point where mail may be said (TLS-47):
 *
 *	greeting, EHLO, [STARTTLS, handshake, EHLO]
 *	handshake, greeting, EHLO		(implicit TLS, RFC 8314 3)
 *
 * and AUTH behind it, where there is somebody to log in as. LMTP says LHLO.
 *
 * The rule of this file: when the plan wants TLS, nothing that is said in
 * clear can do more than make this host fail for now. No reply before TLS is
 * permanent, and none leads to MAIL.
 */
#include "delivery/client_private.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/stream.h"
#include "base/tls.h"
#include "conf/conf.h"
#include "delivery/delivery_log.h"
#include "delivery/profile.h"

/* TLS is to be tried on this connection. */
static bool wants_tls(const struct client *client)
{
	return client->requirement != REQUIRE_CLEAR && !client->clear_only;
}

/* Mail may go in clear if no TLS is to be had. */
static bool allows_missing(const struct client *client)
{
	return !wants_tls(client) || client->need->clear_if_missing;
}

void client_become_ready(struct client *client)
{
	/* REQ-37; and a plan that asks for it without asking who is there is
	 * no plan. */
	if (client_demands_requiretls(client) &&
	    !client_takes_requiretls(client)) {
		client_fail_tls(client, SYMPTOM_NO_REQUIRETLS, NULL);
		return;
	}
	client->need = NULL;
	client->usable = true;
	client_enter(client, CLIENT_STATE_READY);
	stream_deadline(client->stream, 0);
	client_report(client, CLIENT_READY);
}

static void finish_opening(struct client *client)
{
	if (client_wants_login(client))
		client_log_in(client);
	else
		client_become_ready(client);
}

/* The host refuses us as a whole: the next one may be better (SMTP-163). */
static void fail_host(struct client *client)
{
	struct status status;

	client_status_host(client, &status);
	client_fail(client, &status);
}

/* --- sending --- */

static void send_hello(struct client *client, const char *verb)
{
	buf_print(&client->command, "%s %s", verb, client->identity.hello);
	client_write_command(client);
}

void step_send_ehlo(struct client *client)
{
	send_hello(client, client->identity.lmtp ? "LHLO" : "EHLO");
}

void step_send_helo(struct client *client)
{
	send_hello(client, "HELO");
}

void step_send_starttls(struct client *client)
{
	buf_add_string(&client->command, "STARTTLS");
	client_write_command(client);
}

/* --- replies --- */

void step_on_greeting(struct client *client)
{
	if (answer_class(&client->reply) == 2)
		client_say(client, STEP_EHLO);
	else
		fail_host(client);
}

/* Clear is allowed where there is no TLS, and there is none. */
static void note_missing(struct client *client, enum symptom symptom)
{
	client->seen.symptom = symptom;
	client->tls_is_hopeless = symptom_is_lasting(symptom);
}

/* EHLO was answered in clear, and TLS is wanted. */
static void try_tls(struct client *client)
{
	enum symptom symptom = SYMPTOM_ABSENT;

	if (client->capability.starttls) {
		client_say(client, STEP_STARTTLS);
		return;
	}
	if (client->capability.starttls_mangled)
		symptom = SYMPTOM_MANGLED;
	if (!allows_missing(client)) {
		client_fail_tls(client, symptom, NULL);
		return;
	}
	note_missing(client, symptom);
	if (symptom == SYMPTOM_MANGLED)
		delivery_log_symptom(client, symptom, NULL);
	finish_opening(client);
}

void client_describe_reply(struct client *client, char *out, size_t size)
{
	snprintf(out, size, "%d %.380s", client->reply.code,
	    answer_text(&client->reply));
	for (; *out != '\0'; out++)
		if (*out == '\n')
			*out = out[1] == '\0' ? '\0' : ' ';
}

/* EHLO was refused. HELO leads to clear, so it is for those who may (TLS-48);
 * under TLS there is no sense in it. */
static void without_ehlo(struct client *client)
{
	char seen[400];
	bool secure = stream_is_secure(client->stream);

	/* A server without EHLO has no REQUIRETLS: REQ-34. */
	if (answer_class(&client->reply) != 5 || client->identity.lmtp ||
	    (secure && !client_demands_requiretls(client))) {
		fail_host(client);
		return;
	}
	if (!secure && allows_missing(client)) {
		if (wants_tls(client)) {
			note_missing(client, SYMPTOM_NO_EHLO);
			delivery_log_symptom(client, SYMPTOM_NO_EHLO, NULL);
		}
		client_say(client, STEP_HELO);
		return;
	}
	client_describe_reply(client, seen, sizeof(seen));
	client_fail_tls(client, secure ? SYMPTOM_NO_REQUIRETLS :
	    SYMPTOM_NO_EHLO, seen);
}

void step_on_ehlo(struct client *client)
{
	if (answer_class(&client->reply) != 2) {
		without_ehlo(client);
		return;
	}
	/* A greeting behind STARTTLS is not ours to hear: somebody joined two
	 * connections (I-30). */
	if (client->reply.code != 250) {
		client_break_odd(client);
		return;
	}
	capability_read(&client->capability, &client->reply);
	if (!stream_is_secure(client->stream))
		capability_words(&client->reply, client->seen.keywords,
		    sizeof(client->seen.keywords));
	if (wants_tls(client) && !stream_is_secure(client->stream))
		try_tls(client);
	else
		finish_opening(client);
}

void step_on_helo(struct client *client)
{
	capability_reset(&client->capability);
	if (answer_class(&client->reply) == 2)
		finish_opening(client);
	else
		fail_host(client);
}

/* The usable TLSA records in the form of base/tls.h; owned by the caller, but
 * for the data. */
static struct tls_tlsa *make_records(const struct plan_host *host)
{
	struct tls_tlsa *records = mem_alloc_array(host->tlsa_count + 1,
	    sizeof(*records));
	size_t i;

	for (i = 0; i < host->tlsa_count; i++)
		records[i] = (struct tls_tlsa){
		    .usage = host->tlsa[i].usage,
		    .selector = host->tlsa[i].selector,
		    .matching = host->tlsa[i].matching,
		    .data = host->tlsa[i].data,
		    .length = host->tlsa[i].length };
	return records;
}

/* The check is the requirement's, or the ideal's: sni, names and records are
 * for the stronger of the two. */
static void start_handshake(struct client *client)
{
	const struct plan *plan = client->need->plan;
	const struct plan_host *host = client->need->host;
	enum tls_check check = client->check;
	struct tls_tlsa *records = NULL;
	struct tls_expect expect = { .check = check,
	    .identity = client->identity.certificate,
	    .sni = host->sni[0] == '\0' ? NULL : host->sni };

	if (check == TLS_CHECK_NAME || check == TLS_CHECK_DANE) {
		expect.names = (const char *const *)host->names;
		expect.name_count = host->name_count;
	}
	if (check == TLS_CHECK_FINGERPRINT) {
		expect.fingerprints =
		    (const uint8_t (*)[DIGEST_BYTES])plan->fingerprints;
		expect.fingerprint_count = plan->fingerprint_count;
	}
	if (check == TLS_CHECK_DANE) {
		records = make_records(host);
		expect.tlsa = records;
		expect.tlsa_count = host->tlsa_count;
		expect.also_name = host->also_name ? host->name : NULL;
		expect.note_name = host->note_name ? host->name : NULL;
		expect.ee_names = client_demands_requiretls(client) &&
		    client->profile->conf->requiretls_dane_ee ==
		    REQUIRETLS_DANE_NAME_TOO;
	}
	client_enter(client, CLIENT_STATE_SECURING);
	client->answered = false;
	stream_deadline(client->stream,
	    client->profile->conf->handshake_timeout * 1000);
	stream_secure_client(client->stream, client->profile->tls[check],
	    &expect);
	mem_free(records);
}

void client_on_connected(struct client *client)
{
	client_enter(client, CLIENT_STATE_OPENING);
	/* RFC 8314 3: no byte in clear, whatever the plan allows elsewhere
	 * (N-25, N-26). */
	if (client->implicit_tls)
		start_handshake(client);
	else
		client_say(client, STEP_GREETING);
}

/* Only 220 begins TLS (RFC 3207 4): after anything else a handshake would meet
 * somebody who goes on in clear (N-07). */
static enum symptom refusal_of(const struct client *client)
{
	if (client->reply.code == 421)
		return SYMPTOM_CLOSING;
	switch (answer_class(&client->reply)) {
	case 4: return SYMPTOM_REFUSED_FOR_NOW;
	case 5: return SYMPTOM_REFUSED;
	default: return SYMPTOM_ODD_ANSWER;
	}
}

void step_on_starttls(struct client *client)
{
	char seen[400];

	if (client->reply.code != 220) {
		client_describe_reply(client, seen, sizeof(seen));
		snprintf(client->seen.reply, sizeof(client->seen.reply),
		    "%.199s", seen);
		client_fail_tls(client, refusal_of(client), seen);
		return;
	}
	/* TLS-28: who else could have put bytes behind this reply? */
	if (buf_length(stream_input(client->stream)) > 0) {
		client_enter(client, CLIENT_STATE_SECURING);
		client_fail_tls(client, SYMPTOM_INJECTION, NULL);
		return;
	}
	/* TLS-25, TLS-31, TLS-32: what was learned so far is void. */
	capability_reset(&client->capability);
	answer_reset(&client->reply);
	client->receiving.step = STEP_NONE;
	start_handshake(client);
}

void client_on_secured(struct client *client)
{
	const struct tls_facts *facts = stream_facts(client->stream);

	client->was_secure = true;
	client_keep_facts(client, facts);
	snprintf(client->tls_text, sizeof(client->tls_text), "%.15s %.50s",
	    facts->version, facts->cipher);
	if (strcmp(facts->version, "TLSv1.2") != 0 &&
	    strcmp(facts->version, "TLSv1.3") != 0) {
		client_fail_tls(client, SYMPTOM_OLD_TLS, facts->version);
		return;
	}
	if (client->check != TLS_CHECK_NONE && !client->seen.ideal &&
	    !facts->verified) {
		client_fail_tls(client, SYMPTOM_CERTIFICATE, facts->problem);
		return;
	}
	client->was_accepted = true;
	if (client->seen.ideal)
		delivery_log_ideal(client);
	else if (facts->noted[0] != '\0')
		delivery_log_noted(client, facts->noted);
	log_debug("tls-accepted", log_session(client->id),
	    log_text("tls", client_tls_name(client)),
	    log_text("name", facts->matched_name),
	    log_text("tlsa", facts->matched_tlsa));
	client_enter(client, CLIENT_STATE_OPENING);
	client_say(client, client->implicit_tls ? STEP_GREETING : STEP_EHLO);
}
