/* SPDX-License-Identifier: ISC */
/*
 * The Test Anything Protocol, version 14: a test a row, judged by the first
 * MTA; the others are in the block below it.
 */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "tools/lab/report_private.h"
#include "tools/lab/text.h"

static void print_block(const struct lab_report *report,
    const struct lab_trial *trials)
{
	char outcomes[LAB_OUTCOMES_TEXT];
	double seconds = 0;

	for (size_t i = 0; i < report->driver_count; i++)
		seconds += trials[i].seconds;
	fprintf(report->out, "  ---\n  duration_ms: %.0f\n", 1000 * seconds);
	for (size_t i = 0; i < report->driver_count; i++) {
		bool bare = trials[i].mark == LAB_NOT_APPLICABLE ||
		    trials[i].mark == LAB_FAILED;

		lab_report_outcomes(outcomes, sizeof(outcomes),
		    trials->run.scenario, trials->run.profile, &trials[i]);
		fprintf(report->out, "  %s: \"%s%s%s\"\n",
		    trials[i].run.driver->name,
		    lab_mark_name(trials[i].mark), bare ? "" : ": ",
		    bare ? "" : outcomes);
	}
	fprintf(report->out, "  ...\n");
}

static void print_comment(const struct lab_report *report, const char *text)
{
	fprintf(report->out, "# ");
	lab_text_put(report->out, text);
	fputc('\n', report->out);
}

void lab_tap_row(struct lab_report *report, const struct lab_trial *trials)
{
	bool skipped = trials->mark == LAB_NOT_APPLICABLE;
	char name[LAB_ROW_TEXT];

	lab_report_name(name, sizeof(name), report, trials);
	fprintf(report->out, "%sok %zu - %s", skipped ||
	    trials->mark == LAB_CORRECT ? "" : "not ", report->number, name);
	if (skipped) {
		fprintf(report->out, " # SKIP ");
		lab_text_put(report->out, trials->unavailable != NULL ?
		    trials->unavailable : "not applicable");
	}
	fputc('\n', report->out);
	print_block(report, trials);
	if (lab_report_problem(trials) != NULL)
		print_comment(report, trials->problem);
	for (size_t i = 0; i < trials->run.scenario->step_count; i++) {
		char *reason = lab_report_reason(trials, i);

		if (reason != NULL && trials->unavailable == NULL)
			print_comment(report, reason);
		mem_free(reason);
	}
}
