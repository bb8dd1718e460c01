/* SPDX-License-Identifier: ISC */
/*
 * fork(2), waitpid(2) and kill(2) for the first process of a namespace.
 */
#include "tools/lab/run_child.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"

enum { PATIENCE_MS = 5000, KNOWN_MAX = 8 };

static struct lab_child *known[KNOWN_MAX];

static void nap(void)
{
	const struct timespec millisecond = { 0, 1000000 };

	nanosleep(&millisecond, NULL);
}

void lab_child_adopt(struct lab_child *child, pid_t pid)
{
	*child = (struct lab_child){ .pid = pid };
	for (size_t i = 0; i < KNOWN_MAX; i++)
		if (known[i] == NULL || known[i] == child) {
			known[i] = child;
			return;
		}
	bug("lab-children");
}

void lab_child_forget(struct lab_child *child)
{
	for (size_t i = 0; i < KNOWN_MAX; i++)
		if (known[i] == child)
			known[i] = NULL;
	child->pid = 0;
}

pid_t lab_child_fork(struct lab_child *child, int log)
{
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		setpgid(0, 0);
		dup2(log, STDOUT_FILENO);
		dup2(log, STDERR_FILENO);
	} else if (pid > 0) {
		/* On both sides, so that nobody meets the old group. */
		setpgid(pid, pid);
		lab_child_adopt(child, pid);
	}
	return pid;
}

void lab_children_reap(void)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		for (size_t i = 0; i < KNOWN_MAX; i++)
			if (known[i] != NULL && known[i]->pid == pid) {
				known[i]->ended = true;
				known[i]->status = status;
			}
}

void lab_child_kill(struct lab_child *child)
{
	if (child->pid <= 0)
		return;
	for (int left = PATIENCE_MS; left > 0; left--) {
		if (kill(-child->pid, SIGKILL) == -1 && errno == ESRCH)
			break;
		lab_children_reap();
		nap();
	}
	lab_child_forget(child);
}
