/* SPDX-License-Identifier: ISC */
/*
 * Frames are read and written here by hand: a mistake in milter/packet.c must
 * not be made twice.
 */
#include "tests/milter_filter.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/process.h"
#include "base/stream.h"

enum { STREAM_MAX = 8 << 20 };

static struct milter_filter *current;

/* --- saying --- */

static void on_trickle(void *arg)
{
	struct milter_filter *filter = arg;

	if (filter->stream == NULL || buf_length(&filter->out) == 0)
		return;
	stream_write(filter->stream, buf_data(&filter->out), 1);
	buf_consume(&filter->out, 1);
	timer_start(&filter->timer, 0, on_trickle, filter);
}

static void say_bytes(struct milter_filter *filter, const void *bytes,
    size_t length)
{
	if (!filter->trickles) {
		stream_write(filter->stream, bytes, length);
		return;
	}
	buf_add(&filter->out, bytes, length);
	timer_start(&filter->timer, 0, on_trickle, filter);
}

static void say_frame(struct milter_filter *filter, const void *bytes,
    size_t length)
{
	const unsigned char head[4] = { (unsigned char)(length >> 24),
	    (unsigned char)(length >> 16), (unsigned char)(length >> 8),
	    (unsigned char)length };

	say_bytes(filter, head, sizeof(head));
	say_bytes(filter, bytes, length);
}

static void put_u32(unsigned char *at, uint32_t value)
{
	for (int i = 0; i < 4; i++)
		at[i] = (unsigned char)(value >> (24 - 8 * i));
}

static void say_options(struct milter_filter *filter)
{
	unsigned char head[13] = { 'O' };
	struct buf frame;

	put_u32(head + 1, filter->version != 0 ? filter->version : 6);
	put_u32(head + 5, filter->changes);
	put_u32(head + 9, filter->steps);
	buf_init(&frame, STREAM_MAX);
	buf_add(&frame, head, sizeof(head));
	buf_add(&frame, filter->lists.bytes, filter->lists.length);
	say_frame(filter, buf_data(&frame), buf_length(&frame));
	buf_release(&frame);
}

static void on_progress(void *arg)
{
	struct milter_filter *filter = arg;

	if (filter->stream == NULL)
		return;
	say_frame(filter, "p", 1);
	timer_start(&filter->timer, filter->progress, on_progress, filter);
}

/* Does it answer to this command when no rule says so? */
static bool answers(const struct milter_filter *filter, char command)
{
	static const struct {
		char		 command;
		uint32_t	 silent;
	} rows[] = { { 'C', 0x1000 }, { 'H', 0x2000 }, { 'M', 0x4000 },
	    { 'R', 0x8000 }, { 'T', 0x10000 }, { 'L', 0x80 },
	    { 'N', 0x40000 }, { 'B', 0x80000 }, { 'E', 0 } };

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (rows[i].command == command)
			return (filter->steps & rows[i].silent) == 0;
	return false;
}

static void drop(struct milter_filter *filter)
{
	timer_stop(&filter->timer);
	stream_free(filter->stream);
	filter->stream = NULL;
}

static void obey(struct milter_filter *filter,
    const struct milter_filter_rule *rule)
{
	for (int i = 0; i < FILTER_FRAMES_MAX &&
	    rule->frames[i].bytes != NULL; i++) {
		const struct milter_filter_frame *frame = &rule->frames[i];

		if (rule->raw)
			say_bytes(filter, frame->bytes, frame->length);
		else
			say_frame(filter, frame->bytes, frame->length);
	}
	if (!rule->closes)
		return;
	stream_finish(filter->stream, 1000);
	filter->stream = NULL;
}

static void react(struct milter_filter *filter, char command)
{
	unsigned nth = ++filter->counts[(unsigned char)command];
	const struct milter_filter_rule *rule = filter->rules;

	for (; rule != NULL && rule->command != '\0'; rule++)
		if (rule->command == command &&
		    (rule->nth == 0 || rule->nth == nth)) {
			obey(filter, rule);
			return;
		}
	if (filter->progress > 0 && filter->progress_at == command)
		timer_start(&filter->timer, filter->progress, on_progress,
		    filter);
	else if (command == 'O')
		say_options(filter);
	else if (answers(filter, command))
		say_frame(filter, "c", 1);
	if (command == 'O' && filter->deaf)
		stream_pause(filter->stream);
}

/* --- listening --- */

static void keep(struct milter_filter *filter, const char *frame, size_t length)
{
	if (frame[0] == 'B') {
		buf_print(&filter->told, "B %zu\n", length - 1);
		buf_add(&filter->body, frame + 1, length - 1);
		return;
	}
	if (frame[0] == 'O' && length == 13) {
		for (int i = 0; i < 12; i++)
			filter->offered[i / 4] = filter->offered[i / 4] << 8 |
			    (unsigned char)frame[1 + i];
		length = 1;
	}
	for (size_t i = 0; i < length; i++)
		buf_add_byte(&filter->told, frame[i] == '\0' ? '|' :
		    frame[i] == '\n' ? '/' : frame[i]);
	buf_add_byte(&filter->told, '\n');
}

static bool take_frame(struct milter_filter *filter)
{
	struct buf *input = stream_input(filter->stream);
	const unsigned char *data = (const unsigned char *)buf_data(input);
	size_t length;
	char command;

	if (buf_length(input) < 5)
		return false;
	length = (size_t)data[0] << 24 | (size_t)data[1] << 16 |
	    (size_t)data[2] << 8 | data[3];
	if (length == 0 || length > STREAM_MAX / 2)
		abort();
	if (buf_length(input) < 4 + length)
		return false;
	command = (char)data[4];
	keep(filter, (const char *)data + 4, length);
	buf_consume(input, 4 + length);
	react(filter, command);
	return filter->stream != NULL;
}

static void on_stream(void *arg, struct stream *stream,
    enum stream_event event)
{
	struct milter_filter *filter = arg;

	if (event == STREAM_INPUT) {
		while (take_frame(filter))
			continue;
		if (filter->stream != NULL)
			stream_consumed(stream);
	} else if (event == STREAM_END || event == STREAM_FAILED) {
		filter->ended = true;
		drop(filter);
		loop_stop();
	}
}

/* --- the fake of base/process.h --- */

static struct {
	process_connected	*done;
	void			*arg;
	int			 fd;
} waiting = { .fd = -1 };

static void connected(void *arg)
{
	process_connected *done = waiting.done;
	int fd = waiting.fd;

	(void)arg;
	waiting.done = NULL;
	waiting.fd = -1;
	if (done != NULL)
		done(waiting.arg, fd, fd == -1 ? current->connect_error : 0);
}

void process_connect(const char *path, process_connected *done, void *arg)
{
	int pair[2];

	if (strcmp(path, "/run/filter") != 0)
		abort();
	if (current->absent)
		return;
	waiting.done = done;
	waiting.arg = arg;
	current->connections++;
	if (current->connect_error == 0) {
		if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK |
		    SOCK_CLOEXEC, 0, pair) != 0)
			abort();
		waiting.fd = pair[0];
		current->stream = stream_new(pair[1], STREAM_MAX, on_stream,
		    current);
		stream_set_max_output(current->stream, STREAM_MAX);
	}
	loop_defer(connected, &waiting);
}

void process_connect_cancel(void *arg)
{
	if (waiting.done == NULL || waiting.arg != arg)
		return;
	waiting.done = NULL;
	if (waiting.fd != -1)
		close(waiting.fd);
	waiting.fd = -1;
}

/* --- life --- */

void milter_filter_init(struct milter_filter *filter)
{
	memset(filter, 0, sizeof(*filter));
	buf_init(&filter->told, STREAM_MAX);
	buf_init(&filter->body, 64 << 20);
	buf_init(&filter->out, STREAM_MAX);
	current = filter;
}

void milter_filter_release(struct milter_filter *filter)
{
	drop(filter);
	buf_release(&filter->told);
	buf_release(&filter->body);
	buf_release(&filter->out);
	current = NULL;
}

const char *milter_filter_told(struct milter_filter *filter)
{
	return buf_string(&filter->told);
}
