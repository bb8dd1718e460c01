/* SPDX-License-Identifier: ISC */
/*
 * Counts the flushes of all processes of a server: LD_PRELOAD it with
 * POSTERN_FLUSHES naming a file of eight bytes, which all of them may write; the
 * number is in there. It adds an atomic addition to a call that waits for a
 * disk, and can be left in whatever is measured. With POSTERN_SYNC_MILLISECONDS
 * each flush takes so much longer, as a slow disk's would.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

static _Atomic uint64_t *count;
static long delay;
static int (*next_fsync)(int);
static int (*next_fdatasync)(int);

__attribute__((constructor))
static void begin(void)
{
	const char *path = getenv("POSTERN_FLUSHES");
	const char *text = getenv("POSTERN_SYNC_MILLISECONDS");
	void *memory;
	int fd;

	next_fsync = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
	next_fdatasync = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
	if (text != NULL)
		delay = strtol(text, NULL, 10);
	fd = path == NULL ? -1 : open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return;
	memory = mmap(NULL, sizeof(*count), PROT_READ | PROT_WRITE,
	    MAP_SHARED, fd, 0);
	close(fd);
	if (memory != MAP_FAILED)
		count = memory;
}

static void on_flush(void)
{
	struct timespec time = { delay / 1000, delay % 1000 * 1000000 };

	if (count != NULL)
		atomic_fetch_add(count, 1);
	if (delay > 0)
		nanosleep(&time, NULL);
}

int fsync(int fd)
{
	on_flush();
	return next_fsync(fd);
}

int fdatasync(int fd)
{
	on_flush();
	return next_fdatasync(fd);
}
