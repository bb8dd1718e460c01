/* SPDX-License-Identifier: ISC */
/*
 *	AWAY --> CONNECTING --> GREETING --> READY
 *	  ^	     |		    |	       |
 *	  '----------+--------------+----------'	a pause in between
 *
 * In GREETING the server says what it is and has; its DONE makes READY. Logins
 * that begin before are sent then, or end by their deadline.
 */
#include "policy/dovecot_auth.h"

#include <ctype.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/queue.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/digest.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "base/process.h"
#include "base/stream.h"
#include "policy/dovecot_line.h"

enum {
	INPUT_MAX = 64 << 10,
	OUTPUT_MAX = 8 << 20,
	GREETING_MS = 10000,
	PAUSE_FIRST_MS = 500,
	PAUSE_MAX_MS = 10000,
	MECHANISMS_MAX = 1023
};

enum auth_state { AUTH_AWAY, AUTH_CONNECTING, AUTH_GREETING, AUTH_READY };

struct dovecot_login {
	struct dovecot_auth *auth;
	uint32_t	 id;		/* 0: over, its end is on the way */
	struct timer	 timer;
	struct buf	 first;		/* secret: AUTH line, until it is sent */
	enum login_answer end;		/* with id 0 */
	login_done	*done;
	void		*arg;
	LIST_ENTRY(dovecot_login) entry;
};

struct dovecot_auth {
	char		*path;		/* owned */
	enum auth_state	 state;
	struct stream	*stream;	/* owned; null before GREETING */
	struct timer	 timer;		/* pause */
	int64_t		 pause;
	bool		 lost_logged;
	char		 mechanisms[MECHANISMS_MAX + 1];
	dovecot_changed	*changed;
	void		*arg;
	uint32_t	 next_id;
	struct hash	*ids;		/* id -> login */
	LIST_HEAD(, dovecot_login) logins;
	unsigned	 count;
};

static void connect_again(void *arg);

/* --- logins --- */

static void forget(struct dovecot_login *login)
{
	if (login->id != 0)
		hash_remove_id(login->auth->ids, login->id);
	timer_stop(&login->timer);
	LIST_REMOVE(login, entry);
	login->auth->count--;
	buf_wipe(&login->first);
	mem_free(login);
}

static void finish(struct dovecot_login *login, enum login_answer answer,
    const void *data, size_t length, const char *user)
{
	login_done *done = login->done;
	void *arg = login->arg;

	if (answer == LOGIN_CHALLENGE)
		timer_stop(&login->timer);
	else
		forget(login);
	done(arg, answer, data, length, user);
}

static void on_end(void *arg)
{
	struct dovecot_login *login = arg;

	finish(login, login->end, "", 0, NULL);
}

/* Not from inside a call of the owner's. */
static void end_soon(struct dovecot_login *login, enum login_answer answer)
{
	if (login->id != 0)
		hash_remove_id(login->auth->ids, login->id);
	login->id = 0;
	login->end = answer;
	timer_start(&login->timer, 0, on_end, login);
}

static void send_bytes(struct dovecot_auth *auth, const char *text,
    size_t length);

static void tell_cancelled(struct dovecot_login *login)
{
	char line[32];
	int length;

	if (login->id == 0 || login->auth->state != AUTH_READY ||
	    buf_length(&login->first) > 0)
		return;
	length = snprintf(line, sizeof(line), "CANCEL\t%u\n",
	    (unsigned)login->id);
	send_bytes(login->auth, line, (size_t)length);
}

static void on_deadline(void *arg)
{
	tell_cancelled(arg);
	finish(arg, LOGIN_UNAVAILABLE, "", 0, NULL);
}

static void await(struct dovecot_login *login)
{
	timer_start(&login->timer, DOVECOT_ANSWER_MS, on_deadline, login);
}

/* --- the connection --- */

static void leave(struct dovecot_auth *auth)
{
	struct dovecot_login *login;

	if (auth->stream != NULL)
		stream_free(auth->stream);
	auth->stream = NULL;
	auth->state = AUTH_AWAY;
	LIST_FOREACH(login, &auth->logins, entry)
		if (login->id != 0 && buf_length(&login->first) == 0)
			end_soon(login, LOGIN_UNAVAILABLE);
	timer_start(&auth->timer, auth->pause, connect_again, auth);
	auth->pause = auth->pause * 2 < PAUSE_MAX_MS ? auth->pause * 2 :
	    PAUSE_MAX_MS;
}

/* Once per loss: it is tried again until it is there. */
static void lose(struct dovecot_auth *auth, const char *reason)
{
	if (!auth->lost_logged)
		log_warn("auth-socket-lost", log_text("path", auth->path),
		    log_text("reason", reason));
	auth->lost_logged = true;
	leave(auth);
}

/* A full output means that nobody reads at the other end: what was written is
 * lost with the connection, whose end will be noticed. */
static void send_bytes(struct dovecot_auth *auth, const char *text,
    size_t length)
{
	if (stream_write(auth->stream, text, length) == -1)
		log_error("auth-socket-full", log_text("path", auth->path));
}

static void send_first(struct dovecot_login *login)
{
	send_bytes(login->auth, buf_data(&login->first),
	    buf_length(&login->first));
	buf_wipe(&login->first);
}

static void on_done(struct dovecot_auth *auth)
{
	struct dovecot_login *login;

	auth->state = AUTH_READY;
	auth->pause = PAUSE_FIRST_MS;
	auth->lost_logged = false;
	stream_deadline(auth->stream, 0);
	log_info("auth-socket", log_text("path", auth->path),
	    log_text("mechanisms", auth->mechanisms));
	LIST_FOREACH(login, &auth->logins, entry)
		if (buf_length(&login->first) > 0)
			send_first(login);
	auth->changed(auth->arg);
}

static void on_mechanism(struct dovecot_auth *auth,
    const struct dovecot_line *line)
{
	size_t length = strlen(auth->mechanisms);

	if (line->is_private ||
	    length + strlen(line->mechanism) + 1 > MECHANISMS_MAX)
		return;
	if (length > 0)
		auth->mechanisms[length++] = ' ';
	memcpy(auth->mechanisms + length, line->mechanism,
	    strlen(line->mechanism) + 1);
}

static int on_greeting(struct dovecot_auth *auth,
    const struct dovecot_line *line)
{
	if (line->kind == DOVECOT_VERSION && line->major != 1)
		return -1;
	if (line->kind == DOVECOT_MECH)
		on_mechanism(auth, line);
	if (line->kind == DOVECOT_DONE)
		on_done(auth);
	return 0;
}

static int on_challenge(struct dovecot_login *login, const char *text)
{
	uint8_t data[LOGIN_DATA_MAX];
	int length = base64_parse(data, sizeof(data), text);

	if (length >= 0)
		finish(login, LOGIN_CHALLENGE, data, (size_t)length, NULL);
	mem_wipe(data, sizeof(data));
	return length < 0 ? -1 : 0;
}

static int on_answer(struct dovecot_auth *auth,
    const struct dovecot_line *line)
{
	struct dovecot_login *login = hash_find_id(auth->ids, line->id);

	if (login == NULL)	/* it was cancelled */
		return 0;
	switch (line->kind) {
	case DOVECOT_CONT:
		return on_challenge(login, line->data);
	case DOVECOT_OK:
		finish(login, LOGIN_ACCEPTED, "", 0, line->user);
		return 0;
	case DOVECOT_FAIL:
		finish(login, line->temporary ? LOGIN_UNAVAILABLE :
		    LOGIN_REJECTED, "", 0, line->user);
		return 0;
	default:
		bug("dovecot-kind");
	}
}

static int on_line(struct dovecot_auth *auth, char *text)
{
	struct dovecot_line line;

	if (dovecot_line_parse(&line, text) == -1)
		return -1;
	if (line.kind == DOVECOT_CONT || line.kind == DOVECOT_OK ||
	    line.kind == DOVECOT_FAIL)
		return on_answer(auth, &line);
	return auth->state == AUTH_GREETING ? on_greeting(auth, &line) : 0;
}

/* Takes one line off the input: 1, or 0 if there is none, -1 if it is wrong. */
static int take_line(struct dovecot_auth *auth)
{
	struct buf *input = stream_input(auth->stream);
	long end = buf_find(input, '\n', 0);
	char text[DOVECOT_HEARD_MAX + 1];
	int result;

	if (end < 0)
		return buf_length(input) > DOVECOT_HEARD_MAX ? -1 : 0;
	if (end > DOVECOT_HEARD_MAX ||
	    memchr(buf_data(input), '\0', (size_t)end) != NULL)
		return -1;
	memcpy(text, buf_data(input), (size_t)end);
	text[end] = '\0';
	buf_consume(input, (size_t)end + 1);
	result = on_line(auth, text);
	mem_wipe(text, (size_t)end);
	return result == -1 ? -1 : 1;
}

static void on_input(struct dovecot_auth *auth)
{
	int result;

	while ((result = take_line(auth)) == 1)
		;
	if (result == -1)
		lose(auth, "not a line of the protocol (version 1)");
	else
		stream_consumed(auth->stream);
}

static void on_stream(void *arg, struct stream *stream,
    enum stream_event event)
{
	struct dovecot_auth *auth = arg;

	switch (event) {
	case STREAM_INPUT:
		on_input(auth);
		break;
	case STREAM_DRAINED:
		break;
	case STREAM_DEADLINE:
		lose(auth, "no greeting in time");
		break;
	case STREAM_END:
		lose(auth, "closed by the server");
		break;
	default:
		lose(auth, stream_problem(stream));
		break;
	}
}

static void on_connected(void *arg, int fd, int error)
{
	struct dovecot_auth *auth = arg;
	char line[64];
	int length;

	if (fd == -1) {
		lose(auth, strerror(error));
		return;
	}
	auth->state = AUTH_GREETING;
	auth->mechanisms[0] = '\0';
	auth->stream = stream_new(fd, INPUT_MAX, on_stream, auth);
	stream_set_max_output(auth->stream, OUTPUT_MAX);
	stream_keep_secret(auth->stream);
	stream_deadline(auth->stream, GREETING_MS);
	length = snprintf(line, sizeof(line), "VERSION\t1\t1\nCPID\t%ld\n",
	    (long)getpid());
	send_bytes(auth, line, (size_t)length);
}

static void connect_again(void *arg)
{
	struct dovecot_auth *auth = arg;

	auth->state = AUTH_CONNECTING;
	process_connect(auth->path, on_connected, auth);
}

/* --- entry points --- */

struct dovecot_auth *dovecot_auth_new(const char *path,
    dovecot_changed *changed, void *arg)
{
	struct dovecot_auth *auth = mem_alloc(sizeof(*auth));

	auth->path = mem_dup_string(path);
	auth->changed = changed;
	auth->arg = arg;
	auth->ids = hash_new();
	auth->pause = PAUSE_FIRST_MS;
	LIST_INIT(&auth->logins);
	/* Not before the role has its supervisor: in the first turn. */
	timer_start(&auth->timer, 0, connect_again, auth);
	return auth;
}

void dovecot_auth_free(struct dovecot_auth *auth)
{
	if (auth == NULL)
		return;
	process_connect_cancel(auth);
	while (!LIST_EMPTY(&auth->logins))
		forget(LIST_FIRST(&auth->logins));
	timer_stop(&auth->timer);
	if (auth->stream != NULL)
		stream_free(auth->stream);
	hash_free(auth->ids);
	mem_free(auth->path);
	mem_free(auth);
}

const char *dovecot_auth_mechanisms(const struct dovecot_auth *auth)
{
	return auth->state == AUTH_READY ? auth->mechanisms : "";
}

/* Addresses are numbers, or "local" for a Unix socket, which is left out. */
static void add_endpoint(struct buf *out, const char *letter,
    const struct endpoint *endpoint)
{
	char text[ENDPOINT_TEXT_MAX];

	endpoint_format(endpoint, text, sizeof(text));
	if (strcmp(text, "local") != 0)
		buf_print(out, "\t%sip=%s\t%sport=%u", letter, text, letter,
		    (unsigned)endpoint_port(endpoint));
}

static void add_base64(struct buf *out, const void *data, size_t length)
{
	char text[BASE64_LENGTH(LOGIN_DATA_MAX) + 1];

	base64_format(data, length, text, sizeof(text));
	buf_add_string(out, text);
	mem_wipe(text, sizeof(text));
}

/* RFC 4954 4 and Dovecot's protocol: resp is the last, and may be empty. */
static void compose(struct dovecot_login *login,
    const struct login_context *context, const void *initial, size_t length)
{
	struct buf *first = &login->first;
	const char *letter = context->mechanism;

	buf_print(first, "AUTH\t%u\t", (unsigned)login->id);
	for (; *letter != '\0'; letter++)
		buf_add_byte(first, (char)toupper((unsigned char)*letter));
	buf_add_string(first, "\tservice=smtp\tsecured\tnologin");
	add_endpoint(first, "l", context->local);
	add_endpoint(first, "r", context->client);
	if (initial != NULL) {
		buf_add_string(first, "\tresp=");
		add_base64(first, initial, length);
	}
	buf_add_byte(first, '\n');
}

struct dovecot_login *dovecot_auth_login(struct dovecot_auth *auth,
    const struct login_context *context, const void *initial, size_t length,
    login_done *done, void *arg)
{
	struct dovecot_login *login = mem_alloc(sizeof(*login));

	login->auth = auth;
	login->done = done;
	login->arg = arg;
	buf_init(&login->first, DOVECOT_LINE_MAX);
	/* Growing would leave pieces of a secret behind. */
	buf_reserve(&login->first, DOVECOT_LINE_MAX);
	LIST_INSERT_HEAD(&auth->logins, login, entry);
	if (auth->count++ >= DOVECOT_LOGINS_MAX || length > LOGIN_DATA_MAX ||
	    !dovecot_is_mechanism(context->mechanism) ||
	    (auth->lost_logged && auth->state != AUTH_READY)) {
		end_soon(login, LOGIN_UNAVAILABLE);
		return login;
	}
	do
		login->id = ++auth->next_id;
	while (login->id == 0 || hash_find_id(auth->ids, login->id) != NULL);
	hash_put_id(auth->ids, login->id, login);
	compose(login, context, initial, length);
	if (auth->state == AUTH_READY)
		send_first(login);
	await(login);
	return login;
}

void dovecot_login_go_on(struct dovecot_login *login, const void *response,
    size_t length)
{
	struct buf line;

	if (login->id == 0 || length > LOGIN_DATA_MAX ||
	    login->auth->state != AUTH_READY) {
		end_soon(login, LOGIN_UNAVAILABLE);
		return;
	}
	buf_init(&line, DOVECOT_LINE_MAX);
	buf_reserve(&line, DOVECOT_LINE_MAX);
	buf_print(&line, "CONT\t%u\t", (unsigned)login->id);
	add_base64(&line, response, length);
	buf_add_byte(&line, '\n');
	send_bytes(login->auth, buf_data(&line), buf_length(&line));
	buf_wipe(&line);
	await(login);
}

void dovecot_login_cancel(struct dovecot_login *login)
{
	tell_cancelled(login);
	forget(login);
}
