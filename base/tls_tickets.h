/* SPDX-License-Identifier: ISC */
/*
 * The secrets of session tickets. Time is cut into epochs of TLS_TICKET_HOURS;
 * each has a secret of its own, made from the one before by a one-way
 * function, so that who gets hold of today's cannot open yesterday's. Tickets
 * are made with the secret of the epoch and opened with it or the one before,
 * which covers their lifetime. Processes that begin with the same secret at
 * the same time go the same way, and open each other's tickets.
 */
#ifndef POSTERN_BASE_TLS_TICKETS_H
#define POSTERN_BASE_TLS_TICKETS_H

#include <stddef.h>
#include <stdint.h>

#include "base/tls.h"

enum { TLS_TICKET_HOURS = 12, TLS_TICKET_SECRET = 32 };

/* A point on the way: the secret of an epoch. */
struct tls_ticket_secret {
	int64_t		 epoch;
	uint8_t		 bytes[TLS_TICKET_SECRET];
};

/* Begins with a secret of its own. */
struct tls_tickets	*tls_tickets_new(void);
void			 tls_tickets_free(struct tls_tickets *tickets);
/* A random secret for the epoch of now. */
void			 tls_tickets_begin(struct tls_ticket_secret *secret);
/* Goes on from this one, which others have, too; copied. Tickets made before
 * open no more. */
void			 tls_tickets_join(struct tls_tickets *tickets,
			    const struct tls_ticket_secret *secret);
/* The secret of the epoch that the clock says now; borrowed. A step of the
 * clock back changes nothing. */
const struct tls_ticket_secret	*tls_tickets_now(struct tls_tickets *tickets);

/* Keys of one ticket, for one listener: its name is part of them. */
struct tls_ticket_keys {
	uint8_t		 name[16];	/* shown in the ticket */
	uint8_t		 cipher[32];	/* AES-256 */
	uint8_t		 mac[32];	/* HMAC-SHA-256 */
};

/* age 0: the epoch of now; 1: the one before. -1 when that is not known. */
int			 tls_tickets_keys(struct tls_tickets *tickets,
			    const char *listener, unsigned age,
			    struct tls_ticket_keys *keys);

#endif
