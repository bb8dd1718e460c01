/* SPDX-License-Identifier: ISC */
/*
 * policy/client.h without policy: every question for a plan gets the one the
 * test has set, in the next turn; observations are kept; and policy changes when
 * the test says so.
 */
#ifndef POSTERN_TESTS_FAKE_POLICY_CLIENT_H
#define POSTERN_TESTS_FAKE_POLICY_CLIENT_H

#include "policy/client.h"
#include "policy/observation.h"

/* Borrowed until it is replaced. */
extern const struct plan	*fake_policy_plan;
extern unsigned			 fake_policy_questions;
/* What the last question was about. */
extern char			 fake_policy_domain[256];
extern struct conf_next_hop	 fake_policy_next;
extern int64_t			 fake_policy_waited;
extern enum plan_wish		 fake_policy_wish;
extern int			 fake_policy_level;
/* Called for each question before it is answered; may set the plan. */
extern void			(*fake_policy_asked)(void);
/* The observations, oldest first; the test sets the count back. */
enum { FAKE_POLICY_SEEN_MAX = 64 };
extern struct observation	 fake_policy_seen[FAKE_POLICY_SEEN_MAX];
extern size_t			 fake_policy_seen_count;

/* Calls whoever asked for changes. */
void	 fake_policy_change(const char *pattern);

#endif
