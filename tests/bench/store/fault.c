/* SPDX-License-Identifier: ISC */
/*
 * The hooks below Berkeley DB: they count calls, pretend errors, start
 * write-back early, make new files last (directory synced), take prepared log
 * files into use, and give a full disk the reserve. "strict" is what the
 * server does: a failed write or fsync ends the process at once. Not strict
 * shows what Berkeley DB does when left alone.
 */
#include "tests/bench/store/bench.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct hook_counts hook_counts;

static struct fault active;
static atomic_long calls_seen;
static bool early_writes;
enum { MAX_DESCRIPTORS = 4096 };
static bool log_descriptors[MAX_DESCRIPTORS];
static bool draft_descriptors[MAX_DESCRIPTORS];	/* of tables being made */
static atomic_uint pages_written[MAX_DESCRIPTORS];
static char reserve_path[4096];
static atomic_bool reserve_used;

void fault_set(const struct fault *fault)
{
	atomic_store(&calls_seen, 0);
	active = fault != NULL ? *fault : (struct fault){ .strict = true };
}

void fault_early_writes(bool on)
{
	early_writes = on;
}

static void sync_directory_of(const char *path)
{
	char directory[4096];
	char *slash;
	int fd;

	snprintf(directory, sizeof(directory), "%s", path);
	slash = strrchr(directory, '/');
	if (slash == NULL)
		return;
	*slash = '\0';
	fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fsync(fd) != 0)
		die(directory, errno);
	close(fd);
}

void fault_reserve(const char *path, uint64_t bytes)
{
	int fd;

	reserve_path[0] = '\0';
	atomic_store(&reserve_used, false);
	if (path == NULL)
		return;
	fd = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
	if (fd < 0 || posix_fallocate(fd, 0, (off_t)bytes) != 0 ||
	    fsync(fd) != 0)
		die("reserve", errno);
	close(fd);
	snprintf(reserve_path, sizeof(reserve_path), "%s", path);
}

bool fault_reserve_is_used(void)
{
	return atomic_load(&reserve_used);
}

/* True: the reserve was there and is now free space; try again. */
static bool reserve_release(void)
{
	atomic_fetch_add(&hook_counts.no_space, 1);
	if (reserve_path[0] == '\0' || atomic_exchange(&reserve_used, true))
		return false;
	return unlink(reserve_path) == 0;
}

/* errno to pretend for this call, or 0. */
static int fault_now(enum fault_call call)
{
	long seen;

	if (active.call != call)
		return 0;
	seen = atomic_fetch_add(&calls_seen, 1);
	if (seen < active.after)
		return 0;
	if (active.times >= 0 && seen >= active.after + active.times)
		return 0;
	return active.error;
}

static void end_if_strict(bool failed)
{
	if (failed && active.strict)
		_exit(EXIT_FAULT);
}

/*
 * With a write hook set, Berkeley DB 5.3 writes pages by lseek and write, so
 * one hook sees everything; what the descriptor is was noted at its open.
 */
/* All of it or an error: Berkeley DB does not go on after a short write. */
static int write_all(int fd, const char *data, size_t length)
{
	while (length > 0) {
		ssize_t n = write(fd, data, length);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == ENOSPC && reserve_release())
			continue;
		if (n < 0)
			return -1;
		data += n;
		length -= (size_t)n;
	}
	return 0;
}

static ssize_t hook_write(int fd, const void *data, size_t length)
{
	bool is_log = fd < MAX_DESCRIPTORS && log_descriptors[fd];
	int error = fault_now(is_log ? FAULT_LOG_WRITE : FAULT_PAGE_WRITE);

	atomic_fetch_add(is_log ? &hook_counts.log_writes :
	    &hook_counts.page_writes, 1);
	atomic_fetch_add(is_log ? &hook_counts.log_bytes :
	    &hook_counts.page_bytes, length);
	if (error != 0) {
		end_if_strict(error != ENOSPC || is_log);
		errno = error;
		return -1;
	}
	if (write_all(fd, data, length) != 0) {
		end_if_strict(is_log || errno != ENOSPC);
		return -1;
	}
	if (fd < MAX_DESCRIPTORS && draft_descriptors[fd])
		end_if_strict(fdatasync(fd) != 0);
	if (early_writes && !is_log && fd < MAX_DESCRIPTORS &&
	    ++pages_written[fd] % 256 == 0)
		sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE);
	return (ssize_t)length;
}

static int hook_fsync(int fd)
{
	int error = fault_now(FAULT_FSYNC);

	atomic_fetch_add(&hook_counts.fsyncs, 1);
	if (error != 0) {
		end_if_strict(true);
		errno = error;
		return -1;
	}
	if (fdatasync(fd) == 0)
		return 0;
	end_if_strict(true);
	return -1;
}

/* A prepared, zeroed log file waits as "spare" beside the log. */
static bool take_spare(const char *path)
{
	char spare[4096];
	const char *slash = strrchr(path, '/');

	if (slash == NULL || strncmp(slash + 1, "log.", 4) != 0)
		return false;
	snprintf(spare, sizeof(spare), "%.*s/spare", (int)(slash - path), path);
	return rename(spare, path) == 0;
}

static int note(const char *path, int fd)
{
	const char *slash = strrchr(path, '/');

	const char *name = slash != NULL ? slash + 1 : path;

	if (fd >= 0 && fd < MAX_DESCRIPTORS) {
		log_descriptors[fd] = strncmp(name, "log.", 4) == 0;
		draft_descriptors[fd] = strncmp(name, "__db.", 5) == 0;
	}
	return fd;
}

static int hook_open(const char *path, int flags, ...)
{
	int fd, mode = 0600;
	int error = fault_now(FAULT_OPEN);

	if (error != 0) {
		errno = error;
		return -1;
	}
	flags |= O_CLOEXEC | O_NOFOLLOW;
	if ((flags & O_CREAT) == 0)
		return note(path, open(path, flags));
	va_list list;
	va_start(list, flags);
	mode = va_arg(list, int);
	va_end(list);
	if ((flags & O_EXCL) == 0) {
		fd = open(path, flags & ~O_CREAT);
		if (fd >= 0 || errno != ENOENT)
			return note(path, fd);
		if (take_spare(path)) {
			sync_directory_of(path);
			return note(path, open(path,
			    flags & ~(O_CREAT | O_TRUNC)));
		}
	}
	fd = open(path, flags, mode);
	if (fd >= 0)
		sync_directory_of(path);
	return note(path, fd);
}

/*
 * A new table is written under a passing name, then renamed; the log may be on
 * the disk before its first page is, and recovery refuses an environment in
 * which the name is there and the page is not. So that page goes out at once
 * (hook_write), and the new name is made to last here.
 */
static int hook_rename(const char *from, const char *to)
{
	if (rename(from, to) != 0)
		return -1;
	sync_directory_of(to);
	return 0;
}

void fault_install(void)
{
	fault_set(NULL);
	if (db_env_set_func_write(hook_write) != 0 ||
	    db_env_set_func_fsync(hook_fsync) != 0 ||
	    db_env_set_func_open(hook_open) != 0 ||
	    db_env_set_func_rename(hook_rename) != 0)
		die("hooks", 0);
}
