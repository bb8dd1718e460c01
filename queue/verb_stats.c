/* SPDX-License-Identifier: ISC */
/*
 * stats: the queue by domain, the domain with most recipients first, and one
 * object with the totals and what the process is doing. The slices are read a
 * page a turn; domains beyond a bound are counted together as "(others)".
 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/control.h"
#include "base/hash.h"
#include "base/loop.h"
#include "base/mem.h"
#include "queue/destination.h"
#include "queue/dispatch.h"
#include "queue/intake.h"
#include "queue/queue.h"
#include "queue/record.h"
#include "queue/rows.h"
#include "queue/schedule.h"
#include "queue/selector.h"
#include "queue/space.h"
#include "queue/store.h"
#include "queue/verbs.h"

enum { PAGE_SLICES = 256, DOMAINS_MAX = 20000, LINES_A_TURN = 500 };

struct domain_count {
	char		*domain;	/* owned */
	uint64_t	 last_id;	/* counted already */
	uint64_t	 messages;
	uint64_t	 recipients;
	uint64_t	 by_state[SLICE_IS_HELD + 1];	/* recipients */
	int64_t		 oldest;	/* arrival, wall ms */
};

struct stats {
	struct queue		*queue;		/* outlives us */
	struct control		*control;	/* outlives us */
	struct hash		*by_domain;	/* borrowed */
	struct domain_count	*domains[DOMAINS_MAX + 1];	/* owned */
	size_t			 domain_count;
	struct domain_count	 total;
	uint64_t		 id;		/* next page */
	uint32_t		 number;
	bool			 counted;
	size_t			 written;	/* domains */
	struct timer		 timer;
};

static void stats_free(void *arg)
{
	struct stats *stats = arg;

	timer_stop(&stats->timer);
	for (size_t i = 0; i < stats->domain_count; i++) {
		mem_free(stats->domains[i]->domain);
		mem_free(stats->domains[i]);
	}
	hash_free(stats->by_domain);
	mem_free(stats);
}

static struct domain_count *count_for(struct stats *stats, const char *domain)
{
	struct domain_count *count;

	if (stats->domain_count >= DOMAINS_MAX &&
	    hash_find_text(stats->by_domain, domain) == NULL)
		domain = "(others)";
	count = hash_find_text(stats->by_domain, domain);
	if (count != NULL)
		return count;
	count = mem_alloc(sizeof(*count));
	count->domain = mem_dup_string(domain);
	stats->domains[stats->domain_count++] = count;
	hash_put_text(stats->by_domain, domain, count);
	return count;
}

/* The slices of one message at one domain follow each other. */
static void add(struct domain_count *count, uint64_t id,
    const struct record_slice *slice, enum slice_state state)
{
	if (count->last_id != id)
		count->messages++;
	count->last_id = id;
	count->recipients += slice->recipient_count;
	count->by_state[state] += slice->recipient_count;
	if (count->oldest == 0 || slice->arrival < count->oldest)
		count->oldest = slice->arrival;
}

static void visit(void *arg, uint64_t id, uint32_t number,
    const struct record_slice *slice)
{
	struct stats *stats = arg;
	enum slice_state state;
	int64_t next;

	stats->id = id;
	stats->number = number + 1;
	if (stats->number == 0)
		stats->id++;
	if (slice == NULL)
		return;
	state = slice_state_of(stats->queue, id, number, slice, &next);
	add(count_for(stats, slice->domain), id, slice, state);
	add(&stats->total, id, slice, state);
}

static json_t *count_value(const struct domain_count *count)
{
	char oldest[64] = "";

	if (count->oldest != 0)
		clock_format_iso(count->oldest, oldest, sizeof(oldest));
	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:s}",
	    "messages", (json_int_t)count->messages,
	    "recipients", (json_int_t)count->recipients,
	    "active", (json_int_t)count->by_state[SLICE_IS_ACTIVE],
	    "deferred", (json_int_t)count->by_state[SLICE_IS_DEFERRED],
	    "held", (json_int_t)count->by_state[SLICE_IS_HELD],
	    "oldest", oldest);
}

static void send_total(struct stats *stats)
{
	struct queue *queue = stats->queue;
	struct store_stats store;
	json_t *total = count_value(&stats->total);

	store_stats(queue->store, &store);
	json_object_update_new(total, json_pack(
	    "{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}",
	    "window", (json_int_t)schedule_window(queue->schedule),
	    "in_flight", (json_int_t)schedule_in_flight(queue->schedule),
	    "receiving", (json_int_t)intake_open(queue->intake),
	    "destinations", (json_int_t)destinations_count(
	    schedule_destinations(queue->schedule)),
	    "space", (json_int_t)space_left(queue->space),
	    "commits", (json_int_t)store.commits,
	    "flushes", (json_int_t)store.flushes,
	    "body_bytes", (json_int_t)store.body_bytes_live,
	    "stored_bytes", (json_int_t)store.body_bytes_stored));
	control_send(stats->control, json_pack("{s:o}", "total", total));
}

static int compare(const void *left, const void *right)
{
	const struct domain_count *one = *(struct domain_count *const *)left;
	const struct domain_count *other =
	    *(struct domain_count *const *)right;

	if (one->recipients != other->recipients)
		return one->recipients > other->recipients ? -1 : 1;
	return strcmp(one->domain, other->domain);
}

/* A page of the table; at the end the totals. */
static void write_lines(struct stats *stats)
{
	for (unsigned i = 0; i < LINES_A_TURN; i++) {
		struct domain_count *count;
		json_t *object;

		if (stats->written == stats->domain_count) {
			send_total(stats);
			control_end(stats->control, CONTROL_OK, "");
			return;		/* stats is gone */
		}
		count = stats->domains[stats->written++];
		object = count_value(count);
		json_object_set_new(object, "domain",
		    json_string(count->domain));
		control_send(stats->control, object);
	}
}

static void step(void *arg)
{
	struct stats *stats = arg;

	if (!stats->counted && rows_each_slice(stats->queue->store, stats->id,
	    stats->number, PAGE_SLICES, visit, stats) > 0) {
		timer_start(&stats->timer, 0, step, stats);
		return;
	}
	if (!stats->counted)
		qsort(stats->domains, stats->domain_count,
		    sizeof(stats->domains[0]), compare);
	stats->counted = true;
	write_lines(stats);
}

static void produce(struct control *control, void *arg)
{
	struct stats *stats = arg;

	(void)control;
	if (!timer_is_running(&stats->timer))
		step(stats);
}

void verb_stats(struct control *control, const json_t *arguments)
{
	struct stats *stats;

	if (json_object_size(arguments) > 0) {
		control_end(control, CONTROL_USAGE, "stats takes no arguments");
		return;
	}
	stats = mem_alloc(sizeof(*stats));
	stats->queue = verbs_queue();
	stats->control = control;
	stats->by_domain = hash_new();
	control_produce(control, produce, stats_free, stats);
}
