/* SPDX-License-Identifier: ISC */
/*
 * What a long verb says on its way, as one line on a terminal's standard error
 * that is written over and over and gone at the end. Nothing is ever shown
 * where standard error is no terminal.
 *
 * The queue says {"progress":{"seen":N,"total":N,"changed":N}}; total is
 * missing where it is not known, changed where nothing is changed.
 */
#ifndef POSTERN_TOOLS_QUEUE_PROGRESS_H
#define POSTERN_TOOLS_QUEUE_PROGRESS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct queue_progress {
	bool	 shown;		/* there is a terminal, and somebody asks */
	bool	 visible;	/* a line is on it */
	int64_t	 began;		/* monotonic, ms */
};

void	 queue_progress_init(struct queue_progress *progress, bool wanted);
/* Whether object was one; it has been shown then. */
bool	 queue_progress_take(struct queue_progress *progress,
	    const json_t *object);
/* Before anything else is printed. */
void	 queue_progress_clear(struct queue_progress *progress);
/* The line for what has been said after so many ms, at most width columns. */
void	 queue_progress_format(const json_t *values, int64_t elapsed,
	    size_t width, char *out, size_t size);

#endif
