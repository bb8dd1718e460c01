/* SPDX-License-Identifier: ISC */
/*
 * After a salvage (queue/store_salvage.c): looks at everything that was saved
 * and makes the tables agree again, before the queue serves anyone. What is
 * damaged is held, what was lost is named: in the log, and for good in the file
 * "report" beside the damaged files, one JSON object a line. A restart in the
 * middle begins again.
 *
 *	recipients lost		held, for unknown@recipients-lost.invalid: an
 *				operator may redirect, return or delete it
 *	body damaged or lost	held as damaged
 *	envelope lost		its recipients are named, and go
 *	schedule		made again
 */
#ifndef POSTERN_QUEUE_REPAIR_H
#define POSTERN_QUEUE_REPAIR_H

struct store;

/* Does nothing unless a salvage was not looked at yet. */
void	 repair_run(struct store *store);

#endif
