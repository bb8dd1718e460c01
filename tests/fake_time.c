/* SPDX-License-Identifier: ISC */
/*
 * A list of running timers, looked through for the first that is due.
 */
#include "tests/fake_time.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/queue.h>
#include <time.h>

#include "base/clock.h"
#include "base/loop.h"
#include "base/process.h"

enum { CALLS_MAX = 100000 };

/* The struct is libevent's in the product; nobody else looks into it. */
struct event {
	LIST_ENTRY(event)	 entries;
	struct timer		*timer;
	int64_t			 due;
	bool			 runs;
};

static LIST_HEAD(, event) timers = LIST_HEAD_INITIALIZER(timers);
static int64_t wall, monotonic;

int64_t clock_wall(void)
{
	return wall;
}

int64_t clock_wall_micro(void)
{
	return wall * 1000;
}

int64_t clock_monotonic(void)
{
	return monotonic;
}

void clock_format_mail(int64_t moment, char *out, size_t size)
{
	snprintf(out, size, "%lld", (long long)moment);
}

void clock_format_iso(int64_t moment, char *out, size_t size)
{
	time_t seconds = (time_t)(moment / 1000);
	struct tm utc;

	gmtime_r(&seconds, &utc);
	strftime(out, size, "%Y-%m-%dT%H:%M:%SZ", &utc);
}

const char *process_directory(const char *configured)
{
	return configured;
}

void timer_start(struct timer *timer, int64_t milliseconds,
    loop_callback *callback, void *arg)
{
	if (timer->event == NULL) {
		timer->event = calloc(1, sizeof(*timer->event));
		if (timer->event == NULL)
			abort();
		timer->event->timer = timer;
		LIST_INSERT_HEAD(&timers, timer->event, entries);
	}
	timer->callback = callback;
	timer->arg = arg;
	timer->event->due = monotonic + (milliseconds > 0 ? milliseconds : 0);
	timer->event->runs = true;
}

void timer_stop(struct timer *timer)
{
	if (timer->event == NULL)
		return;
	LIST_REMOVE(timer->event, entries);
	free(timer->event);
	timer->event = NULL;
}

bool timer_is_running(const struct timer *timer)
{
	return timer->event != NULL && timer->event->runs;
}

void fake_time_begin(void)
{
	wall = INT64_C(1795348800) * 1000;
	monotonic = HOURS(1);
}

static struct event *next_due(int64_t until)
{
	struct event *event, *first = NULL;

	LIST_FOREACH(event, &timers, entries)
		if (event->runs && event->due <= until &&
		    (first == NULL || event->due < first->due))
			first = event;
	return first;
}

void fake_time_pass(int64_t milliseconds)
{
	int64_t until = monotonic + milliseconds, step;
	struct event *event;
	unsigned calls = 0;

	while ((event = next_due(until)) != NULL) {
		step = event->due > monotonic ? event->due - monotonic : 0;
		monotonic += step;
		wall += step;
		event->runs = false;
		if (calls++ == CALLS_MAX)
			abort();
		event->timer->callback(event->timer->arg);
	}
	wall += until - monotonic;
	monotonic = until;
}

void fake_time_set_wall(int64_t milliseconds_more)
{
	wall += milliseconds_more;
}

void fake_time_set_monotonic(int64_t milliseconds)
{
	monotonic = milliseconds;
}

unsigned fake_time_timers(void)
{
	struct event *event;
	unsigned count = 0;

	LIST_FOREACH(event, &timers, entries)
		count += event->runs;
	return count;
}
