/* SPDX-License-Identifier: ISC */
/*
 * `shell`, and `faults` from inside of one.
 */
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/control.h"
#include "base/mem.h"
#include "tools/lab/lab_private.h"
#include "tools/lab/namespace.h"

static int check_faults(const struct lab_request *request)
{
	const struct lab_scenario *scenario = request->scenarios[0];

	for (size_t i = 0; i < request->faults.count; i++) {
		if (lab_scenario_has_fault(scenario, request->faults.items[i]))
			continue;
		fprintf(stderr, "postern-lab: %s has no fault %s; it has:",
		    scenario->name, request->faults.items[i]);
		for (size_t k = 0; k < scenario->fault_count; k++)
			fprintf(stderr, " %s", scenario->faults[k].name);
		fprintf(stderr, "\n");
		return -1;
	}
	return 0;
}

/* A directory, made if need be; owned. Null, and it was said why. */
static char *make_place(const char *directory)
{
	char *whole = NULL;

	if (mkdir(directory, 0777) == 0 || errno == EEXIST)
		whole = realpath(directory, NULL);
	if (whole == NULL)
		fprintf(stderr, "postern-lab: %s: %s\n", directory,
		    strerror(errno));
	return whole;
}

static int await(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) == -1)
		if (errno != EINTR)
			return 1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

static int enter(struct lab_run *run)
{
	char error[600];
	pid_t pid;

	/* Control-C is for what runs in the shell. */
	signal(SIGINT, SIG_IGN);
	pid = lab_run_shell(run, error, sizeof(error));
	if (pid != -1)
		return await(pid);
	fprintf(stderr, "postern-lab: the lab cannot run here: %s\n", error);
	return LAB_UNAVAILABLE;
}

int lab_command_shell(struct lab_request *request, int count, char **names)
{
	struct lab_run run = { .driver = request->driver_count > 0 ?
	    &request->drivers[0] : NULL, .places = &request->places,
	    .profile = request->profiles[0],
	    .faults = { request->faults.items, request->faults.count },
	    .command = count > 1 ? names + 1 : NULL };
	char *record = NULL;
	int status;

	if (count < 1)
		return lab_misuse("shell takes a scenario");
	if (request->driver_count > 1)
		return lab_misuse("shell takes one --mta");
	if (lab_select(request, 1, names) == -1)
		return CONTROL_DATA;
	if (request->scenario_count > 1)
		return lab_misuse("shell takes one scenario, and %s fits %zu",
		    names[0], request->scenario_count);
	if (check_faults(request) == -1 || (request->record_place != NULL &&
	    (record = make_place(request->record_place)) == NULL))
		return CONTROL_DATA;
	run.scenario = request->scenarios[0];
	run.record = record;
	status = enter(&run);
	mem_free(record);
	return status;
}

int lab_command_faults(struct lab_request *request, int count, char **names)
{
	char error[600];

	(void)request;
	if (lab_run_faults(names, (size_t)count, error, sizeof(error)) == 0)
		return CONTROL_OK;
	fprintf(stderr, "postern-lab: %s\n", error);
	return CONTROL_DATA;
}
