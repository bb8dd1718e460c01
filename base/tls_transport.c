/* SPDX-License-Identifier: ISC */
/*
 * Single system calls and single SSL_* calls, with their results sorted.
 * OpenSSL keeps errors in a queue of the thread, which must be empty before a
 * call whose result is to be understood.
 */
#include "base/tls_transport.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/log.h"
#include "base/loop.h"
#include "base/tls_session.h"

/* Above that TLS makes no more records before some have left. */
enum { HELD_MAX = 64 << 10 };

void transport_init(struct transport *transport, int fd)
{
	memset(transport, 0, sizeof *transport);
	transport->fd = fd;
	transport->read_wants = WATCH_READ;
	transport->write_wants = WATCH_WRITE;
	/* Twice what a write may begin with; bio_write() keeps to it. */
	buf_init(&transport->held, 2 * HELD_MAX + (32 << 10));
}

void transport_release(struct transport *transport)
{
	SSL_free(transport->ssl);
	transport->ssl = NULL;
	buf_release(&transport->held);
}

/* --- between TLS and the socket --- */

static int bio_read(BIO *bio, char *data, int room)
{
	struct transport *transport = BIO_get_data(bio);
	ssize_t got = recv(transport->fd, data, (size_t)room, 0);

	BIO_clear_retry_flags(bio);
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		BIO_set_retry_read(bio);
	transport->ended = got == 0;
	return (int)got;
}

/* What a peer can make TLS say without reading it is bounded here. */
static int bio_write(BIO *bio, const char *data, int length)
{
	struct transport *transport = BIO_get_data(bio);

	BIO_clear_retry_flags(bio);
	if (buf_length(&transport->held) < 2 * HELD_MAX &&
	    buf_add(&transport->held, data, (size_t)length) == 0)
		return length;
	BIO_set_retry_write(bio);
	return -1;
}

static long bio_control(BIO *bio, int command, long number, void *pointer)
{
	const struct transport *transport = BIO_get_data(bio);

	(void)number;
	(void)pointer;
	if (command == BIO_CTRL_EOF)
		return transport->ended;
	/* A flush is no hurry: transport_push() comes. */
	return command == BIO_CTRL_FLUSH || command == BIO_CTRL_DUP;
}

static const BIO_METHOD *bio_method(void)
{
	static BIO_METHOD *method;

	if (method != NULL)
		return method;
	method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK,
	    "postern");
	if (method == NULL || BIO_meth_set_read(method, bio_read) != 1 ||
	    BIO_meth_set_write(method, bio_write) != 1 ||
	    BIO_meth_set_ctrl(method, bio_control) != 1)
		fatal("tls-session");
	return method;
}

void transport_begin_tls(struct transport *transport, struct ssl_st *ssl)
{
	BIO *bio = BIO_new(bio_method());

	if (bio == NULL)
		fatal("tls-session");
	BIO_set_data(bio, transport);
	BIO_set_init(bio, 1);
	SSL_set_bio(ssl, bio, bio);
	SSL_set_read_ahead(ssl, 1);
	transport->ssl = ssl;
}

static void begin(void)
{
	ERR_clear_error();
	errno = 0;
}

bool transport_is_holding(const struct transport *transport)
{
	return buf_length(&transport->held) > 0;
}

/* With the flag the last bytes wait for the FIN, and leave with it. */
static ssize_t send_bytes(const struct transport *transport, const void *data,
    size_t length)
{
	ssize_t result;

	do
		result = send(transport->fd, data, length, MSG_NOSIGNAL |
		    (transport->is_last ? MSG_MORE : 0));
	while (result == -1 && errno == EINTR);
	return result;
}

static enum moved fail_errno(struct transport *transport, int error)
{
	transport->broken = true;
	transport->lost = true;
	snprintf(transport->problem, sizeof transport->problem, "%s",
	    strerror(error));
	return MOVED_FAILED;
}

enum moved transport_push(struct transport *transport)
{
	struct buf *held = &transport->held;
	ssize_t result;

	transport->clogged = false;
	while (buf_length(held) > 0) {
		result = send_bytes(transport, buf_data(held),
		    buf_length(held));
		if (result < 0 && errno != EAGAIN) {
			buf_release(held);
			return fail_errno(transport, errno);
		}
		if (result < 0) {
			transport->clogged = true;
			transport->write_wants = WATCH_WRITE;
			return MOVED_LATER;
		}
		buf_consume(held, (size_t)result);
	}
	/* An idle session has no buffer. */
	if (held->size > 0)
		buf_release(held);
	return MOVED_SOME;
}

/* Behind a failure: the alert that says why, if the socket takes it. */
static void push_alert(struct transport *transport)
{
	struct buf *held = &transport->held;

	if (buf_length(held) > 0)
		(void)!send_bytes(transport, buf_data(held), buf_length(held));
	buf_release(held);
}

/*
 * Sorts the result of an SSL_* call that moved nothing. wants gets what to
 * wait for. Anything but waiting and a proper end is final for the session.
 */
static enum moved sort_out(struct transport *transport, int result, int *wants)
{
	int error = errno;

	switch (SSL_get_error(transport->ssl, result)) {
	case SSL_ERROR_WANT_READ:
		*wants = WATCH_READ;
		return MOVED_LATER;
	case SSL_ERROR_WANT_WRITE:
		*wants = WATCH_WRITE;
		return MOVED_LATER;
	case SSL_ERROR_ZERO_RETURN:
		return MOVED_END;
	case SSL_ERROR_SYSCALL:
		ERR_clear_error();
		return fail_errno(transport, error != 0 ? error : ECONNRESET);
	default:
		break;
	}
	push_alert(transport);
	transport->broken = true;
	transport->lost = tls_error_is_end();
	if (transport->secure && transport->lost) {
		ERR_clear_error();
		return MOVED_CUT;
	}
	tls_describe_error(transport->problem, sizeof transport->problem,
	    "TLS error");
	return MOVED_FAILED;
}

static enum moved read_clear(struct transport *transport, void *data,
    size_t room, size_t *got)
{
	ssize_t result;

	do
		result = recv(transport->fd, data, room, 0);
	while (result == -1 && errno == EINTR);
	if (result > 0) {
		*got = (size_t)result;
		return MOVED_SOME;
	}
	if (result == 0)
		return MOVED_END;
	if (errno != EAGAIN && errno != EWOULDBLOCK)
		return fail_errno(transport, errno);
	transport->read_wants = WATCH_READ;
	return MOVED_LATER;
}

enum moved transport_read(struct transport *transport, void *data,
    size_t room, size_t *got)
{
	int result;

	if (!transport->secure)
		return read_clear(transport, data, room, got);
	if (buf_length(&transport->held) >= HELD_MAX &&
	    transport_push(transport) == MOVED_FAILED)
		return MOVED_FAILED;
	begin();
	result = SSL_read_ex(transport->ssl, data, room, got);
	return result == 1 ? MOVED_SOME :
	    sort_out(transport, result, &transport->read_wants);
}

static enum moved write_clear(struct transport *transport, const void *data,
    size_t length, size_t *put)
{
	ssize_t result;

	result = send_bytes(transport, data, length);
	if (result >= 0) {
		*put = (size_t)result;
		return MOVED_SOME;
	}
	if (errno != EAGAIN && errno != EWOULDBLOCK)
		return fail_errno(transport, errno);
	transport->write_wants = WATCH_WRITE;
	return MOVED_LATER;
}

enum moved transport_write(struct transport *transport, const void *data,
    size_t length, size_t *put)
{
	enum moved moved;
	int result;

	if (!transport->secure)
		return write_clear(transport, data, length, put);
	if (buf_length(&transport->held) >= HELD_MAX) {
		moved = transport_push(transport);
		if (moved != MOVED_SOME)
			return moved;
	}
	begin();
	result = SSL_write_ex(transport->ssl, data, length, put);
	return result == 1 ? MOVED_SOME :
	    sort_out(transport, result, &transport->write_wants);
}

/* The handshake waits for the peer, who needs what is held before that. */
static enum moved shake_later(struct transport *transport)
{
	enum moved moved = transport_push(transport);

	if (moved == MOVED_LATER)
		transport->read_wants |= WATCH_WRITE;
	return moved == MOVED_FAILED ? MOVED_FAILED : MOVED_LATER;
}

enum moved transport_shake(struct transport *transport)
{
	enum moved moved;
	int result;

	begin();
	result = SSL_do_handshake(transport->ssl);
	if (result != 1) {
		moved = sort_out(transport, result, &transport->read_wants);
		if (moved == MOVED_LATER)
			return shake_later(transport);
		if (moved != MOVED_END)
			return moved;
		transport->lost = true;
		snprintf(transport->problem, sizeof transport->problem,
		    "the peer closed the connection");
	} else if (!tls_is_acceptable(transport->ssl)) {
		snprintf(transport->problem, sizeof transport->problem,
		    "the peer lacks secure renegotiation (RFC 5746)");
	} else {
		transport->secure = true;
		transport->read_wants = WATCH_READ;
		transport->write_wants = WATCH_WRITE;
		return MOVED_SOME;
	}
	transport->broken = true;
	return MOVED_FAILED;
}

enum moved transport_goodbye(struct transport *transport)
{
	enum moved moved;
	int result;

	if (!transport->secure || transport->broken)
		return MOVED_SOME;
	/* With no room left TLS would only ask to write it again. */
	if (buf_length(&transport->held) >= HELD_MAX) {
		moved = transport_push(transport);
		if (moved != MOVED_SOME)
			return moved;
	}
	if (!transport->said_goodbye) {
		begin();
		result = SSL_shutdown(transport->ssl);
		if (result < 0)
			return sort_out(transport, result,
			    &transport->write_wants);
		transport->said_goodbye = true;
	}
	return transport_push(transport);
}

void transport_keep_secret(struct transport *transport)
{
	if (transport->ssl != NULL)
		SSL_set_options(transport->ssl, SSL_OP_CLEANSE_PLAINTEXT);
}

bool transport_holds_back(const struct transport *transport)
{
	return transport->secure && SSL_has_pending(transport->ssl) == 1;
}

enum moved transport_peek(const struct transport *transport)
{
	char byte;
	ssize_t result = recv(transport->fd, &byte, 1,
	    MSG_PEEK | MSG_DONTWAIT);

	if (result > 0)
		return MOVED_SOME;
	return result == 0 ? MOVED_END : MOVED_LATER;
}

bool transport_discard(struct transport *transport, size_t most)
{
	char bytes[4096];
	size_t total = 0;
	ssize_t result;

	do {
		result = recv(transport->fd, bytes, sizeof bytes, 0);
		if (result > 0)
			total += (size_t)result;
	} while (result > 0 && total < most);
	return result == 0 || (result == -1 && errno != EAGAIN &&
	    errno != EWOULDBLOCK && errno != EINTR);
}

size_t transport_binding(const struct transport *transport, uint8_t *out,
    size_t length)
{
	static const char label[] = "EXPORTER-Channel-Binding";

	if (!transport->secure || SSL_version(transport->ssl) != TLS1_3_VERSION)
		return 0;
	begin();
	if (SSL_export_keying_material(transport->ssl, out, length, label,
	    sizeof label - 1, NULL, 0, 0) == 1)
		return length;
	ERR_clear_error();
	return 0;
}

const char *transport_server_name(const struct transport *transport)
{
	const char *name = transport->ssl == NULL ? NULL :
	    SSL_get_servername(transport->ssl, TLSEXT_NAMETYPE_host_name);

	return name != NULL ? name : "";
}
