/* SPDX-License-Identifier: ISC */
/*
 * Trying a message out: `postern check-message` connects by the control socket,
 * says which client it wants to be, and then speaks SMTP on that connection.
 * All checks are made as for that client, and told one JSON object a line
 * before the reply that they led to:
 *
 *	{"check":"spf","result":"fail","text":"..."}
 *
 * Nothing is accepted, remembered or counted: content goes to the queue and is
 * taken back, rates and greylisting are looked at only, nothing but a line at
 * the beginning is logged. Milters are really asked.
 */
#ifndef POSTERN_SMTPD_TRIAL_H
#define POSTERN_SMTPD_TRIAL_H

#include <jansson.h>

struct control;
struct server;
struct session;

/* The verb's handler: arguments are client (an address), and, if wanted, listener
 * (its name) and user (who has logged in). */
void	 trial_begin(struct server *server, struct control *control,
	    const json_t *arguments);
/* For a session that is a trial. */
void	 trial_note(struct session *session, const char *check,
	    const char *result, const char *text);
/* All checks have passed: what would have gone to the queue. */
void	 trial_tell_accepted(struct session *session);

#endif
