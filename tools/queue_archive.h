/* SPDX-License-Identifier: ISC */
/*
 * Archives of queued mail: a tar file without compression, with regular files
 * only, in this order.
 *
 *	manifest.json	{"format":1,"archive":NAME,"host","time","schema"}
 *	ID.json		a message: {"id","arrival","sender","recipients":[...],
 *			"length","sha256","envelope":BASE64,
 *			"slices":[BASE64,...]}
 *	ID.body		its body as it is stored: "length" bytes, "sha256"
 *	...
 *	totals.json	{"messages","bytes","sha256"}: of the bodies, and the
 *			digest of all ID.json one after the other
 *
 * "envelope" and "slices" are rows of the queue (queue/record.h), which any
 * later version reads; the rest of ID.json is for people. An archive that ends
 * before totals.json is none.
 */
#ifndef POSTERN_TOOLS_QUEUE_ARCHIVE_H
#define POSTERN_TOOLS_QUEUE_ARCHIVE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum { QUEUE_ARCHIVE_FORMAT = 1, QUEUE_ARCHIVE_NAME_MAX = 64,
    QUEUE_ARCHIVE_JSON_MAX = 64 << 20 };

/* --- writing --- */

struct queue_archive_writer;

/* Null after a sentence on stderr. fd is borrowed. */
struct queue_archive_writer	*queue_archive_create(int fd, const char *name,
				    const char *host);
/* The body is read from its beginning. -1: it could not be written; said. */
int	 queue_archive_add(struct queue_archive_writer *writer,
	    const json_t *message, FILE *body);
/* Complete: the totals, and all of it on the disk, with its name, if it is a
 * file. Frees. */
int	 queue_archive_finish(struct queue_archive_writer *writer);
void	 queue_archive_abandon(struct queue_archive_writer *writer);

/* --- reading --- */

/* Each may be null, and returns -1 to stop. */
struct queue_archive_visitor {
	int	(*message)(void *arg, const json_t *message);
	int	(*body)(void *arg, const void *data, size_t length);
	int	(*end)(void *arg, const json_t *message);
	void	*arg;
};

struct queue_archive_about {
	char		 name[QUEUE_ARCHIVE_NAME_MAX + 1];
	uint64_t	 messages, bytes;
	char		 problem[200];	/* why it is no good */
};

/*
 * Reads and checks all of it, hostile as it may be: what a visitor is told is
 * whole, but for a body, whose digest comes with its end, and the archive,
 * whose end comes last. -1: about->problem says why, or a visitor stopped (it
 * is empty).
 */
int	 queue_archive_read(int fd, const struct queue_archive_visitor *visitor,
	    struct queue_archive_about *about);
int	 queue_archive_read_memory(const void *data, size_t length,
	    const struct queue_archive_visitor *visitor,
	    struct queue_archive_about *about);

#endif
