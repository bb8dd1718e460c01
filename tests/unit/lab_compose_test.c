/* SPDX-License-Identifier: ISC */
/*
 * tools/lab/compose*.c: the same seed gives the same world; every part has its
 * turn; the words of the grammar occur; each outcome is the correct one
 * somewhere, and about half of the worlds demand what can be broken. That a
 * world can be written, read and passes the reader's rules is a condition of
 * lab_compose() itself, so each one made here shows it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "tools/lab/compose.h"
#include "tools/lab/scenario.h"
#include "tools/lab/scenario_options.h"
#include "tools/lab/scenario_write.h"

enum { WORLDS = 500, SEED = 1, OPTIONS = 128 };

#define KNOWN_SUM UINT32_C(0x6f017def)

/* Made once, and only looked at. */
static struct lab_scenario *worlds[WORLDS];

static int make_worlds(void **state)
{
	(void)state;
	for (unsigned i = 0; i < WORLDS; i++)
		worlds[i] = lab_compose(SEED, i);
	return 0;
}

static int free_worlds(void **state)
{
	(void)state;
	for (unsigned i = 0; i < WORLDS; i++)
		lab_scenario_free(worlds[i]);
	return 0;
}

/* Owned by the caller: free(3). */
static char *text_of(const struct lab_scenario *scenario)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	assert_non_null(out);
	assert_int_equal(lab_scenario_write(scenario, out), 0);
	assert_int_equal(fclose(out), 0);
	return text;
}

static void test_same_again(void **state)
{
	(void)state;
	for (unsigned i = 0; i < WORLDS; i += 7) {
		struct lab_scenario *again = lab_compose(SEED, i);
		char *one = text_of(worlds[i]), *other = text_of(again);

		assert_string_equal(one, other);
		assert_string_equal(worlds[i]->name, again->name);
		free(one);
		free(other);
		lab_scenario_free(again);
	}
}

/* Written down, so that another machine, or a change that was not meant to
 * change anything, is noticed. */
static void test_known_world(void **state)
{
	struct lab_scenario *scenario = lab_compose(42, 7);
	char *text = text_of(scenario);
	uint32_t sum = 2166136261u;	/* FNV-1a */

	(void)state;
	assert_string_equal(scenario->name, "random-42-7");
	for (const char *at = text; *at != '\0'; at++)
		sum = (sum ^ (unsigned char)*at) * 16777619u;
	assert_int_equal(sum, KNOWN_SUM);
	free(text);
	lab_scenario_free(scenario);
}

static bool has_part(const struct lab_scenario *scenario, const char *part)
{
	const char *parts = strstr(scenario->text, "Parts:");

	assert_non_null(parts);
	for (const char *at = parts; (at = strstr(at, part)) != NULL; at++) {
		char end = at[strlen(part)];

		if (at[-1] == ' ' && (end == ';' || end == '.'))
			return true;
	}
	return false;
}

static void test_every_part(void **state)
{
	unsigned count = lab_compose_parts();

	(void)state;
	assert_true(count > 150 && count <= 210);
	for (unsigned part = 0; part < count; part++) {
		unsigned found = 0;

		for (unsigned i = 0; i < count; i++)
			found += has_part(worlds[i], lab_compose_part(part));
		if (found == 0)
			fail_msg("no world with %s", lab_compose_part(part));
	}
}

/* --- words --- */

static bool starts(const char *text, const char *word, char end)
{
	size_t length = strlen(word);

	return strncmp(text, word, length) == 0 && (text[length] == end ||
	    text[length] == '\0');
}

static bool has_answer(const struct lab_world *world, const char *word)
{
	for (size_t i = 0; i < world->zone_count; i++)
		for (size_t k = 0; k < world->zones[i].answers.count; k++) {
			const char *text = world->zones[i].answers.items[k];
			const char *at = strchr(strchr(text, ' ') + 1, ' ');

			if (starts(at + 1, word, ' '))
				return true;
		}
	return false;
}

static bool has_stage(const struct lab_world *world, const char *word)
{
	for (size_t i = 0; i < world->host_count; i++)
		for (size_t k = 0; k < world->hosts[i].behaviour.count; k++)
			if (starts(world->hosts[i].behaviour.items[k], word,
			    ' '))
				return true;
	return false;
}

static bool has_action(const struct lab_world *world, const char *word)
{
	for (size_t i = 0; i < world->host_count; i++)
		for (size_t k = 0; k < world->hosts[i].behaviour.count; k++)
			if (starts(strchr(world->hosts[i].behaviour.items[k],
			    ' ') + 1, word, ' '))
				return true;
	return false;
}

static bool has_path(const struct lab_world *world, const char *word)
{
	for (size_t i = 0; i < world->host_count; i++)
		if (strcmp(world->hosts[i].path, word) == 0)
			return true;
	return false;
}

static bool has_version(const struct lab_world *world, const char *word)
{
	for (size_t i = 0; i < world->host_count; i++)
		for (size_t k = 0; k < world->hosts[i].versions.count; k++)
			if (strcmp(world->hosts[i].versions.items[k],
			    word) == 0)
				return true;
	return false;
}

static bool has_policy_fault(const struct lab_world *world, const char *word)
{
	for (size_t i = 0; i < world->policy_count; i++)
		if (strcmp(world->policies[i].fault, word) == 0)
			return true;
	return false;
}

/* Words of one list, and how to find them. */
struct list {
	const char *const	*words, *const *but;
	bool			(*has)(const struct lab_world *world,
				    const char *word);
	bool			 found[32];
};

static void note_words(struct list *list, const struct lab_world *world)
{
	for (size_t w = 0; list->words[w] != NULL; w++)
		list->found[w] |= list->has(world, list->words[w]);
}

static void need_words(const struct list *list)
{
	for (size_t w = 0; list->words[w] != NULL; w++)
		if (!list->found[w] && *list->words[w] != '\0' &&
		    lab_word_index(list->but, list->words[w],
		    strlen(list->words[w])) == -1)
			fail_msg("no world with %s", list->words[w]);
}

/* Left out: the true answer; what every outcome could follow from, or takes
 * minutes; the first EHLO of hosts that are refused EHLO. */
static const char *const no_words[] = { NULL };
static const char *const no_answers[] = { "true", NULL };
static const char *const no_actions[] = { "tarpit", "flood", "long", "bare",
    "raw", NULL };
static const char *const no_stages[] = { "helo", NULL };

static unsigned seen_choices(const struct lab_option *option,
    const struct lab_world *world)
{
	bool zone = option->section == LAB_SECTION_ZONE;
	size_t count = zone ? world->zone_count : world->certificate_count;
	unsigned seen = 0, choice;

	for (size_t k = 0; k < count; k++) {
		const char *section = zone ? (const char *)&world->zones[k] :
		    (const char *)&world->certificates[k];

		memcpy(&choice, section + option->offset, sizeof(choice));
		seen |= 1u << choice;
	}
	return seen;
}

/* Choices of zones and certificates that the table of options has. */
struct choices {
	unsigned	 seen[OPTIONS];	/* by option */
};

static bool is_composed(const struct lab_option *option)
{
	return option->type == LAB_OPTION_CHOICE &&
	    (option->section == LAB_SECTION_ZONE ||
	    option->section == LAB_SECTION_CERTIFICATE);
}

static void note_choices(struct choices *choices,
    const struct lab_scenario *scenario)
{
	for (size_t i = 0; i < lab_option_count && i < OPTIONS; i++)
		if (is_composed(&lab_options[i]))
			choices->seen[i] |= seen_choices(&lab_options[i],
			    &scenario->world) | seen_choices(&lab_options[i],
			    &scenario->faults[0].changes);
}

static void need_choices(const struct choices *choices)
{
	for (size_t i = 0; i < lab_option_count && i < OPTIONS; i++)
		for (unsigned c = 0; is_composed(&lab_options[i]) &&
		    lab_options[i].choices[c] != NULL; c++)
			if ((choices->seen[i] & 1u << c) == 0)
				fail_msg("no world with %s = %s",
				    lab_options[i].name,
				    lab_options[i].choices[c]);
}

/* Some are one of eight that a part can be: more worlds than elsewhere. */
static void test_words(void **state)
{
	struct list lists[] = {
		{ .words = lab_answer_words, no_answers, has_answer, { 0 } },
		{ .words = lab_stage_words, no_stages, has_stage, { 0 } },
		{ .words = lab_action_words, no_actions, has_action, { 0 } },
		{ .words = lab_path_words, no_words, has_path, { 0 } },
		{ .words = lab_version_words, no_words, has_version, { 0 } },
		{ .words = lab_policy_fault_words, no_words, has_policy_fault,
		    { 0 } },
	};
	const size_t count = sizeof(lists) / sizeof(lists[0]);
	struct choices choices = { { 0 } };

	(void)state;
	for (unsigned i = 0; i < 3 * WORLDS; i++) {
		struct lab_scenario *scenario = lab_compose(SEED, i);

		for (size_t k = 0; k < count; k++)
			note_words(&lists[k], &scenario->faults[0].changes);
		note_choices(&choices, scenario);
		lab_scenario_free(scenario);
	}
	need_choices(&choices);
	for (size_t k = 0; k < count; k++)
		need_words(&lists[k]);
}

/* --- answers --- */

static const struct lab_step *last_step(const struct lab_scenario *scenario)
{
	return &scenario->steps[scenario->step_count - 1];
}

static void test_answers(void **state)
{
	unsigned counts[LAB_OUTCOMES] = { 0 }, single = 0, two_steps = 0;
	unsigned untouched = 0;

	(void)state;
	for (unsigned i = 0; i < WORLDS; i++) {
		const struct lab_step *step = last_step(worlds[i]);

		counts[step->expect]++;
		single += step->accept.count == 0;
		two_steps += worlds[i]->step_count == 2;
		untouched += step->untouched.count > 0;
	}
	print_message("authenticated %u, encrypted %u, clear %u, deferred "
	    "%u, bounced %u; one outcome only %u; two steps %u; untouched "
	    "%u\n", counts[LAB_AUTHENTICATED], counts[LAB_ENCRYPTED],
	    counts[LAB_CLEAR], counts[LAB_DEFERRED], counts[LAB_BOUNCED],
	    single, two_steps, untouched);
	assert_true(counts[LAB_AUTHENTICATED] > WORLDS / 10);
	assert_true(counts[LAB_ENCRYPTED] > WORLDS / 50);
	assert_true(counts[LAB_CLEAR] > 0);
	assert_true(counts[LAB_DEFERRED] > WORLDS / 5);
	assert_true(counts[LAB_BOUNCED] > 0);
	/* Half of them leave no choice, or they would find little. */
	assert_true(single > WORLDS / 2);
	assert_true(two_steps > WORLDS / 20);
	assert_true(untouched > WORLDS / 20);
}

/* A world whose mail waits in the end has to be able to get it. */
static void test_good_world_first(void **state)
{
	(void)state;
	for (unsigned i = 0; i < WORLDS; i++) {
		const struct lab_step *steps = worlds[i]->steps;

		if (worlds[i]->step_count != 2)
			continue;
		assert_int_equal(steps[0].faults.count, 0);
		assert_true(steps[0].expect == LAB_AUTHENTICATED ||
		    steps[0].expect == LAB_ENCRYPTED);
		assert_int_equal(steps[0].accept.count, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_same_again),
		cmocka_unit_test(test_known_world),
		cmocka_unit_test(test_every_part),
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_answers),
		cmocka_unit_test(test_good_world_first),
	};

	return cmocka_run_group_tests_name("lab-compose", tests, make_worlds,
	    free_worlds);
}
