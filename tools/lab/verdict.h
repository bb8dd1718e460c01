/* SPDX-License-Identifier: ISC */
/*
 * From events to outcomes; no process, no clock. What the MTA under test says
 * of itself is never asked.
 */
#ifndef POSTERN_TOOLS_LAB_VERDICT_H
#define POSTERN_TOOLS_LAB_VERDICT_H

#include <jansson.h>
#include <stdbool.h>

#include "tools/lab/scenario.h"

#define LAB_ORIGIN_HOST "mx.origin.example"

/* What the events say of one message; texts are borrowed from them. */
struct lab_sight {
	const char	*host;		/* that took it first; null: nobody */
	bool		 tls;		/* whether under TLS, there */
	const char	*impostor;	/* that took it; null: none */
	bool		 bounced;	/* a DSN came */
};

struct lab_sight	 lab_sight_of(const json_t *events, int marker);

/*
 * One step as it was run: an object with "marker"; "events" while it lasted;
 * "healed", those after the faults were lifted, if they were. twin is the
 * same step of the twin world, or null when that was not run.
 */
struct lab_verdict {
	enum lab_outcome	 outcome;
	bool			 correct;
	char			 said[400];	/* what was seen; a sentence */
};

void	 lab_judge(const struct lab_step *step, const json_t *seen,
	    const json_t *twin, struct lab_verdict *verdict);
/* Does the judgement of this step need the twin world? */
bool	 lab_needs_twin(const json_t *seen);

#endif
