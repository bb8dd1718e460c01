/* SPDX-License-Identifier: ISC */
/*
 * tools/command_time.c: ages and moments as operators type them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "tools/command_time.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

struct row {
	const char	*text;
	int64_t		 value;
};

static void test_ages(void **state)
{
	static const struct row rows[] = { { "0", 0 }, { "90", 90 },
		{ "90s", 90 }, { "30m", 1800 }, { "72h", 259200 },
		{ "3d", 259200 }, { "007", 7 }, { "", -1 }, { "-1", -1 },
		{ "+1", -1 }, { " 1", -1 }, { "d", -1 }, { "3w", -1 },
		{ "3dd", -1 }, { "3 d", -1 }, { "1.5h", -1 },
		{ "99999999999999999999", -1 }, { "9999999999999999d", -1 } };

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		if (command_read_age(rows[i].text) != rows[i].value)
			fail_msg("%s", rows[i].text);
}

static void test_moments(void **state)
{
	static const struct row rows[] = { { "1970-01-01", 0 },
		{ "2026-12-24", 1798070400 },
		{ "2026-12-24T12:00Z", 1798113600 },
		{ "2026-12-24 12:00z", 1798113600 },
		{ "2026-12-24T12:00:01Z", 1798113601 },
		{ "2026-12-24T13:00+01:00", 1798113600 },
		{ "2026-12-24T06:30-05:30", 1798113600 },
		{ "2028-02-29", 1835395200 },
		/* no zone: whose clock would that be? */
		{ "2026-12-24T12:00", -1 }, { "2026-12-24T", -1 },
		/* not in the calendar, or not of this form */
		{ "2026-02-29", -1 }, { "2026-13-01", -1 },
		{ "2026-00-01", -1 }, { "2026-11-31", -1 },
		{ "2026-11-00", -1 }, { "2026-1-1", -1 },
		{ "26-11-22", -1 }, { "2026/11/22", -1 },
		{ "2026-11-22x", -1 }, { "2026-11-22T12:00Zx", -1 },
		{ "2026-11-22T24:00Z", -1 }, { "2026-11-22T12:60Z", -1 },
		{ "2026-11-22T12:00:60Z", -1 }, { "2026-11-22T1200Z", -1 },
		{ "2026-11-22T12:00+1", -1 }, { "2026-11-22T12:00+24:00", -1 },
		{ "1969-12-31", -1 }, { "1970-01-01T00:00+01:00", -1 },
		{ "3d", -1 }, { "", -1 } };

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		if (command_read_moment(rows[i].text) != rows[i].value)
			fail_msg("%s: %lld", rows[i].text, (long long)
			    command_read_moment(rows[i].text));
}

static void test_days(void **state)
{
	/* five seconds into a day, which the one before is another month of */
	const int64_t now = 1798070400 - 23 * 86400 + 5;
	char day[11];

	(void)state;
	assert_int_equal(command_read_day("today", now, day, sizeof(day)), 0);
	assert_string_equal(day, "2026-12-01");
	assert_int_equal(command_read_day("yesterday", now, day, sizeof(day)),
	    0);
	assert_string_equal(day, "2026-11-30");
	assert_int_equal(command_read_day("2024-02-29", now, day,
	    sizeof(day)), 0);
	assert_string_equal(day, "2024-02-29");
	assert_int_equal(command_read_day("2026-02-29", now, day,
	    sizeof(day)), -1);
	assert_int_equal(command_read_day("2026-11-22T00:00Z", now, day,
	    sizeof(day)), -1);
	assert_int_equal(command_read_day("tomorrow", now, day, sizeof(day)),
	    -1);
	assert_int_equal(command_read_day("", now, day, sizeof(day)), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ages),
		cmocka_unit_test(test_moments),
		cmocka_unit_test(test_days),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
