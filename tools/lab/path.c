/* SPDX-License-Identifier: ISC */
/*
 * The relay reads lines as long as both sides speak SMTP in clear, and knows
 * enough of it to leave the content of messages alone: between a 354 and the
 * final dot nothing is looked at. From the first byte of a TLS record on, the
 * connection is bytes. A line is passed on when it is complete; stripping may
 * have to hold back one more, because the last line of a reply has another
 * mark than those before it (RFC 5321 4.2.1).
 */
#include "tools/lab/path.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/net.h"

enum {
	BUFFER_MAX = 64 << 10,
	READ_SIZE = 16 << 10,
	IDLE_MS = 120000,		/* nothing from either side */
	TLS_RECORD = 0x16		/* handshake: RFC 8446 5.1 */
};

static const char *const path_names[LAB_PATHS] = { "", "strip", "mangle",
    "block", "reset", "refuse", "impostor" };

/* One direction. */
struct stream_way {
	int		 from, to;	/* borrowed from the relay's caller */
	struct buf	 in;		/* read, not yet looked at */
	struct buf	 out;		/* to be written */
	bool		 ended;		/* from has sent its FIN */
	bool		 closed;	/* and to has had ours */
};

struct relay {
	enum lab_path		 path;
	struct stream_way	 up;		/* client to server */
	struct stream_way	 down;
	struct buf		 held;		/* a line of a reply, or none */
	bool			 raw;		/* TLS: bytes from here on */
	bool			 in_content;	/* of a message, upwards */
	bool			 greeted;	/* the banner is over */
};

int lab_path_find(const char *word)
{
	int i;

	for (i = 0; i < LAB_PATHS; i++)
		if (strcmp(path_names[i], word) == 0)
			return i;
	return -1;
}

int lab_path_block(int fd)
{
	struct sock_filter nothing = BPF_STMT(BPF_RET | BPF_K, 0);
	struct sock_fprog program = { .len = 1, .filter = &nothing };

	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program,
	    sizeof(program));
}

void lab_path_reset(int fd)
{
	struct linger now = { .l_onoff = 1, .l_linger = 0 };

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	close(fd);
}

int lab_path_pair(int ends[2])
{
	struct sockaddr_in address = { .sin_family = AF_INET,
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t length = sizeof(address);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ends[0] = ends[1] = -1;
	if (listener == -1 || bind(listener, (struct sockaddr *)&address,
	    length) == -1 || listen(listener, 1) == -1 ||
	    getsockname(listener, (struct sockaddr *)&address, &length) == -1)
		goto fail;
	ends[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (ends[0] == -1 || connect(ends[0], (struct sockaddr *)&address,
	    length) == -1)
		goto fail;
	ends[1] = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	if (ends[1] == -1)
		goto fail;
	close(listener);
	return 0;
fail:
	if (ends[0] != -1)
		close(ends[0]);
	if (listener != -1)
		close(listener);
	return -1;
}

/* --- what is spoiled --- */

/* The keyword STARTTLS at the start of text, whole; length of the line. */
static bool is_starttls(const char *text, size_t length)
{
	return length >= 8 && strncasecmp(text, "STARTTLS", 8) == 0 &&
	    (length == 8 || strchr(" \t\r\n", text[8]) != NULL);
}

/* "250-STARTTLS" and "250 STARTTLS". */
static bool offers_starttls(const char *line, size_t length)
{
	return length > 4 && strncmp(line, "250", 3) == 0 &&
	    (line[3] == '-' || line[3] == ' ') &&
	    is_starttls(line + 4, length - 4);
}

static void release_held(struct relay *relay)
{
	struct buf *held = &relay->held;

	buf_add(&relay->down.out, buf_data(held), buf_length(held));
	buf_reset(held);
}

/*
 * Takes the offer out of a reply. The first line of a reply to EHLO is the
 * server's name, whatever that is, so something is always held when an offer
 * comes; if it was the last line, the one before becomes that.
 */
static void strip_reply(struct relay *relay, const char *line, size_t length)
{
	struct buf *held = &relay->held;

	if (buf_length(held) > 0 && offers_starttls(line, length)) {
		if (line[3] == ' ') {
			buf_patch(held, 3, " ", 1);
			release_held(relay);
		}
		return;
	}
	release_held(relay);
	if (length > 4 && strncmp(line, "250-", 4) == 0)
		buf_add(held, line, length);
	else
		buf_add(&relay->down.out, line, length);
}

/*
 * As the fixup of an old firewall does it: of the banner only the code and
 * some figures are left, and the keyword is as long as before but unknown.
 */
static void mangle_reply(struct relay *relay, char *line, size_t length)
{
	size_t i;

	if (!relay->greeted && length > 4 && strncmp(line, "220", 3) == 0) {
		relay->greeted = line[3] == ' ';
		for (i = 4; i < length && strchr("\r\n", line[i]) == NULL;
		    i++)
			if (line[i] != '2' && line[i] != '0')
				line[i] = '*';
	} else if (offers_starttls(line, length)) {
		memcpy(line + 4, "XXXXXXXA", 8);
	}
	buf_add(&relay->down.out, line, length);
}

static void reply_line(struct relay *relay, char *line, size_t length)
{
	if (length > 4 && strncmp(line, "354", 3) == 0 && line[3] != '-')
		relay->in_content = true;
	if (relay->path == LAB_PATH_STRIP)
		strip_reply(relay, line, length);
	else
		mangle_reply(relay, line, length);
}

static void command_line(struct relay *relay, char *line, size_t length)
{
	static const char refusal[] = "502 5.5.1 Command not implemented\r\n";

	if (relay->in_content) {
		if (length == 3 && memcmp(line, ".\r\n", 3) == 0)
			relay->in_content = false;
	} else if (is_starttls(line, length)) {
		if (relay->path == LAB_PATH_STRIP) {
			buf_add(&relay->down.out, refusal,
			    sizeof(refusal) - 1);
			return;
		}
		memset(line, 'X', 8);
	}
	buf_add(&relay->up.out, line, length);
}

/* --- passing on --- */

static void pass_bytes(struct stream_way *way)
{
	buf_add(&way->out, buf_data(&way->in), buf_length(&way->in));
	buf_reset(&way->in);
}

/* Works on all complete lines; at the end, or when no line can be that long,
 * on what there is. */
static void pass_lines(struct relay *relay, struct stream_way *way)
{
	while (!relay->raw && buf_length(&way->in) > 0) {
		char *line = way->in.memory + way->in.start;
		long end = buf_find(&way->in, '\n', 0);
		size_t length = end >= 0 ? (size_t)end + 1 :
		    buf_length(&way->in);

		if ((unsigned char)line[0] == TLS_RECORD &&
		    !relay->in_content) {
			relay->raw = true;
			break;
		}
		if (end < 0 && !way->ended && length < READ_SIZE)
			return;
		if (way == &relay->up)
			command_line(relay, line, length);
		else
			reply_line(relay, line, length);
		buf_consume(&way->in, length);
	}
	if (relay->raw)
		pass_bytes(way);
}

/* 0, or -1 when the connection broke. */
static int read_way(struct relay *relay, struct stream_way *way)
{
	char data[READ_SIZE];
	ssize_t got = recv(way->from, data, sizeof(data), 0);

	if (got == -1)
		return errno == EAGAIN || errno == EINTR ? 0 : -1;
	buf_add(&way->in, data, (size_t)got);
	way->ended = got == 0;
	pass_lines(relay, way);
	if (way->ended && way == &relay->down)
		release_held(relay);
	return 0;
}

static int write_way(struct stream_way *way)
{
	size_t length = buf_length(&way->out);
	ssize_t sent;

	if (length > 0) {
		sent = send(way->to, buf_data(&way->out), length,
		    MSG_NOSIGNAL);
		if (sent == -1)
			return errno == EAGAIN || errno == EINTR ? 0 : -1;
		buf_consume(&way->out, (size_t)sent);
	}
	if (way->ended && !way->closed && buf_length(&way->out) == 0) {
		way->closed = true;
		shutdown(way->to, SHUT_WR);
	}
	return 0;
}

static bool may_read(const struct stream_way *way)
{
	return !way->ended && buf_length(&way->out) < READ_SIZE &&
	    buf_length(&way->in) < READ_SIZE;
}

/* One turn; -1 when it is over by a reset, an error or the time. */
static int turn(struct relay *relay)
{
	struct stream_way *ways[2] = { &relay->up, &relay->down };
	struct pollfd wait[2];
	int i, ready;

	for (i = 0; i < 2; i++) {
		struct stream_way *other = ways[1 - i];

		wait[i] = (struct pollfd){ .fd = ways[i]->from };
		if (may_read(ways[i]))
			wait[i].events |= POLLIN;
		if (buf_length(&other->out) > 0)
			wait[i].events |= POLLOUT;
		/* A hang-up is told again and again: do not listen. */
		if (wait[i].events == 0)
			wait[i].fd = -1;
	}
	ready = poll(wait, 2, IDLE_MS);
	if (ready == -1)
		return errno == EINTR ? 0 : -1;
	if (ready == 0)
		return -1;
	for (i = 0; i < 2; i++)
		if (may_read(ways[i]) && wait[i].revents != 0 &&
		    read_way(relay, ways[i]) == -1)
			return -1;
	return write_way(ways[0]) == 0 ? write_way(ways[1]) : -1;
}

static void init_way(struct stream_way *way, int from, int to)
{
	way->from = from;
	way->to = to;
	buf_init(&way->in, BUFFER_MAX);
	/* What was read, what was held, and refusals. */
	buf_init(&way->out, BUFFER_MAX * 4);
	fcntl(from, F_SETFL, fcntl(from, F_GETFL) | O_NONBLOCK);
	net_no_delay(from);
}

static void release_way(struct stream_way *way)
{
	buf_release(&way->in);
	buf_release(&way->out);
}

void lab_path_relay(enum lab_path path, int client, int server)
{
	struct relay relay = { .path = path };
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
