/* SPDX-License-Identifier: ISC */
/*
 * What the preloaded libraries of this folder share. Each lives inside a
 * program that knows nothing of it, Postern's roles and Debian's servers
 * alike, and cares only for what lies below one folder: the faulted tree.
 *
 * POSTERN_SCOPE      that folder (absolute, without links); unset: none
 * POSTERN_SCOPE_LOG  start of the names of the logs; unset: none is written
 *
 * Everything here is asked of the kernel anew each time, by system calls that
 * are not intercepted: descriptors come by exec, dup and sockets, and a table
 * of them would be wrong sooner or later. errno is left as it was. Nothing is
 * found in a process that changed its root (no /proc there): the servers under
 * test run without.
 */
#ifndef POSTERN_TESTS_PRELOAD_SCOPE_H
#define POSTERN_TESTS_PRELOAD_SCOPE_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

/* The folder, or null. */
const char *scope_folder(void);

/*
 * Is path (from dirfd, AT_FDCWD for the working folder) below the folder, or
 * the folder itself? Then inside, PATH_MAX bytes, is the rest of it, "" for the
 * folder itself. The last component may be a link: that is meant then, not
 * what it leads to; ".." and "." are worked out by name.
 */
bool	 scope_path(int dirfd, const char *path, char *inside);

/* The same of an open descriptor: file, folder, also one that was unlinked
 * since (its name then ends in " (deleted)"). Sockets and pipes are not. */
bool	 scope_fd(int fd, char *inside);
/* False at the price of one system call for what is no regular file. */
bool	 scope_regular_fd(int fd, char *inside);

/* The next function of that name, of libc as a rule; ends the process when
 * there is none. Keep what it returns: it searches each time. */
void	*scope_real(const char *name);

/* One line (a line end is added) to POSTERN_SCOPE_LOG.PID, in one write. */
void	 scope_log(const char *format, ...)
	    __attribute__((format(printf, 1, 2)));

#endif
