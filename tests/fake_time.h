/* SPDX-License-Identifier: ISC */
/*
 * For unit tests of what waits for days: the clocks of base/clock.h and the
 * timers of base/loop.h, which stand still until the test says how much time
 * passes; and the directory of base/process.h, which would bring the true loop
 * with it.
 */
#ifndef POSTERN_TESTS_FAKE_TIME_H
#define POSTERN_TESTS_FAKE_TIME_H

#include <stdint.h>

#define SECONDS(n) ((int64_t)(n) * 1000)
#define MINUTES(n) ((int64_t)(n) * 60 * 1000)
#define HOURS(n) ((int64_t)(n) * 60 * 60 * 1000)
#define DAYS(n) ((int64_t)(n) * 24 * 60 * 60 * 1000)

/* 2026-11-22T12:00:00Z, and an hour since the machine was started. */
void	 fake_time_begin(void);
/* Both clocks go on, and timers that come due are called in order, at most
 * 100,000 of them. */
void	 fake_time_pass(int64_t milliseconds);
/* Somebody sets the wall clock. */
void	 fake_time_set_wall(int64_t milliseconds_more);
/* As over a restart of the machine. */
void	 fake_time_set_monotonic(int64_t milliseconds);
/* Timers that run. */
unsigned	 fake_time_timers(void);

#endif
