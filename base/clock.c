/* SPDX-License-Identifier: ISC */
/*
 * The system's clocks, and dates in the two forms we write. The names of days
 * and months are English whatever the locale: RFC 5322 knows no other.
 */
#include "base/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static int64_t read_micro(clockid_t which)
{
	struct timespec now;

	/* Both clocks always exist on Linux; failing is not possible. */
	clock_gettime(which, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* Whole seconds, rounded down also before 1970. */
static time_t seconds(int64_t wall)
{
	return (time_t)(wall / 1000 - (wall % 1000 < 0));
}

int64_t clock_wall(void)
{
	return read_micro(CLOCK_REALTIME) / 1000;
}

int64_t clock_wall_micro(void)
{
	return read_micro(CLOCK_REALTIME);
}

int64_t clock_monotonic(void)
{
	return read_micro(CLOCK_MONOTONIC) / 1000;
}

void clock_format_mail(int64_t wall, char *out, size_t size)
{
	static const char days[][4] = { "Sun", "Mon", "Tue", "Wed", "Thu",
	    "Fri", "Sat" };
	static const char months[][4] = { "Jan", "Feb", "Mar", "Apr", "May",
	    "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };
	time_t moment = seconds(wall);
	struct tm local;
	int minutes;

	localtime_r(&moment, &local);
	minutes = abs((int)(local.tm_gmtoff / 60));
	snprintf(out, size, "%s, %d %s %d %02d:%02d:%02d %c%02d%02d",
	    days[local.tm_wday], local.tm_mday, months[local.tm_mon],
	    local.tm_year + 1900, local.tm_hour, local.tm_min, local.tm_sec,
	    local.tm_gmtoff < 0 ? '-' : '+', minutes / 60, minutes % 60);
}

void clock_format_iso(int64_t wall, char *out, size_t size)
{
	time_t moment = seconds(wall);
	struct tm utc;

	gmtime_r(&moment, &utc);
	snprintf(out, size, "%04d-%02d-%02dT%02d:%02d:%02dZ",
	    utc.tm_year + 1900, utc.tm_mon + 1, utc.tm_mday, utc.tm_hour,
	    utc.tm_min, utc.tm_sec);
}
