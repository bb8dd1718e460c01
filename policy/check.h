/* SPDX-License-Identifier: ISC */
/*
 * What smtpd asks the DNS about a client or a message (policy/client.h), under
 * way here: SPF, a TXT record, DMARC, a list. Whoever started a check hears of
 * its end once, never within the call, and it is gone then; or he cancels it.
 * The resolver outlives it; questions are copied; answers are borrowed until
 * done returns. Each ends within LOOKUP_RUN_MILLISECONDS (SPF: twice that).
 */
#ifndef POSTERN_POLICY_CHECK_H
#define POSTERN_POLICY_CHECK_H

#include "policy/client.h"

struct resolver;

/* The first member of each kind. */
struct check {
	void	(*cancel)(struct check *check);
};

struct check	*check_spf_start(struct resolver *resolver,
		    const struct policy_spf_question *question,
		    policy_spf_done *done, void *arg);
struct check	*check_text_start(struct resolver *resolver, const char *name,
		    policy_text_done *done, void *arg);
struct check	*check_dmarc_start(struct resolver *resolver,
		    const struct dmarc_question *question,
		    policy_dmarc_done *done, void *arg);
struct check	*check_listed_start(struct resolver *resolver,
		    const struct endpoint *address, const char *zone,
		    policy_listed_done *done, void *arg);

#endif
