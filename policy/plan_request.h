/* SPDX-License-Identifier: ISC */
/*
 * Makes one plan: looks up what plan_step() needs until it is done. The only
 * place where the pure machine meets the network, and the clock: a plan is made
 * within its asker's patience, and what is not known by then is an error.
 */
#ifndef POSTERN_POLICY_PLAN_REQUEST_H
#define POSTERN_POLICY_PLAN_REQUEST_H

#include "policy/plan.h"

struct exceptions;
struct memory;
struct plan_request;
struct resolver;
struct sts;

/* No plan takes longer, in milliseconds: policy/client.c waits a little more,
 * commands and delivery's own deadlines too. */
enum { PLAN_REQUEST_MAX_MILLISECONDS = 170000 };

/* plan and facts (what it was made from) are borrowed until it returns. */
typedef void plan_request_done(void *arg, const struct plan *plan,
    const struct plan_facts *facts);

/* What a plan is made from beside the question. All outlive the request. */
struct plan_context {
	struct resolver		*resolver;
	struct sts		*sts;	/* null: MTA-STS is never known */
	struct memory		*memory;	/* null: nothing is remembered */
	struct exceptions	*exceptions;	/* null: there are none */
	const struct conf	*conf;
	const struct endpoint	*own_addresses;
	size_t			 own_address_count;
	uint64_t		 generation;
};

/* Copied. */
struct plan_question {
	const char			*domain;	/* of the recipients */
	const struct conf_next_hop	*next;
	int64_t				 waited;	/* age of the mail, s */
	enum plan_wish			 wish;
	int				 message_level;	/* -1: none */
	bool				 explain;	/* make notes */
};

/* done comes from the loop, once. */
struct plan_request	*plan_request_start(const struct plan_context *context,
			    const struct plan_question *question,
			    plan_request_done *done, void *arg);
void			 plan_request_cancel(struct plan_request *request);

#endif
