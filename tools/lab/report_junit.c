/* SPDX-License-Identifier: ISC */
/*
 * JUnit's XML, in the form that CI systems agree on: a testsuite for each MTA
 * (and profile, when both were asked for), a testcase for each scenario. What
 * the server did wrong is a failure whose type is the mark; a run that went
 * wrong is an error; what cannot be judged is skipped.
 */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "tools/lab/report_private.h"
#include "tools/lab/text.h"

struct totals {
	size_t	tests, failures, errors, skipped;
	double	seconds;
};

static void attribute(FILE *out, const char *name, const char *value)
{
	fprintf(out, " %s=\"", name);
	lab_text_put_xml(out, value);
	fputc('"', out);
}

/* All sentences, a line each. */
static void put_reasons(FILE *out, const struct lab_trial *trial)
{
	if (lab_report_problem(trial) != NULL) {
		lab_text_put_xml(out, trial->problem);
		fputc('\n', out);
	}
	for (size_t i = 0; i < trial->run.scenario->step_count; i++) {
		char *reason = lab_report_reason(trial, i);

		if (reason == NULL)
			continue;
		lab_text_put_xml(out, reason);
		fputc('\n', out);
		mem_free(reason);
	}
}

/* The sentence of the step whose mark is the scenario's; of a run that failed,
 * why it did. */
static char *first_reason(const struct lab_trial *trial)
{
	if (trial->mark == LAB_FAILED && lab_report_problem(trial) != NULL)
		return mem_dup_string(trial->problem);
	for (size_t i = 0; i < trial->run.scenario->step_count; i++)
		if (trial->verdicts[i].mark == trial->mark &&
		    lab_report_is_wrong(trial, i))
			return lab_report_reason(trial, i);
	return mem_dup_string(trial->problem != NULL ? trial->problem :
	    lab_mark_name(trial->mark));
}

static void put_verdict(FILE *out, const struct lab_trial *trial)
{
	const char *element = trial->mark == LAB_FAILED ? "error" : "failure";
	char *reason;

	if (trial->mark == LAB_NOT_APPLICABLE) {
		fputs("<skipped", out);
		attribute(out, "message", trial->unavailable != NULL ?
		    trial->unavailable : "not applicable");
		fputs("/>", out);
		return;
	}
	reason = first_reason(trial);
	fprintf(out, "<%s", element);
	attribute(out, "type", lab_mark_name(trial->mark));
	attribute(out, "message", reason);
	fputc('>', out);
	put_reasons(out, trial);
	fprintf(out, "</%s>", element);
	mem_free(reason);
}

static void put_case(const struct lab_report *report, const char *suite,
    const struct lab_trial *trial)
{
	char name[LAB_ROW_TEXT];

	if (report->rounds > 1)
		snprintf(name, sizeof(name), "%s [round %u]",
		    trial->run.scenario->name, trial->round);
	else
		snprintf(name, sizeof(name), "%s", trial->run.scenario->name);
	fputs("  <testcase", report->out);
	attribute(report->out, "classname", suite);
	attribute(report->out, "name", name);
	fprintf(report->out, " time=\"%.3f\"", trial->seconds);
	if (trial->mark == LAB_CORRECT) {
		fputs("/>\n", report->out);
		return;
	}
	fputc('>', report->out);
	put_verdict(report->out, trial);
	fputs("</testcase>\n", report->out);
}

static void count_trial(struct totals *totals, const struct lab_trial *trial)
{
	totals->tests++;
	totals->seconds += trial->seconds;
	if (trial->mark == LAB_FAILED)
		totals->errors++;
	else if (trial->mark == LAB_NOT_APPLICABLE)
		totals->skipped++;
	else if (trial->mark != LAB_CORRECT)
		totals->failures++;
}

static void put_totals(FILE *out, const struct totals *totals)
{
	fprintf(out, " tests=\"%zu\" failures=\"%zu\" errors=\"%zu\" "
	    "skipped=\"%zu\" time=\"%.3f\">\n", totals->tests,
	    totals->failures, totals->errors, totals->skipped,
	    totals->seconds);
}

static void put_suite(const struct lab_report *report,
    const struct lab_trial *trials, size_t count, enum lab_profile profile)
{
	const char *mta = trials->run.driver->name;
	char *suite = report->profiles ? mem_print("%s.%s", mta,
	    lab_profile_name(profile)) : mem_dup_string(mta);
	struct totals totals = { 0 };

	for (size_t i = 0; i < count; i += report->driver_count)
		if (trials[i].run.profile == profile)
			count_trial(&totals, &trials[i]);
	if (totals.tests > 0) {
		fputs(" <testsuite", report->out);
		attribute(report->out, "name", suite);
		put_totals(report->out, &totals);
		for (size_t i = 0; i < count; i += report->driver_count)
			if (trials[i].run.profile == profile)
				put_case(report, suite, &trials[i]);
		fputs(" </testsuite>\n", report->out);
	}
	mem_free(suite);
}

void lab_junit_end(struct lab_report *report, const struct lab_trial *trials,
    size_t count)
{
	struct totals totals = { 0 };

	for (size_t i = 0; i < count; i++)
		count_trial(&totals, &trials[i]);
	fputs("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
	    "<testsuites name=\"postern-lab\"", report->out);
	put_totals(report->out, &totals);
	for (size_t k = 0; k < report->driver_count; k++) {
		put_suite(report, trials + k, count - k, LAB_PROFILE_RFC);
		put_suite(report, trials + k, count - k, LAB_PROFILE_STRICT);
	}
	fputs("</testsuites>\n", report->out);
}
