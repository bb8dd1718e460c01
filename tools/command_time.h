/* SPDX-License-Identifier: ISC */
/*
 * Times as operators type them: ages ("90", "30m", "72h", "3d") and moments
 * ("2026-12-24", "2026-12-24T12:00Z"). A moment says its zone, because the one
 * who types may sit in another than the server; a date alone is the beginning
 * of that day in UTC, as days are counted in reports.
 */
#ifndef POSTERN_TOOLS_COMMAND_TIME_H
#define POSTERN_TOOLS_COMMAND_TIME_H

#include <stddef.h>
#include <stdint.h>

/* Seconds; -1 if it is no age. */
int64_t	 command_read_age(const char *text);
/* Seconds since 1970; -1 if it is no moment. */
int64_t	 command_read_moment(const char *text);
/* "2026-11-22", or "today" and "yesterday" as of now (seconds since 1970). -1
 * if it is no day. out: 11 bytes. */
int	 command_read_day(const char *text, int64_t now, char *out,
	    size_t size);

#endif
