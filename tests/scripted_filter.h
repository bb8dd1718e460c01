/* SPDX-License-Identifier: ISC */
/*
 * Filters of a chain, by name, on the same loop as the server: process_connect()
 * to "/run/NAME" leads to the one of that name. What each says is a script;
 * where it has no word, it says CONTINUE. For smtpd, where filters are many and
 * behave; the frames that no filter should say are milter_filter.h's, one at a
 * time and under the test's eyes. One line of a script:
 *
 *	COMMAND[.N] WORD ... [; WORD ...]
 *
 * COMMAND is options, connect, hello, mail, rcpt, data, header, eoh, body or
 * end; N: only the Nth time in a connection. Words, sent in this order:
 *
 *	continue accept discard reject tempfail shutdown skip
 *	reply CODE TEXT		its own words
 *	add NAME VALUE		insert INDEX NAME VALUE
 *	change INDEX NAME [VALUE]
 *	sender ADDRESS		rcpt+ ADDRESS [PARAMETERS]	rcpt- ADDRESS
 *	body TEXT		fill BYTES (a body of so many)
 *	quarantine REASON
 *	silent			nothing (any more)
 *	close			it goes away
 *	garbage			what is no frame
 *	slow MS EVERY		signs of progress, so long and so often
 *	steps HEX		of options: the steps it agrees to
 *
 * \n, \r, \t, \s and \x41 in texts are what they are in C.
 */
#ifndef POSTERN_TESTS_SCRIPTED_FILTER_H
#define POSTERN_TESTS_SCRIPTED_FILTER_H

#include <stdbool.h>

/* No filter is there. */
void	 scripted_filters_reset(void);
/* Made when there is none of that name. False: the line is no line. */
bool	 scripted_filter_set(const char *name, const char *line);
/* It has no script any more. */
void	 scripted_filter_mend(const char *name);
/* Connections to it are refused, or not any more. */
void	 scripted_filter_down(const char *name, bool down);
/* All that it was told, a line for each command, oldest first: the command's
 * letter, then its data, NUL as "|", CR as nothing, LF as "/". */
const char	*scripted_filter_told(const char *name);
void	 scripted_filter_forget(const char *name);
/* How often it was connected to; how many connections are open. */
unsigned scripted_filter_connections(const char *name);
unsigned scripted_filters_open(void);

#endif
