/* SPDX-License-Identifier: ISC */
/*
 * The verbs of the driver. While one runs events are read, and whoever ends is
 * buried; none may take longer than our patience.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "tools/lab/namespace.h"
#include "tools/lab/run_child.h"
#include "tools/lab/run_private.h"

#define DRIVER_LOG PLACE "/driver.log"

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
	int64_t end = clock_monotonic() + LAB_PATIENCE_MS;
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

/* The same; what it printed last in line. */
static int call_logged(struct lab_state *state, const char *verb, char *line,
    size_t size)
{
	int log = open(DRIVER_LOG, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC,
	    0644);
	off_t from = lseek(log, 0, SEEK_END);
	int status = call(state, verb, log);

	close(log);
	last_line(DRIVER_LOG, from, line, size);
	return status;
}

static int set_unavailable(struct lab_state *state, const char *line)
{
	state->unavailable = true;
	snprintf(state->error, sizeof(state->error), "%s", line);
	return -1;
}

static int set_failed(struct lab_state *state, const char *verb, int status,
    const char *line)
{
	snprintf(state->error, sizeof(state->error), "driver %s: %s failed "
	    "with status %d: %s", state->run->driver->name, verb, status,
	    line);
	return -1;
}

int lab_state_command(struct lab_state *state, const char *verb)
{
	char line[400];
	int status = call_logged(state, verb, line, sizeof(line));

	if (status <= 0)
		return status;
	if (status == LAB_UNAVAILABLE)
		return set_unavailable(state, line);
	return set_failed(state, verb, status, line);
}

void lab_state_output(struct lab_state *state, const char *verb, int log)
{
	call(state, verb, log);
}

enum lab_settled lab_state_settled(struct lab_state *state)
{
	int log = open(PLACE "/settled.log", O_WRONLY | O_CREAT | O_TRUNC |
	    O_CLOEXEC, 0644);
	int status = call(state, "settled", log);

	close(log);
	return status == 0 ? LAB_SETTLED_YES : status == 1 ? LAB_SETTLED_NO :
	    LAB_SETTLED_UNKNOWN;
}

bool lab_state_crashed(struct lab_state *state, char *said, size_t size)
{
	char line[400], error[sizeof(state->error)];
	int status;

	/* What went wrong before is not lost by asking. */
	memcpy(error, state->error, sizeof(error));
	status = call_logged(state, "health", line, sizeof(line));
	memcpy(state->error, error, sizeof(error));
	if (status != 1)
		return false;
	snprintf(said, size, "%s", line[0] != '\0' ? line :
	    "a process of it ended in a way it should not");
	return true;
}

/* "+8d" in seconds; what it is was checked when the scenario was read. */
static int64_t clock_seconds(const char *clock)
{
	static const struct { char unit; int64_t seconds; } units[] = {
	    { 's', 1 }, { 'm', 60 }, { 'h', 3600 }, { 'd', 86400 },
	    { 'y', 365 * 86400 } };
	char *end;
	int64_t number = strtoll(clock, &end, 10);

	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (*end == units[i].unit)
			return number * units[i].seconds;
	return number;
}

int lab_state_clock(struct lab_state *state, const char *clock)
{
	int64_t seconds = clock_seconds(clock);
	char text[32], line[400];
	int status;

	if (clock[0] == '\0' || seconds == state->clock)
		return 0;
	snprintf(text, sizeof(text), "%+lld", (long long)seconds);
	setenv("LAB_CLOCK", text, 1);
	status = call_logged(state, "clock", line, sizeof(line));
	if (status == LAB_UNAVAILABLE)
		return set_unavailable(state, line[0] != '\0' ? line :
		    "this MTA's clock cannot be moved");
	if (status > 0)
		return set_failed(state, "clock", status, line);
	if (status == 0)
		state->clock = seconds;
	return status;
}
