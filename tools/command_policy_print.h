/* SPDX-License-Identifier: ISC */
/*
 * Explanations and probes for people: made from the JSON that policy/explain.h
 * and delivery/probe.h describe, wherever it came from. Nothing is decided
 * here. Whatever came from outside is escaped before a terminal sees it.
 */
#ifndef POSTERN_TOOLS_COMMAND_POLICY_PRINT_H
#define POSTERN_TOOLS_COMMAND_POLICY_PRINT_H

#include <jansson.h>

/* The facts, what follows from them, and the plan. */
void	 policy_print_explanation(const json_t *object);
/* Only the plan in short, as the head of a probe. */
void	 policy_print_summary(const json_t *object);
/* What the next attempt of a message will do, indented below it. */
void	 policy_print_next(const json_t *object);
/* One connection of a probe. */
void	 policy_print_probe(const json_t *object);
/* One remembered MTA-STS policy. */
void	 policy_print_remembered(const json_t *object);

#endif
