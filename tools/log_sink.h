/* SPDX-License-Identifier: ISC */
/*
 * Where log records of all processes come out: descriptor 2 of the supervisor.
 * Under systemd's journal they go on with their priority; otherwise each line
 * gets a time stamp. A source is the reading end of one role's pipe; its lines
 * come out a few milliseconds later than they went in.
 */
#ifndef POSTERN_TOOLS_LOG_SINK_H
#define POSTERN_TOOLS_LOG_SINK_H

#include <stddef.h>

struct log_source;

/* Owns fd (non-blocking reading end). Frees itself at the end of the pipe. */
struct log_source	*log_source_new(int fd);
/* Writes out what has come by now: before a line of ours that is to stand
 * behind it. */
void			 log_sink_drain(void);

#endif
