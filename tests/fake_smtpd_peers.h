/* SPDX-License-Identifier: ISC */
/*
 * The queue, policy and directory as smtpd sees them, without processes: the
 * functions of queue/client.h (submission), policy/client.h and
 * policy/directory_client.h, obeying their rules (answers come in a later
 * turn, once, and not after a cancel) and checking that the caller obeys
 * his. What they answer is set here; what they were given is kept here.
 */
#ifndef POSTERN_TESTS_FAKE_SMTPD_PEERS_H
#define POSTERN_TESTS_FAKE_SMTPD_PEERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/status.h"
#include "tests/fake_smtpd_policy.h"

struct fake_peers {
	/* what the queue is like */
	bool		 queue_down;
	bool		 queue_silent;		/* never answers the end */
	bool		 no_identifiers;
	uint64_t	 space;
	size_t		 window;		/* credit, given back each turn */
	uint64_t	 next_id;
	struct status	 answer;		/* to the end of a message */

	/* the last message that began */
	char		*sender;		/* owned, as all below */
	char		*forward_sender;
	char		*recipients;		/* separated by a space; ">"
						 * before one that is forwarded,
						 * "=" before one expanded */
	char		*originals;		/* ORCPT/notify flags, the same */
	char		*prefix;
	char		*extra;			/* more of it, behind the body */
	char		*client;
	char		*protocol;
	char		*envid;
	uint32_t	 flags;			/* with those of the end */
	struct buf	 body;			/* as stored */
	struct buf	 view;			/* at the end: as its pieces
						 * have it */
	char		*hold;			/* null */
	unsigned	 begun, ended, cancelled;

	/* policy; the rest is in fake_smtpd_policy.h */
	const char	*reverse_name;		/* null: none; "": failed */
	bool		 reverse_silent;	/* until it is cancelled */

	/* directory: domain example.org has alice, bob, Postmaster; aliases
	 * info (alice), away (alice@elsewhere.example), team (alice, bob,
	 * carol@elsewhere.example), list (1000 others); second.example has the
	 * same */
	bool		 directory_down;
	bool		 directory_silent;
	bool		 no_postmaster;
	bool		 directory_disowns;	/* example.org is not ours */
	unsigned	 lookups;

	/* logins: alice@example.org has the password "secret", by PLAIN and
	 * LOGIN; "later" has failed too often; she owns alice*@example.org */
	bool		 login_external;	/* EXTERNAL is believed */
	bool		 login_silent;		/* until it is cancelled */
	char		 login_seen[128];	/* mechanism, certificate */
};

extern struct fake_peers fake_peers;

/* Everything answers well, nothing has been seen. */
void	 fake_peers_reset(void);
/* Requests and submissions that are open now: must come to 0. */
unsigned fake_peers_open(void);

#endif
