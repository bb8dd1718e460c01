/* SPDX-License-Identifier: ISC */
/*
 * What becomes of recipients: results of jobs, expiry, and the operator's
 * decisions end up here as statuses. Applying a result twice does the same as
 * applying it once: a recipient that is gone stays gone (its index is never
 * given again), and a slice remembers the job whose result it has.
 */
#ifndef POSTERN_QUEUE_RESULTS_H
#define POSTERN_QUEUE_RESULTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct entry;
struct queue;
struct slice;
struct status;

struct result_item {
	uint32_t		 index;		/* within the slice */
	const struct status	*status;
};

struct results {
	uint64_t		 job;
	uint64_t		 message;
	uint32_t		 slice;
	bool			 tls_trouble;
	const struct result_item *items;
	uint32_t		 count;
};

/* Writes what they say into this turn's batch. entry is the slice in the
 * schedule, void afterwards; null if the job was not ours. */
void	 results_apply(struct queue *queue, const struct results *results,
	    struct entry *entry);
/*
 * The slice is past its time and its destination rests, because of TLS or of
 * what is published about it: that may have been mended meanwhile, so that one
 * more attempt comes before it is given up (RFC 8461 5.1, STS-75).
 */
bool	 results_deserves_attempt(struct queue *queue,
	    const struct entry *entry);
/* The slice is past its time and its destination rests: it is given up. */
void	 results_expire(struct queue *queue, struct entry *entry);
/* Gives up the chosen recipients of a loaded slice (chosen[i] belongs to the
 * i-th), with a DSN; saves it. Returns how many there were. */
uint32_t results_fail(struct slice *slice, const struct status *status,
	    const bool *chosen);

#endif
