/* SPDX-License-Identifier: ISC */
/*
 * What `postern queue` says about itself, all of it made from the rows.
 */
#ifndef POSTERN_TOOLS_QUEUE_HELP_H
#define POSTERN_TOOLS_QUEUE_HELP_H

struct queue_command;

/* --help of one command, on standard output. */
void	 queue_help_print(const char *prefix,
	    const struct queue_command *command);
/* For a line that names no command of the table: what there is, as
 * command_dispatch() says it. Returns the exit status. */
int	 queue_help_list(const char *prefix,
	    const struct queue_command *const *table, int argc, char **argv);

#endif
