/* SPDX-License-Identifier: ISC */
/*
 * Drives a pure machine of authentic/ (spf.h, dmarc.h): it says which lookup it
 * needs, the DNS is asked, and it runs again over all answers so far. One
 * lookup at a time, under one deadline for all; lookups and the memory of their
 * answers are bounded, whatever strangers publish.
 */
#ifndef POSTERN_POLICY_LOOKUP_RUN_H
#define POSTERN_POLICY_LOOKUP_RUN_H

#include <stdbool.h>
#include <stdint.h>

#include "authentic/lookup.h"

struct arena;
struct lookup_run;
struct resolver;

/* RFC 7208 4.6.4: no less than 20 seconds for one check_host(). The machines
 * need no more lookups and memory than that, whatever is answered. An answer
 * beyond the bytes of all together is a failed lookup. */
enum { LOOKUP_RUN_MILLISECONDS = 20000, LOOKUP_RUN_LOOKUPS_MAX = 128,
    LOOKUP_RUN_BYTES_MAX = 256 << 10, LOOKUP_RUN_SCRATCH_MAX = 256 << 10 };

struct lookup_need {
	enum lookup_type	 type;
	const char		*name;	/* in the arena */
};

/* One step: true when the machine is done, else it says what it needs. arena
 * is new at each step; the last one's is there until done returns. */
typedef bool lookup_run_step(void *arg, const struct lookup_answers *answers,
    struct arena *arena, struct lookup_need *need);
/* finished: the last step said so; else time or lookups are used up. The run is
 * gone when it returns. */
typedef void lookup_run_done(void *arg, bool finished);

/* The first step is made at once, done never within this call. */
struct lookup_run	*lookup_run_start(struct resolver *resolver,
			    lookup_run_step *step, lookup_run_done *done,
			    void *arg);
void			 lookup_run_cancel(struct lookup_run *run);

#endif
