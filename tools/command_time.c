/* SPDX-License-Identifier: ISC */
/*
 * Strict readers: a date that is not in the calendar is none, and nothing may
 * stand behind what was read.
 */
#include "tools/command_time.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MINUTE = 60, HOUR = 60 * MINUTE, DAY = 24 * HOUR };

int64_t command_read_age(const char *text)
{
	static const char units[] = "smhd";
	static const int64_t factors[] = { 1, MINUTE, HOUR, DAY };
	const char *unit;
	long long number;
	char *end;

	if (!isdigit((unsigned char)text[0]))
		return -1;
	errno = 0;
	number = strtoll(text, &end, 10);
	if (errno != 0 || number > INT64_MAX / DAY / 1000)
		return -1;
	if (*end == '\0')
		return number;
	unit = strchr(units, *end);
	if (unit == NULL || end[1] != '\0')
		return -1;
	return number * factors[unit - units];
}

/* Exactly count digits at *text, which moves behind them. */
static bool take_number(const char **text, int count, int *number)
{
	*number = 0;
	while (count-- > 0) {
		if (!isdigit((unsigned char)**text))
			return false;
		*number = *number * 10 + *(*text)++ - '0';
	}
	return true;
}

static bool take(const char **text, const char *accepted)
{
	if (**text == '\0' || strchr(accepted, **text) == NULL)
		return false;
	++*text;
	return true;
}

/* "2026-12-24", a day of the calendar. */
static bool take_date(const char **text, struct tm *tm)
{
	struct tm read = { 0 }, back;

	if (!take_number(text, 4, &read.tm_year) || !take(text, "-") ||
	    !take_number(text, 2, &read.tm_mon) || !take(text, "-") ||
	    !take_number(text, 2, &read.tm_mday) || read.tm_year < 1970)
		return false;
	read.tm_year -= 1900;
	read.tm_mon -= 1;
	back = read;
	*tm = read;
	return timegm(&back) != -1 && back.tm_mon == read.tm_mon &&
	    back.tm_mday == read.tm_mday;
}

/* "12:00" or "12:00:59" */
static bool take_clock(const char **text, struct tm *tm)
{
	if (!take_number(text, 2, &tm->tm_hour) || !take(text, ":") ||
	    !take_number(text, 2, &tm->tm_min) ||
	    (take(text, ":") && !take_number(text, 2, &tm->tm_sec)))
		return false;
	return tm->tm_hour < 24 && tm->tm_min < 60 && tm->tm_sec < 60;
}

/* "Z", or "+01:00": what is to be taken away, in seconds. */
static bool take_zone(const char **text, int *offset)
{
	bool east = **text == '+';
	int hours, minutes;

	*offset = 0;
	if (take(text, "Zz"))
		return true;
	if (!take(text, "+-") || !take_number(text, 2, &hours) ||
	    !take(text, ":") || !take_number(text, 2, &minutes) ||
	    hours > 23 || minutes > 59)
		return false;
	*offset = (hours * HOUR + minutes * MINUTE) * (east ? 1 : -1);
	return true;
}

int64_t command_read_moment(const char *text)
{
	struct tm tm;
	int offset = 0;
	int64_t moment;

	if (!take_date(&text, &tm))
		return -1;
	if (take(&text, "Tt ") && (!take_clock(&text, &tm) ||
	    !take_zone(&text, &offset)))
		return -1;
	moment = (int64_t)timegm(&tm) - offset;
	return *text != '\0' || moment < 0 ? -1 : moment;
}

int command_read_day(const char *text, int64_t now, char *out, size_t size)
{
	const char *rest = text;
	time_t day = (time_t)now;
	struct tm tm;

	if (strcmp(text, "yesterday") == 0)
		day -= DAY;
	if (strcmp(text, "today") == 0 || strcmp(text, "yesterday") == 0)
		gmtime_r(&day, &tm);
	else if (!take_date(&rest, &tm) || *rest != '\0')
		return -1;
	return strftime(out, size, "%Y-%m-%d", &tm) == 0 ? -1 : 0;
}
