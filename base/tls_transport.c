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

#include "base/loop.h"
#include "base/tls_session.h"

void transport_init(struct transport *transport, int fd)
{
	memset(transport, 0, sizeof *transport);
	transport->fd = fd;
	transport->read_wants = WATCH_READ;
	transport->write_wants = WATCH_WRITE;
}

void transport_release(struct transport *transport)
{
	SSL_free(transport->ssl);
	transport->ssl = NULL;
}

static void begin(void)
{
	ERR_clear_error();
	errno = 0;
}

static enum moved fail_errno(struct transport *transport, int error)
{
	transport->broken = true;
	transport->lost = true;
	snprintf(transport->problem, sizeof transport->problem, "%s",
	    strerror(error));
	return MOVED_FAILED;
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
	begin();
	result = SSL_read_ex(transport->ssl, data, room, got);
	return result == 1 ? MOVED_SOME :
	    sort_out(transport, result, &transport->read_wants);
}

static enum moved write_clear(struct transport *transport, const void *data,
    size_t length, size_t *put)
{
	ssize_t result;

	do
		result = send(transport->fd, data, length, MSG_NOSIGNAL);
	while (result == -1 && errno == EINTR);
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
	int result;

	if (!transport->secure)
		return write_clear(transport, data, length, put);
	begin();
	result = SSL_write_ex(transport->ssl, data, length, put);
	return result == 1 ? MOVED_SOME :
	    sort_out(transport, result, &transport->write_wants);
}

enum moved transport_shake(struct transport *transport)
{
	enum moved moved;
	int result;

	begin();
	result = SSL_do_handshake(transport->ssl);
	if (result != 1) {
		moved = sort_out(transport, result, &transport->read_wants);
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
	int result;

	if (!transport->secure || transport->broken)
		return MOVED_SOME;
	begin();
	result = SSL_shutdown(transport->ssl);
	return result >= 0 ? MOVED_SOME :
	    sort_out(transport, result, &transport->write_wants);
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
