/* SPDX-License-Identifier: ISC */
/*
 * One connection. The mail under way is another object (transaction.h), which
 * exists or does not. A session belongs to the server's list; it ends itself,
 * and its memory goes back to a pool after the event in which it ended, so
 * that callers up the stack may still look at its state.
 */
#ifndef POSTERN_SMTPD_SESSION_H
#define POSTERN_SMTPD_SESSION_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/loop.h"
#include "base/net.h"
#include "policy/directory_client.h"
#include "smtpd/checks.h"
#include "smtpd/command.h"
#include "smtpd/refusal.h"

struct arena;
struct client;
struct filters;
struct screening;
struct conf_listener;
struct origin;
struct reception;
struct rules;
struct server;
struct stream;
struct transaction;
struct verb;

/*
 *	NEW --> WAITING --> COMMAND		checks before the greeting
 *	NEW --> COMMAND <--> WAITING		a verb waits for a role
 *	 |	 |  ^ ^    |
 *	 |	 |  | |	   '--> AUTH <--> WAITING	a line of a login, after 334
 *	 |	 |  | |
 *	 '--> TLS --' '----> TLS		220 to handshake done; at once
 *		 |  |				with implicit TLS
 *		 |  '------> CHUNK ----.	octets of one BDAT
 *		 '---------> DATA ----. |
 *		    ^		      v v
 *		    |-------------- CHECKING	it is whole: filters and others
 *		    |		       v	are asked
 *		    '--------------- COMMIT	the queue makes it durable
 *
 *	any --> CLOSED
 */
enum session_state { SESSION_NEW, SESSION_COMMAND, SESSION_WAITING,
    SESSION_AUTH, SESSION_TLS, SESSION_DATA, SESSION_CHUNK, SESSION_CHECKING,
    SESSION_COMMIT, SESSION_CLOSED };

enum { SESSION_HELLO_MAX = 255, SESSION_NAME_MAX = 63,
    LOGIN_WORD_MAX = 20 /* RFC 4422 3.1 */ };

struct session {
	uint64_t		 id;		/* in every log line */
	enum session_state	 state;		/* session_enter() only */
	struct server		*server;	/* outlives us */
	struct rules		*rules;		/* shared; as we began */
	const struct reception	*reception;	/* in rules */
	const struct conf_listener *listener;	/* of the reception */
	struct stream		*stream;	/* owned */
	struct endpoint		 address;	/* of the client */
	struct client		*client;	/* joined */
	struct endpoint		 local;		/* where it came in */
	int64_t			 uid;		/* behind a Unix socket; -1 */
	/* Its network is in relay-from, or it is a user of this machine. */
	bool			 listed;
	bool			 greeted;
	bool			 early;		/* talked before that */
	/* An operator tries something out (trial.h): no TLS is needed, nothing
	 * is kept, counted or logged. */
	bool			 trial;
	/* The name under which its certificate is listed; else "". */
	char			 certificate[SESSION_NAME_MAX + 1];
	/* Who logged in (AUTH); "" before that, and for certificates. */
	char			 user[LOGIN_USER_MAX + 1];
	struct directory_login	*login;		/* owned; AUTH and WAITING */
	char			 mechanism[LOGIN_WORD_MAX + 1];	/* of it */
	bool			 certificate_changed;	/* since it began */
	unsigned		 login_failures;
	bool			 logged_in;	/* user may be "": EXTERNAL
						 * without an account */
	TAILQ_ENTRY(session)	 link;		/* server's list, or the pool */
	LIST_ENTRY(session)	 client_link;

	/* reading */
	struct command_splitter	 splitter;
	bool			 input_ended;	/* nothing more will come */
	bool			 truncated;	/* and TLS did not say so */
	bool			 working;	/* session_work() is running */

	/* set by EHLO, forgotten at STARTTLS */
	char			 hello[SESSION_HELLO_MAX + 1];
	bool			 extended;	/* EHLO, not HELO */

	/* from MAIL to the end of the message; null otherwise */
	struct transaction	*transaction;	/* in arena */
	struct arena		*arena;		/* owned; kept for the next */
	size_t			 arena_ceiling;

	/* checks.c: the walk under way, and why the last one stopped */
	enum check_point	 check_point;
	unsigned		 check;		/* row */
	checks_done		*checks_done;	/* null: nobody waits */
	struct check_outcome	 outcome;
	struct screening	*screening;	/* owned; screening.c */
	struct filters		*filters;	/* owned; filter.c */

	/* A refusal that is held back (reply.c): no input is worked off until
	 * it is said. */
	char			*held;		/* owned; null: none */
	struct timer		 hold;

	/* what the verb being answered waits for */
	const struct verb	*verb;		/* for the log; may be null */
	struct directory_request *lookup;	/* owned; WAITING only */

	/* CHUNK: octets still to come, and what to say behind them */
	uint64_t		 chunk_left;
	uint64_t		 chunk_size;
	int64_t			 chunk_end;	/* monotonic: total deadline */
	bool			 chunk_last;
	const struct refusal	*chunk_refusal;	/* null: they are wanted */

	/* counters, for limits and for the log */
	unsigned		 commands;
	unsigned		 errors;
	unsigned		 chatter;	/* since the last message */
	unsigned		 rejects;
	unsigned		 warnings;	/* would-reject */
	unsigned		 messages;	/* accepted */
	bool			 connect_logged;
};

/* Takes fd; the reception is one of server's newest rules. Greets, at once or
 * under TLS (RFC 8314), or answers 554 to one that talks first (SMTP-8). */
struct session	*session_start(struct server *server, int fd,
		    const struct origin *origin,
		    const struct reception *reception);
/* The only assignment to state; starts the deadline that belongs to it. */
void	 session_enter(struct session *session, enum session_state state);
/* Goes on reading: after a callback has answered. */
void	 session_resume(struct session *session);
/* Goes on with what is in the input, in the same state. */
void	 session_continue(struct session *session);
/* Says the refusal (may be null), then closes properly. */
void	 session_end(struct session *session, const struct refusal *refusal,
	    const char *reason);
/* Closes at once: the peer is gone or must not be answered. */
void	 session_drop(struct session *session, const char *reason);
/* The client said QUIT and has its answer. */
void	 session_leave(struct session *session);
/* The server stops: idle ones go now, others after their transaction. */
void	 session_stop(struct session *session);

/* Forgets what was said before TLS (TLS-9, TLS-25). */
void	 session_forget(struct session *session);
bool	 session_is_secure(const struct session *session);
/* To domains that are not ours: by what the listener's option relay admits. */
bool	 session_may_relay(const struct session *session);
/* We know who it is: it may relay, or logged in, or its certificate is listed.
 * Others send nothing where mail is submitted (RFC 6409 4.3). */
bool	 session_is_known(const struct session *session);
bool	 session_speaks_lmtp(const struct session *session);
/* Looks its certificate up in the newest list: the list alone gives rights,
 * and takes them, in the middle of a session and of a resumed one, too. */
void	 session_judge_certificate(struct session *session);
bool	 session_offers_tls(const struct session *session);
/* Frees the memory kept for later sessions. */
void	 session_pool_release(void);
/* From client.c: the name of the address is known now. */
void	 session_name_known(struct session *session);

#endif
