/* SPDX-License-Identifier: ISC */
/*
 * The operator's connection, role side: reads one request, calls its verb,
 * paces the answer. A malformed request ends that connection with a sentence
 * and touches nothing else.
 */
#include "base/control.h"

#include <fcntl.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/digest.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "base/net.h"
#include "base/process.h"
#include "base/stream.h"

enum { REQUEST_MAX = 64 << 10, OUTPUT_MAX = 4 << 20,
    REQUEST_MILLISECONDS = 10000, OUTPUT_MILLISECONDS = 60000,
    FINISH_MILLISECONDS = 10000,
    /* Commands that may have the last descriptors of a role. */
    SCARCE_MAX = NET_RESERVE / 2 };

static unsigned open_count;
static LIST_HEAD(, control) open_list = LIST_HEAD_INITIALIZER(open_list);

struct control {
	LIST_ENTRY(control)		 link;		/* in open_list */
	struct stream			*stream;	/* owned */
	struct process_caller		 caller;
	const struct control_verb	*verbs;		/* outlive us */
	size_t				 count;
	int				 patience;	/* ms between lines */
	bool				 answering;	/* the request is read */
	bool				 failed;	/* output refused */
	bool				 ended;

	void	(*produce)(struct control *control, void *arg);
	void	(*stop)(struct control *control, void *arg);
	void	(*release)(void *arg);
	void	*arg;
};

static void release(struct control *control)
{
	if (control->release != NULL)
		control->release(control->arg);
	control->release = NULL;
	control->produce = NULL;
	control->stop = NULL;
}

static void delete(void *arg)
{
	struct control *control = arg;

	release(control);
	LIST_REMOVE(control, link);
	open_count--;
	if (control->stream != NULL)
		stream_free(control->stream);
	mem_free(control);
}

static void drop(struct control *control)
{
	if (control->ended)
		return;
	control->ended = true;
	loop_defer(delete, control);
}

static const struct control_verb *find_verb(const struct control *control,
    const char *name)
{
	size_t i;

	for (i = 0; i < control->count; i++)
		if (strcmp(control->verbs[i].name, name) == 0)
			return &control->verbs[i];
	return NULL;
}

static void run_request(struct control *control, const json_t *request)
{
	const json_t *arguments = json_object_get(request, "arguments");
	const char *name = json_string_value(json_object_get(request, "verb"));
	const struct control_verb *verb;

	if (name == NULL || !json_is_object(arguments)) {
		control_end(control, CONTROL_USAGE, "malformed request: an "
		    "object with \"verb\" and \"arguments\" is expected");
		return;
	}
	verb = find_verb(control, name);
	if (verb == NULL)
		control_end(control, CONTROL_USAGE, "unknown verb: the "
		    "command and the running server differ in version");
	else if (verb->privileged && !control->caller.privileged)
		control_end(control, CONTROL_DENIED, "permission denied: only "
		    "root, or the user who runs the server, may do this");
	else
		verb->handler(control, arguments);
}

/* Whatever comes behind the request is the wish to stop. */
static void read_stop(struct control *control)
{
	void (*stop)(struct control *, void *) = control->stop;

	buf_reset(stream_input(control->stream));
	control->stop = NULL;
	if (stop != NULL)
		stop(control, control->arg);
}

static void read_request(struct control *control)
{
	struct buf *input = stream_input(control->stream);
	long end = buf_find(input, '\n', 0);
	json_error_t error;
	json_t *request;

	if (end == -1) {
		if (buf_room(input) == 0)
			control_end(control, CONTROL_USAGE,
			    "the request is too long");
		return;
	}
	control->answering = true;
	stream_deadline(control->stream, control->patience);
	request = json_loadb(buf_data(input), (size_t)end,
	    JSON_REJECT_DUPLICATES, &error);
	buf_consume(input, (size_t)end + 1);
	if (request == NULL) {
		control_end(control, CONTROL_USAGE, error.text);
		return;
	}
	run_request(control, request);
	json_decref(request);
	/* It may have come at once; whoever detached the control reads on. */
	if (!control->ended && control->stream != NULL &&
	    buf_length(stream_input(control->stream)) > 0)
		read_stop(control);
}

static void on_event(void *arg, struct stream *stream, enum stream_event event)
{
	struct control *control = arg;

	(void)stream;
	if (control->ended)
		return;
	switch (event) {
	case STREAM_INPUT:
		if (control->answering)
			read_stop(control);
		else
			read_request(control);
		break;
	case STREAM_DRAINED:
		stream_deadline(control->stream, control->patience);
		if (control->produce != NULL)
			control->produce(control, control->arg);
		break;
	case STREAM_CONNECTED:
	case STREAM_SECURED:
		break;
	case STREAM_END:	/* nobody reads the answer any more */
	case STREAM_TRUNCATED:
	case STREAM_DEADLINE:
	case STREAM_FAILED:
		drop(control);
		break;
	default:
		bug("stream event");
	}
}

struct control *control_open(int fd, const struct process_caller *caller)
{
	struct control *control = mem_alloc(sizeof(*control));

	open_count++;
	LIST_INSERT_HEAD(&open_list, control, link);
	control->caller = *caller;
	control->patience = OUTPUT_MILLISECONDS;
	control->answering = true;
	control->stream = stream_new(fd, REQUEST_MAX, on_event, control);
	stream_set_max_output(control->stream, OUTPUT_MAX);
	stream_deadline(control->stream, control->patience);
	return control;
}

void control_accept(int fd, const struct process_caller *caller,
    const struct control_verb *verbs, size_t count)
{
	struct control *control;

	/* Without descriptors the role would lose its supervisor, too: the
	 * next one that it sends would be lost. */
	if (open_count >= SCARCE_MAX && net_is_scarce(fd)) {
		log_warn("too many commands at once: closing one");
		close(fd);
		return;
	}
	control = control_open(fd, caller);
	control->verbs = verbs;
	control->count = count;
	control->answering = false;
	stream_deadline(control->stream, REQUEST_MILLISECONDS);
}

void control_wait(struct control *control, int milliseconds)
{
	control->patience = milliseconds;
	if (!control->ended)
		stream_deadline(control->stream, milliseconds);
}

size_t control_send(struct control *control, json_t *object)
{
	char *text = json_dumps(object, JSON_COMPACT);
	size_t length;

	json_decref(object);
	if (text == NULL)	/* not UTF-8: our own mistake, kept harmless */
		text = mem_dup_string("{}");
	length = strlen(text);
	if (control->failed ||
	    stream_write(control->stream, text, length) == -1 ||
	    stream_write(control->stream, "\n", 1) == -1)
		control->failed = true;
	mem_free(text);
	return length + 1;
}

void control_end(struct control *control, enum control_code code,
    const char *message)
{
	if (control->ended)
		return;
	control_send(control, json_pack("{s:i, s:s}", "end", (int)code,
	    "message", message == NULL ? "" : message));
	release(control);
	if (!control->failed) {
		stream_finish(control->stream, FINISH_MILLISECONDS);
		control->stream = NULL;
	}
	drop(control);
}

void control_end_all(enum control_code code, const char *message)
{
	struct control *control;

	LIST_FOREACH(control, &open_list, link) {
		control_end(control, code, message);
		/* It may have been lost before. */
		release(control);
	}
}

void control_produce(struct control *control,
    void (*produce)(struct control *control, void *arg),
    void (*release_arg)(void *arg), void *arg)
{
	control->produce = produce;
	control->release = release_arg;
	control->arg = arg;
	produce(control, arg);
}

void control_on_stop(struct control *control,
    void (*stop)(struct control *control, void *arg))
{
	control->stop = stop;
}

json_t *control_base64(const void *data, size_t length)
{
	char *text = mem_alloc(BASE64_LENGTH(length) + 1);
	json_t *value;

	base64_format(data, length, text, BASE64_LENGTH(length) + 1);
	value = json_string(text);
	mem_free(text);
	return value;
}

uint8_t *control_bytes(const json_t *value, size_t most, size_t *length)
{
	const char *text = json_string_value(value);
	size_t size = json_string_length(value) / 4 * 3;
	uint8_t *data;
	int got;

	/* Up to two bytes of it are padding. */
	if (text == NULL || (size > 2 && size - 2 > most))
		return NULL;
	data = mem_alloc(size + 1);
	got = base64_parse(data, size + 1, text);
	if (got < 0 || (size_t)got > most) {
		mem_free(data);
		return NULL;
	}
	*length = (size_t)got;
	return data;
}

json_t *control_time(int64_t wall)
{
	char text[64];

	if (wall == 0)
		return json_null();
	clock_format_iso(wall, text, sizeof(text));
	return json_string(text);
}

json_t *control_text(const char *text)
{
	json_t *value = json_string(text);
	size_t length = strlen(text);
	char *escaped;

	if (value != NULL)
		return value;
	escaped = mem_alloc(4 * length + 1);	/* \xHH at most */
	log_escape(text, length, escaped, 4 * length + 1);
	value = json_string(escaped);
	mem_free(escaped);
	return value;
}

int control_detach(struct control *control)
{
	int fd = control->failed ? -1 :
	    fcntl(stream_fd(control->stream), F_DUPFD_CLOEXEC, 0);

	/* At once: what comes now is no longer for it to read. */
	stream_free(control->stream);
	control->stream = NULL;
	control->failed = true;
	release(control);
	drop(control);
	return fd;
}

const struct process_caller *control_caller(const struct control *control)
{
	return &control->caller;
}
