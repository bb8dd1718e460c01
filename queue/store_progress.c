/* SPDX-License-Identifier: ISC */
/*
 * A page shared with the file system in which the numbers of the last batch
 * written and of the last one flushed stand. It decides nothing and is never
 * flushed: it outlives a killed process (not the machine), so that the next
 * start can say how many batches lay between write and flush, which is the
 * window that tests/crash wants to hit.
 */
#include "queue/store_internal.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"

enum { PAGE_BYTES = 4096 };

struct store_progress {
	atomic_uint_fast64_t	 committed;
	atomic_uint_fast64_t	 flushed;
};

/* Without its page the store works as well: null is no error. */
struct store_progress *store_progress_open(const char *directory)
{
	char *path = mem_print("%s/progress", directory);
	struct store_progress *progress = MAP_FAILED;
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	/* All of it is there before it is touched: a write into a hole of a
	 * full disk would kill us. */
	if (fd != -1 && posix_fallocate(fd, 0, PAGE_BYTES) == 0)
		progress = mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE,
		    MAP_SHARED, fd, 0);
	if (fd != -1)
		close(fd);
	mem_free(path);
	if (progress == MAP_FAILED)
		return NULL;
	if (atomic_load(&progress->committed) >
	    atomic_load(&progress->flushed))
		log_info("recovered", log_number("unflushed",
		    (int64_t)(atomic_load(&progress->committed) -
		    atomic_load(&progress->flushed))));
	atomic_store(&progress->committed, 0);
	atomic_store(&progress->flushed, 0);
	return progress;
}

void store_progress_committed(struct store_progress *progress, uint64_t batch)
{
	if (progress != NULL)
		atomic_store(&progress->committed, batch);
}

void store_progress_flushed(struct store_progress *progress, uint64_t batch)
{
	if (progress != NULL)
		atomic_store(&progress->flushed, batch);
}

void store_progress_close(struct store_progress *progress)
{
	if (progress == NULL)
		return;
	atomic_store(&progress->flushed, atomic_load(&progress->committed));
	munmap(progress, PAGE_BYTES);
}
