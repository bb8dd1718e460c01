/* SPDX-License-Identifier: ISC */
/*
 * Changes that are not on the disk yet wait in lists, oldest first, one change
 * for each key. A timer takes them to the store, BATCH_ROWS in one transaction
 * and one turn of the loop; what must be durable at once goes straight there
 * and waits, in a list of its own, only when the store fails.
 */
#include "policy/ledger.h"

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/queue.h>

#include "base/hash.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "base/process.h"
#include "policy/store.h"

/* The first row of a batch waits a half of the promise, the rest is for the
 * batches before it and for the disk. */
enum { SOON_WAIT = LEDGER_SOON_MILLISECONDS / 2, AGAIN_MILLISECONDS = 60000,
    BATCH_ROWS = 512, WAITING_BYTES_MAX = 32 << 20, ROW_OVERHEAD = 128,
    TOLD_ROWS = 10 };

_Static_assert((int)LEDGER_KEY_MAX <= (int)POLICY_STORE_KEY_MAX, "keys fit");
_Static_assert((int)LEDGER_VALUE_MAX <= (int)POLICY_STORE_VALUE_MAX,
    "values fit");

struct table {
	const char	*prefix;
	size_t		 length;	/* of the prefix */
	ledger_load	*load;
	void		(*save)(void *arg);	/* may be null */
	void		*arg;
};

struct change {
	TAILQ_ENTRY(change)	 entries;
	char			*key;		/* owned */
	void			*value;		/* owned; null: delete */
	size_t			 length;
	bool			 urgent;	/* never dropped */
};
TAILQ_HEAD(changes, change);

enum { URGENT, SOON, LISTS };

struct ledger {
	char			*directory;	/* owned; "": none */
	struct policy_store	*store;		/* owned; null: none, or it
						 * failed */
	struct table		 tables[LEDGER_TABLES_MAX];
	size_t			 table_count;
	bool			 opened;	/* ledger_open() was called */
	bool			 known;		/* the rows were read once */
	bool			 reading;	/* ... or are just now */
	unsigned		 useless;	/* rows, in that reading */
	bool			 troubled;	/* the store failed, was told */
	bool			 dropped;	/* rows, was told */

	/* what is not on the disk */
	struct changes		 waiting[LISTS];	/* owned */
	struct hash		*by_key;	/* the same */
	size_t			 bytes;		/* that they take */
	/* Runs while something waits, and when the store is away. */
	struct timer		 timer;
};

/* --- what waits --- */

static size_t cost(const struct change *change)
{
	return strlen(change->key) + change->length + ROW_OVERHEAD;
}

static struct changes *list_of(struct ledger *ledger,
    const struct change *change)
{
	return &ledger->waiting[change->urgent ? URGENT : SOON];
}

static void forget_change(struct ledger *ledger, struct change *change)
{
	ledger->bytes -= cost(change);
	TAILQ_REMOVE(list_of(ledger, change), change, entries);
	hash_remove_text(ledger->by_key, change->key);
	mem_free(change->key);
	mem_free(change->value);
	mem_free(change);
}

static void forget_key(struct ledger *ledger, const char *key)
{
	struct change *change = hash_find_text(ledger->by_key, key);

	if (change != NULL)
		forget_change(ledger, change);
}

/* A new one waits behind the others; one that waits keeps its place. */
static struct change *change_of(struct ledger *ledger, const char *key)
{
	struct change *change = hash_find_text(ledger->by_key, key);

	if (change != NULL)
		return change;
	change = mem_alloc(sizeof(*change));
	change->key = mem_dup_string(key);
	ledger->bytes += cost(change);
	TAILQ_INSERT_TAIL(list_of(ledger, change), change, entries);
	hash_put_text(ledger->by_key, key, change);
	return change;
}

static void make_urgent(struct ledger *ledger, struct change *change)
{
	if (change->urgent)
		return;
	TAILQ_REMOVE(list_of(ledger, change), change, entries);
	change->urgent = true;
	TAILQ_INSERT_TAIL(list_of(ledger, change), change, entries);
}

static struct change *keep(struct ledger *ledger,
    const struct policy_store_change *row)
{
	struct change *change = change_of(ledger, row->key);

	ledger->bytes -= cost(change);
	mem_free(change->value);
	change->value = row->value == NULL ? NULL :
	    mem_dup(row->value, row->length);
	change->length = row->length;
	ledger->bytes += cost(change);
	return change;
}

/* The store is away: the oldest that may go. */
static void drop_oldest(struct ledger *ledger)
{
	struct change *change;

	if (!ledger->dropped)
		log_error("too much waits for the disk: what policy learnt is "
		    "not written down", log_text("path", ledger->directory));
	ledger->dropped = true;
	while (ledger->bytes > WAITING_BYTES_MAX &&
	    (change = TAILQ_FIRST(&ledger->waiting[SOON])) != NULL)
		forget_change(ledger, change);
}

/* --- the store --- */

static void on_timer(void *arg);

static void wait_for(struct ledger *ledger, int64_t milliseconds)
{
	timer_start(&ledger->timer, milliseconds, on_timer, ledger);
}

static void lose_store(struct ledger *ledger)
{
	policy_store_close(ledger->store);
	ledger->store = NULL;
	if (!ledger->troubled)
		log_error("what policy remembers is not written down for now",
		    log_text("path", ledger->directory));
	ledger->troubled = true;
	wait_for(ledger, AGAIN_MILLISECONDS);
}

static int apply(struct ledger *ledger,
    const struct policy_store_change *rows, size_t count)
{
	if (policy_store_apply(ledger->store, rows, count) == -1) {
		lose_store(ledger);
		return -1;
	}
	if (ledger->troubled)
		log_info("what policy remembers is written down again",
		    log_text("path", ledger->directory));
	ledger->troubled = false;
	return 0;
}

/* The first of those that wait, urgent ones before others. */
static size_t gather(struct ledger *ledger, struct change **batch)
{
	struct change *change;
	size_t count = 0;
	int list;

	for (list = URGENT; list < LISTS; list++)
		TAILQ_FOREACH(change, &ledger->waiting[list], entries) {
			if (count == BATCH_ROWS)
				return count;
			batch[count++] = change;
		}
	return count;
}

/* False: nothing waits any more, or the store is away. */
static bool write_batch(struct ledger *ledger)
{
	struct policy_store_change rows[BATCH_ROWS];
	struct change *batch[BATCH_ROWS];
	size_t count = gather(ledger, batch), i;

	if (count == 0 || ledger->store == NULL)
		return false;
	for (i = 0; i < count; i++)
		rows[i] = (struct policy_store_change){ .key = batch[i]->key,
		    .value = batch[i]->value, .length = batch[i]->length };
	if (apply(ledger, rows, count) == -1)
		return false;
	for (i = 0; i < count; i++)
		forget_change(ledger, batch[i]);
	return hash_count(ledger->by_key) > 0;
}

void ledger_flush(struct ledger *ledger)
{
	while (write_batch(ledger))
		continue;
}

static const struct table *table_of(const struct ledger *ledger,
    const char *key)
{
	size_t i;

	for (i = 0; i < ledger->table_count; i++)
		if (strncmp(key, ledger->tables[i].prefix,
		    ledger->tables[i].length) == 0)
			return &ledger->tables[i];
	return NULL;
}

/* Rows of a table that this program does not have stay as they are. One that
 * waits to be deleted was there before we could read it. */
static void load_row(void *arg, const char *key, const void *value,
    size_t length)
{
	struct ledger *ledger = arg;
	const struct table *table = table_of(ledger, key);
	const struct change *change = hash_find_text(ledger->by_key, key);

	if (table == NULL || (change != NULL && change->value == NULL))
		return;
	if (length <= LEDGER_VALUE_MAX &&
	    table->load(table->arg, key, value, length) == 0)
		return;
	if (ledger->useless++ < TOLD_ROWS)
		log_error("a row of what policy remembers is not readable: "
		    "forgotten", log_text("key", key));
	ledger_delete_soon(ledger, key);
}

/* The opening has read all of them: they are whole. */
static void read_rows(struct ledger *ledger)
{
	ledger->known = true;
	ledger->useless = 0;
	ledger->reading = true;
	if (policy_store_each(ledger->store, load_row, ledger) == -1)
		lose_store(ledger);
	ledger->reading = false;
	if (ledger->useless > TOLD_ROWS)
		log_error("rows of what policy remembers are not readable",
		    log_number("count", ledger->useless));
}

static void save_tables(struct ledger *ledger)
{
	size_t i;

	for (i = 0; i < ledger->table_count; i++)
		if (ledger->tables[i].save != NULL)
			ledger->tables[i].save(ledger->tables[i].arg);
}

static void open_store(struct ledger *ledger)
{
	const char *home = process_directory(ledger->directory);
	char path[PATH_MAX];

	if (snprintf(path, sizeof(path), "%s/ledger", strcmp(home, "/") == 0 ?
	    "" : home) >= (int)sizeof(path))
		fatal("path is too long", log_text("path", home));
	ledger->store = ledger->troubled ? policy_store_open_again(path) :
	    policy_store_open(path);
	if (ledger->store == NULL) {
		lose_store(ledger);
		return;
	}
	if (!ledger->known)
		read_rows(ledger);
	/* The tables know what the store does not. */
	if (ledger->store != NULL && (ledger->dropped ||
	    policy_store_is_anew(ledger->store))) {
		ledger->dropped = false;
		save_tables(ledger);
	}
}

/* One batch a turn: each waits for the disk. */
static void on_timer(void *arg)
{
	struct ledger *ledger = arg;

	if (ledger->store == NULL)
		open_store(ledger);
	if (write_batch(ledger))
		wait_for(ledger, 0);
}

/* --- changes --- */

static void check_row(const struct ledger *ledger,
    const struct policy_store_change *row)
{
	if (strlen(row->key) > LEDGER_KEY_MAX ||
	    row->length > LEDGER_VALUE_MAX ||
	    table_of(ledger, row->key) == NULL)
		bug("row of the ledger");
}

static int change_now(struct ledger *ledger,
    const struct policy_store_change *row)
{
	check_row(ledger, row);
	if (ledger->directory[0] == '\0')
		return 0;
	if (ledger->store != NULL && apply(ledger, row, 1) == 0) {
		forget_key(ledger, row->key);
		return 0;
	}
	make_urgent(ledger, keep(ledger, row));
	return -1;
}

static void change_soon(struct ledger *ledger,
    const struct policy_store_change *row)
{
	check_row(ledger, row);
	if (ledger->directory[0] == '\0')
		return;
	keep(ledger, row);
	if (ledger->reading || !ledger->opened)
		return;
	if (ledger->bytes > WAITING_BYTES_MAX)
		ledger_flush(ledger);
	if (ledger->bytes > WAITING_BYTES_MAX)
		drop_oldest(ledger);
	if (!timer_is_running(&ledger->timer))
		wait_for(ledger, SOON_WAIT);
}

bool ledger_is_away(const struct ledger *ledger)
{
	return ledger->directory[0] != '\0' && ledger->store == NULL;
}

int ledger_put(struct ledger *ledger, const char *key, const void *value,
    size_t length)
{
	return change_now(ledger, &(struct policy_store_change){ .key = key,
	    .value = length > 0 ? value : "", .length = length });
}

int ledger_delete(struct ledger *ledger, const char *key)
{
	return change_now(ledger,
	    &(struct policy_store_change){ .key = key });
}

void ledger_put_soon(struct ledger *ledger, const char *key,
    const void *value, size_t length)
{
	change_soon(ledger, &(struct policy_store_change){ .key = key,
	    .value = length > 0 ? value : "", .length = length });
}

void ledger_delete_soon(struct ledger *ledger, const char *key)
{
	change_soon(ledger, &(struct policy_store_change){ .key = key });
}

/* --- life --- */

struct ledger *ledger_new(const char *directory)
{
	struct ledger *ledger = mem_alloc(sizeof(*ledger));

	ledger->directory = mem_dup_string(directory);
	ledger->by_key = hash_new();
	TAILQ_INIT(&ledger->waiting[URGENT]);
	TAILQ_INIT(&ledger->waiting[SOON]);
	return ledger;
}

void ledger_add(struct ledger *ledger, const char *prefix, ledger_load *load,
    void *arg)
{
	if (ledger->opened || ledger->table_count == LEDGER_TABLES_MAX)
		bug("table of the ledger");
	ledger->tables[ledger->table_count++] = (struct table){
	    .prefix = prefix, .length = strlen(prefix), .load = load,
	    .arg = arg };
}

void ledger_on_loss(struct ledger *ledger, const char *prefix,
    void (*save)(void *arg))
{
	size_t i;

	for (i = 0; i < ledger->table_count; i++)
		if (strcmp(ledger->tables[i].prefix, prefix) == 0)
			ledger->tables[i].save = save;
}

void ledger_open(struct ledger *ledger)
{
	if (ledger->opened)
		return;
	ledger->opened = true;
	if (ledger->directory[0] == '\0')
		return;
	open_store(ledger);
	if (ledger->store != NULL && hash_count(ledger->by_key) > 0)
		wait_for(ledger, SOON_WAIT);
}

static void forget_all(struct ledger *ledger, struct changes *changes)
{
	while (!TAILQ_EMPTY(changes))
		forget_change(ledger, TAILQ_FIRST(changes));
}

void ledger_free(struct ledger *ledger)
{
	if (ledger == NULL)
		return;
	ledger_flush(ledger);
	timer_stop(&ledger->timer);
	forget_all(ledger, &ledger->waiting[URGENT]);
	forget_all(ledger, &ledger->waiting[SOON]);
	hash_free(ledger->by_key);
	policy_store_close(ledger->store);
	mem_free(ledger->directory);
	mem_free(ledger);
}
