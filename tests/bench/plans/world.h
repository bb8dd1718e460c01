/* SPDX-License-Identifier: ISC */
/*
 * The names that plans are made for in the benchmark, and their name server:
 * the root, "lab", and one zone for each destination, "d00042.lab", with one
 * mail host, "mx.d00042.lab". Nothing is stored: what a name has follows from
 * its number, and each set is signed when it is asked for (ECDSA P-256, one
 * key for all zones). What is not there is denied by an NSEC record of that
 * very name.
 */
#ifndef POSTERN_TESTS_BENCH_PLANS_WORLD_H
#define POSTERN_TESTS_BENCH_PLANS_WORLD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/net.h"

enum { WORLD_TTL = 7200 };	/* seconds; nothing runs out in a run */

/* What is published. Of ten destinations seven are DANE, one is each other. */
enum world_kind {
	WORLD_DANE,		/* signed, with TLSA records */
	WORLD_SIGNED_STS,	/* signed, without them, with MTA-STS */
	WORLD_STS,		/* unsigned, with MTA-STS */
	WORLD_OPEN		/* unsigned, nothing */
};

struct world_count {		/* in memory that processes share */
	atomic_ulong	 questions;	/* about destinations */
	atomic_ulong	 others;	/* about the root and "lab" */
};

enum world_kind	 world_kind(unsigned number);
void	 world_domain(unsigned number, char *out, size_t size);
void	 world_host(unsigned number, char *out, size_t size);

/* Makes the key; a socket on the loopback, and its address. */
int	 world_open(struct endpoint *address);
/* The root's, as text of an anchor file; static. */
const char	*world_anchor(void);
/* Answers on the socket until the process is killed. */
void	 world_serve(int fd, struct world_count *count)
	    __attribute__((noreturn));

#endif
