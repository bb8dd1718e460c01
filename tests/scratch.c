/* SPDX-License-Identifier: ISC */
/*
 * See scratch.h.
 */
#include "tests/scratch.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>

enum { OPEN_FOLDERS = 16 };

static int remove_one(const char *path, const struct stat *about, int type,
    struct FTW *walk)
{
	(void)about;
	(void)type;
	(void)walk;
	return remove(path);
}

int scratch_make(char *path, size_t size, const char *name)
{
	snprintf(path, size, "/tmp/postern-%s-XXXXXX", name);
	return mkdtemp(path) == NULL ? -1 : 0;
}

int scratch_remove(const char *path)
{
	return nftw(path, remove_one, OPEN_FOLDERS, FTW_DEPTH | FTW_PHYS);
}
