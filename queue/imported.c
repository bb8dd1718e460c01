/* SPDX-License-Identifier: ISC */
/*
 * A row of STORE_META for each message, "import/ARCHIVE/ID" with the new
 * identifier, which tells when it was given: that was the second in which the
 * message came. A walk along the rows, some at a time and each hour from the
 * beginning, takes out what is old.
 */
#include "queue/imported.h"

#include <endian.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "conf/conf.h"
#include "queue/queue.h"
#include "queue/store.h"

enum {
	FIRST_MILLISECONDS = 1000,
	STEP_MILLISECONDS = 100,
	AGAIN_MILLISECONDS = 3600000,
	PAGE_ROWS = 256,
	PAGE_BYTES = 64 << 10,
	KEPT_SECONDS = 30 * 86400,
	KEY_BYTES = 256
};

/* "0" is the letter behind "/". */
static const char first[] = "import/", behind[] = "import0";

struct imported {
	struct queue	*queue;		/* outlives us */
	struct timer	 timer;
	char		 key[KEY_BYTES];	/* the last that was seen */
	size_t		 key_length;	/* 0: before the first */
	uint64_t	 swept;		/* in this round */
};

static size_t format_key(const char *archive, const char *from, char *key)
{
	int length = snprintf(key, KEY_BYTES, "%s%s/%s", first, archive, from);

	if (length < 0 || length >= KEY_BYTES)
		bug("import-key");
	return (size_t)length;
}

static uint64_t get_id(const void *value, size_t length)
{
	uint64_t id = 0;

	if (length == sizeof(id))
		memcpy(&id, value, sizeof(id));
	return be64toh(id);
}

uint64_t imported_find(struct queue *queue, const char *archive,
    const char *from)
{
	char key[KEY_BYTES];
	size_t length = format_key(archive, from, key);
	uint64_t id = 0;
	struct buf value;

	buf_init(&value, STORE_VALUE_MAX);
	if (store_get(queue->store, STORE_META, (struct store_bytes){ key,
	    length }, &value))
		id = get_id(buf_data(&value), buf_length(&value));
	buf_release(&value);
	return id;
}

void imported_put(struct queue *queue, const char *archive, const char *from,
    uint64_t id)
{
	char key[KEY_BYTES];
	size_t length = format_key(archive, from, key);
	uint64_t value = htobe64(id);

	store_put(queue->store, STORE_META, (struct store_bytes){ key,
	    length }, (struct store_bytes){ &value, sizeof(value) });
}

/* --- the sweep --- */

static bool is_old(const struct imported *imported,
    const struct store_bytes *value)
{
	int64_t kept = 2 * imported->queue->conf->message_expiry;
	/* Identifiers begin with the second in which they are given. */
	int64_t came = (int64_t)(get_id(value->data, value->length) >> 20);

	return came + (kept > KEPT_SECONDS ? kept : KEPT_SECONDS) <
	    clock_wall() / 1000;
}

static void sweep_page(struct imported *imported,
    const struct store_page *page)
{
	for (size_t i = 0; i < page->count; i++) {
		const struct store_row *row = &page->rows[i];

		if (row->key.length <= sizeof(imported->key)) {
			memcpy(imported->key, row->key.data, row->key.length);
			imported->key_length = row->key.length;
		}
		if (!is_old(imported, &row->value))
			continue;
		store_delete(imported->queue->store, STORE_META, row->key);
		imported->swept++;
	}
}

static void end_round(struct imported *imported)
{
	if (imported->swept > 0)
		log_info("imports forgotten", log_number("count",
		    (int64_t)imported->swept));
	imported->swept = 0;
	imported->key_length = 0;
}

static void on_timer(void *arg)
{
	struct imported *imported = arg;
	struct store_page page = { 0 };
	struct store_scan scan = { .table = STORE_META,
	    .from = { first, sizeof(first) - 1 },
	    .until = { behind, sizeof(behind) - 1 },
	    .max_rows = PAGE_ROWS, .max_bytes = PAGE_BYTES };
	bool more;

	if (imported->key_length > 0) {
		scan.from = (struct store_bytes){ imported->key,
		    imported->key_length };
		scan.after = true;
	}
	store_scan(imported->queue->store, &scan, &page);
	sweep_page(imported, &page);
	more = page.count > 0 && page.more;
	store_page_release(&page);
	if (!more)
		end_round(imported);
	timer_start(&imported->timer, more ? STEP_MILLISECONDS :
	    AGAIN_MILLISECONDS, on_timer, imported);
}

struct imported *imported_new(struct queue *queue)
{
	struct imported *imported = mem_alloc(sizeof(*imported));

	imported->queue = queue;
	timer_start(&imported->timer, FIRST_MILLISECONDS, on_timer, imported);
	return imported;
}

void imported_free(struct imported *imported)
{
	if (imported == NULL)
		return;
	timer_stop(&imported->timer);
	mem_free(imported);
}
