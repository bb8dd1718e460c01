/* SPDX-License-Identifier: ISC */
/*
 * Which scenarios: names of the lab's own, patterns over those names, and
 * files; a scenario that several words mean is taken once, where the first
 * stands. Then rows of the catalogue and --short choose among them.
 */
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "tools/lab/lab_private.h"

#define ENDING ".scenario"

static bool is_file(const char *name)
{
	size_t length = strlen(name), ending = strlen(ENDING);

	return strchr(name, '/') != NULL || (length > ending &&
	    strcmp(name + length - ending, ENDING) == 0);
}

static bool is_pattern(const char *name)
{
	return !is_file(name) && strpbrk(name, "*?[") != NULL;
}

static bool is_taken(const struct lab_request *request, const char *name)
{
	for (size_t i = 0; i < request->scenario_count; i++)
		if (strcmp(request->scenarios[i]->name, name) == 0)
			return true;
	return false;
}

static int add_path(struct lab_request *request, const char *path)
{
	char *errors = NULL;
	struct lab_scenario *scenario = lab_scenario_read(path, &errors);

	if (errors != NULL)
		fputs(errors, stderr);
	mem_free(errors);
	if (scenario == NULL)
		return -1;
	/* What is kept of a run goes by this name. */
	if (is_taken(request, scenario->name)) {
		fprintf(stderr, "postern-lab: %s: there is a scenario %s "
		    "already; each needs a name of its own\n", path,
		    scenario->name);
		lab_scenario_free(scenario);
		return -1;
	}
	request->scenarios = mem_resize(request->scenarios,
	    request->scenario_count + 1, sizeof(*request->scenarios));
	request->scenarios[request->scenario_count++] = scenario;
	return 0;
}

static int add_name(struct lab_request *request, const char *name)
{
	char *path = mem_print("%s/scenarios/%s" ENDING, request->places.data,
	    name);
	int result = -1;

	if (is_taken(request, name))
		result = 0;
	else if (access(path, F_OK) == -1)
		fprintf(stderr, "postern-lab: there is no scenario %s in "
		    "%s/scenarios; postern lab list shows those there are\n",
		    name, request->places.data);
	else
		result = add_path(request, path);
	mem_free(path);
	return result;
}

/* Those of the lab's own that fit. */
static int add_pattern(struct lab_request *request, const char *pattern)
{
	char *directory = mem_print("%s/scenarios", request->places.data);
	size_t count, fitting = 0;
	char **names = lab_list_names(directory, ENDING, &count);
	int result = 0;

	for (size_t i = 0; i < count; i++) {
		if (fnmatch(pattern, names[i], 0) == 0) {
			fitting++;
			if (add_name(request, names[i]) == -1)
				result = -1;
		}
		mem_free(names[i]);
	}
	if (count == 0)
		fprintf(stderr, "postern-lab: there are no scenarios in %s; "
		    "--data or POSTERN_LAB_DATA names another directory\n",
		    directory);
	else if (fitting == 0)
		fprintf(stderr, "postern-lab: no scenario fits %s; postern "
		    "lab list shows those there are\n", pattern);
	mem_free(names);
	mem_free(directory);
	return fitting == 0 ? -1 : result;
}

static int add_word(struct lab_request *request, const char *word)
{
	if (is_pattern(word))
		return add_pattern(request, word);
	return is_file(word) ? add_path(request, word) :
	    add_name(request, word);
}

static bool is_wanted(const struct lab_request *request,
    const struct lab_scenario *scenario)
{
	if (request->is_short && scenario->in_depth)
		return false;
	if (request->rows.count == 0)
		return true;
	for (size_t i = 0; i < request->rows.count; i++)
		for (size_t k = 0; k < scenario->catalogue.count; k++)
			if (fnmatch(request->rows.items[i],
			    scenario->catalogue.items[k], 0) == 0)
				return true;
	return false;
}

static int choose(struct lab_request *request)
{
	size_t kept = 0;

	for (size_t i = 0; i < request->scenario_count; i++) {
		struct lab_scenario *scenario = request->scenarios[i];

		if (is_wanted(request, scenario))
			request->scenarios[kept++] = scenario;
		else
			lab_scenario_free(scenario);
	}
	request->scenario_count = kept;
	if (kept > 0)
		return 0;
	fprintf(stderr, "postern-lab: no scenario is left of those named%s\n",
	    request->rows.count > 0 ? ": postern lab catalogue shows which "
	    "rows have some" : " without those that are in depth");
	return -1;
}

int lab_select(struct lab_request *request, int count, char **names)
{
	int result = 0;

	if (count == 0 && add_pattern(request, "*") == -1)
		return -1;
	for (int i = 0; i < count; i++)
		if (add_word(request, names[i]) == -1)
			result = -1;
	return result == 0 ? choose(request) : -1;
}
