/* SPDX-License-Identifier: ISC */
/*
 * TLS of a mail host: a context for each certificate it may show, which of
 * them is shown to whom, and the handshake with what a section puts in its
 * place.
 */
#include "tools/lab/mail_host_private.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "tools/lab/certificate.h"
#include "tools/lab/event.h"
#include "tools/lab/scenario.h"

/* --- whose certificate --- */

static SSL_CTX *find_context(const struct lab_mail_host *host,
    const char *name)
{
	size_t i;

	for (i = 0; name != NULL && i < host->host->sni.count; i++) {
		const char *item = host->host->sni.items[i];
		size_t length = strcspn(item, " \t");

		if (strncasecmp(item, name, length) == 0 &&
		    name[length] == '\0')
			return host->by_name[i];
	}
	return NULL;
}

static int on_servername(SSL *ssl, int *problem, void *arg)
{
	const struct lab_mail_host *host = arg;
	const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
	SSL_CTX *context = find_context(host, name);

	if (context != NULL) {
		SSL_set_SSL_CTX(ssl, context);
		return SSL_TLSEXT_ERR_OK;
	}
	*problem = SSL_AD_UNRECOGNIZED_NAME;
	if (host->host->unknown_name == LAB_NAME_ALERT)
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	if (host->host->unknown_name == LAB_NAME_WARNED)
		return SSL_TLSEXT_ERR_ALERT_WARNING;
	/* Whoever asks for another name gets what there is: RFC 8461 7.1. */
	return name != NULL ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_NOACK;
}

/* Null with a sentence; the empty name is no certificate. */
static SSL_CTX *context_for(const struct lab_mail_host *host,
    const struct lab_identities *identities, const char *name, char *error,
    size_t size)
{
	const struct lab_host *of = host->host;
	const struct lab_tls_manner manner = {
		.versions = of->versions.count > 0 ? &of->versions : NULL,
		.ciphers = of->ciphers, .tickets = of->tickets,
		.client = of->client_certificate };
	const struct lab_identity *identity = NULL;
	char reason[160] = "";
	SSL_CTX *context;

	if (*name != '\0') {
		identity = lab_identity_find(identities, name);
		if (identity == NULL) {
			snprintf(error, size, "host %s: no certificate %s",
			    of->name, name);
			return NULL;
		}
		if (host->part != LAB_PART_TRUE)
			identity = &identities->impostors[identity -
			    identities->items];
	}
	context = lab_link_context(identity, &manner, reason, sizeof(reason));
	if (context == NULL)
		snprintf(error, size, "host %s: %s", of->name, reason);
	return context;
}

int lab_mail_host_prepare(struct lab_mail_host *host,
    const struct lab_identities *identities, char *error, size_t size)
{
	const struct lab_host *of = host->host;
	size_t i;

	host->context = context_for(host, identities, of->certificate, error,
	    size);
	if (host->context == NULL)
		return -1;
	SSL_CTX_set_tlsext_servername_callback(host->context, on_servername);
	SSL_CTX_set_tlsext_servername_arg(host->context, host);
	host->by_name = mem_alloc_array(of->sni.count,
	    sizeof(*host->by_name));
	for (i = 0; i < of->sni.count; i++) {
		const char *item = of->sni.items[i];
		const char *name = item + strcspn(item, " \t");

		name += strspn(name, " \t");
		host->by_name[i] = context_for(host, identities, name, error,
		    size);
		if (host->by_name[i] == NULL)
			return -1;
	}
	return 0;
}

/* --- the handshake --- */

/* problem: null when it worked. */
static void tell_handshake(const struct lab_session *session,
    const char *problem)
{
	SSL *ssl = session->link.ssl;
	json_t *members = json_object();
	const char *name = ssl != NULL ? SSL_get_servername(ssl,
	    TLSEXT_NAMETYPE_host_name) : NULL;

	json_object_set_new(members, "sni", name != NULL ?
	    lab_event_bytes(name, strlen(name)) : json_null());
	if (problem == NULL) {
		json_object_set_new(members, "version",
		    json_string(SSL_get_version(ssl)));
		json_object_set_new(members, "cipher",
		    json_string(SSL_get_cipher_name(ssl)));
		json_object_set_new(members, "resumed",
		    json_boolean(SSL_session_reused(ssl)));
	} else {
		json_object_set_new(members, "problem",
		    lab_event_bytes(problem, strlen(problem)));
	}
	lab_event(session->name, "handshake", members);
}

/* In place of the handshake, or of the rest of it; in clear. */
static void spoil_handshake(struct lab_session *session,
    const struct lab_action *action)
{
	char problem[160];

	snprintf(problem, sizeof(problem), "by the scenario: %.100s",
	    action->words);
	tell_handshake(session, problem);
	lab_session_perform(session, action, "");
	session->cause = action->words;
	lab_link_cut(&session->link);
	session->over = true;
}

/* The client's first bytes are taken, or else the end that is meant to be
 * orderly would be a reset. */
static void spoil_answer(struct lab_session *session,
    const struct lab_action *action)
{
	char hello[4096];

	lab_link_await(&session->link);
	if (action->act != LAB_ACT_STALL)
		lab_link_read(&session->link, hello, sizeof(hello));
	spoil_handshake(session, action);
}

void lab_session_start_tls(struct lab_session *session)
{
	const struct lab_action *answer = lab_session_action(session,
	    LAB_STAGE_HANDSHAKE);
	const struct lab_action *flight = lab_session_action(session,
	    LAB_STAGE_FLIGHT);
	const struct lab_action *after = lab_session_action(session,
	    LAB_STAGE_SECURED);
	struct lab_link *link = &session->link;
	SSL_CTX *context = session->host->context;
	bool late_alert = after != NULL && after->act == LAB_ACT_ALERT &&
	    *after->alert == '\0';

	if (answer != NULL) {
		spoil_answer(session, answer);
	} else if (flight != NULL && lab_link_secure_half(link, context) ==
	    0) {
		spoil_handshake(session, flight);
	} else if (flight != NULL || lab_link_secure(link, context,
	    late_alert) == -1) {
		session->over = true;
		tell_handshake(session, link->problem);
	} else {
		tell_handshake(session, NULL);
	}
}
