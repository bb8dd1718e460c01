/* SPDX-License-Identifier: ISC */
/*
 * The two kinds of connection behind one set of calls. Buffers of TLS are given
 * back while a connection is idle: a program here holds thousands.
 */
#include "tests/bench/throughput/wire.h"

#include <errno.h>
#include <openssl/err.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

void wire_init(struct wire *wire, int fd)
{
	*wire = (struct wire){ .fd = fd };
}

int wire_secure(struct wire *wire, SSL_CTX *context, bool is_server)
{
	wire->ssl = SSL_new(context);
	if (wire->ssl == NULL || SSL_set_fd(wire->ssl, wire->fd) != 1)
		return -1;
	SSL_set_mode(wire->ssl, SSL_MODE_ENABLE_PARTIAL_WRITE |
	    SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
	if (is_server)
		SSL_set_accept_state(wire->ssl);
	else
		SSL_set_connect_state(wire->ssl);
	return 0;
}

/* What a result of libssl that is not above 0 means. */
static int verdict_of(struct wire *wire, int result)
{
	int why = SSL_get_error(wire->ssl, result);

	wire->wants_write = why == SSL_ERROR_WANT_WRITE;
	if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE)
		return WIRE_AGAIN;
	return why == SSL_ERROR_ZERO_RETURN ? 0 : WIRE_BROKEN;
}

int wire_handshake(struct wire *wire)
{
	int result;

	ERR_clear_error();
	errno = 0;
	result = SSL_do_handshake(wire->ssl);
	if (result == 1) {
		wire->wants_write = false;
		return 1;
	}
	result = verdict_of(wire, result);
	return result == WIRE_AGAIN ? WIRE_AGAIN : WIRE_BROKEN;
}

static ssize_t plain_verdict(struct wire *wire, ssize_t result, bool writes)
{
	wire->wants_write = false;
	if (result >= 0)
		return result;
	if (errno != EAGAIN)
		return WIRE_BROKEN;
	wire->wants_write = writes;
	return WIRE_AGAIN;
}

ssize_t wire_read(struct wire *wire, void *bytes, size_t size)
{
	size_t got = 0;
	int result;

	if (wire->ssl == NULL)
		return plain_verdict(wire, recv(wire->fd, bytes, size, 0),
		    false);
	ERR_clear_error();
	errno = 0;
	result = SSL_read_ex(wire->ssl, bytes, size, &got);
	return result == 1 ? (ssize_t)got : verdict_of(wire, result);
}

ssize_t wire_write(struct wire *wire, const void *bytes, size_t size)
{
	size_t put = 0;
	int result;

	if (wire->ssl == NULL)
		return plain_verdict(wire, send(wire->fd, bytes, size,
		    MSG_NOSIGNAL), true);
	ERR_clear_error();
	errno = 0;
	result = SSL_write_ex(wire->ssl, bytes, size, &put);
	if (result == 1) {
		wire->wants_write = false;
		return (ssize_t)put;
	}
	result = verdict_of(wire, result);
	return result == WIRE_AGAIN ? WIRE_AGAIN : WIRE_BROKEN;
}

void wire_close(struct wire *wire)
{
	if (wire->ssl != NULL) {
		SSL_set_shutdown(wire->ssl, SSL_SENT_SHUTDOWN |
		    SSL_RECEIVED_SHUTDOWN);
		SSL_free(wire->ssl);
	}
	close(wire->fd);
	wire_init(wire, -1);
}

const char *wire_error(void)
{
	const char *reason = ERR_reason_error_string(ERR_peek_last_error());

	if (reason != NULL)
		return reason;
	return errno != 0 ? strerror(errno) : "closed in the midst";
}
