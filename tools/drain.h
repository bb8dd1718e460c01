/* SPDX-License-Identifier: ISC */
/*
 * The supervisor's side of the drop directory: mail that sendmail(8) left there
 * while the server was down goes to the server at start, and then every minute.
 *
 * Everybody may make files there, of any kind and any name. A file is opened
 * once, without following anything, looked at by its descriptor, and handed to
 * a process that has become its owner and has nothing of ours: sendmail itself.
 * What cannot be sent is renamed (DROP_REFUSED) with a line in the log. No file
 * and no user keeps those of others from being sent.
 */
#ifndef POSTERN_TOOLS_DRAIN_H
#define POSTERN_TOOLS_DRAIN_H

#include <stdbool.h>
#include <sys/types.h>

struct conf;

/* From now on by this configuration, which lives until the next call. Begins a
 * round at once: what was put aside for now may be welcome now. */
void	 drain_configure(const struct conf *conf);
/* A process ended. False if it is none of ours. */
bool	 drain_exited(pid_t pid, int wait_status);
/* Begins nothing any more. */
void	 drain_stop(void);
/* Is a file on its way? */
bool	 drain_is_busy(void);
/* Ends what is on its way; drain_exited() follows. */
void	 drain_kill(void);

#endif
