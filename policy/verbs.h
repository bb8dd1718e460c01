/* SPDX-License-Identifier: ISC */
/*
 * What an operator may ask the policy role (postern-policy(8)):
 *
 *	explain {domain, waited}	a plan with all that led to it
 *	sts-list			the MTA-STS policies that are remembered
 *	sts-forget {domain}		forget one; privileged
 *
 * What is made here is not sent to delivery, but by the same functions.
 */
#ifndef POSTERN_POLICY_VERBS_H
#define POSTERN_POLICY_VERBS_H

struct process_caller;

/* Owns fd. */
void	 verbs_accept(int fd, const struct process_caller *caller);
/* A reload: explanations under way begin again under the new configuration. */
void	 verbs_restart(void);
/* Ends all of them. */
void	 verbs_stop(void);

#endif
