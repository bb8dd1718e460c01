/* SPDX-License-Identifier: ISC */
/*
 * What somebody who enters a world is told: what is in it, and what can be
 * tried there.
 */
#ifndef POSTERN_TOOLS_LAB_RUN_SHELL_TALK_H
#define POSTERN_TOOLS_LAB_RUN_SHELL_TALK_H

#include "tools/lab/run_private.h"

/* On standard output; PATH is as it will be in the shell. */
void	 lab_shell_describe(const struct lab_state *state);

#endif
