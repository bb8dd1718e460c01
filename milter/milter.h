/* SPDX-License-Identifier: ISC */
/*
 * One connection to one filter for one SMTP session: the MTA's side of the
 * milter protocol, version 6 (and 2 to 5 by negotiation). It connects and
 * negotiates by itself with the first command, sends what the filter wants to
 * see, and gives one answer to each command:
 *
 *	milter_connected()  milter_hello()  milter_mail()  milter_recipient()
 *	milter_data()  milter_content()  milter_abort()  milter_free()
 *
 * One command at a time; done is called exactly once for each, never before the
 * call returns, and not after milter_abort() or milter_free(). A filter that
 * cannot be asked, is late or breaks the protocol answers MILTER_FAILED to this
 * and all later commands (logged here, once, as milter-failed); what that means
 * is its caller's business (option failure). What does not concern the filter
 * (it negotiated it away, or has accepted the session or message) is answered
 * MILTER_CONTINUE; one that has refused or discarded the session or message
 * answers the same again, without its words.
 *
 *	NEW -> CONNECTING -> NEGOTIATING -> READY <-> ASKED
 *	any -> FAILED
 */
#ifndef POSTERN_MILTER_MILTER_H
#define POSTERN_MILTER_MILTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/net.h"

struct fields;
struct milter;

enum milter_action {
	MILTER_CONTINUE,
	MILTER_ACCEPT,		/* no more questions: of the session when the
				 * answer is to connect or hello, else of the
				 * message */
	MILTER_DISCARD,		/* answer 250 and forget the message */
	MILTER_REJECT,		/* 5xx: default, or text below */
	MILTER_TEMPFAIL,	/* 4xx */
	MILTER_SHUTDOWN,	/* 421 and close */
	MILTER_FAILED		/* it could not be asked */
};

/* Borrowed until done returns. */
struct milter_answer {
	enum milter_action	 action;
	/* The filter's own reply, checked (RFC 5321 4.2, no control characters,
	 * a code that agrees with the action); code 0: none. */
	int			 code;
	char			 enhanced[16];	/* "" if it gave none */
	const char		*text;		/* lines of it joined by one LF,
						 * printable ASCII; not null */
	const char		*why;		/* of FAILED: a sentence */
};
typedef void milter_done(void *arg, const struct milter_answer *answer);

/* What it asks for at the end of the content, in its order. */
enum milter_edit_kind { MILTER_ADD_HEADER, MILTER_INSERT_HEADER,
    MILTER_CHANGE_HEADER, MILTER_CHANGE_SENDER, MILTER_ADD_RECIPIENT,
    MILTER_REMOVE_RECIPIENT, MILTER_REPLACE_BODY, MILTER_QUARANTINE };

struct milter_edit {
	TAILQ_ENTRY(milter_edit) link;
	enum milter_edit_kind	 kind;
	/* INSERT: position, 0 on top; CHANGE: which of that name, from 1; an
	 * empty value removes it */
	uint32_t		 index;
	char			*name;	/* of the field; or the address, without
					 * angle brackets */
	char			*value;	/* of the field, as it goes behind the
					 * colon: with the space in front if one
					 * belongs there, folded with CRLF, no
					 * CRLF at its end; the reason; ESMTP
					 * parameters of an address; or null */
	size_t			 length;	/* REPLACE_BODY: of value */
};
TAILQ_HEAD(milter_edits, milter_edit);

/* Milter settings, by the owner; texts are copied. */
struct milter_settings {
	const char	*name;		/* for the log, */
	uint64_t	 session;	/* and with it; 0: none */
	const char	*socket;	/* Unix, by process_connect(); "" */
	const char	*host;		/* or an address, */
	uint16_t	 port;		/* and its port */
	int64_t		 connect_ms;
	int64_t		 reply_ms;
	int64_t		 message_ms;	/* over one command in all, progress or
					 * not: the content takes longest */
	size_t		 replace_max;	/* bytes of a new body */
};

/* What the session says of itself: macros ("i", "{auth_authen}", ...), null
 * for one that is not set. */
typedef const char *milter_macro(void *arg, const char *name);

/* The message under way: its header as fields, and its body in pieces. read
 * gives up to size bytes of the body at offset; 0 at its end. Lines end with
 * CRLF. */
struct milter_content {
	const struct fields	*fields;
	size_t	(*read)(void *arg, uint64_t offset, char *out, size_t size);
	void	*arg;
};

struct milter	*milter_new(const struct milter_settings *settings,
		    milter_macro *macro, milter_done *done, void *arg);
/* Says QUIT if it can, and forgets the connection. */
void	 milter_free(struct milter *milter);
/* client null, or of a Unix socket: "unknown". */
void	 milter_connected(struct milter *milter, const char *name,
	    const struct endpoint *client);
void	 milter_hello(struct milter *milter, const char *name);
/* Addresses without angle brackets ("" is the null sender); parameters as they
 * were said, null-terminated, may be null. */
void	 milter_mail(struct milter *milter, const char *sender,
	    const char *const *parameters);
void	 milter_recipient(struct milter *milter, const char *recipient,
	    const char *const *parameters);
/* A recipient that we refuse ourselves: only told where the filter wants it;
 * no answer. Not while a command is under way. Filters expect the macros
 * {rcpt_mailer} "error", {rcpt_host} enhanced code, {rcpt_addr} text. */
void	 milter_refused(struct milter *milter, const char *recipient,
	    const char *const *parameters);
void	 milter_data(struct milter *milter);
/* Header, end of header, body, end of message; content must live until the
 * answer. Then milter_edits() has what it asks for (with CONTINUE and ACCEPT
 * only; quarantine is one of them). */
void	 milter_content(struct milter *milter,
	    const struct milter_content *content);
const struct milter_edits	*milter_edits(const struct milter *milter);
/* The message under way is over (RSET, refused by somebody else, done). */
void	 milter_abort(struct milter *milter);
bool	 milter_has_failed(const struct milter *milter);

#endif
