/* SPDX-License-Identifier: ISC */
/*
 * The first process of a namespace, for run.c (its birth and end), run_steps.c
 * and run_shell.c (what goes on in it), run_driver.c (the MTA's verbs),
 * run_dialogue.c and run_record.c: the world as it stands, and the moves that
 * several of them make.
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

enum { LAB_PATIENCE_MS = 20000 };	/* for an outcome, and for a driver */

struct lab_record;

struct lab_state {
	const struct lab_run	*run;
	struct lab_servers	*servers;	/* owned */
	const struct lab_texts	*faults;	/* in force; null: no world */
	bool			 started;	/* the MTA */
	int			 events;	/* where they are read */
	int			 events_out;	/* where actors write them */
	int			 log;		/* what our own servers print */
	json_t			*seen;		/* array being filled */
	int64_t			 last_event;	/* monotonic, ms */
	int			 marker;	/* of the message on its way */
	bool			 is_gone;	/* that message: delivered or
						 * returned by now */
	bool			 requiretls;	/* it asks for that */
	int64_t			 clock;		/* seconds the MTA's is off */
	char			 error[600];	/* "": all is well */
	bool			 unavailable;	/* and that is the MTA's say */
	bool			 is_hung;	/* and it is the MTA's fault */
};

/* --- run.c --- */

/* Servers to be started, files and environment; -1 with state->error. */
int	 lab_state_begin(struct lab_state *state, const struct lab_run *run);
/* Writes a file; -1 with a sentence. */
int	 lab_put_text(const char *path, const char *text, char *error,
	    size_t size);

/* --- run_steps.c --- */

/* These faults and no others; an MTA that runs forgets what it knew. -1 with
 * state->error. */
int	 lab_state_enter(struct lab_state *state,
	    const struct lab_texts *faults);
/* Moves what has come to state->seen. */
void	 lab_state_read_events(struct lab_state *state);
/* The same for some time; -1 when a server of ours is gone. */
int	 lab_state_attend(struct lab_state *state, int64_t ms);
/* All of the scenario's steps, as far as they go: one object each. */
void	 lab_state_walk(struct lab_state *state, json_t *steps);

/* --- run_driver.c --- */

/* A verb that must succeed; -1 with state->error. */
int	 lab_state_command(struct lab_state *state, const char *verb);
/* A verb whose output goes to log, whatever comes of it. */
void	 lab_state_output(struct lab_state *state, const char *verb, int log);
enum lab_settled { LAB_SETTLED_NO, LAB_SETTLED_YES, LAB_SETTLED_UNKNOWN };
/* Was the last message tried, and put off? */
enum lab_settled	 lab_state_settled(struct lab_state *state);
/* Did a process of the MTA crash? Then a sentence of the driver's. */
bool	 lab_state_crashed(struct lab_state *state, char *said, size_t size);
/* "+8d" from now on; -1 with state->error. */
int	 lab_state_clock(struct lab_state *state, const char *clock);

/* --- run_dialogue.c --- */

/* The step's dialogue and the mail that comes of it; into seen "dialogue". -1
 * with state->error. */
int	 lab_state_dialogue(struct lab_state *state,
	    const struct lab_step *step, json_t *seen);

/* --- run_record.c --- */

/* Outside, before the namespace: opens the files of run->record, which may be
 * null. -1 with a sentence. */
int	 lab_record_open(struct lab_record **record, const struct lab_run *run,
	    char *error, size_t size);
/* Inside: packets and keys are written from now on. -1 with a sentence. */
int	 lab_record_begin(struct lab_record *record, char *error, size_t size);
/* Inside: the last packets are on disk when it returns. */
void	 lab_record_end(struct lab_record *record);
void	 lab_record_free(struct lab_record *record);

#endif
