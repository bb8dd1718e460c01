/* SPDX-License-Identifier: ISC */
/*
 * A step is one page. After a step that wrote something the next one comes
 * when the output has drained; otherwise in the next turn. A verb that changes
 * something ends its answer when the changes are durable.
 */
#include "queue/walk.h"

#include <string.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/control.h"
#include "base/mem.h"
#include "base/process.h"
#include "queue/queue.h"
#include "queue/record.h"
#include "queue/rows.h"

enum { NOTE_MAX = 200 };

static void walk_free(void *arg)
{
	struct walk *walk = arg;

	timer_stop(&walk->timer);
	commit_wait_cancel(&walk->wait);
	selector_release(&walk->selector);
	mem_free(walk->note);
	mem_free(walk);
}

/* control_end() frees the walk. */
static void finish(void *arg)
{
	struct walk *walk = arg;
	bool none = walk->messages == 0;

	if (walk->verb->changes && !none) {
		json_t *answer = json_pack("{s:s, s:I, s:I}",
		    "verb", walk->verb->name,
		    "messages", (json_int_t)walk->messages,
		    "recipients", (json_int_t)walk->recipients);

		if (walk->verb->conclude != NULL)
			walk->verb->conclude(walk, answer);
		control_send(walk->control, answer);
	}
	control_end(walk->control, none ? CONTROL_NONE_MATCHED : CONTROL_OK,
	    none ? "no message matches" : "");
}

static void end(struct walk *walk)
{
	if (walk->ended)
		return;
	walk->ended = true;
	if (walk->verb->changes && walk->messages > 0)
		commit_wait(walk->queue->commit, &walk->wait, finish, walk);
	else
		finish(walk);
}

static void consider(void *arg, uint64_t id,
    const struct record_message *message)
{
	struct walk *walk = arg;

	if (walk->selector.ids == NULL)
		walk->next_id = id + 1;
	if (message == NULL || id >= walk->end_id ||
	    walk->messages >= walk->limit ||
	    !selector_takes_message(&walk->selector, message, clock_wall()))
		return;
	walk->verb->visit(walk, id, message);
}

/* Returns whether there is more. */
static bool step_over_ids(struct walk *walk)
{
	struct arena *arena = arena_new(RECORD_ARENA_MAX);
	size_t done = 0;

	while (done++ < walk->verb->page &&
	    walk->next_position < walk->selector.id_count) {
		uint64_t id = walk->selector.ids[walk->next_position++];

		arena_reset(arena);
		consider(walk, id, rows_find_message(walk->queue->store, id,
		    arena));
	}
	arena_free(arena);
	return walk->next_position < walk->selector.id_count;
}

static void step(void *arg)
{
	struct walk *walk = arg;
	bool more;

	walk->sent = false;
	if (walk->selector.ids != NULL)
		more = step_over_ids(walk);
	else
		more = rows_each_message(walk->queue->store, walk->next_id,
		    walk->verb->page, consider, walk) > 0;
	if (!more || walk->messages >= walk->limit ||
	    walk->next_id > walk->end_id)
		end(walk);
	else if (!walk->sent)
		timer_start(&walk->timer, 0, step, walk);
}

static void produce(struct control *control, void *arg)
{
	struct walk *walk = arg;

	(void)control;
	if (!walk->ended && !timer_is_running(&walk->timer))
		step(walk);
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

static const char *read_level(struct walk *walk, const json_t *level)
{
	walk->level = -1;
	if (walk->verb->read_level != NULL)
		return walk->verb->read_level(walk, level);
	return level == NULL ? NULL :
	    "unknown argument: \"level\" is for set-tls";
}

static const char *read_arguments(struct walk *walk, const json_t *arguments)
{
	const json_t *limit = json_object_get(arguments, "limit");
	const json_t *note = json_object_get(arguments, "note");
	const char *error = selector_read(&walk->selector, arguments);

	if (error != NULL)
		return error;
	if (json_object_get(arguments, "original") != NULL)
		return "unknown argument: \"original\" is for cat";
	walk->limit = UINT64_MAX;
	if (limit != NULL && json_integer_value(limit) <= 0)
		return "\"limit\": a number of messages is expected";
	if (limit != NULL)
		walk->limit = (uint64_t)json_integer_value(limit);
	if (!note_is_good(note))
		return "\"note\": one line of at most 200 bytes is expected";
	walk->note = mem_dup_string(json_string_value(note));
	error = read_level(walk, json_object_get(arguments, "level"));
	if (error != NULL)
		return error;
	if (walk->verb->changes && selector_is_empty(&walk->selector))
		return "say which messages are meant, or all of them";
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
	error = read_arguments(walk, arguments);
	if (error != NULL) {
		walk_free(walk);
		control_end(control, CONTROL_USAGE, error);
		return;
	}
	control_produce(control, produce, walk_free, walk);
}

void walk_send(struct walk *walk, json_t *object)
{
	walk->sent = true;
	control_send(walk->control, object);
}
