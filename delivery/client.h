/* SPDX-License-Identifier: ISC */
/*
 * One outgoing SMTP connection. client_new() opens it and brings it to where
 * it shows what the plan asks for; not one byte of mail is said before that.
 * Where the route has credentials it logs in then, if it knows who is there.
 * Then it sends one transaction after another, pipelined if the server can.
 *
 * Ownership goes with the events:
 *  CLIENT_READY	mail may be said: client_send() or client_close()
 *  CLIENT_FAILED	it could not be opened, or was lost while idle. The client
 *		is void when the callback returns: it says QUIT by itself
 *		where that is possible.
 *  CLIENT_SENT	a transaction is over, each recipient of it has moved on;
 *		client_send() again if client_is_usable(), else client_close()
 * Events come from the loop, never from inside a call.
 */
#ifndef POSTERN_DELIVERY_CLIENT_H
#define POSTERN_DELIVERY_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/net.h"
#include "base/status.h"
#include "base/tls.h"
#include "delivery/capability.h"
#include "delivery/identity.h"
#include "delivery/symptom.h"
#include "policy/observation.h"
#include "policy/plan.h"

struct client;
struct mail;
struct profile;
/* What is wanted, made by the attempt; borrowed until READY or FAILED. */
struct client_need {
	const struct plan	*plan;
	const struct plan_host	*host;
	const struct endpoint	*address;	/* one of the host's */
	struct identity		 identity;	/* who we are there */
	bool			 host_from_dns;	/* its name is from an MX */
	/* Opportunistic: TLS broke at this address and the plan allows clear
	 * after that, on a connection of its own (TLS-65). */
	bool			 clear_only;
	enum symptom		 broken;	/* how, then */
	bool			 is_hopeless;	/* and it will stay so */
	/* Opportunistic: the plan allows clear when no TLS is offered. False
	 * for every other requirement. */
	bool			 clear_if_missing;
};

/* Why CLIENT_FAILED; borrowed until its callback returns. */
struct client_failure {
	/* DEFERRED; FAILED only where RFC 8689 says so, and the reason will
	 * not pass by itself: REQUIRETLS cannot be fulfilled there (REQ-45),
	 * or TLS-Required: No met a server that insists on TLS (REQ-59). */
	struct status	 status;
	enum symptom	 symptom;	/* NONE: not about TLS */
	bool		 lasting;	/* and likely to be there again */
	bool		 connected;	/* TCP was up: the host was reached */
	bool		 answered;	/* and said something, in clear or not */
};

/* What a connection has shown so far; of what was learned in clear only that
 * it was said: nothing here decides anything. */
struct client_seen {
	/* The last trouble with TLS, also where clear is allowed; what the
	 * library or the server said about it. */
	enum symptom		 symptom;
	char			 detail[160];
	char			 keywords[400];	/* EHLO in clear */
	char			 reply[200];	/* to STARTTLS, if not 220 */
	char			 version[16];
	char			 cipher[64];
	uint8_t			 chain[OBSERVATION_CHAIN_MAX][DIGEST_BYTES];
	size_t			 chain_count;
	/* What the handshake was to show: the requirement or the ideal. */
	bool			 ideal;		/* the latter */
	bool			 verified;
	enum tls_verdict	 verdict;
	char			 problem[160];
	bool			 tlsa_matched;	/* whatever came of it */
	enum observed_web	 web;
};

enum client_event { CLIENT_READY, CLIENT_FAILED, CLIENT_SENT };

typedef void client_callback(void *arg, struct client *client,
    enum client_event event);

/* False for addresses that no plan should have. written is the host of the
 * next hop: loopback is for laboratories, and for a route in which the
 * administrator wrote the address itself. */
bool		 client_may_connect(const struct profile *profile,
		    const char *written, const struct endpoint *address);
struct client	*client_new(struct profile *profile,
		    const struct client_need *need, client_callback *callback,
		    void *arg);
/* For the pool and those who take from it. */
void		 client_set_owner(struct client *client,
		    client_callback *callback, void *arg);
/* Sends to recipients that are OPEN, as many as one transaction takes. */
void		 client_send(struct client *client, struct mail *mail);
/* No mail waits: the connection may stay idle for so long. */
void		 client_idle(struct client *client, int64_t milliseconds);
/* Says QUIT where possible. The pointer is void; no event comes. A message
 * under way is broken off, without the final dot. */
void		 client_close(struct client *client);
/* The number of connections that still say goodbye, in this process. */
unsigned	 client_leaving(void);

const struct client_failure	*client_failure(const struct client *client);
const struct capability	*client_capability(const struct client *client);
/* Another transaction may follow. */
bool	 client_is_usable(const struct client *client);
/* It could, but for the number that the server takes on one connection
 * (MAILMAX, RFC 9422): another connection is as good. */
bool	 client_is_spent(const struct client *client);
/* The last transaction met a dead connection that had been idle: nothing was
 * answered to it, so it may be tried anew on another one. */
bool	 client_was_stale(const struct client *client);
/* MAIL was refused in the last transaction, or the session broke: those who
 * are still open need another host. */
bool	 client_was_refused(const struct client *client);
/* The last transaction ended with a 2xx to its message. */
bool	 client_delivered(const struct client *client);
/* Transactions begun. */
unsigned client_transactions(const struct client *client);
/* Does it show what is needed here, and do we? (key, host, address, clear or
 * not; login, certificate, name, source) */
bool	 client_fits(const struct client *client,
	    const struct client_need *need);
/* Puts host and TLS of this connection into a status. */
void	 client_stamp(const struct client *client, struct status *status);
/* What the connection is worth: "dane", "half-dane", "sts", "secure",
 * "verified", "encrypted", "opportunistic", "none". */
const char	*client_tls_name(const struct client *client);
/* It offers REQUIRETLS, under TLS, and proved who it is. */
bool	 client_takes_requiretls(const struct client *client);
/* Mail is said under TLS. */
bool	 client_is_secure(const struct client *client);
const struct client_seen	*client_seen(const struct client *client);
/* What the handshake showed; null before it and after the end. */
const struct tls_facts	*client_facts(const struct client *client);
/* Empty when the host is only an address. */
const char	*client_host(const struct client *client);
const struct endpoint	*client_address(const struct client *client);

#endif
