/* SPDX-License-Identifier: ISC */
/*
 * Mail coming in from the smtpd processes. A reception is one message on its
 * way: small bodies wait in memory, larger ones go to the store in earlier
 * turns as chunks that nobody owns yet, and the sender gets credit for them
 * only when they are durable, so that a fast sender waits for the disk and not
 * in our memory. Everything a peer can make us hold has a bound.
 */
#ifndef POSTERN_QUEUE_INTAKE_H
#define POSTERN_QUEUE_INTAKE_H

#include <stddef.h>
#include <stdint.h>

struct intake;
struct queue;

struct intake	*intake_new(struct queue *queue);
void	 intake_free(struct intake *intake);
/* A channel to an smtpd; the one it had before is dead. Owns fd. */
void	 intake_connect(struct intake *intake, unsigned instance, int fd);
/* Tells all smtpds how many bytes may be taken in. */
void	 intake_tell_space(struct intake *intake, uint64_t bytes);
/* Messages on their way. */
size_t	 intake_open(const struct intake *intake);

#endif
