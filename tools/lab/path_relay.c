/* SPDX-License-Identifier: ISC */
/*
 * The relay reads lines as long as both sides speak SMTP in clear, and knows
 * enough of it to leave the content of messages alone: between a 354 and the
 * final dot nothing is looked at. From the first byte of a TLS record on, the
 * connection is bytes. A line is passed on when it is complete.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/net.h"
#include "tools/lab/path_private.h"

enum {
	BUFFER_MAX = 64 << 10,
	READ_SIZE = 16 << 10,
	IDLE_MS = 120000,		/* nothing from either side */
	SILENCE_MS = 600000,		/* longer than any MTA waits for TLS */
	PIECE_NS = 150000,		/* between two: the reader's chance */
	RECORD_FIRST = 20,		/* types of TLS: RFC 8446 5.1 */
	RECORD_LAST = 23
};

static void reply_line(struct path_relay *relay, char *line, size_t length)
{
	if (length > 4 && strncmp(line, "354", 3) == 0 && line[3] != '-')
		relay->in_content = true;
	if (relay->spoil->reply != NULL)
		relay->spoil->reply(relay, line, length);
	else
		buf_add(&relay->down.out, line, length);
}

static void command_line(struct path_relay *relay, char *line, size_t length)
{
	if (relay->in_content) {
		if (length == 3 && memcmp(line, ".\r\n", 3) == 0)
			relay->in_content = false;
	} else if (relay->spoil->command != NULL) {
		relay->spoil->command(relay, line, length);
		return;
	}
	buf_add(&relay->up.out, line, length);
}

/* All that is there, as bytes. */
static void pass_bytes(struct path_relay *relay, struct path_way *way)
{
	char *data = way->in.memory + way->in.start;
	size_t length = buf_length(&way->in);

	if (length > 0 && !relay->silent) {
		if (relay->spoil->bytes != NULL)
			relay->spoil->bytes(relay, way, data, length);
		else
			buf_add(&way->out, data, length);
	}
	buf_reset(&way->in);
}

/* 0, or -1 when it is to be reset. */
static int begin_tls(struct path_relay *relay, const struct path_way *way)
{
	path_release_held(relay);
	relay->raw = true;
	return way == &relay->up && relay->spoil->start_tls != NULL ?
	    relay->spoil->start_tls(relay) : 0;
}

static bool is_record(const struct path_relay *relay, char byte)
{
	return !relay->in_content && byte >= RECORD_FIRST &&
	    byte <= RECORD_LAST;
}

/* Works on all complete lines; at the end, or when no line can be that long,
 * on what there is. */
static int pass_on(struct path_relay *relay, struct path_way *way)
{
	while (!relay->raw && buf_length(&way->in) > 0) {
		char *line = way->in.memory + way->in.start;
		long end = buf_find(&way->in, '\n', 0);
		size_t length = end >= 0 ? (size_t)end + 1 :
		    buf_length(&way->in);

		if (is_record(relay, line[0])) {
			if (begin_tls(relay, way) == -1)
				return -1;
			break;
		}
		if (end < 0 && !way->ended && length < READ_SIZE)
			return 0;
		if (way == &relay->up)
			command_line(relay, line, length);
		else
			reply_line(relay, line, length);
		buf_consume(&way->in, length);
	}
	if (relay->raw)
		pass_bytes(relay, way);
	return 0;
}

/* 0, or -1 when the connection broke. */
static int read_way(struct path_relay *relay, struct path_way *way)
{
	char data[READ_SIZE];
	ssize_t got = recv(way->from, data, sizeof(data), 0);

	if (got == -1 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (got == -1 && relay->silent && way == &relay->down)
		got = 0;
	if (got == -1)
		return -1;
	buf_add(&way->in, data, (size_t)got);
	way->ended = got == 0;
	if (pass_on(relay, way) == -1)
		return -1;
	if (way->ended && way == &relay->down)
		path_release_held(relay);
	return 0;
}

/* The kernel puts bytes of several calls into one segment while it may not
 * send; and a reader takes together what lies there: so it has a pause. */
static bool all_is_sent(int fd)
{
	struct timespec pause = { .tv_nsec = PIECE_NS };
	int unsent = 0;

	nanosleep(&pause, NULL);
	return ioctl(fd, SIOCOUTQNSD, &unsent) == -1 || unsent == 0;
}

static int write_some(struct path_relay *relay, struct path_way *way)
{
	size_t length = buf_length(&way->out), most;
	ssize_t sent;

	if (relay->spoil->piece != NULL) {
		if (!all_is_sent(way->to))
			return 0;
		most = relay->spoil->piece(way);
		length = length > most ? most : length;
	}
	sent = send(way->to, buf_data(&way->out), length, MSG_NOSIGNAL);
	if (sent == -1)
		return errno == EAGAIN || errno == EINTR ? 0 : -1;
	buf_consume(&way->out, (size_t)sent);
	way->written += (size_t)sent;
	return 0;
}

static int write_way(struct path_relay *relay, struct path_way *way)
{
	if (buf_length(&way->out) > 0 && write_some(relay, way) == -1)
		return -1;
	if (way->ended && !way->closed && buf_length(&way->out) == 0) {
		way->closed = true;
		/* In silence the client does not hear of the server's end. */
		if (!relay->silent || way == &relay->up)
			shutdown(way->to, SHUT_WR);
	}
	return 0;
}

static bool may_read(const struct path_way *way)
{
	return !way->ended && buf_length(&way->out) < READ_SIZE &&
	    buf_length(&way->in) < READ_SIZE;
}

/* One turn; -1 when it is over by a reset, an error or the time. */
static int turn(struct path_relay *relay)
{
	struct path_way *ways[2] = { &relay->up, &relay->down };
	struct pollfd wait[2];
	int i, ready;

	for (i = 0; i < 2; i++) {
		struct path_way *other = ways[1 - i];

		wait[i] = (struct pollfd){ .fd = ways[i]->from };
		if (may_read(ways[i]))
			wait[i].events |= POLLIN;
		if (buf_length(&other->out) > 0)
			wait[i].events |= POLLOUT;
		/* A hang-up is told again and again: do not listen. */
		if (wait[i].events == 0)
			wait[i].fd = -1;
	}
	ready = poll(wait, 2, relay->silent ? SILENCE_MS : IDLE_MS);
	if (ready == -1)
		return errno == EINTR ? 0 : -1;
	if (ready == 0)
		return -1;
	for (i = 0; i < 2; i++)
		if (may_read(ways[i]) && wait[i].revents != 0 &&
		    read_way(relay, ways[i]) == -1)
			return -1;
	return write_way(relay, ways[0]) == 0 ? write_way(relay, ways[1]) : -1;
}

static void init_way(struct path_way *way, int from, int to)
{
	way->from = from;
	way->to = to;
	buf_init(&way->in, BUFFER_MAX);
	/* What was read, what was held, and answers. */
	buf_init(&way->out, BUFFER_MAX * 4);
	fcntl(from, F_SETFL, fcntl(from, F_GETFL) | O_NONBLOCK);
	net_no_delay(from);
}

static void release_way(struct path_way *way)
{
	buf_release(&way->in);
	buf_release(&way->out);
}

void lab_path_relay(enum lab_path path, int client, int server)
{
	struct path_relay relay = { .spoil = path_spoil_of(path) };
	int result = 0;

	init_way(&relay.up, client, server);
	init_way(&relay.down, server, client);
	buf_init(&relay.held, BUFFER_MAX);
	while (result == 0 && !(relay.up.closed && relay.down.closed))
		result = turn(&relay);
	if (result == 0) {
		close(client);
		close(server);
	} else {
		lab_path_reset(client);
		lab_path_reset(server);
	}
	release_way(&relay.up);
	release_way(&relay.down);
	buf_release(&relay.held);
}
