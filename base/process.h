/* SPDX-License-Identifier: ISC */
/*
 * The life of a role, the same for all: the supervisor starts the binary again
 * with --role and --instance, descriptor 3 a channel to the supervisor and
 * descriptor 2 a pipe for the log. Then:
 *
 *	BEGIN (user, group, root directory, limits)	kept
 *	TABLE + fd, ...		kept for the CONFIGURE that follows
 *	CONFIGURE (bundle)	entry->configure(first)
 *	START			entry->prepare, confinement, entry->start, READY
 *	PEER + fd, LISTENER + fd, CONTROL + fd		at any time from then on
 *	TABLE + fd, ..., CONFIGURE (bundle)
 *				entry->configure; the answer goes back
 *	STOP			entry->stop, which ends in process_exit(0)
 *
 * A role whose supervisor goes away stops as if told to.
 */
#ifndef POSTERN_BASE_PROCESS_H
#define POSTERN_BASE_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/role.h"

struct process_peer {
	enum role	 role;
	unsigned	 instance;
};

/* Who is behind a control connection. */
struct process_caller {
	uid_t	 uid;
	gid_t	 gid;
	bool	 privileged;	/* may change things and read mail */
};

struct role_entry {
	enum role	 role;
	/* A configuration, encoded by conf/bundle.h. 0, or -1 with a sentence:
	 * the old one stays in force. The first one may not fail. */
	int	(*configure)(const void *bundle, size_t length, char *error,
		    size_t size);
	/* Before chroot and change of user; may be null. */
	void	(*prepare)(void);
	/* Confined; no peers yet. */
	void	(*start)(void);
	/* A new channel to a sibling, also after it was restarted: the old
	 * channel of the same peer is dead. Owns fd. */
	void	(*peer)(const struct process_peer *peer, int fd);
	/* A listening socket, named "LISTENER@ADDRESS" after the listener in
	 * the configuration; the same name again replaces it, fd -1 means that
	 * it is gone. May be null. */
	void	(*listener)(const char *name, int fd);
	/* An operator's connection. Owns fd. May be null. */
	void	(*control)(int fd, const struct process_caller *caller);
	/* Finish what is in flight, then process_exit(0). The supervisor
	 * kills the role when stop_seconds of the configuration have passed. */
	void	(*stop)(void);
};

/* Runs a role in this process; returns its exit status. */
int		 process_run(const struct role_entry *entry,
		    unsigned instance);
/*
 * The channel to a sibling ended although nobody may have died (one side broke
 * the rules): the supervisor makes a new one in a second if both are still the
 * processes they were. Called by the side that asks, in queue/client.c,
 * queue/worker.c and policy's clients.
 */
void		 process_peer_lost(enum role role, unsigned instance);
/*
 * A connection to a Unix socket that the configuration names (auth-socket, the
 * socket of a route), which a confined role cannot reach: the supervisor makes
 * it. done gets a connected descriptor (owned from then on), or -1 and an
 * errno value; EACCES where the configuration does not name that path for this
 * role. Never before the call returns; exactly once, within
 * PROCESS_CONNECT_SECONDS.
 */
typedef void process_connected(void *arg, int fd, int error);

enum { PROCESS_CONNECT_SECONDS = 10 };

void		 process_connect(const char *path, process_connected *done,
		    void *arg);
/* done is not called any more for requests with this arg. */
void		 process_connect_cancel(void *arg);
/* Only inside of entry->configure: the descriptor of a table that came with
 * this configuration, owned by the caller from then on; -1 if none came. */
int		 process_take_table(const char *path);
/* Ends the loop and with it process_run(). */
void		 process_exit(int status);
unsigned	 process_instance(void);
/* True when started by root with users to change to. */
bool		 process_is_confined(void);
/* The role's own directory as this process sees it: "/" once the supervisor
 * put it there by chroot, else the path in the configuration. */
const char	*process_directory(const char *configured);

#endif
