/* SPDX-License-Identifier: ISC */
/*
 * A small text file that a sub-command keeps and the server reads. Whoever
 * changes it holds a lock next to it (PATH.lock) from reading to writing; what
 * is written takes the old one's place at once or not at all, is durable
 * before it is reported, and keeps the old one's mode and owner. A new one is
 * readable by its owner alone.
 */
#ifndef POSTERN_TOOLS_KEPT_FILE_H
#define POSTERN_TOOLS_KEPT_FILE_H

#include <stddef.h>

struct conf;

enum { KEPT_FILE_MAX = 64 << 20 };

struct kept_file {
	char	*path;		/* owned */
	char	*text;		/* owned; "" when there is no file */
	size_t	 length;
	int	 lock;		/* owned; -1: only for reading */
	const char *model;	/* borrowed; null: a new one is its owner's */
};

/* For reading only, without the lock: the file is always whole. -1 with a
 * sentence on stderr, and nothing is to be closed. */
int	 kept_file_read(struct kept_file *file, const char *path);
/* Makes the state directory if it is not there yet, and waits for the lock,
 * some seconds at most. -1 as above. */
int	 kept_file_begin(struct kept_file *file, const struct conf *conf,
	    const char *path);
/* The lock alone, for a file that is made anew from another one: model, whose
 * mode and owner it gets if it was not there yet. -1 as above. */
int	 kept_file_lock(struct kept_file *file, const char *path,
	    const char *model);
/* -1 with a sentence on stderr; the old one is as it was. */
int	 kept_file_write(const struct kept_file *file, const char *text,
	    size_t length);
/* Lets go of the lock; wipes what was read. */
void	 kept_file_end(struct kept_file *file);

#endif
