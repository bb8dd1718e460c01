/* SPDX-License-Identifier: ISC */
/*
 * Makes the text of a configuration fit for libconfuse, or says what is wrong
 * with it. It splits nothing into words: it knows quotes, comments and braces
 * only. What it does away with, found in libconfuse 3.3:
 * - comments are blanked, because they make the parser miscount its lines and
 *   fail inside lists; only '#' begins one;
 * - "${NAME}" is refused, because it would read the environment;
 * - strings end on their line and know two escapes, \" and \\, because others
 *   make bytes no value may hold, and an end of file in them goes to stdout;
 * - braces are balanced, because the parser takes an unclosed section;
 * - '+', '*', '(' and ')' stand in quotes only: the parser drops the first
 *   two without a word.
 * Also noted: the line of each section's opening brace, in order.
 */
#ifndef POSTERN_CONF_GUARD_H
#define POSTERN_CONF_GUARD_H

#include <stddef.h>

struct problems;

struct guard {
	char	*text;		/* owned; as many lines as the original */
	int	*section_lines;	/* owned */
	size_t	 section_count;
};

/* 0, or -1 with at least one problem; release it in both cases. */
int	 guard_init(struct guard *guard, const char *text,
	    struct problems *problems);
void	 guard_release(struct guard *guard);

#endif
