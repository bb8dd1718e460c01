/* SPDX-License-Identifier: ISC */
/*
 * A non-blocking socket with poll() before every second try. TLS is OpenSSL
 * alone and none of base/: what the lab judges must not judge itself.
 */
#include "tools/lab/actors_link.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/net.h"
#include "tools/lab/actors_link_private.h"

/* How long a peer may go on sending after our FIN. */
enum { DRAIN_MS = 3000 };

void lab_link_init(struct lab_link *link, int fd)
{
	memset(link, 0, sizeof(*link));
	link->fd = fd;
	link->until = clock_monotonic() + LAB_CONNECTION_MS;
	buf_init(&link->input, LAB_LINE_MAX + 2);
	if (fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) == -1)
		fatal("lab-socket", log_errno(errno));
	net_no_delay(fd);
}

void lab_link_free_tls(struct lab_link *link)
{
	/* A session whose connection was freed before close_notify counts as
	 * broken to OpenSSL, for who kept it, too. */
	if (link->ssl != NULL)
		SSL_set_shutdown(link->ssl, SSL_SENT_SHUTDOWN |
		    SSL_RECEIVED_SHUTDOWN);
	SSL_free(link->ssl);
	link->ssl = NULL;
}

static void end(struct lab_link *link)
{
	lab_link_free_tls(link);
	if (link->fd != -1)
		close(link->fd);
	link->fd = -1;
}

void lab_link_release(struct lab_link *link)
{
	end(link);
	buf_release(&link->input);
}

int lab_link_fail(struct lab_link *link, const char *problem)
{
	/* The first is the cause. */
	if (link->problem[0] == '\0')
		snprintf(link->problem, sizeof(link->problem), "%s", problem);
	return -1;
}

int64_t lab_link_deadline(const struct lab_link *link, int64_t milliseconds)
{
	int64_t deadline = clock_monotonic() + milliseconds;

	return deadline < link->until ? deadline : link->until;
}

/* 0 when there is something to do, -1 when the time is over. */
static int wait_for(struct lab_link *link, short events, int64_t deadline)
{
	struct pollfd wait = { .fd = link->fd, .events = events };
	int ready;

	do {
		int64_t left = deadline - clock_monotonic();

		ready = poll(&wait, 1, left > 0 ? (int)left : 0);
	} while (ready == -1 && errno == EINTR);
	return ready == 1 ? 0 : lab_link_fail(link, "the time is over");
}

/* What OpenSSL says of the oldest error of TLS in its queue; failing that, of
 * the oldest: those before it are the cipher's, and less to the point. */
static int fail_tls(struct lab_link *link)
{
	unsigned long error, chosen = 0;
	const char *reason;

	while ((error = ERR_get_error()) != 0)
		if (chosen == 0 || (ERR_GET_LIB(error) == ERR_LIB_SSL &&
		    ERR_GET_LIB(chosen) != ERR_LIB_SSL))
			chosen = error;
	reason = ERR_reason_error_string(chosen);
	return lab_link_fail(link, reason != NULL ? reason : chosen != 0 ?
	    "unknown TLS error" : "closed in the middle");
}

int lab_link_settle_tls(struct lab_link *link, int result, int64_t deadline)
{
	int reason = errno;

	switch (SSL_get_error(link->ssl, result)) {
	case SSL_ERROR_WANT_READ:
		return wait_for(link, POLLIN, deadline) == 0 ? 1 : -1;
	case SSL_ERROR_WANT_WRITE:
		return wait_for(link, POLLOUT, deadline) == 0 ? 1 : -1;
	case SSL_ERROR_ZERO_RETURN:
		return 0;
	case SSL_ERROR_SYSCALL:
		ERR_clear_error();
		return lab_link_fail(link, reason != 0 ? strerror(reason) :
		    "closed in the middle");
	default:
		return fail_tls(link);
	}
}

/* The same for the socket; the result was -1. */
static int settle(struct lab_link *link, short events, int64_t deadline)
{
	if (errno == EINTR)
		return 1;
	if (errno != EAGAIN)
		return lab_link_fail(link, strerror(errno));
	return wait_for(link, events, deadline) == 0 ? 1 : -1;
}

/* Takes records (types 20 to 23: RFC 8446 5.1) out of the front of what came
 * in; how many bytes are left. */
static size_t drop_records(struct lab_leftovers *left, char *data,
    size_t length)
{
	size_t at = 0;

	while (at < length && left->possible) {
		unsigned char byte = (unsigned char)data[at];

		if (left->body > 0) {
			left->body--;
		} else if (left->header_length == 0 &&
		    (byte < 20 || byte > 23)) {
			left->possible = false;
			break;
		} else {
			left->header[left->header_length++] = byte;
			if (left->header_length == sizeof(left->header)) {
				left->body = (size_t)left->header[3] << 8 |
				    left->header[4];
				left->header_length = 0;
			}
		}
		at++;
	}
	memmove(data, data + at, length - at);
	return length - at;
}

ssize_t lab_link_read(struct lab_link *link, char *data, size_t size)
{
	int64_t deadline = lab_link_deadline(link, LAB_WAIT_MS);
	ssize_t got;
	int next = 1;

	while (link->fd != -1 && next == 1) {
		errno = 0;
		got = link->ssl != NULL ? SSL_read(link->ssl, data,
		    (int)size) : recv(link->fd, data, size, 0);
		if (got > 0 && link->ssl == NULL &&
		    link->leftovers.possible) {
			got = (ssize_t)drop_records(&link->leftovers, data,
			    (size_t)got);
			if (got == 0)
				continue;
		}
		if (got > 0 || (got == 0 && link->ssl == NULL))
			return got;
		next = link->ssl != NULL ? lab_link_settle_tls(link, (int)got,
		    deadline) : settle(link, POLLIN, deadline);
	}
	return link->fd == -1 ? -1 : next;
}

static int write_all(struct lab_link *link, SSL *ssl, const char *data,
    size_t length)
{
	int64_t deadline = lab_link_deadline(link, LAB_WAIT_MS);
	size_t sent = 0;
	ssize_t result;
	int next = 1;

	while (link->fd != -1 && sent < length && next == 1) {
		errno = 0;
		result = ssl != NULL ? SSL_write(ssl, data + sent,
		    (int)(length - sent)) : send(link->fd, data + sent,
		    length - sent, MSG_NOSIGNAL);
		if (result > 0)
			sent += (size_t)result;
		else
			next = ssl != NULL ? lab_link_settle_tls(link,
			    (int)result, deadline) : settle(link, POLLOUT,
			    deadline);
	}
	return sent == length ? 0 : -1;
}

int lab_link_write(struct lab_link *link, const void *data, size_t length)
{
	return write_all(link, link->ssl, data, length);
}

int lab_link_write_raw(struct lab_link *link, const void *data, size_t length)
{
	return write_all(link, NULL, data, length);
}

void lab_link_await(struct lab_link *link)
{
	if (link->fd != -1)
		wait_for(link, POLLIN, lab_link_deadline(link, LAB_WAIT_MS));
}

void lab_link_discard(struct lab_link *link)
{
	buf_reset(&link->input);
}

/* Moves a line, or as much as may be one, from the input; false: none yet. */
static bool take_line(struct buf *input, struct lab_line *line)
{
	long end_of_line = buf_find(input, '\n', 0);
	size_t length = end_of_line >= 0 ? (size_t)end_of_line :
	    buf_length(input);

	line->end = LAB_LINE_LF;
	if (end_of_line >= 0 && length > 0 &&
	    buf_data(input)[length - 1] == '\r') {
		line->end = LAB_LINE_CRLF;
		length--;
	}
	if (end_of_line < 0) {
		if (length < LAB_LINE_MAX)
			return false;
		line->end = LAB_LINE_CUT;
	}
	memcpy(line->text, buf_data(input), length);
	line->text[length] = '\0';
	line->length = length;
	buf_consume(input, line->end == LAB_LINE_CUT ? length :
	    (size_t)end_of_line + 1);
	return true;
}

int lab_link_line(struct lab_link *link, struct lab_line *line)
{
	while (!take_line(&link->input, line)) {
		size_t room = LAB_LINE_MAX - buf_length(&link->input);
		char *place = buf_reserve(&link->input, room);
		ssize_t got = lab_link_read(link, place, room);

		if (got <= 0)
			return (int)got;
		buf_commit(&link->input, (size_t)got);
	}
	return 1;
}

static void drain(struct lab_link *link)
{
	int64_t deadline = clock_monotonic() + DRAIN_MS;
	char data[4096];
	ssize_t got;

	while ((got = recv(link->fd, data, sizeof(data), 0)) != 0) {
		struct pollfd wait = { .fd = link->fd, .events = POLLIN };
		int64_t left = deadline - clock_monotonic();

		if (left <= 0 || (got == -1 && errno != EAGAIN &&
		    errno != EINTR))
			return;
		if (got == -1)
			poll(&wait, 1, (int)left);
	}
}

void lab_link_cut(struct lab_link *link)
{
	if (link->fd == -1)
		return;
	/* Bytes nobody read would turn the FIN into a reset. */
	if (shutdown(link->fd, SHUT_WR) == 0)
		drain(link);
	end(link);
}

void lab_link_close(struct lab_link *link)
{
	/* After a failure TLS has nothing more to say. */
	if (link->ssl != NULL && link->problem[0] == '\0' &&
	    SSL_is_init_finished(link->ssl)) {
		SSL_shutdown(link->ssl);
		ERR_clear_error();
	}
	lab_link_cut(link);
}

void lab_link_reset(struct lab_link *link)
{
	struct linger now = { .l_onoff = 1, .l_linger = 0 };

	if (link->fd != -1)
		setsockopt(link->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	end(link);
}

void lab_link_stall(struct lab_link *link)
{
	int64_t deadline = lab_link_deadline(link, LAB_STALL_MS), left;
	struct pollfd gone = { .fd = link->fd, .events = POLLRDHUP };

	while (link->fd != -1 && (left = deadline - clock_monotonic()) > 0 &&
	    poll(&gone, 1, (int)left) <= 0)
		continue;
	end(link);
}
