/* SPDX-License-Identifier: ISC */
/*
 * A world to look around in: a shell, or a command, with the servers running
 * and events going to a file. Its faults can be changed from inside, over a
 * socket that `postern lab faults` connects to.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/mem.h"
#include "tools/lab/certificate.h"
#include "tools/lab/namespace.h"
#include "tools/lab/run_child.h"
#include "tools/lab/run_message.h"
#include "tools/lab/run_private.h"
#include "tools/lab/run_shell_talk.h"

#define CONTROL PLACE "/control"
#define CERTIFICATES PLACE "/certificates"

enum { LOOK_MS = 50, ORDER_MAX = 4096, ANSWER_SECONDS = 30 };

/* --- what is inside --- */

static int put_identity(const struct lab_identity *identity, char *error,
    size_t size)
{
	char *chain = mem_print(CERTIFICATES "/%s.pem", identity->name);
	char *key = mem_print(CERTIFICATES "/%s.key", identity->name);
	int result = lab_put_text(chain, identity->chain_pem, error, size);

	if (result == 0)
		result = lab_put_text(key, identity->key_pem, error, size);
	if (result == 0)
		chmod(key, 0600);
	mem_free(chain);
	mem_free(key);
	return result;
}

/* `postern` is the one under test; programs that were unpacked and not
 * installed come last. */
static void set_path(const struct lab_places *places)
{
	const char *old = getenv("PATH"), *postern = places->postern;
	const char *end = strrchr(postern, '/');
	char *path = mem_print("%.*s:%s%s%s%s",
	    end == NULL ? 1 : (int)(end - postern), end == NULL ? "." : postern,
	    old != NULL ? old : "/usr/sbin:/usr/bin:/sbin:/bin",
	    places->peers[0] != '\0' ? ":" : "", places->peers,
	    places->peers[0] != '\0' ? "/bin" : "");

	setenv("PATH", path, 1);
	mem_free(path);
}

/* For servers that the user starts in the place of hosts of ours. */
static int put_certificates(struct lab_state *state)
{
	const struct lab_identities *identities =
	    lab_servers_identities(state->servers);

	mkdir(CERTIFICATES, 0755);
	for (size_t i = 0; i < identities->count; i++)
		if (put_identity(&identities->items[i], state->error,
		    sizeof(state->error)) == -1)
			return -1;
	setenv("LAB_CERTIFICATES", CERTIFICATES, 1);
	setenv("LAB_EVENTS", PLACE "/events", 1);
	setenv("LAB_CONTROL", CONTROL, 1);
	if (state->run->driver != NULL)
		setenv("LAB_DRIVER", state->run->driver->path, 1);
	set_path(state->run->places);
	return 0;
}

static pid_t start_shell(const struct lab_state *state)
{
	const char *shell = getenv("SHELL");
	char *const *command = state->run->command;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid != 0)
		return pid;
	signal(SIGINT, SIG_DFL);
	signal(SIGPIPE, SIG_DFL);
	if (command != NULL) {
		execvp(command[0], command);
		fprintf(stderr, "postern-lab: %s: %s\n", command[0],
		    strerror(errno));
		_exit(127);
	}
	setenv("PS1", "lab$ ", 1);
	if (shell != NULL && access(shell, X_OK) == 0)
		execl(shell, shell, (char *)NULL);
	execl("/bin/sh", "sh", (char *)NULL);
	_exit(127);
}

/* --- faults from inside --- */

static void name_control(struct sockaddr_un *name)
{
	memset(name, 0, sizeof(*name));
	name->sun_family = AF_UNIX;
	snprintf(name->sun_path, sizeof(name->sun_path), "%s", CONTROL);
}

static int listen_control(struct lab_state *state)
{
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC |
	    SOCK_NONBLOCK, 0);
	struct sockaddr_un name;

	name_control(&name);
	if (fd != -1 && bind(fd, (struct sockaddr *)&name,
	    sizeof(name)) == 0 && listen(fd, 4) == 0)
		return fd;
	snprintf(state->error, sizeof(state->error), "%s: %s", CONTROL,
	    strerror(errno));
	return -1;
}

/* The words of an order as a set that lives as long as the scenario; null
 * with a sentence in state->error. */
static struct lab_texts *read_order(struct lab_state *state, char *order)
{
	const struct lab_scenario *scenario = state->run->scenario;
	struct lab_texts *faults = arena_alloc(scenario->arena,
	    sizeof(*faults));
	char *word, *rest = order;

	faults->count = 0;
	faults->items = arena_alloc_array(scenario->arena, strlen(order) + 1,
	    sizeof(*faults->items));
	while ((word = strsep(&rest, " ")) != NULL) {
		if (*word == '\0')
			continue;
		if (!lab_scenario_has_fault(scenario, word)) {
			snprintf(state->error, sizeof(state->error),
			    "%s has no fault %.100s", scenario->name, word);
			return NULL;
		}
		faults->items[faults->count++] = arena_dup_string(
		    scenario->arena, word);
	}
	return faults;
}

static int obey(struct lab_state *state, char *order)
{
	struct lab_texts *faults = read_order(state, order);

	if (faults == NULL)
		return -1;
	lab_servers_add(state->servers, faults);
	if (lab_put_text(PLACE "/ca.pem", lab_servers_ca(state->servers),
	    state->error, sizeof(state->error)) == -1)
		return -1;
	return lab_state_enter(state, faults);
}

/* One order a connection: names with spaces between. Answered by nothing, or
 * by what went wrong. */
static void serve_control(struct lab_state *state, int listener)
{
	const struct timeval patience = { .tv_sec = 1 };
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	char order[ORDER_MAX];
	ssize_t length;

	if (fd == -1)
		return;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	length = recv(fd, order, sizeof(order) - 1, 0);
	if (length > 0) {
		order[length] = '\0';
		state->error[0] = '\0';
		if (obey(state, order) == 0)
			state->error[0] = '\0';
		send(fd, state->error, strlen(state->error) + 1,
		    MSG_NOSIGNAL);
	}
	close(fd);
}

int lab_run_faults(char *const *faults, size_t count, char *error,
    size_t size)
{
	const struct timeval patience = { .tv_sec = ANSWER_SECONDS };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	char order[ORDER_MAX] = " ";
	struct sockaddr_un name;
	size_t used = 1;
	ssize_t got = -1;

	for (size_t i = 0; i < count && used < sizeof(order); i++)
		used += (size_t)snprintf(order + used, sizeof(order) - used,
		    "%s ", faults[i]);
	name_control(&name);
	if (used >= sizeof(order)) {
		snprintf(error, size, "too many faults");
	} else if (fd == -1 || connect(fd, (struct sockaddr *)&name,
	    sizeof(name)) == -1) {
		snprintf(error, size, "this is not the inside of a world (%s: "
		    "%s): see postern lab shell", CONTROL, strerror(errno));
	} else {
		setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience,
		    sizeof(patience));
		if (send(fd, order, used, MSG_NOSIGNAL) == (ssize_t)used)
			got = recv(fd, error, size - 1, 0);
		error[got > 0 ? got : 0] = '\0';
		if (got <= 0)
			snprintf(error, size, "the lab does not answer");
	}
	if (fd != -1)
		close(fd);
	return got > 0 && error[0] == '\0' ? 0 : -1;
}

/* --- until it ends --- */

static void write_events(struct lab_state *state, FILE *file)
{
	json_t *event;
	size_t i;

	lab_state_read_events(state);
	json_array_foreach(state->seen, i, event) {
		json_dumpf(event, file, JSON_COMPACT);
		fputc('\n', file);
	}
	fflush(file);
	json_array_clear(state->seen);
}

/* Events go to a file until the shell ends. */
static int attend_shell(struct lab_state *state, pid_t shell, int listener)
{
	FILE *file = fopen(PLACE "/events", "we");
	struct lab_child child;
	int status;

	lab_child_adopt(&child, shell);
	while (!child.ended && file != NULL) {
		struct pollfd pollers[] = { { state->events, POLLIN, 0 },
		    { listener, POLLIN, 0 } };

		poll(pollers, 2, LOOK_MS);
		write_events(state, file);
		if (pollers[1].revents != 0)
			serve_control(state, listener);
		lab_children_reap();
	}
	status = child.status;
	lab_child_forget(&child);
	if (file != NULL)
		fclose(file);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

struct order {
	const struct lab_run	*run;
	struct lab_record	*record;	/* owned; null none */
};

static int begin(struct lab_state *state, const struct order *order,
    int *listener)
{
	if (lab_record_begin(order->record, state->error,
	    sizeof(state->error)) == -1 ||
	    lab_state_begin(state, order->run) == -1 ||
	    put_certificates(state) == -1)
		return -1;
	*listener = listen_control(state);
	if (*listener == -1)
		return -1;
	return lab_state_enter(state, &order->run->faults);
}

static int inside_shell(void *arg)
{
	const struct order *order = arg;
	struct lab_state state = { .marker = 0 };
	int listener, status = 1;
	pid_t shell;

	signal(SIGPIPE, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	state.seen = json_array();
	if (begin(&state, order, &listener) == -1) {
		fprintf(stderr, "postern-lab: %s\n", state.error);
		status = state.unavailable ? LAB_UNAVAILABLE : 1;
	} else {
		if (order->run->command == NULL)
			lab_shell_describe(&state);
		shell = start_shell(&state);
		if (shell > 0)
			status = attend_shell(&state, shell, listener);
	}
	lab_record_end(order->record);
	return status;
}

pid_t lab_run_shell(struct lab_run *run, char *error, size_t size)
{
	struct order order = { .run = run };
	pid_t pid;

	if (lab_record_open(&order.record, run, error, size) == -1)
		return -1;
	pid = lab_namespace_run(inside_shell, &order, error, size);
	lab_record_free(order.record);
	return pid;
}
