/* SPDX-License-Identifier: ISC */
/*
 * Typed access to the tables of the store. Reading sees what this turn has
 * written. Writing cannot fail: the store ends the process when it cannot keep
 * its promise. A row that cannot be understood is logged and counts as not
 * there.
 */
#ifndef POSTERN_QUEUE_ROWS_H
#define POSTERN_QUEUE_ROWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "queue/destination.h"
#include "queue/record.h"
#include "queue/store.h"

struct arena;

/* Borrowed from the key. */
struct store_bytes	 rows_key(const struct record_key *key);

struct record_message	*rows_find_message(struct store *store, uint64_t id,
			    struct arena *arena);
void	 rows_put_message(struct store *store, uint64_t id,
	    const struct record_message *message);
void	 rows_delete_message(struct store *store, uint64_t id);
/* Visits messages from id on, most of them at once; record is null if its row
 * cannot be read. Returns how many were visited. */
size_t	 rows_each_message(struct store *store, uint64_t id, size_t most,
	    void (*visit)(void *arg, uint64_t id,
	    const struct record_message *record), void *arg);
/* The largest identifier of all, 0 if there is no message. */
uint64_t rows_last_message(struct store *store);
/* Stored bytes of a message's body, and when it came in (wall, ms); 0 for both
 * if there is no such message. */
uint64_t rows_find_length(struct store *store, uint64_t id,
	    int64_t *arrival);
/* No identifier up to this one may be given again; 0 in an empty store. */
uint64_t rows_find_identifier(struct store *store);
void	 rows_put_identifier(struct store *store, uint64_t last);

struct record_slice	*rows_find_slice(struct store *store, uint64_t id,
			    uint32_t slice, struct arena *arena);
void	 rows_put_slice(struct store *store, uint64_t id, uint32_t slice,
	    const struct record_slice *record);
void	 rows_delete_slice(struct store *store, uint64_t id, uint32_t slice);
/* Visits slices from (id, slice) on, of all messages. */
size_t	 rows_each_slice(struct store *store, uint64_t id, uint32_t slice,
	    size_t most, void (*visit)(void *arg, uint64_t id, uint32_t slice,
	    const struct record_slice *record), void *arg);
/* The same of some domains only: the others are not read further, and visited
 * with no record. */
struct rows_slices {
	uint64_t	 id;
	uint32_t	 slice;
	size_t		 most;
	bool		 (*takes)(void *arg, const char *domain);
};
size_t	 rows_each_slice_of(struct store *store,
	    const struct rows_slices *which, void (*visit)(void *arg,
	    uint64_t id, uint32_t slice, const struct record_slice *record),
	    void *arg);
/* The first slice of that message at or behind *slice; false if none.
 * *record is null when its row cannot be read. */
bool	 rows_next_slice(struct store *store, uint64_t id, uint32_t *slice,
	    struct arena *arena, struct record_slice **record);
/* Whether the message has a slice left. */
bool	 rows_has_slices(struct store *store, uint64_t id);

/* The domains of the slices of a message before and behind one (which need not
 * be there itself); null for none. The one behind is below number until. */
char	*rows_domain_before(struct store *store, uint64_t id,
	    uint32_t slice, struct arena *arena);
char	*rows_domain_behind(struct store *store, uint64_t id,
	    uint32_t slice, uint32_t until, struct arena *arena);

void	 rows_put_schedule(struct store *store, const struct place *place,
	    const struct record_schedule *row);
struct record_schedule	*rows_find_schedule(struct store *store,
			    const struct place *place, struct arena *arena);
void	 rows_delete_schedule(struct store *store, const struct place *place);
/* Moves place back by so many rows, or to the first one; returns how many. */
size_t	 rows_step_back_schedule(struct store *store, struct place *place,
	    size_t count);
/*
 * Visits rows of the schedule from place on, most of them at once; visit says
 * whether to go on; row is null if it cannot be read. Returns how many were
 * visited.
 */
size_t	 rows_each_schedule(struct store *store, const struct place *from,
	    size_t most, bool (*visit)(void *arg, const struct place *place,
	    const struct record_schedule *row), void *arg);

#endif
