/* SPDX-License-Identifier: ISC */
/*
 * What a filter says, after the negotiation: an answer, a change it asks for,
 * or a sign of progress (SMFIR_*). Here only the form is checked; whether it
 * may be said now, and was agreed on, is the machine's to know.
 */
#ifndef POSTERN_MILTER_REPLY_H
#define POSTERN_MILTER_REPLY_H

#include <stddef.h>
#include <stdint.h>

#include "milter/milter.h"

struct packet;

enum reply_kind {
	REPLY_ANSWER,		/* action */
	REPLY_WORDS,		/* action, and its own text */
	REPLY_SKIP,		/* no more of this stage */
	REPLY_PROGRESS,
	REPLY_EDIT
};

enum {
	REPLY_LINE_MAX = 480,	/* of its text; RFC 5321 4.5.3.1.5 is 512 */
	REPLY_LINES_MAX = 32,
	REPLY_TEXT_SIZE = REPLY_LINES_MAX * (REPLY_LINE_MAX + 1)
};

struct reply {
	enum reply_kind		 kind;
	enum milter_action	 action;

	/* EDIT; all borrowed from the packet */
	enum milter_edit_kind	 edit;
	uint32_t		 change;	/* what allows it */
	uint32_t		 index;
	const char		*name;
	const char		*value;		/* or null */
	size_t			 length;	/* a body's */

	/* WORDS: the reply as it was sent */
	const char		*words;
};

/* 0, or -1 with a sentence about the filter in why. */
int	 reply_read(struct reply *reply, const struct packet *packet,
	    const char **why);

/*
 * "550-5.7.1 Not this%%\r\n550 5.7.1 one" (RFC 5321 4.2, RFC 2034 4): code,
 * enhanced ("" if there is none, or of another class), the lines' text, with
 * LF between. What is not printable ASCII becomes a question mark, a long line
 * is cut. 0, or -1 if it is no refusal in this form.
 */
int	 reply_words(const char *words, int *code, char enhanced[16],
	    char text[REPLY_TEXT_SIZE]);

#endif
