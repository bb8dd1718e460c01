/* SPDX-License-Identifier: ISC */
/*
 * How many sessions a client has in all smtpd processes together. They share
 * one piece of memory, made by the supervisor before they start; each process
 * writes its own part of it and adds up the parts of all, so there is no lock,
 * and what a process that died had counted goes when its successor begins.
 *
 * A client is found by a keyed hash of its address in two rows; the smaller
 * count is taken. Clients that meet in both are counted together: with 2,000
 * clients that happens to one in 300, and makes a limit stricter, never laxer.
 */
#ifndef POSTERN_SMTPD_COUNTERS_H
#define POSTERN_SMTPD_COUNTERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct counters;
struct rate_memory;
struct tls_ticket_secret;

/* What the memory is called on its way from the supervisor: it comes as a
 * listener does, of which no name is without "@". */
#define COUNTERS_NAME "counters"

/* For the supervisor: a descriptor of new memory that cannot change its size,
 * or -1 with a line in the log. */
int		 counters_create(void);
/* For process number worker: its part begins at zero. Takes fd; null with a
 * line in the log if it cannot be used. */
struct counters	*counters_new(int fd, unsigned worker);
void		 counters_free(struct counters *counters);

void		 counters_add(struct counters *counters, const void *client,
		    size_t length);
/* Undoes one counters_add(). */
void		 counters_remove(struct counters *counters, const void *client,
		    size_t length);
unsigned	 counters_sum(const struct counters *counters,
		    const void *client, size_t length);

/*
 * Kept in the same memory: how many sessions each process has, so that one with
 * more leaves the next connection to one with fewer. A process says how many
 * while it accepts any; counters_least() is the number of the other one that
 * has fewest, UINT_MAX if no other accepts. One that was killed stands there as
 * it was until the supervisor has heard of it: nobody may wait for it for long.
 */
void		 counters_offer(struct counters *counters, unsigned sessions);
void		 counters_withdraw(struct counters *counters);
unsigned	 counters_least(const struct counters *counters);
/* For the supervisor: that process has ended and accepts no more. */
void		 counters_forget(int fd, unsigned worker);

/* Kept in the same memory: the rates (rates.h), and the key of 16 bytes by which
 * subjects are found there. */
struct rate_memory	*counters_rates(struct counters *counters,
			    uint8_t *key);

/*
 * Kept there, too: the secret of session tickets, with which all
 * processes begin, so that a ticket of one opens at the others. Each writes
 * its own newer one (they are all the same) over an older one, so that who
 * reads the memory later finds no secret of earlier tickets. False if there is
 * none that is whole.
 */
bool		 counters_read_secret(const struct counters *counters,
		    struct tls_ticket_secret *secret);
void		 counters_write_secret(struct counters *counters,
		    const struct tls_ticket_secret *secret);

#endif
