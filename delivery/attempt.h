/* SPDX-License-Identifier: ISC */
/*
 * One job, once: get the plan (plans.h, else policy), go through its hosts and their addresses
 * in order, send over a connection that shows what the plan requires, and
 * report one status per recipient.
 *
 * What it decides, and where:
 *  - a host that does not show the TLS it must is left before MAIL, the next
 *    one is tried, and in the end the mail waits: never a permanent failure,
 *    but for what RFC 8689 says: mail that demands REQUIRETLS is returned when
 *    every host failed for a reason that will not pass by itself, and mail with
 *    TLS-Required: No where every host insists on TLS that it does not have;
 *  - a notification about a REQUIRETLS message looks for a host that takes it
 *    so, and then goes as well as can be (requiretls-bounce = send);
 *  - a host that the plan skips is not connected to, and counts as failed;
 *  - clear instead of TLS at an opportunistic host only as the plan's options
 *    no-starttls and broken-tls say, and after broken TLS only on a fresh
 *    connection to the same address;
 *  - a message a host cannot take (size, 8-bit, UTF-8) goes to the next host,
 *    and fails for good when every host said so;
 *  - when the policy of the domain changes before MAIL, the plan is asked for
 *    again; after MAIL, for what is still open when the transaction is over.
 */
#ifndef POSTERN_DELIVERY_ATTEMPT_H
#define POSTERN_DELIVERY_ATTEMPT_H

#include <stdbool.h>

struct attempt;
struct job;
struct plans;
struct policy_client;
struct pool;
struct profile;

/* What all attempts of the process share; outlives them. */
struct attempt_scene {
	struct profile		*profile;	/* for new attempts */
	struct policy_client	*policy;	/* plans; and it is told */
	struct plans		*plans;		/* at hand; null: none are */
	struct pool		*pool;
	/* Called after each attempt has reported. */
	void			(*over)(void *arg, struct attempt *attempt);
	void			*arg;
};

/* Takes the job; it is finished through worker_finish() in a later turn,
 * except that mail for `discard` is finished at once and gives null. */
struct attempt	*attempt_start(struct attempt_scene *scene, struct job *job);
/* Plans for a pattern ("": all) may be others from now on. The attempt may end
 * in this call: scene->over is called then. */
void		 attempt_replan(struct attempt *attempt, const char *pattern);
/* The role is about to end. True: it has said mail to a host or has results,
 * and will report (soon: it tries no further host). False: nothing happened
 * yet; it is gone, and the job is as if it had never begun. */
bool		 attempt_stop(struct attempt *attempt);

#endif
