/* SPDX-License-Identifier: ISC */
/*
 * Answers of the server as text for people: members of JSON objects that may
 * be missing, and lines that are broken at spaces. All that comes from outside
 * is escaped here before a terminal sees it.
 */
#ifndef POSTERN_TOOLS_COMMAND_TEXT_H
#define POSTERN_TOOLS_COMMAND_TEXT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

enum { TEXT_WIDTH = 79, TEXT_LABEL = 12, TEXT_BYTES = 4096 };

/* A line of an answer. In its texts each control character is a question mark,
 * but for ends of lines and tabs: a role that was taken over writes none to a
 * terminal. A new reference; null: it is no JSON, or no name of a member. */
json_t		*text_read_answer(const char *line, size_t length);
/* "", 0 and false when there is no such member. */
const char	*text_of(const json_t *object, const char *key);
long long	 number_of(const json_t *object, const char *key);
bool		 is_true(const json_t *object, const char *key);

/* The object in one line, as it came. */
void	 text_print_json(const json_t *object);
/* Control characters escaped, quotes as they are. */
void	 text_clean(const char *text, char *out, size_t size);
/* The same, at once to standard output, up to width columns filled with
 * spaces; 0: as long as it is. */
void	 text_print(const char *text, int width);
/* From column on, which the cursor has reached; further lines begin there,
 * too. */
void	 text_wrap(size_t column, const char *text);
void	 text_line(size_t indent, const char *text);
/* "      label       text"; nothing when the text is empty. */
void	 text_labelled(size_t indent, const char *label, const char *text);

/* 5400 is "90m". */
void	 text_duration(long long seconds, char *out, size_t size);
/* The texts of an array, with a separator between. */
void	 text_join(const json_t *array, const char *separator, char *out,
	    size_t size);

#endif
