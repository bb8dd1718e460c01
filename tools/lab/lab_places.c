/* SPDX-License-Identifier: ISC */
/*
 * Where the lab's own files are: beside the executable in a build folder, or
 * where they were installed; and where the user says.
 */
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "config.h"
#include "tools/lab/lab_private.h"

/* The directory of our own executable; owned. */
static char *own_directory(void)
{
	char path[PATH_MAX];
	ssize_t length = readlink("/proc/self/exe", path, sizeof(path) - 1);

	if (length <= 0)
		return mem_dup_string(".");
	path[length] = '\0';
	*strrchr(path, '/') = '\0';
	return mem_dup_string(path);
}

/* The first of these that is there; else the last. Owned. */
static char *first_there(char *const *paths, size_t count)
{
	char *found = NULL;

	for (size_t i = 0; i < count; i++) {
		char *whole = NULL;

		if (paths[i] != NULL && found == NULL &&
		    (access(paths[i], F_OK) == 0 || i == count - 1)) {
			whole = realpath(paths[i], NULL);
			found = mem_dup_string(whole != NULL ? whole :
			    paths[i]);
			free(whole);
		}
		mem_free(paths[i]);
	}
	return found;
}

static char *variable(const char *name)
{
	const char *value = getenv(name);

	return value != NULL && *value != '\0' ? mem_dup_string(value) : NULL;
}

/* What the user named is taken as it is, or missed. */
static char *find_data(const char *own, const char *named)
{
	char *paths[] = { mem_print("%s/tools/lab", own),
	    mem_print("%s/../tools/lab", own),
	    mem_dup_string(POSTERN_LAB_DIR) };
	char *wanted = named != NULL ? mem_dup_string(named) :
	    variable("POSTERN_LAB_DATA");
	char *found = first_there(paths, 3);

	if (wanted == NULL)
		return found;
	mem_free(found);
	return first_there(&wanted, 1);
}

void lab_places_find(struct lab_places *places, const char *data)
{
	char *own = own_directory();
	char *binaries[] = { variable("LAB_POSTERN"), variable("POSTERN"),
	    mem_print("%s/postern", own),
	    mem_dup_string(POSTERN_LIB_DIR "/../../sbin/postern") };
	char *peers[] = { variable("POSTERN_PEERS"),
	    mem_print("%s/build-peers", own),
	    mem_print("%s/../build-peers", own), mem_dup_string("") };

	places->data = find_data(own, data);
	places->postern = first_there(binaries, 4);
	places->peers = first_there(peers, 4);
	mem_free(own);
}

void lab_places_release(struct lab_places *places)
{
	mem_free(places->data);
	mem_free(places->postern);
	mem_free(places->peers);
}
