/* SPDX-License-Identifier: ISC */
/*
 * The records of TLS memory by name, by when they were seen and, those that
 * bind, by when TLS was seen. memory_settle() is the only place that decides
 * whether a record binds; what ends by age is found by a timer.
 */
#include "policy/memory_private.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"

enum { FULL_PAUSE = 3600 * 1000, LABEL_MAX = 63, NAME_LENGTH_MAX = 255 };

/* --- names --- */

/* Hosts with underscores do exist, so this is not domain_parse(). */
static bool is_name_byte(char byte)
{
	return (byte >= 'a' && byte <= 'z') || (byte >= '0' && byte <= '9') ||
	    byte == '-' || byte == '_';
}

int memory_read_name(const char *text, char *out, size_t size)
{
	size_t length = strlen(text), label = 0, i;

	if (length > 0 && text[length - 1] == '.')
		length--;
	if (length == 0 || length > NAME_LENGTH_MAX || length >= size)
		return -1;
	for (i = 0; i < length; i++) {
		out[i] = text[i] >= 'A' && text[i] <= 'Z' ?
		    (char)(text[i] - 'A' + 'a') : text[i];
		if (out[i] == '.' && label > 0)
			label = 0;
		else if (!is_name_byte(out[i]) || ++label > LABEL_MAX)
			return -1;
	}
	out[length] = '\0';
	return label > 0 ? 0 : -1;
}

struct memory_record *memory_find(const struct memory *memory,
    enum memory_kind kind, const char *name)
{
	return hash_find_text(memory->names[kind], name);
}

/* --- telling --- */

static void on_telling(void *arg)
{
	struct memory *memory = arg;

	memory->told_at = clock_monotonic();
	if (memory->changed != NULL)
		memory->changed(memory->arg, "");
}

/* "" is dear to whoever hears it: connections are closed for it. */
static void tell_all(struct memory *memory)
{
	int64_t past = clock_monotonic() - memory->told_at;

	if (timer_is_running(&memory->telling))
		return;
	if (memory->told_at == 0 || past >= MEMORY_TELL_MILLISECONDS)
		on_telling(memory);
	else
		timer_start(&memory->telling, MEMORY_TELL_MILLISECONDS - past,
		    on_telling, memory);
}

void memory_tell(struct memory *memory, const char *domain)
{
	if (memory->silent)
		return;
	if (domain[0] == '\0')
		tell_all(memory);
	else if (memory->changed != NULL)
		memory->changed(memory->arg, domain);
}

static void tell_of(struct memory *memory, const struct memory_record *record)
{
	if (record->kind == MEMORY_DESTINATION)
		memory_tell(memory, record->name);
	else if (memory->defers)
		memory_tell(memory, "");
}

/* --- what binds --- */

bool memory_is_fresh(const struct memory *memory, int64_t then)
{
	return clock_monotonic() - then < memory->age;
}

static void on_ageing(void *arg);

/* Those that are seen again are due later than the timer: it looks then, and
 * waits again. */
static void watch_ages(struct memory *memory)
{
	const struct heap_node *first = heap_first(&memory->binding);

	if (first == NULL)
		timer_stop(&memory->ageing);
	else if (!timer_is_running(&memory->ageing))
		timer_start(&memory->ageing, first->due + memory->age -
		    clock_monotonic(), on_ageing, memory);
}

/* Into the heaps where it belongs now. */
static void sort_in(struct memory *memory, struct memory_record *record,
    bool expected)
{
	if (expected)
		heap_insert(&memory->binding, &record->binds,
		    record->tls_then);
	else
		heap_remove(&memory->binding, &record->binds);
	if (expected == record->expected)
		return;
	heap_remove(&memory->seen[record->expected], &record->seen);
	heap_insert(&memory->seen[expected], &record->seen, record->seen.due);
	record->expected = expected;
}

void memory_settle(struct memory *memory, struct memory_record *record)
{
	bool expected = record->tls_count >= memory->observations &&
	    memory_is_fresh(memory, record->tls_then);
	bool clear = record->tls_last == 0 &&
	    record->clear_count >= memory->observations;
	bool changed = expected != record->expected ||
	    clear != record->known_clear;

	sort_in(memory, record, expected);
	record->known_clear = clear;
	watch_ages(memory);
	if (changed)
		tell_of(memory, record);
}

static void on_ageing(void *arg)
{
	struct memory *memory = arg;
	struct heap_node *first;
	struct memory_record *record;

	while ((first = heap_first(&memory->binding)) != NULL &&
	    !memory_is_fresh(memory, first->due)) {
		record = (struct memory_record *)((char *)first -
		    offsetof(struct memory_record, binds));
		log_debug("memory-aged", log_text("name", record->name));
		memory_settle(memory, record);
	}
	watch_ages(memory);
}

/* --- coming and going --- */

void memory_remove(struct memory *memory, struct memory_record *record)
{
	bool bound = record->expected || record->known_clear;

	hash_remove_text(memory->names[record->kind], record->name);
	heap_remove(&memory->seen[record->expected], &record->seen);
	heap_remove(&memory->binding, &record->binds);
	memory->count--;
	if (bound)
		tell_of(memory, record);
	mem_free(record);
}

static bool is_pinned(const struct memory *memory,
    const struct memory_record *record)
{
	return record->kind == MEMORY_DESTINATION &&
	    hash_find_text(memory->pins, record->name) != NULL;
}

/* Of the class, the least recently seen that is not pinned; null: none. One
 * that is pinned counts as seen. */
static struct memory_record *find_victim(struct memory *memory, int class)
{
	struct heap *heap = &memory->seen[class];
	struct memory_record *record;
	size_t left = heap->count;

	while (left-- > 0) {
		record = (struct memory_record *)((char *)heap_first(heap) -
		    offsetof(struct memory_record, seen));
		if (!is_pinned(memory, record))
			return record;
		heap_insert(heap, &record->seen, clock_monotonic());
	}
	return NULL;
}

static void tell_full(struct memory *memory)
{
	int64_t now = clock_monotonic();

	if (memory->full_at != 0 && now - memory->full_at < FULL_PAUSE)
		return;
	memory->full_at = now;
	log_warn("TLS memory is full of names that are known for TLS: those "
	    "not seen for longest are forgotten",
	    log_number("entries", (int64_t)memory->count));
}

static void make_room(struct memory *memory)
{
	struct memory_record *victim;

	while (memory->count >= MEMORY_ENTRIES_MAX) {
		victim = find_victim(memory, RECORDS_OTHER);
		if (victim == NULL) {
			victim = find_victim(memory, RECORDS_EXPECTED);
			tell_full(memory);
		}
		if (victim == NULL)
			bug("more pins than entries");
		memory_delete_row(memory, victim, false);
		memory_remove(memory, victim);
	}
}

struct memory_record *memory_make(struct memory *memory,
    enum memory_kind kind, const char *name)
{
	struct memory_record *record = memory_find(memory, kind, name);
	size_t length = strlen(name);

	if (record != NULL)
		return record;
	make_room(memory);
	record = mem_alloc(sizeof(*record) + length + 1);
	record->kind = (uint8_t)kind;
	memcpy(record->name, name, length + 1);
	hash_put_text(memory->names[kind], name, record);
	heap_insert(&memory->seen[RECORDS_OTHER], &record->seen,
	    clock_monotonic());
	memory->count++;
	return record;
}

/* --- values --- */

void memory_entry_of(const struct memory_record *record,
    struct memory_entry *entry)
{
	*entry = (struct memory_entry){ .kind = record->kind,
	    .first = record->first, .last = record->last,
	    .tls_count = record->tls_count, .tls_last = record->tls_last,
	    .clear_count = record->clear_count,
	    .clear_last = record->clear_last,
	    .lost_since = record->lost_since, .web_count = record->web_count,
	    .dane_count = record->dane_count, .dane_last = record->dane_last,
	    .sts_count = record->sts_count, .sts_last = record->sts_last };
	snprintf(entry->name, sizeof(entry->name), "%s", record->name);
	snprintf(entry->version, sizeof(entry->version), "%s",
	    record->version);
}

static void add_count(uint32_t *count, uint32_t more)
{
	*count = more > UINT32_MAX - *count ? UINT32_MAX : *count + more;
}

static void raise_to(int64_t *time, int64_t other)
{
	if (other > *time)
		*time = other;
}

/* When that was by the monotonic clock. */
static int64_t then_of(int64_t wall)
{
	int64_t age = clock_wall() - wall;

	return clock_monotonic() - (age > 0 ? age : 0);
}

/* The later of the two, by both clocks. */
static void merge_last(int64_t *last, int64_t *then, int64_t other)
{
	int64_t other_then = then_of(other);

	if (other == 0)
		return;
	if (*last == 0 || other_then > *then)
		*then = other_then;
	raise_to(last, other);
}

/* Before the rest is put together: of what is not earlier than TLS seen by
 * either, the first. */
static int64_t merge_lost(const struct memory_record *record,
    const struct memory_entry *entry)
{
	int64_t one = record->lost_since, other = entry->lost_since;
	int64_t last = record->tls_last;

	if (entry->tls_last == 0)
		return one;
	if (record->tls_last == 0)
		return other;
	raise_to(&last, entry->tls_last);
	if (one < last)
		one = 0;
	if (other < last)
		other = 0;
	return one == 0 || (other != 0 && other < one) ? other : one;
}

static void merge_times(struct memory_record *record,
    const struct memory_entry *entry)
{
	record->lost_since = merge_lost(record, entry);
	if (record->first == 0 || entry->first < record->first)
		record->first = entry->first;
	raise_to(&record->last, entry->last);
	raise_to(&record->clear_last, entry->clear_last);
	merge_last(&record->tls_last, &record->tls_then, entry->tls_last);
	merge_last(&record->dane_last, &record->dane_then, entry->dane_last);
	merge_last(&record->sts_last, &record->sts_then, entry->sts_last);
}

struct memory_record *memory_merge(struct memory *memory,
    const struct memory_entry *entry)
{
	bool is_new = memory_find(memory, entry->kind, entry->name) == NULL;
	struct memory_record *record = memory_make(memory, entry->kind,
	    entry->name);
	int64_t then = then_of(entry->last);

	if (is_new || then > record->seen.due)
		heap_insert(&memory->seen[record->expected], &record->seen,
		    then);
	if (entry->tls_last >= record->tls_last)
		snprintf(record->version, sizeof(record->version), "%s",
		    entry->version);
	merge_times(record, entry);
	add_count(&record->tls_count, entry->tls_count);
	add_count(&record->clear_count, entry->clear_count);
	add_count(&record->web_count, entry->web_count);
	add_count(&record->dane_count, entry->dane_count);
	add_count(&record->sts_count, entry->sts_count);
	memory_settle(memory, record);
	return record;
}

struct walk {
	void	(*visit)(void *arg, struct memory_record *record);
	void	*arg;
};

static void walk_one(void *arg, const void *key, size_t length, void *value)
{
	const struct walk *walk = arg;

	(void)key;
	(void)length;
	walk->visit(walk->arg, value);
}

void memory_each_record(const struct memory *memory,
    void (*visit)(void *arg, struct memory_record *record), void *arg)
{
	struct walk walk = { visit, arg };
	int kind;

	for (kind = 0; kind < MEMORY_KINDS; kind++)
		hash_each(memory->names[kind], walk_one, &walk);
}

struct settling {
	struct memory	*memory;
	bool		 changed;
};

static void settle_one(void *arg, struct memory_record *record)
{
	struct settling *settling = arg;
	bool expected = record->expected, clear = record->known_clear;

	memory_settle(settling->memory, record);
	if (expected != record->expected || clear != record->known_clear)
		settling->changed = true;
}

/* Told once for all. */
void memory_settle_all(struct memory *memory)
{
	struct settling settling = { memory, false };

	timer_stop(&memory->ageing);
	memory->silent = true;
	memory_each_record(memory, settle_one, &settling);
	memory->silent = false;
	if (settling.changed)
		memory_tell(memory, "");
}
