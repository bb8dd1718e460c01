/* SPDX-License-Identifier: ISC */
/*
 * So many within a time, over all smtpd processes together. A subject (a client,
 * a network, a sender, a user) may have all of it at once, and gets one back
 * each time that one's share of the time has passed. What is refused does not
 * count, so that who goes on trying is let in again.
 *
 * The memory is the shared one of counters.c and has a fixed size: a subject is
 * two numbers in it, found by a keyed hash of its name, its kind and the limit
 * itself; the smaller counts. Subjects that meet in both are limited together,
 * so a limit gets stricter then, never laxer. Numbers are changed by compare
 * and exchange; two processes that ask at the very same moment may each give
 * away the last one. All is forgotten when the service ends, and for a limit
 * that a reload has changed; not when one process dies.
 */
#ifndef POSTERN_SMTPD_RATES_H
#define POSTERN_SMTPD_RATES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct conf_rate;
struct counters;
struct rates;

/* Two rows of cells: when a subject would have had nothing for long enough to
 * get all of it again; milliseconds of the monotonic clock, with a fraction. */
enum { RATE_ROWS = 2, RATE_CELLS = 1 << 17 };
struct rate_memory {
	_Atomic uint64_t	 cells[RATE_ROWS][RATE_CELLS];
};

enum rate_kind { RATE_CONNECTION, RATE_NETWORK_CONNECTION, RATE_MESSAGE,
    RATE_RECIPIENT, RATE_NETWORK_RECIPIENT, RATE_SENDER, RATE_USER,
    RATE_USER_RECIPIENT };

enum { RATE_NAME_MAX = 1024 };	/* more of it is not looked at */

struct rate_subject {
	enum rate_kind	 kind;
	const void	*name;
	size_t		 length;
};

/* In memory of this process, until it joins the others. */
struct rates	*rates_new(void);
/* From now on in the memory of counters, which outlives us. */
void		 rates_join(struct rates *rates, struct counters *counters);
void		 rates_free(struct rates *rates);
/* Takes one: 0. Or there is none: after how many seconds (1 at least) there will
 * be. look_only takes nothing. */
int64_t		 rates_take(struct rates *rates,
		    const struct rate_subject *subject,
		    const struct conf_rate *limit, bool look_only);

#endif
