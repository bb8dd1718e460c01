/* SPDX-License-Identifier: ISC */
/*
 * Pictures of `postern queue top`: what fits, what is harmless, what is said.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "tools/queue_top_view.h"
#include "tools/queue_totals.h"

static struct queue_top_view view;

static int setup(void **state)
{
	(void)state;
	queue_top_view_init(&view);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	queue_top_view_release(&view);
	return 0;
}

static json_t *totals(void)
{
	return json_pack("{s:{s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:s, "
	    "s:i, s:{s:s, s:{s:i, s:f}}}}", "total", "messages", 1000000,
	    "recipients", 1000001, "active", 1, "deferred", 1000000, "held",
	    7, "bytes", 5 << 20, "domains", 3, "in_flight", 2, "oldest",
	    "2026-01-01T00:00:00Z", "slots", 200, "counters", "since",
	    "2026-01-02T00:00:00Z", "accepted", "count", 12345, "rate", 1.5);
}

static json_t *place(const char *name, const char *text)
{
	char until[64];

	clock_format_iso(clock_wall() + 1000 * 600, until, sizeof(until));
	return json_pack("{s:s, s:i, s:i, s:i, s:f, s:s, s:s, s:i, s:i, s:s, "
	    "s:s, s:s}", "destination", name, "domains", 1, "recipients",
	    4711, "held", 0, "rate", 2.5, "state", "resting", "until", until,
	    "in_flight", 0, "limit", 20, "reason", "connect", "text", text,
	    "host", "mx.example[192.0.2.1]");
}

/* Whether a line has all of these words. */
static void assert_has(const char *line, const char *words)
{
	if (strstr(line, words) == NULL)
		fail_msg("\"%s\" is not in \"%s\"", words, line);
}

static void test_lines(void **state)
{
	json_t *answers = json_pack("[o, o]", place("smtp:mx/one.test:25",
	    "nobody answers"), totals());

	(void)state;
	queue_top_view_fill(&view, answers, 160, 24);
	assert_has(view.lines[1], "messages 1000000, recipients 1000001 "
	    "(active 1, deferred 1000000, held 7), 5.0M, domains 3, oldest");
	assert_has(view.lines[2], "in flight 2 of 200");
	assert_has(view.lines[3], "accepted 1.5");
	assert_has(view.lines[4], "accepted 12345");
	assert_int_equal(view.heading + 2, view.count);
	assert_has(view.lines[view.heading], "destination");
	assert_has(view.lines[view.heading + 1], "smtp:mx/one.test:25");
	assert_has(view.lines[view.heading + 1], " 4711 ");
	assert_has(view.lines[view.heading + 1], "0/20");
	assert_has(view.lines[view.heading + 1], "resting ");
	assert_has(view.lines[view.heading + 1],
	    "connect: nobody answers (mx.example[192.0.2.1])");
	json_decref(answers);
}

/* However small it is, and however large what it shows. */
static void test_fits(void **state)
{
	static const struct { size_t width, height; } sizes[] = {
		{ 80, 24 }, { 1, 1 }, { 10, 3 }, { 500, 1000 },
		{ 5000, 100000 }, { 79, 8 }, { 20, 0 } };
	char name[3000], text[3000];
	json_t *answers = json_array();

	(void)state;
	memset(name, 'n', sizeof(name) - 1);
	memset(text, 't', sizeof(text) - 1);
	name[sizeof(name) - 1] = text[sizeof(text) - 1] = '\0';
	for (int i = 0; i < 1500; i++)
		json_array_append_new(answers, place(name, text));
	json_array_append_new(answers, totals());
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		queue_top_view_fill(&view, answers, sizes[i].width,
		    sizes[i].height);
		assert_true(view.count <= sizes[i].height &&
		    view.count <= QUEUE_TOP_LINES_MAX);
		for (size_t line = 0; line < view.count; line++)
			assert_true(strlen(view.lines[line]) <=
			    sizes[i].width);
	}
	json_decref(answers);
}

/* Whatever a peer has said, or called itself. */
static void test_harmless(void **state)
{
	json_t *answers = json_pack("[o, o]", place("smtp:\x1b[2J\x07.test",
	    "\x1b]0;pwned\x07 \x7f \xc2\x9b" "31m \xc3\xa4 \r\n"), totals());

	(void)state;
	queue_top_view_fill(&view, answers, 300, 24);
	for (size_t line = 0; line < view.count; line++)
		for (const char *byte = view.lines[line]; *byte != '\0';
		    byte++)
			assert_true(*byte >= ' ' && *byte < 0x7f);
	assert_has(view.lines[view.heading + 1], "pwned");
	json_decref(answers);
}

/* Nothing of what is expected, and nothing at all. */
static void test_poor_answers(void **state)
{
	json_t *answers = json_pack("[{}, {s:i}, {}]", "destination", 7);

	(void)state;
	queue_top_view_fill(&view, answers, 80, 24);
	assert_true(view.count > 0);
	queue_top_view_fill(&view, NULL, 80, 24);
	assert_int_equal(view.count, 0);
	json_decref(answers);
}

static void test_sizes(void **state)
{
	static const struct { long long bytes; const char *text; } sizes[] = {
		{ 0, "0" }, { 999, "999" }, { 1000, "1.0K" },
		{ 1023, "1.0K" }, { 10 << 10, "10K" },
		{ 1000 << 10, "1.0M" }, { 5LL << 30, "5.0G" },
		{ 22LL << 40, "22T" }, { INT64_MAX, "8.0E" } };
	char text[32];

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		queue_totals_size(sizes[i].bytes, text, sizeof(text));
		assert_string_equal(text, sizes[i].text);
	}
}

static void test_ages(void **state)
{
	static const struct { long long seconds; const char *text; } ages[] = {
		{ 100, "100s" }, { 130, "2m" }, { 7000, "116m" },
		{ 7300, "2h" }, { 172000, "47h" }, { 173000, "2d" } };
	char moment[64], text[32];

	(void)state;
	for (size_t i = 0; i < sizeof(ages) / sizeof(ages[0]); i++) {
		clock_format_iso(clock_wall() - 1000 * ages[i].seconds,
		    moment, sizeof(moment));
		queue_totals_age(moment, text, sizeof(text));
		/* A second may have gone by. */
		if (i > 0)
			assert_string_equal(text, ages[i].text);
	}
	queue_totals_age("", text, sizeof(text));
	assert_string_equal(text, "");
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_lines),
		TEST(test_fits),
		TEST(test_harmless),
		TEST(test_poor_answers),
		TEST(test_sizes),
		TEST(test_ages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
