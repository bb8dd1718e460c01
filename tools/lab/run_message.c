/* SPDX-License-Identifier: ISC */
/*
 * One connection, one message, one command at a time. The MTA is our peer, and
 * under test: replies are bounded and every wait ends. Who it is nobody asks
 * here, as on the way from a program to the server it is set up to use.
 */
#include "tools/lab/run_message.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "tools/lab/actors_link.h"
#include "tools/lab/scenario.h"

enum { REPLY_MS = 30000, COMMAND_MAX = 1024, LINES_MAX = 100,
    LETTER_MAX = 64 << 10 };

#define MTA_NAME "mta.origin.example"

struct talk {
	struct lab_link	 link;
	struct lab_line	 line;		/* the last of the reply */
	bool		 offers_tls, offers_requiretls;
};

/* --- replies --- */

static int dial(void)
{
	const char *told = getenv("LAB_PORT");
	struct sockaddr_in address = { .sin_family = AF_INET,
	    .sin_port = htons((uint16_t)(told != NULL ? strtoul(told, NULL,
	    10) : LAB_PORT)) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd == -1 || connect(fd, (struct sockaddr *)(void *)&address,
	    sizeof(address)) == 0)
		return fd;
	close(fd);
	return -1;
}

/* Null when nobody listens. */
static struct talk *talk_new(void)
{
	int fd = dial();
	struct talk *talk;

	if (fd == -1)
		return NULL;
	talk = mem_alloc(sizeof(*talk));
	lab_link_init(&talk->link, fd);
	return talk;
}

static void talk_free(struct talk *talk)
{
	lab_link_release(&talk->link);
	mem_free(talk);
}

/* "250-STARTTLS" */
static bool is_keyword(const struct talk *talk, const char *keyword)
{
	size_t length = strlen(keyword);

	return talk->line.length >= 4 + length &&
	    strncasecmp(talk->line.text + 4, keyword, length) == 0 &&
	    strchr(" ", talk->line.text[4 + length]) != NULL;
}

/* The reply's first digit, or -1 when there is no whole one. What it offers is
 * that of EHLO; whoever looks has just said that. */
static int read_reply(struct talk *talk)
{
	talk->link.until = clock_monotonic() + REPLY_MS;
	talk->offers_tls = talk->offers_requiretls = false;
	for (int lines = 0; lines < LINES_MAX; lines++) {
		talk->line.text[0] = '\0';
		if (lab_link_line(&talk->link, &talk->line) != 1 ||
		    talk->line.length < 3)
			return -1;
		talk->offers_tls |= is_keyword(talk, "STARTTLS");
		talk->offers_requiretls |= is_keyword(talk, "REQUIRETLS");
		if (talk->line.text[3] != '-')
			return talk->line.text[0] - '0';
	}
	return -1;
}

static int say(struct talk *talk, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static int say(struct talk *talk, const char *format, ...)
{
	char line[COMMAND_MAX];
	va_list arguments;
	int length;

	va_start(arguments, format);
	length = vsnprintf(line, sizeof(line), format, arguments);
	va_end(arguments);
	if (length < 0 || (size_t)length >= sizeof(line) ||
	    lab_link_write(&talk->link, line, (size_t)length) == -1)
		return -1;
	return read_reply(talk);
}

/* --- the message --- */

static void date(char *out, size_t size)
{
	time_t now = time(NULL);
	struct tm parts;

	gmtime_r(&now, &parts);
	strftime(out, size, "%a, %d %b %Y %H:%M:%S +0000", &parts);
}

/* RFC 5321 4.5.2 */
static void add_lines(struct buf *letter, const struct lab_texts *lines)
{
	for (size_t i = 0; i < lines->count; i++) {
		buf_add_string(letter, lines->items[i][0] == '.' ? "." : "");
		buf_add_string(letter, lines->items[i]);
		buf_add_string(letter, "\r\n");
	}
}

static int say_letter(struct talk *talk, const struct lab_step *step,
    int marker)
{
	struct buf letter;
	char now[64], *head;
	int result;

	date(now, sizeof(now));
	head = mem_print("From: <" LAB_SENDER ">\r\nTo: <%s>\r\nDate: %s\r\n"
	    "Message-ID: <lab.%d@origin.example>\r\nX-Postern-Lab: %d\r\n"
	    "Subject: message %d of the lab\r\n", step->to, now, marker,
	    marker, marker);
	buf_init(&letter, LETTER_MAX);
	buf_add_string(&letter, head);
	add_lines(&letter, &step->header);
	buf_add_string(&letter, "\r\n");
	add_lines(&letter, &step->body);
	buf_add_string(&letter, LAB_TEXT "\r\n.\r\n");
	result = lab_link_write(&talk->link, buf_data(&letter),
	    buf_length(&letter));
	buf_release(&letter);
	mem_free(head);
	return result == -1 ? -1 : read_reply(talk);
}

/* Greeted, and under TLS where that is to be; -1, perhaps with a sentence. */
static int begin(struct talk *talk, const struct lab_step *step, char *error,
    size_t size)
{
	static const char hello[] = "EHLO client.origin.example\r\n";
	const struct lab_tls_request request = { .name = MTA_NAME };

	if (read_reply(talk) != 2 || say(talk, hello) != 2)
		return -1;
	if (!step->requiretls)
		return 0;
	if (!talk->offers_tls) {
		snprintf(error, size, "it offers no STARTTLS, which a message "
		    "with REQUIRETLS needs");
		return -1;
	}
	if (say(talk, "STARTTLS\r\n") != 2)
		return -1;
	if (lab_link_secure_client(&talk->link, &request) == -1) {
		snprintf(error, size, "the handshake failed: %s",
		    talk->link.problem);
		return -1;
	}
	if (say(talk, hello) != 2)
		return -1;
	if (talk->offers_requiretls)
		return 0;
	snprintf(error, size, "it does not offer REQUIRETLS under TLS");
	return -1;
}

static bool transact(struct talk *talk, const struct lab_step *step,
    int marker)
{
	return say(talk, "MAIL FROM:<" LAB_SENDER ">%s%s%s\r\n",
	    step->requiretls ? " REQUIRETLS" : "",
	    step->parameters[0] != '\0' ? " " : "", step->parameters) == 2 &&
	    say(talk, "RCPT TO:<%s>\r\n", step->to) == 2 &&
	    say(talk, "DATA\r\n") == 3 &&
	    say_letter(talk, step, marker) == 2;
}

/* --- from outside --- */

int lab_message_wait(unsigned seconds, char *error, size_t size)
{
	const struct timespec pause = { 0, 20000000 };
	time_t end = time(NULL) + (time_t)seconds;
	int first = -1;

	do {
		struct talk *talk = talk_new();

		if (talk != NULL) {
			first = read_reply(talk);
			if (first == 2)
				say(talk, "QUIT\r\n");
			talk_free(talk);
		}
		if (first == 2)
			return 0;
		nanosleep(&pause, NULL);
	} while (time(NULL) <= end);
	snprintf(error, size, "the MTA does not greet on port %d of 127.0.0.1 "
	    "within %u seconds", LAB_PORT, seconds);
	return -1;
}

int lab_message_send(const struct lab_step *step, int marker,
    struct lab_handover *handover)
{
	struct talk *talk = talk_new();
	char why[300] = "";
	bool taken;

	memset(handover, 0, sizeof(*handover));
	if (talk == NULL) {
		snprintf(handover->error, sizeof(handover->error), "the MTA "
		    "does not listen: %s", strerror(errno));
		return -1;
	}
	taken = begin(talk, step, why, sizeof(why)) == 0 &&
	    transact(talk, step, marker);
	snprintf(handover->reply, sizeof(handover->reply), "%.399s",
	    talk->line.text);
	if (taken)
		say(talk, "QUIT\r\n");
	else
		snprintf(handover->error, sizeof(handover->error), "the MTA "
		    "did not take the message: %.390s", why[0] != '\0' ? why :
		    handover->reply[0] != '\0' ? handover->reply : "no reply");
	talk_free(talk);
	return taken ? 0 : -1;
}
