/* SPDX-License-Identifier: ISC */
/*
 * load_client: an SMTP client that loads a server and times it. N connections
 * on one thread, each a plain conversation: greeting, EHLO, and per message
 * MAIL, RCPT, DATA, body, and QUIT at its end. It leans on nothing of the
 * server it measures. The result is one JSON object on standard output; the
 * exit status is 0 only when every message was accepted.
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
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { INPUT_MAX = 4096, EVENTS_MAX = 256, LINE_LENGTH = 76, TEXT_MAX = 512 };

/*
 * The reply that is awaited. What is sent on entering a step is texts[step].
 *
 *	GREETING -> HELLO -> MAIL -> RCPT -> DATA -> BODY --last--> QUIT
 *	                      ^                        |
 *	                      +--------next message----+
 */
enum step { STEP_GREETING, STEP_HELLO, STEP_MAIL, STEP_RCPT, STEP_DATA,
    STEP_BODY, STEP_QUIT, STEP_COUNT };

static const int expected[STEP_COUNT] = { 220, 250, 250, 250, 354, 250, 221 };

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
	bool		 pipelining;
};

struct text {
	char		*bytes;		/* owned */
	size_t		 length;
};

struct session {
	struct load	*load;		/* outlives us */
	int		 fd;		/* -1: closed */
	enum step	 step;
	bool		 has_message;	/* took one that is not settled */
	unsigned long	 number;	/* of that message */
	char		 envelope[TEXT_MAX];	/* commands with numbers */
	unsigned long	 sent;		/* messages on this connection */
	const char	*output;	/* in the load's texts */
	size_t		 output_left;
	bool		 wants_write;	/* epoll watches for it */
	int64_t		 started;	/* of the transaction; microseconds */
	int64_t		 body_sent;
	char		 input[INPUT_MAX];
	size_t		 input_length;
};

struct load {
	struct options	 options;
	struct sockaddr_in address;
	int		 epoll;
	struct session	*sessions;	/* owned; options.connections */
	struct text	 texts[STEP_COUNT];
	unsigned long	 taken;		/* messages that a session took */
	unsigned long	 accepted;
	unsigned long	 failed;
	unsigned long	 opened;	/* connections, in all */
	unsigned long	 open;
	uint32_t	*reply;		/* owned; microseconds, accepted */
	uint32_t	*transaction;	/* owned; the same */
	int64_t		 begin, progress, last;	/* microseconds */
	char		 why[TEXT_MAX];	/* the first failure */
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

	if (session->wants_write)
		event.events |= EPOLLOUT;
	event.data.ptr = session;
	if (epoll_ctl(session->load->epoll, operation, session->fd,
	    &event) < 0)
		die("epoll_ctl: %s", strerror(errno));
}

static void session_close(struct session *session)
{
	close(session->fd);
	session->fd = -1;
	session->load->open--;
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

static void session_take_message(struct session *session)
{
	session->number = session->load->taken++;
	session->has_message = true;
	session->started = now();
}

/* A new connection for the next message, if there is one left. */
static void session_open(struct session *session)
{
	struct load *load = session->load;
	int one = 1;

	if (load->taken == load->options.messages)
		return;
	session->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK |
	    SOCK_CLOEXEC, 0);
	if (session->fd < 0)
		die("socket: %s", strerror(errno));
	setsockopt(session->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	session->step = STEP_GREETING;
	session->sent = 0;
	session->input_length = 0;
	session->output_left = 0;
	session->wants_write = false;
	load->opened++;
	load->open++;
	session_take_message(session);
	if (connect(session->fd, (struct sockaddr *)&load->address,
	    sizeof(load->address)) < 0 && errno != EINPROGRESS)
		session_fail(session, "connect: %s", strerror(errno));
	else
		session_watch(session, EPOLL_CTL_ADD);
}

static void session_write(struct session *session)
{
	bool wanted = session->wants_write;
	ssize_t sent;

	while (session->output_left > 0) {
		sent = send(session->fd, session->output, session->output_left,
		    MSG_NOSIGNAL);
		if (sent < 0 && errno != EAGAIN) {
			session_fail(session, "send: %s", strerror(errno));
			return;
		}
		if (sent < 0)
			break;
		session->output += sent;
		session->output_left -= (size_t)sent;
	}
	session->wants_write = session->output_left > 0;
	if (session->wants_write != wanted)
		session_watch(session, EPOLL_CTL_MOD);
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
	    load->taken == load->options.messages) {
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
	} else {
		session_enter(session, session->step + 1);
	}
}

/* Consumes the whole lines of the input; stops when the connection ended. */
static void session_parse(struct session *session)
{
	unsigned long opened = session->load->opened;
	char *line = session->input, *end;

	session->input[session->input_length] = '\0';
	while ((end = strchr(line, '\n')) != NULL) {
		*end = '\0';
		if (end - line < 4 || line[3] != '-')
			on_reply(session, line);
		if (session->fd < 0 || session->load->opened != opened)
			return;
		line = end + 1;
	}
	session->input_length -= (size_t)(line - session->input);
	memmove(session->input, line, session->input_length);
}

static void session_read(struct session *session)
{
	size_t room = sizeof(session->input) - 1 - session->input_length;
	ssize_t got;

	if (room == 0) {
		session_fail(session, "a reply line of %d bytes", INPUT_MAX);
		return;
	}
	got = recv(session->fd, session->input + session->input_length, room,
	    0);
	if (got < 0 && errno == EAGAIN)
		return;
	if (got <= 0) {
		session_fail(session, "step %d: %s", (int)session->step,
		    got < 0 ? strerror(errno) : "connection closed");
		return;
	}
	session->input_length += (size_t)got;
	session_parse(session);
}

/* --- the whole load --- */

static void load_event(const struct epoll_event *event)
{
	struct session *session = event->data.ptr;

	if (session->fd >= 0 && (event->events & EPOLLOUT))
		session_write(session);
	if (session->fd >= 0 && (event->events & ~(uint32_t)EPOLLOUT))
		session_read(session);
	if (session->fd < 0)
		session_open(session);
}

static void give_up(struct load *load)
{
	for (unsigned long i = 0; i < load->options.connections; i++) {
		struct session *session = &load->sessions[i];

		if (session->fd >= 0)
			session_fail(session, "step %d: nothing for %lu s",
			    (int)session->step, load->options.timeout);
	}
}

static void load_run(struct load *load)
{
	struct epoll_event events[EVENTS_MAX];
	int64_t limit = (int64_t)load->options.timeout * 1000000;

	load->begin = load->progress = load->last = now();
	for (unsigned long i = 0; i < load->options.connections; i++)
		session_open(&load->sessions[i]);
	while (load->open > 0) {
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
	/* Of those nobody took, none was accepted either. */
	load->failed += load->options.messages - load->taken;
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
		load->sessions[i].fd = -1;
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
	free(load->sessions);
	free(load->reply);
	free(load->transaction);
	close(load->epoll);
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
	    "{s:I, s:I, s:I, s:I, s:f, s:f, s:o, s:o}",
	    "messages", (json_int_t)load->options.messages,
	    "accepted", (json_int_t)load->accepted,
	    "failed", (json_int_t)load->failed,
	    "connections", (json_int_t)load->opened,
	    "seconds", seconds,
	    "per_second", seconds > 0 ? (double)load->accepted / seconds : 0.0,
	    "reply_ms", times(load->reply, load->accepted),
	    "transaction_ms", times(load->transaction, load->accepted));

	if (result == NULL)
		die("no memory");
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
"           [--spread N]\n"
"--per-connection 0, the default, keeps each connection to the end.\n"
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
	case 'p': options->port = number("port", optarg, 1, 65535); break;
	case 's':
		options->connections = number("connections", optarg, 1, 10000);
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
		{ NULL, 0, NULL, 0 },
	};
	int letter;

	*options = (struct options){ .host = "127.0.0.1",
	    .sender = "load@example.com", .recipient = "sink@example.net",
	    .connections = 20, .messages = 1000, .size = 4096,
	    .timeout = 60 };
	while ((letter = getopt_long(argc, argv, "", names, NULL)) != -1)
		take_option(options, letter);
	if (options->port == 0 || optind != argc) {
		fputs(usage, stderr);
		exit(2);
	}
}

int main(int argc, char **argv)
{
	struct load load = { .epoll = -1 };
	bool complete;

	parse_options(&load.options, argc, argv);
	load_init(&load);
	load_run(&load);
	load_report(&load);
	complete = load.accepted == load.options.messages;
	load_release(&load);
	return complete ? 0 : 1;
}
