/* SPDX-License-Identifier: ISC */
/*
 * Reading a view of a stored body so that damage never leaves the house: the
 * digest made when the message was accepted is over all stored bytes, those
 * that the view leaves out included, and it is checked before the last byte of
 * the view is handed out. Reading from the front to the end checks it on the
 * way; jumping to the end checks all of it first.
 */
#ifndef POSTERN_QUEUE_BODY_H
#define POSTERN_QUEUE_BODY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/digest.h"

struct buf;
struct record_message;
struct store;
struct view;

struct body {
	struct store	*store;		/* outlives us */
	uint64_t	 id;
	uint64_t	 stored;	/* bytes */
	bool		 is_edited;	/* its view is not that of all bytes */
	uint8_t		 expected[DIGEST_BYTES];
	struct digest	*running;	/* owned; of the first `checked` bytes */
	uint64_t	 checked;
	bool		 is_whole;	/* the digest was right */
};

void	 body_init(struct body *body, struct store *store, uint64_t id,
	    const struct record_message *message);
void	 body_release(struct body *body);
/* Adds up to length bytes of the view, from offset on, to out, which has room
 * for them; -1: the body is not what was accepted. */
int	 body_read(struct body *body, const struct view *view,
	    uint64_t offset, size_t length, struct buf *out);
/* The same from the view's beginning, without the digest: for what is returned
 * in part. */
int	 body_peek(struct store *store, uint64_t id, const struct view *view,
	    size_t length, struct buf *out);

#endif
