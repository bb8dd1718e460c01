/* SPDX-License-Identifier: ISC */
/*
 * The inside of a client, shared by client*.c and nobody else:
 *
 *	client.c	life, events of the stream, breaking off
 *	client_step.c	the table of steps and the two cursors over it
 *	client_open.c	steps up to the first mail: greeting to second EHLO
 *	client_login.c	AUTH behind them
 *	client_mail.c	steps of a transaction
 *	client_seen.c	what was shown, against what was asked: in words, for
 *			statuses, and as figures, for observations
 */
#ifndef POSTERN_DELIVERY_CLIENT_PRIVATE_H
#define POSTERN_DELIVERY_CLIENT_PRIVATE_H

#include "base/buf.h"
#include "base/digest.h"
#include "delivery/payload.h"
#include "delivery/client.h"
#include "delivery/answer.h"

struct sasl;
struct stream;

/*
 *	CONNECTING -> OPENING <-> SECURING
 *	    |           |   \        |
 *	    |           v    \       |
 *	    |         READY <-+--- SENDING
 *	    |           |   \----->  |
 *	    v           v     v      v
 *	   GONE <-------+- LEAVING <-+
 *
 * OPENING is the dialogue before mail, in clear and again under TLS. LEAVING
 * waits for the answer to QUIT. GONE waits to be freed; from every state.
 */
enum client_state { CLIENT_STATE_CONNECTING, CLIENT_STATE_OPENING,
    CLIENT_STATE_SECURING, CLIENT_STATE_READY, CLIENT_STATE_SENDING,
    CLIENT_STATE_LEAVING, CLIENT_STATE_GONE, CLIENT_STATES };

/* In the order of the dialogue. */
enum step { STEP_GREETING, STEP_EHLO, STEP_HELO, STEP_STARTTLS, STEP_AUTH,
    STEP_RESPONSE, STEP_RSET, STEP_MAIL, STEP_RCPT, STEP_DATA, STEP_MESSAGE,
    STEP_QUIT, STEP_NONE };

/* A place in the dialogue: the next to be sent, the next to be answered. */
struct cursor {
	enum step	 step;
	size_t		 recipient;	/* STEP_RCPT: index in chosen */
};

/* RFC 5321 4.5.3.1.8: every server takes a hundred. */
enum { CLIENT_RECIPIENTS_MAX = 100, CLIENT_GROUP_MAX = 64,
    CLIENT_INPUT_MAX = 16 << 10, CLIENT_COMMAND_MAX = 4096 };

struct client {
	uint64_t		 id;		/* in every log line */
	enum client_state	 state;		/* set by client_enter() only */
	struct profile		*profile;	/* shared */
	struct stream		*stream;	/* owned */
	client_callback		*callback;
	void			*arg;

	/* where it leads, as whom, and for which plan: constant */
	char			 host[256];
	struct identity		 identity;
	struct endpoint		 address;
	uint8_t			 key[DIGEST_BYTES];
	enum requirement	 requirement;
	enum plan_source	 source;
	enum tls_check		 check;		/* of the handshake */
	enum plan_wish		 wish;
	bool			 requiretls;	/* the plan's word */
	bool			 expects_tls;	/* the plan's word */
	bool			 implicit_tls;	/* from the first byte */
	bool			 clear_only;
	bool			 tls_is_hopeless;	/* not for now only */
	bool			 name_from_dns;	/* the host's own name is one
						 * of those accepted */

	/* the event the owner has not heard yet */
	enum client_event	 reported;
	bool			 is_reporting;

	/* until READY or FAILED; null afterwards */
	const struct client_need *need;		/* borrowed */
	struct client_failure	 failure;
	struct client_seen	 seen;
	/* what the handshake showed; kept for statuses made after the end */
	bool			 was_secure;
	bool			 was_accepted;	/* it is what the plan asks */
	bool			 was_downgraded;	/* in clear, and that was told */
	bool			 was_answered;	/* the server said something */
	bool			 was_lost;	/* the network did it, perhaps */
	char			 tls_text[72];	/* version and cipher */

	/* said by the server in clear or under TLS; forgotten at STARTTLS */
	struct capability	 capability;
	struct answer		 reply;

	/* while it logs in */
	struct sasl		*sasl;		/* owned; or null */
	int			 mechanism;	/* enum sasl_mechanism */
	unsigned		 mechanisms_refused;	/* bits */
	bool			 sasl_begins;	/* the server goes first */

	/* the dialogue */
	struct cursor		 sending;
	struct cursor		 receiving;
	unsigned		 outstanding;	/* replies to come */
	bool			 group_ended;	/* wait for all of them */
	struct buf		 command;	/* the line being made */

	/* between client_send() and CLIENT_SENT */
	struct mail		*mail;		/* borrowed */
	size_t			 chosen[CLIENT_RECIPIENTS_MAX];
	size_t			 chosen_count;
	struct payload		 payload;
	bool			 says_utf8;	/* SMTPUTF8, in MAIL */
	bool			 counts;	/* BDAT instead of DATA */
	bool			 may_run_ahead;	/* and before RCPT is answered */
	bool			 refused;	/* MAIL was */
	unsigned		 accepted;	/* recipients */
	bool			 dot_said;	/* of a real message */
	bool			 delivered;	/* 2xx to it */

	unsigned		 transactions;
	int64_t			 heard_at;	/* a reply; monotonic, ms */
	bool			 answered;	/* any reply in this one */
	bool			 stale;
	bool			 dirty;		/* RSET goes first */
	bool			 usable;
};

/* --- client.c --- */

void	 client_enter(struct client *client, enum client_state state);
/* The session is over: lost, timed out, broken, or told so. Everything that
 * waits for it gets this status. */
void	 client_break(struct client *client, const struct status *status);
/* The host does not show TLS as needed: never the fault of the message, unless
 * that demands REQUIRETLS. seen may add details; null or empty if there are
 * none. */
void	 client_fail_tls(struct client *client, enum symptom symptom,
	    const char *seen);
/* Not opened, for another reason than TLS. */
void	 client_fail(struct client *client, const struct status *status);
/* The owner hears of it, once, outside of any call of its own. */
void	 client_report(struct client *client, enum client_event event);
/* A status from the reply at hand, with host and TLS. */
void	 client_status(struct client *client, struct status *status);
/* The same, but never permanent: a host's failure. */
void	 client_status_host(struct client *client, struct status *status);
/* No host has to have REQUIRETLS but for mail that demands it. */
bool	 client_demands_requiretls(const struct client *client);
/* The reply at hand wants TLS first, and we speak in clear (TLS-58). */
bool	 client_is_told_to_secure(struct client *client);

/* --- client_step.c --- */

/* Says one step of its own, and waits for its reply. */
void	 client_say(struct client *client, enum step step);
/* Sends what may be sent now. */
void	 client_pump(struct client *client);
/* Reads what came. */
void	 client_receive(struct client *client);
void	 client_wait(struct client *client, enum step step);
/* The session is out of step: the answer at hand has no meaning there. */
void	 client_break_odd(struct client *client);
/* Queues the line in client->command. */
void	 client_write_command(struct client *client);
const char	*step_name(enum step step);

/* --- client_open.c --- */

/* TCP is up. */
void	 client_on_connected(struct client *client);
void	 step_send_ehlo(struct client *client);
void	 step_send_helo(struct client *client);
void	 step_send_starttls(struct client *client);
void	 step_on_greeting(struct client *client);
void	 step_on_ehlo(struct client *client);
void	 step_on_helo(struct client *client);
void	 step_on_starttls(struct client *client);
/* Nothing is left to be done before mail. */
void	 client_become_ready(struct client *client);
/* The reply at hand, on one line. */
void	 client_describe_reply(struct client *client, char *out, size_t size);
/* The handshake is done. */
void	 client_on_secured(struct client *client);

/* --- client_login.c --- */

/* We are, or have, somebody to log in as. */
bool	 client_wants_login(const struct client *client);
/* Behind the last EHLO. Ends READY, or the host fails for now. */
void	 client_log_in(struct client *client);
void	 step_send_auth(struct client *client);
void	 step_send_response(struct client *client);
void	 step_on_auth(struct client *client);
/* The reply at hand wants a login first, at a host that the administrator
 * wrote: his affair, not the message's. */
bool	 client_is_told_to_log_in(const struct client *client);

/* --- client_seen.c --- */

/* What the handshake has to check for a requirement. */
enum tls_check	 client_check_of(enum requirement requirement);
/* The handshake checks the ideal: the requirement itself is anybody's TLS. A
 * check replaces another, so an ideal is not tried beside a real one. */
bool	 client_tells_ideal(const struct plan_host *host);
/* The last symptom as a status: who, what was expected, by whom, what was
 * seen. While there is a need. */
void	 client_status_tls(const struct client *client, struct status *status);
void	 client_keep_facts(struct client *client,
	    const struct tls_facts *facts);

/* --- client_mail.c --- */

void	 step_send_rset(struct client *client);
void	 step_send_mail(struct client *client);
void	 step_send_rcpt(struct client *client);
void	 step_send_data(struct client *client);
void	 step_send_message(struct client *client);
void	 step_on_rset(struct client *client);
void	 step_on_mail(struct client *client);
void	 step_on_rcpt(struct client *client);
void	 step_on_data(struct client *client);
void	 step_on_message(struct client *client);
/* Everything asked was answered. */
void	 client_end_transaction(struct client *client);
/* Gives the status to all who wait in this transaction. */
void	 client_break_transaction(struct client *client,
	    const struct status *status);

#endif
