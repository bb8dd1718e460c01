/* SPDX-License-Identifier: ISC */
/*
 * Reading, making safe and writing a message; see body.h.
 */
#include "delivery/payload.h"

#include <string.h>

#include "base/log.h"
#include "base/stream.h"
#include "queue/client.h"

enum { PAYLOAD_WIRE_MAX = 2 * WORKER_READ_MAX + 16, RUN_WINDOW = 512 };

static void add(struct buf *out, const void *data, size_t length)
{
	if (buf_add(out, data, length) < 0)
		bug("payload-room");
}

static void end_line(struct payload_encoder *encoder, struct buf *out)
{
	add(out, "\r\n", 2);
	encoder->line_start = true;
	encoder->carriage = false;
}

void payload_encode_begin(struct payload_encoder *encoder, bool counted)
{
	encoder->counted = counted;
	encoder->line_start = true;
	encoder->carriage = false;
}

/* How many bytes follow without a line end, or some of them: it looks no further
 * than a window, since each of many CRs would have it look for a LF. */
static size_t run_length(const char *data, size_t length)
{
	const char *found;

	if (length > RUN_WINDOW)
		length = RUN_WINDOW;
	found = memchr(data, '\n', length);
	if (found != NULL)
		length = (size_t)(found - data);
	found = memchr(data, '\r', length);
	return found == NULL ? length : (size_t)(found - data);
}

void payload_encode(struct payload_encoder *encoder, const char *data,
    size_t length, struct buf *out)
{
	const char *end = data + length;

	while (data < end) {
		size_t run;

		if (encoder->carriage) {
			end_line(encoder, out);
			if (*data == '\n') {
				data++;
				continue;
			}
		}
		run = run_length(data, (size_t)(end - data));
		if (run > 0) {
			if (encoder->line_start && *data == '.' &&
			    !encoder->counted)
				add(out, ".", 1);
			add(out, data, run);
			encoder->line_start = false;
			data += run;
		} else if (*data++ == '\r') {
			encoder->carriage = true;
		} else {
			end_line(encoder, out);
		}
	}
}

void payload_encode_end(struct payload_encoder *encoder, struct buf *out)
{
	if (encoder->carriage || !encoder->line_start)
		end_line(encoder, out);
	if (!encoder->counted)
		add(out, ".\r\n", 3);
}

/* Says the event once; the body is idle then. */
static void report(struct payload *payload, enum payload_event event)
{
	payload_stop(payload);
	payload->callback(payload->arg, event);
}

/* The wire buffer is for one write: nothing stays in it for the next. */
static int write_wire(struct payload *payload)
{
	int result = stream_write(payload->stream, buf_data(&payload->wire),
	    buf_length(&payload->wire));

	buf_reset(&payload->wire);
	return result;
}

static int write_piece(struct payload *payload, const char *data,
    size_t length)
{
	payload_encode(&payload->encoder, data, length, &payload->wire);
	return write_wire(payload);
}

static void finish(struct payload *payload)
{
	payload_encode_end(&payload->encoder, &payload->wire);
	if (write_wire(payload) < 0)
		report(payload, PAYLOAD_FAILED);
	else
		report(payload, PAYLOAD_SAID);
}

static void on_read(void *arg, const void *data, size_t length, bool failed)
{
	struct payload *payload = arg;
	uint64_t left = payload->job->body_length - payload->offset;

	payload->reading = false;
	if (failed || length == 0 || length > left ||
	    write_piece(payload, data, length) < 0) {
		report(payload, PAYLOAD_FAILED);
		return;
	}
	payload->offset += length;
	payload_pump(payload);
}

static size_t piece(uint64_t left)
{
	return left < PAYLOAD_PIECE ? (size_t)left : PAYLOAD_PIECE;
}

/* Moves one piece on, or asks for it. False when there is nothing to do now:
 * the message is over, failed, or must be read first. */
static bool step(struct payload *payload)
{
	struct job *job = payload->job;
	size_t length = piece(job->prefix_length - payload->prefix_offset);
	int result;

	if (length > 0) {
		result = write_piece(payload, job->prefix + payload->prefix_offset,
		    length);
		payload->prefix_offset += length;
	} else if (payload->offset == job->body_length) {
		finish(payload);
		return false;
	} else if (job->body == NULL) {
		payload->reading = true;
		worker_read(job, payload->offset, on_read,
		    payload);
		return false;
	} else {
		length = piece(job->body_length - payload->offset);
		result = write_piece(payload, job->body + payload->offset, length);
		payload->offset += length;
	}
	if (result < 0)
		report(payload, PAYLOAD_FAILED);
	return result == 0;
}

void payload_pump(struct payload *payload)
{
	while (payload->job != NULL && !payload->reading &&
	    stream_pending(payload->stream) < PAYLOAD_WINDOW)
		if (!step(payload))
			return;
}

void payload_start(struct payload *payload, struct job *job,
    struct stream *stream, payload_callback *callback, void *arg)
{
	if (payload->job != NULL)
		bug("payload-active");
	payload->job = job;
	payload->stream = stream;
	payload->callback = callback;
	payload->arg = arg;
	payload->prefix_offset = 0;
	payload->offset = 0;
	/* What was counted before is of another message. */
	buf_reset(&payload->wire);
	payload_encode_begin(&payload->encoder, false);
	payload_pump(payload);
}

/* At worst each byte is a line end that becomes two. */
bool payload_may_count(const struct job *job)
{
	return (job->body != NULL || job->body_length == 0) &&
	    job->prefix_length <= WORKER_READ_MAX &&
	    job->body_length <= WORKER_READ_MAX - job->prefix_length;
}

size_t payload_count(struct payload *payload, const struct job *job,
    const void **data)
{
	struct payload_encoder encoder;

	if (payload->job != NULL)
		bug("payload-active");
	buf_reset(&payload->wire);
	payload_encode_begin(&encoder, true);
	payload_encode(&encoder, job->prefix, job->prefix_length,
	    &payload->wire);
	if (job->body_length > 0)
		payload_encode(&encoder, job->body, (size_t)job->body_length,
		    &payload->wire);
	payload_encode_end(&encoder, &payload->wire);
	*data = buf_data(&payload->wire);
	return buf_length(&payload->wire);
}

bool payload_is_active(const struct payload *payload)
{
	return payload->job != NULL;
}

void payload_rest(struct payload *payload)
{
	if (payload->wire.size > PAYLOAD_REST_MAX)
		buf_release(&payload->wire);
}

void payload_stop(struct payload *payload)
{
	if (payload->job != NULL && payload->reading)
		worker_read_cancel(payload->job);
	payload->reading = false;
	payload->job = NULL;
}

void payload_init(struct payload *payload)
{
	memset(payload, 0, sizeof(*payload));
	buf_init(&payload->wire, PAYLOAD_WIRE_MAX);
}

void payload_release(struct payload *payload)
{
	payload_stop(payload);
	buf_release(&payload->wire);
}
