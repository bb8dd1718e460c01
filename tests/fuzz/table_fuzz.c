/* SPDX-License-Identifier: ISC */
/*
 * A table: any bytes, whose digest nobody compares. It ends no process; going
 * through it comes to an end; and what is answered from it, as users and as
 * aliases, is addresses, each once, and no more of them than there may be.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/hash.h"
#include "base/mem.h"
#include "base/table.h"
#include "conf/bundle.h"
#include "conf/conf.h"
#include "policy/expand.h"
#include "tests/fuzz/expansion_check.h"

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char text[] = "hostname = mx.example.org\n"
    "aliases-file = /a.cdb\n"
    "domain example.org { users = { alice, bob } aliases-file = /a.cdb }\n"
    "domain example.net { users-file = /u.cdb catch-all = a@example.org }\n";

static void go_through(const struct table *table)
{
	struct table_entry entry;
	uint32_t position = 0, last = 0;

	while (table_next(table, &position, &entry) == TABLE_FOUND) {
		if (position <= last)
			__builtin_trap();
		last = position;
		/* Each byte of it is there. */
		(void)hash_sip((const uint8_t *)"0123456789abcdef",
		    entry.value, entry.length);
		(void)table_find(table, entry.key, entry.key_length, &entry);
	}
}

static void ask(const struct conf *conf, const struct bundle *bundle,
    bool whole)
{
	static const char *const addresses[] = { "a@example.org",
	    "a+x@example.org", "b@example.net", "alice@example.org",
	    "\"a b\"@example.org", "postmaster", "root@example.net" };
	char *errors = NULL, *advice = NULL;
	struct expander *expander = expander_new(conf, bundle, &errors,
	    whole ? &advice : NULL);

	if ((expander == NULL) != (errors != NULL))
		__builtin_trap();
	for (size_t i = 0; expander != NULL && i < 7; i++)
		expansion_check(expander, addresses[i]);
	expander_free(expander);
	mem_free(errors);
	mem_free(advice);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bundle_file files[] = {
	    { .path = (char *)"/a.cdb", .contents = (char *)"",
	    .is_table = true },
	    { .path = (char *)"/u.cdb", .contents = (char *)"",
	    .is_table = true } };
	struct bundle bundle = { .name = (char *)"c", .files = files,
	    .file_count = 2 };
	static struct conf *conf;
	struct table *table;
	char *errors = NULL;
	const char *why;

	if (conf == NULL)
		conf = conf_read("c", text, &errors);
	if (conf == NULL)
		__builtin_trap();
	table = table_open_bytes(data, size, &why);
	if (table == NULL)
		return 0;
	go_through(table);
	files[0].table = files[1].table = table;
	ask(conf, &bundle, false);
	ask(conf, &bundle, true);
	table_release(table);
	return 0;
}
