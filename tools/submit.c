/* SPDX-License-Identifier: ISC */
/*
 * Commands and answers one after the other: over a Unix socket a round trip
 * costs less than the code that would save it.
 */
#include "tools/submit.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "tools/outgoing.h"

enum { CONNECT_SECONDS = 20, STEP_MILLISECONDS = 5 * 60 * 1000,
    /* What a server says, that is: RFC 5321 4.5.3.1.5, and room. */
    REPLY_LINE_MAX = 1024, REPLY_LINES_MAX = 200, WRITE_BYTES = 64 << 10,
    COMMAND_MAX = 2048 };

struct reply {
	unsigned	 code;			/* 0: the connection ended */
	char		 text[REPLY_LINE_MAX];	/* of its last line */
};

struct submission {
	const struct submit_order	*order;
	const struct outgoing		*outgoing;
	struct submit_result		*result;
	int				 fd;		/* owned */
	char				 input[4096];
	size_t				 used;		/* of what was read */
	size_t				 length;
	struct reply			 reply;
	bool				 eight_bit, utf8, dsn;	/* offered */
	size_t				 accepted, refused, later;
};

/* --- the connection --- */

int submit_connect(const char *path)
{
	struct timeval patience = { .tv_sec = CONNECT_SECONDS };
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd, error;

	if (strlen(path) >= sizeof(address.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(address.sun_path, path, strlen(path));
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd == -1)
		return -1;
	/* It is what bounds the wait for room in the backlog. */
	if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience,
	    sizeof(patience)) == 0 &&
	    connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
		return fd;
	error = errno;
	close(fd);
	errno = error;
	return -1;
}

/* True when fd is ready before the deadline. */
static bool wait_for(int fd, short events, int64_t deadline)
{
	struct pollfd wanted = { .fd = fd, .events = events };
	int64_t left;
	int ready;

	do {
		left = deadline - clock_monotonic();
		if (left <= 0)
			return false;
		ready = poll(&wanted, 1, (int)left);
	} while (ready == 0 || (ready == -1 && errno == EINTR));
	return ready == 1;
}

static int say_bytes(struct submission *submission, const char *data,
    size_t length)
{
	int64_t deadline = clock_monotonic() + STEP_MILLISECONDS;
	ssize_t sent;

	while (length > 0) {
		if (!wait_for(submission->fd, POLLOUT, deadline))
			return -1;
		sent = send(submission->fd, data, length, MSG_NOSIGNAL |
		    MSG_DONTWAIT);
		if (sent == -1 && errno != EINTR && errno != EAGAIN)
			return -1;
		if (sent > 0) {
			data += sent;
			length -= (size_t)sent;
		}
	}
	return 0;
}

/* The next line without its end. -1: none came. */
static int read_line(struct submission *submission, int64_t deadline,
    char *line, size_t size)
{
	size_t length = 0;
	ssize_t got;
	char byte;

	for (;;) {
		if (submission->used == submission->length) {
			if (!wait_for(submission->fd, POLLIN, deadline))
				return -1;
			got = recv(submission->fd, submission->input,
			    sizeof(submission->input), MSG_DONTWAIT);
			if (got == -1 && (errno == EINTR || errno == EAGAIN))
				continue;
			if (got <= 0)
				return -1;
			submission->used = 0;
			submission->length = (size_t)got;
		}
		byte = submission->input[submission->used++];
		if (byte == '\n')
			break;
		if (length + 1 == size)
			return -1;
		line[length++] = byte;
	}
	if (length > 0 && line[length - 1] == '\r')
		length--;
	line[length] = '\0';
	return 0;
}

/* For terminals and logs. */
static void clean(char *text)
{
	for (; *text != '\0'; text++)
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			*text = '?';
}

static void take_offer(struct submission *submission, const char *line)
{
	size_t length = strcspn(line, " ");

	if (length == 8 && strncasecmp(line, "8BITMIME", length) == 0)
		submission->eight_bit = true;
	else if (length == 8 && strncasecmp(line, "SMTPUTF8", length) == 0)
		submission->utf8 = true;
	else if (length == 3 && strncasecmp(line, "DSN", length) == 0)
		submission->dsn = true;
}

/* Into submission->reply; what does not look like one ends the connection. */
static void hear(struct submission *submission)
{
	int64_t deadline = clock_monotonic() + STEP_MILLISECONDS;
	struct reply *reply = &submission->reply;
	char line[REPLY_LINE_MAX];

	reply->code = 0;
	snprintf(reply->text, sizeof(reply->text),
	    "the server ended the connection");
	for (unsigned lines = 0; lines < REPLY_LINES_MAX; lines++) {
		if (read_line(submission, deadline, line, sizeof(line)) == -1)
			return;
		if (submission->order->verbose)
			printf("<<< %s\n", line);
		if (strspn(line, "0123456789") != 3 || line[0] < '2' ||
		    line[0] > '5')
			return;
		if (line[3] == '-') {
			take_offer(submission, line + 4);
			continue;
		}
		if (line[3] == ' ')
			take_offer(submission, line + 4);
		reply->code = (unsigned)(line[0] - '0') * 100 +
		    (unsigned)(line[1] - '0') * 10 + (unsigned)(line[2] - '0');
		memcpy(reply->text, line, sizeof(line));
		clean(reply->text);
		return;
	}
}

/* One command and its reply, whose class it returns; 0: no connection. */
static unsigned __attribute__((format(printf, 2, 3)))
ask(struct submission *submission, const char *format, ...)
{
	char command[COMMAND_MAX];
	va_list arguments;
	int length;

	va_start(arguments, format);
	length = vsnprintf(command, sizeof(command) - 2, format, arguments);
	va_end(arguments);
	if (length < 0 || (size_t)length >= sizeof(command) - 2)
		return submission->reply.code = 0;
	if (submission->order->verbose)
		printf(">>> %s\n", command);
	memcpy(command + length, "\r\n", 2);
	if (say_bytes(submission, command, (size_t)length + 2) == -1) {
		submission->reply.code = 0;
		return 0;
	}
	hear(submission);
	return submission->reply.code / 100;
}

/* --- what came of it --- */

static void note(struct submission *submission, const char *whom,
    const char *text)
{
	char *out = submission->result->text;
	size_t length = strlen(out);

	snprintf(out + length, SUBMIT_TEXT - length, "%s%s%s%s",
	    length > 0 ? "\n" : "", whom, whom[0] != '\0' ? ": " : "", text);
}

/* From the enhanced status code (RFC 3463) of a permanent refusal. */
static int status_of(const char *text)
{
	static const struct {
		const char	*start;
		int		 status;
	} table[] = {
		{ "5.1.8", EX_NOPERM }, { "5.1.7", EX_USAGE },
		{ "5.1.", EX_NOUSER }, { "5.2.", EX_CANTCREAT },
		{ "5.3.4", EX_DATAERR }, { "5.6.", EX_DATAERR },
		{ "5.7.", EX_NOPERM },
	};

	for (size_t i = 0; strlen(text) > 4 &&
	    i < sizeof(table) / sizeof(table[0]); i++)
		if (strncmp(text + 4, table[i].start,
		    strlen(table[i].start)) == 0)
			return table[i].status;
	return EX_UNAVAILABLE;
}

/* A reply that is not what was hoped for. Always -1. */
static int give_up(struct submission *submission)
{
	struct submit_result *result = submission->result;
	const struct reply *reply = &submission->reply;

	note(submission, "", reply->text);
	if (reply->code / 100 == 5) {
		result->outcome = SUBMIT_REFUSED;
		result->exit_status = status_of(reply->text);
	} else {
		result->outcome = SUBMIT_LATER;
	}
	return -1;
}

/* --- the dialogue --- */

static int say_hello(struct submission *submission)
{
	hear(submission);
	/* A refusal here is about the server, not about this mail. */
	if (submission->reply.code != 220 ||
	    ask(submission, "EHLO %s", submission->order->hello) != 2) {
		note(submission, "", submission->reply.text);
		submission->result->outcome = SUBMIT_LATER;
		return -1;
	}
	return 0;
}

static int say_sender(struct submission *submission)
{
	const struct outgoing *outgoing = submission->outgoing;
	bool utf8 = outgoing_needs_utf8(outgoing);
	bool ret = submission->dsn && outgoing->ret[0] != '\0';
	bool envid = submission->dsn && outgoing->envid[0] != '\0';

	if (utf8 && !submission->utf8) {
		submission->result->outcome = SUBMIT_REFUSED;
		submission->result->exit_status = EX_NOUSER;
		note(submission, "", "an address is not ASCII, and the server "
		    "takes no such mail (smtputf8 = no)");
		return -1;
	}
	if (ask(submission, "MAIL FROM:<%s>%s%s%s%s%s%s SIZE=%zu",
	    outgoing->sender,
	    outgoing->eight_bit && submission->eight_bit ? " BODY=8BITMIME" :
	    "", utf8 ? " SMTPUTF8" : "", ret ? " RET=" : "",
	    ret ? outgoing->ret : "", envid ? " ENVID=" : "",
	    envid ? outgoing->envid : "",
	    buf_length(&outgoing->message)) == 2)
		return 0;
	return give_up(submission);
}

/* -1: the connection is gone. */
static int say_recipient(struct submission *submission, const char *address)
{
	const struct outgoing *outgoing = submission->outgoing;
	bool notify = submission->dsn && outgoing->notify[0] != '\0';
	unsigned kind = ask(submission, "RCPT TO:<%s>%s%s", address,
	    notify ? " NOTIFY=" : "", notify ? outgoing->notify : "");

	if (kind == 0)
		return -1;
	if (kind == 2) {
		submission->accepted++;
		return 0;
	}
	note(submission, address, submission->reply.text);
	if (kind != 5) {
		submission->later++;
	} else if (submission->refused++ == 0) {
		submission->result->exit_status =
		    status_of(submission->reply.text);
	}
	return 0;
}

static int say_recipients(struct submission *submission)
{
	const struct address_list *list = &submission->outgoing->recipients;

	for (size_t i = 0; i < list->count; i++)
		if (say_recipient(submission, list->items[i]) == -1)
			return give_up(submission);
	if (submission->refused > 0 && (submission->accepted +
	    submission->later == 0 || !submission->order->partly)) {
		submission->result->outcome = SUBMIT_REFUSED;
		return -1;
	}
	if (submission->later > 0) {
		submission->result->outcome = SUBMIT_LATER;
		return -1;
	}
	return 0;
}

/* RFC 5321 4.5.2: a dot at the start of a line is doubled. */
static int say_text(struct submission *submission)
{
	const char *at = buf_data(&submission->outgoing->message);
	const char *end = at + buf_length(&submission->outgoing->message);
	struct buf piece;
	const char *next;
	int result = 0;

	buf_init(&piece, 2 << 20);
	while (at < end && result == 0) {
		next = memchr(at, '\n', (size_t)(end - at));
		next = next == NULL ? end : next + 1;
		if (*at == '.')
			buf_add_byte(&piece, '.');
		while (at < next && result == 0) {
			size_t length = (size_t)(next - at) < WRITE_BYTES ?
			    (size_t)(next - at) : WRITE_BYTES;

			buf_add(&piece, at, length);
			at += length;
			if (buf_length(&piece) < WRITE_BYTES)
				continue;
			result = say_bytes(submission, buf_data(&piece),
			    buf_length(&piece));
			buf_reset(&piece);
		}
	}
	/* A dot behind anything but a line end would end nothing. */
	buf_add_string(&piece, buf_length(&submission->outgoing->message) < 2 ||
	    memcmp(end - 2, "\r\n", 2) != 0 ? "\r\n.\r\n" : ".\r\n");
	if (result == 0)
		result = say_bytes(submission, buf_data(&piece),
		    buf_length(&piece));
	buf_release(&piece);
	return result;
}

static int say_message(struct submission *submission)
{
	struct submit_result *result = submission->result;

	if (ask(submission, "DATA") != 3)
		return give_up(submission);
	/* Whatever is wrong while it is written, the reply says it. */
	(void)say_text(submission);
	hear(submission);
	if (submission->reply.code / 100 != 2)
		return give_up(submission);
	result->outcome = submission->refused > 0 ? SUBMIT_REFUSED :
	    SUBMIT_DONE;
	result->sent = true;
	return 0;
}

void submit(const struct submit_order *order, const struct outgoing *outgoing,
    struct submit_result *result)
{
	struct submission submission = { .order = order, .outgoing = outgoing,
	    .result = result };

	memset(result, 0, sizeof(*result));
	submission.fd = submit_connect(order->socket);
	if (submission.fd == -1) {
		result->outcome = SUBMIT_LATER;
		snprintf(result->text, sizeof(result->text), "%s: %s",
		    order->socket, strerror(errno));
		return;
	}
	if (say_hello(&submission) == 0 && say_sender(&submission) == 0 &&
	    say_recipients(&submission) == 0)
		(void)say_message(&submission);
	if (submission.reply.code != 0)
		(void)ask(&submission, "QUIT");
	if (order->verbose)
		fflush(stdout);
	close(submission.fd);
}
