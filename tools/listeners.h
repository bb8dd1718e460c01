/* SPDX-License-Identifier: ISC */
/*
 * The supervisor's listening sockets: opened with its rights, kept open over
 * restarts of smtpd so that no client is refused meanwhile, handed to every
 * smtpd as "LISTENER@ADDRESS".
 */
#ifndef POSTERN_TOOLS_LISTENERS_H
#define POSTERN_TOOLS_LISTENERS_H

#include <stddef.h>

struct conf;

struct listener {
	char	*name;		/* "smtp@192.0.2.1:25"; owned */
	int	 fd;		/* owned */
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
/* Closes what is left in it. */
void	 listeners_release(struct listeners *listeners);
int	 listeners_find(const struct listeners *listeners, const char *name);

#endif
