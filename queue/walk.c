/* SPDX-License-Identifier: ISC */
/*
 * A step goes from page to page until its time is up. After a step that changed
 * something the next one comes when the disk has it; after one that wrote to
 * the caller, when the output has drained; otherwise in a later turn. A verb
 * that changes something ends its answer when the changes are durable.
 */
#include "queue/walk.h"

#include <string.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/control.h"
#include "base/mem.h"
#include "base/process.h"
#include "queue/census.h"
#include "queue/dispatch.h"
#include "queue/intake.h"
#include "queue/pattern.h"
#include "queue/queue.h"
#include "queue/record.h"
#include "queue/rows.h"
#include "queue/tally.h"

enum { NOTE_MAX = 200, STEP_MILLISECONDS = 5, PROGRESS_MILLISECONDS = 250,
    RENEW_MILLISECONDS = 1000, PATIENCE_MILLISECONDS = 60000,
    OTHERS_MAX = 12, SLICES_PAGE = 256,
    /* So long nobody else has the loop for as long: a first page comes soon. */
    HURRY_MILLISECONDS = 100 };

static void step(void *arg);

static void walk_free(void *arg)
{
	struct walk *walk = arg;

	timer_stop(&walk->timer);
	commit_wait_cancel(&walk->wait);
	if (walk->own != NULL && walk->verb->release != NULL)
		walk->verb->release(walk);
	selector_release(&walk->selector);
	mem_free(walk->note);
	mem_free(walk);
}

/* --- the end --- */

static void send_summary(struct walk *walk)
{
	json_t *answer = json_pack("{s:s, s:I, s:I}",
	    "verb", walk->verb->name,
	    "messages", (json_int_t)walk->messages,
	    "recipients", (json_int_t)walk->recipients);

	if (walk->dry_run)
		json_object_set_new(answer, "dry-run", json_true());
	if (walk->verb->conclude != NULL)
		walk->verb->conclude(walk, answer);
	control_send(walk->control, answer);
}

/* control_end() frees the walk. */
static void finish(void *arg)
{
	struct walk *walk = arg;
	bool none = walk->messages == 0;

	if (walk->verb->changes && (!none || walk->stopped))
		send_summary(walk);
	if (walk->stopped)
		control_end(walk->control, CONTROL_STOPPED, walk->verb->changes
		    ? "stopped: what was not reached is as it was" :
		    "stopped");
	else
		control_end(walk->control, none ? CONTROL_NONE_MATCHED :
		    CONTROL_OK, none ? "no message matches" : "");
}

static void end(struct walk *walk)
{
	if (walk->ended)
		return;
	walk->ended = true;
	timer_stop(&walk->timer);
	if (walk->verb->changes && !walk->dry_run && walk->recipients > 0) {
		commit_wait_cancel(&walk->wait);
		commit_wait(walk->queue->commit, &walk->wait, finish, walk);
	} else {
		finish(walk);
	}
}

void walk_fail(struct walk *walk, int code, const char *message)
{
	walk->failure = message;
	walk->failure_code = code;
}

bool walk_is_due(const struct walk *walk)
{
	return clock_monotonic() >= walk->deadline;
}

/* --- steps --- */

/* There is nothing more to be done in this step; one message is always done, or
 * a part of it. */
static bool is_over(const struct walk *walk)
{
	return walk->unfinished || walk->failure != NULL ||
	    (walk->worked && walk_is_due(walk));
}

/* A message that went while it was worked on: what was done was done. */
static void lose_sight(struct walk *walk)
{
	if (walk->taken == 0)
		return;
	walk->messages++;
	walk->recipients += walk->taken;
}

static void consider(void *arg, uint64_t id,
    const struct record_message *message)
{
	struct walk *walk = arg;

	/* The rest of the page comes again. */
	if (is_over(walk))
		return;
	if (id != walk->visited)
		walk->next_slice = walk->taken = 0;
	walk->visited = id;
	walk->worked = true;
	if (message == NULL)
		lose_sight(walk);
	else if (id < walk->end_id && walk->messages < walk->selector.limit &&
	    selector_takes_message(&walk->selector, message, clock_wall()))
		walk->unfinished = !walk->verb->visit(walk, id, message);
	if (walk->unfinished)
		return;
	/* Or it was counted by a slice of it that was passed. */
	if (walk->scan_slice == 0 || id != walk->next_id)
		walk->seen++;
	walk->next_slice = walk->taken = 0;
	walk->scan_slice = 0;
	if (walk->selector.ids != NULL)
		walk->next_position++;
	else
		walk->next_id = id + 1;
}

static void consider_id(struct walk *walk, uint64_t id)
{
	struct arena *arena = arena_new(RECORD_ARENA_MAX);

	consider(walk, id, rows_find_message(walk->queue->store, id, arena));
	arena_free(arena);
}

/* Returns whether there is more. */
static bool page_of_ids(struct walk *walk)
{
	const struct selector *selector = &walk->selector;
	size_t end = walk->next_position + walk->verb->page;

	while (walk->next_position < selector->id_count &&
	    walk->next_position < end && !is_over(walk))
		consider_id(walk, selector->ids[walk->next_position]);
	return walk->next_position < selector->id_count;
}

static bool page_of_all(struct walk *walk)
{
	return rows_each_message(walk->queue->store, walk->next_id,
	    walk->verb->page, consider, walk) > 0;
}

static void pass_slice(void *arg, uint64_t id, uint32_t number,
    const struct record_slice *slice)
{
	struct walk *walk = arg;

	if (is_over(walk) || id < walk->next_id)
		return;
	if (slice != NULL && selector_takes_any(&walk->selector, walk->queue,
	    id, number, slice)) {
		consider_id(walk, id);
		return;
	}
	if (id != walk->next_id || walk->scan_slice == 0)
		walk->seen++;
	walk->next_id = id;
	walk->scan_slice = number + 1;
	if (walk->scan_slice == 0)
		walk->next_id++;
	walk->worked = true;
}

static bool takes_domain(void *arg, const char *domain)
{
	const struct walk *walk = arg;

	return pattern_matches(walk->selector.domain, domain);
}

/* Where few of many slices are meant, most messages need not be read. */
static bool page_of_slices(struct walk *walk)
{
	return rows_each_slice_of(walk->queue->store, &(struct rows_slices){
	    .id = walk->next_id, .slice = walk->scan_slice,
	    .most = SLICES_PAGE, .takes = walk->selector.domain == NULL ?
	    NULL : takes_domain }, pass_slice, walk) > 0;
}

static bool looks_at_slices(const struct selector *selector)
{
	return selector->domain != NULL || selector->recipient != NULL ||
	    selector->host != NULL || selector->reasons != 0 ||
	    selector->state != SLICE_ANY;
}

/* Returns whether there may be more to see. */
static bool page(struct walk *walk)
{
	bool more;

	if (walk->unfinished) {
		walk->unfinished = false;
		consider_id(walk, walk->visited);
		return true;
	}
	if (walk->selector.ids != NULL)
		more = page_of_ids(walk);
	else if (walk->by_slices)
		more = page_of_slices(walk);
	else
		more = page_of_all(walk);
	return more && walk->messages < walk->selector.limit &&
	    walk->next_id <= walk->end_id;
}

static void tell_progress(struct walk *walk, int64_t now)
{
	json_t *progress;

	if (!walk->wants_progress || now - walk->told < PROGRESS_MILLISECONDS)
		return;
	walk->told = now;
	progress = json_pack("{s:I}", "seen", (json_int_t)walk->seen);
	if (walk->expected > 0)
		json_object_set_new(progress, "total",
		    json_integer((json_int_t)walk->expected));
	if (walk->verb->changes && !walk->dry_run)
		json_object_set_new(progress, "changed",
		    json_integer((json_int_t)walk->messages));
	control_send(walk->control, json_pack("{s:o}", "progress", progress));
}

/* The caller has patience as long as something is done. */
static void renew(struct walk *walk, int64_t now)
{
	if (now - walk->renewed < RENEW_MILLISECONDS)
		return;
	walk->renewed = now;
	control_wait(walk->control, PATIENCE_MILLISECONDS);
}

static bool is_wanted(const struct walk *walk)
{
	return intake_open(walk->queue->intake) > 0 ||
	    dispatch_open(walk->queue->dispatch) > 0;
}

/* Others have the loop as long as this step had it, if they want it. A short
 * walk that changes nothing takes one turn after the other. */
static int64_t rest_after(struct walk *walk, int64_t began, int64_t now)
{
	walk->spent += now - began;
	if (!walk->verb->changes && walk->spent < HURRY_MILLISECONDS)
		return 0;
	return is_wanted(walk) ? now - began : 0;
}

static void on_flushed(void *arg)
{
	struct walk *walk = arg;

	walk->waiting = false;
	timer_start(&walk->timer, walk->pause, step, walk);
}

/* What comes after a step that was not the last one. */
static void schedule_step(struct walk *walk, bool changed)
{
	if (changed) {
		walk->waiting = true;
		commit_wait(walk->queue->commit, &walk->wait, on_flushed,
		    walk);
	} else if (!walk->sent) {
		timer_start(&walk->timer, walk->pause, step, walk);
	}
}

static void step(void *arg)
{
	struct walk *walk = arg;
	int64_t began = clock_monotonic(), now;
	uint64_t before = walk->recipients + walk->taken;
	bool more;

	walk->sent = walk->worked = false;
	walk->deadline = began + STEP_MILLISECONDS;
	do
		more = page(walk);
	while (more && !walk->sent && !is_over(walk));
	if (walk->failure != NULL) {
		control_end(walk->control, (enum control_code)
		    walk->failure_code, walk->failure);
		return;			/* the walk is gone */
	}
	if (!more || (walk->stopped && !walk->unfinished)) {
		end(walk);
		return;
	}
	now = clock_monotonic();
	tell_progress(walk, now);
	renew(walk, now);
	walk->pause = rest_after(walk, began, now);
	schedule_step(walk, walk->verb->changes && !walk->dry_run &&
	    walk->recipients + walk->taken != before);
}

static void produce(struct control *control, void *arg)
{
	struct walk *walk = arg;

	(void)control;
	if (walk->ended || walk->waiting || timer_is_running(&walk->timer))
		return;
	if (walk->pause > 0)
		timer_start(&walk->timer, walk->pause, step, walk);
	else
		step(walk);
}

static void stop(struct control *control, void *arg)
{
	struct walk *walk = arg;

	(void)control;
	if (walk->ended)
		return;
	walk->stopped = true;
	/* A step comes that ends what is not finished, then all. */
	if (!(walk->unfinished && walk->verb->whole))
		end(walk);
}

/* --- the beginning --- */

/* How many there are to see; 0 if nobody knows. */
static uint64_t how_many(const struct walk *walk)
{
	const struct census *census = walk->queue->census;

	if (walk->selector.ids != NULL)
		return walk->selector.id_count;
	return census_is_complete(census) ?
	    tally_messages(census_tally(census)) : 0;
}

/* It is stored and goes into notifications. */
static bool note_is_good(const json_t *note)
{
	const char *text = json_string_value(note);

	if (note == NULL)
		return true;
	if (text == NULL || strlen(text) > NOTE_MAX)
		return false;
	for (; *text != '\0'; text++) {
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			return false;
	}
	return true;
}

/* What the verb takes, and what all do. */
static const char *read_selection(struct walk *walk, const json_t *arguments)
{
	static const char *const common[] = { "progress" };
	static const char *const changes[] = { "progress", "dry-run",
	    "each" };
	const char *known[OTHERS_MAX + 1] = { NULL };
	const char *const *own = walk->verb->arguments;
	size_t count = 0;

	for (size_t i = 0; walk->verb->changes && i < 3; i++)
		known[count++] = changes[i];
	if (!walk->verb->changes)
		known[count++] = common[0];
	for (; own != NULL && *own != NULL && count < OTHERS_MAX; own++)
		known[count++] = *own;
	return selector_read(&walk->selector, arguments, known);
}

static const char *read_arguments(struct walk *walk, const json_t *arguments)
{
	const json_t *note = json_object_get(arguments, "note");
	const char *error = read_selection(walk, arguments);

	if (error != NULL)
		return error;
	if (!note_is_good(note))
		return "\"note\": one line of at most 200 bytes is expected";
	walk->note = mem_dup_string(json_string_value(note));
	walk->dry_run = json_is_true(json_object_get(arguments, "dry-run"));
	walk->each = json_is_true(json_object_get(arguments, "each"));
	if (walk->each && !walk->dry_run)
		return "\"each\" goes with \"dry-run\"";
	walk->wants_progress = json_is_true(json_object_get(arguments,
	    "progress"));
	if (walk->verb->read != NULL)
		error = walk->verb->read(walk, arguments);
	if (error != NULL)
		return error;
	if ((walk->verb->changes || walk->verb->wants_selection) &&
	    selector_is_empty(&walk->selector))
		return "say which messages are meant: identifiers, selectors "
		    "such as --domain (--help lists them), or --all";
	return NULL;
}

void walk_start(struct queue *queue, struct control *control,
    const json_t *arguments, const struct walk_verb *verb)
{
	struct walk *walk = mem_alloc(sizeof(*walk));
	const char *error;

	walk->queue = queue;
	walk->control = control;
	walk->verb = verb;
	walk->end_id = queue->next_id;
	walk->uid = control_caller(control)->uid;
	walk->level = -1;
	error = read_arguments(walk, arguments);
	if (error != NULL) {
		walk_free(walk);
		control_end(control, CONTROL_USAGE, error);
		return;
	}
	walk->expected = how_many(walk);
	walk->by_slices = looks_at_slices(&walk->selector);
	walk->told = walk->renewed = clock_monotonic();
	control_on_stop(control, stop);
	control_produce(control, produce, walk_free, walk);
}

void walk_send(struct walk *walk, json_t *object)
{
	walk->sent = true;
	control_send(walk->control, object);
}

bool walk_selects(struct walk *walk, uint64_t id)
{
	struct arena *arena = arena_new(RECORD_ARENA_MAX);
	struct record_slice *slice;
	uint32_t number = 0;
	bool found = false;

	while (!found && rows_next_slice(walk->queue->store, id, &number,
	    arena, &slice)) {
		found = slice != NULL && selector_takes_any(&walk->selector,
		    walk->queue, id, number, slice);
		arena_reset(arena);
		if (++number == 0)
			break;
	}
	arena_free(arena);
	return found;
}
