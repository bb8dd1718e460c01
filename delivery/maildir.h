/* SPDX-License-Identifier: ISC */
/*
 * One message into one maildir, so that it is either there for good or not at
 * all: written under a new name in tmp, synced, linked into new, new synced,
 * and only then is the answer yes. A crash before that may leave a file in tmp
 * (swept after 36 hours) and makes the queue deliver again; a crash after the
 * link may deliver twice, never zero times.
 *
 * Folders are made as needed and synced into their parents. No symbolic link
 * is followed below the root.
 */
#ifndef POSTERN_DELIVERY_MAILDIR_H
#define POSTERN_DELIVERY_MAILDIR_H

#include <stddef.h>
#include <stdint.h>

struct status;
struct maildir;
struct maildir_file;

enum { MAILDIR_PATH_MAX = 1024, MAILDIR_SWEEP_HOURS = 36 };

/* What a process remembers of the maildirs it has written to. host is part of
 * file names; copied. */
struct maildir	*maildir_new(const char *host);
void		 maildir_free(struct maildir *maildir);

/*
 * The name of a mailbox's folder: lower case, and every byte that could mean
 * something in a path as %XX; a leading dot too. -1 if it does not fit.
 */
int	 maildir_name(char *out, size_t size, const char *local);

/*
 * Begins a file in the maildir at path, relative to the folder root. Null with
 * a status that defers.
 */
struct maildir_file	*maildir_create(struct maildir *maildir,
			    const char *root, const char *path,
			    struct status *status);
/* The maildir may hold so many bytes. -1 with a status (4.2.2) when it is full
 * already, which spares the writing; whether the message itself fits is seen
 * by maildir_commit(). 0: no limit. */
int	 maildir_limit(struct maildir_file *file, int64_t quota,
	    struct status *status);
/* 0, or -1 with a status; abandon it then. */
int	 maildir_write(struct maildir_file *file, const void *data,
	    size_t length, struct status *status);
/* Makes it durable and visible; frees the file in both cases. */
int	 maildir_commit(struct maildir_file *file, struct status *status);
/* Removes what was written, and frees. */
void	 maildir_abandon(struct maildir_file *file);

/* Removes files in the folder tmp that nobody has touched for 36 hours. */
void	 maildir_sweep(int tmp, int64_t now_milliseconds);

#endif
