/* SPDX-License-Identifier: ISC */
/*
 * Trials: each scenario with each MTA, in each profile and round, in the true
 * world and, where that can change the judgement, in its twin; several at a
 * time. All that a trial starts ends with it, also when we are told to stop.
 */
#ifndef POSTERN_TOOLS_LAB_TRIAL_H
#define POSTERN_TOOLS_LAB_TRIAL_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "tools/lab/run.h"
#include "tools/lab/verdict.h"

enum lab_trial_state { LAB_TRIAL_WAITING, LAB_TRIAL_RUNNING, LAB_TRIAL_DONE };

struct lab_trial {
	struct lab_run		 run;
	unsigned		 round;		/* from 1 */
	char			*record;	/* owned; for run.record */
	enum lab_trial_state	 state;
	json_t			*seen, *twin;	/* owned; see run.h; null until
						 * done, and once forgotten */
	/* when done */
	struct lab_verdict	*verdicts;	/* owned; one a step */
	enum lab_mark		 mark;		/* the worst of them */
	char			*unavailable;	/* owned; null: it was judged */
	char			*problem;	/* owned; null: none */
	double			 seconds;
};

/* Runs them all, at most jobs at a time; done is called for each in the order
 * of the array. 0, or the number of the signal that ended it. */
int	 lab_trials_run(struct lab_trial *trials, size_t count, unsigned jobs,
	    void (*done)(void *arg, const struct lab_trial *trial),
	    void *arg);
/* Makes verdicts and mark of what was seen; lab_trials_run() does it. */
void	 lab_trial_judge(struct lab_trial *trial);
/* Drops what was seen, which is large; verdicts and mark stay. */
void	 lab_trial_forget(struct lab_trial *trial);
void	 lab_trial_release(struct lab_trial *trial);

#endif
