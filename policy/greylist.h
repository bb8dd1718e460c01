/* SPDX-License-Identifier: ISC */
/*
 * The memory of greylisting. Two kinds of rows:
 *
 *	waiting		a network, a sender and a recipient, at their first
 *			try. Who comes again greylist-delay later or more, and
 *			before greylist-window is over, has passed.
 *	known		a network and a sender's domain, of which something
 *			has passed: nothing more of it waits, whoever the
 *			sender and the recipient are, until nothing came for
 *			greylist-keep.
 *
 * So senders that have another address for each message (VERP) wait once. A
 * network is as many bits of an address as network-ipv4 and network-ipv6 say;
 * addresses are compared without regard to ASCII case. The null sender has the
 * domain "".
 *
 * Rows are in memory and, within two seconds, on the disk (ledger.h). There are
 * ceilings: of each kind in all and for each network, beyond which the oldest go
 * (waiting: by the first try, known: by the last).
 */
#ifndef POSTERN_POLICY_GREYLIST_H
#define POSTERN_POLICY_GREYLIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct conf;
struct greylist;
struct ledger;
struct policy_greylist_question;

enum { GREYLIST_WAITING_MAX = 32768, GREYLIST_KNOWN_MAX = 65536,
    GREYLIST_NETWORK_MAX = 1024, GREYLIST_TEXT_MAX = 255 };

/* The ledger outlives it and is not open yet. */
struct greylist	*greylist_new(struct ledger *ledger);
void		 greylist_free(struct greylist *greylist);
/* Again after each reload. */
void		 greylist_configure(struct greylist *greylist,
		    const struct conf *conf);

/* 0, or how many seconds to come again in. */
int64_t		 greylist_ask(struct greylist *greylist,
		    const struct policy_greylist_question *question);

struct greylist_entry {
	bool		 known;
	char		 network[64];
	char		 sender[GREYLIST_TEXT_MAX + 1];	/* known: its domain */
	char		 recipient[GREYLIST_TEXT_MAX + 1];	/* waiting */
	int64_t		 first, last;		/* wall, ms */
	/* waiting: when to come again; known: its end if nothing comes */
	int64_t		 from, until;
};
/* Some keys (as hash_scan() visits), and what one of them is about: false when
 * it is gone. Keys in order are entries by kind and network. */
uint64_t	 greylist_scan(struct greylist *greylist, uint64_t cursor,
		    void (*visit)(void *arg, const char *key), void *arg);
bool		 greylist_find(const struct greylist *greylist,
		    const char *key, struct greylist_entry *entry);
/* Is it about this network (or the one of this address), sender's domain,
 * sender or recipient? */
bool		 greylist_is_about(const struct greylist *greylist,
		    const struct greylist_entry *entry, const char *name);
/* All that are about it; how many there were. */
size_t		 greylist_forget(struct greylist *greylist, const char *name);
size_t		 greylist_count(const struct greylist *greylist, bool known);

#endif
