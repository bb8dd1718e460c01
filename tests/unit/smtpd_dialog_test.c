/* SPDX-License-Identifier: ISC */
/*
 * Every tests/dialog/smtpd/NAME.dialog is a case, run twice: with what the
 * client says in the pieces it is written in, and byte by byte. The answers
 * must be the same. Arguments name single scripts.
 */
#include <glob.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/loop.h"
#include "tests/dialog/dialog.h"
#include "tests/fake_smtpd_peers.h"
#include "tests/scripted_filter.h"
#include "tests/smtpd_world.h"

static unsigned number, failures;

static void run(const char *path, bool bytewise)
{
	const char *name = strrchr(path, '/') + 1;
	char why[1024] = "";
	bool good = dialog_run(path, bytewise, why, sizeof(why));

	printf("%s %u - %s%s\n", good ? "ok" : "not ok", ++number, name,
	    bytewise ? " (byte by byte)" : "");
	if (!good)
		printf("# %s\n", why);
	fflush(stdout);
	failures += !good;
}

int main(int argc, char **argv)
{
	const char *top = getenv("POSTERN_SRCDIR");
	char pattern[4096];
	glob_t found;

	snprintf(pattern, sizeof(pattern), "%s/tests/dialog/smtpd/*.dialog",
	    top == NULL ? "." : top);
	if (argc > 1)
		snprintf(pattern, sizeof(pattern), "%s", argv[1]);
	if (glob(pattern, 0, NULL, &found) != 0) {
		printf("not ok 1 - no scripts: %s\n1..1\n", pattern);
		return 1;
	}
	world_prepare();
	for (size_t i = 0; i < found.gl_pathc; i++) {
		run(found.gl_pathv[i], false);
		if (!dialog_is_once(found.gl_pathv[i]))
			run(found.gl_pathv[i], true);
	}
	printf("1..%u\n", number);
	globfree(&found);
	loop_release();
	return failures > 0;
}
