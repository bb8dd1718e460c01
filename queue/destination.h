/* SPDX-License-Identifier: ISC */
/*
 * What is known about each place mail goes to (a next hop): how many jobs it
 * takes at once, whether it is resting after failures of the host, and the
 * slices that wait for it in memory. Destinations with work take turns, one
 * job each. Nothing here touches the store; time comes from the caller.
 *
 *	          failure                 failure, twice in a row
 *	  OPEN ------------> OPEN, half the jobs ------------> RESTING
 *	    ^                                                     |
 *	    +--- a success ---- OPEN, one job at a time <--- time's up
 */
#ifndef POSTERN_QUEUE_DESTINATION_H
#define POSTERN_QUEUE_DESTINATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/heap.h"
#include "base/status.h"
#include "conf/conf.h"

/* Which worker serves it. */
enum destination_kind { DESTINATION_DELIVERY, DESTINATION_MAILBOX,
    DESTINATION_KINDS };

/*
 * Mail that asks for other TLS than most stands in another line: a host that
 * fails the one kind (a wrong certificate under MTA-STS) may be well for the
 * other (TLS-Required: No), so that neither may keep the other waiting. Each
 * lane of a place is a struct destination, with rest and limit of its own.
 */
enum destination_lane {
	LANE_COMMON,
	LANE_REQUIRETLS,
	LANE_OPTIONAL,		/* TLS-Required: No */
	LANE_LEVEL,		/* and more: + enum conf_level, by set-tls */
	LANE_COUNT = LANE_LEVEL + LEVEL_COUNT
};

/* A row of the schedule, in its order. */
struct place {
	int64_t		 due;		/* wall, ms */
	uint64_t	 id;
	uint32_t	 slice;
};

/* One slice in memory: waiting for its destination, or in a job. */
struct entry {
	struct place		 place;
	uint32_t		 attempt;	/* tries so far */
	bool			 in_flight;
	struct destination	*destination;	/* outlives us */
	TAILQ_ENTRY(entry)	 link;		/* while waiting */
};
TAILQ_HEAD(entries, entry);

struct destination {
	char			*key;		/* owned */
	enum destination_kind	 kind;
	struct conf_next_hop	 next;
	struct entries		 fresh;		/* never tried; owned */
	struct entries		 old;		/* owned */
	unsigned		 waiting;	/* in both */
	unsigned		 turns;		/* taken so far */
	unsigned		 in_flight;
	unsigned		 limit;		/* jobs at once, now */
	unsigned		 limit_max;
	unsigned		 failures;	/* of the host, in a row */
	int64_t			 failed_at;	/* the last one; wall, ms */
	struct heap_node	 rest;		/* due: end of the rest */
	struct status		 trouble;	/* the last failure of the host */
	bool			 runnable;	/* in its kind's list */
	TAILQ_ENTRY(destination) link;		/* runnable */

	/* rows that were passed over since there was no room for them */
	bool			 more;
	struct place		 more_from;
	bool			 rescanning;
	TAILQ_ENTRY(destination) rescan_link;
};

struct destinations;

struct destinations	*destinations_new(const struct conf *conf);
void	 destinations_free(struct destinations *all);
size_t	 destinations_count(const struct destinations *all);
/* Where mail for domain goes by this configuration; made when new. Lanes are
 * for SMTP only: others have one. */
struct destination	*destination_get(struct destinations *all,
			    const char *domain, unsigned lane);
/* Null if nothing is known of it. */
struct destination	*destination_find(struct destinations *all,
			    const char *domain, unsigned lane);
/* After a reload: nothing may wait; what is known of hosts stays. */
void	 destinations_configure(struct destinations *all,
	    const struct conf *conf);
/* Forgets what is idle and has no failures worth remembering. */
void	 destinations_purge(struct destinations *all, int64_t now);

/* Owns entry from here on. */
void	 destination_add(struct destinations *all, struct entry *entry);
/* The next slice that may be tried, fairly; null if none. The caller has it
 * until destination_done(). */
struct entry	*destinations_take(struct destinations *all,
		    enum destination_kind kind);
/* Takes a waiting entry out. */
void	 destination_remove(struct destinations *all, struct entry *entry);
/* The job of a taken entry is over. */
void	 destination_done(struct destinations *all,
	    struct destination *destination);

bool	 destination_is_resting(const struct destination *destination,
	    int64_t now);
/* The host answered: it is well, whatever it said about the mail. */
void	 destination_succeeded(struct destinations *all,
	    struct destination *destination);
void	 destination_failed(struct destinations *all,
	    struct destination *destination, const struct status *status,
	    int64_t now);
/* Ends a rest: the operator says retry. */
void	 destination_wake(struct destinations *all,
	    struct destination *destination);
/* Ends the rests that are over by now; calls visit for each. Returns when the
 * next one ends, or -1. */
int64_t	 destinations_wake_due(struct destinations *all, int64_t now,
	    void (*visit)(void *arg, struct destination *destination),
	    void *arg);
void	 destinations_each(struct destinations *all, void (*visit)(void *arg,
	    struct destination *destination), void *arg);

/* Whether a status says something about the host, not about the message. */
bool	 destination_is_blamed(const struct status *status);
/* Wait in ms after so many failures: doubling, with a tenth of jitter. */
int64_t	 destination_backoff(const struct conf *conf, unsigned failures);

#endif
