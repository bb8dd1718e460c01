/* SPDX-License-Identifier: ISC */
/*
 * See record_log.h. The lock is a robust one: a process that is killed while
 * it holds it leaves a record half written at most, and the next one goes on
 * where the last whole one ends. The descriptor of the log is high up and
 * looked at before each use, because servers close what they do not know and
 * the number may be something else by then.
 */
#include "tests/preload/record_log.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { CONTROL_BYTES = 4096, LOG_FD = 900 };

struct control {
	pthread_mutex_t	 lock;
	atomic_uint_fast64_t sequence;		/* the last one written */
	uint64_t	 used;			/* bytes of whole records */
};

static struct {
	pthread_once_t	 once;
	char		 path[PATH_MAX];
	struct control	*control;		/* null: no log */
	int		 fd;			/* checked before each use */
	struct stat	 about;
} state = { .once = PTHREAD_ONCE_INIT, .fd = -1 };

static void die(const char *what)
{
	char text[256];
	int length = snprintf(text, sizeof(text), "record: %s: %s\n", what,
	    strerror(errno));

	(void)!syscall(SYS_write, STDERR_FILENO, text, (size_t)length);
	syscall(SYS_exit_group, 70);
	__builtin_unreachable();
}

static int open_now(const char *path, int flags)
{
	return (int)syscall(SYS_openat, AT_FDCWD, path, flags | O_CLOEXEC,
	    0666);
}

static bool control_name(const char *path, char *name)
{
	return snprintf(name, PATH_MAX, "%s.control", path) < PATH_MAX;
}

static struct control *control_map(const char *path, int flags)
{
	char name[PATH_MAX];
	void *place = MAP_FAILED;
	int fd = -1;

	if (control_name(path, name))
		fd = open_now(name, O_RDWR | flags);
	if (fd >= 0 && (flags == 0 || syscall(SYS_ftruncate, fd,
	    CONTROL_BYTES) == 0))
		place = (void *)syscall(SYS_mmap, NULL, CONTROL_BYTES,
		    PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (fd >= 0)
		syscall(SYS_close, fd);
	return place == MAP_FAILED ? NULL : place;
}

int postern_record_begin(const char *path)
{
	pthread_mutexattr_t kind;
	struct control *control;
	char name[PATH_MAX];
	int fd = open_now(path, O_WRONLY | O_CREAT | O_EXCL);

	if (fd < 0 || !control_name(path, name))
		return -1;
	/* The servers' users are others. */
	syscall(SYS_fchmod, fd, 0666);
	syscall(SYS_close, fd);
	control = control_map(path, O_CREAT | O_EXCL);
	if (control == NULL || chmod(name, 0666) != 0)
		return -1;
	pthread_mutexattr_init(&kind);
	pthread_mutexattr_setpshared(&kind, PTHREAD_PROCESS_SHARED);
	pthread_mutexattr_setrobust(&kind, PTHREAD_MUTEX_ROBUST);
	pthread_mutex_init(&control->lock, &kind);
	munmap(control, CONTROL_BYTES);
	return 0;
}

static void log_open(void)
{
	int fd = open_now(state.path, O_WRONLY);

	if (fd < 0)
		die(state.path);
	state.fd = (int)syscall(SYS_fcntl, fd, F_DUPFD_CLOEXEC, LOG_FD);
	if (state.fd < 0)
		state.fd = fd;
	else
		syscall(SYS_close, fd);
	if (syscall(SYS_fstat, state.fd, &state.about) != 0)
		die("fstat");
}

static void begin(void)
{
	const char *path = getenv("POSTERN_RECORD");

	if (path == NULL)
		return;
	if (snprintf(state.path, PATH_MAX, "%s", path) >= PATH_MAX)
		die("path is too long");
	state.control = control_map(path, 0);
	if (state.control == NULL)
		die(path);
	log_open();
}

int record_log_is_open(void)
{
	pthread_once(&state.once, begin);
	return state.control != NULL;
}

void record_lock(void)
{
	int before = errno;
	int error = pthread_mutex_lock(&state.control->lock);

	if (error == EOWNERDEAD)
		error = pthread_mutex_consistent(&state.control->lock);
	if (error != 0) {
		errno = error;
		die("lock");
	}
	errno = before;
}

void record_unlock(void)
{
	pthread_mutex_unlock(&state.control->lock);
}

uint64_t record_now(void)
{
	return atomic_load(&state.control->sequence) + 1;
}

/* Still the log, and not what got its number since? */
static void log_check(void)
{
	struct stat about;

	if (syscall(SYS_fstat, state.fd, &about) == 0 &&
	    about.st_dev == state.about.st_dev &&
	    about.st_ino == state.about.st_ino)
		return;
	log_open();
}

static void write_at(const void *data, size_t length, uint64_t at)
{
	const char *from = data;

	while (length > 0) {
		long n = syscall(SYS_pwrite64, state.fd, from, length, at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			die("cannot write the log");
		from += n;
		at += (uint64_t)n;
		length -= (size_t)n;
	}
}

void record_add(const struct record *record)
{
	struct control *control = state.control;
	struct record_head head = { .magic = RECORD_MAGIC,
	    .kind = (uint8_t)record->kind, .flags = (uint8_t)record->flags,
	    .process = (uint32_t)getpid(),
	    .length = (uint32_t)(record->length + record->more_length),
	    .sequence = atomic_load(&control->sequence) + 1,
	    .first = record->first, .second = record->second };
	uint64_t at = control->used;
	int before = errno;

	log_check();
	write_at(&head, sizeof(head), at);
	at += sizeof(head);
	write_at(record->data, record->length, at);
	at += record->length;
	write_at(record->more, record->more_length, at);
	control->used = at + record->more_length;
	atomic_store(&control->sequence, head.sequence);
	errno = before;
}

uint64_t postern_record_mark(uint64_t what, uint64_t number)
{
	struct record mark = { .kind = RECORD_MARK, .first = what,
	    .second = number };
	uint64_t sequence;

	if (!record_log_is_open())
		return 0;
	record_lock();
	record_add(&mark);
	sequence = atomic_load(&state.control->sequence);
	record_unlock();
	return sequence;
}
