/* SPDX-License-Identifier: ISC */
/*
 * What scenarios there are, and what each is about. Texts are the user's own,
 * which need not be ours.
 */
#include <stdio.h>
#include <string.h>

#include "tools/lab/report_private.h"
#include "tools/lab/text.h"

static json_t *step_object(const struct lab_step *step)
{
	json_t *object = json_pack("{s:s, s:s, s:o, s:s}", "step", step->name,
	    "to", step->to, "faults", lab_report_texts(&step->faults),
	    "expect", lab_outcome_name(step->expect));

	if (step->accept.count > 0)
		json_object_set_new(object, "accept",
		    lab_report_texts(&step->accept));
	if (step->strict[0] != '\0')
		json_object_set_new(object, "strict",
		    json_string(step->strict));
	json_object_set_new(object, "requiretls",
	    json_boolean(step->requiretls));
	json_object_set_new(object, "report",
	    lab_report_texts(&step->report));
	if (step->notification.count > 0)
		json_object_set_new(object, "notification",
		    lab_report_texts(&step->notification));
	return object;
}

static void print_json(const struct lab_scenario *scenario)
{
	char expected[LAB_OUTCOMES_TEXT], strict[LAB_OUTCOMES_TEXT];
	json_t *steps = json_array(), *object;

	lab_report_outcomes(expected, sizeof(expected), scenario,
	    LAB_PROFILE_RFC, NULL);
	lab_report_outcomes(strict, sizeof(strict), scenario,
	    LAB_PROFILE_STRICT, NULL);
	for (size_t i = 0; i < scenario->step_count; i++)
		json_array_append_new(steps,
		    step_object(&scenario->steps[i]));
	object = json_pack("{s:s, s:s, s:s, s:s, s:s, s:o, s:o, s:o, s:b, "
	    "s:o}", "scenario", scenario->name, "title", scenario->title,
	    "expected", expected, "strict", strict, "text", scenario->text,
	    "clauses", lab_report_texts(&scenario->clauses), "catalogue",
	    lab_report_texts(&scenario->catalogue), "source",
	    lab_report_texts(&scenario->source), "in-depth",
	    scenario->in_depth, "steps", steps);
	json_dumpf(object, stdout, JSON_COMPACT);
	putchar('\n');
	json_decref(object);
}

/* "    WORD a, b"; nothing when there is none. */
static void print_texts(const char *word, const struct lab_texts *texts)
{
	if (texts->count == 0)
		return;
	printf("    %s", word);
	for (size_t i = 0; i < texts->count; i++) {
		printf("%s", i > 0 ? ", " : "");
		lab_text_put(stdout, texts->items[i]);
	}
	putchar('\n');
}

/* "; WORD a, b" */
static void print_more(const char *word, const struct lab_texts *texts)
{
	for (size_t i = 0; i < texts->count; i++) {
		printf("%s", i == 0 ? word : ", ");
		lab_text_put(stdout, texts->items[i]);
	}
}

static void print_steps(const struct lab_scenario *scenario)
{
	for (size_t i = 0; i < scenario->step_count; i++) {
		const struct lab_step *step = &scenario->steps[i];

		printf("    step %s: %s", step->name,
		    lab_outcome_name(step->expect));
		for (size_t k = 0; k < step->accept.count; k++)
			printf(" or %s", step->accept.items[k]);
		if (step->strict[0] != '\0')
			printf("; strict: %s", step->strict);
		if (step->requiretls)
			printf("; with REQUIRETLS");
		print_more("; header: ", &step->header);
		print_more("; notification: ", &step->notification);
		print_more("; TLSRPT: ", &step->report);
		putchar('\n');
	}
}

void lab_report_list(struct lab_scenario *const *scenarios, size_t count,
    enum lab_format format, bool details)
{
	int width = 0;

	for (size_t i = 0; i < count; i++)
		if ((int)strlen(scenarios[i]->name) > width)
			width = (int)strlen(scenarios[i]->name);
	for (size_t i = 0; i < count; i++) {
		if (format == LAB_JSON) {
			print_json(scenarios[i]);
			continue;
		}
		printf("%-*s  ", width, scenarios[i]->name);
		lab_text_put(stdout, scenarios[i]->title);
		putchar('\n');
		if (!details)
			continue;
		lab_text_fold(stdout, scenarios[i]->text);
		print_steps(scenarios[i]);
		print_texts("clauses: ", &scenarios[i]->clauses);
		print_texts("catalogue: ", &scenarios[i]->catalogue);
		print_texts("source: ", &scenarios[i]->source);
	}
}
