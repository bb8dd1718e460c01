/* SPDX-License-Identifier: ISC */
/*
 * Macros: what a session says of itself beside the commands. Each stage has a
 * list of names, which a filter may replace when it negotiates; those that are
 * set go out in one frame in front of the stage's command.
 */
#ifndef POSTERN_MILTER_MACROS_H
#define POSTERN_MILTER_MACROS_H

#include <stdint.h>

#include "milter/milter.h"

struct buf;

/* In the order of the protocol (SMFIM_*). */
enum macro_stage { MACRO_CONNECT, MACRO_HELO, MACRO_MAIL, MACRO_RECIPIENT,
    MACRO_DATA, MACRO_END_OF_MESSAGE, MACRO_END_OF_HEADER, MACRO_STAGES,
    MACRO_NONE = MACRO_STAGES };

enum { MACRO_LIST_MAX = 4096 };

struct macros {
	char	*lists[MACRO_STAGES];	/* owned; null: the usual one */
};

void	 macros_release(struct macros *macros);
/* 0; -1: there is no such stage, or the list is longer than a filter needs. */
int	 macros_set(struct macros *macros, uint32_t stage, const char *list);
/* Adds a frame, or nothing if none is set. command: of the stage. */
void	 macros_write(const struct macros *macros, enum macro_stage stage,
	    char command, milter_macro *macro, void *arg, struct buf *out);

#endif
