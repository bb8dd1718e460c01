/* SPDX-License-Identifier: ISC */
/*
 * The mark of a step is the table it works on and the last key it has done
 * there. Tables come in an order in which what a row is made of comes first.
 */
#include "queue/upgrade.h"

#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "queue/record.h"
#include "queue/rows.h"
#include "queue/store.h"

enum { BATCH_ROWS = 2048, BATCH_BYTES = 4 << 20,
    PROGRESS_MILLISECONDS = 5000 };

struct upgrade {
	struct store	*store;
	struct arena	*arena;		/* owned; of one row */
	struct buf	 row;		/* owned; as it will be */
	struct buf	 mark;		/* owned */
	uint64_t	 looked_at, changed, unreadable;
	unsigned	 batches;
	int64_t		 said_at;	/* monotonic, ms */
};

static struct {
	size_t	 rows;
	void	(*visit)(enum upgrade_moment moment, unsigned batch);
} watch;

void upgrade_watch(size_t rows, void (*visit)(enum upgrade_moment moment,
    unsigned batch))
{
	watch.rows = rows;
	watch.visit = visit;
}

/* --- one row --- */

/* -1: it cannot be read. */
typedef int remake(struct upgrade *upgrade, const struct store_row *row);

static int remake_message(struct upgrade *upgrade, const struct store_row *row)
{
	struct record_message *message = record_get_message(row->value.data,
	    row->value.length, upgrade->arena);

	return message == NULL ? -1 : record_put_message(&upgrade->row,
	    message);
}

static int remake_slice(struct upgrade *upgrade, const struct store_row *row)
{
	struct record_slice *slice = record_get_slice(row->value.data,
	    row->value.length, upgrade->arena);

	return slice == NULL ? -1 : record_put_slice(&upgrade->row, slice);
}

static int remake_schedule(struct upgrade *upgrade,
    const struct store_row *row)
{
	struct record_schedule *schedule = record_get_schedule(
	    row->value.data, row->value.length, upgrade->arena);
	struct record_message *message;
	struct place place;

	if (schedule == NULL || record_key_get_schedule(row->key.data,
	    row->key.length, &place.due, &place.id, &place.slice) != 0)
		return -1;
	message = rows_find_message(upgrade->store, place.id, upgrade->arena);
	if (message != NULL)
		schedule->group = record_group(message->envelope);
	return record_put_schedule(&upgrade->row, schedule);
}

/* --- a table --- */

struct part {
	enum store_table	 table;
	const char		*name;
	remake			*remake;
};

static void row_update(struct upgrade *upgrade, const struct part *part,
    const struct store_row *row)
{
	const struct buf *made = &upgrade->row;

	arena_reset(upgrade->arena);
	buf_reset(&upgrade->row);
	upgrade->looked_at++;
	if (part->remake(upgrade, row) != 0) {
		upgrade->unreadable++;
		log_error("damaged-row", log_text("table", part->name),
		    log_text("effect", "left as it is"));
		return;
	}
	if (buf_length(made) == row->value.length &&
	    memcmp(buf_data(made), row->value.data, row->value.length) == 0)
		return;
	upgrade->changed++;
	store_put(upgrade->store, part->table, row->key,
	    (struct store_bytes){ buf_data(made), buf_length(made) });
}

static void tell(struct upgrade *upgrade, const char *text)
{
	log_info(text, log_number("rows", (int64_t)upgrade->looked_at),
	    log_number("rewritten", (int64_t)upgrade->changed),
	    log_number("unreadable", (int64_t)upgrade->unreadable),
	    log_number("batches", upgrade->batches));
	upgrade->said_at = clock_monotonic();
	log_flush();	/* no turn of the loop ends before we do */
}

static void batch_end(struct upgrade *upgrade)
{
	if (watch.visit != NULL)
		watch.visit(UPGRADE_WRITTEN, upgrade->batches);
	store_commit_wait(upgrade->store);
	if (watch.visit != NULL)
		watch.visit(UPGRADE_DURABLE, upgrade->batches);
	upgrade->batches++;
	if (clock_monotonic() - upgrade->said_at >= PROGRESS_MILLISECONDS)
		tell(upgrade, "upgrading the store");
}

static void mark_set(struct upgrade *upgrade, const struct part *part,
    struct store_bytes key)
{
	unsigned char table = (unsigned char)part->table;

	buf_reset(&upgrade->mark);
	if (buf_add(&upgrade->mark, &table, 1) != 0 ||
	    buf_add(&upgrade->mark, key.data, key.length) != 0)
		bug("mark of an upgrade");
	store_upgrade_mark(upgrade->store, (struct store_bytes){
	    buf_data(&upgrade->mark), buf_length(&upgrade->mark) });
}

/* From behind the key in the mark, if it is of this table. */
static void table_update(struct upgrade *upgrade, const struct part *part)
{
	struct store_page page = { 0 };
	struct store_scan scan = { .table = part->table,
	    .max_rows = watch.rows > 0 ? watch.rows : BATCH_ROWS,
	    .max_bytes = BATCH_BYTES };

	do {
		scan.from = (struct store_bytes){ NULL, 0 };
		scan.after = buf_length(&upgrade->mark) > 1;
		if (scan.after)
			scan.from = (struct store_bytes){
			    buf_data(&upgrade->mark) + 1,
			    buf_length(&upgrade->mark) - 1 };
		store_scan(upgrade->store, &scan, &page);
		for (size_t i = 0; i < page.count; i++)
			row_update(upgrade, part, &page.rows[i]);
		if (page.count == 0)
			break;
		mark_set(upgrade, part, page.rows[page.count - 1].key);
		batch_end(upgrade);
	} while (page.more);
	store_page_release(&page);
}

/* --- the steps --- */

/* Rows as they are written today; the tables that are new have none. */
static void rewrite(struct upgrade *upgrade)
{
	static const struct part parts[] = {
		{ STORE_MESSAGES, "messages", remake_message },
		{ STORE_SLICES, "slices", remake_slice },
		{ STORE_SCHEDULE, "schedule", remake_schedule },
	};
	size_t at = 0;

	store_upgrade_marked(upgrade->store, &upgrade->mark);
	if (buf_length(&upgrade->mark) > 0)
		while (at < sizeof(parts) / sizeof(parts[0]) &&
		    parts[at].table != (enum store_table)
		    *(const unsigned char *)buf_data(&upgrade->mark))
			at++;
	for (; at < sizeof(parts) / sizeof(parts[0]); at++) {
		table_update(upgrade, &parts[at]);
		buf_reset(&upgrade->mark);
	}
}

/* In order; each begins where the one before ends. */
static const struct step {
	uint32_t	 from, to;
	const char	*what;
	void		(*run)(struct upgrade *upgrade);
} steps[] = {
	{ 1, 2, "rows as they are written today; tables for rules, attempts "
	    "and history", rewrite },
};

static const struct step *find_step(uint32_t from)
{
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++)
		if (steps[i].from == from)
			return &steps[i];
	return NULL;
}

void upgrade_run(struct store *store)
{
	struct upgrade upgrade = { .store = store };
	uint32_t from;

	if (store_upgrade_from(store) == 0)
		return;
	upgrade.arena = arena_new(RECORD_ARENA_MAX);
	buf_init(&upgrade.row, STORE_VALUE_MAX);
	buf_init(&upgrade.mark, STORE_UPGRADE_MARK_MAX);
	upgrade.said_at = clock_monotonic();
	while ((from = store_upgrade_from(store)) != 0) {
		const struct step *step = find_step(from);

		if (step == NULL)
			bug("a version without a step");
		log_info("upgrade", log_number("from", from),
		    log_number("to", step->to), log_text("what", step->what));
		log_flush();
		step->run(&upgrade);
		store_upgrade_to(store, step->to);
		batch_end(&upgrade);
	}
	tell(&upgrade, "the store is upgraded");
	buf_release(&upgrade.mark);
	buf_release(&upgrade.row);
	arena_free(upgrade.arena);
}
