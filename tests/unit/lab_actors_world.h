/* SPDX-License-Identifier: ISC */
/*
 * For the tests of the lab's actors: a network of the test's own, the actors
 * of a world in a process, and what they saw. Nothing here judges; it only
 * waits (never longer than PATIENCE_MS) and puts into words.
 */
#ifndef POSTERN_TESTS_UNIT_LAB_ACTORS_WORLD_H
#define POSTERN_TESTS_UNIT_LAB_ACTORS_WORLD_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "tools/lab/certificate.h"
#include "tools/lab/scenario.h"

/* For what must come; and for what must not, or is known to be silent. */
enum { PATIENCE_MS = 20000, SILENCE_MS = 400 };

struct scene {
	pid_t			 server;
	int			 events;	/* our end */
	struct arena		*arena;
	const struct lab_identities *identities;
};

/* A user and network namespace with lo up; false, with the reason printed,
 * where there is none to be had. Once per program. */
bool	 world_enter(void);
/* Ends the test program when it cannot be made. */
void	 scene_start(struct scene *scene, const struct lab_world *world,
	    bool twin);
void	 scene_end(struct scene *scene);
/* The next event of any actor; null when the wait is over. */
json_t	*scene_event(struct scene *scene, int milliseconds);
/*
 * All events of an actor up to its next "end", in words: "connect EHLO
 * starttls tls EHLO+ MAIL+ ... message+(marker) end"; + is under TLS. What it
 * replied is left out.
 */
void	 scene_story(struct scene *scene, const char *actor, char *out,
	    size_t size);

#endif
