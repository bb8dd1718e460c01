/* SPDX-License-Identifier: ISC */
/*
 * Trials as JSON. What a step's members mean is in postern-lab(7).
 */
#include <stdio.h>
#include <string.h>

#include "tools/lab/report_private.h"

json_t *lab_report_texts(const struct lab_texts *texts)
{
	json_t *array = json_array();

	for (size_t i = 0; i < texts->count; i++)
		json_array_append_new(array, json_string(texts->items[i]));
	return array;
}

/* Everything the run says of the step but what is in the object already. */
static void add_members(json_t *object, json_t *from)
{
	const char *key;
	json_t *value;

	json_object_foreach(from, key, value)
		if (json_object_get(object, key) == NULL &&
		    strcmp(key, "name") != 0)
			json_object_set(object, key, value);
}

static json_t *step_of(const json_t *result, size_t i)
{
	return json_array_get(json_object_get(result, "steps"), i);
}

static json_t *step_object(const struct lab_trial *trial, size_t i)
{
	const struct lab_step *step = &trial->run.scenario->steps[i];
	const struct lab_verdict *verdict = &trial->verdicts[i];
	json_t *twin = json_object_get(step_of(trial->twin, i), "events");
	json_t *object = json_pack("{s:s, s:s, s:o, s:s, s:s, s:s, s:b, s:s}",
	    "step", step->name, "to", step->to, "faults",
	    lab_report_texts(&step->faults), "expected",
	    lab_outcome_name(lab_expected(step, trial->run.profile)),
	    "outcome", lab_outcome_name(verdict->outcome), "mark",
	    lab_mark_name(verdict->mark), "correct", verdict->mark ==
	    LAB_CORRECT, "said", verdict->said);

	if (step->report.count > 0)
		json_object_set_new(object, "report",
		    lab_report_texts(&step->report));
	add_members(object, step_of(trial->seen, i));
	if (twin != NULL)
		json_object_set(object, "twin", twin);
	return object;
}

json_t *lab_report_trial_object(const struct lab_trial *trial)
{
	const struct lab_scenario *scenario = trial->run.scenario;
	json_t *steps = json_array();

	for (size_t i = 0; trial->unavailable == NULL &&
	    i < scenario->step_count; i++)
		json_array_append_new(steps, step_object(trial, i));
	return json_pack("{s:s, s:s, s:o, s:s, s:s, s:i, s:s, s:b, s:s?, s:s?,"
	    " s:f, s:o}", "scenario", scenario->name, "title",
	    scenario->title, "clauses", lab_report_texts(&scenario->clauses),
	    "mta", trial->run.driver->name, "profile",
	    lab_profile_name(trial->run.profile), "round", (int)trial->round,
	    "mark", lab_mark_name(trial->mark), "correct", trial->mark ==
	    LAB_CORRECT, "unavailable", trial->unavailable, "problem",
	    trial->problem, "seconds", trial->seconds, "steps", steps);
}

void lab_json_row(struct lab_report *report, const struct lab_trial *trials)
{
	const struct lab_scenario *scenario = trials->run.scenario;
	json_t *mtas = json_array(), *row;

	for (size_t i = 0; i < report->driver_count; i++)
		json_array_append_new(mtas,
		    lab_report_trial_object(&trials[i]));
	row = json_pack("{s:s, s:s, s:o, s:o, s:s, s:i, s:o}", "scenario",
	    scenario->name, "title", scenario->title, "clauses",
	    lab_report_texts(&scenario->clauses), "catalogue",
	    lab_report_texts(&scenario->catalogue), "profile",
	    lab_profile_name(trials->run.profile), "round",
	    (int)trials->round, "mtas", mtas);
	json_dumpf(row, report->out, JSON_COMPACT);
	fputc('\n', report->out);
	json_decref(row);
}
