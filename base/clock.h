/* SPDX-License-Identifier: ISC */
/*
 * Time, replaceable at link time (tests/fake_clock.c). Wall time is for what
 * is written down (schedule, dates); monotonic time is for waiting.
 */
#ifndef POSTERN_BASE_CLOCK_H
#define POSTERN_BASE_CLOCK_H

#include <stddef.h>
#include <stdint.h>

/* Milliseconds since 1970, UTC. */
int64_t	 clock_wall(void);
/* Microseconds since 1970, UTC: where identifiers come from. */
int64_t	 clock_wall_micro(void);
/* Milliseconds since some fixed moment; never goes back. */
int64_t	 clock_monotonic(void);
/* RFC 5322 3.3 date-time in local time: "Sun, 22 Nov 2026 12:42:06 +0000". */
void	 clock_format_mail(int64_t wall, char *out, size_t size);
/* RFC 3339 in UTC with seconds: "2026-11-22T12:42:06Z". */
void	 clock_format_iso(int64_t wall, char *out, size_t size);

#endif
