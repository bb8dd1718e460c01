/* SPDX-License-Identifier: ISC */
/*
 * One picture of `postern queue top`, as lines of text that fit a screen. All
 * that came from outside is harmless in them: printable ASCII, one column a
 * byte.
 */
#ifndef POSTERN_TOOLS_QUEUE_TOP_VIEW_H
#define POSTERN_TOOLS_QUEUE_TOP_VIEW_H

#include <jansson.h>
#include <stddef.h>

enum { QUEUE_TOP_WIDTH_MAX = 500, QUEUE_TOP_LINES_MAX = 1000,
    /* Lines before the first place; with less than one more there is no
     * picture. */
    QUEUE_TOP_HEAD = 8 };

struct queue_top_view {
	char	(*lines)[QUEUE_TOP_WIDTH_MAX + 1];	/* owned */
	size_t	 count;
	size_t	 heading;	/* the line with the names of columns */
};

void	 queue_top_view_init(struct queue_top_view *view);
void	 queue_top_view_release(struct queue_top_view *view);
/* Answers: objects of the queue's top, the totals last. At most height lines of
 * at most width columns. */
void	 queue_top_view_fill(struct queue_top_view *view,
	    const json_t *answers, size_t width, size_t height);

#endif
