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
/* The same for the state directory alone, if it is missing: what is kept there
 * may be written before the first start. */
int	 directories_make_state(const struct conf *conf, char **errors);
/* The same for the drop directory alone: it may be another after a reload. */
int	 directories_make_drop(const struct conf *conf, char **errors);

#endif
