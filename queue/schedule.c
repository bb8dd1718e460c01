/* SPDX-License-Identifier: ISC */
/*
 * What is held in memory of the schedule on disk.
 *
 *	   rows due, in order                           now
 *	---+----------------------+---------------------+------------
 *	   looked at before       high: not looked at   not due
 *	        cursor
 *
 * A row before `high` is with its group (queue/waiting.h), or was passed over
 * since its group or its destination had enough (a window that is full stops
 * the way of high instead): then the
 * group has `more`, and more_from is the first such row; rows of the group from
 * there on are not held. A group that has room again asks for another look. A
 * look takes all who asked until then, goes once from the least more_from to
 * high, and gives each what it has room for; who has enough leaves it. So a row
 * is looked at again only for who can use it, and looks, however many ask, do
 * not keep what is behind high from being seen: that has a page in each turn.
 *
 * Who waits may be out of date: nobody looks for those whose row goes or moves.
 * Their slice says so when their turn comes (dispatch.c), and what came twice is
 * in a job or moved by then.
 * What must not be is that a row is neither held nor to be found; every way of
 * adding a row goes through schedule_added(), which holds it, leaves it to a
 * look, or notes it. A start begins with all rows.
 *
 * When there are too many destinations one that idles is forgotten for the sake
 * of a new one. Its rows are passed over, too, and nobody's (overflow), until a
 * look gives them a destination again.
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
#include "queue/slice.h"

enum {
	PAGE_ROWS = 256,
	/* A turn goes on to the next page until it has taken so long. */
	LOAD_MICROSECONDS = 2000,
	/* Destinations remembered; beyond, one without a job goes for a new
	 * one. */
	DESTINATIONS_MAX = 100000,
	/* So many go for the sake of rows that wait since long, in one look. */
	LATE_FORGET = 1000,
	/* Groups in all; beyond, senders share them. */
	GROUPS_MAX = 131072,
	/* A resting destination has so many at hand for its next probes. */
	PROBES = 2,
	/* What any group may have, whoever else fills its destination. */
	GROUP_LEAST = 2,
	/* One that did not answer lately asks for so many at a time. */
	TROUBLED_MOST = 64,
	/* Entries that are to be given up; no more rows until they are fewer. */
	EXPIRED_MAX = 1000,
	EXPIRED_MILLISECONDS = 20,
	/* Rows that are nobody's are looked at so long after a look, or more. */
	OVERFLOW_MILLISECONDS = 1000,
	/* With so many in line it is not gone through after each failure. */
	EXPIRE_AT_ONCE = 1000,
	/* Of the time, looks that nobody is in a hurry for take a tenth. */
	PATIENCE = 9,
	/* No page takes so long, unless the clock was set. */
	PAGE_MICROSECONDS = 1000 * 1000,
	/* Waiters that turn out to be in a job, passed in one call. */
	TAKE_TRIES = 256,
	PURGE_MILLISECONDS = 60 * 1000,
	/* What came so shortly before the last row that is due at a start goes
	 * before what waits since longer: its hosts may well be up. So many of
	 * the last rows are held before all are gone through. */
	RECENT_MILLISECONDS = 60 * 1000,
	RECENT_ROWS = 2048,
	/* Due so long after the longest pause there is: the clock was set. */
	AHEAD_MILLISECONDS = 60 * 1000,
	/* What goes before all others in a second, since somebody asks for it
	 * by hand; more than that is no hand's work. */
	HAND_MOST = 1000
};

/* Key of the hash: packed by hand, so no padding is hashed. */
struct slice_key {
	uint8_t	 bytes[12];
};

struct schedule {
	struct queue		*queue;		/* outlives us */
	struct destinations	*all;		/* owned */
	struct hash		*entries;	/* by slice; owns those in it */
	/* Ids, see schedule_expect(): with ourselves, or (owned) where the
	 * first of their rows is by now that moved meanwhile. */
	struct hash		*unsafe;

	int64_t			 recent;	/* wall, ms: what was due since
						 * then is recent */
	int64_t			 hand_second;	/* HAND_MOST in it */
	unsigned		 hand_count;
	struct place		 high;
	int64_t			 looked_at;	/* `now` of the last look */
	bool			 started;	/* recent rows are held */
	bool			 exhausted;	/* the row at high is not due */
	bool			 has_next;	/* and there is one: */
	struct place		 next;

	/* the look at rows that were passed over */
	struct wait_groups	 asking;
	struct wait_groups	 looking;
	bool			 is_looking;
	bool			 for_late;	/* see destination_for() */
	bool			 hurry;		/* somebody asks who is well */
	bool			 crowded;	/* rows found no room at all */
	struct place		 cursor;
	int64_t			 look_spent;	/* microseconds, on this one */
	int64_t			 look_next;	/* monotonic, ms: not before,
						 * unless in hurry */

	struct entries		 expired;	/* nobody tries them */
	size_t			 expired_count;
	bool			 ahead;		/* see bring_back() */
	bool			 sweeping;
	uint64_t		 sweep;

	/* rows passed over since there were too many destinations */
	bool			 overflow;
	struct place		 overflow_from;
	size_t			 destinations_max;
	unsigned		 late_looks;	/* begun so far */
	unsigned		 forgotten;	/* for rows of this one, */
	struct place		 late_turn;	/* from here on */
	bool			 merging;	/* there are too many groups */
	struct timer		 wake;		/* the row at high is due */
	struct timer		 rest;		/* a destination's rest ends */
	int64_t			 rest_due;
	struct timer		 look;		/* the next look may begin */
	struct timer		 pace;		/* destinations_pace() */
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

static void remember(struct schedule *schedule, struct entry *entry)
{
	struct slice_key key;

	slice_key(&key, entry->place.id, entry->place.slice);
	hash_put(schedule->entries, key.bytes, sizeof(key.bytes), entry);
}

static void forget(struct schedule *schedule, const struct entry *entry)
{
	struct slice_key key;

	slice_key(&key, entry->place.id, entry->place.slice);
	hash_remove(schedule->entries, key.bytes, sizeof(key.bytes));
}

/* Not to be looked at: in a job, or not durable. */
static bool is_busy(const struct schedule *schedule, const struct place *place)
{
	return find(schedule, place->id, place->slice) != NULL ||
	    hash_find_id(schedule->unsafe, place->id) != NULL;
}

static void step_behind(struct place *place)
{
	if (++place->slice == 0)
		place->id++;
}

/* --- who has room --- */

static size_t window_max(const struct schedule *schedule)
{
	int64_t most = schedule->queue->conf->active_messages;

	return most < 100 ? 100 : (size_t)most;
}

/* How many may wait in memory for one destination. */
static unsigned share(const struct schedule *schedule)
{
	return (unsigned)(window_max(schedule) / 8);
}

/* And in one group: there is always room for one group more. */
static unsigned group_share(const struct schedule *schedule,
    const struct wait_group *group)
{
	unsigned most = share(schedule) /
	    (group->destination->waiting.group_count + 1);

	return most < GROUP_LEAST ? GROUP_LEAST : most;
}

static bool is_idle(const struct destination *destination, int64_t now)
{
	return destination->paused || destination_is_resting(destination, now);
}

/* What the probes of many resting destinations take is not taken from those
 * that are well. */
static size_t allowance(const struct schedule *schedule)
{
	size_t probes = PROBES * destinations_resting(schedule->all);
	size_t quarter = window_max(schedule) / 4;

	return probes > quarter ? probes - quarter : 0;
}

static size_t held(const struct schedule *schedule)
{
	return room_waiters(destinations_room(schedule->all)) +
	    hash_count(schedule->entries);
}

/* A fresh message has a quarter of the window that rows found on disk leave
 * alone. */
static bool has_room(const struct schedule *schedule, bool fresh)
{
	size_t most = window_max(schedule);

	return held(schedule) < (fresh ? most : most - most / 4) +
	    allowance(schedule);
}

/* One sender has half of the window at most, wherever the mail goes. */
static bool has_sender_room(const struct schedule *schedule,
    const struct wait_group *group)
{
	return room_waiters_of(destinations_room(schedule->all),
	    group->slot) < window_max(schedule) / 2;
}

/* Whether the group takes one more. */
static bool wants(const struct schedule *schedule, const struct wait_group *group,
    bool fresh)
{
	const struct destination *destination = group->destination;
	const struct wait_line *waiting = &destination->waiting;
	unsigned times = fresh ? 2 : 1;

	if (is_idle(destination, schedule->looked_at)) {
		if (waiting->count < PROBES)
			return true;
		return held(schedule) < window_max(schedule) / 2 +
		    allowance(schedule) &&
		    waiting->count < share(schedule) &&
		    group->count < group_share(schedule, group);
	}
	if (!has_sender_room(schedule, group))
		return false;
	/* Whatever fills the window does not keep out what comes now for a
	 * place that nobody waits for. */
	if (fresh && waiting->count == 0)
		return true;
	if (!has_room(schedule, fresh))
		return false;
	if (group->count < GROUP_LEAST)
		return true;
	if (group->looking && destination->failures > 0 &&
	    waiting->count >= TROUBLED_MOST)
		return false;
	return waiting->count < times * share(schedule) &&
	    group->count < times * group_share(schedule, group);
}

/* --- rows passed over --- */

static void leave_looks(struct schedule *schedule, struct wait_group *group)
{
	if (group->asking)
		TAILQ_REMOVE(&schedule->asking, group, look);
	if (group->looking)
		TAILQ_REMOVE(&schedule->looking, group, look);
	group->asking = group->looking = false;
}

/* Where rows of the group begin that are not held; it has more. */
static struct place bound_of(const struct schedule *schedule,
    const struct wait_group *group)
{
	if (group->looking &&
	    place_compare(&schedule->cursor, &group->more_from) > 0)
		return schedule->cursor;
	return group->more_from;
}

/* Whether a look will find that row of the group. */
static bool is_beyond(const struct schedule *schedule,
    const struct wait_group *group, const struct place *place)
{
	struct place bound = bound_of(schedule, group);

	return group->more && place_compare(place, &bound) >= 0;
}

/* Remembers that the row at place is to be looked at later. */
static void pass_over(struct schedule *schedule, struct wait_group *group,
    const struct place *place)
{
	struct place from = *place;

	if (group->more) {
		struct place bound = bound_of(schedule, group);

		if (place_compare(&bound, &from) < 0)
			from = bound;
	}
	if (group->looking)
		leave_looks(schedule, group);
	schedule->crowded |= !has_room(schedule, false) ||
	    !has_sender_room(schedule, group);
	group->more = true;
	group->more_from = from;
}

static void ask(struct schedule *schedule, struct wait_group *group)
{
	struct destination *destination = group->destination;

	if (!group->more || group->asking || group->looking)
		return;
	group->asking = true;
	TAILQ_INSERT_TAIL(&schedule->asking, group, look);
	if (destination->failures == 0 && has_room(schedule, false) &&
	    has_sender_room(schedule, group))
		schedule->hurry = true;
}

/* Half empty is early enough to read on; who did not answer, when empty. */
static void refill_group(void *arg, struct wait_group *group)
{
	struct schedule *schedule = arg;
	unsigned low = group->destination->failures > 0 ? 0 :
	    group_share(schedule, group) / 2;

	if (group->count <= low)
		ask(schedule, group);
}

static void refill(struct schedule *schedule, struct destination *destination)
{
	unsigned low = destination->failures > 0 ? 0 :
	    destination->limit * 2;

	if (destination->waiting.count <= low &&
	    !is_idle(destination, clock_wall()))
		waiting_each(&destination->waiting, refill_group, schedule);
}

/* --- more destinations than there is memory for --- */

/* The row at place is nobody's. */
static void overflow_at(struct schedule *schedule, const struct place *place)
{
	if (!schedule->overflow ||
	    place_compare(place, &schedule->overflow_from) < 0)
		schedule->overflow_from = *place;
	schedule->overflow = true;
}

static bool disown_waiter(void *arg, const struct place *place)
{
	overflow_at(arg, place);
	return true;
}

static void disown_group(void *arg, struct wait_group *group)
{
	struct schedule *schedule = arg;
	struct place bound = bound_of(schedule, group);

	if (group->more)
		overflow_at(schedule, &bound);
	leave_looks(schedule, group);
	group->more = false;
	destination_sift(schedule->all, group, disown_waiter, schedule);
}

/* What is known of one that idles goes; its rows do not. */
static bool forget_idlest(struct schedule *schedule, int64_t failed_before)
{
	struct destination *destination = destinations_idlest(schedule->all,
	    failed_before);

	if (destination == NULL)
		return false;
	waiting_each(&destination->waiting, disown_group, schedule);
	destinations_forget(schedule->all, destination);
	return true;
}

/* A few of those that failed some time ago go in each look for the rows of
 * others, which have that one after the other: all have their turn, and none is
 * tried more often than twice in retry-first. */
static bool make_place(struct schedule *schedule, const struct place *place)
{
	if (!schedule->for_late || schedule->forgotten >= LATE_FORGET ||
	    place_compare(place, &schedule->late_turn) < 0 ||
	    !forget_idlest(schedule, schedule->looked_at -
	    schedule->queue->conf->retry_first * 1000))
		return false;
	if (++schedule->forgotten >= LATE_FORGET)
		schedule->late_turn = *place;
	return true;
}

/* Whether there may be one more. What comes now has a place: there may be as
 * many as have jobs, if that is more than there should be. */
static bool may_remember(struct schedule *schedule, const struct place *place,
    bool now)
{
	size_t most = schedule->destinations_max;

	if (destinations_count(schedule->all) < most)
		return true;
	if (!now)
		return make_place(schedule, place);
	if (forget_idlest(schedule, INT64_MAX) &&
	    destinations_count(schedule->all) >= most)
		forget_idlest(schedule, INT64_MAX);
	return true;
}

/* Rows of it may be nobody's. */
static void note_late(const struct schedule *schedule,
    struct destination *destination)
{
	if (schedule->overflow || schedule->for_late)
		destination->late = schedule->late_looks + 1;
}

/* Null when there are too many: the row waits for a look that is for
 * destinations made since (late). now: it came just now. */
static struct destination *destination_for(struct schedule *schedule,
    const struct place *place, const struct record_schedule *row, bool now)
{
	struct destination *destination = destination_find(schedule->all,
	    row->domain, row->lane);

	if (destination != NULL)
		return destination;
	if (may_remember(schedule, place, now)) {
		destination = destination_get(schedule->all, row->domain,
		    row->lane);
		note_late(schedule, destination);
		return destination;
	}
	overflow_at(schedule, place);
	return NULL;
}

static struct wait_group *group_for(struct schedule *schedule,
    struct destination *destination, const struct record_schedule *row)
{
	if (room_groups(destinations_room(schedule->all)) >= GROUPS_MAX)
		schedule->merging = destinations_may_merge(schedule->all);
	return destination_group(schedule->all, destination, row->group,
	    row->attempt > 0);
}

/* --- time --- */

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

static void on_look(void *arg)
{
	(void)arg;
}

static void wake_at(struct schedule *schedule, int64_t due, int64_t now)
{
	timer_start(&schedule->wake, due > now ? due - now : 0, on_wake,
	    schedule);
}

/* --- mail whose time is over --- */

/* Certainly past its time: identifiers are made from the second of arrival. */
static bool is_expired(const struct schedule *schedule,
    const struct place *place, int64_t now)
{
	const struct conf *conf = schedule->queue->conf;
	int64_t expiry = conf->message_expiry > conf->bounce_expiry ?
	    conf->message_expiry : conf->bounce_expiry;

	return ((int64_t)(place->id >> 20) + expiry) * 1000 < now;
}

/* It counts as taken until schedule_take_expired() has given it out. */
static void give_up(struct schedule *schedule,
    struct destination *destination, const struct place *place)
{
	struct entry *entry;

	if (find(schedule, place->id, place->slice) != NULL)
		return;
	entry = destination_take_place(destination, place);
	remember(schedule, entry);
	TAILQ_INSERT_TAIL(&schedule->expired, entry, link);
	schedule->expired_count++;
}

struct giving_up {
	struct schedule		*schedule;
	struct destination	*destination;
	int64_t			 now;
};

static bool give_up_waiter(void *arg, const struct place *place)
{
	struct giving_up *giving_up = arg;

	if (giving_up->schedule->expired_count >= EXPIRED_MAX ||
	    !is_expired(giving_up->schedule, place, giving_up->now))
		return false;
	give_up(giving_up->schedule, giving_up->destination, place);
	return true;
}

static void expire_group(void *arg, struct wait_group *group)
{
	struct giving_up *giving_up = arg;
	struct schedule *schedule = giving_up->schedule;

	/* A look takes the expired ones and ends at the first that is not. */
	if (group->more &&
	    is_expired(schedule, &group->more_from, giving_up->now)) {
		ask(schedule, group);
		schedule->hurry = true;
	}
	destination_sift(schedule->all, group, give_up_waiter, giving_up);
}

/* Mail whose time is over does not wait for a host that rests. */
static void expire(void *arg, struct destination *destination)
{
	struct schedule *schedule = arg;
	struct giving_up giving_up = { schedule, destination, clock_wall() };

	if (!destination->paused &&
	    destination_is_resting(destination, giving_up.now))
		waiting_each(&destination->waiting, expire_group, &giving_up);
}

/* A few destinations in a turn. */
static void sweep(struct schedule *schedule)
{
	schedule->sweep = destinations_scan(schedule->all, schedule->sweep,
	    expire, schedule);
	schedule->sweeping = schedule->sweep != 0;
}

static void ask_if_empty(void *arg, struct wait_group *group)
{
	if (group->count == 0)
		ask(arg, group);
}

/* What found no room once must not depend on somebody telling it. */
static void remind(void *arg, struct destination *destination)
{
	if (!is_idle(destination, clock_wall()))
		waiting_each(&destination->waiting, ask_if_empty, arg);
}

static void on_purge(void *arg)
{
	struct schedule *schedule = arg;

	schedule->sweeping = schedule->ahead = true;
	destinations_purge(schedule->all, clock_wall());
	destinations_each(schedule->all, remind, schedule);
	/* The wall clock may have been set while the timer ran. */
	schedule->exhausted = false;
	if (schedule->overflow)
		schedule->hurry = true;
	timer_start(&schedule->purge, PURGE_MILLISECONDS, on_purge, schedule);
}

/* --- rows that are further ahead than they can be --- */

struct bringing_back {
	struct schedule	*schedule;
	int64_t		 now;
	size_t		 count;
};

static bool bring_back_row(void *arg, const struct place *place,
    const struct record_schedule *row)
{
	struct bringing_back *back = arg;
	struct queue *queue = back->schedule->queue;
	struct slice slice;

	if (row == NULL || is_busy(back->schedule, place) ||
	    slice_load(&slice, queue, place->id, place->slice) < 0)
		return true;
	if (slice.record->due == place->due) {
		slice.record->due = back->now + destination_backoff(
		    queue->conf, slice.record->attempt);
		back->count++;
		slice_save(&slice);
	} else {
		slice_release(&slice);
	}
	return true;
}

/* A page of what is due later than anything can be: the clock was set back, or
 * retry-max is less than it was. It waits as long as others do. */
static void bring_back(struct schedule *schedule)
{
	struct bringing_back back = { schedule, clock_wall(), 0 };
	int64_t most = schedule->queue->conf->retry_max * 1000;
	struct place from = { .due = back.now + most + most / 10 +
	    AHEAD_MILLISECONDS };

	rows_each_schedule(schedule->queue->store, &from, PAGE_ROWS,
	    bring_back_row, &back);
	schedule->ahead = back.count > 0;
	if (back.count > 0)
		log_info("due-times-mended",
		    log_number("slices", (int64_t)back.count));
}

/* --- looking at rows --- */

/* One row that is due and was not held before. */
static void hold_row(struct schedule *schedule, struct wait_group *group,
    const struct place *place)
{
	struct destination *destination = group->destination;

	if (wants(schedule, group, false)) {
		destination_add(schedule->all, group, place);
	} else if (!destination->paused &&
	    destination_is_resting(destination, schedule->looked_at) &&
	    is_expired(schedule, place, schedule->looked_at)) {
		give_up(schedule, destination, place);
		waiting_drop(&destination->waiting,
		    destinations_room(schedule->all), group);
	} else {
		pass_over(schedule, group, place);
	}
}

static void consider(struct schedule *schedule, const struct place *place,
    const struct record_schedule *row)
{
	struct destination *destination;
	struct wait_group *group;

	if (is_busy(schedule, place))
		return;
	destination = destination_for(schedule, place, row, false);
	if (destination == NULL)
		return;
	/* It was about to be tried when we were stopped. */
	destination->fresh |= row->attempt == 0 &&
	    place->due > schedule->recent;
	group = group_for(schedule, destination, row);
	if (!is_beyond(schedule, group, place))
		hold_row(schedule, group, place);
}

/* It is come by once more, and is out of date by then or here twice. */
static bool hold_recent(void *arg, const struct place *place,
    const struct record_schedule *row)
{
	struct schedule *schedule = arg;
	struct destination *destination;
	struct wait_group *group;

	if (place->due > schedule->looked_at)
		return false;
	if (row == NULL || is_busy(schedule, place))
		return true;
	destination = destination_for(schedule, place, row, false);
	if (destination == NULL)
		return false;
	destination->fresh |= row->attempt == 0 &&
	    place->due > schedule->recent;
	group = group_for(schedule, destination, row);
	if (wants(schedule, group, false))
		destination_add(schedule->all, group, place);
	else
		waiting_drop(&destination->waiting,
		    destinations_room(schedule->all), group);
	return true;
}

/* However much waits since long, what came last goes on where it was. */
static void load_recent(struct schedule *schedule)
{
	struct store *store = schedule->queue->store;
	struct place from = { .due = schedule->looked_at + 1 };

	schedule->started = true;
	rows_step_back_schedule(store, &from, 1);
	schedule->recent = from.due - RECENT_MILLISECONDS;
	/* All are soon gone through? */
	if (rows_step_back_schedule(store, &from, RECENT_ROWS) == RECENT_ROWS)
		rows_each_schedule(store, &from, RECENT_ROWS + 1, hold_recent,
		    schedule);
}

/* The next page of what was not looked at yet. */
static bool look(void *arg, const struct place *place,
    const struct record_schedule *row)
{
	struct schedule *schedule = arg;

	if (schedule->expired_count >= EXPIRED_MAX ||
	    !has_room(schedule, false))
		return false;
	schedule->high = *place;
	if (place->due > schedule->looked_at) {
		schedule->exhausted = true;
		schedule->has_next = true;
		schedule->next = *place;
		wake_at(schedule, place->due, schedule->looked_at);
		return false;
	}
	if (row != NULL)
		consider(schedule, place, row);
	step_behind(&schedule->high);
	return true;
}

static void load_page(struct schedule *schedule)
{
	if (rows_each_schedule(schedule->queue->store, &schedule->high,
	    PAGE_ROWS, look, schedule) > 0)
		return;
	schedule->exhausted = true;	/* there are no more rows */
	schedule->has_next = false;
}

static bool may_load(const struct schedule *schedule)
{
	return !schedule->exhausted && has_room(schedule, false) &&
	    schedule->expired_count < EXPIRED_MAX;
}

static void load(struct schedule *schedule)
{
	int64_t begin = clock_wall_micro(), spent;

	if (!schedule->started)
		load_recent(schedule);
	do {
		load_page(schedule);
		spent = clock_wall_micro() - begin;
	} while (may_load(schedule) && spent >= 0 &&
	    spent < LOAD_MICROSECONDS);
}

bool schedule_is_behind(const struct schedule *schedule)
{
	return may_load(schedule);
}

/* --- looking at them again --- */

/* Another look will find it. */
static bool is_elsewhere(const struct schedule *schedule,
    const struct wait_group *group, const struct place *place)
{
	return !group->looking && is_beyond(schedule, group, place);
}

static void consider_again(struct schedule *schedule,
    const struct place *place, const struct record_schedule *row)
{
	struct destination *destination;
	struct wait_group *group;

	if (is_busy(schedule, place))
		return;
	destination = schedule->for_late ?
	    destination_for(schedule, place, row, false) :
	    destination_find(schedule->all, row->domain, row->lane);
	if (destination == NULL)
		return;
	group = group_for(schedule, destination, row);
	/* What was nobody's row lies before those of its group; one that is
	 * held already may be held twice. */
	if (destination->late ? !is_elsewhere(schedule, group, place) :
	    group->looking && place_compare(place, &group->more_from) >= 0)
		hold_row(schedule, group, place);
	else
		waiting_drop(&destination->waiting,
		    destinations_room(schedule->all), group);
}

static bool look_again(void *arg, const struct place *place,
    const struct record_schedule *row)
{
	struct schedule *schedule = arg;

	if (schedule->expired_count >= EXPIRED_MAX)
		return false;
	schedule->cursor = *place;
	if (place_compare(place, &schedule->high) >= 0 ||
	    (TAILQ_EMPTY(&schedule->looking) && !schedule->for_late))
		return false;
	if (row != NULL)
		consider_again(schedule, place, row);
	step_behind(&schedule->cursor);
	return true;
}

static bool may_look(const struct schedule *schedule, int64_t now)
{
	bool somebody = !TAILQ_EMPTY(&schedule->asking) || schedule->overflow;

	return somebody && (schedule->hurry || now >= schedule->look_next);
}

/* All who asked until now. */
static void begin_look(struct schedule *schedule)
{
	struct wait_group *group;
	bool any = false;

	while ((group = TAILQ_FIRST(&schedule->asking)) != NULL) {
		TAILQ_REMOVE(&schedule->asking, group, look);
		TAILQ_INSERT_TAIL(&schedule->looking, group, look);
		group->asking = false;
		group->looking = true;
		if (!any || place_compare(&group->more_from,
		    &schedule->cursor) < 0)
			schedule->cursor = group->more_from;
		any = true;
	}
	schedule->for_late = schedule->overflow;
	schedule->forgotten = 0;
	schedule->late_looks += schedule->for_late;
	if (schedule->overflow && (!any || place_compare(
	    &schedule->overflow_from, &schedule->cursor) < 0))
		schedule->cursor = schedule->overflow_from;
	schedule->overflow = false;
	schedule->hurry = false;
	schedule->is_looking = true;
	schedule->look_spent = 0;
}

/* It was there when the look began, which came by all rows that may be its. */
static void forget_late(void *arg, struct destination *destination)
{
	const struct schedule *schedule = arg;

	if (destination->late <= schedule->late_looks)
		destination->late = 0;
}

/* Those who are still in it have seen all there is. */
static void end_look(struct schedule *schedule, int64_t now)
{
	struct wait_group *group;

	while ((group = TAILQ_FIRST(&schedule->looking)) != NULL) {
		leave_looks(schedule, group);
		group->more = false;
		waiting_drop(&group->destination->waiting,
		    destinations_room(schedule->all), group);
	}
	if (schedule->for_late)
		destinations_each(schedule->all, forget_late, schedule);
	if (schedule->for_late && schedule->forgotten < LATE_FORGET)
		memset(&schedule->late_turn, 0, sizeof(schedule->late_turn));
	schedule->for_late = false;
	schedule->is_looking = false;
	schedule->look_next = now + PATIENCE * schedule->look_spent / 1000;
}

/* A page of the look that is under way. */
static void load_again(struct schedule *schedule, int64_t now)
{
	int64_t begin = clock_wall_micro(), spent;
	bool ended;

	if (!schedule->is_looking)
		begin_look(schedule);
	ended = rows_each_schedule(schedule->queue->store, &schedule->cursor,
	    PAGE_ROWS, look_again, schedule) == 0 ||
	    place_compare(&schedule->cursor, &schedule->high) >= 0 ||
	    (TAILQ_EMPTY(&schedule->looking) && !schedule->for_late);
	spent = clock_wall_micro() - begin;
	if (spent > 0 && spent < PAGE_MICROSECONDS)
		schedule->look_spent += spent;
	if (ended)
		end_look(schedule, now);
}

/* --- the turn --- */

static void drop_waiting(void *arg, struct destination *destination)
{
	struct schedule *schedule = arg;

	destination_clear(schedule->all, destination);
}

/* Everything is looked at anew. */
static void restart(struct schedule *schedule)
{
	struct wait_group *group;

	while ((group = TAILQ_FIRST(&schedule->asking)) != NULL)
		leave_looks(schedule, group);
	while ((group = TAILQ_FIRST(&schedule->looking)) != NULL)
		leave_looks(schedule, group);
	destinations_each(schedule->all, drop_waiting, schedule);
	memset(&schedule->high, 0, sizeof(schedule->high));
	schedule->is_looking = schedule->for_late = false;
	schedule->hurry = schedule->overflow = false;
	schedule->exhausted = schedule->has_next = false;
}

static void merge(struct schedule *schedule)
{
	schedule->merging = false;
	restart(schedule);
	destinations_merge_groups(schedule->all);
	log_info("groups-merged");
}

static void rested(void *arg, struct destination *destination)
{
	refill(arg, destination);
}

static void run_looks(struct schedule *schedule)
{
	int64_t now = clock_monotonic();

	if (schedule->is_looking || may_look(schedule, now))
		load_again(schedule, now);
	else if (!TAILQ_EMPTY(&schedule->asking) &&
	    !timer_is_running(&schedule->look))
		timer_start(&schedule->look, schedule->look_next - now,
		    on_look, schedule);
	else if (schedule->overflow && !timer_is_running(&schedule->look))
		timer_start(&schedule->look, OVERFLOW_MILLISECONDS, on_look,
		    schedule);
}

void schedule_run(struct schedule *schedule)
{
	int64_t now = clock_wall();
	int64_t next = destinations_wake_due(schedule->all, now, rested,
	    schedule);

	schedule->looked_at = now;
	if (schedule->ahead)
		bring_back(schedule);
	if (schedule->merging)
		merge(schedule);
	if (schedule->expired_count < EXPIRED_MAX) {
		if (may_load(schedule))
			load(schedule);
		if (schedule->crowded &&
		    held(schedule) < window_max(schedule) / 4) {
			schedule->crowded = false;
			destinations_each(schedule->all, remind, schedule);
		}
		run_looks(schedule);
		if (schedule->sweeping)
			sweep(schedule);
	}
	/* The next page, next turn. */
	if ((!schedule->exhausted && has_room(schedule, false)) ||
	    schedule->is_looking || schedule->sweeping || schedule->merging ||
	    schedule->ahead)
		timer_start(&schedule->look, 0, on_look, schedule);
	else if (schedule->expired_count > 0)
		timer_start(&schedule->look, EXPIRED_MILLISECONDS, on_look,
		    schedule);
	if (next >= 0 && next != schedule->rest_due) {
		schedule->rest_due = next;
		timer_start(&schedule->rest, next - now, on_rest, schedule);
	}
}

/* --- life --- */

struct schedule *schedule_new(struct queue *queue)
{
	struct schedule *schedule = mem_alloc(sizeof(*schedule));

	schedule->queue = queue;
	schedule->all = destinations_new(queue->conf, queue->orders);
	schedule->entries = hash_new();
	schedule->unsafe = hash_new();
	TAILQ_INIT(&schedule->asking);
	TAILQ_INIT(&schedule->looking);
	TAILQ_INIT(&schedule->expired);
	schedule->ahead = true;
	schedule->rest_due = -1;
	schedule->destinations_max = DESTINATIONS_MAX;
	timer_start(&schedule->purge, PURGE_MILLISECONDS, on_purge, schedule);
	return schedule;
}

struct destinations *schedule_destinations(struct schedule *schedule)
{
	return schedule->all;
}

void schedule_limit(struct schedule *schedule, size_t destinations)
{
	schedule->destinations_max = destinations;
}

void schedule_reload(struct schedule *schedule)
{
	restart(schedule);
	destinations_configure(schedule->all, schedule->queue->conf);
}

static void free_unsafe(void *arg, const void *key, size_t length, void *value)
{
	(void)key;
	(void)length;
	if (value != arg)
		mem_free(value);
}

static void free_entry(void *arg, const void *key, size_t length, void *value)
{
	(void)arg;
	(void)key;
	(void)length;
	mem_free(value);
}

void schedule_free(struct schedule *schedule)
{
	if (schedule == NULL)
		return;
	timer_stop(&schedule->wake);
	timer_stop(&schedule->rest);
	timer_stop(&schedule->look);
	timer_stop(&schedule->pace);
	timer_stop(&schedule->purge);
	restart(schedule);
	hash_each(schedule->entries, free_entry, NULL);
	hash_each(schedule->unsafe, free_unsafe, schedule);
	destinations_free(schedule->all);
	hash_free(schedule->entries);
	hash_free(schedule->unsafe);
	mem_free(schedule);
}

/* --- rows come and go --- */

void schedule_expect(struct schedule *schedule, uint64_t id)
{
	hash_put_id(schedule->unsafe, id, schedule);
}

void schedule_safe(struct schedule *schedule, uint64_t id)
{
	void *value = hash_remove_id(schedule->unsafe, id);
	const struct place *moved = value;

	if (value == NULL || value == schedule)
		return;
	/* It is come by; others may be here twice. */
	if (place_compare(moved, &schedule->high) < 0)
		schedule->high = *moved;
	schedule->exhausted = false;
	mem_free(value);
}

/* The row is of a message that is not durable, which the operator may change,
 * and nobody may try: it is noted where to look when it is. */
static bool is_unsafe(struct schedule *schedule, const struct place *place)
{
	void *value = hash_find_id(schedule->unsafe, place->id);
	struct place *moved = value;

	if (value == NULL)
		return false;
	if (value == schedule) {
		moved = mem_alloc(sizeof(*moved));
		*moved = *place;
		hash_put_id(schedule->unsafe, place->id, moved);
	} else if (place_compare(place, moved) < 0) {
		*moved = *place;
	}
	return true;
}

static bool is_before_next(const struct schedule *schedule,
    const struct place *place)
{
	return !schedule->has_next ||
	    place_compare(place, &schedule->next) < 0;
}

/* Not due: it will be found, if the row that is waited for is not a later
 * one. */
static void wait_for(struct schedule *schedule, const struct place *place,
    int64_t now)
{
	if (place_compare(place, &schedule->high) < 0) {
		schedule->high = *place;	/* the clock was set back */
		schedule->exhausted = false;
	} else if (schedule->exhausted && is_before_next(schedule, place)) {
		schedule->has_next = true;
		schedule->next = *place;
		wake_at(schedule, place->due, now);
	}
}

/* A row that is due, of somebody who may have others. */
static void add_due(struct schedule *schedule, struct wait_group *group,
    const struct place *place, bool fresh)
{
	bool beyond = is_beyond(schedule, group, place);
	bool takes = !beyond && wants(schedule, group, fresh);

	if (place_compare(place, &schedule->high) < 0) {
		;		/* it was told here, or never */
	} else if (schedule->exhausted && is_before_next(schedule, place) &&
	    (takes || has_room(schedule, false))) {
		/* There is nobody before it who was not told here. */
		schedule->high = *place;
		step_behind(&schedule->high);
	} else {
		/* It will be come by; fresh mail need not wait for that. */
		schedule->exhausted = false;
		beyond |= !takes || !fresh;
	}
	if (beyond)
		waiting_drop(&group->destination->waiting,
		    destinations_room(schedule->all), group);
	else if (takes)
		destination_add(schedule->all, group, place);
	else
		pass_over(schedule, group, place);
}

void schedule_added(struct schedule *schedule, const struct place *place,
    const struct record_schedule *row)
{
	struct destination *destination;
	struct entry *taken = find(schedule, place->id, place->slice);
	int64_t now = clock_wall();
	bool fresh = row->attempt == 0;

	if (is_unsafe(schedule, place))
		return;
	if (taken != NULL) {
		/* No look finds it. Who waits for its last attempt has that
		 * where the row is now. */
		taken->place.due = place->due;
		return;
	}
	if (place->due > schedule->looked_at && place->due > now) {
		wait_for(schedule, place, now);
		return;
	}
	destination = destination_for(schedule, place, row, true);
	if (destination == NULL)
		return;
	destination->fresh |= fresh;
	add_due(schedule, group_for(schedule, destination, row), place, fresh);
}

/* Whether the row may go before the others of its place. */
static bool takes_first(struct schedule *schedule, const struct place *place)
{
	int64_t second = clock_monotonic() / 1000;

	if (second != schedule->hand_second)
		schedule->hand_count = 0;
	schedule->hand_second = second;
	return place->due <= clock_wall() && has_room(schedule, true) &&
	    find(schedule, place->id, place->slice) == NULL &&
	    hash_find_id(schedule->unsafe, place->id) == NULL &&
	    schedule->hand_count++ < HAND_MOST;
}

void schedule_added_first(struct schedule *schedule,
    const struct place *place, const struct record_schedule *row)
{
	struct destination *destination = takes_first(schedule, place) ?
	    destination_for(schedule, place, row, true) : NULL;

	if (destination == NULL) {
		schedule_added(schedule, place, row);
		return;
	}
	destination_add_first(schedule->all, group_for(schedule, destination,
	    row), place);
	/* A look comes by as well: should the line be cut short meanwhile, it
	 * is found there; if not, whoever comes second is out of date. */
	schedule->exhausted = false;
}

bool schedule_is_in_flight(const struct schedule *schedule, uint64_t id,
    uint32_t slice)
{
	return find(schedule, id, slice) != NULL;
}

/* --- jobs --- */

static void release(struct schedule *schedule, struct entry *entry)
{
	struct destination *destination = entry->destination;

	destination_done(schedule->all, entry);
	refill(schedule, destination);
}

static void refill_taken(struct schedule *schedule, const struct entry *entry)
{
	struct wait_group *group = waiting_find(&entry->destination->waiting,
	    entry->slot, entry->ring);

	if (group != NULL)
		refill_group(schedule, group);
	refill(schedule, entry->destination);
}

/* Somebody may have a turn after a pause, and nobody else says when. */
static void wait_for_pace(struct schedule *schedule,
    enum destination_kind kind, int64_t now)
{
	int64_t wait = destinations_pace(schedule->all, kind, now);

	if (wait >= 0 && !timer_is_running(&schedule->pace))
		timer_start(&schedule->pace, wait, on_look, schedule);
}

struct entry *schedule_take(struct schedule *schedule,
    enum destination_kind kind)
{
	int64_t now = clock_monotonic();

	for (int i = 0; i < TAKE_TRIES; i++) {
		struct entry *entry = destinations_take(schedule->all, kind,
		    now);

		if (entry == NULL) {
			wait_for_pace(schedule, kind, now);
			return NULL;
		}
		if (find(schedule, entry->place.id, entry->place.slice) ==
		    NULL) {
			remember(schedule, entry);
			refill_taken(schedule, entry);
			return entry;
		}
		release(schedule, entry);	/* it was here twice */
	}
	return NULL;
}

struct entry *schedule_take_expired(struct schedule *schedule)
{
	struct entry *entry = TAILQ_FIRST(&schedule->expired);

	if (entry != NULL) {
		TAILQ_REMOVE(&schedule->expired, entry, link);
		schedule->expired_count--;
	}
	return entry;
}

void schedule_keep_expired(struct schedule *schedule, struct entry *entry)
{
	TAILQ_INSERT_TAIL(&schedule->expired, entry, link);
	schedule->expired_count++;
}

struct entry *schedule_adopt(struct schedule *schedule, uint64_t id,
    uint32_t number, const struct record_slice *slice)
{
	struct place place = { slice->due, id, number };
	unsigned lane = record_slice_lane(slice);
	struct destination *destination = destination_find(schedule->all,
	    slice->domain, lane);
	struct entry *entry;

	if (find(schedule, id, number) != NULL)
		return NULL;
	if (destination == NULL) {
		destination = destination_get(schedule->all, slice->domain,
		    lane);
		note_late(schedule, destination);
	}
	entry = destination_take_place(destination, &place);
	remember(schedule, entry);
	return entry;
}

void schedule_finished(struct schedule *schedule, struct entry *entry)
{
	forget(schedule, entry);
	release(schedule, entry);
}

/* --- hosts --- */

struct trimming {
	struct schedule	*schedule;
	struct wait_group	*group;
	unsigned	 kept;
};

static bool trim_waiter(void *arg, const struct place *place)
{
	struct trimming *trimming = arg;

	if (trimming->kept < PROBES) {
		trimming->kept++;
		return false;
	}
	pass_over(trimming->schedule, trimming->group, place);
	return true;
}

static void trim_group(void *arg, struct wait_group *group)
{
	struct trimming *trimming = arg;

	trimming->group = group;
	destination_sift(trimming->schedule->all, group, trim_waiter,
	    trimming);
}

void schedule_failed(struct schedule *schedule,
    struct destination *destination, const struct status *status)
{
	struct trimming trimming = { .schedule = schedule };
	int64_t now = clock_wall();

	destination_failed(schedule->all, destination, status, now);
	if (!destination_is_resting(destination, now))
		return;
	if (destination->waiting.count <= EXPIRE_AT_ONCE)
		expire(schedule, destination);
	/* Others need the room more. */
	if (held(schedule) >= window_max(schedule) / 2 + allowance(schedule))
		waiting_each(&destination->waiting, trim_group, &trimming);
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

/* --- figures --- */

size_t schedule_window(const struct schedule *schedule)
{
	return held(schedule);
}

size_t schedule_in_flight(const struct schedule *schedule)
{
	return hash_count(schedule->entries);
}

struct flight_visit {
	void	(*visit)(void *arg, uint64_t id, uint32_t slice);
	void	*arg;
};

static void visit_flight(void *arg, const void *key, size_t length,
    void *value)
{
	struct flight_visit *each = arg;
	struct entry *entry = value;

	(void)key;
	(void)length;
	each->visit(each->arg, entry->place.id, entry->place.slice);
}

void schedule_each_in_flight(struct schedule *schedule, void (*visit)(
    void *arg, uint64_t id, uint32_t slice), void *arg)
{
	struct flight_visit each = { visit, arg };

	hash_each(schedule->entries, visit_flight, &each);
}
