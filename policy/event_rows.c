/* SPDX-License-Identifier: ISC */
/*
 * Events as rows of the ledger, and as JSON. What was seen is kept as delivery
 * sent it, so that nothing of it needs another form here.
 */
#include "policy/event_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/digest.h"
#include "base/mem.h"
#include "base/wire.h"
#include "policy/ledger.h"

enum { ROW_VERSION = 1, NAME_MAX_BYTES = 255 };

_Static_assert(OBSERVATION_WIRE_MAX + EVENT_NAMED_MAX * (NAME_MAX_BYTES + 4) +
    128 <= LEDGER_VALUE_MAX, "an event fits");

void event_release(struct event_record *event)
{
	size_t i;

	for (i = 0; i < event->destination_count; i++)
		mem_free(event->destinations[i]);
	event->destination_count = 0;
}

/* --- rows --- */

static void make_key(uint64_t id, char *key, size_t size)
{
	snprintf(key, size, EVENT_PREFIX "%016" PRIx64, id);
}

/* A plan's event, and a share, is about no connection. */
static void put_told(struct wire_writer *writer,
    const struct observation *seen)
{
	wire_put_text(writer, seen->domain);
	wire_put_u8(writer, (uint8_t)seen->source);
	wire_put_text(writer, seen->reason);
}

static void put_seen(struct wire_writer *writer,
    const struct observation *seen)
{
	struct wire_writer inner;
	struct buf bytes;

	buf_init(&bytes, OBSERVATION_WIRE_MAX);
	wire_write_begin(&inner, &bytes);
	observation_put(&inner, seen);
	wire_put_bytes(writer, buf_data(&bytes), buf_length(&bytes));
	buf_release(&bytes);
}

void event_save(struct events *events, const struct event_record *event)
{
	struct wire_writer writer;
	struct buf row;
	char key[40];
	size_t i;

	buf_init(&row, LEDGER_VALUE_MAX);
	wire_write_begin(&writer, &row);
	wire_put_u8(&writer, ROW_VERSION);
	wire_put_u8(&writer, (uint8_t)event->kind);
	wire_put_u8(&writer, (uint8_t)event->signature);
	wire_put_u8(&writer, (uint8_t)event->mail);
	wire_put_u8(&writer, event->memory);
	wire_put_u8(&writer, event->observed);
	wire_put_u64(&writer, (uint64_t)event->first);
	wire_put_u64(&writer, (uint64_t)event->last);
	wire_put_u64(&writer, (uint64_t)event->over);
	wire_put_u64(&writer, event->count);
	wire_put_u8(&writer, (uint8_t)event->destination_count);
	for (i = 0; i < event->destination_count; i++)
		wire_put_text(&writer, event->destinations[i]);
	if (event->observed)
		put_seen(&writer, &event->seen);
	else
		put_told(&writer, &event->seen);
	make_key(event->id, key, sizeof(key));
	if (wire_write_end(&writer) == 0)
		ledger_put_soon(events->ledger, key, buf_data(&row),
		    buf_length(&row));
	buf_release(&row);
}

void event_unsave(struct events *events, const struct event_record *event)
{
	char key[40];

	make_key(event->id, key, sizeof(key));
	ledger_delete_soon(events->ledger, key);
}

static void read_destinations(struct event_record *event,
    struct wire_reader *reader)
{
	unsigned count = wire_get_enum(reader, EVENT_NAMED_MAX + 1);
	char name[NAME_MAX_BYTES + 1];

	while (count-- > 0) {
		wire_copy_text(reader, name, sizeof(name));
		event->destinations[event->destination_count++] =
		    mem_dup_string(name);
	}
}

static void read_told(struct observation *seen, struct wire_reader *reader)
{
	wire_copy_text(reader, seen->domain, sizeof(seen->domain));
	seen->source = wire_get_enum(reader, SOURCES);
	wire_copy_text(reader, seen->reason, sizeof(seen->reason));
}

/* 0, or -1 when this is nothing that delivery could have sent. */
static int read_seen(struct observation *seen, struct wire_reader *reader)
{
	struct wire_reader inner;
	const void *bytes;
	size_t size;

	bytes = wire_get_bytes(reader, OBSERVATION_WIRE_MAX, &size);
	wire_read_begin(&inner, bytes, size);
	return observation_get(&inner, seen) == -1 ||
	    wire_read_end(&inner) == -1 ? -1 : 0;
}

static int read_id(const char *key, uint64_t *id)
{
	char again[40];

	if (sscanf(key, EVENT_PREFIX "%16" SCNx64, id) != 1 || *id == 0 ||
	    *id > INT64_MAX / 2)
		return -1;
	make_key(*id, again, sizeof(again));
	return strcmp(key, again) == 0 ? 0 : -1;
}

int event_read_row(struct event_record *event, const char *key,
    const void *value, size_t length)
{
	struct wire_reader reader;
	unsigned version;
	int result = 0;

	memset(event, 0, sizeof(*event));
	if (read_id(key, &event->id) == -1)
		return -1;
	wire_read_begin(&reader, value, length);
	version = wire_get_u8(&reader);
	event->kind = wire_get_enum(&reader, EVENT_KINDS);
	event->signature = wire_get_enum(&reader, SIGNATURES);
	event->mail = wire_get_enum(&reader, MAILS);
	event->memory = wire_get_enum(&reader, 2) != 0;
	event->observed = wire_get_enum(&reader, 2) != 0;
	event->first = (int64_t)(wire_get_u64(&reader) & INT64_MAX);
	event->last = (int64_t)(wire_get_u64(&reader) & INT64_MAX);
	event->over = (int64_t)(wire_get_u64(&reader) & INT64_MAX);
	event->count = wire_get_u64(&reader) & INT64_MAX;
	read_destinations(event, &reader);
	if (event->observed)
		result = read_seen(&event->seen, &reader);
	else
		read_told(&event->seen, &reader);
	if (wire_read_end(&reader) == 0 && version == ROW_VERSION &&
	    result == 0)
		return 0;
	event_release(event);
	return -1;
}

/* --- JSON --- */

const char *event_kind_name(enum event_kind kind)
{
	static const char *const names[EVENT_KINDS] = {
		[EVENT_DOWNGRADE] = "downgrade",
		[EVENT_CERTIFICATE] = "certificate", [EVENT_CHAIN] = "chain",
		[EVENT_DNSSEC] = "dnssec", [EVENT_VANISHED] = "vanished",
		[EVENT_CONFLICT] = "conflict", [EVENT_SHARE] = "share" };

	return kind < EVENT_KINDS ? names[kind] : "unknown";
}

const char *event_signature_name(enum event_signature signature)
{
	static const char *const names[SIGNATURES] = {
		[SIGNATURE_NONE] = "none",
		[SIGNATURE_KEYWORD_GONE] = "keyword-gone",
		[SIGNATURE_KEYWORD_MANGLED] = "keyword-mangled",
		[SIGNATURE_COMMAND_BLOCKED] = "command-blocked",
		[SIGNATURE_HANDSHAKE_BROKEN] = "handshake-broken",
		[SIGNATURE_INJECTION] = "injection" };

	return signature < SIGNATURES ? names[signature] : "unknown";
}

static void put_text(json_t *object, const char *key, const char *value)
{
	if (value[0] != '\0')
		json_object_set_new(object, key, json_string(value));
}

static void put_time(json_t *object, const char *key, int64_t wall)
{
	char text[40];

	if (wall == 0)
		return;
	clock_format_iso(wall, text, sizeof(text));
	put_text(object, key, text);
}

static json_t *expected_object(const struct event_record *event)
{
	const struct observation *seen = &event->seen;
	json_t *object = json_object();
	enum plan_source source = seen->source != SOURCE_NONE ? seen->source :
	    seen->ideal_source;

	if (event->observed && seen->stage != OBSERVED_SKIPPED)
		put_text(object, "requirement",
		    requirement_name(seen->requirement));
	if (source != SOURCE_NONE)
		put_text(object, "source", plan_source_name(source));
	json_object_set_new(object, "memory", json_boolean(event->memory));
	return object;
}

static json_t *seen_object(const struct event_record *event)
{
	const struct observation *seen = &event->seen;
	json_t *object = json_object(), *chain;
	char hex[2 * DIGEST_BYTES + 1];
	size_t i;

	if (event->observed) {
		put_text(object, "stage", observed_stage_name(seen->stage));
		put_text(object, "result", tls_result_name(seen->result));
	}
	put_text(object, "symptom", seen->symptom);
	put_text(object, "keywords", seen->keywords);
	put_text(object, "reply", seen->reply);
	put_text(object, "version", seen->version);
	put_text(object, "cipher", seen->cipher);
	if (seen->chain_count > 0) {
		chain = json_array();
		for (i = 0; i < seen->chain_count; i++) {
			hex_format(seen->chain[i], DIGEST_BYTES, hex,
			    sizeof(hex));
			json_array_append_new(chain, json_string(hex));
		}
		json_object_set_new(object, "chain", chain);
	}
	put_text(object, "problem", seen->reason);
	return object;
}

static void put_destinations(json_t *object, const struct event_record *event)
{
	json_t *names = json_array();
	size_t i;

	for (i = 0; i < event->destination_count; i++)
		json_array_append_new(names,
		    json_string(event->destinations[i]));
	json_object_set_new(object, "destinations", names);
	put_time(object, "over", event->over);
}

static json_t *event_object(const struct event_record *event)
{
	static const char *const mails[MAILS] = { [MAIL_UNTOLD] = "",
	    [MAIL_TLS] = "tls", [MAIL_WAITED] = "waited",
	    [MAIL_CLEAR] = "clear" };
	const struct observation *seen = &event->seen;
	json_t *object = json_pack("{s:I, s:s}", "id", (json_int_t)event->id,
	    "kind", event_kind_name(event->kind));
	char address[ENDPOINT_TEXT_MAX];

	if (event->signature != SIGNATURE_NONE)
		put_text(object, "signature",
		    event_signature_name(event->signature));
	put_text(object, "domain", seen->domain);
	put_text(object, "host", seen->host);
	if (seen->address.address.any.sa_family != AF_UNSPEC) {
		endpoint_format(&seen->address, address, sizeof(address));
		put_text(object, "address", address);
	}
	put_time(object, "first", event->first);
	put_time(object, "last", event->last);
	json_object_set_new(object, "count",
	    json_integer((json_int_t)event->count));
	json_object_set_new(object, "expected", expected_object(event));
	json_object_set_new(object, "seen", seen_object(event));
	put_text(object, "mail", mails[event->mail]);
	if (event->kind == EVENT_SHARE)
		put_destinations(object, event);
	return object;
}

uint64_t events_page(struct events *events, const struct events_page *wanted,
    void (*visit)(void *arg, json_t *object), void *arg)
{
	const struct event_record *event;
	unsigned count = wanted->count;
	uint64_t last = 0;

	TAILQ_FOREACH(event, &events->all, entry) {
		if (event->id <= wanted->after || event->last < wanted->since)
			continue;
		if (count-- == 0)
			break;
		visit(arg, event_object(event));
		last = event->id;
	}
	return last;
}
