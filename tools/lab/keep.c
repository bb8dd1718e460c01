/* SPDX-License-Identifier: ISC */
/*
 * Numbers grow; a directory that is made is ours, because making it fails for
 * everybody else. Only directories named by a number are ever removed.
 */
#include "tools/lab/keep.h"

#include <errno.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "tools/lab/driver.h"

enum { ATTEMPTS = 100, DEPTH = 8, LINE_MOST = 1 << 20 };

struct lab_keep {
	char	*directory;		/* owned */
	FILE	*results;
	bool	 failed;
};

/* --- the user's place --- */

/* Owned; null when nobody says where the user's files are. */
static char *own_root(void)
{
	const char *state = getenv("XDG_STATE_HOME");
	const char *home = getenv("HOME");

	/* The XDG rules: what is not absolute is not set. */
	if (state != NULL && *state == '/')
		return mem_print("%s/postern-lab", state);
	if (home != NULL && *home == '/')
		return mem_print("%s/.local/state/postern-lab", home);
	return NULL;
}

/* As mkdir -p. -1 with errno. */
static int make_directories(const char *path)
{
	char *copy = mem_dup_string(path);
	int result = 0;

	for (char *at = copy + 1; result == 0; at++) {
		char here = *at;

		if (here != '/' && here != '\0')
			continue;
		*at = '\0';
		if (mkdir(copy, 0700) == -1 && errno != EEXIST)
			result = -1;
		*at = here;
		if (here == '\0')
			break;
	}
	mem_free(copy);
	return result;
}

/* A number without a leading zero, else 0. */
static unsigned number_of(const char *name)
{
	if (*name < '1' || *name > '9' || strlen(name) > 9 ||
	    name[strspn(name, "0123456789")] != '\0')
		return 0;
	return (unsigned)strtoul(name, NULL, 10);
}

static int compare(const void *one, const void *other)
{
	unsigned a = *(const unsigned *)one, b = *(const unsigned *)other;

	return a < b ? -1 : a > b;
}

unsigned *lab_keep_numbers(size_t *count)
{
	char *root = own_root();
	size_t names_count = 0;
	char **names = root != NULL ? lab_list_names(root, "", &names_count) :
	    NULL;
	unsigned *numbers = mem_alloc_array(names_count + 1,
	    sizeof(*numbers));

	*count = 0;
	for (size_t i = 0; i < names_count; i++) {
		if (number_of(names[i]) != 0)
			numbers[(*count)++] = number_of(names[i]);
		mem_free(names[i]);
	}
	mem_free(names);
	mem_free(root);
	qsort(numbers, *count, sizeof(*numbers), compare);
	return numbers;
}

static int remove_entry(const char *path, const struct stat *status, int kind,
    struct FTW *where)
{
	(void)status;
	(void)kind;
	(void)where;
	remove(path);		/* what stays is met again next time */
	return 0;
}

static void drop_oldest(const char *root)
{
	size_t count;
	unsigned *numbers = lab_keep_numbers(&count);

	for (size_t i = 0; i + LAB_RUNS_KEPT < count; i++) {
		char *path = mem_print("%s/%u", root, numbers[i]);

		nftw(path, remove_entry, DEPTH, FTW_DEPTH | FTW_PHYS |
		    FTW_MOUNT);
		mem_free(path);
	}
	mem_free(numbers);
}

/* A new number below root; owned, null with errno. */
static char *make_numbered(const char *root)
{
	for (int i = 0; i < ATTEMPTS; i++) {
		size_t count;
		unsigned *numbers = lab_keep_numbers(&count);
		char *path = mem_print("%s/%u", root, count > 0 ?
		    numbers[count - 1] + 1 : 1);

		mem_free(numbers);
		if (mkdir(path, 0700) == 0)
			return path;
		mem_free(path);
		if (errno != EEXIST)
			return NULL;
	}
	return NULL;
}

static char *make_own(char *error, size_t size)
{
	char *root = own_root(), *path = NULL;

	if (root == NULL) {
		snprintf(error, size, "neither XDG_STATE_HOME nor HOME is "
		    "set");
		return NULL;
	}
	if (make_directories(root) == 0)
		path = make_numbered(root);
	if (path == NULL)
		snprintf(error, size, "%s: %s", root, strerror(errno));
	else
		drop_oldest(root);
	mem_free(root);
	return path;
}

static char *make_named(const char *directory, char *error, size_t size)
{
	char *whole;

	if (mkdir(directory, 0777) == -1 && errno != EEXIST) {
		snprintf(error, size, "%s: %s", directory, strerror(errno));
		return NULL;
	}
	whole = realpath(directory, NULL);
	if (whole == NULL)
		snprintf(error, size, "%s: %s", directory, strerror(errno));
	return whole;
}

/* --- writing --- */

struct lab_keep *lab_keep_new(const char *directory, char *error, size_t size)
{
	char *place = directory != NULL ?
	    make_named(directory, error, size) : make_own(error, size);
	struct lab_keep *keep;
	char *path;

	if (place == NULL)
		return NULL;
	keep = mem_alloc(sizeof(*keep));
	keep->directory = place;
	path = mem_print("%s/results", place);
	keep->results = fopen(path, "we");
	if (keep->results == NULL) {
		snprintf(error, size, "%s: %s", path, strerror(errno));
		lab_keep_free(keep);
		keep = NULL;
	}
	mem_free(path);
	return keep;
}

void lab_keep_free(struct lab_keep *keep)
{
	if (keep == NULL)
		return;
	if (keep->results != NULL)
		fclose(keep->results);
	mem_free(keep->directory);
	mem_free(keep);
}

const char *lab_keep_directory(const struct lab_keep *keep)
{
	return keep->directory;
}

bool lab_keep_failed(const struct lab_keep *keep)
{
	return keep->failed;
}

static void complain(struct lab_keep *keep, const char *name)
{
	if (!keep->failed)
		fprintf(stderr, "postern-lab: %s/%s: %s\n", keep->directory,
		    name, strerror(errno));
	keep->failed = true;
}

void lab_keep_line(struct lab_keep *keep, json_t *object)
{
	if (object == NULL || json_dumpf(object, keep->results,
	    JSON_COMPACT) == -1 || fputc('\n', keep->results) == EOF ||
	    fflush(keep->results) != 0)
		complain(keep, "results");
	json_decref(object);
}

void lab_keep_text(struct lab_keep *keep, const char *name, const char *text)
{
	char *path;
	FILE *file;
	bool written;

	if (text == NULL)
		return;
	path = mem_print("%s/%s", keep->directory, name);
	file = fopen(path, "we");
	written = file != NULL && fputs(text, file) != EOF;
	if (file != NULL && fclose(file) != 0)
		written = false;
	if (!written)
		complain(keep, name);
	mem_free(path);
}

/* --- reading --- */

char *lab_keep_find(const char *word, char *error, size_t size)
{
	size_t count;
	unsigned *numbers = lab_keep_numbers(&count);
	unsigned number = number_of(word);
	char *root = own_root(), *found = NULL;

	if (strcmp(word, "last") == 0)
		number = count > 0 ? numbers[count - 1] : 0;
	for (size_t i = 0; i < count && number != 0; i++)
		if (numbers[i] == number)
			found = mem_print("%s/%u", root, number);
	if (found == NULL && number == 0 && strcmp(word, "last") != 0 &&
	    access(word, X_OK) == 0)
		found = mem_dup_string(word);
	if (found == NULL)
		snprintf(error, size, "there is no run %s; postern lab runs "
		    "shows those in %s; a directory may be named, too", word,
		    root != NULL ? root : "the user's state directory");
	mem_free(numbers);
	mem_free(root);
	return found;
}

json_t *lab_keep_results(const char *directory, char *error, size_t size)
{
	char *path = mem_print("%s/results", directory), *line = NULL;
	FILE *file = fopen(path, "re");
	json_t *array = NULL;
	size_t room = 0;
	ssize_t length;

	if (file == NULL) {
		snprintf(error, size, "%s: %s", path, strerror(errno));
		mem_free(path);
		return NULL;
	}
	array = json_array();
	while ((length = getline(&line, &room, file)) > 0 &&
	    length < LINE_MOST) {
		json_t *object = json_loadb(line, (size_t)length, 0, NULL);

		/* The last one may have been cut off. */
		if (json_is_object(object))
			json_array_append(array, object);
		json_decref(object);
	}
	free(line);
	fclose(file);
	mem_free(path);
	return array;
}
