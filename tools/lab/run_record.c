/* SPDX-License-Identifier: ISC */
/*
 * A capture of all packets of a run and the secrets of its TLS connections, in
 * files outside. Inside, the machine's files cannot be changed; so these are
 * opened before, and written through their descriptors: packets by tcpdump,
 * secrets by whoever has a connection (lab_link_keylog()).
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "tools/lab/actors_link.h"
#include "tools/lab/run_child.h"
#include "tools/lab/run_private.h"

enum { READY_MS = 5000, LAST_MS = 100, END_MS = 3000 };

struct lab_record {
	int			 packets, keys;		/* owned */
	char			*tcpdump;		/* its path */
	struct lab_child	 child;
	int			 said;			/* its standard error */
};

static bool is_program(const char *path)
{
	return access(path, X_OK) == 0;
}

/* In PATH, and where administrators' programs are; null: not there. */
static char *find_program(const char *name)
{
	const char *path = getenv("PATH");
	char *list = mem_print("%s:/usr/sbin:/sbin:/usr/bin",
	    path != NULL ? path : ""), *rest = list, *directory;
	char *found = NULL;

	while (found == NULL && (directory = strsep(&rest, ":")) != NULL) {
		char *one = mem_print("%s/%s", directory, name);

		if (*directory == '/' && is_program(one))
			found = one;
		else
			mem_free(one);
	}
	mem_free(list);
	return found;
}

/* DIRECTORY/SCENARIO.MTA[.strict][.twin].ENDING, begun anew. */
static int open_file(const struct lab_run *run, const char *ending,
    char *error, size_t size)
{
	char *name = mem_print("%s.%s%s%s.%s", run->scenario->name,
	    run->driver != NULL ? run->driver->name : "none",
	    run->profile == LAB_PROFILE_STRICT ? ".strict" : "",
	    run->twin ? ".twin" : "", ending), *path;
	int fd;

	for (char *slash = name; (slash = strchr(slash, '/')) != NULL;)
		*slash = '_';
	path = mem_print("%s/%s", run->record, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC,
	    0600);
	if (fd == -1)
		snprintf(error, size, "%s: %s", path, strerror(errno));
	mem_free(path);
	mem_free(name);
	return fd;
}

int lab_record_open(struct lab_record **record, const struct lab_run *run,
    char *error, size_t size)
{
	struct lab_record *new;

	*record = NULL;
	if (run->record == NULL)
		return 0;
	new = mem_alloc(sizeof(*new));
	new->packets = new->keys = new->said = -1;
	new->tcpdump = find_program("tcpdump");
	if (new->tcpdump == NULL) {
		snprintf(error, size, "there is no tcpdump, which writes the "
		    "packets: install it (Debian: apt install tcpdump)");
	} else if ((new->packets = open_file(run, "pcap", error, size)) !=
	    -1 && (new->keys = open_file(run, "keys", error, size)) != -1) {
		*record = new;
		return 0;
	}
	lab_record_free(new);
	return -1;
}

/* Until it says that it listens, or ends. */
static bool is_listening(struct lab_record *record, char *said, size_t size)
{
	int64_t end = clock_monotonic() + READY_MS;
	size_t used = 0;
	ssize_t got = 1;

	said[0] = '\0';
	while (got > 0 && used < size - 1 && clock_monotonic() < end &&
	    strstr(said, "listening on") == NULL) {
		struct pollfd poller = { record->said, POLLIN, 0 };

		if (poll(&poller, 1, 50) < 1)
			continue;
		got = read(record->said, said + used, size - 1 - used);
		used += got > 0 ? (size_t)got : 0;
		said[used] = '\0';
	}
	return strstr(said, "listening on") != NULL;
}

int lab_record_begin(struct lab_record *record, char *error, size_t size)
{
	char said[400];
	int ends[2];
	pid_t pid;

	if (record == NULL)
		return 0;
	if (pipe2(ends, O_CLOEXEC) == -1 ||
	    (pid = lab_child_fork(&record->child, ends[1])) == -1) {
		snprintf(error, size, "no process for tcpdump: %s",
		    strerror(errno));
		return -1;
	}
	if (pid == 0) {
		dup2(record->packets, STDOUT_FILENO);
		execl(record->tcpdump, "tcpdump", "-Z", "root", "-i", "lo",
		    "-n", "-U", "--immediate-mode", "-w", "-", (char *)NULL);
		_exit(126);
	}
	close(ends[1]);
	record->said = ends[0];
	if (!is_listening(record, said, sizeof(said))) {
		snprintf(error, size, "tcpdump does not listen: %.300s", said);
		return -1;
	}
	lab_link_keylog(record->keys);
	return 0;
}

/* What is under way is read before it is told to end. */
void lab_record_end(struct lab_record *record)
{
	int64_t end;

	if (record == NULL || record->child.pid <= 0)
		return;
	usleep(LAST_MS * 1000);
	kill(record->child.pid, SIGINT);
	end = clock_monotonic() + END_MS;
	while (!record->child.ended && clock_monotonic() < end) {
		usleep(1000);
		lab_children_reap();
	}
	lab_child_kill(&record->child);
}

void lab_record_free(struct lab_record *record)
{
	if (record == NULL)
		return;
	if (record->packets != -1)
		close(record->packets);
	if (record->keys != -1)
		close(record->keys);
	if (record->said != -1)
		close(record->said);
	mem_free(record->tcpdump);
	mem_free(record);
}
