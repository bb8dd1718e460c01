/* SPDX-License-Identifier: ISC */
/*
 * See scope.h. Only system calls that no library of this folder intercepts,
 * and no memory but the stack: this runs inside calls that programs make in
 * signal handlers and between fork and exec.
 */
#include "tests/preload/scope.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static void die(const char *what, const char *name)
{
	char text[256];
	int length = snprintf(text, sizeof(text), "preload: %s %s\n", what,
	    name);

	(void)!syscall(SYS_write, STDERR_FILENO, text, (size_t)length);
	syscall(SYS_exit_group, 70);
	__builtin_unreachable();
}

void *scope_real(const char *name)
{
	void *found = dlsym(RTLD_NEXT, name);

	if (found == NULL)
		die("there is no", name);
	return found;
}

const char *scope_folder(void)
{
	static const char *folder;
	static bool asked;

	if (!asked) {
		folder = getenv("POSTERN_SCOPE");
		if (folder != NULL && folder[0] != '/')
			die("POSTERN_SCOPE is not absolute:", folder);
		asked = true;
	}
	return folder;
}

/* --- paths --- */

/* What is behind the folder in an absolute path without "." and "..". */
static bool rest_of(const char *path, char *inside)
{
	const char *folder = scope_folder();
	size_t length = strlen(folder);

	if (strncmp(path, folder, length) != 0 ||
	    (path[length] != '/' && path[length] != '\0'))
		return false;
	path += length;
	path += *path == '/';
	memmove(inside, path, strlen(path) + 1);
	return true;
}

static bool link_text(const char *link, char *text)
{
	long length = syscall(SYS_readlinkat, AT_FDCWD, link, text,
	    PATH_MAX - 1);

	if (length <= 0 || text[0] != '/')
		return false;
	text[length] = '\0';
	return true;
}

static bool descriptor_text(int fd, char *text)
{
	char link[64];

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	return link_text(link, text);
}

/* Adds the components of path to out, which is absolute or empty. */
static bool walk(char *out, const char *path)
{
	size_t used = strlen(out);

	while (*path != '\0') {
		size_t length = strcspn(path, "/");

		if (length == 2 && path[0] == '.' && path[1] == '.') {
			while (used > 0 && out[--used] != '/')
				;
		} else if (length > 0 && !(length == 1 && path[0] == '.')) {
			if (used + length + 2 > PATH_MAX)
				return false;
			out[used++] = '/';
			memcpy(out + used, path, length);
			used += length;
		}
		out[used] = '\0';
		path += length;
		path += *path == '/';
	}
	return true;
}

static bool path_inside(int dirfd, const char *path, char *inside)
{
	char whole[PATH_MAX] = "";

	if (path[0] != '/' && (dirfd == AT_FDCWD ?
	    !link_text("/proc/self/cwd", whole) :
	    !descriptor_text(dirfd, whole)))
		return false;
	if (strcmp(whole, "/") == 0)
		whole[0] = '\0';
	return walk(whole, path) && rest_of(whole, inside);
}

bool scope_path(int dirfd, const char *path, char *inside)
{
	int before = errno;
	bool found;

	if (scope_folder() == NULL || path == NULL || path[0] == '\0')
		return false;
	found = path_inside(dirfd, path, inside);
	errno = before;
	return found;
}

/* --- descriptors --- */

bool scope_fd(int fd, char *inside)
{
	char whole[PATH_MAX];
	int before = errno;
	bool found;

	if (scope_folder() == NULL || fd < 0)
		return false;
	found = descriptor_text(fd, whole) && rest_of(whole, inside);
	errno = before;
	return found;
}

bool scope_regular_fd(int fd, char *inside)
{
	struct stat about;
	int before = errno;
	bool regular;

	if (scope_folder() == NULL || fd < 0)
		return false;
	regular = syscall(SYS_fstat, fd, &about) == 0 &&
	    S_ISREG(about.st_mode);
	errno = before;
	return regular && scope_fd(fd, inside);
}

/* --- the log of a process --- */

/* Opened for each line: servers close descriptors that they do not know. */
void scope_log(const char *format, ...)
{
	const char *start = getenv("POSTERN_SCOPE_LOG");
	char path[PATH_MAX], line[PATH_MAX + 512];
	int before = errno;
	va_list list;
	int length;
	long fd;

	if (start == NULL)
		return;
	va_start(list, format);
	length = vsnprintf(line, sizeof(line) - 1, format, list);
	va_end(list);
	if (length > (int)sizeof(line) - 2)
		length = (int)sizeof(line) - 2;
	line[length++] = '\n';
	snprintf(path, sizeof(path), "%s.%d", start, (int)getpid());
	fd = syscall(SYS_openat, AT_FDCWD, path,
	    O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
	if (fd >= 0) {
		(void)!syscall(SYS_write, (int)fd, line, (size_t)length);
		syscall(SYS_close, (int)fd);
	}
	errno = before;
}
