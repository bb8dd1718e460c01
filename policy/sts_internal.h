/* SPDX-License-Identifier: ISC */
/*
 * What sts.c (queries, refresh) and sts_discovery.c (what is published now)
 * share; nobody else includes it.
 */
#ifndef POSTERN_POLICY_STS_INTERNAL_H
#define POSTERN_POLICY_STS_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/loop.h"
#include "base/net.h"
#include "policy/sts.h"
#include "policy/sts_cache.h"

struct fetch;
struct fetcher;
struct hash;
struct resolver_query;

enum {
	STS_DISCOVERIES_MAX = 2048,
	STS_ADDRESSES_MAX = 8,		/* of each family that are looked at */
	STS_DOMAIN_MAX = 244,		/* "_mta-sts." before it */
	STS_ANSWER_BYTES = 1 << 20,
	STS_TTL_MAX = 3600, STS_TTL_FAILED = 30		/* seconds */
};

struct sts {
	const struct conf	*conf;		/* outlives us, or configure */
	struct resolver		*resolver;	/* outlives us */
	struct fetcher		*fetcher;	/* owned */
	struct sts_cache	*cache;		/* owned */
	uint16_t		 port;

	struct hash		*by_domain;	/* discoveries */
	TAILQ_HEAD(, sts_discovery)	 waiting;	/* for a process */
	TAILQ_HEAD(, sts_query)	 told;		/* answers for the next turn */
	unsigned		 discoveries, refreshes, fetches, waiters;
	struct hash		*failures;	/* domain -> failure, owned */
	struct timer		 tick;
	struct sts_hooks	 hooks;
};

/* A fetch that failed: not again before its time for the same id. */
struct sts_failure {
	char		 id[STS_ID_MAX + 1];
	int64_t		 until;		/* monotonic */
	const char	*result;
	char		 problem[160];
};

struct sts_query {
	struct sts		*sts;
	struct sts_discovery	*discovery;	/* waited for, or null */
	/* known when it was asked */
	struct sts_answer	*answer;	/* owned, or null */
	struct arena		*arena;		/* of the answer */
	struct timer		 timer;
	sts_done		*done;
	void			*arg;
	TAILQ_ENTRY(sts_query)	 entry;
};

/*
 *	TXT -> WAITING -> ADDRESSES -> FETCHING -> OVER
 *	 `--------`-----------`-----------------^
 */
enum sts_discovery_state { DISCOVERY_TXT, DISCOVERY_WAITING,
    DISCOVERY_ADDRESSES, DISCOVERY_FETCHING, DISCOVERY_OVER };

struct sts_discovery {
	struct sts		*sts;
	enum sts_discovery_state	 state;
	char			 domain[STS_DOMAIN_MAX + 1];
	bool			 refresh;	/* fetch whatever TXT says */
	TAILQ_HEAD(, sts_query)	 queries;	/* that wait */
	TAILQ_ENTRY(sts_discovery)	 entry;		/* WAITING */

	struct resolver_query	*queries_under_way[2];	/* TXT; or A, AAAA */
	struct endpoint		 addresses[2][STS_ADDRESSES_MAX];
	size_t			 address_counts[2];
	char			 lookup_problem[200];
	struct fetch		*fetch;

	char			 id[STS_ID_MAX + 1];	/* TXT's; "": none */
	bool			 decided;	/* the answer holds; a refresh
						 * goes on without queries */
	bool			 changed;	/* what is remembered */
	struct arena		*arena;		/* of the answer's policy */
	struct sts_answer	 answer;
};

/* --- sts_discovery.c --- */

/* Under the domain's name in by_domain until it is over, which is not before
 * this returns. refresh: the policy is fetched whatever TXT says. */
struct sts_discovery	*sts_discovery_start(struct sts *sts,
			    const char *domain, bool refresh);
/* Whoever waited for it has been cancelled. */
void	 sts_discovery_free(struct sts_discovery *discovery);

/* Those whose time is over go, and of the others all but so many. */
void	 sts_failures_purge(struct sts *sts, unsigned spare);
void	 sts_failure_forget(struct sts *sts, const char *domain);

/* In force now, or null. */
struct sts_entry	*sts_current_entry(struct sts *sts,
			    const char *domain);
/* Milliseconds from one fetch to the next. */
int64_t	 sts_refresh_interval(const struct sts *sts,
	    const struct sts_entry *entry);
int64_t	 sts_with_jitter(int64_t milliseconds);

void	 sts_copy_policy(struct arena *arena, struct sts_policy *to,
	    const struct sts_policy *from);
void	 sts_answer_with(struct sts_answer *answer, struct arena *arena,
	    const struct sts_entry *entry, enum sts_source source);
void	 sts_set_problem(struct sts_answer *answer, const char *result,
	    const char *problem);

/* --- sts.c --- */

void	 sts_query_free(struct sts_query *query);

#endif
