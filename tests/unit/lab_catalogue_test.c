/* SPDX-License-Identifier: ISC */
/*
 * tools/lab/catalogue.c: what a file may say, and what rows and scenarios owe
 * each other. The lab's own catalogue is read as well; that it is complete is
 * looked at by tests/system/test_lab.py, which has the scenarios.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/mem.h"
#include "tools/lab/catalogue.h"

static char path[] = "/tmp/lab_catalogue_test.XXXXXX";

static void write_file(const char *text)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

static struct lab_catalogue *read_text(const char *text, char **errors)
{
	write_file(text);
	return lab_catalogue_read(path, errors);
}

static void test_good(void **state)
{
	char *errors;
	struct lab_catalogue *catalogue = read_text(
	    "[{\"id\": \"N-01\", \"title\": \"one\"},"
	    " {\"id\": \"N-02\", \"title\": \"two\", \"left-out\": \"why\"}]",
	    &errors);

	(void)state;
	assert_non_null(catalogue);
	assert_null(errors);
	assert_int_equal(lab_catalogue_count(catalogue), 2);
	assert_string_equal(lab_catalogue_row(catalogue, 0).title, "one");
	assert_null(lab_catalogue_row(catalogue, 0).left_out);
	assert_string_equal(lab_catalogue_row(catalogue, 1).id, "N-02");
	assert_string_equal(lab_catalogue_row(catalogue, 1).left_out, "why");
	lab_catalogue_free(catalogue);
}

static const struct {
	const char	*text, *said;
} mistakes[] = {
	{ "[", ":1: " },
	{ "[\n{\"id\": \"a\", \"id\": \"b\"}]", ":2: " },
	{ "{}", "an array of rows is expected" },
	{ "[3]", "row 1 is no object" },
	{ "[{\"id\": \"N-01\"}]", "row 1 (N-01) has no title" },
	{ "[{\"title\": \"x\"}]", "row 1 (?) has no id" },
	{ "[{\"id\": \"a\", \"title\": \"\"}]",
	    "(a): title must be a text that is not empty" },
	{ "[{\"id\": \"a\", \"title\": \"x\", \"left-out\": \" \"}]",
	    "(a): left-out must be a text" },
	{ "[{\"id\": \"a\", \"title\": 3}]", "title must be a text" },
	{ "[{\"id\": \"a\", \"title\": \"x\", \"leftout\": \"y\"}]",
	    "leftout is not known; accepted: id, title, left-out" },
	{ "[{\"id\": \"a\", \"title\": \"x\"},{\"id\":\"a\",\"title\":\"y\"}]",
	    "row 2 has the id a of row 1" },
};

static void test_mistakes(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(mistakes) / sizeof(mistakes[0]); i++) {
		char *errors = NULL;
		struct lab_catalogue *catalogue = read_text(mistakes[i].text,
		    &errors);

		if (catalogue != NULL || errors == NULL ||
		    strncmp(errors, path, strlen(path)) != 0 ||
		    strstr(errors, mistakes[i].said) == NULL)
			fail_msg("case %zu: %s", i, errors != NULL ? errors :
			    "was read");
		mem_free(errors);
	}
}

static void test_no_file(void **state)
{
	char *errors = NULL;

	(void)state;
	assert_null(lab_catalogue_read("/nonexistent/catalogue.json",
	    &errors));
	assert_non_null(strstr(errors, "No such file"));
	mem_free(errors);
}

/* Rows "a" and "b", the second left out or not; one scenario or two. */
static const struct {
	const char	*left_out, *one, *two, *said;
} sets[] = {
	{ "", "a", "b", NULL },
	{ ", \"left-out\": \"why\"", "a", "a", NULL },
	{ "", "a", "a", "row b (B) has neither a scenario nor a reason" },
	{ ", \"left-out\": \"why\"", "a", "b",
	    "row b is said to be left out, but two shows it" },
	{ "", "a", "b-", "scenario two names row b-, which is not there" },
};

static void test_problems(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(sets) / sizeof(sets[0]); i++) {
		char *rows[] = { (char *)(uintptr_t)sets[i].one,
		    (char *)(uintptr_t)sets[i].two };
		struct lab_scenario one = { .name = (char *)(uintptr_t)"one",
		    .catalogue = { &rows[0], 1 } }, two = {
		    .name = (char *)(uintptr_t)"two",
		    .catalogue = { &rows[1], 1 } };
		struct lab_scenario *both[] = { &one, &two };
		char *errors, *problems, *text = mem_print("[{\"id\": \"a\", "
		    "\"title\": \"A\"}, {\"id\": \"b\", \"title\": \"B\"%s}]",
		    sets[i].left_out);
		struct lab_catalogue *catalogue = read_text(text, &errors);

		assert_non_null(catalogue);
		assert_true(lab_catalogue_shows(&one, "a"));
		assert_false(lab_catalogue_shows(&one, "b"));
		problems = lab_catalogue_problems(catalogue, both, 2);
		if ((problems == NULL) != (sets[i].said == NULL) ||
		    (problems != NULL && strstr(problems, sets[i].said) ==
		    NULL))
			fail_msg("case %zu: %s", i, problems != NULL ?
			    problems : "no problem");
		mem_free(problems);
		mem_free(text);
		lab_catalogue_free(catalogue);
	}
}

static void test_own(void **state)
{
	const char *top = getenv("POSTERN_SRCDIR");
	struct lab_catalogue *catalogue;
	char *own, *errors = NULL;

	(void)state;
	if (top == NULL)
		skip();
	own = mem_print("%s/tools/lab/catalogue.json", top);
	catalogue = lab_catalogue_read(own, &errors);
	if (catalogue == NULL)
		fail_msg("%s", errors);
	assert_true(lab_catalogue_count(catalogue) > 0);
	lab_catalogue_free(catalogue);
	mem_free(own);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_mistakes),
		cmocka_unit_test(test_no_file),
		cmocka_unit_test(test_problems),
		cmocka_unit_test(test_own),
	};
	int fd = mkstemp(path), failed;

	if (fd == -1)
		return 1;
	close(fd);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	unlink(path);
	return failed;
}
