/* SPDX-License-Identifier: ISC */
/*
 * Notes every call of a role that touches what lies below the scope, or a
 * socket, and makes one of them fail, or kills the process before or after it.
 *
 * A point is role, call, what it is done to (a file's name with its numbers
 * taken out) and the innermost frames of the call stack that lie in the program
 * or in Berkeley DB. Points and the order of what to harm stand in one page of
 * memory that all roles and the test share (POSTERN_FAULTS_PAGE; its layout is
 * also in tests/faults/page.py): so a fault that is to happen once happens once
 * whatever dies and starts again, and the test takes it away when it likes.
 *
 * Nothing here allocates. backtrace() is called once at the start, where it
 * loads what it needs; from then on it neither allocates nor locks.
 */
#include "tests/preload/scope.h"

#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <link.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum call {
	CALL_OPEN, CALL_CREATE, CALL_READ, CALL_WRITE, CALL_TRUNCATE,
	CALL_ALLOCATE, CALL_SYNC, CALL_RENAME, CALL_LINK, CALL_UNLINK,
	CALL_MKDIR, CALL_CLOSE, CALL_SEND, CALL_RECEIVE, CALL_ACCEPT,
	CALL_MAP, CALL_MEMFD
};

enum fault { FAULT_NONE, FAULT_ERROR, FAULT_SHORT, FAULT_KILL_BEFORE,
    FAULT_KILL_AFTER };

enum { POINTS = 8192, FRAMES = 14, DEEPEST = 64, WHAT = 64, MODULES = 2,
    ROLES = 16, ROLE_NAME = 16 };

struct order {
	atomic_uint	 armed;
	uint32_t	 fault;		/* enum fault */
	uint64_t	 key;		/* of the point */
	uint32_t	 occurrence;	/* the first to be harmed, from 1 */
	uint32_t	 times;
	int32_t		 error;
	atomic_uint	 seen;		/* calls at the point while armed */
	atomic_uint	 fired;
	atomic_int	 pid;		/* the first that was harmed */
	atomic_uint	 sent_after;	/* its sends after that */
};

struct point {
	_Atomic uint64_t key;		/* 0: free */
	atomic_uint	 count;
	atomic_uint	 ready;		/* the members below are whole */
	uint32_t	 role;
	uint32_t	 call;
	uint32_t	 frame_count;
	uint32_t	 reserved;
	uint64_t	 frames[FRAMES];	/* module << 48 | offset */
	char		 what[WHAT];
};

struct page {
	char		 roles[ROLES][ROLE_NAME];	/* written by the test */
	struct order	 order;
	atomic_uint	 lost;		/* points that found no place */
	struct point	 points[POINTS];
};

static struct {
	struct page	*page;		/* null: nothing is done */
	uint32_t	 role;
	struct { uintptr_t base, from, to; } modules[MODULES];
} self;

static _Thread_local bool busy;

/* --- the start --- */

static int find_module(struct dl_phdr_info *info, size_t size, void *arg)
{
	static bool program_seen;
	int module;

	(void)size;
	(void)arg;
	if (strstr(info->dlpi_name, "/libdb-") != NULL)
		module = 1;
	else if (!program_seen)
		module = 0;		/* the program comes first */
	else
		return 0;
	program_seen = true;
	self.modules[module].base = info->dlpi_addr;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *part = &info->dlpi_phdr[i];

		if (part->p_type != PT_LOAD || (part->p_flags & PF_X) == 0)
			continue;
		self.modules[module].from = info->dlpi_addr + part->p_vaddr;
		self.modules[module].to = info->dlpi_addr + part->p_vaddr +
		    part->p_memsz;
	}
	return 0;
}

/* What follows --role=, or "supervisor" for `postern run`; false: neither. */
static bool find_role(char *role)
{
	char line[1024];
	long fd = syscall(SYS_openat, AT_FDCWD, "/proc/self/cmdline",
	    O_RDONLY | O_CLOEXEC);
	long length = fd < 0 ? -1 : syscall(SYS_read, fd, line,
	    sizeof(line) - 1);

	if (fd >= 0)
		syscall(SYS_close, fd);
	if (length <= 0)
		return false;
	line[length] = '\0';
	for (char *word = line; word < line + length;
	    word += strlen(word) + 1) {
		if (strncmp(word, "--role=", 7) == 0)
			snprintf(role, ROLE_NAME, "%.15s", word + 7);
		else if (word != line && strcmp(word, "run") == 0)
			snprintf(role, ROLE_NAME, "supervisor");
		else
			continue;
		return true;
	}
	return false;
}

__attribute__((constructor)) static void begin(void)
{
	const char *path = getenv("POSTERN_FAULTS_PAGE");
	char role[ROLE_NAME];
	struct page *page;
	void *frames[4];
	long fd;

	if (path == NULL || scope_folder() == NULL || !find_role(role))
		return;
	fd = syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return;
	page = (void *)syscall(SYS_mmap, NULL, sizeof(*page),
	    PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	syscall(SYS_close, fd);
	if (page == MAP_FAILED)
		return;
	while (self.role < ROLES && strcmp(page->roles[self.role], role) != 0)
		self.role++;
	if (self.role == ROLES)
		return;
	backtrace(frames, 4);
	dl_iterate_phdr(find_module, NULL);
	self.page = page;
}

/* --- points --- */

static void add_to_hash(uint64_t *hash, uint64_t value)
{
	*hash = (*hash ^ value) * UINT64_C(0x9fb21c651e98df25);
	*hash ^= *hash >> 29;
}

/* Frames in our modules, innermost first; the rest is left out. */
static uint32_t find_frames(uint64_t *frames)
{
	void *stack[DEEPEST];
	int depth = backtrace(stack, DEEPEST);
	uint32_t count = 0;

	for (int i = 0; i < depth && count < FRAMES; i++) {
		uintptr_t at = (uintptr_t)stack[i];

		for (uint64_t module = 0; module < MODULES; module++)
			if (at > self.modules[module].from &&
			    at <= self.modules[module].to)
				frames[count++] = module << 48 |
				    (at - self.modules[module].base);
	}
	return count;
}

/* Runs of digits become one '#': names of the same kind are the same. Passing
 * names of Berkeley DB hold a number in other digits. */
static void make_plain(const char *name, char *what)
{
	const char *digits = strstr(name, "/__db.") == NULL ? "0123456789" :
	    "0123456789abcdef.";
	size_t used = 0;

	while (*name != '\0' && used < WHAT - 1) {
		if (*name >= '0' && *name <= '9') {
			name += strspn(name, digits);
			what[used++] = '#';
			continue;
		}
		what[used++] = *name++;
	}
	what[used] = '\0';
}

/* False: no file below the scope, no socket of a kind that matters. */
static bool what_is_fd(int fd, char *what)
{
	char name[PATH_MAX], link[64];
	struct sockaddr_storage address;
	socklen_t length = sizeof(address);
	long got;

	what[0] = '\0';
	if (syscall(SYS_getsockname, fd, &address, &length) == 0) {
		snprintf(what, WHAT, "%s", address.ss_family == AF_UNIX ?
		    "channel" : "connection");
		return address.ss_family == AF_UNIX ||
		    address.ss_family == AF_INET ||
		    address.ss_family == AF_INET6;
	}
	if (scope_fd(fd, name)) {
		make_plain(name, what);
		return true;
	}
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	got = syscall(SYS_readlinkat, AT_FDCWD, link, name, PATH_MAX - 1);
	snprintf(what, WHAT, "memory");
	return got > 7 && strncmp(name, "/memfd:", 7) == 0;
}

static bool what_is_path(int folder, const char *path, char *what)
{
	char name[PATH_MAX];

	what[0] = '\0';
	if (!scope_path(folder, path, name))
		return false;
	make_plain(name, what);
	return true;
}

/* The point's place, noted if it is new; null: the table is full. */
static struct point *find_point(enum call call, const char *what)
{
	uint64_t frames[FRAMES], key = self.role * 64 + call + 1;
	uint32_t count = find_frames(frames);

	for (uint32_t i = 0; i < count; i++)
		add_to_hash(&key, frames[i]);
	for (const char *at = what; *at != '\0'; at++)
		add_to_hash(&key, (unsigned char)*at);
	key += key == 0;
	for (unsigned i = 0; i < POINTS; i++) {
		struct point *point = &self.page->points[(key + i) % POINTS];
		uint64_t found = 0;

		if (atomic_compare_exchange_strong(&point->key, &found, key)) {
			point->role = self.role;
			point->call = call;
			point->frame_count = count;
			memcpy(point->frames, frames, count * sizeof(*frames));
			snprintf(point->what, WHAT, "%s", what);
			atomic_store(&point->ready, 1);
			return point;
		}
		if (found == key)
			return point;
	}
	atomic_fetch_add(&self.page->lost, 1);
	return NULL;
}

/* --- harm --- */

__attribute__((noreturn)) static void die(void)
{
	for (;;)
		syscall(SYS_kill, syscall(SYS_getpid), SIGKILL);
}

/* What is to happen to this call; errno is set for an error. */
static enum fault judge(enum call call, const char *what)
{
	struct order *order = &self.page->order;
	struct point *point = find_point(call, what);
	unsigned seen;
	int none = 0;

	if (point == NULL)
		return FAULT_NONE;
	atomic_fetch_add(&point->count, 1);
	if (call == CALL_SEND && atomic_load(&order->fired) > 0 &&
	    atomic_load(&order->pid) == (int)getpid())
		atomic_fetch_add(&order->sent_after, 1);
	if (!atomic_load(&order->armed) || order->key != point->key)
		return FAULT_NONE;
	seen = atomic_fetch_add(&order->seen, 1) + 1;
	if (seen < order->occurrence ||
	    seen - order->occurrence >= order->times)
		return FAULT_NONE;
	atomic_compare_exchange_strong(&order->pid, &none, (int)getpid());
	atomic_fetch_add(&order->fired, 1);
	if (order->fault == FAULT_KILL_BEFORE)
		die();
	if (order->fault == FAULT_ERROR)
		errno = order->error;
	return order->fault;
}

static enum fault at_fd(enum call call, int fd)
{
	enum fault fault = FAULT_NONE;
	int before = errno;
	char what[WHAT];

	if (self.page == NULL || busy)
		return FAULT_NONE;
	busy = true;
	if (what_is_fd(fd, what))
		fault = judge(call, what);
	busy = false;
	if (fault != FAULT_ERROR)
		errno = before;
	return fault;
}

static enum fault at_path(enum call call, int folder, const char *path)
{
	enum fault fault = FAULT_NONE;
	int before = errno;
	char what[WHAT];

	if (self.page == NULL || busy)
		return FAULT_NONE;
	busy = true;
	if (what_is_path(folder, path, what))
		fault = judge(call, what);
	busy = false;
	if (fault != FAULT_ERROR)
		errno = before;
	return fault;
}

/* The way out of each call. */
static long done(enum fault fault, long result)
{
	if (fault == FAULT_KILL_AFTER)
		die();
	return result;
}

/* Space kept aside is only said to be there: thousands of starts would clear
 * tens of megabytes each. */
enum { THIN_FROM = 256 << 10 };

static bool is_blank(const char *data, size_t length)
{
	return length >= THIN_FROM && data[0] == '\0' &&
	    memcmp(data, data + 1, length - 1) == 0;
}

static ssize_t write_thin(int fd, size_t length)
{
	long end = syscall(SYS_lseek, fd, length, SEEK_CUR);

	return end < 0 || syscall(SYS_ftruncate, fd, end) != 0 ? -1 :
	    (ssize_t)length;
}

static size_t part_of(enum fault fault, size_t length)
{
	return fault == FAULT_SHORT && length > 1 ? length / 2 : length;
}

/* --- the calls --- */

#define REAL(type, name) \
	static type *real; \
	if (real == NULL) \
		real = (type *)scope_real(name)

typedef int open_type(const char *, int, ...);
typedef int openat_type(int, const char *, int, ...);
typedef ssize_t read_type(int, void *, size_t);
typedef ssize_t pread_type(int, void *, size_t, off_t);
typedef ssize_t write_type(int, const void *, size_t);
typedef ssize_t pwrite_type(int, const void *, size_t, off_t);
typedef ssize_t vector_type(int, const struct iovec *, int);
typedef int fd_type(int);
typedef int fd_length_type(int, off_t);
typedef int fd_range_type(int, off_t, off_t);
typedef int path_type(const char *);
typedef int path_length_type(const char *, off_t);
typedef int path_mode_type(const char *, mode_t);
typedef int two_paths_type(const char *, const char *);
typedef int at_path_mode_type(int, const char *, mode_t);
typedef int at_path_flags_type(int, const char *, int);
typedef int two_at_type(int, const char *, int, const char *);
typedef int two_at_flags_type(int, const char *, int, const char *, int);
typedef ssize_t message_type(int, const struct msghdr *, int);
typedef ssize_t message_in_type(int, struct msghdr *, int);
typedef ssize_t send_type(int, const void *, size_t, int);
typedef ssize_t receive_type(int, void *, size_t, int);
typedef int accept4_type(int, struct sockaddr *, socklen_t *, int);
typedef void *map_type(void *, size_t, int, int, int, off_t);
typedef int memfd_type(const char *, unsigned);

static int open_any(int folder, const char *path, int flags, mode_t mode)
{
	REAL(openat_type, "openat");
	enum fault fault = at_path((flags & O_CREAT) != 0 ? CALL_CREATE :
	    CALL_OPEN, folder, path);

	if (fault == FAULT_ERROR)
		return -1;
	return (int)done(fault, real(folder, path, flags, mode));
}

static mode_t mode_of(int flags, va_list list)
{
	return (flags & (O_CREAT | O_TMPFILE)) != 0 ?
	    (mode_t)va_arg(list, int) : 0;
}

int open(const char *path, int flags, ...)
{
	va_list list;
	mode_t mode;

	va_start(list, flags);
	mode = mode_of(flags, list);
	va_end(list);
	return open_any(AT_FDCWD, path, flags, mode);
}

int openat(int folder, const char *path, int flags, ...)
{
	va_list list;
	mode_t mode;

	va_start(list, flags);
	mode = mode_of(flags, list);
	va_end(list);
	return open_any(folder, path, flags, mode);
}

/* What fortified code calls instead. */
int __open_2(const char *path, int flags);
int __open_2(const char *path, int flags)
{
	return open_any(AT_FDCWD, path, flags, 0);
}

int __openat_2(int folder, const char *path, int flags);
int __openat_2(int folder, const char *path, int flags)
{
	return open_any(folder, path, flags, 0);
}

ssize_t read(int fd, void *data, size_t length)
{
	REAL(read_type, "read");
	enum fault fault = at_fd(CALL_READ, fd);

	if (fault == FAULT_ERROR)
		return -1;
	return done(fault, real(fd, data, part_of(fault, length)));
}

ssize_t __read_chk(int fd, void *data, size_t length, size_t room);
ssize_t __read_chk(int fd, void *data, size_t length, size_t room)
{
	if (length > room)
		abort();
	return read(fd, data, length);
}

ssize_t pread(int fd, void *data, size_t length, off_t at)
{
	REAL(pread_type, "pread");
	enum fault fault = at_fd(CALL_READ, fd);

	if (fault == FAULT_ERROR)
		return -1;
	return done(fault, real(fd, data, part_of(fault, length), at));
}

ssize_t write(int fd, const void *data, size_t length)
{
	REAL(write_type, "write");
	enum fault fault = at_fd(CALL_WRITE, fd);

	if (fault == FAULT_ERROR)
		return -1;
	if (fault != FAULT_SHORT && self.page != NULL &&
	    is_blank(data, length))
		return done(fault, write_thin(fd, length));
	return done(fault, real(fd, data, part_of(fault, length)));
}

ssize_t pwrite(int fd, const void *data, size_t length, off_t at)
{
	REAL(pwrite_type, "pwrite");
	enum fault fault = at_fd(CALL_WRITE, fd);

	if (fault == FAULT_ERROR)
		return -1;
	return done(fault, real(fd, data, part_of(fault, length), at));
}

ssize_t writev(int fd, const struct iovec *vector, int count)
{
	REAL(vector_type, "writev");
	enum fault fault = at_fd(CALL_WRITE, fd);

	if (fault == FAULT_ERROR)
		return -1;
	return done(fault, real(fd, vector, (int)part_of(fault,
	    (size_t)count)));
}

int ftruncate(int fd, off_t length)
{
	REAL(fd_length_type, "ftruncate");
	enum fault fault = at_fd(CALL_TRUNCATE, fd);

	if (fault == FAULT_ERROR)
		return -1;
	return (int)done(fault, real(fd, length));
}

int truncate(const char *path, off_t length)
{
	REAL(path_length_type, "truncate");
	enum fault fault = at_path(CALL_TRUNCATE, AT_FDCWD, path);

	if (fault == FAULT_ERROR)
		return -1;
	return (int)done(fault, real(path, length));
}

/* Returns its error and leaves errno alone. */
int posix_fallocate(int fd, off_t at, off_t length)
{
	REAL(fd_range_type, "posix_fallocate");
	int before = errno, error;
	enum fault fault = at_fd(CALL_ALLOCATE, fd);

	if (fault != FAULT_ERROR && length >= THIN_FROM && self.page != NULL)
		return (int)done(fault, syscall(SYS_ftruncate, fd,
		    at + length) != 0 ? errno : 0);
	if (fault != FAULT_ERROR)
		return (int)done(fault, real(fd, at, length));
	error = errno;
	errno = before;
	return error;
}

int fsync(int fd)
{
	REAL(fd_type, "fsync");
	enum fault fault = at_fd(CALL_SYNC, fd);

	if (fault == FAULT_ERROR)
		return -1;
	return (int)done(fault, real(fd));
}

int fdatasync(int fd)
{
	REAL(fd_type, "fdatasync");
	enum fault fault = at_fd(CALL_SYNC, fd);

	if (fault == FAULT_ERROR)
		return -1;
	return (int)done(fault, real(fd));
}

int syncfs(int fd)
{
	REAL(fd_type, "syncfs");
	enum fault fault = at_fd(CALL_SYNC, fd);

	if (fault == FAULT_ERROR)
		return -1;
	return (int)done(fault, real(fd));
}

int rename(const char *from, const char *to)
{
	REAL(two_paths_type, "rename");
	enum fault fault = at_path(CALL_RENAME, AT_FDCWD, to);

	if (fault == FAULT_ERROR)
		return -1;
	return (int)done(fault, real(from, to));
}

int renameat(int from_folder, const char *from, int folder, const char *to)
{
	REAL(two_at_type, "renameat");
	enum fault fault = at_path(CALL_RENAME, folder, to);

	if (fault == FAULT_ERROR)
		return -1;
	return (int)done(fault, real(from_folder, from, folder, to));
}

int linkat(int from_folder, const char *from, int folder, const char *to,
    int flags)
{
	REAL(two_at_flags_type, "linkat");
	enum fault fault = at_path(CALL_LINK, folder, to);

	if (fault == FAULT_ERROR)
		return -1;
	return (int)done(fault, real(from_folder, from, folder, to, flags));
}

int unlink(const char *path)
{
	REAL(path_type, "unlink");
	enum fault fault = at_path(CALL_UNLINK, AT_FDCWD, path);

	if (fault == FAULT_ERROR)
		return -1;
	return (int)done(fault, real(path));
}

int unlinkat(int folder, const char *path, int flags)
{
	REAL(at_path_flags_type, "unlinkat");
	enum fault fault = at_path(CALL_UNLINK, folder, path);

	if (fault == FAULT_ERROR)
		return -1;
	return (int)done(fault, real(folder, path, flags));
}

int mkdir(const char *path, mode_t mode)
{
	REAL(path_mode_type, "mkdir");
	enum fault fault = at_path(CALL_MKDIR, AT_FDCWD, path);

	if (fault == FAULT_ERROR)
		return -1;
	return (int)done(fault, real(path, mode));
}

int mkdirat(int folder, const char *path, mode_t mode)
{
	REAL(at_path_mode_type, "mkdirat");
	enum fault fault = at_path(CALL_MKDIR, folder, path);

	if (fault == FAULT_ERROR)
		return -1;
	return (int)done(fault, real(folder, path, mode));
}

/* The descriptor is gone all the same, as Linux has it. */
int close(int fd)
{
	REAL(fd_type, "close");
	enum fault fault = at_fd(CALL_CLOSE, fd);
	int error = errno, result = real(fd);

	if (fault == FAULT_ERROR) {
		errno = error;
		return -1;
	}
	return (int)done(fault, result);
}

/* A part of the first piece; descriptors go along with it. */
ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
	REAL(message_type, "sendmsg");
	enum fault fault = at_fd(CALL_SEND, fd);
	struct msghdr part;
	struct iovec piece;

	if (fault == FAULT_ERROR)
		return -1;
	if (fault != FAULT_SHORT || message->msg_iovlen == 0)
		return done(fault, real(fd, message, flags));
	part = *message;
	piece = message->msg_iov[0];
	piece.iov_len = part_of(fault, piece.iov_len);
	part.msg_iov = &piece;
	part.msg_iovlen = 1;
	return real(fd, &part, flags);
}

ssize_t send(int fd, const void *data, size_t length, int flags)
{
	REAL(send_type, "send");
	enum fault fault = at_fd(CALL_SEND, fd);

	if (fault == FAULT_ERROR)
		return -1;
	return done(fault, real(fd, data, part_of(fault, length), flags));
}

ssize_t recvmsg(int fd, struct msghdr *message, int flags)
{
	REAL(message_in_type, "recvmsg");
	enum fault fault = at_fd(CALL_RECEIVE, fd);
	struct iovec *pieces = message->msg_iov, piece;
	size_t count = message->msg_iovlen;
	ssize_t result;

	if (fault == FAULT_ERROR)
		return -1;
	if (fault != FAULT_SHORT || count == 0)
		return done(fault, real(fd, message, flags));
	piece = pieces[0];
	piece.iov_len = piece.iov_len > 16 ? 16 : part_of(fault,
	    piece.iov_len);
	message->msg_iov = &piece;
	message->msg_iovlen = 1;
	result = real(fd, message, flags);
	message->msg_iov = pieces;
	message->msg_iovlen = count;
	return result;
}

ssize_t recv(int fd, void *data, size_t length, int flags)
{
	REAL(receive_type, "recv");
	enum fault fault = at_fd(CALL_RECEIVE, fd);

	if (fault == FAULT_ERROR)
		return -1;
	if (fault == FAULT_SHORT && length > 16)
		length = 16;
	return done(fault, real(fd, data, length, flags));
}

int accept4(int fd, struct sockaddr *address, socklen_t *size, int flags)
{
	REAL(accept4_type, "accept4");
	enum fault fault = at_fd(CALL_ACCEPT, fd);

	if (fault == FAULT_ERROR)
		return -1;
	return (int)done(fault, real(fd, address, size, flags));
}

/* Of files only: memory comes from here, too. */
void *mmap(void *near, size_t length, int protection, int flags, int fd,
    off_t at)
{
	REAL(map_type, "mmap");
	enum fault fault = fd < 0 || (flags & MAP_ANONYMOUS) != 0 ?
	    FAULT_NONE : at_fd(CALL_MAP, fd);
	void *result;

	if (fault == FAULT_ERROR)
		return MAP_FAILED;
	result = real(near, length, protection, flags, fd, at);
	done(fault, 0);
	return result;
}

int memfd_create(const char *name, unsigned flags)
{
	REAL(memfd_type, "memfd_create");
	enum fault fault = FAULT_NONE;
	int before = errno;

	if (self.page != NULL && !busy) {
		busy = true;
		fault = judge(CALL_MEMFD, "memory");
		busy = false;
	}
	if (fault == FAULT_ERROR)
		return -1;
	errno = before;
	return (int)done(fault, real(name, flags));
}
