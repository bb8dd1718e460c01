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

enum lab_mark {
	LAB_CORRECT,
	LAB_TOO_LAX,		/* it let happen what may not happen */
	LAB_TOO_STRICT,		/* it did not do what it should */
	LAB_CRASHED,		/* the driver's verb `health` says so */
	LAB_HUNG,		/* it took no mail, answered nothing, or did
				 * neither deliver, return nor put off a
				 * message within the time */
	LAB_NOT_APPLICABLE,	/* the driver says that it cannot: 77 */
	LAB_FAILED,		/* the run itself: nothing is said of the MTA */
	LAB_MARKS
};

struct lab_verdict {
	enum lab_outcome	 outcome;
	enum lab_mark		 mark;
	char			 said[400];	/* what was seen; a sentence in
						 * UTF-8 */
};

/* "too lax" */
const char	*lab_mark_name(enum lab_mark mark);
/* By its name; LAB_MARKS when there is none such. */
enum lab_mark	 lab_mark_find(const char *name);
/* The worst of the steps' marks is the scenario's: failed, crashed, too lax,
 * hung, too strict, not applicable, correct. */
enum lab_mark	 lab_mark_worse(enum lab_mark one, enum lab_mark other);

/* The outcome that is the correct one in this profile. */
enum lab_outcome	 lab_expected(const struct lab_step *step,
			    enum lab_profile profile);
/* The mark of an outcome, where that one is expected: the table of verdict.c.
 * LAB_FAILED when the two are not of one kind (mail, dialogue). */
enum lab_mark		 lab_mark_of(enum lab_outcome expected,
			    enum lab_outcome outcome);
/*
 * One step as it was run: a member of "steps" in run.h. twin is the same step
 * of the twin world, or null when that was not run.
 */
void	 lab_judge(const struct lab_step *step, enum lab_profile profile,
	    const json_t *seen, const json_t *twin,
	    struct lab_verdict *verdict);
/* Does the judgement of this step need the twin world? */
bool	 lab_needs_twin(const json_t *seen);

#endif
