/* SPDX-License-Identifier: ISC */
/*
 * One scenario, one MTA, one world (the true one or its twin), from birth to
 * end, in a namespace of its own. What was seen comes back as one JSON object:
 *
 *	problem		what went wrong with the run itself; else null
 *	unavailable	why this MTA cannot be judged here; else null
 *	seconds		how long it took
 *	steps		an object each: name, marker, reply (to the message),
 *			events; settled (whether the driver said so); healed
 *			(events after the faults were lifted); dialogue (what
 *			dialogue.h says of it); crashed, hung (sentences; else
 *			not there)
 *	log		what the MTA wrote, when that was asked for
 */
#ifndef POSTERN_TOOLS_LAB_RUN_H
#define POSTERN_TOOLS_LAB_RUN_H

#include <stdbool.h>
#include <sys/types.h>

#include "tools/lab/driver.h"
#include "tools/lab/scenario.h"

struct lab_run {
	const struct lab_scenario	*scenario;
	const struct lab_driver		*driver;	/* null: no MTA, for
							 * a shell only */
	const struct lab_places		*places;
	bool				 twin;
	enum lab_profile		 profile;
	/* a directory inside our own file system for a capture of packets
	 * and the TLS keys; null none */
	const char			*record;
	bool				 want_log;
	/* lab_run_shell(): the faults in force from the start, and what runs
	 * in place of a shell (null: one on this terminal) */
	struct lab_texts		 faults;
	char *const			*command;
};

/* Starts it; its result is written to fd. The pid of the process to wait for
 * (SIGTERM ends everything), or -1 with a sentence. */
pid_t	 lab_run_start(struct lab_run *run, int fd, char *error, size_t size);
/* A world with the MTA running in it, and a shell or a command there. */
pid_t	 lab_run_shell(struct lab_run *run, char *error, size_t size);
/* Inside of such a world: these faults from now on, and no others. -1 with a
 * sentence. */
int	 lab_run_faults(char *const *faults, size_t count, char *error,
	    size_t size);

#endif
