/* SPDX-License-Identifier: ISC */
/*
 * Those who wait at a destination. They stand in groups, one for each sender
 * (or user, see record_group()), and groups take turns: whoever has a hundred
 * thousand messages for a place keeps nobody else from it for longer than one
 * round. Fresh mail and mail that was tried before are two rings of groups;
 * fresh goes first, and of four turns one is for the other.
 *
 * A waiter is a place of the schedule and nothing else, 24 bytes: it may be out
 * of date (its row gone or moved), which is found out when its turn comes. All
 * destinations share one room; it owns the waiters and counts the groups.
 */
#ifndef POSTERN_QUEUE_WAITING_H
#define POSTERN_QUEUE_WAITING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

struct destination;

/* A row of the schedule, in its order. */
struct place {
	int64_t		 due;		/* wall, ms */
	uint64_t	 id;
	uint32_t	 slice;
};
/* Negative, 0 or positive, as by the keys of the rows. */
int	 place_compare(const struct place *one, const struct place *other);

enum waiting_ring { RING_FRESH, RING_OLD, RING_COUNT };
/* Groups of senders, over all destinations: slots modulo this. */
enum { WAITING_SENDERS = 256 };
enum { WAITING_CHAINS = 16 };

/* One sender's line at one destination, in one of the rings. */
struct wait_group {
	struct destination	*destination;	/* outlives us */
	uint16_t		 slot;		/* which senders */
	uint8_t			 ring;
	/* Rows that were passed over since there was no room for them. */
	bool			 more;
	bool			 asking;	/* for the next look at them */
	bool			 looking;	/* has its part in this one */
	struct place		 more_from;	/* the first; also if looking */
	uint32_t		 count;		/* of waiters */
	uint32_t		 first, last;	/* in the room; 0: none */
	LIST_ENTRY(wait_group)	 chain;
	TAILQ_ENTRY(wait_group)	 turn;		/* in its ring, if count > 0 */
	TAILQ_ENTRY(wait_group)	 look;		/* asking or looking */
};
TAILQ_HEAD(wait_groups, wait_group);

/* A part of struct destination. */
struct wait_line {
	LIST_HEAD(, wait_group)	 chains[WAITING_CHAINS];	/* owned */
	struct wait_groups	 rings[RING_COUNT];
	unsigned		 count;		/* of waiters, in all groups */
	unsigned		 group_count;
	unsigned		 turns;		/* so far */
};

struct room;

struct room	*room_new(void);
/* Nobody may be in it. */
void	 room_free(struct room *room);
size_t	 room_waiters(const struct room *room);
size_t	 room_groups(const struct room *room);
/* Those of the senders in such slots, wherever they wait. */
size_t	 room_waiters_of(const struct room *room, unsigned slot);

void	 waiting_init(struct wait_line *waiting);
/* Everybody leaves, with all they knew of rows passed over; no group may be in
 * the list of those who ask or look. */
void	 waiting_clear(struct wait_line *waiting, struct room *room);
/* Null if there is none. */
struct wait_group	*waiting_find(const struct wait_line *waiting, unsigned slot,
		    enum waiting_ring ring);
/* Made when new; for waiting_drop() if nothing comes of it. */
struct wait_group	*waiting_get(struct wait_line *waiting, struct room *room,
		    struct destination *destination, unsigned slot,
		    enum waiting_ring ring);
void	 waiting_each(struct wait_line *waiting, void (*visit)(void *arg,
	    struct wait_group *group), void *arg);

/* To the end of the group's line. */
void	 waiting_put(struct wait_line *waiting, struct room *room,
	    struct wait_group *group, const struct place *place);
/* Before all others of the place: the operator wants it now. */
void	 waiting_put_first(struct wait_line *waiting, struct room *room,
	    struct wait_group *group, const struct place *place);
/* The group whose turn is next; null if nobody waits. */
struct wait_group	*waiting_next(const struct wait_line *waiting);
/* Takes the first of that group, whose turn it was. The group stays until
 * waiting_drop(). */
void	 waiting_take(struct wait_line *waiting, struct room *room,
	    struct wait_group *group, struct place *place);
/* Takes out those of whom leaves() says so; order stays. */
void	 waiting_sift(struct wait_line *waiting, struct room *room,
	    struct wait_group *group, bool (*leaves)(void *arg,
	    const struct place *place), void *arg);
/* Forgets a group that holds nothing any more; any other stays. */
void	 waiting_drop(struct wait_line *waiting, struct room *room,
	    struct wait_group *group);

#endif
