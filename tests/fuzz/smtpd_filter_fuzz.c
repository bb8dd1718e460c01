/* SPDX-License-Identifier: ISC */
/*
 * A chain of two filters that say whatever the input says, and a client. Lines
 * of the input up to an empty one are scripts (tests/scripted_filter.h): "1" or
 * "2", then the line; lines that are none are left out. What follows is the
 * header and body of the client's message, and of a second one. The first byte
 * chooses credit, failure policy and memory. What must hold: nothing crashes,
 * leaks or stays open, the contract of the queue is kept (the fake aborts, also
 * for pieces that do not fit and lines that are none), and what a filter adds
 * to a header does not end it: the second message still has its body.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/loop.h"
#include "base/mem.h"
#include "smtpd/rules.h"
#include "smtpd/spool.h"
#include "tests/scripted_filter.h"
#include "tests/smtpd_world.h"

static struct rules *rules[4];
static bool new_body;

static void say(int fd, const void *data, size_t size)
{
	char drain[4096];

	for (size_t at = 0; at < size;) {
		ssize_t sent = send(fd, (const char *)data + at, size - at,
		    MSG_DONTWAIT | MSG_NOSIGNAL);

		if (sent > 0)
			at += (size_t)sent;
		else if (world_turns(2), recv(fd, drain, sizeof(drain),
		    MSG_DONTWAIT) == 0)
			return;
	}
	for (unsigned i = 0; i < 40; i++)
		world_turns(4);
	while (recv(fd, drain, sizeof(drain), MSG_DONTWAIT) > 0)
		continue;
}

/* The scripts; how many bytes they take, with the empty line. */
static size_t read_scripts(const char *text, size_t size)
{
	size_t at = 0;

	while (at < size) {
		const char *end = memchr(text + at, '\n', size - at);
		size_t length = end == NULL ? size - at :
		    (size_t)(end - text) - at;
		char *line;

		if (length == 0)
			return at + 1;
		line = mem_alloc(length + 1);
		memcpy(line, text + at, length);
		if (length > 2 && (line[0] == '1' || line[0] == '2'))
			scripted_filter_set(line[0] == '1' ? "one" : "two",
			    line + 2);
		new_body |= strstr(line, "body") != NULL ||
		    strstr(line, "fill") != NULL;
		mem_free(line);
		at += length + (end != NULL);
	}
	return at;
}

/* What goes out has as many empty lines as it must: the filter's fields are
 * fields. Bodies of filters may be anything. */
static void check_view(size_t ended)
{
	static const char rest[] = "\r\n\r\nbody\r\n";
	const struct buf *view = &fake_peers.view;
	const char *end;

	if (fake_peers.ended == ended || buf_length(view) == 0 ||
	    new_body)
		return;
	end = memmem(buf_data(view), buf_length(view), rest, 4);
	end = end == NULL ? buf_data(view) : end + 2;	/* no field is left */
	if ((size_t)(buf_data(view) + buf_length(view) - end) !=
	    sizeof(rest) - 3 || memcmp(end, rest + 2, sizeof(rest) - 3) != 0)
		abort();
}

/* The client's text as lines, with no dot alone. */
static void say_message(int fd, const char *text, size_t size)
{
	static const char before[] = "MAIL FROM:<a@client.example>\r\n",
	    recipients[] = "RCPT TO:<team@example.org>\r\n"
	    "RCPT TO:<bob@example.org>\r\n", data[] = "DATA\r\n",
	    after[] = "\r\n.\r\n", reset[] = "RSET\r\n";
	struct buf out;

	buf_init(&out, 1 << 20);
	for (size_t i = 0; i < size; i++) {
		if (text[i] == '\n')
			buf_add(&out, "\r\n", 2);
		else if (text[i] != '\r' && text[i] != '\0')
			buf_add_byte(&out, text[i] == '.' ? ',' : text[i]);
	}
	say(fd, before, sizeof(before) - 1);
	say(fd, recipients, sizeof(recipients) - 1);
	say(fd, data, sizeof(data) - 1);
	say(fd, buf_data(&out), buf_length(&out));
	say(fd, after, sizeof(after) - 1);
	say(fd, reset, sizeof(reset) - 1);
	buf_release(&out);
}

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	static const char *const failures[] = { "tempfail", "accept",
	    "reject" };

	(void)argc;
	(void)argv;
	world_prepare();
	for (unsigned i = 0; i < 4; i++) {
		char *conf = mem_print("max-message-size = 100K\n"
		    "max-line = 1000\nfilter-memory = %uM\n"
		    "milter one { socket = \"/run/one\" failure = %s }\n"
		    "milter two { socket = \"/run/two\" failure = %s }\n"
		    "milters = { one, two }\n", i < 3 ? 64 : 1,
		    failures[i % 3], failures[(i + 1) % 3]);

		rules[i] = world_rules(conf, "", true);
		mem_free(conf);
		if (rules[i] == NULL)
			return 1;
	}
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const size_t windows[] = { 256 << 10, 7, 100, 5000 };
	static const char hello[] = "EHLO client.example\r\n";
	const char *text = (const char *)data;
	struct world world;
	size_t used, ended;
	int pair[2];

	if (size < 4 || size > 20000)
		return -1;
	new_body = false;
	world_init(&world);
	fake_peers.window = windows[data[0] & 3];
	fake_peers.directory_down = (data[0] & 0x70) == 0x70;
	server_set_rules(&world.server, rules_share(rules[data[0] >> 2 & 3]));
	used = 1 + read_scripts(text + 1, size - 1);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0,
	    pair) < 0)
		abort();
	world_session(&world, pair[1], "198.51.100.7");
	world_turns(20);
	say(pair[0], hello, sizeof(hello) - 1);
	if (used < size)
		say_message(pair[0], text + used, size - used);
	ended = fake_peers.ended;
	say_message(pair[0], "Subject: s\n\nbody", 16);
	check_view(ended);
	close(pair[0]);
	world_turns(10);
	world_release(&world);
	if (fake_peers_open() != 0 || spool_total() != 0 ||
	    scripted_filters_open() != 0)
		abort();
	scripted_filters_reset();
	fake_peers_reset();
	return 0;
}
