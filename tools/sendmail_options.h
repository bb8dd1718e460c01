/* SPDX-License-Identifier: ISC */
/*
 * The command line of sendmail(8) as programs have used it for forty years:
 * what is of use to us is kept, what only meant something elsewhere is read
 * and forgotten, and what would mean that mail goes another way than was asked
 * for is refused.
 */
#ifndef POSTERN_TOOLS_SENDMAIL_OPTIONS_H
#define POSTERN_TOOLS_SENDMAIL_OPTIONS_H

#include <stdbool.h>

enum sendmail_mode {
	SENDMAIL_DELIVER,	/* a message on standard input (-bm) */
	SENDMAIL_SMTP,		/* SMTP on standard input and output (-bs) */
	SENDMAIL_LIST,		/* mailq (-bp) */
	SENDMAIL_ALIASES,	/* newaliases (-bi, -I) */
	SENDMAIL_FLUSH,		/* try what is queued (-q) */
	SENDMAIL_DRAINED	/* a file of the drop directory, for tools/drain.c */
};

enum { SENDMAIL_PROBLEM = 200 };

struct sendmail_options {
	enum sendmail_mode	 mode;
	const char	*configuration;	/* -C; null: not given */
	const char	*sender;	/* -f; null: not given */
	const char	*full_name;	/* -F; null: not given */
	bool		 from_header;	/* -t: recipients are in the header */
	bool		 dots;		/* -i: a lone dot is text */
	bool		 verbose;	/* -v */
	bool		 eight_bit;	/* -B 8BITMIME */
	const char	*notify;	/* -N, as RFC 3461 has it, or null */
	const char	*ret;		/* -R: "FULL", "HDRS" or null */
	const char	*envid;		/* -V, not yet xtext; or null */
	const char	*socket;	/* SENDMAIL_DRAINED: where to go */
	char		**operands;	/* null-terminated; of argv */
};

/* argv[0] chooses the mode when it is mailq or newaliases. 0, or -1 with a
 * sentence in problem (SENDMAIL_PROBLEM bytes). */
int	 sendmail_options_read(struct sendmail_options *options, int argc,
	    char **argv, char *problem);
/* Is the program called by a name that means sendmail? */
bool	 sendmail_is_name(const char *program);

#endif
