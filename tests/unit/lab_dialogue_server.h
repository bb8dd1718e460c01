/* SPDX-License-Identifier: ISC */
/*
 * A server that follows a script, for any number of connections, each from the
 * beginning, in a process of its own that dies with the test. Words of the
 * script, one string each:
 *
 *	> BYTES		says them (as in a dialogue)
 *	<		reads a line
 *	then LINE	reads a line; cuts the connection when it is another
 *	is LINE		says 250, or 599 when the last line was another
 *	got BYTES	says 250 when a single read brings just these; else 599
 *	reads N		reads a line; says 250 when that took at least N reads
 *	tls [WORD]	a handshake: ask, demand (a certificate), renegotiate
 *			(allows it), early (takes early data), no-tickets
 *	alert		a fatal one, in clear
 *	sni NAME	250, or 599 when the client asked for another; "-" none
 *	version V	250, or 599, as OpenSSL names it
 *	resumed yes|no	250, or 599
 *	close, cut, reset
 *	end		notes how the connection ends: server->seen->ended
 *	sleep MS
 *
 * Behind the script the connection stays open until the client ends it.
 */
#ifndef POSTERN_TESTS_UNIT_LAB_DIALOGUE_SERVER_H
#define POSTERN_TESTS_UNIT_LAB_DIALOGUE_SERVER_H

#include <sys/types.h>

enum { WORDS_MAX = 40 };

struct server {
	int	 port;
	pid_t	 pid;
	struct {		/* shared memory */
		char	 ended[32];	/* "notify", "eof", "reset" */
		int	 visits;	/* connections so far */
	}	*seen;
};

void	 server_start(struct server *server, const char *const *script);
void	 server_stop(struct server *server);

#endif
