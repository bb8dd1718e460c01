/* SPDX-License-Identifier: ISC */
/*
 * Makes a table (base/table.h) from a text of users or aliases. What is wrong
 * in the text is said with file and line, and then nothing is written; what is
 * written takes the old one's place at once.
 */
#ifndef POSTERN_TOOLS_TABLE_BUILD_H
#define POSTERN_TOOLS_TABLE_BUILD_H

#include <stdbool.h>

struct conf;

/* Which option names a table. */
enum table_use { TABLE_UNUSED, TABLE_OF_USERS, TABLE_OF_ALIASES,
    TABLE_OF_BOTH };

/* domain gets the one that it is of; null: of several, or of all. */
enum table_use	 table_use(const struct conf *conf, const char *path,
		    const char **domain);
/* Both may be relative; text null: the table's path without ".cdb". An exit status, with a
 * line on stdout, or what is wrong on stderr. */
int		 table_build(const char *configuration, const char *name,
		    const char *text);

#endif
