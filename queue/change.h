/* SPDX-License-Identifier: ISC */
/*
 * What the verbs that change something have in common: a message that the walk
 * has chosen, slice by slice, and the line in the log that says who wanted it.
 */
#ifndef POSTERN_QUEUE_CHANGE_H
#define POSTERN_QUEUE_CHANGE_H

#include <stdint.h>

struct slice;
struct walk;

/* Messages a turn. */
enum { CHANGE_PAGE = 64 };

/* Changes a loaded slice in which a recipient is selected, and saves or
 * releases it; returns the recipients that were changed. */
typedef uint32_t change_slice(struct walk *walk, struct slice *slice);

/* Calls change for those slices of message id; adds to the walk's counts, logs.
 * Returns the recipients that were changed. */
uint32_t change_message(struct walk *walk, uint64_t id, change_slice *change);

#endif
