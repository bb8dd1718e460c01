/* SPDX-License-Identifier: ISC */
/*
 * Single moves on the client's one connection. Writes never fail a move: a
 * server may end the connection while we speak, and what that means is decided
 * where the next answer is awaited. Every wait has its own deadline.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "tools/lab/dialogue_private.h"
#include "tools/lab/event.h"
#include "tools/lab/path.h"
#include "tools/lab/run_message.h"
#include "tools/lab/scenario_options.h"

enum {
	REPLY_MS = 20000,
	CLOSED_MS = 5000,
	PIECE_MS = 5, CUT_MS = 20,
	RELAY_MS = 1000,	/* for what is under way when we have ended */
	LINES_MAX = 1000,
	TOLD_MAX = 500,		/* bytes of an event */
	PIECE_MAX = 16384
};

enum answer { ANSWER_WHOLE, ANSWER_END, ANSWER_LATE, ANSWER_NONE };

enum lab_move_end lab_client_say(struct lab_client *client,
    enum lab_move_end end, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(client->said, sizeof(client->said), format, arguments);
	va_end(arguments);
	return end;
}

void lab_client_hurry(struct lab_client *client, int64_t ms)
{
	client->link.until = clock_monotonic() + ms;
	client->link.problem[0] = '\0';
}

bool lab_client_is_late(struct lab_client *client)
{
	return client->link.fd != -1 &&
	    clock_monotonic() >= client->link.until;
}

static void pause_for(int64_t ms)
{
	struct timespec time = { ms / 1000, ms % 1000 * 1000000 };

	while (nanosleep(&time, &time) == -1 && errno == EINTR)
		continue;
}

static void tell(const struct lab_client *client, const char *event,
    const char *data, size_t length)
{
	lab_event("client", event, json_pack("{s:o, s:b}", "text",
	    lab_event_bytes(data, length < TOLD_MAX ? length : TOLD_MAX),
	    "tls", client->link.ssl != NULL));
}

/* --- connections --- */

static void bury_relay(struct lab_client *client)
{
	int64_t end = clock_monotonic() + RELAY_MS;

	if (client->relay <= 0)
		return;
	while (waitpid(client->relay, NULL, WNOHANG) == 0) {
		if (clock_monotonic() > end)
			kill(client->relay, SIGKILL);
		pause_for(1);
	}
	client->relay = 0;
}

static void disconnect(struct lab_client *client)
{
	if (client->is_connected)
		lab_link_release(&client->link);
	client->is_connected = false;
	client->link.fd = -1;
	bury_relay(client);
}

static int dial(unsigned port)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
	    .sin_port = htons((uint16_t)port) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd == -1 || connect(fd, (struct sockaddr *)(void *)&address,
	    sizeof(address)) == 0)
		return fd;
	close(fd);
	return -1;
}

/* Our end of a path that cuts all into single bytes; takes fd. */
static int dial_in_pieces(struct lab_client *client, int fd)
{
	int ends[2];

	if (lab_path_pair(ends) == -1) {
		close(fd);
		return -1;
	}
	client->relay = fork();
	if (client->relay == 0) {
		close(ends[0]);
		lab_path_relay(LAB_PATH_PIECES, ends[1], fd);
		_exit(0);
	}
	close(ends[1]);
	close(fd);
	return ends[0];
}

/* Where the driver was told that a service is to listen; in the order of
 * lab_service_words. */
static unsigned port_of(int service)
{
	static const struct { const char *name; unsigned port; } ports[] = {
	    { "LAB_PORT", LAB_PORT },
	    { "LAB_SUBMISSION_PORT", LAB_SUBMISSION_PORT },
	    { "LAB_SUBMISSIONS_PORT", LAB_SUBMISSIONS_PORT } };
	const char *told = getenv(ports[service].name);

	return told != NULL ? (unsigned)strtoul(told, NULL, 10) :
	    ports[service].port;
}

static enum lab_move_end move_connect(struct lab_client *client,
    const struct lab_move *move)
{
	int service = lab_word_index(lab_service_words, move->argument,
	    strcspn(move->argument, " "));
	int fd;

	disconnect(client);
	buf_reset(&client->reply);
	fd = dial(port_of(service));
	lab_event("client", "connect", json_pack("{s:s}", "service",
	    lab_service_words[service]));
	if (fd != -1 && move->in_pieces)
		fd = dial_in_pieces(client, fd);
	if (fd == -1)
		return lab_client_say(client, LAB_MOVE_UNSERVED, "no "
		    "connection to %s, port %u: %s",
		    lab_service_words[service], port_of(service),
		    strerror(errno));
	lab_link_init(&client->link, fd);
	client->is_connected = true;
	return LAB_MOVE_HOLDS;
}

/* --- what the client says --- */

static void write_bytes(struct lab_client *client, const char *data,
    size_t length)
{
	lab_client_hurry(client, REPLY_MS);
	lab_link_write(&client->link, data, length);
}

static void write_pieces(struct lab_client *client, const struct buf *bytes,
    size_t piece)
{
	for (size_t at = 0; at < buf_length(bytes); at += piece) {
		size_t left = buf_length(bytes) - at;

		if (at > 0)
			pause_for(PIECE_MS);
		write_bytes(client, buf_data(bytes) + at,
		    left < piece ? left : piece);
		if (client->link.problem[0] != '\0')
			return;
	}
}

static enum lab_move_end move_say(struct lab_client *client,
    const struct lab_move *move, size_t cut_at)
{
	int64_t times = move->verb == LAB_VERB_REPEAT ? move->number : 1;
	struct buf bytes;

	buf_init(&bytes, LAB_BYTES_MAX);
	for (int64_t i = 0; i < times; i++)
		lab_move_bytes(move->argument, &bytes);
	if (move->verb == LAB_VERB_SAY)
		buf_add(&bytes, "\r\n", 2);
	tell(client, "say", buf_data(&bytes), buf_length(&bytes));
	if (move->verb == LAB_VERB_PIECES) {
		write_pieces(client, &bytes, (size_t)move->number);
	} else if (move->verb == LAB_VERB_CUT && cut_at > 0) {
		write_bytes(client, buf_data(&bytes), cut_at);
		pause_for(CUT_MS);
		write_bytes(client, buf_data(&bytes) + cut_at,
		    buf_length(&bytes) - cut_at);
	} else {
		write_bytes(client, buf_data(&bytes), buf_length(&bytes));
	}
	buf_release(&bytes);
	return LAB_MOVE_HOLDS;
}

/* --- what the server says --- */

/* RFC 5321 4.2: three digits, and "-" but in the last line. */
static bool is_reply_line(const struct lab_line *line, bool *last)
{
	for (int i = 0; i < 3; i++)
		if (line->text[i] < '0' || line->text[i] > '9')
			return false;
	*last = line->text[3] != '-';
	return line->text[3] == '-' || line->text[3] == ' ' ||
	    line->length == 3;
}

static enum answer read_reply(struct lab_client *client)
{
	static struct lab_line line;
	bool last = false;

	buf_reset(&client->reply);
	lab_client_hurry(client, REPLY_MS);
	for (int lines = 0; lines < LINES_MAX && !last; lines++) {
		int got = lab_link_line(&client->link, &line);

		if (got <= 0) {
			bool late = lab_client_is_late(client);

			tell(client, "hear", buf_data(&client->reply),
			    buf_length(&client->reply));
			lab_event("client", "end", json_pack("{s:s}",
			    "problem", got == 0 ? "" : client->link.problem));
			return late ? ANSWER_LATE : ANSWER_END;
		}
		if (buf_add(&client->reply, line.text, line.length) == -1 ||
		    buf_add_byte(&client->reply, '\n') == -1 ||
		    !is_reply_line(&line, &last))
			break;
	}
	tell(client, "hear", buf_data(&client->reply),
	    buf_length(&client->reply));
	return last ? ANSWER_WHOLE : ANSWER_NONE;
}

/* The last line of the reply, for a sentence. */
static const char *last_line(struct lab_client *client, int *length)
{
	const char *text = buf_string(&client->reply);
	size_t end = strlen(text), begin;

	while (end > 0 && text[end - 1] == '\n')
		end--;
	for (begin = end; begin > 0 && text[begin - 1] != '\n'; begin--)
		continue;
	*length = end - begin > 200 ? 200 : (int)(end - begin);
	return text + begin;
}

static enum lab_move_end move_want(struct lab_client *client,
    const struct lab_move *move)
{
	bool only = move->verb == LAB_VERB_ONLY;
	enum answer answer = read_reply(client);
	const char *text;
	int length;

	if (answer == ANSWER_LATE)
		return lab_client_say(client, LAB_MOVE_UNSERVED, "no reply in "
		    "%d seconds", REPLY_MS / 1000);
	if (answer == ANSWER_END)
		return lab_client_say(client, only ? LAB_MOVE_ENDS :
		    LAB_MOVE_UNSERVED, "the server ended the connection");
	if (answer == ANSWER_WHOLE && lab_codes_match(move->argument,
	    buf_data(&client->reply)))
		return LAB_MOVE_HOLDS;
	text = last_line(client, &length);
	return lab_client_say(client, only ? LAB_MOVE_UNSAFE :
	    LAB_MOVE_UNSERVED, "the server said \"%.*s\", and not %s", length,
	    text, move->argument);
}

static enum lab_move_end move_enough(struct lab_client *client,
    const struct lab_move *move)
{
	if (buf_length(&client->reply) < 3 || !lab_codes_match(move->argument,
	    buf_data(&client->reply)))
		return LAB_MOVE_HOLDS;
	return lab_client_say(client, LAB_MOVE_ENDS, "the server refused "
	    "with %.3s", buf_data(&client->reply));
}

static bool has_keyword(struct lab_client *client, const char *keyword)
{
	const char *line = buf_string(&client->reply);
	size_t length = strlen(keyword);

	while (*line != '\0') {
		if (strcspn(line, "\n") >= 4 + length &&
		    strncasecmp(line + 4, keyword, length) == 0 &&
		    strchr(" =\n", line[4 + length]) != NULL)
			return true;
		line += strcspn(line, "\n");
		line += *line == '\n';
	}
	return false;
}

static enum lab_move_end move_keyword(struct lab_client *client,
    const struct lab_move *move)
{
	const char *word = move->argument;
	bool there = has_keyword(client, word);

	if (there == (move->verb != LAB_VERB_LACKS))
		return LAB_MOVE_HOLDS;
	if (there)
		return lab_client_say(client, LAB_MOVE_UNSAFE, "the server "
		    "offers %s", word);
	return lab_client_say(client, move->verb == LAB_VERB_NEEDS ?
	    LAB_MOVE_ENDS : LAB_MOVE_UNSERVED, "the server does not offer %s",
	    word);
}

/* Reads what comes until the deadline; its length, 0 at the end, -1. */
static ssize_t read_some(struct lab_client *client, char *data, size_t size)
{
	size_t waiting = buf_length(&client->link.input);
	ssize_t got;

	if (waiting > 0) {
		got = (ssize_t)(waiting < size ? waiting : size);
		memcpy(data, buf_data(&client->link.input), (size_t)got);
		buf_consume(&client->link.input, (size_t)got);
	} else {
		got = lab_link_read(&client->link, data, size);
	}
	if (got > 0)
		tell(client, "hear", data, (size_t)got);
	return got;
}

static enum lab_move_end move_quiet(struct lab_client *client,
    const struct lab_move *move)
{
	char data[1024];
	ssize_t got;

	lab_client_hurry(client, move->number);
	got = read_some(client, data, sizeof(data));
	if (got <= 0 && lab_client_is_late(client))
		return LAB_MOVE_HOLDS;
	/* In clear, an alert is the end of what was to be TLS. */
	if (got <= 0 || (client->link.ssl == NULL && data[0] == 21))
		return lab_client_say(client, LAB_MOVE_ENDS, "the server "
		    "ended the connection");
	return lab_client_say(client, LAB_MOVE_UNSAFE, "the server said "
	    "\"%.*s\", and should have nothing to say",
	    got < 200 ? (int)strcspn(data, "\r\n") % 200 : 200, data);
}

static enum lab_move_end move_closed(struct lab_client *client)
{
	char data[4096];

	lab_client_hurry(client, CLOSED_MS);
	while (read_some(client, data, sizeof(data)) > 0)
		if (lab_client_is_late(client))
			break;
	if (!lab_client_is_late(client))
		return LAB_MOVE_HOLDS;
	return lab_client_say(client, LAB_MOVE_UNSAFE, "the server did not "
	    "end the connection in %d seconds", CLOSED_MS / 1000);
}

/* --- the end --- */

static enum lab_move_end move_unwrap(struct lab_client *client)
{
	lab_client_hurry(client, REPLY_MS);
	if (lab_link_unwrap(&client->link) == 0)
		return LAB_MOVE_HOLDS;
	return lab_client_say(client, LAB_MOVE_UNSERVED, "there is no TLS to "
	    "be ended");
}

static enum lab_move_end move_end(struct lab_client *client,
    enum lab_verb verb)
{
	lab_client_hurry(client, REPLY_MS);
	if (verb == LAB_VERB_CLOSE)
		lab_link_close(&client->link);
	else if (verb == LAB_VERB_DROP)
		lab_link_cut(&client->link);
	else
		lab_link_reset(&client->link);
	disconnect(client);
	return LAB_MOVE_HOLDS;
}

enum lab_move_end lab_client_move(struct lab_client *client,
    const struct lab_move *move, size_t cut_at)
{
	if (!client->is_connected && move->verb != LAB_VERB_CONNECT &&
	    move->verb != LAB_VERB_WAIT)
		return lab_client_say(client, LAB_MOVE_UNSERVED, "there is no "
		    "connection");
	switch (move->verb) {
	case LAB_VERB_CONNECT:
		return move_connect(client, move);
	case LAB_VERB_SECURE:
		return lab_client_secure(client, &move->handshake);
	case LAB_VERB_INSECURE:
		return lab_client_insecure(client, &move->handshake);
	case LAB_VERB_ACCEPTS:
	case LAB_VERB_REFUSES:
		return lab_client_hello(client, &move->hello,
		    move->verb == LAB_VERB_ACCEPTS);
	case LAB_VERB_RENEGOTIATE:
		return lab_client_renegotiate(client);
	case LAB_VERB_KEEP:
		lab_client_keep(client);
		return LAB_MOVE_HOLDS;
	case LAB_VERB_FRESH:
		return lab_client_fresh(client);
	case LAB_VERB_UNASKED:
		return lab_client_unasked(client);
	case LAB_VERB_SAY:
	case LAB_VERB_SEND:
	case LAB_VERB_REPEAT:
	case LAB_VERB_PIECES:
	case LAB_VERB_CUT:
		return move_say(client, move, cut_at);
	case LAB_VERB_WANT:
	case LAB_VERB_ONLY:
		return move_want(client, move);
	case LAB_VERB_ENOUGH:
		return move_enough(client, move);
	case LAB_VERB_OFFERS:
	case LAB_VERB_LACKS:
	case LAB_VERB_NEEDS:
		return move_keyword(client, move);
	case LAB_VERB_QUIET:
		return move_quiet(client, move);
	case LAB_VERB_CLOSED:
		return move_closed(client);
	case LAB_VERB_UNWRAP:
		return move_unwrap(client);
	case LAB_VERB_CLOSE:
	case LAB_VERB_DROP:
	case LAB_VERB_RESET:
		return move_end(client, move->verb);
	case LAB_VERB_WAIT:
		pause_for(move->number);
		return LAB_MOVE_HOLDS;
	default:
		bug("lab-move");
	}
}

void lab_client_init(struct lab_client *client)
{
	memset(client, 0, sizeof(*client));
	client->link.fd = -1;
	buf_init(&client->reply, LAB_REPLY_MAX);
}

void lab_client_release(struct lab_client *client)
{
	disconnect(client);
	buf_release(&client->reply);
	SSL_SESSION_free(client->kept);
}
