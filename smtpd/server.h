/* SPDX-License-Identifier: ISC */
/*
 * What all sessions of this process share: the newest settings, the doors to
 * the other roles, the list of sessions and the limits on it. There is one,
 * made by smtpd.c (or by a test, with other doors).
 */
#ifndef POSTERN_SMTPD_SERVER_H
#define POSTERN_SMTPD_SERVER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/loop.h"

struct client_table;
struct directory_client;
struct policy_client;
struct queue_client;
struct rates;
struct session;
struct rules;

TAILQ_HEAD(session_list, session);

struct server {
	struct rules		*rules;	/* shared; the newest */
	struct queue_client	*queue;		/* borrowed from the maker */
	struct directory_client	*directory;	/* borrowed from the maker */
	struct policy_client	*policy;	/* borrowed from the maker */
	struct client_table	*clients;	/* owned */
	struct rates		*rates;		/* owned */

	struct session_list	 sessions;
	unsigned		 session_count;
	uint64_t		 next_session;	/* id; begins at random */

	bool			 stopping;
	loop_callback		*idle;	/* once stopping: no session is left */
};

void	 server_init(struct server *server, struct queue_client *queue,
	    struct policy_client *policy, struct directory_client *directory);
/* Ends every session without a word. */
void	 server_release(struct server *server);
/* Takes the reference. Sessions under way keep what they began with, but for
 * the rights of their certificates. */
void	 server_set_rules(struct server *server, struct rules *rules);
/* How many sessions this process may have: its share of max-sessions. */
unsigned server_session_limit(const struct server *server);
/* More than half of that are here: nobody is made to wait for nothing. */
bool	 server_is_crowded(const struct server *server);
/*
 * SMTP-55: idle sessions hear 421 now, the others when their transaction
 * ends; idle() is called when all are gone, perhaps at once.
 */
void	 server_stop(struct server *server, loop_callback *idle);
/* The time is over: 421 to everybody who is left. */
void	 server_stop_now(struct server *server);
/* For session.c: the session has gone. */
void	 server_session_gone(struct server *server);

#endif
