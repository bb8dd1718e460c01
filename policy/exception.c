/* SPDX-License-Identifier: ISC */
/*
 * A row is a version and the members of struct exception; one more row has the
 * last id, so that none is given twice. Each exception ends by the wall clock
 * or by its own end on the monotonic one, whichever comes first; a tick removes
 * what has ended, and nobody finds it even before that.
 */
#include "policy/exception.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/queue.h>

#include "base/address.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/idn.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "base/wire.h"
#include "policy/ledger.h"
#include "policy/line.h"

/* The wall clock may be set at any time: it is looked at each TICK_MAX. */
enum { ROW_VERSION = 1, ROW_MAX = 1024, TICK_MAX = 60000 };

#define PREFIX "exception:"
#define LAST_KEY PREFIX "last"

struct held {
	struct exception	 about;
	int64_t			 end;		/* monotonic */
	struct held		*next;		/* of the same pattern, those
						 * that end later first */
	TAILQ_ENTRY(held)	 entries;	/* by id */
};

struct exceptions {
	struct ledger		*ledger;	/* outlives us */
	void			(*changed)(void *arg, const char *pattern);
	void			*arg;
	TAILQ_HEAD(held_list, held) all;	/* owned */
	struct hash		*by_id;
	struct hash		*by_pattern;	/* -> the first of a chain */
	uint64_t		 last_id;
	struct timer		 tick;		/* runs while there are any */
};

static bool is_in_force(const struct held *held)
{
	return clock_wall() < held->about.until &&
	    clock_monotonic() < held->end;
}

/* --- the table --- */

static void insert_by_id(struct exceptions *exceptions, struct held *held)
{
	struct held *before = TAILQ_LAST(&exceptions->all, held_list);

	while (before != NULL && before->about.id > held->about.id)
		before = TAILQ_PREV(before, held_list, entries);
	if (before != NULL)
		TAILQ_INSERT_AFTER(&exceptions->all, before, held, entries);
	else
		TAILQ_INSERT_HEAD(&exceptions->all, held, entries);
	hash_put_id(exceptions->by_id, held->about.id, held);
}

static void insert_by_pattern(struct exceptions *exceptions,
    struct held *held)
{
	struct held *first = hash_find_text(exceptions->by_pattern,
	    held->about.pattern), **link = &first;

	while (*link != NULL && (*link)->about.until >= held->about.until)
		link = &(*link)->next;
	held->next = *link;
	*link = held;
	hash_put_text(exceptions->by_pattern, held->about.pattern, first);
}

static void remove_by_pattern(struct exceptions *exceptions,
    struct held *held)
{
	struct held *first = hash_find_text(exceptions->by_pattern,
	    held->about.pattern), **link = &first;

	while (*link != held)
		link = &(*link)->next;
	*link = held->next;
	if (first != NULL)
		hash_put_text(exceptions->by_pattern, held->about.pattern,
		    first);
	else
		hash_remove_text(exceptions->by_pattern, held->about.pattern);
}

/* What began in the future is in force for no longer than it was made for. */
static void insert(struct exceptions *exceptions,
    const struct exception *about)
{
	struct held *held = mem_alloc(sizeof(*held));
	int64_t now = clock_wall();

	held->about = *about;
	held->end = clock_monotonic() + about->until -
	    (about->made > now ? about->made : now);
	insert_by_id(exceptions, held);
	insert_by_pattern(exceptions, held);
}

static void forget(struct exceptions *exceptions, struct held *held)
{
	TAILQ_REMOVE(&exceptions->all, held, entries);
	hash_remove_id(exceptions->by_id, held->about.id);
	remove_by_pattern(exceptions, held);
	mem_free(held);
}

static void tell(const struct exceptions *exceptions, const char *pattern)
{
	if (exceptions->changed != NULL)
		exceptions->changed(exceptions->arg, pattern);
}

/* --- rows --- */

static void key_of(uint64_t id, char *key, size_t size)
{
	snprintf(key, size, PREFIX "%016" PRIx64, id);
}

static void make_row(struct buf *row, const struct exception *about)
{
	struct wire_writer writer;

	buf_init(row, ROW_MAX);
	wire_write_begin(&writer, row);
	wire_put_u8(&writer, ROW_VERSION);
	wire_put_u64(&writer, about->id);
	wire_put_u8(&writer, (uint8_t)about->level);
	wire_put_u64(&writer, (uint64_t)about->made);
	wire_put_u64(&writer, (uint64_t)about->until);
	wire_put_u64(&writer, about->uses);
	wire_put_u64(&writer, (uint64_t)about->used);
	wire_put_text(&writer, about->pattern);
	wire_put_text(&writer, about->reason);
	wire_put_text(&writer, about->author);
	if (wire_write_end(&writer) == -1)
		bug("row of an exception");
}

/* 0 when it is on the disk, or nothing is. */
static int write_now(struct exceptions *exceptions,
    const struct exception *about)
{
	char key[40];
	struct buf row;
	int result;

	key_of(about->id, key, sizeof(key));
	make_row(&row, about);
	result = ledger_put(exceptions->ledger, key, buf_data(&row),
	    buf_length(&row));
	buf_release(&row);
	return result;
}

static void write_soon(struct exceptions *exceptions,
    const struct exception *about)
{
	char key[40];
	struct buf row;

	key_of(about->id, key, sizeof(key));
	make_row(&row, about);
	ledger_put_soon(exceptions->ledger, key, buf_data(&row),
	    buf_length(&row));
	buf_release(&row);
}

static size_t last_row(const struct exceptions *exceptions, char *out,
    size_t size)
{
	return (size_t)snprintf(out, size, "%" PRIu64, exceptions->last_id);
}

static void save(void *arg)
{
	struct exceptions *exceptions = arg;
	const struct held *held;
	char last[24];
	size_t length = last_row(exceptions, last, sizeof(last));

	if (exceptions->last_id > 0)
		ledger_put_soon(exceptions->ledger, LAST_KEY, last, length);
	TAILQ_FOREACH(held, &exceptions->all, entries)
		write_soon(exceptions, &held->about);
}

/* --- is it one? --- */

/* domain, ".domain" (also written "*.domain"), or an address as a literal;
 * into out as domain_match() wants it. Null, or a sentence. */
static const char *read_pattern(const char *text, char *out, size_t size)
{
	size_t i;

	if (domain_is_literal(text) && strlen(text) < size) {
		for (i = 0; text[i] != '\0'; i++)
			out[i] = text[i] >= 'A' && text[i] <= 'Z' ?
			    (char)(text[i] - 'A' + 'a') : text[i];
		out[i] = '\0';
		return NULL;
	}
	if (strcmp(text, "*") == 0 || strcmp(text, ".") == 0 ||
	    text[0] == '\0')
		return "an exception is for one destination: a domain, or "
		    ".domain for all below it";
	if (text[0] == '*' && text[1] == '.')
		text++;
	if (text[0] != '.')
		return domain_to_ascii(out, size, text);
	out[0] = '.';
	return domain_to_ascii(out + 1, size - 1, text + 1);
}

static bool is_text(const char *text, size_t size)
{
	return text[0] != '\0' && line_is_sound(text, size);
}

static const char *problem_of(const struct exception *about)
{
	if (about->level != LEVEL_NONE && about->level != LEVEL_MAY &&
	    about->level != LEVEL_ENCRYPT)
		return "the level of an exception is none, may or encrypt";
	if (!is_text(about->reason, sizeof(about->reason)))
		return "an exception needs a reason, of one line and less than "
		    "200 bytes";
	if (!is_text(about->author, sizeof(about->author)))
		return "an exception needs an author, of one line and less "
		    "than 64 bytes";
	if (about->until - about->made > EXCEPTION_LENGTH_MAX)
		return "an exception ends within 90 days; what is to stay "
		    "belongs into the configuration";
	if (about->until <= about->made)
		return "the exception would have ended already";
	return NULL;
}

/* --- ends --- */

static void on_tick(void *arg);

static void arm(struct exceptions *exceptions)
{
	int64_t wall = clock_wall(), monotonic = clock_monotonic();
	int64_t wait = TICK_MAX;
	const struct held *held;

	TAILQ_FOREACH(held, &exceptions->all, entries) {
		if (held->about.until - wall < wait)
			wait = held->about.until - wall;
		if (held->end - monotonic < wait)
			wait = held->end - monotonic;
	}
	if (TAILQ_EMPTY(&exceptions->all))
		timer_stop(&exceptions->tick);
	else
		timer_start(&exceptions->tick, wait < 0 ? 0 : wait, on_tick,
		    exceptions);
}

static void run_out(struct exceptions *exceptions, struct held *held)
{
	char pattern[sizeof(held->about.pattern)], key[40];

	snprintf(pattern, sizeof(pattern), "%s", held->about.pattern);
	key_of(held->about.id, key, sizeof(key));
	log_info("exception-ended", log_number("id",
	    (int64_t)held->about.id), log_text("pattern", pattern),
	    log_number("uses", (int64_t)held->about.uses));
	ledger_delete_soon(exceptions->ledger, key);
	forget(exceptions, held);
	tell(exceptions, pattern);
}

static void on_tick(void *arg)
{
	struct exceptions *exceptions = arg;
	struct held *held, *next;

	for (held = TAILQ_FIRST(&exceptions->all); held != NULL; held = next) {
		next = TAILQ_NEXT(held, entries);
		if (!is_in_force(held))
			run_out(exceptions, held);
	}
	arm(exceptions);
}

/* --- the start --- */

static int read_row(struct exception *about, const void *value, size_t length)
{
	struct wire_reader reader;
	unsigned version;

	memset(about, 0, sizeof(*about));
	wire_read_begin(&reader, value, length);
	version = wire_get_u8(&reader);
	about->id = wire_get_u64(&reader);
	about->level = wire_get_enum(&reader, LEVEL_COUNT);
	about->made = (int64_t)(wire_get_u64(&reader) & INT64_MAX);
	about->until = (int64_t)(wire_get_u64(&reader) & INT64_MAX);
	about->uses = wire_get_u64(&reader);
	about->used = (int64_t)(wire_get_u64(&reader) & INT64_MAX);
	wire_copy_text(&reader, about->pattern, sizeof(about->pattern));
	wire_copy_text(&reader, about->reason, sizeof(about->reason));
	wire_copy_text(&reader, about->author, sizeof(about->author));
	return wire_read_end(&reader) == -1 || version != ROW_VERSION ? -1 : 0;
}

static int load_last(struct exceptions *exceptions, const char *value,
    size_t length)
{
	uint64_t id = 0;
	size_t i;

	for (i = 0; i < length; i++) {
		if (value[i] < '0' || value[i] > '9' || i > 17)
			return -1;
		id = id * 10 + (uint64_t)(value[i] - '0');
	}
	if (id > exceptions->last_id)
		exceptions->last_id = id;
	return length > 0 ? 0 : -1;
}

/* A row may be damaged, or made by hand: it is asked what a new one is. */
static int load(void *arg, const char *key, const void *value, size_t length)
{
	struct exceptions *exceptions = arg;
	struct exception about;
	char pattern[sizeof(about.pattern)], expected[40];

	if (strcmp(key, LAST_KEY) == 0)
		return load_last(exceptions, value, length);
	if (read_row(&about, value, length) == -1 ||
	    read_pattern(about.pattern, pattern, sizeof(pattern)) != NULL ||
	    strcmp(pattern, about.pattern) != 0 || problem_of(&about) != NULL)
		return -1;
	key_of(about.id, expected, sizeof(expected));
	if (strcmp(key, expected) != 0 || about.id == 0 ||
	    about.id > INT64_MAX ||
	    hash_count(exceptions->by_id) >= EXCEPTIONS_MAX)
		return -1;
	if (hash_find_id(exceptions->by_id, about.id) != NULL)
		return 0;
	if (about.id > exceptions->last_id)
		exceptions->last_id = about.id;
	insert(exceptions, &about);
	timer_start(&exceptions->tick, 0, on_tick, exceptions);
	return 0;
}

/* --- what others call --- */

static const struct held *better(const struct held *best,
    const struct held *held)
{
	while (held != NULL && !is_in_force(held))
		held = held->next;
	if (held == NULL || (best != NULL &&
	    best->about.until >= held->about.until))
		return best;
	return held;
}

/* name is in lower case, without a final dot. */
static const struct held *find(const struct exceptions *exceptions,
    const char *name)
{
	const struct held *best = better(NULL,
	    hash_find_text(exceptions->by_pattern, name));
	const char *at = name;

	if (best != NULL || name[0] == '[')
		return best;
	while ((at = strchr(at + 1, '.')) != NULL)
		best = better(best,
		    hash_find_text(exceptions->by_pattern, at));
	return best;
}

const struct exception *exceptions_find(struct exceptions *exceptions,
    const char *domain)
{
	const struct held *held;
	char name[sizeof(held->about.pattern)];

	if (TAILQ_EMPTY(&exceptions->all) || domain[0] == '.' ||
	    domain[0] == '*' || read_pattern(domain, name, sizeof(name)) != NULL)
		return NULL;
	held = find(exceptions, name);
	return held == NULL ? NULL : &held->about;
}

/* The id first: should we die between the two, it is not given again. */
static int write_new(struct exceptions *exceptions,
    const struct exception *about)
{
	char last[24], key[40];
	size_t length;

	if (ledger_is_away(exceptions->ledger))
		return -1;
	exceptions->last_id = about->id;
	length = last_row(exceptions, last, sizeof(last));
	if (ledger_put(exceptions->ledger, LAST_KEY, last, length) == 0 &&
	    write_now(exceptions, about) == 0)
		return 0;
	key_of(about->id, key, sizeof(key));
	ledger_delete(exceptions->ledger, key);
	return -1;
}

const char *exceptions_add(struct exceptions *exceptions,
    const struct exception *wanted, struct exception *made)
{
	struct exception about = *wanted;
	const char *problem;

	about.id = exceptions->last_id + 1;
	about.made = clock_wall();
	about.uses = 0;
	about.used = 0;
	memset(about.pattern, 0, sizeof(about.pattern));
	problem = read_pattern(wanted->pattern, about.pattern,
	    sizeof(about.pattern));
	if (problem == NULL)
		problem = problem_of(&about);
	if (problem == NULL && hash_count(exceptions->by_id) >= EXCEPTIONS_MAX)
		problem = "there are too many exceptions";
	if (problem == NULL && write_new(exceptions, &about) == -1)
		problem = "the exception cannot be written to the disk: the "
		    "log says why";
	if (problem != NULL)
		return problem;
	insert(exceptions, &about);
	arm(exceptions);
	*made = about;
	tell(exceptions, made->pattern);
	return NULL;
}

/* In force no longer from here on, even if the disk does not take it now. */
bool exceptions_revoke(struct exceptions *exceptions, uint64_t id,
    struct exception *revoked)
{
	struct held *held = hash_find_id(exceptions->by_id, id);
	char key[40];

	if (held == NULL || !is_in_force(held))
		return false;
	*revoked = held->about;
	key_of(id, key, sizeof(key));
	ledger_delete(exceptions->ledger, key);
	forget(exceptions, held);
	arm(exceptions);
	tell(exceptions, revoked->pattern);
	return true;
}

void exceptions_used(struct exceptions *exceptions, uint64_t id)
{
	struct held *held = hash_find_id(exceptions->by_id, id);

	if (held == NULL)
		return;
	held->about.uses++;
	held->about.used = clock_wall();
	write_soon(exceptions, &held->about);
}

uint64_t exceptions_page(struct exceptions *exceptions, uint64_t after,
    unsigned count, void (*visit)(void *arg,
    const struct exception *exception), void *arg)
{
	const struct held *held;
	uint64_t last = 0;

	TAILQ_FOREACH(held, &exceptions->all, entries) {
		if (held->about.id <= after || !is_in_force(held))
			continue;
		if (count-- == 0)
			break;
		visit(arg, &held->about);
		last = held->about.id;
	}
	return last;
}

struct exceptions *exceptions_new(struct ledger *ledger,
    void (*changed)(void *arg, const char *pattern), void *arg)
{
	struct exceptions *exceptions = mem_alloc(sizeof(*exceptions));

	exceptions->ledger = ledger;
	exceptions->changed = changed;
	exceptions->arg = arg;
	TAILQ_INIT(&exceptions->all);
	exceptions->by_id = hash_new();
	exceptions->by_pattern = hash_new();
	ledger_add(ledger, PREFIX, load, exceptions);
	ledger_on_loss(ledger, PREFIX, save);
	return exceptions;
}

void exceptions_free(struct exceptions *exceptions)
{
	struct held *held;

	if (exceptions == NULL)
		return;
	while ((held = TAILQ_FIRST(&exceptions->all)) != NULL)
		forget(exceptions, held);
	timer_stop(&exceptions->tick);
	hash_free(exceptions->by_id);
	hash_free(exceptions->by_pattern);
	mem_free(exceptions);
}
