/* SPDX-License-Identifier: ISC */
/*
 * The servers of a world: SMTP hosts with what sits in the path to them, and
 * the HTTPS hosts of MTA-STS. Each listener is bound by the caller's process,
 * then served by processes of their own; what they see goes to lab_event().
 */
#ifndef POSTERN_TOOLS_LAB_ACTORS_H
#define POSTERN_TOOLS_LAB_ACTORS_H

#include <stdbool.h>
#include <stddef.h>

#include "tools/lab/certificate.h"
#include "tools/lab/scenario.h"

struct lab_actors;

/* twin: every mail host shows its impostor certificate (the twin world of
 * LAB_AUTHENTICATED). Binds every address; null with a sentence in error. */
struct lab_actors	*lab_actors_new(const struct lab_world *world,
			    const struct lab_identities *identities,
			    bool twin, char *error, size_t size);
/* For who reads a scenario: is it a path of path.h, and can its visits be told
 * apart? What is blocked or refused is not seen and so not counted: "block#N-"
 * and "refuse#N-" have no end, and there is no "block#N". */
bool			 lab_actors_path_fits(const char *path);
/* Serves until the process is ended; forks one process a connection, at most
 * 64 at a time. */
void			 lab_actors_serve(struct lab_actors *actors);
/* Closes the listeners: where another process serves them. */
void			 lab_actors_free(struct lab_actors *actors);

#endif
