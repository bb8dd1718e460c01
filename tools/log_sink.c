/* SPDX-License-Identifier: ISC */
/*
 * Splits what roles write into lines and writes them out. Anything a library
 * or a sanitizer prints on a role's descriptor 2 arrives here as well.
 */
#include "tools/log_sink.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/loop.h"
#include "base/mem.h"

enum { LINE_MAX_BYTES = 16 << 10, READ_BYTES = 64 << 10 };

struct log_source {
	struct watch	 watch;
	struct buf	 input;
	int		 fd;		/* owned */
	bool		 discarding;	/* the rest of a line that was cut */
};

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

static void add_line(struct buf *out, const char *line, size_t length,
    const char *stamp)
{
	size_t skip = stamp == NULL ? 0 : priority_length(line, length);

	if (buf_room(out) < length + 64) {
		write_all(buf_data(out), buf_length(out));
		buf_reset(out);
	}
	if (stamp != NULL)
		buf_print(out, "%s ", stamp);
	buf_add(out, line + skip, length - skip);
	buf_add_byte(out, '\n');
}

/* Writes every whole line that waits, in one write where it fits. */
static void emit(struct log_source *source)
{
	static int journal = -1;
	char stamp[40];
	struct buf out;
	long end;

	if (journal == -1)
		journal = getenv("JOURNAL_STREAM") != NULL;
	clock_format_iso(clock_wall(), stamp, sizeof(stamp));
	buf_init(&out, READ_BYTES + LINE_MAX_BYTES);
	while ((end = buf_find(&source->input, '\n', 0)) != -1) {
		if (!source->discarding)
			add_line(&out, buf_data(&source->input), (size_t)end,
			    journal ? NULL : stamp);
		source->discarding = false;
		buf_consume(&source->input, (size_t)end + 1);
	}
	if (buf_length(&source->input) > LINE_MAX_BYTES) {
		if (!source->discarding)
			add_line(&out, buf_data(&source->input),
			    LINE_MAX_BYTES, journal ? NULL : stamp);
		source->discarding = true;
		buf_reset(&source->input);
	}
	write_all(buf_data(&out), buf_length(&out));
	buf_release(&out);
}

/* False at the end of the pipe. */
static bool take(struct log_source *source)
{
	char *room = buf_reserve(&source->input, READ_BYTES);
	ssize_t got;

	if (room == NULL)
		return true;
	got = read(source->fd, room, READ_BYTES);
	if (got > 0)
		buf_commit(&source->input, (size_t)got);
	emit(source);
	return got > 0 || (got == -1 && (errno == EAGAIN || errno == EINTR));
}

static void delete(struct log_source *source)
{
	watch_release(&source->watch);
	close(source->fd);
	buf_release(&source->input);
	mem_free(source);
}

static void on_readable(void *arg, int flags)
{
	struct log_source *source = arg;

	(void)flags;
	if (!take(source))
		delete(source);
}

struct log_source *log_source_new(int fd)
{
	struct log_source *source = mem_alloc(sizeof(*source));

	source->fd = fd;
	buf_init(&source->input, 2 * READ_BYTES);
	watch_init(&source->watch, fd, on_readable, source);
	watch_set(&source->watch, WATCH_READ);
	return source;
}
