/* SPDX-License-Identifier: ISC */
/*
 * Values of options: from the words of the file into the member, from the
 * member back into words. One pair of functions per type, in one table. A
 * word that cannot be understood leaves the member as it was.
 */
#ifndef POSTERN_CONF_VALUE_H
#define POSTERN_CONF_VALUE_H

#include <stddef.h>

struct buf;
struct option;

enum { VALUE_WHY_MAX = 200 };

/*
 * Sets the member of option in element, whose old value is freed. 0, or -1
 * with the reason and what is accepted ("is not a size; accepted: ...") in
 * why, of VALUE_WHY_MAX bytes, and in wrong the index of the word at fault.
 */
int	 value_set(const struct option *option, void *element, char **words,
	    size_t count, char *why, size_t *wrong);
/* Sets the member to the default of the table; a bad default is a bug. */
void	 value_set_default(const struct option *option, void *element);
/* Frees what the member holds. */
void	 value_release(const struct option *option, void *element);
/* Adds the value as the file would say it: yes, 50M, { "a", "b" }. */
void	 value_print(const struct option *option, const void *element,
	    struct buf *out);
/* Adds what may stand for option: "yes or no", "1s to 1h". */
void	 value_print_accepted(const struct option *option, struct buf *out);

/* Adds text in double quotes if the syntax needs them. */
void	 value_print_word(const char *text, struct buf *out);

#endif
