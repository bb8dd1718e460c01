/* SPDX-License-Identifier: ISC */
/*
 * The table: a row each, below it what is wrong with it; then what the marks
 * mean, how often each was given, and where the evidence is.
 */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "tools/lab/report_private.h"
#include "tools/lab/text.h"

/* Of a mark in a cell; "not applicable" and "failed" stand alone. */
enum { MARK_WIDTH = 10 };

static int widest(int width, size_t length)
{
	return (int)length > width ? (int)length : width;
}

void lab_table_begin(struct lab_report *report,
    const struct lab_trial *trials, size_t count)
{
	char text[LAB_OUTCOMES_TEXT];

	report->name_width = (int)strlen("SCENARIO");
	report->expected_width = (int)strlen("EXPECTED");
	for (size_t i = 0; i < count; i += report->driver_count) {
		lab_report_name(text, sizeof(text), report, &trials[i]);
		report->name_width = widest(report->name_width, strlen(text));
		lab_report_outcomes(text, sizeof(text), trials[i].run.scenario,
		    trials[i].run.profile, NULL);
		report->expected_width = widest(report->expected_width,
		    strlen(text));
	}
	report->cell_width = MARK_WIDTH + 2 + report->expected_width;
	fprintf(report->out, "%-*s  %-*s", report->name_width, "SCENARIO",
	    report->expected_width, "EXPECTED");
	for (size_t i = 0; i < report->driver_count; i++)
		fprintf(report->out, "  %-*s", report->cell_width,
		    report->drivers[i].name);
	fprintf(report->out, "  SECONDS\n");
}

static void print_reasons(const struct lab_report *report,
    const struct lab_trial *trial)
{
	const char *said = trial->unavailable != NULL ? trial->unavailable :
	    trial->mark == LAB_FAILED ? trial->problem : NULL;

	if (said != NULL) {
		fprintf(report->out, "    %s%s: ", trial->run.driver->name,
		    trial->unavailable != NULL ? " cannot be judged here" :
		    "");
		lab_text_put(report->out, said);
		fputc('\n', report->out);
		return;
	}
	for (size_t i = 0; i < trial->run.scenario->step_count; i++) {
		char *reason = lab_report_reason(trial, i);

		if (reason == NULL)
			continue;
		fprintf(report->out, "    %s, ", trial->run.driver->name);
		lab_text_put(report->out, reason);
		fputc('\n', report->out);
		mem_free(reason);
	}
}

static void print_cell(const struct lab_report *report,
    const struct lab_trial *trial)
{
	char outcomes[LAB_OUTCOMES_TEXT], cell[LAB_OUTCOMES_TEXT + 20];

	lab_report_outcomes(outcomes, sizeof(outcomes), trial->run.scenario,
	    trial->run.profile, trial);
	if (trial->mark == LAB_NOT_APPLICABLE || trial->mark == LAB_FAILED)
		snprintf(cell, sizeof(cell), "%s", lab_mark_name(trial->mark));
	else
		snprintf(cell, sizeof(cell), "%-*s  %s", MARK_WIDTH,
		    lab_mark_name(trial->mark), outcomes);
	fprintf(report->out, "  %-*s", report->cell_width, cell);
}

void lab_table_row(struct lab_report *report, const struct lab_trial *trials)
{
	char name[LAB_ROW_TEXT], expected[LAB_OUTCOMES_TEXT];
	double seconds = 0;

	lab_report_name(name, sizeof(name), report, trials);
	lab_report_outcomes(expected, sizeof(expected), trials->run.scenario,
	    trials->run.profile, NULL);
	fprintf(report->out, "%-*s  %-*s", report->name_width, name,
	    report->expected_width, expected);
	for (size_t i = 0; i < report->driver_count; i++) {
		print_cell(report, &trials[i]);
		seconds += trials[i].seconds;
	}
	fprintf(report->out, "  %7.1f\n", seconds);
	for (size_t i = 0; i < report->driver_count; i++)
		print_reasons(report, &trials[i]);
}

static void print_score(const struct lab_report *report,
    const struct lab_trial *trials, size_t count, enum lab_profile profile)
{
	for (size_t k = 0; k < report->driver_count; k++) {
		size_t numbers[LAB_MARKS] = { 0 };
		bool any = false;

		for (size_t i = k; i < count; i += report->driver_count)
			if (trials[i].run.profile == profile) {
				numbers[trials[i].mark]++;
				any = true;
			}
		if (!any)
			continue;
		fprintf(report->out, "%s", report->drivers[k].name);
		if (profile == LAB_PROFILE_STRICT || report->profiles)
			fprintf(report->out, " [%s]",
			    lab_profile_name(profile));
		for (int mark = 0; mark < LAB_MARKS; mark++)
			fprintf(report->out, "%s %zu %s", mark == 0 ? ":" :
			    ",", numbers[mark],
			    lab_mark_name((enum lab_mark)mark));
		fputc('\n', report->out);
	}
}

void lab_table_end(struct lab_report *report, const struct lab_trial *trials,
    size_t count)
{
	fprintf(report->out, "\ntoo lax: it let happen what may not; too "
	    "strict: it did not do what it should;\nfailed: the run itself, "
	    "which says nothing of the server\n");
	print_score(report, trials, count, LAB_PROFILE_RFC);
	print_score(report, trials, count, LAB_PROFILE_STRICT);
	if (report->keep != NULL)
		fprintf(report->out, "what was seen: %s; postern lab show "
		    "explains it\n", lab_keep_directory(report->keep));
}
