/* SPDX-License-Identifier: ISC */
/*
 * The table of verbs: who handles each and what must be true before. The order
 * of commands (SMTP-45, SMTP-49), TLS first (TLS-15), who it is (RFC 6409 4.3),
 * which greeting belongs to which service (SMTP-188), nothing behind a command
 * that ends a pipelined group (SMTP-8): all of it is in the table and checked
 * in verb_run(), so a handler sees only what it can act on.
 *
 * A handler answers (VERB_DONE), or has asked another role and will answer in
 * the callback, which ends in session_resume() (VERB_WAITING).
 */
#ifndef POSTERN_SMTPD_VERBS_H
#define POSTERN_SMTPD_VERBS_H

#include <stdbool.h>

struct session;

enum verb_result { VERB_DONE, VERB_WAITING };

enum verb_flag {
	VERB_BEFORE_TLS = 1 << 0,	/* also where TLS is required */
	VERB_LAST = 1 << 1,		/* input behind it: 554 and close */
	VERB_NO_ARGUMENT = 1 << 2,
	VERB_AFTER_HELLO = 1 << 3,
	VERB_AFTER_MAIL = 1 << 4,
	VERB_CHATTER = 1 << 5,		/* costs us, brings no mail */
	VERB_OWN_CHECKS = 1 << 6,	/* BDAT: octets follow in any case */
	VERB_KNOWN_CLIENT = 1 << 7,	/* where mail is submitted: who is it? */
	VERB_LMTP = 1 << 8,		/* there, and nowhere else */
	VERB_NOT_LMTP = 1 << 9,
	VERB_UTF8 = 1 << 10		/* takes addresses (RFC 6531 3.3) */
};

/* argument has no white space around it and may be written to. */
typedef enum verb_result verb_handler(struct session *session, char *argument);

struct verb {
	const char	*name;
	verb_handler	*handler;
	unsigned	 flags;
};

/* Null if it is not known; any case. */
const struct verb	*verb_find(const char *name);
/* Answers one command line, which may be written to. */
enum verb_result	 verb_run(struct session *session, char *line);
/* Whether this line may hold UTF-8 (SMTP-9): its verb takes addresses, and
 * SMTPUTF8 is offered. */
bool			 verb_takes_utf8(const struct session *session,
			    const char *line);
/* The checks that the flags ask for; for BDAT to make itself. */
const struct refusal	*verb_refusal(const struct session *session,
			    unsigned flags, const char *argument);

/* verb_hello.c */
verb_handler	 verb_ehlo, verb_helo;
/* verb_starttls.c */
verb_handler	 verb_starttls;
/* verb_auth.c */
verb_handler	 verb_auth;
/* verb_mail.c, verb_rcpt.c */
verb_handler	 verb_mail, verb_rcpt;
/* verb_data.c, verb_bdat.c */
verb_handler	 verb_data, verb_bdat;
/* verb_misc.c */
verb_handler	 verb_rset, verb_noop, verb_quit, verb_vrfy, verb_help;
verb_handler	 verb_not_implemented, verb_http;

#endif
