/* SPDX-License-Identifier: ISC */
/*
 * The same questions answered in the command's own process, when no server
 * runs: the resolver, MTA-STS (with nothing remembered), the plan machine and
 * delivery's client, as the roles use them. Each takes over the process (event
 * loop, log) until it returns the exit status.
 */
#ifndef POSTERN_TOOLS_COMMAND_POLICY_ALONE_H
#define POSTERN_TOOLS_COMMAND_POLICY_ALONE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "policy/plan.h"

struct policy_alone {
	const char	*configuration;		/* path of the file */
	const char	*domain;		/* as the roles write it */
	int64_t		 waited;		/* seconds */
	enum plan_wish	 wish;
	int		 message_level;		/* enum conf_level; -1 */
	/* objects of the shapes that the servers' verbs send; borrowed */
	void		(*explained)(void *arg, const json_t *object);
	/* null: explain only */
	void		(*probed)(void *arg, const json_t *object);
	void		*arg;
};

int	 policy_alone_run(const struct policy_alone *question);

#endif
