/* SPDX-License-Identifier: ISC */
/*
 * "[######......]  41%  410000 of 1000000, 409998 changed, 1:12 left". The time
 * left is what the same pace would need.
 */
#include "tools/queue_progress.h"

#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/clock.h"
#include "tools/command_text.h"

enum { BAR_MAX = 24, WIDTH_DEFAULT = 80, LINE_BYTES = 512 };

/* "1:12", "2:03:04" */
static void format_seconds(long long seconds, char *out, size_t size)
{
	if (seconds >= 3600)
		snprintf(out, size, "%lld:%02lld:%02lld", seconds / 3600,
		    seconds / 60 % 60, seconds % 60);
	else
		snprintf(out, size, "%lld:%02lld", seconds / 60,
		    seconds % 60);
}

static void format_bar(long long seen, long long total, char *out)
{
	long long full = total > 0 ? seen * BAR_MAX / total : 0;

	out[0] = '[';
	memset(out + 1, '.', BAR_MAX);
	memset(out + 1, '#', (size_t)full);
	memcpy(out + 1 + BAR_MAX, "] ", 3);
}

void queue_progress_format(const json_t *values, int64_t elapsed,
    size_t width, char *out, size_t size)
{
	long long seen = number_of(values, "seen");
	long long total = number_of(values, "total");
	char bar[BAR_MAX + 4] = "", numbers[256], time[32], left[64] = "";
	int used;

	if (seen > total)	/* it was an estimate */
		total = 0;
	used = snprintf(numbers, sizeof(numbers), "%lld", seen);
	if (total > 0)
		used = snprintf(numbers, sizeof(numbers),
		    "%3lld%%  %lld of %lld", seen * 100 / total, seen, total);
	if (json_object_get(values, "changed") != NULL)
		snprintf(numbers + used, sizeof(numbers) - (size_t)used,
		    ", %lld changed", number_of(values, "changed"));
	if (total > 0 && seen > 0 && elapsed > 0) {
		format_seconds((long long)((double)elapsed / (double)seen *
		    (double)(total - seen) / 1000), time, sizeof(time));
		snprintf(left, sizeof(left), ", %s left", time);
	}
	if (total > 0 && strlen(numbers) + strlen(left) + sizeof(bar) < width)
		format_bar(seen, total, bar);
	snprintf(out, size < width ? size : width, "%s%s%s", bar, numbers,
	    left);
}

static size_t terminal_width(void)
{
	struct winsize window;

	if (ioctl(STDERR_FILENO, TIOCGWINSZ, &window) == 0 &&
	    window.ws_col > 0)
		return window.ws_col;
	return WIDTH_DEFAULT;
}

void queue_progress_init(struct queue_progress *progress, bool wanted)
{
	progress->shown = wanted && isatty(STDERR_FILENO);
	progress->visible = false;
	progress->began = clock_monotonic();
}

bool queue_progress_take(struct queue_progress *progress,
    const json_t *object)
{
	const json_t *values = json_object_get(object, "progress");
	char line[LINE_BYTES];

	if (values == NULL)
		return false;
	if (!progress->shown)
		return true;
	queue_progress_format(values, clock_monotonic() - progress->began,
	    terminal_width(), line, sizeof(line));
	fflush(stdout);
	fprintf(stderr, "\r%s\x1b[K", line);
	progress->visible = true;
	return true;
}

void queue_progress_clear(struct queue_progress *progress)
{
	if (!progress->visible)
		return;
	fprintf(stderr, "\r\x1b[K");
	progress->visible = false;
}
