/* SPDX-License-Identifier: ISC */
/*
 * Handshakes of both sides, and what is done to records. Where bytes must not
 * leave as OpenSSL makes them, it writes into memory, and we to the socket.
 */
#include "tools/lab/actors_link.h"

#include <errno.h>
#include <openssl/err.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "tools/lab/actors_link_private.h"

/* RFC 8446 6, and those that only RFC 5246 7.2 and its forerunners have. */
static const struct {
	const char	*name;
	uint8_t		 code;
} alerts[] = {
	{ "close_notify", 0 },
	{ "unexpected_message", 10 },
	{ "bad_record_mac", 20 },
	{ "decryption_failed", 21 },
	{ "record_overflow", 22 },
	{ "decompression_failure", 30 },
	{ "handshake_failure", 40 },
	{ "no_certificate", 41 },
	{ "bad_certificate", 42 },
	{ "unsupported_certificate", 43 },
	{ "certificate_revoked", 44 },
	{ "certificate_expired", 45 },
	{ "certificate_unknown", 46 },
	{ "illegal_parameter", 47 },
	{ "unknown_ca", 48 },
	{ "access_denied", 49 },
	{ "decode_error", 50 },
	{ "decrypt_error", 51 },
	{ "export_restriction", 60 },
	{ "protocol_version", 70 },
	{ "insufficient_security", 71 },
	{ "internal_error", 80 },
	{ "inappropriate_fallback", 86 },	/* RFC 7507 */
	{ "user_canceled", 90 },
	{ "no_renegotiation", 100 },
	{ "missing_extension", 109 },
	{ "unsupported_extension", 110 },
	{ "certificate_unobtainable", 111 },	/* RFC 6066 */
	{ "unrecognized_name", 112 },
	{ "bad_certificate_status_response", 113 },
	{ "bad_certificate_hash_value", 114 },	/* RFC 6066 */
	{ "unknown_psk_identity", 115 },
	{ "certificate_required", 116 },
	{ "no_application_protocol", 120 }
};

/* The code of a fatal alert, or -1. */
static int alert_code(const char *name, size_t length)
{
	size_t i;

	for (i = 0; i < sizeof(alerts) / sizeof(alerts[0]); i++)
		if (strlen(alerts[i].name) == length &&
		    memcmp(alerts[i].name, name, length) == 0)
			return alerts[i].code;
	return -1;
}

bool lab_link_knows_alert(const char *name, size_t length)
{
	return alert_code(name, length) != -1;
}

int lab_link_alert(struct lab_link *link, const char *name)
{
	int code = alert_code(name, strlen(name));
	/* A record of TLS 1.2, as all later ones call themselves. */
	unsigned char record[] = { 21, 3, 3, 0, 2, 2, (unsigned char)code };

	return code == -1 ? -1 : lab_link_write_raw(link, record,
	    sizeof(record));
}

/* --- handshakes --- */

/* Refuses every certificate: only its absence is expected. */
static int accept_none(int good, X509_STORE_CTX *store)
{
	(void)good;
	(void)store;
	return 0;
}

static int start(struct lab_link *link, SSL_CTX *context)
{
	if (link->fd == -1)
		return -1;
	if (link->ssl != NULL)
		return lab_link_fail(link, "TLS inside of TLS");
	link->ssl = SSL_new(context);
	if (link->ssl == NULL || SSL_set_fd(link->ssl, link->fd) != 1)
		fatal("lab-tls", log_text("failed", "SSL_new"));
	link->leftovers.possible = false;
	return 0;
}

static int shake_hands(struct lab_link *link)
{
	int64_t deadline = lab_link_deadline(link, LAB_WAIT_MS);
	int result, next = 1;

	while (next == 1) {
		errno = 0;
		result = SSL_do_handshake(link->ssl);
		if (result == 1)
			return 0;
		next = lab_link_settle_tls(link, result, deadline);
	}
	return next == 0 ? lab_link_fail(link, "closed in the middle") : -1;
}

int lab_link_secure(struct lab_link *link, SSL_CTX *context,
    bool demand_certificate)
{
	if (start(link, context) == -1)
		return -1;
	if (demand_certificate)
		SSL_set_verify(link->ssl, SSL_VERIFY_PEER |
		    SSL_VERIFY_FAIL_IF_NO_PEER_CERT, accept_none);
	SSL_set_accept_state(link->ssl);
	return shake_hands(link);
}

static SSL_CTX *client_context(struct lab_link *link,
    const struct lab_tls_request *request)
{
	SSL_CTX *context = SSL_CTX_new(TLS_client_method());

	if (context == NULL)
		fatal("lab-tls", log_text("failed", "SSL_CTX_new"));
	lab_link_log_keys(context);
	SSL_CTX_set_security_level(context, 0);
	SSL_CTX_set_mode(context, SSL_MODE_AUTO_RETRY);
	SSL_CTX_set_verify(context, SSL_VERIFY_NONE, NULL);
	SSL_CTX_set_options(context, SSL_OP_LEGACY_SERVER_CONNECT);
	if (request->least != 0)
		SSL_CTX_set_min_proto_version(context, request->least);
	if (request->most != 0)
		SSL_CTX_set_max_proto_version(context, request->most);
	if (request->ciphers == NULL ||
	    lab_link_set_ciphers(context, request->ciphers, link->problem,
	    sizeof(link->problem)) == 0)
		return context;
	SSL_CTX_free(context);
	return NULL;
}

int lab_link_secure_client(struct lab_link *link,
    const struct lab_tls_request *request)
{
	SSL_CTX *context = client_context(link, request);
	int result;

	if (context == NULL)
		return -1;
	result = start(link, context);
	SSL_CTX_free(context);
	if (result == -1)
		return -1;
	SSL_set_connect_state(link->ssl);
	if ((request->name != NULL && SSL_set_tlsext_host_name(link->ssl,
	    request->name) != 1) || (request->session != NULL &&
	    SSL_set_session(link->ssl, request->session) != 1)) {
		ERR_clear_error();
		return lab_link_fail(link, "OpenSSL takes neither such a "
		    "name nor such a session");
	}
	return shake_hands(link);
}

/* --- bytes that OpenSSL made and we send --- */

/* What it writes from now on goes to memory, which it owns. */
static BIO *divert(SSL *ssl)
{
	BIO *memory = BIO_new(BIO_s_mem());

	if (memory == NULL)
		fatal("lab-tls", log_text("failed", "BIO_new"));
	SSL_set0_wbio(ssl, memory);
	return memory;
}

/* A HelloRetryRequest is no flight of a handshake that goes on: in TLS 1.3 the
 * server's first one ends with its Finished. */
static bool is_first_flight(const SSL *ssl)
{
	char byte;

	return SSL_version(ssl) != TLS1_3_VERSION ||
	    SSL_get_finished(ssl, &byte, sizeof(byte)) > 0;
}

/* Until the flight is in memory; its bytes there, or -1. */
static long make_flight(struct lab_link *link, BIO *memory)
{
	int64_t deadline = lab_link_deadline(link, LAB_WAIT_MS);
	int result, reason, next = 1;
	char *bytes;
	long length;

	while (next == 1) {
		errno = 0;
		result = SSL_accept(link->ssl);
		reason = errno;
		length = BIO_get_mem_data(memory, &bytes);
		if (length > 0 && (result == 1 || SSL_want_read(link->ssl)) &&
		    is_first_flight(link->ssl))
			return length;
		/* A request for another hello, or the alert of a failure. */
		if (length > 0 && lab_link_write_raw(link, bytes,
		    (size_t)length) == -1)
			return -1;
		BIO_reset(memory);
		errno = reason;
		next = lab_link_settle_tls(link, result, deadline);
	}
	return next == 0 ? lab_link_fail(link, "closed in the middle") : -1;
}

int lab_link_secure_half(struct lab_link *link, SSL_CTX *context)
{
	int result = -1;
	BIO *memory;
	char *bytes;
	long length;

	if (start(link, context) == -1)
		return -1;
	SSL_set_accept_state(link->ssl);
	memory = divert(link->ssl);
	length = make_flight(link, memory);
	if (length > 1) {
		BIO_get_mem_data(memory, &bytes);
		result = lab_link_write_raw(link, bytes, (size_t)length / 2);
	}
	lab_link_free_tls(link);
	return result;
}

void lab_link_corrupt(struct lab_link *link)
{
	static const char text[] = "250 2.0.0 nobody can have read this\r\n";
	char *bytes;
	BIO *memory;
	long length;

	if (link->fd != -1 && link->ssl != NULL &&
	    SSL_is_init_finished(link->ssl)) {
		memory = divert(link->ssl);
		SSL_write(link->ssl, text, sizeof(text) - 1);
		ERR_clear_error();
		length = BIO_get_mem_data(memory, &bytes);
		/* The last byte: of the tag, or of what the MAC covers. */
		if (length > 0) {
			bytes[length - 1] ^= 1;
			lab_link_write_raw(link, bytes, (size_t)length);
		}
	}
	lab_link_cut(link);
}

int lab_link_unwrap(struct lab_link *link)
{
	int result;

	if (link->fd == -1 || link->ssl == NULL ||
	    !SSL_is_init_finished(link->ssl) || link->problem[0] != '\0')
		return -1;
	result = SSL_shutdown(link->ssl);
	ERR_clear_error();
	if (result < 0)
		return lab_link_fail(link, "TLS cannot be ended");
	lab_link_free_tls(link);
	link->leftovers = (struct lab_leftovers){ .possible = result == 0 };
	return 0;
}
