/* SPDX-License-Identifier: ISC */
/*
 * The MTA-STS policies that are remembered: all of them in memory, each also in
 * the durable store. What is kept of a policy is its text, which is read again
 * at each start. Entries and their bytes have ceilings.
 *
 * Ages come from the monotonic clock: wall time counts once, when the store is
 * read, so that a clock that is set can neither end a policy nor keep it for
 * ever (STS-93).
 */
#ifndef POSTERN_POLICY_STS_CACHE_H
#define POSTERN_POLICY_STS_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/sts_policy.h"

struct arena;
struct sts_cache;

struct sts_entry {
	char			*domain;	/* owned */
	char			 id[STS_ID_MAX + 1];
	char			*body;		/* owned; as it was fetched */
	size_t			 length;
	struct arena		*arena;		/* owned; of the policy */
	struct sts_policy	 policy;
	int64_t			 fetched;	/* wall, ms */
	int64_t			 used;		/* by a query; wall, ms */

	/* of this process; ms */
	int64_t			 since;		/* monotonic, and ... */
	int64_t			 age_then;	/* ... the age at that time */
	bool			 from_future;	/* fetched after now: STS-93 */
	bool			 saved;		/* the store has it like this */
	int64_t			 refresh_at;	/* monotonic; 0: at once */
	int64_t			 alarmed_at;	/* monotonic; 0: not yet */
};

/* directory: the role's own, as configured, or "": nothing is durable. The
 * files are opened by sts_cache_load(), which is called when the process is
 * confined, and where it is by then. */
struct sts_cache	*sts_cache_new(const char *directory);
void	 sts_cache_free(struct sts_cache *cache);
void	 sts_cache_load(struct sts_cache *cache);
/* Now and then: opens a store again that failed, and writes what it has not,
 * some of it at a time. */
void	 sts_cache_tend(struct sts_cache *cache);

/* Also one that has expired; null if there is none. */
struct sts_entry	*sts_cache_find(struct sts_cache *cache,
			    const char *domain);
/* Sets or replaces, on the disk when it returns; the body has been read as a
 * policy before. Null: there is no room, which is logged, and what there was
 * of the domain stays. */
struct sts_entry	*sts_cache_put(struct sts_cache *cache,
			    const char *domain, const char *id,
			    const char *body, size_t length);
bool	 sts_cache_remove(struct sts_cache *cache, const char *domain);
/* The visited entry may be removed. */
void	 sts_cache_each(struct sts_cache *cache,
	    void (*visit)(void *arg, struct sts_entry *entry), void *arg);

/* The same over several calls, as hash_scan() does it; visit removes none. */
uint64_t sts_cache_scan(struct sts_cache *cache, uint64_t cursor,
	    void (*visit)(void *arg, struct sts_entry *entry), void *arg);

/* Milliseconds until it expires; not positive when it has. */
int64_t	 sts_entry_left(const struct sts_entry *entry);

#endif
