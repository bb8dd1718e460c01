/* SPDX-License-Identifier: ISC */
/*
 * Texts that came from peers, on their way to a reader. What a terminal would
 * act on (control characters of both sets, marks that turn the direction) and
 * what is not UTF-8 becomes a question mark.
 */
#ifndef POSTERN_TOOLS_LAB_TEXT_H
#define POSTERN_TOOLS_LAB_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* One line: ends of lines are question marks, too. */
void	 lab_text_put(FILE *out, const char *text);
/* Many: ends of lines and tabs stay, each line behind the prefix. */
void	 lab_text_put_lines(FILE *out, const char *prefix, const char *text);
/* Character data or an attribute value of XML 1.0. */
void	 lab_text_put_xml(FILE *out, const char *text);
/* Words in lines of 76 columns, indented by four. */
void	 lab_text_fold(FILE *out, const char *text);

#endif
