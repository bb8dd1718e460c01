/* SPDX-License-Identifier: ISC */
/*
 * The users of our domains, as one table. Local parts of our own users are
 * compared without regard to case (RFC 5321 2.4 leaves that to us). What
 * becomes of an address is asked of policy/expand.h, which knows aliases, too.
 */
#ifndef POSTERN_POLICY_USERS_H
#define POSTERN_POLICY_USERS_H

#include <stdbool.h>
#include <stddef.h>

struct problems;
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
/* local is in lower case, without quotes; domain in lower case. */
bool		 users_has(const struct users *users, const char *local,
		    const char *domain);
bool		 users_is_open(const struct users *users, const char *domain);

#endif
