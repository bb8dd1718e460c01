/* SPDX-License-Identifier: ISC */
/*
 * Numbers in few columns.
 */
#include "tools/queue_totals.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "tools/command_text.h"
#include "tools/command_time.h"

void queue_totals_size(long long bytes, char *out, size_t size)
{
	static const char units[] = "BKMGTPE";
	double value = (double)bytes;
	size_t i = 0;

	/* What would be rounded to a thousand goes to the next unit. */
	while (value >= 999.5 && i + 2 < sizeof(units)) {
		value /= 1024;
		i++;
	}
	if (i == 0)
		snprintf(out, size, "%lld", bytes);
	else
		snprintf(out, size, value < 9.95 ? "%.1f%c" : "%.0f%c", value,
		    units[i]);
}

void queue_totals_age(const char *moment, char *out, size_t size)
{
	static const struct { long long seconds; char unit; } units[] = {
		{ 2 * 86400, 'd' }, { 2 * 3600, 'h' }, { 2 * 60, 'm' } };
	int64_t then = command_read_moment(moment);
	long long age = clock_wall() / 1000 - then;

	out[0] = '\0';
	if (then < 0)
		return;
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (age < units[i].seconds)
			continue;
		snprintf(out, size, "%lld%c", age / (units[i].seconds / 2),
		    units[i].unit);
		return;
	}
	snprintf(out, size, "%llds", age < 0 ? 0 : age);
}

struct writer {
	char	*out;
	size_t	 used;
};

__attribute__((format(printf, 2, 3)))
static void add(struct writer *writer, const char *format, ...)
{
	size_t left = QUEUE_TOTALS_LINE - writer->used;
	va_list arguments;
	int length;

	va_start(arguments, format);
	length = vsnprintf(writer->out + writer->used, left, format,
	    arguments);
	va_end(arguments);
	if (length > 0)
		writer->used += (size_t)length < left ? (size_t)length :
		    left - 1;
}

static void write_work(const json_t *total, char *line)
{
	struct writer writer = { line, 0 };
	char space[32];

	queue_totals_size(number_of(total, "space"), space, sizeof(space));
	add(&writer, "in flight %lld of %lld, in the window %lld, "
	    "receiving %lld, destinations %lld, space %s",
	    number_of(total, "in_flight"), number_of(total, "slots"),
	    number_of(total, "window"), number_of(total, "receiving"),
	    number_of(total, "destinations"), space);
}

static const char *const counters[] = { "accepted", "delivered", "relayed",
    "deferred", "failed", "removed" };
enum { COUNTERS = sizeof(counters) / sizeof(counters[0]) };

static void write_rates(const json_t *all, char *line)
{
	struct writer writer = { line, 0 };

	add(&writer, "last minute, a second:");
	for (size_t i = 0; i < COUNTERS; i++)
		add(&writer, "%s %s %.1f", i == 0 ? "" : ",", counters[i],
		    json_number_value(json_object_get(json_object_get(all,
		    counters[i]), "rate")));
}

static void write_counts(const json_t *all, char *line)
{
	struct writer writer = { line, 0 };

	add(&writer, "since %.32s:", text_of(all, "since"));
	for (size_t i = 0; i < COUNTERS; i++)
		add(&writer, "%s %s %lld", i == 0 ? "" : ",", counters[i],
		    number_of(json_object_get(all, counters[i]), "count"));
}

int queue_totals_lines(const json_t *total, char lines[][QUEUE_TOTALS_LINE],
    int most)
{
	const json_t *all = json_object_get(total, "counters");
	const json_t *share = json_object_get(total, "counting");
	int count = 0;

	if (share != NULL && count < most)
		snprintf(lines[count++], QUEUE_TOTALS_LINE, "counting: about "
		    "%.0f %% of what was queued at the start is in these "
		    "numbers", json_number_value(share) * 100);
	if (count < most)
		write_work(total, lines[count++]);
	if (count < most)
		write_rates(all, lines[count++]);
	if (count < most)
		write_counts(all, lines[count++]);
	return count;
}
