/* SPDX-License-Identifier: ISC */
/*
 * What may come next on a command line of `postern queue`, for the shell:
 * packaging/completion/postern asks `postern queue --complete WORD...`, the
 * words as they stand behind "queue", the unfinished one last. It comes from
 * the rows that read the line, so it is true. Where files are wanted, the one
 * line ":files" says so.
 */
#ifndef POSTERN_TOOLS_QUEUE_COMPLETE_H
#define POSTERN_TOOLS_QUEUE_COMPLETE_H

struct queue_command;

/* Prints candidates, one a line; returns the exit status. */
int	 queue_complete(const struct queue_command *const *table, int count,
	    char **words);

#endif
