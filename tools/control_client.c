/* SPDX-License-Identifier: ISC */
/*
 * Sends the hello and one JSON request, reads JSON lines up to the one with
 * "end" in it.
 */
#include "tools/control_client.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/control.h"
#include "base/mem.h"
#include "conf/bundle.h"
#include "conf/conf.h"
#include "tools/command_text.h"

/* A plan, then a probe of its hosts: the longest that is worked on in silence
 * takes three minutes. */
enum { ANSWER_SECONDS = 240, CONNECT_SECONDS = 10,
    ANSWER_BLOCK = 64 << 10, ANSWER_MAX = 16 << 20 };

/* Where an interrupt is told to; of the one request under way. */
static volatile sig_atomic_t interrupt_fd = -1;

struct answer {
	bool	stoppable;	/* an interrupt stops the role, not us */
	void	(*line)(void *arg, const json_t *object);
	void	*arg;
	char	*message;	/* null: what is to be said is printed */
	size_t	 message_size;
	int	 code;
	bool	 ended;
};

/* A sentence for the operator, or for who asks on their behalf. */
__attribute__((format(printf, 2, 3)))
static void say(const struct answer *answer, const char *format, ...)
{
	FILE *out = answer->code == CONTROL_OK && answer->ended ? stdout :
	    stderr;
	va_list arguments;

	va_start(arguments, format);
	if (answer->message != NULL) {
		vsnprintf(answer->message, answer->message_size, format,
		    arguments);
	} else {
		fprintf(out, "postern: ");
		vfprintf(out, format, arguments);
		fprintf(out, "\n");
	}
	va_end(arguments);
}

void control_client_complain(const char *errors)
{
	const char *end;

	for (; *errors != '\0'; errors = *end == '\n' ? end + 1 : end) {
		end = strchrnul(errors, '\n');
		if (end > errors)
			fprintf(stderr, "postern: %.*s\n",
			    (int)(end - errors), errors);
	}
}

struct conf *control_client_conf(const char *path)
{
	struct conf *conf = NULL;
	char *errors = NULL;
	char *text = bundle_read_text(path, &errors);

	if (text != NULL)
		conf = conf_read(path, text, &errors);
	if (conf == NULL)
		control_client_complain(errors);
	if (text == NULL)
		fprintf(stderr, "postern: -c names another configuration\n");
	mem_free(errors);
	mem_free(text);
	return conf;
}

/* A descriptor, or -1 with errno. */
static int connect_to(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct timeval limit = { .tv_sec = CONNECT_SECONDS };
	int fd, error;

	if (strlen(path) >= sizeof(address.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(address.sun_path, path, strlen(path));
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	/* Where nobody takes connections any more this one would wait. */
	if (fd != -1)
		setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit,
		    sizeof(limit));
	if (fd != -1 && connect(fd, (struct sockaddr *)&address,
	    sizeof(address)) == -1) {
		error = errno;
		close(fd);
		errno = error;
		fd = -1;
	}
	return fd;
}

static int open_socket(const char *path, const struct answer *answer)
{
	struct timeval limit = { .tv_sec = ANSWER_SECONDS };
	int fd = connect_to(path), error;

	if (fd == -1 && errno == ENAMETOOLONG) {
		say(answer, "%s: the path is too long for a socket: set "
		    "control-socket to a shorter one", path);
		return -1;
	}
	if (fd == -1) {
		error = errno;
		say(answer, "%s: %s%s", path, strerror(error),
		    error == ENOENT || error == ECONNREFUSED ?
		    ": the server is not running" : error == EAGAIN ?
		    ": the server takes no connections" : error == EACCES ?
		    ": you are not in the group that may ask the server" : "");
		errno = error;
		return -1;
	}
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	return fd;
}

static int send_all(int fd, const void *data, size_t length)
{
	const char *position = data;
	ssize_t sent;

	while (length > 0) {
		sent = send(fd, position, length, MSG_NOSIGNAL);
		if (sent <= 0)
			return -1;
		position += sent;
		length -= (size_t)sent;
	}
	return 0;
}

/* Something is asked, so that the server's log has no complaint about us. */
int control_client_try(const struct conf *conf)
{
	struct control_hello hello = { .magic = CONTROL_MAGIC,
	    .role = ROLE_SUPERVISOR, .verb = CONTROL_STATUS };
	int fd = connect_to(conf->control_socket);
	int result;

	if (fd == -1)
		return errno;
	result = send_all(fd, &hello, sizeof(hello)) == -1 ? EPIPE : 0;
	close(fd);
	return result;
}

static void take_line(struct answer *answer, const char *text, size_t length)
{
	json_t *object = text_read_answer(text, length);
	const json_t *end = json_object_get(object, "end");
	const char *message;

	if (object == NULL) {
		answer->code = CONTROL_INTERNAL;
		say(answer, "the server's answer is not JSON");
	} else if (json_is_integer(end)) {
		answer->ended = true;
		answer->code = (int)json_integer_value(end);
		message = json_string_value(json_object_get(object,
		    "message"));
		if (message != NULL && message[0] != '\0')
			say(answer, "%s", message);
	} else if (answer->line != NULL) {
		answer->line(answer->arg, object);
	}
	json_decref(object);
}

/* False at the end, or when nothing comes any more. A descriptor with a time
 * limit is not read on by itself after a signal. */
static bool receive(int fd, struct buf *in)
{
	char *room = buf_reserve(in, ANSWER_BLOCK);
	ssize_t got;

	if (room == NULL)
		return false;
	do
		got = recv(fd, room, ANSWER_BLOCK, 0);
	while (got == -1 && errno == EINTR);
	if (got > 0)
		buf_commit(in, (size_t)got);
	return got > 0;
}

static void take_lines(struct answer *answer, struct buf *in, size_t known)
{
	long end;

	while (!answer->ended && (end = buf_find(in, '\n', known)) != -1) {
		take_line(answer, buf_data(in), (size_t)end);
		buf_consume(in, (size_t)end + 1);
		known = 0;
	}
}

static int read_answers(int fd, struct answer *answer)
{
	struct buf in;
	size_t known = 0;

	buf_init(&in, ANSWER_MAX);
	while (!answer->ended && receive(fd, &in)) {
		take_lines(answer, &in, known);
		known = buf_length(&in);
	}
	buf_release(&in);
	close(fd);
	if (!answer->ended) {
		say(answer, "the server closed the connection before its "
		    "answer was complete");
		return CONTROL_UNAVAILABLE;
	}
	return answer->code;
}

/* A descriptor on which the request has been sent, or -1 after a sentence, with
 * EACCES in errno for a socket that we may not use. */
static int open_request(const struct conf *conf,
    const struct control_hello *hello, const char *request,
    const struct answer *answer)
{
	int fd = open_socket(conf->control_socket, answer);

	if (fd == -1)
		return -1;
	if (send_all(fd, hello, sizeof(*hello)) == -1 || (request != NULL &&
	    (send_all(fd, request, strlen(request)) == -1 ||
	    send_all(fd, "\n", 1) == -1))) {
		say(answer, "cannot send the request: %s", strerror(errno));
		close(fd);
		return -1;
	}
	return fd;
}

/* The role answers with how far it came. */
static void on_interrupt(int number)
{
	static const char stop[] = "{\"stop\":true}\n";
	int error = errno;

	(void)number;
	if (interrupt_fd != -1)
		send(interrupt_fd, stop, sizeof(stop) - 1, MSG_NOSIGNAL);
	errno = error;
}

/* A second interrupt ends the command as it always does. */
static int read_stoppable(int fd, const sigset_t *mask, struct answer *answer)
{
	struct sigaction action = { .sa_handler = on_interrupt,
	    .sa_flags = SA_RESTART | (int)SA_RESETHAND }, former;
	int code;

	interrupt_fd = fd;
	sigaction(SIGINT, &action, &former);
	sigprocmask(SIG_SETMASK, mask, NULL);
	code = read_answers(fd, answer);
	interrupt_fd = -1;
	sigaction(SIGINT, &former, NULL);
	return code;
}

static int converse(const struct conf *conf,
    const struct control_hello *hello, const char *request,
    struct answer *answer)
{
	sigset_t interrupt, mask;
	int fd, error;

	/* An interrupt comes before the request is made, or behind it. */
	sigemptyset(&interrupt);
	sigaddset(&interrupt, SIGINT);
	sigprocmask(SIG_BLOCK, &interrupt, &mask);
	fd = open_request(conf, hello, request, answer);
	error = errno;
	if (fd != -1 && answer->stoppable)
		return read_stoppable(fd, &mask, answer);
	sigprocmask(SIG_SETMASK, &mask, NULL);
	if (fd == -1)
		return error == EACCES ? CONTROL_DENIED : CONTROL_UNAVAILABLE;
	return read_answers(fd, answer);
}

/* The request as text, owned; takes arguments. */
static char *request_text(const char *verb, json_t *arguments)
{
	json_t *request = json_pack("{s:s, s:o}", "verb", verb, "arguments",
	    arguments != NULL ? arguments : json_object());
	char *text = json_dumps(request, JSON_COMPACT);

	json_decref(request);
	return text;
}

int control_client_open(const struct conf *conf, enum role role,
    const char *verb, json_t *arguments)
{
	const struct control_hello hello = { .magic = CONTROL_MAGIC,
	    .role = (uint8_t)role };
	const struct answer answer = { .message = NULL };
	char *text = request_text(verb, arguments);
	int fd = open_request(conf, &hello, text, &answer);

	free(text);
	return fd;
}

static int ask(const struct conf *conf, enum role role, const char *verb,
    json_t *arguments, struct answer *answer)
{
	struct control_hello hello = { .magic = CONTROL_MAGIC,
	    .role = (uint8_t)role };
	char *text = request_text(verb, arguments);
	int code;

	code = converse(conf, &hello, text, answer);
	free(text);
	return code;
}

int control_client_ask(const struct conf *conf, enum role role,
    const char *verb, json_t *arguments, void (*line)(void *arg,
    const json_t *object), void *arg)
{
	struct answer answer = { .line = line, .arg = arg };

	return ask(conf, role, verb, arguments, &answer);
}

int control_client_ask_long(const struct conf *conf, enum role role,
    const char *verb, json_t *arguments, void (*line)(void *arg,
    const json_t *object), void *arg)
{
	struct answer answer = { .line = line, .arg = arg,
	    .stoppable = true };

	return ask(conf, role, verb, arguments, &answer);
}

int control_client_ask_quietly(const struct conf *conf, enum role role,
    const char *verb, json_t *arguments, struct control_client_answer *told)
{
	struct answer answer = { .line = told->line, .arg = told->arg,
	    .message = told->message,
	    .message_size = sizeof(told->message) };

	told->message[0] = '\0';
	return ask(conf, role, verb, arguments, &answer);
}

int control_client_tell(const struct conf *conf, unsigned verb,
    void (*line)(void *arg, const json_t *object), void *arg)
{
	struct control_hello hello = { .magic = CONTROL_MAGIC,
	    .role = ROLE_SUPERVISOR, .verb = (uint8_t)verb };
	struct answer answer = { .line = line, .arg = arg };

	return converse(conf, &hello, NULL, &answer);
}
