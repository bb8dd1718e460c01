/* SPDX-License-Identifier: ISC */
/*
 * Who hears of recipients that are done with: the sender, as RFC 3461 lets him
 * choose (NOTIFY), by a message of our own that is committed in the same batch
 * as what it tells. For a message from the null sender it is the postmaster,
 * and for what cannot be delivered to the postmaster the log (SMTP-127).
 */
#ifndef POSTERN_QUEUE_BOUNCE_H
#define POSTERN_QUEUE_BOUNCE_H

#include <stddef.h>
#include <stdint.h>

#include "queue/dsn.h"

struct queue;

/*
 * Message id was given up (FAILED) or done (DELIVERED, RELAYED) for these
 * recipients; all have the same kind of outcome. Sends one notification for
 * those who want it, or none.
 */
void	 bounce_send(struct queue *queue, uint64_t id,
	    const struct dsn_recipient *recipients, size_t count);
/* The same for recipients that wait (DEFERRED) and will be tried until then
 * (wall, ms). */
void	 bounce_delay(struct queue *queue, uint64_t id,
	    const struct dsn_recipient *recipients, size_t count,
	    int64_t retry_until);

#endif
