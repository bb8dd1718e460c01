/* SPDX-License-Identifier: ISC */
/*
 * Files of aliases, in the form that is well known:
 *
 *	# a comment
 *	name: target, target
 *		target on a line that continues
 *	"quoted name": target
 *	name@example.org: target
 *
 * A target is a local name (in the domain of whoever was written to) or an
 * address. Programs, files and lists in files are refused with a reason.
 * This is the table alone; what is done with it is in expand.c, which also
 * finds circles. Names are compared without regard to case.
 */
#ifndef POSTERN_POLICY_ALIASES_H
#define POSTERN_POLICY_ALIASES_H

#include <stddef.h>

struct aliases;
struct problems;

struct alias_target {
	const char	*local;		/* without quotes */
	const char	*domain;	/* null: the alias's own */
};

struct alias {
	const char		*local;		/* lower case, without quotes */
	const char		*domain;	/* null: in all domains */
	const char		*file;
	unsigned		 line;
	unsigned		 number;	/* from 0, in order of reading */
	const struct alias_target *targets;
	size_t			 target_count;	/* one at least */
};

struct aliases	*aliases_new(void);
void		 aliases_free(struct aliases *aliases);
/*
 * Adds a file. With a domain it is that domain's: bare names are its own, and
 * stand before those of the file of all domains; null is the file of all.
 * What is wrong is added to problems, whose file it is. path is copied.
 */
void		 aliases_read(struct aliases *aliases, const char *text,
		    size_t length, const char *domain,
		    struct problems *problems);
/* The domain's own, then local@domain of all, then local of all; null if
 * there is none. local is in lower case. */
const struct alias	*aliases_find(const struct aliases *aliases,
			    const char *local, const char *domain);
size_t		 aliases_count(const struct aliases *aliases);
/* number < aliases_count() */
const struct alias	*aliases_get(const struct aliases *aliases,
			    size_t number);

#endif
