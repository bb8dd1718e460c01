/* SPDX-License-Identifier: ISC */
/*
 * What stats and top both end with.
 */
#ifndef POSTERN_QUEUE_VERB_STATS_H
#define POSTERN_QUEUE_VERB_STATS_H

struct control;
struct queue;
struct report;

/* {"total": ...}; share below 1: so much of the queue is counted. */
void	 stats_send_total(struct queue *queue, struct control *control,
	    const struct report *report, double share);

#endif
