/* SPDX-License-Identifier: ISC */
/*
 * Names in their order, of a table that is too large to be sorted in one turn
 * of the loop: they are copied as they are met, sorted in runs of a thousand,
 * and the runs are merged as the names are asked for. First all are added, then
 * all are taken; a name that was added twice comes once.
 */
#ifndef POSTERN_POLICY_NAMES_H
#define POSTERN_POLICY_NAMES_H

#include <stdbool.h>

struct names;

enum { NAMES_RUN = 1024 };	/* what one names_add() sorts at most */

struct names	*names_new(void);
void		 names_free(struct names *names);
/* True: it has sorted a run, which takes as long as many names. */
bool		 names_add(struct names *names, const char *name);
/* Null: no more. Borrowed until names_free(). */
const char	*names_next(struct names *names);

#endif
