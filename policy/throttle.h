/* SPDX-License-Identifier: ISC */
/*
 * Who guesses passwords waits. Failures are counted by the client's address
 * (IPv6: by its /64) and by the name that was tried, whether or not there is
 * such a user. Some are free; each one more makes a pause, in which nothing is
 * evaluated, twice as long as the one before. Counts halve with time. An
 * address from which a user has logged in lately is not stopped by what others
 * do to that user's name. The tables are bounded: the least recent goes.
 */
#ifndef POSTERN_POLICY_THROTTLE_H
#define POSTERN_POLICY_THROTTLE_H

#include <stdbool.h>
#include <stddef.h>

struct endpoint;
struct throttle;

enum {
	THROTTLE_CLIENT_FREE = 10,	/* failures without a pause */
	THROTTLE_NAME_FREE = 20,
	THROTTLE_PAUSE_FIRST = 2000,	/* milliseconds */
	THROTTLE_CLIENT_PAUSE_MAX = 15 * 60 * 1000,
	THROTTLE_NAME_PAUSE_MAX = 60 * 1000,
	THROTTLE_HALVES = 10 * 60 * 1000,	/* counts, in that time */
	THROTTLE_ENTRIES_MAX = 16384	/* of each table */
};

struct throttle	*throttle_new(void);
void		 throttle_free(struct throttle *throttle);
/* May this address try now? */
bool		 throttle_allows(struct throttle *throttle,
		    const struct endpoint *client);
/* And with that name? */
bool		 throttle_allows_name(struct throttle *throttle,
		    const struct endpoint *client, const char *name);
/* name may be empty: none was said. */
void		 throttle_failed(struct throttle *throttle,
		    const struct endpoint *client, const char *name);
void		 throttle_succeeded(struct throttle *throttle,
		    const struct endpoint *client, const char *name);
/* Entries in all tables. */
size_t		 throttle_count(const struct throttle *throttle);

#endif
