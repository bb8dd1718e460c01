/* SPDX-License-Identifier: ISC */
/*
 * tools/lab/scenario_write.c: what is written is read as the same scenario,
 * for all that come with the lab and for words that need care. Nothing is
 * written that the reader would put in by itself.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/mem.h"
#include "tools/lab/driver.h"
#include "tools/lab/scenario.h"
#include "tools/lab/scenario_options.h"
#include "tools/lab/scenario_write.h"

static char directory[] = "/tmp/lab-write-XXXXXX";

static char *path_of(const char *name)
{
	return mem_print("%s/%s.scenario", directory, name);
}

static struct lab_scenario *read_whole(const char *path)
{
	char *errors = NULL;
	struct lab_scenario *scenario = lab_scenario_read(path, &errors);

	if (errors != NULL)
		print_error("%s", errors);
	assert_null(errors);
	assert_non_null(scenario);
	return scenario;
}

static struct lab_scenario *read_text(const char *text)
{
	char *path = path_of("text");
	FILE *file = fopen(path, "w");
	struct lab_scenario *scenario;

	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
	scenario = read_whole(path);
	unlink(path);
	mem_free(path);
	return scenario;
}

/* Owned by the caller. */
static char *written(const struct lab_scenario *scenario)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	assert_non_null(out);
	assert_int_equal(lab_scenario_write(scenario, out), 0);
	assert_int_equal(fclose(out), 0);
	return text;
}

/* --- the same scenario --- */

static void same_option(const struct lab_option *option, const char *one,
    const char *other)
{
	unsigned choices[2];

	switch (option->type) {
	case LAB_OPTION_TEXTS:
		assert_true(lab_texts_equal(
		    (const struct lab_texts *)(const void *)one,
		    (const struct lab_texts *)(const void *)other));
		break;
	case LAB_OPTION_NUMBER:
		assert_memory_equal(one, other, sizeof(int64_t));
		break;
	case LAB_OPTION_BOOL:
		assert_memory_equal(one, other, sizeof(bool));
		break;
	case LAB_OPTION_CHOICE:
		memcpy(&choices[0], one, sizeof(choices[0]));
		memcpy(&choices[1], other, sizeof(choices[1]));
		assert_int_equal(choices[0], choices[1]);
		break;
	default:
		assert_string_equal(*(char *const *)(const void *)one,
		    *(char *const *)(const void *)other);
	}
}

static void same_section(enum lab_section kind, const void *one,
    const void *other)
{
	for (size_t i = 0; i < lab_option_count; i++)
		if (lab_options[i].section == kind)
			same_option(&lab_options[i],
			    (const char *)one + lab_options[i].offset,
			    (const char *)other + lab_options[i].offset);
}

static void same_world(const struct lab_world *one,
    const struct lab_world *other, const struct lab_given *masks,
    const struct lab_given *other_masks)
{
	for (int kind = 0; kind < LAB_KINDS; kind++) {
		const struct lab_kind *shape = &lab_kinds[kind];
		size_t counts[2];
		const char *items[2];

		memcpy(&counts[0], (const char *)one + shape->count,
		    sizeof(size_t));
		memcpy(&counts[1], (const char *)other + shape->count,
		    sizeof(size_t));
		memcpy(&items[0], (const char *)one + shape->items,
		    sizeof(char *));
		memcpy(&items[1], (const char *)other + shape->items,
		    sizeof(char *));
		assert_int_equal(counts[0], counts[1]);
		for (size_t i = 0; i < counts[0]; i++) {
			const char *two[] = { items[0] + i * shape->size,
			    items[1] + i * shape->size };

			assert_string_equal(
			    *(char *const *)(const void *)two[0],
			    *(char *const *)(const void *)two[1]);
			same_section((enum lab_section)kind, two[0], two[1]);
			if (masks != NULL)
				assert_int_equal(masks->masks[kind][i],
				    other_masks->masks[kind][i]);
		}
	}
}

static void same_scenario(const struct lab_scenario *one,
    const struct lab_scenario *other)
{
	same_section(LAB_SECTION_TOP, one, other);
	same_section(LAB_SECTION_SENDER, &one->sender, &other->sender);
	same_section(LAB_SECTION_RECEIVER, &one->receiver, &other->receiver);
	same_world(&one->world, &other->world, NULL, NULL);
	assert_int_equal(one->fault_count, other->fault_count);
	for (size_t i = 0; i < one->fault_count; i++) {
		assert_string_equal(one->faults[i].name,
		    other->faults[i].name);
		same_world(&one->faults[i].changes, &other->faults[i].changes,
		    one->faults[i].given, other->faults[i].given);
	}
	assert_int_equal(one->step_count, other->step_count);
	for (size_t i = 0; i < one->step_count; i++) {
		assert_string_equal(one->steps[i].name, other->steps[i].name);
		same_section(LAB_SECTION_STEP, &one->steps[i],
		    &other->steps[i]);
	}
}

static void round_trip(const struct lab_scenario *scenario)
{
	char *text = written(scenario), *again;
	struct lab_scenario *other = read_text(text);

	same_scenario(scenario, other);
	again = written(other);
	assert_string_equal(text, again);
	lab_scenario_free(other);
	free(again);
	free(text);
}

/* --- tests --- */

static void test_all_scenarios(void **state)
{
	const char *top = getenv("POSTERN_SRCDIR");
	char *where = mem_print("%s/tools/lab/scenarios", top != NULL ?
	    top : ".");
	size_t count;
	char **names = lab_list_names(where, ".scenario", &count);

	(void)state;
	assert_true(count >= 57);
	for (size_t i = 0; i < count; i++) {
		char *path = mem_print("%s/%s.scenario", where, names[i]);
		struct lab_scenario *scenario = read_whole(path);

		round_trip(scenario);
		lab_scenario_free(scenario);
		mem_free(path);
		mem_free(names[i]);
	}
	mem_free(names);
	mem_free(where);
}

/* One of everything that is written in a way of its own. */
static const char whole_text[] =
    "title = \"it's \\\"one\\\" of $all and a \\\\ # too\"\n"
    "clauses = { \"RFC 7672 2.2\" }\n"
    "in-depth = yes\n"
    "text = \"This is a longer text, with  two blanks in it, and some more "
    "words, so that it needs a second line at least. \"\n"
    "zone example.net {\n"
    "	records = { \"@ MX 10 mx\", 'x TXT \"a b\"' }\n"
    "	signing = unknown-digest  servers = 2  negative-ttl = 30\n"
    "	answers = { \"@ A servfail\" }\n"
    "}\n"
    "certificate mx { names = { mx.example.net } issuer-authority = no\n"
    "	intermediates = 2 chain = gap }\n"
    "host mx.example.net { addresses = { 192.0.2.1, \"2001:db8::1\" }\n"
    "	certificate = mx  behaviour = { \"ehlo 250-a|250 b\" } }\n"
    "host bare.example.net { addresses = { 192.0.2.2 } tls = none }\n"
    "policy example.net { addresses = 203.0.113.1  certificate = mx\n"
    "	body = { \"a: b\", \"\", \"c: d\" } line-ends = lf }\n"
    "policy example.com { addresses = 203.0.113.2  certificate = mx }\n"
    /* What has its default, and is given in a fault. */
    "fault one {\n"
    "	zone example.net { signing = signed  answers = { } }\n"
    "	host mx.example.net { path = \"\" }\n"
    "	policy example.net { body = { } status = 200 }\n"
    "}\n"
    "fault two { host mx2.example.net { addresses = { 192.0.2.3 }\n"
    "	tls = none } }\n"
    "sender { level = dane-only }\n"
    "step a { to = bob@example.net  expect = clear  no-clear-mail = yes }\n"
    "step b { faults = { one, two }  after = 3  flush = yes\n"
    "	expect = deferred  accept = { clear }  strict = deferred }\n"
    "step c { expect = deferred  accept = { waiting, clear }\n"
    "	no-clear-mail = yes }\n"
    "step d { expect = authenticated  no-clear-mail = no }\n";

static void test_careful_words(void **state)
{
	struct lab_scenario *scenario = read_text(whole_text);

	(void)state;
	round_trip(scenario);
	lab_scenario_free(scenario);
}

static void test_left_out(void **state)
{
	static const char least[] = "title = T\n"
	    "zone example.net {\n	records = { \"@ MX 10 mx\" }\n}\n"
	    "host mx.example.net {\n	addresses = { 192.0.2.1 }\n"
	    "	tls = none\n}\n\n"
	    "step s {\n	to = bob@example.net\n	expect = clear\n}\n";
	struct lab_scenario *scenario = read_text(least);
	char *text = written(scenario);
	const char *title = "title = T\n";

	(void)state;
	assert_int_equal(strncmp(text, title, strlen(title)), 0);
	assert_string_equal(text + strlen(title) + 1, least + strlen(title));
	free(text);
	lab_scenario_free(scenario);
}

/* A world's own zone of the sender's name is not taken for the usual one. */
static void test_own_origin(void **state)
{
	struct lab_scenario *scenario = read_text("title = T\n"
	    "zone origin.example { records = { \"@ MX 10 mx\","
	    " \"mx A 192.0.2.250\", \"mta A 192.0.2.251\" }"
	    " signing = unsigned }\n"
	    "host mx.origin.example { addresses = { 192.0.2.250 }"
	    " tls = none }\n"
	    "step s { to = bob@example.net expect = deferred }\n");
	char *text = written(scenario);

	(void)state;
	assert_non_null(strstr(text, "signing = unsigned"));
	assert_non_null(strstr(text, "host mx.origin.example"));
	free(text);
	round_trip(scenario);
	lab_scenario_free(scenario);
}

static void test_no_room(void **state)
{
	struct lab_scenario *scenario = read_text(whole_text);
	FILE *full = fopen("/dev/full", "w");

	(void)state;
	assert_non_null(full);
	assert_int_equal(lab_scenario_write(scenario, full), -1);
	fclose(full);
	lab_scenario_free(scenario);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_scenarios),
		cmocka_unit_test(test_careful_words),
		cmocka_unit_test(test_left_out),
		cmocka_unit_test(test_own_origin),
		cmocka_unit_test(test_no_room),
	};
	int failed;

	if (mkdtemp(directory) == NULL)
		return 1;
	failed = cmocka_run_group_tests_name("lab-write", tests, NULL, NULL);
	rmdir(directory);
	return failed;
}
