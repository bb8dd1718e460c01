/* SPDX-License-Identifier: ISC */
/*
 * The first process of a namespace: it starts servers and MTA, walks the
 * steps, and gathers events. All waiting is in attend(), which reads events
 * and buries children meanwhile.
 *
 * A step with the faults of the step before goes on in the same world, with
 * the MTA as it is; otherwise the servers are others, and the MTA is told to
 * forget what it knows of the DNS (verb refresh).
 */
#include "tools/lab/run.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "tools/lab/names.h"
#include "tools/lab/namespace.h"
#include "tools/lab/run_child.h"
#include "tools/lab/run_message.h"
#include "tools/lab/run_private.h"
#include "tools/lab/verdict.h"

enum {
	PATIENCE_MS = 20000,	/* for an outcome, and for a driver */
	QUIET_MS = 300,		/* without events, before it is settled */
	GRACE_MS = 150,		/* what may still come after a delivery */
	TURN_MS = 20,
	GREETING_SECONDS = 20,
	FLUSHES_MAX = 3, FLUSH_PAUSE_MS = 1500,	/* longer than TTLs */
	EVENTS_MAX = 20000,	/* of one step */
	EVENT_MAX = 64 << 10,
	LOG_MAX = 1 << 20
};

static const struct lab_texts no_faults;

/* --- waiting --- */

static void take_event(struct lab_state *state, const char *text, size_t length)
{
	json_t *event = json_loadb(text, length, 0, NULL);

	state->last_event = clock_monotonic();
	if (event != NULL && json_array_size(state->seen) < EVENTS_MAX)
		json_array_append_new(state->seen, event);
	else
		json_decref(event);
}

void lab_state_read_events(struct lab_state *state)
{
	static char text[EVENT_MAX];
	ssize_t got;

	while ((got = recv(state->events, text, sizeof(text),
	    MSG_DONTWAIT)) > 0)
		take_event(state, text, (size_t)got);
}

/* One turn; -1 when a server of ours is gone. */
static int attend(struct lab_state *state)
{
	struct pollfd poller = { .fd = state->events, .events = POLLIN };

	poll(&poller, 1, TURN_MS);
	lab_state_read_events(state);
	return lab_servers_watch(state->servers, state->error,
	    sizeof(state->error));
}

static int attend_for(struct lab_state *state, int64_t ms)
{
	int64_t end = clock_monotonic() + ms;

	while (clock_monotonic() < end)
		if (attend(state) == -1)
			return -1;
	return 0;
}

/* --- the driver --- */

/* The last line of a file from this offset on, without its end. */
static void last_line(const char *path, off_t from, char *out, size_t size)
{
	char text[2000];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t length;
	char *end, *line;
	off_t last = fd != -1 ? lseek(fd, 0, SEEK_END) : 0;

	out[0] = '\0';
	if (fd == -1)
		return;
	if (last - from > (off_t)sizeof(text) - 1)
		from = last - (off_t)sizeof(text) + 1;
	length = pread(fd, text, sizeof(text) - 1, from);
	close(fd);
	if (length <= 0)
		return;
	text[length] = '\0';
	end = text + length;
	while (end > text && (end[-1] == '\n' || end[-1] == ' '))
		*--end = '\0';
	line = strrchr(text, '\n');
	line = line != NULL ? line + 1 : text;
	snprintf(out, size, "%.*s", (int)size - 1, line);
}

static void run_driver(const struct lab_driver *driver, const char *verb)
{
	int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);

	if (nothing != -1)
		dup2(nothing, STDIN_FILENO);
	execl(driver->path, driver->path, verb, (char *)NULL);
	fprintf(stderr, "%s: %s\n", driver->path, strerror(errno));
	_exit(126);
}

/* Its exit status; -1 with a sentence when it took too long or was killed. */
static int call(struct lab_state *state, const char *verb, int log)
{
	int64_t end = clock_monotonic() + PATIENCE_MS;
	struct lab_child child = { 0 };
	pid_t pid = lab_child_fork(&child, log);
	int status;

	if (pid == -1) {
		snprintf(state->error, sizeof(state->error),
		    "no process for the driver: %s", strerror(errno));
		return -1;
	}
	if (pid == 0)
		run_driver(state->run->driver, verb);
	while (!child.ended && clock_monotonic() < end) {
		struct pollfd poller = { state->events, POLLIN, 0 };

		poll(&poller, 1, 5);
		lab_state_read_events(state);
		lab_children_reap();
	}
	status = child.status;
	if (child.ended) {
		lab_child_forget(&child);
		if (WIFEXITED(status))
			return WEXITSTATUS(status);
	} else {
		lab_child_kill(&child);
	}
	snprintf(state->error, sizeof(state->error), "driver %s: %s did not "
	    "end by itself", state->run->driver->name, verb);
	return -1;
}

/* A verb that must succeed. */
static int command(struct lab_state *state, const char *verb)
{
	int log = open(PLACE "/driver.log", O_WRONLY | O_CREAT | O_APPEND |
	    O_CLOEXEC, 0644);
	off_t from = lseek(log, 0, SEEK_END);
	char line[400];
	int status;

	status = call(state, verb, log);
	close(log);
	if (status == 0)
		return 0;
	if (status == -1)
		return -1;
	last_line(PLACE "/driver.log", from, line, sizeof(line));
	if (status == LAB_UNAVAILABLE) {
		state->unavailable = true;
		snprintf(state->error, sizeof(state->error), "%s", line);
	} else {
		snprintf(state->error, sizeof(state->error), "driver %s: %s "
		    "failed with status %d: %s", state->run->driver->name,
		    verb, status, line);
	}
	return -1;
}

static bool is_settled(struct lab_state *state)
{
	int log = open(PLACE "/settled.log", O_WRONLY | O_CREAT | O_TRUNC |
	    O_CLOEXEC, 0644);
	int status = call(state, "settled", log);

	close(log);
	return status == 0;
}

/* --- the world --- */

static int start_mta(struct lab_state *state)
{
	if (command(state, "start") == -1 || lab_message_wait(GREETING_SECONDS,
	    state->error, sizeof(state->error)) == -1)
		return -1;
	state->started = true;
	return 0;
}

int lab_state_enter(struct lab_state *state, const struct lab_texts *faults)
{
	if (state->faults != NULL && lab_texts_equal(state->faults, faults))
		return 0;
	state->faults = faults;
	if (lab_servers_start(state->servers, faults, state->error,
	    sizeof(state->error)) == -1)
		return -1;
	if (state->run->driver == NULL)
		return 0;
	if (!state->started)
		return start_mta(state);
	if (command(state, "refresh") == -1)
		return -1;
	return lab_message_wait(GREETING_SECONDS, state->error,
	    sizeof(state->error));
}

/* Until something became of the message, or nothing will for now. */
static int await_outcome(struct lab_state *state)
{
	int64_t begin = clock_monotonic(), asked = begin;
	unsigned settled = 0;

	state->last_event = begin;
	while (clock_monotonic() - begin < PATIENCE_MS) {
		struct lab_sight sight;

		if (attend(state) == -1)
			return -1;
		sight = lab_sight_of(state->seen, state->marker);
		if (sight.host != NULL || sight.impostor != NULL ||
		    sight.bounced)
			return attend_for(state, GRACE_MS);
		if (clock_monotonic() - state->last_event < QUIET_MS ||
		    clock_monotonic() - asked < QUIET_MS)
			continue;
		/* Twice, with quiet between: it may be about to go on. */
		settled = is_settled(state) ? settled + 1 : 0;
		asked = clock_monotonic();
		if (settled == 2 || state->error[0] != '\0')
			break;
	}
	return state->error[0] == '\0' ? 0 : -1;
}

/* --- steps --- */

static int send_message(struct lab_state *state, const struct lab_step *step,
    json_t *seen)
{
	char reply[400];
	int result;

	if (step->to[0] == '\0')
		return 0;
	state->marker++;
	setenv("LAB_TO", step->to, 1);
	result = lab_message_send(step->to, state->marker, reply,
	    sizeof(reply), state->error, sizeof(state->error));
	setenv("LAB_REPLY", reply, 1);
	json_object_set_new(seen, "reply", json_stringn_nocheck(reply,
	    strlen(reply)));
	return result;
}

static bool is_waiting(const struct lab_state *state)
{
	struct lab_sight sight = lab_sight_of(state->seen, state->marker);

	return sight.host == NULL && sight.impostor == NULL && !sight.bounced;
}

/* Would it be delivered if there were no faults? What is remembered of a
 * failure may cost an attempt or two, not more. */
static int heal(struct lab_state *state, json_t *seen)
{
	int64_t begun;

	state->seen = json_array();
	json_object_set_new(seen, "healed", state->seen);
	if (lab_state_enter(state, &no_faults) == -1)
		return -1;
	begun = clock_monotonic();
	for (int flushes = 0; flushes < FLUSHES_MAX &&
	    clock_monotonic() - begun < PATIENCE_MS; flushes++) {
		if ((flushes > 0 && attend_for(state, FLUSH_PAUSE_MS) == -1) ||
		    command(state, "flush") == -1 ||
		    await_outcome(state) == -1)
			return -1;
		if (!is_waiting(state))
			break;
	}
	return 0;
}

static int run_step(struct lab_state *state, const struct lab_step *step,
    json_t *seen)
{
	int result;

	state->seen = json_array();
	json_object_set_new(seen, "events", state->seen);
	if (lab_state_enter(state, &step->faults) == -1 ||
	    attend_for(state, step->after * 1000) == -1 ||
	    (step->flush && command(state, "flush") == -1))
		return -1;
	result = send_message(state, step, seen);
	json_object_set_new(seen, "marker", json_integer(state->marker));
	if (result == -1 || await_outcome(state) == -1)
		return -1;
	if (is_waiting(state) && step->expect != LAB_WAITING &&
	    !state->run->twin)
		return heal(state, seen);
	return 0;
}

static void run_steps(struct lab_state *state, json_t *steps)
{
	const struct lab_scenario *scenario = state->run->scenario;

	for (size_t i = 0; i < scenario->step_count; i++) {
		const struct lab_step *step = &scenario->steps[i];
		json_t *seen = json_pack("{s:s}", "name", step->name);

		json_array_append_new(steps, seen);
		if (run_step(state, step, seen) == 0)
			continue;
		json_object_set_new(seen, "problem",
		    json_string(state->error));
		return;
	}
}

/* --- the first process --- */

static void set_environment(const struct lab_state *state)
{
	const struct lab_run *run = state->run;
	const struct lab_sender *sender = &run->scenario->sender;
	char port[16], *routes = mem_dup_string(""), *longer;

	snprintf(port, sizeof(port), "%d", LAB_PORT);
	for (size_t i = 0; i < sender->routes.count; i++) {
		longer = mem_print("%s%s\n", routes, sender->routes.items[i]);
		mem_free(routes);
		routes = longer;
	}
	setenv("LAB_DIR", PLACE "/mta", 1);
	setenv("LAB_PORT", port, 1);
	setenv("LAB_NAME", "mta.origin.example", 1);
	setenv("LAB_CA", PLACE "/ca.pem", 1);
	setenv("LAB_ANCHOR", PLACE "/anchor", 1);
	setenv("LAB_HINTS", PLACE "/hints", 1);
	setenv("LAB_RESOLVER", "127.0.0.1", 1);
	setenv("LAB_LEVEL", sender->level, 1);
	setenv("LAB_NO_STARTTLS", sender->no_starttls, 1);
	setenv("LAB_BROKEN_TLS", sender->broken_tls, 1);
	setenv("LAB_ROUTES", routes, 1);
	setenv("LAB_REPLY", "", 1);
	setenv("LAB_TO", "", 1);
	setenv("LAB_DATA", run->places->data, 1);
	setenv("LAB_POSTERN", run->places->postern, 1);
	setenv("POSTERN_PEERS", run->places->peers, 1);
	setenv("HOME", PLACE, 1);
	mem_free(routes);
}

int lab_put_text(const char *path, const char *text, char *error,
    size_t size)
{
	FILE *file = fopen(path, "we");
	int result = file != NULL && fputs(text, file) >= 0 ? 0 : -1;

	if (file != NULL && fclose(file) != 0)
		result = -1;
	if (result == -1)
		snprintf(error, size, "%s: %s", path, strerror(errno));
	return result;
}

static int set_place(struct lab_state *state)
{
	const char *ca = lab_servers_ca(state->servers);
	char *error = state->error, *anchor;
	size_t size = sizeof(state->error);
	int result;

	if (mkdir(PLACE "/mta", 0755) == -1 || chdir(PLACE) == -1) {
		snprintf(error, size, "%s: %s", PLACE, strerror(errno));
		return -1;
	}
	anchor = mem_print("%s\n", lab_servers_anchor(state->servers));
	result = lab_put_text(PLACE "/ca.pem", ca, error, size) == -1 ||
	    lab_put_text(PLACE "/anchor", anchor, error, size) == -1 ||
	    lab_put_text(PLACE "/hints", lab_names_hints(), error, size) == -1 ||
	    lab_namespace_put("/etc/ssl/certs/ca-certificates.crt", ca, error,
	    size) == -1 ? -1 : 0;
	mem_free(anchor);
	set_environment(state);
	return result;
}

int lab_state_begin(struct lab_state *state, const struct lab_run *run)
{
	const int large = 4 << 20;
	struct lab_server_output output;
	int ends[2];

	state->run = run;
	output.log = open(PLACE "/servers.log", O_WRONLY | O_CREAT | O_APPEND |
	    O_CLOEXEC, 0644);
	if (output.log == -1 || socketpair(AF_UNIX, SOCK_SEQPACKET |
	    SOCK_CLOEXEC, 0, ends) == -1) {
		snprintf(state->error, sizeof(state->error), "%s",
		    strerror(errno));
		return -1;
	}
	state->events = ends[0];
	setsockopt(ends[1], SOL_SOCKET, SO_SNDBUFFORCE, &large, sizeof(large));
	output.events = ends[1];
	state->servers = lab_servers_new(run->scenario, &run->faults,
	    run->twin, &output);
	return set_place(state);
}

/* A file behind another, under a heading. */
static void append_file(int out, const char *path)
{
	char block[4096];
	int in = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t got;

	if (in == -1)
		return;
	dprintf(out, "== %s\n", path);
	while ((got = read(in, block, sizeof(block))) > 0)
		if (write(out, block, (size_t)got) != got)
			break;
	close(in);
}

/* What the MTA, its driver and our own servers wrote. */
static json_t *log_text(struct lab_state *state)
{
	int fd = open(PLACE "/log", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC,
	    0644);
	char *text = mem_alloc(LOG_MAX + 1);
	ssize_t length;
	json_t *value;

	call(state, "log", fd);
	append_file(fd, PLACE "/driver.log");
	append_file(fd, PLACE "/servers.log");
	length = pread(fd, text, LOG_MAX, 0);
	close(fd);
	for (ssize_t i = 0; i < length; i++)
		if ((unsigned char)text[i] >= 0x80 || text[i] == '\0')
			text[i] = '?';
	value = json_stringn(text, length > 0 ? (size_t)length : 0);
	mem_free(text);
	return value;
}

static void write_whole(int fd, const char *text)
{
	size_t left = strlen(text);
	ssize_t done;

	while (left > 0 && ((done = write(fd, text, left)) > 0 ||
	    (done == -1 && errno == EINTR))) {
		text += done > 0 ? done : 0;
		left -= done > 0 ? (size_t)done : 0;
	}
}

struct order {
	const struct lab_run	*run;
	int			 fd;	/* for the result */
};

static void tell(struct lab_state *state, json_t *steps, int64_t begun, int fd)
{
	json_t *result = json_pack("{s:s?, s:s?, s:f, s:o}", "problem",
	    state->unavailable || state->error[0] == '\0' ? NULL :
	    state->error, "unavailable", state->unavailable ? state->error :
	    NULL, "seconds", (double)(clock_monotonic() - begun) / 1000, "steps",
	    steps);
	char *text;

	if (state->run->want_log || (state->error[0] != '\0' &&
	    !state->unavailable)) {
		state->seen = json_array();	/* nobody's */
		json_object_set_new(result, "log", log_text(state));
		json_decref(state->seen);
	}
	text = json_dumps(result, JSON_COMPACT);
	if (text != NULL)
		write_whole(fd, text);
	free(text);
	json_decref(result);
}

static int inside(void *arg)
{
	const struct order *order = arg;
	struct lab_state state = { .marker = 0 };
	int64_t begun = clock_monotonic();
	json_t *steps = json_array();

	setsid();
	signal(SIGPIPE, SIG_IGN);
	/* What comes before the first step is nobody's. */
	state.seen = json_array();
	if (lab_state_begin(&state, order->run) == 0) {
		json_decref(state.seen);
		run_steps(&state, steps);
	}
	tell(&state, steps, begun, order->fd);
	return 0;
}

pid_t lab_run_start(struct lab_run *run, int fd, char *error, size_t size)
{
	struct order order = { run, fd };

	return lab_namespace_run(inside, &order, error, size);
}
