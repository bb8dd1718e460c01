/* SPDX-License-Identifier: ISC */
/*
 * One slice taken from the store to be changed, and put back. Everything that
 * becomes of recipients after acceptance goes through here, so that these stay
 * true in every batch:
 *
 *  - a slice has a row in the schedule, at its due time, exactly when it
 *    exists and is not held;
 *  - a message has a row and a body exactly as long as it has a slice.
 */
#ifndef POSTERN_QUEUE_SLICE_H
#define POSTERN_QUEUE_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;
struct census_past;
struct history_event;
struct queue;
struct record_slice;
struct status;

struct slice {
	struct queue		*queue;		/* outlives us */
	uint64_t		 id;
	uint32_t		 number;
	struct arena		*arena;		/* owned */
	struct record_slice	*record;	/* in it; to be changed */
	int64_t			 old_due;
	bool			 was_held;
	bool			 by_hand;	/* goes before others, once saved */
	struct census_past	*past;		/* in the arena */
	/* What became of recipients since it was loaded, for the history; in
	 * the arena, or null: see history_note(). */
	struct history_event	*event;
	uint32_t		 recipients;	/* when it was loaded */
};

/* -1: there is none (any more), or it cannot be read; nothing is held. */
int	 slice_load(struct slice *slice, struct queue *queue, uint64_t id,
	    uint32_t number);
/* A new one, under a number that no slice of the message has had: its record is
 * empty, in its arena; slice_save() puts it in its place. */
void	 slice_begin(struct slice *slice, struct queue *queue, uint64_t id,
	    uint32_t number);
/* For a row that was read already; copies nothing but the pointer. */
void	 slice_release(struct slice *slice);
/* Takes out recipient number position of the array. For the history he was
 * deleted, unless history_note() has said something else before. */
void	 slice_drop(struct slice *slice, uint32_t position);
/* Writes it back, tells the schedule, releases. Without recipients it goes,
 * and with the last slice the message. */
void	 slice_save(struct slice *slice);
/* The same for a slice of which nothing has changed but flags that do not
 * matter to the schedule: it keeps its place there. */
void	 slice_save_in_place(struct slice *slice);

/* Wall time in ms when it is given up. */
int64_t	 slice_expiry(const struct queue *queue,
	    const struct record_slice *record);
void	 slice_hold(struct slice *slice, uint32_t flags, const char *reason);
/* Takes it out of hold, or makes it due now. */
void	 slice_retry(struct slice *slice, int64_t now);
/* Holds every slice of a message whose body is not what was accepted. */
void	 slice_quarantine(struct queue *queue, uint64_t id);

#endif
