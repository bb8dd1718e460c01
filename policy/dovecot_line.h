/* SPDX-License-Identifier: ISC */
/*
 * Lines of Dovecot's authentication protocol, version 1, as its server says
 * them to a client: words with tabs between, ended by LF. Pure.
 */
#ifndef POSTERN_POLICY_DOVECOT_LINE_H
#define POSTERN_POLICY_DOVECOT_LINE_H

#include <stdbool.h>
#include <stdint.h>

#include "policy/directory_client.h"

enum dovecot_kind {
	DOVECOT_VERSION, DOVECOT_MECH, DOVECOT_DONE,	/* when it begins */
	DOVECOT_CONT, DOVECOT_OK, DOVECOT_FAIL,		/* of one login */
	DOVECOT_OTHER		/* to be passed over */
};

enum {
	DOVECOT_LINE_MAX = 16 << 10,	/* that we say */
	/* That is said to us: names come back with each byte as two, and a
	 * stranger's may be LOGIN_DATA_MAX long. */
	DOVECOT_HEARD_MAX = 40 << 10,
	DOVECOT_MECHANISM_MAX = 64
};

struct dovecot_line {
	enum dovecot_kind kind;
	unsigned	 major;		/* VERSION */
	char		 mechanism[DOVECOT_MECHANISM_MAX + 1];	/* MECH */
	bool		 is_private;	/* MECH: not for clients from outside */
	uint32_t	 id;		/* CONT, OK, FAIL; never 0 */
	const char	*data;		/* CONT: base64, in the line */
	char		 user[LOGIN_USER_MAX + 1];	/* OK, FAIL; or "" */
	bool		 temporary;	/* FAIL: nobody's fault */
};

/* text is one line without its LF; it is taken apart in place. -1: not a line
 * of this protocol, or OK without a user. */
int	 dovecot_line_parse(struct dovecot_line *line, char *text);
/* Is it a name that may stand in a line? */
bool	 dovecot_is_mechanism(const char *name);

#endif
