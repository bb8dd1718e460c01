/* SPDX-License-Identifier: ISC */
/*
 * TLS memory: what each destination (next-hop name) and each mail host has
 * shown, with counts and dates; and pins, which an operator sets and only an
 * operator takes away. What is learned is asked as a fact by the plan; what it
 * leads to (nothing, a warning, a deferral) is the destination's option
 * `memory`.
 *
 *  - A name is expected to show TLS once it did so in memory-observations
 *    connections or more, until memory-age has passed since the last one; then
 *    counting begins anew. Connections in clear do not take that back: they
 *    are what is to be noticed. Forgetting is an operator's word, or age.
 *  - A host that showed no TLS, ever, in memory-observations connections or
 *    more is known as clear, so that a destination with one old host can be
 *    told from one that was stripped.
 *  - Whether the chain held by WebPKI is a softer fact of its own: it leads to
 *    an event, never to a deferral. The same goes for TLSA records and
 *    MTA-STS policies that are there no more.
 *  - Remembering broken TLS in order to send in clear is not built.
 *
 * Ages come from the monotonic clock: wall time counts when a row is read, and
 * what was seen in the future counts as seen now, so that a clock that is set
 * can neither end what is known nor keep it for ever.
 *
 * Bounded: the least recently seen unpinned entry makes room, and none that is
 * expected does while there are others, so that nobody pushes it out by making
 * names up. Counters are written soon (ledger.h), pins at once.
 */
#ifndef POSTERN_POLICY_MEMORY_H
#define POSTERN_POLICY_MEMORY_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/plan.h"

struct conf;
struct ledger;
struct memory;
struct observation;

enum { MEMORY_ENTRIES_MAX = 200000, MEMORY_PINS_MAX = 10000,
    MEMORY_TELL_MILLISECONDS = 30000 };

enum memory_kind { MEMORY_DESTINATION, MEMORY_HOST, MEMORY_KINDS };

struct memory_entry {
	enum memory_kind kind;
	char		 name[256];	/* lower case, no final dot */
	int64_t		 first, last;	/* seen; wall, ms, as all times here */
	uint32_t	 tls_count;	/* connections under TLS */
	int64_t		 tls_last;	/* 0: never */
	uint32_t	 clear_count;	/* ready for mail in clear */
	int64_t		 clear_last;
	int64_t		 lost_since;	/* first trouble or clear connection
					 * since tls_last; 0: none */
	char		 version[16];	/* of the last one */
	uint32_t	 web_count;	/* in a row with a chain that held */
	uint32_t	 dane_count;	/* authenticated by TLSA */
	int64_t		 dane_last;
	uint32_t	 sts_count;	/* by an MTA-STS policy */
	int64_t		 sts_last;
};

/* changed: plans for the domain ("": any) may be others from now on: an entry
 * began to bind or ended to, a pin came or went. The domain is a next-hop name,
 * as the entry's or the pin's is. A host may serve any domain: "" then, but
 * only where some destination has memory = defer, since nothing else can make
 * its plans ask for more; and not more often than each
 * MEMORY_TELL_MILLISECONDS. */
struct memory	*memory_new(struct ledger *ledger,
		    void (*changed)(void *arg, const char *domain), void *arg);
void	 memory_free(struct memory *memory);
/* memory-observations, memory-age, and who defers; again after each reload,
 * which changes all plans by itself. */
void	 memory_configure(struct memory *memory, const struct conf *conf);

/* How many entries there are, of both kinds. */
size_t	 memory_count(const struct memory *memory);

/* The plan's facts: false when nothing is known (fact is zero then). */
bool	 memory_fact(struct memory *memory, enum memory_kind kind,
	    const char *name, struct fact_memory *fact);
/* Null: none. Borrowed until the next change. */
const struct plan_pin	*memory_pin(struct memory *memory, const char *domain);

void	 memory_observe(struct memory *memory,
	    const struct observation *observation);

/* Of both kinds, at once on the disk; the number of entries forgotten. Pins
 * stay. */
unsigned memory_forget(struct memory *memory, const char *name);
/* Null, or a sentence about what is wrong. A pin without `made` is made now. */
const char	*memory_set_pin(struct memory *memory,
		    const struct plan_pin *pin);
bool	 memory_unpin(struct memory *memory, const char *domain);

/* Each entry, and each pin, as one JSON object: what `memory list --json` and
 * `export` print and `import` reads. {"destination": NAME | "host": NAME,
 * "first", "last", "tls", "tls-last", "clear", "clear-last", "lost-since",
 * "version", "web", "dane", "dane-last", "sts", "sts-last", "expects":
 * ["tls", "dane", "sts", "web"] (told, not read)} or {"pin": NAME, "level",
 * "fingerprints": [...], "reason", "author", "made"}. Times are RFC 3339 or
 * missing. The caller owns it.
 *
 * In the order of destinations, hosts, pins, and of names; all, or those of
 * this name and of names below it. As there are many, each call does a little:
 * it gives an object, or null, and what that cost, in entries looked at; 0: the
 * end. The walk goes on over whatever changes in between. */
struct memory_walk	*memory_walk_new(struct memory *memory,
			    const char *name);
unsigned	 memory_walk_next(struct memory_walk *walk, json_t **object);
void		 memory_walk_free(struct memory_walk *walk);
/* The same for exactly one name: its entries and its pin. */
void	 memory_each_of(struct memory *memory, const char *name,
	    void (*visit)(void *arg, json_t *object), void *arg);
/* Takes over one such object: counts add up, dates widen, a pin replaces.
 * Null, or a sentence about what is wrong with it, which names the member and
 * is the memory's until the next call. */
const char	*memory_import(struct memory *memory, const json_t *object);

#endif
