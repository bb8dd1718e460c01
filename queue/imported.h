/* SPDX-License-Identifier: ISC */
/*
 * Which messages of which archive were taken in before (verb_import.c), so that
 * an import that was cut off, or made twice, doubles nothing. It is remembered
 * for as long as somebody may go on with such an import, not for ever: 30 days,
 * or twice message-expiry where that is longer.
 */
#ifndef POSTERN_QUEUE_IMPORTED_H
#define POSTERN_QUEUE_IMPORTED_H

#include <stdint.h>

struct imported;
struct queue;

struct imported	*imported_new(struct queue *queue);
void		 imported_free(struct imported *imported);

/* The identifier that message `from` of the archive has here, 0: none. Both
 * names are short words without a slash. */
uint64_t	 imported_find(struct queue *queue, const char *archive,
		    const char *from);
/* In the batch that takes it in. */
void		 imported_put(struct queue *queue, const char *archive,
		    const char *from, uint64_t id);

#endif
