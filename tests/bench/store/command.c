/* SPDX-License-Identifier: ISC */
/*
 * Programs that prepare and remove file systems, started without a shell.
 */
#include "tests/bench/store/bench.h"

#include <errno.h>
#include <spawn.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static void command_start(const char *const *words, int out)
{
	posix_spawn_file_actions_t actions;
	char *const *arguments = (char *const *)(uintptr_t)words;
	pid_t child;
	int error, status;

	posix_spawn_file_actions_init(&actions);
	if (out >= 0)
		posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
	error = posix_spawnp(&child, words[0], &actions, NULL, arguments,
	    environ);
	posix_spawn_file_actions_destroy(&actions);
	if (error != 0)
		die(words[0], error);
	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			die("waitpid", errno);
	if (status != 0)
		die(words[0], 0);
}

void command_run(const char *const *words)
{
	command_start(words, -1);
}

void command_read(const char *const *words, char *line, size_t size)
{
	int ends[2];
	ssize_t length;

	if (pipe(ends) != 0)
		die("pipe", errno);
	command_start(words, ends[1]);
	close(ends[1]);
	length = read(ends[0], line, size - 1);
	if (length < 0)
		die("pipe", errno);
	close(ends[0]);
	line[length] = '\0';
	line[strcspn(line, "\n")] = '\0';
}
