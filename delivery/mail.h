/* SPDX-License-Identifier: ISC */
/*
 * One message on its way to its recipients: what the attempt and the client
 * both look at. The attempt owns it; the client has it between client_send()
 * and CLIENT_SENT.
 */
#ifndef POSTERN_DELIVERY_MAIL_H
#define POSTERN_DELIVERY_MAIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "policy/plan.h"
#include "queue/client.h"

struct capability;

/*
 *	OPEN -> ASKED -> ACCEPTED -> DONE
 *	  ^       |  \        |        ^
 *	  |       |   +-------|--------+
 *	  |       v           |
 *	  +---- LATER         |
 *	  +-------------------+
 *
 * OPEN again: the session ended before the final dot, and another host may be
 * asked. The status holds then what that session said.
 */
enum recipient_state {
	RECIPIENT_OPEN,		/* not decided; to be said to some host */
	RECIPIENT_ASKED,	/* RCPT was sent or is about to be */
	RECIPIENT_ACCEPTED,	/* RCPT was answered 2xx */
	RECIPIENT_LATER,	/* "too many": in a transaction of its own */
	RECIPIENT_DONE		/* the status is what this attempt reports */
};

struct mail {
	struct job		*job;		/* borrowed */
	enum recipient_state	*states;	/* owned; one per recipient */
	struct status		*statuses;	/* owned; one per recipient */
	bool			*logged;	/* owned; one per recipient */
};

void	 mail_init(struct mail *mail, struct job *job);
void	 mail_release(struct mail *mail);
size_t	 mail_count(const struct mail *mail, enum recipient_state state);
/* Moves every recipient in that state on. */
void	 mail_move(struct mail *mail, enum recipient_state from,
	    enum recipient_state to);
/* Gives every recipient in that state this status, and moves it on. */
void	 mail_settle(struct mail *mail, enum recipient_state from,
	    enum recipient_state to, const struct status *status);
/* Bytes of the message, prefix and body: for SIZE (RFC 1870 6.4 lets it be an
 * estimate). */
uint64_t mail_size(const struct mail *mail);
/* What the sender asks for the message, at every hop (RFC 8689). */
enum plan_wish	 mail_wish(const struct mail *mail);
/* Settles recipients that can be said to nobody. */
void	 mail_refuse_unsafe(struct mail *mail);
/* RFC 6531 3.4: the message itself cannot go without SMTPUTF8: its sender or
 * its header is not ASCII. A domain never makes it so: it is A-labels. */
bool	 mail_is_international(const struct mail *mail);
/* The same of the message for those recipients that are not DONE. */
bool	 mail_needs_utf8(const struct mail *mail);
/* Settles those whose own address is all that needs it. How many others are
 * still OPEN; 0, and nothing done, when the message needs it. */
size_t	 mail_settle_international(struct mail *mail,
	    const struct status *status);
/* False with a status when a server that offers this cannot take the message
 * as it is. No message is changed for it: a signature would break. */
bool	 mail_fits(const struct mail *mail,
	    const struct capability *capability, struct status *status);

#endif
