/* SPDX-License-Identifier: ISC */
/*
 * The rows of TLS memory: "memory:d:NAME" of a destination, "memory:h:NAME" of
 * a host; a version, the counts and the times. A row is believed when it could
 * have been written here, whatever the disk did to it.
 */
#include "policy/memory_private.h"

#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/wire.h"
#include "policy/ledger.h"

enum { ROW_VERSION = 1, ROW_MAX = 160 };

#define FIRST_TIME 1000				/* 1970-01-01T00:00:01Z */
#define LAST_TIME (UINT64_C(253402300799) * 1000)	/* 9999-12-31T23:59:59Z */

#define PREFIX "memory:"

static void key_of(const struct memory_record *record, char *key, size_t size)
{
	snprintf(key, size, PREFIX "%c:%s", record->kind == MEMORY_HOST ? 'h' :
	    'd', record->name);
}

void memory_write_soon(struct memory *memory,
    const struct memory_record *record)
{
	struct wire_writer writer;
	char key[300];
	struct buf row;

	buf_init(&row, ROW_MAX);
	wire_write_begin(&writer, &row);
	wire_put_u8(&writer, ROW_VERSION);
	wire_put_u64(&writer, (uint64_t)record->first);
	wire_put_u64(&writer, (uint64_t)record->last);
	wire_put_u32(&writer, record->tls_count);
	wire_put_u64(&writer, (uint64_t)record->tls_last);
	wire_put_u32(&writer, record->clear_count);
	wire_put_u64(&writer, (uint64_t)record->clear_last);
	wire_put_u64(&writer, (uint64_t)record->lost_since);
	wire_put_text(&writer, record->version);
	wire_put_u32(&writer, record->web_count);
	wire_put_u32(&writer, record->dane_count);
	wire_put_u64(&writer, (uint64_t)record->dane_last);
	wire_put_u32(&writer, record->sts_count);
	wire_put_u64(&writer, (uint64_t)record->sts_last);
	key_of(record, key, sizeof(key));
	ledger_put_soon(memory->ledger, key, buf_data(&row),
	    buf_length(&row));
	buf_release(&row);
}

void memory_delete_row(struct memory *memory,
    const struct memory_record *record, bool at_once)
{
	char key[300];

	key_of(record, key, sizeof(key));
	if (at_once)
		ledger_delete(memory->ledger, key);
	else
		ledger_delete_soon(memory->ledger, key);
}

bool memory_is_date(uint64_t wall)
{
	return wall >= FIRST_TIME && wall <= LAST_TIME;
}

static int64_t get_time(struct wire_reader *reader)
{
	uint64_t value = wire_get_u64(reader);

	if (value != 0 && !memory_is_date(value))
		reader->bad = true;
	return reader->bad ? 0 : (int64_t)value;
}

static bool is_printable(const char *text)
{
	for (; *text != '\0'; text++)
		if (*text < ' ' || *text > '~')
			return false;
	return true;
}

/* A count without its date, or a date without its count, is no row. */
static bool is_sound(const struct memory_entry *entry)
{
	return entry->first > 0 && entry->last > 0 &&
	    (entry->tls_count > 0 || entry->clear_count > 0) &&
	    (entry->tls_count > 0) == (entry->tls_last > 0) &&
	    (entry->clear_count > 0) == (entry->clear_last > 0) &&
	    (entry->dane_count > 0) == (entry->dane_last > 0) &&
	    (entry->sts_count > 0) == (entry->sts_last > 0) &&
	    entry->web_count <= entry->tls_count &&
	    is_printable(entry->version);
}

static int read_row(struct memory_entry *entry, const void *value,
    size_t length)
{
	struct wire_reader reader;
	unsigned version;

	wire_read_begin(&reader, value, length);
	version = wire_get_u8(&reader);
	entry->first = get_time(&reader);
	entry->last = get_time(&reader);
	entry->tls_count = wire_get_u32(&reader);
	entry->tls_last = get_time(&reader);
	entry->clear_count = wire_get_u32(&reader);
	entry->clear_last = get_time(&reader);
	entry->lost_since = get_time(&reader);
	wire_copy_text(&reader, entry->version, sizeof(entry->version));
	entry->web_count = wire_get_u32(&reader);
	entry->dane_count = wire_get_u32(&reader);
	entry->dane_last = get_time(&reader);
	entry->sts_count = wire_get_u32(&reader);
	entry->sts_last = get_time(&reader);
	if (wire_read_end(&reader) == -1 || version != ROW_VERSION ||
	    !is_sound(entry))
		return -1;
	return 0;
}

static int read_key(struct memory_entry *entry, const char *key)
{
	const char *kind = key + strlen(PREFIX);

	if ((kind[0] != 'd' && kind[0] != 'h') || kind[1] != ':')
		return -1;
	entry->kind = kind[0] == 'h' ? MEMORY_HOST : MEMORY_DESTINATION;
	if (memory_read_name(kind + 2, entry->name, sizeof(entry->name)) == -1)
		return -1;
	return strcmp(entry->name, kind + 2) == 0 ? 0 : -1;
}

/* What was learnt before the disk could be read is put to the row. */
static int load(void *arg, const char *key, const void *value, size_t length)
{
	struct memory *memory = arg;
	struct memory_entry entry = { .kind = MEMORY_HOST };
	struct memory_record *record;
	bool known;

	if (read_key(&entry, key) == -1 ||
	    read_row(&entry, value, length) == -1)
		return -1;
	known = memory_find(memory, entry.kind, entry.name) != NULL;
	memory->silent = true;
	record = memory_merge(memory, &entry);
	memory->silent = false;
	if (known)
		memory_write_soon(memory, record);
	return 0;
}

static void save_one(void *arg, struct memory_record *record)
{
	memory_write_soon(arg, record);
}

static void save(void *arg)
{
	memory_each_record(arg, save_one, arg);
}

void memory_add_rows(struct memory *memory)
{
	ledger_add(memory->ledger, PREFIX, load, memory);
	ledger_on_loss(memory->ledger, PREFIX, save);
}
