/* SPDX-License-Identifier: ISC */
/*
 * What a filter asks to change in one message, in its order, checked and made
 * ready for use: a field has no second field hidden in it, an address no
 * brackets and no control characters, the pieces of a new body are one, in the
 * place of the first. How much of it there may be is bounded.
 */
#ifndef POSTERN_MILTER_CHANGES_H
#define POSTERN_MILTER_CHANGES_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "milter/milter.h"

struct reply;

enum {
	CHANGES_MAX = 16384,
	CHANGES_BYTES_MAX = 4 << 20,	/* of names and values, not the body */
	CHANGES_ADDRESS_MAX = 1024
};

struct changes {
	struct milter_edits	 list;		/* owned */
	size_t			 count;
	size_t			 bytes;
	struct milter_edit	*body;		/* in list; null: as it was */
	struct buf		 text;		/* of the body, until the end */
};

void	 changes_init(struct changes *changes, size_t replace_max);
/* Empty again; may be used further. */
void	 changes_reset(struct changes *changes);
/* spaced: the filter has put the space behind the colon itself. 0, or -1 with
 * a sentence about the filter in why. */
int	 changes_add(struct changes *changes, const struct reply *reply,
	    bool spaced, const char **why);
/* All have been added. */
void	 changes_end(struct changes *changes);

#endif
