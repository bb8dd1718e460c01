/* SPDX-License-Identifier: ISC */
/*
 * Does anything validate? Asks for the keys of the root and says in the log,
 * loudly and again while it lasts, when no signature can be checked: then
 * every lookup is an error, and all mail waits for a clock, an anchor or a
 * resolver to be put right. No network at all is told apart.
 */
#ifndef POSTERN_POLICY_VALIDATION_H
#define POSTERN_POLICY_VALIDATION_H

struct resolver;
struct validation;

/* The first question is asked at once. plain does not validate
 * (resolver_new_plain()). Both outlive us. */
struct validation	*validation_start(struct resolver *resolver,
			    struct resolver *plain);
/* Null is allowed. */
void			 validation_stop(struct validation *validation);

#endif
