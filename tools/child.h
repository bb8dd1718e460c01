/* SPDX-License-Identifier: ISC */
/*
 * One role process as the supervisor sees it.
 *
 *	        spawn           READY            stop
 *	DOWN ---------> STARTING -----> RUNNING -----> STOPPING
 *	  ^                |               |               |
 *	  +----------------+---- exit -----+---------------+
 *
 * A child that dies is started again at once, then after 100 ms, 200 ms, ...
 * up to 10 s; a minute of life clears the count.
 */
#ifndef POSTERN_TOOLS_CHILD_H
#define POSTERN_TOOLS_CHILD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/loop.h"
#include "base/role.h"

struct buf;
struct bundle;
struct channel;
struct channel_message;
struct child;

enum child_state { CHILD_DOWN, CHILD_STARTING, CHILD_RUNNING, CHILD_STOPPING };

/* What the supervisor wants to hear. */
struct child_events {
	void	(*ready)(struct child *child);
	void	(*result)(struct child *child, uint32_t request, bool failed,
		    const char *text);
	void	(*peer_lost)(struct child *child, enum role role,
		    unsigned instance);
	/* It asks for a connection; answered by child_send_connection(). */
	void	(*connect)(struct child *child, uint32_t request,
		    const char *path);
};

struct child {
	enum role			 role;
	unsigned			 instance;
	const struct child_events	*events;	/* outlive us */

	enum child_state		 state;		/* child_enter() only */
	pid_t				 pid;		/* 0 when down */
	struct channel			*channel;	/* owned */
	struct timer			 restart;
	unsigned			 restarts;	/* since our start */
	unsigned			 failures;	/* in a row */
	int64_t				 started;	/* monotonic, ms */
	int64_t				 started_wall;
	bool				 wanted;	/* else it stays down */
	bool				 was_ready;	/* once at least */
	bool				 reloading;	/* its answer is due */
};

/* What a new process of the role is told first. */
struct child_order {
	const char	*user;		/* "" to stay */
	const char	*root;		/* "" for no chroot */
	uint64_t	 address_space;
	uint32_t	 descriptors;
	unsigned	 log_level;
	const struct buf *bundle;
	const struct bundle *files;	/* whose tables it gets; or null */
};

/* Starts the process and sends BEGIN, CONFIGURE, START. -1 if it could not
 * be started (logged). */
int	 child_spawn(struct child *child, const struct child_order *order);
/* The process is gone (waitpid said so): logs why and closes its channel. */
void	 child_exited(struct child *child, int wait_status);
/* How long to wait before the next start, in milliseconds. */
int64_t	 child_restart_delay(const struct child *child);

/* Ahead of the configuration that names them; duplicated for the child. */
void	 child_send_tables(struct child *child, const struct bundle *files);
void	 child_send_configuration(struct child *child,
	    const struct buf *bundle, uint32_t request);
/* fd is duplicated for the child. */
void	 child_send_peer(struct child *child, const struct child *peer, int fd);
void	 child_send_listener(struct child *child, const char *name, int fd);
void	 child_send_listener_gone(struct child *child, const char *name);
void	 child_send_control(struct child *child, uid_t uid, gid_t gid,
	    bool privileged, int fd);
/* fd is duplicated for the child; -1: it gets error, an errno value. */
void	 child_send_connection(struct child *child, uint32_t request, int fd,
	    int error);
void	 child_stop(struct child *child);
const char	*child_state_name(enum child_state state);

#endif
