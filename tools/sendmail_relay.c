/* SPDX-License-Identifier: ISC */
/*
 * Bytes from one side wait in a buffer until the other takes them; a side is
 * read only while its buffer is empty. The server's deadlines are ours.
 */
#include "tools/sendmail_relay.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

#include "tools/submit.h"

enum { WAY_BYTES = 64 << 10,
    /* The server gives up before that (RFC 5321 4.5.3.2). */
    IDLE_MILLISECONDS = 30 * 60 * 1000 };

/* One direction. */
struct way {
	char	 bytes[WAY_BYTES];
	size_t	 start, length;		/* of what waits to be written */
	int	 from, to;
	bool	 ended;			/* from has no more */
};

/* Whether it could be read or written; -1 if the other end is gone. */
static int step(struct way *way, bool readable, bool writable)
{
	ssize_t done;

	if (way->length > 0 && writable) {
		done = write(way->to, way->bytes + way->start, way->length);
		if (done == -1)
			return errno == EINTR || errno == EAGAIN ? 0 : -1;
		way->start += (size_t)done;
		way->length -= (size_t)done;
	} else if (way->length == 0 && readable && !way->ended) {
		done = read(way->from, way->bytes, sizeof(way->bytes));
		if (done == -1)
			return errno == EINTR || errno == EAGAIN ? 0 : -1;
		way->start = 0;
		way->length = (size_t)done;
		way->ended = done == 0;
	}
	return 0;
}

/* What is waited for, of two descriptors: that it can be read or written. */
static void ask(const struct way *way, struct pollfd *from, struct pollfd *to)
{
	bool reads = way->length == 0 && !way->ended;

	*from = (struct pollfd){ .fd = reads ? way->from : -1,
	    .events = POLLIN };
	*to = (struct pollfd){ .fd = way->length > 0 ? way->to : -1,
	    .events = POLLOUT };
}

static int pass(struct way *up, struct way *down)
{
	struct pollfd wanted[4];
	bool was_open = true;
	int ready;

	while (!down->ended || down->length > 0) {
		ask(up, &wanted[0], &wanted[1]);
		ask(down, &wanted[2], &wanted[3]);
		ready = poll(wanted, 4, IDLE_MILLISECONDS);
		if (ready == 0 || (ready == -1 && errno != EINTR))
			return EX_TEMPFAIL;
		if (ready == -1)
			continue;
		/* A server that is gone may have said why. */
		if (step(up, wanted[0].revents != 0,
		    wanted[1].revents != 0) == -1)
			up->ended = true, up->length = 0;
		if (step(down, wanted[2].revents != 0,
		    wanted[3].revents != 0) == -1)
			return down->length > 0 ? EX_IOERR : EX_TEMPFAIL;
		if (up->ended && up->length == 0 && was_open) {
			was_open = false;
			shutdown(up->to, SHUT_WR);
		}
	}
	return EX_OK;
}

int sendmail_relay(const char *path, const char *hostname)
{
	static struct way up, down;
	int fd = submit_connect(path);
	int status;

	if (fd == -1) {
		fprintf(stderr, "sendmail: %s: %s\n", path, strerror(errno));
		/* RFC 5321 3.8: what a client of SMTP understands. */
		printf("421 4.3.2 %s The mail server is not running\r\n",
		    hostname);
		fflush(stdout);
		return EX_TEMPFAIL;
	}
	signal(SIGPIPE, SIG_IGN);
	up.from = STDIN_FILENO;
	up.to = down.from = fd;
	down.to = STDOUT_FILENO;
	status = pass(&up, &down);
	close(fd);
	return status;
}
