/* SPDX-License-Identifier: ISC */
/*
 * tools/lab/trial.c: from the results of runs to a trial's mark. A run is
 * written as letters, one a step: "t" delivered under TLS, "c" in clear, "-"
 * nothing, "C" the MTA crashed, "H" it hung, "P" the step had a problem.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/mem.h"
#include "tools/lab/trial.h"

static json_t *step_of(char letter)
{
	json_t *events = json_array(), *step;

	if (letter == 't' || letter == 'c')
		json_array_append_new(events, json_pack(
		    "{s:s, s:s, s:s, s:b}", "actor", "mx", "event", "message",
		    "marker", "1", "tls", letter == 't'));
	step = json_pack("{s:s, s:i, s:o}", "name", "x", "marker", 1, "events",
	    events);
	if (letter == 'C' || letter == 'H' || letter == 'P')
		json_object_set_new(step, letter == 'C' ? "crashed" :
		    letter == 'H' ? "hung" : "problem",
		    json_string("so it was"));
	return step;
}

static json_t *result_of(const char *letters)
{
	json_t *steps;

	if (letters == NULL)
		return NULL;
	steps = json_array();
	for (; *letters != '\0'; letters++)
		json_array_append_new(steps, step_of(*letters));
	return json_pack("{s:o}", "steps", steps);
}

static const struct {
	const char	*seen, *twin, *unavailable, *problem;
	enum lab_mark	 first, second, mark;
} cases[] = {
	/* expected: authenticated, and then waiting */
	{ "t-", "--", NULL, NULL, LAB_CORRECT, LAB_CORRECT, LAB_CORRECT },
	{ "t-", "t-", NULL, NULL, LAB_TOO_LAX, LAB_CORRECT, LAB_TOO_LAX },
	{ "--", NULL, NULL, NULL, LAB_TOO_STRICT, LAB_CORRECT,
	    LAB_TOO_STRICT },
	{ "-c", NULL, NULL, NULL, LAB_TOO_STRICT, LAB_TOO_LAX, LAB_TOO_LAX },
	/* not judged by half, whatever it did before */
	{ "c-", NULL, "no clock", NULL, LAB_NOT_APPLICABLE,
	    LAB_NOT_APPLICABLE, LAB_NOT_APPLICABLE },
	{ NULL, NULL, "no clock", NULL, LAB_NOT_APPLICABLE,
	    LAB_NOT_APPLICABLE, LAB_NOT_APPLICABLE },
	/* the run */
	{ NULL, NULL, NULL, "no result", LAB_FAILED, LAB_FAILED, LAB_FAILED },
	{ "P", NULL, NULL, "so it was", LAB_FAILED, LAB_FAILED, LAB_FAILED },
	{ "t-", "P", NULL, "so it was", LAB_FAILED, LAB_CORRECT, LAB_FAILED },
	{ "t", "--", NULL, NULL, LAB_CORRECT, LAB_FAILED, LAB_FAILED },
	/* what the MTA's end left undone is not held against the run */
	{ "C", NULL, NULL, NULL, LAB_CRASHED, LAB_NOT_APPLICABLE,
	    LAB_CRASHED },
	{ "H", NULL, NULL, "no greeting", LAB_HUNG, LAB_NOT_APPLICABLE,
	    LAB_HUNG },
	{ "cH", NULL, NULL, "no greeting", LAB_TOO_LAX, LAB_HUNG,
	    LAB_TOO_LAX },
	{ "t-", "C", NULL, NULL, LAB_CRASHED, LAB_CORRECT, LAB_CRASHED },
};

static void test_judge(void **state)
{
	static char empty[] = "";
	struct lab_step steps[] = { { .expect = LAB_AUTHENTICATED,
	    .strict = empty }, { .expect = LAB_WAITING, .strict = empty } };
	const struct lab_scenario scenario = { .steps = steps,
	    .step_count = 2 };

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct lab_trial trial = { .run = { .scenario = &scenario },
		    .seen = result_of(cases[i].seen),
		    .twin = result_of(cases[i].twin),
		    .unavailable = mem_dup_string(cases[i].unavailable),
		    .problem = mem_dup_string(cases[i].problem) };

		lab_trial_judge(&trial);
		if (trial.verdicts[0].mark != cases[i].first ||
		    trial.verdicts[1].mark != cases[i].second ||
		    trial.mark != cases[i].mark)
			fail_msg("case %zu: %s, %s: %s", i,
			    lab_mark_name(trial.verdicts[0].mark),
			    lab_mark_name(trial.verdicts[1].mark),
			    lab_mark_name(trial.mark));
		lab_trial_release(&trial);
	}
}

static void test_forget(void **state)
{
	const struct lab_step step = { .expect = LAB_WAITING };
	const struct lab_scenario scenario = {
	    .steps = (struct lab_step *)(uintptr_t)&step, .step_count = 1 };
	struct lab_trial trial = { .run = { .scenario = &scenario },
	    .seen = result_of("-") };

	(void)state;
	lab_trial_judge(&trial);
	lab_trial_forget(&trial);
	assert_null(trial.seen);
	assert_int_equal(trial.verdicts[0].mark, LAB_CORRECT);
	lab_trial_release(&trial);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_judge),
		cmocka_unit_test(test_forget),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
