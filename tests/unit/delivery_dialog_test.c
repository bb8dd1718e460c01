/* SPDX-License-Identifier: ISC */
/*
 * Plays every script in tests/dialog-client against the client; each is one
 * case. The names of the requirements stand in the scripts.
 */
#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/mem.h"
#include "tests/dialog-client/dialog.h"

static char *read_file(const char *path)
{
	FILE *file = fopen(path, "r");
	char *text = mem_alloc(65536);
	size_t length;

	assert_non_null(file);
	length = fread(text, 1, 65535, file);
	assert_true(length > 0 && length < 65535);
	fclose(file);
	return text;
}

static void play_script(void **state)
{
	struct dialog_result *result = mem_alloc(sizeof(*result));
	char *script = read_file(*state);

	dialog_play(script, result);
	if (result->error[0] != '\0')
		print_error("%s\n%s\n", result->transcript, result->error);
	assert_string_equal(result->error, "");
	mem_free(script);
	mem_free(result);
}

int main(void)
{
	const char *top = getenv("POSTERN_SRCDIR");
	char pattern[1024];
	struct CMUnitTest *tests;
	glob_t found;
	size_t i;
	int status;

	snprintf(pattern, sizeof(pattern), "%s/tests/dialog-client/*.dialog",
	    top == NULL ? "." : top);
	if (glob(pattern, 0, NULL, &found) != 0)
		return 1;
	tests = mem_alloc_array(found.gl_pathc, sizeof(*tests));
	for (i = 0; i < found.gl_pathc; i++)
		tests[i] = (struct CMUnitTest){
		    .name = strrchr(found.gl_pathv[i], '/') + 1,
		    .test_func = play_script,
		    .initial_state = found.gl_pathv[i] };
	dialog_init();
	status = _cmocka_run_group_tests("delivery_dialog", tests,
	    found.gl_pathc, NULL, NULL);
	dialog_release();
	mem_free(tests);
	globfree(&found);
	return status;
}
