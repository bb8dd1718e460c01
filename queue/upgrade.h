/* SPDX-License-Identifier: ISC */
/*
 * Rows that an earlier version wrote, brought up to date before the queue
 * serves anyone. Each step of the table in upgrade.c leads from one version of
 * the store to the next one, in bounded batches; each batch has a mark of how
 * far it came, so that a start after a kill at any moment goes on where the
 * last durable batch ended. Doing a row twice does no harm. A row that cannot
 * be read is counted, logged and left as it is.
 */
#ifndef POSTERN_QUEUE_UPGRADE_H
#define POSTERN_QUEUE_UPGRADE_H

#include <stddef.h>

struct store;

/* Does nothing when the rows are of our version. The store ends the process
 * when it cannot keep its promise, as ever. */
void	 upgrade_run(struct store *store);

/* --- tests --- */

enum upgrade_moment { UPGRADE_WRITTEN, UPGRADE_DURABLE };
/* Rows of a batch (0: as usual), and what is called at these moments of batch
 * number 0, 1, ... (null: nothing). */
void	 upgrade_watch(size_t rows, void (*visit)(enum upgrade_moment moment,
	    unsigned batch));

#endif
