/* SPDX-License-Identifier: ISC */
/*
 * Turns slices into what the tally counts, and knows which of them it holds.
 * A message at a domain belongs to the first slice of a row of slices there
 * (the leader); what is not counted yet does not exist for this, so that a
 * change moves leaders only among counted neighbours.
 */
#include "queue/census.h"

#include <string.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "queue/message.h"
#include "queue/queue.h"
#include "queue/record.h"
#include "queue/rows.h"
#include "queue/schedule.h"
#include "queue/tally.h"

enum {
	PAGE_SLICES = 128,
	DUE_PAGE = 256,
	/* Each page is followed by a pause as long as the page took. */
	PAUSE_MAX_MILLISECONDS = 20,
	DUE_MILLISECONDS = 1000
};

/* Enough of a slice's row to take it out of the tally. */
struct census_past {
	const char		*domain;	/* in the arena, as statuses */
	unsigned		 lane;
	bool			 is_held;
	int64_t			 arrival;
	int64_t			 due;
	const struct status	**statuses;
	uint32_t		 recipient_count;
};

struct census {
	struct queue	*queue;		/* outlives us */
	struct tally	*tally;		/* owned */
	/* The walk's position: slices before it are counted. */
	uint64_t	 id;
	uint32_t	 number;
	bool		 complete;
	uint64_t	 first_id, last_id;	/* when it began */
	/* Of the slice counted last, in the page under way. */
	uint64_t	 former_id;
	char		*former;	/* domain, in the arena; null: none */
	struct arena	*arena;		/* owned while a page is counted */
	/* Rows of the schedule before this one are counted as due. */
	struct place	 due;
	struct timer	 walk_timer;
	struct timer	 due_timer;
	unsigned	 repairs;
};

struct census_past *census_remember(struct arena *arena,
    const struct record_slice *record)
{
	struct census_past *past = arena_alloc(arena, sizeof(*past));

	past->domain = record->domain;
	past->lane = record_slice_lane(record);
	past->is_held = record->flags & SLICE_HELD;
	past->arrival = record->arrival;
	past->due = record->due;
	past->recipient_count = record->recipient_count;
	past->statuses = arena_alloc_array(arena, record->recipient_count,
	    sizeof(past->statuses[0]));
	for (uint32_t i = 0; i < record->recipient_count; i++)
		past->statuses[i] = record->recipients[i].status;
	return past;
}

static bool is_counted(const struct census *census, uint64_t id,
    uint32_t number)
{
	return census->complete || id < census->id ||
	    (id == census->id && number < census->number);
}

static enum tally_state state_of(const struct census *census, uint64_t id,
    uint32_t number, const struct census_past *facts)
{
	struct place place = { facts->due, id, number };

	if (facts->is_held)
		return TALLY_HELD;
	return place_compare(&place, &census->due) < 0 ? TALLY_DUE :
	    TALLY_PENDING;
}

static struct tally_slice tally_slice_of(const struct census *census,
    uint64_t id, uint32_t number, const struct census_past *facts)
{
	return (struct tally_slice){ .domain = facts->domain,
	    .lane = facts->lane,
	    .state = state_of(census, id, number, facts),
	    .arrival = facts->arrival, .statuses = facts->statuses,
	    .recipient_count = facts->recipient_count };
}

static void put_in(struct census *census, uint64_t id, uint32_t number,
    const struct census_past *facts)
{
	struct tally_slice slice = tally_slice_of(census, id, number, facts);

	tally_add(census->tally, &slice);
}

static void take_out(struct census *census, uint64_t id, uint32_t number,
    const struct census_past *facts)
{
	struct tally_slice slice = tally_slice_of(census, id, number, facts);

	tally_remove(census->tally, &slice);
}

/* --- leaders --- */

/* A slice between its neighbours, before or after a change; null: not there. */
struct neighbours {
	const char	*before;
	const char	*middle;
	const char	*behind;
};

static bool differs(const char *one, const char *other)
{
	return one == NULL || strcmp(one, other) != 0;
}

/* Whether there is any of the three: the message is counted. */
static bool has_any(const struct neighbours *row)
{
	return row->before != NULL || row->middle != NULL ||
	    row->behind != NULL;
}

/* Counts the messages that middle and behind lead, with that sign. */
static void count_leaders(struct census *census, const struct neighbours *row,
    uint64_t bytes, int sign)
{
	const char *ahead = row->middle != NULL ? row->middle : row->before;

	if (row->middle != NULL && differs(row->before, row->middle))
		tally_message_at(census->tally, row->middle, bytes, sign);
	if (row->behind != NULL && differs(ahead, row->behind))
		tally_message_at(census->tally, row->behind, bytes, sign);
}

/* Finds the counted neighbours of a slice. */
static void find_neighbours(struct census *census, uint64_t id,
    uint32_t number, struct arena *arena, struct neighbours *row)
{
	struct store *store = census->queue->store;
	uint32_t until = census->complete || id != census->id ? UINT32_MAX :
	    census->number;

	row->before = rows_domain_before(store, id, number, arena);
	row->behind = rows_domain_behind(store, id, number, until, arena);
}

/* A slice comes, goes, or goes to another domain; null: it was, or is, not. */
struct move {
	uint64_t			 id;
	uint32_t			 number;
	const struct census_past	*past;
	const struct census_past	*now;
	bool				 alone;		/* in its message */
};

/* A domain in the tally lives as long as its slices: what goes in comes before
 * its messages are counted, what goes out after. */
static void count_move(struct census *census, const struct move *move,
    struct arena *arena)
{
	const struct census_past *past = move->past, *now = move->now;
	struct neighbours then = { .middle = past == NULL ? NULL :
	    past->domain }, after = { .middle = now == NULL ? NULL :
	    now->domain };
	int64_t arrival;
	uint64_t bytes = rows_find_length(census->queue->store, move->id,
	    &arrival);

	if (!move->alone)
		find_neighbours(census, move->id, move->number, arena, &then);
	after.before = then.before;
	after.behind = then.behind;
	if (now != NULL)
		put_in(census, move->id, move->number, now);
	count_leaders(census, &then, bytes, -1);
	count_leaders(census, &after, bytes, 1);
	if (past != NULL)
		take_out(census, move->id, move->number, past);
	if (has_any(&then) != has_any(&after))
		tally_message(census->tally, arrival, bytes,
		    has_any(&after) ? 1 : -1);
}

static void begin(struct census *census);

static void repair(struct census *census)
{
	if (!tally_is_broken(census->tally))
		return;
	census->repairs++;
	begin(census);
}

void census_changed(struct census *census, uint64_t id, uint32_t number,
    const struct census_past *past, const struct record_slice *record)
{
	struct move move = { .id = id, .number = number, .past = past };
	struct arena *arena;

	if (!is_counted(census, id, number))
		return;
	arena = arena_new(RECORD_ARENA_MAX);
	move.now = census_remember(arena, record);
	if (past != NULL && strcmp(past->domain, record->domain) == 0) {
		put_in(census, id, number, move.now);
		take_out(census, id, number, past);
	} else {
		count_move(census, &move, arena);
	}
	arena_free(arena);
	repair(census);
}

void census_gone(struct census *census, uint64_t id, uint32_t number,
    const struct census_past *past, bool alone)
{
	struct move move = { .id = id, .number = number, .past = past,
	    .alone = alone };
	struct arena *arena;

	/* One that was begun and never written was not counted. */
	if (past == NULL || !is_counted(census, id, number))
		return;
	arena = arena_new(RECORD_ARENA_MAX);
	count_move(census, &move, arena);
	arena_free(arena);
	repair(census);
}

void census_accepted(struct census *census, uint64_t id, uint32_t number,
    const struct record_slice *record, const char *before, uint64_t bytes)
{
	struct arena *arena;

	if (!is_counted(census, id, number))
		return;
	arena = arena_new(RECORD_ARENA_MAX);
	put_in(census, id, number, census_remember(arena, record));
	count_leaders(census, &(struct neighbours){ .before = before,
	    .middle = record->domain }, bytes, 1);
	if (before == NULL)
		tally_message(census->tally, record->arrival, bytes, 1);
	arena_free(arena);
}

/* --- the walk --- */

/* Everything before it in this message is counted. */
static void count(void *arg, uint64_t id, uint32_t number,
    const struct record_slice *record)
{
	struct census *census = arg;
	struct neighbours row = { .before = id == census->former_id ?
	    census->former : NULL };
	int64_t arrival;
	uint64_t bytes;

	census->id = id;
	census->number = number + 1;
	if (census->number == 0)
		census->id++;
	if (record == NULL)
		return;
	row.middle = record->domain;
	put_in(census, id, number, census_remember(census->arena, record));
	if (differs(row.before, row.middle)) {
		bytes = rows_find_length(census->queue->store, id, &arrival);
		count_leaders(census, &row, bytes, 1);
		if (row.before == NULL)
			tally_message(census->tally, arrival, bytes, 1);
	}
	census->former_id = id;
	if (differs(row.before, row.middle))
		census->former = arena_dup_string(census->arena,
		    record->domain);
}

/* False when there is nothing left. */
static bool count_page(struct census *census)
{
	struct store *store = census->queue->store;
	size_t visited;

	census->arena = arena_new(RECORD_ARENA_MAX * 2);
	census->former_id = census->id;
	census->former = census->number == 0 ? NULL : rows_domain_before(
	    store, census->id, census->number, census->arena);
	visited = rows_each_slice(store, census->id, census->number,
	    PAGE_SLICES, count, census);
	arena_free(census->arena);
	census->arena = NULL;
	return visited > 0;
}

static void step(void *arg)
{
	struct census *census = arg;
	int64_t began = clock_monotonic(), took;

	if (!count_page(census)) {
		census->complete = true;
		log_debug("counted", log_number("messages",
		    (int64_t)tally_messages(census->tally)));
		return;
	}
	took = clock_monotonic() - began;
	/* Mail goes first. */
	if (schedule_is_behind(census->queue->schedule))
		took = PAUSE_MAX_MILLISECONDS;
	timer_start(&census->walk_timer, took > PAUSE_MAX_MILLISECONDS ?
	    PAUSE_MAX_MILLISECONDS : took, step, census);
}

static void first_step(void *arg)
{
	struct census *census = arg;

	census->last_id = rows_last_message(census->queue->store);
	step(arg);
	census->first_id = census->id;
}

static void begin(struct census *census)
{
	tally_free(census->tally);
	census->tally = tally_new(NULL);
	census->id = census->first_id = 0;
	census->number = 0;
	census->complete = false;
	census->due = (struct place){ .due = clock_wall() };
	timer_start(&census->walk_timer, 0, first_step, census);
}

/* --- what becomes due --- */

struct due_page {
	struct census	*census;
	int64_t		 now;
};

static bool pass(void *arg, const struct place *place,
    const struct record_schedule *row)
{
	struct due_page *page = arg;
	struct census *census = page->census;
	struct arena *arena;
	struct record_slice *slice;

	(void)row;
	if (place->due > page->now)
		return false;
	census->due = *place;
	census->due.slice++;		/* behind it */
	if (census->due.slice == 0)
		census->due.id++;
	if (!is_counted(census, place->id, place->slice))
		return true;
	arena = arena_new(RECORD_ARENA_MAX);
	slice = rows_find_slice(census->queue->store, place->id,
	    place->slice, arena);
	if (slice != NULL)
		tally_due(census->tally, slice->domain,
		    record_slice_lane(slice), slice->recipient_count);
	arena_free(arena);
	return true;
}

bool census_is_up_to_date(struct census *census)
{
	struct due_page page = { census, clock_wall() };
	struct place before;

	if (census->due.due > page.now)
		return true;
	before = census->due;
	if (rows_each_schedule(census->queue->store, &before, DUE_PAGE, pass,
	    &page) == DUE_PAGE && census->due.due <= page.now)
		return false;
	census->due = (struct place){ .due = page.now + 1 };
	return true;
}

static void on_due(void *arg)
{
	struct census *census = arg;
	bool done = census_is_up_to_date(census);

	repair(census);
	timer_start(&census->due_timer, done ? DUE_MILLISECONDS : 0, on_due,
	    census);
}

/* --- life --- */

struct census *census_new(struct queue *queue)
{
	struct census *census = mem_alloc(sizeof(*census));

	census->queue = queue;
	begin(census);
	timer_start(&census->due_timer, DUE_MILLISECONDS, on_due, census);
	return census;
}

void census_free(struct census *census)
{
	if (census == NULL)
		return;
	timer_stop(&census->walk_timer);
	timer_stop(&census->due_timer);
	tally_free(census->tally);
	mem_free(census);
}

bool census_is_complete(const struct census *census)
{
	return census->complete;
}

double census_share(const struct census *census)
{
	if (census->complete)
		return 1;
	if (census->first_id == 0 || census->id <= census->first_id ||
	    census->last_id <= census->first_id)
		return 0;
	return census->id >= census->last_id ? 1 :
	    (double)(census->id - census->first_id) /
	    (double)(census->last_id - census->first_id);
}

unsigned census_repairs(const struct census *census)
{
	return census->repairs;
}

const struct tally *census_tally(const struct census *census)
{
	return census->tally;
}
