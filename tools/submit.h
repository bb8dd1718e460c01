/* SPDX-License-Identifier: ISC */
/*
 * The client's side of a mail that goes to the server of this machine, over
 * its Unix socket: blocking, one mail, a deadline on each step. All recipients
 * or none, but for files of the drop directory, whose sender cannot be asked.
 */
#ifndef POSTERN_TOOLS_SUBMIT_H
#define POSTERN_TOOLS_SUBMIT_H

#include <stdbool.h>
#include <stddef.h>

struct outgoing;

enum submit_outcome {
	SUBMIT_DONE,		/* the server has it */
	SUBMIT_LATER,		/* no server, or not now: nobody got it */
	SUBMIT_REFUSED		/* and always will be */
};

enum { SUBMIT_TEXT = 2000 };

struct submit_order {
	const char	*socket;	/* path */
	const char	*hello;		/* our name in EHLO */
	bool		 partly;	/* the good recipients, if not all are */
	bool		 verbose;	/* the dialogue on standard output */
};

struct submit_result {
	enum submit_outcome	 outcome;
	int			 exit_status;	/* sysexits(3), when refused */
	bool			 sent;		/* refused for some only */
	char			 text[SUBMIT_TEXT];	/* why; a line each */
};

void	 submit(const struct submit_order *order,
	    const struct outgoing *outgoing, struct submit_result *result);
/* A connection, or -1 with errno; a full backlog is waited for. */
int	 submit_connect(const char *socket);

#endif
