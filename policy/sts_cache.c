/* SPDX-License-Identifier: ISC */
/*
 * A row is a version, the id, two times and the policy's text. Rows that cannot
 * be read, or whose text is no policy, are dropped with a line in the log. When
 * there is no room, what has expired or says "none" goes first, then what is in
 * testing and was not used for longest; a policy in enforce never goes.
 */
#include "policy/sts_cache.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/process.h"
#include "base/wire.h"
#include "policy/store.h"

enum { ROW_VERSION = 1, ENTRIES_MAX = 50000, BYTES_MAX = 64 << 20,
    POLICY_BYTES = 256 << 10, REOPEN_MILLISECONDS = 60000,
    WRITES_A_TURN = 64,		/* each waits for the disk */
    ROW_MAX = STS_BODY_MAX + 256 };

struct sts_cache {
	char			*directory;	/* owned; "": none */
	struct policy_store	*store;		/* owned; null: none, or it
						 * failed */
	struct hash		*entries;	/* domain -> sts_entry, owned */
	size_t			 bytes;		/* of the bodies */
	int64_t			 opened_at;	/* monotonic */
	bool			 loaded;
	bool			 known;		/* the store was read once */
	bool			 behind;	/* some entry is not saved */
	unsigned		 writes_left;	/* in this turn */
	char			**useless;	/* keys met while reading it */
	size_t			 useless_count;
};

/* --- entries --- */

static void entry_release(struct sts_entry *entry)
{
	mem_free(entry->body);
	arena_free(entry->arena);
}

static void entry_free(struct sts_cache *cache, struct sts_entry *entry)
{
	cache->bytes -= entry->length;
	entry_release(entry);
	mem_free(entry->domain);
	mem_free(entry);
}

int64_t sts_entry_left(const struct sts_entry *entry)
{
	int64_t age = entry->age_then + clock_monotonic() - entry->since;

	return entry->policy.max_age * 1000 - age;
}

/* Reads the text into the entry; it takes nothing over when it fails. */
static int entry_read(struct sts_entry *entry, const char *body, size_t length)
{
	struct arena *arena = arena_new(POLICY_BYTES);
	struct sts_policy policy;
	char why[160];

	if (sts_read_policy(body, length, arena, &policy, why,
	    sizeof(why)) == -1) {
		arena_free(arena);
		return -1;
	}
	entry->arena = arena;
	entry->policy = policy;
	entry->body = mem_dup(body, length);
	entry->length = length;
	return 0;
}

struct sts_entry *sts_cache_find(struct sts_cache *cache, const char *domain)
{
	return hash_find_text(cache->entries, domain);
}

struct walk {
	void	(*visit)(void *arg, struct sts_entry *entry);
	void	*arg;
};

static void walk_one(void *arg, const void *key, size_t length, void *value)
{
	const struct walk *walk = arg;

	(void)key;
	(void)length;
	walk->visit(walk->arg, value);
}

void sts_cache_each(struct sts_cache *cache,
    void (*visit)(void *arg, struct sts_entry *entry), void *arg)
{
	struct walk walk = { visit, arg };

	hash_each(cache->entries, walk_one, &walk);
}

uint64_t sts_cache_scan(struct sts_cache *cache, uint64_t cursor,
    void (*visit)(void *arg, struct sts_entry *entry), void *arg)
{
	struct walk walk = { visit, arg };

	return hash_scan(cache->entries, cursor, walk_one, &walk);
}

/* --- the store --- */

static void make_row(struct buf *row, const struct sts_entry *entry)
{
	struct wire_writer writer;

	buf_init(row, ROW_MAX);
	wire_write_begin(&writer, row);
	wire_put_u8(&writer, ROW_VERSION);
	wire_put_text(&writer, entry->id);
	wire_put_u64(&writer, (uint64_t)entry->fetched);
	wire_put_u64(&writer, (uint64_t)entry->used);
	wire_put_bytes(&writer, entry->body, entry->length);
	if (wire_write_end(&writer) == -1)
		bug("row of a policy");
}

/* What does not get to the disk now is left to sts_cache_tend(). */
static void write_entry(struct sts_cache *cache, struct sts_entry *entry)
{
	struct buf row;

	entry->saved = false;
	if (cache->store != NULL) {
		make_row(&row, entry);
		entry->saved = policy_store_put(cache->store, entry->domain,
		    buf_data(&row), buf_length(&row)) == 0;
		buf_release(&row);
	}
	if (entry->saved)
		return;
	cache->behind = true;
	policy_store_close(cache->store);
	cache->store = NULL;
}

/* Met again in a store that was away: what was fetched meanwhile differs. */
static void compare_row(struct sts_entry *entry, const void *value,
    size_t length)
{
	struct buf row;

	make_row(&row, entry);
	entry->saved = buf_length(&row) == length &&
	    memcmp(buf_data(&row), value, length) == 0;
	buf_release(&row);
}

/* To be deleted when the store has been read. */
static void note_useless(struct sts_cache *cache, const char *domain)
{
	cache->useless = mem_resize(cache->useless, cache->useless_count + 1,
	    sizeof(*cache->useless));
	cache->useless[cache->useless_count++] = mem_dup_string(domain);
}

/* What is in the future was fetched now, as far as we can tell: it may be in
 * force for max_age from now, and is fetched again at the first chance. */
static void set_age(struct sts_entry *entry)
{
	int64_t age = clock_wall() - entry->fetched;

	entry->since = clock_monotonic();
	entry->from_future = age < 0;
	entry->age_then = age < 0 ? 0 : age;
}

static bool is_id(const char *id)
{
	size_t length = strspn(id, "0123456789abcdefghijklmnopqrstuvwxyz"
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZ");

	return length > 0 && id[length] == '\0';
}

/* 0, or -1 when this is no row of ours. */
static int read_row(struct sts_entry *entry, const void *value, size_t size)
{
	struct arena *arena = arena_new(1024);
	struct wire_reader reader;
	const char *body;
	unsigned version;
	size_t length;

	wire_read_begin(&reader, value, size);
	version = wire_get_u8(&reader);
	snprintf(entry->id, sizeof(entry->id), "%s",
	    wire_get_text(&reader, arena, STS_ID_MAX));
	entry->fetched = (int64_t)(wire_get_u64(&reader) & INT64_MAX);
	entry->used = (int64_t)(wire_get_u64(&reader) & INT64_MAX);
	body = wire_get_bytes(&reader, STS_BODY_MAX, &length);
	arena_free(arena);
	if (wire_read_end(&reader) == -1 || version != ROW_VERSION ||
	    !is_id(entry->id))
		return -1;
	return entry_read(entry, body, length);
}

static void load_row(void *arg, const char *domain, const void *value,
    size_t length)
{
	struct sts_cache *cache = arg;
	struct sts_entry *entry;

	entry = sts_cache_find(cache, domain);
	if (entry != NULL) {
		compare_row(entry, value, length);
		return;
	}
	if (cache->known) {	/* removed while the store was away */
		note_useless(cache, domain);
		return;
	}
	if (hash_count(cache->entries) >= ENTRIES_MAX ||
	    cache->bytes > BYTES_MAX)
		return;
	entry = mem_alloc(sizeof(*entry));
	if (read_row(entry, value, length) == -1) {
		mem_free(entry);
		log_error("a remembered MTA-STS policy is not readable: "
		    "forgotten", log_text("domain", domain));
		note_useless(cache, domain);
		return;
	}
	entry->domain = mem_dup_string(domain);
	entry->saved = true;
	set_age(entry);
	cache->bytes += entry->length;
	hash_put_text(cache->entries, entry->domain, entry);
}

static void open_store(struct sts_cache *cache)
{
	char path[PATH_MAX];
	const char *home = process_directory(cache->directory);

	if (snprintf(path, sizeof(path), "%s/sts", strcmp(home, "/") == 0 ?
	    "" : home) >= (int)sizeof(path))
		fatal("path is too long", log_text("path", home));
	cache->opened_at = clock_monotonic();
	cache->store = policy_store_open(path);
}

static void read_store(struct sts_cache *cache)
{
	bool whole = policy_store_each(cache->store, load_row, cache) == 0;
	size_t i;

	cache->known = cache->known || whole;
	for (i = 0; i < cache->useless_count; i++) {
		policy_store_delete(cache->store, cache->useless[i]);
		mem_free(cache->useless[i]);
	}
	mem_free(cache->useless);
	cache->useless = NULL;
	cache->useless_count = 0;
}

void sts_cache_load(struct sts_cache *cache)
{
	if (cache->loaded)
		return;
	cache->loaded = true;
	if (cache->directory[0] == '\0')
		return;
	open_store(cache);
	if (cache->store == NULL) {
		log_error("MTA-STS policies are not remembered across restarts"
		    " for now");
		return;
	}
	read_store(cache);
	log_debug("policies remembered", log_number("count",
	    (int64_t)hash_count(cache->entries)));
}

static void note_unsaved(void *arg, struct sts_entry *entry)
{
	(void)arg;
	entry->saved = false;
}

static void reopen_store(struct sts_cache *cache)
{
	open_store(cache);
	if (cache->store == NULL)
		return;
	sts_cache_each(cache, note_unsaved, NULL);
	read_store(cache);
	cache->behind = true;
}

static void write_again(void *arg, struct sts_entry *entry)
{
	struct sts_cache *cache = arg;

	if (entry->saved || cache->store == NULL)
		return;
	if (cache->writes_left == 0) {
		cache->behind = true;
		return;
	}
	cache->writes_left--;
	write_entry(cache, entry);
}

void sts_cache_tend(struct sts_cache *cache)
{
	if (!cache->loaded || cache->directory[0] == '\0')
		return;
	if (cache->store == NULL &&
	    clock_monotonic() - cache->opened_at >= REOPEN_MILLISECONDS)
		reopen_store(cache);
	if (cache->store == NULL || !cache->behind)
		return;
	cache->behind = false;
	cache->writes_left = WRITES_A_TURN;
	sts_cache_each(cache, write_again, cache);
}

/* --- changes --- */

struct victim {
	const struct sts_entry	*kept;		/* the one to be replaced */
	struct sts_entry	*entry;
	int			 worth;
};

/* The less it is worth, the sooner it goes. */
static int worth_of(const struct sts_entry *entry)
{
	if (sts_entry_left(entry) <= 0 || entry->policy.mode == STS_MODE_NONE)
		return 0;
	return entry->policy.mode == STS_MODE_TESTING ? 1 : 2;
}

static void find_victim(void *arg, struct sts_entry *entry)
{
	struct victim *victim = arg;
	int worth = worth_of(entry);

	if (entry == victim->kept || worth > 1)
		return;
	if (victim->entry != NULL && (worth > victim->worth ||
	    (worth == victim->worth && entry->used >= victim->entry->used)))
		return;
	victim->entry = entry;
	victim->worth = worth;
}

/* For a text of this length, instead of what is replaced if that is set. */
static int make_room(struct sts_cache *cache, const struct sts_entry *replaced,
    size_t length)
{
	size_t given = replaced == NULL ? 0 : replaced->length;
	struct victim victim;

	while ((replaced == NULL &&
	    hash_count(cache->entries) >= ENTRIES_MAX) || (length > given &&
	    cache->bytes - given + length > BYTES_MAX)) {
		victim = (struct victim){ .kept = replaced };
		sts_cache_each(cache, find_victim, &victim);
		if (victim.entry == NULL)
			return -1;
		sts_cache_remove(cache, victim.entry->domain);
	}
	return 0;
}

struct sts_entry *sts_cache_put(struct sts_cache *cache, const char *domain,
    const char *id, const char *body, size_t length)
{
	struct sts_entry *entry = sts_cache_find(cache, domain), old;

	if (make_room(cache, entry, length) == -1) {
		log_error("too many MTA-STS policies: not remembered",
		    log_text("domain", domain));
		return NULL;
	}
	if (entry == NULL) {
		entry = mem_alloc(sizeof(*entry));
		entry->domain = mem_dup_string(domain);
		entry->used = clock_wall();
		hash_put_text(cache->entries, domain, entry);
	}
	old = *entry;
	if (entry_read(entry, body, length) == -1)
		bug("a policy that was one before");
	if (old.arena != NULL)
		entry_release(&old);
	cache->bytes += length;
	cache->bytes -= old.length;
	snprintf(entry->id, sizeof(entry->id), "%s", id);
	entry->fetched = clock_wall();
	entry->alarmed_at = 0;
	set_age(entry);
	write_entry(cache, entry);
	return entry;
}

bool sts_cache_remove(struct sts_cache *cache, const char *domain)
{
	struct sts_entry *entry = hash_remove_text(cache->entries, domain);

	if (entry == NULL)
		return false;
	if (cache->store != NULL &&
	    policy_store_delete(cache->store, entry->domain) == -1) {
		policy_store_close(cache->store);
		cache->store = NULL;
	}
	entry_free(cache, entry);
	return true;
}

struct sts_cache *sts_cache_new(const char *directory)
{
	struct sts_cache *cache = mem_alloc(sizeof(*cache));

	cache->directory = mem_dup_string(directory);
	cache->entries = hash_new();
	return cache;
}

static void free_entry(void *arg, struct sts_entry *entry)
{
	entry_free(arg, entry);
}

void sts_cache_free(struct sts_cache *cache)
{
	if (cache == NULL)
		return;
	sts_cache_each(cache, free_entry, cache);
	hash_free(cache->entries);
	policy_store_close(cache->store);
	mem_free(cache->directory);
	mem_free(cache);
}
