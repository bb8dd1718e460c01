/* SPDX-License-Identifier: ISC */
/*
 * A trial as it was kept, for people: what was expected and came of each step,
 * and what the servers saw as a timeline. Everything goes through text.h.
 */
#ifndef POSTERN_TOOLS_LAB_SHOW_H
#define POSTERN_TOOLS_LAB_SHOW_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

/* step null: all of them. */
void	 lab_show_trial(FILE *out, const json_t *trial, const char *step);
bool	 lab_show_has_step(const json_t *trial, const char *step);

#endif
