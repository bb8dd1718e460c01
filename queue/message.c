/* SPDX-License-Identifier: ISC */
/*
 * The bodies of the messages between the queue and its peers: one pair of
 * functions each. Every field that is read is hostile: sizes are bounded
 * before memory is taken, enums are checked, nothing may be left over.
 */
#include "queue/message.h"

#include <string.h>

#include "base/arena.h"
#include "base/mem.h"
#include "base/wire.h"
#include "queue/client.h"
#include "queue/envelope.h"

void queue_put_identifiers(struct wire_writer *writer,
    const struct queue_identifiers *identifiers)
{
	wire_put_u64(writer, identifiers->first);
	wire_put_u32(writer, identifiers->count);
}

int queue_get_identifiers(struct wire_reader *reader,
    struct queue_identifiers *identifiers)
{
	identifiers->first = wire_get_u64(reader);
	identifiers->count = wire_get_u32(reader);
	if (identifiers->first == 0 ||
	    identifiers->first > UINT64_MAX - identifiers->count)
		reader->bad = true;
	return wire_read_end(reader);
}

void queue_put_space(struct wire_writer *writer, uint64_t bytes)
{
	wire_put_u64(writer, bytes);
}

int queue_get_space(struct wire_reader *reader, uint64_t *bytes)
{
	*bytes = wire_get_u64(reader);
	return wire_read_end(reader);
}

void queue_put_credit(struct wire_writer *writer, uint32_t bytes)
{
	wire_put_u32(writer, bytes);
}

int queue_get_credit(struct wire_reader *reader, uint32_t *bytes)
{
	*bytes = wire_get_u32(reader);
	return wire_read_end(reader);
}

void queue_put_accepted(struct wire_writer *writer, const struct status *status)
{
	status_put(writer, status);
}

int queue_get_accepted(struct wire_reader *reader, struct status *status)
{
	status_get(reader, status);
	return wire_read_end(reader);
}

void queue_put_begin(struct wire_writer *writer,
    const struct queue_begin *begin)
{
	wire_put_u64(writer, begin->id);
	wire_put_bytes(writer, begin->envelope, begin->envelope_length);
}

int queue_get_begin(struct wire_reader *reader, struct queue_begin *begin)
{
	begin->id = wire_get_u64(reader);
	begin->envelope = wire_get_bytes(reader, ENVELOPE_WIRE_MAX,
	    &begin->envelope_length);
	if (begin->id == 0)
		reader->bad = true;
	return wire_read_end(reader);
}

void queue_put_data(struct wire_writer *writer, const void *data, size_t length)
{
	wire_put_bytes(writer, data, length);
}

int queue_get_data(struct wire_reader *reader, const void **data,
    size_t *length)
{
	*data = wire_get_bytes(reader, QUEUE_DATA_MAX, length);
	return wire_read_end(reader);
}

void queue_put_end(struct wire_writer *writer, const struct queue_end *end)
{
	wire_put_u32(writer, end->flags);
	wire_put_u64(writer, end->length);
	wire_put_bytes(writer, end->digest, DIGEST_BYTES);
	wire_put_bytes(writer, end->extra == NULL ? "" : end->extra,
	    end->extra_length);
	wire_put_bytes(writer, end->envelope == NULL ? "" : end->envelope,
	    end->envelope_length);
}

/* Whole lines, as a prefix is. */
static bool is_whole_lines(const char *text, size_t length)
{
	return length == 0 || (length >= 2 && text[length - 2] == '\r' &&
	    text[length - 1] == '\n' && memchr(text, 0, length) == NULL);
}

int queue_get_end(struct wire_reader *reader, struct queue_end *end)
{
	const void *digest;
	size_t length;

	end->flags = wire_get_u32(reader);
	end->length = wire_get_u64(reader);
	digest = wire_get_bytes(reader, DIGEST_BYTES, &length);
	if (length != DIGEST_BYTES)
		reader->bad = true;
	end->extra = wire_get_bytes(reader, QUEUE_EXTRA_MAX,
	    &end->extra_length);
	end->envelope = wire_get_bytes(reader, ENVELOPE_WIRE_MAX,
	    &end->envelope_length);
	if (wire_read_end(reader) < 0 ||
	    !is_whole_lines(end->extra, end->extra_length))
		return -1;
	memcpy(end->digest, digest, DIGEST_BYTES);
	return 0;
}

static void put_next_hop(struct wire_writer *writer,
    const struct conf_next_hop *next)
{
	wire_put_u8(writer, (uint8_t)next->transport);
	wire_put_text(writer, next->host);
	wire_put_u16(writer, next->port);
	wire_put_u8(writer, next->mx);
	wire_put_u8(writer, next->implicit_tls);
	wire_put_u8(writer, next->routed);
}

static void get_next_hop(struct wire_reader *reader, struct arena *arena,
    struct conf_next_hop *next)
{
	const char *host;

	next->transport = wire_get_enum(reader, TRANSPORT_LMTP + 1);
	host = envelope_get_text(reader, arena);
	if (strlen(host) >= sizeof(next->host)) {
		reader->bad = true;
		host = "";
	}
	memcpy(next->host, host, strlen(host) + 1);
	next->port = wire_get_u16(reader);
	next->mx = wire_get_enum(reader, 2) == 1;
	next->implicit_tls = wire_get_enum(reader, 2) == 1;
	next->routed = wire_get_enum(reader, 2) == 1;
	next->local = NULL;
}

void queue_put_job(struct wire_writer *writer, const struct job *job,
    uint32_t slice)
{
	wire_put_u64(writer, job->key);
	wire_put_u64(writer, job->message);
	wire_put_u32(writer, slice);
	put_next_hop(writer, &job->next);
	wire_put_text(writer, job->domain);
	wire_put_text(writer, job->sender);
	envelope_put_optional(writer, job->envid);
	wire_put_u32(writer, job->flags);
	wire_put_u64(writer, (uint64_t)job->arrival);
	wire_put_u64(writer, (uint64_t)job->tls_trouble_since);
	wire_put_u8(writer, (uint8_t)(job->tls_level + 1));
	wire_put_u32(writer, job->attempt);
	wire_put_bytes(writer, job->prefix, job->prefix_length);
	wire_put_u64(writer, job->body_length);
	wire_put_u8(writer, job->body != NULL);
	wire_put_bytes(writer, job->body,
	    job->body == NULL ? 0 : (size_t)job->body_length);
	wire_put_u32(writer, (uint32_t)job->recipient_count);
	for (size_t i = 0; i < job->recipient_count; i++) {
		const struct job_recipient *recipient = &job->recipients[i];

		wire_put_u32(writer, recipient->index);
		wire_put_text(writer, recipient->address);
		envelope_put_optional(writer, recipient->original);
		wire_put_u8(writer, recipient->notify);
	}
}

/* Prefix and body; a body that comes with the job has the length announced. */
static void get_content(struct wire_reader *reader, struct job *job)
{
	size_t length;
	bool with_body;
	const void *data = wire_get_bytes(reader, ENVELOPE_PREFIX_MAX,
	    &job->prefix_length);

	job->prefix = arena_dup_text(job->arena, data == NULL ? "" : data,
	    job->prefix_length);
	job->body_length = wire_get_u64(reader);
	with_body = wire_get_enum(reader, 2) == 1;
	data = wire_get_bytes(reader, WORKER_INLINE_MAX, &length);
	if (length != (with_body ? job->body_length : 0))
		reader->bad = true;
	job->body = NULL;
	if (with_body && !reader->bad)
		job->body = arena_dup_text(job->arena, data, length);
}

static void get_job_recipients(struct wire_reader *reader, struct job *job)
{
	uint32_t count = wire_get_u32(reader);

	if (count == 0 || count > QUEUE_SLICE_RECIPIENTS)
		reader->bad = true;
	if (reader->bad)
		return;
	job->recipients = arena_alloc_array(job->arena, count,
	    sizeof(*job->recipients));
	for (uint32_t i = 0; i < count; i++) {
		struct job_recipient *recipient = &job->recipients[i];

		recipient->index = wire_get_u32(reader);
		recipient->address = envelope_get_text(reader, job->arena);
		recipient->original = envelope_get_optional(reader,
		    job->arena);
		recipient->notify = wire_get_u8(reader);
	}
	job->recipient_count = count;
}

int queue_get_job(struct wire_reader *reader, struct job *job, uint32_t *slice)
{
	job->key = wire_get_u64(reader);
	job->message = wire_get_u64(reader);
	*slice = wire_get_u32(reader);
	get_next_hop(reader, job->arena, &job->next);
	job->domain = envelope_get_text(reader, job->arena);
	job->sender = envelope_get_text(reader, job->arena);
	job->envid = envelope_get_optional(reader, job->arena);
	job->flags = wire_get_u32(reader);
	job->arrival = (int64_t)wire_get_u64(reader);
	job->tls_trouble_since = (int64_t)wire_get_u64(reader);
	job->tls_level = (int)wire_get_enum(reader, LEVEL_COUNT + 1) - 1;
	job->attempt = wire_get_u32(reader);
	get_content(reader, job);
	get_job_recipients(reader, job);
	return wire_read_end(reader);
}

void queue_put_body(struct wire_writer *writer, const struct queue_body *body)
{
	wire_put_u64(writer, body->job);
	wire_put_u8(writer, body->failed);
	wire_put_bytes(writer, body->data, body->length);
}

int queue_get_body(struct wire_reader *reader, struct queue_body *body)
{
	body->job = wire_get_u64(reader);
	body->failed = wire_get_enum(reader, 2) == 1;
	body->data = wire_get_bytes(reader, WORKER_READ_MAX, &body->length);
	return wire_read_end(reader);
}

void queue_put_settled(struct wire_writer *writer, uint64_t job)
{
	wire_put_u64(writer, job);
}

int queue_get_settled(struct wire_reader *reader, uint64_t *job)
{
	*job = wire_get_u64(reader);
	return wire_read_end(reader);
}

void queue_put_pauses(struct wire_writer *writer,
    const struct queue_pauses *pauses)
{
	wire_put_u32(writer, pauses->count);
	for (uint32_t i = 0; i < pauses->count; i++) {
		wire_put_text(writer, pauses->list[i].place);
		wire_put_text(writer, pauses->list[i].reason);
	}
}

int queue_get_pauses(struct wire_reader *reader, struct arena *arena,
    struct queue_pauses *pauses)
{
	pauses->count = wire_get_u32(reader);
	if (reader->bad || pauses->count > QUEUE_PAUSES_MAX)
		return -1;
	pauses->list = arena_alloc_array(arena, pauses->count + 1,
	    sizeof(*pauses->list));
	for (uint32_t i = 0; i < pauses->count && !reader->bad; i++) {
		pauses->list[i].place = wire_get_text(reader, arena,
		    QUEUE_PAUSE_TEXT_MAX);
		pauses->list[i].reason = wire_get_text(reader, arena,
		    QUEUE_PAUSE_TEXT_MAX);
	}
	return wire_read_end(reader);
}

void queue_put_slots(struct wire_writer *writer,
    const struct queue_slots *slots)
{
	wire_put_u32(writer, slots->slots);
	wire_put_u32(writer, slots->job_count);
	for (uint32_t i = 0; i < slots->job_count; i++) {
		wire_put_u64(writer, slots->jobs[i].job);
		wire_put_u64(writer, slots->jobs[i].message);
		wire_put_u32(writer, slots->jobs[i].slice);
	}
}

int queue_get_slots(struct wire_reader *reader, struct queue_slots *slots)
{
	slots->slots = wire_get_u32(reader);
	slots->job_count = wire_get_u32(reader);
	slots->jobs = NULL;
	if (slots->slots > QUEUE_SLOTS_MAX ||
	    slots->job_count > QUEUE_SLOTS_MAX || reader->bad)
		return -1;
	slots->jobs = mem_alloc_array(slots->job_count, sizeof(*slots->jobs));
	for (uint32_t i = 0; i < slots->job_count; i++) {
		slots->jobs[i].job = wire_get_u64(reader);
		slots->jobs[i].message = wire_get_u64(reader);
		slots->jobs[i].slice = wire_get_u32(reader);
	}
	if (wire_read_end(reader) == 0)
		return 0;
	mem_free(slots->jobs);
	slots->jobs = NULL;
	return -1;
}

void queue_put_read(struct wire_writer *writer, const struct queue_read *read)
{
	wire_put_u64(writer, read->job);
	wire_put_u64(writer, read->message);
	wire_put_u64(writer, read->offset);
}

int queue_get_read(struct wire_reader *reader, struct queue_read *read)
{
	read->job = wire_get_u64(reader);
	read->message = wire_get_u64(reader);
	read->offset = wire_get_u64(reader);
	return wire_read_end(reader);
}

void queue_put_result(struct wire_writer *writer,
    const struct queue_result *result)
{
	wire_put_u64(writer, result->job);
	wire_put_u64(writer, result->message);
	wire_put_u32(writer, result->slice);
	wire_put_u8(writer, result->tls_trouble);
	wire_put_u32(writer, result->count);
}

int queue_get_result(struct wire_reader *reader, struct queue_result *result)
{
	result->job = wire_get_u64(reader);
	result->message = wire_get_u64(reader);
	result->slice = wire_get_u32(reader);
	result->tls_trouble = wire_get_enum(reader, 2) == 1;
	result->count = wire_get_u32(reader);
	if (result->count == 0 || result->count > QUEUE_SLICE_RECIPIENTS)
		reader->bad = true;
	return reader->bad ? -1 : 0;
}

void queue_put_result_item(struct wire_writer *writer, uint32_t index,
    const struct status *status)
{
	wire_put_u32(writer, index);
	status_put(writer, status);
}

int queue_get_result_item(struct wire_reader *reader, bool last,
    uint32_t *index,
    struct status *status)
{
	*index = wire_get_u32(reader);
	status_get(reader, status);
	if (last)
		return wire_read_end(reader);
	return reader->bad ? -1 : 0;
}
