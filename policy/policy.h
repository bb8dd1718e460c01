/* SPDX-License-Identifier: ISC */
/*
 * The policy role: the only process that asks the DNS. It answers delivery
 * with plans and smtpd with confirmed names.
 */
#ifndef POSTERN_POLICY_POLICY_H
#define POSTERN_POLICY_POLICY_H

#include "base/process.h"

struct plan_context;

extern const struct role_entry policy_entry;

/* What plans are made from now, until the next reload; for policy/verbs.c. */
void	 policy_context(struct plan_context *context);

#endif
