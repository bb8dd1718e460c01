/* SPDX-License-Identifier: ISC */
/*
 * What is known about each place mail goes to (a next hop): how many jobs it
 * takes at once, whether it is resting after failures of the host, and the
 * slices that wait for it in memory. Senders take turns, and the destinations
 * of each sender, one job each; those that do not answer have a part of the
 * slots. Nothing here touches the store; time comes from the caller.
 *
 *	           failure                 failure, twice in a row
 *	  OPEN -------------> OPEN, half the jobs ------------> RESTING
 *	  a few jobs; each                                        |
 *	  success: one more                                       |
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
#include "queue/host.h"
#include "queue/waiting.h"

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

/*
 * How much is known for a place; the lower ones have at most a part of the
 * slots of a worker, so that ten thousand hosts that hang keep nobody from
 * those that are well, and those that are known to be dead keep nobody from
 * those of which nothing is known.
 */
enum trust {
	TRUST_PROVEN,		/* it took mail, and did not fail since */
	TRUST_NEW,		/* nothing is known; there is mail of now */
	TRUST_UNTRIED,		/* nothing is known; its mail waits since long */
	TRUST_TROUBLED,		/* it failed */
	TRUST_COUNT		/* of an entry: does not count */
};

/* One slice that was taken: in a job, or to be given up. */
struct entry {
	struct place		 place;
	uint16_t		 slot;		/* of its group */
	uint8_t			 ring;
	uint8_t			 trust;		/* enum trust, when taken */
	struct destination	*destination;	/* outlives us */
	TAILQ_ENTRY(entry)	 link;		/* while it expires */
};
TAILQ_HEAD(entries, entry);

struct known_domain;

struct destination {
	char			*key;		/* owned */
	LIST_HEAD(, known_domain) known;	/* owned */
	enum destination_kind	 kind;
	struct conf_next_hop	 next;
	struct wait_line		 waiting;
	unsigned		 in_flight;
	unsigned		 limit;		/* jobs at once, now */
	unsigned		 limit_max;
	unsigned		 failures;	/* of the host, in a row */
	bool			 proven;	/* took mail, and is not dead */
	bool			 fresh;		/* mail came since it is known */
	unsigned		 idle;		/* purges since it had a job */
	unsigned		 late;		/* made when others had to
						 * wait: see schedule.c */
	int64_t			 failed_at;	/* the last one; wall, ms */
	struct heap_node	 rest;		/* due: end of the rest */
	struct status		 trouble;	/* the last failure of the host */
	struct host		*host;		/* where that was, or null */
	LIST_ENTRY(destination)	 at_host;
	/* by the operator: nothing is tried, and nothing given up */
	bool			 paused;
	int64_t			 paused_until;	/* wall, ms; 0: no end */

	/* while it may have a job: where it stands in line */
	bool			 runnable;
	enum trust		 trust;
	unsigned		 sender;
	TAILQ_ENTRY(destination) link;

	/* recipients since it was made, for who looks on (destination_note()) */
	uint64_t		 outcomes[STATUS_OUTCOMES];
	uint32_t		 lately, before;	/* of these, gone, in
						 * this window and the last */
	int64_t			 lately_from;	/* wall, ms */
};

struct destinations;
struct orders;

/* What is paused has destinations of its own, so that a pause of one domain
 * stops no other that goes the same way. orders: null where there are none. */
struct destinations	*destinations_new(const struct conf *conf,
			    const struct orders *orders);
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
/* Forgets what is idle and has no failures worth remembering; hosts that are
 * well are kept for a while, if they are few. For once a minute. */
void	 destinations_purge(struct destinations *all, int64_t now);

/* Of some that have no job the one that needs to be remembered least: without
 * mail, resting for long, not tried yet. If none may have failed since a time
 * (else INT64_MAX), none that was not tried. Null: none found. */
struct destination	*destinations_idlest(struct destinations *all,
			    int64_t failed_before);
/* Nobody waits for it, and it has no job: what was known of it is forgotten. */
void	 destinations_forget(struct destinations *all,
	    struct destination *destination);

/* Slots of the worker of that kind; 0: as many as there are jobs. */
void	 destinations_set_slots(struct destinations *all,
	    enum destination_kind kind, unsigned slots);
struct room	*destinations_room(struct destinations *all);
size_t	 destinations_resting(const struct destinations *all);

/* The group of rows that have this number (record_schedule); made when new. */
struct wait_group	*destination_group(struct destinations *all,
		    struct destination *destination, uint32_t number,
		    bool tried);
/* More senders share a group from now on, until the next configuration. Nobody
 * may wait. */
bool	 destinations_may_merge(const struct destinations *all);
void	 destinations_merge_groups(struct destinations *all);
void	 destination_add(struct destinations *all, struct wait_group *group,
	    const struct place *place);
/* The same, before all others. */
void	 destination_add_first(struct destinations *all,
	    struct wait_group *group, const struct place *place);
/* Takes out of the group those of whom leaves() says so. */
void	 destination_sift(struct destinations *all, struct wait_group *group,
	    bool (*leaves)(void *arg, const struct place *place), void *arg);
/* Everybody who waits leaves. */
void	 destination_clear(struct destinations *all,
	    struct destination *destination);
/* The next slice that may be tried, fairly; null if none. The caller has it
 * until destination_done(). Its group may be void. now: monotonic, ms. */
struct entry	*destinations_take(struct destinations *all,
		    enum destination_kind kind, int64_t now);
/* A place of which nothing is known might have had the next turn, but so many
 * others hang that what is left has to last: it may in so many ms. -1: that is
 * not so. */
int64_t	 destinations_pace(struct destinations *all,
	    enum destination_kind kind, int64_t now);
/* An entry that takes nobody's turn. */
struct entry	*destination_take_place(struct destination *destination,
		    const struct place *place);
/* Its job is over; entry is void. */
void	 destination_done(struct destinations *all, struct entry *entry);

bool	 destination_is_resting(const struct destination *destination,
	    int64_t now);
/* The host answered: it is well, whatever it said about the mail. */
void	 destination_succeeded(struct destinations *all,
	    struct destination *destination);
void	 destination_failed(struct destinations *all,
	    struct destination *destination, const struct status *status,
	    int64_t now);
/* A host, by its name and address, took mail or refused it: those who wait for
 * it are tried now. */
void	 destinations_answered(struct destinations *all, const char *host);
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
/* The same a few at a time; as hash_scan(). */
uint64_t destinations_scan(struct destinations *all, uint64_t cursor,
	    void (*visit)(void *arg, struct destination *destination),
	    void *arg);

/* What became of a recipient there. */
void	 destination_note(struct destination *destination,
	    enum status_outcome outcome, int64_t now);
/* Recipients a second that it took in the last ten. */
double	 destination_rate(const struct destination *destination, int64_t now);

/* Whether a status says something about the host, not about the message. */
bool	 destination_is_blamed(const struct status *status);
/* Wait in ms after so many failures: doubling, with a tenth of jitter. */
int64_t	 destination_backoff(const struct conf *conf, unsigned failures);

#endif
