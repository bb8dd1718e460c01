/* SPDX-License-Identifier: ISC */
/*
 * For unit tests: what a piece of code says on descriptor 2, and how a process
 * ends that calls fatal() or bug(). Nothing here may fail in silence: a system
 * call that does not work aborts the test.
 */
#ifndef POSTERN_TESTS_UNIT_BASE_CHILD_H
#define POSTERN_TESTS_UNIT_BASE_CHILD_H

#include <stdio.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

struct capture {
	int	 saved;		/* the true descriptor 2 */
	int	 memory;	/* what was written instead */
};

static inline int must(int result)
{
	if (result < 0) {
		perror("test set-up");
		abort();
	}
	return result;
}

static inline void read_all(int memory, char *text, size_t size)
{
	ssize_t length = pread(memory, text, size - 1, 0);

	text[must((int)length)] = '\0';
	close(memory);
}

static inline void capture_begin(struct capture *capture)
{
	capture->memory = must(memfd_create("capture", MFD_CLOEXEC));
	capture->saved = must(dup(STDERR_FILENO));
	must(dup2(capture->memory, STDERR_FILENO));
}

static inline void capture_end(struct capture *capture, char *text,
    size_t size)
{
	must(dup2(capture->saved, STDERR_FILENO));
	close(capture->saved);
	read_all(capture->memory, text, size);
}

/*
 * Runs body in a child. Its wait status; what it wrote to descriptor 2 is in
 * text. A body that returns ends with status 0.
 */
static inline int run_child(void (*body)(void), char *text, size_t size)
{
	static const struct rlimit no_core = { 0, 0 };
	int memory = must(memfd_create("child", MFD_CLOEXEC));
	int status;
	pid_t child = must(fork());

	if (child == 0) {
		must(setrlimit(RLIMIT_CORE, &no_core));
		must(dup2(memory, STDERR_FILENO));
		body();
		_exit(0);
	}
	must(waitpid(child, &status, 0));
	read_all(memory, text, size);
	return status;
}

/* Passes if body ends by bug(event). */
#define assert_bug(body, event) do {					\
	char said_[4096];						\
	int status_ = run_child(body, said_, sizeof(said_));		\
	assert_true(WIFSIGNALED(status_));				\
	assert_int_equal(WTERMSIG(status_), SIGABRT);			\
	assert_non_null(strstr(said_, event));				\
} while (0)

/* Passes if body ends by fatal(event). */
#define assert_fatal(body, event) do {					\
	char said_[4096];						\
	int status_ = run_child(body, said_, sizeof(said_));		\
	assert_true(WIFEXITED(status_));				\
	assert_int_equal(WEXITSTATUS(status_), 1);			\
	assert_non_null(strstr(said_, event));				\
} while (0)

#endif
