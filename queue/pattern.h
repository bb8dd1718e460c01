/* SPDX-License-Identifier: ISC */
/*
 * Patterns of operators: selectors of commands and standing rules. "*" stands
 * for any number of characters, "?" for one, letters match in either case, and
 * nothing else is special, since an address may contain it.
 */
#ifndef POSTERN_QUEUE_PATTERN_H
#define POSTERN_QUEUE_PATTERN_H

#include <stdbool.h>

/* A null pattern matches everything, an empty one only the empty text. */
bool	 pattern_matches(const char *pattern, const char *text);

#endif
