/* SPDX-License-Identifier: ISC */
/*
 * The forms of a report, for report.c; and what they have in common.
 */
#ifndef POSTERN_TOOLS_LAB_REPORT_PRIVATE_H
#define POSTERN_TOOLS_LAB_REPORT_PRIVATE_H

#include <jansson.h>

#include "tools/lab/report.h"

enum { LAB_OUTCOMES_TEXT = 400, LAB_ROW_TEXT = 300 };

/* "deferred, authenticated", "safe x 9": what is expected in this profile; or,
 * with a trial, what came of it. */
void	 lab_report_outcomes(char *out, size_t size,
	    const struct lab_scenario *scenario, enum lab_profile profile,
	    const struct lab_trial *trial);
/* "NAME", "NAME [strict]", "NAME [strict, round 2]". */
void	 lab_report_name(char *out, size_t size,
	    const struct lab_report *report, const struct lab_trial *trial);
/* Is this step why the scenario is not correct? */
bool	 lab_report_is_wrong(const struct lab_trial *trial, size_t step);
/* The sentence of such a step, or of the trial's problem: "step send: too lax:
 * expected deferred; it was ..."; owned. Null when there is none for it. */
char	*lab_report_reason(const struct lab_trial *trial, size_t step);

/* What went wrong with the run, unless one of the reasons says it; or null. */
const char	*lab_report_problem(const struct lab_trial *trial);

/* Everything that is known of a trial, for readers of JSON and for the files
 * that are kept; a new reference. */
json_t	*lab_report_trial_object(const struct lab_trial *trial);
json_t	*lab_report_texts(const struct lab_texts *texts);

void	 lab_table_begin(struct lab_report *report,
	    const struct lab_trial *trials, size_t count);
void	 lab_table_row(struct lab_report *report,
	    const struct lab_trial *trials);
void	 lab_table_end(struct lab_report *report,
	    const struct lab_trial *trials, size_t count);
void	 lab_json_row(struct lab_report *report,
	    const struct lab_trial *trials);
void	 lab_tap_row(struct lab_report *report,
	    const struct lab_trial *trials);
void	 lab_junit_end(struct lab_report *report,
	    const struct lab_trial *trials, size_t count);

#endif
