/* SPDX-License-Identifier: ISC */
/*
 * The directories that the roles live in: made at start with the right owner
 * and mode; one that belongs to somebody else is an error, not repaired.
 */
#ifndef POSTERN_TOOLS_DIRECTORIES_H
#define POSTERN_TOOLS_DIRECTORIES_H

#include "base/role.h"

struct conf;

/* The user a role changes to ("" when it stays); owned by the caller. */
char	*directories_user(const struct conf *conf, enum role role);
/* Where a role is put by chroot ("" when it is not); owned by the caller. */
char	*directories_root(const struct conf *conf, enum role role);
/* 0, or -1 with a sentence in errors (owned by the caller). */
int	 directories_make(const struct conf *conf, char **errors);

#endif
