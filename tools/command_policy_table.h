/* SPDX-License-Identifier: ISC */
/*
 * What policy remembers, for people: memory, pins, exceptions, greylisting,
 * events and outcomes, made from the JSON that policy/verbs.h describes. Rows of a table
 * that may be long have fixed columns, so that each can be printed when it
 * comes.
 */
#ifndef POSTERN_TOOLS_COMMAND_POLICY_TABLE_H
#define POSTERN_TOOLS_COMMAND_POLICY_TABLE_H

#include <jansson.h>

/* An entry or a pin: a row, below the heading; and all that is known of it. */
void	 policy_table_memory_heading(void);
void	 policy_table_memory(const json_t *object);
void	 policy_print_memory(const json_t *object);

void	 policy_table_exception_heading(void);
void	 policy_table_exception(const json_t *object);
/* One that was just made or revoked, as a sentence that begins with did. */
void	 policy_print_exception(const char *did, const json_t *object);

void	 policy_table_greylist_heading(void);
void	 policy_table_greylist(const json_t *object);

void	 policy_print_event(const json_t *object);
void	 policy_print_outcome(const json_t *object);

#endif
