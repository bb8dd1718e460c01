/* SPDX-License-Identifier: ISC */
/*
 * The role `policy` as a process of the benchmark: the role's own entry points
 * on a directory that was filled before, one channel to who plays delivery,
 * and a count of what is read from the tables on the disk.
 */
#ifndef POSTERN_TESTS_BENCH_PLANS_ROLE_H
#define POSTERN_TESTS_BENCH_PLANS_ROLE_H

#include <stdatomic.h>
#include <stdbool.h>

/* Of Berkeley DB in the role's process; in memory that processes share. */
struct role_count {
	atomic_ulong	 reads;		/* rows and cursors asked for */
	atomic_ulong	 pages;		/* read by pread(2) */
};

struct role_world {
	const char	*directory;	/* has a folder "policy" */
	unsigned	 port;		/* of the name server */
	unsigned	 destinations;
	struct role_count *count;
};

/* Has the destination an exception; is it remembered for TLS? */
bool	 role_has_exception(unsigned number);
bool	 role_is_remembered(unsigned number);

/* What the role finds when it starts: MTA-STS policies, memory, exceptions. In
 * a process of its own, which ends with it. */
void	 role_fill(const struct role_world *world);
/* Runs it with this channel until SIGTERM. */
void	 role_run(const struct role_world *world, int channel);

#endif
