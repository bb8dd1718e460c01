/* SPDX-License-Identifier: ISC */
/*
 * top: the places that mail goes to, as they are just now: how much waits for
 * each, how fast it takes mail, whether it rests and why. What is queued for
 * domains whose place nothing was tried at lately stands under the domain. One
 * object a place, the first of the order that was asked for, then the totals
 * of stats. All of it is in memory.
 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/control.h"
#include "base/hash.h"
#include "base/loop.h"
#include "base/mem.h"
#include "base/status.h"
#include "queue/census.h"
#include "queue/destination.h"
#include "queue/queue.h"
#include "queue/report.h"
#include "queue/schedule.h"
#include "queue/tally.h"
#include "queue/verb_stats.h"
#include "queue/verbs.h"

enum { LINES_DEFAULT = 50, LINES_MAX = 1000 };

struct line {
	const char		*name;		/* borrowed from one of those */
	const struct destination *place;	/* null: only a domain */
	uint64_t		 domains;
	uint64_t		 recipients;	/* not held */
	uint64_t		 held;
	double			 rate;
};

/* It lives in one turn. */
struct top {
	int64_t		 now;
	struct hash	*by_place;	/* pointer -> number + 1 */
	struct line	*lines;		/* owned */
	size_t		 count, size;
};

typedef int line_order(const void *left, const void *right);

static int by_name(const void *left, const void *right)
{
	const struct line *one = left, *other = right;

	return strcmp(one->name, other->name);
}

static int by_waiting(const void *left, const void *right)
{
	const struct line *one = left, *other = right;

	if (one->recipients != other->recipients)
		return one->recipients > other->recipients ? -1 : 1;
	return by_name(left, right);
}

static int by_rate(const void *left, const void *right)
{
	const struct line *one = left, *other = right;

	if (one->rate != other->rate)
		return one->rate > other->rate ? -1 : 1;
	return by_waiting(left, right);
}

static unsigned failures(const struct line *line)
{
	return line->place == NULL ? 0 : line->place->failures;
}

static int by_trouble(const void *left, const void *right)
{
	if (failures(left) != failures(right))
		return failures(left) > failures(right) ? -1 : 1;
	return by_waiting(left, right);
}

static const struct { const char *name; line_order *order; } orders[] = {
	{ "waiting", by_waiting }, { "rate", by_rate },
	{ "trouble", by_trouble }, { "name", by_name }
};

/* Null if there is no such order. */
static line_order *find_order(const json_t *value)
{
	const char *name = value == NULL ? "waiting" :
	    json_string_value(value);

	for (size_t i = 0; name != NULL && i < sizeof(orders) /
	    sizeof(orders[0]); i++)
		if (strcmp(name, orders[i].name) == 0)
			return orders[i].order;
	return NULL;
}

/* --- collecting --- */

static struct line *line_add(struct top *top, const char *name,
    const struct destination *place)
{
	struct line *line;

	if (top->count == top->size) {
		top->size = top->size * 2 + 64;
		top->lines = mem_resize(top->lines, top->size,
		    sizeof(*top->lines));
	}
	line = &top->lines[top->count++];
	*line = (struct line){ .name = name, .place = place };
	if (place == NULL)
		return line;
	line->rate = destination_rate(place, top->now);
	hash_put_id(top->by_place, (uintptr_t)place,
	    (void *)(uintptr_t)top->count);
	return line;
}

static struct line *line_of(struct top *top, const struct destination *place)
{
	uintptr_t number = (uintptr_t)hash_find_id(top->by_place,
	    (uintptr_t)place);

	return number == 0 ? line_add(top, place->key, place) :
	    &top->lines[number - 1];
}

static void take_group(void *arg, const struct tally_domain *domain,
    const struct tally_group *group, const struct destination *place)
{
	struct top *top = arg;
	struct line *line = place == NULL ? line_add(top, domain->name,
	    NULL) : line_of(top, place);

	line->domains++;
	line->recipients += group->states[TALLY_DUE] +
	    group->states[TALLY_PENDING];
	line->held += group->states[TALLY_HELD];
}

/* What has work or a history, though nothing is counted for it. */
static void take_place(void *arg, struct destination *place)
{
	struct top *top = arg;

	if (place->waiting.count > 0 || place->in_flight > 0 || place->paused ||
	    destination_is_resting(place, top->now) ||
	    destination_rate(place, top->now) > 0)
		line_of(top, place);
}

/* --- telling --- */

/* What it does, and until when. */
static void add_state(json_t *value, const struct destination *place,
    int64_t now)
{
	const char *state = "open";
	int64_t until = 0;

	if (place->paused) {
		state = "paused";
		until = place->paused_until;
	} else if (destination_is_resting(place, now)) {
		state = "resting";
		until = place->rest.due;
	}
	json_object_set_new(value, "state", json_string(state));
	json_object_set_new(value, "until", control_time(until));
}

static void add_place(json_t *value, const struct destination *place,
    int64_t now)
{
	bool troubled = place->paused || place->failures > 0;

	add_state(value, place, now);
	json_object_update_new(value, json_pack(
	    "{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:s, s:o, s:o}",
	    "window", (json_int_t)place->waiting.count,
	    "in_flight", (json_int_t)place->in_flight,
	    "limit", (json_int_t)place->limit,
	    "limit_max", (json_int_t)place->limit_max,
	    "failures", (json_int_t)place->failures,
	    "delivered", (json_int_t)(place->outcomes[STATUS_DELIVERED] +
	    place->outcomes[STATUS_RELAYED]),
	    "deferred", (json_int_t)place->outcomes[STATUS_DEFERRED],
	    "failed", (json_int_t)place->outcomes[STATUS_FAILED],
	    "reason", troubled ? status_reason_name(place->trouble.reason) :
	    "none",
	    "text", control_text(troubled ? place->trouble.text : ""),
	    "host", control_text(troubled ? place->trouble.host : "")));
}

static void send_line(const struct top *top, struct control *control,
    const struct line *line)
{
	json_t *value = json_pack("{s:o, s:I, s:I, s:I, s:f}",
	    "destination", control_text(line->name),
	    "domains", (json_int_t)line->domains,
	    "recipients", (json_int_t)line->recipients,
	    "held", (json_int_t)line->held,
	    "rate", (double)(int64_t)(line->rate * 100 + 0.5) / 100);

	if (line->place == NULL)
		json_object_set_new(value, "state", json_string("idle"));
	else
		add_place(value, line->place, top->now);
	control_send(control, value);
}

static void tell(struct queue *queue, struct control *control,
    line_order *order, size_t limit)
{
	const struct tally *tally = census_tally(queue->census);
	struct top top = { .now = clock_wall(),
	    .by_place = hash_new() };
	struct report *report = report_new(queue, tally, REPORT_KEPT,
	    &(struct report_each){ take_group, &top });

	destinations_each(schedule_destinations(queue->schedule), take_place,
	    &top);
	if (top.count > 1)
		qsort(top.lines, top.count, sizeof(top.lines[0]), order);
	for (size_t i = 0; i < top.count && i < limit; i++)
		send_line(&top, control, &top.lines[i]);
	stats_send_total(queue, control, report, census_share(queue->census));
	control_end(control, CONTROL_OK, "");
	report_free(report);
	hash_free(top.by_place);
	mem_free(top.lines);
}

void verb_top(struct control *control, const json_t *arguments)
{
	const json_t *limit = json_object_get(arguments, "limit");
	line_order *order = find_order(json_object_get(arguments, "sort"));
	json_int_t most = limit == NULL ? LINES_DEFAULT :
	    json_integer_value(limit);
	size_t known = (json_object_get(arguments, "sort") != NULL) +
	    (limit != NULL);

	if (order == NULL)
		control_end(control, CONTROL_USAGE, "\"sort\": waiting, rate, "
		    "trouble or name is expected");
	else if (most < 1 || most > LINES_MAX)
		control_end(control, CONTROL_USAGE, "\"limit\": 1 to 1000 "
		    "lines");
	else if (json_object_size(arguments) > known)
		control_end(control, CONTROL_USAGE, "top takes sort and limit "
		    "only");
	else
		tell(verbs_queue(), control, order, (size_t)most);
}
