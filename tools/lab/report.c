/* SPDX-License-Identifier: ISC */
/*
 * What all forms have in common, and the order of things. A row is kept before
 * it is shown, so that what the user reads of is already there.
 */
#include "tools/lab/report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "tools/lab/namespace.h"
#include "tools/lab/report_private.h"
#include "tools/lab/text.h"

enum { RUN_LEAST = 3 };		/* of equal outcomes that are told as one */

const char *lab_profile_name(enum lab_profile profile)
{
	return profile == LAB_PROFILE_STRICT ? "strict" : "rfc";
}

static enum lab_outcome outcome_of(const struct lab_scenario *scenario,
    enum lab_profile profile, const struct lab_trial *trial, size_t i)
{
	return trial != NULL ? trial->verdicts[i].outcome :
	    lab_expected(&scenario->steps[i], profile);
}

/* How many steps from i on have the same. */
static size_t run_length(const struct lab_scenario *scenario,
    enum lab_profile profile, const struct lab_trial *trial, size_t i)
{
	size_t length = 1;

	while (i + length < scenario->step_count && outcome_of(scenario,
	    profile, trial, i + length) == outcome_of(scenario, profile,
	    trial, i))
		length++;
	return length;
}

void lab_report_outcomes(char *out, size_t size,
    const struct lab_scenario *scenario, enum lab_profile profile,
    const struct lab_trial *trial)
{
	size_t used = 0, length;

	out[0] = '\0';
	for (size_t i = 0; i < scenario->step_count && used < size;
	    i += length) {
		char times[32] = "";

		length = run_length(scenario, profile, trial, i);
		if (length < RUN_LEAST)
			length = 1;
		else
			snprintf(times, sizeof(times), " x %zu", length);
		used += (size_t)snprintf(out + used, size - used, "%s%s%s",
		    i > 0 ? ", " : "", lab_outcome_name(outcome_of(scenario,
		    profile, trial, i)), times);
	}
}

void lab_report_name(char *out, size_t size, const struct lab_report *report,
    const struct lab_trial *trial)
{
	const char *name = trial->run.scenario->name;
	const char *profile = lab_profile_name(trial->run.profile);
	bool round = report->rounds > 1;

	if (report->profiles && round)
		snprintf(out, size, "%s [%s, round %u]", name, profile,
		    trial->round);
	else if (report->profiles)
		snprintf(out, size, "%s [%s]", name, profile);
	else if (round)
		snprintf(out, size, "%s [round %u]", name, trial->round);
	else
		snprintf(out, size, "%s", name);
}

bool lab_report_is_wrong(const struct lab_trial *trial, size_t step)
{
	enum lab_mark mark = trial->verdicts[step].mark;

	return mark != LAB_CORRECT && mark != LAB_NOT_APPLICABLE;
}

char *lab_report_reason(const struct lab_trial *trial, size_t step)
{
	const struct lab_step *about = &trial->run.scenario->steps[step];
	const struct lab_verdict *verdict = &trial->verdicts[step];

	if (!lab_report_is_wrong(trial, step))
		return NULL;
	/* What is said of a failed run says nothing about outcomes. */
	if (verdict->mark == LAB_FAILED)
		return mem_print("step %s: failed: %s", about->name,
		    verdict->said);
	return mem_print("step %s: %s: expected %s; %s", about->name,
	    lab_mark_name(verdict->mark), lab_outcome_name(lab_expected(about,
	    trial->run.profile)), verdict->said);
}

/* A sentence that a step had is the trial's as well, and may be cut there. */
const char *lab_report_problem(const struct lab_trial *trial)
{
	for (size_t i = 0; trial->problem != NULL &&
	    i < trial->run.scenario->step_count; i++) {
		const char *said = trial->verdicts[i].said;

		if (*said != '\0' && strncmp(trial->problem, said,
		    strlen(said)) == 0)
			return NULL;
	}
	return trial->problem;
}

/* --- what is kept --- */

char *lab_report_stem(const struct lab_report *report,
    const struct lab_trial *trial)
{
	char round[16] = "";

	if (report->rounds > 1)
		snprintf(round, sizeof(round), ".%u", trial->round);
	return mem_print("%s.%s%s%s", trial->run.scenario->name,
	    trial->run.driver->name,
	    trial->run.profile == LAB_PROFILE_STRICT ? ".strict" : "", round);
}

static void keep_part(struct lab_report *report, const char *stem,
    const char *ending, const char *text)
{
	char *name = mem_print("%s.%s", stem, ending);

	lab_keep_text(report->keep, name, text);
	mem_free(name);
}

static void keep_result(struct lab_report *report,
    const struct lab_trial *trial, const char *stem)
{
	char *file = mem_print("%s.json", stem);

	lab_keep_line(report->keep, json_pack(
	    "{s:s, s:s, s:s, s:i, s:s, s:s}", "scenario",
	    trial->run.scenario->name, "mta", trial->run.driver->name,
	    "profile", lab_profile_name(trial->run.profile), "round",
	    (int)trial->round, "mark", lab_mark_name(trial->mark), "file",
	    file));
	mem_free(file);
}

static void keep_trial(struct lab_report *report,
    const struct lab_trial *trial)
{
	json_t *object = lab_report_trial_object(trial);
	char *text = json_dumps(object, JSON_INDENT(1));
	char *stem = lab_report_stem(report, trial);

	keep_part(report, stem, "json", text);
	keep_part(report, stem, "log", json_string_value(json_object_get(
	    trial->seen, "log")));
	keep_part(report, stem, "twin.log", json_string_value(
	    json_object_get(trial->twin, "log")));
	keep_result(report, trial, stem);
	mem_free(stem);
	free(text);
	json_decref(object);
}

/* --- in order --- */

void lab_report_begin(struct lab_report *report,
    const struct lab_trial *trials, size_t count)
{
	if (report->format == LAB_TABLE)
		lab_table_begin(report, trials, count);
	else if (report->format == LAB_TAP)
		fprintf(report->out, "TAP version 14\n1..%zu\n",
		    count / report->driver_count);
	fflush(report->out);
}

void lab_report_row(struct lab_report *report, const struct lab_trial *trials)
{
	report->number++;
	for (size_t i = 0; report->keep != NULL && i < report->driver_count;
	    i++)
		keep_trial(report, &trials[i]);
	if (report->format == LAB_TABLE)
		lab_table_row(report, trials);
	else if (report->format == LAB_JSON)
		lab_json_row(report, trials);
	else if (report->format == LAB_TAP)
		lab_tap_row(report, trials);
	fflush(report->out);
}

/* Of the first trial of a round on: the same one in the round after; null when
 * this is the last. Rounds follow each other and are all of one length. */
static const struct lab_trial *next_round(const struct lab_report *report,
    const struct lab_trial *trials, size_t count, size_t i)
{
	size_t length = count / report->rounds;

	return i + length < count ? &trials[i + length] : NULL;
}

/* Names what is not the same in all rounds. */
static bool tell_differences(const struct lab_report *report,
    const struct lab_trial *trials, size_t count)
{
	size_t length = count / report->rounds;
	bool found = false;

	for (size_t i = 0; i < length; i++) {
		const struct lab_trial *next = &trials[i];
		bool differs = false;

		for (size_t k = i; (next = next_round(report, trials, count,
		    k)) != NULL; k += length)
			if (next->mark != trials[i].mark)
				differs = true;
		if (!differs)
			continue;
		found = true;
		fprintf(stderr, "postern-lab: %s with %s (profile %s) differs "
		    "between rounds:", trials[i].run.scenario->name,
		    trials[i].run.driver->name,
		    lab_profile_name(trials[i].run.profile));
		for (size_t k = i; k < count; k += length)
			fprintf(stderr, "%s %s", k == i ? "" : ",",
			    lab_mark_name(trials[k].mark));
		fputc('\n', stderr);
	}
	return found;
}

int lab_report_end(struct lab_report *report, const struct lab_trial *trials,
    size_t count)
{
	bool wrong, skipped = false;

	if (report->format == LAB_TABLE)
		lab_table_end(report, trials, count);
	else if (report->format == LAB_JUNIT)
		lab_junit_end(report, trials, count);
	fflush(report->out);
	wrong = tell_differences(report, trials, count);
	for (size_t i = 0; i < count; i += report->driver_count) {
		if (trials[i].mark == LAB_NOT_APPLICABLE)
			skipped = true;
		else if (trials[i].mark != LAB_CORRECT)
			wrong = true;
	}
	if (wrong || (report->keep != NULL && lab_keep_failed(report->keep)))
		return 1;
	return skipped ? LAB_UNAVAILABLE : 0;
}
