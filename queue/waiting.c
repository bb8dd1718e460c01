/* SPDX-License-Identifier: ISC */
/*
 * Waiters lie in chunks and are linked by number, so that a million of them
 * cost 24 MB and no allocation each. Chunks, but for the first, are given back
 * when the room is empty.
 */
#include "queue/waiting.h"

#include "base/log.h"
#include "base/mem.h"

enum { CHUNK = 4096,
	/* Of that many turns one goes to old mail though fresh mail waits. */
	OLD_TURN = 4 };

struct waiter {
	int64_t		 due;
	uint64_t	 id;
	uint32_t	 slice;
	uint32_t	 next;		/* number; 0: none */
};

struct room {
	struct waiter	**chunks;	/* owned, and what is in it */
	uint32_t	 chunk_count;
	uint32_t	 fresh;		/* numbers from here on were never used */
	uint32_t	 unused;	/* the first of those given back */
	size_t		 waiters;
	size_t		 of_sender[WAITING_SENDERS];
	size_t		 groups;
};

int place_compare(const struct place *one, const struct place *other)
{
	if (one->due != other->due)
		return one->due < other->due ? -1 : 1;
	if (one->id != other->id)
		return one->id < other->id ? -1 : 1;
	if (one->slice != other->slice)
		return one->slice < other->slice ? -1 : 1;
	return 0;
}

/* --- the room --- */

struct room *room_new(void)
{
	struct room *room = mem_alloc(sizeof(*room));

	room->fresh = 1;
	return room;
}

/* Nobody waits: all numbers are free again. */
static void give_back(struct room *room)
{
	while (room->chunk_count > 1)
		mem_free(room->chunks[--room->chunk_count]);
	room->fresh = 1;
	room->unused = 0;
}

void room_free(struct room *room)
{
	if (room->waiters > 0 || room->groups > 0)
		bug("room-in-use");
	give_back(room);
	if (room->chunk_count > 0)
		mem_free(room->chunks[0]);
	mem_free(room->chunks);
	mem_free(room);
}

size_t room_waiters(const struct room *room)
{
	return room->waiters;
}

size_t room_groups(const struct room *room)
{
	return room->groups;
}

size_t room_waiters_of(const struct room *room, unsigned slot)
{
	return room->of_sender[slot % WAITING_SENDERS];
}

static struct waiter *waiter_at(const struct room *room, uint32_t number)
{
	return &room->chunks[number / CHUNK][number % CHUNK];
}

static uint32_t waiter_new(struct room *room)
{
	uint32_t number = room->unused;

	room->waiters++;
	if (number != 0) {
		room->unused = waiter_at(room, number)->next;
		return number;
	}
	number = room->fresh++;
	if (number == 0)
		fatal("waiters");
	if (number / CHUNK == room->chunk_count) {
		room->chunks = mem_resize(room->chunks,
		    (size_t)room->chunk_count + 1, sizeof(*room->chunks));
		room->chunks[room->chunk_count++] = mem_alloc_array(CHUNK,
		    sizeof(struct waiter));
	}
	return number;
}

static void waiter_free(struct room *room, uint32_t number)
{
	waiter_at(room, number)->next = room->unused;
	room->unused = number;
	if (--room->waiters == 0)
		give_back(room);
}

/* --- groups --- */

void waiting_init(struct wait_line *waiting)
{
	for (int i = 0; i < WAITING_CHAINS; i++)
		LIST_INIT(&waiting->chains[i]);
	for (int ring = 0; ring < RING_COUNT; ring++)
		TAILQ_INIT(&waiting->rings[ring]);
	waiting->count = waiting->group_count = waiting->turns = 0;
}

struct wait_group *waiting_find(const struct wait_line *waiting, unsigned slot,
    enum waiting_ring ring)
{
	struct wait_group *group;

	LIST_FOREACH(group, &waiting->chains[slot % WAITING_CHAINS], chain)
		if (group->slot == slot && group->ring == ring)
			return group;
	return NULL;
}

struct wait_group *waiting_get(struct wait_line *waiting, struct room *room,
    struct destination *destination, unsigned slot, enum waiting_ring ring)
{
	struct wait_group *group = waiting_find(waiting, slot, ring);

	if (group != NULL)
		return group;
	group = mem_alloc(sizeof(*group));
	group->destination = destination;
	group->slot = (uint16_t)slot;
	group->ring = (uint8_t)ring;
	LIST_INSERT_HEAD(&waiting->chains[slot % WAITING_CHAINS], group,
	    chain);
	waiting->group_count++;
	room->groups++;
	return group;
}

void waiting_each(struct wait_line *waiting, void (*visit)(void *arg,
    struct wait_group *group), void *arg)
{
	struct wait_group *group, *next;

	for (int i = 0; i < WAITING_CHAINS; i++) {
		for (group = LIST_FIRST(&waiting->chains[i]); group != NULL;
		    group = next) {
			next = LIST_NEXT(group, chain);
			visit(arg, group);
		}
	}
}

void waiting_drop(struct wait_line *waiting, struct room *room,
    struct wait_group *group)
{
	if (group->count > 0 || group->more || group->asking || group->looking)
		return;
	LIST_REMOVE(group, chain);
	waiting->group_count--;
	room->groups--;
	mem_free(group);
}

/* --- waiters --- */

static void append(struct room *room, struct wait_group *group, uint32_t number)
{
	waiter_at(room, number)->next = 0;
	if (group->count++ == 0)
		group->first = number;
	else
		waiter_at(room, group->last)->next = number;
	group->last = number;
}

static uint32_t remove_first(struct room *room, struct wait_group *group)
{
	uint32_t number = group->first;

	group->first = waiter_at(room, number)->next;
	if (--group->count == 0)
		group->first = group->last = 0;
	return number;
}

static void prepend(struct room *room, struct wait_group *group,
    uint32_t number)
{
	waiter_at(room, number)->next = group->first;
	if (group->count++ == 0)
		group->last = number;
	group->first = number;
}

static uint32_t waiter_make(struct wait_line *waiting, struct room *room,
    const struct wait_group *group, const struct place *place)
{
	uint32_t number = waiter_new(room);
	struct waiter *waiter = waiter_at(room, number);

	waiter->due = place->due;
	waiter->id = place->id;
	waiter->slice = place->slice;
	waiting->count++;
	room->of_sender[group->slot % WAITING_SENDERS]++;
	return number;
}

void waiting_put(struct wait_line *waiting, struct room *room,
    struct wait_group *group, const struct place *place)
{
	append(room, group, waiter_make(waiting, room, group, place));
	if (group->count == 1)
		TAILQ_INSERT_TAIL(&waiting->rings[group->ring], group, turn);
}

void waiting_put_first(struct wait_line *waiting, struct room *room,
    struct wait_group *group, const struct place *place)
{
	if (group->count > 0)
		TAILQ_REMOVE(&waiting->rings[group->ring], group, turn);
	prepend(room, group, waiter_make(waiting, room, group, place));
	TAILQ_INSERT_HEAD(&waiting->rings[group->ring], group, turn);
	/* The next turn is for its ring. */
	waiting->turns = group->ring == RING_OLD ? OLD_TURN - 1 : 0;
}

struct wait_group *waiting_next(const struct wait_line *waiting)
{
	struct wait_group *fresh = TAILQ_FIRST(&waiting->rings[RING_FRESH]);
	struct wait_group *old = TAILQ_FIRST(&waiting->rings[RING_OLD]);

	if (fresh == NULL || (old != NULL &&
	    (waiting->turns + 1) % OLD_TURN == 0))
		return old;
	return fresh;
}

static void take_first(struct wait_line *waiting, struct room *room,
    struct wait_group *group, struct place *place)
{
	uint32_t number = remove_first(room, group);
	const struct waiter *waiter = waiter_at(room, number);

	*place = (struct place){ waiter->due, waiter->id, waiter->slice };
	waiter_free(room, number);
	waiting->count--;
	room->of_sender[group->slot % WAITING_SENDERS]--;
}

void waiting_take(struct wait_line *waiting, struct room *room,
    struct wait_group *group, struct place *place)
{
	waiting->turns++;
	take_first(waiting, room, group, place);
	/* To the back of its ring: everybody gets a turn. */
	TAILQ_REMOVE(&waiting->rings[group->ring], group, turn);
	if (group->count > 0)
		TAILQ_INSERT_TAIL(&waiting->rings[group->ring], group, turn);
}

void waiting_sift(struct wait_line *waiting, struct room *room,
    struct wait_group *group, bool (*leaves)(void *arg, const struct place *place),
    void *arg)
{
	uint32_t left = group->count;

	if (left == 0)
		return;
	while (left-- > 0) {
		uint32_t number = remove_first(room, group);
		const struct waiter *waiter = waiter_at(room, number);
		struct place place = { waiter->due, waiter->id,
		    waiter->slice };

		if (!leaves(arg, &place)) {
			append(room, group, number);
			continue;
		}
		waiter_free(room, number);
		waiting->count--;
		room->of_sender[group->slot % WAITING_SENDERS]--;
	}
	if (group->count == 0)
		TAILQ_REMOVE(&waiting->rings[group->ring], group, turn);
}

static bool always(void *arg, const struct place *place)
{
	(void)arg;
	(void)place;
	return true;
}

void waiting_clear(struct wait_line *waiting, struct room *room)
{
	struct wait_group *group, *next;

	for (int i = 0; i < WAITING_CHAINS; i++) {
		for (group = LIST_FIRST(&waiting->chains[i]); group != NULL;
		    group = next) {
			next = LIST_NEXT(group, chain);
			if (group->asking || group->looking)
				bug("group-in-list");
			waiting_sift(waiting, room, group, always, NULL);
			group->more = false;
			waiting_drop(waiting, room, group);
		}
	}
}
