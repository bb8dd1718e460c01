/* SPDX-License-Identifier: ISC */
/*
 * Exceptions: for one destination, until a given time, for a written reason, a
 * level replaces what is configured, published, learned and pinned. Never
 * REQUIRETLS. Each use is logged by the role. Durable at once; ended by the
 * clock, also while nobody asks.
 *
 * Wall time decides, since people say "until Friday"; a clock that is set back
 * cannot lengthen an exception beyond what is left of it by the monotonic
 * clock, and one that begins in the future (clock set back over a restart) is
 * kept for no longer than it was made for.
 */
#ifndef POSTERN_POLICY_EXCEPTION_H
#define POSTERN_POLICY_EXCEPTION_H

#include <stdbool.h>
#include <stdint.h>

#include "conf/conf.h"

struct exceptions;
struct ledger;

enum { EXCEPTION_REASON_MAX = 200, EXCEPTION_AUTHOR_MAX = 64,
    EXCEPTIONS_MAX = 10000 };
/* Longer ones belong into the configuration: 90 days, in ms. */
#define EXCEPTION_LENGTH_MAX ((int64_t)90 * 24 * 3600 * 1000)

struct exception {
	uint64_t	 id;		/* never given again; from 1 */
	/* domain, ".domain" (any below it); never "*": one destination */
	char		 pattern[256];
	enum conf_level	 level;		/* none, may or encrypt */
	char		 reason[EXCEPTION_REASON_MAX];	/* never empty */
	char		 author[EXCEPTION_AUTHOR_MAX];	/* "root (uid 0)" */
	int64_t		 made;		/* wall, ms */
	int64_t		 until;		/* wall, ms */
	uint64_t	 uses;		/* plans it decided */
	int64_t		 used;		/* wall, ms; 0: never */
};

/* changed (may be null) is called after each change that plans must know of:
 * made, revoked, run out. The pattern is borrowed. */
struct exceptions	*exceptions_new(struct ledger *ledger,
			    void (*changed)(void *arg, const char *pattern),
			    void *arg);
void	 exceptions_free(struct exceptions *exceptions);

/* The one for the domain that ends last, an exact name before a pattern; null:
 * none in force. Borrowed until the next call of anything here. */
const struct exception	*exceptions_find(struct exceptions *exceptions,
			    const char *domain);
/* wanted: pattern, level, reason, author, until. Null, or a sentence about
 * what is wrong with it; made gets the whole of it. */
const char	*exceptions_add(struct exceptions *exceptions,
		    const struct exception *wanted, struct exception *made);
/* False: there is no such one in force. */
bool	 exceptions_revoke(struct exceptions *exceptions, uint64_t id,
	    struct exception *revoked);
/* One plan was decided by it. */
void	 exceptions_used(struct exceptions *exceptions, uint64_t id);
/* Those in force, by id: up to count of those behind this id (0: from the
 * first). The last one's id; 0: there are no more. */
uint64_t exceptions_page(struct exceptions *exceptions, uint64_t after,
	    unsigned count, void (*visit)(void *arg,
	    const struct exception *exception), void *arg);

#endif
