/* SPDX-License-Identifier: ISC */
/*
 * policy/client.h without policy: every question for a plan gets the one the
 * test has set, in the next turn.
 */
#ifndef POSTERN_TESTS_FAKE_POLICY_CLIENT_H
#define POSTERN_TESTS_FAKE_POLICY_CLIENT_H

#include "policy/client.h"

/* Borrowed until it is replaced. */
extern const struct plan	*fake_policy_plan;
extern unsigned			 fake_policy_questions;
/* What the last question was about. */
extern char			 fake_policy_domain[256];
extern struct conf_next_hop	 fake_policy_next;
extern int64_t			 fake_policy_waited;

#endif
