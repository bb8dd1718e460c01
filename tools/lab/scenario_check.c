/* SPDX-License-Identifier: ISC */
/*
 * Checks of a scenario that was read; each problem is told with the line of
 * the text that is wrong. A world is looked at as it is, under each fault, and
 * under those that steps put together.
 */
#include "tools/lab/scenario_check_private.h"

#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "tools/lab/scenario_options.h"

enum { WORLD_ARENA_MAX = 16 << 20 };

void lab_words_split(const char *text, struct lab_words *words)
{
	words->count = 0;
	while (*(text += strspn(text, " \t")) != '\0') {
		if (words->count < LAB_WORDS_MAX) {
			words->at[words->count] = text;
			words->length[words->count] = strcspn(text, " \t");
		}
		words->count++;
		text += strcspn(text, " \t");
	}
}

bool lab_words_equal(const struct lab_words *words, size_t index,
    const char *word)
{
	return index < words->count && index < LAB_WORDS_MAX &&
	    words->length[index] == strlen(word) &&
	    memcmp(words->at[index], word, words->length[index]) == 0;
}

const char *lab_words_list(const char *const *words, char *out)
{
	size_t used = 0;

	out[0] = '\0';
	for (; *words != NULL && used < LAB_LIST_MAX; words++)
		used += (size_t)snprintf(out + used, LAB_LIST_MAX - used,
		    "%s%s", used > 0 ? ", " : "", **words != '\0' ? *words :
		    "\"\"");
	return out;
}

void lab_check_word(const struct lab_checker *checker, const char *text,
    const char *const *accepted, const char *what)
{
	char list[LAB_LIST_MAX];

	if (lab_word_index(accepted, text, strlen(text)) == -1)
		lab_wrong(checker, text, "'%s' is no %s; accepted: %s", text,
		    what, lab_words_list(accepted, list));
}

void lab_check_certificate(const struct lab_checker *checker,
    const struct lab_world *world, const char *text, const char *named)
{
	for (size_t i = 0; i < world->certificate_count; i++)
		if (strcmp(world->certificates[i].name, named) == 0)
			return;
	lab_wrong(checker, text, "there is no certificate '%s'; add a "
	    "section certificate %s { ... }", named, named);
}

static void check_under(const struct lab_checker *checker,
    const struct lab_texts *faults)
{
	struct arena *arena;

	if (checker->problems->count > 0)
		return;		/* they would be told again */
	arena = arena_new(WORLD_ARENA_MAX);
	lab_check_world(checker, lab_world_with(checker->scenario, faults,
	    arena));
	arena_free(arena);
}

/* "N-01" */
static void check_row(const struct lab_checker *checker, const char *text)
{
	if (strlen(text) != 4 || text[0] < 'A' || text[0] > 'Z' ||
	    text[1] != '-' || strspn(text + 2, "0123456789") != 2)
		lab_wrong(checker, text, "'%s' is no row of the catalogue; "
		    "accepted: a capital letter, a hyphen and two digits, as "
		    "N-01", text);
}

void lab_scenario_check(const struct lab_checker *checker)
{
	const struct lab_scenario *scenario = checker->scenario;

	for (size_t i = 0; i < scenario->catalogue.count; i++)
		check_row(checker, scenario->catalogue.items[i]);
	lab_check_world(checker, &scenario->world);
	lab_check_steps(checker);
	for (size_t i = 0; i < scenario->fault_count; i++) {
		const struct lab_texts one = { &scenario->faults[i].name, 1 };

		check_under(checker, &one);
	}
	for (size_t i = 0; i < scenario->step_count; i++)
		if (scenario->steps[i].faults.count > 1)
			check_under(checker, &scenario->steps[i].faults);
}
