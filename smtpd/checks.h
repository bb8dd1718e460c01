/* SPDX-License-Identifier: ISC */
/*
 * What is asked about a client, a sender, a recipient and a message, and in
 * which order: one table (checks.c), walked at six points of a session. A check
 * passes, stops the command or message with a reply of its own, or waits for
 * somebody and goes on later. Each is on or off by the configuration and
 * decides for itself whom it does not concern.
 *
 * A check that stops in mode "warn" only tells the log. Every decision can be
 * heard by whoever tries a message out (trial.h).
 */
#ifndef POSTERN_SMTPD_CHECKS_H
#define POSTERN_SMTPD_CHECKS_H

#include <stdbool.h>
#include <stddef.h>

#include "conf/conf.h"

struct session;

enum check_point {
	CHECK_CONNECT,		/* before the greeting */
	CHECK_HELLO,		/* EHLO, HELO: the name is known */
	CHECK_MAIL,		/* MAIL: the transaction has begun */
	CHECK_RECIPIENT,	/* RCPT: waiting_address is somebody's or not */
	CHECK_KNOWN_RECIPIENT,	/* ... the directory has found it, or it may be
				 * relayed to; not in the envelope yet */
	CHECK_CONTENT,		/* the content is whole, nothing is promised */
	CHECK_POINTS
};

enum check_answer { CHECK_PASS, CHECK_WAIT, CHECK_STOP };

struct check {
	enum check_point	 point;
	const char		*name;		/* in log and README */
	enum check_answer	 (*run)(struct session *session);
};

enum { CHECK_TEXT_MAX = 400 };

/* Why a check has stopped. */
struct check_outcome {
	const char	*check;		/* its name */
	int		 code;
	char		 enhanced[16];
	char		 text[CHECK_TEXT_MAX];
	bool		 close;		/* the session ends with it */
	bool		 discard;	/* of content: 250, and it is forgotten */
};

/* passed: go on; else session->outcome says why not. Not called when the
 * session or (from MAIL on) the transaction has ended. */
typedef void checks_done(struct session *session, bool passed);

/* Walks the rows of a point. CHECK_WAIT: done will be called later; otherwise it
 * is not called and the answer is the result. */
enum check_answer	 checks_run(struct session *session,
			    enum check_point point, checks_done *done);
/* By a check that had answered CHECK_WAIT; never within its run(). */
void			 checks_continue(struct session *session,
			    enum check_answer answer);
/* Nobody waits any more: session or transaction end. */
void			 checks_cancel(struct session *session);

/* For checks: sets the outcome, logs, and is CHECK_STOP; in MODE_WARN logs only
 * and is CHECK_PASS. Text may hold what a stranger said: it is cut and cleaned
 * where it is sent and logged. */
enum check_answer	 checks_stop(struct session *session,
			    enum conf_mode mode, int code,
			    const char *enhanced, const char *format, ...)
			    __attribute__((format(printf, 5, 6)));
/* The same, and the session ends with it. */
enum check_answer	 checks_close(struct session *session,
			    enum conf_mode mode, int code,
			    const char *enhanced, const char *format, ...)
			    __attribute__((format(printf, 5, 6)));
/* What a check has found, when that is not a stop: for trials, and for the log
 * at level debug. result is a word. */
void			 checks_note(struct session *session,
			    const char *check, const char *result,
			    const char *format, ...)
			    __attribute__((format(printf, 4, 5)));
/* For checks: the name of the row under way. */
const char		*checks_name(const struct session *session);
/* Answers the command under way with the outcome. */
void			 checks_reply(struct session *session);

/* Whether tests of strangers concern this session: not in allow-from, not
 * known (may relay, logged in, listed), not LMTP, not local. */
bool			 checks_concern(const struct session *session);
/* Ends with the row of point CHECK_POINTS: for the test of the README. */
const struct check	*checks_table(void);

#endif
