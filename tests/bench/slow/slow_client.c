/* SPDX-License-Identifier: ISC */
/*
 * slow_client: holds many SMTP sessions open and says a byte in each, every ten
 * seconds or so, in one of three states, in turn:
 *
 *	handshake	behind STARTTLS, within its ClientHello
 *	command		under TLS, behind EHLO, within a command
 *	data		under TLS, behind DATA, within the content
 *
 * One thread, one epoll. Opens at most so many at a time; says "open N" on
 * standard output when each has reached its state or was lost, and goes on
 * until standard input ends. Then one JSON object tells what became of them.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>
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

enum { INPUT_MAX = 1024, EVENTS_MAX = 256, HELLO_MAX = 4096,
    HELLO_AT_ONCE = 20, TICK_MS = 20 };

enum state { STATE_HANDSHAKE, STATE_COMMAND, STATE_DATA, STATE_COUNT };

static const char *const state_names[] = { "handshake", "command", "data" };

/*
 * What is awaited.
 *
 *	CONNECT -> GREETING -> EHLO -> STARTTLS -> HANDSHAKE -> EHLO_TLS -> MAIL
 *	                                  |                        |         |
 *	                                  v                        v         v
 *	                                 HELD <--------------------+ DATA <- RCPT
 *	any -> LOST
 */
enum step { STEP_CONNECT, STEP_GREETING, STEP_EHLO, STEP_STARTTLS,
    STEP_HANDSHAKE, STEP_EHLO_TLS, STEP_MAIL, STEP_RCPT, STEP_DATA, STEP_HELD,
    STEP_LOST, STEP_COUNT };

/* The reply that belongs to a step, and what is said then. */
static const struct {
	const char	*reply;
	const char	*next;
} dialogue[STEP_COUNT] = {
	[STEP_GREETING] = { "220", "EHLO slow.example\r\n" },
	[STEP_EHLO] = { "250", "STARTTLS\r\n" },
	[STEP_STARTTLS] = { "220", "" },
	[STEP_EHLO_TLS] = { "250", "MAIL FROM:<slow@example.com>\r\n" },
	[STEP_MAIL] = { "250", "RCPT TO:<alice@example.org>\r\n" },
	[STEP_RCPT] = { "250", "DATA\r\n" },
	[STEP_DATA] = { "354", "Subject: slow\r\n\r\n" },
};

struct session {
	struct load	*load;		/* outlives us */
	int		 fd;		/* -1: closed */
	SSL		*ssl;		/* owned; null: not yet */
	enum state	 state;		/* the one it is to be held in */
	enum step	 step;
	size_t		 told;		/* bytes of the ClientHello */
	size_t		 input_length;
	char		 input[INPUT_MAX];
};

struct load {
	struct sockaddr_in address;
	unsigned long	 wanted;
	unsigned long	 at_once;
	unsigned long	 seconds;	/* between two bytes of a session */
	bool		 states[STATE_COUNT];
	int		 epoll;
	SSL_CTX		*context;	/* owned */
	char		 hello[HELLO_MAX];	/* a ClientHello */
	size_t		 hello_length;
	struct session	*sessions;	/* owned */
	unsigned long	 begun;
	unsigned long	 opening;
	unsigned long	 held;
	unsigned long	 lost;
	unsigned long	 bytes;
	bool		 announced;
	unsigned long	 turn;		/* whose byte is next */
	int64_t		 began;		/* milliseconds; when all were open */
	char		 why[256];	/* the first loss */
};

static void die(const char *format, ...)
    __attribute__((format(printf, 1, 2), noreturn));

static void die(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	fputs("slow_client: ", stderr);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fputc('\n', stderr);
	exit(2);
}

static int64_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (int64_t)time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

/* --- one session --- */

static void session_lose(struct session *session, const char *why)
{
	struct load *load = session->load;

	if (load->why[0] == '\0')
		snprintf(load->why, sizeof(load->why), "%s, step %d: %.200s",
		    state_names[session->state], (int)session->step, why);
	for (char *c = load->why; *c != '\0'; c++)
		*c = *c < ' ' || *c > '~' || *c == '"' || *c == '\\' ? ' ' : *c;
	if (session->step == STEP_HELD)
		load->held--;
	else
		load->opening--;
	load->lost++;
	session->step = STEP_LOST;
	SSL_free(session->ssl);
	session->ssl = NULL;
	close(session->fd);
	session->fd = -1;
}

static void session_hold(struct session *session)
{
	session->step = STEP_HELD;
	session->load->opening--;
	session->load->held++;
}

/* Small enough for the socket of who has said little: all of it or nothing. */
static void session_say(struct session *session, const char *text,
    size_t length)
{
	bool said = length == 0;

	if (session->ssl != NULL && length > 0)
		said = SSL_write(session->ssl, text, (int)length) ==
		    (int)length;
	else if (length > 0)
		said = send(session->fd, text, length, MSG_NOSIGNAL) ==
		    (ssize_t)length;
	if (!said)
		session_lose(session, "cannot write");
}

static void session_watch(struct session *session, uint32_t events)
{
	struct epoll_event event = { .events = events, .data.ptr = session };

	if (epoll_ctl(session->load->epoll, EPOLL_CTL_MOD, session->fd,
	    &event) < 0)
		die("epoll_ctl: %s", strerror(errno));
}

static void session_handshake(struct session *session)
{
	int result = SSL_do_handshake(session->ssl);
	int error;

	if (result == 1) {
		session->step = STEP_EHLO_TLS;
		session_watch(session, EPOLLIN);
		session_say(session, dialogue[STEP_GREETING].next,
		    strlen(dialogue[STEP_GREETING].next));
		return;
	}
	error = SSL_get_error(session->ssl, result);
	if (error == SSL_ERROR_WANT_WRITE)
		session_watch(session, EPOLLOUT);
	else if (error == SSL_ERROR_WANT_READ)
		session_watch(session, EPOLLIN);
	else
		session_lose(session, "handshake");
	ERR_clear_error();
}

static void session_begin_tls(struct session *session)
{
	struct load *load = session->load;

	if (session->state == STATE_HANDSHAKE) {
		session_say(session, load->hello, HELLO_AT_ONCE);
		session->told = HELLO_AT_ONCE;
		if (session->step != STEP_LOST)
			session_hold(session);
		return;
	}
	session->ssl = SSL_new(load->context);
	if (session->ssl == NULL || SSL_set_fd(session->ssl, session->fd) != 1)
		die("no TLS session");
	SSL_set_connect_state(session->ssl);
	session->step = STEP_HANDSHAKE;
	session_handshake(session);
}

/* A whole reply; line is its last one. */
static void on_reply(struct session *session, const char *line)
{
	enum step step = session->step;
	const char *next = dialogue[step].next;

	if (step == STEP_HELD || dialogue[step].reply == NULL ||
	    strncmp(line, dialogue[step].reply, 3) != 0) {
		session_lose(session, line);
		return;
	}
	if (step == STEP_STARTTLS) {
		session_begin_tls(session);
		return;
	}
	if (step == STEP_EHLO_TLS && session->state == STATE_COMMAND) {
		session_hold(session);
		return;
	}
	if (step != STEP_DATA)
		session->step = step + 1;
	session_say(session, next, strlen(next));
	if (session->step == STEP_DATA && step == STEP_DATA)
		session_hold(session);
}

static void session_parse(struct session *session)
{
	char *line = session->input, *end;

	session->input[session->input_length] = '\0';
	while (session->fd >= 0 && (end = strchr(line, '\n')) != NULL) {
		*end = '\0';
		if (end - line < 4 || line[3] != '-')
			on_reply(session, line);
		line = end + 1;
	}
	session->input_length -= (size_t)(line - session->input);
	memmove(session->input, line, session->input_length);
}

/* -1: nothing just now; 0: the end. */
static ssize_t session_receive(struct session *session)
{
	char *end = session->input + session->input_length;
	size_t room = sizeof(session->input) - 1 - session->input_length;
	int got;

	if (session->ssl == NULL) {
		ssize_t plain = recv(session->fd, end, room, 0);

		return plain < 0 && errno != EAGAIN ? 0 : plain;
	}
	got = SSL_read(session->ssl, end, (int)room);
	if (got <= 0)
		got = SSL_get_error(session->ssl, got) ==
		    SSL_ERROR_WANT_READ ? -1 : 0;
	ERR_clear_error();
	return got;
}

static void session_read(struct session *session)
{
	ssize_t got;

	do {
		got = session_receive(session);
		if (got == 0)
			session_lose(session, "closed");
		if (got <= 0)
			return;
		session->input_length += (size_t)got;
		session_parse(session);
		/* A reader of a whole line each has room again. */
	} while (session->fd >= 0 && session->step != STEP_HANDSHAKE &&
	    session->input_length < sizeof(session->input) - 1);
}

static void on_event(struct session *session)
{
	int one = 1;

	if (session->fd < 0)
		return;
	if (session->step == STEP_CONNECT) {
		setsockopt(session->fd, IPPROTO_TCP, TCP_NODELAY, &one,
		    sizeof(one));
		session->step = STEP_GREETING;
		session_watch(session, EPOLLIN);
	} else if (session->step == STEP_HANDSHAKE) {
		session_handshake(session);
	} else {
		session_read(session);
	}
}

static void session_open(struct load *load)
{
	struct session *session = &load->sessions[load->begun];
	struct epoll_event event = { .events = EPOLLOUT, .data.ptr = session };
	unsigned long state = load->begun++;

	session->load = load;
	do
		session->state = state++ % STATE_COUNT;
	while (!load->states[session->state]);
	session->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK |
	    SOCK_CLOEXEC, 0);
	if (session->fd < 0)
		die("socket: %s", strerror(errno));
	load->opening++;
	session->step = STEP_CONNECT;
	if (connect(session->fd, (struct sockaddr *)&load->address,
	    sizeof(load->address)) < 0 && errno != EINPROGRESS) {
		session_lose(session, strerror(errno));
		return;
	}
	if (epoll_ctl(load->epoll, EPOLL_CTL_ADD, session->fd, &event) < 0)
		die("epoll_ctl: %s", strerror(errno));
}

/* --- all of them --- */

static void session_drip(struct session *session)
{
	struct load *load = session->load;

	if (session->step != STEP_HELD)
		return;
	load->bytes++;
	if (session->state != STATE_HANDSHAKE)
		session_say(session, "x", 1);
	else if (session->told < load->hello_length - 1)
		session_say(session, load->hello + session->told++, 1);
}

/* So many bytes as are due by now, spread over all. */
static void drip(struct load *load)
{
	uint64_t due;

	if (!load->announced)
		return;
	due = (uint64_t)(now() - load->began) * load->wanted /
	    (load->seconds * 1000);
	while (load->turn < due)
		session_drip(&load->sessions[load->turn++ % load->wanted]);
}

static void announce(struct load *load)
{
	if (load->announced || load->opening > 0 ||
	    load->begun < load->wanted)
		return;
	load->announced = true;
	load->began = now();
	printf("open %lu\n", load->held);
	fflush(stdout);
}

static void load_run(struct load *load)
{
	struct epoll_event events[EVENTS_MAX];
	struct epoll_event input = { .events = EPOLLIN };
	bool running = true;

	if (epoll_ctl(load->epoll, EPOLL_CTL_ADD, STDIN_FILENO, &input) < 0)
		die("standard input has to be a pipe");
	while (running) {
		int count;

		while (load->begun < load->wanted &&
		    load->opening < load->at_once)
			session_open(load);
		count = epoll_wait(load->epoll, events, EVENTS_MAX, TICK_MS);
		if (count < 0 && errno != EINTR)
			die("epoll_wait: %s", strerror(errno));
		for (int i = 0; i < count; i++) {
			if (events[i].data.ptr == NULL)
				running = false;
			else
				on_event(events[i].data.ptr);
		}
		announce(load);
		drip(load);
	}
	printf("{\"wanted\": %lu, \"held\": %lu, \"lost\": %lu, "
	    "\"bytes\": %lu, \"first_loss\": \"%s\"}\n", load->wanted,
	    load->held, load->lost, load->bytes, load->why);
}

/* The beginning of a handshake, as any client would say it. */
static void make_hello(struct load *load)
{
	SSL *ssl = SSL_new(load->context);
	BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());
	int length;

	if (ssl == NULL || in == NULL || out == NULL)
		die("no memory");
	SSL_set_bio(ssl, in, out);
	SSL_set_connect_state(ssl);
	SSL_do_handshake(ssl);
	length = BIO_read(out, load->hello, sizeof(load->hello));
	if (length <= HELLO_AT_ONCE)
		die("no ClientHello");
	load->hello_length = (size_t)length;
	SSL_free(ssl);
	ERR_clear_error();
}

static unsigned long number(const char *text)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	if (*text == '\0' || *end != '\0' || value == 0 || value > 1000000)
		die("%s is no number for that", text);
	return value;
}

static void parse(struct load *load, int argc, char **argv)
{
	int letter;

	load->wanted = 1000;
	load->at_once = 50;
	load->seconds = 10;
	load->address.sin_family = AF_INET;
	load->address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	while ((letter = getopt(argc, argv, "p:n:o:s:S:")) != -1) {
		switch (letter) {
		case 'p':
			load->address.sin_port = htons((uint16_t)number(
			    optarg));
			break;
		case 'n': load->wanted = number(optarg); break;
		case 'o': load->at_once = number(optarg); break;
		case 's': load->seconds = number(optarg); break;
		case 'S':
			for (int i = 0; i < STATE_COUNT; i++)
				load->states[i] = strstr(optarg,
				    state_names[i]) != NULL;
			break;
		default:
			die("slow_client -p PORT [-n SESSIONS] [-o OPENING] "
			    "[-s SECONDS] [-S STATE,...]");
		}
	}
	if (load->address.sin_port == 0)
		die("-p is missing");
}

int main(int argc, char **argv)
{
	static struct load load = { .states = { true, true, true } };

	signal(SIGPIPE, SIG_IGN);
	parse(&load, argc, argv);
	if (!load.states[0] && !load.states[1] && !load.states[2])
		die("-S names no state");
	load.context = SSL_CTX_new(TLS_client_method());
	load.sessions = calloc(load.wanted, sizeof(*load.sessions));
	load.epoll = epoll_create1(EPOLL_CLOEXEC);
	if (load.context == NULL || load.sessions == NULL || load.epoll < 0)
		die("cannot begin");
	SSL_CTX_set_mode(load.context, SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_session_cache_mode(load.context, SSL_SESS_CACHE_OFF);
	make_hello(&load);
	load_run(&load);
	return load.lost > 0;
}
