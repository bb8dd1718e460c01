/* SPDX-License-Identifier: ISC */
/*
 * The tally of everything queued, kept true. At start a walk counts what is
 * there, a page at a time and with pauses, while mail comes and goes; what
 * changes slices (commit.c, slice.c) says so:
 *
 *	slices, in the order of their keys
 *	---------------------+------------------------------
 *	  counted            | position: not counted
 *	  changes count      | changes do not: the walk will meet the result
 *
 * so that each slice is counted once, wherever the walk is. In the same way a
 * second mark goes along the schedule with the time: what lies before it is
 * counted as due.
 *
 * A message counts at a domain once for each row of its slices that stand
 * together there; it is accepted with those of a domain side by side.
 */
#ifndef POSTERN_QUEUE_CENSUS_H
#define POSTERN_QUEUE_CENSUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;
struct census;
struct census_past;
struct queue;
struct record_slice;
struct tally;

struct census	*census_new(struct queue *queue);
void		 census_free(struct census *census);

/* What a slice was like, before it is changed; in the arena. Texts and statuses
 * of the record are replaced by its owner, never written over. */
struct census_past	*census_remember(struct arena *arena,
			    const struct record_slice *record);
/* A slice is written; past is null for a new one. */
void	 census_changed(struct census *census, uint64_t id, uint32_t number,
	    const struct census_past *past, const struct record_slice *record);
/* A slice is gone, and with it all of its message if it was alone, whose row is
 * still there. */
void	 census_gone(struct census *census, uint64_t id, uint32_t number,
	    const struct census_past *past, bool alone);
/* A slice of a message that comes in, the next of its slices; before is the
 * domain of the one before it, or null. */
void	 census_accepted(struct census *census, uint64_t id, uint32_t number,
	    const struct record_slice *record, const char *before,
	    uint64_t bytes);

/* What is counted is all there is. */
bool	 census_is_complete(const struct census *census);
/* About how much of it, from 0 to 1. */
double	 census_share(const struct census *census);
/* Moves the second mark on, a page; false if it is not at now yet. */
bool	 census_is_up_to_date(struct census *census);
/* How often it had to begin anew since the counts made no sense: our mistake,
 * and in the log. */
unsigned census_repairs(const struct census *census);
/* Borrowed; void after the next change. */
const struct tally	*census_tally(const struct census *census);

#endif
