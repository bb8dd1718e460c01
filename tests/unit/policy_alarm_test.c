/* SPDX-License-Identifier: ISC */
/*
 * policy/alarm.c: each domain is heard once a minute, whoever else is; and
 * strangers with many domains fill neither the log nor the memory.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/log.h"
#include "policy/alarm.h"

/* The clock of base/clock.h, as far as it is used here. */
static int64_t now = 1000;

int64_t clock_monotonic(void)
{
	return now;
}

int64_t clock_wall(void)
{
	return 0;
}

void clock_format_iso(int64_t wall, char *out, size_t size)
{
	snprintf(out, size, "%lld", (long long)wall);
}

static char path[] = "/tmp/postern-alarm-XXXXXX";

/* How many lines of the log have these words. */
static unsigned count(const char *words)
{
	char line[1000];
	unsigned found = 0;
	FILE *in;

	log_flush();
	in = fopen(path, "r");
	assert_non_null(in);
	while (fgets(line, sizeof(line), in) != NULL)
		found += strstr(line, words) != NULL;
	fclose(in);
	return found;
}

static void test_alarms(void **state)
{
	struct alarms *alarms = alarms_new();
	char domain[64];
	int i;

	(void)state;
	alarms_tell(alarms, "a.example", "level may overrides it");
	alarms_tell(alarms, "A.example", "level may overrides it");
	alarms_tell(alarms, "b.example", "the same");
	assert_int_equal(count("domain=a.example"), 1);
	assert_int_equal(count("domain=b.example"), 1);
	assert_int_equal(count("level=warn"), 2);
	now += 59999;
	alarms_tell(alarms, "a.example", "again");
	assert_int_equal(count("level=warn"), 2);
	now += 1;
	alarms_tell(alarms, "a.example", "again");
	assert_int_equal(count("domain=a.example"), 2);
	/* Many at once: a bounded number is heard, the rest counted. */
	now += 60000;
	for (i = 0; i < 1000; i++) {
		snprintf(domain, sizeof(domain), "d%d.example", i);
		alarms_tell(alarms, domain, "flood");
	}
	assert_int_equal(count("flood"), 128);
	now += 60000;
	alarms_tell(alarms, "a.example", "afterwards");
	assert_int_equal(count("unsaid=872"), 1);
	alarms_free(alarms);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_alarms) };
	int fd = mkstemp(path), status;

	if (fd == -1)
		return 1;
	log_init("test", LOG_LEVEL_INFO);
	dup2(fd, STDERR_FILENO);
	status = cmocka_run_group_tests(tests, NULL, NULL);
	close(fd);
	unlink(path);
	return status;
}
