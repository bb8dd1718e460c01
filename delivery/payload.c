/* SPDX-License-Identifier: ISC */
/*
 * Reading, making safe and writing a message; see body.h.
 */
#include "delivery/payload.h"

#include <string.h>

#include "base/log.h"
#include "base/stream.h"
#include "queue/client.h"

enum { PAYLOAD_WIRE_MAX = 2 * WORKER_READ_MAX + 16 };

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

void payload_encode_begin(struct payload_encoder *encoder)
{
	encoder->line_start = true;
	encoder->carriage = false;
}

/* How many bytes follow without a line end. */
static size_t run_length(const char *data, size_t length)
{
	size_t i;

	for (i = 0; i < length; i++)
		if (data[i] == '\r' || data[i] == '\n')
			break;
	return i;
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
			if (encoder->line_start && *data == '.')
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
	payload_encode_begin(&payload->encoder);
	payload_pump(payload);
}

bool payload_is_active(const struct payload *payload)
{
	return payload->job != NULL;
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
