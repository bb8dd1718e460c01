/* SPDX-License-Identifier: ISC */
/*
 * conf/listing.c: what names a list in the DNS, and what its answers mean.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/net.h"
#include "conf/listing.h"

static void test_refused(void **state)
{
	static const char *const bad[] = { "", " ", "bl_x", "bl..example",
	    "bl.example x", "bl.example 127.0.0.2,", "bl.example ,127.0.0.2",
	    "bl.example 127.0.0.2,,127.0.0.3", "bl.example 127.0.0.3-127.0.0.2",
	    "bl.example 127.0.0.2-", "bl.example -127.0.0.2",
	    "bl.example 127.0.0.2-127.0.0.3-127.0.0.4", "bl.example 10.0.0.1",
	    "bl.example 126.255.255.255-127.0.0.1", "bl.example 127.0.0.256",
	    "bl.example ::1", "bl.example 127.0.0.2 127.0.0.3",
	    "bl.example 127.0.0.2222222222222" };
	struct conf_listing listing;
	char many[800] = "bl.example 127.0.0.1";
	size_t length = strlen(many);

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (conf_listing_read(&listing, bad[i]))
			fail_msg("accepted: %s", bad[i]);
	for (int i = 1; i < LISTING_RANGES_MAX; i++)
		length += (size_t)snprintf(many + length,
		    sizeof(many) - length, ",127.0.0.1");
	assert_true(conf_listing_read(&listing, many));
	assert_int_equal(listing.count, LISTING_RANGES_MAX);
	snprintf(many + length, sizeof(many) - length, ",127.0.0.1");
	assert_false(conf_listing_read(&listing, many));
}

static void test_answers(void **state)
{
	static const char any[] = "bl.example";
	static const char some[] = "bl.example   "
	    "127.0.0.2-127.0.1.4,127.255.255.1,127.0.9.9";
	static const struct {
		const char *list, *answer;
		enum conf_listing_answer meaning;
	} rows[] = {
		{ any, "127.0.0.0", LISTING_LISTED },
		{ any, "127.0.0.2", LISTING_LISTED },
		{ any, "127.255.254.255", LISTING_LISTED },
		{ any, "127.255.255.0", LISTING_REFUSED },
		{ any, "127.255.255.255", LISTING_REFUSED },
		{ any, "126.255.255.255", LISTING_OTHER },
		{ any, "128.0.0.0", LISTING_OTHER },
		{ any, "192.0.2.1", LISTING_OTHER },
		{ any, "::1", LISTING_OTHER },
		{ some, "127.0.0.1", LISTING_OTHER },
		{ some, "127.0.0.2", LISTING_LISTED },
		{ some, "127.0.0.255", LISTING_LISTED },
		{ some, "127.0.1.4", LISTING_LISTED },
		{ some, "127.0.1.5", LISTING_OTHER },
		{ some, "127.0.9.9", LISTING_LISTED },
		{ some, "127.255.255.1", LISTING_REFUSED },
	};
	struct conf_listing listing;
	struct endpoint answer;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_true(conf_listing_read(&listing, rows[i].list));
		assert_string_equal(listing.zone, "bl.example");
		assert_int_equal(endpoint_parse(&answer, rows[i].answer, 0),
		    0);
		if (conf_listing_judge(&listing, &answer) != rows[i].meaning)
			fail_msg("%s: %s", rows[i].list, rows[i].answer);
	}
	memset(&answer, 0, sizeof(answer));
	assert_int_equal(conf_listing_judge(&listing, &answer),
	    LISTING_OTHER);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_answers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
