/* SPDX-License-Identifier: ISC */
/*
 * Finding drivers; run.c calls them.
 */
#include "tools/lab/driver.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"

static int compare(const void *one, const void *other)
{
	return strcmp(*(char *const *)one, *(char *const *)other);
}

char **lab_list_names(const char *directory, const char *ending,
    size_t *count)
{
	DIR *folder = opendir(directory);
	char **names = mem_alloc(sizeof(*names));
	struct dirent *entry;

	*count = 0;
	while (folder != NULL && (entry = readdir(folder)) != NULL) {
		size_t length = strlen(entry->d_name), rest = strlen(ending);

		if (entry->d_name[0] == '.' || length <= rest ||
		    strcmp(entry->d_name + length - rest, ending) != 0)
			continue;
		names = mem_resize(names, *count + 1, sizeof(*names));
		names[*count] = mem_dup_string(entry->d_name);
		names[(*count)++][length - rest] = '\0';
	}
	if (folder != NULL)
		closedir(folder);
	if (*count > 1)
		qsort(names, *count, sizeof(*names), compare);
	return names;
}

static void name_all(const char *directory, char *out, size_t size)
{
	size_t count, used = 0;
	char **names = lab_list_names(directory, "", &count);

	out[0] = '\0';
	for (size_t i = 0; i < count; i++) {
		if (used < size)
			used += (size_t)snprintf(out + used, size - used,
			    "%s%s", i > 0 ? ", " : "", names[i]);
		mem_free(names[i]);
	}
	mem_free(names);
}

int lab_driver_find(struct lab_driver *driver,
    const struct lab_places *places, const char *name, char *error,
    size_t size)
{
	char directory[PATH_MAX], list[300];
	char *path, *full;

	snprintf(directory, sizeof(directory), "%s/drivers", places->data);
	path = strchr(name, '/') != NULL ? mem_dup_string(name) :
	    mem_print("%s/%s", directory, name);
	if (access(path, X_OK) == -1) {
		name_all(directory, list, sizeof(list));
		snprintf(error, size, "there is no driver %s; there are: %s; "
		    "or name an executable file, with a slash", name, list);
		mem_free(path);
		return -1;
	}
	full = realpath(path, NULL);
	driver->path = mem_dup_string(full != NULL ? full : path);
	free(full);
	mem_free(path);
	driver->name = mem_dup_string(strrchr(driver->path, '/') + 1);
	return 0;
}

void lab_driver_release(struct lab_driver *driver)
{
	mem_free(driver->name);
	mem_free(driver->path);
}
