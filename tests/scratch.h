/* SPDX-License-Identifier: ISC */
/*
 * A folder of a test's own.
 */
#ifndef POSTERN_TESTS_SCRATCH_H
#define POSTERN_TESTS_SCRATCH_H

#include <stddef.h>

/* name says whose it is; path gets the whole of it. 0, or -1 with errno. */
int	 scratch_make(char *path, size_t size, const char *name);
/* With all that is in it; follows no links. 0, or not. */
int	 scratch_remove(const char *path);

#endif
