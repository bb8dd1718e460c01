/* SPDX-License-Identifier: ISC */
/*
 * One SMTP reply (RFC 5321 4.2) read from bytes of a stranger. Only CRLF ends
 * a line; all lines carry one code of 2xx to 5xx; lines, their number and the
 * text kept are bounded. Whatever breaks that is ANSWER_BAD, and the connection
 * is of no use afterwards. Bytes behind the reply stay in the input: they
 * belong to the next one.
 *
 * The text holds printable ASCII only: a reply can put nothing else into a
 * log, a notification or a later command.
 */
#ifndef POSTERN_DELIVERY_ANSWER_H
#define POSTERN_DELIVERY_ANSWER_H

#include <stddef.h>

#include "base/buf.h"

/* RFC 5321 4.5.3.1.5 says 512 bytes; servers are known to say more. */
enum { ANSWER_LINE_MAX = 2048, ANSWER_LINES_MAX = 128, ANSWER_TEXT_MAX = 8192 };

enum answer_progress { ANSWER_MORE, ANSWER_READY, ANSWER_BAD };

struct answer {
	int		 code;		/* 0 before the first line */
	unsigned	 line_count;
	/* Every line without its code, each ended by a line feed. What passes
	 * ANSWER_TEXT_MAX is left out, in whole lines. */
	struct buf	 text;
	const char	*problem;	/* literal, when ANSWER_BAD */
};

void	 answer_init(struct answer *reply);
void	 answer_release(struct answer *reply);
/* Forgets all, also half a reply: before the next one, and at STARTTLS. */
void	 answer_reset(struct answer *reply);
/* Takes complete lines from input until the reply is whole. */
enum answer_progress	 answer_read(struct answer *reply, struct buf *input);

/* The text, lines ended by line feeds; borrowed until the next call. */
const char	*answer_text(struct answer *reply);
/* First digit of the code. */
int	 answer_class(const struct answer *reply);

#endif
