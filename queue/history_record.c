/* SPDX-License-Identifier: ISC */
/*
 * Rows of the history and their keys, one pair of functions each. Statuses
 * that are alike, as those of a host that does not answer are for everybody,
 * are written once.
 */
#include "queue/history_record.h"

#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/status.h"
#include "base/wire.h"
#include "queue/envelope.h"
#include "queue/record.h"

enum { EVENT_VERSION = 1, ROW_VERSION = 1, NO_STATUS = 0xff,
    ROW_TAG = 'r', POINTER_TAG = 'p' };

static const char *const outcome_names[HISTORY_OUTCOMES] = {
	[HISTORY_DEFERRED] = "deferred", [HISTORY_DELIVERED] = "delivered",
	[HISTORY_RELAYED] = "relayed", [HISTORY_FAILED] = "failed",
	[HISTORY_EXPIRED] = "expired", [HISTORY_BOUNCED] = "bounced",
	[HISTORY_DELETED] = "deleted", [HISTORY_REDIRECTED] = "redirected",
};

const char *history_outcome_name(enum history_outcome outcome)
{
	return outcome_names[outcome];
}

int history_outcome_find(const char *name)
{
	for (int i = 0; i < HISTORY_OUTCOMES; i++)
		if (strcmp(name, outcome_names[i]) == 0)
			return i;
	return -1;
}

/* --- keys --- */

void history_key_event(struct record_key *key, uint64_t id, uint32_t slice,
    uint64_t number)
{
	key->length = 0;
	record_key_add_u64(key, id);
	record_key_add_u32(key, slice);
	record_key_add_u64(key, number);
}

void history_key_row(struct record_key *key, uint64_t place, uint64_t id,
    uint32_t slice)
{
	key->bytes[0] = ROW_TAG;
	key->length = 1;
	record_key_add_u64(key, place);
	record_key_add_u64(key, id);
	record_key_add_u32(key, slice);
}

void history_key_pointer(struct record_key *key, uint64_t id, uint32_t slice)
{
	key->bytes[0] = POINTER_TAG;
	key->length = 1;
	record_key_add_u64(key, id);
	record_key_add_u32(key, slice);
}

int history_get_key_event(const void *data, size_t length, uint64_t *id,
    uint32_t *slice, uint64_t *number)
{
	struct wire_reader reader;

	wire_read_begin(&reader, data, length);
	*id = wire_get_u64(&reader);
	*slice = wire_get_u32(&reader);
	*number = wire_get_u64(&reader);
	return wire_read_end(&reader);
}

int history_get_key_row(const void *data, size_t length, uint64_t *place,
    uint64_t *id, uint32_t *slice)
{
	struct wire_reader reader;

	wire_read_begin(&reader, data, length);
	if (wire_get_u8(&reader) != ROW_TAG)
		return -1;
	*place = wire_get_u64(&reader);
	*id = wire_get_u64(&reader);
	*slice = wire_get_u32(&reader);
	return wire_read_end(&reader);
}

int history_get_key_pointer(const void *data, size_t length, uint64_t *id,
    uint32_t *slice)
{
	struct wire_reader reader;

	wire_read_begin(&reader, data, length);
	if (wire_get_u8(&reader) != POINTER_TAG)
		return -1;
	*id = wire_get_u64(&reader);
	*slice = wire_get_u32(&reader);
	return wire_read_end(&reader);
}

/* --- events --- */

static bool is_alike(const struct status *one, const struct status *other)
{
	return one == other || (one->outcome == other->outcome &&
	    one->reason == other->reason && one->code == other->code &&
	    one->enhanced_class == other->enhanced_class &&
	    one->enhanced_subject == other->enhanced_subject &&
	    one->enhanced_detail == other->enhanced_detail &&
	    strcmp(one->text, other->text) == 0 &&
	    strcmp(one->host, other->host) == 0 &&
	    strcmp(one->tls, other->tls) == 0);
}

/* The distinct statuses of an event; numbers[i] is that of item i. */
static unsigned sort_statuses(const struct history_event *event,
    const struct status **statuses, uint8_t *numbers)
{
	unsigned count = 0, j;

	for (uint32_t i = 0; i < event->count; i++) {
		const struct status *status = event->items[i].status;

		for (j = 0; status != NULL && j < count; j++)
			if (is_alike(statuses[j], status))
				break;
		if (status != NULL && j == count)
			statuses[count++] = status;
		numbers[i] = status == NULL ? NO_STATUS : (uint8_t)j;
	}
	return count;
}

static void put_status(struct wire_writer *writer, const struct status *status)
{
	struct status shorter;

	if (strlen(status->text) <= HISTORY_TEXT_MAX) {
		status_put(writer, status);
		return;
	}
	shorter = *status;
	shorter.text[HISTORY_TEXT_MAX] = '\0';
	status_put(writer, &shorter);
}

static void put_item(struct wire_writer *writer,
    const struct history_item *item, uint8_t status)
{
	wire_put_u32(writer, item->index);
	wire_put_u8(writer, (uint8_t)item->outcome);
	wire_put_u8(writer, status);
	if (item->outcome == HISTORY_DEFERRED)
		return;
	wire_put_text(writer, item->address);
	envelope_put_optional(writer, item->original);
}

int history_put_event(struct buf *out, const struct history_event *event)
{
	const struct status *statuses[HISTORY_ITEMS_MAX];
	uint8_t numbers[HISTORY_ITEMS_MAX];
	unsigned count = sort_statuses(event, statuses, numbers);
	struct wire_writer writer;

	wire_write_begin(&writer, out);
	wire_put_u8(&writer, EVENT_VERSION);
	wire_put_u64(&writer, (uint64_t)event->time);
	wire_put_u32(&writer, event->attempt);
	wire_put_u8(&writer, (uint8_t)count);
	for (unsigned i = 0; i < count; i++)
		put_status(&writer, statuses[i]);
	wire_put_u8(&writer, (uint8_t)event->count);
	for (uint32_t i = 0; i < event->count; i++)
		put_item(&writer, &event->items[i], numbers[i]);
	return wire_write_end(&writer);
}

static void get_item(struct wire_reader *reader, struct arena *arena,
    const struct status *statuses, unsigned count, struct history_item *item)
{
	unsigned status;

	item->index = wire_get_u32(reader);
	item->outcome = wire_get_enum(reader, HISTORY_OUTCOMES);
	status = wire_get_u8(reader);
	if (status != NO_STATUS && status >= count)
		reader->bad = true;
	else if (status != NO_STATUS)
		item->status = &statuses[status];
	if (item->outcome == HISTORY_DEFERRED)
		return;
	item->address = envelope_get_text(reader, arena);
	item->original = envelope_get_optional(reader, arena);
}

static int64_t get_time(struct wire_reader *reader)
{
	int64_t value = (int64_t)wire_get_u64(reader);

	if (value < 0)
		reader->bad = true;
	return value;
}

struct history_event *history_get_event(const void *data, size_t length,
    struct arena *arena)
{
	struct history_event *event = arena_alloc(arena, sizeof(*event));
	struct status *statuses;
	struct wire_reader reader;
	unsigned count;

	wire_read_begin(&reader, data, length);
	if (wire_get_u8(&reader) != EVENT_VERSION)
		return NULL;
	event->time = get_time(&reader);
	event->attempt = wire_get_u32(&reader);
	count = wire_get_enum(&reader, HISTORY_ITEMS_MAX + 1);
	statuses = arena_alloc_array(arena, count, sizeof(*statuses));
	for (unsigned i = 0; i < count && !reader.bad; i++)
		status_get(&reader, &statuses[i]);
	event->count = wire_get_enum(&reader, HISTORY_ITEMS_MAX + 1);
	if (reader.bad)
		return NULL;
	event->items = arena_alloc_array(arena, event->count,
	    sizeof(*event->items));
	for (uint32_t i = 0; i < event->count && !reader.bad; i++)
		get_item(&reader, arena, statuses, count, &event->items[i]);
	return wire_read_end(&reader) == 0 ? event : NULL;
}

/* --- rows --- */

int history_put_row(struct buf *out, const struct history_row *row)
{
	struct wire_writer writer;

	wire_write_begin(&writer, out);
	wire_put_u8(&writer, ROW_VERSION);
	wire_put_u64(&writer, (uint64_t)row->finished);
	wire_put_u64(&writer, (uint64_t)row->arrival);
	wire_put_u64(&writer, row->size);
	wire_put_u32(&writer, row->flags);
	wire_put_u32(&writer, row->accepted);
	wire_put_u32(&writer, row->attempts);
	wire_put_u32(&writer, row->unkept);
	wire_put_text(&writer, row->domain);
	wire_put_text(&writer, row->sender);
	wire_put_text(&writer, row->client);
	wire_put_text(&writer, row->helo);
	wire_put_text(&writer, row->protocol);
	wire_put_text(&writer, row->tls);
	wire_put_text(&writer, row->user);
	wire_put_bytes(&writer, row->events, row->events_length);
	return wire_write_end(&writer);
}

struct history_row *history_get_row(const void *data, size_t length,
    struct arena *arena)
{
	struct history_row *row = arena_alloc(arena, sizeof(*row));
	struct wire_reader reader;

	wire_read_begin(&reader, data, length);
	if (wire_get_u8(&reader) != ROW_VERSION)
		return NULL;
	row->finished = get_time(&reader);
	row->arrival = get_time(&reader);
	row->size = wire_get_u64(&reader);
	row->flags = wire_get_u32(&reader);
	row->accepted = wire_get_u32(&reader);
	row->attempts = wire_get_u32(&reader);
	row->unkept = wire_get_u32(&reader);
	row->domain = envelope_get_text(&reader, arena);
	row->sender = envelope_get_text(&reader, arena);
	row->client = envelope_get_text(&reader, arena);
	row->helo = envelope_get_text(&reader, arena);
	row->protocol = envelope_get_text(&reader, arena);
	row->tls = envelope_get_text(&reader, arena);
	row->user = envelope_get_text(&reader, arena);
	row->events = wire_get_bytes(&reader, HISTORY_ROW_MAX,
	    &row->events_length);
	return wire_read_end(&reader) == 0 ? row : NULL;
}

void history_add_event(struct buf *events, const void *data, size_t length)
{
	struct wire_writer writer;

	wire_write_begin(&writer, events);
	wire_put_bytes(&writer, data, length);
}

struct history_event *history_next_event(const struct history_row *row,
    size_t *offset, struct arena *arena)
{
	struct wire_reader reader;
	const void *data;
	size_t length;

	wire_read_begin(&reader, (const char *)row->events + *offset,
	    row->events_length - *offset);
	data = wire_get_bytes(&reader, HISTORY_EVENT_MAX, &length);
	if (reader.bad)
		return NULL;
	*offset += sizeof(uint32_t) + length;
	return history_get_event(data, length, arena);
}
