/* SPDX-License-Identifier: ISC */
/*
 * Any bytes as what a filter says, through the negotiation, all stages of two
 * messages, and the edits. The first byte chooses the message and the end (a
 * closed connection, a failed one, or silence); the rest is pieces, each given
 * when the machine waits and has nothing to read: a byte that is their length,
 * with its high bit set when a frame's own length is to be put in front. The
 * stream and the loop are replaced by what follows, so that nothing waits.
 * What must hold: exactly one answer to each command, none after the end;
 * whoever has failed stays so; a refusal is one that SMTP can say; edits were
 * agreed on and have nothing hidden in them; and what we say is frames.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "authentic/fields.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/process.h"
#include "base/stream.h"
#include "milter/milter_internal.h"

enum { DEFERRED_MAX = 16, TIMERS_MAX = 4, REPLACE_MAX = 3000,
    TURNS_MAX = 100000 };

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* --- the loop --- */

static struct {
	loop_callback	*callback;
	void		*arg;
} deferred[DEFERRED_MAX];
static struct timer *timers[TIMERS_MAX];

void loop_defer(loop_callback *callback, void *arg)
{
	for (size_t i = 0; i < DEFERRED_MAX; i++)
		if (deferred[i].callback == NULL) {
			deferred[i].callback = callback;
			deferred[i].arg = arg;
			return;
		}
	abort();
}

void loop_undefer(void *arg)
{
	for (size_t i = 0; i < DEFERRED_MAX; i++)
		if (deferred[i].arg == arg)
			deferred[i].callback = NULL;
}

static bool run_deferred(void)
{
	for (size_t i = 0; i < DEFERRED_MAX; i++) {
		loop_callback *callback = deferred[i].callback;

		if (callback == NULL)
			continue;
		deferred[i].callback = NULL;
		callback(deferred[i].arg);
		return true;
	}
	return false;
}

void timer_stop(struct timer *timer)
{
	for (size_t i = 0; i < TIMERS_MAX; i++)
		if (timers[i] == timer)
			timers[i] = NULL;
}

void timer_start(struct timer *timer, int64_t milliseconds,
    loop_callback *callback, void *arg)
{
	if (milliseconds <= 0)
		abort();
	timer_stop(timer);
	timer->callback = callback;
	timer->arg = arg;
	for (size_t i = 0; i < TIMERS_MAX; i++)
		if (timers[i] == NULL) {
			timers[i] = timer;
			return;
		}
	abort();
}

static bool run_timer(void)
{
	for (size_t i = 0; i < TIMERS_MAX; i++) {
		struct timer *timer = timers[i];

		if (timer == NULL)
			continue;
		timers[i] = NULL;
		timer->callback(timer->arg);
		return true;
	}
	return false;
}

/* --- the stream --- */

struct stream {
	stream_callback	*callback;
	void		*arg;
	struct buf	 input;
	struct buf	 output;
	size_t		 max;
	bool		 freed;
};

static struct stream *open_stream;
static process_connected *connecting;
static void *connecting_arg;

struct stream *stream_new(int fd, size_t max_input, stream_callback *callback,
    void *arg)
{
	struct stream *stream = calloc(1, sizeof(*stream));

	if (fd != 7 || stream == NULL || open_stream != NULL)
		abort();
	stream->callback = callback;
	stream->arg = arg;
	stream->max = 1 << 20;
	buf_init(&stream->input, max_input);
	buf_init(&stream->output, SIZE_MAX);
	open_stream = stream;
	return stream;
}

struct stream *stream_connect(const struct endpoint *remote,
    const struct endpoint *local, size_t max_input, stream_callback *callback,
    void *arg)
{
	(void)remote;
	(void)local;
	return stream_new(7, max_input, callback, arg);
}

/* It stays until the callback that may be below has returned. */
void stream_free(struct stream *stream)
{
	if (stream != NULL)
		stream->freed = true;
}

void stream_finish(struct stream *stream, int milliseconds)
{
	(void)milliseconds;
	stream_free(stream);
}

struct buf *stream_input(struct stream *stream)
{
	return &stream->input;
}

void stream_consumed(struct stream *stream)
{
	if (stream->freed)
		abort();
}

/* Frames of what a filter takes, by the largest that can be agreed on. */
static void check_frames(const uint8_t *data, size_t length)
{
	while (length > 0) {
		size_t claimed;

		if (length < 5)
			abort();
		claimed = (size_t)data[0] << 24 | (size_t)data[1] << 16 |
		    (size_t)data[2] << 8 | data[3];
		if (claimed == 0 || claimed > 1 << 20 || claimed > length - 4)
			abort();
		if (strchr("ABCDEHLMNOQRT", data[4]) == NULL)
			abort();
		data += 4 + claimed;
		length -= 4 + claimed;
	}
}

int stream_write(struct stream *stream, const void *data, size_t length)
{
	if (stream->freed)
		abort();
	check_frames(data, length);
	if (length > stream->max - buf_length(&stream->output))
		return -1;
	buf_add(&stream->output, data, length);
	return 0;
}

size_t stream_pending(const struct stream *stream)
{
	return buf_length(&stream->output);
}

void stream_set_max_output(struct stream *stream, size_t bytes)
{
	stream->max = bytes;
}

int stream_fd(const struct stream *stream)
{
	(void)stream;
	return -1;
}

const char *stream_problem(const struct stream *stream)
{
	(void)stream;
	return "Connection reset by peer";
}

static void raise_event(enum stream_event event)
{
	if (open_stream != NULL && !open_stream->freed)
		open_stream->callback(open_stream->arg, open_stream, event);
}

static void bury(void)
{
	if (open_stream == NULL || !open_stream->freed)
		return;
	buf_release(&open_stream->input);
	buf_release(&open_stream->output);
	free(open_stream);
	open_stream = NULL;
}

static void connected(void *arg)
{
	process_connected *done = connecting;

	(void)arg;
	connecting = NULL;
	done(connecting_arg, 7, 0);
}

void process_connect(const char *path, process_connected *done, void *arg)
{
	(void)path;
	connecting = done;
	connecting_arg = arg;
	loop_defer(connected, &connecting);
}

void process_connect_cancel(void *arg)
{
	(void)arg;
	loop_undefer(&connecting);
}

/* --- the filter --- */

static const uint8_t *said, *said_end;
static uint8_t choice;

static void say_piece(void)
{
	size_t left = (size_t)(said_end - said) - 1;
	uint8_t byte = *said++;
	size_t length = byte & 0x7f;

	if (length > left)
		length = left;
	if (byte & 0x80) {
		const uint8_t head[4] = { 0, 0, 0, (uint8_t)length };

		buf_add(&open_stream->input, head, sizeof(head));
	}
	buf_add(&open_stream->input, said, length);
	said += length;
	raise_event(STREAM_INPUT);
}

/* One thing happens; false when nothing is left that could. */
static bool turn(void)
{
	bury();
	if (run_deferred())
		return true;
	if (open_stream != NULL && buf_length(&open_stream->output) > 0) {
		buf_reset(&open_stream->output);
		raise_event(STREAM_DRAINED);
		return true;
	}
	if (open_stream == NULL)
		return run_timer();
	if (said < said_end) {
		say_piece();
		return true;
	}
	if ((choice & 3) == 0) {
		raise_event(STREAM_END);
		return true;
	}
	if ((choice & 3) == 1) {
		raise_event(STREAM_FAILED);
		return true;
	}
	return run_timer();
}

/* --- the owner --- */

static struct milter *milter;
static unsigned answers;
static enum milter_action last;

static void check_text(const struct milter_answer *answer)
{
	if (answer->code == 0) {
		if (answer->text[0] != '\0' && answer->action != MILTER_FAILED)
			abort();
		return;
	}
	if (answer->code / 100 != (answer->action == MILTER_REJECT ? 5 : 4) ||
	    (answer->action != MILTER_REJECT && answer->action !=
	    MILTER_TEMPFAIL && answer->action != MILTER_SHUTDOWN))
		abort();
	if (answer->enhanced[0] != '\0' &&
	    answer->enhanced[0] - '0' != answer->code / 100)
		abort();
	for (const char *at = answer->text; *at != '\0'; at++)
		if ((*at < ' ' || *at > '~') && *at != '\n')
			abort();
}

static void done(void *arg, const struct milter_answer *answer)
{
	(void)arg;
	answers++;
	last = answer->action;
	if (answer->action == MILTER_FAILED) {
		if (answer->code == 0 && answer->why[0] == '\0')
			abort();
		return;
	}
	check_text(answer);
}

static const char *macro(void *arg, const char *name)
{
	(void)arg;
	return strlen(name) % 3 == 0 ? NULL : name;
}

static void check_field(const struct milter_edit *edit)
{
	const char *value = edit->value;

	if (edit->name[0] == '\0' || strpbrk(edit->name, ": \r\n") != NULL)
		abort();
	for (; *value != '\0'; value++) {
		if (*value == '\r' && value[1] != '\n')
			abort();
		if (*value == '\n' && (value == edit->value ||
		    value[-1] != '\r' ||
		    (value[1] != ' ' && value[1] != '\t')))
			abort();
	}
}

static void check_edits(void)
{
	static const uint32_t leave[] = { CHANGE_ADD_HEADER,
	    CHANGE_ADD_HEADER, CHANGE_HEADER, CHANGE_SENDER,
	    CHANGE_ADD_RECIPIENT | CHANGE_ADD_RECIPIENT_WITH,
	    CHANGE_REMOVE_RECIPIENT, CHANGE_BODY, CHANGE_QUARANTINE };
	const struct milter_edit *edit;

	TAILQ_FOREACH(edit, milter_edits(milter), link) {
		if (last != MILTER_CONTINUE && last != MILTER_ACCEPT)
			abort();
		if ((milter->options.changes & leave[edit->kind]) == 0)
			abort();
		if (edit->kind <= MILTER_CHANGE_HEADER)
			check_field(edit);
		else if (edit->kind == MILTER_REPLACE_BODY ?
		    edit->length > REPLACE_MAX || edit->value == NULL :
		    edit->kind != MILTER_QUARANTINE &&
		    strpbrk(edit->name, "\r\n") != NULL)
			abort();
	}
}

/* The answer to the command that has just been given. */
static void await(void)
{
	unsigned before = answers, turns = 0;
	bool failed = milter_has_failed(milter);

	while (answers == before) {
		if (!turn() || ++turns > TURNS_MAX)
			abort();
	}
	if (answers != before + 1 || (failed && last != MILTER_FAILED) ||
	    (last == MILTER_FAILED && !milter_has_failed(milter)))
		abort();
}

/* --- the message --- */

static const char head[] = "From: a@example.net\r\nSubject: one\r\n two\r\n"
    "no field\r\n\r\n";
static size_t body_length;

static size_t read_body(void *arg, uint64_t offset, char *out, size_t size)
{
	size_t left = body_length - (size_t)offset;

	(void)arg;
	if (offset > body_length)
		abort();
	if (left > size)
		left = size;
	memset(out, 'x', left);
	return left;
}

/* A command is given up after some turns; its answer may be there by then. */
static void abandon(void)
{
	unsigned before = answers, after;

	for (int i = 0; i < 3 && answers == before; i++)
		turn();
	after = answers;
	milter_abort(milter);
	run_deferred();
	if (after > before + 1 || answers != after)
		abort();
}

static void send_message(const struct milter_content *content)
{
	static const char *const parameters[] = { "SIZE=3", NULL };

	milter_mail(milter, "a@example.net", parameters);
	await();
	milter_recipient(milter, "b@example.org", NULL);
	if (choice & 4) {
		milter_abort(milter);
		milter_mail(milter, "", NULL);
		await();
	} else {
		await();
	}
	milter_refused(milter, "c@example.org", NULL);
	milter_data(milter);
	await();
	milter_content(milter, content);
	if (choice & 8) {
		abandon();
		return;
	}
	await();
	check_edits();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const size_t lengths[] = { 0, 10, 70000, 600000 };
	const struct milter_settings settings = { .name = "fuzz",
	    .socket = "/", .host = "", .connect_ms = 1, .reply_ms = 1,
	    .message_ms = 1, .replace_max = REPLACE_MAX };
	struct milter_content content = { .read = read_body };
	struct fields *fields = fields_new();

	log_init("fuzz", LOG_LEVEL_FATAL);
	choice = size > 0 ? data[0] : 0;
	said = data + (size > 0);
	said_end = data + size;
	answers = 0;
	body_length = lengths[choice >> 4 & 3];
	fields_feed(fields, head, sizeof(head) - 1);
	fields_finish(fields);
	content.fields = fields;
	milter = milter_new(&settings, macro, done, NULL);
	milter_connected(milter, "client.example", NULL);
	await();
	milter_hello(milter, "client.example");
	await();
	send_message(&content);
	send_message(&content);
	milter_free(milter);
	bury();
	if (open_stream != NULL || run_deferred() || run_timer())
		abort();
	fields_free(fields);
	return 0;
}
