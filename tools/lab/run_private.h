/* SPDX-License-Identifier: ISC */
/*
 * The first process of a namespace, for run.c (steps) and run_shell.c: the
 * world as it stands, and the moves that both make.
 */
#ifndef POSTERN_TOOLS_LAB_RUN_PRIVATE_H
#define POSTERN_TOOLS_LAB_RUN_PRIVATE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tools/lab/run.h"
#include "tools/lab/run_servers.h"

/* Where the files of a run are, in the namespace. */
#define PLACE "/run/lab"

struct lab_state {
	const struct lab_run	*run;
	struct lab_servers	*servers;	/* owned */
	const struct lab_texts	*faults;	/* in force; null: no world */
	bool			 started;	/* the MTA */
	int			 events;	/* where they are read */
	json_t			*seen;		/* array being filled */
	int64_t			 last_event;	/* monotonic, ms */
	int			 marker;	/* of the message on its way */
	char			 error[600];	/* "": all is well */
	bool			 unavailable;
};

/* Servers to be started, files and environment; -1 with state->error. */
int	 lab_state_begin(struct lab_state *state, const struct lab_run *run);
/* These faults and no others; an MTA that runs forgets what it knew. -1 with
 * state->error. */
int	 lab_state_enter(struct lab_state *state,
	    const struct lab_texts *faults);
/* Moves what has come to state->seen. */
void	 lab_state_read_events(struct lab_state *state);
/* Writes a file; -1 with a sentence. */
int	 lab_put_text(const char *path, const char *text, char *error,
	    size_t size);

#endif
