/* SPDX-License-Identifier: ISC */
/*
 * postern lab: another program, so that no server carries what the lab needs.
 * It is told which postern called it: that one is put under test.
 */
#include "tools/command.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/control.h"
#include "config.h"

/* The path of this executable; false when /proc does not say. */
static bool find_self(char *path, size_t size)
{
	ssize_t length = readlink("/proc/self/exe", path, size - 1);

	if (length <= 0)
		return false;
	path[length] = '\0';
	return true;
}

int command_lab(int argc, char **argv)
{
	char self[PATH_MAX], beside[PATH_MAX + 16] = "";
	const char *installed = POSTERN_LIB_DIR "/postern-lab";
	const char *program = installed;

	(void)argc;
	if (find_self(self, sizeof(self))) {
		snprintf(beside, sizeof(beside), "%.*s/postern-lab",
		    (int)(strrchr(self, '/') - self), self);
		setenv("LAB_POSTERN", self, 1);
		if (access(beside, X_OK) == 0)
			program = beside;
	}
	argv[0] = (char *)(uintptr_t)program;
	execv(program, argv);
	fprintf(stderr, "postern: the lab is a program of its own, which is "
	    "not here: %s (%s), nor %s; it comes with Postern, or build it by "
	    "make postern-lab\n", installed, strerror(errno), beside);
	return CONTROL_UNAVAILABLE;
}
