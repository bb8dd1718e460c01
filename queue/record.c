/* SPDX-License-Identifier: ISC */
/*
 * Rows and keys, one pair of functions each. The version byte says how the
 * rest is to be read; a row of a later version is refused, never guessed at.
 */
#include "queue/record.h"

#include <endian.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/status.h"
#include "base/wire.h"
#include "conf/conf.h"
#include "queue/destination.h"
#include "queue/message.h"

enum { MESSAGE_VERSION = 4, SLICE_VERSION = 3, SCHEDULE_VERSION = 3 };

/* Rows hold the numbers of levels, plus one. */
_Static_assert(LEVEL_AUTO == 0 && LEVEL_MAY == 2 && LEVEL_FINGERPRINT == 10 &&
    LEVEL_COUNT == 11, "numbers of stored levels stay");

static void key_add(struct record_key *key, const void *data, size_t length)
{
	memcpy(key->bytes + key->length, data, length);
	key->length += length;
}

void record_key_add_u64(struct record_key *key, uint64_t value)
{
	value = htobe64(value);
	key_add(key, &value, sizeof(value));
}

void record_key_add_u32(struct record_key *key, uint32_t value)
{
	value = htobe32(value);
	key_add(key, &value, sizeof(value));
}

void record_key_message(struct record_key *key, uint64_t id)
{
	key->length = 0;
	record_key_add_u64(key, id);
}

void record_key_slice(struct record_key *key, uint64_t id, uint32_t slice)
{
	key->length = 0;
	record_key_add_u64(key, id);
	record_key_add_u32(key, slice);
}

void record_key_schedule(struct record_key *key, int64_t due, uint64_t id,
    uint32_t slice)
{
	key->length = 0;
	record_key_add_u64(key, due < 0 ? 0 : (uint64_t)due);
	record_key_add_u64(key, id);
	record_key_add_u32(key, slice);
}

int record_key_get_message(const void *data, size_t length, uint64_t *id)
{
	struct wire_reader reader;

	wire_read_begin(&reader, data, length);
	*id = wire_get_u64(&reader);
	return wire_read_end(&reader);
}

int record_key_get_slice(const void *data, size_t length, uint64_t *id,
    uint32_t *slice)
{
	struct wire_reader reader;

	wire_read_begin(&reader, data, length);
	*id = wire_get_u64(&reader);
	*slice = wire_get_u32(&reader);
	return wire_read_end(&reader);
}

int record_key_get_schedule(const void *data, size_t length, int64_t *due,
    uint64_t *id, uint32_t *slice)
{
	struct wire_reader reader;

	wire_read_begin(&reader, data, length);
	*due = (int64_t)wire_get_u64(&reader);
	*id = wire_get_u64(&reader);
	*slice = wire_get_u32(&reader);
	if (*due < 0)
		reader.bad = true;
	return wire_read_end(&reader);
}

int record_put_message(struct buf *out, const struct record_message *message)
{
	struct wire_writer writer;

	wire_write_begin(&writer, out);
	wire_put_u8(&writer, MESSAGE_VERSION);
	wire_put_u64(&writer, (uint64_t)message->arrival);
	wire_put_u64(&writer, message->body_length);
	wire_put_u32(&writer, message->slice_count);
	wire_put_u32(&writer, message->recipient_count);
	wire_put_bytes(&writer, message->digest, DIGEST_BYTES);
	envelope_put_head(&writer, message->envelope);
	envelope_put_forward_sender(&writer, message->envelope);
	envelope_put_content(&writer, message->envelope);
	envelope_put_user(&writer, message->envelope);
	return wire_write_end(&writer);
}

/* The version of a row, from 1 to the latest that we know; 0 if it is bad. */
static unsigned get_version(struct wire_reader *reader, unsigned latest)
{
	unsigned version = wire_get_u8(reader);

	if (version == 0 || version > latest)
		reader->bad = true;
	return reader->bad ? 0 : version;
}

static int64_t get_time(struct wire_reader *reader)
{
	int64_t value = (int64_t)wire_get_u64(reader);

	if (value < 0)
		reader->bad = true;
	return value;
}

static void get_content(struct wire_reader *reader, struct arena *arena,
    struct record_message *message)
{
	envelope_get_content(reader, arena, message->envelope);
	if (!reader->bad && !envelope_content_fits(message->envelope,
	    message->body_length))
		reader->bad = true;
}

struct record_message *record_get_message(const void *data, size_t length,
    struct arena *arena)
{
	struct record_message *message = arena_alloc(arena, sizeof(*message));
	struct wire_reader reader;
	const void *digest;
	size_t digest_length;
	unsigned version;

	wire_read_begin(&reader, data, length);
	version = get_version(&reader, MESSAGE_VERSION);
	message->arrival = get_time(&reader);
	message->body_length = wire_get_u64(&reader);
	message->slice_count = wire_get_u32(&reader);
	message->recipient_count = wire_get_u32(&reader);
	digest = wire_get_bytes(&reader, DIGEST_BYTES, &digest_length);
	if (digest_length != DIGEST_BYTES || reader.bad)
		return NULL;
	memcpy(message->digest, digest, DIGEST_BYTES);
	message->envelope = envelope_get_head(&reader, arena);
	if (message->envelope != NULL && version >= 2)
		envelope_get_forward_sender(&reader, arena,
		    message->envelope);
	if (message->envelope != NULL && version >= 3)
		get_content(&reader, arena, message);
	if (message->envelope != NULL && version >= 4)
		envelope_get_user(&reader, arena, message->envelope);
	return wire_read_end(&reader) == 0 ? message : NULL;
}

static void put_recipient(struct wire_writer *writer,
    const struct record_recipient *recipient)
{
	wire_put_u32(writer, recipient->index);
	envelope_put_recipient(writer, &recipient->who);
	wire_put_u8(writer, recipient->who.flags);
	wire_put_u8(writer, recipient->status != NULL);
	if (recipient->status != NULL)
		status_put(writer, recipient->status);
}

static void get_recipient(struct wire_reader *reader, struct arena *arena,
    unsigned version, struct record_recipient *recipient)
{
	recipient->index = wire_get_u32(reader);
	envelope_get_recipient(reader, arena, &recipient->who);
	if (version >= 3)
		recipient->who.flags = envelope_get_recipient_flags(reader);
	if (wire_get_enum(reader, 2) == 0)
		return;
	recipient->status = arena_alloc(arena, sizeof(*recipient->status));
	status_get(reader, recipient->status);
}

static void put_tls(struct wire_writer *writer,
    const struct record_slice *slice)
{
	wire_put_u8(writer, (uint8_t)(slice->tls_level + 1));
	wire_put_text(writer, slice->tls_reason);
	wire_put_text(writer, slice->tls_author);
	wire_put_u64(writer, (uint64_t)slice->tls_set);
}

static void get_tls(struct wire_reader *reader, struct arena *arena,
    struct record_slice *slice)
{
	slice->tls_level = (int)wire_get_enum(reader, LEVEL_COUNT + 1) - 1;
	slice->tls_reason = envelope_get_text(reader, arena);
	slice->tls_author = envelope_get_text(reader, arena);
	slice->tls_set = get_time(reader);
}

int record_put_slice(struct buf *out, const struct record_slice *slice)
{
	struct wire_writer writer;

	wire_write_begin(&writer, out);
	wire_put_u8(&writer, SLICE_VERSION);
	wire_put_text(&writer, slice->domain);
	wire_put_u32(&writer, slice->flags);
	wire_put_text(&writer, slice->held_reason);
	wire_put_u64(&writer, (uint64_t)slice->arrival);
	wire_put_u64(&writer, (uint64_t)slice->due);
	wire_put_u64(&writer, (uint64_t)slice->tried_at);
	wire_put_u64(&writer, (uint64_t)slice->tls_trouble_since);
	wire_put_u32(&writer, slice->attempt);
	wire_put_u64(&writer, slice->last_job);
	put_tls(&writer, slice);
	wire_put_u32(&writer, slice->recipient_count);
	for (uint32_t i = 0; i < slice->recipient_count; i++)
		put_recipient(&writer, &slice->recipients[i]);
	return wire_write_end(&writer);
}

struct record_slice *record_get_slice(const void *data, size_t length,
    struct arena *arena)
{
	struct record_slice *slice = arena_alloc(arena, sizeof(*slice));
	struct wire_reader reader;
	unsigned version;
	uint32_t count;

	wire_read_begin(&reader, data, length);
	version = get_version(&reader, SLICE_VERSION);
	slice->domain = envelope_get_text(&reader, arena);
	slice->flags = wire_get_u32(&reader);
	slice->held_reason = envelope_get_text(&reader, arena);
	slice->arrival = get_time(&reader);
	slice->due = get_time(&reader);
	slice->tried_at = get_time(&reader);
	slice->tls_trouble_since = get_time(&reader);
	slice->attempt = wire_get_u32(&reader);
	slice->last_job = wire_get_u64(&reader);
	slice->tls_level = -1;
	slice->tls_reason = slice->tls_author = arena_dup_string(arena, "");
	if (version >= 2)
		get_tls(&reader, arena, slice);
	count = wire_get_u32(&reader);
	if (reader.bad || count == 0 || count > QUEUE_SLICE_RECIPIENTS)
		return NULL;
	slice->recipients = arena_alloc_array(arena, count,
	    sizeof(*slice->recipients));
	slice->recipient_count = count;
	for (uint32_t i = 0; i < count && !reader.bad; i++)
		get_recipient(&reader, arena, version,
		    &slice->recipients[i]);
	return wire_read_end(&reader) == 0 ? slice : NULL;
}

char *record_peek_domain(const void *data, size_t length,
    struct arena *arena)
{
	struct wire_reader reader;
	char *domain;

	wire_read_begin(&reader, data, length);
	get_version(&reader, SLICE_VERSION);
	domain = envelope_get_text(&reader, arena);
	return reader.bad ? NULL : domain;
}

uint64_t record_peek_length(const void *data, size_t length,
    int64_t *arrival)
{
	struct wire_reader reader;
	uint64_t body_length;

	wire_read_begin(&reader, data, length);
	get_version(&reader, MESSAGE_VERSION);
	*arrival = get_time(&reader);
	body_length = wire_get_u64(&reader);
	if (reader.bad)
		*arrival = 0;
	return reader.bad ? 0 : body_length;
}

char *record_slice_sender(const struct record_slice *slice,
    const struct envelope *envelope)
{
	return slice->flags & SLICE_FORWARDED &&
	    envelope->forward_sender != NULL ? envelope->forward_sender :
	    envelope->sender;
}

unsigned record_slice_lane(const struct record_slice *slice)
{
	/* A level takes nothing from what REQUIRETLS demands. */
	if (slice->flags & SLICE_REQUIRETLS)
		return LANE_REQUIRETLS;
	if (slice->tls_level >= 0)
		return LANE_LEVEL + (unsigned)slice->tls_level;
	if (slice->flags & SLICE_TLS_OPTIONAL)
		return LANE_OPTIONAL;
	return LANE_COMMON;
}

/* FNV-1a: rows keep it, so it is the same in each process. */
static uint32_t add_to_group(uint32_t group, const char *text, size_t length)
{
	for (size_t i = 0; i < length; i++)
		group = (group ^ (unsigned char)text[i]) * 16777619u;
	return group;
}

uint32_t record_group(const struct envelope *envelope)
{
	const char *sender = envelope->sender, *at = strrchr(sender, '@');
	uint32_t group = 2166136261u;

	if (envelope->user != NULL && envelope->user[0] != '\0')
		return add_to_group(group, envelope->user,
		    strlen(envelope->user));
	/* Of a list that says in its sender whom it wrote to (VERP) it is one,
	 * whoever that was; and so are those of one forwarder (SRS). */
	group = add_to_group(group, sender, strcspn(sender, "+=@"));
	return at == NULL ? group : add_to_group(group, at, strlen(at));
}

int record_put_schedule(struct buf *out,
    const struct record_schedule *schedule)
{
	struct wire_writer writer;

	wire_write_begin(&writer, out);
	wire_put_u8(&writer, SCHEDULE_VERSION);
	wire_put_u32(&writer, schedule->attempt);
	wire_put_text(&writer, schedule->domain);
	wire_put_u8(&writer, (uint8_t)schedule->lane);
	wire_put_u32(&writer, schedule->group);
	return wire_write_end(&writer);
}

struct record_schedule *record_get_schedule(const void *data, size_t length,
    struct arena *arena)
{
	struct record_schedule *schedule = arena_alloc(arena,
	    sizeof(*schedule));
	struct wire_reader reader;
	unsigned version;

	wire_read_begin(&reader, data, length);
	version = get_version(&reader, SCHEDULE_VERSION);
	schedule->attempt = wire_get_u32(&reader);
	schedule->domain = envelope_get_text(&reader, arena);
	if (version >= 2)
		schedule->lane = wire_get_enum(&reader, LANE_COUNT);
	if (version >= 3)
		schedule->group = wire_get_u32(&reader);
	return wire_read_end(&reader) == 0 ? schedule : NULL;
}
