/* SPDX-License-Identifier: ISC */
/*
 * Sends the hello and one JSON request, reads JSON lines up to the one with
 * "end" in it.
 */
#include "tools/control_client.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/control.h"
#include "base/log.h"
#include "base/mem.h"
#include "conf/bundle.h"
#include "conf/conf.h"

/* A plan, then a probe of its hosts: the longest that is worked on in silence
 * takes three minutes. */
enum { ANSWER_SECONDS = 240 };

struct answer {
	void	(*line)(void *arg, const json_t *object);
	void	*arg;
	int	 code;
	bool	 ended;
};

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
	int fd, error;

	if (strlen(path) >= sizeof(address.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(address.sun_path, path, strlen(path));
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd != -1 && connect(fd, (struct sockaddr *)&address,
	    sizeof(address)) == -1) {
		error = errno;
		close(fd);
		errno = error;
		fd = -1;
	}
	return fd;
}

static int open_socket(const char *path)
{
	struct timeval limit = { .tv_sec = ANSWER_SECONDS };
	int fd = connect_to(path);

	if (fd == -1 && errno == ENAMETOOLONG) {
		fprintf(stderr, "postern: %s: the path is too long for a "
		    "socket: set control-socket to a shorter one\n", path);
		return -1;
	}
	if (fd == -1) {
		fprintf(stderr, "postern: %s: %s%s\n", path, strerror(errno),
		    errno == ENOENT || errno == ECONNREFUSED ?
		    ": the server is not running" : errno == EACCES ?
		    ": you are not in the group that may ask the server" : "");
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

static void take_line(struct answer *answer, const char *text)
{
	json_t *object = json_loads(text, 0, NULL);
	const json_t *end = json_object_get(object, "end");
	const char *message;

	if (object == NULL) {
		fprintf(stderr, "postern: the server's answer is not JSON\n");
		answer->code = CONTROL_INTERNAL;
	} else if (json_is_integer(end)) {
		answer->ended = true;
		answer->code = (int)json_integer_value(end);
		message = json_string_value(json_object_get(object,
		    "message"));
		if (message != NULL && message[0] != '\0')
			fprintf(answer->code == CONTROL_OK ? stdout : stderr,
			    "postern: %s\n", message);
	} else if (answer->line != NULL) {
		answer->line(answer->arg, object);
	}
	json_decref(object);
}

static int read_answers(int fd, struct answer *answer)
{
	FILE *in = fdopen(fd, "r");
	char *line = NULL;
	size_t size = 0;
	ssize_t length;

	while (!answer->ended && (length = getline(&line, &size, in)) > 0)
		take_line(answer, line);
	free(line);
	fclose(in);
	if (!answer->ended) {
		fprintf(stderr, "postern: the server closed the connection "
		    "before its answer was complete\n");
		return CONTROL_UNAVAILABLE;
	}
	return answer->code;
}

static int converse(const struct conf *conf,
    const struct control_hello *hello, const char *request,
    struct answer *answer)
{
	int fd = open_socket(conf->control_socket);

	if (fd == -1)
		return CONTROL_UNAVAILABLE;
	if (send_all(fd, hello, sizeof(*hello)) == -1 || (request != NULL &&
	    (send_all(fd, request, strlen(request)) == -1 ||
	    send_all(fd, "\n", 1) == -1))) {
		fprintf(stderr, "postern: cannot send the request: %s\n",
		    strerror(errno));
		close(fd);
		return CONTROL_UNAVAILABLE;
	}
	return read_answers(fd, answer);
}

int control_client_ask(const struct conf *conf, enum role role,
    const char *verb, json_t *arguments, void (*line)(void *arg,
    const json_t *object), void *arg)
{
	struct control_hello hello = { .magic = CONTROL_MAGIC,
	    .role = (uint8_t)role };
	struct answer answer = { .line = line, .arg = arg };
	json_t *request;
	char *text;
	int code;

	if (arguments == NULL)
		arguments = json_object();
	request = json_pack("{s:s, s:o}", "verb", verb, "arguments",
	    arguments);
	text = json_dumps(request, JSON_COMPACT);
	json_decref(request);
	code = converse(conf, &hello, text, &answer);
	free(text);
	return code;
}

int control_client_tell(const struct conf *conf, unsigned verb,
    void (*line)(void *arg, const json_t *object), void *arg)
{
	struct control_hello hello = { .magic = CONTROL_MAGIC,
	    .role = ROLE_SUPERVISOR, .verb = (uint8_t)verb };
	struct answer answer = { .line = line, .arg = arg };

	return converse(conf, &hello, NULL, &answer);
}

void control_client_print(const char *text)
{
	char escaped[4096];
	size_t length;

	log_escape(text, strlen(text), escaped, sizeof(escaped));
	length = strlen(escaped);
	/* The quotes are for those who split lines at spaces. */
	if (length >= 2 && escaped[0] == '"')
		printf("%.*s", (int)(length - 2), escaped + 1);
	else
		fputs(escaped, stdout);
}
