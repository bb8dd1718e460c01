/* SPDX-License-Identifier: ISC */
/*
 * Handshakes of the client, sessions and what may not be done with them. Which
 * failures are refusals of the server is decided here: a silence is none, and
 * what our own OpenSSL cannot do is none either.
 */
#include <errno.h>
#include <openssl/err.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "tools/lab/dialogue_private.h"
#include "tools/lab/event.h"

enum {
	HANDSHAKE_MS = 20000,
	LATE_ALERT_MS = 300,	/* of TLS 1.3: after the client's own end */
	EARLY_MAX = 512
};

#define MTA_NAME "mta.origin.example"

static const char *name_of(const struct lab_handshake *handshake)
{
	if (handshake->no_name)
		return NULL;
	return handshake->name[0] != '\0' ? handshake->name : MTA_NAME;
}

static void tell(const struct lab_client *client, const char *name)
{
	const SSL *ssl = client->link.ssl;

	if (client->link.problem[0] != '\0' || ssl == NULL)
		lab_event("client", "handshake", json_pack("{s:s, s:s?}",
		    "problem", client->link.problem, "sni", name));
	else
		lab_event("client", "handshake", json_pack("{s:s, s:s, s:s?, "
		    "s:b}", "version", SSL_get_version(ssl), "cipher",
		    SSL_get_cipher_name(ssl), "sni", name, "resumed",
		    SSL_session_reused((SSL *)(void *)ssl)));
}

/* --- early data --- */

/* The session as if the server had offered to take early data: RFC 8446 4.2.10
 * lets it refuse that, and SMTP has no use for it. Null: no such session. */
static SSL_SESSION *embolden(SSL_SESSION *kept)
{
	SSL_SESSION *session;

	if (kept == NULL || SSL_SESSION_get_protocol_version(kept) !=
	    TLS1_3_VERSION || !SSL_SESSION_is_resumable(kept))
		return NULL;
	session = SSL_SESSION_dup(kept);
	if (session == NULL || SSL_SESSION_set_max_early_data(session,
	    EARLY_MAX) != 1)
		fatal("lab-tls", log_text("failed", "SSL_SESSION_dup"));
	return session;
}

static int write_early(struct lab_link *link, int64_t deadline)
{
	static const char command[] = "NOOP\r\n";
	size_t written;
	int result, next = 1;

	while (next == 1) {
		errno = 0;
		result = SSL_write_early_data(link->ssl, command,
		    sizeof(command) - 1, &written);
		if (result == 1)
			return 0;
		next = lab_link_settle_tls(link, result, deadline);
	}
	return -1;
}

static int secure_early(struct lab_link *link, const char *name,
    SSL_SESSION *session)
{
	SSL_CTX *context = SSL_CTX_new(TLS_client_method());
	int64_t deadline = lab_link_deadline(link, HANDSHAKE_MS);
	int result, next = 1;

	if (context != NULL)
		lab_link_log_keys(context);
	link->ssl = context != NULL ? SSL_new(context) : NULL;
	if (link->ssl == NULL || SSL_set_fd(link->ssl, link->fd) != 1 ||
	    SSL_set_session(link->ssl, session) != 1)
		fatal("lab-tls", log_text("failed", "SSL_new"));
	SSL_CTX_free(context);
	if (name != NULL)
		SSL_set_tlsext_host_name(link->ssl, name);
	SSL_set_connect_state(link->ssl);
	if (write_early(link, deadline) == -1)
		return -1;
	while (next == 1) {
		errno = 0;
		result = SSL_do_handshake(link->ssl);
		if (result == 1)
			return 0;
		next = lab_link_settle_tls(link, result, deadline);
	}
	return next == 0 ? lab_link_fail(link, "closed in the middle") : -1;
}

/* --- handshakes --- */

/* Does our own OpenSSL know the words? */
static bool knows_ciphers(struct lab_client *client, const char *ciphers)
{
	SSL_CTX *context = SSL_CTX_new(TLS_client_method());
	char error[200];
	bool known;

	if (context == NULL)
		fatal("lab-tls", log_text("failed", "SSL_CTX_new"));
	SSL_CTX_set_security_level(context, 0);
	known = lab_link_set_ciphers(context, ciphers, error,
	    sizeof(error)) == 0;
	SSL_CTX_free(context);
	if (!known)
		lab_client_say(client, LAB_MOVE_UNSERVED, "the lab's own "
		    "client cannot: %s", error);
	return known;
}

static int shake_hands(struct lab_client *client,
    const struct lab_handshake *handshake)
{
	const char *name = name_of(handshake);
	const struct lab_tls_request request = { .name = name,
	    .least = handshake->version, .most = handshake->version,
	    .ciphers = handshake->ciphers[0] != '\0' ? handshake->ciphers :
	    NULL, .session = handshake->resume ? client->kept : NULL };
	SSL_SESSION *session = handshake->early ? embolden(client->kept) :
	    NULL;
	int result;

	lab_client_hurry(client, HANDSHAKE_MS);
	if (client->link.ssl != NULL)
		result = lab_link_fail(&client->link, "TLS inside of TLS");
	else if (session != NULL)
		result = secure_early(&client->link, name, session);
	else
		result = lab_link_secure_client(&client->link, &request);
	SSL_SESSION_free(session);
	tell(client, name);
	return result;
}

enum lab_move_end lab_client_secure(struct lab_client *client,
    const struct lab_handshake *handshake)
{
	if (handshake->ciphers[0] != '\0' &&
	    !knows_ciphers(client, handshake->ciphers))
		return LAB_MOVE_UNSERVED;
	if (shake_hands(client, handshake) == -1) {
		bool late = lab_client_is_late(client);

		return lab_client_say(client, handshake->may_fail && !late ?
		    LAB_MOVE_ENDS : LAB_MOVE_UNSERVED, "the handshake failed: "
		    "%s", late ? "it took too long" : client->link.problem);
	}
	if (handshake->early && SSL_get_early_data_status(client->link.ssl) ==
	    SSL_EARLY_DATA_ACCEPTED)
		return lab_client_say(client, LAB_MOVE_UNSAFE, "a command in "
		    "TLS 1.3 early data was taken, which anybody can send "
		    "again");
	return LAB_MOVE_HOLDS;
}

/* In TLS 1.3 a server's refusal may come when the client is done. */
static bool is_refused_late(struct lab_client *client)
{
	char data[4096];
	ssize_t got;

	lab_client_hurry(client, LATE_ALERT_MS);
	got = lab_link_read(&client->link, data, sizeof(data));
	return got <= 0 && !lab_client_is_late(client);
}

enum lab_move_end lab_client_insecure(struct lab_client *client,
    const struct lab_handshake *handshake)
{
	if (handshake->ciphers[0] != '\0' &&
	    !knows_ciphers(client, handshake->ciphers))
		return LAB_MOVE_UNSERVED;
	if (shake_hands(client, handshake) == -1) {
		if (lab_client_is_late(client))
			return lab_client_say(client, LAB_MOVE_UNSERVED,
			    "the handshake was neither made nor refused in "
			    "%d seconds", HANDSHAKE_MS / 1000);
		return lab_client_say(client, LAB_MOVE_ENDS,
		    "the handshake was refused: %s", client->link.problem);
	}
	if (is_refused_late(client))
		return lab_client_say(client, LAB_MOVE_ENDS,
		    "the handshake was refused: %s", client->link.problem);
	return lab_client_say(client, LAB_MOVE_UNSAFE, "the handshake was "
	    "made: %s, %s", SSL_get_version(client->link.ssl),
	    SSL_get_cipher_name(client->link.ssl));
}

/* --- afterwards --- */

void lab_client_keep(struct lab_client *client)
{
	SSL_SESSION_free(client->kept);
	client->kept = client->link.ssl != NULL ?
	    SSL_get1_session(client->link.ssl) : NULL;
}

enum lab_move_end lab_client_fresh(struct lab_client *client)
{
	if (client->link.ssl == NULL ||
	    !SSL_session_reused(client->link.ssl))
		return LAB_MOVE_HOLDS;
	return lab_client_say(client, LAB_MOVE_UNSAFE, "the session of "
	    "another service was resumed");
}

/* TLS 1.2 always names authorities with the request, if only none. */
enum lab_move_end lab_client_unasked(struct lab_client *client)
{
	const SSL *ssl = client->link.ssl;

	if (ssl == NULL || SSL_version(ssl) >= TLS1_3_VERSION)
		return lab_client_say(client, LAB_MOVE_UNSERVED, "there is no "
		    "TLS 1.2, in which this can be seen");
	if (SSL_get0_peer_CA_list(ssl) == NULL)
		return LAB_MOVE_HOLDS;
	return lab_client_say(client, LAB_MOVE_UNSAFE, "the server asked for "
	    "a client certificate");
}

/*
 * RFC 5246 7.4.1.1, RFC 9325 3.5. A server that does not want it says so in a
 * warning (the client's OpenSSL makes an error of that) or ends the connection.
 */
enum lab_move_end lab_client_renegotiate(struct lab_client *client)
{
	SSL *ssl = client->link.ssl;
	int64_t deadline;
	int result, next = 1;

	if (ssl == NULL || SSL_version(ssl) >= TLS1_3_VERSION)
		return lab_client_say(client, LAB_MOVE_UNSERVED, "there is no "
		    "TLS 1.2 to be negotiated again");
	if (SSL_get_secure_renegotiation_support(ssl) != 1)
		return lab_client_say(client, LAB_MOVE_UNSAFE, "the server "
		    "does not bind renegotiation to the connection");
	lab_client_hurry(client, HANDSHAKE_MS);
	deadline = lab_link_deadline(&client->link, HANDSHAKE_MS);
	if (SSL_renegotiate(ssl) != 1)
		return lab_client_say(client, LAB_MOVE_UNSERVED, "the lab's "
		    "own client cannot renegotiate");
	while (next == 1) {
		errno = 0;
		result = SSL_do_handshake(ssl);
		if (result == 1)
			return lab_client_say(client, LAB_MOVE_UNSAFE,
			    "another handshake was made in the same "
			    "connection");
		next = lab_link_settle_tls(&client->link, result, deadline);
	}
	if (lab_client_is_late(client))
		return lab_client_say(client, LAB_MOVE_UNSERVED, "no answer "
		    "to the wish to negotiate again");
	return lab_client_say(client, LAB_MOVE_ENDS, "negotiating again was "
	    "refused: %s", client->link.problem);
}
