/* SPDX-License-Identifier: ISC */
/*
 * Printing. Texts of scenarios are the user's own; what an MTA said was made
 * safe by JSON or is cut to printable bytes here.
 */
#include "tools/lab/report.h"

#include <errno.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config.h"
#include "tools/lab/namespace.h"

/* Standard output as text that a terminal may see. */
static void put_safe(const char *text)
{
	for (; *text != '\0'; text++)
		putchar((unsigned char)*text < ' ' || *text == 127 ? '?' :
		    *text);
}

/* "deferred, authenticated": what was expected, or what came of it. */
static void join_outcomes(char *out, size_t size,
    const struct lab_scenario *scenario, const struct lab_trial *trial)
{
	size_t used = 0;

	out[0] = '\0';
	for (size_t i = 0; i < scenario->step_count && used < size; i++)
		used += (size_t)snprintf(out + used, size - used, "%s%s",
		    i > 0 ? ", " : "", lab_outcome_name(trial != NULL ?
		    trial->verdicts[i].outcome : scenario->steps[i].expect));
}

static int widest(int width, size_t length)
{
	return (int)length > width ? (int)length : width;
}

void lab_report_begin(struct lab_report *report,
    struct lab_scenario *const *scenarios, size_t count)
{
	char expected[300];

	report->planned = count;
	report->name_width = (int)strlen("SCENARIO");
	report->expected_width = (int)strlen("EXPECTED");
	for (size_t i = 0; i < count; i++) {
		join_outcomes(expected, sizeof(expected), scenarios[i], NULL);
		report->name_width = widest(report->name_width,
		    strlen(scenarios[i]->name));
		report->expected_width = widest(report->expected_width,
		    strlen(expected));
	}
	report->cell_width = report->expected_width + (int)strlen("WRONG ");
	if (report->format == LAB_TAP)
		printf("TAP version 14\n1..%zu\n", count);
	if (report->format != LAB_TABLE)
		return;
	printf("%-*s  %-*s", report->name_width, "SCENARIO",
	    report->expected_width, "EXPECTED");
	for (size_t i = 0; i < report->driver_count; i++)
		printf("  %-*s", report->cell_width, report->drivers[i].name);
	printf("  SECONDS\n");
}

static double seconds_of(const struct lab_report *report,
    const struct lab_trial *trials)
{
	double seconds = 0;

	for (size_t i = 0; i < report->driver_count; i++)
		seconds += trials[i].seconds;
	return seconds;
}

/* --- the table --- */

static void print_reasons(const struct lab_trial *trial)
{
	const struct lab_scenario *scenario = trial->run.scenario;

	if (trial->unavailable != NULL) {
		printf("    %s cannot be judged here: ",
		    trial->run.driver->name);
		put_safe(trial->unavailable);
		putchar('\n');
		return;
	}
	if (trial->problem != NULL) {
		printf("    %s: ", trial->run.driver->name);
		put_safe(trial->problem);
		putchar('\n');
	}
	for (size_t i = 0; i < scenario->step_count; i++) {
		if (trial->verdicts[i].correct || trial->problem != NULL)
			continue;
		printf("    %s, step %s: expected %s; ",
		    trial->run.driver->name, scenario->steps[i].name,
		    lab_outcome_name(scenario->steps[i].expect));
		put_safe(trial->verdicts[i].said);
		putchar('\n');
	}
}

static void print_row(struct lab_report *report,
    const struct lab_trial *trials)
{
	char text[300], cell[320];

	join_outcomes(text, sizeof(text), trials->run.scenario, NULL);
	printf("%-*s  %-*s", report->name_width, trials->run.scenario->name,
	    report->expected_width, text);
	for (size_t i = 0; i < report->driver_count; i++) {
		join_outcomes(text, sizeof(text), trials->run.scenario,
		    &trials[i]);
		/* The run itself failed: nothing is said about the MTA. */
		if (trials[i].unavailable != NULL)
			snprintf(cell, sizeof(cell), "skip");
		else if (trials[i].problem != NULL)
			snprintf(cell, sizeof(cell), "ERROR");
		else
			snprintf(cell, sizeof(cell), "%s %s",
			    trials[i].correct ? "ok   " : "WRONG", text);
		printf("  %-*s", report->cell_width, cell);
	}
	printf("  %7.1f\n", seconds_of(report, trials));
	for (size_t i = 0; i < report->driver_count; i++)
		print_reasons(&trials[i]);
}

/* --- JSON --- */

static void set_array(json_t *object, const char *key, json_t *from,
    const char *member)
{
	json_t *array = json_object_get(from, member);

	if (array != NULL)
		json_object_set(object, key, array);
}

static json_t *step_object(const struct lab_trial *trial, size_t i)
{
	const struct lab_step *step = &trial->run.scenario->steps[i];
	const struct lab_verdict *verdict = &trial->verdicts[i];
	json_t *seen = json_array_get(json_object_get(trial->seen, "steps"),
	    i);
	json_t *twin = json_array_get(json_object_get(trial->twin, "steps"),
	    i);
	json_t *object = json_pack("{s:s, s:s, s:s, s:b, s:s*}", "step",
	    step->name, "expected", lab_outcome_name(step->expect), "outcome",
	    lab_outcome_name(verdict->outcome), "correct", verdict->correct,
	    "said", verdict->said);

	set_array(object, "reply", seen, "reply");
	set_array(object, "marker", seen, "marker");
	set_array(object, "events", seen, "events");
	set_array(object, "healed", seen, "healed");
	set_array(object, "twin", twin, "events");
	return object;
}

static json_t *trial_object(const struct lab_trial *trial)
{
	json_t *steps = json_array();

	for (size_t i = 0; trial->unavailable == NULL &&
	    i < trial->run.scenario->step_count; i++)
		json_array_append_new(steps, step_object(trial, i));
	return json_pack("{s:s, s:b, s:s?, s:s?, s:f, s:o}", "mta",
	    trial->run.driver->name, "correct", trial->correct &&
	    trial->unavailable == NULL, "unavailable", trial->unavailable,
	    "problem", trial->problem, "seconds", trial->seconds, "steps",
	    steps);
}

static json_t *text_array(const struct lab_texts *texts)
{
	json_t *array = json_array();

	for (size_t i = 0; i < texts->count; i++)
		json_array_append_new(array, json_string(texts->items[i]));
	return array;
}

static json_t *step_array(const struct lab_scenario *scenario)
{
	json_t *array = json_array();

	for (size_t i = 0; i < scenario->step_count; i++) {
		const struct lab_step *step = &scenario->steps[i];

		json_array_append_new(array, json_pack("{s:s, s:s, s:o, s:s}",
		    "step", step->name, "to", step->to, "faults",
		    text_array(&step->faults), "expect",
		    lab_outcome_name(step->expect)));
	}
	return array;
}

static void print_line(json_t *object)
{
	json_dumpf(object, stdout, JSON_COMPACT);
	putchar('\n');
	json_decref(object);
}

static void print_json(const struct lab_report *report,
    const struct lab_trial *trials)
{
	json_t *mtas = json_array();

	for (size_t i = 0; i < report->driver_count; i++)
		json_array_append_new(mtas, trial_object(&trials[i]));
	print_line(json_pack("{s:s, s:s, s:o, s:o}", "scenario",
	    trials->run.scenario->name, "title", trials->run.scenario->title,
	    "clauses", text_array(&trials->run.scenario->clauses), "mtas",
	    mtas));
}

/* --- TAP 14 --- */

static void print_tap(struct lab_report *report,
    const struct lab_trial *trials)
{
	bool ok = trials->correct || trials->unavailable != NULL;
	char text[300];

	printf("%sok %zu - %s", ok ? "" : "not ", report->number,
	    trials->run.scenario->name);
	if (trials->unavailable != NULL) {
		printf(" # SKIP ");
		put_safe(trials->unavailable);
	}
	printf("\n  ---\n  duration_ms: %.0f\n",
	    1000 * seconds_of(report, trials));
	for (size_t i = 0; i < report->driver_count; i++) {
		join_outcomes(text, sizeof(text), trials->run.scenario,
		    &trials[i]);
		printf("  %s: \"%s%s\"\n", trials[i].run.driver->name,
		    trials[i].unavailable != NULL ? "skipped" :
		    trials[i].problem != NULL ? "ERROR" :
		    trials[i].correct ? "ok: " : "WRONG: ",
		    trials[i].unavailable != NULL ||
		    trials[i].problem != NULL ? "" : text);
	}
	printf("  ...\n");
	for (size_t i = 0; i < trials->run.scenario->step_count &&
	    trials->unavailable == NULL; i++)
		if (!trials->verdicts[i].correct) {
			printf("# step %s: expected %s; ",
			    trials->run.scenario->steps[i].name,
			    lab_outcome_name(
			    trials->run.scenario->steps[i].expect));
			put_safe(trials->verdicts[i].said);
			putchar('\n');
		}
}

/* --- what is kept --- */

static void keep_text(struct lab_report *report,
    const struct lab_trial *trial, const char *ending, const char *text)
{
	char path[PATH_MAX];
	FILE *file;

	if (text == NULL)
		return;
	snprintf(path, sizeof(path), "%s/%s.%s.%s", report->keep,
	    trial->run.scenario->name, trial->run.driver->name, ending);
	file = fopen(path, "we");
	if (file == NULL || fputs(text, file) == EOF || fclose(file) != 0) {
		if (!report->keep_failed)
			fprintf(stderr, "postern-lab: %s: %s\n", path,
			    strerror(errno));
		report->keep_failed = true;
	}
}

static void keep_trial(struct lab_report *report,
    const struct lab_trial *trial)
{
	json_t *object = trial_object(trial);
	char *text = json_dumps(object, JSON_INDENT(1));

	keep_text(report, trial, "json", text);
	keep_text(report, trial, "log", json_string_value(json_object_get(
	    trial->seen, "log")));
	keep_text(report, trial, "twin.log", json_string_value(
	    json_object_get(trial->twin, "log")));
	free(text);
	json_decref(object);
}

void lab_report_scenario(struct lab_report *report,
    const struct lab_trial *trials)
{
	report->number++;
	if (trials->unavailable != NULL)
		report->skipped++;
	else if (trials->correct)
		report->correct++;
	else
		report->wrong++;
	if (report->format == LAB_TABLE)
		print_row(report, trials);
	else if (report->format == LAB_JSON)
		print_json(report, trials);
	else
		print_tap(report, trials);
	for (size_t i = 0; report->keep != NULL && i < report->driver_count;
	    i++)
		keep_trial(report, &trials[i]);
	fflush(stdout);
}

int lab_report_end(struct lab_report *report)
{
	if (report->format == LAB_TABLE) {
		printf("%s: %zu correct, %zu wrong", report->drivers->name,
		    report->correct, report->wrong);
		if (report->skipped > 0)
			printf(", %zu skipped", report->skipped);
		putchar('\n');
	}
	fflush(stdout);
	if (report->wrong > 0 || report->keep_failed)
		return 1;
	return report->skipped > 0 ? LAB_UNAVAILABLE : 0;
}

/* --- list --- */

/* Words in lines of 76 columns, indented. */
static void print_folded(const char *text)
{
	int column = 0;

	while (*(text += strspn(text, " ")) != '\0') {
		int length = (int)strcspn(text, " ");

		if (column > 0 && column + 1 + length > 72) {
			putchar('\n');
			column = 0;
		}
		column += printf("%s%.*s", column == 0 ? "    " : " ", length,
		    text) - (column == 0 ? 4 : 0);
		text += length;
	}
	if (column > 0)
		putchar('\n');
}

static void print_details(const struct lab_scenario *scenario)
{
	print_folded(scenario->text);
	if (scenario->clauses.count == 0)
		return;
	printf("    (");
	for (size_t i = 0; i < scenario->clauses.count; i++)
		printf("%s%s", i > 0 ? ", " : "",
		    scenario->clauses.items[i]);
	printf(")\n");
}

void lab_report_list(struct lab_scenario *const *scenarios, size_t count,
    enum lab_format format, bool details)
{
	char expected[300];
	int width = 0;

	for (size_t i = 0; i < count; i++)
		width = widest(width, strlen(scenarios[i]->name));
	for (size_t i = 0; i < count; i++) {
		join_outcomes(expected, sizeof(expected), scenarios[i], NULL);
		if (format == LAB_JSON)
			print_line(json_pack("{s:s, s:s, s:s, s:s, s:o, s:o}",
			    "scenario", scenarios[i]->name, "title",
			    scenarios[i]->title, "expected", expected, "text",
			    scenarios[i]->text, "clauses",
			    text_array(&scenarios[i]->clauses),
			    "steps", step_array(scenarios[i])));
		else
			printf("%-*s  %s\n", width, scenarios[i]->name,
			    scenarios[i]->title);
		if (format != LAB_JSON && details)
			print_details(scenarios[i]);
	}
}
