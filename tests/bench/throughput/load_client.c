/* SPDX-License-Identifier: ISC */
/*
 * load_client: an SMTP client that loads a server and times it. N connections
 * on one thread (or a share of them on each of several), each a plain
 * conversation: greeting, EHLO, with --tls STARTTLS, a handshake and EHLO again,
 * and per message MAIL, RCPT, DATA, body, and QUIT at its end. It leans on
 * nothing of the server it measures, and verifies no certificate. The result is
 * one JSON object on standard output; the exit status is 0 only when every
 * message was accepted.
 *
 * With --hold it sends nothing: it says "held N" when all connections are open
 * and greeted, and keeps them until its standard input ends.
 *
 * Two times per message: "reply" is from the last byte of the body handed to
 * the kernel until the 250, which is what the server's flush costs the client;
 * "transaction" is from MAIL (with a new connection: from connect) to that 250.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <jansson.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "tests/bench/throughput/wire.h"

enum { INPUT_MAX = 4096, EVENTS_MAX = 256, LINE_LENGTH = 76, TEXT_MAX = 512,
    THREADS_MAX = 64, OPENING_MAX = 200 };

/*
 * The reply that is awaited. What is sent on entering a step is texts[step].
 *
 *	GREETING -> HELLO --clear--------------> MAIL -> RCPT -> DATA -> BODY
 *	              |                           ^                       |
 *	              +-> STARTTLS -> HANDSHAKE   +------next message-----+
 *	                                 |        ^                       |
 *	                                 v        |                 last  v
 *	                             HELLO_AGAIN -+                     QUIT
 *
 * With --hold the last step before MAIL leads to HELD.
 */
enum step { STEP_GREETING, STEP_HELLO, STEP_STARTTLS, STEP_HANDSHAKE,
    STEP_HELLO_AGAIN, STEP_MAIL, STEP_RCPT, STEP_DATA, STEP_BODY, STEP_QUIT,
    STEP_HELD, STEP_COUNT };

/* Of the handshake no reply is awaited, and none while a connection is held. */
static const int expected[STEP_COUNT] = { 220, 250, 220, 0, 250, 250, 250, 354,
    250, 221, 0 };

struct options {
	const char	*host;		/* numeric IPv4 */
	const char	*sender;
	const char	*recipient;
	unsigned long	 port;
	unsigned long	 connections;
	unsigned long	 messages;
	unsigned long	 size;		/* bytes of header and body together */
	unsigned long	 per_connection;	/* messages; 0: no limit */
	unsigned long	 timeout;	/* seconds without any progress */
	unsigned long	 spread;	/* numbers that "#" stands for */
	unsigned long	 threads;
	unsigned long	 seconds;	/* no new message after it; 0: never */
	bool		 pipelining;
	bool		 tls;
	bool		 resume;	/* each connection its last session */
	bool		 hold;
};

struct text {
	char		*bytes;		/* owned */
	size_t		 length;
};

struct session {
	struct load	*load;		/* outlives us */
	struct wire	 wire;
	SSL_SESSION	*ticket;	/* owned; null: none yet */
	enum step	 step;
	bool		 has_message;	/* took one that is not settled */
	unsigned long	 number;	/* of that message */
	char		 envelope[TEXT_MAX];	/* commands with numbers */
	unsigned long	 sent;		/* messages on this connection */
	const char	*output;	/* in the load's texts */
	size_t		 output_left;
	bool		 watches_write;	/* as epoll was told */
	int64_t		 started;	/* of the transaction; microseconds */
	int64_t		 body_sent;
	char		 input[INPUT_MAX];
	size_t		 input_length;
};

/* One thread's share. */
struct load {
	struct options	 options;	/* connections, messages: the share */
	struct sockaddr_in address;
	SSL_CTX		*context;	/* of all threads; null: in clear */
	int		 epoll;
	pthread_t	 thread;
	struct session	*sessions;	/* owned; options.connections */
	struct text	 texts[STEP_COUNT];
	unsigned long	 taken;		/* messages that a session took */
	unsigned long	 accepted;
	unsigned long	 failed;
	unsigned long	 opened;	/* connections, in all */
	unsigned long	 open;
	unsigned long	 held;
	unsigned long	 begun;		/* sessions that were ever opened */
	unsigned long	 handshakes;
	unsigned long	 resumed;	/* of the handshakes */
	uint32_t	*reply;		/* owned; microseconds, accepted */
	uint32_t	*transaction;	/* owned; the same */
	int64_t		 begin, progress, last;	/* microseconds */
	char		 why[TEXT_MAX];	/* the first failure */
	char		 agreed[TEXT_MAX];	/* by the first handshake */
};

static void die(const char *format, ...)
    __attribute__((format(printf, 1, 2), noreturn));

static void die(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	fputs("load_client: ", stderr);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fputc('\n', stderr);
	exit(2);
}

static int64_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (int64_t)time.tv_sec * 1000000 + time.tv_nsec / 1000;
}

static void *allocate(size_t count, size_t size)
{
	void *memory = calloc(count > 0 ? count : 1, size);

	if (memory == NULL)
		die("no memory");
	return memory;
}

/* --- what is sent --- */

static void text_print(struct text *text, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void text_print(struct text *text, const char *format, ...)
{
	va_list arguments;
	int length;

	va_start(arguments, format);
	length = vasprintf(&text->bytes, format, arguments);
	va_end(arguments);
	if (length < 0)
		die("no memory");
	text->length = (size_t)length;
}

/* A message of exactly size bytes, if that has room for its header, and the
 * line with the dot behind it. */
static void make_body(struct text *text, const struct options *options)
{
	static const char end[] = "\r\n.\r\n";
	struct text head;
	size_t length, i;

	text_print(&head, "From: <%s>\r\nTo: <%s>\r\nSubject: load\r\n\r\n",
	    options->sender, options->recipient);
	length = options->size > head.length + 2 ? options->size :
	    head.length + 2;
	text->length = length + 3;
	text->bytes = allocate(text->length, 1);
	memcpy(text->bytes, head.bytes, head.length);
	for (i = head.length; i < length - 2; i++)
		text->bytes[i] = (char)('a' + i % 26);
	for (i = head.length + LINE_LENGTH; i + 2 < length - 2;
	    i += LINE_LENGTH + 2)
		memcpy(text->bytes + i, "\r\n", 2);
	memcpy(text->bytes + length - 2, end, sizeof(end) - 1);
	free(head.bytes);
}

/* With pipelining the three commands of a message leave at once. */
static void make_texts(struct load *load)
{
	const struct options *options = &load->options;
	struct text *texts = load->texts;

	text_print(&texts[STEP_GREETING], "%s", "");
	text_print(&texts[STEP_HELLO], "EHLO load.example\r\n");
	text_print(&texts[STEP_STARTTLS], "STARTTLS\r\n");
	text_print(&texts[STEP_HELLO_AGAIN], "EHLO load.example\r\n");
	text_print(&texts[STEP_MAIL], "MAIL FROM:<%s>\r\n%s%s%s%s",
	    options->sender, options->pipelining ? "RCPT TO:<" : "",
	    options->pipelining ? options->recipient : "",
	    options->pipelining ? ">\r\n" : "",
	    options->pipelining ? "DATA\r\n" : "");
	if (!options->pipelining) {
		text_print(&texts[STEP_RCPT], "RCPT TO:<%s>\r\n",
		    options->recipient);
		text_print(&texts[STEP_DATA], "DATA\r\n");
	}
	make_body(&texts[STEP_BODY], options);
	text_print(&texts[STEP_QUIT], "QUIT\r\n");
}

/* --- one connection --- */

static void session_watch(struct session *session, int operation)
{
	struct epoll_event event = { .events = EPOLLIN };

	session->watches_write = session->output_left > 0 ||
	    session->wire.wants_write;
	if (session->watches_write)
		event.events |= EPOLLOUT;
	event.data.ptr = session;
	if (epoll_ctl(session->load->epoll, operation, session->wire.fd,
	    &event) < 0)
		die("epoll_ctl: %s", strerror(errno));
}

static bool session_is_open(const struct session *session)
{
	return session->wire.fd >= 0;
}

static void session_close(struct session *session)
{
	wire_close(&session->wire);
	session->load->open--;
	if (session->step == STEP_HELD)
		session->load->held--;
}

static void session_fail(struct session *session, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The message it was at counts as failed, and the connection ends. */
static void session_fail(struct session *session, const char *format, ...)
{
	struct load *load = session->load;
	va_list arguments;

	if (load->why[0] == '\0') {
		va_start(arguments, format);
		vsnprintf(load->why, sizeof(load->why), format, arguments);
		va_end(arguments);
		for (char *c = load->why; *c != '\0'; c++)
			*c = *c < ' ' || *c > '~' ? ' ' : *c;
	}
	if (session->has_message) {
		session->has_message = false;
		load->failed++;
	}
	session_close(session);
}

/* All have been taken, or the time is over. */
static bool load_is_over(const struct load *load)
{
	int64_t limit = (int64_t)load->options.seconds * 1000000;

	return load->taken == load->options.messages ||
	    (limit > 0 && now() - load->begin >= limit);
}

static void session_take_message(struct session *session)
{
	session->number = session->load->taken++;
	session->has_message = true;
	session->started = now();
}

static void session_reset(struct session *session)
{
	session->step = STEP_GREETING;
	session->sent = 0;
	session->input_length = 0;
	session->output_left = 0;
}

/* A new connection for the next message, if there is one left. */
static void session_open(struct session *session)
{
	struct load *load = session->load;
	int one = 1, fd;

	if (load_is_over(load))
		return;
	fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		die("socket: %s", strerror(errno));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	wire_init(&session->wire, fd);
	session_reset(session);
	load->opened++;
	load->open++;
	session_take_message(session);
	if (connect(fd, (struct sockaddr *)&load->address,
	    sizeof(load->address)) < 0 && errno != EINPROGRESS)
		session_fail(session, "connect: %s", strerror(errno));
	else
		session_watch(session, EPOLL_CTL_ADD);
}

/* Epoll is told of it when what is awaited has changed. */
static void session_watch_again(struct session *session)
{
	bool wanted = session->output_left > 0 || session->wire.wants_write;

	if (wanted != session->watches_write)
		session_watch(session, EPOLL_CTL_MOD);
}

static void session_write(struct session *session)
{
	ssize_t sent;

	while (session->output_left > 0) {
		sent = wire_write(&session->wire, session->output,
		    session->output_left);
		if (sent == WIRE_AGAIN)
			break;
		if (sent < 0) {
			session_fail(session, "send: %s", wire_error());
			return;
		}
		session->output += sent;
		session->output_left -= (size_t)sent;
	}
	session_watch_again(session);
	if (session->output_left == 0 && session->step == STEP_BODY)
		session->body_sent = now();
}

/* The text with the message's number for each "#". */
static void session_fill(struct session *session, const struct text *text)
{
	unsigned long number = session->number % session->load->options.spread;
	size_t length = 0;

	for (size_t i = 0; i < text->length; i++) {
		if (length + 24 > sizeof(session->envelope))
			die("addresses are too long");
		if (text->bytes[i] == '#')
			length += (size_t)snprintf(session->envelope + length,
			    sizeof(session->envelope) - length, "%lu", number);
		else
			session->envelope[length++] = text->bytes[i];
	}
	session->output = session->envelope;
	session->output_left = length;
}

static void session_enter(struct session *session, enum step step)
{
	session->step = step;
	session->output = session->load->texts[step].bytes;
	session->output_left = session->load->texts[step].length;
	if ((step == STEP_MAIL || step == STEP_RCPT) &&
	    session->load->options.spread > 0)
		session_fill(session, &session->load->texts[step]);
	if (session->output_left > 0)
		session_write(session);
}

/* The dialogue may begin: with a message, or with waiting. */
static void session_begin(struct session *session)
{
	struct load *load = session->load;

	if (!load->options.hold) {
		session_enter(session, STEP_MAIL);
		return;
	}
	session->step = STEP_HELD;
	load->held++;
	if (load->begun < load->options.connections)
		session_open(&load->sessions[load->begun++]);
}

static void session_handshake(struct session *session)
{
	struct load *load = session->load;
	int result;

	if (session->wire.ssl == NULL) {
		if (wire_secure(&session->wire, load->context, false) < 0)
			die("no memory");
		SSL_set_app_data(session->wire.ssl, session);
		if (session->ticket != NULL)
			SSL_set_session(session->wire.ssl, session->ticket);
	}
	result = wire_handshake(&session->wire);
	if (result == WIRE_BROKEN) {
		session_fail(session, "handshake: %s", wire_error());
		return;
	}
	session_watch_again(session);
	if (result == WIRE_AGAIN)
		return;
	if (load->handshakes++ == 0)
		snprintf(load->agreed, sizeof(load->agreed), "%s %s %s",
		    SSL_get_version(session->wire.ssl),
		    SSL_get_cipher_name(session->wire.ssl),
		    SSL_group_to_name(session->wire.ssl, (int)
		    SSL_get_negotiated_group(session->wire.ssl)));
	load->resumed += SSL_session_reused(session->wire.ssl) ? 1 : 0;
	session_enter(session, STEP_HELLO_AGAIN);
}

/* libssl's; the last ticket that came is the next connection's. */
static int on_ticket(SSL *ssl, SSL_SESSION *ticket)
{
	struct session *session = SSL_get_app_data(ssl);

	SSL_SESSION_free(session->ticket);
	session->ticket = ticket;
	return 1;
}

static void on_accepted(struct session *session)
{
	struct load *load = session->load;
	unsigned long limit = load->options.per_connection;

	load->last = now();
	load->reply[load->accepted] =
	    (uint32_t)(load->last - session->body_sent);
	load->transaction[load->accepted] =
	    (uint32_t)(load->last - session->started);
	load->accepted++;
	session->has_message = false;
	session->sent++;
	if ((limit != 0 && session->sent >= limit) ||
	    load_is_over(load)) {
		session_enter(session, STEP_QUIT);
		return;
	}
	session_take_message(session);
	session_enter(session, STEP_MAIL);
}

/* A whole reply; line is its last one. */
static void on_reply(struct session *session, const char *line)
{
	long code = strtol(line, NULL, 10);

	session->load->progress = now();
	if (code != expected[session->step]) {
		session_fail(session, "step %d: %s", (int)session->step, line);
		return;
	}
	if (session->output_left > 0) {
		session_fail(session, "step %d: a reply before its time: %s",
		    (int)session->step, line);
		return;
	}
	if (session->step == STEP_QUIT) {
		session_close(session);
		session_open(session);
	} else if (session->step == STEP_BODY) {
		on_accepted(session);
	} else if (session->step == STEP_STARTTLS) {
		session->input_length = 0;
		session_enter(session, STEP_HANDSHAKE);
		session_handshake(session);
	} else if (session->step == STEP_HELLO_AGAIN ||
	    (session->step == STEP_HELLO && session->load->context == NULL)) {
		session_begin(session);
	} else {
		session_enter(session, session->step + 1);
	}
}

/* Consumes the whole lines of the input; stops when the connection ended or
 * the input was emptied, for what follows is not in clear. */
static void session_parse(struct session *session)
{
	unsigned long opened = session->load->opened;
	char *line = session->input, *end;

	session->input[session->input_length] = '\0';
	while ((end = strchr(line, '\n')) != NULL) {
		*end = '\0';
		if (end - line < 4 || line[3] != '-')
			on_reply(session, line);
		if (!session_is_open(session) ||
		    session->load->opened != opened ||
		    session->input_length == 0)
			return;
		line = end + 1;
	}
	session->input_length -= (size_t)(line - session->input);
	memmove(session->input, line, session->input_length);
}

/* True when there may be more: TLS may hold what the socket has not. */
static bool session_read(struct session *session)
{
	size_t room = sizeof(session->input) - 1 - session->input_length;
	ssize_t got;

	if (room == 0) {
		session_fail(session, "a reply line of %d bytes", INPUT_MAX);
		return false;
	}
	got = wire_read(&session->wire, session->input +
	    session->input_length, room);
	if (got == WIRE_AGAIN) {
		session_watch_again(session);
		return false;
	}
	if (got <= 0) {
		session_fail(session, "step %d: %s", (int)session->step,
		    got < 0 ? wire_error() : "connection closed");
		return false;
	}
	session->input_length += (size_t)got;
	session_parse(session);
	return session_is_open(session) && session->wire.ssl != NULL &&
	    session->step != STEP_HANDSHAKE &&
	    SSL_has_pending(session->wire.ssl);
}

/* --- the whole load --- */

static void load_event(const struct epoll_event *event)
{
	struct session *session = event->data.ptr;

	if (session_is_open(session) && session->step == STEP_HANDSHAKE) {
		session_handshake(session);
	} else {
		if (session_is_open(session) && (event->events & EPOLLOUT))
			session_write(session);
		if (session_is_open(session) &&
		    (event->events & ~(uint32_t)EPOLLOUT))
			while (session_read(session))
				;
	}
	if (!session_is_open(session))
		session_open(session);
}

static void give_up(struct load *load)
{
	for (unsigned long i = 0; i < load->options.connections; i++) {
		struct session *session = &load->sessions[i];

		if (session_is_open(session))
			session_fail(session, "step %d: nothing for %lu s",
			    (int)session->step, load->options.timeout);
	}
}

/* All of a held load's connections are there: says so, and waits until nobody
 * wants them any more. */
static void load_hold(struct load *load)
{
	struct pollfd input = { .fd = STDIN_FILENO, .events = POLLIN };
	char bytes[64];

	printf("held %lu %s\n", load->held, load->why);
	fflush(stdout);
	do
		poll(&input, 1, -1);
	while (read(STDIN_FILENO, bytes, sizeof(bytes)) > 0);
	for (unsigned long i = 0; i < load->options.connections; i++)
		if (session_is_open(&load->sessions[i])) {
			load->sessions[i].has_message = false;
			session_close(&load->sessions[i]);
		}
}

static bool load_is_held(const struct load *load)
{
	return load->options.hold && load->held == load->open;
}

static void load_begin(struct load *load)
{
	load->begin = load->progress = load->last = now();
	/* Sessions that are held come one after the other. */
	while (load->begun < load->options.connections &&
	    (!load->options.hold || load->begun < OPENING_MAX))
		session_open(&load->sessions[load->begun++]);
}

static void *load_run(void *argument)
{
	struct load *load = argument;
	struct epoll_event events[EVENTS_MAX];
	int64_t limit = (int64_t)load->options.timeout * 1000000;

	load_begin(load);
	while (load->open > 0 && !load_is_held(load)) {
		int count = epoll_wait(load->epoll, events, EVENTS_MAX, 1000);

		if (count < 0 && errno != EINTR)
			die("epoll_wait: %s", strerror(errno));
		for (int i = 0; i < count; i++)
			load_event(&events[i]);
		if (now() - load->progress > limit) {
			give_up(load);
			break;
		}
	}
	if (load->options.hold)
		load_hold(load);
	/* Of those nobody took, none was accepted either. */
	if (load->options.seconds == 0)
		load->failed += load->options.messages - load->taken;
	else
		load->options.messages = load->taken;
	return NULL;
}

static void load_init(struct load *load)
{
	const struct options *options = &load->options;

	load->address.sin_family = AF_INET;
	load->address.sin_port = htons((uint16_t)options->port);
	if (inet_pton(AF_INET, options->host, &load->address.sin_addr) != 1)
		die("%s is not an IPv4 address", options->host);
	load->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (load->epoll < 0)
		die("epoll_create1: %s", strerror(errno));
	load->sessions = allocate(options->connections,
	    sizeof(*load->sessions));
	for (unsigned long i = 0; i < options->connections; i++) {
		load->sessions[i].load = load;
		wire_init(&load->sessions[i].wire, -1);
	}
	load->reply = allocate(options->messages, sizeof(*load->reply));
	load->transaction = allocate(options->messages,
	    sizeof(*load->transaction));
	make_texts(load);
}

static void load_release(struct load *load)
{
	for (int i = 0; i < STEP_COUNT; i++)
		free(load->texts[i].bytes);
	for (unsigned long i = 0; i < load->options.connections; i++)
		SSL_SESSION_free(load->sessions[i].ticket);
	free(load->sessions);
	free(load->reply);
	free(load->transaction);
	close(load->epoll);
}

/* What another thread has seen, added to the first one's. */
static void load_merge(struct load *load, struct load *other)
{
	size_t left = other->accepted * sizeof(*load->reply);

	load->reply = realloc(load->reply, load->accepted *
	    sizeof(*load->reply) + left + 1);
	load->transaction = realloc(load->transaction, load->accepted *
	    sizeof(*load->reply) + left + 1);
	if (load->reply == NULL || load->transaction == NULL)
		die("no memory");
	memcpy(load->reply + load->accepted, other->reply, left);
	memcpy(load->transaction + load->accepted, other->transaction, left);
	load->options.messages += other->options.messages;
	load->accepted += other->accepted;
	load->failed += other->failed;
	load->opened += other->opened;
	load->handshakes += other->handshakes;
	load->resumed += other->resumed;
	if (other->begin < load->begin)
		load->begin = other->begin;
	if (other->last > load->last)
		load->last = other->last;
	if (load->why[0] == '\0')
		memcpy(load->why, other->why, sizeof(load->why));
}

/* --- the result --- */

static int compare(const void *one, const void *other)
{
	uint32_t a = *(const uint32_t *)one, b = *(const uint32_t *)other;

	return (a > b) - (a < b);
}

/* The least time that share (of 100) of them did not pass; milliseconds. */
static double percentile(const uint32_t *sorted, size_t count, double share)
{
	size_t rank = (size_t)((double)count * share / 100 + 0.999999);

	if (count == 0)
		return 0;
	rank = rank < 1 ? 1 : rank > count ? count : rank;
	return sorted[rank - 1] / 1000.0;
}

static json_t *times(uint32_t *values, size_t count)
{
	qsort(values, count, sizeof(*values), compare);
	return json_pack("{s:f, s:f, s:f}",
	    "p50", percentile(values, count, 50),
	    "p99", percentile(values, count, 99),
	    "max", percentile(values, count, 100));
}

static void load_report(struct load *load)
{
	double seconds = (double)(load->last - load->begin) / 1e6;
	json_t *result = json_pack(
	    "{s:I, s:I, s:I, s:I, s:I, s:I, s:f, s:f, s:o, s:o}",
	    "messages", (json_int_t)load->options.messages,
	    "accepted", (json_int_t)load->accepted,
	    "failed", (json_int_t)load->failed,
	    "connections", (json_int_t)load->opened,
	    "handshakes", (json_int_t)load->handshakes,
	    "resumed", (json_int_t)load->resumed,
	    "seconds", seconds,
	    "per_second", seconds > 0 ? (double)load->accepted / seconds : 0.0,
	    "reply_ms", times(load->reply, load->accepted),
	    "transaction_ms", times(load->transaction, load->accepted));

	if (result == NULL)
		die("no memory");
	if (load->agreed[0] != '\0')
		json_object_set_new(result, "tls", json_string(load->agreed));
	if (load->why[0] != '\0')
		json_object_set_new(result, "first_failure",
		    json_string_nocheck(load->why));
	json_dumpf(result, stdout, JSON_REAL_PRECISION(6) |
	    JSON_PRESERVE_ORDER | JSON_ENSURE_ASCII);
	putchar('\n');
	json_decref(result);
}

/* --- options --- */

static const char usage[] =
"usage: load_client --port N [--host ADDRESS] [--connections N]\n"
"           [--messages N] [--size BYTES] [--per-connection N] [--pipelining]\n"
"           [--sender ADDRESS] [--recipient ADDRESS] [--timeout SECONDS]\n"
"           [--spread N] [--tls] [--resume] [--threads N] [--hold]\n"
"           [--seconds N]\n"
"--per-connection 0, the default, keeps each connection to the end.\n"
"--seconds N takes no new message after that time, however many are left.\n"
"--spread N: \"#\" in the two addresses is the message's number modulo N.\n";

static unsigned long number(const char *name, const char *text,
    unsigned long min, unsigned long max)
{
	char *end;
	unsigned long value;

	errno = 0;
	value = strtoul(text, &end, 10);
	if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0 ||
	    value < min || value > max)
		die("--%s wants a number from %lu to %lu, not '%s'", name, min,
		    max, text);
	return value;
}

static void take_option(struct options *options, int letter)
{
	switch (letter) {
	case 'h': options->host = optarg; break;
	case 'f': options->sender = optarg; break;
	case 't': options->recipient = optarg; break;
	case 'P': options->pipelining = true; break;
	case 'e': options->tls = true; break;
	case 'r': options->resume = true; break;
	case 'H': options->hold = true; break;
	case 'd':
		options->seconds = number("seconds", optarg, 1, 86400);
		break;
	case 'j':
		options->threads = number("threads", optarg, 1, THREADS_MAX);
		break;
	case 'p': options->port = number("port", optarg, 1, 65535); break;
	case 's':
		options->connections = number("connections", optarg, 1, 60000);
		break;
	case 'm':
		options->messages = number("messages", optarg, 1, 10000000);
		break;
	case 'l':
		options->size = number("size", optarg, 1, 64 << 20);
		break;
	case 'n':
		options->per_connection = number("per-connection", optarg, 0,
		    10000000);
		break;
	case 'S':
		options->spread = number("spread", optarg, 1, 10000000);
		break;
	case 'T':
		options->timeout = number("timeout", optarg, 1, 3600);
		break;
	default:
		fputs(usage, stderr);
		exit(2);
	}
}

static void parse_options(struct options *options, int argc, char **argv)
{
	static const struct option names[] = {
		{ "host", required_argument, NULL, 'h' },
		{ "port", required_argument, NULL, 'p' },
		{ "connections", required_argument, NULL, 's' },
		{ "messages", required_argument, NULL, 'm' },
		{ "size", required_argument, NULL, 'l' },
		{ "per-connection", required_argument, NULL, 'n' },
		{ "pipelining", no_argument, NULL, 'P' },
		{ "sender", required_argument, NULL, 'f' },
		{ "recipient", required_argument, NULL, 't' },
		{ "spread", required_argument, NULL, 'S' },
		{ "timeout", required_argument, NULL, 'T' },
		{ "tls", no_argument, NULL, 'e' },
		{ "resume", no_argument, NULL, 'r' },
		{ "threads", required_argument, NULL, 'j' },
		{ "hold", no_argument, NULL, 'H' },
		{ "seconds", required_argument, NULL, 'd' },
		{ NULL, 0, NULL, 0 },
	};
	int letter;

	*options = (struct options){ .host = "127.0.0.1",
	    .sender = "load@example.com", .recipient = "sink@example.net",
	    .connections = 20, .messages = 1000, .size = 4096,
	    .timeout = 60, .threads = 1 };
	while ((letter = getopt_long(argc, argv, "", names, NULL)) != -1)
		take_option(options, letter);
	if (options->port == 0 || optind != argc) {
		fputs(usage, stderr);
		exit(2);
	}
	if (options->hold) {
		options->messages = options->connections;
		options->threads = 1;
	}
	if (options->threads > options->connections)
		options->threads = options->connections;
}

/* The same session again only where it is asked for. */
static SSL_CTX *context_make(const struct options *options)
{
	SSL_CTX *context = SSL_CTX_new(TLS_client_method());

	if (context == NULL)
		die("no memory");
	SSL_CTX_set_verify(context, SSL_VERIFY_NONE, NULL);
	SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
	if (options->resume) {
		SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT |
		    SSL_SESS_CACHE_NO_INTERNAL_STORE);
		SSL_CTX_sess_set_new_cb(context, on_ticket);
	}
	return context;
}

/* The options of the thread of that place: its share of all. */
static struct options share_of(const struct options *all, unsigned long place)
{
	struct options options = *all;
	unsigned long threads = all->threads;

	options.connections = all->connections / threads +
	    (place < all->connections % threads ? 1 : 0);
	options.messages = all->messages / threads +
	    (place < all->messages % threads ? 1 : 0);
	return options;
}

static void raise_limit(void)
{
	struct rlimit limit;

	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

static void run_threads(struct load *loads, unsigned long threads)
{
	for (unsigned long i = 1; i < threads; i++)
		if (pthread_create(&loads[i].thread, NULL, load_run,
		    &loads[i]) != 0)
			die("no thread");
	load_run(&loads[0]);
	for (unsigned long i = 1; i < threads; i++) {
		pthread_join(loads[i].thread, NULL);
		load_merge(&loads[0], &loads[i]);
	}
}

int main(int argc, char **argv)
{
	struct options options;
	struct load *loads;
	SSL_CTX *context = NULL;
	bool complete;

	parse_options(&options, argc, argv);
	signal(SIGPIPE, SIG_IGN);
	raise_limit();
	if (options.tls)
		context = context_make(&options);
	loads = allocate(options.threads, sizeof(*loads));
	for (unsigned long i = 0; i < options.threads; i++) {
		loads[i].options = share_of(&options, i);
		loads[i].context = context;
		load_init(&loads[i]);
	}
	run_threads(loads, options.threads);
	if (!options.hold)
		load_report(&loads[0]);
	complete = options.hold ||
	    loads[0].accepted == loads[0].options.messages;
	for (unsigned long i = 0; i < options.threads; i++)
		load_release(&loads[i]);
	free(loads);
	SSL_CTX_free(context);
	return complete ? 0 : 1;
}
