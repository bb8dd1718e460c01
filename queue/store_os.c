/* SPDX-License-Identifier: ISC */
/*
 * What lies between Berkeley DB and the kernel. The hooks are the process's,
 * not the environment's, so there is one store per process.
 *
 * A failed flush or log write ends the process at once: after it nobody knows
 * what the disk holds, and a second try would succeed and lie. A full disk
 * first gets the reserve. A file that is made, or renamed, is made to last:
 * its directory is flushed, and a new table's first page as soon as it is
 * written (recovery refuses a table whose name is durable and whose first page
 * is not, and the log may get ahead of the page at any moment). With a write
 * hook set Berkeley DB 5.3 writes pages by seek and write, so one hook sees
 * log and pages; which it is was noted when the descriptor was opened. The
 * files of a backup's copy are neither, whatever they are called: nothing
 * rests on them, so their errors are the backup's.
 */
#include "queue/store_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"

enum { DESCRIPTORS = 4096, ZERO_BYTES = 256 << 10 };

enum file_kind {
	FILE_LOG,
	FILE_TABLE,
	FILE_DRAFT,		/* a table being made, under a passing name */
	FILE_COPY		/* anything that a backup makes */
};

static struct {
	pthread_once_t	 once;
	atomic_uchar	 kinds[DESCRIPTORS];	/* enum file_kind */
	atomic_uint_fast64_t log_bytes, page_bytes;

	char		 reserve[PATH_MAX];	/* empty: none */
	uint64_t	 reserve_bytes;
	atomic_bool	 reserve_whole;
	atomic_bool	 no_space_met;	/* and the reserve was gone */
	atomic_bool	 refused;	/* by the kernel: an open or a rename */

	/* Where a page of zeros ends the process; null: it may be read. */
	_Atomic(const char *) strict;

	atomic_bool	 copy_stops;	/* nothing more goes to a copy */

	struct store_fault fault;
	atomic_long	 fault_calls;
} os = { .once = PTHREAD_ONCE_INIT };

/* Where this thread makes a backup's copy; null: it makes none. */
static _Thread_local const char *copy_directory;
static _Thread_local int copy_error;

static const char marker_name[] = "damaged";

/* --- faults on purpose --- */

void store_fault_set(const struct store_fault *fault)
{
	atomic_store(&os.fault_calls, 0);
	os.fault = fault != NULL ? *fault : (struct store_fault){ 0 };
}

/* errno to pretend for this call, or 0. */
static int fault_now(enum store_fault_call call)
{
	long seen;

	if (os.fault.call != call)
		return 0;
	seen = atomic_fetch_add(&os.fault_calls, 1);
	if (seen < os.fault.after || (os.fault.times >= 0 &&
	    seen >= os.fault.after + os.fault.times))
		return 0;
	if (os.fault.error == STORE_FAULT_KILL)
		raise(SIGKILL);
	return os.fault.error;
}

/* --- directories and small files --- */

static void path_of(const char *directory, const char *name, char *path)
{
	if (snprintf(path, PATH_MAX, "%s/%s", directory, name) >= PATH_MAX)
		fatal("path is too long", log_text("path", directory));
}

void store_os_sync_directory(const char *directory)
{
	int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 || fsync(fd) != 0)
		fatal("cannot flush directory", log_text("path", directory),
		    log_errno(errno));
	close(fd);
}

static void sync_directory_of(const char *path)
{
	const char *slash = strrchr(path, '/');
	char directory[PATH_MAX];

	if (slash == NULL)
		return;
	snprintf(directory, sizeof(directory), "%.*s/", (int)(slash - path),
	    path);
	store_os_sync_directory(directory);
}

void store_os_mark_damaged(const char *directory)
{
	char path[PATH_MAX];
	int fd;

	path_of(directory, marker_name, path);
	fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0) {
		log_error("cannot mark the store", log_text("path", path),
		    log_errno(errno));
		return;
	}
	close(fd);
	store_os_sync_directory(directory);
}

bool store_os_is_marked(const char *directory)
{
	char path[PATH_MAX];

	path_of(directory, marker_name, path);
	return access(path, F_OK) == 0;
}

void store_os_unmark(const char *directory)
{
	char path[PATH_MAX];

	path_of(directory, marker_name, path);
	if (unlink(path) == 0)
		store_os_sync_directory(directory);
}

uint64_t store_os_file_bytes(const char *directory, const char *name)
{
	char path[PATH_MAX];
	struct stat about;

	path_of(directory, name, path);
	return stat(path, &about) == 0 ? (uint64_t)about.st_size : 0;
}

/* Of the open file, not of the process: a backup opens and closes every file
 * here, and a lock of the process would go with that. Such a lock does not say
 * whose it is; the file does. */
int store_os_lock(const char *directory)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	char path[PATH_MAX], pid[24] = "";
	int fd;

	path_of(directory, "lock", path);
	fd = open(path, O_CREAT | O_RDWR | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0) {
		log_error("cannot open", log_text("path", path),
		    log_errno(errno));
		return -1;
	}
	if (fcntl(fd, F_OFD_SETLK, &lock) == 0) {
		snprintf(pid, sizeof(pid), "%-20ld", (long)getpid());
		(void)!pwrite(fd, pid, strlen(pid), 0);
		return fd;
	}
	if ((errno == EACCES || errno == EAGAIN) &&
	    pread(fd, pid, sizeof(pid) - 1, 0) >= 0)
		log_error("the store is in use by another process",
		    log_text("path", directory),
		    log_number("pid", strtol(pid, NULL, 10)));
	else
		log_error("cannot lock", log_text("path", path),
		    log_errno(errno));
	close(fd);
	return -1;
}

/* --- space kept aside --- */

static bool reserve_make(void)
{
	int fd = open(os.reserve, O_CREAT | O_WRONLY | O_CLOEXEC | O_NOFOLLOW,
	    0600);
	bool made;

	if (fd < 0)
		return false;
	made = posix_fallocate(fd, 0, (off_t)os.reserve_bytes) == 0;
	if (!made && ftruncate(fd, 0) != 0)
		log_warn("cannot empty", log_text("path", os.reserve),
		    log_errno(errno));
	close(fd);
	return made;
}

void store_os_reserve(const char *directory, uint64_t bytes)
{
	path_of(directory, "reserve", os.reserve);
	os.reserve_bytes = bytes;
	atomic_store(&os.no_space_met, false);
	atomic_store(&os.refused, false);
	atomic_store(&os.reserve_whole, reserve_make());
}

bool store_os_reserve_is_whole(void)
{
	return atomic_load(&os.reserve_whole);
}

void store_os_reserve_restore(void)
{
	if (!reserve_make())
		return;
	atomic_store(&os.reserve_whole, true);
	log_info("disk space is back", log_text("path", os.reserve));
}

bool store_os_met_full_disk(void)
{
	return atomic_load(&os.no_space_met);
}

bool store_os_met_refusal(void)
{
	return atomic_load(&os.refused);
}

/* True: there is room again; the call that met a full disk may go on. */
static bool reserve_release(void)
{
	if (!atomic_exchange(&os.reserve_whole, false))
		return false;
	log_error("disk is full, using the reserve",
	    log_text("path", os.reserve));
	return truncate(os.reserve, 0) == 0;
}

/* --- hooks --- */

/* The strictest for a descriptor that is too high for the table. */
static enum file_kind kind_of(int fd)
{
	return fd < DESCRIPTORS ? atomic_load(&os.kinds[fd]) : FILE_LOG;
}

/* All of it or an error: Berkeley DB does not go on after a short write. */
static int write_all(int fd, const char *data, size_t length)
{
	while (length > 0) {
		ssize_t n = write(fd, data, length);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == ENOSPC && kind_of(fd) != FILE_COPY &&
		    reserve_release())
			continue;
		if (n < 0)
			return -1;
		data += n;
		length -= (size_t)n;
	}
	return 0;
}

/* What the hook pretends, as write_all would have met it. */
static int write_pretended(int fd, const char *data, size_t length, int error)
{
	if (error == ENOSPC && reserve_release())
		return write_all(fd, data, length);
	errno = error;
	return -1;
}

static int write_all_at(int fd, const char *data, size_t length, off_t offset)
{
	while (length > 0) {
		ssize_t n = pwrite(fd, data, length, offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == ENOSPC && reserve_release())
			continue;
		if (n < 0)
			return -1;
		data += n;
		offset += n;
		length -= (size_t)n;
	}
	return 0;
}

int store_os_write_at(int fd, const void *data, size_t length, off_t offset,
    enum store_fault_call fault)
{
	int error = fault_now(fault);

	if (error == 0 || (error == ENOSPC && reserve_release())) {
		if (write_all_at(fd, data, length, offset) == 0)
			return 0;
	} else {
		errno = error;
	}
	if (errno == ENOSPC || errno == EDQUOT)
		atomic_store(&os.no_space_met, true);
	return -1;
}

int store_os_flush(int fd, enum store_fault_call fault)
{
	int error = fault_now(fault);

	if (error == 0)
		return fdatasync(fd);
	errno = error;
	return -1;
}

/* Pages can wait for room in memory. */
static ssize_t table_write(int fd, const void *data, size_t length)
{
	ssize_t written = store_pages_write(fd, data, length);

	if (written > 0)
		atomic_fetch_add(&os.page_bytes, length);
	else if (errno != ENOSPC)
		fatal("cannot write", log_text("what", "pages"),
		    log_errno(errno));
	return written;
}

void store_os_copy(const char *directory)
{
	copy_directory = directory;
	if (directory != NULL)
		copy_error = 0;
}

int store_os_copy_error(void)
{
	return copy_error;
}

void store_os_copy_stop(bool stop)
{
	atomic_store(&os.copy_stops, stop);
}

static int copy_fail(int error)
{
	if (copy_error == 0)
		copy_error = error;
	errno = error;
	return -1;
}

/* A copy that fails takes nothing with it. */
static ssize_t copy_write(int fd, const void *data, size_t length)
{
	int error = atomic_load(&os.copy_stops) ? ECANCELED :
	    fault_now(STORE_FAULT_COPY_WRITE);

	if (error == 0 && write_all(fd, data, length) != 0)
		error = errno;
	return error == 0 ? (ssize_t)length : copy_fail(error);
}

static ssize_t hook_write(int fd, const void *data, size_t length)
{
	enum file_kind kind = kind_of(fd);
	bool is_log = kind == FILE_LOG;
	int error, result;

	if (store_pages_has(fd))
		return table_write(fd, data, length);
	if (kind == FILE_COPY)
		return copy_write(fd, data, length);
	error = fault_now(is_log ? STORE_FAULT_LOG_WRITE :
	    STORE_FAULT_THROUGH_WRITE);
	result = error == 0 ? write_all(fd, data, length) :
	    write_pretended(fd, data, length, error);

	/* Pages can wait for room in memory; the log cannot. */
	if (result != 0 && (is_log || errno != ENOSPC))
		fatal("cannot write", log_text("what", is_log ? "log" :
		    "pages"), log_errno(errno));
	if (result != 0) {
		atomic_store(&os.no_space_met, true);
		return -1;
	}
	if (kind == FILE_DRAFT && fdatasync(fd) != 0)
		fatal("cannot flush", log_errno(errno));
	atomic_fetch_add(is_log ? &os.log_bytes : &os.page_bytes, length);
	return (ssize_t)length;
}

void store_os_strict(const char *directory)
{
	atomic_store(&os.strict, directory);
}

/*
 * Berkeley DB takes a page of zeros for one that was never used, whatever
 * points to it: what was on it would be gone in silence. Recovery alone may
 * meet such pages.
 */
static ssize_t hook_pread(int fd, void *data, size_t length, off_t offset)
{
	ssize_t n = store_pages_has(fd) ? store_pages_read(fd, data, length,
	    offset) : pread(fd, data, length, offset);
	const char *directory = atomic_load(&os.strict);

	if (directory == NULL || offset == 0 || n != STORE_PAGE_BYTES ||
	    kind_of(fd) != FILE_TABLE || !store_page_is_blank(data))
		return n;
	store_os_mark_damaged(directory);
	fatal("a page of a table has gone", log_text("path", directory),
	    log_number("page", offset / STORE_PAGE_BYTES));
}

/* This and the next three return an errno, unlike what they stand for. */
static int hook_seek(int fd, off_t offset, int whence)
{
	off_t at = lseek(fd, offset, whence);

	if (at < 0)
		return errno;
	store_pages_seek(fd, at);
	return 0;
}

static int hook_fsync(int fd)
{
	if (store_pages_has(fd))
		return store_pages_flush(fd) == 0 ? 0 : errno;
	if (kind_of(fd) == FILE_COPY)
		return fsync(fd) == 0 ? 0 : errno;
	if (store_os_flush(fd, STORE_FAULT_FSYNC) == 0)
		return 0;
	fatal("cannot flush", log_errno(errno));
}

/* A page that came before must not make the file longer again. */
static int hook_truncate(int fd, off_t length)
{
	return store_pages_drain(fd) == 0 && ftruncate(fd, length) == 0 ? 0 :
	    errno;
}

static int hook_unlink(const char *path)
{
	store_pages_forget(path);
	return unlink(path) == 0 ? 0 : errno;
}

/*
 * The descriptor is gone whatever close says. Berkeley DB would close it again,
 * perhaps another thread's by then, and use what it has freed.
 */
static int hook_close(int fd)
{
	store_pages_detach(fd);
	if (close(fd) != 0 && errno != EINTR)
		fatal("cannot close", log_errno(errno));
	return 0;
}

static const char *name_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash != NULL ? slash + 1 : path;
}

static bool is_copy(const char *path)
{
	size_t length = copy_directory == NULL ? 0 : strlen(copy_directory);

	return length > 0 && strncmp(path, copy_directory, length) == 0 &&
	    path[length] == '/';
}

/* What is written to a descriptor depends on the file's name. */
static int descriptor_note(const char *path, int fd)
{
	const char *name = name_of(path);

	if (fd >= 0 && fd < DESCRIPTORS)
		atomic_store(&os.kinds[fd], is_copy(path) ? FILE_COPY :
		    strncmp(name, "log.", 4) == 0 ? FILE_LOG :
		    strncmp(name, "__db.", 5) == 0 ? FILE_DRAFT : FILE_TABLE);
	if (fd < 0 || store_pages_attach(path, fd) == 0)
		return fd;
	if (errno == ENOSPC)
		atomic_store(&os.no_space_met, true);
	close(fd);
	return -1;
}

/* A prepared log file takes the name that Berkeley DB asks for. */
static bool take_spare(const char *path)
{
	const char *slash = strrchr(path, '/');
	char spare[PATH_MAX];

	if (slash == NULL || strncmp(slash + 1, "log.", 4) != 0)
		return false;
	snprintf(spare, sizeof(spare), "%.*s/spare", (int)(slash - path), path);
	return rename(spare, path) == 0;
}

/* That there is no such file, or is one already, is an answer. */
static int refusal_note(int result)
{
	if (result < 0 && errno != ENOENT && errno != EEXIST)
		atomic_store(&os.refused, true);
	return result;
}

static int open_existing(const char *path, int flags)
{
	return refusal_note(descriptor_note(path, open(path, flags &
	    ~(O_CREAT | O_EXCL))));
}

/* Refused, or full, is said of the copy alone. */
static int copy_open(const char *path, int flags, mode_t mode)
{
	int error = atomic_load(&os.copy_stops) ? ECANCELED : 0;
	int fd = -1;

	if (error == 0 && (fd = open(path, flags, mode)) < 0)
		error = errno;
	return error == 0 ? descriptor_note(path, fd) : copy_fail(error);
}

static int hook_open(const char *path, int flags, ...)
{
	int error = fault_now(STORE_FAULT_OPEN);
	mode_t mode = 0600;
	va_list list;
	int fd;

	if (error != 0) {
		errno = error;
		return refusal_note(-1);
	}
	flags |= O_CLOEXEC | O_NOFOLLOW;
	if ((flags & O_CREAT) == 0)
		return open_existing(path, flags);
	va_start(list, flags);
	mode = (mode_t)va_arg(list, int);
	va_end(list);
	if (is_copy(path))
		return copy_open(path, flags, mode);
	if ((flags & O_EXCL) == 0) {
		fd = open_existing(path, flags);
		if (fd >= 0 || errno != ENOENT)
			return fd;
		if (take_spare(path)) {
			sync_directory_of(path);
			return open_existing(path, flags & ~O_TRUNC);
		}
	}
	fd = open(path, flags, mode);
	if (fd < 0 && errno == ENOSPC && reserve_release())
		fd = open(path, flags, mode);
	if (fd < 0 && errno == ENOSPC)
		atomic_store(&os.no_space_met, true);
	if (fd >= 0)
		sync_directory_of(path);
	return refusal_note(descriptor_note(path, fd));
}

static int hook_rename(const char *from, const char *to)
{
	if (rename(from, to) != 0)
		return refusal_note(-1);
	sync_directory_of(to);
	return 0;
}

static void install(void)
{
	if (db_env_set_func_write(hook_write) != 0 ||
	    db_env_set_func_fsync(hook_fsync) != 0 ||
	    db_env_set_func_close(hook_close) != 0 ||
	    db_env_set_func_pread(hook_pread) != 0 ||
	    db_env_set_func_open(hook_open) != 0 ||
	    db_env_set_func_seek(hook_seek) != 0 ||
	    db_env_set_func_ftruncate(hook_truncate) != 0 ||
	    db_env_set_func_unlink(hook_unlink) != 0 ||
	    db_env_set_func_rename(hook_rename) != 0)
		bug("hooks");
}

void store_os_install(void)
{
	pthread_once(&os.once, install);
}

void store_os_counts(uint64_t *log_bytes, uint64_t *page_bytes)
{
	*log_bytes = os.log_bytes;
	*page_bytes = os.page_bytes;
}

/* --- the next log file --- */

static bool fill_with_zeros(int fd, uint64_t bytes)
{
	static const char zeros[ZERO_BYTES];

	while (bytes > 0) {
		size_t step = bytes < sizeof(zeros) ? (size_t)bytes :
		    sizeof(zeros);
		ssize_t n = write(fd, zeros, step);

		if (n <= 0)
			return false;
		bytes -= (uint64_t)n;
	}
	return fsync(fd) == 0;
}

/* A spare that cannot be made is no harm: the log then grows as it goes. */
void store_os_spare(const char *directory, uint64_t bytes)
{
	char path[PATH_MAX], draft[PATH_MAX];
	bool filled;
	int fd;

	path_of(directory, "spare", path);
	path_of(directory, "spare.new", draft);
	if (access(path, F_OK) == 0)
		return;
	fd = open(draft, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC | O_NOFOLLOW,
	    0600);
	if (fd < 0)
		return;
	filled = fill_with_zeros(fd, bytes);
	close(fd);
	if (!filled || rename(draft, path) != 0)
		unlink(draft);
}

/* The last log file's name, or false. */
static bool last_log(const char *directory, char *name, size_t size)
{
	DIR *stream = opendir(directory);
	struct dirent *entry;

	name[0] = '\0';
	while (stream != NULL && (entry = readdir(stream)) != NULL)
		if (strncmp(entry->d_name, "log.", 4) == 0 &&
		    strcmp(entry->d_name, name) > 0)
			snprintf(name, size, "%s", entry->d_name);
	if (stream != NULL)
		closedir(stream);
	return name[0] != '\0';
}

/*
 * A prepared file may have taken its name, and the power gone before anything
 * in it was flushed: no promise can rest on it, and recovery refuses a log
 * file that begins with zeros.
 */
void store_os_log_tail(const char *directory)
{
	char path[PATH_MAX], name[NAME_MAX + 1], head[64];
	static const char zeros[sizeof(head)];
	ssize_t length;
	int fd;

	if (!last_log(directory, name, sizeof(name)))
		return;
	path_of(directory, name, path);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return;
	length = read(fd, head, sizeof(head));
	close(fd);
	if (length != sizeof(head) || memcmp(head, zeros, sizeof(head)) != 0)
		return;
	log_info("removed a log file that was never begun",
	    log_text("path", path));
	if (unlink(path) != 0)
		fatal("cannot remove", log_text("path", path),
		    log_errno(errno));
	store_os_sync_directory(directory);
}

/* Zeros over what is left of the last log, where it is not zeros already. */
void store_os_log_rest(const char *directory, uint32_t number, uint32_t from)
{
	static const char zeros[ZERO_BYTES];
	static char block[ZERO_BYTES];
	char path[PATH_MAX], name[32];
	off_t at = from, changed = 0;
	ssize_t n;
	int fd;

	snprintf(name, sizeof(name), "log.%010u", (unsigned)number);
	path_of(directory, name, path);
	fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return;		/* it was not begun */
	for (; (n = pread(fd, block, sizeof(block), at)) > 0; at += n) {
		if (memcmp(block, zeros, (size_t)n) == 0)
			continue;
		if (store_os_write_at(fd, zeros, (size_t)n, at,
		    STORE_FAULT_LOG_WRITE) != 0)
			fatal("cannot write", log_text("path", path),
			    log_errno(errno));
		changed += n;
	}
	if (n < 0 || (changed > 0 &&
	    store_os_flush(fd, STORE_FAULT_FSYNC) != 0))
		fatal("cannot clear", log_text("path", path),
		    log_errno(errno));
	close(fd);
}
