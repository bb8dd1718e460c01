/* SPDX-License-Identifier: ISC */
/*
 * Telling senders that their mail waits (RFC 3461 5.2.5, RFC 5321 4.5.4.1),
 * once for each recipient, at the age of `delay-warning`; one notification for
 * all recipients of a message that are late then (some hundred at most). Whether
 * somebody has tried it meanwhile makes no difference: slices are gone through
 * in the order of their identifiers, which is that of their age, each one once,
 * a few at a time. That a slice was told of is in its row, in the batch with
 * what tells.
 *
 * Not told: our own notifications, what an operator, a rule or a filter holds,
 * what is being tried just then, and whoever does not want to hear (bounce.c).
 */
#ifndef POSTERN_QUEUE_WARN_H
#define POSTERN_QUEUE_WARN_H

#include <stdint.h>

struct queue;
struct slice;
struct warnings;

struct warnings	*warnings_new(struct queue *queue);
void		 warnings_free(struct warnings *warnings);
/* When the delay is another, all slices are looked at again. */
void		 warnings_reload(struct warnings *warnings);
/* After an attempt, of a loaded slice that is saved later in this turn: it is
 * told of in a moment, with others of its message. */
void		 warnings_consider(struct slice *slice, int64_t now);

#endif
