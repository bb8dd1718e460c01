/* SPDX-License-Identifier: ISC */
/*
 * Work going out: jobs for delivery and mailbox, the bodies they read, and
 * their results on the way back. A job is one slice in flight. When a worker
 * goes away its jobs wait for the next one, which says which of them it knows;
 * the rest is tried again.
 */
#ifndef POSTERN_QUEUE_DISPATCH_H
#define POSTERN_QUEUE_DISPATCH_H

#include <stddef.h>

#include "queue/destination.h"

struct dispatch;
struct queue;

struct dispatch	*dispatch_new(struct queue *queue);
void	 dispatch_free(struct dispatch *dispatch);
/* A channel to the worker of that kind; the former is dead. Owns fd. */
void	 dispatch_connect(struct dispatch *dispatch,
	    enum destination_kind kind, int fd);
/* Tells the workers what is paused; a new one is told at once. */
void	 dispatch_tell_pauses(struct dispatch *dispatch);
/* Hands out what may be tried, at the end of each turn. */
void	 dispatch_run(struct dispatch *dispatch);
/* Jobs whose result may still come. */
size_t	 dispatch_open(const struct dispatch *dispatch);
/* Jobs that the workers would take at once. */
size_t	 dispatch_slots(const struct dispatch *dispatch);
/* Results that wait to be durable. */
size_t	 dispatch_unsettled(const struct dispatch *dispatch);

#endif
