/* SPDX-License-Identifier: ISC */
/*
 * Worlds are made, run and forgotten in slices, so that memory does not grow
 * with their number. Whatever is not correct is told at once, with its
 * scenario; what was seen in it is kept beside that when there is a place.
 */
#include "tools/lab/random.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/control.h"
#include "base/mem.h"
#include "tools/lab/compose.h"
#include "tools/lab/driver.h"
#include "tools/lab/namespace.h"
#include "tools/lab/scenario_write.h"
#include "tools/lab/trial.h"

enum { SLICE = 50 };

struct session {
	const struct lab_random	*request;
	struct lab_trial	*trials;	/* of this slice */
	unsigned		 done;
	unsigned		 marks[LAB_MARKS];
	bool			 keep_failed;
};

/* --- scenarios as texts --- */

/* Owned by the caller, to be freed with free(3). */
static char *text_of(const struct lab_scenario *scenario)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	if (out == NULL)
		return NULL;
	lab_scenario_write(scenario, out);
	fclose(out);
	return text;
}

/* Each line behind prefix. */
static void print_lines(const char *text, const char *prefix)
{
	while (*text != '\0') {
		size_t length = strcspn(text, "\n");

		printf("%s%.*s\n", prefix, (int)length, text);
		text += length + (text[length] == '\n');
	}
}

static void print_scenario(const struct lab_scenario *scenario,
    const char *prefix)
{
	char *text = text_of(scenario);

	printf("%s# %s.scenario\n", prefix, scenario->name);
	if (text != NULL)
		print_lines(text, prefix);
	printf("%s\n", prefix);
	free(text);
}

/* --- what is kept --- */

static void keep_text(struct session *session, const char *name,
    const char *ending, const char *text)
{
	char *path = mem_print("%s/%s.%s", session->request->keep, name,
	    ending);
	FILE *file = fopen(path, "we");

	if (text == NULL || file == NULL || fputs(text, file) == EOF ||
	    fflush(file) == EOF) {
		if (!session->keep_failed)
			fprintf(stderr, "postern-lab: %s: %s\n", path,
			    strerror(errno));
		session->keep_failed = true;
	}
	if (file != NULL)
		fclose(file);
	mem_free(path);
}

static void keep(struct session *session, const struct lab_trial *trial)
{
	const struct lab_scenario *scenario = trial->run.scenario;
	char *text = text_of(scenario), *seen;
	json_t *both = json_pack("{s:s, s:O?, s:O?}", "scenario",
	    scenario->name, "seen", trial->seen, "twin", trial->twin);

	seen = both != NULL ? json_dumps(both, JSON_INDENT(1)) : NULL;
	keep_text(session, scenario->name, "scenario", text);
	keep_text(session, scenario->name, "json", seen);
	json_decref(both);
	free(seen);
	free(text);
}

/* --- what is said --- */

/* The step that is to blame, and what is said of it; null: of none. */
static const struct lab_verdict *worst(const struct lab_trial *trial,
    const struct lab_step **step)
{
	*step = NULL;
	for (size_t i = 0; trial->verdicts != NULL &&
	    i < trial->run.scenario->step_count; i++) {
		if (trial->verdicts[i].mark != trial->mark)
			continue;
		*step = &trial->run.scenario->steps[i];
		return &trial->verdicts[i];
	}
	return NULL;
}

static const char *reason(const struct lab_trial *trial)
{
	const struct lab_step *step;
	const struct lab_verdict *verdict = worst(trial, &step);

	if (trial->problem != NULL)
		return trial->problem;
	if (trial->unavailable != NULL)
		return trial->unavailable;
	return verdict != NULL ? verdict->said : "";
}

static void say_expected(const struct lab_step *step)
{
	printf("    expected %s", lab_outcome_name(step->expect));
	for (size_t i = 0; i < step->accept.count; i++)
		printf(" or %s", step->accept.items[i]);
	printf(" in step %s\n", step->name);
}

static void tell_table(const struct session *session,
    const struct lab_trial *trial)
{
	const struct lab_step *step;

	if (trial->mark == LAB_CORRECT)
		return;
	printf("%s: %s: %s\n", trial->run.scenario->name,
	    lab_mark_name(trial->mark), reason(trial));
	worst(trial, &step);
	if (step != NULL)
		say_expected(step);
	printf("    %s\n", trial->run.scenario->text);
	if (session->request->keep == NULL)
		print_scenario(trial->run.scenario, "");
}

static void tell_tap(const struct session *session,
    const struct lab_trial *trial)
{
	bool skipped = trial->mark == LAB_NOT_APPLICABLE;

	printf("%s %u - %s%s%s\n", skipped || trial->mark == LAB_CORRECT ?
	    "ok" : "not ok", session->done, trial->run.scenario->name,
	    skipped ? " # SKIP " : "", skipped ? reason(trial) : "");
	if (skipped || trial->mark == LAB_CORRECT)
		return;
	printf("# %s: %s\n", lab_mark_name(trial->mark), reason(trial));
	if (session->request->keep == NULL)
		print_scenario(trial->run.scenario, "# ");
}

static json_t *steps_of(const struct lab_trial *trial)
{
	json_t *steps = json_array();

	for (size_t i = 0; trial->verdicts != NULL &&
	    i < trial->run.scenario->step_count; i++) {
		const struct lab_step *step = &trial->run.scenario->steps[i];
		const struct lab_verdict *verdict = &trial->verdicts[i];
		json_t *accept = json_array();

		for (size_t k = 0; k < step->accept.count; k++)
			json_array_append_new(accept,
			    json_string(step->accept.items[k]));
		json_array_append_new(steps, json_pack(
		    "{s:s, s:s, s:o, s:s, s:s, s:s}", "name", step->name,
		    "expected", lab_outcome_name(step->expect), "accepted",
		    accept, "outcome", lab_outcome_name(verdict->outcome),
		    "mark", lab_mark_name(verdict->mark), "said",
		    verdict->said));
	}
	return steps;
}

static void tell_json(const struct lab_trial *trial)
{
	char *text = trial->mark != LAB_CORRECT ?
	    text_of(trial->run.scenario) : NULL;
	json_t *object = json_pack("{s:s, s:s, s:s, s:s?, s:s?, s:f, s:o, "
	    "s:s?}", "name", trial->run.scenario->name, "mark",
	    lab_mark_name(trial->mark), "text", trial->run.scenario->text,
	    "problem", trial->problem, "unavailable", trial->unavailable,
	    "seconds", trial->seconds, "steps", steps_of(trial), "scenario",
	    text);

	if (object != NULL) {
		json_dumpf(object, stdout, JSON_COMPACT);
		putchar('\n');
	}
	json_decref(object);
	free(text);
}

/* How far it is, where a person looks on. */
static void tell_progress(const struct session *session)
{
	const unsigned *marks = session->marks;

	if (!isatty(STDERR_FILENO))
		return;
	fprintf(stderr, "\r%u of %u, %u not correct%s", session->done,
	    session->request->count, session->done - marks[LAB_CORRECT],
	    session->done == session->request->count ? "\n" : "");
}

static void on_done(void *arg, const struct lab_trial *trial)
{
	struct session *session = arg;
	bool wrong = trial->mark != LAB_CORRECT &&
	    trial->mark != LAB_NOT_APPLICABLE;

	session->done++;
	session->marks[trial->mark]++;
	if (wrong && session->request->keep != NULL)
		keep(session, trial);
	switch (session->request->format) {
	case LAB_JSON: tell_json(trial); break;
	case LAB_TAP: tell_tap(session, trial); break;
	default: tell_table(session, trial); break;
	}
	fflush(stdout);
	tell_progress(session);
	lab_trial_forget(&session->trials[trial - session->trials]);
}

static void tell_count(const struct session *session)
{
	json_t *object = json_object();

	for (int mark = 0; mark < LAB_MARKS; mark++)
		json_object_set_new(object, lab_mark_name((enum lab_mark)
		    mark), json_integer(session->marks[mark]));
	if (session->request->format == LAB_JSON) {
		json_dumpf(object, stdout, JSON_COMPACT);
		putchar('\n');
	} else if (session->request->format != LAB_TAP) {
		printf("seed %" PRIu64 ", %u worlds from %u:",
		    session->request->seed, session->done,
		    session->request->first);
		for (int mark = 0; mark < LAB_MARKS; mark++)
			if (session->marks[mark] > 0)
				printf(" %u %s;", session->marks[mark],
				    lab_mark_name((enum lab_mark)mark));
		printf("\n");
	}
	json_decref(object);
}

/* --- the run --- */

static int run_slice(struct session *session, unsigned first, unsigned count)
{
	const struct lab_random *request = session->request;
	struct lab_scenario *scenarios[SLICE];
	struct lab_trial *trials = mem_alloc_array(count, sizeof(*trials));
	int stopped;

	session->trials = trials;
	for (unsigned i = 0; i < count; i++) {
		scenarios[i] = lab_compose(request->seed, first + i);
		trials[i].round = 1;
		trials[i].run = (struct lab_run){ .scenario = scenarios[i],
		    .driver = request->driver, .places = request->places,
		    .profile = request->profile,
		    .want_log = request->keep != NULL };
	}
	stopped = lab_trials_run(trials, count, request->jobs, on_done,
	    session);
	for (unsigned i = 0; i < count; i++) {
		lab_trial_release(&trials[i]);
		lab_scenario_free(scenarios[i]);
	}
	mem_free(trials);
	return stopped;
}

static int print_all(const struct lab_random *request)
{
	for (unsigned i = 0; i < request->count; i++) {
		struct lab_scenario *scenario = lab_compose(request->seed,
		    request->first + i);

		print_scenario(scenario, "");
		lab_scenario_free(scenario);
	}
	return fflush(stdout) == 0 ? CONTROL_OK : CONTROL_DATA;
}

static int status_of(const struct session *session)
{
	const unsigned *marks = session->marks;

	if (session->keep_failed)
		return 1;
	if (marks[LAB_CORRECT] + marks[LAB_NOT_APPLICABLE] < session->done)
		return 1;
	return session->done > 0 && marks[LAB_NOT_APPLICABLE] ==
	    session->done ? LAB_UNAVAILABLE : CONTROL_OK;
}

int lab_random_main(const struct lab_random *request)
{
	struct session session = { .request = request };
	unsigned next = 0;

	if (request->format == LAB_JUNIT) {
		fprintf(stderr, "postern-lab: random has no --junit\n");
		return CONTROL_USAGE;
	}
	if (request->print)
		return print_all(request);
	if (request->format == LAB_TAP)
		printf("TAP version 14\n1..%u\n", request->count);
	while (next < request->count) {
		unsigned count = request->count - next < SLICE ?
		    request->count - next : SLICE;
		int stopped = run_slice(&session, request->first + next,
		    count);

		if (stopped != 0)
			return 128 + stopped;
		next += count;
	}
	tell_count(&session);
	return status_of(&session);
}
