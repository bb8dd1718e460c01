/* SPDX-License-Identifier: ISC */
/*
 * The one place that writes to clients in SMTP. It puts the enhanced code on
 * every line that must have one (RFC 2034), keeps the count of errors, and
 * ends the session when there are too many. Exactly one call per command
 * (SMTP-33); after any of them the session may be CLOSED.
 *
 * The tarpit: once a stranger has had tarpit-after refusals, each further one is
 * held back for a while. It is one line, and while it is held the session works
 * off no input, so that pipelined commands wait behind it; whatever else has to
 * be said meanwhile (421) comes behind it, too.
 */
#ifndef POSTERN_SMTPD_REPLY_H
#define POSTERN_SMTPD_REPLY_H

#include <stdbool.h>

struct refusal;
struct session;

/* Nothing that a client said may be in the text: it could be long, or more
 * than one line. */
void	 reply(struct session *session, int code, const char *enhanced,
	    const char *format, ...) __attribute__((format(printf, 4, 5)));
/* The answer to a whole message: of LMTP there are as many as recipients were
 * accepted (RFC 2033 4.2), which may be none; one error more, if it is one. */
void	 reply_content(struct session *session, int code, const char *enhanced,
	    const char *text);
/* All of those but the last one. */
void	 reply_repeat(struct session *session, int code, const char *enhanced,
	    const char *text);
/* Several lines of one code; lines ends with null. */
void	 reply_lines(struct session *session, int code, const char *enhanced,
	    const char *const *lines);
/* Ready-made lines with CRLF: greeting, answers to EHLO and HELO, 354. */
void	 reply_text(struct session *session, const char *text);
void	 reply_refuse(struct session *session, const struct refusal *refusal);
/* SMTP-38: an error more. True when it was one too many: 421 has been said and
 * the session is CLOSED. */
bool	 reply_count_error(struct session *session);

/* A refusal that is held back is said now; the session may be CLOSED. */
void	 reply_let_go(struct session *session);
/* ... or it will not be said any more. */
void	 reply_forget(struct session *session);

#endif
