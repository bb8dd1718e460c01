/* SPDX-License-Identifier: ISC */
/*
 * Which slice is tried when. The truth is on disk, in the order of due times;
 * in memory is a window of it, bounded by active-messages, that holds what is
 * due now: slices that wait for a turn at their destination, and those in a
 * job. A destination has a share of the window, and each sender one of that;
 * rows beyond it are passed over and looked for again when there is room, so
 * that neither a dead host nor a flood can fill the window or costs a write.
 *
 * Rows of the schedule are written by record owners (commit, results, verbs)
 * in their batches; they tell us with schedule_added(). Rows that go need not
 * be told: who waits is compared with what is stored when its turn comes.
 */
#ifndef POSTERN_QUEUE_SCHEDULE_H
#define POSTERN_QUEUE_SCHEDULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "queue/destination.h"

struct queue;
struct record_schedule;
struct record_slice;
struct schedule;
struct status;

struct schedule	*schedule_new(struct queue *queue);
void	 schedule_free(struct schedule *schedule);
/* A new configuration: what waits is looked at anew. */
void	 schedule_reload(struct schedule *schedule);
struct destinations	*schedule_destinations(struct schedule *schedule);
/* For tests: destinations remembered at most, less than by default. */
void	 schedule_limit(struct schedule *schedule, size_t destinations);

/* Rows of this message are in the batch but not durable: they are not looked
 * at until schedule_safe(), after which each is told by schedule_added(). */
void	 schedule_expect(struct schedule *schedule, uint64_t id);
void	 schedule_safe(struct schedule *schedule, uint64_t id);
/* A row is in the schedule. */
void	 schedule_added(struct schedule *schedule, const struct place *place,
	    const struct record_schedule *row);
/* The same, by the operator's hand: before all others that wait there. */
void	 schedule_added_first(struct schedule *schedule,
	    const struct place *place, const struct record_schedule *row);
bool	 schedule_is_in_flight(const struct schedule *schedule, uint64_t id,
	    uint32_t slice);

/* The next slice to try, or null; the caller has it until schedule_finished().
 * It may be gone, or due at another time by now: compare it with its row. */
struct entry	*schedule_take(struct schedule *schedule,
		    enum destination_kind kind);
/* The next one that is past its time and whose destination rests: it is to be
 * given up, or tried for the last time. Null if there is none. */
struct entry	*schedule_take_expired(struct schedule *schedule);
/* Not yet: it comes again, behind the others. */
void	 schedule_keep_expired(struct schedule *schedule,
	    struct entry *entry);
/* A job that an earlier queue handed out: counts as taken. Null if the slice
 * is already in a job. */
struct entry	*schedule_adopt(struct schedule *schedule, uint64_t id,
		    uint32_t number, const struct record_slice *slice);
/* The job is over; entry is void. What its slice does next was said (or is
 * said now) by schedule_added(). */
void	 schedule_finished(struct schedule *schedule, struct entry *entry);
/* The host behind the destination failed. */
void	 schedule_failed(struct schedule *schedule,
	    struct destination *destination, const struct status *status);
/* The operator wants it tried now: its destination's rest ends. */
void	 schedule_wake(struct schedule *schedule,
	    const struct record_slice *slice);

/* Loads what is due, called at the end of each turn. */
void	 schedule_run(struct schedule *schedule);
/* There are rows that are due and were not looked at. */
bool	 schedule_is_behind(const struct schedule *schedule);
size_t	 schedule_window(const struct schedule *schedule);
/* Whatever schedule_is_in_flight(). */
void	 schedule_each_in_flight(struct schedule *schedule, void (*visit)(
	    void *arg, uint64_t id, uint32_t slice), void *arg);
size_t	 schedule_in_flight(const struct schedule *schedule);

#endif
