/* SPDX-License-Identifier: ISC */
/*
 * A copy of the queue in a folder of its own, made for an operator's command
 * that takes it away or looks at it. The role sees no more than its own
 * directory, so it is made there, and goes when the command does, for whatever
 * reason; what a crash leaves behind goes at the next start.
 */
#ifndef POSTERN_QUEUE_COPY_H
#define POSTERN_QUEUE_COPY_H

/* Removes what is left of copies in the queue's directory. */
void	 copy_sweep(const char *directory);

#endif
