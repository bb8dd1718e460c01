/* SPDX-License-Identifier: ISC */
/*
 * Lists of words in one text, with spaces between, as EHLO has mechanisms.
 */
#ifndef POSTERN_BASE_WORDS_H
#define POSTERN_BASE_WORDS_H

#include <stdbool.h>

/* Any case. */
bool	 words_contain(const char *list, const char *word);

#endif
