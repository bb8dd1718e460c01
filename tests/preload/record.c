/* SPDX-License-Identifier: ISC */
/*
 * Preloaded: writes every change of a file or folder below POSTERN_SCOPE, with
 * its bytes, and every flush to the log of record_log.h. A change and its
 * record happen under one lock, so the order in the log is the order in which
 * the kernel saw them, over all processes. A flush is recorded when it is done,
 * and covers what was recorded before it began; it does not hold the lock.
 *
 * POSTERN_RECORD_DELAY  microseconds that each flush takes longer: the window
 *                       between a write and its flush that a fast disk hides
 *
 * Not seen: what stdio writes (its files are there, empty), changes through
 * shared mappings (the mapping is), io_uring. sendfile() and the like to a
 * file in the scope are recorded as LOST, which fails the test.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "tests/preload/record_log.h"
#include "tests/preload/scope.h"

/* The real function of this name and type, looked for once. */
#define REAL(name) \
	__extension__ ({ \
		static __typeof__(&name) real; \
		if (real == NULL) \
			real = (__typeof__(&name))scope_real(#name); \
		real; \
	})

static bool is_wanted_path(int dirfd, const char *path, char *inside)
{
	return record_log_is_open() && scope_path(dirfd, path, inside);
}

static bool is_wanted_fd(int fd)
{
	char inside[PATH_MAX];

	return record_log_is_open() && scope_regular_fd(fd, inside);
}

static uint64_t inode_of(int fd)
{
	struct stat about;

	return syscall(SYS_fstat, fd, &about) == 0 ? about.st_ino : 0;
}

static uint64_t inode_at(int dirfd, const char *path)
{
	struct stat about;
	int before = errno;
	long result = syscall(SYS_newfstatat, dirfd, path, &about,
	    AT_SYMLINK_NOFOLLOW);

	errno = before;
	return result == 0 ? about.st_ino : 0;
}

/* Owner and mode, as CREATE has them. */
static uint64_t about_at(int dirfd, const char *path, uint64_t *inode)
{
	struct stat about = { 0 };

	if (syscall(SYS_newfstatat, dirfd, path, &about,
	    AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH) != 0)
		return 0;
	*inode = about.st_ino;
	return (uint64_t)about.st_uid << 32 | about.st_mode;
}

static void add_number(enum record_kind kind, uint64_t first, uint64_t second)
{
	record_add(&(struct record){ .kind = kind, .first = first,
	    .second = second });
}

static void add_path(enum record_kind kind, const char *path)
{
	record_add(&(struct record){ .kind = kind, .data = path,
	    .length = strlen(path) });
}

/* What was just made at path, or fd when that is "". */
static void add_made(enum record_kind kind, int dirfd, const char *path,
    const char *inside)
{
	struct record record = { .kind = kind, .data = inside,
	    .length = strlen(inside) };

	record.second = about_at(dirfd, path, &record.first);
	record_add(&record);
}

static void add_paths(enum record_kind kind, uint64_t inode, const char *one,
    const char *other)
{
	record_add(&(struct record){ .kind = kind, .first = inode,
	    .data = one, .length = strlen(one) + 1, .more = other,
	    .more_length = strlen(other) });
}

/* --- flushes --- */

static void flush_delay(void)
{
	const char *text = getenv("POSTERN_RECORD_DELAY");
	long micro = text != NULL ? strtol(text, NULL, 10) : 0;
	struct timespec pause = { micro / 1000000, micro % 1000000 * 1000 };
	int before = errno;

	if (micro > 0)
		syscall(SYS_nanosleep, &pause, NULL);
	errno = before;
}

static int flush(int fd, int (*real)(int), unsigned flags)
{
	char inside[PATH_MAX];
	uint64_t started;
	int result;

	if (!record_log_is_open() || !scope_fd(fd, inside))
		return real(fd);
	started = record_now();
	result = real(fd);
	flush_delay();
	if (result == 0) {
		record_lock();
		record_add(&(struct record){ .kind = RECORD_FLUSH,
		    .flags = flags, .first = inode_of(fd), .second = started });
		record_unlock();
	}
	return result;
}

int fsync(int fd)
{
	return flush(fd, REAL(fsync), 0);
}

int fdatasync(int fd)
{
	return flush(fd, REAL(fdatasync), RECORD_DATA_ONLY);
}

static void flushed_all(uint64_t started)
{
	record_lock();
	add_number(RECORD_FLUSH_ALL, 0, started);
	record_unlock();
}

int syncfs(int fd)
{
	uint64_t started = record_log_is_open() ? record_now() : 0;
	char inside[PATH_MAX];
	int result = REAL(syncfs)(fd);

	if (started > 0 && result == 0 && scope_fd(fd, inside))
		flushed_all(started);
	return result;
}

void sync(void)
{
	uint64_t started = record_log_is_open() ? record_now() : 0;

	REAL(sync)();
	if (started > 0 && scope_folder() != NULL)
		flushed_all(started);
}

/* --- contents --- */

/* In the lock, after a write of n bytes that ended at the file's position
 * (at < 0), or began at `at`. */
static void wrote(int fd, const struct iovec *pieces, ssize_t n, off_t at)
{
	uint64_t inode = inode_of(fd);
	int flags = (int)syscall(SYS_fcntl, fd, F_GETFL);

	if (at < 0)
		at = (off_t)syscall(SYS_lseek, fd, 0, SEEK_CUR) - n;
	for (; n > 0; pieces++) {
		size_t step = pieces->iov_len < (size_t)n ? pieces->iov_len :
		    (size_t)n;

		if (step > 0)
			record_add(&(struct record){ .kind = RECORD_WRITE,
			    .first = inode, .second = (uint64_t)at,
			    .data = pieces->iov_base, .length = step });
		at += (off_t)step;
		n -= (ssize_t)step;
	}
	if ((flags & O_DSYNC) != 0)
		add_number(RECORD_FLUSH, inode, record_now());
}

ssize_t write(int fd, const void *data, size_t length)
{
	struct iovec piece = { (void *)data, length };
	ssize_t n;

	if (!is_wanted_fd(fd))
		return REAL(write)(fd, data, length);
	record_lock();
	n = REAL(write)(fd, data, length);
	if (n > 0)
		wrote(fd, &piece, n, -1);
	record_unlock();
	return n;
}

ssize_t writev(int fd, const struct iovec *pieces, int count)
{
	ssize_t n;

	if (!is_wanted_fd(fd))
		return REAL(writev)(fd, pieces, count);
	record_lock();
	n = REAL(writev)(fd, pieces, count);
	if (n > 0)
		wrote(fd, pieces, n, -1);
	record_unlock();
	return n;
}

ssize_t pwrite(int fd, const void *data, size_t length, off_t at)
{
	struct iovec piece = { (void *)data, length };
	ssize_t n;

	if (!is_wanted_fd(fd))
		return REAL(pwrite)(fd, data, length, at);
	record_lock();
	n = REAL(pwrite)(fd, data, length, at);
	if (n > 0)
		wrote(fd, &piece, n, at);
	record_unlock();
	return n;
}

ssize_t pwrite64(int fd, const void *data, size_t length, off64_t at)
{
	return pwrite(fd, data, length, at);
}

ssize_t pwritev(int fd, const struct iovec *pieces, int count, off_t at)
{
	ssize_t n;

	if (!is_wanted_fd(fd))
		return REAL(pwritev)(fd, pieces, count, at);
	record_lock();
	n = REAL(pwritev)(fd, pieces, count, at);
	if (n > 0)
		wrote(fd, pieces, n, at);
	record_unlock();
	return n;
}

ssize_t pwritev64(int fd, const struct iovec *pieces, int count, off64_t at)
{
	return pwritev(fd, pieces, count, at);
}

int ftruncate(int fd, off_t size)
{
	int result;

	if (!is_wanted_fd(fd))
		return REAL(ftruncate)(fd, size);
	record_lock();
	result = REAL(ftruncate)(fd, size);
	if (result == 0)
		add_number(RECORD_TRUNCATE, inode_of(fd), (uint64_t)size);
	record_unlock();
	return result;
}

int ftruncate64(int fd, off64_t size)
{
	return ftruncate(fd, size);
}

int truncate(const char *path, off_t size)
{
	char inside[PATH_MAX];
	int result;

	if (!is_wanted_path(AT_FDCWD, path, inside))
		return REAL(truncate)(path, size);
	record_lock();
	result = REAL(truncate)(path, size);
	if (result == 0)
		add_number(RECORD_TRUNCATE, inode_at(AT_FDCWD, path),
		    (uint64_t)size);
	record_unlock();
	return result;
}

int truncate64(const char *path, off64_t size)
{
	return truncate(path, size);
}

int fallocate(int fd, int mode, off_t at, off_t length)
{
	int result;

	if (!is_wanted_fd(fd))
		return REAL(fallocate)(fd, mode, at, length);
	record_lock();
	result = REAL(fallocate)(fd, mode, at, length);
	if (result == 0 && mode == 0)
		add_number(RECORD_ALLOCATE, inode_of(fd),
		    (uint64_t)(at + length));
	else if (result == 0 && mode != FALLOC_FL_KEEP_SIZE)
		add_path(RECORD_LOST, "fallocate");
	record_unlock();
	return result;
}

int fallocate64(int fd, int mode, off64_t at, off64_t length)
{
	return fallocate(fd, mode, at, length);
}

int posix_fallocate(int fd, off_t at, off_t length)
{
	int result;

	if (!is_wanted_fd(fd))
		return REAL(posix_fallocate)(fd, at, length);
	record_lock();
	result = REAL(posix_fallocate)(fd, at, length);
	if (result == 0)
		add_number(RECORD_ALLOCATE, inode_of(fd),
		    (uint64_t)(at + length));
	record_unlock();
	return result;
}

int posix_fallocate64(int fd, off64_t at, off64_t length)
{
	return posix_fallocate(fd, at, length);
}

static void lost(int fd, const char *what)
{
	if (!is_wanted_fd(fd))
		return;
	record_lock();
	add_path(RECORD_LOST, what);
	record_unlock();
}

ssize_t sendfile(int to, int from, off_t *at, size_t length)
{
	lost(to, "sendfile");
	return REAL(sendfile)(to, from, at, length);
}

ssize_t copy_file_range(int from, off64_t *from_at, int to, off64_t *to_at,
    size_t length, unsigned flags)
{
	lost(to, "copy_file_range");
	return REAL(copy_file_range)(from, from_at, to, to_at, length, flags);
}

void *mmap(void *place, size_t length, int protection, int flags, int fd,
    off_t at)
{
	/* Before anything else: the loader's own memory comes by here. */
	void *got = (void *)syscall(SYS_mmap, place, length, protection, flags,
	    fd, at);

	if (got == MAP_FAILED || fd < 0 || (flags & MAP_SHARED) == 0 ||
	    (protection & PROT_WRITE) == 0 || !is_wanted_fd(fd))
		return got;
	record_lock();
	add_number(RECORD_MAP, inode_of(fd), 0);
	record_unlock();
	return got;
}

void *mmap64(void *place, size_t length, int protection, int flags, int fd,
    off64_t at)
{
	return mmap(place, length, protection, flags, fd, at);
}

/* --- names --- */

static int open_recorded(int dirfd, const char *path, const char *inside,
    int flags, mode_t mode)
{
	bool was_there;
	int fd;

	record_lock();
	was_there = inode_at(dirfd, path) != 0;
	fd = (int)syscall(SYS_openat, dirfd, path, flags, mode);
	if (fd >= 0 && !was_there)
		add_made(RECORD_CREATE, fd, "", inside);
	else if (fd >= 0 && (flags & O_TRUNC) != 0)
		add_number(RECORD_TRUNCATE, inode_of(fd), 0);
	record_unlock();
	return fd;
}

static int open_any(int dirfd, const char *path, int flags, mode_t mode)
{
	char inside[PATH_MAX];

	if ((flags & O_TMPFILE) == O_TMPFILE ||
	    (flags & (O_CREAT | O_TRUNC)) == 0 ||
	    !is_wanted_path(dirfd, path, inside))
		return (int)syscall(SYS_openat, dirfd, path, flags, mode);
	return open_recorded(dirfd, path, inside, flags, mode);
}

#define OPEN_MODE(flags, mode) \
	do { \
		if (((flags) & (O_CREAT | __O_TMPFILE)) != 0) { \
			va_list list; \
			va_start(list, flags); \
			mode = va_arg(list, mode_t); \
			va_end(list); \
		} \
	} while (0)

int open(const char *path, int flags, ...)
{
	mode_t mode = 0;

	OPEN_MODE(flags, mode);
	return open_any(AT_FDCWD, path, flags, mode);
}

int open64(const char *path, int flags, ...)
{
	mode_t mode = 0;

	OPEN_MODE(flags, mode);
	return open_any(AT_FDCWD, path, flags | O_LARGEFILE, mode);
}

int openat(int dirfd, const char *path, int flags, ...)
{
	mode_t mode = 0;

	OPEN_MODE(flags, mode);
	return open_any(dirfd, path, flags, mode);
}

int openat64(int dirfd, const char *path, int flags, ...)
{
	mode_t mode = 0;

	OPEN_MODE(flags, mode);
	return open_any(dirfd, path, flags | O_LARGEFILE, mode);
}

int creat(const char *path, mode_t mode)
{
	return open_any(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode);
}

int creat64(const char *path, mode_t mode)
{
	return creat(path, mode);
}

/* What a fortified program calls instead when it names no mode. */
int __open_2(const char *path, int flags);
int __open64_2(const char *path, int flags);
int __openat_2(int dirfd, const char *path, int flags);
int __openat64_2(int dirfd, const char *path, int flags);

int __open_2(const char *path, int flags)
{
	return open_any(AT_FDCWD, path, flags, 0);
}

int __open64_2(const char *path, int flags)
{
	return open_any(AT_FDCWD, path, flags, 0);
}

int __openat_2(int dirfd, const char *path, int flags)
{
	return open_any(dirfd, path, flags, 0);
}

int __openat64_2(int dirfd, const char *path, int flags)
{
	return open_any(dirfd, path, flags, 0);
}

/* Its file is there; what goes into it is not recorded. */
static FILE *stream_open(const char *path, const char *mode,
    FILE *(*real)(const char *, const char *))
{
	char inside[PATH_MAX];
	int flags = O_CREAT | O_WRONLY | (mode[0] == 'w' ? O_TRUNC : 0);

	if (mode[0] != 'r' && is_wanted_path(AT_FDCWD, path, inside)) {
		int fd = open_recorded(AT_FDCWD, path, inside, flags, 0666);

		if (fd < 0)
			return NULL;
		close(fd);
	}
	return real(path, mode);
}

FILE *fopen(const char *path, const char *mode)
{
	return stream_open(path, mode, REAL(fopen));
}

FILE *fopen64(const char *path, const char *mode)
{
	return stream_open(path, mode, REAL(fopen64));
}

/* A name that goes from one place to another, or to a second one. */
static int two_names(enum record_kind kind, long call, int from_fd,
    const char *from, int to_fd, const char *to, unsigned flags)
{
	char from_inside[PATH_MAX], to_inside[PATH_MAX];
	bool one = is_wanted_path(from_fd, from, from_inside);
	bool other = is_wanted_path(to_fd, to, to_inside);
	int result;

	if (!one && !other)
		return (int)syscall(call, from_fd, from, to_fd, to, flags);
	record_lock();
	result = (int)syscall(call, from_fd, from, to_fd, to, flags);
	if (result == 0 && one != other)
		add_path(RECORD_LOST, "a name that leaves the scope");
	else if (result == 0)
		add_paths(kind, inode_at(to_fd, to), from_inside, to_inside);
	record_unlock();
	return result;
}

int rename(const char *from, const char *to)
{
	return two_names(RECORD_RENAME, SYS_renameat2, AT_FDCWD, from,
	    AT_FDCWD, to, 0);
}

int renameat(int from_fd, const char *from, int to_fd, const char *to)
{
	return two_names(RECORD_RENAME, SYS_renameat2, from_fd, from, to_fd,
	    to, 0);
}

int renameat2(int from_fd, const char *from, int to_fd, const char *to,
    unsigned flags)
{
	return two_names((flags & RENAME_EXCHANGE) != 0 ? RECORD_EXCHANGE :
	    RECORD_RENAME, SYS_renameat2, from_fd, from, to_fd, to, flags);
}

int link(const char *from, const char *to)
{
	return two_names(RECORD_LINK, SYS_linkat, AT_FDCWD, from, AT_FDCWD,
	    to, 0);
}

int linkat(int from_fd, const char *from, int to_fd, const char *to, int flags)
{
	return two_names(RECORD_LINK, SYS_linkat, from_fd, from, to_fd, to,
	    (unsigned)flags);
}

static int remove_name(int dirfd, const char *path, int flags)
{
	char inside[PATH_MAX];
	int result;

	if (!is_wanted_path(dirfd, path, inside))
		return (int)syscall(SYS_unlinkat, dirfd, path, flags);
	record_lock();
	result = (int)syscall(SYS_unlinkat, dirfd, path, flags);
	if (result == 0)
		add_path((flags & AT_REMOVEDIR) != 0 ? RECORD_RMDIR :
		    RECORD_UNLINK, inside);
	record_unlock();
	return result;
}

int unlink(const char *path)
{
	return remove_name(AT_FDCWD, path, 0);
}

int unlinkat(int dirfd, const char *path, int flags)
{
	return remove_name(dirfd, path, flags);
}

int rmdir(const char *path)
{
	return remove_name(AT_FDCWD, path, AT_REMOVEDIR);
}

int remove(const char *path)
{
	int result = remove_name(AT_FDCWD, path, 0);

	if (result != 0 && errno == EISDIR)
		result = remove_name(AT_FDCWD, path, AT_REMOVEDIR);
	return result;
}

int mkdirat(int dirfd, const char *path, mode_t mode)
{
	char inside[PATH_MAX];
	int result;

	if (!is_wanted_path(dirfd, path, inside))
		return (int)syscall(SYS_mkdirat, dirfd, path, mode);
	record_lock();
	result = (int)syscall(SYS_mkdirat, dirfd, path, mode);
	if (result == 0)
		add_made(RECORD_MKDIR, dirfd, path, inside);
	record_unlock();
	return result;
}

int mkdir(const char *path, mode_t mode)
{
	return mkdirat(AT_FDCWD, path, mode);
}

int symlinkat(const char *target, int dirfd, const char *path)
{
	char inside[PATH_MAX];
	int result;

	if (!is_wanted_path(dirfd, path, inside))
		return (int)syscall(SYS_symlinkat, target, dirfd, path);
	record_lock();
	result = (int)syscall(SYS_symlinkat, target, dirfd, path);
	if (result == 0)
		add_paths(RECORD_SYMLINK, inode_at(dirfd, path), inside,
		    target);
	record_unlock();
	return result;
}

int symlink(const char *target, const char *path)
{
	return symlinkat(target, AT_FDCWD, path);
}

static int change_mode(int dirfd, const char *path, mode_t mode)
{
	uint64_t inode = 0;
	int result;

	record_lock();
	result = path[0] == '\0' ? (int)syscall(SYS_fchmod, dirfd, mode) :
	    (int)syscall(SYS_fchmodat, dirfd, path, mode);
	if (result == 0) {
		uint64_t about = about_at(dirfd, path, &inode);

		add_number(RECORD_MODE, inode, about);
	}
	record_unlock();
	return result;
}

int fchmod(int fd, mode_t mode)
{
	char inside[PATH_MAX];

	if (!record_log_is_open() || !scope_fd(fd, inside))
		return (int)syscall(SYS_fchmod, fd, mode);
	return change_mode(fd, "", mode);
}

int chmod(const char *path, mode_t mode)
{
	char inside[PATH_MAX];

	if (!is_wanted_path(AT_FDCWD, path, inside))
		return (int)syscall(SYS_fchmodat, AT_FDCWD, path, mode);
	return change_mode(AT_FDCWD, path, mode);
}

/* Before the program changes its user. */
__attribute__((constructor)) static void open_early(void)
{
	if (scope_folder() != NULL)
		record_log_is_open();
}
