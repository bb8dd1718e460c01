/* SPDX-License-Identifier: ISC */
/*
 * sink: the trivial receiver of mail, in clear or by STARTTLS. It answers
 * everything with yes and keeps nothing: what it takes is the floor that a
 * server could reach which does no work at all, and nothing that delivers to it
 * waits for it. One process per processor, each with its own epoll and its own
 * listener on the same port; tickets of one are good at the others.
 *
 * What came is counted in a file of eight-byte numbers (struct counts), for
 * others to look at while it runs. It ends on SIGTERM.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/bench/throughput/wire.h"

enum { INPUT_MAX = 32768, OUTPUT_MAX = 4096, REPLY_MAX = 256,
    EVENTS_MAX = 256, PROCESSES_MAX = 64, BACKLOG = 4096 };

/* The file of --counts, in this order. */
struct counts {
	_Atomic uint64_t messages;
	_Atomic uint64_t connections;
	_Atomic uint64_t handshakes;
	_Atomic uint64_t resumed;	/* of the handshakes */
	_Atomic uint64_t octets;	/* of messages */
};

/*
 * What comes in next.
 *
 *	COMMANDS --DATA--> TEXT --dot--> COMMANDS
 *	  |  ^ +--BDAT n--> CHUNK --n bytes--> COMMANDS
 *	  |  +---------------------+
 *	  +--STARTTLS--> HANDSHAKE-+
 */
enum state { STATE_COMMANDS, STATE_TEXT, STATE_CHUNK, STATE_HANDSHAKE };

struct client {
	struct wire	 wire;
	enum state	 state;
	bool		 ending;	/* QUIT: closed when all is written */
	bool		 last_chunk;
	uint64_t	 chunk_left;
	uint32_t	 watched;	/* events that epoll looks for */
	size_t		 input_length, output_length;
	char		 input[INPUT_MAX];
	char		 output[OUTPUT_MAX];
};

struct options {
	const char	*address;
	const char	*certificate;	/* null: no STARTTLS */
	const char	*key;
	const char	*counts;
	unsigned long	 port;
	unsigned long	 processes;	/* 0: one for each processor */
	bool		 chunking;
};

static struct {
	struct options	 options;
	SSL_CTX		*context;	/* owned; null: no STARTTLS */
	struct counts	*counts;	/* shared by all processes */
	int		 epoll;
	int		 listener;
} sink;

static void die(const char *format, ...)
    __attribute__((format(printf, 1, 2), noreturn));

static void die(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	fputs("sink: ", stderr);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fputc('\n', stderr);
	exit(2);
}

static void count(_Atomic uint64_t *what, uint64_t number)
{
	atomic_fetch_add_explicit(what, number, memory_order_relaxed);
}

/* --- one connection --- */

static void client_watch(struct client *client, uint32_t events)
{
	struct epoll_event event = { .events = events };

	if (client->watched == events)
		return;
	event.data.ptr = client;
	if (epoll_ctl(sink.epoll, client->watched == 0 ? EPOLL_CTL_ADD :
	    EPOLL_CTL_MOD, client->wire.fd, &event) < 0)
		die("epoll_ctl: %s", strerror(errno));
	client->watched = events;
}

static void client_free(struct client *client)
{
	wire_close(&client->wire);
	free(client);
}

/* There is room: what would not fit is not read. */
static void client_say(struct client *client, const char *text)
{
	size_t length = strlen(text);

	if (client->output_length + length > sizeof(client->output))
		die("no room for a reply");
	memcpy(client->output + client->output_length, text, length);
	client->output_length += length;
}

static void say_hello(struct client *client)
{
	client_say(client, "250-sink.example\r\n250-PIPELINING\r\n"
	    "250-SIZE 104857600\r\n250-8BITMIME\r\n250-ENHANCEDSTATUSCODES"
	    "\r\n");
	if (sink.context != NULL && client->wire.ssl == NULL)
		client_say(client, "250-STARTTLS\r\n");
	if (sink.options.chunking)
		client_say(client, "250-CHUNKING\r\n");
	client_say(client, "250 SMTPUTF8\r\n");
}

static void end_of_message(struct client *client)
{
	count(&sink.counts->messages, 1);
	client_say(client, "250 2.0.0 taken\r\n");
	client->state = STATE_COMMANDS;
}

static bool is_verb(const char *line, const char *verb)
{
	return strncasecmp(line, verb, strlen(verb)) == 0;
}

/* One line, ended by a zero. */
static void client_command(struct client *client, const char *line)
{
	char *end;

	if (is_verb(line, "EHLO")) {
		say_hello(client);
	} else if (is_verb(line, "DATA")) {
		client_say(client, "354 go on\r\n");
		client->state = STATE_TEXT;
	} else if (is_verb(line, "BDAT ")) {
		client->chunk_left = strtoull(line + 5, &end, 10);
		client->last_chunk = strcasestr(end, "LAST") != NULL;
		client->state = STATE_CHUNK;
	} else if (is_verb(line, "STARTTLS") && sink.context != NULL) {
		client_say(client, "220 2.0.0 go on\r\n");
		client->state = STATE_HANDSHAKE;
	} else if (is_verb(line, "QUIT")) {
		client_say(client, "221 2.0.0 bye\r\n");
		client->ending = true;
	} else {
		client_say(client, "250 2.0.0 yes\r\n");
	}
}

/* Bytes of the input that are done with; 0: more is wanted. */
static size_t take_line(struct client *client)
{
	char *end = memchr(client->input, '\n', client->input_length);

	if (end == NULL)
		return 0;
	*end = '\0';
	client_command(client, client->input);
	/* The line end stays where the dot could be the first line. */
	if (client->state == STATE_TEXT)
		*end = '\n';
	return (size_t)(end + 1 - client->input) -
	    (client->state == STATE_TEXT ? 2 : 0);
}

static size_t take_text(struct client *client)
{
	static const char last[] = "\r\n.\r\n";
	size_t whole = sizeof(last) - 1, done;
	char *end = memmem(client->input, client->input_length, last, whole);

	if (end != NULL) {
		done = (size_t)(end - client->input) + whole;
		end_of_message(client);
	} else {
		done = client->input_length < whole ? 0 :
		    client->input_length - (whole - 1);
	}
	count(&sink.counts->octets, done);
	return done;
}

static size_t take_chunk(struct client *client)
{
	size_t done = client->input_length;

	if (done > client->chunk_left)
		done = (size_t)client->chunk_left;
	client->chunk_left -= done;
	count(&sink.counts->octets, done);
	if (client->chunk_left > 0)
		return done;
	if (client->last_chunk)
		end_of_message(client);
	else
		client_say(client, "250 2.0.0 go on\r\n");
	client->state = STATE_COMMANDS;
	return done;
}

/* Goes through what has come; false when the client has to go. */
static bool client_parse(struct client *client)
{
	size_t done = 0;
	enum state before;

	while (!client->ending && client->state != STATE_HANDSHAKE &&
	    client->output_length + REPLY_MAX <= sizeof(client->output)) {
		before = client->state;
		switch (before) {
		case STATE_COMMANDS: done = take_line(client); break;
		case STATE_TEXT: done = take_text(client); break;
		case STATE_CHUNK: done = take_chunk(client); break;
		case STATE_HANDSHAKE: break;
		}
		client->input_length -= done;
		memmove(client->input, client->input + done,
		    client->input_length);
		if (done == 0 && client->state == before)
			break;
	}
	return client->input_length < sizeof(client->input);
}

/* What is left when the socket is full waits. False: broken. */
static bool client_flush(struct client *client)
{
	size_t put = 0;
	ssize_t sent = 0;

	while (put < client->output_length) {
		sent = wire_write(&client->wire, client->output + put,
		    client->output_length - put);
		if (sent < 0)
			break;
		put += (size_t)sent;
	}
	client->output_length -= put;
	memmove(client->output, client->output + put, client->output_length);
	return sent != WIRE_BROKEN;
}

/* 1: done, or not at it; 0: it goes on; -1: broken. */
static int client_handshake(struct client *client)
{
	int result;

	if (client->state != STATE_HANDSHAKE || client->output_length > 0)
		return 1;
	if (client->wire.ssl == NULL) {
		/* What came in clear behind STARTTLS is nobody's. */
		client->input_length = 0;
		if (wire_secure(&client->wire, sink.context, true) < 0)
			return -1;
	}
	result = wire_handshake(&client->wire);
	if (result == WIRE_AGAIN)
		return 0;
	if (result == WIRE_BROKEN)
		return -1;
	count(&sink.counts->handshakes, 1);
	count(&sink.counts->resumed,
	    SSL_session_reused(client->wire.ssl) ? 1 : 0);
	client->state = STATE_COMMANDS;
	return 1;
}

/* Reads until nothing is there; false: the client has to go. */
static bool client_work(struct client *client)
{
	ssize_t got;
	int ready;

	for (;;) {
		ready = client_handshake(client);
		if (ready <= 0)
			return ready == 0;
		if (!client_flush(client))
			return false;
		if (client->output_length > 0)
			return true;
		if (client->ending)
			return false;
		if (client->state == STATE_HANDSHAKE)
			continue;
		/* What there was no room for to answer. */
		if (!client_parse(client))
			return false;
		if (client->output_length > 0 || client->ending)
			continue;
		got = wire_read(&client->wire, client->input +
		    client->input_length, sizeof(client->input) -
		    client->input_length);
		if (got == WIRE_AGAIN)
			return true;
		if (got <= 0)
			return false;
		client->input_length += (size_t)got;
		if (!client_parse(client))
			return false;
	}
}

static void client_event(struct client *client)
{
	bool writes;

	if (!client_work(client)) {
		client_free(client);
		return;
	}
	writes = client->output_length > 0 || client->wire.wants_write;
	client_watch(client, writes ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

static void client_new(int fd)
{
	struct client *client = malloc(sizeof(*client));
	int one = 1;

	if (client == NULL)
		die("no memory");
	/* The two buffers are not worth clearing. */
	memset(client, 0, offsetof(struct client, input));
	wire_init(&client->wire, fd);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	count(&sink.counts->connections, 1);
	client_say(client, "220 sink.example ESMTP\r\n");
	client_event(client);
}

/* --- a process --- */

static void listener_event(void)
{
	int fd;

	while ((fd = accept4(sink.listener, NULL, NULL, SOCK_NONBLOCK |
	    SOCK_CLOEXEC)) >= 0)
		client_new(fd);
	if (errno != EAGAIN && errno != ECONNABORTED && errno != EMFILE)
		die("accept: %s", strerror(errno));
}

static void serve(void)
{
	struct epoll_event events[EVENTS_MAX];
	struct epoll_event event = { .events = EPOLLIN };

	sink.epoll = epoll_create1(EPOLL_CLOEXEC);
	if (sink.epoll < 0 || epoll_ctl(sink.epoll, EPOLL_CTL_ADD,
	    sink.listener, &event) < 0)
		die("epoll: %s", strerror(errno));
	for (;;) {
		int number = epoll_wait(sink.epoll, events, EVENTS_MAX, -1);

		if (number < 0 && errno != EINTR)
			die("epoll_wait: %s", strerror(errno));
		for (int i = 0; i < number; i++)
			if (events[i].data.ptr == NULL)
				listener_event();
			else
				client_event(events[i].data.ptr);
	}
}

/* A socket for each process: the kernel spreads connections over them. */
static int listener_new(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET };
	int one = 1, fd;

	address.sin_port = htons((uint16_t)sink.options.port);
	if (inet_pton(AF_INET, sink.options.address, &address.sin_addr) != 1)
		die("%s is not an IPv4 address", sink.options.address);
	fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		die("socket: %s", strerror(errno));
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
	    listen(fd, BACKLOG) < 0)
		die("port %lu: %s", sink.options.port, strerror(errno));
	return fd;
}

/* --- the whole --- */

static void context_make(void)
{
	const struct options *options = &sink.options;

	sink.context = SSL_CTX_new(TLS_server_method());
	if (sink.context == NULL ||
	    SSL_CTX_use_certificate_chain_file(sink.context,
	    options->certificate) != 1 ||
	    SSL_CTX_use_PrivateKey_file(sink.context, options->key,
	    SSL_FILETYPE_PEM) != 1)
		die("%s, %s: %s", options->certificate, options->key,
		    wire_error());
	/* Tickets alone, and one for each handshake. */
	SSL_CTX_set_session_cache_mode(sink.context, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_num_tickets(sink.context, 1);
	SSL_CTX_set_session_id_context(sink.context,
	    (const unsigned char *)"sink", 4);
}

static void counts_make(void)
{
	int fd = -1, flags = MAP_SHARED | MAP_ANONYMOUS;
	void *memory;

	if (sink.options.counts != NULL) {
		flags = MAP_SHARED;
		fd = open(sink.options.counts, O_RDWR | O_CREAT | O_TRUNC,
		    0644);
		if (fd < 0 || ftruncate(fd, sizeof(struct counts)) < 0)
			die("%s: %s", sink.options.counts, strerror(errno));
	}
	memory = mmap(NULL, sizeof(struct counts), PROT_READ | PROT_WRITE,
	    flags, fd, 0);
	if (memory == MAP_FAILED)
		die("mmap: %s", strerror(errno));
	sink.counts = memory;
}

static const char usage[] =
"usage: sink --port N [--address ADDRESS] [--certificate FILE --key FILE]\n"
"           [--processes N] [--counts FILE] [--no-chunking]\n";

static unsigned long number(const char *text, unsigned long max)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	if (text[0] < '0' || text[0] > '9' || *end != '\0' || value > max)
		die("a number up to %lu is wanted, not '%s'", max, text);
	return value;
}

static void parse_options(int argc, char **argv)
{
	static const struct option names[] = {
		{ "address", required_argument, NULL, 'a' },
		{ "port", required_argument, NULL, 'p' },
		{ "certificate", required_argument, NULL, 'c' },
		{ "key", required_argument, NULL, 'k' },
		{ "processes", required_argument, NULL, 'n' },
		{ "counts", required_argument, NULL, 'f' },
		{ "no-chunking", no_argument, NULL, 'C' },
		{ NULL, 0, NULL, 0 },
	};
	struct options *options = &sink.options;
	int letter;

	*options = (struct options){ .address = "127.0.0.1", .chunking = true };
	while ((letter = getopt_long(argc, argv, "", names, NULL)) != -1)
		switch (letter) {
		case 'a': options->address = optarg; break;
		case 'p': options->port = number(optarg, 65535); break;
		case 'c': options->certificate = optarg; break;
		case 'k': options->key = optarg; break;
		case 'n':
			options->processes = number(optarg, PROCESSES_MAX);
			break;
		case 'f': options->counts = optarg; break;
		case 'C': options->chunking = false; break;
		default: options->port = 0; optind = argc; break;
		}
	if (options->port == 0 || optind != argc ||
	    (options->certificate == NULL) != (options->key == NULL)) {
		fputs(usage, stderr);
		exit(2);
	}
	if (options->processes == 0)
		options->processes = (unsigned long)sysconf(
		    _SC_NPROCESSORS_ONLN);
}

/* As many connections as we may have. */
static void raise_limit(void)
{
	struct rlimit limit;

	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

int main(int argc, char **argv)
{
	int listeners[PROCESSES_MAX];

	parse_options(argc, argv);
	signal(SIGPIPE, SIG_IGN);
	raise_limit();
	if (sink.options.certificate != NULL)
		context_make();
	counts_make();
	for (unsigned long i = 0; i < sink.options.processes; i++)
		listeners[i] = listener_new();
	puts("listening");
	fflush(stdout);
	for (unsigned long i = 0; i < sink.options.processes; i++) {
		sink.listener = listeners[i];
		if (i + 1 == sink.options.processes)
			break;
		if (fork() == 0) {
			prctl(PR_SET_PDEATHSIG, SIGTERM);
			break;
		}
	}
	for (unsigned long i = 0; i < sink.options.processes; i++)
		if (listeners[i] != sink.listener)
			close(listeners[i]);
	serve();
	return 0;
}
