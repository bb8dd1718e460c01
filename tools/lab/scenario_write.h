/* SPDX-License-Identifier: ISC */
/*
 * A scenario as a file that lab_scenario_read() reads as the same one. What
 * has its default is left out.
 */
#ifndef POSTERN_TOOLS_LAB_SCENARIO_WRITE_H
#define POSTERN_TOOLS_LAB_SCENARIO_WRITE_H

#include <stdio.h>

#include "tools/lab/scenario.h"

/* -1 when out cannot be written to. */
int	 lab_scenario_write(const struct lab_scenario *scenario, FILE *out);

#endif
