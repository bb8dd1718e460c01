/* SPDX-License-Identifier: ISC */
/*
 * The namespace is entered by the test program itself: what it starts is in
 * it, too.
 */
#include "tests/unit/lab_actors_world.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "tools/lab/actors.h"
#include "tools/lab/event.h"

static void must_work(bool worked, const char *what)
{
	if (worked)
		return;
	fprintf(stderr, "test set-up: %s: %s\n", what, strerror(errno));
	abort();
}

static bool write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);
	bool worked = fd != -1 && write(fd, text, strlen(text)) ==
	    (ssize_t)strlen(text);

	if (fd != -1)
		close(fd);
	return worked;
}

static bool become_root(uid_t uid, gid_t gid)
{
	char map[64];

	snprintf(map, sizeof(map), "0 %u 1", (unsigned)uid);
	if (!write_file("/proc/self/setgroups", "deny") ||
	    !write_file("/proc/self/uid_map", map))
		return false;
	snprintf(map, sizeof(map), "0 %u 1", (unsigned)gid);
	return write_file("/proc/self/gid_map", map);
}

static bool raise_loopback(void)
{
	struct ifreq request = { .ifr_name = "lo" };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool worked;

	request.ifr_flags = IFF_UP | IFF_RUNNING;
	worked = fd != -1 && ioctl(fd, SIOCSIFFLAGS, &request) == 0;
	if (fd != -1)
		close(fd);
	return worked;
}

bool world_enter(void)
{
	uid_t uid = getuid();
	gid_t gid = getgid();

	if (unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0 &&
	    become_root(uid, gid) && raise_loopback())
		return true;
	printf("# skipped: no user and network namespaces here: %s\n",
	    strerror(errno));
	return false;
}

void scene_start(struct scene *scene, const struct lab_world *world,
    bool twin)
{
	char error[256] = "";
	struct lab_actors *actors;
	int ends[2];

	must_work(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0,
	    ends) == 0, "socketpair");
	scene->events = ends[0];
	scene->arena = arena_new(16 << 20);
	scene->identities = lab_identities_new(world, scene->arena);
	actors = lab_actors_new(world, scene->identities, twin, error,
	    sizeof(error));
	must_work(actors != NULL, error);
	scene->server = fork();
	must_work(scene->server != -1, "fork");
	if (scene->server == 0) {
		/* A test that fails does not come to scene_end(). */
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(ends[0]);
		lab_event_open(ends[1]);
		lab_actors_serve(actors);
		_exit(1);
	}
	close(ends[1]);
	lab_actors_free(actors);
}

void scene_end(struct scene *scene)
{
	int status;

	kill(scene->server, SIGTERM);
	must_work(waitpid(scene->server, &status, 0) == scene->server, "wait");
	must_work(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM,
	    "the server ended by itself");
	close(scene->events);
	arena_free(scene->arena);
}

json_t *scene_event(struct scene *scene, int milliseconds)
{
	struct pollfd wait = { .fd = scene->events, .events = POLLIN };
	static char text[65536];
	json_error_t error;
	json_t *event;
	ssize_t length;

	if (poll(&wait, 1, milliseconds) != 1)
		return NULL;
	length = recv(scene->events, text, sizeof(text), 0);
	if (length <= 0)
		return NULL;
	event = json_loadb(text, (size_t)length, 0, &error);
	must_work(event != NULL, error.text);
	must_work(json_is_integer(json_object_get(event, "time")), "time");
	return event;
}

/* "message+(MARKER dsn impostor requiretls text STATUS)" */
static void tell_message(const json_t *event, const char *plus, char *out,
    size_t size)
{
	static const char *const flags[] = { "dsn", "impostor", "requiretls",
	    "text" };
	const json_t *status;
	size_t used, i;

	used = (size_t)snprintf(out, size, "message%s(%s", plus,
	    json_string_value(json_object_get(event, "marker")));
	for (i = 0; i < sizeof(flags) / sizeof(flags[0]); i++)
		if (json_is_true(json_object_get(event, flags[i])))
			used += (size_t)snprintf(out + used, size - used,
			    " %s", flags[i]);
	json_array_foreach(json_object_get(event, "statuses"), i, status)
		used += (size_t)snprintf(out + used, size - used, " %s",
		    json_string_value(status));
	snprintf(out + used, size - used, ")");
}

/* The words of one event. */
static void tell(const json_t *event, const char *kind, char *out,
    size_t size)
{
	const char *line = json_string_value(json_object_get(event, "line"));
	const char *plus = json_is_true(json_object_get(event, "tls")) ? "+" :
	    "";

	if (strcmp(kind, "command") == 0)
		snprintf(out, size, "%.*s%s", (int)strcspn(line, " "), line,
		    plus);
	else if (strcmp(kind, "handshake") == 0)
		snprintf(out, size, "%s", json_object_get(event, "problem") !=
		    NULL ? "no-tls" : "tls");
	else if (strcmp(kind, "message") == 0)
		tell_message(event, plus, out, size);
	else if (strcmp(kind, "fetch") == 0)
		snprintf(out, size, "fetch(%s %lld)", json_string_value(
		    json_object_get(event, "path")), (long long)
		    json_integer_value(json_object_get(event, "status")));
	else
		snprintf(out, size, "%s", kind);
}

void scene_story(struct scene *scene, const char *actor, char *out,
    size_t size)
{
	int64_t deadline = clock_monotonic() + PATIENCE_MS;
	size_t used = 0;
	bool ended = false;

	out[0] = '\0';
	while (!ended && clock_monotonic() < deadline) {
		json_t *event = scene_event(scene, PATIENCE_MS);
		const char *kind;

		if (event == NULL)
			break;
		kind = json_string_value(json_object_get(event, "event"));
		if (strcmp(json_string_value(json_object_get(event, "actor")),
		    actor) == 0 && strcmp(kind, "reply") != 0 &&
		    used + 1 < size) {
			if (used > 0)
				out[used++] = ' ';
			tell(event, kind, out + used, size - used);
			used += strlen(out + used);
			ended = strcmp(kind, "end") == 0;
		}
		json_decref(event);
	}
}
