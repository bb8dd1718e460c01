/* SPDX-License-Identifier: ISC */
/*
 * Read, change, replace: see kept_file.h.
 */
#include "tools/kept_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "tools/directories.h"

enum { NEW_MODE = 0600, LOCK_TRIES = 100, LOCK_PAUSE_MS = 100 };

static int complain(const char *what, const char *path)
{
	int error = errno;

	fprintf(stderr, "postern: cannot %s %s: %s\n", what, path,
	    strerror(error));
	errno = error;
	return -1;
}

/* The whole file; no file is an empty one. */
static int read_all(struct kept_file *file)
{
	int fd = open(file->path, O_RDONLY | O_CLOEXEC);
	struct stat facts;
	ssize_t got = 0;

	file->text = mem_dup_string("");
	file->length = 0;
	if (fd == -1)
		return errno == ENOENT ? 0 : complain("read", file->path);
	if (fstat(fd, &facts) == -1 || !S_ISREG(facts.st_mode) ||
	    facts.st_size > KEPT_FILE_MAX) {
		fprintf(stderr, "postern: %s is not a file of ours\n",
		    file->path);
		close(fd);
		return -1;
	}
	mem_free(file->text);
	file->text = mem_alloc((size_t)facts.st_size + 1);
	while (file->length < (size_t)facts.st_size) {
		got = read(fd, file->text + file->length,
		    (size_t)facts.st_size - file->length);
		if (got <= 0)
			break;
		file->length += (size_t)got;
	}
	close(fd);
	return got < 0 ? complain("read", file->path) : 0;
}

static int take_lock(struct kept_file *file)
{
	static const struct timespec pause = {
		.tv_nsec = LOCK_PAUSE_MS * 1000000L };
	char *path = mem_print("%s.lock", file->path);
	int tries = 0;

	file->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW,
	    NEW_MODE);
	if (file->lock == -1) {
		complain("make", path);
		if (errno == ENOENT)
			fprintf(stderr, "postern: make its directory first\n");
		mem_free(path);
		return -1;
	}
	while (flock(file->lock, LOCK_EX | LOCK_NB) == -1 &&
	    tries++ < LOCK_TRIES)
		nanosleep(&pause, NULL);
	if (tries > LOCK_TRIES)
		fprintf(stderr, "postern: somebody else is changing %s: %s is "
		    "locked\n", file->path, path);
	mem_free(path);
	return tries > LOCK_TRIES ? -1 : 0;
}

int kept_file_read(struct kept_file *file, const char *path)
{
	memset(file, 0, sizeof(*file));
	file->lock = -1;
	file->path = mem_dup_string(path);
	if (read_all(file) == 0)
		return 0;
	kept_file_end(file);
	return -1;
}

/* The directory that the server makes when it starts may be needed before. */
static int make_state(const struct conf *conf)
{
	char *errors = NULL;

	if (directories_make_state(conf, &errors) == 0)
		return 0;
	fprintf(stderr, "postern: %s\n", errors);
	mem_free(errors);
	return -1;
}

int kept_file_begin(struct kept_file *file, const struct conf *conf,
    const char *path)
{
	memset(file, 0, sizeof(*file));
	file->lock = -1;
	file->path = mem_dup_string(path);
	if (make_state(conf) == 0 && take_lock(file) == 0 &&
	    read_all(file) == 0)
		return 0;
	kept_file_end(file);
	return -1;
}

int kept_file_lock(struct kept_file *file, const char *path,
    const char *model)
{
	memset(file, 0, sizeof(*file));
	file->lock = -1;
	file->path = mem_dup_string(path);
	file->model = model;
	if (take_lock(file) == 0)
		return 0;
	kept_file_end(file);
	return -1;
}

/* The new one is for those the old one was for. */
static int take_over(int fd, const struct kept_file *file)
{
	struct stat facts;

	if (stat(file->path, &facts) == -1 && (errno != ENOENT ||
	    file->model == NULL || stat(file->model, &facts) == -1))
		return errno == ENOENT ? 0 : -1;
	if (geteuid() == 0 && fchown(fd, facts.st_uid, facts.st_gid) == -1)
		return -1;
	return fchmod(fd, facts.st_mode & 0777);
}

static int write_all(int fd, const char *text, size_t length)
{
	while (length > 0) {
		ssize_t put = write(fd, text, length);

		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return -1;
		text += put;
		length -= (size_t)put;
	}
	return fsync(fd);
}

/* A name is durable when its directory is. */
static int sync_directory(const char *path)
{
	const char *slash = strrchr(path, '/');
	char *folder = slash == NULL ? mem_dup_string(".") :
	    mem_print("%.*s", slash == path ? 1 : (int)(slash - path), path);
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int result = fd == -1 ? -1 : fsync(fd);

	if (fd != -1)
		close(fd);
	mem_free(folder);
	return result;
}

int kept_file_write(const struct kept_file *file, const char *text,
    size_t length)
{
	char *fresh = mem_print("%s.new", file->path);
	int fd, result = -1;

	/* Who has the lock is alone: what is there is a leftover. */
	unlink(fresh);
	fd = open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW,
	    NEW_MODE);
	if (fd != -1 && take_over(fd, file) == 0 &&
	    write_all(fd, text, length) == 0 &&
	    rename(fresh, file->path) == 0)
		result = sync_directory(file->path);
	if (result == -1) {
		complain("write", file->path);
		unlink(fresh);
	}
	if (fd != -1)
		close(fd);
	mem_free(fresh);
	return result;
}

void kept_file_end(struct kept_file *file)
{
	int error = errno;

	if (file->text != NULL)
		mem_wipe(file->text, file->length);
	mem_free(file->text);
	mem_free(file->path);
	if (file->lock != -1)
		close(file->lock);
	file->lock = -1;
	file->text = file->path = NULL;
	errno = error;
}
