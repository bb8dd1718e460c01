/* SPDX-License-Identifier: ISC */
/*
 * What the grammar cannot say: words inside of texts, and that what is named
 * exists, in the world itself and under each fault. The reader calls it.
 */
#ifndef POSTERN_TOOLS_LAB_SCENARIO_CHECK_H
#define POSTERN_TOOLS_LAB_SCENARIO_CHECK_H

#include "tools/lab/scenario.h"

struct problems;

/* The line that a text of the scenario was read from (the pointer names it);
 * 0 when it was not. */
typedef int	 lab_line_of(const void *arg, const char *text);

struct lab_checker {
	const struct lab_scenario	*scenario;
	struct problems			*problems;
	lab_line_of			*line_of;
	const void			*arg;
};

void	 lab_scenario_check(const struct lab_checker *checker);

#endif
