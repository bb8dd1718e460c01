/* SPDX-License-Identifier: ISC */
/*
 * Log lines are built in place in one static buffer, so that logging allocates
 * nothing and works when memory is gone. A line is at most LINE_MAX_BYTES:
 * fields that do not fit are left out and "..." says so. When descriptor 2
 * does not block and its reader takes nothing, we wait up to WAIT_MILLISECONDS
 * for room, then drop whole lines and later say how many. When it blocks, we
 * wait as long as the reader makes us.
 *
 * The lock is for the threads of queue and directory; the loop's thread finds
 * it free.
 */
#include "base/log.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"

enum { BUFFER_BYTES = 64 << 10, LINE_MAX_BYTES = 8 << 10, VALUE_MAX = 1000,
    WAIT_MILLISECONDS = 1000, ROLE_MAX = 32 };

/* Two quotes, the value, "...", a final null byte. */
enum { ESCAPED_MAX = VALUE_MAX + 6 };

static struct {
	pthread_mutex_t	 lock;
	char		 data[BUFFER_BYTES];
	size_t		 start;		/* written up to here */
	size_t		 end;
	unsigned long	 lost;		/* lines since the last report */
	enum log_level	 lowest;
	char		 role[ROLE_MAX];
	enum log_style	 style;
	char		 stamp[32];	/* of stamp_second */
	int64_t		 stamp_second;
} state = { .lock = PTHREAD_MUTEX_INITIALIZER, .lowest = LOG_LEVEL_INFO,
    .stamp_second = -1 };

/* Where a line or a value is being put; never beyond end. */
struct cursor {
	char	*position;
	char	*end;
};

/* Bytes up to end; a blank may already stand behind it. */
static size_t cursor_room(const struct cursor *cursor)
{
	return cursor->position < cursor->end ?
	    (size_t)(cursor->end - cursor->position) : 0;
}

/* --- escaping --- */

static const char digits[] = "0123456789abcdef";

/* Copied as they are, without a need for quotes. */
static bool is_plain(unsigned char byte)
{
	return byte > ' ' && byte < 0x7f && byte != '"' && byte != '\\' &&
	    byte != '=';
}

/*
 * Length of the UTF-8 sequence at text (RFC 3629 4), or 0 if there is none.
 * The control characters U+0080 to U+009F do not count: some terminals obey
 * them.
 */
static size_t utf8_length(const unsigned char *text, size_t left)
{
	unsigned char low = 0x80, high = 0xbf;
	size_t length, i;

	if (text[0] >= 0xc2 && text[0] <= 0xdf)
		length = 2;
	else if (text[0] >= 0xe0 && text[0] <= 0xef)
		length = 3;
	else if (text[0] >= 0xf0 && text[0] <= 0xf4)
		length = 4;
	else
		return 0;
	switch (text[0]) {
	case 0xc2: low = 0xa0; break;	/* no control characters */
	case 0xe0: low = 0xa0; break;	/* no overlong forms */
	case 0xf0: low = 0x90; break;
	case 0xed: high = 0x9f; break;	/* no surrogates */
	case 0xf4: high = 0x8f; break;	/* not above U+10FFFF */
	}
	if (left < length || text[1] < low || text[1] > high)
		return 0;
	for (i = 2; i < length; i++)
		if (text[i] < 0x80 || text[i] > 0xbf)
			return 0;
	return length;
}

/*
 * Puts the escaped form of the character at text; how many bytes of text that
 * was, or 0 if the form does not fit.
 */
static size_t escape_one(struct cursor *out, const unsigned char *text,
    size_t left)
{
	size_t room = cursor_room(out);
	size_t length = 1;

	if (text[0] >= 0x80)
		length = utf8_length(text, left);
	else if (!is_plain(text[0]) && text[0] != ' ' && text[0] != '=')
		length = 0;
	if (length == 0) {
		if (room < 4)
			return 0;
		*out->position++ = '\\';
		*out->position++ = 'x';
		*out->position++ = digits[text[0] >> 4];
		*out->position++ = digits[text[0] & 15];
		return 1;
	}
	if (room < length)
		return 0;
	memcpy(out->position, text, length);
	out->position += length;
	return length;
}

/* True if the value must stand in quotes. */
static bool wants_quotes(const unsigned char *text, size_t length)
{
	size_t i;

	for (i = 0; i < length; i++)
		if (text[i] == ' ' || text[i] == '"' || text[i] == '=')
			return true;
	return length == 0;
}

/*
 * The value with quotes and escapes, at most max bytes of it and never half a
 * character. out has room for quotes and "..." besides.
 */
static void put_value(struct cursor *out, const char *value, size_t length,
    size_t max)
{
	const unsigned char *text = (const unsigned char *)value;
	struct cursor inner;
	bool quotes;
	size_t done = 0, step;

	/* By far the most values are short and plain. */
	while (done < length && done < max && is_plain(text[done]))
		done++;
	if (done == length && done > 0) {
		memcpy(out->position, value, length);
		out->position += length;
		return;
	}
	quotes = wants_quotes(text, length);
	if (quotes)
		*out->position++ = '"';
	inner.position = out->position;
	inner.end = out->position + max;
	for (done = 0; done < length; done += step) {
		step = escape_one(&inner, text + done, length - done);
		if (step == 0)
			break;
	}
	out->position = inner.position;
	if (done < length) {
		memcpy(out->position, "...", 3);
		out->position += 3;
	}
	if (quotes)
		*out->position++ = '"';
}

void log_escape(const char *value, size_t length, char *out, size_t size)
{
	char text[ESCAPED_MAX];
	struct cursor cursor = { text, text + sizeof(text) };
	size_t extra = ESCAPED_MAX - VALUE_MAX;
	size_t escaped;

	if (size == 0)
		return;
	put_value(&cursor, value, length, VALUE_MAX);
	if ((size_t)(cursor.position - text) >= size) {
		/* Cut between characters. */
		cursor.position = text;
		put_value(&cursor, value, length,
		    size > extra ? size - extra : 0);
	}
	escaped = (size_t)(cursor.position - text);
	if (escaped >= size)
		escaped = size - 1;
	memcpy(out, text, escaped);
	out[escaped] = '\0';
}

/* --- output --- */

/* Writes what waits. -1 if the reader takes no more for now. */
static int write_out(void)
{
	ssize_t written;

	while (state.start < state.end) {
		written = write(STDERR_FILENO, state.data + state.start,
		    state.end - state.start);
		if (written >= 0) {
			state.start += (size_t)written;
		} else if (errno == EAGAIN) {
			return -1;
		} else if (errno != EINTR) {
			/* Nobody is left to tell. */
			state.start = state.end;
		}
	}
	state.start = state.end = 0;
	return 0;
}

static void write_out_waiting(void)
{
	struct pollfd ready = { .fd = STDERR_FILENO, .events = POLLOUT };

	while (write_out() != 0)
		if (poll(&ready, 1, WAIT_MILLISECONDS) == 0)
			return;
}

/* True if a line fits behind end; makes room if that can be had. */
static bool have_room(void)
{
	if (BUFFER_BYTES - state.end >= LINE_MAX_BYTES)
		return true;
	/* Whoever let us wait in vain once is not waited for again. */
	if (state.lost == 0)
		write_out_waiting();
	else
		write_out();
	if (state.start > 0) {
		memmove(state.data, state.data + state.start,
		    state.end - state.start);
		state.end -= state.start;
		state.start = 0;
	}
	return BUFFER_BYTES - state.end >= LINE_MAX_BYTES;
}

/* --- lines --- */

static void put_text(struct cursor *out, const char *text)
{
	size_t length = strlen(text);
	size_t room = cursor_room(out);

	if (length > room)
		length = room;
	memcpy(out->position, text, length);
	out->position += length;
}

/* Digits of value, most significant first. */
static void put_digits(struct cursor *out, uint64_t value, unsigned base)
{
	char text[24];
	char *position = text + sizeof(text);

	do {
		*--position = digits[value % base];
		value /= base;
	} while (value != 0);
	memcpy(out->position, position, (size_t)(text + sizeof(text) -
	    position));
	out->position += text + sizeof(text) - position;
}

static void put_number(struct cursor *out, int64_t value)
{
	uint64_t size = (uint64_t)value;

	if (value < 0) {
		*out->position++ = '-';
		size = -size;
	}
	put_digits(out, size, 10);
}

/* Milliseconds come from the clock each time, the rest once a second. */
static void put_stamp(struct cursor *out)
{
	int64_t now = clock_wall();
	char text[8];

	if (now / 1000 != state.stamp_second) {
		state.stamp_second = now / 1000;
		clock_format_iso(now, state.stamp, sizeof(state.stamp));
		state.stamp[strcspn(state.stamp, "Z")] = '\0';
	}
	snprintf(text, sizeof(text), ".%03dZ ", (int)(now % 1000));
	put_text(out, state.stamp);
	put_text(out, text);
}

static void put_field_value(struct cursor *out, const struct log_field *field)
{
	char reason[128];
	const char *text = field->text;

	switch (field->kind) {
	case LOG_KIND_SESSION:
	case LOG_KIND_MESSAGE:
		put_digits(out, (uint64_t)field->number, 16);
		return;
	case LOG_KIND_NUMBER:
		put_number(out, field->number);
		return;
	case LOG_KIND_ERRNO:
		text = strerror_r((int)field->number, reason, sizeof(reason));
		put_value(out, text, strlen(text), VALUE_MAX);
		return;
	case LOG_KIND_TEXT:
		if (text == NULL)
			*out->position++ = '-';
		else
			put_value(out, text, strlen(text), VALUE_MAX);
		return;
	case LOG_KIND_NOTHING:
	case LOG_KIND_END:
		break;
	}
	/* Not bug(): that would come back here with the lock held. */
	abort();
}

/* False if there was no room left for it. */
static bool put_field(struct cursor *out, const struct log_field *field)
{
	size_t need = strlen(field->key) + 1 + ESCAPED_MAX;

	if (cursor_room(out) < need)
		return false;
	put_text(out, field->key);
	*out->position++ = '=';
	put_field_value(out, field);
	return true;
}

static bool is_identifier(const struct log_field *field)
{
	return field->kind == LOG_KIND_SESSION ||
	    field->kind == LOG_KIND_MESSAGE;
}

/* sd-daemon(3): the journal reads this, the supervisor may take it away. */
static void put_mark(struct cursor *out, enum log_level level)
{
	static const char *const marks[] = { [LOG_LEVEL_DEBUG] = "<7>",
	    [LOG_LEVEL_INFO] = "<6>", [LOG_LEVEL_WARN] = "<4>",
	    [LOG_LEVEL_ERROR] = "<3>", [LOG_LEVEL_FATAL] = "<2>" };

	put_text(out, marks[level]);
}

/* What is worse than news says so itself, wherever the line ends up. */
static void put_level(struct cursor *out, enum log_level level)
{
	if (level >= LOG_LEVEL_WARN)
		put_text(out, level == LOG_LEVEL_WARN ? " level=warn" :
		    level == LOG_LEVEL_ERROR ? " level=error" :
		    " level=fatal");
}

static void put_line(struct cursor *out, enum log_level level,
    const char *event, const struct log_field *fields)
{
	const struct log_field *field;

	if (state.style == LOG_MARKED)
		put_mark(out, level);
	else if (state.style == LOG_STAMPED)
		put_stamp(out);
	for (field = fields; field->kind != LOG_KIND_END; field++)
		if (is_identifier(field) && put_field(out, field))
			*out->position++ = ' ';
	if (state.role[0] != '\0') {
		put_text(out, state.role);
		*out->position++ = ' ';
	}
	put_text(out, event);
	for (field = fields; field->kind != LOG_KIND_END; field++) {
		if (is_identifier(field) || field->kind == LOG_KIND_NOTHING)
			continue;
		*out->position++ = ' ';
		if (!put_field(out, field)) {
			put_text(out, "...");
			break;
		}
	}
	put_level(out, level);
}

/* With room for a line at end. */
static void append_line(enum log_level level, const char *event,
    const struct log_field *fields)
{
	/* What is kept free is for blanks, the final "..." and the newline. */
	struct cursor out = { state.data + state.end,
	    state.data + state.end + LINE_MAX_BYTES - 64 };

	put_line(&out, level, event, fields);
	*out.position++ = '\n';
	state.end = (size_t)(out.position - state.data);
}

static void append(enum log_level level, const char *event,
    const struct log_field *fields)
{
	if (!have_room()) {
		state.lost++;
		return;
	}
	if (state.lost > 0) {
		append_line(LOG_LEVEL_WARN, "log-lost", LOG_FIELDS(
		    log_number("lines", (int64_t)state.lost)));
		state.lost = 0;
		if (!have_room()) {
			state.lost++;
			return;
		}
	}
	append_line(level, event, fields);
}

struct log_field log_session(uint64_t id)
{
	return (struct log_field){ .kind = LOG_KIND_SESSION, .key = "s",
	    .number = (int64_t)id };
}

struct log_field log_message(uint64_t id)
{
	return (struct log_field){ .kind = LOG_KIND_MESSAGE, .key = "m",
	    .number = (int64_t)id };
}

struct log_field log_text(const char *key, const char *value)
{
	return (struct log_field){ .kind = LOG_KIND_TEXT, .key = key,
	    .text = value };
}

struct log_field log_optional(const char *key, const char *value)
{
	return value == NULL ?
	    (struct log_field){ .kind = LOG_KIND_NOTHING } :
	    log_text(key, value);
}

struct log_field log_number(const char *key, int64_t value)
{
	return (struct log_field){ .kind = LOG_KIND_NUMBER, .key = key,
	    .number = value };
}

struct log_field log_errno(int error_number)
{
	return (struct log_field){ .kind = LOG_KIND_ERRNO, .key = "error",
	    .number = error_number };
}

void log_init(const char *role, enum log_level lowest)
{
	pthread_mutex_lock(&state.lock);
	snprintf(state.role, sizeof(state.role), "%s", role);
	state.lowest = lowest;
	pthread_mutex_unlock(&state.lock);
}

void log_set_level(enum log_level lowest)
{
	pthread_mutex_lock(&state.lock);
	state.lowest = lowest;
	pthread_mutex_unlock(&state.lock);
}

void log_set_style(enum log_style style)
{
	pthread_mutex_lock(&state.lock);
	state.style = style;
	pthread_mutex_unlock(&state.lock);
}

void log_flush(void)
{
	int saved = errno;

	pthread_mutex_lock(&state.lock);
	if (state.start < state.end)
		write_out();
	pthread_mutex_unlock(&state.lock);
	errno = saved;
}

void log_write(enum log_level level, const char *event,
    const struct log_field *fields)
{
	int saved = errno;

	pthread_mutex_lock(&state.lock);
	if (level >= state.lowest) {
		append(level, event, fields);
		if (level >= LOG_LEVEL_WARN)
			write_out();
	}
	pthread_mutex_unlock(&state.lock);
	errno = saved;
}

void log_die(bool abort_now, const char *event, const struct log_field *fields)
{
	pthread_mutex_lock(&state.lock);
	append(LOG_LEVEL_FATAL, event, fields);
	write_out_waiting();
	/* The lock stays ours: no other thread logs after the last line. */
	if (abort_now)
		abort();
	_exit(EXIT_FAILURE);
}
