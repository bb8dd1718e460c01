/* SPDX-License-Identifier: ISC */
/*
 * Birth and end of the first process of a namespace: what is there before the
 * first step (servers to be started, files, the environment of drivers), and
 * the result that is told after the last.
 */
#include "tools/lab/run.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "tools/lab/certificate.h"
#include "tools/lab/names.h"
#include "tools/lab/namespace.h"
#include "tools/lab/run_message.h"
#include "tools/lab/run_private.h"

enum { LOG_MAX = 1 << 20 };

/* --- the environment of drivers --- */

/* The words behind each other, each with this behind it; owned by the
 * caller. */
static char *join(const struct lab_texts *texts, const char *end)
{
	char *all = mem_dup_string(""), *longer;

	for (size_t i = 0; i < texts->count; i++) {
		longer = mem_print("%s%s%s", all, texts->items[i], end);
		mem_free(all);
		all = longer;
	}
	return all;
}

/* smtp is always there, and named once. */
static void set_services(const struct lab_texts *services)
{
	char *list = mem_dup_string("smtp"), *longer;

	for (size_t i = 0; i < services->count; i++) {
		if (strcmp(services->items[i], "smtp") == 0)
			continue;
		longer = mem_print("%s %s", list, services->items[i]);
		mem_free(list);
		list = longer;
	}
	setenv("LAB_SERVICES", list, 1);
	mem_free(list);
}

static void set_number(const char *name, int number)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", number);
	setenv(name, text, 1);
}

static void set_receiver(const struct lab_scenario *scenario)
{
	set_services(&scenario->receiver.services);
	set_number("LAB_PORT", LAB_PORT);
	set_number("LAB_SUBMISSION_PORT", LAB_SUBMISSION_PORT);
	set_number("LAB_SUBMISSIONS_PORT", LAB_SUBMISSIONS_PORT);
	setenv("LAB_CERTIFICATE", PLACE "/mta.pem", 1);
	setenv("LAB_KEY", PLACE "/mta.key", 1);
}

static void set_sender(const struct lab_run *run)
{
	const struct lab_sender *sender = &run->scenario->sender;
	char *routes = join(&sender->routes, "\n");

	setenv("LAB_PROFILE", run->profile == LAB_PROFILE_STRICT ? "strict" :
	    "rfc", 1);
	setenv("LAB_LEVEL", sender->level, 1);
	setenv("LAB_NO_STARTTLS", sender->no_starttls, 1);
	setenv("LAB_BROKEN_TLS", sender->broken_tls, 1);
	setenv("LAB_STS_WITH_DANE", sender->sts_with_dane, 1);
	setenv("LAB_INSECURE_MX", sender->insecure_mx, 1);
	setenv("LAB_MEMORY", sender->memory, 1);
	setenv("LAB_REQUIRETLS", lab_scenario_asks_requiretls(run->scenario) ?
	    "yes" : "", 1);
	setenv("LAB_ROUTES", routes, 1);
	mem_free(routes);
}

static void set_environment(const struct lab_state *state)
{
	const struct lab_run *run = state->run;

	set_sender(run);
	set_receiver(run->scenario);
	setenv("LAB_DIR", PLACE "/mta", 1);
	setenv("LAB_NAME", LAB_MTA_NAME, 1);
	setenv("LAB_CA", PLACE "/ca.pem", 1);
	setenv("LAB_ANCHOR", PLACE "/anchor", 1);
	setenv("LAB_HINTS", PLACE "/hints", 1);
	setenv("LAB_RESOLVER", "127.0.0.1", 1);
	setenv("LAB_CLOCK", "+0", 1);
	setenv("LAB_REPLY", "", 1);
	setenv("LAB_TO", "", 1);
	setenv("LAB_DATA", run->places->data, 1);
	setenv("LAB_POSTERN", run->places->postern, 1);
	setenv("POSTERN_PEERS", run->places->peers, 1);
	setenv("HOME", PLACE, 1);
}

/* --- files --- */

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

/* What the MTA shows as a server. */
static int put_identity(const struct lab_identity *identity, char *error,
    size_t size)
{
	if (lab_put_text(PLACE "/mta.pem", identity->chain_pem, error,
	    size) == -1 || lab_put_text(PLACE "/mta.key", identity->key_pem,
	    error, size) == -1)
		return -1;
	chmod(PLACE "/mta.key", 0600);
	return 0;
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
	    put_identity(lab_servers_mta(state->servers), error, size) == -1 ||
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
	state->log = output.log;
	if (output.log == -1 || socketpair(AF_UNIX, SOCK_SEQPACKET |
	    SOCK_CLOEXEC, 0, ends) == -1) {
		snprintf(state->error, sizeof(state->error), "%s",
		    strerror(errno));
		return -1;
	}
	state->events = ends[0];
	state->events_out = ends[1];
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

	lab_state_output(state, "log", fd);
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
	struct lab_record	*record;	/* owned; null none */
	int			 fd;		/* for the result */
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
	struct lab_state state = { .run = order->run };
	int64_t begun = clock_monotonic();
	json_t *steps = json_array();

	setsid();
	signal(SIGPIPE, SIG_IGN);
	/* What comes before the first step is nobody's. */
	state.seen = json_array();
	if (lab_record_begin(order->record, state.error,
	    sizeof(state.error)) == 0 &&
	    lab_state_begin(&state, order->run) == 0) {
		json_decref(state.seen);
		lab_state_walk(&state, steps);
	}
	lab_record_end(order->record);
	tell(&state, steps, begun, order->fd);
	return 0;
}

pid_t lab_run_start(struct lab_run *run, int fd, char *error, size_t size)
{
	struct order order = { .run = run, .fd = fd };
	pid_t pid;

	if (lab_record_open(&order.record, run, error, size) == -1)
		return -1;
	pid = lab_namespace_run(inside, &order, error, size);
	lab_record_free(order.record);
	return pid;
}
