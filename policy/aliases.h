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
 * This is the list alone; what is done with it is in expand.c, which also
 * finds circles. Names are compared without regard to case.
 *
 * Aliases of texts are in memory, those of tables (base/table.h) are looked up
 * where they are; both are answered as the same struct.
 */
#ifndef POSTERN_POLICY_ALIASES_H
#define POSTERN_POLICY_ALIASES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct aliases;
struct problems;
struct table;
struct table_writer;

struct alias_target {
	const char	*local;		/* without quotes */
	const char	*domain;	/* null: the alias's own */
};

/* Borrowed from the aliases. */
struct alias {
	const char	*local;		/* lower case, without quotes */
	const char	*domain;	/* null: in all domains */
	const char	*file;		/* the text, also of a table's alias */
	unsigned	 line;
	uint64_t	 number;	/* of this one only; below 2^36 */
	bool		 in_table;
	size_t		 target_count;	/* one at least */
	const char	*targets;	/* as alias_next_target() reads them */
	size_t		 targets_length;
};

enum alias_answer { ALIAS_NONE, ALIAS_FOUND, ALIAS_DAMAGED };

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
/* The same of a table, which is held from then on. Nothing in it is looked at
 * yet. Few: all of them have numbers of their own. */
void		 aliases_add_table(struct aliases *aliases,
		    struct table *table, const char *domain);
/* All that was read goes into a table. */
void		 aliases_write(const struct aliases *aliases,
		    struct table_writer *writer);
/* The domain's own, then local@domain of all, then local of all. local is in
 * lower case. alias is set with ALIAS_FOUND only; damaged: a table cannot
 * tell. */
enum alias_answer	 aliases_find(const struct aliases *aliases,
			    const char *local, const char *domain,
			    struct alias *alias);
/* position begins with 0. ALIAS_NONE behind the last one. */
enum alias_answer	 alias_next_target(const struct alias *alias,
			    size_t *position, struct alias_target *target);

/* How many were read, those of tables not counted. */
size_t		 aliases_count(const struct aliases *aliases);
/* All of them, those of tables last and only if wanted; begins with zeros. A
 * table that several domains have is gone through for each. ALIAS_DAMAGED ends
 * it; alias has the file and perhaps the line. */
struct aliases_position {
	size_t		 item, source;
	uint32_t	 in_table;
};
enum alias_answer	 aliases_next(const struct aliases *aliases,
			    struct aliases_position *position, bool tables,
			    struct alias *alias);

#endif
