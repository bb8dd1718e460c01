/* SPDX-License-Identifier: ISC */
/*
 * What peers say to the queue and what its rows hold. The first byte chooses
 * the reader. Whatever comes, memory stays bounded; and what is believed can
 * be written again as exactly the same bytes, so nothing has two readings (rows
 * of an earlier version aside, which are written in the latest).
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/mem.h"
#include "base/status.h"
#include "base/wire.h"
#include "queue/client.h"
#include "queue/destination.h"
#include "queue/envelope.h"
#include "queue/message.h"
#include "queue/record.h"
#include "queue/view.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct arena *arena;
static struct buf again;
static struct wire_writer writer;

static void must(bool holds)
{
	if (!holds)
		abort();
}

/* Returns whether the bytes were believed; then they are in `again` too. */
typedef bool reader_function(struct wire_reader *reader);

static bool read_envelope(struct wire_reader *reader)
{
	struct envelope *envelope = envelope_get(reader, arena);

	if (envelope == NULL || wire_read_end(reader) < 0)
		return false;
	envelope_put(&writer, envelope);
	return true;
}

static bool read_begin(struct wire_reader *reader)
{
	struct queue_begin begin;

	if (queue_get_begin(reader, &begin) < 0)
		return false;
	queue_put_begin(&writer, &begin);
	return true;
}

static bool read_end(struct wire_reader *reader)
{
	struct queue_end end;

	if (queue_get_end(reader, &end) < 0)
		return false;
	queue_put_end(&writer, &end);
	return true;
}

static bool read_identifiers(struct wire_reader *reader)
{
	struct queue_identifiers identifiers;

	if (queue_get_identifiers(reader, &identifiers) < 0)
		return false;
	queue_put_identifiers(&writer, &identifiers);
	return true;
}

static bool read_job(struct wire_reader *reader)
{
	struct job job = { .arena = arena };
	uint32_t slice;

	if (queue_get_job(reader, &job, &slice) < 0)
		return false;
	must(job.recipient_count > 0 &&
	    job.recipient_count <= QUEUE_SLICE_RECIPIENTS);
	queue_put_job(&writer, &job, slice);
	return true;
}

static bool read_body(struct wire_reader *reader)
{
	struct queue_body body;

	if (queue_get_body(reader, &body) < 0)
		return false;
	queue_put_body(&writer, &body);
	return true;
}

static bool read_slots(struct wire_reader *reader)
{
	struct queue_slots slots;

	if (queue_get_slots(reader, &slots) < 0)
		return false;
	queue_put_slots(&writer, &slots);
	mem_free(slots.jobs);
	return true;
}

static bool read_pauses(struct wire_reader *reader)
{
	struct queue_pauses pauses;

	if (queue_get_pauses(reader, arena, &pauses) < 0)
		return false;
	must(pauses.count <= QUEUE_PAUSES_MAX);
	queue_put_pauses(&writer, &pauses);
	return true;
}

static bool read_read(struct wire_reader *reader)
{
	struct queue_read read;

	if (queue_get_read(reader, &read) < 0)
		return false;
	queue_put_read(&writer, &read);
	return true;
}

static bool read_result(struct wire_reader *reader)
{
	struct queue_result result;
	struct status status;
	uint32_t index;

	if (queue_get_result(reader, &result) < 0)
		return false;
	queue_put_result(&writer, &result);
	for (uint32_t i = 0; i < result.count; i++) {
		if (queue_get_result_item(reader, i + 1 == result.count,
		    &index, &status) < 0)
			return false;
		queue_put_result_item(&writer, index, &status);
	}
	return true;
}

static bool read_accepted(struct wire_reader *reader)
{
	struct status status;

	if (queue_get_accepted(reader, &status) < 0)
		return false;
	queue_put_accepted(&writer, &status);
	return true;
}

/* The rows' latest versions; earlier ones are written as these. */
enum { MESSAGE_LATEST = 4, SLICE_LATEST = 3, SCHEDULE_LATEST = 3 };

static void must_equal_again(const struct buf *row)
{
	must(buf_length(row) == buf_length(&again) &&
	    memcmp(buf_data(row), buf_data(&again), buf_length(row)) == 0);
}

/* What an earlier version became stays as it is. */
static void check_old_message(unsigned version)
{
	struct record_message *message = record_get_message(buf_data(&again),
	    buf_length(&again), arena);
	struct buf row;

	must(message != NULL && message->envelope->user[0] == '\0');
	must(version >= 3 || (message->envelope->piece_count == 0 &&
	    message->envelope->hold == NULL));
	must(version >= 2 || message->envelope->forward_sender == NULL);
	buf_init(&row, 16 << 20);
	must(record_put_message(&row, message) == 0);
	must_equal_again(&row);
	buf_release(&row);
}

/* Every byte of the view is one of the stored body, or of a text. */
static void check_view(const struct record_message *message)
{
	uint64_t offset = 0, length;
	struct view_part part;
	struct view view;

	view_init(&view, message->envelope, message->body_length);
	length = view_length(&view);
	while (view_part(&view, offset, SIZE_MAX, &part)) {
		must(part.length > 0 && part.length <= length - offset);
		must(part.text != NULL || (part.offset <
		    message->body_length && part.length <=
		    message->body_length - part.offset));
		offset += part.length;
	}
	must(offset == length);
}

static bool read_message_row(struct wire_reader *reader)
{
	struct record_message *message = record_get_message(reader->position,
	    (size_t)(reader->end - reader->position), arena);

	if (message == NULL || record_put_message(&again, message) != 0)
		return false;
	check_view(message);
	if (*reader->position >= MESSAGE_LATEST)
		return true;
	check_old_message(*reader->position);
	return false;
}

static void check_old_slice(unsigned version)
{
	struct record_slice *slice = record_get_slice(buf_data(&again),
	    buf_length(&again), arena);
	struct buf row;

	must(slice != NULL);
	must(version >= 2 || (slice->tls_level == -1 && slice->tls_set == 0));
	buf_init(&row, 16 << 20);
	must(record_put_slice(&row, slice) == 0);
	must_equal_again(&row);
	buf_release(&row);
}

static bool read_slice_row(struct wire_reader *reader)
{
	struct record_slice *slice = record_get_slice(reader->position,
	    (size_t)(reader->end - reader->position), arena);

	if (slice == NULL || record_put_slice(&again, slice) != 0)
		return false;
	must(record_slice_lane(slice) < LANE_COUNT);
	if (*reader->position >= SLICE_LATEST)
		return true;
	check_old_slice(*reader->position);
	return false;
}

static bool read_schedule_row(struct wire_reader *reader)
{
	struct record_schedule *row = record_get_schedule(reader->position,
	    (size_t)(reader->end - reader->position), arena);

	if (row == NULL || record_put_schedule(&again, row) != 0)
		return false;
	must(row->lane < LANE_COUNT);
	if (*reader->position >= SCHEDULE_LATEST)
		return true;
	row = record_get_schedule(buf_data(&again), buf_length(&again), arena);
	must(row != NULL && (*reader->position > 1 ||
	    row->lane == LANE_COMMON));
	return false;
}

static reader_function *const readers[] = { read_envelope, read_begin,
    read_end, read_identifiers, read_job, read_body, read_slots, read_read,
    read_result, read_accepted, read_message_row, read_slice_row,
    read_schedule_row, read_pauses };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const size_t count = sizeof(readers) / sizeof(readers[0]);
	struct wire_reader reader;

	if (size == 0)
		return 0;
	arena = arena_new(ENVELOPE_ARENA_MAX);
	buf_init(&again, 16 << 20);
	wire_write_begin(&writer, &again);
	wire_read_begin(&reader, data + 1, size - 1);
	if (readers[data[0] % count](&reader)) {
		must(wire_write_end(&writer) == 0);
		must(buf_length(&again) == size - 1);
		must(memcmp(buf_data(&again), data + 1, size - 1) == 0);
	}
	buf_release(&again);
	arena_free(arena);
	return 0;
}
