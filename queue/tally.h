/* SPDX-License-Identifier: ISC */
/*
 * Exact counts of what is queued, in memory: recipients of each domain by what
 * they do, by the host of their last attempt and by why it failed; messages and
 * bytes of each domain; how old everything is. Slices are put in and taken out
 * again with the same facts; nothing here knows the store or the time.
 *
 * Memory is bounded, whoever chooses the names: beyond the bounds domains,
 * hosts and minutes of arrival are counted together as "(others)". While
 * something is counted there no new name is taken in, so that what was put in
 * under the common name is taken out from it, too.
 */
#ifndef POSTERN_QUEUE_TALLY_H
#define POSTERN_QUEUE_TALLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

struct tally;

/* What a slice does as far as its own row says: its destination may rest. */
enum tally_state { TALLY_PENDING, TALLY_DUE, TALLY_HELD, TALLY_STATES };

/* Zero takes the default; smaller ones are for tests. */
struct tally_bounds {
	size_t	 domains;		/* 20,000 */
	size_t	 hosts;			/* 10,000 */
	size_t	 cells;			/* 300,000: domain, host and reason */
	size_t	 minutes;		/* 100,000: ten weeks of arrivals */
};

struct tally	*tally_new(const struct tally_bounds *bounds);
void		 tally_free(struct tally *tally);
/* More was taken out than had been put in: the counts are worth nothing. */
bool		 tally_is_broken(const struct tally *tally);

struct tally_slice {
	const char		*domain;	/* borrowed, as all below */
	unsigned		 lane;		/* enum destination_lane */
	enum tally_state	 state;
	int64_t			 arrival;	/* wall, ms */
	/* of each recipient: the last one, null while untried */
	const struct status	*const *statuses;
	uint32_t		 recipient_count;
};
void	 tally_add(struct tally *tally, const struct tally_slice *slice);
void	 tally_remove(struct tally *tally, const struct tally_slice *slice);
/* Recipients of a slice that was put in as PENDING are due. */
void	 tally_due(struct tally *tally, const char *domain, unsigned lane,
	    uint32_t recipients);

/* A message of that size, in all, and at a domain that has a slice. A sign of
 * -1 takes it out again. */
void	 tally_message(struct tally *tally, int64_t arrival, uint64_t bytes,
	    int sign);
void	 tally_message_at(struct tally *tally, const char *domain,
	    uint64_t bytes, int sign);

/* --- reading --- */

/* Recipients with the same last attempt. */
struct tally_cell {
	uint32_t	 host;		/* tally_host_name(); see below */
	uint16_t	 reason;	/* enum status_reason */
	uint32_t	 recipients;
};
/* Instead of a host: never tried; no host was reached; too many hosts. */
enum { TALLY_UNTRIED = 0, TALLY_NO_HOST = 1, TALLY_OTHER_HOSTS = 2,
    TALLY_FIRST_HOST = 3 };

/* The slices of a domain that stand in one line. */
struct tally_group {
	struct tally_group	*next;		/* owned; lane above ours */
	unsigned		 lane;
	uint32_t		 slices;
	uint32_t		 states[TALLY_STATES];	/* recipients */
	struct tally_cell	*cells;		/* owned */
	uint32_t		 cell_count, cell_size;
};

enum { TALLY_SPANS = 16 };
/* Arrivals between two moments, in seconds since 1970. */
struct tally_span {
	uint32_t	 oldest, newest;
	uint32_t	 slices;
};

struct tally_domain {
	char			*name;		/* owned */
	struct tally_group	*groups;	/* owned */
	uint32_t		 slices;
	uint32_t		 messages;
	uint64_t		 recipients;
	uint64_t		 bytes;		/* of stored bodies */
	/* oldest first, not touching: exact counts of coarse times */
	struct tally_span	 spans[TALLY_SPANS];
	unsigned		 span_count;
	bool			 is_others;
};
/* When the oldest slice came, wall ms: exact while none of its span has left,
 * else too old by the length of a span at most. 0: no slice. */
int64_t	 tally_domain_oldest(const struct tally_domain *domain);
size_t	 tally_domains(const struct tally *tally);
void	 tally_each_domain(const struct tally *tally, void (*visit)(void *arg,
	    const struct tally_domain *domain), void *arg);
/* How much of a status' host is its name: without the address behind it. */
size_t	 tally_host_length(const char *host);
/* From TALLY_FIRST_HOST on; below tally_hosts(). Null: nobody has it now. */
const char	*tally_host_name(const struct tally *tally, uint32_t host);
uint32_t	 tally_hosts(const struct tally *tally);

struct tally_minute {
	uint32_t	 minute;	/* since 1970 */
	uint32_t	 messages;
	uint64_t	 recipients;
	uint64_t	 bytes;
};
/* Oldest first; those that had no place come first, as minute 0. */
size_t	 tally_minutes(const struct tally *tally,
	    const struct tally_minute **minutes);
uint64_t tally_messages(const struct tally *tally);
uint64_t tally_bytes(const struct tally *tally);

#endif
