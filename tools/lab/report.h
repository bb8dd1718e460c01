/* SPDX-License-Identifier: ISC */
/*
 * What came of the trials: a table for people; JSON (an object a line, with
 * all events), TAP or JUnit for machines; and what is kept. The first MTA is
 * the one judged; the others are shown beside it. A row is one scenario in one
 * profile and round, with all MTAs.
 */
#ifndef POSTERN_TOOLS_LAB_REPORT_H
#define POSTERN_TOOLS_LAB_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "tools/lab/keep.h"
#include "tools/lab/scenario.h"
#include "tools/lab/trial.h"

enum lab_format { LAB_TABLE, LAB_JSON, LAB_TAP, LAB_JUNIT };

struct lab_report {
	enum lab_format		 format;
	FILE			*out;
	const struct lab_driver	*drivers;
	size_t			 driver_count;
	bool			 profiles;	/* both of them */
	unsigned		 rounds;
	struct lab_keep		*keep;		/* borrowed, or null */

	/* its own */
	size_t			 number;
	int			 name_width, expected_width, cell_width;
};

/* All trials that are planned, row by row; in each one MTA after the other. */
void	 lab_report_begin(struct lab_report *report,
	    const struct lab_trial *trials, size_t count);
/* A row that is done. */
void	 lab_report_row(struct lab_report *report,
	    const struct lab_trial *trials);
/* All of them are done. The exit status: 0, 1 or LAB_UNAVAILABLE. */
int	 lab_report_end(struct lab_report *report,
	    const struct lab_trial *trials, size_t count);

/* "NAME.MTA.strict.2": how the files of a trial begin; owned. */
char	*lab_report_stem(const struct lab_report *report,
	    const struct lab_trial *trial);
/* "rfc", "strict" */
const char	*lab_profile_name(enum lab_profile profile);

void	 lab_report_list(struct lab_scenario *const *scenarios, size_t count,
	    enum lab_format format, bool details);

#endif
