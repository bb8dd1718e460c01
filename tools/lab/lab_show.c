/* SPDX-License-Identifier: ISC */
/*
 * `runs` and `show`: what was kept of runs.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/control.h"
#include "base/mem.h"
#include "tools/lab/keep.h"
#include "tools/lab/lab_private.h"
#include "tools/lab/show.h"
#include "tools/lab/text.h"
#include "tools/lab/verdict.h"

enum { LOG_MOST = 16 << 20 };

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text != NULL ? text : "";
}

static bool is_result(const json_t *line)
{
	return json_object_get(line, "mark") != NULL;
}

/* --- runs --- */

/* "postern: 3 correct, 1 too lax", without the marks that none got. */
static void print_counts(const json_t *results, const char *mta)
{
	size_t numbers[LAB_MARKS + 1] = { 0 }, i;
	const json_t *line;
	bool first = true;

	json_array_foreach(results, i, line)
		if (is_result(line) && strcmp(text_of(line, "mta"), mta) == 0)
			numbers[lab_mark_find(text_of(line, "mark"))]++;
	printf("  ");
	lab_text_put(stdout, mta);
	for (int mark = 0; mark < LAB_MARKS; mark++) {
		if (numbers[mark] == 0)
			continue;
		printf("%s %zu %s", first ? ":" : ",", numbers[mark],
		    lab_mark_name((enum lab_mark)mark));
		first = false;
	}
	putchar('\n');
}

static void print_run(unsigned number, const char *directory,
    json_t *results)
{
	json_t *header = json_array_get(results, 0);
	json_t *last = json_array_get(results, json_array_size(results) - 1);
	json_t *mtas = json_object_get(header, "mtas"), *mta;
	size_t i;

	printf("%u  ", number);
	lab_text_put(stdout, text_of(header, "started"));
	printf("  %d scenarios%s  %s\n", (int)json_integer_value(
	    json_object_get(header, "scenarios")),
	    json_object_get(last, "ended") == NULL ? ", not ended" : "",
	    directory);
	json_array_foreach(mtas, i, mta)
		print_counts(results, json_string_value(mta) != NULL ?
		    json_string_value(mta) : "?");
}

static void print_run_json(unsigned number, const char *directory,
    json_t *results)
{
	json_t *object = json_copy(json_array_get(results, 0));
	json_t *array = json_array(), *line;
	size_t i;

	if (object == NULL)
		object = json_object();
	json_array_foreach(results, i, line)
		if (is_result(line))
			json_array_append(array, line);
		else if (i > 0)
			json_object_update(object, line);
	json_object_set_new(object, "run", json_integer(number));
	json_object_set_new(object, "directory", json_string(directory));
	json_object_set_new(object, "results", array);
	json_dumpf(object, stdout, JSON_COMPACT);
	putchar('\n');
	json_decref(object);
}

int lab_command_runs(struct lab_request *request, int count, char **names)
{
	size_t runs;
	unsigned *numbers;

	if (count > 0)
		return lab_misuse("runs takes no names, so not %s", names[0]);
	numbers = lab_keep_numbers(&runs);
	for (size_t i = 0; i < runs; i++) {
		char word[16], error[600];
		char *directory;
		json_t *results = NULL;

		snprintf(word, sizeof(word), "%u", numbers[i]);
		directory = lab_keep_find(word, error, sizeof(error));
		if (directory != NULL)
			results = lab_keep_results(directory, error,
			    sizeof(error));
		if (results == NULL)
			printf("%u  (%s)\n", numbers[i], error);
		else if (request->format == LAB_JSON)
			print_run_json(numbers[i], directory, results);
		else
			print_run(numbers[i], directory, results);
		json_decref(results);
		mem_free(directory);
	}
	mem_free(numbers);
	return CONTROL_OK;
}

/* --- show --- */

struct wanted {
	const struct lab_request	*request;
	const char			*directory;	/* of the run */
	const char			*scenario;	/* null: all, in short */
	const char			*step;		/* null: all */
};

static bool is_wanted(const struct wanted *wanted, const json_t *line)
{
	const struct lab_request *request = wanted->request;
	bool mta = request->mtas.count == 0, profile = false;

	if (!is_result(line) || (wanted->scenario != NULL &&
	    strcmp(text_of(line, "scenario"), wanted->scenario) != 0))
		return false;
	for (size_t i = 0; i < request->mtas.count; i++)
		if (strcmp(text_of(line, "mta"), request->mtas.items[i]) == 0)
			mta = true;
	for (size_t i = 0; i < request->profile_count; i++)
		if (strcmp(text_of(line, "profile"), lab_profile_name(
		    request->profiles[i])) == 0)
			profile = true;
	return mta && profile;
}

static void print_line(const json_t *line)
{
	printf("%-14s  ", text_of(line, "mark"));
	lab_text_put(stdout, text_of(line, "scenario"));
	printf("  (");
	lab_text_put(stdout, text_of(line, "mta"));
	printf(", %s, round %d)\n", text_of(line, "profile"),
	    (int)json_integer_value(json_object_get(line, "round")));
}

/* STEM.ending of a file STEM.json that a result names; null when it has none.
 * A name with a slash is not one of ours. */
static char *beside(const struct wanted *wanted, const json_t *line,
    const char *ending)
{
	const char *file = text_of(line, "file");
	size_t length = strlen(file), rest = strlen(".json");

	if (strchr(file, '/') != NULL || length <= rest)
		return NULL;
	return mem_print("%s/%.*s%s", wanted->directory,
	    (int)(length - rest), file, ending);
}

static void print_log(const struct wanted *wanted, const json_t *line,
    const char *ending, const char *heading)
{
	char *path = beside(wanted, line, ending), *text;
	FILE *file = path != NULL ? fopen(path, "re") : NULL;
	size_t length;

	mem_free(path);
	if (file == NULL)
		return;
	text = mem_alloc(LOG_MOST + 1);
	length = fread(text, 1, LOG_MOST, file);
	text[length] = '\0';
	fclose(file);
	printf("\n%s\n", heading);
	lab_text_put_lines(stdout, "    ", text);
	mem_free(text);
}

static int show_trial(const struct wanted *wanted, const json_t *line)
{
	char *path = beside(wanted, line, ".json");
	json_t *trial = path != NULL ? json_load_file(path, 0, NULL) : NULL;
	int result = 0;

	if (trial == NULL) {
		fprintf(stderr, "postern-lab: %s is not there, or cannot be "
		    "read\n", path != NULL ? path : "the file of a result");
		result = CONTROL_DATA;
	} else if (wanted->step != NULL && !lab_show_has_step(trial,
	    wanted->step)) {
		fprintf(stderr, "postern-lab: %s has no step %s\n",
		    wanted->scenario, wanted->step);
		result = CONTROL_DATA;
	} else if (wanted->request->format == LAB_JSON) {
		json_dumpf(trial, stdout, JSON_INDENT(1));
		putchar('\n');
	} else {
		lab_show_trial(stdout, trial, wanted->step);
	}
	if (result == 0 && wanted->request->log &&
	    wanted->request->format != LAB_JSON) {
		print_log(wanted, line, ".log", "what the MTA and the servers "
		    "wrote:");
		print_log(wanted, line, ".twin.log", "and in the twin world:");
	}
	json_decref(trial);
	mem_free(path);
	return result;
}

static int show_all(const struct wanted *wanted, const json_t *results)
{
	int status = CONTROL_OK, one;
	const json_t *line;
	size_t i, found = 0;

	json_array_foreach(results, i, line) {
		if (!is_wanted(wanted, line))
			continue;
		if (wanted->scenario == NULL) {
			print_line(line);
		} else {
			if (found > 0 && wanted->request->format != LAB_JSON)
				putchar('\n');
			one = show_trial(wanted, line);
			if (one != 0)
				status = one;
		}
		found++;
	}
	if (found > 0)
		return status;
	fprintf(stderr, "postern-lab: %s has no result%s%s of this kind; "
	    "postern lab show %s lists what it has\n", wanted->directory,
	    wanted->scenario != NULL ? " of " : "", wanted->scenario != NULL ?
	    wanted->scenario : "", wanted->directory);
	return CONTROL_DATA;
}

/* Without a profile, whatever there is. */
int lab_command_show(struct lab_request *request, int count, char **names)
{
	struct wanted wanted = { .request = request,
	    .scenario = count > 1 ? names[1] : NULL,
	    .step = count > 2 ? names[2] : NULL };
	char *directory, error[600];
	int status = CONTROL_DATA;
	json_t *results;

	if (count < 1 || count > 3)
		return lab_misuse("show takes a run (a number, last, or a "
		    "directory), a scenario and a step");
	directory = lab_keep_find(names[0], error, sizeof(error));
	results = directory != NULL ? lab_keep_results(directory, error,
	    sizeof(error)) : NULL;
	wanted.directory = directory;
	if (results != NULL)
		status = show_all(&wanted, results);
	else
		fprintf(stderr, "postern-lab: %s\n", error);
	json_decref(results);
	mem_free(directory);
	return status;
}
