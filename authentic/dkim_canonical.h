/* SPDX-License-Identifier: ISC */
/*
 * Canonicalisation (RFC 6376 3.4): what is hashed in place of what is sent, so
 * that small changes on the way do not matter. A body passes through in any
 * pieces; a field is done at once. CRLF is the end of a line; a lone CR or LF
 * is a byte like others.
 */
#ifndef POSTERN_AUTHENTIC_DKIM_CANONICAL_H
#define POSTERN_AUTHENTIC_DKIM_CANONICAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/digest.h"

struct buf;

enum dkim_canonical { DKIM_SIMPLE, DKIM_RELAXED };

enum { DKIM_BODY_ROOM = 1024 };

struct dkim_body {
	enum dkim_canonical	 kind;
	uint64_t		 limit;		/* bytes that are hashed (l=) */
	uint64_t		 length;	/* bytes so far, without what is
						 * held back */
	struct digest		*digest;	/* owned; null once ended */

	/* held back: it may be the end of the body, or of a line */
	uint64_t		 line_ends;
	bool			 blank;		/* relaxed only, behind these */
	bool			 carriage_return;	/* the last of all */

	/* on the way into the digest: words are short */
	char			 waiting[DKIM_BODY_ROOM];
	size_t			 waiting_length;
};

/* limit: UINT64_MAX for all of it. */
void	 dkim_body_init(struct dkim_body *body, enum dkim_canonical kind,
	    uint64_t limit);
void	 dkim_body_release(struct dkim_body *body);
void	 dkim_body_feed(struct dkim_body *body, const char *data,
	    size_t length);
/* Writes DIGEST_BYTES; length is that of the whole canonical body then. */
void	 dkim_body_end(struct dkim_body *body, uint8_t *out);

/* Adds a field, given raw with or without its CRLF; what is added has none. -1
 * at out's ceiling. */
int	 dkim_canonical_field(enum dkim_canonical kind, const char *text,
	    size_t length, struct buf *out);

#endif
