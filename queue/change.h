/* SPDX-License-Identifier: ISC */
/*
 * What the verbs that change something have in common: a message that the walk
 * has chosen, slice by slice, and the line in the log that says who wanted it.
 * With dry-run everything is counted and nothing is changed.
 */
#ifndef POSTERN_QUEUE_CHANGE_H
#define POSTERN_QUEUE_CHANGE_H

#include <stdbool.h>
#include <stdint.h>

struct record_message;
struct slice;
struct walk;

/* Messages between two looks at the clock. */
enum { CHANGE_PAGE = 16 };

/* Of a slice in which a recipient is selected. */
struct change {
	/* How many of its recipients would be changed. */
	uint32_t	(*count)(const struct walk *walk,
			    const struct slice *slice);
	/* Changes it, when there are some, and saves it. */
	void		(*apply)(struct walk *walk, struct slice *slice);
};

/* Works on message id as long as the step lasts; adds to the walk's counts,
 * logs. False: it has not come to the end. */
bool	 change_message(struct walk *walk, uint64_t id,
	    const struct record_message *message, const struct change *change);
/* Whether recipient number i of the slice is selected. */
bool	 change_chooses(const struct walk *walk, const struct slice *slice,
	    uint32_t i);
/* The selected ones of a slice in which there is one. */
uint32_t change_count_chosen(const struct walk *walk,
	    const struct slice *slice);
/* A message was changed, or would be: counts, log, the line of a dry run.
 * recipients: how many. */
void	 change_done(struct walk *walk, uint64_t id,
	    const struct record_message *message, uint64_t recipients);

#endif
