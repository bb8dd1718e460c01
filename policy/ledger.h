/* SPDX-License-Identifier: ISC */
/*
 * What policy remembers beside MTA-STS policies, on the disk: exceptions, pins,
 * memory, events and outcomes, each a table whose keys begin with a word of its
 * own ("exception:", "memory:"). The tables live in memory; the ledger only
 * keeps their rows, in a policy_store of its own (ledger/ in the role's
 * directory), and gives them back at the start.
 *
 * Two promises: what ledger_put() and ledger_delete() said is on the disk when
 * they return 0; what ledger_put_soon() said is on the disk within
 * LEDGER_SOON_MILLISECONDS, many rows at a time. When the store fails, both
 * keep the row and try again each minute; the log says so once. Rows that may
 * wait have a ceiling: while the store is away the oldest of them are dropped
 * (one line in the log), of ledger_put() and ledger_delete() none ever is.
 *
 * A store that cannot be read is moved aside and begun anew (store.h): at the
 * start nothing is remembered then; later on the tables, which live in memory,
 * are asked to write themselves down again (ledger_on_loss).
 */
#ifndef POSTERN_POLICY_LEDGER_H
#define POSTERN_POLICY_LEDGER_H

#include <stdbool.h>
#include <stddef.h>

struct ledger;

enum { LEDGER_SOON_MILLISECONDS = 2000, LEDGER_KEY_MAX = 600,
    LEDGER_VALUE_MAX = 16 << 10, LEDGER_TABLES_MAX = 8 };

/* One row at the start; what the table does not understand it drops by
 * returning -1: logged, and the row is deleted. When the store could not be
 * read at the start, rows come when it can be: the table may have learnt of the
 * same key by then, and puts both together. Nothing here but the _soon
 * functions may be called meanwhile. */
typedef int ledger_load(void *arg, const char *key, const void *value,
    size_t length);

/* directory: the role's own, or "": nothing is durable (tests, standalone). */
struct ledger	*ledger_new(const char *directory);
/* Writes what is pending. */
void		 ledger_free(struct ledger *ledger);
/* Before ledger_open(). prefix is a literal, with its colon. */
void		 ledger_add(struct ledger *ledger, const char *prefix,
		    ledger_load *load, void *arg);
/* Of a table that was added: save puts all of its rows (ledger_put_soon) when
 * the store was lost while they live in memory. */
void		 ledger_on_loss(struct ledger *ledger, const char *prefix,
		    void (*save)(void *arg));
/* When the process is confined, and where it is by then: reads every row. */
void		 ledger_open(struct ledger *ledger);

/* Is the disk known to be out of reach, so that a put would only be kept? */
bool	 ledger_is_away(const struct ledger *ledger);
/* key with its prefix. 0: on the disk, or there is none; -1: kept for later,
 * logged. */
int	 ledger_put(struct ledger *ledger, const char *key, const void *value,
	    size_t length);
int	 ledger_delete(struct ledger *ledger, const char *key);
void	 ledger_put_soon(struct ledger *ledger, const char *key,
	    const void *value, size_t length);
void	 ledger_delete_soon(struct ledger *ledger, const char *key);
/* Writes what is pending now. */
void	 ledger_flush(struct ledger *ledger);

#endif
