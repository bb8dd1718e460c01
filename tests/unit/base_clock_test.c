/* SPDX-License-Identifier: ISC */
/*
 * base/clock.c: dates as RFC 5322 3.3 and RFC 3339 want them, in any zone and
 * locale.
 */
#include <locale.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>
#include <cmocka.h>

#include "base/clock.h"
#include "tests/unit/base_child.h"

/* The moments were checked with Python's datetime in UTC; what the zones make
 * of them is worked out by hand. SMTP-74: numeric zone, year of four digits. */
static const struct {
	const char	*zone;		/* as POSIX TZ: west is positive */
	int64_t		 wall;
	const char	*mail;
	const char	*iso;
} dates[] = {
	{ "UTC0", 0, "Thu, 1 Jan 1970 00:00:00 +0000",
	  "1970-01-01T00:00:00Z" },
	{ "UTC0", -1, "Wed, 31 Dec 1969 23:59:59 +0000",
	  "1969-12-31T23:59:59Z" },
	{ "UTC0", 1795351326999, "Sun, 22 Nov 2026 12:42:06 +0000",
	  "2026-11-22T12:42:06Z" },
	{ "XXX-5:30", 1795351326000, "Sun, 22 Nov 2026 18:12:06 +0530",
	  "2026-11-22T12:42:06Z" },
	{ "XXX3:30", 1795351326000, "Sun, 22 Nov 2026 09:12:06 -0330",
	  "2026-11-22T12:42:06Z" },
	{ "XXX0:30", 1795351326000, "Sun, 22 Nov 2026 12:12:06 -0030",
	  "2026-11-22T12:42:06Z" },
	{ "XXX-14", 1795351326000, "Mon, 23 Nov 2026 02:42:06 +1400",
	  "2026-11-22T12:42:06Z" },
	{ "UTC0", 1709164800000, "Thu, 29 Feb 2024 00:00:00 +0000",
	  "2024-02-29T00:00:00Z" },
	{ "UTC0", 4102444800000, "Fri, 1 Jan 2100 00:00:00 +0000",
	  "2100-01-01T00:00:00Z" },
};

static void test_formats(void **unused)
{
	char out[64];
	size_t i;

	(void)unused;
	setlocale(LC_ALL, "");
	for (i = 0; i < sizeof(dates) / sizeof(dates[0]); i++) {
		setenv("TZ", dates[i].zone, 1);
		tzset();
		clock_format_mail(dates[i].wall, out, sizeof(out));
		assert_string_equal(out, dates[i].mail);
		clock_format_iso(dates[i].wall, out, sizeof(out));
		assert_string_equal(out, dates[i].iso);
	}
	memset(out, 'Z', sizeof(out));
	clock_format_mail(0, out, 5);
	assert_int_equal(strlen(out), 4);
	assert_int_equal(out[5], 'Z');
}

static void test_clocks(void **unused)
{
	int64_t last = clock_monotonic(), now, seconds, wall, micro;
	int i;

	(void)unused;
	for (i = 0; i < 1000; i++) {
		now = clock_monotonic();
		assert_true(now >= last);
		last = now;
	}
	/* Between what comes before and after, however long that takes. */
	seconds = (int64_t)time(NULL);
	wall = clock_wall();
	assert_true(wall / 1000 >= seconds - 1);
	assert_true(wall / 1000 <= (int64_t)time(NULL) + 1);
	micro = clock_wall_micro();
	assert_true(micro / 1000 >= wall && micro / 1000 <= clock_wall());
	/* Milliseconds, not something else: 20 ms are at least 20 of them. */
	last = clock_monotonic();
	nanosleep(&(struct timespec){ .tv_nsec = 20000000 }, NULL);
	now = clock_monotonic() - last;
	assert_true(now >= 19 && now < 60000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_formats),
		cmocka_unit_test(test_clocks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
