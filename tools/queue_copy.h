/* SPDX-License-Identifier: ISC */
/*
 * Copies of the whole queue, for `postern queue backup` and `verify`: asking
 * the role for one (queue/verb_backup.c), and looking at one that no process
 * has open.
 */
#ifndef POSTERN_TOOLS_QUEUE_COPY_H
#define POSTERN_TOOLS_QUEUE_COPY_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct queue_request;

struct queue_copy {
	FILE		*answer;	/* owned; its end takes the copy along */
	char		*path;		/* owned; below the queue's directory */
	int		 directory;	/* owned; what is there, held fast */
	uint64_t	 bytes;
};

/* CONTROL_OK, or the exit status after a sentence on stderr. */
int	 queue_copy_begin(struct queue_request *request,
	    struct queue_copy *copy);
/* The role removes what is left of it. */
void	 queue_copy_end(struct queue_copy *copy);

/*
 * Every page, then every row and body of a queue in that directory, which is
 * opened as a start would open it (so that files in it change); in a process
 * of its own, as the owner of the directory and confined to it when we are
 * root. Findings and the summary are printed, one line each, JSON or not. Code:
 * OK, DATA when something is damaged, else why it could not be looked at.
 */
int	 queue_copy_check(const char *path, bool json);
/* The same for a directory that is open, whatever has its path by now. */
int	 queue_copy_check_open(int directory, const char *path, bool json);

/* What verify says, zeroed before the first object but for json; for answers of
 * the role, too. People get some findings and how many more there are, JSON has
 * each. */
enum { QUEUE_COPY_FINDINGS = 1000 };
struct queue_copy_report {
	bool		 json;
	uint64_t	 findings, salvaged;
};
void	 queue_copy_print(struct queue_copy_report *report,
	    const json_t *object);

#endif
