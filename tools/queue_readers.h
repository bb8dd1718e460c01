/* SPDX-License-Identifier: ISC */
/*
 * Gives the queue role the aliases of our domains, for its own notifications
 * (queue/readers.h): the one thing it needs of policy/, which it may not see.
 */
#ifndef POSTERN_TOOLS_QUEUE_READERS_H
#define POSTERN_TOOLS_QUEUE_READERS_H

void	 queue_readers_install(void);

#endif
