/* SPDX-License-Identifier: ISC */
/*
 * Policy's door: plans for delivery, reverse names for smtpd. One client per
 * process. Every request has a deadline of its own and can be cancelled; done
 * is called exactly once unless cancelled, never before the call returns.
 */
#ifndef POSTERN_POLICY_CLIENT_H
#define POSTERN_POLICY_CLIENT_H

#include <stdint.h>

#include "conf/conf.h"
#include "policy/plan.h"

struct endpoint;
struct observation;
struct policy_client;
struct policy_request;

/* plan is borrowed until done returns. Never null: when policy cannot be
 * asked it has no hosts and a status that defers (4.4.3). */
typedef void policy_plan_done(void *arg, const struct plan *plan);
/* name is null when there is none (or none that resolves back). */
typedef void policy_reverse_done(void *arg, const char *name);

/* Copied. */
struct policy_question {
	const char			*domain;	/* of the recipients */
	const struct conf_next_hop	*next;
	int64_t				 waited;	/* age of the mail, s */
	enum plan_wish			 wish;
	int				 message_level;	/* enum conf_level; -1 */
};

struct policy_client	*policy_client_new(void);
void	 policy_client_free(struct policy_client *client);
/* A new channel (owns fd); requests on the old one are asked again. */
void	 policy_client_connect(struct policy_client *client, int fd);

struct policy_request	*policy_plan(struct policy_client *client,
			    const struct policy_question *question,
			    policy_plan_done *done, void *arg);
/* The name of the address, confirmed by looking it up again; gives up after
 * milliseconds. */
struct policy_request	*policy_reverse(struct policy_client *client,
			    const struct endpoint *address, int milliseconds,
			    policy_reverse_done *done, void *arg);
/* Policy hears of it and stops looking. */
void	 policy_cancel(struct policy_request *request);

/* Copied; nothing comes back. Dropped while policy is away: what it counts is
 * not worth memory here. */
void	 policy_observe(struct policy_client *client,
	    const struct observation *observation);
/* changed is called when plans for a pattern (domain, ".domain", "": all) may
 * be others from now on: an exception, a pin, memory, a policy, a reload; and
 * with "" when policy was restarted. Plans already held for it should be asked
 * for again before mail is said. */
void	 policy_client_on_change(struct policy_client *client,
	    void (*changed)(void *arg, const char *pattern), void *arg);

#endif
