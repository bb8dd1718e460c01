/* SPDX-License-Identifier: ISC */
/*
 * `random`: composed worlds (compose.h), run against an MTA. A table of those
 * that were not correct, with a count of marks at the end; the scenario of each
 * of them is kept as a file, or printed, so that it can be run by itself.
 */
#ifndef POSTERN_TOOLS_LAB_RANDOM_H
#define POSTERN_TOOLS_LAB_RANDOM_H

#include <stdbool.h>
#include <stdint.h>

#include "tools/lab/report.h"
#include "tools/lab/run.h"

struct lab_random {			/* everything is borrowed */
	const struct lab_places	*places;
	const struct lab_driver	*driver;	/* the MTA under test */
	enum lab_format		 format;
	enum lab_profile	 profile;
	uint64_t		 seed;
	unsigned		 first, count;	/* numbers of worlds */
	unsigned		 jobs;
	/* A directory that is there, for NAME.scenario of those that were not
	 * correct; null: they go to standard output. */
	const char		*keep;
	/* Nothing is run: the scenarios of these worlds on standard output. */
	bool			 print;
};

/* The exit status: 0; 1 when a world was judged too lax, too strict, crashed
 * or hung, or its run failed; 77 when none could be judged here; or 128 and the
 * signal that ended it. */
int	 lab_random_main(const struct lab_random *request);

#endif
