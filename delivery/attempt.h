/* SPDX-License-Identifier: ISC */
/*
 * One job, once: ask for the plan, go through its hosts and their addresses
 * in order, send over a connection that shows what the plan requires, and
 * report one status per recipient.
 *
 * What it decides, and where:
 *  - a host that does not show the TLS it must is left before MAIL, the next
 *    one is tried, and in the end the mail waits: never a permanent failure;
 *  - a host that the plan skips is not connected to, and counts as failed;
 *  - clear instead of TLS at an opportunistic host only as the plan's options
 *    no-starttls and broken-tls say, and after broken TLS only on a fresh
 *    connection to the same address;
 *  - a message a host cannot take (size, 8-bit, UTF-8) goes to the next host,
 *    and fails for good when every host said so.
 */
#ifndef POSTERN_DELIVERY_ATTEMPT_H
#define POSTERN_DELIVERY_ATTEMPT_H

#include <stdbool.h>

struct attempt;
struct job;
struct policy_client;
struct pool;
struct profile;

/* What all attempts of the process share; outlives them. */
struct attempt_scene {
	struct profile		*profile;	/* for new attempts */
	struct policy_client	*policy;
	struct pool		*pool;
	/* Called after each attempt has reported. */
	void			(*over)(void *arg, struct attempt *attempt);
	void			*arg;
};

/* Takes the job; it is finished through worker_finish() in a later turn,
 * except that mail for `discard` is finished at once and gives null. */
struct attempt	*attempt_start(struct attempt_scene *scene, struct job *job);
/* The role is about to end. True: it has said mail to a host or has results,
 * and will report (soon: it tries no further host). False: nothing happened
 * yet; it is gone, and the job is as if it had never begun. */
bool		 attempt_stop(struct attempt *attempt);

#endif
