/* SPDX-License-Identifier: ISC */
/*
 * How full a maildir is (Maildir++): the file "maildirsize" in it holds the
 * limit on its first line and a change of size and number on each other one.
 * Dovecot and Courier read and write the same file: what we deliver is added to
 * it with one appending write, and a file that is missing, damaged, long, about
 * another limit, or not to be trusted any more is made anew by looking through
 * the maildir and its folders.
 *
 * The file is a cache: nothing here is needed for a message to be safe, and no
 * error here keeps a message out of a mailbox that has room.
 */
#ifndef POSTERN_DELIVERY_MAILDIR_QUOTA_H
#define POSTERN_DELIVERY_MAILDIR_QUOTA_H

#include <stdbool.h>
#include <stdint.h>

/* A longer file is summed up anew; one that says "full" is believed while it is
 * younger than QUOTA_STALE_SECONDS and nothing was added to it. */
enum { QUOTA_FILE_MAX = 5120, QUOTA_STALE_SECONDS = 15 * 60 };

/* Of files and folders, what one look through a maildir takes. Beyond that the
 * rest is not counted, and the log says so. */
enum { QUOTA_FILES_MAX = 1000000, QUOTA_FOLDERS_MAX = 10000 };

/* What the file says. */
struct maildir_size {
	int64_t		 limit;		/* in bytes; 0: none, or another kind */
	int64_t		 bytes;
	int64_t		 count;
	unsigned	 lines;		/* behind the first */
	int64_t		 changed;	/* seconds; not from the text */
};
/* -1: it is not such a file. */
int	 maildir_size_parse(const char *text, struct maildir_size *size);

/* Would a message of so many bytes fit? used gets what is there now. folder is
 * the maildir, open; path is for the log. */
bool	 maildir_quota_fits(int folder, const char *path, int64_t limit,
	    int64_t bytes, int64_t *used);
/* A message of so many bytes was delivered. */
void	 maildir_quota_add(int folder, int64_t bytes);

#endif
