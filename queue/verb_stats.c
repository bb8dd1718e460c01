/* SPDX-License-Identifier: ISC */
/*
 * stats: the queue by domain, by host, by what it does, by why and by how old,
 * and one object with the totals and what the process is doing. Without a
 * selection the answer is in memory (census.h). With one, all slices are read,
 * for a few milliseconds a turn, and those that are meant are counted.
 *
 *	WAITING ---the census is whole, or time is up---> WRITING
 *	WALKING ---all slices were seen-----------------> WRITING
 */
#include <string.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/control.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "queue/census.h"
#include "queue/destination.h"
#include "queue/dispatch.h"
#include "queue/flow.h"
#include "queue/intake.h"
#include "queue/message.h"
#include "queue/queue.h"
#include "queue/record.h"
#include "queue/report.h"
#include "queue/rows.h"
#include "queue/schedule.h"
#include "queue/selector.h"
#include "queue/space.h"
#include "queue/store.h"
#include "queue/tally.h"
#include "queue/verb_stats.h"
#include "queue/verbs.h"

enum { PAGE_SLICES = 64, STEP_MILLISECONDS = 4, LINES_A_TURN = 500,
    /* A queue that was opened just now is counted first, unless it is large. */
    PATIENCE_MILLISECONDS = 500, POLL_MILLISECONDS = 10,
    PROGRESS_MILLISECONDS = 250 };

enum stage { STATS_WAITING, STATS_WALKING, STATS_WRITING };

struct stats {
	struct queue		*queue;		/* outlives us */
	struct control		*control;	/* outlives us */
	enum stage		 stage;
	int64_t			 patience;	/* monotonic, ms */
	struct report		*report;	/* owned; null: not made yet */
	bool			 wanted[REPORT_TABLES];
	uint64_t		 limit;		/* of rows of a table */
	unsigned		 table;		/* being written */
	size_t			 row;
	struct timer		 timer;

	/* while walking */
	struct selector		 selector;	/* owned */
	struct tally		*tally;		/* owned */
	uint64_t		 id;		/* where the next page begins */
	uint32_t		 number;
	size_t			 position;	/* in the selector's ids */
	struct arena		*arena;		/* owned; of the message */
	uint64_t		 message_id;
	struct record_message	*message;	/* null: not selected */
	char			*former;	/* domain taken last; in arena */
	bool			 wants_progress;
	int64_t			 told;		/* monotonic, ms */
	uint64_t		 seen;		/* messages */
};

static void stats_free(void *arg)
{
	struct stats *stats = arg;

	timer_stop(&stats->timer);
	report_free(stats->report);
	selector_release(&stats->selector);
	tally_free(stats->tally);
	if (stats->arena != NULL)
		arena_free(stats->arena);
	mem_free(stats);
}

/* --- walking --- */

static const enum tally_state states[] = {
	[SLICE_IS_ACTIVE] = TALLY_DUE, [SLICE_IS_DEFERRED] = TALLY_PENDING,
	[SLICE_IS_HELD] = TALLY_HELD
};

/* Whether the message of a slice is meant; it is looked at once. */
static bool takes_message(struct stats *stats, uint64_t id)
{
	if (id == stats->message_id)
		return stats->message != NULL;
	arena_reset(stats->arena);
	stats->message_id = id;
	stats->former = NULL;
	stats->seen++;
	stats->message = rows_find_message(stats->queue->store, id,
	    stats->arena);
	if (stats->message != NULL && !selector_takes_message(
	    &stats->selector, stats->message, clock_wall()))
		stats->message = NULL;
	return stats->message != NULL;
}

/* The statuses of the recipients that are meant; how many there are. */
static uint32_t take_recipients(const struct stats *stats,
    const struct record_slice *slice, const struct status **statuses)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < slice->recipient_count; i++)
		if (selector_takes_recipient(&stats->selector, stats->queue,
		    slice, &slice->recipients[i]))
			statuses[count++] = slice_trouble(stats->queue, slice,
			    &slice->recipients[i]);
	return count;
}

/* As the census counts messages. */
static void count_message(struct stats *stats, const char *domain)
{
	const struct record_message *message = stats->message;

	if (stats->former == NULL)
		tally_message(stats->tally, message->arrival,
		    message->body_length, 1);
	if (stats->former != NULL && strcmp(stats->former, domain) == 0)
		return;
	tally_message_at(stats->tally, domain, message->body_length, 1);
	stats->former = arena_dup_string(stats->arena, domain);
}

static void consider(struct stats *stats, uint64_t id, uint32_t number,
    const struct record_slice *slice)
{
	const struct status *statuses[QUEUE_SLICE_RECIPIENTS];
	struct tally_slice taken = { .statuses = statuses };
	enum slice_state state;
	int64_t next;

	if (slice == NULL || !takes_message(stats, id))
		return;
	state = slice_state_of(stats->queue, id, number, slice, &next);
	if (!selector_takes_slice(&stats->selector, state, slice))
		return;
	taken.recipient_count = take_recipients(stats, slice, statuses);
	if (taken.recipient_count == 0)
		return;
	taken.domain = slice->domain;
	taken.lane = record_slice_lane(slice);
	taken.state = states[state];
	taken.arrival = slice->arrival;
	tally_add(stats->tally, &taken);
	count_message(stats, slice->domain);
}

static void visit(void *arg, uint64_t id, uint32_t number,
    const struct record_slice *slice)
{
	struct stats *stats = arg;

	stats->id = id;
	stats->number = number + 1;
	if (stats->number == 0)
		stats->id++;
	consider(stats, id, number, slice);
}

/* The next slice of the messages that were named; false if there is none. */
static bool walk_ids(struct stats *stats)
{
	const struct selector *selector = &stats->selector;
	struct arena *arena;
	struct record_slice *slice;
	uint32_t number = stats->number;
	uint64_t id;

	if (stats->position == selector->id_count)
		return false;
	id = selector->ids[stats->position];
	arena = arena_new(RECORD_ARENA_MAX);
	if (rows_next_slice(stats->queue->store, id, &number, arena,
	    &slice)) {
		consider(stats, id, number, slice);
		stats->number = number + 1;
	}
	if (stats->number <= number) {	/* none, or behind the last */
		stats->position++;
		stats->number = 0;
	}
	arena_free(arena);
	return true;
}

/* False at the end. */
static bool walk_page(struct stats *stats)
{
	if (stats->selector.ids != NULL)
		return walk_ids(stats);
	return rows_each_slice(stats->queue->store, stats->id, stats->number,
	    PAGE_SLICES, visit, stats) > 0;
}

static void tell_progress(struct stats *stats)
{
	const struct census *census = stats->queue->census;
	int64_t now = clock_monotonic();
	json_t *progress;

	if (!stats->wants_progress ||
	    now - stats->told < PROGRESS_MILLISECONDS)
		return;
	stats->told = now;
	progress = json_pack("{s:I}", "seen", (json_int_t)stats->seen);
	if (census_is_complete(census))
		json_object_set_new(progress, "total", json_integer(
		    (json_int_t)tally_messages(census_tally(census))));
	control_send(stats->control, json_pack("{s:o}", "progress",
	    progress));
}

/* --- writing --- */

static void add_process(json_t *total, struct queue *queue)
{
	struct store_stats store;

	store_stats(queue->store, &store);
	json_object_update_new(total, json_pack(
	    "{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o}",
	    "window", (json_int_t)schedule_window(queue->schedule),
	    "in_flight", (json_int_t)schedule_in_flight(queue->schedule),
	    "slots", (json_int_t)dispatch_slots(queue->dispatch),
	    "receiving", (json_int_t)intake_open(queue->intake),
	    "destinations", (json_int_t)destinations_count(
	    schedule_destinations(queue->schedule)),
	    "space", (json_int_t)space_left(queue->space),
	    "commits", (json_int_t)store.commits,
	    "flushes", (json_int_t)store.flushes,
	    "body_bytes", (json_int_t)store.body_bytes_live,
	    "stored_bytes", (json_int_t)store.body_bytes_stored,
	    "counters", flow_value(queue->flow)));
}

void stats_send_total(struct queue *queue, struct control *control,
    const struct report *report, double share)
{
	json_t *total = report_total(report);

	add_process(total, queue);
	if (share < 1)
		json_object_set_new(total, "counting", json_real(share));
	control_send(control, json_pack("{s:o}", "total", total));
}

/* The next row of a table that is wanted; false behind the last. */
static bool find_row(struct stats *stats)
{
	while (stats->table < REPORT_TABLES) {
		if (stats->wanted[stats->table] && stats->row < stats->limit &&
		    stats->row < report_rows(stats->report,
		    (enum report_table)stats->table))
			return true;
		stats->table++;
		stats->row = 0;
	}
	return false;
}

static double share_of(const struct stats *stats)
{
	return stats->tally != NULL ? 1 : census_share(stats->queue->census);
}

static void write_lines(struct stats *stats)
{
	for (unsigned i = 0; i < LINES_A_TURN; i++) {
		if (!find_row(stats)) {
			stats_send_total(stats->queue, stats->control,
			    stats->report, share_of(stats));
			control_end(stats->control, CONTROL_OK, "");
			return;		/* stats is gone */
		}
		control_send(stats->control, report_row(stats->report,
		    (enum report_table)stats->table, stats->row++));
	}
}

/* --- stages --- */

static void step(void *arg);

static void go_on(struct stats *stats, int64_t milliseconds)
{
	timer_start(&stats->timer, milliseconds, step, stats);
}

static void enter_writing(struct stats *stats)
{
	struct queue *queue = stats->queue;

	stats->report = stats->tally != NULL ?
	    report_new(queue, stats->tally, REPORT_FINAL, NULL) :
	    report_new(queue, census_tally(queue->census), REPORT_KEPT,
	    NULL);
	stats->stage = STATS_WRITING;
	write_lines(stats);
}

static void wait_for_census(struct stats *stats)
{
	struct census *census = stats->queue->census;

	if (!census_is_complete(census) &&
	    clock_monotonic() < stats->patience)
		go_on(stats, POLL_MILLISECONDS);
	else if (!census_is_up_to_date(census))
		go_on(stats, 0);
	else
		enter_writing(stats);
}

/* As long a pause as it worked: mail has the other half. */
static void walk(struct stats *stats)
{
	int64_t began = clock_monotonic();
	bool more = true;

	while (more && clock_monotonic() - began < STEP_MILLISECONDS)
		more = walk_page(stats);
	if (!more) {
		enter_writing(stats);
		return;
	}
	tell_progress(stats);
	go_on(stats, STEP_MILLISECONDS);
}

static void step(void *arg)
{
	struct stats *stats = arg;

	switch (stats->stage) {
	case STATS_WAITING:
		wait_for_census(stats);
		return;
	case STATS_WALKING:
		walk(stats);
		return;
	case STATS_WRITING:
		write_lines(stats);
		return;
	default:
		bug("stats-stage");
	}
}

static void produce(struct control *control, void *arg)
{
	struct stats *stats = arg;

	(void)control;
	if (!timer_is_running(&stats->timer))
		step(stats);
}

static void stop(struct control *control, void *arg)
{
	(void)arg;
	control_end(control, CONTROL_STOPPED, "stopped");
}

/* --- arguments --- */

/* Null, or what is wrong. */
static const char *read_table(struct stats *stats, const json_t *value)
{
	const char *name = json_string_value(value);
	int table = name == NULL ? -1 : report_table_find(name);

	if (name != NULL && strcmp(name, "all") == 0)
		for (table = 0; table < REPORT_TABLES - 1; table++)
			stats->wanted[table] = true;
	if (table < 0)
		return "\"by\": domain, host, state, reason, age or all is "
		    "expected";
	stats->wanted[table] = true;
	return NULL;
}

static const char *read_tables(struct stats *stats, const json_t *by)
{
	const char *error = NULL;

	if (by == NULL)
		stats->wanted[REPORT_DOMAINS] = true;
	else if (!json_is_array(by))
		error = read_table(stats, by);
	for (size_t i = 0; error == NULL && i < json_array_size(by); i++)
		error = read_table(stats, json_array_get(by, i));
	return error;
}

static const char *read_arguments(struct stats *stats,
    const json_t *arguments)
{
	static const char *const own[] = { "by", "progress", NULL };
	const char *error = selector_read(&stats->selector, arguments, own);

	if (error == NULL)
		error = read_tables(stats, json_object_get(arguments, "by"));
	stats->limit = stats->selector.limit;
	stats->wants_progress = json_is_true(json_object_get(arguments,
	    "progress"));
	return error;
}

void verb_stats(struct control *control, const json_t *arguments)
{
	struct stats *stats = mem_alloc(sizeof(*stats));
	const char *error;

	stats->queue = verbs_queue();
	stats->control = control;
	stats->patience = clock_monotonic() + PATIENCE_MILLISECONDS;
	error = read_arguments(stats, arguments);
	if (error != NULL) {
		stats_free(stats);
		control_end(control, CONTROL_USAGE, error);
		return;
	}
	stats->stage = STATS_WAITING;
	if (!selector_is_empty(&stats->selector)) {
		stats->stage = STATS_WALKING;
		stats->tally = tally_new(NULL);
		stats->arena = arena_new(RECORD_ARENA_MAX);
	}
	control_on_stop(control, stop);
	control_produce(control, produce, stats_free, stats);
}
