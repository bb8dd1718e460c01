/* SPDX-License-Identifier: ISC */
/*
 * TLS memory as JSON objects, out and in. What comes in was typed or made by
 * somebody: every member is asked for its type and its range, unknown ones are
 * refused, and the sentence names the member.
 */
#include "policy/memory_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/mem.h"

/* Two clocks may differ; what is later than that is a mistake. */
#define AHEAD_MAX ((int64_t)24 * 3600 * 1000)

enum member_type { MEMBER_TIME, MEMBER_COUNT };

static const struct member {
	const char		*name;
	enum member_type	 type;
	size_t			 offset;
} members[] = {
#define TIME(text, member) { text, MEMBER_TIME, \
    offsetof(struct memory_entry, member) }
#define COUNT(text, member) { text, MEMBER_COUNT, \
    offsetof(struct memory_entry, member) }
	TIME("first", first), TIME("last", last),
	COUNT("tls", tls_count), TIME("tls-last", tls_last),
	COUNT("clear", clear_count), TIME("clear-last", clear_last),
	TIME("lost-since", lost_since), COUNT("web", web_count),
	COUNT("dane", dane_count), TIME("dane-last", dane_last),
	COUNT("sts", sts_count), TIME("sts-last", sts_last),
};

enum { MEMBERS = sizeof(members) / sizeof(members[0]) };

static const char *const kind_names[] = {
	[MEMORY_DESTINATION] = "destination", [MEMORY_HOST] = "host" };

static int64_t *time_of(struct memory_entry *entry,
    const struct member *member)
{
	return (int64_t *)(void *)((char *)entry + member->offset);
}

static uint32_t *count_of(struct memory_entry *entry,
    const struct member *member)
{
	return (uint32_t *)(void *)((char *)entry + member->offset);
}

/* --- out --- */

static void set_time(json_t *object, const char *name, int64_t wall)
{
	char text[40];

	if (wall == 0)
		return;
	clock_format_iso(wall, text, sizeof(text));
	json_object_set_new(object, name, json_string(text));
}

static void set_text(json_t *object, const char *name, const char *text)
{
	if (text[0] != '\0')
		json_object_set_new(object, name, json_string(text));
}

static json_t *expectations(struct memory *memory, enum memory_kind kind,
    const char *name)
{
	json_t *list = json_array();
	struct fact_memory fact;

	memory_fact(memory, kind, name, &fact);
	if (fact.expects_tls)
		json_array_append_new(list, json_string("tls"));
	if (fact.expects_dane)
		json_array_append_new(list, json_string("dane"));
	if (fact.expects_sts)
		json_array_append_new(list, json_string("sts"));
	if (fact.expects_web)
		json_array_append_new(list, json_string("web"));
	return list;
}

json_t *memory_record_object(struct memory *memory,
    const struct memory_record *record)
{
	json_t *object = json_object();
	struct memory_entry entry;
	size_t i;

	memory_entry_of(record, &entry);
	set_text(object, kind_names[entry.kind], entry.name);
	for (i = 0; i < MEMBERS; i++) {
		if (members[i].type == MEMBER_TIME)
			set_time(object, members[i].name,
			    *time_of(&entry, &members[i]));
		else
			json_object_set_new(object, members[i].name,
			    json_integer(*count_of(&entry, &members[i])));
	}
	set_text(object, "version", entry.version);
	json_object_set_new(object, "expects", expectations(memory, entry.kind,
	    entry.name));
	return object;
}

json_t *memory_pin_object(const struct plan_pin *pin)
{
	json_t *object = json_object(), *list = json_array();
	char text[2 * DIGEST_BYTES + 1];
	size_t i;

	set_text(object, "pin", pin->domain);
	set_text(object, "level", pin_level_name(pin->level));
	for (i = 0; i < pin->fingerprint_count; i++) {
		hex_format(pin->fingerprints[i], DIGEST_BYTES, text,
		    sizeof(text));
		json_array_append_new(list, json_string(text));
	}
	json_object_set_new(object, "fingerprints", list);
	set_text(object, "reason", pin->reason);
	set_text(object, "author", pin->author);
	set_time(object, "made", pin->made);
	return object;
}

void memory_each_of(struct memory *memory, const char *name,
    void (*visit)(void *arg, json_t *object), void *arg)
{
	const struct memory_record *record;
	const struct plan_pin *pin;
	char known[256];
	int kind;

	if (memory_read_name(name, known, sizeof(known)) == -1)
		return;
	for (kind = 0; kind < MEMORY_KINDS; kind++) {
		record = memory_find(memory, kind, known);
		if (record != NULL)
			visit(arg, memory_record_object(memory, record));
	}
	pin = memory_pin(memory, known);
	if (pin != NULL)
		visit(arg, memory_pin_object(pin));
}

/* --- in --- */

/* Keeps the sentence; -1. */
static int wrong(struct memory *memory, const char *member, const char *text)
{
	snprintf(memory->problem, sizeof(memory->problem), "\"%.40s\": %s",
	    member, text);
	return -1;
}

/* Null when it is no text of less than size bytes. */
static const char *text_of(const json_t *value, size_t size)
{
	const char *text = json_string_value(value);

	if (text == NULL || json_string_length(value) >= size ||
	    strlen(text) != json_string_length(value))
		return NULL;
	return text;
}

/* RFC 3339 in UTC, as it is told; ms, or -1. */
static int64_t parse_time(const char *text)
{
	struct tm fields = { 0 };
	const char *end = strptime(text, "%Y-%m-%dT%H:%M:%SZ", &fields);
	char again[40];
	time_t seconds;

	if (end == NULL || *end != '\0')
		return -1;
	seconds = timegm(&fields);
	if (seconds <= 0 || gmtime_r(&seconds, &fields) == NULL ||
	    strftime(again, sizeof(again), "%Y-%m-%dT%H:%M:%SZ",
	    &fields) == 0 || strcmp(again, text) != 0)
		return -1;
	return (int64_t)seconds * 1000;
}

static int read_time(struct memory *memory, const char *name,
    const json_t *value, int64_t *out)
{
	int64_t now = clock_wall();
	const char *text = text_of(value, 40);
	int64_t wall = text == NULL ? -1 : parse_time(text);

	if (wall == -1)
		return wrong(memory, name,
		    "a time is written 2026-11-22T12:42:06Z");
	if (wall > now + AHEAD_MAX)
		return wrong(memory, name, "it is in the future");
	*out = wall < now ? wall : now;
	return 0;
}

static int read_count(struct memory *memory, const char *name,
    const json_t *value, uint32_t *out)
{
	if (!json_is_integer(value) || json_integer_value(value) < 0 ||
	    json_integer_value(value) > UINT32_MAX)
		return wrong(memory, name, "a number from 0 to 4294967295 is "
		    "expected");
	*out = (uint32_t)json_integer_value(value);
	return 0;
}

static int read_version(struct memory *memory, const json_t *value,
    struct memory_entry *entry)
{
	const char *text = text_of(value, sizeof(entry->version));
	size_t i;

	for (i = 0; text != NULL && text[i] != '\0'; i++)
		if (text[i] < ' ' || text[i] > '~')
			text = NULL;
	if (text == NULL)
		return wrong(memory, "version", "a text such as TLSv1.3 is "
		    "expected");
	snprintf(entry->version, sizeof(entry->version), "%s", text);
	return 0;
}

static int read_member(struct memory *memory, const char *name,
    const json_t *value, struct memory_entry *entry)
{
	size_t i;

	if (strcmp(name, kind_names[entry->kind]) == 0 ||
	    strcmp(name, "expects") == 0)
		return 0;
	if (strcmp(name, "version") == 0)
		return read_version(memory, value, entry);
	for (i = 0; i < MEMBERS; i++) {
		if (strcmp(name, members[i].name) != 0)
			continue;
		if (members[i].type == MEMBER_TIME)
			return read_time(memory, name, value,
			    time_of(entry, &members[i]));
		return read_count(memory, name, value,
		    count_of(entry, &members[i]));
	}
	return wrong(memory, name, "there is no such member");
}

/* Each count has its date and each date its count. */
static int check_pairs(struct memory *memory, const struct memory_entry *entry)
{
	const struct { const char *count, *last; uint32_t number;
	    int64_t time; } pairs[] = {
		{ "tls", "tls-last", entry->tls_count, entry->tls_last },
		{ "clear", "clear-last", entry->clear_count,
		    entry->clear_last },
		{ "dane", "dane-last", entry->dane_count, entry->dane_last },
		{ "sts", "sts-last", entry->sts_count, entry->sts_last },
	};
	size_t i;

	for (i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		if (pairs[i].number > 0 && pairs[i].time == 0)
			return wrong(memory, pairs[i].last,
			    "it is missing, and its count is not 0");
		if (pairs[i].number == 0 && pairs[i].time != 0)
			return wrong(memory, pairs[i].count,
			    "it is missing or 0, and its date is there");
	}
	if (entry->web_count > entry->tls_count)
		return wrong(memory, "web", "it is more than \"tls\"");
	if (entry->tls_count == 0 && entry->clear_count == 0)
		return wrong(memory, "tls", "it and \"clear\" are missing or "
		    "0: nothing was seen");
	return 0;
}

/* The dates that follow from the others. */
static void complete(struct memory_entry *entry)
{
	const int64_t seen[] = { entry->tls_last, entry->clear_last,
	    entry->dane_last, entry->sts_last };
	size_t i;

	for (i = 0; i < sizeof(seen) / sizeof(seen[0]); i++) {
		if (seen[i] > entry->last)
			entry->last = seen[i];
		if (seen[i] != 0 && (entry->first == 0 ||
		    seen[i] < entry->first))
			entry->first = seen[i];
	}
}

static int import_entry(struct memory *memory, enum memory_kind kind,
    const json_t *object)
{
	struct memory_entry entry = { .kind = kind };
	const char *text = text_of(json_object_get(object, kind_names[kind]),
	    sizeof(entry.name) + 1), *name;
	json_t *value;

	if (text == NULL || memory_read_name(text, entry.name,
	    sizeof(entry.name)) == -1)
		return wrong(memory, kind_names[kind],
		    "a domain name is expected");
	json_object_foreach((json_t *)(uintptr_t)object, name, value)
		if (read_member(memory, name, value, &entry) == -1)
			return -1;
	if (check_pairs(memory, &entry) == -1)
		return -1;
	complete(&entry);
	memory_write_soon(memory, memory_merge(memory, &entry));
	return 0;
}

static int read_level(struct memory *memory, const json_t *value,
    struct plan_pin *pin)
{
	const char *text = text_of(value, 40);
	int level;

	for (level = 0; text != NULL && level < PIN_LEVELS; level++)
		if (strcmp(text, pin_level_name(level)) == 0) {
			pin->level = level;
			return 0;
		}
	return wrong(memory, "level", "encrypt, verify or fingerprint is "
	    "expected");
}

static int read_fingerprints(struct memory *memory, const json_t *value,
    struct plan_pin *pin)
{
	uint8_t bytes[DIGEST_BYTES];
	const char *text;
	size_t i;

	if (!json_is_array(value) ||
	    json_array_size(value) > PLAN_PIN_FINGERPRINTS_MAX)
		return wrong(memory, "fingerprints", "a list of eight at most "
		    "is expected");
	for (i = 0; i < json_array_size(value); i++) {
		text = text_of(json_array_get(value, i), 128);
		if (text == NULL || hex_parse(bytes, sizeof(bytes), text) !=
		    DIGEST_BYTES)
			return wrong(memory, "fingerprints", "each is a "
			    "SHA-256 digest, 64 hexadecimal digits");
		memcpy(pin->fingerprints[pin->fingerprint_count++], bytes,
		    DIGEST_BYTES);
	}
	return 0;
}

static int read_line(struct memory *memory, const char *name,
    const json_t *value, char *out, size_t size)
{
	const char *text = text_of(value, size);

	if (text == NULL)
		return wrong(memory, name, "a text is expected, not too long");
	snprintf(out, size, "%s", text);
	return 0;
}

static int read_pin_member(struct memory *memory, const char *name,
    const json_t *value, struct plan_pin *pin)
{
	if (strcmp(name, "pin") == 0)
		return read_line(memory, name, value, pin->domain,
		    sizeof(pin->domain));
	if (strcmp(name, "level") == 0)
		return read_level(memory, value, pin);
	if (strcmp(name, "fingerprints") == 0)
		return read_fingerprints(memory, value, pin);
	if (strcmp(name, "reason") == 0)
		return read_line(memory, name, value, pin->reason,
		    sizeof(pin->reason));
	if (strcmp(name, "author") == 0)
		return read_line(memory, name, value, pin->author,
		    sizeof(pin->author));
	if (strcmp(name, "made") == 0)
		return read_time(memory, name, value, &pin->made);
	return wrong(memory, name, "there is no such member");
}

static int import_pin(struct memory *memory, const json_t *object)
{
	struct plan_pin pin = { .made = 0 };
	const char *name, *problem;
	json_t *value;

	if (json_object_get(object, "level") == NULL)
		return wrong(memory, "level", "it is missing");
	json_object_foreach((json_t *)(uintptr_t)object, name, value)
		if (read_pin_member(memory, name, value, &pin) == -1)
			return -1;
	problem = memory_set_pin(memory, &pin);
	if (problem == NULL)
		return 0;
	if (problem[0] != '"')
		return wrong(memory, "pin", problem);
	snprintf(memory->problem, sizeof(memory->problem), "%s", problem);
	return -1;
}

const char *memory_import(struct memory *memory, const json_t *object)
{
	bool destination, host, pin;
	int result;

	destination = json_object_get(object, "destination") != NULL;
	host = json_object_get(object, "host") != NULL;
	pin = json_object_get(object, "pin") != NULL;
	if (destination + host + pin != 1)
		return "an object with one member \"destination\", \"host\" or "
		    "\"pin\" is expected";
	if (pin)
		result = import_pin(memory, object);
	else
		result = import_entry(memory, host ? MEMORY_HOST :
		    MEMORY_DESTINATION, object);
	return result == 0 ? NULL : memory->problem;
}
