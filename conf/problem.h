/* SPDX-License-Identifier: ISC */
/*
 * What is wrong with a configuration, collected while it is read and checked,
 * and told in the order of its lines: "FILE:LINE: what; accepted; remedy".
 * The list keeps the first PROBLEMS_MAX and counts the rest.
 */
#ifndef POSTERN_CONF_PROBLEM_H
#define POSTERN_CONF_PROBLEM_H

#include <stddef.h>

enum { PROBLEMS_MAX = 25 };

struct problem {
	int	 line;		/* 0: of the file as a whole; told last */
	char	*text;		/* owned */
};

struct problems {
	const char	*file;		/* borrowed; for the messages */
	struct problem	 items[PROBLEMS_MAX];
	size_t		 count;		/* may be more than there are items */
};

void	 problems_init(struct problems *problems, const char *file);
void	 problems_release(struct problems *problems);
void	 problems_reset(struct problems *problems);
void	 problems_add(struct problems *problems, int line, const char *format,
	    ...) __attribute__((format(printf, 3, 4)));
/* All of them, a line each; null when there is none. Owned by the caller. */
char	*problems_take(struct problems *problems);

#endif
