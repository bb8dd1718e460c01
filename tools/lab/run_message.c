/* SPDX-License-Identifier: ISC */
/*
 * One connection, one message, one line at a time. The MTA is our peer, and
 * under test: replies are bounded and every wait ends.
 */
#include "tools/lab/run_message.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

enum { REPLY_SECONDS = 30, LINE_LENGTH = 1024, LINES_MAX = 100 };

struct talk {
	int	 fd;
	char	 line[LINE_LENGTH];	/* the last of the reply */
};

static int dial(void)
{
	const struct timeval patience = { .tv_sec = REPLY_SECONDS };
	struct sockaddr_in address = { .sin_family = AF_INET,
	    .sin_port = htons(LAB_PORT) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd == -1)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	if (connect(fd, (struct sockaddr *)(void *)&address,
	    sizeof(address)) == 0)
		return fd;
	close(fd);
	return -1;
}

static int read_line(struct talk *talk)
{
	size_t used = 0;
	char byte;

	while (used < LINE_LENGTH - 1 && recv(talk->fd, &byte, 1, 0) == 1) {
		if (byte == '\n') {
			talk->line[used] = '\0';
			return 0;
		}
		if (byte != '\r')
			talk->line[used++] = byte;
	}
	talk->line[used] = '\0';
	return -1;
}

/* The reply's first digit, or -1 when there is no whole one. */
static int read_reply(struct talk *talk)
{
	for (int lines = 0; lines < LINES_MAX; lines++) {
		if (read_line(talk) == -1 || strlen(talk->line) < 3)
			return -1;
		if (talk->line[3] != '-')
			return talk->line[0] - '0';
	}
	return -1;
}

static int say(struct talk *talk, const char *format, ...)
{
	char line[LINE_LENGTH];
	va_list arguments;
	int length;

	va_start(arguments, format);
	length = vsnprintf(line, sizeof(line), format, arguments);
	va_end(arguments);
	if (length < 0 || (size_t)length >= sizeof(line) ||
	    send(talk->fd, line, (size_t)length, MSG_NOSIGNAL) != length)
		return -1;
	return read_reply(talk);
}

static void date(char *out, size_t size)
{
	time_t now = time(NULL);
	struct tm parts;

	gmtime_r(&now, &parts);
	strftime(out, size, "%a, %d %b %Y %H:%M:%S +0000", &parts);
}

static bool transact(struct talk *talk, const char *to, int marker)
{
	char now[64];

	date(now, sizeof(now));
	return read_reply(talk) == 2 &&
	    say(talk, "EHLO client.origin.example\r\n") == 2 &&
	    say(talk, "MAIL FROM:<" LAB_SENDER ">\r\n") == 2 &&
	    say(talk, "RCPT TO:<%s>\r\n", to) == 2 &&
	    say(talk, "DATA\r\n") == 3 &&
	    say(talk, "From: <" LAB_SENDER ">\r\nTo: <%s>\r\nDate: %s\r\n"
	    "Message-ID: <lab.%d@origin.example>\r\nX-Postern-Lab: %d\r\n"
	    "Subject: message %d of the lab\r\n\r\nText.\r\n.\r\n", to, now,
	    marker, marker, marker) == 2;
}

int lab_message_wait(unsigned seconds, char *error, size_t size)
{
	const struct timespec pause = { 0, 20000000 };
	time_t end = time(NULL) + (time_t)seconds;
	struct talk talk;
	int first = -1;

	do {
		talk.fd = dial();
		if (talk.fd != -1) {
			first = read_reply(&talk);
			if (first == 2)
				say(&talk, "QUIT\r\n");
			close(talk.fd);
		}
		if (first == 2)
			return 0;
		nanosleep(&pause, NULL);
	} while (time(NULL) <= end);
	snprintf(error, size, "the MTA does not greet on port %d of 127.0.0.1 "
	    "within %u seconds", LAB_PORT, seconds);
	return -1;
}

int lab_message_send(const char *to, int marker, char *reply, size_t size,
    char *error, size_t error_size)
{
	struct talk talk = { .fd = dial() };
	bool taken;

	reply[0] = '\0';
	if (talk.fd == -1) {
		snprintf(error, error_size, "the MTA does not listen: %s",
		    strerror(errno));
		return -1;
	}
	taken = transact(&talk, to, marker);
	snprintf(reply, size, "%s", talk.line);
	if (taken)
		say(&talk, "QUIT\r\n");
	else
		snprintf(error, error_size, "the MTA did not take the "
		    "message: %s", talk.line[0] != '\0' ? talk.line :
		    "no reply");
	close(talk.fd);
	return taken ? 0 : -1;
}
