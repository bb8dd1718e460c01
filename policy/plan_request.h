/* SPDX-License-Identifier: ISC */
/*
 * Makes one plan: asks the resolver for what plan_step() needs until it is
 * done. The only place where the pure machine meets the network.
 */
#ifndef POSTERN_POLICY_PLAN_REQUEST_H
#define POSTERN_POLICY_PLAN_REQUEST_H

#include "policy/plan.h"

struct plan_request;
struct resolver;

/* plan is borrowed until it returns. */
typedef void plan_request_done(void *arg, const struct plan *plan);

/* What a plan is made from beside the question. All outlive the request. */
struct plan_context {
	struct resolver		*resolver;
	const struct conf	*conf;
	const struct endpoint	*own_addresses;
	size_t			 own_address_count;
	uint64_t		 generation;
};

/* next and domain are copied. done comes from the loop, once. */
struct plan_request	*plan_request_start(const struct plan_context *context,
			    const char *domain,
			    const struct conf_next_hop *next,
			    plan_request_done *done, void *arg);
void			 plan_request_cancel(struct plan_request *request);

#endif
