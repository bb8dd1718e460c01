/* SPDX-License-Identifier: ISC */
/*
 * Password checks on threads of their own, so that the loop never waits for
 * one: a bounded queue, a thread per processor (few), which give way to the
 * loop. Answers come on the loop, never before the call returns.
 */
#ifndef POSTERN_POLICY_HASHER_H
#define POSTERN_POLICY_HASHER_H

#include <stdbool.h>

struct hasher;
struct hasher_job;

enum { HASHER_QUEUE_MAX = 1024 };

typedef void hasher_done(void *arg, bool right);

/* Threads begin with the first job. On the loop's thread, as all of it. */
struct hasher		*hasher_new(void);
/* Waits for the hash under way; cancels the others. Null is allowed. */
void			 hasher_free(struct hasher *hasher);
/* Is this the password (as scram_prepare() made it) of the hash? Copies both.
 * Null: the queue is full. */
struct hasher_job	*hasher_check(struct hasher *hasher,
			    const char *prepared, const char *hash,
			    hasher_done *done, void *arg);
void			 hasher_cancel(struct hasher_job *job);

#endif
