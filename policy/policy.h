/* SPDX-License-Identifier: ISC */
/*
 * The policy role: the only process that asks the DNS. It answers delivery
 * with plans and smtpd with confirmed names, learns from what delivery saw, and
 * tells delivery when plans may be others.
 */
#ifndef POSTERN_POLICY_POLICY_H
#define POSTERN_POLICY_POLICY_H

#include <stdbool.h>

#include "base/process.h"

struct conf_next_hop;
struct plan_context;
struct records;

extern const struct role_entry policy_entry;

/* For policy/verb*.c: what plans are made from now, until the next reload; and
 * what is remembered. */
void	 policy_context(struct plan_context *context);
struct records	*policy_records(void);
/* Is a question for this domain one that the change is about? */
bool	 policy_is_about(const char *pattern, const char *domain,
	    const struct conf_next_hop *next);

#endif
