/* SPDX-License-Identifier: ISC */
/*
 * How much more mail the disk can take: what the store says, with a margin for
 * what the log adds, looked at twice a second; in between, what came in is
 * subtracted. The smtpds are told when it changes, at once when there is
 * none left, so that 452 4.3.1 is said before a body is sent.
 */
#ifndef POSTERN_QUEUE_SPACE_H
#define POSTERN_QUEUE_SPACE_H

#include <stdbool.h>
#include <stdint.h>

struct queue;
struct space;

struct space	*space_new(struct queue *queue);
void		 space_free(struct space *space);
/* Bytes of mail that may be taken in now. */
uint64_t	 space_left(const struct space *space);
/* So many bytes of mail were taken in. */
void		 space_used(struct space *space, uint64_t bytes);

#endif
