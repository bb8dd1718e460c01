/* SPDX-License-Identifier: ISC */
/*
 * Free pages that a table keeps. When the last page of a file is freed Berkeley
 * DB cuts it off, and flushes the log before it does, on the loop's thread: a
 * table that mail runs through is empty many times a second, and each time would
 * cost a flush. So such a table has a row of ours on a page behind some free
 * ones, which are taken and given back instead. Its key is before all others,
 * and no scan shows it.
 */
#include "queue/store_internal.h"

enum {
	STOCK_PAGES = 32,
	ROW_BYTES = 1100	/* has a page of its own */
};

static const char stock_key[2];

static const struct store_bytes last_key = { stock_key, 1 };

bool store_stock_is(const void *key, size_t length)
{
	return length > 0 && length <= sizeof(stock_key) &&
	    ((const char *)key)[0] == '\0';
}

static struct store_bytes key_of(unsigned char *bytes, int number)
{
	bytes[0] = 0;
	bytes[1] = (unsigned char)number;
	return (struct store_bytes){ bytes, sizeof(stock_key) };
}

static void stock_make(struct store *store, DB *db)
{
	static const char value[ROW_BYTES];
	const struct store_bytes row = { value, sizeof(value) };
	unsigned char bytes[sizeof(stock_key)];

	if (store_db_get(store, db, last_key) >= 0)
		return;
	for (int i = 0; i < STOCK_PAGES; i++)
		store_db_put(store, db, key_of(bytes, i), row);
	store_db_put(store, db, last_key, row);
	for (int i = 0; i < STOCK_PAGES; i++)
		store_db_delete(store, db, key_of(bytes, i));
}

void store_stock_open(struct store *store)
{
	static const enum store_table tables[] = { STORE_MESSAGES,
	    STORE_SLICES, STORE_SCHEDULE, STORE_ATTEMPTS };

	if (store->options.as_it_is)
		return;
	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
		stock_make(store, store->tables[tables[i]]);
}
