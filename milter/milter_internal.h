/* SPDX-License-Identifier: ISC */
/*
 * The connection to a filter, for the files that make up its machine:
 * milter.c (commands), milter_link.c (connection, deadlines, failure),
 * milter_answer.c (what it says), milter_content.c (header and body).
 */
#ifndef POSTERN_MILTER_MILTER_INTERNAL_H
#define POSTERN_MILTER_MILTER_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/loop.h"
#include "milter/changes.h"
#include "milter/macros.h"
#include "milter/milter.h"
#include "milter/negotiate.h"

struct reply;
struct stream;

/*
 *	NEW --> CONNECTING --> NEGOTIATING --> READY <--> ASKED
 *	 |	    |		    |		 |	   |
 *	 +----------+---------------+------------+---------+--> GONE
 *
 * ASKED: an answer is due, or content is on its way. GONE: it failed.
 */
enum milter_state { STATE_NEW, STATE_CONNECTING, STATE_NEGOTIATING,
    STATE_READY, STATE_ASKED, STATE_GONE };

enum {
	MILTER_INPUT_MAX = (1 << 20) + 4,	/* the largest reply */
	MILTER_OUTPUT_MAX = 4 << 20,
	/* Content waits when so much of it has not left. */
	MILTER_PENDING_MAX = 256 << 10,
	MILTER_WHY_SIZE = 256
};

struct milter {
	enum milter_state	 state;		/* by milter_enter() only */
	struct milter_settings	 settings;	/* texts owned */
	milter_macro		*macro;
	milter_done		*done;
	void			*arg;		/* of both */

	/* the connection; null before and after */
	struct stream		*stream;	/* owned */
	struct timer		 deadline;	/* of it, or of an answer */
	struct timer		 patience;	/* message_ms, of a command in
						 * all: progress or not */
	struct negotiated	 options;
	struct macros		 macros;

	/* the command under way */
	bool			 asked;		/* done is due */
	enum stage		 stage;
	struct buf		 question;	/* its data, until it is sent */
	bool			 answer_due;	/* it has been sent */
	bool			 answered;	/* done is about to be called */
	unsigned		 abandoned;	/* answers that nobody waits
						 * for; they come before */

	/* what done will get */
	struct milter_answer	 answer;
	char			*text;		/* owned; or null */
	char			 why[MILTER_WHY_SIZE];

	/* CONTINUE while there is something to ask */
	enum milter_action	 session;
	enum milter_action	 message;
	bool			 begun;		/* it knows of a message */
	unsigned		 skipped;	/* bits of enum stage: no more
						 * of these in the message */

	/* the content under way */
	const struct milter_content *content;	/* borrowed */
	enum stage		 next;		/* what will be sent */
	size_t			 field;
	uint64_t		 offset;	/* in the body */
	bool			 draining;	/* until the output has left */
	struct changes		 changes;
};

/* milter_link.c */
void	 milter_enter(struct milter *milter, enum milter_state state);
void	 milter_connect(struct milter *milter);
/* Says "it ..." in the log, and answers with it if a command is under way. */
void	 milter_fail(struct milter *milter, const char *format, ...)
	    __attribute__((format(printf, 2, 3)));
void	 milter_wait(struct milter *milter, int64_t milliseconds);
/* One command; the macros of its stage go in front. */
void	 milter_send(struct milter *milter, enum stage stage, const void *data,
	    size_t length);
/* Forgets the message under way at the filter. */
void	 milter_send_abort(struct milter *milter);
/* Says QUIT if it can. */
void	 milter_disconnect(struct milter *milter);

/* milter_answer.c */
/* done will hear this; the command is over. */
void	 milter_answer(struct milter *milter, enum milter_action action);
void	 milter_heard(struct milter *milter, const struct reply *reply);

/* milter_content.c */
void	 milter_content_begin(struct milter *milter);
/* Sends until an answer is due or the output is full. */
void	 milter_content_go_on(struct milter *milter);

/* milter.c */
/* The connection is there: the command that waits for it, if there is one. */
void	 milter_pose(struct milter *milter);

#endif
