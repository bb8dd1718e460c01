/* SPDX-License-Identifier: ISC */
/*
 * The only place that may say a message is safe. All writes of a turn are one
 * batch of the store; at the end of the turn it is committed, a flush of the
 * log makes it durable, and only then do those who wait for it hear of it. The
 * message row goes in last: without it nothing else of a message counts.
 */
#ifndef POSTERN_QUEUE_COMMIT_H
#define POSTERN_QUEUE_COMMIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/digest.h"

struct arena;
struct commit;
struct commit_batch;
struct envelope;
struct queue;

struct commit	*commit_new(struct queue *queue);
/* Nobody hears anything any more. */
void		 commit_free(struct commit *commit);
/* Hands this turn's batch to the flusher, if there is anything in it. */
void		 commit_turn(struct commit *commit);
/* Whether a batch is not durable yet. */
bool		 commit_is_busy(const struct commit *commit);

/*
 * Waits for the batch of this turn; a member of its owner, who cancels it or
 * lives until done comes. Waiting also sends the batch off, were it empty.
 */
struct commit_wait {
	TAILQ_ENTRY(commit_wait) link;
	struct commit_batch	*batch;		/* null: not waiting */
	void			(*done)(void *arg);
	void			*arg;
};
void	 commit_wait(struct commit *commit, struct commit_wait *wait,
	    void (*done)(void *arg), void *arg);
void	 commit_wait_cancel(struct commit_wait *wait);

struct commit_message {
	uint64_t		 id;
	const struct envelope	*envelope;	/* in the arena given along */
	int64_t			 arrival;	/* wall, ms */
	uint64_t		 body_length;
	uint8_t			 digest[DIGEST_BYTES];
	/* The body, or the end of one whose beginning went ahead. */
	const void		*rest;
	size_t			 rest_length;
	bool			 went_ahead;
};

struct acceptance;

/*
 * Puts a whole message into this turn's batch. Takes the arena. When it is
 * durable the slices are scheduled and done is called (null: nobody asks).
 */
struct acceptance	*commit_accept(struct commit *commit,
			    const struct commit_message *message,
			    struct arena *arena, void (*done)(void *arg),
			    void *arg);
/* Whoever asked is gone; the message stays. */
void	 acceptance_forget(struct acceptance *acceptance);

#endif
