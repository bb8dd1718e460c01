/* SPDX-License-Identifier: ISC */
/*
 * Connections that the supervisor makes for roles that cannot see the file
 * system: to Unix sockets that the configuration names for that role, and to
 * nothing else. A server whose backlog is full is tried again for a while; the
 * supervisor itself never waits.
 */
#ifndef POSTERN_TOOLS_CONNECTOR_H
#define POSTERN_TOOLS_CONNECTOR_H

#include <stdint.h>

struct child;
struct conf;

/* Answers by child_send_connection(), now or later. */
void	 connector_ask(const struct conf *conf, struct child *child,
	    uint32_t request, const char *path);
/* The child is gone; what it asked for is not made any more. */
void	 connector_forget(const struct child *child);

#endif
