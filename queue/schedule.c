/* SPDX-License-Identifier: ISC */
/*
 * The window over the schedule on disk.
 *
 *	   rows due, in order                           now
 *	---+----------------------+---------------------+------------
 *	   looked at before       high: not looked at   not due
 *	        cursor
 *
 * Rows before `high` were looked at: loaded, or passed over for a destination
 * that had enough (its more_from is the first such row). When that destination
 * has room again the cursor goes back to its more_from and runs forward once
 * more, until all who asked for it are full, and then jumps to high. So a row
 * is looked at again only for a destination that can use it.
 *
 * Nothing is ever lost here: a row that nobody remembers is found at the next
 * start at the latest, and every way of adding a row goes through
 * schedule_added(), which loads it, leaves it in front of high, or notes it.
 */
#include "queue/schedule.h"

#include <string.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/heap.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "queue/queue.h"
#include "queue/record.h"
#include "queue/rows.h"

enum {
	PAGE_ROWS = 256,
	/* Destinations remembered; beyond, rows wait for the next purge. */
	DESTINATIONS_MAX = 100000,
	/* A resting destination keeps so many at hand for its next probe. */
	PROBES = 2,
	PURGE_MILLISECONDS = 60 * 1000
};

/* Key of the hash: packed by hand, so no padding is hashed. */
struct slice_key {
	uint8_t	 bytes[12];
};

struct schedule {
	struct queue		*queue;		/* outlives us */
	struct destinations	*all;		/* owned */
	struct hash		*entries;	/* by slice; borrowed */
	struct hash		*unsafe;	/* ids; see schedule_expect() */
	size_t			 in_flight;
	struct place		 cursor;
	struct place		 high;
	int64_t			 looked_at;	/* `now` of the last look */
	bool			 exhausted;	/* the row at high is not due */
	TAILQ_HEAD(, destination) rescanning;
	struct entries		 expired;	/* in flight; their destination
						 * rests: nobody tries them */
	/* rows passed over since there were too many destinations */
	bool			 overflow;
	struct place		 overflow_from;
	struct timer		 wake;		/* the row at high is due */
	struct timer		 rest;		/* a destination's rest ends */
	int64_t			 rest_due;
	struct timer		 purge;
};

static void slice_key(struct slice_key *key, uint64_t id, uint32_t slice)
{
	memcpy(key->bytes, &id, sizeof(id));
	memcpy(key->bytes + sizeof(id), &slice, sizeof(slice));
}

static struct entry *find(const struct schedule *schedule, uint64_t id,
    uint32_t slice)
{
	struct slice_key key;

	slice_key(&key, id, slice);
	return hash_find(schedule->entries, key.bytes, sizeof(key.bytes));
}

static size_t window_max(const struct schedule *schedule)
{
	int64_t most = schedule->queue->conf->active_messages;

	return most < 100 ? 100 : (size_t)most;
}

/* How many slices may wait in memory for one destination. */
static unsigned share(const struct schedule *schedule)
{
	return (unsigned)(window_max(schedule) / 8);
}

static bool wants(const struct schedule *schedule,
    const struct destination *destination)
{
	if (destination_is_resting(destination, schedule->looked_at))
		return destination->waiting < PROBES;
	return destination->waiting < share(schedule);
}

/* Certainly past its time: identifiers are made from the second of arrival. */
static bool is_expired(const struct schedule *schedule,
    const struct place *place, int64_t now)
{
	const struct conf *conf = schedule->queue->conf;
	int64_t expiry = conf->message_expiry > conf->bounce_expiry ?
	    conf->message_expiry : conf->bounce_expiry;

	return ((int64_t)(place->id >> 20) + expiry) * 1000 < now;
}

static void stop_rescan(struct schedule *schedule,
    struct destination *destination)
{
	if (!destination->rescanning)
		return;
	destination->rescanning = false;
	TAILQ_REMOVE(&schedule->rescanning, destination, rescan_link);
}

/* Remembers that the row at place is to be looked at later. */
static void pass_over(struct schedule *schedule,
    struct destination *destination, const struct place *place)
{
	/* A new look that ends here has not seen what lies behind the cursor. */
	if (destination->rescanning &&
	    place_compare(&schedule->cursor, place) < 0)
		place = &schedule->cursor;
	if (!destination->more ||
	    place_compare(place, &destination->more_from) < 0)
		destination->more_from = *place;
	destination->more = true;
	stop_rescan(schedule, destination);
}

/* Looks again for rows of a destination that has room. */
static void rescan(struct schedule *schedule, struct destination *destination)
{
	if (!destination->more || destination->rescanning)
		return;
	destination->more = false;
	destination->rescanning = true;
	TAILQ_INSERT_TAIL(&schedule->rescanning, destination, rescan_link);
	if (place_compare(&destination->more_from, &schedule->cursor) < 0)
		schedule->cursor = destination->more_from;
	schedule->exhausted = false;
}

/* Half empty is early enough to read the next page. */
static void refill(struct schedule *schedule, struct destination *destination)
{
	unsigned half = share(schedule) / 2;

	if (destination_is_resting(destination, clock_wall()))
		return;
	if (destination->more && destination->waiting <= half)
		rescan(schedule, destination);
}

static struct entry *entry_new(struct schedule *schedule,
    struct destination *destination, const struct place *place,
    uint32_t attempt)
{
	struct entry *entry = mem_alloc(sizeof(*entry));
	struct slice_key key;

	entry->place = *place;
	entry->attempt = attempt;
	entry->destination = destination;
	slice_key(&key, place->id, place->slice);
	hash_put(schedule->entries, key.bytes, sizeof(key.bytes), entry);
	return entry;
}

static void forget(struct schedule *schedule, const struct entry *entry)
{
	struct slice_key key;

	slice_key(&key, entry->place.id, entry->place.slice);
	hash_remove(schedule->entries, key.bytes, sizeof(key.bytes));
}

/* Null when there are too many: the row waits for the next purge. */
static struct destination *destination_for(struct schedule *schedule,
    const struct place *place, const struct record_schedule *row)
{
	if (destinations_count(schedule->all) < DESTINATIONS_MAX ||
	    destination_find(schedule->all, row->domain, row->lane) != NULL)
		return destination_get(schedule->all, row->domain, row->lane);
	if (!schedule->overflow ||
	    place_compare(place, &schedule->overflow_from) < 0)
		schedule->overflow_from = *place;
	schedule->overflow = true;
	return NULL;
}

/* The end of the turn does the work. */
static void on_wake(void *arg)
{
	struct schedule *schedule = arg;

	schedule->exhausted = false;
}

static void on_rest(void *arg)
{
	struct schedule *schedule = arg;

	schedule->rest_due = -1;
}

static void wake_at(struct schedule *schedule, int64_t due, int64_t now)
{
	timer_start(&schedule->wake, due > now ? due - now : 0, on_wake,
	    schedule);
}

/* It counts as taken until schedule_take_expired() has given it out. */
static void give_up(struct schedule *schedule, struct entry *entry)
{
	entry->in_flight = true;
	entry->destination->in_flight++;
	schedule->in_flight++;
	TAILQ_INSERT_TAIL(&schedule->expired, entry, link);
}

static void give_up_list(struct schedule *schedule, struct entries *entries,
    int64_t now)
{
	struct entry *entry, *next;

	for (entry = TAILQ_FIRST(entries); entry != NULL; entry = next) {
		next = TAILQ_NEXT(entry, link);
		if (!is_expired(schedule, &entry->place, now))
			continue;
		destination_remove(schedule->all, entry);
		give_up(schedule, entry);
	}
}

/* Mail whose time is over does not wait for a host that rests. Rows that were
 * passed over are in the order of their arrival: a new look takes the expired
 * ones from the front and ends at the first that is not. */
static void expire(void *arg, struct destination *destination)
{
	struct schedule *schedule = arg;
	int64_t now = clock_wall();

	if (!destination_is_resting(destination, now))
		return;
	give_up_list(schedule, &destination->fresh, now);
	give_up_list(schedule, &destination->old, now);
	rescan(schedule, destination);
}

static void on_purge(void *arg)
{
	struct schedule *schedule = arg;

	destinations_each(schedule->all, expire, schedule);
	destinations_purge(schedule->all, clock_wall());
	/* The wall clock may have been set while the timer ran. */
	schedule->exhausted = false;
	if (schedule->overflow) {
		schedule->overflow = false;
		if (place_compare(&schedule->overflow_from,
		    &schedule->high) < 0)
			schedule->high = schedule->overflow_from;
		if (place_compare(&schedule->high, &schedule->cursor) < 0)
			schedule->cursor = schedule->high;
	}
	timer_start(&schedule->purge, PURGE_MILLISECONDS, on_purge, schedule);
}

/* One row that is due and not in the window. */
static void consider(struct schedule *schedule, const struct place *place,
    const struct record_schedule *row)
{
	struct destination *destination;

	if (find(schedule, place->id, place->slice) != NULL ||
	    hash_find_id(schedule->unsafe, place->id) != NULL)
		return;
	destination = destination_for(schedule, place, row);
	if (destination == NULL)
		return;
	if (wants(schedule, destination)) {
		destination_add(schedule->all, entry_new(schedule,
		    destination, place, row->attempt));
	} else if (is_expired(schedule, place, schedule->looked_at)) {
		give_up(schedule, entry_new(schedule, destination, place,
		    row->attempt));
	} else {
		pass_over(schedule, destination, place);
	}
}

/* Fresh mail keeps a quarter of the window for itself. */
static bool has_room(const struct schedule *schedule)
{
	return hash_count(schedule->entries) <
	    window_max(schedule) - window_max(schedule) / 4;
}

static bool look(void *arg, const struct place *place,
    const struct record_schedule *row)
{
	struct schedule *schedule = arg;
	bool again = place_compare(place, &schedule->high) < 0;

	if (again && TAILQ_EMPTY(&schedule->rescanning))
		return false;
	if (!has_room(schedule))
		return false;
	schedule->cursor = *place;
	if (place->due > schedule->looked_at) {
		if (again)	/* the clock was set back */
			schedule->high = *place;
		schedule->exhausted = true;
		wake_at(schedule, place->due, schedule->looked_at);
		return false;
	}
	if (row != NULL)
		consider(schedule, place, row);
	schedule->cursor.slice++;	/* behind it */
	if (schedule->cursor.slice == 0)
		schedule->cursor.id++;
	return true;
}

/* The cursor met high: everybody who asked has seen all there is. */
static void end_rescans(struct schedule *schedule)
{
	struct destination *destination;

	while ((destination = TAILQ_FIRST(&schedule->rescanning)) != NULL)
		stop_rescan(schedule, destination);
}

/* One page from the cursor on. */
static void load(struct schedule *schedule)
{
	size_t seen;

	schedule->looked_at = clock_wall();
	if (TAILQ_EMPTY(&schedule->rescanning) &&
	    place_compare(&schedule->cursor, &schedule->high) < 0)
		schedule->cursor = schedule->high;
	seen = rows_each_schedule(schedule->queue->store, &schedule->cursor,
	    PAGE_ROWS, look, schedule);
	if (seen == 0)
		schedule->exhausted = true;	/* there are no more rows */
	if (place_compare(&schedule->cursor, &schedule->high) > 0 ||
	    schedule->exhausted) {
		if (place_compare(&schedule->cursor, &schedule->high) > 0)
			schedule->high = schedule->cursor;
		end_rescans(schedule);
	}
}

static void rested(void *arg, struct destination *destination)
{
	refill(arg, destination);
}

void schedule_run(struct schedule *schedule)
{
	int64_t now = clock_wall();
	int64_t next = destinations_wake_due(schedule->all, now, rested,
	    schedule);

	if (!schedule->exhausted && has_room(schedule))
		load(schedule);
	if (!schedule->exhausted && has_room(schedule))
		wake_at(schedule, now, now);	/* the next page, next turn */
	if (next >= 0 && next != schedule->rest_due) {
		schedule->rest_due = next;
		timer_start(&schedule->rest, next - now, on_rest, schedule);
	}
}

struct schedule *schedule_new(struct queue *queue)
{
	struct schedule *schedule = mem_alloc(sizeof(*schedule));

	schedule->queue = queue;
	schedule->all = destinations_new(queue->conf);
	schedule->entries = hash_new();
	schedule->unsafe = hash_new();
	TAILQ_INIT(&schedule->rescanning);
	TAILQ_INIT(&schedule->expired);
	schedule->rest_due = -1;
	timer_start(&schedule->purge, PURGE_MILLISECONDS, on_purge, schedule);
	return schedule;
}

struct destinations *schedule_destinations(struct schedule *schedule)
{
	return schedule->all;
}

static void drop_waiting(void *arg, const void *key, size_t length,
    void *value)
{
	struct schedule *schedule = arg;
	struct entry *entry = value;

	(void)key;
	(void)length;
	if (entry->in_flight)
		return;
	destination_remove(schedule->all, entry);
	forget(schedule, entry);
	mem_free(entry);
}

static void forget_more(void *arg, struct destination *destination)
{
	stop_rescan(arg, destination);
	destination->more = false;
}

void schedule_reload(struct schedule *schedule)
{
	hash_each(schedule->entries, drop_waiting, schedule);
	destinations_each(schedule->all, forget_more, schedule);
	destinations_configure(schedule->all, schedule->queue->conf);
	memset(&schedule->cursor, 0, sizeof(schedule->cursor));
	memset(&schedule->high, 0, sizeof(schedule->high));
	schedule->overflow = false;
	schedule->exhausted = false;
}

static void free_flight(void *arg, const void *key, size_t length, void *value)
{
	struct entry *entry = value;

	(void)arg;
	(void)key;
	(void)length;
	if (entry->in_flight)
		mem_free(entry);	/* the others belong to destinations */
}

void schedule_free(struct schedule *schedule)
{
	if (schedule == NULL)
		return;
	timer_stop(&schedule->wake);
	timer_stop(&schedule->rest);
	timer_stop(&schedule->purge);
	hash_each(schedule->entries, free_flight, NULL);
	destinations_free(schedule->all);
	hash_free(schedule->entries);
	hash_free(schedule->unsafe);
	mem_free(schedule);
}

void schedule_expect(struct schedule *schedule, uint64_t id)
{
	hash_put_id(schedule->unsafe, id, schedule);
}

void schedule_safe(struct schedule *schedule, uint64_t id)
{
	hash_remove_id(schedule->unsafe, id);
}

void schedule_failed(struct schedule *schedule,
    struct destination *destination, const struct status *status)
{
	destination_failed(schedule->all, destination, status, clock_wall());
	expire(schedule, destination);
}

void schedule_added(struct schedule *schedule, const struct place *place,
    const struct record_schedule *row)
{
	struct destination *destination;
	int64_t now = clock_wall();

	if (place->due > schedule->looked_at && place->due > now) {
		/* Not due: it only has to lie in front of high. */
		if (place_compare(place, &schedule->high) < 0)
			schedule->high = *place;
		if (place_compare(&schedule->high, &schedule->cursor) < 0)
			schedule->cursor = schedule->high;
		if (!timer_is_running(&schedule->wake) ||
		    place_compare(place, &schedule->high) == 0)
			wake_at(schedule, place->due, now);
		return;
	}
	if (find(schedule, place->id, place->slice) != NULL)
		return;
	destination = destination_for(schedule, place, row);
	if (destination == NULL)
		return;
	if (hash_count(schedule->entries) < window_max(schedule) &&
	    !destination_is_resting(destination, now) &&
	    destination->waiting < 2 * share(schedule)) {
		destination_add(schedule->all, entry_new(schedule,
		    destination, place, row->attempt));
	} else if (place_compare(place, &schedule->high) < 0) {
		pass_over(schedule, destination, place);
	} else {
		schedule->exhausted = false;
	}
}

void schedule_removed(struct schedule *schedule, uint64_t id, uint32_t slice)
{
	struct entry *entry = find(schedule, id, slice);
	struct destination *destination;

	if (entry == NULL || entry->in_flight)
		return;
	destination = entry->destination;
	destination_remove(schedule->all, entry);
	forget(schedule, entry);
	mem_free(entry);
	refill(schedule, destination);
}

bool schedule_is_in_flight(const struct schedule *schedule, uint64_t id,
    uint32_t slice)
{
	struct entry *entry = find(schedule, id, slice);

	return entry != NULL && entry->in_flight;
}

struct entry *schedule_take(struct schedule *schedule,
    enum destination_kind kind)
{
	struct entry *entry = destinations_take(schedule->all, kind);

	if (entry == NULL)
		return NULL;
	schedule->in_flight++;
	refill(schedule, entry->destination);
	return entry;
}

struct entry *schedule_take_expired(struct schedule *schedule)
{
	struct entry *entry = TAILQ_FIRST(&schedule->expired);

	if (entry != NULL)
		TAILQ_REMOVE(&schedule->expired, entry, link);
	return entry;
}

void schedule_keep_expired(struct schedule *schedule, struct entry *entry)
{
	TAILQ_INSERT_TAIL(&schedule->expired, entry, link);
}

struct entry *schedule_adopt(struct schedule *schedule, uint64_t id,
    uint32_t number, const struct record_slice *slice)
{
	struct place place = { 0, id, number };
	struct entry *entry = find(schedule, id, number);

	if (entry != NULL && entry->in_flight)
		return NULL;
	if (entry != NULL)
		destination_remove(schedule->all, entry);
	else
		entry = entry_new(schedule, destination_get(schedule->all,
		    slice->domain, record_slice_lane(slice)), &place, 0);
	entry->in_flight = true;
	entry->destination->in_flight++;
	schedule->in_flight++;
	return entry;
}

void schedule_finished(struct schedule *schedule, struct entry *entry)
{
	struct destination *destination = entry->destination;

	forget(schedule, entry);
	schedule->in_flight--;
	mem_free(entry);
	destination_done(schedule->all, destination);
	refill(schedule, destination);
}

void schedule_wake(struct schedule *schedule, const struct record_slice *slice)
{
	struct destination *destination = destination_find(schedule->all,
	    slice->domain, record_slice_lane(slice));

	if (destination == NULL)
		return;
	destination_wake(schedule->all, destination);
	refill(schedule, destination);
}

size_t schedule_window(const struct schedule *schedule)
{
	return hash_count(schedule->entries);
}

size_t schedule_in_flight(const struct schedule *schedule)
{
	return schedule->in_flight;
}
