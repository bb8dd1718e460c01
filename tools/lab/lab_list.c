/* SPDX-License-Identifier: ISC */
/*
 * `list` and `catalogue`: what there is.
 */
#include <stdio.h>

#include "base/control.h"
#include "base/mem.h"
#include "tools/lab/catalogue.h"
#include "tools/lab/lab_private.h"
#include "tools/lab/text.h"

int lab_command_list(struct lab_request *request, int count, char **names)
{
	if (lab_select(request, count, names) == -1)
		return CONTROL_DATA;
	lab_report_list(request->scenarios, request->scenario_count,
	    request->format, count > 0);
	return CONTROL_OK;
}

static void print_row(const struct lab_request *request,
    const struct lab_row *row)
{
	bool first = true;

	printf("%-6s  ", row->id);
	lab_text_put(stdout, row->title);
	printf("\n        ");
	if (row->left_out != NULL) {
		printf("left out: ");
		lab_text_put(stdout, row->left_out);
	}
	for (size_t i = 0; i < request->scenario_count; i++) {
		if (!lab_catalogue_shows(request->scenarios[i], row->id))
			continue;
		printf("%s%s", first ? "" : ", ", request->scenarios[i]->name);
		first = false;
	}
	putchar('\n');
}

static void print_row_json(const struct lab_request *request,
    const struct lab_row *row)
{
	json_t *names = json_array(), *object;

	for (size_t i = 0; i < request->scenario_count; i++)
		if (lab_catalogue_shows(request->scenarios[i], row->id))
			json_array_append_new(names,
			    json_string(request->scenarios[i]->name));
	object = json_pack("{s:s, s:s, s:s?, s:o}", "row", row->id, "title",
	    row->title, "left-out", row->left_out, "scenarios", names);
	json_dumpf(object, stdout, JSON_COMPACT);
	putchar('\n');
	json_decref(object);
}

static int show(const struct lab_request *request,
    const struct lab_catalogue *catalogue)
{
	size_t left_out = 0, count = lab_catalogue_count(catalogue);
	char *problems = lab_catalogue_problems(catalogue,
	    request->scenarios, request->scenario_count);

	for (size_t i = 0; i < count; i++) {
		struct lab_row row = lab_catalogue_row(catalogue, i);

		left_out += row.left_out != NULL;
		if (request->format == LAB_JSON)
			print_row_json(request, &row);
		else
			print_row(request, &row);
	}
	if (request->format != LAB_JSON)
		printf("%zu rows, %zu of them left out; %zu scenarios\n",
		    count, left_out, request->scenario_count);
	if (problems == NULL)
		return CONTROL_OK;
	fflush(stdout);
	fputs(problems, stderr);
	mem_free(problems);
	return 1;
}

int lab_command_catalogue(struct lab_request *request, int count,
    char **names)
{
	struct lab_catalogue *catalogue;
	char *path, *errors;
	int status;

	if (count > 0)
		return lab_misuse("catalogue takes no names, so not %s",
		    names[0]);
	if (lab_select(request, 0, NULL) == -1)
		return CONTROL_DATA;
	path = mem_print("%s/catalogue.json", request->places.data);
	catalogue = lab_catalogue_read(path, &errors);
	mem_free(path);
	if (catalogue == NULL) {
		fputs(errors, stderr);
		mem_free(errors);
		return CONTROL_DATA;
	}
	status = show(request, catalogue);
	lab_catalogue_free(catalogue);
	return status;
}
