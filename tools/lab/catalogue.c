/* SPDX-License-Identifier: ISC */
/*
 * The JSON is read once and kept; rows borrow from it. All mistakes are told
 * at once, so that a file is mended in one go.
 */
#include "tools/lab/catalogue.h"

#include <jansson.h>
#include <stdbool.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"

enum { PROBLEMS_MAX = 256 << 10 };

struct lab_catalogue {
	json_t	*rows;
};

static const char *text_of(const json_t *row, const char *key)
{
	return json_string_value(json_object_get(row, key));
}

static bool is_blank(const char *text)
{
	return text == NULL || text[strspn(text, " \t")] == '\0';
}

/* --- reading --- */

static const char *problem_of_member(const char *key, const json_t *value)
{
	static const char *const keys[] = { "id", "title", "left-out", NULL };
	size_t i = 0;

	while (keys[i] != NULL && strcmp(keys[i], key) != 0)
		i++;
	if (keys[i] == NULL)
		return "is not known; accepted: id, title, left-out";
	if (!json_is_string(value) || is_blank(json_string_value(value)))
		return "must be a text that is not empty";
	return NULL;
}

static void check_row(const char *path, size_t number, json_t *row,
    struct buf *errors)
{
	const char *id = text_of(row, "id"), *key;
	json_t *value;

	if (!json_is_object(row)) {
		buf_print(errors, "%s: row %zu is no object\n", path, number);
		return;
	}
	if (id == NULL || text_of(row, "title") == NULL)
		buf_print(errors, "%s: row %zu (%s) has no %s\n", path, number,
		    id != NULL ? id : "?", id == NULL ? "id" : "title");
	json_object_foreach(row, key, value) {
		const char *problem = problem_of_member(key, value);

		if (problem != NULL)
			buf_print(errors, "%s: row %zu (%s): %s %s\n", path,
			    number, id != NULL ? id : "?", key, problem);
	}
}

static void check_unique(const char *path, const json_t *rows,
    struct buf *errors)
{
	size_t count = json_array_size(rows);

	for (size_t i = 0; i < count; i++)
		for (size_t k = 0; k < i; k++) {
			const char *one = text_of(json_array_get(rows, i),
			    "id");
			const char *other = text_of(json_array_get(rows, k),
			    "id");

			if (one != NULL && other != NULL &&
			    strcmp(one, other) == 0)
				buf_print(errors, "%s: row %zu has the id %s "
				    "of row %zu\n", path, i + 1, one, k + 1);
		}
}

static void check_rows(const char *path, json_t *rows, struct buf *errors)
{
	json_t *row;
	size_t i;

	if (!json_is_array(rows)) {
		buf_print(errors, "%s: an array of rows is expected\n", path);
		return;
	}
	json_array_foreach(rows, i, row)
		check_row(path, i + 1, row, errors);
	check_unique(path, rows, errors);
}

struct lab_catalogue *lab_catalogue_read(const char *path, char **errors)
{
	struct lab_catalogue *catalogue;
	struct buf problems;
	json_error_t where;
	json_t *rows = json_load_file(path, JSON_REJECT_DUPLICATES, &where);

	*errors = NULL;
	buf_init(&problems, PROBLEMS_MAX);
	if (rows == NULL)
		buf_print(&problems, "%s:%d: %s\n", path,
		    where.line > 0 ? where.line : 1, where.text);
	else
		check_rows(path, rows, &problems);
	if (buf_length(&problems) > 0) {
		*errors = buf_take(&problems);
		json_decref(rows);
		return NULL;
	}
	buf_release(&problems);
	catalogue = mem_alloc(sizeof(*catalogue));
	catalogue->rows = rows;
	return catalogue;
}

void lab_catalogue_free(struct lab_catalogue *catalogue)
{
	if (catalogue == NULL)
		return;
	json_decref(catalogue->rows);
	mem_free(catalogue);
}

size_t lab_catalogue_count(const struct lab_catalogue *catalogue)
{
	return json_array_size(catalogue->rows);
}

struct lab_row lab_catalogue_row(const struct lab_catalogue *catalogue,
    size_t i)
{
	const json_t *row = json_array_get(catalogue->rows, i);

	return (struct lab_row){ .id = text_of(row, "id"),
	    .title = text_of(row, "title"),
	    .left_out = text_of(row, "left-out") };
}

/* --- rows and scenarios --- */

bool lab_catalogue_shows(const struct lab_scenario *scenario, const char *id)
{
	for (size_t i = 0; i < scenario->catalogue.count; i++)
		if (strcmp(scenario->catalogue.items[i], id) == 0)
			return true;
	return false;
}

static bool has_row(const struct lab_catalogue *catalogue, const char *id)
{
	for (size_t i = 0; i < lab_catalogue_count(catalogue); i++)
		if (strcmp(lab_catalogue_row(catalogue, i).id, id) == 0)
			return true;
	return false;
}

static void check_shown(const struct lab_row *row,
    struct lab_scenario *const *scenarios, size_t count,
    struct buf *problems)
{
	const char *by = NULL;

	for (size_t i = 0; i < count && by == NULL; i++)
		if (lab_catalogue_shows(scenarios[i], row->id))
			by = scenarios[i]->name;
	if (by == NULL && row->left_out == NULL)
		buf_print(problems, "row %s (%s) has neither a scenario nor a "
		    "reason for being left out\n", row->id, row->title);
	if (by != NULL && row->left_out != NULL)
		buf_print(problems, "row %s is said to be left out, but %s "
		    "shows it\n", row->id, by);
}

char *lab_catalogue_problems(const struct lab_catalogue *catalogue,
    struct lab_scenario *const *scenarios, size_t count)
{
	struct buf problems;

	buf_init(&problems, PROBLEMS_MAX);
	for (size_t i = 0; i < lab_catalogue_count(catalogue); i++) {
		struct lab_row row = lab_catalogue_row(catalogue, i);

		check_shown(&row, scenarios, count, &problems);
	}
	for (size_t i = 0; i < count; i++)
		for (size_t k = 0; k < scenarios[i]->catalogue.count; k++)
			if (!has_row(catalogue,
			    scenarios[i]->catalogue.items[k]))
				buf_print(&problems, "scenario %s names row "
				    "%s, which is not there\n",
				    scenarios[i]->name,
				    scenarios[i]->catalogue.items[k]);
	if (buf_length(&problems) > 0)
		return buf_take(&problems);
	buf_release(&problems);
	return NULL;
}
