/* SPDX-License-Identifier: ISC */
/*
 * The processes of Postern and which pairs of them may talk. The table in
 * role.c is the true picture of the architecture: the supervisor makes a
 * channel for each pair in it and for no other.
 */
#ifndef POSTERN_BASE_ROLE_H
#define POSTERN_BASE_ROLE_H

#include <stdbool.h>
#include <stddef.h>

enum role { ROLE_SUPERVISOR, ROLE_SMTPD, ROLE_QUEUE, ROLE_DELIVERY,
    ROLE_MAILBOX, ROLE_POLICY, ROLE_DIRECTORY, ROLE_STS, ROLE_COUNT };

const char	*role_name(enum role role);
/* ROLE_COUNT if there is none of that name. */
enum role	 role_find(const char *name);
bool		 role_may_talk(enum role one, enum role other);

#endif
