/* SPDX-License-Identifier: ISC */
/*
 * What came of the trials: a table for people, JSON (an object a line, with
 * all events) or TAP for machines. The first MTA is the one judged; the others
 * are shown beside it.
 */
#ifndef POSTERN_TOOLS_LAB_REPORT_H
#define POSTERN_TOOLS_LAB_REPORT_H

#include <stdbool.h>
#include <stddef.h>

#include "tools/lab/scenario.h"
#include "tools/lab/trial.h"

enum lab_format { LAB_TABLE, LAB_JSON, LAB_TAP };

struct lab_report {
	enum lab_format		 format;
	const struct lab_driver	*drivers;
	size_t			 driver_count;
	const char		*keep;		/* a directory, or null */

	/* its own */
	size_t			 planned, number, next_driver;
	size_t			 correct, wrong, skipped;
	int			 name_width, expected_width, cell_width;
	bool			 keep_failed;
};

void	 lab_report_begin(struct lab_report *report,
	    struct lab_scenario *const *scenarios, size_t count);
/* Trials come scenario by scenario, in each one MTA after the other. */
void	 lab_report_scenario(struct lab_report *report,
	    const struct lab_trial *trials);
/* The exit status: 0, 1 or LAB_UNAVAILABLE. */
int	 lab_report_end(struct lab_report *report);

void	 lab_report_list(struct lab_scenario *const *scenarios, size_t count,
	    enum lab_format format, bool details);

#endif
