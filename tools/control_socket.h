/* SPDX-License-Identifier: ISC */
/*
 * The supervisor's end of the operator's socket: accepts, reads the fixed
 * hello within five seconds, and says which role is wanted by whom.
 */
#ifndef POSTERN_TOOLS_CONTROL_SOCKET_H
#define POSTERN_TOOLS_CONTROL_SOCKET_H

#include "base/control.h"
#include "base/process.h"

struct conf;
struct control_socket;

/* fd is owned by the callee. */
typedef void control_wanted(enum role role, unsigned verb, int fd,
    const struct process_caller *caller);

/* Null with a sentence in errors (owned by the caller). */
struct control_socket	*control_socket_open(const struct conf *conf,
			    control_wanted *wanted, char **errors);
/* Closes and removes the socket. */
void			 control_socket_close(struct control_socket *socket);

#endif
