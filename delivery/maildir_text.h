/* SPDX-License-Identifier: ISC */
/*
 * A message on its way into a mailbox file: CRLF becomes LF, Return-Path
 * fields that came with it are left out (RFC 5321 4.4: final delivery writes
 * the only one), and a Delivered-To field that already names this mailbox is
 * noticed, because then the mail goes in a circle. Everything else passes as
 * it is. Works on pieces of any size in bounded memory.
 */
#ifndef POSTERN_DELIVERY_MAILDIR_TEXT_H
#define POSTERN_DELIVERY_MAILDIR_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

/* Of a header line, what is looked at before it is passed on. */
enum { MAILDIR_LINE_MAX = 600 };

struct maildir_text {
	const char	*mailbox;	/* borrowed */
	struct buf	 line;		/* start of a header line */
	bool		 in_body;
	bool		 decided;	/* of this line: passed or left out */
	bool		 leaving_out;	/* this field */
	bool		 carriage;	/* a CR was read, what follows not yet */
	bool		 loops;		/* the answer */
};

void	 maildir_text_init(struct maildir_text *text, const char *mailbox);
void	 maildir_text_release(struct maildir_text *text);
/* Adds at most length + MAILDIR_LINE_MAX + 1 bytes to out. */
void	 maildir_text_feed(struct maildir_text *text, const char *data,
	    size_t length, struct buf *out);
/* What is held back at the end of the message. */
void	 maildir_text_end(struct maildir_text *text, struct buf *out);

#endif
