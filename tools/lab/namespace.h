/* SPDX-License-Identifier: ISC */
/*
 * A machine of its own for one scenario: user (when not root), network, mount,
 * IPC and process namespaces; documentation addresses on lo; a /etc with the
 * lab's resolver, hosts, users and CA certificates; tmpfs on /tmp and /run.
 * Everything in it is gone when its first process ends, and that dies with the
 * process that made it, however that ends.
 */
#ifndef POSTERN_TOOLS_LAB_NAMESPACE_H
#define POSTERN_TOOLS_LAB_NAMESPACE_H

#include <stddef.h>
#include <sys/types.h>

enum { LAB_UNAVAILABLE = 77 };	/* exit status: see postern-lab(7) */

/* Can it be done here? 0, or -1 with what is missing and how to get it. */
int	 lab_namespace_check(char *error, size_t size);
/* Runs inside(arg) as the first process of a new one; its exit status is what
 * inside() returns. The pid, or -1 with a sentence in error. After SIGTERM it
 * ends when nobody is left inside. */
pid_t	 lab_namespace_run(int (*inside)(void *arg), void *arg, char *error,
	    size_t size);
/* Inside: puts text in the place of a file (bind mount). -1, sentence. */
int	 lab_namespace_put(const char *path, const char *text, char *error,
	    size_t size);

#endif
