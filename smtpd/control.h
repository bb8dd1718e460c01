/* SPDX-License-Identifier: ISC */
/*
 * What an operator may ask this process: "sessions", one object for each
 * session that is open now.
 */
#ifndef POSTERN_SMTPD_CONTROL_H
#define POSTERN_SMTPD_CONTROL_H

struct process_caller;
struct server;

/* Owns fd. */
void	 smtpd_control(struct server *server, int fd,
	    const struct process_caller *caller);

#endif
