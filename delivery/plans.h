/* SPDX-License-Identifier: ISC */
/*
 * Plans at hand, so that policy is asked once for many messages to the same
 * destination. A plan is kept no longer than the least time to live of what it
 * was made from, and PLANS_SECONDS at most; not at all where policy said that
 * it is for one message, or counts who uses it (an exception). Policy says when
 * plans may be others: plans_forget() then. While policy is away nobody could
 * say so, and nothing that is kept is used.
 *
 * A plan is shared by all that go by it, and nobody changes it. Without a
 * struct plans (null) none is kept.
 */
#ifndef POSTERN_DELIVERY_PLANS_H
#define POSTERN_DELIVERY_PLANS_H

#include <stddef.h>

#include "policy/plan.h"

struct arena;
struct plans;
struct policy_client;
struct policy_question;

/* Own addresses and what memory counts may be so much older than a plan is. */
enum { PLANS_SECONDS = 10, PLANS_MAX = 2048, PLANS_BYTES_MAX = 32 << 20 };

struct shared_plan {
	const struct plan	*plan;
	struct arena		*arena;		/* owned; holds it */
	unsigned		 references;
};

/* Takes the arena. */
struct shared_plan	*shared_plan_new(const struct plan *plan,
			    struct arena *arena);
/* Null is allowed. */
void			 shared_plan_release(struct shared_plan *shared);

struct plans		*plans_new(struct policy_client *policy);
void			 plans_free(struct plans *plans);
/* Null: policy has to be asked. The caller releases it. */
struct shared_plan	*plans_find(struct plans *plans,
			    const struct policy_question *question);
/* A copy of policy's answer, which is found from now on if it may be. Null
 * when it is larger than any that policy may send. The caller releases it. */
struct shared_plan	*plans_add(struct plans *plans,
			    const struct policy_question *question,
			    const struct plan *plan);
/* Those of a domain or next hop that the pattern means; "": all. */
void			 plans_forget(struct plans *plans,
			    const char *pattern);
size_t			 plans_count(const struct plans *plans);

/* The places of hosts in the order in which to try them: the plan's, with
 * those of equal preference mixed anew (RFC 5321 5.1). */
void			 plans_mix(const struct plan *plan,
			    unsigned char order[PLAN_HOSTS_MAX]);

#endif
