/* SPDX-License-Identifier: ISC */
/*
 * A ring of seconds: each cell says which second it is of, so that nothing has
 * to be done while nothing happens.
 */
#include "queue/flow.h"

#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

enum { SECONDS = 60 };

struct flow_second {
	int64_t		 second;	/* monotonic */
	uint32_t	 counts[FLOW_COUNTERS];
};

struct flow {
	int64_t			 since_wall;	/* ms */
	int64_t			 since;		/* monotonic, s */
	uint64_t		 counts[FLOW_COUNTERS];
	struct flow_second	 ring[SECONDS + 1];
};

static const char *const names[FLOW_COUNTERS] = {
	[FLOW_ACCEPTED] = "accepted",
	[FLOW_RECIPIENTS] = "recipients",
	[FLOW_DELIVERED] = "delivered",
	[FLOW_RELAYED] = "relayed",
	[FLOW_DEFERRED] = "deferred",
	[FLOW_FAILED] = "failed",
	[FLOW_DELETED] = "deleted",
	[FLOW_REMOVED] = "removed"
};

static int64_t second_now(void)
{
	return clock_monotonic() / 1000;
}

struct flow *flow_new(void)
{
	struct flow *flow = mem_alloc(sizeof(*flow));

	flow->since_wall = clock_wall();
	flow->since = second_now();
	for (int i = 0; i <= SECONDS; i++)
		flow->ring[i].second = -1;
	return flow;
}

void flow_free(struct flow *flow)
{
	mem_free(flow);
}

void flow_add(struct flow *flow, enum flow_counter which,
    uint64_t count)
{
	int64_t now = second_now();
	struct flow_second *cell = &flow->ring[now % (SECONDS + 1)];

	if (cell->second != now) {
		memset(cell, 0, sizeof(*cell));
		cell->second = now;
	}
	cell->counts[which] += (uint32_t)count;
	flow->counts[which] += count;
}

void flow_outcome(struct flow *flow, enum status_outcome outcome)
{
	switch (outcome) {
	case STATUS_DELIVERED:
		flow_add(flow, FLOW_DELIVERED, 1);
		return;
	case STATUS_RELAYED:
		flow_add(flow, FLOW_RELAYED, 1);
		return;
	case STATUS_DEFERRED:
		flow_add(flow, FLOW_DEFERRED, 1);
		return;
	case STATUS_FAILED:
		flow_add(flow, FLOW_FAILED, 1);
		return;
	default:
		bug("counter-outcome");
	}
}

/* Of the seconds that are over, so that the one under way does not make it
 * less than it is. */
static double rate(const struct flow *flow, enum flow_counter which)
{
	int64_t now = second_now(), span = now - flow->since;
	uint64_t count = 0;

	if (span > SECONDS)
		span = SECONDS;
	for (int i = 0; i <= SECONDS; i++)
		if (flow->ring[i].second >= now - span &&
		    flow->ring[i].second < now)
			count += flow->ring[i].counts[which];
	return span == 0 ? 0 : (double)count / (double)span;
}

/* Three digits behind the point are enough, and look better. */
static double rounded(double value)
{
	return (double)(int64_t)(value * 1000 + 0.5) / 1000;
}

json_t *flow_value(const struct flow *flow)
{
	char since[64];
	json_t *value;

	clock_format_iso(flow->since_wall, since, sizeof(since));
	value = json_pack("{s:s}", "since", since);
	for (int i = 0; i < FLOW_COUNTERS; i++)
		json_object_set_new(value, names[i], json_pack("{s:I, s:f}",
		    "count", (json_int_t)flow->counts[i],
		    "rate", rounded(rate(flow, (enum flow_counter)i))));
	return value;
}
