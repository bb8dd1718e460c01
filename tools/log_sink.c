/* SPDX-License-Identifier: ISC */
/*
 * Splits what roles write into lines and writes them out. Anything a library
 * or a sanitizer prints on a role's descriptor 2 arrives here as well.
 *
 * A busy source, which has just said something and then something more, is looked
 * at again after a few milliseconds, together with all others of which that is
 * true, and not with each line: there may be thousands in a second. One that had
 * nothing to add is waited for again.
 */
#include "tools/log_sink.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/loop.h"
#include "base/mem.h"

enum { LINE_MAX_BYTES = 16 << 10, READ_BYTES = 64 << 10,
    /* How often one source is read before it is another one's turn. */
    READS_MAX = 16, PAUSE_MS = 5, BUSY_MS = 3 };

struct log_source {
	LIST_ENTRY(log_source)	 link;
	struct watch		 watch;
	struct buf		 input;
	int			 fd;		/* owned */
	bool			 discarding;	/* the rest of a line that was cut */
	bool			 pauses;	/* until the timer */
	int64_t			 spoke;		/* monotonic */
};

static LIST_HEAD(, log_source) sources = LIST_HEAD_INITIALIZER(sources);
static struct timer timer;

static void write_all(const char *data, size_t length)
{
	ssize_t written;

	while (length > 0) {
		written = write(STDERR_FILENO, data, length);
		if (written == -1 && errno == EINTR)
			continue;
		if (written <= 0)
			return;		/* nobody can be told */
		data += written;
		length -= (size_t)written;
	}
}

/* Records begin "<6>" as sd-daemon(3) has it; other text has no mark. */
static size_t priority_length(const char *line, size_t length)
{
	return length >= 3 && line[0] == '<' && line[1] >= '0' &&
	    line[1] <= '7' && line[2] == '>' ? 3 : 0;
}

static void write_out(struct buf *out)
{
	write_all(buf_data(out), buf_length(out));
	buf_reset(out);
}

/* stamp ends with a blank. */
static void add_line(struct buf *out, const char *line, size_t length,
    const char *stamp)
{
	size_t skip = stamp == NULL ? 0 : priority_length(line, length);

	if (buf_room(out) < length + 64)
		write_out(out);
	if (stamp != NULL)
		buf_add(out, stamp, strlen(stamp));
	buf_add(out, line + skip, length - skip);
	buf_add_byte(out, '\n');
}

/* Adds every whole line that waits. */
static void emit(struct log_source *source, struct buf *out, const char *stamp)
{
	long end;

	while ((end = buf_find(&source->input, '\n', 0)) != -1) {
		if (!source->discarding)
			add_line(out, buf_data(&source->input), (size_t)end,
			    stamp);
		source->discarding = false;
		buf_consume(&source->input, (size_t)end + 1);
	}
	if (buf_length(&source->input) > LINE_MAX_BYTES) {
		if (!source->discarding)
			add_line(out, buf_data(&source->input),
			    LINE_MAX_BYTES, stamp);
		source->discarding = true;
		buf_reset(&source->input);
	}
}

static void delete(struct log_source *source)
{
	LIST_REMOVE(source, link);
	watch_release(&source->watch);
	close(source->fd);
	buf_release(&source->input);
	mem_free(source);
}

enum taken { TAKEN_SOME, TAKEN_NOTHING, TAKEN_END };

/* What is there, up to a bound. */
static enum taken take(struct log_source *source, struct buf *out,
    const char *stamp)
{
	ssize_t got = READ_BYTES;
	bool some = false;
	unsigned reads;
	char *room;

	for (reads = 0; got == READ_BYTES && reads < READS_MAX; reads++) {
		room = buf_reserve(&source->input, READ_BYTES);
		if (room == NULL)
			break;
		got = read(source->fd, room, READ_BYTES);
		if (got > 0) {
			buf_commit(&source->input, (size_t)got);
			emit(source, out, stamp);
			some = true;
		}
	}
	if (got == 0 || (got == -1 && errno != EAGAIN && errno != EINTR))
		return TAKEN_END;
	return some ? TAKEN_SOME : TAKEN_NOTHING;
}

/* Null under the journal, which has stamps of its own. */
static const char *make_stamp(char *text, size_t size)
{
	static int journal = -1;
	char moment[40];

	if (journal == -1)
		journal = getenv("JOURNAL_STREAM") != NULL;
	if (journal)
		return NULL;
	clock_format_iso(clock_wall(), moment, sizeof(moment));
	snprintf(text, size, "%s ", moment);
	return text;
}

static void on_pause_over(void *arg);

static void wait_for(struct log_source *source, bool has_spoken)
{
	int64_t now = clock_monotonic();

	source->pauses = has_spoken && (source->pauses ||
	    now - source->spoke < BUSY_MS);
	if (has_spoken)
		source->spoke = now;
	watch_set(&source->watch, source->pauses ? 0 : WATCH_READ);
	if (source->pauses && !timer_is_running(&timer))
		timer_start(&timer, PAUSE_MS, on_pause_over, NULL);
}

/* Those that wanted says; in one write where it fits. */
static void look(bool (*wanted)(const struct log_source *, const void *),
    const void *arg)
{
	struct log_source *source, *next;
	char text[48];
	const char *stamp = make_stamp(text, sizeof(text));
	enum taken taken;
	struct buf out;

	buf_init(&out, READ_BYTES + LINE_MAX_BYTES);
	for (source = LIST_FIRST(&sources); source != NULL; source = next) {
		next = LIST_NEXT(source, link);
		if (!wanted(source, arg))
			continue;
		taken = take(source, &out, stamp);
		if (taken == TAKEN_END)
			delete(source);
		else
			wait_for(source, taken == TAKEN_SOME);
	}
	write_out(&out);
	buf_release(&out);
}

static bool is_any(const struct log_source *source, const void *arg)
{
	(void)source;
	(void)arg;
	return true;
}

static bool is_this(const struct log_source *source, const void *arg)
{
	return source == arg;
}

static bool is_pausing(const struct log_source *source, const void *arg)
{
	(void)arg;
	return source->pauses;
}

static void on_pause_over(void *arg)
{
	(void)arg;
	look(is_pausing, NULL);
}

static void on_readable(void *arg, int flags)
{
	(void)flags;
	look(is_this, arg);
}

struct log_source *log_source_new(int fd)
{
	struct log_source *source = mem_alloc(sizeof(*source));

	source->fd = fd;
	buf_init(&source->input, 2 * READ_BYTES);
	watch_init(&source->watch, fd, on_readable, source);
	watch_set(&source->watch, WATCH_READ);
	LIST_INSERT_HEAD(&sources, source, link);
	return source;
}

void log_sink_drain(void)
{
	look(is_any, NULL);
}
