/* SPDX-License-Identifier: ISC */
/*
 * The users of our domains: those of texts in memory, those of tables
 * (base/table.h) looked up where they are, both behind the same questions.
 * Local parts of our own users are compared without regard to case (RFC 5321
 * 2.4 leaves that to us). What becomes of an address is asked of
 * policy/expand.h, which knows aliases, too.
 */
#ifndef POSTERN_POLICY_USERS_H
#define POSTERN_POLICY_USERS_H

#include <stdbool.h>
#include <stddef.h>

struct problems;
struct table;
struct table_writer;
struct users;

struct users	*users_new(void);
void		 users_free(struct users *users);
/* A local part, or "*", which means everybody. -1 if it is neither. */
int		 users_add(struct users *users, const char *domain,
		    const char *local);
/* A file of them, one a line; what is wrong goes to problems. */
void		 users_read(struct users *users, const char *domain,
		    const char *text, size_t length,
		    struct problems *problems);
/* A table of the domain's; held from then on. */
void		 users_add_table(struct users *users, const char *domain,
		    struct table *table);
/* The local parts that are read from now on are written there, too, each once.
 * For one domain only; the writer outlives the users, or is taken away by
 * null. */
void		 users_write(struct users *users, struct table_writer *writer);
/* How many local parts were read, "*" among them. */
size_t		 users_count(const struct users *users);

enum users_answer { USERS_NOBODY, USERS_FOUND, USERS_DAMAGED };

/* local is in lower case, without quotes; domain in lower case. Damaged: a
 * table cannot tell. */
enum users_answer users_has(const struct users *users, const char *local,
		    const char *domain);
enum users_answer users_is_open(const struct users *users,
		    const char *domain);

#endif
