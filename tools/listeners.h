/* SPDX-License-Identifier: ISC */
/*
 * The supervisor's listening sockets: opened with its rights, kept open over
 * restarts of roles so that no client is refused meanwhile, handed to every
 * process of the role that serves them as "LISTENER@ADDRESS:PORT", or
 * "LISTENER@unix:PATH" for a Unix socket, whose path goes away with it.
 */
#ifndef POSTERN_TOOLS_LISTENERS_H
#define POSTERN_TOOLS_LISTENERS_H

#include <stddef.h>
#include <sys/types.h>

#include "base/role.h"

struct conf;

/* What local-socket is called, which has no section. */
#define LISTENERS_LOCAL "local"

struct listener {
	char		*name;		/* "smtp@192.0.2.1:25"; owned */
	int		 fd;		/* owned */
	enum role	 role;		/* who serves it */
	/* Which file its path is, if it is a Unix socket. */
	dev_t		 device;
	ino_t		 inode;
};

struct listeners {
	struct listener	*items;		/* owned */
	size_t		 count;
};

/*
 * Opens what conf names, taking over sockets that old has open already under
 * the same name (they are moved; old may be null). -1 with a sentence for
 * people in errors (owned by the caller): old is as it was then.
 */
int	 listeners_open(struct listeners *listeners, const struct conf *conf,
	    struct listeners *old, char **errors);
/* Closes what is left in it, and removes the paths of its Unix sockets. */
void	 listeners_release(struct listeners *listeners);
int	 listeners_find(const struct listeners *listeners, const char *name);
/* The same for a name that a role has; -1 if another role has it. */
int	 listeners_find_role(const struct listeners *listeners,
	    const char *name, enum role role);

#endif
