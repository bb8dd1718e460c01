/* SPDX-License-Identifier: ISC */
/*
 * postern queue backup and verify. The role makes a copy in its own directory;
 * it is copied to where it is wanted file by file, flushed, and looked at before
 * anybody calls it a backup. Where the role is somebody else than we are, it is
 * never moved: a directory that left the role's root, and which it holds open,
 * would lead it out, and links would let it change the backup.
 */
#include "tools/command_queue.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/control.h"
#include "base/mem.h"
#include "conf/conf.h"
#include "tools/queue_copy.h"

enum { PIECE_BYTES = 1 << 20 };

static int complain(const char *path, const char *what)
{
	fprintf(stderr, "postern: %s: %s\n", path, what);
	return CONTROL_OUTPUT;
}

/* --- the place --- */

/* Before a copy is made for nothing. */
static int check_parent(const char *path)
{
	size_t length = strlen(path);
	char *parent;
	struct stat about;
	int code = -1;

	while (length > 1 && path[length - 1] == '/')
		length--;
	while (length > 0 && path[length - 1] != '/')
		length--;
	parent = length == 0 ? mem_dup_string(".") :
	    mem_print("%.*s", (int)length, path);
	if (stat(parent, &about) == -1) {
		fprintf(stderr, "postern: %s: %s: a backup wants a directory "
		    "that it can be made in\n", parent, strerror(errno));
		code = CONTROL_USAGE;
	}
	mem_free(parent);
	return code;
}

/* -1: it is free; else a code. */
static int check_place(const char *path)
{
	DIR *stream = opendir(path);
	struct dirent *entry;
	int entries = 0;

	if (stream == NULL && errno == ENOENT)
		return check_parent(path);
	if (stream == NULL) {
		complain(path, strerror(errno));
		return CONTROL_USAGE;
	}
	while ((entry = readdir(stream)) != NULL)
		entries += strcmp(entry->d_name, ".") != 0 &&
		    strcmp(entry->d_name, "..") != 0;
	closedir(stream);
	if (entries == 0)
		return -1;
	complain(path, "the directory is not empty; a backup wants a new one");
	return CONTROL_USAGE;
}

static int sync_directory(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int result = fd == -1 ? -1 : fsync(fd);

	if (fd != -1)
		close(fd);
	return result;
}

static int sync_parent(const char *path)
{
	char *whole = realpath(path, NULL), *slash;
	int result;

	if (whole == NULL)
		return -1;
	slash = strrchr(whole, '/');
	slash[slash == whole] = '\0';
	result = sync_directory(whole);
	free(whole);
	return result;
}

/* --- copying --- */

static int copy_bytes(int from, int to)
{
	char *piece = mem_alloc(PIECE_BYTES);
	ssize_t got, put, done;

	while ((got = read(from, piece, PIECE_BYTES)) > 0)
		for (done = 0; done < got; done += put) {
			put = write(to, piece + done, (size_t)(got - done));
			if (put == -1) {
				mem_free(piece);
				return -1;
			}
		}
	mem_free(piece);
	return got == -1 ? -1 : fsync(to);
}

/* With the owner and mode that it has. */
static int copy_file(int from_directory, int to_directory, const char *name)
{
	/* A pipe would never open. */
	int from = openat(from_directory, name, O_RDONLY | O_NOFOLLOW |
	    O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	int to = openat(to_directory, name, O_WRONLY | O_CREAT | O_EXCL |
	    O_NOFOLLOW | O_CLOEXEC, 0600);
	struct stat about;
	int result = -1;

	if (from != -1 && to != -1 && fstat(from, &about) == 0) {
		if (!S_ISREG(about.st_mode))
			errno = EINVAL;
		else if (geteuid() != 0 || fchown(to, about.st_uid,
		    about.st_gid) == 0)
			result = copy_bytes(from, to);
	}
	if (from != -1)
		close(from);
	if (to != -1 && close(to) == -1)
		result = -1;
	return result;
}

static int copy_files(DIR *from, int to)
{
	struct dirent *entry;
	struct stat about;

	if (fstat(dirfd(from), &about) == -1 || (geteuid() == 0 &&
	    fchown(to, about.st_uid, about.st_gid) == -1) ||
	    fchmod(to, 0700) == -1)
		return -1;
	while ((entry = readdir(from)) != NULL)
		if (strcmp(entry->d_name, ".") != 0 &&
		    strcmp(entry->d_name, "..") != 0 &&
		    copy_file(dirfd(from), to, entry->d_name) == -1)
			return -1;
	return fsync(to);
}

/* What came of a copy that failed. */
static void remove_files(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *stream = fd == -1 ? NULL : fdopendir(fd);
	struct dirent *entry;

	while (stream != NULL && (entry = readdir(stream)) != NULL)
		(void)unlinkat(dirfd(stream), entry->d_name, 0);
	if (stream != NULL)
		closedir(stream);
	(void)rmdir(path);
}

/* Nothing has the name of a backup before it is whole. */
static int copy_to_draft(const struct queue_copy *copy, const char *draft,
    const char *place)
{
	int source = openat(copy->directory, ".", O_RDONLY | O_DIRECTORY |
	    O_CLOEXEC);
	DIR *from = source == -1 ? NULL : fdopendir(source);
	int to, result = -1, error;

	if (from == NULL)
		return complain(copy->path, strerror(errno));
	/* Of one that was interrupted. */
	remove_files(draft);
	to = mkdir(draft, 0700) == -1 ? -1 : open(draft, O_RDONLY |
	    O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (to != -1)
		result = copy_files(from, to);
	if (result == 0)
		result = rename(draft, place);
	error = errno;
	closedir(from);
	if (to != -1)
		close(to);
	if (result == 0)
		return CONTROL_OK;
	if (to != -1)
		remove_files(draft);
	return complain(place, strerror(error));
}

static int copy_over(const struct queue_copy *copy, const char *place)
{
	size_t length = strlen(place);
	char *draft;
	int code;

	while (length > 1 && place[length - 1] == '/')
		length--;
	draft = mem_print("%.*s.incomplete", (int)length, place);
	code = copy_to_draft(copy, draft, place);
	mem_free(draft);
	return code;
}

static bool is_ours(const struct queue_copy *copy)
{
	struct stat about;

	return fstat(copy->directory, &about) == 0 &&
	    about.st_uid == geteuid();
}

static int bring(const struct queue_copy *copy, const char *place)
{
	int code = CONTROL_OK;

	if (!is_ours(copy))
		code = copy_over(copy, place);
	else if (rename(copy->path, place) == -1)
		code = errno == EXDEV || errno == ENOTEMPTY ||
		    errno == EEXIST ? copy_over(copy, place) :
		    complain(place, strerror(errno));
	if (code == CONTROL_OK && sync_parent(place) == -1)
		code = complain(place, strerror(errno));
	return code;
}

/* --- the commands --- */

static int run_backup(struct queue_request *request)
{
	const char *place = request->before;
	struct queue_copy copy;
	int code = check_place(place);

	if (code != -1)
		return code;
	code = queue_copy_begin(request, &copy);
	if (code != CONTROL_OK)
		return code;
	code = bring(&copy, place);
	queue_copy_end(&copy);
	if (code != CONTROL_OK)
		return code;
	code = queue_copy_check(place, request->json);
	if (code != CONTROL_OK) {
		fprintf(stderr, "postern: %s: this copy is damaged, and is no "
		    "backup; `postern queue verify` says more\n", place);
		return code;
	}
	if (!request->json)
		printf("a backup is in %s\n", place);
	return CONTROL_OK;
}

const struct queue_command queue_command_backup = { .name = "backup",
    .summary = "a copy of the whole queue in a new directory",
    .before = "DIRECTORY", .run = run_backup,
    .help = "The queue goes on working meanwhile. To go back to a backup: "
    "stop Postern, put the\nbackup in the place of the queue directory "
    "(same owner), start Postern. What was\ndelivered since the backup was "
    "made is then delivered once more, and what came\nin since is not in it: "
    "`postern queue export` what the present queue holds first.\n" };

static void print_answer(void *arg, const json_t *object)
{
	queue_copy_print(arg, object);
}

static int worse(int one, int other)
{
	return one == CONTROL_OK || one == CONTROL_DATA ?
	    (other == CONTROL_OK ? one : other) : one;
}

static int check_pages(struct queue_request *request)
{
	struct queue_copy copy;
	int code = queue_copy_begin(request, &copy);

	if (code != CONTROL_OK) {
		fprintf(stderr, "postern: the pages of the files were not "
		    "checked, for want of a copy; --quick does without\n");
		return code;
	}
	if (!request->json)
		printf("checking a copy of %llu MiB, each page\n",
		    (unsigned long long)(copy.bytes >> 20));
	code = queue_copy_check_open(copy.directory, copy.path,
	    request->json);
	queue_copy_end(&copy);
	return code;
}

static int run_verify(struct queue_request *request)
{
	const char *place = json_string_value(json_object_get(request->own,
	    "directory"));
	struct queue_copy_report report = { .json = request->json };
	int code;

	if (place != NULL) {
		code = queue_copy_check(place, request->json);
	} else {
		code = queue_request_ask_all(request, "verify", print_answer,
		    &report);
		if ((code == CONTROL_OK || code == CONTROL_DATA) &&
		    json_object_get(request->own, "quick") == NULL)
			code = worse(code, check_pages(request));
	}
	if (!request->json && code == CONTROL_OK)
		printf("no problems were found\n");
	return code;
}

static const struct queue_option verify_options[] = {
	{ .name = "directory", .kind = QUEUE_TEXT, .value = "DIRECTORY",
	    .help = "a backup, or the directory of a queue that is stopped",
	    .local = true },
	{ .name = "quick", .kind = QUEUE_FLAG, .local = true,
	    .help = "rows and bodies of the queue at work, no copy" },
	{ .name = NULL }
};

const struct queue_command queue_command_verify = { .name = "verify",
    .summary = "check each row, body and page of the queue",
    .options = verify_options, .run = run_verify,
    .help = "Exit status 65: something is damaged. A page of the queue at "
    "work that cannot be\nread makes the queue stop, salvage what there is, "
    "and start again.\n" };
