/* SPDX-License-Identifier: ISC */
/*
 * The evidence of a run, as files in one directory:
 *
 *	results		a JSON object a line: first what was asked for, then
 *			one for each trial (with the name of its file), at the
 *			end how it ended
 *	NAME.MTA[.strict][.ROUND].json	all that was seen of a trial
 *	NAME....log, NAME....twin.log	what the MTA and our servers wrote
 *	NAME.MTA[.strict][.twin].pcap, .keys	packets and TLS secrets, if
 *			asked for; below round-N/ when there are rounds
 *
 * Runs without a place of their own have numbers below the user's state
 * directory, and the newest LAB_RUNS_KEPT stay.
 */
#ifndef POSTERN_TOOLS_LAB_KEEP_H
#define POSTERN_TOOLS_LAB_KEEP_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

enum { LAB_RUNS_KEPT = 20 };

struct lab_keep;

/* directory null: a new number. Null with a sentence. */
struct lab_keep	*lab_keep_new(const char *directory, char *error,
		    size_t size);
/* Null is allowed. */
void		 lab_keep_free(struct lab_keep *keep);
const char	*lab_keep_directory(const struct lab_keep *keep);
/* A line of `results`; takes the reference. What cannot be written is said
 * once, on descriptor 2, and remembered. */
void		 lab_keep_line(struct lab_keep *keep, json_t *object);
/* A file; text null: none. */
void		 lab_keep_text(struct lab_keep *keep, const char *name,
		    const char *text);
bool		 lab_keep_failed(const struct lab_keep *keep);

/* By a number, "last", or a directory; owned. Null with a sentence. */
char		*lab_keep_find(const char *word, char *error, size_t size);
/* The numbers there are, ascending; owned. */
unsigned	*lab_keep_numbers(size_t *count);
/* The lines of `results` as an array; owned. Null with a sentence. */
json_t		*lab_keep_results(const char *directory, char *error,
		    size_t size);

#endif
