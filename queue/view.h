/* SPDX-License-Identifier: ISC */
/*
 * What goes out of a stored body: the pieces of an envelope, one behind the
 * other, or the stored body as it is. Delivery, mailbox, notifications and
 * `queue cat` see the view only; offsets and lengths outside queue/ are those
 * of the view. Everything is borrowed.
 */
#ifndef POSTERN_QUEUE_VIEW_H
#define POSTERN_QUEUE_VIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "queue/envelope.h"

struct view {
	const struct envelope_piece *pieces;
	size_t			 count;		/* 0: `whole` is all */
	struct envelope_piece	 whole;
};

/* Bytes of a view that lie together. */
struct view_part {
	const char	*text;		/* null: stored ones */
	uint64_t	 offset;	/* in the stored body */
	size_t		 length;
};

/* envelope: null for the first `stored` bytes as they are. */
void	 view_init(struct view *view, const struct envelope *envelope,
	    uint64_t stored);
uint64_t view_length(const struct view *view);
/* All that goes out of a message: prefix and view. */
uint64_t view_message_size(const struct envelope *envelope, uint64_t stored);
/* What lies at offset, most bytes of it and never none; false at the end. */
bool	 view_part(const struct view *view, uint64_t offset, size_t most,
	    struct view_part *part);

#endif
