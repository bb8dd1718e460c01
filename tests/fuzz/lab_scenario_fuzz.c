/* SPDX-License-Identifier: ISC */
/*
 * tools/lab/scenario*: any file is refused in lines that name it and its
 * mistakes, or it is a scenario: all its worlds can be put together, and it
 * can be written as a file that is read as the same one.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/mem.h"
#include "tools/lab/scenario.h"
#include "tools/lab/scenario_write.h"

int	 LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Each line begins with the file's name, and a terminal can show it. */
static void check_errors(const char *errors, const char *path)
{
	const char *line = errors;

	if (errors == NULL || *errors == '\0' ||
	    errors[strlen(errors) - 1] != '\n')
		abort();
	for (; *line != '\0'; line = strchr(line, '\n') + 1)
		if (strncmp(line, path, strlen(path)) != 0)
			abort();
	for (; *errors != '\0'; errors++)
		if (*errors == '\033' || *errors == '\r')
			abort();
}

/* Null when it was refused as it should be. */
static struct lab_scenario *read_bytes(const void *data, size_t size)
{
	int fd = memfd_create("scenario", MFD_CLOEXEC);
	char *path = mem_print("/proc/self/fd/%d", fd), *errors;
	struct lab_scenario *scenario;

	if (fd == -1 || (size > 0 && write(fd, data, size) != (ssize_t)size))
		abort();
	scenario = lab_scenario_read(path, &errors);
	if (scenario == NULL)
		check_errors(errors, path);
	else if (errors != NULL)
		abort();
	mem_free(errors);
	mem_free(path);
	close(fd);
	return scenario;
}

static void make_worlds(const struct lab_scenario *scenario)
{
	for (size_t i = 0; i < scenario->step_count; i++) {
		struct arena *arena = arena_new(16 << 20);
		const struct lab_world *world = lab_world_with(scenario,
		    &scenario->steps[i].faults, arena);

		if (world->zone_count < scenario->world.zone_count ||
		    world->host_count < scenario->world.host_count)
			abort();
		arena_free(arena);
	}
}

static char *write_text(const struct lab_scenario *scenario, size_t *length)
{
	char *text = NULL;
	FILE *stream = open_memstream(&text, length);

	if (stream == NULL || lab_scenario_write(scenario, stream) == -1 ||
	    fclose(stream) != 0)
		abort();
	return text;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct lab_scenario *scenario = read_bytes(data, size), *again;
	char *first, *second;
	size_t first_length, second_length;

	if (scenario == NULL)
		return 0;
	make_worlds(scenario);
	first = write_text(scenario, &first_length);
	again = read_bytes(first, first_length);
	if (again == NULL) {
		fprintf(stderr, "%s\n", first);
		abort();
	}
	second = write_text(again, &second_length);
	if (first_length != second_length || strcmp(first, second) != 0) {
		fprintf(stderr, "%s\n---\n%s\n", first, second);
		abort();
	}
	free(first);
	free(second);
	lab_scenario_free(scenario);
	lab_scenario_free(again);
	return 0;
}
