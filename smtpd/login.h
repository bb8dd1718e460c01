/* SPDX-License-Identifier: ISC */
/*
 * AUTH under way (RFC 4954): base64, lines and limits. What the messages mean
 * only the directory knows. Nothing of them is kept or logged: lines are wiped
 * where they were read. Under TLS only, so nobody calls this in clear.
 */
#ifndef POSTERN_SMTPD_LOGIN_H
#define POSTERN_SMTPD_LOGIN_H

#include <stdbool.h>
#include <stddef.h>

#include "smtpd/body.h"

struct session;

enum {
	LOGIN_LINE_MAX = 12288,		/* RFC 4954 4, with CRLF */
	LOGIN_FAILURES_MAX = 5		/* then 421; RFC 4954 9: 3 at least */
};

/* The mechanisms for EHLO's line, with a space before each; "" for none: in
 * clear, where the listener has no AUTH, and after a login. */
void	 login_mechanisms(const struct session *session, char *out,
	    size_t size);
/* Begins with a mechanism and, when not null, an initial response in base64.
 * False: it was refused and answered. */
bool	 login_begin(struct session *session, const char *mechanism,
	    const char *initial);
/* One line of the client's, in SESSION_AUTH. */
enum step login_step(struct session *session);

#endif
