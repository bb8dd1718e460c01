/* SPDX-License-Identifier: ISC */
/*
 * From words to a command. What a command needs (places, drivers) is found
 * before it is called.
 */
#include "tools/lab/lab.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/control.h"
#include "base/log.h"
#include "base/mem.h"
#include "tools/lab/lab_private.h"

static const struct lab_command commands[] = {
	{ "list", LAB_LIST, lab_command_list, LAB_MTA_UNUSED },
	{ "run", LAB_RUN, lab_command_run, LAB_MTA_NEEDED },
	{ "runs", LAB_RUNS, lab_command_runs, LAB_MTA_UNUSED },
	{ "show", LAB_SHOW, lab_command_show, LAB_MTA_UNUSED },
	{ "random", LAB_RANDOM, lab_command_random, LAB_MTA_NEEDED },
	{ "shell", LAB_SHELL, lab_command_shell, LAB_MTA_OPTIONAL },
	{ "faults", LAB_FAULTS, lab_command_faults, LAB_MTA_UNUSED },
	{ "catalogue", LAB_CATALOGUE, lab_command_catalogue, LAB_MTA_UNUSED },
};

enum { COMMANDS = sizeof(commands) / sizeof(commands[0]) };

/* What is kept goes by the name. */
static bool is_twice(const struct lab_request *request, size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (strcmp(request->drivers[k].name,
		    request->drivers[i].name) == 0)
			return true;
	return false;
}

static int find_drivers(struct lab_request *request)
{
	static char postern[] = "postern";
	struct lab_words *mtas = &request->mtas;
	char error[600];

	if (request->command->mta == LAB_MTA_UNUSED)
		return 0;
	if (mtas->count == 0)
		mtas->items[mtas->count++] = postern;
	if (request->command->mta == LAB_MTA_OPTIONAL && mtas->count == 1 &&
	    strcmp(mtas->items[0], "none") == 0)
		return 0;
	for (size_t i = 0; i < mtas->count; i++) {
		if (lab_driver_find(&request->drivers[i], &request->places,
		    mtas->items[i], error, sizeof(error)) == -1) {
			fprintf(stderr, "postern-lab: %s\n", error);
			return -1;
		}
		request->driver_count++;
		if (is_twice(request, i)) {
			lab_misuse("two MTAs are called %s: each driver needs "
			    "a name of its own", request->drivers[i].name);
			return -1;
		}
	}
	return 0;
}

static void release(struct lab_request *request)
{
	for (size_t i = 0; i < request->driver_count; i++)
		lab_driver_release(&request->drivers[i]);
	for (size_t i = 0; i < request->scenario_count; i++)
		lab_scenario_free(request->scenarios[i]);
	mem_free(request->scenarios);
	lab_places_release(&request->places);
}

static int serve(const struct lab_command *command, int argc, char **argv)
{
	struct lab_request request = { .command = command };
	int first = lab_options_take(&request, argc, argv);
	int status = CONTROL_USAGE;

	if (first == -1)
		return CONTROL_USAGE;
	if (request.help) {
		lab_options_help();
		return CONTROL_OK;
	}
	lab_places_find(&request.places, request.data);
	if (find_drivers(&request) == 0)
		status = command->run(&request, argc - first, argv + first);
	release(&request);
	return status;
}

int lab_main(int argc, char **argv)
{
	log_init("lab", LOG_LEVEL_WARN);
	if (argc < 2)
		return lab_misuse("a command is missing: list, run, runs, "
		    "show, random, shell, faults or catalogue");
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
	    strcmp(argv[1], "help") == 0) {
		lab_options_help();
		return CONTROL_OK;
	}
	for (size_t i = 0; i < COMMANDS; i++)
		if (strcmp(argv[1], commands[i].name) == 0)
			return serve(&commands[i], argc - 1, argv + 1);
	return lab_misuse("there is no command %s", argv[1]);
}
